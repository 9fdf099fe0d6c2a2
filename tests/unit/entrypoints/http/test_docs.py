import base64
import hashlib
import json
import re
from collections.abc import Iterator
from html.parser import HTMLParser
from importlib.metadata import version
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

import httpx
import pytest
from tests.unit.entrypoints.http.world import application, client_of
from typing_extensions import override

from wagateway.entrypoints.http.docs import render
from wagateway.entrypoints.http.problems import KINDS

Json = dict[str, Any]

ROUTES = {
    ("post", "/webhooks/messages"): {400, 401, 408, 413, 415, 429, 500, 503},
    ("get", "/api/messages/{session}/{chat}"): {400, 401, 404, 429, 500, 503},
    ("get", "/api/chats/{session}"): {400, 401, 404, 429, 500, 503},
    ("get", "/api/contacts/{session}"): {400, 401, 404, 429, 500, 503},
    ("get", "/api/sessions"): {401, 429, 500, 503},
    ("get", "/api/events"): {400, 401, 429, 500, 503},
    ("get", "/api/events/{event_id}/body"): {400, 401, 404, 429, 500, 503},
    ("get", "/api/coverage/{session}"): {400, 401, 404, 429, 500, 503},
    ("get", "/api/coverage/{session}/{chat}"): {400, 401, 404, 429, 500, 503},
    ("get", "/api/sync/{session}"): {400, 401, 404, 429, 500, 503},
    ("post", "/api/sync/{session}"): {400, 401, 404, 429, 500, 503},
    ("post", "/api/sync/{session}/pause"): {400, 401, 404, 429, 500, 503},
    ("post", "/api/sync/{session}/resume"): {400, 401, 404, 429, 500, 503},
    ("post", "/api/sync/{session}/{chat}"): {400, 401, 404, 429, 500, 503},
    ("post", "/api/sync/{session}/{chat}/pause"): {400, 401, 404, 429, 500, 503},
    ("post", "/api/sync/{session}/{chat}/resume"): {400, 401, 404, 429, 500, 503},
    ("get", "/api/media/{session}"): {400, 401, 404, 429, 500, 503},
    ("post", "/api/media/{session}/retry"): {400, 401, 404, 429, 500, 503},
    ("get", "/api/media/{session}/{chat}/{message_id}"): {400, 401, 404, 410, 416, 429, 500, 503},
    ("get", "/api/media/{session}/{chat}/{message_id}/thumbnail"): {
        *(400, 401, 404, 410, 416, 429, 500, 503),
    },
    ("get", "/api/live"): {400, 401, 404, 429, 500, 503},
    ("get", "/metrics"): {401, 429, 500},
    ("get", "/health"): {500, 503},
    ("get", "/health/ready"): {500, 503},
    ("get", "/health/live"): {500},
}


DOCS = Path(__file__).parents[4] / "docs"
MEDIA_PAGE = DOCS / "MEDIA.md"
API_PAGE = (DOCS / "API.md").read_text("utf-8")
FILE = "/api/media/{session}/{chat}/{message_id}"
CURL = re.compile(r"^curl (.*?)'?http://127\.0\.0\.1:4011(/[^\s'?]*)(?:\?([^\s']*))?", re.MULTILINE)


@pytest.fixture
async def document() -> Json:
    async with client_of(application()) as client:
        response = await client.get("/schema/openapi.json")
    assert response.status_code == 200
    parsed: Json = response.json()
    return parsed


@pytest.fixture
async def page() -> httpx.Response:
    async with client_of(application()) as client:
        response = await client.get("/docs")
    assert response.status_code == 200
    return response


async def test_the_bare_address_leads_to_the_page_where_there_is_one() -> None:
    async with client_of(application()) as client:
        answer = await client.get("/")
        assert (answer.status_code, answer.headers["location"]) == (307, "docs")
        assert (await client.get("/", follow_redirects=True)).url.path == "/docs"
    async with client_of(application(docs=False)) as client:
        assert (await client.get("/")).status_code == 404


def operations(document: Json) -> Iterator[tuple[tuple[str, str], Json]]:
    for path, item in document["paths"].items():
        for method, operation in item.items():
            yield (method, path), operation


async def test_the_document_names_itself(document: Json) -> None:
    assert document["openapi"].startswith("3.1")
    assert document["info"]["title"] == "wagateway"
    assert document["info"]["version"] == version("wagateway")


