"""What a page, a failure or a wish makes of the state in which a chat's sync is."""

from datetime import UTC, datetime, timedelta

import msgspec
import pytest

from wagateway.domain.identity import StanzaId
from wagateway.domain.patience import Patience
from wagateway.domain.spans import Span
from wagateway.domain.sync import (
    SyncState,
    SyncStatus,
    begun,
    deepened,
    failed,
    fresh,
    paused,
    put_off,
    request,
    resumed,
    seen,
    set_right,
    turned,
    unknown_to_engine,
    widened,
    without_purged,
    woken,
)
from wagateway.domain.walk import SETTLE, Page, Row, Walk

NOW = datetime(2026, 10, 3, 12, tzinfo=UTC)
SECOND = timedelta(seconds=1)
HOUR = timedelta(hours=1)
YESTERDAY = NOW - timedelta(days=1)
LIMIT = 20
BEGUN = NOW - 5 * SECOND
TROUBLED = SyncState(attempts=2, problem="away", turns=3)
RESTING = SyncState(status=SyncStatus.IDLE, due_at=NOW + HOUR, reread_at=NOW + HOUR)


def page(*hours_ago: int, offset: int = 0) -> Page:
    """Return the answer to a request for LIMIT rows; one was sent at each of *hours_ago*."""
    rows = (Row(StanzaId(f"m{n}"), NOW - n * HOUR) for n in hours_ago)
    return Page(offset=offset, limit=LIMIT, rows=tuple(rows))


OLDEST = NOW - 30 * HOUR
AT_THE_END = Walk(began_at=BEGUN, offset=40, reached=OLDEST, short=True, blanks=1)
NOTHING = page(offset=40)
FULL = page(*range(1, LIMIT + 1))
PAST_YESTERDAY = page(*range(7, LIMIT + 7))


class TestFresh:
    def test_all_history_is_to_be_read_at_once(self) -> None:
        assert fresh(NOW) == SyncState(backward=Walk(), due_at=NOW)

    def test_history_may_be_wanted_to_some_depth_only(self) -> None:
        state = fresh(NOW, since=YESTERDAY)
        assert state == SyncState(backward=Walk(until=YESTERDAY), since=YESTERDAY, due_at=NOW)


class TestRequest:
    def test_begins_the_walk(self) -> None:
        assert request(fresh(NOW), NOW).backward == Walk(began_at=NOW)

    def test_a_walk_begins_once(self) -> None:
        state = SyncState(backward=Walk(began_at=BEGUN, offset=10))
        assert request(state, NOW) == state

    def test_no_walk_goes_where_all_is_purged(self) -> None:
        state = SyncState(forward=Walk(until=YESTERDAY), backward=Walk(), since=None)
        assert without_purged(state, None) == state
        both = Walk(until=NOW)
        assert without_purged(state, NOW) == SyncState(forward=both, backward=both)
        earlier = YESTERDAY - (NOW - YESTERDAY)
        assert without_purged(state, earlier) == SyncState(
            forward=Walk(until=YESTERDAY), backward=Walk(until=earlier)
        )

    def test_what_is_new_comes_before_history(self) -> None:
        state = SyncState(forward=Walk(until=YESTERDAY), backward=Walk())
        asked = request(state, NOW)
        assert asked.forward == Walk(began_at=NOW, until=YESTERDAY)
        assert asked.backward == Walk()

    def test_refuses_to_ask_where_nothing_is_to_be_done(self) -> None:
        with pytest.raises(ValueError, match="no walk is left"):
            request(SyncState(), NOW)


