"""The stage on which scenes are played: it keeps the time and writes down what happens."""

from collections.abc import Callable

from msgspec.structs import replace

from wagateway.simulator.contents import (
    Attachment,
    AttachmentKind,
    Content,
    Words,
)
from wagateway.simulator.dice import Dice, digest
from wagateway.simulator.fates import fate_of
from wagateway.simulator.faults import USUAL, Faults
from wagateway.simulator.files import Shelf, Stock
from wagateway.simulator.happenings import (
    Acked,
    AckLevel,
    Address,
    Answered,
    AnyHappening,
    Awaited,
    Chat,
    Direct,
    Edited,
    MembersChanged,
    Note,
    PresenceChanged,
    Reacted,
    Revoked,
    Sent,
    SessionChanged,
    Stories,
    SubjectChanged,
    Voted,
    reworded,
)
from wagateway.simulator.mischief import Mischief
from wagateway.simulator.phrases import EMOJI, PHRASES, Phrases
from wagateway.simulator.world import Channel, Device, Group, Language, Person, World

SECOND_MS = 1000
_KEPT_STATUSES = 3
_PLAYED = (AttachmentKind.VOICE, AttachmentKind.VIDEO_NOTE)


class Cast:
    """What outlives a single scene: who is in which group, under which name, in which status.

    Args:
        stanza_key: what makes the stanza ids of this run different from those of another.
        faults: those of them that change what happens: lid-flip, forged, nul; and what becomes of
            files.
        shelf: the files that are sent around.
    """

    def __init__(
        self,
        world: World,
        stanza_key: str,
        faults: Faults = USUAL,
        shelf: Shelf | None = None,
    ) -> None:
        self.world = world
        self.shelf = shelf or Shelf(Stock(), 1)
        self.faults = faults
        self.members = {group.jid: list(group.members) for group in world.groups}
        self.subjects = {group.jid: 0 for group in world.groups}
        self.statuses: tuple[tuple[str, int], ...] = ()
        self.plays: dict[str, int] = {}
        self.key = stanza_key
        self._stanzas = 0

    def stanza(self, device: Device) -> str:
        """Return a new stanza id as a client on *device* makes it.

        ``3EB0`` and 18 hex digits on the web, ``3A`` and 18 on an iPhone, 32 on Android.
        """
        self._stanzas += 1
        token = digest(16, "stanza", self.key, self._stanzas).hex().upper()
        if device is Device.WEB:
            return f"3EB0{token[:18]}"
        return f"3A{token[:18]}" if device is Device.IPHONE else f"AC{token[:30]}"


