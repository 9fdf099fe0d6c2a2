"""``wagateway simulate check``: an archive beside the truth."""

import asyncio
import json
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import IO

import msgspec
import rich_click as click

from wagateway.domain.errors import InvalidInput, NotFound, StoreUnavailable
from wagateway.entrypoints.cli.endings import ExitCode
from wagateway.entrypoints.cli.output import counted, echo_json, note
from wagateway.simulator.check import Comparison, Finding, Report, Sort
from wagateway.simulator.truth import VERSION, Line
from wagateway.simulator.wagateway_api import ApiFailed, WagatewayApi

_STANDARD_INPUT = Path("-")
_TELL_EVERY = 20_000


def run_check(
    truth: Path, *, api: str | None, token: str | None, archive: Path | None, as_json: bool
) -> int:
    """Compare, and print what differs.

    Raises:
        InvalidInput: a file is not what it should be.
        NotFound: there is no such file.
        StoreUnavailable: the API does not answer as it should.
    """
    try:
        with ExitStack() as stack:
            comparison = Comparison(_whole(_lines(_opened(stack, truth), truth), truth))
            if archive:
                for line in _lines(_opened(stack, archive), archive):
                    comparison.see(line)
            elif api:
                asyncio.run(_read_api(comparison, api, token))
    except ValueError as exc:
        raise InvalidInput(str(exc)) from exc
    report = comparison.report()
    if not report.expected:
        raise InvalidInput(f"{truth} expects no message: was any delivery accepted?")
    if as_json:
        echo_json(report)
    else:
        click.echo("\n".join(_told(report)))
    return ExitCode.OK if report.perfect else ExitCode.FAILED


async def _read_api(comparison: Comparison, api: str, token: str | None) -> None:
    if not api.startswith(("http://", "https://")):
        raise InvalidInput(f"--api is an http:// or https:// address, not {api[:80]!r}")
    seen = 0
    try:
        async for line in WagatewayApi(api, token or "").lines(comparison.sessions):
            comparison.see(line)
            seen += 1
            if seen % _TELL_EVERY == 0:
                note(f"{seen:,} lines read")
    except ApiFailed as exc:
        raise StoreUnavailable(str(exc)) from exc


def _opened(stack: ExitStack, path: Path) -> IO[bytes]:
    if path == _STANDARD_INPUT:
        return sys.stdin.buffer
    try:
        return stack.enter_context(path.open("rb"))
    except OSError as exc:
        raise NotFound(f"{path}: {exc.strerror}") from exc


def _lines(file: IO[bytes], path: Path) -> Iterator[Line]:
    for number, text in enumerate(file, 1):
        if not text.strip():
            continue
        try:
            line = msgspec.json.decode(text)
        except msgspec.DecodeError as exc:
            raise InvalidInput(f"{path}, line {number}: not JSON ({exc})") from exc
        if not isinstance(line, dict):
            raise InvalidInput(f"{path}, line {number}: expected a JSON object")
        yield line


def _whole(lines: Iterator[Line], path: Path) -> Iterator[Line]:
    """Yield all lines of a truth, which must have a beginning that we know and an end."""
    count = 0
    line: Line = {}
    for count, line in enumerate(lines, 1):
        if count == 1 and (line.get("type"), line.get("version")) != ("simulation", VERSION):
            raise InvalidInput(
                f"{path} is not what `wagateway simulate --truth` of this version wrote"
            )
        yield line
    if line != {"type": "end", "lines": count - 1}:
        raise InvalidInput(f"{path} is not whole: it has no end")


def _told(report: Report) -> Iterator[str]:
    for sort in Sort:
        examples = [finding for finding in report.examples if finding.sort is sort]
        yield f"{sort.value:<9} {report.counts[sort]:>9,}"
        for finding in examples:
            yield f"    {_described(finding)}"
    held = counted(report.found, "message")
    wanted = counted(report.expected, "message")
    verdict = "The archive equals the truth" if report.perfect else "The archive differs"
    yield f"{verdict}: {wanted} must be there, {held} of the simulated sessions are."


def _described(finding: Finding) -> str:
    what = " ".join(f"{name}={value}" for name, value in finding.what.items())
    if finding.field is None:
        return what
    expected, found = (
        json.dumps(value, ensure_ascii=False)[:300] for value in (finding.expected, finding.found)
    )
    return f"{what}\n        {finding.field}: expected {expected}, found {found}"
