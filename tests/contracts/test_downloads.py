"""What every store of downloads promises, and the archive that begins them."""

import asyncio
import itertools
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.contracts.archives import Backend, in_memory, in_postgres
from tests.support.deliveries import (
    ANA,
    ANA_LID,
    BAKERY,
    BRUNO,
    GROUP,
    NOON,
    PREVIEWS,
    SECOND,
    SESSION,
    delivery,
    linked,
    revoked,
    seen,
)
from tests.support.depth import examples
from tests.support.postgres import Servers
from tests.support.reading import only, outcomes, texts

from wagateway.adapters.timescale.pool import Pool, open_pool
from wagateway.domain.cursors import encode_cursor
from wagateway.domain.errors import Defect, InvalidInput, LeaseLost, NotFound
from wagateway.domain.events import Account, Delivery, MessageSeen, Source
from wagateway.domain.identity import Author, Jid, SessionName, StanzaId
from wagateway.domain.media import (
    Download,
    DownloadStatus,
    Inspection,
    MediaKey,
    Rules,
    Stored,
    completed,
    expired,
    failed,
    file_key,
    heard,
    judged,
    missing,
    skipped,
    thumbnail_key,
    turn,
)
from wagateway.domain.messages import Completeness, Kind, MediaFacts, MediaOffer
from wagateway.domain.patience import Patience
from wagateway.domain.views import FileView, MediaView
from wagateway.ports.archive import LogFilter
from wagateway.ports.downloads import DownloadStore, DownloadTask

SOON = NOON + 2 * SECOND
"""When what was told at noon has been received."""
LEASE = timedelta(minutes=1)
HOUR = timedelta(hours=1)
RULES = Rules(lifetime=timedelta(seconds=180))
PATIENCE = Patience(max_retries=1, first=10 * SECOND, failed=HOUR)
FACTS = MediaFacts(mimetype="image/jpeg", filename="pão.jpg", size_bytes=1000)
HASH = "ab" * 32
OTHER_HASH = "cd" * 32
STORED = Stored(size_bytes=999, mimetype="image/png")


def offer(at: datetime = NOON, name: str = "a.jpeg") -> MediaOffer:
    return MediaOffer(offered_at=at, url=f"http://localhost:3000/api/files/{name}")


BUCKET = MediaOffer(offered_at=NOON, url="https://s3/a", s3_bucket="b", s3_key="k")
BROKEN = MediaOffer(offered_at=NOON + SECOND, error="404")


def photo(  # noqa: PLR0913 - one argument for each fact that tests vary
    stanza: str = "A1",
    *,
    chat: Jid = ANA,
    by: Jid | None = None,
    offer: MediaOffer | None = None,
    sent_at: datetime = NOON,
    kind: Kind = Kind.IMAGE,
    media: MediaFacts | None = FACTS,
    completeness: Completeness = Completeness.FULL,
    preview: bytes | None = None,
) -> MessageSeen:
    return seen(
        None,
        chat=chat,
        stanza=stanza,
        by=by,
        offer=offer,
        sent_at=sent_at,
        kind=kind,
        media=media,
        completeness=completeness,
        preview=preview,
    )


@pytest.fixture
def downloads(archive: Backend) -> DownloadStore:
    return archive.downloads


async def claimed(
    downloads: DownloadStore, at: datetime = SOON, *, rules: Rules = RULES, limit: int = 100
) -> list[DownloadTask]:
    return await downloads.claim(at, rules=rules, lease=LEASE, limit=limit)


async def the_task(downloads: DownloadStore, at: datetime = SOON) -> DownloadTask:
    [task] = await claimed(downloads, at)
    return task


async def complete(
    downloads: DownloadStore, task: DownloadTask, sha256: str = HASH, at: datetime = SOON
) -> bool:
    done = msgspec.structs.replace(task, download=completed(task.download, sha256))
    return await downloads.save(done, now=at, stored=STORED)


async def give_up(downloads: DownloadStore, task: DownloadTask, *, at: datetime = SOON) -> None:
    state = failed(failed(task.download, at, "cut", PATIENCE), at, "cut again", PATIENCE)
    await downloads.save(msgspec.structs.replace(task, download=state), now=at)


async def ended(downloads: DownloadStore, task: DownloadTask) -> None:
    state = expired(task.download, "gone for good")
    await downloads.save(msgspec.structs.replace(task, download=state), now=SOON)


async def shown(
    archive: Backend, *, kind: Kind | None = None, status: DownloadStatus | None = None
) -> list[FileView]:
    return (await archive.downloads.files(SESSION, kind=kind, status=status)).files


async def media_of(archive: Backend, chat: Jid = ANA) -> MediaView:
    media = (await only(archive.reader, chat)).media
    assert media is not None
    return media


async def uses(downloads: DownloadStore) -> dict[str, int]:
    return {each.sha256: each.uses for each in await downloads.stored()}


class TestBeginning:
    @pytest.mark.parametrize("source", [Source.WEBHOOK, Source.SYNC])
    @pytest.mark.parametrize("others", [0, 30])
    async def test_a_file_is_due_with_its_message(
        self, archive: Backend, source: Source, others: int
    ) -> None:
        more = [delivery(seen(f"n {n}", stanza=f"B{n}"), source=source) for n in range(others)]
        await archive.record(delivery(photo(offer=offer()), source=source), *more)
        task = await the_task(archive.downloads)
        assert (task.archive.session, task.archive.account) == (SESSION, BAKERY.phone)
        assert (task.chat, task.stanza, task.waha_id) == (ANA, "A1", f"false_{ANA}_A1")
        assert (task.file.session, task.file.chat, task.file.facts) == (SESSION, ANA, FACTS)
        assert (task.file.kind, task.file.from_me, task.file.sent_at) == (Kind.IMAGE, False, NOON)
        assert task.heard_at == NOON + SECOND
        assert task.download.status is DownloadStatus.DOWNLOADING
        assert task.download.offer == offer()
        assert (task.download.again, task.download.attempts) == (False, 0)
        assert task.download.expires_at == NOON + timedelta(seconds=180)

    async def test_it_is_not_due_before_it_was_received(self, archive: Backend) -> None:
        await archive.record(delivery(photo(offer=offer())))
        assert await claimed(archive.downloads, NOON) == []

    @pytest.mark.parametrize("told", [None, BROKEN], ids=["nothing", "an error"])
    async def test_what_the_engine_has_not_is_to_be_got_again(
        self, archive: Backend, told: MediaOffer | None
    ) -> None:
        await archive.record(delivery(photo(offer=told)))
        task = await the_task(archive.downloads)
        assert task.download.again
        assert task.download.offer == told

    async def test_a_text_has_no_file(self, archive: Backend) -> None:
        await archive.record(delivery(seen("oi")), delivery(revoked()))
        assert await claimed(archive.downloads) == []
        assert await shown(archive) == []

    async def test_what_was_announced_first_begins_when_it_can_be_read(
        self, archive: Backend
    ) -> None:
        waiting = seen(None, kind=Kind.UNKNOWN, completeness=Completeness.PLACEHOLDER)
        await archive.record(delivery(waiting))
        assert await claimed(archive.downloads) == []
        await archive.record(delivery(photo(offer=offer())))
        assert (await the_task(archive.downloads)).file.kind is Kind.IMAGE

    async def test_better_facts_are_those_of_the_file(self, archive: Backend) -> None:
        rough = photo(media=MediaFacts(), completeness=Completeness.PARTIAL, kind=Kind.UNKNOWN)
        await archive.record(delivery(rough))
        await archive.record(delivery(photo()))
        task = await the_task(archive.downloads)
        assert (task.file.facts, task.file.kind) == (FACTS, Kind.IMAGE)

    async def test_a_message_that_turns_out_to_have_none_has_none(self, archive: Backend) -> None:
        await archive.record(delivery(photo(completeness=Completeness.PARTIAL)))
        await archive.record(delivery(seen("oi")))
        assert await claimed(archive.downloads) == []
        assert await shown(archive) == []

    async def test_but_what_is_stored_stays(self, archive: Backend) -> None:
        await archive.record(delivery(photo(completeness=Completeness.PARTIAL)))
        await complete(archive.downloads, await the_task(archive.downloads))
        await archive.record(delivery(seen("oi")))
        [file] = await shown(archive)
        assert (file.media.status, file.media.sha256) == (DownloadStatus.COMPLETED, HASH)
        assert await uses(archive.downloads) == {HASH: 1}

    async def test_a_deleted_message_keeps_its_file(self, archive: Backend) -> None:
        await archive.record(delivery(photo(offer=offer())), delivery(revoked()))
        await complete(archive.downloads, await the_task(archive.downloads))
        assert (await media_of(archive)).status is DownloadStatus.COMPLETED

    async def test_claimed_ids_have_a_file_each(self, archive: Backend) -> None:
        await archive.record(
            delivery(photo(chat=GROUP, by=ANA)),
            delivery(photo(chat=GROUP, by=BRUNO, sent_at=NOON - SECOND)),
        )
        found = await archive.downloads.files_of(SESSION, [GROUP], StanzaId("A1"))
        assert [file.sent_at for file in found] == [NOON, NOON - SECOND]


