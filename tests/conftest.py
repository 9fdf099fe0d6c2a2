import os
import shutil
import signal
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
import structlog
from hypothesis import settings
from tests.support.depth import examples
from tests.support.postgres import USUAL, Servers, all_servers
from tests.support.s3 import S3Server, S3Servers
from tests.support.valkey import ValkeyServers

if settings.get_current_profile_name() == "default":  # the mutation check brings its own
    # A busy machine is no failure.
    settings.register_profile("suite", deadline=None, max_examples=examples(40))
    settings.load_profile("suite")


_MEMORY = Path("/dev/shm")
_ROOM_BYTES = 2 * 2**30


def pytest_configure() -> None:
    """Let temporary folders lie in memory, where there is room and nobody chose another place.

    Most tests of the database and nearly all journeys otherwise wait for the disk.
    """
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:  # a shell began us in the background
        signal.signal(signal.SIGINT, signal.default_int_handler)  # what tests start is told by it
    if "TMPDIR" not in os.environ and _has_room(_MEMORY):
        os.environ["TMPDIR"] = str(_MEMORY)
        tempfile.tempdir = None


def _has_room(folder: Path) -> bool:
    try:
        free = shutil.disk_usage(folder).free  # 64 MB in all in a container
    except OSError:  # not on Linux
        return False
    return free >= _ROOM_BYTES and os.access(folder, os.W_OK | os.X_OK)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Let the journeys come first, so that no worker is left with a long one at the end."""
    items.sort(key=lambda item: item.get_closest_marker("slow") is None)


@pytest.fixture(scope="session")
def anyio_backend() -> str:
    """One event loop for the whole session, so that fixtures can live as long."""
    return "asyncio"


@pytest.fixture(scope="session", autouse=True)
def own_data_folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Let what no test placed elsewhere lie in a folder of this run, not in the user's own."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_DATA_HOME", str(tmp_path_factory.mktemp("data-home")))
        yield


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
    """URL of the usual server, whose role may create databases."""
    return await postgres_servers.url(USUAL)


@pytest.fixture(scope="session")
async def embedded_server(postgres_servers: Servers) -> str:
    """URL of the embedded server, for what only it has."""
    return await postgres_servers.url("embedded")


@pytest.fixture(scope="session")
def s3_servers() -> Iterator[S3Servers]:
    """All S3 servers of this test run; a contract suite asks for the one of its parameter."""
    with ExitStack() as stack:
        yield S3Servers(stack)


@pytest.fixture(scope="session")
def s3_server(s3_servers: S3Servers) -> S3Server:
    """The S3 server that always runs."""
    return s3_servers.get("s3")


@pytest.fixture(scope="session")
def valkey_servers() -> Iterator[ValkeyServers]:
    """All Valkey servers of this test run; a contract suite asks for the one of its parameter."""
    with ExitStack() as stack:
        yield ValkeyServers(stack)
