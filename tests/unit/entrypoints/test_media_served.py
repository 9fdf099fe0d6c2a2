"""Files as the real server hands them out: over a socket, and from a real bucket."""

import asyncio
import dataclasses
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import httpx
import pytest
from tests.support.deliveries import delivery
from tests.support.media_world import photo
from tests.support.postgres import Servers, fresh_database
from tests.support.s3 import S3Server, needs_s3
from tests.unit.entrypoints.http.test_media import BYTES, FILE, PREVIEW, SHA256, World
from tests.unit.entrypoints.http.world import (
    ANA,
    API,
    API_TOKEN,
    NOON,
    WEBHOOK_TOKEN,
    application,
    library_of,
)
from typing_extensions import override

from wagateway.adapters.memory.media import InMemoryMediaStore
from wagateway.adapters.minio.media import open_minio
from wagateway.domain.media import MediaKey
from wagateway.domain.messages import MediaOffer
from wagateway.entrypoints.containers import open_services
from wagateway.entrypoints.secrets import GatewaySecrets
from wagateway.entrypoints.serve import App, build_app, listen, serving
from wagateway.entrypoints.settings import Settings

ETAG = f'"{SHA256}"'
SIZE = len(BYTES)
TOKEN = list(API.items())
OFFER = MediaOffer(offered_at=NOON, url="http://localhost:3000/api/files/A1")
PIECE = bytes(256 * 1024)


@asynccontextmanager
async def served(world: World, *, redirects: bool = False) -> AsyncIterator[int]:
    """Serve the files of *world*; yield the port."""
    library = dataclasses.replace(library_of(world.archive, world.media), redirects=redirects)
    async with serving_at(application(reader=world.archive, library=library)) as port:
        yield port


@asynccontextmanager
async def serving_at(app: App) -> AsyncIterator[int]:
    """Serve *app* as the gateway does; yield the port."""
    with listen("127.0.0.1", 0) as listener:
        async with serving(app, listener):
            yield listener.getsockname()[1]


def calling(port: int) -> httpx.AsyncClient:
    """Return a client that has the token."""
    return httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", headers=TOKEN, trust_env=False)


@pytest.fixture
async def world(tmp_path: Path) -> World:
    world = World(tmp_path)
    await world.tell()
    await world.look("image/jpeg")
    return world


@pytest.fixture
async def client(world: World) -> AsyncIterator[httpx.AsyncClient]:
    async with served(world) as port, calling(port) as client:
        yield client


class TestFiles:
    async def test_come_whole(self, client: httpx.AsyncClient) -> None:
        for path, content, etag in (
            (FILE, BYTES, ETAG),
            (f"{FILE}/thumbnail", PREVIEW, f'"{SHA256}-thumbnail"'),
        ):
            answer = await client.get(path)
            assert (answer.status_code, answer.content) == (200, content)
            assert answer.headers["content-length"] == str(len(content))
            assert answer.headers["etag"] == etag
            assert "transfer-encoding" not in answer.headers

    @pytest.mark.parametrize(
        ("asked", "first", "last"),
        [
            ("bytes=0-0", 0, 0),
            ("bytes=100-299", 100, 299),
            ("bytes=1000-", 1000, SIZE - 1),
            ("bytes=-24", SIZE - 24, SIZE - 1),
            ("bytes=-5000", 0, SIZE - 1),
            ("bytes=1000-5000", 1000, SIZE - 1),
        ],
    )
    async def test_come_in_part(
        self, client: httpx.AsyncClient, asked: str, first: int, last: int
    ) -> None:
        answer = await client.get(FILE, headers={"Range": asked})
        assert (answer.status_code, answer.content) == (206, BYTES[first : last + 1])
        assert answer.headers["content-range"] == f"bytes {first}-{last}/{SIZE}"
        assert answer.headers["content-length"] == str(last + 1 - first)

    @pytest.mark.parametrize("asked", ["bytes=0-1,4-5", "bytes=5-4", "bytes=-", "lines=1-2"])
    async def test_come_whole_where_no_single_part_is_named(
        self, client: httpx.AsyncClient, asked: str
    ) -> None:
        answer = await client.get(FILE, headers={"Range": asked})
        assert (answer.status_code, answer.content) == (200, BYTES)

    @pytest.mark.parametrize("asked", [f"bytes={SIZE}-", "bytes=5000-6000", "bytes=-0"])
    async def test_have_no_part_behind_their_end(
        self, client: httpx.AsyncClient, asked: str
    ) -> None:
        answer = await client.get(FILE, headers={"Range": asked})
        assert answer.status_code == 416
        assert answer.headers["content-range"] == f"bytes */{SIZE}"

    async def test_are_gone_on_with_only_where_they_are_the_same(
        self, client: httpx.AsyncClient
    ) -> None:
        for held, status in ((ETAG, 206), ('"other"', 200), (f"W/{ETAG}", 200)):
            answer = await client.get(FILE, headers={"Range": "bytes=4-", "If-Range": held})
            assert answer.status_code == status
            assert answer.content == (BYTES[4:] if status == 206 else BYTES)

    async def test_are_not_sent_to_who_has_them(self, client: httpx.AsyncClient) -> None:
        for method in ("GET", "HEAD"):
            for held in (ETAG, f'"other", {ETAG}', "*"):
                answer = await client.request(method, FILE, headers={"If-None-Match": held})
                assert (answer.status_code, answer.content) == (304, b"")
            answer = await client.request(method, FILE, headers={"If-None-Match": '"other"'})
            assert answer.status_code == 200

    async def test_have_their_headers_told_alone(self, client: httpx.AsyncClient) -> None:
        # One connection for all: what an answer had too much would be read as the next.
        for path in (FILE, f"{FILE}/thumbnail"):
            whole = await client.get(path)
            alone = await client.head(path)
            assert (alone.status_code, alone.content) == (200, b"")
            for name in ("content-length", "content-type", "content-disposition", "etag"):
                assert alone.headers[name] == whole.headers[name]
        absent = await client.head(f"{FILE[:-1]}2")
        assert (absent.status_code, absent.content) == (404, b"")
        assert (await client.get(FILE)).content == BYTES

    async def test_are_for_those_with_a_token(self, client: httpx.AsyncClient) -> None:
        del client.headers["x-api-token"]
        for path in (FILE, f"{FILE}/thumbnail", "/api/media/default", f"{FILE[:-1]}2"):
            for headers in ({}, {"X-Api-Token": "wrong"}, {"Authorization": "Bearer wrong"}):
                for method in ("GET", "HEAD"):
                    answer = await client.request(method, path, headers=headers)
                    assert answer.status_code == 401
        assert (await client.post("/api/media/default/retry")).status_code == 401


