"""Who is meant: clashes of message ids, LIDs and phones that turn out to be one, and not to be."""

import itertools
from datetime import timedelta

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
from tests.support.reading import chat_ids, only, outcomes, shown, texts

from wagateway.domain.errors import NotFound
from wagateway.domain.events import (
    ChatChanged,
    ContactSeen,
    Delivery,
    GroupChanged,
    IdentityLinked,
    Member,
    MessageSeen,
    Role,
)
from wagateway.domain.identity import Evidence, Jid, SessionName
from wagateway.domain.messages import Ack, Kind, MediaFacts, MediaOffer, Poll

MINUTE = timedelta(minutes=1)
STRANGER = Jid("5511900000666@c.us")
POLL = Poll(question="Pão?", options=("sim", "não"))


async def claims(archive: Backend, chat: Jid) -> set[tuple[str | None, Jid | None, bool]]:
    """Return text, sender and clash of each message of *chat*."""
    return {(m.text, m.sender_id, m.clash) for m in await shown(archive.reader, chat)}


def in_group(text: str, by: Jid | None, **facts: object) -> Delivery:
    return delivery(seen(text, chat=GROUP, by=by, **facts))  # type: ignore[arg-type]


class TestClashes:
    """G3: different messages never collapse, whatever an attacker puts in an id."""

    async def test_a_forged_id_in_a_group_keeps_both_and_flags_them(self, archive: Backend) -> None:
        told = [in_group("pague 100", ANA), in_group("pague 900", STRANGER)]
        for number, order in enumerate(itertools.permutations(told)):
            chat = Jid(f"1203630000000002{number:02}@g.us")
            for one in order:
                (observation,) = one.observations
                assert isinstance(observation, MessageSeen)
                by, text = observation.ref.participant, observation.message.text
                recorded = await archive.record(delivery(seen(text, chat=chat, by=by)))
                assert outcomes(recorded) == ["stored"]
            assert await claims(archive, chat) == {
                ("pague 100", ANA, True),
                ("pague 900", STRANGER, True),
            }

    async def test_equal_words_of_two_phones_are_two_messages(self, archive: Backend) -> None:
        await archive.record(in_group("oi", ANA), in_group("oi", STRANGER))
        assert await claims(archive, GROUP) == {("oi", ANA, True), ("oi", STRANGER, True)}

    async def test_an_own_id_repeated_by_the_other_side_keeps_both(self, archive: Backend) -> None:
        told = [delivery(seen("oi", from_me=True)), delivery(seen("oi"))]
        assert outcomes(await archive.record(*told, *told)) == [
            *("stored", "stored", "duplicate", "duplicate")
        ]
        assert await claims(archive, ANA) == {("oi", BAKERY.phone, True), ("oi", ANA, True)}

    async def test_what_happens_to_one_claimant_leaves_the_other_alone(
        self, archive: Backend
    ) -> None:
        await archive.record(delivery(seen("mine", from_me=True)), delivery(seen("hers")))
        await archive.record(
            delivery(edited("hers, edited")), delivery(revoked()), delivery(acked(Ack.READ))
        )
        hers, mine = sorted(await shown(archive.reader), key=lambda m: m.from_me)
        assert (mine.text, mine.revoked_at, mine.edits, mine.ack) == ("mine", None, (), Ack.READ)
        assert (hers.text, hers.revoked_at, hers.ack) == ("hers, edited", NOON + SECOND, None)

    async def test_one_id_in_two_chats_is_two_messages(self, archive: Backend) -> None:
        await archive.record(delivery(seen("a")), delivery(seen("b", chat=BRUNO)))
        assert await claims(archive, ANA) == {("a", ANA, False)}
        assert await claims(archive, BRUNO) == {("b", BRUNO, False)}

    @pytest.mark.parametrize("author", [ANA, ANA_LID])
    @pytest.mark.parametrize("named_first", [True, False])
    async def test_one_group_message_with_and_without_its_author_is_one(
        self, archive: Backend, author: Jid, *, named_first: bool
    ) -> None:
        for by in (author, None) if named_first else (None, author):
            await archive.record(in_group("oi", by))
        assert await claims(archive, GROUP) == {("oi", author, False)}

    @pytest.mark.parametrize("order", list(itertools.permutations((ANA_LID, ANA))), ids=str)
    async def test_unlinked_addresses_that_say_the_same_are_two_until_the_link_is_known(
        self, archive: Backend, order: tuple[Jid, ...]
    ) -> None:
        for by in order:
            await archive.record(in_group("oi", by))
        assert await claims(archive, GROUP) == {("oi", ANA, True), ("oi", ANA_LID, True)}
        await archive.record(delivery(linked()))
        assert await claims(archive, GROUP) == {("oi", ANA, False)}

    @pytest.mark.parametrize("forged_first", [True, False])
    async def test_a_forged_copy_takes_nobody_s_message_over(
        self, archive: Backend, *, forged_first: bool
    ) -> None:
        """Same id, same second, same words, by a LID that nobody knows; then it is edited."""
        told = [in_group("pago 100", ANA), in_group("pago 100", BRUNO_LID)]
        for one in reversed(told) if forged_first else told:
            await archive.record(one)
        await archive.record(delivery(edited("pago 100000", chat=GROUP, by=BRUNO_LID)))
        assert await claims(archive, GROUP) == {
            ("pago 100", ANA, True),
            ("pago 100000", BRUNO_LID, True),
        }

    async def test_one_group_message_in_two_texts_is_one_in_any_order(
        self, archive: Backend
    ) -> None:
        """A page of history shows the edited text, and without the author."""
        told = [
            in_group("antes", ANA),
            in_group("depois", ANA),
            in_group("depois", None),
            in_group("antes", None),
        ]
        for number, order in enumerate(itertools.permutations(told)):
            session = SessionName(f"order-{number}")
            for one in order:
                await archive.record(with_session(one, session))
            page = await archive.reader.messages(session, [GROUP])
            assert [(m.sender_id, m.clash) for m in page.messages] == [(ANA, False)]

    @pytest.mark.parametrize("order", list(itertools.permutations((ANA_LID, ANA))), ids=str)
    async def test_unlinked_addresses_that_say_different_things_clash(
        self, archive: Backend, order: tuple[Jid, ...]
    ) -> None:
        for by in order:
            await archive.record(in_group(f"by {by}", by))
        assert await claims(archive, GROUP) == {
            (f"by {ANA_LID}", ANA_LID, True),
            (f"by {ANA}", ANA, True),
        }

    async def test_a_state_alone_claims_nothing(self, archive: Backend) -> None:
        await archive.record(in_group("oi", ANA))
        await archive.record(delivery(edited("forged", chat=GROUP, by=STRANGER)))
        assert await claims(archive, GROUP) == {("oi", ANA, False)}


