"""What happens to a message after it was sent: edits, deletions, acks, reactions, votes."""

import itertools
from datetime import timedelta
from typing import TypeVar

import msgspec
import pytest
from tests.contracts.archives import Backend
from tests.support.deliveries import (
    ANA,
    BAKERY,
    BRUNO,
    CHANNEL,
    GROUP,
    NOON,
    SECOND,
    SESSION,
    acked,
    delivery,
    edited,
    reacted,
    revoked,
    seen,
    voted,
)
from tests.support.reading import chat_ids, only, outcomes, texts

from wagateway.domain.errors import NotFound
from wagateway.domain.events import ChatChanged, ContactSeen, Delivery, GroupChanged, Member, Role
from wagateway.domain.identity import Jid, SessionName
from wagateway.domain.messages import (
    Ack,
    Completeness,
    Kind,
    MediaFacts,
    MediaOffer,
    Poll,
)
from wagateway.domain.records import MemberRecord, ReceiptRecord
from wagateway.domain.views import MessageView

T = TypeVar("T", ReceiptRecord, MemberRecord)

MINUTE = timedelta(minutes=1)
STRANGER = Jid("5511900000666@c.us")
POLL = Poll(question="Pão?", options=("sim", "não"))


async def view_of(archive: Backend, *told: Delivery, chat: Jid = ANA) -> MessageView:
    """Record *told* one by one and return the one message of *chat*."""
    for one in told:
        await archive.record(one)
    return await only(archive.reader, chat)


async def records_of(archive: Backend, type_: type[T]) -> list[T]:
    """Return the records of one type, which no view shows yet."""
    found = (await archive.picture())["records"]
    return [
        msgspec.convert({k: v for k, v in record.items() if k != "type"}, type_)
        for record in found
        if record["type"] == type_.__name__
    ]


class TestOrder:
    async def test_what_happens_to_a_message_may_come_before_it(self, archive: Backend) -> None:
        early = [
            delivery(edited("Boa tarde!")),
            delivery(revoked(at=NOON + MINUTE)),
            delivery(reacted("👍")),
            delivery(voted("sim")),
        ]
        assert outcomes(await archive.record(*early)) == ["stored"] * 4
        assert await chat_ids(archive.reader) == set()
        assert outcomes(await archive.record(delivery(seen(kind=Kind.POLL, poll=POLL)))) == [
            "stored"
        ]
        view = await only(archive.reader)
        assert (view.text, view.edited_at) == ("Boa tarde!", NOON + SECOND)
        assert view.revoked_at == NOON + MINUTE
        assert [reaction.emoji for reaction in view.reactions] == ["👍"]
        assert view.poll
        assert [vote.options for vote in view.poll.votes] == [("sim",)]

    async def test_an_ack_may_come_before_its_message(self, archive: Backend) -> None:
        told = [delivery(acked(Ack.READ)), delivery(seen(from_me=True, ack=Ack.SERVER))]
        assert outcomes(await archive.record(*told)) == ["stored", "stored"]
        assert (await only(archive.reader)).ack is Ack.READ

    async def test_a_state_alone_is_no_message(self, archive: Backend) -> None:
        await archive.record(delivery(acked(Ack.READ)), delivery(edited("oi")))
        with pytest.raises(NotFound):
            await archive.reader.messages(SESSION, [ANA])

    async def test_the_earliest_full_observation_gives_the_facts(self, archive: Backend) -> None:
        placeholder = seen(None, kind=Kind.UNKNOWN, completeness=Completeness.PLACEHOLDER)
        told = [
            delivery(placeholder),
            delivery(seen("from history, edited"), at=NOON + MINUTE),
            delivery(seen("as sent"), at=NOON + SECOND),
            delivery(seen("less", completeness=Completeness.PARTIAL)),
        ]
        for number, order in enumerate(itertools.permutations(told)):
            session = f"s{number}"
            for one in order:
                await archive.record(msgspec.structs.replace(one, session=session))
            view = await only(archive.reader, ANA, SessionName(session))
            assert (view.text, view.kind) == ("as sent", Kind.TEXT)

    async def test_a_message_whose_time_changes_moves_in_its_chat(self, archive: Backend) -> None:
        partial = seen("um", completeness=Completeness.PARTIAL, sent_at=NOON + MINUTE)
        await archive.record(delivery(partial), delivery(seen("dois", stanza="A2")))
        await archive.record(delivery(seen("um", sent_at=NOON - MINUTE)))
        assert await texts(archive.reader) == ["um", "dois"]


