"""``wagateway migrate``: the schema of a database."""

import asyncio

import rich_click as click
from msgspec import Struct

from wagateway.adapters.timescale.migrate import Status, migrate, status, storage_of
from wagateway.entrypoints.cli.endings import ExitCode
from wagateway.entrypoints.cli.options import Place
from wagateway.entrypoints.cli.output import echo_json
from wagateway.entrypoints.cli.place import database, settings_at
from wagateway.entrypoints.findings import Finding
from wagateway.entrypoints.plans import storage_plan
from wagateway.entrypoints.settings import Settings
from wagateway.entrypoints.storage_check import storage_finding


class Report(Struct, frozen=True, kw_only=True):
    """What ``--json`` prints; names as of the files, by ascending number.

    Attributes:
        up_to_date: whether nothing is pending any more.
        applied_now: by this command.
        storage: how the tables are kept, as `wagateway doctor` tells it; None before there are any.
    """

    up_to_date: bool
    applied: list[str]
    pending: list[str]
    applied_now: list[str]
    storage: Finding | None


def run_migrate(place: Place, *, only_status: bool, as_json: bool) -> ExitCode:
    """Migrate, or only compare; print what was found and done.

    Returns:
        FAILED when it was only to compare and something is pending.

    Raises:
        WagatewayError: see `migrate` and `status`.
    """
    settings = settings_at(place)
    report = asyncio.run(_compare(settings) if only_status else _migrate(settings))
    if as_json:
        echo_json(report)
    else:
        click.echo("\n".join(_lines(report)))
    return ExitCode.OK if report.up_to_date else ExitCode.FAILED


async def _compare(settings: Settings) -> Report:
    async with database(settings) as opened:
        return await _report(opened, [])


async def _migrate(settings: Settings) -> Report:
    async with database(settings, create=True) as opened:
        applied = await migrate(_url(opened), storage=storage_plan(opened))
        return await _report(opened, [migration.name for migration in applied])


def _url(opened: Settings) -> str:
    return opened.migration_url or ""


async def _report(opened: Settings, now: list[str]) -> Report:
    found = await status(_url(opened))
    return Report(
        storage=await _storage(opened, found),
        up_to_date=not found.pending,
        applied=[row.name for row in found.applied],
        pending=[migration.name for migration in found.pending],
        applied_now=now,
    )


async def _storage(opened: Settings, found: Status) -> Finding | None:
    if found.pending:
        return None
    return storage_finding(await storage_of(_url(opened)), storage_plan(opened))


def _lines(report: Report) -> list[str]:
    lines = [f"applied now  {name}" for name in report.applied_now]
    lines += [f"applied      {name}" for name in report.applied if name not in report.applied_now]
    lines += [f"pending      {name}" for name in report.pending]
    if report.storage:
        lines.append(f"storage      {report.storage.found}")
        lines += [f"             {report.storage.mend}"] if report.storage.mend else []
    if report.up_to_date:
        return [*lines, "The schema is up to date."]
    return [*lines, "The schema is behind: run `wagateway migrate`."]
