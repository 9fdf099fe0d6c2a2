"""What the application is given in these tests, and how they speak to it."""

from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import msgspec
from litestar import Litestar
from litestar.types import HTTPReceiveMessage, Message
from typing_extensions import override

from wagateway.adapters.memory.archive import InMemoryArchive
from wagateway.adapters.memory.downloads import InMemoryDownloadStore
from wagateway.adapters.memory.feed import InProcessWakeUp
from wagateway.adapters.memory.media import InMemoryMediaStore
from wagateway.adapters.memory.sync import InMemorySyncStore
from wagateway.domain.errors import StoreUnavailable
from wagateway.domain.events import (
    Account,
    AnyObservation,
    ContactSeen,
    Delivery,
    MessageSeen,
    NotUnderstood,
)
from wagateway.domain.identity import Jid, MessageRef, SessionName, StanzaId
from wagateway.domain.messages import Kind
from wagateway.domain.messages import Message as ChatMessage
from wagateway.domain.views import SessionView
from wagateway.entrypoints.http.app import create_app
from wagateway.entrypoints.http.auth import HttpSecurity
from wagateway.entrypoints.http.health import Health, store_health
from wagateway.entrypoints.http.metrics import Metrics
from wagateway.ports.archive import ArchiveReader
from wagateway.ports.feed import WakeUp
from wagateway.ports.media_store import MediaStore
from wagateway.usecases.ingest import Ingested
from wagateway.usecases.live import Live
from wagateway.usecases.media_library import MediaLibrary
from wagateway.usecases.sync_control import SyncControl

API_TOKEN = "api-sécret-0001"
WEBHOOK_TOKEN = "webhook-secret-0002"
HMAC_KEY = "hmac-secret-0003"
API = {b"x-api-token": API_TOKEN.encode()}
JSON = {"Content-Type": "application/json"}
WEBHOOK = {**JSON, "X-Whatsapp-Token": WEBHOOK_TOKEN}

ANA = Jid("5511987650102@c.us")
ME = Jid("5511987650101@c.us")
FAMILY = Jid("120363000000000001@g.us")
NOON = datetime(2026, 10, 3, 12, 0, tzinfo=UTC)

TOKEN_ONLY = HttpSecurity(api_token=API_TOKEN, webhook_token=WEBHOOK_TOKEN)
HMAC_ONLY = HttpSecurity(api_token=API_TOKEN, webhook_hmac_key=HMAC_KEY)
BOTH = HttpSecurity(api_token=API_TOKEN, webhook_token=WEBHOOK_TOKEN, webhook_hmac_key=HMAC_KEY)


@dataclass
class Ingesting:
    """Keeps the bodies that got as far as being read; *failure* is raised instead."""

    bodies: list[bytes] = field(default_factory=list)
    failure: Exception | None = None

    async def __call__(self, body: bytes) -> Ingested:
        if self.failure is not None:
            raise self.failure
        self.bodies.append(body)
        return Ingested(stored=1, duplicates=2, ignored=3, failed=4)


class AwayArchive(InMemoryArchive):
    """An archive whose database is away."""

    @override
    async def ping(self) -> None:
        raise StoreUnavailable("no connection to db.internal:5432")

    @override
    async def sessions(self) -> list[SessionView]:
        raise StoreUnavailable("the database is away; try again")


_NOBODY: dict[str, SessionView] = {}


class BrokenArchive(InMemoryArchive):
    """An archive with a defect whose text quotes what nobody should see."""

    @override
    async def sessions(self) -> list[SessionView]:
        try:
            return [_NOBODY["5511987650102@c.us"]]
        except KeyError as exc:
            raise RuntimeError("password=hunter2") from exc


def application(
    *,
    ingest: Ingesting | None = None,
    reader: ArchiveReader | None = None,
    sync: SyncControl | None = None,
    library: MediaLibrary | None = None,
    live: Live | None = None,
    health: Health | None = None,
    metrics: Metrics | None = None,
    security: HttpSecurity = TOKEN_ONLY,
    **options: Any,  # noqa: ANN401 - whatever create_app takes
) -> Litestar:
    """Build the application over fakes."""
    memory = InMemoryArchive()
    reader = reader or memory
    store = InMemorySyncStore(reader if isinstance(reader, InMemoryArchive) else memory)
    return create_app(
        ingest=ingest or Ingesting(),
        reader=reader,
        sync=sync or SyncControl(store=store, reader=reader, clock=lambda: datetime.now(UTC)),
        library=library or library_of(memory, InMemoryMediaStore()),
        live=live or live_of(memory),
        health=health or store_health(reader),
        metrics=metrics or nothing_measured,
        security=security,
        **options,
    )


