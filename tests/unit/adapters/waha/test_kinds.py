"""What kind of message it is, by each engine's words and without them."""

import pytest
from tests.unit.adapters.waha.test_bodies import Json, bare, gows, message, noweb, said, webjs

from wagateway.domain.events import NotArchived
from wagateway.domain.messages import Completeness, Kind

PROTO = [
    ({"conversation": "x"}, Kind.TEXT, None),
    ({"extendedTextMessage": {"text": "x"}}, Kind.TEXT, None),
    ({"imageMessage": {}}, Kind.IMAGE, None),
    ({"videoMessage": {"gifPlayback": False}}, Kind.VIDEO, None),
    ({"videoMessage": {"gifPlayback": True}}, Kind.GIF, None),
    ({"ptvMessage": {}}, Kind.VIDEO_NOTE, None),
    ({"audioMessage": {"ptt": False}}, Kind.AUDIO, None),
    ({"audioMessage": {"ptt": True}}, Kind.VOICE, None),
    ({"audioMessage": {"PTT": True}}, Kind.VOICE, None),
    ({"documentMessage": {}}, Kind.DOCUMENT, None),
    ({"stickerMessage": {}}, Kind.STICKER, None),
    ({"lottieStickerMessage": {"message": {"stickerMessage": {}}}}, Kind.STICKER, None),
    ({"lottieStickerMessage": {"isLottie": True}}, Kind.STICKER, None),
    ({"locationMessage": {}}, Kind.LOCATION, None),
    ({"locationMessage": {"isLive": True}}, Kind.LIVE_LOCATION, None),
    ({"liveLocationMessage": {}}, Kind.LIVE_LOCATION, None),
    ({"contactMessage": {}}, Kind.CONTACT, None),
    ({"contactsArrayMessage": {}}, Kind.CONTACT, None),
    ({"pollCreationMessage": {}}, Kind.POLL, None),
    ({"pollCreationMessageV3": {}}, Kind.POLL, None),
    ({"pollCreationMessageV4": {"message": {"pollCreationMessage": {}}}}, Kind.POLL, None),
    ({"pollCreationMessageV9": {"name": "q"}}, Kind.POLL, None),
    ({"eventMessage": {}}, Kind.EVENT, None),
    ({"listMessage": {}}, Kind.TEXT, "listMessage"),
    ({"buttonsMessage": {}}, Kind.TEXT, "buttonsMessage"),
    ({"templateMessage": {}}, Kind.TEXT, "templateMessage"),
    ({"interactiveMessage": {}}, Kind.TEXT, "interactiveMessage"),
    ({"listResponseMessage": {}}, Kind.TEXT, "listResponseMessage"),
    ({"buttonsResponseMessage": {}}, Kind.TEXT, "buttonsResponseMessage"),
    ({"templateButtonReplyMessage": {}}, Kind.TEXT, "templateButtonReplyMessage"),
    ({"albumMessage": {}}, Kind.UNKNOWN, "albumMessage"),
    ({"groupInviteMessage": {}}, Kind.UNKNOWN, "groupInviteMessage"),
    ({"orderMessage": {}}, Kind.UNKNOWN, "orderMessage"),
    ({"productMessage": {}}, Kind.UNKNOWN, "productMessage"),
    ({"pinInChatMessage": {"key": {"id": "A"}, "type": 1}}, Kind.UNKNOWN, "pinInChatMessage"),
    ({"somethingNewMessage": "text"}, Kind.UNKNOWN, "somethingNewMessage"),
    ({"somethingNewMessage": 5}, Kind.UNKNOWN, "somethingNewMessage"),
    ({"somethingNew": {"message": {"imageMessage": {}}}}, Kind.IMAGE, None),
    ({"commentMessage": {"message": {}, "targetMessageKey": {}}}, Kind.UNKNOWN, "commentMessage"),
    ({"protocolMessage": {"type": 3}}, Kind.SYSTEM, "ephemeral_setting"),
    ({"protocolMessage": {"type": "EPHEMERAL_SETTING"}}, Kind.SYSTEM, "ephemeral_setting"),
    ({"protocolMessage": {"type": 99}}, Kind.SYSTEM, "99"),
    ({"protocolMessage": {}}, Kind.SYSTEM, None),
    ({"x\x00" + "y" * 200: {}}, Kind.UNKNOWN, "x\ufffd" + "y" * 98),
]
WRAPPERS = [
    "ephemeralMessage",
    "viewOnceMessage",
    "viewOnceMessageV2",
    "viewOnceMessageV2Extension",
    "documentWithCaptionMessage",
    "editedMessage",
    "associatedChildMessage",
    "deviceSentMessage",
]


