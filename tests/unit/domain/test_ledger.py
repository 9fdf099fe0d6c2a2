"""The working set of records: what changed, what is news, what is one message, what moves."""

import itertools
from collections.abc import Mapping, Sequence
from typing import Any

import pytest
from msgspec.structs import replace
from tests.support.deliveries import (
    ANA,
    ANA_LID,
    BRUNO,
    BRUNO_LID,
    GROUP,
    NOON,
    SECOND,
    delivery,
    edited,
    linked,
    seen,
)

from wagateway.domain.events import (
    AckAdvanced,
    AnyObservation,
    CallSeen,
    ContactSeen,
    Delivery,
    LabelChanged,
    NotArchived,
    NotUnderstood,
    Outcome,
    Recorded,
    SessionChanged,
    SessionStatus,
)
from wagateway.domain.identity import ME, THEM, Author, Jid, MessageRef, StanzaId
from wagateway.domain.ledger import Change, Ledger, Move, judge
from wagateway.domain.messages import Ack, Completeness
from wagateway.domain.projection import records_of
from wagateway.domain.records import (
    AuthorKey,
    ChatRecord,
    ContactRecord,
    EditRecord,
    MessageRecord,
    ReactionRecord,
    Record,
    RevocationRecord,
    StanzaKey,
)

A1 = StanzaId("A1")
LINKED = {ANA_LID: ANA}


def record(author: str = ANA, *, chat: Jid = GROUP, **fields: Any) -> MessageRecord:  # noqa: ANN401
    return MessageRecord(chat=chat, stanza=A1, author=Author(author), **fields)


def loaded(*records: Record) -> Ledger:
    ledger = Ledger()
    ledger.load(records)
    return ledger


def tell(ledger: Ledger, told: Delivery, phones: Mapping[Jid, Jid] | None = None) -> Recorded:
    return ledger.apply(told, records_of(told, phones or {}))


def messages_of(ledger: Ledger) -> dict[str, MessageRecord]:
    """Return the messages by author."""
    return {r.author: r for r in ledger.records() if isinstance(r, MessageRecord)}


class TestChanges:
    """What a store must write."""

    def test_what_was_loaded_is_no_change(self) -> None:
        ledger = loaded(record(ack=Ack.READ), ChatRecord(chat=GROUP))
        assert list(ledger.changes()) == []
        assert set(ledger.records()) == {record(ack=Ack.READ), ChatRecord(chat=GROUP)}

    def test_what_is_told_again_is_no_change(self) -> None:
        ledger = loaded(record(ack=Ack.READ))
        assert not ledger.put(record(ack=Ack.SERVER))
        assert list(ledger.changes()) == []

    def test_a_new_record_has_nothing_before(self) -> None:
        ledger = Ledger()
        ledger.put(record())
        assert list(ledger.changes()) == [Change(before=None, after=record())]

    def test_a_change_leads_from_what_was_loaded_to_the_last(self) -> None:
        ledger = loaded(record(ack=Ack.SERVER))
        ledger.put(record(ack=Ack.DEVICE))
        ledger.put(record(ack=Ack.READ))
        assert list(ledger.changes()) == [
            Change(before=record(ack=Ack.SERVER), after=record(ack=Ack.READ))
        ]

    def test_what_was_taken_out_has_nothing_after(self) -> None:
        ledger = loaded(record(), record(BRUNO))
        ledger.remove(record())
        assert list(ledger.changes()) == [Change(before=record(), after=None)]
        assert list(ledger.records()) == [record(BRUNO)]

    def test_what_came_and_went_is_no_change(self) -> None:
        ledger = Ledger()
        ledger.put(record())
        ledger.remove(record())
        ledger.remove(record())
        assert list(ledger.changes()) == []

    def test_what_never_was_can_be_taken_out(self) -> None:
        ledger = Ledger()
        ledger.remove(record())
        assert list(ledger.changes()) == []

    def test_what_was_written_is_no_change_any_more(self) -> None:
        ledger = Ledger()
        ledger.put(record(ack=Ack.SERVER))
        ledger.settle()
        assert list(ledger.changes()) == []
        ledger.put(record(ack=Ack.READ))
        assert list(ledger.changes()) == [
            Change(before=record(ack=Ack.SERVER), after=record(ack=Ack.READ))
        ]

    def test_a_preview_is_handed_on_once(self) -> None:
        ledger = loaded(record(ack=Ack.READ))
        told = record(preview=b"a")
        for _ in range(2):
            ledger.put(told)
            ledger.put(record())
            assert list(ledger.changes()) == [
                Change(before=record(ack=Ack.READ), after=record(ack=Ack.READ, preview=b"a"))
            ]
            ledger.settle()
            assert list(ledger.records()) == [record(ack=Ack.READ)]


