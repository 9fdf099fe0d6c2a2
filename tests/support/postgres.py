"""PostgreSQL servers for tests: started when first asked for, one database per use."""

import asyncio
import gc
import os
import shutil
import tempfile
import time
import warnings
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from functools import cache
from pathlib import Path
from typing import Literal
from urllib.parse import urlsplit
from uuid import uuid4

import psycopg
import pytest
from docker.errors import DockerException  # type: ignore[import-untyped]  # has no stubs
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict, make_conninfo
from testcontainers.community.postgres import PostgresContainer
from testcontainers.core.docker_client import DockerClient
from tests.support import pgbouncer

from wagateway.adapters.embedded.server import EmbeddedPostgres
from wagateway.adapters.timescale.migrate import migrate

Kind = Literal["embedded", "container", "external", "pooled"]

IMAGE = os.environ.get("WAGATEWAY_TEST_IMAGE", "timescale/timescaledb:2.22.0-pg17")
EXTERNAL_URL = os.environ.get("WAGATEWAY_TEST_DATABASE_URL", "")
USUAL: Kind = "external" if EXTERNAL_URL else "embedded"
"""The server of tests that need one, whichever it is: the one that the environment names."""

_admins: dict[str, psycopg.AsyncConnection] = {}
"""By the address of a server of this run: one connection for what hundreds of tests ask of it."""

_CREATE: Literal["CREATE DATABASE {} TEMPLATE {} STRATEGY file_copy"] = (
    "CREATE DATABASE {} TEMPLATE {} STRATEGY file_copy"
)
_END_SCHEDULERS = """
SELECT pg_terminate_backend(pid) FROM pg_stat_activity
WHERE datname = %s AND backend_type LIKE 'TimescaleDB%%'
"""
_LEAKED = """
SELECT count(*) FROM pg_stat_activity
WHERE datname = %s AND backend_type = 'client backend' AND pid <> pg_backend_pid()
"""


