"""What was purged is gone, does not come back, and is known to have been there."""

from datetime import datetime, timedelta

import msgspec
import pytest
from tests.contracts.archives import Backend
from tests.support.deliveries import (
    ANA,
    ANA_LID,
    BAKERY,
    BRUNO,
    BRUNO_LID,
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
)

from wagateway.domain.errors import NotFound
from wagateway.domain.events import Account, Outcome, Source
from wagateway.domain.identity import Jid, SessionName, StanzaId
from wagateway.domain.messages import Ack, Kind, MediaFacts, MediaOffer, Poll
from wagateway.domain.purges import BY_RETENTION, Cutoffs, Purge, PurgeCounts
from wagateway.domain.records import ChatRecord, MessageRecord, Record
from wagateway.ports.archive import LogFilter

HOUR = timedelta(hours=1)
OLD = NOON - HOUR
OTHER = Account(phone=Jid("5511912340002@c.us"))


async def purge(
    archive: Backend,
    *,
    chat: Jid | None = None,
    before: datetime = NOON,
    account: Jid | None = None,
    by: str = "maria",
    limit: int = 1000,
) -> PurgeCounts:
    """Purge all of it, and return what went."""
    gone = PurgeCounts()
    for target in await archive.purges.targets(
        SESSION, account=account, chat=None if chat is None else [chat]
    ):
        made = Purge(chat=target.chat, before=before, purged_at=NOON, purged_by=by)
        await archive.purges.remember(target, made)
        while step := await archive.purges.step(target, before, limit=limit, at=NOON):
            gone += step
        await archive.purges.finish(target, made)
    return gone


async def stanzas(archive: Backend, chat: Jid = ANA) -> list[str]:
    """Return the ids of the messages that a reader sees."""
    page = await archive.reader.messages(SESSION, [chat], limit=500)
    return [message.id for message in page.messages]


async def records(archive: Backend) -> list[Record]:
    """Return all records but those of people and chats."""
    return [r for r in await archive.records() if "Contact" not in type(r).__name__]


async def remembered(archive: Backend) -> list[tuple[str, datetime | None]]:
    """Return what the ledger knows of messages that were purged, which is nothing else."""
    found = []
    for record in await records(archive):
        assert isinstance(record, MessageRecord | ChatRecord)
        if isinstance(record, MessageRecord):
            bare = MessageRecord(
                chat=record.chat,
                stanza=record.stanza,
                author=record.author,
                sent_at=record.sent_at,
                lids=record.lids,
                by_phone=record.by_phone,
            )
            assert record == bare
            found.append((str(record.stanza), record.sent_at))
    return sorted(found)


A_LOT = [
    delivery(seen("what is this?", stanza="A1", sent_at=OLD)),
    delivery(edited("what was that?", stanza="A1", at=OLD + SECOND)),
    delivery(reacted("👍", stanza="A1", at=OLD + SECOND)),
    delivery(acked(Ack.READ, stanza="A1", from_me=False, at=OLD)),
    delivery(revoked(stanza="A1", at=OLD + SECOND)),
    delivery(
        seen(
            "?",
            stanza="A2",
            sent_at=OLD,
            kind=Kind.POLL,
            poll=Poll(question="?", options=("a", "b")),
        )
    ),
    delivery(voted("a", stanza="A2", at=OLD + SECOND)),
]