class TestNews:
    """What makes a delivery more than a duplicate."""

    def test_a_preview_alone_is_none(self) -> None:
        ledger = Ledger()
        tell(ledger, delivery(seen()))
        told = tell(ledger, delivery(seen(preview=b"a")))
        assert told.outcome is Outcome.DUPLICATE

    def test_a_message_is_news_once(self) -> None:
        ledger = Ledger()
        assert tell(ledger, delivery(seen())).outcome is Outcome.STORED
        assert tell(ledger, delivery(seen())).outcome is Outcome.DUPLICATE

    def test_the_same_message_seen_earlier_or_elsewhere_is_none(self) -> None:
        ledger = Ledger()
        tell(ledger, delivery(seen()))
        assert tell(ledger, delivery(seen(), at=NOON - SECOND)).outcome is Outcome.DUPLICATE
        under_lid = tell(ledger, delivery(seen(chat=ANA_LID)), LINKED)
        assert under_lid.outcome is Outcome.DUPLICATE
        assert messages_of(ledger)[THEM].lids == {ANA_LID}

    def test_a_message_is_news_by_itself_and_not_by_its_chat(self) -> None:
        ledger = Ledger()
        tell(ledger, delivery(seen()))
        worse = seen(sent_at=NOON + SECOND, completeness=Completeness.PARTIAL)
        assert tell(ledger, delivery(worse)).outcome is Outcome.DUPLICATE

    @pytest.mark.parametrize(
        "more", [seen("olá", sent_at=NOON - SECOND), seen(ack=Ack.READ), edited("olá")]
    )
    def test_what_a_reader_sees_is_news(self, more: AnyObservation) -> None:
        ledger = Ledger()
        tell(ledger, delivery(seen()))
        assert tell(ledger, delivery(more, at=NOON - SECOND)).outcome is Outcome.STORED

    def test_a_message_that_had_no_facts_is_news_when_they_come(self) -> None:
        ledger = Ledger()
        mine = MessageRef(chat=ANA, stanza=A1, from_me=True)
        tell(ledger, delivery(AckAdvanced(ref=mine, ack=Ack.READ, at=NOON)))
        assert tell(ledger, delivery(seen(from_me=True))).outcome is Outcome.STORED

    @pytest.mark.parametrize(
        ("name", "seconds", "outcome"),
        [
            ("Ana", 1, Outcome.DUPLICATE),
            ("Aninha", 1, Outcome.STORED),
            ("Aninha", -1, Outcome.DUPLICATE),
        ],
    )
    def test_a_name_is_news_when_it_is_another(
        self, name: str, seconds: int, outcome: Outcome
    ) -> None:
        for field in ("name", "push_name"):
            ledger = Ledger()
            first = ContactSeen(contact=ANA, at=NOON, **{field: "Ana"})
            assert tell(ledger, delivery(first)).outcome is Outcome.STORED
            again = ContactSeen(contact=ANA, at=NOON + seconds * SECOND, **{field: name})
            assert tell(ledger, delivery(again)).outcome is outcome

    def test_what_is_kept_outside_the_ledger_can_be_news(self) -> None:
        told = delivery(linked())
        assert Ledger().apply(told, [], news=True).outcome is Outcome.STORED
        assert Ledger().apply(told, []).outcome is Outcome.DUPLICATE


STRANGE = NotUnderstood(reason="a strange event", known_event=False)
CALL = CallSeen(call_id="1", caller=ANA, state="received", at=NOON, video=False, group=False)