@pytest.mark.parametrize(("content", "kind", "subtype"), PROTO)
def test_the_proto_key_tells_the_kind(content: Json, kind: Kind, subtype: str | None) -> None:
    for payload in (noweb(content), gows(content)):
        found = message(payload)
        assert (found.kind, found.subtype) == (kind, subtype)
        assert found.completeness is Completeness.FULL


@pytest.mark.parametrize("wrapper", WRAPPERS)
def test_wrappers_are_looked_through(wrapper: str) -> None:
    inner = {"messageContextInfo": {"x": 1}, "imageMessage": {"caption": "c"}}
    content = {"messageContextInfo": {}, wrapper: {"message": inner, "destinationJid": "x"}}
    found = message(noweb(content))
    assert (found.kind, found.text) == (Kind.IMAGE, "c")
    assert found.view_once is wrapper.startswith("viewOnce")


def test_wrappers_in_wrappers_are_looked_through_up_to_a_bound() -> None:
    content: Json = {"conversation": "deep"}
    for _ in range(8):
        content = {"ephemeralMessage": {"message": content}}
    assert message(noweb(content)).text == "deep"
    for _ in range(100):
        content = {"ephemeralMessage": {"message": content}}
    assert message(noweb(content)).kind is Kind.UNKNOWN


def test_a_known_content_key_comes_before_an_unknown_one() -> None:
    content = {
        "senderKeyDistributionMessage": {"groupId": "x"},
        "newThing": {"a": 1},
        "extendedTextMessage": {"text": "x"},
    }
    assert message(noweb(content)).kind is Kind.TEXT


@pytest.mark.parametrize(
    ("content", "media_type", "kind"),
    [
        ({"audioMessage": {}}, "ptt", Kind.VOICE),
        ({"videoMessage": {}}, "gif", Kind.GIF),
        ({"videoMessage": {}}, "ptv", Kind.VIDEO_NOTE),
        ({"imageMessage": {}}, "", Kind.IMAGE),
        (None, "image", Kind.IMAGE),
        (None, "vcard", Kind.CONTACT),
        (None, "livelocation", Kind.LIVE_LOCATION),
        (None, "", Kind.UNKNOWN),
        ({}, "nonsense", Kind.UNKNOWN),
    ],
)
def test_whatsmeow_tells_the_media_type_too(
    content: Json | None, media_type: str, kind: Kind
) -> None:
    assert message(gows(content, info={"MediaType": media_type})).kind is kind


@pytest.mark.parametrize(
    ("data", "kind", "subtype"),
    [
        ({"type": "chat"}, Kind.TEXT, None),
        ({"type": "image"}, Kind.IMAGE, None),
        ({"type": "video"}, Kind.VIDEO, None),
        ({"type": "video", "isGif": True}, Kind.GIF, None),
        ({"type": "gif"}, Kind.GIF, None),
        ({"type": "ptv"}, Kind.VIDEO_NOTE, None),
        ({"type": "ptt"}, Kind.VOICE, None),
        ({"type": "audio"}, Kind.AUDIO, None),
        ({"type": "document"}, Kind.DOCUMENT, None),
        ({"type": "sticker"}, Kind.STICKER, None),
        ({"type": "location"}, Kind.LOCATION, None),
        ({"type": "location", "isLive": True}, Kind.LIVE_LOCATION, None),
        ({"type": "vcard"}, Kind.CONTACT, None),
        ({"type": "multi_vcard"}, Kind.CONTACT, None),
        ({"type": "poll_creation"}, Kind.POLL, None),
        ({"type": "event_creation"}, Kind.EVENT, None),
        ({"type": "list"}, Kind.TEXT, "list"),
        ({"type": "buttons_response"}, Kind.TEXT, "buttons_response"),
        ({"type": "gp2"}, Kind.SYSTEM, "gp2"),
        ({"type": "e2e_notification"}, Kind.SYSTEM, "e2e_notification"),
        ({"type": "notification_template"}, Kind.SYSTEM, "notification_template"),
        ({"type": "call_log"}, Kind.SYSTEM, "call_log"),
        ({"type": "album"}, Kind.UNKNOWN, "album"),
        ({"type": "never_seen"}, Kind.UNKNOWN, "never_seen"),
    ],
)
def test_whatsapp_web_tells_the_kind_by_type(data: Json, kind: Kind, subtype: str | None) -> None:
    for engine in ("WEBJS", "WPP"):
        found = message(webjs(data), engine=engine)
        assert (found.kind, found.subtype) == (kind, subtype)
        assert found.completeness is Completeness.FULL


