"""Group commit: who shares a transaction with whom, who waits for whom, and who hears what."""

import asyncio
import random
from collections import defaultdict
from collections.abc import Sequence
from contextlib import suppress
from contextvars import ContextVar

import pytest
from tests.support.deliveries import delivery, seen
from typing_extensions import override

from wagateway.adapters.memory.archive import InMemoryArchive
from wagateway.domain.errors import Conflict, StoreUnavailable
from wagateway.domain.events import Delivery, Outcome, Recorded
from wagateway.usecases.group_commit import Commit, GroupCommit

Calls = list[asyncio.Task[list[Recorded]]]


class Gated(InMemoryArchive):
    """An archive whose transactions wait until the test lets them go.

    Attributes:
        gate: one transaction ends for each release.
        locked: sessions whose transactions never end, until they are taken out and woken.
        groups: the bodies of each transaction, in the order in which they began.
        failure: what transactions end with.
    """

    def __init__(self) -> None:
        super().__init__()
        self.gate = asyncio.Semaphore(0)
        self.locked: set[str] = set()
        self.unlocked = asyncio.Condition()
        self.groups: list[list[str]] = []
        self.failure: BaseException | None = None
        self.running = 0
        self.most_at_once = 0

    @override
    async def record(self, deliveries: Sequence[Delivery]) -> list[Recorded]:
        self.groups.append([d.body.decode() for d in deliveries])
        self.running += 1
        self.most_at_once = max(self.most_at_once, self.running)
        try:
            async with self.unlocked:
                await self.unlocked.wait_for(
                    lambda: self.locked.isdisjoint(d.session for d in deliveries)
                )
            await self.gate.acquire()
            if self.failure is not None:
                raise self.failure
            return await super().record(deliveries)
        finally:
            self.running -= 1

    async def unlock(self) -> None:
        self.locked.clear()
        async with self.unlocked:
            self.unlocked.notify_all()

    def release(self, groups: int = 1000) -> None:
        for _ in range(groups):
            self.gate.release()

    async def began(self, groups: int) -> None:
        async with asyncio.timeout(10):
            while len(self.groups) < groups:
                await asyncio.sleep(0.001)


def named(name: str) -> list[Delivery]:
    """Return one delivery with *name* as its body; its first letter is the session."""
    return [delivery(seen(stanza=name), body=name.encode(), session=name[0])]


async def started(commit: GroupCommit, *names: str) -> Calls:
    tasks = [asyncio.create_task(commit.record(named(name))) for name in names]
    for _ in range(4):
        await asyncio.sleep(0)
    return tasks


async def endings(calls: Calls) -> list[type]:
    """Return the outcome or error of each."""
    found = await asyncio.gather(*calls, return_exceptions=True)
    return [type(each) if isinstance(each, BaseException) else Outcome for each in found]


class TestGroups:
    async def test_what_arrives_while_one_commits_forms_the_next(self) -> None:
        archive = Gated()
        commit = GroupCommit(archive)
        first = await started(commit, "a1")
        others = await started(commit, "a2", "b1", "c1")
        assert archive.groups == [["a1"]]
        archive.release(1)
        assert (await first[0])[0].outcome is Outcome.STORED
        await archive.began(2)
        assert archive.groups == [["a1"], ["a2", "b1", "c1"]]
        archive.release(1)
        answers = await asyncio.gather(*others)
        assert [a[0].outcome for a in answers] == [Outcome.STORED] * 3
        assert archive.most_at_once == 1

    async def test_what_arrives_at_once_goes_together(self) -> None:
        archive = Gated()
        archive.release()
        await asyncio.gather(*await started(GroupCommit(archive), "a1", "a2", "b1"))
        assert archive.groups == [["a1", "a2", "b1"]]

    async def test_nobody_is_answered_before_the_commit(self) -> None:
        archive = Gated()
        (task,) = await started(GroupCommit(archive), "a")
        done, _ = await asyncio.wait([task], timeout=0.02)
        assert not done
        archive.release(1)
        assert await task

    async def test_they_have_a_limit_but_a_large_body_goes_whole(self) -> None:
        archive = Gated()
        commit = GroupCommit(archive, max_items=2)
        tasks = [*await started(commit, "a"), *await started(commit, "b", "c", "d")]
        big = asyncio.create_task(commit.record([*named("e"), *named("f"), *named("g")]))
        await asyncio.sleep(0)
        archive.release()
        await asyncio.gather(big, *tasks)
        assert archive.groups == [["a"], ["b", "c"], ["d"], ["e", "f", "g"]]

    async def test_large_bodies_share_no_transaction(self) -> None:
        archive = Gated()
        commit = GroupCommit(archive)
        first = await started(commit, "a")
        large = [delivery(seen(), body=bytes(9 * 2**20)) for _ in range(2)]
        others = [asyncio.create_task(commit.record([each])) for each in large]
        archive.release()
        await asyncio.gather(*first, *others)
        assert [len(group) for group in archive.groups] == [1, 1, 1]


