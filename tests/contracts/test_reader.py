"""Reads of the archive: pages in both directions, filters, what is not found."""

import base64
from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime, timedelta
from typing import Any

import msgspec
import pytest
from tests.contracts.archives import Backend
from tests.support.deliveries import (
    ANA,
    ANA_LID,
    BRUNO,
    CHANNEL,
    GROUP,
    NOON,
    SECOND,
    SESSION,
    delivery,
    linked,
    reacted,
    seen,
)
from tests.support.reading import texts

from wagateway.domain.cursors import MessagePosition, encode_cursor
from wagateway.domain.errors import InvalidInput, NotFound
from wagateway.domain.events import (
    ChatChanged,
    ContactSeen,
    Delivery,
    GroupChanged,
    NotArchived,
    NotUnderstood,
    Outcome,
    Source,
)
from wagateway.domain.identity import ChatType, Jid, SessionName
from wagateway.domain.views import MessagePage
from wagateway.ports.archive import ArchiveReader, LogFilter

NOWHERE = SessionName("nowhere")
STATUS = Jid("status@broadcast")
MINUTE = timedelta(minutes=1)


def numbered(count: int, *, at: datetime = NOON, first: int = 0) -> list[Delivery]:
    """Return messages a second apart, with their numbers as texts and ids."""
    return [
        delivery(seen(f"{n:03}", stanza=f"A{n:03}", sent_at=at + n * SECOND))
        for n in range(first, first + count)
    ]


def said(page: MessagePage) -> list[str | None]:
    return [message.text for message in page.messages]


def ids(numbers: Sequence[int]) -> list[str | None]:
    return [f"{n:03}" for n in numbers]


