import pytest
from tests.support.deliveries import ANA, ANA_LID, GROUP, NOON, SECOND

from wagateway.domain.errors import InvalidInput
from wagateway.domain.feed import (
    TOLD,
    ChangeKind,
    Entry,
    Item,
    Position,
    items_of,
    kinds_named,
    moved_to,
    position_of,
    purge_told,
    told_after,
)
from wagateway.domain.identity import ME, THEM, Author, Jid, SessionName, StanzaId
from wagateway.domain.ledger import Change, Move
from wagateway.domain.messages import Ack
from wagateway.domain.purges import BY_RETENTION, Cutoffs, Purge
from wagateway.domain.records import (
    AnswerRecord,
    ChatRecord,
    ContactRecord,
    EditRecord,
    MessageRecord,
    ReactionRecord,
    ReceiptRecord,
    Record,
    RevocationRecord,
    VoteRecord,
)

A1 = StanzaId("A1")


def facts(text: str) -> bytes:
    """Return a key of facts that say *text*, of some completeness and time."""
    return b"0" + b"\0" * 8 + text.encode().ljust(8, b"-") + b"digest-a"


def message(**fields: object) -> MessageRecord:
    return MessageRecord(chat=ANA, stanza=A1, author=THEM, **fields)  # type: ignore[arg-type] # any of them


def items(*changes: tuple[Record | None, Record | None]) -> list[Item]:
    return items_of(Change(before=before, after=after) for before, after in changes)


def item(kind: ChangeKind, **fields: object) -> Item:
    return Item(kind=kind, chat=ANA, stanza=A1, **fields)  # type: ignore[arg-type] # any of them


class TestMessages:
    NEW = item(ChangeKind.MESSAGE, author=THEM)

    def test_a_new_one_is_told_once_however_far_it_got(self) -> None:
        assert items((None, message(facts_key=facts("oi"), ack=Ack.READ))) == [self.NEW]

    def test_one_whose_state_came_first_is_new_when_it_comes(self) -> None:
        state = message(ack=Ack.SERVER)
        assert items((None, state)) == [item(ChangeKind.ACK, author=THEM, ack=Ack.SERVER)]
        whole = message(ack=Ack.READ, facts_key=facts("oi"))
        assert items((state, whole)) == [self.NEW]

    def test_better_facts_that_say_the_same_are_no_news(self) -> None:
        better = facts("oi")[:-1] + b"b"
        assert items((message(facts_key=facts("oi")), message(facts_key=better))) == []

    def test_better_facts_that_say_something_else_are(self) -> None:
        pair = message(facts_key=facts("")), message(facts_key=facts("oi"), ack=Ack.READ)
        assert items(pair) == [self.NEW, item(ChangeKind.ACK, author=THEM, ack=Ack.READ)]

    def test_one_that_was_merged_into_another_is_not_told(self) -> None:
        assert items((message(facts_key=facts("oi")), None)) == []

    def test_where_nobody_is_named_nobody_is(self) -> None:
        record = MessageRecord(chat=GROUP, stanza=A1, author=Author(""), facts_key=facts("oi"))
        assert items((None, record)) == [Item(kind=ChangeKind.MESSAGE, chat=GROUP, stanza=A1)]

    def test_one_thing_is_told_once(self) -> None:
        edits = [
            EditRecord(chat=ANA, stanza=A1, author=ME, edit_id=StanzaId(n), edited_at=NOON, text=n)
            for n in ("E1", "E2")
        ]
        assert items(*((None, edit) for edit in edits)) == [item(ChangeKind.EDIT, author=ME)]


ON_A1 = {"chat": ANA, "stanza": A1, "author": Author(ANA)}
WHEN = {"at": NOON, "seen_at": NOON}


