"""Edits and revocations: the events of their own, and those that old versions send as messages."""

from datetime import datetime

from msgspec.structs import replace

from wagateway.adapters.waha.browser_content import words
from wagateway.adapters.waha.engines import Family
from wagateway.adapters.waha.envelope import Envelope
from wagateway.adapters.waha.fields import Obj, flag, moment, obj, text
from wagateway.adapters.waha.places import Place, learned, place
from wagateway.adapters.waha.proto import Opened, opened, proto_message, text_of
from wagateway.adapters.waha.proto_content import protocol_type
from wagateway.adapters.waha.refs import address, has_many_authors, is_channel, stanza
from wagateway.domain.errors import InvalidInput
from wagateway.domain.events import AnyObservation, MessageEdited, MessageRevoked, NotArchived
from wagateway.domain.identity import MessageRef, StanzaId

_PROTOCOL = "protocolmessage"
_SECRET = "secretencryptedmessage"  # noqa: S105 - a name of WhatsApp's, no secret
_SECRET_EDITS = ("MESSAGE_EDIT", 2)
_NO_NODE: Obj = {}
_LATEST_EDIT = "latestEditSenderTimestampMs"

LISTED = "sync.message"
"""The event of our own envelopes around what a list of messages shows."""


def edited_observations(payload: Obj, env: Envelope) -> list[AnyObservation]:
    """Read ``message.edited``; ``payload.id`` is the edit on NOWEB and GOWS, on WEBJS the original.

    Raises:
        InvalidInput: no chat, or no id of the edited message.
    """
    here = place(payload, env)
    if here.kin is Family.BROWSER and _only_preview_changed(payload, here):
        return [NotArchived(reason="the preview of a file changed, not its caption")]
    node = _protocol_node(proto_message(here.data, here.kin))
    target = stanza(payload.get("editedMessageId")) or stanza(node.get("key"))
    if target is None and here.kin is Family.BROWSER:
        target = here.ref.stanza
    if target is None:
        raise InvalidInput("no id of the edited message: expected editedMessageId")
    return [_edit(payload, here, node, target, env), *learned(here, env)]


def embedded_change(
    payload: Obj, here: Place, found: Opened | None, env: Envelope
) -> MessageEdited | MessageRevoked | NotArchived | None:
    """Return the edit or revocation that a message's own data is, else None.

    Raises:
        InvalidInput: the id of the message that it changes is longer than 512 characters.
    """
    if here.kin is Family.BROWSER and here.data.get("type") == "revoked":
        return _tombstone(here, env)
    if found is not None and found.name == _SECRET:
        return _secret(payload, here, found.node, env)
    if is_channel(here.ref.chat) and flag(here.data.get("IsEdit")):
        return _edit(payload, here, _NO_NODE, here.ref.stanza, env)
    node = _protocol_node(found)
    type_ = protocol_type(node) if node else ""
    target = stanza(node.get("key"))
    if target is None:
        return None
    if type_ == "REVOKE":
        return revocation(here, target, env)
    return _edit(payload, here, node, target, env) if type_ == "MESSAGE_EDIT" else None


def _tombstone(here: Place, env: Envelope) -> MessageRevoked:
    """Read the notice of a deletion; in the message's own place it has the message's own time."""
    target = stanza(here.data.get("protocolMessageKey")) or here.ref.stanza
    deletion = revocation(here, target, env)
    return deletion if here.ref.stanza != target else replace(deletion, revoked_at=env.occurred_at)


def _secret(payload: Obj, here: Place, node: Obj, env: Envelope) -> MessageEdited | NotArchived:
    """Read an encrypted change of a message; of an edit at least the fact is known."""
    target = stanza(node.get("targetmessagekey"))
    if target is None or node.get("secretenctype") not in _SECRET_EDITS:
        return NotArchived(reason="an encrypted message about another one, not an edit")
    return _edit(payload, here, _NO_NODE, target, env)


