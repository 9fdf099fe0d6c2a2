"""A backup in a folder, read with distrust: others may have changed whatever is in it."""

import gzip
import hashlib
import re
import zlib
from collections.abc import AsyncIterator, Generator, Iterator
from contextlib import ExitStack, contextmanager
from typing import BinaryIO, cast

import msgspec
from typing_extensions import override

from wagateway.adapters.filesystem._folders import Folder, disk_errors, in_thread
from wagateway.domain.backups import (
    FORMAT,
    MEDIA_LIST,
    SEAL,
    BackupName,
    FileFact,
    Manifest,
    MediaLines,
    is_sha256,
    unsealed,
)
from wagateway.domain.errors import InvalidInput, NotFound, Rejected
from wagateway.ports.backups import KeptBackup
from wagateway.ports.seal import Keys, Seal

MANIFEST = "manifest.json"
SUMS = "SHA256SUMS"
KEY = "key.age"
MEDIA = "media"

_PIECE = 256 * 1024
_MOST_MANIFEST_BYTES = 16 * 2**20
_MOST_KEY_BYTES = 64 * 2**10
_SUM_LINE = re.compile(r"([0-9a-f]{64})  ([a-z][A-Za-z0-9_./]*)")


class FilesystemBackup(KeptBackup):
    """One backup of a place; see `opened_backup`."""

    def __init__(
        self, place: Folder, folder: Folder, manifest: Manifest, seal: Seal | None
    ) -> None:
        """Use opened folders, which stay the caller's."""
        self.manifest = manifest
        self._place = place
        self._folder = folder
        self._seal = seal

    @override
    async def check(self, fact: FileFact) -> str | None:
        with disk_errors("the backup"):
            return await in_thread(lambda: self._checked(fact))

    @override
    def read(self, name: str, *, most_bytes: int | None = None) -> AsyncIterator[bytes]:
        return _read(self._unpacked(name, most_bytes))

    @override
    def read_media(self, sha256: str) -> AsyncIterator[bytes]:
        name = f"{MEDIA}/{media_path(sha256)}{self._suffix}"
        return _read(_pieces(self._place, name, self._seal, None, packed=False))

    def media_paths(self) -> Iterator[str]:
        """Yield where its attached files lie below the folder of them; blocks.

        Raises:
            Rejected: its list is missing or damaged.
        """
        lines = MediaLines()
        for piece in self._unpacked(MEDIA_LIST, None):
            for entry in lines.add(piece):
                if entry.copied:
                    yield media_path(entry.sha256) + self._suffix
        lines.end()

    def _checked(self, fact: FileFact) -> str | None:
        with _file(self._folder, fact.name) as file:
            if file is None:
                return "is missing"
            found, size = hashlib.sha256(), 0
            while piece := file.read(_PIECE):
                found.update(piece)
                size += len(piece)
        if size != fact.size_bytes:
            return f"has {size:,} bytes instead of {fact.size_bytes:,}"
        return None if found.hexdigest() == fact.sha256 else "was changed"

    def _unpacked(self, name: str, most_bytes: int | None) -> "_Pieces":
        return _pieces(self._folder, name + self._suffix, self._seal, most_bytes)

    @property
    def _suffix(self) -> str:
        return SEAL if self._seal else ""


_Pieces = Generator[bytes, None, None]


async def _read(pieces: _Pieces) -> AsyncIterator[bytes]:
    """Yield *pieces*, each of which is read in a thread."""
    try:
        with disk_errors("the backup"):
            while piece := await in_thread(lambda: next(pieces, b"")):
                yield piece
    finally:
        pieces.close()


def media_path(sha256: str) -> str:
    """Return where an attached file lies below the folder of them."""
    if not is_sha256(sha256):
        raise ValueError("no SHA-256")
    return f"{sha256[:2]}/{sha256[2:4]}/{sha256}"


@contextmanager
def opened_backup(
    place: Folder, name: BackupName, keys: Keys | None, *, to_remove: bool = False
) -> Iterator[FilesystemBackup]:
    """Yield the backup *name* of *place*; blocks.

    Args:
        place: the folder of backups.
        name: of its folder.
        keys: open what is sealed; what is readable then is refused.
        to_remove: only to know its files, so that a readable one will do.

    Raises:
        NotFound: there is none.
        Rejected: it is no whole backup, or cannot be opened.
    """
    with ExitStack() as stack:
        try:
            folder = stack.enter_context(place.inner(name))
        except (FileNotFoundError, NotADirectoryError) as exc:
            raise NotFound(f"there is no backup {name} in this folder") from exc
        seal = _seal(folder, keys)
        if seal is None and keys is not None and not to_remove:
            raise Rejected(
                "this backup is not encrypted, and WHATSAPP_BACKUP_PASSPHRASE is set: somebody "
                "without the passphrase may have put it there. If it is yours, unset that"
            )
        yield FilesystemBackup(place, folder, _manifest(folder, name, seal), seal)


