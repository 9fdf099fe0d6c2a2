import io
import json
import logging
import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import pytest
import structlog
from tests.support.deliveries import delivery, seen
from tests.support.within import within
from typing_extensions import override

from wagateway.entrypoints import worker_log
from wagateway.entrypoints.logs import configure_logging, redactor

STRONG = "tQ3v9LxW0bZr7KfM2sYd"


class Terminal(io.StringIO):
    @override
    def isatty(self) -> bool:
        return True


@pytest.fixture(autouse=True)
def put_back() -> Iterator[None]:
    root, httpx = logging.getLogger(), logging.getLogger("httpx")
    before, level, httpx_level = list(root.handlers), root.level, httpx.level
    yield
    logging.getLogger("stamina").setLevel(logging.NOTSET)
    logging.getLogger("psycopg").setLevel(logging.WARNING)
    root.handlers[:] = before
    root.setLevel(level)
    httpx.setLevel(httpx_level)
    structlog.reset_defaults()


def lines(stream: io.StringIO) -> list[dict[str, Any]]:
    return [json.loads(line) for line in stream.getvalue().splitlines()]


def redacted(**event: object) -> dict[str, Any]:
    return dict(redactor([STRONG])(None, "info", dict(event)))


def test_json_is_one_object_a_line_with_time_level_and_name() -> None:
    out = io.StringIO()
    configure_logging("info", "json", stream=out)
    before = datetime.now(UTC)
    structlog.get_logger("wagateway.x").info("olá", n=3)
    (line,) = lines(out)
    assert {**line, "timestamp": None} == {
        "event": "olá",
        "level": "info",
        "logger": "wagateway.x",
        "n": 3,
        "timestamp": None,
    }
    assert line["timestamp"].endswith("Z")
    assert before <= datetime.fromisoformat(line["timestamp"]) <= datetime.now(UTC)


def test_each_kind_of_work_has_a_logger_of_its_own() -> None:
    out = io.StringIO()
    configure_logging("info", "json", stream=out)
    for trouble in (
        worker_log.log_sync_trouble,
        worker_log.log_media_trouble,
        worker_log.log_upkeep_trouble,
        worker_log.log_spool_trouble,
        worker_log.log_backup_trouble,
    ):
        trouble("away")
    worker_log.log_heartbeat_waits(OSError())
    worker_log.log_worker_failed("SyncWorker", ValueError())
    work = ["sync", "media", "upkeep", "spool", "backup", "heartbeat", "worker", "worker"]
    assert [line["logger"] for line in lines(out)] == [f"wagateway.{each}" for each in work]


def test_the_context_is_on_every_line_also_on_those_of_libraries() -> None:
    out = io.StringIO()
    configure_logging("info", "json", stream=out)
    with structlog.contextvars.bound_contextvars(request_id="5511987650102"):
        structlog.get_logger("a").info("ours")
        logging.getLogger("some.library").info("theirs %d", 7)
    assert [(x["event"], x["request_id"]) for x in lines(out)] == [
        ("ours", "5511987650102"),
        ("theirs 7", "5511987650102"),
    ]


def test_the_level_holds_for_both_and_chatty_libraries_are_quiet() -> None:
    out = io.StringIO()
    configure_logging("info", "json", stream=out)
    structlog.get_logger("a").debug("no")
    logging.getLogger("b").debug("no")
    logging.getLogger("httpx").info("HTTP Request: GET http://waha/api/5511987650102@c.us")
    logging.getLogger("httpx").warning("yes")
    structlog.get_logger("a").info("yes")
    structlog.get_logger("stamina").warning("stamina.retry_scheduled")
    logging.getLogger("psycopg").warning("query cancellation failed: cancellation timeout expired")
    logging.getLogger("psycopg.pool").warning("error connecting in 'pool-1': timeout expired")
    configure_logging("error", "json", stream=out)
    logging.getLogger("httpx").warning("no")
    assert [x["event"] for x in lines(out)] == ["yes", "yes"]


def test_the_form_follows_the_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NO_COLOR", raising=False)
    plain, terminal = io.StringIO(), Terminal()
    configure_logging(stream=plain)
    structlog.get_logger("a").info("hello")
    assert lines(plain)[0]["event"] == "hello"
    configure_logging(stream=terminal)
    structlog.get_logger("a").info("hello")
    assert "\x1b[" in terminal.getvalue()
    configure_logging("info", "console", stream=plain)
    structlog.get_logger("a").info("again", n=1)
    assert "\x1b[" not in plain.getvalue()
    assert plain.getvalue().splitlines()[1].endswith("[a] n=1")


def test_who_wants_no_colours_gets_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    configure_logging(stream=(terminal := Terminal()))
    structlog.get_logger("a").info("hello")
    assert "hello" in terminal.getvalue()
    assert "\x1b[" not in terminal.getvalue()


