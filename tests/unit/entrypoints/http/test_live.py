"""Server-sent events through a real socket: what is told, how a client goes on, how it all ends."""

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Any, NamedTuple

import httpx
import msgspec
import pytest
from tests.unit.entrypoints.http.world import (
    ANA,
    API_TOKEN,
    application,
    client_of,
    delivery,
    filled_archive,
    live_of,
    text_message,
)

from wagateway.adapters.memory.archive import InMemoryArchive
from wagateway.adapters.memory.feed import InProcessWakeUp
from wagateway.domain.events import SessionChanged, SessionStatus
from wagateway.entrypoints.http import live as live_module
from wagateway.entrypoints.serve import listen, serving
from wagateway.usecases.live import Live

TOKEN = httpx.Headers([(b"X-Api-Token", API_TOKEN.encode())])


class Event(NamedTuple):
    """One block of a stream; *data* is None where it only brings an id or a comment."""

    id: str | None
    event: str | None
    data: Any
    comments: list[str]


class Events:
    """What a client reads from one answer."""

    def __init__(self, response: httpx.Response) -> None:
        self.response = response
        self._lines = response.aiter_lines()
        self.last_id: str | None = None

    async def block(self) -> Event:
        """Read to the next empty line, as the standard says."""
        fields: dict[str, str] = {}
        comments: list[str] = []
        async with asyncio.timeout(5):
            async for line in self._lines:
                if not line and (fields or comments):
                    break
                name, _, value = line.partition(":")
                if name:
                    fields[name] = value.removeprefix(" ")
                elif line:
                    comments.append(value.strip())
            else:
                raise EOFError
        self.last_id = fields.get("id", self.last_id)
        data = msgspec.json.decode(fields["data"]) if "data" in fields else None
        return Event(fields.get("id"), fields.get("event"), data, comments)

    async def change(self) -> Event:
        """Read to the next event that a listener is called for."""
        while (block := await self.block()).data is None:
            pass
        return block


class World:
    """A gateway on a socket, over an archive in memory."""

    def __init__(self, archive: InMemoryArchive, live: Live, url: str) -> None:
        self.archive = archive
        self.live = live
        self.url = url

    @asynccontextmanager
    async def listening(
        self, headers: dict[str, str] | None = None, **query: str
    ) -> AsyncIterator[Events]:
        async with (
            httpx.AsyncClient(base_url=self.url, headers=TOKEN, timeout=10) as client,
            client.stream("GET", "/api/live", params=query, headers=headers) as response,
        ):
            assert response.status_code == 200, await response.aread()
            yield Events(response)

    async def until_nobody_listens(self) -> None:
        async with asyncio.timeout(5):
            while self.live.streams:
                await asyncio.sleep(0.01)


@asynccontextmanager
async def opened(**options: Any) -> AsyncIterator[World]:  # noqa: ANN401 - whatever Live takes
    archive = await filled_archive()
    wake_up = InProcessWakeUp()
    archive._committed = wake_up.wake  # noqa: SLF001 - as the container does
    live = live_of(archive, wake_up, **options)
    app = application(reader=archive, live=live)
    with listen("127.0.0.1", 0) as listener:
        port = listener.getsockname()[1]
        async with serving(app, listener):
            yield World(archive, live, f"http://127.0.0.1:{port}")
    await live.aclose()


@pytest.fixture
async def world() -> AsyncIterator[World]:
    async with opened() as found:
        yield found


