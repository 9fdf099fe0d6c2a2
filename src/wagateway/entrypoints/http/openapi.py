"""The OpenAPI document: what it says besides the routes, and where it is served."""

from importlib.metadata import version
from typing import Any

from litestar import Request, Router
from litestar.connection import ASGIConnection
from litestar.exceptions import NotFoundException
from litestar.handlers.base import BaseRouteHandler
from litestar.openapi import OpenAPIConfig
from litestar.openapi.plugins import JsonRenderPlugin
from litestar.openapi.spec import Components, License, Reference, SecurityScheme, Tag
from typing_extensions import override

from wagateway.entrypoints.http.auth import API_TOKEN_HEADER, HMAC_HEADER, WEBHOOK_TOKEN_HEADER
from wagateway.entrypoints.http.shapes import describe_shapes

DOCUMENT_PATH = "/schema/openapi.json"

_DESCRIPTION = """\
A durable WhatsApp archive without twins, beside WAHA. WAHA posts its events to \
`/webhooks/messages`; everything that came is read under `/api`.

Every error is a problem document (RFC 9457). Lists are read page by page: give `next` of one \
answer to the next request. Instants are ISO 8601 in UTC. People are named by their phone JID \
where it is known, else by their LID."""

_SCHEMES: dict[str, SecurityScheme | Reference] = {
    "apiToken": SecurityScheme(
        type="apiKey",
        name=API_TOKEN_HEADER,
        security_scheme_in="header",
        description="The API token (WHATSAPP_GATEWAY_API_TOKEN). Opens everything under /api.",
    ),
    "bearer": SecurityScheme(
        type="http", scheme="bearer", description="The same API token, as a Bearer credential."
    ),
    "metricsToken": SecurityScheme(
        type="http",
        scheme="bearer",
        description="The token of the metrics (WHATSAPP_METRICS_TOKEN). Opens nothing else.",
    ),
    "webhookToken": SecurityScheme(
        type="apiKey",
        name=WEBHOOK_TOKEN_HEADER,
        security_scheme_in="header",
        description="The webhook token (WHATSAPP_WEBHOOK_TOKEN), a custom header in WAHA.",
    ),
    "webhookHmac": SecurityScheme(
        type="apiKey",
        name=HMAC_HEADER,
        security_scheme_in="header",
        description=(
            "HMAC-SHA512 over the raw body in lower-case hex, as WAHA sends it when its webhook"
            " has an HMAC key. X-Webhook-Hmac-Algorithm, where given, must be sha512."
        ),
    ),
}

_TAGS = [
    Tag(name="Archive", description="What was archived: messages, chats, contacts, sessions."),
    Tag(
        name="Completeness",
        description="Which parts of the history are complete, and the sync that makes them so.",
    ),
    Tag(name="Media", description="Attached files: stored, previewed, and fetched again."),
    Tag(name="Live", description="What changes, as it changes: server-sent events."),
    Tag(name="Event log", description="Everything that the engine told, raw, and its outcome."),
    Tag(name="Webhooks", description="Where the engine posts its events."),
    Tag(name="Metrics", description="How much of what happened, and how the archive stands."),
    Tag(name="Health", description="For people, container runtimes and load balancers."),
]


class DescribedJson(JsonRenderPlugin):
    """Serves the document with the meaning of every field."""

    @override
    def render(self, request: Request[Any, Any, Any], openapi_schema: dict[str, Any]) -> bytes:
        return self.render_json(request, dict(describe_shapes(openapi_schema)))


def openapi_config() -> OpenAPIConfig:
    """Return the configuration that serves the document, and nothing else, under ``/schema``."""
    return OpenAPIConfig(
        title="wagateway",
        version=version("wagateway"),
        description=_DESCRIPTION,
        license=License(name="Apache-2.0", identifier="Apache-2.0"),
        tags=_TAGS,
        components=Components(security_schemes=_SCHEMES),
        use_handler_docstrings=True,
        render_plugins=[DescribedJson(path="/openapi.json")],
        openapi_router=Router(
            "/schema", route_handlers=[], include_in_schema=False, guards=[_only_the_document]
        ),
    )


def _only_the_document(connection: ASGIConnection[Any, Any, Any, Any], _: BaseRouteHandler) -> None:
    """Keep Litestar's own not-found page away: it is HTML, and errors here are problems."""
    if connection.scope["path"] not in {"/schema", DOCUMENT_PATH}:
        raise NotFoundException
