"""A spool in a folder of this machine, which its processes may share."""

import errno
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from typing_extensions import override

from wagateway.adapters.filesystem import _spool_folder
from wagateway.adapters.filesystem._spool_folder import SpoolFolder
from wagateway.adapters.filesystem.daemon_threads import DaemonThreads
from wagateway.domain.errors import StoreUnavailable
from wagateway.ports.spool import Spool, SpoolDepth, SpooledBody, SpoolEntry
from wagateway.ports.spool_form import pack

_PUT_WITHIN_S = 1.5
"""WAHA waits 8 seconds for an answer, and the database took six of them."""
_OTHERS_WITHIN_S = 5.0
_RELEASE_WITHIN_S = 0.5
_PUT_BACK_WITHIN_S = 600.0
_MENDS = {
    **dict.fromkeys((errno.ENOSPC, errno.EDQUOT), "free some of its disk"),
    **dict.fromkeys((errno.EACCES, errno.EPERM), "let this user read and write there"),
    **dict.fromkeys(
        (errno.EAGAIN, errno.EMFILE, errno.ENFILE), "raise the limits of ulimit -u, -n"
    ),
    errno.EROFS: "mount its disk for writing",
}


class FilesystemSpool(Spool):
    """Entries as files of one folder, which is made when the first is kept."""

    def __init__(
        self, folder: Path, *, max_bytes: int, put_within_s: float = _PUT_WITHIN_S
    ) -> None:
        """Keep at most *max_bytes* under *folder*, an absolute path.

        Args:
            folder: on a local disk.
            max_bytes: of all that waits; more is refused.
            put_within_s: for put() in all.
        """
        self._folder = SpoolFolder(folder, max_bytes=max_bytes)
        self._put_within_s = put_within_s
        self._puts, self._others = DaemonThreads(at_once=4), DaemonThreads(at_once=2)

    @override
    async def prepare(self) -> None:
        with _disk_errors():
            await self._others.run(_OTHERS_WITHIN_S, self._folder.prepare)

    @override
    async def put(self, bodies: Sequence[SpooledBody]) -> None:
        with _disk_errors():
            await self._puts.run(self._put_within_s, self._folder.put, pack(bodies))

    @override
    async def oldest(self, *, limit: int, without: Collection[str] = ()) -> Sequence[SpoolEntry]:
        with _disk_errors():
            return await self._others.run(
                _OTHERS_WITHIN_S, self._folder.oldest, limit, frozenset(without)
            )

    @override
    async def release(self) -> None:
        with _disk_errors():
            await self._others.run(_RELEASE_WITHIN_S, self._folder.release)

    @override
    async def let_go(self, keys: Collection[str]) -> None:
        with _disk_errors():
            await self._others.run(_OTHERS_WITHIN_S, self._folder.let_go, keys)

    @override
    async def set_aside(self, key: str) -> None:
        with _disk_errors():
            await self._others.run(_OTHERS_WITHIN_S, self._folder.set_aside, key)

    @override
    async def put_back(self) -> int:
        with _disk_errors():
            return await self._others.run(_PUT_BACK_WITHIN_S, self._folder.put_back)

    @override
    async def depth(self) -> SpoolDepth:
        with _disk_errors():
            return await self._others.run(_OTHERS_WITHIN_S, self._folder.depth)

    async def aclose(self) -> None:
        """Let others drain."""
        with suppress(StoreUnavailable):
            await self.release()


async def names_of_folders(folder: Path) -> Sequence[str]:
    """Return which folders in *folder* are spools.

    Raises:
        StoreUnavailable: it cannot be read.
    """
    with _disk_errors():
        return await DaemonThreads(at_once=1).run(
            _OTHERS_WITHIN_S, _spool_folder.names_of_folders, folder
        )


@contextmanager
def _disk_errors() -> Iterator[None]:
    try:
        yield
    except TimeoutError as exc:
        raise StoreUnavailable(
            "the folder of the spool does not answer in time: look at its disk, or set "
            "WHATSAPP_SPOOL_DIR"
        ) from exc
    except OSError as exc:
        mend = _MENDS.get(exc.errno or 0, "look at its disk")
        raise StoreUnavailable(
            f"the folder of the spool cannot be used ({exc.strerror or exc}): {mend}, or set "
            "WHATSAPP_SPOOL_DIR"
        ) from exc
