"""The stream of webhook deliveries that WAHA would send, endless and the same for the same seed."""

import heapq
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from itertools import count

from msgspec import Struct

from wagateway.simulator.dice import Dice
from wagateway.simulator.engine import Engine, EngineName
from wagateway.simulator.gows import Gows
from wagateway.simulator.happenings import AnyHappening, Attachment, Note, Sent
from wagateway.simulator.life import happenings
from wagateway.simulator.noweb import Noweb
from wagateway.simulator.stage import Cast
from wagateway.simulator.webjs import Webjs
from wagateway.simulator.wire import Emission, Frame, event_id, headers, request_id
from wagateway.simulator.world import create_world

ENGINES: tuple[type[Engine], ...] = (Noweb, Gows, Webjs)

BURST_PER_S = 100.0
"""How fast the past is delivered."""

_ALSO_AS_MESSAGE = 0.3
_SENT_AGAIN = 0.04
_RETRY_MS = 2000
"""WAHA's default pause before it sends again."""


class Delivery(Struct, frozen=True, kw_only=True):
    """One webhook request.

    Attributes:
        offset_s: when to send it, in seconds after the first delivery of the stream; never falls.
        event: the event's name, as in the body.
        body: UTF-8 JSON.
        headers: all that WAHA sets, apart from custom ones.
        repeated: the same request was in the stream before; WAHA did not see its answer.
    """

    offset_s: float
    event: str
    body: bytes
    headers: dict[str, str]
    repeated: bool = False


class Traffic:
    """What a WAHA server delivers for one session.

    Iterating yields deliveries in the order of their offsets, without end, and always the same
    ones from the beginning. Events come in about the order in which they happened, but not
    quite, and some come twice: see Delivery. Two streams of one seed with different starts are
    about the same account, people and chats, and have no message in common.

    Attributes:
        world: who and what the traffic is about.
    """

    def __init__(
        self,
        *,
        start: datetime,
        seed: int = 1,
        session: str = "default",
        engine: EngineName | None = EngineName.NOWEB,
        history: timedelta = timedelta(days=3),
        rate: float = 2.0,
        hmac_key: str | None = None,
        metadata: Mapping[str, str] | None = None,
    ) -> None:
        """Describe a stream.

        Args:
            start: aware instant at which the present begins, cut to milliseconds.
            seed: decides on the people and, with *start* and *session*, on what happens.
            session: WAHA's session name.
            engine: which engine speaks; None: each conversation comes through another one.
            history: how far the past reaches back that comes first, in one burst of a few
                hundred deliveries; zero for none.
            rate: deliveries per second of the present, on average; above 0.
            hmac_key: signs the deliveries.
            metadata: the session's ``config.metadata``.

        Raises:
            ValueError: *start* is naive, *history* negative, or *rate* not above 0.
        """
        if start.tzinfo is None:
            raise ValueError("start must be an aware datetime, for instance datetime.now(UTC)")
        if history < timedelta(0) or not rate > 0:
            raise ValueError("history must not be negative, and rate must be above 0")
        self.world = create_world(seed)
        self._start_ms = int(start.astimezone(UTC).timestamp() * 1000)
        self._history_ms = int(history.total_seconds() * 1000)
        self._rate = rate
        self._key = f"{seed}/{session}/{self._start_ms}"
        self._engine = engine
        self._session = session
        self._metadata = metadata or {}
        self._hmac_key = hmac_key

    def __iter__(self) -> Iterator[Delivery]:
        burst = count()
        burst_s = 0.0
        for due_ms, request in self._requests():
            if due_ms < self._start_ms:
                burst_s = next(burst) / BURST_PER_S
                offset_s = burst_s
            else:
                offset_s = max(burst_s, (due_ms - self._start_ms) / 1000)
            yield request.at(offset_s)

    def _voices(self) -> list["_Voice"]:
        kinds = [kind for kind in ENGINES if self._engine in {None, kind.name}]
        return [
            _Voice(
                kind(self.world, self._session),
                self._session,
                self._metadata,
                self._key,
                self._hmac_key,
            )
            for kind in kinds
        ]

    def _requests(self) -> Iterator[tuple[int, "_Request"]]:
        """Yield requests with the instant at which they are sent, in its order."""
        waiting: list[tuple[int, int, _Request]] = []
        number = count()
        dice = Dice("network", self._key)
        voices = self._voices()
        life = happenings(
            Cast(self.world, self._key),
            self._key,
            start_ms=self._start_ms,
            history_ms=self._history_ms,
            rate=self._rate,
        )
        for happening in life:
            while waiting and waiting[0][0] <= happening.at_ms:
                due_ms, _, request = heapq.heappop(waiting)
                yield due_ms, request
            voice = voices[happening.scene % len(voices)]
            for due_ms, request in voice.requests(happening, dice):
                heapq.heappush(waiting, (due_ms, next(number), request))


class _Request(Struct, frozen=True, kw_only=True):
    """A delivery whose place in the stream is still open."""

    event: str
    body: bytes
    headers: dict[str, str]
    repeated: bool = False

    def at(self, offset_s: float) -> Delivery:
        return Delivery(
            offset_s=offset_s,
            event=self.event,
            body=self.body,
            headers=self.headers,
            repeated=self.repeated,
        )


class _Voice:
    """One engine's side of the traffic: turns what happens into requests."""

    def __init__(
        self,
        engine: Engine,
        session: str,
        metadata: Mapping[str, str],
        key: str,
        hmac_key: str | None,
    ) -> None:
        self._engine = engine
        self._frame = Frame(
            session=session, engine=engine.name.value, me=engine.me(), metadata=metadata
        )
        self._key = f"{key}/{engine.name}"
        self._hmac_key = hmac_key
        self._count = count()

    def requests(self, happening: AnyHappening, dice: Dice) -> Iterator[tuple[int, _Request]]:
        """Yield the requests for *happening*, each with the instant at which it is sent."""
        emission = self._engine.tell(happening)
        if emission is None:
            return
        note = happening.note if isinstance(happening, Sent) else None
        built_ms = happening.at_ms + _handling_ms(note, dice)
        twice = note is not None and not note.from_me and dice.chance(_ALSO_AS_MESSAGE)
        key = (self._key, next(self._count))
        for event in ("message", emission.event) if twice else (emission.event,):
            told = Emission(event=event, payload=emission.payload)
            same = () if self._engine.shares_event_ids else (event,)
            request = self._request(told, built_ms, event_id(built_ms, *key, *same), (*key, event))
            late_ms = int(note.late_s * 1000) if note else 0
            due_ms = built_ms + dice.number(5, 60) + late_ms
            yield due_ms, request
            if dice.chance(_SENT_AGAIN):
                yield due_ms + _RETRY_MS, _again(request)

    def _request(
        self, emission: Emission, built_ms: int, identity: str, key: tuple[object, ...]
    ) -> _Request:
        body = self._frame.envelope(emission, event_id=identity, built_ms=built_ms)
        fields = headers(
            body, request_id=request_id(*key), built_ms=built_ms, hmac_key=self._hmac_key
        )
        return _Request(event=emission.event, body=body, headers=fields)


def _again(request: _Request) -> _Request:
    return _Request(event=request.event, body=request.body, headers=request.headers, repeated=True)


def _handling_ms(note: Note | None, dice: Dice) -> int:
    """Return how long WAHA needs before it emits; files are downloaded first."""
    if note is not None and isinstance(note.content, Attachment) and not note.from_me:
        return dice.number(700, 6000)
    return dice.number(20, 500)