async def test_every_route_is_documented_with_its_errors(document: Json) -> None:
    found = {
        route: {int(status) for status in operation["responses"]} - {200, 202, 206, 302, 304}
        for route, operation in operations(document)
    }
    assert found == ROUTES


async def test_every_operation_is_described(document: Json) -> None:
    for route, operation in operations(document):
        assert operation["summary"], route
        assert len(operation["description"]) > 40, route
        assert len({"200", "202"} & set(operation["responses"])) == 1, route
        for parameter in operation.get("parameters", []):
            assert parameter["description"], (route, parameter["name"])
            assert parameter["examples"], (route, parameter["name"])
        for status, response in operation["responses"].items():
            assert response["description"] not in ("", "Additional response"), route
            for media, content in response.get("content", {}).items():
                problem = int(status) >= 400 and not route[1].startswith("/health")
                assert (media == "application/problem+json") == (problem or status == "500"), (
                    route,
                    status,
                )
                if media not in {"application/octet-stream", "*/*", "image/*"}:
                    assert content["examples"], (route, status)


async def test_the_headers_of_problems_are_documented(document: Json) -> None:
    told = {
        (status, header)
        for _, operation in operations(document)
        for status, response in operation["responses"].items()
        for header, about in response.get("headers", {}).items()
        if about["required"] and about["description"]
    }
    assert told == {
        ("401", "WWW-Authenticate"),
        ("429", "Retry-After"),
        ("503", "Retry-After"),
    }


async def test_every_operation_names_its_credentials(document: Json) -> None:
    schemes = set(document["components"]["securitySchemes"])
    assert schemes == {"apiToken", "bearer", "metricsToken", "webhookToken", "webhookHmac"}
    for (_, path), operation in operations(document):
        names = [name for way in operation.get("security", []) for name in way]
        if path.startswith("/api"):
            assert names == ["apiToken", "bearer"]
        elif path.startswith("/webhooks"):
            assert names == ["webhookToken", "webhookHmac"]
        elif path == "/metrics":
            assert names == ["metricsToken", "apiToken"]
        else:
            assert names == []


async def test_a_file_that_is_not_stored_is_documented(document: Json) -> None:
    for path in (FILE, f"{FILE}/thumbnail"):
        [told] = document["paths"][path]["get"]["responses"]["404"]["content"].values()
        [example] = told["examples"].values()
        assert example["value"]["media_status"] == "expired"
    problem = document["components"]["schemas"]["Problem"]["properties"]
    assert problem["media_status"]["description"]
    assert problem["media_problem"]["description"]


async def test_what_the_page_on_files_asks_for_exists(document: Json) -> None:
    section = MEDIA_PAGE.read_text("utf-8").partition("## Over HTTP")[2].partition("\n## ")[0]
    asked = re.findall(
        r'^curl .*?(-X POST )?"\$(FILES?)([^"?]*)(?:\?([^"]*))?"', section, re.MULTILINE
    )
    assert len(asked) >= 9
    starts = {"FILE": FILE, "FILES": "/api/media"}
    for post, start, rest, query in asked:
        path = starts[start] + rest.replace("/default", "/{session}")
        operation = document["paths"][path]["post" if post else "get"]
        known = {each["name"] for each in operation["parameters"] if each["in"] == "query"}
        assert {name for name, _ in parse_qsl(query)} <= known
    [example] = re.findall(r"```json\n(.*?)```", section, re.DOTALL)
    [told] = document["paths"][FILE]["get"]["responses"]["404"]["content"].values()
    assert [json.loads(example)] == [each["value"] for each in told["examples"].values()]


async def test_whatever_is_asked_for_by_curl_exists(document: Json) -> None:
    asked = [
        found
        for page in (DOCS.parent / "README.md", *DOCS.glob("*.md"))
        for found in CURL.findall(page.read_text("utf-8"))
    ]
    assert len(asked) > 15
    for options, address, query in asked:
        [path] = [path for path in document["paths"] if is_of(path, address)]
        operation = document["paths"][path]["post" if "-X POST" in options else "get"]
        known = {each["name"] for each in operation.get("parameters", ()) if each["in"] == "query"}
        assert {name for name, _ in parse_qsl(query)} <= known, address


