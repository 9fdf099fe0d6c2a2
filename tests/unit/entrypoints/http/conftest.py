"""An archive with something in it, and a client."""

from collections.abc import AsyncIterator

import httpx
import pytest
from tests.unit.entrypoints.http.world import application, client_of, filled_archive


@pytest.fixture
def anyio_backend() -> str:
    """Litestar and uvicorn run on asyncio."""
    return "asyncio"


@pytest.fixture
async def client() -> AsyncIterator[httpx.AsyncClient]:
    """Speak to an application over the filled archive."""
    async with client_of(application(reader=await filled_archive())) as client:
        yield client
