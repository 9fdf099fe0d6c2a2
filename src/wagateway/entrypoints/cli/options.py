"""Options that several commands share."""

import os
from datetime import datetime
from pathlib import Path

import rich_click as click
from msgspec import Struct
from typing_extensions import override


class Instant(click.ParamType[datetime]):
    """A point in time in ISO 8601; without an offset it is naive."""

    name = "time"

    @override
    def convert(
        self, value: str | datetime, param: click.Parameter | None, ctx: click.Context | None
    ) -> datetime:
        if isinstance(value, datetime):
            return value
        try:
            return datetime.fromisoformat(value.strip())
        except ValueError:
            self.fail(
                f"{value[:80]!r} is no point in time; write 2026-10-01, '2026-10-01 18:30' or "
                "2026-10-01T18:30:00-03:00.",
                param,
                ctx,
            )


class FolderPath(click.Path):
    """A folder; an empty name, as an unset variable leaves it, is not the current one."""

    @override
    def convert(
        self,
        value: str | os.PathLike[str],
        param: click.Parameter | None,
        ctx: click.Context | None,
    ) -> str | bytes | os.PathLike[str]:
        if value == "":
            self.fail("the name is empty; write . for the current folder.", param, ctx)
        return super().convert(value, param, ctx)


class Place(Struct, frozen=True, kw_only=True):
    """Where the archive is, as far as the command line says; None leaves it to the settings."""

    data_dir: Path | None
    database_url: str | None


def checked_postgres_url(ctx: click.Context, param: click.Parameter, url: str | None) -> str | None:
    """Return *url*, where it is none or one of PostgreSQL."""
    if url == "memory://":
        raise click.BadParameter("write postgresql://user:password@host:port/name")
    return _checked_url(ctx, param, url)


def _checked_url(_: click.Context, __: click.Parameter, url: str | None) -> str | None:
    if url is None or url.startswith(("postgresql://", "postgres://", "memory://")):
        return url
    # Not quoted: it may hold a password.
    raise click.BadParameter("write postgresql://user:password@host:port/name")


data_dir_option = click.option(
    "--data-dir",
    metavar="FOLDER",
    type=FolderPath(file_okay=False, readable=False, path_type=Path),  # our own words tell more
    help="Folder of the embedded PostgreSQL and of the generated tokens; overrides "
    "WHATSAPP_DATA_DIR and a database that the settings name. "
    "Default on Linux: ~/.local/share/wagateway",
)

database_url_option = click.option(
    "--database-url",
    metavar="URL",
    callback=_checked_url,
    help="A PostgreSQL of yours: postgresql://user:password@host:port/name. Others on this machine "
    "can read your command line: give a password by WHATSAPP_DATABASE_URL.",
)

host_option = click.option(
    "--host",
    metavar="ADDRESS",
    help="Address to listen on; overrides WHATSAPP_GATEWAY_API_HOST. Default: 127.0.0.1, which "
    "only programs on this machine reach.",
)

running_port_option = click.option(
    "--port",
    metavar="NUMBER",
    type=click.IntRange(1, 65535),
    help="Port of the gateway. Default: that of the `wagateway up` that runs on the data folder, "
    "else WHATSAPP_GATEWAY_API_PORT, else 4011",
)

port_option = click.option(
    "--port",
    metavar="NUMBER",
    type=click.IntRange(1, 65535),
    help="Port of the gateway; overrides WHATSAPP_GATEWAY_API_PORT. Default: 4011",
)
