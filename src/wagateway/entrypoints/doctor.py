"""Every hop between WhatsApp and the archive, looked at in order; prints and leaves nothing."""

import hmac
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import AbstractAsyncContextManager, aclosing
from datetime import UTC, datetime

import httpx
import msgspec
from msgspec import Struct
from msgspec.structs import replace

from wagateway.adapters.embedded.account import user_name
from wagateway.adapters.timescale.migrate import status, storage_of
from wagateway.domain.errors import WagatewayError
from wagateway.domain.events import Outcome, SessionStatus
from wagateway.entrypoints.addresses import local_url
from wagateway.entrypoints.asking import asking
from wagateway.entrypoints.backup_check import backup_findings
from wagateway.entrypoints.containers import open_services
from wagateway.entrypoints.exposure import exposure_findings
from wagateway.entrypoints.findings import Finding, Verdict, fail, ok, skipped, warn
from wagateway.entrypoints.http.auth import (
    API_TOKEN_HEADER,
    HMAC_ALGORITHM_HEADER,
    HMAC_HEADER,
    WEBHOOK_TOKEN_HEADER,
)
from wagateway.entrypoints.http.health import HealthReport, HealthStatus, is_held_up
from wagateway.entrypoints.media_check import media_finding
from wagateway.entrypoints.plans import storage_plan
from wagateway.entrypoints.redis_check import redis_finding
from wagateway.entrypoints.secrets import GatewaySecrets, known_secrets
from wagateway.entrypoints.settings import Settings
from wagateway.entrypoints.spool_check import spool_finding
from wagateway.entrypoints.storage_check import storage_finding
from wagateway.entrypoints.strangers import stranger_on
from wagateway.entrypoints.waha_check import Heard, silence_finding, waha_findings
from wagateway.entrypoints.waha_webhook import WEBHOOK_PATH
from wagateway.ports.archive import ArchiveReader, LogFilter

OpenDatabase = Callable[[Settings], AbstractAsyncContextManager[Settings]]
"""Yields settings whose database can be connected to; raises WagatewayError."""

_API = "api"
_WEBHOOK = "webhook"
_NO_EVENTS = b"[]"
_JSON = {"Content-Type": "application/json"}
_UNAUTHORIZED = 401
_TOO_MANY = 429
_OK = 200


class Report(Struct, frozen=True, kw_only=True):
    """All findings in order.

    Attributes:
        ok: nothing is broken; warnings may be left.
        broken: the first broken hop; those after it may only follow from it.
    """

    ok: bool
    broken: str | None
    findings: Sequence[Finding]


def report_of(findings: Sequence[Finding]) -> Report:
    """Return the report of *findings*."""
    broken = next((f.hop for f in findings if f.verdict is Verdict.FAIL), None)
    return Report(ok=broken is None, broken=broken, findings=findings)


async def examine(
    load: Callable[[], Settings], open_database: OpenDatabase
) -> AsyncGenerator[Finding]:
    """Look at every hop in order, and yield what is found as soon as it is.

    Args:
        load: reads the settings.
        open_database: makes the database reachable.
    """
    try:
        settings = load()
    except WagatewayError as exc:
        yield fail("settings", str(exc), "Correct the variables, in the environment or in .env.")
        return
    yield ok("settings", f"{settings.backend} database, port {settings.port}")
    secrets, finding = _secrets(settings)
    yield finding
    for warning in exposure_findings(settings, secrets):
        yield warning
    heard: Heard | None = None
    # Each is closed at once where the caller stops early: what they opened would outlive the loop.
    async with aclosing(_archive(settings, open_database)) as archive:
        async for found in archive:
            if isinstance(found, Heard):
                heard = found
            else:
                yield found
    yield await spool_finding(settings)
    yield await media_finding(settings)
    redis = await redis_finding(settings)
    if redis is not None:
        yield redis
    async with aclosing(backup_findings(settings)) as backups:
        async for finding in backups:
            yield finding
    async with aclosing(_api(settings, secrets)) as api:
        async for finding in api:
            yield finding
    async with aclosing(waha_findings(settings, secrets, heard)) as waha:
        async for finding in waha:
            yield finding


