"""WAHA's side of the wire: envelopes, headers, signatures and ids, byte for byte.

Source: WAHA 2026.9.2 OpenAPI; WAHA docs, Events and Webhooks.
"""

import hmac
from collections.abc import Mapping
from typing import Any

import msgspec
from msgspec import Struct

from wagateway.simulator.dice import digest

WAHA_VERSION = "2026.9.2"

Payload = dict[str, Any]
"""A JSON object as WAHA sends it; its keys are in WAHA's order."""

_CROCKFORD = "0123456789abcdefghjkmnpqrstvwxyz"
_BASE36 = "0123456789abcdefghijklmnopqrstuvwxyz"
_REQUEST_ID_CHARS = 16


class Emission(Struct, frozen=True, kw_only=True):
    """One event that an engine emits."""

    event: str
    payload: Payload


class Frame(Struct, frozen=True, kw_only=True):
    """What all envelopes of one engine and session share."""

    session: str
    engine: str
    me: Payload | None
    metadata: Mapping[str, str]

    def envelope(self, emission: Emission, *, event_id: str, built_ms: int) -> bytes:
        """Return the request body: JSON as Node.js writes it, UTF-8 without spaces.

        Args:
            emission: the event's name and payload.
            event_id: ``evt_`` and a ULID; see ulid().
            built_ms: when WAHA built the event, in epoch milliseconds.
        """
        browser = "/usr/bin/chromium" if self.engine == "WEBJS" else None
        return msgspec.json.encode(
            {
                "id": event_id,
                "timestamp": built_ms,
                "event": emission.event,
                "session": self.session,
                "metadata": self.metadata,
                "me": self.me,
                "payload": emission.payload,
                "engine": self.engine,
                "environment": {
                    "version": WAHA_VERSION,
                    "engine": self.engine,
                    "tier": "CORE",
                    "browser": browser,
                    "platform": "linux/x64",
                    "worker": {"id": "waha-1"},
                },
            }
        )


def event_id(built_ms: int, *key: object) -> str:
    """Return ``evt_`` and the lower-case ULID of *built_ms*, its random part made from *key*."""
    number = built_ms << 80 | int.from_bytes(digest(10, "event", *key))
    return "evt_" + "".join(_CROCKFORD[number >> shift & 31] for shift in range(125, -1, -5))


def request_id(*key: object) -> str:
    """Return the opaque id of one delivery, made from *key*."""
    return "".join(_BASE36[byte % 36] for byte in digest(_REQUEST_ID_CHARS, "request", *key))


def headers(body: bytes, *, request_id: str, built_ms: int, hmac_key: str | None) -> dict[str, str]:
    """Return the headers that WAHA sends with *body*; a retry repeats them unchanged."""
    fields = {
        "Content-Type": "application/json",
        "Accept": "application/json, text/plain, */*",
        "Accept-Encoding": "gzip, compress, deflate, br",
        "User-Agent": f"WAHA/{WAHA_VERSION}",
        "X-Webhook-Request-Id": request_id,
        "X-Webhook-Timestamp": str(built_ms),
    }
    if hmac_key is not None:
        fields["X-Webhook-Hmac"] = signature(hmac_key, body)
        fields["X-Webhook-Hmac-Algorithm"] = "sha512"
    return fields


def signature(key: str, body: bytes) -> str:
    """Return WAHA's signature of *body*: HMAC-SHA512 over the raw bytes, in lower-case hex."""
    return hmac.digest(key.encode(), body, "sha512").hex()
