"""Connections to a Redis or Valkey that hold up: few retries, deadlines, and a name."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from msgspec import Struct
from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import ExponentialWithJitterBackoff

from wagateway.adapters.redis.address import ADDRESS, RedisServer
from wagateway.domain.errors import InvalidInput


class Patience(Struct, frozen=True, kw_only=True):
    """How long a server is waited for.

    Attributes:
        connect_s: for a connection.
        answer_s: for an answer; a command that blocks must stay below it.
        retries: after a connection was cut, or a deadline passed.
        first_wait_s: before the first retry; the waits double, with jitter.
        idle_s: after which a connection is tried before it is used.
    """

    connect_s: float = 2.0
    answer_s: float = 5.0
    retries: int = 2
    first_wait_s: float = 0.05
    idle_s: int = 30


USUAL = Patience()
_LONGEST_WAIT_S = 0.5


@asynccontextmanager
async def open_client(server: RedisServer, *, patience: Patience = USUAL) -> AsyncIterator[Redis]:
    """Open connections to *server*, the first of them when it is needed.

    Raises:
        InvalidInput: its address cannot be used.
    """
    waits = ExponentialWithJitterBackoff(base=patience.first_wait_s, cap=_LONGEST_WAIT_S)
    try:
        # Retries are said in any case: made from a URL, a client has none by itself.
        client: Redis = Redis.from_url(
            server.url,
            password=server.password,
            retry=Retry(waits, patience.retries),
            health_check_interval=patience.idle_s,
            socket_connect_timeout=patience.connect_s,
            socket_timeout=patience.answer_s,
            client_name="wagateway",
        )
    except ValueError as exc:
        raise InvalidInput(f"not the address of a Redis; accepted is {ADDRESS}") from exc
    try:
        yield client
    finally:
        await client.aclose()
