"""One archive's changes within one transaction: load what a batch touches, write what changed."""

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple

import msgspec

from wagateway.adapters.timescale._queries import QUERIES, doing, loading
from wagateway.adapters.timescale._rows import (
    FACTS_TYPES,
    MARKS_OF_STANZAS,
    STATE_TYPES,
    TABLES,
    Row,
    facts_row,
    facts_values,
    file_record,
    file_values,
    from_json,
    from_rows,
    keys_of,
    message_values,
    state_row,
)
from wagateway.adapters.timescale.pool import Connection
from wagateway.domain.downloads import FileLedger, FileRecord
from wagateway.domain.feed import Item, moved_to
from wagateway.domain.identity import Jid
from wagateway.domain.ledger import Change, Ledger, Move
from wagateway.domain.purges import Cutoffs, PurgeCounts, counts_of, cutoffs
from wagateway.domain.records import (
    AuthorKey,
    ChatRecord,
    ContactRecord,
    MessageRecord,
    Record,
    StanzaKey,
)

_MOVED_AT_ONCE = 2000


class Batch:
    """Statements that go as one: each touches other rows than the others."""

    def __init__(self, **values: Any) -> None:  # noqa: ANN401 - SQL values
        """Begin empty; *values* are for all statements."""
        self._values = values
        self._names: list[str] = []

    def add(self, query: str, rows: Sequence[object], **values: Any) -> None:  # noqa: ANN401
        """Add a named statement on all *rows* at once; they cross over as one JSON array."""
        if rows:
            self._names.append(query)
            self._values |= {query: msgspec.json.encode(rows).decode()} | values

    async def run(self, conn: Connection) -> None:
        """Do all of it."""
        for statement in doing(tuple(self._names)):
            await conn.execute(statement, self._values)


