"""Look into a stored file, and keep what is found, with a preview."""

import asyncio
import shutil
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from tempfile import mkdtemp

from wagateway.domain.errors import NotFound, StoreUnavailable, Unavailable
from wagateway.domain.media import THUMBNAIL_TYPE, Inspection, MediaObject, file_key, thumbnail_key
from wagateway.ports.clock import Clock
from wagateway.ports.downloads import DownloadStore
from wagateway.ports.media_inspector import Looked, MediaInspector
from wagateway.ports.media_store import MediaStore
from wagateway.usecases.copying import copied

_MOST_LOOKS = 3
"""At one file: one that ends each of them by killing the worker is left alone."""


@dataclass(frozen=True, slots=True, kw_only=True)
class InspectMedia:
    """Give a claimed file its look.

    Attributes:
        folder: where the file lies meanwhile.
        rest: how long a file waits for its look where a store is away.
    """

    inspector: MediaInspector
    media: MediaStore
    downloads: DownloadStore
    clock: Clock
    folder: Path
    rest: timedelta = timedelta(seconds=10)

    async def __call__(self, file: MediaObject) -> Inspection:
        """Look into *file* and store what is found.

        Raises:
            Unavailable: a store is away, or no process can be started; it is claimed again later.
        """
        if file.inspections > _MOST_LOOKS:
            found = Inspection(mimetype=file.mimetype, problem="no look into it came to an end")
        else:
            try:
                found = await self._look(file)
            except NotFound:
                found = Inspection(mimetype=file.mimetype, problem="it is not in the media store")
            except Unavailable:
                with suppress(Unavailable):  # that was no look at the file
                    await self.downloads.inspect_again(file.sha256, now=self.clock() + self.rest)
                raise
        await self.downloads.save_inspection(file.sha256, found, now=self.clock())
        return found

    async def _look(self, file: MediaObject) -> Inspection:
        async with self._here(file) as path:
            seen = await self.inspector.inspect(path, declared=file.mimetype)
            if seen.thumbnail is not None:
                with _disk_errors():
                    await asyncio.to_thread(path.write_bytes, seen.thumbnail)
                await self.media.add(thumbnail_key(file.sha256), path, mimetype=THUMBNAIL_TYPE)
        return _inspection(seen)

    @asynccontextmanager
    async def _here(self, file: MediaObject) -> AsyncIterator[Path]:
        with _disk_errors():
            folder = Path(await asyncio.to_thread(mkdtemp, dir=self.folder, prefix="look-"))
        try:
            path = folder / "file"
            with _disk_errors():
                await copied(self.media.read(file_key(file.sha256)), path)
            yield path
        finally:
            await asyncio.to_thread(shutil.rmtree, folder, ignore_errors=True)


@contextmanager
def _disk_errors() -> Iterator[None]:
    try:
        yield
    except OSError as exc:
        raise StoreUnavailable(f"the file cannot be written: {exc.strerror}") from exc


def _inspection(seen: Looked) -> Inspection:
    return Inspection(
        mimetype=seen.mimetype,
        width=seen.width,
        height=seen.height,
        duration_s=seen.duration_s,
        pages=seen.pages,
        placeholder=seen.placeholder,
        has_thumbnail=seen.thumbnail is not None,
        problem=seen.problem,
    )
