"""WAHA's files, fetched by HTTP: hashed and counted as they come, and given up when too large.

Nothing is repeated here: an address lives for minutes, so whoever asks decides what comes next.
Source: WAHA docs, Storages.
"""

import asyncio
import hashlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from http.cookiejar import CookieJar, DefaultCookiePolicy
from pathlib import Path
from typing import BinaryIO, NoReturn

import httpx
from msgspec import Struct
from typing_extensions import override

from wagateway.adapters.waha.files import Source, source_of
from wagateway.adapters.waha.transport import AS_IT_IS, CONNECT_S, asked_wait_s
from wagateway.domain.errors import (
    EngineResting,
    EngineUnavailable,
    Gone,
    InvalidInput,
    NotFound,
    RateLimited,
    Refused,
    StoreUnavailable,
    TooLarge,
)
from wagateway.domain.messages import MediaOffer
from wagateway.ports.media_source import Fetched, MediaSource

_PIECE = 256 * 1024
_AWAY_S = 10.0
_LONGEST_MIMETYPE_CHARS = 200


class FetchLimits(Struct, frozen=True, kw_only=True):
    """How patient a fetch is.

    Attributes:
        pause_s: the longest pause between two pieces.
        whole_s: the longest time for a whole file, however steadily it drips.
        at_once: files at the same time, at most.
    """

    pause_s: float = 30.0
    whole_s: float = 900.0
    at_once: int = 16


class WahaFiles(MediaSource):
    """The files of one WAHA server, and of the bucket where it puts them, if it does."""

    def __init__(
        self,
        client: httpx.AsyncClient,
        *,
        engine_url: str,
        engine_key: str | None,
        store_url: str | None,
        limits: FetchLimits,
    ) -> None:
        """Fetch over *client*, which stays the caller's; see open_files() for the rest."""
        self._client = client
        self._engine_url = engine_url
        self._engine_key = engine_key
        self._store_url = store_url
        self._limits = limits
        self._room = asyncio.Semaphore(limits.at_once)

    @override
    async def fetch(self, offer: MediaOffer, into: Path, *, largest_bytes: int) -> Fetched:
        if offer.url is None:
            raise InvalidInput("the engine names no address of the file")
        source = source_of(offer.url, engine_url=self._engine_url, store_url=self._store_url)
        try:
            async with self._room, asyncio.timeout(self._limits.whole_s):
                return await self._fetch(source, into, largest_bytes)
        except TimeoutError as exc:
            raise EngineUnavailable("the file did not come in time") from exc
        except (httpx.ConnectError, httpx.ConnectTimeout) as exc:
            raise EngineResting("the engine cannot be reached", wait_s=_AWAY_S) from exc
        except (httpx.HTTPError, httpx.StreamError) as exc:
            raise EngineUnavailable(f"the file broke off: {type(exc).__name__}") from exc
        except OSError as exc:
            raise StoreUnavailable(f"the file cannot be written: {exc.strerror}") from exc

    async def _fetch(self, source: Source, into: Path, largest_bytes: int) -> Fetched:
        headers = {"X-Api-Key": self._engine_key} if source.with_key and self._engine_key else {}
        async with self._client.stream("GET", source.url, headers=headers) as answer:
            _require_file(answer, with_key=source.with_key)
            _require_small(int(answer.headers.get("content-length") or 0), largest_bytes)
            digest, size = hashlib.sha256(), 0
            async with _beside(into) as file:
                async for piece in answer.aiter_bytes(_PIECE):
                    size += len(piece)
                    _require_small(size, largest_bytes)
                    await asyncio.to_thread(_kept, piece, file, digest)
        if size == 0:
            raise EngineUnavailable("the engine's file is empty")
        mimetype = answer.headers.get("content-type", "")[:_LONGEST_MIMETYPE_CHARS]
        return Fetched(sha256=digest.hexdigest(), size_bytes=size, mimetype=mimetype or None)


@asynccontextmanager
async def _beside(path: Path) -> AsyncIterator[BinaryIO]:
    """Open the new file *path* beside the event loop, since a disk may be slow, or hang.

    Where that breaks off nobody waits for the disk once more.
    """
    file = await asyncio.to_thread(lambda: path.open("wb"))
    try:
        yield file
    except BaseException:
        asyncio.get_running_loop().run_in_executor(None, _closed, file)
        raise
    await asyncio.to_thread(file.close)


def _closed(file: BinaryIO) -> None:
    with suppress(OSError):
        file.close()


def _kept(piece: bytes, file: BinaryIO, digest: "hashlib._Hash") -> None:
    digest.update(piece)
    file.write(piece)


def _require_small(size_bytes: int, largest_bytes: int) -> None:
    if size_bytes > largest_bytes:
        raise TooLarge(f"the file has more than {largest_bytes:,} bytes")


def _require_file(answer: httpx.Response, *, with_key: bool) -> None:
    """Refuse every answer but a whole file as it is."""
    if answer.status_code != httpx.codes.OK:
        _refuse(answer, with_key=with_key)
    if answer.headers.get("content-encoding", AS_IT_IS).lower() != AS_IT_IS:
        raise EngineUnavailable("the file is packed, which was not asked for")
    length = answer.headers.get("content-length", "0")
    if not (length.isascii() and length.isdigit()):
        raise EngineUnavailable("the file's length cannot be read")


def _refuse(answer: httpx.Response, *, with_key: bool) -> NoReturn:
    match answer.status_code:
        case 404:
            raise NotFound("the engine has the file no longer")
        case 410:
            raise Gone("WhatsApp has the file no longer")
        case 401 | 403 if with_key:
            raise Refused("WAHA does not accept the key: check WHATSAPP_API_KEY")
        case 401 | 403:
            raise NotFound("the address of the file is no longer valid")
        case 429:
            wait_s = asked_wait_s(answer.headers.get("retry-after", ""))
            raise RateLimited("the engine asks to wait", wait_s=wait_s)
        case status:
            raise EngineUnavailable(f"the engine answers {status} instead of the file")


@asynccontextmanager
async def open_files(
    engine_url: str,
    engine_key: str | None,
    *,
    store_url: str | None = None,
    limits: FetchLimits | None = None,
) -> AsyncIterator[WahaFiles]:
    """Open the files of the WAHA server at *engine_url*.

    Args:
        engine_url: as for the engine itself; proxies of the environment are not used.
        engine_key: sent as ``X-Api-Key`` to the engine, and to nobody else.
        store_url: where the bucket can be reached into which WAHA puts files; None: it does not.
        limits: sane ones if None.
    """
    limits = limits or FetchLimits()
    async with httpx.AsyncClient(
        headers={"Accept-Encoding": AS_IT_IS},
        cookies=CookieJar(DefaultCookiePolicy(allowed_domains=[])),
        trust_env=False,
        follow_redirects=False,
        timeout=httpx.Timeout(limits.pause_s, connect=CONNECT_S),
        limits=httpx.Limits(max_connections=limits.at_once),
    ) as client:
        yield WahaFiles(
            client,
            engine_url=engine_url,
            engine_key=engine_key,
            store_url=store_url,
            limits=limits,
        )
