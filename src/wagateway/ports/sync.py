"""Sync work: which chats are due, who holds them, how far they are, and what is proven complete."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import datetime, timedelta

import msgspec
from msgspec import Struct

from wagateway.domain.coverage import Evidence
from wagateway.domain.events import Delivery, Recorded, Role
from wagateway.domain.feed import ChangeKind, Item
from wagateway.domain.identity import Jid, SessionName
from wagateway.domain.purges import Cutoffs
from wagateway.domain.spans import Spans
from wagateway.domain.sync import SyncState, SyncStatus
from wagateway.ports.engine import EngineChat


class Archived(Struct, frozen=True, kw_only=True):
    """The archive that work belongs to: a session under one account.

    Attributes:
        id: the store's own key.
    """

    id: int
    session: SessionName
    account: Jid | None


class SyncTask(Struct, frozen=True, kw_only=True):
    """One chat's sync, or that of all chats of a session at once.

    Attributes:
        chat: None: all chats of the archive.
        lease: proves that the work is still ours; None where nobody holds it.
        active_at: of the chat's latest message, as far as the engine told.
        revision: grows with each change of the task.
    """

    archive: Archived
    chat: Jid | None
    state: SyncState
    lease: str | None = None
    active_at: datetime | None = None
    revision: int = 0


def sync_item(chat: Jid | None, status: SyncStatus) -> Item:
    """Return what a task's state is to those who follow the archive."""
    return Item(kind=ChangeKind.SYNC, chat=chat, status=status)


def is_told(deliveries: Sequence[Delivery], keep_until: datetime | None) -> bool:
    """Tell whether who follows the archive is told of a save(): a page, or the end of a turn."""
    return bool(deliveries) or keep_until is None


