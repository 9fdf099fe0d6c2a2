"""Where a running gateway listens: it says so in its data folder, for commands beside it.

``gateway.json`` is complete from its first moment, and locked while the process runs that wrote it.
One that nobody locks was left behind by a process that was killed, and tells nothing; so does one
that another user may have written: whoever believed it would send tokens and webhooks there.
"""

import fcntl
import ipaddress
import os
import stat
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Annotated

import msgspec
import structlog
from msgspec import Meta, Struct

from wagateway.adapters.embedded.folder import is_locked
from wagateway.entrypoints.settings import Settings
from wagateway.entrypoints.stores import spool_name

_FILE = "gateway.json"
_MAX_BYTES = 4096
_READ = os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK

_log: structlog.typing.FilteringBoundLogger = structlog.get_logger("wagateway.gateway")


class Whereabouts(Struct, frozen=True, kw_only=True):
    """What the file holds.

    Attributes:
        host: the address that the gateway listens on, 0.0.0.0 or :: included.
        port: likewise, never 0.
        archive: which database it keeps, so that a gateway of another one is not taken for it.
    """

    host: str
    port: Annotated[int, Meta(ge=1, le=65535)]
    archive: str


@contextmanager
def left_in_folder(settings: Settings, host: str, port: int) -> Iterator[None]:
    """Say in the data folder, while the context is open, that the gateway listens there.

    A folder that is absent is not made: then everything is configured, and nobody looks there. One
    that cannot be written only costs the others this, and is logged.
    """
    folder = settings.data_dir.expanduser().resolve()
    told = Whereabouts(host=host, port=port, archive=_archive(settings))
    with ExitStack() as stack:
        try:
            stack.enter_context(_left(folder, told))
        except FileNotFoundError:
            pass
        except OSError as exc:
            _log.warning("commands beside this one cannot be told its port", reason=exc.strerror)
        yield


def whereabouts(settings: Settings) -> Whereabouts | None:
    """Return where the gateway of the archive in *settings* listens now; None: nobody says so."""
    folder = settings.data_dir.expanduser().resolve()
    with suppress(OSError, ValueError, RecursionError):
        fd = os.open(folder / _FILE, _READ)
        with os.fdopen(fd, "rb") as file:
            if _is_ours(os.fstat(fd), folder.stat()) and is_locked(fd):
                told = msgspec.json.decode(file.read(_MAX_BYTES), type=Whereabouts)
                ipaddress.ip_address(told.host)  # where a socket listens is never a name
                return told if told.archive == _archive(settings) else None
    return None


def _archive(settings: Settings) -> str:
    return spool_name(settings) if settings.backend == "postgres" else settings.backend


@contextmanager
def _left(folder: Path, told: Whereabouts) -> Iterator[None]:
    fd, draft = tempfile.mkstemp(prefix=f"{_FILE}.", dir=folder)  # for its owner alone
    with os.fdopen(fd, "wb") as file:
        try:
            _give_to_owner(fd, folder)
            fcntl.flock(fd, fcntl.LOCK_EX)
            file.write(msgspec.json.encode(told))
            file.flush()
            Path(draft).replace(folder / _FILE)
        except OSError:
            Path(draft).unlink()
            raise
        try:
            yield
        finally:
            with suppress(OSError):
                if os.path.samestat(os.fstat(fd), (folder / _FILE).stat()):  # not a successor's
                    (folder / _FILE).unlink()


def _give_to_owner(fd: int, folder: Path) -> None:
    """As root, leave the file to the folder's owner, who may look the next time."""
    owner = folder.stat()
    if os.geteuid() == 0 and owner.st_uid != 0:
        os.fchown(fd, owner.st_uid, owner.st_gid)


def _is_ours(file: os.stat_result, folder: os.stat_result) -> bool:
    owners = {os.geteuid(), folder.st_uid} if os.geteuid() == 0 else {os.geteuid()}
    return (
        stat.S_ISREG(file.st_mode)
        and file.st_nlink == 1
        and file.st_uid in owners
        and not file.st_mode & 0o022
    )
