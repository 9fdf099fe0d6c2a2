"""``wagateway simulate``: a WAHA without a phone, for whatever receives its webhooks.

Only the options and help: what they do is imported when they run, so that help is quick.
"""
# ruff: noqa: PLC0415 - see above

from pathlib import Path
from typing import Any

import rich_click as click

from wagateway.entrypoints.cli.endings import Command, Group
from wagateway.entrypoints.cli.options import Instant
from wagateway.entrypoints.cli.output import json_option

_truth_file = click.Path(dir_okay=False, path_type=Path)


@click.group("simulate", cls=Group, invoke_without_command=True)
@click.option("--webhook", metavar="URL", help="Where to deliver; needed without --serve.")
@click.option(
    "--serve",
    metavar="HOST:PORT",
    is_flag=False,
    flag_value="127.0.0.1:3311",
    help="Answer WAHA's REST API there, until Ctrl-C, with all that the engines keep; "
    "127.0.0.1:3311 where no place follows.",
)
@click.option(
    "--api-key",
    envvar="WHATSAPP_API_KEY",
    metavar="KEY",
    help="What REST calls must carry as X-Api-Key; better by WHATSAPP_API_KEY. Default: anything.",
)
@click.option(
    "--past",
    type=click.IntRange(0, 1_000_000),
    metavar="NUMBER",
    default=0,
    show_default=True,
    help="Older messages of all sessions together, which REST alone tells.",
)
@click.option(
    "--without-store", is_flag=True, help="NOWEB keeps nothing: REST answers 400 to its lists."
)
@click.option(
    "--wait",
    type=click.FloatRange(0, 60),
    metavar="SECONDS",
    default=0,
    show_default=True,
    help="How long REST waits for a session to be WORKING before it answers 422; WAHA: 5.",
)
@click.option(
    "--files",
    type=click.IntRange(1, 100_000),
    metavar="NUMBER",
    default=300,
    show_default=True,
    help="How many different files are sent around, about; some of them very often.",
)
@click.option(
    "--large-files",
    type=click.IntRange(0, 10_000),
    metavar="NUMBER",
    default=0,
    show_default=True,
    help="How many of the films, and of the PDFs, have --large-size.",
)
@click.option(
    "--large-size",
    type=click.IntRange(1, 4000),
    metavar="MB",
    default=200,
    show_default=True,
    help="Size of the large files; they are made while they are sent.",
)
@click.option(
    "--file-lifetime",
    type=click.FloatRange(0, 10**9),
    metavar="SECONDS",
    default=180,
    show_default=True,
    help="How long REST has a file after it was saved; 0 is for ever.",
)
@click.option(
    "--media-base",
    metavar="URL",
    default="http://localhost:3000",
    show_default=True,
    help="What WAHA takes for its own address in media.url.",
)
@click.option(
    "--bucket",
    metavar="HOST:PORT",
    help="WAHA puts files into a bucket, which is served there: media.url is signed.",
)
@click.option(
    "--bait",
    metavar="HOST:PORT",
    help="Listen there for who follows the addresses of the fault file-bait, and count them.",
)
@click.option(
    "--token",
    envvar="WHATSAPP_WEBHOOK_TOKEN",
    metavar="TOKEN",
    help="Sent as X-Whatsapp-Token. Others on this machine can read your command line: better set "
    "WHATSAPP_WEBHOOK_TOKEN.",
)
@click.option(
    "--hmac-key",
    envvar="WHATSAPP_WEBHOOK_HMAC_KEY",
    metavar="KEY",
    help="Signs every body as WAHA does; WHATSAPP_WEBHOOK_HMAC_KEY.",
)
@click.option(
    "--header",
    "headers",
    metavar="NAME:VALUE",
    multiple=True,
    help="A further header; may be given several times.",
)
@click.option(
    "--seed",
    type=int,
    metavar="NUMBER",
    default=1,
    show_default=True,
    help="Decides on everything: the same options and seed give the same bytes.",
)
@click.option(
    "--engine",
    type=click.Choice(["noweb", "gows", "webjs", "mix"]),
    default="mix",
    show_default=True,
    help="Whose shapes; mix changes from conversation to conversation.",
)
@click.option(
    "--sessions",
    type=click.IntRange(1, 1000),
    metavar="NUMBER",
    default=1,
    show_default=True,
    help="Accounts at the same time: default, or session-1, session-2 …",
)
@click.option(
    "--chats",
    type=click.IntRange(17, 10_000),
    metavar="NUMBER",
    default=17,
    show_default=True,
    help="Chats of each session, about; 17 to 10,000.",
)
@click.option(
    "--rate",
    type=click.FloatRange(min=0, min_open=True, max=100_000),
    metavar="NUMBER",
    help="Deliveries per second, all sessions together; the past of --history comes first, "
    "without waiting. Default: as fast as they are taken",
)
@click.option(
    "--count",
    type=click.IntRange(1),
    metavar="NUMBER",
    help="Stop after so many deliveries. Default: 1000, unless --duration is given",
)
@click.option(
    "--duration",
    type=click.FloatRange(min=0, min_open=True),
    metavar="SECONDS",
    help="Begin no delivery after so long.",
)
@click.option(
    "--faults",
    metavar="LIST",
    default="usual",
    show_default=True,
    help="none, usual, all, or names with rates from 0 to 1: duplicate=0.1,loss=0.02. "
    "`wagateway simulate faults` explains them; those of REST need --serve.",
)
@click.option(
    "--with-message",
    is_flag=True,
    help="Deliver incoming messages as `message` beside `message.any`, as for who asks for both.",
)
@click.option(
    "--start",
    type=Instant(),
    help="When the simulated present begins. Default: 2026-01-05 11:00 UTC, always",
)
@click.option(
    "--history",
    type=click.FloatRange(min=0, max=3650),
    metavar="DAYS",
    default=3,
    show_default=True,
    help="How far the past goes back that is delivered first.",
)
@click.option(
    "--connections",
    type=click.IntRange(1, 1024),
    metavar="NUMBER",
    default=32,
    show_default=True,
    help="Requests at the same time.",
)
@click.option(
    "--retries",
    metavar="POLICY",
    default="constant:2:15",
    show_default=True,
    help="constant, linear or exponential; seconds between; how often to repeat. WAHA's defaults.",
)
@click.option(
    "--truth",
    type=_truth_file,
    metavar="FILE",
    help="Write there, as JSON Lines, what an archive must hold in the end.",
)
@json_option
@click.pass_context
def simulate(ctx: click.Context, /, **options: Any) -> int:  # noqa: ANN401 - see above, one by one
    """Be a WAHA: deliver the webhooks of invented people, reproducibly, with faults on request.

    No phone, no WhatsApp and no WAHA are needed, and any receiver of WAHA's webhooks will do.
    Afterwards `wagateway simulate check` compares what the receiver kept with the truth.

    Ctrl-C ends it early; the truth of what was delivered until then is written all the same. The
    exit code is 1 when deliveries were given up.

    \b
    Examples:
      wagateway simulate --webhook http://127.0.0.1:4011/webhooks/messages \\
          --count 500 --faults all --truth truth.jsonl
      wagateway simulate --webhook http://127.0.0.1:8000/waha --engine gows
      wagateway simulate --serve 127.0.0.1:3311 --past 2000
    """  # noqa: D301 - \b keeps click from re-wrapping
    if ctx.invoked_subcommand:
        return 0
    from wagateway.entrypoints.cli.simulate import Order, run_simulate

    if options["webhook"] is None and options["serve"] is None:
        raise click.UsageError(
            "Missing option '--webhook URL': where to deliver; or --serve, or both.", ctx
        )
    return run_simulate(Order(**options))


