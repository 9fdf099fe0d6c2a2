"""What every sync store promises."""

from datetime import datetime, timedelta
from random import sample
from string import ascii_letters

import msgspec
import pytest
from tests.contracts.archives import Backend
from tests.support.deliveries import (
    ANA,
    ANA_LID,
    BAKERY,
    BRUNO,
    GROUP,
    NOON,
    SECOND,
    SESSION,
    delivery,
    linked,
    seen,
)

from wagateway.domain.errors import LeaseLost
from wagateway.domain.events import (
    Account,
    GroupChanged,
    Member,
    Outcome,
    Role,
    SessionChanged,
    SessionStatus,
    Source,
)
from wagateway.domain.identity import Jid, StanzaId
from wagateway.domain.patience import Patience
from wagateway.domain.spans import Span
from wagateway.domain.sync import SyncState, SyncStatus, failed, fresh, paused, turned
from wagateway.domain.walk import Walk
from wagateway.ports.archive import LogFilter
from wagateway.ports.engine import EngineChat
from wagateway.ports.sync import Archived, SyncStore, SyncTask

LEASE = timedelta(minutes=1)
HOUR = timedelta(hours=1)
MORNING = Span(NOON - 4 * HOUR, NOON - 2 * HOUR)


@pytest.fixture
def there(archive: Backend) -> Backend:
    return archive


@pytest.fixture
def sync(there: Backend) -> SyncStore:
    return there.sync


@pytest.fixture
async def mine(there: Backend) -> Archived:
    await there.record(delivery(SessionChanged(status=SessionStatus.WORKING, at=NOON)))
    [found] = await there.sync.archives()
    return found


def chats(*jids: Jid, active_s: int | None = None) -> list[EngineChat]:
    at = None if active_s is None else NOON + active_s * SECOND
    return [EngineChat(chat=chat, active_at=at) for chat in jids]


async def claimed(sync: SyncStore, *, limit: int = 10, at: datetime = NOON) -> list[SyncTask]:
    return await sync.claim(at, lease=LEASE, limit=limit)


def idle(task: SyncTask) -> SyncTask:
    state = msgspec.structs.replace(
        task.state, status=SyncStatus.IDLE, due_at=None, backward=None, forward=None
    )
    return msgspec.structs.replace(task, state=state)


class TestArchives:
    async def test_are_the_current_ones(self, there: Backend, mine: Archived) -> None:
        assert (mine.session, mine.account) == (SESSION, BAKERY.phone)
        other = Account(phone=Jid("5511912340002@c.us"))
        later = SessionChanged(status=SessionStatus.WORKING, at=NOON + SECOND)
        await there.record(delivery(later, at=NOON + SECOND, account=other))
        await there.record(delivery(later, session="another"))
        found = await there.sync.archives()
        assert [(each.session, each.account) for each in found] == [
            ("another", BAKERY.phone),
            (SESSION, other.phone),
        ]


