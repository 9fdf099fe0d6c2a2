"""A working set of one archive's records: what a batch touches, or all of it.

Every store applies deliveries through this class, so that one implementation of the rules decides
what is a twin, what is a clash and what is news, and a store only loads and writes records.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import msgspec
from msgspec import Struct

from wagateway.domain.events import (
    PURGED,
    AnyObservation,
    CallSeen,
    ContactSeen,
    Delivery,
    IdentityLinked,
    LabelChanged,
    MessageSeen,
    NotArchived,
    NotUnderstood,
    Outcome,
    Recorded,
)
from wagateway.domain.identity import ME, Author, Jid, canonical, is_direct, is_lid
from wagateway.domain.purges import Cutoffs, is_purged
from wagateway.domain.records import (
    AnswerRecord,
    AuthorKey,
    ChatRecord,
    ContactRecord,
    EditRecord,
    MemberRecord,
    MessageRecord,
    ReactionRecord,
    ReceiptRecord,
    Record,
    RevocationRecord,
    StanzaKey,
    VoteRecord,
)


class Change(Struct, frozen=True, kw_only=True):
    """One record before and after; None where there was or is none.

    Attributes:
        became: of a message that is there no longer: the one that it was merged into, or moved to.
    """

    before: Record | None
    after: Record | None
    became: AuthorKey | None = None


_Slot = tuple[type[Record], Any]

_MARKS = (
    EditRecord,
    RevocationRecord,
    ReactionRecord,
    ReceiptRecord,
    VoteRecord,
    AnswerRecord,
)


class Ledger:
    """Records by key, with what changed since they were loaded.

    Attributes:
        cutoffs: what is purged, and so not taken up.
    """

    def __init__(self, cutoffs: Cutoffs = Cutoffs()) -> None:  # noqa: B008 - it is immutable
        """Begin empty."""
        self.cutoffs = cutoffs
        self._records: dict[_Slot, Record] = {}
        self._authors: dict[StanzaKey, set[Author]] = {}
        self._marks: dict[StanzaKey, set[_Slot]] = {}
        self._originals: dict[_Slot, Record | None] = {}
        self._became: dict[AuthorKey, AuthorKey] = {}

    def load(self, records: Iterable[Record]) -> None:
        """Take *records* as they stand in the store."""
        for record in records:
            self._set(record)

    def changes(self) -> Iterator[Change]:
        """Return what differs from what was loaded."""
        for slot, before in self._originals.items():
            after = self._records.get(slot)
            if before != after:
                gone = after is None and isinstance(before, MessageRecord)
                became = self._follow(slot[1]) if gone else None
                yield Change(before=before, after=after, became=became)

    def settle(self) -> None:
        """Take the present records as the loaded ones, as a store would have kept them."""
        for slot in self._originals:
            record = self._records.get(slot)
            if isinstance(record, MessageRecord):
                self._records[slot] = record.without_preview()
        self._originals.clear()
        self._became.clear()

    def records(self) -> Iterator[Record]:
        """Return all records, in no order."""
        return iter(list(self._records.values()))

    def apply(
        self,
        delivery: Delivery,
        projected: Iterable[tuple[AnyObservation, Record]],
        *,
        news: bool = False,
    ) -> Recorded:
        """Merge what *delivery* tells.

        Args:
            delivery: what came.
            projected: its records, see records_of().
            news: whether it taught the store something that is kept outside the ledger.
        """
        purged: list[AnyObservation] = []
        for observation, record in projected:
            if self._refuses(record):
                purged.append(observation)
            news = self.put(record, observation) or news
        return judge(delivery, changed=news, purged=purged)

    def put(self, record: Record, observation: AnyObservation | None = None) -> bool:
        """Merge *record* into what is there.

        Returns:
            Whether a reader can see the difference and *observation* is what makes it news.
        """
        if self._is_about_purged(record):
            if (type(record), record.key) in self._records:
                self.remove(record)
            return False
        record = self._kept(record)
        if isinstance(record, MessageRecord):
            record = self._joined_with_its_twins(record)
        slot = (type(record), record.key)
        before = self._records.get(slot)
        after = self._kept(_merged(before and self._kept(before), record))
        if after == before:
            return False
        self._originals.setdefault(slot, before)
        self._set(after)
        if isinstance(after, MessageRecord) and after.is_purged:
            self._drop_what_is_about(after)
            return False
        return _is_news(before, after, observation)

    def purge(self) -> None:
        """Let go what is purged of all that is loaded."""
        for record in self.records():
            if self._kept(record) != record:
                self.put(record)

    def remove(self, record: Record) -> None:
        """Take *record* out."""
        slot = (type(record), record.key)
        self._originals.setdefault(slot, self._records.pop(slot, None))
        if isinstance(record, MessageRecord):
            self._authors.get(StanzaKey(record.chat, record.stanza), set()).discard(record.author)
        elif isinstance(record, _MARKS):
            self._marks.get(StanzaKey(record.chat, record.stanza), set()).discard(slot)

    def move(self, records: Iterable[Record], to: "Move") -> None:
        """Put *records*, which must be in the ledger, under their new addresses."""
        for record in list(records):
            moved = to.readdressed(record)
            if moved != record:
                self.remove(record)
                if isinstance(record, MessageRecord) and isinstance(moved, MessageRecord):
                    self._note(record.key, moved.key)
                self.put(moved)

    def _note(self, gone: AuthorKey, key: AuthorKey) -> None:
        """Remember that the message at *gone* is found at *key* from now on."""
        if gone != key:
            self._became[gone] = key
            self._became.pop(key, None)

    def _follow(self, gone: AuthorKey) -> AuthorKey | None:
        """Return where the message that was at *gone* is now."""
        key = self._became.get(gone)
        while key is not None and (further := self._became.get(key)) is not None:
            key = further
        return key

    def _set(self, record: Record) -> None:
        self._records[type(record), record.key] = record
        if isinstance(record, MessageRecord):
            stanza = StanzaKey(record.chat, record.stanza)
            self._authors.setdefault(stanza, set()).add(record.author)
        elif isinstance(record, _MARKS):
            stanza = StanzaKey(record.chat, record.stanza)
            self._marks.setdefault(stanza, set()).add((type(record), record.key))

    # What is purged

    def _kept(self, record: Any) -> Any:  # noqa: ANN401 - a record of the same type
        """Return what may be kept of *record*."""
        if isinstance(record, MessageRecord):
            at = record.sent_at
            gone = at is not None and is_purged(record.chat, at, self.cutoffs)
            return record.purged() if gone else record
        if isinstance(record, ChatRecord):
            at = record.last_message_at
            if at is not None and is_purged(record.chat, at, self.cutoffs):
                return msgspec.structs.replace(record, last_message_at=None)
        return record

    def about_to_lose(self, told: Iterable[Record], held: Iterable[Record]) -> frozenset[StanzaKey]:
        """Return the messages that may lose what was told of them, once *told* is put.

        A store loads that first. *held* is what is loaded; of what was purged before, nothing is
        left that it could lose.
        """
        messages = [record for record in (*told, *held) if isinstance(record, MessageRecord)]
        gone = {
            StanzaKey(message.chat, message.stanza)
            for message in messages
            if self._kept(message).is_purged
        }
        fresh = {
            StanzaKey(message.chat, message.stanza)
            for message in messages
            if (found := self._message(message.key)) is None or not found.is_purged
        }
        return frozenset(gone & fresh)

    def _refuses(self, record: Record) -> bool:
        """Tell whether *record* tells of a message that is purged."""
        if not isinstance(record, MessageRecord):
            return self._is_about_purged(record)
        parts = [record, self._message(record.key)]
        gone = any(part is not None and self._kept(part).is_purged for part in parts)
        return gone or self._is_about_purged(record)

    def _is_about_purged(self, record: Record) -> bool:
        """Tell whether *record* is about messages of which all that are known are purged.

        What came before its message is about nothing that is known yet. A message of which only an
        edit without an author came may be any of its stanza id, too.
        """
        if isinstance(record, MessageRecord):
            if record.author or record.sent_at is not None or record.said:
                return False
        elif not isinstance(record, _MARKS):
            return False
        known = self._known(StanzaKey(record.chat, record.stanza))
        meant = [message for message in known if _is_about(record, message)] or known
        return bool(meant) and all(self._kept(message).is_purged for message in meant)

    def _known(self, stanza: StanzaKey) -> list[MessageRecord]:
        """Return the messages of a stanza id whose time is known."""
        authors = self._authors.get(stanza, ())
        found = [self._message(AuthorKey(*stanza, author)) for author in authors]
        return [message for message in found if message is not None and message.sent_at is not None]

    def _drop_what_is_about(self, message: MessageRecord) -> None:
        """Remove what was told of *message*, which is purged, and came before it."""
        stanza = StanzaKey(message.chat, message.stanza)
        slots: list[_Slot] = [*self._marks.get(stanza, ())]
        slots.append((MessageRecord, AuthorKey(*stanza, _NOBODY)))
        for slot in slots:
            record = self._records.get(slot)
            if record is not None and self._is_about_purged(record):
                self.remove(record)

    def _joined_with_its_twins(self, record: MessageRecord) -> MessageRecord:
        """Return *record* with what the ledger holds of the same message without an author.

        Some versions name a group's author in one event and not in the other. Equal time, kind and
        text make these one message. Two addresses that nobody has linked stay two, whatever they
        say: one of them may have forged the other's id (G3). A link that is learned makes them one.
        What was joined may equal more, so this is repeated.
        """
        if record.author == ME or is_direct(record.chat):
            return record
        own = self._message(record.key)
        whole: MessageRecord = _merged(own, record)
        while twins := [other for other in self._siblings(whole) if _are_one(whole, other)]:
            twin = min(twins, key=lambda other: (_vagueness(other.author), other.author))
            author = min(whole.author, twin.author, key=_vagueness)
            for part in (self._message(whole.key), twin):
                if part is not None and part.author != author:
                    self.remove(part)
            for joined in (whole, twin):
                self._note(joined.key, _under(whole, author).key)
            whole = _under(whole, author).merged(_under(twin, author))
        return whole

    def _message(self, key: AuthorKey) -> MessageRecord | None:
        found = self._records.get((MessageRecord, key))
        return found if isinstance(found, MessageRecord) else None

    def _siblings(self, record: MessageRecord) -> list[MessageRecord]:
        """Return the other authors' messages of the same stanza, by author."""
        stanza = StanzaKey(record.chat, record.stanza)
        authors = sorted(self._authors.get(stanza, set()) - {record.author, ME})
        found = [self._message(AuthorKey(*stanza, author)) for author in authors]
        return [sibling for sibling in found if sibling is not None]


