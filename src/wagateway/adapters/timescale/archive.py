"""The archive in PostgreSQL, with or without TimescaleDB.

Writers of one session take turns: a transaction first locks its sessions, then loads the records
that its deliveries touch, lets the domain's Ledger merge them, and writes what changed. So the
merge rules exist once, in Python; two processes neither deadlock nor make twins; and the unique
keys stand behind it all. A small group costs three round trips with a statement or two in each:
lock and read who is who; load; write and commit. Larger ones send their new rows by COPY.
"""

import zlib
from collections import defaultdict
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from contextlib import AsyncExitStack
from datetime import datetime, timedelta
from typing import Any, TypeVar

import msgspec
import psycopg
from msgspec import Struct
from psycopg import errors
from psycopg_pool import PoolClosed, PoolTimeout
from typing_extensions import override

from wagateway.adapters.timescale._errors import translated_errors
from wagateway.adapters.timescale._queries import QUERIES
from wagateway.adapters.timescale._rows import (
    LOG_COLUMNS,
    LOG_TYPES,
    from_json,
    from_row,
    from_rows,
)
from wagateway.adapters.timescale._writing import Batch, Writing, copy
from wagateway.adapters.timescale.pool import Connection, Pool
from wagateway.domain.archives import (
    NAMED,
    ArchiveEntry,
    archive_of,
    begins_with,
    current,
    is_event,
    latest,
    no_session,
)
from wagateway.domain.errors import Defect, NotFound
from wagateway.domain.events import (
    PURGED,
    AnyObservation,
    Delivery,
    Outcome,
    Recorded,
    worth_logging,
)
from wagateway.domain.feed import ChangeKind, Item, items_of
from wagateway.domain.identity import (
    Jid,
    Link,
    SessionName,
    canonical,
    is_lid,
    resolve_links,
    said_by_a_person,
)
from wagateway.domain.ledger import Move, judge
from wagateway.domain.projection import Phones, lids_of, links_of, records_of, statuses_of
from wagateway.domain.purges import PurgeTarget
from wagateway.domain.records import Record
from wagateway.domain.text import clean_text
from wagateway.ports.archive import Archive, LogFilter, LoggedBody

T = TypeVar("T")

_LOCK_SPACE = 0x57414757
"""Keeps our advisory locks apart from other applications' of the same database: "WAGW"."""

_PURGED_AT_ONCE = 2000
_LAST_EVENT_STEP = timedelta(seconds=60)
_TRIES = 5
_SMALL_GROUP = 16
_SMALL_BYTES = 256 * 1024
"""Up to both a pipeline of INSERTs, which saves round trips, is faster than COPY."""

_WORTH_REPEATING = (
    errors.DeadlockDetected,
    errors.SerializationFailure,
    errors.UniqueViolation,
)


class _Entry(ArchiveEntry, frozen=True, kw_only=True):
    """An archive with what the sessions table knows of its account."""

    account_lid: Jid | None = None
    push_name: str | None = None
    engine: str | None = None


class _KnownLink(Link, frozen=True, kw_only=True):
    """A link with the archive that knows it."""

    session_id: int


class _KnownPurge(Struct, frozen=True, kw_only=True):
    """What was purged of an archive; an empty chat is all of them."""

    session_id: int
    chat: Jid
    before: datetime


class _Status(Struct, frozen=True, kw_only=True):
    """A session's state, as told by a delivery."""

    session: SessionName
    at: datetime
    status: str


class _Known(Struct, frozen=True, kw_only=True):
    """What a batch begins with."""

    entries: list[_Entry]
    links: list[_KnownLink]
    purges: list[_KnownPurge]
    statuses: frozenset[_Status]


def _nothing() -> None:
    """Nobody waits for commits."""


