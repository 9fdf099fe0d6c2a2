"""How an archive is compared with the truth."""

import json
from collections.abc import Callable
from copy import deepcopy
from functools import cache
from itertools import islice
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from tests.unit.simulator.tales import truth_of

from wagateway.simulator.check import EXAMPLES, Comparison, Report, Sort, compare, holds
from wagateway.simulator.faults import Faults
from wagateway.simulator.simulation import Scenario, simulate
from wagateway.simulator.truth import Line

ME, ANA, BIA = "5511912340001@c.us", "5511987650102@c.us", "5511987650103@c.us"
GROUP = "120363000000000101@g.us"
ARCHIVE: Line = {"type": "archive", "session": "default", "account": ME}
CHAT: Line = {**ARCHIVE, "type": "chat", "id": ANA}
NAMED: Line = {**ARCHIVE, "type": "chat", "id": GROUP, "name": "Equipe"}


def message(id_: str = "A1", **fields: Any) -> Line:  # noqa: ANN401 - any field of a line
    return {
        "type": "message",
        "session": "default",
        "account": ME,
        "chat_id": ANA,
        "id": id_,
        "sender_id": ANA,
        "from_me": False,
        "text": "Bom dia!",
        "sent_at": "2026-01-05T11:00:00Z",
        **fields,
    }


def identity(line: Line) -> Line:
    return {name: line[name] for name in ("session", "account", "chat_id", "id", "sender_id")}


def counts(report: Report) -> dict[str, int]:
    """Return how many findings of each sort there are, without zeros."""
    return {sort.value: count for sort, count in report.counts.items() if count}


TRUTH = [ARCHIVE, CHAT, message("A1"), message("A2", text="Boa tarde!")]


class TestSorts:
    def test_the_same_is_perfect(self) -> None:
        report = compare(TRUTH, TRUTH)
        assert report.perfect
        assert counts(report) == {}
        assert report.examples == []
        assert (report.expected, report.found) == (2, 2)

    def test_what_is_not_there_is_lost(self) -> None:
        report = compare(TRUTH, TRUTH[:-1])
        assert not report.perfect
        assert counts(report) == {"lost": 1}
        (finding,) = report.examples
        assert (finding.sort, finding.what) == (Sort.LOST, identity(message("A2")))
        assert (report.expected, report.found) == (2, 1)

    def test_what_is_there_twice_is_twinned(self) -> None:
        report = compare(TRUTH, [*TRUTH, message("A1"), message("A1", text="anders")])
        assert counts(report) == {"twinned": 2}
        assert [finding.what for finding in report.examples] == [identity(message("A1"))] * 2

    @pytest.mark.parametrize("elsewhere", [{"chat_id": BIA}, {"sender_id": BIA}])
    def test_a_second_one_at_another_address_is_a_twin(self, elsewhere: Line) -> None:
        twin = message("A1", **elsewhere)
        for archive in ([*TRUTH, twin], [twin, *TRUTH]):
            report = compare(TRUTH, archive)
            assert counts(report) == {"twinned": 1}
            assert report.examples[0].what == identity(twin)

    @pytest.mark.parametrize("field", ["chat_id", "sender_id"])
    def test_what_is_at_another_place_only_is_wrong_there_and_not_lost(self, field: str) -> None:
        report = compare(TRUTH, [*TRUTH[:-1], message("A2", **{field: BIA})])
        assert counts(report) == {"wrong": 1}
        (finding,) = report.examples
        assert (finding.field, finding.expected, finding.found) == (field, ANA, BIA)
        assert finding.what == identity(message("A2"))

    def test_of_two_in_a_wrong_place_one_is_a_twin_or_nothing_worse(self) -> None:
        strays = [message("A2", chat_id=BIA), message("A2", chat_id=GROUP)]
        report = compare(TRUTH, [*TRUTH[:-1], *strays])
        assert report.counts[Sort.WRONG] == 1
        assert report.counts[Sort.LOST] == 0

    def test_another_value_of_a_field_is_wrong(self) -> None:
        report = compare(TRUTH, [*TRUTH[:-1], message("A2", text="Boa noite!")])
        assert counts(report) == {"wrong": 1}
        (finding,) = report.examples
        assert (finding.field, finding.expected, finding.found) == (
            "text",
            "Boa tarde!",
            "Boa noite!",
        )

    def test_two_wrong_fields_of_one_message_count_once_and_are_both_shown(self) -> None:
        wrong = message("A2", text="Boa noite!", sent_at="2026-01-05T12:00:00Z")
        report = compare(TRUTH, [*TRUTH[:-1], wrong])
        assert counts(report) == {"wrong": 1}
        assert {finding.field for finding in report.examples} == {"text", "sent_at"}

    def test_a_field_that_is_missing_counts_as_null(self) -> None:
        bare = message("A1", text=None)
        del bare["text"]
        assert compare([ARCHIVE, message("A1", text=None)], [ARCHIVE, bare]).perfect
        report = compare([ARCHIVE, message("A1")], [ARCHIVE, bare])
        assert counts(report) == {"wrong": 1}
        assert report.examples[0].found is None

    def test_more_fields_than_the_truth_has_are_no_difference(self) -> None:
        assert compare(TRUTH, [{**line, "more": [1]} for line in TRUTH]).perfect

    def test_what_nobody_told_is_invented(self) -> None:
        report = compare(TRUTH, [*TRUTH, message("Z9")])
        assert counts(report) == {"invented": 1}
        assert report.examples[0].what == identity(message("Z9"))
        assert report.found == 3

    def test_the_archive_of_another_account_is_no_place_for_a_message(self) -> None:
        report = compare(TRUTH, [*TRUTH[:-1], message("A2", account=BIA)])
        assert counts(report) == {"lost": 1, "invented": 1}

    def test_only_some_examples_are_kept_but_all_are_counted(self) -> None:
        many = [message(f"B{number:02}") for number in range(25)]
        report = compare([ARCHIVE, *many], [ARCHIVE, message("Z1"), message("Z2")])
        assert counts(report) == {"lost": 25, "invented": 2}
        lost = [finding for finding in report.examples if finding.sort is Sort.LOST]
        assert [finding.what["id"] for finding in lost] == [f"B{n:02}" for n in range(EXAMPLES)]
        assert len(report.examples) == EXAMPLES + 2


