"""``wagateway sync``: read now what is missing, with a look at how far it is."""

import asyncio
from collections.abc import Collection, Sequence
from datetime import datetime

import rich_click as click
from msgspec import Struct
from msgspec.structs import replace

from wagateway.domain.coverage import Next
from wagateway.domain.errors import EngineUnavailable, InvalidInput, NotFound, Rejected
from wagateway.domain.events import SessionStatus
from wagateway.domain.health import AWAY
from wagateway.domain.identity import SessionName
from wagateway.domain.sync import SyncStatus
from wagateway.entrypoints.cli.endings import ExitCode
from wagateway.entrypoints.cli.options import Place
from wagateway.entrypoints.cli.output import counted, echo_json, note
from wagateway.entrypoints.cli.place import archive_of, settings_at
from wagateway.entrypoints.cli.sync_screen import Progress, open_sync_screen
from wagateway.entrypoints.cli.worker import require_engine
from wagateway.entrypoints.containers import Services, now
from wagateway.entrypoints.gateway import Gateway
from wagateway.entrypoints.settings import Settings
from wagateway.entrypoints.worker import run_worker
from wagateway.entrypoints.worker_log import log_defect, log_sync_trouble, log_turn
from wagateway.entrypoints.workers import open_waha, sync_worker
from wagateway.entrypoints.zones import aware, shown
from wagateway.usecases.sync_control import SyncReport, TaskView
from wagateway.usecases.sync_work import SyncWorker

_DOING = {SyncStatus.PENDING, SyncStatus.RUNNING}
_LOOK_S = 0.5
_STUCK_LOOKS = 60
"""Looks at an engine that cannot be asked, after which the command gives up."""


class Wish(Struct, frozen=True, kw_only=True):
    """What the command line asks for; a naive instant is of the settings' time zone.

    Attributes:
        what: ``sync``, ``status``, ``pause`` or ``resume``.
    """

    session: str | None
    chat: str | None
    full: bool
    since: datetime | None
    what: str


class LeftOut(Struct, frozen=True, kw_only=True):
    """A session that was not waited for, since nothing can be read of it now.

    Attributes:
        status: what WAHA told; None where it does not have the session.
    """

    session: SessionName
    status: SessionStatus | None


class Outcome(Struct, frozen=True, kw_only=True):
    """What ``--json`` prints.

    Attributes:
        messages: read by this process; stored: of these, what was news.
        sessions: where each stands in the end.
        paused: how many of the chats that were meant are not read until ``--resume``.
        left_out: sessions that were not waited for.
    """

    messages: int
    stored: int
    sessions: list[SyncReport]
    paused: int
    left_out: list[LeftOut] = []


def run_sync(place: Place, wish: Wish, *, as_json: bool) -> ExitCode:
    """Do what *wish* says, and print where sync stands then.

    Raises:
        InvalidInput: no engine is configured, the chat is no JID and no phone number, or
            ``--since`` is yet to come.
        NotFound: no such session or chat.
        Unavailable: WAHA or the database does not answer at the beginning.
        Rejected: WAHA could not be asked for half a minute.
    """
    settings = settings_at(place)
    if wish.what == "sync":
        require_engine(settings)
    _require_past(wish.since, settings.timezone)
    wish, outcome = asyncio.run(_sync(settings, wish))
    if as_json:
        echo_json(outcome)
    else:
        show(outcome, wish, settings.timezone)
    return ending(outcome, wish)


def _require_past(since: datetime | None, timezone: str) -> None:
    if since is not None and aware(since, timezone) > now():
        raise InvalidInput(
            f"--since {since.isoformat()} is yet to come: name a time up to which to read back."
        )


async def _sync(settings: Settings, wish: Wish) -> tuple[Wish, Outcome]:
    async with archive_of(settings) as services:
        gateway = Gateway(services)
        if wish.what == "sync":
            return await read_now(settings, services, wish)
        wish = await _named(gateway, wish)
        for session in await _sessions(gateway, wish.session):
            if wish.what == "pause":
                await gateway.pause_sync(session, wish.chat)
            elif wish.what == "resume":
                await gateway.resume_sync(session, wish.chat)
        return wish, await _outcome(gateway, wish, await _sessions(gateway, wish.session))


async def _named(gateway: Gateway, wish: Wish) -> Wish:
    """Return *wish* with its chat under the name that sync has for it.

    Raises:
        NotFound: no such session or chat.
    """
    if wish.session is None or wish.chat is None:
        return wish
    found = await gateway.chat_coverage(wish.session, wish.chat)
    return replace(wish, chat=found.chat_id)


