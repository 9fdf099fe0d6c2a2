"""Which archive a delivery belongs to: a session's name may pass from one account to another."""

from collections.abc import Iterable
from datetime import datetime

from msgspec import Struct

from wagateway.domain.identity import Jid, SessionName


class ArchiveEntry(Struct, frozen=True, kw_only=True):
    """One session under one account.

    Attributes:
        id: the store's own key.
        account: None until the engine names it.
        last_event_at: of the latest delivery, to within a minute.
    """

    id: int
    session: SessionName
    account: Jid | None
    last_event_at: datetime


def archive_of(entries: Iterable[ArchiveEntry], account: Jid | None) -> ArchiveEntry | None:
    """Return the archive, among those of one session, that a delivery belongs to.

    A delivery that names its account goes to that account's archive, or to one whose account is
    not known yet, which thereby learns it. One that does not, goes to the current archive.

    Returns:
        None when a new archive must begin.
    """
    known = list(entries)
    if account is None:
        return current(known)
    for wanted in (account, None):
        for entry in known:
            if entry.account == wanted:
                return entry
    return None


def current(entries: Iterable[ArchiveEntry]) -> ArchiveEntry | None:
    """Return the archive with the latest delivery."""
    return max(entries, key=lambda e: (e.last_event_at, e.id), default=None)
