"""What an archive answers to a delivery, and what it keeps of it."""

from datetime import timedelta
from typing import Any

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
    acked,
    delivery,
    edited,
    linked,
    reacted,
    ref,
    revoked,
    seen,
    voted,
)
from tests.support.reading import only, outcomes, shown, texts

from wagateway.domain.events import (
    AnyObservation,
    CallSeen,
    ChatChanged,
    ContactSeen,
    Delivery,
    EventAnswered,
    GroupChanged,
    LabelChanged,
    Member,
    NotArchived,
    NotUnderstood,
    Outcome,
    Recorded,
    Role,
    SessionChanged,
    SessionStatus,
    Source,
)
from wagateway.domain.identity import SessionName, StanzaId
from wagateway.domain.messages import Ack, Completeness, Kind, MediaOffer
from wagateway.domain.text import clean_text
from wagateway.ports.archive import LogFilter

MINUTE = timedelta(minutes=1)
UNREADABLE = NotUnderstood(reason="payload.id: expected a string")
UNHEARD_OF = NotUnderstood(reason="event message.telepathy is new to us", known_event=False)
UNSTORABLE = seen("a\ud800b", stanza="BAD")  # the engine's adapter lets no such text through

CHANGES: dict[str, AnyObservation] = {
    "a message": seen(),
    "an own message": seen(from_me=True, ack=Ack.SERVER),
    "a group message": seen(chat=GROUP, by=ANA),
    "an edit": edited("Boa tarde!"),
    "an edit that nobody can read": edited(None),
    "a revocation": revoked(),
    "an ack": acked(Ack.READ),
    "a receipt": acked(Ack.READ, chat=GROUP, recipient=ANA),
    "a reaction": reacted("👍"),
    "a reaction taken back": reacted(""),
    "a vote": voted("pão"),
    "an answer": EventAnswered(
        ref=ref(), responder=ANA, from_me=False, response="going", at=NOON, extra_guests=1
    ),
    "a name": ContactSeen(contact=ANA, at=NOON, push_name="Ana"),
    "an archived chat": ChatChanged(chat=ANA, at=NOON, archived=True),
    "a group": GroupChanged(group=GROUP, at=NOON, subject="Padaria"),
    "a member": GroupChanged(
        group=GROUP, at=NOON, members=(Member(jid=ANA, role=Role.PARTICIPANT),)
    ),
    "a link": linked(),
    "a session's state": SessionChanged(status=SessionStatus.WORKING, at=NOON),
}