async def _sessions(gateway: Gateway, session: str | None) -> list[str]:
    if session is not None:
        return [session]
    found = [view.session for view in await gateway.sessions() if view.current]
    if not found:
        raise NotFound(
            "The archive knows of no session yet: it learns of one by a webhook, or by reading "
            "from a WAHA in which one was paired by its QR code."
        )
    return list(found)


async def _outcome(
    gateway: Gateway, wish: Wish, sessions: Sequence[str], worker: SyncWorker | None = None
) -> Outcome:
    reports = [await gateway.sync_report(name) for name in sessions]
    messages, stored = (worker.state.messages, worker.state.stored) if worker else (0, 0)
    paused = sum(_count(report, wish, {SyncStatus.PAUSED}) for report in reports)
    return Outcome(messages=messages, stored=stored, sessions=reports, paused=paused)


async def read_now(settings: Settings, services: Services, wish: Wish) -> tuple[Wish, Outcome]:
    """Read what *wish* says, and wait for it; return it with its chat under sync's own name.

    Raises:
        EngineUnavailable: WAHA does not answer at the beginning.
        NotFound: no such session or chat.
        Rejected: WAHA could not be asked for half a minute.
    """
    gateway, begun = Gateway(services), now()
    async with open_waha(settings) as engine:
        worker = sync_worker(
            settings, services, engine, told=log_turn, troubled=log_sync_trouble, broke=log_defect
        )
        try:
            told = {each.name: each.status for each in await worker.find()}
        except EngineUnavailable as exc:
            raise EngineUnavailable(
                f"{exc}. Check that WAHA runs and that WHATSAPP_CORE_URL is its address; "
                "`wagateway doctor` tells more."
            ) from exc
        wish = await _named(gateway, wish)
        since = wish.since and aware(wish.since, settings.timezone)
        sessions = await _sessions(gateway, wish.session)
        left_out = []
        for session in map(SessionName, sessions):
            found = await _is_begun(gateway, session, wish, since)
            status = told.get(session)
            if not found or status is None or status in AWAY:
                left_out.append(LeftOut(session=session, status=status))
                note(f"{session} is left out: {_why_left_out(status)}")
        waited = [name for name in sessions if all(name != each.session for each in left_out)]
        stop = asyncio.Event()
        running = asyncio.create_task(run_worker(worker, stop))
        try:
            await _watch(gateway, worker, wish, waited, begun)
        finally:
            stop.set()
            await running
        outcome = await _outcome(gateway, wish, sessions, worker)
        return wish, replace(outcome, left_out=left_out)


async def _is_begun(
    gateway: Gateway, session: SessionName, wish: Wish, since: datetime | None
) -> bool:
    """Let *session* be read; return False where no worker found it and it was not named."""
    try:
        await gateway.sync(session, wish.chat, full=wish.full, since=since)
    except NotFound:
        if wish.session is not None:
            raise
        return False
    return True


def _why_left_out(status: SessionStatus | None) -> str:
    if status is None:
        return "WAHA does not have it."
    if status is SessionStatus.WORKING:
        return "WAHA did not tell its account yet."
    return (
        f"it is {status} in WAHA. Once it is WORKING, `wagateway up` or `wagateway worker` reads "
        "what is missing."
    )


async def _watch(
    gateway: Gateway, worker: SyncWorker, wish: Wish, sessions: Sequence[str], begun: datetime
) -> None:
    """Show how far it is until all that *wish* means is read.

    Raises:
        Rejected: the engine could not be asked for _STUCK_LOOKS in a row.
    """
    stuck = 0
    with open_sync_screen() as screen:
        while True:
            outcome = await _outcome(gateway, wish, sessions, worker)
            left = sum(_count(report, wish, _DOING) for report in outcome.sessions)
            looking = any(_looking(report, wish, begun) for report in outcome.sessions)
            chats = sum(sum(report.counts.values()) for report in outcome.sessions)
            screen.show(
                Progress(
                    chats=1 if wish.chat else chats,
                    left=left,
                    looking=looking,
                    messages=outcome.messages,
                    stored=outcome.stored,
                    problem=worker.state.problem or _problem(outcome.sessions),
                )
            )
            if left == 0 and not looking:
                return
            stuck = stuck + 1 if _cannot_be_asked(worker, outcome.sessions) else 0
            if stuck >= _STUCK_LOOKS:
                problem = worker.state.problem or _problem(outcome.sessions)
                raise Rejected(
                    f"WAHA cannot be asked now: {problem}. Mend that and run this again, or leave "
                    "it to `wagateway up` or `wagateway worker`, which go on by themselves."
                )
            await asyncio.sleep(_LOOK_S)


