"""The sync machine of one chat, or of all chats of a session at once: pure transitions.

A chat has two walks: ``forward`` closes what is missing since it was last complete, ``backward``
fills what lies before. Pages come one at a time; the state that a page leads to is stored together
with the page, so a crash repeats at most one request. A failing chat is never given up: after
some tries it waits long and stays visible.

An engine's list may have been filling while it was read, as after a phone was paired. So a list
whose end was seen is read again from the newest on: soon where that costs little, then ever more
seldom while nothing older turns up.
"""

from datetime import datetime, timedelta
from enum import StrEnum

import msgspec
from msgspec import Struct

from wagateway.domain.patience import Patience
from wagateway.domain.spans import Spans
from wagateway.domain.walk import Page, Walk, proven, step

_REREAD_FIRST = timedelta(hours=1)
"""The pause before a list is read again, for each page that it took."""
_REREAD_PAGES = 24
"""Beyond which a longer list waits no longer."""
_REREAD_SLOWER = 4
"""How many times longer each pause is than the one before."""
_REREAD_LONGEST = timedelta(days=60)


class SyncStatus(StrEnum):
    """Where a chat's sync stands."""

    PENDING = "pending"
    """Work is left; it goes on when due."""
    RUNNING = "running"
    """A worker holds it."""
    IDLE = "idle"
    """Nothing to do until something wakes it, or until its list is read again, or asked for."""
    FAILED = "failed"
    """Several tries failed; it waits long, then tries again."""
    PAUSED = "paused"
    """A person stopped it."""


class SyncState(Struct, frozen=True, kw_only=True):
    """All that is remembered between two pages.

    Attributes:
        since: how deep the history is wanted; None: all of it.
        bottom: the engine had nothing older than this when a walk came to the end of its list.
        attempts: failures in a row.
        due_at: when to go on; None while nothing is to be done.
        problem: why the last try failed, or what is waited for.
        caught_up_at: when the last walk began that came to its end: what was listed then is read.
        people_at: of a session as a whole: when contacts, groups and links were last read.
        turns: how often work was left when a worker's turn was over; fewer go first.
        reread_at: when the list is read again, in case that it was still filling; None before a
            walk came to its end.
        rereads: readings in a row that found nothing older than the one before.
    """

    status: SyncStatus = SyncStatus.PENDING
    forward: Walk | None = None
    backward: Walk | None = None
    since: datetime | None = None
    bottom: datetime | None = None
    attempts: int = 0
    due_at: datetime | None = None
    problem: str | None = None
    caught_up_at: datetime | None = None
    people_at: datetime | None = None
    turns: int = 0
    reread_at: datetime | None = None
    rereads: int = 0

    @property
    def walk(self) -> Walk | None:
        """The walk that goes on first."""
        return self.forward or self.backward


class Seen(Struct, frozen=True, kw_only=True):
    """What a page led to: the next state, and the spans that are complete now."""

    state: SyncState
    proven: Spans


def fresh(now: datetime, *, since: datetime | None = None) -> SyncState:
    """Return the state of a chat of which nothing is known."""
    return SyncState(backward=Walk(until=since), since=since, due_at=now)


def request(state: SyncState, now: datetime) -> SyncState:
    """Return the state in which the next page is asked for: its walk has begun.

    Raises:
        ValueError: there is nothing to do.
    """
    walk = state.walk
    if walk is None:
        raise ValueError("no walk is left")
    return _with(state, msgspec.structs.replace(walk, began_at=walk.began_at or now))


def seen(state: SyncState, page: Page, now: datetime) -> Seen:
    """Take in a page that ``request`` led to.

    Raises:
        ValueError: there is no walk, or *page* is not what it asked for.
    """
    walk = state.walk
    if walk is None:
        raise ValueError("no walk is left")
    is_look = state.forward is not None
    done = step(walk, page)
    spans = proven(done.walk, at_end=done.at_end)
    # A look counts even where the list did not hold together: else each later one would begin at
    # the same place. What it did not prove stays a gap.
    if done.ended and (is_look or done.walk.doubtful_from is None):
        ends = filter(None, (state.caught_up_at, walk.began_at))
        state = msgspec.structs.replace(state, caught_up_at=max(ends))
    known, state = state.bottom, _with(state, None if done.ended else done.walk)
    if done.at_end:  # of a look, too: there is nothing further back
        bottom = done.walk.reached or done.walk.began_at
        state = msgspec.structs.replace(state, bottom=bottom, backward=None)
    left = state.walk is not None
    if done.ended and not left:
        if not done.walk.is_past_goal:
            state = _to_be_reread(state, known, done.walk, now)
        elif not is_look:  # as deep as wanted: what is older is not wanted
            state = msgspec.structs.replace(state, reread_at=None, rereads=0)
    state = msgspec.structs.replace(
        state,
        status=SyncStatus.PENDING if left else SyncStatus.IDLE,
        attempts=0,
        problem=None,
        due_at=now if left else state.reread_at,
        turns=state.turns if left else 0,
    )
    return Seen(state=state, proven=spans)


def _to_be_reread(state: SyncState, known: datetime | None, walk: Walk, now: datetime) -> SyncState:
    """Return the state after *walk* came to the end of a list whose bottom was *known*.

    A look that reads a short list to its end before it is due again counts for nothing.
    """
    older = state.bottom is not None and (known is None or state.bottom < known)
    if not older and state.reread_at is not None and now < state.reread_at:
        return state
    rereads = 0 if older or state.reread_at is None else state.rereads + 1
    pause = _REREAD_FIRST * min(walk.pages, _REREAD_PAGES) * _REREAD_SLOWER ** min(rereads, 9)
    reread_at = now + min(pause, _REREAD_LONGEST)
    return msgspec.structs.replace(state, reread_at=reread_at, rereads=rereads)


