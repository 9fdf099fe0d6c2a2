"""What a reader sees of a record, its marks and its facts."""

from typing import Any

import msgspec
import pytest
from msgspec.structs import replace
from tests.support.deliveries import (
    ANA,
    ANA_LID,
    BAKERY,
    BRUNO,
    BRUNO_LID,
    CHANNEL,
    GROUP,
    NOON,
    SECOND,
    SESSION,
    seen,
)

from wagateway.domain.errors import Defect
from wagateway.domain.identity import ME, THEM, Author, Jid, StanzaId
from wagateway.domain.media import DownloadStatus
from wagateway.domain.messages import (
    Ack,
    CalendarEvent,
    Completeness,
    ContactCard,
    Kind,
    LinkPreview,
    Location,
    MediaFacts,
    MediaOffer,
    Message,
    Poll,
    Reply,
)
from wagateway.domain.presentation import Reader, message_view
from wagateway.domain.records import (
    EditRecord,
    Mark,
    MessageRecord,
    ReactionRecord,
    ReceiptRecord,
    RevocationRecord,
    VoteRecord,
)
from wagateway.domain.views import (
    EditView,
    MediaView,
    MessageView,
    PollView,
    ReactionView,
    ReplyView,
    VoteView,
)

A1 = StanzaId("A1")
LATER = NOON + SECOND
ME_READING = Reader(session=SESSION, account=BAKERY.phone, phones={ANA_LID: ANA})
NOBODY_YET = Reader(session=SESSION, account=None, phones={})


def view(
    *marks: Mark,
    author: str = THEM,
    chat: Jid = ANA,
    facts: Message | None = None,
    reader: Reader = ME_READING,
    clash: bool = False,
    **fields: Any,  # noqa: ANN401 - any field
) -> MessageView:
    """Return what *reader* sees of a message."""
    told = facts or seen().message
    record = MessageRecord(chat=chat, stanza=A1, author=Author(author), facts=told, **fields)
    return message_view(record, marks, reader, clash=clash)


EVERYTHING = Message(
    waha_id="false_5511987650102@c.us_A1",
    from_me=False,
    sent_at=NOON,
    kind=Kind.IMAGE,
    completeness=Completeness.PARTIAL,
    sender=ANA_LID,
    sender_name="Ana",
    text="Bom dia!",
    reply_to=Reply(id=StanzaId("A0"), sender=ANA_LID, text="Oi"),
    mentions=(ANA_LID, BRUNO_LID),
    forwarded=True,
    forwarding_score=3,
    view_once=True,
    link_preview=LinkPreview(url="https://example.org"),
    location=Location(latitude=-23.5, longitude=-46.6),
    contacts=(ContactCard(vcard="BEGIN:VCARD"),),
    poll=Poll(question="?", options=("a", "b"), selectable=1),
    event=CalendarEvent(name="Festa"),
    media=MediaFacts(
        mimetype="image/jpeg",
        filename="a.jpeg",
        size_bytes=1,
        sha256="ab",
        width=2,
        height=3,
        duration_s=4.5,
        pages=5,
        animated=True,
    ),
    source="app",
    subtype="sub",
)


def test_everything_that_is_known_is_shown() -> None:
    assert view(facts=EVERYTHING, ack=Ack.READ, clash=True) == MessageView(
        session=SESSION,
        chat_id=ANA,
        id=A1,
        waha_id="false_5511987650102@c.us_A1",
        sender_id=ANA,
        sender_name="Ana",
        from_me=False,
        kind=Kind.IMAGE,
        text="Bom dia!",
        sent_at=NOON,
        reply_to=ReplyView(id=StanzaId("A0"), sender_id=ANA, text="Oi"),
        mentions=(ANA, BRUNO_LID),
        forwarded=True,
        view_once=True,
        link_preview=LinkPreview(url="https://example.org"),
        media=MediaView(
            status=DownloadStatus.PENDING,
            mimetype="image/jpeg",
            filename="a.jpeg",
            size_bytes=1,
            sha256="ab",
            width=2,
            height=3,
            duration_s=4.5,
            pages=5,
        ),
        location=Location(latitude=-23.5, longitude=-46.6),
        contacts=(ContactCard(vcard="BEGIN:VCARD"),),
        poll=PollView(question="?", options=("a", "b"), selectable=1),
        event=CalendarEvent(name="Festa"),
        ack=Ack.READ,
        edited_at=None,
        edits=(),
        revoked_at=None,
        revoked_by=None,
        reactions=(),
        source="app",
        clash=True,
    )


