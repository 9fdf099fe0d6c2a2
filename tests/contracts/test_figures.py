"""What every store tells of how its archive stands."""

import json
from datetime import timedelta

import msgspec
import pytest
from tests.contracts.archives import Backend
from tests.support.deliveries import (
    ANA,
    ANA_LID,
    BRUNO,
    GROUP,
    NOON,
    SECOND,
    SESSION,
    delivery,
    linked,
    seen,
)

from wagateway.domain.events import (
    Account,
    MessageSeen,
    NotUnderstood,
    SessionChanged,
    SessionStatus,
)
from wagateway.domain.identity import Jid
from wagateway.domain.media import DownloadStatus, Rules, Stored, completed
from wagateway.domain.messages import Kind, MediaFacts, MediaOffer
from wagateway.domain.spans import span
from wagateway.domain.sync import SyncState, SyncStatus, fresh
from wagateway.ports.engine import EngineChat
from wagateway.ports.figures import Figures, SessionFigures
from wagateway.ports.sync import Archived

HOUR = timedelta(hours=1)
DAY = timedelta(days=1)
LEASE = timedelta(minutes=1)
WORKING = SessionChanged(status=SessionStatus.WORKING, at=NOON)


async def figures(archive: Backend, *, most_sessions: int = 10, within: timedelta = DAY) -> Figures:
    return await archive.figures.read(NOON, within=within, most_sessions=most_sessions)


async def only(archive: Backend, *, within: timedelta = DAY) -> SessionFigures:
    [session] = (await figures(archive, within=within)).sessions
    return session


@pytest.fixture
async def mine(archive: Backend) -> Archived:
    await archive.record(delivery(WORKING))
    [found] = await archive.sync.archives()
    return found


def photo(stanza: str, offer: MediaOffer | None) -> MessageSeen:
    return seen(None, stanza=stanza, kind=Kind.IMAGE, media=MediaFacts(), offer=offer)


async def test_an_empty_archive_has_nothing(archive: Backend) -> None:
    assert await figures(archive) == Figures(
        session_count=0,
        sessions=(),
        sync_chats=dict.fromkeys(SyncStatus, 0),
        sync_due=0,
        sync_due_since=None,
        files=dict.fromkeys(set(DownloadStatus) - {DownloadStatus.COMPLETED}, 0),
        files_due=0,
        files_due_since=None,
        offered_since=None,
        uninspected=0,
        failed_rows=0,
    )


class TestSessions:
    async def test_each_is_told_as_the_engine_told_it_last(self, archive: Backend) -> None:
        stopped = SessionChanged(status=SessionStatus.STOPPED, at=NOON + SECOND)
        await archive.record(
            delivery(WORKING),
            delivery(stopped, at=NOON + SECOND),
            delivery(seen(), session="quiet"),
        )
        quiet, sales = (await figures(archive)).sessions
        assert (quiet.session, quiet.status) == ("quiet", None)
        assert (sales.session, sales.status) == (SESSION, SessionStatus.STOPPED)
        assert sales.last_event_at.utcoffset() == timedelta()
        assert NOON <= sales.last_event_at <= NOON + 2 * SECOND

    async def test_the_account_that_a_session_had_before_is_not_told(
        self, archive: Backend
    ) -> None:
        other = Account(phone=Jid("5511912340002@c.us"))
        await archive.record(delivery(WORKING))
        await archive.record(delivery(seen(), at=NOON + HOUR, account=other))
        assert (await figures(archive)).session_count == 1
        assert (await only(archive)).last_event_at >= NOON + HOUR

    async def test_only_so_many_are_told_and_all_are_counted(self, archive: Backend) -> None:
        await archive.record(*(delivery(seen(), session=name) for name in "dbac"))
        found = await figures(archive, most_sessions=2)
        assert [each.session for each in found.sessions] == ["a", "b"]
        assert found.session_count == 4

    async def test_a_hostile_name_comes_as_it_is(self, archive: Backend) -> None:
        await archive.record(delivery(seen(), session='x"}\n\\'))
        assert (await only(archive)).session == 'x"}\n\\'

    async def test_the_look_at_all_chats_is_told(self, archive: Backend, mine: Archived) -> None:
        assert (await only(archive)).sync_status is None
        state = SyncState(
            status=SyncStatus.FAILED, problem="refused", caught_up_at=NOON - HOUR, due_at=NOON
        )
        await archive.sync.enrol_session(mine, state=fresh(NOON))
        [task] = await archive.sync.tasks(mine)
        assert await archive.sync.change(msgspec.structs.replace(task, state=state))
        told = await only(archive)
        assert (told.sync_status, told.sync_problem) == (SyncStatus.FAILED, "refused")
        assert told.looked_at == NOON - HOUR


