"""Deliveries that wait in a stream of Redis, whose append-only file is on its disk.

What is proven is one server's disk. A replica that takes over may lack the last entries.
"""

import asyncio
import re
from collections.abc import AsyncIterator, Collection, Sequence
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

from redis.asyncio import Redis
from typing_extensions import override

from wagateway.adapters.redis import _spool_lua as lua
from wagateway.adapters.redis._errors import translated_errors
from wagateway.adapters.redis.address import RedisServer
from wagateway.adapters.redis.client import Patience, facts_of, open_client
from wagateway.domain.errors import StoreUnavailable, WagatewayError
from wagateway.ports.spool import Spool, SpoolDepth, SpooledBody, SpoolEntry
from wagateway.ports.spool_form import FORM, newer_waits, pack, unpack

_PUT_WITHIN_S = 1.5
"""WAHA waits 8 seconds for an answer, and the database took six of them."""
_ANSWER_S = 0.25
"""Of these, for an answer to come over: a server may notice a tenth too late that time is up."""
_OTHERS_WITHIN_S = 5.0
_LEASE_S = 30.0
_ENOUGH_BYTES = 16 * 2**20
_MOVED_AT_ONCE = 20
_RELEASE_WITHIN_S = 0.5
_PROOF_KEPT_S = 60
_KEY = re.compile(r"[0-9]{1,20}-[0-9]{1,20}")
_NAME = re.compile(rb"[A-Za-z0-9.-]+")
"""What a spool of ours is called; others may have keys of such an end, too."""
_PATIENCE = Patience(connect_s=1.0, answer_s=_OTHERS_WITHIN_S, retries=1)


class RedisSpool(Spool):
    """Entries in a stream, in its order; one script each puts, takes and moves them."""

    def __init__(
        self,
        client: Redis,
        prefix: str,
        *,
        max_bytes: int,
        put_within_s: float = _PUT_WITHIN_S,
        lease_s: float = _LEASE_S,
    ) -> None:
        """Keep entries under *prefix*.

        Args:
            client: stays the caller's.
            prefix: how the names of the keys begin.
            max_bytes: of all that waits, about; more is refused.
            put_within_s: for put() in all, proof included.
            lease_s: how long who called oldest() has the spool to itself.
        """
        self._client = client
        self._keys = [f"{prefix}spool:{part}" for part in ("entries", "bytes", "aside", "holder")]
        self._proof = f"{prefix}spool:proof"
        self._max_bytes = max_bytes
        self._put_within_s = put_within_s
        self._lease_ms = int(lease_s * 1000)
        self._me = uuid4().hex

    @override
    async def prepare(self) -> None:
        await self._proven("trying the spool", "SET", self._proof, "1", "EX", _PROOF_KEPT_S)

    @override
    async def put(self, bodies: Sequence[SpooledBody]) -> None:
        packed = pack(bodies)
        args = (packed, len(packed), self._max_bytes)
        kept = await self._proven(
            "keeping a delivery", "EVAL", lua.PUT, len(self._keys), *self._keys, *args
        )
        if not kept:
            raise StoreUnavailable(
                f"the spool in Redis is full: it may hold {self._max_bytes:,} bytes"
            )

    async def _proven(self, doing: str, *command: bytes | str | int) -> Any:  # noqa: ANN401 - what the command answers
        """Return the answer to a *command* that writes, once that is on the server's disk."""
        until = asyncio.get_running_loop().time() + self._put_within_s
        with translated_errors(doing):
            async with asyncio.timeout_at(until):
                await self._require_durable()
                left_s = until - asyncio.get_running_loop().time() - _ANSWER_S
                # On one connection: WAITAOF waits for what its own connection wrote.
                both = self._client.pipeline(transaction=False)
                both.execute_command(*command)
                both.execute_command("WAITAOF", 1, 0, max(1, int(left_s * 1000)))
                answer, proof = await both.execute()
        if proof[0] < 1:
            raise StoreUnavailable(
                f"Redis did not say within {self._put_within_s:g} s that a delivery is on its disk"
            )
        return answer

    async def _require_durable(self) -> None:
        """Ask each time: who restarts a server with other settings tells nobody."""
        lacks = (await facts_of(self._client)).lacks
        if lacks:
            raise StoreUnavailable(f"Redis may lose what it is given: {'; '.join(lacks)}")

    @override
    async def oldest(self, *, limit: int, without: Collection[str] = ()) -> Sequence[SpoolEntry]:
        args = (self._me, self._lease_ms, limit, _ENOUGH_BYTES, FORM)
        rows, newer = await self._run("reading what waits", lua.OLDEST, *args, *without)
        if newer and not rows:
            raise newer_waits()
        return [_entry(key.decode(), packed) for key, packed in rows]

    @override
    async def release(self) -> None:
        await self._run("letting others in", lua.RELEASE, self._me)

    @override
    async def let_go(self, keys: Collection[str]) -> None:
        ours = [key for key in keys if _KEY.fullmatch(key)]
        if ours:
            await self._run("letting go", lua.LET_GO, self._me, self._lease_ms, *ours)

    @override
    async def set_aside(self, key: str) -> None:
        if _KEY.fullmatch(key):
            await self._run("setting aside", lua.SET_ASIDE, key)

    @override
    async def put_back(self) -> int:
        moved, most = 0, (await self.depth()).set_aside  # others may set some aside meanwhile
        while moved < most:
            now = await self._run("putting back", lua.PUT_BACK, min(_MOVED_AT_ONCE, most - moved))
            if not now:
                break
            moved += now
        return moved

    @override
    async def depth(self) -> SpoolDepth:
        entries, size_bytes, first, aside = await self._run("counting what waits", lua.DEPTH)
        return SpoolDepth(
            entries=entries,
            size_bytes=size_bytes,
            oldest_at=_kept_at(first.decode()) if first else None,
            set_aside=aside,
            max_bytes=self._max_bytes,
        )

    async def _run(self, doing: str, script: str, *args: bytes | str | float) -> Any:  # noqa: ANN401 - what the script returns
        """Return what *script* returns; *doing* says for errors what it is for."""
        with translated_errors(doing):
            async with asyncio.timeout(_OTHERS_WITHIN_S):
                return await self._client.execute_command(  # type: ignore[no-untyped-call]
                    "EVAL", script, len(self._keys), *self._keys, *args
                )


