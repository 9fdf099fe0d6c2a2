"""Delivery as WAHA does it: independent requests, repeated until one is accepted or none is left.

Source: WAHA docs, Webhooks; WAHA answers to anything but 2xx, and to silence, with the same again.
"""

import asyncio
import math
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from enum import StrEnum

import httpx
from msgspec import Struct, field

from wagateway.simulator.dice import Dice
from wagateway.simulator.traffic import Delivery
from wagateway.simulator.truth import Truth

SOCKET_TIMEOUT_S = 8.0
"""WAHA drops a connection on which nothing happened for so long."""

_HURRY_S = 0.001
_LAST_PORT = 65535
_JITTER = 0.2
_LAST_DOUBLING = 40
_MAX_HEADER_DELAY_S = 3600.0
_TOO_MANY = "429"


class Policy(StrEnum):
    """How the pauses between attempts grow."""

    CONSTANT = "constant"
    LINEAR = "linear"
    EXPONENTIAL = "exponential"


class Retries(Struct, frozen=True, kw_only=True):
    """WAHA's retry settings, with its defaults: 15 retries, 2 s apart.

    Attributes:
        delay_s: 0 or more; constant: each pause; linear: times n; exponential: times 2 to the
            power of n and up to a fifth more, where n counts the retries from 1.
        attempts: retries after the first request, 0 or more.
    """

    policy: Policy = Policy.CONSTANT
    delay_s: float = 2.0
    attempts: int = 15

    def __post_init__(self) -> None:
        if not (math.isfinite(self.delay_s) and self.delay_s >= 0 and self.attempts >= 0):
            raise ValueError("delay_s and attempts must be 0 or more")

    def pause_s(self, retry: int, dice: Dice) -> float:
        """Return the pause in seconds before retry number *retry*, counted from 1."""
        match self.policy:
            case Policy.CONSTANT:
                return self.delay_s
            case Policy.LINEAR:
                return self.delay_s * retry
            case Policy.EXPONENTIAL:
                return (
                    self.delay_s
                    * 2.0 ** min(retry, _LAST_DOUBLING)
                    * (1 + dice.between(0, _JITTER))
                )


class Counts(Struct, kw_only=True):
    """How far the poster is; the numbers only grow.

    Attributes:
        posted: deliveries that were begun.
        accepted: answered with 2xx.
        retried: requests beyond each delivery's first.
        given_up: deliveries that no answer accepted.
        lost: deliveries that WAHA had given up before the first request; see `Delivery.lost`.
        last_refusal: why the latest attempt failed: a status such as ``401``, or the name of a
            network error such as ``ConnectError``; None if none did.
        refusals: how many attempts failed for each such reason.
    """

    posted: int = 0
    accepted: int = 0
    retried: int = 0
    given_up: int = 0
    lost: int = 0
    last_refusal: str | None = None
    refusals: dict[str, int] = field(default_factory=dict)

    def refuse(self, reason: str) -> None:
        """Count an attempt that failed for *reason*."""
        self.last_refusal = reason
        self.refusals[reason] = self.refusals.get(reason, 0) + 1

    @property
    def telling_refusal(self) -> str | None:
        """The reason that says most of what is wrong: of those that came, what others follow from.

        A receiver that refuses a token may soon answer 429 to whoever repeats it, and one that is
        stopped is no longer reached.
        """
        return min(self.refusals, key=_rank, default=None)

    @property
    def open(self) -> int:
        """Deliveries that are neither accepted nor lost yet."""
        return self.posted - self.accepted - self.given_up


def _rank(refusal: str) -> int:
    """Return how little *refusal* says: least where our request is wrong, most where it waits."""
    if refusal == _TOO_MANY:
        return 3
    if refusal.isdecimal():
        return 1 if refusal.startswith("5") else 0
    return 2


