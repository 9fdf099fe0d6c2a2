"""One pace for all processes that ask a server; each keeps its own while Redis is away."""

import asyncio
import hashlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from redis.asyncio import Redis
from typing_extensions import override

from wagateway.adapters.redis._errors import translated_errors
from wagateway.adapters.redis.address import RedisServer
from wagateway.adapters.redis.client import Patience, open_client
from wagateway.domain.errors import WagatewayError
from wagateway.ports.turnstile import Pace, Turnstile, resting

_ANSWER_S = 0.5
"""A request of the engine must not wait for Redis."""
_AGAIN_S = 5.0
"""After Redis could not be asked; until then nobody waits for it."""
_PATIENCE = Patience(connect_s=_ANSWER_S, answer_s=_ANSWER_S, retries=1, first_wait_s=0.01)
_MICROSECONDS = 1_000_000
_GO, _RESTS = 0, 2

# Times are the server's, in microseconds, and written out: Lua shortens large numbers. What lies in
# the future was written before its clock was set back, and is not believed.

_WAIT = """#!lua
-- KEYS: when requests passed in the last second, a list; the failures, a hash.
-- ARGV: how many may pass in a second; how long a rest is. Returns what to do, and for how long.
local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
local left = tonumber(redis.call('HGET', KEYS[2], 'until') or '0') - now
if left > 0 and left <= tonumber(ARGV[2]) then return {2, left} end
if tonumber(redis.call('LINDEX', KEYS[1], -1) or '0') > now then redis.call('DEL', KEYS[1]) end
local first = tonumber(redis.call('LINDEX', KEYS[1], 0))
while first and first <= now - 1000000 do
  redis.call('LPOP', KEYS[1])
  first = tonumber(redis.call('LINDEX', KEYS[1], 0))
end
if redis.call('LLEN', KEYS[1]) >= tonumber(ARGV[1]) then return {1, first + 1000000 - now} end
redis.call('RPUSH', KEYS[1], string.format('%.0f', now))
redis.call('PEXPIRE', KEYS[1], 2000)
return {0, 0}
"""

_ANSWERED = """#!lua
-- KEYS: as above.
redis.call('DEL', KEYS[2])
"""

_FAILED = """#!lua
-- KEYS: as above. ARGV: how many failures let it rest; how long a rest is.
local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
local count = redis.call('HINCRBY', KEYS[2], 'count', 1)
local left = tonumber(redis.call('HGET', KEYS[2], 'until') or '0') - now
local rests = left > 0 and left <= tonumber(ARGV[2])
if count >= tonumber(ARGV[1]) and not rests then
  redis.call('HSET', KEYS[2], 'until', string.format('%.0f', now + ARGV[2]))
end
redis.call('PEXPIRE', KEYS[2], 3600000)
"""


class RedisTurnstile(Turnstile):
    """Counts what passes in all processes; the same is told to one of this process alone."""

    def __init__(self, client: Redis, prefix: str, pace: Pace, *, alone: Turnstile) -> None:
        """Keep *pace*.

        Args:
            client: stays the caller's.
            prefix: how the names of the keys begin; all who ask one server share it.
            pace: the same for all who share it.
            alone: what is asked while Redis is away.
        """
        self._client = client
        self._keys = [f"{prefix}:passed", f"{prefix}:failures"]
        self._pace = pace
        self._rest = int(pace.rest_s * _MICROSECONDS)
        self._alone = alone
        self._away_until = float("-inf")

    @override
    async def wait(self) -> None:
        while (answer := await self._run(_WAIT, self._pace.per_second, self._rest)) is not None:
            verdict, left = answer
            if verdict == _GO:
                return
            if verdict == _RESTS:
                raise resting(left / _MICROSECONDS)
            await asyncio.sleep(left / _MICROSECONDS)
        await self._alone.wait()

    @override
    async def answered(self) -> None:
        await self._alone.answered()
        await self._run(_ANSWERED)

    @override
    async def failed(self) -> None:
        await self._alone.failed()
        await self._run(_FAILED, self._pace.failures, self._rest)

    async def _run(self, script: str, *args: int) -> Any:  # noqa: ANN401 - what the script returns
        """Return what *script* returns; None while Redis is away."""
        now = asyncio.get_running_loop().time()
        if now < self._away_until:
            return None
        try:
            with translated_errors("keeping pace with other processes"):
                async with asyncio.timeout(_ANSWER_S):
                    return await self._client.execute_command(  # type: ignore[no-untyped-call]
                        "EVAL", script, len(self._keys), *self._keys, *args
                    )
        except WagatewayError:  # who shares wake-ups says so
            self._away_until = now + _AGAIN_S
            return None


@asynccontextmanager
async def open_turnstile(
    server: RedisServer, engine_url: str, pace: Pace, *, alone: Turnstile
) -> AsyncIterator[RedisTurnstile]:
    """Open the turnstile of an engine, which all processes share that use *server*.

    Args:
        server: may be away, for ever.
        engine_url: all who name the engine so share one pace.
        pace: the same in all processes.
        alone: what is asked while *server* is away.

    Raises:
        InvalidInput: the server's address cannot be used.
    """
    name = hashlib.sha256(engine_url.rstrip("/").encode()).hexdigest()[:16]
    async with open_client(server, patience=_PATIENCE) as client:
        yield RedisTurnstile(client, f"{server.prefix}engine:{name}", pace, alone=alone)
