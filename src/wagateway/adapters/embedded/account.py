"""The operating system's user that runs the server, and what starts under it.

PostgreSQL refuses to run as root. Started by root, the server therefore runs as another user, and
reaches its folder through an inherited descriptor (``/proc/self/fd/N``): neither the data folder
nor any folder above it has to be opened to that user.
"""

import asyncio
import os
import pwd
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from wagateway.domain.errors import InvalidInput, Rejected

ENVIRONMENT = {"LC_ALL": "C", "PATH": os.defpath}
"""All that the server's programs see: no PG* variable of the user may steer them."""

_UNPRIVILEGED = ("postgres", "nobody")


@dataclass(frozen=True, slots=True)
class Account:
    """A user for the server's processes.

    Attributes:
        uid: its user id.
        gid: its only group.
        dropped: whether it is another user than ours; then we are root.
    """

    uid: int
    gid: int
    dropped: bool

    @property
    def user(self) -> int | None:
        """The ``user=`` of a new process."""
        return self.uid if self.dropped else None

    @property
    def group(self) -> int | None:
        """The ``group=`` of a new process."""
        return self.gid if self.dropped else None

    @property
    def extra_groups(self) -> list[int] | None:
        """The ``extra_groups=`` of a new process: none, where we are root."""
        return [] if self.dropped else None

    def own(self, path: Path) -> None:
        """Give *path* to this user."""
        if self.dropped:
            os.chown(path, self.uid, self.gid, follow_symlinks=False)

    def may_enter(self, folder: Path) -> bool:
        """Return whether this user can pass through *folder* and all above it."""
        return not self.dropped or all(map(self._may_pass, (folder, *folder.parents)))

    def _may_pass(self, folder: Path) -> bool:
        found = folder.stat()
        if found.st_uid == self.uid:
            return bool(found.st_mode & 0o100)
        if found.st_gid == self.gid:
            return bool(found.st_mode & 0o010)
        return bool(found.st_mode & 0o001)


def server_account(data_dir: Path, cluster: Path) -> Account:
    """Choose who runs the server of *data_dir*.

    An ordinary user runs it as is. For root it is the owner of *cluster* or of *data_dir*, where
    that is not root, else ``postgres`` or ``nobody``.

    Raises:
        Rejected: root, on a system where no such user can be had; or a user without a name, who
            cannot make a cluster.
    """
    if os.geteuid() != 0:
        if not cluster.exists():
            _require_name(os.geteuid())
        return Account(os.geteuid(), os.getegid(), dropped=False)
    if sys.platform != "linux":
        raise Rejected("PostgreSQL refuses to run as root: start wagateway as an ordinary user.")
    if cluster.exists() and (owner := cluster.lstat()).st_uid != 0:
        return Account(owner.st_uid, owner.st_gid, dropped=True)
    for entry in _candidates(data_dir):
        if entry.pw_uid != 0:
            return Account(entry.pw_uid, entry.pw_gid, dropped=True)
    raise Rejected(
        "PostgreSQL refuses to run as root, and this system has neither a user 'postgres' nor "
        "'nobody': start wagateway as an ordinary user."
    )


def _require_name(uid: int) -> None:
    try:
        pwd.getpwuid(uid)
    except KeyError:
        raise Rejected(
            f"PostgreSQL makes no database for user id {uid}, which has no name on this system: "
            "start wagateway as root (the database then runs as an ordinary user), or as a user "
            "that /etc/passwd knows, or add a line for this one, in a container image by "
            f"`echo 'wagateway:x:{uid}:{os.getegid()}::/:/bin/sh' >> /etc/passwd`."
        ) from None


def user_name(uid: int) -> str:
    """Return the user *uid* for people: by name where it has one."""
    try:
        return f"{pwd.getpwuid(uid).pw_name} (user id {uid})"
    except KeyError:
        return f"user id {uid}"


def refuse_foreign(cluster: Path, account: Account) -> None:
    """Return when *cluster* is absent or belongs to *account*, as PostgreSQL demands.

    Raises:
        InvalidInput: it belongs to somebody else, as after a copy that did not keep owners.
    """
    if not cluster.exists() or (found := cluster.lstat()).st_uid == account.uid:
        return
    if account.dropped and not (cluster / "PG_VERSION").exists():
        return  # no cluster at all, which is refused elsewhere
    raise InvalidInput(
        f"{cluster} belongs to {user_name(found.st_uid)}, and its database would run as "
        f"{user_name(account.uid)}. Was it copied without its owners? As root, copy it again with "
        f"`cp -a`, or run `chown -R {account.uid}:{account.gid} {cluster}`."
    )


def _candidates(data_dir: Path) -> Iterator[pwd.struct_passwd]:
    # initdb looks its user up by name, so a bare number will not do.
    with suppress(KeyError):
        yield pwd.getpwuid(data_dir.stat().st_uid)
    for name in _UNPRIVILEGED:
        with suppress(KeyError):
            yield pwd.getpwnam(name)


@contextmanager
def shown_to(account: Account, folder: Path) -> Iterator[tuple[str, tuple[int, ...]]]:
    """Yield *folder*'s path as *account* can use it, and the descriptors that must be passed on."""
    if not account.dropped:
        yield str(folder), ()
        return
    fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    try:
        yield f"/proc/self/fd/{fd}", (fd,)
    finally:
        os.close(fd)


async def run(
    command: Sequence[str | Path], account: Account, *, stdin: str = "", fds: tuple[int, ...] = ()
) -> tuple[int, str]:
    """Run *command* as *account* to its end.

    Returns:
        Its exit status, and what it wrote to both outputs.

    Raises:
        OSError: it cannot be started.
    """
    done = await asyncio.to_thread(
        subprocess.run,
        command,
        check=False,
        input=stdin,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        cwd="/",
        env=ENVIRONMENT,
        start_new_session=True,
        umask=0o077,
        pass_fds=fds,
        user=account.user,
        group=account.group,
        extra_groups=account.extra_groups,
    )
    return done.returncode, done.stdout
