"""What hangs behind the API is not waited for."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress

import httpx
import pytest
from structlog.testing import capture_logs
from tests.support.within import within
from tests.unit.entrypoints.http.world import API, application, client_of, filled_archive
from typing_extensions import override

from wagateway.adapters.memory.archive import InMemoryArchive
from wagateway.domain.views import SessionView


class HangingArchive(InMemoryArchive):
    """Says nothing, and lets go late."""

    def __init__(self) -> None:
        super().__init__()
        self.ended = asyncio.Event()

    @override
    async def sessions(self) -> list[SessionView]:
        try:
            await asyncio.Event().wait()
        finally:
            await asyncio.sleep(0.5)
            self.ended.set()
        return []


@pytest.fixture
async def archive() -> HangingArchive:
    return HangingArchive()


@pytest.fixture
async def hanging(archive: HangingArchive) -> AsyncIterator[httpx.AsyncClient]:
    async with client_of(application(reader=archive, answer_timeout_s=0.1)) as client:
        yield client


async def test_is_answered_before_it_lets_go(
    archive: HangingArchive, hanging: httpx.AsyncClient
) -> None:
    with capture_logs() as logs, within(5):
        answer = await hanging.get("/api/sessions", headers=API)
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "2")
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["detail"] == "The archive did not answer within 0.1 seconds."
    assert answer.headers["cache-control"] == "no-store"
    [told] = [line for line in logs if line["event"] == "unanswered"]
    assert told["route"] == "/api/sessions"
    async with asyncio.timeout(5):
        await archive.ended.wait()


async def test_many_that_hang_are_all_answered(hanging: httpx.AsyncClient) -> None:
    async with asyncio.timeout(5):
        answers = await asyncio.gather(
            *(hanging.get("/api/sessions", headers=API) for _ in range(200))
        )
    assert {answer.status_code for answer in answers} == {503}


async def test_who_goes_away_ends_it(archive: HangingArchive) -> None:
    async with client_of(application(reader=archive, answer_timeout_s=60)) as client:
        asking = asyncio.create_task(client.get("/api/sessions", headers=API))
        await asyncio.sleep(0.1)
        asking.cancel()
        with suppress(TimeoutError):
            async with asyncio.timeout(5):
                await archive.ended.wait()
    assert archive.ended.is_set()


async def test_an_answer_in_time_is_not_touched() -> None:
    app = application(reader=await filled_archive(), answer_timeout_s=5)
    async with client_of(app) as client:
        assert (await client.get("/api/sessions", headers=API)).status_code == 200