class TestEnrol:
    async def test_begins_each_chat_once(self, sync: SyncStore, mine: Archived) -> None:
        assert await sync.enrol(mine, chats(ANA, BRUNO), state=fresh(NOON)) == 2
        assert await sync.enrol(mine, chats(ANA, GROUP), state=fresh(NOON)) == 1
        assert {task.chat for task in await sync.tasks(mine)} == {ANA, BRUNO, GROUP}

    async def test_learns_the_latest_activity(self, sync: SyncStore, mine: Archived) -> None:
        for active_s in (5, None, 9, 7):
            await sync.enrol(mine, chats(ANA, active_s=active_s), state=fresh(NOON))
        [task] = await sync.tasks(mine)
        assert task.active_at == NOON + 9 * SECOND

    async def test_leaves_the_state_of_a_known_chat(self, sync: SyncStore, mine: Archived) -> None:
        await sync.enrol(mine, chats(ANA), state=fresh(NOON))
        [task] = await claimed(sync)
        await sync.save(idle(task))
        await sync.enrol(mine, chats(ANA), state=fresh(NOON))
        [task] = await sync.tasks(mine)
        assert task.state.status is SyncStatus.IDLE

    async def test_the_session_has_one_task(self, sync: SyncStore, mine: Archived) -> None:
        assert await sync.enrol_session(mine, state=fresh(NOON))
        assert not await sync.enrol_session(mine, state=fresh(NOON))
        [task] = await sync.tasks(mine)
        assert task.chat is None

    async def test_takes_a_hidden_id_for_its_phone(self, there: Backend, mine: Archived) -> None:
        await there.record(delivery(linked(ANA_LID, ANA)))
        await there.sync.enrol(mine, chats(ANA_LID, ANA), state=fresh(NOON))
        assert [task.chat for task in await there.sync.tasks(mine)] == [ANA]

    async def test_chats_that_were_heard_of_begin_too(self, there: Backend, mine: Archived) -> None:
        await there.record(
            delivery(seen(stanza="A", chat=ANA)), delivery(seen(stanza="B", chat=GROUP))
        )
        await there.sync.enrol(mine, chats(ANA), state=fresh(NOON))
        assert await there.sync.enrol_heard(mine, state=fresh(NOON), limit=10) == 1
        assert await there.sync.enrol_heard(mine, state=fresh(NOON), limit=10) == 0
        assert {task.chat for task in await there.sync.tasks(mine)} == {ANA, GROUP}

    async def test_of_those_heard_of_the_latest_active_begin_first(
        self, there: Backend, mine: Archived
    ) -> None:
        for number, chat in enumerate((ANA, GROUP, BRUNO)):
            at = NOON + number * SECOND
            await there.record(delivery(seen(stanza="A", chat=chat, sent_at=at)))
        assert await there.sync.enrol_heard(mine, state=fresh(NOON), limit=2) == 2
        assert [task.chat for task in await there.sync.tasks(mine)] == [BRUNO, GROUP]


class TestClaim:
    async def test_gives_each_task_to_one_caller(self, sync: SyncStore, mine: Archived) -> None:
        await sync.enrol(mine, chats(ANA, BRUNO), state=fresh(NOON))
        first, second = await claimed(sync, limit=1), await claimed(sync, limit=5)
        assert len(first) == len(second) == 1
        assert first[0].chat != second[0].chat
        assert await claimed(sync) == []

    async def test_the_session_comes_first_then_the_latest_active(
        self, sync: SyncStore, mine: Archived
    ) -> None:
        await sync.enrol(mine, chats(ANA, active_s=5), state=fresh(NOON))
        await sync.enrol(mine, chats(BRUNO, active_s=9), state=fresh(NOON))
        await sync.enrol(mine, chats(GROUP), state=fresh(NOON))
        await sync.enrol_session(mine, state=fresh(NOON))
        assert [task.chat for task in await sync.tasks(mine)] == [None, BRUNO, ANA, GROUP]
        assert [task.chat for task in await claimed(sync)] == [None, BRUNO, ANA, GROUP]

    async def test_who_had_fewer_turns_comes_first(self, sync: SyncStore, mine: Archived) -> None:
        await sync.enrol(mine, chats(ANA, active_s=5), state=fresh(NOON))
        await sync.enrol(mine, chats(BRUNO, active_s=9), state=fresh(NOON))
        [bruno] = [task for task in await sync.tasks(mine) if task.chat == BRUNO]
        await sync.change(msgspec.structs.replace(bruno, state=turned(bruno.state)))
        assert [task.chat for task in await claimed(sync)] == [ANA, BRUNO]

    async def test_takes_only_what_is_due(self, sync: SyncStore, mine: Archived) -> None:
        await sync.enrol(mine, chats(ANA), state=fresh(NOON + SECOND))
        assert await claimed(sync) == []
        assert len(await claimed(sync, at=NOON + SECOND)) == 1

    async def test_what_a_dead_worker_held_is_due_after_its_lease(
        self, sync: SyncStore, mine: Archived
    ) -> None:
        await sync.enrol(mine, chats(ANA), state=fresh(NOON))
        [dead] = await claimed(sync)
        [heir] = await claimed(sync, at=NOON + LEASE)
        assert heir.lease != dead.lease
        with pytest.raises(LeaseLost):
            await sync.save(idle(dead))
        await sync.save(idle(heir))

    async def test_says_that_it_is_held(self, sync: SyncStore, mine: Archived) -> None:
        await sync.enrol(mine, chats(ANA), state=fresh(NOON))
        await claimed(sync)
        [task] = await sync.tasks(mine)
        assert task.state.status is SyncStatus.RUNNING
        assert task.state.due_at == NOON + LEASE


