"""Reactions, poll votes and answers to events: what people attach to others' messages.

The target's key may be in the other side's perspective, so only its stanza id is used, and the
chat of the answer itself. Source: guide of the wire shapes, traps 14 to 16.
"""

from wagateway.adapters.waha.engines import person_name, source_pairs
from wagateway.adapters.waha.envelope import Envelope
from wagateway.adapters.waha.fields import (
    Obj,
    first_text,
    fold,
    known_flag,
    moment,
    obj,
    whole,
)
from wagateway.adapters.waha.places import Place, learned, links, place
from wagateway.adapters.waha.refs import Parts, address, has_many_authors, is_channel, parts, stanza
from wagateway.domain.errors import InvalidInput
from wagateway.domain.events import (
    AnyObservation,
    ContactSeen,
    EventAnswered,
    PollVoted,
    ReactionChanged,
)
from wagateway.domain.identity import Jid, MessageRef, StanzaId
from wagateway.domain.text import clean_text

_RESPONSES = ("unknown", "going", "not_going", "maybe")
"""By the number of the protobuf enum."""


def reaction_observations(payload: Obj, env: Envelope) -> list[AnyObservation]:
    """Read ``message.reaction``; an empty text takes the reaction away.

    Raises:
        InvalidInput: no target, or nobody who reacted.
    """
    here = place(payload, env)
    reaction = obj(payload.get("reaction"))
    target = stanza(reaction.get("messageId"))
    if target is None:
        raise InvalidInput("no target of the reaction: expected reaction.messageId")
    return [_reaction(here, target, reaction.get("text"), payload), *learned(here, env)]


def embedded_reaction(node: Obj, here: Place) -> ReactionChanged:
    """Read a reaction that came as a message's content, its keys in lower case.

    Raises:
        InvalidInput: no target, or nobody who reacted.
    """
    target = stanza(node.get("key"))
    if target is None:
        raise InvalidInput("no target of the reaction: expected its key")
    return _reaction(here, target, node.get("text"), {})


def _reaction(here: Place, target: StanzaId, emoji: object, payload: Obj) -> ReactionChanged:
    sender = None if here.from_me else here.sender or _person(payload.get("from"))
    if sender is None and not here.from_me:
        raise InvalidInput("nobody who reacted: expected participant in a group")
    return ReactionChanged(
        ref=MessageRef(chat=here.ref.chat, stanza=target),
        sender=sender,
        from_me=here.from_me,
        emoji=clean_text(emoji) if isinstance(emoji, str) else "",
        at=here.at,
    )


def vote_observations(payload: Obj, env: Envelope) -> list[AnyObservation]:
    """Read ``poll.vote`` and ``poll.vote.failed``, whose options could not be decrypted.

    Raises:
        InvalidInput: no poll, no chat, or nobody who voted.
    """
    vote, poll = obj(payload.get("vote")), obj(payload.get("poll"))
    cast, asked = parts(vote.get("id")), parts(poll.get("id"))
    chat = cast.chat or asked.chat
    if chat is None or asked.stanza is None:
        raise InvalidInput("no poll: expected poll.id like true_5511…@c.us_3EB0…")
    data = obj(payload.get("_data"))
    voter = _voter(vote, cast, chat, data)
    from_me = _voted_myself(vote, cast) or env.is_own(voter)
    if voter is None and not from_me:
        raise InvalidInput("nobody who voted: expected vote.participant or vote.from")
    voted = PollVoted(
        ref=MessageRef(chat=chat, stanza=asked.stanza),
        voter=None if from_me else voter,
        from_me=from_me,
        options=None if env.event.endswith(".failed") else _options(vote.get("selectedOptions")),
        at=moment(vote.get("timestamp")) or env.occurred_at,
    )
    return [voted, *_voter_facts(voted.voter, data, env)]


def _voted_myself(vote: Obj, cast: Parts) -> bool:
    mine = known_flag(vote.get("fromMe"))
    if mine is None:
        mine = cast.from_me
    return vote.get("from") == "me" if mine is None else mine


def _voter(vote: Obj, cast: Parts, chat: Jid, data: Obj) -> Jid | None:
    found = (
        address(vote.get("participant"))
        or cast.participant
        or _person(vote.get("from"))
        or _person(data.get("voter"))
    )
    return found or (None if has_many_authors(chat) else chat)


def _person(value: object) -> Jid | None:
    """Return an address unless it is a group's, a list's or a channel's."""
    found = address(value)
    return None if found is None or has_many_authors(found) or is_channel(found) else found


def _options(value: object) -> tuple[str, ...] | None:
    if not isinstance(value, list):
        return None
    named = (first_text(each, fold(obj(each)).get("name")) for each in value)
    return tuple(option for option in named if option)


def _voter_facts(voter: Jid | None, data: Obj, env: Envelope) -> list[AnyObservation]:
    info = fold(obj(data.get("Info")))
    facts: list[AnyObservation] = list(links(source_pairs(info), env))
    name = person_name(info.get("pushname"), data.get("pushName"))
    if voter and name:
        facts.append(ContactSeen(contact=voter, push_name=name, at=env.occurred_at))
    return facts


def event_answer_observations(payload: Obj, env: Envelope) -> list[AnyObservation]:
    """Read ``event.response`` and ``event.response.failed``.

    Raises:
        InvalidInput: no announced event, or nobody who answered.
    """
    here = place(payload, env)
    target = stanza(obj(payload.get("eventCreationKey")).get("id"))
    if target is None:
        raise InvalidInput("no announced event: expected eventCreationKey.id")
    responder = None if here.from_me else here.sender
    if responder is None and not here.from_me:
        raise InvalidInput("nobody who answered: expected participant in a group")
    answer = obj(payload.get("eventResponse"))
    answered = EventAnswered(
        ref=MessageRef(chat=here.ref.chat, stanza=target),
        responder=responder,
        from_me=here.from_me,
        response=_response(answer.get("response")),
        at=moment(answer.get("timestampMs")) or here.at,
        extra_guests=whole(answer.get("extraGuestCount")) or 0,
    )
    return [answered, *learned(here, env)]


def _response(value: object) -> str | None:
    number = whole(value, limit=len(_RESPONSES) - 1)
    if number is not None:
        return _RESPONSES[number]
    if not isinstance(value, str):
        return None
    said = value.lower()
    return said if said in _RESPONSES else "unknown"
