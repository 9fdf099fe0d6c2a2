"""What a message can say; ``kind`` is the archive's word for it."""

from enum import StrEnum

from msgspec import Struct

from wagateway.simulator.fates import NO_FATE, Fate, Gone
from wagateway.simulator.files import File


class Words(Struct, frozen=True, kw_only=True, tag=True):
    """A text; *link* is an address in it that WhatsApp shows a preview of."""

    text: str
    link: str | None = None
    link_title: str | None = None

    @property
    def kind(self) -> str:
        """What a perfect archive calls it."""
        return "text"


class AttachmentKind(StrEnum):
    """What sort of file is attached, in the words of the archive."""

    IMAGE = "image"
    VIDEO = "video"
    GIF = "gif"
    VIDEO_NOTE = "video_note"
    VOICE = "voice"
    AUDIO = "audio"
    DOCUMENT = "document"
    STICKER = "sticker"


class Fetch(StrEnum):
    """How WAHA fared with a file."""

    SAVED = "saved"
    SKIPPED = "skipped"
    """Not downloaded because of WAHA's settings: ``media`` has no address."""
    FAILED = "failed"
    """WhatsApp did not give it: ``media.error``."""
    UNTOLD = "untold"
    """An old WAHA, or a failure inside: ``hasMedia`` without ``media``."""


class Attachment(Struct, frozen=True, kw_only=True, tag=True):
    """A file with its facts; its ``kind`` is the archive's word.

    Attributes:
        extension: as WAHA names the file, without a dot.
        filename: of documents only.
        seconds: length of what plays, else 0.
        width, height: pixels, else 0.
        animated: of stickers only.
        view_once: may be seen once only; NOWEB gets no more than the fact from others.
        file: its bytes, with which the facts agree; None where only these exist.
        fate: what becomes of it afterwards.
    """

    kind: AttachmentKind
    mimetype: str
    extension: str
    size_bytes: int
    caption: str | None = None
    filename: str | None = None
    seconds: int = 0
    width: int = 0
    height: int = 0
    pages: int = 0
    animated: bool = False
    view_once: bool = False
    fetch: Fetch = Fetch.SAVED
    file: File | None = None
    fate: Fate = NO_FATE

    @property
    def gone(self) -> Gone | None:
        """How WAHA says that WhatsApp has it no longer, None where it has."""
        lost = self.fetch is Fetch.FAILED and not self.fate.later
        return self.fate.gone or (Gone.ERROR if lost else None)

    @property
    def sort(self) -> str:
        """From which files one like it is taken; see `files.Shelf`."""
        return "moving-sticker" if self.animated else self.kind.value


class Place(Struct, frozen=True, kw_only=True, tag=True):
    """A location in degrees."""

    latitude: float
    longitude: float
    name: str
    street: str

    @property
    def kind(self) -> str:
        """What a perfect archive calls it."""
        return "location"


class LivePlace(Struct, frozen=True, kw_only=True, tag=True):
    """Where somebody is at the moment, in degrees; it moves on without further messages."""

    latitude: float
    longitude: float
    accuracy_m: int
    speed_mps: float

    @property
    def kind(self) -> str:
        """What a perfect archive calls it."""
        return "live_location"


class Card(Struct, frozen=True, kw_only=True, tag=True):
    """A contact card."""

    name: str
    vcard: str

    @property
    def kind(self) -> str:
        """What a perfect archive calls it."""
        return "contact"


class Cards(Struct, frozen=True, kw_only=True, tag=True):
    """Several contact cards in one message, two or more."""

    cards: tuple[Card, ...]

    @property
    def kind(self) -> str:
        """What a perfect archive calls it."""
        return "contact"


class Ballot(Struct, frozen=True, kw_only=True, tag=True):
    """A poll; *selectable* 0 means any number of options."""

    question: str
    options: tuple[str, ...]
    selectable: int

    @property
    def kind(self) -> str:
        """What a perfect archive calls it."""
        return "poll"


class Gathering(Struct, frozen=True, kw_only=True, tag=True):
    """A calendar event, to which people can answer whether they come."""

    name: str
    description: str
    starts_ms: int
    where: str

    @property
    def kind(self) -> str:
        """What a perfect archive calls it."""
        return "event"


class MenuForm(StrEnum):
    """What sort of choice a business offers, or what somebody chose."""

    LIST = "list"
    BUTTONS = "buttons"
    INTERACTIVE = "interactive"
    LIST_REPLY = "list-reply"
    BUTTON_REPLY = "button-reply"


class Menu(Struct, frozen=True, kw_only=True, tag=True):
    """A message to tap on, or the answer to one.

    Attributes:
        text: what WAHA shows as the body; of an answer, the option chosen.
        options: to choose from; of an answer, only the chosen one.
    """

    form: MenuForm
    text: str
    options: tuple[str, ...]
    footer: str = ""

    @property
    def kind(self) -> str:
        """What a perfect archive calls it."""
        return "text"


class WareForm(StrEnum):
    """What the archive keeps raw."""

    PRODUCT = "product"
    ORDER = "order"
    INVITE = "invite"


class Ware(Struct, frozen=True, kw_only=True, tag=True):
    """A product, an order or the invitation into a group: kept raw, as unknown.

    Attributes:
        number: of the product or order, or the group's digits.
        caption: the words beside an invitation; the others have none.
    """

    form: WareForm
    title: str
    number: int
    price_cents: int = 0
    caption: str | None = None

    @property
    def kind(self) -> str:
        """What a perfect archive calls it."""
        return "unknown"


class Timer(Struct, frozen=True, kw_only=True, tag=True):
    """Messages of this chat disappear after so many seconds from now on; 0 keeps them.

    NOWEB alone shows it as a message.
    """

    seconds: int

    @property
    def kind(self) -> str:
        """What a perfect archive calls it."""
        return "system"


Content = (
    Words | Attachment | Place | LivePlace | Card | Cards | Ballot | Gathering | Menu | Ware | Timer
)
