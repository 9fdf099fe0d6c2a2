"""``wagateway simulate --serve``: the REST API of the simulated WAHA, beside its webhooks."""

import asyncio
import signal
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from socket import socket

from wagateway.domain.errors import Conflict, InvalidInput
from wagateway.entrypoints.cli.output import counted, note
from wagateway.entrypoints.cli.simulate import Order, conclude, deliver, poster_of
from wagateway.entrypoints.cli.truth_file import require_writable
from wagateway.entrypoints.serve import listen
from wagateway.simulator.asgi import App
from wagateway.simulator.bait import Bait
from wagateway.simulator.delivery import Delivery
from wagateway.simulator.post import Poster, Timekeeper
from wagateway.simulator.rest import create_app
from wagateway.simulator.serving import serving
from wagateway.simulator.simulation import Scenario
from wagateway.simulator.truth import Truth
from wagateway.simulator.waha_server import WahaServer

_LAST_PORT = 65535


def run_serving(order: Order, scenario: Scenario, truth: Truth) -> int:
    """Serve and deliver; after the last delivery, serve until a signal comes.

    Raises:
        InvalidInput: an option's value means nothing.
        Conflict: the port is in use.
        StoreUnavailable: the truth cannot be written.
    """
    server = WahaServer.of(
        scenario,
        api_key=order.api_key,
        store_enabled=not order.without_store,
        wait_s=order.wait,
    )
    poster = poster_of(order, truth, server.take) if order.webhook else Timekeeper(server.take)
    require_writable(order.truth)
    bait = Bait()
    beside = [
        (app, _listener(place, option))
        for app, place, option in (
            (server.bucket, order.bucket, "--bucket"),
            (bait, order.bait, "--bait"),
        )
        if place
    ]
    listener = _listener(order.serve or "", "--serve")
    code = asyncio.run(
        _serve(order, scenario, truth, server, poster, [*beside, (create_app(server), listener)])
    )
    if order.bait or scenario.faults.file_bait:
        came = len(bait.requests) + len(server.bait.requests)
        note(f"{counted(came, 'request')} followed an address that nobody should ask.")
    return code


async def _serve(
    order: Order,
    scenario: Scenario,
    truth: Truth,
    server: WahaServer,
    poster: Poster | Timekeeper,
    apps: list[tuple[App, socket]],
) -> int:
    async with AsyncExitStack() as stack:
        for app, listener in apps:
            url = await stack.enter_async_context(serving(app, listener))
        await stack.enter_async_context(_announcing(order, server))
        asked = "X-Api-Key is asked for" if order.api_key else "no key is asked for"
        note(f"The REST API of a simulated WAHA is at {url}; {asked}.")
        seconds, interrupted = await deliver(order, scenario, poster)
        stopped = _signal()
        server.settle()
        server.witness(truth)
        code = conclude(order, scenario, truth, poster.counts, seconds, interrupted=interrupted)
        if not interrupted:
            note(f"It still answers at {url}: Ctrl-C ends it.")
            await stopped.wait()
    return code


@asynccontextmanager
async def _announcing(order: Order, server: WahaServer) -> AsyncIterator[None]:
    """Post what REST calls cause, such as changes of status, while the context is open."""
    if order.webhook is None:
        yield
        return
    caused: asyncio.Queue[Delivery] = asyncio.Queue()
    server.announce = caused.put_nowait

    async def post() -> None:
        while True:
            await poster_of(order, Truth()).run([await caused.get()])

    task = asyncio.create_task(post())
    try:
        yield
    finally:
        task.cancel()


def _signal() -> asyncio.Event:
    """Return what SIGINT or SIGTERM sets from now on."""
    came = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, came.set)
    return came


def _listener(place: str, option: str) -> socket:
    host, _, port = place.rpartition(":")
    if not (host and port.isascii() and port.isdigit() and int(port) <= _LAST_PORT):
        raise InvalidInput(f"{option} is HOST:PORT, such as 127.0.0.1:3311, not {place[:40]!r}")
    try:
        return listen(host.strip("[]"), int(port))
    except Conflict as exc:
        raise Conflict(f"{place} is in use: choose another port for {option}.") from exc
