"""From a delivery's observations to the archive's records, under the links known so far."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import datetime, timedelta

from msgspec.structs import replace

from wagateway.domain.events import (
    AckAdvanced,
    AnyObservation,
    ChatChanged,
    ContactSeen,
    Delivery,
    EventAnswered,
    GroupChanged,
    IdentityLinked,
    MessageEdited,
    MessageRevoked,
    MessageSeen,
    PollVoted,
    ReactionChanged,
    SessionChanged,
    SessionStatus,
    Source,
)
from wagateway.domain.identity import (
    ME,
    THEM,
    Author,
    ChatType,
    Jid,
    Link,
    MessageRef,
    canonical,
    chat_type,
    is_direct,
    is_lid,
    is_phone,
)
from wagateway.domain.messages import Ack
from wagateway.domain.records import (
    SAID_BY_NOBODY,
    AnswerRecord,
    ChatRecord,
    ContactRecord,
    EditRecord,
    MemberRecord,
    MessageRecord,
    ReactionRecord,
    ReceiptRecord,
    Record,
    RevocationRecord,
    VoteRecord,
    facts_key,
    same_content,
)

Phones = Mapping[Jid, Jid]
"""The phone JID of each LID whose link is in force."""

_ANYBODY = Author("")


def links_of(delivery: Delivery) -> Iterator[Link]:
    """Return the LID ↔ phone links that *delivery* gives evidence of."""
    for seen in delivery.observations:
        if isinstance(seen, IdentityLinked) and is_lid(seen.lid) and is_phone(seen.phone):
            yield Link(
                lid=seen.lid,
                phone=seen.phone,
                evidence=seen.evidence,
                first_seen_at=delivery.occurred_at,
            )


def statuses_of(delivery: Delivery) -> list[tuple[datetime, SessionStatus]]:
    """Return the states of its session that *delivery* tells, in its order, and since when.

    No state is later than when it was received: one of an engine whose clock is ahead would be the
    latest for as long. Those that it tells before keep their place before it.
    """
    told: list[tuple[datetime, SessionStatus]] = []
    latest = delivery.received_at
    for seen in reversed(delivery.observations):
        if isinstance(seen, SessionChanged):
            at = seen.at if seen.at <= delivery.received_at else latest
            told.append((at, seen.status))
            latest = min(latest, at - _MOMENT)
    return told[::-1]


_MOMENT = timedelta(microseconds=1)
_ADDRESSES = ("contact", "chat", "sender", "voter", "responder", "recipient", "lid")


def lids_of(delivery: Delivery) -> set[Jid]:
    """Return every LID whose link decides where *delivery*'s records belong."""
    found: set[Jid | None] = set()
    for seen in delivery.observations:
        ref = getattr(seen, "ref", None)
        if ref is not None:
            found |= {ref.chat, ref.participant}
        found.update(getattr(seen, name, None) for name in _ADDRESSES)
        if isinstance(seen, GroupChanged):
            found.update(member.jid for member in seen.members)
    return {address for address in found if address and is_lid(address)}


def records_of(delivery: Delivery, phones: Phones) -> Iterator[tuple[AnyObservation, Record]]:
    """Return the records that *delivery* adds, each with the observation that it comes from."""
    for observation in delivery.observations:
        project = _PROJECTIONS.get(type(observation))
        if project is not None:
            for record in project(observation, delivery, phones):
                yield observation, record


def _author(ref: MessageRef, phones: Phones) -> Author:
    """Return who wrote *ref*, as part of its key; empty where that is not known."""
    if chat_type(ref.chat) is ChatType.NEWSLETTER:
        return THEM
    if ref.from_me:
        return ME
    if is_direct(ref.chat):
        return _ANYBODY if ref.from_me is None else THEM
    return Author(canonical(ref.participant, phones)) if ref.participant else _ANYBODY


def _actor(sender: Jid | None, chat: Jid, phones: Phones, *, from_me: bool) -> Author:
    """Return who did something to a message."""
    return ME if from_me else Author(canonical(sender or chat, phones))


def _seen_as(sender: Jid | None, *, from_me: bool) -> Jid | None:
    return sender if sender and is_lid(sender) and not from_me else None


def _message(ref: MessageRef, phones: Phones) -> MessageRecord:
    author = _author(ref, phones)
    direct = is_direct(ref.chat)
    seen_as = ref.chat if direct else None if author in {ME, THEM} else ref.participant
    return MessageRecord(
        chat=canonical(ref.chat, phones),
        stanza=ref.stanza,
        author=author,
        lids=frozenset([seen_as]) if seen_as and is_lid(seen_as) else frozenset(),
        by_phone=seen_as is not None and is_phone(seen_as),
    )


def _message_seen(seen: MessageSeen, delivery: Delivery, phones: Phones) -> Iterable[Record]:
    record = _message(seen.ref, phones)
    live = delivery.source is not Source.SYNC
    key = facts_key(seen.message, delivery.occurred_at, live=live)
    yield replace(
        record,
        facts=seen.message,
        facts_key=key,
        said=_said(record.author, key),
        sent_at=seen.message.sent_at,
        ack=seen.ack,
        offer=seen.offer,
        preview=seen.preview,
    )
    yield ChatRecord(chat=record.chat, last_message_at=seen.message.sent_at)
    yield ContactRecord(contact=record.chat)


