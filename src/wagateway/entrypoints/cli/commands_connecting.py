"""The commands that connect others: WAHA to the gateway, and people and programs to the database.

Only their options and help: what they do is imported when they run, so that help is quick.
"""
# ruff: noqa: PLC0415 - see above

from pathlib import Path

import rich_click as click

from wagateway.entrypoints.cli.endings import Command
from wagateway.entrypoints.cli.options import (
    Place,
    data_dir_option,
    database_url_option,
    running_port_option,
)
from wagateway.entrypoints.cli.output import json_option


@click.command("waha-env", cls=Command)
@data_dir_option
@click.option(
    "--host",
    metavar="NAME",
    help="How WAHA reaches this machine. Default: where `wagateway up` listens, else "
    "WHATSAPP_GATEWAY_API_HOST, else 127.0.0.1",
)
@running_port_option
@json_option
def waha_env(*, data_dir: Path | None, host: str | None, port: int | None, as_json: bool) -> None:
    """Print what to set in WAHA's environment so that it delivers here, secret included.

    The same lines that the first start of `wagateway up` shows, ready for an env file. A WAHA in
    Docker or on another machine cannot reach 127.0.0.1: give this machine's name by --host, and
    start `wagateway up --host 0.0.0.0`.

    \b
    Examples:
      wagateway waha-env
      wagateway waha-env --host gateway.lan
      (umask 077; wagateway waha-env > waha.env)
    """  # noqa: D301 - \b keeps click from re-wrapping
    from wagateway.entrypoints.cli.waha_env import run_waha_env

    place = Place(data_dir=data_dir, database_url=None)
    run_waha_env(place, host=host, port=port, as_json=as_json)


@click.command("database-url", cls=Command)
@data_dir_option
@json_option
def database_url(*, data_dir: Path | None, as_json: bool) -> None:
    """Print the address of the archive's database, for programs of yours; it holds a password.

    That is the database that the settings name, or else the embedded one, while `wagateway up`
    runs on the data folder: its address leads to a socket that only the same user of this machine
    may use, and changes with each start.

    \b
    Examples:
      wagateway database-url
      ARCHIVE_URL="$(wagateway database-url)" python report.py
    """  # noqa: D301 - \b keeps click from re-wrapping
    from wagateway.entrypoints.cli.connect import run_database_url

    run_database_url(Place(data_dir=data_dir, database_url=None), as_json=as_json)


@click.command(cls=Command)
@click.argument("session", required=False)
@data_dir_option
@database_url_option
@click.option(
    "--chat",
    metavar="CHAT",
    help="Only this chat of SESSION: a JID, a hidden id or a phone number.",
)
@click.option(
    "--kinds",
    metavar="KINDS",
    help="Only these, separated by commas: message, edit, revocation, reaction, vote, ack, move, "
    "purge, session, sync. Default: all.",
)
@click.option(
    "--after",
    metavar="POSITION",
    help="Go on after this change: its position, as --json shows it. Default: from now on.",
)
@json_option
def live(
    *,
    session: str | None,
    data_dir: Path | None,
    database_url: str | None,
    chat: str | None,
    kinds: str | None,
    after: str | None,
    as_json: bool,
) -> None:
    """Show what changes in the archive, as it changes: messages, edits, deletions, reactions, acks.

    Works beside a running `wagateway up`, since it reads the database; also what other machines
    write is shown, within a second. Ctrl-C or SIGTERM stops it. With --json each change is a line
    of its own, with the message as it is then.

    \b
    Examples:
      wagateway live
      wagateway live default --chat +5511987650102
      wagateway live default --kinds message,edit --json
    """  # noqa: D301 - \b keeps click from re-wrapping
    from wagateway.entrypoints.cli.live import Selection, run_live

    if chat is not None and session is None:
        raise click.UsageError("--chat is a chat of one session: name the SESSION, too.")
    which = Selection(session=session, chat=chat, kinds=kinds, after=after)
    run_live(Place(data_dir=data_dir, database_url=database_url), which, as_json=as_json)


@click.command(
    cls=Command,
    context_settings={"ignore_unknown_options": True, "allow_interspersed_args": False},
)
@data_dir_option
@database_url_option
@click.argument("arguments", metavar="[PSQL ARGUMENTS]...", nargs=-1, type=click.UNPROCESSED)
def psql(*, data_dir: Path | None, database_url: str | None, arguments: tuple[str, ...]) -> int:
    """Open psql on the archive's database, or run it with what you give to it.

    Works beside a running `wagateway up`, and without one: then the embedded database runs as long
    as psql does. On a terminal the psql of this machine is taken, where there is one, since it lets
    you edit lines; else the one that came with wagateway.

    The exit code is that of psql.

    \b
    Examples:
      wagateway psql
      wagateway psql -c 'SELECT * FROM whatsapp_gateway.active_sessions'
      wagateway psql -At -f report.sql
    """  # noqa: D301 - \b keeps click from re-wrapping
    from wagateway.entrypoints.cli.connect import run_psql

    return run_psql(Place(data_dir=data_dir, database_url=database_url), arguments)
