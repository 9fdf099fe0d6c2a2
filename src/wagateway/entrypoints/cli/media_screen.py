"""How far a look at many files is: a line that moves on a terminal, else one now and then."""

import time
from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager

from rich import progress
from rich.console import Console
from typing_extensions import override

from wagateway.entrypoints.cli.output import note, on_terminal

_LINE_EVERY_S = 5.0
_SHOW_EVERY_S = 0.1


class MediaScreen(ABC):
    """Where a command that goes through files tells how far it is."""

    def __init__(self, every_s: float) -> None:
        """Show something at most so often."""
        self._every_s = every_s
        self._next = time.monotonic() + every_s

    def show(self, text: str) -> None:
        """Show the latest figures, unless that was done a moment ago."""
        if time.monotonic() >= self._next:
            self._next = time.monotonic() + self._every_s
            self._show(text)

    @abstractmethod
    def _show(self, text: str) -> None:
        """Show *text*."""


@contextmanager
def open_media_screen(doing: str) -> Iterator[MediaScreen]:
    """Yield the screen that fits stderr; *doing* is what is done, such as ``Verifying``."""
    console = Console(stderr=True)
    if not console.is_terminal:
        yield _Lines(_LINE_EVERY_S)
        return
    with progress.Progress(
        progress.SpinnerColumn(),
        progress.TextColumn("{task.description}"),
        progress.TextColumn("{task.fields[rest]}"),
        progress.TimeElapsedColumn(),
        console=console,
        transient=True,
        redirect_stdout=on_terminal(),  # what goes into a file must not be drawn instead
    ) as bar:
        yield _Bar(bar, doing)


class _Bar(MediaScreen):
    def __init__(self, bar: progress.Progress, doing: str) -> None:
        super().__init__(_SHOW_EVERY_S)
        self._bar = bar
        self._task = bar.add_task(doing, total=None, rest="")

    @override
    def _show(self, text: str) -> None:
        self._bar.update(self._task, rest=text)


class _Lines(MediaScreen):
    @override
    def _show(self, text: str) -> None:
        note(text)