class TestUncertain:
    MAYBE = message("A2", certain=False)

    def test_it_is_not_required(self) -> None:
        report = compare([ARCHIVE, message("A1"), self.MAYBE], [ARCHIVE, message("A1")])
        assert report.perfect
        assert report.expected == 1

    def test_it_is_not_invented_in_whatever_state(self) -> None:
        there = message("A2", text="anything", from_me=True)
        assert compare([ARCHIVE, self.MAYBE], [ARCHIVE, there]).perfect

    def test_it_is_there_once_at_most(self) -> None:
        report = compare([ARCHIVE, self.MAYBE], [ARCHIVE, message("A2"), message("A2")])
        assert counts(report) == {"twinned": 1}

    def test_it_may_be_named_otherwise(self) -> None:
        assert compare([ARCHIVE, self.MAYBE], [ARCHIVE, message("A2", chat_id=BIA)]).perfect


class TestChatsAndArchives:
    def test_a_chat_that_is_not_there_is_lost(self) -> None:
        report = compare([ARCHIVE, CHAT, NAMED], [ARCHIVE, NAMED])
        assert counts(report) == {"lost": 1}
        assert report.examples[0].what == CHAT

    def test_who_shows_no_chats_at_all_misses_none(self) -> None:
        assert compare([ARCHIVE, CHAT], [ARCHIVE]).perfect
        assert compare([ARCHIVE], []).perfect

    def test_a_chat_that_is_there_twice_is_twinned(self) -> None:
        assert counts(compare([ARCHIVE, CHAT], [ARCHIVE, CHAT, CHAT])) == {"twinned": 1}

    def test_a_chat_under_the_hidden_id_of_somebody_known_is_twinned(self) -> None:
        link = {**ARCHIVE, "type": "link", "lid": "271@lid", "phone": CHAT["id"]}
        ghost = {**CHAT, "id": "271@lid"}
        assert counts(compare([ARCHIVE, link, CHAT], [ARCHIVE, CHAT, ghost])) == {"twinned": 1}
        assert compare([ARCHIVE, CHAT], [ARCHIVE, CHAT, ghost]).perfect

    def test_a_group_has_its_name(self) -> None:
        assert compare([ARCHIVE, NAMED], [ARCHIVE, NAMED]).perfect
        report = compare([ARCHIVE, NAMED], [ARCHIVE, {**NAMED, "name": None}])
        assert counts(report) == {"wrong": 1}
        assert (report.examples[0].what, report.examples[0].field) == (
            {name: NAMED[name] for name in ("type", "session", "account", "id")},
            "name",
        )

    def test_a_name_that_nobody_told_and_further_chats_are_no_difference(self) -> None:
        assert compare([ARCHIVE, CHAT], [ARCHIVE, {**CHAT, "name": "Ana"}, NAMED]).perfect

    def test_an_archive_that_is_not_there_is_lost(self) -> None:
        former = {**ARCHIVE, "account": BIA}
        report = compare([ARCHIVE, former], [ARCHIVE])
        assert counts(report) == {"lost": 1}
        assert report.examples[0].what == former

    def test_an_archive_that_is_uncertain_may_be_there_or_not(self) -> None:
        former = {**ARCHIVE, "account": BIA}
        for held in ([ARCHIVE], [ARCHIVE, former]):
            assert compare([ARCHIVE, {**former, "certain": False}], held).perfect

    @pytest.mark.parametrize("account", [BIA, None])
    def test_an_archive_of_an_account_that_never_was_is_invented(self, account: str | None) -> None:
        other = {**ARCHIVE, "account": account}
        report = compare([ARCHIVE], [ARCHIVE, other])
        assert counts(report) == {"invented": 1}
        assert report.examples[0].what == other


