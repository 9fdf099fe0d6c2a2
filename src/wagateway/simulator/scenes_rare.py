"""Scenes with what people send more rarely: all kinds of messages beside words and pictures."""

from wagateway.simulator.casting import a_customer, a_group, somewhere
from wagateway.simulator.contents import (
    Fetch,
    MenuForm,
    Timer,
    WareForm,
    Words,
)
from wagateway.simulator.happenings import (
    Direct,
)
from wagateway.simulator.phrases import PHRASES
from wagateway.simulator.props import (
    audio,
    cards,
    choice,
    document,
    gathering,
    gif,
    image,
    invitation,
    live_place,
    lost,
    menu,
    sticker,
    video,
    video_note,
    view_once,
    ware,
)
from wagateway.simulator.stage import Stage
from wagateway.simulator.topics import (
    BOTH_WAYS,
    COMMUNITIES,
    FACES,
    FORWARDS,
    GATHERINGS,
    LINKS,
    PARAGRAPHS,
)

_FREQUENTLY = 127
"""WhatsApp's score of what was passed on so often that it does not count any more."""
_TIMERS_S = (86_400, 604_800, 7_776_000)


def recordings(stage: Stage) -> None:
    """Music, an animation, a moving sticker and a video note; a video note comes back, is played.

    The voice of the others is a file here, not a voice note.
    """
    chat, person = somewhere(stage)
    stage.say(chat, person, audio(stage.dice))
    stage.wait(5, 20)
    caption = stage.phrase(person.language, lambda p: p.captions)
    stage.say(chat, person, gif(stage.dice, stage.dice.pick((None, caption))))
    stage.wait(3, 12)
    stage.say(chat, person, sticker(stage.dice, animated=True))
    stage.wait(5, 20)
    note = stage.say(chat, person, video_note(stage.dice))
    stage.wait(20, 50)
    if isinstance(chat, Direct):
        stage.answer(note, video_note(stage.dice))


def secrets(stage: Stage) -> None:
    """A chat is set to forget; what is said there disappears, and a picture may be seen once."""
    customer = a_customer(stage)
    chat = Direct(person=customer)
    seconds = stage.dice.pick(_TIMERS_S)
    stage.say(chat, customer, Timer(seconds=seconds))
    stage.wait(4, 15)
    asked = stage.say(
        chat,
        customer,
        stage.phrase(customer.language, lambda p: p.orders),
        disappears_s=seconds,
    )
    stage.wait(5, 20)
    stage.say(chat, customer, view_once(stage.dice))
    stage.wait(5, 20)
    caption = stage.phrase(customer.language, lambda p: p.captions)
    stage.say(chat, customer, image(stage.dice, caption), disappears_s=seconds, quotes=asked)
    stage.wait(10, 40)
    stage.say(
        chat,
        stage.world.account,
        stage.phrase(customer.language, lambda p: p.answers),
        disappears_s=seconds,
    )
    stage.wait(10, 40)
    stage.say(chat, customer, Timer(seconds=0))


def acquaintances(stage: Stage) -> None:
    """Somebody sends several contacts at once; the bakery sends some back through its system."""
    chat, person = somewhere(stage)
    known = [one for one in stage.world.people if not one.hidden and one is not person]
    few = stage.dice.sample(known, stage.dice.number(2, 3))
    got = stage.say(chat, person, cards(few))
    stage.wait(15, 50)
    stage.answer(got, cards(stage.dice.sample(known, 2)), source="api")


def on_the_way(stage: Stage) -> None:
    """Somebody shares where they are while they come; the bakery waits."""
    chat, person = somewhere(stage)
    stage.say(chat, person, live_place(stage.dice))
    stage.wait(3, 15)
    note = stage.say(chat, person, stage.phrase(person.language, lambda p: p.replies))
    stage.wait(10, 40)
    stage.react(note, stage.world.account, "🙏")


def party(stage: Stage) -> None:
    """An event is announced in a group or to a customer; people say whether they come."""
    chat, person = somewhere(stage)
    name, description, where = stage.dice.pick(GATHERINGS)
    event = gathering(stage.dice, stage.now_ms, name, stage.fill(description), where)
    mine = isinstance(chat, Direct) or stage.dice.chance(0.5)
    host = stage.world.account if mine else person
    note = stage.say(chat, host, event)
    if isinstance(chat, Direct):
        guests = [person]
    else:
        guests = [one for one in stage.cast.members[chat.jid] if one is not host][:4]
    for guest in guests:
        stage.wait(5, 20)
        response = stage.dice.pick(("GOING", "NOT_GOING", "MAYBE"))
        stage.respond(note, guest, response, guests=stage.dice.number(0, 2))
    stage.wait(10, 40)
    stage.respond(note, guests[0], "GOING")
    stage.wait(10, 40)
    stage.respond(note, guests[-1], "MAYBE", readable=False)


