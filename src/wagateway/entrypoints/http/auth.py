"""Who may come in: API tokens, webhook tokens, webhook signatures, all in constant time.

A missing credential and a wrong one get the very same answer.
"""

import hmac
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, Self

from litestar.connection import ASGIConnection
from litestar.enums import ScopeType
from litestar.exceptions import NotAuthorizedException, TooManyRequestsException
from litestar.handlers.base import BaseRouteHandler
from litestar.types import ASGIApp, Guard, HTTPScope, Receive, Scope, Send

from wagateway.domain.errors import InvalidInput
from wagateway.entrypoints.http.limits import Limits
from wagateway.entrypoints.http.problems import problem, send_problem

RawHeaders = Iterable[tuple[bytes, bytes]]
"""Names in lower case, as ASGI gives them."""

API_TOKEN_HEADER = "X-Api-Token"  # noqa: S105 - a header's name
WEBHOOK_TOKEN_HEADER = "X-Whatsapp-Token"  # noqa: S105 - a header's name
HMAC_HEADER = "X-Webhook-Hmac"
HMAC_ALGORITHM_HEADER = "X-Webhook-Hmac-Algorithm"
CHALLENGE = {"WWW-Authenticate": "Bearer"}
_API_DETAIL = f"A valid token is required: header {API_TOKEN_HEADER}, or Authorization: Bearer."
_WEBHOOK_DETAIL = (
    f"A valid webhook credential is required: header {WEBHOOK_TOKEN_HEADER}, or {HMAC_HEADER}"
    " with the HMAC-SHA512 of the body."
)


@dataclass(frozen=True, slots=True, kw_only=True)
class HttpSecurity:
    """The secrets of the HTTP interface; none of them shows in a repr.

    Attributes:
        api_token: opens ``/api``.
        webhook_token: expected in ``X-Whatsapp-Token``; None: not used.
        webhook_hmac_key: of the HMAC-SHA512 over the raw body; None: not used.
        metrics_token: opens ``/metrics`` and nothing else; None: only ``api_token`` opens it.

    Raises:
        InvalidInput: an empty secret, or neither way to prove a webhook's origin.
    """

    api_token: str = field(repr=False)
    webhook_token: str | None = field(default=None, repr=False)
    webhook_hmac_key: str | None = field(default=None, repr=False)
    metrics_token: str | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        if "" in (self.api_token, self.webhook_token, self.webhook_hmac_key, self.metrics_token):
            raise InvalidInput("a token or key must not be empty: give it a value or leave it out")
        if self.webhook_token is None and self.webhook_hmac_key is None:
            raise InvalidInput("webhooks need a token or an HMAC key, or anybody could write")

    def admits_api(self, headers: RawHeaders) -> bool:
        """Tell whether at least one API token is presented, and none that is wrong."""
        presented = _values(headers, API_TOKEN_HEADER) + _bearers(headers)
        return bool(presented) and _all_equal(presented, self.api_token)

    @property
    def metrics(self) -> "MetricsAccess":
        """Who may read the metrics."""
        return MetricsAccess.of(self.metrics_token, self.api_token)

    def require_webhook_promise(self, headers: RawHeaders) -> None:
        """Check what can be checked before the body is read: the token, or that a signature comes.

        Raises:
            NotAuthorizedException: nothing that is configured is presented, or the token is wrong.
        """
        tokens = self._presented_tokens(headers)
        if not _all_equal(tokens, self.webhook_token or "") or not (
            tokens or self._presented_hmacs(headers)
        ):
            raise webhook_refusal()

    def needs_signature(self, headers: RawHeaders) -> bool:
        """Tell whether only a signature can prove a webhook that promises to be proven."""
        return not self._presented_tokens(headers)

    def require_webhook_signature(self, headers: RawHeaders, body: bytes) -> None:
        """Check the signature over *body*, where one is presented and a key is configured.

        Raises:
            NotAuthorizedException: it is wrong or of another algorithm than sha512.
        """
        presented = self._presented_hmacs(headers)
        if not presented or self.webhook_hmac_key is None:
            return
        algorithms = _values(headers, HMAC_ALGORITHM_HEADER)
        expected = hmac.digest(_bytes(self.webhook_hmac_key), body, "sha512").hex()
        right = _all_equal(presented, expected)
        if not right or any(algorithm != b"sha512" for algorithm in algorithms):
            raise webhook_refusal()

    def _presented_tokens(self, headers: RawHeaders) -> list[bytes]:
        return [] if self.webhook_token is None else _values(headers, WEBHOOK_TOKEN_HEADER)

    def _presented_hmacs(self, headers: RawHeaders) -> list[bytes]:
        return [] if self.webhook_hmac_key is None else _values(headers, HMAC_HEADER)