class TestInput:
    def test_sessions_that_the_truth_does_not_know_are_nobody_s_business(self) -> None:
        elsewhere = [{**line, "session": "loja"} for line in [*TRUTH, message("Z9")]]
        report = compare(TRUTH, [*TRUTH, *elsewhere])
        assert report.perfect
        assert report.found == 2

    def test_it_names_the_sessions_of_the_truth(self) -> None:
        both = [{**ARCHIVE, "session": name} for name in ("b", "a", "b")]
        assert Comparison(both).sessions == ["a", "b"]

    def test_the_head_of_a_truth_is_skipped(self) -> None:
        told = [{"type": "simulation", "version": 1}, *TRUTH]
        assert compare(told, TRUTH).perfect
        assert compare(told, told).perfect

    @pytest.mark.parametrize(
        "line", [{}, {"type": "message"}, {"type": "chat", "session": "a"}, {"type": "what"}, []]
    )
    def test_a_line_that_is_none_of_a_truth_is_refused(self, line: Any) -> None:  # noqa: ANN401
        with pytest.raises(ValueError, match="truth"):
            Comparison([line])

    @pytest.mark.parametrize(
        "line",
        [
            {},
            {"type": "message"},
            {"session": "default"},
            {"session": "default", "type": "message", "id": "A1"},
            {"session": "default", "type": "chat", "account": ME},
            {"session": "default", "type": "archive"},
            {**CHAT, "id": ["a"]},
            {**ARCHIVE, "account": {}},
            message(chat_id=[]),
        ],
    )
    def test_an_object_without_an_identity_is_refused(self, line: Line) -> None:
        comparison = Comparison(TRUTH)
        with pytest.raises(ValueError, match=r"is missing|is no string"):
            comparison.see(line)

    def test_objects_of_other_types_are_skipped(self) -> None:
        assert compare(TRUTH, [*TRUTH, {"session": "default", "type": "contact"}]).perfect


@pytest.mark.parametrize(
    ("found", "expected"),
    [
        (None, None),
        (True, True),
        (3, 3),
        (3, 3.0),
        (-23.5000004, -23.5),
        ("a", "a"),
        ("a\ufffdb", "a\x00b"),
        ("ab", "a\x00b"),
        ([1, 2], [1, 2]),
        ({"a": 1, "b": 2}, {"a": 1}),
        ({}, {}),
        ({}, {"a": None}),
    ],
)
def test_it_holds(found: object, expected: object) -> None:
    assert holds(found, expected)


@pytest.mark.parametrize(
    ("found", "expected"),
    [
        (None, False),
        (0, False),
        (1, True),
        (True, 1),
        ("3", 3),
        (-23.50001, -23.5),
        (None, 1.5),
        ("a ", "a"),
        ("a", "A"),
        ("a", None),
        (None, "a"),
        ([1, 2], [2, 1]),
        ([1, 2, 3], [1, 2]),
        ([1], [1, 2]),
        ("ab", ["a", "b"]),
        (None, []),
        (None, {}),
        ({"b": 2}, {"a": 1}),
        ([{"a": 1}], [{"a": 2}]),
        ({"a": 1}, {"a": None}),
    ],
)
def test_it_does_not_hold(found: object, expected: object) -> None:
    assert not holds(found, expected)


