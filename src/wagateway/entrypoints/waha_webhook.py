"""What WAHA has to be told so that it delivers everything here, and whether it was.

Source: WAHA docs, Webhooks; WAHA 2026.9.2 OpenAPI, ``config.webhooks`` of a session.
"""

import hmac
from collections.abc import Iterator, Sequence
from urllib.parse import urlsplit

from msgspec import Struct

from wagateway.entrypoints.exposure import is_this_machine
from wagateway.entrypoints.http.auth import WEBHOOK_TOKEN_HEADER
from wagateway.entrypoints.secrets import GatewaySecrets

WEBHOOK_PATH = "/webhooks/messages"
"""Where the gateway takes events in."""

_KEPT_RAW = (
    *("call.received", "call.accepted", "call.rejected"),
    *("label.upsert", "label.deleted", "label.chat.added", "label.chat.deleted"),
)
"""Events that the archive has no place for yet; their bodies are kept for a version that has."""

EVENTS = (
    *("message.any", "message.ack", "message.ack.group", "message.reaction", "message.edited"),
    *("message.revoked", "message.waiting", "poll.vote", "poll.vote.failed", "event.response"),
    *("session.status", "group.v2.join", "group.v2.leave", "group.v2.participants"),
    *("group.v2.update", "chat.archive"),
    *_KEPT_RAW,
)
"""The events worth subscribing to; ``message`` is in ``message.any`` already."""

RETRIES_POLICY = "exponential"
RETRIES_DELAY_S = 2
RETRIES_ATTEMPTS = 12

_SHORTEST_WINDOW_S = 3600
_WAHA_DELAY_S = 2.0
_WAHA_ATTEMPTS = 15


def waha_environment(url: str, secrets: GatewaySecrets) -> dict[str, str]:
    """Return the environment variables that make WAHA deliver to *url*; one holds a secret."""
    proof = (
        ("WHATSAPP_HOOK_CUSTOM_HEADERS", f"{WEBHOOK_TOKEN_HEADER}:{secrets.webhook_token}")
        if secrets.webhook_token
        else ("WHATSAPP_HOOK_HMAC_KEY", secrets.webhook_hmac_key or "")
    )
    return {
        "WHATSAPP_HOOK_URL": url,
        "WHATSAPP_HOOK_EVENTS": ",".join(EVENTS),
        "WHATSAPP_HOOK_RETRIES_POLICY": RETRIES_POLICY,
        "WHATSAPP_HOOK_RETRIES_DELAY_SECONDS": str(RETRIES_DELAY_S),
        "WHATSAPP_HOOK_RETRIES_ATTEMPTS": str(RETRIES_ATTEMPTS),
        proof[0]: proof[1],
    }


class _Lenient(Struct, frozen=True, kw_only=True, rename="camel"):
    """A part of WAHA's answer; what is absent or null there is None here."""


class HmacConfig(_Lenient, frozen=True, kw_only=True):
    """``hmac``."""

    key: str | None = None


class RetriesConfig(_Lenient, frozen=True, kw_only=True):
    """``retries``; what is absent is WAHA's default."""

    policy: str | None = None
    delay_seconds: float | None = None
    attempts: int | None = None

    @property
    def window_s(self) -> float:
        """For how many seconds WAHA keeps trying, without the pauses' random part."""
        delay_s = _WAHA_DELAY_S if self.delay_seconds is None else self.delay_seconds
        tries = min(_WAHA_ATTEMPTS if self.attempts is None else self.attempts, 64)
        match self.policy:
            case "exponential":
                return sum(delay_s * 2.0**n for n in range(1, tries + 1))
            case "linear":
                return delay_s * tries * (tries + 1) / 2
            case _:
                return delay_s * tries


class HeaderConfig(_Lenient, frozen=True, kw_only=True):
    """One of ``customHeaders``."""

    name: str
    value: str


class WebhookConfig(_Lenient, frozen=True, kw_only=True):
    """One of a session's ``config.webhooks``; it holds secrets."""

    url: str
    events: tuple[str, ...] | None = None
    hmac: HmacConfig | None = None
    retries: RetriesConfig | None = None
    custom_headers: tuple[HeaderConfig, ...] | None = None

    @property
    def is_ours(self) -> bool:
        """Whether its URL has our path; the host may be any name that leads here."""
        try:
            return urlsplit(self.url).path.rstrip("/") == WEBHOOK_PATH
        except ValueError:
            return False


class Trouble(Struct, frozen=True, kw_only=True):
    """Something wrong with a webhook's configuration.

    Attributes:
        broken: deliveries are lost or refused by it; else it is only not as good as it could be.
        found: without secrets.
        mend: what to change in WAHA.
    """

    broken: bool
    found: str
    mend: str


def shown_url(url: str) -> str:
    """Return *url* without what may be secret in it: login, query and fragment."""
    try:
        parts = urlsplit(url)
        port = f":{parts.port}" if parts.port else ""
    except ValueError:
        return "an address that cannot be read"
    return f"{parts.scheme}://{parts.hostname or ''}{port}{parts.path}"


