"""Follow the archive: one reader for all who listen in this process, and a queue for each of them.

Who begins in the past, or takes less than comes, reads by itself until it has caught up.
"""

import asyncio
from collections import deque
from collections.abc import Callable, Collection, Coroutine, Iterable, Mapping, Sequence
from contextlib import suppress
from contextvars import Context
from dataclasses import dataclass, field
from typing import Any, TypeVar

from wagateway.domain.errors import Unavailable
from wagateway.domain.feed import (
    OF_A_MESSAGE,
    TOLD,
    ChangeKind,
    FeedPage,
    Item,
    Position,
    Told,
    position_of,
)
from wagateway.domain.identity import Jid, Link, SessionName, canonical, resolve_links
from wagateway.domain.presentation import change_view
from wagateway.domain.records import StanzaKey
from wagateway.domain.views import ChangeView, MessageView
from wagateway.ports.archive import ArchiveReader
from wagateway.ports.clock import Clock
from wagateway.ports.feed import ChangeFeed, WakeUp

_ROWS = 20
"""Transactions a page."""
_REST_S = 0.02
"""Between two looks at least, however often something is committed."""
_AGAIN_S = 1.0
"""After the database could not be asked."""

_LETTING_GO_S = 2.0
"""How long a read may take to end when all is closed."""

T = TypeVar("T")
_Views = Mapping[tuple[SessionName, Jid | None, StanzaKey], Sequence[MessageView]]


@dataclass(slots=True, kw_only=True)
class Wanted:
    """What a listener wants to be told.

    Attributes:
        session: None: of all.
        chats: the addresses of the one chat that is meant; None: all chats. It grows when that
            chat's messages move.
        kinds: of changes.
    """

    session: SessionName | None = None
    chats: set[Jid] | None = None
    kinds: frozenset[ChangeKind] = frozenset(TOLD)

    def takes(self, told: Told) -> bool:
        """Tell whether *told* is wanted; to be asked of each change in order."""
        if self.session is not None and told.session != self.session:
            return False
        return self._is_of_chat(told.item) and told.item.kind in self.kinds

    def _is_of_chat(self, item: Item) -> bool:
        if self.chats is None:
            return True
        if item.was is not None and item.chat is not None and self.chats & {item.was, item.chat}:
            self.chats |= {item.was, item.chat}
        if item.chat is None:
            return item.kind is ChangeKind.PURGE  # of all chats, so of this one, too
        return item.chat in self.chats


@dataclass(slots=True, kw_only=True, eq=False)
class Stream:
    """What one listener is told, from a place on: each wanted change once and in order.

    It reads by itself until it has caught up, then takes what the common reader found. Where more
    waits for it than may, it reads by itself again, at its own pace.

    Attributes:
        place: all that comes before it was handed out, or is not wanted.
        ended: whether nothing comes any more.
    """

    live: "Live"
    wanted: Wanted
    place: Position
    ended: bool = False
    _caught_up: bool = False
    _joined_at: Position | None = None
    _queue: deque[tuple[Position, ChangeView]] = field(default_factory=deque)
    _passed: Position | None = None
    _reading: asyncio.Task[tuple[FeedPage, list[ChangeView]] | None] | None = None
    _ready: asyncio.Event = field(default_factory=asyncio.Event)

    async def next(self, timeout_s: float) -> list[ChangeView] | None:
        """Return what comes next; nothing after a time; None once the stream has ended.

        To be cancelled or to run out of time loses nothing: the next call goes on.
        """
        loop = asyncio.get_running_loop()
        deadline = loop.time() + timeout_s
        try:
            while not self.ended and (left := deadline - loop.time()) > 0:
                if found := await self._found(left):
                    return found
        except Exception as exc:  # noqa: BLE001 - who listens goes on after what was handed out
            self.live.broke(exc)
            self.close()
        return None if self.ended else []

    def close(self) -> None:
        """Listen no more."""
        self.ended = True
        self._ready.set()
        self.live.leave(self)

    async def _found(self, timeout_s: float) -> list[ChangeView]:
        if self._caught_up:
            await self._wait(timeout_s)
            return self._handed_out()
        # A task of its own: to break off a statement would spoil the connection for others.
        if self._reading is None:
            self._reading = self.live.begin(self._read())
        waking = asyncio.create_task(self._ready.wait())
        try:
            await asyncio.wait(
                {self._reading, waking}, timeout=timeout_s, return_when=asyncio.FIRST_COMPLETED
            )
        finally:
            waking.cancel()
        self._ready.clear()
        if not self._reading.done():
            return []
        done, self._reading = self._reading, None
        read = done.result()
        return [] if read is None or self.ended else self._caught(*read)

    async def _wait(self, timeout_s: float) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(timeout_s):
                await self._ready.wait()

    def _handed_out(self) -> list[ChangeView]:
        self._ready.clear()
        found = [view for _, view in self._queue]
        self._queue.clear()
        self.place = self._passed or self.place
        return found

    async def _read(self) -> tuple[FeedPage, list[ChangeView]] | None:
        """Read a page for this listener alone; None where the database is away."""
        if self._joined_at is not None:
            await asyncio.sleep(_REST_S)  # the common reader is further, or missed a reset yet
        try:
            page = await self.live.feed.read(self.place, limit=_ROWS)
            wanted = [told for told in page.told if self.wanted.takes(told)]
            views = await self.live.views(wanted)
        except Unavailable:
            await asyncio.sleep(_AGAIN_S)
            return None
        return page, [_shown(told, views) for told in wanted]

    def _caught(self, page: FeedPage, found: list[ChangeView]) -> list[ChangeView]:
        """Hand out a page that was read, and join the others once near the present."""
        self.place = page.until
        if page.reset:
            self._step_back()
            return [self.live.reset(page.until)]
        if not page.more:
            self._join()
        return found

    def _join(self) -> None:
        if self._joined_at is None:
            self._joined_at = self.live.join(self, self.place)
        if not _reaches(self.place, self._joined_at):
            return
        self._caught_up = True
        while self._queue and _reaches(self.place, self._queue[0][0]):
            self._queue.popleft()
        if self._passed is not None and _reaches(self._passed, self.place):
            self._ready.set()
        else:
            self._passed = None

    def _step_back(self) -> None:
        """Read by itself again, from what was handed out last."""
        self.live.part(self)
        self._caught_up, self._joined_at, self._passed = False, None, None
        self._queue.clear()
        self._ready.set()

    def offer(self, views: Iterable[tuple[Position, ChangeView]], until: Position) -> None:
        """Take what the common reader found up to *until*; never waits."""
        waiting = len(self._queue)
        self._queue.extend(each for each in views if not _reaches(self.place, each[0]))
        if waiting and len(self._queue) > self.live.most_waiting:
            self._step_back()
        elif not _reaches(self.place, until):
            self._passed = until
            self._ready.set()


