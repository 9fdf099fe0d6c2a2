"""Pictures, made by hand: two bands of colour each, as JPEG, PNG or WebP.

Source: ITU T.81 (JPEG), RFC 2083 (PNG), RFC 9649 (WebP and its lossless format).
"""

import struct
import zlib

Colour = tuple[int, int, int]
"""Three numbers from 16 to 235: YCbCr in JPEG, else RGB."""
Size = tuple[int, int]
"""Width and height in pixels."""

_MIDDLE = 128
_UNITS = 8
_LONGEST_COMMENT = 65_533
_CATEGORIES = bytes(range(9))
_DC_CODE_BITS = 5


def jpeg(size: Size, top: Colour, bottom: Colour, filler: bytes = b"") -> bytes:
    """Return a baseline JPEG; *filler* is in comments of it."""
    width, height = size
    frame = struct.pack(">BHHB", 8, height, width, 3) + bytes((1, 17, 0, 2, 17, 0, 3, 17, 0))
    # Differences of 0 have the code 0; of the categories 1 to 8, 10000 to 10111.
    dc = bytes((0, 1, 0, 0, 0, 8, *([0] * 11))) + _CATEGORIES
    ac = bytes((16, 1, *([0] * 15))) + b"\0"  # nothing but the end of a block
    tables = [
        _segment(0xE0, b"JFIF\0\1\1\0\0\1\0\1\0\0"),
        *(_segment(0xFE, part) for part in _cut(filler, _LONGEST_COMMENT)),
        _segment(0xDB, b"\0" + b"\x08" * 64),
        _segment(0xC0, frame),
        _segment(0xC4, dc),
        _segment(0xC4, ac),
        _segment(0xDA, bytes((3, 1, 0, 2, 0, 3, 0, 0, 63, 0))),
    ]
    across, down = -(-width // _UNITS), -(-height // _UNITS)
    upper = across * (down // 2)
    bits = _band(top, (_MIDDLE,) * 3, upper) + _band(
        bottom, top if upper else (_MIDDLE,) * 3, across * down - upper
    )
    scan = _packed(bits, "1").replace(b"\xff", b"\xff\0")
    return b"\xff\xd8" + b"".join(tables) + scan + b"\xff\xd9"


def png(size: Size, top: Colour, bottom: Colour, filler: bytes = b"") -> bytes:
    """Return a PNG; *filler* is in a private chunk."""
    width, height = size
    rows = [b"\0" + bytes(top if y < height // 2 else bottom) * width for y in range(height)]
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        _png_chunk(name, data)
        for name, data in (
            (b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)),
            (b"fiLr", filler),
            (b"IDAT", zlib.compress(b"".join(rows), 9)),
            (b"IEND", b""),
        )
    )


def webp(size: Size, frames: tuple[Colour, ...], filler: bytes = b"") -> bytes:
    """Return a WebP of a frame per colour, which moves if there are several."""
    moves = len(frames) > 1
    flags = 0x12 if moves else 0x10
    width, height = size
    extent = (width - 1).to_bytes(3, "little") + (height - 1).to_bytes(3, "little")
    chunks = [_riff(b"VP8X", bytes((flags, 0, 0, 0)) + extent)]
    pictures = [_riff(b"VP8L", _lossless(width, height, colour)) for colour in frames]
    if moves:
        chunks.append(_riff(b"ANIM", bytes(6)))
        lasts = (100).to_bytes(3, "little") + b"\0"
        chunks += [_riff(b"ANMF", bytes(6) + extent + lasts + each) for each in pictures]
    else:
        chunks += pictures
    chunks.append(_riff(b"fiLr", filler))
    return _riff(b"RIFF", b"WEBP" + b"".join(chunks))


def _band(colour: Colour, before: tuple[int, ...], units: int) -> str:
    """Return the bits of *units* blocks of one colour, which follow others."""
    if not units:
        return ""
    first = "".join(_difference(now - then) + "0" for now, then in zip(colour, before, strict=True))
    return first + "000000" * (units - 1)


def _difference(value: int) -> str:
    if not value:
        return "0"
    length = abs(value).bit_length()
    shown = value if value > 0 else value + (1 << length) - 1
    return f"{0b10000 + length - 1:0{_DC_CODE_BITS}b}{shown:0{length}b}"


def _packed(bits: str, padding: str) -> bytes:
    bits += padding * (-len(bits) % 8)
    return int(bits, 2).to_bytes(len(bits) // 8)


def _segment(marker: int, data: bytes) -> bytes:
    return struct.pack(">BBH", 0xFF, marker, len(data) + 2) + data


def _cut(data: bytes, size: int) -> list[bytes]:
    return [data[start : start + size] for start in range(0, len(data), size)]


def _png_chunk(name: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))


def _riff(name: bytes, data: bytes) -> bytes:
    return name + struct.pack("<I", len(data)) + data + b"\0" * (len(data) % 2)


def _lossless(width: int, height: int, colour: Colour) -> bytes:
    """Return a VP8L picture, in which each channel has one value and so needs no bits."""
    red, green, blue = colour
    fields = [(0x2F, 8), (width - 1, 14), (height - 1, 14), (1, 1), (0, 3)]
    fields += [(0, 1), (0, 1), (0, 1)]  # no transforms, no cache of colours, one set of codes
    for value in (green, red, blue, 255):
        fields += [(1, 1), (0, 1), (1, 1), (value, 8)]
    fields += [(1, 1), (0, 1), (0, 1), (0, 1)]  # no distances
    number = place = 0
    for value, bits in fields:
        number |= value << place
        place += bits
    return number.to_bytes(-(-place // 8), "little")
