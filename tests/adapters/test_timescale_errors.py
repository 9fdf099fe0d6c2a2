"""Driver errors become ours: what to wait for, and what to park."""

import psycopg
import pytest
from psycopg import errors
from psycopg_pool import PoolClosed, PoolTimeout, TooManyRequests

from wagateway.adapters.timescale._errors import translated_errors
from wagateway.domain.errors import Conflict, Defect, NotFound, StoreUnavailable, WagatewayError

EVERY_DRIVER_ERROR = sorted(
    {
        found
        for module in (psycopg, errors)
        for found in vars(module).values()
        if isinstance(found, type) and issubclass(found, psycopg.Error)
    }
    | {PoolTimeout, PoolClosed, TooManyRequests},
    key=lambda found: found.__name__,
)

AWAY = [
    psycopg.OperationalError("server closed the connection unexpectedly"),
    psycopg.InterfaceError("the connection is closed"),
    errors.AdminShutdown("terminating connection due to administrator command"),
    errors.CrashShutdown(),
    errors.CannotConnectNow("the database system is starting up"),
    errors.DiskFull(),
    errors.OutOfMemory(),
    errors.TooManyConnections(),
    errors.QueryCanceled("canceling statement due to statement timeout"),
    errors.LockNotAvailable("canceling statement due to lock timeout"),
    errors.DeadlockDetected(),
    errors.SerializationFailure(),
    errors.ReadOnlySqlTransaction("cannot execute INSERT in a read-only transaction"),
    PoolTimeout("couldn't get a connection after 5.00 sec"),
    PoolClosed("the pool is closed"),
    TooManyRequests(),
    ConnectionRefusedError(),
    TimeoutError(),
]
REFUSED = [
    errors.NotNullViolation(),
    errors.UniqueViolation(),
    errors.CheckViolation(),
    errors.NumericValueOutOfRange(),
    errors.UndefinedColumn(),
    errors.InsufficientPrivilege(),
    errors.ProgramLimitExceeded("index row size 9016 exceeds btree version 4 maximum 2704"),
    psycopg.DataError("PostgreSQL text fields cannot contain NUL (0x00) bytes"),
    psycopg.ProgrammingError(),
    UnicodeEncodeError("utf-8", "\ud800", 0, 1, "surrogates not allowed"),
    OverflowError(),
    TypeError(),
]


def translated(error: Exception) -> WagatewayError:
    """Return what becomes of *error*."""
    with pytest.raises(WagatewayError) as caught, translated_errors():
        raise error
    return caught.value


@pytest.mark.parametrize("error", AWAY, ids=lambda error: type(error).__name__)
def test_what_passes_by_waiting_is_unavailable(error: Exception) -> None:
    found = translated(error)
    assert type(found) is StoreUnavailable
    assert found.__cause__ is error


@pytest.mark.parametrize("error", REFUSED, ids=lambda error: type(error).__name__)
def test_what_does_not_is_a_defect(error: Exception) -> None:
    found = translated(error)
    assert type(found) is Defect
    assert found.__cause__ is error


def test_every_driver_error_is_translated() -> None:
    assert len(EVERY_DRIVER_ERROR) > 200
    for kind in EVERY_DRIVER_ERROR:
        assert isinstance(translated(kind("?")), StoreUnavailable | Defect)


def test_a_missing_schema_says_what_to_do() -> None:
    found = translated(errors.UndefinedTable('relation "whatsapp_gateway.sessions" does not exist'))
    assert type(found) is StoreUnavailable
    assert "wagateway migrate" in str(found)


@pytest.mark.parametrize("error", [NotFound("no"), Conflict("no"), Defect("no")])
def test_our_own_errors_pass(error: WagatewayError) -> None:
    assert translated(error) is error


def test_values_never_show() -> None:
    secret = "5511987650102"
    for error in (
        errors.InvalidTextRepresentation(f'invalid input syntax for type integer: "{secret}"'),
        errors.UniqueViolation(f"duplicate key\nDETAIL: Key (chat_id)=({secret}) already exists."),
        ValueError(secret),
    ):
        assert secret not in str(translated(error))


def test_no_error_is_no_error() -> None:
    with translated_errors():
        pass
