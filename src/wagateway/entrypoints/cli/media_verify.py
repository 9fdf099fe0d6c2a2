"""``wagateway media verify``: the media store against the database."""

import asyncio
from collections.abc import Mapping

import rich_click as click
from msgspec import Struct

from wagateway.entrypoints.cli.endings import ExitCode
from wagateway.entrypoints.cli.media_screen import open_media_screen
from wagateway.entrypoints.cli.options import Place
from wagateway.entrypoints.cli.output import counted, echo_json, note, sized
from wagateway.entrypoints.cli.place import archive_of, settings_at
from wagateway.entrypoints.containers import Services
from wagateway.entrypoints.settings import Settings
from wagateway.usecases.verify_media import Checked, Finding, Mended, Problem, Verification

_DONE = {
    Mended.DUE: "is fetched again",
    Mended.LOOK: "is made again",
    Mended.REMOVED: "removed",
}


class Sum(Struct, kw_only=True):
    """What ``--json`` prints last.

    Attributes:
        files: that were looked at, previews included.
        read_bytes: of them.
        found: how many have which problem.
        mended: how many of these were mended.
        downloads: that are due again because of that.
    """

    files: int
    read_bytes: int
    found: Mapping[Problem, int]
    mended: int
    downloads: int

    @property
    def left(self) -> int:
        """How many problems there still are."""
        return sum(self.found.values()) - self.mended

    def add(self, checked: Checked) -> None:
        """Count one more."""
        self.files += 1
        self.read_bytes += checked.read_bytes
        if (finding := checked.finding) is not None:
            before = self.found.get(finding.problem, 0)
            self.found = {**self.found, finding.problem: before + 1}
            self.mended += finding.mended is not None
            self.downloads += finding.downloads

    @property
    def text(self) -> str:
        """All of it, for people."""
        read = f", {sized(self.read_bytes)} read" if self.read_bytes else ""
        found = ", ".join(f"{number:,} {problem}" for problem, number in self.found.items())
        return f"{counted(self.files, 'file')} looked at{read}; {found or 'nothing is wrong'}"


def run_verify(place: Place, how: Verification, *, as_json: bool) -> ExitCode:
    """Look at every file; print each finding as it comes, and the sum.

    Raises:
        Rejected: the store has none of the files.
        StoreUnavailable: the store or the database is away.
    """
    return asyncio.run(_verify(settings_at(place), how, as_json=as_json))


async def _verify(settings: Settings, how: Verification, *, as_json: bool) -> ExitCode:
    async with archive_of(settings) as services:
        done = await _looked(services, how, as_json=as_json)
    if as_json:
        echo_json(done)
    else:
        click.echo(f"{done.text}.")
        for hint in _hints(done, how):
            click.echo(hint)
    return ExitCode.FAILED if done.left else ExitCode.OK


async def _looked(services: Services, how: Verification, *, as_json: bool) -> Sum:
    done = Sum(files=0, read_bytes=0, found={}, mended=0, downloads=0)
    try:
        with open_media_screen("Verifying") as screen:
            async for checked in services.verify(how):
                done.add(checked)
                screen.show(done.text)
                if checked.finding is not None and as_json:
                    echo_json(checked.finding)
                elif checked.finding is not None:
                    click.echo(_line(checked.finding))
    except BaseException:  # Ctrl-C too
        if done.files:
            note(f"Not all was looked at: {done.text}.")
        raise
    return done


def _line(finding: Finding) -> str:
    used = f", of {counted(finding.messages, 'message')}" if finding.messages else ""
    done = f": {_DONE[finding.mended]}" if finding.mended else ""
    return f"{finding.problem:<10}  {finding.key}  ({sized(finding.size_bytes)}{used}){done}"


def _hints(done: Sum, how: Verification) -> list[str]:
    hints = []
    if done.downloads:
        hints.append(
            f"{counted(done.downloads, 'download')} due again: a running `wagateway up` or "
            "`wagateway worker` fetches the files, if WAHA or WhatsApp still has them."
        )
    if (set(done.found) - {Problem.ORPHAN, Problem.UNREADABLE}) and not how.repair:
        hints.append("--repair fetches again what is missing or damaged.")
    if Problem.ORPHAN in done.found and not how.remove_orphans:
        hints.append("--remove-orphans removes what the database does not know.")
    return hints
