"""A PostgreSQL of the tests' own, whose superuser they are, with a standby that can take over."""

import asyncio
import os
import shutil
import subprocess
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

from psycopg.conninfo import make_conninfo

from wagateway.adapters.embedded.account import server_account
from wagateway.adapters.embedded.binaries import Programs, programs

_SETTINGS = (
    *("fsync=off", "max_connections=30", "shared_buffers=16MB", "jit=off", "io_method=sync"),
    *("deadlock_timeout=200ms", "log_min_messages=fatal", "listen_addresses="),
    *("wal_receiver_status_interval=1s", "hot_standby_feedback=on"),
)


class Server:
    """One server of a cluster.

    Attributes:
        folder: with its data, and its socket.
        url: of its superuser and the database ``postgres``.
    """

    def __init__(self, folder: Path, tools: Programs) -> None:
        self.folder = folder
        self.url = make_conninfo(host=str(folder / "run"), user="postgres", dbname="postgres")
        self._tools = tools

    @property
    def data(self) -> Path:
        return self.folder / "data"

    def make_folders(self) -> None:
        for path in (self.folder, self.folder / "run"):
            path.mkdir(mode=0o700, exist_ok=True)
            self._tools.account.own(path)

    async def start(self) -> None:
        """Start it, and return when it answers."""
        options = [f"-c {each}" for each in _SETTINGS]
        options.append(f"-c unix_socket_directories={self.folder / 'run'}")
        words = ["-l", str(self.folder / "run" / "log"), "-o", " ".join(options)]
        await self.run("pg_ctl", "-D", str(self.data), "-w", *words, "start")

    async def stop(self, mode: str = "immediate") -> None:
        with suppress(subprocess.CalledProcessError):
            await self.run("pg_ctl", "-D", str(self.data), "-m", mode, "stop")

    async def promote(self) -> None:
        """Let a standby become a server that takes writes."""
        await self.run("pg_ctl", "-D", str(self.data), "-w", "promote")

    async def run(self, program: str, *words: str) -> None:
        account = self._tools.account
        await asyncio.to_thread(
            lambda: subprocess.run(
                [self._tools.folder / program, *words],
                check=True,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                stdin=subprocess.DEVNULL,
                cwd="/",
                umask=0o077,
                user=account.user,
                group=account.group,
                extra_groups=account.extra_groups,
            )
        )


@asynccontextmanager
async def cluster() -> AsyncIterator[Server]:
    """Run a server in a temporary folder, which nobody but its own user can reach."""
    folder = Path(tempfile.mkdtemp(prefix="wagateway-cluster-"))
    account = server_account(folder, folder)
    account.own(folder)
    try:
        tools = await programs(account, folder / "programs")
        primary = Server(folder / "primary", tools)
        primary.make_folders()
        await primary.run(
            "initdb", "-D", str(primary.data), "-U", "postgres", "-E", "UTF8", "--no-sync",
            "--auth=trust", "--locale=C", "--no-instructions",
        )  # fmt: skip
        await primary.start()
        try:
            yield primary
        finally:
            await primary.stop()
    finally:
        await asyncio.to_thread(shutil.rmtree, folder)


@asynccontextmanager
async def standby_of(primary: Server) -> AsyncIterator[Server]:
    """Run a standby that follows *primary*."""
    tools = primary._tools  # noqa: SLF001 - of the same family
    standby = Server(primary.folder.with_name("standby"), tools)
    standby.make_folders()
    words = ["-d", primary.url, "-R", "-c", "fast", "-X", "stream"]
    await standby.run("pg_basebackup", "-D", str(standby.data), *words)
    await standby.start()
    try:
        yield standby
    finally:
        await standby.stop()


def is_root() -> bool:
    return os.geteuid() == 0
