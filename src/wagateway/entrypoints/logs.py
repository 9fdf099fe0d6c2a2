"""Logs: one set-up for our events and for those of the libraries below, without secrets."""

import logging
import os
import re
import sys
import traceback
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import is_dataclass
from datetime import date, time, timedelta
from typing import TextIO

import structlog
from msgspec import Struct
from structlog.typing import EventDict, Processor

Redact = Callable[[object, str, EventDict], EventDict]

_HANDLER = "wagateway"
_HIDDEN = "[hidden]"
_MAX_DEPTH = 6
_CHATTY = {
    "httpx": logging.WARNING,
    "httpcore": logging.WARNING,
    "asyncio": logging.WARNING,
    "hpack": logging.WARNING,
    "psycopg": logging.ERROR,  # each broken connection; ours is `database_unreachable`, with why
    "stamina": logging.ERROR,  # each retry, as a warning; what fails in the end is ours to tell
    "urllib3": logging.ERROR,  # likewise; and signed addresses, at debug
}
"""Libraries, and the least of theirs that is shown."""

_SECRET_KEY = re.compile(
    r"authorization|cookie|passw|secret|hmac|credential|token|api_?key|private_?key",
    re.IGNORECASE,
)
_TEXT_KEY = re.compile(
    r"^(?:text|body|headers|captions?|content|payload|message|quoted|push_?name|display_?name"
    r"|subject|description|vcard|filename|query)$",
    re.IGNORECASE,
)
"""What people wrote; a number under such a key is a count."""
_PERSON_KEY = re.compile(
    r"^(?:phone|number|jid|lid|chat|contact|sender|participant|author|recipient|account)(?:_?id)?$",
    re.IGNORECASE,
)
_LEAST_NUMBER = 10**7
_PLAIN_KEYS = frozenset({"delivery_id", "level", "logger", "request_id", "timestamp", "turn"})
"""What cannot name anybody: our own words, and ids that were looked at before they were taken."""
_TRACE_KEYS = frozenset({"exception", "stack"})
_LONGEST = 20_000
"""Characters of one value: whatever was sent to us, hiding what is in it takes milliseconds."""

# No rule may take the square of a value's length: repetitions have an end, or never step back.
_NAMED_SECRET = r"(?:passw(?:or)?d|passphrase|token|secret|hmac|api[_-]?key)[\w-]{0,40}"  # noqa: S105
_VALUE = r"""(?:"[^"]{0,1000}"?|'[^']{0,1000}'?|[^\s"']\S*)"""
_REPLACEMENTS = (
    (re.compile(r"(?<=\d)[\u00ad\u200b-\u200f\u2060\ufeff]+(?=\d)"), ""),  # which part numbers
    (re.compile(r"(?<=://)([^\s/:@]{0,256}):\S{1,1000}@"), rf"\1:{_HIDDEN}@"),
    (
        re.compile(rf"({_NAMED_SECRET}[\"']?\s{{0,9}}[=:]\s{{0,9}}){_VALUE}", re.IGNORECASE),
        rf"\1{_HIDDEN}",
    ),
    (re.compile(r"\b(Bearer|Basic)\s+\S+", re.IGNORECASE), rf"\1 {_HIDDEN}"),
    (
        re.compile(
            r"(?<![\w.:+-])[\w.:+-]++(@|%40)"
            r"(c\.us|s\.whatsapp\.net|g\.us|lid|broadcast|newsletter)(?![a-z])",
            re.IGNORECASE,
        ),
        r"[hidden]\1\2",
    ),
    (re.compile(r"\+\d[\d\s().-]{6,40}\d"), "[number]"),
    (re.compile(r"\(\d{2,4}\)\s?\d{3,5}[\s-]?\d{4}(?!\w)"), "[number]"),
    (re.compile(r"(?<![\w.-])(?:\d{1,3}[ -])?\d{2,3}[ -]\d{3,5}[ -]\d{4}(?![\w-])"), "[number]"),
    (re.compile(r"(?<![A-Za-z0-9.])\d{10,20}(?![A-Za-z0-9]|\.\d)"), "[number]"),
)
_CONTROLS = {
    code: f"\\x{code:02x}" for code in (*range(32), *range(127, 160)) if chr(code) != "\t"
} | {
    code: f"\\u{code:04x}"  # they turn what is shown around, or hide it
    for code in (*range(0x200B, 0x2010), *range(0x2028, 0x202F), *range(0x2066, 0x206A), 0xFEFF)
}
_CONTROLS_OF_TRACES = {code: shown for code, shown in _CONTROLS.items() if chr(code) != "\n"}


