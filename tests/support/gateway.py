"""A process that runs an embedded server, for tests that kill one."""

import asyncio
import os
import shutil
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

from wagateway.adapters.embedded.remains import clear_remains, server_processes

_SCRIPT = """
import asyncio, os, sys
from pathlib import Path
import concurrent.futures.thread, encodings.ascii, encodings.idna, psycopg, structlog
from wagateway.adapters.embedded.server import EmbeddedPostgres

if len(sys.argv) > 2:  # after the imports: this user may not be able to read the interpreter
    os.setgroups([]), os.setgid(int(sys.argv[2])), os.setuid(int(sys.argv[2]))

async def main():
    async with EmbeddedPostgres.running(Path(sys.argv[1])) as server:
        print(server.pid, server.url, flush=True)
        await asyncio.sleep(3600)

asyncio.run(main())
"""


@dataclass(frozen=True, slots=True)
class Gateway:
    """A running process.

    Attributes:
        process: it, leader of its own process group.
        server_pid: the main process of its server.
        url: its server's URL.
        cluster: its server's folder.
    """

    process: asyncio.subprocess.Process
    server_pid: int
    url: str
    cluster: Path

    async def kill(self) -> None:
        """Kill it, and what would stop its server: the server is left running."""
        await kill_watchdog(self.server_pid)
        self.process.kill()
        await self.process.wait()

    async def kill_all(self) -> None:
        """Kill it and all processes of its server, as a power failure does."""
        await self.kill()
        for pid in server_processes(self.cluster):
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        await until_gone(self.cluster)


@asynccontextmanager
async def gateway(data_dir: Path, *, uid: int | None = None) -> AsyncIterator[Gateway]:
    """Run the server of *data_dir* in another process, as user *uid*; kill what is left of it."""
    process = await start(data_dir, uid=uid)
    url = ""
    try:
        assert process.stdout
        pid, _, url = (await process.stdout.readline()).decode().strip().partition(" ")
        yield Gateway(process, int(pid), url, data_dir / "pg")
    finally:
        with suppress(ProcessLookupError):
            process.kill()
        await process.communicate()
        await clear_remains(data_dir / "pg")
        if url:
            shutil.rmtree(socket_dir(url).parent, ignore_errors=True)


async def start(data_dir: Path, *, uid: int | None = None) -> asyncio.subprocess.Process:
    """Start such a process, without waiting for its server."""
    user = [] if uid is None else [str(uid)]
    return await asyncio.create_subprocess_exec(
        sys.executable,
        "-c",
        _SCRIPT,
        data_dir,
        *user,
        stdout=asyncio.subprocess.PIPE,
        start_new_session=True,
    )


def socket_dir(url: str) -> Path:
    """Return the folder of the socket that *url* names."""
    return Path(parse_qs(urlsplit(url).query)["host"][0])


async def kill_watchdog(server_pid: int) -> None:
    """Kill the shell that would stop the server *server_pid*."""
    for line in (await commands()).splitlines():
        if line.endswith(f"wagateway-watchdog {server_pid}"):
            os.kill(int(line.split()[0]), signal.SIGKILL)


async def commands() -> str:
    """Return the id and the full command line of every process, a line each."""
    process = await asyncio.create_subprocess_exec(
        "ps", "-A", "-ww", "-o", "pid=,command=", stdout=asyncio.subprocess.PIPE
    )
    return (await process.communicate())[0].decode(errors="replace")


async def until_gone(cluster: Path) -> None:
    """Return when no process works in *cluster* any more."""
    async with asyncio.timeout(20):
        while server_processes(cluster):
            await asyncio.sleep(0.02)
