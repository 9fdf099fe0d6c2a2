"""Running the HTTP application: its socket, uvicorn, and stopping without losing anything.

Stopping is cancellation: who runs `serve` in a task and cancels it gets a graceful end.
"""

import asyncio
import errno
import ipaddress
import logging
import os
import resource
import signal
import socket
import sys
from collections.abc import (
    AsyncIterator,
    Awaitable,
    Callable,
    Coroutine,
    Iterator,
    Mapping,
    Sequence,
)
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, contextmanager, suppress
from typing import Any

import uvicorn
from typing_extensions import override

from wagateway.adapters.memory.rate_limit import InMemoryRateLimit
from wagateway.domain.errors import Conflict, InvalidInput, Rejected
from wagateway.entrypoints.addresses import local_url
from wagateway.entrypoints.bounded_http import BoundedHttp
from wagateway.entrypoints.containers import Services, now
from wagateway.entrypoints.http.access_log import Requested
from wagateway.entrypoints.http.app import create_app
from wagateway.entrypoints.http.auth import HttpSecurity
from wagateway.entrypoints.http.clients import TrustedProxies
from wagateway.entrypoints.http.health import (
    Health,
    Working,
    remembered,
    store_health,
    with_feed,
    with_spool,
    with_workers,
)
from wagateway.entrypoints.http.limits import Limits
from wagateway.entrypoints.http.metrics import Metrics
from wagateway.entrypoints.http.webhooks import Ingest
from wagateway.entrypoints.metrics.watching import Watching
from wagateway.entrypoints.secrets import GatewaySecrets
from wagateway.entrypoints.settings import Settings
from wagateway.ports.rate_limit import RateLimit

App = Callable[..., Awaitable[None]]
"""An ASGI application."""

_GRACE_S = 10
"""How long requests in flight may take to finish."""

_KEEP_ALIVE_S = 75
"""Longer than clients keep idle connections, so that none posts into one that just closes."""

_FILES = 65536

_THREADS = 256
"""Beside the event loop, each begun when it is needed: twice as many as files may be fetched at
once, so that names of hosts are still looked up while all of these wait for a disk that hangs."""

_SHOW_CURSOR = "\x1b[?25h"


def health_of(services: Services, workers: Mapping[str, Working | None] | None = None) -> Health:
    """Return the health check of a process that takes webhooks, with its *workers*, if any."""
    health = store_health(services.reader)
    if workers is not None:
        health = with_workers(health, workers, now, alone=False)
    return remembered(with_spool(with_feed(health, services.live.feed, now), services.spool))


def build_app(
    settings: Settings,
    services: Services,
    secrets: GatewaySecrets,
    *,
    ingest: Ingest | None = None,
    health: Health | None = None,
    metrics: Metrics | None = None,
    requested: Requested | None = None,
) -> App:
    """Return the application over opened *services*; what else is given stands in for its own.

    Args:
        settings: how large a webhook may be, and what the metrics need to know.
        services: opened, and kept open.
        secrets: tokens and keys.
        ingest: records a webhook.
        health: answers ``/health``.
        metrics: answers ``/metrics``; its own knows only what can be looked at.
        requested: is told of each request.
    """
    return create_app(
        ingest=ingest or services.ingest,
        reader=services.reader,
        sync=services.sync,
        library=services.library,
        live=services.live,
        health=health or health_of(services),
        security=HttpSecurity(
            api_token=secrets.api_token,
            webhook_token=secrets.webhook_token,
            webhook_hmac_key=secrets.webhook_hmac_key,
            metrics_token=settings.metrics_token,
        ),
        limits=limits_of(settings),
        metrics=metrics or Watching().page(settings, services),
        requested=requested,
        max_body_bytes=settings.max_body_bytes,
        cors_origins=settings.cors_origins,
        behind_tls=settings.behind_tls,
    )


def limits_of(settings: Settings) -> Limits:
    """Return how often one client may ask this process, and fail to prove itself."""

    def per_minute(most: int) -> RateLimit | None:
        return InMemoryRateLimit(most) if most else None

    return Limits(
        requests=per_minute(settings.api_requests_per_minute),
        failures=per_minute(settings.failed_logins_per_minute),
        proxies=TrustedProxies.named(settings.trusted_proxies),
    )


def listen(host: str, port: int, *, option: str = "--port") -> socket.socket:
    """Return a socket that listens on *host* and *port*; port 0 takes a free one.

    From now on nobody else gets the port; who connects waits until `serve` accepts. *option* is
    what chooses another port on the command line.

    Raises:
        Conflict: the port is in use.
        InvalidInput: *host* is no address of this machine.
        Rejected: the port may not be used by this user.
    """
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
    except (socket.gaierror, UnicodeError) as exc:
        raise InvalidInput(_no_address(host)) from exc
    listener = socket.socket(family, kind, protocol)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
        listener.listen(2048)
    except OSError as exc:
        listener.close()
        raise _refusal(exc, host, port, option) from exc
    return listener


