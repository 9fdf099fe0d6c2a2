"""Files beside the truth: missed, wrong, twinned or unexplained, and nothing else."""

from typing import Any

import pytest
from tests.support.files import PHOTO, SHELF, photo
from tests.unit.simulator.tales import BAKERY, fact, lines, note, sent, truth_of

from wagateway.simulator.check import compare
from wagateway.simulator.facts import Listing, Promise
from wagateway.simulator.file_check import EXAMPLES, FileReport, FileRow, FileSort, compare_files
from wagateway.simulator.happenings import Awaited
from wagateway.simulator.truth import Line, Truth

OTHER = SHELF.file("image", 1)


def told(promise: Promise = Promise.YES, **facts: Any) -> list[Line]:  # noqa: ANN401 - of a Note
    return list(truth_of(sent(note(photo(), **facts), promise=promise)).lines())


def row(status: str = "completed", **facts: Any) -> FileRow:  # noqa: ANN401 - any field
    stored = {"sha256": PHOTO.sha256} if status == "completed" else {}
    chat = str(told()[-1]["chat_id"])
    known = {"session": "default", "chat": chat, "stanza": "A1", "status": status, **stored}
    return FileRow(**{**known, **facts})


def found(report: FileReport) -> dict[FileSort, int]:
    return {sort: count for sort, count in report.counts.items() if count}


class TestTruth:
    def test_a_file_that_was_told_of_has_a_line(self) -> None:
        (line,) = lines(sent(note(photo()), promise=Promise.YES), type="file")
        (message,) = lines(sent(note(photo()), promise=Promise.YES))
        assert line == {
            "type": "file",
            "session": "default",
            "account": BAKERY.phone_jid,
            "chat_id": message["chat_id"],
            "id": "A1",
            "sender_id": message["sender_id"],
            "sha256": PHOTO.sha256,
            "size_bytes": PHOTO.size_bytes,
            "obtainable": "yes",
            "certain": True,
        }
        assert message["media"]["size_bytes"] == PHOTO.size_bytes

    def test_where_nobody_serves_files_there_is_none(self) -> None:
        assert not lines(sent(note(photo())), type="file")
        assert not lines(sent(note("oi"), promise=None), type="file")

    def test_the_best_promise_counts(self) -> None:
        promises = (Promise.NO, Promise.YES, Promise.PERHAPS)
        every = [sent(note(photo()), promise=promise) for promise in promises]
        (line,) = lines(*every, type="file")
        assert line["obtainable"] == "yes"

    def test_what_is_not_certain_is_perhaps(self) -> None:
        truth = truth_of(sent(note(photo()), promise=Promise.YES))
        truth.doubt(sent(note(photo())))
        (line,) = [line for line in truth.lines() if line["type"] == "file"]
        assert (line["obtainable"], line["certain"]) == ("perhaps", False)

    def test_what_a_list_showed_for_a_while_is_perhaps(self) -> None:
        truth = Truth()
        truth.tell(sent(note(photo()), promise=Promise.NO))
        truth.glimpse(sent(note(photo()), promise=Promise.YES, listing=Listing()))
        (line,) = [line for line in truth.lines() if line["type"] == "file"]
        assert line["obtainable"] == "perhaps"

    def test_a_placeholder_promises_nothing(self) -> None:
        waiting = note(photo())
        assert not lines(fact(Awaited(at_ms=1, scene=1, note=waiting)), type="file")

    def test_the_comparison_of_messages_passes_over_files(self) -> None:
        assert compare(told(), told()).perfect


class TestComparison:
    def test_what_is_stored_as_it_should_be(self) -> None:
        report = compare_files(told(), [row(), row(stanza="of nobody")])
        assert report.perfect
        assert (report.promised, report.possible, report.stored) == (1, 0, 1)
        assert report.hashes == {PHOTO.sha256}
        assert compare_files(told(), [row(size_bytes=PHOTO.size_bytes)]).perfect

    @pytest.mark.parametrize(
        ("promise", "rows", "sort"),
        [
            (Promise.YES, [], FileSort.MISSED),
            (Promise.YES, [row("failed")], FileSort.MISSED),
            (Promise.YES, [row("pending")], FileSort.MISSED),
            (Promise.YES, [row("expired")], FileSort.MISSED),
            (Promise.YES, [row(sha256=OTHER.sha256)], FileSort.WRONG),
            (Promise.YES, [row(sha256=None)], FileSort.WRONG),
            (Promise.YES, [row(size_bytes=1)], FileSort.WRONG),
            (Promise.NO, [row(sha256=OTHER.sha256)], FileSort.WRONG),
            (Promise.YES, [row(), row()], FileSort.TWINNED),
            (Promise.NO, [], FileSort.UNEXPLAINED),
            (Promise.PERHAPS, [], FileSort.UNEXPLAINED),
            (Promise.NO, [row("downloading")], FileSort.UNEXPLAINED),
            (Promise.PERHAPS, [row("pending")], FileSort.UNEXPLAINED),
        ],
    )
    def test_each_difference(self, promise: Promise, rows: list[FileRow], sort: FileSort) -> None:
        report = compare_files(told(promise), rows)
        assert not report.perfect
        assert found(report) == {sort: 1}
        (example,) = report.examples
        assert (example.sort, example.expected["id"]) == (sort, "A1")

    @pytest.mark.parametrize(
        ("promise", "status"),
        [
            (Promise.NO, "failed"),
            (Promise.NO, "expired"),
            (Promise.NO, "completed"),
            (Promise.PERHAPS, "expired"),
            (Promise.PERHAPS, "completed"),
            (Promise.YES, "skipped"),
        ],
    )
    def test_what_is_as_it_may_be(self, promise: Promise, status: str) -> None:
        report = compare_files(told(promise), [row(status)])
        assert report.perfect
        assert report.skipped == (status == "skipped")
        assert report.stored == (status == "completed")

    def test_what_counts_as_not_wanted_can_be_said(self) -> None:
        assert not compare_files(told(), [row("skipped")], skips=()).perfect
        assert compare_files(told(), [row("too large")], skips={"too large"}).perfect

    def test_a_message_that_may_be_missing_needs_no_row(self) -> None:
        truth = truth_of(sent(note(photo()), promise=Promise.YES))
        truth.doubt(sent(note(photo())))
        assert compare_files(truth.lines(), []).perfect

    def test_another_chat_or_session_is_another_file(self) -> None:
        for wrong in ({"chat": "1@c.us"}, {"session": "other"}):
            assert found(compare_files(told(), [row(**wrong)])) == {FileSort.MISSED: 1}

    def test_few_examples_are_kept_and_all_are_counted(self) -> None:
        truth = [line for number in range(9) for line in told(stanza=f"S{number}")]
        report = compare_files(truth, [])
        assert report.counts[FileSort.MISSED] == 9
        assert len(report.examples) == EXAMPLES