class TestEdits:
    async def test_every_version_is_kept_and_the_latest_is_shown(self, archive: Backend) -> None:
        view = await view_of(
            archive,
            delivery(seen("v0")),
            delivery(edited("v2", edit_id="E2", at=NOON + 2 * MINUTE)),
            delivery(edited("v1", edit_id="E1", at=NOON + MINUTE)),
        )
        assert (view.text, view.edited_at) == ("v2", NOON + 2 * MINUTE)
        assert [version.text for version in view.edits] == ["v1", "v2"]

    @pytest.mark.parametrize("text", [None, ""])
    async def test_an_edit_without_text_erases_nothing(
        self, archive: Backend, text: str | None
    ) -> None:
        view = await view_of(
            archive, delivery(seen("v0")), delivery(edited(text, at=NOON + MINUTE))
        )
        assert (view.text, view.edited_at) == ("v0", None)
        assert [version.text for version in view.edits] == [text]

    async def test_a_version_that_can_be_read_later_is_shown(self, archive: Backend) -> None:
        view = await view_of(
            archive, delivery(seen("v0")), delivery(edited(None)), delivery(edited("v1"))
        )
        assert view.text == "v1"
        assert [version.text for version in view.edits] == ["v1"]

    async def test_an_edit_that_a_list_shows_is_a_version_in_any_order(
        self, archive: Backend
    ) -> None:
        shown = seen("v2", completeness=Completeness.PARTIAL, sent_at=NOON + 3 * SECOND)
        listed = edited("v2", edit_id="3000", at=NOON + 3 * SECOND)
        told = [
            delivery(seen("v0")),
            delivery(edited("v1", edit_id="E1", at=NOON + SECOND)),
            delivery(edited("v2", edit_id="E2", at=NOON + 3.5 * SECOND)),
            delivery(shown, listed, at=NOON + MINUTE),
        ]
        for number, order in enumerate(itertools.permutations(told)):
            session = SessionName(f"s{number}")
            for one in order:
                await archive.record(msgspec.structs.replace(one, session=session))
            view = await only(archive.reader, ANA, session)
            assert (view.text, view.sent_at) == ("v2", NOON)
            assert [version.text for version in view.edits] == ["v1", "v2"]

    async def test_a_message_that_comes_again_takes_no_edit_back(self, archive: Backend) -> None:
        again = delivery(seen("v0", kind=Kind.IMAGE), at=NOON + MINUTE)
        view = await view_of(archive, delivery(seen("v0")), delivery(edited("v1")), again)
        assert view.text == "v1"

    async def test_an_edit_by_another_sender_changes_nothing(self, archive: Backend) -> None:
        view = await view_of(
            archive,
            delivery(seen("v0", chat=GROUP, by=ANA)),
            delivery(edited("forged", chat=GROUP, by=STRANGER)),
            delivery(edited("forged", chat=GROUP, from_me=True, by=BAKERY.phone)),
            chat=GROUP,
        )
        assert (view.text, view.edited_at, view.edits, view.clash) == ("v0", None, (), False)

    async def test_the_other_side_cannot_edit_an_own_message(self, archive: Backend) -> None:
        view = await view_of(
            archive, delivery(seen("v0", from_me=True)), delivery(edited("forged"))
        )
        assert (view.text, view.edits) == ("v0", ())


class TestRevocations:
    async def test_a_tombstone_keeps_the_text(self, archive: Backend) -> None:
        view = await view_of(
            archive, delivery(seen("v0")), delivery(edited("v1")), delivery(revoked())
        )
        assert (view.text, view.revoked_at, view.revoked_by) == ("v1", NOON + SECOND, ANA)

    async def test_a_deleted_message_that_comes_again_stays_deleted(self, archive: Backend) -> None:
        view = await view_of(
            archive, delivery(seen()), delivery(revoked()), delivery(seen(), at=NOON + MINUTE)
        )
        assert view.revoked_at == NOON + SECOND

    async def test_the_earliest_deletion_counts(self, archive: Backend) -> None:
        view = await view_of(
            archive,
            delivery(seen()),
            delivery(revoked(at=NOON + MINUTE)),
            delivery(revoked(at=NOON + SECOND)),
        )
        assert view.revoked_at == NOON + SECOND

    async def test_nobody_deletes_another_s_status(self, archive: Backend) -> None:
        status = Jid("status@broadcast")
        view = await view_of(
            archive,
            delivery(seen(chat=status, by=ANA)),
            delivery(revoked(chat=status, by=BRUNO)),
            chat=status,
        )
        assert view.revoked_at is None
        view = await view_of(archive, delivery(revoked(chat=status, by=ANA)), chat=status)
        assert (view.revoked_at, view.revoked_by) == (NOON + SECOND, ANA)

    async def test_an_admin_may_delete_a_member_s_message(self, archive: Backend) -> None:
        view = await view_of(
            archive,
            delivery(seen(chat=GROUP, by=ANA)),
            delivery(revoked(chat=GROUP, by=BRUNO)),
            chat=GROUP,
        )
        assert (view.revoked_at, view.revoked_by) == (NOON + SECOND, BRUNO)

    async def test_the_other_side_cannot_delete_an_own_message(self, archive: Backend) -> None:
        view = await view_of(archive, delivery(seen(from_me=True)), delivery(revoked()))
        assert view.revoked_at is None

    async def test_a_channel_s_message_can_be_deleted(self, archive: Backend) -> None:
        view = await view_of(
            archive,
            delivery(seen(chat=CHANNEL)),
            delivery(revoked(chat=CHANNEL)),
            chat=CHANNEL,
        )
        assert view.revoked_at == NOON + SECOND


