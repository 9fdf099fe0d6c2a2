"""Whether a Redis is used, which, and what it takes."""

from collections.abc import Iterator
from contextlib import contextmanager

from wagateway.adapters.redis.address import RedisServer
from wagateway.domain.errors import Rejected
from wagateway.entrypoints.settings import Settings


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
