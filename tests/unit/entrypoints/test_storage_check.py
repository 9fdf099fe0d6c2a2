"""How the archive is kept, in words."""

from datetime import timedelta

import pytest
from msgspec.structs import replace

from wagateway.adapters.timescale.storage import (
    EVENT_LOG,
    MESSAGES,
    Edition,
    Extension,
    Storage,
    StoragePlan,
    Table,
)
from wagateway.entrypoints.findings import Verdict
from wagateway.entrypoints.storage_check import storage_finding

PLAIN = (Table(name=MESSAGES, rows=1_234_567), Table(name=EVENT_LOG))
CHUNKED = (
    Table(name=MESSAGES, chunk=timedelta(days=90), chunks=1),
    Table(name=EVENT_LOG, chunk=timedelta(days=30), chunks=5),
)
APACHE = Storage(
    extension=Extension.PRESENT, edition=Edition.APACHE, version="2.19.3", tables=CHUNKED
)
PACKED = replace(
    CHUNKED[0], compressible=True, compressed=4, chunks=6, compress_after=timedelta(days=90)
)


def test_the_apache_edition_tells_what_it_lacks() -> None:
    finding = storage_finding(APACHE, StoragePlan())
    assert (finding.verdict, finding.mend) == (Verdict.OK, None)
    assert finding.found == (
        "TimescaleDB 2.19.3, Apache edition; messages in 1 chunk, a new one for 90 days; "
        "event_log in 5 chunks, a new one for 30 days; the statistics are a view; "
        "compression and continuous aggregates need the full edition"
    )


def test_the_full_edition_tells_what_it_compresses() -> None:
    full = replace(APACHE, edition=Edition.FULL, tables=(PACKED, CHUNKED[1]), aggregate=True)
    found = storage_finding(full, StoragePlan()).found
    assert "full edition" in found
    assert "messages are compressed after 90 days, 4 chunks are so far" in found
    assert found.endswith("the statistics are a continuous aggregate")


def test_what_is_off_is_said() -> None:
    full = replace(APACHE, edition=Edition.FULL, tables=(replace(PACKED, compress_after=None),))
    assert "nothing is compressed" in storage_finding(full, StoragePlan()).found
    off = storage_finding(APACHE, StoragePlan(timescale=False, chunk_days=1))
    assert off.verdict is Verdict.OK
    assert off.found.endswith("WHATSAPP_DB_TIMESCALE=off leaves it so")


@pytest.mark.parametrize(
    ("extension", "version", "said"),
    [
        (Extension.ABSENT, None, "plain tables; the server has no TimescaleDB"),
        (Extension.NOT_PRELOADED, None, "plain tables; the server has TimescaleDB, but not in"),
        (Extension.TOO_OLD, "2.9.1", "plain tables; TimescaleDB 2.9.1 is not used: it takes 2.14"),
    ],
)
def test_plain_tables_are_well_and_tell_why(
    extension: Extension, version: str | None, said: str
) -> None:
    plain = Storage(extension=extension, version=version, tables=PLAIN)
    finding = storage_finding(plain, StoragePlan())
    assert finding.verdict is Verdict.OK
    assert finding.found.startswith(said)


def test_what_migrate_would_do_is_a_warning() -> None:
    big = storage_finding(replace(APACHE, tables=PLAIN), StoragePlan())
    assert big.verdict is Verdict.WARN
    assert "messages is a plain table" in big.found
    assert big.mend == (
        "`wagateway migrate` would make messages a hypertable (1,234,567 rows move, about, while "
        "it is locked) and make event_log a hypertable (0 rows move, about, while it is locked)."
    )
    waiting = Storage(extension=Extension.NOT_CREATED, tables=PLAIN)
    assert "create the extension" in (storage_finding(waiting, StoragePlan()).mend or "")


def test_another_setting_is_a_warning() -> None:
    full = replace(APACHE, edition=Edition.FULL, tables=(PACKED, CHUNKED[1]))
    plan = StoragePlan(chunk_days=7, compress_after_days=30)
    assert storage_finding(full, plan).mend == (
        "`wagateway migrate` would set what a new chunk of messages covers, set what a new chunk "
        "of event_log covers, set what is compressed and make a continuous aggregate of the "
        "statistics."
    )