def _entry(key: str, packed: bytes) -> SpoolEntry:
    try:
        return SpoolEntry(key=key, bodies=unpack(packed))
    except ValueError as exc:
        return SpoolEntry(key=key, bodies=(), problem=str(exc))


def _kept_at(key: str) -> datetime:
    """Return when an entry came: its key begins with the server's time in milliseconds."""
    return datetime.fromtimestamp(int(key.partition("-")[0]) / 1000, tz=UTC)


async def names_of_spools(server: RedisServer) -> list[str]:
    """Return what stands between the prefix of *server* and the spools there.

    Raises:
        StoreUnavailable: it cannot be asked.
    """
    end = ":spool:entries"
    with translated_errors("looking for spools"):
        async with asyncio.timeout(_OTHERS_WITHIN_S), open_client(server) as client:
            pattern = f"{server.prefix}*{end}"
            keys = [key async for key in client.scan_iter(match=pattern, count=1000)]
            names = [key[len(server.prefix.encode()) : -len(end)] for key in keys]
            return [name.decode() for name in names if _NAME.fullmatch(name)]


@asynccontextmanager
async def open_redis_spool(server: RedisServer, *, max_bytes: int) -> AsyncIterator[RedisSpool]:
    """Open the spool that *server* keeps; nothing is asked yet.

    Args:
        server: must keep an append-only file, and evict nothing.
        max_bytes: of all that waits, about.

    Raises:
        InvalidInput: its address cannot be used.
    """
    async with open_client(server, patience=_PATIENCE) as client:
        spool = RedisSpool(client, server.prefix, max_bytes=max_bytes)
        try:
            yield spool
        finally:
            with suppress(WagatewayError, TimeoutError):
                async with asyncio.timeout(_RELEASE_WITHIN_S):
                    await spool.release()