def begun(state: SyncState) -> SyncState:
    """Return the state of a chat that is claimed: where no walk is left, its list is read again."""
    if state.walk is not None:
        return state
    return msgspec.structs.replace(state, backward=Walk(until=state.since))


def without_purged(state: SyncState, before: datetime | None) -> SyncState:
    """Return the state whose walks end where all is purged that was sent earlier; None: nowhere."""
    if before is None:
        return state

    def shorter(walk: Walk | None) -> Walk | None:
        if walk is None or (walk.until is not None and walk.until >= before):
            return walk
        return msgspec.structs.replace(walk, until=before)

    return msgspec.structs.replace(
        state, forward=shorter(state.forward), backward=shorter(state.backward)
    )


def turned(state: SyncState) -> SyncState:
    """Return the state when a worker gives work back that is not done, for others' sake."""
    return msgspec.structs.replace(state, turns=state.turns + 1)


def widened(state: SyncState, until: datetime) -> SyncState:
    """Return the state whose forward walk goes back to *until* at least."""
    walk = state.forward
    if walk is None or walk.until is None or walk.until <= until:
        return state
    return msgspec.structs.replace(state, forward=msgspec.structs.replace(walk, until=until))


def failed(state: SyncState, now: datetime, problem: str, patience: Patience) -> SyncState:
    """Return the state after a request failed; the walk stays where it was.

    Args:
        state: before.
        now: the present.
        problem: why, for people.
        patience: how long to wait.
    """
    attempts = state.attempts + 1
    return msgspec.structs.replace(
        state,
        status=SyncStatus.FAILED if patience.is_at_its_end(attempts) else SyncStatus.PENDING,
        attempts=attempts,
        due_at=now + patience.pause(attempts),
        problem=problem,
    )


def put_off(state: SyncState, until: datetime, problem: str) -> SyncState:
    """Return the state while the whole session has to wait; that is no failure of this chat."""
    return msgspec.structs.replace(state, status=SyncStatus.PENDING, due_at=until, problem=problem)


def unknown_to_engine(state: SyncState, until: datetime) -> SyncState:
    """Return the state of a chat that the engine does not know: nothing is to be had for long."""
    return msgspec.structs.replace(
        state,
        status=SyncStatus.IDLE,
        attempts=0,
        due_at=until,
        problem="the engine does not know this chat",
    )


def woken(state: SyncState, now: datetime, *, until: datetime) -> SyncState:
    """Return the state when everything since *until* is wanted again; a pause stays a pause."""
    walk = state.forward
    if walk is not None and walk.until is not None:
        until = min(until, walk.until)
    # One that began is past what is new, so it begins anew.
    return _awake(msgspec.structs.replace(state, forward=Walk(until=until)), now)


def deepened(state: SyncState, now: datetime, *, since: datetime | None) -> SyncState:
    """Return the state when the history is wanted back to *since*, from the newest on."""
    state = msgspec.structs.replace(state, backward=Walk(until=since), since=since, forward=None)
    return _awake(state, now)


def paused(state: SyncState) -> SyncState:
    """Return the state in which nothing happens until ``resumed``."""
    return msgspec.structs.replace(state, status=SyncStatus.PAUSED, due_at=None)


def resumed(state: SyncState, now: datetime) -> SyncState:
    """Return the state after a pause, or when a failed chat is to try again at once."""
    if state.walk is None:
        return msgspec.structs.replace(
            state, status=SyncStatus.IDLE, problem=None, due_at=state.reread_at
        )
    return msgspec.structs.replace(state, status=SyncStatus.PENDING, attempts=0, due_at=now)


def set_right(state: SyncState, now: datetime, *, since: datetime) -> SyncState:
    """Return the state after our clock was ahead and was set back: all since *since* is in doubt.

    Nobody knows since when it was wrong, nor by how much: whatever began or was caught up with
    since then is done again, and work that waits for a time to come is due.
    """

    def again(walk: Walk | None) -> Walk | None:
        if walk is None or walk.began_at is None or walk.began_at <= since:
            return walk
        return Walk(until=walk.until and min(walk.until, since))

    rests = state.status is SyncStatus.IDLE and state.walk is None
    bottom = state.bottom if state.bottom is None or state.bottom <= since else None
    reread_at = state.reread_at and min(state.reread_at, now + _REREAD_LONGEST)
    if bottom != state.bottom:
        reread_at = now
    return msgspec.structs.replace(
        state,
        forward=again(state.forward),
        backward=again(state.backward),
        bottom=bottom,
        caught_up_at=None,
        people_at=None,
        due_at=reread_at if rests else state.due_at and min(state.due_at, now),
        reread_at=reread_at,
    )


def _awake(state: SyncState, now: datetime) -> SyncState:
    if state.status is SyncStatus.PAUSED:
        return state
    waiting = state.status is SyncStatus.FAILED and state.due_at is not None
    due_at = state.due_at if waiting else now
    status = SyncStatus.FAILED if waiting else SyncStatus.PENDING
    return msgspec.structs.replace(state, status=status, due_at=due_at)


def _with(state: SyncState, walk: Walk | None) -> SyncState:
    if state.forward is not None:
        return msgspec.structs.replace(state, forward=walk)
    return msgspec.structs.replace(state, backward=walk)
