"""What a perfect archive holds after the deliveries that it accepted.

Computed from the simulated world, not from the bodies and by no code of an archive, so that it can
disagree with one. Nothing depends on the order in which the facts are told.
"""

from collections import Counter
from collections.abc import Iterable, Iterator
from itertools import groupby
from typing import Any, NamedTuple

from msgspec.structs import replace

from wagateway.simulator.contents import Attachment
from wagateway.simulator.facts import Fact, Listing, Promise
from wagateway.simulator.happenings import (
    Acked,
    AckLevel,
    Address,
    Awaited,
    Direct,
    Edited,
    Note,
    OfMessage,
    Reacted,
    Revoked,
    Sent,
    SubjectChanged,
    Voted,
    jid,
)
from wagateway.simulator.statement import facts_of
from wagateway.simulator.world import Channel, Person

Line = dict[str, Any]
"""One line of the truth: a JSON object; docs/SIMULATOR.md describes its fields."""

VERSION = 1

_OWN = "me"
_PEER = "them"
_SURVIVES_EDITS = {
    *("type", "session", "account", "chat_id", "id", "sender_id", "from_me", "kind", "text"),
}
"""What a list that gives edits the place of their messages still shows."""


class _Archive(NamedTuple):
    """A session under one account."""

    session: str
    account: str


class _Place(NamedTuple):
    """Where a message is, as the engine named it: not what it means once links are known."""

    archive: _Archive
    chat: str
    stanza: str
    author: str


class _Listed(NamedTuple):
    """A message as the engine's list shows it in the end, or showed it before it went."""

    note: Note
    listing: Listing


class _Known:
    """What is told of one message at one place.

    Attributes:
        note: its content, once it is told; None while only others speak of it.
        kind: what it is called, after what its engine told.
        sure: it was told well enough to be archived for certain.
        shaken: something of it was sent, and nobody knows whether it arrived.
        ack: WAHA's number.
        promise: whether its file can be had; None where nobody told of one.
        listed: how the engine's list shows it, if it was ever asked for: the text there is the
            latest, and how it got there is not told.
        edits: by instant and the edit's own id; the latest counts.
        reactions, votes: by person, with the instant; the latest counts.
    """

    __slots__ = (
        *("ack", "edits", "kind", "listed", "note", "promise", "reactions"),
        *("revoked", "shaken", "sure", "votes"),
    )

    def __init__(self) -> None:
        self.note: Note | None = None
        self.listed: _Listed | None = None
        self.kind: str | None = None
        self.sure = False
        self.shaken = False
        self.promise: Promise | None = None
        self.ack = -1
        self.revoked = False
        self.edits: dict[tuple[int, str], str] = {}
        self.reactions: dict[str, tuple[int, str]] = {}
        self.votes: dict[str, tuple[int, tuple[str, ...] | None]] = {}

    @property
    def written(self) -> Note:
        """The content; only of what has one."""
        if self.note is not None:
            return self.note
        if self.listed is None:
            raise LookupError("nobody told what the message says")
        return self.listed.note

    @property
    def has_content(self) -> bool:
        """Whether anybody told what it says."""
        return self.note is not None or self.listed is not None

    @property
    def certain(self) -> bool:
        """Whether it must be there, in the state that is told."""
        return self.sure and not self.shaken

    def expect(self, promise: Promise | None) -> None:
        """Note that the file can be had: what one telling promises is enough."""
        if promise is not None:
            self.promise = promise if self.promise is None else max(self.promise, promise)

    def people(self, place: _Place) -> set[str]:
        """Return the addresses of all that are named in it, at *place*."""
        mentioned = self.written.mentions if self.has_content else ()
        address = self.written.address if self.has_content else Address.PHONE
        named = {jid(person, address) for person in mentioned}
        return {place.chat, place.author, *named, *self.reactions, *self.votes}

    def add(self, other: "_Known", phones: dict[str, str]) -> None:
        """Take over what *other* knows; people are named by phone where *phones* has it."""
        self.note = self.note or other.note
        self.listed = self.listed or other.listed
        self.kind = self.kind or other.kind
        self.sure |= other.sure
        self.shaken |= other.shaken
        self.expect(other.promise)
        self.ack = max(self.ack, other.ack)
        self.revoked |= other.revoked
        self.edits |= other.edits
        for who, reaction in other.reactions.items():
            person = phones.get(who, who)
            self.reactions[person] = max(reaction, self.reactions.get(person, reaction))
        for who, vote in other.votes.items():
            person = phones.get(who, who)
            held = self.votes.get(person, vote)
            self.votes[person] = vote if vote[0] >= held[0] else held


