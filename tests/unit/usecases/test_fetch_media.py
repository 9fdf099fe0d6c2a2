"""A file is stored once, or it is told why not and when it is tried again."""

import asyncio
from datetime import datetime, timedelta
from pathlib import Path

import msgspec
import pytest
from tests.support.deliveries import NOON
from tests.support.media_world import DAY, HELLO, PLAN, SECOND, START, World, sha256_of
from typing_extensions import override

from wagateway.adapters.memory.downloads import InMemoryDownloadStore
from wagateway.adapters.memory.media import InMemoryMediaStore
from wagateway.domain.errors import (
    EngineResting,
    EngineUnavailable,
    Gone,
    InvalidInput,
    NotFound,
    RateLimited,
    Refused,
    StoreUnavailable,
    TooLarge,
)
from wagateway.domain.events import SessionStatus
from wagateway.domain.media import DownloadStatus, MediaKey, Rules, Stored, file_key
from wagateway.domain.messages import MediaFacts, MediaOffer
from wagateway.ports.downloads import DownloadTask
from wagateway.ports.media_source import Fetched, MediaSource

OTHER = b"a picture of something else"
AGAIN = MediaOffer(offered_at=NOON, url="http://localhost:3000/api/files/again.jpeg")


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


class TestStoring:
    async def test_what_the_engine_has_is_stored(self, world: World) -> None:
        await world.tell()
        turn = await world.turn()
        assert (turn.new, turn.size_bytes, turn.problem) == (True, len(HELLO), None)
        assert await world.stored() == HELLO
        state = world.download()
        assert state.status is DownloadStatus.COMPLETED
        assert state.sha256 == sha256_of(HELLO)

    async def test_a_forwarded_file_is_stored_once(self, world: World) -> None:
        for n in range(5):
            await world.tell(f"A{n}")
        assert [turn.new for turn in await world.settle()] == [True, False, False, False, False]
        assert [file.key async for file in world.media.files()] == [file_key(sha256_of(HELLO))]

    async def test_nothing_is_left_behind(self, world: World, tmp_path: Path) -> None:
        await world.tell()
        await world.tell("A2", content=EngineUnavailable("cut"))
        await world.settle()
        assert list(tmp_path.iterdir()) == []

    @pytest.mark.parametrize(
        ("declared", "kept"),
        [
            ("audio/ogg; codecs=opus", "audio/ogg; codecs=opus"),
            ("no type", "image/jpeg"),
            (None, "image/jpeg"),
        ],
    )
    async def test_the_sender_names_the_type_until_somebody_looks(
        self, world: World, declared: str | None, kept: str
    ) -> None:
        await world.tell(facts=MediaFacts(mimetype=declared))
        await world.turn()
        [found] = await world.downloads.stored()
        assert (found.mimetype, found.inspected_at) == (kept, None)

    @pytest.mark.parametrize("is_taken", [True, False])
    async def test_a_file_that_was_removed_in_between_is_added_again(
        self, world: World, *, is_taken: bool
    ) -> None:
        class Emptied(InMemoryMediaStore):
            """Loses what it takes at first, or seems to have it and has not."""

            added = 0

            @override
            async def add(self, key: MediaKey, file: Path, *, mimetype: str) -> bool:
                self.added += 1
                return (
                    await super().add(key, file, mimetype=mimetype) if self.added > 1 else is_taken
                )

        world.media = Emptied()
        world.with_parts(media=world.media)
        await world.tell()
        await world.turn()
        assert await world.stored() == HELLO


class TestRules:
    async def test_what_is_not_wanted_is_not_fetched(self, tmp_path: Path) -> None:
        rules = Rules(largest_bytes=5)
        world = World(tmp_path, plan=msgspec.structs.replace(PLAN, rules=rules))
        await world.tell(facts=MediaFacts(size_bytes=6))
        turn = await world.turn()
        assert turn.problem == "it is larger than 5 bytes"
        assert world.download().status is DownloadStatus.SKIPPED
        assert world.source.asked == []

    async def test_what_turns_out_to_be_larger_than_declared_is_not_kept(
        self, world: World
    ) -> None:
        await world.tell(content=TooLarge("the file has more than it may"))
        await world.turn()
        assert world.download().status is DownloadStatus.SKIPPED

    async def test_the_age_is_that_when_the_message_came(self, tmp_path: Path) -> None:
        rules = Rules(oldest=DAY)
        world = World(tmp_path, plan=msgspec.structs.replace(PLAN, rules=rules))
        await world.tell()
        world.now += 9 * DAY
        world.engine.again = {"A1": AGAIN}
        world.source.files[str(AGAIN.url)] = HELLO
        await world.turn()
        assert world.download().status is DownloadStatus.COMPLETED