def troubles_of(
    webhooks: Sequence[WebhookConfig], secrets: GatewaySecrets, *, port: int
) -> Iterator[Trouble]:
    """Yield what is wrong with a session's webhooks; nothing when they serve us well.

    Args:
        webhooks: of one session, others' among them; at least one.
        secrets: what a delivery must prove itself with.
        port: where the gateway listens on this machine.
    """
    ours = [webhook for webhook in webhooks if webhook.is_ours]
    if not ours:
        addresses = ", ".join(shown_url(webhook.url) for webhook in webhooks)
        yield Trouble(
            broken=True,
            found=f"no webhook leads to {WEBHOOK_PATH}, only to {addresses}",
            mend=f"Add a webhook whose URL ends in :{port}{WEBHOOK_PATH}.",
        )
        return
    if len(ours) > 1:
        yield Trouble(
            broken=False,
            found=f"{len(ours)} webhooks lead here, so everything comes {len(ours)} times",
            mend="Keep one of them; nothing is stored twice meanwhile.",
        )
    for webhook in ours:
        yield from _address(webhook.url, port)
        yield from _in_clear(webhook)
        yield from _proof(webhook, secrets)
        yield from _events(frozenset(webhook.events or ()))
        yield from _retries(webhook.retries or RetriesConfig())


def _address(url: str, port: int) -> Iterator[Trouble]:
    parts = urlsplit(url)
    found = parts.port or {"https": 443}.get(parts.scheme, 80)
    if parts.hostname in {"localhost", "127.0.0.1", "::1"} and found != port:
        yield Trouble(
            broken=True,
            found=f"its URL names port {found} of this machine, and the gateway listens on {port}",
            mend=f"Change the port in the webhook's URL to {port}.",
        )


def _in_clear(webhook: WebhookConfig) -> Iterator[Trouble]:
    """Tell of a token that others on the way can read; a signature gives nothing away."""
    parts = urlsplit(webhook.url)
    headers = {header.name.lower() for header in webhook.custom_headers or ()}
    if (
        parts.scheme == "http"
        and not is_this_machine(parts.hostname or "")
        and WEBHOOK_TOKEN_HEADER.lower() in headers
    ):
        yield Trouble(
            broken=False,
            found=f"its token goes to {parts.hostname} in clear, and who reads it can write",
            mend="Sign instead: hmac.key in WAHA and WHATSAPP_WEBHOOK_HMAC_KEY here, without the "
            "token; or https, with TLS in front of the gateway. Within one machine's containers it "
            "may stay as it is.",
        )


def _proof(webhook: WebhookConfig, secrets: GatewaySecrets) -> Iterator[Trouble]:
    sent = [
        header.value
        for header in webhook.custom_headers or ()
        if header.name.lower() == WEBHOOK_TOKEN_HEADER.lower()
    ]
    key = webhook.hmac.key if webhook.hmac else None
    checks = [_same(value, secrets.webhook_token) for value in sent if secrets.webhook_token]
    if key and secrets.webhook_hmac_key:
        checks.append(_same(key, secrets.webhook_hmac_key))
    if checks and all(checks):
        return
    what = "a wrong token or key" if checks else "neither the token nor a signature"
    yield Trouble(
        broken=True,
        found=f"it sends {what}, so its deliveries are answered 401",
        mend=_proof_wanted(secrets),
    )


def _proof_wanted(secrets: GatewaySecrets) -> str:
    ways = []
    if secrets.webhook_token:
        ways.append(f"give it the custom header {WEBHOOK_TOKEN_HEADER} with the webhook token")
    if secrets.webhook_hmac_key:
        ways.append("give it hmac.key with the value of WHATSAPP_WEBHOOK_HMAC_KEY")
    text = ", or ".join(ways)
    return f"{text[:1].upper()}{text[1:]}."


def _events(subscribed: frozenset[str]) -> Iterator[Trouble]:
    if "*" in subscribed:  # more than is needed, and nothing is missing
        return
    if "message.any" not in subscribed:
        yield Trouble(
            broken=True,
            found="message.any is not among its events, so what the account itself sends is lost",
            mend="Set its events to " + ",".join(EVENTS),
        )
        return
    if "message" in subscribed:
        yield Trouble(
            broken=False,
            found="it subscribes to both message and message.any, so messages come twice",
            mend="Set its events to " + ",".join(EVENTS),
        )
    missing = [event for event in EVENTS if event not in subscribed]
    archived = [event for event in missing if event not in _KEPT_RAW]
    raw = [event for event in missing if event in _KEPT_RAW]
    if archived:
        yield Trouble(
            broken=False,
            found="some events are not among its events: " + ", ".join(archived),
            mend="Add them to its events, to archive what they tell.",
        )
    if raw:
        yield Trouble(
            broken=False,
            found="some events are not among its events: " + ", ".join(raw),
            mend="Add them to its events, if a later version shall have them: today the archive "
            "has no place for calls and labels, and keeps these events raw.",
        )


def _retries(retries: RetriesConfig) -> Iterator[Trouble]:
    if retries.window_s < _SHORTEST_WINDOW_S:
        yield Trouble(
            broken=False,
            found=f"WAHA gives a delivery up after {retries.window_s:,.0f} s of trying",
            mend=f"Set its retries to policy {RETRIES_POLICY}, delaySeconds {RETRIES_DELAY_S}, "
            f"attempts {RETRIES_ATTEMPTS}: that lasts four and a half hours or more.",
        )


def _same(given: str, secret: str | None) -> bool:
    expected = (secret or "").encode("utf-8", "surrogateescape")
    return hmac.compare_digest(given.encode("utf-8", "surrogatepass"), expected)
