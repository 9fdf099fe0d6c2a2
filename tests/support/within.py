"""Is somebody still waiting? Not how fast it was, which tests say nothing of."""

import time
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def within(seconds: float) -> Iterator[None]:
    """Fail where the block took so long that it must have waited for what never comes.

    *seconds* are many times what it needs, for a busy machine, and far less than the wait.
    """
    began = time.monotonic()
    yield
    assert time.monotonic() - began < seconds
