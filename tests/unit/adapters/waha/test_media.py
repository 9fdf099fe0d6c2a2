"""Files: what is known of them, and the five states of where they are."""

import base64
from typing import Any

import pytest
from tests.unit.adapters.waha.test_bodies import (
    BUILT,
    Json,
    bare,
    gows,
    message,
    noweb,
    seen,
    webjs,
)

from wagateway.domain.messages import MediaFacts, MediaOffer

OCTETS = bytes(range(224, 256))
HEX = OCTETS.hex()
BASE64 = base64.b64encode(OCTETS).decode()
URL = "http://localhost:3000/api/files/default/A.jpeg"
NODE = {
    "mimetype": "video/mp4",
    "fileSha256": BASE64,
    "fileLength": "9123311",
    "width": 480,
    "height": 848,
    "seconds": 34,
}
FACTS = MediaFacts(
    mimetype="video/mp4", size_bytes=9123311, sha256=HEX, width=480, height=848, duration_s=34.0
)


@pytest.mark.parametrize(
    ("media", "has_media", "offer"),
    [
        ({"url": URL, "mimetype": "video/mp4"}, True, MediaOffer(offered_at=BUILT, url=URL)),
        ({"url": None, "mimetype": "video/mp4"}, True, None),
        ({"url": "", "mimetype": "video/mp4"}, True, None),
        (None, True, None),
        (
            {"url": None, "mimetype": "video/mp4", "error": {"message": "gone"}},
            True,
            MediaOffer(offered_at=BUILT, error="gone"),
        ),
    ],
)
def test_the_states_of_a_file(media: object, offer: MediaOffer | None, *, has_media: bool) -> None:
    found = seen(noweb({"videoMessage": NODE}, hasMedia=has_media, media=media))
    assert found.offer == offer
    assert found.message.media == FACTS


def test_no_media_is_no_media() -> None:
    found = seen(noweb({"conversation": "x"}, hasMedia=False, media=None))
    assert (found.offer, found.message.media) == (None, None)


@pytest.mark.parametrize(
    ("over", "media"),
    [
        ({"hasMedia": True}, MediaFacts()),
        ({"hasMedia": True, "media": {"mimetype": "a/b"}}, MediaFacts(mimetype="a/b")),
        ({"hasMedia": None, "media": {"filename": "f.pdf"}}, MediaFacts(filename="f.pdf")),
        ({"hasMedia": False}, None),
        ({"hasMedia": False, "media": "x"}, None),
    ],
)
def test_a_file_without_engine_data(over: Json, media: MediaFacts | None) -> None:
    assert message(bare(**over)).media == media


def test_the_payload_names_type_and_file_before_the_engine_data() -> None:
    node = {"mimetype": "application/x", "fileName": "node.bin", "pageCount": 3}
    media = {"mimetype": "application/pdf", "filename": "media.pdf"}
    found = message(noweb({"documentMessage": node}, media=media)).media
    assert found == MediaFacts(mimetype="application/pdf", filename="media.pdf", pages=3)
    found = message(noweb({"documentMessage": node}, media={"mimetype": None})).media
    assert found == MediaFacts(mimetype="application/x", filename="node.bin", pages=3)


@pytest.mark.parametrize(
    "hash_",
    [
        BASE64,
        BASE64.replace("+", "-").replace("/", "_"),
        HEX,
        HEX.upper(),
        list(OCTETS),
        {"type": "Buffer", "data": list(OCTETS)},
        {"type": "Buffer", "data": BASE64},
        {str(index): octet for index, octet in enumerate(OCTETS)},
    ],
)
def test_the_hash_comes_in_many_shapes(hash_: object) -> None:
    facts = MediaFacts(sha256=HEX)
    for name in ("fileSha256", "fileSHA256"):
        assert message(noweb({"imageMessage": {name: hash_}})).media == facts
    assert message(webjs({"type": "image", "filehash": hash_})).media == facts


