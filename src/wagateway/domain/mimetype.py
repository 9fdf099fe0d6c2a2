"""Types of files: which text is one, and what a browser may show in place."""

import re

UNKNOWN = "application/octet-stream"
"""Says nothing of what is in a file."""

_LONGEST_CHARS = 255
_WORD = r"[a-z0-9][a-z0-9!#$&^_.+-]*"
_PARAMETER = r'[ \t]*;[ \t]*[a-z0-9_-]+=(?:[a-z0-9_.+-]+|"[a-z0-9 _.,+-]*")'
_MIMETYPE = re.compile(rf"{_WORD}/{_WORD}(?:{_PARAMETER})*", re.ASCII | re.IGNORECASE)

_SHOWN = frozenset(
    {
        *("image/jpeg", "image/png", "image/gif", "image/webp", "image/avif"),
        *("audio/ogg", "audio/opus", "audio/mpeg", "audio/mp4", "audio/x-m4a", "audio/aac"),
        *("audio/wav", "audio/x-wav", "audio/webm", "audio/flac", "audio/amr"),
        *("video/mp4", "video/webm", "video/ogg", "video/quicktime", "video/3gpp"),
    }
)


def essence(mimetype: str) -> str:
    """Return *mimetype* in lower case and without parameters: ``audio/ogg; codecs=opus``."""
    return mimetype.partition(";")[0].strip().lower()


def is_mimetype(text: str) -> bool:
    """Tell whether *text* is a type, perhaps with parameters, fit to be sent in a header."""
    return len(text) <= _LONGEST_CHARS and _MIMETYPE.fullmatch(text) is not None


def safe_mimetype(text: str) -> str:
    """Return *text* where it is a type, else one that says nothing."""
    return text if is_mimetype(text) else UNKNOWN


def is_shown_inline(mimetype: str) -> bool:
    """Tell whether a browser may show files of this type in place, as they cannot script.

    All others are for download alone. So is PDF: it carries JavaScript and links that the
    browser's viewer acts on, and the policy that would hold it back, ``sandbox``, keeps some
    viewers from showing it at all; its preview shows the first page.
    """
    return is_mimetype(mimetype) and essence(mimetype) in _SHOWN


def ending_of(mimetype: str) -> str | None:
    """Return the usual ending of a file name, such as ``jpg``; None where the table has none."""
    return _ENDINGS.get(essence(mimetype))


_ENDINGS = {
    "image/jpeg": "jpg",
    "image/png": "png",
    "image/gif": "gif",
    "image/webp": "webp",
    "image/avif": "avif",
    "image/heic": "heic",
    "image/bmp": "bmp",
    "image/tiff": "tif",
    "audio/ogg": "ogg",
    "audio/opus": "opus",
    "audio/mpeg": "mp3",
    "audio/mp4": "m4a",
    "audio/x-m4a": "m4a",
    "audio/aac": "aac",
    "audio/amr": "amr",
    "audio/flac": "flac",
    "audio/wav": "wav",
    "audio/x-wav": "wav",
    "audio/webm": "weba",
    "video/mp4": "mp4",
    "video/3gpp": "3gp",
    "video/quicktime": "mov",
    "video/webm": "webm",
    "video/ogg": "ogv",
    "application/pdf": "pdf",
    "application/zip": "zip",
    "application/json": "json",
    "application/msword": "doc",
    "application/vnd.ms-excel": "xls",
    "application/vnd.ms-powerpoint": "ppt",
    "application/vnd.openxmlformats-officedocument.wordprocessingml.document": "docx",
    "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet": "xlsx",
    "application/vnd.openxmlformats-officedocument.presentationml.presentation": "pptx",
    "application/vnd.oasis.opendocument.text": "odt",
    "application/vnd.oasis.opendocument.spreadsheet": "ods",
    "application/epub+zip": "epub",
    "text/plain": "txt",
    "text/csv": "csv",
    "text/vcard": "vcf",
    "text/x-vcard": "vcf",
    "text/calendar": "ics",
}
