"""The invented people, groups and channel around one WhatsApp account: a bakery in São Paulo.

Everybody here is fictitious. Phone numbers are +55 11 9xxxx-01xx and +1 202 555 01xx.
"""

from enum import StrEnum

from msgspec import Struct

from wagateway.simulator.dice import Dice

COUNTRY_OFFSET_H = -3
"""Hours that local time is ahead of UTC."""
SMALLEST = 17
"""Chats of `create_world`: twelve people, three groups, the channel, and where stories go."""
_HOUR_MS = 3_600_000


class Language(StrEnum):
    """What somebody writes in."""

    PORTUGUESE = "pt"
    ENGLISH = "en"
    SPANISH = "es"
    ARABIC = "ar"


class Device(StrEnum):
    """What somebody writes on; it shapes the ids of their messages."""

    IPHONE = "iphone"
    ANDROID = "android"
    WEB = "web"


class Person(Struct, frozen=True, kw_only=True):
    """Somebody with their habits.

    Attributes:
        name: what they call themselves (WhatsApp's push name).
        phone: digits with country code.
        lid: digits of their hidden id; unrelated to the phone.
        device_number: the linked device they write from, 0 for the phone itself.
        wakes_h, sleeps_h: local hours between which they write.
        chattiness: how much they write, compared with the others.
        hidden: WhatsApp shows their hidden id first; their phone becomes known later.
    """

    name: str
    phone: str
    lid: str
    language: Language
    device: Device
    device_number: int = 0
    wakes_h: int = 6
    sleeps_h: int = 23
    chattiness: float = 1.0
    hidden: bool = False

    @property
    def phone_jid(self) -> str:
        """Address by phone, as WAHA shows it."""
        return f"{self.phone}@c.us"

    @property
    def lid_jid(self) -> str:
        """Address by hidden id."""
        return f"{self.lid}@lid"

    def awake(self, hour: float) -> bool:
        """Tell whether they write at local *hour* (0 to 24)."""
        return self.wakes_h <= hour < self.sleeps_h


class Group(Struct, frozen=True, kw_only=True):
    """A group chat that the account is in.

    Attributes:
        by_lid: members are addressed by hidden id rather than by phone.
        members: at the beginning, the account not included; the first is the group's owner.
        subjects: names that the group has in turn.
        languages: of what is said here.
    """

    jid: str
    subjects: tuple[str, ...]
    by_lid: bool
    members: tuple[Person, ...]
    languages: tuple[Language, ...]


class Channel(Struct, frozen=True, kw_only=True):
    """A channel (newsletter) that the account follows."""

    jid: str
    name: str


class World(Struct, frozen=True, kw_only=True):
    """Everybody and every place of one account."""

    account: Person
    people: tuple[Person, ...]
    groups: tuple[Group, ...]
    channel: Channel


_BAKERIES = ("Padaria Estrela da Manhã", "Padaria Flor do Trigo", "Pães & Prosa", "Padaria Aurora")
_NAMES = {
    Language.PORTUGUESE: (
        *("Beatriz Sampaio", "Rafael Nogueira", "Dona Lúcia 🌷", "Thiago M.", "Marília Couto"),
        *("Seu Antônio", "Júlia Furtado", "Caio Brandão", "Vânia Açaí 🍇", "Otávio Reis"),
    ),
    Language.ENGLISH: ("Hannah Whitlock", "Sam O'Dell", "Priya N.", "Gus 🚴", "Maeve Donnelly"),
    Language.SPANISH: ("Lucía Ibarra", "Íñigo Peña", "Carmen ✨", "Matías Quiroga"),
    Language.ARABIC: ("ليلى حداد", "سامي", "نور الهدى", "Yusuf يوسف"),
}
_HOW_MANY = {
    Language.PORTUGUESE: 5,
    Language.ENGLISH: 3,
    Language.SPANISH: 2,
    Language.ARABIC: 2,
}


def local_hour(at_ms: int) -> float:
    """Return the local hour of the day, 0 up to 24, at an epoch instant in milliseconds."""
    return (at_ms / _HOUR_MS + COUNTRY_OFFSET_H) % 24


def create_world(seed: int) -> World:
    """Return the world of *seed*; the same seed always gives the same world."""
    dice = Dice("world", seed)
    endings = dice.sample(range(2, 100), 1 + sum(_HOW_MANY.values()))
    bakery = dice.pick(_BAKERIES)
    account = _person(dice, bakery, Language.PORTUGUESE, endings.pop(), hidden=False)
    people = []
    for language, count in _HOW_MANY.items():
        names = dice.sample(_NAMES[language], count)
        # The last one of each foreign language is somebody whose phone shows late.
        hidden = {names[-1]} if language in {Language.ARABIC, Language.ENGLISH} else set()
        people += [
            _person(dice, name, language, endings.pop(), hidden=name in hidden) for name in names
        ]
    channel = Channel(jid=f"{group_number(dice)}@newsletter", name="Moinho Notícias")
    return World(
        account=account,
        people=tuple(people),
        groups=_groups(dice, bakery, people),
        channel=channel,
    )


def _person(dice: Dice, name: str, language: Language, ending: int, *, hidden: bool) -> Person:
    local = language in {Language.PORTUGUESE, Language.SPANISH}
    phone = f"55119{dice.number(4000, 9899)}01{ending:02d}" if local else f"120255501{ending:02d}"
    return Person(
        name=name,
        phone=phone,
        lid=f"27{dice.number(10**9, 10**10 - 1)}01{ending:02d}",
        language=language,
        device=dice.pick((Device.IPHONE, Device.ANDROID, Device.ANDROID, Device.WEB)),
        device_number=dice.pick((0, 0, 0, 7, 31)),
        wakes_h=dice.number(5, 9),
        sleeps_h=dice.number(20, 24),
        chattiness=dice.between(0.5, 3.0),
        hidden=hidden,
    )


def _groups(dice: Dice, bakery: str, people: list[Person]) -> tuple[Group, ...]:
    local = [person for person in people if person.language is Language.PORTUGUESE]
    spanish = [person for person in people if person.language is Language.SPANISH]
    visible = [person for person in people if not person.hidden]
    return (
        Group(
            jid=f"{group_number(dice)}@g.us",
            subjects=(f"Equipe {bakery}", f"Equipe {bakery} ☀️", f"Equipe {bakery} 🥖"),
            by_lid=False,
            members=tuple(local[:4]),
            languages=(Language.PORTUGUESE,),
        ),
        Group(
            jid=f"{group_number(dice)}@g.us",
            subjects=("Fornecedores ZO", "Fornecedores ZO / Proveedores", "Fornecedores 📦"),
            by_lid=True,
            members=(*spanish, *local[-2:]),
            languages=(Language.PORTUGUESE, Language.SPANISH),
        ),
        Group(
            jid=f"{group_number(dice)}@g.us",
            subjects=("Breakfast club 🥐", "Breakfast club 🥐☕", "Sunday breakfast club"),
            by_lid=dice.chance(0.5),
            members=tuple(dice.sample(visible, 6)),
            languages=tuple(Language),
        ),
    )


def group_number(dice: Dice) -> str:
    """Return the number of a new group or channel."""
    return f"1203630{dice.number(10**9, 10**10 - 1)}0"