@pytest.mark.parametrize(
    "hash_",
    [
        None,
        "",
        "short",
        "é" * 44,
        "x" * 1_000_000,
        "z" * 64,
        base64.b64encode(b"only a few").decode(),
        [],
        [256] * 32,
        ["a"] * 32,
        list(range(31)),
        {},
        {"data": None},
        {"type": "Buffer"},
        {str(index): 1 for index in range(33)},
        {f"k{index}": 1 for index in range(32)},
        7,
    ],
)
def test_what_is_no_sha256_is_none(hash_: object) -> None:
    assert message(noweb({"imageMessage": {"fileSha256": hash_}})).media == MediaFacts()


@pytest.mark.parametrize(
    ("size", "expected"),
    [
        (5, 5),
        ("5", 5),
        (5.0, 5),
        ({"low": 5, "high": 0, "unsigned": True}, 5),
        ({"low": -1, "high": 0, "unsigned": True}, 2**32 - 1),
        ({"low": 0, "high": 1}, 2**32),
        (-5, None),
        ("-5", None),
        (5.5, None),
        (2**63, None),
        ("9" * 100, None),
        (True, None),
        ([], None),
        ({"low": "5"}, None),
    ],
)
def test_sizes_come_as_numbers_text_and_longs(size: object, expected: int | None) -> None:
    found = message(noweb({"imageMessage": {"fileLength": size}})).media
    assert found == MediaFacts(size_bytes=expected)


def test_of_two_spellings_the_one_with_a_value_counts() -> None:
    for node in ({"fileSha256": BASE64, "fileSHA256": None}, {"URL": 1, "FILESHA256": BASE64}):
        assert message(noweb({"imageMessage": node})).media == MediaFacts(sha256=HEX)


def test_whatsmeow_and_whatsapp_web_spell_the_same_facts_otherwise() -> None:
    go = {"URL": "x", "mimetype": "audio/ogg", "fileSHA256": BASE64, "fileLength": 7, "seconds": 3}
    web: dict[str, Any] = {
        "type": "ptt",
        "mimetype": "audio/ogg",
        "filehash": BASE64,
        "size": 7,
        "duration": "3",
    }
    facts = MediaFacts(mimetype="audio/ogg", size_bytes=7, sha256=HEX, duration_s=3.0)
    assert message(gows({"audioMessage": go | {"PTT": True}})).media == facts
    assert message(webjs(web)).media == facts
    sticker = message(noweb({"stickerMessage": {"isAnimated": True}})).media
    assert sticker == MediaFacts(animated=True)


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        ("plain", "plain"),
        ({"message": "first\nstack"}, "first"),
        ({"details": "Error: gone (404)\n    at x"}, "Error: gone (404)"),
        ({"output": {"payload": {"message": "deep"}}}, "deep"),
        ({"message": "m" * 1000}, "m" * 300),
        ({"message": "a\x00b"}, "a\ufffdb"),
        ({"isBoom": True}, "the engine gave no reason"),
        (["x"], "the engine gave no reason"),
        (None, None),
        ({}, None),
        ("", None),
    ],
)
def test_the_error_is_its_first_line(error: object, reason: str | None) -> None:
    offer = seen(noweb({"imageMessage": {}}, media={"error": error})).offer
    assert (offer.error if offer else None) == reason


def test_s3_and_the_old_media_url() -> None:
    s3 = {"s3": {"Bucket": "b", "Key": "k"}}
    assert seen(noweb({"imageMessage": {}}, media=s3)).offer == MediaOffer(
        offered_at=BUILT, s3_bucket="b", s3_key="k"
    )
    old = seen(bare(hasMedia=True, mediaUrl=URL)).offer
    assert old == MediaOffer(offered_at=BUILT, url=URL)
    both = seen(bare(hasMedia=True, mediaUrl="old", media={"url": URL})).offer
    assert both == MediaOffer(offered_at=BUILT, url=URL)


# ── Previews ────────────────────────────────────────────────────────────────────────────────────

JPEG = b"\xff\xd8\xff\xe0 a tiny picture"
PNG = b"\x89PNG\r\n\x1a\n a tiny picture"
LARGEST = JPEG.ljust(32 * 1024, b"\0")


def base64_of(octets: bytes) -> str:
    return base64.b64encode(octets).decode()


