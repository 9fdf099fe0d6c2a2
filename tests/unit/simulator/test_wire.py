import json
import re

import pytest

from wagateway.simulator.wire import Emission, Frame, event_id, headers, request_id, signature

FRAME = Frame(session="loja", engine="NOWEB", me=None, metadata={})


@pytest.mark.parametrize(
    ("key", "body", "expected"),
    [
        pytest.param(
            "my-secret-key",
            '{"event":"message","session":"default","engine":"WEBJS"}',
            "208f8a55dde9e05519e898b10b89bf0d0b3b0fdf11fdbf09b6b90476301b98d8"
            "097c462b2b17a6ce93b6b47a136cf2e78a33a63f6752c2c1631777076153fa89",
            id="of WAHA's documentation",
        ),
        pytest.param(
            "segredo-de-teste",
            '{"id":"evt_01kz0000000000000000000000","timestamp":1791000123612,"event":"message",'
            '"session":"vendas","payload":{"body":"ação 😀"}}',
            "7527d23ba563b143fd05dc132aebd4506d7651e07bc57c6fcd4bf1f245fd58b2"
            "207f30f642fae763377b37df7fde3cc66c37c8e1bdfdd530cd3fbb47b2dc097d",
            id="beyond ASCII",
        ),
    ],
)
def test_signatures_match_known_vectors(key: str, body: str, expected: str) -> None:
    assert signature(key, body.encode()) == expected


def test_a_body_is_written_as_node_writes_it() -> None:
    payload = {"body": 'pão "quente"\n🥖 مرحبا', "at": 1791004070.853, "none": None, "yes": True}
    body = FRAME.envelope(
        Emission(event="message", payload=payload), event_id="evt_1", built_ms=1791000000123
    )
    assert body.startswith(
        b'{"id":"evt_1","timestamp":1791000000123,"event":"message","session":"loja","metadata":{},'
        b'"me":null,"payload":'
    )
    expected = r'{"body":"pão \"quente\"\n🥖 مرحبا","at":1791004070.853,"none":null,"yes":true}'
    assert expected.encode() in body
    assert json.loads(body)["payload"] == payload


def test_an_event_id_is_a_ulid_of_its_instant() -> None:
    made = event_id(1469918176385, "key")
    assert re.fullmatch("evt_01aryz6s41[0-9a-hjkmnp-tv-z]{16}", made)
    assert event_id(1469918176385, "other") != made


def test_headers_are_waha_s() -> None:
    plain = headers(b"{}", request_id="r1", built_ms=1791000000123, hmac_key=None)
    assert plain == {
        "Content-Type": "application/json",
        "Accept": "application/json, text/plain, */*",
        "Accept-Encoding": "gzip, compress, deflate, br",
        "User-Agent": "WAHA/2026.9.2",
        "X-Webhook-Request-Id": "r1",
        "X-Webhook-Timestamp": "1791000000123",
    }
    signed = headers(b"{}", request_id="r1", built_ms=1791000000123, hmac_key="k")
    assert signed["X-Webhook-Hmac"] == signature("k", b"{}")
    assert signed["X-Webhook-Hmac-Algorithm"] == "sha512"


def test_request_ids_differ_by_delivery() -> None:
    made = {request_id("key", number) for number in range(1000)}
    assert len(made) == 1000
    assert all(re.fullmatch("[0-9a-z]{16}", one) for one in made)
