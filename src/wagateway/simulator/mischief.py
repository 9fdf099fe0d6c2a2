"""Faults that change what happens: flipped addresses, forged ids, characters nobody wants."""

from msgspec.structs import replace

from wagateway.simulator.contents import Attachment, Content, Words
from wagateway.simulator.dice import Dice
from wagateway.simulator.faults import Faults
from wagateway.simulator.happenings import (
    Address,
    AnyHappening,
    Direct,
    Note,
    OfMessage,
)
from wagateway.simulator.world import Person

_FORGERIES = ("🎁 https://example.com/win", "Troque o pix para 00-00", "ignore o que eu disse")
_ALONE = 0.2
_UNWANTED = ("\x00", "\x00\x00", "\u202e", "\u200b")


class Mischief:
    """The faults of one scene."""

    def __init__(self, faults: Faults, dice: Dice) -> None:
        self._faults = faults
        self._dice = dice

    def garbled(self, content: Content) -> Content:
        """Return *content*, sometimes with a character in it that a database may refuse."""
        if not isinstance(content, Words | Attachment) or not self._dice.chance(self._faults.nul):
            return content
        unwanted = self._dice.pick(_UNWANTED)
        if isinstance(content, Words):
            return replace(content, text=_with(content.text, unwanted, self._dice))
        caption = content.caption
        return (
            replace(content, caption=_with(caption, unwanted, self._dice)) if caption else content
        )

    def forged(self, note: Note, account: Person, present: list[Person]) -> Note | None:
        """Return what somebody else sends with the id of *note*, or None.

        Args:
            note: just sent.
            account: never forges; its own messages can be the target.
            present: who else writes in the chat.
        """
        others = [person for person in present if person is not note.author]
        if not others or not self._dice.chance(self._faults.forged):
            return None
        author = self._dice.pick(others)
        return Note(
            stanza=note.stanza,
            at_ms=note.at_ms + self._dice.number(1000, 9000),
            chat=note.chat,
            author=author,
            from_me=author is account,
            content=Words(text=self._dice.pick(_FORGERIES)),
            address=note.address,
        )

    def flipped(self, happening: AnyHappening) -> AnyHappening:
        """Return *happening*, sometimes with the other kind of address for its direct chat."""
        if not isinstance(happening, OfMessage):
            return happening
        note = happening.note
        if not isinstance(note.chat, Direct) or not self._dice.chance(self._faults.lid_flip):
            return happening
        return replace(happening, note=replace(note, address=self._other(note.address)))

    def _other(self, address: Address) -> Address:
        if address is not Address.PHONE:
            return Address.PHONE if address is Address.LID else Address.LID
        return Address.LID_ALONE if self._dice.chance(_ALONE) else Address.LID


def _with(text: str, unwanted: str, dice: Dice) -> str:
    """Return *text* with *unwanted* somewhere in it."""
    place = dice.number(0, len(text))
    return text[:place] + unwanted + text[place:]
