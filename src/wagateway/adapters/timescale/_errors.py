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
_OTHER_SCHEMA = (
    errors.UndefinedTable,
    errors.UndefinedColumn,
    errors.UndefinedObject,
    errors.InvalidSchemaName,
)
_UNSENDABLE = (ValueError, TypeError, OverflowError)
"""What the driver raises for a value that it cannot send, such as a lone surrogate."""


@contextmanager
def translated_errors(doing: str = "a statement") -> Iterator[None]:
    """Let only our own errors out.

    What concerns the whole database, not just what was asked of it, is never a Defect: no
    delivery may count as refused because somebody forgot a GRANT or a migration.

    Args:
        doing: what is being done, for the messages: "… failed".

    Raises:
        StoreUnavailable: the database is away, gave up, or is not set up for us; repeating is safe.
        Defect: it refused what we asked, a value cannot cross over at all, or our code is wrong.
    """
    try:
        yield
    except WagatewayError:
        raise
    except errors.ProgramLimitExceeded as exc:  # operational by its class, but no use repeating
        raise Defect(_refused(doing, exc)) from exc
    except _AWAY as exc:
        raise StoreUnavailable(
            f"{doing} failed, the database is unavailable: {_summary(exc)}"
        ) from exc
    except errors.InsufficientPrivilege as exc:
        raise StoreUnavailable(
            f"{doing} failed, the database role may not do it ({_summary(exc)}): connect as the "
            "owner of the schema whatsapp_gateway, or grant what is missing"
        ) from exc
    except _OTHER_SCHEMA as exc:
        raise StoreUnavailable(
            f"{doing} failed, the database lacks the schema of this wagateway ({_summary(exc)}): "
            "run `wagateway migrate`"
        ) from exc
    except psycopg.Error as exc:
        raise Defect(_refused(doing, exc)) from exc
    except _UNSENDABLE as exc:
        raise Defect(f"a value cannot cross over to the database: {type(exc).__name__}") from exc
    except Exception as exc:
        raise Defect(f"{doing} failed unexpectedly: {type(exc).__name__}") from exc


def _refused(doing: str, exc: Exception) -> str:
    return f"{doing} failed, the database refused it: {_summary(exc)}"


def _summary(exc: Exception) -> str:
    """Return what may be shown: the kind of error and its code, never the values."""
    code = getattr(exc, "sqlstate", None)
    detail = "" if isinstance(exc, psycopg.DataError) else str(exc).split("\n", 1)[0][:200]
    return " ".join(part for part in (type(exc).__name__, code, detail) if part)