class TestGaps:
    async def proven(self, archive: Backend, mine: Archived, chat: Jid | None, hours: int) -> None:
        """Prove the last *hours* before noon."""
        if chat is None:
            await archive.sync.enrol_session(mine, state=fresh(NOON))
        else:
            await archive.sync.enrol(mine, [EngineChat(chat=chat)], state=fresh(NOON))
        for task in await archive.sync.claim(NOON, lease=LEASE, limit=9):
            spans = span(NOON - hours * HOUR, NOON) if task.chat == chat else ()
            await archive.sync.save(task, proven=spans)

    async def test_what_no_page_proved_lacks(self, archive: Backend, mine: Archived) -> None:
        await self.proven(archive, mine, ANA, 20)
        told = await only(archive)
        assert (told.chats, told.gap_s, told.incomplete_chats) == (1, 4 * 3600, 1)

    async def test_only_the_time_that_is_asked_for_counts(
        self, archive: Backend, mine: Archived
    ) -> None:
        await self.proven(archive, mine, ANA, 20)
        told = await only(archive, within=6 * HOUR)
        assert (told.chats, told.gap_s, told.incomplete_chats) == (1, 0, 0)

    async def test_what_holds_for_all_chats_holds_for_each(
        self, archive: Backend, mine: Archived
    ) -> None:
        await self.proven(archive, mine, ANA, 20)
        await self.proven(archive, mine, BRUNO, 8)
        await self.proven(archive, mine, None, 22)
        told = await only(archive)
        assert (told.chats, told.gap_s, told.incomplete_chats) == (2, 2 * 3600, 2)

    async def test_it_is_the_average_of_the_chats(self, archive: Backend, mine: Archived) -> None:
        await self.proven(archive, mine, ANA, 24)
        await self.proven(archive, mine, GROUP, 12)
        told = await only(archive)
        assert (told.chats, told.gap_s, told.incomplete_chats) == (2, 6 * 3600, 1)


class TestQueues:
    async def test_syncs_are_counted_by_status_and_by_being_due(
        self, archive: Backend, mine: Archived
    ) -> None:
        both = [EngineChat(chat=ANA), EngineChat(chat=BRUNO)]
        await archive.sync.enrol(mine, both, state=fresh(NOON - HOUR))
        await archive.sync.enrol(mine, [EngineChat(chat=GROUP)], state=fresh(NOON + HOUR))
        await archive.sync.enrol_session(mine, state=fresh(NOON))
        found = await figures(archive)
        assert found.sync_chats[SyncStatus.PENDING] == 3
        assert sum(found.sync_chats.values()) == 3
        assert (found.sync_due, found.sync_due_since) == (3, NOON - HOUR)

    async def test_a_chat_that_joined_another_is_due_since_nobody_knows_when(
        self, archive: Backend, mine: Archived
    ) -> None:
        lid = [EngineChat(chat=ANA_LID)]
        await archive.sync.enrol(mine, lid, state=fresh(NOON + HOUR))
        await archive.record(delivery(linked()))
        found = await figures(archive)
        assert (found.sync_due, found.sync_due_since) == (1, None)

    async def test_files_are_counted_until_they_are_stored(self, archive: Backend) -> None:
        told = MediaOffer(offered_at=NOON - HOUR, url="http://waha/a.jpeg")
        at = NOON - 2 * SECOND
        await archive.record(
            delivery(photo("A1", told), at=at),
            delivery(photo("A2", None), at=at),
        )
        found = await figures(archive)
        assert found.files[DownloadStatus.PENDING] == 2
        assert (found.files_due, found.offered_since) == (2, NOON - HOUR)
        assert found.files_due_since is not None
        assert at <= found.files_due_since <= NOON
        for task in await archive.downloads.claim(
            NOON, rules=Rules(lifetime=None), lease=LEASE, limit=9
        ):
            done = msgspec.structs.replace(task, download=completed(task.download, "ab" * 32))
            stored = Stored(size_bytes=1, mimetype="image/png")
            await archive.downloads.save(done, now=NOON, stored=stored)
        after = await figures(archive)
        assert sum(after.files.values()) == 0
        assert (after.files_due, after.files_due_since, after.offered_since) == (0, None, None)
        assert after.uninspected == 1

    async def test_what_could_not_be_projected_is_counted(self, archive: Backend) -> None:
        await archive.record(
            delivery(NotUnderstood(reason="no id"), event="message"),
            delivery(NotUnderstood(reason="new", known_event=False), event="new"),
            delivery(seen()),
        )
        assert (await figures(archive)).failed_rows == 1


async def test_nothing_that_is_told_names_anybody(archive: Backend, mine: Archived) -> None:
    await archive.sync.enrol(mine, [EngineChat(chat=ANA)], state=fresh(NOON))
    await archive.record(delivery(seen("segredo"), WORKING))
    told = json.dumps(msgspec.to_builtins(await figures(archive)))
    assert "551198765" not in told
    assert "segredo" not in told