def test_instants_may_be_written_with_any_offset() -> None:
    noon = "2026-01-05T12:00:00Z"
    assert holds("2026-01-05T09:00:00.000-03:00", noon, field="sent_at")
    assert not holds("2026-01-05T09:00:00Z", noon, field="sent_at")
    assert not holds("noon", noon, field="sent_at")
    assert not holds("2026-01-05T12:00:00", noon, field="sent_at")
    assert not holds("2026-01-05T09:00:00-03:00", noon, field="text")


@pytest.mark.parametrize(
    ("field", "who", "what"),
    [("reactions", "sender_id", "emoji"), ("votes", "voter_id", "options")],
)
def test_reactions_and_votes_come_in_any_order(field: str, who: str, what: str) -> None:
    expected = [{who: ANA, what: "1"}, {who: BIA, what: "2"}]
    assert holds(expected[::-1], expected, field=field)
    assert not holds(expected[::-1], expected, field="contacts")
    assert not holds([{who: ANA, what: "2"}, {who: BIA, what: "1"}], expected, field=field)
    assert not holds(expected[:1], expected, field=field)


@pytest.mark.parametrize("odd", [[1, "a"], ["a", None], [{}, 1]])
def test_reactions_of_any_shape_are_wrong_and_nothing_worse(odd: list[Any]) -> None:
    expected = [{"sender_id": ANA, "emoji": "1"}, {"sender_id": BIA, "emoji": "2"}]
    assert not holds(odd, expected, field="reactions")


@cache
def simulated() -> tuple[Line, ...]:
    """Return the truth of a small simulation with all faults."""
    scenario = Scenario(
        seed=4, sessions=2, faults=Faults.parse("all,forged=0.1,malformed=0.2,loss=0.2")
    )
    told = [each for each in islice(simulate(scenario), 900) if not each.lost]
    return tuple(truth_of(*(each.fact for each in told if each.fact)).lines())


def certain() -> list[int]:
    """Return the places of the messages that must be there."""
    return [
        place
        for place, line in enumerate(simulated())
        if line["type"] == "message" and line.get("certain", True)
    ]


def test_the_truth_is_perfect_beside_itself() -> None:
    report = compare(simulated(), simulated())
    assert report.perfect
    assert report.expected == len(certain()) > 100
    assert any(not line.get("certain", True) for line in simulated())


@given(st.data())
def test_the_order_of_an_archive_does_not_matter(data: st.DataObject) -> None:
    shuffled = data.draw(st.permutations(simulated()))
    assert compare(simulated(), shuffled).perfect
    assert compare(shuffled, simulated()).perfect


@given(st.data())
def test_any_message_that_is_missing_is_lost(data: st.DataObject) -> None:
    place = data.draw(st.sampled_from(certain()))
    report = compare(simulated(), [*simulated()[:place], *simulated()[place + 1 :]])
    assert counts(report) == {"lost": 1}
    assert report.examples[0].what == identity(simulated()[place])


@given(st.data())
def test_any_message_that_is_there_twice_is_twinned(data: st.DataObject) -> None:
    place = data.draw(st.sampled_from(certain()))
    again = data.draw(st.integers(0, len(simulated())))
    archive = list(simulated())
    archive.insert(again, simulated()[place])
    report = compare(simulated(), archive)
    assert counts(report) == {"twinned": 1}
    assert report.examples[0].what == identity(simulated()[place])


def test_every_field_of_a_truth_can_be_chosen() -> None:
    named = {name for line in simulated() if line["type"] in {"message", "chat"} for name in line}
    assert compare(simulated(), simulated(), fields=named).perfect


@given(st.data())
def test_any_field_that_is_altered_is_wrong(data: st.DataObject) -> None:
    place = data.draw(st.sampled_from(certain()))
    line = deepcopy(simulated()[place])
    fields = sorted(line.keys() - identity(line).keys() - {"type", "certain"})
    field = data.draw(st.sampled_from(fields))
    change = data.draw(st.sampled_from(ALTERED))
    line[field] = change(line[field])
    assume(json.dumps(line) != json.dumps(simulated()[place]))
    report = compare(simulated(), [*simulated()[:place], line, *simulated()[place + 1 :]])
    assert counts(report) == {"wrong": 1}
    assert {finding.field for finding in report.examples} == {field}


ALTERED: list[Callable[[Any], Any]] = [
    lambda value: [value],
    lambda value: 17 if value is None else None,
    lambda value: not value if isinstance(value, bool) else {"other": value},
    lambda value: f"{value}!" if isinstance(value, str) else "!",
]