class TimescaleArchive(Archive):
    """The write side over a pool of connections."""

    def __init__(self, pool: Pool, *, committed: Callable[[], None] = _nothing) -> None:
        """Write through *pool*, which stays the caller's; call *committed* after each commit."""
        self._pool = pool
        self._committed = committed

    @override
    async def record(self, deliveries: Sequence[Delivery]) -> list[Recorded]:
        if not deliveries:
            return []
        try:
            size = sum(len(delivery.body) for delivery in deliveries)
            bulk = len(deliveries) > _SMALL_GROUP or size > _SMALL_BYTES
            return await self._repeatedly(
                lambda conn: _record(conn, deliveries, bulk=bulk), bulk=bulk
            )
        except Defect as exc:
            if len(deliveries) == 1:
                return await self._only_log(deliveries[0], exc)
        half = len(deliveries) // 2
        return await self.record(deliveries[:half]) + await self.record(deliveries[half:])

    async def record_with(
        self,
        session: SessionName,
        deliveries: Sequence[Delivery],
        then: Callable[[Connection], Awaitable[None]],
    ) -> list[Recorded]:
        """Record *deliveries*, of *session* alone, and do *then* in the same transaction.

        Where the database refuses a delivery, all are recorded one by one before *then* is done:
        what it writes never becomes true before they are.
        """

        async def act(conn: Connection) -> list[Recorded]:
            if not deliveries:
                await only_then(conn)
                return []
            recorded = await _record(conn, deliveries, bulk=True)
            await then(conn)
            return recorded

        async def only_then(conn: Connection) -> None:
            await _begin(conn, [session])
            await then(conn)

        try:
            return await self._repeatedly(act)
        except Defect:
            if not deliveries:
                raise
        recorded = await self.record(deliveries)
        await self._repeatedly(only_then)
        return recorded

    async def _only_log(self, delivery: Delivery, why: Defect) -> list[Recorded]:
        """Keep the body of a delivery that the database will not let us project."""
        recorded = [Recorded(outcome=Outcome.FAILED, reason=str(why)[:500])]

        async def act(conn: Connection) -> list[Recorded]:
            await _begin(conn, [delivery.session])
            await _log_by_copy(conn, [delivery], recorded)
            return recorded

        return await self._repeatedly(act)

    @override
    async def logged(self, which: LogFilter, *, after: int, limit: int) -> list[LoggedBody]:
        values = filter_values(which) | {"after": after, "limit": limit}
        with translated_errors():
            async with self._pool.connection() as conn:
                cursor = await conn.execute(QUERIES["logged_bodies"], values)
                return from_rows(LoggedBody, await cursor.fetchall())

    @override
    async def reproject(self, deliveries: Sequence[tuple[int, Delivery]]) -> list[Recorded]:
        if not deliveries:
            return []
        try:
            return await self._repeatedly(lambda conn: _reproject(conn, deliveries))
        except Defect as exc:
            if len(deliveries) == 1:
                failed = [Recorded(outcome=Outcome.FAILED, reason=str(exc)[:500])]
                ids = [deliveries[0][0]]
                await self._repeatedly(lambda conn: _set_outcomes(conn, ids, failed))
                return failed
        half = len(deliveries) // 2
        first = await self.reproject(deliveries[:half])
        return first + await self.reproject(deliveries[half:])

    @override
    async def unlink(self, session: SessionName, lid: Jid, *, at: datetime) -> int:
        async def act(conn: Connection) -> int:
            writing, links = await _identity_of(conn, session, lid, at)
            phone = resolve_links(links).get(lid)
            if phone is None:
                raise NotFound(f"session {session!r} has no link of {lid} in force")
            held = next(link for link in links if (link.lid, link.phone) == (lid, phone))
            return await _relink(writing, links, msgspec.structs.replace(held, rejected_at=at))

        return await self._repeatedly(act)

    @override
    async def link(self, session: SessionName, lid: Jid, phone: Jid, *, at: datetime) -> int:
        async def act(conn: Connection) -> int:
            writing, links = await _identity_of(conn, session, lid, at)
            held = next((link for link in links if (link.lid, link.phone) == (lid, phone)), None)
            said = said_by_a_person(held, lid, phone, at=at)
            return await _relink(writing, links, said)

        return await self._repeatedly(act)

    async def changing(
        self, target: PurgeTarget, act: Callable[[Writing], Awaitable[T]], *, at: datetime
    ) -> T:
        """Do *act* alone on an archive, in a transaction."""

        async def acting(conn: Connection) -> T:
            await _begin(conn, [target.session])
            return await act(await writing_of(conn, target.archive, target.session, at=at))

        return await self._repeatedly(acting)

    async def _repeatedly(
        self, act: Callable[[Connection], Awaitable[T]], *, bulk: bool = True
    ) -> T:
        """Run *act* in a transaction; again when that may help.

        That is when the server undid it for others' sake, or when the pooled connection turned out
        to be dead. Repeating is safe: if the first try was committed after all, the second finds
        nothing new.

        Args:
            act: what to do.
            bulk: whether it uses COPY or sends much; otherwise its statements go in a pipeline.
        """
        with translated_errors():
            for left in reversed(range(_TRIES)):
                try:
                    async with self._pool.connection() as conn:
                        done = await _in_transaction(conn, act, bulk=bulk)
                    self._committed()
                    return done  # noqa: TRY300 - what follows is another try
                except _WORTH_REPEATING:
                    if not left:
                        raise
                except (PoolTimeout, PoolClosed):
                    raise
                except psycopg.OperationalError:
                    if not left or not conn.broken:
                        raise
                    await self._pool.check()
        raise Defect("a transaction neither succeeded nor failed")


