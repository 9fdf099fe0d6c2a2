"""From records to what a reader sees."""

from collections.abc import Iterable, Sequence
from itertools import groupby
from typing import NamedTuple

from msgspec import Struct

from wagateway.domain.downloads import KeptFile
from wagateway.domain.errors import Defect
from wagateway.domain.feed import Told
from wagateway.domain.identity import (
    ME,
    THEM,
    Author,
    ChatType,
    Jid,
    SessionName,
    canonical,
    chat_type,
    is_direct,
)
from wagateway.domain.media import Download
from wagateway.domain.messages import MediaFacts, MediaOffer, Poll, Reply
from wagateway.domain.projection import Phones
from wagateway.domain.records import (
    EditRecord,
    Mark,
    MessageRecord,
    ReactionRecord,
    RevocationRecord,
    VoteRecord,
)
from wagateway.domain.views import (
    ChangeView,
    EditView,
    FileView,
    MediaView,
    MessageView,
    PollView,
    ReactionView,
    ReplyView,
    VoteView,
)


class Reader(Struct, frozen=True, kw_only=True):
    """Whose archive is read, and which LIDs are known to be whom."""

    session: SessionName
    account: Jid | None
    phones: Phones


class _Marks(NamedTuple):
    edits: list[EditRecord]
    revocations: list[RevocationRecord]
    reactions: list[ReactionRecord]
    votes: list[VoteRecord]


def message_view(
    record: MessageRecord,
    marks: Iterable[Mark],
    reader: Reader,
    *,
    clash: bool,
    file: KeptFile | None = None,
) -> MessageView:
    """Return *record*, whose facts must be there, as a reader sees it.

    Args:
        record: the message.
        marks: what happened to its stanza id, by whomever.
        reader: whose archive it is.
        clash: whether another author claims the same id.
        file: its attached file; None where nothing is known of a download.
    """
    facts = record.facts
    if facts is None:
        raise Defect("a message without facts cannot be shown")
    found = _applicable(record, marks)
    revocation = min(found.revocations, key=lambda r: r.revoked_at, default=None)
    return MessageView(
        session=reader.session,
        chat_id=record.chat,
        id=record.stanza,
        waha_id=facts.waha_id,
        sender_id=_sender(record, reader),
        sender_name=facts.sender_name,
        from_me=facts.from_me,
        kind=facts.kind,
        text=facts.text if record.edited_at is None else record.text,
        sent_at=facts.sent_at,
        reply_to=_reply(facts.reply_to, reader),
        mentions=tuple(canonical(jid, reader.phones) for jid in facts.mentions),
        forwarded=facts.forwarded,
        view_once=facts.view_once,
        link_preview=facts.link_preview,
        media=_media(facts.media, record.offer, file),
        location=facts.location,
        contacts=facts.contacts,
        poll=_poll(facts.poll, found.votes, reader),
        event=facts.event,
        ack=record.ack,
        edited_at=record.edited_at,
        edits=_edits(found.edits),
        revoked_at=revocation.revoked_at if revocation else None,
        revoked_by=_known(revocation.revoked_by, reader) if revocation else None,
        reactions=_reactions(found.reactions, reader),
        source=facts.source,
        clash=clash,
    )


def change_view(told: Told, claims: Sequence[MessageView]) -> ChangeView:
    """Return *told* as a reader sees it; *claims* are the messages of its id, as they are now."""
    item = told.item
    account = told.account or Jid(ME)
    return ChangeView(
        kind=item.kind,
        position=told.position.id,
        at=told.at,
        session=told.session,
        account=told.account,
        chat_id=item.chat,
        id=item.stanza,
        by=None if item.by is None else account if item.by == ME else Jid(item.by),
        ack=item.ack,
        status=item.status,
        was=item.was,
        before=item.before,
        message=next((view for view in claims if _is_by(view, item.author)), None)
        or next(iter(claims), None),
    )


def _is_by(view: MessageView, author: Author | None) -> bool:
    if author in {ME, THEM}:
        return view.from_me == (author == ME)
    return author is not None and view.sender_id == Jid(author)


