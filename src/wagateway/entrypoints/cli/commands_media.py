"""The commands about attached files: media list, retry, verify, export and prepare.

Only their options and help: what they do is imported when they run, so that help is quick.
"""
# ruff: noqa: PLC0415 - see above

from datetime import datetime
from pathlib import Path

import rich_click as click

from wagateway.domain.media import DownloadStatus
from wagateway.entrypoints.cli.endings import Command, ExitCode
from wagateway.entrypoints.cli.options import (
    FolderPath,
    Instant,
    Place,
    data_dir_option,
    database_url_option,
)
from wagateway.entrypoints.cli.output import json_option
from wagateway.entrypoints.variables import MEDIA_KINDS

_kind_option = click.option(
    "--kind",
    metavar="KIND",
    type=click.Choice([str(kind) for kind in MEDIA_KINDS]),
    help=f"Only files of such messages: {', '.join(MEDIA_KINDS)}.",
)


@click.group()
def media() -> None:
    """See, fetch again, verify and export attached files.

    The worker of `wagateway up`, or `wagateway worker`, fetches the file of each message from WAHA
    and keeps it once, however often it was forwarded.
    """


@media.command("list", cls=Command)
@click.argument("session")
@_kind_option
@click.option(
    "--status",
    metavar="STATUS",
    type=click.Choice([str(status) for status in DownloadStatus]),
    help=f"Only files that stand so: {', '.join(DownloadStatus)}.",
)
@click.option(
    "--limit",
    metavar="NUMBER",
    type=click.IntRange(1, 500),
    default=20,
    show_default=True,
    help="How many files at most, those of the latest messages first; 1 to 500.",
)
@click.option(
    "--before",
    metavar="CURSOR",
    help="Go on with older ones, where a list ended: the cursor that it printed last, `next` of "
    "--json.",
)
@data_dir_option
@database_url_option
@json_option
def list_files(
    *,
    session: str,
    kind: str | None,
    status: str | None,
    limit: int,
    before: str | None,
    data_dir: Path | None,
    database_url: str | None,
    as_json: bool,
) -> None:
    """Show how many files of SESSION stand how, and the latest of them.

    Each stands in one of these ways:
        pending      it is to be fetched
        downloading  a worker fetches it
        completed    it is stored
        failed       several tries failed; it is tried again later
        skipped      a setting says that it is not wanted
        expired      neither WAHA nor WhatsApp has it any more

    \b
    Examples:
      wagateway media list default
      wagateway media list default --status failed --limit 100
      wagateway media list default --limit 100 --before eyJhIjoxNzkxMDI4ODAwfQ
      wagateway media list default --kind document --json
    """  # noqa: D301 - \b keeps click from re-wrapping
    from wagateway.entrypoints.cli.media import Choice, run_list

    place = Place(data_dir=data_dir, database_url=database_url)
    which = Choice(kind=kind, status=status, limit=limit, before=before)
    run_list(place, session, which, as_json=as_json)


@media.command(cls=Command)
@click.argument("session")
@click.option("--chat", metavar="CHAT", help="Only files of this chat: a JID or a phone number.")
@click.option("--id", "message", metavar="ID", help="Only the file of this message, by its id.")
@click.option(
    "--status",
    "statuses",
    metavar="STATUS",
    multiple=True,
    type=click.Choice(["failed", "expired", "skipped", "pending"]),
    help="Only files that stand so: failed, expired, skipped, pending. May be given several "
    "times. Default: failed and expired",
)
@data_dir_option
@database_url_option
@json_option
def retry(
    *,
    session: str,
    chat: str | None,
    message: str | None,
    statuses: tuple[str, ...],
    data_dir: Path | None,
    database_url: str | None,
    as_json: bool,
) -> None:
    """Let files of SESSION be fetched again now: those that failed or expired.

    This asks nobody by itself: a running `wagateway up` or `wagateway worker` takes them within
    seconds. What is stored or is being fetched is left alone. A skipped file is skipped again as
    long as the setting stands by which it was.

    \b
    Examples:
      wagateway media retry default
      wagateway media retry default --chat +5511987650102 --status failed
      wagateway media retry default --id 3EB0A1B2C3 --json
    """  # noqa: D301 - \b keeps click from re-wrapping
    from wagateway.entrypoints.cli.media import run_retry

    place = Place(data_dir=data_dir, database_url=database_url)
    run_retry(place, session, chat, message, statuses=statuses, as_json=as_json)


