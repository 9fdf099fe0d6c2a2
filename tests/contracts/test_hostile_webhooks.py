"""Hostile and broken webhooks through all the rings: the answer, and what the archive holds."""

import hashlib
import hmac
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any, NamedTuple

import httpx
import pytest
from tests.contracts.archives import BACKENDS, Backend, backend
from tests.support.postgres import Kind, Servers

from wagateway.adapters.memory.media import InMemoryMediaStore
from wagateway.adapters.waha.reader import WahaReader
from wagateway.entrypoints.http.app import create_app
from wagateway.entrypoints.http.auth import HttpSecurity
from wagateway.entrypoints.http.health import store_health
from wagateway.usecases.group_commit import GroupCommit
from wagateway.usecases.ingest import IngestBody
from wagateway.usecases.media_library import MediaLibrary
from wagateway.usecases.sync_control import SyncControl

API_TOKEN = "api-token-of-this-test"
TOKEN = "webhook-token-of-this-test"
KEY = "hmac-key-of-this-test"
SENT_S = 1_791_000_123
ANA = "5511987650102@c.us"
GROUP = "120363000000000101@g.us"
STORED = {"stored": 1, "duplicates": 0, "ignored": 0, "failed": 0, "spooled": 0}
DUPLICATE = {"stored": 0, "duplicates": 1, "ignored": 0, "failed": 0, "spooled": 0}
IGNORED = {"stored": 0, "duplicates": 0, "ignored": 1, "failed": 0, "spooled": 0}
FAILED = {"stored": 0, "duplicates": 0, "ignored": 0, "failed": 1, "spooled": 0}


def payload(text: object = "Bom dia!", stanza: str = "A1", **over: object) -> dict[str, Any]:
    """Return a plain incoming message as NOWEB sends it."""
    return {
        "id": f"false_{ANA}_{stanza}",
        "timestamp": SENT_S,
        "from": ANA,
        "fromMe": False,
        "body": text,
        "hasMedia": False,
        "_data": {"message": {"conversation": text}},
    } | over


def envelope(message: object, **over: object) -> dict[str, Any]:
    """Return *message* as WAHA delivers it; a field that is None is absent."""
    fields = {
        "id": "evt_01aaaaaaaaaaaaaaaaaaaaaaaa",
        "timestamp": SENT_S * 1000 + 500,
        "event": "message.any",
        "session": "vendas",
        "me": {"id": "5511912340001@c.us"},
        "payload": message,
        "engine": "NOWEB",
    } | over
    return {name: value for name, value in fields.items() if value is not None}


def as_json(value: object) -> bytes:
    return json.dumps(value).encode()


class Client(NamedTuple):
    """The gateway, by HTTP and from within."""

    http: httpx.AsyncClient
    archive: Backend

    async def post(self, body: bytes, **headers: str) -> httpx.Response:
        """Deliver *body*."""
        sent = {"content-type": "application/json", "x-whatsapp-token": TOKEN}
        sent |= {name.replace("_", "-"): value for name, value in headers.items()}
        return await self.http.post("/webhooks/messages", content=body, headers=sent)

    async def messages(self, chat: str = ANA) -> list[dict[str, Any]]:
        """Return what the archive shows of *chat*, oldest first."""
        answer = await self.http.get(
            f"/api/messages/vendas/{chat}", headers={"x-api-token": API_TOKEN}
        )
        found: list[dict[str, Any]] = answer.json().get("messages", [])
        return found[::-1]

    async def texts(self, chat: str = ANA) -> list[str | None]:
        """Return the current texts of *chat*, oldest first."""
        return [message["text"] for message in await self.messages(chat)]


