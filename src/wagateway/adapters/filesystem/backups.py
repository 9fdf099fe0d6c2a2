"""Backups in a folder of this machine, or of a disk that is put into it.

<place>/
    wagateway-20261127T063000Z/     one backup, 0700; complete from its first moment
        manifest.json               what it holds, with the SHA-256 of each file
        tables/NAME.tsv.gz          the rows of one table, in PostgreSQL's text format
        media.jsonl.gz              the attached files that the archive had
        SHA256SUMS                  of all of these, for sha256sum --check
        key.age                     where it is encrypted: a copy of the key below
    media/ab/cd/abcd…               attached files by their SHA-256, shared by all backups
    key.age                         seals all that ends in .age; only the passphrase opens it
    backup.lock                     locked while a backup is made
    .wagateway-….part               what is being written; the next backup removes what a crash left
"""

import fcntl
import os
import re
from collections.abc import AsyncIterator, Iterator
from contextlib import (
    AbstractContextManager,
    ExitStack,
    asynccontextmanager,
    contextmanager,
    suppress,
)
from datetime import datetime
from pathlib import Path

from typing_extensions import override

from wagateway.adapters.filesystem._folders import Folder, disk_errors, in_thread
from wagateway.adapters.filesystem.backup_draft import FilesystemDraft, unfinished_name
from wagateway.adapters.filesystem.kept_backup import (
    KEY,
    MANIFEST,
    MEDIA,
    SUMS,
    FilesystemBackup,
    opened_backup,
)
from wagateway.domain.backups import (
    SEAL,
    BackupName,
    backup_name,
    is_backup_name,
    order_of,
)
from wagateway.domain.errors import Conflict, InvalidInput, NotFound, Rejected
from wagateway.ports.backups import BackupDraft, BackupPlace, KeptBackup
from wagateway.ports.clock import Clock
from wagateway.ports.seal import Keys, Seal

_LOCK = "backup.lock"
_UNFINISHED = re.compile(r"\.wagateway-[0-9a-f]{16}\.part")
_MOST_IN_A_SECOND = 100
_MOST_KEY_BYTES = 64 * 2**10


class FilesystemBackups(BackupPlace):
    """Backups in one folder."""

    def __init__(self, path: Path, clock: Clock, keys: Keys | None = None) -> None:
        """Keep them at *path*, which is made for its owner alone; with *keys*, sealed."""
        self._path = path
        self._clock = clock
        self._keys = keys

    @override
    @asynccontextmanager
    async def draft(self) -> AsyncIterator[BackupDraft]:
        stack = ExitStack()
        try:
            with self._errors():
                draft = await in_thread(lambda: self._begun(stack))
            yield draft
        finally:
            with self._errors():
                await in_thread(stack.close)

    @override
    @asynccontextmanager
    async def kept(self, name: BackupName) -> AsyncIterator[KeptBackup]:
        if not is_backup_name(name):
            raise NotFound(f"{name[:80]!r} is no name of a backup, as in {_EXAMPLE}")
        stack = ExitStack()
        try:
            with self._errors():
                kept = await in_thread(lambda: self._opened(stack, name))
            yield kept
        finally:
            with self._errors():
                await in_thread(stack.close)

    @override
    async def names(self) -> list[BackupName]:
        with self._errors():
            return await in_thread(self._names)

    @override
    async def remove(self, name: BackupName) -> None:
        with self._errors():
            await in_thread(lambda: self._remove(name))

    def _errors(self) -> AbstractContextManager[None]:
        return disk_errors(f"the folder of backups {self._path}")

    def _begun(self, stack: ExitStack) -> FilesystemDraft:
        place = stack.enter_context(_place(self._path, make=True))
        if stack.enter_context(_locked(place)):
            _sweep(place)
        key, seal = self._sealing(place)
        unfinished = unfinished_name()
        os.mkdir(unfinished, 0o700, dir_fd=place.handle)
        stack.callback(lambda: place.remove(unfinished))
        folder = stack.enter_context(place.inner(unfinished))
        return FilesystemDraft(
            place, folder, unfinished, _free_name(place, self._clock()), seal, key
        )

    def _opened(self, stack: ExitStack, name: BackupName) -> FilesystemBackup:
        place = stack.enter_context(_place(self._path))
        return stack.enter_context(opened_backup(place, name, self._keys))

    def _names(self) -> list[BackupName]:
        try:
            with _place(self._path) as place:
                return _finished(place)
        except NotFound:
            return []

    def _sealing(self, place: Folder) -> tuple[bytes | None, Seal | None]:
        file = place.open(KEY)
        if file is None:
            return self._new_key(place)
        with file:
            key = file.read(_MOST_KEY_BYTES)
        if self._keys is None:
            raise Conflict(
                "the backups there are encrypted: set WHATSAPP_BACKUP_PASSPHRASE (it needs the "
                "extra: pip install 'wagateway[backup]'), or name another place"
            )
        return key, self._keys.open(key)

    def _new_key(self, place: Folder) -> tuple[bytes | None, Seal | None]:
        if self._keys is None:
            return None, None
        for name in _finished(place):
            with place.inner(name) as backup:
                if backup.seen(KEY) is not None:
                    raise Conflict(
                        f"the key of the encrypted backups in {self._path} is missing: copy "
                        f"{name}/{KEY} to {self._path / KEY}"
                    )
        key, seal = self._keys.make()
        unfinished = unfinished_name()
        with place.create(unfinished) as file:
            file.write(key)
            file.flush()
            os.fsync(file.fileno())
        place.rename(unfinished, KEY)
        return key, seal

    def _remove(self, name: BackupName) -> None:
        with _place(self._path) as place, _locked(place):
            if name not in (finished := _finished(place)):
                raise NotFound(f"there is no backup {name} in {self._path}")
            going = self._media_of(place, name)
            for other in finished:
                if other != name and going:
                    going -= self._media_of(place, other)
            unfinished = unfinished_name()
            place.rename(name, unfinished)  # from now on it is no backup any more
            place.remove(unfinished)
            for file in going:
                *folders, last = file.decode().split("/")
                with suppress(FileNotFoundError), place.inner(MEDIA, *folders) as folder:
                    folder.remove(last)

    def _media_of(self, place: Folder, name: BackupName) -> set[bytes]:
        """Return where its attached files lie below the folder of them."""
        try:
            return self._listed_of(place, name)
        except Rejected as exc:
            raise Rejected(
                f"no older backup is removed, since {name} cannot be read ({exc}): look at it with "
                "`wagateway backup verify`, and move it away"
            ) from exc

    def _listed_of(self, place: Folder, name: BackupName) -> set[bytes]:
        with opened_backup(place, name, self._keys, to_remove=True) as kept:
            return {path.encode() for path in kept.media_paths()}


