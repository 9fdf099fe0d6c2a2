"""The archive in plain Python: for tests, and to try the library without a server.

Nothing is durable. It behaves as the PostgreSQL adapter does; one contract suite holds both.
"""

import asyncio
from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import datetime
from itertools import count

import msgspec
from msgspec import Struct
from typing_extensions import override

from wagateway.adapters.memory.feed import InMemoryChangeFeed
from wagateway.domain.archives import (
    ArchiveEntry,
    archive_of,
    archive_to_read,
    begins_with,
    is_event,
    latest,
    no_session,
)
from wagateway.domain.cursors import (
    MessagePosition,
    decode_cursor,
    encode_cursor,
    message_position,
    page_limit,
)
from wagateway.domain.downloads import FileLedger, FileRecord, KeptFile
from wagateway.domain.errors import InvalidInput, NotFound
from wagateway.domain.events import (
    PURGED,
    Delivery,
    Outcome,
    Recorded,
    Role,
    SessionStatus,
    Source,
    worth_logging,
)
from wagateway.domain.feed import ChangeKind, Item, items_of, moved_to, purge_told
from wagateway.domain.identity import (
    ChatType,
    Jid,
    Link,
    SessionName,
    StanzaId,
    canonical,
    chat_type,
    resolve_links,
    said_by_a_person,
)
from wagateway.domain.ledger import Change, Ledger, Move, judge
from wagateway.domain.media import MediaObject
from wagateway.domain.presentation import Reader, message_view
from wagateway.domain.projection import links_of, records_of, statuses_of
from wagateway.domain.purges import Cutoffs, Purge, PurgeCounts, counts_of, cutoffs, is_purged
from wagateway.domain.records import (
    AuthorKey,
    ChatRecord,
    ContactRecord,
    Mark,
    MemberRecord,
    MessageRecord,
    Record,
    StanzaKey,
)
from wagateway.domain.text import clean_text
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
from wagateway.ports.archive import Archive, ArchiveReader, LogFilter, LoggedBody


class _LogRow(Struct, kw_only=True):
    id: int
    delivery: Delivery
    recorded: Recorded


