"""One engine's side of the traffic: turns what happens into webhook requests, faults included."""

from collections.abc import Iterator, Mapping, Sequence
from itertools import count

from msgspec import Struct
from msgspec.structs import replace

from wagateway.simulator import breakage
from wagateway.simulator.contents import Attachment, Fetch
from wagateway.simulator.dice import Dice
from wagateway.simulator.engine import Engine, EngineName
from wagateway.simulator.facts import Fact, Promise
from wagateway.simulator.faults import Faults
from wagateway.simulator.gows import Gows
from wagateway.simulator.happenings import (
    AnyHappening,
    Note,
    Sent,
    attached,
)
from wagateway.simulator.noweb import Noweb
from wagateway.simulator.offers import Media
from wagateway.simulator.webjs import Webjs
from wagateway.simulator.wire import Emission, Frame, event_id, headers, request_id
from wagateway.simulator.world import World

ENGINES: tuple[type[Engine], ...] = (Noweb, Gows, Webjs)

_RETRY_MS = 2000
"""WAHA's default pause before it sends again."""
_LATER_MS = 20_000
_DAY_MS = 86_400_000


class Request(Struct, frozen=True, kw_only=True):
    """A delivery whose place in the stream is still open; see `traffic.Delivery`."""

    event: str
    body: bytes
    headers: dict[str, str]
    fact: Fact | None
    engine: Engine
    repeated: bool = False
    cut: bool = False
    held_ms: int = 0


def voices(  # noqa: PLR0913 - what can be set of a voice
    engine: EngineName | None,
    world: World,
    *,
    session: str,
    key: str,
    faults: Faults,
    also_as_message: float,
    metadata: Mapping[str, str],
    hmac_key: str | None,
    media: Media | None = None,
    served: bool = False,
) -> Sequence["Voice"]:
    """Return who speaks: one *engine*, or all of them for None; see Voice."""
    return [
        Voice(
            kind(world, session, media),
            key=key,
            faults=faults,
            also_as_message=also_as_message,
            metadata=metadata,
            hmac_key=hmac_key,
            served=served,
        )
        for kind in ENGINES
        if engine in {None, kind.name}
    ]