class TestSave:
    async def test_keeps_the_whole_state(self, sync: SyncStore, mine: Archived) -> None:
        await sync.enrol(mine, chats(ANA), state=fresh(NOON))
        [task] = await claimed(sync)
        walk = Walk(
            began_at=NOON,
            until=NOON - HOUR,
            offset=90,
            reached=NOON - SECOND,
            tail=(StanzaId("a"), StanzaId("b")),
        )
        state = SyncState(
            forward=walk,
            backward=Walk(pages=3),
            since=NOON - HOUR,
            bottom=NOON - 2 * HOUR,
            attempts=2,
            caught_up_at=NOON - SECOND,
            people_at=NOON - 2 * SECOND,
            turns=4,
            reread_at=NOON + 3 * HOUR,
            rereads=2,
            due_at=NOON + HOUR,
            problem="ação",
        )
        await sync.save(msgspec.structs.replace(task, state=state))
        [task] = await sync.tasks(mine)
        assert task.state == state
        assert task.lease is None

    async def test_records_the_page_with_it(self, there: Backend, mine: Archived) -> None:
        sync = there.sync
        await sync.enrol(mine, chats(ANA), state=fresh(NOON))
        [task] = await claimed(sync)
        page = [delivery(seen(stanza="A", chat=ANA)), delivery(seen(stanza="A", chat=ANA))]
        recorded = await sync.save(idle(task), proven=(MORNING,), deliveries=page)
        assert [r.outcome for r in recorded] == [Outcome.STORED, Outcome.DUPLICATE]
        assert (await sync.evidence(mine, ANA)).proven == (MORNING,)
        assert len((await there.reader.messages(SESSION, [ANA])).messages) == 1

    async def test_can_go_on_holding(self, sync: SyncStore, mine: Archived) -> None:
        await sync.enrol(mine, chats(ANA), state=fresh(NOON))
        [task] = await claimed(sync)
        later = NOON + 2 * LEASE
        await sync.save(task, keep_until=later)
        assert await claimed(sync, at=NOON + LEASE) == []
        await sync.save(idle(task))
        assert await claimed(sync, at=NOON + HOUR) == []

    async def test_a_lost_lease_writes_no_state(self, sync: SyncStore, mine: Archived) -> None:
        await sync.enrol(mine, chats(ANA), state=fresh(NOON))
        [task] = await claimed(sync)
        await sync.save(idle(task))
        with pytest.raises(LeaseLost):
            await sync.save(task, proven=(MORNING,))
        known = await sync.evidence(mine, ANA)
        assert known.proven == ()
        assert known.state == idle(task).state

    async def test_what_a_page_tells_is_recorded_even_so(
        self, there: Backend, mine: Archived
    ) -> None:
        sync = there.sync
        await sync.enrol(mine, chats(ANA), state=fresh(NOON))
        [task] = await claimed(sync)
        await sync.save(idle(task))
        with pytest.raises(LeaseLost):
            await sync.save(task, deliveries=[delivery(seen(stanza="A", chat=ANA))])
        assert len((await there.reader.messages(SESSION, [ANA])).messages) == 1

    async def test_a_refused_delivery_costs_nothing_else(
        self, there: Backend, mine: Archived
    ) -> None:
        sync = there.sync
        await sync.enrol(mine, chats(ANA), state=fresh(NOON))
        [task] = await claimed(sync)
        refused = Jid("".join(sample(ascii_letters * 80, 4000)) + "@c.us")  # no index holds it
        page = [
            delivery(seen(stanza="A", chat=ANA)),
            delivery(seen(stanza="B", chat=refused)),
            delivery(seen(stanza="C", chat=ANA)),
        ]
        await sync.save(idle(task), proven=(MORNING,), deliveries=page)
        assert (await sync.evidence(mine, ANA)).proven == (MORNING,)
        assert len((await there.reader.messages(SESSION, [ANA])).messages) == 2

    async def test_what_sync_knew_already_is_not_logged(
        self, there: Backend, mine: Archived
    ) -> None:
        known = delivery(seen(stanza="A", chat=ANA), event="sync.message")
        for _ in range(3):
            await there.record(msgspec.structs.replace(known, source=Source.SYNC))
        events = (await there.reader.events(LogFilter(event="sync.message"))).events
        assert [event.outcome for event in events] == [Outcome.STORED]


