"""The role and the database that wagateway uses on its embedded server."""

from pathlib import Path
from typing import Any, LiteralString
from urllib.parse import quote

import psycopg
from psycopg import sql

from wagateway.adapters.embedded.cluster import OWNER, SUPERUSER
from wagateway.adapters.embedded.folder import socket_folder
from wagateway.domain.errors import StoreUnavailable

DATABASE = "wagateway"


def connection_url(
    runtime: Path, port: int, password: str, *, role: str = OWNER, database: str = DATABASE
) -> str:
    """Return the libpq URL of *database* behind the socket in *runtime*."""
    host = quote(str(socket_folder(runtime)), safe="")
    return f"postgresql://{role}:{password}@/{database}?host={host}&port={port}"


async def ensure_database(runtime: Path, port: int, password: str) -> None:
    """Make the role and the database where they are absent.

    Raises:
        StoreUnavailable: the server does not let its superuser in.
    """
    url = connection_url(runtime, port, password, role=SUPERUSER, database=SUPERUSER)
    try:
        conn = await psycopg.AsyncConnection.connect(url, autocommit=True, prepare_threshold=None)
        async with conn:
            await _ensure_owner(conn, password)
            await _ensure_database(conn)
    except psycopg.Error as exc:
        reason = str(exc).split("\n", 1)[0]
        raise StoreUnavailable(
            f"The embedded PostgreSQL does not let its owner in: {reason}\n"
            "Was its password file put back from another folder? Stop, move the file "
            "postgres.password out of the data folder, and start again: a new one is made."
        ) from exc


async def _ensure_owner(conn: psycopg.AsyncConnection[tuple[Any, ...]], password: str) -> None:
    # No superuser, so that no statement of ours can reach files or programs.
    if await _has(conn, "SELECT 1 FROM pg_roles WHERE rolname = %s", OWNER):
        return
    secret = conn.pgconn.encrypt_password(password.encode(), OWNER.encode(), b"scram-sha-256")
    await conn.execute(
        sql.SQL("CREATE ROLE {} LOGIN CREATEDB PASSWORD {}").format(
            sql.Identifier(OWNER), sql.Literal(secret.decode())
        )
    )


async def _ensure_database(conn: psycopg.AsyncConnection[tuple[Any, ...]]) -> None:
    if await _has(conn, "SELECT 1 FROM pg_database WHERE datname = %s", DATABASE):
        return
    await conn.execute(
        sql.SQL("CREATE DATABASE {} OWNER {}").format(
            sql.Identifier(DATABASE), sql.Identifier(OWNER)
        )
    )


async def _has(
    conn: psycopg.AsyncConnection[tuple[Any, ...]], query: LiteralString, name: str
) -> bool:
    return await (await conn.execute(query, [name])).fetchone() is not None
