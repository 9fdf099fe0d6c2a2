"""What a process that looks at files may use; where the system refuses a limit, without it."""

import sys
import time
from contextlib import suppress

try:
    import resource
except ImportError:  # not on every system
    _KNOWN = False
else:
    _KNOWN = True

_OPEN_FILES = 64


def confine(memory_bytes: int) -> None:
    """Limit this process, and those it starts, for good."""
    if not _KNOWN:
        return
    _limit(resource.RLIMIT_AS, memory_bytes)
    _limit(resource.RLIMIT_NOFILE, _OPEN_FILES)
    _limit(resource.RLIMIT_FSIZE, 0)  # pipes are no files
    _limit(resource.RLIMIT_CORE, 0)  # it would hold what people sent


def allow_cpu(seconds: int) -> None:
    """Let this process compute for *seconds* from now on; the system ends it after that."""
    if not _KNOWN:
        return
    with suppress(ValueError, OSError):
        _, hard = resource.getrlimit(resource.RLIMIT_CPU)
        resource.setrlimit(resource.RLIMIT_CPU, (int(time.process_time()) + 1 + seconds, hard))


def most_memory_bytes() -> int:
    """Return how much memory this process had at most, 0 where that is not known."""
    if not _KNOWN:
        return 0
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


def _limit(which: int, most: int) -> None:
    with suppress(ValueError, OSError):
        _, hard = resource.getrlimit(which)
        most = most if hard == resource.RLIM_INFINITY else min(most, hard)
        resource.setrlimit(which, (most, most))
