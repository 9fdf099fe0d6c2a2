"""The REST client asks for nothing that WAHA does not offer, and reads all that WAHA may answer.

Three witnesses: WAHA's own OpenAPI document, sample bodies, and the recording of a real WAHA.
"""

import asyncio
import json
import re
from collections.abc import Awaitable, Callable
from contextlib import nullcontext
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from wagateway.adapters.waha.client import WahaEngine, open_engine
from wagateway.adapters.waha.transport import Manners
from wagateway.domain import errors
from wagateway.domain.errors import EngineUnavailable, NotFound
from wagateway.domain.events import Account, SessionStatus
from wagateway.domain.identity import Jid, SessionName, StanzaId
from wagateway.ports.engine import Engine, EngineSession, GroupMembers, MessageRow, Told

DATA = Path(__file__).parents[2] / "data" / "waha"
ASKED_AT = datetime(2027, 1, 1, tzinfo=UTC)
ACCOUNT = Account(phone=Jid("5511912340001@c.us"), lid=Jid("180000000000001@lid"))
ANA = Jid("5511987650102@c.us")
GROUP = Jid("120363000000000202@g.us")
QUICK = Manners(attempts=1, per_second=100_000, failures=1_000_000)


def load(name: str) -> Any:  # noqa: ANN401 - any JSON value
    return json.loads(DATA.joinpath(f"{name}.json").read_bytes())


OPENAPI = load("openapi")
EXPECTED = load("expected-rest")
RECORDED = {each["n"]: each for each in load("recorded/rest")}

NOT_ASKED = {
    *("channels", "chats-overview", "check-exists", "contact-profile-picture", "labels"),
    *(
        "lid-by-phone-unknown",
        "lid-found",
        "lid-unknown",
        "lids-count",
        "me",
        "me-not-authenticated",
        "ping",
    ),
}
"""Samples of answers to requests that the client never makes."""


def _session(name: str) -> EngineSession:
    return EngineSession(
        name=SessionName(name), status=SessionStatus.WORKING, engine="NOWEB", account=ACCOUNT
    )


Call = Callable[[WahaEngine, str], Awaitable[object]]
CALLS: dict[str, Call] = {
    "version": lambda engine, _: engine.version(),
    "healthy": lambda engine, _: engine.healthy(),
    "sessions": lambda engine, _: engine.sessions(),
    "session": lambda engine, name: engine.session(SessionName(name)),
    "start": lambda engine, name: engine.start(SessionName(name)),
    "stop": lambda engine, name: engine.stop(SessionName(name)),
    "restart": lambda engine, name: engine.restart(SessionName(name)),
    "logout": lambda engine, name: engine.logout(SessionName(name)),
    "qr": lambda engine, name: engine.qr(SessionName(name)),
    "pairing_code": lambda engine, name: engine.pairing_code(SessionName(name), "5511912340001"),
    "chats": lambda engine, name: engine.chats(_session(name), limit=100, offset=0),
    "messages": lambda engine, name: engine.messages(_session(name), ANA, limit=100, offset=0),
    "message": lambda engine, name: engine.message(_session(name), ANA, StanzaId("3EB0A1")),
    "contacts": lambda engine, name: engine.contacts(_session(name), limit=100, offset=0),
    "groups": lambda engine, name: engine.groups(_session(name)),
    "members": lambda engine, name: engine.members(_session(name), GROUP),
    "lids": lambda engine, name: engine.lids(_session(name), limit=100, offset=0),
    "picture": lambda engine, name: engine.picture(_session(name), ANA),
}


async def answered(
    call: str,
    body: bytes,
    *,
    status: int = 200,
    name: str = "vendas",
    requests: list[httpx.Request] | None = None,
) -> object:
    """Return what *call* makes of an answer; the requests go into *requests*."""

    def answer(request: httpx.Request) -> httpx.Response:
        if requests is not None:
            requests.append(request)
        return httpx.Response(status, content=body)

    async with open_engine(
        "http://waha",
        None,
        clock=lambda: ASKED_AT,
        manners=QUICK,
        transport=httpx.MockTransport(answer),
    ) as engine:
        return await CALLS[call](engine, name)


# What is asked


async def _request(call: str) -> httpx.Request:
    requests: list[httpx.Request] = []
    try:
        await answered(call, b"", requests=requests)
    except EngineUnavailable:
        pass
    except NotFound:
        assert call == "message"
    [request] = requests
    return request


def _offered(request: httpx.Request) -> tuple[str, Any]:
    """Return the path and operation of OpenAPI that *request* is."""
    for path, operations in sorted(OPENAPI["paths"].items(), key=lambda each: each[0].count("{")):
        pattern = re.sub(r"\\{\w+\\}", "[^/]+", re.escape(path))
        operation = operations.get(request.method.lower())
        if operation and re.fullmatch(pattern, request.url.path):
            return path, operation
    pytest.fail(f"WAHA offers no {request.method} {request.url.path}")


