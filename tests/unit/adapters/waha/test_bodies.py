"""Builders of WAHA bodies for the tests beside this file, and that a plain body is understood."""

import json
from datetime import UTC, datetime
from typing import Any

from wagateway.adapters.waha.reader import WahaReader
from wagateway.domain.events import (
    AnyObservation,
    ContactSeen,
    Delivery,
    IdentityLinked,
    MessageSeen,
    Source,
)
from wagateway.domain.identity import Evidence, Jid
from wagateway.domain.messages import Kind, Message

RECEIVED = datetime(2031, 5, 6, 7, 8, 9, tzinfo=UTC)
BUILT_MS = 1_800_000_100_500
BUILT = datetime(2027, 1, 15, 8, 1, 40, 500_000, tzinfo=UTC)
SENT_S = 1_800_000_000
SENT = datetime(2027, 1, 15, 8, 0, tzinfo=UTC)

ME = Jid("5511900000009@c.us")
MY_LID = Jid("190000000000009@lid")
ANA = Jid("5511911110001@c.us")
ANA_LID = Jid("271000000000001@lid")
BIA = Jid("5511922220002@c.us")
GROUP = Jid("120363000000000777@g.us")
CHANNEL = Jid("120363000000000888@newsletter")
STATUS = Jid("status@broadcast")
STANZA = "3EB0AA11BB22CC33DD44EE"

Json = dict[str, Any]


def body(event: str, payload: object, **over: object) -> Json:
    """An envelope; ``over`` replaces its fields, None included."""
    return {
        "id": "evt_01aaaaaaaaaaaaaaaaaaaaaaaa",
        "timestamp": BUILT_MS,
        "event": event,
        "session": "default",
        "me": {"id": ME, "lid": MY_LID, "pushName": "Loja"},
        "payload": payload,
        "engine": "NOWEB",
        "environment": {"version": "2026.9.2", "engine": "NOWEB", "tier": "CORE"},
    } | over


def read_all(raw: bytes) -> list[Delivery]:
    return WahaReader().read(raw, received_at=RECEIVED, source=Source.WEBHOOK)


def read(value: object) -> Delivery:
    (delivery,) = read_all(json.dumps(value).encode())
    return delivery


def observed(event: str, payload: object, **over: object) -> list[AnyObservation]:
    """What is read, without the account's own link, which nearly every body gives."""
    found = read(body(event, payload, **over)).observations
    own = IdentityLinked(lid=MY_LID, phone=ME, evidence=Evidence.OWN_ACCOUNT)
    return [each for each in found if each != own]


def said(event: str, payload: object, **over: object) -> list[AnyObservation]:
    """What is read of the event itself, without what it teaches of people."""
    beside = (IdentityLinked, ContactSeen)
    return [each for each in observed(event, payload, **over) if not isinstance(each, beside)]


def seen(payload: object, event: str = "message", **over: object) -> MessageSeen:
    (found,) = said(event, payload, **over)
    assert isinstance(found, MessageSeen)
    return found


def message(payload: object, event: str = "message", **over: object) -> Message:
    return seen(payload, event, **over).message


def bare(chat: str = ANA, *, mine: bool = False, author: str = "", **over: object) -> Json:
    """A WAMessage without engine data."""
    suffix = f"_{author}" if author else ""
    return {
        "id": f"{'true' if mine else 'false'}_{chat}_{STANZA}{suffix}",
        "timestamp": SENT_S,
        "from": chat,
        "fromMe": mine,
        "source": "app",
        "body": None,
        "hasMedia": False,
        "media": None,
        "ack": 2,
        "ackName": "DEVICE",
        "location": None,
        "vCards": None,
        "replyTo": None,
    } | over


def noweb(content: object, chat: str = ANA, *, mine: bool = False, **over: object) -> Json:
    """A WAMessage with Baileys' data around *content*."""
    key = {"remoteJid": chat.replace("@c.us", "@s.whatsapp.net"), "fromMe": mine, "id": STANZA}
    data = {"key": key, "messageTimestamp": SENT_S, "status": "DELIVERY_ACK", "message": content}
    return bare(chat, mine=mine, _data=data) | over


def gows(content: object, chat: str = ANA, info: Json | None = None, **over: object) -> Json:
    """A WAMessage with whatsmeow's data around *content*; *info* adds to ``_data.Info``."""
    known = {"Chat": chat, "Sender": chat, "IsFromMe": False, "ID": STANZA, "SenderAlt": ""}
    data = {"Info": known | (info or {}), "Message": content, "IsViewOnce": False}
    return bare(chat, to=None, participant=None, _data=data) | over


def webjs(data: Json, chat: str = ANA, *, mine: bool = False, **over: object) -> Json:
    """A WAMessage with WhatsApp Web's *data* added to its usual fields."""
    key = {"fromMe": mine, "remote": chat, "id": STANZA}
    raw = {"id": key, "type": "chat", "t": SENT_S, "notifyName": "", "body": ""} | data
    sides = {"from": ME if mine else chat, "to": chat if mine else ME}
    return bare(chat, mine=mine, vCards=[], _data=raw) | sides | over


def test_a_plain_message_of_each_engine_says_the_same() -> None:
    texts = [
        message(noweb({"conversation": "oi"}, body="oi")),
        message(gows({"conversation": "oi"}, body="oi"), engine="GOWS"),
        message(webjs({"body": "oi"}, body="oi"), engine="WEBJS"),
        message(webjs({"body": "oi"}, body="oi"), engine="WPP"),
    ]
    assert all(each == texts[0] for each in texts)
    assert texts[0].kind is Kind.TEXT
    assert (texts[0].text, texts[0].sender, texts[0].sent_at) == ("oi", ANA, SENT)
