"""A walk sees all that the engine still offers, whatever the list does meanwhile."""

import random
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.support.depth import examples

from wagateway.domain.identity import StanzaId
from wagateway.domain.walk import OVERLAP, SETTLE, Page, Row, Step, Walk, proven, step

NOON = datetime(2026, 1, 5, 12, tzinfo=UTC)
LIMIT = 16
BEGUN = Walk(began_at=NOON)


class Listed(NamedTuple):
    """A message of the list; a Row whose fields are known."""

    stanza: StanzaId
    sent_at: datetime


def row(number: int, *, second: int | None = None) -> Listed:
    """Return message *number*; higher numbers are newer."""
    at = NOON + timedelta(seconds=number if second is None else second) - timedelta(days=1)
    return Listed(StanzaId(f"m{number}"), at)


def page(offset: int, *numbers: int, limit: int = LIMIT) -> Page:
    return Page(offset=offset, limit=limit, rows=tuple(Row(*row(n)) for n in numbers))


def page_by_seconds(offset: int, *seconds: int) -> Page:
    """Return a full page of one row for each of *seconds*, known by its place in the list."""
    places = range(offset, offset + len(seconds))
    rows = (Row(*row(place, second=second)) for place, second in zip(places, seconds, strict=True))
    return Page(offset=offset, limit=LIMIT, rows=tuple(rows))


class Listing:
    """An engine's list, newest first, that answers pages."""

    def __init__(self, rows: list[Listed]) -> None:
        self.rows = rows

    def page(self, offset: int, limit: int = LIMIT) -> Page:
        rows = self.rows[offset : offset + limit]
        return Page(offset=offset, limit=limit, rows=tuple(Row(*each) for each in rows))


def walked(listing: Listing, walk: Walk = BEGUN, *, most: int = 200) -> tuple[Step, set[Row], int]:
    seen: set[Row] = set()
    for requests in range(1, most):
        answer = listing.page(walk.offset)
        seen |= set(answer.rows)
        done = step(walk, answer)
        if done.ended:
            return done, seen, requests
        walk = done.walk
    raise AssertionError("the walk does not end")


class TestWithoutDisturbance:
    @pytest.mark.parametrize("count", [0, 1, 5, 15, 16, 17, 22, 23, 100])
    def test_sees_everything_and_knows_the_end(self, count: int) -> None:
        rows = [row(n) for n in reversed(range(count))]
        done, seen, _ = walked(Listing(rows))
        assert seen == {Row(*each) for each in rows}
        assert done.at_end

    def test_a_small_chat_costs_three_requests(self) -> None:
        _, _, requests = walked(Listing([row(2), row(1)]))
        assert requests == 3

    def test_ends_past_its_goal(self) -> None:
        rows = [row(n) for n in reversed(range(200))]
        until = rows[20].sent_at
        done, seen, requests = walked(Listing(rows), Walk(began_at=NOON, until=until))
        assert requests < 6
        assert set(rows[:21]) <= seen
        assert not done.at_end
        [span] = proven(done.walk)
        assert span.begin <= until
        assert span.end == NOON - SETTLE

    def test_proves_from_the_first_message_on_at_the_end(self) -> None:
        rows = [row(n) for n in reversed(range(30))]
        done, _, _ = walked(Listing(rows))
        [span] = proven(done.walk, at_end=done.at_end)
        assert span.begin == rows[-1].sent_at

    def test_goes_on_until_its_goal_is_passed(self) -> None:
        goal = row(85).sent_at
        at_it = step(Walk(began_at=NOON, until=goal), page(0, *range(100, 84, -1)))
        assert not at_it.ended  # more of that second may follow
        past_it = step(at_it.walk, page(at_it.walk.offset, *range(94, 78, -1)))
        assert past_it.ended

    def test_counts_its_pages(self) -> None:
        done, _, requests = walked(Listing([row(n) for n in reversed(range(40))]))
        assert done.walk.pages == requests

    @pytest.mark.parametrize(
        ("newer", "passed"),
        [(0, 6), (1, 6), (2, 1), (3, 2), (6, 5), (7, 6), (8, 6), (15, 6)],
    )
    def test_the_next_page_overlaps_and_begins_before_the_last_second(
        self, newer: int, passed: int
    ) -> None:
        seconds = (*range(100, 100 - newer, -1), *(1,) * (LIMIT - newer))
        done = step(BEGUN, page_by_seconds(0, *seconds))
        assert done.walk.offset == passed

    def test_proves_nothing_of_the_second_in_which_a_page_breaks_off(self) -> None:
        done = step(BEGUN, page_by_seconds(0, *range(100, 85, -1), 86))
        [span] = proven(done.walk)
        assert span.begin == row(86).sent_at + timedelta(seconds=1)

    def test_goes_by_no_single_time_which_may_be_wrong(self) -> None:
        rows = page(0, *range(100, 100 - LIMIT, -1)).rows
        odd = Row(StanzaId("odd"), NOON - timedelta(days=3000))
        begun = Walk(began_at=NOON, until=NOON - timedelta(days=7))
        done = step(begun, Page(offset=0, limit=LIMIT, rows=(*rows[:-1], odd)))
        assert not done.ended
        [span] = proven(done.walk)
        assert span.begin == row(86).sent_at + timedelta(seconds=1)
        following = (*rows[-6:-1], odd, *page(0, *range(85, 85 - LIMIT, -1)).rows)[:LIMIT]
        offset = done.walk.offset
        done = step(done.walk, Page(offset=offset, limit=LIMIT, rows=following))
        assert not done.ended
        assert all(span.begin > row(90).sent_at for span in proven(done.walk))

    def test_one_row_that_is_all_there_is_counts(self) -> None:
        done = step(Walk(began_at=NOON, until=row(90).sent_at), page(0, 80))
        assert done.ended