async def nothing_measured() -> bytes:
    """Return a page without metrics."""
    return b""


def library_of(archive: InMemoryArchive, media: MediaStore) -> MediaLibrary:
    """Return the files of *archive* that are in *media*."""
    return MediaLibrary(
        reader=archive,
        downloads=InMemoryDownloadStore(archive),
        media=media,
        clock=lambda: datetime.now(UTC),
    )


def live_of(archive: InMemoryArchive, wake_up: WakeUp | None = None, **options: Any) -> Live:  # noqa: ANN401 - whatever Live takes
    """Return what follows *archive*."""
    return Live(
        feed=archive.feed,
        reader=archive,
        wake_up=wake_up or InProcessWakeUp(),
        clock=lambda: datetime.now(UTC),
        **options,
    )


@asynccontextmanager
async def client_of(app: Litestar) -> AsyncIterator[httpx.AsyncClient]:
    """Speak to *app* without a socket."""
    transport = httpx.ASGITransport(app=app)  # type: ignore[arg-type] # Litestar's stricter types
    async with httpx.AsyncClient(transport=transport, base_url="http://gateway") as client:
        yield client


@dataclass
class Answer:
    """What an application sent, and how many bytes of the body it asked for."""

    status: int
    headers: dict[str, str]
    body: bytes
    bytes_read: int


async def raw_request(
    app: Litestar,
    path: str,
    *,
    method: str = "POST",
    headers: Iterable[tuple[bytes, bytes]] = (),
    body: AsyncIterator[HTTPReceiveMessage] | None = None,
    root_path: str = "",
) -> Answer:
    """Speak ASGI directly, to send what no well-behaved client would and to see what is read."""
    sent: list[Any] = []
    read = 0

    async def receive() -> Any:  # noqa: ANN401 - litestar's own union
        nonlocal read
        if body is None:
            return {"type": "http.request", "body": b"", "more_body": False}
        message = await anext(body)
        read += len(message.get("body", b"")) if message["type"] == "http.request" else 0
        return message

    async def send(message: Message) -> None:
        sent.append(message)

    await app(_scope(method, path, headers, root_path), receive, send)
    start = sent[0]
    return Answer(
        status=start["status"],
        headers={name.decode(): value.decode() for name, value in start["headers"]},
        body=b"".join(message.get("body", b"") for message in sent[1:]),
        bytes_read=read,
    )


def _scope(method: str, path: str, headers: Iterable[tuple[bytes, bytes]], root_path: str) -> Any:  # noqa: ANN401 - litestar's scope has keys that only it fills in
    return {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.3"},
        "http_version": "1.1",
        "method": method,
        "scheme": "http",
        "path": path,
        "raw_path": path.encode(),
        "query_string": b"",
        "root_path": root_path,
        "headers": list(headers),
        "client": ("127.0.0.1", 1),
        "server": ("127.0.0.1", 4011),
        "extensions": {},
    }


def text_message(
    number: int, *, chat: Jid = ANA, text: str = "Bom dia!", session: str = "default"
) -> Delivery:
    """Return the delivery of an incoming text, *number* minutes after noon."""
    at = NOON + timedelta(minutes=number)
    message = ChatMessage(
        waha_id=f"false_{chat}_3EB0{number:04}",
        from_me=False,
        sent_at=at,
        kind=Kind.TEXT,
        sender=ANA,
        text=text,
    )
    ref = MessageRef(chat=chat, stanza=StanzaId(f"3EB0{number:04}"), from_me=False)
    return delivery(
        MessageSeen(ref=ref, message=message), at=at, session=session, event="message.any"
    )


def delivery(
    *observations: AnyObservation, at: datetime, session: str = "default", event: str
) -> Delivery:
    """Return a delivery of *observations*; its body names its event."""
    return Delivery(
        body=msgspec.json.encode({"event": event, "at": at}),
        session=SessionName(session),
        event=event,
        received_at=at,
        occurred_at=at,
        account=Account(phone=ME),
        engine="NOWEB",
        observations=observations,
    )


async def filled_archive() -> InMemoryArchive:
    """Return an archive with three messages of Ana, one group, and an event not understood."""
    archive = InMemoryArchive()
    await archive.record(
        [
            *(text_message(number, text=f"text {number}") for number in range(3)),
            delivery(
                ContactSeen(contact=ANA, at=NOON, push_name="Ana"),
                ContactSeen(contact=FAMILY, at=NOON, name="Família"),
                at=NOON,
                event="contact",
            ),
            delivery(NotUnderstood(reason="no id"), at=NOON, event="message"),
        ]
    )
    return archive
