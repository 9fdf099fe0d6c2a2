"""JIDs, message ids, phone numbers and LID links, well-formed and hostile."""

import itertools
from collections.abc import Callable
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace
from tests.support.deliveries import ANA, ANA_LID, BRUNO, BRUNO_LID, GROUP, NOON, SECOND

from wagateway.domain.errors import InvalidInput
from wagateway.domain.identity import (
    ChatType,
    Evidence,
    Jid,
    Link,
    MessageRef,
    StanzaId,
    account_named,
    canonical,
    chat_candidates,
    chat_type,
    is_lid,
    is_phone,
    jid,
    parse_message_id,
    resolve_links,
    said_by_a_person,
    servers_of,
    session_named,
    stanza_id,
)

JIDS = {
    "5511987650102@c.us": "5511987650102@c.us",
    "5511987650102@s.whatsapp.net": "5511987650102@c.us",
    "5511987650102@S.WhatsApp.Net": "5511987650102@c.us",
    "5511987650102:12@s.whatsapp.net": "5511987650102@c.us",
    "5511987650102.0:12@s.whatsapp.net": "5511987650102@c.us",
    "5511987650102.1@c.us": "5511987650102@c.us",
    "5511987650102:0@c.us": "5511987650102@c.us",
    "271000000000102:7@lid": "271000000000102@lid",
    "271000000000102@LID": "271000000000102@lid",
    "  5511987650102@c.us\n": "5511987650102@c.us",
    "5511987650102": "5511987650102@c.us",
    "5511987650102-1550000000@g.us": "5511987650102-1550000000@g.us",
    "120363000000000101@g.us": "120363000000000101@g.us",
    "120363000000000101:3@g.us": "120363000000000101:3@g.us",
    "1:2x@lid": "1:2x@lid",
    "status@broadcast": "status@broadcast",
    "1550000000:3@broadcast": "1550000000:3@broadcast",
    "120363000000000909.3@newsletter": "120363000000000909.3@newsletter",
    "1550000000@broadcast": "1550000000@broadcast",
    "120363000000000909@newsletter": "120363000000000909@newsletter",
    "13135550002@bot": "13135550002@bot",
    "%@c.us": "%0025@c.us",
    "a\x00b@c.us": "a%0000b@c.us",
    "a\ud800b@c.us": "a%D800b@c.us",
    "5" * 507 + "@c.us": "5" * 507 + "@c.us",  # the longest one
}

ARABIC = "\u0665\u0665\u0661\u0661"  # digits, but not of a phone number as engines write it

NO_JIDS = [
    *("", "   ", "@", "@c.us", "5511@", "a@b@c", "5511 987@c.us", "5511987650102@c .us"),
    *("ana", "+5511987650102", ARABIC, ":12@c.us", "5" * 513, "5" * 510 + "@c.us"),
]


class TestJid:
    @pytest.mark.parametrize(("raw", "expected"), JIDS.items(), ids=range(len(JIDS)))
    def test_every_spelling_of_an_address_becomes_one(self, raw: str, expected: str) -> None:
        assert jid(raw) == expected

    @pytest.mark.parametrize("raw", NO_JIDS)
    def test_what_is_no_address_is_refused(self, raw: str) -> None:
        with pytest.raises(InvalidInput):
            jid(raw)

    @pytest.mark.parametrize(
        ("raw", "reason"),
        [
            ("", "1 to 512 characters, this one has 0"),
            ("5" * 513, "1 to 512 characters, this one has 513"),
            ("ana", "user@server.*'ana'"),
            (":12@c.us", "user@server.*':12@c.us'"),
        ],
    )
    def test_the_refusal_names_what_is_wrong(self, raw: str, reason: str) -> None:
        with pytest.raises(InvalidInput, match=reason):
            jid(raw)

    def test_the_refusal_is_short_and_can_be_shown(self) -> None:
        with pytest.raises(InvalidInput) as caught:
            jid("\x00\ud800" + "a" * 400)
        assert len(str(caught.value)) < 150
        assert str(caught.value).encode()

    @given(st.text(alphabet="0123456789:.@cuslidg %\x00\ud800", max_size=24))
    def test_it_refuses_or_gives_a_storable_address(self, raw: str) -> None:
        try:
            found = jid(raw)
        except InvalidInput:
            return
        assert found.count("@") == 1
        assert "\x00" not in found
        assert found.encode().decode() == found

    @given(st.text(alphabet="0123456789:.@cuslidg", max_size=24))
    def test_normalising_twice_changes_nothing(self, raw: str) -> None:
        try:
            found = jid(raw)
        except InvalidInput:
            return
        assert jid(found) == found


