"""What the database does for a message, by how many deliveries share a transaction."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import chain
from typing import Any

import psycopg

from harness import Findings, Scale, progress, scratch
from sizes import groups
from wagateway.adapters.embedded.server import EmbeddedPostgres
from wagateway.adapters.timescale.archive import TimescaleArchive
from wagateway.adapters.timescale.migrate import migrate
from wagateway.adapters.timescale.pool import Pool, open_pool
from wagateway.domain.events import Delivery

_DONE = """
SELECT
    pg_current_wal_insert_lsn() - '0/0'::pg_lsn AS wal_bytes,
    sum(n_tup_ins)::bigint AS inserted,
    sum(n_tup_upd)::bigint AS updated,
    sum(n_tup_hot_upd)::bigint AS hot,
    sum(n_tup_del)::bigint AS deleted,
    sum((n_tup_ins + n_tup_upd - n_tup_hot_upd) * (
        SELECT count(*) FROM pg_index AS i WHERE i.indrelid = t.relid
    ))::bigint AS index_entries,
    (SELECT count(*) FROM whatsapp_gateway.messages) AS messages
FROM pg_stat_user_tables AS t
WHERE schemaname = 'whatsapp_gateway'
"""


@dataclass(frozen=True, slots=True)
class Done:
    """What the server counted so far; index entries at most: partial indexes take fewer."""

    wal_bytes: int
    inserted: int
    updated: int
    hot: int
    deleted: int
    index_entries: int
    messages: int

    def __sub__(self, other: "Done") -> "Done":
        return Done(*(int(a) - int(b) for a, b in zip(_values(self), _values(other), strict=True)))


def _values(done: Done) -> tuple[int, ...]:
    return (
        *(done.wal_bytes, done.inserted, done.updated, done.hot, done.deleted),
        *(done.index_entries, done.messages),
    )


async def run(scale: Scale) -> Findings:
    """Record lifelike traffic in groups of each size, into an archive of its own."""
    rows = []
    for size in (1, 10, 100, 500):
        count = min(20_000, size * 400) // (10 if scale.quick else 1)
        progress(f"costs: groups of {size}")
        with scratch() as folder:
            async with EmbeddedPostgres.running(folder / "data") as database:
                rows.append(await _row(database.url, size, max(count, size)))
    findings = Findings()
    findings.table(
        (
            *("deliveries in a transaction", "statements", "WAL bytes", "rows inserted"),
            *("updated", "of these in place", "deleted", "index entries"),
        ),
        rows,
    )
    findings.lines.append(
        "Per message; statements are what the gateway sends, COPY counts once. Full pages after a"
        " checkpoint are part of the WAL.\n"
    )
    return findings


async def _row(url: str, size: int, count: int) -> tuple[str, ...]:
    await migrate(url)
    warm, told = _cut(size, count)
    async with open_pool(url, max_size=1, prepare_threshold=5) as pool:
        archive = TimescaleArchive(pool)
        await archive.record(warm)
        before = await _done(pool)
        with _counted() as sent:
            for group in told:
                await archive.record(group)
        after = await _done(pool)
    done = after - before
    return (
        str(size),
        f"{len(sent) / done.messages:.2f}",
        f"{done.wal_bytes / done.messages:,.0f}",
        f"{done.inserted / done.messages:.2f}",
        f"{done.updated / done.messages:.2f}",
        f"{done.hot / done.messages:.2f}",
        f"{done.deleted / done.messages:.2f}",
        f"{done.index_entries / done.messages:.1f}",
    )


def _cut(size: int, count: int) -> tuple[list[Delivery], list[list[Delivery]]]:
    """Return a thousand deliveries that begin the chats, and *count* others in groups."""
    all_ = list(chain.from_iterable(groups(1000 + count)))
    rest = all_[1000:]
    return all_[:1000], [rest[begin : begin + size] for begin in range(0, len(rest), size)]


async def _done(pool: Pool) -> Done:
    """Return what was done over the only connection of *pool*."""
    async with pool.connection() as conn:
        await conn.execute("SELECT pg_stat_force_next_flush()")
        row = await (await conn.execute(_DONE)).fetchone()
    assert row
    return Done(**{name: int(value) for name, value in row.items()})


@contextmanager
def _counted() -> Iterator[list[None]]:
    """Yield a list that grows with every statement that is sent."""
    sent: list[None] = []
    execute, copy = psycopg.AsyncCursor.execute, psycopg.AsyncCursor.copy

    async def counted(self: psycopg.AsyncCursor[Any], *args: Any, **kwargs: Any) -> Any:  # noqa: ANN401
        sent.append(None)
        return await execute(self, *args, **kwargs)

    def copied(self: psycopg.AsyncCursor[Any], *args: Any, **kwargs: Any) -> Any:  # noqa: ANN401
        sent.append(None)
        return copy(self, *args, **kwargs)

    psycopg.AsyncCursor.execute = counted  # type: ignore[method-assign]
    psycopg.AsyncCursor.copy = copied  # type: ignore[method-assign]
    try:
        yield sent
    finally:
        psycopg.AsyncCursor.execute = execute  # type: ignore[method-assign]
        psycopg.AsyncCursor.copy = copy  # type: ignore[method-assign]
