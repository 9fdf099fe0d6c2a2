"""Typed looks into decoded JSON that may hold anything anywhere.

No function here raises: what is absent, null, of another type or out of bounds is None, empty or
False. Every string that comes out is storable (see domain.text).
"""

import math
from collections.abc import Mapping
from datetime import datetime

from wagateway.domain.text import MAX_ID_CHARS, clean_id, clean_text
from wagateway.domain.times import instant

Obj = Mapping[str, object]
"""A decoded JSON object."""

INT32 = 2**31 - 1
INT64 = 2**63 - 1
_LONGEST_NUMBER = 64
_TRUE = ("true", "1")


def obj(value: object) -> Obj:
    """Return *value* if it is an object, else an empty one."""
    return value if isinstance(value, dict) else {}


def items(value: object) -> list[object]:
    """Return *value* if it is an array, else an empty one."""
    return value if isinstance(value, list) else []


def fold(node: Obj) -> Obj:
    """Return *node* with its keys in lower case; of two spellings the one with a value wins.

    Engines spell the same protobuf field ``fileSha256`` and ``fileSHA256``, ``id`` and ``ID``.
    """
    folded: dict[str, object] = {}
    for key, value in node.items():
        word = key.lower()
        if value is not None or word not in folded:
            folded[word] = value
    return folded


def text(value: object) -> str | None:
    """Return a string that is not empty, else None."""
    return clean_text(value) if isinstance(value, str) and value else None


def first_text(*values: object) -> str | None:
    """Return the first of *values* that is a string and not empty."""
    for value in values:
        if isinstance(value, str) and value:
            return clean_text(value)
    return None


def word(value: object) -> str | None:
    """Return an opaque identifier of 1 to 512 characters, escaped; whole numbers count too."""
    if isinstance(value, int) and not isinstance(value, bool) and abs(value) <= INT64:
        return str(value)
    if not isinstance(value, str) or not 0 < len(value) <= MAX_ID_CHARS:
        return None
    found = clean_id(value)
    return found if len(found) <= MAX_ID_CHARS else None


def flag(value: object) -> bool:
    """Tell whether *value* is true, however it is written."""
    return known_flag(value) is True


def known_flag(value: object) -> bool | None:
    """Return the boolean that *value* is or spells, else None."""
    if isinstance(value, bool):
        return value
    if isinstance(value, str):
        spelled = value.lower()
        return True if spelled in _TRUE else False if spelled in {"false", "0"} else None
    return bool(value) if isinstance(value, int) and value in {0, 1} else None


def whole(value: object, *, limit: int = INT32) -> int | None:
    """Return a whole number from 0 to *limit*: a number, decimal digits, or a protobuf Long."""
    if isinstance(value, dict):
        value = _long(value)
    elif isinstance(value, str):
        short = len(value) <= _LONGEST_NUMBER and value.isascii() and value.isdigit()
        value = int(value) if short else None
    elif isinstance(value, float) and value.is_integer():
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, int):
        return None
    return value if 0 <= value <= limit else None


def real(value: object, *, low: float, high: float) -> float | None:
    """Return a finite number from *low* to *high*, given as a number or as text."""
    if isinstance(value, str) and len(value) <= _LONGEST_NUMBER:
        try:
            value = float(value)
        except ValueError:
            return None
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return float(value) if low <= value <= high and math.isfinite(value) else None


def moment(value: object) -> datetime | None:
    """Return the instant that *value* tells in any unit (see domain.times), else None."""
    if isinstance(value, dict):
        long = _long(value)
        if long is None:
            return None
        value = long
    # Beyond 64 bits lies no time of ours, and such integers overflow a float.
    if isinstance(value, int) and abs(value) > INT64:
        return None
    return instant(value)


def _long(value: Obj) -> int | None:
    low, high = value.get("low"), value.get("high", 0)
    if not isinstance(low, int) or not isinstance(high, int):
        return None
    if abs(low) > INT64 or abs(high) > INT32:
        return None
    return (high << 32) + (low & 0xFFFFFFFF)
