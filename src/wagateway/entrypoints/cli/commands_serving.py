"""The commands that run until they are stopped: up, api and demo.

Only their options and help: what they do is imported when they run, so that help is quick.
"""
# ruff: noqa: PLC0415 - see above

from pathlib import Path

import rich_click as click

from wagateway.entrypoints.cli.endings import Command
from wagateway.entrypoints.cli.options import (
    FolderPath,
    Place,
    data_dir_option,
    database_url_option,
    host_option,
    port_option,
)


@click.command(cls=Command)
@data_dir_option
@database_url_option
@host_option
@port_option
def up(
    *, data_dir: Path | None, database_url: str | None, host: str | None, port: int | None
) -> None:
    """Run the gateway: webhook, API and, unless you name one, an embedded PostgreSQL.

    The first start makes the database and the tokens, and shows the tokens once, with what to set
    in WAHA. Later starts go on with what is there, also after a crash.

    Ctrl-C or SIGTERM stops it: requests in flight are finished and everything is on disk. A
    second one stops at once; what was answered 200 is safe even then.

    \b
    Examples:
      wagateway up
      wagateway up --data-dir /srv/whatsapp --port 8080
      wagateway up --host 0.0.0.0     # a WAHA in Docker or elsewhere reaches it
    """  # noqa: D301 - \b keeps click from re-wrapping
    from wagateway.entrypoints.cli.up import run_up

    run_up(Place(data_dir=data_dir, database_url=database_url), host=host, port=port)


@click.command(cls=Command)
@database_url_option
@host_option
@port_option
@click.option(
    "--workers",
    metavar="NUMBER",
    type=click.IntRange(1, 64),
    default=1,
    show_default=True,
    help="Processes that share the port.",
)
def api(*, database_url: str | None, host: str | None, port: int | None, workers: int) -> None:
    """Run webhook and API on a database that is there already, and nothing else.

    For containers and several machines: tokens must be set (WHATSAPP_GATEWAY_API_TOKEN and
    WHATSAPP_WEBHOOK_TOKEN or WHATSAPP_WEBHOOK_HMAC_KEY), the database must be named. Every replica
    is equal, and none touches the schema: run `wagateway migrate` before. A database that is away
    is waited for, and meanwhile webhooks wait in the spool (WHATSAPP_SPOOL).

    \b
    Example:
      wagateway migrate && wagateway api --host 0.0.0.0 --workers 2
    """  # noqa: D301 - \b keeps click from re-wrapping
    from wagateway.entrypoints.cli.api import run_api

    run_api(database_url, host=host, port=port, workers=workers)


@click.command(cls=Command)
@click.option(
    "--data-dir",
    metavar="FOLDER",
    type=FolderPath(file_okay=False, readable=False, path_type=Path),  # our own words tell more
    help="Where the demo's archive is kept, apart from your own. "
    "Default on Linux: ~/.local/share/wagateway/demo",
)
@click.option(
    "--port",
    metavar="NUMBER",
    type=click.IntRange(1, 65535),
    default=4011,
    show_default=True,
    help="Port to listen on; a free one is taken when it is in use.",
)
@click.option(
    "--seed",
    metavar="NUMBER",
    type=click.IntRange(0),
    default=1,
    show_default=True,
    help="Decides on the people; each seed is another account, in a session of its own.",
)
@click.option(
    "--engine",
    type=click.Choice(["noweb", "gows", "webjs", "mix"]),
    default="mix",
    show_default=True,
    help="Whose shapes the simulated WAHA speaks.",
)
@click.option(
    "--rate",
    metavar="NUMBER",
    type=click.FloatRange(min=0, min_open=True, max=10_000),
    default=5.0,
    show_default=True,
    help="Deliveries per second, on average; a burst of three past days comes first.",
)
@click.option(
    "--count",
    metavar="NUMBER",
    type=click.IntRange(1),
    help="Stop after this many deliveries. Default: never",
)
def demo(
    *,
    data_dir: Path | None,
    port: int,
    seed: int,
    engine: str,
    rate: float,
    count: int | None,
) -> None:
    """Watch a lifelike WhatsApp account being archived: no phone, no Docker, no WAHA.

    A simulated WAHA posts to the real webhook of a real gateway with an embedded PostgreSQL, and
    you get commands to try on it. Everybody in it is invented. A second run continues the same
    archive; remove its folder to begin anew.

    \b
    Examples:
      wagateway demo
      wagateway demo --engine gows --rate 200
      wagateway demo --data-dir /tmp/demo --count 1000
    """  # noqa: D301 - \b keeps click from re-wrapping
    from wagateway.entrypoints.cli.demo import Scenario, run_demo

    run_demo(
        Scenario(data_dir=data_dir, port=port, seed=seed, engine=engine, rate=rate, count=count)
    )
