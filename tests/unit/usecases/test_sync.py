"""Sync brings in what webhooks lost, proves what is complete, and survives a bad engine."""

import asyncio
from datetime import timedelta

import msgspec
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule
from tests.support.deliveries import (
    ANA,
    BAKERY,
    BRUNO,
    GROUP,
    NOON,
    SECOND,
    SESSION,
    delivery,
    seen,
)
from tests.support.depth import examples
from tests.support.sync_world import DAY, HOUR, MINUTE, PLAN, World
from typing_extensions import override

from wagateway.adapters.memory.purges import InMemoryPurgeStore
from wagateway.domain.coverage import Gap, GapReason
from wagateway.domain.errors import (
    EngineResting,
    EngineUnavailable,
    NotFound,
    RateLimited,
    Refused,
)
from wagateway.domain.events import (
    Account,
    GroupChanged,
    Member,
    Role,
    SessionChanged,
    SessionStatus,
    Source,
)
from wagateway.domain.identity import Jid
from wagateway.domain.purges import Purge
from wagateway.domain.records import MemberRecord
from wagateway.domain.spans import Span, covers
from wagateway.domain.sync import SyncStatus, deepened
from wagateway.domain.walk import SETTLE
from wagateway.ports.engine import EngineChat, EngineSession
from wagateway.ports.sync import SyncTask
from wagateway.usecases.set_clock_right import SetClockRight
from wagateway.usecases.sync_control import SyncControl


class TestPurged:
    @pytest.mark.parametrize("lists_all", [True, False])
    @pytest.mark.parametrize("chat", [None, ANA])
    async def test_is_not_read_again_and_says_so(
        self, chat: Jid | None, *, lists_all: bool
    ) -> None:
        world = World(lists_all=lists_all)
        world.fill(ANA, 150)
        world.fill(BRUNO, 3)
        await world.settle()
        archive, purges = await world.archived(), InMemoryPurgeStore(world.archive)
        before = NOON - 2 * HOUR
        made = Purge(chat=chat, before=before, purged_at=NOON, purged_by="maria")
        [target] = await purges.targets(SESSION, chat=None if chat is None else [chat])
        await purges.remember(target, made)
        while await purges.step(target, before, limit=100, at=NOON):
            pass
        known = await world.coverage(ANA)
        assert known.gaps[0] == Gap(begin=None, end=before, reason=GapReason.PURGED)
        assert known.complete == (Span(before, NOON - SETTLE),)
        task = await world.task(ANA)
        await world.store.change(
            msgspec.structs.replace(task, state=deepened(task.state, world.now, since=None))
        )
        turns = await world.settle()
        pages = sum(turn.pages for turn in turns if turn.task.chat == ANA)
        assert 61 <= pages * PLAN.batch < 150
        assert len((await world.archive.messages(SESSION, [ANA], limit=500)).messages) == 61
        assert (await world.store.purged(archive)).of(ANA) == before
        of_session = (await world.store.evidence(archive, None)).purged_before
        assert of_session == (before if chat is None else None)
        control = SyncControl(store=world.store, reader=world.archive, clock=world.clock)
        [told] = [c for c in (await control.coverage(SESSION)).chats if c.chat_id == ANA]
        assert told.gaps[0].reason is GapReason.PURGED
        assert (await world.task(ANA)).state.status is SyncStatus.IDLE


class TestBackFill:
    async def test_brings_in_all_history_and_proves_it(self) -> None:
        world = World()
        world.fill(ANA, 150)
        world.fill(GROUP, 3)
        await world.settle()
        assert await world.stored(ANA) == 150
        assert await world.stored(GROUP) == 3
        known = await world.coverage(ANA)
        first = world.engine.rows[ANA][-1].sent_at
        assert first is not None
        assert known.complete == (Span(first, NOON - SETTLE),)
        assert known.gaps[0].reason is GapReason.ENGINE_HAS_NO_MORE
        assert {gap.begin for gap in known.gaps[1:]} == {NOON - SETTLE}

    async def test_takes_turns_so_that_a_long_chat_holds_nobody_back(self) -> None:
        world = World()
        world.fill(ANA, 400, newest=NOON - MINUTE)
        world.fill(BRUNO, 3, newest=NOON - 9 * DAY)
        turns = [turn for turn in await world.settle() if turn.task.chat]
        order = [turn.task.chat for turn in turns]
        assert order.index(BRUNO) == 1
        assert order.count(ANA) > 2

    async def test_goes_as_deep_as_the_plan_says(self) -> None:
        world = World(plan=msgspec.structs.replace(PLAN, depth=10 * DAY))
        world.fill(ANA, 200, newest=NOON - 20 * DAY)
        world.fill(ANA, 5)
        await world.settle()
        assert 5 <= await world.stored(ANA) < 30

    async def test_a_chat_that_only_webhooks_know_is_read_too(self) -> None:
        world = World()
        await world.archive.record([delivery(seen(stanza="W", chat=BRUNO))])
        await world.settle()
        state = (await world.task(BRUNO)).state
        assert state.status is SyncStatus.IDLE
        assert state.problem == "the engine does not know this chat"

    async def test_a_chat_that_the_engine_did_not_know_is_asked_for_again(self) -> None:
        """It may have been forgotten for a moment, as while its list was being filled."""
        world = World()
        await world.archive.record([delivery(seen(stanza="W", chat=BRUNO))])
        await world.settle()
        world.fill(BRUNO, 30, newest=NOON - 30 * DAY)
        world.now += DAY
        await world.settle()
        assert await world.stored(BRUNO) == 31
        state = (await world.task(BRUNO)).state
        assert (state.status, state.problem, state.backward) == (SyncStatus.IDLE, None, None)


