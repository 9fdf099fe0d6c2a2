"""The archive as rows of tables: read as of one instant, and put back into an empty one."""

from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Sequence
from contextlib import AbstractAsyncContextManager

from msgspec import Struct

from wagateway.domain.backups import Counter, SchemaStep, Source, TableCopy


class Table(Struct, frozen=True, kw_only=True):
    """A table with the columns that are copied."""

    name: str
    columns: tuple[str, ...]


class StoredObject(Struct, frozen=True, kw_only=True):
    """An attached file that the archive has stored."""

    sha256: str
    size_bytes: int
    mimetype: str
    has_thumbnail: bool


class Rows(ABC):
    """Tables whose rows can be read, all in one transaction."""

    @abstractmethod
    def read(self, table: Table) -> AsyncIterator[bytes]:
        """Yield all rows in PostgreSQL's text format, in no order and in constant memory.

        A row is a line, and two databases tell the same row by the same line. A piece ends where a
        row does.
        """


class TableSnapshot(Rows):
    """All of an archive as it was at one instant, whatever is written meanwhile.

    Attributes:
        source: of which database.
        tables: what is copied; what is not can be made from it.
        counters: of its identity columns; none where nothing was given out yet.
    """

    source: Source
    tables: tuple[Table, ...]
    counters: tuple[Counter, ...]

    @abstractmethod
    def stored(self) -> AsyncIterator[StoredObject]:
        """Yield the attached files that are stored, by ascending hash."""


class TableSource(ABC):
    """A database that is copied. Any method may raise StoreUnavailable."""

    @abstractmethod
    def snapshot(self) -> AbstractAsyncContextManager[TableSnapshot]:
        """Open a snapshot; nobody who reads or writes waits for it.

        Raises:
            Conflict: there is no archive, or its schema is not this version's.
        """


class TableLoad(Rows):
    """An archive being filled, seen by nobody until it ends."""

    @abstractmethod
    async def load(self, table: TableCopy, rows: AsyncIterator[bytes]) -> int:
        """Write the rows of a table, and return how many there were.

        Raises:
            Rejected: they are not the rows of that table.
        """

    @abstractmethod
    async def settle(self, counters: Sequence[Counter]) -> None:
        """Make what is not copied from what was, and let identity columns go on behind it."""


class TableTarget(ABC):
    """A database that an archive is put back into. Any method may raise StoreUnavailable."""

    @abstractmethod
    async def prepare(self, schema: Sequence[SchemaStep]) -> None:
        """Bring an empty database to the schema that a backup had.

        Raises:
            Conflict: the backup's schema is newer than this wagateway or none that it knows, the
                database has another one, or it holds an archive.
        """

    @abstractmethod
    async def require_empty(self, tables: Sequence[TableCopy]) -> None:
        """Return when a load of *tables* could begin; errors are those of `loading`."""

    @abstractmethod
    def loading(self, tables: Sequence[TableCopy]) -> AbstractAsyncContextManager[TableLoad]:
        """Open a load of all *tables* in one transaction: it ends well, or nothing happened.

        Raises:
            Conflict: there are rows already, or other tables than these.
            StoreUnavailable: somebody writes there and does not let go.
        """

    @abstractmethod
    async def finish(self) -> None:
        """Bring the schema up to date, and let the database know what it holds."""