@pytest.mark.parametrize(
    ("read", "text"),
    [
        (jid, "a" * 99),
        (jid, ":1" * 50 + "@c.us"),
        (parse_message_id, "a" * 99),
        (chat_candidates, "a" * 99),
    ],
)
def test_a_refusal_shows_80_characters(read: Callable[[str], object], text: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        read(text)
    assert f"'{text[:80]}'" in str(caught.value)


class TestTypes:
    @pytest.mark.parametrize(
        ("address", "expected"),
        [
            (ANA, ChatType.INDIVIDUAL),
            (ANA_LID, ChatType.INDIVIDUAL),
            (GROUP, ChatType.GROUP),
            (Jid("status@broadcast"), ChatType.BROADCAST),
            (Jid("1@newsletter"), ChatType.NEWSLETTER),
            (Jid("1@bot"), ChatType.OTHER),
            (Jid("1@call"), ChatType.OTHER),
        ],
    )
    def test_the_server_tells(self, address: Jid, expected: ChatType) -> None:
        assert chat_type(address) is expected

    @pytest.mark.parametrize("kind", list(ChatType))
    def test_servers_and_types_agree(self, kind: ChatType) -> None:
        servers = servers_of(kind)
        assert bool(servers) == (kind is not ChatType.OTHER)
        assert {chat_type(Jid(f"1@{server}")) for server in servers} <= {kind}

    def test_lids_and_phones_are_told_apart(self) -> None:
        assert [is_lid(a) for a in (ANA, ANA_LID, GROUP)] == [False, True, False]
        assert [is_phone(a) for a in (ANA, ANA_LID, GROUP)] == [True, False, False]


def meant(chat: Jid, stanza: str, *, from_me: bool, participant: Jid | None = None) -> MessageRef:
    return MessageRef(chat=chat, stanza=StanzaId(stanza), from_me=from_me, participant=participant)


SERIALISED = {
    "false_5511987650102@c.us_3EB0": meant(ANA, "3EB0", from_me=False),
    "true_5511987650102:3@s.whatsapp.net_3EB0": meant(ANA, "3EB0", from_me=True),
    "false_271000000000102@lid_AC1": meant(ANA_LID, "AC1", from_me=False),
    "false_120363000000000101@g.us_3A_5511987650102@c.us": meant(
        GROUP, "3A", from_me=False, participant=ANA
    ),
    "true_120363000000000101@g.us_3A_271000000000102:9@lid": meant(
        GROUP, "3A", from_me=True, participant=ANA_LID
    ),
    "true_120363000000000101@g.us_3A_": meant(GROUP, "3A", from_me=True),
    "false_status@broadcast_3A_5511987650102@c.us": meant(
        Jid("status@broadcast"), "3A", from_me=False, participant=ANA
    ),
    "false_120363000000000101@g.us_3A_a_b_c@lid": meant(
        GROUP, "3A", from_me=False, participant=Jid("a_b_c@lid")
    ),
    f"false_5511987650102@c.us_{'A' * 512}": meant(ANA, "A" * 512, from_me=False),
}

NOT_SERIALISED = [
    *("", "3EB0", "false_5511987650102@c.us", "false_5511987650102@c.us_", "_a@c.us_b"),
    *("False_5511987650102@c.us_3EB0", "yes_5511987650102@c.us_3EB0", "true__3EB0"),
    *("false_x_3EB0", "false_1@g.us_3EB0_nobody", f"false_1@c.us_{'A' * 513}"),
]


class TestMessageIds:
    @pytest.mark.parametrize(("text", "expected"), SERIALISED.items(), ids=SERIALISED)
    def test_a_serialised_id_is_read(self, text: str, expected: MessageRef) -> None:
        assert parse_message_id(text) == expected

    def test_a_bare_one_tells_neither_side_nor_author(self) -> None:
        bare = MessageRef(chat=GROUP, stanza=StanzaId("3EB0"))
        assert (bare.from_me, bare.participant) == (None, None)

    @pytest.mark.parametrize("text", NOT_SERIALISED)
    def test_what_is_none_is_refused(self, text: str) -> None:
        with pytest.raises(InvalidInput):
            parse_message_id(text)

    @pytest.mark.parametrize("text", ["3EB0", "yes_5511987650102@c.us_3EB0"])
    def test_the_refusal_names_the_text(self, text: str) -> None:
        with pytest.raises(InvalidInput, match=f"serialised message id: '{text}'"):
            parse_message_id(text)

    @given(st.text(max_size=60))
    def test_any_text_is_read_or_refused(self, text: str) -> None:
        for candidate in (text, f"false_{text}", f"true_1@c.us_{text}"):
            try:
                found = parse_message_id(candidate)
            except InvalidInput:
                continue
            assert found.stanza.encode()

    def test_a_stanza_id_is_checked_and_escaped(self) -> None:
        assert stanza_id("3EB0'; --") == "3EB0'; --"
        assert stanza_id("a\x00") == "a%0000"
        for bad in ("", "A" * 513, "\x00" * 103):
            with pytest.raises(InvalidInput, match="message id has 1 to 512 characters"):
                stanza_id(bad)

    @given(st.text(min_size=1, max_size=20), st.text(min_size=1, max_size=20))
    def test_different_ids_stay_different(self, a: str, b: str) -> None:
        assert (stanza_id(a) == stanza_id(b)) == (a == b)


CANDIDATES = {
    "5511987650102": ["5511987650102@c.us", "551187650102@c.us"],
    "551187650102": ["551187650102@c.us", "5511987650102@c.us"],
    "+55 (11) 98765-0102": ["5511987650102@c.us", "551187650102@c.us"],
    "005511987650102": ["5511987650102@c.us", "551187650102@c.us"],
    "55.11.98765.0102": ["5511987650102@c.us", "551187650102@c.us"],
    "+55\u00a011\u00a098765\u20110102": ["5511987650102@c.us", "551187650102@c.us"],
    "+55/11/98765\u20150102": ["5511987650102@c.us", "551187650102@c.us"],
    "+55 11 6765-0102": ["551167650102@c.us", "5511967650102@c.us"],
    "+55 11 9765-0102": ["551197650102@c.us", "5511997650102@c.us"],
    "+55 11 5765-0102": ["551157650102@c.us"],
    "+44 11 8765-0102": ["441187650102@c.us"],
    "+55 11 3765-0102": ["551137650102@c.us"],  # a landline has no ninth digit
    "+1 (212) 555-0100": ["12125550100@c.us"],
    "+351 912 345 678": ["351912345678@c.us"],
    "5511987650102@s.whatsapp.net": ["5511987650102@c.us"],
    "271000000000102@lid": ["271000000000102@lid"],
    "120363000000000101@g.us": ["120363000000000101@g.us"],
}


class TestCandidates:
    @pytest.mark.parametrize(("text", "expected"), CANDIDATES.items(), ids=range(len(CANDIDATES)))
    def test_a_person_may_write_it_in_usual_ways(self, text: str, expected: list[str]) -> None:
        assert chat_candidates(text) == expected

    @pytest.mark.parametrize(
        "text",
        [
            "",
            " ",
            "+",
            "00",
            "ana",
            "11 98765 0102 ext 3",
            "++5511",
            "@",
            ARABIC,
            "1" * 600,
            "'; DROP TABLE chats;--",
            "../..",
            "\x00",
            "5511\ud800",
        ],
    )
    def test_what_is_neither_is_refused(self, text: str) -> None:
        with pytest.raises(InvalidInput):
            chat_candidates(text)

    @pytest.mark.parametrize("text", ["ana", ARABIC, "11 98765 0102 ext 3"])
    def test_the_refusal_says_what_may_be_written(self, text: str) -> None:
        with pytest.raises(InvalidInput, match=f"neither a JID nor a phone number: '{text}'"):
            chat_candidates(text)

    @given(st.text(max_size=40))
    def test_any_text_gives_addresses_or_a_refusal(self, text: str) -> None:
        try:
            found = chat_candidates(text)
        except InvalidInput:
            return
        assert found
        assert all(jid(each) == each for each in found if "%" not in each)


def link(
    lid: Jid,
    phone: Jid,
    seconds: int = 0,
    *,
    rejected: bool = False,
    confirmed: int | None = None,
) -> Link:
    return Link(
        lid=lid,
        phone=phone,
        evidence=Evidence.ALTERNATIVE,
        first_seen_at=NOON + seconds * SECOND,
        confirmed_at=None if confirmed is None else NOON + confirmed * SECOND,
        rejected_at=NOON if rejected else None,
    )


_links = st.builds(
    Link,
    lid=st.just(ANA_LID),
    phone=st.just(ANA),
    evidence=st.sampled_from(Evidence),
    first_seen_at=st.integers(0, 2).map(lambda n: NOON + n * SECOND),
    rejected_at=st.none() | st.integers(0, 2).map(lambda n: NOON + n * SECOND),
)


class TestLinks:
    @given(_links, _links, _links)
    def test_merging_is_commutative_associative_and_idempotent(
        self, a: Link, b: Link, c: Link
    ) -> None:
        assert a.merged(b) == b.merged(a)
        assert a.merged(b).merged(c) == a.merged(b.merged(c))
        assert a.merged(a) == a

    def test_the_earliest_evidence_and_any_rejection_stay(self) -> None:
        late = link(ANA_LID, ANA, 5)
        merged = late.merged(link(ANA_LID, ANA, rejected=True))
        assert (merged.first_seen_at, merged.rejected_at) == (NOON, NOON)

    def test_the_link_learned_last_wins_whatever_the_order(self) -> None:
        links = [link(ANA_LID, ANA), link(ANA_LID, BRUNO, 1), link(BRUNO_LID, BRUNO, 2)]
        for order in itertools.permutations(links):
            assert resolve_links(order) == {ANA_LID: BRUNO, BRUNO_LID: BRUNO}

    @pytest.mark.parametrize(("first", "last"), [(ANA, BRUNO), (BRUNO, ANA)])
    def test_whichever_phone_was_learned_last_counts(self, first: Jid, last: Jid) -> None:
        links = [link(ANA_LID, first), link(ANA_LID, last, 1)]
        assert resolve_links(links) == resolve_links(links[::-1]) == {ANA_LID: last}

    @pytest.mark.parametrize(("first", "last"), [(ANA, BRUNO), (BRUNO, ANA)])
    def test_what_a_person_said_last_counts_however_early_it_was_learned(
        self, first: Jid, last: Jid
    ) -> None:
        links = [link(ANA_LID, first, 5, confirmed=6), link(ANA_LID, last, confirmed=7)]
        assert resolve_links(links) == resolve_links(links[::-1]) == {ANA_LID: last}

    @pytest.mark.parametrize(("said", "learned"), [(ANA, BRUNO), (BRUNO, ANA)])
    def test_what_a_person_said_outweighs_later_evidence(self, said: Jid, learned: Jid) -> None:
        links = [link(ANA_LID, said, confirmed=1), link(ANA_LID, learned, 9)]
        assert resolve_links(links) == resolve_links(links[::-1]) == {ANA_LID: said}

    def test_the_last_confirmation_and_the_first_rejection_stay(self) -> None:
        early = replace(link(ANA_LID, ANA, confirmed=1), rejected_at=NOON + 3 * SECOND)
        late = replace(link(ANA_LID, ANA, confirmed=2), rejected_at=NOON + 4 * SECOND)
        merged = late.merged(early)
        assert merged.confirmed_at == NOON + 2 * SECOND
        assert merged.rejected_at == NOON + 3 * SECOND

    def test_what_a_person_confirms_keeps_its_first_evidence_and_is_revived(self) -> None:
        held = link(ANA_LID, ANA, rejected=True)
        at = NOON + 5 * SECOND
        said = said_by_a_person(held, ANA_LID, ANA, at=at)
        assert said == replace(held, confirmed_at=at, rejected_at=None)

    def test_what_only_a_person_knows_begins_when_it_is_said(self) -> None:
        said = said_by_a_person(None, ANA_LID, ANA, at=NOON)
        assert said == replace(link(ANA_LID, ANA, confirmed=0), evidence=Evidence.PERSON)

    def test_equal_instants_are_decided_by_the_phone(self) -> None:
        links = [link(ANA_LID, ANA), link(ANA_LID, BRUNO)]
        assert resolve_links(links) == resolve_links(links[::-1]) == {ANA_LID: max(ANA, BRUNO)}

    def test_a_rejected_link_yields_to_the_one_before(self) -> None:
        assert resolve_links([link(ANA_LID, BRUNO, 9, rejected=True)]) == {}
        links = [link(ANA_LID, ANA), link(ANA_LID, BRUNO, 9, rejected=True)]
        assert resolve_links(links) == {ANA_LID: ANA}

    def test_an_address_stands_for_its_phone_once(self) -> None:
        phones = resolve_links([link(ANA_LID, ANA, timedelta(hours=1).seconds)])
        assert [canonical(a, phones) for a in (ANA_LID, ANA, BRUNO_LID, GROUP)] == [
            *(ANA, ANA, BRUNO_LID, GROUP)
        ]


@pytest.mark.parametrize(
    ("text", "account"),
    [
        (None, None),
        ("", None),
        (ANA, ANA),
        ("5511987650102:3@s.whatsapp.net", ANA),
        ("+55 (11) 98765-0102", ANA),
    ],
)
def test_an_account_is_named_by_jid_or_number_or_not_at_all(
    text: str | None, account: Jid | None
) -> None:
    assert account_named(text) == account


def test_a_name_is_no_account() -> None:
    with pytest.raises(InvalidInput):
        account_named("ana")


def test_a_session_is_named_as_the_archive_writes_it() -> None:
    assert session_named("vendas") == "vendas"
    assert "\0" not in session_named("ven\0das")
    assert session_named("x" * 512) == "x" * 512
    with pytest.raises(InvalidInput, match="at most 512 characters"):
        session_named("x" * 513)
