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

from wagateway.domain.errors import InvalidInput, StoreUnavailable
from wagateway.entrypoints.cli.endings import ExitCode
from wagateway.entrypoints.cli.output import counted, echo_json, note
from wagateway.simulator.check import Comparison, Finding, Report, Sort
from wagateway.simulator.truth import VERSION, Line
from wagateway.simulator.wagateway_api import ApiFailed, WagatewayApi

_STANDARD_INPUT = Path("-")
_TELL_EVERY = 20_000


def run_check(
    truth: Path,
    *,
    api: str | None,
    token: str | None,
    archive: Path | None,
    fields: str | None,
    as_json: bool,
) -> int:
    """Compare, and print what differs.

    Raises:
        InvalidInput: a file is not what it should be.
        StoreUnavailable: the API does not answer as it should.
    """
    try:
        with ExitStack() as stack:
            chosen = {name.strip() for name in fields.split(",")} if fields else None
            told = _whole(_lines(_opened(stack, truth), truth), truth)
            comparison = Comparison(told, fields=chosen)
            if archive:
                _read_file(comparison, _opened(stack, archive), archive)
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


def _read_file(comparison: Comparison, file: IO[bytes], path: Path) -> None:
    for number, line in _numbered(file, path):
        try:
            comparison.see(line)
        except ValueError as exc:
            raise InvalidInput(f"{path}, line {number}: {exc}") from exc


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
        raise InvalidInput(f"{path}: {exc.strerror}") from exc


def _lines(file: IO[bytes], path: Path) -> Iterator[Line]:
    return (line for _, line in _numbered(file, path))


def _numbered(file: IO[bytes], path: Path) -> Iterator[tuple[int, Line]]:
    for number, text in enumerate(file, 1):
        if not text.strip():
            continue
        try:
            line = msgspec.json.decode(text)
        except msgspec.DecodeError as exc:
            raise InvalidInput(f"{path}, line {number}: not JSON ({exc})") from exc
        if not isinstance(line, dict):
            raise InvalidInput(f"{path}, line {number}: expected a JSON object")
        yield number, line


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
        if sort is Sort.WRONG and report.fields:
            yield "    " + ", ".join(f"{name} {count:,}" for name, count in report.fields.items())
        for finding in examples:
            yield f"    {_described(finding)}"
    verdict = "The archive equals the truth" if report.perfect else "The archive differs"
    yield (
        f"{verdict}: {counted(report.expected, 'message')} must be there and some may be; "
        f"{report.found:,} are."
    )


def _described(finding: Finding) -> str:
    what = " ".join(f"{name}={value}" for name, value in finding.what.items())
    if finding.field is None:
        return what
    expected, found = (
        json.dumps(value, ensure_ascii=False)[:300] for value in (finding.expected, finding.found)
    )
    return f"{what}\n        {finding.field}: expected {expected}, found {found}"