@pytest.mark.parametrize("name", ["imageMessage", "videoMessage", "ptvMessage", "documentMessage"])
def test_the_preview_inside_a_message_is_read_of_every_engine(name: str) -> None:
    node = {"mimetype": "image/jpeg", "jpegThumbnail": base64_of(JPEG)}
    go = {"mimetype": "image/jpeg", "JPEGThumbnail": base64_of(JPEG)}
    assert seen(noweb({name: node})).preview == JPEG
    assert seen(gows({name: go}), engine="GOWS").preview == JPEG


@pytest.mark.parametrize("kind", ["image", "video", "document", "sticker"])
def test_the_preview_of_whatsapp_web_is_the_body(kind: str) -> None:
    for engine in ("WEBJS", "WPP"):
        told = webjs({"type": kind, "body": base64_of(JPEG)}, body=base64_of(JPEG))
        assert seen(told, engine=engine).preview == JPEG


def test_a_wrapped_file_and_one_on_top_of_buttons_have_their_preview() -> None:
    file = {"documentMessage": {"jpegThumbnail": base64_of(JPEG)}}
    assert seen(noweb({"documentWithCaptionMessage": {"message": file}})).preview == JPEG
    header = {"imageMessage": {"jpegThumbnail": base64_of(JPEG)}}
    assert seen(noweb({"interactiveMessage": {"header": header}})).preview == JPEG


def test_a_sticker_s_preview_is_a_png() -> None:
    assert seen(noweb({"stickerMessage": {"pngThumbnail": base64_of(PNG)}})).preview == PNG


@pytest.mark.parametrize(
    "told",
    [
        base64_of(JPEG),
        list(JPEG),
        {"type": "Buffer", "data": list(JPEG)},
        {"type": "Buffer", "data": base64_of(JPEG)},
        {str(index): octet for index, octet in enumerate(JPEG)},
    ],
)
def test_a_preview_comes_in_many_shapes(told: object) -> None:
    assert seen(noweb({"imageMessage": {"jpegThumbnail": told}})).preview == JPEG


def test_the_largest_preview_is_read() -> None:
    for told in (base64_of(LARGEST), list(LARGEST)):
        assert seen(noweb({"imageMessage": {"jpegThumbnail": told}})).preview == LARGEST


@pytest.mark.parametrize(
    "told",
    [
        None,
        "",
        "not base64 at all",
        base64_of(JPEG) + "!",
        base64_of(JPEG)[:-1],
        "é" * 44,
        base64_of(LARGEST + b"\0"),
        "A" * 1_000_000,
        base64_of(b"<svg xmlns='http://www.w3.org/2000/svg'>"),
        base64_of(b"GIF89a"),
        base64_of(b"RIFF----WAVE"),
        base64_of(b"<script>"),
        [],
        list(LARGEST + b"\0"),
        [255, 216, 256],
        [255, 216, 255.5],
        [255, 216, -1, None, 10**400],
        [[255], [216], [255]],
        {},
        {"data": None},
        {"type": "Buffer", "data": {"type": "Buffer", "data": list(JPEG)}},
        {str(index + 1): octet for index, octet in enumerate(JPEG)},
        {f"k{index}": 255 for index in range(40_000)},
        7,
        True,
    ],
)
def test_what_is_no_tiny_picture_is_no_preview(told: object) -> None:
    for payload in (
        noweb({"imageMessage": {"jpegThumbnail": told}}),
        gows({"videoMessage": {"JPEGThumbnail": told}}),
        webjs({"type": "image", "body": told}),
    ):
        found = seen(payload)
        assert found.preview is None
        assert found.message.media == MediaFacts()


@pytest.mark.parametrize(
    "content",
    [
        {"extendedTextMessage": {"text": "x", "jpegThumbnail": base64_of(JPEG)}},
        {"locationMessage": {"degreesLatitude": 1, "jpegThumbnail": base64_of(JPEG)}},
    ],
)
def test_the_picture_of_a_page_or_place_is_no_preview_of_a_file(content: Json) -> None:
    assert seen(noweb(content)).preview is None


def test_a_preview_does_not_change_what_a_message_is() -> None:
    plain, shown = (
        seen(noweb({"imageMessage": {"mimetype": "image/jpeg", "jpegThumbnail": told}}))
        for told in (None, base64_of(JPEG))
    )
    assert plain.message == shown.message
