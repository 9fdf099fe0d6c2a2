"""A body comes in, and is counted by what became of its events."""

import pytest
from tests.support.deliveries import NOON

from wagateway.adapters.memory.archive import InMemoryArchive
from wagateway.adapters.waha.reader import WahaReader
from wagateway.domain.errors import InvalidInput
from wagateway.usecases.group_commit import GroupCommit
from wagateway.usecases.ingest import IngestBody, Ingested


async def test_a_body_is_counted_by_outcome() -> None:
    ingest = IngestBody(
        engine=WahaReader(), commit=GroupCommit(InMemoryArchive()), clock=lambda: NOON
    )
    assert await ingest(b"[]") == Ingested(stored=0, duplicates=0, ignored=0, failed=0)
    assert await ingest(b'[{"event":"telepathy"},{"event":"message"}]') == Ingested(
        stored=0, duplicates=0, ignored=1, failed=1
    )
    with pytest.raises(InvalidInput):
        await ingest(b"{")