@asynccontextmanager
async def gateway(archive: Backend, security: HttpSecurity) -> AsyncIterator[Client]:
    """Yield the real application over *archive*."""
    commit = GroupCommit(archive.archive)
    ingest = IngestBody(engine=WahaReader(), commit=commit, clock=lambda: datetime.now(UTC))
    app = create_app(
        ingest=ingest,
        reader=archive.reader,
        sync=SyncControl(
            store=archive.sync, reader=archive.reader, clock=lambda: datetime.now(UTC)
        ),
        library=MediaLibrary(
            reader=archive.reader,
            downloads=archive.downloads,
            media=InMemoryMediaStore(),
            clock=lambda: datetime.now(UTC),
        ),
        live=archive.live(),
        health=store_health(archive.reader),
        security=security,
        max_body_bytes=4 * 2**20,
    )
    transport = httpx.ASGITransport(app=app)  # type: ignore[arg-type]  # Litestar's stricter types
    async with httpx.AsyncClient(transport=transport, base_url="http://gateway") as http:
        yield Client(http, archive)
    await commit.aclose()


@pytest.fixture(params=BACKENDS)
async def client(
    request: pytest.FixtureRequest, postgres_servers: Servers
) -> AsyncIterator[Client]:
    async with (
        backend(request.param, postgres_servers) as archive,
        gateway(archive, HttpSecurity(api_token=API_TOKEN, webhook_token=TOKEN)) as found,
    ):
        yield found


REFUSED = {
    "not JSON": (b"bom dia", 400),
    "empty": (b"", 400),
    "truncated": (as_json(envelope(payload()))[:-9], 400),
    "NaN": (as_json(envelope(payload())).replace(b"1791000123,", b"NaN,"), 400),
    "invalid UTF-8": (as_json(envelope(payload())).replace(b"Bom", b"\xff\xfe\xfa"), 400),
    "nested 200,000 deep": (b'{"payload":' + b"[" * 200_000 + b"]" * 200_000 + b"}", 400),
    "a number": (b"7", 400),
    "a string": (b'"message"', 400),
    "null": (b"null", 400),
    "too large": (as_json(envelope(payload("x" * 2**22))), 413),
}


@pytest.mark.parametrize(("body", "status"), REFUSED.values(), ids=REFUSED)
async def test_what_is_no_event_is_refused_and_leaves_no_trace(
    client: Client, body: bytes, status: int
) -> None:
    answer = await client.post(body)
    assert answer.status_code == status
    assert answer.headers["content-type"] == "application/problem+json"
    assert await client.archive.picture() == {}


async def test_a_wrong_token_is_refused_and_leaves_no_trace(client: Client) -> None:
    for token in ("", "wrong", TOKEN + "x", "tôken"):
        answer = await client.http.post(
            "/webhooks/messages",
            content=as_json(envelope(payload())),
            headers=[
                (b"content-type", b"application/json"),
                (b"x-whatsapp-token", token.encode()),
            ],
        )
        assert answer.status_code == 401
    assert await client.archive.picture() == {}


@pytest.mark.parametrize("kind", BACKENDS)
async def test_a_signature_must_fit_the_exact_bytes(kind: Kind, postgres_servers: Servers) -> None:
    body = as_json(envelope(payload()))
    right = hmac.new(KEY.encode(), body, hashlib.sha512).hexdigest()
    security = HttpSecurity(api_token=API_TOKEN, webhook_hmac_key=KEY)
    async with backend(kind, postgres_servers) as archive, gateway(archive, security) as client:
        assert (await client.post(body + b" ", x_webhook_hmac=right)).status_code == 401
        assert (await client.post(body, x_webhook_hmac="0" * 128)).status_code == 401
        assert await client.texts() == []
        answer = await client.post(body, x_webhook_hmac=right)
        assert (answer.status_code, answer.json()) == (200, STORED)
        assert await client.texts() == ["Bom dia!"]