class Stage:
    """One scene's clock, dice and record.

    Attributes:
        scene: number of this scene.
        happenings: what happened so far; not in order of time, since receipts run ahead.
        rush: whether the first message of this play comes late, so that what follows overtakes it.
    """

    def __init__(self, cast: Cast, dice: Dice, at_ms: int, scene: int, *, rush: bool) -> None:
        self.cast = cast
        self.world = cast.world
        self.dice = dice
        self.now_ms = at_ms
        self.happenings: list[AnyHappening] = []
        self.rush = rush
        self.scene = scene
        self._mischief = Mischief(cast.faults, Dice("mischief", cast.key, scene))

    def wait(self, low_s: float, high_s: float) -> None:
        """Let some time pass, to the millisecond."""
        self.now_ms += int(self.dice.between(low_s, high_s) * SECOND_MS)

    def phrase(self, language: Language, choose: Callable[[Phrases], tuple[str, ...]]) -> str:
        """Return one saying in *language*, filled in."""
        return self.fill(self.dice.pick(choose(PHRASES[language])))

    def fill(self, template: str, who: str = "") -> str:
        """Return *template* with its numbers and mention filled in."""
        return template.format(
            n=self.dice.number(2, 48),
            hour=self.dice.number(7, 11),
            price=self.dice.number(12, 340),
            who=who,
        )

    def say(  # noqa: PLR0913 - all of them are what a message has
        self,
        chat: Chat,
        author: Person | None,
        content: Content | str,
        *,
        address: Address = Address.PHONE,
        source: str = "app",
        quotes: Note | None = None,
        mentions: tuple[Person, ...] = (),
        forwarded: int = 0,
        disappears_s: int = 0,
        hidden_s: float = 0.0,
    ) -> Note:
        """Send a message.

        Args:
            chat: where; a group decides on *address* itself.
            author: None in a channel.
            content: what is said.
            address: how the chat names the sender.
            source: ``api`` or ``app``; see Note.
            quotes: the message that this one answers.
            mentions: who is named in the text.
            forwarded: how often it was passed on.
            disappears_s: seconds after which WhatsApp forgets it.
            hidden_s: seconds for which it cannot be decrypted, and is Awaited.
        """
        if isinstance(chat, Group) and chat.by_lid:
            address = Address.LID
        device = Device.WEB if author is None or source == "api" else author.device
        stanza = self.cast.stanza(device)
        note = Note(
            stanza=stanza,
            at_ms=self.now_ms,
            chat=chat,
            author=author,
            from_me=author is self.world.account,
            content=self._mischief.garbled(self._filled(content, stanza)),
            address=address,
            source=source,
            quotes=quotes,
            mentions=mentions,
            late_s=self.dice.between(24, 29) if self.rush else 0.0,
            forwarded=forwarded,
            disappears_s=disappears_s,
        )
        self.rush = False
        if hidden_s:
            self._happen(Awaited(at_ms=self.now_ms, scene=self.scene, note=note))
        sent_ms = self.now_ms + int(hidden_s * SECOND_MS)
        self._happen(Sent(at_ms=sent_ms, scene=self.scene, note=note))
        if forged := self._mischief.forged(note, self.world.account, self._present(chat)):
            self._happen(Sent(at_ms=forged.at_ms, scene=self.scene, note=forged))
        return note

    def _filled(self, content: Content | str, stanza: str) -> Content:
        """Return *content*; a file of it is one that exists, and its facts are the true ones."""
        if isinstance(content, str):
            return Words(text=content)
        if not isinstance(content, Attachment):
            return content
        file = self.cast.shelf.take(content.sort, Dice("file", stanza))
        return replace(
            content,
            mimetype=file.mimetype,
            extension=file.extension,
            size_bytes=file.size_bytes,
            filename=content.filename and f"{content.filename.rpartition('.')[0]}.{file.extension}",
            seconds=file.recipe.seconds,
            width=0 if content.filename else file.recipe.width,
            height=0 if content.filename else file.recipe.height,
            pages=file.recipe.pages,
            file=file,
            fate=fate_of(self.cast.faults, stanza),
        )

    def answer(self, to: Note, content: Content | str, *, source: str = "app") -> Note:
        """Let the account write in the chat of *to*; the other side reads it."""
        note = self.say(to.chat, self.world.account, content, address=to.address, source=source)
        self.read(note)
        return note

    def read(self, note: Note) -> None:
        """Let receipts for *note* come in: from the other side, or from everyone in the group."""
        if isinstance(note.chat, Group):
            for member in self.cast.members[note.chat.jid]:
                got_ms = note.at_ms + int(self.dice.between(300, 4000))
                self._ack(note, AckLevel.DEVICE, got_ms, member)
                if self.dice.chance(0.6):
                    self._ack(note, AckLevel.READ, got_ms + self._soon_ms(), member)
            return
        levels = [AckLevel.SERVER, AckLevel.DEVICE, AckLevel.READ]
        if isinstance(note.content, Attachment) and note.content.kind in _PLAYED:
            levels.append(AckLevel.PLAYED)
        at_ms = note.at_ms
        for level in levels:
            at_ms += self.dice.number(80, 900) if level < AckLevel.READ else self._soon_ms()
            self._ack(note, level, at_ms)

    def seen_by_me(self, note: Note) -> None:
        """Let the account read an incoming *note* on its phone."""
        self._ack(note, AckLevel.READ, self.now_ms)

    def edit(self, note: Note, text: str) -> Note:
        """Let the author of *note* change its text or caption; return it as it reads now."""
        self._happen(
            Edited(
                at_ms=self.now_ms, scene=self.scene, note=note, stanza=self._own(note), text=text
            )
        )
        return reworded(note, text)

    def revoke(self, note: Note, by: Person | None = None) -> None:
        """Let the author of *note* delete it for everyone, or *by*, an admin of its group."""
        stanza = self.cast.stanza(by.device) if by else self._own(note)
        self._happen(Revoked(at_ms=self.now_ms, scene=self.scene, note=note, stanza=stanza, by=by))

    def react(self, note: Note, by: Person, emoji: str | None = None) -> None:
        """Let *by* react to *note*, with any emoji unless one is given; empty takes it back."""
        mine = by is self.world.account
        self._happen(
            Reacted(
                at_ms=self.now_ms,
                scene=self.scene,
                note=note,
                stanza=self.cast.stanza(by.device),
                by=None if mine else by,
                emoji=self.dice.pick(EMOJI) if emoji is None else emoji,
            )
        )

    def vote(self, note: Note, by: Person, *options: str, readable: bool = True) -> None:
        """Let *by* choose *options* of the poll *note*, instead of any earlier choice."""
        self._happen(
            Voted(
                at_ms=self.now_ms,
                scene=self.scene,
                note=note,
                stanza=self.cast.stanza(by.device),
                by=by,
                options=options,
                readable=readable,
            )
        )

    def respond(
        self, note: Note, by: Person, response: str, *, guests: int = 0, readable: bool = True
    ) -> None:
        """Let *by* say whether they come to the event that *note* announces."""
        self._happen(
            Answered(
                at_ms=self.now_ms,
                scene=self.scene,
                note=note,
                stanza=self.cast.stanza(by.device),
                by=by,
                response=response,
                guests=guests,
                readable=readable,
            )
        )

    def typing(self, chat: Direct | Group, person: Person, address: Address, state: str) -> None:
        """Show what *person* is doing in *chat*."""
        self._happen(
            PresenceChanged(
                at_ms=self.now_ms,
                scene=self.scene,
                chat=chat,
                person=person,
                state=state,
                address=address,
            )
        )

    def change_member(self, group: Group, change: str, member: Person) -> None:
        """Let the owner ``join``, ``promote`` or ``demote`` *member*, or let them ``leave``."""
        members = self.cast.members[group.jid]
        if change == "join":
            members.append(member)
        if change == "leave":
            members.remove(member)
        self._happen(
            MembersChanged(
                at_ms=self.now_ms,
                scene=self.scene,
                group=group,
                change=change,
                member=member,
                by=member if change == "leave" else group.members[0],
            )
        )

    def rename(self, group: Group, by: Person) -> None:
        """Give *group* the next of its names."""
        self.cast.subjects[group.jid] += 1
        subject = group.subjects[self.cast.subjects[group.jid] % len(group.subjects)]
        self._happen(
            SubjectChanged(at_ms=self.now_ms, scene=self.scene, group=group, subject=subject, by=by)
        )

    def session(self, status: str) -> None:
        """Put the session into *status*."""
        self.cast.statuses = (*self.cast.statuses, (status, self.now_ms))[-_KEPT_STATUSES:]
        self._happen(
            SessionChanged(at_ms=self.now_ms, scene=self.scene, statuses=self.cast.statuses)
        )

    def post(self, place: Channel | Stories, author: Person | None, content: Content) -> Note:
        """Publish in a channel or as a status."""
        return self.say(place, author, content)

    def _happen(self, happening: AnyHappening) -> None:
        self.happenings.append(self._mischief.flipped(happening))

    def _present(self, chat: Chat) -> list[Person]:
        """Return who else writes in *chat*."""
        if isinstance(chat, Group):
            return self.cast.members[chat.jid]
        return [chat.person] if isinstance(chat, Direct) else []

    def _ack(
        self, note: Note, level: AckLevel, at_ms: int, recipient: Person | None = None
    ) -> None:
        self._happen(
            Acked(at_ms=at_ms, scene=self.scene, note=note, level=level, recipient=recipient)
        )

    def _soon_ms(self) -> int:
        return self.dice.number(2000, 25000)

    def _own(self, note: Note) -> str:
        return self.cast.stanza(note.author.device if note.author else Device.WEB)