class TestOutcomes:
    @pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
    async def test_news_is_stored_once(self, archive: Backend, change: AnyObservation) -> None:
        told = delivery(change)
        assert outcomes(await archive.record(told)) == ["stored"]
        before = await archive.picture()
        assert outcomes(await archive.record(told)) == ["duplicate"]
        assert await archive.picture() == before

    @pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
    async def test_a_repetition_within_one_group_is_a_duplicate(
        self, archive: Backend, change: AnyObservation
    ) -> None:
        told = delivery(change)
        assert outcomes(await archive.record(told, told)) == ["stored", "duplicate"]

    async def test_a_large_group_has_the_outcomes_of_a_small_one(self, archive: Backend) -> None:
        told = [delivery(seen(f"n {n}", stanza=f"A{n}")) for n in range(40)]
        assert outcomes(await archive.record(*told, *told)) == ["stored"] * 40 + ["duplicate"] * 40
        assert len(await shown(archive.reader)) == 40

    async def test_no_delivery_is_no_answer(self, archive: Backend) -> None:
        assert await archive.record() == []

    async def test_message_beside_message_any_is_a_duplicate(self, archive: Backend) -> None:
        told = (delivery(seen(), event="message.any"), delivery(seen(), event="message"))
        assert outcomes(await archive.record(*told)) == ["stored", "duplicate"]
        assert outcomes([await archive_one(archive, delivery(seen(), event="message"))]) == [
            "duplicate"
        ]

    async def test_a_retelling_with_less_engine_data_is_a_duplicate(self, archive: Backend) -> None:
        await archive.record(delivery(seen("oi", sender_name="Ana")))
        partial = delivery(seen("oi", completeness=Completeness.PARTIAL), at=NOON + MINUTE)
        assert outcomes(await archive.record(partial)) == ["duplicate"]
        assert (await only(archive.reader)).sender_name == "Ana"

    async def test_an_ack_is_news_only_while_it_rises(self, archive: Backend) -> None:
        await archive.record(delivery(seen(from_me=True, ack=Ack.SERVER)))
        acks = [Ack.DEVICE, Ack.SERVER, Ack.READ, Ack.DEVICE, Ack.ERROR, Ack.PLAYED, Ack.READ]
        recorded = await archive.record(*(delivery(acked(ack)) for ack in acks))
        assert outcomes(recorded) == [
            *("stored", "duplicate", "stored"),
            *("duplicate", "duplicate", "stored", "duplicate"),
        ]
        assert (await only(archive.reader)).ack is Ack.PLAYED

    async def test_a_message_that_comes_again_with_a_higher_ack_is_news(
        self, archive: Backend
    ) -> None:
        await archive.record(delivery(seen(from_me=True, ack=Ack.SERVER)))
        again = delivery(seen(from_me=True, ack=Ack.READ))
        assert outcomes(await archive.record(again)) == ["stored"]
        assert (await only(archive.reader)).ack is Ack.READ

    async def test_a_fresh_offer_of_a_file_is_news(self, archive: Backend) -> None:
        await archive.record(delivery(seen(kind=Kind.IMAGE)))
        offer = MediaOffer(offered_at=NOON, url="http://localhost:3000/api/files/a.jpeg")
        told = delivery(seen(kind=Kind.IMAGE, offer=offer))
        assert outcomes(await archive.record(told, told)) == ["stored", "duplicate"]

    async def test_names_and_links_in_passing_are_no_reason_to_fail_or_to_be_ignored(
        self, archive: Backend
    ) -> None:
        passing = ContactSeen(contact=ANA, at=NOON, push_name="Ana")
        recorded = await archive.record(
            delivery(NotArchived(reason="presence"), linked(), passing),
            delivery(UNHEARD_OF, passing),
            delivery(UNREADABLE, passing),
        )
        assert outcomes(recorded) == ["ignored", "ignored", "failed"]

    async def test_a_later_name_in_passing_still_lands(self, archive: Backend) -> None:
        first = ContactSeen(contact=ANA, at=NOON, push_name="Ana")
        later = ContactSeen(contact=ANA, at=NOON + MINUTE, push_name="Ana Souza")
        await archive.record(delivery(seen(), first))
        await archive.record(delivery(seen(), later))
        (contact,) = (await archive.reader.contacts(SESSION)).contacts
        assert contact.push_name == "Ana Souza"

    async def test_the_same_name_later_is_no_news_in_passing(self, archive: Backend) -> None:
        first = ContactSeen(contact=ANA, at=NOON, push_name="Ana")
        later = ContactSeen(contact=ANA, at=NOON + MINUTE, push_name="Ana")
        await archive.record(delivery(seen(), first))
        assert outcomes(await archive.record(delivery(seen(), later))) == ["duplicate"]

    async def test_what_is_of_no_interest_is_ignored_with_its_reason(
        self, archive: Backend
    ) -> None:
        call = CallSeen(
            call_id="C1", caller=ANA, state="received", at=NOON, video=False, group=False
        )
        recorded = await archive.record(
            delivery(NotArchived(reason="presence")),
            delivery(call),
            delivery(LabelChanged(label_id="1", change="upsert")),
            delivery(UNHEARD_OF),
            delivery(),
        )
        assert recorded[0] == Recorded(outcome=Outcome.IGNORED, reason="presence")
        assert recorded[3] == Recorded(outcome=Outcome.IGNORED, reason=UNHEARD_OF.reason)
        assert outcomes(recorded) == ["ignored"] * 5
        assert (await archive.reader.chats(SESSION)).chats == []

    async def test_what_could_not_be_read_fails_but_not_what_stands_beside_it(
        self, archive: Backend
    ) -> None:
        told = delivery(UNREADABLE, seen("legível"))
        assert await archive.record(told) == [
            Recorded(outcome=Outcome.FAILED, reason=UNREADABLE.reason)
        ]
        assert await texts(archive.reader) == ["legível"]

    async def test_the_answers_come_in_the_order_given_whatever_the_session(
        self, archive: Backend
    ) -> None:
        told = [
            delivery(seen(), session="b"),
            delivery(NotArchived(reason="presence"), session="a"),
            delivery(seen(), session="b"),
            delivery(seen(), session="a"),
        ]
        assert outcomes(await archive.record(*told)) == [
            *("stored", "ignored", "duplicate", "stored")
        ]


