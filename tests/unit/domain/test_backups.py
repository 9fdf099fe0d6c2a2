"""Checksums of tables, names of backups, and manifests that cannot be right."""

from datetime import UTC, datetime, timedelta, timezone
from itertools import pairwise

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from wagateway.domain.backups import (
    MEDIA_LIST,
    BackupName,
    Counter,
    FileFact,
    Manifest,
    MediaEntry,
    MediaLines,
    RowSum,
    TableCopy,
    backup_name,
    decoded_entry,
    expired,
    is_backup_name,
    table_file,
)
from wagateway.domain.errors import InvalidInput, Rejected

_rows = st.lists(st.binary(max_size=20).map(lambda row: row.replace(b"\n", b"")), max_size=12)


def summed(*pieces: bytes) -> RowSum:
    found = RowSum()
    for piece in pieces:
        found.add(piece)
    return found


def text(rows: list[bytes]) -> bytes:
    return b"".join(row + b"\n" for row in rows)


class TestRowSum:
    @given(st.data(), _rows)
    def test_order_and_pieces_do_not_matter(self, data: st.DataObject, rows: list[bytes]) -> None:
        shuffled = text(data.draw(st.permutations(rows)))
        cuts = sorted(data.draw(st.lists(st.integers(0, len(shuffled)), max_size=6)))
        edges = [0, *cuts, len(shuffled)]
        pieces = [shuffled[a:b] for a, b in pairwise(edges)]
        one, other = summed(text(rows)), summed(*pieces)
        assert (one.rows, one.checksum, one.size_bytes) == (
            other.rows,
            other.checksum,
            other.size_bytes,
        )
        assert one.rows == len(rows)
        assert other.is_whole

    @given(_rows, _rows)
    def test_other_rows_have_another_sum(self, rows: list[bytes], others: list[bytes]) -> None:
        same = sorted(rows) == sorted(others)
        one, other = summed(text(rows)), summed(text(others))
        assert ((one.rows, one.checksum) == (other.rows, other.checksum)) is same

    def test_a_row_that_is_cut_off_is_no_row(self) -> None:
        found = summed(b"a\nb")
        assert (found.rows, found.is_whole) == (1, False)
        found.add(b"c\n")
        assert (found.rows, found.checksum) == (2, summed(b"bc\na\n").checksum)


class TestNames:
    def test_tell_the_time_in_utc(self) -> None:
        there = datetime(2026, 11, 27, 3, 30, tzinfo=timezone(timedelta(hours=-3)))
        assert backup_name(there) == "wagateway-20261127T063000Z"
        assert backup_name(there, 2) == "wagateway-20261127T063000Z-2"

    @pytest.mark.parametrize(
        "text",
        ["", "..", "wagateway-20261127T063000Z/..", "wagateway-20261127T063000Z\n", "other"],
    )
    def test_others_are_none(self, text: str) -> None:
        assert not is_backup_name(text)

    def test_the_oldest_expire_by_time_and_number(self) -> None:
        at = datetime(2026, 11, 27, tzinfo=UTC)
        names = [backup_name(at, n) for n in (10, 2, 1)] + [backup_name(at - timedelta(days=1))]
        assert expired(names, 2) == [names[3], names[2]]
        assert expired(names, 4) == []


def manifest(**changes: object) -> Manifest:
    table = TableCopy(name="messages", columns=("id",), rows=1, checksum="0" * 32, size_bytes=2)
    facts = [
        {"name": name, "size_bytes": 1, "sha256": "a" * 64}
        for name in (table_file("messages"), MEDIA_LIST)
    ]
    given = {
        "format": 1,
        "name": "wagateway-20261127T063000Z",
        "begun_at": "2026-11-27T06:30:00Z",
        "ended_at": "2026-11-27T06:30:00Z",
        "wagateway": "0.1.0",
        "schema_version": 1,
        "source": {
            "server": "18.6",
            "timescale": None,
            "schema": [{"version": 1, "name": "0001_x", "checksum": "c"}],
        },
        "encrypted": False,
        "tables": [msgspec.to_builtins(table)],
        "counters": [],
        "media": {"files": 0, "size_bytes": 0, "copied": False, "missing": 0},
        "files": facts,
    }
    return msgspec.json.decode(msgspec.json.encode(given | changes), type=Manifest)


class TestManifest:
    def test_can_be_right(self) -> None:
        assert manifest().rows == 1

    @pytest.mark.parametrize(
        "changes",
        [
            {"name": "../elsewhere"},
            {"schema_version": 2},
            {"files": []},
            {"tables": []},
            {"files": [{"name": "../../etc/passwd", "size_bytes": 1, "sha256": "a" * 64}] * 2},
            {"files": [{"name": "media.jsonl.gz", "size_bytes": -1, "sha256": "a" * 64}]},
        ],
    )
    def test_is_refused_where_it_cannot_be(self, changes: dict[str, object]) -> None:
        with pytest.raises(InvalidInput, match="cannot be right"):
            manifest(**changes)

    @pytest.mark.parametrize("name", ["../x", "Messages", "a" * 64, 'x"; DROP TABLE y', ""])
    def test_names_of_tables_are_words(self, name: str) -> None:
        with pytest.raises(InvalidInput):
            TableCopy(name=name, columns=("id",), rows=0, checksum="0" * 32, size_bytes=0)
        with pytest.raises(InvalidInput):
            Counter(table="messages", column=name, last=1)

    def test_sizes_and_hashes_are_bounded(self) -> None:
        for size, sha256 in ((-1, "a" * 64), (2**63, "a" * 64), (1, "A" * 64), (1, "")):
            with pytest.raises(InvalidInput):
                FileFact(name="x", size_bytes=size, sha256=sha256)
        with pytest.raises(InvalidInput):
            Counter(table="messages", column="id", last=2**63)


class TestMediaList:
    @pytest.mark.parametrize(
        "line",
        [
            b"",
            b"[]",
            b'{"key":"sha256/../x","size_bytes":1,"sha256":"%s","mimetype":"a/b"}' % (b"a" * 64),
            b'{"key":"sha256/aa/aa/%s","size_bytes":1,"sha256":"../x","mimetype":"a/b"}'
            % (b"a" * 64),
        ],
    )
    def test_lines_of_others_are_refused(self, line: bytes) -> None:
        with pytest.raises(Rejected, match="none that wagateway wrote"):
            decoded_entry(line)

    def test_a_line_without_an_end_does_not_fill_the_memory(self) -> None:
        lines = MediaLines()
        lines.add(b" " * 1000)
        with pytest.raises(Rejected, match="longer than it can be"):
            lines.add(b" " * 1000)
        lines = MediaLines()
        lines.add(b"{")
        with pytest.raises(Rejected, match="cut off"):
            lines.end()

    def test_lines_are_read(self) -> None:
        line = b'{"key":"sha256/aa/aa/%s","size_bytes":1,"sha256":"%s","mimetype":"a/b"}'
        entry = decoded_entry(line % (b"a" * 64, b"a" * 64))
        assert isinstance(entry, MediaEntry)
        assert not entry.copied


def test_a_name_is_a_name() -> None:
    assert is_backup_name(BackupName("wagateway-20261127T063000Z-12"))
