"""Sealing files in the format age (age-encryption.org/v1), which many programs open.

A key made at random seals the files; the passphrase seals the key alone, by scrypt, in a file of
its own. So the slow step is done once however many files there are, and who has the passphrase
opens everything without wagateway: ``age -d -i key.age FILE``. The content is cut into pieces of
64 KiB, each authenticated with its place and the last one with the end (ChaCha20-Poly1305 in the
STREAM construction), so nothing can be changed, moved or cut off unnoticed. The public half of the
key is kept nowhere, so nobody else can make a file that it opens.
"""

import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import BinaryIO

import pyrage
from pyrage.x25519 import Identity
from typing_extensions import override

from wagateway.adapters.age import child
from wagateway.domain.errors import Rejected, StoreUnavailable
from wagateway.ports.seal import Keys, Seal

_DAMAGED = "it was changed or cut off, or sealed with another key"


class AgeSeal(Seal):
    """Seals with one key; what is written or read goes through a thread and a pipe."""

    def __init__(self, identity: Identity) -> None:
        self._identity = identity

    @override
    @contextmanager
    def closing(self, target: BinaryIO) -> Iterator[BinaryIO]:
        told = _Told(target)
        reading, writing = os.pipe()
        to = [self._identity.to_public()]

        def work() -> None:
            with os.fdopen(reading, "rb") as source:
                pyrage.encrypt_io(source, told, to)

        worker = _Thread(work)
        with worker.ended(told), os.fdopen(writing, "wb") as sink:
            yield sink

    @override
    @contextmanager
    def opening(self, source: BinaryIO) -> Iterator[BinaryIO]:
        told = _Told(source)
        reading, writing = os.pipe()

        def work() -> None:
            with os.fdopen(writing, "wb") as target:
                pyrage.decrypt_io(told, target, [self._identity])

        worker = _Thread(work)
        with worker.ended(told), os.fdopen(reading, "rb") as opened:
            yield opened


class AgeKeys(Keys):
    """Keys that a passphrase protects."""

    def __init__(self, passphrase: str) -> None:
        self._passphrase = passphrase
        self._opened: dict[bytes, AgeSeal] = {}

    @override
    def make(self) -> tuple[bytes, Seal]:
        identity = Identity.generate()
        key = child.sealed(f"{identity}\n".encode(), self._passphrase)
        self._opened[key] = AgeSeal(identity)
        return key, self._opened[key]

    @override
    def open(self, key: bytes) -> Seal:
        if key not in self._opened:  # each backup has a copy of the same
            self._opened[key] = self._open(key)
        return self._opened[key]

    def _open(self, key: bytes) -> AgeSeal:
        try:
            text = child.opened(key, self._passphrase).decode("ascii")
            return AgeSeal(Identity.from_str(text.strip()))
        except (Rejected, pyrage.IdentityError, UnicodeDecodeError) as exc:
            raise Rejected(
                "the key of these backups is not opened by WHATSAPP_BACKUP_PASSPHRASE: give the "
                "passphrase that they were made with; if it is right, key.age is damaged, and a "
                "copy of it lies in each backup"
            ) from exc


class _Told:
    """A file that remembers its own failure, of which the library keeps the text alone."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self.failure: OSError | None = None

    def write(self, content: bytes) -> int:
        """Write all of *content*."""
        with self._remembered():
            return self._file.write(content)

    def read(self, size: int = -1) -> bytes:
        """Read up to *size* bytes."""
        with self._remembered():
            return self._file.read(size)

    def flush(self) -> None:
        """Pass on what is held back."""
        with self._remembered():
            self._file.flush()

    @contextmanager
    def _remembered(self) -> Iterator[None]:
        try:
            yield
        except OSError as exc:
            self.failure = exc
            raise


class _Thread(threading.Thread):
    """Work that ends before the context does, and whose failure is the context's."""

    def __init__(self, work: Callable[[], None]) -> None:
        super().__init__(name="age", daemon=True)
        self._work = work
        self._problem: BaseException | None = None
        self.start()

    @override
    def run(self) -> None:
        try:
            self._work()
        except BaseException as exc:  # noqa: BLE001 - it is told where somebody waits for it
            self._problem = exc

    @contextmanager
    def ended(self, told: _Told) -> Iterator[None]:
        try:
            yield
        except BrokenPipeError:  # the work ended first, and says why
            self.join()
            self._raise(told)
            raise
        except BaseException:
            self.join()
            raise
        self.join()
        self._raise(told)

    def _raise(self, told: _Told) -> None:
        if told.failure is not None:
            raise told.failure
        if isinstance(self._problem, BrokenPipeError):
            return  # nobody reads on
        if isinstance(self._problem, (pyrage.DecryptError, OSError)):
            raise Rejected(_DAMAGED) from self._problem
        if self._problem is not None:
            raise StoreUnavailable("sealing failed") from self._problem
