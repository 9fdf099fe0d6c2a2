"""Small pictures of big ones."""

import io
from collections.abc import Iterator
from typing import NamedTuple

from PIL import Image

THUMBNAIL_PIXELS = 400
_PLACEHOLDER_PIXELS = 24


class Preview(NamedTuple):
    """Two WebP images."""

    thumbnail: bytes
    placeholder: bytes


def preview(picture: Image.Image) -> Preview:
    """Return *picture* in small; it is small itself afterwards."""
    return Preview(*_smaller(shrunk(picture)))


def shrunk(picture: Image.Image) -> Image.Image:
    """Return *picture* in colours, with transparency where it has some, no larger than a preview.

    Nothing but points is left of it: no place, no time, no camera.
    """
    mode = "RGBA" if picture.has_transparency_data else "RGB"
    if picture.mode != mode:
        picture = picture.convert(mode)
    picture.thumbnail((THUMBNAIL_PIXELS, THUMBNAIL_PIXELS), reducing_gap=2.0)
    return picture


def _smaller(picture: Image.Image) -> Iterator[bytes]:
    yield _webp(picture, quality=75)
    picture.thumbnail((_PLACEHOLDER_PIXELS, _PLACEHOLDER_PIXELS))
    yield _webp(picture, quality=25)


def _webp(picture: Image.Image, *, quality: int) -> bytes:
    target = io.BytesIO()
    picture.save(target, "WEBP", quality=quality, exif=b"", xmp=b"", icc_profile=b"")
    return target.getvalue()
