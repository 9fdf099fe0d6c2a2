"""What earlier servers left in a cluster: processes that still run, and their pid file."""

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from wagateway.domain.errors import StoreUnavailable

_FAST_S = 60.0
_CRASHED_CHILDREN_S = 3.0
_LAST_S = 10.0
_STATUS_LINE = 7


@dataclass(frozen=True, slots=True)
class Pidfile:
    """``postmaster.pid``, as far as we read it.

    Attributes:
        pid: the server's main process.
        ready: whether it takes connections.
    """

    pid: int
    ready: bool


def read_pidfile(cluster: Path) -> Pidfile | None:
    """Return what *cluster*'s pid file says, or None when there is none or it is torn."""
    try:
        lines = (cluster / "postmaster.pid").read_text(errors="replace").splitlines()
        status = lines[_STATUS_LINE].strip() if len(lines) > _STATUS_LINE else ""
        return Pidfile(abs(int(lines[0])), ready=status == "ready")
    except (FileNotFoundError, IndexError, ValueError):
        return None


def server_processes(cluster: Path) -> list[int]:
    """Return the ids of all PostgreSQL processes that work in *cluster*."""
    if sys.platform == "linux":
        return sorted(_working_in(cluster))
    pidfile = read_pidfile(cluster)
    return [pidfile.pid] if pidfile and _command_names(pidfile.pid, cluster) else []


async def clear_remains(cluster: Path) -> None:
    """Stop every server process that is left in *cluster*, and make its pid file harmless.

    Call it only while holding the data folder's lock.

    Raises:
        StoreUnavailable: a process does not end.
    """
    pidfile = read_pidfile(cluster)
    left = server_processes(cluster)
    if pidfile and pidfile.pid in left:
        _send(signal.SIGINT, [pidfile.pid])
        # It waits for the others, unless it is killed: then they are not worth so long a wait.
        if not await _gone(cluster, _FAST_S, only=pidfile.pid):
            _send(signal.SIGQUIT, [pidfile.pid])
    # Without their main process, the others notice and leave by themselves.
    if left and not await _gone(cluster, _CRASHED_CHILDREN_S):
        _send(signal.SIGKILL, server_processes(cluster))
        if not await _gone(cluster, _LAST_S):
            raise StoreUnavailable(
                f"Processes {server_processes(cluster)} of an earlier server do not end: "
                "kill them, or restart the machine."
            )
    _defuse(cluster)


def _defuse(cluster: Path) -> None:
    """Make PostgreSQL accept a stale pid file, whichever living process its number now names.

    The file is kept, because it also names the shared memory by which PostgreSQL finds surviving
    processes; a number that is its own parent's, PostgreSQL knows to be stale.
    """
    path = cluster / "postmaster.pid"
    if not path.exists():
        return
    if read_pidfile(cluster) is None:
        path.unlink()
        return
    # Not through a link: as root we would follow one of the server's user.
    with os.fdopen(os.open(path, os.O_RDWR | os.O_NOFOLLOW), "r+b") as file:
        rest = file.read().partition(b"\n")[2]
        file.seek(0)
        file.write(b"%d\n" % os.getpid() + rest)
        file.truncate()


async def _gone(cluster: Path, timeout_s: float, *, only: int | None = None) -> bool:
    """Wait until no process is left in *cluster*, or not the one that matters."""
    deadline = time.monotonic() + timeout_s
    while (left := server_processes(cluster)) and only in {None, *left}:
        if time.monotonic() > deadline:
            return False
        await asyncio.sleep(0.05)
    return True


def _send(number: signal.Signals, pids: list[int]) -> None:
    for pid in pids:
        try:
            os.kill(pid, number)
        except ProcessLookupError:
            continue


def _working_in(cluster: Path) -> Iterator[int]:
    try:
        wanted = cluster.stat()
    except (FileNotFoundError, NotADirectoryError, PermissionError):
        return  # no server of ours can work where we cannot look
    for process in Path("/proc").iterdir():
        if not process.name.isdigit():
            continue
        try:
            name = (process / "comm").read_text().strip()
            if name == "postgres" and os.path.samestat((process / "cwd").stat(), wanted):
                yield int(process.name)
        except OSError:  # it ended just now, or belongs to somebody else
            continue


def _command_names(pid: int, cluster: Path) -> bool:
    shown = subprocess.run(  # noqa: S603 - fixed words and a number
        ["/bin/ps", "-ww", "-o", "command=", "-p", str(pid)],
        check=False,
        capture_output=True,
        text=True,
        errors="replace",
    )
    return "postgres" in shown.stdout and str(cluster) in shown.stdout
