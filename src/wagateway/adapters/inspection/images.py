"""Pictures, by Pillow."""

import warnings
from collections.abc import Iterator
from typing import BinaryIO

from msgspec.structs import replace
from PIL import AvifImagePlugin, ExifTags, Image, UnidentifiedImageError

from wagateway.adapters.inspection.previews import THUMBNAIL_PIXELS, preview, shrunk
from wagateway.adapters.inspection.unreadable import Unreadable
from wagateway.ports.media_inspector import Looked

FORMATS = {
    "image/jpeg": "JPEG",
    "image/png": "PNG",
    "image/gif": "GIF",
    "image/webp": "WEBP",
    "image/avif": "AVIF",
}
"""Nothing else is read, whatever Pillow can."""

_MOST_PIXELS = 60_000_000
_MOST_PIXELS_OF_JPEG = 120_000_000
"""JPEG is drawn in small from the start."""

_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
"""By orientation. Source: EXIF 2.3, tag 0x0112."""

_FIRST_SIDEWAYS = 5
"""From there on, width and height change places."""

AvifImagePlugin.DEFAULT_MAX_THREADS = 1  # the memory of more is taken from the picture's
Image.MAX_IMAGE_PIXELS = _MOST_PIXELS_OF_JPEG


def look_at_image(file: BinaryIO, known: Looked, mimetype: str) -> Iterator[Looked]:
    """Yield *known* with the size, then with the preview, of the first frame.

    Args:
        file: at any place.
        known: so far.
        mimetype: what it is, of `FORMATS`.

    Raises:
        Unreadable: it is damaged or has too many pixels.
        MemoryError: it takes too much.
    """
    try:
        with _opened(file, FORMATS[mimetype]) as picture:
            yield from _seen(picture, known)
    except UnidentifiedImageError as exc:
        raise Unreadable("it cannot be read as the picture that it begins like") from exc
    except (Unreadable, MemoryError):
        raise
    except Exception as exc:  # Pillow's readers let out whatever they stumble over
        raise Unreadable("the picture is damaged") from exc


def _opened(file: BinaryIO, format_: str) -> Image.Image:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of odd, but readable files
        warnings.simplefilter("error", Image.DecompressionBombWarning)
        try:
            return Image.open(file, formats=[format_])
        except (Image.DecompressionBombError, Image.DecompressionBombWarning) as exc:
            raise _too_many() from exc


def _too_many() -> Unreadable:
    return Unreadable("the picture has too many pixels to be drawn")


def _seen(picture: Image.Image, known: Looked) -> Iterator[Looked]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        width, height = picture.size
        if _orientation(picture) >= _FIRST_SIDEWAYS:
            width, height = height, width
        known = replace(known, width=width, height=height)
        yield known
        if picture.format != "JPEG" and width * height > _MOST_PIXELS:
            raise _too_many()
        drawn = _drawn(picture)
        thumbnail, placeholder = preview(drawn)
        yield replace(known, thumbnail=thumbnail, placeholder=placeholder)


def _orientation(picture: Image.Image) -> int:
    try:
        told: object = picture.getexif().get(ExifTags.Base.Orientation)
    except Exception:  # noqa: BLE001 - of a damaged description only; the picture may be whole
        return 1
    return told if isinstance(told, int) and told in _TURNS else 1


def _drawn(picture: Image.Image) -> Image.Image:
    orientation = _orientation(picture)
    picture.draft("RGB", (THUMBNAIL_PIXELS, THUMBNAIL_PIXELS))
    picture.load()
    small = shrunk(picture)
    return small.transpose(_TURNS[orientation]) if orientation in _TURNS else small
