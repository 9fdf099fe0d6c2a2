"""Reading the archive over HTTP. Cursors go both ways and are opaque; instants are UTC."""

import msgspec
from litestar import Response, Router, get
from litestar.di import NamedDependency
from litestar.openapi.datastructures import ResponseSpec
from litestar.params import SkipValidation
from litestar.types import Guard

from wagateway.domain.identity import account_named, chat_candidates, session_named
from wagateway.domain.text import clean_id
from wagateway.domain.views import ChatPage, ContactPage, EventPage, MessagePage, SessionView
from wagateway.entrypoints.http import examples
from wagateway.entrypoints.http.answers import answers
from wagateway.entrypoints.http.media import with_addresses
from wagateway.entrypoints.http.parameters import (
    Account,
    After,
    Before,
    Chat,
    ContactType,
    Cursor,
    EventFilter,
    EventId,
    Limit,
    OutcomeFilter,
    Session,
    SessionFilter,
    Since,
    Until,
    at_instant,
    position,
)
from wagateway.entrypoints.http.problems import documented
from wagateway.ports.archive import ArchiveReader, LogFilter

Reader = NamedDependency[SkipValidation[ArchiveReader]]


class SessionList(msgspec.Struct, frozen=True, kw_only=True):
    """Every archive, by session name, the current account first."""

    sessions: list[SessionView]


@get(
    "/messages/{session:str}/{chat:str}",
    summary="Messages of a chat",
    operation_id="list_messages",
    tags=["Archive"],
    responses=answers(MessagePage, examples.MESSAGES, 400, 401, 404, 429, 500, 503),
)
async def list_messages(
    reader: Reader,
    session: Session,
    chat: Chat,
    account: Account = None,
    limit: Limit = 50,
    before: Before = None,
    after: After = None,
) -> MessagePage:
    """Return one page of a chat, newest first, each message in its current state.

    `next` leads to older messages (give it as `before`), `previous` to newer ones (give it as
    `after`). An edited message shows its current text and every later version in `edits`; a
    revoked one keeps its text and has `revoked_at`. Messages that were sent before `purged_before`
    were purged, and do not come back; a reply to one still shows what it quoted.
    """
    page = await reader.messages(
        session_named(session),
        chat_candidates(chat),
        account=account_named(account),
        before=position(before),
        after=position(after),
        limit=limit,
    )
    return with_addresses(page, account)


@get(
    "/chats/{session:str}",
    summary="Chats of a session",
    operation_id="list_chats",
    tags=["Archive"],
    responses=answers(ChatPage, examples.CHATS, 400, 401, 404, 429, 500, 503),
)
async def list_chats(
    reader: Reader,
    session: Session,
    account: Account = None,
    limit: Limit = 100,
    cursor: Cursor = None,
) -> ChatPage:
    """Return the chats, the one with the latest message first, those without messages last."""
    return await reader.chats(
        session_named(session), account=account_named(account), cursor=cursor or None, limit=limit
    )


@get(
    "/contacts/{session:str}",
    summary="Contacts of a session",
    operation_id="list_contacts",
    tags=["Archive"],
    responses=answers(ContactPage, examples.CONTACTS, 400, 401, 404, 429, 500, 503),
)
async def list_contacts(
    reader: Reader,
    session: Session,
    account: Account = None,
    type: ContactType = None,  # noqa: A002 - the API's own word
    limit: Limit = 100,
    cursor: Cursor = None,
) -> ContactPage:
    """Return people, groups, broadcasts and channels that the account knows, by id."""
    return await reader.contacts(
        session_named(session),
        account=account_named(account),
        type=type,
        cursor=cursor or None,
        limit=limit,
    )


@get(
    "/sessions",
    summary="All sessions",
    operation_id="list_sessions",
    tags=["Archive"],
    responses=answers(SessionList, examples.SESSIONS, 401, 429, 500, 503),
)
async def list_sessions(reader: Reader) -> SessionList:
    """Return every session with its account, its latest status, and when it was last heard of.

    A session that was logged in with another account before has one archive per account; those
    are read by `account` of the other routes.
    """
    return SessionList(sessions=await reader.sessions())


@get(
    "/events",
    summary="The event log",
    operation_id="list_events",
    tags=["Event log"],
    responses=answers(EventPage, examples.EVENTS, 400, 401, 429, 500, 503),
)
async def list_events(
    reader: Reader,
    outcome: OutcomeFilter = None,
    session: SessionFilter = None,
    event: EventFilter = None,
    since: Since = None,
    until: Until = None,
    limit: Limit = 100,
    cursor: Cursor = None,
) -> EventPage:
    """Return what the engine told, newest first, and what became of it.

    `outcome=failed` shows what could not be read into the archive and can be replayed after an
    upgrade; nothing that was delivered is ever dropped.
    """
    which = LogFilter(
        outcome=outcome,
        session=session_named(session) if session else None,
        event=clean_id(event) if event else None,
        since=at_instant("since", since),
        until=at_instant("until", until),
    )
    return await reader.events(which, cursor=cursor or None, limit=limit)


@get(
    "/events/{event_id:int}/body",
    summary="An event's raw body",
    operation_id="event_body",
    tags=["Event log"],
    media_type="application/octet-stream",
    responses={
        200: ResponseSpec(
            bytes,
            description="The exact bytes that were received.",
            media_type="application/octet-stream",
            generate_examples=False,
        ),
        **documented(400, 401, 404, 429, 500, 503),
    },
)
async def event_body(reader: Reader, event_id: EventId) -> Response[bytes]:
    """Return the bytes exactly as the engine sent them, as a download."""
    return Response(
        await reader.event_body(event_id),
        media_type="application/octet-stream",
        headers={"Content-Disposition": f'attachment; filename="event-{event_id}.json"'},
    )


def api_router(guard: Guard) -> Router:
    """Return the routes under ``/api``, each behind *guard*."""
    handlers = [list_messages, list_chats, list_contacts, list_sessions, list_events, event_body]
    return Router(
        "/api",
        route_handlers=handlers,
        guards=[guard],
        security=[{"apiToken": []}, {"bearer": []}],
    )