class EndlessStore(InMemoryMediaStore):
    """Has a file of which there is always more, or none for now; tells when reading ended."""

    def __init__(self, *, stalls: bool) -> None:
        super().__init__()
        self._stalls = stalls
        self.closed = asyncio.Event()

    @override
    async def size_bytes(self, key: MediaKey) -> int:
        return 2**40

    @override
    async def read(
        self, key: MediaKey, *, start: int = 0, length: int | None = None
    ) -> AsyncIterator[bytes]:
        try:
            yield PIECE
            if self._stalls:
                await asyncio.Event().wait()
            while True:
                yield PIECE
                await asyncio.sleep(0)
        finally:
            self.closed.set()


@pytest.mark.parametrize("stalls", [True, False], ids=["while-reading", "while-sending"])
async def test_who_goes_away_lets_the_store_go(tmp_path: Path, *, stalls: bool) -> None:
    world = World(tmp_path)
    world.media = store = EndlessStore(stalls=stalls)
    await world.tell()
    async with served(world) as port:
        async with calling(port) as client, client.stream("GET", FILE) as answer:
            assert answer.status_code == 200
            assert await anext(answer.aiter_raw())
            assert not store.closed.is_set()
        async with asyncio.timeout(5):
            await store.closed.wait()


HOSTILE = {
    "dots": "..",
    "dots-and-a-slash": "..%2f..%2fetc%2fpasswd",
    "dots-in-hex": "%2e%2e",
    "dots-twice-in-hex": "%252e%252e%252f",
    "backslashes": "..%5c..%5cwindows",
    "nul": "%00",
    "nul-within": "A1%00.jpg",
    "line-break": "A1%0d%0aSet-Cookie:%20x=1",
    "no-utf-8": "%ff%fe",
    "surrogate": "%ed%a0%80",
    "right-to-left": "%e2%80%aegpj.exe",
    "emoji": "%f0%9f%8f%96" * 40,
    "long": "x" * 5_000,
    "very-long": "9" * 30_000,
    "long-in-hex": "%e7" * 10_000,
    "jid-like": "@c.us",
    "sql": "'%3b%20DROP%20TABLE%20messages%3b--",
    "percent": "%25",
    "no-hex": "%zz",
    "space": "%20",
    "bytes": "praça",
}
REFUSED = {400, 404, 405}
PLACES = {
    "session": "/api/media/{}/" + f"{ANA}/A1",
    "chat": "/api/media/default/{}/A1",
    "id": f"/api/media/default/{ANA}/" + "{}",
    "preview": f"/api/media/default/{ANA}/" + "{}/thumbnail",
    "gallery": "/api/media/{}",
}


