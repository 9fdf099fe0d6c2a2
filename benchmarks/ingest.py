"""How many durable webhooks a second, beside the same route without a database.

    .venv/bin/python benchmarks/ingest.py [--seconds 4] [--rounds 3] [--connections 1 16 64]

See benchmarks/README.md for what is measured and what the figures mean.
"""

import argparse
import asyncio
import shutil
import statistics
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import islice
from pathlib import Path
from typing import Any

import uvicorn
from typing_extensions import override

from wagateway.adapters.memory import InMemoryArchive
from wagateway.adapters.waha.reader import WahaReader
from wagateway.domain.events import Delivery, Outcome, Recorded
from wagateway.entrypoints.containers import Services, open_services
from wagateway.entrypoints.http.webhooks import Ingest
from wagateway.entrypoints.logs import configure_logging
from wagateway.entrypoints.secrets import GatewaySecrets
from wagateway.entrypoints.serve import base_url, build_app, listen, run_until_stopped, serve
from wagateway.entrypoints.settings import Settings
from wagateway.ports.archive import Archive
from wagateway.simulator.traffic import Traffic
from wagateway.usecases.group_commit import GroupCommit
from wagateway.usecases.ingest import IngestBody, Ingested

TOKEN = "benchmark-token-0123456789"
PATH = "/webhooks/messages"
BODIES = 60_000
WARM_UP_S = 0.5

ROUTE, READ, DURABLE, ALONE = "route", "read", "durable", "alone"
MEANINGS = {
    ROUTE: "the route alone",
    READ: "and every event read, no database",
    DURABLE: "durable in PostgreSQL",
    ALONE: "durable, a transaction per delivery",
}


# ── The server, in a process of its own ─────────────────────────────────────────────────────────


class Nowhere(InMemoryArchive):
    """Answers as a store does, and keeps nothing."""

    @override
    async def record(self, deliveries: Sequence[Delivery]) -> list[Recorded]:
        return [Recorded(outcome=Outcome.STORED)] * len(deliveries)


class Ungrouped(GroupCommit):
    """What a gateway does that does not group: a transaction per delivery, on a pool."""

    def __init__(self, archive: Archive) -> None:
        super().__init__(archive)
        self._store = archive

    @override
    async def record(self, deliveries: Sequence[Delivery]) -> list[Recorded]:
        return await self._store.record(deliveries)


async def take_unread(_: bytes) -> Ingested:
    """Answer without even looking at the body."""
    return Ingested(stored=1, duplicates=0, ignored=0, failed=0)


def ingest_of(variant: str, services: Services) -> Ingest | None:
    """Return what the route calls; None stands for the real thing."""
    if variant in {ROUTE, DURABLE}:
        return take_unread if variant == ROUTE else None
    commit = GroupCommit(Nowhere()) if variant == READ else Ungrouped(services.archive)
    return IngestBody(engine=WahaReader(), commit=commit, clock=lambda: datetime.now(UTC))


async def run_server(variant: str, folder: Path) -> None:
    """Serve *variant* until cancelled; print the address on stdout."""
    stored = variant in {DURABLE, ALONE}
    settings = Settings.embedded(folder) if stored else Settings.in_memory()
    secrets = GatewaySecrets(api_token=TOKEN, webhook_token=TOKEN, webhook_hmac_key=None)
    configure_logging(settings.log_level, settings.log_format, hide={TOKEN})
    async with open_services(settings) as services:
        app = build_app(settings, services, secrets, ingest=ingest_of(variant, services))
        listener = listen("127.0.0.1", 0)
        url = base_url(listener)
        await serve(app, listener, on_ready=lambda: print(url, flush=True))


@asynccontextmanager
async def server(variant: str) -> AsyncIterator[int]:
    """Run *variant* on an empty archive and yield its port."""
    folder = Path(tempfile.mkdtemp(prefix="wagateway-bench-"))
    log = folder / "log"
    with log.open("wb") as stderr:  # logs are written, as they are in earnest
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            *(__file__, "--serve", variant, str(folder / "data")),
            stdout=asyncio.subprocess.PIPE,
            stderr=stderr,
        )
    try:
        assert process.stdout
        url = (await process.stdout.readline()).decode().strip()
        if not url:
            sys.exit(f"the server of {variant!r} did not start: {log.read_text()}")
        yield int(url.rpartition(":")[2])
    finally:
        process.terminate()
        await process.wait()
        await asyncio.to_thread(shutil.rmtree, folder, ignore_errors=True)


# ── The client ──────────────────────────────────────────────────────────────────────────────────


