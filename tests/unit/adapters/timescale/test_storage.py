"""What is left to do between how the tables are laid out and how they shall be."""

from datetime import timedelta

import pytest
from msgspec.structs import replace

from wagateway.adapters.timescale.storage import (
    EVENT_LOG,
    MESSAGES,
    STATISTICS,
    Act,
    Edition,
    Extension,
    Step,
    Storage,
    StoragePlan,
    Table,
    steps,
)

QUARTER, MONTH = timedelta(days=90), timedelta(days=30)
PLAIN = (Table(name=MESSAGES, rows=7), Table(name=EVENT_LOG, rows=9))
CHUNKED = (
    Table(name=MESSAGES, chunk=QUARTER, chunks=3),
    Table(name=EVENT_LOG, chunk=MONTH, chunks=5),
)
ABSENT = Storage(extension=Extension.ABSENT, tables=PLAIN)
APACHE = Storage(
    extension=Extension.PRESENT, edition=Edition.APACHE, version="2.19.3", tables=CHUNKED
)
FULL = Storage(
    extension=Extension.PRESENT,
    edition=Edition.FULL,
    version="2.22.0",
    tables=(replace(CHUNKED[0], compressible=True, compress_after=QUARTER), CHUNKED[1]),
    aggregate=True,
)


def left(found: Storage, **wanted: object) -> list[Step]:
    return list(steps(found, StoragePlan(**wanted)))  # type: ignore[arg-type]  # any of its fields


@pytest.mark.parametrize("found", [ABSENT, APACHE, FULL], ids=lambda found: found.edition)
def test_what_is_as_wanted_stays(found: Storage) -> None:
    assert left(found) == []


@pytest.mark.parametrize(
    "extension", [Extension.ABSENT, Extension.NOT_PRELOADED, Extension.TOO_OLD]
)
def test_tables_stay_plain_without_the_extension(extension: Extension) -> None:
    assert left(replace(ABSENT, extension=extension)) == []


def test_the_extension_is_created_where_it_only_waits_for_that() -> None:
    waiting = replace(ABSENT, extension=Extension.NOT_CREATED)
    assert left(waiting) == [Step(Act.CREATE_EXTENSION)]
    assert left(replace(waiting, tables=())) == []


def test_each_plain_table_becomes_a_hypertable() -> None:
    assert left(replace(APACHE, tables=PLAIN)) == [
        Step(Act.MAKE_HYPERTABLE, MESSAGES),
        Step(Act.MAKE_HYPERTABLE, EVENT_LOG),
    ]
    half = (CHUNKED[0], PLAIN[1])
    assert left(replace(APACHE, tables=half)) == [Step(Act.MAKE_HYPERTABLE, EVENT_LOG)]


def test_another_chunk_holds_for_both_tables() -> None:
    assert left(APACHE, chunk_days=7) == [Step(Act.SET_CHUNK, t) for t in (MESSAGES, EVENT_LOG)]
    assert left(APACHE, chunk_days=30) == [Step(Act.SET_CHUNK, MESSAGES)]


def test_the_full_edition_compresses_and_keeps_statistics() -> None:
    new = replace(FULL, tables=CHUNKED, aggregate=False)
    aggregate = Step(Act.MAKE_AGGREGATE, STATISTICS)
    assert left(new) == [Step(Act.ALLOW_COMPRESSION, MESSAGES), aggregate]
    allowed = (replace(CHUNKED[0], compressible=True), CHUNKED[1])
    assert left(replace(new, tables=allowed)) == [Step(Act.SET_COMPRESSION, MESSAGES), aggregate]
    assert left(new, compress_after_days=0) == [aggregate]


@pytest.mark.parametrize("days", [0, 30])
def test_another_age_of_compression_is_set(days: int) -> None:
    assert left(FULL, compress_after_days=days) == [Step(Act.SET_COMPRESSION, MESSAGES)]


def test_what_needs_the_full_edition_is_left_out_of_the_other() -> None:
    assert left(APACHE, compress_after_days=1) == []


def test_compression_and_statistics_wait_for_the_hypertable() -> None:
    big = replace(FULL, tables=PLAIN, aggregate=False)
    assert {step.act for step in steps(big, StoragePlan())} == {Act.MAKE_HYPERTABLE}


@pytest.mark.parametrize("found", [ABSENT, replace(APACHE, tables=PLAIN), FULL])
def test_off_leaves_everything_as_it_is(found: Storage) -> None:
    waiting = replace(found, extension=Extension.NOT_CREATED)
    for each in (found, waiting):
        assert left(each, timescale=False, chunk_days=1, compress_after_days=1) == []