ACCEPTED: dict[str, tuple[object, dict[str, int], list[str | None]]] = {
    "U+0000 in the text": (envelope(payload("a\x00b")), STORED, ["a\ufffdb"]),
    "a lone surrogate": (envelope(payload("a\ud800b")), STORED, ["a\ufffdb"]),
    "1 MB of text": (envelope(payload("x" * 2**20)), STORED, ["x" * 2**20]),
    "SQL in the id": (envelope(payload(stanza="A1'); DROP TABLE x;--")), STORED, ["Bom dia!"]),
    "a path in the id": (envelope(payload(stanza="../../etc/passwd")), STORED, ["Bom dia!"]),
    "U+0000 in the id": (envelope(payload(stanza="A\x001")), STORED, ["Bom dia!"]),
    "a huge integer": (envelope(payload(timestamp=10**400)), STORED, ["Bom dia!"]),
    "a time in the year 30000": (envelope(payload(timestamp=9**15 * 10**9)), STORED, ["Bom dia!"]),
    "an unknown engine": (envelope(payload(), engine="TELEPATHY"), STORED, ["Bom dia!"]),
    "no engine, id, time or me": (
        envelope(payload(), engine=None, id=None, timestamp=None, me=None),
        STORED,
        ["Bom dia!"],
    ),
    "an unknown event": (envelope(payload(), event="message.telepathy"), IGNORED, []),
    "no event": (envelope(payload(), event=None), IGNORED, []),
    "absent everything": ({}, IGNORED, []),
    "no payload": (envelope(None), FAILED, []),
    "a payload of another shape": (envelope(["?"]), FAILED, []),
    "an endless id": (envelope(payload(stanza="A" * 5000)), FAILED, []),
    "text that is no text": (envelope(payload({"a": [1]}, _data=None)), STORED, [None]),
    "an element that is no event": ([7], IGNORED, []),
}


@pytest.mark.parametrize(("event", "counts", "texts"), ACCEPTED.values(), ids=ACCEPTED)
async def test_whatever_is_an_event_is_kept(
    client: Client, event: object, counts: dict[str, int], texts: list[str | None]
) -> None:
    body = as_json(event)
    answer = await client.post(body)
    assert (answer.status_code, answer.json()) == (200, counts)
    assert await client.texts() == texts
    assert await client.archive.reader.event_body(1) in {body, body[1:-1]}


async def test_a_bad_element_disturbs_no_neighbour(client: Client) -> None:
    good, better = envelope(payload("um", "A1")), envelope(payload("dois", "A2"))
    answer = await client.post(as_json([good, 7, envelope(None), better]))
    assert answer.json() == {"stored": 2, "duplicates": 0, "ignored": 1, "failed": 1, "spooled": 0}
    assert sorted(map(str, await client.texts())) == ["dois", "um"]


async def test_a_forged_id_replaces_nobody_s_message(client: Client) -> None:
    def said(text: str, author: str) -> bytes:
        id_ = f"false_{GROUP}_A1_{author}"
        forged = payload(text, id=id_, participant=author, **{"from": GROUP})
        return as_json(envelope(forged))

    assert (await client.post(said("pague 100", ANA))).json() == STORED
    assert (await client.post(said("pague 900", "5511900000666@c.us"))).json() == STORED
    assert (await client.post(said("pague 100", ANA))).json() == DUPLICATE
    shown = [(m["text"], m["sender_id"], m["clash"]) for m in await client.messages(GROUP)]
    assert sorted(shown) == [
        ("pague 100", ANA, True),
        ("pague 900", "5511900000666@c.us", True),
    ]


async def test_a_stranger_s_edit_changes_nothing(client: Client) -> None:
    await client.post(as_json(envelope(payload(id=f"false_{GROUP}_A1_{ANA}", participant=ANA))))
    edit = payload(
        "forjado", id=f"false_{GROUP}_E1_5511900000666@c.us", participant="5511900000666@c.us"
    )
    edit["editedMessageId"] = "A1"
    assert (await client.post(as_json(envelope(edit, event="message.edited")))).status_code == 200
    assert await client.texts(GROUP) == ["Bom dia!"]