class TestEndings:
    async def test_an_error_reaches_every_caller_of_its_group_and_no_other(self) -> None:
        archive = Gated()
        commit = GroupCommit(archive)
        first = await started(commit, "a")
        others = await started(commit, "b", "c")
        archive.release(1)
        await first[0]
        archive.failure = Conflict("what it is")
        archive.release(1)
        assert await endings(others) == [Conflict] * 2
        archive.failure = None
        archive.release(1)
        assert await commit.record(named("d"))

    @pytest.mark.parametrize("failure", [asyncio.CancelledError(), TimeoutError()], ids=repr)
    async def test_a_write_that_is_broken_off_answers_its_callers(
        self, failure: BaseException
    ) -> None:
        archive = Gated()
        archive.failure = failure
        commit = GroupCommit(archive)
        calls = await started(commit, "a", "b")
        later = await started(commit, "c")
        archive.release(1)
        assert await endings(calls) == [StoreUnavailable] * 2
        archive.failure = None
        archive.release(1)
        assert await endings(later) == [Outcome]

    async def test_a_caller_that_leaves_harms_nobody(self) -> None:
        archive = Gated()
        commit = GroupCommit(archive)
        leaving, staying = await started(commit, "a", "b")
        leaving.cancel()
        with suppress(asyncio.CancelledError):
            await leaving
        archive.release()
        assert (await staying)[0].outcome is Outcome.STORED
        assert [name for group in archive.groups for name in group] == ["a", "b"]


class TestTelling:
    async def test_each_group_is_told_with_its_outcomes(self) -> None:
        archive, told = Gated(), list[Commit]()
        commit = GroupCommit(archive, told=told.append)
        tasks = [*await started(commit, "a"), *await started(commit, "b", "b")]
        await asyncio.sleep(0.02)
        archive.release()
        await asyncio.gather(*tasks)
        assert [[d.body for d in each.deliveries] for each in told] == [[b"a"], [b"b", b"b"]]
        assert [[r.outcome for r in each.recorded or ()] for each in told] == [
            [Outcome.STORED],
            [Outcome.STORED, Outcome.DUPLICATE],
        ]
        assert 0.01 < told[0].duration_s < 5

    async def test_a_group_has_the_context_of_none_of_its_callers(self) -> None:
        request = ContextVar("request", default="none")
        found: list[str] = []

        class Curious(InMemoryArchive):
            @override
            async def record(self, deliveries: Sequence[Delivery]) -> list[Recorded]:
                found.append(request.get())
                return await super().record(deliveries)

        request.set("a")
        commit = GroupCommit(Curious(), told=lambda _: found.append(request.get()))
        await asyncio.gather(*(commit.record(named(name)) for name in "ab"))
        assert (found, request.get()) == (["none", "none"], "a")

    async def test_who_listens_and_fails_harms_no_caller(self) -> None:
        def fail(_: Commit) -> None:
            raise ValueError("a defect of who listens")

        archive, complaints = Gated(), list[dict[str, object]]()
        asyncio.get_running_loop().set_exception_handler(lambda _, what: complaints.append(what))
        commit = GroupCommit(archive, told=fail)
        tasks = [*await started(commit, "a"), *await started(commit, "b")]
        archive.release()
        assert len(await asyncio.gather(*tasks)) == 2
        assert len(complaints) == 2

    @pytest.mark.parametrize("failure", [Conflict("x"), asyncio.CancelledError()], ids=repr)
    async def test_a_group_that_failed_is_told_too(self, failure: BaseException) -> None:
        archive, told = Gated(), list[Commit]()
        archive.failure = failure
        calls = await started(GroupCommit(archive, told=told.append), "a")
        archive.release()
        assert len(await endings(calls)) == 1
        [commit] = told
        assert (commit.recorded, len(commit.deliveries)) == (None, 1)