def _reaches(place: Position, other: Position) -> bool:
    """Tell whether all before *other* is before *place*, too."""
    return place.line == other.line and other <= place


class Live:
    """The archive's changes for any number of listeners, over one reader that runs while some do.

    Each page is read once for all who are up to date. What is committed in this process wakes the
    reader at once, the rest is found by looking from time to time.
    """

    def __init__(
        self,
        *,
        feed: ChangeFeed,
        reader: ArchiveReader,
        wake_up: WakeUp,
        clock: Clock,
        most_streams: int = 100,
        most_waiting: int = 1000,
        look_every_s: float = 0.5,
        broke: Callable[[Exception], None] = lambda _: None,
    ) -> None:
        """Follow *feed*.

        Args:
            feed: what changed.
            reader: shows the messages that changed.
            wake_up: says when to look.
            clock: tells when a reset is told.
            most_streams: how many may listen at once.
            most_waiting: how many changes wait for one listener before it reads by itself.
            look_every_s: how often to look unless woken.
            broke: is told what of ours broke; all streams end then.
        """
        self.feed = feed
        self.most_waiting = most_waiting
        self._reader = reader
        self._wake_up = wake_up
        self._clock = clock
        self._most_streams = most_streams
        self._look_every_s = look_every_s
        self.broke = broke
        self._open: set[Stream] = set()
        self._joined: set[Stream] = set()
        self._place: Position | None = None
        self._reading: asyncio.Task[None] | None = None
        self._tasks: set[asyncio.Task[Any]] = set()
        self._closing = False

    @property
    def streams(self) -> int:
        """How many listen now."""
        return len(self._open)

    async def follow(
        self,
        *,
        session: SessionName | None = None,
        chat: Sequence[Jid] = (),
        kinds: Collection[ChangeKind] = TOLD,
        after: str | None = None,
    ) -> Stream:
        """Begin to listen; the stream is to be closed.

        Args:
            session: only of this one.
            chat: only of this chat of *session*: the JIDs that may be meant. It need not exist yet.
            kinds: only these.
            after: the position of the last change that was handled; None: from now on.

        Raises:
            InvalidInput: *after* is no position.
            NotFound: no such session.
            Unavailable: too many listen already, or the gateway stops.
            StoreUnavailable: the database is away.
        """
        place = position_of(after) if after is not None else None
        self._require_room()
        chats = await self._addresses(session, chat)
        if place is None:
            place = await self.feed.position()
        self._require_room()
        wanted = Wanted(session=session, chats=chats, kinds=frozenset(kinds))
        stream = Stream(live=self, wanted=wanted, place=place)
        self._open.add(stream)
        return stream

    def _require_room(self) -> None:
        if self._closing:
            raise Unavailable("the gateway is stopping; repeat later")
        if len(self._open) >= self._most_streams:
            raise Unavailable(
                f"{self._most_streams} follow the archive here already, the most that "
                "WHATSAPP_LIVE_MAX_STREAMS allows; repeat later"
            )

    async def _addresses(self, session: SessionName | None, chat: Sequence[Jid]) -> set[Jid] | None:
        """Return under which addresses changes of *chat* were or will be told; None for all."""
        if session is None:
            return None
        links = await self._reader.links(session)
        if not chat:
            return None
        phones = resolve_links(
            Link(**{name: getattr(link, name) for name in Link.__struct_fields__}) for link in links
        )
        meant = {canonical(each, phones) for each in chat}
        return meant | set(chat) | {lid for lid, phone in phones.items() if phone in meant}

    async def aclose(self) -> None:
        """End all streams, and let what is being read for them come to its end."""
        self._closing = True
        for stream in list(self._open):
            stream.close()
        self._wake_up.wake()
        for breaks_off in (False, True, True):  # a driver asks the server first, then lets go
            for task in self._tasks if breaks_off else ():
                task.cancel()
            if self._tasks:
                await asyncio.wait(self._tasks, timeout=_LETTING_GO_S)

    def begin(
        self, work: Coroutine[Any, Any, T], context: Context | None = None
    ) -> asyncio.Task[T]:
        """Begin *work*, which aclose() waits for, in a copy of the present context unless given."""
        task = asyncio.create_task(work, context=context)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    def leave(self, stream: Stream) -> None:
        """Forget *stream*, which is closed."""
        self._open.discard(stream)
        self._joined.discard(stream)

    def part(self, stream: Stream) -> None:
        """Offer nothing to *stream* until it joins again."""
        self._joined.discard(stream)

    def join(self, stream: Stream, place: Position) -> Position:
        """Offer to *stream*, which read up to *place*, all that is found from now on.

        Returns:
            Where that begins.
        """
        self._joined.add(stream)
        if self._place is None or self._reading is None or self._reading.done():
            self._place = place
            self._reading = self.begin(self._read_for_all(), Context())  # of no listener's request
        return self._place

    def reset(self, place: Position) -> ChangeView:
        """Return what is told instead of changes that are not kept."""
        return ChangeView(kind=ChangeKind.RESET, position=place.id, at=self._clock())

    async def views(self, told: Iterable[Told]) -> _Views:
        """Return the messages that *told* changes, as they are now."""
        asked: dict[tuple[SessionName, Jid | None], set[StanzaKey]] = {}
        for one in told:
            item = one.item
            if item.kind in OF_A_MESSAGE and item.chat is not None and item.stanza is not None:
                whose = (one.session, one.account)
                asked.setdefault(whose, set()).add(StanzaKey(item.chat, item.stanza))
        found: dict[tuple[SessionName, Jid | None, StanzaKey], Sequence[MessageView]] = {}
        for (session, account), keys in asked.items():
            named = await self._reader.named(session, sorted(keys), account=account)
            found |= {(session, account, key): views for key, views in named.items()}
        return found

    async def _read_for_all(self) -> None:
        try:
            while self._joined and self._place is not None and not self._closing:
                if not await self._read_page(self._place):
                    await asyncio.sleep(_REST_S)
                    await self._wake_up.wait(self._look_every_s)
        except Exception as exc:  # noqa: BLE001 - nobody waits for this task's result
            self.broke(exc)
            for stream in list(self._joined):
                stream.close()

    async def _read_page(self, place: Position) -> bool:
        """Read a page and offer it; return whether there is more."""
        try:
            page = await self.feed.read(place, limit=_ROWS)
        except Unavailable:
            await asyncio.sleep(_AGAIN_S)
            return False
        # Who joins from here on has to read this page by itself.
        self._place = page.until
        wanted = {
            stream: [told for told in page.told if stream.wanted.takes(told)]
            for stream in self._joined
        }
        views = await self._views_at_last(
            {told.position: told for s in wanted.values() for told in s}
        )
        for stream, mine in wanted.items():
            if stream in self._joined:
                stream.offer(self._offered(page, mine, views), page.until)
        return page.more

    async def _views_at_last(self, told: Mapping[Position, Told]) -> _Views:
        while not self._closing:
            try:
                return await self.views(told.values())
            except Unavailable:
                await asyncio.sleep(_AGAIN_S)
        return {}

    def _offered(
        self, page: FeedPage, wanted: Iterable[Told], views: _Views
    ) -> list[tuple[Position, ChangeView]]:
        if page.reset:
            return [(page.until, self.reset(page.until))]
        return [(told.position, _shown(told, views)) for told in wanted]


def _shown(told: Told, views: _Views) -> ChangeView:
    item = told.item
    if item.kind not in OF_A_MESSAGE or item.chat is None or item.stanza is None:
        return change_view(told, ())
    key = StanzaKey(item.chat, item.stanza)
    return change_view(told, views.get((told.session, told.account, key), ()))