async def _in_transaction(
    conn: Connection, act: Callable[[Connection], Awaitable[T]], *, bulk: bool
) -> T:
    async with AsyncExitStack() as stack:
        if not bulk:
            await stack.enter_async_context(conn.pipeline())
        await stack.enter_async_context(conn.transaction())
        done = await act(conn)
        if not bulk and conn.pgconn.flush():
            # psycopg's pipeline may wait for answers before all is sent; a fetch sends all.
            await (await conn.execute(QUERIES["ping"])).fetchone()
        return done


def filter_values(which: LogFilter) -> dict[str, Any]:
    """Return *which* as the values of the log's queries."""
    return msgspec.structs.asdict(which)


async def _begin(conn: Connection, sessions: Iterable[SessionName]) -> None:
    """Begin to write *sessions*, alone."""
    keys = sorted({zlib.crc32(name.encode()) - 2**31 for name in sessions})
    await conn.execute(QUERIES["begin_writing"], {"space": _LOCK_SPACE, "keys": keys})


async def _record(
    conn: Connection, deliveries: Sequence[Delivery], *, bulk: bool
) -> list[Recorded]:
    batch, recorded = await _project(conn, deliveries, bulk=bulk)
    if bulk:
        await _log_by_copy(conn, deliveries, recorded)
    else:
        rows = _log_rows(deliveries, recorded)
        told = [dict(zip(LOG_COLUMNS, row[:-1], strict=True)) for row in rows]
        batch.add("add_events", told, bodies=[row[-1] for row in rows])
    await batch.run(conn)
    return recorded


def _log_rows(
    deliveries: Sequence[Delivery], recorded: Sequence[Recorded]
) -> list[tuple[object, ...]]:
    return [
        (
            *(d.received_at, d.occurred_at, d.session, d.event, d.source, d.engine),
            *(d.envelope_id, r.outcome, r.reason, d.body),
        )
        for d, r in zip(deliveries, recorded, strict=True)
        if worth_logging(d, r)
    ]


async def _log_by_copy(
    conn: Connection, deliveries: Sequence[Delivery], recorded: Sequence[Recorded]
) -> None:
    await copy(conn, "copy_events", LOG_TYPES, _log_rows(deliveries, recorded))


async def _reproject(
    conn: Connection, deliveries: Sequence[tuple[int, Delivery]]
) -> list[Recorded]:
    batch, recorded = await _project(conn, [delivery for _, delivery in deliveries], bulk=True)
    await batch.run(conn)
    return await _set_outcomes(conn, [id_ for id_, _ in deliveries], recorded)


