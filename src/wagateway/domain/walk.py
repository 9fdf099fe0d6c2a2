"""One walk through an engine's list of messages, newest first, that proves what it has seen.

Offsets count from the newest message, so the list moves under the walk: what arrives pushes rows
towards greater offsets (they are seen twice), what the engine forgets pulls them towards smaller
ones (they would be skipped). Filters by time do not help: engines apply them after paging. So each
page is asked to overlap the one before. A page that begins with something newer than the oldest
instant seen so far continues the list without a hole; one that does not makes the walk step back,
or, where it only shows rows of that very instant again, go on without a proof. Rows of one second
may change places between two requests, so a page is laid to begin before the second in which the
last one broke off.
"""

from datetime import UTC, datetime, timedelta
from typing import NamedTuple

import msgspec
from msgspec import Struct

from wagateway.domain.identity import StanzaId
from wagateway.domain.spans import Spans, span

OVERLAP = 10
"""Rows of a page that the next one is to show again; limits must be greater."""

SETTLE = timedelta(minutes=2)
"""What was sent so shortly before a walk began may not have reached the engine's list by then."""

_SECOND = timedelta(seconds=1)
_BLANKS = 2
"""Empty pages in a row, behind one that ran short, that are the end of the list."""
_REPEATS = 3
"""Pages in a row that end as the one before, after which nothing else is expected."""
_RETREATS = 5
"""Steps back, with nothing older seen in between, before the walk goes on without a proof."""
_FIRST = datetime(2009, 1, 1, tzinfo=UTC)
"""Before WhatsApp's first message: an older time is a broken one."""


class Row(NamedTuple):
    """What a walk needs of an element.

    Attributes:
        stanza: None where it is no message, or could not be read.
        sent_at: aware UTC, in whole seconds; None where nothing tells it.
    """

    stanza: StanzaId | None
    sent_at: datetime | None


class Page(Struct, frozen=True, kw_only=True):
    """An answer: up to *limit* rows, newest first, behind the *offset* newest ones.

    *limit* is greater than OVERLAP.
    """

    offset: int
    limit: int
    rows: tuple[Row, ...]


class Walk(Struct, frozen=True, kw_only=True):
    """How far a walk has come.

    Attributes:
        began_at: when the first page was asked for; None before.
        until: it ends when it is past this instant; None: at the end of the list.
        offset: of the next page: rows before it, counted from the newest.
        reached: the oldest instant seen.
        sure: the oldest instant but one of a page, since one time may be wrong.
        tail: the last rows seen.
        short: whether the last page that had rows had fewer than asked for, or none readable.
        blanks: empty pages since.
        retreats: steps back since something older was seen.
        repeats: pages in a row that ended with the very rows of the one before.
        doubtful_from: nothing older than this is proven, because the list did not hold together.
        pages: answers so far.
    """

    began_at: datetime | None = None
    until: datetime | None = None
    offset: int = 0
    reached: datetime | None = None
    sure: datetime | None = None
    tail: tuple[StanzaId, ...] = ()
    short: bool = False
    blanks: int = 0
    retreats: int = 0
    repeats: int = 0
    doubtful_from: datetime | None = None
    pages: int = 0

    @property
    def is_past_goal(self) -> bool:
        """Whether it has seen what is older than it wanted."""
        return self.until is not None and self.sure is not None and self.sure < self.until


class Step(Struct, frozen=True, kw_only=True):
    """What a page did to a walk.

    Attributes:
        ended: no further page is wanted.
        at_end: the engine has nothing older; True only where that is proven.
    """

    walk: Walk
    ended: bool = False
    at_end: bool = False


def step(walk: Walk, page: Page) -> Step:
    """Take in the answer to the request for ``walk.offset``.

    Raises:
        ValueError: *page* is not that answer.
    """
    if page.offset != walk.offset or page.limit <= OVERLAP:
        raise ValueError("a page that was not asked for")
    walk = msgspec.structs.replace(walk, pages=walk.pages + 1)
    if not page.rows:
        return _blank(walk, page)
    times = _times(page)
    if not times:
        return Step(walk=_unreadable(walk, page))
    if times != sorted(times, reverse=True):  # what is newer may stand anywhere
        walk = _doubted(walk, max(times))
    if _continues(walk, page, newest=times[0]):
        return _taken(walk, page, times)
    if walk.short:  # the engine shows fewer than asked for, has forgotten much, or goes on filling
        return _taken(_doubted(walk), page, times)
    if walk.retreats < _RETREATS and not _within_one_second(walk, page):
        return Step(walk=_stepped_back(walk, page))
    return _taken(_doubting(walk), page, times)