class TestNoFailureOfTheFile:
    """What says nothing of a file leaves it as it was, also for once its time seems over."""

    @pytest.mark.parametrize(
        ("trouble", "pause"),
        [
            (EngineResting("it cannot be reached", wait_s=10), 10 * SECOND),
            (RateLimited("slower", wait_s=7), 7 * SECOND),
            (Refused("a wrong key"), 300 * SECOND),
        ],
    )
    async def test_waha_away_busy_or_closed_is_waited_for(
        self, world: World, trouble: Exception, pause: timedelta
    ) -> None:
        await world.tell(content=trouble)
        for _ in range(20):
            before = world.now
            await world.turn()
            state = world.download()
            assert (state.status, state.attempts) == (DownloadStatus.PENDING, 0)
            assert state.problem == str(trouble)
            assert state.due_at is not None
            assert state.due_at - before == pause
            world.now = state.due_at
        world.source.files["http://localhost:3000/api/files/A1.jpeg"] = HELLO
        world.now += DAY
        world.engine.again = {"A1": None}
        await world.turn()
        assert await world.stored() == HELLO

    async def test_a_store_that_is_away_too(self, world: World) -> None:
        class Away(InMemoryMediaStore):
            """Takes nothing."""

            @override
            async def add(self, key: MediaKey, file: Path, *, mimetype: str) -> bool:
                raise StoreUnavailable("the bucket cannot be reached")

        await world.tell()
        world.with_parts(media=Away())
        await world.turn()
        world.with_parts(media=world.media)
        world.now += DAY
        world.engine.again = {"A1": None}
        await world.turn()
        assert await world.stored() == HELLO

    async def test_who_waits_for_the_same_again_waits_for_longer(self, world: World) -> None:
        class Full(InMemoryMediaStore):
            """Has no room."""

            @override
            async def add(self, key: MediaKey, file: Path, *, mimetype: str) -> bool:
                raise StoreUnavailable("no space left")

        world.with_parts(media=Full(), jitter=lambda: 0.5)
        await world.tell()
        await world.turn()
        first = world.download().due_at
        assert first == world.now + PLAN.rest
        world.now = first
        await world.turn()
        assert world.download().due_at == world.now + 3.5 * PLAN.rest


class TestWhatIsStored:
    async def test_a_forwarded_file_is_taken_from_the_store_before_whatsapp_is_asked(
        self, world: World
    ) -> None:
        await world.tell()
        await world.turn()
        facts = MediaFacts(sha256=sha256_of(HELLO))
        await world.tell("A2", offered=False, facts=facts)
        await world.turn()
        assert world.download("A2").sha256 == sha256_of(HELLO)
        assert "message" not in world.engine.requests

    async def test_but_not_a_damaged_one(self, world: World, tmp_path: Path) -> None:
        damaged = tmp_path / "damaged"
        damaged.write_bytes(b"something else")
        await world.media.add(file_key(sha256_of(HELLO)), damaged, mimetype="image/jpeg")
        await world.tell(offered=False, facts=MediaFacts(sha256=sha256_of(HELLO)))
        world.engine.again = {"A1": AGAIN}
        world.source.files[str(AGAIN.url)] = HELLO
        await world.turn()
        assert world.source.asked == [AGAIN.url]

    async def test_what_the_database_did_not_take_is_found_there(self, world: World) -> None:
        facts = MediaFacts(sha256=sha256_of(HELLO))
        await world.tell(facts=facts)
        task = await world.task()
        kept = world.fetch.folder / "kept"
        kept.write_bytes(HELLO)
        await world.media.add(file_key(sha256_of(HELLO)), kept, mimetype="image/jpeg")
        world.now += DAY  # the worker died then, and neither WAHA nor WhatsApp has it any more
        world.source.files["http://localhost:3000/api/files/A1.jpeg"] = NotFound("gone")
        world.engine.again = {"A1": None}
        await world.turn()
        assert task.lease
        assert world.download().status is DownloadStatus.COMPLETED


