"""Who follows the archive is told each change once and in order, however the line breaks."""

import asyncio
import random
from collections import defaultdict
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from itertools import chain
from typing import Any
from uuid import uuid4

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.contracts.archives import BACKENDS, Backend, backend
from tests.support.deliveries import (
    ANA,
    ANA_LID,
    BAKERY,
    BRUNO,
    GROUP,
    NOON,
    SECOND,
    SESSION,
    acked,
    delivery,
    edited,
    linked,
    reacted,
    seen,
)
from tests.support.depth import examples
from tests.support.postgres import Servers
from typing_extensions import override

from wagateway.domain.errors import InvalidInput, NotFound, StoreUnavailable, Unavailable
from wagateway.domain.feed import ChangeKind, FeedPage, Position
from wagateway.domain.identity import Jid, SessionName
from wagateway.domain.messages import Ack
from wagateway.domain.purges import Purge
from wagateway.domain.records import StanzaKey
from wagateway.domain.views import ChangeView
from wagateway.ports.feed import ChangeFeed
from wagateway.usecases.live import Live, Stream

SOON_S = 5.0


@asynccontextmanager
async def opened(archive: Backend, **options: Any) -> AsyncIterator[Live]:  # noqa: ANN401 - whatever Live takes
    live = archive.live(**options)
    try:
        yield live
    finally:
        await live.aclose()


@pytest.fixture
async def live(archive: Backend) -> AsyncIterator[Live]:
    await archive.record(delivery())
    async with opened(archive) as found:
        yield found


async def told(stream: Stream, count: int = 1) -> list[ChangeView]:
    """Return the next *count* changes at least."""
    found: list[ChangeView] = []
    async with asyncio.timeout(SOON_S):
        while len(found) < count:
            more = await stream.next(SOON_S)
            assert more is not None
            found += more
    return found


async def purge(
    archive: Backend, before: datetime, *, chat: Jid | None = None, session: SessionName = SESSION
) -> None:
    """Purge a session, or a chat of it."""
    meant = None if chat is None else [chat]
    for target in await archive.purges.targets(session, chat=meant):
        made = Purge(chat=target.chat, before=before, purged_at=before, purged_by="maria")
        await archive.purges.remember(target, made)
        while await archive.purges.step(target, before, limit=100, at=before):
            pass


def stanzas(changes: list[ChangeView]) -> list[str | None]:
    return [change.id for change in changes]


class TestWhatIsTold:
    async def test_a_message_comes_as_it_is_now(self, archive: Backend, live: Live) -> None:
        stream = await live.follow()
        await archive.record(delivery(seen("primeira"), edited("segunda")))
        message, edit = await told(stream, 2)
        assert (message.kind, edit.kind) == (ChangeKind.MESSAGE, ChangeKind.EDIT)
        assert message.message is not None
        assert message.message.text == "segunda"
        assert message.message == edit.message
        assert (message.session, message.account) == (SESSION, BAKERY.phone)
        assert (message.chat_id, message.id) == (ANA, "A1")

    async def test_who_did_it_is_named(self, archive: Backend, live: Live) -> None:
        stream = await live.follow()
        await archive.record(delivery(seen()), delivery(reacted("👍", by=None)))
        _, reaction = await told(stream, 2)
        assert reaction.by == BAKERY.phone
        assert reaction.message is not None
        assert [r.emoji for r in reaction.message.reactions] == ["👍"]

    async def test_an_ack_says_how_far_and_brings_no_message(
        self, archive: Backend, live: Live
    ) -> None:
        await archive.record(delivery(seen(from_me=True)))
        stream = await live.follow()
        await archive.record(delivery(acked(Ack.READ)))
        [ack] = await told(stream)
        assert (ack.kind, ack.ack, ack.message) == (ChangeKind.ACK, Ack.READ, None)

    async def test_what_is_not_archived_is_told_without_it(
        self, archive: Backend, live: Live
    ) -> None:
        stream = await live.follow()
        await archive.record(delivery(edited("de nada")))
        [edit] = await told(stream)
        assert (edit.kind, edit.message) == (ChangeKind.EDIT, None)

    async def test_of_two_who_claim_an_id_the_right_one_is_shown(
        self, archive: Backend, live: Live
    ) -> None:
        stream = await live.follow()
        for who, text in ((ANA, "de Ana"), (BRUNO, "de Bruno")):
            await archive.record(delivery(seen(text, chat=GROUP, by=who)))
        changes = await told(stream, 2)
        assert [c.message and c.message.text for c in changes] == ["de Ana", "de Bruno"]


