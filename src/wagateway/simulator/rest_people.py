"""Contacts, hidden ids and labels of the simulated WAHA's REST API."""

from wagateway.simulator.engine import LABEL_COLORS, EngineName
from wagateway.simulator.happenings import Label
from wagateway.simulator.rest_answers import Answer, refused
from wagateway.simulator.rest_call import Call, Route
from wagateway.simulator.rest_messages import require_store
from wagateway.simulator.rest_query import in_order
from wagateway.simulator.rest_rows import chat_row, picture
from wagateway.simulator.store import chat_key
from wagateway.simulator.surroundings import Surroundings
from wagateway.simulator.wire import Payload
from wagateway.simulator.world import Person

_LIDS = 100


def contact_row(engine: EngineName, around: Surroundings, person: Person) -> Payload:
    """Return *person* as ``/contacts`` tells of them."""
    known = not person.hidden or around.knows(person)
    address = person.phone_jid if known else person.lid_jid
    called = person.name.split()[0]
    if engine is EngineName.WEBJS:
        return _browser_contact(around, person, address)
    if engine is EngineName.GOWS:
        return {"id": address, "name": "" if person.hidden else person.name, "pushname": called}
    row: Payload = {"id": address}
    if not person.hidden:
        row["name"] = person.name
    row["pushname"] = called
    if known and around.knows(person):
        row["lid"] = person.lid_jid
    return row


def _browser_contact(around: Surroundings, person: Person, address: str) -> Payload:
    return {
        "id": address,
        "number": address.partition("@")[0],
        "isBusiness": False,
        "isEnterprise": False,
        "name": person.name,
        "pushname": person.name,
        "shortName": person.name.split()[0],
        "type": "in",
        "isMe": person == around.world.account,
        "isUser": True,
        "isGroup": False,
        "isWAContact": True,
        "isMyContact": not person.hidden,
        "isBlocked": False,
    }


def _contacts(call: Call) -> Answer:
    require_store(call)
    around, engine = call.session.around, call.session.engine.name
    rows = [contact_row(engine, around, person) for person in around.world.people]
    page = call.query.page(sorts=("id", "name"), descending=False)
    key = page.sort_by or "id"
    return Answer(body=in_order(rows, page, lambda row: (str(row.get(key, "")), str(row["id"]))))


def _contact(call: Call) -> Answer:
    require_store(call)
    asked = call.params.get("id") or call.query.text("contactId") or ""
    around, engine = call.session.around, call.session.engine.name
    address = asked if "@" in asked else f"{asked}@c.us"
    person = around.person(address)
    # WAHA answers for any address, registered or not.
    return Answer(body=contact_row(engine, around, person) if person else {"id": address})


def _check(call: Call) -> Answer:
    phone = (call.query.text("phone") or "").lstrip("+")
    if not phone.isdigit():
        raise refused(400, ["phone must be a string"])
    around = call.session.around
    person = around.person(f"{phone}@c.us")
    if person is None:
        return Answer(body={"numberExists": False})
    # Who has a hidden id is written to by it, once it is known.
    by_lid = person.hidden and around.knows(person)
    chat = person.lid_jid if by_lid else person.phone_jid
    return Answer(body={"numberExists": True, "chatId": chat, "pn": person.phone_jid})


def _profile_picture(call: Call) -> Answer:
    return Answer(body={"profilePictureURL": picture(call.query.text("contactId") or "")})


def _lids(call: Call) -> Answer:
    page = call.query.page(limit=_LIDS)
    linked = sorted(call.session.around.linked.items())
    return Answer(body=[_pair(lid, person) for lid, person in page.of(linked)])


def _lid_count(call: Call) -> Answer:
    return Answer(body={"count": len(call.session.around.linked)})


def _lid(call: Call) -> Answer:
    asked = call.params["lid"]
    lid = asked if "@" in asked else f"{asked}@lid"
    person = call.session.around.linked.get(lid)
    return Answer(body=_pair(lid, person))


def _lid_of_phone(call: Call) -> Answer:
    phone = call.params["phone"].partition("@")[0].lstrip("+")
    linked = call.session.around.linked
    lid = next((lid for lid, person in linked.items() if person.phone == phone), None)
    return Answer(body={"lid": lid, "pn": f"{phone}@c.us"})


def _pair(lid: str, person: Person | None) -> Payload:
    return {"lid": lid, "pn": person.phone_jid if person else None}


def _labels(call: Call) -> Answer:
    return Answer(body=[_label(label) for label in call.session.around.labels.values()])


def _label(label: Label) -> Payload:
    color = label.color % len(LABEL_COLORS)
    return {
        "id": label.number,
        "name": label.name,
        "color": color,
        "colorHex": LABEL_COLORS[color],
    }


def _labelled(call: Call) -> Answer:
    hosted = call.session
    wanted = hosted.around.labelled.get(call.params["labelId"], set())
    chats = [rows for _, rows in hosted.store.chats() if chat_key(rows[-1].shown) in wanted]
    return Answer(body=[chat_row(hosted.engine, hosted.around, rows) for rows in chats])


PEOPLE: tuple[Route, ...] = (
    Route(method="GET", path="/api/contacts/all", handle=_contacts, session_in_query=True),
    Route(method="GET", path="/api/contacts", handle=_contact, session_in_query=True),
    Route(method="GET", path="/api/contacts/check-exists", handle=_check, session_in_query=True),
    Route(
        method="GET",
        path="/api/contacts/profile-picture",
        handle=_profile_picture,
        session_in_query=True,
    ),
    Route(method="GET", path="/api/{session}/contacts/{id}", handle=_contact),
    Route(method="GET", path="/api/{session}/lids", handle=_lids),
    Route(method="GET", path="/api/{session}/lids/count", handle=_lid_count),
    Route(method="GET", path="/api/{session}/lids/{lid}", handle=_lid),
    Route(method="GET", path="/api/{session}/lids/pn/{phone}", handle=_lid_of_phone),
    Route(method="GET", path="/api/{session}/labels", handle=_labels),
    Route(method="GET", path="/api/{session}/labels/{labelId}/chats", handle=_labelled),
)
