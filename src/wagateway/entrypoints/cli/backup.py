"""``wagateway backup``, ``backup verify`` and ``restore``."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime

import rich_click as click
from msgspec import Struct

from wagateway.adapters.timescale.copies import TimescaleTables
from wagateway.domain.backups import Manifest
from wagateway.domain.errors import InvalidInput, WagatewayError
from wagateway.entrypoints.backup_places import back_up, open_backup_place
from wagateway.entrypoints.backups import Verified, kept_backup, restore_backup, verify_backup
from wagateway.entrypoints.cli.endings import ExitCode
from wagateway.entrypoints.cli.media_screen import MediaScreen, open_media_screen
from wagateway.entrypoints.cli.options import Place
from wagateway.entrypoints.cli.output import counted, echo_json, note, sized
from wagateway.entrypoints.cli.place import archive_name, database, settings_at
from wagateway.entrypoints.settings import Settings
from wagateway.entrypoints.stores import open_media
from wagateway.entrypoints.zones import zone
from wagateway.usecases.back_up import Made, Progress, Told
from wagateway.usecases.restore_backup import Restored

_ANYWHERE = Place(data_dir=None, database_url=None)


class BackupReport(Struct, frozen=True, kw_only=True):
    """What ``backup --json`` prints.

    Attributes:
        backup: the folder.
        size_bytes: of what is in it.
        files: attached ones that it lists; *copied*: whether they belong to it.
        missing_files: that the media store lacks or has damaged.
        new_files, new_bytes: that were not in the folder of backups before.
    """

    backup: str
    begun_at: datetime
    encrypted: bool
    schema_version: int
    tables: dict[str, int]
    rows: int
    size_bytes: int
    files: int
    copied: bool
    missing_files: int
    new_files: int
    new_bytes: int


class VerifyReport(Struct, frozen=True, kw_only=True):
    """What ``backup verify --json`` prints last.

    Attributes:
        restored: whether it was restored aside, and was the same there.
    """

    backup: str
    whole: bool
    restored: bool
    rows: int
    size_bytes: int


class RestoreReport(Struct, frozen=True, kw_only=True):
    """What ``restore --json`` prints.

    Attributes:
        files: attached ones that were put back, or were there.
        files_left: that the backup lists and does not have.
    """

    backup: str
    begun_at: datetime
    rows: int
    files: int
    files_left: int


def run_backup(place: Place, where: str | None, *, with_media: bool, as_json: bool) -> ExitCode:
    """Make a backup, and print what it holds.

    Raises:
        InvalidInput: no folder is named, or it cannot be one.
        Conflict: another backup is being made there, or the schema is not up to date.
        NotFound: there is no archive.
        StoreUnavailable: something is away, or the disk is full.
    """
    settings = settings_at(place)
    where = where or settings.backup_dir
    if where is None:
        raise InvalidInput("Where to? Name a folder by --to, or set WHATSAPP_BACKUP_DIR.")
    made = asyncio.run(_backup(settings, where, with_media=with_media))
    manifest, path = made.manifest, f"{where.rstrip('/')}/{made.manifest.name}"
    if as_json:
        echo_json(_report(made, path))
    else:
        click.echo("\n".join(_lines(made, path)))
    return ExitCode.FAILED if manifest.media.missing else ExitCode.OK


async def _backup(settings: Settings, where: str, *, with_media: bool) -> Made:
    async with (
        open_backup_place(settings, where) as place,
        database(settings) as opened,
        open_media(opened) as media,
    ):
        tables = TimescaleTables(opened.migration_url or "")
        with open_media_screen("Backing up") as screen:
            return await back_up(tables, media)(place, with_media=with_media, told=_shown(screen))


def run_verify(path: str, scratch: str | None, *, hashes: bool, as_json: bool) -> ExitCode:
    """Read all of a backup, restore it aside, and print what is wrong.

    Raises:
        NotFound: there is none.
        Rejected: it cannot be opened, or there is no database to try it in.
        StoreUnavailable: the disk or that database is away, or is full.
    """
    settings = settings_at(_ANYWHERE)
    with _said_of(f"The backup {path} could not be verified"):
        verified = asyncio.run(_verify(settings, path, scratch, hashes=hashes))
    manifest, found = verified.manifest, verified.damage
    for each in found:
        if as_json:
            echo_json(each)
        else:
            click.echo(f"{each.file}  {each.problem}")
    whole = not found
    report = VerifyReport(
        backup=path,
        whole=whole,
        restored=verified.restored,
        rows=manifest.rows,
        size_bytes=manifest.size_bytes,
    )
    if as_json:
        echo_json(report)
    elif whole:
        how = ", and was restored aside without a difference" if verified.restored else ""
        click.echo(f"{path} is whole: {_content(manifest)}{how}.")
    else:
        click.echo(
            f"{path} is damaged ({counted(len(found), 'file')}): use another copy of it, or an "
            "older one. A damaged file in the folder media can be removed: the next backup with "
            "--media copies it again."
        )
    return ExitCode.OK if whole else ExitCode.FAILED


async def _verify(settings: Settings, path: str, scratch: str | None, *, hashes: bool) -> Verified:
    with open_media_screen("Verifying") as screen:
        return await verify_backup(
            settings, path, scratch=scratch, hashes=hashes, told=_shown(screen)
        )


def run_restore(place: Place, path: str, *, with_media: bool, as_json: bool) -> None:
    """Put a backup back, and print what is there now.

    Raises:
        NotFound: there is no such backup.
        Conflict: the archive is not empty, or the backup is of a newer version.
        Rejected: the backup is damaged or cannot be opened.
        StoreUnavailable: something is away, or a disk is full.
    """
    settings = settings_at(place)
    target = archive_name(settings)
    with _said_of(f"The backup {path} was not put back into {target}"):
        manifest, done = asyncio.run(_restore(settings, path, with_media=with_media))
    if as_json:
        echo_json(
            RestoreReport(
                backup=path,
                begun_at=manifest.begun_at,
                rows=done.rows,
                files=done.files,
                files_left=done.files_left,
            )
        )
        return
    at = manifest.begun_at.astimezone(zone(settings.timezone)).isoformat(timespec="seconds")
    click.echo(f"{path} is back in {target}, as it was at {at}: {_back(done)}.")
    if done.files_left:
        click.echo(
            f"{counted(done.files_left, 'file')} not in the backup: `wagateway media verify` tells "
            "whether the media store has them, and --repair fetches again what it has not."
        )
    note(f"Start the gateway. {_later(settings, at)}")


def _later(settings: Settings, at: str) -> str:
    """Return what becomes of messages that came after *at*."""
    if settings.engine_url is None:
        return (
            f"What came after {at} is not in the backup: set WHATSAPP_CORE_URL to WAHA's address, "
            "so that sync reads it there."
        )
    if not settings.sync_enabled:
        return (
            f"What came after {at} is not in the backup, and nothing reads it from WAHA: sync is "
            "switched off by WHATSAPP_SYNC_ENABLED."
        )
    return f"Sync reads from WAHA what came after {at}."


async def _restore(settings: Settings, path: str, *, with_media: bool) -> tuple[Manifest, Restored]:
    # The backup first: what cannot be opened should be said before a database is made.
    async with (
        kept_backup(settings, path) as kept,
        database(settings, create=True) as opened,
    ):
        with open_media_screen("Restoring") as screen:
            done = await restore_backup(opened, kept, with_media=with_media, told=_shown(screen))
            return kept.manifest, done


@contextmanager
def _said_of(what: str) -> Iterator[None]:
    """Let a failure begin with *what* it is about."""
    try:
        yield
    except WagatewayError as exc:
        exc.args = (f"{what}: {exc}",)
        raise


def _shown(screen: MediaScreen) -> Told:
    def show(progress: Progress) -> None:
        parts = [progress.doing]
        if progress.rows:
            parts.append(counted(progress.rows, "row"))
        if progress.files:
            parts.append(counted(progress.files, "file"))
        if progress.size_bytes:
            parts.append(sized(progress.size_bytes))
        screen.show(", ".join(parts))

    return show


def _report(made: Made, path: str) -> BackupReport:
    manifest = made.manifest
    return BackupReport(
        backup=path,
        begun_at=manifest.begun_at,
        encrypted=manifest.encrypted,
        schema_version=manifest.schema_version,
        tables={table.name: table.rows for table in manifest.tables},
        rows=manifest.rows,
        size_bytes=manifest.size_bytes,
        files=manifest.media.files,
        copied=manifest.media.copied,
        missing_files=manifest.media.missing,
        new_files=made.new_files,
        new_bytes=made.new_bytes,
    )


def _lines(made: Made, path: str) -> list[str]:
    manifest = made.manifest
    media = manifest.media
    lines = [f"{path}: {_content(manifest)}{', encrypted' if manifest.encrypted else ''}."]
    if media.copied and not media.files:
        lines.append("The archive has no attached files.")
    elif media.copied:
        lines.append(
            f"{counted(media.files, 'attached file')} ({sized(media.size_bytes)}). Copied now, "
            f"previews included: {counted(made.new_files, 'file')} ({sized(made.new_bytes)})."
        )
    elif media.files:
        lines.append(f"{counted(media.files, 'attached file')} only listed: --media copies them.")
    if media.missing:
        lines.append(
            f"{counted(media.missing, 'file')} missing or damaged in the media store: "
            "`wagateway media verify --repair` has them fetched again."
        )
    return lines


def _content(manifest: Manifest) -> str:
    tables = counted(len(manifest.tables), "table")
    return f"{counted(manifest.rows, 'row')} of {tables}, {sized(manifest.size_bytes)}"


def _back(done: Restored) -> str:
    files = f", {counted(done.files, 'file')} (previews included)" if done.files else ""
    return f"{counted(done.rows, 'row')}, the same as in the backup{files}"