async def _set_outcomes(
    conn: Connection, ids: Sequence[int], recorded: list[Recorded]
) -> list[Recorded]:
    rows = [
        {"event_id": id_, "outcome": r.outcome, "reason": r.reason}
        for id_, r in zip(ids, recorded, strict=True)
    ]
    batch = Batch()
    batch.add("set_outcomes", [row for row in rows if row["reason"] != PURGED.reason])
    batch.add("remove_events", [row for row in rows if row["reason"] == PURGED.reason])
    await batch.run(conn)
    return recorded


class _Share(Struct):
    """One archive's part of a batch: positions in the batch, and what is news already."""

    entry: _Entry
    positions: list[int]
    news: set[int]


async def _project(
    conn: Connection, deliveries: Sequence[Delivery], *, bulk: bool
) -> tuple[Batch, list[Recorded]]:
    """Project *deliveries*; return what is left to be written, and their outcomes."""
    await _begin(conn, {delivery.session for delivery in deliveries})
    told = _told_statuses(deliveries)
    lids = [lids_of(delivery) for delivery in deliveries]
    known = await _known_before(conn, deliveries, lids, told.keys())
    shares = await _shares(conn, deliveries, known.entries)
    news = {position for status, position in told.items() if status not in known.statuses}
    recorded: dict[int, Recorded] = {}
    batch = Batch()
    for share in shares:
        await batch.run(conn)
        share.news |= news
        at = max(deliveries[position].received_at for position in share.positions)
        writing = Writing(conn, share.entry.id, share.entry.session, at=at, bulk=bulk)
        writing.purges = [
            (each.chat or None, each.before)
            for each in known.purges
            if each.session_id == share.entry.id
        ]
        writing.told += _session_items(share, told, known)
        batch = writing.batch()
        mine = set[Jid]().union(*(lids[position] for position in share.positions))
        mine |= purged_lids(writing)
        phones = await _learn(writing, deliveries, share, mine, known.links)
        recorded |= await _project_share(writing, batch, deliveries, share, phones)
        writing.tell(batch)
    before = {entry.id: entry for entry in known.entries}
    entries = [share.entry for share in shares]
    batch.add("touch_sessions", [entry for entry in entries if entry != before.get(entry.id)])
    batch.add("save_statuses", [status for status in told if status not in known.statuses])
    return batch, [
        recorded.get(position) or judge(delivery, changed=False)
        for position, delivery in enumerate(deliveries)
    ]


def _session_items(share: _Share, told: Mapping[_Status, int], known: _Known) -> list[Item]:
    """Return what is new of the session itself: its states, or whose it is."""
    states = [
        Item(kind=ChangeKind.SESSION, status=status.status)
        for status, position in told.items()
        if position in share.positions and status not in known.statuses
    ]
    before = next((entry for entry in known.entries if entry.id == share.entry.id), None)
    if states or (before is not None and _account_of(before) == _account_of(share.entry)):
        return states
    return [Item(kind=ChangeKind.SESSION)]


def _account_of(entry: _Entry) -> tuple[str | None, ...]:
    return (entry.account, entry.push_name, entry.engine)


def _told_statuses(deliveries: Sequence[Delivery]) -> dict[_Status, int]:
    """Return the session states that *deliveries* tell, each with the first position that does."""
    told: dict[_Status, int] = {}
    for position, delivery in enumerate(deliveries):
        for at, status in statuses_of(delivery):
            row = _Status(session=delivery.session, at=at, status=status.value)
            told.setdefault(row, position)
    return told


