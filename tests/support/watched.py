"""A real application with everything that is watched in it, and its page."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any, cast

import httpx
import msgspec
from tests.support.deliveries import ANA, delivery, seen

from wagateway.domain.events import SessionChanged, SessionStatus
from wagateway.domain.identity import Jid
from wagateway.domain.messages import Kind, MediaFacts, MediaOffer
from wagateway.domain.spans import span
from wagateway.domain.sync import SyncState, fresh
from wagateway.entrypoints.containers import Services, open_services
from wagateway.entrypoints.http.health import Working
from wagateway.entrypoints.metrics.watching import Watching
from wagateway.entrypoints.secrets import GatewaySecrets
from wagateway.entrypoints.serve import build_app
from wagateway.entrypoints.settings import Settings
from wagateway.ports.engine import EngineChat
from wagateway.usecases.media_work import MediaWorkerState
from wagateway.usecases.sync_work import SyncWorkerState

METRICS_TOKEN = "metrics-secret-0004"
BEARER = {"Authorization": f"Bearer {METRICS_TOKEN}"}
SECRETS = GatewaySecrets(
    api_token="api-secret-0001", webhook_token="webhook-secret-0002", webhook_hmac_key=None
)
POSTED = {"method": "POST", "route": "/webhooks/messages"}


class Client(httpx.AsyncClient):
    """Speaks to the application without a socket.

    Attributes:
        services: below it.
    """

    services: Services

    async def post_message(self, stanza: str, *, session: str = "vendas") -> httpx.Response:
        """Deliver a message that was sent a moment ago."""
        payload = {
            "id": f"false_{ANA}_{stanza}",
            "timestamp": int(datetime.now(UTC).timestamp()) - 1,
            "from": ANA,
            "fromMe": False,
            "body": "Bom dia!",
        }
        event = {"event": "message", "session": session, "engine": "GOWS", "payload": payload}
        return await self.post(
            "/webhooks/messages",
            content=msgspec.json.encode(event),
            headers={"Content-Type": "application/json", "X-Whatsapp-Token": "webhook-secret-0002"},
        )


@asynccontextmanager
async def watched(settings: Settings) -> AsyncIterator[Client]:
    """Speak to the application of *settings*, whose workers stand still."""
    settings = msgspec.structs.replace(settings, metrics_token=METRICS_TOKEN)
    watching = Watching()
    process = watching.process
    workers: dict[str, Working | None] = {"sync": SyncWorkerState(), "media": MediaWorkerState()}
    async with AsyncExitStack() as stack:
        services = await stack.enter_async_context(
            open_services(settings, committed=process.committed)
        )
        app = build_app(
            settings,
            services,
            SECRETS,
            metrics=watching.page(settings, services, workers),
            requested=process.requested,
        )
        transport = httpx.ASGITransport(app=cast("Any", app))
        client = Client(transport=transport, base_url="http://gateway")
        client.services = services
        yield await stack.enter_async_context(client)


async def fill(services: Services) -> None:
    """Let there be something of all that is watched: a session, its sync, and a file that waits."""
    now = datetime.now(UTC)
    told = MediaOffer(offered_at=now, url="http://waha/a.jpeg")
    photo = seen(None, stanza="B1", kind=Kind.IMAGE, media=MediaFacts(), offer=told, sent_at=now)
    working = SessionChanged(status=SessionStatus.WORKING, at=now)
    await services.archive.record([delivery(working, photo, at=now)])
    [archive] = await services.sync_store.archives()
    await services.sync_store.enrol(archive, [EngineChat(chat=Jid(ANA))], state=fresh(now))
    looked = SyncState(due_at=now, caught_up_at=now - timedelta(minutes=1))
    await services.sync_store.enrol_session(archive, state=fresh(now))
    for task in await services.sync_store.claim(now, lease=timedelta(minutes=1), limit=9):
        spans = span(now - timedelta(hours=20), now)
        state = looked if task.chat is None else task.state
        await services.sync_store.save(msgspec.structs.replace(task, state=state), proven=spans)
