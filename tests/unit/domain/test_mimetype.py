import pytest

from wagateway.domain.mimetype import essence, is_mimetype, is_shown_inline


@pytest.mark.parametrize(
    "mimetype",
    [
        *("image/jpeg", "image/png", "image/gif", "image/webp", "image/avif", "IMAGE/JPEG"),
        *("video/mp4", "video/webm", "video/3gpp", "audio/mpeg", "audio/mp4"),
        *("audio/ogg; codecs=opus", 'video/mp4; codecs="avc1.42E01E, mp4a.40.2"'),
    ],
)
def test_shows_what_cannot_script(mimetype: str) -> None:
    assert is_shown_inline(mimetype)


@pytest.mark.parametrize(
    "mimetype",
    [
        *("text/html", "text/html; charset=utf-8", "image/svg+xml", "text/xml", "application/xml"),
        *("application/xhtml+xml", "text/javascript", "application/javascript", "text/plain"),
        *("application/pdf", "application/zip", "application/octet-stream", "image/tiff"),
        *("audio/x-mpegurl", "video/vnd.mpegurl", "image/x-unknown", "image/", "image", ""),
        *("image/png, text/html", "image/png\r\nX: y", "image/png;\r\n a=b", "image/png;a=b\n"),
    ],
)
def test_everything_else_is_for_download_alone(mimetype: str) -> None:
    assert not is_shown_inline(mimetype)


def test_the_essence_has_neither_parameters_nor_capitals() -> None:
    assert essence("Audio/OGG ; codecs=opus") == "audio/ogg"


@pytest.mark.parametrize(
    "text", ["text/plain", "a/b;c=d", 'a/b; c="d e"', "image/svg+xml", "a/b;c=" + "d" * 249]
)
def test_types_are_types(text: str) -> None:
    assert is_mimetype(text)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "text",
        "/",
        "a/b;",
        "a/b c",
        "a/b\r\nX: y",
        "a/b;c=d\n",
        "ä/b",
        "a/" + "b" * 300,
        "a/b;c",
    ],
)
def test_no_type_gets_into_a_header_that_is_none(text: str) -> None:
    assert not is_mimetype(text)
