"""Driver errors become ours: what to wait for, and what to park."""

import re

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
    errors.UndefinedFunction(),
    errors.ProgramLimitExceeded("index row size 9016 exceeds btree version 4 maximum 2704"),
    psycopg.DataError("PostgreSQL text fields cannot contain NUL (0x00) bytes"),
    psycopg.ProgrammingError(),
    UnicodeEncodeError("utf-8", "\ud800", 0, 1, "surrogates not allowed"),
    OverflowError(),
    TypeError(),
    KeyError("ours"),
]
NOT_SET_UP = [
    (errors.UndefinedTable('relation "whatsapp_gateway.sessions" does not exist'), "migrate"),
    (errors.UndefinedColumn('column "seen_as" does not exist'), "migrate"),
    (errors.UndefinedObject('type "whatsapp_gateway.ack" does not exist'), "migrate"),
    (errors.InvalidSchemaName('schema "whatsapp_gateway" does not exist'), "migrate"),
    (errors.InsufficientPrivilege("permission denied for table event_log"), "event_log.* grant"),
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


@pytest.mark.parametrize(("error", "todo"), NOT_SET_UP, ids=lambda it: type(it).__name__)
def test_what_concerns_the_whole_database_says_what_to_do(error: Exception, todo: str) -> None:
    found = translated(error)
    assert type(found) is StoreUnavailable
    assert re.search(todo, str(found))


def test_a_mistake_of_ours_is_not_blamed_on_a_value() -> None:
    assert str(translated(KeyError("5511987650102"))) == "a statement failed unexpectedly: KeyError"
    assert "cannot cross over" in str(translated(UnicodeEncodeError("utf-8", "x", 0, 1, "no")))


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
