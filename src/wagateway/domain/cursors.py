"""Pages of ordered lists: how long they may be, and places in a list as opaque text.

A place is stable while the list grows at either end.
"""

import base64
from datetime import UTC, datetime
from typing import NamedTuple, TypeVar

import msgspec

from wagateway.domain.errors import InvalidInput
from wagateway.domain.times import instant

T = TypeVar("T")

_NO_CURSOR = "not a cursor of this list; use one that an answer gave"
LAST_CHARACTER = "\U0010ffff"
MAX_PAGE = 500
_LAST_INSTANT = datetime.max.replace(tzinfo=UTC)


class MessagePosition(NamedTuple):
    """A message's place in its chat; messages of one instant are ordered by id, then author."""

    sent_at: datetime
    stanza: str
    author: str


class FilePosition(NamedTuple):
    """A file's place in a gallery; those of one instant are ordered by id, then chat and author."""

    sent_at: datetime
    stanza: str
    chat: str
    author: str


def page_limit(limit: int) -> int:
    """Return *limit* when a page may be that long.

    Raises:
        InvalidInput: it is not 1 to MAX_PAGE.
    """
    if not 1 <= limit <= MAX_PAGE:
        raise InvalidInput(f"limit must be a whole number from 1 to {MAX_PAGE}")
    return limit


def encode_cursor(position: object) -> str:
    """Return *position* as URL-safe text."""
    return base64.urlsafe_b64encode(msgspec.json.encode(position)).decode().rstrip("=")


def decode_cursor(text: str, type_: type[T]) -> T:
    """Read what encode_cursor() wrote.

    Raises:
        InvalidInput: *text* is nothing that encode_cursor() wrote for this type.
    """
    try:
        raw = base64.urlsafe_b64decode(text.encode("ascii") + b"=" * (-len(text) % 4))
        found = msgspec.json.decode(raw, type=type_)
    except (ValueError, msgspec.MsgspecError) as exc:
        raise InvalidInput(_NO_CURSOR) from exc
    parts = found if isinstance(found, tuple) else (found,)
    if any(isinstance(part, str) and "\x00" in part for part in parts):
        raise InvalidInput(_NO_CURSOR)  # no id of ours holds it, and no store can look for it
    return found


def message_position(text: str, *, end_of_instant: bool) -> MessagePosition:
    """Read a message cursor or an ISO 8601 instant.

    Args:
        text: what the reader gave.
        end_of_instant: whether an instant stands for its end or for its beginning.

    Raises:
        InvalidInput: neither.
    """
    at = instant(text) if text[4:5] == "-" else None
    if at is not None:
        edge = LAST_CHARACTER if end_of_instant else ""
        return MessagePosition(at, edge, edge)
    try:
        position = decode_cursor(text, MessagePosition)
    except InvalidInput as exc:
        raise InvalidInput(
            "before and after take a cursor from an answer or an ISO 8601 instant, "
            "such as 2026-01-31T12:00:00Z"
        ) from exc
    return _in_utc(position)


def file_position(text: str | None) -> FilePosition:
    """Read a cursor of a gallery; None stands for its beginning.

    Raises:
        InvalidInput: *text* is none.
    """
    if text is None:
        return FilePosition(_LAST_INSTANT, LAST_CHARACTER, LAST_CHARACTER, LAST_CHARACTER)
    return _in_utc(decode_cursor(text, FilePosition))


P = TypeVar("P", MessagePosition, FilePosition)


def _in_utc(position: P) -> P:
    if position.sent_at.tzinfo is None:
        raise InvalidInput(_NO_CURSOR)
    try:
        return position._replace(sent_at=position.sent_at.astimezone(UTC))
    except OverflowError as exc:
        raise InvalidInput(_NO_CURSOR) from exc
