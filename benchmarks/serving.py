"""Run by the parts, in a process of its own: ``serving.py VARIANT FOLDER``."""

import asyncio
import os
import socket
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

import msgspec
from typing_extensions import override

from harness import TOKEN
from wagateway.adapters.embedded.server import EmbeddedPostgres
from wagateway.adapters.memory.archive import InMemoryArchive
from wagateway.adapters.timescale.migrate import migrate
from wagateway.adapters.waha.reader import WahaReader
from wagateway.domain.events import Delivery, Outcome, Recorded
from wagateway.entrypoints.containers import Services, open_services
from wagateway.entrypoints.http.webhooks import Ingest
from wagateway.entrypoints.logs import configure_logging
from wagateway.entrypoints.secrets import GatewaySecrets
from wagateway.entrypoints.serve import base_url, build_app, listen, run_until_stopped, serve
from wagateway.entrypoints.settings import Settings
from wagateway.ports.archive import Archive
from wagateway.usecases.group_commit import GroupCommit
from wagateway.usecases.ingest import IngestBody, Ingested

ROUTE, READ, DURABLE, ALONE = "route", "read", "durable", "alone"
TWO = "workers-2"
_SEVERAL = "workers-"


class Nowhere(InMemoryArchive):
    """Answers as a store does, and keeps nothing."""

    @override
    async def record(self, deliveries: Sequence[Delivery]) -> list[Recorded]:
        return [Recorded(outcome=Outcome.STORED)] * len(deliveries)


class Ungrouped(GroupCommit):
    """What a gateway does that does not group: a transaction per delivery, on a pool."""

    def __init__(self, archive: Archive) -> None:
        super().__init__(archive)
        self._store = archive

    @override
    async def record(
        self, deliveries: Sequence[Delivery], *, patiently: bool = False
    ) -> list[Recorded]:
        return await self._store.record(deliveries)


async def take_unread(_: bytes) -> Ingested:
    """Answer without even looking at the body."""
    return Ingested(stored=1, duplicates=0, ignored=0, failed=0)


def ingest_of(variant: str, services: Services) -> Ingest | None:
    """Return what the route calls; None stands for the real thing."""
    if variant in {ROUTE, DURABLE}:
        return take_unread if variant == ROUTE else None
    commit = GroupCommit(Nowhere()) if variant == READ else Ungrouped(services.archive)
    return IngestBody(engine=WahaReader(), commit=commit, clock=lambda: datetime.now(UTC))


async def run_one(variant: str, folder: Path) -> None:
    """Serve *variant* from this process until cancelled; print the address on stdout."""
    stored = variant in {DURABLE, ALONE}
    settings = Settings.embedded(folder) if stored else Settings.in_memory()
    settings = msgspec.structs.replace(settings, api_requests_per_minute=0)
    secrets = GatewaySecrets(api_token=TOKEN, webhook_token=TOKEN, webhook_hmac_key=None)
    configure_logging(settings.log_level, settings.log_format, hide={TOKEN})
    async with open_services(settings) as services:
        app = build_app(settings, services, secrets, ingest=ingest_of(variant, services))
        listener = listen("127.0.0.1", 0)
        url = base_url(listener)
        await serve(app, listener, on_ready=lambda: print(url, flush=True))


async def run_several(count: int, folder: Path) -> None:
    """Run ``wagateway api --workers <count>`` on an embedded PostgreSQL until cancelled."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
    async with EmbeddedPostgres.running(folder) as database:
        await migrate(database.url)
        told = {
            "WHATSAPP_DATABASE_URL": database.url,
            "WHATSAPP_DB_PREPARE_THRESHOLD": "5",
            "WHATSAPP_GATEWAY_API_TOKEN": TOKEN,
            "WHATSAPP_WEBHOOK_TOKEN": TOKEN,
            "WHATSAPP_GATEWAY_API_PORT": str(port),
            "WHATSAPP_API_REQUESTS_PER_MINUTE": "0",
        }
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            *("-m", "wagateway.entrypoints.cli", "api", "--workers", str(count)),
            env=os.environ | told,
            stderr=asyncio.subprocess.PIPE,
        )
        try:
            assert process.stderr
            ready = 0
            async for line in process.stderr:
                sys.stderr.buffer.write(line)
                ready += b"ready" in line
                if ready == count:
                    print(f"http://127.0.0.1:{port}", flush=True)
        finally:
            if process.returncode is None:
                process.terminate()
            # Read to the end: what waits to write its last lines would never stop.
            _, left = await process.communicate()
            sys.stderr.buffer.write(left)


if __name__ == "__main__":
    given, place = sys.argv[1], Path(sys.argv[2])
    several = given.removeprefix(_SEVERAL) if given.startswith(_SEVERAL) else ""
    run_until_stopped(run_several(int(several), place) if several else run_one(given, place))