class TestFailures:
    @pytest.mark.parametrize("neighbours", [1, 40])
    async def test_what_cannot_be_projected_is_logged_and_disturbs_no_neighbour(
        self, archive: Backend, neighbours: int
    ) -> None:
        good = [delivery(seen(f"n {n}", stanza=f"A{n:02}")) for n in range(neighbours)]
        bad = delivery(UNSTORABLE, body=b'{"bad":1}')
        recorded = await archive.record(*good, bad, delivery(seen("last", stanza="Z")))
        assert outcomes(recorded) == ["stored"] * neighbours + ["failed", "stored"]
        assert await texts(archive.reader) == [*(f"n {n}" for n in range(neighbours)), "last"]
        (row,) = (await archive.reader.events(LogFilter(outcome=Outcome.FAILED))).events
        assert row.reason
        assert await archive.reader.event_body(row.id) == b'{"bad":1}'

    async def test_what_failed_is_projected_after_a_fix(self, archive: Backend) -> None:
        bad = delivery(UNSTORABLE, body=b'{"bad":1}')
        await archive.record(delivery(seen()), bad)
        (logged,) = await archive.archive.logged(
            LogFilter(outcome=Outcome.FAILED), after=0, limit=10
        )
        assert (logged.body, logged.received_at) == (bad.body, bad.received_at)
        fixed = delivery(seen(clean_text("a\ud800b"), stanza="BAD"))
        assert outcomes(await archive.archive.reproject([(logged.id, fixed)])) == ["stored"]
        assert await texts(archive.reader) == ["Bom dia!", "a\ufffdb"]
        assert await archive.reader.counts() == dict.fromkeys(Outcome, 0) | {Outcome.STORED: 2}

    async def test_what_still_fails_stays_failed_and_disturbs_no_neighbour(
        self, archive: Backend
    ) -> None:
        await archive.record(delivery(UNSTORABLE), delivery(UNSTORABLE), delivery(UNSTORABLE))
        first, second, third = await archive.archive.logged(LogFilter(), after=0, limit=10)
        recorded = await archive.archive.reproject(
            [
                (first.id, delivery(seen("um", stanza="A1"))),
                (second.id, delivery(UNSTORABLE)),
                (third.id, delivery(seen("três", stanza="A3"))),
            ]
        )
        assert outcomes(recorded) == ["stored", "failed", "stored"]
        assert await texts(archive.reader) == ["um", "três"]
        assert (await archive.reader.counts())[Outcome.FAILED] == 1


