"""What each fault does to the stream of deliveries, and that it does nothing else."""

import json
from collections import Counter, defaultdict
from datetime import UTC, timedelta
from functools import cache
from itertools import islice
from typing import Any

import pytest
from tests.unit.simulator.samples import MESSAGES, START

from wagateway.simulator.engine import EngineName
from wagateway.simulator.faults import MEANINGS, Faults
from wagateway.simulator.happenings import Direct, Sent, SessionChanged
from wagateway.simulator.traffic import Delivery, Traffic

COUNT = 1500
START_MS = int(START.astimezone(UTC).timestamp() * 1000)
UNKNOWN = {"message.sparkled", "chat.theme", "newsletter.v3.update", "message..any"}


def told(
    faults: str, count: int = COUNT, *, engine: EngineName | None = EngineName.NOWEB
) -> tuple[Delivery, ...]:
    """Return the beginning of a stream without a past."""
    traffic = Traffic(
        start=START,
        seed=7,
        engine=engine,
        history=timedelta(0),
        rate=10,
        faults=Faults.parse(faults),
        also_as_message=0,
    )
    return tuple(islice(traffic, count))


stream = cache(told)


def requests(deliveries: tuple[Delivery, ...]) -> Counter[str]:
    return Counter(one.headers["X-Webhook-Request-Id"] for one in deliveries)


def payload(delivery: Delivery) -> dict[str, Any]:
    return dict(json.loads(delivery.body)["payload"])


def broken(deliveries: tuple[Delivery, ...]) -> list[Delivery]:
    return [one for one in deliveries if one.fact and not one.fact.sure]


def test_without_faults_everything_comes_once_whole_and_is_sent() -> None:
    calm = stream("none")
    assert set(requests(calm).values()) == {1}
    assert not any(one.repeated or one.cut or one.lost for one in calm)
    assert all(one.fact and one.fact.sure and one.fact.broken is None for one in calm)
    assert max(len(one.body) for one in calm) < 200_000
    assert not {one.event for one in calm} & UNKNOWN
    assert not any(b"\\u0000" in one.body for one in calm)
    assert len({one.fact.account.phone for one in calm if one.fact}) == 1


@pytest.mark.parametrize("fault", MEANINGS)
def test_each_fault_shows_and_can_be_repeated_byte_for_byte(fault: str) -> None:
    count = 40 if fault == "huge" else 400
    stormy = told(f"{fault}=0.5", count)
    assert stormy != stream("none")[:count]
    assert told(f"{fault}=0.5", count) == stormy


@pytest.mark.parametrize("engine", [*EngineName, None])
def test_all_faults_together_are_the_same_each_time(engine: EngineName | None) -> None:
    def once() -> list[Delivery]:
        traffic = Traffic(start=START, seed=3, engine=engine, faults=Faults.parse("all"))
        return list(islice(traffic, 1200))

    assert once() == once()


def test_a_duplicate_has_the_same_bytes_and_headers_two_seconds_later() -> None:
    before: dict[str, Delivery] = {}
    repeated = 0
    for one in stream("duplicate=0.5"):
        first = before.setdefault(one.headers["X-Webhook-Request-Id"], one)
        assert one.repeated == (one is not first)
        if one.repeated:
            repeated += 1
            assert (one.body, one.headers, one.fact) == (first.body, first.headers, first.fact)
            assert one.offset_s == pytest.approx(first.offset_s + 2)
    assert 0.25 * COUNT < repeated < 0.4 * COUNT


def test_always_duplicated_means_twice() -> None:
    settled = requests(stream("duplicate=1")[:-200])
    assert set(settled.values()) <= {1, 2}
    assert Counter(settled.values())[2] > 0.9 * len(settled)


def test_a_drop_cuts_requests_but_not_their_repetition() -> None:
    cut = sum(one.cut for one in stream("drop=0.3"))
    assert 0.25 * COUNT < cut < 0.35 * COUNT
    both = stream("drop=1,duplicate=0.5")
    assert {(one.cut, one.repeated) for one in both} == {(True, False), (False, True)}