def lid_chat() -> list[Delivery]:
    """Return a chat that was only seen under its LID."""
    return [
        delivery(seen("um", chat=ANA_LID), ContactSeen(contact=ANA_LID, at=NOON, push_name="Ana")),
        delivery(seen("dois", chat=ANA_LID, stanza="A2", from_me=True, sent_at=NOON + SECOND)),
        delivery(edited("um, editado", chat=ANA_LID)),
        delivery(revoked(chat=ANA_LID)),
        delivery(reacted("👍", chat=ANA_LID, stanza="A2", by=ANA_LID)),
        delivery(reacted("❤️", chat=ANA_LID, by=None)),
        delivery(acked(Ack.READ, chat=ANA_LID, stanza="A2")),
        delivery(ChatChanged(chat=ANA_LID, at=NOON, archived=True)),
    ]


class TestLearnedLinks:
    async def test_a_link_moves_the_whole_chat_to_its_phone(self, archive: Backend) -> None:
        await archive.record(*lid_chat())
        assert outcomes(await archive.record(delivery(linked()))) == ["stored"]
        assert await chat_ids(archive.reader) == {ANA}
        one, two = await shown(archive.reader, ANA)
        assert (one.chat_id, one.sender_id, one.text) == (ANA, ANA, "um, editado")
        assert (one.revoked_at, one.revoked_by) == (NOON + SECOND, ANA)
        assert [version.text for version in one.edits] == ["um, editado"]
        assert [(r.sender_id, r.emoji) for r in one.reactions] == [(BAKERY.phone, "❤️")]
        assert [(r.sender_id, r.emoji) for r in two.reactions] == [(ANA, "👍")]
        assert (two.sender_id, two.ack) == (BAKERY.phone, Ack.READ)
        (contact,) = (await archive.reader.contacts(SESSION)).contacts
        assert (contact.id, contact.push_name, contact.lids) == (ANA, "Ana", (ANA_LID,))
        (chat,) = (await archive.reader.chats(SESSION)).chats
        assert (chat.archived, chat.name, chat.last_message_at) == (True, "Ana", NOON + SECOND)

    async def test_when_the_link_comes_makes_no_difference(self, archive: Backend) -> None:
        told = lid_chat()
        pictures = []
        for position in (0, 3, len(told)):
            session = SessionName(f"s{position}")
            order = [*told[:position], delivery(linked()), *told[position:]]
            for one in order:
                await archive.record(with_session(one, session))
            picture = await archive.picture(session)
            pictures.append((picture["chats"], picture["messages"], picture["contacts"]))
        bare = [
            str(picture).replace("'s3'", "'s0'").replace("'s8'", "'s0'") for picture in pictures
        ]
        assert bare[0] == bare[1] == bare[2]

    async def test_a_chat_can_be_named_by_any_of_its_addresses(self, archive: Backend) -> None:
        await archive.record(*lid_chat(), delivery(linked()))
        assert await texts(archive.reader, ANA_LID) == await texts(archive.reader, ANA)

    async def test_twins_collapse(self, archive: Backend) -> None:
        await archive.record(
            delivery(seen("oi", chat=ANA_LID), at=NOON + MINUTE),
            delivery(seen("oi", chat=ANA)),
            delivery(edited("olá", chat=ANA_LID)),
            delivery(reacted("👍", chat=ANA_LID, by=None)),
            delivery(reacted("😂", chat=ANA, by=None, at=NOON + MINUTE)),
        )
        assert await texts(archive.reader, ANA) == ["oi"]
        await archive.record(delivery(linked()))
        view = await only(archive.reader, ANA)
        assert (view.text, view.clash) == ("olá", False)
        assert [r.emoji for r in view.reactions] == ["😂"]

    async def test_authors_in_groups_become_their_phones(self, archive: Backend) -> None:
        await archive.record(
            in_group("by phone", ANA),
            in_group("by phone", ANA_LID, sent_at=NOON + SECOND),  # another time: no twin yet
            in_group("by LID", ANA_LID, stanza="A2", sent_at=NOON + MINUTE),
            delivery(edited("by LID, edited", chat=GROUP, stanza="A2", by=ANA_LID)),
            delivery(reacted("👍", chat=GROUP, stanza="A2", by=ANA_LID)),
            delivery(voted("sim", chat=GROUP, stanza="A3", by=ANA_LID)),
            in_group("poll", BRUNO, stanza="A3", kind=Kind.POLL, poll=POLL, sent_at=NOON + MINUTE),
        )
        assert len(await shown(archive.reader, GROUP)) == 4
        await archive.record(delivery(linked()))
        twin, edit, poll = await shown(archive.reader, GROUP)
        assert (twin.text, twin.sender_id, twin.clash) == ("by phone", ANA, False)
        assert (edit.text, edit.sender_id) == ("by LID, edited", ANA)
        assert [version.text for version in edit.edits] == ["by LID, edited"]
        assert [(r.sender_id, r.emoji) for r in edit.reactions] == [(ANA, "👍")]
        assert poll.poll
        assert [(v.voter_id, v.options) for v in poll.poll.votes] == [(ANA, ("sim",))]

    async def test_members_of_groups_become_their_phones(self, archive: Backend) -> None:
        members = (Member(jid=ANA_LID, role=Role.ADMIN), Member(jid=BRUNO, role=Role.PARTICIPANT))
        await archive.record(delivery(GroupChanged(group=GROUP, at=NOON, members=members)))
        await archive.record(delivery(linked()))
        assert await members_of(archive) == {(ANA, "admin"), (BRUNO, "participant")}

    async def test_addresses_within_messages_become_phones_when_read(
        self, archive: Backend
    ) -> None:
        await archive.record(
            delivery(seen(mentions=(ANA_LID, BRUNO_LID), chat=GROUP, by=BRUNO)), delivery(linked())
        )
        assert (await only(archive.reader, GROUP)).mentions == (ANA, BRUNO_LID)

    async def test_two_lids_of_one_phone_are_one_chat(self, archive: Backend) -> None:
        await archive.record(
            delivery(seen("um", chat=ANA_LID)),
            delivery(seen("dois", chat=BRUNO_LID, stanza="A2", sent_at=NOON + SECOND)),
            delivery(linked(), linked(BRUNO_LID, ANA)),
        )
        assert await texts(archive.reader, ANA) == ["um", "dois"]
        (contact,) = (await archive.reader.contacts(SESSION)).contacts
        assert contact.lids == (ANA_LID, BRUNO_LID)

    async def test_the_link_learned_last_is_followed(self, archive: Backend) -> None:
        await archive.record(delivery(seen("oi", chat=ANA_LID)), delivery(linked()))
        await archive.record(delivery(linked(ANA_LID, BRUNO), at=NOON + MINUTE))
        assert await texts(archive.reader, BRUNO) == ["oi"]
        assert await texts(archive.reader, ANA) == []
        assert await texts(archive.reader, ANA_LID) == ["oi"]

    async def test_a_message_seen_under_its_phone_too_stays_there(self, archive: Backend) -> None:
        await archive.record(
            delivery(seen("oi", chat=ANA_LID)), delivery(seen("oi")), delivery(linked())
        )
        await archive.record(delivery(linked(ANA_LID, BRUNO), at=NOON + MINUTE))
        assert await texts(archive.reader, ANA) == ["oi"]

    async def test_evidence_that_is_no_link_links_nothing(self, archive: Backend) -> None:
        odd = [(ANA, BRUNO), (ANA_LID, BRUNO_LID), (ANA, ANA_LID), (GROUP, ANA)]
        for lid, phone in odd:
            evidence = Evidence.ALTERNATIVE
            await archive.record(delivery(IdentityLinked(lid=lid, phone=phone, evidence=evidence)))
        assert await archive.reader.links(SESSION) == []

    async def test_links_are_listed_with_their_earliest_evidence(self, archive: Backend) -> None:
        member = IdentityLinked(lid=ANA_LID, phone=ANA, evidence=Evidence.GROUP_MEMBER)
        await archive.record(
            delivery(linked(BRUNO_LID, BRUNO)),
            delivery(linked(), at=NOON + MINUTE),
            delivery(member),
            delivery(linked(ANA_LID, BRUNO)),
        )
        links = await archive.reader.links(SESSION)
        assert [(li.lid, li.phone, li.evidence, li.first_seen_at) for li in links] == [
            (ANA_LID, ANA, Evidence.GROUP_MEMBER, NOON),
            (ANA_LID, BRUNO, Evidence.ALTERNATIVE, NOON),
            (BRUNO_LID, BRUNO, Evidence.ALTERNATIVE, NOON),
        ]
        assert {(link.session, link.rejected_at) for link in links} == {(SESSION, None)}

    async def test_a_link_of_one_session_says_nothing_in_another(self, archive: Backend) -> None:
        await archive.record(
            delivery(linked(), session="outra"), delivery(seen("oi", chat=ANA_LID))
        )
        assert await chat_ids(archive.reader) == {ANA_LID}


