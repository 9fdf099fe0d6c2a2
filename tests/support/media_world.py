"""A world in which files are fetched: an engine with files, an archive, a store, and a clock."""

import hashlib
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

from tests.support.deliveries import ANA, NOON, delivery, seen
from tests.support.engine import FakeEngine
from typing_extensions import override

from wagateway.adapters.memory.archive import InMemoryArchive
from wagateway.adapters.memory.downloads import InMemoryDownloadStore
from wagateway.adapters.memory.media import InMemoryMediaStore
from wagateway.domain.errors import StoreUnavailable
from wagateway.domain.events import MessageSeen, Source
from wagateway.domain.identity import Jid, StanzaId
from wagateway.domain.media import Download, file_key
from wagateway.domain.messages import Kind, MediaFacts, MediaOffer
from wagateway.domain.patience import Patience
from wagateway.ports.downloads import DownloadTask
from wagateway.ports.engine import EngineSession, MessageRow
from wagateway.ports.media_source import Fetched, MediaSource
from wagateway.usecases.fetch_media import FetchMedia, FetchTurn, MediaPlan

SECOND = timedelta(seconds=1)
MINUTE = timedelta(minutes=1)
DAY = timedelta(days=1)
PLAN = MediaPlan(
    patience=Patience(
        max_retries=2, first=10 * SECOND, longest=5 * MINUTE, failed=timedelta(hours=6)
    )
)
START = NOON + SECOND
"""When a message of noon was received."""
HELLO = b"a picture of bread"


def sha256_of(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


class FakeSource(MediaSource):
    """Files by address; an exception stands for an answer that is none.

    Attributes:
        files: what is at each address.
        asked: the addresses that were fetched, in order.
    """

    def __init__(self) -> None:
        self.files: dict[str, bytes | Exception] = {}
        self.asked: list[str] = []

    @override
    async def fetch(self, offer: MediaOffer, into: Path, *, largest_bytes: int) -> Fetched:
        assert offer.url is not None
        self.asked.append(offer.url)
        found = self.files[offer.url]
        if isinstance(found, Exception):
            raise found
        try:
            into.write_bytes(found)
        except OSError as exc:
            raise StoreUnavailable(f"the file cannot be written: {exc.strerror}") from exc
        return Fetched(sha256=sha256_of(found), size_bytes=len(found), mimetype="image/jpeg")


class MediaEngine(FakeEngine):
    """An engine that gets files from WhatsApp again.

    Attributes:
        again: by stanza id what it answers: an address, why it has none, or a failure.
    """

    def __init__(self) -> None:
        super().__init__()
        self.again: dict[str, MediaOffer | Exception | None] = {}

    @override
    async def message(
        self,
        session: EngineSession,
        chat: Jid,
        stanza: StanzaId,
        *,
        waha_id: str | None = None,
        download_media: bool = False,
    ) -> MessageRow:
        assert download_media
        assert waha_id is not None
        assert stanza in waha_id
        self._count("message")
        found = self.again[stanza]
        if isinstance(found, Exception):
            raise found
        told = photo(stanza, chat=chat, offer=found)
        return MessageRow(stanza=stanza, sent_at=NOON, delivery=delivery(told, source=Source.SYNC))


class World:
    """An archive, a store and an engine; the clock stands still unless it is moved."""

    def __init__(self, folder: Path, *, plan: MediaPlan = PLAN) -> None:
        self.now = START
        self.engine = MediaEngine()
        self.source = FakeSource()
        self.archive = InMemoryArchive()
        self.downloads = InMemoryDownloadStore(self.archive)
        self.media = InMemoryMediaStore()
        self.plan = plan
        self.fetch = FetchMedia(
            engine=self.engine,
            source=self.source,
            media=self.media,
            downloads=self.downloads,
            clock=self.clock,
            plan=plan,
            folder=folder,
            jitter=lambda: 0.0,
        )

    def clock(self) -> datetime:
        return self.now

    def with_parts(self, **parts: object) -> None:
        """Put other parts into the fetching."""
        self.fetch = replace(self.fetch, **parts)  # type: ignore[arg-type] # any of its parts

    async def tell(
        self,
        stanza: str = "A1",
        *,
        content: bytes | Exception = HELLO,
        offered: bool = True,
        facts: MediaFacts | None = None,
    ) -> None:
        """Let a message with a file come, which the engine has, unless it is not *offered*."""
        url = f"http://localhost:3000/api/files/{stanza}.jpeg"
        self.source.files[url] = content
        offer = MediaOffer(offered_at=self.now - SECOND, url=url) if offered else None
        await self.archive.record(
            [delivery(photo(stanza, offer=offer, facts=facts), at=self.now - SECOND)]
        )

    async def task(self) -> DownloadTask:
        [task] = await self.downloads.claim(
            self.now, rules=self.plan.rules, lease=self.plan.lease, limit=1
        )
        return task

    async def turn(self) -> FetchTurn:
        """Give the one download that is due its turn."""
        return await self.fetch(await self.task())

    async def settle(self, *, most: int = 50) -> list[FetchTurn]:
        """Give every due download its turns, at the time of each, until none is left."""
        turns: list[FetchTurn] = []
        for _ in range(most):
            tasks = await self.downloads.claim(
                self.now, rules=self.plan.rules, lease=self.plan.lease, limit=1
            )
            if not tasks:
                return turns
            turns.append(await self.fetch(tasks[0]))
        raise AssertionError("the downloads do not come to rest")

    def download(self, stanza: str = "A1") -> Download:
        """Return how the download of a message stands."""
        [entry] = self.archive.entries()
        files = self.archive.files(entry.id).values()
        [found] = [file.download for file in files if file.stanza == stanza]
        return found

    async def stored(self, content: bytes = HELLO) -> bytes:
        pieces = [piece async for piece in self.media.read(file_key(sha256_of(content)))]
        return b"".join(pieces)


def photo(
    stanza: str, *, chat: Jid = ANA, offer: MediaOffer | None, facts: MediaFacts | None = None
) -> MessageSeen:
    return seen(
        None, chat=chat, stanza=stanza, offer=offer, kind=Kind.IMAGE, media=facts or MediaFacts()
    )
