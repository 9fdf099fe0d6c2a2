"""The laws of every merge: commutative, associative, idempotent; and what stays of two records."""

from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace
from tests.support.deliveries import (
    ANA,
    ANA_LID,
    BRUNO,
    BRUNO_LID,
    GROUP,
    NOON,
    SECOND,
    seen,
    twin_worlds,
    worlds,
)
from tests.support.depth import examples

from wagateway.domain.events import Role
from wagateway.domain.identity import ME, Author, Jid, StanzaId, resolve_links
from wagateway.domain.messages import Ack, Completeness, Kind, MediaFacts, MediaOffer, Message
from wagateway.domain.projection import links_of, records_of
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


def _same_key(draw: st.DrawFn) -> list[Record]:
    """Return three records of one type and key."""
    phones: dict[Any, Any] = {}
    world = draw(worlds(max_size=10) | twin_worlds())
    if draw(st.booleans()):
        phones = resolve_links(link for delivery in world for link in links_of(delivery))
    records = [record for delivery in world for _, record in records_of(delivery, phones)]
    if not records:
        return []
    first = draw(st.sampled_from(records))
    alike = [r for r in records if type(r) is type(first) and r.key == first.key]
    return [_perhaps_purged(draw, draw(st.sampled_from(alike))) for _ in range(3)]


def _perhaps_purged(draw: st.DrawFn, record: Record) -> Record:
    if isinstance(record, MessageRecord) and record.sent_at and draw(st.integers(0, 3)) == 0:
        return record.purged()
    return record


same_key = st.composite(_same_key)()


def merged(a: Any, b: Any) -> Any:  # noqa: ANN401 - two records of one type
    return a.merged(b)


@given(same_key)
@settings(max_examples=examples(240))
def test_merging_is_commutative_associative_and_idempotent(records: list[Record]) -> None:
    if not records:
        return
    a, b, c = records
    assert merged(a, b) == merged(b, a)
    assert merged(merged(a, b), c) == merged(a, merged(b, c))
    assert merged(a, a) == a


LATER = NOON + SECOND
LATEST = NOON + 2 * SECOND
A1 = StanzaId("A1")
AUTHOR = Author(ANA)


def either_way(a: Any, b: Any) -> Any:  # noqa: ANN401 - two records of one type
    """Return what both say together, whichever comes first."""
    assert a.merged(b) == b.merged(a)
    return a.merged(b)


def message(**facts: Any) -> Message:  # noqa: ANN401 - any fact
    return replace(seen().message, **facts)


def record(**fields: Any) -> MessageRecord:  # noqa: ANN401 - any field
    return MessageRecord(chat=GROUP, stanza=A1, author=AUTHOR, **fields)


def with_facts(facts: Message, at: datetime = NOON) -> MessageRecord:
    return record(facts=facts, facts_key=facts_key(facts, at), sent_at=facts.sent_at)


KEY_OF_BOM_DIA = "61" + "00065cee63681000" + "371dffcb5007eb1b" + "c9514c7cd65e1c40"


class TestPurged:
    """What stays of a message that was purged."""

    def test_is_its_key_its_time_and_where_it_was_seen(self) -> None:
        known = replace(
            with_facts(message()),
            ack=Ack.READ,
            text="?",
            edited_at=LATER,
            said=frozenset({"x"}),
            lids=frozenset({BRUNO_LID}),
            by_phone=True,
            offer=MediaOffer(offered_at=NOON),
        )
        assert not known.is_purged
        assert not record(text="?", edited_at=LATER).is_purged
        bare = record(sent_at=NOON, lids=frozenset({BRUNO_LID}), by_phone=True)
        assert known.purged() == bare
        assert bare.is_purged

    def test_nothing_brings_it_back(self) -> None:
        gone = record(sent_at=LATER, lids=frozenset({ANA_LID}))
        known = replace(with_facts(message()), lids=frozenset({BRUNO_LID}), by_phone=True)
        whole = record(sent_at=LATER, lids=frozenset({ANA_LID, BRUNO_LID}), by_phone=True)
        assert either_way(gone, known) == whole
        assert either_way(gone, record(text="?", edited_at=LATER)) == gone

    def test_the_earlier_time_counts(self) -> None:
        assert either_way(record(sent_at=LATER), record(sent_at=NOON)) == record(sent_at=NOON)


