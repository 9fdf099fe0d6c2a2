"""Reads of the archive in PostgreSQL: each answer from one snapshot, and within a time."""

import asyncio
from collections.abc import AsyncIterator, Collection, Iterator, Sequence
from contextlib import asynccontextmanager
from datetime import datetime
from typing import Any, NamedTuple

import msgspec
from typing_extensions import override

from wagateway.adapters.timescale._errors import translated_errors
from wagateway.adapters.timescale._queries import QUERIES
from wagateway.adapters.timescale._reading import (
    cutoffs_of,
    entry_of,
    fetch,
    find_chat,
    kept_files,
    phones_of,
)
from wagateway.adapters.timescale._rows import Row, from_row, from_rows
from wagateway.adapters.timescale.archive import filter_values
from wagateway.adapters.timescale.pool import Connection, Pool
from wagateway.domain.archives import ArchiveEntry
from wagateway.domain.cursors import (
    MessagePosition,
    decode_cursor,
    encode_cursor,
    message_position,
    page_limit,
)
from wagateway.domain.errors import InvalidInput, NotFound
from wagateway.domain.events import Outcome, SessionStatus
from wagateway.domain.identity import (
    ChatType,
    Jid,
    Link,
    SessionName,
    StanzaId,
    canonical,
    chat_type,
    resolve_links,
    servers_of,
)
from wagateway.domain.messages import Ack, MediaOffer, Message
from wagateway.domain.presentation import Reader, message_view
from wagateway.domain.records import (
    EditRecord,
    Mark,
    MessageRecord,
    ReactionRecord,
    RevocationRecord,
    StanzaKey,
    VoteRecord,
)
from wagateway.domain.views import (
    ChatPage,
    ChatView,
    ContactPage,
    ContactView,
    EventPage,
    EventView,
    LinkView,
    MessagePage,
    MessageView,
    SessionView,
)
from wagateway.ports.archive import ArchiveReader, LogFilter

_LAST_ID = 2**63 - 1
_KNOWN_SERVERS = [server for type_ in ChatType for server in servers_of(type_)]
_MARKS: tuple[tuple[type[Mark], str], ...] = (
    (EditRecord, "page_edits"),
    (RevocationRecord, "page_revocations"),
    (ReactionRecord, "page_reactions"),
    (VoteRecord, "page_votes"),
)


