"""What a feed promises, on every store."""

from datetime import timedelta

import msgspec
import pytest
from tests.contracts.archives import Backend
from tests.support.deliveries import (
    ANA,
    ANA_LID,
    BAKERY,
    GROUP,
    NOON,
    SECOND,
    SESSION,
    acked,
    delivery,
    edited,
    linked,
    reacted,
    revoked,
    seen,
    voted,
)

from wagateway.domain.errors import InvalidInput
from wagateway.domain.events import Account, SessionChanged, SessionStatus
from wagateway.domain.feed import ChangeKind, FeedPage, Item, Position, position_of
from wagateway.domain.identity import Author, Jid
from wagateway.domain.messages import Ack
from wagateway.domain.purges import BY_RETENTION, Purge
from wagateway.domain.sync import SyncState, SyncStatus

AGES = timedelta(days=365)
OTHER = Account(phone=Jid("5511912340002@c.us"))
MESSAGE = Item(kind=ChangeKind.MESSAGE, chat=ANA, stanza=seen().ref.stanza, author=Author("them"))


async def items_after(archive: Backend, place: Position) -> list[Item]:
    return [told.item for told in (await archive.feed.read(place, limit=100)).told]


async def begun(archive: Backend) -> Position:
    """Let the session be known; return the place after that."""
    await archive.record(delivery())
    return await archive.feed.position()


async def whole(archive: Backend, place: Position, limit: int) -> list[FeedPage]:
    """Return all pages after a place."""
    pages = [await archive.feed.read(place, limit=limit)]
    while pages[-1].more:
        pages.append(await archive.feed.read(pages[-1].until, limit=limit))
    return pages