def with_session(told: Delivery, session: SessionName) -> Delivery:
    return delivery(*told.observations, at=told.occurred_at, session=session)


async def members_of(archive: Backend) -> set[tuple[str, str]]:
    """Return each recorded member with the role."""
    records = (await archive.picture())["records"]
    return {(r["member"], r["role"]) for r in records if r["type"] == "MemberRecord"}


class TestLinkingByHand:
    async def test_a_person_can_link(self, archive: Backend) -> None:
        await archive.record(*lid_chat())
        at = NOON + MINUTE
        assert await archive.archive.link(SESSION, ANA_LID, ANA, at=at) == 2
        assert await chat_ids(archive.reader) == {ANA}
        (link,) = await archive.reader.links(SESSION)
        assert (link.evidence, link.first_seen_at) == (Evidence.PERSON, at)
        assert await archive.archive.link(SESSION, ANA_LID, ANA, at=at) == 0

    async def test_undoing_a_link_moves_everything_back(self, archive: Backend) -> None:
        await archive.record(
            *lid_chat(),
            in_group("no grupo", ANA_LID, stanza="G1"),
            delivery(edited("no grupo, editado", chat=GROUP, stanza="G1", by=ANA_LID)),
            delivery(reacted("👍", chat=GROUP, stanza="G1", by=ANA_LID)),
            delivery(
                GroupChanged(group=GROUP, at=NOON, members=(Member(jid=ANA_LID, role=Role.ADMIN),))
            ),
        )
        before = (await archive.picture())["messages"]
        await archive.record(delivery(linked()))
        assert await archive.archive.unlink(SESSION, ANA_LID, at=NOON + MINUTE) == 2
        after = (await archive.picture())["messages"]
        assert after == before | {ANA: []}
        assert await members_of(archive) == {(ANA_LID, "admin")}
        (link,) = await archive.reader.links(SESSION)
        assert link.rejected_at == NOON + MINUTE

    async def test_undoing_leaves_what_was_seen_under_the_phone(self, archive: Backend) -> None:
        await archive.record(
            delivery(seen("by LID", chat=ANA_LID)),
            delivery(seen("by both", chat=ANA_LID, stanza="A2", sent_at=NOON + SECOND)),
            delivery(seen("by both", stanza="A2", sent_at=NOON + SECOND)),
            delivery(seen("by phone", stanza="A3", sent_at=NOON + MINUTE)),
            delivery(linked()),
        )
        assert await archive.archive.unlink(SESSION, ANA_LID, at=NOON + MINUTE) == 1
        assert await texts(archive.reader, ANA) == ["by both", "by phone"]
        assert await texts(archive.reader, ANA_LID) == ["by LID"]
        activity = {c.id: c.last_message_at for c in (await archive.reader.chats(SESSION)).chats}
        assert activity == {ANA: NOON + MINUTE, ANA_LID: NOON}

    async def test_undoing_leaves_another_author_of_the_same_id(self, archive: Backend) -> None:
        await archive.record(
            delivery(linked()),
            delivery(seen("theirs", chat=ANA_LID)),
            delivery(seen("mine", from_me=True)),
            delivery(edited("mine, edited", from_me=True)),
        )
        assert await archive.archive.unlink(SESSION, ANA_LID, at=NOON + MINUTE) == 1
        assert (await only(archive.reader, ANA_LID)).text == "theirs"
        mine = await only(archive.reader, ANA)
        assert (mine.text, [version.text for version in mine.edits]) == (
            "mine, edited",
            ["mine, edited"],
        )

    async def test_undoing_a_link_of_a_group_member_makes_no_chat(self, archive: Backend) -> None:
        await archive.record(in_group("oi", ANA_LID), delivery(seen()), delivery(linked()))
        assert await archive.archive.unlink(SESSION, ANA_LID, at=NOON + MINUTE) == 0
        assert await chat_ids(archive.reader) == {ANA, GROUP}
        assert (await only(archive.reader, GROUP)).sender_id == ANA_LID

    async def test_later_evidence_does_not_revive_an_undone_link(self, archive: Backend) -> None:
        await archive.record(delivery(seen("oi", chat=ANA_LID)), delivery(linked()))
        await archive.archive.unlink(SESSION, ANA_LID, at=NOON + MINUTE)
        for minutes in (-1, 2):
            await archive.record(delivery(linked(), at=NOON + minutes * MINUTE))
        assert await texts(archive.reader, ANA) == []
        assert [m.text for m in (await archive.reader.messages(SESSION, [ANA_LID])).messages] == [
            "oi"
        ]
        assert (await archive.reader.chats(SESSION)).chats[0].id == ANA_LID

    @pytest.mark.parametrize("minutes", [-5, 5])
    async def test_evidence_does_not_outweigh_a_person(
        self, archive: Backend, minutes: int
    ) -> None:
        await archive.record(delivery(seen("oi", chat=ANA_LID)), delivery(linked(ANA_LID, BRUNO)))
        assert await archive.archive.link(SESSION, ANA_LID, ANA, at=NOON + MINUTE) == 1
        for phone in (ANA, BRUNO):
            await archive.record(delivery(linked(ANA_LID, phone), at=NOON + minutes * MINUTE))
        assert await texts(archive.reader, ANA) == ["oi"]
        assert await texts(archive.reader, BRUNO) == []
        confirmed = {li.phone: li.confirmed_at for li in await archive.reader.links(SESSION)}
        assert confirmed == {ANA: NOON + MINUTE, BRUNO: None}

    async def test_a_person_revives_an_undone_link(self, archive: Backend) -> None:
        await archive.record(delivery(seen("oi", chat=ANA_LID)), delivery(linked()))
        await archive.archive.unlink(SESSION, ANA_LID, at=NOON + MINUTE)
        assert await archive.archive.link(SESSION, ANA_LID, ANA, at=NOON + 2 * MINUTE) == 1
        assert await texts(archive.reader, ANA) == ["oi"]
        (link,) = await archive.reader.links(SESSION)
        assert link.rejected_at is None

    async def test_undoing_a_wrong_link_restores_the_one_before(self, archive: Backend) -> None:
        await archive.record(delivery(seen("oi", chat=ANA_LID)), delivery(linked()))
        await archive.record(delivery(linked(ANA_LID, BRUNO), at=NOON + MINUTE))
        assert await archive.archive.unlink(SESSION, ANA_LID, at=NOON + MINUTE) == 1
        assert await texts(archive.reader, ANA) == ["oi"]

    async def test_unlinking_what_is_not_linked_says_so(self, archive: Backend) -> None:
        await archive.record(delivery(seen("oi", chat=ANA_LID)))
        with pytest.raises(NotFound, match="no link"):
            await archive.archive.unlink(SESSION, ANA_LID, at=NOON)
        await archive.record(delivery(linked()))
        await archive.archive.unlink(SESSION, ANA_LID, at=NOON)
        with pytest.raises(NotFound, match="no link"):
            await archive.archive.unlink(SESSION, ANA_LID, at=NOON)

    async def test_an_unknown_session_is_not_found(self, archive: Backend) -> None:
        nowhere = SessionName("nowhere")
        with pytest.raises(NotFound, match="nowhere"):
            await archive.archive.unlink(nowhere, ANA_LID, at=NOON)
        with pytest.raises(NotFound, match="nowhere"):
            await archive.archive.link(nowhere, ANA_LID, ANA, at=NOON)

    async def test_a_media_message_keeps_its_file_when_it_moves(self, archive: Backend) -> None:
        facts = MediaFacts(mimetype="image/jpeg", sha256="ab" * 32)
        offer = MediaOffer(offered_at=NOON, error="404")
        told = seen(None, chat=ANA_LID, kind=Kind.IMAGE, media=facts, offer=offer)
        await archive.record(delivery(told))
        before = (await only(archive.reader, ANA_LID)).media
        await archive.archive.link(SESSION, ANA_LID, ANA, at=NOON)
        assert before
        assert (await only(archive.reader, ANA)).media == before
