"""``wagateway simulate``: delivers what a simulated WAHA would, and writes down the truth."""

import asyncio
import math
import signal
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import rich_click as click
from msgspec import Struct

from wagateway.domain.errors import InvalidInput
from wagateway.entrypoints.cli.endings import ExitCode
from wagateway.entrypoints.cli.output import counted, echo_json, note
from wagateway.entrypoints.cli.truth_file import require_writable, write_truth
from wagateway.simulator.delivery import Delivery
from wagateway.simulator.engine import EngineName
from wagateway.simulator.faults import MEANINGS, SERVED_MEANINGS, Faults
from wagateway.simulator.files import Stock
from wagateway.simulator.offers import Media
from wagateway.simulator.post import Counts, Policy, Poster, Retries, Timekeeper, judge, limited
from wagateway.simulator.simulation import START, Scenario, simulate
from wagateway.simulator.truth import Truth

_TOKEN_HEADER = "X-Whatsapp-Token"  # noqa: S105 - its name
_DEFAULT_COUNT = 1000
_LINE_EVERY_S = 5.0
_TERMINAL_LINE_EVERY_S = 0.5


class Order(Struct, frozen=True, kw_only=True):
    """What the command line asks for; see its help."""

    webhook: str | None
    serve: str | None
    api_key: str | None
    past: int
    without_store: bool
    wait: float
    files: int
    large_files: int
    large_size: int
    file_lifetime: float
    media_base: str
    bucket: str | None
    bait: str | None
    token: str | None
    hmac_key: str | None
    headers: tuple[str, ...]
    seed: int
    engine: str
    sessions: int
    chats: int
    rate: float | None
    count: int | None
    duration: float | None
    faults: str
    with_message: bool
    start: datetime | None
    history: float
    connections: int
    retries: str
    truth: Path | None
    as_json: bool

    def scenario(self) -> Scenario:
        """Return what decides on the deliveries.

        Raises:
            InvalidInput: a value means nothing.
        """
        start = self.start or START
        if self.duration is not None and not self.duration < math.inf:
            raise InvalidInput("--duration is a number of seconds")
        try:
            return Scenario(
                seed=self.seed,
                engine=None if self.engine == "mix" else EngineName(self.engine.upper()),
                sessions=self.sessions,
                chats=self.chats,
                rate=self.rate,
                start=start if start.tzinfo else start.replace(tzinfo=UTC),
                history=timedelta(days=self.history),
                faults=Faults.parse(self.faults, served=self.serve is not None),
                also_as_message=1.0 if self.with_message else 0.0,
                hmac_key=self.hmac_key,
                served=self.serve is not None,
                past=self.past,
                media=self.media(),
            )
        except (ValueError, OverflowError) as exc:
            raise InvalidInput(str(exc)) from exc

    def media(self) -> Media:
        """Return how WAHA deals with files.

        Raises:
            ValueError: a value means nothing.
        """
        if self.serve is None and (self.bucket or self.bait):
            raise ValueError("--bucket and --bait need --serve: nobody else serves files")
        return Media(
            stock=Stock(
                distinct=self.files,
                large=self.large_files,
                large_bytes=self.large_size * 1_000_000,
            ),
            base_url=self.media_base.rstrip("/"),
            lifetime_s=self.file_lifetime,
            store_url=f"http://{self.bucket}/whatsapp" if self.bucket else None,
            bait_url=f"http://{self.bait}" if self.bait else None,
        )

    def most(self) -> int | None:
        """Return after how many deliveries to stop."""
        return _DEFAULT_COUNT if self.count is None and self.duration is None else self.count


class Result(Struct, frozen=True, kw_only=True):
    """What ``--json`` prints: see `post.Counts`; *interrupted* ones may have been taken or not.

    Without a webhook, those that reached the stores count as accepted.
    """

    posted: int
    accepted: int
    retried: int
    given_up: int
    lost: int
    interrupted: int
    seconds: float
    per_second: float
    truth: str | None


def run_simulate(order: Order) -> int:
    """Deliver to the end, tell how far it is on stderr, and print the sum.

    Raises:
        InvalidInput: an option's value means nothing.
        StoreUnavailable: the truth cannot be written.
    """
    scenario, truth = order.scenario(), Truth()
    if order.serve is not None:
        from wagateway.entrypoints.cli.simulate_serve import run_serving  # noqa: PLC0415 - an extra

        return run_serving(order, scenario, truth)
    poster = poster_of(order, truth)
    require_writable(order.truth)
    seconds, interrupted = asyncio.run(deliver(order, scenario, poster))
    return conclude(order, scenario, truth, poster.counts, seconds, interrupted=interrupted)


def conclude(
    order: Order,
    scenario: Scenario,
    truth: Truth,
    counts: Counts,
    seconds: float,
    *,
    interrupted: bool,
) -> int:
    """Write the truth and print the sum; return the exit code."""
    if order.truth:
        write_truth(order.truth, scenario, truth)
    result = Result(
        posted=counts.posted,
        accepted=counts.accepted,
        retried=counts.retried,
        given_up=counts.given_up,
        lost=counts.lost,
        interrupted=counts.open,
        seconds=round(seconds, 3),
        per_second=round(counts.accepted / seconds, 1) if seconds else 0.0,
        truth=str(order.truth) if order.truth else None,
    )
    if order.as_json:
        echo_json(result)
    else:
        click.echo("\n".join(_summary(order, result, counts)))
    if interrupted:
        return ExitCode.INTERRUPTED
    return ExitCode.FAILED if counts.given_up else ExitCode.OK


