import json
from collections import Counter
from itertools import accumulate, islice, pairwise

import pytest

from wagateway.simulator.faults import MEANINGS, Faults
from wagateway.simulator.happenings import Direct, OfMessage, Sent, SessionChanged
from wagateway.simulator.simulation import Scenario, simulate
from wagateway.simulator.traffic import Delivery


@pytest.mark.parametrize(
    ("text", "rates"),
    [
        ("none", {}),
        ("", {}),
        ("usual", {"duplicate": 0.04}),
        ("lid-flip=0.5", {"lid-flip": 0.5}),
        ("lid_flip = 0.5 ,", {"lid-flip": 0.5}),
        ("loss", {"loss": 0.02}),
        ("loss=0.1,loss=0", {}),
        ("all,none,drop=1", {"drop": 1.0}),
    ],
)
def test_words_are_read_in_their_order(text: str, rates: dict[str, float]) -> None:
    assert Faults.parse(text).rates() == rates


def test_all_are_all_and_every_one_is_explained() -> None:
    assert set(Faults.parse("all").rates()) == set(MEANINGS)


@pytest.mark.parametrize("text", ["lose", "loss=often", "loss=1.1", "loss=-1", "loss=nan", "=1"])
def test_what_means_nothing_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"no fault|is a number|from 0 to 1"):
        Faults.parse(text)


def stream(faults: str, count: int = 2500, **more: object) -> list[Delivery]:
    scenario = Scenario(seed=5, faults=Faults.parse(faults), **more)  # type: ignore[arg-type]
    return list(islice(simulate(scenario), count))


def test_without_faults_everything_comes_once_and_is_what_it_should_be() -> None:
    calm = stream("none")
    assert len({(d.event, d.body) for d in calm}) == len(calm)
    assert not any(d.repeated or d.cut or d.lost for d in calm)
    assert all(d.fact and d.fact.sure for d in calm)
    assert max(len(d.body) for d in calm) < 100_000
    assert len({d.fact.account for d in calm if d.fact}) == 1


def test_a_duplicate_is_the_same_request_again() -> None:
    first: list[object] = []
    again: list[object] = []
    for delivery in stream("duplicate=0.2"):
        (again if delivery.repeated else first).append((delivery.headers, delivery.body))
    assert len(again) > 100
    assert all(request in first for request in again)


def test_dropped_answers_are_marked() -> None:
    assert 100 < sum(d.cut for d in stream("drop=0.1")) < 500


def test_what_is_lost_is_lost_in_windows() -> None:
    lost = [d.lost for d in stream("loss=0.3")]
    assert 0.1 < sum(lost) / len(lost) < 0.6
    changes = sum(a != b for a, b in pairwise(lost))
    assert changes < sum(lost) / 3


def test_late_ones_come_behind_newer_ones() -> None:
    def overtaken(faults: str, by_ms: int) -> int:
        """Count deliveries that are so much older than what came before them."""
        stamps = [json.loads(d.body)["timestamp"] for d in stream(faults)]
        latest = accumulate(stamps, max)
        return sum(newest - stamp > by_ms for newest, stamp in zip(latest, stamps, strict=True))

    assert overtaken("none", 40_000) == 0
    assert overtaken("late=0.1", 40_000) > 30
    assert overtaken("reorder=0.3", 70_000) == 0
    assert overtaken("reorder=0.3", 8_000) > overtaken("none", 8_000) + 100


def test_broken_copies_are_certain_of_nothing() -> None:
    told = [d.fact for d in stream("malformed=0.2") if d.fact]
    broken = [fact for fact in told if not fact.sure]
    assert len(broken) > 200
    whole = {fact.broken for fact in told if fact.sure}
    assert sum(fact.broken in whole for fact in broken) > 0.9 * len(broken)


def test_unknown_events_tell_nothing() -> None:
    calm = {d.event for d in stream("none")}
    strange = [d for d in stream("unknown=0.1") if d.event not in calm]
    assert len(strange) > 100
    assert all(d.fact is None for d in strange)


def test_huge_bodies_are_a_megabyte() -> None:
    big = [d for d in stream("huge=0.02", 500) if len(d.body) > 1_000_000]
    assert big
    assert all(json.loads(d.body)["payload"]["_data"] for d in big)


