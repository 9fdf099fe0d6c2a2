"""The archive's records and their merge: commutative, associative, idempotent.

Every record is found by its key and merges with any other of the same key, so that any order,
grouping and repetition of observations leaves the same records (G4). Keys hold canonical addresses;
what was seen is kept beside them, so that a wrong LID link can be undone.
"""

import hashlib
from datetime import UTC, datetime, timedelta
from typing import NamedTuple, Self

import msgspec
from msgspec import Struct

from wagateway.domain.events import Role
from wagateway.domain.identity import Author, Jid, StanzaId
from wagateway.domain.messages import Ack, Completeness, Kind, MediaOffer, Message, higher_ack
from wagateway.domain.previews import best_preview

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
SAID_BY_NOBODY = ""
_encode = msgspec.json.Encoder(order="deterministic").encode


class StanzaKey(NamedTuple):
    """One stanza id in one chat; more than one author may claim it."""

    chat: Jid
    stanza: StanzaId


class AuthorKey(NamedTuple):
    """One author's message, or one actor's mark on a message."""

    chat: Jid
    stanza: StanzaId
    author: Author


class EditKey(NamedTuple):
    """One version of one author's message."""

    chat: Jid
    stanza: StanzaId
    author: Author
    edit_id: StanzaId


class MemberKey(NamedTuple):
    """One change of one member of a group."""

    group: Jid
    member: Jid
    at: datetime


class OnMessage(Struct, frozen=True, kw_only=True):
    """A record about one message: who wrote the message, or who did something to it."""

    chat: Jid
    stanza: StanzaId
    author: Author

    @property
    def key(self) -> AuthorKey:
        """What a second record must share to be merged with this one."""
        return AuthorKey(self.chat, self.stanza, self.author)


class MessageRecord(OnMessage, frozen=True, kw_only=True):
    """A message's facts and what later happened to it; either may come first.

    Attributes:
        facts: the best observation's facts; None while none came, or where a store keeps them
            apart and only their key is needed.
        facts_key: see facts_key(); None while no facts came.
        sent_at: WhatsApp's time, as in the facts.
        text, edited_at: the latest readable edit by the author.
        said: digests of what was said, one per text in which the message was seen, in hex; kept
            where messages may come without their author. SAID_BY_NOBODY is among them when this
            one did.
        lids: the LIDs under which the chat, or in a group the author, was seen.
        by_phone: whether it was seen under its phone JID too.
        offer: the best known source of the attached file.
        preview: the best preview of the attached file that was told since stores last wrote the
            record: they keep it with the file, and only until that is stored.

    One that was purged has its key and ``sent_at``, where it was seen, and nothing else. It stays
    so, whatever else is told of the message.
    """

    facts: Message | None = None
    facts_key: bytes | None = None
    sent_at: datetime | None = None
    ack: Ack | None = None
    text: str | None = None
    edited_at: datetime | None = None
    said: frozenset[str] = frozenset()
    lids: frozenset[Jid] = frozenset()
    by_phone: bool = False
    offer: MediaOffer | None = None
    preview: bytes | None = None

    @property
    def visible_state(self) -> tuple[object, ...]:
        """What a reader can tell apart; when it is equal, an observation was a duplicate."""
        content = same_content(self.facts_key) if self.facts_key else None
        return (content, self.ack, self.text, self.edited_at, self.offer)

    def without_preview(self) -> Self:
        """Return what stores keep of it."""
        return self if self.preview is None else msgspec.structs.replace(self, preview=None)

    @property
    def is_purged(self) -> bool:
        """Whether it is only remembered that the message was there."""
        return self.facts_key is None and self.sent_at is not None

    def purged(self) -> Self:
        """Return what is remembered of the message, whose time is known, once it is purged."""
        return type(self)(
            chat=self.chat,
            stanza=self.stanza,
            author=self.author,
            sent_at=self.sent_at,
            lids=self.lids,
            by_phone=self.by_phone,
        )

    def merged(self, other: Self) -> Self:
        """Return what both say together; where one was purged, both are."""
        if self.is_purged or other.is_purged:
            return msgspec.structs.replace(
                self.purged(),
                sent_at=min(r.sent_at for r in (self, other) if r.is_purged and r.sent_at),
                lids=self.lids | other.lids,
                by_phone=self.by_phone or other.by_phone,
            )
        facts = _least(self, other)
        edit = max(self, other, key=lambda r: (r.edited_at or _EPOCH, r.text or ""))
        return msgspec.structs.replace(
            self,
            facts=facts.facts,
            facts_key=facts.facts_key,
            sent_at=facts.sent_at,
            ack=higher_ack(self.ack, other.ack),
            text=edit.text,
            edited_at=edit.edited_at,
            said=self.said | other.said,
            lids=self.lids | other.lids,
            by_phone=self.by_phone or other.by_phone,
            offer=max((self.offer, other.offer), key=offer_rank),
            preview=best_preview(self.preview, other.preview),
        )


