"""The named statements of the .sql files, alone and several as one."""

import functools
import re
from collections.abc import Mapping
from importlib import resources

LONGEST = 4096
"""Bytes up to which psycopg keeps a statement that it has read."""
_NAME = re.compile(r"^-- name: (\w+)\n", re.MULTILINE)
_COMMENT = re.compile(rb"^--.*\n", re.MULTILINE)


def _load(*names: str) -> Mapping[str, bytes]:
    found: dict[str, bytes] = {}
    for file in names:
        text = resources.files(__package__).joinpath(file).read_text(encoding="utf-8")
        _, *parts = _NAME.split(text)
        named = zip(parts[::2], parts[1::2], strict=True)
        found |= {name: sql.strip().encode() for name, sql in named}
    return found


QUERIES: Mapping[str, bytes] = _load(
    "queries.sql",
    "sync.sql",
    "downloads.sql",
    "purges.sql",
    "feed.sql",
    "figures.sql",
    "copies.sql",
)
"""SQL by name, with ``%(named)s`` values."""
STORAGE_QUERIES: Mapping[str, bytes] = _load("storage.sql")
"""Likewise, what lays out the tables; most of it is there only where TimescaleDB is."""

# A statement more costs more than what it does, on both sides: a delivery alone touches some ten
# tables, with a row or none in each. So what one moment needs goes as one statement. Which tables
# these are depends on the delivery, and joined they are few enough to be prepared.


@functools.cache
def loading(names: tuple[str, ...]) -> bytes:
    """Return one query for one row: what each of the named queries returns, a JSON array or null.

    The rows that it asks for are the value of its own name, ``%(load_chats)s``.
    """
    return b"SELECT " + b", ".join(
        b"(SELECT json_agg(r) FROM (%s) AS r)::text AS %s" % (_part(name), name.encode())
        for name in names
    )


@functools.cache
def doing(names: tuple[str, ...]) -> tuple[bytes, ...]:
    """Return statements, as few as possible, that do what all the named ones do, in no order.

    The rows of each are the value of its own name, ``%(save_chats)s``. psycopg reads a longer
    statement than LONGEST anew each time, which costs more than a second one.
    """
    done: list[bytes] = []
    for name in names:
        part = b"%s AS (%s)" % (name.encode(), _part(name))
        if done and len(done[-1]) + len(part) < LONGEST - len(b"WITH ,  SELECT"):
            done[-1] += b", " + part
        else:
            done.append(part)
    if len(names) == 1:
        return (_part(names[0]),)
    return tuple(b"WITH " + parts + b" SELECT" for parts in done)


def _part(name: str) -> bytes:
    sql = (
        _COMMENT.sub(b"", QUERIES[name])
        .rstrip(b";")
        .replace(b"%(rows)s", b"%%(%s)s" % name.encode())
    )
    return b" ".join(sql.split())
