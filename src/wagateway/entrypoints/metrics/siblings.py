"""Several processes behind one port: each writes down what it counts, and tells what all do.

Who scrapes reaches one of them, whichever it may be. So each series has the process' number as a
label: one that began anew counts from zero again, and only its own series do.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import structlog
from prometheus_client import Metric
from prometheus_client.parser import text_string_to_metric_families

_log: structlog.typing.FilteringBoundLogger = structlog.get_logger("wagateway.metrics")

EVERY_S = 5.0
LABEL = "worker"


class Siblings:
    """A folder with a file for each process, which it alone writes, and whole."""

    def __init__(self, folder: Path, number: int) -> None:
        """Be process *number*, from 0, of those that share *folder*."""
        self._folder = folder
        self._number = number

    def write(self, page: bytes) -> None:
        """Let the others read *page* from now on.

        Raises:
            OSError: the disk is full, or the folder is gone.
        """
        new = self._folder / f".{self._number}"
        new.write_bytes(page)
        new.replace(self._folder / f"{self._number}.prom")

    def joined(self, mine: Iterable[Metric]) -> list[Metric]:
        """Return *mine* with what the others wrote last, each series with its process' number."""
        families: dict[str, Metric] = {}
        for number, page in [(self._number, mine), *self._others()]:
            for family in page:
                whole = families.setdefault(
                    family.name, Metric(family.name, family.documentation, family.type)
                )
                whole.samples += [
                    each._replace(labels={LABEL: str(number), **each.labels})
                    for each in family.samples
                ]
        return list(families.values())

    def _others(self) -> Iterator[tuple[int, Iterable[Metric]]]:
        for path in sorted(self._folder.glob("[0-9]*.prom")):
            if int(path.stem) == self._number:
                continue
            with suppress(OSError, ValueError):  # a process that began later, or another version
                text = path.read_text("utf-8")
                yield int(path.stem), list(text_string_to_metric_families(text))

    @asynccontextmanager
    async def told(
        self, page: Callable[[], bytes], *, every_s: float = EVERY_S
    ) -> AsyncIterator[None]:
        """Write *page* again and again while the context is open."""
        task = asyncio.create_task(self._tell(page, every_s))
        try:
            yield
        finally:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task

    async def _tell(self, page: Callable[[], bytes], every_s: float) -> None:
        while True:
            try:
                self.write(page())
            except OSError as exc:
                _log.warning("metrics_not_shared", error=type(exc).__name__)
            await asyncio.sleep(every_s)