class TestJudgement:
    """What became of a delivery, and why."""

    @pytest.mark.parametrize(
        ("observations", "outcome", "reason"),
        [
            ([NotUnderstood(reason="a"), NotUnderstood(reason="b")], Outcome.FAILED, "a; b"),
            ([STRANGE, STRANGE], Outcome.IGNORED, "a strange event; a strange event"),
            ([STRANGE, NotUnderstood(reason="a")], Outcome.FAILED, "a"),
            ([seen(), NotUnderstood(reason="a")], Outcome.FAILED, "a"),
            ([seen(), STRANGE], Outcome.IGNORED, "a strange event"),
            ([CALL], Outcome.IGNORED, "not projected"),
            ([LabelChanged(label_id="1", change="upsert")], Outcome.IGNORED, "not projected"),
            ([CALL, NotArchived(reason="presence")], Outcome.IGNORED, "presence"),
            ([linked(), NotArchived(reason="presence")], Outcome.IGNORED, "presence"),
            ([ContactSeen(contact=ANA, at=NOON), CALL], Outcome.IGNORED, "not projected"),
            ([NotUnderstood(reason="a" * 600)], Outcome.FAILED, "a" * 500),
            ([replace(STRANGE, reason="a" * 600)], Outcome.IGNORED, "a" * 500),
        ],
    )
    def test_what_was_not_kept_has_a_reason(
        self, observations: list[AnyObservation], outcome: Outcome, reason: str
    ) -> None:
        for changed in (True, False):
            found = judge(delivery(*observations), changed=changed)
            assert found == Recorded(outcome=outcome, reason=reason)

    @pytest.mark.parametrize(
        "observations",
        [
            [seen()],
            [seen(), NotArchived(reason="presence")],
            [linked()],
            [linked(), ContactSeen(contact=ANA, at=NOON, name="Ana")],
            [linked(), SessionChanged(status=SessionStatus.WORKING, at=NOON)],
        ],
    )
    def test_what_was_kept_is_stored_or_a_duplicate(
        self, observations: list[AnyObservation]
    ) -> None:
        told = delivery(*observations)
        assert judge(told, changed=True) == Recorded(outcome=Outcome.STORED)
        assert judge(told, changed=False) == Recorded(outcome=Outcome.DUPLICATE)


def heard(text: str, by: Jid | None, at: int = 0) -> Delivery:
    """Return a message of the group, which all say is the same one."""
    return delivery(seen(text, chat=GROUP, by=by), at=NOON + at * SECOND)


WORLDS: dict[str, tuple[Sequence[Delivery], list[str]]] = {
    "without an author and with one": ([heard("oi", None), heard("oi", ANA)], [ANA]),
    "without an author, saying something else": (
        [heard("oi", None), heard("olá", ANA)],
        ["", ANA],
    ),
    "without an author, first one text, then another": (
        [heard("oi", None), heard("olá", ANA), heard("olá", None, 1)],
        [ANA],
    ),
    "by a LID and without an author": (
        [heard("oi", None), heard("olá", None, 1), heard("olá", ANA_LID, 2)],
        [ANA_LID],
    ),
    "two who say the same": ([heard("oi", ANA), heard("oi", ANA_LID)], [ANA_LID, ANA]),
    "by nobody but me": (
        [delivery(seen("oi", chat=GROUP, from_me=True)), heard("oi", None)],
        ["", ME],
    ),
}


class TestTwins:
    """Which records of one stanza id are one message."""

    @pytest.mark.parametrize(("world", "authors"), WORLDS.values(), ids=WORLDS)
    def test_any_order_leaves_the_same_messages(
        self, world: Sequence[Delivery], authors: list[str]
    ) -> None:
        pictures = []
        for order in itertools.permutations(world):
            ledger = Ledger()
            for told in order:
                tell(ledger, told)
            pictures.append(messages_of(ledger))
            afresh = loaded(*(c.after for c in ledger.changes() if c.after is not None))
            assert messages_of(afresh) == pictures[0]
        assert sorted(pictures[0]) == sorted(authors)
        assert all(picture == pictures[0] for picture in pictures)

    @pytest.mark.parametrize(
        ("by", "author"),
        [((ANA, BRUNO), ANA), ((BRUNO, ANA_LID), BRUNO), ((BRUNO_LID, ANA_LID), ANA_LID)],
    )
    def test_of_several_that_say_the_same_the_first_takes_it_phones_before_lids(
        self, by: tuple[Jid, Jid], author: Jid
    ) -> None:
        for order in itertools.permutations(by):
            ledger = Ledger()
            for each in order:
                tell(ledger, heard("oi", each))
            tell(ledger, heard("oi", None, -1))
            assert sorted(messages_of(ledger)) == sorted(by)
            named = {a: "" in m.said for a, m in messages_of(ledger).items()}
            assert named == {each: each == author for each in by}

    def test_one_that_was_seen_under_a_lid_is_one_with_the_lids(self) -> None:
        both = record(ANA, lids=frozenset({ANA_LID}), by_phone=True, ack=Ack.DEVICE)
        under_lid = record(ANA_LID, lids=frozenset({ANA_LID}), ack=Ack.READ)
        for one, other in itertools.permutations([both, under_lid]):
            ledger = loaded(one)
            ledger.put(other)
            assert messages_of(ledger) == {ANA: replace(both, ack=Ack.READ)}

    def test_an_author_who_was_taken_out_is_no_twin(self) -> None:
        ledger = Ledger()
        tell(ledger, heard("oi", None))
        ledger.remove(messages_of(ledger)[""])
        tell(ledger, heard("oi", ANA))
        assert {a: "" in m.said for a, m in messages_of(ledger).items()} == {ANA: False}


