"""What every message-like payload begins with: which message, by whom, when."""

from collections.abc import Iterator
from datetime import datetime

from msgspec import Struct

from wagateway.adapters.waha.engines import Family, Origin, Pair, engine_data, family, origin
from wagateway.adapters.waha.envelope import Envelope
from wagateway.adapters.waha.fields import Obj, known_flag, moment
from wagateway.adapters.waha.refs import Parts, address, has_many_authors, is_channel, parts
from wagateway.domain.errors import InvalidInput
from wagateway.domain.events import ContactSeen, IdentityLinked
from wagateway.domain.identity import Evidence, Jid, MessageRef, is_lid, is_phone, stanza_id
from wagateway.domain.text import clean_id

_BROWSERS = ("WEBJS", "WPP")
_MAX_WAHA_ID_CHARS = 2048


class Place(Struct, frozen=True, kw_only=True):
    """One payload's message.

    Attributes:
        ref: ``participant`` is the author, only in groups, statuses and broadcast lists.
        sender: as seen; None where unknown, as in channels.
        at: the payload's time, else the engine's, else the envelope's.
        data: the engine's own data, of the shape that *kin* tells.
    """

    ref: MessageRef
    from_me: bool
    sender: Jid | None
    at: datetime
    waha_id: str
    origin: Origin
    data: Obj
    kin: Family


def place(payload: Obj, env: Envelope) -> Place:
    """Find out which message *payload* is.

    Raises:
        InvalidInput: it names no chat or no message id, or an id longer than 512 characters.
    """
    data = engine_data(payload)
    kin = family(data)
    told = origin(data, kin)
    known = parts(payload.get("id"))
    from_me = _from_me(payload, env, known, told)
    chat = known.chat or told.key.chat or _chat_by_sides(payload, env, from_me=from_me)
    # Without its chat an id may be anything; the engine's own key says more.
    bare = known.stanza if known.chat is None else None
    stanza = (None if bare else known.stanza) or told.key.stanza or bare
    if chat and known.participant and not has_many_authors(chat):
        stanza = told.key.stanza or stanza  # no author ends an id here: the sender chose that end
    if stanza and env.is_own(chat):  # browser engines say which of both sides of oneself it is
        stanza = stanza_id(stanza.removesuffix("_out").removesuffix("_in"))
    if chat is None or stanza is None:
        missing = "chat" if stanza else "message id"
        raise InvalidInput(f"no {missing}: expected an id like false_5511…@c.us_3EB0…")
    participant = _participant(payload, known, told) if has_many_authors(chat) else None
    ref = MessageRef(chat=chat, stanza=stanza, from_me=from_me, participant=participant)
    return Place(
        ref=ref,
        from_me=from_me,
        sender=_sender(ref, env),
        at=moment(payload.get("timestamp")) or moment(told.at) or env.occurred_at,
        waha_id=_waha_id(payload.get("id"), ref),
        origin=told,
        data=data,
        kin=kin,
    )


def _from_me(payload: Obj, env: Envelope, known: Parts, told: Origin) -> bool:
    for answer in (known_flag(payload.get("fromMe")), known.from_me, told.key.from_me):
        if answer is not None:
            return answer
    return env.is_own(address(payload.get("from")))


def _chat_by_sides(payload: Obj, env: Envelope, *, from_me: bool) -> Jid | None:
    """``from`` is the chat, but on browser engines it is me on my own messages."""
    sender = address(payload.get("from"))
    swapped = env.engine in _BROWSERS or (env.engine is None and env.is_own(sender))
    return address(payload.get("to")) if from_me and swapped else sender


def _participant(payload: Obj, known: Parts, told: Origin) -> Jid | None:
    return (
        address(payload.get("participant"))
        or known.participant
        or told.key.participant
        or address(payload.get("author"))
    )


def _sender(ref: MessageRef, env: Envelope) -> Jid | None:
    if is_channel(ref.chat):
        return None
    if ref.from_me:
        return ref.participant or env.phone
    return ref.participant if has_many_authors(ref.chat) else ref.chat


def _waha_id(given: object, ref: MessageRef) -> str:
    """Return the id as given; where none of a sane size is, build it."""
    if isinstance(given, dict):
        given = given.get("_serialized")
    if isinstance(given, str) and 0 < len(given) <= _MAX_WAHA_ID_CHARS:
        return clean_id(given)
    built = f"{'true' if ref.from_me else 'false'}_{ref.chat}_{ref.stanza}"
    return f"{built}_{ref.participant}" if ref.participant else built


def learned(here: Place, env: Envelope) -> Iterator[IdentityLinked | ContactSeen]:
    """Tell what the engine's data says of people beside its message."""
    yield from links(here.origin.pairs, env)
    name = here.origin.name
    if name and here.sender and not here.from_me:
        yield ContactSeen(contact=here.sender, push_name=name, at=env.occurred_at)


def links(pairs: tuple[Pair, ...], env: Envelope) -> Iterator[IdentityLinked]:
    """Tell which of *pairs* link a LID to a phone."""
    for pair in pairs:
        one, other = address(pair.one), address(pair.other)
        if one and other and _trusted(pair, one, other, env):
            yield from link(one, other, Evidence.ALTERNATIVE)


def _trusted(pair: Pair, one: Jid, other: Jid, env: Envelope) -> bool:
    """A false link would merge two people's chats: what may be mine is not the other side's."""
    if pair.peer and (env.is_own(one) or env.is_own(other)):
        return False
    return pair.certain or (env.account is not None and env.account.lid is not None)


def link(one: Jid | None, other: Jid | None, evidence: Evidence) -> Iterator[IdentityLinked]:
    """Tell the link if one address is a LID and the other a phone, in whichever order."""
    for lid, phone in ((one, other), (other, one)):
        if lid and phone and is_lid(lid) and is_phone(phone):
            yield IdentityLinked(lid=lid, phone=phone, evidence=evidence)