class TestRepetition:
    async def test_the_same_again_changes_nothing(self, archive: Backend) -> None:
        told = delivery(photo(offer=offer()))
        await archive.record(told, told)
        task = await the_task(archive.downloads)
        await give_up(archive.downloads, task)
        before = await archive.picture()
        assert outcomes(await archive.record(told)) == ["duplicate"]
        assert await archive.picture() == before
        assert await claimed(archive.downloads) == []

    async def test_a_replay_makes_nothing_new(self, archive: Backend) -> None:
        told = delivery(photo(offer=offer()))
        await archive.record(told)
        await complete(archive.downloads, await the_task(archive.downloads))
        before = await archive.picture()
        [row] = await archive.archive.logged(LogFilter(), after=0, limit=10)
        await archive.archive.reproject([(row.id, told)])
        assert await archive.picture() == before
        assert await claimed(archive.downloads, NOON + HOUR) == []
        assert await uses(archive.downloads) == {HASH: 1}

    async def test_a_replay_begins_what_was_not_understood_before(self, archive: Backend) -> None:
        await archive.record(delivery(seen(None, kind=Kind.UNKNOWN)))
        [row] = await archive.archive.logged(LogFilter(), after=0, limit=10)
        await archive.archive.reproject([(row.id, delivery(photo(), at=NOON - SECOND))])
        assert (await the_task(archive.downloads)).file.facts == FACTS


class TestOffers:
    async def test_a_better_one_wakes_what_waits(self, archive: Backend) -> None:
        await archive.record(delivery(photo()))
        await give_up(archive.downloads, await the_task(archive.downloads))
        assert await claimed(archive.downloads) == []
        later = offer(NOON + HOUR)
        await archive.record(delivery(photo(offer=later), at=NOON + HOUR))
        task = await the_task(archive.downloads, SOON + HOUR)
        assert task.download.offer == later
        assert (task.download.again, task.download.attempts) == (False, 0)
        assert task.download.problem is None

    async def test_it_revives_what_expired(self, archive: Backend) -> None:
        await archive.record(delivery(photo(offer=offer())))
        await ended(archive.downloads, await the_task(archive.downloads))
        assert await claimed(archive.downloads, SOON + HOUR) == []
        later = delivery(photo(offer=offer(NOON + HOUR)), at=NOON + HOUR)
        await archive.record(later)
        assert len(await claimed(archive.downloads, SOON + HOUR)) == 1

    @pytest.mark.parametrize("told", [offer(NOON - SECOND, "old"), BROKEN], ids=["older", "error"])
    async def test_a_worse_one_changes_nothing(self, archive: Backend, told: MediaOffer) -> None:
        await archive.record(delivery(photo(offer=offer())))
        await ended(archive.downloads, await the_task(archive.downloads))
        await archive.record(delivery(photo(offer=told), at=NOON + SECOND))
        assert await claimed(archive.downloads, SOON + HOUR) == []

    async def test_what_is_stored_is_left_alone(self, archive: Backend) -> None:
        await archive.record(delivery(photo(offer=offer())))
        await complete(archive.downloads, await the_task(archive.downloads))
        await archive.record(delivery(photo(offer=offer(NOON + HOUR)), at=NOON + HOUR))
        assert await claimed(archive.downloads, SOON + HOUR) == []
        assert (await media_of(archive)).status is DownloadStatus.COMPLETED

    async def test_what_is_not_wanted_is_left_alone(self, archive: Backend) -> None:
        await archive.record(delivery(photo(offer=offer())))
        task = await the_task(archive.downloads)
        state = skipped(task.download, "too large")
        await archive.downloads.save(msgspec.structs.replace(task, download=state), now=SOON)
        await archive.record(delivery(photo(offer=offer(NOON + HOUR)), at=NOON + HOUR))
        assert await claimed(archive.downloads, SOON + HOUR) == []
        assert (await media_of(archive)).problem == "too large"

    async def test_one_that_comes_during_a_download_is_tried_next(self, archive: Backend) -> None:
        await archive.record(delivery(photo(offer=offer())))
        task = await the_task(archive.downloads)
        better = offer(NOON + 5 * SECOND, "b.jpeg")
        await archive.record(delivery(photo(offer=better), at=NOON + 5 * SECOND))
        assert await claimed(archive.downloads, NOON + 10 * SECOND) == []
        state = missing(task.download, NOON + 20 * SECOND, "404", PATIENCE)
        later = msgspec.structs.replace(task, download=state)
        await archive.downloads.save(later, now=NOON + 20 * SECOND)
        again = await the_task(archive.downloads, NOON + 20 * SECOND)
        assert (again.download.offer, again.download.again) == (better, False)
        assert again.download.attempts == 0

    async def test_one_that_comes_during_a_download_leaves_what_it_stored(
        self, archive: Backend
    ) -> None:
        await archive.record(delivery(photo(offer=offer())))
        task = await the_task(archive.downloads)
        await archive.record(delivery(photo(offer=offer(NOON + SECOND)), at=NOON + SECOND))
        await complete(archive.downloads, task)
        assert await claimed(archive.downloads, SOON + HOUR) == []


