"""What an engine keeps of one account's messages, and shows in its lists."""

from bisect import bisect_left, insort
from collections import defaultdict
from collections.abc import Iterator

from msgspec import Struct, field
from msgspec.structs import replace

from wagateway.simulator.dice import Dice, digest
from wagateway.simulator.engine import Engine, EngineName
from wagateway.simulator.facts import Fact
from wagateway.simulator.happenings import (
    Acked,
    Direct,
    Edited,
    Note,
    Revoked,
    Sent,
    reworded,
)
from wagateway.simulator.world import Person

_Key = tuple[str, str, str]
_TIE_BYTES = 4


class Kept(Struct, kw_only=True, eq=False):
    """What is known of one message; it may be spoken of before it comes.

    Attributes:
        note: as it came; None before that.
        place: where it stands in a list, oldest first: the second, then anything.
        edits: later texts by instant and the edit's own id.
        first_ack, ack: WAHA's number, when it came and now; None where none was told.
        revocation: how it was deleted for everyone.
        restamped: an edit gives it the edit's time, and moves it in the list.
    """

    note: Note | None = None
    place: tuple[int, int] = (0, 0)
    edits: dict[tuple[int, str], str] = field(default_factory=dict)
    first_ack: int | None = None
    ack: int | None = None
    revocation: Revoked | None = None
    restamped: bool = False
    forgotten: bool = False

    @property
    def shown(self) -> Note:
        """The message as it reads now; only of what came."""
        if self.note is None:
            raise LookupError("the message has not come yet")
        if not self.edits:
            return self.note
        latest = max(self.edits)
        note = reworded(self.note, self.edits[latest])
        return replace(note, at_ms=latest[0]) if self.restamped else note

    def texts(self) -> tuple[str, ...]:
        """Return the later texts, oldest first."""
        return tuple(text for _, text in sorted(self.edits.items()))

    def raise_ack(self, ack: int | None) -> None:
        """Note how far it got; acknowledgements come in any order."""
        if ack is not None:
            self.ack = ack if self.ack is None else max(self.ack, ack)


class Store:
    """The messages of one account as its engine lists them.

    An edited message shows its latest text only, on NOWEB at the time of the edit. What is deleted
    for everyone NOWEB drops, WEBJS shows as a tombstone, and GOWS keeps as it was. Rows of one
    second have an order of their own.
    """

    def __init__(self, engine: Engine) -> None:
        self._drops_revoked = self._restamps = engine.name is EngineName.NOWEB
        self._known: defaultdict[_Key, Kept] = defaultdict(Kept)
        self._all: list[Kept] = []
        self._by_chat: defaultdict[str, list[Kept]] = defaultdict(list)
        self._gone: list[Kept] = []

    def take(self, fact: Fact) -> None:
        """Take in what an event tells, whether its webhook arrives or not; twice is once."""
        happening = fact.happening
        if not fact.sure or not isinstance(happening, Sent | Edited | Revoked | Acked):
            return
        kept = self._known[_key(happening.note)]
        match happening:
            case Sent():
                if kept.note is None:
                    self._put(kept, happening.note, fact.ack)
            case Edited():
                self._edit(kept, happening)
            case Acked():
                kept.raise_ack(fact.ack)
            case Revoked():
                kept.revocation = kept.revocation or happening
                if self._drops_revoked and kept.note is not None:
                    self._drop(kept)

    def forget(self, dice: Dice, share: float) -> None:
        """Lose *share* of the older half of all messages."""
        for kept in self._all[: len(self._all) // 2]:
            if dice.chance(share):
                self._drop(kept)

    def wipe(self) -> None:
        """Lose everything."""
        for kept in tuple(self._all):
            self._drop(kept)

    def rows(self, chat: str | None = None) -> list[Kept]:
        """Return the messages of *chat*, or of all, oldest first; see `chat_key`."""
        return self._all if chat is None else self._by_chat.get(chat, [])

    def chats(self) -> Iterator[tuple[str, list[Kept]]]:
        """Yield each chat that has messages, by its key, with them."""
        for chat, rows in self._by_chat.items():
            if rows:
                yield chat, rows

    def gone(self) -> Iterator[Kept]:
        """Yield what was once in the list and is not any more."""
        yield from (kept for kept in self._gone if kept.forgotten)

    def _put(self, kept: Kept, note: Note, ack: int | None) -> None:
        kept.note = note
        kept.restamped = self._restamps
        kept.first_ack = ack
        kept.raise_ack(ack)
        if kept.revocation is None or not self._drops_revoked:
            self._insert(kept)
        else:  # it was deleted before it came to be known
            kept.forgotten = True

    def _edit(self, kept: Kept, happening: Edited) -> None:
        moves = self._restamps and kept.note is not None and not kept.forgotten
        moves = moves and kept.revocation is None
        if moves:
            self._remove(kept)
        kept.edits[happening.at_ms, happening.stanza] = happening.text
        if moves:
            self._insert(kept)

    def _drop(self, kept: Kept) -> None:
        if kept.forgotten:
            return
        kept.forgotten = True
        self._gone.append(kept)
        self._remove(kept)

    def _insert(self, kept: Kept) -> None:
        shown = kept.shown
        kept.place = (shown.at_ms // 1000, _tie(shown))
        insort(self._all, kept, key=_place)
        insort(self._by_chat[chat_key(shown)], kept, key=_place)

    def _remove(self, kept: Kept) -> None:
        for rows in (self._all, self._by_chat[chat_key(kept.shown)]):
            start = bisect_left(rows, kept.place, key=_place)
            del rows[next(i for i in range(start, len(rows)) if rows[i] is kept)]


def chat_key(note: Note) -> str:
    """Return what names the chat of *note*, whichever address it uses."""
    return person_key(note.chat.person) if isinstance(note.chat, Direct) else note.chat_jid


def person_key(person: Person) -> str:
    """Return what names the chat with *person*."""
    return person.phone_jid


def _key(note: Note) -> _Key:
    return chat_key(note), note.stanza, note.author.phone if note.author else ""


def _tie(note: Note) -> int:
    author = note.author.phone if note.author else ""
    return int.from_bytes(digest(_TIE_BYTES, "tie", note.stanza, author))


def _place(kept: Kept) -> tuple[int, int]:
    return kept.place
