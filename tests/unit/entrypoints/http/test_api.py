from urllib.parse import quote

import httpx
import msgspec
import pytest
from tests.unit.entrypoints.http.world import (
    ANA,
    API,
    API_TOKEN,
    FAMILY,
    ME,
    NOON,
    application,
    client_of,
    filled_archive,
    raw_request,
    text_message,
)

from wagateway.domain.events import Account
from wagateway.domain.identity import Jid
from wagateway.domain.views import ContactPage, EventPage, MessagePage

PATHS = [
    "/api/messages/default/5511987650102",
    "/api/chats/default",
    "/api/contacts/default",
    "/api/sessions",
    "/api/events",
    "/api/events/1/body",
]


async def get(client: httpx.AsyncClient, path: str, **query: str | int) -> httpx.Response:
    return await client.get(path, params=query or None, headers=API)


async def test_reads_a_chat_newest_first(client: httpx.AsyncClient) -> None:
    response = await get(client, f"/api/messages/default/{ANA}")
    assert response.status_code == 200
    assert list(response.json()) == ["messages", "next", "previous", "purged_before"]
    page = msgspec.json.decode(response.content, type=MessagePage)
    assert [m.text for m in page.messages] == ["text 2", "text 1", "text 0"]
    assert response.json()["messages"][2]["sent_at"] == "2026-10-03T12:00:00Z"


async def test_pages_there_and_back(client: httpx.AsyncClient) -> None:
    path = f"/api/messages/default/{ANA}"
    newest = (await get(client, path, limit=1)).json()
    older = (await get(client, path, limit=1, before=newest["next"])).json()
    back = (await get(client, path, limit=1, after=older["previous"])).json()
    texts = [page["messages"][0]["text"] for page in (newest, older, back)]
    assert texts == ["text 2", "text 1", "text 2"]


@pytest.mark.parametrize(
    "spelling",
    [
        "5511987650102@c.us",
        "5511987650102@s.whatsapp.net",
        "+55 (11) 98765-0102",
        "005511987650102",
        "551187650102",
    ],
)
async def test_finds_a_chat_however_it_is_spelled(client: httpx.AsyncClient, spelling: str) -> None:
    response = await get(client, f"/api/messages/default/{quote(spelling, safe='')}")
    assert response.json()["messages"][0]["chat_id"] == ANA


@pytest.mark.parametrize(
    ("before", "texts"),
    [
        ("2026-10-03T12:01:00Z", ["text 0"]),
        ("2026-10-03T14:01:00+02:00", ["text 0"]),
        ("2026-10-03T14:01:00 02:00", ["text 0"]),
        ("", ["text 2", "text 1", "text 0"]),
    ],
)
async def test_reads_before_an_instant(
    client: httpx.AsyncClient, before: str, texts: list[str]
) -> None:
    page = (await get(client, f"/api/messages/default/{ANA}", before=before)).json()
    assert [m["text"] for m in page["messages"]] == texts


@pytest.mark.parametrize(
    ("path", "missing"),
    [
        (f"/api/messages/sales/{ANA}", "sales"),
        ("/api/messages/default/4915112345678", "4915112345678"),
        ("/api/chats/sales", "sales"),
        ("/api/contacts/sales", "sales"),
        ("/api/events/99/body", "99"),
    ],
)
async def test_says_what_is_not_there(client: httpx.AsyncClient, path: str, missing: str) -> None:
    response = await get(client, path)
    assert response.status_code == 404
    assert missing in response.json()["detail"]


async def test_lists_contacts_by_type(client: httpx.AsyncClient) -> None:
    everyone = (await get(client, "/api/contacts/default")).content
    groups = (await get(client, "/api/contacts/default", type="group")).content
    ids = [c.id for c in msgspec.json.decode(everyone, type=ContactPage).contacts]
    assert {ANA, FAMILY} <= set(ids)
    assert [c.id for c in msgspec.json.decode(groups, type=ContactPage).contacts] == [FAMILY]