def test_each_method_of_the_port_is_called_here() -> None:
    assert CALLS.keys() == Engine.__abstractmethods__


@pytest.mark.parametrize("call", CALLS)
async def test_each_request_is_one_that_waha_offers(call: str) -> None:
    request = await _request(call)
    _, operation = _offered(request)
    offered = {each["name"]: each for each in operation["parameters"] if each["in"] == "query"}
    sent = dict(request.url.params)
    assert sent.keys() <= offered.keys()
    assert {name for name, each in offered.items() if each["required"]} <= sent.keys()
    for name, value in sent.items():
        _require_value(offered[name]["schema"], value)
    body = json.loads(request.content) if request.content else {}
    schema = _resolved(operation.get("body", {}))
    assert body.keys() <= schema.get("properties", {}).keys()
    assert set(schema.get("required", ())) <= body.keys()


def _require_value(schema: Any, value: str) -> None:  # noqa: ANN401 - any JSON value
    assert value in schema.get("enum", [value])
    if schema["type"] == "boolean":
        assert value in {"true", "false"}
    if schema["type"] == "number":
        assert value.isdigit()


async def test_the_extract_holds_nothing_that_is_not_asked() -> None:
    asked = {_offered(await _request(call))[0] for call in CALLS}
    assert asked == OPENAPI["paths"].keys()


# What may be answered, by the schemas


def _resolved(schema: Any) -> Any:  # noqa: ANN401 - any JSON value
    if "$ref" in schema:
        return OPENAPI["schemas"][schema["$ref"].rsplit("/", 1)[1]]
    if "allOf" in schema:
        [only] = schema["allOf"]
        return {**_resolved(only), **{k: v for k, v in schema.items() if k != "allOf"}}
    return schema


def _least(schema: Any) -> Any:  # noqa: ANN401 - any JSON value
    """Return the smallest value: only what is required, and null where that may be."""
    schema = _resolved(schema)
    if schema.get("nullable"):
        return None
    if "enum" in schema:
        return schema["enum"][0]
    properties = schema.get("properties", {})
    values = {
        "object": {name: _least(properties[name]) for name in schema.get("required", ())},
        "array": [_least(schema["items"])] if "items" in schema else [],
        "string": "",
        "number": 0,
        "boolean": False,
    }
    return values[schema["type"]]


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3)
    ),
    max_leaves=5,
)
_WORDS = st.text(max_size=8) | st.sampled_from(
    [
        *("vendas", "5511987650102@c.us", "271000000000102@lid", "120363000000000202@g.us"),
        *("false_5511987650102@c.us_3EB0A1", "true_120363000000000202@g.us_3EB0A1_27100@lid"),
    ]
)
_NUMBERS = st.integers(-(2**70), 2**70) | st.floats(allow_nan=False, allow_infinity=False)


def _values(schema: Any) -> st.SearchStrategy[Any]:  # noqa: ANN401 - any JSON value
    """Return values of the stated types; what is not required may be missing."""
    schema = _resolved(schema)
    if "enum" in schema:
        found: st.SearchStrategy[Any] = st.sampled_from(schema["enum"])
    elif schema["type"] == "array":
        found = st.lists(_values(schema["items"]) if "items" in schema else _JSON, max_size=3)
    elif "properties" in schema:
        required = schema.get("required", ())
        fields = {name: _values(each) for name, each in schema["properties"].items()}
        found = st.fixed_dictionaries(
            {name: each for name, each in fields.items() if name in required},
            optional={name: each for name, each in fields.items() if name not in required},
        )
    else:
        kinds: dict[str, st.SearchStrategy[Any]] = {
            "object": st.dictionaries(st.text(max_size=5), _JSON, max_size=3),
            "string": _WORDS,
            "number": _NUMBERS,
            "boolean": st.booleans(),
        }
        found = kinds[schema["type"]]
    return found | st.none() if schema.get("nullable") else found


def _schemas() -> dict[str, Any]:
    """Return what each call is answered with, where WAHA's document says it."""
    found = {}
    for call in CALLS:
        answer = _offered(asyncio.run(_request(call)))[1]["answer"]
        if answer is not None:
            found[call] = answer
    return found


SCHEMAS = _schemas()
_READABLE: dict[str, type | tuple[type, ...]] = {
    "sessions": EngineSession,
    "messages": MessageRow,
    "members": GroupMembers,
    "lids": Told,
}


def test_the_document_states_an_answer_to_most_calls() -> None:
    unstated = {"chats", "contacts", "start", "stop", "restart", "logout", "pairing_code"}
    assert SCHEMAS.keys() == CALLS.keys() - unstated