class TestCatchUp:
    async def test_brings_in_what_no_webhook_told(self) -> None:
        world = World()
        world.fill(ANA, 30)
        await world.settle()
        world.now += HOUR
        world.fill(ANA, 5, newest=world.now - 10 * MINUTE)
        await world.settle()
        assert await world.stored(ANA) == 35
        assert covers(
            (await world.coverage(ANA)).complete, Span(NOON - DAY // 48, world.now - SETTLE)
        )

    @pytest.mark.parametrize("lists_all", [True, False])
    async def test_a_quiet_interval_costs_a_handful_of_requests(self, *, lists_all: bool) -> None:
        world = World(lists_all=lists_all)
        for n in range(300):
            world.fill(Jid(f"55119{n:08}@c.us"), 1, newest=NOON - DAY)
        await world.settle(most=2000)
        for _ in range(3):
            world.now += PLAN.interval
            world.engine.requests.clear()
            await world.settle()
            assert sum(world.engine.requests.values()) <= 8
        known = await world.coverage(Jid(f"55119{7:08}@c.us"))
        assert known.complete[-1].end == world.now - SETTLE

    async def test_an_engine_that_cannot_list_all_is_asked_for_active_chats(self) -> None:
        world = World(lists_all=False)
        world.fill(ANA, 30)
        world.fill(BRUNO, 30)
        await world.settle()
        world.now += HOUR
        world.fill(ANA, 5, newest=world.now - 10 * MINUTE)
        world.engine.requests.clear()
        await world.settle()
        assert await world.stored(ANA) == 35
        assert world.engine.requests["messages"] <= 4
        for chat in (ANA, BRUNO):
            end = (await world.coverage(chat)).complete[-1].end
            assert end == world.now - SETTLE

    async def test_what_a_person_wants_read_now_is_looked_for_where_it_happened(self) -> None:
        """An engine that cannot list all must be asked which chats were active."""
        world = World(lists_all=False)
        world.fill(ANA, 30)
        await world.settle()
        world.now += HOUR
        news = world.now - 10 * MINUTE
        world.engine.add(ANA, "news", news)
        control = SyncControl(store=world.store, reader=world.archive, clock=world.clock)
        await control.start(SESSION, None)
        [task] = await world.store.claim(world.now, lease=PLAN.lease, limit=1)
        await world.turn(task)
        assert not covers((await world.coverage(ANA)).complete, Span(news, news + SECOND))
        await world.settle()
        assert "news" in world.stanzas(ANA)

    async def test_what_is_new_is_seen_where_history_is_only_wanted_so_deep(self) -> None:
        world = World(lists_all=False, plan=msgspec.structs.replace(PLAN, depth=10 * DAY))
        world.fill(ANA, 200, newest=NOON - 10 * DAY + HOUR)
        await world.settle()
        assert (await world.task(ANA)).state.bottom is None
        world.now += HOUR
        world.engine.add(ANA, "news", world.now - 10 * MINUTE)
        await world.settle()
        assert "news" in world.stanzas(ANA)

    async def test_what_is_new_is_seen_where_history_did_not_hold_together(self) -> None:
        world = World(lists_all=False, plan=msgspec.structs.replace(PLAN, turn_pages=1))
        for n in range(60):  # more in one second than a page holds
            world.engine.add(ANA, f"old-{n}", NOON - HOUR)
        await world.settle()
        assert (await world.task(ANA)).state.caught_up_at is None
        world.now += HOUR
        world.engine.add(ANA, "news", world.now - 10 * MINUTE)
        await world.settle()
        assert "news" in world.stanzas(ANA)
        world.now += HOUR
        world.engine.requests.clear()
        await world.settle()
        assert world.engine.requests.get("messages", 0) == 1  # the attempt to list all

    async def test_chats_that_are_listed_in_no_order_are_not_taken_for_quiet(self) -> None:
        """Pinned ones first, say; the active one is on the second page of the overview."""
        world = World(lists_all=False)
        world.engine.fixed_order = True
        for n in range(500):
            world.fill(Jid(f"55119{n:08}@c.us"), 1, newest=NOON - DAY - n % 7 * MINUTE)
        world.fill(ANA, 5)
        await world.settle(most=2000)
        world.now += HOUR
        news = world.now - 10 * MINUTE
        world.engine.add(ANA, "news", news)
        await world.settle()
        assert "news" in world.stanzas(ANA)

    @pytest.mark.parametrize("lists_all", [True, False])
    async def test_now_and_then_it_looks_back_for_what_came_late(self, *, lists_all: bool) -> None:
        world = World(lists_all=lists_all)
        world.fill(ANA, 30, newest=NOON - HOUR)
        await world.settle()
        world.engine.add(ANA, "late", NOON - 2 * DAY)
        world.now += PLAN.interval
        await world.settle()
        assert "late" not in world.stanzas(ANA)
        world.now += PLAN.people_every
        await world.settle()
        assert "late" in world.stanzas(ANA)
        world.now += PLAN.interval
        world.engine.requests.clear()
        await world.settle()
        assert world.engine.requests["messages"] == 1  # and is quiet again

    @pytest.mark.parametrize("lists_all", [True, False])
    async def test_a_person_may_want_all_chats_read_back_to_an_instant(
        self, *, lists_all: bool
    ) -> None:
        world = World(lists_all=lists_all)
        world.fill(ANA, 30, newest=NOON - HOUR)
        world.fill(BRUNO, 3, newest=NOON - 20 * DAY)
        await world.settle()
        world.engine.add(ANA, "late", NOON - 9 * DAY)
        world.now += PLAN.interval
        quiet = await world.task(BRUNO)
        control = SyncControl(store=world.store, reader=world.archive, clock=world.clock)
        await control.start(SESSION, None, since=NOON - 10 * DAY)
        await world.settle()
        assert "late" in world.stanzas(ANA)
        assert await world.task(BRUNO) == quiet

    async def test_a_chat_that_is_still_being_read_is_not_taken_for_quiet(self) -> None:
        world = World(lists_all=False, plan=msgspec.structs.replace(PLAN, turn_pages=1))
        world.fill(ANA, 200)
        await world.find()
        for _ in range(2):  # the look at all chats, and one page of this one
            [task] = await world.store.claim(world.now, lease=world.plan.lease, limit=1)
            await world.turn(task)
        news = world.now + MINUTE
        world.engine.add(ANA, "news", news)
        world.now += HOUR
        [task] = await world.store.claim(world.now, lease=world.plan.lease, limit=1)
        assert task.chat is None
        await world.turn(task)
        assert "news" not in world.stanzas(ANA)
        assert not covers((await world.coverage(ANA)).complete, Span(news, news + SECOND))

    @pytest.mark.parametrize("lists_all", [True, False])
    async def test_a_look_that_succeeds_forgets_what_went_wrong(self, *, lists_all: bool) -> None:
        world = World(lists_all=lists_all)
        world.fill(ANA, 3)
        await world.settle()
        task = await world.task(None)
        troubled = msgspec.structs.replace(task.state, attempts=2, problem="WAHA was away")
        await world.store.change(msgspec.structs.replace(task, state=troubled))
        world.now += HOUR
        await world.settle()
        state = (await world.task(None)).state
        assert (state.attempts, state.problem) == (0, None)

    async def test_what_came_late_makes_it_look_further_back(self) -> None:
        world = World()
        world.fill(ANA, 30)
        await world.settle()
        world.now += PLAN.interval
        late = [world.now - HOUR + n * MINUTE for n in range(40)]
        for n, at in enumerate(late):  # the engine was silent, and now shows what it missed
            world.engine.add(BRUNO, f"late-{n}", at)
        await world.settle()
        assert await world.stored(BRUNO) == len(late)

    async def test_after_a_silence_it_looks_back_to_the_last_webhook(self) -> None:
        world = World()
        world.fill(ANA, 30)
        await world.archive.record([delivery(seen(stanza="W", chat=ANA), at=NOON)])
        await world.settle()
        for _ in range(12):
            world.now += PLAN.interval
            await world.settle()
        world.engine.add(ANA, "missed", NOON + 8 * MINUTE)
        world.now += PLAN.interval
        await world.settle()
        assert "missed" in world.stanzas(ANA)


class TestReadingAgain:
    @pytest.mark.parametrize("lists_all", [True, False])
    @pytest.mark.parametrize("first", [0, 20])
    async def test_a_list_that_was_still_filling_is_read_again(
        self, *, lists_all: bool, first: int
    ) -> None:
        """As NOWEB's is, for a while after a phone was paired."""
        world = World(lists_all=lists_all)
        world.engine.rows[ANA] = []
        world.fill(ANA, first)
        await world.settle()
        assert await world.stored(ANA) == first
        world.fill(ANA, 50, newest=NOON - 2 * DAY)
        world.now += PLAN.interval
        await world.settle()
        for _ in range(12):
            world.now += HOUR
            await world.settle()
        assert await world.stored(ANA) == first + 50
        [gap, *_] = (await world.coverage(ANA)).gaps
        assert gap.reason is GapReason.ENGINE_HAS_NO_MORE
        oldest = world.engine.rows[ANA][-1].sent_at
        assert (gap.begin, gap.end) == (None, oldest)

    async def test_a_list_in_which_nothing_older_turns_up_is_read_ever_more_seldom(self) -> None:
        world = World(lists_all=False)
        world.fill(ANA, 3, newest=NOON - 20 * DAY)
        await world.settle()
        read = []
        for hour in range(24 * 10):
            world.now += HOUR
            world.engine.requests.clear()
            await world.settle()
            if world.engine.requests["messages"] > 1:  # the attempt to list all is one
                read.append(hour)
        assert read == [2, 14, 62]

    async def test_what_is_new_is_looked_for_while_a_list_is_read_again(self) -> None:
        world = World(lists_all=False, plan=msgspec.structs.replace(PLAN, turn_pages=1))
        world.fill(ANA, 200, newest=NOON - 20 * DAY)
        await world.settle()
        world.now += DAY
        await world.find()
        for _ in range(2):  # the look at all chats, and one page of this one
            [task] = await world.store.claim(world.now, lease=world.plan.lease, limit=1)
            await world.turn(task)
        assert (await world.task(ANA)).state.backward is not None
        world.engine.add(ANA, "news", world.now + MINUTE)
        world.now += PLAN.interval
        for _ in range(2):
            [task] = await world.store.claim(world.now, lease=world.plan.lease, limit=1)
            await world.turn(task)
        assert "news" in world.stanzas(ANA)
        await world.settle()
        assert (await world.task(ANA)).state.backward is None

    async def test_one_that_is_wanted_only_so_deep_comes_to_rest(self) -> None:
        world = World(plan=msgspec.structs.replace(PLAN, depth=10 * DAY))
        world.fill(ANA, 5)
        await world.settle()
        for n in range(40):
            world.engine.add(ANA, f"old-{n}", NOON - (n + 5) * DAY)
        for _ in range(20):
            world.now += HOUR
            await world.settle()
        assert (await world.task(ANA)).state.due_at is None
        assert await world.stored(ANA) >= 10

    async def test_a_reading_that_fails_does_not_hide_what_is_new(self) -> None:
        world = World(lists_all=False)
        world.fill(ANA, 30, newest=NOON - 20 * DAY)
        await world.settle()
        world.engine.failures = [EngineUnavailable("it answers 500") for _ in range(6)]
        for _ in range(6):
            world.now += DAY
            await world.settle()
            if (await world.task(ANA)).state.status is SyncStatus.FAILED:
                break
        world.engine.failures = []
        world.engine.add(ANA, "news", world.now)
        for _ in range(3):
            world.now += HOUR
            await world.settle()
        assert "news" in world.stanzas(ANA)


class TestClockThatWasAhead:
    @pytest.mark.parametrize("lists_all", [True, False])
    async def test_nothing_is_claimed_or_put_off_because_of_it(self, *, lists_all: bool) -> None:
        world = World(lists_all=lists_all)
        world.fill(ANA, 30)
        await world.settle()
        world.now += 9 * HOUR
        world.engine.add(ANA, "told", NOON + MINUTE)
        await world.settle()
        world.now = NOON + 10 * MINUTE
        news = NOON + 6 * MINUTE
        world.engine.add(ANA, "news", news)
        right = SetClockRight(store=world.store, clock=world.clock, plan=PLAN)
        assert await right() == 1
        assert not covers((await world.coverage(ANA)).complete, Span(news, news + SECOND))
        assert await right() == 0
        await world.settle()
        assert world.stanzas(ANA) >= {"told", "news"}
        [last] = (await world.coverage(ANA)).complete[-1:]
        assert last.end == world.now - SETTLE

    async def test_clocks_of_several_machines_may_differ_a_little(self) -> None:
        world = World()
        world.fill(ANA, 3)
        await world.settle()
        world.now -= SETTLE
        before = await world.store.tasks(await world.archived())
        assert await SetClockRight(store=world.store, clock=world.clock, plan=PLAN)() == 0
        assert await world.store.tasks(await world.archived()) == before


class TestFailures:
    async def test_a_failing_chat_is_tried_again_and_stays_visible(self) -> None:
        world = World()
        world.fill(ANA, 5)
        await world.find()
        world.engine.failures = [EngineUnavailable("the engine answers 500") for _ in range(4)]
        for _ in range(60):
            await world.settle()
            world.now += MINUTE
            if (state := (await world.task(ANA)).state).status is SyncStatus.FAILED:
                break
        assert state.attempts == 4
        assert state.problem == "the engine answers 500"
        world.now += HOUR
        await world.settle()
        assert (await world.task(ANA)).state.status is SyncStatus.IDLE
        assert await world.stored(ANA) == 5

    async def test_a_bad_page_costs_no_progress(self) -> None:
        world = World()
        world.fill(ANA, 100)
        await world.find()
        world.engine.failures = [None] * 3 + [EngineUnavailable("cut")]
        await world.settle()
        world.now += HOUR
        await world.settle()
        assert await world.stored(ANA) == 100

    async def test_waits_as_long_as_the_engine_asks(self) -> None:
        world = World()
        world.fill(ANA, 5)
        await world.find()
        world.engine.failures = [RateLimited("slow down", wait_s=120)]
        await world.settle()
        state = (await world.task(ANA)).state
        assert state.due_at == NOON + 2 * MINUTE
        assert state.attempts == 0

    async def test_an_engine_that_rests_costs_no_tries(self) -> None:
        world = World()
        world.fill(ANA, 5)
        await world.find()
        world.engine.failures = [EngineResting("it is left alone", wait_s=15) for _ in range(9)]
        await world.settle()
        state = (await world.task(ANA)).state
        assert (state.due_at, state.attempts) == (NOON + 15 * SECOND, 0)
        assert (await world.task(None)).state.attempts == 0

    async def test_a_session_that_nobody_knows_for_a_while_costs_no_history(self) -> None:
        """WAHA answers 404 while a session is not running, and so does a proxy before it."""
        world = World()
        world.fill(ANA, 100, newest=NOON - 30 * DAY)
        await world.find()
        [task] = await world.store.claim(world.now, lease=PLAN.lease, limit=1)
        await world.turn(task)
        world.engine.unknown_session = True
        world.now += HOUR
        await world.settle()
        assert (await world.task(None)).state.problem == "the engine does not know the session"
        world.engine.unknown_session = False
        for _ in range(2):
            world.now += HOUR
            await world.settle()
        assert await world.stored(ANA) == 100
        assert (await world.task(None)).state.caught_up_at == world.now

    async def test_a_session_that_is_lost_between_two_questions_costs_no_history(self) -> None:
        world = World()
        world.fill(ANA, 100, newest=NOON - 30 * DAY)
        await world.find()
        [task] = await world.store.claim(world.now, lease=PLAN.lease, limit=1)
        await world.turn(task)
        world.engine.failures = [NotFound("the session is not running")]
        world.engine.unknown_session = True
        [task] = await world.store.claim(world.now, lease=PLAN.lease, limit=1)
        await world.turn(task)
        state = (await world.task(ANA)).state
        assert state.status is SyncStatus.PENDING
        assert state.backward is not None

    async def test_a_refused_key_is_told(self) -> None:
        world = World()
        world.fill(ANA, 5)
        await world.find()
        world.engine.failures = [Refused("WAHA does not accept the key")]
        await world.settle()
        state = (await world.task(ANA)).state
        assert state.problem == "WAHA does not accept the key"
        assert state.due_at == NOON + PLAN.patience.first


class TestSessions:
    async def test_all_wait_for_a_session_that_stopped_and_go_on_afterwards(self) -> None:
        world = World()
        world.fill(ANA, 5)
        await world.find()
        world.engine.status = SessionStatus.STOPPED
        await world.settle()
        assert (await world.task(None)).state.problem == "the session is STOPPED"
        world.engine.status = SessionStatus.WORKING
        world.now += HOUR
        await world.settle()
        world.now += HOUR
        await world.settle()
        assert await world.stored(ANA) == 5

    async def test_nothing_is_proven_while_a_session_begins_to_work(self) -> None:
        world = World()
        world.fill(ANA, 5)
        await world.archive.record(
            [
                delivery(SessionChanged(status=SessionStatus.STARTING, at=NOON - 2 * SECOND)),
                delivery(SessionChanged(status=SessionStatus.WORKING, at=NOON - SECOND)),
            ]
        )
        await world.settle()
        assert world.engine.requests.get("messages", 0) == 0
        world.now += SETTLE
        await world.settle()
        assert await world.stored(ANA) == 5

    @pytest.mark.parametrize("ahead", [DAY, 2_900_000 * DAY])
    async def test_a_state_of_the_future_stops_nothing(self, ahead: timedelta) -> None:
        """WAHA's clock may be ahead of ours, or what it says no time at all."""
        world = World()
        world.fill(ANA, 5)
        await world.archive.record(
            [
                delivery(SessionChanged(status=SessionStatus.STARTING, at=NOON - DAY)),
                delivery(SessionChanged(status=SessionStatus.WORKING, at=NOON + ahead)),
            ]
        )
        for _ in range(3):
            await world.settle()
            world.now += HOUR
        assert await world.stored(ANA) == 5

    async def test_an_engine_that_was_away_for_a_while_is_looked_at_soon_after(self) -> None:
        world = World()
        world.fill(ANA, 5)
        await world.settle()
        world.engine.away = EngineUnavailable("WAHA cannot be reached")
        for _ in range(60):
            world.now += MINUTE
            await world.settle()
        state = (await world.task(None)).state
        assert (state.status, state.problem) == (SyncStatus.FAILED, "WAHA cannot be reached")
        world.engine.away = None
        world.engine.add(ANA, "news", world.now - 10 * MINUTE)
        world.now += PLAN.interval
        await world.settle()
        assert "news" in world.stanzas(ANA)

    async def test_a_state_that_no_webhook_told_is_recorded(self) -> None:
        world = World()
        await world.settle()
        world.engine.status = SessionStatus.FAILED
        world.now += HOUR
        await world.settle()
        [view] = await world.archive.sessions()
        assert view.status is SessionStatus.FAILED

    async def test_another_account_is_another_archive(self) -> None:
        world = World()
        world.fill(ANA, 5)
        await world.settle()
        world.engine.account = Account(phone=Jid("5511912340009@c.us"))
        world.engine.rows.clear()
        world.now += HOUR
        await world.settle()
        views = await world.archive.sessions()
        assert {view.account for view in views} == {BAKERY.phone, "5511912340009@c.us"}


class TestLease:
    async def test_is_held_while_a_long_list_of_chats_is_read(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        world = World()
        for n in range(1100):
            world.fill(Jid(f"55119{n:08}@c.us"), 1)
        await world.find()
        [task] = await world.store.claim(world.now, lease=PLAN.lease, limit=1)
        listed, taken = world.engine.chats, list[SyncTask]()

        async def slowly(session: EngineSession, *, limit: int, offset: int) -> list[EngineChat]:
            world.now += 2 * MINUTE
            due = await world.store.claim(world.now, lease=PLAN.lease, limit=5)
            taken.extend(each for each in due if each.chat is None)
            return await listed(session, limit=limit, offset=offset)

        monkeypatch.setattr(world.engine, "chats", slowly)
        assert (await world.turn(task)).problem is None
        assert taken == []


class TestPeople:
    async def test_only_news_is_recorded(self) -> None:
        world = World()
        world.engine.names = {ANA: "Ana Prado", BRUNO: "Bruno"}
        await world.settle()
        logged = await world.logged()
        world.now += 7 * HOUR
        await world.settle()
        assert await world.logged() == logged
        world.engine.names[ANA] = "Ana P."
        world.now += 7 * HOUR
        await world.settle()
        assert await world.logged() == logged + 1
        contacts = (await world.archive.contacts(SESSION)).contacts
        assert {c.id: c.name for c in contacts}[ANA] == "Ana P."

    async def test_an_engine_that_shows_all_lists_again_and_again_is_asked_twice(self) -> None:
        """WAHA of 2024 heeds no offset in some of them."""
        world = World()
        world.engine.pages_lists = False
        world.engine.names = {ANA: "Ana Prado"}
        world.fill(ANA, 3)
        await world.settle()
        assert world.engine.requests["chats"] == 2
        assert world.engine.requests["contacts"] == 2

    @pytest.mark.parametrize("failure", [EngineUnavailable("WAHA answers 500"), NotFound("404")])
    async def test_a_group_that_cannot_be_read_holds_no_other_back(
        self, failure: Exception
    ) -> None:
        world = World()
        other = Jid("120363000000000102@g.us")
        world.engine.tells_members = False
        world.engine.subjects = {GROUP: "Bakers", other: "Friends"}
        world.engine.roles = {group: {ANA: Role.ADMIN} for group in (GROUP, other)}
        world.engine.group_failures = {GROUP: failure}
        await world.settle()
        found = {r.group for r in world.archive.records(SESSION) if isinstance(r, MemberRecord)}
        assert found == {other}

    async def test_groups_are_not_asked_for_one_by_one_while_the_engine_is_away(self) -> None:
        world = World()
        world.engine.tells_members = False
        groups = [Jid(f"12036300000000{n:04}@g.us") for n in range(50)]
        world.engine.subjects = dict.fromkeys(groups, "Bakers")
        away = EngineUnavailable("WAHA cannot be reached")
        world.engine.group_failures = dict.fromkeys(groups, away)
        await world.settle()
        assert world.engine.requests["members"] == 3

    async def test_what_cannot_be_read_is_told_and_tried_again_after_an_hour(self) -> None:
        world = World()
        world.engine.names = {ANA: "Ana Prado"}
        world.engine.subjects = {GROUP: "Bakers"}
        world.engine.people_failure = EngineUnavailable("WAHA answers 500")
        turns = await world.settle()
        assert [turn.problem for turn in turns if turn.task.chat is None] == ["WAHA answers 500"]
        assert {contact.id for contact in (await world.archive.contacts(SESSION)).contacts} == {
            GROUP
        }
        for _ in range(11):
            world.now += PLAN.interval
            await world.settle()
        assert world.engine.requests["contacts"] == 1
        world.engine.people_failure = None
        world.now += PLAN.interval
        await world.settle()
        assert world.engine.requests["contacts"] == 3
        assert (await world.task(None)).state.people_at == world.now


class TestGroups:
    @pytest.fixture
    def world(self) -> World:
        world = World()
        world.engine.subjects = {GROUP: "Bakers"}
        world.engine.roles = {GROUP: {ANA: Role.ADMIN, BRUNO: Role.PARTICIPANT}}
        return world

    def rows(self, world: World) -> list[tuple[Jid, Role]]:
        """Return the member rows, oldest first."""
        found = [r for r in world.archive.records(SESSION) if isinstance(r, MemberRecord)]
        return [(r.member, r.role) for r in sorted(found, key=lambda r: (r.at, r.member))]

    async def later(self, world: World) -> None:
        world.now += 7 * HOUR
        await world.settle()

    @pytest.mark.parametrize("tells_members", [True, False])
    async def test_unchanged_groups_write_nothing(
        self, world: World, *, tells_members: bool
    ) -> None:
        world.engine.tells_members = tells_members
        await world.settle()
        rows, logged = self.rows(world), await world.logged()
        assert rows == [(ANA, Role.ADMIN), (BRUNO, Role.PARTICIPANT)]
        for _ in range(3):
            await self.later(world)
        assert (self.rows(world), await world.logged()) == (rows, logged)

    async def test_a_change_writes_one_row(self, world: World) -> None:
        await world.settle()
        rows, logged = self.rows(world), await world.logged()
        world.engine.roles[GROUP][BRUNO] = Role.ADMIN
        await self.later(world)
        assert self.rows(world) == [*rows, (BRUNO, Role.ADMIN)]
        assert await world.logged() == logged + 1

    async def test_a_new_name_writes_no_member(self, world: World) -> None:
        await world.settle()
        rows = self.rows(world)
        world.engine.subjects[GROUP] = "Bakers of the South"
        await self.later(world)
        assert self.rows(world) == rows

    async def test_what_a_webhook_told_is_no_news(self, world: World) -> None:
        await world.settle()
        world.engine.roles[GROUP][BRUNO] = Role.ADMIN
        joined = Member(jid=BRUNO, role=Role.ADMIN)
        told = GroupChanged(group=GROUP, at=world.now + HOUR, members=(joined,))
        await world.archive.record([delivery(told)])
        rows = self.rows(world)
        await self.later(world)
        assert self.rows(world) == rows

    async def test_a_return_that_no_webhook_told_is_seen(self, world: World) -> None:
        await world.settle()
        left = GroupChanged(
            group=GROUP, at=world.now + HOUR, members=(Member(jid=BRUNO, role=Role.LEFT),)
        )
        await world.archive.record([delivery(left)])
        await self.later(world)
        assert self.rows(world)[-1] == (BRUNO, Role.PARTICIPANT)


class Machine(RuleBasedStateMachine):
    """Whatever happens meanwhile: nothing that is offered is missed, and no claim is false."""

    @initialize(lists_all=st.booleans(), counts=st.lists(st.integers(0, 70), max_size=3))
    def begin(self, lists_all: bool, counts: list[int]) -> None:  # noqa: FBT001 - hypothesis's way
        self.world = World(lists_all=lists_all)
        self.number = 0
        self.ahead = timedelta()
        self.oldest = NOON - DAY
        self.chats = [ANA, BRUNO, GROUP]
        for chat, count in zip(self.chats, counts, strict=False):
            for n in range(count):
                self.world.engine.add(chat, f"{chat[:7]}-{n}", NOON - HOUR - n // 3 * MINUTE)
        asyncio.run(self.world.find())

    @rule(chat=st.integers(0, 2), count=st.integers(1, 30), heard=st.booleans())
    def arrive(self, chat: int, count: int, heard: bool) -> None:  # noqa: FBT001
        for _ in range(count):
            self.number += 1
            at = self.world.now - self.ahead
            row = self.world.engine.add(self.chats[chat], f"new-{self.number}", at)
            if heard:
                told = msgspec.structs.replace(row.delivery, source=Source.WEBHOOK)
                asyncio.run(self.world.archive.record([told]))

    @rule(chat=st.integers(0, 2), start=st.integers(0, 60), count=st.integers(1, 40))
    def forget(self, chat: int, start: int, count: int) -> None:
        rows = self.world.engine.rows.get(self.chats[chat], [])
        del rows[start : start + count]

    @rule(chat=st.integers(0, 2), count=st.integers(1, 40))
    def go_on_filling(self, chat: int, count: int) -> None:
        for _ in range(count):
            self.number += 1
            self.oldest -= MINUTE
            self.world.engine.add(self.chats[chat], f"old-{self.number}", self.oldest)

    @rule()
    def set_the_clock_wrong_or_right(self) -> None:
        world, was = self.world, self.ahead
        self.ahead = timedelta() if was else 3 * HOUR
        world.now += self.ahead - was
        asyncio.run(SetClockRight(store=world.store, clock=world.clock, plan=PLAN)())

    @rule(kinds=st.lists(st.booleans(), min_size=1, max_size=4))
    def fail(self, kinds: list[bool]) -> None:
        self.world.engine.failures = [EngineUnavailable("no") if bad else None for bad in kinds]

    @rule(working=st.booleans())
    def stop_or_start(self, working: bool) -> None:  # noqa: FBT001
        status = SessionStatus.WORKING if working else SessionStatus.STOPPED
        self.world.engine.status = status

    @rule(seconds=st.sampled_from([1, 30, 150, 310, 4000]))
    def wait(self, seconds: int) -> None:
        self.world.now += seconds * SECOND

    @rule(turns=st.integers(1, 6))
    def work(self, turns: int) -> None:
        asyncio.run(self._work(turns))

    async def _work(self, turns: int) -> None:
        self.world.engine.at = self.world.now
        await self.world.find()
        for _ in range(turns):
            tasks = await self.world.store.claim(self.world.now, lease=PLAN.lease, limit=1)
            for task in tasks:
                await self.world.turn(task)

    @rule()
    def crash(self) -> None:
        """Let a worker claim work and die."""
        asyncio.run(self.world.store.claim(self.world.now, lease=PLAN.lease, limit=2))

    @invariant()
    def claims_are_true(self) -> None:
        world = getattr(self, "world", None)
        if world is None or self.ahead or not asyncio.run(world.store.archives()):
            return
        for chat, rows in world.engine.rows.items():
            known = asyncio.run(world.coverage(chat)).complete
            claimed = {
                row.stanza
                for row in rows
                if row.sent_at and any(row.sent_at in each for each in known)
            }
            assert claimed <= world.stanzas(chat)

    @override
    def teardown(self) -> None:
        if hasattr(self, "world"):
            asyncio.run(self._end())

    async def _end(self) -> None:
        self.world.engine.failures = []
        self.world.engine.status = SessionStatus.WORKING
        for _ in range(4):
            self.world.now += 2 * HOUR
            await self.world.settle()
        self.world.now += 70 * DAY  # by then every list was read again
        await self.world.settle()
        for chat, rows in self.world.engine.rows.items():
            assert {row.stanza for row in rows} <= self.world.stanzas(chat)


TestMachine = Machine.TestCase
TestMachine.settings = settings(max_examples=examples(30), stateful_step_count=25)
