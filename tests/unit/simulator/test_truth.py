"""What must be archived, of happenings that are told by hand and of whole simulations."""

import json
from functools import cache
from itertools import islice, permutations
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace
from tests.unit.simulator.tales import (
    ANA,
    AT,
    AT_MS,
    BAKERY,
    BIA,
    BY_LID,
    BY_PHONE,
    OTHER,
    POLL,
    WITH_ANA,
    WORLD,
    acked,
    edited,
    fact,
    lines,
    linking,
    mine,
    note,
    only,
    reacted,
    renamed,
    revoked,
    sent,
    truth_of,
    voted,
)

from wagateway.simulator.engine import EngineName
from wagateway.simulator.facts import Fact
from wagateway.simulator.faults import Faults
from wagateway.simulator.happenings import (
    Acked,
    AckLevel,
    Address,
    Awaited,
    PresenceChanged,
    Sent,
    Stories,
)
from wagateway.simulator.simulation import Scenario, simulate
from wagateway.simulator.truth import Truth

LID = Address.LID
ALONE = Address.LID_ALONE


class TestMessages:
    def test_a_message_is_named_by_its_place_and_author(self) -> None:
        assert only(sent()) == {
            "type": "message",
            "session": "default",
            "account": BAKERY.phone_jid,
            "chat_id": ANA.phone_jid,
            "id": "A1",
            "sender_id": ANA.phone_jid,
            "from_me": False,
            "sent_at": AT,
            "kind": "text",
            "text": "Bom dia!",
            "reply_to": None,
            "mentions": [],
            "forwarded": False,
            "media": None,
            "location": None,
            "poll": None,
            "event": None,
            "revoked": False,
            "clash": False,
            "reactions": [],
        }

    def test_archive_links_and_chat_come_before_their_messages(self) -> None:
        account = {"session": "default", "account": BAKERY.phone_jid}
        link = {"lid": BAKERY.lid_jid, "phone": BAKERY.phone_jid}
        assert list(truth_of(sent()).lines())[:3] == [
            {"type": "archive", **account},
            {"type": "link", **account, **link},
            {"type": "chat", **account, "id": ANA.phone_jid},
        ]

    def test_telling_it_twice_changes_nothing(self) -> None:
        assert only(sent(), sent()) == only(sent())

    def test_what_the_account_says_is_its_own(self) -> None:
        line = only(sent(mine()))
        assert (line["chat_id"], line["sender_id"], line["from_me"]) == (
            ANA.phone_jid,
            BAKERY.phone_jid,
            True,
        )

    def test_in_a_group_the_author_is_the_sender(self) -> None:
        line = only(sent(note(chat=BY_PHONE, author=BIA)))
        assert (line["chat_id"], line["sender_id"]) == (BY_PHONE.jid, BIA.phone_jid)

    def test_nobody_is_the_sender_in_a_channel(self) -> None:
        line = only(sent(note(chat=WORLD.channel, author=None)))
        assert (line["chat_id"], line["sender_id"]) == (WORLD.channel.jid, None)

    def test_stories_have_a_place_of_their_own(self) -> None:
        line = only(sent(note(chat=Stories())))
        assert (line["chat_id"], line["sender_id"]) == ("status@broadcast", ANA.phone_jid)

    def test_what_is_no_message_is_not_archived(self) -> None:
        typing = PresenceChanged(
            at_ms=AT_MS,
            scene=1,
            chat=WITH_ANA,
            person=ANA,
            state="typing",
            address=Address.PHONE,
        )
        assert [line["type"] for line in truth_of(fact(typing)).lines()] == [
            "archive",
            "link",
        ]

    def test_what_nobody_told_the_content_of_is_no_message(self) -> None:
        assert lines(edited("Boa tarde!"), reacted("👍", by=ANA), revoked()) == []

    def test_a_message_that_is_awaited_only_may_be_there(self) -> None:
        awaited = fact(Awaited(at_ms=AT_MS, scene=1, note=note()))
        assert only(awaited)["certain"] is False
        assert only(awaited, sent()) == only(sent(), awaited) == only(sent())