class TestDisturbance:
    def test_steps_back_when_the_engine_forgot_more_than_the_overlap(self) -> None:
        first = step(BEGUN, page(0, *range(100, 84, -1)))
        back = step(first.walk, page(first.walk.offset, *range(70, 54, -1)))
        assert back.walk.offset < first.walk.offset
        assert back.walk.reached == first.walk.reached

    def test_steps_back_twice_as_far_each_time_and_then_goes_on(self) -> None:
        walk = Walk(began_at=NOON, offset=300, reached=row(100).sent_at)
        offsets = []
        for _ in range(6):
            walk = step(walk, page(walk.offset, *range(50, 50 - LIMIT, -1))).walk
            offsets.append(walk.offset)
        assert offsets == [294, 282, 258, 210, 114, 120]
        assert walk.reached == row(35).sent_at

    def test_begins_with_a_small_step_again_once_it_saw_something_older(self) -> None:
        walk = Walk(began_at=NOON, offset=40, reached=row(50).sent_at, retreats=2)
        older = step(walk, page(40, *range(55, 55 - LIMIT, -1))).walk
        back = step(older, page(46, *range(30, 30 - LIMIT, -1))).walk
        assert back.offset == 40

    def test_where_nothing_newer_is_left_the_first_page_goes_on(self) -> None:
        walk = Walk(began_at=NOON, offset=0, reached=row(50).sent_at, retreats=1)
        done = step(walk, page(0, *range(40, 40 - LIMIT, -1)))
        assert done.walk.reached == row(25).sent_at
        assert done.walk.doubtful_from is None

    def test_a_page_that_begins_in_the_last_second_seen_may_follow_a_hole(self) -> None:
        walk = Walk(began_at=NOON, offset=6, reached=row(50).sent_at)
        done = step(walk, page(6, *range(50, 50 - LIMIT, -1)))
        assert done.walk.offset == 0
        assert done.walk.reached == row(50).sent_at

    def test_steps_back_where_a_row_of_the_last_second_may_have_moved_before_the_page(self) -> None:
        """Of that second, the walk saw row 51 and not 50, which now comes first."""
        reached = row(50).sent_at
        walk = Walk(began_at=NOON, offset=30, reached=reached, tail=(StanzaId("m51"),))
        rows = (row(51, second=50), *(row(n) for n in range(49, 49 - LIMIT + 1, -1)))
        done = step(walk, Page(offset=30, limit=LIMIT, rows=tuple(Row(*each) for each in rows)))
        assert done.walk == Walk(
            began_at=NOON, offset=24, reached=reached, tail=walk.tail, retreats=1, pages=1
        )

    def test_an_empty_page_behind_a_full_one_is_not_the_end(self) -> None:
        first = step(BEGUN, page(0, *range(100, 84, -1)))
        blank = step(first.walk, page(first.walk.offset))
        assert not blank.ended
        assert blank.walk.offset < first.walk.offset

    def test_one_empty_page_behind_a_short_one_is_not_the_end(self) -> None:
        first = step(BEGUN, page(0, 9, 8, 7))
        blank = step(first.walk, page(first.walk.offset))
        assert not blank.ended
        assert blank.walk.offset == first.walk.offset + LIMIT
        further = step(blank.walk, page(blank.walk.offset, 3, 2))
        assert not further.ended
        assert further.walk.reached == row(2).sent_at

    def test_what_comes_behind_an_empty_page_proves_nothing_in_between(self) -> None:
        """A list that goes on filling may have filled the place of the empty page meanwhile."""
        walk = BEGUN
        for numbers in [(19, 18, 17), (), (3, 2)]:
            walk = step(walk, page(walk.offset, *numbers)).walk
        assert walk.reached == row(2).sent_at
        [span] = proven(walk)
        assert span.begin == row(18).sent_at

    def test_only_empty_pages_in_a_row_are_the_end(self) -> None:
        walk = BEGUN
        for numbers in [(9, 8, 7), (), (3, 2), ()]:
            done = step(walk, page(walk.offset, *numbers))
            assert not done.ended
            walk = done.walk
        done = step(walk, page(walk.offset))
        assert (done.ended, done.at_end) == (True, False)  # nobody knows what was in between

    def test_a_list_that_does_not_hold_together_is_passed_without_a_proof(self) -> None:
        walk = BEGUN
        for _ in range(20):
            newest = 100 if walk.offset == 0 else 50
            done = step(walk, page(walk.offset, *range(newest, newest - LIMIT, -1)))
            walk = done.walk
            if walk.offset > LIMIT:
                break
        assert walk.reached == row(35).sent_at
        assert walk.doubtful_from == row(85).sent_at
        [span] = proven(walk)
        assert span.begin == row(86).sent_at

    def test_unreadable_rows_are_passed(self) -> None:
        broken = Page(offset=0, limit=LIMIT, rows=(Row(None, None),) * LIMIT)
        done = step(BEGUN, broken)
        assert done.walk.offset == LIMIT - OVERLAP
        assert not done.ended

    def test_goes_on_behind_a_first_page_that_is_unreadable(self) -> None:
        broken = Page(offset=0, limit=LIMIT, rows=(Row(None, None),) * LIMIT)
        first = step(BEGUN, broken)
        then = step(first.walk, page(first.walk.offset, *range(50, 50 - LIMIT, -1)))
        assert then.walk.reached == row(35).sent_at

    def test_nothing_behind_a_page_that_is_unreadable_is_proven(self) -> None:
        """The engine may have forgotten rows meanwhile, so that others were never shown."""
        walk = step(BEGUN, page(0, *range(100, 100 - LIMIT, -1))).walk
        broken = Page(offset=walk.offset, limit=LIMIT, rows=(Row(None, None),) * LIMIT)
        walk = step(walk, broken).walk
        walk = step(walk, page(walk.offset, *range(50, 50 - LIMIT, -1))).walk
        assert walk.reached == row(35).sent_at
        [span] = proven(walk)
        assert span.begin == row(86).sent_at

    def test_nothing_is_proven_where_the_first_page_is_unreadable(self) -> None:
        broken = Page(offset=0, limit=LIMIT, rows=(Row(None, None),) * LIMIT)
        walk = step(BEGUN, broken).walk
        assert proven(step(walk, page(walk.offset, *range(50, 50 - LIMIT, -1))).walk) == ()

    def test_a_short_page_that_is_unreadable_raises_no_doubt(self) -> None:
        walk = step(BEGUN, page(0, *range(100, 100 - LIMIT, -1))).walk
        broken = Page(offset=walk.offset, limit=LIMIT, rows=(Row(None, None),) * (LIMIT - 1))
        assert step(walk, broken).walk.doubtful_from is None

    def test_one_broken_time_proves_nothing_and_ends_no_look(self) -> None:
        """Nothing is newer than 1970 for a look, which would be over with all that is between."""
        rows = list(page(0, *range(100, 100 - LIMIT, -1)).rows)
        for at in (datetime(1970, 1, 1, 0, 0, 1, tzinfo=UTC), NOON - timedelta(days=3000)):
            for place in (3, LIMIT - 2):
                listed = [*rows[:place], Row(StanzaId("odd"), at), *rows[place + 1 :]]
                begun = Walk(began_at=NOON, until=NOON - timedelta(days=7))
                done = step(begun, Page(offset=0, limit=LIMIT, rows=tuple(listed)))
                assert not done.ended
                assert all(span.begin > row(85).sent_at for span in proven(done.walk))

    def test_a_time_before_all_messages_is_none_wherever_it_stands(self) -> None:
        rows = page(0, *range(100, 100 - LIMIT, -1)).rows
        odd = Row(StanzaId("odd"), datetime(1970, 1, 1, 0, 0, 1, tzinfo=UTC))
        walk = step(BEGUN, Page(offset=0, limit=LIMIT, rows=(*rows[:-1], odd))).walk
        assert walk.reached == rows[-2].sent_at
        assert walk.doubtful_from is None

    def test_the_year_in_which_whatsapp_began_counts(self) -> None:
        begin = datetime(2009, 1, 1, tzinfo=UTC)
        listed = (Row(StanzaId("first"), begin),)
        assert step(BEGUN, Page(offset=0, limit=LIMIT, rows=listed)).walk.reached == begin

    def test_one_row_that_can_be_read_is_enough(self) -> None:
        listed = (Row(*row(100)), *(Row(None, None),) * (LIMIT - 1))
        walk = step(BEGUN, Page(offset=0, limit=LIMIT, rows=listed)).walk
        assert (walk.reached, walk.offset) == (row(100).sent_at, LIMIT - OVERLAP)

    def test_nothing_older_is_proven_by_a_list_without_an_order(self) -> None:
        walk = step(BEGUN, page(0, *range(100, 100 - LIMIT, -1))).walk
        mixed = [*range(95, 95 - LIMIT, -1)]
        mixed[4], mixed[9] = mixed[9], mixed[4]
        walk = step(walk, page(walk.offset, *mixed)).walk
        [span] = proven(walk)
        assert span.begin == row(96).sent_at

    def test_an_engine_that_shows_one_page_again_and_again_is_not_asked_for_ever(self) -> None:
        for length in (LIMIT, LIMIT - 4):
            walk = BEGUN
            for _ in range(4):
                done = step(walk, page(walk.offset, *range(100, 100 - length, -1)))
                walk = done.walk
            assert (done.ended, done.at_end) == (True, False)
            [span] = proven(walk)
            assert span.begin == row(100 - length + 2).sent_at

    def test_an_engine_that_shows_fewer_than_asked_for_proves_nothing_behind_them(self) -> None:
        """Of its second page nobody knows whether it follows the first."""
        walk = step(BEGUN, page(0, *range(100, 92, -1))).walk
        done = step(walk, page(walk.offset, *range(94 - LIMIT + OVERLAP, 80, -1)))
        assert done.walk.reached == row(81).sent_at
        [span] = proven(done.walk)
        assert span.begin == row(94).sent_at

    def test_a_short_page_of_which_the_next_shows_a_row_again_holds_together(self) -> None:
        walk = step(BEGUN, page(0, 100, 99, 95, 94)).walk
        done = step(walk, page(walk.offset, 94, 90, 89))
        assert done.walk.doubtful_from is None

    def test_refuses_a_page_that_was_not_asked_for(self) -> None:
        with pytest.raises(ValueError, match="not asked for"):
            step(BEGUN, page(7, 1))
        with pytest.raises(ValueError, match="not asked for"):
            step(BEGUN, page(0, 1, limit=OVERLAP))


