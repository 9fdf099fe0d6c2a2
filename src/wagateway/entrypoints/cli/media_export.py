"""``wagateway media export``: files of a session in a folder of yours."""

import asyncio
from datetime import datetime
from pathlib import Path

import rich_click as click
from msgspec import Struct

from wagateway.adapters.filesystem.export import LIST, open_export_folder
from wagateway.domain.identity import Jid, StanzaId, chat_candidates, session_named
from wagateway.domain.messages import Kind
from wagateway.entrypoints.cli.endings import ExitCode
from wagateway.entrypoints.cli.media import plain
from wagateway.entrypoints.cli.media_screen import open_media_screen
from wagateway.entrypoints.cli.options import Place
from wagateway.entrypoints.cli.output import counted, echo_json, note, sized
from wagateway.entrypoints.cli.place import archive_of, settings_at
from wagateway.entrypoints.settings import Settings
from wagateway.entrypoints.zones import aware_span
from wagateway.usecases.export_media import Ending, Exported, Wanted

_WHY = {
    Ending.MISSING: "the media store lacks it",
    Ending.DAMAGED: "it is damaged in the media store",
    Ending.IN_THE_WAY: "other files have its names",
}


class Selection(Struct, frozen=True, kw_only=True):
    """Which files the command line means; naive instants are of the settings' time zone."""

    session: str
    chat: str | None
    kind: str | None
    since: datetime | None
    until: datetime | None

    def wanted(self, timezone: str) -> Wanted:
        """Return it in the use case's words, for people of *timezone*.

        Raises:
            InvalidInput: the chat is no JID and no phone number, or no time is between the two.
        """
        since, until = aware_span(self.since, self.until, timezone)
        return Wanted(
            session=session_named(self.session),
            chat=chat_candidates(self.chat) if self.chat else (),
            kind=Kind(self.kind) if self.kind else None,
            since=since,
            until=until,
        )


class Left(Struct, frozen=True, kw_only=True):
    """What ``--json`` prints of a file that could not be copied."""

    message: StanzaId
    chat: Jid
    sent_at: datetime
    sha256: str | None
    why: Ending


class Sum(Struct, kw_only=True):
    """What ``--json`` prints last.

    Attributes:
        files: how many ended how.
        copied_bytes: of those that were copied.
    """

    files: dict[Ending, int]
    copied_bytes: int

    @property
    def left(self) -> int:
        """How many could not be copied."""
        return sum(self.files[ending] for ending in _WHY)

    def add(self, each: Exported) -> None:
        """Count one more."""
        self.files[each.ending] += 1
        self.copied_bytes += each.size_bytes if each.ending is Ending.COPIED else 0

    @property
    def text(self) -> str:
        """All of it, for people."""
        copied, there = self.files[Ending.COPIED], self.files[Ending.ALREADY_THERE]
        left = f", {self.left:,} could not be copied" if self.left else ""
        size = f" ({sized(self.copied_bytes)})" if copied else ""
        return f"{counted(copied, 'file')} copied{size}, {there:,} there already{left}"


def run_export(place: Place, which: Selection, folder: Path, *, as_json: bool) -> ExitCode:
    """Copy the files, tell of each that cannot be copied, and print the sum.

    Raises:
        NotFound: no such session or chat.
        InvalidInput: the folder is none, or the selection is malformed.
        Conflict: another export writes into the folder, or its list is none of ours.
        StoreUnavailable: the disk is full, or the media store or the database is away.
    """
    settings = settings_at(place)
    wanted = which.wanted(settings.timezone)
    done = asyncio.run(_export(settings, wanted, folder, as_json=as_json))
    if as_json:
        echo_json(done)
    else:
        click.echo(f"{done.text}; {folder / LIST} lists them.")
        if done.left:
            click.echo("`wagateway media verify --repair` has what is missing fetched again.")
    return ExitCode.FAILED if done.left else ExitCode.OK


async def _export(settings: Settings, wanted: Wanted, path: Path, *, as_json: bool) -> Sum:
    done = Sum(files=dict.fromkeys(Ending, 0), copied_bytes=0)
    async with archive_of(settings) as services:
        # Before a folder is made: that there is such a session.
        await services.downloads.files(wanted.session, limit=1)
        async with open_export_folder(path) as folder:
            try:
                with open_media_screen("Exporting") as screen:
                    async for each in services.export(wanted, folder):
                        done.add(each)
                        screen.show(done.text)
                        _tell(each, as_json=as_json)
            except BaseException:  # Ctrl-C too
                note(f"Not all was exported: {done.text}. The same command again goes on.")
                raise
    return done


def _tell(each: Exported, *, as_json: bool) -> None:
    """Print what could not be copied, and why."""
    if each.ending not in _WHY:
        return
    file = each.file
    if as_json:
        echo_json(
            Left(
                message=file.id,
                chat=file.chat_id,
                sent_at=file.sent_at,
                sha256=file.media.sha256,
                why=each.ending,
            )
        )
    else:
        click.echo(f"{plain(file.chat_id)}  {plain(file.id)}  not copied: {_WHY[each.ending]}")