_NOBODY = Author("")


def _is_about(record: Any, message: MessageRecord) -> bool:  # noqa: ANN401 - any record about one
    """Tell whether *record*, of the same stanza id, is about *message* in particular."""
    if isinstance(record, EditRecord):
        return record.author in {message.author, *message.lids}
    if isinstance(record, RevocationRecord):
        return record.author in {_NOBODY, message.author}
    return True


def _merged(before: Any, record: Any) -> Any:  # noqa: ANN401 - two records of one type
    return record if before is None else before.merged(record)


def _under(record: MessageRecord, author: Author) -> MessageRecord:
    return msgspec.structs.replace(record, author=author)


def _are_one(a: MessageRecord, b: MessageRecord) -> bool:
    """Tell whether two authors of one stanza id are one: known as such, or one is not named."""
    if Jid(a.author) in b.lids or Jid(b.author) in a.lids:
        return True
    return not (a.author and b.author) and not a.said.isdisjoint(b.said)


def _vagueness(author: Author) -> int:
    """Return 0 for a phone, 1 for a LID that is not linked, 2 for nobody."""
    if not author:
        return 2
    return 1 if is_lid(author) else 0


_BESIDE = (IdentityLinked, ContactSeen)
"""What other events mention in passing; news only when it comes alone."""

