"""The further people and groups of a larger world; everybody is fictitious."""

from wagateway.simulator.dice import Dice
from wagateway.simulator.world import (
    SMALLEST,
    Device,
    Group,
    Language,
    Person,
    World,
    create_world,
    group_number,
)

_ONE_IN_GROUPS = 5
_HIDDEN = 0.15
_FIRST = {
    Language.PORTUGUESE: (
        *("Ana", "Bruno", "Camila", "Davi", "Eduarda", "Fábio", "Gisele", "Heitor", "Inês", "João"),
        *("Karina", "Luís", "Mônica", "Nélio", "Olívia", "Paulo", "Rita", "Sérgio", "Tânia"),
    ),
    Language.ENGLISH: ("Alice", "Ben", "Chloe", "Dylan", "Erin", "Fiona", "Grant", "Holly", "Ian"),
    Language.SPANISH: ("Alma", "Benito", "Cecilia", "Diego", "Elena", "Félix", "Gloria", "Hugo"),
    Language.ARABIC: ("أمل", "بلال", "جميلة", "خالد", "رانيا", "زياد", "سلمى", "طارق", "كريم"),
}
_LAST = {
    Language.PORTUGUESE: ("Alves", "Barros", "Cardoso", "Dias", "Esteves", "Fontes", "Gouveia"),
    Language.ENGLISH: ("Archer", "Barlow", "Cole", "Dunn", "Ellis", "Frost", "Grey"),
    Language.SPANISH: ("Aguilar", "Bravo", "Cortés", "Duarte", "Espinosa", "Flores"),
    Language.ARABIC: ("العلي", "بركات", "حسن", "درويش", "منصور", "ناصر"),
}
_SPOKEN = (*(Language.PORTUGUESE,) * 6, Language.ENGLISH, Language.SPANISH, Language.ARABIC)
_SUBJECTS = (
    *("Condomínio {n} 🏢", "Família {name} ❤️", "Turma {n}: avisos", "Futebol de quinta ⚽"),
    *("Book club {n} 📚", "Vecinos {n}", "رحلة الجمعة {n}", "Compras coletivas {n} 🛒"),
)
_LOCAL_NUMBERS = 98
"""Endings of phone numbers in one block."""
_BLOCK = 9900
"""The first block of phone numbers that `create_world` does not use."""
MOST = 10_000
"""Chats for which there are phone numbers."""


def crowded_world(seed: int, chats: int) -> World:
    """Return the world of *seed* with about *chats* chats: groups and direct chats in one to four.

    The people and groups of `create_world` are always in it.

    Raises:
        ValueError: *chats* is not from SMALLEST to MOST.
    """
    if not SMALLEST <= chats <= MOST:
        raise ValueError(f"there can be {SMALLEST} to {MOST} chats, not {chats}")
    world = create_world(seed)
    dice = Dice("crowd", seed)
    more = max(0, chats - SMALLEST)
    people = (*world.people, *_people(dice, more - more // _ONE_IN_GROUPS))
    visible = [person for person in people if not person.hidden]
    groups = tuple(_group(dice, visible, number) for number in range(more // _ONE_IN_GROUPS))
    return World(
        account=world.account,
        people=people,
        groups=(*world.groups, *groups),
        channel=world.channel,
    )


def _people(dice: Dice, count: int) -> list[Person]:
    return [_person(dice, number) for number in range(count)]


def _person(dice: Dice, number: int) -> Person:
    language = dice.pick(_SPOKEN)
    # The number itself makes each phone and each LID another one.
    block, ending = divmod(number, _LOCAL_NUMBERS)
    return Person(
        name=f"{dice.pick(_FIRST[language])} {dice.pick(_LAST[language])}",
        phone=f"55119{_BLOCK + block:04d}01{ending + 2:02d}",
        lid=f"28{dice.number(10**6, 10**7 - 1)}{number:06d}",
        language=language,
        device=dice.pick((Device.IPHONE, Device.ANDROID, Device.ANDROID, Device.WEB)),
        device_number=dice.pick((0, 0, 0, 7, 31)),
        wakes_h=dice.number(5, 9),
        sleeps_h=dice.number(20, 24),
        chattiness=dice.between(0.2, 3.0),
        hidden=dice.chance(_HIDDEN),
    )


def _group(dice: Dice, people: list[Person], number: int) -> Group:
    members = _some(dice, people, dice.number(3, min(20, len(people) // 2)))
    subject = dice.pick(_SUBJECTS).format(n=number + 2, name=members[0].name.split()[-1])
    return Group(
        jid=f"{group_number(dice)}{number:04d}@g.us",
        subjects=(subject, f"{subject} ✨"),
        by_lid=dice.chance(0.5),
        members=members,
        languages=tuple(dict.fromkeys(member.language for member in members)),
    )


def _some(dice: Dice, people: list[Person], count: int) -> tuple[Person, ...]:
    """Return *count* different ones; unlike `Dice.sample` without touching all of a large crowd."""
    chosen: dict[str, Person] = {}
    while len(chosen) < count:
        person = dice.pick(people)
        chosen[person.phone] = person
    return tuple(chosen.values())
