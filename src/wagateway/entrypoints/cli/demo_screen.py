"""What the demo shows: a table that changes in place on a terminal, else a line now and then."""

import time
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import rich_click as click
from rich.console import Console
from rich.live import Live
from rich.table import Table
from typing_extensions import override

from wagateway.entrypoints.cli.figures import Figures
from wagateway.entrypoints.cli.output import counted

_LINE_EVERY_S = 5.0


class Screen(ABC):
    """Where a demo reports."""

    @abstractmethod
    def say(self, lines: Sequence[str]) -> None:
        """Print *lines* for good; long ones are not broken, so that they can be copied."""

    @abstractmethod
    def show(self, figures: Figures) -> None:
        """Show the latest figures."""


@contextmanager
def open_screen() -> Iterator[Screen]:
    """Yield the screen that fits stdout."""
    console = Console()
    if not console.is_terminal:
        yield _Lines()
        return
    with Live(console=console, refresh_per_second=4) as live:
        yield _Terminal(live)


class _Terminal(Screen):
    def __init__(self, live: Live) -> None:
        self._live = live

    @override
    def say(self, lines: Sequence[str]) -> None:
        for line in lines:
            self._live.console.print(line, markup=False, highlight=False, soft_wrap=True)

    @override
    def show(self, figures: Figures) -> None:
        table = Table.grid(padding=(0, 2))
        table.add_column(style="bold cyan", justify="right")
        table.add_column()
        for name, value in _rows(figures):
            table.add_row(name, value)
        self._live.update(table)


class _Lines(Screen):
    def __init__(self) -> None:
        self._next = time.monotonic()

    @override
    def say(self, lines: Sequence[str]) -> None:
        for line in lines:
            click.echo(line)

    @override
    def show(self, figures: Figures) -> None:
        if time.monotonic() >= self._next:
            self._next = time.monotonic() + _LINE_EVERY_S
            click.echo(", ".join(f"{name} {value}" for name, value in _rows(figures)))


def _rows(figures: Figures) -> Iterator[tuple[str, str]]:
    answered = figures.answered
    yield "deliveries", f"{figures.delivered:,} ({figures.per_second:,.0f}/s)"
    yield "stored", f"{answered.stored:,}"
    yield "duplicates", f"{answered.duplicates:,}"
    yield "kept raw only", f"{answered.ignored:,}"
    if answered.failed:
        yield "failed", f"{answered.failed:,}"
    if figures.repeats:
        yield "repeated", f"{figures.repeats:,}"
    yield "messages", f"{figures.messages:,} in {counted(figures.chats, 'chat')}"