class TimescaleReader(ArchiveReader):
    """The read side over a pool of connections."""

    def __init__(self, pool: Pool, *, answer_s: float = 25.0) -> None:
        """Read through *pool*, which stays the caller's.

        Args:
            pool: opened.
            answer_s: for a whole answer, more than the server allows one statement: only a
                database that hangs takes longer, and is cut off.
        """
        self._pool = pool
        self._answer_s = answer_s

    @asynccontextmanager
    async def _snapshot(self) -> AsyncIterator[Connection]:
        """Yield a connection whose statements see the archive at one instant, and end soon.

        All that is set lasts for the transaction only, as PgBouncer's transaction mode wants it.
        """
        with translated_errors():
            async with (
                asyncio.timeout(self._answer_s),
                self._pool.connection() as conn,
                conn.pipeline(),
                conn.transaction(),
            ):
                await conn.execute(QUERIES["one_snapshot"])
                await conn.execute(QUERIES["limit_reading"])
                yield conn

    @override
    async def messages(
        self,
        session: SessionName,
        chat: Sequence[Jid],
        *,
        account: Jid | None = None,
        before: str | None = None,
        after: str | None = None,
        limit: int = 50,
    ) -> MessagePage:
        if before is not None and after is not None:
            raise InvalidInput("give before or after, not both")
        limit = page_limit(limit)
        older = message_position(before, end_of_instant=False) if before is not None else None
        newer = message_position(after, end_of_instant=True) if after is not None else None
        async with self._snapshot() as conn:
            entry = await entry_of(conn, session, account)
            found = await find_chat(conn, entry, chat)
            place = _Place(conn, entry, found)
            return await _page(place, older=older, newer=newer, limit=limit)

    @override
    async def is_purged(
        self,
        session: SessionName,
        chat: Sequence[Jid],
        stanza: StanzaId,
        *,
        account: Jid | None = None,
    ) -> bool:
        async with self._snapshot() as conn:
            entry = await entry_of(conn, session, account)
            found = await find_chat(conn, entry, chat)
            rows = await fetch(conn, "is_purged", session_id=entry.id, chat=found, stanza=stanza)
        return bool(rows[0]["is_purged"])

    @override
    async def named(
        self, session: SessionName, keys: Collection[StanzaKey], *, account: Jid | None = None
    ) -> dict[StanzaKey, list[MessageView]]:
        asked: dict[Jid, list[StanzaKey]] = {}
        found: dict[StanzaKey, list[MessageView]] = {}
        async with self._snapshot() as conn:
            entry = await entry_of(conn, session, account)
            phones = await phones_of(conn, entry, {key.chat for key in keys})
            for key in keys:
                asked.setdefault(canonical(key.chat, phones), []).append(key)
            for chat, mine in sorted(asked.items()):
                place = _Place(conn, entry, chat)
                stanzas = sorted({key.stanza for key in mine})
                views = await _views(place, await place.fetch("named_messages", stanzas=stanzas))
                for key in mine:
                    if named := [view for view in views if view.id == key.stanza]:
                        found[key] = named
        return found

    @override
    async def chats(
        self,
        session: SessionName,
        *,
        account: Jid | None = None,
        cursor: str | None = None,
        limit: int = 100,
    ) -> ChatPage:
        limit = page_limit(limit)
        at: datetime | None = None
        id_: str | None = None
        if cursor is not None:
            at, id_ = decode_cursor(cursor, tuple[datetime | None, str])
        async with self._snapshot() as conn:
            entry = await entry_of(conn, session, account)
            rows = await fetch(
                conn,
                "chat_page",
                session_id=entry.id,
                after_at=at,
                after_id=id_,
                limit=limit + 1,
            )
        views = [from_row(ChatView, {**row, "type": chat_type(row["id"])}) for row in rows]
        last = views[:limit][-1] if len(views) > limit else None
        place = encode_cursor((last.last_message_at, last.id)) if last else None
        return ChatPage(chats=views[:limit], next=place)

    @override
    async def contacts(
        self,
        session: SessionName,
        *,
        account: Jid | None = None,
        type: ChatType | None = None,
        cursor: str | None = None,
        limit: int = 100,
    ) -> ContactPage:
        limit = page_limit(limit)
        after = decode_cursor(cursor, str) if cursor is not None else ""
        other = type is ChatType.OTHER
        servers = _KNOWN_SERVERS if other else servers_of(type) if type is not None else None
        async with self._snapshot() as conn:
            entry = await entry_of(conn, session, account)
            rows = await fetch(
                conn,
                "contact_page",
                session_id=entry.id,
                after=after,
                servers=servers,
                other=other,
                limit=limit + 1,
            )
            shown = rows[:limit]
            lids = await _lids_of(conn, entry, [row["id"] for row in shown])
        views = [
            ContactView(
                session=row["session"],
                id=row["id"],
                type=chat_type(row["id"]),
                name=row["name"],
                push_name=row["push_name"],
                lids=lids.get(row["id"], ()),
            )
            for row in shown
        ]
        more = len(rows) > limit
        return ContactPage(contacts=views, next=encode_cursor(views[-1].id) if more else None)

    @override
    async def sessions(self) -> list[SessionView]:
        async with self._snapshot() as conn:
            rows = await fetch(conn, "session_list")
        views: list[SessionView] = []
        for row in rows:
            first = not views or views[-1].session != row["session"]
            views.append(
                SessionView(
                    session=row["session"],
                    account=row["account"],
                    push_name=row["push_name"],
                    engine=row["engine"],
                    current=first,
                    status=SessionStatus(row["status"]) if first and row["status"] else None,
                    status_at=row["status_at"] if first else None,
                    last_event_at=row["last_event_at"],
                )
            )
        return views

    @override
    async def events(
        self, which: LogFilter, *, cursor: str | None = None, limit: int = 100
    ) -> EventPage:
        limit = page_limit(limit)
        before = decode_cursor(cursor, int) if cursor is not None else _LAST_ID
        before = max(0, min(before, _LAST_ID))
        values = filter_values(which) | {"before": before, "limit": limit + 1}
        async with self._snapshot() as conn:
            rows = await fetch(conn, "event_page", **values)
        views = [from_row(EventView, row) for row in rows[:limit]]
        more = len(rows) > limit
        return EventPage(events=views, next=encode_cursor(views[-1].id) if more else None)

    @override
    async def event_body(self, event_id: int) -> bytes:
        rows: list[Row] = []
        if 0 < event_id <= _LAST_ID:
            async with self._snapshot() as conn:
                rows = await fetch(conn, "event_body", event_id=event_id)
        if not rows:
            raise NotFound(f"there is no event {event_id}")
        return bytes(rows[0]["body"])

    @override
    async def links(self, session: SessionName) -> list[LinkView]:
        async with self._snapshot() as conn:
            entry = await entry_of(conn, session)
            rows = await fetch(conn, "all_links", session_id=entry.id)
        return [
            LinkView(session=session, **msgspec.structs.asdict(link))
            for link in from_rows(Link, rows)
        ]

    @override
    async def counts(self) -> dict[Outcome, int]:
        async with self._snapshot() as conn:
            rows = await fetch(conn, "outcome_counts")
        counted = {Outcome(row["outcome"]): row["rows"] for row in rows}
        return {outcome: counted.get(outcome, 0) for outcome in Outcome}

    @override
    async def ping(self) -> None:
        async with self._snapshot() as conn:
            await fetch(conn, "ping")


