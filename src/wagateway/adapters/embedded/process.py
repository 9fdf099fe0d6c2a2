"""The server's process: its settings, its start and its end."""

import asyncio
import os
import signal
import socket
import subprocess
import time
from pathlib import Path

from wagateway.adapters.embedded.account import ENVIRONMENT, shown_to
from wagateway.adapters.embedded.binaries import Programs
from wagateway.adapters.embedded.cluster import has_room, last_lines
from wagateway.adapters.embedded.folder import DataFolder, disk_errors, full, socket_folder
from wagateway.adapters.embedded.remains import clear_remains, read_pidfile
from wagateway.domain.errors import Conflict, StoreUnavailable

MAX_CONNECTIONS = 40
"""How many connections the server takes; three of them are kept for its superuser."""

SOCKET_PORT = 5432
"""Names the socket where no port was asked for."""

_START_TIMEOUT_S = 600.0
"""Long, because after a crash the server first replays its log."""

_STOPPING = ((signal.SIGINT, 60.0), (signal.SIGQUIT, 10.0), (signal.SIGKILL, 10.0))
"""Signals and seconds: a fast shutdown, an immediate one, and the end."""

_SETTINGS = {
    # Durable: a commit is on disk when it is answered.
    "fsync": "on",
    "full_page_writes": "on",
    "synchronous_commit": "on",
    # Small: it shares a machine with everything else.
    "max_connections": str(MAX_CONNECTIONS),
    "shared_buffers": "32MB",
    "max_wal_size": "512MB",
    "autovacuum_max_workers": "2",
    "max_logical_replication_workers": "0",
    "io_method": "sync",
    "huge_pages": "off",
    "jit": "off",
    # Closed and quiet: LOG and FATAL only, because an ERROR may quote the text of a message.
    "unix_socket_permissions": "0700",
    "log_min_messages": "log",
    "log_min_error_statement": "panic",
    "log_error_verbosity": "terse",
    "log_checkpoints": "off",
    "log_timezone": "UTC",
    "timezone": "UTC",
}

_WATCHDOG = 'read -r _; kill -INT "$1"'
"""Its input ends when the gateway does, however that goes; then it stops the server."""


class ServerProcess:
    """One server, which can be started again after it ended.

    Attributes:
        pid: the id of its main process, or None before the first start.
    """

    def __init__(
        self, programs: Programs, folder: DataFolder, runtime: Path, port: int | None
    ) -> None:
        self.pid: int | None = None
        self._programs = programs
        self._folder = folder
        self._runtime = runtime
        self._port = port
        self._process: subprocess.Popen[bytes] | None = None
        self._watchdog: subprocess.Popen[bytes] | None = None

    def ended(self) -> bool:
        """Return whether no server runs."""
        return self._process is None or self._process.poll() is not None

    async def start(self) -> None:
        """Start the server and return when it takes connections.

        Raises:
            Conflict: the port is taken.
            StoreUnavailable: it does not start; its last words are in the message.
        """
        await clear_remains(self._folder.pg)
        _check_is_free(self._port)
        with disk_errors(self._folder.path):
            log_start = self._launch()
        await self._ready(log_start)

    async def stop(self) -> None:
        """Stop the server, gently first; return when it is gone."""
        self._dismiss_watchdog()
        for number, seconds in _STOPPING:
            if self.pid is None or self.ended():
                return
            os.kill(self.pid, number)
            deadline = time.monotonic() + seconds
            while not self.ended() and time.monotonic() < deadline:  # noqa: ASYNC110 - no event
                await asyncio.sleep(0.02)

    def _launch(self) -> int:
        """Start the process; return how long its log was before."""
        account = self._programs.account
        log = self._folder.open_log()
        try:
            log_start = os.fstat(log).st_size
            with shown_to(account, self._folder.pg) as (path, fds):
                self._process = subprocess.Popen(  # noqa: S603 - our own program, no shell
                    [self._programs.folder / "postgres", "-D", path, *self._options()],
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=log,
                    cwd="/",
                    env=ENVIRONMENT,
                    start_new_session=True,  # Ctrl-C in the terminal is for us alone
                    umask=0o077,
                    pass_fds=fds,
                    user=account.user,
                    group=account.group,
                    extra_groups=account.extra_groups,
                )
        finally:
            os.close(log)
        self.pid = self._process.pid
        self._set_watchdog(self.pid)
        return log_start

    def _options(self) -> list[str]:
        folder = str(socket_folder(self._runtime)).replace('"', '""')
        settings = {
            **_SETTINGS,
            "unix_socket_directories": f'"{folder}"',
            "listen_addresses": "127.0.0.1" if self._port else "",
            "port": str(self._port or SOCKET_PORT),
        }
        if self._programs.has_lz4:
            settings["default_toast_compression"] = "lz4"
        return [word for key, value in settings.items() for word in ("-c", f"{key}={value}")]

    def _set_watchdog(self, pid: int) -> None:
        self._dismiss_watchdog()
        account = self._programs.account
        self._watchdog = subprocess.Popen(  # noqa: S603 - fixed words and a number
            ["/bin/sh", "-c", _WATCHDOG, "wagateway-watchdog", str(pid)],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            cwd="/",
            env=ENVIRONMENT,
            start_new_session=True,
            user=account.user,
            group=account.group,
            extra_groups=account.extra_groups,
        )

    def _dismiss_watchdog(self) -> None:
        if self._watchdog is not None:
            self._watchdog.kill()
            self._watchdog.communicate()
            self._watchdog = None

    async def _ready(self, log_start: int) -> None:
        deadline = time.monotonic() + _START_TIMEOUT_S
        while True:
            if self.ended():
                raise self._failure("did not start", log_start)
            found = read_pidfile(self._folder.pg)
            if found and found.ready and found.pid == self.pid:
                return
            if time.monotonic() > deadline:
                raise self._failure(f"was not ready after {_START_TIMEOUT_S:.0f} s", log_start)
            await asyncio.sleep(0.02)

    def _failure(self, what: str, log_start: int) -> StoreUnavailable:
        if not has_room(self._folder.path):
            return full(self._folder.path)
        with self._folder.log.open("rb") as log:
            log.seek(log_start)
            said = last_lines(log.read().decode(errors="replace"))
        return StoreUnavailable(
            f"The embedded PostgreSQL {what}; its last words, in {self._folder.log}:\n{said}\n"
            "Mend what they name, then start again. Where its files are damaged for good, put a "
            "backup into another data folder: `wagateway restore`."
        )


def _check_is_free(port: int | None) -> None:
    if port is None:
        return
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError as exc:
            raise Conflict(
                f"Port {port} of 127.0.0.1 cannot be had for the embedded PostgreSQL "
                f"({exc.strerror}): stop the program that uses it, or choose another port."
            ) from exc