class Truth:
    """Collects what was told, fact by fact, and says what must be archived of it."""

    def __init__(self) -> None:
        self._messages: dict[_Place, _Known] = {}
        self._links: dict[_Archive, dict[str, str]] = {}
        self._told_whole: set[str] = set()
        self._told_broken: dict[str, _Place] = {}
        self._broken_subjects: dict[str, tuple[_Archive, str]] = {}
        self._doubted: dict[_Archive, dict[str, str]] = {}
        self._doubted_subjects: set[tuple[_Archive, str]] = set()
        self._shown_subjects: dict[tuple[_Archive, str], set[str]] = {}
        self._subjects: dict[tuple[_Archive, str], tuple[int, str]] = {}

    def tell(self, fact: Fact) -> None:
        """Take in what a delivery told that the archive accepted."""
        archive = _archive(fact)
        links = self._links.setdefault(archive, {})
        for person in (fact.account, *fact.revealed):
            links[person.lid_jid] = person.phone_jid
        happening = fact.happening
        self._weigh(fact)
        if isinstance(happening, SubjectChanged) and fact.sure:
            key = (archive, happening.group.jid)
            told = (happening.at_ms, happening.subject)
            self._subjects[key] = max(told, self._subjects.get(key, told))
        elif isinstance(happening, OfMessage):
            known = self._messages.setdefault(_place(fact, happening.note), _Known())
            if fact.sure:
                _learn(known, fact)
            elif isinstance(happening, Sent | Awaited) or fact.repeats:
                known.note = known.note or happening.note

    def _weigh(self, fact: Fact) -> None:
        """Remember which events came in a broken copy, and which of them came whole too."""
        if fact.broken is None:
            return
        happening = fact.happening
        if fact.sure:
            self._told_whole.add(fact.broken)
        elif isinstance(happening, SubjectChanged):
            self._broken_subjects[fact.broken] = (_archive(fact), happening.group.jid)
        elif isinstance(happening, OfMessage):
            self._told_broken[fact.broken] = _place(fact, happening.note)

    def doubt(self, fact: Fact) -> None:
        """Take in what was sent and perhaps accepted: afterwards nothing of it is certain."""
        self.suspect(fact.session, fact.account, (fact.account, *fact.revealed))
        happening = fact.happening
        if isinstance(happening, OfMessage):
            known = self._messages.setdefault(_place(fact, happening.note), _Known())
            known.note = known.note or happening.note
            known.shaken = True
        elif isinstance(happening, SubjectChanged):
            self._doubted_subjects.add((_archive(fact), happening.group.jid))

    def glimpse(self, fact: Fact) -> None:
        """Take in what the engine's list showed for a while: somebody may have read it or not."""
        self.suspect(fact.session, fact.account, fact.revealed)
        happening = fact.happening
        if isinstance(happening, Sent) and fact.listing:
            known = self._messages.setdefault(_place(fact, happening.note), _Known())
            known.listed = _Listed(happening.note, replace(fact.listing, marked=False))
            known.shaken |= fact.listing.revoked
            known.expect(fact.promise and min(fact.promise, Promise.PERHAPS))

    def suspect(self, session: str, account: Person, people: Iterable[Person]) -> None:
        """Take in that somebody may know both addresses of *people*, beside what is told."""
        archive = _Archive(session, account.phone_jid)
        phones = {person.lid_jid: person.phone_jid for person in people}
        self._doubted.setdefault(archive, {}).update(phones)

    def suspect_subjects(
        self, session: str, account: Person, group: str, subjects: Iterable[str]
    ) -> None:
        """Take in names of *group* that somebody may have read at any time."""
        key = _Archive(session, account.phone_jid), group
        self._shown_subjects.setdefault(key, set()).update(subjects)

    def lines(self) -> Iterator[Line]:
        """Yield an archive, its chats and messages, for each archive, in a fixed order."""
        merged = self._merged()
        for archive in sorted({*self._links, *self._doubted}):
            phones = self._links.get(archive, {})
            yield _line("archive", archive) | ({} if phones else {"certain": False})
            for lid, phone in sorted(phones.items()):
                yield _line("link", archive) | {"lid": lid, "phone": phone}
            places = sorted(place for place in merged if place.archive == archive)
            shown = [place for place in places if merged[place].has_content]
            certain = [place for place in shown if merged[place].certain]
            yield from self._chats(archive, certain)
            named, written = _more_than_once(places), _more_than_once(certain)
            for place in shown:
                id_ = place.chat, place.stanza
                yield _message(
                    place, merged[place], phones, clash=id_ in written, ambiguous=id_ in named
                )
            for place in shown:
                yield from _file(place, merged[place])

    def _merged(self) -> dict[_Place, _Known]:
        """Return what is known of each message, at the place where it belongs."""
        for event, place in self._told_broken.items():
            if event not in self._told_whole:
                self._messages[place].shaken = True
        merged: dict[_Place, _Known] = {}
        for place, known in self._messages.items():
            phones = self._links.get(place.archive, {})
            where = place._replace(
                chat=phones.get(place.chat, place.chat),
                author=phones.get(place.author, place.author),
            )
            merged.setdefault(where, _Known()).add(known, phones)
        for place, known in tuple(merged.items()):
            open_ = self._open_links(place.archive)
            if open_.keys().isdisjoint(known.people(place)):
                continue
            known.shaken = True
            # Where somebody knows the link, both places are one.
            there = place._replace(
                chat=open_.get(place.chat, place.chat), author=open_.get(place.author, place.author)
            )
            merged.get(there, known).shaken = True
        return merged

    def _open_links(self, archive: _Archive) -> dict[str, str]:
        """Return hidden ids of which the phone may be known or not."""
        told = self._links.get(archive, {})
        doubted = self._doubted.get(archive, {})
        return {lid: phone for lid, phone in doubted.items() if lid not in told}

    def _chats(self, archive: _Archive, places: Iterable[_Place]) -> Iterator[Line]:
        doubted = self._doubted_subjects | {
            key for event, key in self._broken_subjects.items() if event not in self._told_whole
        }
        for chat in dict.fromkeys(place.chat for place in places):
            line = _line("chat", archive) | {"id": chat}
            told = self._subjects.get((archive, chat))
            others = self._shown_subjects.get((archive, chat), set()) - {told[1] if told else ""}
            sure = told and not others and (archive, chat) not in doubted
            yield {**line, "name": told[1]} if told and sure else line