def test_what_is_not_known_is_not_shown() -> None:
    shown = msgspec.structs.asdict(view(facts=replace(seen().message, text=None)))
    absent = {name for name, value in shown.items() if value is None}
    assert absent == {
        *("sender_name", "text", "reply_to", "link_preview", "media", "location", "poll"),
        *("event", "ack", "edited_at", "revoked_at", "revoked_by", "source"),
    }
    quoted = replace(seen().message, reply_to=Reply(id=StanzaId("A0")))
    assert view(facts=quoted).reply_to == ReplyView(id=StanzaId("A0"), sender_id=None, text=None)


def test_a_message_without_facts_is_not_shown() -> None:
    record = MessageRecord(chat=ANA, stanza=A1, author=THEM)
    with pytest.raises(Defect, match=r"^a message without facts cannot be shown$"):
        message_view(record, [], ME_READING, clash=False)


@pytest.mark.parametrize(
    ("chat", "author", "reader", "sender"),
    [
        (ANA, THEM, ME_READING, ANA),
        (ANA, ME, ME_READING, BAKERY.phone),
        (ANA, ME, NOBODY_YET, None),
        (Jid("1@bot"), THEM, ME_READING, "1@bot"),
        (GROUP, ANA, ME_READING, ANA),
        (GROUP, ANA_LID, ME_READING, ANA),
        (GROUP, ANA_LID, NOBODY_YET, ANA_LID),
        (GROUP, ME, ME_READING, BAKERY.phone),
        (GROUP, "", ME_READING, None),
        (CHANNEL, THEM, ME_READING, None),
    ],
)
def test_the_sender_is_who_the_author_is_known_to_be(
    chat: Jid, author: str, reader: Reader, sender: str | None
) -> None:
    assert view(chat=chat, author=author, reader=reader).sender_id == sender


@pytest.mark.parametrize(
    ("offer", "error"),
    [
        (None, None),
        (MediaOffer(offered_at=NOON, url="http://waha/a"), None),
        (MediaOffer(offered_at=NOON, s3_key="a"), None),
        (MediaOffer(offered_at=NOON, error="404"), "404"),
        (MediaOffer(offered_at=NOON, error="404", url="http://waha/a"), None),
    ],
)
def test_a_file_shows_why_the_engine_could_not_get_it(
    offer: MediaOffer | None, error: str | None
) -> None:
    media = view(facts=EVERYTHING, offer=offer).media
    assert media is not None
    assert (media.status, media.error) == (DownloadStatus.PENDING, error)
    assert view(offer=offer).media is None


def edit(
    text: str | None, seconds: float, *, author: str = THEM, edit_id: str = "E1"
) -> EditRecord:
    return EditRecord(
        chat=ANA,
        stanza=A1,
        author=Author(author),
        edit_id=StanzaId(edit_id),
        edited_at=NOON + seconds * SECOND,
        text=text,
    )


class TestEdits:
    """What became of the text."""

    def test_the_latest_readable_edit_is_the_text(self) -> None:
        assert view().text == "Bom dia!"
        edited = view(text="olá", edited_at=LATER)
        assert (edited.text, edited.edited_at) == ("olá", LATER)

    def test_all_versions_are_shown_oldest_first(self) -> None:
        marks = [edit(None, 2), edit("b", 1, edit_id="E3"), edit("c", 1, edit_id="E2")]
        for order in (marks, marks[::-1]):
            assert view(*order).edits == (
                EditView(text="c", edited_at=LATER),
                EditView(text="b", edited_at=LATER),
                EditView(text=None, edited_at=NOON + 2 * SECOND),
            )

    def test_a_version_that_says_the_same_as_the_one_before_is_shown_once(self) -> None:
        marks = [
            edit("a", 1, edit_id="E1"),
            edit("a", 2, edit_id="E2"),
            edit(None, 3, edit_id="E3"),
            edit(None, 4, edit_id="E4"),
            edit("a", 5, edit_id="E5"),
        ]
        for order in (marks, marks[::-1]):
            assert view(*order).edits == (
                EditView(text="a", edited_at=NOON + SECOND),
                EditView(text=None, edited_at=NOON + 3 * SECOND),
                EditView(text="a", edited_at=NOON + 5 * SECOND),
            )

    def test_a_version_told_by_its_second_alone_yields_to_the_exact_one(self) -> None:
        marks = [edit("a", 1.4, edit_id="E1"), edit("b", 1.6, edit_id="E2"), edit("b", 1)]
        marks.append(edit("a", 2, edit_id="E3"))
        assert view(*marks).edits == (
            EditView(text="a", edited_at=NOON + 1.4 * SECOND),
            EditView(text="b", edited_at=NOON + 1.6 * SECOND),
            EditView(text="a", edited_at=NOON + 2 * SECOND),
        )

    def test_only_the_authors_versions_count(self) -> None:
        marks = [edit("mine", 1, author=ANA), edit("lid", 2, author=ANA_LID)]
        marks.append(edit("other", 3, author=BRUNO))
        shown = view(*marks, chat=GROUP, author=ANA, lids=frozenset({ANA_LID}))
        assert [version.text for version in shown.edits] == ["mine", "lid"]