async def _known_before(
    conn: Connection,
    deliveries: Sequence[Delivery],
    lids: Iterable[Iterable[Jid]],
    statuses: Iterable[_Status],
) -> _Known:
    asked: Mapping[str, Iterable[object]] = {
        "sessions": {delivery.session for delivery in deliveries},
        "lids": set[Jid]().union(*lids),
        "statuses": list(statuses),
    }
    values = {name: msgspec.json.encode(value).decode() for name, value in asked.items()}
    cursor = await conn.execute(QUERIES["known_before"], values)
    row = await cursor.fetchone() or {}
    return _Known(
        entries=from_json(_Entry, row["entries"]),
        links=from_json(_KnownLink, row["links"]),
        purges=from_json(_KnownPurge, row["purges"]),
        statuses=frozenset(from_json(_Status, row["statuses"])),
    )


async def _shares(
    conn: Connection, deliveries: Sequence[Delivery], entries: list[_Entry]
) -> list[_Share]:
    """Find, or begin, the archive of each delivery."""
    shares: dict[int, _Share] = {}
    known: dict[SessionName, dict[int, _Entry]] = defaultdict(dict)
    for entry in entries:
        known[entry.session][entry.id] = entry
    for position, delivery in enumerate(deliveries):
        mine = known[delivery.session]
        account = delivery.account.phone if delivery.account else None
        found = archive_of(mine.values(), account)
        if found is None and not begins_with(delivery):
            continue
        if found is None:
            entry = await _begun(conn, delivery)
        else:
            # Two accounts of one session may take turns: then every second counts.
            step = _LAST_EVENT_STEP if len(mine) == 1 else timedelta()
            moves = is_event(delivery, mine[found.id], mine.values())
            entry = _touched(mine[found.id], delivery, step if moves else None)
        mine[entry.id] = entry
        share = shares.setdefault(entry.id, _Share(entry, [], set()))
        share.entry = entry
        share.positions.append(position)
    return list(shares.values())


def _at(delivery: Delivery) -> datetime:
    """Return when *delivery* happened; an engine's clock that is ahead does not count."""
    return min(delivery.occurred_at, delivery.received_at)


async def _begun(conn: Connection, delivery: Delivery) -> _Entry:
    account = delivery.account
    values = {
        "session": delivery.session,
        "account": account.phone if account else None,
        "account_lid": account.lid if account else None,
        "push_name": account.push_name if account else None,
        "engine": delivery.engine,
        "last_event_at": _at(delivery),
    }
    cursor = await conn.execute(QUERIES["add_session"], values)
    row = await cursor.fetchone()
    if row is None:
        raise Defect("a new session got no id")
    return from_row(_Entry, values | row)


def _touched(entry: _Entry, delivery: Delivery, step: timedelta | None) -> _Entry:
    """Return *entry* with what *delivery* says of it.

    Args:
        entry: up to now.
        delivery: told of it.
        step: less is not worth a write of its latest event; None: it is no event.
    """
    account, at = delivery.account, _at(delivery)
    late = step is None or at < entry.last_event_at + step
    known = (entry.account_lid, entry.push_name, entry.engine)
    named = (account.lid, account.push_name) if account else (None, None)
    told = (*named, delivery.engine)
    lid, push_name, engine = latest(known, told, late=at < entry.last_event_at)
    return msgspec.structs.replace(
        entry,
        account=entry.account or (account.phone if account else None),
        account_lid=lid,
        push_name=push_name,
        engine=engine,
        last_event_at=entry.last_event_at if late else at,
    )


async def _project_share(
    writing: Writing,
    batch: Batch,
    deliveries: Sequence[Delivery],
    share: _Share,
    phones: Phones,
) -> dict[int, Recorded]:
    """Project one archive's deliveries, and add to *batch* what is to be written."""
    projected: dict[int, list[tuple[AnyObservation, Record]]] = {}
    recorded: dict[int, Recorded] = {}
    for position in share.positions:
        try:
            projected[position] = list(records_of(deliveries[position], phones))
        except Exception as exc:  # noqa: BLE001 - a defect of ours must not lose the neighbours
            reason = clean_text(f"{type(exc).__name__}: {exc}")[:500]
            recorded[position] = Recorded(outcome=Outcome.FAILED, reason=reason)
    ledger = await writing.ledger(record for rs in projected.values() for _, record in rs)
    for position, records in projected.items():
        news = position in share.news
        recorded[position] = ledger.apply(deliveries[position], records, news=news)
    changes = list(ledger.changes())
    await writing.prepare(batch, changes)
    writing.told += items_of(changes)
    return recorded


