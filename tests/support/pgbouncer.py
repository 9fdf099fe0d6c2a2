"""A PgBouncer in transaction mode before a PostgreSQL server, where the program is installed."""

import asyncio
import os
import shutil
import socket
import subprocess
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from pathlib import Path
from urllib.parse import quote, urlsplit

import psycopg
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from wagateway.adapters.embedded.account import Account, server_account

INSTALLED = "installed"
ASKED_FOR = os.environ.get("WAGATEWAY_TEST_PGBOUNCER_URL", "")
"""One in transaction mode that leads to every database of WAGATEWAY_TEST_DATABASE_URL; or
``installed``: the one of this system, which is started before the embedded server."""

_CONFIG = """
[databases]
* = {server}
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = {port}
unix_socket_dir =
auth_type = plain
auth_file = {folder}/users
pool_mode = transaction
default_pool_size = 4
max_client_conn = 200
max_db_connections = 8
ignore_startup_parameters = extra_float_digits
server_idle_timeout = 1
logfile = {folder}/log
"""
# So few connections that clients share them; default_pool_size of PgBouncer itself is 20.


def external_url() -> str:
    """Return the address of the one that the environment names, empty where it names none."""
    return "" if ASKED_FOR == INSTALLED else ASKED_FOR


def program() -> str | None:
    """Return the path of PgBouncer, None where it is not installed."""
    return shutil.which("pgbouncer", path=f"{os.environ.get('PATH', os.defpath)}:/usr/sbin")


def pooled_url(pooler_url: str, direct_url: str) -> str:
    """Return the address at *pooler_url* of the database that *direct_url* names."""
    name = conninfo_to_dict(direct_url)["dbname"]
    if "://" in pooler_url:
        return urlsplit(pooler_url)._replace(path=f"/{name}").geturl()
    return make_conninfo(pooler_url, dbname=name)


class PgBouncer:
    """One before a server, for all of its databases."""

    def __init__(self, command: list[str], account: Account, url: str) -> None:
        """Start nothing yet.

        Args:
            command: runs it.
            account: who runs it.
            url: where it answers.
        """
        self._command = command
        self._account = account
        self._url = url
        self._process: subprocess.Popen[bytes] | None = None

    @classmethod
    @asynccontextmanager
    async def running(cls, server_url: str) -> AsyncIterator["PgBouncer"]:
        """Run one before *server_url* while the context is open."""
        found = program()
        if found is None:
            raise FileNotFoundError("pgbouncer is not installed")
        parts = conninfo_to_dict(server_url)
        user, password = str(parts["user"]), str(parts["password"])
        folder = Path(tempfile.mkdtemp(prefix="wagateway-pgbouncer-"))
        account = server_account(folder, folder)
        port = _free_port()
        server = f"host={parts['host']} port={parts.get('port') or 5432}"
        (folder / "ini").write_text(_CONFIG.format(server=server, port=port, folder=folder))
        (folder / "users").write_text(f'"{user}" "{password}"\n')
        for path in (folder, *folder.iterdir()):
            account.own(path)
        url = f"postgresql://{user}:{quote(password)}@127.0.0.1:{port}/{parts['dbname']}"
        pooler = cls([found, "-q", str(folder / "ini")], account, url)
        try:
            await pooler.start()
            yield pooler
        finally:
            await pooler.kill()
            await asyncio.to_thread(shutil.rmtree, folder)

    @property
    def pid(self) -> int | None:
        """The id of its process, None before its start."""
        return self._process.pid if self._process else None

    def url(self, direct_url: str) -> str:
        """Return the address here of the database that *direct_url* names."""
        return pooled_url(self._url, direct_url)

    async def start(self) -> None:
        """Start it, and return when it answers."""
        self._process = subprocess.Popen(
            self._command,
            user=self._account.user,
            group=self._account.group,
            extra_groups=self._account.extra_groups,
        )
        await _answers(self._url)

    async def kill(self) -> None:
        """End it at once, with all of its connections."""
        if self._process is not None:
            self._process.kill()
            await asyncio.to_thread(self._process.wait)


async def _answers(url: str) -> None:
    for _ in range(100):
        try:
            async with await psycopg.AsyncConnection.connect(url, prepare_threshold=None) as conn:
                await conn.execute("SELECT 1")
                return
        except psycopg.OperationalError:
            await asyncio.sleep(0.05)
    raise TimeoutError("PgBouncer does not answer")


def _free_port() -> int:
    with closing(socket.socket()) as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])