class TestSecondLongerThanAPage:
    """Rows of one second have no order, so that no page can be seen to follow another."""

    def test_is_passed_without_a_proof(self) -> None:
        walk = step(BEGUN, page_by_seconds(0, 10, *(9,) * (LIMIT - 1))).walk
        for _ in range(3):
            before = walk.offset
            walk = step(walk, page_by_seconds(walk.offset, *(9,) * LIMIT)).walk
            assert walk.offset == before + LIMIT - OVERLAP
        [span] = proven(walk)
        assert span.begin == row(10).sent_at

    def test_is_known_again_by_the_last_rows_of_a_page(self) -> None:
        first = step(BEGUN, page_by_seconds(0, *(9,) * LIMIT)).walk
        assert first.tail == tuple(StanzaId(f"m{n}") for n in range(LIMIT - OVERLAP, LIMIT))

    @pytest.mark.parametrize("before", [0, 1, 10])
    @pytest.mark.parametrize("count", [14, 15, 16, 17, 40, 100])
    @pytest.mark.parametrize("behind", [0, 1, 30])
    def test_is_seen_whole_all_the_same(self, before: int, count: int, behind: int) -> None:
        rows = [row(1000 - n) for n in range(before)]
        rows += [row(n, second=900) for n in range(900, 900 - count, -1)]
        rows += [row(500 - n) for n in range(behind)]
        _, seen, requests = walked(Listing(rows))
        assert seen == {Row(*each) for each in rows}
        assert requests < len(rows) // (LIMIT - OVERLAP) + 40  # five steps back, 31 pages

    def test_leaves_patience_for_a_hole_behind_it(self) -> None:
        first = step(BEGUN, page_by_seconds(0, *(900,) * LIMIT)).walk
        back = Walk(began_at=NOON, offset=6, reached=first.reached, tail=first.tail, retreats=2)
        again = step(back, page_by_seconds(6, *(900,) * LIMIT)).walk
        hole = step(again, page(12, *range(500, 500 - LIMIT, -1))).walk
        assert hole.offset == 6


