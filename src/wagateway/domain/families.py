"""What a delivery is about, in one word of few, and when WhatsApp says that it happened."""

from collections.abc import Mapping
from datetime import datetime
from enum import StrEnum

from wagateway.domain.events import (
    AckAdvanced,
    AnyObservation,
    CallSeen,
    ChatChanged,
    ContactSeen,
    Delivery,
    EventAnswered,
    GroupChanged,
    IdentityLinked,
    LabelChanged,
    MessageEdited,
    MessageRevoked,
    MessageSeen,
    NotArchived,
    NotUnderstood,
    PollVoted,
    ReactionChanged,
    SessionChanged,
    Source,
)


class Family(StrEnum):
    """Kinds of deliveries; few, whatever an engine may call its events."""

    MESSAGE = "message"
    EDIT = "edit"
    REVOCATION = "revocation"
    ACK = "ack"
    REACTION = "reaction"
    POLL_VOTE = "poll_vote"
    EVENT_ANSWER = "event_answer"
    CONTACT = "contact"
    CHAT = "chat"
    GROUP = "group"
    IDENTITY = "identity"
    SESSION = "session"
    CALL = "call"
    LABEL = "label"
    NOT_ARCHIVED = "not_archived"
    NOT_UNDERSTOOD = "not_understood"
    NOTHING = "nothing"
    """It says nothing that there are words for."""


_FAMILIES: Mapping[type[AnyObservation], Family] = {
    MessageSeen: Family.MESSAGE,
    MessageEdited: Family.EDIT,
    MessageRevoked: Family.REVOCATION,
    AckAdvanced: Family.ACK,
    ReactionChanged: Family.REACTION,
    PollVoted: Family.POLL_VOTE,
    EventAnswered: Family.EVENT_ANSWER,
    ContactSeen: Family.CONTACT,
    ChatChanged: Family.CHAT,
    GroupChanged: Family.GROUP,
    IdentityLinked: Family.IDENTITY,
    SessionChanged: Family.SESSION,
    CallSeen: Family.CALL,
    LabelChanged: Family.LABEL,
    NotArchived: Family.NOT_ARCHIVED,
    NotUnderstood: Family.NOT_UNDERSTOOD,
}


def family_of(delivery: Delivery) -> Family:
    """Return what *delivery* is about: its first observation, since links and names come last."""
    for each in delivery.observations:
        return _FAMILIES[type(each)]
    return Family.NOTHING


def sent_at(delivery: Delivery) -> datetime | None:
    """Return when the message was sent that *delivery* told as it came.

    None where it tells of none, and where it was asked for: what sync reads may be of any age.
    """
    if delivery.source is not Source.WEBHOOK:
        return None
    for each in delivery.observations:
        if isinstance(each, MessageSeen):
            return each.message.sent_at
    return None
