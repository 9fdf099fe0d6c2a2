"""Who listens on a port of this machine, so that no secret is shown to another user's program.

Whoever is first on a port has it: a stranger on the machine may take that of a gateway that is
down, and answer as it would. The kernel tells whose a socket is, and cannot be lied to.
Source: Linux, Documentation/networking/proc_net_tcp.rst. Where a system does not tell it there,
nobody is found.
"""

import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

_TABLES = (Path("/proc/net/tcp"), Path("/proc/net/tcp6"))
_LISTENS = "0A"
_ADDRESS, _STATE, _UID = 1, 3, 7
"""Which words of a line say so."""


def stranger_on(port: int, folder: Path) -> int | None:
    """Return which user listens on *port* who is none of ours; None: nobody is known to.

    Ours are this user and root, who can read the secrets anyhow; and, for root, the owner of the
    data folder, who runs the gateway there.
    """
    ours = {0, os.geteuid()}
    if os.geteuid() == 0:
        with suppress(OSError):
            ours.add(folder.stat().st_uid)
    return next((uid for uid in _listeners(port) if uid not in ours), None)


def _listeners(port: int) -> Iterator[int]:
    for table in _TABLES:
        with suppress(OSError):
            for line in table.read_text(encoding="ascii").splitlines()[1:]:
                words = line.split()
                at = int(words[_ADDRESS].rpartition(":")[2], 16)
                if words[_STATE] == _LISTENS and at == port:
                    yield int(words[_UID])
