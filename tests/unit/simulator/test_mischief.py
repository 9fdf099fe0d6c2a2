import pytest

from wagateway.simulator.contents import Attachment, AttachmentKind, Content, Place, Words
from wagateway.simulator.dice import Dice
from wagateway.simulator.faults import Faults
from wagateway.simulator.happenings import (
    Acked,
    AckLevel,
    Address,
    Chat,
    Direct,
    Note,
    PresenceChanged,
    Sent,
    Stories,
)
from wagateway.simulator.mischief import Mischief
from wagateway.simulator.world import create_world

WORLD = create_world(7)
BAKERY, ANA, BRUNO = WORLD.account, WORLD.people[0], WORLD.people[1]
GROUP = WORLD.groups[0]
AT_MS = 1_790_000_000_000
UNWANTED = ("\x00", "\u202e", "\u200b")
IMAGE = Attachment(
    kind=AttachmentKind.IMAGE,
    mimetype="image/jpeg",
    extension="jpg",
    size_bytes=9,
    caption="a foto",
)


def mischief(seed: int = 1, **rates: float) -> Mischief:
    return Mischief(Faults(**rates), Dice("mischief", seed))


def note(chat: Chat | None = None, *, address: Address = Address.PHONE) -> Note:
    return Note(
        stanza="A1",
        at_ms=AT_MS,
        chat=chat or Direct(person=ANA),
        author=ANA,
        from_me=False,
        content=Words(text="Bom dia!"),
        address=address,
    )


def sent(chat: Chat | None = None, *, address: Address = Address.PHONE) -> Sent:
    return Sent(at_ms=AT_MS, scene=1, note=note(chat, address=address))


class TestFlips:
    def test_a_direct_chat_is_named_by_hidden_id_with_the_phone_beside_it_or_without(self) -> None:
        wrong = mischief(lid_flip=1)
        flipped = [wrong.flipped(sent()) for _ in range(200)]
        shown = [one.note.address for one in flipped if isinstance(one, Sent)]
        assert set(shown) == {Address.LID, Address.LID_ALONE}
        assert shown.count(Address.LID_ALONE) < 80

    def test_nothing_else_changes(self) -> None:
        (one,) = (mischief(lid_flip=1).flipped(sent()) for _ in range(1))
        assert isinstance(one, Sent)
        assert one.note.address is not Address.PHONE
        assert note(address=one.note.address) == one.note
        assert (one.at_ms, one.scene) == (AT_MS, 1)

    @pytest.mark.parametrize(
        ("before", "after"),
        [(Address.LID, Address.PHONE), (Address.LID_ALONE, Address.LID)],
    )
    def test_a_hidden_id_becomes_better_known(self, before: Address, after: Address) -> None:
        flipped = mischief(lid_flip=1).flipped(sent(address=before))
        assert flipped == sent(address=after)

    def test_what_is_about_a_message_is_flipped_too(self) -> None:
        read = Acked(at_ms=AT_MS, scene=1, note=note(), level=AckLevel.READ)
        flipped = mischief(lid_flip=1).flipped(read)
        assert isinstance(flipped, Acked)
        assert flipped.note.address is not Address.PHONE

    @pytest.mark.parametrize("chat", [GROUP, WORLD.channel, Stories()])
    def test_only_direct_chats_are_flipped(self, chat: Chat) -> None:
        assert mischief(lid_flip=1).flipped(sent(chat)) == sent(chat)

    def test_what_is_about_no_message_is_not_flipped(self) -> None:
        typing = PresenceChanged(
            at_ms=AT_MS,
            scene=1,
            chat=Direct(person=ANA),
            person=ANA,
            state="typing",
            address=Address.PHONE,
        )
        assert mischief(lid_flip=1).flipped(typing) == typing

    def test_nothing_is_flipped_without_the_fault(self) -> None:
        assert mischief(forged=1, nul=1).flipped(sent()) == sent()


class TestForgeries:
    def test_somebody_else_says_something_else_with_the_same_id_a_little_later(self) -> None:
        forged = mischief(forged=1).forged(note(GROUP), BAKERY, [ANA, BRUNO])
        assert forged is not None
        assert (forged.stanza, forged.chat, forged.author) == ("A1", GROUP, BRUNO)
        assert forged.content != note(GROUP).content
        assert AT_MS < forged.at_ms < AT_MS + 10_000
        assert forged.address is note(GROUP).address

    def test_the_author_never_forges(self) -> None:
        wrong = mischief(forged=1)
        forgeries = [wrong.forged(note(GROUP), BAKERY, [ANA, BRUNO]) for _ in range(50)]
        assert {forged.author for forged in forgeries if forged} == {BRUNO}
        assert wrong.forged(note(GROUP), BAKERY, [ANA]) is None
        assert wrong.forged(note(GROUP), BAKERY, []) is None

    def test_nobody_forges_without_the_fault(self) -> None:
        assert mischief(nul=1).forged(note(GROUP), BAKERY, [BRUNO]) is None


class TestGarbling:
    def test_a_text_gets_an_unwanted_character_somewhere(self) -> None:
        wrong = mischief(nul=1)
        garbled = [wrong.garbled(Words(text="Bom dia!", link="x")) for _ in range(200)]
        texts = [words.text for words in garbled if isinstance(words, Words)]
        assert all(without(text) == "Bom dia!" != text for text in texts)
        assert {one for one in UNWANTED if any(one in text for text in texts)} == set(UNWANTED)
        assert any(text.startswith(UNWANTED) for text in texts)
        assert any(text.endswith(UNWANTED) for text in texts)
        assert garbled[0] == Words(text=texts[0], link="x")

    def test_so_does_a_caption(self) -> None:
        garbled = mischief(nul=1).garbled(IMAGE)
        assert isinstance(garbled, Attachment)
        assert garbled.caption is not None
        assert without(garbled.caption) == "a foto" != garbled.caption

    def test_a_file_without_a_caption_stays(self) -> None:
        bare = Attachment(
            kind=AttachmentKind.VOICE, mimetype="audio/ogg", extension="oga", size_bytes=9
        )
        assert mischief(nul=1).garbled(bare) == bare

    @pytest.mark.parametrize(
        "content", [Place(latitude=1.0, longitude=2.0, name="a", street="b")], ids=["place"]
    )
    def test_what_has_no_text_stays(self, content: Content) -> None:
        assert mischief(nul=1).garbled(content) == content

    def test_nothing_is_garbled_without_the_fault(self) -> None:
        assert mischief(forged=1, lid_flip=1).garbled(IMAGE) == IMAGE


def without(text: str) -> str:
    for unwanted in UNWANTED:
        text = text.replace(unwanted, "")
    return text
