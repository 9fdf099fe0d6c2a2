"""Files are what they claim to be, the same for the same seed, and streamed where large."""

import base64
import io
import struct
import tracemalloc
import zipfile
from hashlib import sha256

import puremagic
import pypdfium2  # it has no types
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from wagateway.simulator.dice import Dice
from wagateway.simulator.files import TYPES, File, Form, Recipe, Shelf, Stock, file_of

SORTS = (
    *("image", "video", "gif", "video_note", "voice", "audio", "document", "sticker"),
    "moving-sticker",
)
SIZED = {Form.JPEG, Form.PNG, Form.MP4, Form.STICKER, Form.MOVING_STICKER}
PLAYING = {Form.OGG, Form.MP3, Form.M4A, Form.MP4}


def made(form: Form, key: str = "a", filler_bytes: int = 5000) -> File:
    sized = {"width": 512, "height": 480} if form in SIZED else {}
    played = {"seconds": 7} if form in PLAYING else {}
    paged = {"pages": 3} if form is Form.PDF else {}
    return file_of(
        Recipe(key=key, form=form, filler_bytes=filler_bytes, **sized, **played, **paged)
    )


@pytest.mark.parametrize("form", Form)
def test_the_facts_are_those_of_the_bytes(form: Form) -> None:
    file = made(form)
    content = file.content()
    assert len(content) == file.size_bytes
    assert sha256(content).hexdigest() == file.sha256
    assert (file.mimetype, file.extension) == TYPES[form]
    assert made(form) == file
    assert made(form, "b").sha256 != file.sha256
    assert made(form, "b").content() != content
    assert file.size_bytes >= 5000


@pytest.mark.parametrize("form", Form)
def test_a_longer_filler_makes_a_larger_file(form: Form) -> None:
    assert made(form, filler_bytes=90_000).size_bytes >= made(form).size_bytes + 85_000


@given(form=st.sampled_from(Form), start=st.integers(0, 80_000), length=st.integers(0, 70_000))
def test_any_part_is_that_of_the_whole(form: Form, start: int, length: int) -> None:
    file = made(form, filler_bytes=70_000)
    part = b"".join(file.parts(start, start + length))
    assert part == file.content()[start : start + length]


@pytest.mark.parametrize("form", [Form.JPEG, Form.PNG, Form.STICKER, Form.MOVING_STICKER])
def test_pictures_can_be_looked_at(form: Form) -> None:
    for key in ("a", "b"):
        with Image.open(io.BytesIO(made(form, key, 150_000).content())) as picture:
            picture.load()
            assert picture.size == (512, 480)
            assert getattr(picture, "n_frames", 1) == (3 if form is Form.MOVING_STICKER else 1)
            corner = picture.convert("RGB").getpixel((0, 0))
            if form in {Form.JPEG, Form.PNG}:
                assert picture.convert("RGB").getpixel((511, 479)) != corner


@pytest.mark.parametrize("size", [(1, 1), (7, 9), (16, 12), (1080, 1080), (1200, 1600)])
def test_a_jpeg_has_any_size(size: tuple[int, int]) -> None:
    width, height = size
    recipe = Recipe(key="a", form=Form.JPEG, filler_bytes=0, width=width, height=height)
    with Image.open(io.BytesIO(file_of(recipe).content())) as picture:
        picture.load()
        assert picture.size == size


def test_a_pdf_has_its_pages() -> None:
    document = pypdfium2.PdfDocument(made(Form.PDF).content())
    try:
        assert len(document) == 3
        assert document[2].get_textpage().get_text_range().endswith(" 3")
    finally:
        document.close()


def test_papers_can_be_read() -> None:
    with zipfile.ZipFile(io.BytesIO(made(Form.ZIP).content())) as packed:
        assert packed.testzip() is None
        assert len(packed.read("dados.bin")) == 5000
    card = made(Form.CARD).content().decode().splitlines()
    assert (card[0], card[-1]) == ("BEGIN:VCARD", "END:VCARD")
    assert len(made(Form.TEXT).content().decode().splitlines()) > 100


@pytest.mark.parametrize("form", [Form.MP4, Form.M4A])
def test_films_and_music_are_whole_mp4(form: Form) -> None:
    content = made(form).content()
    names, place = [], 0
    while place < len(content):
        size, name = struct.unpack_from(">I4s", content, place)
        names.append(name)
        place += size
    assert place == len(content)
    assert names == [b"ftyp", b"moov", b"mdat"]
    scale, length = struct.unpack_from(">II", content, content.index(b"mvhd") + 16)
    assert length / scale == pytest.approx(7, abs=0.1)
    first = struct.unpack_from(">I", content, content.index(b"stco") + 12)[0]
    assert first == content.index(b"mdat") + 4