async def test_lists_contacts_page_by_page(client: httpx.AsyncClient) -> None:
    everyone = (await get(client, "/api/contacts/default")).json()["contacts"]
    first = (await get(client, "/api/contacts/default", limit=1)).json()
    second = (await get(client, "/api/contacts/default", limit=1, cursor=first["next"])).json()
    assert first["contacts"] + second["contacts"] == everyone[:2]


async def test_lists_chats(client: httpx.AsyncClient) -> None:
    page = (await get(client, "/api/chats/default", limit=1)).json()
    assert [chat["id"] for chat in page["chats"]] == [ANA]


@pytest.mark.parametrize("account", [ME, "+55 (11) 98765-0101", "5511987650101"])
async def test_reads_a_former_account_s_archive(account: str) -> None:
    archive = await filled_archive()
    later = text_message(600, chat=Jid("5511987650103@c.us"))
    other = Account(phone=Jid("5511987650199@c.us"))
    await archive.record([msgspec.structs.replace(later, account=other)])
    async with client_of(application(reader=archive)) as client:
        path = f"/api/messages/default/{ANA}"
        assert (await get(client, path)).status_code == 404
        messages = (await get(client, path, account=account)).json()["messages"]
        assert [m["text"] for m in messages] == ["text 2", "text 1", "text 0"]
        chats = (await get(client, "/api/chats/default", account=account)).json()["chats"]
        assert [chat["id"] for chat in chats] == [ANA]
        people = (await get(client, "/api/contacts/default", account=account)).json()
        assert FAMILY in {person["id"] for person in people["contacts"]}
        now = (await get(client, "/api/chats/default", account="")).json()["chats"]
        assert [chat["id"] for chat in now] == ["5511987650103@c.us"]


@pytest.mark.parametrize(
    "path", [f"/api/messages/default/{ANA}", "/api/chats/default", "/api/contacts/default"]
)
@pytest.mark.parametrize(
    ("account", "status", "said"),
    [(ANA, 404, "never had the account"), ("ana", 400, "ana"), ("x" * 2000, 400, "neither a JID")],
)
async def test_an_account_that_never_was_is_not_found_and_a_name_is_refused(
    client: httpx.AsyncClient, path: str, account: str, status: int, said: str
) -> None:
    response = await get(client, path, account=account)
    assert response.status_code == status
    assert said in response.text


async def test_lists_sessions(client: httpx.AsyncClient) -> None:
    answer = (await get(client, "/api/sessions")).json()
    assert [s["session"] for s in answer["sessions"]] == ["default"]


@pytest.mark.parametrize(
    ("query", "ids"),
    [
        ({}, [5, 4, 3, 2, 1]),
        ({"outcome": "failed"}, [5]),
        ({"event": "contact"}, [4]),
        ({"session": "other"}, []),
        ({"since": "2026-10-03T12:02:00Z"}, [3]),
        ({"until": "2026-10-03T12:01:00Z"}, [5, 4, 1]),
        ({"since": "2026-10-03T14:01:00 02:00", "limit": "1"}, [3]),
    ],
)
async def test_filters_the_event_log(
    client: httpx.AsyncClient, query: dict[str, str], ids: list[int]
) -> None:
    response = await get(client, "/api/events", **query)
    page = msgspec.json.decode(response.content, type=EventPage)
    assert [event.id for event in page.events] == ids


