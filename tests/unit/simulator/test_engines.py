"""The fields that mean something else on each engine."""

import json
import re
from typing import Any

import pytest
from tests.unit.simulator.samples import START, bodies, deliveries

from wagateway.simulator.engine import EngineName
from wagateway.simulator.traffic import Traffic

WORLD = Traffic(start=START, seed=7).world
ME = WORLD.account.phone_jid


def chat(payload: dict[str, Any]) -> str:
    return str(payload["id"].split("_")[1])


def messages(engine: EngineName, *, own: bool, server: str) -> list[dict[str, Any]]:
    found = [
        body["payload"]
        for body in bodies(deliveries(engine), "message.any")
        if body["payload"]["fromMe"] == own and chat(body["payload"]).endswith(server)
    ]
    assert found
    return found


def test_noweb_puts_the_chat_in_from_and_leaves_out_what_a_direct_chat_lacks() -> None:
    for own in (True, False):
        for payload in messages(EngineName.NOWEB, own=own, server="@c.us"):
            assert payload["from"] == chat(payload)
            assert "to" not in payload
            assert "participant" not in payload
    for payload in messages(EngineName.NOWEB, own=False, server="@g.us"):
        assert payload["from"] == payload["to"] == chat(payload)
        assert payload["id"].endswith("_" + payload["participant"])


def test_noweb_knows_no_participant_of_what_its_api_sent_to_a_group() -> None:
    own = messages(EngineName.NOWEB, own=True, server="@g.us")
    by_source = {payload["source"]: payload for payload in own}
    assert by_source["api"]["id"].count("_") == 2
    assert by_source["app"]["id"].count("_") == 3
    acks = [body["payload"] for body in bodies(deliveries(EngineName.NOWEB), "message.ack.group")]
    assert all(ack["id"].endswith("_" + ME) and ack["from"] == ack["to"] for ack in acks)
    assert {ack["ack"] for ack in acks} == {1, 3}
    assert all(ack["participant"] != ME for ack in acks)


def test_gows_puts_the_sender_in_to() -> None:
    for own in (True, False):
        for payload in messages(EngineName.GOWS, own=own, server="@c.us"):
            assert payload["from"] == chat(payload)
            assert payload["to"] is None
            assert payload["participant"] is None
            assert payload["ack"] == (1 if own else 2)
        for payload in messages(EngineName.GOWS, own=own, server="@g.us"):
            assert payload["from"] == chat(payload)
            assert payload["to"] == payload["participant"] != chat(payload)
            assert payload["id"].endswith("_" + payload["participant"])


def test_webjs_puts_me_in_from_or_to() -> None:
    for server in ("@c.us", "@g.us", "@lid"):
        for payload in messages(EngineName.WEBJS, own=True, server=server):
            assert (payload["from"], payload["to"]) == (ME, chat(payload))
        for payload in messages(EngineName.WEBJS, own=False, server=server):
            assert (payload["from"], payload["to"]) == (chat(payload), ME)


@pytest.mark.parametrize("engine", EngineName)
def test_statuses_name_their_author_and_channels_have_none(engine: EngineName) -> None:
    phones = {person.phone_jid for person in WORLD.people}
    for payload in messages(engine, own=False, server="status@broadcast"):
        assert payload["participant"] in phones
        assert payload["id"].endswith("_" + payload["participant"])
    for payload in messages(engine, own=False, server="@newsletter"):
        assert payload["id"].count("_") == 2
        assert payload.get("participant") is None


def test_a_webjs_edit_keeps_the_id_and_the_others_have_one_of_their_own() -> None:
    for engine in EngineName:
        edits = [body["payload"] for body in bodies(deliveries(engine), "message.edited")]
        same = {edit["id"].split("_")[2] == edit["editedMessageId"] for edit in edits}
        assert same == {engine is EngineName.WEBJS}
        assert all(edit["body"] for edit in edits)


def test_only_webjs_repeats_what_was_deleted() -> None:
    for engine in EngineName:
        gone = [body["payload"] for body in bodies(deliveries(engine), "message.revoked")]
        assert {revoked["before"] is not None for revoked in gone} == {engine is EngineName.WEBJS}
        assert all(not revoked["after"]["body"] for revoked in gone)
        assert all(re.fullmatch("[0-9A-F]{20,32}", revoked["revokedMessageId"]) for revoked in gone)