class TestClaim:
    async def test_gives_each_to_one_caller(self, archive: Backend) -> None:
        await archive.record(*(delivery(photo(f"A{n}")) for n in range(5)))
        first = await claimed(archive.downloads, limit=2)
        second = await claimed(archive.downloads)
        assert {task.stanza for task in first}.isdisjoint(task.stanza for task in second)
        assert len({task.lease for task in (*first, *second)}) == 5
        assert await claimed(archive.downloads) == []

    async def test_takes_only_so_many_that_must_be_got_again(self, archive: Backend) -> None:
        await archive.record(
            *(delivery(photo(f"A{n}")) for n in range(5)),
            *(delivery(photo(f"B{n}", offer=offer())) for n in range(2)),
        )
        for again, taken in ((2, ["B", "B", "A", "A"]), (0, []), (None, ["A", "A", "A"])):
            tasks = await archive.downloads.claim(
                SOON, rules=RULES, lease=LEASE, limit=9, again=again
            )
            assert [task.stanza[0] for task in tasks] == taken

    async def test_gives_each_to_one_of_many_who_ask_at_once(self, archive: Backend) -> None:
        await archive.record(*(delivery(photo(f"A{n}", offer=offer())) for n in range(40)))
        shares = await asyncio.gather(*(claimed(archive.downloads, limit=10) for _ in range(6)))
        taken = [task.stanza for share in shares for task in share]
        taken += [task.stanza for task in await claimed(archive.downloads)]
        assert sorted(taken) == sorted({f"A{n}" for n in range(40)})

    async def test_completing_at_once_counts_each_use(self, archive: Backend) -> None:
        await archive.record(*(delivery(photo(f"A{n}", offer=offer())) for n in range(12)))
        tasks = await claimed(archive.downloads)
        new = await asyncio.gather(*(complete(archive.downloads, task) for task in tasks))
        assert sorted(new) == [False] * 11 + [True]
        assert await uses(archive.downloads) == {HASH: 12}

    async def test_what_can_be_had_comes_first_soonest_to_expire(self, archive: Backend) -> None:
        ends = NOON - timedelta(seconds=179)
        await archive.record(
            delivery(photo("bucket", offer=BUCKET, sent_at=NOON + SECOND)),
            delivery(photo("older bucket", offer=BUCKET)),
            delivery(photo("fresh", offer=offer(NOON))),
            delivery(photo("ends", offer=offer(ends))),
            delivery(photo("over", offer=offer(NOON - HOUR), sent_at=NOON - SECOND)),
            delivery(photo("none", sent_at=NOON - 2 * SECOND)),
            delivery(photo("latest none", sent_at=NOON + SECOND)),
        )
        found = await claimed(archive.downloads, NOON + SECOND)
        # "ends" is over at the very instant at which it is claimed one second later.
        assert [task.stanza for task in found] == [
            *("fresh", "bucket", "older bucket"),
            *("latest none", "ends", "over", "none"),
        ]

    async def test_what_expires_by_the_rules_is_not_stored(self, archive: Backend) -> None:
        await archive.record(delivery(photo(offer=offer())))
        await claimed(archive.downloads, rules=Rules(lifetime=SECOND))
        [task] = await claimed(archive.downloads, SOON + LEASE, rules=Rules(lifetime=HOUR))
        assert task.download.expires_at == NOON + HOUR
        assert task.download.again  # once over, it was noted; only a better offer ends that

    async def test_a_worker_that_dies_costs_its_lease(self, archive: Backend) -> None:
        await archive.record(delivery(photo(offer=offer())))
        dead = await the_task(archive.downloads)
        assert await claimed(archive.downloads, SOON + LEASE - SECOND) == []
        heir = await the_task(archive.downloads, SOON + LEASE)
        with pytest.raises(LeaseLost):
            await complete(archive.downloads, dead, OTHER_HASH)
        with pytest.raises(LeaseLost):
            await archive.downloads.hold(dead, until=NOON + HOUR)
        await complete(archive.downloads, heir)
        assert await uses(archive.downloads) == {HASH: 1}

    async def test_a_task_is_saved_once(self, archive: Backend) -> None:
        await archive.record(delivery(photo(offer=offer())))
        task = await the_task(archive.downloads)
        await complete(archive.downloads, task)
        with pytest.raises(LeaseLost):
            await complete(archive.downloads, task)
        assert await uses(archive.downloads) == {HASH: 1}

    async def test_a_held_task_is_given_to_nobody(self, archive: Backend) -> None:
        await archive.record(delivery(photo(offer=offer())))
        task = await the_task(archive.downloads)
        await archive.downloads.hold(task, until=SOON + 2 * LEASE)
        assert await claimed(archive.downloads, SOON + LEASE) == []
        await complete(archive.downloads, task)

    async def test_a_failure_is_due_after_its_pause(self, archive: Backend) -> None:
        await archive.record(delivery(photo(offer=offer())))
        task = await the_task(archive.downloads)
        state = failed(task.download, SOON, "cut", PATIENCE)
        await archive.downloads.save(msgspec.structs.replace(task, download=state), now=SOON)
        assert await claimed(archive.downloads, SOON + 9 * SECOND) == []
        again = await the_task(archive.downloads, SOON + 10 * SECOND)
        assert (again.download.attempts, again.download.problem) == (1, "cut")

    async def test_archives_of_other_accounts_are_fetched_too(self, archive: Backend) -> None:
        other = Account(phone=Jid("5511912340002@c.us"))
        await archive.record(delivery(photo(offer=offer())))
        await archive.record(delivery(photo(offer=offer()), account=other, at=NOON))
        found = await claimed(archive.downloads)
        assert {task.archive.account for task in found} == {BAKERY.phone, other.phone}


class TestStored:
    async def test_a_file_is_one_however_often_it_is_forwarded(self, archive: Backend) -> None:
        await archive.record(*(delivery(photo(f"A{n}", offer=offer())) for n in range(5)))
        new = [await complete(archive.downloads, task) for task in await claimed(archive.downloads)]
        assert new == [True, False, False, False, False]
        [stored] = await archive.downloads.stored()
        assert (stored.sha256, stored.uses, stored.size_bytes) == (HASH, 5, 999)
        assert (stored.mimetype, stored.stored_at, stored.inspected_at) == ("image/png", SOON, None)

    async def test_a_completed_file_must_tell_what_it_is(self, archive: Backend) -> None:
        await archive.record(delivery(photo(offer=offer())))
        task = await the_task(archive.downloads)
        done = msgspec.structs.replace(task, download=completed(task.download, HASH))
        with pytest.raises(Defect):
            await archive.downloads.save(done, now=SOON)
        await complete(archive.downloads, task)  # nothing was written before

    async def test_all_are_listed_by_their_hashes(self, archive: Backend) -> None:
        hashes = [f"{n:064x}" for n in (3, 1, 2)]
        await archive.record(*(delivery(photo(f"A{n}")) for n in range(3)))
        for task, sha256 in zip(await claimed(archive.downloads), hashes, strict=True):
            await complete(archive.downloads, task, sha256)
        first = await archive.downloads.stored(limit=2)
        rest = await archive.downloads.stored(after=first[-1].sha256, limit=2)
        assert [each.sha256 for each in (*first, *rest)] == sorted(hashes)

    async def test_messages_show_what_the_content_is(self, archive: Backend) -> None:
        await archive.record(delivery(photo(offer=offer())))
        assert (await media_of(archive)).status is DownloadStatus.PENDING
        task = await the_task(archive.downloads)
        assert (await media_of(archive)).status is DownloadStatus.DOWNLOADING
        await complete(archive.downloads, task)
        found = Inspection(
            mimetype="image/webp",
            width=640,
            height=480,
            duration_s=1.5,
            pages=2,
            placeholder=b"\x00\xff",
            has_thumbnail=True,
            problem="no colours",
        )
        [todo] = await archive.downloads.claim_inspections(SOON, lease=LEASE, limit=5)
        await archive.downloads.save_inspection(todo.sha256, found, now=SOON + SECOND)
        expected = MediaView(
            status=DownloadStatus.COMPLETED,
            mimetype="image/webp",
            filename="pão.jpg",
            size_bytes=999,
            sha256=HASH,
            width=640,
            height=480,
            duration_s=1.5,
            pages=2,
            problem="no colours",
            placeholder=b"\x00\xff",
            has_thumbnail=True,
        )
        assert await media_of(archive) == expected
        [file] = await archive.downloads.files_of(SESSION, [ANA], StanzaId("A1"))
        assert file == FileView(
            session=SESSION,
            chat_id=ANA,
            id=StanzaId("A1"),
            waha_id=f"false_{ANA}_A1",
            from_me=False,
            kind=Kind.IMAGE,
            sent_at=NOON,
            media=expected,
        )


