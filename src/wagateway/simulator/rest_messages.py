"""Chats and messages of the simulated WAHA's REST API."""

from collections.abc import Sequence

from wagateway.simulator.contents import Attachment, Fetch
from wagateway.simulator.engine import EngineName
from wagateway.simulator.fates import Gone
from wagateway.simulator.happenings import Direct
from wagateway.simulator.rest_answers import CREATED, Answer, no_store, not_implemented, refused
from wagateway.simulator.rest_call import Call, Route
from wagateway.simulator.rest_query import Query, in_order
from wagateway.simulator.rest_rows import (
    chat_id,
    chat_name,
    chat_row,
    is_tombstone,
    message_row,
    overview_row,
    picture,
    shown_ack,
)
from wagateway.simulator.store import Kept
from wagateway.simulator.wire import Payload
from wagateway.simulator.world import Channel

_ALL_CHATS = "all"
_CHATS = 20
_MESSAGES = 10
_INVITE = 10
"""Digits of a channel's own in its invitation."""
_SORTS = ("conversationTimestamp", "id", "name")
_REFUSED = {Gone.NOT_FOUND: 404, Gone.EXPIRED: 410}
_PARTS = 3
"""Of a serialised id: whose it is, the chat, and the stanza; a participant may follow."""

Rows = Sequence[Kept]