def _applicable(record: MessageRecord, marks: Iterable[Mark]) -> _Marks:
    """Return the marks that are about *record* and not about another author's message."""
    found = _Marks([], [], [], [])
    authors = {record.author, *record.lids}
    for mark in marks:
        if isinstance(mark, EditRecord) and mark.author in authors:
            found.edits.append(mark)
        elif isinstance(mark, RevocationRecord) and mark.author in {"", record.author}:
            found.revocations.append(mark)
        elif isinstance(mark, ReactionRecord) and mark.emoji:
            found.reactions.append(mark)
        elif isinstance(mark, VoteRecord):
            found.votes.append(mark)
    return found


def _sender(record: MessageRecord, reader: Reader) -> Jid | None:
    if chat_type(record.chat) is ChatType.NEWSLETTER:
        return None
    if record.author == ME:
        return reader.account
    if is_direct(record.chat):
        return record.chat
    return canonical(Jid(record.author), reader.phones) if record.author else None


def _actor(author: Author, reader: Reader) -> Jid:
    if author == ME:
        return reader.account or Jid(ME)
    return canonical(Jid(author), reader.phones)


def _known(jid: Jid | None, reader: Reader) -> Jid | None:
    return canonical(jid, reader.phones) if jid else None


def _reply(reply: Reply | None, reader: Reader) -> ReplyView | None:
    if reply is None:
        return None
    return ReplyView(id=reply.id, sender_id=_known(reply.sender, reader), text=reply.text)


def file_view(session: SessionName, kept: KeptFile) -> FileView:
    """Return a message's file as a reader sees it by itself."""
    file = kept.file
    return FileView(
        session=session,
        chat_id=file.chat,
        id=file.stanza,
        waha_id=file.waha_id,
        from_me=file.from_me,
        kind=file.kind,
        sent_at=file.sent_at,
        media=_shown(file.facts, file.download.offer, kept),
    )


def _media(
    facts: MediaFacts | None, offer: MediaOffer | None, kept: KeptFile | None
) -> MediaView | None:
    return None if facts is None else _shown(facts, offer, kept)


def _shown(facts: MediaFacts, offer: MediaOffer | None, kept: KeptFile | None) -> MediaView:
    download = kept.file.download if kept else Download()
    stored = kept.stored if kept else None
    told = stored or facts
    return MediaView(
        status=download.status,
        mimetype=told.mimetype,
        filename=facts.filename,
        size_bytes=told.size_bytes,
        sha256=told.sha256,
        width=told.width or facts.width,
        height=told.height or facts.height,
        duration_s=facts.duration_s if told.duration_s is None else told.duration_s,
        pages=told.pages or facts.pages,
        error=offer.error if offer is not None and offer.url is None and not stored else None,
        problem=download.problem or (stored.problem if stored else None),
        placeholder=stored.placeholder if stored else None,
        has_thumbnail=stored.has_thumbnail if stored else kept is not None and kept.has_preview,
    )


def _poll(poll: Poll | None, votes: list[VoteRecord], reader: Reader) -> PollView | None:
    if poll is None:
        return None
    views = [VoteView(voter_id=_actor(v.author, reader), options=v.options, at=v.at) for v in votes]
    return PollView(
        question=poll.question,
        options=poll.options,
        selectable=poll.selectable,
        votes=tuple(sorted(views, key=lambda v: (v.at, v.voter_id))),
    )


def _edits(edits: list[EditRecord]) -> tuple[EditView, ...]:
    """Return the versions in order; one that says the same as the one before was told twice.

    A list may name an edit by its second alone; what tells the same more exactly stands for both.
    """
    exact = {(e.text, e.edited_at.replace(microsecond=0)) for e in edits if e.edited_at.microsecond}
    told = [e for e in edits if e.edited_at.microsecond or (e.text, e.edited_at) not in exact]
    ordered = sorted(told, key=lambda e: (e.edited_at, e.edit_id))
    changes = (next(told) for _, told in groupby(ordered, key=lambda e: e.text))
    return tuple(EditView(text=e.text, edited_at=e.edited_at) for e in changes)


def _reactions(reactions: list[ReactionRecord], reader: Reader) -> tuple[ReactionView, ...]:
    views = [
        ReactionView(sender_id=_actor(r.author, reader), emoji=r.emoji, at=r.at) for r in reactions
    ]
    return tuple(sorted(views, key=lambda v: (v.at, v.sender_id)))