class TestNamed:
    async def test_messages_are_found_by_chat_and_id(self, archive: Backend) -> None:
        await archive.record(
            delivery(seen("um")),
            delivery(seen("dois", stanza="A2")),
            delivery(seen("três", chat=GROUP, by=ANA)),
            delivery(seen("quatro", chat=GROUP, by=BRUNO)),
        )
        one, two = StanzaKey(ANA, seen().ref.stanza), StanzaKey(GROUP, seen().ref.stanza)
        nobody = StanzaKey(BRUNO, one.stanza)
        found = await archive.reader.named(SESSION, [one, two, nobody])
        texts = {key: [view.text for view in views] for key, views in found.items()}
        assert texts == {one: ["um"], two: ["três", "quatro"]}
        page = await archive.reader.messages(SESSION, [ANA])
        assert found[one] == [view for view in page.messages if view.id == one.stanza]

    async def test_a_linked_hidden_id_stands_for_its_phone(self, archive: Backend) -> None:
        await archive.record(delivery(seen()), delivery(linked()))
        key = StanzaKey(ANA_LID, seen().ref.stanza)
        assert list(await archive.reader.named(SESSION, [key])) == [key]

    async def test_no_session_has_none(self, archive: Backend) -> None:
        with pytest.raises(NotFound):
            await archive.reader.named(SessionName("nenhuma"), [])


class TestFilters:
    async def test_by_session(self, archive: Backend, live: Live) -> None:
        stream = await live.follow(session=SESSION)
        await archive.record(delivery(seen(stanza="B1"), session="other"))
        await archive.record(delivery(seen(stanza="A1")))
        assert stanzas(await told(stream)) == ["A1"]

    async def test_by_kind(self, archive: Backend, live: Live) -> None:
        stream = await live.follow(kinds=[ChangeKind.EDIT])
        await archive.record(delivery(seen(), edited("ah")))
        assert [change.kind for change in await told(stream)] == [ChangeKind.EDIT]

    async def test_by_a_chat_that_is_yet_to_come(self, archive: Backend, live: Live) -> None:
        stream = await live.follow(session=SESSION, chat=[BRUNO])
        await archive.record(delivery(seen()), delivery(seen(chat=BRUNO, stanza="B1")))
        assert stanzas(await told(stream)) == ["B1"]

    @pytest.mark.parametrize("asked", [ANA, ANA_LID])
    async def test_a_chat_is_followed_when_its_messages_move(
        self, archive: Backend, live: Live, asked: Jid
    ) -> None:
        await archive.record(delivery(seen(chat=ANA_LID, stanza="A0")))
        stream = await live.follow(session=SESSION, chat=[asked])
        first = await archive.feed.position()
        await archive.record(delivery(seen(chat=ANA_LID, stanza="A1")))
        await archive.record(delivery(linked()))
        await archive.record(delivery(seen(stanza="A2")), delivery(seen(chat=BRUNO, stanza="B")))
        expected = ["A1", None, "A2"] if asked == ANA_LID else [None, "A2"]
        changes = await told(stream, len(expected))
        assert stanzas(changes) == expected
        assert (changes[-2].kind, changes[-2].was) == (ChangeKind.MOVE, ANA_LID)
        # Who comes later knows who is who, and is told what was said under either address.
        later = await live.follow(session=SESSION, chat=[asked], after=first.id)
        assert stanzas(await told(later, 3)) == ["A1", None, "A2"]

    async def test_a_purge_of_all_chats_is_one_of_each(self, archive: Backend, live: Live) -> None:
        await archive.record(delivery(seen()), delivery(seen(chat=BRUNO, stanza="B1")))
        stream = await live.follow(session=SESSION, chat=[ANA])
        for chat, before in ((BRUNO, NOON), (ANA, NOON + SECOND), (None, NOON + 2 * SECOND)):
            await purge(archive, before, chat=chat)
        await archive.record(delivery(seen(stanza="A2", sent_at=NOON + 3 * SECOND)))
        *purges, message = await told(stream, 3)
        assert [(c.kind, c.chat_id, c.before, c.message) for c in purges] == [
            (ChangeKind.PURGE, ANA, NOON + SECOND, None),
            (ChangeKind.PURGE, None, NOON + 2 * SECOND, None),
        ]
        assert message.id == "A2"

    async def test_what_was_purged_meanwhile_is_told_without_it(
        self, archive: Backend, live: Live
    ) -> None:
        after = await archive.feed.position()
        await archive.record(delivery(seen()))
        await purge(archive, NOON + SECOND)
        stream = await live.follow(after=after.id)
        message, gone = await told(stream, 2)
        assert (message.kind, message.message) == (ChangeKind.MESSAGE, None)
        assert (gone.kind, gone.before) == (ChangeKind.PURGE, NOON + SECOND)

    async def test_an_unknown_session_is_named(self, live: Live) -> None:
        with pytest.raises(NotFound, match="nenhuma"):
            await live.follow(session=SessionName("nenhuma"))


