"""Text, quotes, mentions, places, cards, polls, events: read from wherever an engine puts them."""

from datetime import UTC, datetime

import pytest
from tests.unit.adapters.waha.test_bodies import (
    ANA,
    ANA_LID,
    BIA,
    Json,
    bare,
    gows,
    message,
    noweb,
    webjs,
)

from wagateway.domain.messages import (
    CalendarEvent,
    ContactCard,
    Kind,
    LinkPreview,
    Location,
    Poll,
    Reply,
)

VCARD = "BEGIN:VCARD\nVERSION:3.0\nFN:Rui\nEND:VCARD"
OTHER = "BEGIN:VCARD\nVERSION:3.0\nFN:Eva\nEND:VCARD"


@pytest.mark.parametrize(
    ("payload", "text"),
    [
        (noweb({"conversation": "data"}, body="body"), "body"),
        (noweb({"conversation": "data"}, body=None), "data"),
        (noweb({"conversation": "data"}, body=""), None),
        (noweb({"conversation": "data"}, body=5), "data"),
        (noweb({"extendedTextMessage": {"text": "data"}}), "data"),
        (noweb({"imageMessage": {"caption": "data"}}), "data"),
        (noweb({"imageMessage": {"caption": ""}}), None),
        (noweb({"stickerMessage": {}}), None),
        (noweb({"listMessage": {"title": "t", "description": "d"}}), "d"),
        (noweb({"buttonsMessage": {"contentText": "c"}}), "c"),
        (noweb({"buttonsResponseMessage": {"selectedDisplayText": "s"}}), "s"),
        (noweb({"interactiveMessage": {"body": {"text": "b"}}}), "b"),
        (noweb({"templateMessage": {"hydratedTemplate": {"hydratedContentText": "h"}}}), "h"),
        (gows({"conversation": "data"}), "data"),
        (bare(_data={"Info": {}, "RawMessage": {"conversation": "raw"}, "Message": {}}), "raw"),
        (webjs({"type": "chat", "body": "data"}), "data"),
        (webjs({"type": "image", "body": "/9j/thumb", "caption": "c"}), "c"),
        (webjs({"type": "image", "body": "/9j/thumb"}), None),
        (webjs({"type": "location", "body": "/9j/thumb"}, body="/9j/thumb"), None),
        (webjs({"type": "vcard", "body": VCARD}, body=VCARD), None),
        (webjs({"type": "poll_creation", "body": ""}, body="Which?"), "Which?"),
        (webjs({"type": "poll_creation", "body": "Which?"}, body="Which?"), None),
        (webjs({"type": "poll_creation", "body": "Which?"}), None),
        (bare(body="مرحبا \u200e(order)"), "مرحبا \u200e(order)"),
        (bare(body="\x00"), "\ufffd"),
        (bare(body="x" * 1_000_000), "x" * 1_000_000),
    ],
)
def test_the_text_is_the_body_or_what_the_engine_data_has(payload: Json, text: str | None) -> None:
    assert message(payload).text == text


QUOTED = {
    "stanzaId": "Q1",
    "participant": "5511922220002:3@s.whatsapp.net",
    "quotedMessage": {"conversation": "before"},
}
GO_QUOTED = {
    "stanzaID": "Q1",
    "participant": BIA,
    "quotedMessage": {"imageMessage": {"caption": "c"}},
}