class TestChange:
    async def test_stops_a_task(self, sync: SyncStore, mine: Archived) -> None:
        await sync.enrol(mine, chats(ANA), state=fresh(NOON))
        [task] = await sync.tasks(mine)
        assert await sync.change(msgspec.structs.replace(task, state=paused(task.state)))
        assert await claimed(sync, at=NOON + HOUR) == []

    async def test_is_refused_where_others_changed_it_meanwhile(
        self, sync: SyncStore, mine: Archived
    ) -> None:
        await sync.enrol(mine, chats(ANA), state=fresh(NOON))
        [before] = await sync.tasks(mine)
        stopped = msgspec.structs.replace(before, state=paused(before.state))
        [held] = await claimed(sync)
        assert not await sync.change(stopped)
        await sync.save(held, keep_until=NOON + LEASE)
        assert not await sync.change(held)
        read = await sync.task(mine, ANA)
        assert read is not None
        assert await sync.put_off(mine, until=NOON + HOUR, problem="away") == 0
        assert await sync.change(msgspec.structs.replace(read, state=fresh(NOON)))
        read = await sync.task(mine, ANA)
        assert read is not None
        assert await sync.put_off(mine, until=NOON + HOUR, problem="away") == 1
        assert not await sync.change(read)
        read = await sync.task(mine, ANA)
        assert read is not None
        assert await sync.go_on(mine, now=NOON, problem="away") == 1
        assert not await sync.change(read)
        assert await sync.task(mine, BRUNO) is None
        assert not await sync.change(msgspec.structs.replace(read, chat=BRUNO))

    async def test_can_be_made_whatever_others_do_meanwhile(
        self, sync: SyncStore, mine: Archived
    ) -> None:
        await sync.enrol(mine, chats(ANA), state=fresh(NOON))
        [before] = await sync.tasks(mine)
        [held] = await claimed(sync)
        after = msgspec.structs.replace(held.state, turns=7)
        await sync.save(msgspec.structs.replace(held, state=after))
        assert await sync.alter(before, paused)
        [task] = await sync.tasks(mine)
        assert (task.state.status, task.state.turns) == (SyncStatus.PAUSED, 7)
        assert not await sync.alter(task, paused)
        assert not await sync.alter(msgspec.structs.replace(task, chat=BRUNO), turned)

    async def test_takes_it_from_whoever_holds_it(self, sync: SyncStore, mine: Archived) -> None:
        await sync.enrol(mine, chats(ANA), state=fresh(NOON))
        [held] = await claimed(sync)
        await sync.change(msgspec.structs.replace(held, state=fresh(NOON)))
        with pytest.raises(LeaseLost):
            await sync.save(held)
        assert len(await claimed(sync)) == 1