class _Book:
    """One archive: a session under one account."""

    def __init__(self, entry: ArchiveEntry, statuses: set[tuple[datetime, str]]) -> None:
        self.entry = entry
        self.push_name: str | None = None
        self.engine: str | None = None
        self.ledger = Ledger()
        self.links: dict[tuple[Jid, Jid], Link] = {}
        self.files: dict[AuthorKey, FileRecord] = {}
        self.statuses = statuses
        self.purges: dict[tuple[Jid | None, str], Purge] = {}
        self.told: list[Item] = []

    @property
    def phones(self) -> Mapping[Jid, Jid]:
        return resolve_links(self.links.values())

    def messages(self) -> list[MessageRecord]:
        return [r for r in self.ledger.records() if isinstance(r, MessageRecord)]

    @property
    def whose(self) -> tuple[str | None, ...]:
        """What is known of the account."""
        return (self.entry.account, self.push_name, self.engine)

    def hear(self, delivery: Delivery) -> bool:
        """Take in the links and states that *delivery* tells; return whether one was new."""
        news = False
        for link in links_of(delivery):
            held = self.links.get((link.lid, link.phone))
            self.links[link.lid, link.phone] = held.merged(link) if held else link
            news = news or held is None
        for at, status in statuses_of(delivery):
            if (at, status.value) not in self.statuses:
                self.statuses.add((at, status.value))
                self.told.append(Item(kind=ChangeKind.SESSION, status=status.value))
                news = True
        return news

    def project(self, delivery: Delivery, *, news: bool) -> Recorded:
        """Merge *delivery* under the links known now."""
        try:
            projected = list(records_of(delivery, self.phones))
            return self.ledger.apply(delivery, projected, news=news)
        except Exception as exc:  # noqa: BLE001 - a defect of ours must not lose the delivery
            reason = clean_text(f"{type(exc).__name__}: {exc}")[:500]
            return Recorded(outcome=Outcome.FAILED, reason=reason)

    def settle(self, at: datetime) -> list[Change]:
        """Let the files follow what became of their messages; what that brings is due at *at*.

        Returns:
            What changed since it was settled before.
        """
        changed = list(self.ledger.changes())
        ledger = FileLedger(changed, at)
        asked = ledger.asked()
        changes = ledger.changes({key: self.files[key] for key in asked if key in self.files})
        for key in changes.removed:
            del self.files[key]
        self.files |= {file.key: file for file in (*changes.added, *changes.saved)}
        self.ledger.settle()
        return changed

    def follow(self, before: Mapping[Jid, Jid], at: datetime) -> int:
        """Move what is addressed by links that differ from *before*; return messages moved."""
        after = self.phones
        self.heed_purges()
        moved = 0
        for lid in sorted(before.keys() | after.keys()):
            old, new = canonical(lid, before), canonical(lid, after)
            if old != new:
                moved += self._move(Move(lid=lid, old=old, new=new))
        if before != after:
            self.ledger.purge()
        self.settle(at)
        return moved

    def heed_purges(self) -> None:
        """Take up nothing that is purged, under the links known now."""
        made = ((purge.chat, purge.before) for purge in self.purges.values())
        self.ledger.cutoffs = cutoffs(made, self.phones)

    def purge(self, chat: Jid | None, before: datetime, limit: int, at: datetime) -> PurgeCounts:
        """Remove up to *limit* messages of *chat*, or of all, that were sent before *before*."""
        old = [m for m in self.messages() if _is_old(m, chat, before) and self._is_gone(m)]
        old.sort(key=lambda m: m.key)
        chats = {message.chat for message in old}
        for record in self.ledger.records():
            if isinstance(record, ChatRecord) and record.chat in chats:
                self.ledger.put(record)
        for message in old[:limit]:
            self.ledger.put(message.purged())
        changes = [(change.before, change.after) for change in self.ledger.changes()]
        files = len(self.files)
        self.settle(at)
        return counts_of(changes, files=files - len(self.files))

    def _is_gone(self, message: MessageRecord) -> bool:
        at = message.sent_at
        return at is not None and is_purged(message.chat, at, self.ledger.cutoffs)

    def purgeable(self, chat: Jid | None, before: datetime) -> PurgeCounts:
        """Return what would go."""
        trial = Ledger(Cutoffs(before) if chat is None else Cutoffs(chats={chat: before}))
        trial.load(self.ledger.records())
        trial.purge()
        old = [m for m in self.messages() if _is_old(m, chat, before)]
        changes = [(change.before, change.after) for change in trial.changes()]
        return counts_of(changes, files=sum(m.key in self.files for m in old))

    def _move(self, move: Move) -> int:
        move = move.taking(self.messages(), self.phones)
        moved = sum(move.takes(message) for message in self.messages())
        self.ledger.move(self.ledger.records(), move)
        if move.old != move.lid:
            self._refresh_activity(move)
        if moved:
            self.told.append(moved_to(move))
        return moved

    def _refresh_activity(self, move: Move) -> None:
        for chat in (move.old, move.new):
            times = [m.facts.sent_at for m in self.messages() if m.chat == chat and m.facts]
            held = [r for r in self.ledger.records() if isinstance(r, ChatRecord) and r.key == chat]
            for record in held:
                self.ledger.remove(record)
            if times or held:
                base = held[0] if held else ChatRecord(chat=chat)
                latest = max(times, default=None)
                self.ledger.put(msgspec.structs.replace(base, last_message_at=latest))
                self.ledger.put(ContactRecord(contact=chat))


