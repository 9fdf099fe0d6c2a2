"""The HTTP application: routes, what surrounds them, and nothing of the outside world."""

from collections.abc import Callable, Collection, Sequence
from contextlib import AbstractAsyncContextManager

from litestar import Litestar
from litestar.di import Provide
from litestar.types import ControllerRouterHandler

from wagateway.entrypoints.http.access_log import Requested, access_logged
from wagateway.entrypoints.http.api import api_router
from wagateway.entrypoints.http.auth import HttpSecurity, MetricsAccess, api_gate, api_guard
from wagateway.entrypoints.http.cors import with_cors
from wagateway.entrypoints.http.deadline import answered_in_time
from wagateway.entrypoints.http.docs import documentation, front_door
from wagateway.entrypoints.http.health import Health, health_router
from wagateway.entrypoints.http.limits import Limits
from wagateway.entrypoints.http.live import live_router
from wagateway.entrypoints.http.media import media_router
from wagateway.entrypoints.http.metrics import Metrics, metrics_router
from wagateway.entrypoints.http.openapi import openapi_config
from wagateway.entrypoints.http.problems import ERROR_HANDLERS
from wagateway.entrypoints.http.security_headers import with_security_headers
from wagateway.entrypoints.http.sync import sync_router
from wagateway.entrypoints.http.webhooks import Ingest, Intake, receive_event
from wagateway.ports.archive import ArchiveReader
from wagateway.usecases.live import Live
from wagateway.usecases.media_library import MediaLibrary
from wagateway.usecases.sync_control import SyncControl

Lifespan = Callable[[Litestar], AbstractAsyncContextManager[None]]


def create_app(  # noqa: PLR0913 - all that the application is made of, by name
    *,
    ingest: Ingest,
    reader: ArchiveReader,
    sync: SyncControl,
    library: MediaLibrary,
    live: Live,
    health: Health,
    security: HttpSecurity,
    limits: Limits | None = None,
    metrics: Metrics | None = None,
    requested: Requested | None = None,
    max_body_bytes: int = 16 * 2**20,
    body_timeout_s: float = 30.0,
    answer_timeout_s: float = 28.0,
    cors_origins: Collection[str] = (),
    behind_tls: bool = False,
    docs: bool = True,
    lifespan: Sequence[Lifespan] = (),
) -> Litestar:
    """Build the application; it opens nothing by itself.

    Args:
        ingest: records one webhook body durably.
        reader: what ``/api`` reads.
        sync: answers and obeys ``/api/sync`` and ``/api/coverage``.
        library: what ``/api/media`` reads.
        live: what ``/api/live`` follows.
        health: what ``/health`` tells, without a token.
        security: tokens and keys.
        limits: how often one client may ask, and fail to prove itself; None: without end.
        metrics: what ``/metrics`` tells, with a token; None: there is no such route.
        requested: is told of each request.
        max_body_bytes: of a webhook; larger ones are refused without being read.
        body_timeout_s: for a webhook's whole body.
        answer_timeout_s: until an answer of ``/api`` begins; then it is a 503.
        cors_origins: of the pages that may read ``/api`` in a browser, as browsers write them.
        behind_tls: browsers reach it by https alone.
        docs: serve ``/docs`` and the OpenAPI document, both without a token.
        lifespan: entered in order when the server starts, left in reverse when it stops.
    """
    limits = limits or Limits()
    intake = Intake(
        ingest=ingest,
        security=security,
        limits=limits,
        max_body_bytes=max_body_bytes,
        body_timeout_s=body_timeout_s,
    )
    app = Litestar(
        route_handlers=[
            *_routes(security),
            *([metrics_router(security.metrics, limits)] if metrics else []),
            *([front_door, documentation()] if docs else []),
        ],
        dependencies={
            "intake": _given(intake),
            "reader": _given(reader),
            "sync": _given(sync),
            "library": _given(library),
            "live": _given(live),
            "health": _given(health),
            "metrics_page": _given(metrics),
        },
        exception_handlers=dict(ERROR_HANDLERS),
        openapi_config=openapi_config() if docs else None,
        lifespan=list(lifespan),
        logging_config=None,
        debug=False,
    )
    # Litestar's own middleware sees only requests that match a route; these see all of them.
    gated = api_gate(answered_in_time(app.asgi_handler, answer_timeout_s), security, limits)
    inner = with_security_headers(with_cors(gated, cors_origins), behind_tls=behind_tls)
    app.asgi_handler = access_logged(inner, requested) if requested else access_logged(inner)
    return app


def _routes(security: HttpSecurity) -> list[ControllerRouterHandler]:
    """Return what every application answers."""
    guard = api_guard(security)
    return [
        receive_event,
        api_router(guard),
        sync_router(guard),
        media_router(guard),
        live_router(guard),
        health_router(),
    ]


def _given(it: object) -> Provide:
    """Return what gives handlers *it*, for each request the same."""
    return Provide(lambda: it, sync_to_thread=False)


def create_health_app(
    health: Health, metrics: Metrics, access: MetricsAccess, limits: Limits | None = None
) -> Litestar:
    """Build an application that only answers ``/health``, and ``/metrics`` to whom *access* admits.

    It is for processes that serve nothing else. *limits* say how often one may try to get in; None:
    without end.
    """
    app = Litestar(
        route_handlers=[health_router(), metrics_router(access, limits or Limits())],
        dependencies={"health": _given(health), "metrics_page": _given(metrics)},
        exception_handlers=dict(ERROR_HANDLERS),
        openapi_config=None,
        logging_config=None,
        debug=False,
    )
    app.asgi_handler = with_security_headers(app.asgi_handler)
    return app
