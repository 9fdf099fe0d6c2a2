"""A file that WEBJS has no longer is got again: by the real adapter, from the simulated WAHA."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import pytest
from tests.support.deliveries import delivery, linked
from tests.support.files import PHOTO, STANZA, Library, photo
from tests.unit.simulator.tales import ANA, AT_MS

from wagateway.adapters.memory.archive import InMemoryArchive
from wagateway.adapters.memory.downloads import InMemoryDownloadStore
from wagateway.adapters.memory.media import InMemoryMediaStore
from wagateway.adapters.waha.client import open_engine
from wagateway.adapters.waha.fetching import FetchLimits, WahaFiles
from wagateway.adapters.waha.reader import WahaReader
from wagateway.domain.events import Account, Source
from wagateway.domain.identity import Jid
from wagateway.domain.media import DownloadStatus
from wagateway.ports.downloads import DownloadTask
from wagateway.simulator.engine import EngineName
from wagateway.simulator.happenings import Address, Note, Sent
from wagateway.simulator.wire import Frame
from wagateway.usecases.fetch_media import FetchMedia, MediaPlan

URL = "http://waha"
PLAN = MediaPlan()
TOLD_AT = datetime.fromtimestamp(AT_MS / 1000, UTC)
LATER_S = 200
"""WAHA keeps a file for 180 seconds."""


class World:
    """A simulated WEBJS, and an archive that it told of one photo."""

    def __init__(self) -> None:
        self.waha = Library(EngineName.WEBJS)
        self.now = TOLD_AT
        self.archive = InMemoryArchive()
        self.downloads = InMemoryDownloadStore(self.archive)

    async def tell(self, address: Address) -> None:
        """Let WAHA tell of a photo of Ana's, and the archive record it."""
        told = self.waha.tell(photo(), address=address)
        [read] = WahaReader().read(self._webhook(told), received_at=self.now, source=Source.WEBHOOK)
        await self.archive.record([read])

    def _webhook(self, told: Note) -> bytes:
        engine = self.waha.engine
        emission = engine.tell(Sent(at_ms=told.at_ms, scene=1, note=told))
        assert emission is not None
        frame = Frame(session="default", engine=engine.name.value, me=engine.me(), metadata={})
        return frame.envelope(emission, event_id="evt_1", built_ms=told.at_ms)

    async def learn_who_ana_is(self) -> None:
        """Let the archive learn Ana's phone, which WAHA does not know."""
        engine = self.waha.engine
        account = Account(phone=Jid(engine.account.phone_jid), lid=Jid(engine.account.lid_jid))
        told = linked(lid=Jid(ANA.lid_jid), phone=Jid(ANA.phone_jid))
        await self.archive.record([delivery(told, at=self.now, session="default", account=account)])

    def wait(self) -> None:
        """Let time pass, until WAHA has the file no longer."""
        self.now += timedelta(seconds=LATER_S)
        self.waha.now_s += LATER_S

    async def fetch(self, folder: Path) -> DownloadTask:
        """Give the photo its turn; return how it stands then."""
        [task] = await self.downloads.claim(self.now, rules=PLAN.rules, lease=PLAN.lease, limit=1)
        async with self._fetching(folder) as fetch:
            return (await fetch(task)).task

    @asynccontextmanager
    async def _fetching(self, folder: Path) -> AsyncIterator[FetchMedia]:
        served = httpx.ASGITransport(self.waha.app)
        async with (
            open_engine(URL, None, clock=lambda: self.now, transport=served) as engine,
            httpx.AsyncClient(transport=served) as client,
        ):
            yield FetchMedia(
                engine=engine,
                source=WahaFiles(
                    client, engine_url=URL, engine_key=None, store_url=None, limits=FetchLimits()
                ),
                media=InMemoryMediaStore(),
                downloads=self.downloads,
                clock=lambda: self.now,
                plan=PLAN,
                folder=folder,
            )


@pytest.mark.parametrize("address", [Address.PHONE, Address.LID_ALONE])
async def test_a_file_that_is_gone_is_got_again_by_the_id_that_webjs_wrote(
    tmp_path: Path, address: Address
) -> None:
    """WEBJS knows it by no other; under a hidden id, in no other chat."""
    world = World()
    await world.tell(address)
    await world.learn_who_ana_is()
    world.wait()
    task = await world.fetch(tmp_path)
    assert (task.chat, task.stanza) == (ANA.phone_jid, STANZA)
    assert (task.download.status, task.download.problem) == (DownloadStatus.COMPLETED, None)
    assert task.download.sha256 == PHOTO.sha256