def test_clocks_are_wrong_for_whole_conversations() -> None:
    skews: dict[int, set[bool]] = {}
    for delivery in stream("clock-skew=0.2"):
        assert delivery.fact
        happening = delivery.fact.happening
        apart_ms = abs(json.loads(delivery.body)["timestamp"] - happening.at_ms)
        if apart_ms > 3_600_000 or apart_ms < 60_000:
            skews.setdefault(happening.scene, set()).add(apart_ms > 3_600_000)
    assert all(len(each) == 1 for each in skews.values())
    assert 0.05 < sum(True in each for each in skews.values()) / len(skews) < 0.5


def test_flips_touch_direct_chats_alone() -> None:
    chats: Counter[str] = Counter()
    for delivery in stream("lid-flip=0.5"):
        happening = delivery.fact.happening if delivery.fact else None
        if isinstance(happening, OfMessage) and isinstance(happening.note.chat, Direct):
            chats[happening.note.address.value] += 1
    assert chats["lid"] > 100
    assert chats["lid-alone"] > 50
    assert chats["phone"] > 100


def test_a_forgery_has_the_id_of_a_message_and_another_author() -> None:
    authors: dict[tuple[str, str], set[str]] = {}
    account = ""
    for delivery in stream("forged=0.3"):
        happening = delivery.fact.happening if delivery.fact else None
        if isinstance(happening, Sent):
            note = happening.note
            account = delivery.fact.account.phone if delivery.fact else ""
            if note.author and not isinstance(note.chat, Direct):
                authors.setdefault((note.chat_jid, note.stanza), set()).add(note.author.phone)
    twice = [found for found in authors.values() if len(found) > 1]
    assert len(twice) > 10
    assert account


def test_unwanted_characters_come_in_texts() -> None:
    assert any(b"\\u0000" in d.body for d in stream("nul=0.5"))
    assert not any(b"\\u0000" in d.body for d in stream("none"))


def test_a_session_is_paired_again_with_the_same_account() -> None:
    def scans(faults: str) -> int:
        told = [d.fact.happening for d in stream(faults) if d.fact]
        return sum(
            isinstance(each, SessionChanged) and each.statuses[-1][0] == "SCAN_QR_CODE"
            for each in told
        )

    assert scans("re-pair=0.5") > scans("none") + 20


def test_another_account_takes_over_and_some_come_back() -> None:
    accounts = [d.fact.account.phone for d in stream("account-change=0.2") if d.fact]
    in_turn = [a for a, b in zip(accounts, [None, *accounts], strict=False) if a != b]
    assert len(set(in_turn)) > 3
    assert len(in_turn) > len(set(in_turn))


def test_the_same_scenario_gives_the_same_bytes() -> None:
    first, second = stream("all", sessions=2), stream("all", sessions=2)
    assert [(d.offset_s, d.headers, d.body, d.lost, d.cut) for d in first] == [
        (d.offset_s, d.headers, d.body, d.lost, d.cut) for d in second
    ]


def test_sessions_have_worlds_of_their_own() -> None:
    accounts: dict[str, set[str]] = {}
    for delivery in stream("none", sessions=3):
        assert delivery.fact
        accounts.setdefault(delivery.fact.session, set()).add(delivery.fact.account.phone)
    assert set(accounts) == {"session-1", "session-2", "session-3"}
    assert len(set.union(*accounts.values())) == 3


def test_at_a_rate_offsets_never_fall_and_without_one_nobody_waits() -> None:
    timed = stream("none", rate=50.0)
    offsets = [d.offset_s for d in timed]
    assert offsets == sorted(offsets)
    assert offsets[-1] > 10
    assert {d.offset_s for d in stream("none")} == {0.0}


def test_a_description_says_everything_but_the_key() -> None:
    described = Scenario(hmac_key="secret", faults=Faults.parse("loss")).description()
    assert "secret" not in json.dumps(described)
    assert described["faults"] == {"loss": 0.02}


@pytest.mark.parametrize("field", [{"sessions": 0}])
def test_a_scenario_without_sessions_is_refused(field: dict[str, int]) -> None:
    with pytest.raises(ValueError, match="session"):
        Scenario(**field)  # type: ignore[arg-type]
