"""What the parts share: servers in processes of their own, a client, whose CPU it was, tables."""

import asyncio
import math
import os
import shutil
import statistics
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import TypeVar
from urllib.parse import urlsplit
from uuid import uuid4

import psycopg
from psycopg import sql

TOKEN = "v7Jq2mXw9TzK4rBn8LcH5dYs"
SERVE = Path(__file__).with_name("serving.py")
WARM_UP_S = 0.5
_START_S, _STOP_S, _STUCK_S = 300.0, 120.0, 120.0
_TICKS = os.sysconf("SC_CLK_TCK")

T = TypeVar("T")

# ── What a part says ────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True)
class Goal:
    """What was to be reached, and what was."""

    what: str
    aim: str
    found: str
    reached: bool

    @classmethod
    def at_least(cls, what: str, aim: float, found: float) -> "Goal":
        """Return a goal that a greater figure reaches."""
        return cls(what, f"≥ {aim:g}", f"{found:.2f}", found >= aim)

    @classmethod
    def at_most(cls, what: str, aim: float, found: float, unit: str = "") -> "Goal":
        """Return a goal that a smaller figure reaches."""
        return cls(what, f"≤ {aim:g}{unit}", f"{found:.2f}{unit}", found <= aim)


@dataclass(frozen=True, slots=True)
class Scale:
    """How much is measured.

    Attributes:
        seconds: per run, after a warm-up.
        rounds: of alternating runs; the median counts.
        messages: in the archive that is read.
        quick: whether it is only tried out.
        timescale: a server with TimescaleDB, by a role that may create databases; None: none.
    """

    seconds: float
    rounds: int
    messages: int
    quick: bool
    timescale: str | None = None


@dataclass(slots=True)
class Findings:
    """Lines of Markdown, and the goals."""

    lines: list[str] = field(default_factory=list)
    goals: list[Goal] = field(default_factory=list)

    def table(self, heads: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
        """Add a table; all columns but the words are set to the right."""
        rows = list(rows)
        words = [any(row[i].strip("`*")[:1].isalpha() for row in rows) for i in range(len(heads))]
        self.lines += [
            "| " + " | ".join(heads) + " |",
            "|" + "|".join("---" if word else "---:" for word in words) + "|",
            *("| " + " | ".join(row) + " |" for row in rows),
            "",
        ]


def progress(what: str) -> None:
    """Say on stderr what is being measured: on a terminal in one line, else a line each time."""
    if sys.stderr.isatty():
        print(f"\r\033[K{what}", end="", file=sys.stderr, flush=True)
    else:
        print(f"{datetime.now(UTC):%H:%M:%S} {what}", file=sys.stderr, flush=True)


def progress_ends() -> None:
    """Give a terminal its line back."""
    if sys.stderr.isatty():
        print("\r\033[K", end="", file=sys.stderr, flush=True)


def goal_table(goals: Iterable[Goal]) -> Findings:
    """Return all goals with their ends."""
    found = Findings()
    found.table(
        ("goal", "aim", "found", ""),
        [(g.what, g.aim, g.found, "reached" if g.reached else "**missed**") for g in goals],
    )
    return found


def middle(runs: Sequence[T], key: Callable[[T], float]) -> T:
    """Return the run in the middle; of an even number the lower one."""
    return sorted(runs, key=key)[(len(runs) - 1) // 2]


# ── Processes ───────────────────────────────────────────────────────────────────────────────────


@contextmanager
def scratch() -> Iterator[Path]:
    """Yield a folder that is gone afterwards."""
    folder = Path(tempfile.mkdtemp(prefix="wagateway-bench-"))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@asynccontextmanager
async def beside(url: str) -> AsyncIterator[str]:
    """Yield the address of a new database beside the one at *url*; it is gone afterwards."""
    name = f"wagateway_bench_{uuid4().hex[:12]}"
    async with await psycopg.AsyncConnection.connect(url, autocommit=True) as conn:
        named = sql.Identifier(name)
        await conn.execute(sql.SQL("CREATE DATABASE {} TEMPLATE template0").format(named))
        try:
            yield urlsplit(url)._replace(path=f"/{name}").geturl()
        finally:
            await conn.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(named))


@dataclass(frozen=True, slots=True)
class Server:
    """A server that runs: the port it listens on, and its process."""

    port: int
    pid: int


@asynccontextmanager
async def serving(variant: str, data: Path) -> AsyncIterator[Server]:
    """Run *variant* of ``serving.py`` on the data folder *data*; logs are written as in earnest.

    A server that does not start or stop in time ends the benchmark.
    """
    log = data.with_name(data.name + ".log")
    with log.open("ab") as stderr:
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            *(str(SERVE), variant, str(data)),
            stdout=asyncio.subprocess.PIPE,
            stderr=stderr,
        )
    try:
        assert process.stdout
        try:
            async with asyncio.timeout(_START_S):
                url = (await process.stdout.readline()).decode().strip()
        except TimeoutError:
            url = ""
        if not url:
            sys.exit(f"the server of {variant!r} did not start: {log.read_text()}")
        yield Server(int(url.rpartition(":")[2]), process.pid)
    finally:
        await ended(process, f"the server of {variant!r}")


async def ended(process: asyncio.subprocess.Process, who: str) -> None:
    """Stop *process*; one that does not end in time is killed, and ends the benchmark."""
    if process.returncode is None:
        process.terminate()
    try:
        async with asyncio.timeout(_STOP_S):
            await process.wait()
    except TimeoutError:
        process.kill()
        await process.wait()
        sys.exit(f"{who} did not stop within {_STOP_S:.0f} s")


