"""The files that people send around: real ones, made from a seed whenever they are looked at."""

from base64 import b64encode
from collections.abc import Iterator
from enum import StrEnum
from functools import lru_cache
from hashlib import sha256
from typing import assert_never

from msgspec import Struct
from msgspec.structs import replace

from wagateway.simulator import papers, pictures, recordings
from wagateway.simulator.dice import Dice, digest
from wagateway.simulator.filler import Filler

_THUMBNAIL_SIDE = 16
_PDF_CHARS = 8


class Form(StrEnum):
    """How a file is made."""

    JPEG = "jpeg"
    PNG = "png"
    STICKER = "sticker"
    MOVING_STICKER = "moving-sticker"
    OGG = "ogg"
    MP3 = "mp3"
    M4A = "m4a"
    MP4 = "mp4"
    PDF = "pdf"
    TEXT = "text"
    CARD = "card"
    ZIP = "zip"


TYPES = {
    Form.JPEG: ("image/jpeg", "jpeg"),
    Form.PNG: ("image/png", "png"),
    Form.STICKER: ("image/webp", "webp"),
    Form.MOVING_STICKER: ("image/webp", "webp"),
    Form.OGG: ("audio/ogg; codecs=opus", "oga"),
    Form.MP3: ("audio/mpeg", "mp3"),
    Form.M4A: ("audio/mp4", "m4a"),
    Form.MP4: ("video/mp4", "mp4"),
    Form.PDF: ("application/pdf", "pdf"),
    Form.TEXT: ("text/plain", "txt"),
    Form.CARD: ("text/vcard", "vcf"),
    Form.ZIP: ("application/zip", "zip"),
}
"""The MIME type of each form, as WhatsApp tells it, and WAHA's extension for it."""
STREAMED = frozenset({Form.M4A, Form.MP4, Form.PDF})
"""Forms that can be of any size: all but a few KiB of them is made while it is sent."""


class Recipe(Struct, frozen=True, kw_only=True):
    """What decides on every byte of a file.

    Attributes:
        key: what tells it from others.
        filler_bytes: what it has beside what is seen and heard; its size is a little more, and
            twice as much where they are written in hexadecimal digits.
        width, height: pixels, even numbers; 0 of what has none.
        seconds: how long it plays, else 0.
        pages: of a PDF, else 0.
    """

    key: str
    form: Form
    filler_bytes: int
    width: int = 0
    height: int = 0
    seconds: int = 0
    pages: int = 0


class File(Struct, frozen=True, kw_only=True):
    """A file, of which the facts are kept, and the bytes made when somebody asks for them.

    Attributes:
        sha256: of its bytes, in lower-case hex.
        thumbnail: a tiny JPEG of it in base64; None of what shows nothing.
    """

    recipe: Recipe
    size_bytes: int
    sha256: str
    thumbnail: str | None = None

    @property
    def mimetype(self) -> str:
        """What it is, as WhatsApp tells it."""
        return TYPES[self.recipe.form][0]

    @property
    def extension(self) -> str:
        """What WAHA puts after the dot."""
        return TYPES[self.recipe.form][1]

    def parts(self, start: int = 0, stop: int | None = None) -> Iterator[bytes]:
        """Yield its bytes from *start* up to, but not including, *stop*, in small pieces."""
        stop = self.size_bytes if stop is None else stop
        before, filler, after = _made(self.recipe)
        if part := before[start:stop]:
            yield part
        here = len(before)
        yield from filler.parts(max(0, start - here), max(0, stop - here))
        here += filler.size_bytes
        if part := after[max(0, start - here) : max(0, stop - here)]:
            yield part

    def content(self) -> bytes:
        """Return all its bytes at once: only of a small file."""
        return b"".join(self.parts())


def file_of(recipe: Recipe) -> File:
    """Make a file once, to know what there is to know of it."""
    before, filler, after = _made(recipe)
    hashed = sha256(before)
    for part in filler.parts():
        hashed.update(part)
    hashed.update(after)
    return File(
        recipe=recipe,
        size_bytes=len(before) + filler.size_bytes + len(after),
        sha256=hashed.hexdigest(),
        thumbnail=_thumbnail(recipe),
    )


