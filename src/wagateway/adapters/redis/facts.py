"""What a server says of itself: which it is, and whether it keeps what it is given.

Needs nothing of the extra ``redis``.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from msgspec import Struct

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
        syncs: it has the disk keep each write of that file before it answers; False where it does
            not say. Some versions claim so with ``everysec``, up to a second too early.
        writes: that file's last write, and the last snapshot, went well.
        eviction: what it does when its memory is full, e.g. ``noeviction``.
        limit_bytes: of its memory; 0: none.
        is_replica: it takes no writes.
    """

    name: str
    version: str
    proves: bool
    append_only: bool
    syncs: bool
    writes: bool
    eviction: str
    limit_bytes: int
    is_replica: bool

    @property
    def lacks(self) -> list[str]:
        """What to change, and why, before anything may be lost with it; empty: nothing."""
        return list(self._lacks())

    def _lacks(self) -> Iterator[str]:
        if not self.proves:
            yield "take Redis 7.2 or Valkey, since this one cannot say that a write is on its disk"
        if not self.append_only:
            yield "set appendonly yes, since a restart loses what it was given otherwise"
        elif not self.syncs:
            yield "set appendfsync always, since it may say too early otherwise that it kept one"
        if self.eviction.startswith("allkeys"):
            yield (
                "set maxmemory-policy noeviction, since it drops what it was given otherwise when "
                "its memory is full"
            )


def facts_from(info: Mapping[str, Any]) -> Facts:
    """Return the facts in what INFO tells, and CONFIG GET where it may be asked."""
    is_valkey = "valkey_version" in info
    version = str(info.get("valkey_version") or info.get("redis_version") or "unknown")
    return Facts(
        name="Valkey" if is_valkey else "Redis",
        version=version,
        proves=is_valkey or _numbers(version) >= _OLDEST_PROOF,
        append_only=info.get("aof_enabled") == 1,
        syncs=info.get("appendfsync") == "always",
        writes="err" not in (info.get("aof_last_write_status"), info.get("rdb_last_bgsave_status")),
        eviction=str(info.get("maxmemory_policy", "noeviction")),
        limit_bytes=int(info.get("maxmemory", 0)),
        is_replica=info.get("role", "master") != "master",
    )


def _numbers(version: str) -> tuple[int, ...]:
    parts = version.split(".")[:_VERSION_PARTS]
    return tuple(int(part) if part.isdigit() else 0 for part in parts)