def test_a_second_call_replaces_the_first() -> None:
    first, second = io.StringIO(), io.StringIO()
    log = structlog.get_logger("a")
    configure_logging("info", "json", stream=first)
    log.info("one")
    configure_logging("info", "json", stream=second)
    log.info("two")
    assert [x["event"] for x in lines(first)] == ["one"]
    assert [x["event"] for x in lines(second)] == ["two"]


def test_a_wrong_level_is_refused() -> None:
    with pytest.raises(KeyError):
        configure_logging("loud")


@pytest.mark.parametrize("form", ["json", "console"])
def test_tracebacks_show_no_variables_and_their_text_is_cleaned(form: str) -> None:
    def fail(number: str) -> None:
        local = "in-a-" + "variable"
        raise ValueError(f"no chat {number}@c.us for {local[:2]}")

    for log in (structlog.get_logger("a"), logging.getLogger("b")):
        out = io.StringIO()
        configure_logging("info", form, stream=out)
        try:
            fail("5511987650102")
        except ValueError:
            log.exception("failed")
        assert "ValueError: no chat [hidden]@c.us for in" in out.getvalue()
        assert "in fail" in out.getvalue()
        assert "5511987650102" not in out.getvalue()
        assert "in-a-variable" not in out.getvalue()


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("chat 5511987650102@c.us", "chat [hidden]@c.us"),
        ("5511987650102:12@s.whatsapp.net", "[hidden]@s.whatsapp.net"),
        ("271000000000102@lid wrote", "[hidden]@lid wrote"),
        ("120363000000000101@g.us", "[hidden]@g.us"),
        ("false_5511987650102@c.us_3EB0A1", "[hidden]@c.us_3EB0A1"),
        ("call +55 (11) 98765-0102 now", "call [number] now"),
        ("number 5511987650102.", "number [number]."),
        ("postgresql://ana:s3same@db/x", "postgresql://ana:[hidden]@db/x"),
        ("host=db password=s3same dbname=x", "host=db password=[hidden] dbname=x"),
        ("Authorization: Bearer abc.def", "Authorization: Bearer [hidden]"),
        (f"got {STRONG}!", "got [hidden]!"),
        ("2026-11-24T08:00:01.123456Z took 12.5 ms", "2026-11-24T08:00:01.123456Z took 12.5 ms"),
        ("127.0.0.1:4011 pid 123456", "127.0.0.1:4011 pid 123456"),
        ("sha 3f2504e04f89415511987650102c", "sha 3f2504e04f89415511987650102c"),
        ("PostgreSQL 18.6", "PostgreSQL 18.6"),
    ],
)
def test_people_and_secrets_are_hidden_and_the_rest_is_kept(text: str, shown: str) -> None:
    assert redacted(event=text) == {"event": shown}


def test_whatever_a_key_calls_secret_is_hidden() -> None:
    got = redacted(
        api_token="x", password="x", X_Api_Key="x", hmac="x", body={"a": 1}, Authorization=["x"]
    )
    assert set(got.values()) == {"[hidden]"}
    assert redacted(level="info", ms=1.5, rows=12345678901, ok=True, nothing=None) == {
        "level": "info",
        "ms": 1.5,
        "rows": 12345678901,
        "ok": True,
        "nothing": None,
    }


def test_values_are_cleaned_at_any_depth() -> None:
    assert redacted(
        a={"chats": ["5511987650102@c.us", ("x", {"token": 1})], "5511987650102@c.us": 2},
        b=b"secret bytes",
        c=ValueError("5511987650102@c.us"),
        d=datetime(2026, 11, 24, tzinfo=UTC),
    ) == {
        "a": {"chats": ["[hidden]@c.us", ["x", {"token": "[hidden]"}]], "[hidden]@c.us": 2},
        "b": "[12 bytes]",
        "c": "ValueError('[hidden]@c.us')",
        "d": "2026-11-24 00:00:00+00:00",
    }
    endless: list[object] = []
    endless.append(endless)
    assert "[hidden]" in str(redacted(a=endless))