def _line(type_: str, archive: _Archive) -> Line:
    return {"type": type_, "session": archive.session, "account": archive.account}


def _archive(fact: Fact) -> _Archive:
    return _Archive(fact.session, fact.account.phone_jid)


def _place(fact: Fact, note: Note) -> _Place:
    if note.from_me:
        author = _OWN
    elif isinstance(note.chat, Direct):
        author = _PEER
    else:
        author = jid(note.author, note.address) if note.author else ""
    return _Place(_archive(fact), note.chat_jid, note.stanza, author)


def _learn(known: _Known, fact: Fact) -> None:
    happening = fact.happening
    known.expect(fact.promise)
    if fact.ack is not None and isinstance(happening, Sent | Acked):
        known.ack = max(known.ack, fact.ack)
    match happening:
        case Sent() if fact.listing:
            known.listed = _Listed(happening.note, fact.listing)
            known.kind = known.kind or fact.kind
            known.revoked |= fact.listing.revoked
            # Of a tombstone alone nobody knows what it was, unless it was read before.
            known.sure |= not fact.listing.revoked
        case Sent():
            known.note = happening.note
            known.kind = fact.kind
            known.sure = True
        case Awaited():
            known.note = known.note or happening.note
        case Edited():
            known.edits[happening.at_ms, happening.stanza] = happening.text
        case Revoked():
            known.revoked = True
        case Reacted():
            by = fact.account if happening.by is None else happening.by
            who = by.phone_jid if by == fact.account else jid(by, happening.note.address)
            told = (happening.at_ms, happening.emoji)
            known.reactions[who] = max(told, known.reactions.get(who, told))
        case Voted():
            who = jid(happening.by, happening.note.address)
            vote = (happening.at_ms, happening.options if happening.readable else None)
            held = known.votes.get(who, vote)
            known.votes[who] = vote if vote[0] >= held[0] else held
        case _:
            pass
    if fact.repeats and known.note is None:
        known.note = happening.note  # type: ignore[union-attr]  # only of what is about a message