def configure_logging(
    level: str = "info",
    format: str | None = None,  # noqa: A002 - the setting's own word
    *,
    stream: TextIO | None = None,
    hide: Iterable[str] = (),
) -> None:
    """Send all logs, structlog's and the standard library's, to one stream in one form.

    Times are ISO 8601 in UTC, tracebacks show no variables; secrets, addresses and phone numbers
    are hidden. May be called again; the last call counts.

    Args:
        level: the least that is shown: debug, info, warning, error or critical.
        format: ``console`` for people, ``json`` for programs, a line each; None chooses by
            whether *stream* is a terminal. There it is coloured, unless ``NO_COLOR`` is set.
        stream: the standard error when None, so that the standard output stays for answers.
        hide: secrets that are known, hidden wherever they appear.
    """
    out = sys.stderr if stream is None else stream
    terminal = out.isatty()
    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.make_filtering_bound_logger(_number(level)),
        cache_logger_on_first_use=False,
    )
    json = format == "json" or (format is None and not terminal)
    _install(
        _number(level),
        out,
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                structlog.processors.format_exc_info,
                redactor(hide),
                _json() if json else _console(colors=terminal and not os.environ.get("NO_COLOR")),
            ],
        ),
    )


def redactor(hide: Iterable[str] = ()) -> Redact:
    """Return the processor that hides secrets, addresses, phone numbers and texts in an event.

    What a line may say that nobody foresaw is shortened, and can neither begin another line nor
    steer a terminal. Of a struct only its type is shown: it may hold what people wrote.

    Args:
        hide: secrets that are known; those shorter than 8 characters would spoil other words,
            and are left to the rules.
    """
    known = [secret for secret in hide if len(secret) >= 8]  # noqa: PLR2004 - told above

    def without_secrets(text: str) -> str:
        for secret in known:
            text = text.replace(secret, _HIDDEN)
        return text

    def clean(text: str) -> str:
        text = without_secrets(text)  # before it is cut, which might leave half of one
        if len(text) > _LONGEST:
            text = f"{text[:_LONGEST]}[{len(text) - _LONGEST} more]"
        for pattern, replacement in _REPLACEMENTS:
            text = pattern.sub(replacement, text)
        return text

    def redact(_: object, __: str, event: EventDict) -> EventDict:
        return {
            key: without_secrets(value)
            if key in _PLAIN_KEYS and isinstance(value, str)
            else _redacted(key, value, clean, _MAX_DEPTH)
            for key, value in event.items()
        }

    return redact


def _redacted(key: str, value: object, clean: Callable[[str], str], depth: int) -> object:
    if value is None or isinstance(value, bool):
        return value
    if depth == 0 or _is_hidden(key, value):
        return _HIDDEN
    if isinstance(value, int | float):
        return value
    if isinstance(value, Mapping):
        return {
            _line(clean(str(k))): _redacted(str(k), v, clean, depth - 1) for k, v in value.items()
        }
    if isinstance(value, list | tuple | set | frozenset):
        return [_redacted(key, item, clean, depth - 1) for item in value]
    shown = _shown(value, clean)
    return shown.translate(_CONTROLS_OF_TRACES) if key in _TRACE_KEYS else _line(shown)


def _is_hidden(key: str, value: object) -> bool:
    if _SECRET_KEY.search(key):
        return True
    if isinstance(value, int | float):
        return bool(_PERSON_KEY.match(key)) and value >= _LEAST_NUMBER
    return bool(_TEXT_KEY.match(key))


def _line(text: str) -> str:
    return text.translate(_CONTROLS)


def _shown(value: object, clean: Callable[[str], str]) -> str:
    if isinstance(value, bytes | bytearray | memoryview):
        return f"[{len(value)} bytes]"
    if isinstance(value, date | time | timedelta):
        return str(value)  # no phone number, although it looks like one
    if isinstance(value, Struct) or is_dataclass(value):
        return f"[{type(value).__name__}]"
    return clean(value if isinstance(value, str) else repr(value))


def _install(level: int, stream: TextIO, formatter: logging.Formatter) -> None:
    root = logging.getLogger()
    for handler in [h for h in root.handlers if h.get_name() == _HANDLER]:
        root.removeHandler(handler)
    handler = logging.StreamHandler(stream)
    handler.set_name(_HANDLER)
    handler.setFormatter(formatter)
    root.addHandler(handler)
    root.setLevel(level)
    for name, least in _CHATTY.items():
        logging.getLogger(name).setLevel(max(level, least))


def _json() -> Processor:
    return structlog.processors.JSONRenderer(ensure_ascii=False)


def _console(*, colors: bool) -> Processor:
    # The traceback is text already; the prettier forms would show variables.
    return structlog.dev.ConsoleRenderer(
        colors=colors, exception_formatter=structlog.dev.plain_traceback
    )


def _number(level: str) -> int:
    return logging.getLevelNamesMapping()[level.upper()]


def trace_of(exc: BaseException) -> Iterator[str]:
    """Yield the types and places of *exc* and its causes, without their texts, which may quote."""
    seen: BaseException | None = exc
    while seen is not None:
        yield f"{type(seen).__module__}.{type(seen).__qualname__}"
        for frame in traceback.extract_tb(seen.__traceback__):
            yield f"{frame.filename}:{frame.lineno} in {frame.name}"
        seen = seen.__cause__ or (None if seen.__suppress_context__ else seen.__context__)
