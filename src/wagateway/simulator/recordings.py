"""Sound and films, made by hand: silence, and one colour.

Source: RFC 3533 and RFC 7845 (Ogg, Opus), ISO 11172-3 (MP3), ISO 14496-3, -10, -12 (AAC, H.264,
MP4).
"""

import struct
import zlib

from wagateway.simulator.pictures import Colour, Size

_OPUS_SILENCE = b"\xf8\xff\xfe"
_OPUS_PACKETS_PER_S = 50
_OPUS_SAMPLES = 960
_OPUS_RATE = 48_000
_MIRROR = bytes(int(f"{byte:08b}"[::-1], 2) for byte in range(256))
_LACED = 255
_MP3_FRAME = b"\xff\xf3\x10\xc0" + bytes(22)
"""MPEG-2, layer III, 8 kbit/s, 22,050 Hz, mono; all of it silence."""
_MP3_FRAMES_PER_S = 22_050 / 576
_AAC_SILENCE = b"\x00\xc8\x00\x80\x23\x80"
_AAC_RATE, _AAC_SAMPLES = 16_000, 1024
_FRAMES_PER_S = 2
_MATRIX = struct.pack(">9i", 0x10000, 0, 0, 0, 0x10000, 0, 0, 0, 0x40000000)
_MACROBLOCK = 16


def ogg(seconds: int, serial: int, filler: bytes) -> bytes:
    """Return a voice note in Opus; *filler* is in its tags, as hex digits."""
    note = b"FILLER=" + filler.hex().encode()
    tags = b"OpusTags" + _counted(b"wagateway") + struct.pack("<I", 1) + _counted(note)
    head = b"OpusHead" + struct.pack("<BBHIhB", 1, 1, 0, _OPUS_RATE, 0, 0)
    pages = [*_pages(head, serial, 0, first=True), *_pages(tags, serial, 1)]
    for second in range(1, seconds + 1):
        packets = [_OPUS_SILENCE] * _OPUS_PACKETS_PER_S
        pages.append(
            _page(
                b"".join(packets),
                bytes(map(len, packets)),
                granule=second * _OPUS_PACKETS_PER_S * _OPUS_SAMPLES,
                serial=serial,
                number=len(pages),
                flags=4 if second == seconds else 0,
            )
        )
    return b"".join(pages)


def mp3(seconds: int, filler: bytes) -> bytes:
    """Return an MP3; *filler* is in a private tag of it."""
    private = b"filler\0" + filler
    frame = b"PRIV" + struct.pack(">IH", len(private), 0) + private
    size = bytes(len(frame) >> shift & 127 for shift in (21, 14, 7, 0))
    return b"ID3\3\0\0" + size + frame + _MP3_FRAME * round(seconds * _MP3_FRAMES_PER_S)


