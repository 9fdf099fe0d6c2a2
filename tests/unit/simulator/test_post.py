import asyncio
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Event, Lock, Thread
from typing import Any

import pytest
from msgspec.structs import replace
from typing_extensions import override

from wagateway.simulator.dice import Dice
from wagateway.simulator.post import Policy, Poster, Retries
from wagateway.simulator.traffic import Delivery

NO_PAUSE = Retries(delay_s=0)


class Receiver(ThreadingHTTPServer):
    """A webhook that answers each request id with its next status, the last one for ever."""

    daemon_threads = True
    request_queue_size = 128  # more connections may come at once than the usual 5

    def __init__(self, *statuses: int, retry_after: str | None = None) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.statuses = statuses
        self.retry_after = retry_after
        self.received: list[tuple[bytes, dict[str, str]]] = []
        self.attempts: Counter[str] = Counter()
        self.busy = 0
        self.most_busy = 0
        self.lock = Lock()
        self.gate = Event()
        self.gate.set()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/webhooks/messages"


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Receiver

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        receiver = self.server
        with receiver.lock:
            receiver.received.append((body, dict(self.headers)))
            request = self.headers["X-Webhook-Request-Id"]
            attempt = receiver.attempts[request]
            receiver.attempts[request] += 1
            receiver.busy += 1
            receiver.most_busy = max(receiver.most_busy, receiver.busy)
        receiver.gate.wait(10)
        with receiver.lock:
            receiver.busy -= 1
        self.send_response(receiver.statuses[min(attempt, len(receiver.statuses) - 1)])
        if receiver.retry_after:
            self.send_header("Retry-After", receiver.retry_after)
        self.send_header("Content-Length", "0")
        self.end_headers()

    @override
    def log_message(self, format: str, *args: Any) -> None:
        pass