@lru_cache(maxsize=64)
def _made(recipe: Recipe) -> tuple[bytes, Filler, bytes]:
    """Return a file in three parts, of which only the middle one may be large."""
    if recipe.form not in STREAMED:
        return _small(recipe), Filler("", 0), b""
    filler = Filler(recipe.key, recipe.filler_bytes)
    if recipe.form is Form.PDF:
        title = digest(_PDF_CHARS, "title", recipe.key).hex()
        before, after = papers.pdf(title, recipe.pages, recipe.filler_bytes)
        return before, filler, after
    if recipe.form is Form.M4A:
        return recordings.m4a(recipe.seconds, recipe.filler_bytes), filler, b""
    size = recipe.width, recipe.height
    film = recordings.mp4(size, recipe.seconds, _colour(recipe, 0), recipe.filler_bytes)
    return film, filler, b""


def _small(recipe: Recipe) -> bytes:  # noqa: PLR0911 - one arm per form
    filler = Filler(recipe.key, recipe.filler_bytes).whole()
    size = recipe.width, recipe.height
    colours = (_colour(recipe, 0), _colour(recipe, 1), _colour(recipe, 2))
    match recipe.form:
        case Form.JPEG:
            return pictures.jpeg(size, *colours[:2], filler)
        case Form.PNG:
            return pictures.png(size, *colours[:2], filler)
        case Form.STICKER:
            return pictures.webp(size, colours[:1], filler)
        case Form.MOVING_STICKER:
            return pictures.webp(size, colours, filler)
        case Form.OGG:
            serial = int.from_bytes(digest(4, "serial", recipe.key))
            return recordings.ogg(recipe.seconds, serial, filler)
        case Form.MP3:
            return recordings.mp3(recipe.seconds, filler)
        case Form.TEXT | Form.CARD | Form.ZIP:
            writes = {Form.TEXT: papers.text, Form.CARD: papers.card, Form.ZIP: papers.archive}
            return writes[recipe.form](digest(_PDF_CHARS, "title", recipe.key).hex(), filler)
        case Form.M4A | Form.MP4 | Form.PDF:
            raise ValueError("made in three parts")
    assert_never(recipe.form)


