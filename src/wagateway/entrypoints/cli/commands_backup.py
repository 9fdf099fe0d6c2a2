"""The commands that keep an archive elsewhere, and bring it back: backup and restore.

Only their options and help: what they do is imported when they run, so that help is quick.
"""
# ruff: noqa: PLC0415 - see above

from pathlib import Path

import rich_click as click

from wagateway.entrypoints.cli.endings import Command, ExitCode, Group
from wagateway.entrypoints.cli.options import (
    Place,
    checked_postgres_url,
    data_dir_option,
    database_url_option,
)
from wagateway.entrypoints.cli.output import json_option

_backup_argument = click.argument("backup", metavar="DIR/NAME")


@click.group("backup", cls=Group, invoke_without_command=True)
@click.option(
    "--to",
    "where",
    metavar="DIR",
    help="The folder of backups, made where it is absent, or s3://bucket/prefix on the S3 server "
    "of WHATSAPP_MINIO_URL; default: WHATSAPP_BACKUP_DIR.",
)
@click.option(
    "--media",
    "with_media",
    is_flag=True,
    help="Copy attached files too, those that DIR does not have yet.",
)
@data_dir_option
@database_url_option
@json_option
@click.pass_context
def backup(
    ctx: click.Context,
    *,
    where: str | None,
    with_media: bool,
    data_dir: Path | None,
    database_url: str | None,
    as_json: bool,
) -> ExitCode | None:
    """Make a backup in DIR, while everything goes on.

    A folder of its own, named by the time in UTC, holds all tables as of one instant and a manifest
    with counts and checksums. It gets its name when it is whole: what was broken off is no backup.
    Attached files lie beside it in DIR/media, each once for all backups.

    With WHATSAPP_BACKUP_PASSPHRASE all of it is encrypted, in the format age. Backups hold people's
    messages and no secret of the gateway: keep secrets.json of the data folder and .env, too.

    Exit codes:
        0  it is made
        1  it is made, but attached files are missing or damaged in the store
        3  none is made: the disk is full, or database or store are away
        4  none is made: another one is being made in DIR, or its key is missing

    \b
    Examples:
      wagateway backup --to /mnt/disk/backups
      wagateway backup --to /mnt/disk/backups --media --json
      wagateway backup --to s3://my-backups/whatsapp --media
      wagateway backup verify /mnt/disk/backups/wagateway-20261127T063000Z
    """  # noqa: D301 - \b keeps click from re-wrapping
    if ctx.invoked_subcommand is not None:
        return None
    from wagateway.entrypoints.cli.backup import run_backup

    place = Place(data_dir=data_dir, database_url=database_url)
    return run_backup(place, where, with_media=with_media, as_json=as_json)


@backup.command(cls=Command)
@_backup_argument
@click.option(
    "--database",
    "scratch",
    metavar="URL",
    callback=checked_postgres_url,
    help="An empty PostgreSQL database to try it in, left empty; default: an embedded one in the "
    "folder of temporary files (TMPDIR), which needs room for all tables.",
)
@click.option("--hashes", is_flag=True, help="Only read and compare all files; restore nothing.")
@json_option
def verify(*, backup: str, scratch: str | None, hashes: bool, as_json: bool) -> ExitCode:
    """Prove that the backup DIR/NAME can be restored: read every file, and restore it aside.

    Compares the hashes of all files, attached ones too, then restores the tables into a database
    that is thrown away, and compares the count and the checksum of each with the backup.

    With --json each thing that is wrong is a line of JSON, and the last line is the sum.

    Exit codes:
        0  it is whole, and was restored
        1  something is missing or damaged, or it is none

    \b
    Examples:
      wagateway backup verify /mnt/disk/backups/wagateway-20261127T063000Z
      wagateway backup verify backups/wagateway-20261127T063000Z --hashes
      wagateway backup verify backups/wagateway-20261127T063000Z \\
          --database postgresql://me@db.example/scratch
    """  # noqa: D301 - \b keeps click from re-wrapping
    from wagateway.entrypoints.cli.backup import run_verify

    return run_verify(backup, scratch, hashes=hashes, as_json=as_json)


@click.command(cls=Command)
@_backup_argument
@click.option(
    "--without-media", is_flag=True, help="Leave attached files where they are; only tables."
)
@data_dir_option
@database_url_option
@json_option
def restore(
    *,
    backup: str,
    without_media: bool,
    data_dir: Path | None,
    database_url: str | None,
    as_json: bool,
) -> None:
    """Put the backup DIR/NAME back into an empty archive, whole or not at all.

    The archive is a database without rows of ours, or without our schema, which is made then; stop
    the gateway and the workers on it. On PostgreSQL 15 to 18, with or without TimescaleDB, wherever
    the backup comes from. Attached files go into the media store that is configured. At the end the
    count and the checksum of each table are compared with the backup, and only then it is there.

    A backup of an older version is brought up to date; one of a newer version is refused.

    \b
    Examples:
      wagateway restore /mnt/disk/backups/wagateway-20261127T063000Z
      wagateway restore backups/wagateway-20261127T063000Z \\
          --data-dir /srv/wagateway
      wagateway restore backups/wagateway-20261127T063000Z --without-media
    """  # noqa: D301 - \b keeps click from re-wrapping
    from wagateway.entrypoints.cli.backup import run_restore

    place = Place(data_dir=data_dir, database_url=database_url)
    run_restore(place, backup, with_media=not without_media, as_json=as_json)
