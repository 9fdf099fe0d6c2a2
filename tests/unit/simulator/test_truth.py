"""The truth, told by hand: small worlds whose archive anybody can write down."""

from itertools import islice
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from wagateway.simulator.contents import Attachment, AttachmentKind, Ballot, Words
from wagateway.simulator.facts import Fact
from wagateway.simulator.faults import Faults
from wagateway.simulator.happenings import (
    Acked,
    AckLevel,
    Address,
    AnyHappening,
    Awaited,
    Direct,
    Edited,
    MembersChanged,
    Note,
    Reacted,
    Revoked,
    Sent,
    SubjectChanged,
    Voted,
)
from wagateway.simulator.simulation import Scenario, simulate
from wagateway.simulator.truth import Line, Truth
from wagateway.simulator.world import Group, create_world

WORLD = create_world(1)
ME = WORLD.account
ANA, BIA = WORLD.people[:2]
LID_GROUP = next(group for group in WORLD.groups if group.by_lid)
PHONE_GROUP = next(group for group in WORLD.groups if not group.by_lid)
AT_MS = 1_767_610_800_500
DIRECT = Direct(person=ANA)


def note(stanza: str = "A1", **changes: Any) -> Note:  # noqa: ANN401 - any field
    said = Note(
        stanza=stanza,
        at_ms=AT_MS,
        chat=DIRECT,
        author=ANA,
        from_me=False,
        content=Words(text="oi"),
    )
    return replace(said, **changes)


MINE = note("M1", author=ME, from_me=True)


def fact(happening: AnyHappening, **more: Any) -> Fact:  # noqa: ANN401 - any field
    kind = happening.note.content.kind if isinstance(happening, Sent) else None
    return replace(Fact(session="s", account=ME, happening=happening, kind=kind), **more)


def sent(said: Note, **more: Any) -> Fact:  # noqa: ANN401 - any field
    return fact(Sent(at_ms=said.at_ms, scene=0, note=said), **more)


def edited(said: Note, text: str, after_s: int = 10) -> Fact:
    at_ms = said.at_ms + 1000 * after_s
    return fact(Edited(at_ms=at_ms, scene=0, note=said, stanza=f"E{after_s}", text=text))


def reacted(said: Note, emoji: str, after_s: int = 10, **more: Any) -> Fact:  # noqa: ANN401
    at_ms = said.at_ms + 1000 * after_s
    reaction = Reacted(at_ms=at_ms, scene=0, note=said, stanza=f"R{after_s}", by=BIA, emoji=emoji)
    return fact(replace(reaction, **more))


def acked(said: Note, level: AckLevel) -> Fact:
    return fact(Acked(at_ms=said.at_ms, scene=0, note=said, level=level), ack=level.value)


def revoked(said: Note) -> Fact:
    return fact(Revoked(at_ms=said.at_ms + 9000, scene=0, note=said, stanza="D1"))


def told(*facts: Fact) -> list[Line]:
    truth = Truth()
    for each in facts:
        truth.tell(each)
    return list(truth.lines())


def messages(*facts: Fact) -> list[Line]:
    return [line for line in told(*facts) if line["type"] == "message"]


def test_a_message_is_told_in_its_archive_and_chat() -> None:
    archive, chat, message = told(sent(note(), ack=2))
    assert archive == {"type": "archive", "session": "s", "account": ME.phone_jid}
    assert chat == {"type": "chat", "session": "s", "account": ME.phone_jid, "id": ANA.phone_jid}
    assert message == {
        "type": "message",
        "session": "s",
        "account": ME.phone_jid,
        "chat_id": ANA.phone_jid,
        "id": "A1",
        "sender_id": ANA.phone_jid,
        "from_me": False,
        "sent_at": "2026-01-05T11:00:00Z",
        "kind": "text",
        "text": "oi",
        "reply_to": None,
        "mentions": [],
        "forwarded": False,
        "ack": "device",
        "revoked": False,
        "clash": False,
        "reactions": [],
    }