class TestReprojection:
    async def test_nothing_new_leaves_everything_as_it_was(self, archive: Backend) -> None:
        told = [delivery(change, at=NOON + n * SECOND) for n, change in enumerate(CHANGES.values())]
        await archive.record(*told)
        before = await archive.picture()
        counts = await archive.reader.counts()
        ids = [row.id for row in await archive.archive.logged(LogFilter(), after=0, limit=100)]
        await archive.archive.reproject(list(zip(ids, told, strict=True)))
        assert await archive.picture() == before
        assert await archive.reader.counts() == counts

    async def test_a_row_that_was_stored_stays_stored_in_the_log(self, archive: Backend) -> None:
        await archive.record(delivery(seen()))
        (row,) = await archive.archive.logged(LogFilter(), after=0, limit=1)
        await archive.archive.reproject([(row.id, delivery(seen()))])
        (event,) = (await archive.reader.events(LogFilter())).events
        assert (event.outcome, event.reason) == (Outcome.STORED, None)

    async def test_a_row_that_is_understood_now_says_so(self, archive: Backend) -> None:
        await archive.record(delivery(UNHEARD_OF))
        (row,) = await archive.archive.logged(LogFilter(), after=0, limit=1)
        await archive.archive.reproject([(row.id, delivery(seen()))])
        (event,) = (await archive.reader.events(LogFilter())).events
        assert (event.outcome, event.reason) == (Outcome.STORED, None)

    async def test_nothing_to_reproject_is_no_answer(self, archive: Backend) -> None:
        assert await archive.archive.reproject([]) == []


async def archive_one(archive: Backend, told: Delivery) -> Recorded:
    (recorded,) = await archive.record(told)
    return recorded


def logged_world() -> list[Delivery]:
    """Return five log rows that differ in all that a filter can tell."""
    return [
        delivery(seen(), body=b"1"),
        delivery(seen(), body=b"2", at=NOON + MINUTE),
        delivery(UNREADABLE, body=b"3", at=NOON + 2 * MINUTE, event="message.ack"),
        delivery(seen(), body=b"4", at=NOON + 3 * MINUTE, session="outra"),
        delivery(NotArchived(reason="presence"), body=b"5", event="presence.update"),
    ]


FILTERS: dict[str, tuple[LogFilter, list[bytes]]] = {
    "all": (LogFilter(), [b"1", b"2", b"3", b"4", b"5"]),
    "outcome": (LogFilter(outcome=Outcome.FAILED), [b"3"]),
    "session": (LogFilter(session=SESSION), [b"1", b"2", b"3", b"5"]),
    "event": (LogFilter(event="message.ack"), [b"3"]),
    "since is inclusive": (LogFilter(since=NOON + SECOND + 2 * MINUTE), [b"3", b"4"]),
    "until is exclusive": (LogFilter(until=NOON + SECOND + MINUTE), [b"1", b"5"]),
    "all at once": (
        LogFilter(outcome=Outcome.DUPLICATE, session=SESSION, since=NOON, until=NOON + 2 * MINUTE),
        [b"2"],
    ),
    "nothing": (LogFilter(session=SESSION, event="call.received"), []),
}


class TestLog:
    @pytest.mark.parametrize(("which", "bodies"), FILTERS.values(), ids=FILTERS)
    async def test_a_filter_means_rows(
        self, archive: Backend, which: LogFilter, bodies: list[bytes]
    ) -> None:
        for told in logged_world():
            await archive.record(told)
        rows = await archive.archive.logged(which, after=0, limit=10)
        assert [row.body for row in rows] == bodies
        shown_rows = (await archive.reader.events(which)).events
        assert [row.id for row in shown_rows] == [row.id for row in reversed(rows)]

    async def test_it_can_be_read_in_steps_by_ascending_id(self, archive: Backend) -> None:
        await archive.record(*logged_world())
        found: list[Any] = []
        while rows := await archive.archive.logged(
            LogFilter(), after=found[-1].id if found else 0, limit=2
        ):
            assert len(rows) <= 2
            found += rows
        assert [row.body for row in found] == [b"1", b"2", b"3", b"4", b"5"]
        assert sorted({row.id for row in found}) == [row.id for row in found]

    async def test_a_duplicate_is_logged_too(self, archive: Backend) -> None:
        await archive.record(delivery(seen()), delivery(seen()))
        assert len(await archive.archive.logged(LogFilter(), after=0, limit=10)) == 2

    async def test_a_body_is_kept_byte_for_byte(self, archive: Backend) -> None:
        body = bytes(range(256)) * 300
        await archive.record(delivery(UNHEARD_OF, body=body))
        (row,) = await archive.archive.logged(LogFilter(), after=0, limit=10)
        assert row.body == body

    async def test_the_way_it_came_is_kept(self, archive: Backend) -> None:
        for source in Source:
            news = delivery(seen(stanza=source.name))
            told = msgspec.structs.replace(news, source=source, envelope_id="evt_1")
            await archive.record(told)
        rows = await archive.archive.logged(LogFilter(), after=0, limit=10)
        assert [row.source for row in rows] == list(Source)
        newest = (await archive.reader.events(LogFilter())).events[0]
        assert (newest.source, newest.envelope_id, newest.engine) == (
            *(Source.IMPORT, "evt_1", "NOWEB"),
        )


