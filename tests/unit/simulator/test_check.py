from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wagateway.simulator.check import EXAMPLES, Comparison, Report, Sort, compare, holds

ME, ANA, LID = "5511912340101@c.us", "5511987650102@c.us", "271000000000102@lid"
GROUP = "120363000000000001@g.us"


def archive(session: str = "default", account: str = ME) -> dict[str, Any]:
    return {"type": "archive", "session": session, "account": account}


def chat(id_: str = ANA, **more: object) -> dict[str, Any]:
    return {"type": "chat", "session": "default", "account": ME, "id": id_, **more}


def message(id_: str = "A1", **more: object) -> dict[str, Any]:
    line = {
        "type": "message",
        "session": "default",
        "account": ME,
        "chat_id": ANA,
        "id": id_,
        "sender_id": ANA,
        "text": "oi",
        "sent_at": "2026-01-05T11:00:00Z",
    }
    return line | more


def report(truth: list[dict[str, Any]], held: list[dict[str, Any]]) -> Report:
    return compare([archive(), *truth], [archive(), *held])


def counts(found: Report) -> dict[str, int]:
    return {sort.value: count for sort, count in found.counts.items() if count}


def test_an_equal_archive_is_perfect() -> None:
    found = report([chat(), message()], [chat(), message()])
    assert found.perfect
    assert (found.expected, found.found) == (1, 1)


def test_what_is_not_there_is_lost() -> None:
    found = report([chat(), message("A1"), message("A2")], [chat(), message("A1")])
    assert counts(found) == {"lost": 1}
    assert found.examples[0].what["id"] == "A2"
    assert not found.perfect


def test_a_chat_or_archive_that_is_not_there_is_lost() -> None:
    assert counts(report([chat()], [])) == {"lost": 1}
    assert counts(compare([archive(), archive(account=ANA)], [archive()])) == {"lost": 1}


def test_what_is_there_twice_is_a_twin() -> None:
    assert counts(report([message()], [message(), message()])) == {"twinned": 1}


def test_the_same_message_in_another_chat_is_a_twin() -> None:
    held = [message(), message(chat_id=LID, sender_id=LID)]
    assert counts(report([message()], held)) == {"twinned": 1}


def test_a_message_in_the_wrong_place_is_wrong_and_not_lost_too() -> None:
    moved = report([message()], [message(chat_id=LID, sender_id=LID)])
    assert counts(moved) == {"wrong": 1}
    (example,) = moved.examples
    assert (example.field, example.expected, example.found) == ("chat_id", ANA, LID)
    by_another = report([message(chat_id=GROUP)], [message(chat_id=GROUP, sender_id=LID)])
    assert counts(by_another) == {"wrong": 1}
    assert by_another.examples[0].field == "sender_id"


def test_a_message_with_two_wrong_fields_counts_once_and_shows_both() -> None:
    found = report([message(kind="text")], [message(text="tchau", kind="image")])
    assert counts(found) == {"wrong": 1}
    assert {example.field for example in found.examples} == {"text", "kind"}


def test_what_nobody_told_is_invented() -> None:
    assert counts(report([], [message()])) == {"invented": 1}
    assert counts(compare([archive()], [archive(), archive(account=ANA)])) == {"invented": 1}


def test_what_is_uncertain_may_be_there_or_not() -> None:
    uncertain = message(certain=False)
    assert report([uncertain], []).perfect
    assert report([uncertain], [message(text="whatever")]).perfect
    assert counts(report([uncertain], [message(), message()])) == {"twinned": 1}
    assert report([uncertain], []).expected == 0


def test_a_wrong_name_of_a_chat_is_wrong() -> None:
    assert report([chat(GROUP, name="Equipe")], [chat(GROUP, name="Equipe")]).perfect
    assert counts(report([chat(GROUP, name="Equipe")], [chat(GROUP, name=None)])) == {"wrong": 1}
    assert report([chat(GROUP)], [chat(GROUP, name="anything")]).perfect


def test_sessions_that_were_not_simulated_are_left_alone() -> None:
    others = [archive("mine"), {**message(), "session": "mine"}, {**chat(), "session": "mine"}]
    assert report([], others).perfect


def test_a_fresh_message_of_a_former_account_is_another_one() -> None:
    before = {**message(), "account": ANA}
    both = [archive(), archive(account=ANA), message(), before]
    assert compare(both, both).perfect
    assert counts(compare(both, [archive(), archive(account=ANA), message(), message()])) == {
        "lost": 1,
        "twinned": 1,
    }


def test_only_some_examples_are_kept() -> None:
    truth = [message(f"A{number}") for number in range(3 * EXAMPLES)]
    found = report(truth, [])
    assert found.counts[Sort.LOST] == 3 * EXAMPLES
    assert len(found.examples) == EXAMPLES


@pytest.mark.parametrize("line", [{"type": "poem"}, {"type": "message"}, {}, {"type": "chat"}])
def test_what_is_no_truth_is_refused(line: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="truth"):
        Comparison([line])


def test_what_is_no_archive_is_refused() -> None:
    comparison = Comparison([archive()])
    with pytest.raises(ValueError, match="not an object of an archive"):
        comparison.see({"type": "message", "session": "default"})


@pytest.mark.parametrize(
    ("found", "expected", "field", "same"),
    [
        ({"a": 1, "b": 2}, {"a": 1}, "", True),
        ({"b": 2}, {"a": 1}, "", False),
        ({}, {"a": None}, "", True),
        ("oi\x00!", "oi!", "text", True),
        ("oi\ufffd!", "oi\x00!", "text", True),
        ("oi ", "oi", "text", False),
        ("2026-01-05T11:00:00Z", "2026-01-05T08:00:00-03:00", "sent_at", True),
        ("2026-01-05T11:00:01Z", "2026-01-05T11:00:00Z", "sent_at", False),
        ("2026-01-05T11:00:00Z", "2026-01-05T08:00:00-03:00", "text", False),
        (-23.52750001, -23.5275, "latitude", True),
        (-23.5276, -23.5275, "latitude", False),
        (1, True, "", False),
        (0, False, "", False),
        (None, False, "revoked", False),
        ([1, 2], [2, 1], "edits", False),
        ([1], [1, 1], "edits", False),
        (None, [], "edits", False),
        ([{"sender_id": "b"}, {"sender_id": "a"}], [{"sender_id": "a"}, {"sender_id": "b"}],
         "reactions", True),
        ([{"sender_id": "a", "emoji": "x"}], [{"sender_id": "a", "emoji": "y"}],
         "reactions", False),
    ],
)  # fmt: skip
def test_holds(found: object, expected: object, field: str, *, same: bool) -> None:
    assert holds(found, expected, field=field) is same


_ids = st.lists(st.sampled_from([f"A{n}" for n in range(8)]), unique=True, min_size=1)


@given(ids=_ids, data=st.data())
def test_any_single_change_is_found(ids: list[str], data: st.DataObject) -> None:
    truth = [message(id_) for id_ in ids]
    assert report(truth, data.draw(st.permutations(truth))).perfect
    victim = data.draw(st.sampled_from(truth))
    others = [line for line in truth if line is not victim]
    assert counts(report(truth, others)) == {"lost": 1}
    assert counts(report(truth, [*truth, victim])) == {"twinned": 1}
    assert counts(report(truth, [*others, {**victim, "text": "?"}])) == {"wrong": 1}
    assert counts(report(truth, [*truth, message("stranger")])) == {"invented": 1}