class TestInspections:
    async def test_each_is_given_to_one_caller(self, archive: Backend) -> None:
        await archive.record(*(delivery(photo(f"A{n}")) for n in range(3)))
        for n, task in enumerate(await claimed(archive.downloads)):
            await complete(archive.downloads, task, f"{n:064x}", SOON + n * SECOND)
        later = SOON + HOUR
        first = await archive.downloads.claim_inspections(later, lease=LEASE, limit=2)
        second = await archive.downloads.claim_inspections(later, lease=LEASE, limit=2)
        assert [each.sha256 for each in (*first, *second)] == [f"{n:064x}" for n in range(3)]
        assert await archive.downloads.claim_inspections(later, lease=LEASE, limit=2) == []

    async def test_one_that_never_ended_is_begun_again_and_counted(self, archive: Backend) -> None:
        await archive.record(delivery(photo()))
        await complete(archive.downloads, await the_task(archive.downloads))
        for _ in range(3):
            await archive.downloads.claim_inspections(SOON, lease=timedelta(), limit=1)
        [stored] = await archive.downloads.stored()
        assert stored.inspections == 3
        found = Inspection(mimetype="image/png", problem="it cannot be read")
        await archive.downloads.save_inspection(HASH, found, now=SOON)
        assert await archive.downloads.claim_inspections(SOON, lease=LEASE, limit=1) == []
        [stored] = await archive.downloads.stored()
        assert (stored.inspected_at, stored.problem) == (SOON, "it cannot be read")

    async def test_of_a_file_that_is_gone_is_no_matter(self, downloads: DownloadStore) -> None:
        await downloads.save_inspection(HASH, Inspection(mimetype="image/png"), now=SOON)
        assert await downloads.stored() == []


class TestMoves:
    async def test_a_download_follows_its_chat_and_back(self, archive: Backend) -> None:
        await archive.record(delivery(photo(chat=ANA_LID, offer=offer())))
        task = await the_task(archive.downloads)
        await archive.record(delivery(linked()))
        await complete(archive.downloads, task)  # its lease outlived the move
        assert [file.chat_id for file in await shown(archive)] == [ANA]
        assert (await media_of(archive)).status is DownloadStatus.COMPLETED
        await archive.archive.unlink(SESSION, ANA_LID, at=NOON)
        assert [file.chat_id for file in await shown(archive)] == [ANA_LID]
        assert (await media_of(archive, ANA_LID)).status is DownloadStatus.COMPLETED
        assert await uses(archive.downloads) == {HASH: 1}

    async def test_it_follows_its_author_in_a_group(self, archive: Backend) -> None:
        await archive.record(delivery(photo(chat=GROUP, by=ANA_LID, offer=offer())))
        await archive.record(delivery(linked()))
        assert (await the_task(archive.downloads)).author == Author(ANA)

    @pytest.mark.parametrize("stored_in", [ANA, ANA_LID])
    async def test_of_two_that_are_one_the_stored_file_stays(
        self, archive: Backend, stored_in: Jid
    ) -> None:
        await archive.record(delivery(photo(chat=ANA)), delivery(photo(chat=ANA_LID)))
        for task in await claimed(archive.downloads):
            if task.chat == stored_in:
                await complete(archive.downloads, task)
            else:
                await give_up(archive.downloads, task)
        better = delivery(photo(chat=ANA, offer=offer(NOON + SECOND)), at=NOON + SECOND)
        await archive.record(better, delivery(linked()))
        [file] = await shown(archive)
        assert (file.chat_id, file.media.status) == (ANA, DownloadStatus.COMPLETED)
        assert await uses(archive.downloads) == {HASH: 1}
        assert await claimed(archive.downloads, NOON + HOUR) == []

    @pytest.mark.parametrize("hashes", [(HASH, HASH), (HASH, OTHER_HASH)], ids=["same", "two"])
    async def test_of_two_that_are_one_the_uses_stay_right(
        self, archive: Backend, hashes: tuple[str, str]
    ) -> None:
        await archive.record(delivery(photo(chat=ANA)), delivery(photo(chat=ANA_LID)))
        for task, sha256 in zip(await claimed(archive.downloads), hashes, strict=True):
            await complete(archive.downloads, task, sha256)
        await archive.record(delivery(linked()))
        [file] = await shown(archive)
        expected = dict.fromkeys(hashes, 0) | {str(file.media.sha256): 1}
        assert await uses(archive.downloads) == expected

    async def test_of_two_that_are_one_the_newer_offer_is_tried(self, archive: Backend) -> None:
        new, old = offer(NOON + SECOND, "new"), offer(NOON, "old")
        await archive.record(
            delivery(photo(chat=ANA, offer=old)), delivery(photo(chat=ANA_LID, offer=new))
        )
        await archive.record(delivery(linked()))
        assert (await the_task(archive.downloads)).download.offer == new

    async def test_a_twin_without_an_author_is_the_same_file(self, archive: Backend) -> None:
        await archive.record(delivery(photo(chat=GROUP)))
        task = await the_task(archive.downloads)
        await archive.record(delivery(photo(chat=GROUP, by=ANA), at=NOON + SECOND))
        await complete(archive.downloads, task)
        [file] = await shown(archive)
        assert file.media.status is DownloadStatus.COMPLETED
        assert (await media_of(archive, GROUP)).status is DownloadStatus.COMPLETED

    async def test_many_follow(self, archive: Backend) -> None:
        told = [delivery(photo(f"A{n:04}", chat=ANA_LID, offer=offer())) for n in range(2100)]
        await archive.record(*told)
        await archive.record(delivery(linked()))
        found = await claimed(archive.downloads, limit=3000)
        assert {task.chat for task in found} == {ANA}
        assert len(found) == 2100


