"""The scenes of the bakery's day; a deck of them deals all that can happen, over and over.

A scene that starts with a rush has its first message overtaken by what follows it: the
acknowledgement, edit, reaction or deletion comes before its message.
"""

from collections.abc import Callable

from wagateway.simulator.casting import a_customer, a_group, mention, somewhere
from wagateway.simulator.contents import Ballot, Place, Words
from wagateway.simulator.happenings import (
    Address,
    Direct,
    Stories,
)
from wagateway.simulator.phrases import NEWS, PHRASES, PLACES
from wagateway.simulator.props import card, document, image, sticker, video, voice
from wagateway.simulator.scenes_around import (
    applause,
    calls,
    comings,
    labels,
    newcomer,
    outage,
    repairing,
    rules,
    tidying,
    waiting,
)
from wagateway.simulator.scenes_rare import (
    acquaintances,
    captions,
    chain_letter,
    counter,
    letters,
    lost_files,
    on_the_way,
    party,
    recordings,
    secrets,
    shopping,
)
from wagateway.simulator.stage import Stage
from wagateway.simulator.world import Group, Language

Scene = Callable[[Stage], None]

_RECEIPTS_DONE = (31, 50)
"""Seconds after which a message's receipts are in; WEBJS repeats its content with each of them."""


def order(stage: Stage) -> None:
    """A customer orders; the bakery answers through its system; a quote and a reaction follow."""
    customer = a_customer(stage)
    chat = Direct(person=customer)
    language = customer.language
    if stage.dice.chance(0.5):
        stage.typing(chat, customer, Address.PHONE, "typing")
        stage.wait(2, 6)
    asked = stage.say(chat, customer, stage.phrase(language, lambda p: p.orders))
    stage.wait(8, 22)
    stage.seen_by_me(asked)
    answered = stage.answer(asked, stage.phrase(language, lambda p: p.answers), source="api")
    stage.wait(26, 50)
    stage.say(chat, customer, stage.phrase(language, lambda p: p.replies), quotes=answered)
    stage.react(answered, customer)
    if stage.dice.chance(0.5):
        stage.wait(3, 12)
        stage.react(answered, customer, stage.dice.pick(("", "🙏")))


def confirmation(stage: Stage) -> None:
    """The bakery's system writes first; receipts and a reaction come, maybe before the message."""
    customer = a_customer(stage)
    text = stage.phrase(customer.language, lambda p: p.answers)
    note = stage.say(Direct(person=customer), stage.world.account, text, source="api")
    stage.read(note)
    stage.wait(9, 20)
    stage.react(note, customer)
    stage.wait(15, 30)
    stage.react(note, customer, "")


def voices(stage: Stage) -> None:
    """Voice notes go back and forth; the bakery's is read and played."""
    customer = a_customer(stage)
    chat = Direct(person=customer)
    stage.typing(chat, customer, Address.PHONE, "recording")
    stage.wait(4, 15)
    asked = stage.say(chat, customer, voice(stage.dice))
    stage.wait(20, 60)
    stage.answer(asked, voice(stage.dice))
    stage.wait(30, 60)
    stage.say(chat, customer, sticker(stage.dice))


def pictures(stage: Stage) -> None:
    """A picture with a caption, a film and a document come; the bakery reacts and answers."""
    chat, customer = somewhere(stage)
    caption = stage.phrase(customer.language, lambda p: p.captions)
    picture = stage.say(chat, customer, image(stage.dice, caption))
    stage.wait(5, 15)
    stage.say(chat, customer, document(stage.dice, "comprovante"))
    stage.say(chat, customer, video(stage.dice, None))
    stage.wait(5, 15)
    stage.react(picture, stage.world.account)
    stage.wait(20, 60)
    offer = stage.answer(picture, document(stage.dice, "orçamento (bolo)"), source="api")
    stage.wait(20, 60)
    stage.say(chat, customer, stage.phrase(customer.language, lambda p: p.replies), quotes=offer)


