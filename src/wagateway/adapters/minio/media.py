"""Attached files in a bucket of an S3 server, such as MinIO: private, whole or not there."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import asynccontextmanager
from datetime import timedelta
from functools import partial
from itertools import islice
from pathlib import Path
from typing import TypeVar

import urllib3
from minio.datatypes import Object
from typing_extensions import override

from wagateway.adapters.minio._blocking import PREFIXES, BlockingBucket, Patience
from wagateway.adapters.minio._errors import translated_errors
from wagateway.adapters.minio.bucket import Bucket
from wagateway.domain.filenames import content_disposition
from wagateway.domain.media import MediaKey, is_media_key
from wagateway.domain.mimetype import safe_mimetype
from wagateway.ports.media_store import MediaStore, StoredFile

_PIECE = 256 * 1024
_LISTED_AT_ONCE = 500
_SECOND = timedelta(seconds=1)
_WEEK = timedelta(days=7)

_T = TypeVar("_T")


class MinioMediaStore(MediaStore):
    """Files in one bucket, which may be shared by many processes; blocks in threads of its own."""

    def __init__(self, bucket: Bucket, patience: Patience | None = None) -> None:
        """Keep files in *bucket*; nothing is asked yet."""
        patience = patience or Patience()
        self._bucket = BlockingBucket(bucket, patience)
        self._threads = ThreadPoolExecutor(patience.threads, thread_name_prefix="minio")

    def close(self) -> None:
        """Let go of connections and threads; what still runs ends by its time limits."""
        self._threads.shutdown(wait=False, cancel_futures=True)
        self._bucket.close()

    @override
    async def prepare(self) -> None:
        with translated_errors():
            await self._in_thread(self._bucket.make)

    @override
    async def add(self, key: MediaKey, file: Path, *, mimetype: str) -> bool:
        _check(key)
        with translated_errors():
            content_type = safe_mimetype(mimetype)
            return await self._in_thread(partial(self._bucket.add, key, file, content_type))

    @override
    async def size_bytes(self, key: MediaKey) -> int:
        _check(key)
        with translated_errors(of_a_file=True):
            return await self._in_thread(partial(self._bucket.size_bytes, key))

    @override
    async def read(
        self, key: MediaKey, *, start: int = 0, length: int | None = None
    ) -> AsyncIterator[bytes]:
        _check(key)
        with translated_errors(of_a_file=True):
            answer = await self._opened(key, start, length)
            if answer is None:
                return
            reading: Future[bytes] | None = None
            try:
                while True:
                    reading = self._threads.submit(answer.read, _PIECE, decode_content=False)
                    piece = await asyncio.wrap_future(reading)
                    if not piece:
                        return
                    yield piece
            finally:
                _close_after(reading, answer)

    @override
    async def remove(self, key: MediaKey) -> bool:
        _check(key)
        with translated_errors():
            return await self._in_thread(partial(self._bucket.remove, key))

    @override
    async def files(self) -> AsyncIterator[StoredFile]:
        with translated_errors():
            for prefix in PREFIXES:
                found = self._bucket.listed(prefix)
                while batch := await self._in_thread(partial(_next_of, found)):
                    for each in batch:
                        if (file := _stored(each)) is not None:
                            yield file

    @override
    def link(
        self,
        key: MediaKey,
        *,
        lifetime: timedelta,
        filename: str | None,
        mimetype: str,
        inline: bool,
    ) -> str | None:
        _check(key)
        if not _SECOND <= lifetime <= _WEEK:
            raise ValueError("an address holds for one second to seven days")
        headers = {
            "content-type": safe_mimetype(mimetype),
            "content-disposition": content_disposition(filename, inline=inline),
        }
        return self._bucket.link(key, lifetime, headers)

    @override
    async def readable_by_anyone(self) -> bool:
        with translated_errors():
            return await self._in_thread(self._bucket.is_open)

    async def _in_thread(self, work: Callable[[], _T]) -> _T:
        return await asyncio.wrap_future(self._threads.submit(work))

    async def _opened(
        self, key: MediaKey, start: int, length: int | None
    ) -> urllib3.BaseHTTPResponse | None:
        opening = self._threads.submit(self._bucket.opened, key, start, length)
        try:
            return await asyncio.wrap_future(opening)
        except asyncio.CancelledError:
            opening.add_done_callback(_close_unused)
            raise


@asynccontextmanager
async def open_minio(
    bucket: Bucket, patience: Patience | None = None
) -> AsyncIterator[MinioMediaStore]:
    """Yield the files of *bucket*, and let go of the server at the end; nothing is asked yet."""
    store = MinioMediaStore(bucket, patience)
    try:
        yield store
    finally:
        store.close()


def _check(key: MediaKey) -> None:
    if not is_media_key(key):
        raise ValueError("no key of ours")


def _next_of(found: Iterator[Object]) -> list[Object]:
    return list(islice(found, _LISTED_AT_ONCE))


def _stored(each: Object) -> StoredFile | None:
    """Return what is listed as a file of ours; None where it is none."""
    name, seen = each.object_name or "", each.last_modified
    if not is_media_key(name) or seen is None:
        return None
    key, size_bytes = MediaKey(name), each.size or 0
    return StoredFile(key=key, size_bytes=size_bytes, stored_at=seen.replace(microsecond=0))


def _close_after(reading: Future[bytes] | None, answer: urllib3.BaseHTTPResponse) -> None:
    """Close *answer* once no thread reads it: to close it under one would wait for that one."""
    if reading is None:
        answer.close()
    else:
        reading.add_done_callback(lambda _: answer.close())


def _close_unused(opening: "Future[urllib3.BaseHTTPResponse | None]") -> None:
    if not opening.cancelled() and opening.exception() is None and (answer := opening.result()):
        answer.close()
