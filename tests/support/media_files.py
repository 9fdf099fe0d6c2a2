"""Files that people send, and files that are sent to do harm; all made here."""

import io
import shutil
import struct
import subprocess
import zlib
from collections.abc import Iterable
from pathlib import Path

from PIL import Image

HAS_FFMPEG = shutil.which("ffmpeg") is not None and shutil.which("ffprobe") is not None


def picture(width: int, height: int, *, noisy: bool = False) -> Image.Image:
    """Return an invented picture, with every colour in it, whose upper left quarter is red."""
    image = Image.linear_gradient("L").resize((width, height)).convert("RGB")
    if noisy:
        image = Image.effect_noise((width, height), 60).convert("RGB")
    image.paste((255, 0, 0), (0, 0, width // 2, height // 2))
    return image


def encoded(image: Image.Image, format_: str, **options: object) -> bytes:
    target = io.BytesIO()
    image.save(target, format_, **options)
    return target.getvalue()


def turned(image: Image.Image, orientation: int) -> bytes:
    """Return a JPEG whose points are to be turned before they are shown."""
    exif = Image.Exif()
    exif[0x0112] = orientation
    return encoded(image, "JPEG", exif=exif)


def animation(format_: str) -> bytes:
    """Return 40 by 30 pixels, red at first, then blue."""
    frames = [Image.new("RGB", (40, 30), colour) for colour in ("red", "blue")]
    return encoded(frames[0], format_, save_all=True, append_images=frames[1:], duration=100)


def png(width: int, height: int, rows: bytes) -> bytes:
    """Return a PNG of one bit per pixel that says it is this large, with these compressed rows."""
    header = struct.pack(">IIBBBBB", width, height, 1, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
        for kind, body in ((b"IHDR", header), (b"IDAT", rows), (b"IEND", b""))
    )


def bomb_png(side: int) -> bytes:
    """Return a picture of *side* by *side* pixels, all black: all of it, in very few bytes."""
    packer = zlib.compressobj(9)
    row = bytes(1 + (side + 7) // 8)
    rows = b"".join(packer.compress(row) for _ in range(side)) + packer.flush()
    return png(side, side, rows)


def gif(screen: tuple[int, int], frame: tuple[int, int]) -> bytes:
    """Return a GIF that says it is as large as *screen*, with one frame as large as *frame*."""
    header = b"GIF89a" + struct.pack("<HHBBB", *screen, 0x80, 0, 0) + bytes(6)
    return header + b"," + struct.pack("<HHHHB", 0, 0, *frame, 0) + b"\2\2\x4c\1\0;"


def pdf(objects: Iterable[bytes], *, trailer: bytes = b"") -> bytes:
    """Return a PDF of these objects, numbered from 1; the first is its catalogue."""
    body, places = b"%PDF-1.7\n", []
    for number, content in enumerate(objects, 1):
        places.append(len(body))
        body += b"%d 0 obj\n%s\nendobj\n" % (number, content)
    table = b"xref\n0 %d\n0000000000 65535 f \n" % (len(places) + 1)
    table += b"".join(b"%010d 00000 n \n" % place for place in places)
    end = b"trailer\n<</Size %d /Root 1 0 R %s>>\n" % (len(places) + 1, trailer)
    return body + table + end + b"startxref\n%d\n%%%%EOF" % len(body)


def pages(count: int, *, claimed: int | None = None, size: bytes = b"600 800") -> bytes:
    """Return a PDF of *count* pages that says it has *claimed*, each half red."""
    kids = b" ".join(b"%d 0 R" % (4 + at) for at in range(count))
    told = count if claimed is None else claimed
    page = b"<</Type /Page /Parent 2 0 R /MediaBox [0 0 %s] /Contents 3 0 R>>" % size
    drawing = b"1 0 0 rg 0 0 300 800 re f"
    return pdf(
        [
            b"<</Type /Catalog /Pages 2 0 R>>",
            b"<</Type /Pages /Kids [%s] /Count %d>>" % (kids, told),
            b"<</Length %d>>\nstream\n%s\nendstream" % (len(drawing), drawing),
            *(page for _ in range(count)),
        ]
    )


def scripted_pdf() -> bytes:
    """Return a PDF of one page that runs JavaScript and starts a program when it is opened."""
    return pdf(
        [
            b"<</Type /Catalog /Pages 2 0 R /OpenAction 4 0 R /AA <</O 5 0 R>>>>",
            b"<</Type /Pages /Kids [3 0 R] /Count 1>>",
            b"<</Type /Page /Parent 2 0 R /MediaBox [0 0 600 800]>>",
            b"<</S /JavaScript /JS (app.alert\\(1\\); while \\(true\\) {})>>",
            b"<</S /Launch /F (/bin/sh)>>",
        ]
    )


def cyclic_pdf() -> bytes:
    """Return a PDF whose tree of pages is its own branch."""
    return pdf(
        [
            b"<</Type /Catalog /Pages 2 0 R>>",
            b"<</Type /Pages /Kids [3 0 R] /Count 5 /Parent 3 0 R>>",
            b"<</Type /Pages /Kids [2 0 R] /Count 5 /Parent 2 0 R>>",
        ]
    )


def recorded(folder: Path, name: str, *options: str) -> bytes:
    """Return what ffmpeg makes of *options*, as a file of this *name*."""
    target = folder / name
    subprocess.run(["ffmpeg", "-v", "error", "-nostdin", *options, str(target)], check=True)
    return target.read_bytes()


SOUND = ("-f", "lavfi", "-i", "sine=duration=2")
FILM = ("-f", "lavfi", "-i", "color=red:size=320x240:rate=10:duration=2", "-pix_fmt", "yuv420p")
