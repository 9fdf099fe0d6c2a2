import json
import re
from datetime import UTC, datetime, timedelta
from itertools import islice, pairwise
from typing import Any

import pytest
from tests.unit.simulator.samples import MESSAGES, START, bodies, deliveries, message_ids

from wagateway.simulator.engine import EngineName
from wagateway.simulator.traffic import BURST_PER_S, Delivery, Traffic
from wagateway.simulator.wire import signature

ENGINES = [*EngineName, None]
ENVELOPE = {
    *("id", "timestamp", "event", "session", "metadata", "me", "payload", "engine"),
    "environment",
}
COMMON_EVENTS = {
    *("session.status", "message", "message.any", "message.ack", "message.ack.group"),
    *("message.reaction", "message.edited", "message.revoked", "poll.vote"),
    *("group.v2.join", "group.v2.leave", "group.v2.participants", "group.v2.update"),
    *("presence.update", "call.received"),
}
_PHONE_EVENTS = {
    *("call.accepted", "call.rejected", "label.upsert", "label.deleted", "label.chat.added"),
    *("label.chat.deleted", "group.v2.participants.join-request"),
}
EVENTS = {
    EngineName.NOWEB: COMMON_EVENTS | _PHONE_EVENTS,
    EngineName.GOWS: COMMON_EVENTS | _PHONE_EVENTS | {"event.response"},
    EngineName.WEBJS: COMMON_EVENTS | {"message.waiting", "chat.archive"},
}
RARE_EVENTS = {"poll.vote.failed", "event.response.failed"}
MESSAGE_ID = re.compile(
    r"(true|false)_"
    r"(\d+@(c\.us|lid|g\.us|newsletter)|status@broadcast)_"
    r"(3EB0[0-9A-F]{18}|3A[0-9A-F]{18}|[0-9A-F]{32}|\d{12,})"
    r"(_\d+@(c\.us|lid))?"
)


@pytest.mark.parametrize("engine", ENGINES)
def test_the_same_seed_and_start_give_the_same_bytes(engine: EngineName | None) -> None:
    again = islice(Traffic(start=START, seed=7, engine=engine), 900)
    assert deliveries(engine) == tuple(again)


def test_one_stream_starts_over_each_time_it_is_read() -> None:
    traffic = Traffic(start=START)
    assert list(islice(traffic, 50)) == list(islice(traffic, 50))


@pytest.mark.parametrize("engine", ENGINES)
def test_another_start_gives_other_messages_of_the_same_people(engine: EngineName | None) -> None:
    first = bodies(deliveries(engine))
    second = bodies(deliveries(engine, start=START + timedelta(milliseconds=1)))
    assert not stanzas(first) & stanzas(second)
    assert not {body["id"] for body in first} & {body["id"] for body in second}
    shared = chats(first) & chats(second)
    assert len(shared) > 10
    assert {body["me"]["id"] for body in first} == {body["me"]["id"] for body in second}


def test_another_seed_gives_another_account() -> None:
    assert Traffic(start=START, seed=1).world.account != Traffic(start=START, seed=2).world.account


def test_another_session_of_the_same_seed_shares_no_message() -> None:
    streams = [islice(Traffic(start=START, session=name), 300) for name in ("a", "b")]
    first, second = (bodies(stream) for stream in streams)
    assert not stanzas(first) & stanzas(second)


@pytest.mark.parametrize("engine", ENGINES)
def test_every_body_is_an_envelope(engine: EngineName | None) -> None:
    for delivery in deliveries(engine):
        body = json.loads(delivery.body)
        assert body.keys() == ENVELOPE
        assert body["event"] == delivery.event
        assert re.fullmatch(r"evt_[0-9a-hjkmnp-tv-z]{26}", body["id"])
        assert body["environment"]["engine"] == body["engine"]
        assert {"id", "pushName", "lid"} <= body["me"].keys()
        assert delivery.headers["X-Webhook-Timestamp"] == str(body["timestamp"])


@pytest.mark.parametrize("engine", ENGINES)
def test_every_message_id_is_well_formed(engine: EngineName | None) -> None:
    found = [one for body in bodies(deliveries(engine)) for one in message_ids(body)]
    assert len(found) > 500
    assert [one for one in found if not MESSAGE_ID.fullmatch(one)] == []