class TestPlaces:
    async def test_the_past_is_told_after_a_place(self, archive: Backend, live: Live) -> None:
        before = await archive.feed.position()
        for n in range(30):  # more than a page
            await archive.record(delivery(seen(stanza=f"A{n}")))
        stream = await live.follow(after=before.id)
        changes = await told(stream, 30)
        assert stanzas(changes) == [f"A{n}" for n in range(30)]
        again = await live.follow(after=changes[11].position)
        assert stanzas(await told(again, 18)) == [f"A{n}" for n in range(12, 30)]

    async def test_nothing_of_the_past_is_told_without_one(
        self, archive: Backend, live: Live
    ) -> None:
        await archive.record(delivery(seen()))
        stream = await live.follow()
        assert await stream.next(0.1) == []
        await archive.record(delivery(seen(stanza="A2")))
        assert stanzas(await told(stream)) == ["A2"]

    async def test_silence_moves_the_place_along(self, archive: Backend, live: Live) -> None:
        stream = await live.follow(kinds=[ChangeKind.SYNC])
        await stream.next(0.05)
        await archive.record(delivery(seen()))
        async with asyncio.timeout(SOON_S):
            while (await archive.feed.read(stream.place, limit=1)).told:
                assert await stream.next(0.05) == []

    async def test_what_is_not_kept_is_a_reset_and_then_the_present(
        self, archive: Backend, live: Live
    ) -> None:
        before = await archive.feed.position()
        await archive.record(delivery(seen()))
        await archive.feed.forget(older_than=timedelta(), limit=10)
        stream = await live.follow(after=before.id)
        [reset] = await told(stream)
        assert (reset.kind, reset.session) == (ChangeKind.RESET, None)
        await archive.record(delivery(seen(stanza="A2")))
        assert stanzas(await told(stream)) == ["A2"]
        again = await live.follow(after=reset.position)
        assert stanzas(await told(again)) == ["A2"]

    async def test_who_is_up_to_date_is_not_reset_by_forgetting(
        self, archive: Backend, live: Live
    ) -> None:
        stream = await live.follow()
        await archive.record(delivery(seen()))
        [change] = await told(stream)
        await archive.feed.forget(older_than=timedelta(), limit=10)
        await archive.record(delivery(seen(stanza="A2")))
        assert stanzas(await told(stream)) == ["A2"]
        assert change.kind is ChangeKind.MESSAGE

    async def test_a_malformed_place_is_refused(self, live: Live) -> None:
        with pytest.raises(InvalidInput):
            await live.follow(after="42")


