"""Verifying and restoring backups, for commands and for the library."""

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from msgspec import Struct

from wagateway.adapters.embedded.server import EmbeddedPostgres
from wagateway.adapters.timescale.copies import TimescaleTables, drop_scratch, require_unused
from wagateway.adapters.timescale.storage import StoragePlan
from wagateway.domain.backups import BackupName, Manifest
from wagateway.domain.errors import Rejected
from wagateway.entrypoints.backup_places import open_backup_place
from wagateway.entrypoints.plans import storage_plan
from wagateway.entrypoints.settings import Settings
from wagateway.entrypoints.stores import open_media
from wagateway.entrypoints.workers import open_incoming
from wagateway.ports.backups import KeptBackup
from wagateway.usecases.back_up import Told
from wagateway.usecases.restore_backup import CheckBackup, Damage, RestoreBackup, Restored

_PLAIN = StoragePlan(timescale=False)


class Verified(Struct, frozen=True, kw_only=True):
    """Whether a backup can be restored.

    Attributes:
        manifest: what it should hold.
        damage: what is wrong, at most a thousand things; none: it is whole.
        restored: it was restored aside, too, and was the same there.
    """

    manifest: Manifest
    damage: tuple[Damage, ...]
    restored: bool


async def verify_backup(
    settings: Settings, path: str, *, scratch: str | None, hashes: bool, told: Told
) -> Verified:
    """Read all of a backup, and restore it aside.

    Args:
        settings: with what opens it.
        path: the place of backups and its name there.
        scratch: the URL of an empty database to try it in, left empty; None: an embedded one.
        hashes: restore nothing.
        told: is told how far it is, often.

    Raises:
        NotFound: there is none.
        Conflict: *scratch* is not empty.
        Rejected: it cannot be opened or restored, or there is no database to try it in.
        StoreUnavailable: the disk or that database is away, or is full.
    """
    async with kept_backup(settings, path) as kept:
        damage = await CheckBackup()(kept, told=told)
        restored = not damage and not hashes
        if restored:
            await _try(kept, scratch, told)
        return Verified(manifest=kept.manifest, damage=tuple(damage), restored=restored)


async def _try(kept: KeptBackup, scratch: str | None, told: Told) -> None:
    async with _temporary() as folder, _scratch(scratch, folder) as url:
        target = TimescaleTables(url, _PLAIN)
        await RestoreBackup(target=target, media=None, folder=folder)(kept, told=told)


@asynccontextmanager
async def _temporary() -> AsyncIterator[Path]:
    """Yield a folder that is gone afterwards; to remove a database takes a while."""
    folder = await asyncio.to_thread(TemporaryDirectory, prefix="wagateway-verify-")
    try:
        yield Path(folder.name)
    finally:
        await asyncio.to_thread(folder.cleanup)


@asynccontextmanager
async def _scratch(url: str | None, folder: Path) -> AsyncIterator[str]:
    """Yield an empty database, which is thrown away or is empty again afterwards."""
    if url is not None:
        await require_unused(url)
        try:
            yield url
        finally:
            await drop_scratch(url)
        return
    async with AsyncExitStack() as stack:
        try:
            server = await stack.enter_async_context(EmbeddedPostgres.running(folder / "data"))
        except Rejected as exc:
            raise Rejected(
                f"{exc} Or name an empty database by --database, in Python by scratch."
            ) from exc
        yield server.url


async def restore_backup(
    settings: Settings, kept: KeptBackup, *, with_media: bool, told: Told
) -> Restored:
    """Put a backup back into an empty archive.

    Args:
        settings: with a ``database_url`` that can be connected to.
        kept: opened.
        with_media: attached files, too; else only tables.
        told: is told how far it is, often.

    Raises:
        Conflict: the archive is not empty, or the backup is of a newer version.
        Rejected: the backup is damaged.
        StoreUnavailable: something is away, or a disk is full.
    """
    async with open_media(settings) as media, open_incoming(settings) as folder:
        target = TimescaleTables(settings.migration_url or "", storage_plan(settings))
        restore = RestoreBackup(target=target, media=media if with_media else None, folder=folder)
        return await restore(kept, told=told)


@asynccontextmanager
async def kept_backup(settings: Settings, path: str) -> AsyncIterator[KeptBackup]:
    """Open the backup at *path*, a place of backups and its name there.

    Raises:
        NotFound: there is none.
        InvalidInput: it is no place, or what opens the S3 server is not configured.
        Rejected: it is damaged or cannot be opened, or an extra is not installed.
        StoreUnavailable: the disk or the server is away.
    """
    where, name = _parts(path)
    async with (
        open_backup_place(settings, where) as place,
        place.kept(BackupName(name)) as kept,
    ):
        yield kept


def _parts(path: str) -> tuple[str, str]:
    """Return the place of a backup, and its name there."""
    if path.startswith("s3:"):
        where, _, name = path.rstrip("/").rpartition("/")
        return where, name
    whole = Path(os.path.abspath(path))  # noqa: PTH100 - without following links
    return str(whole.parent), whole.name