async def test_hands_out_a_raw_body_as_a_download(client: httpx.AsyncClient) -> None:
    response = await get(client, "/api/events/1/body")
    assert response.content == msgspec.json.encode({"event": "message.any", "at": NOON})
    assert response.headers["content-type"] == "application/octet-stream"
    assert response.headers["content-disposition"].startswith("attachment;")
    assert response.headers["x-content-type-options"] == "nosniff"


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"X-Api-Token": API_TOKEN.encode()}, 200),
        ({"Authorization": b"Bearer " + API_TOKEN.encode()}, 200),
        ({"Authorization": b"bearer   " + API_TOKEN.encode()}, 200),
        ({"X-Api-Token": API_TOKEN.encode(), "Authorization": "Basic dTpw"}, 200),
        ({}, 401),
        ({"X-Api-Token": ""}, 401),
        ({"X-Api-Token": "wrong"}, 401),
        ({"X-Api-Token": API_TOKEN.encode() + b"x"}, 401),
        ({"X-Api-Token": API_TOKEN.encode("latin-1")}, 401),
        ({"X-Api-Token": b"\xff\x00\xfe"}, 401),
        ({"Authorization": API_TOKEN.encode()}, 401),
        ({"Authorization": "Bearer"}, 401),
        ({"Authorization": b"Basic " + API_TOKEN.encode()}, 401),
        ({"X-Api-Token": API_TOKEN.encode(), "Authorization": "Bearer wrong"}, 401),
        ({"X-Api-Token": "wrong", "Authorization": b"Bearer " + API_TOKEN.encode()}, 401),
        ({"X-Whatsapp-Token": API_TOKEN.encode()}, 401),
    ],
)
@pytest.mark.parametrize("path", [*PATHS, "/api", "/api/", "/api/unknown", "/api/messages"])
async def test_every_api_path_asks_for_the_token(
    client: httpx.AsyncClient, path: str, headers: dict[str, str | bytes], status: int
) -> None:
    pairs = [(k.encode(), v if isinstance(v, bytes) else v.encode()) for k, v in headers.items()]
    response = await client.get(path, headers=pairs)
    if status == 200:
        assert response.status_code == (200 if path in PATHS else 404)
    else:
        assert response.status_code == 401
        assert response.headers["www-authenticate"] == "Bearer"
        assert response.json()["title"] == "Unauthorized"


@pytest.mark.parametrize("method", ["POST", "OPTIONS", "DELETE", "HEAD"])
async def test_no_method_gets_past_the_gate(client: httpx.AsyncClient, method: str) -> None:
    assert (await client.request(method, "/api/sessions")).status_code == 401


@pytest.mark.parametrize(
    ("path", "root_path"),
    [
        ("//api/sessions", ""),
        ("/api//sessions/", ""),
        ("///api///sessions", ""),
        ("/gateway/api/sessions", "/gateway"),
    ],
)
async def test_no_spelling_of_a_path_gets_past_the_guard(path: str, root_path: str) -> None:
    app = application(reader=await filled_archive())
    refused = await raw_request(app, path, method="GET", root_path=root_path)
    assert refused.status == 401
    token = [(b"x-api-token", API_TOKEN.encode())]
    admitted = await raw_request(app, path, method="GET", headers=token, root_path=root_path)
    assert admitted.status == 200


async def test_the_gate_knows_where_it_is_mounted() -> None:
    answer = await raw_request(
        application(), "/gateway/api/unknown", method="GET", root_path="/gateway"
    )
    assert answer.status == 401


async def test_the_guard_holds_without_the_gate() -> None:
    app = application(reader=await filled_archive())
    app.asgi_handler = app.asgi_router
    async with client_of(app) as client:
        assert (await get(client, "/api/sessions")).status_code == 200
        with pytest.raises(Exception, match="A valid token is required"):
            await client.get("/api/sessions")


