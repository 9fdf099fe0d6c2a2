"""Is the gateway well? Asked by people, by container runtimes and by load balancers."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Protocol

import msgspec
import structlog
from litestar import Response, Router, get
from litestar.di import NamedDependency
from litestar.openapi.datastructures import ResponseSpec
from litestar.openapi.spec import Example
from litestar.params import SkipValidation

from wagateway.domain.health import AWAY
from wagateway.domain.views import SessionView
from wagateway.entrypoints.http.problems import documented
from wagateway.entrypoints.question import Question, trouble
from wagateway.ports.archive import ArchiveReader
from wagateway.ports.clock import Clock
from wagateway.ports.feed import ChangeFeed
from wagateway.ports.spool import Spool, SpoolDepth

_STUCK = timedelta(minutes=2)
"""A worker looks for work every second or so; longer than a hanging database may hold it."""

_TRIED_EVERY_S = 30.0
_HELD_UP = timedelta(minutes=1)
"""No transaction of ours lasts as long, but for migrations."""

_log: structlog.typing.FilteringBoundLogger = structlog.get_logger("wagateway.health")


class HealthStatus(StrEnum):
    """How well a part, or the whole, is."""

    OK = "ok"
    DEGRADED = "degraded"
    """It works, slower or without something that is not needed for correctness; or nothing of a
    session comes in, since it is not working in WAHA."""
    DOWN = "down"


class PartHealth(msgspec.Struct, frozen=True, kw_only=True):
    """How well one part is; *detail* says in words what is wrong, without secrets or addresses."""

    status: HealthStatus
    detail: str | None = None


class HealthReport(msgspec.Struct, frozen=True, kw_only=True):
    """How well the whole is, and each part by name."""

    status: HealthStatus
    parts: dict[str, PartHealth]


Health = Callable[[], Awaitable[HealthReport]]
"""Return how the gateway is, within seconds; anybody may read the answer."""


def store_health(reader: ArchiveReader, *, timeout_s: float = 2.0) -> Health:
    """Return the health check that asks the archive's store, giving it *timeout_s* to answer.

    However many ask while the store hangs, only one question to it is open. A session that is not
    working is another part: no more than degraded, since the gateway can do nothing about it.
    """
    ping, sessions = Question(reader.ping, timeout_s), Question(reader.sessions, timeout_s)

    async def report() -> HealthReport:
        reason = trouble(await ping())
        if reason is not None:
            _log.warning("store_down", reason=reason)
            detail = "The database does not answer; the log says why."
            store = PartHealth(status=HealthStatus.DOWN, detail=detail)
            return HealthReport(status=store.status, parts={"store": store})
        parts = {
            "store": PartHealth(status=HealthStatus.OK),
            "sessions": _sessions_part(await sessions()),
        }
        return HealthReport(status=_worst(parts), parts=parts)

    return report


def _worst(parts: Mapping[str, PartHealth]) -> HealthStatus:
    return max((part.status for part in parts.values()), key=_badness)


def _badness(status: HealthStatus) -> int:
    return list(HealthStatus).index(status)


def _sessions_part(asked: asyncio.Task[list[SessionView]]) -> PartHealth:
    """Return how the sessions are, without a name: anybody may read it."""
    try:
        reason = trouble(asked)
    except Exception as exc:  # noqa: BLE001 - a restart of the gateway would not mend it
        reason = type(exc).__name__
    if reason is not None:
        _log.warning("sessions_unknown", reason=reason)
        detail = "The sessions cannot be read; the log says why."
        return PartHealth(status=HealthStatus.DEGRADED, detail=detail)
    if any(view.current and view.status in AWAY for view in asked.result()):
        detail = (
            "A session is stopped, failed or not paired in WAHA, so nothing of it comes in: "
            "GET /api/sessions tells which."
        )
        return PartHealth(status=HealthStatus.DEGRADED, detail=detail)
    return PartHealth(status=HealthStatus.OK)


class Working(Protocol):
    """What a worker tells of itself."""

    beat_at: datetime | None
    running: int
    problem: str | None


def with_workers(
    store: Health, workers: Mapping[str, Working | None], clock: Clock, *, alone: bool
) -> Health:
    """Return the health check *store* with how each worker is as another part.

    Args:
        store: the archive's own check.
        workers: what each tells of itself, by its part's name; None where it is switched off.
        clock: for how long one has told nothing.
        alone: the process is there for its workers, so that one that does not look for work any
            more is down; beside the webhook it is never worse than degraded.
    """

    async def report() -> HealthReport:
        told = await store()
        parts = dict(told.parts)
        for name, state in workers.items():
            if state is not None:
                parts[name] = _worker_part(name, state, clock(), alone=alone)
        return HealthReport(status=_worst(parts), parts=parts)

    return report


def with_spool(store: Health, spool: Spool | None, *, timeout_s: float = 2.0) -> Health:
    """Return the health check *store* with what waits in *spool* as another part.

    Where one of database and spool is down, the whole is degraded: it takes webhooks, which a load
    balancer would else send to nobody.
    """
    if spool is None:
        return store
    depth = Question(_Tried(spool), timeout_s)

    async def report() -> HealthReport:
        told, asked = await asyncio.gather(store(), depth())
        part = _spool_part(asked)
        ways = {told.parts["store"].status, part.status}
        intake = ways.pop() if len(ways) == 1 else HealthStatus.DEGRADED
        rest = [each.status for name, each in told.parts.items() if name != "store"]
        parts = {**told.parts, "spool": part}
        return HealthReport(status=max([intake, *rest], key=_badness), parts=parts)

    return report


class _Tried:
    """Counts what waits in a spool that was tried not long ago: a full disk reads well, too."""

    def __init__(self, spool: Spool) -> None:
        self._spool = spool
        self._try_at = float("-inf")

    async def __call__(self) -> SpoolDepth:
        now = asyncio.get_running_loop().time()
        if now >= self._try_at:
            await self._spool.prepare()
            self._try_at = now + _TRIED_EVERY_S
        return await self._spool.depth()


def with_feed(store: Health, feed: ChangeFeed, clock: Clock, *, timeout_s: float = 2.0) -> Health:
    """Return the health check *store* with a part `live` where changes cannot be told on."""
    held = Question(feed.held_since, timeout_s)

    async def report() -> HealthReport:
        told, asked = await asyncio.gather(store(), held())
        if trouble(asked) is not None or not is_held_up(asked.result(), clock()):
            return told
        part = PartHealth(
            status=HealthStatus.DEGRADED,
            detail="A transaction that somebody left open on the PostgreSQL server holds up "
            "GET /api/live; nothing is lost.",
        )
        status = max(told.status, part.status, key=_badness)
        return HealthReport(status=status, parts={**told.parts, "live": part})

    return report


def remembered(
    health: Health, *, for_s: float = 1.0, clock: Callable[[], float] = time.monotonic
) -> Health:
    """Return the health check *health* that looks no more often than once in *for_s* seconds.

    It needs no token, so that anybody could else keep the database busy by asking.
    """
    told: tuple[float, HealthReport] | None = None

    async def report() -> HealthReport:
        nonlocal told
        now = clock()
        if told is None or now - told[0] >= for_s:
            told = (now, await health())
        return told[1]

    return report


def is_held_up(since: datetime | None, now: datetime) -> bool:
    """Tell whether a change that is *since* then to be told waits for too long."""
    return since is not None and now - since > _HELD_UP


def _spool_part(asked: asyncio.Task[SpoolDepth]) -> PartHealth:
    reason = trouble(asked)
    if reason is not None:
        _log.warning("spool_down", reason=reason)
        detail = "The spool cannot be used; the log says why."
        return PartHealth(status=HealthStatus.DOWN, detail=detail)
    depth = asked.result()
    if depth.is_full:
        detail = "The spool is full: nothing more can wait in it."
        return PartHealth(status=HealthStatus.DOWN, detail=detail)
    told = []
    if depth.entries:
        told.append("Webhooks wait in the spool until the database takes them.")
    if depth.set_aside:
        told.append("Some could not be recorded and were set aside; the log says why.")
    status = HealthStatus.DEGRADED if told else HealthStatus.OK
    return PartHealth(status=status, detail=" ".join(told) or None)


def _worker_part(name: str, state: Working, now: datetime, *, alone: bool) -> PartHealth:
    if state.beat_at is None or now - state.beat_at > _STUCK:
        stuck = HealthStatus.DOWN if alone else HealthStatus.DEGRADED
        return PartHealth(status=stuck, detail=f"The {name} worker does not look for work.")
    if state.problem is not None:
        detail = f"The {name} worker cannot work now; the log says why."
        return PartHealth(status=HealthStatus.DEGRADED, detail=detail)
    return PartHealth(status=HealthStatus.OK)


def _documented_report() -> dict[int, ResponseSpec]:
    texts = {200: "It works.", 503: "A part that is needed is down."}
    states = {200: HealthStatus.OK, 503: HealthStatus.DOWN}
    return {
        status: ResponseSpec(
            HealthReport,
            description=text,
            generate_examples=False,
            examples=[Example(value=_example(states[status]))],
        )
        for status, text in texts.items()
    }


def _example(status: HealthStatus) -> object:
    names = ["store"] if status is HealthStatus.DOWN else ["store", "sessions"]
    parts = {name: PartHealth(status=status) for name in names}
    return msgspec.to_builtins(HealthReport(status=status, parts=parts))


async def _answer(health: Health) -> Response[HealthReport]:
    report = await health()
    return Response(report, status_code=503 if report.status is HealthStatus.DOWN else 200)


@get(
    "/",
    summary="How every part is",
    operation_id="health",
    responses={**_documented_report(), **documented(500)},
)
async def whole(health: NamedDependency[SkipValidation[Health]]) -> Response[HealthReport]:
    """Return the state of the whole and of each part; no token is needed.

    `degraded` still answers 200, since a restart would mend nothing: something is slower, webhooks
    wait in the spool for the database (part `spool`), or a session is stopped, failed or not paired
    in WAHA (part `sessions`).
    """
    return await _answer(health)


@get(
    "/ready",
    summary="Can it serve?",
    operation_id="ready",
    responses={**_documented_report(), **documented(500)},
)
async def ready(health: NamedDependency[SkipValidation[Health]]) -> Response[HealthReport]:
    """Return 200 when webhooks can be taken, else 503: for load balancers.

    While the database is away and a spool takes them, other requests get a 503.
    """
    return await _answer(health)


@get(
    "/live",
    summary="Is the process alive?",
    operation_id="live",
    responses={
        200: ResponseSpec(
            HealthReport,
            description="The process answers.",
            generate_examples=False,
            examples=[Example(value={"status": "ok", "parts": {}})],
        ),
        **documented(500),
    },
)
async def live() -> HealthReport:
    """Return 200 as long as the process answers at all, whatever its parts do.

    A database that is away is no reason to restart the gateway.
    """
    return HealthReport(status=HealthStatus.OK, parts={})


def health_router() -> Router:
    """Return the health routes."""
    return Router("/health", route_handlers=[whole, ready, live], tags=["Health"])
