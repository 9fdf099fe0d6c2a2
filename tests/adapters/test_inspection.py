"""Files of each kind, and files that are meant to break what looks at them."""

import io
import os
import select
import shutil
import socket
import struct
import subprocess
import zipfile
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path

import pytest
from PIL import Image
from tests.support.media_files import (
    FILM,
    HAS_FFMPEG,
    SOUND,
    animation,
    bomb_png,
    cyclic_pdf,
    encoded,
    gif,
    pages,
    pdf,
    picture,
    png,
    recorded,
    scripted_pdf,
    turned,
)

from wagateway.adapters.inspection.frames import Programs
from wagateway.adapters.inspection.inspector import open_inspector
from wagateway.adapters.inspection.recordings import look_at_recording
from wagateway.adapters.inspection.unreadable import Unreadable
from wagateway.domain.mimetype import UNKNOWN, is_shown_inline
from wagateway.ports.media_inspector import Looked, MediaInspector

RED = (255, 0, 0)
needs_ffmpeg = pytest.mark.skipif(not HAS_FFMPEG, reason="ffmpeg and ffprobe are not installed")


@pytest.fixture(scope="module")
async def inspector() -> AsyncIterator[MediaInspector]:
    async with open_inspector() as opened:
        yield opened


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "file"


async def looked(
    inspector: MediaInspector, file: Path, content: bytes, declared: str | None = None
) -> Looked:
    file.write_bytes(content)
    return await inspector.inspect(file, declared=declared)


def drawn(webp: bytes | None) -> Image.Image:
    assert webp is not None
    with Image.open(io.BytesIO(webp), formats=["WEBP"]) as image:
        image.load()
        assert not set(image.info) & {"exif", "icc_profile", "xmp"}
        return image.convert("RGBA")


def is_like(seen: object, wanted: tuple[int, int, int]) -> bool:
    assert isinstance(seen, tuple)
    return all(abs(a - b) < 60 for a, b in zip(seen, wanted, strict=False))


# ── Pictures ────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("format_", ["JPEG", "PNG", "GIF", "WEBP", "AVIF"])
async def test_pictures(inspector: MediaInspector, file: Path, format_: str) -> None:
    mimetype = f"image/{format_.lower()}"
    found = await looked(inspector, file, encoded(picture(1200, 600), format_), mimetype)
    assert (found.mimetype, found.width, found.height) == (mimetype, 1200, 600)
    assert (found.duration_s, found.pages, found.problem) == (None, None, None)
    thumbnail, placeholder = drawn(found.thumbnail), drawn(found.placeholder)
    assert (thumbnail.size, placeholder.size) == ((400, 200), (24, 12))
    assert is_like(thumbnail.getpixel((20, 20)), RED)
    assert not is_like(thumbnail.getpixel((380, 180)), RED)
    assert is_like(placeholder.getpixel((3, 3)), RED)


async def test_placeholders_are_tiny(inspector: MediaInspector, file: Path) -> None:
    found = await looked(inspector, file, encoded(picture(800, 800, noisy=True), "PNG"))
    assert found.placeholder is not None
    assert len(found.placeholder) < 400


async def test_small_pictures_stay_as_small(inspector: MediaInspector, file: Path) -> None:
    found = await looked(inspector, file, encoded(picture(30, 20), "PNG"))
    assert drawn(found.thumbnail).size == (30, 20)