def delivery(stage: Stage) -> None:
    """A customer tells where they are; the bakery sends the courier's card."""
    customer = a_customer(stage)
    chat = Direct(person=customer)
    name, street, latitude, longitude = stage.dice.pick(PLACES)
    place = Place(latitude=latitude, longitude=longitude, name=name, street=street)
    where = stage.say(chat, customer, place)
    stage.wait(10, 40)
    courier = stage.dice.pick([p for p in stage.world.people if p is not customer])
    stage.answer(where, card(courier))
    stage.wait(20, 60)
    stage.say(chat, customer, card(stage.dice.pick(stage.world.people)))
    stage.wait(5, 20)
    stage.say(chat, customer, stage.phrase(customer.language, lambda p: p.replies), quotes=where)


def typo(stage: Stage) -> None:
    """A customer corrects what they wrote; sometimes the bakery corrects itself too."""
    chat, customer = somewhere(stage)
    wrong, right = stage.dice.pick(PHRASES[customer.language].typos)
    number, hour = stage.dice.number(2, 40), stage.dice.number(7, 11)
    note = stage.say(chat, customer, wrong.format(n=number, hour=hour))
    stage.wait(6, 18)
    stage.edit(note, right.format(n=number, hour=hour))
    stage.wait(10, 30)
    template = stage.dice.pick(PHRASES[customer.language].answers)
    answer = stage.answer(note, stage.fill(template))
    for _ in range(stage.dice.number(1, 2)):
        stage.wait(*_RECEIPTS_DONE)
        answer = stage.edit(answer, stage.fill(template))


def regret(stage: Stage) -> None:
    """Somebody deletes what they wrote; so does the bakery."""
    chat, customer = somewhere(stage)
    note = stage.say(chat, customer, stage.phrase(customer.language, lambda p: p.regrets))
    stage.wait(6, 18)
    stage.revoke(note)
    stage.wait(10, 40)
    mine = stage.answer(note, stage.phrase(customer.language, lambda p: p.regrets))
    stage.wait(*_RECEIPTS_DONE)
    stage.revoke(mine)


def chatter(stage: Stage) -> None:
    """A group talks: mentions, quotes, stickers, a video, reactions, and receipts by member."""
    group, language = a_group(stage)
    members = stage.cast.members[group.jid]
    first, second, *others = stage.dice.shuffled(members)
    opening = mention(stage, group, first, second, language)
    stage.wait(6, 18)
    stage.react(opening, second)
    line = stage.phrase(language, lambda p: p.replies)
    reply = stage.say(group, second, line, quotes=opening)
    stage.wait(5, 20)
    stage.say(group, stage.dice.pick(others or [first]), sticker(stage.dice))
    stage.wait(5, 20)
    mine = stage.say(
        group, stage.world.account, stage.phrase(language, lambda p: p.replies), quotes=reply
    )
    stage.read(mine)
    stage.wait(10, 30)
    for member in stage.dice.sample(members, 3):
        stage.react(mine, member)
    stage.wait(10, 30)
    caption = stage.phrase(language, lambda p: p.captions)
    stage.say(group, first, video(stage.dice, caption))


def poll(stage: Stage) -> None:
    """The bakery asks a group or a customer; voters change their minds and take votes back."""
    chat, person = somewhere(stage)
    question, options = stage.dice.pick(PHRASES[person.language].polls)
    several = stage.dice.number(0, 1)
    ballot = Ballot(question=question, options=options, selectable=several)
    mine = isinstance(chat, Direct) or stage.dice.chance(0.5)
    asks = stage.world.account if mine else person
    note = stage.say(chat, asks, ballot, source="api" if mine else "app")
    if mine:
        stage.read(note)
    members = stage.cast.members[chat.jid] if isinstance(chat, Group) else [person]
    voters = [member for member in members if member is not asks]
    for voter in voters:
        stage.wait(4, 15)
        stage.vote(note, voter, stage.dice.pick(options))
    stage.wait(10, 40)
    second_thoughts = (options[-1], options[0]) if several == 0 else (options[-1],)
    stage.vote(note, voters[0], *second_thoughts)
    stage.wait(4, 15)
    stage.vote(note, voters[-1])
    stage.wait(4, 15)
    stage.vote(note, stage.dice.pick(voters), options[0], readable=False)