def edit(author: str, chat: Jid = GROUP) -> EditRecord:
    return EditRecord(
        chat=chat,
        stanza=A1,
        author=Author(author),
        edit_id=StanzaId("E1"),
        edited_at=NOON,
        text="olá",
    )


def reaction(author: str, *, chat: Jid = GROUP, seen_as: Jid | None = None) -> ReactionRecord:
    return ReactionRecord(
        chat=chat,
        stanza=A1,
        author=Author(author),
        emoji="👍",
        at=NOON,
        seen_at=NOON,
        seen_as=seen_as,
    )


def revocation(author: str, chat: Jid) -> RevocationRecord:
    return RevocationRecord(
        chat=chat, stanza=A1, author=Author(author), revoked_at=NOON, revoked_by=None
    )


LIDS = frozenset({ANA_LID})
LEARNED = Move(lid=ANA_LID, old=ANA_LID, new=ANA)
REPLACED = Move(lid=ANA_LID, old=ANA, new=BRUNO)


class TestMoves:
    """What follows a link."""

    @pytest.mark.parametrize(
        ("before", "after"),
        [
            (record(ANA_LID, lids=LIDS), {"author": ANA}),
            (record(THEM, chat=ANA_LID, lids=LIDS), {"chat": ANA}),
            (record(ME, chat=ANA_LID, lids=LIDS), {"chat": ANA}),
            (edit(ANA_LID), {"author": ANA}),
            (edit(THEM, ANA_LID), {"chat": ANA}),
            (reaction(ANA_LID, seen_as=ANA_LID), {"author": ANA}),
            (reaction(ANA_LID, chat=ANA_LID, seen_as=ANA_LID), {"chat": ANA, "author": ANA}),
            (reaction(ME, chat=ANA_LID), {"chat": ANA}),
            (revocation(THEM, ANA_LID), {"chat": ANA}),
            (ContactRecord(contact=ANA_LID), {"contact": ANA}),
            (ChatRecord(chat=ANA_LID), {"chat": ANA}),
            (record(BRUNO_LID), {}),
            (record(BRUNO, chat=BRUNO_LID), {}),
            (ContactRecord(contact=BRUNO_LID), {}),
            (ChatRecord(chat=GROUP), {}),
        ],
    )
    def test_all_of_a_lid_follows_a_link_that_is_learned(
        self, before: Record, after: dict[str, Jid]
    ) -> None:
        assert LEARNED.readdressed(before) == replace(before, **after)

    @pytest.mark.parametrize(
        ("before", "after"),
        [
            (record(ANA, lids=LIDS), {"author": BRUNO}),
            (record(ANA, lids=LIDS, by_phone=True), {}),
            (record(ANA), {}),
            (record(ANA, lids=frozenset({BRUNO_LID})), {}),
            (reaction(ANA, seen_as=ANA_LID), {"author": BRUNO}),
            (reaction(ANA, seen_as=BRUNO_LID), {}),
            (reaction(ANA), {}),
            (edit(ANA), {}),
            (record(THEM, chat=ANA), {}),
            (revocation(THEM, ANA), {}),
            (ContactRecord(contact=ANA), {}),
            (ChatRecord(chat=ANA), {}),
        ],
    )
    def test_only_what_the_lid_alone_tells_follows_a_link_that_is_replaced(
        self, before: Record, after: dict[str, Jid]
    ) -> None:
        assert REPLACED.readdressed(before) == replace(before, **after)

    def test_versions_and_marks_follow_the_messages_that_go(self) -> None:
        going = record(THEM, chat=ANA, lids=LIDS)
        staying = replace(going, stanza=StanzaId("A2"), by_phone=True)
        move = REPLACED.taking([going, staying], {ANA_LID: BRUNO})
        assert move.messages == {AuthorKey(ANA, A1, THEM)}
        assert move.stanzas == {StanzaKey(ANA, A1)}
        follows: list[Record] = [going, edit(THEM, ANA), revocation(THEM, ANA)]
        follows += [reaction(ME, chat=ANA)]
        for each in follows:
            assert move.readdressed(each) == replace(each, chat=BRUNO)
            other: Record = replace(each, stanza=StanzaId("A2"))
            assert move.readdressed(other) == other
        assert move.takes(going)
        assert not move.takes(staying)

    def test_an_edit_in_a_group_follows_its_message(self) -> None:
        move = REPLACED.taking([record(ANA, lids=LIDS)], {ANA_LID: BRUNO})
        assert move.written == {AuthorKey(GROUP, A1, Author(ANA))}
        assert move.readdressed(edit(ANA)) == edit(BRUNO)
        other = replace(edit(ANA), stanza=StanzaId("A2"))
        assert move.readdressed(other) == other
        assert REPLACED.taking([record(BRUNO, lids=LIDS)], {}).written == frozenset()

    def test_what_goes_to_another_phone_is_not_taken(self) -> None:
        message = record(THEM, chat=ANA, lids=LIDS)
        assert REPLACED.taking([message], {ANA_LID: ANA}).messages == frozenset()
        assert REPLACED.taking([message], {}).messages == frozenset()
        elsewhere = replace(message, chat=BRUNO)
        assert REPLACED.taking([elsewhere], {ANA_LID: BRUNO}).messages == frozenset()

    def test_what_moves_onto_its_like_merges_with_it(self) -> None:
        under_lid = record(ANA_LID, lids=LIDS, ack=Ack.READ)
        by_phone = record(ANA, by_phone=True, ack=Ack.SERVER)
        other = record(BRUNO)
        ledger = loaded(under_lid, by_phone, other)
        ledger.move([under_lid, other], LEARNED)
        merged = record(ANA, lids=LIDS, by_phone=True, ack=Ack.READ)
        assert messages_of(ledger) == {ANA: merged, BRUNO: other}
        assert list(ledger.changes()) == [
            Change(before=under_lid, after=None, became=by_phone.key),
            Change(before=by_phone, after=merged),
        ]