@pytest.mark.parametrize("engine", EngineName)
@pytest.mark.parametrize("seed", range(3))
def test_everything_happens_within_the_burst(engine: EngineName, seed: int) -> None:
    stream = [d for d in deliveries(engine, 700, seed=seed) if d.offset_s < 6]
    assert {delivery.event for delivery in stream} - RARE_EVENTS == EVENTS[engine]
    assert {feature for body in bodies(stream) for feature in features(body)} >= {
        *("reply", "mention", "image", "video", "voice", "document", "sticker", "location"),
        *("contact", "poll", "multi-line", "long", "arabic", "emoji", "own from api"),
        *("own from app", "group", "channel", "story", "hidden id", "reaction", "no reaction"),
        *("ack 2", "ack 3", "ack 4", "vote", "vote withdrawn", "join", "leave", "promote"),
        *("demote", "WORKING", "STARTING", "STOPPED", "FAILED", "SCAN_QR_CODE"),
    }


@pytest.mark.parametrize("engine", EngineName)
def test_a_hidden_id_is_linked_to_a_phone_only_later(engine: EngineName) -> None:
    stream = bodies(deliveries(engine))
    first = next(
        body
        for body in stream
        if body["event"] == "message.any" and "@lid_" in body["payload"]["id"]
    )
    people = Traffic(start=START, seed=7).world.people
    person = next(one for one in people if one.lid_jid in first["payload"]["id"])
    assert person.phone not in json.dumps(first)
    telling = [body for body in stream if {*phone_and_lid(body)} >= {person.phone, person.lid}]
    assert telling
    assert all(first["timestamp"] < body["timestamp"] for body in telling)
    later = [body for body in stream if f"_{person.phone_jid}_" in str(body["payload"].get("id"))]
    assert later


@pytest.mark.parametrize("engine", ENGINES)
def test_offsets_never_fall_and_the_past_comes_in_a_burst(engine: EngineName | None) -> None:
    stream = deliveries(engine)
    assert all(a.offset_s <= b.offset_s for a, b in pairwise(stream))
    start_ms = START.timestamp() * 1000
    past = [d for d in stream if json.loads(d.body)["timestamp"] < start_ms]
    assert 300 < len(past) < 800
    assert past[-1].offset_s < 800 / BURST_PER_S
    oldest = min(json.loads(d.body)["timestamp"] for d in past)
    assert start_ms - oldest <= timedelta(days=3).total_seconds() * 1000 + 1000


def test_without_a_history_nothing_is_older_than_the_start() -> None:
    stream = list(islice(Traffic(start=START, history=timedelta(0)), 200))
    assert min(json.loads(d.body)["timestamp"] for d in stream) >= START.timestamp() * 1000
    assert stream[0].offset_s < 1


@pytest.mark.parametrize("rate", [1.0, 5.0, 40.0])
def test_the_present_keeps_the_pace(rate: float) -> None:
    stream = list(islice(Traffic(start=START, history=timedelta(0), rate=rate), 4000))
    settled = stream[1000:]
    pace = len(settled) / (settled[-1].offset_s - settled[0].offset_s)
    assert 0.7 * rate < pace < 1.4 * rate


@pytest.mark.parametrize("engine", ENGINES)
def test_some_requests_are_repeated_byte_for_byte(engine: EngineName | None) -> None:
    stream = deliveries(engine)
    repeated = [delivery for delivery in stream if delivery.repeated]
    assert 5 < len(repeated) < 100
    before: dict[str, Delivery] = {}
    for delivery in stream:
        request = delivery.headers["X-Webhook-Request-Id"]
        assert delivery.repeated == (request in before)
        earlier = before.setdefault(request, delivery)
        assert (delivery.body, delivery.headers) == (earlier.body, earlier.headers)


@pytest.mark.parametrize("engine", EngineName)
def test_incoming_messages_sometimes_come_under_two_names(engine: EngineName) -> None:
    stream = bodies(deliveries(engine, 1100), "message.any")
    everything = {body["payload"]["id"]: body for body in stream}
    incoming = bodies(deliveries(engine, 900), "message")
    assert len(incoming) > 20
    for body in incoming:
        twin = everything[body["payload"]["id"]]
        assert twin["payload"] == body["payload"]
        assert not body["payload"]["fromMe"]
        assert (twin["id"] == body["id"]) == (engine is not EngineName.WEBJS)
    assert len(everything) > 2 * len(incoming)


@pytest.mark.parametrize("engine", EngineName)
@pytest.mark.parametrize(
    "event", ["message.ack", "message.edited", "message.reaction", "message.revoked"]
)
def test_what_happens_to_a_message_may_come_before_it(engine: EngineName, event: str) -> None:
    seen: set[str] = set()
    early = 0
    for body in bodies(deliveries(engine)):
        if body["event"] in MESSAGES:
            seen.add(stanza(body["payload"]["id"]))
        elif body["event"] == event:
            early += target(body) not in seen
    assert early > 0


