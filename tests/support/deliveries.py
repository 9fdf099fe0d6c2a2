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
    Source,
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
    source: Source = Source.WEBHOOK,
) -> Delivery:
    """Return a delivery of *observations*, built by the engine at *at*."""
    return Delivery(
        body=body,
        session=SessionName(session),
        event=event,
        received_at=at + SECOND,
        occurred_at=at,
        source=source,
        engine="NOWEB",
        account=account,
        observations=observations,
    )


def ref(
    chat: Jid = ANA, stanza: str = "A1", *, from_me: bool | None = False, by: Jid | None = None
) -> MessageRef:
    """Return what an event says about a message."""
    return MessageRef(chat=chat, stanza=StanzaId(stanza), from_me=from_me, participant=by)


def seen(  # noqa: PLR0913 - one argument for each fact that tests vary
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
    preview: bytes | None = None,
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
    where = ref(chat, stanza, from_me=from_me, by=by)
    return MessageSeen(ref=where, message=message, ack=ack, offer=offer, preview=preview)


def linked(lid: Jid = ANA_LID, phone: Jid = ANA) -> IdentityLinked:
    """Return evidence that *lid* is *phone*."""
    return IdentityLinked(lid=lid, phone=phone, evidence=Evidence.ALTERNATIVE)


def edited(
    text: str | None,
    *,
    chat: Jid = ANA,
    stanza: str = "A1",
    from_me: bool = False,
    by: Jid | None = None,
    edit_id: str = "E1",
    at: datetime = NOON + SECOND,
) -> MessageEdited:
    """Return a new version of a message's text."""
    where = ref(chat, stanza, from_me=from_me, by=by)
    return MessageEdited(ref=where, edit_id=StanzaId(edit_id), edited_at=at, text=text)


def revoked(
    *,
    chat: Jid = ANA,
    stanza: str = "A1",
    from_me: bool = False,
    by: Jid | None = None,
    at: datetime = NOON + SECOND,
) -> MessageRevoked:
    """Return a deletion for everyone by *by*, or by the chat's other side."""
    where = ref(chat, stanza, from_me=from_me, by=by)
    return MessageRevoked(ref=where, revoked_at=at, revoked_by=by or chat)


def acked(
    ack: Ack,
    *,
    chat: Jid = ANA,
    stanza: str = "A1",
    from_me: bool = True,
    recipient: Jid | None = None,
    at: datetime = NOON + SECOND,
) -> AckAdvanced:
    """Return how far a message got."""
    where = ref(chat, stanza, from_me=from_me)
    return AckAdvanced(ref=where, ack=ack, at=at, recipient=recipient)


def reacted(
    emoji: str,
    *,
    chat: Jid = ANA,
    stanza: str = "A1",
    by: Jid | None = ANA,
    at: datetime = NOON + SECOND,
) -> ReactionChanged:
    """Return a reaction of *by*; None is the account's own."""
    where = ref(chat, stanza, from_me=None)
    return ReactionChanged(ref=where, sender=by, from_me=by is None, emoji=emoji, at=at)


def voted(
    *options: str,
    chat: Jid = ANA,
    stanza: str = "A1",
    by: Jid | None = ANA,
    at: datetime = NOON + SECOND,
    readable: bool = True,
) -> PollVoted:
    """Return a vote of *by*; None is the account's own."""
    where = ref(chat, stanza, from_me=None)
    chosen = options if readable else None
    return PollVoted(ref=where, voter=by, from_me=by is None, options=chosen, at=at)


# ── Random worlds ───────────────────────────────────────────────────────────────────────────────

_PEOPLE = {ANA_LID: ANA, BRUNO_LID: BRUNO}
_instants = st.integers(0, 4).map(lambda n: NOON + n * SECOND)
_texts = st.sampled_from(["oi", "tudo bem?", "até já 😀", ""])
_addresses = st.sampled_from([ANA, ANA_LID, BRUNO, BRUNO_LID])
_acks = st.sampled_from(list(Ack))
_some = st.booleans()

Refs = st.SearchStrategy[MessageRef]


@st.composite
def _refs(draw: st.DrawFn) -> MessageRef:
    stanza = draw(st.sampled_from(["A1", "A2"]))
    kind = draw(st.integers(0, 4))
    if kind <= 1:
        return ref(draw(st.sampled_from([ANA, ANA_LID])), stanza, from_me=draw(_some))
    if kind == 4:
        return ref(CHANNEL, stanza, from_me=False)
    from_me = draw(_some)
    return ref(GROUP, stanza, from_me=from_me, by=None if from_me else draw(_addresses))


@st.composite
def _messages(draw: st.DrawFn, refs: Refs, *, pictures: bool) -> MessageSeen:
    where = draw(refs)
    kind = Kind.IMAGE if pictures else draw(st.sampled_from(_KINDS))
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
    return MessageSeen(
        ref=where,
        message=message,
        ack=draw(st.none() | _acks),
        offer=draw(st.sampled_from(_OFFERS)) if message.media else None,
        preview=draw(st.sampled_from(PREVIEWS)) if pictures else None,
    )


_KINDS = [Kind.TEXT, Kind.TEXT, Kind.IMAGE, Kind.POLL, Kind.UNKNOWN]
PREVIEWS = [None, *(b"\xff\xd8\xff" + tail for tail in (b"a", b"b", b"\0 larger"))]
_OFFERS = [
    None,
    MediaOffer(offered_at=NOON, url="http://localhost:3000/api/files/a.jpeg"),
    MediaOffer(offered_at=NOON + SECOND, error="404"),
]


@st.composite
def _changes(draw: st.DrawFn, refs: Refs) -> AnyObservation:
    where, at = draw(refs), draw(_instants)
    group = where.chat == GROUP and bool(where.from_me)
    edit_id = StanzaId(draw(st.sampled_from(["E1", "E2"])))
    choices: list[AnyObservation] = [
        MessageEdited(ref=where, edit_id=edit_id, edited_at=at, text=draw(_texts) or None),
        MessageRevoked(ref=where, revoked_at=at, revoked_by=draw(st.none() | _addresses)),
        AckAdvanced(
            ref=where,
            ack=draw(_acks),
            at=at,
            recipient=draw(_addresses) if group else None,
        ),
    ]
    return draw(st.sampled_from(choices))


@st.composite
def _answers(draw: st.DrawFn, refs: Refs) -> AnyObservation:
    where, at, from_me = draw(refs), draw(_instants), draw(_some)
    who = None if from_me else where.participant or (ANA if where.chat == GROUP else where.chat)
    emoji, options = draw(st.sampled_from([("👍", ("a",)), ("❤️", None), ("", ())]))
    choices: list[AnyObservation] = [
        ReactionChanged(ref=where, sender=who, from_me=from_me, emoji=emoji, at=at),
        PollVoted(ref=where, voter=who, from_me=from_me, options=options, at=at),
        EventAnswered(ref=where, responder=who, from_me=from_me, response=None, at=at),
    ]
    return draw(st.sampled_from(choices))


@st.composite
def _others(draw: st.DrawFn) -> AnyObservation:
    at, lid = draw(_instants), draw(st.sampled_from(sorted(_PEOPLE)))
    member = Member(jid=draw(_addresses), role=draw(st.sampled_from(list(Role))))
    choices: list[AnyObservation] = [
        IdentityLinked(lid=lid, phone=_PEOPLE[lid], evidence=Evidence.GROUP_MEMBER),
        IdentityLinked(lid=ANA_LID, phone=ANA, evidence=Evidence.LID_API),
        ContactSeen(contact=draw(_addresses), at=at, push_name=draw(_texts)),
        ChatChanged(chat=draw(_addresses), at=at, archived=draw(_some)),
        GroupChanged(
            group=GROUP,
            at=at,
            subject=draw(st.none() | _texts),
            description=draw(st.none() | _texts),
            members=(member,),
        ),
        SessionChanged(status=draw(st.sampled_from(list(SessionStatus))), at=at),
        NotArchived(reason="presence"),
        NotUnderstood(reason="what is this", known_event=False),
    ]
    return draw(st.sampled_from(choices))


@st.composite
def worlds(draw: st.DrawFn, *, max_size: int = 14, pictures: bool = False) -> list[Delivery]:
    """Return random deliveries about a handful of messages, where clashes and twins abound.

    Args:
        draw: hypothesis gives it.
        max_size: deliveries at most.
        pictures: whether every message is one, some with a preview inside.
    """
    refs = st.sampled_from(draw(st.lists(_refs(), min_size=1, max_size=4)))
    messages = _messages(refs, pictures=pictures)
    observations = draw(
        st.lists(
            messages | messages | _changes(refs) | _answers(refs) | _others(),
            min_size=1,
            max_size=max_size,
        )
    )
    return [
        delivery(observation, at=NOON + draw(st.integers(0, 5)) * SECOND)
        for observation in observations
    ]


_OTHER_GROUP = Jid("120363000000000102@g.us")
_TWIN_REFS = [
    *(ref(chat, "A1", from_me=False) for chat in (ANA, ANA_LID)),
    *(ref(GROUP, "A1", from_me=False, by=by) for by in (ANA, ANA_LID)),
    *(ref(_OTHER_GROUP, "A1", from_me=False, by=by) for by in (ANA, None)),
]
_TWIN_OBSERVATIONS: list[AnyObservation] = [
    *(
        seen(text, chat=where.chat, stanza="A1", by=where.participant, ack=ack)
        for where in _TWIN_REFS
        for text, ack in (("oi", None), ("oi", Ack.READ), ("olá", None))
    ),
    *(
        MessageEdited(ref=where, edit_id=StanzaId("E1"), edited_at=NOON, text="olá")
        for where in _TWIN_REFS
        if where.chat in {ANA, ANA_LID} or where.participant
    ),
    linked(),
    seen("outra coisa", chat=GROUP, stanza="A1", by=BRUNO),
]


def twin_worlds() -> st.SearchStrategy[list[Delivery]]:
    """Return worlds in which one message comes under every address of its chat and author."""
    told = st.tuples(st.sampled_from(_TWIN_OBSERVATIONS), st.integers(0, 3))
    return st.lists(told, min_size=2, max_size=7).map(
        lambda world: [delivery(what, at=NOON + n * SECOND) for what, n in world]
    )
