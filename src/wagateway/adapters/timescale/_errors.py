"""Driver errors turned into ours, once, by type."""

from collections.abc import Iterator
from contextlib import contextmanager

import psycopg
from psycopg import errors
from psycopg_pool import PoolClosed, PoolTimeout, TooManyRequests

from wagateway.domain.errors import Defect, StoreUnavailable, WagatewayError

_AWAY = (
    psycopg.OperationalError,  # cut connections, timeouts, disk full, shutdown, failover, deadlock
    psycopg.InterfaceError,  # the connection was closed under us
    errors.ReadOnlySqlTransaction,  # a standby that was not promoted yet
    PoolTimeout,
    PoolClosed,
    TooManyRequests,
    OSError,
)


@contextmanager
def translated_errors() -> Iterator[None]:
    """Let only our own errors out.

    Raises:
        StoreUnavailable: the database is away or gave up; repeating is safe.
        Defect: it refused what we asked, or a value cannot cross over at all, such as a lone
            surrogate, which the driver meets first.
    """
    try:
        yield
    except WagatewayError:
        raise
    except errors.ProgramLimitExceeded as exc:  # operational by its class, but no use repeating
        raise Defect(f"the database refused a statement: {_summary(exc)}") from exc
    except _AWAY as exc:
        raise StoreUnavailable(f"the database is unavailable: {_summary(exc)}") from exc
    except errors.UndefinedTable as exc:
        raise StoreUnavailable(
            "the database has no wagateway schema yet; run `wagateway migrate`"
        ) from exc
    except psycopg.Error as exc:
        raise Defect(f"the database refused a statement: {_summary(exc)}") from exc
    except Exception as exc:
        raise Defect(f"a value cannot cross over to the database: {type(exc).__name__}") from exc


def _summary(exc: Exception) -> str:
    """Return what may be shown: the kind of error and its code, never the values."""
    code = getattr(exc, "sqlstate", None)
    detail = "" if isinstance(exc, psycopg.DataError) else str(exc).split("\n", 1)[0][:200]
    return " ".join(part for part in (type(exc).__name__, code, detail) if part)
