"""What was purged: messages sent before an instant, in one chat or in all, which never come back.

The instant is fixed when a purge is made. What is sent later is archived as ever; what was sent
before is not taken up again, whichever way and however late it comes.
"""

from collections.abc import Container, Iterable, Mapping, Sequence
from datetime import datetime

from msgspec import Struct, field

from wagateway.domain.errors import NotFound
from wagateway.domain.identity import Jid, SessionName, canonical
from wagateway.domain.records import (
    AnswerRecord,
    EditRecord,
    MessageRecord,
    ReactionRecord,
    ReceiptRecord,
    Record,
    RevocationRecord,
    VoteRecord,
)

BY_RETENTION = "retention"
"""Who purged what the settings let go by its age."""


class Purge(Struct, frozen=True, kw_only=True):
    """Messages of one archive that were purged.

    Attributes:
        chat: where; None: in all chats.
        before: what was sent before this instant is purged; aware UTC, exclusive.
        purged_at: when that was said.
        purged_by: who said so; BY_RETENTION for the settings.
        reason: why, in their words.
        with_log: whether the log's rows of the session that were received before *before* go too.
    """

    before: datetime
    purged_at: datetime
    purged_by: str
    chat: Jid | None = None
    reason: str | None = None
    with_log: bool = False

    def merged(self, other: "Purge") -> "Purge":
        """Return what one says who purged the same again: the later instant counts."""
        return max(self, other, key=lambda p: (p.before, p.with_log, p.purged_at, p.reason or ""))


class Cutoffs(Struct, frozen=True):
    """The instants before which messages of one archive are purged.

    Attributes:
        everywhere: in all chats; None: nowhere.
        chats: in single chats, by canonical address.
    """

    everywhere: datetime | None = None
    chats: Mapping[Jid, datetime] = field(default_factory=dict)

    def __bool__(self) -> bool:
        return self.everywhere is not None or bool(self.chats)

    def of(self, chat: Jid) -> datetime | None:
        """Return before when messages of *chat* are purged; None where none are."""
        return max(
            (at for at in (self.everywhere, self.chats.get(chat)) if at is not None), default=None
        )


def cutoffs(purges: Iterable[tuple[Jid | None, datetime]], phones: Mapping[Jid, Jid]) -> Cutoffs:
    """Return what purges come to.

    Args:
        purges: ``chat`` and ``before`` of each of one archive.
        phones: which LID is which phone: a purge of either holds for the one chat that they are.
    """
    everywhere: datetime | None = None
    chats: dict[Jid, datetime] = {}
    for where, before in purges:
        if where is None:
            everywhere = max(everywhere or before, before)
        else:
            chat = canonical(where, phones)
            chats[chat] = max(chats.get(chat, before), before)
    return Cutoffs(everywhere, chats)


def is_purged(chat: Jid, sent_at: datetime, purged: Cutoffs) -> bool:
    """Tell whether a message of *chat* that was sent then is purged."""
    before = purged.of(chat)
    return before is not None and sent_at < before


def before_when(purged: Cutoffs, chat: Jid | None) -> datetime | None:
    """Return before when messages of *chat*, or of all chats for None, are purged."""
    return purged.everywhere if chat is None else purged.of(chat)


class PurgeCounts(Struct, frozen=True, kw_only=True):
    """How many of each kind went, or would go.

    Attributes:
        files: that messages had; the stored content goes once no other message has it.
        log_rows: raw bodies.
    """

    messages: int = 0
    edits: int = 0
    revocations: int = 0
    reactions: int = 0
    receipts: int = 0
    votes: int = 0
    answers: int = 0
    files: int = 0
    log_rows: int = 0

    def __add__(self, other: "PurgeCounts") -> "PurgeCounts":
        names = self.__struct_fields__
        return PurgeCounts(**{name: getattr(self, name) + getattr(other, name) for name in names})

    def __bool__(self) -> bool:
        return any(getattr(self, name) for name in self.__struct_fields__)


_KINDS: Mapping[type[Record], str] = {
    EditRecord: "edits",
    RevocationRecord: "revocations",
    ReactionRecord: "reactions",
    ReceiptRecord: "receipts",
    VoteRecord: "votes",
    AnswerRecord: "answers",
}


def counts_of(changes: Iterable[tuple[Record | None, Record | None]], *, files: int) -> PurgeCounts:
    """Return what went by *changes*, each a record before and after, and so many *files*."""
    gone = dict.fromkeys(PurgeCounts.__struct_fields__, 0)
    for before, after in changes:
        if isinstance(before, MessageRecord):
            gone["messages"] += before.facts_key is not None and _lost_facts(after)
        elif before is not None and after is None and type(before) in _KINDS:
            gone[_KINDS[type(before)]] += 1
    return PurgeCounts(**gone | {"files": files})


def _lost_facts(after: Record | None) -> bool:
    return isinstance(after, MessageRecord) and after.is_purged


class PurgeTarget(Struct, frozen=True, kw_only=True):
    """What a purge is about: an archive, or one chat of it.

    Attributes:
        archive: the store's own key.
    """

    archive: int
    session: SessionName
    account: Jid | None
    chat: Jid | None = None


def chat_of(
    candidates: Iterable[Jid], phones: Mapping[Jid, Jid], known: Container[Jid]
) -> Jid | None:
    """Return the first of *candidates*, under its canonical address, that is among *known*."""
    wanted = (canonical(candidate, phones) for candidate in candidates)
    return next((chat for chat in wanted if chat in known), None)


def no_chat(session: SessionName, candidates: Sequence[Jid]) -> NotFound:
    """Return the error that *session* has none of *candidates*."""
    return NotFound(f"session {session!r} has no chat {candidates[0]}")
