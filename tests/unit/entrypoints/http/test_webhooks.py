import asyncio
import hmac
from collections.abc import AsyncIterator, Mapping
from typing import Any

import httpx
import pytest
from litestar.types import HTTPReceiveMessage
from tests.unit.entrypoints.http.world import (
    BOTH,
    HMAC_KEY,
    HMAC_ONLY,
    JSON,
    TOKEN_ONLY,
    WEBHOOK,
    WEBHOOK_TOKEN,
    Ingesting,
    application,
    client_of,
    raw_request,
)

from wagateway.domain.errors import InvalidInput, StoreUnavailable, Unavailable
from wagateway.entrypoints.http.auth import HttpSecurity
from wagateway.entrypoints.http.limits import Limits
from wagateway.entrypoints.http.webhooks import Intake

PATH = "/webhooks/messages"
BODY = '{"event":"message","payload":{"body":"ação 😀"}}'.encode()
HUGE = 100 * 2**20

VECTORS = [
    pytest.param(
        "my-secret-key",
        '{"event":"message","session":"default","engine":"WEBJS"}',
        "208f8a55dde9e05519e898b10b89bf0d0b3b0fdf11fdbf09b6b90476301b98d8"
        "097c462b2b17a6ce93b6b47a136cf2e78a33a63f6752c2c1631777076153fa89",
        id="the-documented-one",
    ),
    pytest.param(
        "segredo-de-teste",
        '{"id":"evt_01kz0000000000000000000000","timestamp":1791000123612,"event":"message",'
        '"session":"vendas","payload":{"body":"ação 😀"}}',
        "7527d23ba563b143fd05dc132aebd4506d7651e07bc57c6fcd4bf1f245fd58b2"
        "207f30f642fae763377b37df7fde3cc66c37c8e1bdfdd530cd3fbb47b2dc097d",
        id="not-ascii",
    ),
]


def signature(body: bytes = BODY, key: str = HMAC_KEY, algorithm: str = "sha512") -> str:
    return hmac.new(key.encode(), body, algorithm).hexdigest()


RIGHT_TOKEN = {"X-Whatsapp-Token": WEBHOOK_TOKEN}
WRONG_TOKEN = {"X-Whatsapp-Token": WEBHOOK_TOKEN + "x"}
RIGHT_HMAC = {"X-Webhook-Hmac": signature(), "X-Webhook-Hmac-Algorithm": "sha512"}
WRONG_HMAC = {"X-Webhook-Hmac": signature(b"other")}


def raw(headers: Mapping[str, str | bytes]) -> list[tuple[bytes, bytes]]:
    return [
        (name.lower().encode(), value.encode() if isinstance(value, str) else value)
        for name, value in headers.items()
    ]


async def post(
    security: HttpSecurity, headers: Mapping[str, str | bytes], body: bytes = BODY
) -> tuple[httpx.Response, Ingesting]:
    ingest = Ingesting()
    async with client_of(application(ingest=ingest, security=security)) as client:
        response = await client.post(PATH, content=body, headers=raw({**JSON, **headers}))
    return response, ingest


async def test_answers_what_became_of_the_events() -> None:
    response, ingest = await post(TOKEN_ONLY, RIGHT_TOKEN)
    assert response.status_code == 200
    assert response.json() == {
        "stored": 1,
        "duplicates": 2,
        "ignored": 3,
        "failed": 4,
        "spooled": 0,
    }
    assert ingest.bodies == [BODY]