@pytest.mark.parametrize(
    ("payload", "reply"),
    [
        (bare(replyTo={"id": "Q1", "participant": BIA, "body": "b"}), ("Q1", BIA, "b")),
        (bare(replyTo={"id": "Q1"}), ("Q1", None, None)),
        (bare(replyTo={"id": f"true_{ANA}_Q1", "body": ""}), ("Q1", None, None)),
        (noweb({"extendedTextMessage": {"contextInfo": QUOTED}}), ("Q1", BIA, "before")),
        (
            noweb({"extendedTextMessage": {"contextInfo": QUOTED}}, replyTo={"id": "Q1"}),
            ("Q1", BIA, "before"),
        ),
        (gows({"imageMessage": {"contextInfo": GO_QUOTED}}), ("Q1", BIA, "c")),
        (
            webjs(
                {
                    "quotedStanzaID": "Q1",
                    "quotedParticipant": {"user": "5511922220002", "server": "c.us"},
                    "quotedMsg": {"type": "chat", "body": "before"},
                }
            ),
            ("Q1", BIA, "before"),
        ),
        (
            webjs({"quotedStanzaID": "Q1", "quotedMsg": {"type": "image", "body": "/9j/"}}),
            ("Q1", None, None),
        ),
    ],
)
def test_the_quoted_message(payload: Json, reply: tuple[str, str | None, str | None]) -> None:
    found = message(payload).reply_to
    assert isinstance(found, Reply)
    assert (found.id, found.sender, found.text) == reply


@pytest.mark.parametrize("given", [None, {}, [], "Q1", {"id": None}, {"id": ""}, {"id": "Q" * 600}])
def test_a_quote_without_an_id_is_none(given: object) -> None:
    assert message(bare(body="x", replyTo=given)).reply_to is None


@pytest.mark.parametrize(
    "payload",
    [
        noweb({"extendedTextMessage": {"contextInfo": {"mentionedJid": [ANA, 5, "x", ANA_LID]}}}),
        gows({"imageMessage": {"contextInfo": {"mentionedJID": [ANA, None, ANA_LID]}}}),
        webjs({"mentionedJidList": [{"user": "5511911110001", "server": "c.us"}, ANA_LID]}),
    ],
)
def test_mentions_keep_their_order_and_drop_what_is_no_address(payload: Json) -> None:
    assert message(payload).mentions == (ANA, ANA_LID)


@pytest.mark.parametrize(
    ("payload", "forwarded", "score"),
    [
        (noweb({"imageMessage": {"contextInfo": {"isForwarded": True}}}), True, 0),
        (noweb({"imageMessage": {"contextInfo": {"forwardingScore": 127}}}), True, 127),
        (noweb({"imageMessage": {"contextInfo": {"forwardingScore": -1}}}), False, 0),
        (noweb({"imageMessage": {"contextInfo": {"forwardingScore": 2**40}}}), False, 0),
        (noweb({"conversation": "x"}), False, 0),
        (webjs({"isForwarded": True, "forwardingScore": 3}), True, 3),
        (webjs({"isForwarded": False, "forwardingScore": 0}), False, 0),
    ],
)
def test_forwards(payload: Json, score: int, *, forwarded: bool) -> None:
    found = message(payload)
    assert (found.forwarded, found.forwarding_score) == (forwarded, score)


def test_link_previews() -> None:
    page = {"matchedText": "https://e.com", "title": "T", "description": "D"}
    preview = LinkPreview(url="https://e.com", title="T", description="D")
    assert message(noweb({"extendedTextMessage": {"text": "x"} | page})).link_preview == preview
    assert message(webjs({"type": "chat"} | page)).link_preview == preview
    assert message(noweb({"extendedTextMessage": {"text": "x"}})).link_preview is None


@pytest.mark.parametrize(
    ("payload", "location"),
    [
        (
            bare(location={"latitude": "-23.5", "longitude": -46.6, "name": "MASP", "url": ""}),
            Location(latitude=-23.5, longitude=-46.6, name="MASP"),
        ),
        (
            noweb({"locationMessage": {"degreesLatitude": 1, "degreesLongitude": 2, "name": "N"}}),
            Location(latitude=1.0, longitude=2.0, name="N"),
        ),
        (
            noweb(
                {"locationMessage": {"degreesLatitude": 1, "degreesLongitude": 2, "name": "N"}},
                location={"latitude": 3, "longitude": 4, "address": "A"},
            ),
            Location(latitude=3.0, longitude=4.0, name="N", address="A"),
        ),
        (
            webjs({"type": "location", "lat": 1.5, "lng": 2.5, "loc": "Name\nStreet 1"}),
            Location(latitude=1.5, longitude=2.5, name="Name", address="Street 1"),
        ),
        (bare(location={"latitude": 91, "longitude": 0}), None),
        (bare(location={"latitude": 0, "longitude": "181"}), None),
        (bare(location={"latitude": "nan", "longitude": 0}), None),
        (bare(location={"latitude": True, "longitude": 0}), None),
        (bare(location={"latitude": 10**400, "longitude": 0}), None),
        (bare(location={"latitude": "x", "longitude": []}), None),
    ],
)
def test_places_are_degrees_within_bounds(payload: Json, location: Location | None) -> None:
    assert message(payload).location == location


