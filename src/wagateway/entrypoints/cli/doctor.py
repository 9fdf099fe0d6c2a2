"""``wagateway doctor``: prints what an examination finds."""

import asyncio
from contextlib import aclosing
from functools import partial

import rich_click as click

from wagateway.entrypoints.cli.endings import ExitCode
from wagateway.entrypoints.cli.options import Place
from wagateway.entrypoints.cli.output import echo_json
from wagateway.entrypoints.cli.place import database, settings_beside
from wagateway.entrypoints.doctor import Report, examine, report_of
from wagateway.entrypoints.findings import Finding, Verdict

_COLOURS = {
    Verdict.OK: "green",
    Verdict.WARN: "yellow",
    Verdict.FAIL: "red",
    Verdict.SKIPPED: "bright_black",
}


def run_doctor(place: Place, *, port: int | None, as_json: bool) -> ExitCode:
    """Examine, print findings as they come, and return FAILED when something is broken."""
    report = asyncio.run(_examine(place, port, as_json=as_json))
    if as_json:
        echo_json(report)
    else:
        click.echo(_conclusion(report))
    return ExitCode.OK if report.ok else ExitCode.FAILED


async def _examine(place: Place, port: int | None, *, as_json: bool) -> Report:
    findings = []
    load = partial(settings_beside, place, port=port)
    async with aclosing(examine(load, database)) as examination:
        async for finding in examination:
            findings.append(finding)
            if not as_json:
                _show(finding)
    return report_of(findings)


def _show(finding: Finding) -> None:
    verdict = click.style(f"{finding.verdict.value:<8}", fg=_COLOURS[finding.verdict])
    click.echo(f"{verdict} {finding.hop}: {_below(finding.found)}")
    if finding.mend:
        click.echo(f"         -> {_below(finding.mend)}")


def _below(text: str) -> str:
    """Return *text*, whose further lines stand below its first."""
    return text.replace("\n", "\n         ")


def _conclusion(report: Report) -> str:
    if report.broken:
        return f"\nBroken: {report.broken}. Mend this first; what follows may come from it."
    if any(finding.verdict is Verdict.WARN for finding in report.findings):
        return "\nNothing is broken; see the warnings."
    return "\nEverything that could be looked at works."