def membership(stage: Stage) -> None:
    """Somebody joins a group, says hello and becomes admin; who joined last time leaves."""
    group, language = a_group(stage)
    members = stage.cast.members[group.jid]
    leaving = [member for member in members if member not in group.members]
    guests = [p for p in stage.world.people if p not in members and not p.hidden]
    guest = stage.dice.pick(guests)
    stage.change_member(group, "join", guest)
    stage.wait(5, 20)
    stage.say(group, guest, stage.phrase(guest.language, lambda p: p.replies))
    stage.wait(20, 60)
    welcome = stage.phrase(guest.language, lambda p: p.stories)
    source = stage.dice.pick(("api", "app"))
    stage.read(stage.say(group, stage.world.account, welcome, source=source))
    stage.rename(group, group.members[0])
    stage.wait(5, 20)
    mention(stage, group, group.members[0], guest, language)
    stage.wait(20, 60)
    stage.change_member(group, "promote", guest)
    for member in leaving:
        stage.wait(20, 60)
        stage.change_member(group, "leave", member)


def stranger(stage: Stage) -> None:
    """Somebody writes under a hidden id, is introduced in a group, and then shows their phone."""
    person = stage.dice.pick([p for p in stage.world.people if p.hidden])
    chat, language = Direct(person=person), person.language
    stage.rush = False
    for saying in (lambda p: p.hellos, lambda p: p.orders):
        note = stage.say(chat, person, stage.phrase(language, saying), address=Address.LID_ALONE)
        stage.wait(15, 40)
        stage.seen_by_me(note)
        stage.answer(note, stage.phrase(language, lambda p: p.answers))
        stage.wait(30, 60)
    group = next(g for g in stage.world.groups if g.by_lid)
    stage.change_member(group, "join", person)
    stage.wait(10, 30)
    known = stage.say(
        chat, person, stage.phrase(language, lambda p: p.replies), address=Address.LID
    )
    stage.wait(20, 60)
    stage.answer(known, stage.phrase(language, lambda p: p.answers), source="api")
    stage.wait(30, 90)
    phone = stage.say(chat, person, stage.phrase(language, lambda p: p.introductions))
    stage.wait(10, 40)
    stage.answer(phone, stage.phrase(language, lambda p: p.answers))
    stage.react(known, person)
    stage.wait(10, 40)
    stage.change_member(group, "leave", person)


def inventory(stage: Stage) -> None:
    """Somebody of a group sends a long list; the bakery thanks."""
    group, language = a_group(stage)
    author = stage.dice.pick(group.members)
    goods = PHRASES[language].goods
    lines = [
        f"{row:02d}) {stage.dice.pick(goods)}: {stage.dice.number(1, 90)}" for row in range(1, 61)
    ]
    note = stage.say(group, author, "📋 " + group.subjects[0] + "\n\n" + "\n".join(lines))
    stage.wait(20, 50)
    stage.react(note, stage.world.account, "🙏")


def news(stage: Stage) -> None:
    """The channel posts; people put up status posts, and so does the bakery."""
    template, title = stage.dice.pick(NEWS)
    text = stage.fill(template)
    link = text[text.index("https://") :]
    stage.post(stage.world.channel, None, Words(text=text, link=link, link_title=title))
    stage.wait(20, 90)
    person = a_customer(stage)
    stage.post(Stories(), person, Words(text=stage.phrase(person.language, lambda p: p.stories)))
    stage.wait(20, 90)
    person = a_customer(stage)
    stage.post(Stories(), person, image(stage.dice, None))
    stage.wait(20, 90)
    own = stage.phrase(Language.PORTUGUESE, lambda p: p.stories)
    stage.post(Stories(), stage.world.account, Words(text=own))


def reconnect(stage: Stage) -> None:
    """The session starts, or loses its connection and comes back."""
    stage.session("STARTING")
    stage.wait(2, 6)
    stage.session("WORKING")


DECK: tuple[Scene, ...] = (
    *(order, confirmation, voices, pictures, delivery, typo, regret, chatter, poll, membership),
    *(stranger, inventory, news, reconnect),
    *(recordings, secrets, acquaintances, on_the_way, party, counter, shopping, letters),
    *(chain_letter, lost_files, captions),
    *(calls, labels, tidying, waiting, newcomer, rules, applause, comings, outage, repairing),
)
"""All scenes that are dealt; each comes once before any comes again."""
