"""How a file's name, as strangers told it, is told to a browser."""

import re
from urllib.parse import quote

MAX_NAME_CHARS = 200

_SEPARATORS = re.compile(r"[/\\]")
_ASCII_TROUBLE = re.compile(r'["\\%]|[^ -~]')
_UNSEEN = re.compile(
    "[\x00-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff\ud800-\udfff]"
)
"""Control characters, those that turn the direction of writing, and lone surrogates."""


def content_disposition(filename: str | None, *, inline: bool) -> str:
    """Return the header of this name, for old programs and new. Source: RFC 6266.

    Args:
        filename: may hold anything; what would leave a folder, be unseen or end the header is
            taken out or replaced, and from a long one its beginning.
        inline: shown where the browser can, else saved.
    """
    kind = "inline" if inline else "attachment"
    name = safe_filename(filename or "")
    if not name:
        return kind
    plain = _ASCII_TROUBLE.sub("_", name)
    return f"{kind}; filename=\"{plain}\"; filename*=UTF-8''{quote(name, safe='')}"


def safe_filename(filename: str) -> str:
    """Return *filename* as one name of a file; empty where nothing is left of it."""
    name = _UNSEEN.sub("", _SEPARATORS.sub("_", filename)).strip(" .")
    if len(name) <= MAX_NAME_CHARS:
        return name
    stem, dot, ending = name.rpartition(".")
    if not dot or len(ending) > MAX_NAME_CHARS // 10:
        return name[:MAX_NAME_CHARS]
    return stem[: MAX_NAME_CHARS - len(ending) - 1] + dot + ending