def counter(stage: Stage) -> None:
    """The bakery's system offers things to tap on, and a customer taps."""
    customer = a_customer(stage)
    chat = Direct(person=customer)
    asked = stage.say(chat, customer, stage.phrase(customer.language, lambda p: p.hellos))
    for form in (MenuForm.LIST, MenuForm.BUTTONS):
        stage.wait(5, 20)
        offer = menu(stage.dice, form)
        shown = stage.answer(asked, offer, source="api")
        stage.wait(10, 40)
        asked = stage.say(chat, customer, choice(stage.dice, offer), quotes=shown)
    stage.wait(5, 20)
    stage.say(chat, customer, menu(stage.dice, MenuForm.INTERACTIVE))


def shopping(stage: Stage) -> None:
    """A product, an order and an invitation into a group, which the archive keeps raw."""
    chat, person = somewhere(stage)
    stage.say(chat, person, ware(stage.dice, WareForm.PRODUCT))
    stage.wait(5, 20)
    stage.say(chat, person, ware(stage.dice, WareForm.ORDER))
    stage.wait(5, 20)
    group, subject = stage.dice.pick(stage.world.groups), stage.dice.pick(COMMUNITIES)
    invited = stage.say(chat, person, invitation(stage.dice, group.jid.partition("@")[0], subject))
    stage.wait(10, 40)
    stage.answer(invited, stage.phrase(person.language, lambda p: p.replies))


def letters(stage: Stage) -> None:
    """Texts of all sizes: endless, of emoji alone, from right to left, and with a link."""
    chat, person = somewhere(stage)
    pieces = [stage.dice.pick(PARAGRAPHS) for _ in range(stage.dice.number(12, 36))]
    stage.say(chat, person, "\n\n".join(map(stage.fill, pieces)))
    stage.wait(5, 20)
    stage.say(chat, person, stage.dice.pick(FACES))
    stage.wait(5, 20)
    stage.say(chat, person, stage.fill(stage.dice.pick(BOTH_WAYS)))
    stage.wait(5, 20)
    template, title = stage.dice.pick(LINKS)
    text = stage.fill(template)
    link = text[text.index("https://") :].partition(" ")[0]
    shared = stage.say(chat, person, Words(text=text, link=link, link_title=title))
    stage.wait(10, 40)
    stage.say(chat, stage.world.account, stage.dice.pick(FACES), quotes=shared)


def chain_letter(stage: Stage) -> None:
    """Something is passed on in a group, and by the bakery to a customer."""
    group, language = a_group(stage)
    author = stage.dice.pick(stage.cast.members[group.jid])
    times = stage.dice.pick((1, 2, 4, _FREQUENTLY))
    stage.say(group, author, stage.dice.pick(FORWARDS), forwarded=times)
    stage.wait(5, 20)
    caption = stage.phrase(language, lambda p: p.captions)
    stage.say(group, author, video(stage.dice, caption), forwarded=_FREQUENTLY)
    stage.wait(5, 20)
    stage.say(group, author, image(stage.dice, None), forwarded=1)
    stage.wait(20, 60)
    chat = Direct(person=a_customer(stage))
    mine = stage.say(chat, stage.world.account, stage.dice.pick(FORWARDS), forwarded=times + 1)
    stage.read(mine)


def lost_files(stage: Stage) -> None:
    """Files that WAHA could not get, did not want, or says nothing of."""
    chat, person = somewhere(stage)
    caption = stage.phrase(person.language, lambda p: p.captions)
    stage.say(chat, person, lost(image(stage.dice, caption), Fetch.FAILED))
    stage.wait(5, 20)
    stage.say(chat, person, lost(video(stage.dice, None), Fetch.SKIPPED))
    stage.wait(5, 20)
    stage.say(chat, person, lost(document(stage.dice, "nota fiscal"), Fetch.UNTOLD))
    stage.wait(5, 20)
    stage.say(chat, person, lost(audio(stage.dice), stage.dice.pick(tuple(Fetch))))


def captions(stage: Stage) -> None:
    """Somebody corrects the words under a picture; the bakery under its own."""
    chat, person = somewhere(stage)
    wrong, right = stage.dice.pick(PHRASES[person.language].typos)
    number, hour = stage.dice.number(2, 40), stage.dice.number(7, 11)
    note = stage.say(chat, person, image(stage.dice, wrong.format(n=number, hour=hour)))
    stage.wait(8, 20)
    stage.edit(note, right.format(n=number, hour=hour))
    stage.wait(10, 40)
    template = stage.dice.pick(PHRASES[person.language].captions)
    own = stage.say(chat, stage.world.account, document(stage.dice, "cardápio"))
    stage.wait(10, 40)
    stage.edit(own, stage.fill(template))
