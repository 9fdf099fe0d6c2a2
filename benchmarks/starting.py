"""How long a start takes, an import, and how much memory an idle gateway holds."""

import asyncio
import os
import socket
import statistics
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from harness import Findings, Goal, Scale, family, progress, proportional_mb, scratch

_API_MB, _DATABASE_MB = 120.0, 60.0
_SETTLE_S = 3.0
_CLI = ("-m", "wagateway.entrypoints.cli")
_COMMANDS = {
    "`python -c pass`, for comparison": ("-c", "pass"),
    "`import wagateway`": ("-c", "import wagateway"),
    "`wagateway --help`": (*_CLI, "--help"),
    "`wagateway version`": (*_CLI, "version"),
}


async def run(scale: Scale) -> Findings:
    """Start and stop everything some times."""
    tries = 2 if scale.quick else 7
    findings = Findings()
    times = {what: await _median_s(arguments, tries, what) for what, arguments in _COMMANDS.items()}
    starts: dict[str, list[float]] = {"cold": [], "warm": []}
    memory: list[tuple[float, float, int]] = []
    for number in range(scale.rounds):
        with scratch() as folder:
            for kind, taken in starts.items():
                progress(f"starting, round {number + 1}: {kind}")
                began = time.perf_counter()
                async with up(folder / "data") as pid:
                    taken.append(time.perf_counter() - began)
                    if kind == "warm":
                        await asyncio.sleep(0.5 if scale.quick else _SETTLE_S)
                        memory.append(_memory(pid))
    rows = [(what, f"{seconds:.2f} s") for what, seconds in times.items()]
    rows += [
        (f"`wagateway up` until ready, {kind}", f"{statistics.median(taken):.2f} s")
        for kind, taken in starts.items()
    ]
    gateway, database = (statistics.median(found[i] for found in memory) for i in (0, 1))
    rows += [
        ("idle gateway, PSS", f"{gateway:.0f} MB"),
        (f"idle embedded PostgreSQL, PSS of {memory[0][2]} processes", f"{database:.0f} MB"),
    ]
    findings.table(("what", "found"), rows)
    findings.goals += [
        Goal.at_most("idle gateway", _API_MB, gateway, " MB"),
        Goal.at_most("idle embedded PostgreSQL", _DATABASE_MB, database, " MB"),
    ]
    return findings


async def _median_s(arguments: tuple[str, ...], tries: int, what: str) -> float:
    progress(f"starting: {what}")
    taken = []
    for _ in range(tries):
        began = time.perf_counter()
        process = await asyncio.create_subprocess_exec(
            sys.executable, *arguments, stdout=subprocess.DEVNULL
        )
        if await process.wait():
            sys.exit(f"{what} failed")
        taken.append(time.perf_counter() - began)
    return statistics.median(taken)


@asynccontextmanager
async def up(data: Path) -> AsyncIterator[int]:
    """Run ``wagateway up``; yield its process once ``/health/ready`` answers 200."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
    with data.with_name("up.log").open("ab") as log:
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            *(*_CLI, "up", "--data-dir", str(data), "--port", str(port)),
            stdout=log,
            stderr=log,
            env={k: v for k, v in os.environ.items() if not k.startswith("WHATSAPP_")},
        )
    try:
        while not await _is_ready(port):
            if process.returncode is not None:
                sys.exit(f"wagateway up ended: {data.with_name('up.log').read_text()}")
            await asyncio.sleep(0.01)
        yield process.pid
    finally:
        if process.returncode is None:
            process.terminate()
        await process.wait()


async def _is_ready(port: int) -> bool:
    try:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
    except OSError:
        return False
    try:
        writer.write(b"GET /health/ready HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n")
        return b" 200 " in await reader.readline()
    except OSError:
        return False
    finally:
        writer.close()


def _memory(pid: int) -> tuple[float, float, int]:
    """Return the MB of the gateway, of its PostgreSQL, and how many processes that has."""
    gateway, database, count = 0.0, 0.0, 0
    for member, command in family(pid).items():
        if command == "postgres":
            database += proportional_mb(member)
            count += 1
        else:
            gateway += proportional_mb(member)
    return gateway, database, count
