"""Every answer of the simulated REST API has the keys and types of the samples of its engine."""

import base64
import json
import struct
import zlib
from functools import cache
from itertools import islice
from pathlib import Path
from typing import Any

import httpx
import pytest
from tests.support.rest_reading import Waha, chat_of
from tests.unit.simulator.test_shapes import alike, common, fits, json_type, types

from wagateway.simulator.engine import EngineName
from wagateway.simulator.faults import Faults
from wagateway.simulator.rest import create_app
from wagateway.simulator.simulation import Scenario, simulate
from wagateway.simulator.waha_server import WahaServer

Body = dict[str, Any]

DATA = Path(__file__).parents[2] / "data" / "waha" / "rest"
UNSAMPLED = {
    ("chats-noweb", "name"): "string",
    ("groups-noweb", "subjectOwnerPn"): "string",
}
SOMETIMES = {"name", "lidJid", "subjectOwnerPn", "ownerPn", "phoneNumber", "pushname", "lid"}
"""Keys of NOWEB that stand only where there is something to say."""


@cache
def server_of(engine: EngineName) -> WahaServer:
    scenario = Scenario(seed=7, engine=engine, served=True, past=120, faults=Faults())
    server = WahaServer.of(scenario)
    for _ in islice(server.watch(simulate(scenario)), 2500):
        pass
    server.settle()
    return server


@pytest.fixture(params=EngineName)
def engine(request: pytest.FixtureRequest) -> EngineName:
    return EngineName(request.param)


@pytest.fixture
def waha(engine: EngineName) -> Waha:
    return Waha(create_app(server_of(engine)))


def sample(name: str) -> Any:  # noqa: ANN401 - any JSON value
    return json.loads((DATA / f"{name}.json").read_text())


def same_shape(found: Body, name: str, *known: Body) -> None:
    """Assert that *found* has the keys of all *known* samples, with types that one has."""
    needed, shown = common(list(known)), types(known)
    assert needed - SOMETIMES <= set(found) <= set(shown), name
    fits({key: value for key, value in found.items() if value != ""}, shown)


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("/ping", "ping"),
        ("/health", "health-ok"),
        ("/api/default/lids/count", "lids-count"),
        ("/api/default/lids/271000000000999%40lid", "lid-unknown"),
        ("/api/default/lids/pn/5511900000000", "lid-by-phone-unknown"),
        ("/api/nope", "error-404-message"),
        ("/api/nope/chats", "error-404-session"),
        ("/api/default/chats?limit=many", "error-400-validation"),
        ("/api/default/chats/1@c.us/messages/3EB0", "error-404-message"),
        ("/api/default/auth/qr?format=raw", "error-422-session-not-working"),
    ],
)
async def test_single_answers(waha: Waha, path: str, name: str) -> None:
    found, known = (await waha.get(path)).json(), sample(name)
    assert list(found) == list(known)
    assert {k: json_type(v) for k, v in found.items()} == {
        k: json_type(v) for k, v in known.items()
    }


async def test_the_server_and_its_sessions(waha: Waha, engine: EngineName) -> None:
    version = await waha.json("/api/server/version")
    assert list(version) == list(sample("server-version"))
    assert version["engine"] == engine
    (found,) = await waha.json("/api/sessions", all="true")
    assert found == await waha.json("/api/sessions/default")
    known = sample("session-get")
    assert found.keys() == known.keys()
    fits(found, types([known]))
    assert found["me"] == await waha.json("/api/sessions/default/me")
    assert set(found["me"]) <= set(sample("me"))


async def test_messages_are_like_those_of_events(waha: Waha, engine: EngineName) -> None:
    rows = await waha.messages("default")
    assert len(rows) > 500
    known = [body["payload"] for body in alike("message.any", engine)]
    every = [body["payload"] for body in alike("message.any")]
    shown = types([*every, *sample("chat-messages-page-gows-all")])
    for row in rows:
        assert common(known) <= set(row) <= set(types(known))
        fits(row, shown)
        assert row["source"] == "app"


async def test_rows_have_the_engine_data_of_the_samples(waha: Waha, engine: EngineName) -> None:
    names = {
        EngineName.NOWEB: "chat-messages-page-noweb",
        EngineName.GOWS: "chat-messages-page-gows-all",
    }
    if engine not in names:
        rows = await waha.messages("default")
        assert all(row["_data"]["ack"] == row["ack"] for row in rows)
        return
    known = [row["_data"] for row in sample(names[engine])]
    for row in await waha.messages("default"):
        data = row["_data"]
        missing = common(known) - set(data)
        assert missing <= {"message", "pushName"}  # of what may be seen once; in channels
        shared = {key: value for key, value in data.items() if key in types(known)}
        fits(shared, types(known) | {"NewsletterMeta": {"object", "null"}})