class TestPurgeStore:
    async def test_removes_a_message_and_all_that_is_about_it(self, archive: Backend) -> None:
        await archive.record(*A_LOT)
        gone = await purge(archive)
        assert gone == PurgeCounts(messages=2, edits=1, revocations=1, reactions=1, votes=1)
        assert await stanzas(archive) == []
        assert await remembered(archive) == [("A1", OLD), ("A2", OLD)]

    async def test_counts_beforehand_what_will_go(self, archive: Backend) -> None:
        await archive.record(*A_LOT, delivery(seen(stanza="A3", sent_at=NOON)))
        [target] = await archive.purges.targets(SESSION)
        before = await archive.picture()
        counted = await archive.purges.count(target, NOON, with_log=True)
        assert await archive.picture() == before
        assert counted == await purge(archive) + PurgeCounts(log_rows=0)

    async def test_counts_the_rows_of_the_log(self, archive: Backend) -> None:
        await archive.record(delivery(seen()), delivery(seen(stanza="A2"), at=NOON + HOUR))
        [target] = await archive.purges.targets(SESSION)
        counted = await archive.purges.count(target, NOON + HOUR, with_log=True)
        assert counted == PurgeCounts(messages=2, log_rows=1)

    async def test_keeps_what_was_sent_at_that_instant_and_later(self, archive: Backend) -> None:
        await archive.record(
            delivery(seen(stanza="A1", sent_at=NOON - SECOND)),
            delivery(seen(stanza="A2", sent_at=NOON)),
            delivery(reacted("👍", stanza="A2")),
        )
        assert await purge(archive) == PurgeCounts(messages=1)
        [message] = (await archive.reader.messages(SESSION, [ANA])).messages
        assert (message.id, [r.emoji for r in message.reactions]) == ("A2", ["👍"])

    async def test_purges_one_chat(self, archive: Backend) -> None:
        await archive.record(
            delivery(seen(sent_at=OLD)), delivery(seen(chat=BRUNO, stanza="B1", sent_at=OLD))
        )
        await purge(archive, chat=ANA)
        assert (await stanzas(archive), await stanzas(archive, BRUNO)) == ([], ["B1"])

    @pytest.mark.parametrize("source", list(Source))
    async def test_what_was_purged_does_not_come_back(
        self, archive: Backend, source: Source
    ) -> None:
        await archive.record(*A_LOT)
        await purge(archive)
        again = [msgspec.structs.replace(each, source=source) for each in A_LOT]
        recorded = await archive.record(*again)
        assert {(r.outcome, r.reason) for r in recorded} == {(Outcome.IGNORED, "purged")}
        assert await stanzas(archive) == []
        assert await remembered(archive) == [("A1", OLD), ("A2", OLD)]

    async def test_what_comes_late_is_not_taken_up(self, archive: Backend) -> None:
        await archive.record(delivery(seen(stanza="A0", sent_at=NOON)))
        await purge(archive)
        await archive.record(*A_LOT)
        assert await stanzas(archive) == ["A0"]

    async def test_what_came_before_its_message_goes_with_it(self, archive: Backend) -> None:
        await archive.record(delivery(seen(stanza="A0", sent_at=NOON)))
        await purge(archive)
        message, *marks = A_LOT[:5]
        await archive.record(*marks)
        await archive.record(message)
        kept = [r for r in await records(archive) if getattr(r, "stanza", "") == "A1"]
        assert [(type(r), r.is_purged) for r in kept if isinstance(r, MessageRecord)] == [
            (MessageRecord, True)
        ]
        assert len(kept) == 1

    async def test_the_body_of_what_was_purged_is_not_logged(self, archive: Backend) -> None:
        await archive.record(delivery(seen(sent_at=OLD)))
        await purge(archive)
        await archive.record(delivery(seen(sent_at=OLD)), delivery(seen(stanza="A2")))
        events = (await archive.reader.events(LogFilter())).events
        assert [event.outcome for event in events] == [Outcome.STORED, Outcome.STORED]

    async def test_new_messages_are_archived(self, archive: Backend) -> None:
        await archive.record(delivery(seen(sent_at=OLD)))
        await purge(archive, chat=ANA)
        [recorded] = await archive.record(delivery(seen("and now?", stanza="A2", sent_at=NOON)))
        assert recorded.outcome is Outcome.STORED
        assert await stanzas(archive) == ["A2"]

    async def test_a_page_tells_before_when_all_is_purged(self, archive: Backend) -> None:
        await archive.record(delivery(seen(sent_at=OLD)))
        assert (await archive.reader.messages(SESSION, [ANA])).purged_before is None
        await purge(archive, chat=ANA, before=NOON - SECOND)
        await purge(archive, before=OLD)
        assert (await archive.reader.messages(SESSION, [ANA])).purged_before == NOON - SECOND

    async def test_knows_that_a_message_was_there(self, archive: Backend) -> None:
        await archive.record(delivery(seen(stanza="A1", sent_at=OLD)), delivery(seen(stanza="A2")))
        await archive.record(delivery(edited("?", stanza="A3")))

        async def purged(stanza: str) -> bool:
            return await archive.reader.is_purged(SESSION, [ANA], StanzaId(stanza))

        assert not await purged("A1")
        await purge(archive)
        told = {stanza: await purged(stanza) for stanza in ("A1", "A2", "A3", "A4")}
        assert told == {"A1": True, "A2": False, "A3": False, "A4": False}
        with pytest.raises(NotFound):
            await archive.reader.is_purged(SESSION, [BRUNO], StanzaId("A1"))

    async def test_a_chat_shows_no_activity_that_was_purged(self, archive: Backend) -> None:
        await archive.record(
            delivery(seen(sent_at=OLD)), delivery(seen(chat=BRUNO, stanza="B1", sent_at=NOON))
        )
        await purge(archive)
        await archive.record(delivery(seen(sent_at=OLD)))
        chats = (await archive.reader.chats(SESSION)).chats
        assert [(chat.id, chat.last_message_at) for chat in chats] == [(BRUNO, NOON), (ANA, None)]

    async def test_goes_in_steps(self, archive: Backend) -> None:
        told = [delivery(seen(stanza=f"A{n}", sent_at=OLD + n * SECOND)) for n in range(5)]
        await archive.record(*told)
        [target] = await archive.purges.targets(SESSION)
        made = Purge(before=NOON, purged_at=NOON, purged_by="maria")
        await archive.purges.remember(target, made)
        steps = [await archive.purges.step(target, NOON, limit=2, at=NOON) for _ in range(4)]
        assert [step.messages for step in steps] == [2, 2, 1, 0]

    async def test_removes_nothing_that_nobody_purged(self, archive: Backend) -> None:
        await archive.record(delivery(seen(sent_at=OLD)))
        [target] = await archive.purges.targets(SESSION)
        assert not await archive.purges.step(target, NOON, limit=9, at=NOON)
        assert await stanzas(archive) == ["A1"]

    async def test_says_what_is_left_until_it_is_done(self, archive: Backend) -> None:
        await archive.record(delivery(seen(sent_at=OLD)))
        [target] = await archive.purges.targets(SESSION, chat=[ANA])
        made = Purge(
            chat=ANA, before=NOON, purged_at=NOON, purged_by="maria", reason="asked for it"
        )
        await archive.purges.remember(target, made)
        [task] = await archive.purges.unfinished()
        assert (task.target, task.purge) == (target, made)
        await archive.purges.finish(target, made)
        assert await archive.purges.unfinished() == []
        later = msgspec.structs.replace(made, before=NOON + SECOND)
        await archive.purges.remember(target, later)
        await archive.purges.finish(target, made)
        [task] = await archive.purges.unfinished()
        assert task.purge == later
        await archive.purges.remember(target, made)  # what was said before takes nothing back
        [task] = await archive.purges.unfinished()
        assert task.purge == later

    async def test_two_who_purge_the_same_are_both_remembered(self, archive: Backend) -> None:
        await archive.record(delivery(seen(sent_at=OLD)))
        await purge(archive, before=NOON)
        await purge(archive, before=OLD, by=BY_RETENTION)
        assert (await archive.reader.messages(SESSION, [ANA])).purged_before == NOON

    async def test_means_all_archives_of_a_session_or_that_of_an_account(
        self, archive: Backend
    ) -> None:
        await archive.record(delivery(seen(sent_at=OLD)))
        await archive.record(delivery(seen(sent_at=OLD), account=OTHER, at=NOON + HOUR))
        targets = await archive.purges.targets(SESSION)
        assert [target.account for target in targets] == [BAKERY.phone, OTHER.phone]
        assert await archive.purges.archives() == targets
        await purge(archive, account=OTHER.phone)
        assert await stanzas(archive) == []
        page = await archive.reader.messages(SESSION, [ANA], account=BAKERY.phone)
        assert len(page.messages) == 1

    async def test_refuses_what_is_not_there(self, archive: Backend) -> None:
        with pytest.raises(NotFound, match="there is no session 'vendas'"):
            await archive.purges.targets(SESSION)
        await archive.record(delivery(seen()))
        with pytest.raises(NotFound, match="never had the account"):
            await archive.purges.targets(SESSION, account=OTHER.phone)
        with pytest.raises(NotFound, match="has no chat"):
            await archive.purges.targets(SESSION, chat=[BRUNO])

    async def test_removes_rows_of_the_log(self, archive: Backend) -> None:
        await archive.record(
            delivery(seen(stanza="A1"), at=OLD),
            delivery(seen(stanza="A2"), at=OLD + SECOND),
            delivery(seen(stanza="A3"), at=NOON),
        )
        await archive.record(delivery(seen(), at=OLD, session="suporte"))
        store = archive.purges
        assert await store.step_log(SESSION, NOON, limit=1) == 1
        assert await store.step_log(SESSION, NOON, limit=5) == 1
        assert await store.step_log(SESSION, NOON, limit=5) == 0
        left = (await archive.reader.events(LogFilter())).events
        assert [(event.session, event.id) for event in left] == [("suporte", 4), (SESSION, 3)]
        assert await store.step_log(None, NOON + HOUR, limit=5) == 2
        with pytest.raises(NotFound):
            await archive.reader.event_body(3)

    async def test_the_log_of_all_sessions_goes_at_a_stroke_or_in_steps(
        self, archive: Backend
    ) -> None:
        ages = [timedelta(days=days) for days in (400, 300, 200, 100, 0)]
        for n, age in enumerate(ages):
            for session in (SESSION, "suporte"):
                told = seen(stanza=f"A{n}")
                await archive.record(delivery(told, at=NOON - age - SECOND, session=session))
        before = NOON - timedelta(days=100)
        gone = []
        while (rows := await archive.purges.sweep_log(before)) is not None:
            gone.append(rows)
        while rows := await archive.purges.step_log(None, before, limit=3):
            gone.append(rows)
        assert sum(gone) == 6
        left = (await archive.reader.events(LogFilter())).events
        assert {event.received_at for event in left} == {NOON, before}
        assert await archive.purges.sweep_log(before) is None

    async def test_giving_room_back_changes_nothing(self, archive: Backend) -> None:
        told = [delivery(seen(sent_at=OLD), at=OLD), delivery(seen(stanza="A2"))]
        await archive.record(*told)
        await purge(archive)
        before = await archive.records()
        await archive.purges.give_back()
        await archive.record(*told)  # into room that may be gone
        assert await archive.records() == before
        assert await stanzas(archive) == ["A2"]

    async def test_a_replay_removes_the_bodies_of_what_was_purged(self, archive: Backend) -> None:
        told = [delivery(seen(sent_at=OLD)), delivery(seen(stanza="A2"))]
        await archive.record(*told)
        await purge(archive, chat=ANA)
        recorded = await archive.archive.reproject([(1, told[0]), (2, told[1])])
        assert [r.reason for r in recorded] == ["purged", None]
        events = (await archive.reader.events(LogFilter())).events
        assert [event.id for event in events] == [2]

    async def test_upkeep_is_given_to_one_at_a_time(self, archive: Backend) -> None:
        store = archive.purges
        assert await store.claim_upkeep(NOON, until=NOON + SECOND)
        assert not await store.claim_upkeep(NOON, until=NOON + SECOND)
        assert await store.claim_upkeep(NOON + SECOND, until=NOON + 2 * SECOND)
        await store.put_off_upkeep(NOON + HOUR)
        assert not await store.claim_upkeep(NOON + 3 * SECOND, until=NOON + HOUR)
        assert await store.claim_upkeep(NOON + HOUR, until=NOON + 2 * HOUR)