def _only_preview_changed(payload: Obj, here: Place) -> bool:
    shown = text(payload.get("body"))
    unedited = _edit_time(payload, here, _NO_NODE) is None
    return unedited and shown is not None and words(shown, here.data) != shown


def edited_at(here: Place, found: Opened | None, env: Envelope) -> datetime | None:
    """Return when the message that is shown was last edited, None if never, or if nothing says so.

    Browser engines name the instant. NOWEB's lists put the new content, in the wrapper of an edit,
    and the second of the edit in the place of the original ones. GOWS' have no mark.
    Source: Baileys, how it reports an edit; WAHA, how NOWEB's store takes that in.
    """
    if here.kin is Family.BROWSER:
        return moment(here.data.get(_LATEST_EDIT))
    listed = here.kin is Family.BAILEYS and env.event == LISTED
    return here.at if listed and found and found.edited and found.name != _PROTOCOL else None


def shown_edit(
    here: Place, found: Opened | None, text_: str | None, env: Envelope
) -> list[AnyObservation]:
    """Return the edit whose text is shown in place of the original one's."""
    at = edited_at(here, found, env)
    if at is None:
        return []
    edit_id = _edit_id_of(at)
    return [MessageEdited(ref=here.ref, edit_id=edit_id, edited_at=at, text=text_)]


def revoked_stanza(here: Place) -> StanzaId | None:
    """Return which message the engine's data says is deleted."""
    if here.kin is Family.BROWSER:
        return stanza(here.data.get("protocolMessageKey")) or here.ref.stanza
    return stanza(_protocol_node(proto_message(here.data, here.kin)).get("key"))


def revocation(here: Place, target: StanzaId, env: Envelope) -> MessageRevoked:
    """Return the deletion of *target* that happened at *here*.

    On browser engines the notice stands under the deleted message's own id and author, and
    in groups ``revokeSender`` is who deleted it; elsewhere only the author can.
    """
    ref = here.ref
    remover = None
    if here.kin is Family.BROWSER and has_many_authors(ref.chat):
        remover = address(here.data.get("revokeSender"))
    from_me = here.from_me if remover is None else env.is_own(remover)
    return MessageRevoked(
        ref=MessageRef(
            chat=ref.chat, stanza=target, from_me=from_me, participant=remover or ref.participant
        ),
        revoked_at=here.at,
        revoked_by=remover or here.sender,
    )


def _protocol_node(found: Opened | None) -> Obj:
    return found.node if found is not None and found.name == _PROTOCOL else _NO_NODE


def _edit(payload: Obj, here: Place, node: Obj, target: StanzaId, env: Envelope) -> MessageEdited:
    ref = here.ref
    is_action = ref.stanza != target
    at = _edit_time(payload, here, node)
    if at is None:  # WPP's edit has an id of its own, but the time of the original
        at = here.at if is_action and here.kin is not Family.BROWSER else env.occurred_at
    at = min(at, env.received_at)  # the editor's clock must not outrun every later edit
    new_text = text(payload.get("body")) or text_of(opened(node.get("editedmessage")))
    if here.kin is Family.BROWSER:
        new_text = words(new_text, here.data)
    return MessageEdited(
        ref=MessageRef(
            chat=ref.chat, stanza=target, from_me=ref.from_me, participant=ref.participant
        ),
        edit_id=ref.stanza if is_action else _edit_id_of(at),
        edited_at=at,
        text=new_text,
    )


def _edit_time(payload: Obj, here: Place, node: Obj) -> datetime | None:
    data = obj(payload.get("_data"))
    told = (
        node.get("timestampms"),
        here.data.get(_LATEST_EDIT),
        data.get(_LATEST_EDIT),
        obj(data.get("message")).get(_LATEST_EDIT),
        obj(here.data.get("NewsletterMeta")).get("EditTS"),
    )
    return next(filter(None, map(moment, told)), None)


def _edit_id_of(at: datetime) -> StanzaId:
    """Return what tells edits apart where the engine gives them no id: epoch milliseconds."""
    return StanzaId(str(round(at.timestamp() * 1000)))
