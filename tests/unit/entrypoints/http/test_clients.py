"""Who a request comes from."""

from typing import Any

import pytest

from wagateway.entrypoints.http.clients import TrustedProxies

PROXIES = TrustedProxies.named(["10.0.0.0/8", "fd00::1"])


def scope(peer: str | None, *forwarded: str | bytes) -> Any:  # noqa: ANN401 - litestar's scope
    headers = [each if isinstance(each, bytes) else each.encode("latin-1") for each in forwarded]
    return {
        "client": None if peer is None else (peer, 4011),
        "headers": [(b"host", b"a"), *((b"x-forwarded-for", header) for header in headers)],
    }


@pytest.mark.parametrize(
    ("peer", "forwarded", "client"),
    [
        pytest.param("203.0.113.9", [], "203.0.113.9", id="itself"),
        pytest.param("203.0.113.9", ["198.51.100.1"], "203.0.113.9", id="a-stranger-may-say"),
        pytest.param("127.0.0.1", ["198.51.100.1"], "127.0.0.1", id="so-may-this-machine"),
        pytest.param("10.0.0.1", ["198.51.100.1"], "198.51.100.1", id="a-proxy"),
        pytest.param("10.0.0.1", ["6.6.6.6, 198.51.100.1"], "198.51.100.1", id="made-up-before"),
        pytest.param("10.0.0.1", ["198.51.100.1, 10.9.9.9"], "198.51.100.1", id="two-proxies"),
        pytest.param("10.0.0.1", ["6.6.6.6", "198.51.100.1"], "198.51.100.1", id="two-headers"),
        pytest.param("10.0.0.1", [], "10.0.0.1", id="a-proxy-for-itself"),
        pytest.param("10.0.0.1", ["10.0.0.2, 10.0.0.3"], "10.0.0.2", id="proxies-only"),
        pytest.param("10.0.0.1", ["unknown"], "10.0.0.1", id="no-address"),
        pytest.param("10.0.0.1", ["198.51.100.1, evil"], "10.0.0.1", id="no-address-last"),
        pytest.param("10.0.0.1", [b"\xff\xfe"], "10.0.0.1", id="no-text"),
        pytest.param("10.0.0.1", [""], "10.0.0.1", id="empty"),
        pytest.param("10.0.0.1", [","], "10.0.0.1", id="commas"),
        pytest.param("10.0.0.1", ["198.51.100.1:5544"], "198.51.100.1", id="with-a-port"),
        pytest.param("10.0.0.1", ["[2001:db8::7]:5544"], "2001:db8::/64", id="v6-with-a-port"),
        pytest.param("fd00::1", ["2001:db8::7"], "2001:db8::/64", id="v6-proxy"),
        pytest.param("::ffff:10.0.0.1", ["198.51.100.1"], "198.51.100.1", id="mapped-proxy"),
        pytest.param("::ffff:203.0.113.9", [], "203.0.113.9", id="mapped"),
        pytest.param("2001:db8::1", [], "2001:db8::/64", id="v6"),
        pytest.param("2001:db8::ffff:1", [], "2001:db8::/64", id="v6-of-the-same-network"),
        pytest.param(None, ["198.51.100.1"], "", id="no-peer"),
        pytest.param("testclient", [], "testclient", id="no-address-at-all"),
    ],
)
def test_tells_clients_apart(peer: str | None, forwarded: list[str], client: str) -> None:
    assert PROXIES.client_of(scope(peer, *forwarded)) == client


def test_without_proxies_nobody_is_believed() -> None:
    assert TrustedProxies().client_of(scope("127.0.0.1", "198.51.100.1")) == "127.0.0.1"
