"""Purging: what is let go for good, in steps that take turns with everything else."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from datetime import datetime

from msgspec import Struct

from wagateway.domain.identity import Jid, SessionName
from wagateway.domain.purges import Purge, PurgeCounts, PurgeTarget


class PurgeTask(Struct, frozen=True, kw_only=True):
    """A purge that was made and has something left to do."""

    target: PurgeTarget
    purge: Purge


class PurgeStore(ABC):
    """What an archive forgets, and what it remembers of that.

    A purge is first remembered: from then on nothing that it is about is taken up. Then what is
    there already goes, step by step. A step is one transaction, so one that is broken off leaves
    the rest to whoever goes on; all steps may be repeated.

    Any method may raise StoreUnavailable: it may or may not have acted; repeating it is safe.
    """

    @abstractmethod
    async def targets(
        self,
        session: SessionName,
        *,
        account: Jid | None = None,
        chat: Sequence[Jid] | None = None,
    ) -> list[PurgeTarget]:
        """Return what is meant, by archive.

        Args:
            session: which.
            account: only the archive of this account; None: all archives of the session.
            chat: the JIDs that may be meant, likeliest first: the first that an archive knows.

        Raises:
            NotFound: no such session or archive, or none of them has the chat.
        """

    @abstractmethod
    async def archives(self) -> list[PurgeTarget]:
        """Return every archive, those of accounts that a session had before among them."""

    @abstractmethod
    async def count(
        self, target: PurgeTarget, before: datetime, *, with_log: bool = False
    ) -> PurgeCounts:
        """Return what a purge of *target* would remove now; nothing changes."""

    @abstractmethod
    async def remember(self, target: PurgeTarget, purge: Purge) -> None:
        """Take up nothing more that *purge* is about.

        Of purges of one target by the same, the one with the later instant counts. Who follows the
        archive is told of one by which more is purged than was until then; of one by age only where
        messages go by it. It is told once, here, whenever they go.

        Args:
            target: whose archive; ``chat`` is that of *purge*.
            purge: what is purged.
        """

    @abstractmethod
    async def step(
        self, target: PurgeTarget, before: datetime, *, limit: int, at: datetime
    ) -> PurgeCounts:
        """Remove up to *limit* messages sent before *before*, with all that is about them.

        Of each stays its key, when it was sent, and under which addresses it was seen. What no
        purge that is remembered is about stays as it is.

        Args:
            target: of a purge that is remembered, up to *before* at least.
            before: aware UTC, exclusive.
            limit: 1 or more.
            at: the present.

        Returns:
            What went; nothing once all is gone.
        """

    @abstractmethod
    async def step_log(self, session: SessionName | None, before: datetime, *, limit: int) -> int:
        """Remove up to *limit* rows of the log, of *session* or of all, received before *before*.

        Returns:
            How many; fewer than *limit* once all are gone.
        """

    @abstractmethod
    async def sweep_log(self, before: datetime) -> int | None:
        """Remove a stretch of the log, of all sessions, that was received wholly before *before*.

        A store may keep the log by time, and remove a stretch at a stroke; step_log() removes the
        rest, and all of it in a store that does not.

        Returns:
            How many rows; None where there is no such stretch, or somebody uses it.
        """

    @abstractmethod
    async def give_back(self) -> None:
        """Give back the room of stretches of time in which nothing is any more.

        A store may do so for some of them, or later; what is archived does not change.
        """

    @abstractmethod
    async def finish(self, target: PurgeTarget, purge: Purge) -> None:
        """Remember that nothing is left to do of *purge*, unless it was made later again."""

    @abstractmethod
    async def unfinished(self) -> list[PurgeTask]:
        """Return the purges of which something may be left to do, the earliest first."""

    @abstractmethod
    async def claim_upkeep(self, now: datetime, *, until: datetime) -> bool:
        """Take the regular upkeep, where it is due, and hold it until then.

        It is given to one caller. When it is over, that one calls put_off_upkeep().
        """

    @abstractmethod
    async def put_off_upkeep(self, until: datetime) -> None:
        """Let the upkeep be due at *until*: the end of a lease, or the next time."""
