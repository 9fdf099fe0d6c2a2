r"""Bytes to decoded JSON, one value per envelope, each with its own exact bytes.

msgspec is tried first, for speed. It refuses what engines do send: lone surrogates (``"\ud83d"``)
and numbers beyond a double; the standard library reads those.
"""

import json
import math
import re

import msgspec

from wagateway.domain.errors import InvalidInput

_ARRAY = re.compile(rb"[ \t\r\n]*\[")
_SPACE = re.compile(r"[ \t\r\n]*")
_MAX_INTEGER_DIGITS = 400
_MAX_ENVELOPES = 10_000
_VALUE = msgspec.json.Decoder()
_ELEMENTS = msgspec.json.Decoder(list[msgspec.Raw])


def _integer(digits: str) -> float:
    """Read an integer; one too long for any use becomes infinite instead of an error."""
    if len(digits) <= _MAX_INTEGER_DIGITS:
        return int(digits)
    return -math.inf if digits.startswith("-") else math.inf


def _refused(constant: str) -> float:
    raise InvalidInput(f"the body is not JSON: {constant} is no JSON number")


_TOLERANT = json.JSONDecoder(parse_int=_integer, parse_constant=_refused)


def envelopes(body: bytes) -> list[tuple[bytes, object]]:
    """Return each envelope's exact bytes and its decoded value, in order.

    Args:
        body: an object, which is one envelope, or an array of envelopes. An array's elements may
            be any JSON value; an object is never anything but an object.

    Raises:
        InvalidInput: not JSON in UTF-8, nested too deeply, more than 10,000 envelopes, or neither
            an object nor an array.
    """
    if _ARRAY.match(body):
        return elements(body)
    value = decoded(body)
    if not isinstance(value, dict):
        raise InvalidInput("the body must be a JSON object (one event) or an array of them")
    return [(body, value)]


def elements(body: bytes) -> list[tuple[bytes, object]]:
    """Return each element of an array, its exact bytes and its decoded value, in order.

    Raises:
        InvalidInput: not JSON in UTF-8, nested too deeply, no array, or of more than 10,000.
    """
    if not _ARRAY.match(body):
        raise InvalidInput("the body must be a JSON array")
    if body.count(b",") >= _MAX_ENVELOPES:  # it may have too many: 16 MiB hold 8 million
        return _split(_text(body))
    try:
        raws = [bytes(raw) for raw in _ELEMENTS.decode(body)]
    except RecursionError as exc:
        raise _too_deep() from exc
    except ValueError:
        return _split(_text(body))
    return [(raw, decoded(raw)) for raw in raws]


def decoded(data: bytes) -> object:
    """Return any JSON value.

    Raises:
        InvalidInput: not JSON in UTF-8, or nested too deeply.
    """
    try:
        return _VALUE.decode(data)
    except RecursionError as exc:
        raise _too_deep() from exc
    except ValueError:
        text = _text(data)
    value, end = _next(text, _skipped(text, 0))
    if _skipped(text, end) != len(text):
        raise InvalidInput(f"the body is not JSON: more follows its end at character {end}")
    return value


def _split(text: str) -> list[tuple[bytes, object]]:
    """Walk an array element by element, keeping each one's own text; stop at too many."""
    found: list[tuple[bytes, object]] = []
    at = _skipped(text, text.index("[") + 1)
    while True:
        value, end = _next(text, at)
        found.append((text[at:end].encode(), value))
        end = _skipped(text, end)
        at = _skipped(text, end + 1)
        if text[end : end + 1] == "]" and at == len(text):
            return found
        if len(found) == _MAX_ENVELOPES:
            raise InvalidInput(
                f"the body holds more than {_MAX_ENVELOPES:,} events: send them in several bodies"
            )
        if text[end : end + 1] != ",":
            raise _not_json(end)


def _next(text: str, at: int) -> tuple[object, int]:
    try:
        return _TOLERANT.raw_decode(text, at)
    except RecursionError as exc:
        raise _too_deep() from exc
    except json.JSONDecodeError as exc:
        raise _not_json(exc.pos) from exc


def _skipped(text: str, at: int) -> int:
    match = _SPACE.match(text, at)
    return match.end() if match else at


def _text(data: bytes) -> str:
    try:
        return data.decode()
    except UnicodeDecodeError as exc:
        raise InvalidInput(f"the body is not UTF-8: invalid at byte {exc.start}") from exc


def _not_json(at: int) -> InvalidInput:
    return InvalidInput(f"the body is not JSON: it breaks off or is malformed at character {at}")


def _too_deep() -> InvalidInput:
    return InvalidInput("the body is nested too deeply; about 900 levels are read")
