"""How sync goes about it."""

from datetime import datetime, timedelta

from msgspec import Struct

from wagateway.domain.patience import Patience
from wagateway.domain.sync import SyncState, fresh
from wagateway.domain.walk import SETTLE


class SyncPlan(Struct, frozen=True, kw_only=True):
    """How sync goes about it.

    Attributes:
        interval: between two looks at all chats of a session.
        batch: messages that are asked for at once, 20 to 1000.
        lookback: how far the first look goes back, and a regular one every *people_every*.
        depth: how far back the history of each chat is read; None: as far as the engine's goes.
        patience: how failures are answered.
        concurrent: tasks of one worker at the same time.
        turn_pages: pages of a chat before others have their turn.
        lease: how long a task stays with a worker that stores no page.
        overlap: how far a look goes back behind the last one.
        settle: how long a session must have been working before what it says is a proof.
        silent_after: without any webhook for so long, all since the last one is looked at.
        people_every: between two readings of contacts, groups and links.
        unknown_after: how long a chat is left alone that the engine does not know.
    """

    interval: timedelta = timedelta(minutes=5)
    batch: int = 100
    lookback: timedelta = timedelta(days=7)
    depth: timedelta | None = None
    patience: Patience = Patience()
    concurrent: int = 5
    turn_pages: int = 20
    lease: timedelta = timedelta(minutes=3)
    overlap: timedelta = timedelta(minutes=10)
    settle: timedelta = SETTLE
    silent_after: timedelta = timedelta(minutes=15)
    people_every: timedelta = timedelta(hours=6)
    unknown_after: timedelta = timedelta(days=1)

    def begin(self, now: datetime) -> SyncState:
        """Return the state in which a chat begins."""
        return fresh(now, since=now - self.depth if self.depth else None)