class TestSeen:
    def test_a_page_between_proves_its_part_and_leaves_work(self) -> None:
        before = msgspec.structs.replace(TROUBLED, backward=Walk(began_at=BEGUN))
        done = seen(before, FULL, NOW)
        assert done.proven == (Span(NOW - (LIMIT - 1) * HOUR + SECOND, BEGUN - SETTLE),)
        assert done.state.backward is not None
        assert done.state.backward.reached == NOW - LIMIT * HOUR
        assert done.state == SyncState(backward=done.state.backward, due_at=NOW, turns=3)

    def test_a_look_that_reached_its_goal_caught_up(self) -> None:
        forward = Walk(began_at=BEGUN, until=YESTERDAY)
        before = msgspec.structs.replace(TROUBLED, forward=forward)
        done = seen(before, PAST_YESTERDAY, NOW)
        assert done.state == SyncState(status=SyncStatus.IDLE, caught_up_at=BEGUN)
        assert done.proven == (Span(NOW - 25 * HOUR + SECOND, BEGUN - SETTLE),)

    def test_a_look_catches_up_further_than_the_one_before(self) -> None:
        forward = Walk(began_at=BEGUN, until=YESTERDAY)
        before = SyncState(forward=forward, caught_up_at=YESTERDAY)
        assert seen(before, PAST_YESTERDAY, NOW).state.caught_up_at == BEGUN

    def test_history_goes_on_after_a_look(self) -> None:
        forward = Walk(began_at=BEGUN, until=YESTERDAY)
        before = SyncState(forward=forward, backward=Walk(offset=90), turns=3)
        after = seen(before, PAST_YESTERDAY, NOW).state
        assert after == SyncState(backward=Walk(offset=90), caught_up_at=BEGUN, due_at=NOW, turns=3)

    def test_history_as_deep_as_wanted_is_caught_up_with_what_was_there_when_it_began(self) -> None:
        before = SyncState(backward=Walk(began_at=BEGUN, until=YESTERDAY), since=YESTERDAY)
        after = seen(before, PAST_YESTERDAY, NOW).state
        assert after == SyncState(status=SyncStatus.IDLE, since=YESTERDAY, caught_up_at=BEGUN)

    def test_history_that_began_long_ago_takes_nothing_back(self) -> None:
        """Others caught up meanwhile."""
        before = SyncState(
            backward=Walk(began_at=BEGUN, until=YESTERDAY), since=YESTERDAY, caught_up_at=NOW
        )
        after = seen(before, PAST_YESTERDAY, NOW).state
        assert after == SyncState(status=SyncStatus.IDLE, since=YESTERDAY, caught_up_at=NOW)

    def test_the_end_of_the_list_is_the_bottom(self) -> None:
        done = seen(SyncState(backward=AT_THE_END), NOTHING, NOW)
        assert done.state == msgspec.structs.replace(RESTING, bottom=OLDEST, caught_up_at=BEGUN)
        assert done.proven == (Span(OLDEST, BEGUN - SETTLE),)

    def test_a_list_whose_end_was_seen_is_read_again(self) -> None:
        after = seen(SyncState(backward=AT_THE_END), NOTHING, NOW).state
        assert (after.reread_at, after.rereads, after.due_at) == (NOW + HOUR, 0, NOW + HOUR)

    @pytest.mark.parametrize(
        ("pages", "rereads", "pause"),
        [
            pytest.param(0, 0, HOUR, id="a page"),
            pytest.param(4, 0, 5 * HOUR, id="some pages"),
            pytest.param(23, 0, 24 * HOUR, id="a day's worth"),
            pytest.param(900, 0, 24 * HOUR, id="a long list"),
            pytest.param(0, 1, 4 * HOUR, id="once"),
            pytest.param(0, 3, 64 * HOUR, id="three times"),
            pytest.param(0, 50, timedelta(days=60), id="many times"),
        ],
    )
    def test_soon_where_that_costs_little_and_ever_more_seldom(
        self, pages: int, rereads: int, pause: timedelta
    ) -> None:
        walk = msgspec.structs.replace(AT_THE_END, pages=pages)
        known = (
            SyncState(bottom=OLDEST, reread_at=NOW, rereads=rereads - 1) if rereads else TROUBLED
        )
        after = seen(msgspec.structs.replace(known, backward=walk), NOTHING, NOW).state
        assert (after.reread_at, after.rereads) == (NOW + pause, rereads)

    def test_soon_again_once_something_older_turned_up(self) -> None:
        state = SyncState(
            backward=AT_THE_END, bottom=OLDEST + SECOND, reread_at=NOW + SECOND, rereads=4
        )
        after = seen(state, NOTHING, NOW).state
        assert (after.bottom, after.reread_at, after.rereads) == (OLDEST, NOW + HOUR, 0)

    def test_a_look_that_comes_to_the_end_before_the_list_is_due_does_not_count(self) -> None:
        state = SyncState(forward=AT_THE_END, bottom=OLDEST, reread_at=NOW + SECOND, rereads=4)
        after = seen(state, NOTHING, NOW).state
        assert (after.reread_at, after.rereads) == (NOW + SECOND, 4)
        assert after.due_at == NOW + SECOND

    def test_a_look_that_reached_its_goal_puts_off_nothing(self) -> None:
        forward = Walk(began_at=BEGUN, until=YESTERDAY)
        state = SyncState(forward=forward, bottom=OLDEST, reread_at=NOW - SECOND, rereads=4)
        after = seen(state, PAST_YESTERDAY, NOW).state
        assert (after.reread_at, after.rereads, after.due_at) == (NOW - SECOND, 4, NOW - SECOND)

    def test_the_end_of_a_list_that_does_not_hold_together_is_looked_for_again(self) -> None:
        walk = msgspec.structs.replace(AT_THE_END, doubtful_from=YESTERDAY)
        after = seen(SyncState(backward=walk), NOTHING, NOW).state
        assert (after.bottom, after.reread_at) == (None, NOW + HOUR)

    def test_history_that_is_wanted_no_deeper_is_not_read_again(self) -> None:
        before = SyncState(
            backward=Walk(began_at=BEGUN, until=YESTERDAY),
            since=YESTERDAY,
            reread_at=NOW,
            rereads=3,
        )
        after = seen(before, PAST_YESTERDAY, NOW).state
        assert (after.reread_at, after.rereads, after.due_at) == (None, 0, None)

    def test_a_look_that_comes_to_the_end_leaves_no_history_to_read(self) -> None:
        after = seen(SyncState(forward=AT_THE_END, backward=Walk()), NOTHING, NOW).state
        assert after == msgspec.structs.replace(RESTING, bottom=OLDEST, caught_up_at=BEGUN)

    def test_the_end_without_a_proof_is_no_bottom(self) -> None:
        walk = msgspec.structs.replace(AT_THE_END, doubtful_from=YESTERDAY)
        done = seen(SyncState(backward=walk), NOTHING, NOW)
        assert done.state == RESTING
        assert done.proven == (Span(YESTERDAY + SECOND, BEGUN - SETTLE),)

    def test_an_empty_chat_has_its_bottom_where_the_walk_began(self) -> None:
        done = seen(SyncState(backward=Walk(began_at=BEGUN)), page(), NOW)
        assert done.state == msgspec.structs.replace(RESTING, bottom=BEGUN, caught_up_at=BEGUN)
        assert done.proven == ()

    def test_refuses_a_page_that_nobody_asked_for(self) -> None:
        with pytest.raises(ValueError, match="no walk is left"):
            seen(SyncState(), FULL, NOW)