def _chats(call: Call) -> Answer:
    require_store(call)
    engine = call.session.engine
    if engine.name is EngineName.GOWS:
        page = call.query.page(limit=_CHATS, sorts=("id", *_SORTS), descending=False)
    else:
        page = call.query.page(limit=_CHATS, sorts=_SORTS)
    around = call.session.around

    def key(rows: Rows) -> tuple[int | str, ...]:
        note = rows[-1].shown
        if page.sort_by == "id":
            return (chat_id(note, around),)
        if page.sort_by == "name":
            return (chat_name(note, around) or "", chat_id(note, around))
        return (note.at_ms // 1000, chat_id(note, around))

    merged = _merged(call.query)
    chats = in_order(_conversations(call, merged=merged), page, key)
    return Answer(body=[chat_row(engine, around, rows, merged=merged) for rows in chats])


def _overview(call: Call) -> Answer:
    return _overviews(call, call.query, None)


def _overview_by_body(call: Call) -> Answer:
    asked = call.body.get("pagination")
    if not isinstance(asked, dict):
        raise refused(400, ["pagination must be an object"])
    wanted = (call.body.get("filter") or {}).get("ids")
    return _overviews(call, Query.of_body(asked), wanted, status=CREATED)


def _overviews(call: Call, query: Query, wanted: list[str] | None, *, status: int = 200) -> Answer:
    require_store(call)
    page = query.page(limit=_CHATS)
    engine, around = call.session.engine, call.session.around
    merged = _merged(query)
    asked = wanted or [i for i in (query.text("ids") or "").split(",") if i]
    found = [
        rows
        for rows in _conversations(call, merged=merged)
        if not asked or chat_id(rows[-1].shown, around) in asked
    ]
    shown = in_order(found, page, lambda rows: (rows[-1].shown.at_ms // 1000,))
    rows = [overview_row(engine, around, rows, merged=merged) for rows in shown]
    return Answer(status=status, body=rows)


def _messages(call: Call) -> Answer:
    return _messages_of(call, call.params["chatId"])


def _messages_by_query(call: Call) -> Answer:
    chat = call.query.text("chatId")
    if not chat:
        raise refused(400, ["chatId must be a string"])
    return _messages_of(call, chat)


def _messages_of(call: Call, chat: str) -> Answer:
    require_store(call)
    engine = call.session.engine
    wanted, page = (
        call.query.filter(),
        call.query.page(limit=_MESSAGES, sorts=("timestamp", "messageTimestamp")),
    )
    download = call.query.flag("downloadMedia", default=True)
    rows = _rows_of(call, chat)
    ordered = rows[::-1] if page.descending else rows
    # WAHA filters what is on the page: pages run short, or are empty with more behind them.
    shown = [
        kept
        for kept in page.of(ordered)
        if wanted.wants(
            kept.shown.at_ms // 1000, shown_ack(engine, kept), from_me=kept.shown.from_me
        )
    ]
    return Answer(body=[_row(call, kept, download=download) for kept in shown])


def _message(call: Call) -> Answer:
    require_store(call)
    engine, asked = call.session.engine, call.params["messageId"]
    download = call.query.flag("downloadMedia", default=True)
    chat = call.params["chatId"]
    anywhere = engine.name is EngineName.GOWS
    rows = call.session.store.rows() if anywhere else _rows_of(call, chat)
    found = [kept for kept in rows if _is_named(call, kept, asked)]
    exact = [kept for kept in found if message_row(engine, kept)["id"] == asked]
    if not found:
        raise refused(404, "Message not found")
    kept = (exact or found)[0]
    row = _row(call, kept, download=download)
    gone = _gone(kept)
    if row["hasMedia"] and download and gone in _REFUSED and not row["media"]["url"]:
        raise refused(_REFUSED[gone], "The file is not on WhatsApp's servers any more")
    return Answer(body=row)


def _row(call: Call, kept: Kept, *, download: bool) -> Payload:
    """Return the row of *kept*; its file is got from WhatsApp again where *download* asks so."""
    engine = call.session.engine
    if not (download and engine.shows_file(kept.shown)) or is_tombstone(engine, kept):
        return message_row(engine, kept)
    fared = call.server.filing.ask(engine, kept.shown)
    if isinstance(fared, Gone):
        fared = Fetch.SKIPPED if fared is Gone.SILENT else Fetch.FAILED
    return message_row(engine, kept, fetch=fared)


def _gone(kept: Kept) -> Gone | None:
    said = kept.shown.content
    return said.gone if isinstance(said, Attachment) else None


def _is_named(call: Call, kept: Kept, asked: str) -> bool:
    """Tell whether *asked* names the message: NOWEB and GOWS take the stanza id alone too."""
    note = kept.shown
    parts = asked.split("_")
    if len(parts) < _PARTS:
        return call.session.engine.name is not EngineName.WEBJS and asked == note.stanza
    return parts[2] == note.stanza and parts[0] == ("true" if note.from_me else "false")


def _preview(call: Call) -> Answer:
    limit = call.query.page(limit=_MESSAGES).limit
    rows = call.session.store.rows(call.params["id"])[::-1][:limit]
    download = call.query.flag("downloadMedia", default=False)
    return Answer(body=[_post(_row(call, kept, download=download)) for kept in rows])


def _post(row: Payload) -> Payload:
    # Nobody reacts in the simulated channel, and nobody counts who saw it.
    return {"reactions": {}, "message": row, "viewCount": 0}


def _channels(call: Call) -> Answer:
    return Answer(body=[_channel(call.session.engine.world.channel)])


def _channel(channel: Channel) -> Payload:
    number = channel.jid.partition("@")[0]
    return {
        "id": channel.jid,
        "name": channel.name,
        "invite": f"https://www.whatsapp.com/channel/0029Va{number[-_INVITE:]}",
        "preview": None,
        "picture": None,
        "role": "SUBSCRIBER",
        "description": "",
        "verified": False,
        "subscribersCount": 128,
    }


def _picture(call: Call) -> Answer:
    return Answer(body={"url": picture(call.params["chatId"])})


def require_store(call: Call) -> None:
    """Refuse what NOWEB cannot tell without a store."""
    if call.session.engine.name is EngineName.NOWEB and not call.server.store_enabled:
        raise no_store()


def _merged(query: Query) -> bool:
    return query.flag("merge", default=True)


def _conversations(call: Call, *, merged: bool) -> list[Rows]:
    """Return the rows of each chat, oldest first; phone and LID are one chat where merged."""
    found: list[Rows] = []
    for _, rows in call.session.store.chats():
        if _is_one(call, rows, merged=merged):
            found.append(rows)
            continue
        addresses = dict.fromkeys(kept.shown.chat_jid for kept in rows)
        found += [[kept for kept in rows if kept.shown.chat_jid == each] for each in addresses]
    return found


def _rows_of(call: Call, chat: str) -> Rows:
    """Return the rows of the chat that a path names, oldest first."""
    store = call.session.store
    if chat == _ALL_CHATS:
        if call.session.engine.name is EngineName.WEBJS:
            raise not_implemented("Can not get messages from 'all' in WEBJS")
        return store.rows()
    chat = chat.replace("@s.whatsapp.net", "@c.us")
    person = call.session.around.person(chat)
    rows = store.rows(person.phone_jid if person else chat)
    if _is_one(call, rows, merged=_merged(call.query)):
        return rows
    return [kept for kept in rows if kept.shown.chat_jid == chat]


def _is_one(call: Call, rows: Rows, *, merged: bool) -> bool:
    """Tell whether all *rows* of one person are shown as one chat."""
    chat = rows[0].shown.chat if rows else None
    if not isinstance(chat, Direct):
        return True
    return merged and call.session.around.knows(chat.person)


MESSAGES: tuple[Route, ...] = (
    Route(method="GET", path="/api/messages", handle=_messages_by_query, session_in_query=True),
    Route(method="GET", path="/api/{session}/chats", handle=_chats),
    Route(method="GET", path="/api/{session}/chats/overview", handle=_overview),
    Route(method="POST", path="/api/{session}/chats/overview", handle=_overview_by_body),
    Route(method="GET", path="/api/{session}/chats/{chatId}/messages", handle=_messages),
    Route(method="GET", path="/api/{session}/chats/{chatId}/messages/{messageId}", handle=_message),
    Route(method="GET", path="/api/{session}/chats/{chatId}/picture", handle=_picture),
    Route(method="GET", path="/api/{session}/channels", handle=_channels),
    Route(method="GET", path="/api/{session}/channels/{id}/messages/preview", handle=_preview),
)
