"""``wagateway coverage``: what is complete, as bars of text."""

import asyncio
import shutil
from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta

import rich_click as click

from wagateway.domain.coverage import Gap, GapReason, Next
from wagateway.domain.spans import BEGINNING, Span
from wagateway.entrypoints.cli.options import Place
from wagateway.entrypoints.cli.output import echo_json
from wagateway.entrypoints.cli.place import archive_of, settings_at
from wagateway.entrypoints.containers import now
from wagateway.entrypoints.gateway import Gateway
from wagateway.entrypoints.settings import Settings
from wagateway.entrypoints.zones import aware, lasting, shown
from wagateway.usecases.sync_control import ChatCoverage, SessionCoverage

_COMPLETE = "█"
_MARKS = {
    GapReason.ENGINE_AWAY: ("▒", "the session was not working in WAHA"),
    GapReason.GATEWAY_AWAY: ("░", "wagateway was not running, so no webhook could come"),
    GapReason.NOT_YET_SYNCED: ("?", "webhooks could come; not yet compared with WAHA's list"),
    GapReason.BEFORE_PAIRING: ("-", "before wagateway knew the session; not read from WAHA yet"),
    GapReason.ENGINE_HAS_NO_MORE: ("·", "older than what WAHA has"),
    GapReason.PURGED: ("x", "purged, and not read again"),
}
_NEXT = {
    Next.NOTHING: "nobody looks at the session",
    Next.CATCH_UP: "what is missing since it was last complete is read",
    Next.BACK_FILL: "the history before is read",
    Next.NEXT_LOOK: "the regular look at all chats closes what is open",
    Next.WAIT: "it is read again later; `wagateway sync SESSION --status` says why",
    Next.PAUSED: "until `wagateway sync SESSION CHAT --resume`",
}
_NAME = 32
_NARROW, _WIDE = 20, 100
_USUAL = timedelta(days=30)
_TELLABLE = timedelta(seconds=1)
"""Gaps that are shorter are no more than two clocks' difference, and not shown to people."""


def run_coverage(
    place: Place, session: str, chat: str | None, *, since: datetime | None, as_json: bool
) -> None:
    """Print the coverage of *session*, or of one of its chats.

    Raises:
        NotFound: no such session or chat.
        InvalidInput: *chat* is no JID and no phone number.
    """
    settings = settings_at(place)
    found = asyncio.run(_coverage(settings, session, chat))
    if as_json:
        echo_json(found)
        return
    begin = since and aware(since, settings.timezone)
    if isinstance(found, ChatCoverage):
        click.echo("\n".join(chat_lines(found, begin, settings.timezone)))
    else:
        click.echo("\n".join(session_lines(found, begin, settings)))


async def _coverage(
    settings: Settings, session: str, chat: str | None
) -> SessionCoverage | ChatCoverage:
    async with archive_of(settings) as services:
        gateway = Gateway(services)
        return (
            await gateway.coverage(session)
            if chat is None
            else await gateway.chat_coverage(session, chat)
        )


def session_lines(
    found: SessionCoverage, since: datetime | None, settings: Settings
) -> Iterator[str]:
    """Yield a bar for each chat, from *since* on, and what the marks mean."""
    if not found.chats:
        yield from _nothing_proven(found.session, settings)
        return
    frame = _frame(found.chats, since)
    width = _width()
    yield _ruler(frame, width, settings.timezone)
    for chat in found.chats:
        yield f"{chat.chat_id[:_NAME]:<{_NAME}} {_bar(chat, frame, width)}"
    yield from _legend(found.chats, frame)


def _nothing_proven(session: str, settings: Settings) -> Iterator[str]:
    """Yield what to say of a session none of whose lists was read yet."""
    yield (
        f"What webhooks brought of {session} is archived. Nothing says yet whether that is all: "
        "its chats are compared with WAHA's own lists, and none was read so far."
    )
    if settings.engine_url is None:
        yield (
            "To have them read, set WHATSAPP_CORE_URL to WAHA's address and run `wagateway up`, or "
            f"`wagateway sync {session}` for once."
        )
    else:
        yield (
            "A running `wagateway up` or `worker` reads them within minutes; "
            f"`wagateway sync {session} --status` says how far it is."
        )