def _cannot_be_asked(worker: SyncWorker, sessions: Sequence[SyncReport]) -> bool:
    if worker.state.problem is not None:
        return True
    tasks = [report.session_task for report in sessions]
    return worker.state.running == 0 and any(task and task.problem for task in tasks)


def _problem(sessions: Sequence[SyncReport]) -> str | None:
    tasks = [report.session_task for report in sessions]
    return next((task.problem for task in tasks if task and task.problem), None)


def _meant(report: SyncReport, wish: Wish) -> list[TaskView]:
    """Return the chats of *report*, none of which is idle, that *wish* is about."""
    if wish.chat is None:
        return list(report.chats)
    return [task for task in report.chats if task.chat_id == wish.chat]


def _count(report: SyncReport, wish: Wish, statuses: Collection[SyncStatus]) -> int:
    """Return how many chats that *wish* is about are in one of *statuses*."""
    return sum(task.status in statuses for task in _meant(report, wish))


def _looking(report: SyncReport, wish: Wish, begun: datetime) -> bool:
    """Tell whether the look at all chats is still to come or under way."""
    whole = report.session_task
    if wish.chat is not None or whole is None or whole.status not in _DOING:
        return False
    return whole.caught_up_at is None or whole.caught_up_at < begun


def ending(outcome: Outcome, wish: Wish) -> ExitCode:
    """Return FAILED where something was to be read, and was not, although WAHA has it."""
    if wish.what != "sync":
        return ExitCode.OK
    stopped = {SyncStatus.FAILED, SyncStatus.PAUSED}
    chats = any(_count(report, wish, stopped) for report in outcome.sessions)
    sessions = any(each.status is not None or wish.session for each in outcome.left_out)
    return ExitCode.FAILED if chats or sessions else ExitCode.OK


def show(outcome: Outcome, wish: Wish, timezone: str) -> None:
    """Print *outcome* for people of *timezone*."""
    if wish.what == "sync":
        read = counted(outcome.messages, "message")
        click.echo(f"{read} read, {outcome.stored:,} of them new.")
        if outcome.paused:
            click.echo(
                f"Not all was read: {_paused_chats(outcome.paused)} until `wagateway sync "
                f"{wish.session or 'SESSION'} --resume`."
            )
    for report in outcome.sessions:
        click.echo("\n".join(_lines(report, wish, timezone)))


def _lines(report: SyncReport, wish: Wish, timezone: str) -> list[str]:
    health = report.health
    reason = f" ({health.reason})" if health.reason else ""
    counts = ", ".join(f"{number:,} {status}" for status, number in report.counts.items() if number)
    lines = [f"{report.session}: {health.level}{reason}; chats: {counts or 'none yet'}"]
    if health.probed_at is not None:
        lines[0] += f"; all looked at {shown(health.probed_at, timezone)}"
    if report.counts.get(SyncStatus.PAUSED) or _paused(report.session_task):
        lines.append(f"  {_what_is_paused(report)}; --resume lets it go on")
    tasks = _meant(report, wish)
    if wish.chat is None and _paused(report.session_task):
        tasks = [task for task in tasks if task.status is not SyncStatus.PAUSED]
    lines += [_line(task, timezone) for task in tasks[:20]]
    if wish.chat is not None and not tasks:
        lines.append(f"  {wish.chat:<32}{SyncStatus.IDLE}")
    if len(tasks) > 20:  # noqa: PLR2004 - as many as are shown
        lines.append(f"  … and {counted(len(tasks) - 20, 'other chat')}; --json has them all")
    return lines


def _paused(task: TaskView | None) -> bool:
    return task is not None and task.status is SyncStatus.PAUSED


def _paused_chats(number: int) -> str:
    return f"{counted(number, 'chat')} {'is' if number == 1 else 'are'} paused"


def _what_is_paused(report: SyncReport) -> str:
    chats = counted(report.counts.get(SyncStatus.PAUSED, 0), "chat")
    if _paused(report.session_task):
        return f"paused: the look at all chats, and {chats}"
    return f"paused: {chats}, while the look at all chats goes on"


def _line(task: TaskView, timezone: str) -> str:
    work = "" if task.work is Next.PAUSED else task.work  # as its status says
    parts = [f"  {task.chat_id or 'all chats':<32}{task.status:<9}{work:<10}"]
    if task.reached is not None:
        parts.append(f"back to {shown(task.reached, timezone)}")
    if task.problem is not None:
        parts.append(task.problem)
    return " ".join(parts).rstrip()