def limited(deliveries: Iterable[Delivery], count: int | None) -> Iterator[Delivery]:
    """Yield up to *count* deliveries that are sent; lost ones come in addition. None: all."""
    sent = 0
    for delivery in deliveries:
        sent += not delivery.lost
        if count is not None and sent > count:
            return
        yield delivery


def judge(truth: Truth) -> Callable[[Delivery, bool], None]:
    """Return what a poster tells of each delivery, so that *truth* says what must be archived."""

    def ended(delivery: Delivery, accepted: bool) -> None:  # noqa: FBT001 - the poster's own words
        if delivery.fact is None:
            return
        take_in = truth.tell if accepted else truth.doubt
        take_in(delivery.fact)

    return ended


class Timekeeper:
    """Tells of deliveries when their time has come, and sends nothing.

    Attributes:
        counts: changes while run() is at work; what is not lost counts as accepted.
    """

    def __init__(self, due: Callable[[Delivery], object]) -> None:
        self.counts = Counts()
        self._due = due

    async def run(self, deliveries: Iterable[Delivery]) -> None:
        """Tell of *deliveries*, each at its offset from now."""
        loop = asyncio.get_running_loop()
        begin_s = loop.time()
        for delivery in deliveries:
            await asyncio.sleep(max(0.0, begin_s + delivery.offset_s - loop.time()))
            self._due(delivery)
            self.counts.lost += delivery.lost
            self.counts.posted += not delivery.lost
            self.counts.accepted = self.counts.posted


