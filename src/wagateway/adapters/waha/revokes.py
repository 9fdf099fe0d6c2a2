"""``message.revoked``: a deletion for everyone, sometimes with the message as it was."""

from msgspec.structs import replace

from wagateway.adapters.waha.changes import revocation, revoked_stanza
from wagateway.adapters.waha.envelope import Envelope
from wagateway.adapters.waha.fields import Obj, moment, obj
from wagateway.adapters.waha.messages import message_observations
from wagateway.adapters.waha.places import learned, place
from wagateway.adapters.waha.refs import stanza
from wagateway.domain.errors import InvalidInput
from wagateway.domain.events import AnyObservation, MessageRevoked, MessageSeen, NotUnderstood
from wagateway.domain.identity import MessageRef
from wagateway.domain.messages import Kind


def revoked_observations(payload: Obj, env: Envelope) -> list[AnyObservation]:
    """Read ``{revokedMessageId, after, before}``: what was deleted first, then the deletion.

    ``before`` is usually null. Where ``after`` is missing, who deleted it is not known.

    Raises:
        InvalidInput: no chat, or no id of the deleted message.
    """
    before, after = _shown(payload.get("before")), _after(payload)
    was = _was(before, env) if before else []
    if not after:
        return [*was, _without_author(payload, before, env)]
    here = place(after, env)
    target = (
        stanza(payload.get("revokedMessageId")) or revoked_stanza(here) or stanza(before.get("id"))
    )
    if target is None:
        raise InvalidInput("no id of the deleted message: expected revokedMessageId")
    deletion = revocation(here, target, env)
    sent_at = moment(before.get("timestamp"))
    if here.ref.stanza == target and sent_at and here.at <= sent_at:
        # The notice stands in the message's place, under the message's own time.
        deletion = replace(deletion, revoked_at=env.occurred_at)
    return [*was, deletion, *learned(here, env)]


def _after(payload: Obj) -> Obj:
    """Return the deletion's own message; its engine data stands beside it once more."""
    after, data = _shown(payload.get("after")), payload.get("_data")
    return after or ({"_data": data} if isinstance(data, dict) and data else {})


def _shown(node: object) -> Obj:
    """Return a message; WPP gives only its key, ``{fromMe, id, remoteJid, participant}``."""
    found = obj(node)
    return {"id": found.get("id"), "_data": {"key": found}} if "remoteJid" in found else found


def _was(before: Obj, env: Envelope) -> list[AnyObservation]:
    try:
        said = message_observations(before, env)
    except InvalidInput as exc:
        return [NotUnderstood(reason=f"the message before its deletion: {exc}")]
    return said if _has_content(said[0]) else []


def _has_content(said: AnyObservation) -> bool:
    """Tell whether this is more than the shell that engines leave of a deleted message."""
    if not isinstance(said, MessageSeen):
        return False
    message = said.message
    return message.kind is not Kind.UNKNOWN or bool(message.text or message.media)


def _without_author(payload: Obj, before: Obj, env: Envelope) -> MessageRevoked:
    """Only in direct chats is the author of the message the one who deleted it."""
    here = place(before, env)
    target = stanza(payload.get("revokedMessageId")) or here.ref.stanza
    return MessageRevoked(
        ref=MessageRef(chat=here.ref.chat, stanza=target, from_me=here.from_me),
        revoked_at=env.occurred_at,
    )