def m4a(seconds: int, filler_bytes: int) -> bytes:
    """Return an MP4 of sound, all but the *filler_bytes* bytes of anything at its end."""
    count = -(-seconds * _AAC_RATE // _AAC_SAMPLES)
    config = b"\x05\x02\x14\x08"
    decoder = b"\x04" + bytes((13 + len(config), 64, 21)) + bytes(11) + config
    stream = b"\x03" + bytes((3 + len(decoder) + 3, 0, 0, 0)) + decoder + b"\x06\x01\x02"
    entry = bytes(6) + struct.pack(">H8xHHIH2x", 1, 1, 16, 0, _AAC_RATE)
    track = _Track(
        entry=_box(b"mp4a", entry, _full(b"esds", stream)),
        handler=b"soun",
        header=_full(b"smhd", bytes(4)),
        rate=_AAC_RATE,
        each=_AAC_SAMPLES,
        samples=[_AAC_SILENCE] * count,
    )
    return track.file(b"M4A ", filler_bytes)


def mp4(size: Size, seconds: int, colour: Colour, filler_bytes: int) -> bytes:
    """Return a film of one colour, all but the *filler_bytes* bytes of anything at its end.

    Args:
        size: even numbers.
        seconds: how long it is, 1 or more.
        colour: of all of it, YCbCr.
        filler_bytes: how much is still to come.
    """
    width, height = size
    sequence, picture = _sequence(width, height), b"\x68" + _settings()
    config = b"\x01" + sequence[1:4] + b"\xff\xe1" + struct.pack(">H", len(sequence)) + sequence
    config += b"\x01" + struct.pack(">H", len(picture)) + picture
    entry = bytes(6) + struct.pack(
        ">H16xHHIIIH32xHh", 1, width, height, 72 << 16, 72 << 16, 0, 1, 24, -1
    )
    across, down = -(-width // _MACROBLOCK), -(-height // _MACROBLOCK)
    frames = [_first_frame(across, down, colour)]
    frames += [_same_frame(across * down, number) for number in range(1, seconds * _FRAMES_PER_S)]
    track = _Track(
        entry=_box(b"avc1", entry, _box(b"avcC", config)),
        handler=b"vide",
        header=_box(b"vmhd", struct.pack(">I8x", 1)),
        rate=1000,
        each=1000 // _FRAMES_PER_S,
        samples=[struct.pack(">I", len(frame)) + frame for frame in frames],
        width=width,
        height=height,
    )
    return track.file(b"mp42", filler_bytes)


class _Track:
    """An MP4 with one track; *each* sample lasts so many of *rate* units per second."""

    def __init__(
        self,
        *,
        entry: bytes,
        handler: bytes,
        header: bytes,
        rate: int,
        each: int,
        samples: list[bytes],
        width: int = 0,
        height: int = 0,
    ) -> None:
        self._entry, self._handler, self._header = entry, handler, header
        self._rate, self._each, self._samples = rate, each, samples
        self._width, self._height = width, height
        self._length = each * len(samples)

    def file(self, brand: bytes, filler_bytes: int) -> bytes:
        kind = _box(b"ftyp", brand + struct.pack(">I", 0) + brand + b"isom")
        data = b"".join(self._samples)
        before = len(kind) + len(self._movie(0)) + 8
        whole = struct.pack(">I", 8 + len(data) + filler_bytes) + b"mdat"
        return kind + self._movie(before) + whole + data

    def _movie(self, place: int) -> bytes:
        shown_ms = self._length * 1000 // self._rate
        movie = struct.pack(">8xIIIH10x", 1000, shown_ms, 0x10000, 0x100) + _MATRIX
        sound = 0x100 if self._handler == b"soun" else 0
        track = struct.pack(">8xI4xI8xHHH2x", 1, shown_ms, 0, 0, sound) + _MATRIX
        track += struct.pack(">II", self._width << 16, self._height << 16)
        media = _box(
            b"mdia",
            _full(b"mdhd", struct.pack(">8xIIHH", self._rate, self._length, 0x55C4, 0)),
            _full(b"hdlr", bytes(4) + self._handler + bytes(12) + b"\0"),
            _box(b"minf", self._header, _references(), self._table(place)),
        )
        return _box(
            b"moov",
            _full(b"mvhd", movie + bytes(24) + struct.pack(">I", 2)),
            _box(b"trak", _full(b"tkhd", track, flags=3), media),
        )

    def _table(self, place: int) -> bytes:
        count = len(self._samples)
        sizes = b"".join(struct.pack(">I", len(each)) for each in self._samples)
        return _box(
            b"stbl",
            _full(b"stsd", struct.pack(">I", 1) + self._entry),
            _full(b"stts", struct.pack(">III", 1, count, self._each)),
            *([_full(b"stss", struct.pack(">II", 1, 1))] if self._handler == b"vide" else ()),
            _full(b"stsc", struct.pack(">IIII", 1, 1, count, 1)),
            _full(b"stsz", struct.pack(">II", 0, count) + sizes),
            _full(b"stco", struct.pack(">II", 1, place)),
        )


def _references() -> bytes:
    here = _full(b"url ", b"", flags=1)
    return _box(b"dinf", _full(b"dref", struct.pack(">I", 1) + here))


def _box(name: bytes, *parts: bytes) -> bytes:
    data = b"".join(parts)
    return struct.pack(">I", len(data) + 8) + name + data


def _full(name: bytes, data: bytes, *, flags: int = 0) -> bytes:
    return _box(name, struct.pack(">I", flags), data)


def _number(value: int) -> str:
    """Return an unsigned number in the variable length of H.264: ue(v)."""
    plain = f"{value + 1:b}"
    return "0" * (len(plain) - 1) + plain


def _raw(bits: str) -> bytes:
    """Return *bits*, the stop bit and what fills the last byte."""
    bits += "1"
    bits += "0" * (-len(bits) % 8)
    return int(bits, 2).to_bytes(len(bits) // 8)


def _nal(kind: int, raw: bytes) -> bytes:
    """Return a unit of H.264: after two zeros a small byte is marked."""
    found, zeros = bytearray((kind,)), 0
    for byte in raw:
        if zeros >= 2 and byte <= 3:  # noqa: PLR2004 - the rule
            found.append(3)
            zeros = 0
        found.append(byte)
        zeros = 0 if byte else zeros + 1
    return bytes(found)


def _sequence(width: int, height: int) -> bytes:
    """Return the sequence parameters: baseline, no reordering."""
    across, down = -(-width // _MACROBLOCK), -(-height // _MACROBLOCK)
    right, below = (across * _MACROBLOCK - width) // 2, (down * _MACROBLOCK - height) // 2
    cropped = (
        f"1{_number(0)}{_number(right)}{_number(0)}{_number(below)}" if right or below else "0"
    )
    bits = "010000101100000000011111"
    bits += _number(0) + _number(0) + _number(2) + _number(1) + "0"
    bits += _number(across - 1) + _number(down - 1) + "11" + cropped + "0"
    return _nal(0x67, _raw(bits))


def _settings() -> bytes:
    """Return the picture parameters, without the kind: deblocking can be switched off."""
    bits = _number(0) * 2 + "00" + _number(0) * 3 + "000" + _number(0) * 3 + "100"
    return _raw(bits)


def _first_frame(across: int, down: int, colour: Colour) -> bytes:
    """Return a frame whose first block is given and whose others are like their neighbours."""
    luma, blue, red = colour
    bits = (
        _number(0) + _number(7) + _number(0) + "0000" + _number(0) + "00" + _number(0) + _number(1)
    )
    bits += _number(25)
    bits += "0" * (-len(bits) % 8)
    given = bytes((luma,)) * 256 + bytes((blue,)) * 64 + bytes((red,)) * 64
    bits += f"{int.from_bytes(given):0{len(given) * 8}b}"
    # Predicted as flat, nothing added; beside the given block the empty rest has another code.
    for number in range(1, across * down):
        bits += "0010011" + ("000011" if number in {1, across} else "1")
    return _nal(0x65, _raw(bits))


def _same_frame(blocks: int, number: int) -> bytes:
    """Return a frame like the one before."""
    bits = (
        _number(0)
        + _number(5)
        + _number(0)
        + f"{number % 16:04b}"
        + "000"
        + _number(0)
        + _number(1)
    )
    return _nal(0x41, _raw(bits + _number(blocks)))


def _counted(data: bytes) -> bytes:
    return struct.pack("<I", len(data)) + data


def _pages(packet: bytes, serial: int, number: int, *, first: bool = False) -> list[bytes]:
    """Return the pages of one long packet."""
    lacing = bytes([_LACED] * (len(packet) // _LACED)) + bytes((len(packet) % _LACED,))
    pages: list[bytes] = []
    for start in range(0, len(lacing), _LACED):
        sizes = lacing[start : start + _LACED]
        part = packet[start * _LACED : start * _LACED + sum(sizes)]
        flags = 2 if first else int(start > 0)
        ends = start + _LACED >= len(lacing)
        pages.append(
            _page(
                part,
                sizes,
                granule=0 if ends else -1,
                serial=serial,
                number=number + len(pages),
                flags=flags,
            )
        )
    return pages


def _page(
    data: bytes, sizes: bytes, *, granule: int, serial: int, number: int, flags: int
) -> bytes:
    fields = struct.pack("<4sBBqII", b"OggS", 0, flags, granule, serial, number)
    lacing = bytes((len(sizes),)) + sizes
    check = _checksum(fields + bytes(4) + lacing + data)
    return fields + struct.pack("<I", check) + lacing + data


def _checksum(data: bytes) -> int:
    """Return Ogg's CRC: the one of ZIP with all bits in the other order, and nothing inverted."""
    mirrored = zlib.crc32(data.translate(_MIRROR), 0xFFFFFFFF) ^ 0xFFFFFFFF
    return int(f"{mirrored:032b}"[::-1], 2)