class TestWhatIsTold:
    async def test_a_message_is_told_once_with_its_place(self, archive: Backend) -> None:
        before = await archive.feed.position()
        await archive.record(delivery(seen(ack=Ack.SERVER)))
        page = await archive.feed.read(before, limit=10)
        session, message = page.told
        assert session.item == Item(kind=ChangeKind.SESSION)
        assert message.item == MESSAGE
        assert (message.session, message.account) == (SESSION, BAKERY.phone)
        assert message.at.utcoffset() == timedelta(0)
        assert before < session.position < message.position < page.until
        assert not page.more
        assert not page.reset
        assert await items_after(archive, page.until) == []

    async def test_what_changes_nothing_is_not_told(self, archive: Backend) -> None:
        await archive.record(delivery(seen(), edited("Boa tarde!")))
        after = await archive.feed.position()
        await archive.record(delivery(seen(), edited("Boa tarde!")), delivery(body=b"[]"))
        assert await items_after(archive, after) == []

    @pytest.mark.parametrize("together", [True, False])
    async def test_what_happens_to_a_message_is_told_in_its_order(
        self, archive: Backend, *, together: bool
    ) -> None:
        after = await begun(archive)
        told = [
            delivery(seen(from_me=True)),
            delivery(acked(Ack.READ)),
            delivery(edited("Boa tarde!", from_me=True)),
            delivery(reacted("👍", by=ANA)),
            delivery(revoked(from_me=True)),
        ]
        for group in [told] if together else [[one] for one in told]:
            await archive.record(*group)
        kinds = [item.kind for item in await items_after(archive, after)]
        acks = [] if together else [ChangeKind.ACK]  # of one commit the message shows it already
        rest = [ChangeKind.EDIT, ChangeKind.REACTION, ChangeKind.REVOCATION]
        assert kinds == [ChangeKind.MESSAGE, *acks, *rest]

    async def test_a_receipt_tells_who_and_how_far(self, archive: Backend) -> None:
        await archive.record(delivery(seen(chat=GROUP, from_me=True)))
        after = await archive.feed.position()
        await archive.record(delivery(acked(Ack.READ, chat=GROUP, recipient=ANA)))
        [item] = [i for i in await items_after(archive, after) if i.by]
        assert (item.kind, item.by, item.ack) == (ChangeKind.ACK, Author(ANA), Ack.READ)

    async def test_a_vote_is_told(self, archive: Backend) -> None:
        after = await begun(archive)
        await archive.record(delivery(voted("sim", by=ANA)))
        [item] = await items_after(archive, after)
        assert (item.kind, item.by) == (ChangeKind.VOTE, Author(ANA))

    async def test_each_state_of_a_session_is_told(self, archive: Backend) -> None:
        after = await begun(archive)
        changed = SessionChanged(status=SessionStatus.WORKING, at=NOON)
        await archive.record(delivery(changed, event="session.status"))
        await archive.record(delivery(changed, event="session.status"))
        assert await items_after(archive, after) == [
            Item(kind=ChangeKind.SESSION, status=SessionStatus.WORKING)
        ]

    async def test_a_learned_link_tells_which_chat_moved(self, archive: Backend) -> None:
        await archive.record(delivery(seen(chat=ANA_LID)))
        after = await archive.feed.position()
        await archive.record(delivery(linked(), seen("Oi!", stanza="A2")))
        first, second = await items_after(archive, after)
        assert first == Item(kind=ChangeKind.MOVE, chat=ANA, was=ANA_LID)
        assert (second.kind, second.chat, second.stanza) == (ChangeKind.MESSAGE, ANA, "A2")

    async def test_a_person_s_link_and_its_undoing_are_told(self, archive: Backend) -> None:
        await archive.record(delivery(seen(chat=ANA_LID)))
        after = await archive.feed.position()
        await archive.archive.link(SESSION, ANA_LID, ANA, at=NOON)
        await archive.archive.unlink(SESSION, ANA_LID, at=NOON + SECOND)
        assert await items_after(archive, after) == [
            Item(kind=ChangeKind.MOVE, chat=ANA, was=ANA_LID),
            Item(kind=ChangeKind.MOVE, chat=ANA_LID, was=ANA),
        ]

    async def test_sync_tells_each_page_and_the_end_of_a_turn(self, archive: Backend) -> None:
        await begun(archive)
        [archived] = await archive.sync.archives()
        await archive.sync.enrol_session(archived, state=SyncState(due_at=NOON))
        after = await archive.feed.position()
        [task] = await archive.sync.claim(NOON, lease=SECOND, limit=1)
        until = NOON + SECOND
        await archive.sync.save(task, keep_until=until)  # nothing that anybody would see
        await archive.sync.save(task, deliveries=[delivery(seen())], keep_until=until)
        await archive.sync.save(task)
        assert await items_after(archive, after) == [
            MESSAGE,
            Item(kind=ChangeKind.SYNC, status=SyncStatus.RUNNING),
            Item(kind=ChangeKind.SYNC, status=task.state.status),
        ]

    async def test_what_people_want_of_sync_is_told(self, archive: Backend) -> None:
        await begun(archive)
        [archived] = await archive.sync.archives()
        await archive.sync.enrol_session(archived, state=SyncState(due_at=NOON))
        after = await archive.feed.position()
        task = await archive.sync.task(archived, None)
        assert task is not None
        assert await archive.sync.change(task)
        assert not await archive.sync.change(task)  # it changed since
        assert await items_after(archive, after) == [
            Item(kind=ChangeKind.SYNC, status=task.state.status)
        ]

    async def test_a_purge_is_told_once_whenever_it_goes(self, archive: Backend) -> None:
        await archive.record(delivery(seen()))
        after = await archive.feed.position()
        [target] = await archive.purges.targets(SESSION, chat=[ANA])
        before = NOON + SECOND
        made = Purge(chat=ANA, before=before, purged_at=before, purged_by="maria", reason="segredo")
        for _ in range(2):
            await archive.purges.remember(target, made)
        while await archive.purges.step(target, before, limit=1, at=before):
            pass
        await archive.purges.finish(target, made)
        assert await items_after(archive, after) == [
            Item(kind=ChangeKind.PURGE, chat=ANA, before=before)
        ]

    async def test_a_purge_of_no_more_than_before_is_not_told(self, archive: Backend) -> None:
        await archive.record(delivery(seen()))
        after = await archive.feed.position()
        [everything] = await archive.purges.targets(SESSION)
        [chat] = await archive.purges.targets(SESSION, chat=[ANA])
        all_of_it = Purge(before=NOON, purged_at=NOON, purged_by="maria")
        await archive.purges.remember(everything, all_of_it)
        less = msgspec.structs.replace(all_of_it, before=NOON - SECOND, purged_by="joana")
        await archive.purges.remember(everything, less)
        await archive.purges.remember(chat, msgspec.structs.replace(all_of_it, chat=ANA))
        assert await items_after(archive, after) == [Item(kind=ChangeKind.PURGE, before=NOON)]

    async def test_a_purge_by_age_is_told_where_messages_go(self, archive: Backend) -> None:
        await archive.record(delivery(seen(sent_at=NOON)))
        after = await archive.feed.position()
        [target] = await archive.purges.targets(SESSION)
        for n in range(3):
            at = NOON + n * SECOND
            made = Purge(before=at, purged_at=at, purged_by=BY_RETENTION)
            await archive.purges.remember(target, made)
            while await archive.purges.step(target, at, limit=1, at=at):
                pass
        assert await items_after(archive, after) == [
            Item(kind=ChangeKind.PURGE, before=NOON + SECOND)
        ]

    async def test_each_archive_of_a_session_tells_its_own_purge(self, archive: Backend) -> None:
        await archive.record(delivery(seen()))
        await archive.record(delivery(seen(), account=OTHER, at=NOON + SECOND))
        after = await archive.feed.position()
        for target in await archive.purges.targets(SESSION):
            made = Purge(before=NOON, purged_at=NOON, purged_by="maria")
            await archive.purges.remember(target, made)
        told = (await archive.feed.read(after, limit=10)).told
        assert [one.account for one in told] == [BAKERY.phone, OTHER.phone]

    async def test_no_text_is_kept(self, archive: Backend) -> None:
        before = await archive.feed.position()
        await archive.record(delivery(seen("segredo"), edited("segredo"), reacted("👍", by=ANA)))
        assert "segredo" not in repr(await items_after(archive, before))