class TestNeighbours:
    async def test_who_failed_together_goes_alone_until_it_is_taken(self) -> None:
        archive = Gated()
        archive.failure = StoreUnavailable("one of them is locked")
        commit = GroupCommit(archive)
        archive.release(10)
        assert await endings(await started(commit, "a1", "b1", "a2")) == [StoreUnavailable] * 3
        archive.failure = None
        for _ in range(2):
            assert await endings(await started(commit, "a3", "b2", "a4")) == [Outcome] * 3
        assert archive.groups == [["a1", "b1", "a2"], ["a3", "a4"], ["b2"], ["a3", "b2", "a4"]]


class TestPatience:
    async def test_a_caller_hears_in_time_and_is_a_duplicate_when_it_comes_back(self) -> None:
        archive = Gated()
        commit = GroupCommit(archive, patience_s=0.05)
        assert await endings(await started(commit, "a")) == [StoreUnavailable]
        archive.release()
        while archive.running:
            await asyncio.sleep(0)
        (again,) = await asyncio.gather(*await started(commit, "a"))
        assert again[0].outcome is Outcome.DUPLICATE

    async def test_who_comes_to_a_group_that_is_overdue_is_refused_at_once(self) -> None:
        archive = Gated()
        archive.locked = {"a"}
        commit = GroupCommit(archive, slow_after_s=0.01, patience_s=0.05, max_groups=2)
        waited = await started(commit, "a1")
        assert await endings(waited) == [StoreUnavailable]
        await asyncio.sleep(0.01)
        (refused,) = await started(commit, "a2")
        assert refused.done()
        archive.release()
        assert await endings([refused, *await started(commit, "b")]) == [StoreUnavailable, Outcome]
        assert archive.groups == [["a1"], ["b"]]
        await archive.unlock()

    async def test_when_all_groups_are_overdue_everybody_is_refused(self) -> None:
        archive = Gated()
        commit = GroupCommit(archive, patience_s=0.05, slow_after_s=0, max_groups=2)
        waited = [*await started(commit, "a")]
        await archive.began(1)
        waited += await started(commit, "b")
        await archive.began(2)
        assert await endings(waited) == [StoreUnavailable] * 2
        await asyncio.sleep(0.01)
        (refused,) = await started(commit, "c")
        assert await endings([refused]) == [StoreUnavailable]
        assert len(archive.groups) == 2
        archive.release()
        await commit.aclose()

    async def test_a_connection_that_stays_silent_is_given_up(self) -> None:
        archive = Gated()
        commit = GroupCommit(archive, give_up_s=0.02)
        assert await endings(await started(commit, "a")) == [StoreUnavailable]
        assert archive.running == 0


