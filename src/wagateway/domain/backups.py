"""What a backup says of itself, and how two copies of a table are compared."""

import hashlib
import re
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import NewType

import msgspec
from msgspec import Struct

from wagateway.domain.errors import InvalidInput, Rejected
from wagateway.domain.media import MediaKey, is_media_key

FORMAT = 1
"""Of the folder, its manifest and its checksums."""

BackupName = NewType("BackupName", str)
"""The folder of one backup: ``wagateway-20261127T063000Z``, the UTC time at which it was begun."""

_NAME = re.compile(r"wagateway-\d{8}T\d{6}Z(-\d{1,3})?")
_SHA256 = re.compile(r"[0-9a-f]{64}")
_CHECKSUM = re.compile(r"[0-9a-f]{32}")
_WORD = re.compile(r"[a-z][a-z0-9_]{0,62}")
_MOST = 2**63 - 1
_LONGEST_LINE = 1024
"""Bytes of a line of the media list; it has a quarter of that."""
_SUM_BYTES = 16
_SUM_MODULUS = 2 ** (8 * _SUM_BYTES)


def backup_name(begun_at: datetime, number: int = 1) -> BackupName:
    """Return the name of a backup that was begun then; of several in one second by *number*."""
    stamp = begun_at.astimezone(UTC).strftime("%Y%m%dT%H%M%SZ")
    return BackupName(f"wagateway-{stamp}" + (f"-{number}" if number > 1 else ""))


def is_backup_name(text: str) -> bool:
    """Tell whether *text* is a name as we give them."""
    return _NAME.fullmatch(text) is not None