class TestReactions:
    async def test_each_sender_has_one_and_the_last_one_counts(self, archive: Backend) -> None:
        view = await view_of(
            archive,
            delivery(seen(chat=GROUP, by=ANA)),
            delivery(reacted("😂", chat=GROUP, by=BRUNO, at=NOON + MINUTE)),
            delivery(reacted("👍", chat=GROUP, by=BRUNO, at=NOON + SECOND)),
            delivery(reacted("❤️", chat=GROUP, by=None, at=NOON + 2 * MINUTE)),
            chat=GROUP,
        )
        assert [(r.sender_id, r.emoji, r.at) for r in view.reactions] == [
            (BRUNO, "😂", NOON + MINUTE),
            (BAKERY.phone, "❤️", NOON + 2 * MINUTE),
        ]

    async def test_one_taken_back_is_gone_and_does_not_return(self, archive: Backend) -> None:
        view = await view_of(
            archive,
            delivery(seen()),
            delivery(reacted("", at=NOON + MINUTE)),
            delivery(reacted("👍", at=NOON + SECOND)),
        )
        assert view.reactions == ()


class TestVotes:
    async def test_each_voter_has_one_and_the_last_one_counts(self, archive: Backend) -> None:
        view = await view_of(
            archive,
            delivery(seen(chat=GROUP, by=ANA, kind=Kind.POLL, poll=POLL)),
            delivery(voted("não", chat=GROUP, by=BRUNO, at=NOON + MINUTE)),
            delivery(voted("sim", chat=GROUP, by=BRUNO)),
            delivery(voted("sim", "não", chat=GROUP, by=None, at=NOON + 2 * MINUTE)),
            delivery(voted(chat=GROUP, by=ANA, at=NOON + 3 * MINUTE)),
            chat=GROUP,
        )
        assert view.poll
        assert (view.poll.question, view.poll.options) == (POLL.question, POLL.options)
        assert [(vote.voter_id, vote.options) for vote in view.poll.votes] == [
            (BRUNO, ("não",)),
            (BAKERY.phone, ("sim", "não")),
            (ANA, ()),
        ]

    async def test_an_undecrypted_vote_yields_to_the_same_one_decrypted(
        self, archive: Backend
    ) -> None:
        for number, order in enumerate(((True, False), (False, True))):
            stanza = f"P{number}"
            await archive.record(delivery(seen(stanza=stanza, kind=Kind.POLL, poll=POLL)))
            for readable in order:
                await archive.record(delivery(voted("sim", stanza=stanza, readable=readable)))
        views = (await archive.reader.messages(SESSION, [ANA])).messages
        assert [[v.options for v in view.poll.votes] for view in views if view.poll] == [
            [("sim",)],
            [("sim",)],
        ]

    async def test_a_later_undecrypted_vote_is_no_longer_the_old_choice(
        self, archive: Backend
    ) -> None:
        view = await view_of(
            archive,
            delivery(seen(kind=Kind.POLL, poll=POLL)),
            delivery(voted("sim")),
            delivery(voted(at=NOON + MINUTE, readable=False)),
        )
        assert view.poll
        assert [vote.options for vote in view.poll.votes] == [None]


class TestReceipts:
    async def test_each_recipient_of_a_group_message_has_its_own(self, archive: Backend) -> None:
        told = [
            delivery(seen(chat=GROUP, from_me=True, ack=Ack.PENDING)),
            delivery(acked(Ack.READ, chat=GROUP, recipient=ANA, at=NOON + MINUTE)),
            delivery(acked(Ack.DEVICE, chat=GROUP, recipient=ANA, at=NOON + SECOND)),
            delivery(acked(Ack.DEVICE, chat=GROUP, recipient=BRUNO, at=NOON + SECOND)),
        ]
        assert outcomes(await archive.record(*told)) == ["stored"] * 4
        records = await records_of(archive, ReceiptRecord)
        assert {(Jid(r.author), r.ack, r.delivered_at, r.read_at) for r in records} == {
            (ANA, Ack.READ, NOON + SECOND, NOON + MINUTE),
            (BRUNO, Ack.DEVICE, NOON + SECOND, None),
        }
        assert (await only(archive.reader, GROUP)).ack is Ack.SERVER


