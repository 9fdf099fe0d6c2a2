"""Reactions, poll votes and answers to announced events."""

import pytest
from tests.unit.adapters.waha.test_bodies import (
    ANA,
    ANA_LID,
    BIA,
    BUILT,
    CHANNEL,
    GROUP,
    ME,
    SENT,
    SENT_S,
    STANZA,
    Json,
    bare,
    gows,
    noweb,
    observed,
    said,
)

from wagateway.domain.events import (
    ContactSeen,
    EventAnswered,
    IdentityLinked,
    NotUnderstood,
    PollVoted,
    ReactionChanged,
)
from wagateway.domain.identity import Evidence, MessageRef, StanzaId

TARGET = StanzaId("TARGET01")


def reaction(payload: Json, event: str = "message.reaction", **over: object) -> ReactionChanged:
    (found,) = said(event, payload, **over)
    assert isinstance(found, ReactionChanged)
    return found


def reacting(chat: str = ANA, *, mine: bool = False, author: str = "", **over: object) -> Json:
    given = {"reaction": {"text": "👍", "messageId": f"true_{ANA}_{TARGET}"}}
    return bare(chat, mine=mine, author=author) | given | over


@pytest.mark.parametrize(
    ("payload", "chat", "sender", "mine"),
    [
        (reacting(), ANA, ANA, False),
        (reacting(ANA_LID), ANA_LID, ANA_LID, False),
        (reacting(mine=True), ANA, None, True),
        (reacting(GROUP, author=BIA), GROUP, BIA, False),
        (reacting(GROUP, mine=True, author=ME), GROUP, None, True),
        (reacting(participant=ANA, to=ANA), ANA, ANA, False),
        (reacting(GROUP, to=GROUP) | {"from": BIA, "participant": BIA}, GROUP, BIA, False),
        (reacting(GROUP, to=GROUP) | {"from": BIA}, GROUP, BIA, False),
    ],
)
def test_who_reacts_where(payload: Json, chat: str, sender: str | None, *, mine: bool) -> None:
    found = reaction(payload)
    assert found.ref == MessageRef(chat=found.ref.chat, stanza=TARGET)
    assert (found.ref.chat, found.sender, found.from_me) == (chat, sender, mine)
    assert (found.emoji, found.at) == ("👍", SENT)


@pytest.mark.parametrize(
    "target", [TARGET, f"false_{GROUP}_{TARGET}_{BIA}", {"fromMe": True, "id": TARGET}]
)
def test_only_the_stanza_of_the_target_counts(target: object) -> None:
    found = reaction(reacting(reaction={"text": "👍", "messageId": target}))
    assert found.ref == MessageRef(chat=ANA, stanza=TARGET)


@pytest.mark.parametrize("text", ["", None, 5, [], {}])
def test_no_text_takes_the_reaction_away(text: object) -> None:
    assert reaction(reacting(reaction={"text": text, "messageId": TARGET})).emoji == ""


def test_browser_times_are_fractional() -> None:
    assert reaction(reacting(timestamp=SENT_S + 0.853)).at.microsecond == 853_000


@pytest.mark.parametrize(
    "payload",
    [
        reacting(reaction=None),
        reacting(reaction="👍"),
        reacting(reaction={"text": "👍"}),
        reacting(reaction={"text": "👍", "messageId": "A" * 600}),
        reacting(GROUP),
        reacting(CHANNEL),
    ],
)
def test_a_reaction_without_target_or_person_is_not_understood(payload: Json) -> None:
    (found,) = said("message.reaction", payload)
    assert isinstance(found, NotUnderstood)


@pytest.mark.parametrize(
    "payload",
    [
        noweb({"reactionMessage": {"key": {"id": TARGET, "remoteJid": ANA}, "text": "👍"}}),
        gows({"reactionMessage": {"key": {"ID": TARGET, "remoteJID": ANA}, "text": "👍"}}),
    ],
)
def test_a_reaction_as_a_message_is_a_reaction(payload: Json) -> None:
    assert reaction(payload, "message.any") == reaction(reacting())


def test_a_reaction_as_a_message_needs_a_target_too() -> None:
    (found,) = said("message", noweb({"reactionMessage": {"text": "👍"}}))
    assert isinstance(found, NotUnderstood)


def voting(vote: Json | None = None, poll: Json | None = None, **over: object) -> Json:
    cast = {
        "id": f"false_{GROUP}_VOTE01_{ANA_LID}",
        "from": ANA_LID,
        "to": GROUP,
        "fromMe": False,
        "selectedOptions": ["A", "B"],
        "timestamp": SENT_S * 1000,
    }
    asked = {"id": f"true_{GROUP}_{TARGET}", "from": "me", "to": GROUP, "fromMe": True}
    return {"vote": cast | (vote or {}), "poll": asked | (poll or {})} | over


def voted(payload: Json, event: str = "poll.vote", **over: object) -> PollVoted:
    (found,) = said(event, payload, **over)
    assert isinstance(found, PollVoted)
    return found


def test_a_vote() -> None:
    assert voted(voting()) == PollVoted(
        ref=MessageRef(chat=GROUP, stanza=TARGET),
        voter=ANA_LID,
        from_me=False,
        options=("A", "B"),
        at=SENT,
    )


