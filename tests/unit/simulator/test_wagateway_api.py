"""How an archive is read through wagateway's API."""

import json
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

import httpx
import pytest
from typing_extensions import override

from wagateway.simulator.truth import Line
from wagateway.simulator.wagateway_api import ApiFailed, WagatewayApi, _asked_s, as_lines

ME, ANA, BIA = "5511912340001@c.us", "5511987650102@c.us", "5511987650103@c.us"
Answer = tuple[int, bytes]


class Api(ThreadingHTTPServer):
    """Answers what it is given by path and query, or always the same."""

    daemon_threads = True
    request_queue_size = 128  # as many as ask at once

    def __init__(self, pages: dict[str, Any] | Answer) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.pages = pages
        self.asked: list[tuple[str, dict[str, str], str]] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


class _Handler(BaseHTTPRequestHandler):
    server: Api

    def do_GET(self) -> None:
        url = urlsplit(self.path)
        query = dict(parse_qsl(url.query))
        self.server.asked.append((unquote(url.path), query, self.headers["X-Api-Token"]))
        pages = self.server.pages
        if isinstance(pages, tuple):
            status, body = pages
        else:
            place = query.get("cursor") or query.get("before")
            page = pages[unquote(url.path) + (f" {place}" if place else "")]
            status, body = 200, json.dumps(page).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    @override
    def log_message(self, format: str, *args: Any) -> None:
        pass


@contextmanager
def serving(pages: dict[str, Any] | Answer) -> Iterator[Api]:
    with Api(pages) as api:
        thread = Thread(target=api.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield api
        finally:
            api.shutdown()
            thread.join()


def session(name: str = "default", account: str | None = ME) -> Line:
    return {"session": name, "account": account, "current": True}


def chat(id_: str, name: str = "default") -> Line:
    return {"session": name, "id": id_, "name": None}


def message(id_: str, **fields: Any) -> Line:  # noqa: ANN401 - any field of a message
    return {
        "session": "default",
        "chat_id": ANA,
        "id": id_,
        "sender_id": ANA,
        "revoked_at": None,
        "edits": [],
        "poll": None,
        **fields,
    }


def page(field: str, *found: Line, next_: str | None = None) -> dict[str, Any]:
    return {field: list(found), "next": next_}


async def read(url: str, *sessions: str, token: str = "t0ken") -> list[Line]:
    return [line async for line in WagatewayApi(url, token).lines(list(sessions))]


WHOLE = {
    "/api/sessions": {"sessions": [session(), session("loja")]},
    "/api/chats/default": page("chats", chat(ANA), next_="c2"),
    "/api/chats/default c2": page("chats", chat(BIA)),
    f"/api/messages/default/{ANA}": page("messages", message("A3"), message("A2"), next_="m2"),
    f"/api/messages/default/{ANA} m2": page("messages", message("A1")),
    f"/api/messages/default/{BIA}": page("messages"),
}


async def test_all_pages_of_chats_and_messages_are_read() -> None:
    with serving(WHOLE) as api:
        lines = await read(api.url, "default")
    found = [(line["type"], line.get("id")) for line in lines]
    assert found == [
        ("archive", None),
        ("chat", ANA),
        ("chat", BIA),
        ("message", "A3"),
        ("message", "A2"),
        ("message", "A1"),
    ]
    assert {line["account"] for line in lines} == {ME}
    assert len(api.asked) == len(WHOLE)


async def test_every_request_has_the_token_and_names_account_and_size_of_pages() -> None:
    with serving(WHOLE) as api:
        await read(f"{api.url}/api/", "default")
    assert {token for _, _, token in api.asked} == {"t0ken"}
    for path, query, _ in api.asked:
        if path != "/api/sessions":
            assert (query["account"], query["limit"]) == (ME, "500")


async def test_sessions_that_nobody_asked_for_are_not_read() -> None:
    with serving(WHOLE) as api:
        assert await read(api.url, "compras") == []
    assert [path for path, _, _ in api.asked] == ["/api/sessions"]


async def test_an_archive_without_an_account_is_read_as_the_current_one() -> None:
    pages = {
        "/api/sessions": {"sessions": [session(account=None)]},
        "/api/chats/default": page("chats", chat(ANA)),
        f"/api/messages/default/{ANA}": page("messages", message("A1")),
    }
    with serving(pages) as api:
        lines = await read(api.url, "default")
    assert [line["account"] for line in lines] == [None] * 3
    assert not any("account" in query for _, query, _ in api.asked)


async def test_more_chats_than_are_read_at_once_are_all_read() -> None:
    ids = [f"55119876501{number:02}@c.us" for number in range(20)]
    pages: dict[str, Any] = {
        "/api/sessions": {"sessions": [session()]},
        "/api/chats/default": page("chats", *map(chat, ids)),
    }
    for id_ in ids:
        pages[f"/api/messages/default/{id_}"] = page("messages", message("A1", chat_id=id_))
    with serving(pages) as api:
        lines = await read(api.url, "default")
    assert [line["chat_id"] for line in lines if line["type"] == "message"] == ids


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        ((401, b'{"detail":"no such token"}'), "401 on .*token is missing or wrong"),
        ((500, b"out of order"), "500 on .*out of order"),
        ((302, b""), "302 on "),
        ((200, b"<html>"), "no JSON on "),
    ],
)
async def test_an_answer_that_is_none_is_told(answer: Answer, said: str) -> None:
    with serving(answer) as api, pytest.raises(ApiFailed, match=said) as failed:
        await read(api.url, "default")
    assert "/api/sessions" in str(failed.value)


