"""Group commit: who shares a transaction with whom, and who hears what."""

import asyncio
from collections.abc import Sequence
from contextlib import suppress

import pytest
from tests.support.deliveries import NOON, delivery, seen
from typing_extensions import override

from wagateway.adapters.memory import InMemoryArchive
from wagateway.adapters.waha.reader import WahaReader
from wagateway.domain.errors import InvalidInput, StoreUnavailable
from wagateway.domain.events import Delivery, Outcome, Recorded
from wagateway.usecases.ingest import GroupCommit, IngestBody, Ingested


class Gated(InMemoryArchive):
    """An archive whose transactions wait until the test lets them go."""

    def __init__(self) -> None:
        super().__init__()
        self.gate = asyncio.Semaphore(0)
        self.groups: list[list[str]] = []
        self.failure: Exception | None = None
        self.running = 0
        self.most_at_once = 0

    @override
    async def record(self, deliveries: Sequence[Delivery]) -> list[Recorded]:
        self.groups.append([d.body.decode() for d in deliveries])
        self.running += 1
        self.most_at_once = max(self.most_at_once, self.running)
        try:
            await self.gate.acquire()
            if self.failure is not None:
                raise self.failure
            return await super().record(deliveries)
        finally:
            self.running -= 1


def named(name: str) -> list[Delivery]:
    return [delivery(seen(stanza=name), body=name.encode())]


async def started(commit: GroupCommit, *names: str) -> list[asyncio.Task[list[Recorded]]]:
    tasks = [asyncio.create_task(commit.record(named(name))) for name in names]
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    return tasks


async def test_what_arrives_while_one_commits_forms_the_next_group() -> None:
    archive = Gated()
    commit = GroupCommit(archive)
    first = await started(commit, "a")
    others = await started(commit, "b", "c", "d")
    assert archive.groups == [["a"]]
    archive.gate.release()
    assert (await first[0])[0].outcome is Outcome.STORED
    await asyncio.sleep(0)
    assert archive.groups == [["a"], ["b", "c", "d"]]
    archive.gate.release()
    answers = await asyncio.gather(*others)
    assert [a[0].outcome for a in answers] == [Outcome.STORED] * 3
    assert archive.most_at_once == 1


async def test_nobody_is_answered_before_the_commit() -> None:
    archive = Gated()
    (task,) = await started(GroupCommit(archive), "a")
    done, _ = await asyncio.wait([task], timeout=0.02)
    assert not done
    archive.gate.release()
    assert await task


async def test_a_group_has_a_limit_but_a_large_body_goes_whole() -> None:
    archive = Gated()
    commit = GroupCommit(archive, max_items=2)
    tasks = [*await started(commit, "a"), *await started(commit, "b", "c", "d")]
    big = asyncio.create_task(commit.record([*named("e"), *named("f"), *named("g")]))
    await asyncio.sleep(0)
    for _ in range(9):
        archive.gate.release()
    await asyncio.gather(big, *tasks)
    assert archive.groups == [["a"], ["b", "c"], ["d"], ["e", "f", "g"]]


async def test_an_error_reaches_every_caller_of_its_group_and_no_other() -> None:
    archive = Gated()
    commit = GroupCommit(archive)
    first = await started(commit, "a")
    others = await started(commit, "b", "c")
    archive.gate.release()
    await first[0]
    archive.failure = StoreUnavailable("away")
    archive.gate.release()
    answers = await asyncio.gather(*others, return_exceptions=True)
    assert [type(a) for a in answers] == [StoreUnavailable] * 2
    archive.failure = None
    archive.gate.release()
    assert await commit.record(named("d"))


async def test_a_caller_that_leaves_harms_nobody() -> None:
    archive = Gated()
    commit = GroupCommit(archive)
    leaving, staying = await started(commit, "a", "b")
    leaving.cancel()
    with suppress(asyncio.CancelledError):
        await leaving
    archive.gate.release()
    archive.gate.release()
    assert (await staying)[0].outcome is Outcome.STORED
    assert [name for group in archive.groups for name in group] == ["a", "b"]


async def test_a_queue_that_is_full_turns_callers_away() -> None:
    archive = Gated()
    commit = GroupCommit(archive, max_queued_bytes=3)
    tasks = [*await started(commit, "a"), *await started(commit, "b", "c", "d")]
    with pytest.raises(StoreUnavailable, match="repeat later"):
        await commit.record(named("e"))
    for _ in range(4):
        archive.gate.release()
    await asyncio.gather(*tasks)


async def test_closing_waits_for_what_was_taken() -> None:
    archive = Gated()
    commit = GroupCommit(archive)
    (task,) = await started(commit, "a")
    closing = asyncio.create_task(commit.aclose())
    done, _ = await asyncio.wait([closing], timeout=0.02)
    assert not done
    archive.gate.release()
    await closing
    assert task.done()


async def test_a_body_is_counted_by_outcome() -> None:
    ingest = IngestBody(
        engine=WahaReader(), commit=GroupCommit(InMemoryArchive()), clock=lambda: NOON
    )
    assert await ingest(b"[]") == Ingested(stored=0, duplicates=0, ignored=0, failed=0)
    assert await ingest(b'[{"event":"telepathy"},{"event":"message"}]') == Ingested(
        stored=0, duplicates=0, ignored=1, failed=1
    )
    with pytest.raises(InvalidInput):
        await ingest(b"{")