class TestPlaces:
    @pytest.mark.parametrize("limit", [1, 2, 3, 100])
    async def test_pages_join_without_gap_or_repetition(self, archive: Backend, limit: int) -> None:
        before = await archive.feed.position()
        for n in range(5):
            group = [delivery(seen(stanza=f"A{n}.{k}")) for k in range(2)]
            await archive.record(*group, delivery(seen(stanza=f"B{n}"), session="other"))
        pages = await whole(archive, before, limit)
        told = [one for page in pages for one in page.told if one.item.stanza]
        assert len({(one.session, one.item.stanza) for one in told}) == len(told) == 15
        assert [one.position for one in told] == sorted(one.position for one in told)
        assert all(bool(page.told) for page in pages)

    async def test_every_change_can_be_gone_on_from(self, archive: Backend) -> None:
        before = await archive.feed.position()
        await archive.record(*(delivery(seen(stanza=f"A{n}")) for n in range(4)))
        await archive.record(delivery(seen(stanza="A5")))
        told = (await archive.feed.read(before, limit=10)).told
        for number, one in enumerate(told, start=1):
            place = position_of(one.position.id)
            assert (await archive.feed.read(place, limit=10)).told == told[number:]

    async def test_what_comes_after_the_present_place_is_all_that_is_told(
        self, archive: Backend
    ) -> None:
        await archive.record(delivery(seen()))
        now = await archive.feed.position()
        await archive.record(delivery(seen(stanza="A2")))
        assert [item.stanza for item in await items_after(archive, now)] == ["A2"]

    async def test_another_feed_s_place_is_a_reset(self, archive: Backend) -> None:
        now = await archive.feed.position()
        page = await archive.feed.read(now._replace(line="0" * 8), limit=1)
        assert page.reset
        assert page.told == []
        assert page.until == now

    async def test_a_place_that_is_yet_to_come_is_a_reset(self, archive: Backend) -> None:
        now = await archive.feed.position()
        assert (await archive.feed.read(now._replace(transaction=2**60), limit=1)).reset


class TestForgetting:
    async def test_what_is_young_stays(self, archive: Backend) -> None:
        before = await archive.feed.position()
        await archive.record(delivery(seen()))
        assert await archive.feed.forget(older_than=AGES, limit=10) == 0
        assert MESSAGE in await items_after(archive, before)

    async def test_who_read_less_than_is_kept_is_told_to_begin_anew(self, archive: Backend) -> None:
        places = [await archive.feed.position()]
        for n in range(3):
            await archive.record(delivery(seen(stanza=f"A{n}")))
            places.append(await archive.feed.position())
        assert await archive.feed.forget(older_than=timedelta(), limit=2) == 2
        pages = [await archive.feed.read(place, limit=10) for place in places]
        assert [page.reset for page in pages] == [True, True, False, False]
        assert [one.item.stanza for one in pages[2].told] == ["A2"]
        assert (await archive.feed.read(pages[0].until, limit=10)).told == []

    async def test_it_ends_with_nothing_left(self, archive: Backend) -> None:
        for n in range(3):
            await archive.record(delivery(seen(stanza=f"A{n}")))
        removed = [await archive.feed.forget(older_than=timedelta(), limit=2) for _ in range(3)]
        assert removed == [2, 1, 0]
        now = await archive.feed.position()
        assert not (await archive.feed.read(now, limit=1)).reset


@pytest.mark.parametrize(
    "text",
    [
        "",
        "1",
        "abc-1-1",
        "abc-1-1-1-1",
        "xyz-1-1-1",
        "abc--1-1-1",
        "ab-1-1-x",
        "ab-1-1-1\n",
        "ab-\uff11-1-1",
    ],
)
def test_what_is_no_place_is_refused(text: str) -> None:
    with pytest.raises(InvalidInput, match="not a place in the feed"):
        position_of(text)
