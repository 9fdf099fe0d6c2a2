"""What people ask of sync: how complete is the archive, what is under way, and do it now."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

import msgspec
from msgspec import Struct

from wagateway.domain.archives import no_session
from wagateway.domain.coverage import (
    Absences,
    Evidence,
    Gap,
    Next,
    absences,
    coverage,
    live,
    next_step,
)
from wagateway.domain.errors import InvalidInput, NotFound
from wagateway.domain.events import SessionStatus
from wagateway.domain.health import Health, session_health
from wagateway.domain.identity import Jid, SessionName, canonical, resolve_links
from wagateway.domain.spans import Spans, union
from wagateway.domain.sync import (
    SyncState,
    SyncStatus,
    deepened,
    paused,
    resumed,
    woken,
)
from wagateway.domain.walk import Walk
from wagateway.ports.archive import ArchiveReader
from wagateway.ports.clock import Clock
from wagateway.ports.feed import WakeUp
from wagateway.ports.sync import Archived, SyncStore, SyncTask

_BEHIND = timedelta(minutes=15)
"""How far behind the last look one begins that a person asks for."""


class ChatCoverage(Struct, frozen=True, kw_only=True):
    """How complete one chat is.

    Attributes:
        complete: spans in which everything is archived that the engine offered.
        gaps: what is not known to be complete, with the reason; both fill all time up to now.
        next: what will be done about it.
        reread_at: when its list is read again from the newest on, in case that older messages came
            into it; None before its end was seen.
    """

    chat_id: Jid
    complete: Spans
    gaps: tuple[Gap, ...]
    next: Next
    reread_at: datetime | None = None


class SessionCoverage(Struct, frozen=True, kw_only=True):
    """How complete a session is.

    Attributes:
        live: spans in which deliveries could arrive by webhook; they count as complete only once
            pages proved that none was lost.
        complete: spans that hold for every chat of the session.
        chats: each chat by itself, the latest active one first.
    """

    session: SessionName
    account: Jid | None
    live: Spans
    complete: Spans
    chats: tuple[ChatCoverage, ...]


class TaskView(Struct, frozen=True, kw_only=True):
    """Where the sync of a chat stands, or that of the whole session.

    Attributes:
        chat_id: None for the look at all chats at once.
        work: what is under way or comes next.
        pages: asked for in this walk.
        reached: the oldest instant that this walk saw; None before.
        attempts: failures in a row.
        due_at: when it goes on; None: nothing to do.
        caught_up_at: when the last walk began that came to its end; None before.
    """

    chat_id: Jid | None
    status: SyncStatus
    work: Next
    pages: int
    reached: datetime | None
    attempts: int
    problem: str | None
    due_at: datetime | None
    caught_up_at: datetime | None


class SyncReport(Struct, frozen=True, kw_only=True):
    """The sync of a session.

    Attributes:
        counts: chats by status.
        session_task: the look at all chats; None before a worker found the session.
        chats: what is not idle, in the order of its turn.
    """

    session: SessionName
    account: Jid | None
    status: SessionStatus | None
    health: Health
    counts: dict[SyncStatus, int]
    session_task: TaskView | None
    chats: tuple[TaskView, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class SyncControl:
    """Answers and obeys, whether or not a worker runs.

    Attributes:
        wake_up: of workers; None: they find by looking what they were asked for.
    """

    store: SyncStore
    reader: ArchiveReader
    clock: Clock
    interval: timedelta = timedelta(minutes=5)
    wake_up: WakeUp | None = None

    async def coverage(self, session: SessionName) -> SessionCoverage:
        """Return how complete *session* is.

        Raises:
            NotFound: no such session.
        """
        archive = await self._archive(session)
        now, of_all = self.clock(), await self.store.evidence(archive, None)
        proven, purged = await self.store.proven(archive), await self.store.purged(archive)
        away, whole = absences(of_all, now), of_all.state
        chats = []
        for task in await self.store.tasks(archive):
            if task.chat is not None:
                spans = union(of_all.proven, proven.get(task.chat, ()))
                known = msgspec.structs.replace(
                    of_all,
                    proven=spans,
                    state=task.state,
                    purged_before=purged.of(task.chat),
                )
                chats.append(_chat(task.chat, known, whole, now, away))
        return SessionCoverage(
            session=archive.session,
            account=archive.account,
            live=live(of_all, now),
            complete=coverage(of_all, now, away).complete,
            chats=tuple(chats),
        )

    async def chat_coverage(self, session: SessionName, chat: list[Jid]) -> ChatCoverage:
        """Return how complete a chat is.

        Raises:
            NotFound: no such session, or none of *chat* is one of its chats.
        """
        task = await self._task(await self._archive(session), chat)
        known = await self.store.evidence(task.archive, task.chat)
        whole = (await self.store.evidence(task.archive, None)).state
        return _chat(task.chat or chat[0], known, whole, self.clock())

    async def report(self, session: SessionName) -> SyncReport:
        """Return where the sync of *session* stands.

        Raises:
            NotFound: no such session.
        """
        archive = await self._archive(session)
        views = [v for v in await self.reader.sessions() if v.session == session and v.current]
        status = views[0].status if views else None
        tasks = await self.store.tasks(archive)
        chats = [task for task in tasks if task.chat is not None]
        whole = next((task for task in tasks if task.chat is None), None)
        known = await self.store.evidence(archive, None)
        return SyncReport(
            session=session,
            account=archive.account,
            status=status,
            health=session_health(
                status,
                whole.state if whole else None,
                known,
                now=self.clock(),
                interval=self.interval,
            ),
            counts={
                status: sum(task.state.status is status for task in chats) for status in SyncStatus
            },
            session_task=_view(whole, whole) if whole else None,
            chats=tuple(_view(t, whole) for t in chats if t.state.status is not SyncStatus.IDLE),
        )

    async def start(
        self,
        session: SessionName,
        chat: list[Jid] | None,
        *,
        full: bool = False,
        since: datetime | None = None,
    ) -> int:
        """Let a chat, or all of a session, be read now.

        Args:
            session: which.
            chat: the JIDs that may be meant, the likeliest first; None: all chats.
            full: the whole history again, back to *since* or to the engine's end; else only what
                is missing since the chat was last complete, or since *since*.
            since: aware UTC, not later than now.

        Returns:
            How many tasks were woken.

        Raises:
            InvalidInput: *since* is yet to come.
            NotFound: no such session or chat, or no worker has found it yet.
        """
        now = self.clock()
        if since is not None and since > now:
            raise InvalidInput(
                f"since must not be later than now: {since.isoformat()} is yet to come"
            )

        def act(state: SyncState) -> SyncState:
            if full:
                return deepened(resumed(state, now), now, since=since)
            at = since or (state.caught_up_at or now) - _BEHIND
            return woken(resumed(state, now), now, until=at)

        return await self._change(session, chat, act, whole_only=not full)

    async def pause(self, session: SessionName, chat: list[Jid] | None) -> int:
        """Stop the sync of a chat, or of a session, until it is resumed; return how many.

        Raises:
            NotFound: no such session or chat.
        """
        return await self._change(session, chat, paused)

    async def resume(self, session: SessionName, chat: list[Jid] | None) -> int:
        """Go on with what was paused or failed; return how many.

        Raises:
            NotFound: no such session or chat.
        """
        now = self.clock()

        def act(state: SyncState) -> SyncState:
            return resumed(state, now)

        return await self._change(session, chat, act)

    async def _change(
        self,
        session: SessionName,
        chat: list[Jid] | None,
        act: Callable[[SyncState], SyncState],
        *,
        whole_only: bool = False,
    ) -> int:
        archive = await self._archive(session)
        if chat is not None:
            tasks = [await self._task(archive, chat)]
        else:
            tasks = await self.store.tasks(archive)
            if whole_only:  # one look at all chats finds what is new in any of them
                tasks = [task for task in tasks if task.chat is None]
        if not tasks:
            raise NotFound(
                f"no worker has found the session {session!r} in WAHA yet: start it there, and, "
                "where none runs, set WHATSAPP_CORE_URL and run `wagateway up`, `wagateway worker` "
                "or `wagateway sync`"
            )
        for task in tasks:
            await self.store.alter(task, self._whole(act) if task.chat is None else act)
        if self.wake_up is not None:
            self.wake_up.wake()
        return len(tasks)

    def _whole(self, act: Callable[[SyncState], SyncState]) -> Callable[[SyncState], SyncState]:
        return lambda state: _as_whole(act(state), self.clock())

    async def _archive(self, session: SessionName) -> Archived:
        archives = await self.store.archives()
        for archive in archives:
            if archive.session == session:
                return archive
        raise no_session(session, [archive.session for archive in archives])

    async def _task(self, archive: Archived, chat: list[Jid]) -> SyncTask:
        phones = resolve_links(await self.reader.links(archive.session))
        tasks = {task.chat: task for task in await self.store.tasks(archive)}
        for candidate in chat:
            if (task := tasks.get(canonical(candidate, phones))) is not None:
                return task
        raise NotFound(f"sync has not found a chat {chat[0]} of session {archive.session!r} so far")


def _as_whole(state: SyncState, now: datetime) -> SyncState:
    """Return the state of the look at all chats, which is never idle unless it is paused."""
    if state.status is SyncStatus.PAUSED:
        return state
    return msgspec.structs.replace(
        state,
        status=SyncStatus.PENDING,
        backward=None,
        due_at=now,
        forward=state.forward if state.forward and state.forward.until else None,
    )


def _chat(
    chat: Jid,
    known: Evidence,
    whole: SyncState | None,
    now: datetime,
    away: Absences | None = None,
) -> ChatCoverage:
    judged = coverage(known, now, away)
    return ChatCoverage(
        chat_id=chat,
        complete=judged.complete,
        gaps=judged.gaps,
        next=next_step(known.state, whole),
        reread_at=known.state.reread_at if known.state else None,
    )


def _view(task: SyncTask, whole: SyncTask | None) -> TaskView:
    state, walk = task.state, task.state.walk or Walk()
    return TaskView(
        chat_id=task.chat,
        status=state.status,
        work=next_step(state, whole.state if whole else None),
        pages=walk.pages,
        reached=walk.reached,
        attempts=state.attempts,
        problem=state.problem,
        due_at=state.due_at,
        caught_up_at=state.caught_up_at,
    )