@simulate.command("faults", cls=Command)
@json_option
def faults(*, as_json: bool) -> None:
    """List the faults that --faults takes, what each is a share of, and its rate in `all`.

    Those of REST and of the stores need --serve, and are in `all` only then.
    """
    from wagateway.entrypoints.cli.simulate import run_faults

    run_faults(as_json=as_json)


@simulate.command("check", cls=Command)
@click.option("--truth", type=_truth_file, metavar="FILE", required=True, help="Of `simulate`.")
@click.option("--api", metavar="URL", help="A gateway, for instance http://127.0.0.1:4011")
@click.option(
    "--api-token",
    envvar="WHATSAPP_GATEWAY_API_TOKEN",
    metavar="TOKEN",
    help="For --api; better by WHATSAPP_GATEWAY_API_TOKEN.",
)
@click.option(
    "--archive",
    type=_truth_file,
    metavar="FILE",
    help="Instead of --api: what any other system holds, as JSON Lines; docs/SIMULATOR.md "
    "describes the fields. - is standard input.",
)
@click.option(
    "--fields",
    metavar="LIST",
    help="Compare only these fields, separated by commas: text,kind,edits. Default: all that the "
    "truth names",
)
@json_option
def check(
    *,
    truth: Path,
    api: str | None,
    api_token: str | None,
    archive: Path | None,
    fields: str | None,
    as_json: bool,
) -> int:
    """Compare an archive with the truth: what is lost, twinned, wrong or invented.

    Everything that the archive shows of the simulated sessions is read, so it must hold nothing
    else of them, for instance from another run. The exit code is 0 when nothing differs, and 1
    when something does.

    \b
    Examples:
      wagateway simulate check --truth truth.jsonl --api http://127.0.0.1:4011
      my-export | wagateway simulate check --truth truth.jsonl --archive -
    """  # noqa: D301 - \b keeps click from re-wrapping
    from wagateway.entrypoints.cli.simulate_check import run_check

    if (api is None) == (archive is None):
        raise click.UsageError("Give either --api URL or --archive FILE.")
    return run_check(
        truth, api=api, token=api_token, archive=archive, fields=fields, as_json=as_json
    )
