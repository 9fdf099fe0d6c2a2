"""What people send around: files still to be chosen, cards, places, events, and their likes."""

from msgspec.structs import replace

from wagateway.simulator.contents import (
    Attachment,
    AttachmentKind,
    Card,
    Cards,
    Fetch,
    Gathering,
    LivePlace,
    Menu,
    MenuForm,
    Ware,
    WareForm,
)
from wagateway.simulator.dice import Dice
from wagateway.simulator.topics import INVITATIONS, MENUS, WARES
from wagateway.simulator.world import Person

_DAY_MS = 24 * 3600 * 1000
_QUARTER_MS = 900_000


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


def audio(dice: Dice) -> Attachment:
    """Return a piece of music or a recording: a file, not a voice note."""
    seconds = dice.number(20, 400)
    mimetype, extension = dice.pick((("audio/mpeg", "mp3"), ("audio/mp4", "m4a")))
    return Attachment(
        kind=AttachmentKind.AUDIO,
        mimetype=mimetype,
        extension=extension,
        size_bytes=seconds * dice.number(15_000, 17_000),
        seconds=seconds,
    )


def gif(dice: Dice, caption: str | None) -> Attachment:
    """Return an animation, which WhatsApp sends as a silent film."""
    return replace(
        video(dice, caption), kind=AttachmentKind.GIF, seconds=dice.number(1, 6), height=270
    )


def video_note(dice: Dice) -> Attachment:
    """Return a film of somebody talking, shown in a circle."""
    seconds = dice.number(2, 60)
    return replace(
        video(dice, None),
        kind=AttachmentKind.VIDEO_NOTE,
        seconds=seconds,
        size_bytes=seconds * dice.number(90_000, 120_000),
        width=400,
        height=400,
    )


def view_once(dice: Dice) -> Attachment:
    """Return a photo that may be seen once."""
    return replace(image(dice, None), view_once=True)


def lost(file: Attachment, fetch: Fetch) -> Attachment:
    """Return *file* with what became of it when WAHA tried to get it."""
    return replace(file, fetch=fetch)


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


def sticker(dice: Dice, *, animated: bool = False) -> Attachment:
    """Return a sticker."""
    return Attachment(
        kind=AttachmentKind.STICKER,
        mimetype="image/webp",
        extension="webp",
        size_bytes=dice.number(8_000, 60_000),
        width=512,
        height=512,
        animated=animated,
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


def cards(people: list[Person]) -> Cards:
    """Return the contact cards of *people* in one."""
    return Cards(cards=tuple(card(person) for person in people))


def live_place(dice: Dice) -> LivePlace:
    """Return where somebody is on their way through São Paulo."""
    return LivePlace(
        latitude=-23.5 - dice.number(0, 99_999) / 1_000_000,
        longitude=-46.6 - dice.number(0, 99_999) / 1_000_000,
        accuracy_m=dice.number(4, 60),
        speed_mps=dice.number(0, 150) / 10,
    )


def gathering(dice: Dice, at_ms: int, name: str, description: str, where: str) -> Gathering:
    """Return an event some days after *at_ms*, at a quarter of an hour."""
    starts_ms = at_ms + dice.number(1, 30) * _DAY_MS
    return Gathering(
        name=name,
        description=description,
        starts_ms=starts_ms - starts_ms % _QUARTER_MS,
        where=where,
    )


def menu(dice: Dice, form: MenuForm) -> Menu:
    """Return a message to tap on."""
    text, options, footer = dice.pick(MENUS)
    return Menu(form=form, text=text, options=options, footer=footer)


def choice(dice: Dice, menu: Menu) -> Menu:
    """Return the answer of somebody who tapped on one option of *menu*."""
    option = dice.pick(menu.options)
    listed = menu.form is MenuForm.LIST
    form = MenuForm.LIST_REPLY if listed else MenuForm.BUTTON_REPLY
    return Menu(form=form, text=option, options=(option,))


def ware(dice: Dice, form: WareForm) -> Ware:
    """Return a product or an order."""
    return Ware(
        form=form,
        title=dice.pick(WARES),
        number=dice.number(10**15, 10**16 - 1),
        price_cents=dice.number(500, 30_000),
    )


def invitation(dice: Dice, group: str, subject: str) -> Ware:
    """Return an invitation into the group with the digits *group*."""
    caption = dice.pick(INVITATIONS)
    return Ware(form=WareForm.INVITE, title=subject, number=int(group), caption=caption)
