"""The gateway's own secrets: those that nobody configured are made on the first start.

They lie in ``secrets.json`` in the data folder, for its owner alone. Two processes that start at
once make one set: whoever holds ``secrets.lock`` reads or makes them.
"""

import errno
import fcntl
import os
import secrets
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import msgspec
from msgspec import Struct

from wagateway.adapters.embedded.account import user_name
from wagateway.domain.errors import Conflict, InvalidInput
from wagateway.entrypoints.settings import Settings
from wagateway.entrypoints.strength import is_strong

_FILE = "secrets.json"
_LOCK = "secrets.lock"
_MAX_BYTES = 64 * 1024
_READ = os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK
_CREATE = os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC


@dataclass(frozen=True, slots=True, kw_only=True)
class GatewaySecrets:
    """What opens the gateway; none of it shows in a repr.

    Attributes:
        api_token: opens the HTTP API.
        webhook_token: proves a webhook's origin; None where only the signature does.
        webhook_hmac_key: of the webhooks' signature; None: not used.
        generated: the names of those above that were made just now, to be shown once.
        path: where the generated ones are kept; None when all are configured.
    """

    api_token: str = field(repr=False)
    webhook_token: str | None = field(repr=False)
    webhook_hmac_key: str | None = field(repr=False)
    generated: frozenset[str] = frozenset()
    path: Path | None = None


