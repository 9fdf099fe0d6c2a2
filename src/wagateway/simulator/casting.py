"""Who plays a scene, and where."""

from wagateway.simulator.happenings import Direct, Note
from wagateway.simulator.phrases import PHRASES
from wagateway.simulator.stage import Stage
from wagateway.simulator.world import Group, Language, Person, local_hour


def a_customer(stage: Stage) -> Person:
    """Pick somebody who is awake now and known by phone; the chatty ones more often."""
    known = [person for person in stage.world.people if not person.hidden]
    people = [person for person in known if person.awake(local_hour(stage.now_ms))] or known
    return stage.dice.weighted(people, [person.chattiness for person in people])


def somewhere(stage: Stage) -> tuple[Direct | Group, Person]:
    """Pick a direct chat with somebody, or a group and somebody in it."""
    if stage.dice.chance(0.4):
        group, _ = a_group(stage)
        return group, stage.dice.pick(group.members)
    customer = a_customer(stage)
    return Direct(person=customer), customer


def a_group(stage: Stage) -> tuple[Group, Language]:
    """Pick a group and a language of it."""
    group = stage.dice.pick(stage.world.groups)
    return group, stage.dice.pick(group.languages)


def mention(stage: Stage, group: Group, author: Person, whom: Person, language: Language) -> Note:
    """Let *author* say something to *whom* in *group*."""
    lines = [line for line in PHRASES[language].lines if "{who}" in line]
    digits = whom.lid if group.by_lid else whom.phone
    text = stage.fill(stage.dice.pick(lines), who=f"@{digits}")
    return stage.say(group, author, text, mentions=(whom,))
