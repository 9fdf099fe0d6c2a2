"""Who and what is meant: JIDs, serialised message ids, stanza ids, LID ↔ phone links.

WhatsApp addresses a person by phone (``5511999999999@c.us``) or by a hidden id
(``271000000000102@lid``), and may switch in mid-conversation. The canonical form is the phone JID
where the link is known, else the LID. Source: WAHA docs, Chats and Contacts.
"""

import re
from collections.abc import Iterable, Mapping
from datetime import datetime
from enum import StrEnum
from typing import NewType

from msgspec import Struct

from wagateway.domain.errors import InvalidInput
from wagateway.domain.text import MAX_ID_CHARS, clean_id

Jid = NewType("Jid", str)
"""A normalised JID: no device suffix, ``@c.us`` for phones, server in lower case."""

StanzaId = NewType("StanzaId", str)
"""The id the sending client gave a message; the same on every device and in every archive."""

STATUS_CHAT = Jid("status@broadcast")
"""Where status posts are."""

SessionName = NewType("SessionName", str)
"""The engine's session name, e.g. ``default``."""

Author = NewType("Author", str)
"""Who wrote a message, as part of its key: ``me``, ``them`` (direct chats), or a canonical JID."""

ME = Author("me")
THEM = Author("them")

_MAX_SERIALISED_PARTS = 4
_DEVICE = re.compile(r"(?:[:.]\d+)+$")  # also whatsmeow's agent and device: 5511….0:12
_WITHOUT_DEVICES = frozenset({"g.us", "broadcast", "newsletter"})
_JID = re.compile(r"[^@\s]+@[^@\s]+")
_PHONE_PUNCTUATION = re.compile(r"[\s().\-/\u00a0\u2010-\u2015]")
_BRAZILIAN_MOBILE = re.compile(r"(55\d\d)(9?)([6-9]\d{7})")


class ChatType(StrEnum):
    """What kind of address a JID is."""

    INDIVIDUAL = "individual"
    GROUP = "group"
    BROADCAST = "broadcast"
    NEWSLETTER = "newsletter"
    OTHER = "other"


_TYPES = {
    "c.us": ChatType.INDIVIDUAL,
    "lid": ChatType.INDIVIDUAL,
    "g.us": ChatType.GROUP,
    "broadcast": ChatType.BROADCAST,
    "newsletter": ChatType.NEWSLETTER,
}


def jid(raw: str) -> Jid:
    """Normalise one JID.

    Args:
        raw: as an engine writes it: ``5511…:12@s.whatsapp.net``, ``…@c.us``, ``…@lid``, a group,
            channel or broadcast. A bare number becomes a phone JID.

    Raises:
        InvalidInput: empty, longer than 512 characters, or not of the form ``user@server``.
    """
    text = clean_id(raw.strip())
    if not text or len(text) > MAX_ID_CHARS:
        raise InvalidInput(f"a JID has 1 to {MAX_ID_CHARS} characters, this one has {len(text)}")
    if text.isascii() and text.isdigit():
        return Jid(f"{text}@c.us")
    if not _JID.fullmatch(text):
        raise InvalidInput(f"not a JID (user@server): {text[:80]!r}")
    user, server = text.split("@")
    server = server.lower()
    if server not in _WITHOUT_DEVICES:
        user = _DEVICE.sub("", user)
        server = "c.us" if server == "s.whatsapp.net" else server
    if not user:
        raise InvalidInput(f"not a JID (user@server): {text[:80]!r}")
    return Jid(f"{user}@{server}")


def stanza_id(raw: str) -> StanzaId:
    """Check and escape one bare stanza id.

    Raises:
        InvalidInput: empty or longer than 512 characters.
    """
    text = clean_id(raw)
    if not text or len(text) > MAX_ID_CHARS:
        raise InvalidInput(f"a message id has 1 to {MAX_ID_CHARS} characters, not {len(text)}")
    return StanzaId(text)


def chat_type(chat: Jid) -> ChatType:
    """Tell what kind of chat *chat* is, by its server part."""
    return _TYPES.get(chat.rpartition("@")[2], ChatType.OTHER)


def is_direct(chat: Jid) -> bool:
    """Tell whether *chat* has one other side, a person or a bot, who writes what is not mine."""
    return chat_type(chat) in {ChatType.INDIVIDUAL, ChatType.OTHER}


def servers_of(kind: ChatType) -> list[str]:
    """Return the server parts of JIDs of *kind*; empty for ``other``."""
    return [server for server, type_ in _TYPES.items() if type_ is kind]


def is_lid(address: str) -> bool:
    """Tell whether *address* is a hidden user id (``…@lid``)."""
    return address.endswith("@lid")


def is_phone(address: str) -> bool:
    """Tell whether *address* is a phone JID (``…@c.us``)."""
    return address.endswith("@c.us")


class MessageRef(Struct, frozen=True, kw_only=True):
    """What an event says about which message it means.

    Attributes:
        chat: as seen, normalised; phone or LID.
        stanza: the stable part.
        from_me: None when the event only gives a bare stanza id or cannot be trusted to know.
        participant: the author in a group, where the id carries one.
    """

    chat: Jid
    stanza: StanzaId
    from_me: bool | None = None
    participant: Jid | None = None