class TestFacts:
    """Which of two observations of a message is shown."""

    def test_the_fuller_one_stays_however_late(self) -> None:
        full = with_facts(message(), LATEST)
        for less in (Completeness.PARTIAL, Completeness.PLACEHOLDER):
            partial = with_facts(message(completeness=less, text="?"))
            assert either_way(full, partial) == full

    def test_of_equally_full_ones_the_first_seen_stays(self) -> None:
        first = with_facts(message(text="oi"))
        assert either_way(first, with_facts(message(text="olá"), LATER)) == first
        assert either_way(first, with_facts(message(text="a"), LATER)) == first

    def test_what_came_without_facts_takes_them(self) -> None:
        held = with_facts(message())
        assert either_way(record(), held) == held

    @pytest.mark.parametrize(
        ("facts", "is_worth_it"),
        [
            ({}, True),
            ({"kind": Kind.UNKNOWN}, True),
            ({"kind": Kind.UNKNOWN, "text": None, "media": MediaFacts()}, True),
            ({"text": None}, True),
            ({"kind": Kind.UNKNOWN, "text": None}, False),
            ({"kind": Kind.UNKNOWN, "text": ""}, False),
        ],
    )
    def test_an_unknown_kind_without_content_is_a_placeholder(
        self,
        facts: dict[str, Any],
        is_worth_it: bool,  # noqa: FBT001
    ) -> None:
        first = with_facts(message(**facts))
        later = with_facts(message(completeness=Completeness.PARTIAL), LATER)
        assert either_way(first, later) == (first if is_worth_it else later)

    def test_microseconds_decide_and_nothing_is_before_1970(self) -> None:
        first, second = with_facts(message()), with_facts(message(), NOON + SECOND / 1_000_000)
        assert either_way(first, second) == first
        epoch = datetime(1970, 1, 1, tzinfo=UTC)
        assert facts_key(message(), epoch - SECOND) == facts_key(message(), epoch)
        assert facts_key(message(), epoch) < facts_key(message(), epoch + SECOND / 1_000_000)

    def test_a_key_has_25_bytes_until_the_year_9999(self) -> None:
        for at in (datetime.min.replace(tzinfo=UTC), NOON, datetime.max.replace(tzinfo=UTC)):
            assert len(facts_key(message(), at)) == 25
            assert len(facts_key(message(), at, live=False)) == 25

    def test_live_beats_a_page_of_history_unless_that_is_fuller(self) -> None:
        page = facts_key(message(), NOON, live=False)
        assert facts_key(message(), LATER) < page < facts_key(message(), LATER, live=False)
        partial = message(completeness=Completeness.PARTIAL)
        assert page < facts_key(partial, NOON)

    def test_keys_that_are_stored_already_stay_valid(self) -> None:
        key = facts_key(message(), NOON)
        assert key.hex() == KEY_OF_BOM_DIA
        assert same_content(key).hex() == "371dffcb5007eb1b"

    @pytest.mark.parametrize(
        ("facts", "is_same"),
        [
            ({"sender_name": "Ana", "completeness": Completeness.PARTIAL}, True),
            ({"waha_id": "another"}, True),
            ({"text": "olá"}, False),
            ({"sent_at": LATER}, False),
            ({"kind": Kind.IMAGE}, False),
            ({"from_me": True}, False),
        ],
    )
    def test_equal_time_kind_text_and_side_are_the_same_content(
        self,
        facts: dict[str, Any],
        is_same: bool,  # noqa: FBT001
    ) -> None:
        one, other = facts_key(message(), NOON), facts_key(message(**facts), LATER)
        assert (same_content(one) == same_content(other)) == is_same

    def test_any_other_fact_makes_another_key(self) -> None:
        one, other = (facts_key(message(sender_name=name), NOON) for name in ("Ana", "Bruno"))
        assert one[:17] == other[:17]
        assert one != other


