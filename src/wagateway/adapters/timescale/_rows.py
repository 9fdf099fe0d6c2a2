"""Records as rows: which statement loads, saves and removes each, and how values cross over."""

import functools
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, TypeVar

import msgspec
from msgspec import Struct

from wagateway.domain.downloads import FileRecord
from wagateway.domain.media import Download, kept_since
from wagateway.domain.records import (
    AnswerRecord,
    ChatRecord,
    ContactRecord,
    EditRecord,
    MemberRecord,
    MessageRecord,
    ReactionRecord,
    ReceiptRecord,
    Record,
    RevocationRecord,
    VoteRecord,
)

Row = Mapping[str, Any]
T = TypeVar("T", bound=Struct)


class Table(Struct, frozen=True):
    """The statements of one kind of record.

    Attributes:
        key: the fields that a load asks for.
        at_lid: statement that finds what still stands at a LID.
        seen_by_lid: statement that finds what a LID stood for, or "" where that cannot be told.
    """

    load: str
    save: str
    remove: str
    at_lid: str
    seen_by_lid: str
    key: tuple[str, ...]


_ON_MESSAGE = ("chat", "stanza", "author")


def _table(name: str, key: tuple[str, ...], *, seen_by_lid: bool = True) -> Table:
    return Table(
        load=f"load_{name}s",
        save=f"save_{name}s",
        remove=f"remove_{name}s",
        at_lid=f"{name}s_at_lid",
        seen_by_lid=f"{name}s_seen_by_lid" if seen_by_lid else "",
        key=key,
    )


TABLES: Mapping[type[Record], Table] = {
    MessageRecord: _table("message", ("chat", "stanza")),
    EditRecord: _table("edit", (*_ON_MESSAGE, "edit_id")),
    RevocationRecord: _table("revocation", _ON_MESSAGE),
    ReactionRecord: _table("reaction", _ON_MESSAGE),
    ReceiptRecord: _table("receipt", _ON_MESSAGE),
    VoteRecord: _table("vote", _ON_MESSAGE),
    AnswerRecord: _table("answer", _ON_MESSAGE),
    ContactRecord: _table("contact", ("contact",), seen_by_lid=False),
    ChatRecord: _table("chat", ("chat",), seen_by_lid=False),
    MemberRecord: _table("member", ("group", "member", "at")),
}
"""In the order in which they are written."""

MARKS_OF_STANZAS: Mapping[type[Record], str] = {
    EditRecord: "edits_of_stanzas",
    RevocationRecord: "revocations_of_stanzas",
    ReactionRecord: "reactions_of_stanzas",
    ReceiptRecord: "receipts_of_stanzas",
    VoteRecord: "votes_of_stanzas",
    AnswerRecord: "answers_of_stanzas",
}
"""The statements that find all that was told of messages."""


def keys_of(kind: type[Record], records: Iterable[Record]) -> list[dict[str, Any]]:
    """Return the keys of *records* as rows of their load statement, each key once."""
    fields = TABLES[kind].key
    keys = {tuple(getattr(record, field) for field in fields) for record in records}
    return [dict(zip(fields, key, strict=True)) for key in keys]


@functools.cache
def _decoder(type_: type[T]) -> msgspec.json.Decoder[list[T]]:
    return msgspec.json.Decoder(list[type_])  # type: ignore[valid-type] # known at run time


def from_json(type_: type[T], rows: str | None) -> list[T]:
    """Return structs of *type_* from a JSON array of their fields; null is none."""
    return _decoder(type_).decode(rows) if rows else []


@functools.cache
def _never_null(type_: type[Struct]) -> frozenset[str]:
    """Return the fields of *type_* whose default stands for SQL's NULL."""
    return frozenset(
        field.name
        for field in msgspec.structs.fields(type_)
        if field.default is not msgspec.NODEFAULT and field.default is not None
    )


def from_row(type_: type[T], row: Row) -> T:
    """Return a struct of *type_* from a row whose columns are named as its fields."""
    defaults = _never_null(type_)
    values = {
        name: _in_utc(value)
        for name, value in row.items()
        if value is not None or name not in defaults
    }
    return msgspec.convert(values, type_)


def from_rows(type_: type[T], rows: Iterable[Row]) -> list[T]:
    """Return structs of *type_*."""
    return [from_row(type_, row) for row in rows]


def _in_utc(value: Any) -> Any:  # noqa: ANN401 - any column's value
    if isinstance(value, datetime) and value.tzinfo is not UTC:
        return value.astimezone(UTC)
    return value


