"""Does the Redis answer, and does it keep what it is given?"""

import asyncio

from wagateway.adapters.redis.address import RedisServer
from wagateway.domain.errors import WagatewayError
from wagateway.entrypoints.findings import Finding, fail, ok, warn
from wagateway.entrypoints.redis_use import extra_redis, redis_server
from wagateway.entrypoints.settings import Settings

_HOP = "redis"
_PATIENCE_S = 10.0
_MEND = (
    "Check that the server runs, WHATSAPP_REDIS_URL or _HOST and _PORT, and the password. Nothing "
    "is lost meanwhile: what others commit is found by looking, a little later."
)
_UNTIL_THEN = "No delivery waits in it while the database is away, until you do this"


async def redis_finding(settings: Settings, *, patience_s: float = _PATIENCE_S) -> Finding | None:
    """Tell how the Redis is; None where none is used."""
    server = redis_server(settings)
    if server is None:
        return None
    try:
        async with asyncio.timeout(patience_s):
            return await _looked_at(server)
    except TimeoutError:
        return fail(_HOP, f"it does not answer within {patience_s:g} s", _MEND)
    except WagatewayError as exc:
        return fail(_HOP, str(exc), _MEND)


async def _looked_at(server: RedisServer) -> Finding:
    with extra_redis():
        from wagateway.adapters.redis.client import facts_of_server  # noqa: PLC0415 - an extra
    found = await facts_of_server(server)
    told = f"{found.name} {found.version}, "
    told += "with an append-only file" if found.append_only else "without an append-only file"
    told += f", {found.eviction} when its memory is full"
    if found.is_replica:
        return fail(_HOP, f"{told}; it is a replica, which takes no writes", "Name its primary.")
    if not found.writes:
        return fail(
            _HOP,
            f"{told}; it could not write to its disk",
            "Its log says why; it refuses writes until that is mended.",
        )
    if found.lacks:
        return warn(_HOP, told, f"{_UNTIL_THEN}: {'; '.join(found.lacks)}.")
    return ok(_HOP, told)
