"""What every read begins with: a snapshot, whose archive it is, and which chat is meant."""

from collections.abc import Iterable, Sequence
from datetime import UTC
from typing import Any

from wagateway.adapters.timescale._queries import QUERIES
from wagateway.adapters.timescale._rows import Row, file_record, from_row, from_rows
from wagateway.adapters.timescale.pool import Connection
from wagateway.domain.archives import NAMED, ArchiveEntry, archive_to_read, no_session
from wagateway.domain.downloads import KeptFile
from wagateway.domain.identity import Jid, Link, SessionName, canonical, is_lid, resolve_links
from wagateway.domain.media import MediaObject
from wagateway.domain.purges import Cutoffs, chat_of, cutoffs, no_chat


async def fetch(conn: Connection, query: str, **values: Any) -> list[Row]:  # noqa: ANN401 - SQL values
    """Return the rows of a named query."""
    cursor = await conn.execute(QUERIES[query], values)
    return list(await cursor.fetchall())


async def entry_of(
    conn: Connection, session: SessionName, account: Jid | None = None
) -> ArchiveEntry:
    """Return the archive that is meant, see archive_to_read()."""
    rows = await fetch(conn, "session_entries", sessions=[session])
    if not rows:
        names = await fetch(conn, "session_names", limit=NAMED + 1)
        raise no_session(session, [row["session"] for row in names])
    return archive_to_read(from_rows(ArchiveEntry, rows), session, account)


async def phones_of(conn: Connection, entry: ArchiveEntry, jids: Iterable[str]) -> dict[Jid, Jid]:
    """Return the phone of each LID among *jids* that is linked."""
    lids = sorted({jid for jid in jids if is_lid(jid)})
    if not lids:
        return {}
    rows = await fetch(conn, "links_of_lids", session_id=entry.id, lids=lids)
    return resolve_links(from_rows(Link, rows))


async def known_chat(
    conn: Connection, entry: ArchiveEntry, candidates: Sequence[Jid]
) -> Jid | None:
    """Return the first of *candidates* that is a chat of the archive; None where none is."""
    phones = await phones_of(conn, entry, candidates)
    wanted = [canonical(candidate, phones) for candidate in candidates]
    rows = await fetch(conn, "known_chats", session_id=entry.id, chats=wanted)
    return chat_of(candidates, phones, {row["chat_id"] for row in rows})


async def find_chat(conn: Connection, entry: ArchiveEntry, candidates: Sequence[Jid]) -> Jid:
    """Return the first of *candidates* that is a chat of the archive.

    Raises:
        NotFound: none is.
    """
    chat = await known_chat(conn, entry, candidates)
    if chat is None:
        raise no_chat(entry.session, candidates)
    return chat


async def cutoffs_of(conn: Connection, archive: int) -> Cutoffs:
    """Return what is purged of an archive."""
    rows = await fetch(conn, "purged_before", session_id=archive)
    return cutoffs(((row["chat"] or None, row["before"].astimezone(UTC)) for row in rows), {})


async def kept_files(conn: Connection, rows: Iterable[Row]) -> list[KeptFile]:
    """Return the file records of *rows* with what is stored of them.

    Args:
        conn: to read them over.
        rows: of page_files and its like, which tell whether there is a preview without reading it.
    """
    files = [(file_record(row), row["has_preview"]) for row in rows]
    hashes = sorted({file.download.sha256 for file, _ in files if file.download.sha256})
    found = await fetch(conn, "objects_named", sha256s=hashes) if hashes else []
    stored = {row["sha256"]: from_row(MediaObject, row) for row in found}
    return [
        KeptFile(file=file, stored=stored.get(file.download.sha256 or ""), has_preview=has_preview)
        for file, has_preview in files
    ]