@pytest.mark.parametrize(
    ("over", "kind"),
    [
        ({"location": {"latitude": "1", "longitude": "2", "live": False}}, Kind.LOCATION),
        ({"location": {"latitude": "1", "longitude": "2", "live": True}}, Kind.LIVE_LOCATION),
        ({"vCards": ["BEGIN:VCARD"]}, Kind.CONTACT),
        ({"hasMedia": True, "media": {"mimetype": "image/webp"}}, Kind.STICKER),
        ({"hasMedia": True, "media": {"mimetype": "audio/ogg; codecs=opus"}}, Kind.VOICE),
        ({"hasMedia": True, "media": {"mimetype": "audio/mpeg"}}, Kind.AUDIO),
        ({"hasMedia": True, "media": {"mimetype": "image/jpeg"}}, Kind.IMAGE),
        ({"hasMedia": True, "media": {"mimetype": "VIDEO/MP4"}}, Kind.VIDEO),
        ({"hasMedia": True, "media": {"mimetype": "application/pdf"}}, Kind.DOCUMENT),
        ({"hasMedia": True, "media": None}, Kind.UNKNOWN),
        ({"body": "x"}, Kind.TEXT),
        ({"body": ""}, Kind.UNKNOWN),
        ({}, Kind.UNKNOWN),
        ({"_data": {"strange": 1}, "body": "x"}, Kind.TEXT),
        ({"_data": {"key": {}, "message": None}, "body": "x"}, Kind.TEXT),
    ],
)
def test_without_engine_data_the_top_level_tells_what_it_can(over: Json, kind: Kind) -> None:
    found = message(bare(**over))
    assert (found.kind, found.completeness) == (kind, Completeness.PARTIAL)


def test_a_live_location_at_the_top_level_refines_the_engine_data() -> None:
    place = {"latitude": 1, "longitude": 2, "live": True}
    found = message(noweb({"locationMessage": {}}, location=place))
    assert found.kind is Kind.LIVE_LOCATION


@pytest.mark.parametrize(
    ("payload", "event"),
    [
        (webjs({"type": "ciphertext"}), "message"),
        (webjs({"type": "ciphertext"}), "message.waiting"),
        (webjs({"type": "chat"}), "message.waiting"),
        (bare(), "message.waiting"),
        (bare(_data={"key": {}, "messageStubType": "CIPHERTEXT"}), "message"),
        (bare(_data={"key": {}, "messageStubType": 2}), "message"),
    ],
)
def test_what_nobody_could_decrypt_yet_is_a_placeholder(payload: Json, event: str) -> None:
    assert message(payload, event).completeness is Completeness.PLACEHOLDER


@pytest.mark.parametrize(
    ("stub", "kind", "subtype"),
    [
        ("GROUP_CREATE", Kind.SYSTEM, "group_create"),
        (20, Kind.SYSTEM, "20"),
        (0, Kind.UNKNOWN, None),
        ("UNKNOWN", Kind.UNKNOWN, None),
        (None, Kind.UNKNOWN, None),
        ({}, Kind.UNKNOWN, None),
    ],
)
def test_a_stub_without_message_is_a_notice(stub: object, kind: Kind, subtype: str | None) -> None:
    found = message(bare(_data={"key": {}, "messageStubType": stub}))
    assert (found.kind, found.subtype) == (kind, subtype)


@pytest.mark.parametrize(
    ("payload", "kind"),
    [
        (bare(_data={"key": {"isViewOnce": True}}), Kind.UNKNOWN),
        (noweb({"viewOnceMessageV2": {"message": {"imageMessage": {}}}}), Kind.IMAGE),
        (noweb({"viewOnceMessageV2": {"message": None}}), Kind.UNKNOWN),
        (noweb({"imageMessage": {"viewOnce": True}}), Kind.IMAGE),
        (
            bare(_data={"Info": {}, "Message": {"imageMessage": {}}, "IsViewOnceV2": True}),
            Kind.IMAGE,
        ),
        (webjs({"type": "image", "isViewOnce": True}), Kind.IMAGE),
    ],
)
def test_view_once_is_told_with_and_without_content(payload: Json, kind: Kind) -> None:
    found = message(payload)
    assert (found.view_once, found.kind) == (True, kind)


@pytest.mark.parametrize(
    "name", ["pollUpdateMessage", "encReactionMessage", "encEventResponseMessage"]
)
def test_encrypted_answers_inside_a_message_are_not_messages(name: str) -> None:
    (found,) = said("message", noweb({name: {"encPayload": "x"}}))
    assert isinstance(found, NotArchived)