@contextmanager
def receiving(*statuses: int, retry_after: str | None = None) -> Iterator[Receiver]:
    with Receiver(*statuses, retry_after=retry_after) as receiver:
        thread = Thread(target=receiver.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield receiver
        finally:
            receiver.gate.set()
            receiver.shutdown()
            thread.join()


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(10):
        while not condition():
            await asyncio.sleep(0.005)


def delivery(number: int = 1, offset_s: float = 0.0) -> Delivery:
    return Delivery(
        offset_s=offset_s,
        event="message.any",
        body=f'{{"n":{number}}}'.encode(),
        headers={"Content-Type": "application/json", "X-Webhook-Request-Id": f"r{number}"},
    )


async def test_every_delivery_is_posted_once_when_all_is_well() -> None:
    with receiving(200) as receiver:
        poster = Poster(receiver.url, headers={"X-Whatsapp-Token": "t0ken"})
        await poster.run(delivery(number) for number in range(20))
    assert sorted(body for body, _ in receiver.received) == sorted(
        delivery(number).body for number in range(20)
    )
    assert all(headers["X-Whatsapp-Token"] == "t0ken" for _, headers in receiver.received)
    assert all(headers["Content-Type"] == "application/json" for _, headers in receiver.received)
    counts = poster.counts
    assert (counts.posted, counts.accepted, counts.retried, counts.given_up) == (20, 20, 0, 0)
    assert counts.open == 0
    assert counts.last_refusal is None


@pytest.mark.parametrize("refusal", [302, 400, 401, 404, 500, 503])
async def test_anything_but_2xx_is_repeated_until_accepted(refusal: int) -> None:
    with receiving(refusal, refusal, 204) as receiver:
        poster = Poster(receiver.url, retries=NO_PAUSE)
        await poster.run([delivery()])
    first, *others = receiver.received
    assert len(others) == 2
    assert all(other == first for other in others)
    counts = poster.counts
    assert (counts.posted, counts.accepted, counts.retried, counts.given_up) == (1, 1, 2, 0)
    assert counts.last_refusal == str(refusal)


async def test_the_cause_is_not_hidden_behind_what_follows_from_it() -> None:
    with receiving(401, 401, 429) as receiver:
        poster = Poster(receiver.url, retries=Retries(delay_s=0, attempts=4))
        await poster.run([delivery()])
    counts = poster.counts
    assert (counts.last_refusal, counts.telling_refusal) == ("429", "401")
    assert counts.refusals == {"401": 2, "429": 3}


async def test_it_gives_up_after_the_last_attempt() -> None:
    with receiving(500) as receiver:
        poster = Poster(receiver.url, retries=Retries(delay_s=0, attempts=3))
        await poster.run([delivery(1), delivery(2)])
    assert receiver.attempts == {"r1": 4, "r2": 4}
    counts = poster.counts
    assert (counts.posted, counts.accepted, counts.retried, counts.given_up) == (2, 0, 6, 2)


async def test_sixteen_requests_are_made_by_default() -> None:
    with receiving(500) as receiver:
        await Poster(receiver.url, retries=NO_PAUSE).run([delivery()])
    assert receiver.attempts["r1"] == 16
    assert Retries() == Retries(policy=Policy.CONSTANT, delay_s=2.0, attempts=15)


async def test_nobody_listening_is_a_refusal_too() -> None:
    with receiving(200) as receiver:
        url = receiver.url
    poster = Poster(url, retries=Retries(delay_s=0, attempts=2))
    await poster.run([delivery()])
    assert poster.counts.given_up == 1
    assert poster.counts.last_refusal == "ConnectError"


async def test_silence_is_a_refusal_too() -> None:
    with receiving(200) as receiver:
        receiver.gate.clear()
        poster = Poster(receiver.url, retries=Retries(delay_s=0, attempts=1), timeout_s=0.05)
        await poster.run([delivery()])
    assert poster.counts.given_up == 1
    assert poster.counts.last_refusal == "ReadTimeout"


async def test_one_refused_delivery_does_not_hold_up_the_next() -> None:
    with receiving(503, 200) as receiver:
        poster = Poster(receiver.url, retries=Retries(delay_s=0.2), max_connections=1)
        await poster.run([delivery(1), delivery(2)])
    assert [body for body, _ in receiver.received] == [
        delivery(1).body,
        delivery(2).body,
        delivery(1).body,
        delivery(2).body,
    ]


async def test_no_more_requests_run_at_once_than_asked() -> None:
    with receiving(200) as receiver:
        receiver.gate.clear()
        poster = Poster(receiver.url, max_connections=3)
        run = asyncio.create_task(poster.run(delivery(number) for number in range(12)))
        await until(lambda: receiver.busy == 3)
        await asyncio.sleep(0.05)
        receiver.gate.set()
        await run
    assert receiver.most_busy == 3
    assert poster.counts.accepted == 12


async def test_no_more_deliveries_are_open_than_asked() -> None:
    with receiving(200) as receiver:
        receiver.gate.clear()
        poster = Poster(receiver.url, max_open=2)
        run = asyncio.create_task(poster.run(delivery(number) for number in range(5)))
        await until(lambda: receiver.busy == 2)
        await asyncio.sleep(0.05)
        assert poster.counts.posted == 2
        receiver.gate.set()
        await run
    assert poster.counts.accepted == 5


async def test_deliveries_wait_for_their_offset() -> None:
    with receiving(200) as receiver:
        poster = Poster(receiver.url)
        began = time.monotonic()
        await poster.run([delivery(1), delivery(2, offset_s=0.4)])
        assert time.monotonic() - began >= 0.4
    assert poster.counts.accepted == 2


async def test_it_can_be_cancelled_while_waiting_and_while_posting() -> None:
    with receiving(200) as receiver:
        receiver.gate.clear()
        poster = Poster(receiver.url)
        tasks = asyncio.all_tasks()
        run = asyncio.create_task(poster.run([delivery(1), delivery(2, offset_s=3600)]))
        await until(lambda: receiver.busy == 1)
        run.cancel()
        with pytest.raises(asyncio.CancelledError):
            await run
    assert poster.counts.open == 1
    assert asyncio.all_tasks() == tasks


async def test_what_is_lost_is_never_sent() -> None:
    with receiving(200) as receiver:
        told: list[str] = []
        poster = Poster(receiver.url, ended=lambda one, _: told.append(one.event))
        await poster.run([replace(delivery(1), lost=True, offset_s=3600.0), delivery(2)])
    assert receiver.attempts == {"r2": 1}
    counts = poster.counts
    assert (counts.posted, counts.accepted, counts.lost, counts.open) == (1, 1, 1, 0)
    assert len(told) == 1


async def test_what_is_cut_is_sent_again_though_the_first_was_taken() -> None:
    with receiving(200) as receiver:
        receiver.gate.clear()  # nobody could see an answer
        poster = Poster(receiver.url, retries=NO_PAUSE)
        run = asyncio.create_task(poster.run([replace(delivery(), cut=True)]))
        await until(lambda: poster.counts.retried == 1)
        receiver.gate.set()
        await run
    assert receiver.attempts["r1"] >= 1
    counts = poster.counts
    assert (counts.posted, counts.accepted, counts.retried, counts.given_up) == (1, 1, 1, 0)
    assert counts.last_refusal is None


async def test_a_cut_request_without_retries_is_given_up() -> None:
    with receiving(200) as receiver:
        poster = Poster(receiver.url, retries=Retries(delay_s=0, attempts=0))
        await poster.run([replace(delivery(), cut=True)])
    assert (poster.counts.accepted, poster.counts.given_up) == (0, 1)


async def test_each_delivery_ends_once_accepted_or_not() -> None:
    ends: list[tuple[bytes, bool]] = []
    with receiving(500, 200) as receiver:
        poster = Poster(
            receiver.url, retries=NO_PAUSE, ended=lambda one, taken: ends.append((one.body, taken))
        )
        await poster.run([delivery(1), replace(delivery(2), cut=True), delivery(3)])
    assert sorted(ends) == [(delivery(number).body, True) for number in (1, 2, 3)]


async def test_what_is_given_up_ended_without_being_accepted() -> None:
    ends: list[bool] = []
    with receiving(500) as receiver:
        poster = Poster(
            receiver.url,
            retries=Retries(delay_s=0, attempts=2),
            ended=lambda _, taken: ends.append(taken),
        )
        await poster.run([delivery(1), delivery(2)])
    assert ends == [False, False]


async def test_what_is_open_when_cancelled_ended_without_being_accepted() -> None:
    ends: list[tuple[bytes, bool]] = []
    with receiving(200) as receiver:
        poster = Poster(receiver.url, ended=lambda one, taken: ends.append((one.body, taken)))
        stream = [delivery(1), delivery(2, offset_s=0.3), delivery(3, offset_s=3600)]
        run = asyncio.create_task(poster.run(stream))
        await until(lambda: poster.counts.accepted == 1)
        receiver.gate.clear()
        await until(lambda: receiver.busy == 1)
        run.cancel()
        with pytest.raises(asyncio.CancelledError):
            await run
    assert ends == [(delivery(1).body, True), (delivery(2).body, False)]


async def test_retry_after_is_the_least_pause() -> None:
    with receiving(503, 200, retry_after="1") as receiver:
        loop = asyncio.get_running_loop()
        begin_s = loop.time()
        await Poster(receiver.url, retries=NO_PAUSE).run([delivery()])
        assert loop.time() - begin_s >= 1


def test_pauses_grow_as_waha_s_do() -> None:
    dice = Dice("pauses")

    def pauses(policy: Policy) -> list[float]:
        retries = Retries(policy=policy, delay_s=2)
        return [retries.pause_s(retry, dice) for retry in (1, 2, 3)]

    assert pauses(Policy.CONSTANT) == [2, 2, 2]
    assert pauses(Policy.LINEAR) == [2, 4, 6]
    for pause, least in zip(pauses(Policy.EXPONENTIAL), (4, 8, 16), strict=True):
        assert least <= pause <= least * 1.2


def test_nonsense_is_refused() -> None:
    with pytest.raises(ValueError, match="http"):
        Poster("localhost:4011/webhooks/messages")
    with pytest.raises(ValueError, match="delay_s"):
        Retries(delay_s=-1)
    with pytest.raises(ValueError, match="attempts"):
        Retries(attempts=-1)
