"""What an envelope says of session, engine, account and time, and all that may be missing."""

from datetime import datetime
from typing import Any

import pytest
from tests.unit.adapters.waha.test_bodies import (
    ANA,
    BUILT,
    BUILT_MS,
    ME,
    MY_LID,
    RECEIVED,
    SENT,
    SENT_S,
    bare,
    body,
    message,
    read,
)

from wagateway.domain.events import Account, NotArchived, NotUnderstood, Source

LONG = {"low": SENT_S, "high": 0, "unsigned": True}
NEGATIVE_LONG = {"low": BUILT_MS & 0xFFFFFFFF, "high": BUILT_MS >> 32, "unsigned": True}


@pytest.mark.parametrize(
    ("stamp", "at"),
    [
        (SENT_S, SENT),
        (SENT_S * 1000, SENT),
        (float(SENT_S), SENT),
        (SENT_S + 0.25, SENT.replace(microsecond=250_000)),
        (str(SENT_S), SENT),
        (str(SENT_S * 1000), SENT),
        (LONG, SENT),
        (NEGATIVE_LONG, BUILT),
        ("2027-01-15T05:00:00-03:00", SENT),
    ],
)
def test_times_come_in_every_unit_and_form(stamp: object, at: datetime) -> None:
    assert message(bare(body="x", timestamp=stamp)).sent_at == at
    assert read(body("presence.update", {}, timestamp=stamp)).occurred_at == at


@pytest.mark.parametrize(
    "stamp",
    [
        None,
        0,
        -5,
        True,
        "",
        "soon",
        [],
        {},
        {"low": "1"},
        {"low": 10**40, "high": 0},
        {"low": 1, "high": 10**400},
        10**400,
        10**18 * 10**3,
        "9" * 64,
        "0001-01-01T00:00:00Z",
    ],
)
def test_a_time_that_is_none_falls_back_to_the_next(stamp: object) -> None:
    assert message(bare(body="x", timestamp=stamp)).sent_at == BUILT
    delivery = read(body("message", bare(body="x", timestamp=stamp), timestamp=stamp))
    assert delivery.occurred_at == RECEIVED


@pytest.mark.parametrize(
    "payload",
    [
        {"timestamp": SENT_S},
        {"after": {"timestamp": SENT_S}},
        {"vote": {"timestamp": SENT_S * 1000}},
        {"eventResponse": {"timestampMs": SENT_S * 1000}},
    ],
)
def test_without_an_envelope_time_the_payload_tells_it(payload: object) -> None:
    value = body("engine.event", payload)
    del value["timestamp"]
    assert read(value).occurred_at == SENT


def test_an_old_envelope_has_neither_id_nor_time() -> None:
    delivery = read({"event": "state.change", "session": "s", "payload": {}, "engine": "NOWEB"})
    assert (delivery.envelope_id, delivery.occurred_at) == (None, RECEIVED)
    assert (delivery.session, delivery.event, delivery.engine) == ("s", "state.change", "NOWEB")
    assert delivery.source is Source.WEBHOOK


def test_an_empty_envelope_is_not_understood() -> None:
    delivery = read({})
    assert (delivery.session, delivery.event, delivery.engine) == ("", "", None)
    (found,) = delivery.observations
    assert isinstance(found, NotUnderstood)
    assert not found.known_event


@pytest.mark.parametrize(
    ("over", "engine"),
    [
        ({}, "NOWEB"),
        ({"engine": "gows"}, "GOWS"),
        ({"engine": None}, "NOWEB"),
        ({"engine": 7, "environment": None}, "7"),
        ({"engine": None, "environment": "x"}, None),
        ({"engine": "NEWENGINE"}, "NEWENGINE"),
        ({"engine": "x" * 513, "environment": {}}, None),
    ],
)
def test_the_engine_is_any_word_in_upper_case(over: dict[str, Any], engine: str | None) -> None:
    assert read(body("message", {}, **over)).engine == engine


@pytest.mark.parametrize(
    ("me", "account"),
    [
        (None, None),
        ([], None),
        ({}, None),
        ({"id": "nobody"}, None),
        ({"id": MY_LID}, None),
        ({"id": ME}, Account(phone=ME)),
        ({"id": ME, "lid": None, "pushName": ""}, Account(phone=ME)),
        (
            {"id": "5511900000009:12@s.whatsapp.net", "lid": MY_LID, "pushName": "L\x00ja"},
            Account(phone=ME, lid=MY_LID, push_name="L\ufffdja"),
        ),
        (
            {"id": MY_LID, "jid": "5511900000009:3@s.whatsapp.net"},
            Account(phone=ME, lid=MY_LID),
        ),
        ({"id": ME, "lid": "nonsense"}, Account(phone=ME)),
        ({"id": ME, "lid": ANA}, Account(phone=ME)),
    ],
)
def test_the_account_is_the_phone_behind_the_session(me: object, account: Account | None) -> None:
    assert read(body("presence.update", {}, me=me)).account == account


def test_ids_of_the_envelope_are_escaped_so_that_different_ones_stay_different() -> None:
    names = [read(body("x", {}, session=name)).session for name in ("a\x00", "a\ud800", "a%0000")]
    assert names == ["a%0000", "a%D800", "a%00250000"]


def test_an_absurdly_long_name_counts_as_none() -> None:
    delivery = read(body("e" * 600, {}, session="s" * 600, id="i" * 600))
    assert (delivery.session, delivery.event, delivery.envelope_id) == ("", "", None)


@pytest.mark.parametrize("event", ["presence.update", "state.change", "engine.event"])
def test_what_is_not_archived_says_so_whatever_its_payload(event: str) -> None:
    payloads: list[object] = [{}, None, [], {"qr": "secret"}]
    for payload in payloads:
        (found, *_) = read(body(event, payload)).observations
        assert isinstance(found, NotArchived)
        assert "secret" not in found.reason


@pytest.mark.parametrize("event", ["", "message.new_kind", "MESSAGE", "message "])
def test_an_unknown_event_is_not_understood(event: str) -> None:
    (found, *_) = read(body(event, {"id": "x"})).observations
    assert isinstance(found, NotUnderstood)
    assert not found.known_event


@pytest.mark.parametrize("payload", [None, [], "text", 5, True])
@pytest.mark.parametrize("event", ["message", "message.ack", "session.status", "group.v2.join"])
def test_a_payload_that_is_no_object_is_not_understood(event: str, payload: object) -> None:
    (found, *_) = read(body(event, payload)).observations
    assert isinstance(found, NotUnderstood)
    assert found.known_event