@contextmanager
def _place(path: Path, *, make: bool = False) -> Iterator[Folder]:
    """Yield the folder at *path*, which the caller named: links on the way to it are followed."""
    try:
        if make:
            path.mkdir(mode=0o700, parents=True, exist_ok=True)
        handle = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except (FileExistsError, NotADirectoryError) as exc:
        raise InvalidInput(f"{path} is no folder: name one, or a new one") from exc
    except FileNotFoundError as exc:
        raise NotFound(f"there is no folder {path}") from exc
    except PermissionError as exc:
        raise InvalidInput(f"{path} cannot be used by this user: {exc.strerror}") from exc
    folder = Folder(handle)
    try:
        yield folder
    finally:
        folder.close()


@contextmanager
def _locked(place: Folder) -> Iterator[bool]:
    """Hold the lock of *place*, and yield whether there is one; it ends with the process."""
    flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
    handle = os.open(_LOCK, flags, 0o600, dir_fd=place.handle)
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as exc:
            raise Conflict(
                "another backup is being made in this folder: wait until it is done, or name "
                "another folder"
            ) from exc
        except OSError:  # some network file systems have no locks
            yield False
            return
        yield True
    finally:
        os.close(handle)


def _sweep(place: Folder) -> None:
    for name in place.names():
        if _UNFINISHED.fullmatch(name):
            place.remove(name)


def _free_name(place: Folder, now: datetime) -> BackupName:
    for number in range(1, _MOST_IN_A_SECOND):
        name = backup_name(now, number)
        if place.seen(name) is None:
            return name
    raise Conflict("there are too many backups of this second: repeat in a moment")


def _finished(place: Folder) -> list[BackupName]:
    return sorted(
        filter(lambda n: _is_finished(place, n), map(BackupName, place.names())), key=order_of
    )


def _is_finished(place: Folder, name: BackupName) -> bool:
    if not is_backup_name(name):
        return False
    try:
        with place.inner(name) as folder:
            manifests = (folder.seen(MANIFEST), folder.seen(MANIFEST + SEAL))
            return any(manifests) and folder.seen(SUMS) is not None
    except (FileNotFoundError, NotADirectoryError):
        return False


_EXAMPLE = "wagateway-20261127T063000Z"
