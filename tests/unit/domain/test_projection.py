"""What each observation adds to the archive, under the links known so far."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

import pytest
from msgspec.structs import replace
from tests.support.deliveries import (
    ANA,
    ANA_LID,
    BAKERY,
    BRUNO,
    BRUNO_LID,
    CHANNEL,
    GROUP,
    NOON,
    SECOND,
    delivery,
    edited,
    linked,
    ref,
    revoked,
    seen,
)

from wagateway.domain.events import (
    AckAdvanced,
    AnyObservation,
    ChatChanged,
    ContactSeen,
    EventAnswered,
    GroupChanged,
    IdentityLinked,
    LabelChanged,
    Member,
    MessageEdited,
    NotArchived,
    PollVoted,
    ReactionChanged,
    Role,
    SessionChanged,
    SessionStatus,
    Source,
)
from wagateway.domain.identity import (
    ME,
    THEM,
    Author,
    Evidence,
    Jid,
    Link,
    MessageRef,
    StanzaId,
)
from wagateway.domain.messages import Ack, MediaOffer
from wagateway.domain.projection import lids_of, links_of, records_of, statuses_of
from wagateway.domain.records import (
    AnswerRecord,
    ChatRecord,
    ContactRecord,
    EditRecord,
    MemberRecord,
    MessageRecord,
    ReactionRecord,
    ReceiptRecord,
    Record,
    RevocationRecord,
    VoteRecord,
    facts_key,
    same_content,
)

A1 = StanzaId("A1")
NOBODY = Author("")
SEEN_AT = NOON + 5 * SECOND
LINKED = {ANA_LID: ANA}
STATUS = Jid("status@broadcast")
LIDS = frozenset({ANA_LID})


def records(observation: AnyObservation, phones: Mapping[Jid, Jid] | None = None) -> list[Record]:
    """Return what *observation* adds; every record names it as its source."""
    told = delivery(observation, at=SEEN_AT)
    found = list(records_of(told, phones or {}))
    assert all(source is observation for source, _ in found)
    return [record for _, record in found]


def message(chat: Jid, author: str, **fields: Any) -> MessageRecord:  # noqa: ANN401 - any field
    return MessageRecord(chat=chat, stanza=A1, author=Author(author), **fields)


WHO: list[tuple[MessageRef, Mapping[Jid, Jid], MessageRecord]] = [
    (ref(ANA), {}, message(ANA, THEM, by_phone=True)),
    (ref(ANA, from_me=True), {}, message(ANA, ME, by_phone=True)),
    (ref(ANA, from_me=None), {}, message(ANA, NOBODY, by_phone=True)),
    (ref(ANA_LID), {}, message(ANA_LID, THEM, lids=LIDS)),
    (ref(ANA_LID), LINKED, message(ANA, THEM, lids=LIDS)),
    (ref(ANA_LID, from_me=True), LINKED, message(ANA, ME, lids=LIDS)),
    (ref(Jid("1@bot")), {}, message(Jid("1@bot"), THEM)),
    (ref(GROUP, by=ANA), {}, message(GROUP, ANA, by_phone=True)),
    (ref(GROUP, by=ANA_LID), {}, message(GROUP, ANA_LID, lids=LIDS)),
    (ref(GROUP, by=ANA_LID), LINKED, message(GROUP, ANA, lids=LIDS)),
    (ref(GROUP, from_me=None, by=ANA), {}, message(GROUP, ANA, by_phone=True)),
    (ref(GROUP), {}, message(GROUP, NOBODY)),
    (ref(GROUP, from_me=True), {}, message(GROUP, ME)),
    (ref(GROUP, from_me=True, by=BAKERY.lid), {}, message(GROUP, ME)),
    (ref(STATUS, by=ANA), {}, message(STATUS, ANA, by_phone=True)),
    (ref(CHANNEL, from_me=None), {}, message(CHANNEL, THEM)),
    (ref(CHANNEL, from_me=True), {}, message(CHANNEL, THEM)),
    (ref(CHANNEL, by=ANA), {}, message(CHANNEL, THEM)),
]


@pytest.mark.parametrize(("where", "phones", "expected"), WHO)
def test_a_message_has_a_chat_an_author_and_the_addresses_that_were_seen(
    where: MessageRef, phones: Mapping[Jid, Jid], expected: MessageRecord
) -> None:
    told = MessageEdited(ref=where, edit_id=StanzaId("E1"), edited_at=NOON, text="olá")
    version, edit = records(told, phones)
    assert version == replace(expected, text="olá", edited_at=NOON)
    assert edit == EditRecord(
        chat=expected.chat,
        stanza=A1,
        author=expected.author,
        edit_id=StanzaId("E1"),
        edited_at=NOON,
        text="olá",
    )


@pytest.mark.parametrize("text", ["", None])
def test_an_edit_that_cannot_be_read_erases_nothing(text: str | None) -> None:
    assert records(edited(text, at=NOON)) == [
        EditRecord(
            chat=ANA, stanza=A1, author=THEM, edit_id=StanzaId("E1"), edited_at=NOON, text=text
        )
    ]


def test_a_message_brings_its_chat_and_contact() -> None:
    offer = MediaOffer(offered_at=NOON, url="http://waha/a")
    told = seen(chat=ANA_LID, ack=Ack.READ, offer=offer)
    assert records(told, LINKED) == [
        message(
            ANA,
            THEM,
            lids=LIDS,
            facts=told.message,
            facts_key=facts_key(told.message, SEEN_AT),
            sent_at=NOON,
            ack=Ack.READ,
            offer=offer,
        ),
        ChatRecord(chat=ANA, last_message_at=NOON),
        ContactRecord(contact=ANA),
    ]


@pytest.mark.parametrize("source", Source)
def test_only_what_sync_read_is_history(source: Source) -> None:
    told = seen(chat=ANA)
    found = records_of(replace(delivery(told, at=SEEN_AT), source=source), {})
    [record] = [record for _, record in found if isinstance(record, MessageRecord)]
    live = source is not Source.SYNC
    assert record.facts_key == facts_key(told.message, SEEN_AT, live=live)


@pytest.mark.parametrize(
    ("chat", "by", "from_me", "is_kept", "by_nobody"),
    [
        (GROUP, ANA, False, True, False),
        (GROUP, None, False, True, True),
        (GROUP, None, True, False, False),
        (ANA, None, False, False, False),
        (CHANNEL, None, False, False, False),
    ],
)
def test_what_was_said_is_kept_where_an_author_may_be_missing(
    *, chat: Jid, by: Jid | None, from_me: bool, is_kept: bool, by_nobody: bool
) -> None:
    told = seen(chat=chat, by=by, from_me=from_me)
    (record, *_) = records(told)
    assert isinstance(record, MessageRecord)
    digest = same_content(facts_key(told.message, SEEN_AT)).hex()
    assert record.said == {*([digest] if is_kept else []), *([""] if by_nobody else [])}


@pytest.mark.parametrize(
    ("chat", "phones", "by", "expected"),
    [
        (ANA, {}, None, (ANA, THEM)),
        (ANA_LID, LINKED, None, (ANA, THEM)),
        (GROUP, {}, ANA, (GROUP, NOBODY)),
        (STATUS, {}, ANA, (STATUS, ANA)),
        (CHANNEL, {}, None, (CHANNEL, THEM)),
    ],
)
def test_a_deletion_is_the_authors_but_for_groups(
    chat: Jid, phones: Mapping[Jid, Jid], by: Jid | None, expected: tuple[Jid, Author]
) -> None:
    assert records(revoked(chat=chat, by=by, at=NOON), phones) == [
        RevocationRecord(
            chat=expected[0],
            stanza=A1,
            author=expected[1],
            revoked_at=NOON,
            revoked_by=by or chat,
        )
    ]


def test_my_deletion_in_a_chat_is_mine() -> None:
    (record,) = records(revoked(from_me=True))
    assert isinstance(record, RevocationRecord)
    assert record.author == ME


def ack(where: MessageRef, step: Ack, recipient: Jid | None = None) -> AckAdvanced:
    return AckAdvanced(ref=where, ack=step, at=NOON, recipient=recipient)


MINE = ref(GROUP, from_me=True)


class TestAcks:
    """How far messages got."""

    def test_one_for_the_whole_message_is_the_messages(self) -> None:
        mine = ref(ANA, from_me=True)
        assert records(ack(mine, Ack.READ)) == [message(ANA, ME, by_phone=True, ack=Ack.READ)]

    def test_one_for_nobody_knows_whose_message_says_nothing(self) -> None:
        assert records(ack(ref(GROUP), Ack.READ)) == []

    @pytest.mark.parametrize(
        ("step", "instants"),
        [
            (Ack.DEVICE, {"delivered_at": NOON}),
            (Ack.READ, {"read_at": NOON}),
            (Ack.PLAYED, {"played_at": NOON}),
        ],
    )
    def test_one_recipients_is_a_receipt_and_shows_that_the_server_had_it(
        self, step: Ack, instants: dict[str, Any]
    ) -> None:
        assert records(ack(MINE, step, ANA_LID), LINKED) == [
            ReceiptRecord(
                chat=GROUP, stanza=A1, author=Author(ANA), ack=step, seen_as=ANA_LID, **instants
            ),
            message(GROUP, ME, ack=Ack.SERVER),
        ]

    @pytest.mark.parametrize("step", [Ack.ERROR, Ack.PENDING, Ack.SERVER])
    def test_a_recipients_who_has_nothing_yet_says_no_more(self, step: Ack) -> None:
        assert records(ack(MINE, step, ANA)) == [
            ReceiptRecord(chat=GROUP, stanza=A1, author=Author(ANA), ack=step)
        ]

    def test_a_recipients_of_nobody_knows_whose_message_is_a_receipt_alone(self) -> None:
        assert records(ack(ref(GROUP), Ack.READ, ANA)) == [
            ReceiptRecord(chat=GROUP, stanza=A1, author=Author(ANA), ack=Ack.READ, read_at=NOON)
        ]


ACTORS: list[tuple[Jid, Jid | None, bool, Mapping[Jid, Jid], dict[str, Any]]] = [
    (ANA, ANA, False, {}, {"chat": ANA, "author": ANA}),
    (ANA, None, False, {}, {"chat": ANA, "author": ANA}),
    (ANA, None, True, {}, {"chat": ANA, "author": ME}),
    (ANA_LID, None, False, LINKED, {"chat": ANA, "author": ANA}),
    (ANA_LID, ANA_LID, False, LINKED, {"chat": ANA, "author": ANA, "seen_as": ANA_LID}),
    (GROUP, ANA_LID, False, LINKED, {"chat": GROUP, "author": ANA, "seen_as": ANA_LID}),
    (GROUP, ANA_LID, False, {}, {"chat": GROUP, "author": ANA_LID, "seen_as": ANA_LID}),
    (GROUP, BRUNO, False, LINKED, {"chat": GROUP, "author": BRUNO}),
    (GROUP, BAKERY.lid, True, {}, {"chat": GROUP, "author": ME}),
]


@pytest.mark.parametrize(("chat", "who", "from_me", "phones", "expected"), ACTORS)
def test_a_mark_is_the_actors(
    *,
    chat: Jid,
    who: Jid | None,
    from_me: bool,
    phones: Mapping[Jid, Jid],
    expected: dict[str, Any],
) -> None:
    where = ref(chat, from_me=None)
    expected = {"stanza": A1, "at": NOON, "seen_at": SEEN_AT, **expected}
    reaction = ReactionChanged(ref=where, sender=who, from_me=from_me, emoji="👍", at=NOON)
    assert records(reaction, phones) == [ReactionRecord(emoji="👍", **expected)]
    vote = PollVoted(ref=where, voter=who, from_me=from_me, options=("a",), at=NOON)
    assert records(vote, phones) == [VoteRecord(options=("a",), **expected)]
    answer = EventAnswered(
        ref=where, responder=who, from_me=from_me, response="going", at=NOON, extra_guests=2
    )
    assert records(answer, phones) == [AnswerRecord(response="going", extra_guests=2, **expected)]


def test_who_names_no_guests_brings_none() -> None:
    (answer,) = records(ANSWERED)
    assert isinstance(answer, AnswerRecord)
    assert (answer.response, answer.extra_guests) == (None, 0)


class TestNames:
    """What people, chats and groups are called."""

    def test_each_name_that_was_told_has_an_instant(self) -> None:
        for told in ({"push_name": "Ana"}, {"name": "Ana"}, {"push_name": "", "name": ""}, {}):
            instants = {f"{field}_at": NOON for field in told}
            assert records(ContactSeen(contact=ANA_LID, at=NOON, **told), LINKED) == [
                ContactRecord(contact=ANA, **told, **instants)  # type: ignore[arg-type]
            ]

    @pytest.mark.parametrize("archived", [True, False])
    def test_a_chat_is_archived_or_taken_back(self, *, archived: bool) -> None:
        told = ChatChanged(chat=ANA_LID, at=NOON, archived=archived)
        assert records(told, LINKED) == [
            ChatRecord(chat=ANA, archived=archived, archived_at=NOON),
            ContactRecord(contact=ANA),
        ]

    def test_each_fact_of_a_group_that_was_told_has_an_instant(self) -> None:
        assert records(GroupChanged(group=GROUP, at=NOON, subject="Pão", description="")) == [
            ChatRecord(chat=GROUP, description="", description_at=NOON),
            ContactRecord(contact=GROUP, name="Pão", name_at=NOON),
        ]
        assert records(GroupChanged(group=GROUP, at=NOON)) == [
            ChatRecord(chat=GROUP),
            ContactRecord(contact=GROUP),
        ]

    def test_members_are_who_they_are_known_to_be(self) -> None:
        members = (
            Member(jid=ANA_LID, role=Role.ADMIN),
            Member(jid=BRUNO, role=Role.LEFT),
        )
        assert records(GroupChanged(group=GROUP, at=NOON, members=members), LINKED)[2:] == [
            MemberRecord(group=GROUP, member=ANA, at=NOON, role=Role.ADMIN, seen_as=ANA_LID),
            MemberRecord(group=GROUP, member=BRUNO, at=NOON, role=Role.LEFT),
        ]


def test_what_is_not_projected_adds_nothing_and_stops_nothing() -> None:
    told = delivery(NotArchived(reason="presence"), linked(), edited(""))
    assert [type(record) for _, record in records_of(told, {})] == [EditRecord]


def test_a_delivery_gives_evidence_of_links_between_lids_and_phones_only() -> None:
    told = delivery(linked(), linked(ANA, ANA_LID), linked(ANA, BRUNO), linked(ANA_LID, BRUNO_LID))
    assert list(links_of(told)) == [
        Link(lid=ANA_LID, phone=ANA, evidence=Evidence.ALTERNATIVE, first_seen_at=NOON)
    ]


ANSWERED = EventAnswered(ref=ref(GROUP), responder=ANA_LID, from_me=False, response=None, at=NOON)


@pytest.mark.parametrize(
    "observation",
    [
        seen(chat=ANA_LID),
        seen(chat=GROUP, by=ANA_LID),
        edited("olá", chat=GROUP, by=ANA_LID),
        revoked(chat=ANA_LID),
        ack(MINE, Ack.READ, ANA_LID),
        ReactionChanged(ref=ref(GROUP), sender=ANA_LID, from_me=False, emoji="", at=NOON),
        PollVoted(ref=ref(GROUP), voter=ANA_LID, from_me=False, options=None, at=NOON),
        ANSWERED,
        ContactSeen(contact=ANA_LID, at=NOON),
        ChatChanged(chat=ANA_LID, at=NOON, archived=True),
        GroupChanged(group=GROUP, at=NOON, members=(Member(jid=ANA_LID, role=Role.LEFT),)),
        LabelChanged(label_id="1", change="put", chat=ANA_LID),
        IdentityLinked(lid=ANA_LID, phone=BRUNO, evidence=Evidence.LID_API),
    ],
)
def test_every_lid_that_decides_where_something_belongs_is_found(
    observation: AnyObservation,
) -> None:
    assert lids_of(delivery(observation)) == {ANA_LID}
    assert lids_of(delivery(observation, seen(chat=BRUNO_LID))) == {ANA_LID, BRUNO_LID}


def test_phones_groups_and_silence_name_no_lid() -> None:
    told = delivery(seen(), seen(chat=GROUP, by=BRUNO), NotArchived(reason="presence"))
    assert lids_of(told) == set()


class TestStatuses:
    """The delivery is received a second after noon."""

    def told(self, *seconds: int) -> list[int]:
        statuses = [SessionStatus.STARTING, SessionStatus.WORKING, SessionStatus.STOPPED]
        seen_ = [
            SessionChanged(status=status, at=NOON + n * SECOND)
            for status, n in zip(statuses, seconds, strict=True)
        ]
        found = statuses_of(delivery(linked(), *seen_))
        assert [status for _, status in found] == statuses
        return [(at - NOON) // timedelta(microseconds=1) for at, _ in found]

    def test_are_taken_as_they_are_told(self) -> None:
        assert self.told(-2, 0, 1) == [-2_000_000, 0, 1_000_000]
        assert self.told(1, 0, -2) == [1_000_000, 0, -2_000_000]

    def test_are_not_later_than_they_were_received_and_keep_their_order(self) -> None:
        assert self.told(0, 2, 2) == [0, 999_999, 1_000_000]
        assert self.told(9, 8, 7) == [999_998, 999_999, 1_000_000]
        assert self.told(9, 0, 8) == [-1, 0, 1_000_000]
        assert self.told(8, 9, 0) == [-2, -1, 0]