def address_of(listener: socket.socket) -> tuple[str, int]:
    """Return the address and port that *listener* is bound to."""
    name = listener.getsockname()
    return str(name[0]), int(name[1])


def is_exposed(listener: socket.socket) -> bool:
    """Tell whether other machines can reach *listener*."""
    return not ipaddress.ip_address(address_of(listener)[0]).is_loopback


def base_url(listener: socket.socket) -> str:
    """Return the ``http://`` address under which this machine reaches *listener*."""
    return local_url(*address_of(listener))


class _Server(uvicorn.Server):
    """uvicorn, without its own handling of signals: `run_until_stopped` does that."""

    @override
    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


def _raise_file_limit() -> None:
    """Allow as many connections as the system lets us; some begin with 1,024."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = _FILES if most == resource.RLIM_INFINITY else min(_FILES, most)
    if resource.getrlimit(resource.RLIMIT_NOFILE)[0] < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, most))


async def serve(
    app: App, listener: socket.socket, *, on_ready: Callable[[], None] | None = None
) -> None:
    """Serve *app* on *listener* until cancelled; then finish the requests in flight.

    Args:
        app: everything that it needs is open, and stays so until this returns.
        listener: closed at the end.
        on_ready: called once requests are answered.
    """
    config = uvicorn.Config(
        app,
        http=BoundedHttp,
        lifespan="on",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,  # it would believe whoever is on this machine, and rewrite the client
        ws="none",
        timeout_keep_alive=_KEEP_ALIVE_S,
        timeout_graceful_shutdown=_GRACE_S,
    )
    logging.getLogger("uvicorn.error").setLevel(logging.WARNING)  # else a line for each step
    _raise_file_limit()
    server = _Server(config)
    running = asyncio.create_task(server.serve(sockets=[listener]))
    try:
        while not (server.started or running.done()):  # noqa: ASYNC110 - uvicorn sets no event
            await asyncio.sleep(0.01)
        if server.started and on_ready:
            on_ready()
        await asyncio.shield(running)
    except asyncio.CancelledError:
        server.should_exit = True
        await running
        raise


@asynccontextmanager
async def serving(app: App, listener: socket.socket) -> AsyncIterator[None]:
    """Serve *app* on *listener* while the context is open."""
    server = asyncio.create_task(serve(app, listener))
    try:
        yield
    finally:
        await ended(server)


async def ended(task: asyncio.Task[None]) -> None:
    """Cancel *task* and wait for its end; what it failed with is raised."""
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task


def run_until_stopped(
    work: Coroutine[Any, Any, None],
    *,
    signals: Sequence[signal.Signals] = (signal.SIGINT, signal.SIGTERM),
    on_stop: Callable[[], None] | None = None,
) -> None:
    """Run *work* to its end, or until one of *signals* comes: it is cancelled then.

    *on_stop* is called once it is, and before it has ended. A second signal ends the process at
    once. What was answered is durable even so, and the embedded server notices and stops by itself.
    """
    factory = uvicorn.Config("", log_config=None).get_loop_factory()
    with asyncio.Runner(loop_factory=factory) as runner:
        runner.run(_stoppable(work, signals, on_stop))


async def _stoppable(
    work: Coroutine[Any, Any, None],
    signals: Sequence[signal.Signals],
    on_stop: Callable[[], None] | None,
) -> None:
    task = asyncio.create_task(work)
    stopping = False

    def stop(number: signal.Signals) -> None:
        nonlocal stopping
        if stopping:
            _leave_at_once(number)
        stopping = True
        task.cancel()
        if on_stop:
            on_stop()

    loop = asyncio.get_running_loop()
    loop.set_default_executor(ThreadPoolExecutor(_THREADS, thread_name_prefix="beside"))
    for number in signals:
        loop.add_signal_handler(number, stop, number)
    try:
        await task
    except asyncio.CancelledError:
        if not stopping:
            raise
    finally:
        for number in signals:
            loop.remove_signal_handler(number)


def _leave_at_once(number: signal.Signals) -> None:
    if sys.stdout.isatty():  # a progress display hides the cursor
        sys.stdout.write(_SHOW_CURSOR)
        sys.stdout.flush()
    os._exit(128 + number)


def _refusal(exc: OSError, host: str, port: int, option: str) -> Rejected:
    if exc.errno == errno.EADDRINUSE:
        return Conflict(
            f"Port {port} of {host} is in use: stop the program that uses it, "
            f"or choose another one with {option}."
        )
    if exc.errno in (errno.EACCES, errno.EPERM):
        return Rejected(f"Port {port} may not be used by this user: choose one above 1023.")
    return InvalidInput(_no_address(host))


def _no_address(host: str) -> str:
    return (
        f"{host!r} is no address of this machine to listen on: "
        "give --host 127.0.0.1, or 0.0.0.0 for all of its addresses."
    )