class TestMessages:
    async def test_the_newest_come_first(self, archive: Backend) -> None:
        await archive.record(*numbered(5)[::-1])
        page = await archive.reader.messages(SESSION, [ANA])
        assert said(page) == ids([4, 3, 2, 1, 0])
        assert (page.next, page.previous) == (None, None)

    @pytest.mark.parametrize(
        ("limit", "sizes"),
        [(1, [1] * 6), (2, [2, 2, 2]), (4, [4, 2]), (5, [5, 1]), (6, [6]), (500, [6])],
    )
    async def test_pages_lead_to_the_oldest_and_back(
        self, archive: Backend, limit: int, sizes: list[int]
    ) -> None:
        await archive.record(*numbered(6))
        down = [await archive.reader.messages(SESSION, [ANA], limit=limit)]
        while (cursor := down[-1].next) is not None:
            down.append(await archive.reader.messages(SESSION, [ANA], before=cursor, limit=limit))
        assert [len(page.messages) for page in down] == sizes
        assert [text for page in down for text in said(page)] == ids([5, 4, 3, 2, 1, 0])
        assert down[0].previous is None
        up = [down[-1]]
        while (cursor := up[-1].previous) is not None:
            up.append(await archive.reader.messages(SESSION, [ANA], after=cursor, limit=limit))
        assert [text for page in up[::-1] for text in said(page)] == ids([5, 4, 3, 2, 1, 0])

    async def test_a_page_knows_whether_there_is_more_on_either_side(
        self, archive: Backend
    ) -> None:
        await archive.record(*numbered(4))
        first = await archive.reader.messages(SESSION, [ANA], limit=1)
        second = await archive.reader.messages(SESSION, [ANA], before=first.next, limit=1)
        last = await archive.reader.messages(SESSION, [ANA], before=second.next, limit=2)
        assert [page.next is None for page in (first, second, last)] == [False, False, True]
        assert [page.previous is None for page in (first, second, last)] == [True, False, False]
        newer = await archive.reader.messages(SESSION, [ANA], after=last.previous, limit=5)
        assert (said(newer), newer.previous) == (ids([3, 2]), None)
        assert newer.next == second.next

    async def test_after_gives_those_next_to_the_place(self, archive: Backend) -> None:
        await archive.record(*numbered(6))
        page = await archive.reader.messages(SESSION, [ANA], after=NOON.isoformat(), limit=2)
        assert said(page) == ids([2, 1])
        assert page.previous is not None
        assert page.next is not None

    async def test_cursors_are_stable_while_messages_arrive(self, archive: Backend) -> None:
        await archive.record(*numbered(4, first=4))
        first = await archive.reader.messages(SESSION, [ANA], limit=2)
        await archive.record(*numbered(3, first=8), *numbered(2, first=0))
        second = await archive.reader.messages(SESSION, [ANA], before=first.next, limit=2)
        assert (said(first), said(second)) == (ids([7, 6]), ids([5, 4]))
        newer = await archive.reader.messages(SESSION, [ANA], after=second.previous, limit=2)
        assert said(newer) == ids([7, 6])
        assert newer.previous is not None

    async def test_messages_of_one_instant_are_ordered_by_id_in_code_points(
        self, archive: Backend
    ) -> None:
        stanzas = ["b", "B", "a", "ä", "_", "Z9"]
        await archive.record(*(delivery(seen(s, stanza=s)) for s in stanzas))
        found: list[str | None] = []
        page = await archive.reader.messages(SESSION, [ANA], limit=1)
        found += said(page)
        while page.next:
            page = await archive.reader.messages(SESSION, [ANA], before=page.next, limit=1)
            found += said(page)
        assert found == sorted(stanzas, reverse=True)

    async def test_both_claimants_of_one_id_and_instant_come_once_each(
        self, archive: Backend
    ) -> None:
        await archive.record(delivery(seen("hers")), delivery(seen("mine", from_me=True)))
        first = await archive.reader.messages(SESSION, [ANA], limit=1)
        second = await archive.reader.messages(SESSION, [ANA], before=first.next, limit=1)
        assert said(first) + said(second) == ["hers", "mine"]
        assert second.next is None

    @pytest.mark.parametrize(
        ("before", "expected"),
        [
            ("2026-10-03T12:00:02Z", [1, 0]),
            ("2026-10-03T12:00:02.000001Z", [2, 1, 0]),
            ("2026-10-03T09:00:02-03:00", [1, 0]),
            ("2026-10-03T12:00:02", [1, 0]),
            ("2026-10-04", [3, 2, 1, 0]),
            ("2026-10-03", []),
            ("9999-12-31T23:59:59Z", [3, 2, 1, 0]),
        ],
    )
    async def test_before_an_instant_is_exclusive(
        self, archive: Backend, before: str, expected: list[int]
    ) -> None:
        await archive.record(*numbered(4))
        page = await archive.reader.messages(SESSION, [ANA], before=before)
        assert said(page) == ids(expected)

    @pytest.mark.parametrize(
        ("after", "expected"),
        [
            ("2026-10-03T12:00:02Z", [3]),
            ("2026-10-03T12:00:01.999999Z", [3, 2]),
            ("2026-10-04", []),
            ("1970-01-01", [3, 2, 1, 0]),
        ],
    )
    async def test_after_an_instant_is_exclusive(
        self, archive: Backend, after: str, expected: list[int]
    ) -> None:
        await archive.record(*numbered(4))
        page = await archive.reader.messages(SESSION, [ANA], after=after)
        assert said(page) == ids(expected)
        assert page.previous is None

    async def test_the_first_known_of_several_chats_is_read(self, archive: Backend) -> None:
        await archive.record(delivery(seen("ana")), delivery(seen("bruno", chat=BRUNO)))
        nobody = Jid("5511900000000@c.us")
        page = await archive.reader.messages(SESSION, [nobody, BRUNO, ANA])
        assert said(page) == ["bruno"]

    async def test_a_chat_without_messages_is_an_empty_page(self, archive: Backend) -> None:
        await archive.record(delivery(ChatChanged(chat=ANA, at=NOON, archived=True)))
        page = await archive.reader.messages(SESSION, [ANA])
        assert (page.messages, page.next, page.previous) == ([], None, None)

    async def test_what_is_not_there_is_named(self, archive: Backend) -> None:
        with pytest.raises(NotFound, match="session 'nowhere'"):
            await archive.reader.messages(NOWHERE, [ANA])
        await archive.record(delivery(seen()))
        with pytest.raises(NotFound, match=f"no chat {BRUNO}"):
            await archive.reader.messages(SESSION, [BRUNO, CHANNEL])
        with pytest.raises(NotFound):  # a name in another case is another session
            await archive.reader.messages(SessionName(SESSION.upper()), [ANA])

    async def test_before_and_after_together_are_refused(self, archive: Backend) -> None:
        await archive.record(delivery(seen()))
        with pytest.raises(InvalidInput, match="not both"):
            await archive.reader.messages(SESSION, [ANA], before="2026-10-03", after="2026-10-03")