def test_a_webjs_reaction_comes_from_its_author_and_the_others_from_the_chat() -> None:
    for engine in EngineName:
        reactions = [body["payload"] for body in bodies(deliveries(engine), "message.reaction")]
        group = [r for r in reactions if chat(r).endswith("@g.us")]
        assert group
        for reaction in group:
            author = reaction["participant"]
            assert reaction["from"] == (author if engine is EngineName.WEBJS else chat(reaction))


def test_direct_receipts_differ_by_engine() -> None:
    receipts = {
        engine: [body["payload"] for body in bodies(deliveries(engine), "message.ack")]
        for engine in EngineName
    }
    levels = {engine: {ack["ack"] for ack in acks} for engine, acks in receipts.items()}
    assert levels[EngineName.NOWEB] == levels[EngineName.WEBJS] == {1, 2, 3, 4}
    assert levels[EngineName.GOWS] == {2, 3, 4}  # it never tells of the server
    assert receipts[EngineName.NOWEB][0].keys() == {"id", "from", "fromMe", "ack", "ackName"}
    assert all("body" in ack for ack in receipts[EngineName.WEBJS])
    # Only GOWS tells that I read something on my phone.
    incoming = {engine: any(not a["fromMe"] for a in acks) for engine, acks in receipts.items()}
    assert incoming == {
        EngineName.NOWEB: False,
        EngineName.GOWS: True,
        EngineName.WEBJS: False,
    }


def test_what_was_read_was_delivered_and_sent_before() -> None:
    stream = bodies(deliveries(EngineName.NOWEB), "message.ack")
    levels: dict[str, dict[int, int]] = {}
    for body in stream:
        levels.setdefault(body["payload"]["id"], {})[body["payload"]["ack"]] = body["timestamp"]
    read = [told for told in levels.values() if 3 in told]
    assert len(read) > 20
    assert all({1, 2} <= told.keys() and max(told[1], told[2]) < told[3] for told in read)


def test_votes_belong_to_a_poll_and_failed_ones_say_so() -> None:
    for engine in EngineName:
        stream = bodies(deliveries(engine))
        asked = {b["payload"]["id"] for b in stream if b["event"] == "message.any"}
        votes = [b["payload"] for b in stream if b["event"] == "poll.vote"]
        assert {vote["poll"]["id"] for vote in votes} <= asked
        failed = [b["payload"]["vote"] for b in stream if b["event"] == "poll.vote.failed"]
        nothing = {EngineName.NOWEB: [[]], EngineName.GOWS: [None], EngineName.WEBJS: []}
        unread: list[Any] = []
        for vote in failed:
            if vote["selectedOptions"] not in unread:
                unread.append(vote["selectedOptions"])
        assert unread == nothing[engine]


def test_group_events_count_milliseconds_except_on_webjs() -> None:
    for engine in EngineName:
        for body in bodies(deliveries(engine), "group.v2.participants", "group.v2.update"):
            unit = 1 if engine is EngineName.WEBJS else 1000
            assert abs(body["payload"]["timestamp"] / unit - body["timestamp"] / 1000) < 2


def test_me_names_the_device_on_gows_only() -> None:
    shown = {engine: bodies(deliveries(engine, 1))[0]["me"] for engine in EngineName}
    assert shown[EngineName.GOWS]["jid"] == f"{WORLD.account.phone}:12@s.whatsapp.net"
    assert "jid" not in shown[EngineName.NOWEB]
    assert "messageCapping" not in shown[EngineName.WEBJS]
    assert {me["id"] for me in shown.values()} == {ME}


def test_protobufs_are_spelled_as_each_library_spells_them() -> None:
    noweb = picture(EngineName.NOWEB)["message"]["imageMessage"]
    assert isinstance(noweb["fileLength"], str)
    assert {"url", "fileSha256", "jpegThumbnail"} <= noweb.keys()
    gows = picture(EngineName.GOWS)
    image = gows["Message"]["imageMessage"]
    assert isinstance(image["fileLength"], int)
    assert {"URL", "fileSHA256", "JPEGThumbnail"} <= image.keys()
    assert (gows["Info"]["Type"], gows["Info"]["MediaType"]) == ("media", "image")
    webjs = picture(EngineName.WEBJS)
    assert webjs["type"] == "image"
    assert {"size", "filehash", "mimetype"} <= webjs.keys()


def picture(engine: EngineName) -> dict[str, Any]:
    found = [
        payload["_data"]
        for payload in messages(engine, own=False, server="@c.us")
        if (payload["media"] or {}).get("mimetype") == "image/jpeg"
        and payload["body"]
        and not re.search("expiration|ephemeralDuration", json.dumps(payload))
    ]
    data: dict[str, Any] = found[0]
    return data
