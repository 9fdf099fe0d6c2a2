"""WAHA's answers to reads, turned into the port's words; engine differences end here.

Each element keeps its exact bytes: it goes into an envelope of ours, as if WAHA had sent it by
webhook, and is read by the reader, now and by any replay.
"""

import hashlib
import json
from collections.abc import Collection, Iterator, Mapping
from datetime import UTC, datetime

import msgspec

from wagateway.adapters.waha import wire
from wagateway.adapters.waha.changes import LISTED
from wagateway.adapters.waha.fields import Obj, fold, moment, obj, word
from wagateway.adapters.waha.reader import WahaReader
from wagateway.adapters.waha.refs import address
from wagateway.adapters.waha.synced import member_address
from wagateway.domain.errors import EngineUnavailable, InvalidInput
from wagateway.domain.events import (
    Account,
    AnyObservation,
    ContactSeen,
    Delivery,
    GroupChanged,
    MessageSeen,
    NotUnderstood,
    SessionStatus,
    Source,
)
from wagateway.domain.identity import Jid, SessionName, is_lid, is_phone
from wagateway.domain.text import MAX_ID_CHARS
from wagateway.ports.engine import EngineChat, EngineSession, GroupMembers, MessageRow, Told

_OBJECT = msgspec.json.Decoder(dict[str, msgspec.Raw])
_READER = WahaReader()
_ANY_TIME = datetime(1970, 1, 1, tzinfo=UTC)
_encode = msgspec.json.Encoder(order="deterministic").encode
_STATUSES = {status.value: status for status in SessionStatus}


def elements(body: bytes) -> list[bytes]:
    """Return the exact bytes of each element of an array; an empty body is an empty array.

    Raises:
        EngineUnavailable: it is no array.
    """
    if not body.strip():
        return []
    try:
        return [raw for raw, _ in wire.elements(body)]
    except InvalidInput as exc:
        raise _not_a_list() from exc


def values(body: bytes) -> list[bytes]:
    """Return the exact bytes of the elements of an array, or of the values of an object by id.

    Raises:
        EngineUnavailable: it is neither.
    """
    if not body.lstrip().startswith(b"{"):
        return elements(body)
    try:
        return [bytes(raw) for raw in _OBJECT.decode(body).values()]
    except (ValueError, RecursionError):
        pass
    try:  # what msgspec refuses and the tolerant reader takes is written anew
        return [json.dumps(value).encode() for value in obj(wire.decoded(body)).values()]
    except InvalidInput as exc:
        raise _not_a_list() from exc


def _not_a_list() -> EngineUnavailable:
    return EngineUnavailable("WAHA's answer is not the list that was asked for")


def decoded(raw: bytes) -> object:
    """Return the value that *raw* is, or None where it is broken."""
    try:
        return wire.decoded(raw)
    except InvalidInput:
        return None


def an_object(body: bytes) -> Obj:
    """Return an object.

    Raises:
        EngineUnavailable: it is none.
    """
    found = decoded(body)
    if not isinstance(found, dict):
        raise EngineUnavailable("WAHA's answer is not the object that was asked for")
    return found


def session_of(node: Obj, *, at: datetime) -> EngineSession | None:
    """Read a session; None where it has no usable name.

    A status that we do not know counts as STARTING: it is neither usable nor a failure.
    """
    name = word(node.get("name"))
    if name is None:
        return None
    given = node.get("status")
    status = _STATUSES.get(given.upper()) if isinstance(given, str) else None
    status = status or SessionStatus.STARTING
    engine = node.get("engine")
    engine = word(engine) or word(obj(engine).get("engine"))
    session = EngineSession(
        name=SessionName(name), status=status, engine=engine.upper() if engine else None
    )
    me = _whom(obj(node.get("me")))
    told = _enveloped(
        "session.status",
        session,
        msgspec.json.encode({"name": name, "status": status.value}),
        at=at,
        me=me,
    )
    return msgspec.structs.replace(session, account=told.account, delivery=told)


def _whom(me: Obj) -> Mapping[str, object] | None:
    """Return of ``me`` only what names the account, None where nothing does."""
    return {key: me[key] for key in ("id", "jid", "lid", "pushName") if key in me} or None


def chat_of(raw: bytes) -> EngineChat | None:
    """Read a chat of any engine; None where it names none."""
    node = obj(decoded(raw))
    folded = fold(node)
    chat = address(folded.get("id")) or address(folded.get("jid"))
    if chat is None:
        return None
    inner = obj(node.get("lastMessage")).get("timestamp")
    times = (folded.get("conversationtimestamp"), folded.get("timestamp"), inner)
    active_at = max(filter(None, map(moment, times)), default=None)
    return EngineChat(chat=chat, active_at=active_at)


def row_of(raw: bytes, session: EngineSession, *, at: datetime) -> MessageRow:
    """Read one element of a page of messages."""
    told = _enveloped(LISTED, session, raw, at=at, me=_me(session.account))
    seen = next((o for o in told.observations if isinstance(o, MessageSeen)), None)
    if seen is not None:
        return MessageRow(
            stanza=seen.ref.stanza, sent_at=_second(seen.message.sent_at), delivery=told
        )
    # No message, such as a notice of a deletion; its time says where in the list it stands.
    sent_at = moment(obj(decoded(raw)).get("timestamp"))
    return MessageRow(stanza=None, sent_at=sent_at and _second(sent_at), delivery=told)