def test_the_latest_edit_counts_and_one_that_changes_nothing_is_none() -> None:
    said = note()
    (line,) = messages(
        edited(said, "c", 30), sent(said), edited(said, "b", 10), edited(said, "b", 20)
    )
    assert (line["text"], line["edits"]) == ("c", ["b", "c"])


def test_a_reaction_that_is_taken_back_is_none() -> None:
    said = note()
    (line,) = messages(sent(said), reacted(said, "", 20), reacted(said, "👍", 10))
    assert line["reactions"] == []
    (line,) = messages(sent(said), reacted(said, "👍", 10), reacted(said, "🎉", 10, by=None))
    assert {r["sender_id"]: r["emoji"] for r in line["reactions"]} == {
        BIA.phone_jid: "👍",
        ME.phone_jid: "🎉",
    }


def test_an_ack_only_rises_and_is_certain_in_direct_chats_alone() -> None:
    (line,) = messages(acked(MINE, AckLevel.READ), sent(MINE, ack=1), acked(MINE, AckLevel.DEVICE))
    assert line["ack"] == "read"
    in_group = note("G1", chat=PHONE_GROUP, author=ANA)
    assert "ack" not in messages(sent(in_group, ack=2))[0]


def test_a_deletion_keeps_the_text() -> None:
    (line,) = messages(revoked(note()), sent(note()))
    assert (line["revoked"], line["text"]) == (True, "oi")


def test_the_latest_vote_counts() -> None:
    ballot = Ballot(question="?", options=("a", "b"), selectable=0)
    poll = note("P1", content=ballot)
    first = Voted(at_ms=AT_MS + 1, scene=0, note=poll, stanza="V1", by=BIA, options=("b", "a"))
    then = replace(first, at_ms=AT_MS + 2, options=(), readable=False)
    (line,) = messages(fact(first), sent(poll))
    assert line["poll"]["votes"] == [{"voter_id": BIA.phone_jid, "options": ["a", "b"]}]
    (line,) = messages(fact(then), fact(first), sent(poll))
    assert line["poll"]["votes"] == [{"voter_id": BIA.phone_jid, "options": None}]


@pytest.mark.parametrize("late", [True, False])
def test_both_addresses_are_one_chat_once_they_are_told_together(*, late: bool) -> None:
    by_lid = note(address=Address.LID_ALONE)
    link = fact(
        MembersChanged(at_ms=0, scene=0, group=LID_GROUP, change="join", member=ANA, by=BIA),
        revealed=(ANA,),
    )
    facts = [sent(note()), sent(by_lid), acked(by_lid, AckLevel.READ)]
    (line,) = messages(*([*facts, link] if late else [link, *facts]))
    assert (line["chat_id"], line["ack"]) == (ANA.phone_jid, "read")


def test_both_addresses_are_two_chats_as_long_as_nobody_links_them() -> None:
    lines = messages(sent(note()), sent(note(address=Address.LID_ALONE)))
    assert {line["chat_id"] for line in lines} == {ANA.phone_jid, ANA.lid_jid}


def test_people_in_groups_are_named_by_phone_once_it_is_known() -> None:
    said = note(chat=LID_GROUP, address=Address.LID, mentions=(BIA,))
    (line,) = messages(sent(said), reacted(said, "👍"))
    assert line["sender_id"] == ANA.lid_jid
    (line,) = messages(sent(said, revealed=(ANA, BIA)), reacted(said, "👍"))
    assert line["sender_id"] == ANA.phone_jid
    assert line["mentions"] == [BIA.phone_jid]
    assert line["reactions"][0]["sender_id"] == BIA.phone_jid


def test_what_only_others_speak_of_is_no_message() -> None:
    assert messages(reacted(note(), "👍"), revoked(note()), edited(note(), "b")) == []


