"""Addresses and message ids as engines write them: text, objects, whole, bare, or broken."""

from functools import lru_cache

from msgspec import Struct

from wagateway.adapters.waha.fields import Obj, fold, known_flag, obj
from wagateway.domain.errors import InvalidInput
from wagateway.domain.identity import ChatType, Jid, StanzaId, chat_type, jid, stanza_id

_MAX_REMEMBERED_CHARS = 64
_MAX_NESTED = 2
_MANY = (ChatType.GROUP, ChatType.BROADCAST)


class Parts(Struct, frozen=True, kw_only=True):
    """What an id or key object tells; None for what it does not, or not readably."""

    chat: Jid | None = None
    stanza: StanzaId | None = None
    from_me: bool | None = None
    participant: Jid | None = None


_NOTHING = Parts()


def has_many_authors(chat: Jid) -> bool:
    """Tell whether messages of *chat* name their author: groups, statuses, broadcast lists."""
    return chat_type(chat) in _MANY


def is_channel(chat: Jid) -> bool:
    """Tell whether *chat* is a channel, whose messages have no author."""
    return chat_type(chat) is ChatType.NEWSLETTER


def address(value: object) -> Jid | None:
    """Return the JID that *value* is, None when it is none; ``"me"`` and ``""`` are none.

    Args:
        value: text, or WhatsApp Web's object ``{server, user, _serialized}``, in some versions
            ``{$1: …}`` of either.
    """
    for _ in range(_MAX_NESTED):
        if isinstance(value, dict):
            value = _address_text(fold(value))
    if not isinstance(value, str) or not value:
        return None
    return _address(value) if len(value) > _MAX_REMEMBERED_CHARS else _remembered(value)


def _address(text: str) -> Jid | None:
    try:
        return jid(text)
    except InvalidInput:
        return None


# The same few people speak in event after event; long strings are only ever an attack.
_remembered = lru_cache(maxsize=4096)(_address)


def _address_text(node: Obj) -> object:
    user, server = node.get("user"), node.get("server")
    if isinstance(user, str) and isinstance(server, str):
        return f"{user}@{server}"
    return node.get("_serialized") or node.get("$1")


def parts(value: object) -> Parts:
    """Read a message id or key.

    Args:
        value: ``{true|false}_{chat}_{stanza}[_{participant}]``, a bare stanza id, or a key object
            (``remote`` or ``remoteJid``, ``fromMe``, ``id``, ``participant``, in any casing).

    Raises:
        InvalidInput: the stanza id is longer than 512 characters.
    """
    if isinstance(value, str):
        return _from_text(value)
    key = fold(obj(value))
    serialised = key.get("_serialized")
    if isinstance(serialised, str):
        read = _from_text(serialised)
        if read.chat:
            return read
    return Parts(
        chat=address(key.get("remote") or key.get("remotejid")),
        stanza=stanza(key.get("id")),
        from_me=known_flag(key.get("fromme")),
        participant=address(key.get("participant")),
    )


def stanza(value: object) -> StanzaId | None:
    """Return the stanza id of a bare id, a serialised id or a key object.

    Raises:
        InvalidInput: longer than 512 characters.
    """
    return parts(value).stanza if value else None


def _from_text(text: str) -> Parts:
    if not text:
        return _NOTHING
    mine, _, rest = text.partition("_")
    chat, cut, rest = rest.partition("_")
    if mine not in {"true", "false"} or not cut or "@" not in chat:
        return Parts(stanza=stanza_id(text))
    bare, _, participant = rest.rpartition("_")
    # Senders choose the ids of their messages, underscores included; only a JID ends the id.
    if not bare or "@" not in participant:
        bare, participant = rest, ""
    return Parts(
        chat=address(chat),
        stanza=stanza_id(bare) if bare else None,
        from_me=mine == "true",
        participant=address(participant),
    )