def _least(a: MessageRecord, b: MessageRecord) -> MessageRecord:
    """Return the record with the better facts."""
    if a.facts_key is None or b.facts_key is None:
        return b if a.facts_key is None else a
    return a if a.facts_key <= b.facts_key else b


def offer_rank(offer: MediaOffer | None) -> tuple[bool, bool, datetime, bytes]:
    """Return a key by which the better of two offers of one file is the greater."""
    if offer is None:
        return (False, False, _EPOCH, b"")
    return (True, bool(offer.url or offer.s3_key), offer.offered_at, _encode(offer))


_CONTENT = slice(9, 17)


_FROM_HISTORY = 1 << 63


def facts_key(message: Message, seen_at: datetime, *, live: bool = True) -> bytes:
    """Return a key by which the better of two observations of one message is the smaller.

    Fuller beats emptier, then live beats a history page, which shows an edited text as if it were
    the original, then earlier seen beats later. Ties are decided by content. 25 bytes:
    completeness, history and microseconds, a digest of what was said, a digest of everything.
    """
    completeness = message.completeness
    if message.kind is Kind.UNKNOWN and not message.text and message.media is None:
        completeness = Completeness.PLACEHOLDER
    said = _encode((message.sent_at, message.kind, message.text, message.from_me))
    micros = (seen_at - _EPOCH) // timedelta(microseconds=1)
    return (
        completeness.encode()
        + (max(micros, 0) | (0 if live else _FROM_HISTORY)).to_bytes(8, "big")
        + hashlib.blake2b(said, digest_size=8).digest()
        + hashlib.blake2b(_encode(message), digest_size=8).digest()
    )


def same_content(key: bytes) -> bytes:
    """Return the part of a facts key that is equal for equal time, kind and text."""
    return key[_CONTENT]


class EditRecord(Struct, frozen=True, kw_only=True):
    """One version of a text; None when it could not be decrypted."""

    chat: Jid
    stanza: StanzaId
    author: Author
    edit_id: StanzaId
    edited_at: datetime
    text: str | None

    @property
    def key(self) -> EditKey:
        """What a second record must share to be merged with this one."""
        return EditKey(self.chat, self.stanza, self.author, self.edit_id)

    def merged(self, other: Self) -> Self:
        """Return the readable one, else the later one."""
        return max(self, other, key=lambda r: (r.text is not None, r.edited_at, r.text or ""))


class RevocationRecord(OnMessage, frozen=True, kw_only=True):
    """A tombstone. ``author`` is empty in groups, where an admin may delete anybody's message."""

    revoked_at: datetime
    revoked_by: Jid | None

    def merged(self, other: Self) -> Self:
        """Return the earliest deletion; a known remover beats an unknown one."""
        return min(self, other, key=lambda r: (r.revoked_at, r.revoked_by is None, r.revoked_by))


class ReactionRecord(OnMessage, frozen=True, kw_only=True):
    """One sender's latest reaction; the empty emoji is a reaction taken back.

    Attributes:
        seen_as: the LID that ``author`` stands for, if it was seen as one.
    """

    emoji: str
    at: datetime
    seen_at: datetime
    seen_as: Jid | None = None

    def merged(self, other: Self) -> Self:
        """Return the later one by WhatsApp's time, then the engine's, then value."""
        return max(self, other, key=lambda r: (r.at, r.seen_at, r.emoji, r.seen_as or ""))


class ReceiptRecord(OnMessage, frozen=True, kw_only=True):
    """How far a message got for one recipient of a group, with the earliest instants."""

    ack: Ack
    delivered_at: datetime | None = None
    read_at: datetime | None = None
    played_at: datetime | None = None
    seen_as: Jid | None = None

    def merged(self, other: Self) -> Self:
        """Return the highest ack and the earliest instant of each step."""
        return msgspec.structs.replace(
            self,
            ack=higher_ack(self.ack, other.ack),
            delivered_at=_earliest(self.delivered_at, other.delivered_at),
            read_at=_earliest(self.read_at, other.read_at),
            played_at=_earliest(self.played_at, other.played_at),
            seen_as=max(self.seen_as or "", other.seen_as or "") or None,
        )