class TestGettingAgain:
    async def test_what_the_engine_never_offered_is_got(self, world: World) -> None:
        await world.tell(offered=False)
        world.engine.again = {"A1": AGAIN}
        world.source.files[str(AGAIN.url)] = HELLO
        await world.turn()
        assert await world.stored() == HELLO
        assert world.source.asked == [AGAIN.url]

    @pytest.mark.parametrize(
        "missing", [NotFound("no longer there"), InvalidInput("it lies elsewhere")]
    )
    async def test_what_is_no_longer_there_is_got_again_at_once(
        self, world: World, missing: Exception
    ) -> None:
        await world.tell(content=missing)
        world.engine.again = {"A1": AGAIN}
        world.source.files[str(AGAIN.url)] = HELLO
        turns = await world.settle()
        assert [turn.task.download.status for turn in turns] == [
            DownloadStatus.PENDING,
            DownloadStatus.COMPLETED,
        ]

    async def test_the_engine_may_have_it_for_longer_than_is_known(self, world: World) -> None:
        await world.tell()
        world.now += DAY
        await world.turn()
        assert world.download().status is DownloadStatus.COMPLETED
        assert "message" not in world.engine.requests

    async def test_what_it_has_no_longer_by_then_is_got_in_the_same_turn(
        self, world: World
    ) -> None:
        await world.tell(content=NotFound("no longer there"))
        world.now += DAY
        world.engine.again = {"A1": AGAIN}
        world.source.files[str(AGAIN.url)] = HELLO
        turns = await world.settle()
        assert [turn.task.download.status for turn in turns] == [DownloadStatus.COMPLETED]
        assert world.source.asked == ["http://localhost:3000/api/files/A1.jpeg", AGAIN.url]

    async def test_a_place_that_whatsapp_gave_is_remembered(self, world: World) -> None:
        await world.tell(offered=False)
        world.engine.again = {"A1": AGAIN}
        world.source.files[str(AGAIN.url)] = EngineUnavailable("it broke off")
        await world.turn()
        state = world.download()
        assert (state.offer, state.again) == (AGAIN, False)
        assert state.due_at is not None
        world.now = state.due_at
        world.source.files[str(AGAIN.url)] = HELLO
        await world.turn()
        assert await world.stored() == HELLO
        assert world.engine.requests["message"] == 1

    async def test_a_place_that_failed_is_not_tried_once_it_is_over(self, world: World) -> None:
        await world.tell(content=EngineUnavailable("it answers 500"))
        await world.turn()
        world.now += DAY
        world.engine.again = {"A1": AGAIN}
        world.source.files[str(AGAIN.url)] = HELLO
        await world.turn()
        assert world.source.asked == ["http://localhost:3000/api/files/A1.jpeg", AGAIN.url]

    @pytest.mark.parametrize(
        "answer",
        [
            None,
            MediaOffer(offered_at=NOON),
            MediaOffer(offered_at=NOON, error="media is gone"),
            NotFound("no such message"),
        ],
    )
    async def test_what_nobody_has_expires_after_some_tries(
        self, world: World, answer: MediaOffer | Exception | None
    ) -> None:
        await world.tell(offered=False)
        world.engine.again = {"A1": answer}
        tries = 0
        while (state := world.download()).due_at is not None:
            world.now = max(world.now, state.due_at)
            tries += len(await world.settle())
        assert tries == 3
        assert state.status is DownloadStatus.EXPIRED
        assert state.problem

    async def test_what_whatsapp_says_is_gone_expires_at_once(self, world: World) -> None:
        await world.tell(content=Gone("WhatsApp has the file no longer"))
        await world.turn()
        state = world.download()
        assert (state.status, state.problem) == (
            DownloadStatus.EXPIRED,
            "WhatsApp has the file no longer",
        )

    async def test_so_does_what_the_engine_hears_is_gone(self, world: World) -> None:
        await world.tell(offered=False)
        world.engine.again = {"A1": Gone("WhatsApp has it no longer")}
        await world.turn()
        assert world.download().status is DownloadStatus.EXPIRED

    async def test_a_session_that_is_not_working_is_waited_for(self, world: World) -> None:
        await world.tell(offered=False)
        world.engine.status = SessionStatus.STOPPED
        await world.turn()
        state = world.download()
        assert (state.attempts, state.due_at) == (0, START + PLAN.patience.longest)
        assert state.problem == "the session is STOPPED"

    async def test_another_account_is_not_asked_for_it(self, world: World) -> None:
        await world.tell(offered=False)
        world.engine.account = None
        await world.turn()
        assert world.download().problem == "the session has another account now, or none"
        assert "message" not in world.engine.requests