GARBAGE = {
    "empty": "",
    "text": "yesterday",
    "not base64": "%%%",
    "not ASCII": "á",
    "a surrogate": "\ud800",
    "not JSON": base64.urlsafe_b64encode(b"\xff\xfe").decode(),
    "an object": encode_cursor({"a": 1}),
    "a list of other things": encode_cursor([[], [], [], []]),
    "true": encode_cursor(True),
    "deep": base64.urlsafe_b64encode(b"[" * 5000).decode(),
    "U+0000": encode_cursor("\x00"),
    "U+0000 in a place": encode_cursor([NOON, "\x00", ""]),
    "U+0000 as an id": encode_cursor([NOON, "\x00"]),
    "a naive time": encode_cursor(["2026-10-03T12:00:00", "A1", "me"]),
    "before the first year": encode_cursor(["0001-01-01T00:00:00+14:00", "A1", "me"]),
}

Read = Callable[[ArchiveReader, str], Awaitable[Any]]

LISTS: list[Read] = [
    lambda reader, text: reader.messages(SESSION, [ANA], before=text),
    lambda reader, text: reader.messages(SESSION, [ANA], after=text),
    lambda reader, text: reader.chats(SESSION, cursor=text),
    lambda reader, text: reader.contacts(SESSION, cursor=text),
    lambda reader, text: reader.events(LogFilter(), cursor=text),
]


class TestCursors:
    @pytest.mark.parametrize("text", GARBAGE.values(), ids=GARBAGE)
    async def test_what_no_list_gave_is_refused(self, archive: Backend, text: str) -> None:
        await archive.record(delivery(seen()))
        for read in LISTS:
            with pytest.raises(InvalidInput):
                await read(archive.reader, text)

    @pytest.mark.parametrize("number", [-(10**30), -1, 0, 10**30])
    async def test_an_event_number_out_of_reach_is_a_place_like_any(
        self, archive: Backend, number: int
    ) -> None:
        await archive.record(delivery(seen()))
        page = await archive.reader.events(LogFilter(), cursor=encode_cursor(number))
        assert len(page.events) == (number > 0)

    async def test_a_place_between_messages_is_as_good_as_one(self, archive: Backend) -> None:
        await archive.record(*numbered(4))
        place = encode_cursor(MessagePosition(NOON + 1.5 * SECOND, "gone", "them"))
        older = await archive.reader.messages(SESSION, [ANA], before=place)
        newer = await archive.reader.messages(SESSION, [ANA], after=place)
        assert (said(older), said(newer)) == (ids([1, 0]), ids([3, 2]))


async def a_lively_session(archive: Backend) -> None:
    """Record five chats, two of them without messages, and two contacts beside."""
    await archive.record(
        delivery(seen()),
        delivery(seen(chat=BRUNO, sent_at=NOON + MINUTE)),
        delivery(seen(chat=GROUP, by=ANA, sent_at=NOON)),
        delivery(seen(chat=CHANNEL, sent_at=NOON - MINUTE)),
        delivery(seen(chat=STATUS, by=ANA, sent_at=NOON - 2 * MINUTE)),
        delivery(ChatChanged(chat=Jid("5511900000001@c.us"), at=NOON, archived=True)),
        delivery(GroupChanged(group=Jid("120363000000000999@g.us"), at=NOON, subject="Vazio")),
        delivery(ContactSeen(contact=ANA_LID, at=NOON, push_name="")),
        delivery(ContactSeen(contact=Jid("1@call"), at=NOON, name="Chamada")),
    )


BY_ACTIVITY = [
    *(BRUNO, ANA, GROUP, CHANNEL, STATUS),
    *("5511900000001@c.us", "120363000000000999@g.us"),
]