@dataclass(frozen=True, slots=True)
class MetricsAccess:
    """Who may read the metrics: whoever has one of some tokens; without any, nobody."""

    tokens: tuple[str, ...] = field(repr=False)

    @classmethod
    def of(cls, *tokens: str | None) -> Self:
        """Admit whoever has one of *tokens*; None and an empty one are none."""
        return cls(tuple(token for token in tokens if token))

    def admits(self, headers: RawHeaders) -> bool:
        """Tell whether a token is presented, and none that is wrong."""
        presented = _values(headers, API_TOKEN_HEADER) + _bearers(headers)
        return bool(presented) and all(self._is_one(value) for value in presented)

    def _is_one(self, value: bytes) -> bool:
        """Compare with each of them, however soon one is equal."""
        equal = [hmac.compare_digest(value, _bytes(token)) for token in self.tokens]
        return any(equal)


def webhook_refusal() -> NotAuthorizedException:
    """Return the one answer to every webhook without a right credential."""
    return NotAuthorizedException(
        detail=_WEBHOOK_DETAIL,
        headers={"WWW-Authenticate": 'Webhook realm="wagateway"', "Connection": "close"},
    )


def api_gate(app: ASGIApp, security: HttpSecurity, limits: Limits) -> ASGIApp:
    """Wrap *app*: without a token, nothing below ``/api`` tells even whether it exists."""

    async def gate(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == ScopeType.HTTP and is_api(scope):
            try:
                await _admit(scope, security, limits)
            except NotAuthorizedException as exc:
                await send_problem(send, problem(401, exc.detail), exc.headers or {})
                return
            except TooManyRequestsException as exc:
                await send_problem(send, problem(429, exc.detail), exc.headers or {})
                return
        await app(scope, receive, send)

    return gate


async def _admit(scope: HTTPScope, security: HttpSecurity, limits: Limits) -> None:
    client = limits.client_of(scope)
    if not security.admits_api(scope["headers"]):
        await limits.failed(client)
        raise NotAuthorizedException(detail=_API_DETAIL, headers=CHALLENGE)
    await limits.asked(client)


def api_guard(security: HttpSecurity) -> Guard:
    """Return the guard of the API's routes.

    The gate decides by path, before routing; the guard holds however a path was spelled.
    """

    def guard(connection: ASGIConnection[Any, Any, Any, Any], _: BaseRouteHandler) -> None:
        if not security.admits_api(connection.scope["headers"]):
            raise NotAuthorizedException(detail=_API_DETAIL, headers=CHALLENGE)

    return guard


def is_api(scope: HTTPScope) -> bool:
    """Tell whether the path of *scope* is below ``/api``, however it is spelled."""
    path = scope["path"]
    if root := scope.get("root_path", ""):
        path = path.split(root, maxsplit=1)[-1]
    return [part for part in path.split("/") if part][:1] == ["api"]


def _values(headers: RawHeaders, name: str) -> list[bytes]:
    wanted = name.lower().encode()
    return [value for key, value in headers if key == wanted]


def _bearers(headers: RawHeaders) -> list[bytes]:
    """Return the tokens of Bearer credentials; other schemes belong to proxies in front."""
    pairs = [value.partition(b" ") for value in _values(headers, "Authorization")]
    return [token.strip() for scheme, _, token in pairs if scheme.lower() == b"bearer"]


def _all_equal(presented: list[bytes], secret: str) -> bool:
    """Compare in constant time, as bytes, so that any header can be compared; none is equal."""
    expected = _bytes(secret)
    return all(hmac.compare_digest(value, expected) for value in presented)


def _bytes(secret: str) -> bytes:
    """Encode *secret* as it was in the environment, where bytes that are not UTF-8 may occur."""
    return secret.encode("utf-8", "surrogateescape")