def test_whole_windows_of_ten_seconds_are_lost_and_only_those() -> None:
    fates = defaultdict(set)
    for one in stream("loss=0.3"):
        fates[int((START_MS + round(one.offset_s * 1000)) // 10_000)].add(one.lost)
    assert all(len(fate) == 1 for fate in fates.values())
    assert len(fates) > 10
    lost = [True in fate for fate in fates.values()]
    assert 0 < sum(lost) < len(lost)


def test_all_that_is_lost_tells_the_same_as_what_is_not() -> None:
    calm, lossy = stream("none"), stream("loss=1")
    assert all(one.lost for one in lossy)
    assert [one.body for one in lossy] == [one.body for one in calm]


def delays_s(deliveries: tuple[Delivery, ...]) -> list[float]:
    """Return how long after what happened each delivery is sent."""
    return [
        one.offset_s - (one.fact.happening.at_ms - START_MS) / 1000
        for one in deliveries
        if one.fact
    ]


def test_without_faults_everything_comes_within_seconds() -> None:
    delays = delays_s(stream("none"))
    assert min(delays) > 0
    assert sorted(delays)[int(0.95 * COUNT)] < 7


def test_reordered_requests_come_up_to_half_a_minute_late() -> None:
    longest = max(delays_s(stream("none")))
    delays = delays_s(stream("reorder=1"))
    assert max(delays) <= longest + 30
    assert sum(delay > 15 for delay in delays) > 0.4 * COUNT


def test_late_requests_come_half_a_minute_to_ten_minutes_late() -> None:
    longest = max(delays_s(stream("none")))
    delays = delays_s(stream("late=0.3"))
    assert max(delays) <= longest + 600
    late = [delay for delay in delays if delay > longest]
    assert min(late) > 30
    assert 0.03 * COUNT < len(late) < 0.35 * COUNT
    everything = delays_s(stream("late=1"))
    assert min(everything) > 30
    assert max(everything) > 300


def test_huge_bodies_have_more_than_a_megabyte_and_are_still_told() -> None:
    big = [one for one in stream("huge=0.02", count=300) if len(one.body) > 1_000_000]
    assert 0 < len(big) < 30
    assert all(one.fact and one.fact.sure for one in big)


def test_unknown_events_follow_and_tell_nothing() -> None:
    strange = [one for one in stream("unknown=0.3") if one.event in UNKNOWN]
    assert 0.2 * COUNT * 0.75 < len(strange) < 0.3 * COUNT
    assert all(one.fact is None for one in strange)
    assert all(json.loads(one.body)["event"] == one.event for one in strange)
    assert {one.event for one in strange} == UNKNOWN
    known = [one.body for one in stream("unknown=0.3") if one.event not in UNKNOWN]
    assert len({json.loads(body)["id"] for body in known}) == len(known)


def test_malformed_copies_follow_a_whole_one_of_the_same_event() -> None:
    stormy = stream("malformed=0.3")
    copies = broken(stormy)
    assert len(copies) > 0.15 * COUNT
    whole = {one.fact.broken: one for one in stormy if one.fact and one.fact.sure}
    for copy in copies:
        assert copy.fact
        assert copy.fact.broken is not None
        original = whole.get(copy.fact.broken)
        if original is not None:  # its twin may lie behind the end of what is looked at
            assert original.fact
            assert original.event == copy.event
            assert original.fact.happening == copy.fact.happening
            assert original.body != copy.body
            assert original.headers["X-Webhook-Request-Id"] != copy.headers["X-Webhook-Request-Id"]
    assert len({copy.fact.broken for copy in copies if copy.fact}) == len(copies)


def test_a_copy_without_the_engine_s_data_reveals_nobody() -> None:
    for copy in broken(stream("malformed=1", engine=EngineName.GOWS)):
        assert copy.fact
        if payload(copy).get("_data") == "gone":
            assert copy.fact.revealed == ()


def test_flips_name_direct_chats_by_either_address() -> None:
    addresses = Counter(
        one.fact.happening.note.chat_jid.split("@")[1]
        for one in stream("lid-flip=0.5")
        if one.fact
        and isinstance(one.fact.happening, Sent)
        and isinstance(one.fact.happening.note.chat, Direct)
    )
    assert min(addresses["c.us"], addresses["lid"]) > 50


def test_forged_messages_use_the_id_of_another_author_in_the_same_chat() -> None:
    authors = defaultdict(set)
    for one in stream("forged=0.5"):
        if one.fact and isinstance(one.fact.happening, Sent):
            note = one.fact.happening.note
            authors[note.chat_jid, note.stanza].add(note.author and note.author.phone)
    assert {len(each) for each in authors.values()} == {1, 2}
    account = Traffic(start=START, seed=7).world.account.phone
    texts = ("example.com/win", "Troque o pix", "ignore o que eu disse")
    forgers = {
        one.fact.happening.note.author
        for one in stream("forged=0.5")
        if one.fact
        and isinstance(one.fact.happening, Sent)
        and any(text in (one.fact.happening.note.text or "") for text in texts)
    }
    assert len(forgers) > 3
    assert account not in {forger and forger.phone for forger in forgers}


def test_nul_puts_unwanted_characters_into_texts() -> None:
    stormy = stream("nul=0.3")
    bodies = [payload(one)["body"] or "" for one in stormy if one.event in MESSAGES]
    for unwanted in ("\x00", "\u202e", "\u200b"):
        assert sum(unwanted in body for body in bodies) > 5
    assert sum("\x00" in body for body in bodies) < 0.3 * len(bodies)


def test_a_wrong_clock_is_up_to_a_day_off_for_a_whole_conversation() -> None:
    shifts = defaultdict(set)
    for calm, wrong in zip(stream("none"), stream("clock-skew=0.3"), strict=True):
        assert calm.fact
        assert payload(calm) == payload(wrong)
        shift = json.loads(wrong.body)["timestamp"] - json.loads(calm.body)["timestamp"]
        shifts[calm.fact.happening.scene].add(shift)
    assert all(len(each) == 1 for each in shifts.values())
    wrong_clocks = [shift for each in shifts.values() for shift in each if shift]
    assert 0.15 * len(shifts) < len(wrong_clocks) < 0.45 * len(shifts)
    assert all(abs(shift) <= 86_400_000 for shift in wrong_clocks)
    assert min(wrong_clocks) < 0 < max(wrong_clocks)


def statuses(deliveries: tuple[Delivery, ...]) -> list[str]:
    return [
        one.fact.happening.statuses[-1][0]
        for one in deliveries
        if one.fact and isinstance(one.fact.happening, SessionChanged)
    ]


def test_pairing_again_shows_a_code_and_works_with_the_same_account() -> None:
    paired = stream("re-pair=0.3")
    assert statuses(paired).count("SCAN_QR_CODE") > statuses(stream("none")).count("SCAN_QR_CODE")
    assert len({one.fact.account.phone for one in paired if one.fact}) == 1


def test_another_account_takes_over_under_the_same_session_name() -> None:
    changing = stream("account-change=0.1")
    assert len({one.fact.account.phone for one in changing if one.fact}) > 2
    for one in changing:
        assert one.fact
        body = json.loads(one.body)
        assert body["session"] == one.fact.session == "default"
        assert body["me"]["id"].split("@")[0] == one.fact.account.phone
