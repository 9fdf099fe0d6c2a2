"""Measure everything, or what is named, and print tables with the goals.

    .venv/bin/python benchmarks/run.py [--quick] [--only NAME…]

See benchmarks/README.md for what is measured and what the figures mean.
"""

import argparse
import asyncio
import os
import platform
import tempfile
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime

import uvicorn

import backfill
import costs
import idle
import ingest
import media
import pages
import reading
import retention
import scaling
import sizes
import starting
from harness import Findings, Goal, Scale, goal_table, progress_ends
from wagateway.entrypoints.logs import configure_logging

PARTS: dict[str, tuple[str, Callable[[Scale], Awaitable[Findings]]]] = {
    "ingest": ("Durable webhooks", ingest.run),
    "reading": ("Reading", reading.run),
    "pages": ("Storing pages", pages.run),
    "backfill": ("Back-fill", backfill.run),
    "idle": ("In sync", idle.run),
    "media": ("Media", media.run),
    "scaling": ("Several processes", scaling.run),
    "costs": ("What the database does for a message", costs.run),
    "sizes": ("Bytes per message", sizes.run),
    "retention": ("Retention of the log", retention.run),
    "starting": ("Start, imports, memory", starting.run),
}


async def run_all(names: list[str], scale: Scale) -> None:
    """Run the parts in turn and print what each found, then the goals of all."""
    print(
        f"{os.cpu_count()} cores, CPython {platform.python_version()}, "
        f"{datetime.now(UTC):%Y-%m-%d}; {scale.rounds} rounds, medians.\n"
    )
    goals: list[Goal] = []
    for name in names:
        title, part = PARTS[name]
        found = await part(scale)
        progress_ends()
        print(f"### {title}\n", *found.lines, sep="\n", flush=True)
        goals += found.goals
    if goals:
        print("### Goals\n", *goal_table(goals).lines, sep="\n")


def main() -> None:
    """Read the command line and measure."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="try everything out, in a minute")
    parser.add_argument("--only", nargs="+", choices=PARTS, default=list(PARTS), metavar="NAME")
    parser.add_argument("--seconds", type=float, help="per run; 3, or 0.5 with --quick")
    parser.add_argument("--rounds", type=int, help="of alternating runs; 3, or 1 with --quick")
    parser.add_argument("--messages", type=int, help="to read among; 1,000,000, or 5,000")
    parser.add_argument(
        "--timescale",
        metavar="URL",
        default=os.environ.get("WAGATEWAY_BENCH_TIMESCALE_URL"),
        help="a server with TimescaleDB, to weigh it, too: a database beside which others may be"
        " created, and are dropped; or WAGATEWAY_BENCH_TIMESCALE_URL",
    )
    given = parser.parse_args()
    quick = given.quick
    scale = Scale(
        seconds=given.seconds or (0.5 if quick else 3.0),
        rounds=given.rounds or (1 if quick else 3),
        messages=given.messages or (5_000 if quick else 1_000_000),
        quick=quick,
        timescale=given.timescale,
    )
    configure_logging("warning", "console")
    with (
        tempfile.TemporaryDirectory(prefix="wagateway-bench-") as home,
        asyncio.Runner(loop_factory=uvicorn.Config("").get_loop_factory()) as runner,
    ):
        os.environ["XDG_DATA_HOME"] = home  # nothing of a run belongs in the user's own
        runner.run(run_all(given.only, scale))


if __name__ == "__main__":
    main()