class TestChanges:
    def test_the_last_edit_counts_whatever_comes_first(self) -> None:
        told = [sent(), edited("um", after_ms=1000), edited("dois", after_ms=2000)]
        for order in permutations(told):
            line = only(*order)
            assert (line["text"], line["edits"]) == ("dois", ["um", "dois"])

    def test_an_edit_that_says_the_same_again_is_none(self) -> None:
        line = only(
            sent(),
            edited("um", after_ms=1000),
            edited("um", after_ms=2000),
            edited("dois", after_ms=3000),
            edited("um", after_ms=4000),
        )
        assert line["edits"] == ["um", "dois", "um"]

    def test_a_deletion_is_kept_with_the_text(self) -> None:
        line = only(revoked(), sent())
        assert (line["revoked"], line["text"]) == (True, "Bom dia!")

    def test_the_last_reaction_of_each_person_counts(self) -> None:
        told = [
            sent(),
            reacted("👍", by=ANA, after_ms=1000),
            reacted("🙏", by=ANA, after_ms=2000),
            reacted("❤️", after_ms=1500),
        ]
        for order in permutations(told):
            shown = {r["sender_id"]: r["emoji"] for r in only(*order)["reactions"]}
            assert shown == {ANA.phone_jid: "🙏", BAKERY.phone_jid: "❤️"}

    def test_a_reaction_that_was_taken_back_is_gone(self) -> None:
        told = [reacted("👍", by=ANA, after_ms=1000), reacted("", by=ANA, after_ms=2000), sent()]
        for order in permutations(told):
            assert only(*order)["reactions"] == []

    def test_the_furthest_receipt_counts(self) -> None:
        told = [sent(mine(), ack=1), acked(AckLevel.READ), acked(AckLevel.DEVICE)]
        for order in permutations(told):
            assert only(*order)["ack"] == "read"

    def test_without_a_receipt_nothing_is_said_of_it(self) -> None:
        assert "ack" not in only(sent(mine()))
        assert only(sent(mine(), ack=0))["ack"] == "pending"

    def test_receipts_of_groups_say_nothing_of_the_message(self) -> None:
        group = mine(chat=BY_PHONE)
        assert "ack" not in only(sent(group, ack=1), acked(AckLevel.READ, of=group))

    def test_the_last_vote_of_each_person_counts(self) -> None:
        poll = note(POLL, chat=BY_PHONE, author=BIA)
        told = [
            sent(poll),
            voted("Milho", "Fubá", of=poll, after_ms=1000),
            voted("Laranja", "Fubá", of=poll, after_ms=2000),
            voted("Milho", of=poll, by=BIA),
        ]
        for order in permutations(told):
            line = only(*order)["poll"]
            assert (line["question"], line["options"]) == (
                "Sabor?",
                ["Fubá", "Milho", "Laranja"],
            )
            assert {v["voter_id"]: v["options"] for v in line["votes"]} == {
                ANA.phone_jid: ["Fubá", "Laranja"],
                BIA.phone_jid: ["Milho"],
            }

    def test_a_vote_that_nobody_can_read_is_one_without_options(self) -> None:
        poll = note(POLL, chat=BY_PHONE)
        line = only(sent(poll), voted("Milho", of=poll, readable=False))
        assert line["poll"]["votes"] == [{"voter_id": ANA.phone_jid, "options": None}]


