"""What a server says of itself: which it is, and whether it keeps what it is given."""

from collections.abc import Mapping
from typing import Any

from msgspec import Struct
from redis.asyncio import Redis

from wagateway.adapters.redis._errors import translated_errors
from wagateway.adapters.redis.address import RedisServer
from wagateway.adapters.redis.client import open_client

_VERSION_PARTS = 2
_OLDEST_PROOF = (7, 2)
"""The first Redis with WAITAOF; every Valkey has it. Source: Redis docs, WAITAOF."""


class Facts(Struct, frozen=True, kw_only=True):
    """A server's account of itself.

    Attributes:
        name: ``Redis`` or ``Valkey``.
        version: e.g. ``9.1.2``.
        proves: it can say that a write is on its disk.
        append_only: it writes an append-only file.
        writes: that file's last write, and the last snapshot, went well.
        eviction: what it does when its memory is full, e.g. ``noeviction``.
        limit_bytes: of its memory; 0: none.
        is_replica: it takes no writes.
    """

    name: str
    version: str
    proves: bool
    append_only: bool
    writes: bool
    eviction: str
    limit_bytes: int
    is_replica: bool

    @property
    def evicts(self) -> bool:
        """Whether it may drop keys of ours that have no time to live."""
        return self.eviction.startswith("allkeys")


async def facts_of(client: Redis) -> Facts:
    """Ask a server for its facts.

    Raises:
        StoreUnavailable: it cannot be asked.
    """
    with translated_errors("asking Redis how it is"):
        # Sections one by one: to name several at once takes Redis 7.
        told: dict[str, Any] = {}
        for section in ("server", "persistence", "memory", "replication"):
            told |= await client.info(section)
    return _facts(told)


async def facts_of_server(server: RedisServer) -> Facts:
    """Ask *server* for its facts, over a connection of its own.

    Raises:
        StoreUnavailable: it cannot be asked.
    """
    async with open_client(server) as client:
        return await facts_of(client)


def _facts(told: Mapping[str, Any]) -> Facts:
    is_valkey = "valkey_version" in told
    version = str(told.get("valkey_version") or told.get("redis_version") or "unknown")
    return Facts(
        name="Valkey" if is_valkey else "Redis",
        version=version,
        proves=is_valkey or _numbers(version) >= _OLDEST_PROOF,
        append_only=told.get("aof_enabled") == 1,
        writes="err" not in (told.get("aof_last_write_status"), told.get("rdb_last_bgsave_status")),
        eviction=str(told.get("maxmemory_policy", "noeviction")),
        limit_bytes=int(told.get("maxmemory", 0)),
        is_replica=told.get("role", "master") != "master",
    )


def _numbers(version: str) -> tuple[int, ...]:
    parts = version.split(".")[:_VERSION_PARTS]
    return tuple(int(part) if part.isdigit() else 0 for part in parts)
