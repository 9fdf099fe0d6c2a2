"""Query parameters of WAHA's lists, and WAHA's pages."""

from collections.abc import Callable, Mapping, Sequence
from typing import Self, TypeVar

from msgspec import Struct

from wagateway.simulator.rest_answers import refused
from wagateway.simulator.shapes import ACK_NAMES

T = TypeVar("T")

ALL = 1_000_000
"""A limit for lists that have none unless one is asked for."""
_ACKS = {"ERROR": -1, **{name: number for number, name in ACK_NAMES.items()}}
_YES, _NO = frozenset({"true", "1"}), frozenset({"false", "0"})


class Page(Struct, frozen=True, kw_only=True):
    """Which part of a list is asked for, in which order."""

    limit: int
    offset: int = 0
    sort_by: str | None = None
    descending: bool = True

    def of(self, items: Sequence[T]) -> list[T]:
        """Return the part of *items*, which are in order."""
        return list(items[self.offset : self.offset + self.limit])


class Filter(Struct, frozen=True, kw_only=True):
    """What rows of a page are wanted; None wants all.

    Attributes:
        since_s, until_s: WhatsApp's time in epoch seconds, both inclusive.
        ack: WAHA's number.
    """

    since_s: int | None = None
    until_s: int | None = None
    from_me: bool | None = None
    ack: int | None = None

    def wants(self, at_s: int, ack: int | None, *, from_me: bool) -> bool:
        """Tell whether a row with these facts is wanted."""
        return (
            (self.since_s is None or at_s >= self.since_s)
            and (self.until_s is None or at_s <= self.until_s)
            and (self.from_me is None or from_me is self.from_me)
            and (self.ack is None or ack == self.ack)
        )


class Query:
    """The query of one request.

    Its methods raise Refused with status 400 where a value is not what it should be, as WAHA's
    validation does.
    """

    def __init__(self, values: Mapping[str, str]) -> None:
        self.values = values

    @classmethod
    def of_body(cls, values: Mapping[str, object]) -> Self:
        """Return what a JSON object asks for: null is as good as nothing, and 20.0 is 20."""
        return cls({name: _word(value) for name, value in values.items() if value is not None})

    def text(self, name: str, default: str | None = None) -> str | None:
        """Return a text."""
        return self.values.get(name, default)

    def number(self, name: str, default: int | None = None) -> int | None:
        """Return an integer of 0 or more."""
        given = self.values.get(name)
        if given is None:
            return default
        if not (given.isascii() and given.isdigit()):
            raise refused(400, [f"{name} must be a number conforming to the specified constraints"])
        return int(given)

    def flag(self, name: str, *, default: bool) -> bool:
        """Return a boolean."""
        given = self.values.get(name)
        if given is None:
            return default
        return self._one_of(name, given.lower(), _YES | _NO) in _YES

    def page(
        self, *, limit: int = ALL, sorts: tuple[str, ...] = (), descending: bool = True
    ) -> Page:
        """Return the part that is asked for.

        Args:
            limit: unless it is said.
            sorts: what can be sorted by, the default first.
            descending: the order unless it is said.
        """
        order = self.choice("sortOrder", ("desc", "asc"))
        return Page(
            limit=self.number("limit", limit) or 0,
            offset=self.number("offset", 0) or 0,
            sort_by=self.choice("sortBy", sorts) or (sorts[0] if sorts else None),
            descending=descending if order is None else order == "desc",
        )

    def filter(self) -> Filter:
        """Return which messages are wanted."""
        mine = self.values.get("filter.fromMe")
        ack = self.choice("filter.ack", tuple(_ACKS))
        return Filter(
            since_s=self.number("filter.timestamp.gte"),
            until_s=self.number("filter.timestamp.lte"),
            from_me=None if mine is None else self.flag("filter.fromMe", default=False),
            ack=None if ack is None else _ACKS[ack],
        )

    def choice(self, name: str, known: tuple[str, ...]) -> str | None:
        """Return the word that is given, one of *known*; None where none is, or none is known."""
        given = self.values.get(name)
        return None if given is None or not known else self._one_of(name, given, known)

    def _one_of(self, name: str, given: str, known: Sequence[str] | frozenset[str]) -> str:
        if given not in known:
            allowed = ", ".join(sorted(known))
            raise refused(400, [f"{name} must be one of the following values: {allowed}"])
        return given


def _word(value: object) -> str:
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return str(value).lower() if isinstance(value, bool) else str(value)


def in_order(items: list[T], page: Page, key: Callable[[T], tuple[int | str, ...]]) -> list[T]:
    """Return the part of *items* that *page* asks for, sorted by *key*."""
    return page.of(sorted(items, key=key, reverse=page.descending))
