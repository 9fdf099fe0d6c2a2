"""Fetch one message's file from the engine into the media store, whatever comes in between."""

import asyncio
import hashlib
import random
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from uuid import uuid4

import msgspec
from msgspec import Struct

from wagateway.domain.errors import (
    EngineResting,
    EngineUnavailable,
    Gone,
    InvalidInput,
    LeaseLost,
    NotFound,
    RateLimited,
    Refused,
    Rejected,
    SessionNotReady,
    StoreUnavailable,
    TooLarge,
    Unavailable,
)
from wagateway.domain.events import Delivery, MessageSeen, SessionStatus
from wagateway.domain.media import (
    Download,
    DownloadStatus,
    Rules,
    Skip,
    Stored,
    completed,
    decide,
    expired,
    failed,
    file_key,
    has_place,
    is_untried,
    missing,
    put_off,
    skipped,
    too_large,
)
from wagateway.domain.messages import MediaOffer
from wagateway.domain.mimetype import UNKNOWN, is_mimetype
from wagateway.domain.patience import Patience
from wagateway.ports.clock import Clock
from wagateway.ports.downloads import DownloadStore, DownloadTask
from wagateway.ports.engine import Engine, EngineSession
from wagateway.ports.media_source import Fetched, MediaSource
from wagateway.ports.media_store import MediaStore
from wagateway.ports.sync import Archived
from wagateway.ports.tracing import UNTRACED, Tracing
from wagateway.usecases.copying import copied
from wagateway.usecases.turn import defect, words

_RECENT = timedelta(seconds=30)
"""So long what the engine told of a session counts."""
_LONGER = 5
_OTHER_FILE = "the engine's file is not the one that the sender declared"


class MediaPlan(Struct, frozen=True, kw_only=True):
    """How files are fetched.

    Attributes:
        rules: which are wanted.
        patience: how failures are answered.
        concurrent: files that one worker fetches at the same time.
        again: of these, at most so many that the engine has to get from WhatsApp first.
        lease: how long a file stays with a worker that died.
        rest: how long a worker waits where files cannot be stored.
    """

    rules: Rules = Rules()
    patience: Patience = Patience(
        max_retries=5, first=timedelta(seconds=10), failed=timedelta(hours=6)
    )
    concurrent: int = 8
    again: int = 2
    lease: timedelta = timedelta(minutes=2)
    rest: timedelta = timedelta(seconds=10)


class FetchTurn(Struct, kw_only=True):
    """What became of a file.

    Attributes:
        task: in the state that it came to.
        size_bytes: of what was stored.
        new: whether its content is new to the archive.
        problem: why it is not stored.
        nowhere: nothing can be stored now.
        defect: what of ours broke; None where nothing did.
    """

    task: DownloadTask
    size_bytes: int = 0
    new: bool = False
    problem: str | None = None
    nowhere: bool = False
    defect: Exception | None = None


class _NotHad(Exception):
    """The engine was asked to get a file from WhatsApp, and has it not; the text is for people."""


