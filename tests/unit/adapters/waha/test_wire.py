"""Bytes that are JSON, nearly JSON, and not JSON."""

import json
import math
import tracemalloc

import pytest
from tests.unit.adapters.waha.test_bodies import bare, body, noweb, read_all

from wagateway.adapters.waha.wire import envelopes
from wagateway.domain.errors import InvalidInput
from wagateway.domain.events import MessageSeen, NotUnderstood
from wagateway.domain.messages import Ack


@pytest.mark.parametrize(
    ("raw", "why"),
    [
        (b"", "not JSON"),
        (b"   ", "not JSON"),
        (b"hello", "not JSON"),
        (b'{"event": "message"', "not JSON"),
        (b'{"a": 1} trailing', "not JSON"),
        (b'{"a": "\\ud800"} trailing', "not JSON"),
        (b"[{}, ", "not JSON"),
        (b"[{} {}]", "not JSON"),
        (b'["\\ud800"', "not JSON"),
        (b'["\\ud800",]', "not JSON"),
        (b'["\\ud800"]]', "not JSON"),
        (b"[]x", "not JSON"),
        (b'{"a": NaN}', "NaN"),
        (b'{"a": -Infinity}', "Infinity"),
        (b'[{"a": NaN}]', "NaN"),
        (b'\xef\xbb\xbf{"a": 1}', "not JSON"),
        (b'{"a": "\xff"}', "UTF-8"),
        (b'[{"a": "\xff"}]', "UTF-8"),
        (b'["\\ud800", "\xff"]', "UTF-8"),
        (b"\xff\xfe{\x00}\x00", "UTF-8"),
        (b"1", "object"),
        (b"null", "object"),
        (b'"text"', "object"),
        (b'{"a":' * 100_000, "deep"),
        (b"[" * 100_000, "deep"),
        (b'{"x": "\\ud800", "a":' + b"[" * 100_000, "deep"),
    ],
)
def test_refuses_what_is_no_envelope(raw: bytes, why: str) -> None:
    with pytest.raises(InvalidInput, match=why):
        read_all(raw)


def test_refusal_does_not_repeat_the_content() -> None:
    with pytest.raises(InvalidInput) as caught:
        read_all(b'{"body": "a secret", "x": nonsense}')
    assert "secret" not in str(caught.value)
    assert "nonsense" not in str(caught.value)


def test_an_object_keeps_its_exact_bytes() -> None:
    raw = b' {"event" :\t"presence.update",\n "payload":{}} \n'
    (delivery,) = read_all(raw)
    assert delivery.body == raw


def test_an_array_gives_each_element_with_its_own_bytes_in_order() -> None:
    raw = b'\n[ {"event" : "a"} ,{"event":"b"}, 7, null, [ {} ], "x" ]\n'
    found = read_all(raw)
    assert [each.event for each in found] == ["a", "b", "", "", "", ""]
    assert [each.body for each in found] == [
        b'{"event" : "a"}',
        b'{"event":"b"}',
        b"7",
        b"null",
        b"[ {} ]",
        b'"x"',
    ]


def test_an_array_that_only_the_tolerant_decoder_reads_keeps_exact_bytes_too() -> None:
    raw = '[ {"event" : "é", "x":"\\ud83d"} , 1e999 ,{"a":[1, 2]}]'.encode()
    assert [each.body for each in read_all(raw)] == [
        '{"event" : "é", "x":"\\ud83d"}'.encode(),
        b"1e999",
        b'{"a":[1, 2]}',
    ]


@pytest.mark.parametrize("element", [b"1", b"{}", b'"\\ud83d"', b'{"event": "message"}'])
def test_an_array_of_too_many_is_refused_before_it_costs_much(element: bytes) -> None:
    assert len(read_all(b"[" + b", ".join([element] * 10_000) + b"]")) == 10_000
    for count in (10_001, 1_000_000):
        raw = b"[" + b",".join([element] * count) + b"]"
        tracemalloc.start()
        with pytest.raises(InvalidInput, match="more than 10,000 events"):
            read_all(raw)
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert peak < len(raw) + 16 * 2**20


def test_commas_within_an_event_do_not_count() -> None:
    texts = [b'{"event":"message","payload":{"body":"' + b"," * 20_000 + b'"}}'] * 3
    assert [each.body for each in read_all(b"[" + b",".join(texts) + b"]")] == texts


def test_an_empty_array_gives_nothing() -> None:
    assert read_all(b" [ ] ") == []


def test_an_element_that_is_no_object_is_not_understood_and_spoils_no_neighbour() -> None:
    good = body("message", noweb({"conversation": "oi"}, body="oi"))
    found = read_all(json.dumps([good, 5, good]).encode())
    kinds = [type(each.observations[0]) for each in found]
    assert kinds == [MessageSeen, NotUnderstood, MessageSeen]
    assert found[1].session == ""


def test_lone_surrogates_and_nul_cost_only_their_own_characters() -> None:
    raw = json.dumps(body("message", bare(body="a\ud83d b\x00 c")))
    (delivery,) = read_all(raw.encode())
    (seen, *_) = delivery.observations
    assert isinstance(seen, MessageSeen)
    assert seen.message.text == "a\ufffd b\ufffd c"


@pytest.mark.parametrize("number", ["1e999", "-1e999", "9" * 300, "9" * 5000, "-" + "9" * 5000])
def test_numbers_beyond_a_double_lose_nothing_else(number: str) -> None:
    raw = json.dumps(body("message", bare(body="oi", ack="@"))).replace('"@"', number)
    (delivery,) = read_all(raw.encode())
    (seen, *_) = delivery.observations
    assert isinstance(seen, MessageSeen)
    assert (seen.message.text, seen.ack) == ("oi", Ack.DEVICE)


def test_integers_are_exact_as_long_as_they_are_of_use() -> None:
    (_, small), (_, big), (_, absurd) = envelopes(
        b'["\\ud800", ' + b"9" * 400 + b", " + b"9" * 401 + b"]"
    )
    assert small == "\ud800"
    assert big == 10**400 - 1
    assert absurd == math.inf


def test_a_depth_that_json_decoders_stand_is_read() -> None:
    raw = b'{"event":"message","payload":' + b'{"a":' * 500 + b"1" + b"}" * 500 + b"}"
    (delivery,) = read_all(raw)
    assert isinstance(delivery.observations[0], NotUnderstood)