def test_a_key_signs_every_delivery() -> None:
    for delivery in islice(Traffic(start=START, hmac_key="s3gr3do"), 50):
        assert delivery.headers["X-Webhook-Hmac"] == signature("s3gr3do", delivery.body)
    assert "X-Webhook-Hmac" not in next(iter(Traffic(start=START))).headers


def test_session_and_metadata_are_as_asked() -> None:
    traffic = Traffic(start=START, session="loja 1", metadata={"tenant": "7"})
    stream = bodies(islice(traffic, 300))
    assert {body["session"] for body in stream} == {"loja 1"}
    assert {body["metadata"]["tenant"] for body in stream} == {"7"}
    media = [body["payload"]["media"] for body in stream if body["payload"].get("media")]
    urls = [file["url"] for file in media if file["url"]]
    assert urls
    assert all(url.startswith("http://localhost:3000/api/files/loja%201/") for url in urls)


def test_a_mix_lets_every_engine_speak() -> None:
    assert {body["engine"] for body in bodies(deliveries(None))} == {"NOWEB", "GOWS", "WEBJS"}


@pytest.mark.parametrize(
    ("wrong", "complaint"),
    [
        ({"start": datetime(2026, 1, 1)}, "aware"),  # noqa: DTZ001 - the naive one is the point
        ({"history": timedelta(days=-1)}, "history"),
        ({"rate": 0}, "rate"),
        ({"rate": float("nan")}, "rate"),
    ],
)
def test_nonsense_is_refused(wrong: dict[str, Any], complaint: str) -> None:
    with pytest.raises(ValueError, match=complaint):
        Traffic(**{"start": datetime.now(UTC), **wrong})


def phone_and_lid(body: dict[str, Any]) -> list[str]:
    return re.findall(r"\b(\d+)(?:@|:)", json.dumps(body))


def stanza(message_id: str) -> str:
    return message_id.split("_")[2]


def stanzas(stream: list[dict[str, Any]]) -> set[str]:
    return {stanza(one) for body in stream for one in message_ids(body)}


def chats(stream: list[dict[str, Any]]) -> set[str]:
    return {one.split("_")[1] for body in stream for one in message_ids(body)}


def target(body: dict[str, Any]) -> str:
    """Return the stanza id of the message that an event is about."""
    payload = body["payload"]
    bare = payload.get("editedMessageId") or payload.get("revokedMessageId")
    if bare:
        return str(bare)
    reaction = payload.get("reaction")
    return stanza(reaction["messageId"] if reaction else payload["id"])


def features(body: dict[str, Any]) -> set[str]:
    """Name what a body shows, by its top-level fields alone."""
    payload, event = body["payload"], body["event"]
    if event in MESSAGES:
        return message_features(payload)
    match event:
        case "message.ack":
            shown = f"ack {payload['ack']}"
        case "message.reaction":
            shown = "reaction" if payload["reaction"]["text"] else "no reaction"
        case "poll.vote":
            shown = "vote" if payload["vote"]["selectedOptions"] else "vote withdrawn"
        case "group.v2.participants":
            shown = payload["type"]
        case _:
            shown = str(payload.get("status"))
    return {shown}


def message_features(payload: dict[str, Any]) -> set[str]:
    text = payload["body"] or ""
    mimetype = str((payload["media"] or {}).get("mimetype"))
    kinds = {
        "image/jpeg": "image",
        "video/mp4": "video",
        "audio/ogg; codecs=opus": "voice",
        "application/pdf": "document",
        "image/webp": "sticker",
    }
    server = payload["id"].split("_")[1].split("@")[1]
    places = {"g.us": "group", "newsletter": "channel", "broadcast": "story", "lid": "hidden id"}
    raw = json.dumps(payload["_data"])
    shown = {
        "reply": bool(payload.get("replyTo")),
        "mention": bool(re.search(r"@\d{10,}", text)),
        kinds.get(mimetype, "text"): True,
        places.get(server, "direct"): True,
        "location": bool(payload["location"]),
        "contact": bool(payload["vCards"]),
        "poll": "pollCreationMessageV3" in raw or "poll_creation" in raw,
        "multi-line": "\n" in text,
        "long": len(text) > 600,
        "arabic": bool(re.search("[\u0600-\u06ff]", text)),
        "emoji": bool(re.search("[\U0001f300-\U0001faff]", text)),
        f"own from {payload['source']}": payload["fromMe"],
    }
    return {feature for feature, present in shown.items() if present}
