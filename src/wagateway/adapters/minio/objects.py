"""Files by name below a prefix of a bucket; the bucket may be another than that of the media."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from functools import partial
from itertools import islice
from pathlib import Path
from typing import TypeVar

from minio.datatypes import Object
from minio.error import S3Error
from typing_extensions import override

from wagateway.adapters.minio._blocking import BlockingBucket, Patience
from wagateway.adapters.minio._errors import translated_errors
from wagateway.adapters.minio.bucket import Bucket
from wagateway.ports.objects import ObjectStore

_PIECE = 256 * 1024
_LISTED_AT_ONCE = 500

_T = TypeVar("_T")


class MinioObjects(ObjectStore):
    """Files below a prefix; blocks in threads of its own."""

    def __init__(self, bucket: Bucket, prefix: str, patience: Patience | None = None) -> None:
        """Keep files in *bucket* below *prefix*, without slashes around; nothing is asked yet."""
        patience = patience or Patience()
        self._bucket = BlockingBucket(bucket, patience)
        self._prefix = f"{prefix}/" if prefix else ""
        self._threads = ThreadPoolExecutor(patience.threads, thread_name_prefix="backups")

    def close(self) -> None:
        """Let go of connections and threads; what still runs ends by its time limits."""
        self._threads.shutdown(wait=False, cancel_futures=True)
        self._bucket.close()

    @override
    async def put(self, name: str, file: Path) -> None:
        with translated_errors():
            await self._in_thread(partial(self._bucket.put, self._prefix + name, file))

    @override
    async def get(self, name: str, into: Path) -> bool:
        with translated_errors():
            return await self._in_thread(partial(self._get, self._prefix + name, into))

    @override
    async def size_bytes(self, name: str) -> int | None:
        with translated_errors():
            return await self._in_thread(partial(self._bucket.seen_bytes, self._prefix + name))

    @override
    async def names(self, prefix: str) -> AsyncIterator[str]:
        with translated_errors():
            found = self._bucket.found(self._prefix + prefix)
            while batch := await self._in_thread(partial(_next_of, found)):
                for each in batch:
                    yield (each.object_name or "").removeprefix(self._prefix)

    @override
    async def remove(self, name: str) -> None:
        with translated_errors():
            await self._in_thread(partial(self._bucket.forget, self._prefix + name))

    def _get(self, name: str, into: Path) -> bool:
        if self._bucket.seen_bytes(name) is None:
            return False
        answer = self._bucket.whole(name)
        try:
            with into.open("wb") as file:
                while piece := answer.read(_PIECE, decode_content=False):
                    file.write(piece)
        finally:
            answer.close()
        return True

    async def _in_thread(self, work: Callable[[], _T]) -> _T:
        return await asyncio.wrap_future(self._threads.submit(work))


@asynccontextmanager
async def open_objects(bucket: Bucket, prefix: str) -> AsyncIterator[MinioObjects]:
    """Yield the files of *bucket* below *prefix*, and let go of the server at the end."""
    objects = MinioObjects(bucket, prefix)
    try:
        yield objects
    finally:
        objects.close()


def _next_of(found: Iterator[Object]) -> list[Object]:
    try:
        return list(islice(found, _LISTED_AT_ONCE))
    except S3Error as exc:
        if exc.code == "NoSuchBucket":  # it is made with the first file
            return []
        raise