@pytest.mark.parametrize(
    ("vote", "voter", "mine"),
    [
        ({"participant": BIA}, BIA, False),
        ({"id": f"false_{GROUP}_VOTE01", "from": BIA}, BIA, False),
        ({"id": f"false_{ANA}_{TARGET}", "from": ANA, "to": "me"}, ANA, False),
        ({"id": f"false_{ANA}_{TARGET}", "from": None}, ANA, False),
        ({"id": f"true_{GROUP}_VOTE01_{ME}", "from": "me", "fromMe": True}, None, True),
        ({"id": f"true_{GROUP}_VOTE01", "from": "me", "fromMe": None}, None, True),
        ({"id": None, "from": "me", "fromMe": None}, None, True),
    ],
)
def test_who_votes(vote: Json, voter: str | None, *, mine: bool) -> None:
    found = voted(voting(vote))
    assert (found.voter, found.from_me) == (voter, mine)


def test_the_voter_may_stand_in_the_engine_data_alone() -> None:
    payload = voting({"id": f"false_{GROUP}_{TARGET}", "from": GROUP}, _data={"voter": BIA})
    assert voted(payload).voter == BIA


@pytest.mark.parametrize(
    ("selected", "event", "options"),
    [
        ([], "poll.vote", ()),
        (["A", "", 5, {"id": 0, "name": "B"}], "poll.vote", ("A", "B")),
        (None, "poll.vote", None),
        ([], "poll.vote.failed", None),
        (None, "poll.vote.failed", None),
    ],
)
def test_the_options(selected: object, event: str, options: tuple[str, ...] | None) -> None:
    assert voted(voting({"selectedOptions": selected}), event).options == options


def test_the_chat_is_the_votes_own_and_times_come_in_either_unit() -> None:
    found = voted(voting({"timestamp": SENT_S}, {"id": f"true_{ANA}_{TARGET}"}))
    assert (found.ref.chat, found.at) == (GROUP, SENT)
    without = voted(voting({"id": None, "timestamp": None, "from": BIA}))
    assert (without.ref.chat, without.at) == (GROUP, BUILT)


@pytest.mark.parametrize(
    "payload",
    [
        {},
        {"vote": None, "poll": None},
        voting(poll={"id": None}),
        voting({"id": None}, {"id": TARGET}),
        voting({"id": f"false_{GROUP}_VOTE01", "from": GROUP}),
    ],
)
def test_a_vote_without_poll_or_person_is_not_understood(payload: Json) -> None:
    (found,) = said("poll.vote", payload)
    assert isinstance(found, NotUnderstood)


def test_a_vote_teaches_who_voted() -> None:
    info = {"Sender": ANA_LID, "SenderAlt": "5511911110001@s.whatsapp.net", "PushName": "Ana"}
    assert observed("poll.vote", voting(_data={"Info": info}))[1:] == [
        IdentityLinked(lid=ANA_LID, phone=ANA, evidence=Evidence.ALTERNATIVE),
        ContactSeen(contact=ANA_LID, push_name="Ana", at=BUILT),
    ]


def answering(answer: object, chat: str = GROUP, **over: object) -> Json:
    asked = {"id": f"true_{ANA}_{TARGET}_{BIA}", "fromMe": True}
    author = ANA if chat == GROUP else ""
    return bare(chat, author=author, eventCreationKey=asked, eventResponse=answer) | over


@pytest.mark.parametrize(
    ("given", "response"),
    [
        ("GOING", "going"),
        ("NOT_GOING", "not_going"),
        ("MAYBE", "maybe"),
        ("UNKNOWN", "unknown"),
        ("PERHAPS", "unknown"),
        (1, "going"),
        (2, "not_going"),
        (None, None),
        ([], None),
    ],
)
def test_an_answer_to_an_event(given: object, response: str | None) -> None:
    answer = {"response": given, "timestampMs": SENT_S * 1000, "extraGuestCount": 2}
    for event in ("event.response", "event.response.failed"):
        assert said(event, answering(answer, timestamp=0)) == [
            EventAnswered(
                ref=MessageRef(chat=GROUP, stanza=TARGET),
                responder=ANA,
                from_me=False,
                response=response,
                at=SENT,
                extra_guests=2,
            )
        ]


def test_an_answer_that_could_not_be_read() -> None:
    (found,) = said("event.response.failed", answering(None, ANA))
    assert isinstance(found, EventAnswered)
    assert (found.response, found.responder, found.at) == (None, ANA, SENT)
    assert found.extra_guests == 0


def test_my_own_answer_names_nobody() -> None:
    (found,) = said("event.response", answering({"response": "GOING"}, ANA, fromMe=True))
    assert isinstance(found, EventAnswered)
    assert (found.responder, found.from_me) == (None, True)


@pytest.mark.parametrize(
    "payload",
    [
        answering({}, eventCreationKey=None),
        answering({}, eventCreationKey={"id": ""}),
        answering({}, id=f"false_{GROUP}_{STANZA}"),
    ],
)
def test_an_answer_without_event_or_person_is_not_understood(payload: Json) -> None:
    (found,) = said("event.response", payload)
    assert isinstance(found, NotUnderstood)
