"""Connections to a Redis or Valkey that hold up: few retries, deadlines, and a name."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from msgspec import Struct
from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import ExponentialWithJitterBackoff

from wagateway.adapters.redis._errors import translated_errors
from wagateway.adapters.redis.address import ADDRESS, RedisServer
from wagateway.adapters.redis.facts import Facts, facts_from
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


async def facts_of(client: Redis) -> Facts:
    """Ask a server for its facts.

    Raises:
        StoreUnavailable: it cannot be asked.
    """
    asked = client.pipeline(transaction=False)
    for section in ("server", "persistence", "memory", "replication"):
        asked.info(section)
    asked.config_get("appendfsync")
    with translated_errors("asking Redis how it is"):
        *sections, config = await asked.execute(raise_on_error=False)
        for section in sections:
            if isinstance(section, Exception):
                raise section
    info: dict[str, Any] = {name: value for each in sections for name, value in each.items()}
    info |= config if isinstance(config, dict) else {}  # not all users may ask that
    return facts_from(info)


async def facts_of_server(server: RedisServer) -> Facts:
    """Ask *server* for its facts, over a connection of its own.

    Raises:
        StoreUnavailable: it cannot be asked.
    """
    async with open_client(server) as client:
        return await facts_of(client)
