"""Deliveries for tests: small builders, and a hypothesis strategy for whole worlds of them."""

from datetime import UTC, datetime, timedelta

from hypothesis import strategies as st

from wagateway.domain.events import (
    Account,
    AckAdvanced,
    AnyObservation,
    ChatChanged,
    ContactSeen,
    Delivery,
    EventAnswered,
    GroupChanged,
    IdentityLinked,
    Member,
    MessageEdited,
    MessageRevoked,
    MessageSeen,
    NotArchived,
    NotUnderstood,
    PollVoted,
    ReactionChanged,
    Role,
    SessionChanged,
    SessionStatus,
)
from wagateway.domain.identity import Evidence, Jid, MessageRef, SessionName, StanzaId
from wagateway.domain.messages import (
    Ack,
    Completeness,
    Kind,
    MediaFacts,
    MediaOffer,
    Message,
    Poll,
    Reply,
)

NOON = datetime(2026, 10, 3, 12, tzinfo=UTC)
SECOND = timedelta(seconds=1)
SESSION = SessionName("vendas")
BAKERY = Account(phone=Jid("5511912340001@c.us"), lid=Jid("180000000000001@lid"))
ANA = Jid("5511987650102@c.us")
ANA_LID = Jid("271000000000102@lid")
BRUNO = Jid("5511987650103@c.us")
BRUNO_LID = Jid("271000000000103@lid")
GROUP = Jid("120363000000000101@g.us")
CHANNEL = Jid("120363000000000909@newsletter")


def delivery(
    *observations: AnyObservation,
    at: datetime = NOON,
    session: str = SESSION,
    account: Account | None = BAKERY,
    event: str = "message.any",
    body: bytes = b"{}",
) -> Delivery:
    """Return a delivery of *observations*, built by the engine at *at*."""
    return Delivery(
        body=body,
        session=SessionName(session),
        event=event,
        received_at=at + SECOND,
        occurred_at=at,
        engine="NOWEB",
        account=account,
        observations=observations,
    )


def ref(
    chat: Jid = ANA, stanza: str = "A1", *, from_me: bool | None = False, by: Jid | None = None
) -> MessageRef:
    """Return what an event says about a message."""
    return MessageRef(chat=chat, stanza=StanzaId(stanza), from_me=from_me, participant=by)


def seen(
    text: str | None = "Bom dia!",
    *,
    chat: Jid = ANA,
    stanza: str = "A1",
    from_me: bool = False,
    by: Jid | None = None,
    sent_at: datetime = NOON,
    kind: Kind = Kind.TEXT,
    ack: Ack | None = None,
    offer: MediaOffer | None = None,
    **facts: object,
) -> MessageSeen:
    """Return a message as one observation tells it."""
    message = Message(
        waha_id=f"{str(from_me).lower()}_{chat}_{stanza}",
        from_me=from_me,
        sent_at=sent_at,
        kind=kind,
        sender=(BAKERY.phone if from_me else by or chat),
        text=text,
        **facts,  # type: ignore[arg-type]  # any other fact
    )
    return MessageSeen(
        ref=ref(chat, stanza, from_me=from_me, by=by), message=message, ack=ack, offer=offer
    )


def linked(lid: Jid = ANA_LID, phone: Jid = ANA) -> IdentityLinked:
    """Return evidence that *lid* is *phone*."""
    return IdentityLinked(lid=lid, phone=phone, evidence=Evidence.ALTERNATIVE)


# ── Random worlds ───────────────────────────────────────────────────────────────────────────────

_PEOPLE = {ANA_LID: ANA, BRUNO_LID: BRUNO}
_instants = st.integers(0, 6).map(lambda n: NOON + n * SECOND)
_stanzas = st.sampled_from(["A1", "A2", "A3"])
_texts = st.sampled_from(["oi", "tudo bem?", "até já 😀", ""])
_addresses = st.sampled_from([ANA, ANA_LID, BRUNO, BRUNO_LID])
_direct_chats = _addresses
_acks = st.sampled_from(list(Ack))


@st.composite
def _refs(draw: st.DrawFn) -> MessageRef:
    stanza = draw(_stanzas)
    kind = draw(st.integers(0, 5))
    if kind <= 2:
        return ref(draw(_direct_chats), stanza, from_me=draw(st.booleans()))
    if kind == 5:
        return ref(CHANNEL, stanza, from_me=False)
    from_me = draw(st.booleans())
    return ref(GROUP, stanza, from_me=from_me, by=None if from_me else draw(_addresses))


