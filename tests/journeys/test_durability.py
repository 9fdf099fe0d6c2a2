"""G1 with real processes: what was answered 200 is there, whatever is killed."""

import asyncio
import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import httpx
import pytest
from tests.support.hung import frozen

pytestmark = [pytest.mark.slow, pytest.mark.embedded]

API_TOKEN = "api-token-of-the-durability-test"
TOKEN = "webhook-token-of-the-durability-test"
ANA = "5511987650102@c.us"


def free_port() -> int:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        port: int = sock.getsockname()[1]
        return port


def body(number: int) -> bytes:
    payload = {
        "id": f"false_{ANA}_S{number}",
        "timestamp": 1_791_000_000 + number,
        "from": ANA,
        "fromMe": False,
        "body": f"mensagem {number}",
    }
    me = {"id": "5511912340001@c.us"}
    event = {"event": "message.any", "session": "vendas", "me": me, "payload": payload}
    return json.dumps({**event, "engine": "NOWEB"}).encode()


@asynccontextmanager
async def up(data_dir: Path, port: int, **settings: str) -> AsyncIterator[subprocess.Popen[bytes]]:
    """Run `wagateway up` until it answers; kill what is left of it afterwards."""
    environ = {name: value for name, value in os.environ.items() if "WHATSAPP" not in name}
    environ |= {"WHATSAPP_GATEWAY_API_TOKEN": API_TOKEN, "WHATSAPP_WEBHOOK_TOKEN": TOKEN}
    environ |= settings
    command = [sys.executable, "-m", "wagateway.entrypoints.cli", "up"]
    process = subprocess.Popen(
        [*command, "--data-dir", str(data_dir), "--port", str(port)],
        env=environ,
        cwd=data_dir.parent,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        async with httpx.AsyncClient() as client:
            for _ in range(300):
                assert process.poll() is None, "the gateway ended by itself"
                try:
                    answer = await client.get(f"http://127.0.0.1:{port}/health")
                except httpx.TransportError:
                    await asyncio.sleep(0.1)
                    continue
                if answer.status_code == 200:
                    break
            else:
                pytest.fail("the gateway did not become healthy")
        yield process
    finally:
        process.kill()
        process.wait()


async def deliver(client: httpx.AsyncClient, numbers: range, answered: set[str]) -> None:
    """Post as WAHA does, and note what was answered 200."""
    limit = asyncio.Semaphore(16)

    async def post(number: int) -> None:
        async with limit:
            try:
                answer = await client.post("/webhooks/messages", content=body(number))
            except httpx.TransportError:
                return
            if answer.status_code == 200:
                answered.add(f"S{number}")

    await asyncio.gather(*(post(number) for number in numbers))


async def until(reached: Callable[[], bool]) -> None:
    """Wait, within the test's time limit, for something that other tasks bring about."""
    while not reached():
        await asyncio.sleep(0.01)


async def drained(client: httpx.AsyncClient) -> None:
    """Wait until the database is there, and nothing waits in the spool."""
    async with asyncio.timeout(60):
        while True:
            with suppress(httpx.TransportError):
                parts = (await client.get("/health")).json()["parts"]
                if parts["store"]["status"] == parts["spool"]["status"] == "ok":
                    return
            await asyncio.sleep(0.05)


async def archived(client: httpx.AsyncClient) -> list[str]:
    """Return the ids of all messages, page by page."""
    found: list[str] = []
    before: dict[str, str] = {}
    while True:
        answer = await client.get(f"/api/messages/vendas/{ANA}", params={"limit": "500", **before})
        assert answer.status_code == 200, answer.text
        page = answer.json()
        found += [message["id"] for message in page["messages"]]
        if page["next"] is None:
            return found
        before = {"before": page["next"]}


def client_of(port: int) -> httpx.AsyncClient:
    headers = {"X-Whatsapp-Token": TOKEN, "X-Api-Token": API_TOKEN}
    headers["content-type"] = "application/json"
    return httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", headers=headers, timeout=20)


def database_pid(data_dir: Path) -> int:
    """Return the embedded server's main process, by its pid file."""
    return int((data_dir / "pg" / "postmaster.pid").read_text().split()[0])


async def test_what_was_answered_200_survives_the_death_of_gateway_and_database(
    tmp_path: Path,
) -> None:
    data_dir, port = tmp_path / "data dir", free_port()
    answered: set[str] = set()
    async with up(data_dir, port) as gateway, client_of(port) as client:
        await deliver(client, range(200), answered)
        assert len(answered) == 200
        flood = asyncio.create_task(deliver(client, range(200, 3000), answered))
        await until(lambda: len(answered) > 300)
        os.kill(gateway.pid, signal.SIGKILL)
        os.kill(database_pid(data_dir), signal.SIGKILL)
        await flood
    assert len(answered) > 200
    async with up(data_dir, port) as gateway, client_of(port) as client:
        await drained(client)
        kept = await archived(client)
        assert answered <= set(kept)
        assert len(kept) == len(set(kept))
        gateway.send_signal(signal.SIGTERM)
        assert await asyncio.to_thread(gateway.wait, 20) in {0, 143, -signal.SIGTERM}


async def test_a_database_restart_under_load_loses_and_mixes_nothing(tmp_path: Path) -> None:
    data_dir, port = tmp_path / "data", free_port()
    answered: set[str] = set()
    async with up(data_dir, port), client_of(port) as client:
        flood = asyncio.create_task(deliver(client, range(1500), answered))
        await until(lambda: len(answered) > 100)
        before = database_pid(data_dir)
        os.kill(before, signal.SIGINT)
        await flood
        while len(answered) < 1500:
            await deliver(client, range(1500), answered)
        assert len(answered) == 1500
        await drained(client)
        page = await client.get(f"/api/messages/vendas/{ANA}", params={"limit": "500"})
        texts = {message["id"]: message["text"] for message in page.json()["messages"]}
        assert texts == {id_: f"mensagem {id_[1:]}" for id_ in texts}
        kept = await archived(client)
        assert database_pid(data_dir) != before
    assert sorted(kept) == sorted(answered)


@pytest.mark.skipif(sys.platform != "linux", reason="looks for processes in /proc")
async def test_a_database_that_hangs_is_a_503_before_waha_gives_up(tmp_path: Path) -> None:
    data_dir, port = tmp_path / "data", free_port()
    async with up(data_dir, port, WHATSAPP_SPOOL="off"), client_of(port) as client:
        assert (await client.post("/webhooks/messages", content=body(1))).status_code == 200
        with frozen(database_pid(data_dir)):
            first = await client.post("/webhooks/messages", content=body(2), timeout=8)
            assert (first.status_code, first.headers["retry-after"]) == (503, "2")
            at_once = await client.post("/webhooks/messages", content=body(3), timeout=2)
            assert at_once.status_code == 503
            assert (await client.get("/health/ready", timeout=4)).status_code == 503
            assert (await client.get("/health/live", timeout=2)).status_code == 200
        answered: set[str] = set()
        async with asyncio.timeout(30):
            while len(answered) < 3:
                await deliver(client, range(1, 4), answered)
        assert sorted(await archived(client)) == ["S1", "S2", "S3"]


@pytest.mark.skipif(sys.platform != "linux", reason="looks for processes in /proc")
async def test_what_comes_while_the_database_hangs_is_spooled_and_outlives_a_kill(
    tmp_path: Path,
) -> None:
    data_dir, port = tmp_path / "data", free_port()
    answered: set[str] = set()
    async with up(data_dir, port) as gateway, client_of(port) as client:
        assert (await client.post("/webhooks/messages", content=body(1))).json()["stored"] == 1
        with frozen(database_pid(data_dir)):
            first = await client.post("/webhooks/messages", content=body(2), timeout=8)
            assert (first.status_code, first.json()["spooled"]) == (200, 1)
            at_once = await client.post("/webhooks/messages", content=body(3), timeout=2)
            assert at_once.json()["spooled"] == 1
            await deliver(client, range(4, 300), answered)
            assert len(answered) == 296
            ready = await client.get("/health/ready", timeout=5)
            assert (ready.status_code, ready.json()["status"]) == (200, "degraded")
            os.kill(gateway.pid, signal.SIGKILL)
    async with up(data_dir, port), client_of(port) as client:
        await drained(client)
        kept = await archived(client)
    assert sorted(kept) == sorted(f"S{n}" for n in range(1, 300))