class Poster:
    """Posts deliveries to one webhook.

    Attributes:
        counts: changes while run() is at work.
    """

    def __init__(
        self,
        url: str,
        *,
        headers: Mapping[str, str] | None = None,
        retries: Retries | None = None,
        max_connections: int = 32,
        max_open: int = 10_000,
        timeout_s: float = SOCKET_TIMEOUT_S,
        ended: Callable[[Delivery, bool], None] | None = None,
        due: Callable[[Delivery], bool] | None = None,
    ) -> None:
        """Describe the webhook.

        Args:
            url: where to post.
            headers: custom headers, for instance ``{"X-Whatsapp-Token": …}``.
            retries: WAHA's defaults if None.
            max_connections: requests at the same time, 1 or more.
            max_open: deliveries that wait for an answer or a retry at the same time; while there
                are so many, no further one is begun. 1 or more.
            timeout_s: silence that counts as failure.
            ended: told of each delivery that was sent, when it is accepted (True), or given up or
                still open when run() is cancelled (False): the webhook may have it even so.
            due: told of each delivery, lost ones too, when its time has come; it answers whether
                it may be sent.

        Raises:
            ValueError: *url* is not an http or https address, or a header cannot be sent.
        """
        _require_sendable(url, headers or {})
        self.counts = Counts()
        self._url = url
        self._headers = dict(headers or {})
        self._retries = retries or Retries()
        self._timeout_s = timeout_s
        self._ended = ended or (lambda _delivery, _accepted: None)
        self._due = due
        self._max_connections = max_connections
        self._begun: set[int] = set()
        self._room = asyncio.Semaphore(max_open)

    async def run(self, deliveries: Iterable[Delivery]) -> None:
        """Post *deliveries*, each at its offset from now; late ones at once.

        Returns when all are accepted or lost; for endless deliveries never. To stop, cancel it:
        open requests are dropped, as they are when a WAHA process ends.
        """
        loop = asyncio.get_running_loop()
        begin_s = loop.time()
        async with self._open_connections() as connections, asyncio.TaskGroup() as tasks:
            for delivery in deliveries:
                if not delivery.lost or self._due:
                    await asyncio.sleep(max(0.0, begin_s + delivery.offset_s - loop.time()))
                if not self._may_be_sent(delivery) or delivery.lost:
                    self.counts.lost += 1
                    await asyncio.sleep(0)  # many in a row must not hold everything else up
                    continue
                await self._room.acquire()
                self.counts.posted += 1
                tasks.create_task(self._deliver(connections, delivery))

    def _may_be_sent(self, delivery: Delivery) -> bool:
        return self._due is None or self._due(delivery)

    @asynccontextmanager
    async def _open_connections(self) -> AsyncIterator["_Connections"]:
        """Yield one client per connection: a pool of many looks through them all for each request.

        The webhook is named exactly; a proxy from the environment would only be in the way.
        """
        trust = httpx.create_ssl_context()
        connections: _Connections = asyncio.LifoQueue()
        async with AsyncExitStack() as stack:
            for _ in range(self._max_connections):
                client = httpx.AsyncClient(timeout=self._timeout_s, trust_env=False, verify=trust)
                connections.put_nowait(await stack.enter_async_context(client))
            yield connections

    async def _deliver(self, connections: "_Connections", delivery: Delivery) -> None:
        accepted = False
        try:
            dice = Dice("retry", delivery.headers.get("X-Webhook-Request-Id"))
            first = self._attempt_in_vain if delivery.cut else self._attempt
            at_least_s = await first(connections, delivery)
            for retry in range(1, self._retries.attempts + 1):
                if at_least_s is None:
                    break
                await asyncio.sleep(max(at_least_s, self._retries.pause_s(retry, dice)))
                self.counts.retried += 1
                at_least_s = await self._attempt(connections, delivery)
            accepted = at_least_s is None
            if accepted:
                self.counts.accepted += 1
            else:
                self.counts.given_up += 1
        finally:
            self._room.release()
            if id(delivery) in self._begun:  # what was never sent is nobody's
                self._begun.remove(id(delivery))
                self._ended(delivery, accepted)

    async def _attempt(self, connections: "_Connections", delivery: Delivery) -> float | None:
        """Send once; return None when accepted, else the seconds to wait at least."""
        headers = {**delivery.headers, **self._headers}
        async with _one_of(connections) as client:
            self._begun.add(id(delivery))
            try:
                answer = await client.post(self._url, content=delivery.body, headers=headers)
            except httpx.RequestError as exc:
                self.counts.refuse(type(exc).__name__)
                return 0.0
        if answer.is_success:
            return None
        self.counts.refuse(str(answer.status_code))
        return _asked_pause_s(answer)

    async def _attempt_in_vain(self, connections: "_Connections", delivery: Delivery) -> float:
        """Send once and go away before the answer; the webhook may have taken it or not."""
        headers = {**delivery.headers, **self._headers}
        in_a_hurry = httpx.Timeout(self._timeout_s, read=_HURRY_S)
        async with _one_of(connections) as client:
            self._begun.add(id(delivery))
            with suppress(httpx.RequestError):
                await client.post(
                    self._url, content=delivery.body, headers=headers, timeout=in_a_hurry
                )
        return 0.0


def _require_sendable(url: str, headers: Mapping[str, str]) -> None:
    if not url.startswith(("http://", "https://")):
        raise ValueError(f"a webhook is an http:// or https:// address, not {url!r}")
    try:
        port = httpx.Request("POST", url, headers=dict(headers)).url.port
    except (httpx.InvalidURL, UnicodeError) as exc:
        raise ValueError(f"this address or a header cannot be sent: {type(exc).__name__}") from exc
    if port is not None and not 0 < port <= _LAST_PORT:
        raise ValueError(f"a port is a number from 1 to {_LAST_PORT}, not {port}")


_Connections = asyncio.LifoQueue[httpx.AsyncClient]
"""Those that nobody uses; the one used last comes first."""


@asynccontextmanager
async def _one_of(connections: _Connections) -> AsyncIterator[httpx.AsyncClient]:
    client = await connections.get()
    try:
        yield client
    finally:
        connections.put_nowait(client)


def _asked_pause_s(answer: httpx.Response) -> float:
    """Return the seconds that ``Retry-After`` asks for; 0 where it is absent or a date."""
    asked = answer.headers.get("Retry-After", "")
    return min(float(asked), _MAX_HEADER_DELAY_S) if asked.isascii() and asked.isdigit() else 0.0