class TestHostileValues:
    """What somebody outside chose, or a library said, in places that nobody foresaw."""

    @pytest.mark.parametrize(
        ("text", "shown"),
        [
            ("http://waha/chats/5511987650102%40c.us/x", "http://waha/chats/[hidden]%40c.us/x"),
            ("false_5511987650102%40C.US_3EB0", "[hidden]%40C.US_3EB0"),
            ("120363000000000001 is a group", "[number] is a group"),
            ("tel_5511987650102", "tel_[number]"),
            ("/files/5511987650102.json", "/files/[number].json"),
            ("call (11) 98765-0102", "call [number]"),
            ("call (555) 123-4567", "call [number]"),
            ("call 55 11 98765-0102 now", "call [number] now"),
            ("call 11 98765 0102", "call [number]"),
            ("call 555-123-4567", "call [number]"),
            ("5511\u200b98765\u20600102", "[number]"),
            ("on 24-11-2026 at 08-00", "on 24-11-2026 at 08-00"),
            ("WHATSAPP_DB_PASSWORD=hunter2", "WHATSAPP_DB_PASSWORD=[hidden]"),
            ("PGPASSWORD=hunter2 psql", "PGPASSWORD=[hidden] psql"),
            ('{"password": "two words"}', '{"password": [hidden]}'),
            ("{'api-key': 'a b', 'x': 1}", "{'api-key': [hidden], 'x': 1}"),
            ("X-Api-Key: hunter2", "X-Api-Key: [hidden]"),
            ("postgresql://ana:p@ss@db/x", "postgresql://ana:[hidden]@db/x"),
            ("postgresql://ana:p/ss@db/x", "postgresql://ana:[hidden]@db/x"),
            ("at 1791028800.123 s", "at 1791028800.123 s"),
            ("2026-11-24 08:00:01 rows 1234 5678", "2026-11-24 08:00:01 rows 1234 5678"),
        ],
    )
    def test_are_hidden_however_they_are_spelled(self, text: str, shown: str) -> None:
        assert redacted(event=text) == {"event": shown}

    def test_cannot_begin_a_line_of_their_own(self) -> None:
        for form in ("json", "console"):
            out = io.StringIO()
            configure_logging("info", form, stream=out)
            text = 'x\n{"event": "forged"}\r\x1b[2J\x9b31m\u202egnp\u2028'
            structlog.get_logger("a").info("said", reason=text, more={text: [text]})
            logging.getLogger("b").warning("theirs: %s", text)
            assert len(out.getvalue().splitlines()) == 2
            assert not set("\x1b\x9b\u202e\u2028\r") & set(out.getvalue())

    @pytest.mark.parametrize(
        "key", ["text", "body", "caption", "content", "message", "push_name", "filename", "query"]
    )
    def test_are_hidden_where_a_key_says_that_people_wrote_them(self, key: str) -> None:
        assert redacted(**{key: "segredo"}) == {key: "[hidden]"}
        assert redacted(**{key: ["segredo"]}) == {key: "[hidden]"}
        assert redacted(more={key: {"x": "segredo"}}) == {"more": {key: "[hidden]"}}
        assert redacted(**{key: 3}) == {key: 3}

    def test_a_number_is_no_count_where_a_key_says_whose_it_is(self) -> None:
        assert redacted(phone=5511987650102, chat=5511987650102, chats=7, chat_id=7) == {
            "phone": "[hidden]",
            "chat": "[hidden]",
            "chats": 7,
            "chat_id": 7,
        }
        assert redacted(senders=[1], sender=[5511987650102]) == {
            "senders": [1],
            "sender": ["[hidden]"],
        }

    def test_of_a_struct_only_its_type_is_shown(self) -> None:
        told = redacted(
            seen=seen("segredo"), both=[delivery(seen("segredo"))], error=Secretive("x")
        )
        assert told == {"seen": "[MessageSeen]", "both": ["[Delivery]"], "error": "[Secretive]"}

    def test_a_secret_is_hidden_also_where_nothing_else_is(self) -> None:
        assert redacted(request_id=STRONG, delivery_id=f"a{STRONG}") == {
            "request_id": "[hidden]",
            "delivery_id": "a[hidden]",
        }

    def test_half_a_secret_is_not_left_where_a_value_is_cut(self) -> None:
        told = redacted(event="a" * (20_000 - 10) + STRONG + "b" * 100)["event"]
        assert STRONG[:8] not in told
        assert told.endswith("more]")

    @pytest.mark.parametrize(
        "piece",
        ["a", "1", "1 ", "(11", "+1", "@", "a.", "://", "token", "token=", "password '", "-"],
    )
    def test_a_long_value_takes_no_time(self, piece: str) -> None:
        with within(10):
            told = redacted(event=piece * (1_000_000 // len(piece)))["event"]
        assert len(told) < 70_000


@dataclass
class Secretive:
    """Holds something that its repr would show."""

    what: str


HOSTILE = "a\n2026-11-27T00:00:00Z [error] forged\x1b[2J\r\x9b31m\u202e\u2028end"


@pytest.mark.parametrize("form", ["console", "json"])
def test_what_is_quoted_neither_forges_a_line_nor_moves_the_cursor(form: str) -> None:
    out = io.StringIO()
    configure_logging("info", form, stream=out)
    structlog.get_logger("a").warning(HOSTILE, reason=HOSTILE, many=[HOSTILE], by={HOSTILE: 1})
    logging.getLogger("b").warning("text %s", HOSTILE)
    try:
        int(HOSTILE)
    except ValueError:
        logging.getLogger("c").exception("failed")
    told = out.getvalue()
    assert not re.search("[\x00-\x09\x0b-\x1f\x7f-\x9f\u2028-\u202e]", told)
    assert "forged" in told
    assert not re.search(r"^2026-11-27T00:00:00Z \[error\]", told, re.MULTILINE)