class TestMessages:
    """What else two records of one message leave."""

    def test_everything_that_either_knows_is_kept(self) -> None:
        one = record(said=frozenset({"a"}), lids=frozenset({ANA_LID}), ack=Ack.READ)
        other = record(said=frozenset({"b"}), lids=frozenset({BRUNO_LID}), by_phone=True)
        assert either_way(one, other) == record(
            said=frozenset({"a", "b"}),
            lids=frozenset({ANA_LID, BRUNO_LID}),
            ack=Ack.READ,
            by_phone=True,
        )
        assert not either_way(record(), record()).by_phone

    def test_the_later_edit_stays(self) -> None:
        first, second = record(text="z", edited_at=NOON), record(text="a", edited_at=LATER)
        assert either_way(first, second) == second
        assert either_way(record(), first) == first

    def test_of_edits_of_one_instant_the_greater_text_stays(self) -> None:
        one, other = record(text="a", edited_at=NOON), record(text="b", edited_at=NOON)
        assert either_way(one, other) == other
        one, other = record(text="", edited_at=NOON), record(text="A", edited_at=NOON)
        assert either_way(one, other) == other

    @pytest.mark.parametrize("kept", [{"url": "http://waha/a"}, {"s3_key": "a"}])
    def test_where_a_file_can_be_had_outweighs_a_later_failure(self, kept: dict[str, str]) -> None:
        had = record(offer=MediaOffer(offered_at=NOON, **kept))
        failed = record(offer=MediaOffer(offered_at=LATER, error="404"))
        assert either_way(had, failed) == had
        assert either_way(record(), failed) == failed

    def test_of_two_offers_the_later_stays_and_of_one_instant_always_the_same(self) -> None:
        first = record(offer=MediaOffer(offered_at=NOON, url="http://waha/z"))
        later = record(offer=MediaOffer(offered_at=LATER, url="http://waha/a"))
        assert either_way(first, later) == later
        also = record(offer=MediaOffer(offered_at=NOON, url="http://waha/a"))
        assert either_way(first, also) == first


def edit(text: str | None, at: datetime = NOON) -> EditRecord:
    return EditRecord(
        chat=GROUP, stanza=A1, author=AUTHOR, edit_id=StanzaId("E1"), edited_at=at, text=text
    )


def revocation(at: datetime, by: Jid | None) -> RevocationRecord:
    return RevocationRecord(chat=GROUP, stanza=A1, author=AUTHOR, revoked_at=at, revoked_by=by)


def reaction(
    emoji: str, at: datetime = NOON, seen_at: datetime = NOON, seen_as: Jid | None = None
) -> ReactionRecord:
    return ReactionRecord(
        chat=GROUP, stanza=A1, author=AUTHOR, emoji=emoji, at=at, seen_at=seen_at, seen_as=seen_as
    )


def receipt(ack: Ack, **fields: Any) -> ReceiptRecord:  # noqa: ANN401 - any field
    return ReceiptRecord(chat=GROUP, stanza=A1, author=AUTHOR, ack=ack, **fields)


def vote(
    options: tuple[str, ...] | None,
    at: datetime = NOON,
    seen_at: datetime = NOON,
    seen_as: Jid | None = None,
) -> VoteRecord:
    return VoteRecord(
        chat=GROUP,
        stanza=A1,
        author=AUTHOR,
        options=options,
        at=at,
        seen_at=seen_at,
        seen_as=seen_as,
    )


def reply(
    response: str | None,
    at: datetime = NOON,
    seen_at: datetime = NOON,
    seen_as: Jid | None = None,
    extra_guests: int = 0,
) -> AnswerRecord:
    return AnswerRecord(
        chat=GROUP,
        stanza=A1,
        author=AUTHOR,
        response=response,
        extra_guests=extra_guests,
        at=at,
        seen_at=seen_at,
        seen_as=seen_as,
    )


def member(role: Role, seen_as: Jid | None = None) -> MemberRecord:
    return MemberRecord(group=GROUP, member=ANA, at=NOON, role=role, seen_as=seen_as)


def contact(**fields: Any) -> ContactRecord:  # noqa: ANN401 - any field
    return ContactRecord(contact=ANA, **fields)