class TestStreams:
    async def test_a_commit_of_this_process_wakes_at_once(self, archive: Backend) -> None:
        await archive.record(delivery())
        async with opened(archive, look_every_s=60.0) as live:
            stream = await live.follow()
            assert await stream.next(0.2) == []
            await archive.record(delivery(seen()))
            assert stanzas(await told(stream)) == ["A1"]

    async def test_so_many_and_no_more(self, archive: Backend) -> None:
        async with opened(archive, most_streams=2) as live:
            first, _ = await live.follow(), await live.follow()
            with pytest.raises(Unavailable, match="WHATSAPP_LIVE_MAX_STREAMS"):
                await live.follow()
            first.close()
            assert await first.next(1.0) is None
            await live.follow()

    async def test_closing_ends_all(self, archive: Backend) -> None:
        async with opened(archive) as live:
            streams = [await live.follow() for _ in range(3)]
            waiting = [asyncio.create_task(stream.next(60.0)) for stream in streams]
            await asyncio.sleep(0.1)
        async with asyncio.timeout(1.0):
            assert await asyncio.gather(*waiting) == [None] * 3
        with pytest.raises(Unavailable):
            await live.follow()

    async def test_who_takes_too_little_is_told_all_the_same(self, archive: Backend) -> None:
        await archive.record(delivery())
        async with opened(archive, most_waiting=5) as live:
            slow, fast = await live.follow(), await live.follow()
            for stream in (slow, fast):
                await stream.next(0.05)
            for n in range(20):
                await archive.record(delivery(seen(stanza=f"A{n}")))
                assert stanzas(await told(fast)) == [f"A{n}"]
            assert len(slow._queue) <= 5  # noqa: SLF001 - that its memory is bounded
            assert stanzas(await told(slow, 20)) == [f"A{n}" for n in range(20)]
            await archive.record(delivery(seen(stanza="B")))
            assert stanzas(await told(slow)) == ["B"]


class Faltering(ChangeFeed):
    """A feed whose database is away now and then, or that has a defect."""

    def __init__(self, feed: ChangeFeed) -> None:
        self._feed = feed
        self.failures: list[Exception] = []

    @override
    async def read(self, after: Position, *, limit: int) -> FeedPage:
        if self.failures:
            raise self.failures.pop()
        return await self._feed.read(after, limit=limit)

    @override
    async def position(self) -> Position:
        return await self._feed.position()

    @override
    async def held_since(self) -> datetime | None:
        raise NotImplementedError

    @override
    async def forget(self, *, older_than: timedelta, limit: int) -> int:
        raise NotImplementedError