class InMemoryArchive(Archive, ArchiveReader):
    """Both sides of the archive in one process's memory."""

    def __init__(self, *, committed: Callable[[], None] = lambda: None) -> None:
        """Begin empty; call *committed* after each commit that those who follow are told of."""
        self._lock = asyncio.Lock()
        self._log: dict[int, _LogRow] = {}
        self._log_ids = count(1)
        self._committed = committed
        self.feed = InMemoryChangeFeed(lambda id_: self._book_with(id_).entry)
        self._books: dict[SessionName, list[_Book]] = {}
        self._statuses: dict[SessionName, set[tuple[datetime, str]]] = {}
        self._objects: dict[str, MediaObject] = {}

    def records(self, session: SessionName) -> list[Record]:
        """Return all records of the session's latest archive, in no order."""
        return list(self._books[session][-1].ledger.records())

    def entries(self) -> list[ArchiveEntry]:
        """Return every archive, in no order."""
        return [book.entry for books in self._books.values() for book in books]

    def _book_with(self, archive_id: int) -> _Book:
        [book] = [b for books in self._books.values() for b in books if b.entry.id == archive_id]
        return book

    def tell(self, archive_id: int, items: Sequence[Item]) -> None:
        """Tell those who follow what a commit changed, unless it is nothing."""
        if self.feed.add(archive_id, items):
            self._committed()

    def _tell_of(self, book: _Book) -> None:
        items, book.told = book.told, []
        self.tell(book.entry.id, items)

    def known_chats(self, archive_id: int) -> list[ChatRecord]:
        """Return the chats of an archive, in no order."""
        book = self._book_with(archive_id)
        return [r for r in book.ledger.records() if isinstance(r, ChatRecord)]

    def phones(self, archive_id: int) -> Mapping[Jid, Jid]:
        """Return which LID is which phone in an archive."""
        book = self._book_with(archive_id)
        return book.phones

    def roles(self, archive_id: int, group: Jid) -> Mapping[Jid, Role]:
        """Return the latest role of each member of a group in an archive."""
        book = self._book_with(archive_id)
        members = [r for r in book.ledger.records() if isinstance(r, MemberRecord)]
        members.sort(key=lambda r: r.at)
        return {r.member: r.role for r in members if r.group == group}

    @property
    def objects(self) -> dict[str, MediaObject]:
        """Stored files by hash, to be changed in place; their uses are to be counted."""
        return self._objects

    def files(self, archive_id: int) -> dict[AuthorKey, FileRecord]:
        """Return the files of an archive by message, to be changed in place."""
        book = self._book_with(archive_id)
        return book.files

    def chosen(
        self, session: SessionName, account: Jid | None, chat: Sequence[Jid] = ()
    ) -> tuple[ArchiveEntry, Jid | None]:
        """Return the archive that is meant, and which of *chat* it has; see ArchiveReader."""
        book = self._book(session, account)
        return book.entry, self._find_chat(book, chat) if chat else None

    def statuses(self, session: SessionName) -> list[tuple[datetime, str]]:
        """Return the session's states, oldest first."""
        return sorted(self._statuses.get(session, ()))

    def heard(self, session: SessionName, *sources: Source) -> list[datetime]:
        """Return when deliveries of the session were received, by *sources*, in order."""
        return sorted(
            row.delivery.received_at
            for row in self._log.values()
            if row.delivery.session == session and row.delivery.source in sources
        )

    # What is purged, see PurgeStore

    def cutoffs(self, archive_id: int) -> Cutoffs:
        """Return what is purged of an archive."""
        return self._of(archive_id).ledger.cutoffs

    def purges(self, archive_id: int) -> dict[tuple[Jid | None, str], Purge]:
        """Return the purges of an archive by chat and by whom, to be changed by remember()."""
        return self._of(archive_id).purges

    def remember(self, archive_id: int, purge: Purge) -> None:
        """Take up nothing more that *purge* is about."""
        book = self._of(archive_id)
        messages = bool(book.purgeable(purge.chat, purge.before).messages)
        book.told += purge_told(purge, book.ledger.cutoffs, messages=messages)
        book.purges[purge.chat, purge.purged_by] = purge
        book.heed_purges()
        self._tell_of(book)

    def purge(
        self, archive_id: int, chat: Jid | None, before: datetime, *, limit: int, at: datetime
    ) -> PurgeCounts:
        """Remove up to *limit* messages of a chat, or of all, sent before *before*."""
        return self._of(archive_id).purge(chat, before, limit, at)

    def purgeable(self, archive_id: int, chat: Jid | None, before: datetime) -> PurgeCounts:
        """Return what would go."""
        return self._of(archive_id).purgeable(chat, before)

    def purgeable_log(self, session: SessionName | None, before: datetime) -> list[int]:
        """Return the ids of rows of the log that were received before *before*."""
        which = LogFilter(session=session, until=before)
        return [row.id for row in self._log.values() if _matches(row, which)]

    def purge_log(self, ids: Collection[int]) -> None:
        """Remove rows of the log."""
        for id_ in ids:
            del self._log[id_]

    def _of(self, archive_id: int) -> _Book:
        [book] = [b for books in self._books.values() for b in books if b.entry.id == archive_id]
        return book

    # Archive

    @override
    async def record(self, deliveries: Sequence[Delivery]) -> list[Recorded]:
        async with self._lock:
            recorded = self._project(deliveries)
            for delivery, outcome in zip(deliveries, recorded, strict=True):
                if worth_logging(delivery, outcome):
                    row = _LogRow(id=next(self._log_ids), delivery=delivery, recorded=outcome)
                    self._log[row.id] = row
            return recorded

    @override
    async def logged(self, which: LogFilter, *, after: int, limit: int) -> list[LoggedBody]:
        rows = [row for row in self._log.values() if row.id > after and _matches(row, which)]
        return [
            LoggedBody(
                id=row.id,
                body=row.delivery.body,
                received_at=row.delivery.received_at,
                source=row.delivery.source,
            )
            for row in rows[:limit]
        ]

    @override
    async def reproject(self, deliveries: Sequence[tuple[int, Delivery]]) -> list[Recorded]:
        async with self._lock:
            outcomes = self._project([delivery for _, delivery in deliveries])
            for (id_, delivery), outcome in zip(deliveries, outcomes, strict=True):
                row = self._log.get(id_)
                if row is None:
                    continue
                row.delivery = delivery
                if outcome == PURGED:
                    del self._log[id_]
                elif (row.recorded.outcome, outcome.outcome) != (Outcome.STORED, Outcome.DUPLICATE):
                    row.recorded = outcome
            return outcomes

    @override
    async def unlink(self, session: SessionName, lid: Jid, *, at: datetime) -> int:
        async with self._lock:
            book = self._book(session)
            phone = book.phones.get(lid)
            if phone is None:
                raise NotFound(f"session {session!r} has no link of {lid} in force")
            before = book.phones
            held = book.links[lid, phone]
            book.links[lid, phone] = msgspec.structs.replace(held, rejected_at=at)
            moved = book.follow(before, at)
            self._tell_of(book)
            return moved

    @override
    async def link(self, session: SessionName, lid: Jid, phone: Jid, *, at: datetime) -> int:
        async with self._lock:
            book = self._book(session)
            before = book.phones
            held = book.links.get((lid, phone))
            book.links[lid, phone] = said_by_a_person(held, lid, phone, at=at)
            moved = book.follow(before, at)
            self._tell_of(book)
            return moved

    def _project(self, deliveries: Sequence[Delivery]) -> list[Recorded]:
        """Project one group; what it says of who is who holds for all of it."""
        whose = {book: book.whose for books in self._books.values() for book in books}
        books = [self._book_of(delivery) for delivery in deliveries]
        before = [(book, book.phones) for book in dict.fromkeys(books) if book]
        received = {
            book: max(d.received_at for d, b in zip(deliveries, books, strict=True) if b is book)
            for book, _ in before
        }
        told = [
            book is not None and book.hear(delivery)
            for book, delivery in zip(books, deliveries, strict=True)
        ]
        for book, phones in before:
            if not book.told and whose.get(book) != book.whose:
                book.told.append(Item(kind=ChangeKind.SESSION))
            book.follow(phones, received[book])
        recorded = [
            book.project(delivery, news=news) if book else judge(delivery, changed=False)
            for book, delivery, news in zip(books, deliveries, told, strict=True)
        ]
        for book, at in received.items():
            book.told += items_of(book.settle(at))
            self._tell_of(book)
        return recorded

    def _book_of(self, delivery: Delivery) -> _Book | None:
        """Find, or begin, the archive of *delivery*."""
        books = self._books.get(delivery.session, [])
        phone = delivery.account.phone if delivery.account else None
        entry = archive_of([book.entry for book in books], phone)
        if entry is None and not begins_with(delivery):
            return None
        if entry is None:
            books = self._books.setdefault(delivery.session, [])
            entry = ArchiveEntry(
                id=sum(len(b) for b in self._books.values()) + 1,
                session=delivery.session,
                account=phone,
                last_event_at=min(delivery.occurred_at, delivery.received_at),
            )
            statuses = self._statuses.setdefault(delivery.session, set())
            books.append(_Book(entry, statuses))
        book = next(book for book in books if book.entry.id == entry.id)
        at = min(delivery.occurred_at, delivery.received_at)
        known = (book.push_name, book.engine)
        told = (delivery.account.push_name if delivery.account else None, delivery.engine)
        late = at < book.entry.last_event_at
        moves = is_event(delivery, book.entry, [each.entry for each in books])
        book.push_name, book.engine = latest(known, told, late=late)
        book.entry = msgspec.structs.replace(
            book.entry,
            account=book.entry.account or phone,
            last_event_at=max(book.entry.last_event_at, at) if moves else book.entry.last_event_at,
        )
        return book

    def _book(self, session: SessionName, account: Jid | None = None) -> _Book:
        books = self._books.get(session, [])
        if not books:
            raise no_session(session, self._books)
        entry = archive_to_read((book.entry for book in books), session, account)
        return next(book for book in books if book.entry.id == entry.id)

    # ArchiveReader

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
        book = self._book(session, account)
        found = self._find_chat(book, chat)
        rows = sorted(
            (m for m in book.messages() if m.chat == found and m.facts), key=_position, reverse=True
        )
        start, end = 0, limit
        if before is not None:
            at = message_position(before, end_of_instant=False)
            start = sum(_position(m) >= at for m in rows)
            end = start + limit
        elif after is not None:
            at = message_position(after, end_of_instant=True)
            end = sum(_position(m) > at for m in rows)
            start = max(end - limit, 0)
        page = rows[start:end]
        return MessagePage(
            messages=self._views(book, page),
            next=encode_cursor(_position(page[-1])) if page and end < len(rows) else None,
            previous=encode_cursor(_position(page[0])) if page and start > 0 else None,
            purged_before=book.ledger.cutoffs.of(found),
        )

    @override
    async def is_purged(
        self,
        session: SessionName,
        chat: Sequence[Jid],
        stanza: StanzaId,
        *,
        account: Jid | None = None,
    ) -> bool:
        book = self._book(session, account)
        found = self._find_chat(book, chat)
        known = [m for m in book.messages() if (m.chat, m.stanza) == (found, stanza) and m.sent_at]
        return bool(known) and all(message.is_purged for message in known)

    @override
    async def named(
        self, session: SessionName, keys: Collection[StanzaKey], *, account: Jid | None = None
    ) -> dict[StanzaKey, list[MessageView]]:
        book = self._book(session, account)
        found: dict[StanzaKey, list[MessageView]] = {}
        messages = sorted((m for m in book.messages() if m.facts), key=_position)
        for key in keys:
            wanted = (canonical(key.chat, book.phones), key.stanza)
            if rows := [m for m in messages if (m.chat, m.stanza) == wanted]:
                found[key] = self._views(book, rows)
        return found

    def _find_chat(self, book: _Book, candidates: Sequence[Jid]) -> Jid:
        chats = {r.chat for r in book.ledger.records() if isinstance(r, ChatRecord)}
        for candidate in candidates:
            if (chat := canonical(candidate, book.phones)) in chats:
                return chat
        raise NotFound(f"session {book.entry.session!r} has no chat {candidates[0]}")

    def _views(self, book: _Book, page: Sequence[MessageRecord]) -> list[MessageView]:
        reader = Reader(session=book.entry.session, account=book.entry.account, phones=book.phones)
        wanted = {StanzaKey(m.chat, m.stanza) for m in page}
        marks: dict[StanzaKey, list[Mark]] = {}
        claims: Counter[StanzaKey] = Counter()
        for record in book.ledger.records():
            if isinstance(record, ContactRecord | ChatRecord | MemberRecord):
                continue
            stanza = StanzaKey(record.chat, record.stanza)
            if stanza not in wanted:
                continue
            if isinstance(record, MessageRecord):
                claims[stanza] += record.facts is not None
            else:
                marks.setdefault(stanza, []).append(record)
        files = {m.key: self.kept(book.files[m.key]) for m in page if m.key in book.files}
        return [
            message_view(
                m, marks.get(key, []), reader, clash=claims[key] > 1, file=files.get(m.key)
            )
            for m, key in ((m, StanzaKey(m.chat, m.stanza)) for m in page)
        ]

    def kept(self, file: FileRecord) -> KeptFile:
        """Return *file* with what is stored of it."""
        return KeptFile(
            file=file,
            stored=self._objects.get(file.download.sha256 or ""),
            has_preview=file.preview is not None,
        )

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
        book = self._book(session, account)
        names = {r.contact: r for r in book.ledger.records() if isinstance(r, ContactRecord)}
        views = [
            ChatView(
                session=session,
                id=record.chat,
                type=chat_type(record.chat),
                name=_name(names.get(record.chat)),
                description=record.description,
                last_message_at=record.last_message_at,
                archived=record.archived,
            )
            for record in book.ledger.records()
            if isinstance(record, ChatRecord)
        ]
        views.sort(key=_activity, reverse=True)
        if cursor is not None:
            at = decode_cursor(cursor, tuple[float, Jid])
            views = [view for view in views if _activity(view) < at]
        more = len(views) > limit
        views = views[:limit]
        return ChatPage(chats=views, next=encode_cursor(_activity(views[-1])) if more else None)

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
        book = self._book(session, account)
        lids: dict[Jid, list[Jid]] = {}
        for lid, phone in sorted(book.phones.items()):
            lids.setdefault(phone, []).append(lid)
        after = decode_cursor(cursor, str) if cursor is not None else ""
        views = [
            ContactView(
                session=session,
                id=record.contact,
                type=chat_type(record.contact),
                name=record.name,
                push_name=record.push_name,
                lids=tuple(lids.get(record.contact, ())),
            )
            for record in book.ledger.records()
            if isinstance(record, ContactRecord)
            and record.contact > after
            and type in {None, chat_type(record.contact)}
        ]
        views.sort(key=lambda view: view.id)
        more = len(views) > limit
        views = views[:limit]
        return ContactPage(contacts=views, next=encode_cursor(views[-1].id) if more else None)

    @override
    async def sessions(self) -> list[SessionView]:
        return [
            self._session_view(book)
            for _, books in sorted(self._books.items())
            for book in sorted(
                books, key=lambda b: (b.entry.last_event_at, b.entry.id), reverse=True
            )
        ]

    def _is_current(self, book: _Book) -> bool:
        return self._book(book.entry.session) is book

    def _session_view(self, book: _Book) -> SessionView:
        at, status = (
            max(book.statuses, default=(None, None)) if self._is_current(book) else (None, None)
        )
        return SessionView(
            session=book.entry.session,
            account=book.entry.account,
            push_name=book.push_name,
            engine=book.engine,
            current=self._is_current(book),
            status=SessionStatus(status) if status else None,
            status_at=at,
            last_event_at=book.entry.last_event_at,
        )

    @override
    async def events(
        self, which: LogFilter, *, cursor: str | None = None, limit: int = 100
    ) -> EventPage:
        limit = page_limit(limit)
        before = decode_cursor(cursor, int) if cursor is not None else None
        rows = [
            row
            for row in reversed(self._log.values())
            if (before is None or row.id < before) and _matches(row, which)
        ]
        views = [_event_view(row) for row in rows[:limit]]
        more = len(rows) > limit
        return EventPage(events=views, next=encode_cursor(views[-1].id) if more else None)

    @override
    async def event_body(self, event_id: int) -> bytes:
        if event_id not in self._log:
            raise NotFound(f"there is no event {event_id}")
        return self._log[event_id].delivery.body

    @override
    async def links(self, session: SessionName) -> list[LinkView]:
        book = self._book(session)
        return [
            LinkView(session=session, **msgspec.structs.asdict(link))
            for _, link in sorted(book.links.items())
        ]

    @override
    async def counts(self) -> dict[Outcome, int]:
        counted = Counter(row.recorded.outcome for row in self._log.values())
        return {outcome: counted[outcome] for outcome in Outcome}

    @override
    async def ping(self) -> None:
        return