class TestNames:
    @pytest.fixture(params=["memory", pytest.param("embedded", marks=pytest.mark.embedded)])
    async def port(
        self,
        request: pytest.FixtureRequest,
        world: World,
        tmp_path: Path,
        postgres_servers: Servers,
    ) -> AsyncIterator[int]:
        if request.param == "memory":
            async with served(world) as port:
                yield port
            return
        async with fresh_database(await postgres_servers.url("embedded")) as url:
            settings = Settings(database_url=url, media_dir=tmp_path / "media")
            async with open_services(settings) as services:
                await services.archive.record(
                    [delivery(photo("A1", offer=OFFER), session="default")]
                )
                secrets = GatewaySecrets(
                    api_token=API_TOKEN, webhook_token=WEBHOOK_TOKEN, webhook_hmac_key=None
                )
                async with serving_at(build_app(settings, services, secrets)) as port:
                    yield port

    @pytest.mark.parametrize("place", PLACES.values(), ids=PLACES)
    async def test_lead_nobody_astray(self, port: int, place: str) -> None:
        told = {
            (name, method): await status_of(port, method, place.format(value))
            for name, value in HOSTILE.items()
            for method in ("GET", "HEAD")
        }
        assert {key: status for key, status in told.items() if status not in REFUSED} == {}

    @pytest.mark.parametrize(
        ("method", "target"),
        [
            ("GET", FILE + "?account={}"),
            ("GET", FILE + "?sha256={}"),
            ("GET", "/api/media/default?before={}"),
            ("POST", "/api/media/{}/retry"),
            ("POST", "/api/media/default/retry?chat={}&message_id=A1"),
        ],
        ids=["account", "sha256", "before", "session", "chat"],
    )
    async def test_are_refused_as_values(self, port: int, method: str, target: str) -> None:
        told = {
            name: await status_of(port, method, target.format(value))
            for name, value in HOSTILE.items()
        }
        assert {key: status for key, status in told.items() if status not in REFUSED} == {}

    async def test_of_messages_are_never_found(self, port: int) -> None:
        for value in HOSTILE.values():
            target = f"/api/media/default/retry?chat={ANA}&message_id={value}"
            assert await status_of(port, "POST", target) in {202, 400}


async def status_of(port: int, method: str, target: str) -> int:
    """Ask for *target* as it is written, which a client would mend."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    head = f"{method} {target} HTTP/1.1\r\nHost: a\r\nX-Api-Token: {API_TOKEN}\r\n"
    writer.write(head.encode() + b"Connection: close\r\n\r\n")
    try:
        async with asyncio.timeout(10):
            answer = await reader.read()
    finally:
        writer.close()
    return int(answer.split(b" ", 2)[1])


class TestBucket:
    pytestmark = needs_s3

    @pytest.fixture
    async def world(self, s3_server: S3Server, tmp_path: Path) -> AsyncIterator[World]:
        with s3_server.fresh_bucket() as bucket:
            async with open_minio(bucket) as store:
                await store.prepare()
                world = World(tmp_path)
                world.media = store
                await world.tell(filename="praça.jpg")
                await world.look("image/jpeg")
                yield world

    async def test_the_address_serves_who_has_no_token(self, world: World) -> None:
        async with served(world, redirects=True) as port, calling(port) as client:
            for path, content, mimetype in (
                (FILE, BYTES, "image/jpeg"),
                (f"{FILE}/thumbnail", PREVIEW, "image/webp"),
            ):
                told = await client.get(path)
                assert (told.status_code, told.content) == (302, b"")
                async with httpx.AsyncClient(trust_env=False) as stranger:
                    answer = await stranger.get(told.headers["location"])
                    part = await stranger.get(
                        told.headers["location"], headers={"Range": "bytes=1-3"}
                    )
                assert (answer.status_code, answer.content) == (200, content)
                assert answer.headers["content-type"] == mimetype
                assert (part.status_code, part.content) == (206, content[1:4])

    async def test_the_address_keeps_the_name(self, world: World) -> None:
        async with served(world, redirects=True) as port, calling(port) as client:
            for asked, how in (("", "inline"), ("?download=true", "attachment")):
                told = await client.get(f"{FILE}{asked}")
                async with httpx.AsyncClient(trust_env=False) as stranger:
                    answer = await stranger.get(told.headers["location"])
                named = answer.headers["content-disposition"]
                assert named.startswith(how)
                assert "pra%C3%A7a.jpg" in named

    async def test_there_is_no_address_without_a_token(self, world: World) -> None:
        async with served(world, redirects=True) as port, calling(port) as client:
            del client.headers["x-api-token"]
            answer = await client.get(FILE)
        assert answer.status_code == 401
        assert "location" not in answer.headers

    async def test_the_bytes_are_passed_on_where_that_is_asked_for(self, world: World) -> None:
        async with served(world, redirects=True) as port, calling(port) as client:
            whole = await client.get(FILE, params={"redirect": "false"})
            part = await client.get(
                FILE, params={"redirect": "false"}, headers={"Range": "bytes=-24"}
            )
            held = await client.get(FILE, headers={"If-None-Match": ETAG})
        assert (whole.status_code, whole.content) == (200, BYTES)
        assert (part.status_code, part.content) == (206, BYTES[-24:])
        assert held.status_code == 304
