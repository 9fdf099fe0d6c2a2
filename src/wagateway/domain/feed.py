"""What changed in an archive, as those who follow it are told: which message, without its text.

A place in the feed stands for everything before it, whatever is written later: see Position.
"""

import re
from collections.abc import Iterable
from datetime import datetime
from enum import StrEnum
from typing import NamedTuple

from msgspec import Struct

from wagateway.domain.errors import InvalidInput
from wagateway.domain.identity import Author, Jid, SessionName, StanzaId
from wagateway.domain.ledger import Change, Move
from wagateway.domain.messages import Ack
from wagateway.domain.purges import BY_RETENTION, Cutoffs, Purge, before_when
from wagateway.domain.records import (
    AnswerRecord,
    EditRecord,
    Mark,
    MessageRecord,
    ReactionRecord,
    ReceiptRecord,
    RevocationRecord,
    VoteRecord,
    same_content,
)

_ID = re.compile(r"([0-9a-f]{1,16})-(\d{1,18})-(\d{1,18})-(\d{1,9})")


class ChangeKind(StrEnum):
    """What a change is about."""

    MESSAGE = "message"
    """A message is new, or what it says became known better."""
    EDIT = "edit"
    REVOCATION = "revocation"
    REACTION = "reaction"
    VOTE = "vote"
    """Somebody chose in a poll, or answered to an event."""
    ACK = "ack"
    MOVE = "move"
    """Messages are in another chat from now on: a hidden id is a phone's, or is no longer."""
    PURGE = "purge"
    """Messages that were sent before an instant go for good, of one chat or of all."""
    SESSION = "session"
    SYNC = "sync"
    RESET = "reset"
    """What came after the place that was asked for is not kept any more: read the archive anew."""


TOLD = tuple(kind for kind in ChangeKind if kind is not ChangeKind.RESET)
"""The kinds that the archive itself tells."""

OF_A_MESSAGE = frozenset(
    {
        ChangeKind.MESSAGE,
        ChangeKind.EDIT,
        ChangeKind.REVOCATION,
        ChangeKind.REACTION,
        ChangeKind.VOTE,
    }
)
"""The kinds that change what a reader sees of a message, beside how far it got."""


