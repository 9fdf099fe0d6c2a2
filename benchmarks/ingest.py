"""How many durable webhooks a second, beside the same route without a database."""

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from itertools import islice

from harness import (
    TOKEN,
    Findings,
    Goal,
    Measured,
    Scale,
    measure,
    middle,
    progress,
    scratch,
    serving,
)
from serving import ALONE, DURABLE, READ, ROUTE, TWO
from wagateway.simulator.traffic import Traffic

_PATH = "/webhooks/messages"
_BODIES = 60_000
_MEANINGS = {
    ROUTE: "the route alone",
    READ: "and every event read, no database",
    DURABLE: "durable in PostgreSQL",
    TWO: "durable, two processes",
    ALONE: "durable, a transaction per delivery",
}
_RATE, _GAIN, _PROCESSES, _P50 = 0.60, 2.5, 1.0, 4.0


async def run(scale: Scale) -> Findings:
    """Post lifelike deliveries to each variant in turn."""
    connections = (1, 64) if scale.quick else (1, 16, 64, 256)
    sent = requests()
    found: dict[tuple[int, str], list[Measured]] = {}
    for number in range(scale.rounds):
        for count in connections:
            for variant in _MEANINGS:
                progress(f"ingest, round {number + 1}: {count} x {variant}")
                with scratch() as folder:
                    async with serving(variant, folder / "data") as server:
                        took = await measure(
                            server, iter(sent), count, scale.seconds, expect=b'"failed":0'
                        )
                found.setdefault((count, variant), []).append(took)
    middles = {which: middle(runs, lambda run: run.per_second) for which, runs in found.items()}
    size = sum(map(len, sent)) / len(sent)
    findings = Findings([f"Requests of {size:,.0f} bytes on average.", ""])
    findings.table(
        (
            *("connections", "variant", "webhooks/s", "p50 ms", "p99 ms", "rate / no database"),
            *("µs client", "µs gateway", "µs database"),
        ),
        rows(middles, connections),
    )
    findings.goals += goals(middles)
    return findings


def requests() -> list[bytes]:
    """Return whole HTTP requests: lifelike traffic of all engines, no two about one message."""
    start = datetime(2026, 10, 3, 12, tzinfo=UTC)
    traffic = Traffic(start=start, engine=None, history=timedelta(0))
    return [_request(delivery.body) for delivery in islice(traffic, _BODIES)]


def _request(body: bytes) -> bytes:
    head = (
        f"POST {_PATH} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
        f"X-Whatsapp-Token: {TOKEN}\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


def rows(
    middles: dict[tuple[int, str], Measured], connections: Sequence[int]
) -> Iterator[tuple[str, ...]]:
    """Return the rows of the table."""
    for count in connections:
        for variant, meaning in _MEANINGS.items():
            run = middles[count, variant]
            yield (
                str(count),
                meaning,
                f"{run.per_second:,.0f}",
                f"{run.quantile_ms(50):.2f}",
                f"{run.quantile_ms(99):.2f}",
                f"{run.per_second / middles[count, READ].per_second:.2f}",
                run.micros(run.cpu.client),
                run.micros(run.cpu.gateway),
                run.micros(run.cpu.database),
            )


def goals(middles: dict[tuple[int, str], Measured]) -> list[Goal]:
    """Return what was to be reached."""

    def ratio(a: str, b: str) -> float:
        return middles[64, a].per_second / middles[64, b].per_second

    p50 = middles[1, DURABLE].quantile_ms(50) / middles[1, READ].quantile_ms(50)
    return [
        Goal.at_least("durable / no database, 64 connections", _RATE, ratio(DURABLE, READ)),
        Goal.at_least("durable / a transaction each, 64", _GAIN, ratio(DURABLE, ALONE)),
        Goal.at_least("two processes / one, 64", _PROCESSES, ratio(TWO, DURABLE)),
        Goal.at_most("p50 durable / no database, 1 connection", _P50, p50),
    ]
