"""``wagateway replay``: the event log, read again."""

import asyncio
from datetime import datetime

import rich_click as click
from msgspec import Struct

from wagateway.domain.archives import no_session
from wagateway.domain.events import Outcome
from wagateway.domain.identity import SessionName, session_named
from wagateway.entrypoints.cli.options import Place
from wagateway.entrypoints.cli.output import counted, echo_json, note
from wagateway.entrypoints.cli.place import archive_of, settings_at
from wagateway.entrypoints.containers import Services
from wagateway.entrypoints.zones import aware_span
from wagateway.ports.archive import LogFilter
from wagateway.usecases.ingest import Ingested
from wagateway.usecases.replay import Replayed


class Selection(Struct, frozen=True, kw_only=True):
    """Which rows the command line means; naive instants are of the settings' time zone."""

    outcome: str | None
    session: str | None
    event: str | None
    since: datetime | None
    until: datetime | None
    after: int

    def filter(self, timezone: str) -> LogFilter:
        """Return it in the archive's words, for people of *timezone*.

        Raises:
            InvalidInput: no time is between the two.
        """
        since, until = aware_span(self.since, self.until, timezone)
        return LogFilter(
            outcome=None if self.outcome is None else Outcome(self.outcome),
            session=None if self.session is None else session_named(self.session),
            event=self.event,
            since=since,
            until=until,
        )


class Report(Struct, frozen=True, kw_only=True):
    """What ``--json`` prints at the end.

    Attributes:
        rows: of the log, read.
        last_id: of them; ``--after`` this one goes on.
        outcomes: of them, now.
        unreadable: rows that are no longer JSON to this version; they stay as they were.
    """

    rows: int
    last_id: int
    outcomes: Ingested
    unreadable: int


def run_replay(place: Place, which: Selection, *, as_json: bool) -> None:
    """Replay, tell how far it is on stderr, and print the sum."""
    report = asyncio.run(_replay(place, which))
    if as_json:
        echo_json(report)
        return
    done = report.outcomes
    click.echo(
        f"{counted(report.rows, 'event')} read again: {done.stored:,} stored, "
        f"{counted(done.duplicates, 'duplicate')}, {done.ignored} ignored, {done.failed} failed"
        + (f", {report.unreadable} unreadable" if report.unreadable else "")
    )


async def _replay(place: Place, which: Selection) -> Report:
    report = Report(
        rows=0,
        last_id=which.after,
        outcomes=Ingested(stored=0, duplicates=0, ignored=0, failed=0),
        unreadable=0,
    )
    settings = settings_at(place)
    async with archive_of(settings) as services:
        async for step in services.replay(which.filter(settings.timezone), after=which.after):
            report = _sum(report, step)
            note(f"{counted(report.rows, 'event')}, up to id {report.last_id}")
        if report.rows == 0 and which.session is not None:
            await _require(services, session_named(which.session))
    return report


async def _require(services: Services, session: SessionName) -> None:
    """Refuse a *session* of which nothing was ever understood, and which the log has not either.

    Raises:
        NotFound: no such session.
    """
    known = [each.session for each in await services.reader.sessions()]
    if session not in known:
        raise no_session(session, known)


def _sum(report: Report, step: Replayed) -> Report:
    before, now = report.outcomes, step.outcomes
    return Report(
        rows=step.rows,
        last_id=step.last_id,
        outcomes=Ingested(
            stored=before.stored + now.stored,
            duplicates=before.duplicates + now.duplicates,
            ignored=before.ignored + now.ignored,
            failed=before.failed + now.failed,
        ),
        unreadable=report.unreadable + step.unreadable,
    )
