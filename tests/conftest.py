from collections.abc import AsyncIterator, Iterator

import pytest
import structlog
from hypothesis import settings
from tests.support.postgres import Servers, all_servers

if settings.get_current_profile_name() == "default":  # the mutation check brings its own
    settings.register_profile("suite", deadline=None)  # a busy machine is no failure
    settings.load_profile("suite")


@pytest.fixture(scope="session")
def anyio_backend() -> str:
    """One event loop for the whole session, so that fixtures can live as long."""
    return "asyncio"


@pytest.fixture(autouse=True)
def own_logs() -> Iterator[None]:
    """Let no command that a test runs decide what the logs of later tests show."""
    yield
    structlog.reset_defaults()


@pytest.fixture(scope="session")
async def postgres_servers() -> AsyncIterator[Servers]:
    """All servers of this test run; a contract suite asks for the one of its parameter."""
    async with all_servers() as servers:
        yield servers


@pytest.fixture(scope="session")
async def postgres_server(postgres_servers: Servers) -> str:
    """URL of the embedded server, whose role may create databases."""
    return await postgres_servers.url("embedded")