def _secrets(settings: Settings) -> tuple[GatewaySecrets | None, Finding]:
    """Return the secrets, without making any, and how they are."""
    hop = "secrets"
    try:
        secrets = known_secrets(settings.data_dir, settings)
    except WagatewayError as exc:
        return None, fail(hop, "they cannot be used", str(exc))
    if secrets is None:
        return None, warn(
            hop,
            "some are not configured, and were not made yet",
            "Start `wagateway up`, which makes them, or set WHATSAPP_GATEWAY_API_TOKEN and "
            "WHATSAPP_WEBHOOK_TOKEN.",
        )
    where = f"kept in {secrets.path}" if secrets.path else "configured"
    ways = [
        name
        for name, value in (("token", secrets.webhook_token), ("HMAC", secrets.webhook_hmac_key))
        if value
    ]
    return secrets, ok(hop, f"{where}; webhooks prove themselves by {' or '.join(ways)}")


async def _archive(
    settings: Settings, open_database: OpenDatabase
) -> AsyncGenerator[Finding | Heard]:
    """Yield the findings of database, schema and log, and what was heard of each session."""
    if settings.backend == "memory":
        yield warn("database", "memory:// keeps nothing", "Name a PostgreSQL, or none at all.")
        return
    try:
        async with open_database(settings) as opened, aclosing(_opened(opened)) as looks:
            async for found in looks:
                yield found
    except WagatewayError as exc:
        problem, _, remedy = str(exc).rpartition("\n")
        told = f"it cannot be used. {problem}" if problem else "it cannot be used"
        yield fail("database", told, remedy)
        yield skipped("schema", "the database cannot be used")
        yield skipped("log", "the database cannot be used")


async def _opened(settings: Settings) -> AsyncGenerator[Finding | Heard]:
    schema = await status(settings.migration_url or "")
    yield ok("database", "it answers")
    if schema.pending:
        names = ", ".join(migration.name for migration in schema.pending)
        yield fail("schema", f"it lacks {names}", "Run `wagateway migrate`.")
        yield skipped("log", "the schema is not up to date")
        return
    yield ok("schema", f"it is up to date, at {schema.applied[-1].name}")
    found = await storage_of(settings.migration_url or "")
    yield storage_finding(found, storage_plan(settings))
    async with open_services(replace(settings, auto_migrate=False)) as services:
        yield await _log(services.reader)
        if is_held_up(since := await services.live.feed.held_since(), datetime.now(UTC)):
            yield warn(
                "live",
                f"changes since {since:%Y-%m-%d %H:%M:%S} UTC are held up by a transaction that "
                "is open on the PostgreSQL server",
                "Nothing is lost. In SQL: SELECT pid, datname, xact_start FROM pg_stat_activity "
                "WHERE backend_xid IS NOT NULL ORDER BY xact_start; end the first.",
            )
        current = [s for s in await services.reader.sessions() if s.current]
        reports = [await services.sync.report(s.session) for s in current]
    webhooks = {each.session: each.health.last_event_at for each in reports}
    heard = Heard(
        asked_at=datetime.now(UTC), last_event_at={k: at for k, at in webhooks.items() if at}
    )
    yield heard
    if settings.engine_url is None:  # else WAHA itself tells, and knows better, what is working
        for session in current:
            if session.status is SessionStatus.WORKING:
                silence = silence_finding(session.session, heard)
                if silence is not None:
                    yield silence


async def _log(reader: ArchiveReader) -> Finding:
    counts = await reader.counts()
    found = ", ".join(f"{counts.get(outcome, 0):,} {outcome.value}" for outcome in Outcome)
    if not counts.get(Outcome.FAILED):
        return ok("log", found)
    newest = await reader.events(LogFilter(outcome=Outcome.FAILED), limit=1)
    reason = newest.events[0].reason if newest.events else None
    return warn(
        "log",
        f"{found}; the newest failure: {reason or 'no reason was kept'}",
        "Nothing is lost: upgrade wagateway, then run `wagateway replay --outcome failed`.",
    )


async def _api(settings: Settings, secrets: GatewaySecrets | None) -> AsyncGenerator[Finding]:
    """Yield the findings of the running gateway: its health, its API, and its webhook's door."""
    url = local_url(settings.host, settings.port)
    async with asking(url) as client:
        try:
            # Who is foreign is not even asked: the answer might have no end. Once more afterwards,
            # since the port may have been free before.
            ill = _foreign(settings, url)
            ill = ill or _ill(await client.get("/health"), url) or _foreign(settings, url)
            # Only wagateway is shown the tokens: another program on the port might keep them.
            if ill is not None:
                yield ill
                return
            yield _admitted(await client.get("/api/sessions", headers=_token(secrets)), url)
            if secrets is not None:
                yield await _webhook(client, secrets)
        except httpx.RequestError as exc:
            yield fail(
                _API,
                f"nothing answers at {url} ({type(exc).__name__})",
                "Start `wagateway up`, or tell where it runs by --port.",
            )