@pytest.mark.parametrize(
    ("record", "expected"),
    [
        (
            RevocationRecord(**ON_A1, revoked_at=NOON, revoked_by=ANA),  # type: ignore[arg-type] # its fields
            item(ChangeKind.REVOCATION, author=Author(ANA), by=Author(ANA)),
        ),
        (
            RevocationRecord(**ON_A1 | {"author": Author("")}, revoked_at=NOON, revoked_by=None),  # type: ignore[arg-type] # likewise
            item(ChangeKind.REVOCATION),
        ),
        (
            ReactionRecord(**ON_A1 | WHEN, emoji="👍"),  # type: ignore[arg-type] # likewise
            item(ChangeKind.REACTION, by=Author(ANA)),
        ),
        (
            VoteRecord(**ON_A1 | WHEN, options=("sim",)),  # type: ignore[arg-type] # likewise
            item(ChangeKind.VOTE, by=Author(ANA)),
        ),
        (
            AnswerRecord(**ON_A1 | WHEN, response="going", extra_guests=0),  # type: ignore[arg-type] # likewise
            item(ChangeKind.VOTE, by=Author(ANA)),
        ),
        (
            ReceiptRecord(**ON_A1, ack=Ack.DEVICE),  # type: ignore[arg-type] # likewise
            item(ChangeKind.ACK, by=Author(ANA), ack=Ack.DEVICE),
        ),
        (ContactRecord(contact=ANA, name="Ana"), None),
        (ChatRecord(chat=ANA), None),
    ],
)
def test_each_record_is_told_as_what_it_is(record: Record, expected: Item | None) -> None:
    assert items((None, record)) == ([] if expected is None else [expected])
    assert items((record, None)) == []


def test_a_receipt_that_only_learned_a_time_is_no_news() -> None:
    first = ReceiptRecord(chat=GROUP, stanza=A1, author=Author(ANA), ack=Ack.READ)
    later = ReceiptRecord(chat=GROUP, stanza=A1, author=Author(ANA), ack=Ack.READ, read_at=NOON)
    assert items((first, later)) == []
    assert items((first, ReceiptRecord(chat=GROUP, stanza=A1, author=Author(ANA), ack=Ack.PLAYED)))


def test_a_move_names_both_chats() -> None:
    move = Move(lid=ANA_LID, old=ANA_LID, new=ANA)
    assert moved_to(move) == Item(kind=ChangeKind.MOVE, chat=ANA, was=ANA_LID)


class TestPurges:
    HELD = Cutoffs(NOON, {ANA: NOON + SECOND})

    @pytest.mark.parametrize(
        ("chat", "seconds", "is_told"),
        [
            (None, 0, False),
            (None, 1, True),
            (ANA, 1, False),
            (ANA, 2, True),
            (GROUP, 0, False),
            (GROUP, 1, True),
        ],
    )
    def test_is_told_where_it_reaches_further_than_what_was(
        self, chat: Jid | None, seconds: int, *, is_told: bool
    ) -> None:
        before = NOON + seconds * SECOND
        purge = Purge(chat=chat, before=before, purged_at=NOON, purged_by="maria", reason="x")
        told = [Item(kind=ChangeKind.PURGE, chat=chat, before=before)] if is_told else []
        assert purge_told(purge, self.HELD, messages=False) == told

    @pytest.mark.parametrize("messages", [True, False])
    def test_by_age_is_told_where_messages_go(self, *, messages: bool) -> None:
        purge = Purge(before=NOON, purged_at=NOON, purged_by=BY_RETENTION)
        told = [Item(kind=ChangeKind.PURGE, before=NOON)] if messages else []
        assert purge_told(purge, Cutoffs(), messages=messages) == told


class TestPlaces:
    def test_what_was_told_is_left_out(self) -> None:
        sync = Item(kind=ChangeKind.SYNC)
        entries = [
            Entry(
                transaction=n,
                change=n,
                at=NOON + n * SECOND,
                session=SessionName("a"),
                account=None,
                items=(sync, sync),
            )
            for n in (4, 5)
        ]
        everything = [(4, 4, 1), (4, 4, 2), (5, 5, 1), (5, 5, 2)]
        for place, left in (((4,), 4), ((4, 4, 1), 3), ((4, 4, 2), 2), ((5,), 2), ((5, 5, 2), 0)):
            told = told_after(Position("a", *place), entries)
            assert [one.position[1:] for one in told] == everything[len(everything) - left :]
            assert {one.position.line for one in told} <= {"a"}

    def test_they_are_told_as_text(self) -> None:
        place = Position("5d41402a", 2**40, 2**41, 3)
        assert place.id == "5d41402a-1099511627776-2199023255552-3"
        assert position_of(place.id) == place


@pytest.mark.parametrize("words", [[], [""], ["", " "]])
def test_no_kind_means_all(words: list[str]) -> None:
    assert kinds_named(words) == frozenset(TOLD)


def test_kinds_are_found_by_their_words() -> None:
    assert kinds_named([" Message", "ack "]) == {ChangeKind.MESSAGE, ChangeKind.ACK}
    for wrong in ("reset", "messages"):
        with pytest.raises(InvalidInput, match=f"message, edit, .*, not '{wrong}'"):
            kinds_named([wrong])
