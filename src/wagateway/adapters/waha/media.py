"""Files: what the sender said of them, their previews, and where the engine says they are."""

import base64
import binascii
from datetime import datetime

from wagateway.adapters.waha.fields import INT64, Obj, flag, fold, obj, real, text, whole
from wagateway.domain.messages import MediaFacts, MediaOffer
from wagateway.domain.previews import LARGEST_PREVIEW_BYTES, fit_preview

_SHA256_BYTES = 32
_SHA256_HEX_CHARS = 64
_MAX_BASE64_CHARS = 100
_MAX_PREVIEW_CHARS = (LARGEST_PREVIEW_BYTES + 2) // 3 * 4
_MAX_ERROR_CHARS = 300
_MAX_DURATION_S = 10**9


def sha256_hex(value: object) -> str | None:
    """Return a SHA-256 in lower-case hex, None unless it has 32 bytes.

    Args:
        value: base64 or hex text, an array of bytes, ``{"type": "Buffer", "data": …}``, or an
            object from index to byte.
    """
    if isinstance(value, dict):
        value = value["data"] if "data" in value else _indexed(value, _SHA256_BYTES)
    if isinstance(value, str):
        return _hash_of_text(value)
    if not isinstance(value, list) or len(value) != _SHA256_BYTES:
        return None
    octets = [octet for item in value if (octet := whole(item, limit=255)) is not None]
    return bytes(octets).hex() if len(octets) == _SHA256_BYTES else None


def _indexed(value: Obj, size: int) -> list[object]:
    if len(value) != size:
        return []
    return [value.get(str(index)) for index in range(size)]


def _hash_of_text(value: str) -> str | None:
    if len(value) > _MAX_BASE64_CHARS or not value.isascii():
        return None
    try:
        if len(value) == _SHA256_HEX_CHARS:
            return bytes.fromhex(value).hex()
        octets = base64.b64decode(value.replace("-", "+").replace("_", "/"))
    except (ValueError, binascii.Error):
        return None
    return octets.hex() if len(octets) == _SHA256_BYTES else None


def preview(value: object) -> bytes | None:
    """Return the tiny picture that an engine's data carries, None unless it is one.

    Args:
        value: base64, an array of bytes, ``{"type": "Buffer", "data": …}`` with either, or an
            object from index to byte.
    """
    if isinstance(value, dict) and len(value) <= LARGEST_PREVIEW_BYTES:
        value = value["data"] if "data" in value else _indexed(value, len(value))
    try:
        if isinstance(value, str) and len(value) <= _MAX_PREVIEW_CHARS:
            return fit_preview(base64.b64decode(value, validate=True))
        if isinstance(value, list) and len(value) <= LARGEST_PREVIEW_BYTES:
            return fit_preview(bytes(value))
    except (TypeError, ValueError):  # neither base64 nor bytes
        return None
    return None


def proto_preview(node: Obj) -> bytes | None:
    """Read the preview of a media node of NOWEB or GOWS, its keys in lower case."""
    return preview(node.get("jpegthumbnail")) or preview(node.get("pngthumbnail"))


def proto_facts(node: Obj) -> MediaFacts:
    """Read a media node of NOWEB or GOWS, its keys in lower case."""
    return MediaFacts(
        mimetype=text(node.get("mimetype")),
        filename=text(node.get("filename")) or text(node.get("title")),
        size_bytes=whole(node.get("filelength"), limit=INT64),
        sha256=sha256_hex(node.get("filesha256")),
        width=whole(node.get("width")),
        height=whole(node.get("height")),
        duration_s=real(node.get("seconds"), low=0, high=_MAX_DURATION_S),
        pages=whole(node.get("pagecount")),
        animated=flag(node.get("isanimated")),
    )


def browser_facts(data: Obj) -> MediaFacts:
    """Read the media fields of WhatsApp Web's message."""
    return MediaFacts(
        mimetype=text(data.get("mimetype")),
        filename=text(data.get("filename")),
        size_bytes=whole(data.get("size"), limit=INT64),
        sha256=sha256_hex(data.get("filehash")),
        width=whole(data.get("width")),
        height=whole(data.get("height")),
        duration_s=real(data.get("duration"), low=0, high=_MAX_DURATION_S),
        pages=whole(data.get("pageCount")),
        animated=flag(data.get("isAnimated")),
    )


def facts(payload: Obj, told: MediaFacts | None) -> MediaFacts | None:
    """Return the facts of the payload's file, None when no file belongs to it.

    Args:
        payload: ``media.mimetype`` and ``media.filename`` come before the engine data's.
        told: what the engine's data says, None when it speaks of no file.
    """
    media = payload.get("media")
    if told is None and not isinstance(media, dict) and not flag(payload.get("hasMedia")):
        return None
    told = told or MediaFacts()
    named = obj(media)
    return MediaFacts(
        mimetype=text(named.get("mimetype")) or told.mimetype,
        filename=text(named.get("filename")) or told.filename,
        size_bytes=told.size_bytes,
        sha256=told.sha256,
        width=told.width,
        height=told.height,
        duration_s=told.duration_s,
        pages=told.pages,
        animated=told.animated,
    )


def offer(payload: Obj, *, at: datetime) -> MediaOffer | None:
    """Return where the payload's file can be had or why not, None when nothing is said."""
    media = obj(payload.get("media"))
    # Without media, mediaUrl is what old versions have; beside it, WPP's is of the encrypted file.
    url = text(media.get("url")) if media else text(payload.get("mediaUrl"))
    error = _reason(media.get("error"))
    s3 = fold(obj(media.get("s3")))
    bucket, key = text(s3.get("bucket")), text(s3.get("key"))
    if not (url or error or key):
        return None
    return MediaOffer(offered_at=at, url=url, error=error, s3_bucket=bucket, s3_key=key)


def _reason(error: object) -> str | None:
    """Return the first line of an error; its ``details`` go on with a stack trace."""
    if not error:
        return None
    node = obj(error)
    output = obj(obj(node.get("output")).get("payload"))
    said = (error, node.get("message"), node.get("details"), output.get("message"))
    for value in said:
        if isinstance(value, str) and (line := value.strip().partition("\n")[0].strip()):
            return text(line[:_MAX_ERROR_CHARS])
    return "the engine gave no reason"