class TestPeople:
    async def some(self, archive: Backend) -> None:
        """Leave one completed, one failed, one expired, one skipped and one pending."""
        names = ("completed", "failed", "expired", "skipped")
        await archive.record(
            *(delivery(photo(name, sent_at=NOON + n * SECOND)) for n, name in enumerate(names))
        )
        for task in await claimed(archive.downloads):
            if task.stanza == "completed":
                await complete(archive.downloads, task)
            elif task.stanza == "failed":
                await give_up(archive.downloads, task)
            elif task.stanza == "expired":
                await ended(archive.downloads, task)
            else:
                state = skipped(task.download, "too large")
                given = msgspec.structs.replace(task, download=state)
                await archive.downloads.save(given, now=SOON)
        await archive.record(delivery(photo("pending", chat=BRUNO, sent_at=NOON - SECOND)))

    async def test_retry_what_failed_or_expired(self, archive: Backend) -> None:
        await self.some(archive)
        assert await archive.downloads.retry(SOON) == 2
        due = [task for task in await claimed(archive.downloads) if task.stanza != "pending"]
        assert {task.stanza for task in due} == {"failed", "expired"}
        assert {(task.download.attempts, task.download.problem) for task in due} == {(0, None)}

    async def test_retry_what_they_name(self, archive: Backend) -> None:
        await self.some(archive)
        every = frozenset(DownloadStatus)
        retry = archive.downloads.retry
        assert await retry(SOON, session=SESSION, chat=[BRUNO]) == 0
        assert await retry(SOON, session=SESSION, chat=[ANA], stanza=StanzaId("expired")) == 1
        assert await retry(SOON, statuses=[DownloadStatus.SKIPPED]) == 1
        assert await retry(SOON, session=SESSION, account=BAKERY.phone, statuses=every) == 4
        assert (await media_of(archive, BRUNO)).status is DownloadStatus.PENDING
        with pytest.raises(NotFound):
            await retry(SOON, session=SessionName("nowhere"))
        with pytest.raises(NotFound):
            await retry(SOON, session=SESSION, chat=[GROUP])

    async def test_what_is_held_is_not_retried(self, archive: Backend) -> None:
        await archive.record(delivery(photo()))
        task = await the_task(archive.downloads)
        assert await archive.downloads.retry(SOON, statuses=frozenset(DownloadStatus)) == 0
        await complete(archive.downloads, task)

    async def test_a_chat_is_found_by_its_hidden_id(self, archive: Backend) -> None:
        await self.some(archive)
        await archive.record(delivery(linked()))
        assert await archive.downloads.retry(SOON, session=SESSION, chat=[ANA_LID]) == 2
        assert len(await archive.downloads.files_of(SESSION, [ANA_LID], StanzaId("failed"))) == 1

    async def test_see_the_latest_first(self, archive: Backend) -> None:
        await self.some(archive)
        assert [file.id for file in await shown(archive)] == [
            *("skipped", "expired", "failed", "completed", "pending"),
        ]

    @pytest.mark.parametrize("status", list(DownloadStatus))
    async def test_see_those_of_a_status(self, archive: Backend, status: DownloadStatus) -> None:
        await self.some(archive)
        expected = [] if status is DownloadStatus.DOWNLOADING else [status.value]
        assert [file.id for file in await shown(archive, status=status)] == expected

    async def test_see_those_of_a_kind(self, archive: Backend) -> None:
        await self.some(archive)
        await archive.record(delivery(photo("voice", kind=Kind.VOICE)))
        assert [file.id for file in await shown(archive, kind=Kind.VOICE)] == ["voice"]
        assert await shown(archive, kind=Kind.VOICE, status=DownloadStatus.SKIPPED) == []
        assert len(await shown(archive, kind=Kind.IMAGE)) == 5

    @pytest.mark.parametrize("status", [None, DownloadStatus.PENDING])
    async def test_turn_pages(self, archive: Backend, status: DownloadStatus | None) -> None:
        chats = itertools.cycle([ANA, BRUNO, GROUP])
        told = [photo(f"A{n % 4}", chat=next(chats), sent_at=NOON) for n in range(12)]
        told += [photo("B", kind=Kind.STICKER, sent_at=NOON - SECOND)]
        await archive.record(*map(delivery, told))
        every = await shown(archive, status=status)
        pages = [await archive.downloads.files(SESSION, status=status, limit=5)]
        while (cursor := pages[-1].next) is not None:
            pages.append(
                await archive.downloads.files(SESSION, status=status, before=cursor, limit=5)
            )
        assert (len(pages), len(every)) == (3, 13)
        assert [file for page in pages for file in page.files] == every
        assert [(file.sent_at, file.id, file.chat_id) for file in every] == sorted(
            ((file.sent_at, file.id, file.chat_id) for file in every), reverse=True
        )

    async def test_cannot_ask_for_nonsense(self, archive: Backend) -> None:
        await self.some(archive)
        for limit in (0, 501):
            with pytest.raises(InvalidInput):
                await archive.downloads.files(SESSION, limit=limit)
        naive = encode_cursor(("2026-10-03T12:00:00", "", "", ""))
        for cursor in ("x", "WzFd", naive, encode_cursor((NOON, "\x00", "", ""))):
            with pytest.raises(InvalidInput):
                await archive.downloads.files(SESSION, before=cursor)
        with pytest.raises(NotFound):
            await archive.downloads.files(SessionName("nowhere"))
        with pytest.raises(NotFound):
            await archive.downloads.files_of(SESSION, [GROUP], StanzaId("A1"))
        assert await archive.downloads.files_of(SESSION, [ANA], StanzaId("unheard of")) == []

    async def test_see_how_downloads_stand(self, archive: Backend) -> None:
        empty = await archive.downloads.counts(rules=RULES)
        assert set(empty.by_status) == set(DownloadStatus)
        assert (empty.expires_at, empty.due_since, empty.uninspected) == (None, None, 0)
        await self.some(archive)
        await archive.record(delivery(photo("fresh", offer=offer())))
        found = await archive.downloads.counts(rules=RULES)
        assert found.by_status == {
            DownloadStatus.PENDING: 2,
            DownloadStatus.DOWNLOADING: 0,
            DownloadStatus.COMPLETED: 1,
            DownloadStatus.FAILED: 1,
            DownloadStatus.SKIPPED: 1,
            DownloadStatus.EXPIRED: 1,
        }
        assert found.expires_at == NOON + timedelta(seconds=180)
        assert (found.due_since, found.uninspected) == (NOON + SECOND, 1)
        assert (await archive.downloads.counts(rules=Rules(lifetime=None))).expires_at is None

    async def test_see_how_those_of_a_session_stand(self, archive: Backend) -> None:
        await self.some(archive)
        await archive.record(delivery(photo("X1"), session="suporte"))
        found = await archive.downloads.counts_of(SESSION)
        listed = await shown(archive)
        assert found == {
            status: sum(file.media.status is status for file in listed) for status in DownloadStatus
        }
        assert sum(found.values()) == len(listed) > 0
        videos = await archive.downloads.counts_of(SESSION, kind=Kind.VIDEO)
        assert sum(videos.values()) == sum(file.kind is Kind.VIDEO for file in listed)
        with pytest.raises(NotFound):
            await archive.downloads.counts_of(SessionName("none"))


SMALL, LARGE = b"\xff\xd8\xff small", b"\xff\xd8\xff larger"


async def preview_of(archive: Backend, chat: Jid = ANA, stanza: str = "A1") -> bytes | None:
    return await archive.downloads.preview(SESSION, [chat], StanzaId(stanza))


