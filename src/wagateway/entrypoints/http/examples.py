"""Answers as the documentation shows them; built from the real shapes, so they cannot go stale."""

from datetime import UTC, datetime, timedelta
from typing import Any

from msgspec import Struct

from wagateway.domain.coverage import Gap, GapReason, Next
from wagateway.domain.events import Outcome, SessionStatus, Source
from wagateway.domain.feed import ChangeKind, Position
from wagateway.domain.health import Health, HealthLevel
from wagateway.domain.identity import ChatType, Jid, SessionName, StanzaId
from wagateway.domain.media import DownloadStatus
from wagateway.domain.messages import Ack, Kind
from wagateway.domain.spans import Span
from wagateway.domain.sync import SyncStatus
from wagateway.domain.views import (
    ChangeView,
    ChatPage,
    ChatView,
    ContactPage,
    ContactView,
    EventPage,
    EventView,
    FilePage,
    FileView,
    MediaView,
    MessagePage,
    MessageView,
    ReactionView,
    ReplyView,
    SessionView,
)
from wagateway.usecases.ingest import Ingested
from wagateway.usecases.sync_control import (
    ChatCoverage,
    SessionCoverage,
    SyncReport,
    TaskView,
)

_SESSION = SessionName("default")
_ANA = Jid("5511987650102@c.us")
_ME = Jid("5511987650101@c.us")
_AT = datetime(2026, 10, 3, 12, 0, tzinfo=UTC)
_CURSOR = "eyJhIjoxNzkxMDI4ODAwfQ"

ENVELOPE: dict[str, Any] = {
    "id": "evt_01kz0000000000000000000000",
    "timestamp": 1791028800000,
    "event": "message",
    "session": "default",
    "me": {"id": _ME, "pushName": "Loja"},
    "payload": {
        "id": f"false_{_ANA}_3EB0C767D097B7C7C7C7",
        "timestamp": 1791028800,
        "from": _ANA,
        "fromMe": False,
        "body": "Bom dia!",
        "hasMedia": False,
    },
    "engine": "NOWEB",
}

_MEDIA_URL = f"/api/media/default/{_ANA}/3EB0C767D097B7C7C7C7"
_MEDIA = MediaView(
    status=DownloadStatus.COMPLETED,
    mimetype="image/jpeg",
    size_bytes=48213,
    sha256="9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
    width=1200,
    height=1600,
    has_thumbnail=True,
    url=_MEDIA_URL,
    thumbnail_url=f"{_MEDIA_URL}/thumbnail",
)

FILES = FilePage(
    files=[
        FileView(
            session=_SESSION,
            chat_id=_ANA,
            id=StanzaId("3EB0C767D097B7C7C7C7"),
            waha_id=f"false_{_ANA}_3EB0C767D097B7C7C7C7",
            from_me=False,
            kind=Kind.IMAGE,
            sent_at=_AT,
            media=_MEDIA,
        )
    ],
    next=_CURSOR,
)

INGESTED = Ingested(stored=1, duplicates=0, ignored=0, failed=0)

MESSAGES = MessagePage(
    messages=[
        MessageView(
            session=_SESSION,
            chat_id=_ANA,
            id=StanzaId("3EB0C767D097B7C7C7C7"),
            waha_id=f"false_{_ANA}_3EB0C767D097B7C7C7C7",
            sender_id=_ANA,
            sender_name="Ana",
            from_me=False,
            kind=Kind.IMAGE,
            text="Chegou assim, olha",
            sent_at=_AT,
            reply_to=ReplyView(
                id=StanzaId("3EB0A1B2C3D4E5F60718"), sender_id=_ME, text="Como chegou o pedido?"
            ),
            mentions=(),
            forwarded=False,
            view_once=False,
            link_preview=None,
            media=_MEDIA,
            location=None,
            contacts=(),
            poll=None,
            event=None,
            ack=Ack.READ,
            edited_at=None,
            edits=(),
            revoked_at=None,
            revoked_by=None,
            reactions=(ReactionView(sender_id=_ME, emoji="❤️", at=_AT),),
            source="app",
            clash=False,
        )
    ],
    next=_CURSOR,
    previous=None,
)

CHANGE = ChangeView(
    kind=ChangeKind.MESSAGE,
    position=Position("5d41402a", 52, 7, 1).id,
    at=_AT,
    session=_SESSION,
    account=_ME,
    chat_id=_ANA,
    id=MESSAGES.messages[0].id,
    message=MESSAGES.messages[0],
)

CHATS = ChatPage(
    chats=[
        ChatView(
            session=_SESSION,
            id=_ANA,
            type=ChatType.INDIVIDUAL,
            name="Ana",
            description=None,
            last_message_at=_AT,
            archived=False,
        )
    ],
    next=None,
)

CONTACTS = ContactPage(
    contacts=[
        ContactView(
            session=_SESSION,
            id=_ANA,
            type=ChatType.INDIVIDUAL,
            name="Ana Souza",
            push_name="Ana",
            lids=(Jid("271000000000102@lid"),),
        )
    ],
    next=None,
)


class _Sessions(Struct, frozen=True, kw_only=True):
    sessions: list[SessionView]


SESSIONS = _Sessions(
    sessions=[
        SessionView(
            session=_SESSION,
            account=_ME,
            push_name="Loja",
            engine="NOWEB",
            current=True,
            status=SessionStatus.WORKING,
            status_at=_AT,
            last_event_at=_AT,
        )
    ]
)

EVENTS = EventPage(
    events=[
        EventView(
            id=4711,
            received_at=_AT,
            session=_SESSION,
            event="message.any",
            source=Source.WEBHOOK,
            engine="NOWEB",
            envelope_id="evt_01kz0000000000000000000000",
            outcome=Outcome.FAILED,
            reason="payload.id: expected a serialised message id",
            size_bytes=1824,
        )
    ],
    next=None,
)

_YESTERDAY = datetime(2026, 10, 2, 9, 30, tzinfo=UTC)
_FIRST = datetime(2025, 3, 1, 8, 0, tzinfo=UTC)

CHAT_COVERAGE = ChatCoverage(
    chat_id=_ANA,
    complete=(Span(_FIRST, _YESTERDAY),),
    gaps=(
        Gap(begin=None, end=_FIRST, reason=GapReason.ENGINE_HAS_NO_MORE),
        Gap(begin=_YESTERDAY, end=_AT, reason=GapReason.ENGINE_AWAY),
    ),
    next=Next.CATCH_UP,
    reread_at=_AT + timedelta(hours=4),
)

SESSION_COVERAGE = SessionCoverage(
    session=_SESSION,
    account=_ME,
    live=(Span(_FIRST, _YESTERDAY),),
    complete=(),
    chats=(CHAT_COVERAGE,),
)

_TASK = TaskView(
    chat_id=_ANA,
    status=SyncStatus.PENDING,
    work=Next.BACK_FILL,
    pages=12,
    reached=_FIRST,
    attempts=0,
    problem=None,
    due_at=_AT,
    caught_up_at=_YESTERDAY,
)

SYNC_REPORT = SyncReport(
    session=_SESSION,
    account=_ME,
    status=SessionStatus.WORKING,
    health=Health(level=HealthLevel.HEALTHY, probed_at=_AT, last_event_at=_AT),
    counts={status: int(status is SyncStatus.PENDING) for status in SyncStatus},
    session_task=None,
    chats=(_TASK,),
)


class _Woken(Struct, frozen=True, kw_only=True):
    tasks: int


WOKEN = _Woken(tasks=1)


class _Retried(Struct, frozen=True, kw_only=True):
    files: int


RETRIED = _Retried(files=3)
