"""How much more several processes do: webhooks, and back-fill.

Run by itself, ``scaling.py DATABASE_URL WAHA_URL``, it is one of the processes that back-fill.
"""

import asyncio
import sys
import time

from backfill import UNHURRIED, messages, now, simulated, until_read, worker_of
from harness import Findings, Scale, ended, measure, middle, progress, scratch, serving
from ingest import requests
from pages import empty_database
from wagateway.adapters.embedded.server import EmbeddedPostgres
from wagateway.adapters.timescale.pool import open_pool
from wagateway.adapters.waha.client import open_engine

_PROCESSES = (1, 2, 4)
_CONNECTIONS = 64


async def run(scale: Scale) -> Findings:
    """Measure both with each number of processes, in turns."""
    hooks: dict[int, list[float]] = {count: [] for count in _PROCESSES}
    pages: dict[int, list[float]] = {count: [] for count in _PROCESSES}
    sent = requests()
    past = 2_000 if scale.quick else 40_000
    for number in range(scale.rounds):
        for count in _PROCESSES:
            progress(f"scaling, round {number + 1}: webhooks, {count} processes")
            with scratch() as folder:
                async with serving(f"workers-{count}", folder / "data") as server:
                    took = await measure(
                        server, iter(sent), _CONNECTIONS, scale.seconds, expect=b'"failed":0'
                    )
            hooks[count].append(took.per_second)
    with scratch() as folder:
        async with EmbeddedPostgres.running(folder / "data") as database, simulated(past) as waha:
            for number in range(scale.rounds):
                for count in _PROCESSES:
                    progress(f"scaling, round {number + 1}: back-fill, {count} processes")
                    async with empty_database(database.url, f"filled_{count}") as url:
                        pages[count].append(await _filled(url, waha, count))
    findings = Findings()
    findings.table(
        ("processes", "webhooks/s", "of one", "back-fill, messages/s", "of one"),
        [
            (
                *(str(count), f"{_middle(hooks, count):,.0f}"),
                f"{_middle(hooks, count) / _middle(hooks, 1):.2f}",
                f"{_middle(pages, count):,.0f}",
                f"{_middle(pages, count) / _middle(pages, 1):.2f}",
            )
            for count in _PROCESSES
        ],
    )
    return findings


def _middle(found: dict[int, list[float]], count: int) -> float:
    return middle(found[count], float)


async def _filled(url: str, waha: str, count: int) -> float:
    """Return how many messages a second *count* processes read and store, until all are there."""
    processes = [
        await asyncio.create_subprocess_exec(
            sys.executable, __file__, url, waha, stdin=asyncio.subprocess.PIPE
        )
        for _ in range(count)
    ]
    try:
        began = time.perf_counter()
        async with open_pool(url, max_size=1) as pool:
            await until_read(pool, processes)
        took = time.perf_counter() - began
    finally:
        for process in processes:
            await ended(process, "a process that back-fills")
    return await messages(url) / took


async def _fill(url: str, waha: str) -> None:
    """Read and store until the process is ended."""
    async with (
        open_pool(url, max_size=10, prepare_threshold=5) as pool,
        open_engine(waha, None, clock=now, manners=UNHURRIED) as engine,
    ):
        await worker_of(pool, engine).run(asyncio.Event())


if __name__ == "__main__":
    asyncio.run(_fill(sys.argv[1], sys.argv[2]))