class TestAddresses:
    def test_two_addresses_are_two_chats_until_a_link_is_told(self) -> None:
        told = [sent(), sent(note(address=ALONE, stanza="A2"))]
        assert {line["chat_id"] for line in lines(*told)} == {ANA.phone_jid, ANA.lid_jid}
        assert {line["chat_id"] for line in lines(*told, linking(ANA))} == {ANA.phone_jid}
        assert {line["chat_id"] for line in lines(linking(BIA), *told)} == {
            ANA.phone_jid,
            ANA.lid_jid,
        }

    def test_one_message_under_both_addresses_is_one_once_they_are_linked(self) -> None:
        told = [sent(), sent(note(address=ALONE))]
        assert len(lines(*told)) == 2
        assert only(linking(ANA), *told) == only(*told, linking(ANA)) == only(sent())
        assert len(lines(*told, linking(ANA), type="chat")) == 1

    def test_what_was_told_under_either_address_comes_together(self) -> None:
        hidden = note(address=ALONE)
        told = [
            sent(hidden),
            edited("um"),
            revoked(hidden),
            reacted("👍", by=ANA, of=hidden, after_ms=1000),
            reacted("🙏", by=ANA, after_ms=2000),
            linking(ANA),
        ]
        for order in (told, told[::-1]):
            line = only(*order)
            assert (line["text"], line["revoked"]) == ("um", True)
            assert line["reactions"] == [{"sender_id": ANA.phone_jid, "emoji": "🙏"}]

    def test_receipts_and_votes_come_together_too(self) -> None:
        hidden = mine(POLL, address=ALONE)
        told = [
            sent(hidden, ack=1),
            acked(AckLevel.READ, of=mine(POLL)),
            voted("Milho", of=hidden, after_ms=1000),
            voted("Fubá", of=mine(POLL), after_ms=2000),
            linking(ANA),
        ]
        for order in (told, told[::-1]):
            line = only(*order)
            assert line["ack"] == "read"
            assert line["poll"]["votes"] == [{"voter_id": ANA.phone_jid, "options": ["Fubá"]}]

    def test_an_author_in_a_group_is_named_by_phone_once_it_is_known(self) -> None:
        said = note(chat=BY_LID, address=LID, mentions=(BIA,))
        assert only(sent(said))["sender_id"] == ANA.lid_jid
        assert only(sent(said))["mentions"] == [BIA.lid_jid]
        known = only(sent(said), linking(ANA, BIA))
        assert (known["sender_id"], known["mentions"]) == (ANA.phone_jid, [BIA.phone_jid])

    def test_the_account_s_own_addresses_are_always_linked(self) -> None:
        said = mine(chat=BY_LID, address=LID)
        assert only(sent(said))["sender_id"] == BAKERY.phone_jid
        named = note(chat=BY_LID, address=LID, mentions=(BAKERY,))
        assert only(sent(named))["mentions"] == [BAKERY.phone_jid]

    def test_a_link_counts_for_its_session_and_account_alone(self) -> None:
        told = [sent(note(address=ALONE))]
        for elsewhere in ({"session": "loja"}, {"account": OTHER}):
            link = replace(linking(ANA), **elsewhere)
            assert lines(*told, link) == lines(*told)

    def test_accounts_under_one_session_name_are_archives_of_their_own(self) -> None:
        told = [sent(), sent(account=OTHER), edited("um", account=OTHER)]
        texts = {line["account"]: line["text"] for line in lines(*told)}
        assert texts == {BAKERY.phone_jid: "Bom dia!", OTHER.phone_jid: "um"}
        assert len(lines(*told, type="archive")) == 2


class TestClashes:
    def test_two_authors_with_one_id_in_one_chat_clash(self) -> None:
        told = lines(sent(), sent(mine()))
        assert [line["clash"] for line in told] == [True, True]
        assert {line["sender_id"] for line in told} == {ANA.phone_jid, BAKERY.phone_jid}

    def test_one_id_in_two_chats_does_not_clash(self) -> None:
        told = lines(sent(), sent(note(chat=BY_PHONE)))
        assert [line["clash"] for line in told] == [False, False]

    def test_nobody_can_tell_whose_reactions_they_are(self) -> None:
        poll = note(POLL, chat=BY_PHONE)
        told = [sent(poll), sent(note(POLL, chat=BY_PHONE, author=BIA))]
        for line in lines(*told, reacted("👍", by=BIA, of=poll), voted("Milho", of=poll)):
            assert "reactions" not in line
            assert "votes" not in line["poll"]

    def test_a_deletion_is_certain_of_the_author_s_own_alone(self) -> None:
        told = lines(sent(), sent(mine()), revoked())
        assert {line["sender_id"]: line.get("revoked") for line in told} == {
            ANA.phone_jid: True,
            BAKERY.phone_jid: None,
        }

    def test_an_id_that_another_author_is_named_with_leaves_the_clash_open(self) -> None:
        line = only(sent(), revoked(mine()))
        assert "clash" not in line
        assert "revoked" not in line