class Voice:
    """What one engine makes of what happens."""

    def __init__(
        self,
        engine: Engine,
        *,
        key: str,
        faults: Faults,
        also_as_message: float,
        metadata: Mapping[str, str],
        hmac_key: str | None,
        served: bool = False,
    ) -> None:
        """Let *engine* speak; *served* says whether its files can be fetched from somewhere."""
        self._engine = engine
        self._served = served
        self._frame = Frame(
            session=engine.session, engine=engine.name.value, me=engine.me(), metadata=metadata
        )
        self._clock_key = key
        self._key = f"{key}/{engine.name}"
        self._faults = faults
        self._also_as_message = also_as_message
        self._hmac_key = hmac_key
        self._count = count()

    def requests(self, happening: AnyHappening, dice: Dice) -> Iterator[tuple[int, Request]]:
        """Yield the requests for *happening*, each with the instant at which it is sent."""
        first = _without_file(happening)
        if first is not None:
            early = Dice("later", first.note.stanza)
            yield from self._requests(first, early)
            pause_ms = early.number(1000, _LATER_MS)
            happening = replace(happening, at_ms=happening.at_ms + pause_ms)
        yield from self._requests(happening, dice)

    def _requests(self, happening: AnyHappening, dice: Dice) -> Iterator[tuple[int, Request]]:
        """Yield the requests of one telling."""
        emission = self._engine.tell(happening)
        if emission is None:
            return
        note = happening.note if isinstance(happening, Sent) else None
        built_ms = happening.at_ms + _handling_ms(note, dice)
        broken = dice.chance(self._faults.malformed)
        number = next(self._count)
        fact = self._fact(happening, emission, f"{self._key}/{number}" if broken else None)
        if dice.chance(self._faults.huge):
            emission = breakage.huge(emission)
        twice = note is not None and not note.from_me and dice.chance(self._also_as_message)
        key = (self._key, number)
        shown_ms = built_ms + self._skew_ms(happening.scene)
        for event in ("message", emission.event) if twice else (emission.event,):
            told = Emission(event=event, payload=emission.payload)
            same = () if self._engine.shares_event_ids else (event,)
            identity = event_id(max(0, shown_ms), *key, *same)
            request = self._request(told, shown_ms, identity, (*key, event), fact)
            late_ms = int(note.late_s * 1000) if note else 0
            yield from self._sent(request, built_ms + dice.number(5, 60) + late_ms, dice)
        yield from self._noise(emission, fact, built_ms, key, dice)

    def _sent(self, request: Request, due_ms: int, dice: Dice) -> Iterator[tuple[int, Request]]:
        """Yield *request* when it is sent, and when it is sent again."""
        faults = self._faults
        held_ms = 0
        if dice.chance(faults.reorder):
            held_ms += dice.number(100, 30_000)
        if dice.chance(faults.late):
            held_ms += dice.number(30_000, 600_000)
        due_ms += held_ms
        request = self._held(request, held_ms)
        if dice.chance(faults.drop):
            request = replace(request, cut=True)
        yield due_ms, request
        if dice.chance(faults.duplicate):
            yield due_ms + _RETRY_MS, replace(request, repeated=True, cut=False)

    def _held(self, request: Request, held_ms: int) -> Request:
        """Return *request* after it was held up: a file may be gone meanwhile."""
        fact, lifetime_ms = request.fact, self._engine.files.lifetime_s * 1000
        file = fact and attached(fact.happening)
        if fact and file and fact.promise and 0 < lifetime_ms <= held_ms:
            fact = replace(fact, promise=_promise_again(file))
        return replace(request, held_ms=held_ms, fact=fact)

    def _noise(
        self,
        emission: Emission,
        fact: Fact,
        built_ms: int,
        key: tuple[object, ...],
        dice: Dice,
    ) -> Iterator[tuple[int, Request]]:
        """Yield what nobody should send, beside *emission*."""
        if fact.broken is not None:
            broken, whole = breakage.malformed(emission, dice)
            doubtful = replace(fact, sure=False, revealed=fact.revealed if whole else ())
            yield self._extra(broken, doubtful, built_ms, (*key, "broken"), dice)
        if dice.chance(self._faults.unknown):
            strange = breakage.unknown(dice, built_ms)
            yield self._extra(strange, None, built_ms, (*key, "unknown"), dice)

    def _extra(
        self,
        emission: Emission,
        fact: Fact | None,
        built_ms: int,
        key: tuple[object, ...],
        dice: Dice,
    ) -> tuple[int, Request]:
        request = self._request(emission, built_ms, event_id(built_ms, *key), key, fact)
        return built_ms + dice.number(5, 5000), request

    def _request(
        self,
        emission: Emission,
        built_ms: int,
        identity: str,
        key: tuple[object, ...],
        fact: Fact | None,
    ) -> Request:
        body = self._frame.envelope(emission, event_id=identity, built_ms=built_ms)
        fields = headers(
            body, request_id=request_id(*key), built_ms=built_ms, hmac_key=self._hmac_key
        )
        return Request(
            event=emission.event, body=body, headers=fields, fact=fact, engine=self._engine
        )

    def _fact(self, happening: AnyHappening, emission: Emission, broken: str | None) -> Fact:
        ack = emission.payload.get("ack")
        return Fact(
            session=self._engine.session,
            account=self._engine.account,
            happening=happening,
            kind=self._engine.kind(happening.note) if isinstance(happening, Sent) else None,
            ack=ack if isinstance(ack, int) else None,
            revealed=self._engine.reveals(happening),
            promise=self._promise(happening) if self._served else None,
            repeats=self._engine.repeats(happening),
            broken=broken,
        )

    def _promise(self, happening: AnyHappening) -> Promise | None:
        """Return whether the file that an event is about can be had by what it offers."""
        file = attached(happening)
        if file is None or not self._engine.shows_file(happening.note):  # type: ignore[union-attr]
            return None
        if file.fetch is not Fetch.SAVED or file.fate.early:
            return _promise_again(file)
        # Whoever asks for the message in time is told the right address of what was saved.
        doubtful = file.fate.misleads or self._faults.file_wipe
        return Promise.PERHAPS if doubtful else Promise.YES

    def _skew_ms(self, scene: int) -> int:
        """Return how wrong WAHA's clock is while *scene* is told."""
        if not self._faults.clock_skew:
            return 0
        dice = Dice("clock", self._clock_key, scene)
        return dice.number(-_DAY_MS, _DAY_MS) if dice.chance(self._faults.clock_skew) else 0


def _without_file(happening: AnyHappening) -> Sent | None:
    """Return how a message is told whose file WAHA has later; None of any other.

    In one of three ways: nothing is said of the file, or no address, or that it could not be had.
    """
    file = attached(happening)
    if file is None or not isinstance(happening, Sent):
        return None
    if not file.fate.later or file.fetch is not Fetch.SAVED:
        return None
    note = happening.note
    fetch = Dice("untold", note.stanza).pick((Fetch.SKIPPED, Fetch.FAILED, Fetch.UNTOLD))
    return replace(happening, note=replace(note, content=replace(file, fetch=fetch)))


def _promise_again(file: Attachment) -> Promise:
    """Return whether *file* can be had by asking for its message."""
    return Promise.NO if file.gone else Promise.PERHAPS


def _handling_ms(note: Note | None, dice: Dice) -> int:
    """Return how long WAHA needs before it emits; files are downloaded first."""
    if note is not None and isinstance(note.content, Attachment) and not note.from_me:
        return dice.number(700, 6000)
    return dice.number(20, 500)