class _Kept(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """What the file holds."""

    api_token: str | None = None
    webhook_token: str | None = None


def ensure_secrets(data_dir: Path, settings: Settings) -> GatewaySecrets:
    """Return the configured secrets, and kept or new ones for what is not configured.

    A webhook needs one way to prove its origin, so with a key for signatures no token is made; one
    that was made before goes on being honoured beside the key, because WAHA may still send it.
    When everything is configured and nothing was kept, *data_dir* is not touched.

    Args:
        data_dir: made, for the owner alone, where it is absent.
        settings: what the operator chose; it wins over what is kept.

    Raises:
        InvalidInput: the folder or the file cannot be used, or others can reach into it.
        Conflict: the file is not what was once written.
    """
    folder = data_dir.expanduser().resolve()
    wanted = _wanted(settings)
    if not wanted and (settings.webhook_token is not None or not _holds_secrets(folder)):
        return configured_secrets(settings)
    with _explained(folder):
        kept, made = _kept(folder, wanted)
    return _joined(settings, kept, folder, made)


def known_secrets(data_dir: Path, settings: Settings) -> GatewaySecrets | None:
    """Return what `ensure_secrets` would, or None where it would have to make one.

    Raises:
        InvalidInput: the folder or the file cannot be used, or others can reach into it.
        Conflict: the file is not what was once written.
    """
    folder = data_dir.expanduser().resolve()
    wanted = _wanted(settings)
    kept = _Kept()
    if _holds_secrets(folder):
        with _explained(folder):
            kept, _ = _kept(folder, frozenset())
    if any(getattr(kept, name) is None for name in wanted):
        return None
    return _joined(settings, kept, folder, frozenset())


def configured_secrets(settings: Settings) -> GatewaySecrets:
    """Return what *settings* hold, whatever is kept elsewhere; they hold all that is needed."""
    return GatewaySecrets(
        api_token=settings.api_token or "",
        webhook_token=settings.webhook_token,
        webhook_hmac_key=settings.webhook_hmac_key,
    )


def _joined(settings: Settings, kept: _Kept, folder: Path, made: frozenset[str]) -> GatewaySecrets:
    in_use = (settings.api_token is None and kept.api_token) or (
        settings.webhook_token is None and kept.webhook_token
    )
    return GatewaySecrets(
        api_token=settings.api_token or kept.api_token or "",
        webhook_token=settings.webhook_token or kept.webhook_token,
        webhook_hmac_key=settings.webhook_hmac_key,
        generated=made,
        path=folder / _FILE if in_use else None,
    )


def _wanted(settings: Settings) -> frozenset[str]:
    wanted = set()
    if settings.api_token is None:
        wanted.add("api_token")
    if settings.webhook_token is None and settings.webhook_hmac_key is None:
        wanted.add("webhook_token")
    return frozenset(wanted)


def _holds_secrets(folder: Path) -> bool:
    try:
        return (folder / _FILE).exists()
    except OSError:  # who may not look into the folder was never given what is in it
        return False


def _kept(folder: Path, wanted: frozenset[str]) -> tuple[_Kept, frozenset[str]]:
    """Return what is kept in *folder*, with all that is *wanted*, and what of it is new."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        _refuse_open_folder(folder, os.fstat(fd))
        with _locked(folder, fd):
            kept = _read(folder, fd)
            made = frozenset(name for name in wanted if getattr(kept, name) is None)
            if made:
                new = {name: secrets.token_urlsafe(32) for name in made}
                kept = msgspec.structs.replace(kept, **new)
                _write(fd, kept)
            return kept, made
    finally:
        os.close(fd)


def _refuse_open_folder(folder: Path, found: os.stat_result) -> None:
    if found.st_mode & 0o022:
        raise InvalidInput(
            f"Other users can put files into {folder}, so secrets are not safe there: run "
            f"`chmod 700 {folder}`, or choose another data folder."
        )


@contextmanager
def _locked(folder: Path, folder_fd: int) -> Iterator[None]:
    """Hold the folder's lock; it ends with the process."""
    fd = os.open(_LOCK, os.O_RDWR | _CREATE, 0o600, dir_fd=folder_fd)
    try:
        # Before anything is done to it: as root we could be made to give away a file of others.
        _refuse_strange(folder / _LOCK, os.fstat(fd), os.fstat(folder_fd))
        _give_to_owner(fd, folder_fd)
        fcntl.flock(fd, fcntl.LOCK_EX)
        yield
    finally:
        os.close(fd)


def _read(folder: Path, folder_fd: int) -> _Kept:
    path = folder / _FILE
    try:
        fd = os.open(_FILE, _READ, dir_fd=folder_fd)
    except FileNotFoundError:
        return _Kept()
    with os.fdopen(fd, "rb") as file:
        _refuse_strange(path, os.fstat(fd), os.fstat(folder_fd))
        _refuse_open_file(path, os.fstat(fd))
        text = file.read(_MAX_BYTES)
    try:
        kept = msgspec.json.decode(text, type=_Kept)
    except (msgspec.DecodeError, UnicodeDecodeError):
        raise _damaged(path) from None  # the cause may quote a secret
    if not all(is_strong(s) for s in (kept.api_token, kept.webhook_token) if s is not None):
        raise _damaged(path)
    return kept


def _refuse_strange(path: Path, file: os.stat_result, folder: os.stat_result) -> None:
    owners = {os.geteuid(), folder.st_uid} if os.geteuid() == 0 else {os.geteuid()}
    if not stat.S_ISREG(file.st_mode) or file.st_nlink != 1 or file.st_uid not in owners:
        raise InvalidInput(
            f"{path} is not an ordinary file of this user: it belongs to "
            f"{user_name(file.st_uid)}, and {user_name(os.geteuid())} runs this. If the folder was "
            f"moved or copied, give it back by `chown`; else find out who put the file there, and "
            "move it away; a new one is made then."
        )


def _refuse_open_file(path: Path, file: os.stat_result) -> None:
    if file.st_mode & 0o077:
        raise InvalidInput(
            f"Other users can read {path}: run `chmod 600 {path}`, or, if somebody may have read "
            "it, delete it; new secrets are made then."
        )


def _damaged(path: Path) -> Conflict:
    return Conflict(
        f"{path} does not hold the secrets that were written into it: put it back, or delete it; "
        "new secrets are made then, and WAHA and your programs must be given them."
    )


def _write(folder_fd: int, kept: _Kept) -> None:
    """Replace the file as a whole, durably."""
    draft = f"{_FILE}.new"
    with suppress(FileNotFoundError):
        os.unlink(draft, dir_fd=folder_fd)
    fd = os.open(draft, os.O_WRONLY | os.O_EXCL | _CREATE, 0o600, dir_fd=folder_fd)
    with os.fdopen(fd, "wb") as file:
        _give_to_owner(fd, folder_fd)
        file.write(msgspec.json.format(msgspec.json.encode(kept)) + b"\n")
        file.flush()
        os.fsync(fd)
    os.rename(draft, _FILE, src_dir_fd=folder_fd, dst_dir_fd=folder_fd)
    os.fsync(folder_fd)


def _give_to_owner(fd: int, folder_fd: int) -> None:
    """As root, leave the file to the folder's owner, who may start the gateway the next time."""
    owner = os.fstat(folder_fd)
    if os.geteuid() == 0 and owner.st_uid != 0:
        os.fchown(fd, owner.st_uid, owner.st_gid)


@contextmanager
def _explained(folder: Path) -> Iterator[None]:
    try:
        yield
    except OSError as exc:
        raise InvalidInput(
            f"The gateway's secrets cannot be kept in {folder} ({exc.strerror}):"
            f"{_whose(exc, folder)} choose a data folder that {user_name(os.geteuid())} can "
            "write, without symbolic links in it, or configure WHATSAPP_GATEWAY_API_TOKEN and "
            "WHATSAPP_WEBHOOK_TOKEN."
        ) from exc


def _whose(exc: OSError, folder: Path) -> str:
    """Return whose *folder* is, or the one in which it would be made, where that may be why."""
    if exc.errno in (errno.EACCES, errno.EPERM):
        for place in (folder, *folder.parents):
            with suppress(OSError):
                owner = place.stat().st_uid
                return "" if owner == os.geteuid() else f" {place} belongs to {user_name(owner)};"
    return ""