@media.command(cls=Command)
@click.option("--quick", is_flag=True, help="Only presence and size; no file is read.")
@click.option(
    "--repair",
    is_flag=True,
    help="Fetch again what is missing or damaged, after a damaged file was removed.",
)
@click.option(
    "--remove-orphans",
    is_flag=True,
    help="Remove files that the database does not know and that are older than an hour.",
)
@click.option(
    "--all-lost",
    is_flag=True,
    help="The store is the right one although none of the files is in it.",
)
@data_dir_option
@database_url_option
@json_option
def verify(
    *,
    quick: bool,
    repair: bool,
    remove_orphans: bool,
    all_lost: bool,
    data_dir: Path | None,
    database_url: str | None,
    as_json: bool,
) -> ExitCode:
    """Compare the stored files with the database, and read each to see whether it is whole.

    It may run beside the gateway. Without --repair and --remove-orphans it changes nothing. With
    --repair the downloads of what is lost become due again: a worker must run, and WAHA or
    WhatsApp must still have the file.

        missing      the database has it, the store has not
        damaged      its content is another than its SHA-256 says
        wrong-size   its size is not that of the database
        unreadable   the store cannot read it; --repair leaves it alone
        orphan       the store has it, the database does not know it
        no-preview   its preview is gone; --repair has it made again

    With --json each finding is a line of JSON, and the last line is the sum.

    Exit codes:
        0  all is well, or all that was found has been mended
        1  something was found and not mended, or the store is another one
        3  the store or the database is away, so nothing is called missing

    \b
    Examples:
      wagateway media verify
      wagateway media verify --quick --json
      wagateway media verify --repair --remove-orphans
    """  # noqa: D301 - \b keeps click from re-wrapping
    from wagateway.entrypoints.cli.media_verify import run_verify
    from wagateway.usecases.verify_media import Verification

    how = Verification(quick=quick, repair=repair, remove_orphans=remove_orphans, all_lost=all_lost)
    return run_verify(Place(data_dir=data_dir, database_url=database_url), how, as_json=as_json)


@media.command(cls=Command)
@click.argument("session")
@click.argument("folder", type=FolderPath(path_type=Path))
@click.option("--chat", metavar="CHAT", help="Only files of this chat: a JID or a phone number.")
@_kind_option
@click.option(
    "--since",
    metavar="TIME",
    type=Instant(),
    help="Only files of messages sent at or after this: 2026-10-01, '2026-10-01 18:30' (a clock of "
    "WHATSAPP_TZ, which is UTC unless set) or 2026-10-01T18:30:00-03:00.",
)
@click.option(
    "--until", metavar="TIME", type=Instant(), help="Only of messages sent before this; likewise."
)
@data_dir_option
@database_url_option
@json_option
def export(  # noqa: PLR0913 - its options
    *,
    session: str,
    folder: Path,
    chat: str | None,
    kind: str | None,
    since: datetime | None,
    until: datetime | None,
    data_dir: Path | None,
    database_url: str | None,
    as_json: bool,
) -> ExitCode:
    """Copy the stored files of SESSION into FOLDER, with a list of what is what.

    Names hold the time in UTC, the chat, the sender's name of the file and the ending of what it
    truly is; types that could run a program or a script end in .bin. manifest.jsonl has a line of
    JSON for each file: message, chat, sent_at, sha256, size_bytes, mimetype, name and more.

    Repeat it at any time, also after an interruption: what is there is not copied again, and no
    file that is there is ever changed. Several exports may share a folder, one after the other.

    With --json each file that could not be copied is a line of JSON, and the last line is the sum.

    Exit codes:
        0  all files are in the folder
        1  some could not be copied, or there is no such session or chat
        3  the disk is full, or store or database are away: mend that, repeat
        4  another export writes there, or manifest.jsonl is none of ours

    \b
    Examples:
      wagateway media export default ./files
      wagateway media export default ./ana --chat +5511987650102 --kind image
      wagateway media export default ./2026 --since 2026-01-01 --json
    """  # noqa: D301 - \b keeps click from re-wrapping
    from wagateway.entrypoints.cli.media_export import Selection, run_export

    which = Selection(session=session, chat=chat, kind=kind, since=since, until=until)
    place = Place(data_dir=data_dir, database_url=database_url)
    return run_export(place, which, folder, as_json=as_json)


@media.command(cls=Command)
@json_option
def prepare(*, as_json: bool) -> ExitCode:
    """Make the folder or bucket that the settings name, and try whether it keeps files.

    The worker makes it with the first file, so this is for those who want to know before. What is
    there stays as it is. A small file is kept, read and removed again.

    Exit codes:
        0  it keeps files, for us alone
        1  it does not, or anyone can read it

    \b
    Examples:
      wagateway media prepare
      wagateway media prepare --json
    """  # noqa: D301 - \b keeps click from re-wrapping
    from wagateway.entrypoints.cli.media_prepare import run_prepare

    return run_prepare(as_json=as_json)