async def test_a_message_by_id_has_its_file_again(waha: Waha, engine: EngineName) -> None:
    rows = await waha.messages("default")
    with_file = [row for row in rows if row["hasMedia"]]
    assert all(row["media"]["url"] is None for row in with_file)
    row = with_file[0]
    chat = row["id"].split("_")[1]
    found = await waha.json(f"/api/default/chats/{chat}/messages/{row['id']}")
    assert found["id"] == row["id"]
    assert found["media"].keys() == sample("message-by-id-media")["media"].keys()
    assert found["media"]["url"] or "error" in found["media"]


async def test_chats(waha: Waha, engine: EngineName) -> None:
    known = sample(f"chats-{engine.lower()}")
    chats = await waha.json("/api/default/chats", limit=500)
    assert len(chats) > 10
    for chat in chats:
        same_shape(chat, f"chats-{engine.lower()}", *known)
    stamp = "timestamp" if engine is EngineName.WEBJS else "conversationTimestamp"
    latest = [chat[stamp] for chat in chats]
    if engine is EngineName.GOWS:
        assert [chat["id"] for chat in chats] == sorted(chat["id"] for chat in chats)
    else:
        assert latest == sorted(latest, reverse=True)
    assert len(await waha.json("/api/default/chats")) == min(20, len(chats))


async def test_overviews(waha: Waha) -> None:
    known = sample("chats-overview")
    found = await waha.json("/api/default/chats/overview")
    for row in found:
        assert list(row) == list(known[0])
        fits(row, types(known) | {"name": {"string", "null"}, "picture": {"string", "null"}})
    asked = await waha.post(
        "/api/default/chats/overview",
        pagination={"limit": 20, "offset": 0},
        filter={"ids": [found[0]["id"]]},
    )
    assert (asked.status_code, asked.json()) == (201, found[:1])
    assert (await waha.post("/api/default/chats/overview")).status_code == 400


async def test_contacts(waha: Waha, engine: EngineName) -> None:
    name = f"contacts-all-{engine.lower()}"
    contacts = await waha.json("/api/contacts/all", session="default")
    assert len(contacts) == 12
    for contact in contacts:
        same_shape(contact, name, *sample(name))
        assert await waha.json(f"/api/default/contacts/{contact['id']}") == contact
    assert await waha.json("/api/default/contacts/5511900000000") == {"id": "5511900000000@c.us"}
    few = await waha.json("/api/contacts/all", session="default", limit=5, offset=2)
    assert few == contacts[2:7]


async def test_whether_a_number_is_on_whatsapp(waha: Waha, engine: EngineName) -> None:
    path, around = "/api/contacts/check-exists", server_of(engine).sessions["default"].around
    for person in around.world.people:
        found = await waha.json(path, session="default", phone=person.phone)
        assert list(found) == list(sample("check-exists"))
        by_lid = person.hidden and around.knows(person)
        assert found["chatId"] == (person.lid_jid if by_lid else person.phone_jid)
        assert found["pn"] == person.phone_jid
        assert found == await waha.json(path, session="default", phone=f"+{person.phone}")
    nobody = await waha.json(path, session="default", phone="5511900000000")
    assert nobody == {"numberExists": False}
    assert (await waha.get(path, session="default")).status_code == 400


async def test_the_profile(waha: Waha, engine: EngineName) -> None:
    account = server_of(engine).sessions["default"].engine.world.account
    found = await waha.json("/api/default/profile")
    assert list(found) == ["id", "picture", "name"]
    assert (found["id"], found["name"]) == (account.phone_jid, account.name)


def members_of(engine: EngineName, row: Body) -> list[Body]:
    if engine is EngineName.WEBJS:
        row = row["groupMetadata"]
    members: list[Body] = row["Participants" if engine is EngineName.GOWS else "participants"]
    return members


async def test_groups(waha: Waha, engine: EngineName) -> None:
    name = f"groups-{engine.lower()}"
    found, known = await waha.json("/api/default/groups"), sample(name)
    if engine is EngineName.NOWEB:
        assert all(key == row["id"] for key, row in found.items())
        found, known = list(found.values()), list(known.values())
    assert len(found) >= 3
    for row in found:
        same_shape(row, name, *known)
        assert members_of(engine, row)
        for member in members_of(engine, row):
            same_shape(member, name, *(m for group in known for m in members_of(engine, group)))
    spare = await waha.json("/api/default/groups", exclude="participants")
    assert len(spare) == len(found)
    assert '"admin": ' not in json.dumps(spare)
    assert "Admin" not in json.dumps(spare)


async def test_members_whose_phone_nobody_told_have_none(waha: Waha, engine: EngineName) -> None:
    hosted = server_of(engine).sessions["default"]
    for circle in hosted.around.circles.values():
        path = f"/api/default/groups/{circle.group.jid}/participants/v2"
        found = await waha.json(path)
        assert found
        for member in found:
            assert list(member) == list(sample("group-participants-v2")[0])
            if circle.group.by_lid:
                told = hosted.around.linked.get(member["id"])
                assert member["pn"] == (told.phone_jid if told else None)