class TestFailures:
    async def test_a_failure_is_tried_again_and_stays_visible(self, world: World) -> None:
        failure = EngineUnavailable("the file broke off")
        await world.tell(content=failure)
        pauses = []
        for _ in range(4):
            before = world.now
            await world.settle()
            due_at = world.download().due_at
            assert due_at is not None
            pauses.append(due_at - before)
            world.engine.again = {"A1": failure}
            world.now = due_at
        assert pauses == [10 * SECOND, 20 * SECOND, timedelta(hours=6), timedelta(hours=6)]
        state = world.download()
        assert (state.status, state.attempts) == (DownloadStatus.FAILED, 4)
        assert state.problem == str(failure)

    @pytest.mark.parametrize(
        ("failure", "pause"),
        [
            (RateLimited("busy", wait_s=90), 90 * SECOND),
            (RateLimited("busy"), 10 * SECOND),
            (EngineResting("it is left alone", wait_s=15), 15 * SECOND),
        ],
    )
    async def test_waiting_as_asked_is_no_failure(
        self, world: World, failure: Exception, pause: timedelta
    ) -> None:
        await world.tell(content=failure)
        await world.turn()
        state = world.download()
        assert (state.status, state.attempts) == (DownloadStatus.PENDING, 0)
        assert state.due_at == START + pause

    async def test_another_file_than_declared_is_got_again(self, world: World) -> None:
        await world.tell(content=OTHER, facts=MediaFacts(sha256=sha256_of(HELLO)))
        world.engine.again = {"A1": AGAIN}
        world.source.files[str(AGAIN.url)] = HELLO
        await world.settle()
        assert await world.stored() == HELLO
        assert [file.key async for file in world.media.files()] == [file_key(sha256_of(HELLO))]

    async def test_one_wrong_answer_after_other_failures_is_not_believed(
        self, world: World
    ) -> None:
        facts = MediaFacts(sha256=sha256_of(HELLO))
        await world.tell(content=EngineUnavailable("it broke off"), facts=facts)
        for _ in range(PLAN.patience.max_retries):
            await world.turn()
            world.now = world.download().due_at or world.now
            world.engine.again = {"A1": AGAIN}
            world.source.files[str(AGAIN.url)] = EngineUnavailable("it broke off")
        world.source.files[str(AGAIN.url)] = OTHER
        await world.turn()
        assert world.download().sha256 is None
        world.now = world.download().due_at or world.now
        world.source.files[str(AGAIN.url)] = HELLO
        await world.settle()
        assert await world.stored() == HELLO

    async def test_without_a_hash_its_size_tells(self, world: World) -> None:
        await world.tell(content=HELLO[:-1], facts=MediaFacts(size_bytes=len(HELLO)))
        world.engine.again = {"A1": AGAIN}
        world.source.files[str(AGAIN.url)] = HELLO
        await world.settle()
        assert await world.stored() == HELLO

    async def test_it_is_kept_where_there_is_none_better(self, world: World) -> None:
        await world.tell(content=OTHER, facts=MediaFacts(sha256=sha256_of(HELLO)))
        world.engine.again = {"A1": AGAIN}
        world.source.files[str(AGAIN.url)] = OTHER
        for _ in range(4):
            world.now = max(world.now, world.download().due_at or world.now)
            await world.settle()
        state = world.download()
        assert (state.status, state.sha256) == (DownloadStatus.COMPLETED, sha256_of(OTHER))
        assert state.problem == "the engine's file is not the one that the sender declared"

    async def test_a_defect_is_told_without_its_words(self, world: World) -> None:
        await world.tell(content=ValueError("the words of a message"))
        turn = await world.turn()
        assert isinstance(turn.defect, ValueError)
        assert world.download().problem == "a defect of wagateway: ValueError"


