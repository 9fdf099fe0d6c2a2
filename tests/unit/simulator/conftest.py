import pytest


@pytest.fixture
def anyio_backend() -> str:
    """The poster is written for asyncio."""
    return "asyncio"