class TestSlowGroups:
    async def test_other_sessions_pass_a_locked_one_and_its_own_keep_their_order(self) -> None:
        archive = Gated()
        archive.locked = {"a"}
        archive.release()
        commit = GroupCommit(archive, slow_after_s=0.01)
        locked = await started(commit, "a1")
        locked += await started(commit, "a2")
        free = await started(commit, "b1", "c1")
        both = asyncio.create_task(commit.record([*named("a3"), *named("d1")]))
        behind = await started(commit, "d2")
        await asyncio.gather(*free)
        assert archive.groups == [["a1"], ["b1", "c1"]]
        assert not any(call.done() for call in [*locked, both, *behind])
        await archive.unlock()
        assert await endings([*locked, both, *behind]) == [Outcome] * 4
        assert archive.groups[2:] == [["a2", "a3", "d1", "d2"]]

    async def test_they_are_not_passed_before_they_are_slow(self) -> None:
        archive = Gated()
        commit = GroupCommit(archive, slow_after_s=5)
        calls = [*await started(commit, "a"), *await started(commit, "b", "c")]
        await asyncio.sleep(0.03)
        assert archive.groups == [["a"]]
        archive.release()
        await asyncio.gather(*calls)
        assert archive.groups == [["a"], ["b", "c"]]

    async def test_there_are_never_more_than_the_connections_for_them(self) -> None:
        archive = Gated()
        commit = GroupCommit(archive, slow_after_s=0, max_groups=3)
        calls: Calls = []
        for name in ("a", "b", "c", "d", "e"):
            calls += await started(commit, name)
            await asyncio.sleep(0.01)
        assert archive.groups == [["a"], ["b"], ["c"]]
        archive.release()
        await asyncio.gather(*calls)
        assert archive.most_at_once == 3
        assert archive.groups[3:] == [["d", "e"]]

    async def test_a_session_that_was_overdue_goes_alone_until_it_is_well(self) -> None:
        archive = Gated()
        archive.locked = {"a"}
        commit = GroupCommit(archive, slow_after_s=0.01, patience_s=0.05)
        await endings(await started(commit, "a1", "b1"))
        archive.release()
        await archive.unlock()
        while archive.running:
            await asyncio.sleep(0)
        archive.locked = {"a"}
        calls = await started(commit, "a2", "b2", "c2", "b3", "d2")
        assert await endings(calls[1:]) == [Outcome] * 4
        assert archive.groups[1:] == [["a2"], ["b2", "b3"], ["c2", "d2"]]
        await archive.unlock()
        await endings(calls)
        while archive.running:
            await asyncio.sleep(0)
        assert await endings(await started(commit, "b4", "c4")) == [Outcome] * 2
        assert archive.groups[-1] == ["b4", "c4"]


class TestRoom:
    async def fit(self, commit: GroupCommit, archive: Gated) -> int:
        """Return how many callers are taken before one is turned away."""
        taken = await started(commit, "z")
        for number in range(100):
            (call,) = await started(commit, f"z{number}")
            if call.done():
                assert await endings([call]) == [StoreUnavailable]
                break
            taken.append(call)
        archive.release(2)
        await asyncio.gather(*taken)
        return len(taken)

    async def test_too_much_that_waits_turns_callers_away(self) -> None:
        archive = Gated()
        commit = GroupCommit(archive, max_waiting_bytes=10_000)
        assert await self.fit(commit, archive) == 9

    async def test_a_body_larger_than_all_room_is_taken_when_nothing_waits(self) -> None:
        archive = Gated()
        commit = GroupCommit(archive, max_waiting_bytes=1)
        calls = [*await started(commit, "a"), *await started(commit, "b")]
        (refused,) = await started(commit, "c")
        archive.release()
        assert await endings([*calls, refused]) == [Outcome, Outcome, StoreUnavailable]

    async def test_it_comes_back_however_calls_end(self) -> None:
        archive = Gated()
        commit = GroupCommit(archive, max_waiting_bytes=10_000, patience_s=0.3)
        for failure in (StoreUnavailable("away"), asyncio.CancelledError(), None):
            archive.failure = failure
            left, *_ = calls = await started(commit, "a", "b", "c")
            waiting = await started(commit, "d", "e")
            left.cancel()
            waiting[0].cancel()
            archive.release(5)  # who failed goes alone the next time
            await endings([*calls, *waiting])
        archive.gate = asyncio.Semaphore(0)
        patient = await started(commit, "a")
        await endings([*patient, *await started(commit, "b", "c")])
        archive.release(3)
        while archive.running:
            await asyncio.sleep(0)
        archive.gate = asyncio.Semaphore(0)
        assert await self.fit(commit, archive) == 9


