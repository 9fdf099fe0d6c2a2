"""The commands that look after an archive: migrate, replay, identity, doctor and stack-env.

Only their options and help: what they do is imported when they run, so that help is quick.
"""
# ruff: noqa: PLC0415 - see above

from datetime import datetime
from pathlib import Path
from typing import IO

import rich_click as click

from wagateway.entrypoints.cli.endings import Command, ExitCode
from wagateway.entrypoints.cli.options import (
    Instant,
    Place,
    data_dir_option,
    database_url_option,
    running_port_option,
)
from wagateway.entrypoints.cli.output import json_option


@click.command(cls=Command)
@data_dir_option
@database_url_option
@click.option(
    "--status", "only_status", is_flag=True, help="Only tell what is applied and what not."
)
@json_option
def migrate(
    *, data_dir: Path | None, database_url: str | None, only_status: bool, as_json: bool
) -> ExitCode:
    """Bring the database's schema up to date, or tell whether it is.

    Safe to run at any time and from several machines at once: one migrates, the others wait. It
    needs the database itself: behind PgBouncer, set WHATSAPP_DATABASE_DIRECT_URL.

    Where TimescaleDB is, messages and the log become hypertables: a table that holds rows is locked
    while they move, which it says before. WHATSAPP_DB_TIMESCALE=off leaves the tables alone.

    With --status the exit code is 1 when something is pending.

    \b
    Examples:
      wagateway migrate
      wagateway migrate --status --json
    """  # noqa: D301 - \b keeps click from re-wrapping
    from wagateway.entrypoints.cli.migrate import run_migrate

    place = Place(data_dir=data_dir, database_url=database_url)
    return run_migrate(place, only_status=only_status, as_json=as_json)


@click.command(cls=Command)
@data_dir_option
@database_url_option
@click.option(
    "--adopt",
    metavar="NAME",
    help="First take over what waits under another address of the same database, or elsewhere.",
)
@click.option(
    "--retry", is_flag=True, help="First let all wait again that was set aside, in this spool."
)
@json_option
def spool(
    *,
    data_dir: Path | None,
    database_url: str | None,
    adopt: str | None,
    retry: bool,
    as_json: bool,
) -> None:
    """Tell what waits on disk until the database takes it.

    Webhooks that come while the database is away wait in a spool, and `wagateway up`, `api` or
    `worker` record them once it is back: nothing is to be done. Each address of a database has a
    spool of its own, so that what was meant for one archive never gets into another. Who changes
    the address, or WHATSAPP_SPOOL, while something waits tells so with --adopt.

    What cannot be recorded is set aside, and the log says why (`spool_entry_set_aside`). Once that
    is mended, by an update for instance, --retry lets it be recorded.

    \b
    Examples:
      wagateway spool
      wagateway spool --retry
      wagateway spool --adopt filesystem:db-1-5432-whatsapp-gateway-0f3a9c21
      wagateway spool --json
    """  # noqa: D301 - \b keeps click from re-wrapping
    from wagateway.entrypoints.cli.spool import run_spool

    run_spool(
        Place(data_dir=data_dir, database_url=database_url), adopt, retry=retry, as_json=as_json
    )


@click.command(cls=Command)
@data_dir_option
@database_url_option
@click.option(
    "--outcome",
    type=click.Choice(["stored", "duplicate", "ignored", "failed"]),
    help="Only events that ended so; usually failed.",
)
@click.option("--session", metavar="NAME", help="Only events of this session.")
@click.option("--event", metavar="NAME", help="Only events of this name, such as message.any.")
@click.option(
    "--since",
    metavar="TIME",
    type=Instant(),
    help="Only events received at or after this: 2026-10-01, '2026-10-01 18:30' (a clock of "
    "WHATSAPP_TZ, which is UTC unless set) or 2026-10-01T18:30:00-03:00.",
)
@click.option(
    "--until", metavar="TIME", type=Instant(), help="Only events received before this; likewise."
)
@click.option(
    "--after",
    metavar="ID",
    type=click.IntRange(0),
    default=0,
    help="Only log rows after this id: goes on where a replay stopped.",
)
@json_option
def replay(  # noqa: PLR0913 - its options
    *,
    data_dir: Path | None,
    database_url: str | None,
    outcome: str | None,
    session: str | None,
    event: str | None,
    since: datetime | None,
    until: datetime | None,
    after: int,
    as_json: bool,
) -> None:
    """Read events of the log again, as this version understands them.

    After an upgrade or a fix, what failed or was not understood becomes part of the archive. It
    may run beside the gateway and may be repeated: what is known already changes nothing.

    \b
    Examples:
      wagateway replay --outcome failed
      wagateway replay --session vendas --since 2026-10-01 --json
      wagateway replay --since '2026-10-01 18:30' --until '2026-10-01 20:00'
    """  # noqa: D301 - \b keeps click from re-wrapping
    from wagateway.entrypoints.cli.replay import Selection, run_replay

    which = Selection(
        outcome=outcome, session=session, event=event, since=since, until=until, after=after
    )
    run_replay(Place(data_dir=data_dir, database_url=database_url), which, as_json=as_json)