def begun_at(name: BackupName) -> datetime:
    """Return when a backup was begun, to the second; aware UTC."""
    stamp, _ = order_of(name)
    return datetime.strptime(stamp, "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)


def order_of(name: BackupName) -> tuple[str, int]:
    """Return what sorts names by time."""
    stamp, _, number = name.removeprefix("wagateway-").partition("-")
    return stamp, int(number or 1)


class RowSum:
    """The checksum of a table: equal for equal rows, in whatever order they come.

    It is the sum, modulo 2 to the 128th, of the BLAKE2b hashes (16 bytes, big-endian) of the lines
    of PostgreSQL's text format, without their line feeds: one line is one row.
    """

    def __init__(self) -> None:
        self.rows = 0
        self.size_bytes = 0
        self._sum = 0
        self._open = hashlib.blake2b(digest_size=_SUM_BYTES)
        self._is_open = False

    def add(self, block: bytes) -> None:
        """Count the rows of *block*, which may begin and end anywhere in a row."""
        self.size_bytes += len(block)
        *lines, rest = block.split(b"\n")
        if lines and self._is_open:
            self._open.update(lines[0])
            self._count(self._open.digest())
            self._open = hashlib.blake2b(digest_size=_SUM_BYTES)
            self._is_open = False
            del lines[0]
        total = 0
        for line in lines:
            digest = hashlib.blake2b(line, digest_size=_SUM_BYTES).digest()
            total += int.from_bytes(digest, "big")
        self.rows += len(lines)
        self._sum = (self._sum + total) % _SUM_MODULUS
        if rest:
            self._open.update(rest)
            self._is_open = True

    @property
    def is_whole(self) -> bool:
        """Whether the last row has come to its end."""
        return not self._is_open

    @property
    def checksum(self) -> str:
        """The sum, as 32 hexadecimal digits."""
        return f"{self._sum:032x}"

    def _count(self, digest: bytes) -> None:
        self.rows += 1
        self._sum = (self._sum + int.from_bytes(digest, "big")) % _SUM_MODULUS


class TableCopy(Struct, frozen=True, kw_only=True):
    """One table of a backup.

    Attributes:
        columns: in the order of the file.
        rows: how many.
        checksum: see `RowSum`.
        size_bytes: of the rows, unpacked.
    """

    name: str
    columns: tuple[str, ...]
    rows: int
    checksum: str
    size_bytes: int

    def __post_init__(self) -> None:
        _require(_WORD.fullmatch(self.name), "the name of a table")
        _require(self.columns and all(map(_WORD.fullmatch, self.columns)), "the columns of a table")
        _require(_CHECKSUM.fullmatch(self.checksum), "the checksum of a table")
        _require(0 <= self.rows <= _MOST and 0 <= self.size_bytes <= _MOST, "the size of a table")

    @property
    def file(self) -> str:
        """The name of its file in the backup, without what sealing adds."""
        return table_file(self.name)


class Counter(Struct, frozen=True, kw_only=True):
    """The last number that an identity column gave out."""

    table: str
    column: str
    last: int

    def __post_init__(self) -> None:
        _require(_WORD.fullmatch(self.table) and _WORD.fullmatch(self.column), "a counter's name")
        _require(1 <= self.last <= _MOST, "a counter")


class SchemaStep(Struct, frozen=True, kw_only=True):
    """A migration that the database had; *checksum* is the SHA-256 of its text."""

    version: int
    name: str
    checksum: str


class FileFact(Struct, frozen=True, kw_only=True):
    """A file of the backup's folder, as it lies on the disk.

    Attributes:
        name: relative to the folder.
    """

    name: str
    size_bytes: int
    sha256: str

    def __post_init__(self) -> None:
        _require(_SHA256.fullmatch(self.sha256), "the SHA-256 of a file")
        _require(0 <= self.size_bytes <= _MOST, "the size of a file")


class MediaTotals(Struct, frozen=True, kw_only=True):
    """The attached files that a backup lists.

    Attributes:
        files: how many the archive had stored, previews not counted.
        size_bytes: of these.
        copied: whether the files belong to the backup; else it only lists them.
        missing: how many of them the media store did not have, or had damaged.
    """

    files: int
    size_bytes: int
    copied: bool
    missing: int


class Source(Struct, frozen=True, kw_only=True):
    """Where the rows of a backup come from.

    Attributes:
        server: version of PostgreSQL.
        timescale: version of TimescaleDB; None: it was not there.
        schema: the migrations that it had, by ascending version.
    """

    server: str
    timescale: str | None
    schema: tuple[SchemaStep, ...]

    @property
    def version(self) -> int:
        """The version of the schema."""
        return max((step.version for step in self.schema), default=0)


class Manifest(Struct, frozen=True, kw_only=True):
    """What one backup holds.

    Attributes:
        format: see FORMAT.
        name: of its folder, so that one cannot pass for another.
        begun_at: when its one snapshot of the database was taken; aware UTC.
        ended_at: likewise.
        wagateway: the version that made it.
        schema_version: of the newest migration.
        encrypted: whether all files but this list's own hash are sealed.
    """

    format: int
    name: BackupName
    begun_at: datetime
    ended_at: datetime
    wagateway: str
    schema_version: int
    source: Source
    encrypted: bool
    tables: tuple[TableCopy, ...]
    counters: tuple[Counter, ...]
    media: MediaTotals
    files: tuple[FileFact, ...]

    def __post_init__(self) -> None:
        _require(is_backup_name(self.name), "the name of the backup")
        _require(self.schema_version == self.source.version, "the version of the schema")
        expected = {*(table.file for table in self.tables), MEDIA_LIST}
        named = {unsealed(fact.name) for fact in self.files}
        _require(len({t.name for t in self.tables}) == len(self.tables), "the list of tables")
        _require(named == expected and len(self.files) == len(expected), "the list of files")

    @property
    def rows(self) -> int:
        """Rows of all tables."""
        return sum(table.rows for table in self.tables)

    @property
    def size_bytes(self) -> int:
        """Of the files in its folder."""
        return sum(fact.size_bytes for fact in self.files)


class MediaEntry(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A line of the media list.

    Attributes:
        key: in the media store.
        sha256: of the content.
        copied: whether the file belongs to the backup.
    """

    key: MediaKey
    size_bytes: int
    sha256: str
    mimetype: str
    copied: bool = False

    def __post_init__(self) -> None:
        _require(is_media_key(self.key), "the key of a file")
        _require(_SHA256.fullmatch(self.sha256), "the SHA-256 of a file")
        _require(0 <= self.size_bytes <= _MOST, "the size of a file")


class MediaLines:
    """Reads the media list piece by piece, in constant memory."""

    def __init__(self) -> None:
        self._rest = b""

    def add(self, piece: bytes) -> list[MediaEntry]:
        """Return the entries that *piece* completes.

        Raises:
            Rejected: a line is none, or longer than any.
        """
        *lines, self._rest = (self._rest + piece).split(b"\n")
        if len(self._rest) > _LONGEST_LINE:
            raise Rejected(f"{MEDIA_LIST} has a line that is longer than it can be")
        return [decoded_entry(line) for line in lines]

    def end(self) -> None:
        """Return when the last line was whole.

        Raises:
            Rejected: it was not.
        """
        if self._rest:
            raise Rejected(f"{MEDIA_LIST} is cut off")


def decoded_entry(line: bytes) -> MediaEntry:
    """Return a line of the media list.

    Raises:
        Rejected: it is none.
    """
    try:
        return msgspec.json.decode(line, type=MediaEntry)
    except (msgspec.MsgspecError, UnicodeDecodeError, InvalidInput) as exc:
        raise Rejected(f"a line of {MEDIA_LIST} is none that wagateway wrote") from exc


MEDIA_LIST = "media.jsonl.gz"
SEAL = ".age"
"""What sealing adds to the name of a file."""


def table_file(table: str) -> str:
    """Return the name of the file of *table*."""
    return f"tables/{table}.tsv.gz"


def unsealed(name: str) -> str:
    """Return the name of a file without what sealing adds."""
    return name.removesuffix(SEAL)


def is_sha256(text: str) -> bool:
    """Tell whether *text* is a SHA-256 in lower-case hexadecimal."""
    return _SHA256.fullmatch(text) is not None


def expired(names: Iterable[BackupName], keep: int) -> list[BackupName]:
    """Return which of *names* go when only the latest *keep* stay, the oldest first."""
    ordered = sorted(names, key=order_of)
    return ordered[: max(0, len(ordered) - keep)]


def _require(holds: object, what: str) -> None:
    if not holds:
        raise InvalidInput(f"{what} cannot be right")
