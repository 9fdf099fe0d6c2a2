"""Which parts of a chat's history are complete, which are not, and why."""

from datetime import datetime, timedelta
from enum import StrEnum

from msgspec import Struct

from wagateway.domain.events import SessionStatus
from wagateway.domain.spans import BEGINNING, Span, Spans, difference, intersection, span, union
from wagateway.domain.sync import SyncState, SyncStatus

BEAT = timedelta(seconds=20)
"""How often a process that takes in webhooks says that it is up."""
STILL_UP = 3 * BEAT
"""A process that said so less than this ago is up: its next word is under way, or late."""


class GapReason(StrEnum):
    """Why a span is not known to be complete."""

    BEFORE_PAIRING = "before-pairing"
    """The session was first heard of, or had its first state, later; it comes by sync alone."""
    ENGINE_AWAY = "engine-away"
    """The session was not working."""
    GATEWAY_AWAY = "gateway-away"
    """No process of ours took in webhooks."""
    NOT_YET_SYNCED = "not-yet-synced"
    """Live delivery went on, but nothing has proven yet that it was complete."""
    ENGINE_HAS_NO_MORE = "engine-has-no-more"
    """The engine's history begins later; nothing more is to be had."""
    PURGED = "purged"
    """It was purged, and is not read again."""


class Evidence(Struct, frozen=True, kw_only=True):
    """What bears on the completeness of one chat, or of a session as a whole.

    Attributes:
        proven: what pages proved, of the chat itself and of all chats of its session.
        statuses: the session's states, oldest first.
        up: when processes of ours took in webhooks.
        first_heard_at: the session's first delivery; None before.
        last_heard_at: its latest webhook; None before.
        state: the chat's sync; None where there is none.
        purged_before: what was sent before is purged; None where nothing is.
    """

    proven: Spans = ()
    statuses: tuple[tuple[datetime, SessionStatus], ...] = ()
    up: Spans = ()
    first_heard_at: datetime | None = None
    last_heard_at: datetime | None = None
    state: SyncState | None = None
    purged_before: datetime | None = None


class Gap(Struct, frozen=True, kw_only=True):
    """A span that is not known to be complete; *begin* is None where it has none."""

    begin: datetime | None
    end: datetime
    reason: GapReason


class Coverage(Struct, frozen=True, kw_only=True):
    """What is complete, and what is not; together they fill all time up to now."""

    complete: Spans
    gaps: tuple[Gap, ...]


def working(statuses: tuple[tuple[datetime, SessionStatus], ...], now: datetime) -> Spans:
    """Return when the session was WORKING, up to *now*."""
    ends = [*(at for at, _ in statuses[1:]), now]
    return union(
        *(
            span(at, min(end, now))
            for (at, status), end in zip(statuses, ends, strict=False)
            if status is SessionStatus.WORKING
        )
    )


def working_since(
    statuses: tuple[tuple[datetime, SessionStatus], ...], now: datetime
) -> datetime | None:
    """Return when the session became WORKING; None where it is not, or began before we knew it.

    A state of a time that is yet to come, told by a clock that is ahead, says nothing of now.
    """
    since, other = None, False
    for at, status in statuses:
        if at > now:
            break
        if status is not SessionStatus.WORKING:
            since, other = None, True
        elif since is None and other:
            since = at
    return since


def live(known: Evidence, now: datetime) -> Spans:
    """Return when deliveries could arrive: the session worked and a process of ours was up.

    What arrived then is complete only if no delivery was lost on its way, so it counts as complete
    once a page has proven it.
    """
    return intersection(working(known.statuses, now), _up(known, now))


def _up(known: Evidence, now: datetime) -> Spans:
    """Return when a process of ours was up; its last word holds until the next must have come."""
    lasting = (each for each in known.up if now - STILL_UP < each.end < now)
    return union(known.up, *(span(each.begin, now) for each in lasting))


Absences = tuple[tuple[GapReason, Spans], ...]
"""When the session or the gateway was away; the same for all chats of a session."""


def absences(known: Evidence, now: datetime) -> Absences:
    """Return when deliveries could not arrive, and why."""
    everything = span(BEGINNING, now)
    return (
        (GapReason.ENGINE_AWAY, difference(everything, working(known.statuses, now))),
        (GapReason.GATEWAY_AWAY, difference(everything, _up(known, now))),
    )


def coverage(known: Evidence, now: datetime, away: Absences | None = None) -> Coverage:
    """Judge all time up to *now*; *away* is what absences() said, where it is known."""
    everything = span(BEGINNING, now)
    purged = span(BEGINNING, min(known.purged_before or BEGINNING, now))
    complete = difference(intersection(known.proven, everything), purged)
    left = difference(everything, complete)
    bottom = known.state.bottom if known.state and known.state.bottom else BEGINNING
    reasons: Absences = (  # of several, the first counts
        (GapReason.PURGED, purged),
        (GapReason.ENGINE_HAS_NO_MORE, span(BEGINNING, bottom)),
        (GapReason.BEFORE_PAIRING, span(BEGINNING, _first_known_at(known, now))),
        *(absences(known, now) if away is None else away),
        (GapReason.NOT_YET_SYNCED, everything),
    )
    gaps: list[Gap] = []
    for reason, where in reasons:
        gaps += [_gap(each, reason) for each in intersection(left, where)]
        left = difference(left, where)
    gaps.sort(key=lambda gap: gap.end)
    return Coverage(complete=complete, gaps=tuple(gaps))


def _first_known_at(known: Evidence, now: datetime) -> datetime:
    """Return when the session is first known to have been there, *now* where nothing says so."""
    told = [at for at, _ in known.statuses[:1]]
    heard = [] if known.first_heard_at is None else [known.first_heard_at]
    return min([*told, *heard, now])


def _gap(each: Span, reason: GapReason) -> Gap:
    return Gap(begin=None if each.begin == BEGINNING else each.begin, end=each.end, reason=reason)


class Next(StrEnum):
    """What will be done about a chat, or by the look at all chats of its session."""

    NOTHING = "nothing"
    """No worker began to look at the session, or that is paused, and its list is read no more."""
    CATCH_UP = "catch-up"
    """What is missing since it was last complete is read."""
    BACK_FILL = "back-fill"
    """The history before that is read."""
    NEXT_LOOK = "next-look"
    """All that was asked for is read; the regular look at all chats reads what is new."""
    WAIT = "wait"
    """It failed, or the engine does not know it, or only its list is read again: later."""
    PAUSED = "paused"
    """A person stopped it."""


def next_step(state: SyncState | None, whole: SyncState | None) -> Next:
    """Return what happens next.

    Args:
        state: the sync of a chat, or that of its session as a whole.
        whole: that of the session as a whole; None where no worker found it.
    """
    if state is None or state.status is SyncStatus.FAILED:
        return Next.WAIT
    if state.status is SyncStatus.PAUSED:
        return Next.PAUSED
    if state.status is SyncStatus.IDLE and state.problem is not None:
        return Next.WAIT
    if state.walk is not None:
        return Next.BACK_FILL if state.forward is None else Next.CATCH_UP
    if whole is not None and whole.status is not SyncStatus.PAUSED:
        return Next.NEXT_LOOK
    return Next.NOTHING if state.due_at is None else Next.WAIT