def revocation(author: str, seconds: int, by: Jid | None = None) -> RevocationRecord:
    return RevocationRecord(
        chat=GROUP,
        stanza=A1,
        author=Author(author),
        revoked_at=NOON + seconds * SECOND,
        revoked_by=by,
    )


class TestDeletions:
    """Who deleted it, and when."""

    def test_the_earliest_deletion_is_shown(self) -> None:
        marks = [revocation("", 2, BRUNO), revocation(ANA, 1, ANA_LID)]
        for order in (marks, marks[::-1]):
            shown = view(*order, chat=GROUP, author=ANA)
            assert (shown.revoked_at, shown.revoked_by) == (LATER, ANA)

    def test_who_deleted_may_not_be_known(self) -> None:
        shown = view(revocation("", 1), chat=GROUP, author=ANA)
        assert (shown.revoked_at, shown.revoked_by) == (LATER, None)

    def test_a_deletion_of_another_authors_message_is_not_of_this_one(self) -> None:
        assert view(revocation(BRUNO, 1), chat=GROUP, author=ANA).revoked_at is None


def reaction(author: str, emoji: str = "+", seconds: int = 0) -> ReactionRecord:
    at = NOON + seconds * SECOND
    return ReactionRecord(
        chat=GROUP, stanza=A1, author=Author(author), emoji=emoji, at=at, seen_at=at
    )


def vote(author: str, options: tuple[str, ...] | None, seconds: int = 0) -> VoteRecord:
    at = NOON + seconds * SECOND
    return VoteRecord(
        chat=GROUP, stanza=A1, author=Author(author), options=options, at=at, seen_at=at
    )


class TestMarks:
    """What others did to it."""

    def test_reactions_are_shown_in_their_order_and_not_when_taken_back(self) -> None:
        marks = [reaction(BRUNO), reaction(ANA_LID), reaction(ME, seconds=-1)]
        marks.append(reaction(BRUNO_LID, ""))
        for order in (marks, marks[::-1]):
            assert view(*order).reactions == (
                ReactionView(sender_id=BAKERY.phone, emoji="+", at=NOON - SECOND),
                ReactionView(sender_id=ANA, emoji="+", at=NOON),
                ReactionView(sender_id=BRUNO, emoji="+", at=NOON),
            )

    def test_votes_are_shown_in_their_order(self) -> None:
        marks = [vote(BRUNO, ("a",)), vote(ANA_LID, None), vote(ME, (), -1)]
        for order in (marks, marks[::-1]):
            poll = view(*order, facts=EVERYTHING).poll
            assert poll is not None
            assert poll.votes == (
                VoteView(voter_id=BAKERY.phone, options=(), at=NOON - SECOND),
                VoteView(voter_id=ANA, options=None, at=NOON),
                VoteView(voter_id=BRUNO, options=("a",), at=NOON),
            )
            assert view(*order).poll is None

    def test_what_i_did_is_mine_before_the_account_is_known(self) -> None:
        shown = view(reaction(ME), reaction(ANA_LID, seconds=1), reader=NOBODY_YET)
        assert [each.sender_id for each in shown.reactions] == [ME, ANA_LID]

    def test_receipts_are_not_shown(self) -> None:
        receipt = ReceiptRecord(chat=GROUP, stanza=A1, author=Author(ANA), ack=Ack.READ)
        assert view(receipt) == view()