class TestClosing:
    async def test_it_waits_for_what_was_taken(self) -> None:
        archive = Gated()
        commit = GroupCommit(archive)
        tasks = [*await started(commit, "a"), *await started(commit, "b")]
        closing = asyncio.create_task(commit.aclose())
        done, _ = await asyncio.wait([closing], timeout=0.02)
        assert not done
        archive.release()
        await closing
        assert all(task.done() for task in tasks)
        assert archive.groups == [["a"], ["b"]]

    async def test_it_does_not_wait_for_ever(self) -> None:
        archive = Gated()
        commit = GroupCommit(archive, patience_s=0.05)
        calls = [*await started(commit, "a"), *await started(commit, "b")]
        async with asyncio.timeout(5):
            await commit.aclose()
        assert await endings(calls) == [StoreUnavailable] * 2
        assert archive.running == 0
        assert archive.groups == [["a"]]

    async def test_nothing_is_taken_any_more(self) -> None:
        archive = Gated()
        commit = GroupCommit(archive)
        await commit.aclose()
        assert await endings(await started(commit, "a")) == [StoreUnavailable]
        assert archive.groups == []


class Storm(InMemoryArchive):
    """An archive that takes its time, fails now and then, and watches who comes with whom."""

    def __init__(self, dice: random.Random) -> None:
        super().__init__()
        self.dice = dice
        self.inside: list[set[str]] = []
        self.clashes = 0
        self.most_at_once = 0
        self.orders: dict[str, list[int]] = defaultdict(list)
        self.written: set[str] = set()
        self.failed: set[str] = set()

    @override
    async def record(self, deliveries: Sequence[Delivery]) -> list[Recorded]:
        sessions = {str(d.session) for d in deliveries}
        self.clashes += not all(sessions.isdisjoint(other) for other in self.inside)
        for d in deliveries:
            self.orders[d.session].append(int(d.body))
        self.inside.append(sessions)
        self.most_at_once = max(self.most_at_once, len(self.inside))
        bodies = {d.body.decode() for d in deliveries}
        try:
            await asyncio.sleep(self.dice.choice([0, 0, 0.001, 0.004, 0.02]))
            ending = self.dice.random()
            if ending < 0.1:
                self.failed |= bodies
                raise self.dice.choice([StoreUnavailable("away"), asyncio.CancelledError()])
            self.written |= bodies
            return [Recorded(outcome=Outcome.STORED, reason=d.body.decode()) for d in deliveries]
        finally:
            self.inside.remove(sessions)


@pytest.mark.parametrize("seed", range(8))
async def test_in_any_weather_everybody_hears_what_became_of_his_own(seed: int) -> None:
    dice = random.Random(seed)
    archive = Storm(dice)
    commit = GroupCommit(archive, max_items=8, slow_after_s=0.002, max_groups=3)
    calls: dict[str, asyncio.Task[list[Recorded]]] = {}
    left: set[str] = set()
    for number in range(300):
        sessions = dice.sample("abcdefgh", dice.choice([1, 1, 1, 2]))
        told = [delivery(seen(), body=str(number).encode(), session=name) for name in sessions]
        calls[str(number)] = call = asyncio.create_task(commit.record(told))
        await asyncio.sleep(dice.choice([0, 0, 0, 0.001]))
        if dice.random() < 0.1 and not call.done():
            call.cancel()
            left.add(str(number))
    found = await asyncio.gather(*calls.values(), return_exceptions=True)
    await commit.aclose()
    assert archive.written | archive.failed == calls.keys()
    assert archive.written.isdisjoint(archive.failed)
    assert all(order == sorted(order) for order in archive.orders.values())
    assert archive.clashes == 0
    assert 1 < archive.most_at_once <= 3
    for name, answer in zip(calls, found, strict=True):
        if isinstance(answer, StoreUnavailable):
            assert name in archive.failed
        elif isinstance(answer, BaseException):
            assert (type(answer), name in left) == (asyncio.CancelledError, True)
        else:
            assert {recorded.reason for recorded in answer} == {name}