def _more_than_once(places: Iterable[_Place]) -> set[tuple[str, str]]:
    """Return the ids, with their chats, that stand for more than one message."""
    counted = Counter((place.chat, place.stanza) for place in places)
    return {id_ for id_, count in counted.items() if count > 1}


def _message(
    place: _Place, known: _Known, phones: dict[str, str], *, clash: bool, ambiguous: bool
) -> Line:
    note = known.written
    line = _line("message", place.archive) | {
        "chat_id": place.chat,
        "id": place.stanza,
        "sender_id": _sender(place, note),
        "from_me": note.from_me,
    }
    if not known.certain:
        # Nobody knows whether it came, or what of it did: it may be there, in whatever state.
        return {**line, "certain": False}
    line |= facts_of(note, known.kind, phones)
    # An edit that changes nothing is none.
    edits = [text for text, _ in groupby(text for _, text in sorted(known.edits.items()))]
    if edits:
        line |= {"text": edits[-1], "edits": edits}
    if known.listed:
        _leave_out_what_depends_on_when_it_was_read(line, known, known.listed.listing)
    ack = _certain_ack(known)
    if isinstance(note.chat, Direct) and ack >= 0:
        line["ack"] = AckLevel(ack).name.lower()
    if known.revoked or not ambiguous:  # an admin's deletion names an id, not an author
        line["revoked"] = known.revoked
    if clash or not ambiguous:
        line["clash"] = clash
    if not ambiguous:  # nor do reactions and votes
        _add_answers(line, known)
    return line


def _file(place: _Place, known: _Known) -> Iterator[Line]:
    """Yield what is true of the message's file, where one was told of and somebody serves it."""
    note, promise = known.written, known.promise
    if promise is None or not isinstance(note.content, Attachment) or note.content.file is None:
        return
    if promise and not known.certain:
        promise = Promise.PERHAPS
    yield _line("file", place.archive) | {
        "chat_id": place.chat,
        "id": place.stanza,
        "sender_id": _sender(place, note),
        "sha256": note.content.file.sha256,
        "size_bytes": note.content.file.size_bytes,
        "obtainable": promise.name.lower(),
        "certain": known.certain,
    }


def _leave_out_what_depends_on_when_it_was_read(
    line: Line, known: _Known, listing: Listing
) -> None:
    """Keep the edits where events told all that the list came to show.

    The text also where the list marks it as edited.
    """
    if not listing.edits:
        return
    told = [text for _, text in sorted(known.edits.items())]
    if known.note is None or not set(listing.edits) <= set(told):
        line.pop("edits", None)
        if listing.marked and not listing.revoked:
            line["text"] = listing.edits[-1]
        elif not told or told[-1] != listing.edits[-1]:
            line.pop("text", None)
    if known.note is None and listing.restamped:
        for field in line.keys() - _SURVIVES_EDITS:
            del line[field]


def _certain_ack(known: _Known) -> int:
    """Return WAHA's number of how far it got; below 0 where none is certain."""
    listed = known.listed.listing.ack if known.listed else None
    if known.listed is None or listed is None or known.ack >= listed:
        return known.ack
    return listed if known.listed.listing.first_ack == listed else -1


def _add_answers(line: Line, known: _Known) -> None:
    line["reactions"] = [
        {"sender_id": who, "emoji": emoji}
        for who, (_, emoji) in sorted(known.reactions.items())
        if emoji
    ]
    if line.get("poll"):
        line["poll"]["votes"] = [
            {"voter_id": who, "options": None if options is None else sorted(options)}
            for who, (_, options) in sorted(known.votes.items())
        ]


def _sender(place: _Place, note: Note) -> str | None:
    if isinstance(note.chat, Channel):
        return None
    if place.author == _OWN:
        return place.archive.account
    return place.chat if place.author == _PEER else place.author