class TestSettingRight:
    async def test_knows_the_latest_instant_that_was_read(
        self, sync: SyncStore, mine: Archived
    ) -> None:
        assert await sync.latest(mine, wait=HOUR) is None
        await sync.enrol(mine, chats(ANA, BRUNO), state=fresh(NOON))
        assert await sync.latest(mine, wait=HOUR) is None
        states = {
            ANA: SyncState(caught_up_at=NOON, backward=Walk(began_at=NOON + SECOND)),
            BRUNO: SyncState(forward=Walk(began_at=NOON + 2 * SECOND)),
        }
        for n, chat in enumerate((ANA, BRUNO), start=1):
            task = await sync.task(mine, chat)
            assert task is not None
            assert await sync.change(msgspec.structs.replace(task, state=states[chat]))
            assert await sync.latest(mine, wait=HOUR) == NOON + n * SECOND
        task = await sync.task(mine, ANA)
        assert task is not None
        late = msgspec.structs.replace(task, state=SyncState(caught_up_at=NOON + HOUR))
        assert await sync.change(late)
        assert await sync.latest(mine, wait=HOUR) == NOON + HOUR

    async def test_work_that_is_held_and_the_session_are_due_within_a_time(
        self, sync: SyncStore, mine: Archived
    ) -> None:
        await sync.enrol(mine, chats(ANA), state=fresh(NOON + 9 * HOUR))
        assert await sync.latest(mine, wait=HOUR) is None
        await claimed(sync, at=NOON + 9 * HOUR)
        assert await sync.latest(mine, wait=HOUR) == NOON + 8 * HOUR + LEASE
        await sync.enrol_session(mine, state=fresh(NOON + 11 * HOUR))
        assert await sync.latest(mine, wait=HOUR) == NOON + 10 * HOUR

    async def test_changes_nothing_where_a_person_did_meanwhile(
        self, sync: SyncStore, mine: Archived
    ) -> None:
        await sync.enrol(mine, chats(ANA, BRUNO), state=fresh(NOON))
        tasks = await sync.tasks(mine)
        [ana] = [task for task in tasks if task.chat == ANA]
        assert await sync.alter(ana, paused)
        changed = [msgspec.structs.replace(task, state=fresh(NOON + HOUR)) for task in tasks]
        assert not await sync.set_right(changed, since=NOON)
        states = {task.chat: task.state for task in await sync.tasks(mine)}
        assert states == {ANA: paused(ana.state), BRUNO: fresh(NOON)}

    async def test_takes_states_and_proofs_back_together(
        self, sync: SyncStore, mine: Archived
    ) -> None:
        await sync.enrol(mine, chats(ANA, BRUNO), state=fresh(NOON))
        await sync.enrol_session(mine, state=fresh(NOON))
        spans = {
            None: (Span(NOON - HOUR, NOON + HOUR),),
            ANA: (MORNING, Span(NOON, NOON + HOUR)),
            BRUNO: (MORNING,),
        }
        held = await claimed(sync)
        for task in held:
            await sync.save(task, proven=spans[task.chat], keep_until=NOON + LEASE)
        changed = [
            msgspec.structs.replace(task, state=fresh(NOON)) for task in await sync.tasks(mine)
        ]
        assert await sync.set_right(changed, since=NOON - SECOND)
        assert (await sync.evidence(mine, None)).proven == (Span(NOON - HOUR, NOON - SECOND),)
        assert await sync.proven(mine) == {ANA: (MORNING,), BRUNO: (MORNING,)}
        for task in held:
            with pytest.raises(LeaseLost):
                await sync.save(task)
        assert len(await claimed(sync)) == 3


class TestWaiting:
    async def test_chats_wait_for_their_session_and_go_on(
        self, sync: SyncStore, mine: Archived
    ) -> None:
        await sync.enrol(mine, chats(ANA, BRUNO), state=fresh(NOON))
        await sync.enrol_session(mine, state=fresh(NOON))
        assert await sync.put_off(mine, until=NOON + HOUR, problem="away") == 2
        assert [task.chat for task in await claimed(sync)] == [None]
        assert await sync.go_on(mine, now=NOON, problem="other") == 0
        assert await sync.go_on(mine, now=NOON, problem="away") == 2
        assert len(await claimed(sync)) == 2

    async def test_lists_that_would_be_read_again_wait_too(
        self, sync: SyncStore, mine: Archived
    ) -> None:
        await sync.enrol(mine, chats(ANA, BRUNO), state=fresh(NOON))
        rests = SyncState(status=SyncStatus.IDLE, due_at=NOON, reread_at=NOON)
        for task in await sync.tasks(mine):
            state = rests if task.chat == ANA else SyncState(status=SyncStatus.IDLE)
            assert await sync.change(msgspec.structs.replace(task, state=state))
        assert await sync.put_off(mine, until=NOON + HOUR, problem="away") == 1
        assert await claimed(sync) == []
        ana = await sync.task(mine, ANA)
        assert ana is not None
        assert ana.state == msgspec.structs.replace(rests, due_at=NOON + HOUR)

    async def test_failed_ones_keep_their_time(self, sync: SyncStore, mine: Archived) -> None:
        await sync.enrol(mine, chats(ANA), state=fresh(NOON))
        [task] = await claimed(sync)
        given_up = failed(task.state, NOON, "no", Patience(max_retries=0))
        await sync.save(msgspec.structs.replace(task, state=given_up))
        assert await sync.put_off(mine, until=NOON + 9 * HOUR, problem="away") == 0

    async def test_who_waits_longer_anyway_keeps_that_time(
        self, sync: SyncStore, mine: Archived
    ) -> None:
        await sync.enrol(mine, chats(ANA), state=fresh(NOON + 2 * HOUR))
        assert await sync.put_off(mine, until=NOON + HOUR, problem="away") == 0
        [task] = await sync.tasks(mine)
        assert (task.state.due_at, task.state.problem) == (NOON + 2 * HOUR, None)


