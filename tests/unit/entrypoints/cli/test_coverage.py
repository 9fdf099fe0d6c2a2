"""Coverage as bars of text: every cell shows the worst of its time."""

from datetime import UTC, datetime, timedelta

import msgspec
import pytest

from wagateway.domain.coverage import Gap, GapReason, Next
from wagateway.domain.identity import Jid, SessionName
from wagateway.domain.spans import Span
from wagateway.entrypoints.cli.coverage import chat_lines, session_lines
from wagateway.entrypoints.settings import Settings
from wagateway.usecases.sync_control import ChatCoverage, SessionCoverage

ANA = Jid("5511987650102@c.us")
NOON = datetime(2026, 10, 3, 12, 0, tzinfo=UTC)
DAY = timedelta(days=1)
UTC_HERE = Settings(timezone="UTC")

CHAT = ChatCoverage(
    chat_id=ANA,
    complete=(Span(NOON - 80 * DAY, NOON - 20 * DAY),),
    gaps=(
        Gap(begin=None, end=NOON - 80 * DAY, reason=GapReason.ENGINE_HAS_NO_MORE),
        Gap(begin=NOON - 20 * DAY, end=NOON - 10 * DAY, reason=GapReason.ENGINE_AWAY),
        Gap(begin=NOON - 10 * DAY, end=NOON, reason=GapReason.NOT_YET_SYNCED),
    ),
    next=Next.CATCH_UP,
)


@pytest.fixture(autouse=True)
def terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "74")


def session(*chats: ChatCoverage) -> SessionCoverage:
    return SessionCoverage(
        session=SessionName("default"), account=None, live=(), complete=(), chats=chats
    )


def test_a_bar_has_its_share_of_every_part() -> None:
    lines = list(session_lines(session(CHAT), None, UTC_HERE))
    assert lines[0].split() == ["2026-07-15", "12:00", "UTC", "2026-10-03", "12:00", "UTC"]
    assert lines[1] == f"{ANA:<32} {'█' * 30}{'▒' * 5}{'?' * 5}"
    assert lines[3].startswith("Each mark stands for 2 days, and shows the longest gap in it")
    assert {line[0] for line in lines[4:]} == {"█", "▒", "?"}


def test_it_can_begin_elsewhere() -> None:
    lines = list(session_lines(session(CHAT), NOON - 160 * DAY, UTC_HERE))
    assert lines[1].split()[1] == "·" * 20 + "█" * 15 + "▒" * 3 + "?" * 2


def test_what_is_shorter_than_a_cell_still_shows() -> None:
    minute = Gap(
        begin=NOON - 1.5 * DAY, end=NOON - 1.5 * DAY + DAY / 1440, reason=GapReason.GATEWAY_AWAY
    )
    complete = (Span(NOON - 40 * DAY, minute.begin or NOON), Span(minute.end, NOON))
    chat = ChatCoverage(chat_id=ANA, complete=complete, gaps=(minute,), next=Next.NOTHING)
    bar = list(session_lines(session(chat), None, UTC_HERE))[1].split()[1]
    assert bar == "█" * 38 + "░" + "█"


def test_a_chat_lists_spans_and_gaps_in_order_and_what_comes_next() -> None:
    lines = list(chat_lines(CHAT, None, "America/Sao_Paulo"))
    parts = lines[lines.index("", 3) + 1 :]
    assert [line.split()[-1] for line in parts[:-1]] == [
        *("engine-has-no-more", "complete", "engine-away", "not-yet-synced"),
    ]
    assert parts[0].startswith("the beginning")
    assert "2026-07-15 09:00 -03" in parts[1]
    assert parts[-1].startswith("next: catch-up (")


def test_a_chat_says_when_its_list_is_read_again() -> None:
    chat = msgspec.structs.replace(CHAT, reread_at=NOON + DAY)
    last = list(chat_lines(chat, None, "America/Sao_Paulo"))[-1]
    assert last == "its list is read again at 2026-10-04 09:00 -03, in case it was filling"


@pytest.mark.parametrize("step", Next)
def test_every_next_step_is_explained(step: Next) -> None:
    *_, last = chat_lines(msgspec.structs.replace(CHAT, next=step), None, "UTC")
    assert last.startswith(f"next: {step} (")


def test_a_gap_of_no_length_to_speak_of_is_not_told() -> None:
    at = NOON - DAY
    sliver = Gap(begin=at, end=at + timedelta(microseconds=74), reason=GapReason.GATEWAY_AWAY)
    chat = msgspec.structs.replace(CHAT, gaps=(*CHAT.gaps, sliver))
    assert list(chat_lines(chat, None, "UTC")) == list(chat_lines(CHAT, None, "UTC"))


def test_a_session_that_nobody_read_says_what_that_means_and_what_to_do() -> None:
    known, mend = session_lines(session(), None, UTC_HERE)
    assert "What webhooks brought of default is archived" in known
    assert "set WHATSAPP_CORE_URL" in mend
    assert "wagateway sync default" in mend


def test_where_waha_is_named_it_is_said_who_reads_it() -> None:
    waha = Settings(timezone="UTC", engine_url="http://127.0.0.1:3000")
    _, told = session_lines(session(), None, waha)
    assert "wagateway sync default --status" in told
    assert "WHATSAPP_CORE_URL" not in told