def chat_lines(chat: ChatCoverage, since: datetime | None, timezone: str) -> Iterator[str]:
    """Yield the bar of *chat*, every span and gap, and what comes next."""
    frame = _frame([chat], since)
    width = _width()
    yield _ruler(frame, width, timezone)
    yield f"{chat.chat_id[:_NAME]:<{_NAME}} {_bar(chat, frame, width)}"
    yield from _legend([chat], frame)
    yield ""
    parts: list[tuple[datetime, str]] = [
        (each.begin, _part(each.begin, each.end, "complete", timezone)) for each in chat.complete
    ]
    parts += [
        (gap.begin or BEGINNING, _part(gap.begin, gap.end, gap.reason, timezone))
        for gap in chat.gaps
        if gap.begin is None or gap.end - gap.begin >= _TELLABLE
    ]
    yield from (text for _, text in sorted(parts))
    yield f"next: {chat.next} ({_NEXT[chat.next]})"
    if chat.reread_at is not None:
        yield f"its list is read again at {shown(chat.reread_at, timezone)}, in case it was filling"


def _part(begin: datetime | None, end: datetime, what: str, timezone: str) -> str:
    first = shown(begin, timezone) if begin and begin != BEGINNING else "the beginning"
    return f"{first:<22} to {shown(end, timezone):<22} {what}"


def _frame(chats: Sequence[ChatCoverage], since: datetime | None) -> Span:
    """Return what the bars show: from where anything is complete until now."""
    end = max((gap.end for chat in chats for gap in chat.gaps), default=now())
    end = max([end, *(each.end for chat in chats for each in chat.complete)])
    begins = [each.begin for chat in chats for each in chat.complete if each.begin > BEGINNING]
    begins += [gap.begin for chat in chats for gap in chat.gaps if gap.begin is not None]
    begin = since or min(begins, default=end - _USUAL)
    return Span(min(begin, end - timedelta(minutes=1)), end)


def _width() -> int:
    columns = shutil.get_terminal_size().columns
    return max(_NARROW, min(_WIDE, columns - _NAME - 2))


def _ruler(frame: Span, width: int, timezone: str) -> str:
    left, right = shown(frame.begin, timezone), shown(frame.end, timezone)
    gap = max(1, width - len(left) - len(right))
    return f"{'':<{_NAME}} {left}{' ' * gap}{right}"


def _bar(chat: ChatCoverage, frame: Span, width: int) -> str:
    step = (frame.end - frame.begin) / width
    cells = (Span(frame.begin + n * step, frame.begin + (n + 1) * step) for n in range(width))
    return "".join(_mark(chat, cell) for cell in cells)


def _mark(chat: ChatCoverage, cell: Span) -> str:
    """Return the mark of the longest gap in *cell*, that of complete only where there is none."""
    longest: tuple[timedelta, str] = (timedelta(0), _COMPLETE)
    for gap in chat.gaps:
        length = _shared(gap, cell)
        if length > max(longest[0], timedelta(milliseconds=1)):
            longest = (length, _MARKS[gap.reason][0])
    return longest[1]


def _shared(gap: Gap, where: Span) -> timedelta:
    """Return how much of *where* is in *gap*; not positive where nothing is."""
    return min(gap.end, where.end) - max(gap.begin or BEGINNING, where.begin)


def _legend(chats: Sequence[ChatCoverage], frame: Span) -> Iterator[str]:
    shown_reasons = {
        gap.reason for chat in chats for gap in chat.gaps if _shared(gap, frame) >= _TELLABLE
    }
    yield ""
    step = (frame.end - frame.begin) / _width()
    yield f"Each mark stands for {lasting(step)}, and shows the longest gap in it:"
    yield f"{_COMPLETE} complete: all that WAHA had is archived"
    for reason, (mark, meaning) in _MARKS.items():
        if reason in shown_reasons:
            yield f"{mark} {reason}: {meaning}"