class TestCoverage:
    async def test_spans_join(self, sync: SyncStore, mine: Archived) -> None:
        await sync.enrol(mine, chats(ANA), state=fresh(NOON))
        [task] = await claimed(sync)
        await sync.save(task, proven=(MORNING,), keep_until=NOON)
        await sync.save(task, proven=(Span(MORNING.end, NOON),), keep_until=NOON)
        assert await sync.proven(mine) == {ANA: (Span(MORNING.begin, NOON),)}
        assert (await sync.evidence(mine, ANA)).proven == (Span(MORNING.begin, NOON),)

    async def test_what_the_session_proves_holds_for_each_chat(
        self, sync: SyncStore, mine: Archived
    ) -> None:
        await sync.enrol_session(mine, state=fresh(NOON))
        [task] = await claimed(sync)
        await sync.save(task, proven=(MORNING,))
        assert (await sync.evidence(mine, BRUNO)).proven == (MORNING,)
        assert await sync.proven(mine) == {}

    async def test_quiet_chats_are_extended_and_no_others(
        self, sync: SyncStore, mine: Archived
    ) -> None:
        later = Jid("5511900000001@c.us")
        await sync.enrol(mine, chats(ANA, BRUNO, GROUP, later), state=fresh(NOON))
        for task in await claimed(sync):
            gap = task.chat == GROUP
            spans = (Span(MORNING.begin, MORNING.end - HOUR),) if gap else (MORNING,)
            await sync.save(idle(task), proven=() if task.chat == later else spans)
        extended = await sync.extend_quiet(mine, since=MORNING.end, until=NOON, active=[BRUNO])
        assert extended == 1
        assert (await sync.evidence(mine, ANA)).proven == (Span(MORNING.begin, NOON),)
        assert (await sync.evidence(mine, BRUNO)).proven == (MORNING,)
        assert (await sync.evidence(mine, later)).proven == ()

    async def test_knows_what_else_bears_on_it(self, sync: SyncStore, mine: Archived) -> None:
        await sync.beat("api-1", since=NOON, until=NOON + SECOND)
        await sync.beat("api-1", since=NOON, until=NOON + 9 * SECOND)
        await sync.beat("api-1", since=NOON, until=NOON + 2 * SECOND)
        await sync.beat("api-2", since=NOON + 5 * SECOND, until=NOON + 20 * SECOND)
        known = await sync.evidence(mine, ANA)
        assert known.up == (Span(NOON, NOON + 20 * SECOND),)
        assert known.statuses == ((NOON, SessionStatus.WORKING),)
        assert known.state is None

    async def test_only_webhooks_say_when_a_session_was_heard_last(
        self, there: Backend, mine: Archived
    ) -> None:
        await there.record(
            delivery(seen(stanza="B"), at=NOON + 2 * SECOND),
            delivery(seen(stanza="C"), at=NOON + SECOND),
            delivery(seen(stanza="D"), at=NOON + HOUR, source=Source.SYNC),
        )
        known = await there.sync.evidence(mine, None)
        assert known.first_heard_at == NOON + SECOND  # received a second after it happened
        assert known.last_heard_at == NOON + 3 * SECOND