def test_a_voice_note_is_whole_ogg() -> None:
    content = made(Form.OGG).content()
    place = number = granule = 0
    while place < len(content):
        magic, _, _, granule, _, counted, crc = struct.unpack_from("<4sBBqIII", content, place)
        segments = content[place + 26]
        size = 27 + segments + sum(content[place + 27 : place + 27 + segments])
        page = bytearray(content[place : place + size])
        page[22:26] = bytes(4)
        assert (magic, counted) == (b"OggS", number)
        assert slow_crc(bytes(page)) == crc
        place += size
        number += 1
    assert place == len(content)
    assert granule == 7 * 48_000


def slow_crc(data: bytes) -> int:
    """Return Ogg's CRC bit by bit, as RFC 3533 describes it."""
    crc = 0
    for byte in data:
        crc ^= byte << 24
        for _ in range(8):
            crc = (crc << 1 ^ (0x04C11DB7 if crc & 0x80000000 else 0)) & 0xFFFFFFFF
    return crc


@pytest.mark.parametrize(
    ("form", "found"),
    [
        (Form.JPEG, {"image/jpeg"}),
        (Form.PNG, {"image/png"}),
        (Form.STICKER, {"image/webp"}),
        (Form.OGG, {"audio/ogg", "audio/opus", "application/ogg"}),
        (Form.MP3, {"audio/mpeg"}),
        (Form.PDF, {"application/pdf"}),
        (Form.ZIP, {"application/zip"}),
    ],
)
def test_others_see_by_the_bytes_what_they_are(form: Form, found: set[str]) -> None:
    assert found & {each.mime_type for each in puremagic.magic_string(made(form).content())}


@pytest.mark.parametrize("form", [Form.JPEG, Form.MP4])
def test_a_thumbnail_is_a_small_picture_of_it(form: Form) -> None:
    with Image.open(io.BytesIO(base64.b64decode(made(form).thumbnail or ""))) as small:
        small.load()
        assert max(small.size) == 16
        assert small.width / small.height == pytest.approx(512 / 480, abs=0.1)
    assert made(Form.OGG).thumbnail is None
    assert made(form).thumbnail != made(form, "b").thumbnail


@pytest.mark.parametrize("sort", SORTS)
def test_a_shelf_has_some_files_very_often_and_others_seldom(sort: str) -> None:
    shelf = Shelf(Stock(distinct=300), 7)
    taken = [shelf.take(sort, Dice(sort, number)).sha256 for number in range(600)]
    counts = sorted((taken.count(each) for each in set(taken)), reverse=True)
    assert counts[0] >= 50
    assert counts[-1] <= counts[0] / 3
    assert Shelf(Stock(distinct=300), 7).take(sort, Dice(sort, 0)).sha256 == taken[0]
    assert not set(taken) & {
        Shelf(Stock(distinct=300), 8).take(sort, Dice(sort, number)).sha256 for number in range(20)
    }


def test_a_shelf_has_about_as_many_files_as_are_asked_for() -> None:
    shelf = Shelf(Stock(distinct=60), 7)
    found = {shelf.take(sort, Dice(sort, n)).sha256 for sort in SORTS for n in range(400)}
    assert 55 <= len(found) <= 65
    few = Shelf(Stock(distinct=1), 7)
    assert len({few.take("image", Dice(number)).sha256 for number in range(20)}) == 1


def test_a_large_file_is_never_whole_in_memory() -> None:
    shelf = Shelf(Stock(large=1, large_bytes=60_000_000), 7)
    tracemalloc.start()
    try:
        file = shelf.file("video", shelf.count("video") - 1)
        size = sum(len(part) for part in file.parts())
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert size == file.size_bytes > 60_000_000
    assert peak < 2_000_000
    assert shelf.file("video", 0).size_bytes < 10_000_000
    assert shelf.file("voice", shelf.count("voice") - 1).size_bytes < 100_000


@pytest.mark.parametrize(
    "wrong", [{"distinct": 0}, {"large": -1}, {"large_bytes": 0}, {"large_bytes": 5 * 10**9}]
)
def test_a_stock_that_cannot_be_is_refused(wrong: dict[str, int]) -> None:
    with pytest.raises(ValueError, match="at least one distinct file"):
        Stock(**wrong)


def test_an_unknown_sort_is_refused() -> None:
    with pytest.raises((KeyError, ValueError)):
        Shelf(Stock(), 1).file("hologram", 0)