def _earliest(a: datetime | None, b: datetime | None) -> datetime | None:
    return min((at for at in (a, b) if at is not None), default=None)


class VoteRecord(OnMessage, frozen=True, kw_only=True):
    """One voter's latest choice; None when it could not be decrypted."""

    options: tuple[str, ...] | None
    at: datetime
    seen_at: datetime
    seen_as: Jid | None = None

    def merged(self, other: Self) -> Self:
        """Return the later one; of the same instant, the one that was decrypted."""
        return max(self, other, key=_vote_rank)


def _vote_rank(vote: VoteRecord) -> tuple[object, ...]:
    readable = vote.options is not None
    return (vote.at, readable, vote.seen_at, vote.options or (), vote.seen_as or "")


class AnswerRecord(OnMessage, frozen=True, kw_only=True):
    """One person's latest answer to an event; None when it could not be decrypted."""

    response: str | None
    extra_guests: int
    at: datetime
    seen_at: datetime
    seen_as: Jid | None = None

    def merged(self, other: Self) -> Self:
        """Return the later one; of the same instant, the one that was decrypted."""
        return max(self, other, key=_answer_rank)


def _answer_rank(answer: AnswerRecord) -> tuple[object, ...]:
    readable = answer.response is not None
    value = (answer.response or "", answer.extra_guests, answer.seen_as or "")
    return (answer.at, readable, answer.seen_at, value)


class ContactRecord(Struct, frozen=True, kw_only=True):
    """What a person or chat is called, each name with its own instant; the later one stays."""

    contact: Jid
    push_name: str | None = None
    push_name_at: datetime | None = None
    name: str | None = None
    name_at: datetime | None = None

    @property
    def key(self) -> Jid:
        """What a second record must share to be merged with this one."""
        return self.contact

    def merged(self, other: Self) -> Self:
        """Return the later of each name."""
        pushed = max(self, other, key=lambda r: (r.push_name_at or _EPOCH, r.push_name or ""))
        named = max(self, other, key=lambda r: (r.name_at or _EPOCH, r.name or ""))
        return msgspec.structs.replace(
            self,
            push_name=pushed.push_name,
            push_name_at=pushed.push_name_at,
            name=named.name,
            name_at=named.name_at,
        )


class ChatRecord(Struct, frozen=True, kw_only=True):
    """A chat's latest activity and settings."""

    chat: Jid
    last_message_at: datetime | None = None
    archived: bool = False
    archived_at: datetime | None = None
    description: str | None = None
    description_at: datetime | None = None

    @property
    def key(self) -> Jid:
        """What a second record must share to be merged with this one."""
        return self.chat

    def merged(self, other: Self) -> Self:
        """Return the latest activity, and the later of each setting."""
        archived = max(self, other, key=lambda r: (r.archived_at or _EPOCH, r.archived))
        described = max(
            self, other, key=lambda r: (r.description_at or _EPOCH, r.description or "")
        )
        latest = max(self.last_message_at or _EPOCH, other.last_message_at or _EPOCH)
        return msgspec.structs.replace(
            self,
            last_message_at=None if latest == _EPOCH else latest,
            archived=archived.archived,
            archived_at=archived.archived_at,
            description=described.description,
            description_at=described.description_at,
        )


class MemberRecord(Struct, frozen=True, kw_only=True):
    """What a group member became at an instant."""

    group: Jid
    member: Jid
    at: datetime
    role: Role
    seen_as: Jid | None = None

    @property
    def key(self) -> MemberKey:
        """What a second record must share to be merged with this one."""
        return MemberKey(self.group, self.member, self.at)

    def merged(self, other: Self) -> Self:
        """Return the greater role; two changes of one instant cannot be told apart otherwise."""
        return max(self, other, key=lambda r: (_ROLES.index(r.role), r.seen_as or ""))


_ROLES = tuple(Role)

Mark = EditRecord | RevocationRecord | ReactionRecord | ReceiptRecord | VoteRecord | AnswerRecord
"""What happened to a message, apart from the message's own row."""

Record = MessageRecord | Mark | ContactRecord | ChatRecord | MemberRecord