@pytest.mark.parametrize(
    ("payload", "cards"),
    [
        (bare(vCards=[VCARD, None, "", OTHER]), [(VCARD, None), (OTHER, None)]),
        (noweb({"contactMessage": {"displayName": "Rui", "vcard": VCARD}}), [(VCARD, "Rui")]),
        (
            noweb({"contactMessage": {"displayName": "Rui", "vcard": VCARD}}, vCards=[VCARD]),
            [(VCARD, "Rui")],
        ),
        (noweb({"contactMessage": {"vcard": VCARD}}), [(VCARD, None)]),
        (
            gows(
                {
                    "contactsArrayMessage": {
                        "displayName": "2 contacts",
                        "contacts": [
                            {"displayName": "Rui", "vcard": VCARD},
                            7,
                            {"displayName": "Eva", "vcard": OTHER},
                        ],
                    }
                }
            ),
            [(VCARD, "Rui"), (OTHER, "Eva")],
        ),
        (
            webjs({"type": "vcard", "body": VCARD, "vcardFormattedName": "Rui"}),
            [(VCARD, "Rui")],
        ),
        (
            webjs({"type": "multi_vcard", "vcardList": [{"displayName": "Eva", "vcard": OTHER}]}),
            [(OTHER, "Eva")],
        ),
    ],
)
def test_contact_cards(payload: Json, cards: list[tuple[str, str | None]]) -> None:
    found = message(payload)
    assert found.kind is Kind.CONTACT
    assert found.contacts == tuple(ContactCard(vcard=vcard, name=name) for vcard, name in cards)


def test_polls() -> None:
    options = [{"optionName": "A"}, {"optionName": None}, "x", {"optionName": "B"}]
    proto = {"name": "Q?", "options": options, "selectableOptionsCount": 1}
    web = {
        "type": "poll_creation",
        "pollName": "Q?",
        "pollOptions": [{"name": "A", "localId": 0}, {"name": "B", "localId": 1}],
        "pollSelectableOptionsCount": 1,
    }
    poll = Poll(question="Q?", options=("A", "B"), selectable=1)
    assert message(noweb({"pollCreationMessageV3": proto})).poll == poll
    assert message(webjs(web)).poll == poll
    assert message(noweb({"pollCreationMessage": {}})).poll == Poll(question="", options=())


def test_announced_events() -> None:
    at = datetime(2027, 1, 15, 8, 0, tzinfo=UTC)
    event = CalendarEvent(name="Party", description="D", starts_at=at, location="Hall")
    proto = {
        "name": "Party",
        "description": "D",
        "startTime": {"low": 1_800_000_000, "high": 0},
        "location": {"name": "Hall", "degreesLatitude": 0},
        "isCanceled": False,
    }
    web = {
        "type": "event_creation",
        "eventName": "Party",
        "eventDescription": "D",
        "eventStartTime": 1_800_000_000,
        "eventLocation": {"name": "Hall"},
    }
    assert message(noweb({"eventMessage": proto}, body="Party")).event == event
    assert message(gows({"eventMessage": proto}, body="Party")).event == event
    assert message(webjs(web, body="Party")).event == event
    assert message(noweb({"eventMessage": {"isCanceled": True}})).event == CalendarEvent(
        name="", canceled=True
    )


@pytest.mark.parametrize(
    ("given", "source"), [("api", "api"), ("app", "app"), ("x", None), (5, None)]
)
def test_the_source_is_one_of_two_words(given: object, source: str | None) -> None:
    assert message(bare(body="x", source=given)).source == source