async def _learn(
    writing: Writing,
    deliveries: Sequence[Delivery],
    share: _Share,
    lids: set[Jid],
    known: Sequence[_KnownLink],
) -> Phones:
    """Take in the links that a batch tells, move what they move, and return who is who."""
    held = {
        (link.lid, link.phone): _plain(link)
        for link in known
        if link.session_id == share.entry.id and link.lid in lids
    }
    told = dict(held)
    for position in share.positions:
        for link in links_of(deliveries[position]):
            before = told.get((link.lid, link.phone))
            if before is None:
                share.news.add(position)
            told[link.lid, link.phone] = before.merged(link) if before else link
    await writing.execute(
        "save_links", [link for key, link in told.items() if held.get(key) != link]
    )
    phones_before, phones = resolve_links(held.values()), resolve_links(told.values())
    await _follow(writing, phones_before, phones)
    return phones


def _plain(link: _KnownLink) -> Link:
    return Link(**{name: getattr(link, name) for name in Link.__struct_fields__})


async def _links(writing: Writing, lids: set[Jid]) -> dict[tuple[Jid, Jid], Link]:
    rows = await writing.fetch("links_of_lids", lids=sorted(lids))
    return {(link.lid, link.phone): link for link in from_rows(Link, rows)}


async def _follow(writing: Writing, before: Phones, after: Phones) -> int:
    """Move what is addressed by links that differ; a purge of a LID holds for its phone at once."""
    moved = 0
    writing.heed(after)
    purged = purged_lids(writing)
    for lid in sorted(before.keys() | after.keys()):
        old, new = canonical(lid, before), canonical(lid, after)
        if old != new:
            moved += await writing.move(Move(lid=lid, old=old, new=new), after)
            if lid in purged and (at := writing.cutoffs.of(new)) is not None:
                while await writing.purge(new, at, limit=_PURGED_AT_ONCE):
                    pass
    return moved


def purged_lids(writing: Writing) -> set[Jid]:
    """Return the LIDs whose chats were purged, whose links decide what else is."""
    return {chat for chat, _ in writing.purges if chat is not None and is_lid(chat)}


async def _identity_of(
    conn: Connection, session: SessionName, lid: Jid, at: datetime
) -> tuple[Writing, list[Link]]:
    """Lock *session* and return its current archive with the links of *lid*."""
    await _begin(conn, {session})
    cursor = await conn.execute(QUERIES["session_entries"], {"sessions": [session]})
    entry = current(from_rows(_Entry, await cursor.fetchall()))
    if entry is None:
        cursor = await conn.execute(QUERIES["session_names"], {"limit": NAMED + 1})
        raise no_session(session, [row["session"] for row in await cursor.fetchall()])
    writing = await writing_of(conn, entry.id, entry.session, at=at)
    links = await _links(writing, {lid} | purged_lids(writing))
    return writing, list(links.values())


async def writing_of(
    conn: Connection, archive: int, session: SessionName, *, at: datetime
) -> Writing:
    """Return the write side of an archive whose session is locked, with what is purged of it."""
    writing = Writing(conn, archive, session, at=at, bulk=True)
    rows = await writing.fetch("purges_of")
    writing.purges = [(row["chat"] or None, row["before"]) for row in rows]
    links = await _links(writing, lids) if (lids := purged_lids(writing)) else {}
    writing.heed(resolve_links(links.values()))
    return writing


async def _relink(writing: Writing, links: list[Link], changed: Link) -> int:
    await writing.execute("save_links", [changed])
    pair = (changed.lid, changed.phone)
    others = [link for link in links if (link.lid, link.phone) != pair]
    after = resolve_links([*others, changed])
    moved = await _follow(writing, resolve_links(links), after)
    await writing.execute("add_changes", writing.told)
    return moved
