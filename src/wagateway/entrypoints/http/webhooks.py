"""Where the engine posts its events: everything is checked before anything is parsed."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any, ClassVar

import msgspec
from litestar import Request, post
from litestar.di import NamedDependency
from litestar.exceptions import HTTPException, NotAuthorizedException
from litestar.openapi.datastructures import ResponseSpec
from litestar.openapi.spec import (
    Example,
    OpenAPIMediaType,
    OpenAPIType,
    Operation,
    RequestBody,
    Schema,
)
from litestar.params import SkipValidation
from litestar.types import Receive

from wagateway.domain.errors import InvalidInput, Unavailable
from wagateway.entrypoints.http import examples
from wagateway.entrypoints.http.auth import HttpSecurity, RawHeaders
from wagateway.entrypoints.http.limits import Limits
from wagateway.entrypoints.http.problems import documented
from wagateway.entrypoints.waha_webhook import WEBHOOK_PATH
from wagateway.usecases.ingest import Ingested

Ingest = Callable[[bytes], Awaitable[Ingested]]
"""Record one body durably; raises InvalidInput and StoreUnavailable."""

_CLOSE = {"Connection": "close"}
"""Who was refused before the end of the body is not read any further."""


@dataclass(slots=True)
class _Held:
    """What senders may make us keep before their bodies are whole.

    Attributes:
        size_bytes: of all.
        unproven_bytes: of those who have proven nothing yet: a signature comes true at the end.
    """

    size_bytes: int = 0
    unproven_bytes: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Intake:
    """One delivery's way in: media type, size, token, body, signature, and only then its content.

    Attributes:
        limits: how often a client may fail to prove itself; deliveries that are proven are not
            counted, since the engine repeats them.
        max_body_bytes: not a byte more is kept.
        body_timeout_s: for the whole body, so that a slow sender cannot hold a place.
        max_held_bytes: of all bodies that are being received, together; half of it of those whose
            sender has never proven anything, so that strangers do not keep the engine out.
    """

    ingest: Ingest
    security: HttpSecurity
    limits: Limits
    max_body_bytes: int
    body_timeout_s: float
    max_held_bytes: int = 256 * 2**20
    _held: _Held = field(default_factory=_Held, init=False)

    async def __call__(self, headers: RawHeaders, receive: Receive, client: str) -> Ingested:
        """Check and record what *client* sends through *receive*; answer after it is durable."""
        require_plain_json(headers)
        self._require_declared_size(headers)
        try:
            body = await self._proven_body(headers, receive, client)
        except NotAuthorizedException:
            await self.limits.failed(client)
            raise
        return await self.ingest(body)

    async def _proven_body(self, headers: RawHeaders, receive: Receive, client: str) -> bytes:
        self.security.require_webhook_promise(headers)
        if not self.security.needs_signature(headers):
            body = await self._body(receive)
            self.security.require_webhook_signature(headers, body)
            return body
        await self.limits.require_good_name(client)
        try:
            body = await self._body(receive, proven=self.limits.is_proven(client))
        except (HTTPException, InvalidInput):  # who never ends a body proves nothing either
            await self.limits.failed(client)
            raise
        self.security.require_webhook_signature(headers, body)
        self.limits.proved(client)
        return body

    def _require_declared_size(self, headers: RawHeaders) -> None:
        for declared in (value for name, value in headers if name == b"content-length"):
            if not declared.isdigit():
                raise InvalidInput("Content-Length must be a whole number of bytes")
            if len(declared) > len(str(self.max_body_bytes)) or int(declared) > self.max_body_bytes:
                raise self._too_large()

    async def _body(self, receive: Receive, *, proven: bool = True) -> bytes:
        try:
            async with asyncio.timeout(self.body_timeout_s):
                return await self._read(receive, proven=proven)
        except TimeoutError as exc:
            raise HTTPException(
                detail=f"The body did not arrive within {self.body_timeout_s:g} seconds.",
                status_code=408,
                headers=_CLOSE,
            ) from exc

    async def _read(self, receive: Receive, *, proven: bool) -> bytes:
        chunks: list[bytes] = []
        size = 0
        try:
            while True:
                message = await receive()
                if message["type"] != "http.request":
                    raise InvalidInput("the connection ended before the body did")
                # Both may be left out, says ASGI; not every server writes them.
                body, more = message.get("body", b""), message.get("more_body", False)
                size += len(body)
                self._hold(len(body), proven=proven)
                if size > self.max_body_bytes:
                    raise self._too_large()
                if self._is_full(proven=proven):
                    raise Unavailable("too much is being received at once; repeat later")
                chunks.append(body)
                if not more:
                    return b"".join(chunks)
        finally:
            self._hold(-size, proven=proven)

    def _hold(self, more_bytes: int, *, proven: bool) -> None:
        self._held.size_bytes += more_bytes
        self._held.unproven_bytes += 0 if proven else more_bytes

    def _is_full(self, *, proven: bool) -> bool:
        if not proven and self._held.unproven_bytes > self.max_held_bytes // 2:
            return True
        return self._held.size_bytes > self.max_held_bytes

    def _too_large(self) -> HTTPException:
        return HTTPException(
            detail=f"A body may have at most {self.max_body_bytes} bytes.",
            status_code=413,
            headers=_CLOSE,
        )


def require_plain_json(headers: RawHeaders) -> None:
    """Check that the body is declared as JSON in UTF-8, and not compressed.

    Raises:
        HTTPException: 415.
    """
    types = [value for name, value in headers if name == b"content-type"]
    encodings = [value.lower() for name, value in headers if name == b"content-encoding"]
    if len(types) != 1 or not _is_json(types[0]) or set(encodings) - {b"identity"}:
        raise HTTPException(status_code=415, headers=_CLOSE)


def _is_json(content_type: bytes) -> bool:
    media_type, *parameters = [part.strip().lower() for part in content_type.split(b";")]
    pairs = [parameter.partition(b"=") for parameter in parameters]
    charsets = {value.strip(b'"') for name, _, value in pairs if name == b"charset"}
    return media_type == b"application/json" and charsets <= {b"utf-8", b"utf8"}


@dataclass
class WebhookOperation(Operation):
    """The operation with its body documented; Litestar cannot know it, as no handler names it."""

    BODY: ClassVar = RequestBody(
        description="An event envelope as WAHA sends it, or a JSON array of envelopes.",
        required=True,
        content={
            "application/json": OpenAPIMediaType(
                schema=Schema(type=[OpenAPIType.OBJECT, OpenAPIType.ARRAY]),
                examples={"message": Example(summary="A text", value=examples.ENVELOPE)},
            )
        },
    )

    def __post_init__(self) -> None:
        self.request_body = self.BODY


@post(
    WEBHOOK_PATH,
    summary="Take in an event",
    tags=["Webhooks"],
    status_code=200,
    operation_id="receive_event",
    operation_class=WebhookOperation,
    security=[{"webhookToken": []}, {"webhookHmac": []}],
    responses={
        200: ResponseSpec(
            Ingested,
            description="Everything is on disk; how many events had which outcome.",
            generate_examples=False,
            examples=[Example(value=msgspec.to_builtins(examples.INGESTED))],
        ),
        **documented(400, 401, 408, 413, 415, 429, 500, 503),
    },
)
async def receive_event(
    request: Request[Any, Any, Any], intake: NamedDependency[SkipValidation[Intake]]
) -> Ingested:
    """Record one delivery of the engine, or a JSON array of them, before answering.

    Events that the archive does not care about are a 200 too, because WAHA repeats everything
    else. Repeating a delivery is harmless. Where both a token and an HMAC key are configured,
    either is enough, and none that is presented may be wrong.
    """
    client = intake.limits.client_of(request.scope)
    return await intake(request.scope["headers"], request.receive, client)
