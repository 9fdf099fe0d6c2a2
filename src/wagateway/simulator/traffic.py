"""The stream of webhook deliveries that WAHA would send, endless and the same for the same seed."""

import heapq
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from itertools import count

from wagateway.simulator.crowd import crowded_world
from wagateway.simulator.delivery import Delivery
from wagateway.simulator.dice import Dice
from wagateway.simulator.disruptions import Disruptions
from wagateway.simulator.engine import Engine, EngineName
from wagateway.simulator.eras import Plan, eras, life_of
from wagateway.simulator.faults import USUAL, Faults
from wagateway.simulator.files import Shelf
from wagateway.simulator.happenings import AnyHappening
from wagateway.simulator.offers import Media
from wagateway.simulator.voice import ENGINES, Request, Voice, voices
from wagateway.simulator.world import SMALLEST, World

BURST_PER_S = 100.0
"""How fast the past is delivered."""

_LOSS_WINDOW_MS = 10_000


class Traffic:
    """What a WAHA server delivers for one session.

    Iterating yields deliveries in the order of their offsets, without end, and always the same
    ones from the beginning. Events come in about the order in which they happened, but not
    quite, and some come twice: see Delivery. Two streams of one seed with different starts are
    about the same account, people and chats, and have no message in common.

    Attributes:
        world: who and what the traffic is about, in the beginning.
        session: WAHA's name of it.
        plan: what the stream depends on.
    """

    def __init__(  # noqa: PLR0913 - what can be set of a simulated session
        self,
        *,
        start: datetime,
        seed: int = 1,
        session: str = "default",
        engine: EngineName | None = EngineName.NOWEB,
        chats: int = SMALLEST,
        history: timedelta = timedelta(days=3),
        rate: float = 2.0,
        faults: Faults = USUAL,
        also_as_message: float = 0.3,
        hmac_key: str | None = None,
        metadata: Mapping[str, str] | None = None,
        media: Media | None = None,
        shelf: Shelf | None = None,
        served: bool = False,
    ) -> None:
        """Describe a stream.

        Args:
            start: aware instant at which the present begins, cut to milliseconds.
            seed: decides on the people and, with *start* and *session*, on what happens.
            session: WAHA's session name.
            engine: which engine speaks; None: each conversation comes through another one.
            chats: about how many chats there are; at least 17 and at most 10,000.
            history: how far the past reaches back that comes first, in one burst of a few
                hundred deliveries; zero for none.
            rate: deliveries per second of the present, on average; above 0.
            faults: what goes wrong, how often.
            also_as_message: share of incoming messages that come as ``message`` as well, as they
                do for who subscribes to both.
            hmac_key: signs the deliveries.
            metadata: the session's ``config.metadata``.
            media: how WAHA deals with files.
            shelf: the files that are sent around; None: those of *media* and *seed*.
            served: somebody serves the files, so that it can be told which ones can be had.

        Raises:
            ValueError: *start* is naive, *history* negative, or *rate* not above 0.
        """
        if start.tzinfo is None:
            raise ValueError("start must be an aware datetime, for instance datetime.now(UTC)")
        if history < timedelta(0) or not rate > 0:
            raise ValueError("history must not be negative, and rate must be above 0")
        self._media = media or Media()
        self._served = served
        self.world: World = crowded_world(seed, chats)
        start_ms = int(start.astimezone(UTC).timestamp() * 1000)
        self.plan = Plan(
            seed=seed,
            chats=chats,
            key=f"{seed}/{session}/{start_ms}",
            start_ms=start_ms,
            history_ms=int(history.total_seconds() * 1000),
            rate=rate,
            faults=faults,
            shelf=shelf or Shelf(self._media.stock, seed),
        )
        self._engine = engine
        self.session = session
        self._also_as_message = also_as_message
        self._metadata = metadata or {}
        self._hmac_key = hmac_key

    def __iter__(self) -> Iterator[Delivery]:
        return Disruptions(self.plan).held_back(self._deliveries())

    def _deliveries(self) -> Iterator[Delivery]:
        burst = count()
        burst_s = 0.0
        loss = _Loss(self.plan)
        for due_ms, request in self._requests():
            if due_ms < self.plan.start_ms:
                burst_s = next(burst) / BURST_PER_S
                offset_s = burst_s
            else:
                offset_s = max(burst_s, (due_ms - self.plan.start_ms) / 1000)
            yield _delivery(request, offset_s, due_ms, lost=loss.covers(due_ms))

    def first_engine(self) -> Engine:
        """Return who speaks in the beginning; of several, the first."""
        kind = next(kind for kind in ENGINES if self._engine in {None, kind.name})
        return kind(self.world, self.session, self._media)

    def _requests(self) -> Iterator[tuple[int, Request]]:
        """Yield requests with the instant at which they are sent, in its order."""
        waiting: list[tuple[int, int, Request]] = []
        number = count()
        dice = Dice("network", self.plan.key)
        for happening, voice in self._told():
            while waiting and waiting[0][0] <= happening.at_ms:
                due_ms, _, request = heapq.heappop(waiting)
                yield due_ms, request
            for due_ms, request in voice.requests(happening, dice):
                heapq.heappush(waiting, (due_ms, next(number), request))

    def _told(self) -> Iterator[tuple[AnyHappening, Voice]]:
        """Yield all that happens, with who tells it."""
        disruptions = Disruptions(self.plan)
        for era in eras(self.plan):
            speaking = voices(
                self._engine,
                era.world,
                session=self.session,
                key=f"{self.plan.key}/{era.number}",
                faults=self.plan.faults,
                also_as_message=self._also_as_message,
                metadata=self._metadata,
                hmac_key=self._hmac_key,
                media=self._media,
                served=self._served,
            )
            for happening in disruptions.told(life_of(era, self.plan)):
                yield happening, speaking[happening.scene % len(speaking)]


class _Loss:
    """The windows of time in which WAHA gives up on what it should send."""

    def __init__(self, plan: Plan) -> None:
        self._key = plan.key
        self._rate = plan.faults.loss

    def covers(self, due_ms: int) -> bool:
        return self._rate > 0 and Dice("loss", self._key, due_ms // _LOSS_WINDOW_MS).chance(
            self._rate
        )


def _delivery(request: Request, offset_s: float, due_ms: int, *, lost: bool) -> Delivery:
    return Delivery(
        offset_s=offset_s,
        event=request.event,
        body=request.body,
        headers=request.headers,
        repeated=request.repeated,
        cut=request.cut,
        lost=lost,
        fact=request.fact,
        due_ms=due_ms,
        held_ms=request.held_ms,
        engine=request.engine,
    )


__all__ = ["BURST_PER_S", "Delivery", "Traffic"]