async def _lids_of(
    conn: Connection, entry: ArchiveEntry, phones: list[str]
) -> dict[Jid, tuple[Jid, ...]]:
    """Return the LIDs that stand for each of *phones*."""
    rows = await fetch(conn, "links_of_phones", session_id=entry.id, phones=phones)
    found: dict[Jid, tuple[Jid, ...]] = {}
    for lid, phone in sorted(resolve_links(from_rows(Link, rows)).items()):
        found[phone] = (*found.get(phone, ()), lid)
    return found


class _Place(NamedTuple):
    """A chat of an archive, over a connection."""

    conn: Connection
    entry: ArchiveEntry
    chat: Jid

    async def fetch(self, query: str, **values: Any) -> list[Row]:  # noqa: ANN401 - SQL values
        """Return the rows of a named query about this chat."""
        return await fetch(self.conn, query, session_id=self.entry.id, chat=self.chat, **values)

    async def beside(self, query: str, position: MessagePosition, limit: int) -> list[Row]:
        """Return messages on one side of *position*."""
        return await self.fetch(query, **position._asdict(), limit=limit)


async def _page(
    place: _Place, *, older: MessagePosition | None, newer: MessagePosition | None, limit: int
) -> MessagePage:
    if newer is not None:
        rows = await place.beside("newer_messages", newer, limit + 1)
        has_newer, rows = len(rows) > limit, rows[:limit][::-1]
        has_older = bool(rows and await place.beside("older_messages", _position(rows[-1]), 1))
    else:
        query = place.beside("older_messages", older, limit + 1) if older else None
        rows = await (query or place.fetch("latest_messages", limit=limit + 1))
        has_older, rows = len(rows) > limit, rows[:limit]
        has_newer = bool(
            older and rows and await place.beside("newer_messages", _position(rows[0]), 1)
        )
    return MessagePage(
        messages=await _views(place, rows),
        next=encode_cursor(_position(rows[-1])) if has_older else None,
        previous=encode_cursor(_position(rows[0])) if has_newer else None,
        purged_before=(await cutoffs_of(place.conn, place.entry.id)).of(place.chat),
    )


def _position(row: Row) -> MessagePosition:
    return MessagePosition(row["sent_at"], row["stanza"], row["author"])


async def _views(place: _Place, rows: list[Row]) -> list[MessageView]:
    """Return *rows* with the marks on their messages."""
    if not rows:
        return []
    stanzas = sorted({row["stanza"] for row in rows})
    with_files = sorted({row["stanza"] for row in rows if row["media"] is not None})
    values = {"session_id": place.entry.id, "chat": place.chat, "stanzas": stanzas}
    async with place.conn.pipeline():
        cursors = [
            (kind, await place.conn.execute(QUERIES[query], values)) for kind, query in _MARKS
        ]
        claimed = await place.conn.execute(QUERIES["message_claims"], values)
        attached = await place.conn.execute(QUERIES["page_files"], values | {"stanzas": with_files})
        marks: dict[str, list[Mark]] = {}
        for kind, cursor in cursors:
            for mark in from_rows(kind, await cursor.fetchall()):
                marks.setdefault(mark.stanza, []).append(mark)
        clashes = {row["stanza_id"] for row in await claimed.fetchall()}
        files = {
            kept.file.key: kept for kept in await kept_files(place.conn, await attached.fetchall())
        }
    records = [_record(row) for row in rows]
    asked = [jid for record in records for jid in _addresses(record)]
    asked += [jid for found in marks.values() for mark in found for jid in _actors(mark)]
    phones = await phones_of(place.conn, place.entry, asked)
    reader = Reader(session=place.entry.session, account=place.entry.account, phones=phones)
    return [
        message_view(
            r,
            marks.get(r.stanza, ()),
            reader,
            clash=r.stanza in clashes,
            file=files.get(r.key),
        )
        for r in records
    ]


def _record(row: Row) -> MessageRecord:
    offer = row["media_offer"]
    return MessageRecord(
        chat=row["chat"],
        stanza=row["stanza"],
        author=row["author"],
        facts=from_row(Message, row),
        facts_key=row["facts_key"],
        sent_at=row["sent_at"],
        ack=Ack(row["ack"]) if row["ack"] else None,
        text=row["edited_text"],
        edited_at=row["edited_at"],
        lids=frozenset(row["lids"] or ()),
        by_phone=row["by_phone"],
        offer=msgspec.convert(offer, MediaOffer) if offer else None,
    )


def _actors(mark: Mark) -> Iterator[str]:
    """Return the addresses of *mark* that a reader sees."""
    yield mark.author
    if isinstance(mark, RevocationRecord) and mark.revoked_by:
        yield mark.revoked_by


def _addresses(record: MessageRecord) -> Iterator[str]:
    """Return the addresses of *record* that a reader sees."""
    yield record.author
    if record.facts is not None:
        yield from record.facts.mentions
        if record.facts.reply_to is not None and record.facts.reply_to.sender:
            yield record.facts.reply_to.sender