HOSTILE = [
    "'); DROP TABLE whatsapp_gateway.messages;--",
    "%(session)s %s $1 {0} \\",
    "../../../etc/passwd",
    "id with spaces\n\tand lines",
    "%0000%D800",
    "x" * 512,
    "🙂" * 128,
]


class TestHostileValues:
    @pytest.mark.parametrize("stanza", HOSTILE, ids=range(len(HOSTILE)))
    async def test_any_id_is_just_an_id(self, archive: Backend, stanza: str) -> None:
        told = [
            delivery(seen("oi", stanza=stanza)),
            delivery(edited("olá", stanza=stanza, edit_id=stanza)),
            delivery(reacted("👍", stanza=stanza)),
        ]
        assert outcomes(await archive.record(*told)) == ["stored"] * 3
        view = await only(archive.reader)
        assert (view.id, view.text, view.reactions[0].emoji) == (StanzaId(stanza), "olá", "👍")

    @pytest.mark.parametrize("name", HOSTILE, ids=range(len(HOSTILE)))
    async def test_any_session_is_just_a_name(self, archive: Backend, name: str) -> None:
        await archive.record(delivery(seen(), session=name), delivery(seen("oi")))
        assert [view.session for view in await archive.reader.sessions()] == sorted([name, SESSION])
        assert await texts(archive.reader) == ["oi"]

    @pytest.mark.parametrize(
        "text",
        [clean_text("a\x00b\ud800c"), "x" * 2**20, "مرحبا 👨‍👩‍👧‍👦 \u202e", "", " \r\n\t "],
        ids=["cleaned", "1 MB", "right to left", "empty", "blank"],
    )
    async def test_text_is_kept_as_it_is(self, archive: Backend, text: str) -> None:
        await archive.record(delivery(seen(text)), delivery(edited(text, at=NOON + SECOND)))
        view = await only(archive.reader)
        assert view.text == text
        assert [version.text for version in view.edits] == [text]

    async def test_all_facts_survive(self, archive: Backend) -> None:
        told = seen(
            "leia",
            chat=GROUP,
            by=BRUNO,
            sender_name="Bruno",
            mentions=(ANA_LID, ANA),
            forwarded=True,
            forwarding_score=10**12,
            view_once=True,
            source="app",
            sent_at=NOON + timedelta(microseconds=1),
        )
        for count in (1, 20):  # small groups and large ones are written differently
            session = f"{count}"
            await archive.record(*[delivery(told, session=session)] * count)
            view = await only(archive.reader, GROUP, SessionName(session))
            assert (view.sender_id, view.sender_name, view.mentions) == (
                *(BRUNO, "Bruno", (ANA_LID, ANA)),
            )
            assert (view.forwarded, view.view_once, view.source) == (True, True, "app")
            assert view.sent_at == told.message.sent_at
            assert view.waha_id == told.message.waha_id
            assert view.session == session

    async def test_the_own_account_is_the_sender_of_own_messages(self, archive: Backend) -> None:
        await archive.record(delivery(seen(from_me=True)), delivery(seen(chat=GROUP, from_me=True)))
        for chat in (ANA, GROUP):
            view = await only(archive.reader, chat)
            assert (view.from_me, view.sender_id) == (True, BAKERY.phone)
