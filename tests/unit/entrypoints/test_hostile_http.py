"""Requests that two servers would read differently, and what else no client sends.

Where a proxy in front takes the end of a request to be somewhere else than we do, a stranger could
put one request into another's, or say in our name what the proxy forbids.
"""

import asyncio
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import pytest
from tests.unit.entrypoints.http.world import API_TOKEN, WEBHOOK_TOKEN, Ingesting, application

from wagateway.entrypoints.serve import listen, serving

NEXT = b"GET /health/live HTTP/1.1\r\nHost: a\r\n\r\n"
LAST = b"GET /health/live HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"
SECOND = b"GET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n"
TOKEN = f"X-Api-Token: {API_TOKEN}\r\n".encode()


def post(*headers: bytes, body: bytes) -> bytes:
    """Return a webhook that would be taken, but for *headers* or *body*."""
    given = [
        b"POST /webhooks/messages HTTP/1.1",
        b"Host: a",
        b"Content-Type: application/json",
        f"X-Whatsapp-Token: {WEBHOOK_TOKEN}".encode(),
        *headers,
    ]
    return b"\r\n".join(given) + b"\r\n\r\n" + body


@dataclass
class Gateway:
    """A gateway on a port, and what became of what it was sent."""

    port: int
    ingest: Ingesting
    routes: list[str] = field(default_factory=list)

    async def statuses(self, sent: bytes) -> list[int]:
        """Return what was answered until the gateway closed the connection."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        writer.write(sent)
        async with asyncio.timeout(10):
            got = await reader.read()
        writer.close()
        return [int(status) for status in re.findall(rb"HTTP/1\.1 (\d{3}) ", got)]


@pytest.fixture(scope="module")
async def one() -> AsyncIterator[Gateway]:
    async with running() as gateway:
        yield gateway


@pytest.fixture
def gateway(one: Gateway) -> Gateway:
    one.ingest.bodies.clear()
    one.routes.clear()
    return one


@asynccontextmanager
async def running() -> AsyncIterator[Gateway]:
    ingest = Ingesting()
    with listen("127.0.0.1", 0) as listener:
        gateway = Gateway(listener.getsockname()[1], ingest)
        app = application(ingest=ingest, requested=gateway_requested(gateway))
        async with serving(app, listener):
            yield gateway


def gateway_requested(gateway: Gateway) -> Any:  # noqa: ANN401 - whatever the log tells
    def requested(method: str, route: str, status: int, _: float) -> None:
        gateway.routes.append(f"{method} {route} {status}")

    return requested


CHUNKED = b"Transfer-Encoding: chunked"
WHOLE = b"2\r\n[]\r\n0\r\n\r\n"


@pytest.mark.parametrize(
    "sent",
    [
        pytest.param(post(b"Content-Length: 5", CHUNKED, body=b"0\r\n\r\n"), id="two-lengths"),
        pytest.param(post(CHUNKED, b"Content-Length: 5", body=b"0\r\n\r\n"), id="the-other-way"),
        pytest.param(post(b"Content-Length: 2", b"Content-Length: 39", body=b"[]"), id="unlike"),
        pytest.param(post(b"Content-Length: 2", b"Content-Length: 2", body=b"[]"), id="twice"),
        pytest.param(post(b"Content-Length: 2, 2", body=b"[]"), id="a-list"),
        pytest.param(post(b"Content-Length: +2", body=b"[]"), id="plus"),
        pytest.param(post(b"Content-Length: -2", body=b"[]"), id="minus"),
        pytest.param(post(b"Content-Length: 0x2", body=b"[]"), id="hexadecimal"),
        pytest.param(post(b"Content-Length: " + b"9" * 30, body=b"[]"), id="beyond-64-bits"),
        pytest.param(post(b"Transfer-Encoding: chunked, identity", body=WHOLE), id="not-last"),
        pytest.param(post(b"Transfer-Encoding: identity", body=b"[]"), id="identity"),
        pytest.param(post(b"Transfer-Encoding: xchunked", body=WHOLE), id="unknown"),
        pytest.param(post(b"Transfer-Encoding : chunked", body=WHOLE), id="a-space"),
        pytest.param(post(CHUNKED, b"Transfer-Encoding: identity", body=WHOLE), id="two-codings"),
        pytest.param(post(CHUNKED, body=b"2\n[]\n0\n\n"), id="chunks-by-line-feeds"),
        pytest.param(post(CHUNKED, body=b"-2\r\n[]\r\n0\r\n\r\n"), id="a-chunk-below-nothing"),
        pytest.param(post(CHUNKED, body=b"0x2\r\n[]\r\n0\r\n\r\n"), id="a-chunk-in-c"),
        pytest.param(post(CHUNKED, body=b"F" * 17 + b"\r\n[]\r\n0\r\n\r\n"), id="a-vast-chunk"),
        pytest.param(post(b"X-A: b\r\n c", b"Content-Length: 2", body=b"[]"), id="a-folded-line"),
        pytest.param(post(b"X-A: b\nX-B: c", b"Content-Length: 2", body=b"[]"), id="line-feed"),
        pytest.param(post(b"X-A: b\rX-B: c", b"Content-Length: 2", body=b"[]"), id="return"),
        pytest.param(post(b"X-A: \x00", b"Content-Length: 2", body=b"[]"), id="nul"),
        pytest.param(post(b"X A: b", b"Content-Length: 2", body=b"[]"), id="a-name-with-a-space"),
        pytest.param(b"GET /health HTTP/9.9\r\nHost: a\r\n\r\n", id="another-version"),
        pytest.param(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", id="version-2"),
        pytest.param(b"FOO /health HTTP/1.1\r\nHost: a\r\n\r\n", id="no-method"),
        pytest.param(b"GET health HTTP/1.1\r\nHost: a\r\n\r\n", id="no-path"),
        pytest.param(b"GET /api/\xff HTTP/1.1\r\nHost: a\r\n\r\n", id="a-path-of-bytes"),
        pytest.param(bytes.fromhex("16030102000100") + b"\0" * 99, id="tls"),
    ],
)
async def test_what_can_be_read_in_two_ways_is_refused_and_ends_the_connection(
    gateway: Gateway, sent: bytes
) -> None:
    assert await gateway.statuses(sent + SECOND) == [400]
    assert gateway.ingest.bodies == []
    assert gateway.routes in ([], ["POST /webhooks/messages 400"])


@pytest.mark.parametrize(
    "sent",
    [
        pytest.param(post(CHUNKED, body=WHOLE), id="chunks"),
        pytest.param(post(b"Transfer-Encoding:\tchunked", body=WHOLE), id="a-tab"),
        pytest.param(post(b"Content-Length: 2", body=b"[]"), id="a-length"),
        pytest.param(post(CHUNKED, body=b"2;a=b\r\n[]\r\n0\r\n\r\n"), id="an-extension"),
        pytest.param(post(CHUNKED, body=b"2\r\n[]\r\n0\r\nX-A: b\r\n\r\n"), id="a-trailer"),
    ],
)
async def test_what_is_right_is_taken_and_the_next_one_is_another(
    gateway: Gateway, sent: bytes
) -> None:
    assert await gateway.statuses(sent + LAST) == [200, 200]
    assert gateway.ingest.bodies == [b"[]"]


async def test_a_trailer_is_no_header(gateway: Gateway) -> None:
    """A proxy that keeps a header from us need not keep a trailer of that name."""
    asked = b"GET /api/sessions HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n"
    in_head, in_trailer = TOKEN + b"\r\n0\r\n\r\n", b"\r\n0\r\n" + TOKEN + b"\r\n"
    assert await gateway.statuses(asked + in_head + LAST) == [200, 200]
    assert await gateway.statuses(asked + in_trailer + LAST) == [401, 200]


async def test_many_trailers_do_no_harm(gateway: Gateway) -> None:
    many = b"X-A: b\r\n" * 50_000
    sent = post(CHUNKED, body=b"2\r\n[]\r\n0\r\n" + many + b"\r\n")
    assert await gateway.statuses(sent + LAST) == [200, 200]


@pytest.mark.parametrize(
    ("target", "status"),
    [
        (b"http://elsewhere/api/sessions", 401),
        (b"/%61pi/sessions", 401),
        (b"/%2Fapi/sessions", 401),
        (b"//api//sessions", 401),
        (b"/x/../api/sessions", 404),
        (b"/API/sessions", 404),
        (b"*", 404),
    ],
)
async def test_no_spelling_over_a_socket_gets_past_the_gate(
    gateway: Gateway, target: bytes, status: int
) -> None:
    method = b"OPTIONS" if target == b"*" else b"GET"
    asked = method + b" " + target + b" HTTP/1.1\r\nHost: a\r\n\r\n"
    assert await gateway.statuses(asked + LAST) == [status, 200]


async def test_a_thousand_at_once_are_a_thousand(gateway: Gateway) -> None:
    assert await gateway.statuses(NEXT * 999 + LAST) == [200] * 1000