def _said(author: Author, key: bytes) -> frozenset[str]:
    """Return what tells the same message of a group again, whoever its author is said to be."""
    if author in {ME, THEM}:
        return frozenset()
    said = same_content(key).hex()
    return frozenset([said] if author else [said, SAID_BY_NOBODY])


def _message_edited(seen: MessageEdited, _: Delivery, phones: Phones) -> Iterable[Record]:
    record = _message(seen.ref, phones)
    if seen.text:  # an empty body is an edit that the engine could not read: it erases nothing
        yield replace(record, text=seen.text, edited_at=seen.edited_at)
    yield EditRecord(
        chat=record.chat,
        stanza=record.stanza,
        author=record.author,
        edit_id=seen.edit_id,
        edited_at=seen.edited_at,
        text=seen.text,
    )


def _message_revoked(seen: MessageRevoked, _: Delivery, phones: Phones) -> Iterable[Record]:
    # Only in groups there are admins, who may delete what others wrote.
    anybody = chat_type(seen.ref.chat) is ChatType.GROUP
    yield RevocationRecord(
        chat=canonical(seen.ref.chat, phones),
        stanza=seen.ref.stanza,
        author=_ANYBODY if anybody else _author(seen.ref, phones),
        revoked_at=seen.revoked_at,
        revoked_by=seen.revoked_by,
    )


def _ack_advanced(seen: AckAdvanced, _: Delivery, phones: Phones) -> Iterable[Record]:
    record = _message(seen.ref, phones)
    if seen.recipient is None:
        if record.author:
            yield replace(record, ack=seen.ack)
        return
    yield ReceiptRecord(
        chat=record.chat,
        stanza=record.stanza,
        author=_actor(seen.recipient, record.chat, phones, from_me=False),
        ack=seen.ack,
        delivered_at=seen.at if seen.ack is Ack.DEVICE else None,
        read_at=seen.at if seen.ack is Ack.READ else None,
        played_at=seen.at if seen.ack is Ack.PLAYED else None,
        seen_as=_seen_as(seen.recipient, from_me=False),
    )
    if record.author and seen.ack.rank > Ack.SERVER.rank:
        yield replace(record, ack=Ack.SERVER)


def _reaction_changed(
    seen: ReactionChanged, delivery: Delivery, phones: Phones
) -> Iterable[Record]:
    yield ReactionRecord(
        chat=canonical(seen.ref.chat, phones),
        stanza=seen.ref.stanza,
        author=_actor(seen.sender, seen.ref.chat, phones, from_me=seen.from_me),
        emoji=seen.emoji,
        at=seen.at,
        seen_at=delivery.occurred_at,
        seen_as=_seen_as(seen.sender, from_me=seen.from_me),
    )


def _poll_voted(seen: PollVoted, delivery: Delivery, phones: Phones) -> Iterable[Record]:
    yield VoteRecord(
        chat=canonical(seen.ref.chat, phones),
        stanza=seen.ref.stanza,
        author=_actor(seen.voter, seen.ref.chat, phones, from_me=seen.from_me),
        options=seen.options,
        at=seen.at,
        seen_at=delivery.occurred_at,
        seen_as=_seen_as(seen.voter, from_me=seen.from_me),
    )


def _event_answered(seen: EventAnswered, delivery: Delivery, phones: Phones) -> Iterable[Record]:
    yield AnswerRecord(
        chat=canonical(seen.ref.chat, phones),
        stanza=seen.ref.stanza,
        author=_actor(seen.responder, seen.ref.chat, phones, from_me=seen.from_me),
        response=seen.response,
        extra_guests=seen.extra_guests,
        at=seen.at,
        seen_at=delivery.occurred_at,
        seen_as=_seen_as(seen.responder, from_me=seen.from_me),
    )


def _contact_seen(seen: ContactSeen, _: Delivery, phones: Phones) -> Iterable[Record]:
    yield ContactRecord(
        contact=canonical(seen.contact, phones),
        push_name=seen.push_name,
        push_name_at=seen.at if seen.push_name is not None else None,
        name=seen.name,
        name_at=seen.at if seen.name is not None else None,
    )


def _chat_changed(seen: ChatChanged, _: Delivery, phones: Phones) -> Iterable[Record]:
    chat = canonical(seen.chat, phones)
    yield ChatRecord(chat=chat, archived=seen.archived, archived_at=seen.at)
    yield ContactRecord(contact=chat)


def _group_changed(seen: GroupChanged, _: Delivery, phones: Phones) -> Iterable[Record]:
    described = seen.at if seen.description is not None else None
    yield ChatRecord(chat=seen.group, description=seen.description, description_at=described)
    named = seen.at if seen.subject is not None else None
    yield ContactRecord(contact=seen.group, name=seen.subject, name_at=named)
    for member in seen.members:
        yield MemberRecord(
            group=seen.group,
            member=canonical(member.jid, phones),
            at=seen.at,
            role=member.role,
            seen_as=_seen_as(member.jid, from_me=False),
        )


_PROJECTIONS: dict[type, Callable[..., Iterable[Record]]] = {
    MessageSeen: _message_seen,
    MessageEdited: _message_edited,
    MessageRevoked: _message_revoked,
    AckAdvanced: _ack_advanced,
    ReactionChanged: _reaction_changed,
    PollVoted: _poll_voted,
    EventAnswered: _event_answered,
    ContactSeen: _contact_seen,
    ChatChanged: _chat_changed,
    GroupChanged: _group_changed,
}
