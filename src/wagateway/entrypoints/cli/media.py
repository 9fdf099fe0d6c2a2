"""``wagateway media list`` and ``retry``: how files stand, and another try."""

import asyncio
from collections.abc import Collection, Iterator, Mapping

import rich_click as click
from msgspec import Struct

from wagateway.domain.filenames import safe_filename
from wagateway.domain.identity import parse_message_id
from wagateway.domain.media import DownloadStatus
from wagateway.domain.messages import Kind
from wagateway.domain.views import FileView
from wagateway.entrypoints.cli.options import Place
from wagateway.entrypoints.cli.output import counted, echo_json, sized
from wagateway.entrypoints.cli.place import archive_of, settings_at
from wagateway.entrypoints.gateway import Gateway
from wagateway.entrypoints.settings import Settings
from wagateway.entrypoints.zones import shown
from wagateway.ports.downloads import RETRIED

_LONGEST = 80


class Choice(Struct, frozen=True, kw_only=True):
    """Which files ``list`` shows, in the command line's words."""

    kind: str | None
    status: str | None
    limit: int
    before: str | None


class Listed(Struct, frozen=True, kw_only=True):
    """What ``list --json`` prints.

    Attributes:
        counts: files of the session, or of the kind in it, by status.
        files: those of the latest messages first.
        next: where older ones go on, for ``--before``; None at the end.
    """

    counts: Mapping[DownloadStatus, int]
    files: list[FileView]
    next: str | None


class Retried(Struct, frozen=True, kw_only=True):
    """What ``retry --json`` prints.

    Attributes:
        due: files that are to be fetched again.
    """

    due: int


def run_list(place: Place, session: str, which: Choice, *, as_json: bool) -> None:
    """Print the counts of *session*, and its latest files.

    Raises:
        NotFound: no such session.
        InvalidInput: the cursor is none.
    """
    settings = settings_at(place)
    found = asyncio.run(_listed(settings, session, which))
    if as_json:
        echo_json(found)
    else:
        click.echo("\n".join(lines(found, settings.timezone)))


async def _listed(settings: Settings, session: str, which: Choice) -> Listed:
    kind = Kind(which.kind) if which.kind else None
    status = DownloadStatus(which.status) if which.status else None
    async with archive_of(settings) as services:
        gateway = Gateway(services)
        counts = await gateway.file_counts(session, kind=kind)
        page = await gateway.files(
            session, kind=kind, status=status, cursor=which.before, limit=which.limit
        )
    return Listed(counts=counts, files=page.files, next=page.next)


def lines(found: Listed, timezone: str) -> Iterator[str]:
    """Yield the counts and a line for each file; nobody's words control the terminal."""
    told = [f"{number:,} {status}" for status, number in found.counts.items() if number]
    yield ", ".join(told) or "No message of this session has a file."
    for file in found.files:
        media = file.media
        size = "" if media.size_bytes is None else sized(media.size_bytes)
        line = (
            f"{shown(file.sent_at, timezone)}  {media.status:<11}  {file.kind:<10}  {size:>9}  "
            f"{plain(file.chat_id)}  {plain(file.id)}  {plain(media.filename or '')}"
        ).rstrip()
        yield f"{line}  ({plain(media.problem)})" if media.problem else line
    if found.next:
        yield f"Older ones: the same command with --before {found.next}"


def plain(text: str) -> str:
    """Return the beginning of *text*, as engines and strangers wrote it, without what is unseen."""
    kept = safe_filename(text)
    return kept if len(kept) <= _LONGEST else f"{kept[:_LONGEST]}…"


def run_retry(
    place: Place,
    session: str,
    chat: str | None,
    message: str | None,
    *,
    statuses: Collection[str],
    as_json: bool,
) -> None:
    """Let files be fetched again, and print how many.

    Raises:
        NotFound: no such session or chat.
        InvalidInput: *chat* is no JID and no phone number, or *message* no id.
    """
    chosen = [DownloadStatus(status) for status in statuses] or RETRIED
    if message is not None and message.startswith(("true_", "false_")):
        ref = parse_message_id(message)
        chat, message = chat or ref.chat, ref.stanza
    due = asyncio.run(_retried(settings_at(place), session, chat, message, chosen))
    if as_json:
        echo_json(Retried(due=due))
    elif due:
        click.echo(
            f"{counted(due, 'file')} to be fetched again: a running `wagateway up` or "
            f"`wagateway worker` does so; `wagateway media list {session}` shows how far it is."
        )
    else:
        of = "" if message is None else f" of a message {plain(message)}"
        click.echo(f"No file{of} stands so: {', '.join(sorted(chosen))}.")


async def _retried(
    settings: Settings,
    session: str,
    chat: str | None,
    message: str | None,
    statuses: Collection[DownloadStatus],
) -> int:
    async with archive_of(settings) as services:
        return await Gateway(services).retry_files(session, chat, message, statuses=statuses)