class TestDoubts:
    def test_what_was_perhaps_accepted_may_be_there_in_whatever_state(self) -> None:
        truth = Truth()
        truth.tell(linking(ANA))
        truth.doubt(sent())
        (line,) = (each for each in truth.lines() if each["type"] == "message")
        assert line == {
            "type": "message",
            "session": "default",
            "account": BAKERY.phone_jid,
            "chat_id": ANA.phone_jid,
            "id": "A1",
            "sender_id": ANA.phone_jid,
            "from_me": False,
            "certain": False,
        }

    @pytest.mark.parametrize("what", [edited("um"), revoked(), reacted("👍", by=ANA)])
    @pytest.mark.parametrize("first", [True, False], ids=["before", "after"])
    def test_a_doubted_change_makes_its_message_uncertain(self, what: Fact, *, first: bool) -> None:
        truth = Truth()
        if first:
            truth.doubt(what)
        truth.tell(sent())
        if not first:
            truth.doubt(what)
        assert [line.get("certain", True) for line in truth.lines()][-1] is False

    def test_a_doubt_is_of_one_message_alone(self) -> None:
        truth = truth_of(sent(), sent(note(stanza="A2")))
        truth.doubt(edited("um"))
        told = {line["id"]: line.get("certain", True) for line in truth.lines() if "text" in line}
        assert told == {"A2": True}

    def test_a_chat_of_nothing_but_doubts_is_not_required(self) -> None:
        truth = Truth()
        truth.tell(linking(ANA))
        truth.doubt(sent())
        types = [line["type"] for line in truth.lines()]
        assert types == ["archive", "link", "link", "message"]

    def test_what_a_doubt_would_reveal_is_open_wherever_it_counts(self) -> None:
        said = note(chat=BY_LID, address=Address.LID)
        truth = truth_of(sent(said))
        truth.doubt(linking(ANA))
        (line,) = (line for line in truth.lines() if line["type"] == "message")
        assert line["certain"] is False
        truth.tell(linking(ANA))
        (line,) = (line for line in truth.lines() if line["type"] == "message")
        assert line["sender_id"] == ANA.phone_jid
        assert "certain" not in line

    def test_what_was_told_under_an_address_that_may_be_linked_is_open_under_the_other(
        self,
    ) -> None:
        """Somebody who read in a list that both are one has the reaction, nobody else."""
        hidden = note(address=ALONE)
        told = [sent(), sent(note(stanza="A2")), reacted("👍", by=ANA, of=hidden)]
        truth = truth_of(*told)
        truth.suspect("default", BAKERY, [ANA])
        certain = {line["id"]: line.get("certain", True) for line in truth.lines() if "id" in line}
        assert (certain["A1"], certain["A2"]) == (False, True)

    def test_an_account_that_only_doubts_name_may_have_an_archive(self) -> None:
        truth = Truth()
        truth.doubt(sent())
        assert [line.get("certain") for line in truth.lines()] == [False, False]

    def test_a_doubted_forgery_leaves_the_clash_open(self) -> None:
        truth = truth_of(sent(note(chat=BY_PHONE)))
        truth.doubt(sent(note(chat=BY_PHONE, author=BIA)))
        told = [line for line in truth.lines() if line["type"] == "message"]
        assert all("clash" not in line for line in told)

    def test_a_doubted_name_is_not_required(self) -> None:
        said = sent(note(chat=BY_PHONE))
        truth = truth_of(said, renamed(BY_PHONE, "Equipe"))
        truth.doubt(renamed(BY_PHONE, "Time", after_ms=5))
        (chat,) = (line for line in truth.lines() if line["type"] == "chat")
        assert "name" not in chat


class TestBrokenCopies:
    def test_a_broken_copy_alone_makes_a_message_uncertain(self) -> None:
        copy = sent(broken="7", sure=False)
        assert only(copy)["certain"] is False

    def test_a_broken_copy_beside_the_whole_one_changes_nothing(self) -> None:
        whole, copy = sent(broken="7"), sent(broken="7", sure=False)
        assert only(whole, copy) == only(copy, whole) == only(sent())

    def test_a_broken_edit_whose_whole_one_was_lost_leaves_the_message_uncertain(self) -> None:
        copy = edited("um", broken="8", sure=False)
        assert only(sent(), copy)["certain"] is False
        assert only(copy, sent())["certain"] is False
        whole = edited("um", broken="8")
        assert only(sent(), copy, whole)["edits"] == ["um"]

    def test_what_one_event_s_copy_lacks_another_event_does_not_make_good(self) -> None:
        assert only(sent(broken="7"), edited("um", broken="8", sure=False))["certain"] is False


