"""What a file is by its first bytes: this contradicts what its sender declared, or lets it stand.

Signatures and their families are a table of our own, because what is common here must be told apart
surely: sounds and films share containers, office files are ZIP archives, and text has no signature.
What the table does not know is asked of puremagic, which may contradict and never names.
"""

import re
from collections.abc import Callable

import puremagic
from msgspec import Struct

from wagateway.domain.mimetype import UNKNOWN, essence, is_mimetype

HEAD_BYTES = 4096

_LEAST_SIGNATURE_BYTES = 4
"""Shorter signatures of puremagic's are found in files of any kind by chance."""

_TEXT_CONTROLS = b"\t\n\v\f\r\x1b"


class Content(Struct, frozen=True, kw_only=True):
    """A kind of content.

    Attributes:
        mimetype: its name where none was declared, or a wrong one.
        also: by which other names it may be declared.
        any_application: any type ``application/…`` may be such a file, unless it has a signature of
            its own or can script.
    """

    mimetype: str
    also: frozenset[str] = frozenset()
    any_application: bool = False


def _content(mimetype: str, *also: str, any_application: bool = False) -> Content:
    return Content(mimetype=mimetype, also=frozenset(also), any_application=any_application)


_JPEG = _content("image/jpeg", "image/jpg", "image/pjpeg")
_PNG = _content("image/png", "image/apng", "image/x-png")
_GIF = _content("image/gif")
_WEBP = _content("image/webp")
_AVIF = _content("image/avif", "image/avif-sequence", "image/heif")
_HEIC = _content("image/heic", "image/heif", "image/heic-sequence", "image/heif-sequence")
_PDF = _content("application/pdf", "application/x-pdf", "application/vnd.adobe.illustrator")
_M4A_NAMES = ("audio/mp4", "audio/x-m4a", "audio/m4a", "audio/aac", "audio/mp4a-latm")
_MP4_NAMES = (
    *("video/mp4", "application/mp4", "video/x-m4v", "video/quicktime", "video/3gpp"),
    *("video/3gpp2", "video/3gp", "audio/3gpp", "audio/3gpp2", *_M4A_NAMES),
)
_MP4 = _content("video/mp4", *_MP4_NAMES)
_M4A = _content("audio/mp4", *_MP4_NAMES)
_QUICKTIME = _content("video/quicktime", *_MP4_NAMES)
_3GPP = _content("video/3gpp", *_MP4_NAMES)
_EBML_NAMES = ("audio/webm", "video/webm", "video/x-matroska", "audio/x-matroska", "video/matroska")
_WEBM = _content("video/webm", *_EBML_NAMES)
_MATROSKA = _content("video/x-matroska", *_EBML_NAMES)
_OGG = _content("audio/ogg", "application/ogg", "video/ogg", "audio/opus", "audio/vorbis")
_MP3_NAMES = ("audio/mpeg", "audio/mp3", "audio/x-mp3", "audio/mpeg3", "audio/x-mpeg")
_MP3 = _content("audio/mpeg", *_MP3_NAMES)
_ID3 = _content("audio/mpeg", *_MP3_NAMES, "audio/aac", "audio/flac", "audio/wav")
_AAC = _content("audio/aac", "audio/aacp", "audio/x-aac", "audio/x-hx-aac-adts")
_AMR = _content("audio/amr", "audio/amr-wb", "audio/3gpp")
_WAV = _content("audio/wav", "audio/x-wav", "audio/wave", "audio/vnd.wave")
_FLAC = _content("audio/flac", "audio/x-flac")
_AVI = _content("video/x-msvideo", "video/avi", "video/msvideo")
_ZIP = _content("application/zip", any_application=True)
_OLE = _content("application/x-ole-storage", any_application=True)
_PROGRAM = _content("application/x-executable", any_application=True)
_SVG = _content("image/svg+xml")
_TEXTS = ("text/plain", "text/markdown", "text/csv")
_XML = _content("text/xml", "application/xml", "image/svg+xml", "application/xhtml+xml", *_TEXTS)
_HTML = _content("text/html", "application/xhtml+xml", *_TEXTS)
_SCRIPT = _content("text/javascript", any_application=True)
_TEXT = _content("text/plain", any_application=True)