class TestHiddenIds:
    async def test_a_purge_of_a_hidden_id_holds_for_its_phone(self, archive: Backend) -> None:
        await archive.record(
            delivery(seen(chat=ANA_LID, stanza="L1", sent_at=OLD)),
            delivery(seen(stanza="A1", sent_at=OLD)),
            delivery(reacted("👍", stanza="A1", at=OLD)),
            delivery(seen(stanza="A2", sent_at=NOON)),
        )
        await purge(archive, chat=ANA_LID)
        await archive.record(delivery(linked()))
        assert await stanzas(archive) == ["A2"]
        await archive.record(delivery(seen(stanza="A3", sent_at=OLD)))
        assert await stanzas(archive) == ["A2"]
        assert (await archive.reader.messages(SESSION, [ANA])).purged_before == NOON

    async def test_a_purge_of_a_phone_holds_for_its_hidden_id(self, archive: Backend) -> None:
        await archive.record(
            delivery(seen(stanza="A1", sent_at=OLD)),
            delivery(seen(chat=ANA_LID, stanza="L1", sent_at=OLD)),
            delivery(reacted("👍", chat=ANA_LID, stanza="L1", at=OLD)),
            delivery(edited("?", chat=ANA_LID, stanza="L1", at=OLD)),
        )
        await purge(archive, chat=ANA)
        await archive.record(delivery(linked()))
        await archive.record(delivery(seen(chat=ANA_LID, stanza="L2", sent_at=OLD)))
        assert await stanzas(archive) == []
        assert [stanza for stanza, _ in await remembered(archive)] == ["A1", "L1", "L2"]

    async def test_what_was_told_at_the_phone_goes_with_a_message_that_moves_there(
        self, archive: Backend
    ) -> None:
        await archive.record(
            delivery(seen(stanza="A0", sent_at=NOON)),
            delivery(seen(chat=ANA_LID, stanza="L1", sent_at=OLD)),
            delivery(reacted("👍", chat=ANA, stanza="L1", at=OLD)),
        )
        await purge(archive, chat=ANA)
        await archive.record(delivery(linked()))
        assert {getattr(r, "stanza", "A0") for r in await records(archive)} == {"A0", "L1"}
        assert sum(getattr(r, "stanza", "") == "L1" for r in await records(archive)) == 1

    async def test_a_link_that_was_undone_brings_nothing_back(self, archive: Backend) -> None:
        told = delivery(seen(chat=ANA_LID, stanza="L1", sent_at=OLD))
        await archive.record(delivery(linked()), told)
        await purge(archive, chat=ANA_LID)
        await archive.archive.unlink(SESSION, ANA_LID, at=NOON)
        await archive.record(told)
        assert await stanzas(archive, ANA_LID) == []

    async def test_a_purge_does_not_follow_a_link_from_phone_to_phone(
        self, archive: Backend
    ) -> None:
        await archive.record(
            delivery(linked(ANA_LID, BRUNO)),
            delivery(seen(stanza="A1", sent_at=OLD)),
            delivery(seen(chat=BRUNO, stanza="B1", sent_at=OLD)),
        )
        await purge(archive, chat=BRUNO)
        await archive.archive.link(SESSION, ANA_LID, ANA, at=NOON)
        assert await stanzas(archive) == ["A1"]

    async def test_a_person_links_what_was_purged(self, archive: Backend) -> None:
        await archive.record(
            delivery(seen(chat=BRUNO_LID, stanza="L1", sent_at=OLD)),
            delivery(seen(chat=BRUNO, stanza="B1", sent_at=OLD)),
            delivery(linked()),
        )
        await purge(archive, chat=BRUNO_LID)
        await archive.archive.link(SESSION, BRUNO_LID, BRUNO, at=NOON)
        assert await stanzas(archive, BRUNO) == []