class TestMedia:
    async def test_an_image_waits_for_its_file(self, archive: Backend) -> None:
        facts = MediaFacts(mimetype="image/jpeg", filename="pão.jpg", size_bytes=2**40, width=3)
        view = await view_of(archive, delivery(seen(None, kind=Kind.IMAGE, media=facts)))
        assert view.media
        assert (view.media.status, view.media.mimetype, view.media.size_bytes) == (
            *("pending", "image/jpeg", 2**40),
        )

    async def test_an_offer_that_works_beats_a_later_error(self, archive: Backend) -> None:
        facts = MediaFacts(mimetype="image/jpeg")
        works = MediaOffer(offered_at=NOON, url="http://localhost:3000/api/files/a.jpeg")
        broken = MediaOffer(offered_at=NOON + MINUTE, error="404")
        for chat, order in ((ANA, (works, broken)), (BRUNO, (broken, works))):
            for offer in order:
                told = seen(None, chat=chat, kind=Kind.IMAGE, media=facts, offer=offer)
                await archive.record(delivery(told))
            media = (await only(archive.reader, chat)).media
            assert media
            assert (media.status, media.error) == ("pending", None)

    async def test_an_error_is_shown_while_there_is_nothing_better(self, archive: Backend) -> None:
        broken = MediaOffer(offered_at=NOON, error="404")
        told = seen(None, kind=Kind.IMAGE, media=MediaFacts(), offer=broken)
        media = (await view_of(archive, delivery(told))).media
        assert media
        assert (media.status, media.error) == ("pending", "404")


class TestChatsAndPeople:
    async def test_the_later_of_each_name_stays(self, archive: Backend) -> None:
        await archive.record(
            delivery(ContactSeen(contact=ANA, at=NOON + MINUTE, push_name="Aninha")),
            delivery(ContactSeen(contact=ANA, at=NOON, push_name="Ana", name="Ana Souza")),
        )
        (contact,) = (await archive.reader.contacts(SESSION)).contacts
        assert (contact.push_name, contact.name) == ("Aninha", "Ana Souza")

    async def test_a_chat_is_named_by_the_address_book_first(self, archive: Backend) -> None:
        await archive.record(
            delivery(seen()), delivery(ContactSeen(contact=ANA, at=NOON, push_name="Aninha"))
        )
        assert (await archive.reader.chats(SESSION)).chats[0].name == "Aninha"
        await archive.record(delivery(ContactSeen(contact=ANA, at=NOON, name="Ana Souza")))
        assert (await archive.reader.chats(SESSION)).chats[0].name == "Ana Souza"

    async def test_a_group_keeps_the_latest_of_each_fact(self, archive: Backend) -> None:
        later = NOON + MINUTE
        await archive.record(
            delivery(GroupChanged(group=GROUP, at=later, subject="Padaria nova")),
            delivery(GroupChanged(group=GROUP, at=NOON, subject="Padaria", description="Pão")),
            delivery(ChatChanged(chat=GROUP, at=later, archived=True)),
            delivery(ChatChanged(chat=GROUP, at=NOON, archived=False)),
        )
        (chat,) = (await archive.reader.chats(SESSION)).chats
        assert (chat.name, chat.description, chat.archived) == ("Padaria nova", "Pão", True)
        assert chat.last_message_at is None

    async def test_membership_is_kept_over_time(self, archive: Backend) -> None:
        def became(role: Role, minutes: int) -> Delivery:
            at = NOON + minutes * MINUTE
            member = Member(jid=ANA, role=role)
            return delivery(GroupChanged(group=GROUP, at=at, members=(member,)))

        told = [became(Role.LEFT, 2), became(Role.PARTICIPANT, 0), became(Role.ADMIN, 1)]
        assert outcomes(await archive.record(*told, told[0])) == [
            *("stored", "stored", "stored", "duplicate")
        ]
        found = await records_of(archive, MemberRecord)
        assert [record.role for record in sorted(found, key=lambda r: r.at)] == [
            *(Role.PARTICIPANT, Role.ADMIN, Role.LEFT)
        ]

    async def test_a_chat_s_activity_is_its_latest_message(self, archive: Backend) -> None:
        await archive.record(delivery(seen(stanza="A2", sent_at=NOON + MINUTE)), delivery(seen()))
        (chat,) = (await archive.reader.chats(SESSION)).chats
        assert chat.last_message_at == NOON + MINUTE