_STARTS: tuple[tuple[bytes, Content], ...] = (
    (b"\xff\xd8\xff", _JPEG),
    (b"\x89PNG\r\n\x1a\n", _PNG),
    (b"GIF87a", _GIF),
    (b"GIF89a", _GIF),
    (b"%PDF-", _PDF),
    (b"OggS", _OGG),
    (b"ID3", _ID3),
    (b"#!AMR", _AMR),
    (b"fLaC", _FLAC),
    (b"PK\x03\x04", _ZIP),
    (b"PK\x05\x06", _ZIP),
    (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", _OLE),
    (b"\x7fELF", _PROGRAM),
    (b"\xca\xfe\xba\xbe", _PROGRAM),
    (b"\xcf\xfa\xed\xfe", _PROGRAM),
)
_RIFF = {b"WEBP": _WEBP, b"WAVE": _WAV, b"AVI ": _AVI}
_BOXES = frozenset({b"moov", b"mdat", b"free", b"skip", b"wide", b"pnot"})
_BRANDS: tuple[tuple[tuple[bytes, ...], Content], ...] = (
    ((b"avif", b"avis"), _AVIF),
    ((b"heic", b"heix", b"heim", b"heis", b"hevc", b"mif1", b"msf1"), _HEIC),
    ((b"M4A ", b"M4B "), _M4A),
    ((b"qt  ",), _QUICKTIME),
    ((b"3gp4", b"3gp5", b"3gp6", b"3gr6", b"3g2a"), _3GPP),
)
_MPEG_SOUND = re.compile(rb"\xff[\xe2-\xe5\xf2-\xf5\xfa-\xfd]")
_AAC_SOUND = re.compile(rb"\xff[\xf0\xf1\xf8\xf9]")

_MARKUP = re.compile(
    r"<(?:!doctype\s+html|!--|(?:html|head|body|script|iframe|style|title|meta|link|table|div|font|img|"
    r"h[1-6]|form|input|object|embed|center|span|pre|br|p|a|b)(?=[\s/>]))",
    re.IGNORECASE,
)
_SVG_START = re.compile(r"<(?:!doctype\s+svg|(?:[\w-]+:)?svg(?=[\s/>]))", re.IGNORECASE)
_XML_START = re.compile(r"<(?:\?xml|[a-z_][\w.-]*(?::[\w.-]+)?[\s/>]|![a-z])", re.IGNORECASE)
_BEFORE_MARKUP = re.compile(r"(?:\s|<!--(?:(?!-->).)*+-->|<\?xml[^>]*+>)++", re.DOTALL)
_SCRIPT_START = re.compile(
    r"(?:/\*(?:(?!\*/).)*+\*/|//[^\n]*+\n|\s)*+"
    r"(?:(?:var|let|const|function|async|import|export|class)[\s({*]|[(!]\s*(?:async\s*)?"
    r"(?:function\b|\(\w*\)\s*=>)|[\"']use strict|(?:window|document|self|globalThis|location)\b|"
    r"(?:alert|eval|fetch|require)\s*\()",
    re.DOTALL,
)

_SIGNED = frozenset(
    name
    for each in (
        *(_JPEG, _PNG, _GIF, _WEBP, _AVIF, _HEIC, _PDF, _MP4, _WEBM, _OGG, _AMR, _WAV, _FLAC, _AVI),
    )
    for name in (each.mimetype, *each.also)
) | {"application/zip"}
"""Types of which every file bears a signature of the table; MP3 may begin with anything."""

_WRITTEN = frozenset({"application/javascript", "application/json", "application/ecmascript"})
_CAN_SCRIPT = frozenset(
    {
        *("text/html", "text/javascript", "text/ecmascript", "text/xml", "text/xsl"),
        *("application/xhtml+xml", "application/xml", "application/javascript"),
        *("application/x-javascript", "application/ecmascript"),
        "image/svg+xml",
    }
)


def true_type(head: bytes, declared: str | None) -> str:
    """Return what a file is.

    Args:
        head: its first `HEAD_BYTES`, or all of it.
        declared: its type as the sender named it, in any shape.

    Returns:
        *declared* with its parameters, unless it is no type, or says nothing, or *head* contradicts
        it; then the name of what is found.
    """
    found = content(head)
    name = essence(declared) if declared and is_mimetype(declared) else UNKNOWN
    if declared is None or name in {UNKNOWN, "binary/octet-stream"}:
        return found.mimetype if found else UNKNOWN
    if found is not None:
        return declared if _may_be_called(found, name) else found.mimetype
    if name in _SIGNED or _is_written(name) or _contradicts(head, name):
        return UNKNOWN
    return declared


def content(head: bytes) -> Content | None:
    """Return what *head* begins, None where the table does not know it."""
    for look in (_by_signature, _by_box, _by_text):
        if found := look(head):
            return found
    return None


def _may_be_called(found: Content, name: str) -> bool:
    if name == found.mimetype or name in found.also:
        return True
    if found is _TEXT or found is _SCRIPT:
        return _is_written(name) or (name.startswith("application/") and name not in _SIGNED)
    is_application = name.startswith("application/")
    return found.any_application and is_application and name not in _SIGNED | _CAN_SCRIPT


def _is_written(name: str) -> bool:
    """Tell whether files of this type are text."""
    return name.startswith("text/") or name in _CAN_SCRIPT | _WRITTEN or name.endswith("+xml")


def _by_signature(head: bytes) -> Content | None:
    if head.startswith(b"MZ") and b"\0" in head:  # two letters begin many a text
        return _PROGRAM
    for start, found in _STARTS:
        if head.startswith(start):
            return found
    if head.startswith(b"RIFF"):
        return _RIFF.get(head[8:12])
    if head.startswith(b"\x1aE\xdf\xa3"):
        return _WEBM if b"webm" in head[:64] else _MATROSKA
    if _MPEG_SOUND.match(head):
        return _MP3
    return _AAC if _AAC_SOUND.match(head) else None


def _by_box(head: bytes) -> Content | None:
    """Look for the first box of an MP4 file or of its many relatives."""
    kind = head[4:8]
    if _text(head) is not None:  # the free word of a letter
        return None
    if kind in _BOXES:
        return _MP4
    if kind != b"ftyp":
        return None
    length = min(int.from_bytes(head[:4], "big"), 256)
    brands = {head[8:12], *(head[at : at + 4] for at in range(16, length, 4))}
    major = next((found for names, found in _BRANDS if head[8:12] in names), None)
    if major is not None and major is not _HEIC:
        return major
    is_avif = not brands.isdisjoint((b"avif", b"avis"))
    return _AVIF if is_avif else major or _MP4


def _by_text(head: bytes) -> Content | None:
    text = _text(head)
    if text is None:
        return None
    # Behind other text, markup is text: a browser that was told the type would not run it either.
    begun = _BEFORE_MARKUP.match(text)
    rest: str = text[begun.end() :] if begun else text
    looks: tuple[tuple[Callable[[str], object], Content], ...] = (
        (_SVG_START.match, _SVG),
        (_MARKUP.match, _HTML),
        (_XML_START.match, _SVG if re.search(r"<(?:[\w-]+:)?svg[\s>]", rest) else _XML),
        (_SCRIPT_START.match, _SCRIPT),
    )
    found = next((found for matches, found in looks if matches(rest)), None)
    if found is None and begun and "<" in begun.group():
        return _XML if "<?xml" in begun.group() else _HTML
    return found or _TEXT


def _text(head: bytes) -> str | None:
    """Return *head* as text, None where it is none."""
    if head.startswith((b"\xff\xfe", b"\xfe\xff")):
        return head.decode("utf-16", errors="replace")
    is_binary = any(byte < ord(" ") and byte not in _TEXT_CONTROLS for byte in head)
    return None if is_binary or not head else head.decode("utf-8-sig", errors="replace")


def _contradicts(head: bytes, name: str) -> bool:
    """Tell whether puremagic knows *head*, and knows it by no type like *name*."""
    if not head:
        return True
    try:
        found = puremagic.magic_string(head)
    except puremagic.PureError:
        return False
    sure = {
        each.mime_type for each in found if len(each.byte_match or b"") >= _LEAST_SIGNATURE_BYTES
    }
    sure.discard("")
    major = name.partition("/")[0]
    if major == "application":
        return False  # it is of no use to tell these apart: none is shown in place
    return bool(sure) and not any(each.startswith(f"{major}/") for each in sure)
