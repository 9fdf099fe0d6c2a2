"""What the client and the server say, turned into errors of ours, once, by type."""

import re
from collections.abc import Iterator
from contextlib import contextmanager

from redis.exceptions import (
    AuthenticationError,
    NoPermissionError,
    OutOfMemoryError,
    RedisError,
    ResponseError,
)

from wagateway.domain.errors import Defect, StoreUnavailable, WagatewayError

_CODE = re.compile(r"[A-Z][A-Z0-9]{1,31}(?= )")


@contextmanager
def translated_errors(doing: str) -> Iterator[None]:
    """Let only our own errors out; no text quotes the server, which quotes what it was given.

    Args:
        doing: what is being done, for the messages: "… failed".

    Raises:
        StoreUnavailable: anything that the server or the network did; repeating is safe. Also that
            it refuses what we ask: it is full, a replica, older or set up otherwise.
        Defect: our code is wrong.
    """
    try:
        yield
    except WagatewayError:
        raise
    except AuthenticationError as exc:
        raise _away(doing, "its password is not ours: check WHATSAPP_REDIS_PASSWORD") from exc
    except NoPermissionError as exc:
        raise _away(doing, "its user may not do that (NOPERM)") from exc
    except OutOfMemoryError as exc:
        raise _away(doing, "its memory is full (OOM)") from exc
    except ResponseError as exc:
        raise _away(doing, f"it refuses ({_code(exc)})") from exc
    except (RedisError, OSError) as exc:  # TimeoutError is an OSError
        raise _away(doing, f"it cannot be reached ({type(exc).__name__})") from exc
    except Exception as exc:
        raise Defect(f"{doing} failed unexpectedly: {type(exc).__name__}") from exc


def _away(doing: str, why: str) -> StoreUnavailable:
    return StoreUnavailable(f"{doing} failed, Redis is unavailable: {why}")


def _code(exc: ResponseError) -> str:
    """Return the server's code, such as MISCONF or READONLY; the client cuts some off."""
    found = _CODE.match(str(exc))
    return found[0] if found else type(exc).__name__