async def test_links_are_those_that_events_told(waha: Waha, engine: EngineName) -> None:
    hosted = server_of(engine).sessions["default"]
    pairs = await waha.json("/api/default/lids")
    assert {pair["lid"] for pair in pairs} == hosted.around.linked.keys()
    assert (await waha.json("/api/default/lids/count"))["count"] == len(pairs)
    for pair in pairs:
        assert await waha.json(f"/api/default/lids/{pair['lid'].replace('@', '%40')}") == pair
        phone = pair["pn"].partition("@")[0]
        assert await waha.json(f"/api/default/lids/pn/{phone}") == pair
    assert await waha.json("/api/default/lids", limit=2, offset=1) == pairs[1:3]


async def test_labels_channels_and_pictures(waha: Waha, engine: EngineName) -> None:
    labels = await waha.json("/api/default/labels")
    assert bool(labels) is (engine is not EngineName.WEBJS)
    for label in labels:
        assert label.keys() == sample("labels")[0].keys()
        await waha.json(f"/api/default/labels/{label['id']}/chats")
    (channel,) = await waha.json("/api/default/channels")
    assert channel.keys() == sample("channels")[0].keys()
    assert channel["invite"].rpartition("/")[2].isalnum()
    posts = await waha.json(f"/api/default/channels/{channel['id']}/messages/preview")
    assert posts
    for post in posts:
        assert post.keys() == {"reactions", "message", "viewCount"}
        assert channel["id"] in post["message"]["id"]
    chats = await waha.json("/api/default/chats", limit=100)
    pictures = {
        (await waha.json(f"/api/default/chats/{chat_of(chat)}/picture"))["url"] is None
        for chat in chats
    }
    assert pictures == {True, False}


async def test_a_qr_code_comes_as_a_picture_as_json_or_as_its_value() -> None:
    server = WahaServer.of(Scenario(seed=7, served=True, past=5))
    server.log_out(server.sessions["default"])
    transport = httpx.ASGITransport(create_app(server))
    path, as_json = "/api/default/auth/qr", {"accept": "application/json"}
    async with httpx.AsyncClient(transport=transport, base_url="http://waha") as client:
        raw = await client.get(path, params={"format": "raw"})
        assert list(raw.json()) == list(sample("qr-raw"))
        drawn = [await client.get(path, params=query) for query in ({}, {"format": "image"})]
        told = (await client.get(path, headers=as_json)).json()
        assert (await client.get(path, params={"format": "svg"})).status_code == 400
    assert list(told) == list(sample("qr-base64"))
    assert told["mimetype"] == "image/png"
    pictures = [*(answer.content for answer in drawn), base64.b64decode(told["data"])]
    assert {answer.headers["content-type"] for answer in drawn} == {"image/png"}
    assert len({*pictures}) == len(pictures)
    for picture in pictures:
        assert grey_side(picture) > 100


def grey_side(png: bytes) -> int:
    """Return how wide a whole and square PNG of 8 bits of grey is."""
    assert png.startswith(b"\x89PNG\r\n\x1a\n")
    chunks, at = {}, 8
    while at < len(png):
        (size,) = struct.unpack_from(">I", png, at)
        name, data = png[at + 4 : at + 8], png[at + 8 : at + 8 + size]
        assert struct.unpack_from(">I", png, at + 8 + size) == (zlib.crc32(name + data),)
        chunks[name], at = data, at + 12 + size
    assert list(chunks) == [b"IHDR", b"IDAT", b"IEND"]
    width, height, *kind = struct.unpack(">IIBBBBB", chunks[b"IHDR"])
    assert kind == [8, 0, 0, 0, 0]
    pixels = zlib.decompress(chunks[b"IDAT"])
    assert len(pixels) == (width + 1) * height
    assert {*pixels} == {0, 255}
    assert width == height
    return int(width)


async def test_noweb_without_a_store_has_no_lists() -> None:
    scenario = Scenario(seed=7, engine=EngineName.NOWEB, served=True, past=5)
    waha = Waha(create_app(WahaServer.of(scenario, store_enabled=False)))
    for path in ("chats", "chats/overview", "chats/all/messages", "chats/all/messages/3EB0"):
        answer = await waha.get(f"/api/default/{path}")
        assert (answer.status_code, answer.json()) == (400, sample("error-400-noweb-store"))
    assert (await waha.get("/api/default/groups")).status_code == 200
    other = Scenario(seed=7, engine=EngineName.GOWS, served=True, past=5)
    waha = Waha(create_app(WahaServer.of(other, store_enabled=False)))
    assert (await waha.get("/api/default/chats")).status_code == 200
