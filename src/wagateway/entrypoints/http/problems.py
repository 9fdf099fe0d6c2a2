"""Every error as a problem document (RFC 9457): one table from the error tree to statuses."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

import msgspec
import structlog
from litestar import Request, Response
from litestar.exceptions import HTTPException, MethodNotAllowedException, ValidationException
from litestar.openapi.datastructures import ResponseSpec
from litestar.openapi.spec import Example
from litestar.types import Send

from wagateway.domain.errors import (
    Conflict,
    InvalidInput,
    NotFound,
    Purged,
    Rejected,
    Unavailable,
    WagatewayError,
)
from wagateway.domain.media import DownloadStatus
from wagateway.entrypoints.http.access_log import request_id_of
from wagateway.entrypoints.http.parameters import ACCEPTED
from wagateway.entrypoints.logs import trace_of
from wagateway.usecases.media_library import NotStored

PROBLEM_JSON = "application/problem+json"
RETRY_AFTER_S = 2

_log: structlog.typing.FilteringBoundLogger = structlog.get_logger("wagateway.http")


class Problem(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Why a request failed, and what to do about it.

    Attributes:
        type: which kind of problem; its text is explained on the documentation page.
        title: the kind in words, always the same for one type.
        status: the HTTP status.
        detail: what is wrong with this request and what is accepted.
        request_id: with 500 and 503 only: how to find the cause in the log.
        media_status: with files that are not stored, and previews that are not there, only: where
            the download of the file stands.
        media_problem: with these only: why, where that is known.
    """

    type: str
    title: str
    status: int
    detail: str
    request_id: str | None = None
    media_status: DownloadStatus | None = None
    media_problem: str | None = None


@dataclass(frozen=True, slots=True)
class ProblemKind:
    """A kind of problem, what it means, and the detail where an error brings none of its own."""

    slug: str
    title: str
    meaning: str
    detail: str


KINDS: Mapping[int, ProblemKind] = {
    400: ProblemKind(
        "invalid-input",
        "Invalid input",
        "A value or the body is malformed or out of bounds. Change the request.",
        "The request is malformed.",
    ),
    401: ProblemKind(
        "unauthorized",
        "Unauthorized",
        "A credential is missing or wrong; which of the two is not told.",
        "A valid credential is required.",
    ),
    404: ProblemKind(
        "not-found",
        "Not found",
        "The session, chat, message or event is not in the archive, a message has no stored file,"
        " or there is no such route.",
        "There is no such route.",
    ),
    405: ProblemKind(
        "method-not-allowed",
        "Method not allowed",
        "The route exists, but not for this method; the header Allow names those it has.",
        "This route does not accept this method.",
    ),
    408: ProblemKind(
        "request-timeout",
        "Request timeout",
        "The body did not arrive in time. Send it again, faster.",
        "The body did not arrive in time.",
    ),
    409: ProblemKind(
        "conflict",
        "Conflict",
        "The request contradicts what is there.",
        "The request contradicts what is there.",
    ),
    410: ProblemKind(
        "purged",
        "Purged",
        "The message was archived, and purged since: by a person, or because of its age. It does"
        " not come back.",
        "It was purged.",
    ),
    413: ProblemKind(
        "content-too-large",
        "Content too large",
        "The body is larger than this server accepts; the rest of it was not read.",
        "The body is too large.",
    ),
    415: ProblemKind(
        "unsupported-media-type",
        "Unsupported media type",
        "The body must be plain JSON: Content-Type application/json, UTF-8, not compressed.",
        "Send the body as application/json in UTF-8, not compressed.",
    ),
    416: ProblemKind(
        "range-not-satisfiable",
        "Range not satisfiable",
        "The part of the file that was asked for begins behind its end; the header Content-Range"
        " tells its size.",
        "The range begins behind the end.",
    ),
    429: ProblemKind(
        "too-many-requests",
        "Too many requests",
        "This client asked too often, or failed too often to prove who it is. Repeat after the"
        " seconds in the header Retry-After.",
        "Too many requests came from here. Repeat later.",
    ),
    500: ProblemKind(
        "internal-error",
        "Internal error",
        "A defect of the gateway; it was logged under the request id.",
        "An unexpected error; the log has it under the request id.",
    ),
    503: ProblemKind(
        "unavailable",
        "Unavailable",
        "A part is away, full or overloaded; the log says why under the request id. Repeat after"
        " the seconds in the header Retry-After.",
        "A part is away, full or overloaded; the log says why under the request id. Repeat later:"
        " that is always safe.",
    ),
}

_STATUSES: tuple[tuple[type[WagatewayError], int], ...] = (
    (InvalidInput, 400),
    (Purged, 410),
    (NotFound, 404),
    (Conflict, 409),
    (Rejected, 400),
    (Unavailable, 503),
)
"""The first that fits decides; what is not here is a defect."""


