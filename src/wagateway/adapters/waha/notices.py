"""Small events: session status, archived chats, calls, labels."""

from datetime import datetime

from wagateway.adapters.waha.engines import Pair
from wagateway.adapters.waha.envelope import Envelope
from wagateway.adapters.waha.fields import (
    Obj,
    flag,
    fold,
    items,
    known_flag,
    moment,
    obj,
    text,
    word,
)
from wagateway.adapters.waha.places import links
from wagateway.adapters.waha.refs import Parts, address, parts
from wagateway.domain.errors import InvalidInput
from wagateway.domain.events import (
    AnyObservation,
    CallSeen,
    ChatChanged,
    LabelChanged,
    NotUnderstood,
    SessionChanged,
    SessionStatus,
)

_STATUSES = {status.value: status for status in SessionStatus}


def status_observations(payload: Obj, env: Envelope) -> list[AnyObservation]:
    """Read ``session.status``: the latest statuses with their times, and the current one.

    Raises:
        InvalidInput: neither a status nor statuses.
    """
    points = [obj(each) for each in items(payload.get("statuses"))]
    history = [_status(point.get("status"), moment(point.get("timestamp"))) for point in points]
    said: list[AnyObservation] = list(dict.fromkeys(history))
    current = payload.get("status")
    if current is None and not said:
        raise InvalidInput("no status: expected status like WORKING")
    if current is not None and (not points or points[-1].get("status") != current):
        said.append(_status(current, env.occurred_at))
    return said


def _status(given: object, at: datetime | None) -> SessionChanged | NotUnderstood:
    status = _STATUSES.get(given.upper()) if isinstance(given, str) else None
    if status is None:
        return NotUnderstood(reason="a session status that we do not know")
    if at is None:
        return NotUnderstood(reason=f"the session status {status} without a time")
    return SessionChanged(status=status, at=at)


def chat_observations(payload: Obj, env: Envelope) -> list[AnyObservation]:
    """Read ``chat.archive``.

    Its ``timestamp`` is that of the chat's latest message, so the envelope's time orders changes.

    Raises:
        InvalidInput: no chat, or archived is neither true nor false.
    """
    chat, archived = address(payload.get("id")), known_flag(payload.get("archived"))
    if chat is None or archived is None:
        raise InvalidInput("expected id, a chat, and archived, true or false")
    return [ChatChanged(chat=chat, at=env.occurred_at, archived=archived)]


def call_observations(payload: Obj, env: Envelope) -> list[AnyObservation]:
    """Read ``call.received``, ``call.accepted`` and ``call.rejected``.

    Raises:
        InvalidInput: no call id or no caller.
    """
    data = fold(obj(payload.get("_data")))
    call_id = word(payload.get("id")) or word(data.get("callid")) or _key(payload.get("id")).stanza
    caller = (
        address(payload.get("from"))
        or address(data.get("callcreator"))
        or address(data.get("from"))
    )
    if call_id is None or caller is None:
        raise InvalidInput("expected id, the call's, and from, the caller's")
    call = CallSeen(
        call_id=call_id,
        caller=caller,
        state=env.event.partition(".")[2],
        at=moment(payload.get("timestamp")) or env.occurred_at,
        video=flag(payload.get("isVideo")),
        group=flag(payload.get("isGroup")),
    )
    pairs = (
        Pair(data.get("callcreator"), data.get("callcreatoralt")),
        Pair(data.get("from"), data.get("callerpn")),
    )
    return [call, *links(pairs, env)]


def _key(value: object) -> Parts:
    return parts(value) if isinstance(value, dict) else Parts()


def label_observations(payload: Obj, env: Envelope) -> list[AnyObservation]:
    """Read ``label.upsert``, ``label.deleted``, ``label.chat.added`` and ``label.chat.deleted``.

    Raises:
        InvalidInput: no label, or no chat where one belongs.
    """
    change = env.event.partition(".")[2]
    of_chat = change.startswith("chat.")
    label = obj(payload.get("label")) if of_chat else payload
    label_id = (word(payload.get("labelId")) if of_chat else None) or word(label.get("id"))
    chat = address(payload.get("chatId")) if of_chat else None
    if label_id is None or (of_chat and chat is None):
        raise InvalidInput("expected a label's id, and chatId where the label is put on a chat")
    name = text(label.get("name"))
    return [LabelChanged(label_id=label_id, change=change, name=name, chat=chat)]
