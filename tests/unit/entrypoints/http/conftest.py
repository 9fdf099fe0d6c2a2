"""An archive with something in it, and a client."""

from collections.abc import AsyncIterator

import httpx
import pytest
from tests.unit.entrypoints.http.world import application, client_of, filled_archive


@pytest.fixture(scope="module")
async def client() -> AsyncIterator[httpx.AsyncClient]:
    """Speak to an application over the filled archive, from which its tests only read.

    To build one takes 60 ms.
    """
    async with client_of(application(reader=await filled_archive())) as client:
        yield client