class Traffic:
    """Things that happen to a list between two requests."""

    def __init__(self, listing: Listing, chance: random.Random) -> None:
        self.listing, self.chance = listing, chance
        self.next, self.oldest = 100_000, 0
        self.gone: set[Listed] = set()

    def happen(self) -> None:
        self.chance.choice([self.arrive, self.forget, self.shuffle, self.fill])()

    def arrive(self) -> None:
        for _ in range(self.chance.randint(1, 5)):
            self.next += 1
            self.listing.rows.insert(0, row(self.next))

    def forget(self) -> None:
        start = self.chance.randint(0, len(self.listing.rows))
        end = start + self.chance.randint(1, 40)
        self.gone |= set(self.listing.rows[start:end])
        del self.listing.rows[start:end]

    def fill(self) -> None:
        """Show what is older than all before, as after a phone was paired."""
        for _ in range(self.chance.randint(1, 40)):
            self.oldest -= 1
            self.listing.rows.append(row(self.oldest))

    def shuffle(self) -> None:
        """Change the order inside each second."""
        self.listing.rows.sort(key=lambda r: (r.sent_at, self.chance.random()), reverse=True)


@settings(max_examples=examples(400))
@given(
    count=st.integers(0, 120),
    spread=st.sampled_from([1, 3, LIMIT - OVERLAP]),
    events=st.lists(st.sampled_from(["nothing", "crash", "happen", "fill"]), max_size=25),
    chance=st.randoms(use_true_random=False),
)
def test_skips_nothing_that_the_engine_still_offers(
    count: int, spread: int, events: list[str], chance: random.Random
) -> None:
    rows = [row(n, second=n // spread) for n in reversed(range(count))]
    listing = Listing(list(rows))
    traffic = Traffic(listing, chance)
    walk, seen = BEGUN, set[Row]()
    for event in [*events, *("nothing",) * 200]:
        if event == "happen":
            traffic.happen()
        if event == "fill":
            traffic.fill()
        answer = listing.page(walk.offset)
        done = step(walk, answer)
        if event == "crash":
            continue  # before the commit: the same is asked again
        seen |= set(answer.rows)
        walk = done.walk
        for span in proven(walk, at_end=done.at_end):
            listed = {*rows, *listing.rows}
            missing = {r for r in listed if r.sent_at in span} - seen - traffic.gone
            assert not missing, "proven, and not seen"
        if done.ended:
            break
    else:
        raise AssertionError("the walk does not end")
    assert set(rows) - traffic.gone <= seen
