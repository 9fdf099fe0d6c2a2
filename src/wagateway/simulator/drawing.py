"""Pictures that the simulated WAHA answers with."""

import struct
import zlib

from wagateway.simulator.dice import digest

_SIDE = 21
_SQUARE = 8
_WHITE, _BLACK = b"\xff", b"\x00"


def code_picture(value: str) -> bytes:
    """Return a PNG of black and white squares, another one for each *value*.

    It is where a QR code would be, and is none: there is no phone that could read it.
    """
    bits = int.from_bytes(digest(_SIDE * _SIDE // 8 + 1, "squares", value))
    squares = [_BLACK if bits >> number & 1 else _WHITE for number in range(_SIDE * _SIDE)]
    lines = (squares[start : start + _SIDE] for start in range(0, len(squares), _SIDE))
    # Each line of pixels begins with its filter: none.
    pixels = b"".join((b"\x00" + b"".join(s * _SQUARE for s in line)) * _SQUARE for line in lines)
    width = _SIDE * _SQUARE
    header = struct.pack(">IIBBBBB", width, width, 8, 0, 0, 0, 0)  # 8 bits of grey
    chunks = ((b"IHDR", header), (b"IDAT", zlib.compress(pixels)), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(_chunk(name, data) for name, data in chunks)


def _chunk(name: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))