async def test_sync_knows_what_is_purged(archive: Backend) -> None:
    await archive.record(
        delivery(seen(sent_at=OLD)), delivery(seen(chat=BRUNO_LID, stanza="L1", sent_at=OLD))
    )
    [mine] = await archive.sync.archives()
    assert await archive.sync.purged(mine) == Cutoffs()
    await purge(archive, chat=BRUNO_LID)
    await purge(archive, before=OLD)
    await archive.record(delivery(linked(BRUNO_LID, BRUNO)))
    assert await archive.sync.purged(mine) == Cutoffs(OLD, {BRUNO: NOON})
    told = [await archive.sync.evidence(mine, chat) for chat in (None, ANA, BRUNO)]
    assert [known.purged_before for known in told] == [OLD, OLD, NOON]


class TestFilesAndClashes:
    async def test_files_of_what_was_purged_go(self, archive: Backend) -> None:
        image = {"kind": Kind.IMAGE, "media": MediaFacts(mimetype="image/jpeg")}
        offer = MediaOffer(offered_at=NOON, url="http://localhost:3000/api/files/a.jpeg")
        await archive.record(
            delivery(seen(stanza="A1", sent_at=OLD, offer=offer, **image)),  # type: ignore[arg-type]
            delivery(seen(stanza="A2", sent_at=NOON, **image)),  # type: ignore[arg-type]
        )
        [target] = await archive.purges.targets(SESSION)
        assert (await archive.purges.count(target, NOON)).files == 1
        assert (await purge(archive)).files == 1
        await archive.record(delivery(seen(stanza="A1", sent_at=OLD, offer=offer, **image)))  # type: ignore[arg-type]
        files = (await archive.downloads.files(SESSION)).files
        assert [file.id for file in files] == ["A2"]

    async def test_what_is_about_a_message_that_stays_stays(self, archive: Backend) -> None:
        await archive.record(
            delivery(seen("a", chat=GROUP, by=ANA, stanza="G1", sent_at=OLD)),
            delivery(seen("b", chat=GROUP, by=BRUNO, stanza="G1", sent_at=NOON)),
            delivery(edited("c", chat=GROUP, by=ANA, stanza="G1", at=OLD)),
            delivery(edited("d", chat=GROUP, by=BRUNO, stanza="G1")),
            delivery(reacted("👍", chat=GROUP, stanza="G1")),
        )
        assert await purge(archive) == PurgeCounts(messages=1, edits=1)
        [message] = (await archive.reader.messages(SESSION, [GROUP])).messages
        assert (message.text, [r.emoji for r in message.reactions]) == ("d", ["👍"])

    async def test_an_edit_without_an_author_is_not_kept(self, archive: Backend) -> None:
        await archive.record(delivery(seen("a", chat=GROUP, by=ANA, stanza="G1", sent_at=OLD)))
        await purge(archive)
        await archive.record(delivery(edited("c", chat=GROUP, stanza="G1", at=OLD)))
        assert await remembered(archive) == [("G1", OLD)]

    async def test_other_sessions_are_not_touched(self, archive: Backend) -> None:
        await archive.record(delivery(seen(sent_at=OLD)))
        await archive.record(delivery(seen(sent_at=OLD), session="suporte"))
        await purge(archive)
        page = await archive.reader.messages(SessionName("suporte"), [ANA])
        assert len(page.messages) == 1
