"""What people send around: files that do not exist, and contact cards."""

from wagateway.simulator.dice import Dice
from wagateway.simulator.happenings import Attachment, AttachmentKind, Card
from wagateway.simulator.world import Person


def image(dice: Dice, caption: str | None) -> Attachment:
    """Return a photo."""
    width, height = dice.pick(((1200, 1600), (1600, 1200), (1080, 1080)))
    return Attachment(
        kind=AttachmentKind.IMAGE,
        mimetype="image/jpeg",
        extension="jpeg",
        size_bytes=dice.number(40_000, 400_000),
        caption=caption,
        width=width,
        height=height,
    )


def video(dice: Dice, caption: str | None) -> Attachment:
    """Return a film."""
    return Attachment(
        kind=AttachmentKind.VIDEO,
        mimetype="video/mp4",
        extension="mp4",
        size_bytes=dice.number(900_000, 9_000_000),
        caption=caption,
        seconds=dice.number(4, 60),
        width=480,
        height=848,
    )


def voice(dice: Dice) -> Attachment:
    """Return a voice note."""
    seconds = dice.number(2, 90)
    return Attachment(
        kind=AttachmentKind.VOICE,
        mimetype="audio/ogg; codecs=opus",
        extension="oga",
        size_bytes=seconds * dice.number(2100, 2500),
        seconds=seconds,
    )


def document(dice: Dice, title: str) -> Attachment:
    """Return a PDF called *title* and a number."""
    return Attachment(
        kind=AttachmentKind.DOCUMENT,
        mimetype="application/pdf",
        extension="pdf",
        size_bytes=dice.number(30_000, 900_000),
        caption=dice.pick((None, "📄")),
        filename=f"{title} {dice.number(100, 999)}.pdf",
        pages=dice.number(1, 6),
    )


def sticker(dice: Dice) -> Attachment:
    """Return a sticker."""
    return Attachment(
        kind=AttachmentKind.STICKER,
        mimetype="image/webp",
        extension="webp",
        size_bytes=dice.number(8_000, 60_000),
        width=512,
        height=512,
    )


def card(person: Person) -> Card:
    """Return the contact card of *person*."""
    lines = (
        "BEGIN:VCARD",
        "VERSION:3.0",
        f"N:;{person.name};;;",
        f"FN:{person.name}",
        f"TEL;type=CELL;waid={person.phone}:+{person.phone}",
        "END:VCARD",
    )
    return Card(name=person.name, vcard="\n".join(lines))