@st.composite
def _messages(draw: st.DrawFn) -> MessageSeen:
    where = draw(_refs())
    kind = draw(st.sampled_from([Kind.TEXT, Kind.IMAGE, Kind.POLL, Kind.UNKNOWN]))
    message = Message(
        waha_id=f"{where.chat}/{where.stanza}",
        from_me=bool(where.from_me),
        sent_at=draw(_instants),
        kind=kind,
        completeness=draw(st.sampled_from(list(Completeness))),
        sender=BAKERY.phone if where.from_me else where.participant or where.chat,
        sender_name=draw(st.sampled_from([None, "Ana"])),
        text=draw(_texts) or None,
        reply_to=draw(st.sampled_from([None, Reply(id=StanzaId("A3"), sender=BRUNO_LID)])),
        mentions=draw(st.sampled_from([(), (ANA_LID, BRUNO)])),
        poll=Poll(question="?", options=("a", "b")) if kind is Kind.POLL else None,
        media=MediaFacts(mimetype="image/jpeg") if kind is Kind.IMAGE else None,
    )
    offer = draw(
        st.sampled_from(
            [
                None,
                MediaOffer(offered_at=NOON, url="http://localhost:3000/api/files/a.jpeg"),
                MediaOffer(offered_at=NOON + SECOND, error="404"),
            ]
        )
    )
    return MessageSeen(
        ref=where, message=message, ack=draw(st.none() | _acks), offer=offer if message.media else None
    )


@st.composite
def _edits(draw: st.DrawFn) -> MessageEdited:
    return MessageEdited(
        ref=draw(_refs()),
        edit_id=StanzaId(draw(st.sampled_from(["E1", "E2"]))),
        edited_at=draw(_instants),
        text=draw(_texts) or None,
    )


@st.composite
def _revocations(draw: st.DrawFn) -> MessageRevoked:
    return MessageRevoked(
        ref=draw(_refs()), revoked_at=draw(_instants), revoked_by=draw(st.none() | _addresses)
    )


@st.composite
def _ack_changes(draw: st.DrawFn) -> AckAdvanced:
    where = draw(_refs())
    group = where.chat == GROUP and where.from_me
    return AckAdvanced(
        ref=where,
        ack=draw(_acks),
        at=draw(_instants),
        recipient=draw(_addresses) if group else None,
    )


@st.composite
def _answers(draw: st.DrawFn) -> ReactionChanged | PollVoted | EventAnswered:
    where = draw(_refs())
    from_me = draw(st.booleans())
    who = None if from_me else where.participant or (where.chat if where.chat != GROUP else ANA)
    at = draw(_instants)
    return draw(
        st.sampled_from(
            [
                ReactionChanged(ref=where, sender=who, from_me=from_me, emoji="👍", at=at),
                ReactionChanged(ref=where, sender=who, from_me=from_me, emoji="", at=at),
                PollVoted(ref=where, voter=who, from_me=from_me, options=("a",), at=at),
                PollVoted(ref=where, voter=who, from_me=from_me, options=None, at=at),
                EventAnswered(ref=where, responder=who, from_me=from_me, response="going", at=at),
            ]
        )
    )


@st.composite
def _others(draw: st.DrawFn) -> AnyObservation:
    at = draw(_instants)
    role = draw(st.sampled_from(list(Role)))
    lid = draw(st.sampled_from(sorted(_PEOPLE)))
    return draw(
        st.sampled_from(
            [
                ContactSeen(contact=draw(_addresses), at=at, push_name=draw(_texts)),
                ChatChanged(chat=draw(_addresses), at=at, archived=draw(st.booleans())),
                GroupChanged(
                    group=GROUP,
                    at=at,
                    subject=draw(st.none() | _texts),
                    description=draw(st.none() | _texts),
                    members=(Member(jid=draw(_addresses), role=role),),
                ),
                IdentityLinked(lid=lid, phone=_PEOPLE[lid], evidence=Evidence.GROUP_MEMBER),
                SessionChanged(status=draw(st.sampled_from(list(SessionStatus))), at=at),
                NotArchived(reason="presence"),
                NotUnderstood(reason="what is this", known_event=False),
            ]
        )
    )


@st.composite
def deliveries(draw: st.DrawFn) -> Delivery:
    """Return one random delivery of a small world, where clashes and twins abound."""
    observation = draw(
        _messages() | _messages() | _edits() | _revocations() | _ack_changes() | _answers() | _others()
    )
    at = NOON + draw(st.integers(0, 9)) * SECOND
    return delivery(observation, at=at)