def message_values(record: MessageRecord) -> dict[str, Any]:
    """Return *record*, but its facts, as a row of ``save_messages``, in JSON's words."""
    values = msgspec.structs.asdict(record)
    del values["facts"], values["preview"]
    values["facts_key"] = _hex(record.facts_key)
    values["said"] = sorted(record.said) or None
    values["lids"] = sorted(record.lids) or None
    return values


def _hex(value: bytes | None) -> str | None:
    """Return bytes as SQL reads them from JSON."""
    return f"\\x{value.hex()}" if value else None


STATE_TYPES: Sequence[str] = (
    *("int4", "text", "text", "text", "timestamptz", "bytea"),
    *("text", "text", "timestamptz", "text[]", "text[]", "bool", "jsonb"),
)


def state_row(session_id: int, record: MessageRecord) -> tuple[Any, ...]:
    """Return *record* as a row of ``copy_messages``."""
    return (
        session_id,
        record.chat,
        record.stanza,
        record.author,
        record.sent_at,
        record.facts_key,
        record.ack,
        record.text,
        record.edited_at,
        sorted(record.said) or None,
        sorted(record.lids) or None,
        record.by_phone,
        record.offer,
    )


FACTS_TYPES: Sequence[str] = (
    *("int4", "text", "text", "text", "text", "timestamptz", "text", "text", "text", "bool"),
    *("text", "text", "text", "text", "jsonb", "text[]", "bool", "int4", "bool", "jsonb"),
    *("jsonb", "jsonb", "jsonb", "jsonb", "jsonb", "text"),
)


def facts_row(session_id: int, session: str, record: MessageRecord) -> tuple[Any, ...]:
    """Return the facts of *record*, which must be there, as a row of ``copy_facts``."""
    m = record.facts
    assert m is not None  # noqa: S101 - callers pass records with facts
    return (
        session_id,
        session,
        record.chat,
        record.stanza,
        record.author,
        m.sent_at,
        m.waha_id,
        m.sender,
        m.sender_name,
        m.from_me,
        m.kind,
        m.subtype,
        m.completeness,
        m.text,
        m.reply_to,
        list(m.mentions) or None,
        m.forwarded,
        min(m.forwarding_score, 2**31 - 1),
        m.view_once,
        m.link_preview,
        m.location,
        m.contacts or None,
        m.poll,
        m.event,
        m.media,
        m.source,
    )


_FACTS_COLUMNS: Sequence[str] = (
    *("chat_id", "stanza_id", "author", "sent_at", "waha_id", "sender_id", "sender_name"),
    *("from_me", "kind", "subtype", "completeness", "text", "reply_to", "mentions", "forwarded"),
    *("forwarding_score", "view_once", "link_preview", "location", "contacts", "poll", "event"),
    *("media", "source"),
)


def facts_values(session_id: int, session: str, record: MessageRecord) -> dict[str, Any]:
    """Return the facts of *record* as a row of ``add_facts``, in JSON's words."""
    _, _, *values = facts_row(session_id, session, record)
    return dict(zip(_FACTS_COLUMNS, values, strict=True))


LOG_COLUMNS: Sequence[str] = (
    *("received_at", "occurred_at", "session", "event", "source"),
    *("engine", "envelope_id", "outcome", "reason"),
)
"""All but the body, which comes last."""
LOG_TYPES: Sequence[str] = (
    *("timestamptz", "timestamptz", "text", "text", "text"),
    *("text", "text", "text", "text", "bytea"),
)


_STATE = ("status", "offer", "again", "due_at", "attempts", "problem", "sha256")
"""What is stored of a download; until when its offer holds follows from the rules."""


def file_record(row: Row) -> FileRecord:
    """Return a record from a row that has the columns of its download beside its own.

    Its preview, which is seldom needed, may be missing.
    """
    download = from_row(Download, {name: row[name] for name in _STATE})
    own = {name: row[name] for name in FileRecord.__struct_fields__ if name in row}
    return from_row(FileRecord, own | {"download": download})


def file_values(file: FileRecord) -> dict[str, Any]:
    """Return *file* as a row of ``save_downloads``, in JSON's words."""
    values = msgspec.structs.asdict(file)
    download = values.pop("download")
    state = {name: getattr(download, name) for name in _STATE}
    told = {"kept_since": kept_since(download.offer), "preview": _hex(file.preview)}
    return values | state | told