@pytest.mark.parametrize(
    ("security", "headers", "status"),
    [
        pytest.param(TOKEN_ONLY, RIGHT_TOKEN, 200, id="token"),
        pytest.param(TOKEN_ONLY, {}, 401, id="token-missing"),
        pytest.param(TOKEN_ONLY, {"X-Whatsapp-Token": ""}, 401, id="token-empty"),
        pytest.param(TOKEN_ONLY, WRONG_TOKEN, 401, id="token-longer"),
        pytest.param(TOKEN_ONLY, {"X-Whatsapp-Token": WEBHOOK_TOKEN[:-1]}, 401, id="token-prefix"),
        pytest.param(TOKEN_ONLY, {"X-Whatsapp-Token": b"\xff\xfe\xc3("}, 401, id="token-not-utf8"),
        pytest.param(TOKEN_ONLY, {"X-Whatsapp-Token": "sécret".encode()}, 401, id="not-ascii"),
        pytest.param(TOKEN_ONLY, {"X-Api-Token": WEBHOOK_TOKEN}, 401, id="other-header"),
        pytest.param(TOKEN_ONLY, RIGHT_HMAC, 401, id="hmac-is-no-token"),
        pytest.param(TOKEN_ONLY, RIGHT_TOKEN | WRONG_HMAC, 200, id="hmac-not-configured"),
        pytest.param(HMAC_ONLY, RIGHT_HMAC, 200, id="hmac"),
        pytest.param(HMAC_ONLY, {"X-Webhook-Hmac": signature()}, 200, id="hmac-no-algorithm"),
        pytest.param(HMAC_ONLY, {}, 401, id="hmac-missing"),
        pytest.param(HMAC_ONLY, {"X-Webhook-Hmac": ""}, 401, id="hmac-empty"),
        pytest.param(HMAC_ONLY, WRONG_HMAC, 401, id="hmac-of-other-body"),
        pytest.param(HMAC_ONLY, {"X-Webhook-Hmac": signature(key="k")}, 401, id="hmac-other-key"),
        pytest.param(HMAC_ONLY, {"X-Webhook-Hmac": signature().upper()}, 401, id="hmac-upper"),
        pytest.param(HMAC_ONLY, {"X-Webhook-Hmac": b"\xff" * 128}, 401, id="hmac-not-ascii"),
        pytest.param(
            HMAC_ONLY, RIGHT_HMAC | {"X-Webhook-Hmac-Algorithm": "sha256"}, 401, id="algorithm"
        ),
        pytest.param(
            HMAC_ONLY,
            {
                "X-Webhook-Hmac": signature(algorithm="sha256"),
                "X-Webhook-Hmac-Algorithm": "sha256",
            },
            401,
            id="weaker-algorithm",
        ),
        pytest.param(HMAC_ONLY, RIGHT_TOKEN, 401, id="token-is-no-hmac"),
        pytest.param(HMAC_ONLY, RIGHT_HMAC | WRONG_TOKEN, 200, id="token-not-configured"),
        pytest.param(BOTH, RIGHT_TOKEN, 200, id="both-token-alone"),
        pytest.param(BOTH, RIGHT_HMAC, 200, id="both-hmac-alone"),
        pytest.param(BOTH, RIGHT_TOKEN | RIGHT_HMAC, 200, id="both-both"),
        pytest.param(BOTH, WRONG_TOKEN | RIGHT_HMAC, 401, id="both-wrong-token"),
        pytest.param(BOTH, RIGHT_TOKEN | WRONG_HMAC, 401, id="both-wrong-hmac"),
        pytest.param(BOTH, WRONG_TOKEN | WRONG_HMAC, 401, id="both-wrong"),
        pytest.param(BOTH, {}, 401, id="both-none"),
    ],
)
async def test_lets_in_who_proves_it(
    security: HttpSecurity, headers: dict[str, str | bytes], status: int
) -> None:
    response, ingest = await post(security, headers)
    assert response.status_code == status
    assert len(ingest.bodies) == (status == 200)


@pytest.mark.parametrize(("key", "body", "expected"), VECTORS)
async def test_accepts_the_signatures_of_waha(key: str, body: str, expected: str) -> None:
    security = HttpSecurity(api_token="a", webhook_hmac_key=key)
    response, _ = await post(security, {"X-Webhook-Hmac": expected}, body.encode())
    assert response.status_code == 200
    response, _ = await post(security, {"X-Webhook-Hmac": expected}, body.encode() + b" ")
    assert response.status_code == 401


async def test_a_second_wrong_token_spoils_the_right_one() -> None:
    headers = [
        (b"content-type", b"application/json"),
        (b"x-whatsapp-token", WEBHOOK_TOKEN.encode()),
        (b"x-whatsapp-token", b"other"),
    ]
    assert (await raw_request(application(), PATH, headers=headers)).status == 401


async def test_missing_and_wrong_credentials_look_the_same() -> None:
    missing, _ = await post(BOTH, {})
    for headers in (WRONG_TOKEN, WRONG_HMAC, WRONG_TOKEN | RIGHT_HMAC):
        wrong, _ = await post(BOTH, headers)
        assert wrong.content == missing.content
        assert _stable(wrong.headers) == _stable(missing.headers)
    assert WEBHOOK_TOKEN not in missing.text


def _stable(headers: httpx.Headers) -> dict[str, str]:
    return {name: value for name, value in headers.items() if name != "x-request-id"}


@pytest.mark.parametrize(
    "content_type",
    [
        "application/json",
        "application/json; charset=utf-8",
        'Application/JSON;charset="UTF-8"',
        "application/json; charset=utf8; profile=x",
    ],
)
async def test_reads_json_in_utf8(content_type: str) -> None:
    response, _ = await post(TOKEN_ONLY, RIGHT_TOKEN | {"Content-Type": content_type})
    assert response.status_code == 200