def test_counts_the_turns_that_were_over_too_soon() -> None:
    state = SyncState(backward=Walk(offset=90), due_at=NOW, turns=3)
    assert turned(state) == msgspec.structs.replace(state, turns=4)


class TestWidened:
    def test_a_look_goes_further_back(self) -> None:
        state = SyncState(forward=Walk(until=YESTERDAY, offset=90), backward=Walk())
        wider = widened(state, YESTERDAY - SECOND)
        assert wider == SyncState(
            forward=Walk(until=YESTERDAY - SECOND, offset=90), backward=Walk()
        )

    @pytest.mark.parametrize(
        "state",
        [
            pytest.param(SyncState(forward=Walk(until=YESTERDAY)), id="it goes as far"),
            pytest.param(SyncState(forward=Walk()), id="it goes to the end"),
            pytest.param(SyncState(backward=Walk(until=NOW)), id="no look goes on"),
        ],
    )
    def test_otherwise_nothing_changes(self, state: SyncState) -> None:
        assert widened(state, YESTERDAY + SECOND) == state


class TestFailed:
    PATIENCE = Patience(max_retries=3, first=5 * SECOND, longest=12 * SECOND, failed=HOUR)

    @pytest.mark.parametrize(
        ("attempts", "status", "pause"),
        [
            (1, SyncStatus.PENDING, 5 * SECOND),
            (2, SyncStatus.PENDING, 10 * SECOND),
            (3, SyncStatus.PENDING, 12 * SECOND),
            (4, SyncStatus.FAILED, HOUR),
            (5, SyncStatus.FAILED, HOUR),
        ],
    )
    def test_waits_longer_each_time_and_very_long_when_it_counts_as_failed(
        self, attempts: int, status: SyncStatus, pause: timedelta
    ) -> None:
        walk = Walk(began_at=BEGUN, offset=90)
        state = SyncState(backward=walk, attempts=attempts - 1)
        assert failed(state, NOW, "refused", self.PATIENCE) == SyncState(
            status=status,
            backward=walk,
            attempts=attempts,
            due_at=NOW + pause,
            problem="refused",
        )