def chat(**fields: Any) -> ChatRecord:  # noqa: ANN401 - any field
    return ChatRecord(chat=ANA, **fields)


PAIRS: dict[str, tuple[Record, Record]] = {
    "a readable edit, however early": (edit("a"), edit(None, LATER)),
    "a readable edit, even if empty": (edit(""), edit(None, LATER)),
    "the later edit": (edit("a", LATER), edit("b")),
    "the greater of edits of one instant": (edit("b"), edit("a")),
    "any edit rather than an empty one": (edit("A"), edit("")),
    "the earlier deletion": (revocation(NOON, None), revocation(LATER, ANA)),
    "who deleted, where it is known": (revocation(NOON, BRUNO), revocation(NOON, None)),
    "the lesser of who deleted": (revocation(NOON, ANA), revocation(NOON, BRUNO)),
    "the later reaction": (reaction("a", LATER), reaction("b", NOON, LATEST)),
    "the later reaction, even if taken back": (reaction("", LATER), reaction("b")),
    "the reaction that was seen later": (reaction("a", NOON, LATER), reaction("b")),
    "the greater of reactions of one instant": (reaction("b"), reaction("a", seen_as=ANA_LID)),
    "the LID of a reaction": (reaction("a", seen_as=ANA_LID), reaction("a")),
    "the later vote": (vote(None, LATER), vote(("a",), NOON, LATEST)),
    "the vote that could be read": (vote(()), vote(None, NOON, LATER)),
    "the vote that was seen later": (vote(("a",), NOON, LATER), vote(("b",))),
    "the greater of votes of one instant": (vote(("b",)), vote(("a",), seen_as=ANA_LID)),
    "the LID of a vote": (vote(None, seen_as=ANA_LID), vote(None)),
    "the later answer": (reply(None, LATER), reply("going", NOON, LATEST)),
    "the answer that could be read": (reply(""), reply(None, NOON, LATER)),
    "the answer that was seen later": (reply("going", NOON, LATER), reply("maybe")),
    "the greater of answers of one instant": (reply("maybe"), reply("going", extra_guests=1)),
    "any answer rather than an empty one": (reply("A"), reply("", seen_as=ANA_LID)),
    "the answer with more guests": (
        reply("going", extra_guests=2),
        reply("going", extra_guests=1, seen_as=ANA_LID),
    ),
    "the LID of an answer": (reply(None, seen_as=ANA_LID), reply(None)),
    "the greater role": (member(Role.ADMIN), member(Role.PARTICIPANT, ANA_LID)),
    "the greatest role": (member(Role.SUPERADMIN), member(Role.ADMIN)),
    "any role but to have left": (member(Role.PARTICIPANT), member(Role.LEFT)),
    "the LID of a member": (member(Role.ADMIN, ANA_LID), member(Role.ADMIN)),
    "the further ack": (receipt(Ack.READ), receipt(Ack.DEVICE)),
    "the LID of a receipt": (receipt(Ack.READ, seen_as=ANA_LID), receipt(Ack.READ)),
    "the greater LID of a receipt": (
        receipt(Ack.READ, seen_as=BRUNO_LID),
        receipt(Ack.READ, seen_as=ANA_LID),
    ),
    "the later name": (
        contact(name="Ana", name_at=LATER),
        contact(name="Zoe", name_at=NOON),
    ),
    "the greater of names of one instant": (
        contact(name="b", name_at=NOON),
        contact(name="a", name_at=NOON),
    ),
    "any name rather than an empty one": (
        contact(name="A", name_at=NOON),
        contact(name="", name_at=NOON),
    ),
    "any push name rather than an empty one": (
        contact(push_name="A", push_name_at=NOON),
        contact(push_name="", push_name_at=NOON),
    ),
    "the later push name": (
        contact(push_name="Ana", push_name_at=LATER),
        contact(push_name="Zoe", push_name_at=NOON),
    ),
    "the greater of push names of one instant": (
        contact(push_name="b", push_name_at=NOON),
        contact(push_name="a", push_name_at=NOON),
    ),
    "the later activity": (chat(last_message_at=LATER), chat(last_message_at=NOON)),
    "any activity": (chat(last_message_at=NOON), chat()),
    "no activity where there was none": (chat(), chat()),
    "the later archiving": (
        chat(archived=False, archived_at=LATER),
        chat(archived=True, archived_at=NOON),
    ),
    "archived, of two of one instant": (
        chat(archived=True, archived_at=NOON),
        chat(archived=False, archived_at=NOON),
    ),
    "the later description": (
        chat(description="a", description_at=LATER),
        chat(description="b", description_at=NOON),
    ),
    "any description rather than an empty one": (
        chat(description="A", description_at=NOON),
        chat(description="", description_at=NOON),
    ),
    "the greater of descriptions of one instant": (
        chat(description="b", description_at=NOON),
        chat(description="a", description_at=NOON),
    ),
}


