"""Messages and chats as WAHA's REST API lists them, for each engine."""

from collections.abc import Sequence

from msgspec.structs import replace

from wagateway.simulator.contents import Attachment, Fetch
from wagateway.simulator.dice import digest
from wagateway.simulator.engine import Engine, EngineName
from wagateway.simulator.facts import Fact, Listing, Promise
from wagateway.simulator.fates import NO_FATE
from wagateway.simulator.happenings import Address, Direct, Note, Sent
from wagateway.simulator.protos import edited_content
from wagateway.simulator.shapes import ACK_NAMES, engine_chat_jid, wid
from wagateway.simulator.store import Kept
from wagateway.simulator.surroundings import Surroundings
from wagateway.simulator.wire import Payload
from wagateway.simulator.world import Channel, Group

_UNKNOWN = 8
"""One in so many of GOWS' rows of own messages has no acknowledgement."""


def message_row(engine: Engine, kept: Kept, *, fetch: Fetch = Fetch.SKIPPED) -> Payload:
    """Return *kept* as a WAMessage of a list.

    What was sent by the API is not remembered as such, and the engine's own data counts states
    where events name them.

    Args:
        engine: whose list it is.
        kept: in the list.
        fetch: how WAHA fared with the attached file, just now.
    """
    row = _tombstone(engine, kept) or engine.message(_as_listed(kept.shown, fetch))
    ack = shown_ack(engine, kept)
    row["ack"] = ack
    row["ackName"] = "UNKNOWN" if ack is None else ACK_NAMES[ack]
    if engine.name is EngineName.NOWEB:
        row["_data"]["status"] = (kept.ack or 0) + 1
        if kept.note and kept.edits:
            new = edited_content(kept.note, kept.texts()[-1])
            row["_data"]["message"] = {"editedMessage": {"message": new}}
    elif engine.name is EngineName.WEBJS:
        row["_data"]["ack"] = ack
        if kept.edits:
            row["_data"]["latestEditSenderTimestampMs"] = max(kept.edits)[0]
    return row


def is_tombstone(engine: Engine, kept: Kept) -> bool:
    """Tell whether the list shows no more of *kept* than that it was deleted."""
    return engine.name is EngineName.WEBJS and kept.revocation is not None


def _tombstone(engine: Engine, kept: Kept) -> Payload | None:
    """Return the notice that stands in the place of a deleted message, under its own time."""
    if kept.revocation is None or kept.note is None or not is_tombstone(engine, kept):
        return None
    here = replace(kept.revocation, note=kept.note, at_ms=kept.note.at_ms)
    after: Payload = engine.revoked(here)["after"]
    return after


def shown_ack(engine: Engine, kept: Kept) -> int | None:
    """Return the ``ack`` of a row; GOWS does not know all of them."""
    if engine.name is not EngineName.GOWS or kept.note is None or not kept.note.from_me:
        return kept.ack
    return None if digest(1, "ack", kept.note.stanza)[0] % _UNKNOWN == 0 else kept.ack


def row_fact(engine: Engine, kept: Kept, session: str) -> Fact:
    """Return what a list tells by the row of *kept*."""
    note, ack = kept.shown, shown_ack(engine, kept)
    return Fact(
        session=session,
        account=engine.account,
        happening=Sent(at_ms=note.at_ms, scene=0, note=note),
        kind=engine.kind(note),
        revealed=engine.reveals_by(_as_listed(note)),
        promise=_promise(engine, kept),
        listing=Listing(
            edits=kept.texts(),
            marked=engine.name is not EngineName.GOWS,
            restamped=kept.restamped,
            revoked=is_tombstone(engine, kept),
            first_ack=None if ack is None else kept.first_ack,
            ack=ack,
        ),
    )


def chat_row(
    engine: Engine, around: Surroundings, rows: Sequence[Kept], *, merged: bool = True
) -> Payload:
    """Return the chat whose messages *rows* are, oldest first, as ``/chats`` lists it."""
    note = rows[-1].shown
    named = _named(note, around) if merged else note
    name = chat_name(note, around)
    if engine.name is EngineName.WEBJS:
        return _browser_chat(note, named.chat_jid, name)
    stamp = note.at_ms // 1000
    if engine.name is EngineName.GOWS:
        return {"id": named.chat_jid, "name": name or "", "conversationTimestamp": stamp}
    row: Payload = {"id": engine_chat_jid(named), "conversationTimestamp": stamp}
    if name:
        row["name"] = name
    if merged and isinstance(note.chat, Direct) and around.knows(note.chat.person):
        row["lidJid"] = note.chat.person.lid_jid
    return row


def chat_id(note: Note, around: Surroundings) -> str:
    """Return how lists name the chat of *note*: by phone where both addresses are known."""
    return _named(note, around).chat_jid


def chat_name(note: Note, around: Surroundings) -> str | None:
    """Return what the chat of *note* is called, None where nobody gave it a name."""
    match note.chat:
        case Direct():
            known = not note.chat.person.hidden or around.knows(note.chat.person)
            return note.chat.person.name if known else None
        case Group():
            circle = around.circles.get(note.chat.jid)
            return circle.subject if circle else note.chat.subjects[0]
        case Channel():
            return note.chat.name
        case _:
            return None


def overview_row(
    engine: Engine, around: Surroundings, rows: Sequence[Kept], *, merged: bool = True
) -> Payload:
    """Return the chat whose messages *rows* are, as ``/chats/overview`` lists it."""
    note = rows[-1].shown
    return {
        "id": chat_id(note, around) if merged else note.chat_jid,
        "name": chat_name(note, around),
        "picture": picture(chat_id(note, around)),
        "lastMessage": message_row(engine, rows[-1]),
        "_chat": chat_row(engine, around, rows, merged=merged),
    }


def picture(chat: str) -> str | None:
    """Return the signed address of a chat's picture, which nobody serves; half have none."""
    number = int.from_bytes(digest(8, "picture", chat))
    if number % 2:
        return None
    return f"https://pps.whatsapp.net/v/t61.24694-24/{number}_n.jpg?ccb=11-4&oe=6A0F1C00"


def _named(note: Note, around: Surroundings) -> Note:
    """Return *note* with the address by which its chat is listed."""
    if not isinstance(note.chat, Direct) or not around.knows(note.chat.person):
        return note
    return replace(note, address=Address.PHONE)


def _browser_chat(note: Note, chat: str, name: str | None) -> Payload:
    return {
        "id": wid(chat),
        "name": name or chat.partition("@")[0],
        "isGroup": isinstance(note.chat, Group),
        "isReadOnly": False,
        "unreadCount": 0,
        "timestamp": note.at_ms // 1000,
        "archived": False,
        "pinned": False,
        "isMuted": False,
        "muteExpiration": 0,
        "lastMessage": None,
    }


def _promise(engine: Engine, kept: Kept) -> Promise | None:
    """Return whether the file of *kept* can be had by asking for it."""
    said = kept.shown.content
    if not isinstance(said, Attachment) or is_tombstone(engine, kept):
        return None
    if not engine.shows_file(kept.shown):
        return None
    return Promise.NO if said.gone else Promise.YES


def _as_listed(note: Note, fetch: Fetch = Fetch.SKIPPED) -> Note:
    """Return *note* with what became of its file; what it quotes is not fetched again."""
    said, quoted = note.content, note.quotes
    if isinstance(said, Attachment):
        said = replace(said, fetch=fetch, fate=NO_FATE)
    if quoted and isinstance(quoted.content, Attachment):
        quoted = replace(quoted, content=replace(quoted.content, fetch=Fetch.SKIPPED))
    return replace(note, content=said, quotes=quoted, source="app")