def proven(walk: Walk, *, at_end: bool = False) -> Spans:
    """Return what *walk* has seen all of that the engine had."""
    if walk.began_at is None or walk.reached is None:
        return ()
    begin = walk.reached if at_end else (walk.sure or walk.reached) + _SECOND
    if walk.doubtful_from is not None:
        begin = walk.doubtful_from + _SECOND
    return span(begin, walk.began_at - SETTLE)


def _continues(walk: Walk, page: Page, *, newest: datetime) -> bool:
    if page.offset == 0 or walk.reached is None:
        return True
    if walk.short:  # where rows are left out, any that is shown again will do
        return newest >= walk.reached
    return newest > walk.reached


def _times(page: Page) -> list[datetime]:
    return [row.sent_at for row in page.rows if row.sent_at is not None and row.sent_at >= _FIRST]


def _within_one_second(walk: Walk, page: Page) -> bool:
    """Tell whether stepping back cannot help: the second in which *walk* is fills whole pages."""
    if not any(row.stanza in walk.tail for row in page.rows if row.stanza):
        return False
    alone = len(page.rows) == page.limit and all(row.sent_at == walk.reached for row in page.rows)
    return alone or walk.doubtful_from is not None


def _blank(walk: Walk, page: Page) -> Step:
    if page.offset == 0 or (walk.short and walk.blanks + 1 == _BLANKS):
        return Step(walk=walk, ended=True, at_end=walk.doubtful_from is None)
    if walk.short:
        replaced = msgspec.structs.replace(
            walk, blanks=walk.blanks + 1, offset=page.offset + page.limit
        )
        return Step(walk=replaced)
    return Step(walk=_stepped_back(walk, page))


def _stepped_back(walk: Walk, page: Page) -> Walk:
    return msgspec.structs.replace(
        walk,
        offset=max(0, page.offset - (page.limit - OVERLAP) * 2**walk.retreats),
        retreats=walk.retreats + 1,
    )


def _doubted(walk: Walk, newest: datetime | None = None) -> Walk:
    """Prove nothing older than what was seen, nor than *newest* where that is newer."""
    since = walk.doubtful_from or walk.reached or walk.began_at
    if walk.doubtful_from is None and walk.reached and newest:
        since = max(walk.reached, newest)
    return msgspec.structs.replace(walk, doubtful_from=since)


def _doubting(walk: Walk) -> Walk:
    return msgspec.structs.replace(_doubted(walk), retreats=0)


def _unreadable(walk: Walk, page: Page) -> Walk:
    """Pass a page of which no row could be read: a full one continues nothing that is known."""
    if len(page.rows) >= page.limit:
        walk = _doubting(walk)
    return _advanced(walk, page, short=True)


def _taken(walk: Walk, page: Page, times: list[datetime]) -> Step:
    known, oldest = walk.reached, times[-1]
    tail = tuple(row.stanza for row in page.rows[-OVERLAP:] if row.stanza)
    again = page.offset > 0 and tail != () and tail == walk.tail
    walk = msgspec.structs.replace(walk, repeats=walk.repeats + 1 if again else 0)
    if walk.repeats == _REPEATS:
        return Step(walk=_doubted(walk), ended=True)
    sure = sorted(times)[:2][-1]
    walk = msgspec.structs.replace(walk, sure=min(sure, walk.sure or sure))
    if known is None or oldest <= known:
        walk = msgspec.structs.replace(
            walk,
            reached=oldest,
            tail=tail,
            retreats=walk.retreats if oldest == known else 0,
        )
    walk = _advanced(walk, page, short=len(page.rows) < page.limit)
    return Step(walk=walk, ended=walk.is_past_goal)


def _advanced(walk: Walk, page: Page, *, short: bool) -> Walk:
    by = page.limit - OVERLAP
    if not short:
        by = _before_last_second(page)
    return msgspec.structs.replace(walk, offset=page.offset + by, short=short, blanks=0)


def _before_last_second(page: Page) -> int:
    """Return how many rows to pass, so that the next page begins before the oldest second."""
    usual = len(page.rows) - OVERLAP
    oldest = _times(page)[-1]
    first = next(i for i, row in enumerate(page.rows) if row.sent_at == oldest)
    return min(usual, first - 1) if first > 1 else usual