def problem(status: int, detail: str = "", *, request_id: str | None = None) -> Problem:
    """Return the problem document of *status*, one of those in KINDS."""
    kind = KINDS[status]
    return Problem(
        type=f"/docs#problem-{kind.slug}",
        title=kind.title,
        status=status,
        detail=detail or kind.detail,
        request_id=request_id,
    )


def not_stored(exc: NotStored) -> Problem:
    """Return the problem document of *exc*, with what programs need to know beside its text."""
    return msgspec.structs.replace(
        problem(HTTPStatus.NOT_FOUND, str(exc)), media_status=exc.status, media_problem=exc.problem
    )


def problem_response(request: Request[Any, Any, Any], exc: Exception) -> Response[Problem]:
    """Turn any error into its problem document, and log the ones that are not the caller's."""
    status, detail, headers = _verdict(exc)
    request_id = None
    if status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        _log_failure(exc, status)
        request_id = request_id_of(request.scope)
    if status == HTTPStatus.SERVICE_UNAVAILABLE:
        headers = {**headers, "Retry-After": str(RETRY_AFTER_S)}
    answer = problem(status, detail, request_id=request_id)
    return Response(
        not_stored(exc) if isinstance(exc, NotStored) else answer,
        status_code=status,
        media_type=PROBLEM_JSON,
        headers=headers,
    )


ERROR_HANDLERS: Mapping[
    int | type[Exception], Callable[[Request[Any, Any, Any], Exception], Response[Problem]]
] = {HTTPException: problem_response, Exception: problem_response}
"""Both are named: with Exception alone, Litestar would answer its own errors by itself."""


async def send_problem(send: Send, answer: Problem, headers: Mapping[str, str]) -> None:
    """Answer with *answer* from outside the router; names and values of *headers* are ASCII."""
    body = msgspec.json.encode(answer)
    given = {"content-type": PROBLEM_JSON, "content-length": str(len(body)), **headers}
    await send(
        {
            "type": "http.response.start",
            "status": answer.status,
            "headers": [(name.lower().encode(), value.encode()) for name, value in given.items()],
        }
    )
    await send({"type": "http.response.body", "body": body, "more_body": False})


def documented(*statuses: int) -> dict[int, ResponseSpec]:
    """Return what OpenAPI says of the problems that a route can answer with."""
    return {status: documented_by(_example(status)) for status in statuses}


def documented_by(*examples: Problem) -> ResponseSpec:
    """Return what OpenAPI says of the problems that are like *examples*, of one status."""
    return ResponseSpec(
        Problem,
        description=KINDS[examples[0].status].meaning,
        media_type=PROBLEM_JSON,
        generate_examples=False,
        examples=[Example(value=msgspec.to_builtins(example)) for example in examples],
    )


def _example(status: int) -> Problem:
    details = {400: invalid_parameters(["limit"]), 404: "There is no session 'sales'."}
    ours = status >= HTTPStatus.INTERNAL_SERVER_ERROR
    request_id = "5f0c6f6f0a9e4d7db0a1c2d3e4f50617" if ours else None
    return problem(status, details.get(status, ""), request_id=request_id)


def invalid_parameters(names: list[str]) -> str:
    """Say for each named parameter what is accepted."""
    known = [f"{name} must be {ACCEPTED[name]}" for name in names if name in ACCEPTED]
    return "; ".join(known) + "." if known else ""


def _verdict(exc: Exception) -> tuple[int, str, dict[str, str]]:
    """Return status, detail ("" for the kind's own) and headers."""
    if isinstance(exc, Unavailable) and type(exc) is not Unavailable:
        return 503, "", {}  # it quotes what a server or a disk said, with addresses and paths
    if isinstance(exc, WagatewayError):
        status = next((status for kind, status in _STATUSES if isinstance(exc, kind)), 500)
        return status, str(exc) if status in KINDS and status != HTTPStatus(500) else "", {}
    if isinstance(exc, ValidationException):
        errors = exc.extra if isinstance(exc.extra, list) else []
        return 400, invalid_parameters([str(error.get("key", "")) for error in errors]), {}
    if (
        isinstance(exc, HTTPException)
        and exc.status_code in KINDS
        and exc.status_code != HTTPStatus(500)
    ):
        return exc.status_code, _said(exc), dict(exc.headers or {})
    return 500, "", {}


def _said(exc: HTTPException) -> str:
    """Return what *exc* says beyond its status."""
    if isinstance(exc, MethodNotAllowedException):
        return f"This route accepts {(exc.headers or {}).get('allow', 'other methods')}."
    return "" if exc.detail == HTTPStatus(exc.status_code).phrase else exc.detail


def _log_failure(exc: Exception, status: int) -> None:
    """Log where it happened; texts of unexpected errors may quote messages, so only at debug."""
    if status == HTTPStatus.SERVICE_UNAVAILABLE:
        _log.warning("unavailable", error=type(exc).__name__, reason=str(exc))
        return
    _log.error("defect", error=type(exc).__name__, trace=list(trace_of(exc)))
    _log.debug("defect_text", text=str(exc))
