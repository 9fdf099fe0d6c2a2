"""How long each part of the work takes, for whoever collects that."""

from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager

from typing_extensions import override

Fact = str | int | float | bool


class Span(ABC):
    """A part of the work that is under way."""

    @abstractmethod
    def tell(self, **facts: Fact) -> None:
        """Add what turned out meanwhile: words of ours, counts, names of sessions, nobody's."""


class Tracing(ABC):
    """Measures parts of the work, the inner ones within the outer ones.

    It never fails and never waits. What an exception says is not passed on, only its type.
    """

    @abstractmethod
    def span(self, name: str, **facts: Fact) -> AbstractContextManager[Span]:
        """Measure what is done while the context is open; see Span.tell() for *facts*."""


class Untraced(Tracing):
    """Measures nothing."""

    @override
    @contextmanager
    def span(self, name: str, **facts: Fact) -> Iterator[Span]:
        yield _NOTHING


class _Nothing(Span):
    @override
    def tell(self, **facts: Fact) -> None:
        return None


_NOTHING = _Nothing()
UNTRACED = Untraced()
