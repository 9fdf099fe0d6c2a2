"""Which archive a delivery belongs to: a session's name may pass from one account to another."""

from collections.abc import Iterable
from datetime import datetime

from msgspec import Struct

from wagateway.domain.errors import NotFound
from wagateway.domain.events import Delivery, NotArchived, NotUnderstood, Source
from wagateway.domain.identity import Jid, SessionName


class ArchiveEntry(Struct, frozen=True, kw_only=True):
    """One session under one account.

    Attributes:
        id: the store's own key.
        account: None until the engine names it.
        last_event_at: of the latest webhook, to within a minute; see is_event().
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


def is_event(delivery: Delivery, entry: ArchiveEntry, entries: Iterable[ArchiveEntry]) -> bool:
    """Tell whether *delivery* may be the latest event of *entry*, one of *entries* of a session.

    What sync reads does not show that webhooks come. It counts only where it begins an archive, or
    makes one current whose account came back.
    """
    now = current(entries)
    return delivery.source is Source.WEBHOOK or now is None or now.id != entry.id


def begins_with(delivery: Delivery) -> bool:
    """Tell whether an archive may begin with *delivery*.

    That is when its session is named, or when it tells something in spite of that.
    """
    silent = (NotArchived, NotUnderstood)
    return bool(delivery.session) or not all(isinstance(o, silent) for o in delivery.observations)


def latest(
    known: tuple[str | None, ...], told: tuple[str | None, ...], *, late: bool
) -> tuple[str | None, ...]:
    """Return what is known of an account after a delivery told something; None tells nothing.

    Args:
        known: up to now.
        told: by the delivery.
        late: whether the delivery happened before what is known; then it only fills gaps.
    """
    pairs = zip(known, told, strict=True)
    return tuple((old or new) if late else (new or old) for old, new in pairs)


def archive_to_read(
    entries: Iterable[ArchiveEntry], session: SessionName, account: Jid | None
) -> ArchiveEntry:
    """Return the archive of *account*, or the current one for None, among those of *session*.

    Raises:
        NotFound: none is of *account*.
    """
    entry = current(entry for entry in entries if account in {None, entry.account})
    if entry is None:
        raise NotFound(f"session {session!r} never had the account {account}")
    return entry


NAMED = 10
"""So many sessions are named where another one was asked for."""


def no_session(session: SessionName, known: Iterable[SessionName]) -> NotFound:
    """Return the error that there is no *session*; it names the first of those that are *known*."""
    names = sorted(set(known))
    shown = ", ".join(repr(name) for name in names[:NAMED])
    if len(names) > NAMED:
        shown += " and others"
    there = f"only {shown}" if shown else "nor any other yet: the first webhook or sync brings it"
    return NotFound(f"there is no session {session!r}, {there}")


def current(entries: Iterable[ArchiveEntry]) -> ArchiveEntry | None:
    """Return the archive with the latest delivery."""
    return max(entries, key=lambda e: (e.last_event_at, e.id), default=None)