class Item(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One change, as it is kept.

    Attributes:
        chat: None for a session, and for the sync or a purge of all its chats.
        stanza: which message is meant.
        author: who wrote it, as in its key; None where that is not what the change knows.
        by: who did something to it.
        ack: how far it got now, for *by* where that is given.
        status: of the session or of the sync.
        was: the chat in which the messages that moved were before.
        before: messages that were sent earlier than that are purged; aware UTC.
    """

    kind: ChangeKind
    chat: Jid | None = None
    stanza: StanzaId | None = None
    author: Author | None = None
    by: Author | None = None
    ack: Ack | None = None
    status: str | None = None
    was: Jid | None = None
    before: datetime | None = None


class Position(NamedTuple):
    """A place in the feed: all that is before it was told. Those of one line are in order.

    Attributes:
        line: which feed; another one cannot be compared with this.
        transaction: grows with each transaction.
        change: the row, 0 for a place before all rows of the transaction.
        item: how many of the row's items were told.
    """

    line: str
    transaction: int
    change: int = 0
    item: int = 0

    @property
    def id(self) -> str:
        """The place as text, for position_of()."""
        return f"{self.line}-{self.transaction}-{self.change}-{self.item}"


def position_of(text: str) -> Position:
    """Read the id of a place.

    Raises:
        InvalidInput: *text* is none.
    """
    found = _ID.fullmatch(text) if text.isascii() else None
    if found is None:
        raise InvalidInput(f"not a place in the feed; use an id that it gave: {text[:80]!r}")
    line, *numbers = found.groups()
    return Position(line, *map(int, numbers))


class Told(Struct, frozen=True, kw_only=True):
    """A change with its place: who read it goes on from there.

    Attributes:
        at: when it was archived, aware UTC.
        account: whose archive; None until the engine names it.
    """

    position: Position
    at: datetime
    session: SessionName
    account: Jid | None
    item: Item


class FeedPage(Struct, frozen=True, kw_only=True):
    """A stretch of the feed.

    Attributes:
        told: in order.
        until: where to go on; all that comes before it is in *told*.
        more: whether there was more than one page holds.
        reset: what came after the place that was asked for is not kept, or never was: *told* is
            empty, and *until* is the present.
    """

    told: list[Told]
    until: Position
    more: bool = False
    reset: bool = False


class Entry(Struct, frozen=True, kw_only=True):
    """What one transaction changed in one archive, as a store keeps it."""

    transaction: int
    change: int
    at: datetime
    session: SessionName
    account: Jid | None
    items: tuple[Item, ...]


def told_after(after: Position, entries: Iterable[Entry]) -> list[Told]:
    """Return the items of *entries*, which are in order, that come after a place."""
    return [
        Told(
            position=Position(after.line, entry.transaction, entry.change, number),
            at=entry.at,
            session=entry.session,
            account=entry.account,
            item=item,
        )
        for entry in entries
        for number, item in enumerate(entry.items, start=1)
        if (entry.transaction, entry.change, number) > after[1:]
    ]


def items_of(changes: Iterable[Change]) -> list[Item]:
    """Return what *changes* of one archive are to those who follow it, each thing once."""
    found: dict[Item, None] = {}
    for change in changes:
        for item in _items(change):
            found.setdefault(item)
    return list(found)


def moved_to(move: Move) -> Item:
    """Return what *move*, which took messages along, is to those who follow the archive."""
    return Item(kind=ChangeKind.MOVE, chat=move.new, was=move.old)


def purge_told(purge: Purge, held: Cutoffs, *, messages: bool) -> list[Item]:
    """Return what *purge* is to those who follow the archive.

    Args:
        purge: is remembered from now on.
        held: what was purged until now; a purge of no more than that is no news.
        messages: whether any go by it; without, a purge by age is no news either.
    """
    until_now = before_when(held, purge.chat)
    is_more = until_now is None or until_now < purge.before
    if not is_more or (purge.purged_by == BY_RETENTION and not messages):
        return []
    return [Item(kind=ChangeKind.PURGE, chat=purge.chat, before=purge.before)]


def _items(change: Change) -> Iterable[Item]:  # noqa: PLR0911 - one for each kind of record
    record, before = change.after, change.before
    if isinstance(record, MessageRecord):
        return _message(before if isinstance(before, MessageRecord) else None, record)
    if isinstance(record, EditRecord):
        return [_item(ChangeKind.EDIT, record, author=record.author)]
    if isinstance(record, RevocationRecord):
        by = Author(record.revoked_by) if record.revoked_by else None
        return [_item(ChangeKind.REVOCATION, record, author=record.author or None, by=by)]
    if isinstance(record, ReactionRecord):
        return [_item(ChangeKind.REACTION, record, by=record.author)]
    if isinstance(record, VoteRecord | AnswerRecord):
        return [_item(ChangeKind.VOTE, record, by=record.author)]
    if isinstance(record, ReceiptRecord):
        is_news = not isinstance(before, ReceiptRecord) or before.ack != record.ack
        return [_item(ChangeKind.ACK, record, by=record.author, ack=record.ack)] if is_news else []
    return []


def _message(before: MessageRecord | None, after: MessageRecord) -> Iterable[Item]:
    said = before.facts_key and same_content(before.facts_key) if before else None
    if after.facts_key is not None and same_content(after.facts_key) != said:
        yield _item(ChangeKind.MESSAGE, after, author=after.author or None)
        if said is None:  # nobody saw it before, so how far it got is no news of its own
            return
    if after.ack is not None and after.ack != (before.ack if before else None):
        yield _item(ChangeKind.ACK, after, author=after.author or None, ack=after.ack)


def _item(
    kind: ChangeKind,
    record: MessageRecord | Mark,
    *,
    author: Author | None = None,
    by: Author | None = None,
    ack: Ack | None = None,
) -> Item:
    return Item(kind=kind, chat=record.chat, stanza=record.stanza, author=author, by=by, ack=ack)


def kinds_named(words: Iterable[str]) -> frozenset[ChangeKind]:
    """Return the kinds that are meant; all of them for no word.

    Raises:
        InvalidInput: a word is no kind that the archive tells.
    """
    given = [word.strip().lower() for word in words if word.strip()]
    for word in given:
        if word not in TOLD:
            raise InvalidInput(f"kinds are some of {', '.join(TOLD)}, not {word[:80]!r}")
    return frozenset(map(ChangeKind, given)) or frozenset(TOLD)
