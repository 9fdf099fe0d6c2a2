"""Is WAHA there, does it let us in, and do its sessions deliver here?

Source: WAHA 2026.9.2 OpenAPI: ``/ping``, ``/api/server/version``, ``/api/sessions``.
"""

from collections.abc import AsyncGenerator, Iterator, Mapping
from datetime import datetime, timedelta
from typing import TypeVar

import httpx
import msgspec
from msgspec import Struct

from wagateway.entrypoints.asking import asking
from wagateway.entrypoints.findings import Finding, fail, ok, skipped, warn
from wagateway.entrypoints.secrets import GatewaySecrets
from wagateway.entrypoints.settings import Settings
from wagateway.entrypoints.waha_webhook import Trouble, WebhookConfig, shown_url, troubles_of
from wagateway.entrypoints.zones import lasting, shown

T = TypeVar("T")

_UNAUTHORIZED = 401
_FORBIDDEN = 403
_HOP = "waha"
_SUSPICIOUS = timedelta(hours=24)
"""A working session that is silent for longer is rare: somebody reads, or writes to oneself."""

_REVIVE = (
    "Is that right? Send a message to this account and look again. If nothing comes: WAHA's "
    "webhook may lead elsewhere since (`wagateway waha-env` shows what WAHA must be told), or its "
    "session hangs (restart it in WAHA)."
)
_ADVICE = {
    "SCAN_QR_CODE": "Scan its QR code with the phone.",
    "STARTING": "Wait a little, then look again.",
}


class Heard(Struct, frozen=True, kw_only=True):
    """What the archive knows.

    Attributes:
        asked_at: when it was asked, aware UTC.
        last_event_at: when each session's last webhook came, by name; what sync read is none.
    """

    asked_at: datetime
    last_event_at: Mapping[str, datetime]

    def silence(self, session: str) -> timedelta | None:
        """Return for how long nothing of *session* came; None where nothing ever did."""
        last = self.last_event_at.get(session)
        return None if last is None else self.asked_at - last


class _Ping(Struct, frozen=True):
    message: str


class _Version(Struct, frozen=True):
    version: str = "of an unknown version"
    engine: str = "engine unknown"
    tier: str | None = None


class _Config(Struct, frozen=True):
    webhooks: tuple[WebhookConfig, ...] | None = None


class _Session(Struct, frozen=True):
    name: str
    status: str = "UNKNOWN"
    config: _Config | None = None

    @property
    def webhooks(self) -> tuple[WebhookConfig, ...]:
        return (self.config and self.config.webhooks) or ()


async def waha_findings(
    settings: Settings, secrets: GatewaySecrets | None, heard: Heard | None
) -> AsyncGenerator[Finding]:
    """Yield what is found of WAHA itself, then of each of its sessions.

    Args:
        settings: WAHA's address and key.
        secrets: what deliveries must prove themselves with; None: not known.
        heard: None when the archive cannot be read.
    """
    if settings.engine_url is None:
        yield skipped(
            _HOP,
            "its address is not configured",
            "Set WHATSAPP_CORE_URL, and WHATSAPP_API_KEY where WAHA has a key.",
        )
        return
    headers = {"X-Api-Key": settings.engine_key} if settings.engine_key else {}
    async with asking(settings.engine_url) as client:
        broken = await _unreachable(client)
        if broken is not None:
            yield broken
            return
        if await _is_open(client):
            yield warn(
                "waha key",
                "it answers whoever reaches it, without a key: they read and send messages",
                "Set WAHA_API_KEY in WAHA's environment, and WHATSAPP_API_KEY here.",
            )
        client.headers.update(headers)  # only now: nobody but WAHA is shown its key
        version = await _version(client)
        sessions = await _sessions(client)
    if isinstance(sessions, Finding):
        yield sessions
        return
    yield _whole(version, sessions)
    for session in sessions:
        for finding in _session_findings(session, settings, secrets, heard):
            yield finding


async def _unreachable(client: httpx.AsyncClient) -> Finding | None:
    url = shown_url(str(client.base_url))
    try:
        answer = await client.get("/ping")
    except (httpx.RequestError, httpx.InvalidURL) as exc:
        return fail(
            _HOP,
            f"{url} cannot be reached from here ({type(exc).__name__})",
            "Start WAHA, or correct WHATSAPP_CORE_URL to how this machine reaches it.",
        )
    ping = _decoded(answer, _Ping)
    if ping is None or ping.message != "pong":
        return fail(
            _HOP,
            f"something answers at {url} with {answer.status_code}, but it is not WAHA",
            "Correct WHATSAPP_CORE_URL: WAHA's own port is 3000, or what the stack maps it to.",
        )
    return None


