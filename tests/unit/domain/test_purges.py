"""What is purged: before which instant, in which chats, and how much of each kind that was."""

from datetime import timedelta

import pytest
from msgspec.structs import replace
from tests.support.deliveries import ANA, ANA_LID, BRUNO, GROUP, NOON, SECOND

from wagateway.domain.identity import Author, Jid, StanzaId
from wagateway.domain.purges import (
    Cutoffs,
    Purge,
    PurgeCounts,
    before_when,
    chat_of,
    counts_of,
    cutoffs,
    is_purged,
    no_chat,
)
from wagateway.domain.records import ChatRecord, EditRecord, MessageRecord, RevocationRecord

DAY = timedelta(days=1)
LATER = NOON + SECOND


class TestCutoffs:
    def test_nothing_is_purged_unless_somebody_says_so(self) -> None:
        assert cutoffs([], {}) == Cutoffs()
        assert not Cutoffs()
        assert Cutoffs().of(ANA) is None
        assert not is_purged(ANA, NOON - 999 * DAY, Cutoffs())

    def test_the_instant_itself_stays(self) -> None:
        purged = Cutoffs(NOON)
        assert is_purged(ANA, NOON - SECOND, purged)
        assert not is_purged(ANA, NOON, purged)

    def test_the_latest_of_all_that_hold_for_a_chat_counts(self) -> None:
        made = [(None, NOON), (None, NOON - DAY), (ANA, LATER), (ANA, NOON), (BRUNO, NOON - DAY)]
        found = cutoffs(made, {})
        assert found == Cutoffs(NOON, {ANA: LATER, BRUNO: NOON - DAY})
        assert [found.of(chat) for chat in (ANA, BRUNO, GROUP)] == [LATER, NOON, NOON]
        assert [before_when(found, chat) for chat in (None, ANA)] == [NOON, LATER]

    @pytest.mark.parametrize("made", [[(ANA, NOON)], [(ANA_LID, NOON)]])
    def test_a_hidden_id_is_its_phone(self, made: list[tuple[Jid, object]]) -> None:
        found = cutoffs(made, {ANA_LID: ANA})  # type: ignore[arg-type] # of the list
        assert found == Cutoffs(chats={ANA: NOON})
        assert found


def test_who_purges_the_same_again_says_the_later_instant() -> None:
    first = Purge(before=NOON, purged_at=NOON, purged_by="maria", reason="a")
    later = replace(first, before=LATER)
    assert first.merged(later) == later.merged(first) == later
    with_log = replace(first, with_log=True)
    assert first.merged(with_log) == with_log.merged(first) == with_log


def test_of_two_who_say_the_same_the_one_with_a_reason_counts() -> None:
    said = [
        Purge(before=NOON, purged_at=NOON, purged_by="maria", reason=reason)
        for reason in (None, "A", "b")
    ]
    for less, more in ((said[0], said[1]), (said[0], said[2]), (said[1], said[2])):
        assert less.merged(more) == more.merged(less) == more


def test_counts_what_went_by_kind() -> None:
    key = {"chat": ANA, "stanza": StanzaId("A1"), "author": Author("them")}
    message = MessageRecord(**key, facts_key=b"x", sent_at=NOON)  # type: ignore[arg-type] # a key
    edit = EditRecord(**key, edit_id=StanzaId("E1"), edited_at=NOON, text="?")  # type: ignore[arg-type] # a key
    revocation = RevocationRecord(**key, revoked_at=NOON, revoked_by=None)  # type: ignore[arg-type] # a key
    gone = counts_of(
        [
            (message, message.purged()),
            (message.purged(), message.purged()),
            (None, message.purged()),
            (message, message),
            (edit, None),
            (replace(edit, edit_id=StanzaId("E2")), None),
            (edit, edit),
            (None, edit),
            (revocation, None),
            (ChatRecord(chat=ANA, last_message_at=NOON), ChatRecord(chat=ANA)),
        ],
        files=3,
    )
    assert gone == PurgeCounts(messages=1, edits=2, revocations=1, files=3)
    assert gone + PurgeCounts(messages=2, log_rows=5) == PurgeCounts(
        messages=3, edits=2, revocations=1, files=3, log_rows=5
    )
    assert gone
    assert not PurgeCounts()


def test_the_likeliest_chat_that_is_known_is_meant() -> None:
    assert chat_of([BRUNO, ANA_LID], {ANA_LID: ANA}, {ANA}) == ANA
    assert chat_of([BRUNO], {}, {ANA}) is None
    assert str(no_chat("vendas", [BRUNO])) == f"session 'vendas' has no chat {BRUNO}"  # type: ignore[arg-type] # a name