class TestPreviews:
    """The tiny picture that came inside a message."""

    @pytest.mark.parametrize("others", [0, 30])
    async def test_is_kept_until_the_file_is_stored(self, archive: Backend, others: int) -> None:
        more = [delivery(seen(f"n {n}", stanza=f"B{n}", chat=BRUNO)) for n in range(others)]
        await archive.record(delivery(photo(preview=SMALL)), *more)
        assert await preview_of(archive) == SMALL
        assert (await media_of(archive)).has_thumbnail
        [file] = await shown(archive, kind=Kind.IMAGE)
        assert file.media.has_thumbnail
        task = await the_task(archive.downloads)
        assert await preview_of(archive) == SMALL
        await complete(archive.downloads, task)
        assert await preview_of(archive) is None
        assert not (await media_of(archive)).has_thumbnail

    @pytest.mark.parametrize("end", ["failed", "expired", "skipped", "lost lease"])
    async def test_is_kept_where_the_file_is_not_to_be_had(
        self, archive: Backend, end: str
    ) -> None:
        await archive.record(delivery(photo(preview=SMALL)))
        task = await the_task(archive.downloads)
        if end == "failed":
            await give_up(archive.downloads, task)
        elif end == "expired":
            await ended(archive.downloads, task)
        elif end == "skipped":
            state = skipped(task.download, "too large")
            await archive.downloads.save(msgspec.structs.replace(task, download=state), now=SOON)
        assert await preview_of(archive) == SMALL
        for status in DownloadStatus:
            assert all(file.media.has_thumbnail for file in await shown(archive, status=status))
        await archive.downloads.retry(SOON, statuses=set(DownloadStatus))
        assert await preview_of(archive) == SMALL

    @pytest.mark.parametrize(
        "told",
        list(itertools.permutations([None, SMALL, LARGE])),
        ids=["012", "021", "102", "120", "201", "210"],
    )
    async def test_the_largest_is_kept_in_whatever_order_they_come(
        self, archive: Backend, told: tuple[bytes | None, ...]
    ) -> None:
        for n, preview in enumerate(told):
            await archive.record(delivery(photo(preview=preview), at=NOON + n * SECOND))
        assert await preview_of(archive) == LARGE

    async def test_of_one_group_the_largest_is_kept(self, archive: Backend) -> None:
        told = [delivery(photo(preview=preview)) for preview in (SMALL, LARGE, SMALL)]
        await archive.record(*told)
        assert await preview_of(archive) == LARGE

    async def test_a_message_that_tells_another_one_is_no_news(self, archive: Backend) -> None:
        await archive.record(delivery(photo()))
        told = await archive.record(delivery(photo(preview=SMALL)))
        assert outcomes(told) == ["duplicate"]
        assert await preview_of(archive) == SMALL

    @pytest.mark.parametrize("chat", [ANA_LID, GROUP])
    async def test_follows_its_message_and_back(self, archive: Backend, chat: Jid) -> None:
        by = ANA_LID if chat == GROUP else None
        await archive.record(delivery(photo(chat=chat, by=by, preview=SMALL)))
        await archive.record(delivery(linked()))
        assert await preview_of(archive, GROUP if chat == GROUP else ANA) == SMALL
        await archive.archive.unlink(SESSION, ANA_LID, at=NOON)
        assert await preview_of(archive, chat) == SMALL

    @pytest.mark.parametrize("larger_in", [ANA, ANA_LID])
    async def test_of_two_that_are_one_the_largest_stays(
        self, archive: Backend, larger_in: Jid
    ) -> None:
        for chat in (ANA, ANA_LID):
            preview = LARGE if chat == larger_in else SMALL
            await archive.record(delivery(photo(chat=chat, preview=preview)))
        await archive.record(delivery(linked()))
        assert await preview_of(archive) == LARGE

    async def test_of_two_that_are_one_none_stays_where_one_is_stored(
        self, archive: Backend
    ) -> None:
        await archive.record(delivery(photo()))
        await complete(archive.downloads, await the_task(archive.downloads))
        await archive.record(delivery(photo(chat=ANA_LID, preview=SMALL)))
        await archive.record(delivery(linked()))
        assert await preview_of(archive) is None

    async def test_comes_no_more_once_the_file_is_stored(self, archive: Backend) -> None:
        await archive.record(delivery(photo(preview=SMALL)))
        await complete(archive.downloads, await the_task(archive.downloads))
        await archive.record(delivery(photo(preview=LARGE), at=NOON + SECOND))
        assert await preview_of(archive) is None
        again = archive.downloads.fetch_again
        assert await again(HASH, None, now=SOON, problem="missing") == 1
        assert await preview_of(archive) is None

    async def test_and_again_once_it_was_lost(self, archive: Backend) -> None:
        told = delivery(photo(preview=SMALL))
        await archive.record(told)
        await complete(archive.downloads, await the_task(archive.downloads))
        await archive.downloads.fetch_again(HASH, None, now=SOON, problem="missing")
        await archive.record(told)
        assert await preview_of(archive) == SMALL

    async def test_a_replay_brings_those_that_were_not_read_before(self, archive: Backend) -> None:
        await archive.record(delivery(photo()))
        [row] = await archive.archive.logged(LogFilter(), after=0, limit=10)
        await archive.archive.reproject([(row.id, delivery(photo(preview=SMALL)))])
        assert await preview_of(archive) == SMALL

    async def test_is_forgotten_with_the_file(self, archive: Backend) -> None:
        await archive.record(delivery(photo(preview=SMALL)))
        await archive.downloads.forget(SESSION, [ANA], StanzaId("A1"), problem="purged")
        assert await preview_of(archive) is None
        assert not (await media_of(archive)).has_thumbnail

    async def test_of_an_id_that_two_claim_the_first_by_author_counts(
        self, archive: Backend
    ) -> None:
        await archive.record(
            delivery(photo(chat=GROUP, by=ANA, preview=SMALL)),
            delivery(photo(chat=GROUP, by=BRUNO, sent_at=NOON - SECOND, preview=LARGE)),
        )
        first = {True: SMALL, False: LARGE}[ANA < BRUNO]
        assert await preview_of(archive, GROUP) == first

    async def test_of_nothing_there_is_none(self, archive: Backend) -> None:
        await archive.record(delivery(seen("oi")), delivery(photo("A2")))
        assert await preview_of(archive) is None
        assert await preview_of(archive, stanza="A2") is None
        with pytest.raises(NotFound):
            await preview_of(archive, BRUNO)
        with pytest.raises(NotFound):
            await archive.downloads.preview(SessionName("none"), [ANA], StanzaId("A1"))


class TestForgetting:
    async def test_the_file_goes_with_its_last_use(self, archive: Backend) -> None:
        await archive.record(*(delivery(photo(name, offer=offer())) for name in ("A1", "A2")))
        for task in await claimed(archive.downloads):
            await complete(archive.downloads, task)
        removed: list[MediaKey] = []

        async def remove(key: MediaKey) -> bool:
            removed.append(key)
            return True

        forget, unused = archive.downloads.forget, archive.downloads.remove_unused
        assert await forget(SESSION, [ANA], StanzaId("A1"), problem="purged") == 1
        assert await uses(archive.downloads) == {HASH: 1}
        assert await unused(remove, limit=10) == 0
        assert await forget(SESSION, [ANA], StanzaId("A2"), problem="purged") == 1
        assert await forget(SESSION, [ANA], StanzaId("A2"), problem="purged") == 1
        assert await uses(archive.downloads) == {HASH: 0}
        assert removed == []
        assert await unused(remove, limit=10) == 1
        assert removed == [file_key(HASH), thumbnail_key(HASH)]
        assert await archive.downloads.stored() == []
        assert await unused(remove, limit=10) == 0
        assert await archive.downloads.claim_inspections(SOON, lease=LEASE, limit=9) == []

    async def test_what_was_forgotten_does_not_come_back_by_itself(self, archive: Backend) -> None:
        await archive.record(delivery(photo(offer=offer())))
        task = await the_task(archive.downloads)
        await archive.downloads.forget(SESSION, [ANA], StanzaId("A1"), problem="purged")
        with pytest.raises(LeaseLost):
            await complete(archive.downloads, task)
        await archive.record(delivery(photo(offer=offer(NOON + SECOND)), at=NOON + SECOND))
        assert await claimed(archive.downloads, SOON + HOUR) == []
        media = await media_of(archive)
        assert (media.status, media.problem) == (DownloadStatus.SKIPPED, "purged")
        await archive.downloads.retry(SOON, statuses=[DownloadStatus.SKIPPED])
        assert await complete(archive.downloads, await the_task(archive.downloads))

    async def test_a_file_that_is_used_again_in_time_stays(self, archive: Backend) -> None:
        await archive.record(*(delivery(photo(name, offer=offer())) for name in ("A1", "A2")))
        one, other = await claimed(archive.downloads)
        await complete(archive.downloads, one)
        await archive.downloads.forget(SESSION, [ANA], one.stanza, problem="purged")
        assert not await complete(archive.downloads, other)

        async def remove(key: MediaKey) -> bool:
            raise AssertionError(key)

        assert await archive.downloads.remove_unused(remove, limit=10) == 0
        assert await uses(archive.downloads) == {HASH: 1}

    async def test_nothing_is_forgotten_where_nothing_is(self, archive: Backend) -> None:
        await archive.record(delivery(seen("oi")))
        forget = archive.downloads.forget
        assert await forget(SESSION, [ANA], StanzaId("A1"), problem="purged") == 0
        with pytest.raises(NotFound):
            await forget(SESSION, [BRUNO], StanzaId("A1"), problem="purged")