class TestLimits:
    @pytest.mark.parametrize("limit", [0, -1, 501, 10**6, 2**40, 2**70])
    async def test_a_page_has_from_1_to_500(self, archive: Backend, limit: int) -> None:
        await archive.record(delivery(seen()))
        for page in (
            archive.reader.messages(SESSION, [ANA], limit=limit),
            archive.reader.chats(SESSION, limit=limit),
            archive.reader.contacts(SESSION, limit=limit),
            archive.reader.events(LogFilter(), limit=limit),
        ):
            with pytest.raises(InvalidInput, match="limit must be a whole number from 1 to 500"):
                await page


class TestChats:
    @pytest.mark.parametrize("limit", [1, 2, 6, 7, 500])
    async def test_the_latest_activity_comes_first_and_none_last(
        self, archive: Backend, limit: int
    ) -> None:
        await a_lively_session(archive)
        page = await archive.reader.chats(SESSION, limit=limit)
        found = [chat.id for chat in page.chats]
        while page.next:
            page = await archive.reader.chats(SESSION, cursor=page.next, limit=limit)
            assert len(page.chats) <= limit
            found += [chat.id for chat in page.chats]
        assert found == BY_ACTIVITY

    async def test_each_has_its_type_and_name(self, archive: Backend) -> None:
        await a_lively_session(archive)
        chats = {chat.id: chat for chat in (await archive.reader.chats(SESSION)).chats}
        assert {id_: chat.type for id_, chat in chats.items()} == {
            ANA: ChatType.INDIVIDUAL,
            BRUNO: ChatType.INDIVIDUAL,
            GROUP: ChatType.GROUP,
            CHANNEL: ChatType.NEWSLETTER,
            STATUS: ChatType.BROADCAST,
            "5511900000001@c.us": ChatType.INDIVIDUAL,
            "120363000000000999@g.us": ChatType.GROUP,
        }
        assert chats[Jid("120363000000000999@g.us")].name == "Vazio"
        assert chats[Jid("5511900000001@c.us")].archived
        assert (chats[ANA].name, chats[ANA].archived, chats[ANA].session) == (
            *(None, False, SESSION),
        )

    async def test_an_unknown_session_is_not_found(self, archive: Backend) -> None:
        with pytest.raises(NotFound, match="nowhere"):
            await archive.reader.chats(NOWHERE)


class TestContacts:
    @pytest.mark.parametrize("limit", [1, 3, 8, 9, 500])
    async def test_they_come_by_id(self, archive: Backend, limit: int) -> None:
        await a_lively_session(archive)
        page = await archive.reader.contacts(SESSION, limit=limit)
        found = [contact.id for contact in page.contacts]
        while page.next:
            page = await archive.reader.contacts(SESSION, cursor=page.next, limit=limit)
            assert len(page.contacts) <= limit
            found += [contact.id for contact in page.contacts]
        assert found == sorted([*BY_ACTIVITY, ANA_LID, "1@call"])

    @pytest.mark.parametrize(
        ("type_", "expected"),
        [
            (ChatType.INDIVIDUAL, [ANA_LID, "5511900000001@c.us", ANA, BRUNO]),
            (ChatType.GROUP, [GROUP, "120363000000000999@g.us"]),
            (ChatType.BROADCAST, [STATUS]),
            (ChatType.NEWSLETTER, [CHANNEL]),
            (ChatType.OTHER, ["1@call"]),
        ],
    )
    async def test_a_type_means_its_own(
        self, archive: Backend, type_: ChatType, expected: list[Jid]
    ) -> None:
        await a_lively_session(archive)
        page = await archive.reader.contacts(SESSION, type=type_)
        assert [contact.id for contact in page.contacts] == expected
        assert {contact.type for contact in page.contacts} == {type_}
        assert page.next is None

    async def test_a_type_is_paged_too(self, archive: Backend) -> None:
        await a_lively_session(archive)
        first = await archive.reader.contacts(SESSION, type=ChatType.INDIVIDUAL, limit=3)
        second = await archive.reader.contacts(
            SESSION, type=ChatType.INDIVIDUAL, cursor=first.next, limit=3
        )
        assert [len(page.contacts) for page in (first, second)] == [3, 1]

    async def test_each_has_the_lids_that_stand_for_it(self, archive: Backend) -> None:
        await archive.record(delivery(seen(), linked()), delivery(seen(chat=BRUNO)))
        contacts = (await archive.reader.contacts(SESSION)).contacts
        assert [(contact.id, contact.lids) for contact in contacts] == [
            (ANA, (ANA_LID,)),
            (BRUNO, ()),
        ]

    async def test_an_unknown_session_is_not_found(self, archive: Backend) -> None:
        with pytest.raises(NotFound, match="nowhere"):
            await archive.reader.contacts(NOWHERE)
        with pytest.raises(NotFound, match="nowhere"):
            await archive.reader.links(NOWHERE)


