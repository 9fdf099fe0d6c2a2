"""Deliveries and purges in any order, repeated: what was purged is gone, the rest is as ever."""

from typing import Any, NamedTuple

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import Struct
from tests.contracts.archives import Backend, in_memory
from tests.support.deliveries import (
    ANA,
    ANA_LID,
    BRUNO,
    GROUP,
    NOON,
    SECOND,
    SESSION,
    acked,
    delivery,
    edited,
    linked,
    reacted,
    revoked,
    seen,
    voted,
    worlds,
)
from tests.support.depth import examples

from wagateway.domain.events import AnyObservation, Delivery
from wagateway.domain.identity import Jid, resolve_links
from wagateway.domain.messages import Ack, Completeness, Kind, MediaFacts
from wagateway.domain.purges import Cutoffs, Purge, cutoffs, is_purged
from wagateway.domain.records import MessageRecord

PHONES = {ANA_LID: ANA}


class Told(Struct, frozen=True):
    """A group of deliveries, or a purge."""

    group: tuple[Delivery, ...] = ()
    chat: Jid | None = None
    before: int = 0


MESSAGES: list[dict[str, Any]] = [
    {"chat": ANA, "stanza": "A1", "sent_at": NOON},
    {"chat": ANA, "stanza": "A2", "sent_at": NOON + 2 * SECOND},
    {"chat": ANA_LID, "stanza": "L1", "sent_at": NOON + SECOND},
    {"chat": GROUP, "stanza": "G1", "sent_at": NOON + SECOND, "by": BRUNO},
    {"chat": GROUP, "stanza": "G2", "sent_at": NOON + 2 * SECOND, "by": ANA_LID},
]


@st.composite
def _deliveries(draw: st.DrawFn) -> Delivery:
    """Return something that is told of one of a few messages, each of which has one time."""
    message = draw(st.sampled_from(MESSAGES))
    at = NOON + draw(st.integers(3, 6)) * SECOND
    where = {"chat": message["chat"], "stanza": message["stanza"]}
    by = {"by": message["by"]} if "by" in message else {}
    kind = draw(st.sampled_from([Kind.TEXT, Kind.IMAGE]))
    message_seen = seen(
        draw(st.sampled_from(["oi", "tudo bem?", None])),
        **message,
        kind=kind,
        completeness=draw(st.sampled_from(list(Completeness))),
        media=MediaFacts() if kind is Kind.IMAGE else None,
    )
    choices: list[AnyObservation] = [
        *3 * [message_seen],
        edited(draw(st.sampled_from(["até já", None])), **where, **by, at=at),
        revoked(**where, **by, at=at),
        reacted(draw(st.sampled_from(["👍", ""])), **where, at=at),
        voted("a", **where, at=at),
        acked(Ack.READ, **where, from_me=False, at=at),
        acked(Ack.READ, **where, recipient=BRUNO, at=at),
        linked(),
    ]
    observation = draw(st.sampled_from(choices))
    return delivery(observation, at=at)


_told = st.builds(Told, st.lists(_deliveries(), min_size=1, max_size=4).map(tuple))
_purges = st.builds(
    Told,
    st.just(()),
    st.sampled_from([None, ANA, ANA_LID, GROUP]),
    st.integers(1, 2),
)


async def act(archive: Backend, told: Told) -> None:
    """Do as *told*."""
    if told.group:
        await archive.record(*told.group)
        return
    before = NOON + told.before * SECOND
    [target] = await archive.purges.targets(SESSION)
    target = msgspec.structs.replace(target, chat=told.chat)
    made = Purge(chat=told.chat, before=before, purged_at=NOON, purged_by="maria")
    await archive.purges.remember(target, made)
    for chat in {told.chat, PHONES.get(told.chat or ANA, told.chat)}:
        there = msgspec.structs.replace(target, chat=chat)
        while await archive.purges.step(there, before, limit=1, at=NOON):
            pass


async def picture(acts: list[Told]) -> dict[str, Any]:
    """Return what is archived after *acts*, but what never follows from messages alone."""
    archive = in_memory()
    await archive.record(delivery())
    for each in acts:
        await act(archive, each)
    await archive.record(delivery(linked()))
    return await archive.picture()


def without(shown: dict[str, Any], purged: Cutoffs) -> dict[str, Any]:
    """Return what a reader sees of *shown* apart from what is *purged*."""

    def is_left(message: dict[str, Any]) -> bool:
        sent_at = msgspec.convert(message["sent_at"], type=type(NOON))
        return not is_purged(message["chat_id"], sent_at, purged)

    messages = {
        chat: [message for message in found if is_left(message)]
        for chat, found in shown["messages"].items()
    }
    latest = {chat: found[0]["sent_at"] for chat, found in messages.items() if found}
    return {
        "messages": messages,
        "files": [file for file in shown["files"] if is_left(file)],
        "chats": {chat["id"]: latest.get(chat["id"]) for chat in shown["chats"]},
        "contacts": shown["contacts"],
        "links": shown["links"],
    }


class Story(NamedTuple):
    """Groups of deliveries and purges, and both in some order, some of them repeated."""

    told: list[Told]
    purges: list[Told]
    acts: list[Told]


@st.composite
def _stories(
    draw: st.DrawFn, tales: st.SearchStrategy[list[Told]], *, purges_again: bool = False
) -> Story:
    told = draw(tales)
    purges = draw(st.lists(_purges, min_size=1, max_size=2))
    repeated = [*told, *purges] if purges_again else told
    again = draw(st.lists(st.sampled_from(repeated), max_size=2))
    return Story(told, purges, draw(st.permutations([*told, *purges, *again])))


_tales = st.lists(_told, min_size=1, max_size=4)
_anything = worlds().map(lambda world: [Told((each,)) for each in world])


@given(_stories(_tales))
@settings(max_examples=examples(60))
async def test_what_was_purged_is_gone_and_the_rest_is_as_without(story: Story) -> None:
    made = [(each.chat, NOON + each.before * SECOND) for each in story.purges]
    shown = await picture(story.acts)
    expected = without(await picture(story.told), cutoffs(made, PHONES))
    assert without(shown, Cutoffs()) == expected


@given(_stories(_tales, purges_again=True))
@settings(max_examples=examples(60))
async def test_it_does_not_matter_when_something_is_purged(story: Story) -> None:
    shown = await picture(story.acts)
    assert shown == await picture([*story.purges, *story.told])
    assert shown == await picture([*story.told, *story.purges])


@given(_stories(_anything))
@settings(max_examples=examples(60))
async def test_whatever_is_told_nothing_that_was_purged_is_kept(story: Story) -> None:
    archive = in_memory()
    await archive.record(delivery())
    for each in story.acts:
        await act(archive, each)
    made = [(each.chat, NOON + each.before * SECOND) for each in story.purges]
    purged = cutoffs(made, resolve_links(await archive.reader.links(SESSION)))
    for record in await archive.records():
        if isinstance(record, MessageRecord) and record.sent_at is not None:
            old = is_purged(record.chat, record.sent_at, purged)
            assert record.is_purged or not old
    for chat in (await archive.reader.chats(SESSION)).chats:
        for message in (await archive.reader.messages(SESSION, [chat.id])).messages:
            assert not is_purged(chat.id, message.sent_at, purged)
