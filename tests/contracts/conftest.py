"""An empty archive per test, once for each backend."""

from collections.abc import AsyncIterator

import pytest
from tests.contracts.archives import BACKENDS, Backend, backend
from tests.support.postgres import Servers


@pytest.fixture(params=BACKENDS)
async def archive(
    request: pytest.FixtureRequest, postgres_servers: Servers
) -> AsyncIterator[Backend]:
    async with backend(request.param, postgres_servers) as found:
        yield found