class TestLostFiles:
    """What `wagateway media verify` mends."""

    async def test_all_that_have_it_are_fetched_again(self, archive: Backend) -> None:
        await archive.record(
            delivery(photo("A1", offer=offer())),
            delivery(photo("A2", chat=BRUNO)),
            delivery(photo("A3", offer=BUCKET)),
        )
        for task in await claimed(archive.downloads):
            await complete(archive.downloads, task, OTHER_HASH if task.stanza == "A3" else HASH)
        removed: list[MediaKey] = []

        async def remove(key: MediaKey) -> None:
            removed.append(key)

        again, later = archive.downloads.fetch_again, NOON + HOUR
        assert await again(HASH, remove, now=later, problem="damaged") == 2
        assert removed == [file_key(HASH), thumbnail_key(HASH)]
        assert await uses(archive.downloads) == {OTHER_HASH: 1}
        states = {file.id: file.media for file in await shown(archive)}
        assert states[StanzaId("A1")].status is DownloadStatus.PENDING
        assert states[StanzaId("A1")].problem == "damaged"
        assert states[StanzaId("A1")].sha256 is None
        assert states[StanzaId("A3")].status is DownloadStatus.COMPLETED
        tasks = await claimed(archive.downloads, later)
        assert {task.stanza: task.download.again for task in tasks} == {"A1": True, "A2": True}
        news = [await complete(archive.downloads, task, at=later) for task in tasks]
        assert news == [True, False]
        assert await uses(archive.downloads) == {HASH: 2, OTHER_HASH: 1}
        looked = await archive.downloads.claim_inspections(later, lease=LEASE, limit=9)
        assert {each.sha256 for each in looked} == {HASH, OTHER_HASH}

    async def test_what_the_engine_still_has_is_not_got_again(self, archive: Backend) -> None:
        await archive.record(delivery(photo(offer=BUCKET)))
        await complete(archive.downloads, await the_task(archive.downloads))
        again = archive.downloads.fetch_again
        assert await again(HASH, None, now=SOON, problem="missing") == 1
        task = await the_task(archive.downloads)
        assert (task.download.again, task.download.attempts) == (False, 0)

    @pytest.mark.parametrize("act", ["lose", "forget"])
    async def test_it_moves_with_its_message_whatever_that_is_said_to_be_now(
        self, archive: Backend, act: str
    ) -> None:
        await archive.record(delivery(photo()), delivery(photo(chat=ANA_LID)))
        [task] = await claimed(archive.downloads, limit=1)
        assert task.chat == ANA_LID
        await complete(archive.downloads, task)
        await archive.record(delivery(seen(None, chat=ANA_LID)))
        if act == "lose":
            again = archive.downloads.fetch_again
            assert await again(HASH, None, now=SOON, problem="missing") == 1
        else:
            forget = archive.downloads.forget
            await forget(SESSION, [ANA_LID], StanzaId("A1"), problem="purged")
        await archive.record(delivery(linked()))
        [file] = await shown(archive)
        assert (file.chat_id, file.media.filename) == (ANA, FACTS.filename)
        assert file.media.status is DownloadStatus.PENDING

    async def test_a_file_that_nobody_has_concerns_no_download(self, archive: Backend) -> None:
        await archive.record(delivery(photo(offer=offer())))
        assert await archive.downloads.fetch_again(HASH, None, now=SOON, problem="missing") == 0
        assert await archive.downloads.stored() == []
        assert (await media_of(archive)).problem is None

    async def test_an_unknown_file_is_removed(self, archive: Backend) -> None:
        removed: list[MediaKey] = []

        async def remove(key: MediaKey) -> None:
            removed.append(key)

        assert await archive.downloads.remove_unknown(HASH, remove)
        assert removed == [file_key(HASH), thumbnail_key(HASH)]
        assert await archive.downloads.stored() == []

    async def test_a_known_file_is_not(self, archive: Backend) -> None:
        async def remove(key: MediaKey) -> None:
            raise AssertionError(key)

        await archive.record(delivery(photo(offer=offer())))
        await complete(archive.downloads, await the_task(archive.downloads))
        assert not await archive.downloads.remove_unknown(HASH, remove)
        await archive.downloads.forget(SESSION, [ANA], StanzaId("A1"), problem="purged")
        assert not await archive.downloads.remove_unknown(HASH, remove)  # remove_unused() may
        assert await uses(archive.downloads) == {HASH: 0}

    async def test_who_links_it_meanwhile_finds_it_new(self, archive: Backend) -> None:
        await archive.record(delivery(photo(offer=offer())))
        task = await the_task(archive.downloads)
        linking: list[asyncio.Task[bool]] = []

        async def remove(key: MediaKey) -> None:
            if not linking:
                linking.append(asyncio.create_task(complete(archive.downloads, task)))
                await asyncio.sleep(0.1)

        assert await archive.downloads.remove_unknown(HASH, remove)
        assert await linking[0]  # so the worker, which found the file there, adds it again
        assert await uses(archive.downloads) == {HASH: 1}

    async def test_a_file_is_looked_into_again(self, archive: Backend) -> None:
        await archive.record(delivery(photo(offer=offer())))
        await complete(archive.downloads, await the_task(archive.downloads))
        look = archive.downloads.claim_inspections
        assert len(await look(SOON, lease=LEASE, limit=9)) == 1
        await archive.downloads.save_inspection(HASH, Inspection(mimetype="image/png"), now=SOON)
        assert await look(SOON + HOUR, lease=LEASE, limit=9) == []
        await archive.downloads.inspect_again(HASH, now=SOON)
        await archive.downloads.inspect_again(OTHER_HASH, now=SOON)
        [looked] = await look(SOON, lease=LEASE, limit=9)
        assert (looked.sha256, looked.inspections) == (HASH, 1)


END = datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC)
HOSTILE = {
    "an absurd size": photo("X", media=MediaFacts(size_bytes=2**63 - 1, filename="a" * 70_000)),
    "a negative size": photo("X", media=MediaFacts(size_bytes=-1, width=-5, duration_s=-2.5)),
    "a long url": photo("X", offer=offer(name="a" * 2**20)),
    "an offer at the end of time": photo("X", offer=offer(END)),
    "an offer of long ago": photo("X", offer=offer(datetime(1, 1, 2, tzinfo=UTC))),
    "a message of the end of time": photo("X", sent_at=END, offer=offer()),
    "an empty url": photo("X", offer=MediaOffer(offered_at=NOON, url="", error="none")),
    "markup": photo("X", media=MediaFacts(filename="../../<script>", mimetype="x'); DROP")),
}
REFUSED = {
    "a zero in a name": photo("X", media=MediaFacts(filename="a\x00b")),
    "half a character": photo("X", media=MediaFacts(filename="a\ud800b")),
    "a zero in a url": photo("X", offer=offer(name="\x00")),
}


class TestHostileFiles:
    @pytest.mark.parametrize("told", HOSTILE.values(), ids=HOSTILE)
    async def test_is_kept_and_claimed(self, archive: Backend, told: MessageSeen) -> None:
        await archive.record(delivery(photo("A")), delivery(told), delivery(photo("B")))
        found = await claimed(archive.downloads)
        assert {task.stanza for task in found} == {"A", "X", "B"}
        [task] = [task for task in found if task.stanza == "X"]
        assert (task.file.facts, task.download.offer) == (told.message.media, told.offer)
        await complete(archive.downloads, task)
        assert len(await shown(archive)) == 3
        assert (await archive.downloads.counts(rules=RULES)).by_status[
            DownloadStatus.COMPLETED
        ] == 1

    @pytest.mark.parametrize("told", REFUSED.values(), ids=REFUSED)
    async def test_what_the_database_refuses_costs_no_neighbour(
        self, archive: Backend, told: MessageSeen
    ) -> None:
        await archive.record(delivery(photo("A")), delivery(told), delivery(photo("B")))
        assert {"A", "B"} <= {task.stanza for task in await claimed(archive.downloads)}
        assert len(await archive.archive.logged(LogFilter(), after=0, limit=9)) == 3
        assert len(await texts(archive.reader)) >= 2


# ── Whatever happens ────────────────────────────────────────────────────────────────────────────

_offers = st.sampled_from(
    [
        *(None, BUCKET, BROKEN),
        *(offer(NOON + n * 60 * SECOND, f"{n}") for n in range(-4, 3)),
    ]
)


@st.composite
def _photos(draw: st.DrawFn) -> Delivery:
    chat = draw(st.sampled_from([ANA, ANA_LID, GROUP]))
    by = draw(st.sampled_from([ANA, ANA_LID, BRUNO, None])) if chat == GROUP else None
    text = draw(st.sampled_from([False, False, False, True]))
    what = photo(
        draw(st.sampled_from(["A1", "A2", "A3"])),
        chat=chat,
        by=by,
        sent_at=NOON - draw(st.integers(0, 2)) * SECOND,
        offer=None if text else draw(_offers),
        media=None if text else FACTS,
        kind=Kind.TEXT if text else Kind.IMAGE,
        completeness=draw(st.sampled_from(list(Completeness))),
        preview=None if text else draw(st.sampled_from(PREVIEWS)),
    )
    return delivery(what, at=NOON + draw(st.integers(0, 3)) * SECOND)


