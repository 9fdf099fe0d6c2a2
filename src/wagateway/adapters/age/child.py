"""The process that seals or opens a key: ``python -m wagateway.adapters.age.child``.

The passphrase goes through scrypt, which takes seconds and up to a gigabyte, and meanwhile nothing
else of a Python process runs. So it is done apart: webhooks are answered, and the memory goes back.
"""

import subprocess
import sys
from base64 import b64decode, b64encode

import msgspec
import pyrage
from msgspec import Struct

from wagateway.domain.errors import Rejected, StoreUnavailable

_LONGEST_S = 300
_WRONG = 3


class _Task(Struct, frozen=True, kw_only=True):
    """What goes in; *content* in base64."""

    passphrase: str
    content: str
    opened: bool


def sealed(content: bytes, passphrase: str) -> bytes:
    """Return *content* sealed by *passphrase*; blocks for seconds."""
    return _done(_Task(passphrase=passphrase, content=b64encode(content).decode(), opened=False))


def opened(content: bytes, passphrase: str) -> bytes:
    """Return what *passphrase* sealed; blocks for seconds.

    Raises:
        Rejected: it was another passphrase, or *content* was changed.
    """
    return _done(_Task(passphrase=passphrase, content=b64encode(content).decode(), opened=True))


def _done(task: _Task) -> bytes:
    try:
        child = subprocess.run(  # noqa: S603 - ourselves
            [sys.executable, "-P", "-B", "-m", __name__],
            check=False,
            input=msgspec.json.encode(task),
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            cwd="/",
            timeout=_LONGEST_S,
        )
    except (OSError, subprocess.TimeoutExpired) as exc:
        raise StoreUnavailable(_TOO_LITTLE) from exc
    if child.returncode == _WRONG:
        raise Rejected("another passphrase, or what it sealed was changed")
    if child.returncode != 0:
        raise StoreUnavailable(_TOO_LITTLE)
    return b64decode(child.stdout)


def main() -> None:
    """Do the one task that comes in; the exit code is 3 where the passphrase is another."""
    task = msgspec.json.decode(sys.stdin.buffer.read(), type=_Task)
    act = pyrage.passphrase.decrypt if task.opened else pyrage.passphrase.encrypt
    try:
        done = act(b64decode(task.content), task.passphrase)
    except pyrage.DecryptError:
        sys.exit(_WRONG)
    sys.stdout.buffer.write(b64encode(done))


_TOO_LITTLE = (
    "the passphrase of the backups could not be worked with: that takes up to a gigabyte of "
    "memory, and some seconds"
)


if __name__ == "__main__":
    main()
