"""Messages: ``message``, ``message.any``, ``message.waiting``, and those inside other events."""

from wagateway.adapters.waha.answers import embedded_reaction
from wagateway.adapters.waha.browser_content import browser_content, words
from wagateway.adapters.waha.changes import edited_at, embedded_change, shown_edit
from wagateway.adapters.waha.content import Content, ack_of, bare_content, cards, location, quote
from wagateway.adapters.waha.engines import Family
from wagateway.adapters.waha.envelope import Envelope
from wagateway.adapters.waha.fields import Obj, flag, items, obj, text
from wagateway.adapters.waha.media import facts, offer
from wagateway.adapters.waha.places import Place, learned, place
from wagateway.adapters.waha.proto import Opened, proto_message
from wagateway.adapters.waha.proto_content import proto_content
from wagateway.domain.events import AnyObservation, MessageSeen, NotArchived
from wagateway.domain.messages import Completeness, ContactCard, Kind, Location, Message, Reply

_ENCRYPTED = {
    "pollupdatemessage": "a poll vote inside a message is encrypted; poll.vote tells it",
    "encreactionmessage": "a reaction inside a message is encrypted; message.reaction tells it",
    "enceventresponsemessage": "an answer to an event is encrypted; event.response tells it",
}
_SOURCES = ("api", "app")


def message_observations(payload: Obj, env: Envelope) -> list[AnyObservation]:
    """Read one WAMessage: what it says, then what it teaches of people.

    Old versions send edits and revocations, some engines reactions, as messages without a body.

    Raises:
        InvalidInput: no chat or no message id.
    """
    here = place(payload, env)
    found = proto_message(here.data, here.kin)
    instead = _embedded(payload, here, found, env)
    if instead is not None:
        return [instead, *learned(here, env)]
    seen = _seen(payload, here, found, env)
    return [seen, *shown_edit(here, found, seen.message.text, env), *learned(here, env)]


def _embedded(
    payload: Obj, here: Place, found: Opened | None, env: Envelope
) -> AnyObservation | None:
    """Return what the message is instead of a message, None when it is one."""
    if found is not None and found.name in _ENCRYPTED:
        return NotArchived(reason=_ENCRYPTED[found.name])
    if found is not None and found.name == "reactionmessage":
        return embedded_reaction(found.node, here)
    return embedded_change(payload, here, found, env)


def _seen(payload: Obj, here: Place, found: Opened | None, env: Envelope) -> MessageSeen:
    told = _told(here, found) or bare_content(payload)
    place_ = _location(payload, told)
    media = facts(payload, told.media)
    live = told.kind is Kind.LOCATION and flag(obj(payload.get("location")).get("live"))
    message = Message(
        waha_id=here.waha_id,
        from_me=here.from_me,
        sent_at=here.at,
        kind=Kind.LIVE_LOCATION if live else told.kind,
        completeness=_completeness(here, found, told, env),
        sender=here.sender,
        sender_name=here.origin.name,
        text=_text(payload, here, told),
        reply_to=_reply(payload, here, told),
        mentions=told.mentions,
        forwarded=told.forwarded,
        forwarding_score=told.forwarding_score,
        view_once=told.view_once or here.origin.view_once,
        link_preview=told.link_preview,
        location=place_,
        contacts=told.contacts or _vcards(payload),
        poll=told.poll,
        event=told.event,
        media=media,
        source=_source(payload.get("source")),
        subtype=told.subtype,
    )
    return MessageSeen(
        ref=here.ref,
        message=message,
        ack=ack_of(payload),
        offer=offer(payload, at=env.occurred_at) if media else None,
        preview=told.preview if media else None,
    )


def _completeness(here: Place, found: Opened | None, told: Content, env: Envelope) -> Completeness:
    if env.event == "message.waiting":
        return Completeness.PLACEHOLDER
    # What is shown of an edited message is not what was first written.
    edited = told.completeness is Completeness.FULL and edited_at(here, found, env) is not None
    return Completeness.PARTIAL if edited else told.completeness


def _told(here: Place, found: Opened | None) -> Content | None:
    if here.kin is Family.BROWSER:
        return browser_content(here.data)
    return None if here.kin is Family.NONE else proto_content(here.data, found, here.kin)


def _text(payload: Obj, here: Place, told: Content) -> str | None:
    """Return the body; on browser engines that of a place or contact is a thumbnail or vCard."""
    body = payload.get("body")
    if not isinstance(body, str):
        return told.text
    if told.kind is Kind.CONTACT and body.lstrip()[:11].upper() == "BEGIN:VCARD":
        return None
    shown = text(body)
    return words(shown, here.data) if here.kin is Family.BROWSER else shown


def _reply(payload: Obj, here: Place, told: Content) -> Reply | None:
    node = obj(payload.get("replyTo"))
    quoted = text(node.get("body"))
    if here.kin is Family.BROWSER:
        quoted = words(quoted, obj(here.data.get("quotedMsg")) or obj(node.get("_data")))
    given = quote(id_=node.get("id"), sender=node.get("participant"), quoted=quoted)
    target = given.id or told.quote.id
    if target is None:
        return None
    return Reply(
        id=target,
        sender=given.sender or told.quote.sender,
        text=given.text or told.quote.text,
    )


def _location(payload: Obj, told: Content) -> Location | None:
    node = obj(payload.get("location"))
    known = told.location
    given = location(
        node.get("latitude"),
        node.get("longitude"),
        name=node.get("name") or (known and known.name),
        address=node.get("address") or (known and known.address),
        url=node.get("url") or (known and known.url),
        description=node.get("description") or (known and known.description),
    )
    return given or known


def _vcards(payload: Obj) -> tuple[ContactCard, ...]:
    return cards((vcard, None) for vcard in items(payload.get("vCards")))


def _source(value: object) -> str | None:
    return value if isinstance(value, str) and value in _SOURCES else None