class TestTrouble:
    async def test_streams_outlast_a_database_that_is_away(
        self, archive: Backend, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("wagateway.usecases.live._AGAIN_S", 0.05)
        await archive.record(delivery())
        faltering = Faltering(archive.feed)
        async with opened(archive) as live:
            live.feed = faltering
            stream = await live.follow()
            faltering.failures = [StoreUnavailable("away")] * 2  # while it reads by itself
            await stream.next(0.5)
            faltering.failures = [StoreUnavailable("away")] * 2  # while it reads with the others
            await archive.record(delivery(seen()))
            assert stanzas(await told(stream)) == ["A1"]

    @pytest.mark.parametrize("joined", [False, True])
    async def test_a_defect_is_told_and_ends_the_streams(
        self, archive: Backend, *, joined: bool
    ) -> None:
        await archive.record(delivery())
        faltering = Faltering(archive.feed)
        broke: list[Exception] = []
        async with opened(archive, broke=broke.append) as live:
            live.feed = faltering
            stream = await live.follow()
            if joined:
                await stream.next(0.1)
            defect = ValueError("segredo")
            faltering.failures = [defect]
            assert await stream.next(SOON_S) is None
            assert broke == [defect]
            faltering.failures = []
            again = await live.follow(after=stream.place.id)
            await archive.record(delivery(seen()))
            assert stanzas(await told(again)) == ["A1"]


@pytest.fixture(scope="module", params=BACKENDS)
async def shared(
    request: pytest.FixtureRequest, postgres_servers: Servers
) -> AsyncIterator[Backend]:
    async with backend(request.param, postgres_servers) as found:
        yield found


Handled = dict[SessionName | None, list[str | None]]
_LONG_AGO = NOON - timedelta(days=365)


def _purged(n: int) -> str:
    """Return how a reader notes the purge after the group *n*, by which nothing goes."""
    return str(_LONG_AGO + n * SECOND)


class Play:
    """Writers at once, and readers who break off after any change and go on from its place."""

    def __init__(self, archive: Backend, seed: int) -> None:
        self._archive = archive
        self._dice = dice = random.Random(seed)
        self.sessions = [SessionName(f"s{uuid4().hex}") for _ in range(3)]
        sizes = {name: [dice.randint(1, 25) for _ in range(6)] for name in self.sessions}
        self._names = {
            session: [[f"{group}.{n}" for n in range(size)] for group, size in enumerate(groups)]
            for session, groups in sizes.items()
        }
        self.written: Handled = {
            name: [*chain.from_iterable([*names, _purged(n)] for n, names in enumerate(groups))]
            for name, groups in self._names.items()
        }

    async def write(self, session: SessionName) -> None:
        for n, names in enumerate(self._names[session]):
            group = [delivery(seen(stanza=name), session=session) for name in names]
            await self._archive.record(*group)
            await self._pause()
            await purge(self._archive, _LONG_AGO + n * SECOND, session=session)

    async def follow(self, live: Live, place: str) -> Handled:
        handled: Handled = defaultdict(list)
        left = sum(map(len, self.written.values()))
        while left > 0:
            kinds = [ChangeKind.MESSAGE, ChangeKind.PURGE]
            stream = await live.follow(after=place, kinds=kinds)
            for change in await self._some(stream, self._dice.randint(1, 60)):
                assert (change.message is None) == (change.before is not None)
                handled[change.session].append(change.id or str(change.before))
                place, left = change.position, left - 1
        return handled

    async def _some(self, stream: Stream, patience: int) -> list[ChangeView]:
        """Return up to so many changes, or less where none comes for a while; the rest is lost."""
        found: list[ChangeView] = []
        while len(found) < patience:
            timeout_s = self._dice.choice([0.001, 0.2])  # the first breaks off what is being read
            changes = await stream.next(timeout_s)
            assert changes is not None
            found += changes
            if not changes and timeout_s == 0.2:
                break
            await self._pause()
        stream.close()
        return found[:patience]

    async def _pause(self) -> None:
        if self._dice.random() < 0.3:
            await asyncio.sleep(self._dice.random() / 50)


@pytest.mark.timeout(600)
@given(seed=st.integers(0, 2**32), most_waiting=st.sampled_from([1, 3, 1000]))
@settings(
    max_examples=examples(4),
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
async def test_each_change_comes_once_and_in_order_to_all_who_come_and_go(
    shared: Backend, seed: int, most_waiting: int
) -> None:
    play = Play(shared, seed)
    await shared.record(*(delivery(session=name) for name in play.sessions))
    begin = (await shared.feed.position()).id
    async with opened(shared, most_waiting=most_waiting, look_every_s=0.05) as live:
        async with asyncio.TaskGroup() as group:
            readers = [group.create_task(play.follow(live, begin)) for _ in range(3)]
            for session in play.sessions:
                group.create_task(play.write(session))
        for reader in readers:
            assert reader.result() == play.written
