"""A walk sees all that the engine still offers, whatever the list does meanwhile."""

import random
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

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

    def test_proves_nothing_of_the_second_in_which_a_page_breaks_off(self) -> None:
        done = step(BEGUN, page(0, *range(100, 84, -1)))
        [span] = proven(done.walk)
        assert span.begin == row(85).sent_at + timedelta(seconds=1)


class TestDisturbance:
    def test_steps_back_when_the_engine_forgot_more_than_the_overlap(self) -> None:
        first = step(BEGUN, page(0, *range(100, 84, -1)))
        back = step(first.walk, page(first.walk.offset, *range(70, 54, -1)))
        assert back.walk.offset < first.walk.offset
        assert back.walk.reached == first.walk.reached

    def test_an_empty_page_behind_a_full_one_is_not_the_end(self) -> None:
        first = step(BEGUN, page(0, *range(100, 84, -1)))
        blank = step(first.walk, page(first.walk.offset))
        assert not blank.ended
        assert blank.walk.offset < first.walk.offset

    def test_one_empty_page_behind_a_short_one_is_not_the_end(self) -> None:
        first = step(BEGUN, page(0, 9, 8, 7))
        blank = step(first.walk, page(first.walk.offset))
        assert not blank.ended
        further = step(blank.walk, page(blank.walk.offset, 3, 2))
        assert not further.ended
        assert further.walk.reached == row(2).sent_at

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

    def test_refuses_a_page_that_was_not_asked_for(self) -> None:
        with pytest.raises(ValueError, match="not asked for"):
            step(BEGUN, page(7, 1))
        with pytest.raises(ValueError, match="not asked for"):
            step(BEGUN, page(0, 1, limit=OVERLAP))


class Traffic:
    """Things that happen to a list between two requests."""

    def __init__(self, listing: Listing, chance: random.Random) -> None:
        self.listing, self.chance = listing, chance
        self.next = 100_000
        self.gone: set[Listed] = set()

    def happen(self) -> None:
        self.chance.choice([self.arrive, self.forget, self.shuffle])()

    def arrive(self) -> None:
        for _ in range(self.chance.randint(1, 5)):
            self.next += 1
            self.listing.rows.insert(0, row(self.next))

    def forget(self) -> None:
        start = self.chance.randint(0, len(self.listing.rows))
        end = start + self.chance.randint(1, 40)
        self.gone |= set(self.listing.rows[start:end])
        del self.listing.rows[start:end]

    def shuffle(self) -> None:
        """Change the order inside each second."""
        self.listing.rows.sort(key=lambda r: (r.sent_at, self.chance.random()), reverse=True)


@settings(max_examples=500)
@given(
    count=st.integers(0, 120),
    spread=st.sampled_from([1, 3, LIMIT - OVERLAP]),
    events=st.lists(st.sampled_from(["nothing", "crash", "happen"]), max_size=25),
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
        answer = listing.page(walk.offset)
        done = step(walk, answer)
        if event == "crash":
            continue  # before the commit: the same is asked again
        seen |= set(answer.rows)
        walk = done.walk
        for span in proven(walk, at_end=done.at_end):
            missing = {r for r in rows if r.sent_at in span} - seen - traffic.gone
            assert not missing, "proven, and not seen"
        if done.ended:
            break
    else:
        raise AssertionError("the walk does not end")
    assert set(rows) - traffic.gone <= seen