@pytest.mark.parametrize(("kept", "lost"), PAIRS.values(), ids=PAIRS)
def test_of_two_one_stays(kept: Record, lost: Record) -> None:
    assert either_way(kept, lost) == kept


def test_each_step_of_a_receipt_has_its_earliest_instant() -> None:
    one = receipt(Ack.PLAYED, delivered_at=NOON, read_at=LATER, played_at=LATEST)
    other = receipt(Ack.READ, delivered_at=LATER, read_at=NOON, played_at=LATER)
    assert either_way(one, other) == receipt(
        Ack.PLAYED, delivered_at=NOON, read_at=NOON, played_at=LATER
    )
    steps = {"delivered_at": NOON, "read_at": LATER, "played_at": LATEST}
    for name, at in steps.items():
        first = receipt(Ack.READ, **{name: at})
        assert either_way(first, receipt(Ack.READ)) == first


def test_names_have_instants_of_their_own() -> None:
    named = contact(name="Ana", name_at=NOON, push_name="a", push_name_at=LATER)
    pushed = contact(name="Zoe", name_at=LATER, push_name="z", push_name_at=NOON)
    assert either_way(named, pushed) == contact(
        name="Zoe", name_at=LATER, push_name="a", push_name_at=LATER
    )


def test_settings_of_a_chat_have_instants_of_their_own() -> None:
    one = chat(archived=True, archived_at=LATER, description="a", description_at=NOON)
    other = chat(archived=False, archived_at=NOON, description="b", description_at=LATER)
    assert either_way(one, replace(other, last_message_at=NOON)) == chat(
        last_message_at=NOON,
        archived=True,
        archived_at=LATER,
        description="b",
        description_at=LATER,
    )


@pytest.mark.parametrize(
    ("one", "change"),
    [
        (record(), {"author": ME}),
        (record(), {"stanza": StanzaId("A2")}),
        (record(), {"chat": ANA}),
        (edit("a"), {"edit_id": StanzaId("E2")}),
        (edit("a"), {"author": ME}),
        (edit("a"), {"stanza": StanzaId("A2")}),
        (edit("a"), {"chat": ANA}),
        (member(Role.ADMIN), {"at": LATER}),
        (member(Role.ADMIN), {"member": BRUNO}),
        (member(Role.ADMIN), {"group": ANA}),
        (contact(), {"contact": BRUNO}),
        (chat(), {"chat": BRUNO}),
    ],
)
def test_records_of_other_things_have_other_keys(one: Record, change: dict[str, Any]) -> None:
    other: Record = replace(one, **change)
    assert other.key != one.key
    assert replace(other).key == other.key


@pytest.mark.parametrize(
    ("change", "is_seen"),
    [
        ({"ack": Ack.READ}, True),
        ({"text": "olá"}, True),
        ({"edited_at": LATER}, True),
        ({"offer": MediaOffer(offered_at=NOON, url="http://waha/a")}, True),
        ({"by_phone": True}, False),
        ({"lids": frozenset({ANA_LID})}, False),
        ({"said": frozenset({"a"})}, False),
    ],
)
def test_a_reader_sees_what_matters(change: dict[str, Any], is_seen: bool) -> None:  # noqa: FBT001
    held = with_facts(message())
    assert (replace(held, **change).visible_state != held.visible_state) == is_seen
    assert record(**change).visible_state != held.visible_state