@pytest.mark.parametrize(
    ("path", "query", "names"),
    [
        (f"/api/messages/default/{ANA}", {"limit": "0"}, ["limit", "1 to 500"]),
        (f"/api/messages/default/{ANA}", {"limit": "501"}, ["limit", "1 to 500"]),
        (f"/api/messages/default/{ANA}", {"limit": "abc"}, ["limit", "1 to 500"]),
        (f"/api/messages/default/{ANA}", {"limit": "-1"}, ["limit", "1 to 500"]),
        (f"/api/messages/default/{ANA}", {"limit": "1.5"}, ["limit", "1 to 500"]),
        (f"/api/messages/default/{ANA}", {"limit": ""}, ["limit", "1 to 500"]),
        (f"/api/messages/default/{ANA}", {"limit": "9" * 5000}, ["limit", "1 to 500"]),
        ("/api/contacts/default", {"limit": "0"}, ["limit", "1 to 500"]),
        ("/api/chats/default", {"limit": "501"}, ["limit", "1 to 500"]),
        ("/api/events", {"limit": "501"}, ["limit", "1 to 500"]),
        ("/api/contacts/default", {"type": "robot"}, ["type", "individual", "newsletter"]),
        ("/api/events", {"outcome": "lost"}, ["outcome", "failed", "stored"]),
        ("/api/events", {"since": "yesterday"}, ["since", "ISO 8601"]),
        ("/api/events", {"until": "2026-13-01"}, ["until", "ISO 8601"]),
        ("/api/events", {"since": "9" * 5000}, ["since", "ISO 8601"]),
        ("/api/events", {"limit": "0", "outcome": "lost"}, ["limit", "outcome"]),
        ("/api/events/0/body", {}, ["event_id", "from 1"]),
        ("/api/events/9223372036854775808/body", {}, ["event_id", "from 1"]),
        (f"/api/messages/default/{ANA}", {"before": "a", "after": "b"}, ["before", "after"]),
    ],
)
async def test_names_the_parameter_and_what_is_accepted(
    client: httpx.AsyncClient, path: str, query: dict[str, str], names: list[str]
) -> None:
    response = await get(client, path, **query)
    assert response.status_code == 400
    assert all(name in response.json()["detail"] for name in names)


CURSORS = ["x", "AAAA", "e30", "\x00", "%00", "-1", "' OR 1=1 --", "é", "🤖", "9" * 2000]


@pytest.mark.parametrize("cursor", CURSORS)
@pytest.mark.parametrize(
    ("path", "name"),
    [
        (f"/api/messages/default/{ANA}", "before"),
        (f"/api/messages/default/{ANA}", "after"),
        ("/api/chats/default", "cursor"),
        ("/api/contacts/default", "cursor"),
        ("/api/events", "cursor"),
    ],
)
async def test_refuses_a_cursor_that_it_did_not_give(
    client: httpx.AsyncClient, path: str, name: str, cursor: str
) -> None:
    response = await get(client, path, **{name: cursor})
    assert response.status_code == 400
    assert response.headers["content-type"] == "application/problem+json"


SEGMENTS = [
    "%00",
    "a%00b",
    "..",
    "%2e%2e",
    ".",
    "%2e%2e%2fetc%2fpasswd",
    "%ff%fe",
    "%ed%a0%80",
    "';DROP TABLE messages;--",
    "%27%20OR%201=1--",
    "%0d%0aX-Injected:%201",
    "x" * 3000,
    "@",
    "a@",
    "@c.us",
    "a@b@c",
    "%20",
    "<script>alert(1)</script>",
    "٥٥١١٩٨٧٦٥٠١٠٢",
    "{session}",
]


@pytest.mark.parametrize("segment", SEGMENTS)
@pytest.mark.parametrize(
    "template",
    [
        "/api/messages/default/{}",
        "/api/messages/{}/5511987650102",
        "/api/contacts/{}",
        "/api/chats/{}",
        "/api/events/{}/body",
        "/api/events?session={}",
        "/api/events?event={}",
    ],
)
async def test_hostile_names_are_answered_as_unknown_or_malformed(
    client: httpx.AsyncClient, template: str, segment: str
) -> None:
    response = await get(client, template.format(segment))
    expected = {200, 400} if "?" in template else {400, 401, 404}
    assert response.status_code in expected
    if response.status_code == 200:
        assert response.json() == {"next": None, "events": []}
    assert "x-injected" not in response.headers


async def test_nul_in_a_session_name_is_not_another_name(client: httpx.AsyncClient) -> None:
    response = await get(client, "/api/chats/default%00")
    assert response.status_code == 404
