"""``wagateway purge``: messages go for good."""

import asyncio
import getpass
import socket
import sys
from collections.abc import Iterator
from datetime import datetime, timedelta

import msgspec
import rich_click as click
from msgspec import Struct

from wagateway.domain.errors import InvalidInput
from wagateway.domain.purges import PurgeCounts
from wagateway.entrypoints.cli.options import Place
from wagateway.entrypoints.cli.output import counted, echo_json, note
from wagateway.entrypoints.cli.place import archive_of, settings_at
from wagateway.entrypoints.containers import now
from wagateway.entrypoints.gateway import Gateway
from wagateway.entrypoints.settings import Settings
from wagateway.entrypoints.zones import aware, shown

_NAMES = {
    "messages": ("message", None),
    "edits": ("edit", None),
    "revocations": ("deletion", None),
    "reactions": ("reaction", None),
    "receipts": ("receipt", None),
    "votes": ("vote", None),
    "answers": ("answer to an event", "answers to events"),
    "files": ("file", None),
    "log_rows": ("row of the raw log", "rows of the raw log"),
}


class Meant(Struct, frozen=True, kw_only=True):
    """What the command line means; a naive instant is of the settings' time zone."""

    session: str
    chat: str | None
    account: str | None
    before: datetime | None
    older_than: timedelta | None
    reason: str | None

    def instant(self, timezone: str) -> datetime:
        """Return before when all goes, for people of *timezone*."""
        if self.before is not None:
            return aware(self.before, timezone)
        return now() - (self.older_than or timedelta())


class Report(Struct, frozen=True, kw_only=True):
    """What ``--json`` prints.

    Attributes:
        chat: as it was given; None: all.
        before: what was sent before this is meant.
        dry_run: whether nothing went.
        counts: what went, or would go.
    """

    session: str
    chat: str | None
    before: datetime
    dry_run: bool
    counts: PurgeCounts


def run_purge(place: Place, meant: Meant, *, dry_run: bool, yes: bool, as_json: bool) -> None:
    """Count, ask, purge, tell how far it is on stderr, and print the sum.

    Raises:
        InvalidInput: a malformed argument, or nobody is there who could be asked.
        NotFound: no such session, archive or chat.
    """
    settings = settings_at(place)
    if not (dry_run or yes or _is_asked()):
        raise InvalidInput("nobody can be asked here: give --yes to purge, or --dry-run to count")
    before = meant.instant(settings.timezone)
    gone = asyncio.run(_purge(settings, meant, before, dry_run=dry_run, ask=not yes))
    if as_json:
        echo_json(
            Report(
                session=meant.session,
                chat=meant.chat,
                before=before,
                dry_run=dry_run,
                counts=gone,
            )
        )
        return
    click.echo(f"{_listed(gone)} {'would go' if dry_run else 'purged'}")
    if not dry_run:  # also where nothing went: sync reads no further back from now on
        until = shown(before, settings.timezone)
        note(f"What was sent before {until} in {_where(meant)} is not archived again.")


async def _purge(
    settings: Settings, meant: Meant, before: datetime, *, dry_run: bool, ask: bool
) -> PurgeCounts:
    async with archive_of(settings) as services:
        gateway = Gateway(services)
        where = meant.session, meant.chat
        if dry_run or ask:
            counts = await gateway.purgeable(*where, account=meant.account, before=before)
            if dry_run:
                return counts
            _ask(meant, counts, shown(before, settings.timezone))
        gone = PurgeCounts()
        async for step in gateway.purge(
            *where, by=_who(), account=meant.account, before=before, reason=meant.reason
        ):
            gone += step
            note(f"{counted(gone.messages, 'message')}, {gone.log_rows:,} of the log")
        return gone


def _is_asked() -> bool:
    """Tell whether somebody is there who can be asked."""
    return sys.stdin.isatty()


def _ask(meant: Meant, counts: PurgeCounts, before: str) -> None:
    """Go on where the answer is yes; else the command ends with code 1."""
    note(f"{_where(meant)}, sent before {before}: {_listed(counts)}.")
    click.confirm("Purge all of it, for good?", abort=True, err=True)


def _where(meant: Meant) -> str:
    narrowed = (("chat", meant.chat), ("account", meant.account))
    return f"session {meant.session}" + "".join(f", {w} {which}" for w, which in narrowed if which)


def _listed(counts: PurgeCounts) -> str:
    return ", ".join(_words(counts)) or "nothing"


def _words(counts: PurgeCounts) -> Iterator[str]:
    for name, count in msgspec.structs.asdict(counts).items():
        if count:
            one, several = _NAMES[name]
            yield counted(count, one, several)


def _who() -> str:
    """Return who purges, as far as this machine knows."""
    try:
        name = getpass.getuser()
    except (OSError, KeyError):  # a user without a name, as in some containers
        name = "somebody"
    return f"{name}@{socket.gethostname()}"