class _OtherFile(Exception):
    """What came is not what the sender declared."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FetchMedia:
    """Give a claimed download its turn.

    Attributes:
        folder: where files lie until they are stored; there must be room for *concurrent* of them.
        jitter: gives 0 to 1, so that many that failed at once do not return at once.
    """

    engine: Engine
    source: MediaSource
    media: MediaStore
    downloads: DownloadStore
    clock: Clock
    plan: MediaPlan
    folder: Path
    jitter: Callable[[], float] = random.random
    tracing: Tracing = UNTRACED
    _recent: dict[int, tuple[datetime, EngineSession]] = field(default_factory=dict)

    async def __call__(self, task: DownloadTask) -> FetchTurn:
        """Fetch the file of *task*, or give it back with the reason and the next try.

        Raises:
            StoreUnavailable: the database is away; the file stays claimed until its lease ends.
        """
        turn = FetchTurn(task=task)
        with self.tracing.span(
            "download",
            session=task.archive.session,
            kind=task.file.kind.value,
            again=task.download.again,
        ) as span:
            try:
                async with self._held(task):
                    await self._go_on(turn)
            except LeaseLost:
                turn.problem = "another worker has it"
            span.tell(status=turn.task.download.status.value, size_bytes=turn.size_bytes)
        return turn

    async def _go_on(self, turn: FetchTurn) -> None:
        task = turn.task
        verdict = decide(
            task.file, task.download, self.plan.rules, heard_at=task.heard_at, now=self.clock()
        )
        if isinstance(verdict, Skip):
            await self._end(turn, skipped(task.download, verdict.reason))
            return
        file = self.folder / f"fetch-{uuid4().hex}"
        try:
            await self._fetch(turn, file, again=verdict.again)
        except StoreUnavailable as exc:
            await self._wait(turn, words(exc))
            turn.nowhere = True
        except (LeaseLost, asyncio.CancelledError):
            raise
        except Exception as exc:  # noqa: BLE001 - each has its answer
            await self._end(turn, self._after(turn, exc))
        finally:
            with suppress(OSError):
                await asyncio.to_thread(file.unlink, missing_ok=True)

    async def _fetch(self, turn: FetchTurn, file: Path, *, again: bool) -> None:
        fetched = await self._had(turn, file, again=again)
        state = turn.task.download
        problem = self._difference(turn.task, fetched)
        key, mimetype = file_key(fetched.sha256), _mimetype(turn.task, fetched)
        await self.media.add(key, file, mimetype=mimetype)
        done = completed(state, fetched.sha256, problem=problem)
        turn.new = await self.downloads.save(
            msgspec.structs.replace(turn.task, download=done),
            now=self.clock(),
            stored=Stored(size_bytes=fetched.size_bytes, mimetype=mimetype),
        )
        _become(turn, done)  # not before: what the database did not take is tried again
        # Until then it may have been removed, since nobody had it or nobody knew it.
        await self.media.add(key, file, mimetype=mimetype)
        turn.size_bytes = fetched.size_bytes

    async def _had(self, turn: FetchTurn, file: Path, *, again: bool) -> Fetched:
        """Get the file to *file*, from where the engine said that it is, or from WhatsApp again."""
        state = turn.task.download
        if not again:
            return await self._from(state.offer, file)
        if is_untried(state):
            # The engine may keep files for longer than is known, or its clock differs.
            with suppress(NotFound, InvalidInput):
                return await self._from(state.offer, file)
        stored = await self._stored(turn.task, file)
        if stored is not None:
            return stored
        _become(turn, msgspec.structs.replace(state, again=True))
        offer = await self._got_again(turn.task)
        _become(turn, msgspec.structs.replace(state, offer=offer, again=False))
        return await self._from(offer, file)

    async def _stored(self, task: DownloadTask, file: Path) -> Fetched | None:
        """Copy the file to *file* from the media store, if it is there as the sender declared it.

        It is where it was forwarded, or where the database did not take that it was stored.
        """
        declared = task.file.facts.sha256
        if declared is None:
            return None
        digest, size = hashlib.sha256(), 0

        async def hashed() -> AsyncIterator[bytes]:
            nonlocal size
            async for piece in self.media.read(file_key(declared)):
                digest.update(piece)
                size += len(piece)
                yield piece

        try:
            await copied(hashed(), file)
        except NotFound:
            return None
        except OSError as exc:
            raise StoreUnavailable(f"the file cannot be written: {exc.strerror}") from exc
        whole = digest.hexdigest() == declared
        return Fetched(sha256=declared, size_bytes=size) if whole else None

    async def _from(self, offer: MediaOffer | None, file: Path) -> Fetched:
        if offer is None:
            raise InvalidInput("the engine names no place of the file")
        return await self.source.fetch(offer, file, largest_bytes=self.plan.rules.largest_bytes)

    def _difference(self, task: DownloadTask, fetched: Fetched) -> str | None:
        """Return how the file differs from what was declared, if nobody has a better one.

        Raises:
            _OtherFile: it differs, and another try may help.
        """
        declared, state = task.file.facts, task.download
        same_size = declared.size_bytes in {None, fetched.size_bytes}
        if (fetched.sha256 == declared.sha256) if declared.sha256 else same_size:
            return None
        at_its_end = self.plan.patience.is_at_its_end(state.attempts + 1)
        if at_its_end and state.problem == _OTHER_FILE:
            return _OTHER_FILE  # once more the same: better than none
        raise _OtherFile(_OTHER_FILE)

    # What the engine has no longer

    async def _got_again(self, task: DownloadTask) -> MediaOffer:
        session = await self._session(task.archive)
        row = await self.engine.message(
            session, task.chat, task.stanza, waha_id=task.waha_id, download_media=True
        )
        offer = _offer_in(row.delivery)
        if offer is None or not has_place(offer):
            told = offer.error if offer is not None else None
            raise _NotHad(f"WhatsApp gave the engine no file: {told or 'without a reason'}")
        return offer

    async def _session(self, archive: Archived) -> EngineSession:
        recent = self._recent.get(archive.id)
        if recent is not None and self.clock() - recent[0] < _RECENT:
            return recent[1]
        try:
            told = await self.engine.session(archive.session)
        except NotFound as exc:
            raise SessionNotReady("the engine does not know the session") from exc
        if told.account is None or told.account.phone != archive.account:
            raise SessionNotReady("the session has another account now, or none")
        if told.status is not SessionStatus.WORKING:
            raise SessionNotReady(f"the session is {told.status}")
        self._recent[archive.id] = (self.clock(), told)
        return told

    # What comes of failures

    def _after(self, turn: FetchTurn, exc: Exception) -> Download:
        """Return the state after *exc*."""
        state, now, patience = turn.task.download, self.clock(), self.plan.patience
        jitter = self.jitter()
        after = failed(state, now, words(exc), patience, jitter=jitter)
        match exc:
            case Gone():
                after = expired(state, words(exc))
            case TooLarge():
                after = skipped(state, too_large(self.plan.rules))
            case SessionNotReady() | Refused():
                after = put_off(state, now + patience.longest, words(exc))
            case RateLimited() | EngineResting():
                wait = timedelta(seconds=exc.wait_s) if exc.wait_s else patience.first
                after = put_off(state, now + wait * (1 + jitter), words(exc))
            case _NotHad() | NotFound() if state.again:
                if after.status is DownloadStatus.FAILED:
                    after = expired(after, words(exc))
            case NotFound() | InvalidInput() | _OtherFile():
                after = missing(state, now, words(exc), patience, jitter=jitter)
            case EngineUnavailable() | Rejected():
                pass
            case Unavailable():
                after = put_off(state, now + patience.first, words(exc))
            case _:
                turn.defect = exc
                after = failed(state, now, defect(exc), patience, jitter=jitter)
        return after

    async def _wait(self, turn: FetchTurn, problem: str) -> None:
        """Put it off; longer where it waited for the same before, so that others get through."""
        longer = _LONGER * self.jitter() if problem == turn.task.download.problem else 0.0
        until = self.clock() + self.plan.rest * (1 + longer)
        await self._end(turn, put_off(turn.task.download, until, problem))

    async def _end(self, turn: FetchTurn, state: Download) -> None:
        _become(turn, state)
        turn.problem = state.problem
        await self.downloads.save(turn.task, now=self.clock())

    @asynccontextmanager
    async def _held(self, task: DownloadTask) -> AsyncIterator[None]:
        """Go on holding *task* while a large file comes."""
        holding = asyncio.create_task(self._hold(task))
        try:
            yield
        finally:
            holding.cancel()
            with suppress(asyncio.CancelledError):
                await holding

    async def _hold(self, task: DownloadTask) -> None:
        while True:
            await asyncio.sleep(self.plan.lease.total_seconds() / 4)
            with suppress(Unavailable):
                try:
                    await self.downloads.hold(task, until=self.clock() + self.plan.lease)
                except LeaseLost:  # save() will say so
                    return


def _become(turn: FetchTurn, state: Download) -> None:
    turn.task = msgspec.structs.replace(turn.task, download=state)


def _offer_in(delivery: Delivery) -> MediaOffer | None:
    for each in delivery.observations:
        if isinstance(each, MessageSeen) and each.offer is not None:
            return each.offer
    return None


def _mimetype(task: DownloadTask, fetched: Fetched) -> str:
    """Return the type as the sender declared it, else as the engine did; nobody looked yet."""
    for told in (task.file.facts.mimetype, fetched.mimetype):
        if told is not None and is_mimetype(told):
            return told
    return UNKNOWN