def parse_message_id(serialised: str) -> MessageRef:
    """Read ``{true|false}_{chat}_{stanza}[_{participant}]``.

    Raises:
        InvalidInput: fewer than three segments, a first one that is not a boolean, or a malformed
            chat, stanza or participant.
    """
    parts = serialised.split("_", _MAX_SERIALISED_PARTS - 1)
    if len(parts) < _MAX_SERIALISED_PARTS - 1 or parts[0] not in {"true", "false"}:
        raise InvalidInput(f"not a serialised message id: {clean_id(serialised)[:80]!r}")
    participant = parts[3] if len(parts) == _MAX_SERIALISED_PARTS else ""
    return MessageRef(
        chat=jid(parts[1]),
        stanza=stanza_id(parts[2]),
        from_me=parts[0] == "true",
        participant=jid(participant) if participant else None,
    )


def chat_candidates(text: str) -> list[Jid]:
    """Return the JIDs that a person may mean by *text*, likeliest first.

    Args:
        text: a JID, a LID, or a phone number in a usual spelling, such as ``+55 (11) 98765-0102``
            or ``005511987650102``. Brazilian mobiles are tried with and without the ninth digit,
            because old accounts have none in their JID.

    Raises:
        InvalidInput: *text* is none of these.
    """
    if "@" in text:
        return [jid(text)]
    digits = _PHONE_PUNCTUATION.sub("", text.strip()).removeprefix("+")
    if not (digits.isascii() and digits.isdigit()):
        raise InvalidInput(f"neither a JID nor a phone number: {clean_id(text)[:80]!r}")
    digits = digits.removeprefix("00")
    found = [jid(digits)]
    if match := _BRAZILIAN_MOBILE.fullmatch(digits):
        area, ninth, rest = match.groups()
        found.append(jid(area + ("" if ninth else "9") + rest))
    return found


def session_named(text: str) -> SessionName:
    """Return the session that a person means by *text*, as the archive writes its name.

    Raises:
        InvalidInput: *text* is longer than any name can be.
    """
    if len(text) > MAX_ID_CHARS:
        raise InvalidInput(f"a session name has at most {MAX_ID_CHARS} characters")
    return SessionName(clean_id(text))


def account_named(text: str | None) -> Jid | None:
    """Return the account that a person means by *text*, a JID or phone number; None for none.

    Raises:
        InvalidInput: *text* is neither.
    """
    return chat_candidates(text)[0] if text else None


class Evidence(StrEnum):
    """How a LID ↔ phone link was first learned."""

    OWN_ACCOUNT = "own_account"
    """``me`` of an envelope names both."""
    LID_API = "lid_api"
    """The engine's LID endpoint said so."""
    GROUP_MEMBER = "group_member"
    """A group's participant list names both."""
    ALTERNATIVE = "alternative"
    """The engine put the other address beside a message (``SenderAlt``, ``remoteJidAlt``)."""
    PERSON = "person"
    """An operator said so."""


class Link(Struct, frozen=True, kw_only=True):
    """A LID and a phone JID that belong to one person.

    Attributes:
        first_seen_at: aware UTC; the earliest evidence.
        confirmed_at: when a person last said so; that outweighs all evidence for other phones.
        rejected_at: when a person undid the link; evidence after that does not revive it.
    """

    lid: Jid
    phone: Jid
    evidence: Evidence
    first_seen_at: datetime
    confirmed_at: datetime | None = None
    rejected_at: datetime | None = None

    def merged(self, other: "Link") -> "Link":
        """Return what both say together: the earliest evidence, and what persons said of it."""
        first = min(self, other, key=lambda link: (link.first_seen_at, link.evidence))
        confirmations = [at for at in (self.confirmed_at, other.confirmed_at) if at]
        rejections = [at for at in (self.rejected_at, other.rejected_at) if at]
        return Link(
            lid=self.lid,
            phone=self.phone,
            evidence=first.evidence,
            first_seen_at=first.first_seen_at,
            confirmed_at=max(confirmations, default=None),
            rejected_at=min(rejections, default=None),
        )


def resolve_links(links: Iterable[Link]) -> dict[Jid, Jid]:
    """Return the phone of each LID: what a person said last, else the link learned last.

    So a changed number is followed. Two LIDs may share a phone. Equal instants are decided by the
    greater phone JID, so that the answer does not depend on the order of *links*.
    """
    best: dict[Jid, Link] = {}
    for link in links:
        if link.rejected_at is None:
            held = best.get(link.lid)
            if held is None or _weight(held) < _weight(link):
                best[link.lid] = link
    return {lid: link.phone for lid, link in best.items()}


def _weight(link: Link) -> tuple[bool, datetime, Jid]:
    said_at = link.confirmed_at or link.first_seen_at
    return (link.confirmed_at is not None, said_at, link.phone)


def said_by_a_person(held: Link | None, lid: Jid, phone: Jid, *, at: datetime) -> Link:
    """Return the link after a person said that *lid* is *phone*, which also revives it."""
    return Link(
        lid=lid,
        phone=phone,
        evidence=held.evidence if held else Evidence.PERSON,
        first_seen_at=held.first_seen_at if held else at,
        confirmed_at=at,
    )


def canonical(address: Jid, phones: Mapping[Jid, Jid]) -> Jid:
    """Return the phone JID of *address* where *phones* knows it, else *address*."""
    return phones.get(address, address)
