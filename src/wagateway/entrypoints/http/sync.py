"""How complete the archive is, and the sync that makes it so."""

from collections.abc import Sequence
from enum import StrEnum
from typing import Annotated

import msgspec
from litestar import Router, get, post
from litestar.di import NamedDependency
from litestar.handlers import HTTPRouteHandler
from litestar.openapi.spec import Example
from litestar.params import QueryParameter, SkipValidation
from litestar.types import Guard

from wagateway.domain.identity import chat_candidates, session_named
from wagateway.entrypoints.http import examples
from wagateway.entrypoints.http.answers import answers
from wagateway.entrypoints.http.parameters import Chat, Session, at_instant
from wagateway.usecases.sync_control import (
    ChatCoverage,
    SessionCoverage,
    SyncControl,
    SyncReport,
)

Sync = NamedDependency[SkipValidation[SyncControl]]


class Mode(StrEnum):
    """How much is read."""

    INCREMENTAL = "incremental"
    """What is missing since the last time."""
    FULL = "full"
    """The whole history again."""


ModeChoice = Annotated[
    Mode,
    QueryParameter(
        description=(
            "`incremental` reads what is missing since the last time, `full` the whole history"
            " again, back to `since` or to the engine's end."
        ),
        examples=[Example(value="full")],
    ),
]
BackTo = Annotated[
    str | None,
    QueryParameter(
        description=(
            "Back to this ISO 8601 instant, not later than now; UTC where it names no zone."
        ),
        examples=[Example(value="2026-09-01T00:00:00Z")],
    ),
]


class Woken(msgspec.Struct, frozen=True, kw_only=True):
    """How many tasks were changed: chats, and the look at all chats of the session."""

    tasks: int


@get(
    "/coverage/{session:str}",
    summary="What is complete",
    operation_id="session_coverage",
    tags=["Completeness"],
    responses=answers(SessionCoverage, examples.SESSION_COVERAGE, 400, 401, 404, 429, 500, 503),
)
async def session_coverage(sync: Sync, session: Session) -> SessionCoverage:
    """Return for each chat which spans of time are complete, and why others are not.

    `complete` spans hold everything that the engine offered. `gaps` fill the rest of all time up
    to now, each with its reason: `before-pairing`, `engine-away`, `gateway-away`,
    `not-yet-synced`, `engine-has-no-more`, or `purged`. `live` are the spans in which webhooks
    could arrive; they become complete once pages proved that none was lost.
    """
    return await sync.coverage(session_named(session))


@get(
    "/coverage/{session:str}/{chat:str}",
    summary="What is complete of a chat",
    operation_id="chat_coverage",
    tags=["Completeness"],
    responses=answers(ChatCoverage, examples.CHAT_COVERAGE, 400, 401, 404, 429, 500, 503),
)
async def chat_coverage(sync: Sync, session: Session, chat: Chat) -> ChatCoverage:
    """Return which spans of a chat are complete, why others are not, and what happens next.

    `next` is `catch-up` or `back-fill` while it is read, `next-look` when the regular look at all
    chats closes what is open, `wait` when it is tried again later, `paused`, or `nothing`.
    """
    return await sync.chat_coverage(session_named(session), chat_candidates(chat))


@get(
    "/sync/{session:str}",
    summary="Where sync stands",
    operation_id="sync_report",
    tags=["Completeness"],
    responses=answers(SyncReport, examples.SYNC_REPORT, 400, 401, 404, 429, 500, 503),
)
async def sync_report(sync: Sync, session: Session) -> SyncReport:
    """Return the session's health, how many chats are in which state, and what is under way."""
    return await sync.report(session_named(session))


@post(
    "/sync/{session:str}",
    summary="Sync a session now",
    operation_id="sync_session",
    tags=["Completeness"],
    status_code=202,
    responses=answers(Woken, examples.WOKEN, 400, 401, 404, 429, 500, 503, success=202),
)
async def sync_session(
    sync: Sync, session: Session, mode: ModeChoice = Mode.INCREMENTAL, since: BackTo = None
) -> Woken:
    """Let a worker read a session now; the answer does not wait for it."""
    return await _started(sync, session, None, mode, since)


@post(
    "/sync/{session:str}/{chat:str}",
    summary="Sync a chat now",
    operation_id="sync_chat",
    tags=["Completeness"],
    status_code=202,
    responses=answers(Woken, examples.WOKEN, 400, 401, 404, 429, 500, 503, success=202),
)
async def sync_chat(
    sync: Sync,
    session: Session,
    chat: Chat,
    mode: ModeChoice = Mode.INCREMENTAL,
    since: BackTo = None,
) -> Woken:
    """Let a worker read a chat now; the answer does not wait for it."""
    return await _started(sync, session, chat, mode, since)


async def _started(
    sync: SyncControl, session: str, chat: str | None, mode: Mode, since: str | None
) -> Woken:
    tasks = await sync.start(
        session_named(session),
        chat_candidates(chat) if chat is not None else None,
        full=mode is Mode.FULL,
        since=at_instant("since", since),
    )
    return Woken(tasks=tasks)


@post(
    "/sync/{session:str}/pause",
    summary="Pause a session",
    operation_id="pause_session",
    tags=["Completeness"],
    status_code=200,
    responses=answers(Woken, examples.WOKEN, 400, 401, 404, 429, 500, 503),
)
async def pause_session(sync: Sync, session: Session) -> Woken:
    """Ask the engine nothing more about a session until it is resumed; webhooks go on."""
    return Woken(tasks=await sync.pause(session_named(session), None))


@post(
    "/sync/{session:str}/resume",
    summary="Resume a session",
    operation_id="resume_session",
    tags=["Completeness"],
    status_code=200,
    responses=answers(Woken, examples.WOKEN, 400, 401, 404, 429, 500, 503),
)
async def resume_session(sync: Sync, session: Session) -> Woken:
    """Go on with what was paused, and try what failed again at once."""
    return Woken(tasks=await sync.resume(session_named(session), None))


@post(
    "/sync/{session:str}/{chat:str}/pause",
    summary="Pause a chat",
    operation_id="pause_chat",
    tags=["Completeness"],
    status_code=200,
    responses=answers(Woken, examples.WOKEN, 400, 401, 404, 429, 500, 503),
)
async def pause_chat(sync: Sync, session: Session, chat: Chat) -> Woken:
    """Do not read the history of a chat until it is resumed."""
    return Woken(tasks=await sync.pause(session_named(session), chat_candidates(chat)))


@post(
    "/sync/{session:str}/{chat:str}/resume",
    summary="Resume a chat",
    operation_id="resume_chat",
    tags=["Completeness"],
    status_code=200,
    responses=answers(Woken, examples.WOKEN, 400, 401, 404, 429, 500, 503),
)
async def resume_chat(sync: Sync, session: Session, chat: Chat) -> Woken:
    """Go on with a chat that was paused, or try one that failed again at once."""
    return Woken(tasks=await sync.resume(session_named(session), chat_candidates(chat)))


def sync_router(guard: Guard) -> Router:
    """Return the routes under ``/api``, each behind *guard*."""
    handlers: Sequence[HTTPRouteHandler] = [
        session_coverage,
        chat_coverage,
        sync_report,
        sync_session,
        sync_chat,
        pause_session,
        resume_session,
        pause_chat,
        resume_chat,
    ]
    return Router(
        "/api",
        route_handlers=handlers,
        guards=[guard],
        security=[{"apiToken": []}, {"bearer": []}],
    )