_NOT_PROJECTED = (CallSeen, LabelChanged, NotArchived)


def _is_news(before: Record | None, after: Record, observation: AnyObservation | None) -> bool:
    if isinstance(observation, MessageSeen):
        if not isinstance(after, MessageRecord):
            return False
        return not isinstance(before, MessageRecord) or before.visible_state != after.visible_state
    if isinstance(after, ContactRecord) and isinstance(before, ContactRecord):
        return (before.name, before.push_name) != (after.name, after.push_name)
    return True


def judge(delivery: Delivery, *, changed: bool, purged: Sequence[AnyObservation] = ()) -> Recorded:
    """Return the outcome of *delivery*.

    Args:
        delivery: what came.
        changed: whether it changed something that a reader can see.
        purged: which of its observations are about messages that were purged.
    """
    seen: list[AnyObservation] = list(delivery.observations)
    broken = [o.reason for o in seen if isinstance(o, NotUnderstood) and o.known_event]
    if broken:
        return Recorded(outcome=Outcome.FAILED, reason="; ".join(broken)[:500])
    new = [o.reason for o in seen if isinstance(o, NotUnderstood)]
    if new:
        return Recorded(outcome=Outcome.IGNORED, reason="; ".join(new)[:500])
    main = [o for o in seen if not isinstance(o, _BESIDE)] or seen
    if all(isinstance(o, _NOT_PROJECTED) for o in main):
        reasons = [o.reason for o in main if isinstance(o, NotArchived)]
        return Recorded(outcome=Outcome.IGNORED, reason=reasons[0] if reasons else "not projected")
    if purged and all(any(o is gone for gone in purged) for o in main):
        return PURGED
    return Recorded(outcome=Outcome.STORED if changed else Outcome.DUPLICATE)


