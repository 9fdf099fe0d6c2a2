"""The tiny picture that WhatsApp sends inside a message with a file: what can be kept of it.

It comes from strangers, and is shown by browsers, so only what begins as a picture is kept.
"""

LARGEST_PREVIEW_BYTES = 32 * 1024
"""Inclusive; the usual ones have some kilobytes."""

_JPEG = b"\xff\xd8\xff"
_PNG = b"\x89PNG\r\n\x1a\n"
_RIFF, _WEBP = b"RIFF", b"WEBP"


def picture_type(data: bytes) -> str | None:
    """Return the type of a JPEG, PNG or WebP image by its first bytes; None for all else."""
    if data.startswith(_JPEG):
        return "image/jpeg"
    if data.startswith(_PNG):
        return "image/png"
    return "image/webp" if (data[:4], data[8:12]) == (_RIFF, _WEBP) else None


def fit_preview(data: bytes) -> bytes | None:
    """Return *data* if it can be kept: a picture, and not too large."""
    fits = len(data) <= LARGEST_PREVIEW_BYTES and picture_type(data) is not None
    return data if fits else None


def best_preview(*told: bytes | None) -> bytes | None:
    """Return the best of what several observations told, in whatever order: the largest.

    Engines that still load it, or make a smaller one, tell less. Equal sizes are decided by value.
    """
    return max(filter(None, told), key=lambda data: (len(data), data), default=None)
