"""How the archive is kept, in words: plain tables, hypertables, compression, statistics."""

from collections.abc import Iterator

from wagateway.adapters.timescale.storage import (
    MESSAGES,
    OLDEST_TIMESCALE,
    Act,
    Edition,
    Extension,
    Step,
    Storage,
    StoragePlan,
    Table,
    steps,
)
from wagateway.entrypoints.findings import Finding, ok, warn

HOP = "storage"

_WITHOUT = {
    Extension.ABSENT: "the server has no TimescaleDB",
    Extension.NOT_PRELOADED: (
        "the server has TimescaleDB, but not in its shared_preload_libraries, which it needs"
    ),
    Extension.NOT_CREATED: "the server has TimescaleDB, this database has not",
    Extension.TOO_OLD: (
        f"is not used: it takes {OLDEST_TIMESCALE[0]}.{OLDEST_TIMESCALE[1]} or newer"
    ),
}
_OFF = "WHATSAPP_DB_TIMESCALE=off"


def storage_finding(found: Storage, plan: StoragePlan) -> Finding:
    """Return how the archive is kept, and what `wagateway migrate` would change."""
    told = "; ".join(_facts(found, plan))
    left = list(steps(found, plan))
    if not left:
        return ok(HOP, told)
    return warn(HOP, told, f"`wagateway migrate` would {_and(_intention(found, s) for s in left)}.")


def _facts(found: Storage, plan: StoragePlan) -> Iterator[str]:
    if found.extension is not Extension.PRESENT:
        yield "plain tables"
        version = f"TimescaleDB {found.version} " if found.version else ""
        yield version + _WITHOUT[found.extension]
    else:
        edition = "full" if found.edition is Edition.FULL else "Apache"
        yield f"TimescaleDB {found.version}, {edition} edition"
        yield from map(_table, found.tables)
        yield from _compression(found)
        yield f"the statistics are {'a continuous aggregate' if found.aggregate else 'a view'}"
        if found.edition is Edition.APACHE:
            yield "compression and continuous aggregates need the full edition"
    if not plan.timescale:
        yield f"{_OFF} leaves it so"


def _table(table: Table) -> str:
    if table.chunk is None:
        return f"{table.name} is a plain table"
    chunks = "1 chunk" if table.chunks == 1 else f"{table.chunks} chunks"
    return f"{table.name} in {chunks}, a new one for {table.chunk.days} days"


def _compression(found: Storage) -> Iterator[str]:
    messages = found.table(MESSAGES)
    if found.edition is not Edition.FULL or messages is None:
        return
    after = messages.compress_after
    policy = (
        f"messages are compressed after {after.days} days" if after else "nothing is compressed"
    )
    yield f"{policy}, {messages.compressed} chunks are so far"


def _intention(found: Storage, step: Step) -> str:
    table = found.table(step.table)
    match step.act:
        case Act.CREATE_EXTENSION:
            return "create the extension, if it may, and make hypertables"
        case Act.MAKE_HYPERTABLE:
            rows = f" ({table.rows:,} rows move, about, while it is locked)" if table else ""
            return f"make {step.table} a hypertable{rows}"
        case Act.SET_CHUNK:
            return f"set what a new chunk of {step.table} covers"
        case Act.ALLOW_COMPRESSION | Act.SET_COMPRESSION:
            return "set what is compressed"
        case Act.MAKE_AGGREGATE:
            return "make a continuous aggregate of the statistics"


def _and(parts: Iterator[str]) -> str:
    *first, last = parts
    return f"{', '.join(first)} and {last}" if first else last