class Move(Struct, frozen=True, kw_only=True):
    """A change of what a LID stands for: all of *old* that means *lid* becomes *new*.

    Attributes:
        lid: whose link changed.
        old: what it stood for: itself, or a phone JID.
        new: what it stands for now.
        messages: which messages of chat *old* are meant when *old* is a phone JID, because they
            were only seen under *lid*; their versions and deletions follow them.
        stanzas: their stanza ids; what others did to them follows these.
        written: which messages that *old* wrote in groups are meant, likewise; an edit follows
            its message.
    """

    lid: Jid
    old: Jid
    new: Jid
    messages: frozenset[AuthorKey] = frozenset()
    stanzas: frozenset[StanzaKey] = frozenset()
    written: frozenset[AuthorKey] = frozenset()

    def taking(self, messages: Iterable[MessageRecord], phones: Mapping[Jid, Jid]) -> "Move":
        """Return this move with those of *messages* that belong where it leads.

        Args:
            messages: all that were seen under *lid*, at least.
            phones: the phone of each LID from now on.
        """
        mine = [m for m in messages if self.lid in m.lids and not m.by_phone]
        going = frozenset(
            m.key for m in mine if m.chat == self.old and canonical(min(m.lids), phones) == self.new
        )
        return msgspec.structs.replace(
            self,
            messages=going,
            stanzas=frozenset(StanzaKey(key.chat, key.stanza) for key in going),
            written=frozenset(m.key for m in mine if m.author == Author(self.old)),
        )

    def takes(self, message: MessageRecord) -> bool:
        """Tell whether *message* goes to another chat."""
        return self._goes(message)

    def readdressed(self, record: Record) -> Record:
        """Return *record* under its new addresses; itself when none of them changes."""
        if isinstance(record, ContactRecord):
            changes: dict[str, Jid] = {"contact": self.new} if self._is_all(record.contact) else {}
        elif isinstance(record, ChatRecord):
            changes = {"chat": self.new} if self._is_all(record.chat) else {}
        elif isinstance(record, MemberRecord):
            changes = {"member": self.new} if self._acts(record.member, record.seen_as) else {}
        else:
            changes = self._on_message(record)
        return msgspec.structs.replace(record, **changes) if changes else record

    def _on_message(self, record: Any) -> dict[str, Jid]:  # noqa: ANN401 - any record about a message
        changes = {}
        if self._goes(record):
            changes["chat"] = self.new
        if self._acts(record.author, self._seen_as(record)):
            changes["author"] = self.new
        return changes

    def _seen_as(self, record: Any) -> Jid | None:  # noqa: ANN401 - any record about a message
        """Return the LID that alone names the record's author or actor."""
        if isinstance(record, MessageRecord):
            return self.lid if self.lid in record.lids and not record.by_phone else None
        if isinstance(record, EditRecord):
            message = AuthorKey(record.chat, record.stanza, record.author)
            return self.lid if message in self.written else None
        return getattr(record, "seen_as", None)

    def _goes(self, record: Any) -> bool:  # noqa: ANN401 - any record about a message
        if isinstance(record, MessageRecord | EditRecord | RevocationRecord):
            meant = AuthorKey(record.chat, record.stanza, record.author) in self.messages
        else:
            meant = StanzaKey(record.chat, record.stanza) in self.stanzas
        return meant or self._is_all(record.chat)

    def _is_all(self, address: str) -> bool:
        return address == self.old == self.lid

    def _acts(self, address: str, seen_as: Jid | None) -> bool:
        return address == self.old and self.lid in (self.old, seen_as)
