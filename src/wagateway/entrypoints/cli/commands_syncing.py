"""The commands about completeness: worker, sync and coverage.

Only their options and help: what they do is imported when they run, so that help is quick.
"""
# ruff: noqa: PLC0415 - see above

from datetime import datetime
from pathlib import Path

import rich_click as click

from wagateway.entrypoints.cli.endings import Command, ExitCode
from wagateway.entrypoints.cli.options import (
    Instant,
    Place,
    data_dir_option,
    database_url_option,
)
from wagateway.entrypoints.cli.output import json_option


@click.command(cls=Command)
@data_dir_option
@database_url_option
@click.option(
    "--health-port",
    metavar="NUMBER",
    type=click.IntRange(1, 65535),
    help="Answer GET /health there; overrides WHATSAPP_WORKER_HEALTH_PORT. Default: nowhere",
)
def worker(*, data_dir: Path | None, database_url: str | None, health_port: int | None) -> None:
    """Do the work beside webhooks and API: sync, media, retention, backups, the spool.

    With WHATSAPP_CORE_URL, and WHATSAPP_API_KEY where WAHA has a key, it reads from WAHA what
    webhooks did not bring: history, gaps, contacts, groups, and fetches files. Without, it does the
    rest: it lets go what is too old (WHATSAPP_RETENTION_DAYS), ends purges that were broken off,
    makes backups (WHATSAPP_BACKUP_EVERY_HOURS) and records what waits in the spool. Its log says
    what it does, and what it does not and why.

    `wagateway up` does the same within itself; beside `wagateway api` run one or more of these, on
    any machine: they share the work through the database, and what a killed one held goes on in
    another.

    Ctrl-C or SIGTERM stops it after the pages under way, within 20 seconds.

    \b
    Examples:
      wagateway worker
      WHATSAPP_RETENTION_DAYS=365 wagateway worker
      wagateway worker --health-port 4012
    """  # noqa: D301 - \b keeps click from re-wrapping
    from wagateway.entrypoints.cli.worker import run_worker_process

    run_worker_process(Place(data_dir=data_dir, database_url=database_url), health_port=health_port)


@click.command(cls=Command)
@click.argument("session", required=False)
@click.argument("chat", required=False)
@data_dir_option
@database_url_option
@click.option("--full", is_flag=True, help="The whole history again, not only what is missing.")
@click.option(
    "--since",
    metavar="TIME",
    type=Instant(),
    help="Back to this: 2026-10-01, '2026-10-01 18:30' (a clock of WHATSAPP_TZ, which is UTC "
    "unless set) or 2026-10-01T18:30:00-03:00. Default: where it was complete, with --full all.",
)
@click.option("--status", is_flag=True, help="Only tell where sync stands.")
@click.option(
    "--pause",
    is_flag=True,
    help="Ask WAHA nothing until --resume, or until it is to be read now.",
)
@click.option("--resume", is_flag=True, help="Go on with what was paused or failed.")
@json_option
def sync(  # noqa: PLR0913 - one for each option
    *,
    session: str | None,
    chat: str | None,
    data_dir: Path | None,
    database_url: str | None,
    full: bool,
    since: datetime | None,
    status: bool,
    pause: bool,
    resume: bool,
    as_json: bool,
) -> ExitCode:
    """Read from WAHA now what is missing, and wait until that is done.

    SESSION is one session, by default all; CHAT one of its chats: a JID or a phone number. It
    works beside `wagateway up` and workers, which take their share. Interrupted, it goes on where
    it was, here or in a worker. A session that is not working in WAHA is left out, and chats that
    were paused stay so until --resume.

    The exit code is 1 when something was not read: a chat failed or is paused, or a session is
    stopped, failed or not paired.

    \b
    Examples:
      wagateway sync
      wagateway sync default +5511987650102 --full
      wagateway sync default --full --since 2025-01-01
      wagateway sync default --status --json
    """  # noqa: D301 - \b keeps click from re-wrapping
    from wagateway.entrypoints.cli.sync import Wish, run_sync

    given = [("status", status), ("pause", pause), ("resume", resume)]
    [what, *more] = [name for name, is_given in given if is_given] or ["sync"]
    if more:
        raise click.UsageError(f"--{what} and --{more[0]} contradict each other: give one.")
    if what != "sync" and (full or since is not None):
        raise click.UsageError(f"--{what} reads nothing, so --full and --since do not go with it.")
    wish = Wish(session=session, chat=chat, full=full, since=since, what=what)
    place = Place(data_dir=data_dir, database_url=database_url)
    return run_sync(place, wish, as_json=as_json)


@click.command(cls=Command)
@click.argument("session")
@click.argument("chat", required=False)
@data_dir_option
@database_url_option
@click.option(
    "--since",
    metavar="TIME",
    type=Instant(),
    help="Draw from there on. Default: from where anything is complete.",
)
@json_option
def coverage(
    *,
    session: str,
    chat: str | None,
    data_dir: Path | None,
    database_url: str | None,
    since: datetime | None,
    as_json: bool,
) -> None:
    """Show which parts of the history of SESSION, or of one CHAT, are complete, and why not.

    A bar for each chat runs from the past to now. With CHAT every span and gap is listed with its
    reason and with what will be done about it.

    \b
    Examples:
      wagateway coverage default
      wagateway coverage default +5511987650102 --json
    """  # noqa: D301 - \b keeps click from re-wrapping
    from wagateway.entrypoints.cli.coverage import run_coverage

    place = Place(data_dir=data_dir, database_url=database_url)
    run_coverage(place, session, chat, since=since, as_json=as_json)