_acts = st.one_of(
    st.tuples(st.just("tell"), st.lists(_photos(), min_size=1, max_size=4)),
    st.tuples(st.just("tell"), st.just([delivery(linked())])),
    st.tuples(st.just("unlink"), st.none()),
    st.tuples(st.just("claim"), st.integers(1, 4)),
    st.tuples(st.just("claim"), st.integers(1, 4)),
    st.tuples(st.just("complete"), st.sampled_from([HASH, OTHER_HASH])),
    st.tuples(st.just("complete"), st.sampled_from([HASH, OTHER_HASH])),
    st.tuples(st.sampled_from(["fail", "miss", "expire"]), st.none()),
    st.tuples(st.just("retry"), st.none()),
    st.tuples(st.just("forget"), st.sampled_from(["A1", "A2"])),
    st.tuples(st.just("sweep"), st.none()),
    st.tuples(st.just("lose"), st.sampled_from([HASH, OTHER_HASH])),
)


class Life:
    """One store under the acts of deliveries, workers and people."""

    def __init__(self, archive: Backend) -> None:
        self._archive = archive
        self._held: list[DownloadTask] = []
        self._now = NOON + 3 * SECOND

    async def act(self, name: str, what: object) -> object:
        """Do it, and return what came of it."""
        self._now += 20 * SECOND
        try:
            return await getattr(self, name)(what)
        except (NotFound, LeaseLost) as exc:
            return type(exc).__name__

    async def tell(self, group: list[Delivery]) -> object:
        return await self._archive.record(*group)

    async def unlink(self, _: None) -> object:
        return await self._archive.archive.unlink(SESSION, ANA_LID, at=self._now)

    async def claim(self, limit: int) -> object:
        found = await self._archive.downloads.claim(
            self._now, rules=RULES, lease=LEASE, limit=limit
        )
        keys = [turn(task.download, task.file.sent_at) for task in found]
        assert keys == sorted(keys)
        self._held += found
        return [_comparable(task) for task in found]

    async def complete(self, sha256: str) -> object:
        return await complete(self._archive.downloads, self._next(), sha256, self._now)

    async def fail(self, _: None) -> object:
        task = self._next()
        state = failed(task.download, self._now, "cut", PATIENCE)
        return await self._save(task, state)

    async def miss(self, _: None) -> object:
        task = self._next()
        return await self._save(task, missing(task.download, self._now, "404", PATIENCE))

    async def expire(self, _: None) -> object:
        task = self._next()
        return await self._save(task, expired(task.download, "410"))

    def _next(self) -> DownloadTask:
        if not self._held:
            raise LeaseLost
        return self._held.pop(0)

    async def _save(self, task: DownloadTask, state: Download) -> object:
        given = msgspec.structs.replace(task, download=state)
        return await self._archive.downloads.save(given, now=self._now)

    async def retry(self, _: None) -> object:
        return await self._archive.downloads.retry(self._now, session=SESSION)

    async def forget(self, stanza: str) -> object:
        chats = [ANA, ANA_LID]
        forget = self._archive.downloads.forget
        return await forget(SESSION, chats, StanzaId(stanza), problem="purged")

    async def sweep(self, _: None) -> object:
        removed: list[MediaKey] = []

        async def remove(key: MediaKey) -> None:
            removed.append(key)

        return (await self._archive.downloads.remove_unused(remove, limit=100), removed)

    async def lose(self, sha256: str) -> object:
        removed: list[MediaKey] = []

        async def remove(key: MediaKey) -> None:
            removed.append(key)

        again = self._archive.downloads.fetch_again
        return (await again(sha256, remove, now=self._now, problem="damaged"), removed)

    async def picture(self) -> object:
        """Return all that can be seen."""
        try:
            files = (await self._archive.downloads.files(SESSION, limit=500)).files
        except NotFound:
            return None
        counts = await self._archive.downloads.counts(rules=RULES)
        stored = await self._archive.downloads.stored()
        return (await self._archive.picture(SESSION), files, counts, stored)

    async def settled(self) -> None:
        """Check that each use is counted."""
        try:
            files = (await self._archive.downloads.files(SESSION, limit=500)).files
        except NotFound:
            files = []
        done = [f.media.sha256 for f in files if f.media.status is DownloadStatus.COMPLETED]
        counted = await uses(self._archive.downloads)
        assert {sha256: n for sha256, n in counted.items() if n} == {
            sha256: done.count(sha256) for sha256 in done
        }


def _comparable(task: DownloadTask) -> DownloadTask:
    archive = msgspec.structs.replace(task.archive, id=0)
    return msgspec.structs.replace(task, archive=archive, lease="")


@pytest.fixture(scope="module")
async def pool(postgres_servers: Servers) -> AsyncIterator[Pool]:
    async with postgres_servers.migrated() as url, open_pool(url, max_size=4) as pool:
        yield pool


async def empty(pool: Pool) -> Backend:
    """Return an archive in which nothing is, as claims are made over all sessions."""
    async with pool.connection() as conn:
        await conn.execute(
            "TRUNCATE whatsapp_gateway.sessions, whatsapp_gateway.event_log,"
            " whatsapp_gateway.messages, whatsapp_gateway.message_state, whatsapp_gateway.contacts,"
            " whatsapp_gateway.chats, whatsapp_gateway.identities, whatsapp_gateway.message_search,"
            " whatsapp_gateway.media_downloads, whatsapp_gateway.media_objects"
        )
    return in_postgres(pool)


_WHENCE = st.lists(
    st.tuples(_offers, st.integers(0, 3), st.sampled_from([ANA, BRUNO, GROUP])),
    min_size=1,
    max_size=12,
)


@pytest.mark.embedded
@given(
    files=_WHENCE,
    limit=st.integers(1, 4),
    rules=st.sampled_from([RULES, Rules(lifetime=None), Rules(lifetime=62 * SECOND)]),
)
@settings(
    max_examples=examples(25),
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
async def test_claims_are_made_in_the_order_of_turns(
    pool: Pool,
    files: list[tuple[MediaOffer | None, int, Jid]],
    limit: int,
    rules: Rules,
) -> None:
    told = [
        photo(f"A{n}", chat=chat, offer=told, sent_at=NOON - age * SECOND)
        for n, (told, age, chat) in enumerate(files)
    ]
    turns = {
        (*turn(judged(heard(each.offer, NOON), rules, SOON), each.message.sent_at), *each_key(each))
        for each in told
    }
    for archive in (in_memory(), await empty(pool)):
        await archive.record(*map(delivery, told))
        taken: list[StanzaId] = []
        while found := await claimed(archive.downloads, rules=rules, limit=limit):
            taken += [task.stanza for task in found]
        assert taken == [key[-1] for key in sorted(turns)]


def each_key(told: MessageSeen) -> tuple[Jid, StanzaId]:
    return (told.ref.chat, told.ref.stanza)


@pytest.mark.embedded
@pytest.mark.timeout(600)  # a difference that is found is made small first, which takes a while
@given(acts=st.lists(_acts, min_size=3, max_size=14))
@settings(
    max_examples=examples(20),
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
async def test_both_stores_do_and_show_the_same(pool: Pool, acts: list[tuple[str, object]]) -> None:
    memory, real = Life(in_memory()), Life(await empty(pool))
    for name, what in acts:
        expected = await memory.act(name, what)
        assert await real.act(name, what) == expected
        assert await real.picture() == await memory.picture()
        await real.settled()