def _is_old(message: MessageRecord, chat: Jid | None, before: datetime) -> bool:
    """Tell whether a message is one that goes by a purge."""
    if message.facts_key is None or message.sent_at is None:
        return False
    return message.sent_at < before and chat in {None, message.chat}


def _position(message: MessageRecord) -> MessagePosition:
    assert message.facts is not None  # noqa: S101 - callers filter
    return MessagePosition(message.facts.sent_at, message.stanza, message.author)


def _activity(view: ChatView) -> tuple[float, Jid]:
    """Return a chat's place: microseconds of its latest message, those without one last."""
    at = view.last_message_at
    return (round(at.timestamp() * 1_000_000) if at else -1, view.id)


def _name(contact: ContactRecord | None) -> str | None:
    return (contact.name or contact.push_name or None) if contact else None


def _event_view(row: _LogRow) -> EventView:
    delivery = row.delivery
    return EventView(
        id=row.id,
        received_at=delivery.received_at,
        session=delivery.session,
        event=delivery.event,
        source=delivery.source,
        engine=delivery.engine,
        envelope_id=delivery.envelope_id,
        outcome=row.recorded.outcome,
        reason=row.recorded.reason,
        size_bytes=len(delivery.body),
    )


def _matches(row: _LogRow, which: LogFilter) -> bool:
    delivery = row.delivery
    return (
        (which.outcome is None or row.recorded.outcome is which.outcome)
        and (which.session is None or delivery.session == which.session)
        and (which.event is None or delivery.event == which.event)
        and (which.since is None or delivery.received_at >= which.since)
        and (which.until is None or delivery.received_at < which.until)
    )
