"""Coverage fills all time with what is complete and with gaps, each for the right reason."""

from datetime import datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from wagateway.domain.coverage import (
    STILL_UP,
    Coverage,
    Evidence,
    GapReason,
    Next,
    absences,
    coverage,
    live,
    next_step,
    working,
    working_since,
)
from wagateway.domain.events import SessionStatus
from wagateway.domain.spans import BEGINNING, Span, Spans
from wagateway.domain.sync import SyncState, SyncStatus, fresh, paused, unknown_to_engine
from wagateway.domain.walk import Walk

WORKING, STOPPED = SessionStatus.WORKING, SessionStatus.STOPPED
_TICKS = 16
_TICK = STILL_UP / 4


def at(tick: int) -> datetime:
    return BEGINNING + tick * _TICK


NOW = at(_TICKS)
ticks = st.integers(0, _TICKS + 3)


@st.composite
def spans(draw: st.DrawFn) -> Spans:
    pairs = draw(st.lists(st.tuples(ticks, st.integers(1, 5)), max_size=4))
    return tuple(Span(at(begin), at(begin + length)) for begin, length in pairs)


@st.composite
def evidence(draw: st.DrawFn) -> Evidence:
    moments = sorted(draw(st.sets(ticks, max_size=5)))
    bottom = draw(st.none() | ticks)
    heard, purged = draw(st.none() | ticks), draw(st.none() | ticks)
    return Evidence(
        proven=draw(spans()),
        up=draw(spans()),
        statuses=tuple((at(m), draw(st.sampled_from([WORKING, STOPPED]))) for m in moments),
        first_heard_at=None if heard is None else at(heard),
        state=SyncState(bottom=None if bottom is None else at(bottom)),
        purged_before=None if purged is None else at(purged),
    )


def naive(known: Evidence, tick: int) -> GapReason | None:  # noqa: PLR0911 - one per reason
    """Return what is said of one tick; None: complete."""
    moment = at(tick)
    told = [status for since, status in known.statuses if since <= moment]
    if known.purged_before and moment < known.purged_before:
        return GapReason.PURGED
    if any(moment in each for each in known.proven):
        return None
    if known.state and known.state.bottom and moment < known.state.bottom:
        return GapReason.ENGINE_HAS_NO_MORE
    heard = known.first_heard_at is not None and moment >= known.first_heard_at
    if not told and not heard:
        return GapReason.BEFORE_PAIRING
    if not told or told[-1] is not WORKING:
        return GapReason.ENGINE_AWAY
    if not is_up(known, moment):
        return GapReason.GATEWAY_AWAY
    return GapReason.NOT_YET_SYNCED


def is_up(known: Evidence, moment: datetime) -> bool:
    return any(
        moment in each or (each.end <= moment and NOW - each.end < STILL_UP) for each in known.up
    )


def said(judged: Coverage, tick: int) -> GapReason | None:
    moment = at(tick)
    reasons = [g.reason for g in judged.gaps if (g.begin or BEGINNING) <= moment < g.end]
    complete = any(moment in each for each in judged.complete)
    assert len(reasons) + complete == 1
    return None if complete else reasons[0]


@given(evidence())
def test_every_instant_is_complete_or_in_one_gap(known: Evidence) -> None:
    judged = coverage(known, NOW)
    for tick in range(_TICKS):
        assert said(judged, tick) is naive(known, tick)
    assert all(gap.end <= NOW for gap in judged.gaps)
    assert coverage(known, NOW, absences(known, NOW)) == judged


@given(evidence())
def test_live_is_when_both_were_there(known: Evidence) -> None:
    for tick in range(_TICKS):
        told = [status for since, status in known.statuses if since <= at(tick)]
        both = is_up(known, at(tick)) and bool(told) and told[-1] is WORKING
        assert any(at(tick) in each for each in live(known, NOW)) == both


def test_a_gateway_is_up_between_two_of_its_words() -> None:
    def away(ended: timedelta) -> list[GapReason]:
        known = Evidence(
            statuses=((BEGINNING, WORKING),),
            first_heard_at=BEGINNING,
            up=(Span(BEGINNING, NOW - ended),),
        )
        return [gap.reason for gap in coverage(known, NOW).gaps]

    assert away(timedelta(seconds=59)) == [GapReason.NOT_YET_SYNCED]
    assert away(timedelta(seconds=60)) == [GapReason.NOT_YET_SYNCED, GapReason.GATEWAY_AWAY]


def test_nothing_told_is_not_working() -> None:
    assert working((), NOW) == ()


def test_a_session_works_since_it_last_began_to() -> None:
    assert working_since((), at(4)) is None
    assert working_since(((at(1), WORKING),), at(4)) is None
    assert working_since(((at(1), STOPPED), (at(2), WORKING), (at(3), WORKING)), at(4)) == at(2)
    assert working_since(((at(1), STOPPED), (at(2), WORKING), (at(3), STOPPED)), at(4)) is None
    assert working_since(((at(1), STOPPED), (at(4), WORKING)), at(4)) == at(4)
    assert working_since(((at(1), STOPPED), (at(5), WORKING)), at(4)) is None
    assert working_since(((at(1), STOPPED), (at(2), WORKING), (at(5), STOPPED)), at(4)) == at(2)


def test_the_first_gap_has_no_begin() -> None:
    [gap] = coverage(Evidence(), NOW).gaps
    assert (gap.begin, gap.end, gap.reason) == (None, NOW, GapReason.BEFORE_PAIRING)


def test_what_lies_after_the_first_state_is_not_before_the_pairing() -> None:
    known = Evidence(statuses=((at(2), STOPPED), (at(4), WORKING)), up=(Span(at(1), NOW),))
    gaps = [(gap.end, gap.reason) for gap in coverage(known, NOW).gaps]
    assert gaps == [
        (at(2), GapReason.BEFORE_PAIRING),
        (at(4), GapReason.ENGINE_AWAY),
        (NOW, GapReason.NOT_YET_SYNCED),
    ]


def test_next_says_what_comes() -> None:
    whole = SyncState(due_at=NOW)
    assert next_step(None, whole) is Next.WAIT
    assert next_step(SyncState(status=SyncStatus.FAILED), whole) is Next.WAIT
    assert next_step(unknown_to_engine(fresh(NOW), NOW), whole) is Next.WAIT
    assert next_step(fresh(NOW), whole) is Next.BACK_FILL
    assert next_step(SyncState(forward=Walk(until=NOW)), whole) is Next.CATCH_UP
    assert next_step(paused(fresh(NOW)), whole) is Next.PAUSED


def test_the_regular_look_goes_on_where_a_chat_has_nothing_left_to_do() -> None:
    idle, whole = SyncState(status=SyncStatus.IDLE), SyncState(due_at=NOW)
    assert next_step(idle, whole) is Next.NEXT_LOOK
    assert next_step(whole, whole) is Next.NEXT_LOOK
    assert next_step(idle, SyncState(status=SyncStatus.FAILED)) is Next.NEXT_LOOK
    assert next_step(idle, paused(whole)) is Next.NOTHING
    assert next_step(idle, None) is Next.NOTHING
    again = SyncState(status=SyncStatus.IDLE, due_at=NOW, reread_at=NOW)
    assert next_step(again, whole) is Next.NEXT_LOOK
    assert next_step(again, paused(whole)) is Next.WAIT
