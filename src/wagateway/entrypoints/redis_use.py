"""Whether a Redis is used, which, and what it takes."""

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field

import structlog

from wagateway.adapters.memory.feed import InProcessWakeUp
from wagateway.adapters.redis.address import RedisServer
from wagateway.adapters.waha.turnstile import LocalTurnstile
from wagateway.domain.errors import Rejected
from wagateway.entrypoints.settings import Settings
from wagateway.ports.feed import WakeUp
from wagateway.ports.turnstile import Pace, Turnstile

_log: structlog.typing.FilteringBoundLogger = structlog.get_logger("wagateway.redis")


@dataclass(frozen=True, slots=True, kw_only=True)
class WakeUps:
    """Who is woken; each has one waiter in a process.

    Attributes:
        feed: who follows the archive.
        files: the worker that fetches files.
        sync: the worker that reads from the engine.
    """

    feed: WakeUp = field(default_factory=InProcessWakeUp)
    files: WakeUp = field(default_factory=InProcessWakeUp)
    sync: WakeUp = field(default_factory=InProcessWakeUp)

    def committed(self) -> None:
        """Wake whom a commit to the archive concerns."""
        self.feed.wake()
        self.files.wake()


def redis_server(settings: Settings) -> RedisServer | None:
    """Return which Redis is used; None where there is none, or nothing to share."""
    if not settings.redis_enabled or settings.backend == "memory":
        return None
    return RedisServer(url=settings.redis_address, password=settings.redis_password)


@contextmanager
def extra_redis() -> Iterator[None]:
    """Say what is missing where an import of the extra ``redis`` fails.

    Raises:
        Rejected: the extra is not installed.
    """
    try:
        yield
    except ModuleNotFoundError as exc:
        raise Rejected(
            "WHATSAPP_REDIS_ENABLED=true needs the client of Redis: pip install 'wagateway[redis]'"
        ) from exc


def log_redis_trouble(problem: str | None) -> None:
    """Log that Redis is not used, or that it is again."""
    if problem is None:
        _log.info("redis_goes_on")
    else:
        _log.warning("redis_is_away", reason=problem)


@asynccontextmanager
async def open_wake_ups(settings: Settings) -> AsyncIterator[WakeUps]:
    """Yield wake-ups that reach all processes where a Redis is used, else this one.

    Raises:
        Rejected: the extra ``redis`` is needed, and not installed.
    """
    server = redis_server(settings)
    if server is None:
        yield WakeUps()
        return
    with extra_redis():
        from wagateway.adapters.redis.wake_up import open_broadcast  # noqa: PLC0415 - an extra
    subjects = ("feed", "files", "sync")
    async with open_broadcast(server, subjects, troubled=log_redis_trouble) as broadcast:
        yield WakeUps(**{each: broadcast.about(each) for each in subjects})


@asynccontextmanager
async def open_turnstile(
    settings: Settings, engine_url: str, pace: Pace
) -> AsyncIterator[Turnstile | None]:
    """Yield what all processes pass that ask an engine; None where no Redis is used.

    Raises:
        Rejected: the extra ``redis`` is needed, and not installed.
    """
    server = redis_server(settings)
    if server is None:
        yield None
        return
    with extra_redis():
        from wagateway.adapters.redis.turnstile import open_turnstile as opened  # noqa: PLC0415
    async with opened(server, engine_url, pace, alone=LocalTurnstile(pace)) as turnstile:
        yield turnstile