async def test_a_long_answer_is_told_in_part() -> None:
    with serving((500, b"x" * 100_000)) as api, pytest.raises(ApiFailed) as failed:
        await read(api.url, "default")
    assert len(str(failed.value)) < 500


async def test_nobody_listening_is_told() -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{closed.getsockname()[1]}"
        with pytest.raises(ApiFailed, match=r"ConnectError on /api/sessions.*address right"):
            await read(url, "default")


@pytest.mark.parametrize("answer", [b"[]", b"{}", b'{"sessions":[{}]}', b'{"sessions":7}'])
async def test_json_of_another_shape_is_told(answer: bytes) -> None:
    with serving((200, answer)) as api, pytest.raises(ApiFailed, match="address"):
        await read(api.url, "default")


def test_a_message_becomes_a_line_to_compare() -> None:
    told = message(
        "A1",
        revoked_at="2026-01-05T11:00:00Z",
        edits=[{"text": "um", "edited_at": "x"}, {"text": "dois", "edited_at": "y"}],
        text="dois",
    )
    (line,) = as_lines([told], ME)
    assert (line["type"], line["account"], line["text"]) == ("message", ME, "dois")
    assert (line["revoked"], line["edits"]) == (True, ["um", "dois"])
    (plain,) = as_lines([message("A2")], None)
    assert (plain["revoked"], plain["edits"], plain["poll"]) == (False, [], None)


def test_the_options_of_votes_are_sorted_as_the_truth_has_them() -> None:
    votes = [
        {"voter_id": ANA, "options": ["b", "a"]},
        {"voter_id": BIA, "options": None},
        {"voter_id": ME, "options": []},
    ]
    poll = {"question": "?", "options": ["b", "a"], "votes": votes}
    (line,) = as_lines([message("A1", poll=poll)], ME)
    assert line["poll"]["options"] == ["b", "a"]
    assert [vote["options"] for vote in line["poll"]["votes"]] == [["a", "b"], None, []]


async def test_waits_as_long_as_it_is_asked_to() -> None:
    answers = [
        httpx.Response(429, headers={"Retry-After": "0"}),
        httpx.Response(429, headers={"Retry-After": "0"}),
        httpx.Response(200, json={"sessions": []}),
    ]
    transport = httpx.MockTransport(lambda _: answers.pop(0))
    api = WagatewayApi("http://gateway", "token", transport=transport)
    assert [line async for line in api.lines(["vendas"])] == []
    assert answers == []


@pytest.mark.parametrize(
    ("asked", "seconds"), [("7", 7), ("9999", 60), ("soon", 1), ("", 1), ("\u0663", 1)]
)
def test_what_it_is_asked_to_wait_is_bounded(asked: str, seconds: float) -> None:
    answer = httpx.Response(429, headers=[(b"Retry-After", asked.encode())])
    assert _asked_s(answer) == seconds
