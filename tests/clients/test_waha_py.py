"""waha-py, which follows WAHA's OpenAPI, reads from the simulator what is true.

Its methods return JSON as it came. It has classes for the answers too: they are read here as well.
"""

import base64
from collections.abc import Iterator
from itertools import islice, pairwise
from typing import Any

import pytest
from tests.support.public_client import FOLDERS, PublicClient, Raised, made, public_client
from tests.support.served import Row, Served, is_timed, stanza, told_s

PACKAGE, VERSION = "waha-py", "2026.9.2"
sessions = pytest.mark.parametrize("session", Served.names)
PAGE = 50
FILES = 12


@pytest.fixture(scope="module")
def client(served: Served) -> Iterator[PublicClient]:
    with public_client(PACKAGE, served.url) as client:
        yield client


def all_messages(client: PublicClient, session: str, chat: str, **params: object) -> list[Row]:
    """Return the messages of all pages."""
    rows: list[Row] = []
    while page := client.call(
        "chats.get_chat_messages",
        session,
        chat,
        {"limit": PAGE, "offset": len(rows), "downloadMedia": "false", **params},
    ):
        rows += page
    return rows


def test_it_is_the_package_from_pypi(client: PublicClient) -> None:
    assert client.version == VERSION
    assert client.file.is_relative_to(FOLDERS / PACKAGE)


class TestTheServer:
    def test_it_lives_and_says_what_it_is(self, client: PublicClient) -> None:
        assert client.call("ping.ping", read_as="PingResponse") == {"message": "pong"}
        assert client.call("health.check")["status"] == "ok"
        for method in ("server.get", "version.get"):
            told = client.call(method)
            assert (told["version"], told["engine"], told["tier"]) == (VERSION, "NOWEB", "CORE")

    def test_a_wrong_key_is_refused(self, client: PublicClient) -> None:
        for key in ("wrong", ""):
            for method in ("sessions.list", "health.check"):
                with pytest.raises(Raised) as refused:
                    client.call(method, key=key)
                assert (refused.value.kind, refused.value.status) == ("HTTPStatusError", 401)
                assert refused.value.body == {"message": "Unauthorized", "statusCode": 401}
        assert client.call("ping.ping", key="wrong") == {"message": "pong"}


class TestSessions:
    def test_they_are_those_of_the_server(self, served: Served, client: PublicClient) -> None:
        listed = client.call("sessions.list", {"all": "true"})
        assert {row["name"]: row["engine"]["engine"] for row in listed} == {
            name: hosted.engine.name for name, hosted in served.server.sessions.items()
        }
        for row in listed:
            assert client.call("sessions.get", row["name"]) == row
            assert row["status"] == "WORKING"
            assert row["timestamps"]["activity"] == served.hosted(row["name"]).active_ms

    @sessions
    def test_the_account_is_known(self, served: Served, client: PublicClient, session: str) -> None:
        account = served.hosted(session).engine.world.account
        me = client.call("sessions.get_me", session, read_as="MeInfo")
        assert (me["id"], me["lid"]) == (account.phone_jid, account.lid_jid)
        assert me["pushName"] == account.name
        profile = client.call("profile.get_my_profile", session)
        assert (profile["id"], profile["name"]) == (account.phone_jid, account.name)

    def test_the_asynchronous_half_reads_the_same(self, client: PublicClient) -> None:
        there = client.call("sessions.a_list", asynchronous=True)
        assert there == client.call("sessions.list")

    def test_one_is_logged_out_and_shows_how_to_pair(
        self, served: Served, client: PublicClient
    ) -> None:
        spare, hosted = served.spare, served.hosted(served.spare)
        assert client.call("chats.get_chats", spare)
        left = client.call("sessions.logout", spare, read_as="SessionDTO")
        assert left["status"] == hosted.status == "SCAN_QR_CODE"
        assert client.call("sessions.get_me", spare) is None
        with pytest.raises(Raised) as refused:
            client.call("chats.get_chats", spare)
        assert refused.value.status == 422
        assert refused.value.body["status"] == "SCAN_QR_CODE"
        assert refused.value.body["expected"] == ["WORKING"]
        raw = client.call("auth.get_qr", spare, {"format": "raw"}, read_as="QRCodeValue")
        assert raw["value"].startswith("2@")
        drawn = client.call("auth.get_qr", spare, {"format": "image"}, read_as="Base64File")
        assert drawn["mimetype"] == "image/png"
        assert base64.b64decode(drawn["data"]).startswith(b"\x89PNG\r\n\x1a\n")
        phone = made("RequestCodeRequest", {"phoneNumber": hosted.engine.world.account.phone})
        code = client.call("auth.request_code", spare, phone)["code"]
        assert [len(part) for part in code.split("-")] == [4, 4]
        served.server.pair(hosted)
        assert client.call("sessions.get", spare)["status"] == "WORKING"
        assert client.call("chats.get_chats", spare) == []

    def test_one_is_stopped_and_started(self, served: Served, client: PublicClient) -> None:
        spare, hosted = served.spare, served.hosted(served.spare)
        for change, status in (("stop", "STOPPED"), ("start", "WORKING"), ("restart", "WORKING")):
            changed = client.call(f"sessions.{change}", spare, read_as="SessionDTO")
            assert changed["status"] == hosted.status == status
            running = [row["name"] for row in client.call("sessions.list")]
            assert (spare in running) is (status == "WORKING")


