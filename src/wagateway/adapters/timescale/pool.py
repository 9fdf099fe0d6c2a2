"""Connections to PostgreSQL, set up alike."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Self

import msgspec
import psycopg
import structlog
from msgspec import Struct
from psycopg import AsyncConnection
from psycopg.rows import DictRow, dict_row
from psycopg.types.json import set_json_dumps, set_json_loads
from psycopg_pool import AsyncConnectionPool
from typing_extensions import override

Connection = AsyncConnection[DictRow]
Pool = AsyncConnectionPool[Connection]

_TRIES_FOR_S = 4.0
"""How long one try for a connection is repeated, each time after twice as long. Then the next that
is asked of the pool begins from the first: else, after an outage of hours, hours might pass before
anybody notices that the database is back."""

_log: structlog.typing.FilteringBoundLogger = structlog.get_logger("wagateway.database")


class _Reachability:
    """Tells the log when no connection can be had, and why; and when there is one again.

    Once for each reason, however often a pool tries: it does so in the background, where the one
    who waits for a connection is never told what is wrong.
    """

    def __init__(self) -> None:
        self._reason: str | None = None

    def failed(self, reason: str) -> None:
        """Note that a connection was tried for in vain."""
        if reason != self._reason:
            _log.warning("database_unreachable", reason=reason)
        self._reason = reason

    def succeeded(self) -> None:
        """Note that there is a connection."""
        if self._reason is not None:
            _log.info("database_reached_again")
        self._reason = None

    def connection_class(self) -> type[Connection]:
        """Return a class of connections of which each attempt is noted here."""
        reachability = self

        class ObservedConnection(AsyncConnection[DictRow]):
            @override
            @classmethod
            async def connect(cls, conninfo: str = "", **kwargs: Any) -> Self:
                try:
                    conn = await super().connect(conninfo, **kwargs)
                except psycopg.Error as exc:
                    reachability.failed(str(exc).split("\n", 1)[0])
                    raise
                reachability.succeeded()
                return conn

        return ObservedConnection


async def _configure(conn: Connection) -> None:
    set_json_dumps(msgspec.json.encode, conn)
    set_json_loads(msgspec.json.decode, conn)


@asynccontextmanager
async def open_pool(
    url: str,
    *,
    min_size: int = 1,
    max_size: int = 10,
    timeout_s: float = 5.0,
    prepare_threshold: int | None = None,
) -> AsyncIterator[Pool]:
    """Open a pool; it fills and heals in the background, so that a start needs no database.

    While there is none, whoever asks for a connection lets it be tried for, every other second.

    Args:
        url: libpq URL or conninfo, direct or through PgBouncer in transaction mode.
        min_size: connections kept.
        max_size: connections at most.
        timeout_s: how long a caller waits for a connection before StoreUnavailable.
        prepare_threshold: uses of a statement before it is prepared; None never prepares, which
            PgBouncer before 1.22 needs.
    """
    pool: Pool = AsyncConnectionPool(
        url,
        connection_class=_Reachability().connection_class(),
        kwargs={
            "autocommit": True,
            "prepare_threshold": prepare_threshold,
            "row_factory": dict_row,
            "application_name": "wagateway",
            "connect_timeout": 5,
            "keepalives_idle": 30,
            "keepalives_interval": 10,  # with these a peer that vanished is noticed in a minute,
            "keepalives_count": 3,  # not when the system's own limits of many minutes are over
            "tcp_user_timeout": 60_000,
        },
        configure=_configure,
        min_size=min_size,
        max_size=max_size,
        timeout=timeout_s,
        reconnect_timeout=_TRIES_FOR_S,
        open=False,
    )
    async with pool:
        yield pool


class PoolUsage(Struct, frozen=True, kw_only=True):
    """How the connections of a pool are used.

    Attributes:
        in_use: lent to somebody, or being opened.
        idle: open, and free.
        most: how many there may be.
        waiting: callers that wait for one.
    """

    in_use: int
    idle: int
    most: int
    waiting: int


def usage_of(pool: Pool) -> PoolUsage:
    """Return how *pool* is used at this moment; nothing is asked of the server."""
    stats = pool.get_stats()
    idle = stats.get("pool_available", 0)
    return PoolUsage(
        in_use=max(0, stats.get("pool_size", 0) - idle),
        idle=idle,
        most=stats.get("pool_max", 0),
        waiting=stats.get("requests_waiting", 0),
    )