@click.group()
def identity() -> None:
    """See and correct who is who: hidden ids (LIDs) and phone numbers.

    WhatsApp shows the same person under a phone number or a hidden id. What proves that both are
    one is kept as a link, and their chats are one chat.
    """


@identity.command("list", cls=Command)
@click.argument("session")
@data_dir_option
@database_url_option
@json_option
def list_links(
    *, session: str, data_dir: Path | None, database_url: str | None, as_json: bool
) -> None:
    """List the links of SESSION, with their evidence; undone ones too.

    Where a LID has several, the one that was learned last is in force.

    \b
    Example:
      wagateway identity list default
    """  # noqa: D301 - \b keeps click from re-wrapping
    from wagateway.entrypoints.cli.identity import run_list

    run_list(Place(data_dir=data_dir, database_url=database_url), session, as_json=as_json)


@identity.command(cls=Command)
@click.argument("session")
@click.argument("lid")
@click.argument("phone")
@data_dir_option
@database_url_option
@json_option
def link(
    *,
    session: str,
    lid: str,
    phone: str,
    data_dir: Path | None,
    database_url: str | None,
    as_json: bool,
) -> None:
    """Say that LID is PHONE in SESSION; their chats become one.

    Evidence does so by itself: this is for what it does not tell, or tells wrongly.

    \b
    Example:
      wagateway identity link default 271000000000102@lid '+55 11 98765-0102'
      wagateway identity link default 271000000000102@lid 5511987650102@c.us
    """  # noqa: D301 - \b keeps click from re-wrapping
    from wagateway.entrypoints.cli.identity import run_link

    place = Place(data_dir=data_dir, database_url=database_url)
    run_link(place, session, lid, phone, as_json=as_json)


@identity.command(cls=Command)
@click.argument("session")
@click.argument("lid")
@data_dir_option
@database_url_option
@json_option
def unlink(
    *, session: str, lid: str, data_dir: Path | None, database_url: str | None, as_json: bool
) -> None:
    """Undo the link of LID in SESSION, for good: its messages go back to a chat of their own.

    Evidence does not bring it back, only `wagateway identity link` does. Where LID was another
    phone before, it is that one again.

    \b
    Example:
      wagateway identity unlink default 271000000000102@lid
    """  # noqa: D301 - \b keeps click from re-wrapping
    from wagateway.entrypoints.cli.identity import run_unlink

    place = Place(data_dir=data_dir, database_url=database_url)
    run_unlink(place, session, lid, as_json=as_json)


@click.command(cls=Command)
@data_dir_option
@database_url_option
@running_port_option
@json_option
def doctor(
    *, data_dir: Path | None, database_url: str | None, port: int | None, as_json: bool
) -> ExitCode:
    """Find the first broken hop between WhatsApp and the archive, and how to mend it.

    Looks at the settings, the secrets, the database, its schema, what could not be archived, where
    files and backups are kept, the running API and its webhook, WAHA (WHATSAPP_CORE_URL,
    WHATSAPP_API_KEY) and WAHA's webhooks. Leaves nothing behind (a small file is kept, read and
    removed) and shows no secret. The exit code is 1 when something is broken.

    \b
    Examples:
      wagateway doctor
      wagateway doctor --json
    """  # noqa: D301 - \b keeps click from re-wrapping
    from wagateway.entrypoints.cli.doctor import run_doctor

    place = Place(data_dir=data_dir, database_url=database_url)
    return run_doctor(place, port=port, as_json=as_json)


@click.command("stack-env", cls=Command)
@click.argument("file", type=click.File(encoding="utf-8"), default=".env")
@json_option
def stack_env(*, file: IO[str], as_json: bool) -> ExitCode:
    """Tell what is missing, weak or wrong in the .env of the compose stack, all at once.

    Nothing is started and nobody is asked. FILE is .env unless another one is named; - is standard
    input. No secret is shown. scripts/start-stack does this before it starts anything.

    Exit codes:
        0  the stack can start with it; there may be notes
        2  something must be mended first

    \b
    Examples:
      wagateway stack-env
      wagateway stack-env - < /etc/wagateway/.env
    """  # noqa: D301 - \b keeps click from re-wrapping
    from wagateway.entrypoints.cli.stack_env import run_stack_env

    return run_stack_env(file.read(), as_json=as_json)