@pytest.mark.parametrize("call", SCHEMAS)
async def test_the_least_that_may_be_answered_is_read(call: str) -> None:
    body = msgspec.json.encode(_least(SCHEMAS[call]))
    nameless = call in {"qr", "session"}  # they must say what they are
    with pytest.raises(EngineUnavailable) if nameless else nullcontext():
        await answered(call, body)


@given(st.data())
def test_whatever_follows_the_schema_is_read_or_refused_in_the_ports_words(
    data: st.DataObject,
) -> None:
    call = data.draw(st.sampled_from(sorted(SCHEMAS)))
    body = data.draw(_values(SCHEMAS[call]))
    try:
        found = asyncio.run(answered(call, json.dumps(body).encode()))
    except (EngineUnavailable, NotFound):
        # Of a value with the right shape only an empty name, id or code is refused.
        assert call in {"qr", "session", "message"}
        return
    if call == "messages":
        assert len(found) == len(body)  # type: ignore[arg-type] # a list, as the next line says
    for each in found if isinstance(found, list) else [found]:
        assert isinstance(each, _READABLE.get(call, object))


@given(_values(OPENAPI["schemas"]["SessionInfo"]))
def test_a_session_is_read_with_its_status_and_account(info: Any) -> None:  # noqa: ANN401
    info["name"] = "vendas"
    found = asyncio.run(answered("session", json.dumps(info).encode()))
    assert isinstance(found, EngineSession)
    assert found.status == info["status"]
    assert found.delivery is not None
    if info.get("me", {}).get("id") == ANA:
        assert found.account is not None
        assert found.account.phone == ANA


# What was answered: samples, and the recording


def _builtins(value: object) -> Any:  # noqa: ANN401 - any JSON value
    """Return *value* as builtins with every field."""
    if isinstance(value, GroupMembers):
        told = Told(about=value.group, digest=b"", delivery=value.told_of(value.roles))
        return _builtins(told)
    if isinstance(value, Told):
        said = [
            o for o in value.delivery.observations if getattr(o, "evidence", 0) != "own_account"
        ]
        return {
            "about": value.about,
            "said": _builtins(said),
            "members": _builtins(value.members) if value.members else None,
        }
    if isinstance(value, MessageRow):
        first = value.delivery.observations[0]
        return {
            "stanza": value.stanza,
            "sent_at": _builtins(value.sent_at),
            "first": _builtins(first),
        }
    if isinstance(value, msgspec.Struct):
        tag = value.__struct_config__.tag
        fields = {name: _builtins(getattr(value, name)) for name in value.__struct_fields__}
        return {"type": tag, **fields} if tag else fields
    if isinstance(value, list | tuple):
        return [_builtins(each) for each in value]
    return msgspec.to_builtins(value)


def _narrowed(found: Any, expected: Any) -> Any:  # noqa: ANN401 - any JSON value
    """Return of *found* the fields that *expected* names."""
    if isinstance(found, dict) and isinstance(expected, dict):
        return {key: _narrowed(found.get(key, "(none)"), want) for key, want in expected.items()}
    if isinstance(found, list) and isinstance(expected, list) and len(found) == len(expected):
        return [_narrowed(*pair) for pair in zip(found, expected, strict=True)]
    return found


async def _check(body: bytes, status: int, name: str, expected: Any) -> None:  # noqa: ANN401
    if "error" in expected:
        with pytest.raises(getattr(errors, expected["error"])):
            await answered(expected["call"], body, status=status, name=name)
        return
    found = _builtins(await answered(expected["call"], body, status=status, name=name))
    wanted = json.loads(
        json.dumps(expected["result"]).replace("$asked_at", msgspec.to_builtins(ASKED_AT))
    )
    assert _narrowed(found, wanted) == wanted


@pytest.mark.parametrize("sample", EXPECTED["samples"])
async def test_a_sample_is_read_as_expected(sample: str) -> None:
    expected = EXPECTED["samples"][sample]
    body = DATA.joinpath("rest", f"{sample}.json").read_bytes()
    await _check(body, expected.get("status", 200), "vendas", expected)


def test_each_sample_has_an_expectation_or_is_of_no_request_of_ours() -> None:
    samples = {path.stem for path in DATA.joinpath("rest").glob("*.json")}
    assert samples == EXPECTED["samples"].keys() | NOT_ASKED


@pytest.mark.parametrize("expected", EXPECTED["recorded"], ids=lambda each: each["n"])
async def test_a_recorded_answer_is_read_as_expected(expected: Any) -> None:  # noqa: ANN401
    recorded = RECORDED[expected["n"]]
    name = "other" if recorded["path"].endswith("/other") else "default"
    body = b"" if recorded["body"] is None else msgspec.json.encode(recorded["body"])
    await _check(body, recorded["status"], name, expected)


def test_each_recorded_answer_has_an_expectation() -> None:
    assert list(RECORDED) == [each["n"] for each in EXPECTED["recorded"]]