class SyncStore(ABC):
    """What workers share; all instants are given, aware UTC, so that no store asks for the time.

    A hidden id is its phone once both are known to be one: their tasks become one, which
    reads the chat again and is complete only where both were.

    What save() and change() store is told in the feed of the archive; see is_told().

    Any method may raise StoreUnavailable: it may or may not have acted; repeating it is safe.
    """

    @abstractmethod
    async def archives(self) -> list[Archived]:
        """Return the current archive of each session, by session name."""

    @abstractmethod
    async def enrol(
        self, archive: Archived, chats: Sequence[EngineChat], *, state: SyncState
    ) -> int:
        """Begin to sync *chats* in *state*; those that are known only learn their activity.

        Returns:
            How many are new.
        """

    @abstractmethod
    async def enrol_session(self, archive: Archived, *, state: SyncState) -> bool:
        """Begin to sync all chats of *archive* at once, unless that is known; True if new."""

    @abstractmethod
    async def enrol_heard(self, archive: Archived, *, state: SyncState, limit: int) -> int:
        """Begin to sync up to *limit* chats that the archive knows and no task is for.

        The latest active ones come first.

        Returns:
            How many.
        """

    @abstractmethod
    async def claim(self, now: datetime, *, lease: timedelta, limit: int) -> list[SyncTask]:
        """Take up to *limit* due tasks: sessions, then chats by fewest turns, then latest activity.

        Each is given to one caller, who holds it until *now* + *lease*; then it is due again.

        Args:
            now: the present.
            lease: how long it is held.
            limit: 1 or more.
        """

    @abstractmethod
    async def save(
        self,
        task: SyncTask,
        *,
        proven: Spans = (),
        deliveries: Sequence[Delivery] = (),
        keep_until: datetime | None = None,
    ) -> list[Recorded]:
        """Record *deliveries*, add *proven* to the coverage and store the task's state, together.

        Deliveries that the database refuses are logged as failed, as ``Archive.record`` does.

        Args:
            task: with its new state and the lease under which it was claimed.
            proven: spans that are complete once *deliveries* are recorded.
            deliveries: a page.
            keep_until: go on holding it until then; None gives it back.

        Returns:
            One outcome per delivery, in the order given.

        Raises:
            LeaseLost: somebody else may hold it by now, or it joined another chat because of what
                *deliveries* tell. They are recorded, since they are true; neither its state nor
                *proven* is stored.
        """

    @abstractmethod
    async def tasks(self, archive: Archived) -> list[SyncTask]:
        """Return all tasks of *archive* in the order of their turn: see claim()."""

    @abstractmethod
    async def task(self, archive: Archived, chat: Jid | None) -> SyncTask | None:
        """Return the task of *chat*, of all chats at once for None; None where there is none."""

    @abstractmethod
    async def change(self, task: SyncTask) -> bool:
        """Store the state of a task, which whoever holds it loses.

        Returns:
            False where the task changed since it was read; nothing is stored then.
        """

    async def alter(self, task: SyncTask, act: Callable[[SyncState], SyncState]) -> bool:
        """Store what *act* makes of a task's state, however often others change it meanwhile.

        Whoever holds it loses it, unless *act* leaves the state as it is.

        Returns:
            Whether anything was stored.
        """
        now: SyncTask | None = task
        while now is not None:
            state = act(now.state)
            if state == now.state:
                return False
            if await self.change(msgspec.structs.replace(now, state=state)):
                return True
            now = await self.task(task.archive, task.chat)
        return False

    @abstractmethod
    async def latest(self, archive: Archived, *, wait: timedelta) -> datetime | None:
        """Return the latest instant at which sync is said to have done anything for *archive*.

        Args:
            archive: which.
            wait: before it is due, work that is held, and the look at all chats, waits no longer.
        """

    @abstractmethod
    async def set_right(self, changed: Sequence[SyncTask], *, since: datetime) -> bool:
        """Store the states of tasks of one archive, and take back what is proven since then.

        All of it together; whoever holds one of the tasks loses it.

        Args:
            changed: one or more.
            since: what is proven of earlier stays.

        Returns:
            False where one of them changed since it was read; nothing is stored then.
        """

    @abstractmethod
    async def put_off(self, archive: Archived, *, until: datetime, problem: str) -> int:
        """Let chats of *archive* wait for *until*, since their session cannot be asked.

        Only pending ones that would go on before are changed, and idle ones that would be read
        again, which keep their problem: who failed has a time of its own.

        Returns:
            How many.
        """

    @abstractmethod
    async def go_on(self, archive: Archived, *, now: datetime, problem: str) -> int:
        """Make the pending chats due that wait for *problem*; return how many."""

    @abstractmethod
    async def extend_quiet(
        self, archive: Archived, *, since: datetime, until: datetime, active: Collection[Jid]
    ) -> int:
        """Prove the span from *since* to *until* for chats in which nothing happened.

        Only chats whose coverage reaches *since* and that are not among *active* are extended.

        Returns:
            How many were.
        """

    @abstractmethod
    async def proven(self, archive: Archived) -> dict[Jid, Spans]:
        """Return what is proven of each chat by itself, without what holds for all of them."""

    @abstractmethod
    async def purged(self, archive: Archived) -> Cutoffs:
        """Return before when messages of *archive* are purged: nothing earlier is to be read."""

    @abstractmethod
    async def evidence(self, archive: Archived, chat: Jid | None) -> Evidence:
        """Return what is known of the completeness of *chat*, or of the session for None."""

    @abstractmethod
    async def changed(self, archive: Archived, kind: str, digests: Mapping[str, bytes]) -> set[str]:
        """Return which of the things named in *digests* are new or have another digest.

        Args:
            archive: whose.
            kind: ``contact``, ``group`` or ``lid``.
            digests: by the name of each within its kind.
        """

    @abstractmethod
    async def remember(self, archive: Archived, kind: str, digests: Mapping[str, bytes]) -> None:
        """Remember digests of things that were recorded; see changed()."""

    @abstractmethod
    async def other_roles(
        self, archive: Archived, group: Jid, roles: Mapping[Jid, Role]
    ) -> set[Jid]:
        """Return whose role in *group*, as archived last, is none or another than in *roles*.

        A hidden id counts as its phone where they are linked.
        """

    @abstractmethod
    async def beat(self, process: str, *, since: datetime, until: datetime) -> None:
        """Say that a process that takes in webhooks was up from *since* to *until*.

        Args:
            process: its name, e.g. host and process id.
            since: the same each time, as long as it was up without a break.
            until: exclusive; an earlier one than was said before changes nothing.
        """
