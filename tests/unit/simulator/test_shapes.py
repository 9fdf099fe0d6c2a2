"""Every body of the simulator has the keys and types of the samples of the same engine and event.

Where the engine has no sample of an event, that of another engine counts, without engine data.
"""

import json
from collections import defaultdict
from collections.abc import Iterable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from tests.unit.simulator.samples import bodies, deliveries

from wagateway.simulator.engine import EngineName

Body = dict[str, Any]

DATA = Path(__file__).parents[2] / "data" / "waha"
MANY = 3000
LIKE = {
    "message": "message.any",
    "call.accepted": "call.received",
    "call.rejected": "call.received",
    "label.deleted": "label.upsert",
    "label.chat.deleted": "label.chat.added",
    "event.response.failed": "event.response",
}
"""Events of one shape."""
MESSAGES = {"message.edited", "message.waiting", "event.response"}
"""Events whose payload is a message with something beside it."""
CHANGES = ("group.v2.leave", "group.v2.participants", "group.v2.update")
UNSAMPLED = {
    ("presence", "lastSeen"): "number",  # of somebody who is offline
    ("label.chat.added", "label"): "null",  # of a label that is taken off
    ("event.response", "eventResponse"): "null",  # which could not be decrypted
    ("message.any", "NewsletterMeta"): "object",  # of a channel
    ("group", "Name"): "object",  # of a new subject
    ("group", "Announce"): "object",  # of another setting
    ("group", "MembershipApprovalMode"): "object",
    ("group", "Join"): "array",
    ("group", "Demote"): "array",
}
"""Types that no sample happens to show."""
OF_SOME_CALLS = {
    "NOWEB": {"callerPn", "groupJid"},
    "GOWS": {"RemotePlatform", "RemoteVersion", "Reason"},
    "WEBJS": set[str](),
}
"""Engine data that depends on the call."""


@cache
def samples() -> tuple[Body, ...]:
    files = sorted((DATA / "events").glob("*.json"))
    return tuple(json.loads(path.read_text()) for path in files)


@cache
def recorded() -> tuple[Body, ...]:
    files = sorted((DATA / "recorded").glob("webhooks-*.json"))
    requests = [each for path in files for each in json.loads(path.read_text())]
    return tuple(json.loads(each["body_raw"]) for each in requests)


def shape(event: str) -> str:
    return LIKE.get(event, event)


def is_message(event: str, engine: str) -> bool:
    complete = event == "message.ack" and engine == EngineName.WEBJS
    return complete or shape(event) in MESSAGES


def alike(event: str, engine: str | None = None) -> list[Body]:
    return [
        body
        for body in samples()
        if shape(body["event"]) == shape(event) and engine in {None, body["engine"]}
    ]


def json_type(value: object) -> str:
    if isinstance(value, bool):
        return "boolean"
    names = {dict: "object", list: "array", str: "string", int: "number", float: "number"}
    return names.get(type(value), "null")


def types(objects: Iterable[Body]) -> dict[str, set[str]]:
    found: dict[str, set[str]] = defaultdict(set)
    for each in objects:
        for key, value in each.items():
            found[key].add(json_type(value))
    return found


def common(objects: list[Body]) -> set[str]:
    return set.intersection(*(set(each) for each in objects))


def events(engine: EngineName) -> list[str]:
    return sorted({delivery.event for delivery in deliveries(engine, MANY)})


def produced(engine: EngineName, event: str) -> list[Body]:
    return bodies(deliveries(engine, MANY), event)


def cases() -> Iterator[tuple[EngineName, str]]:
    for engine in EngineName:
        for event in events(engine):
            yield engine, event


CASES = list(cases())


@pytest.mark.parametrize(("engine", "event"), CASES)
def test_envelopes_are_those_of_the_samples(engine: EngineName, event: str) -> None:
    known = [body for body in samples() if body["engine"] == engine]
    shown = types(known)
    me = types(body["me"] for body in known if body["me"])
    environment = types(body["environment"] for body in known)
    for body in produced(engine, event):
        assert body.keys() == common(known)
        fits(body, shown)
        fits(body["me"], me)
        assert body["environment"].keys() == environment.keys()
        fits(body["environment"], environment)


