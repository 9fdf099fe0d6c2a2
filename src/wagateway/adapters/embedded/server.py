"""A private PostgreSQL server in one data folder, run by this process."""

import asyncio
import shutil
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import structlog

from wagateway.adapters.embedded.account import refuse_foreign, server_account
from wagateway.adapters.embedded.binaries import programs
from wagateway.adapters.embedded.cluster import ensure_cluster
from wagateway.adapters.embedded.database import connection_url, ensure_database
from wagateway.adapters.embedded.folder import (
    DataFolder,
    Occupant,
    disk_errors,
    make_runtime_folder,
)
from wagateway.adapters.embedded.process import SOCKET_PORT, ServerProcess
from wagateway.adapters.embedded.remains import clear_remains
from wagateway.domain.errors import InvalidInput, WagatewayError

_LAST_PORT = 65535
_WATCH_S = 0.25
_MAX_PAUSE_S = 30.0

_log = structlog.get_logger("wagateway.embedded")


class EmbeddedPostgres:
    """A private PostgreSQL server in one data folder.

    It listens on a Unix socket in a folder that only its user may enter, and on 127.0.0.1 where a
    port was asked for; both want the password that lies, for the owner alone, in the data folder.
    A server that dies is started again on the same address.

    Attributes:
        url: libpq URL of the role and database ``wagateway``; it holds the password.
        folder: the data folder, absolute.
    """

    def __init__(self, url: str, folder: Path, process: ServerProcess) -> None:
        self.url = url
        self.folder = folder
        self._process = process

    @property
    def pid(self) -> int | None:
        """The id of the server's main process; another one after a restart."""
        return self._process.pid

    @classmethod
    @asynccontextmanager
    async def running(
        cls, data_dir: Path, *, port: int | None = None
    ) -> AsyncIterator["EmbeddedPostgres"]:
        """Run the server of *data_dir* while the context is open.

        The first time makes the folder, with owner-only rights, and the database in it. What a
        killed gateway or server left behind is cleared away first.

        Args:
            data_dir: any folder on a local disk; nobody else may be using it.
            port: 1 to 65535 to listen on 127.0.0.1 as well, for programs of yours.

        Raises:
            Conflict: the folder is in use, of another major version or foreign; the port is taken.
            InvalidInput: the folder cannot be used by this user, or *port* is out of bounds.
            Rejected: the extra ``embedded`` is not installed, or the system has no user for it.
            StoreUnavailable: the disk is full, or the server does not start; its last words follow.
        """
        if port is not None and not 1 <= port <= _LAST_PORT:
            raise InvalidInput(f"A port is a number from 1 to {_LAST_PORT}, not {port}.")
        async with AsyncExitStack() as stack:
            with disk_errors(data_dir):
                folder, runtime, process, password = await _prepared(stack, data_dir, port)
            stack.push_async_callback(_to_the_end, process.stop)
            socket_port = port or SOCKET_PORT

            async def start() -> None:
                await process.start()
                await ensure_database(runtime, socket_port, password)

            await start()
            keeper = asyncio.create_task(_keep_running(process, start))
            stack.push_async_callback(_cancelled, keeper)
            yield cls(connection_url(runtime, socket_port, password), folder.path, process)


def has_cluster(data_dir: Path) -> bool:
    """Return whether *data_dir* has a database.

    Raises:
        InvalidInput: this user may not read the folder.
    """
    folder = DataFolder.at(data_dir)
    with disk_errors(folder.path):
        try:
            folder.pg.stat()  # exists() hides from Python 3.14 on that it may not be looked at
        except FileNotFoundError:
            return False
        return True


def occupant_of(data_dir: Path) -> Occupant | None:
    """Return who runs a server on *data_dir* now, or None.

    Raises:
        InvalidInput: this user may not read the folder.
    """
    folder = DataFolder.at(data_dir)
    with disk_errors(folder.path):
        return folder.occupant()


async def url_of_running(data_dir: Path) -> str | None:
    """Return the URL of the server that a process runs on *data_dir* now, or None.

    For commands beside a running gateway. The server may be starting still, or stopping.

    Raises:
        InvalidInput: this user may not read the folder.
    """
    folder = DataFolder.at(data_dir)
    with disk_errors(folder.path):
        occupant = folder.occupant()
        password = folder.password()
    if occupant is None or password is None:
        return None
    return connection_url(Path(occupant.runtime), occupant.port, password)


async def _prepared(
    stack: AsyncExitStack, data_dir: Path, port: int | None
) -> tuple[DataFolder, Path, ServerProcess, str]:
    folder = DataFolder.at(data_dir)
    folder.make()
    account = server_account(folder.path, folder.pg)
    refuse_foreign(folder.pg, account)
    lock = await stack.enter_async_context(folder.locked())
    await clear_remains(folder.pg)
    lock.sweep()
    runtime = make_runtime_folder(account)
    stack.callback(shutil.rmtree, runtime, ignore_errors=True)
    lock.sign(runtime, port or SOCKET_PORT)
    found = await programs(account, runtime)
    password = await ensure_cluster(folder, found, runtime)
    return folder, runtime, ServerProcess(found, folder, runtime, port), password


async def _keep_running(
    process: ServerProcess, start: Callable[[], Coroutine[Any, Any, None]]
) -> None:
    """Start the server again whenever it ends by itself."""
    pause_s = _WATCH_S
    while True:
        await asyncio.sleep(pause_s)
        if not process.ended():
            pause_s = _WATCH_S
            continue
        _log.warning("embedded PostgreSQL ended; starting it again")
        pause_s = min(pause_s * 2, _MAX_PAUSE_S)
        try:
            await start()
        except (WagatewayError, OSError) as exc:
            _log.error("embedded PostgreSQL does not start", reason=str(exc))


async def _cancelled(task: asyncio.Task[None]) -> None:
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task


async def _to_the_end(work: Callable[[], Coroutine[Any, Any, None]]) -> None:
    """Run *work* although the caller is cancelled meanwhile, then let the cancellation go on."""
    task = asyncio.create_task(work())
    interrupted: asyncio.CancelledError | None = None
    while not task.done():
        try:
            await asyncio.shield(task)
        except asyncio.CancelledError as exc:
            interrupted = exc
    if interrupted is not None:
        raise interrupted
    await task