def _thumbnail(recipe: Recipe) -> str | None:
    if recipe.form not in {Form.JPEG, Form.MP4}:
        return None
    longest = max(recipe.width, recipe.height)
    width, height = (
        max(2, side * _THUMBNAIL_SIDE // longest) for side in (recipe.width, recipe.height)
    )
    top, bottom = _colour(recipe, 0), _colour(recipe, recipe.form is Form.JPEG)
    return b64encode(pictures.jpeg((width, height), top, bottom)).decode()


def _colour(recipe: Recipe, number: int) -> pictures.Colour:
    one, two, three = (16 + byte % 220 for byte in digest(3, "colour", recipe.key, number))
    return one, two, three


class Stock(Struct, frozen=True, kw_only=True):
    """How many files there are, and how large.

    Attributes:
        distinct: files of different content, about, of all kinds together; 1 or more. All sessions
            send the same ones around, some of them very often.
        large: so many of the films, and of the documents that are PDFs, are large: the seldom
            ones; 0 or more.
        large_bytes: the size of these.
    """

    distinct: int = 300
    large: int = 0
    large_bytes: int = 200_000_000

    def __post_init__(self) -> None:
        if self.distinct < 1 or self.large < 0 or not 0 < self.large_bytes <= _MOST_BYTES:
            raise ValueError(
                "there is at least one distinct file, no negative number of large ones, and none "
                f"of more than {_MOST_BYTES:,} bytes"
            )


_MOST_BYTES = 4_000_000_000
"""An MP4 counts no further."""
_PORTRAIT, _LANDSCAPE, _SQUARE = (1200, 1600), (1600, 1200), (1080, 1080)
_SKEW = 2.0
"""How much more often the first files are sent than the last ones; 1 would be all alike."""
_FEW = 0.1
_SHARES = {
    "image": 0.36,
    "voice": 0.17,
    "document": 0.17,
    "video": 0.1,
    "sticker": 0.08,
    "moving-sticker": 0.02,
    "audio": 0.04,
    "gif": 0.03,
    "video_note": 0.03,
}
"""Which part of all distinct files is of which sort."""
_PAPERS = (Form.PDF,) * 5 + (Form.PNG, Form.TEXT, Form.CARD, Form.ZIP)
_PAPER_FACTS = {Form.PDF: {"pages": 3}, Form.PNG: {"width": 600, "height": 800}}
_FILLER_BYTES = {
    "image": (8_000, 120_000),
    "voice": (500, 3_000),
    "document": (3_000, 90_000),
    "video": (60_000, 500_000),
    "sticker": (4_000, 40_000),
    "moving-sticker": (10_000, 60_000),
    "audio": (3_000, 30_000),
    "gif": (20_000, 120_000),
    "video_note": (30_000, 200_000),
}
_SOME_MB = (1_000_000, 4_000_000)


class Shelf:
    """All files that are sent around, by sort and number; each is made when it is first taken."""

    def __init__(self, stock: Stock, seed: int) -> None:
        self._stock = stock
        self._key = f"file/{seed}"

    def take(self, sort: str, dice: Dice) -> File:
        """Return a file of a *sort*, such as ``image``: the first ones more often than the last."""
        return self.file(sort, int(self.count(sort) * dice.between(0, 1) ** _SKEW))

    def count(self, sort: str) -> int:
        """Return how many files of a *sort* there are."""
        return max(1, round(self._stock.distinct * _SHARES[sort]))

    def file(self, sort: str, number: int) -> File:
        """Return the file of a *sort* with a *number*, counted from 0."""
        return _known(self._recipe(sort, number))

    def _recipe(self, sort: str, number: int) -> Recipe:
        key = f"{self._key}/{sort}/{number}"
        dice = Dice(key)
        recipe = _recipe(sort, key, dice)
        if recipe.form in STREAMED and sort in {"video", "document"}:
            if number >= self.count(sort) - self._stock.large:
                return replace(recipe, filler_bytes=self._stock.large_bytes)
            if dice.chance(_FEW):
                return replace(recipe, filler_bytes=dice.number(*_SOME_MB))
        return recipe


@lru_cache(maxsize=4096)
def _known(recipe: Recipe) -> File:
    return file_of(recipe)


def _recipe(sort: str, key: str, dice: Dice) -> Recipe:  # noqa: PLR0911 - one arm per sort
    filler_bytes = dice.number(*_FILLER_BYTES[sort])

    def of(form: Form, **facts: int) -> Recipe:
        return Recipe(key=key, form=form, filler_bytes=filler_bytes, **facts)

    match sort:
        case "image":
            width, height = dice.pick((_PORTRAIT, _LANDSCAPE, _SQUARE))
            return of(Form.JPEG, width=width, height=height)
        case "voice":
            return of(Form.OGG, seconds=dice.number(2, 90))
        case "audio":
            return of(dice.pick((Form.MP3, Form.M4A)), seconds=dice.number(20, 400))
        case "video":
            return of(Form.MP4, width=480, height=848, seconds=dice.number(4, 60))
        case "gif":
            return of(Form.MP4, width=480, height=270, seconds=dice.number(1, 6))
        case "video_note":
            return of(Form.MP4, width=400, height=400, seconds=dice.number(2, 60))
        case "sticker" | "moving-sticker":
            return of(Form(sort), width=512, height=512)
        case "document":
            form = dice.pick(_PAPERS)
            return of(form, **_PAPER_FACTS.get(form, {}))
    raise ValueError(f"there are no files of the sort {sort!r}")
