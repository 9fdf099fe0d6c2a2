"""``/metrics``: what Prometheus reads, for whoever has its token or that of the API."""

from collections.abc import Awaitable, Callable
from typing import Any

from litestar import Response, Router, get
from litestar.connection import ASGIConnection
from litestar.di import NamedDependency
from litestar.exceptions import NotAuthorizedException
from litestar.handlers.base import BaseRouteHandler
from litestar.openapi.datastructures import ResponseSpec
from litestar.openapi.spec import Example
from litestar.params import SkipValidation
from litestar.types import Guard

from wagateway.entrypoints.http.auth import API_TOKEN_HEADER, CHALLENGE, MetricsAccess
from wagateway.entrypoints.http.limits import Limits
from wagateway.entrypoints.http.problems import documented

PLAIN_TEXT = "text/plain; version=0.0.4"  # the charset comes by itself

Metrics = Callable[[], Awaitable[bytes]]
"""Return the page in Prometheus' text format, within seconds; it never fails."""

_DETAIL = (
    "A valid token is required, that of the metrics or that of the API: Authorization: Bearer, or "
    f"header {API_TOKEN_HEADER}."
)
_EXAMPLE = """\
# HELP wagateway_database_up 1 where the database told how the archive stands, else 0.
# TYPE wagateway_database_up gauge
wagateway_database_up 1.0
"""


@get(
    "/metrics",
    summary="Metrics for Prometheus",
    operation_id="metrics",
    responses={
        200: ResponseSpec(
            str,
            description="The page in Prometheus' text format, version 0.0.4.",
            media_type="text/plain",
            generate_examples=False,
            examples=[Example(value=_EXAMPLE)],
        ),
        **documented(401, 429, 500),
    },
)
async def metrics(metrics_page: NamedDependency[SkipValidation[Metrics]]) -> Response[bytes]:
    """Return what this process counts, and how the archive stands.

    The token is that of `WHATSAPP_METRICS_TOKEN`, which opens nothing else, or that of the API. It
    answers 200 also while the database is away: `wagateway_database_up` is 0 then.
    """
    return Response(
        await metrics_page(),
        media_type=PLAIN_TEXT,
        headers={"Cache-Control": "no-store"},
    )


def metrics_router(access: MetricsAccess, limits: Limits) -> Router:
    """Return the route, for whom *access* admits; *limits* say how often one may try."""
    return Router(
        "/",
        route_handlers=[metrics],
        guards=[_guard(access, limits)],
        tags=["Metrics"],
        security=[{"metricsToken": []}, {"apiToken": []}],
    )


def _guard(access: MetricsAccess, limits: Limits) -> Guard:
    async def guard(connection: ASGIConnection[Any, Any, Any, Any], _: BaseRouteHandler) -> None:
        if not access.admits(connection.scope["headers"]):
            await limits.failed(limits.client_of(connection.scope))
            raise NotAuthorizedException(detail=_DETAIL, headers=CHALLENGE)

    return guard