class TestEvents:
    @pytest.mark.parametrize("limit", [1, 2, 4, 5, 500])
    async def test_the_newest_come_first(self, archive: Backend, limit: int) -> None:
        await archive.record(*(delivery(seen(), event=f"e{n}", body=b"x" * n) for n in range(5)))
        page = await archive.reader.events(LogFilter(), limit=limit)
        found = page.events
        while page.next:
            page = await archive.reader.events(LogFilter(), cursor=page.next, limit=limit)
            assert len(page.events) <= limit
            found = [*found, *page.events]
        assert [event.event for event in found] == ["e4", "e3", "e2", "e1", "e0"]
        assert [event.size_bytes for event in found] == [4, 3, 2, 1, 0]

    async def test_a_filter_is_paged_too(self, archive: Backend) -> None:
        bad, good = delivery(NotUnderstood(reason="?")), delivery(seen())
        await archive.record(bad, good, bad, good, bad)
        which = LogFilter(outcome=Outcome.FAILED)
        first = await archive.reader.events(which, limit=2)
        second = await archive.reader.events(which, cursor=first.next, limit=2)
        assert [len(page.events) for page in (first, second)] == [2, 1]
        assert second.next is None
        assert {event.outcome for page in (first, second) for event in page.events} == {
            Outcome.FAILED
        }

    async def test_a_row_tells_all_but_its_body(self, archive: Backend) -> None:
        told = msgspec.structs.replace(
            delivery(NotArchived(reason="presence"), event="presence.update", body=b"{}"),
            envelope_id="evt_1",
        )
        await archive.record(told)
        (event,) = (await archive.reader.events(LogFilter())).events
        assert msgspec.structs.asdict(event) == {
            "id": event.id,
            "received_at": told.received_at,
            "session": SESSION,
            "event": "presence.update",
            "source": Source.WEBHOOK,
            "engine": "NOWEB",
            "envelope_id": "evt_1",
            "outcome": Outcome.IGNORED,
            "reason": "presence",
            "size_bytes": 2,
        }

    async def test_an_unknown_session_is_an_empty_page(self, archive: Backend) -> None:
        page = await archive.reader.events(LogFilter(session=NOWHERE))
        assert (page.events, page.next) == ([], None)

    @pytest.mark.parametrize("event_id", [-1, 0, 10**6, 2**63, 10**30])
    async def test_a_body_that_is_not_there_is_not_found(
        self, archive: Backend, event_id: int
    ) -> None:
        await archive.record(delivery(seen()))
        with pytest.raises(NotFound, match=str(event_id)):
            await archive.reader.event_body(event_id)


class TestHealth:
    async def test_outcomes_are_counted(self, archive: Backend) -> None:
        assert await archive.reader.counts() == dict.fromkeys(Outcome, 0)
        told = [delivery(seen()), delivery(NotArchived(reason="x")), delivery(reacted("👍"))]
        await archive.record(*told, delivery(NotUnderstood(reason="?")), told[0], told[2])
        assert await archive.reader.counts() == {
            Outcome.STORED: 2,
            Outcome.DUPLICATE: 2,
            Outcome.IGNORED: 1,
            Outcome.FAILED: 1,
        }

    async def test_reading_changes_nothing(self, archive: Backend) -> None:
        await archive.record(delivery(seen()))
        before = await archive.picture()
        await texts(archive.reader)
        assert await archive.picture() == before