async def _webhook(client: httpx.AsyncClient, secrets: GatewaySecrets) -> Finding:
    """Deliver nothing at all, an empty list of events, once by each way that WAHA may take."""
    ways = _ways(secrets)
    refused = []
    for name, headers in ways.items():
        answer = await client.post(WEBHOOK_PATH, content=_NO_EVENTS, headers=_JSON | headers)
        if answer.status_code == _UNAUTHORIZED:
            refused.append(name)
        elif answer.status_code == _TOO_MANY:
            return _asked_to_wait(_WEBHOOK)
        elif answer.status_code != _OK:
            return fail(
                _WEBHOOK,
                f"it answers {answer.status_code} to a delivery of no events",
                "Its log says why; a proxy in between may say so too.",
            )
    if refused:
        return fail(
            _WEBHOOK,
            f"the running gateway refuses the {' and the '.join(refused)} that is known here, so "
            "deliveries that carry it are lost",
            "Restart the gateway, so that it takes the settings and secrets of now; or give this "
            "command the data folder and the settings of that gateway.",
        )
    return ok(_WEBHOOK, f"it accepts the {' and the '.join(ways)}")


def _ways(secrets: GatewaySecrets) -> dict[str, dict[str, str]]:
    """Return the headers by which WAHA may prove itself, by the way's name."""
    ways = {}
    if secrets.webhook_token:
        ways["webhook token"] = {WEBHOOK_TOKEN_HEADER: secrets.webhook_token}
    if secrets.webhook_hmac_key:
        key = secrets.webhook_hmac_key.encode("utf-8", "surrogateescape")
        ways["HMAC key"] = {
            HMAC_HEADER: hmac.digest(key, _NO_EVENTS, "sha512").hex(),
            HMAC_ALGORITHM_HEADER: "sha512",
        }
    return ways


def _ill(health: httpx.Response, url: str) -> Finding | None:
    try:
        report = msgspec.json.decode(health.content, type=HealthReport)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return fail(
            _API,
            f"what answers at {url} is not wagateway",
            "Stop that program, or choose another port by WHATSAPP_GATEWAY_API_PORT.",
        )
    down = [name for name, part in report.parts.items() if part.status is HealthStatus.DOWN]
    if down:
        told = ", ".join(down)
        return fail(
            _API, f"it runs, but says of a part that it is down: {told}", "Its log says why."
        )
    return None


def _foreign(settings: Settings, url: str) -> Finding | None:
    uid = stranger_on(settings.port, settings.data_dir.expanduser().resolve())
    if uid is None:
        return None
    return fail(
        _API,
        f"what answers at {url} is run by {user_name(uid)}, so it is shown no token",
        "Does that user run wagateway? Then run this as that user. Else find out who took the "
        "port, stop that program, and start `wagateway up` again.",
    )


def _admitted(sessions: httpx.Response, url: str) -> Finding:
    if sessions.status_code == _UNAUTHORIZED:
        return fail(
            _API,
            f"it runs at {url} and refuses the API token that is known here",
            "Give this command the data folder or WHATSAPP_GATEWAY_API_TOKEN of that gateway.",
        )
    if sessions.status_code == _TOO_MANY:
        return _asked_to_wait(_API)
    if sessions.status_code != _OK:
        return fail(_API, f"it runs and answers {sessions.status_code}", "Its log says why.")
    return ok(_API, f"it runs at {url} and accepts the API token")


def _asked_to_wait(hop: str) -> Finding:
    return fail(
        hop,
        "it answers 429: too many requests came from this machine, or too many with a wrong token "
        "or signature",
        "Find what sends them (a WAHA with an old token? a program that asks without a pause?), "
        "wait a minute, and look again.",
    )


def _token(secrets: GatewaySecrets | None) -> dict[str, str]:
    return {API_TOKEN_HEADER: secrets.api_token} if secrets else {}