async def _is_open(client: httpx.AsyncClient) -> bool:
    """Tell whether WAHA tells of its sessions to whoever asks."""
    try:
        answer = await client.get("/api/sessions")
    except httpx.RequestError:
        return False
    return _decoded(answer, list[_Session]) is not None


async def _version(client: httpx.AsyncClient) -> _Version:
    try:
        return _decoded(await client.get("/api/server/version"), _Version) or _Version()
    except httpx.RequestError:
        return _Version()


async def _sessions(client: httpx.AsyncClient) -> list[_Session] | Finding:
    try:
        answer = await client.get("/api/sessions", params={"all": "true"})
    except httpx.RequestError as exc:
        return fail(
            _HOP,
            f"it answers a ping, but not for its sessions ({type(exc).__name__})",
            "Look into WAHA's own log, and restart it if need be.",
        )
    if answer.status_code in (_UNAUTHORIZED, _FORBIDDEN):
        refused = (
            "it refuses the key that is configured"
            if "X-Api-Key" in client.headers
            else "it wants a key, and none is configured"
        )
        return fail(
            _HOP,
            f"it answers {answer.status_code}: {refused}",
            "Set WHATSAPP_API_KEY to WAHA's own key, in plain text, not its sha512 form.",
        )
    sessions = _decoded(answer, list[_Session])
    if sessions is None:
        return fail(
            _HOP,
            f"its answer ({answer.status_code}) about its sessions cannot be understood",
            "Look into WAHA's own log; WAHA versions from 2024.10 on are understood.",
        )
    return sessions


def _whole(version: _Version, sessions: list[_Session]) -> Finding:
    found = ", ".join(
        part for part in (f"WAHA {version.version}", version.engine, version.tier) if part
    )
    if not sessions:
        return warn(_HOP, f"{found}; it has no session", "Start a session in WAHA.")
    return ok(_HOP, f"{found}; sessions: {len(sessions)}")


def _session_findings(
    session: _Session,
    settings: Settings,
    secrets: GatewaySecrets | None,
    heard: Heard | None,
) -> Iterator[Finding]:
    hop = f"waha session {session.name}"
    if session.status == "WORKING":
        silent = silence_finding(session.name, heard) if session.webhooks else None
        yield silent or ok(hop, "it is WORKING")
    else:
        advice = _ADVICE.get(session.status, "Start it in WAHA, if it is still wanted.")
        yield warn(hop, f"it is {session.status}", advice)
    hop = f"webhook of {session.name}"
    if not session.webhooks:
        yield _unseen(hop, session, heard, settings.timezone)
    elif secrets is None:
        yield skipped(hop, "our own secrets are not known")
    else:
        yield from _judged(hop, list(troubles_of(session.webhooks, secrets, port=settings.port)))


def silence_finding(session: str, heard: Heard | None) -> Finding | None:
    """Return a warning where nothing of a working *session* came for suspiciously long."""
    silence = heard.silence(session) if heard else None
    if silence is None or silence <= _SUSPICIOUS:
        return None
    found = f"it is WORKING, and nothing of it arrived for {lasting(silence)}"
    return warn(f"waha session {session}", found, _REVIVE)


def _unseen(hop: str, session: _Session, heard: Heard | None, timezone: str) -> Finding:
    """Judge a session without a webhook of its own: WAHA does not show those of its environment."""
    mend = (
        "Set WHATSAPP_HOOK_URL and the others in WAHA's environment, as `wagateway waha-env` "
        "shows them, or add a webhook to the session."
    )
    if heard is None:
        return warn(hop, "it has none of its own, and the archive cannot be asked", mend)
    last, silence = heard.last_event_at.get(session.name), heard.silence(session.name)
    if last is not None and silence is not None:
        if session.status == "WORKING" and silence > _SUSPICIOUS:
            found = f"it has none of its own, and nothing arrived for {lasting(silence)}"
            return warn(hop, f"{found}, since {shown(last, timezone)}", _REVIVE)
        return ok(
            hop, f"none of its own, but webhooks arrive; the last one at {shown(last, timezone)}"
        )
    found = "it has none of its own, and nothing of it ever arrived here"
    return (fail if session.status == "WORKING" else warn)(hop, found, mend)


def _judged(hop: str, troubles: list[Trouble]) -> Iterator[Finding]:
    if not troubles:
        yield ok(hop, "it leads here, with the right events, retries and secret")
    for trouble in troubles:
        yield (fail if trouble.broken else warn)(hop, trouble.found, trouble.mend)


def _decoded(answer: httpx.Response, shape: type[T]) -> T | None:
    """Return the answer's body, or None when it is not a good answer of that shape."""
    if not answer.is_success:
        return None
    try:
        return msgspec.json.decode(answer.content, type=shape)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None
