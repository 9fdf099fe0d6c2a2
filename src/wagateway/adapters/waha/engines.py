"""Where each engine's own data (``_data``) keeps who, where and when.

The shape of ``_data`` tells the engine family: whatsmeow (GOWS) has ``Info``, Baileys (NOWEB) has
``key``, WhatsApp Web (WEBJS, WPP) has ``type`` beside an ``id`` object. Source: WAHA docs, Events;
recorded bodies.
"""

from enum import Enum, auto

from msgspec import Struct

from wagateway.adapters.waha.fields import Obj, first_text, flag, fold, items, known_flag, obj
from wagateway.adapters.waha.refs import Parts, address, parts, stanza


class Family(Enum):
    """Engines that share one shape of ``_data``."""

    BAILEYS = auto()
    WHATSMEOW = auto()
    BROWSER = auto()
    NONE = auto()
    """No engine data, or a shape that we do not know."""


class Pair(Struct, frozen=True):
    """Two addresses, unchecked, that the engine puts beside each other as one person's.

    Attributes:
        peer: it is said of the other side of a chat, so neither address may be the account's own.
        certain: False where some versions of the engine name the account's own counterpart.
    """

    one: object
    other: object
    peer: bool = False
    certain: bool = True


class Origin(Struct, frozen=True, kw_only=True):
    """Who, where and when, as the engine's data has it.

    Attributes:
        at: WhatsApp's time of the message, unchecked JSON.
        name: the name that the sender gave themself.
    """

    key: Parts
    at: object = None
    name: str | None = None
    view_once: bool = False
    pairs: tuple[Pair, ...] = ()


NO_ORIGIN = Origin(key=Parts())


def engine_data(payload: Obj) -> Obj:
    """Return the payload's ``_data``; in edits WEBJS hides it one message deeper.

    Those of WPP are ``{chat, id, msg}``, or the same three as an array.
    """
    given = payload.get("_data")
    data = next((obj(each) for each in items(given) if "type" in obj(each)), obj(given))
    for inner in (obj(data.get("message")).get("_data"), data.get("msg")):
        if isinstance(inner, dict):
            return inner
    return data


def family(data: Obj) -> Family:
    """Tell by the shape of *data* which kind of engine it comes from."""
    if isinstance(data.get("Info"), dict) or isinstance(data.get("Message"), dict):
        return Family.WHATSMEOW
    if isinstance(data.get("key"), dict) or isinstance(data.get("message"), dict):
        return Family.BAILEYS
    if isinstance(data.get("type"), str) or "id" in data:
        return Family.BROWSER
    return Family.NONE


def origin(data: Obj, kin: Family) -> Origin:
    """Return who, where and when of *data*.

    Raises:
        InvalidInput: the stanza id is longer than 512 characters.
    """
    if kin is Family.WHATSMEOW:
        return _whatsmeow(data)
    if kin is Family.BAILEYS:
        return _baileys(data)
    return _browser(data) if kin is Family.BROWSER else NO_ORIGIN


def person_name(*values: object) -> str | None:
    """Return the first of *values* that is a name; ``-`` stands for somebody without one."""
    return first_text(*(value for value in values if value != "-"))


def _verified_name(info: Obj) -> object:
    return fold(obj(fold(obj(info.get("verifiedname"))).get("details"))).get("verifiedname")


def _baileys(data: Obj) -> Origin:
    key = fold(obj(data.get("key")))
    found = parts(data.get("key"))
    return Origin(
        key=Parts(
            chat=found.chat,
            stanza=found.stanza,
            from_me=found.from_me,
            participant=found.participant or address(data.get("participant")),
        ),
        at=data.get("messageTimestamp"),
        name=person_name(data.get("pushName"), data.get("verifiedBizName")),
        view_once=flag(key.get("isviewonce")),
        pairs=tuple(key_pairs(key, mine=found.from_me is True)),
    )


def key_pairs(key: Obj, *, mine: bool) -> list[Pair]:
    """Pair ``remoteJidAlt``, ``participantAlt`` and the older ``senderPn``, ``participantLid``.

    Args:
        key: Baileys' message key, its keys in lower case.
        mine: whether it is of an own message.

    On own messages ``remoteJidAlt`` has been the account's own other address.
    """
    remote, participant = key.get("remotejid"), key.get("participant")
    pairs = [
        Pair(participant, alternative)
        for name in ("participantalt", "participantpn", "participantlid")
        if (alternative := key.get(name))
    ]
    if alternative := key.get("remotejidalt"):
        pairs.append(Pair(remote, alternative, peer=mine, certain=not mine))
    if not mine:
        pairs += [
            Pair(remote, sender) for name in ("senderpn", "senderlid") if (sender := key.get(name))
        ]
    return pairs


def _whatsmeow(data: Obj) -> Origin:
    info = fold(obj(data.get("Info")))
    return Origin(
        key=Parts(
            chat=address(info.get("chat")),
            stanza=stanza(info.get("id")),
            from_me=known_flag(info.get("isfromme")),
            participant=address(info.get("sender")),
        ),
        at=info.get("timestamp"),
        name=person_name(info.get("pushname"), _verified_name(info)),
        view_once=any(map(flag, map(data.get, _VIEW_ONCE_FLAGS))),
        pairs=source_pairs(info),
    )


_VIEW_ONCE_FLAGS = ("IsViewOnce", "IsViewOnceV2", "IsViewOnceV2Extension")


def source_pairs(source: Obj) -> tuple[Pair, ...]:
    """Return the pairs of whatsmeow's message or receipt source.

    Args:
        source: with keys in lower case: ``sender``, ``senderalt``, ``chat``, ``recipientalt``, ….
    """
    pairs = []
    if alternative := source.get("senderalt"):
        pairs.append(Pair(source.get("sender"), alternative))
    if alternative := source.get("recipientalt"):
        pairs.append(Pair(source.get("chat"), alternative, peer=True))
    return tuple(pairs)


def _browser(data: Obj) -> Origin:
    key = parts(data.get("id"))
    return Origin(
        key=Parts(
            chat=key.chat,
            stanza=key.stanza,
            from_me=key.from_me,
            participant=key.participant or address(data.get("author")),
        ),
        at=data.get("t"),
        name=person_name(data.get("notifyName")),
        view_once=flag(data.get("isViewOnce")),
    )
