"""WhatsApp's protobuf message, as NOWEB (Baileys) and GOWS (whatsmeow) print it.

A message is an object with one content key; wrappers hold another message inside. Names differ in
casing alone. Source: WAHA docs, Events; guide of the wire shapes, table of proto keys.
"""

from msgspec import Struct

from wagateway.adapters.waha.engines import Family
from wagateway.adapters.waha.fields import Obj, first_text, fold, obj
from wagateway.domain.messages import Kind

_MAX_WRAPPERS = 16
_BESIDE_CONTENT = frozenset(
    {
        "messagecontextinfo",
        "senderkeydistributionmessage",
        "fastratchetkeysenderkeydistributionmessage",
    }
)
_WRAPPERS = frozenset(
    {
        "ephemeralmessage",
        "viewoncemessage",
        "viewoncemessagev2",
        "viewoncemessagev2extension",
        "documentwithcaptionmessage",
        "editedmessage",
        "associatedchildmessage",
        "devicesentmessage",
        "botinvokemessage",
        "groupmentionedmessage",
        "groupstatusmessage",
        "groupstatusmessagev2",
        "statusmentionmessage",
    }
)
_KINDS = {
    "conversation": Kind.TEXT,
    "extendedtextmessage": Kind.TEXT,
    "imagemessage": Kind.IMAGE,
    "videomessage": Kind.VIDEO,
    "ptvmessage": Kind.VIDEO_NOTE,
    "audiomessage": Kind.AUDIO,
    "documentmessage": Kind.DOCUMENT,
    "stickermessage": Kind.STICKER,
    "lottiestickermessage": Kind.STICKER,
    "locationmessage": Kind.LOCATION,
    "livelocationmessage": Kind.LIVE_LOCATION,
    "contactmessage": Kind.CONTACT,
    "contactsarraymessage": Kind.CONTACT,
    "eventmessage": Kind.EVENT,
    "protocolmessage": Kind.SYSTEM,
}
_INTERACTIVE = frozenset(
    {
        "listmessage",
        "buttonsmessage",
        "templatemessage",
        "interactivemessage",
        "highlystructuredmessage",
        "templatebuttonreplymessage",
    }
)
_TEXT_FIELDS = ("text", "conversation", "caption")
_INTERACTIVE_FIELDS = ("contenttext", "selecteddisplaytext", "description", "title", "name")


class Opened(Struct, frozen=True, kw_only=True):
    """A message out of its wrappers.

    Attributes:
        key: the content key as spelled.
        name: the same in lower case.
        node: what it holds, keys in lower case; a bare text is ``{"text": …}``.
        edited: it stands in the wrapper of an edit.
    """

    key: str
    name: str
    node: Obj
    view_once: bool = False
    edited: bool = False


def proto_message(data: Obj, kin: Family) -> Opened | None:
    """Return the opened message of an engine's data, None where there is none."""
    if kin is Family.BAILEYS:
        return opened(data.get("message"))
    if kin is Family.WHATSMEOW:
        return opened(data.get("Message")) or opened(data.get("RawMessage"))
    return None


def opened(message: object) -> Opened | None:
    """Unwrap *message*; None when nothing is in it."""
    view_once = edited = False
    node = obj(message)
    for _ in range(_MAX_WRAPPERS):
        key = _content_key(node)
        if key is None:
            return None
        name = key.lower()
        view_once = view_once or name.startswith("viewonce")
        edited = edited or name == "editedmessage"
        inner = _wrapped(name, node[key])
        if inner is None:
            content = _node(node[key])
            return Opened(key=key, name=name, node=content, view_once=view_once, edited=edited)
        node = inner
    return None


def kind(name: str) -> Kind | None:
    """Return the kind of a content key in lower case, None when we do not know the key."""
    if name in _KINDS:
        return _KINDS[name]
    if name.startswith("pollcreationmessage"):
        return Kind.POLL
    return Kind.TEXT if is_interactive(name) else None


def is_interactive(name: str) -> bool:
    """Tell whether a content key is a list, button or template, or the answer to one."""
    return name in _INTERACTIVE or (name.endswith("responsemessage") and not name.startswith("enc"))


def text_of(found: Opened | None) -> str | None:
    """Return the text or caption of an opened message."""
    if found is None:
        return None
    said = first_text(*map(found.node.get, _TEXT_FIELDS))
    if said or not is_interactive(found.name):
        return said
    filled = next((fold(obj(v)) for k, v in found.node.items() if "hydrated" in k and v), {})
    body = obj(found.node.get("body")).get("text")
    return first_text(
        body, filled.get("hydratedcontenttext"), *map(found.node.get, _INTERACTIVE_FIELDS)
    )


def _content_key(node: Obj) -> str | None:
    """Return the key that is the content: a known one, else the first that holds something."""
    first = None
    for key, value in node.items():
        name = key.lower()
        if value is None or value == "" or name in _BESIDE_CONTENT:
            continue
        if name in _WRAPPERS or kind(name):
            return key
        first = first or key
    return first


def _wrapped(name: str, value: object) -> Obj | None:
    """Return the message inside a wrapper; an unknown key with nothing else in it is one too."""
    holder = obj(value)
    inner = holder.get("message")
    if isinstance(inner, dict) and (name in _WRAPPERS or len(holder) == 1):
        return inner
    return None


def _node(value: object) -> Obj:
    return {"text": value} if isinstance(value, str) else fold(obj(value))