def is_of(path: str, address: str) -> bool:
    return bool(re.fullmatch(re.sub(r"\{\w+\}", "[^/]+", path), address))


async def test_the_webhook_names_its_body(document: Json) -> None:
    body = document["paths"]["/webhooks/messages"]["post"]["requestBody"]
    assert body["required"]
    assert body["content"]["application/json"]["examples"]


async def test_operation_ids_are_unique(document: Json) -> None:
    ids = [operation["operationId"] for _, operation in operations(document)]
    assert len(set(ids)) == len(ids)


async def test_every_reference_leads_somewhere(document: Json) -> None:
    references = set(re.findall(r"'\$ref': '#/components/schemas/(\w+)'", str(document)))
    assert references
    assert references <= set(document["components"]["schemas"])


async def test_fields_carry_their_meaning(document: Json) -> None:
    message = document["components"]["schemas"]["MessageView"]
    assert message["description"] == "One archived message in its current state."
    assert "stanza id" in message["properties"]["id"]["description"]
    assert "``" not in str(document)


class Page(HTMLParser):
    """Collects what a page refers to, and what can be referred to."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.targets: set[str] = set()
        self.links: set[str] = set()
        self.tags: set[str] = set()
        self.feed(text)

    @override
    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        if tag != "meta":
            self.open.append(tag)
        for name, value in attrs:
            assert name in {"id", "href", "class", "charset", "content", "name", "lang", "open"} | {
                "aria-label"
            }
            if name == "id":
                self.targets.add(value or "")
            if name == "href":
                self.links.add(value or "")

    @override
    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


async def test_the_page_loads_nothing(page: httpx.Response) -> None:
    assert page.headers["content-type"] == "text/html; charset=utf-8"
    parsed = Page(page.text)
    assert parsed.tags.isdisjoint({"script", "link", "img", "iframe", "form", "object"})
    assert "http:" not in page.text
    assert "https:" not in page.text
    assert "url(" not in page.text
    assert "@import" not in page.text
    assert 'href="//' not in page.text


async def test_the_page_is_whole(page: httpx.Response) -> None:
    parsed = Page(page.text)
    assert parsed.open == []
    inside = {link for link in parsed.links if link.startswith("#")}
    assert {link.removeprefix("#") for link in inside} <= parsed.targets
    assert parsed.links - inside == {"/schema/openapi.json"}


async def test_the_page_shows_every_route_and_problem(page: httpx.Response) -> None:
    for _, path in ROUTES:
        assert f"<code>{path}</code>" in page.text
    targets = Page(page.text).targets
    assert {f"problem-{kind.slug}" for kind in KINDS.values()} <= targets


async def test_the_page_shows_how_several_values_are_given(page: httpx.Response) -> None:
    assert "<code>status=failed&amp;status=skipped</code>" in page.text


async def test_the_policy_admits_the_style_and_nothing_else(page: httpx.Response) -> None:
    policy = page.headers["content-security-policy"]
    (style,) = re.findall(r"<style>(.*?)</style>", page.text, re.DOTALL)
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    assert f"style-src 'sha256-{digest}'" in policy
    assert policy.startswith("default-src 'none';")
    assert "unsafe" not in policy


async def test_text_cannot_become_markup(document: Json) -> None:
    hostile = {**document, "info": {"title": "<b>", "version": "&", "description": "<script>"}}
    text = render(hostile)
    assert "<script>" not in text
    assert "<b> API" not in text


async def test_the_page_of_the_api_lists_all_routes(document: Json) -> None:
    told = re.findall(r"^\| `(GET|POST) (/\S+)` \|", API_PAGE, re.MULTILINE)
    routes = [(m.upper(), path) for path, item in document["paths"].items() for m in item]
    assert sorted(told) == sorted(routes)


def test_the_page_of_the_api_lists_all_kinds_of_problems() -> None:
    told = re.findall(r"^\| (\d{3}) \| `([a-z-]+)` \|", API_PAGE, re.MULTILINE)
    assert told == [(str(status), kind.slug) for status, kind in KINDS.items()]


async def test_docs_can_be_switched_off() -> None:
    async with client_of(application(docs=False)) as client:
        for path in ("/docs", "/schema", "/schema/openapi.json"):
            assert (await client.get(path)).status_code == 404
        assert (await client.get("/health")).status_code == 200
