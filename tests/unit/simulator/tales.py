"""Small happenings, told by hand."""

from typing import Any

from msgspec.structs import replace

from wagateway.simulator.contents import Ballot, Content, Words
from wagateway.simulator.facts import Fact
from wagateway.simulator.happenings import (
    Acked,
    AckLevel,
    Address,
    AnyHappening,
    Chat,
    Direct,
    Edited,
    Note,
    Reacted,
    Revoked,
    Sent,
    SubjectChanged,
    Voted,
)
from wagateway.simulator.truth import Line, Truth
from wagateway.simulator.world import Group, Person, create_world

WORLD = create_world(7)
BAKERY, ANA, BIA = WORLD.account, WORLD.people[0], WORLD.people[1]
OTHER = create_world(8).account
BY_PHONE, BY_LID = WORLD.groups[0], WORLD.groups[1]
AT_MS = 1_767_610_800_400
AT = "2026-01-05T11:00:00Z"
WITH_ANA = Direct(person=ANA)


def note(
    content: Content | str = "Bom dia!",
    *,
    chat: Chat = WITH_ANA,
    stanza: str = "A1",
    author: Person | None = ANA,
    address: Address = Address.PHONE,
    at_ms: int = AT_MS,
    **facts: Any,  # noqa: ANN401 - any other fact of a Note
) -> Note:
    """Return a message."""
    return Note(
        stanza=stanza,
        at_ms=at_ms,
        chat=chat,
        author=author,
        from_me=author is BAKERY,
        content=Words(text=content) if isinstance(content, str) else content,
        address=address,
        **facts,
    )


def mine(content: Content | str = "Pois não?", **facts: Any) -> Note:  # noqa: ANN401 - as above
    """Return a message of the account."""
    return note(content, author=BAKERY, **facts)


def fact(happening: AnyHappening, **told: Any) -> Fact:  # noqa: ANN401 - any field of a Fact
    """Return how an engine told *happening*."""
    return Fact(**{"session": "default", "account": BAKERY, "happening": happening, **told})


def sent(what: Note | None = None, **told: Any) -> Fact:  # noqa: ANN401 - as above
    """Return how a message was told."""
    what = what or note()
    kind = told.pop("kind", what.content.kind)
    return fact(Sent(at_ms=what.at_ms, scene=1, note=what), kind=str(kind), **told)


def edited(text: str, *, after_ms: int = 1000, of: Note | None = None, **told: Any) -> Fact:  # noqa: ANN401
    """Return how an edit was told."""
    stanza = f"E{after_ms}"
    happening = Edited(at_ms=AT_MS + after_ms, scene=1, note=of or note(), stanza=stanza, text=text)
    return fact(happening, **told)


def revoked(of: Note | None = None, **told: Any) -> Fact:  # noqa: ANN401 - as above
    """Return how a deletion was told."""
    return fact(Revoked(at_ms=AT_MS + 9000, scene=1, note=of or note(), stanza="D1"), **told)


def reacted(
    emoji: str,
    *,
    by: Person | None = None,
    after_ms: int = 1000,
    of: Note | None = None,
    **told: Any,  # noqa: ANN401 - as above
) -> Fact:
    """Return how a reaction was told; *by* None is the account."""
    happening = Reacted(
        at_ms=AT_MS + after_ms, scene=1, note=of or note(), stanza="R1", by=by, emoji=emoji
    )
    return fact(happening, **told)


def acked(level: AckLevel, *, of: Note | None = None, **told: Any) -> Fact:  # noqa: ANN401
    """Return how a receipt was told."""
    happening = Acked(at_ms=AT_MS + 500, scene=1, note=of or mine(), level=level)
    return fact(happening, **{"ack": int(level), **told})


POLL = Ballot(question="Sabor?", options=("Fubá", "Milho", "Laranja"), selectable=1)


def voted(
    *options: str,
    of: Note,
    by: Person = ANA,
    after_ms: int = 1000,
    readable: bool = True,
    **told: Any,  # noqa: ANN401 - as above
) -> Fact:
    """Return how a vote was told."""
    happening = Voted(
        at_ms=AT_MS + after_ms,
        scene=1,
        note=of,
        stanza=f"V{after_ms}",
        by=by,
        options=options,
        readable=readable,
    )
    return fact(happening, **told)


def renamed(group: Group, subject: str, *, after_ms: int = 0, **told: Any) -> Fact:  # noqa: ANN401
    """Return how a new name of *group* was told."""
    return fact(
        SubjectChanged(at_ms=AT_MS + after_ms, scene=1, group=group, subject=subject, by=ANA),
        **told,
    )


def linking(*people: Person) -> Fact:
    """Return a fact that tells no more than both addresses of *people*."""
    return replace(renamed(BY_PHONE, "x"), sure=False, revealed=people)


def truth_of(*facts: Fact) -> Truth:
    """Return the truth of *facts*."""
    truth = Truth()
    for each in facts:
        truth.tell(each)
    return truth


def lines(*facts: Fact, type: str = "message") -> list[Line]:  # noqa: A002 - as in a line
    """Return the lines of one type that follow from *facts*."""
    return [line for line in truth_of(*facts).lines() if line["type"] == type]


def only(*facts: Fact) -> Line:
    """Return the one message that follows from *facts*."""
    (line,) = lines(*facts)
    return line
