"""How far messages got: the ``ack`` of a message, and the events that tell its rise."""

from datetime import datetime

from wagateway.adapters.waha.content import ack_of
from wagateway.adapters.waha.engines import Pair, key_pairs, source_pairs
from wagateway.adapters.waha.envelope import Envelope
from wagateway.adapters.waha.fields import Obj, fold, known_flag, moment, obj
from wagateway.adapters.waha.messages import message_observations
from wagateway.adapters.waha.places import links
from wagateway.adapters.waha.refs import address, has_many_authors, parts
from wagateway.domain.errors import InvalidInput
from wagateway.domain.events import AckAdvanced, AnyObservation, NotArchived
from wagateway.domain.identity import Jid, MessageRef
from wagateway.domain.messages import Ack

_TIMES = {
    Ack.PLAYED: ("playedtimestamp", "readtimestamp", "receipttimestamp"),
    Ack.READ: ("readtimestamp", "receipttimestamp"),
}
_OTHER_TIMES = ("receipttimestamp", "readtimestamp")


def ack_observations(payload: Obj, env: Envelope) -> list[AnyObservation]:
    """Read ``message.ack`` and ``message.ack.group``.

    WEBJS sends the complete message, which is worth having, but its ``timestamp`` is the message's
    and its ``participant`` the author. Source: WAHA docs, Events.

    Raises:
        InvalidInput: no chat or no message id.
    """
    complete = "body" in payload or isinstance(obj(payload.get("_data")).get("type"), str)
    said: list[AnyObservation] = list(message_observations(payload, env)) if complete else []
    ack = ack_of(payload)
    if ack is None:
        return said or [NotArchived(reason="an ack without a level that we know")]
    ref = _ref(payload, env)
    receipt = fold(obj(payload.get("_data")))
    recipient = None if complete else _recipient(payload, ref, env)
    if recipient and ack is Ack.SERVER and _was_received(receipt):
        ack = Ack.DEVICE  # NOWEB calls a group member's delivery receipt SERVER
    seen = AckAdvanced(
        ref=ref,
        ack=ack,
        at=env.occurred_at if complete else _at(receipt, ack) or env.occurred_at,
        recipient=recipient,
    )
    return [seen, *said, *links(_pairs(receipt), env)]


def _was_received(receipt: Obj) -> bool:
    return moment(fold(obj(receipt.get("receipt"))).get("receipttimestamp")) is not None


def _pairs(receipt: Obj) -> tuple[Pair, ...]:
    return (*source_pairs(receipt), *key_pairs(fold(obj(receipt.get("key"))), mine=True))


def _ref(payload: Obj, env: Envelope) -> MessageRef:
    known = parts(payload.get("id"))
    chat = known.chat or _chat(payload, env)
    if chat is None or known.stanza is None:
        raise InvalidInput("an ack needs an id like true_5511…@c.us_3EB0…")
    mine = known_flag(payload.get("fromMe"))
    return MessageRef(
        chat=chat,
        stanza=known.stanza,
        # WEBJS turns fromMe around in group acks; the id tells the truth on every engine. Where
        # neither says it, it is mine: what I read elsewhere is told as such.
        from_me=mine is not False if known.from_me is None else known.from_me,
        participant=known.participant if has_many_authors(chat) else None,
    )


def _chat(payload: Obj, env: Envelope) -> Jid | None:
    sides = (address(payload.get("from")), address(payload.get("to")))
    others = [side for side in sides if side and not env.is_own(side)]
    return next((side for side in others if has_many_authors(side)), next(iter(others), None))


def _recipient(payload: Obj, ref: MessageRef, env: Envelope) -> Jid | None:
    """Return who received or read my message, where that is one of many."""
    if not (ref.from_me and has_many_authors(ref.chat)):
        return None
    told = obj(obj(payload.get("_data")).get("receipt")).get("userJid")
    recipient = address(payload.get("participant")) or address(told)
    return None if env.is_own(recipient) or recipient == ref.participant else recipient


def _at(receipt: Obj, ack: Ack) -> datetime | None:
    """Return the receipt's own time.

    Args:
        receipt: NOWEB ``{key, receipt: {readTimestamp, …}}``, GOWS ``{Timestamp}``, WEBJS
            ``{attrs: {t}}``, with the outer keys in lower case.
        ack: decides which of NOWEB's times is meant.
    """
    times = fold(obj(receipt.get("receipt")))
    told = [times.get(name) for name in _TIMES.get(ack, _OTHER_TIMES)]
    told += [receipt.get("timestamp"), obj(receipt.get("attrs")).get("t")]
    return next(filter(None, map(moment, told)), None)