class TestWaiting:
    def test_waiting_for_the_session_is_no_failure(self) -> None:
        state = SyncState(status=SyncStatus.RUNNING, backward=Walk(offset=90), attempts=2)
        assert put_off(state, NOW + HOUR, "away") == SyncState(
            backward=Walk(offset=90), attempts=2, due_at=NOW + HOUR, problem="away"
        )

    def test_a_chat_that_the_engine_does_not_know_is_left_alone_for_long(self) -> None:
        state = SyncState(backward=Walk(), attempts=2, due_at=NOW, caught_up_at=YESTERDAY)
        assert unknown_to_engine(state, NOW + HOUR) == SyncState(
            status=SyncStatus.IDLE,
            backward=Walk(),
            due_at=NOW + HOUR,
            caught_up_at=YESTERDAY,
            problem="the engine does not know this chat",
        )


class TestWoken:
    def test_looks_at_what_is_new(self) -> None:
        state = SyncState(status=SyncStatus.IDLE, caught_up_at=YESTERDAY)
        assert woken(state, NOW, until=YESTERDAY) == SyncState(
            forward=Walk(until=YESTERDAY), caught_up_at=YESTERDAY, due_at=NOW
        )

    @pytest.mark.parametrize(
        ("wanted", "goal"),
        [
            pytest.param(YESTERDAY - HOUR, YESTERDAY - HOUR, id="further"),
            pytest.param(YESTERDAY + HOUR, YESTERDAY, id="less far"),
        ],
    )
    def test_a_look_that_began_begins_again_since_it_is_past_what_is_new(
        self, wanted: datetime, goal: datetime
    ) -> None:
        state = SyncState(forward=Walk(began_at=BEGUN, until=YESTERDAY, offset=90))
        assert woken(state, NOW, until=wanted).forward == Walk(until=goal)

    @pytest.mark.parametrize(
        ("wanted", "goal"),
        [
            pytest.param(YESTERDAY - HOUR, YESTERDAY - HOUR, id="further"),
            pytest.param(YESTERDAY + HOUR, YESTERDAY, id="less far"),
        ],
    )
    def test_a_look_that_did_not_begin_goes_as_far_as_anybody_wants(
        self, wanted: datetime, goal: datetime
    ) -> None:
        state = SyncState(forward=Walk(until=YESTERDAY))
        assert woken(state, NOW, until=wanted).forward == Walk(until=goal)

    def test_history_goes_on_where_it_was(self) -> None:
        state = SyncState(backward=Walk(began_at=BEGUN, offset=90))
        assert woken(state, NOW, until=YESTERDAY).backward == state.backward

    def test_a_pause_stays_a_pause(self) -> None:
        after = woken(SyncState(status=SyncStatus.PAUSED), NOW, until=YESTERDAY)
        assert after == SyncState(status=SyncStatus.PAUSED, forward=Walk(until=YESTERDAY))

    def test_a_failed_chat_waits_as_long_as_it_would_have(self) -> None:
        state = SyncState(status=SyncStatus.FAILED, attempts=4, due_at=NOW + HOUR)
        after = woken(state, NOW, until=YESTERDAY)
        assert (after.status, after.due_at) == (SyncStatus.FAILED, NOW + HOUR)


class TestDeepened:
    def test_reads_history_again_from_the_newest_on(self) -> None:
        state = SyncState(
            status=SyncStatus.IDLE, forward=Walk(until=NOW), backward=Walk(offset=90), bottom=NOW
        )
        assert deepened(state, NOW, since=YESTERDAY) == SyncState(
            backward=Walk(until=YESTERDAY), since=YESTERDAY, bottom=NOW, due_at=NOW
        )

    def test_may_want_all_of_it(self) -> None:
        state = SyncState(since=YESTERDAY, due_at=YESTERDAY)
        assert deepened(state, NOW, since=None) == fresh(NOW)