class TestWhatIsTold:
    async def test_a_message_is_an_event_with_its_place(self, world: World) -> None:
        async with world.listening() as events:
            await events.block()
            await world.archive.record([text_message(10, text="Olá\r\nmundo")])
            change = await events.change()
        assert change.event == "message"
        assert change.id == change.data["position"]
        assert change.data["kind"] == "message"
        assert (change.data["session"], change.data["chat_id"]) == ("default", ANA)
        assert change.data["id"] == "3EB00010"
        assert change.data["at"].endswith("Z")
        assert change.data["message"]["text"] == "Olá\r\nmundo"

    async def test_the_answer_is_neither_kept_nor_held_back(self, world: World) -> None:
        async with world.listening() as events:
            headers = events.response.headers
        assert headers["content-type"].partition(";")[0] == "text/event-stream"
        assert headers["cache-control"] == "no-store"
        assert headers["x-accel-buffering"] == "no"
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["transfer-encoding"] == "chunked"

    async def test_filters_are_obeyed(self, world: World) -> None:
        async with world.listening(
            session="default", chat="+55 11 98765-0102", kinds="message, edit"
        ) as events:
            await events.block()
            status = SessionChanged(status=SessionStatus.WORKING, at=text_message(1).received_at)
            await world.archive.record(
                [
                    text_message(10, session="other"),
                    delivery(status, at=status.at, event="session.status"),
                    text_message(11),
                ]
            )
            assert (await events.change()).data["id"] == "3EB00011"

    async def test_silence_is_broken_by_a_comment_with_the_place(
        self, world: World, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(live_module, "HEARTBEAT_S", 0.2)
        async with world.listening(kinds="sync") as events:
            opening = [await events.block(), await events.block()]
            assert opening[0].comments == ["wagateway"]
            await world.archive.record([text_message(10)])  # which is not wanted
            beats = [await events.block() for _ in range(3)]
        assert all(beat.data is None and beat.event is None and beat.id for beat in beats)
        assert beats[-1].id == (await world.archive.feed.position()).id != opening[1].id


class TestGoingOn:
    @pytest.mark.parametrize("way", ["header", "query", "both"])
    async def test_from_the_last_event(self, world: World, way: str) -> None:
        async with world.listening() as events:
            await events.block()
            await world.archive.record([text_message(n) for n in (10, 11)])
            first = await events.change()
            second = await events.change()
        await world.archive.record([text_message(12)])
        header = {} if way == "query" else {"Last-Event-ID": first.id or ""}
        query = {"header": "", "query": first.id or "", "both": second.id or ""}[way]
        async with world.listening(header, after=query) as events:
            found = [(await events.change()).data["id"] for _ in range(2)]
        assert found == ["3EB00011", "3EB00012"]

    async def test_from_the_opening(self, world: World) -> None:
        async with world.listening() as events:
            await events.block()
            await events.block()
            assert events.last_id is not None
        await world.archive.record([text_message(10)])
        async with world.listening({"Last-Event-ID": events.last_id}) as events:
            assert (await events.change()).data["id"] == "3EB00010"

    async def test_what_is_not_kept_is_a_reset(self, world: World) -> None:
        place = (await world.archive.feed.position())._replace(line="ffff")
        async with world.listening({"Last-Event-ID": place.id}) as events:
            reset = await events.change()
            assert (reset.event, reset.data["session"]) == ("reset", None)
            await world.archive.record([text_message(10)])
            assert (await events.change()).event == "message"

    @pytest.mark.parametrize("text", ["42", "x" * 5000, "1-2-3-4-5"])
    async def test_a_malformed_place_is_refused(self, world: World, text: str) -> None:
        async with client_of(application(reader=world.archive, live=world.live)) as client:
            client.headers = TOKEN
            for asked in (
                await client.get("/api/live", headers={"Last-Event-ID": text}),
                await client.get("/api/live", params={"after": text}),
            ):
                assert asked.status_code == 400
                assert "place in the feed" in asked.json()["detail"]
        assert world.live.streams == 0


class TestRefusals:
    @pytest.mark.parametrize("headers", [{}, {"X-Api-Token": "wrong"}])
    async def test_without_a_token_nothing_is_told(
        self, world: World, headers: dict[str, str]
    ) -> None:
        async with httpx.AsyncClient(base_url=world.url, headers=headers) as client:
            answer = await client.get("/api/live")
        assert answer.status_code == 401
        assert world.live.streams == 0

    @pytest.mark.parametrize(
        ("query", "status", "said"),
        [
            ({"chat": ANA}, 400, "together with session"),
            ({"session": "default", "chat": "nobody"}, 400, "phone number"),
            ({"kinds": "message,gossip"}, 400, "gossip"),
            ({"kinds": "reset"}, 400, "reset"),
            ({"session": "sales"}, 404, "sales"),
        ],
    )
    async def test_what_cannot_be_followed(
        self, world: World, query: dict[str, str], status: int, said: str
    ) -> None:
        async with httpx.AsyncClient(base_url=world.url, headers=TOKEN) as client:
            answer = await client.get("/api/live", params=query)
        assert (answer.status_code, said in answer.json()["detail"]) == (status, True)

    async def test_so_many_and_no_more(self) -> None:
        async with opened(most_streams=1) as world:
            async with (
                world.listening() as _,
                httpx.AsyncClient(base_url=world.url, headers=TOKEN) as client,
            ):
                answer = await client.get("/api/live")
                assert answer.status_code == 503
                assert "WHATSAPP_LIVE_MAX_STREAMS" in answer.json()["detail"]
                assert answer.headers["retry-after"]
            await world.until_nobody_listens()
            async with world.listening():
                pass


def stalled_client(url: str) -> socket.socket:
    """Return a connection that asks for everything and reads nothing."""
    host, port = url.removeprefix("http://").split(":")
    sock = socket.socket()
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    sock.connect((host, int(port)))
    head = f"GET /api/live HTTP/1.1\r\nHost: a\r\nX-Api-Token: {API_TOKEN}\r\n\r\n"
    sock.sendall(head.encode())
    return sock


async def flood(world: World) -> None:
    """Tell more than the buffers between a server and its client take."""
    async with asyncio.timeout(5):
        while not world.live.streams:
            await asyncio.sleep(0.01)
    await asyncio.sleep(0.1)
    for n in range(80):
        await world.archive.record([text_message(100 + n, text="palavra " * 20_000)])
        await asyncio.sleep(0)


class TestEndings:
    async def test_a_client_that_leaves_is_forgotten(self, world: World) -> None:
        async with world.listening() as events:
            await events.block()
            assert world.live.streams == 1
        await world.until_nobody_listens()

    async def test_who_takes_nothing_is_cut_and_disturbs_nobody(
        self, world: World, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(live_module, "STALLED_S", 0.5)
        with stalled_client(world.url) as sock:
            await flood(world)
            async with world.listening() as events:
                await events.block()
                async with asyncio.timeout(5):
                    while world.live.streams > 1:
                        await asyncio.sleep(0.05)
                await world.archive.record([text_message(10)])
                assert (await events.change()).data["id"] == "3EB00010"
            sock.settimeout(5)
            with suppress(ConnectionError):
                while await asyncio.to_thread(sock.recv, 2**20):
                    pass

    async def test_all_end_within_a_second_when_the_server_stops(self) -> None:
        archive = await filled_archive()
        live = live_of(archive)
        app = application(reader=archive, live=live)
        loop = asyncio.get_running_loop()
        with listen("127.0.0.1", 0) as listener:
            url = f"http://127.0.0.1:{listener.getsockname()[1]}"
            async with httpx.AsyncClient(base_url=url, headers=TOKEN, timeout=10) as client:
                async with serving(app, listener):
                    world = World(archive, live, url)
                    ends = [asyncio.create_task(to_the_end(client)) for _ in range(5)]
                    stalled = stalled_client(url)
                    await flood(world)
                    async with asyncio.timeout(5):
                        while live.streams < 6:
                            await asyncio.sleep(0.01)
                    began = loop.time()
                assert loop.time() - began < 1.5  # a second, and a look at the clock each 100 ms
                texts = await asyncio.gather(*ends)
                stalled.close()
        assert all(text.rstrip().endswith("go on with Last-Event-ID") for text in texts)
        assert live.streams == 0
        await live.aclose()

    async def test_a_defect_ends_the_answer_so_that_clients_go_on(
        self, world: World, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        async with world.listening() as events:
            await events.block()
            await events.block()

            async def broken(*_: object, **__: object) -> None:
                raise RuntimeError("segredo")

            monkeypatch.setattr(world.archive.feed, "read", broken)
            block = await events.block()
            assert "go on with Last-Event-ID" in block.comments[0]
            with pytest.raises(EOFError):
                await events.block()


async def to_the_end(client: httpx.AsyncClient) -> str:
    async with client.stream("GET", "/api/live") as response:
        return (await response.aread()).decode()
