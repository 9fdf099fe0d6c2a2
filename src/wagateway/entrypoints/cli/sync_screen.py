"""How far a sync is: a bar that moves on a terminal, else a line on stderr now and then."""

import time
from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager

from msgspec import Struct
from rich import progress
from rich.console import Console
from typing_extensions import override

from wagateway.entrypoints.cli.output import counted, note

_LINE_EVERY_S = 5.0


class Progress(Struct, frozen=True, kw_only=True):
    """One look at a sync.

    Attributes:
        chats: that are meant and known.
        left: of them, with something to read.
        looking: whether the look at all chats of a session is not done.
        messages: read by this process; stored: of these, what was news.
        problem: what it waits for.
    """

    chats: int
    left: int
    looking: bool
    messages: int
    stored: int
    problem: str | None = None

    @property
    def where(self) -> str:
        """How far it is, in words."""
        if self.left == 0 and self.looking:
            return "looking at all chats"
        return f"{self.left:,} of {counted(self.chats, 'chat')} left"


class SyncScreen(ABC):
    """Where a sync reports."""

    @abstractmethod
    def show(self, now: Progress) -> None:
        """Show the latest figures."""


@contextmanager
def open_sync_screen() -> Iterator[SyncScreen]:
    """Yield the screen that fits stderr."""
    console = Console(stderr=True)
    if not console.is_terminal:
        yield _Lines()
        return
    with progress.Progress(
        progress.TextColumn("{task.description}"),
        progress.BarColumn(),
        progress.TextColumn("{task.fields[rest]}"),
        progress.TimeElapsedColumn(),
        console=console,
        transient=True,
    ) as bar:
        yield _Bar(bar)


class _Speed:
    def __init__(self) -> None:
        self._begun = time.monotonic()

    def of(self, messages: int) -> float:
        return messages / max(time.monotonic() - self._begun, 0.001)


class _Bar(SyncScreen):
    def __init__(self, bar: progress.Progress) -> None:
        self._bar = bar
        self._speed = _Speed()
        self._task = bar.add_task("Reading", total=None, rest="")

    @override
    def show(self, now: Progress) -> None:
        read = f"{counted(now.messages, 'message')}, {self._speed.of(now.messages):,.0f}/s"
        known = now.chats > 0 and not (now.left == 0 and now.looking)
        self._bar.update(
            self._task,
            description="Waiting" if now.problem else "Reading",
            total=now.chats if known else None,  # else the bar only shows that it lives
            completed=now.chats - now.left,
            rest=f"{now.where}; {now.problem or read}",
        )


class _Lines(SyncScreen):
    def __init__(self) -> None:
        self._speed = _Speed()
        self._next = 0.0

    @override
    def show(self, now: Progress) -> None:
        if time.monotonic() < self._next:
            return
        self._next = time.monotonic() + _LINE_EVERY_S
        text = (
            f"{counted(now.messages, 'message')} read, {now.stored:,} stored, "
            f"{self._speed.of(now.messages):,.0f}/s; {now.where}"
        )
        note(f"{text}; {now.problem}" if now.problem else text)
