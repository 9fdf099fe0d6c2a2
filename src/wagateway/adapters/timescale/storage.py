"""How the archive's big tables are laid out: plain, or in TimescaleDB's chunks.

The migrations make ordinary tables, which every PostgreSQL has. Where TimescaleDB is there, perhaps
since later, messages and event_log become hypertables; in its full edition old chunks of messages
are compressed too, and the statistics are a continuous aggregate. Here is what is there, what is
wanted, and what is left to do between the two; arrange.py does it.

The log is not compressed: a batch of a thousand bodies may be larger than PostgreSQL can hold in
one value, and each body is packed by lz4 anyway.
"""

from collections.abc import Iterator, Sequence
from datetime import timedelta
from enum import StrEnum, auto

from msgspec import Struct

OLDEST_TIMESCALE = (2, 14)
"""The oldest TimescaleDB that we use: before, nobody could let a move unpack any number of rows."""
MESSAGES = "messages"
EVENT_LOG = "event_log"
STATISTICS = "messages_hourly_stats"

_CHUNKS = {MESSAGES: timedelta(days=90), EVENT_LOG: timedelta(days=30)}


class Edition(StrEnum):
    """What keeps the tables."""

    PLAIN = "plain"
    APACHE = "apache"
    """Hypertables, without compression and continuous aggregates."""
    FULL = "full"


class Extension(StrEnum):
    """Whether TimescaleDB can be used in a database."""

    ABSENT = auto()
    NOT_PRELOADED = auto()
    """The server has it, but does not name it in shared_preload_libraries."""
    NOT_CREATED = auto()
    """`CREATE EXTENSION` is all that is missing."""
    TOO_OLD = auto()
    PRESENT = auto()


class Table(Struct, frozen=True, kw_only=True):
    """One of the tables that can be a hypertable.

    Attributes:
        rows: an estimate, of a plain table; 0 for a hypertable.
        chunk: the time that a new chunk covers; None: a plain table.
        chunks: how many there are.
        compressible: whether compression is set up.
        compressed: how many chunks are compressed.
        compress_after: age at which chunks are compressed; None: never.
    """

    name: str
    rows: int = 0
    chunk: timedelta | None = None
    chunks: int = 0
    compressible: bool = False
    compressed: int = 0
    compress_after: timedelta | None = None


class Storage(Struct, frozen=True, kw_only=True):
    """How a database keeps the archive.

    Attributes:
        version: of TimescaleDB in this database; None: it is not there.
        tables: messages and event_log, as far as they exist.
        aggregate: whether the statistics are a continuous aggregate.
    """

    extension: Extension
    edition: Edition = Edition.PLAIN
    version: str | None = None
    tables: Sequence[Table] = ()
    aggregate: bool = False

    def table(self, name: str) -> Table | None:
        """Return a table by its name, None where it does not exist."""
        return next((table for table in self.tables if table.name == name), None)


class StoragePlan(Struct, frozen=True, kw_only=True):
    """How the archive shall be kept.

    Attributes:
        timescale: use TimescaleDB where it is; what was made by it stays in any case.
        chunk_days: what a new chunk covers; None: 90 days of messages, 30 of the log.
        compress_after_days: age at which messages are compressed, in the full edition; 0: never.
        most_rows: leave tables alone that have more, because moving them locks them for long, and
            nobody asked for it; None: move any number.
    """

    timescale: bool = True
    chunk_days: int | None = None
    compress_after_days: int = 90
    most_rows: int | None = None

    def chunk(self, table: str) -> timedelta:
        """Return the time that a new chunk of *table* shall cover."""
        return timedelta(days=self.chunk_days) if self.chunk_days else _CHUNKS[table]

    @property
    def compress_after(self) -> timedelta | None:
        """The age at which messages are compressed."""
        return timedelta(days=self.compress_after_days) if self.compress_after_days else None


class Act(StrEnum):
    """What can be left to do, in the order in which it is done; in words for the log."""

    CREATE_EXTENSION = "create the extension timescaledb"
    MAKE_HYPERTABLE = "make a hypertable of the table"
    SET_CHUNK = "set what a new chunk covers"
    ALLOW_COMPRESSION = "allow compression"
    SET_COMPRESSION = "set what is compressed"
    MAKE_AGGREGATE = "make a continuous aggregate of the statistics"


class Step(Struct, frozen=True):
    """Something that is left to do, to a table where it concerns one."""

    act: Act
    table: str = ""


def steps(found: Storage, plan: StoragePlan) -> Iterator[Step]:
    """Yield what is left to do until *found* is as *plan* wants it.

    What can only be done after a step is told once that step is done.
    """
    if not plan.timescale:
        return
    if found.extension is Extension.NOT_CREATED and found.tables:
        yield Step(Act.CREATE_EXTENSION)
    if found.edition is Edition.PLAIN:
        return
    for table in found.tables:
        if table.chunk is None:
            yield Step(Act.MAKE_HYPERTABLE, table.name)
        elif table.chunk != plan.chunk(table.name):
            yield Step(Act.SET_CHUNK, table.name)
    if found.edition is Edition.FULL:
        yield from _steps_of_full_edition(found, plan)


def _steps_of_full_edition(found: Storage, plan: StoragePlan) -> Iterator[Step]:
    messages = found.table(MESSAGES)
    if messages is None or messages.chunk is None:
        return
    if plan.compress_after and not messages.compressible:
        yield Step(Act.ALLOW_COMPRESSION, MESSAGES)
    elif plan.compress_after != messages.compress_after:
        yield Step(Act.SET_COMPRESSION, MESSAGES)
    if not found.aggregate:
        yield Step(Act.MAKE_AGGREGATE, STATISTICS)