def _second(at: datetime) -> datetime:
    return at.replace(microsecond=0)


def told_of(event: str, raw: bytes, about: str, session: EngineSession, *, at: datetime) -> Told:
    """Return what the element *raw* says of *about*, as an event *event* of our own."""
    delivery = _enveloped(event, session, raw, at=at, me=_me(session.account))
    return Told(about=about, digest=_digest(delivery), delivery=delivery)


def _digest(delivery: Delivery) -> bytes:
    """Return what is equal for equal words, whatever the order of keys or the count of unread."""
    said = [_timeless(each, delivery.occurred_at) for each in delivery.observations]
    return hashlib.blake2b(_encode(said), digest_size=16).digest()


def _timeless(said: AnyObservation, asked_at: datetime) -> AnyObservation:
    if isinstance(said, ContactSeen | GroupChanged) and said.at == asked_at:
        return msgspec.structs.replace(said, at=_ANY_TIME)
    return said


def contacts_of(body: bytes, session: EngineSession, *, at: datetime) -> list[Told]:
    """Read a list of contacts; elements without an address are left out."""
    return list(_named("sync.contact", elements(body), session, at=at))


def groups_of(body: bytes, session: EngineSession, *, at: datetime) -> list[Told]:
    """Read groups: an object keyed by id, an array, or nested ids."""
    told = []
    for raw in values(body):
        for each in _named("sync.group", [raw], session, at=at):
            people = _participants(raw)
            listed = _members(people, Jid(each.about), session, at=at) if people else None
            told.append(msgspec.structs.replace(each, members=listed))
    return told


def _named(
    event: str, raws: list[bytes], session: EngineSession, *, at: datetime
) -> Iterator[Told]:
    for raw in raws:
        node = fold(obj(decoded(raw)))
        about = address(node.get("id")) or address(node.get("jid"))
        if about is not None and len(about) <= MAX_ID_CHARS:
            yield told_of(event, raw, about, session, at=at)


def lids_of(body: bytes, session: EngineSession, *, at: datetime) -> list[Told]:
    """Read pairs of LID and phone; those without both are left out."""
    found = []
    for raw in elements(body):
        node = obj(decoded(raw))
        lid, phone = address(node.get("lid")), address(node.get("pn"))
        if lid and phone and is_lid(lid) and is_phone(phone):
            found.append(told_of("sync.lid", raw, lid, session, at=at))
    return found


def _participants(group: bytes) -> list[bytes]:
    """Return the exact bytes of each member of a group, as any engine nests them."""
    for _ in range(2):
        try:
            node = _OBJECT.decode(group)
        except (ValueError, RecursionError):  # the tolerant reader takes more, see values()
            found = obj(decoded(group))
            node = {key: msgspec.Raw(json.dumps(value).encode()) for key, value in found.items()}
        folded = {key.lower(): bytes(raw) for key, raw in node.items()}
        if folded.get("participants", b"").lstrip().startswith(b"["):
            return elements(folded["participants"])
        group = folded.get("groupmetadata", b"{}")
    return []


def members_of(body: bytes, group: Jid, session: EngineSession, *, at: datetime) -> GroupMembers:
    """Read the members of a group."""
    return _members(elements(body), group, session, at=at)


def _members(
    raws: list[bytes], group: Jid, session: EngineSession, *, at: datetime
) -> GroupMembers:
    """Keep the bytes of each member, so that those whose role changed can be told alone."""
    by_address = [(_member_of(raw), raw) for raw in raws]

    def told_of_some(people: Collection[Jid]) -> Delivery:
        # What has no address is told with any news, to be seen as a failure.
        chosen = [msgspec.Raw(raw) for who, raw in by_address if who is None or who in people]
        payload = msgspec.json.encode({"group": {"id": group}, "participants": chosen})
        return _enveloped("sync.members", session, payload, at=at, me=_me(session.account))

    everybody = told_of_some({who for who, _ in by_address if who is not None})
    changes = [said for said in everybody.observations if isinstance(said, GroupChanged)]
    roles = {member.jid: member.role for said in changes for member in said.members}
    return GroupMembers(group=group, roles=roles, told_of=told_of_some)


def _member_of(raw: bytes) -> Jid | None:
    value = decoded(raw)
    return member_address(fold(obj(value))) or address(value)


def _me(account: Account | None) -> Mapping[str, object] | None:
    if account is None:
        return None
    return {"id": account.phone, "lid": account.lid, "pushName": account.push_name}


def _enveloped(
    event: str,
    session: EngineSession,
    payload: bytes,
    *,
    at: datetime,
    me: Mapping[str, object] | None,
) -> Delivery:
    """Read *payload* as if it had come in an envelope."""
    head = {
        "event": event,
        "session": session.name,
        "engine": session.engine,
        "timestamp": round(at.timestamp() * 1000),
        "me": me,
    }
    body = msgspec.json.encode(head)[:-1] + b',"payload":' + payload + b"}"
    try:
        [delivery] = _READER.read(body, received_at=at, source=Source.SYNC)
    except InvalidInput as exc:
        return Delivery(
            body=body,
            session=session.name,
            event=event,
            received_at=at,
            occurred_at=at,
            source=Source.SYNC,
            engine=session.engine,
            account=session.account,
            observations=(NotUnderstood(reason=f"{event}: {exc}"),),
        )
    return delivery