class TestRepetitionsOfTheWhole:
    def test_a_receipt_that_repeats_the_message_may_make_it_known(self) -> None:
        repeating = acked(AckLevel.READ, repeats=True)
        assert only(repeating)["certain"] is False
        assert lines(acked(AckLevel.READ)) == []

    def test_the_message_itself_makes_it_certain(self) -> None:
        repeating = acked(AckLevel.READ, repeats=True)
        whole = sent(mine(), ack=1)
        assert only(repeating, whole) == only(whole, repeating)
        assert only(repeating, whole)["ack"] == "read"

    def test_an_author_that_only_a_repetition_names_leaves_the_clash_open(self) -> None:
        told = lines(sent(), revoked(mine(), repeats=True))
        assert {line["sender_id"]: line.get("clash") for line in told} == {
            ANA.phone_jid: None,
            BAKERY.phone_jid: None,
        }


class TestChats:
    def test_a_group_has_its_latest_name_whatever_comes_first(self) -> None:
        told = [
            sent(note(chat=BY_PHONE)),
            renamed(BY_PHONE, "um", after_ms=1),
            renamed(BY_PHONE, "dois", after_ms=2),
        ]
        for order in permutations(told):
            (chat,) = lines(*order, type="chat")
            assert (chat["id"], chat["name"]) == (BY_PHONE.jid, "dois")

    def test_a_group_that_nobody_named_has_no_name_to_be_compared(self) -> None:
        (chat,) = lines(sent(note(chat=BY_PHONE)), renamed(BY_LID, "Outro"), type="chat")
        assert chat.keys() == {"type", "session", "account", "id"}

    def test_a_broken_name_is_none(self) -> None:
        broken = renamed(BY_PHONE, "Equipe", sure=False)
        (chat,) = lines(sent(note(chat=BY_PHONE)), broken, type="chat")
        assert "name" not in chat

    def test_a_broken_name_whose_whole_one_was_lost_leaves_the_name_open(self) -> None:
        known = [sent(note(chat=BY_PHONE)), renamed(BY_PHONE, "um", after_ms=1)]
        copy = renamed(BY_PHONE, "dois", after_ms=2, broken="9", sure=False)
        whole = renamed(BY_PHONE, "dois", after_ms=2, broken="9")
        (chat,) = lines(*known, copy, type="chat")
        assert "name" not in chat
        for order in permutations([copy, whole]):
            (chat,) = lines(*known, *order, type="chat")
            assert chat["name"] == "dois"


@cache
def simulated(engine: EngineName | None) -> tuple[Fact, ...]:
    scenario = Scenario(
        seed=11,
        engine=engine,
        sessions=2,
        faults=Faults.parse("all,account-change=0.02,forged=0.1,lid-flip=0.2"),
    )
    deliveries = islice(simulate(scenario), 500)
    return tuple(each.fact for each in deliveries if each.fact and not each.lost)


def written(truth: Truth) -> list[str]:
    return [json.dumps(line, ensure_ascii=False, sort_keys=True) for line in truth.lines()]


@given(st.randoms(use_true_random=False), st.sampled_from([*EngineName, None]))
def test_the_order_of_telling_does_not_matter(random: Random, engine: EngineName | None) -> None:
    told = list(simulated(engine))
    expected = written(truth_of(*told))
    random.shuffle(told)
    assert written(truth_of(*told)) == expected


@pytest.mark.parametrize("engine", [*EngineName, None])
def test_a_simulation_without_faults_is_certain_of_all_that_was_sent(
    engine: EngineName | None,
) -> None:
    scenario = Scenario(seed=11, engine=engine, faults=Faults())
    told = [each.fact for each in islice(simulate(scenario), 800) if each.fact]
    certain = {line["id"] for line in lines(*told) if line.get("certain", True)}
    assert certain == {f.happening.note.stanza for f in told if isinstance(f.happening, Sent)}


def test_only_webjs_repeats_the_whole_message_with_its_receipts() -> None:
    for engine in EngineName:
        repeating = {type(f.happening) for f in simulated(engine) if f.repeats}
        assert (Acked in repeating) == (engine is EngineName.WEBJS)
