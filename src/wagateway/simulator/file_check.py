"""Compares the files that an archive holds with the truth: missing, wrong, or unexplained."""

from collections import Counter
from collections.abc import Collection, Iterable
from enum import StrEnum
from typing import NamedTuple

from msgspec import Struct

from wagateway.simulator.facts import Promise
from wagateway.simulator.truth import Line

EXAMPLES = 5
"""How many findings of each sort are kept in full."""
STORED = "completed"
OPEN = frozenset({"pending", "downloading"})
"""States of those that are still to be decided on."""


class FileRow(NamedTuple):
    """What an archive says of one message's file.

    Attributes:
        session: WAHA's name.
        chat: the message's ``chat_id``, as in the truth.
        stanza: its id.
        status: ``completed``; ``pending`` or ``downloading``; any other word is a reason why not.
        sha256: of what is stored, in lower-case hex; None where nothing is.
        size_bytes: the same; None says nothing.
    """

    session: str
    chat: str
    stanza: str
    status: str
    sha256: str | None = None
    size_bytes: int | None = None


class FileSort(StrEnum):
    """How the files of an archive can differ from the truth."""

    MISSED = "missed"
    """It could be had, and is not stored."""
    WRONG = "wrong"
    """What is stored is something else."""
    UNEXPLAINED = "unexplained"
    """It is not stored, and nothing says why."""
    TWINNED = "twinned"
    """The archive speaks of it more than once."""


class FileFinding(Struct, frozen=True, kw_only=True):
    """One difference; *row* is None where the archive does not speak of the file."""

    sort: FileSort
    expected: Line
    row: FileRow | None


class FileReport(Struct, kw_only=True):
    """The result of a comparison.

    Attributes:
        promised: files that must be stored, and those that may be.
        possible: of these, the ones that may be.
        stored: files that are stored as they should be.
        skipped: files that could be had, and which the archive does not want.
        hashes: SHA-256 of all that is stored as it should be: so many objects there are to be.
        counts: of findings, by sort.
        examples: the first findings of each sort.
    """

    promised: int
    possible: int
    stored: int
    skipped: int
    hashes: set[str]
    counts: dict[FileSort, int]
    examples: list[FileFinding]

    @property
    def perfect(self) -> bool:
        """Whether nothing differs."""
        return not any(self.counts.values())


def compare_files(
    truth: Iterable[Line], rows: Iterable[FileRow], *, skips: Collection[str] = ("skipped",)
) -> FileReport:
    """Return how the files that *rows* tell of differ from *truth*.

    Rows of messages that the truth does not have are passed over: it is `check.compare` that tells
    of these.

    Args:
        truth: its lines; those of the type ``file`` count.
        rows: one for each message with a file, in any order.
        skips: states that say that the archive does not want a file.
    """
    held: dict[tuple[str, str, str], list[FileRow]] = {}
    for row in rows:
        held.setdefault((row.session, row.chat, row.stanza), []).append(row)
    tally = _Tally()
    for line in truth:
        if line["type"] == "file":
            found = held.get((line["session"], line["chat_id"], line["id"]), [])
            tally.judge(line, found, skips)
    return tally.report


class _Tally:
    def __init__(self) -> None:
        self._kept: Counter[FileSort] = Counter()
        self.report = FileReport(
            promised=0,
            possible=0,
            stored=0,
            skipped=0,
            hashes=set(),
            counts=dict.fromkeys(FileSort, 0),
            examples=[],
        )

    def judge(self, line: Line, rows: list[FileRow], skips: Collection[str]) -> None:
        promise = Promise[line["obtainable"].upper()]
        self.report.promised += promise is not Promise.NO
        self.report.possible += promise is Promise.PERHAPS
        row = rows[0] if rows else None
        for twin in rows[1:]:
            self._note(FileSort.TWINNED, line, twin)
        if row is not None and row.status == STORED:
            self._judge_stored(line, row)
        elif row is not None and row.status in skips:
            self.report.skipped += promise is not Promise.NO
        elif promise is Promise.YES:
            self._note(FileSort.MISSED, line, row)
        elif (row is None and line["certain"]) or (row is not None and row.status in OPEN):
            self._note(FileSort.UNEXPLAINED, line, row)

    def _judge_stored(self, line: Line, row: FileRow) -> None:
        sized = row.size_bytes in {None, line["size_bytes"]}
        if row.sha256 != line["sha256"] or not sized:
            self._note(FileSort.WRONG, line, row)
            return
        self.report.stored += 1
        self.report.hashes.add(line["sha256"])

    def _note(self, sort: FileSort, line: Line, row: FileRow | None) -> None:
        self.report.counts[sort] += 1
        self._kept[sort] += 1
        if self._kept[sort] <= EXAMPLES:
            self.report.examples.append(FileFinding(sort=sort, expected=line, row=row))