@cache
def docker_answers() -> bool:
    """Return whether a Docker daemon can be used; asked once, while tests are collected."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)  # a failed client leaves its socket open
        try:
            return bool(DockerClient().client.ping())
        except DockerException:
            return False
        finally:
            gc.collect()


def server_params() -> list[object]:
    """Return the `Kind` of every server to test on, for ``pytest.fixture(params=…)``."""
    return [
        pytest.param("embedded", id="embedded", marks=pytest.mark.embedded),
        pytest.param(
            "container",
            id="container",
            marks=[
                pytest.mark.container,
                pytest.mark.skipif(not docker_answers(), reason="Docker does not answer"),
            ],
        ),
        pytest.param(
            "external",
            id="external",
            marks=[
                pytest.mark.external,
                pytest.mark.skipif(
                    not EXTERNAL_URL, reason="WAGATEWAY_TEST_DATABASE_URL is not set"
                ),
            ],
        ),
        pytest.param(
            "pooled",
            id="pooled",
            marks=[
                pytest.mark.pooled,
                pytest.mark.skipif(
                    not pgbouncer.ASKED_FOR, reason="WAGATEWAY_TEST_PGBOUNCER_URL is not set"
                ),
            ],
        ),
    ]


class Servers:
    """The servers of one test run; each starts when it is first asked for."""

    def __init__(self, stack: AsyncExitStack) -> None:
        self._stack = stack
        self._urls: dict[Kind, str] = {}
        self._pooler: pgbouncer.PgBouncer | None = None
        self._migrated: dict[Kind, str] = {}

    async def url(self, kind: Kind) -> str:
        """Return the URL of a role that may create databases on the server of *kind*.

        For ``pooled`` that is the server behind PgBouncer: see pooled().
        """
        if kind == "pooled":
            kind = "external" if pgbouncer.external_url() else "embedded"
        if kind == "external" and not EXTERNAL_URL:
            raise LookupError("set WAGATEWAY_TEST_DATABASE_URL to the server behind PgBouncer")
        if kind not in self._urls:
            start = {"embedded": embedded, "container": container, "external": external}[kind]
            url = await self._stack.enter_async_context(start())
            await self._stack.enter_async_context(_administered(url))
            self._urls[kind] = url
        return self._urls[kind]

    async def pooled(self, direct_url: str) -> str:
        """Return the address at PgBouncer of a database on the server of ``pooled``."""
        named = pgbouncer.external_url()
        if named:
            return pgbouncer.pooled_url(named, direct_url)
        if self._pooler is None:
            running = pgbouncer.PgBouncer.running(await self.url("pooled"))
            self._pooler = await self._stack.enter_async_context(running)
        return self._pooler.url(direct_url)

    @asynccontextmanager
    async def migrated(self, kind: Kind = USUAL) -> AsyncIterator[str]:
        """Yield a `fresh_database` with our schema in it: a copy, since to migrate takes longer."""
        server_url = await self.url(kind)
        if kind not in self._migrated:
            url = await self._stack.enter_async_context(fresh_database(server_url))
            await migrate(url)
            name = str(conninfo_to_dict(url)["dbname"])
            await _execute(server_url, "ALTER DATABASE {} ALLOW_CONNECTIONS false", name)
            await _end_schedulers(server_url, name)
            self._migrated[kind] = name
        async with fresh_database(server_url, template=self._migrated[kind]) as url:
            yield url


@asynccontextmanager
async def all_servers() -> AsyncIterator[Servers]:
    """Yield the servers, and stop those that were started."""
    async with AsyncExitStack() as stack:
        yield Servers(stack)


@asynccontextmanager
async def embedded() -> AsyncIterator[str]:
    """Run the embedded server in a temporary folder."""
    folder = Path(tempfile.mkdtemp(prefix="wagateway-test-"))
    try:
        async with EmbeddedPostgres.running(folder / "data") as server:
            yield server.url
    finally:
        await asyncio.to_thread(shutil.rmtree, folder)


@asynccontextmanager
async def container() -> AsyncIterator[str]:
    """Run the pinned image."""
    server = PostgresContainer(IMAGE, driver=None)
    await asyncio.to_thread(server.start)
    try:
        yield server.get_connection_url(host="127.0.0.1")
    finally:
        await asyncio.to_thread(server.stop)


@asynccontextmanager
async def external() -> AsyncIterator[str]:
    """Use the server that the environment names."""
    yield EXTERNAL_URL


@asynccontextmanager
async def fresh_database(server_url: str, *, template: str = "template1") -> AsyncIterator[str]:
    """Make an empty database, yield its URL, drop it, and fail if a connection to it leaked.

    Args:
        server_url: a role that may create databases.
        template: a database that nobody is connected to, copied as it is.
    """
    name = f"wagateway_test_{uuid4().hex}"
    await _create(server_url, name, template)
    try:
        yield database_url(server_url, name)
        leaked = await _leaked(server_url, name)
    finally:
        await _drop(server_url, name)
    assert leaked == 0, f"{leaked} connections were left open"


def database_url(server_url: str, name: str) -> str:
    """Return *server_url* with *name* as its database."""
    if "://" in server_url:
        return urlsplit(server_url)._replace(path=f"/{name}").geturl()
    return make_conninfo(server_url, dbname=name)


@asynccontextmanager
async def _administered(url: str) -> AsyncIterator[None]:
    """Keep a connection to the server at *url* meanwhile."""
    async with await psycopg.AsyncConnection.connect(url, autocommit=True) as _admins[url]:
        try:
            yield
        finally:
            del _admins[url]


@asynccontextmanager
async def _admin(url: str) -> AsyncIterator[psycopg.AsyncConnection]:
    """Yield a connection to a server: the one that is kept, or one for the moment."""
    kept = _admins.get(url)
    if kept is not None and not kept.closed:
        yield kept
        return
    async with await psycopg.AsyncConnection.connect(url, autocommit=True) as conn:
        yield conn


async def _create(url: str, name: str, template: str) -> None:
    """Make a database; TimescaleDB, which looks into each database, is given time to leave."""
    for _ in range(100):
        try:
            # Copied as files, since the log of a copy page by page would be written as well.
            return await _execute(url, _CREATE, name, template)
        except psycopg.errors.ObjectInUse:
            await asyncio.sleep(0.1)
    raise TimeoutError(f"the server would not let go of {template}")


async def _end_schedulers(url: str, name: str) -> None:
    """End what TimescaleDB runs in a database; it does not come back to one that lets nobody in."""
    async with _admin(url) as conn:
        await conn.execute(_END_SCHEDULERS, [name])


async def _drop(url: str, name: str) -> None:
    """Drop a database; autovacuum, which only a superuser may end, is given time to leave it."""
    for _ in range(100):
        try:
            return await _execute(url, "DROP DATABASE {} WITH (FORCE)", name)
        except psycopg.errors.InsufficientPrivilege:
            await asyncio.sleep(0.1)
    raise TimeoutError(f"the server would not let go of {name}")


async def _execute(
    url: str,
    statement: Literal[
        "CREATE DATABASE {} TEMPLATE {} STRATEGY file_copy",
        "ALTER DATABASE {} ALLOW_CONNECTIONS false",
        "DROP DATABASE {} WITH (FORCE)",
    ],
    *names: str,
) -> None:
    async with _admin(url) as conn:
        await conn.execute(sql.SQL(statement).format(*map(sql.Identifier, names)))


async def _leaked(url: str, name: str) -> int:
    """Count connections to the database *name*, after those just closed had time to go."""
    async with _admin(url) as conn:
        pause_s, deadline = 0.002, time.monotonic() + 2
        while True:
            row = await (await conn.execute(_LEAKED, [name])).fetchone()
            count = row[0] if row else 0
            if count == 0 or time.monotonic() > deadline:
                return count
            await asyncio.sleep(pause_s)
            pause_s = min(2 * pause_s, 0.05)