def test_a_placeholder_or_a_repetition_alone_makes_no_message_certain() -> None:
    waiting = fact(Awaited(at_ms=AT_MS, scene=0, note=note()))
    assert [line["certain"] for line in messages(waiting)] == [False]
    repeated = replace(acked(MINE, AckLevel.READ), repeats=True)
    assert [line["certain"] for line in messages(repeated)] == [False]
    assert "certain" not in messages(waiting, sent(note()))[0]


def test_a_broken_copy_alone_makes_a_message_uncertain() -> None:
    whole, broken = sent(note(), broken="x"), sent(note(), broken="x", sure=False)
    assert [line["certain"] for line in messages(broken)] == [False]
    assert messages(broken, whole) == messages(whole) == messages(whole, broken)
    gone = replace(revoked(note()), broken="y", sure=False)
    assert [line.get("certain") for line in messages(sent(note()), gone)] == [False]


def test_what_was_sent_and_never_accepted_makes_a_message_uncertain() -> None:
    truth = Truth()
    truth.tell(sent(note()))
    truth.doubt(edited(note(), "b"))
    assert [line.get("certain") for line in truth.lines() if line["type"] == "message"] == [False]


def test_two_authors_of_one_id_clash_and_what_others_did_to_it_is_open() -> None:
    said = note(chat=PHONE_GROUP)
    forged = note(chat=PHONE_GROUP, author=BIA, content=Words(text="pix?"))
    lines = messages(sent(said), sent(forged), reacted(said, "👍"), revoked(said))
    assert [line["clash"] for line in lines] == [True, True]
    assert all("reactions" not in line for line in lines)
    shown = {line["sender_id"]: line.get("revoked") for line in lines}
    assert shown == {ANA.phone_jid: True, BIA.phone_jid: None}


def test_a_forged_copy_of_a_lost_message_does_not_clash_for_certain() -> None:
    said = note(chat=PHONE_GROUP)
    forged = note(chat=PHONE_GROUP, author=BIA)
    (line,) = messages(sent(forged), reacted(said, "👍"))
    assert "clash" not in line
    assert "reactions" not in line


def test_accounts_of_one_session_have_an_archive_each() -> None:
    other = create_world(2).account
    lines = told(sent(note()), sent(note(), account=other))
    assert {line["account"] for line in lines if line["type"] == "message"} == {
        ME.phone_jid,
        other.phone_jid,
    }


def test_a_group_has_the_name_that_was_told_last() -> None:
    group: Group = PHONE_GROUP

    def renamed(subject: str, at_ms: int) -> Fact:
        return fact(SubjectChanged(at_ms=at_ms, scene=0, group=group, subject=subject, by=ANA))

    said = sent(note(chat=group))
    lines = told(renamed("new", 2), renamed("old", 1), said)
    assert [line["name"] for line in lines if line["type"] == "chat"] == ["new"]
    assert "name" not in told(said)[1]


def test_of_what_an_engine_does_not_tell_only_the_kind_is_certain() -> None:
    file = Attachment(
        kind=AttachmentKind.IMAGE, mimetype="image/jpeg", extension="jpeg", size_bytes=7
    )
    picture = note(content=file)
    assert messages(sent(picture))[0]["media"]["size_bytes"] == 7
    hidden = messages(sent(picture, kind="unknown"))[0]
    assert hidden["kind"] == "unknown"
    assert "media" not in hidden
    assert "text" not in hidden


FACTS = [
    delivery.fact
    for delivery in islice(simulate(Scenario(seed=3, faults=Faults.parse("all"))), 900)
    if delivery.fact and not delivery.lost
]


@settings(max_examples=20)
@given(st.permutations(range(len(FACTS))), st.lists(st.sampled_from(range(len(FACTS)))))
def test_neither_order_nor_repetition_changes_the_truth(order: list[int], again: list[int]) -> None:
    assert told(*(FACTS[place] for place in [*order, *again])) == told(*FACTS)