@pytest.mark.parametrize(("engine", "event"), CASES)
def test_payloads_are_those_of_the_samples(engine: EngineName, event: str) -> None:
    known = [body["payload"] for body in alike(event, engine) or alike(event)]
    assert known, f"no sample of {event}"
    needed, shown = common(known), types(body["payload"] for body in alike(event))
    if is_message(event, engine):
        every = [body["payload"] for body in alike("message.any", engine)]
        needed = common(every) | (needed - set(types(every)))
        known = known + every
        shown = types([*known, *every, *(body["payload"] for body in alike("message.any"))])
    for payload in (body["payload"] for body in produced(engine, event)):
        given = set(payload)
        if not alike(event, engine):  # only some engines tell their own data of it
            given, needed = given - {"_data"}, needed - {"_data"}
        assert needed <= given <= set(types(known))
        fits({key: payload[key] for key in given}, shown, event=shape(event))


@pytest.mark.parametrize(("engine", "event"), CASES)
def test_engine_data_begins_like_that_of_the_samples(engine: EngineName, event: str) -> None:
    own = [body["payload"]["_data"] for body in alike(event, engine) if has_data(body)]
    if not own:
        return
    needed, shown = common(own), types(own)
    of_group = event.startswith("group.")
    if engine is EngineName.GOWS and event in CHANGES:  # one type of whatsmeow's
        shown = types(b["payload"]["_data"] for each in CHANGES for b in alike(each, engine))
    for payload in (body["payload"] for body in produced(engine, event)):
        data = payload["_data"]
        if event.startswith("call."):
            loose = OF_SOME_CALLS[engine.value]
            assert needed - loose <= set(data) <= set(shown) | loose
        elif engine is EngineName.WEBJS:  # each kind of message has fields of its own
            assert needed <= set(data)
        elif event == "group.v2.update":  # Baileys tells the changed field alone
            assert needed - {"subject"} <= set(data)
        else:
            assert needed <= set(data) <= set(shown) | {"authorPn"}
        known = {key: value for key, value in data.items() if key in shown}
        fits(known, shown, event="group" if of_group else shape(event))


@pytest.mark.parametrize(
    ("engine", "name"),
    [(EngineName.NOWEB, "key"), (EngineName.GOWS, "Info"), (EngineName.WEBJS, "id")],
)
def test_messages_are_named_as_in_the_samples(engine: EngineName, name: str) -> None:
    told = ("message", "message.any", "message.edited", "message.waiting")
    own = [
        name_of(body, name)
        for body in samples()
        if body["engine"] == engine and body["event"] in told
    ]
    needed, shown = common(own), types(own)
    for body in bodies(deliveries(engine, MANY), *told):
        found = name_of(body, name)
        assert needed <= set(found) <= set(shown)
        fits(found, shown)


@pytest.mark.parametrize("engine", EngineName)
def test_presences_are_those_of_the_samples(engine: EngineName) -> None:
    known = [one for body in alike("presence.update") for one in body["payload"]["presences"]]
    for body in produced(engine, "presence.update"):
        (found,) = body["payload"]["presences"]
        assert found.keys() == common(known)
        fits(found, types(known), event="presence")


def test_noweb_still_says_all_that_a_real_one_said() -> None:
    spoken = {body["event"] for body in recorded()} & set(events(EngineName.NOWEB))
    assert {"message", "message.any", "message.ack", "message.reaction"} <= spoken
    for event in spoken:
        now = types(body["payload"] for body in produced(EngineName.NOWEB, event))
        for body in (each for each in recorded() if each["event"] == event):
            assert set(body["payload"]) <= set(now)
            for key in set(body["payload"]) - {"timestamp"}:  # an object of two halves then
                assert json_type(body["payload"][key]) in now[key] | {"null"}, (event, key)


def has_data(body: Body) -> bool:
    return isinstance(body["payload"].get("_data"), dict)


def name_of(body: Body, name: str) -> Body:
    """Return where the engine's own data names the message."""
    data = body["payload"]["_data"]
    inner = data.get("message")
    if name == "id" and isinstance(inner, dict):  # an edit's data lies one deeper
        data = inner["_data"]
    found: Body = data[name]
    return found


def fits(found: Body, shown: dict[str, set[str]], *, event: str = "") -> None:
    """Assert that each value has a type that a sample has at its key."""
    for key, value in found.items():
        known = shown[key] | {UNSAMPLED.get((event, key), "")}
        assert json_type(value) in known, (key, value)
