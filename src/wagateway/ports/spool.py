"""Where deliveries wait, durably, while the database is away."""

from abc import ABC, abstractmethod
from collections.abc import Collection, Sequence
from datetime import datetime

from msgspec import Struct

from wagateway.domain.events import Source

_USUAL_BYTES = 16 * 1024


class SpooledBody(Struct, frozen=True, kw_only=True):
    """One body as the engine sent it.

    Attributes:
        body: one envelope, or a JSON array of envelopes.
        received_at: aware UTC.
        source: which way it came.
    """

    body: bytes
    received_at: datetime
    source: Source = Source.WEBHOOK


class SpoolEntry(Struct, frozen=True, kw_only=True):
    """What one call of put() kept: bodies that are let go of together, in their order.

    Attributes:
        key: what the spool knows it by.
        bodies: none where there is a *problem*.
        problem: why it cannot be read, and never will be; None: it can.
    """

    key: str
    bodies: tuple[SpooledBody, ...]
    problem: str | None = None


class SpoolDepth(Struct, frozen=True, kw_only=True):
    """What waits in a spool.

    Attributes:
        entries: that wait to be recorded.
        size_bytes: of these, about.
        oldest_at: when the first of them was kept; None where nothing waits.
        set_aside: entries that could not be recorded, and are kept for people to look at.
        max_bytes: how much may wait; None: nobody said.
    """

    entries: int = 0
    size_bytes: int = 0
    oldest_at: datetime | None = None
    set_aside: int = 0
    max_bytes: int | None = None

    @property
    def is_full(self) -> bool:
        """Whether a webhook of usual size is refused."""
        return self.max_bytes is not None and self.size_bytes + _USUAL_BYTES > self.max_bytes


class Spool(ABC):
    """Keeps bodies until they are recorded; it can give one twice, and never less than it took.

    Several processes may share one. Any method may raise StoreUnavailable: the spool is away, too
    slow, or gives no proof that it is durable; put() may have kept what it was given even so.
    """

    @abstractmethod
    async def prepare(self) -> None:
        """Make its place where it is absent, and prove that it keeps what it is given.

        Raises:
            StoreUnavailable: it cannot be used; the message says what to do.
        """

    @abstractmethod
    async def put(self, bodies: Sequence[SpooledBody]) -> None:
        """Keep *bodies*, one or more; return once they are on disk.

        Raises:
            StoreUnavailable: also when it is full.
        """

    @abstractmethod
    async def oldest(self, *, limit: int, without: Collection[str] = ()) -> Sequence[SpoolEntry]:
        """Return up to *limit* entries, 1 or more, in the order of their arrival.

        Fewer where they are large; none of those with the keys *without*. What cannot be read now,
        as what a newer version kept, stays where it is and is passed over.

        They stay until let_go(). Who called last has the spool to itself for a while, or until
        release(); others get nothing meanwhile, so that the same is not recorded by each. That is a
        courtesy: were the same recorded twice, the second time is a repetition.

        Raises:
            StoreUnavailable: also where nothing else waits than what cannot be read now.
        """

    @abstractmethod
    async def release(self) -> None:
        """Let others have the spool at once, if it is ours."""

    @abstractmethod
    async def let_go(self, keys: Collection[str]) -> None:
        """Remove entries that are recorded; those that are gone already are no error.

        Raises:
            StoreUnavailable: some are left; the others are gone.
        """

    @abstractmethod
    async def set_aside(self, key: str) -> None:
        """Take an entry out of the way that cannot be recorded, and keep it for people.

        One that is gone already is no error.
        """

    @abstractmethod
    async def put_back(self) -> int:
        """Let all wait again that was set aside, and return how many that were."""

    @abstractmethod
    async def depth(self) -> SpoolDepth:
        """Return what waits."""