class TestPause:
    def test_keeps_the_work_and_does_none(self) -> None:
        state = SyncState(backward=Walk(offset=90), due_at=NOW)
        assert paused(state) == SyncState(status=SyncStatus.PAUSED, backward=Walk(offset=90))

    def test_then_goes_on_at_once_with_all_its_tries(self) -> None:
        state = SyncState(status=SyncStatus.PAUSED, backward=Walk(offset=90), attempts=4)
        assert resumed(state, NOW) == SyncState(backward=Walk(offset=90), due_at=NOW)

    @pytest.mark.parametrize(
        "state",
        [
            pytest.param(SyncState(status=SyncStatus.PAUSED), id="paused"),
            pytest.param(
                SyncState(status=SyncStatus.FAILED, due_at=NOW + HOUR, problem="away"), id="failed"
            ),
        ],
    )
    def test_then_rests_where_nothing_is_left(self, state: SyncState) -> None:
        assert resumed(state, NOW) == SyncState(status=SyncStatus.IDLE)

    def test_a_list_is_still_read_again_after_it(self) -> None:
        state = SyncState(status=SyncStatus.PAUSED, reread_at=NOW + HOUR)
        assert resumed(state, NOW) == RESTING


class TestBegun:
    def test_where_nothing_is_left_the_list_is_read_again_as_deep_as_it_is_wanted(self) -> None:
        state = msgspec.structs.replace(RESTING, since=YESTERDAY)
        after = msgspec.structs.replace(state, backward=Walk(until=YESTERDAY))
        assert begun(state) == after
        assert begun(after) == after

    def test_a_look_goes_on(self) -> None:
        state = SyncState(forward=Walk(offset=90))
        assert begun(state) == state


class TestSetRight:
    """Our clock was ahead; what it said of a time to come is forgotten."""

    AHEAD = NOW + 3 * HOUR

    def test_what_began_before_that_stays(self) -> None:
        state = SyncState(
            forward=Walk(began_at=YESTERDAY, until=YESTERDAY, offset=90),
            backward=Walk(began_at=OLDEST, offset=70),
            bottom=OLDEST,
            due_at=BEGUN,
            reread_at=NOW,
        )
        assert set_right(state, NOW, since=YESTERDAY) == state

    @pytest.mark.parametrize("at", [AHEAD, NOW, YESTERDAY + SECOND])
    def test_the_rest_is_done_again(self, at: datetime) -> None:
        state = SyncState(
            forward=Walk(began_at=at, until=BEGUN, offset=90),
            backward=Walk(began_at=at, offset=70),
            bottom=at,
            caught_up_at=at,
            people_at=at,
            due_at=self.AHEAD,
        )
        assert set_right(state, NOW, since=YESTERDAY) == SyncState(
            forward=Walk(until=YESTERDAY), backward=Walk(), due_at=NOW, reread_at=NOW
        )

    def test_a_walk_that_went_deeper_still_does(self) -> None:
        state = SyncState(forward=Walk(began_at=self.AHEAD, until=OLDEST, offset=90))
        assert set_right(state, NOW, since=YESTERDAY).forward == Walk(until=OLDEST)

    def test_no_list_is_read_again_for_it(self) -> None:
        assert set_right(RESTING, NOW, since=YESTERDAY) == RESTING

    def test_the_look_at_all_chats_is_due(self) -> None:
        assert set_right(SyncState(due_at=self.AHEAD), NOW, since=YESTERDAY).due_at == NOW

    def test_but_none_waits_longer_than_it_ever_would(self) -> None:
        far = NOW + timedelta(days=400)
        state = SyncState(status=SyncStatus.IDLE, due_at=far, reread_at=far)
        after = set_right(state, NOW, since=YESTERDAY)
        assert after.due_at == after.reread_at == NOW + timedelta(days=60)

    def test_a_pause_stays_a_pause(self) -> None:
        state = SyncState(status=SyncStatus.PAUSED, backward=Walk(began_at=self.AHEAD))
        after = set_right(state, NOW, since=YESTERDAY)
        assert after == SyncState(status=SyncStatus.PAUSED, backward=Walk())
