"""``wagateway media prepare``: the place where files are kept, made and tried."""

import asyncio

import rich_click as click

from wagateway.entrypoints.cli.endings import ExitCode
from wagateway.entrypoints.cli.options import Place
from wagateway.entrypoints.cli.output import echo_json
from wagateway.entrypoints.cli.place import settings_at
from wagateway.entrypoints.findings import Finding, Verdict
from wagateway.entrypoints.media_check import media_finding
from wagateway.entrypoints.settings import Settings
from wagateway.entrypoints.stores import open_media


def run_prepare(*, as_json: bool) -> ExitCode:
    """Make the place, print how it is, and return FAILED where it is broken.

    Raises:
        StoreUnavailable: it is away.
    """
    found = asyncio.run(_prepared(settings_at(Place(data_dir=None, database_url=None))))
    if as_json:
        echo_json(found)
    else:
        click.echo(found.found)
        if found.mend:
            click.echo(found.mend)
    return ExitCode.FAILED if found.verdict is Verdict.FAIL else ExitCode.OK


async def _prepared(settings: Settings) -> Finding:
    if settings.media_enabled:
        async with open_media(settings) as store:
            await store.prepare()
    return await media_finding(settings)