class TestWhatMessagesBecame:
    """A store lets follow what it keeps by message."""

    @staticmethod
    def became(ledger: Ledger) -> dict[str, str | None]:
        """Return the author that each message went to."""
        return {
            change.before.author: change.became.author if change.became else None
            for change in ledger.changes()
            if isinstance(change.before, MessageRecord) and change.after is None
        }

    def test_a_message_that_moves_is_at_its_new_address(self) -> None:
        ledger = loaded(record(ANA_LID, lids=LIDS))
        ledger.move(ledger.records(), LEARNED)
        assert self.became(ledger) == {ANA_LID: ANA}

    def test_a_twin_without_an_author_is_with_its_twin(self) -> None:
        nameless = next(
            r for _, r in records_of(delivery(seen(chat=GROUP)), {}) if isinstance(r, MessageRecord)
        )
        ledger = loaded(nameless)
        tell(ledger, delivery(seen(chat=GROUP, by=ANA)))
        assert self.became(ledger) == {"": ANA}

    def test_what_moves_and_then_joins_is_followed_to_its_end(self) -> None:
        told = [
            r
            for by in (None, ANA_LID)
            for _, r in records_of(delivery(seen(chat=GROUP, by=by)), {})
            if isinstance(r, MessageRecord)
        ]
        ledger = loaded(told[0])
        ledger.put(told[1])
        ledger.move(ledger.records(), LEARNED)
        assert self.became(ledger) == {"": ANA}
        ledger.settle()
        assert list(ledger.changes()) == []

    def test_two_names_of_one_author_never_lead_in_a_circle(self) -> None:
        other = Jid("271000000000999@lid")
        both = frozenset([ANA_LID, other])
        ledger = loaded(record(ANA_LID, lids=LIDS), record(other, lids=frozenset([other])))
        ledger.put(record(ANA_LID, lids=both))
        ledger.put(record(other, lids=both))
        assert self.became(ledger) == {ANA_LID: other}