def _seal(folder: Folder, keys: Keys | None) -> Seal | None:
    key = _small(folder, KEY, _MOST_KEY_BYTES)
    if key is None:
        if folder.seen(MANIFEST + SEAL) is not None:
            raise Rejected(
                f"{KEY} is missing in this encrypted backup: put it back, from another backup of "
                "the same folder, or from the folder itself"
            )
        return None
    if keys is None:
        raise Rejected(
            "this backup is encrypted: set WHATSAPP_BACKUP_PASSPHRASE to the passphrase that it "
            "was made with, and install the extra by pip install 'wagateway[backup]'"
        )
    return keys.open(key)


def _manifest(folder: Folder, name: BackupName, seal: Seal | None) -> Manifest:
    file = MANIFEST + (SEAL if seal else "")
    content = _small(folder, file, _MOST_MANIFEST_BYTES)
    if content is None:
        raise Rejected(f"this is no backup: it has no {file}")
    if _sums(folder).get(file) != hashlib.sha256(content).hexdigest():
        raise Rejected(f"{file} or {SUMS} was changed: this backup cannot be trusted")
    text = b"".join(_pieces(folder, file, seal, _MOST_MANIFEST_BYTES, packed=False))
    manifest = _decoded(text)
    if manifest.name != name:
        raise Rejected(
            f"this folder is called {name}, and what is in it is the backup {manifest.name}: give "
            "it its own name back"
        )
    suffix = SEAL if seal else ""
    if manifest.encrypted != (seal is not None) or any(
        fact.name != unsealed(fact.name) + suffix for fact in manifest.files
    ):
        raise Rejected(f"{file} does not fit the files beside it: it comes from another backup")
    return manifest


class _Format(msgspec.Struct, frozen=True):
    format: int


def _decoded(text: bytes) -> Manifest:
    try:
        if (found := msgspec.json.decode(text, type=_Format).format) > FORMAT:
            raise Rejected(
                f"this backup has the format {found}, and this wagateway knows up to {FORMAT}: "
                "upgrade wagateway"
            )
        return msgspec.json.decode(text, type=Manifest)
    except (msgspec.MsgspecError, UnicodeDecodeError, InvalidInput) as exc:
        raise Rejected(f"the manifest is none that wagateway wrote ({exc})") from exc


def _sums(folder: Folder) -> dict[str, str]:
    text = _small(folder, SUMS, _MOST_MANIFEST_BYTES)
    if text is None:
        raise Rejected(f"this is no backup: it has no {SUMS}")
    lines = text.decode("ascii", "replace").splitlines()
    matched = (_SUM_LINE.fullmatch(line) for line in lines)
    return {found[2]: found[1] for found in matched if found}


def _small(folder: Folder, name: str, most_bytes: int) -> bytes | None:
    with _file(folder, name) as file:
        if file is None:
            return None
        content = file.read(most_bytes + 1)
    if len(content) > most_bytes:
        raise Rejected(f"{name} is larger than it can be: it is none that wagateway wrote")
    return content


@contextmanager
def _file(folder: Folder, path: str) -> Iterator[BinaryIO | None]:
    """Yield a plain file below *folder*; None where there is none."""
    *folders, name = path.split("/")
    if not all(part and part not in {".", ".."} for part in (*folders, name)):
        raise Rejected("a name of a file leads out of the backup")
    with ExitStack() as stack:
        try:
            inner = stack.enter_context(folder.inner(*folders))
        except (FileNotFoundError, NotADirectoryError):
            yield None
            return
        file = inner.open(name)
        yield stack.enter_context(file) if file is not None else None


def _pieces(
    folder: Folder,
    name: str,
    seal: Seal | None,
    most_bytes: int | None,
    *,
    packed: bool = True,
) -> _Pieces:
    """Yield what is in a file: unsealed, and unpacked where it is packed."""
    with ExitStack() as stack:
        file = stack.enter_context(_file(folder, name))
        if file is None:
            raise NotFound(f"{name} is missing in the backup")
        if seal is not None:
            file = stack.enter_context(seal.opening(file))
        if packed:
            unpacked = gzip.GzipFile(fileobj=file, mode="rb")
            file = cast("BinaryIO", stack.enter_context(unpacked))
        size = 0
        try:
            while piece := file.read(_PIECE):
                size += len(piece)
                if most_bytes is not None and size > most_bytes:
                    raise Rejected(f"{name} unpacks to more than its backup says: it was changed")
                yield piece
        except (gzip.BadGzipFile, EOFError, zlib.error) as exc:
            raise Rejected(f"{name} is damaged: it cannot be unpacked") from exc
