import asyncio
import signal
from pathlib import Path

import httpx
import pytest
from tests.journeys.program import Running, free_port, numbered, run, running, up
from tests.support.gateway import until_gone

from wagateway.adapters.embedded.remains import server_processes
from wagateway.entrypoints.cli.endings import ExitCode

pytestmark = pytest.mark.slow


async def stored_ids(client: httpx.AsyncClient) -> set[str]:
    """Return the ids of all messages of the one chat."""
    ids: set[str] = set()
    before: dict[str, str] = {}
    while True:
        answer = await client.get(await _chat_path(client), params={"limit": "500"} | before)
        answer.raise_for_status()
        page = answer.json()
        ids |= {message["id"] for message in page["messages"]}
        if page["next"] is None:
            return ids
        before = {"before": page["next"]}


async def _chat_path(client: httpx.AsyncClient) -> str:
    chats = (await client.get("/api/chats/vendas")).raise_for_status().json()["chats"]
    return f"/api/messages/vendas/{chats[0]['id']}"


async def post(client: httpx.AsyncClient, stanza: str) -> httpx.Response:
    """Deliver one message."""
    return await client.post("/webhooks/messages", content=numbered(stanza))


async def test_shows_tokens_once_and_keeps_what_it_answered(tmp_path: Path) -> None:
    async with up(tmp_path) as gateway:
        await gateway.until("WHATSAPP_HOOK_CUSTOM_HEADERS")
        shown = gateway.out.rpartition("X-Whatsapp-Token:")[2].strip()
        assert shown == gateway.token("webhook_token")
        assert gateway.token("api_token") in gateway.out
        async with gateway.client() as client:
            answer = await post(client, "AAA1")
            assert answer.json()["stored"] == 1
            assert await stored_ids(client) == {"AAA1"}
        assert await gateway.stop(signal.SIGTERM) == ExitCode.OK
        assert server_processes(gateway.data_dir / "pg") == []
    async with up(tmp_path) as gateway:
        async with gateway.client() as client:
            assert await stored_ids(client) == {"AAA1"}
            assert (await post(client, "AAA1")).json()["duplicates"] == 1
        assert await gateway.stop(signal.SIGINT) == ExitCode.OK
        assert gateway.token("api_token") not in gateway.out
        assert gateway.token("webhook_token") not in gateway.out
        told = (tmp_path / "stderr.log").read_text()
        assert "Traceback" not in told
        begun, ended = "wagateway is stopping: ", "wagateway has stopped."
        assert [told.count(begun), told.count(ended)] == [2, 2]  # by each of the two signals
        assert told.rindex(begun) < told.rindex(ended)


async def test_refuses_a_folder_and_a_port_that_are_in_use(tmp_path: Path) -> None:
    async with up(tmp_path) as gateway:
        folder = ("--data-dir", str(gateway.data_dir))
        second = await run("up", *folder, "--port", str(free_port()), home=tmp_path)
        assert second.code == ExitCode.CONFLICT
        assert f"in use by process {gateway.process.pid}" in second.err
        elsewhere = ("--data-dir", str(tmp_path / "other"), "--port", str(gateway.port))
        third = await run("up", *elsewhere, home=tmp_path)
        assert third.code == ExitCode.CONFLICT
        assert f"Port {gateway.port} of 127.0.0.1 is in use" in third.err
        assert not (tmp_path / "other").exists()
        assert "Traceback" not in second.err + third.err


async def test_warns_of_a_database_that_it_may_not_migrate_and_cannot_reach(
    tmp_path: Path,
) -> None:
    env = {
        "WHATSAPP_DATABASE_URL": "postgresql://nobody@127.0.0.1:1/none",
        "WHATSAPP_AUTO_MIGRATE": "false",
    }
    port = free_port()
    words = ("up", "--port", str(port))
    async with running(*words, home=tmp_path, data_dir=tmp_path, port=port, env=env) as gateway:
        await gateway.until("wagateway is ready")
        assert await gateway.stop() == ExitCode.OK
    told = (tmp_path / "stderr.log").read_text()
    assert "Warning: The database does not let us in" in told
    assert "Traceback" not in told


async def test_keeps_what_it_answered_when_it_is_killed(tmp_path: Path) -> None:
    async with up(tmp_path) as gateway:
        answered = await _deliver_until_killed(gateway)
    assert answered
    async with up(tmp_path) as gateway, gateway.client() as client:
        assert answered <= await stored_ids(client)


async def _deliver_until_killed(gateway: Running) -> set[str]:
    answered: set[str] = set()

    async def deliver(worker: int) -> None:
        for number in range(10_000):
            stanza = f"K{worker:02}{number:05}"
            try:
                answer = await post(client, stanza)
            except httpx.RequestError:
                return
            if answer.status_code == 200:
                answered.add(stanza)

    async with gateway.client() as client, asyncio.TaskGroup() as tasks:
        for worker in range(8):
            tasks.create_task(deliver(worker))
        while len(answered) < 100:
            await asyncio.sleep(0.01)
        gateway.process.kill()
    return answered


async def test_finishes_a_request_in_flight_before_it_stops(tmp_path: Path) -> None:
    async with up(tmp_path) as gateway:
        reader, writer = await _half_posted(gateway, "INFLIGHT")
        gateway.process.send_signal(signal.SIGTERM)
        await asyncio.sleep(0.5)
        writer.write(numbered("INFLIGHT")[100:])
        answer = await reader.read()
        writer.close()
        assert answer.startswith(b"HTTP/1.1 200")
        assert b'"stored":1' in answer
        assert await gateway.wait() == ExitCode.OK
    async with up(tmp_path) as gateway, gateway.client() as client:
        assert await stored_ids(client) == {"INFLIGHT"}


async def test_a_second_signal_stops_it_at_once(tmp_path: Path) -> None:
    async with up(tmp_path) as gateway:
        _, writer = await _half_posted(gateway, "NEVER")
        gateway.process.send_signal(signal.SIGINT)
        await asyncio.sleep(0.5)
        assert gateway.process.returncode is None
        async with asyncio.timeout(2):
            assert await gateway.stop(signal.SIGINT) == ExitCode.INTERRUPTED
        writer.close()
        await until_gone(gateway.data_dir / "pg")


async def _half_posted(
    gateway: Running, stanza: str
) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """Begin to deliver a message, up to its hundredth byte."""
    body = numbered(stanza)
    reader, writer = await asyncio.open_connection("127.0.0.1", gateway.port)
    writer.write(
        b"POST /webhooks/messages HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
        + f"X-Whatsapp-Token: {gateway.token('webhook_token')}\r\n".encode()
        + f"Content-Length: {len(body)}\r\n\r\n".encode()
        + body[:100]
    )
    await writer.drain()
    await asyncio.sleep(0.2)
    return reader, writer


async def test_whoever_follows_is_told_and_let_go_within_a_second(tmp_path: Path) -> None:
    async with up(tmp_path) as gateway, gateway.client() as client:
        async with client.stream("GET", "/api/live", params={"kinds": "message"}) as following:
            lines = following.aiter_lines()
            async with asyncio.timeout(10):
                assert await anext(lines) == ": wagateway"
                await post(client, "AAA1")
                while not (line := await anext(lines)).startswith("data: "):
                    pass
            assert '"id":"AAA1"' in line
            loop = asyncio.get_running_loop()
            began = loop.time()
            stopping = asyncio.create_task(gateway.stop(signal.SIGTERM))
            async with asyncio.timeout(10):
                rest = [line async for line in lines]
            assert loop.time() - began < 1.0
        assert any("Last-Event-ID" in line for line in rest)
        assert await stopping == ExitCode.OK
