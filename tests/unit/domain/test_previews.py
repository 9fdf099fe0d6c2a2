"""The tiny picture inside a message: which bytes are one, and which of several is kept."""

import itertools

import pytest

from wagateway.domain.previews import (
    LARGEST_PREVIEW_BYTES,
    best_preview,
    fit_preview,
    picture_type,
)

JPEG = b"\xff\xd8\xff"


@pytest.mark.parametrize(
    ("data", "mimetype"),
    [
        (JPEG, "image/jpeg"),
        (b"\x89PNG\r\n\x1a\n", "image/png"),
        (b"RIFF\x00\x00\x00\x00WEBP", "image/webp"),
        (b"RIFF\x00\x00\x00\x00WAVE", None),
        (b"WEBP", None),
        (b"\xff\xd8", None),
        (b"GIF89a", None),
        (b"<svg>", None),
        (b"", None),
    ],
)
def test_a_picture_is_told_by_its_first_bytes(data: bytes, mimetype: str | None) -> None:
    assert picture_type(data) == mimetype
    assert fit_preview(data) == (data if mimetype else None)


def test_only_so_much_is_kept() -> None:
    largest = JPEG.ljust(LARGEST_PREVIEW_BYTES, b"\0")
    assert fit_preview(largest) == largest
    assert fit_preview(largest + b"\0") is None


def test_the_largest_is_kept_in_whatever_order_they_come() -> None:
    told = [None, JPEG + b"zz", JPEG + b"aaa", JPEG + b"aab", None]
    assert {best_preview(*order) for order in itertools.permutations(told)} == {JPEG + b"aab"}
    assert best_preview() is None
    assert best_preview(None, None) is None