class TestMessages:
    @sessions
    def test_all_pages_of_all_chats_hold_every_message(
        self, served: Served, client: PublicClient, session: str
    ) -> None:
        truth = served.messages(session)
        rows = [
            row
            for chat in served.chats(session)
            for row in all_messages(client, session, chat)
            if served.named(session, row["id"].split("_")[1]) == chat
        ]
        assert sorted(map(stanza, rows)) == sorted(truth)
        for row in rows:
            line = truth[stanza(row)]
            chat = served.named(session, row["id"].split("_")[1])
            assert chat == served.named(session, line["chat_id"])
            told = {
                "from_me": row["fromMe"],
                "text": row["body"] or None,
                "media": row["hasMedia"],
                "reply_to": (row.get("replyTo") or {}).get("id"),
                # GOWS does not know all of them.
                "ack": None if row["ackName"] == "UNKNOWN" else row["ackName"].lower(),
            }
            true = {
                "from_me": line["from_me"],
                "text": line.get("text"),
                "media": line.get("media") is not None,
                "reply_to": (line.get("reply_to") or {}).get("id"),
                "ack": line.get("ack"),
            }
            # A key that is missing in the truth says nothing.
            keys = told.keys() & line.keys()
            if any(line.get(part) for part in ("contacts", "poll", "event")):
                keys -= {"text"}  # engines make it up from the card, the question, the name
            assert {key: told[key] for key in keys} == {key: true[key] for key in keys}
            if "sent_at" in line:
                assert row["timestamp"] == told_s(line)

    @pytest.mark.parametrize("session", [Served.noweb, Served.gows])
    def test_pages_run_from_the_newest_or_from_the_oldest(
        self, served: Served, client: PublicClient, session: str
    ) -> None:
        ids = list(map(stanza, all_messages(client, session, "all")))
        assert sorted(ids) == sorted(served.messages(session))
        for offset in (0, 7, len(ids) - 2, len(ids)):
            page = client.call(
                "chats.get_chat_messages", session, "all", {"limit": 5, "offset": offset}
            )
            assert list(map(stanza, page)) == ids[offset : offset + 5]
        ten = client.call("chats.get_chat_messages", session, "all")
        assert list(map(stanza, ten)) == ids[:10]
        rising = all_messages(client, session, "all", sortOrder="asc", sortBy="timestamp")
        assert list(map(stanza, rising)) == ids[::-1]
        assert all(a["timestamp"] <= b["timestamp"] for a, b in pairwise(rising))

    def test_filters_leave_what_is_asked_for(self, served: Served, client: PublicClient) -> None:
        truth = served.messages(served.noweb).values()
        seconds = {line["id"]: told_s(line) for line in truth if is_timed(line)}
        times = sorted(seconds.values())
        since, until = times[len(times) // 4], times[len(times) // 2]

        def asked(**params: object) -> set[str]:
            rows = client.call(
                "chats.get_chat_messages",
                served.noweb,
                "all",
                {"limit": 1000, **{key.replace("__", "."): v for key, v in params.items()}},
            )
            return {stanza(row) for row in rows} & seconds.keys()

        between = {id_ for id_, at_s in seconds.items() if since <= at_s <= until}
        assert asked(filter__timestamp__gte=since, filter__timestamp__lte=until) == between
        mine = {line["id"] for line in truth if line["from_me"]} & seconds.keys()
        assert asked(filter__fromMe="true") == mine
        assert asked(filter__fromMe="false") == seconds.keys() - mine
        for ack in ("server", "device", "read"):
            direct = {line["id"] for line in truth if "ack" in line}
            of_it = {line["id"] for line in truth if line.get("ack") == ack} & seconds.keys()
            assert of_it
            assert asked(filter__ack=ack.upper()) & direct == of_it

    def test_the_former_address_of_the_list_gives_the_same(
        self, served: Served, client: PublicClient
    ) -> None:
        for chat in served.chats(served.webjs):
            params = {"limit": 8, "offset": 1}
            now = client.call("chats.get_chat_messages", served.webjs, chat, params)
            former = {"session": served.webjs, "chatId": chat, **params}
            assert client.call("chatting.get_messages", former) == now

    @sessions
    def test_one_message_comes_with_its_file(
        self, served: Served, client: PublicClient, session: str
    ) -> None:
        truth = served.messages(session)
        with_file = (
            (chat, row)
            for chat in served.chats(session)
            for row in all_messages(client, session, chat)
            if row["hasMedia"] and truth[stanza(row)].get("media")
        )
        saved = []
        for chat, row in islice(with_file, FILES):
            asked = ("chats.get_chat_message", session, chat, row["id"])
            assert client.call(*asked, {"downloadMedia": "false"}) == row
            assert row["media"]["url"] is None
            one = client.call(*asked)
            assert one["id"] == row["id"]
            file = truth[stanza(row)]["media"]
            for name in ("mimetype", "filename"):
                assert one["media"][name] == file[name]
            assert bool(one["media"]["url"]) is ("error" not in one["media"])
            saved.append(bool(one["media"]["url"]))
        assert len(saved) == FILES
        assert any(saved)


class TestChats:
    @sessions
    def test_each_is_listed_once(self, served: Served, client: PublicClient, session: str) -> None:
        rows: list[Row] = []
        while page := client.call(
            "chats.get_chats", session, {"limit": 5, "offset": len(rows), "sortBy": "name"}
        ):
            rows += page
        ids = [chat_of(row) for row in rows]
        assert sorted(ids) == served.chats(session)

    @sessions
    def test_overviews_show_the_latest_message(
        self, served: Served, client: PublicClient, session: str
    ) -> None:
        lines = [line for line in served.messages(session).values() if is_timed(line)]
        rows = client.call("chats.get_chats_overview", session, {"limit": 100})
        assert sorted(row["id"] for row in rows) == served.chats(session)
        for row in rows:
            latest = max(
                (told_s(o) for o in lines if served.named(session, o["chat_id"]) == row["id"]),
                default=0,
            )
            assert row["lastMessage"]["timestamp"] >= latest
            assert served.named(session, row["lastMessage"]["id"].split("_")[1]) == row["id"]
        some = [row["id"] for row in rows[2:5]]
        body = {"pagination": {"limit": 20, "offset": 0}, "filter": {"ids": some}}
        asked = client.call("chats.post_chats_overview", session, made("OverviewBodyRequest", body))
        assert asked == rows[2:5]
        pictures = {
            client.call("chats.get_chat_picture", session, row["id"])["url"] == row["picture"]
            for row in rows
        }
        assert pictures == {True}


def chat_of(row: Row) -> str:
    """Return the id of a chat or group, whichever engine lists it."""
    id_ = row.get("id", row.get("JID"))
    id_ = id_["_serialized"] if isinstance(id_, dict) else id_
    return str(id_).replace("@s.whatsapp.net", "@c.us")


class TestPeople:
    @sessions
    def test_contacts(self, served: Served, client: PublicClient, session: str) -> None:
        people = served.hosted(session).around.world.people
        rows = client.call("contacts.get_all", {"session": session})
        by_id = {served.named(session, row["id"]): row for row in rows}
        assert len(by_id) == len(rows) == len(people)
        for person in people:
            jid = served.named(session, person.lid_jid if person.hidden else person.phone_jid)
            row = by_id[jid]
            assert person.name.startswith(row["pushname"])
            assert client.call("contacts_session.get", session, jid) == row
            asked = {"session": session, "contactId": jid}
            assert client.call("contacts.get", asked) == row
            shown = client.call("contacts.get_profile_picture", asked)["profilePictureURL"]
            assert shown == client.call("chats.get_chat_picture", session, jid)["url"]
        few = client.call("contacts.get_all", {"session": session, "limit": 3, "offset": 2})
        assert few == rows[2:5]

    @sessions
    def test_whether_a_number_is_on_whatsapp(
        self, served: Served, client: PublicClient, session: str
    ) -> None:
        for person in served.hosted(session).around.world.people:
            asked = {"session": session, "phone": person.phone}
            found = client.call("contacts.check_exists", asked, read_as="WANumberExistResult")
            assert (found["numberExists"], found["pn"]) == (True, person.phone_jid)
            assert served.named(session, found["chatId"]) == person.phone_jid
        nobody = {"session": session, "phone": "5511900000000"}
        found = client.call("contacts.check_exists", nobody, read_as="WANumberExistResult")
        assert (found["numberExists"], found["chatId"]) == (False, None)

    @sessions
    def test_hidden_ids(self, served: Served, client: PublicClient, session: str) -> None:
        linked = served.hosted(session).around.linked
        assert linked
        pairs = client.call("lids.get_all", session, read_as="LidToPhoneNumber")
        assert {pair["lid"]: pair["pn"] for pair in pairs} == {
            lid: person.phone_jid for lid, person in linked.items()
        }
        count = client.call("lids.get_lids_count", session, read_as="CountResponse")
        assert count == {"count": len(linked)}
        for lid, person in linked.items():
            pair = {"lid": lid, "pn": person.phone_jid}
            assert client.call("lids.find_pn_by_lid", session, lid) == pair
            assert client.call("lids.find_lid_by_phone_number", session, person.phone) == pair
        unknown = client.call("lids.find_pn_by_lid", session, "271000000000999@lid")
        assert unknown == {"lid": "271000000000999@lid", "pn": None}
        few = client.call("lids.get_all", session, {"limit": 2, "offset": 3})
        assert few == pairs[3:5]


class TestGroups:
    @sessions
    def test_groups_and_their_members(
        self, served: Served, client: PublicClient, session: str
    ) -> None:
        around = served.hosted(session).around
        assert around.circles
        count = client.call("groups.get_groups_count", session, read_as="CountResponse")
        assert count == {"count": len(around.circles)}
        listed = client.call("groups.get_groups", session)
        rows = listed.values() if session == served.noweb else listed
        assert {chat_of(row): subject_of(row) for row in rows} == {
            jid: circle.subject for jid, circle in around.circles.items()
        }
        for jid, circle in around.circles.items():
            assert client.call("groups.get_group", session, jid) in rows
            picture = client.call("groups.get_chat_picture", session, jid)
            assert picture == client.call("chats.get_chat_picture", session, jid)
            members = client.call(
                "groups.get_group_participants", session, jid, read_as="GroupParticipant"
            )
            assert {member["id"]: (member["pn"], member["role"]) for member in members} == {
                (person.lid_jid if circle.group.by_lid else person.phone_jid): (
                    person.phone_jid
                    if not circle.group.by_lid or person.lid_jid in around.linked
                    else None,
                    rank,
                )
                for person, rank in circle.members.values()
            }

    def test_labels(self, served: Served, client: PublicClient) -> None:
        for session in (served.noweb, served.gows):
            around = served.hosted(session).around
            labels = client.call("labels.get_all", session, read_as="Label")
            assert {label["id"]: label["name"] for label in labels} == {
                number: label.name for number, label in around.labels.items()
            }
            assert labels
            for label in labels:
                chats = client.call("labels.get_chats_by_label", session, label["id"])
                known = around.labelled.get(label["id"], set()).intersection(served.chats(session))
                assert set(map(chat_of, chats)) == known

    @sessions
    def test_the_channel_and_its_posts(
        self, served: Served, client: PublicClient, session: str
    ) -> None:
        channel = served.hosted(session).engine.world.channel
        (row,) = client.call("channels.list", session, read_as="Channel")
        assert (row["id"], row["name"], row["role"]) == (channel.jid, channel.name, "SUBSCRIBER")
        posts = client.call(
            "channels.preview_channel_messages", session, channel.jid, {"limit": 100}
        )
        assert {stanza(post["message"]) for post in posts} == {
            line["id"]
            for line in served.messages(session).values()
            if line["chat_id"] == channel.jid
        }
        assert posts


def subject_of(row: Row) -> str:
    """Return the subject of a group, whichever engine lists it."""
    return str(row.get("subject", row.get("Name", row.get("name"))))


@pytest.mark.parametrize(
    ("method", "args", "status", "body"),
    [
        pytest.param(
            "sessions.get",
            ("nope",),
            404,
            {"message": "Session not found", "error": "Not Found", "statusCode": 404},
            id="session",
        ),
        pytest.param(
            "chats.get_chat_message",
            (Served.noweb, "all", "3EB0"),
            404,
            {"message": "Message not found", "error": "Not Found", "statusCode": 404},
            id="message",
        ),
        pytest.param(
            "chats.get_chat_messages",
            (Served.noweb, "all", {"limit": "many"}),
            400,
            {
                "message": ["limit must be a number conforming to the specified constraints"],
                "error": "Bad Request",
                "statusCode": 400,
            },
            id="validation",
        ),
        pytest.param(
            "chats.get_chat_messages",
            (Served.webjs, "all"),
            422,
            {
                "message": "The method is not implemented by the engine. "
                "Can not get messages from 'all' in WEBJS",
                "error": "Unprocessable Entity",
                "statusCode": 422,
            },
            id="engine",
        ),
        pytest.param(
            "auth.get_qr",
            (Served.noweb,),
            422,
            {
                "error": "Session status is not as expected. "
                "Try again later or restart the session",
                "session": Served.noweb,
                "status": "WORKING",
                "expected": ["SCAN_QR_CODE"],
            },
            id="status",
        ),
    ],
)
def test_errors_carry_the_status_and_the_body(
    client: PublicClient, method: str, args: tuple[Any, ...], status: int, body: Row
) -> None:
    with pytest.raises(Raised) as refused:
        client.call(method, *args)
    assert (refused.value.kind, refused.value.status) == ("HTTPStatusError", status)
    assert refused.value.body == body


class TestItsModels:
    """They are made from WAHA's OpenAPI, which demands more of some fields than WAHA keeps.

    What they refuse is what WAHA itself sends, as recorded answers and its documentation have it.
    Everything else of each answer is as they want it.
    """

    @sessions
    def test_of_a_session(self, client: PublicClient, session: str) -> None:
        # `presence` is null until the session asks for one.
        assert refused(client, "sessions.get", session, read_as="SessionInfo") == {"presence"}

    @sessions
    def test_of_messages(self, served: Served, client: PublicClient, session: str) -> None:
        # `mediaUrl` went long ago. Engines leave `to` and `participant` out, or null, in direct
        # chats; a file without a caption has no `body`, and `ack` is null where GOWS has none.
        # A place has numbers where the OpenAPI speaks of strings.
        place = {"location.latitude", "location.longitude"}
        lax = {"mediaUrl", "to", "participant", "body", "ack", *place}
        for chat in served.chats(session):
            params = {"limit": 100}
            fields = refused(
                client, "chats.get_chat_messages", session, chat, params, read_as="WAMessage"
            )
            assert "mediaUrl" in fields
            assert fields <= lax

    @sessions
    def test_of_overviews(self, client: PublicClient, session: str) -> None:
        # The OpenAPI says that both may be null, which the models do not.
        method = "chats.get_chats_overview"
        params = {"limit": 100}
        fields = refused(client, method, session, params, read_as="ChatSummary")
        assert "picture" in fields
        assert fields <= {"picture", "name"}

    def test_of_the_server(self, client: PublicClient) -> None:
        # Only WEBJS and WPP have a browser; the first session here is of NOWEB.
        assert refused(client, "server.get", read_as="WAHAEnvironment") == {"browser"}

    @sessions
    def test_of_posts_of_a_channel(
        self, served: Served, client: PublicClient, session: str
    ) -> None:
        channel = served.hosted(session).engine.world.channel.jid
        method = "channels.preview_channel_messages"
        fields = refused(client, method, session, channel, read_as="ChannelMessage")
        assert fields
        assert all(field.startswith("message.") for field in fields)


def refused(client: PublicClient, method: str, *args: object, read_as: str) -> set[str]:
    """Return the fields of an answer that a model does not take."""
    assert client.call(method, *args)
    with pytest.raises(Raised) as raised:
        client.call(method, *args, read_as=read_as)
    assert raised.value.kind == "ValidationError"
    return raised.value.fields