class TestStoreThatIsAway:
    async def test_costs_no_tries_and_is_said(self, world: World) -> None:
        class Away(InMemoryMediaStore):
            """Takes nothing."""

            @override
            async def add(self, key: MediaKey, file: Path, *, mimetype: str) -> bool:
                raise StoreUnavailable("the bucket cannot be reached")

        world.with_parts(media=Away())
        await world.tell()
        turn = await world.turn()
        assert turn.nowhere
        state = world.download()
        assert (state.status, state.attempts) == (DownloadStatus.PENDING, 0)
        assert state.due_at == START + PLAN.rest
        world.with_parts(media=world.media)
        world.now += PLAN.rest
        await world.turn()
        assert await world.stored() == HELLO

    async def test_what_the_database_did_not_take_is_tried_again(self, world: World) -> None:
        class Away(InMemoryDownloadStore):
            """Does not take that a file is stored, once."""

            refused = False

            @override
            async def save(
                self, task: DownloadTask, *, now: datetime, stored: Stored | None = None
            ) -> bool:
                if stored is not None and not self.refused:
                    self.refused = True
                    raise StoreUnavailable("the database is away")
                return await super().save(task, now=now, stored=stored)

        world.downloads = Away(world.archive)
        world.with_parts(downloads=world.downloads)
        await world.tell()
        turn = await world.turn()
        assert (turn.nowhere, turn.problem) == (True, "the database is away")
        state = world.download()
        assert (state.status, state.sha256, state.attempts) == (DownloadStatus.PENDING, None, 0)
        world.now += PLAN.rest
        await world.turn()
        assert world.download().status is DownloadStatus.COMPLETED

    async def test_so_does_a_folder_that_cannot_be_written(
        self, world: World, tmp_path: Path
    ) -> None:
        world.with_parts(folder=tmp_path / "missing")
        await world.tell()
        turn = await world.turn()
        assert turn.nowhere
        assert turn.problem == "the file cannot be written: No such file or directory"


class TestHolding:
    async def test_a_file_that_somebody_else_has_by_now_is_left_to_them(self, world: World) -> None:
        await world.tell()
        late = await world.task()
        world.now += PLAN.lease
        heir = await world.task()
        turn = await world.fetch(late)
        assert turn.problem == "another worker has it"
        await world.fetch(heir)
        assert world.download().status is DownloadStatus.COMPLETED

    async def test_a_large_file_is_held_while_it_comes(self, tmp_path: Path) -> None:
        plan = msgspec.structs.replace(PLAN, lease=timedelta(milliseconds=40))
        world = World(tmp_path, plan=plan)
        began, goes_on = asyncio.Event(), asyncio.Event()

        class Slow(MediaSource):
            """Waits before the last byte."""

            @override
            async def fetch(self, offer: MediaOffer, into: Path, *, largest_bytes: int) -> Fetched:
                began.set()
                await goes_on.wait()
                return await world.source.fetch(offer, into, largest_bytes=largest_bytes)

        world.with_parts(source=Slow())
        await world.tell()
        running = asyncio.create_task(world.turn())
        await began.wait()
        for _ in range(20):
            world.now += plan.lease / 2
            await asyncio.sleep(0.02)
            claimed = await world.downloads.claim(
                world.now, rules=plan.rules, lease=plan.lease, limit=1
            )
            assert claimed == []
        goes_on.set()
        assert (await running).problem is None
        assert world.download().status is DownloadStatus.COMPLETED

    async def test_what_is_broken_off_goes_back_by_its_lease(self, world: World) -> None:
        class Endless(MediaSource):
            """Never ends."""

            @override
            async def fetch(self, offer: MediaOffer, into: Path, *, largest_bytes: int) -> Fetched:
                await asyncio.Event().wait()
                raise AssertionError

        world.with_parts(source=Endless())
        await world.tell()
        running = asyncio.create_task(world.turn())
        await asyncio.sleep(0.01)
        running.cancel()
        with pytest.raises(asyncio.CancelledError):
            await running
        world.with_parts(source=world.source)
        world.now += PLAN.lease
        await world.turn()
        assert world.download().status is DownloadStatus.COMPLETED
