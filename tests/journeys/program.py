"""The program ``wagateway`` as a process, in a folder and an environment of its own."""

import asyncio
import json
import os
import shlex
import signal
import socket
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import msgspec
from tests.support.gateway import until_gone

SAMPLES = Path(__file__).parents[1] / "data" / "waha" / "events"
_TIMEOUT_S = 60


def free_port() -> int:
    """Return a port of 127.0.0.1 that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def numbered(stanza: str) -> bytes:
    """Return a message of the session ``vendas`` with a stanza id of its own."""
    sample = (SAMPLES / "noweb-message-text.json").read_bytes()
    envelope = msgspec.json.decode(sample)
    old = envelope["payload"]["id"].split("_")[2]
    return sample.replace(old.encode(), stanza.encode()).replace(
        envelope["id"].encode(), f"evt_{stanza}".encode()
    )


@dataclass(frozen=True, slots=True)
class Ended:
    """How a process ended, and all that it wrote."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:  # noqa: ANN401 - whatever the command prints
        """Return stdout, which must be one JSON value."""
        return json.loads(self.out)


@dataclass(slots=True)
class Running:
    """A process that serves.

    Attributes:
        process: it, leader of its own process group.
        data_dir: its data folder.
        out: what it wrote to stdout so far.
    """

    process: Process
    data_dir: Path
    port: int
    out: str = ""

    @property
    def url(self) -> str:
        """Where its HTTP server is."""
        return f"http://127.0.0.1:{self.port}"

    def token(self, name: str) -> str:
        """Return a secret that it generated."""
        kept = json.loads((self.data_dir / "secrets.json").read_bytes())
        return str(kept[name])

    def client(self) -> httpx.AsyncClient:
        """Return a client with both tokens."""
        headers = {
            "X-Api-Token": self.token("api_token"),
            "X-Whatsapp-Token": self.token("webhook_token"),
            "Content-Type": "application/json",
        }
        return httpx.AsyncClient(base_url=self.url, headers=headers, trust_env=False, timeout=30)

    async def until(self, words: str) -> None:
        """Read stdout until a line has *words* in it."""
        assert self.process.stdout
        async with asyncio.timeout(_TIMEOUT_S):
            while line := (await self.process.stdout.readline()).decode():
                self.out += line
                if words in line:
                    return
        raise AssertionError(f"it ended without {words!r}:\n{self.out}")

    async def stop(self, number: signal.Signals = signal.SIGTERM) -> int:
        """Send a signal; return the exit code."""
        self.process.send_signal(number)
        return await self.wait()

    async def wait(self) -> int:
        """Return the exit code once it ended."""
        async with asyncio.timeout(_TIMEOUT_S):
            self.out += (await self.process.communicate())[0].decode()
        return int(self.process.returncode or 0)


async def run(*words: str, home: Path, env: dict[str, str] | None = None) -> Ended:
    """Run ``wagateway`` with *words* to its end."""
    process = await _start(words, home, env, stderr=PIPE)
    async with asyncio.timeout(_TIMEOUT_S):
        out, err = await process.communicate()
    return Ended(int(process.returncode or 0), out.decode(), err.decode())


async def read_one_line(*words: str, home: Path) -> Ended:
    """Run ``wagateway`` with *words*, and go away after the first line of what it says."""
    command = shlex.join([sys.executable, "-m", "wagateway.entrypoints.cli", *words])
    process = await asyncio.create_subprocess_shell(
        f"{command} | head -n 1", stdout=PIPE, stderr=PIPE, cwd=home, env=_environ(home, None)
    )
    async with asyncio.timeout(_TIMEOUT_S):
        out, err = await process.communicate()
    return Ended(int(process.returncode or 0), out.decode(), err.decode())


@asynccontextmanager
async def running(
    *words: str, home: Path, data_dir: Path, port: int, env: dict[str, str] | None = None
) -> AsyncIterator[Running]:
    """Run ``wagateway`` with *words* beside the test; kill what is left of it at the end."""
    log = home / "stderr.log"
    with log.open("ab") as stderr:
        process = await _start(words, home, env, stderr=stderr.fileno())
    try:
        yield Running(process, data_dir, port)
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        await process.communicate()
        await until_gone(data_dir / "pg")


@asynccontextmanager
async def up(home: Path, *, port: int | None = None) -> AsyncIterator[Running]:
    """Run ``wagateway up`` on the folder ``data`` of *home*, until it is ready."""
    chosen = port or free_port()
    words = ("up", "--data-dir", str(home / "data"), "--port", str(chosen))
    async with running(*words, home=home, data_dir=home / "data", port=chosen) as gateway:
        await gateway.until("wagateway is ready")
        yield gateway


async def _start(
    words: tuple[str, ...], home: Path, env: dict[str, str] | None, *, stderr: int
) -> Process:
    return await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "wagateway.entrypoints.cli", *words),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=PIPE,
        stderr=stderr,
        cwd=home,
        env=_environ(home, env),
        start_new_session=True,
    )


def _environ(home: Path, env: dict[str, str] | None) -> dict[str, str]:
    """Return our environment without our settings, with a home of its own and *env*."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith("WHATSAPP_")}
    return kept | {"HOME": str(home), "XDG_DATA_HOME": str(home / "share")} | (env or {})