@dataclass(slots=True)
class Measured:
    """What one run saw; latencies in seconds, of the answers after the warm-up."""

    seconds: float
    latencies: list[float] = field(default_factory=list)

    @property
    def per_second(self) -> float:
        """Answers per second, all of them 200."""
        return len(self.latencies) / self.seconds

    def quantile_ms(self, percent: int) -> float:
        """Return a latency in milliseconds."""
        return statistics.quantiles(self.latencies, n=100)[percent - 1] * 1000


def requests() -> list[bytes]:
    """Return whole HTTP requests: lifelike traffic of all engines, no two about one message."""
    start = datetime(2026, 10, 3, 12, tzinfo=UTC)
    traffic = Traffic(start=start, engine=None, history=timedelta(0))
    return [request(delivery.body) for delivery in islice(traffic, BODIES)]


def request(body: bytes) -> bytes:
    """Return *body* as an HTTP request."""
    head = (
        f"POST {PATH} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
        f"X-Whatsapp-Token: {TOKEN}\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


async def measure(port: int, sent: Iterator[bytes], connections: int, seconds: float) -> Measured:
    """Post *sent* over *connections*, each waiting for its answer before it goes on."""
    begin = time.perf_counter() + WARM_UP_S
    end = begin + seconds
    measured = Measured(seconds)

    async def post_on() -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        for payload in sent:
            asked = time.perf_counter()
            if asked >= end:
                break
            writer.write(payload)
            await require_ok(reader)
            answered = time.perf_counter()
            if asked >= begin and answered < end:
                measured.latencies.append(answered - asked)
        else:
            sys.exit(
                f"more than {BODIES} requests fit into {seconds} s: measure for a shorter time"
            )
        writer.close()
        await writer.wait_closed()

    async with asyncio.TaskGroup() as tasks:
        for _ in range(connections):
            tasks.create_task(post_on())
    return measured


async def require_ok(reader: asyncio.StreamReader) -> None:
    """Read one answer to its end; a refusal ends the benchmark."""
    head = (await reader.readuntil(b"\r\n\r\n")).lower()
    length = int(head.split(b"content-length:", 1)[1].split(b"\r\n", 1)[0])
    body = await reader.readexactly(length)
    if b" 200 " not in head[:20] or b'"failed":0' not in body:
        sys.exit(f"refused: {head.splitlines()[0].decode()} {body.decode()}")


async def run_all(seconds: float, rounds: int, connections: Sequence[int]) -> None:
    """Measure everything, the variants in turns, and print the table."""
    sent = requests()
    size = sum(map(len, sent)) / len(sent)
    print(f"{rounds} rounds of {seconds:g} s; requests of {size:.0f} bytes on average\n")
    found: dict[tuple[int, str], list[Measured]] = {}
    for number in range(rounds):
        for count in connections:
            for variant in MEANINGS:
                async with server(variant) as port:
                    measured = await measure(port, iter(sent), count, seconds)
                found.setdefault((count, variant), []).append(measured)
                print(f"\rround {number + 1}: {count} x {variant}   ", end="", file=sys.stderr)
    print(file=sys.stderr)
    print_table(found, connections)


def print_table(found: dict[tuple[int, str], list[Measured]], connections: Sequence[int]) -> None:
    """Print the round with the median rate of each, and its ratio to no database."""
    print("| connections | variant | webhooks/s | p50 ms | p99 ms | rate / no database |")
    print("|---:|---|---:|---:|---:|---:|")
    for count in connections:
        rates = {variant: median(found[count, variant]) for variant in MEANINGS}
        for variant, meaning in MEANINGS.items():
            run = rates[variant]
            ratio = run.per_second / rates[READ].per_second
            print(
                f"| {count} | {meaning} | {run.per_second:,.0f} | {run.quantile_ms(50):.2f} "
                f"| {run.quantile_ms(99):.2f} | {ratio:.2f} |"
            )


def median(runs: list[Measured]) -> Measured:
    """Return the run in the middle by rate; of an even number the slower one."""
    return sorted(runs, key=lambda run: run.per_second)[(len(runs) - 1) // 2]


# ── The command line ────────────────────────────────────────────────────────────────────────────


def run(work: Callable[[], Coroutine[Any, Any, None]]) -> None:
    """Run *work* on the event loop that the gateway uses."""
    with asyncio.Runner(loop_factory=uvicorn.Config("").get_loop_factory()) as runner:
        runner.run(work())


def main() -> None:
    """Read the command line and measure."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--seconds", type=float, default=4.0, help="per run, after a warm-up")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--connections", type=int, nargs="+", default=[1, 16, 64])
    parser.add_argument("--serve", nargs=2, metavar=("VARIANT", "FOLDER"), help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.serve:
        run_until_stopped(run_server(given.serve[0], Path(given.serve[1])))
    else:
        run(lambda: run_all(given.seconds, given.rounds, given.connections))


if __name__ == "__main__":
    main()