class Writing:
    """The write side of one archive, while its session is locked."""

    def __init__(
        self, conn: Connection, session_id: int, session: str, *, at: datetime, bulk: bool
    ) -> None:
        """Write into archive *session_id* over *conn*, inside an open transaction.

        Args:
            conn: in pipeline mode unless *bulk*.
            session_id: of the archive.
            session: its name.
            at: when what is written was received, by our clock.
            bulk: whether new messages go by COPY, which a pipeline does not allow.
        """
        self._conn = conn
        self._at = at
        self._bulk = bulk
        self._session_id = session_id
        self._session = session
        self.purges: Sequence[tuple[Jid | None, datetime]] = ()
        self.cutoffs = Cutoffs()
        self.files_removed = 0
        self.told: list[Item] = []
        """What those who follow the archive are told of this transaction; see tell()."""

    def heed(self, phones: Mapping[Jid, Jid]) -> None:
        """Take up nothing that is purged, where *phones* tells which LID is which phone."""
        self.cutoffs = cutoffs(self.purges, phones)

    async def ledger(self, records: Iterable[Record]) -> Ledger:
        """Return a ledger that can take *records*, with all that they bear on."""
        told = list(records)
        ledger = Ledger(self.cutoffs)
        held = await self.load(told)
        ledger.load(held)
        if self.cutoffs:
            ledger.load(await self._told_of(ledger.about_to_lose(told, held)))
        return ledger

    async def _told_of(self, stanzas: Collection[StanzaKey]) -> list[Record]:
        """Return all that was told of the messages of *stanzas*."""
        if not stanzas:
            return []
        rows = msgspec.json.encode([key._asdict() for key in sorted(stanzas)]).decode()
        values = {"session_id": self._session_id} | dict.fromkeys(MARKS_OF_STANZAS.values(), rows)
        cursor = await self._conn.execute(loading(tuple(MARKS_OF_STANZAS.values())), values)
        found = await cursor.fetchone() or {}
        return [
            record
            for kind, query in MARKS_OF_STANZAS.items()
            for record in from_json(kind, found[query])
        ]

    async def purge(self, chat: Jid | None, before: datetime, *, limit: int) -> PurgeCounts:
        """Remove up to *limit* messages of *chat*, or of all; see PurgeStore."""
        rows = await self.fetch("messages_to_purge", chat=chat, before=before, limit=limit)
        messages = from_rows(MessageRecord, rows)
        chats = {message.chat for message in messages}
        ledger = await self.ledger([*messages, *(ChatRecord(chat=chat) for chat in chats)])
        ledger.purge()
        changes = list(ledger.changes())
        await self.write(changes)
        pairs = ((change.before, change.after) for change in changes)
        return counts_of(pairs, files=self.files_removed)

    async def fetch(self, query: str, **values: Any) -> list[Row]:  # noqa: ANN401 - SQL values
        """Return the rows of a named query of this archive."""
        cursor = await self._conn.execute(QUERIES[query], {"session_id": self._session_id} | values)
        return list(await cursor.fetchall())

    async def execute(self, query: str, rows: Sequence[object]) -> None:
        """Run a named statement on all *rows* at once."""
        batch = self.batch()
        batch.add(query, rows)
        await batch.run(self._conn)

    def batch(self) -> Batch:
        """Begin a batch of statements of this archive."""
        return Batch(session_id=self._session_id, session=self._session)

    def tell(self, batch: Batch) -> None:
        """Add what was *told* to *batch*; nothing is written where that is nothing."""
        batch.add("add_changes", self.told)

    async def load(self, records: Iterable[Record]) -> list[Record]:
        """Return what the store has under the keys of *records*; siblings of messages too."""
        by_kind: dict[type[Record], list[Record]] = defaultdict(list)
        for record in records:
            by_kind[type(record)].append(record)
            if self.cutoffs and type(record) in MARKS_OF_STANZAS:  # is its message purged?
                by_kind[MessageRecord].append(record)
        if not by_kind:
            return []
        asked = {
            table.load: msgspec.json.encode(keys_of(kind, by_kind[kind])).decode()
            for kind, table in TABLES.items()
            if kind in by_kind
        }
        values = {"session_id": self._session_id} | asked
        cursor = await self._conn.execute(loading(tuple(asked)), values)
        found = await cursor.fetchone() or {}
        return [
            record
            for kind in TABLES
            if kind in by_kind
            for record in from_json(kind, found[TABLES[kind].load])
        ]

    async def write(self, changes: Iterable[Change]) -> None:
        """Write *changes*."""
        batch = self.batch()
        await self.prepare(batch, changes)
        await batch.run(self._conn)

    async def prepare(self, batch: Batch, changes: Iterable[Change]) -> None:
        """Write what must come first of *changes*, or goes by COPY, and add the rest to *batch*."""
        by_kind: dict[type[Record], list[Change]] = defaultdict(list)
        for change in changes:
            if (record := change.after or change.before) is not None:
                by_kind[type(record)].append(change)
        messages = by_kind.pop(MessageRecord, [])
        await self._prepare_messages(batch, messages)
        await self._prepare_files(batch, messages)
        for kind, table in TABLES.items():
            found = by_kind.get(kind, [])
            await self.execute(table.remove, [c.before for c in found if c.before and not c.after])
            batch.add(table.save, [c.after for c in found if c.after])

    async def _prepare_messages(self, batch: Batch, changes: list[Change]) -> None:
        pairs = [
            _Pair(c.before, c.after)  # type: ignore[arg-type] # of messages
            for c in changes
            if not _is_preview_alone(c)
        ]
        pairs.sort(key=lambda pair: [record.key for record in pair if record])
        await self._make_room_for_facts(pairs)
        gone = [message_values(before) for before, after in pairs if before and not after]
        await self.execute("remove_messages", gone)
        kept = [after for before, after in pairs if before and after]
        added = [after for before, after in pairs if after and not before]
        if self._bulk:
            states = [state_row(self._session_id, record) for record in added]
            await copy(self._conn, "copy_messages", STATE_TYPES, states)
        else:
            kept = sorted([*kept, *added], key=lambda record: record.key)
        batch.add("save_messages", list(map(message_values, kept)))
        await self._add_facts(batch, pairs)
        words = [
            {"chat": after.chat, "stanza": after.stanza, "author": after.author, "text": text}
            for before, after in pairs
            if after and _words_differ(before, after) and (text := _words(after))
        ]
        batch.add("save_words", words)

    async def _add_facts(self, batch: Batch, pairs: list["_Pair"]) -> None:
        new = [
            after
            for before, after in pairs
            if after and after.facts and (not before or before.facts_key != after.facts_key)
        ]
        ids = self._session_id, self._session
        if self._bulk:
            rows = [facts_row(*ids, record) for record in new]
            await copy(self._conn, "copy_facts", FACTS_TYPES, rows)
        else:
            batch.add("add_facts", [facts_values(*ids, record) for record in new])

    async def _prepare_files(self, batch: Batch, changes: list[Change]) -> None:
        """Let the files follow their messages; a new message's is added without asking."""
        ledger = FileLedger(changes, self._at)
        known: dict[AuthorKey, FileRecord] = {}
        if asked := ledger.asked():
            rows = msgspec.json.encode([key._asdict() for key in asked]).decode()
            found = await self.fetch("lock_downloads", rows=rows)
            known = {file.key: file for file in map(file_record, found)}
        files = ledger.changes(known)
        self.files_removed += len(files.removed) - len(files.saved)
        await self.execute("remove_downloads", [key._asdict() for key in files.removed])
        batch.add("add_downloads", list(map(file_values, files.added)))
        batch.add("save_downloads", list(map(file_values, files.saved)))
        batch.add("unlink_objects", files.unlinked)

    async def _make_room_for_facts(self, pairs: list["_Pair"]) -> None:
        """Drop facts that better ones replace, and carry along those whose message moved."""
        targets = {
            after.facts_key: after
            for before, after in pairs
            if after and after.facts_key and not after.facts
            if before is None or before.facts_key != after.facts_key
        }
        dropped, moved = [], []
        for before, after in pairs:
            if before is None or before.facts_key is None:
                continue
            if after is not None and after.facts_key == before.facts_key:
                continue
            target = None if after else targets.get(before.facts_key)
            if target is None:
                dropped.append(message_values(before))
            else:
                place = {"new_chat": target.chat, "new_author": target.author}
                moved.append(message_values(before) | place)
        await self._change_facts("remove_facts", dropped)
        await self.execute("remove_words", dropped)
        await self._change_facts("move_facts", moved)
        await self.execute("move_words", moved)

    async def _change_facts(self, query: str, rows: Sequence[Mapping[str, Any]]) -> None:
        """Run a named statement on facts that are there, *rows* of the ledger."""
        if not rows:
            return
        times = [row["sent_at"] for row in rows]
        values = {
            "session_id": self._session_id,
            "rows": msgspec.json.encode(rows).decode(),
            "chats": sorted({row["chat"] for row in rows}),
            "first": min(times),
            "last": max(times),
        }
        # Prepared, it may come to a plan for any values, which knows nothing of chunks.
        await self._conn.execute(QUERIES[query], values, prepare=False)

    async def move(self, move: Move, phones: Mapping[Jid, Jid]) -> int:
        """Follow a changed link in all tables; return how many messages moved."""
        if move.old == move.lid:
            moved = await self._move_all(move)
        else:
            moved = await self._move_some(move, phones)
            await self._conn.execute(
                QUERIES["refresh_activity"],
                {"session_id": self._session_id, "chats": [move.old, move.new]},
            )
        if moved:
            self.told.append(moved_to(move))
        return moved

    async def _move_all(self, move: Move) -> int:
        """Move everything that stands at a LID, some thousand rows at a time."""
        moved = 0
        chats = {"old": move.lid, "new": move.new, "session_id": self._session_id}
        await self._conn.execute(QUERIES["merge_sync"], chats)
        for kind, table in TABLES.items():
            while rows := await self.fetch(table.at_lid, lid=move.lid, limit=_MOVED_AT_ONCE):
                records = from_rows(kind, rows)
                await self._readdress(records, move)
                moved += sum(
                    isinstance(record, MessageRecord) and record.chat == move.lid
                    for record in records
                )
        return moved

    async def _move_some(self, move: Move, phones: Mapping[Jid, Jid]) -> int:
        """Move what stands at a phone only because a LID meant that phone."""
        rows = await self.fetch(TABLES[MessageRecord].seen_by_lid, lid=move.lid, phone=move.old)
        messages = from_rows(MessageRecord, rows)
        move = move.taking(messages, phones)
        mine = [message for message in messages if move.takes(message)]
        records: list[Record] = list(messages)
        for kind, table in TABLES.items():
            if table.seen_by_lid and kind is not MessageRecord:
                found = await self.fetch(
                    table.seen_by_lid,
                    lid=move.lid,
                    phone=move.old,
                    stanzas=sorted({message.stanza for message in messages}),
                )
                records += from_rows(kind, found)
        await self._readdress(records, move)
        if any(message.facts_key for message in mine):
            await self._save([ChatRecord(chat=move.new), ContactRecord(contact=move.new)])
        return len(mine)

    async def _save(self, records: list[Record]) -> None:
        ledger = await self.ledger(records)
        for record in records:
            ledger.put(record)
        await self.write(ledger.changes())

    async def _readdress(self, records: list[Record], move: Move) -> None:
        ledger = await self.ledger(move.readdressed(record) for record in records)
        ledger.load(records)
        ledger.move(records, move)
        await self.write(ledger.changes())


def _is_preview_alone(change: Change) -> bool:
    """Tell whether a message was told again with a preview, which is kept with its file."""
    after = change.after
    return isinstance(after, MessageRecord) and after.without_preview() == change.before


class _Pair(NamedTuple):
    """A message before and after; None where there was or is none."""

    before: MessageRecord | None
    after: MessageRecord | None


def _words(record: MessageRecord) -> str | None:
    """Return what is searchable of *record*; None also where its vector moved along with it."""
    if record.edited_at is not None:
        return record.text
    return record.facts.text if record.facts else None


def _words_differ(before: MessageRecord | None, after: MessageRecord) -> bool:
    if after.facts_key is None:
        return False
    if before is None or before.facts_key != after.facts_key:
        return True
    return before.edited_at != after.edited_at or before.text != after.text


async def copy(
    conn: Connection, query: str, types: Iterable[str], rows: Sequence[tuple[Any, ...]]
) -> None:
    """Send *rows* by a named binary COPY."""
    if not rows:
        return
    async with conn.cursor() as cursor, cursor.copy(QUERIES[query]) as stream:
        stream.set_types(list(types))
        for row in rows:
            await stream.write_row(row)
