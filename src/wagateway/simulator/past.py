"""Messages from before the simulation, which only the store of the engine has."""

from collections.abc import Callable, Iterator

from wagateway.simulator.casting import a_customer, a_group
from wagateway.simulator.contents import Content, Place
from wagateway.simulator.dice import Dice
from wagateway.simulator.engine import Engine
from wagateway.simulator.eras import Plan
from wagateway.simulator.facts import Fact
from wagateway.simulator.faults import Faults
from wagateway.simulator.happenings import Address, Direct, Note, Sent
from wagateway.simulator.phrases import PLACES
from wagateway.simulator.props import card, document, image, sticker, voice
from wagateway.simulator.stage import Cast, Stage
from wagateway.simulator.world import Group, Person

PAST_DAYS = 60
"""How far it goes back before everything that webhooks tell."""
_DAY_MS = 86_400_000
_SAME_SECOND = 0.35
_IN_GROUPS = 0.35
_MINE = 0.35
_ANSWERS = 0.2
_BY_LID = 0.15
_READ, _DELIVERED = 3, 2


def past_facts(engine: Engine, plan: Plan, count: int) -> Iterator[Fact]:
    """Yield *count* old messages of one account, oldest first; many share a second.

    They lie on PAST_DAYS days before the history that webhooks tell.
    """
    dice = Dice("past", plan.key)
    faults = plan.faults
    quiet = Faults(file_gone=faults.file_gone, file_second=faults.file_second)
    cast = Cast(engine.world, f"{plan.key}/past", quiet, plan.shelf)
    latest: dict[str, Note] = {}
    for number, at_ms in enumerate(_instants(dice, plan, count)):
        stage = Stage(cast, dice, at_ms, number, rush=False)
        note = _say(stage, latest)
        if type(note.content) in engine.silent_about:
            continue
        yield Fact(
            session=engine.session,
            account=engine.account,
            happening=Sent(at_ms=at_ms, scene=0, note=note),
            kind=engine.kind(note),
            ack=_READ if note.from_me else _DELIVERED,
            revealed=engine.reveals_by(note),
        )


def _instants(dice: Dice, plan: Plan, count: int) -> list[int]:
    end_ms = plan.start_ms - plan.history_ms - _DAY_MS
    instants: list[int] = []
    for _ in range(count):
        if instants and dice.chance(_SAME_SECOND):
            second_ms = instants[-1] // 1000 * 1000
            instants.append(second_ms + dice.number(0, 999))
        else:
            instants.append(end_ms - dice.number(0, PAST_DAYS * _DAY_MS))
    return sorted(instants)


def _say(stage: Stage, latest: dict[str, Note]) -> Note:
    chat, person, address = _somewhere(stage)
    account = stage.world.account
    author = account if stage.dice.chance(_MINE) else person
    before = latest.get(_key(chat))
    note = stage.say(
        chat,
        author,
        _content(stage, person),
        address=address,
        quotes=before if before and stage.dice.chance(_ANSWERS) else None,
    )
    latest[_key(chat)] = note
    return note


def _somewhere(stage: Stage) -> tuple[Direct | Group, Person, Address]:
    if stage.dice.chance(_IN_GROUPS):
        group, _ = a_group(stage)
        return group, stage.dice.pick(group.members), Address.PHONE
    person = a_customer(stage)
    address = Address.LID if stage.dice.chance(_BY_LID) else Address.PHONE
    return Direct(person=person), person, address


def _key(chat: Direct | Group) -> str:
    return chat.person.phone if isinstance(chat, Direct) else chat.jid


def _content(stage: Stage, person: Person) -> Content | str:
    dice, language = stage.dice, person.language
    text = stage.phrase(language, dice.pick((lambda p: p.orders, lambda p: p.replies)))
    others: tuple[Callable[[], Content], ...] = (
        lambda: image(dice, text),
        lambda: document(dice, "comprovante"),
        lambda: voice(dice),
        lambda: sticker(dice),
        lambda: card(person),
        lambda: _place(stage),
    )
    return dice.pick(others)() if dice.chance(0.25) else text


def _place(stage: Stage) -> Place:
    name, street, latitude, longitude = stage.dice.pick(PLACES)
    return Place(latitude=latitude, longitude=longitude, name=name, street=street)