@pytest.mark.parametrize(
    "headers",
    [
        {"Content-Type": ""},
        {"Content-Type": "text/plain"},
        {"Content-Type": "application/x-www-form-urlencoded"},
        {"Content-Type": "multipart/form-data; boundary=x"},
        {"Content-Type": "application/jsonp"},
        {"Content-Type": "application/json; charset=latin-1"},
        {"Content-Type": "application/json", "Content-Encoding": "gzip"},
    ],
)
async def test_refuses_other_media(headers: dict[str, str]) -> None:
    response, ingest = await post(TOKEN_ONLY, RIGHT_TOKEN | headers)
    assert response.status_code == 415
    assert "application/json" in response.json()["detail"]
    assert ingest.bodies == []


async def test_refuses_a_body_without_a_type() -> None:
    answer = await raw_request(application(), PATH, headers=raw(RIGHT_TOKEN))
    assert answer.status == 415


@pytest.mark.parametrize("method", ["GET", "PUT", "PATCH", "DELETE", "TRACE", "BREW"])
async def test_refuses_other_methods(method: str) -> None:
    async with client_of(application()) as client:
        response = await client.request(method, PATH, headers=WEBHOOK)
    assert response.status_code == 405
    assert "POST" in response.headers["allow"]
    assert "POST" in response.json()["detail"]


async def chunks(count: int, size: int) -> AsyncIterator[HTTPReceiveMessage]:
    for number in range(count):
        more = number < count - 1
        yield {"type": "http.request", "body": b" " * size, "more_body": more}


@pytest.mark.parametrize("declared", [str(HUGE), "9" * 5000])
async def test_does_not_read_what_is_declared_too_large(declared: str) -> None:
    headers = raw(WEBHOOK | {"Content-Length": declared})
    answer = await raw_request(application(), PATH, headers=headers, body=chunks(100, 2**20))
    assert (answer.status, answer.bytes_read) == (413, 0)
    assert answer.headers["connection"] == "close"


async def test_stops_reading_at_the_limit() -> None:
    ingest = Ingesting()
    answer = await raw_request(
        application(ingest=ingest), PATH, headers=raw(WEBHOOK), body=chunks(1600, 2**16)
    )
    assert answer.status == 413
    assert answer.bytes_read == 16 * 2**20 + 2**16
    assert answer.headers["connection"] == "close"
    assert ingest.bodies == []


async def test_takes_exactly_the_limit() -> None:
    ingest = Ingesting()
    app = application(ingest=ingest, max_body_bytes=len(BODY))
    async with client_of(app) as client:
        assert (await client.post(PATH, content=BODY, headers=WEBHOOK)).status_code == 200
        larger = await client.post(PATH, content=BODY + b" ", headers=WEBHOOK)
    assert larger.status_code == 413
    assert str(len(BODY)) in larger.json()["detail"]
    assert ingest.bodies == [BODY]


async def test_joins_the_chunks_in_order() -> None:
    ingest = Ingesting()

    async def parts() -> AsyncIterator[bytes]:
        for number in range(0, len(BODY), 7):
            yield BODY[number : number + 7]

    async with client_of(application(ingest=ingest)) as client:
        response = await client.post(PATH, content=parts(), headers=WEBHOOK)
    assert response.status_code == 200
    assert ingest.bodies == [BODY]


async def test_does_not_read_the_body_of_a_wrong_token() -> None:
    headers = raw(JSON | WRONG_TOKEN)
    answer = await raw_request(application(), PATH, headers=headers, body=chunks(10, 100))
    assert (answer.status, answer.bytes_read) == (401, 0)


@pytest.mark.parametrize("declared", ["abc", "-1", "1e3", "\u0663"])
async def test_refuses_a_nonsensical_length(declared: str) -> None:
    headers = raw(WEBHOOK | {"Content-Length": declared})
    assert (await raw_request(application(), PATH, headers=headers)).status == 400


async def test_does_not_wait_for_a_slow_sender() -> None:
    async def drip() -> AsyncIterator[HTTPReceiveMessage]:
        yield {"type": "http.request", "body": b"{", "more_body": True}
        await asyncio.Event().wait()

    ingest = Ingesting()
    app = application(ingest=ingest, body_timeout_s=0.05)
    answer = await raw_request(app, PATH, headers=raw(WEBHOOK), body=drip())
    assert answer.status == 408
    assert b"0.05 seconds" in answer.body
    assert ingest.bodies == []


async def test_a_server_may_leave_out_what_is_empty_or_the_last() -> None:
    async def terse() -> AsyncIterator[Any]:
        yield {"type": "http.request", "more_body": True}
        yield {"type": "http.request", "body": BODY}

    ingest = Ingesting()
    answer = await raw_request(application(ingest=ingest), PATH, headers=raw(WEBHOOK), body=terse())
    assert answer.status == 200
    assert ingest.bodies == [BODY]