def family(pid: int) -> dict[int, str]:
    """Return the processes that *pid* began, itself included, with the command of each."""
    parents: dict[int, tuple[int, str]] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and (stat := _stat(int(entry.name))):
            command, fields = stat
            parents[int(entry.name)] = (int(fields[1]), command)
    found = {pid}
    while more := {p for p, (parent, _) in parents.items() if parent in found} - found:
        found |= more
    return {p: parents[p][1] for p in found if p in parents}


def _stat(pid: int) -> tuple[str, list[str]] | None:
    try:
        text = Path(f"/proc/{pid}/stat").read_text()
    except OSError:  # it ended meanwhile
        return None
    command, _, rest = text.partition("(")[2].rpartition(")")
    return command, rest.split()


@dataclass(frozen=True, slots=True)
class Cpu:
    """Seconds of CPU by whom; of children that ended, too."""

    client: float
    gateway: float
    database: float

    def __sub__(self, other: "Cpu") -> "Cpu":
        return Cpu(
            self.client - other.client,
            self.gateway - other.gateway,
            self.database - other.database,
        )


def cpu_of(server: int) -> Cpu:
    """Return what this process, and the processes of *server*, have used so far."""
    gateway = database = 0.0
    for pid, command in family(server).items():
        if stat := _stat(pid):
            used = sum(map(int, stat[1][11:15])) / _TICKS
            if command == "postgres":
                database += used
            else:
                gateway += used
    return Cpu(time.process_time(), gateway, database)


def proportional_mb(pid: int) -> float:
    """Return a process's memory in MB, what it shares divided among those who share it."""
    rollup = Path(f"/proc/{pid}/smaps_rollup").read_text()
    [pss] = [line.split()[1] for line in rollup.splitlines() if line.startswith("Pss:")]
    return int(pss) * 1024 / 1e6


# ── The client ──────────────────────────────────────────────────────────────────────────────────


@dataclass(slots=True)
class Measured:
    """What one run saw; latencies in seconds, of the answers after the warm-up."""

    seconds: float
    latencies: list[float] = field(default_factory=list)
    cpu: Cpu = Cpu(0, 0, 0)

    @property
    def per_second(self) -> float:
        """Answers per second, all of them 200."""
        return len(self.latencies) / self.seconds

    def quantile_ms(self, percent: int) -> float:
        """Return a latency in milliseconds; not a number when there was next to no answer."""
        if len(self.latencies) < 2:  # noqa: PLR2004 - fewer have no quantiles
            return math.nan
        return statistics.quantiles(self.latencies, n=100)[percent - 1] * 1000

    def micros(self, seconds: float) -> str:
        """Return *seconds* of CPU per answer in microseconds."""
        return f"{seconds / max(len(self.latencies), 1) * 1e6:,.0f}"


async def measure(
    server: Server, sent: Iterator[bytes], connections: int, seconds: float, *, expect: bytes = b""
) -> Measured:
    """Send *sent* over *connections*, each waiting for its answer before it goes on.

    Args:
        server: to whom.
        sent: whole requests; enough for the time.
        connections: at once.
        seconds: after the warm-up.
        expect: what each answer's body must hold.
    """

    async def one_connection(step: "Steps") -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
        for payload in sent:
            asked = time.perf_counter()
            if asked >= step.end:
                break
            writer.write(payload)
            await _require_ok(reader, expect)
            step.took(asked)
        else:
            sys.exit(f"too few requests for {seconds} s: measure for a shorter time")
        writer.close()
        await writer.wait_closed()

    try:
        async with asyncio.timeout(seconds + _STUCK_S):
            return await timed(one_connection, connections, seconds, lambda: cpu_of(server.pid))
    except TimeoutError:
        sys.exit(f"the server left a request without an answer for {_STUCK_S:.0f} s")


class Steps:
    """The clock of one run."""

    def __init__(self, seconds: float) -> None:
        """Begin to warm up."""
        self.begin = time.perf_counter() + WARM_UP_S
        self.end = self.begin + seconds
        self.measured = Measured(seconds)

    def took(self, asked: float) -> None:
        """Count an answer, unless it belongs to the warm-up."""
        answered = time.perf_counter()
        if self.begin <= answered < self.end:
            self.measured.latencies.append(answered - asked)


async def timed(
    work: Callable[[Steps], "asyncio._CoroutineLike[None]"],
    tasks: int,
    seconds: float,
    cpu: Callable[[], Cpu],
) -> Measured:
    """Run *work* as so many *tasks*, each until its steps end."""
    steps = Steps(seconds)

    async def watch() -> Cpu:
        await asyncio.sleep(steps.begin - time.perf_counter())
        before = cpu()
        await asyncio.sleep(max(0, steps.end - time.perf_counter()))
        return cpu() - before

    async with asyncio.TaskGroup() as group:
        for _ in range(tasks):
            group.create_task(work(steps))
        watching = group.create_task(watch())
    steps.measured.cpu = watching.result()
    return steps.measured


async def _require_ok(reader: asyncio.StreamReader, expect: bytes) -> None:
    """Read one answer to its end; a refusal ends the benchmark."""
    head = (await reader.readuntil(b"\r\n\r\n")).lower()
    length = int(head.split(b"content-length:", 1)[1].split(b"\r\n", 1)[0])
    body = await reader.readexactly(length)
    if b" 200 " not in head[:20] or expect not in body:
        sys.exit(f"refused: {head.splitlines()[0].decode()} {body[:500].decode()}")