def run_faults(*, as_json: bool) -> None:
    """Print every fault, with its rate in ``all`` and what that is a share of."""
    rates = Faults.parse("all", served=True).rates()
    meanings = MEANINGS | SERVED_MEANINGS
    if as_json:
        echo_json([{"name": n, "rate": rates[n], "meaning": m} for n, m in meanings.items()])
        return
    for name, meaning in meanings.items():
        click.echo(f"{name:<15} {rates[name]:<7} {meaning}")


def poster_of(order: Order, truth: Truth, due: Callable[[Delivery], bool] | None = None) -> Poster:
    """Return what posts to the webhook that *order* names.

    Raises:
        InvalidInput: an option's value means nothing.
    """
    try:
        return Poster(
            order.webhook or "",
            headers=_headers(order),
            retries=_retries(order.retries),
            max_connections=order.connections,
            max_open=max(10_000, order.connections),
            ended=judge(truth),
            due=due,
        )
    except ValueError as exc:
        raise InvalidInput(str(exc)) from exc


def _headers(order: Order) -> dict[str, str]:
    found = {_TOKEN_HEADER: order.token} if order.token else {}
    for header in order.headers:
        name, colon, value = header.partition(":")
        if not (name.strip() and colon):
            raise InvalidInput("--header is NAME:VALUE; one of those given has no colon")
        found[name.strip()] = value.strip()
    return found


def _retries(text: str) -> Retries:
    policy, _, rest = text.partition(":")
    delay, _, attempts = rest.partition(":")
    try:
        return Retries(policy=Policy(policy), delay_s=float(delay), attempts=int(attempts))
    except ValueError as exc:
        raise InvalidInput(
            f"--retries is POLICY:SECONDS:ATTEMPTS, such as constant:2:15, not {text[:40]!r}"
        ) from exc


async def deliver(
    order: Order, scenario: Scenario, poster: Poster | Timekeeper
) -> tuple[float, bool]:
    """Return how many seconds it took, and whether it was interrupted."""
    loop = asyncio.get_running_loop()
    begin_s = loop.time()
    deliveries = limited(simulate(scenario), order.most())
    if order.duration is not None:
        deliveries = _within(deliveries, order.duration)
    work = asyncio.create_task(poster.run(deliveries))
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, work.cancel)
    progress = asyncio.create_task(_report(poster.counts))
    try:
        with suppress(asyncio.CancelledError):
            await work
    finally:
        progress.cancel()
    return loop.time() - begin_s, work.cancelled()


def _within(deliveries: Iterable[Delivery], seconds: float) -> Iterator[Delivery]:
    """Yield *deliveries* until so many seconds from the first on have passed, or would have."""
    loop = asyncio.get_running_loop()
    end_s = loop.time() + seconds
    for delivery in deliveries:
        if delivery.offset_s >= seconds or loop.time() >= end_s:
            return
        yield delivery


async def _report(counts: Counts) -> None:
    """Tell every now and then how far it is."""
    terminal = sys.stderr.isatty()
    before = 0
    while True:
        pause_s = _TERMINAL_LINE_EVERY_S if terminal else _LINE_EVERY_S
        await asyncio.sleep(pause_s)
        rate, before = (counts.accepted - before) / pause_s, counts.accepted
        line = f"{counts.accepted:,} accepted ({rate:,.0f}/s), {counts.retried:,} retries"
        line += f", {counts.open:,} open" if counts.open else ""
        line += f", {counts.given_up:,} given up" if counts.given_up else ""
        line += f"; refused: {_refusals(counts)}" if counts.refusals else ""
        click.echo(f"\r\x1b[K{line}" if terminal else line, err=True, nl=not terminal)


def _summary(order: Order, result: Result, counts: Counts) -> Iterator[str]:
    if sys.stderr.isatty():
        note("")
    if order.webhook is None:
        what = counted(result.accepted, "event")
        yield f"{what} reached the stores in {result.seconds:,.1f} s."
        if result.truth:
            yield f"The truth is in {result.truth}."
        return
    yield (
        f"{counted(result.accepted, 'delivery', 'deliveries')} accepted in {result.seconds:,.1f} s "
        f"({result.per_second:,.0f}/s), after {counted(result.retried, 'retry', 'retries')}."
    )
    if result.lost:
        yield f"{result.lost:,} were lost before they were sent, as --faults asks."
    if result.interrupted:
        yield f"{result.interrupted:,} were open when it was interrupted."
    if result.given_up:
        yield (
            f"{result.given_up:,} were given up; their attempts were refused: {_refusals(counts)}. "
            f"{_hint(counts.telling_refusal)}"
        )
    if result.truth:
        yield f"The truth is in {result.truth}; compare with it:"
        api = httpx.URL(order.webhook).join("/")
        yield f"  wagateway simulate check --truth {result.truth} --api {api}"


def _refusals(counts: Counts) -> str:
    return ", ".join(f"{reason} ({counted(n, 'time')})" for reason, n in counts.refusals.items())


def _hint(refusal: str | None) -> str:
    """Say what to look at after *refusal*, a status or the name of a network error."""
    if refusal in {"401", "403"}:
        return f"{refusal} says that the token or the key is not the receiver's: see --token."
    if refusal == "429":
        return "429 says that it came too often: see --rate."
    if refusal and refusal.startswith("5"):
        return "Look into the log of the receiver."
    return "Is the address right?"