class TestMerging:
    async def test_a_hidden_id_joins_its_phone_and_both_are_read_again(
        self, there: Backend, mine: Archived
    ) -> None:
        sync = there.sync
        await there.record(
            delivery(seen(stanza="A", chat=ANA_LID)), delivery(seen(stanza="B", chat=ANA))
        )
        await sync.enrol(mine, chats(ANA_LID, ANA, active_s=3), state=fresh(NOON))
        afternoon = Span(MORNING.end - HOUR, NOON)
        for task in await claimed(sync):
            spans = (MORNING,) if task.chat == ANA else (afternoon,)
            await sync.save(idle(task), proven=spans)
        await there.record(delivery(linked(ANA_LID, ANA)))
        [task] = await sync.tasks(mine)
        assert task.chat == ANA
        assert task.state.backward is not None
        assert (await sync.evidence(mine, ANA)).proven == (Span(afternoon.begin, MORNING.end),)
        assert len(await claimed(sync)) == 1

    @pytest.mark.parametrize("known", [ANA_LID, ANA])
    @pytest.mark.parametrize("both", [True, False])
    async def test_a_pause_of_either_stays(
        self, there: Backend, mine: Archived, known: Jid, *, both: bool
    ) -> None:
        sync = there.sync
        await there.record(delivery(seen(stanza="A", chat=ANA_LID)))
        await sync.enrol(mine, chats(ANA_LID, ANA) if both else chats(ANA_LID), state=fresh(NOON))
        chosen = known if both else ANA_LID
        [task] = [task for task in await sync.tasks(mine) if task.chat == chosen]
        assert await sync.alter(task, paused)
        await there.record(delivery(linked(ANA_LID, ANA)))
        [task] = await sync.tasks(mine)
        assert (task.chat, task.state.status, task.state.due_at) == (ANA, SyncStatus.PAUSED, None)

    async def test_a_hidden_id_alone_becomes_its_phone(
        self, there: Backend, mine: Archived
    ) -> None:
        sync = there.sync
        await there.record(delivery(seen(stanza="A", chat=ANA_LID)))
        await sync.enrol(mine, chats(ANA_LID), state=fresh(NOON))
        [task] = await claimed(sync)
        await there.record(delivery(linked(ANA_LID, ANA)))
        with pytest.raises(LeaseLost):
            await sync.save(idle(task), proven=(MORNING,))
        [task] = await claimed(sync)
        assert task.chat == ANA

    async def test_a_page_may_tell_that_its_own_chat_is_a_phone(
        self, there: Backend, mine: Archived
    ) -> None:
        sync = there.sync
        await there.record(delivery(seen(stanza="A", chat=ANA_LID)))
        await sync.enrol(mine, chats(ANA_LID), state=fresh(NOON))
        [task] = await claimed(sync)
        page = [delivery(seen(stanza="B", chat=ANA_LID)), delivery(linked(ANA_LID, ANA))]
        with pytest.raises(LeaseLost):
            await sync.save(idle(task), proven=(MORNING,), deliveries=page)
        assert len((await there.reader.messages(SESSION, [ANA])).messages) == 2
        [task] = await claimed(sync)
        assert task.chat == ANA
        assert (await sync.evidence(mine, ANA)).proven == ()


class TestDigests:
    async def test_only_news_is_told(self, sync: SyncStore, mine: Archived) -> None:
        known = {"a": b"1", "b": b"2"}
        assert await sync.changed(mine, "contact", known) == {"a", "b"}
        await sync.remember(mine, "contact", known)
        assert await sync.changed(mine, "contact", known | {"b": b"3", "c": b"4"}) == {"b", "c"}
        assert await sync.changed(mine, "group", known) == {"a", "b"}


class TestRoles:
    async def test_only_other_roles_are_told(self, there: Backend, mine: Archived) -> None:
        asked = {ANA: Role.ADMIN, BRUNO: Role.PARTICIPANT}
        assert await there.sync.other_roles(mine, GROUP, asked) == {ANA, BRUNO}
        await there.record(delivery(members(ANA, Role.ADMIN), members(BRUNO, Role.ADMIN)))
        assert await there.sync.other_roles(mine, GROUP, asked) == {BRUNO}
        assert await there.sync.other_roles(mine, GROUP, {}) == set()
        elsewhere = Jid("120363000000000999@g.us")
        assert await there.sync.other_roles(mine, elsewhere, {ANA: Role.ADMIN}) == {ANA}

    async def test_the_latest_counts_in_whatever_order_it_came(
        self, there: Backend, mine: Archived
    ) -> None:
        await there.record(
            delivery(members(ANA, Role.LEFT, at=NOON + 2 * SECOND)),
            delivery(members(ANA, Role.ADMIN, at=NOON + SECOND)),
        )
        assert await there.sync.other_roles(mine, GROUP, {ANA: Role.ADMIN}) == {ANA}
        assert await there.sync.other_roles(mine, GROUP, {ANA: Role.LEFT}) == set()

    async def test_a_hidden_id_is_its_phone(self, there: Backend, mine: Archived) -> None:
        await there.record(delivery(members(ANA, Role.ADMIN)))
        assert await there.sync.other_roles(mine, GROUP, {ANA_LID: Role.ADMIN}) == {ANA_LID}
        await there.record(delivery(linked(ANA_LID, ANA)))
        assert await there.sync.other_roles(mine, GROUP, {ANA_LID: Role.ADMIN}) == set()


def members(who: Jid, role: Role, *, at: datetime = NOON) -> GroupChanged:
    return GroupChanged(group=GROUP, at=at, members=(Member(jid=who, role=role),))