async def test_a_body_cut_off_is_not_taken_in() -> None:
    async def cut() -> AsyncIterator[HTTPReceiveMessage]:
        yield {"type": "http.request", "body": b'{"event":"message"}', "more_body": True}
        yield {"type": "http.disconnect"}

    ingest = Ingesting()
    answer = await raw_request(application(ingest=ingest), PATH, headers=raw(WEBHOOK), body=cut())
    assert answer.status == 400
    assert ingest.bodies == []


async def test_truncated_json_is_the_senders_fault() -> None:
    ingest = Ingesting(failure=InvalidInput("not JSON: it ends in the middle"))
    async with client_of(application(ingest=ingest)) as client:
        response = await client.post(PATH, content=b'{"event":', headers=WEBHOOK)
    assert response.status_code == 400
    assert response.json()["detail"] == "not JSON: it ends in the middle"


async def test_a_database_that_is_away_means_later() -> None:
    ingest = Ingesting(failure=StoreUnavailable("the database is away"))
    async with client_of(application(ingest=ingest)) as client:
        response = await client.post(PATH, content=BODY, headers=WEBHOOK)
    assert response.status_code == 503
    assert response.headers["retry-after"] == "2"


@pytest.mark.parametrize(
    "secrets",
    [
        {"api_token": "", "webhook_token": "w"},
        {"api_token": "a", "webhook_token": ""},
        {"api_token": "a", "webhook_token": "w", "webhook_hmac_key": ""},
        {"api_token": "a"},
    ],
)
def test_refuses_to_stand_open(secrets: dict[str, str]) -> None:
    with pytest.raises(InvalidInput):
        HttpSecurity(**secrets)


def test_secrets_do_not_show() -> None:
    for secret in (WEBHOOK_TOKEN, HMAC_KEY, BOTH.api_token):
        assert secret not in repr(BOTH)


async def test_unfinished_bodies_together_are_held_within_bounds() -> None:
    """A signature comes true at the end of a body only, so anybody can make us keep its begin."""
    ingest = Ingesting()
    intake = Intake(
        ingest=ingest,
        security=HMAC_ONLY,
        limits=Limits(),
        max_body_bytes=10,
        body_timeout_s=5,
        max_held_bytes=30,
    )
    finish = asyncio.Event()
    chunks = iter([b"x" * 10, b""])

    async def slowly() -> HTTPReceiveMessage:
        body = next(chunks)
        if not body:
            await finish.wait()
        return {"type": "http.request", "body": body, "more_body": bool(body)}

    async def at_once() -> HTTPReceiveMessage:
        return {"type": "http.request", "body": b"y" * 10, "more_body": False}

    signed = [(b"content-type", b"application/json"), (b"x-webhook-hmac-algorithm", b"sha512")]
    slow = [*signed, (b"x-webhook-hmac", signature(b"x" * 10).encode())]
    other = [*signed, (b"x-webhook-hmac", signature(b"y" * 10).encode())]
    waiting = asyncio.create_task(intake(slow, slowly, ""))
    await asyncio.sleep(0)
    with pytest.raises(Unavailable, match="too much is being received"):
        await intake(other, at_once, "")
    finish.set()
    await waiting
    await intake(other, at_once, "")
    assert ingest.bodies == [b"x" * 10, b"y" * 10]


async def test_strangers_do_not_take_the_place_of_who_has_proven_something() -> None:
    ingest = Ingesting()
    intake = Intake(
        ingest=ingest,
        security=BOTH,
        limits=Limits(),
        max_body_bytes=10,
        body_timeout_s=5,
        max_held_bytes=25,
    )
    chunk = asyncio.Event()

    async def never_whole() -> HTTPReceiveMessage:
        if chunk.is_set():
            await asyncio.Event().wait()
        chunk.set()
        return {"type": "http.request", "body": b"x" * 10, "more_body": True}

    async def at_once() -> HTTPReceiveMessage:
        return {"type": "http.request", "body": b"y" * 10, "more_body": False}

    signed = raw({**JSON, "X-Webhook-Hmac": signature(b"y" * 10)})
    await intake(signed, at_once, "engine")
    holding = asyncio.create_task(intake(raw(JSON | WRONG_HMAC), never_whole, "stranger"))
    await chunk.wait()
    await asyncio.sleep(0)
    with pytest.raises(Unavailable):
        await intake(signed, at_once, "another")  # half of the place is taken
    await intake(signed, at_once, "engine")
    await intake(raw(JSON | RIGHT_TOKEN), at_once, "yet another")
    holding.cancel()
    assert len(ingest.bodies) == 3