@pytest.mark.parametrize("orientation", range(1, 9))
async def test_photos_are_seen_upright(
    inspector: MediaInspector, file: Path, orientation: int
) -> None:
    # Where the red quarter, stored at the upper left, is to be shown. Source: EXIF 2.3.
    x, y = {1: (0, 0), 2: (1, 0), 3: (1, 1), 4: (0, 1), 5: (0, 0), 6: (1, 0), 7: (1, 1), 8: (0, 1)}[
        orientation
    ]
    found = await looked(inspector, file, turned(picture(800, 400), orientation))
    width, height = (800, 400) if orientation < 5 else (400, 800)
    assert (found.width, found.height) == (width, height)
    thumbnail = drawn(found.thumbnail)
    assert thumbnail.size == (width // 2, height // 2)
    far_x, far_y = width // 2 - 20, height // 2 - 20
    places = {(0, 0): (20, 20), (1, 0): (far_x, 20), (0, 1): (20, far_y), (1, 1): (far_x, far_y)}
    seen = {corner for corner, at in places.items() if is_like(thumbnail.getpixel(at), RED)}
    assert seen == {(x, y)}


@pytest.mark.parametrize("format_", ["GIF", "WEBP", "PNG", "AVIF"])
async def test_what_moves_is_seen_in_its_first_frame(
    inspector: MediaInspector, file: Path, format_: str
) -> None:
    found = await looked(inspector, file, animation(format_))
    assert (found.width, found.height, found.problem) == (40, 30, None)
    assert is_like(drawn(found.thumbnail).getpixel((20, 15)), RED)


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA", "I;16"])
async def test_pictures_of_any_mode(inspector: MediaInspector, file: Path, mode: str) -> None:
    found = await looked(inspector, file, encoded(Image.new(mode, (50, 40)), "PNG"))
    assert (found.width, found.problem) == (50, None)
    assert found.thumbnail is not None


async def test_stickers_stay_transparent(inspector: MediaInspector, file: Path) -> None:
    sticker = Image.new("RGBA", (512, 512), (0, 0, 0, 0))
    found = await looked(inspector, file, encoded(sticker, "WEBP"), "image/webp")
    assert drawn(found.thumbnail).getpixel((200, 200)) == (0, 0, 0, 0)


# ── Documents ───────────────────────────────────────────────────────────────────────────────────


async def test_documents(inspector: MediaInspector, file: Path) -> None:
    found = await looked(inspector, file, pages(3), "application/pdf")
    assert (found.mimetype, found.pages, found.problem) == ("application/pdf", 3, None)
    thumbnail = drawn(found.thumbnail)
    assert thumbnail.size == (300, 400)
    assert is_like(thumbnail.getpixel((50, 200)), RED)
    assert is_like(thumbnail.getpixel((250, 200)), (255, 255, 255))
    assert found.placeholder is not None


@pytest.mark.parametrize("size", [b"14400 14400", b"1 14400", b"1e9 1e9", b"1e-9 1e-9", b"0 0"])
async def test_pages_of_any_size(inspector: MediaInspector, file: Path, size: bytes) -> None:
    found = await looked(inspector, file, pages(1, size=size))
    assert found.pages == 1
    if found.thumbnail is None:
        assert found.problem
    else:
        assert max(drawn(found.thumbnail).size) <= 400


@pytest.mark.parametrize(
    ("mimetype", "content"),
    [
        ("text/plain", b"hello"),
        ("text/vcard", b"BEGIN:VCARD\nFN:Ana\nEND:VCARD\n"),
        ("text/csv", b"a,b\n"),
        ("application/zip", b"PK\5\6" + bytes(18)),
    ],
)
async def test_of_other_files_only_the_type_is_said(
    inspector: MediaInspector, file: Path, mimetype: str, content: bytes
) -> None:
    assert await looked(inspector, file, content, mimetype) == Looked(mimetype=mimetype)


# ── Sounds and films ────────────────────────────────────────────────────────────────────────────


@needs_ffmpeg
async def test_films(inspector: MediaInspector, file: Path, tmp_path: Path) -> None:
    film = recorded(tmp_path, "film.mp4", *FILM)
    found = await looked(inspector, file, film, "video/mp4")
    assert (found.mimetype, found.width, found.height) == ("video/mp4", 320, 240)
    assert (found.duration_s, found.problem) == (2.0, None)
    thumbnail = drawn(found.thumbnail)
    assert thumbnail.size == (400, 300)
    assert is_like(thumbnail.getpixel((200, 150)), RED)


UPRIGHT = struct.pack(">9i", 1 << 16, 0, 0, 0, 1 << 16, 0, 0, 0, 1 << 30)
ON_ITS_SIDE = struct.pack(">9i", 0, 1 << 16, 0, -(1 << 16), 0, 0, 0, 0, 1 << 30)
"""How a film's track is turned. Source: ISO 14496-12, tkhd."""


@needs_ffmpeg
async def test_films_are_seen_upright(
    inspector: MediaInspector, file: Path, tmp_path: Path
) -> None:
    film = recorded(tmp_path, "film.mp4", *FILM)
    at = film.index(UPRIGHT, film.index(b"tkhd"))
    film = film[:at] + ON_ITS_SIDE + film[at + len(UPRIGHT) :]
    found = await looked(inspector, file, film)
    assert (found.width, found.height) == (240, 320)
    assert drawn(found.thumbnail).size == (300, 400)


@needs_ffmpeg
@pytest.mark.parametrize(
    ("name", "mimetype"),
    [
        ("voice.ogg", "audio/ogg; codecs=opus"),
        ("sound.m4a", "audio/mp4"),
        ("sound.mp3", "audio/mpeg"),
        ("sound.wav", "audio/wav"),
        ("sound.aac", "audio/aac"),
    ],
)
async def test_sounds(
    inspector: MediaInspector, file: Path, tmp_path: Path, name: str, mimetype: str
) -> None:
    options = ("-c:a", "libopus") if name.endswith("ogg") else ()
    found = await looked(inspector, file, recorded(tmp_path, name, *SOUND, *options), mimetype)
    assert (found.mimetype, found.problem) == (mimetype, None)
    assert found.duration_s == pytest.approx(2.0, abs=0.2)
    assert (found.width, found.thumbnail) == (None, None)


@needs_ffmpeg
async def test_without_ffmpeg_recordings_are_not_blamed(file: Path, tmp_path: Path) -> None:
    film = recorded(tmp_path, "film.mp4", *FILM)
    (tmp_path / "empty").mkdir()
    async with open_inspector(search_path=str(tmp_path / "empty")) as inspector:
        found = await looked(inspector, file, film, "video/mp4")
    assert found == Looked(mimetype="video/mp4")


@needs_ffmpeg
async def test_damaged_recordings_are_a_problem(
    inspector: MediaInspector, file: Path, tmp_path: Path
) -> None:
    film = recorded(tmp_path, "film.mp4", *FILM)
    for content in (film[:200], film[:8] + bytes(5000), film[: len(film) // 2]):
        found = await looked(inspector, file, content, "video/mp4")
        assert (found.mimetype, found.problem) == ("video/mp4", "the recording is damaged, or none")


class Listening:
    """A socket that remembers whether anybody called."""

    def __init__(self) -> None:
        self._socket = socket.create_server(("127.0.0.1", 0))
        self._socket.setblocking(False)
        self.port = self._socket.getsockname()[1]

    def was_called(self, *, within_s: float = 0.0) -> bool:
        if not select.select([self._socket], [], [], within_s)[0]:
            return False
        self._socket.accept()[0].close()
        return True

    def close(self) -> None:
        self._socket.close()


@pytest.fixture
def listening() -> Iterator[Listening]:
    opened = Listening()
    yield opened
    opened.close()


def hls(port: int) -> bytes:
    return playlist_of(f"http://127.0.0.1:{port}/a.ts")


def hls_of_files(port: int) -> bytes:
    return playlist_of(f"http://127.0.0.1:{port}/a.ts", "file:///etc/passwd")


def playlist_of(*addresses: str) -> bytes:
    lines = [line for address in addresses for line in ("#EXTINF:1,", address)]
    return "\n".join(["#EXTM3U", "#EXT-X-TARGETDURATION:1", *lines, "#EXT-X-ENDLIST\n"]).encode()


def parts(port: int) -> bytes:
    return f"ffconcat version 1.0\nfile http://127.0.0.1:{port}/a.ts\nfile /etc/passwd\n".encode()


def dash(port: int) -> bytes:
    return (
        '<?xml version="1.0"?><MPD xmlns="urn:mpeg:dash:schema:mpd:2011" type="static" '
        'mediaPresentationDuration="PT9S" profiles="urn:mpeg:dash:profile:isoff-on-demand:2011">'
        f"<Period><AdaptationSet><Representation id='1'><BaseURL>http://127.0.0.1:{port}/</BaseURL>"
        "<SegmentBase/></Representation></AdaptationSet></Period></MPD>"
    ).encode()


def sdp(port: int) -> bytes:
    return (
        f"v=0\no=- 0 0 IN IP4 127.0.0.1\ns=a\nc=IN IP4 127.0.0.1\nm=video {port} TCP 96\n".encode()
    )


@needs_ffmpeg
@pytest.mark.parametrize("playlist", [hls, hls_of_files, parts, dash, sdp])
async def test_nothing_is_fetched_that_a_playlist_names(
    inspector: MediaInspector, file: Path, listening: Listening, playlist: Callable[[int], bytes]
) -> None:
    found = await looked(inspector, file, playlist(listening.port), "video/mp4")
    assert not is_shown_inline(found.mimetype)
    assert (found.duration_s, found.thumbnail) == (None, None)
    assert not listening.was_called()


@needs_ffmpeg
@pytest.mark.parametrize("playlist", [hls, hls_of_files, parts, dash, sdp])
def test_nor_by_the_programs_themselves(
    file: Path, listening: Listening, playlist: Callable[[int], bytes]
) -> None:
    file.write_bytes(playlist(listening.port))
    programs = Programs(ffmpeg=shutil.which("ffmpeg"), ffprobe=shutil.which("ffprobe"))
    with file.open("rb") as opened, pytest.raises(Unreadable):
        list(look_at_recording(opened, Looked(mimetype="video/mp4"), programs))
    assert not listening.was_called()


@needs_ffmpeg
def test_nor_do_they_open_a_film_that_lies_here(file: Path, tmp_path: Path) -> None:
    recorded(tmp_path, "of somebody else.ts", *FILM)
    file.write_bytes(playlist_of(f"file://{tmp_path}/of somebody else.ts"))
    programs = Programs(ffmpeg=shutil.which("ffmpeg"), ffprobe=shutil.which("ffprobe"))
    with file.open("rb") as opened, pytest.raises(Unreadable):
        list(look_at_recording(opened, Looked(mimetype="video/mp4"), programs))
    careless = ["ffprobe", "-v", "error", "-protocol_whitelist", "file", "-f", "hls", str(file)]
    subprocess.run(careless, check=True)


@needs_ffmpeg
def test_the_socket_would_notice(file: Path, listening: Listening) -> None:
    file.write_bytes(hls(listening.port))
    careless = ["ffprobe", "-v", "quiet", "-protocol_whitelist", "file,http,tcp", "-f", "hls"]
    process = subprocess.Popen([*careless, str(file)])
    try:
        assert listening.was_called(within_s=10)  # and says nothing, so that ffprobe would wait
    finally:
        process.kill()
        process.wait()


# ── Files that are meant to do harm ─────────────────────────────────────────────────────────────

DAMAGED_JPEG = encoded(picture(800, 600, noisy=True), "JPEG")[:20_000]
POLYGLOT_GIF = b"GIF89a/*\0\0\0\0,<html><script>alert(1)</script>*/=1;alert(1)//"
HTML = b"<html><script>alert('<words of the file>')</script></html>"
SVG = b'<svg xmlns="http://www.w3.org/2000/svg"><script>alert(1)</script></svg>'
EXE = b"MZ\x90\0\3\0\0\0\4\0\0\0\xff\xff\0\0" + bytes(200)


def jpeg_and_zip() -> bytes:
    target = io.BytesIO(encoded(picture(64, 48), "JPEG"))
    with zipfile.ZipFile(target, "a") as archive:
        archive.writestr("index.html", HTML)
    return target.getvalue()


@pytest.mark.parametrize(
    ("content", "declared", "mimetype", "problem"),
    [
        (png(50_000, 50_000, b""), "image/png", "image/png", "too many pixels"),
        (bomb_png(9_000), "image/png", "image/png", "too many pixels"),
        (gif((65_535, 65_535), (1, 1)), "image/gif", "image/gif", "too many pixels"),
        (gif((1, 1), (65_535, 65_535)), "image/gif", "image/gif", "too many pixels"),
        (DAMAGED_JPEG, "image/jpeg", "image/jpeg", "damaged"),
        (b"\xff\xd8\xff", "image/jpeg", "image/jpeg", "cannot be read as the picture"),
        (POLYGLOT_GIF, "text/html", "image/gif", "picture"),
        (HTML, "image/png", "text/html", None),
        (SVG, "image/png", "image/svg+xml", None),
        (SVG, "image/svg+xml", "image/svg+xml", None),
        (b"alert(1)", "image/png", "text/javascript", None),
        (EXE, "image/jpeg", "application/x-executable", None),
        (EXE, "image/bmp", "application/x-executable", None),
        (b"", "image/jpeg", UNKNOWN, "empty"),
        (b"", "text/plain", UNKNOWN, "empty"),
        (b"BM\x36\0\0\0\0\0\0\0\x36\0\0\0\x28\0\0\0", "image/bmp", "image/bmp", "no previews"),
        (pages(1, claimed=900_000), "application/pdf", "application/pdf", "claims"),
        (pages(0), "application/pdf", "application/pdf", "damaged"),
        (cyclic_pdf(), "application/pdf", "application/pdf", "claims"),
        (b"%PDF-1.7\n" + bytes(5000), "application/pdf", "application/pdf", "damaged"),
        (pages(2)[:300], "application/pdf", "application/pdf", "damaged"),
    ],
)
async def test_hostile_files(
    inspector: MediaInspector,
    file: Path,
    content: bytes,
    declared: str,
    mimetype: str,
    problem: str | None,
) -> None:
    found = await looked(inspector, file, content, declared)
    assert found.mimetype == mimetype
    assert found.thumbnail is None
    if problem is None:
        assert found.problem is None
    else:
        assert found.problem is not None
        assert problem in found.problem
    assert "words" not in (found.problem or "")
    assert (await looked(inspector, file, pages(1))).pages == 1


async def test_impossible_numbers_of_pages_are_counted_instead(
    inspector: MediaInspector, file: Path
) -> None:
    found = await looked(inspector, file, pages(1, claimed=2**31 - 1))
    assert (found.pages, found.problem) == (1, None)


async def test_of_damaged_pictures_the_size_is_known(inspector: MediaInspector, file: Path) -> None:
    found = await looked(inspector, file, DAMAGED_JPEG, "image/jpeg")
    assert (found.width, found.height) == (800, 600)


async def test_files_that_are_two_things_are_what_their_first_bytes_say(
    inspector: MediaInspector, file: Path
) -> None:
    found = await looked(inspector, file, jpeg_and_zip(), "application/zip")
    assert (found.mimetype, found.width, found.problem) == ("image/jpeg", 64, None)
    assert found.thumbnail is not None
    assert b"PK" not in found.thumbnail
    found = await looked(inspector, file, scripted_pdf(), "image/jpeg")
    assert (found.mimetype, found.pages, found.problem) == ("application/pdf", 1, None)
    assert not is_shown_inline(found.mimetype)


async def test_protected_documents_are_told_from_damaged_ones(
    inspector: MediaInspector, file: Path
) -> None:
    catalogue, tree = b"<</Type /Catalog /Pages 2 0 R>>", b"<</Type /Pages /Kids [] /Count 0>>"
    lock = b"<</Filter /Standard /V 1 /R 2 /P -4 /O <%s> /U <%s>>>" % (b"41" * 32, b"42" * 32)
    content = pdf(
        [catalogue, tree, lock], trailer=b"/Encrypt 3 0 R /ID [<%s><%s>]" % (b"61" * 16, b"61" * 16)
    )
    found = await looked(inspector, file, content)
    assert found.problem == "the document is protected by a password"


@pytest.mark.parametrize("make", [os.mkfifo, os.mkdir, lambda path: path.symlink_to(__file__)])
async def test_only_regular_files_are_opened(
    inspector: MediaInspector, file: Path, make: Callable[[Path], None]
) -> None:
    make(file)
    found = await inspector.inspect(file, declared="image/jpeg")
    assert found == Looked(mimetype=UNKNOWN, problem="it is not a regular file that can be opened")


@pytest.mark.parametrize("path", ["/nowhere/file", "/dev/zero", "/tmp/a\0b", "/tmp/" + "a" * 5000])
async def test_other_paths_are_a_problem(inspector: MediaInspector, path: str) -> None:
    found = await inspector.inspect(Path(path), declared="image/jpeg")
    assert found == Looked(mimetype=UNKNOWN, problem="it is not a regular file that can be opened")
