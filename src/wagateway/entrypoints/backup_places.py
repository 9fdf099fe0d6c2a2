"""Where backups are kept, and who makes them, opened as settings say."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import timedelta
from importlib.metadata import version as installed_version
from pathlib import Path

from wagateway.adapters.filesystem.backups import FilesystemBackups
from wagateway.adapters.filesystem.remote_backups import RemoteBackups
from wagateway.domain.errors import InvalidInput, Rejected
from wagateway.entrypoints.containers import Services, now
from wagateway.entrypoints.settings import Settings
from wagateway.entrypoints.stores import bucket
from wagateway.entrypoints.variables import BACKUP_PLACE, s3_place
from wagateway.ports.backups import BackupPlace
from wagateway.ports.media_store import MediaStore
from wagateway.ports.seal import Keys
from wagateway.ports.tables import TableSource
from wagateway.usecases.back_up import BackUp
from wagateway.usecases.backup_work import BackupWorker, Regular, RegularBackup


@asynccontextmanager
async def open_backup_place(settings: Settings, where: str) -> AsyncIterator[BackupPlace]:
    """Yield *where* as a place of backups, encrypted where there is a passphrase.

    Args:
        settings: with what opens the S3 server, where it is one.
        where: a folder, or ``s3://bucket/prefix``.

    Raises:
        InvalidInput: it is neither, or what opens the S3 server is not configured.
        Rejected: the extra ``backup`` or ``s3`` is needed, and not installed.
    """
    keys = _backup_keys(settings)
    if not where.startswith("s3:"):
        yield FilesystemBackups(_absolute(where), now, keys)
        return
    if (found := s3_place(where)) is None:
        raise InvalidInput(f"not a place of backups: {where[:200]!r}; accepted is {BACKUP_PLACE}")
    if settings.minio_user is None or settings.minio_password is None:
        raise InvalidInput(
            "backups in S3 need WHATSAPP_MINIO_ROOT_USER and WHATSAPP_MINIO_ROOT_PASSWORD, and the "
            "address of the server in WHATSAPP_MINIO_URL"
        )
    try:
        from wagateway.adapters.minio.objects import open_objects  # noqa: PLC0415 - an extra
    except ModuleNotFoundError as exc:
        raise Rejected("s3:// needs the SDK of MinIO: pip install 'wagateway[s3]'") from exc
    name, prefix = found
    async with open_objects(bucket(settings, name), prefix) as objects:
        yield RemoteBackups(objects, now, keys)


def _absolute(folder: str) -> Path:
    return Path(folder).expanduser().absolute()


def _backup_keys(settings: Settings) -> Keys | None:
    if settings.backup_passphrase is None:
        return None
    try:
        from wagateway.adapters.age.sealing import AgeKeys  # noqa: PLC0415 - an extra
    except ModuleNotFoundError as exc:
        raise Rejected(
            "WHATSAPP_BACKUP_PASSPHRASE needs the library of the format age: "
            "pip install 'wagateway[backup]'"
        ) from exc
    return AgeKeys(settings.backup_passphrase)


def back_up(tables: TableSource, media: MediaStore) -> BackUp:
    """Return what makes backups."""
    return BackUp(source=tables, media=media, clock=now, version=installed_version("wagateway"))


@asynccontextmanager
async def open_backup_worker(
    settings: Settings,
    services: Services,
    *,
    told: Callable[[Regular], None],
    troubled: Callable[[str | None], None],
) -> AsyncIterator[BackupWorker | None]:
    """Open a worker that makes regular backups; None where none are wanted, or nothing is kept.

    Args:
        settings: how often, where, and how many stay.
        services: opened, and kept open.
        told: is told of each backup.
        troubled: is told why none is made, and None when it goes on.

    Raises:
        InvalidInput: what opens the S3 server is not configured.
        Rejected: the extra ``backup`` or ``s3`` is needed, and not installed.
    """
    where, hours = settings.backup_dir, settings.backup_every_hours
    if where is None or hours is None or services.copies is None:
        yield None
        return
    async with open_backup_place(settings, where) as place:
        regular = RegularBackup(
            back_up=back_up(services.copies.tables, services.media),
            place=place,
            turns=services.copies.turns,
            clock=now,
            every=timedelta(hours=hours),
            keep=settings.backup_keep,
            with_media=settings.backup_media,
        )
        yield BackupWorker(regular=regular, told=told, troubled=troubled)
