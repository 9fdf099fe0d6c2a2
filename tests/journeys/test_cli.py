import asyncio
import os
import signal
from pathlib import Path

import httpx
import psycopg
import pytest
from tests.journeys.program import SAMPLES, Running, free_port, numbered, run, running, up
from tests.support.metrics import Scraped
from tests.support.postgres import fresh_database

from wagateway.entrypoints.cli.endings import ExitCode

pytestmark = pytest.mark.slow

API_TOKEN = "qF7-2sWd_8MbK4xNz9Pu"
WEBHOOK_TOKEN = "kX3-9vQz_7LmT2bRw8Ye"
LID = "271000000000102@lid"


async def test_commands_work_beside_a_running_gateway_and_after_it(tmp_path: Path) -> None:
    folder = ("--data-dir", str(tmp_path / "data"))
    async with up(tmp_path) as gateway:
        await gateway.until("--host 0.0.0.0")
        async with gateway.client() as client:
            body = (SAMPLES / "gows-message-text-lid.json").read_bytes()
            assert (await client.post("/webhooks/messages", content=body)).status_code == 200
        await _try_all(tmp_path, *folder)
        address = await run("database-url", *folder, home=tmp_path)
        async with await psycopg.AsyncConnection.connect(address.out.strip()) as conn:
            await conn.execute("SELECT FROM whatsapp_gateway.messages")
        waha = await run("waha-env", *folder, home=tmp_path)  # the port is told in the folder
        assert all(f"  {line}\n" in gateway.out for line in waha.out.splitlines())
        assert f"X-Whatsapp-Token:{gateway.token('webhook_token')}" in waha.out
        doctor = await run("doctor", "--json", *folder, home=tmp_path)
        assert doctor.code == ExitCode.OK
        assert doctor.json["ok"] is True
        elsewhere = await run("waha-env", *folder, "--port", "4", home=tmp_path)
        assert "127.0.0.1:4/" in elsewhere.out  # who names a port means it
        assert await gateway.stop() == ExitCode.OK
        assert not (gateway.data_dir / "gateway.json").exists()
    await _try_all(tmp_path, *folder)
    unreachable = await run("database-url", *folder, home=tmp_path)
    assert unreachable.code == ExitCode.FAILED
    assert "wagateway psql" in unreachable.err
    alone = await run("doctor", "--json", *folder, "--port", str(free_port()), home=tmp_path)
    assert alone.code == ExitCode.FAILED
    assert alone.json["broken"] == "api"


async def _try_all(home: Path, *folder: str) -> None:
    """Look, replay, and undo and redo a link: afterwards everything is as it was."""
    count = "SELECT count(*) FROM whatsapp_gateway.messages"
    assert (await run("psql", *folder, "-At", "-c", count, home=home)).out == "1\n"
    wrong = await run("psql", *folder, "-v", "ON_ERROR_STOP=1", "-f", "/dev/null/x", home=home)
    assert wrong.code != ExitCode.OK
    schema = await run("migrate", "--status", "--json", *folder, home=home)
    assert schema.code == ExitCode.OK
    assert schema.json["up_to_date"] is True
    replayed = await run("replay", "--session", "vendas", "--json", *folder, home=home)
    assert replayed.json["rows"] == 1
    assert replayed.json["outcomes"]["failed"] == 0
    nobody = await run("replay", "--session", "venda", *folder, home=home)
    assert nobody.code == ExitCode.FAILED
    assert "there is no session 'venda', only 'vendas'" in nobody.err
    links = await run("identity", "list", "vendas", "--json", *folder, home=home)
    phone = next(link["phone"] for link in links.json if link["lid"] == LID)
    undone = await run("identity", "unlink", "vendas", LID, "--json", *folder, home=home)
    assert undone.json == {"moved": 1, "before": phone, "now": None}
    again = await run("identity", "unlink", "vendas", LID, *folder, home=home)
    assert again.code == ExitCode.FAILED
    redone = await run("identity", "link", "vendas", LID, phone, "--json", *folder, home=home)
    assert redone.json == {"moved": 1, "before": None, "now": phone}


@pytest.mark.embedded
async def test_api_serves_a_migrated_database_with_several_workers(
    tmp_path: Path, postgres_server: str
) -> None:
    async with fresh_database(postgres_server) as url:
        env = {
            "WHATSAPP_DATABASE_URL": url,
            "WHATSAPP_GATEWAY_API_TOKEN": API_TOKEN,
            "WHATSAPP_WEBHOOK_TOKEN": WEBHOOK_TOKEN,
        }
        eager = env | {"WHATSAPP_AUTO_MIGRATE": "true"}  # replicas leave the schema alone anyway
        early = await run("api", "--port", str(free_port()), home=tmp_path, env=eager)
        assert early.code == ExitCode.CONFLICT
        assert "wagateway migrate" in early.err
        migrated = await run("migrate", "--json", home=tmp_path, env=env)
        assert migrated.json["applied_now"]
        port = free_port()
        words = ("api", "--workers", "2", "--port", str(port))
        async with running(*words, home=tmp_path, data_dir=tmp_path, port=port, env=env) as api:
            await _answers(api)
            first, second = await _workers(api)
            os.kill(first, signal.SIGKILL)
            await _replaced(api, first)
            assert second in await _workers(api)
            await _answers(api)
            await _tells_what_both_count(api)
            assert await api.stop() == ExitCode.OK
            assert await _workers(api) == []


async def test_workers_end_with_their_supervisor(tmp_path: Path) -> None:
    port = free_port()
    env = {
        "WHATSAPP_DATABASE_URL": "postgresql://nobody@127.0.0.1:1/none",
        "WHATSAPP_GATEWAY_API_TOKEN": API_TOKEN,
        "WHATSAPP_WEBHOOK_TOKEN": WEBHOOK_TOKEN,
    }
    words = ("api", "--workers", "2", "--port", str(port))
    async with running(*words, home=tmp_path, data_dir=tmp_path, port=port, env=env) as api:
        answer = await _posted(api)
        assert (answer.status_code, answer.json()["spooled"]) == (200, 1)  # no database
        workers = await _workers(api)
        assert len(workers) == 2
        api.process.kill()
        async with asyncio.timeout(30):
            while any(_alive(worker) for worker in workers):
                await asyncio.sleep(0.05)


async def _answers(api: Running) -> None:
    answer = await _posted(api)
    assert answer.status_code == 200


async def _tells_what_both_count(api: Running) -> None:
    """Read the metrics until both processes are in them, whichever of them answers."""
    bearer = {"Authorization": f"Bearer {API_TOKEN}"}
    async with httpx.AsyncClient(base_url=api.url, trust_env=False) as client:
        assert (await client.get("/metrics")).status_code == 401
        async with asyncio.timeout(30):
            while True:
                found = Scraped((await client.get("/metrics", headers=bearer)).content)
                counted = found.series("group_commit_seconds_count")
                if len(counted) == 2 and sum(counted.values()) > 0:
                    break
                await asyncio.sleep(0.1)
    assert {dict(labels)["worker"] for labels in counted} == {"0", "1"}
    assert found.value("sessions") == 1


async def _posted(api: Running) -> httpx.Response:
    """Deliver a message, once somebody listens."""
    headers = {"X-Whatsapp-Token": WEBHOOK_TOKEN, "Content-Type": "application/json"}
    async with httpx.AsyncClient(base_url=api.url, headers=headers, timeout=30) as client:
        async with asyncio.timeout(30):
            while True:
                try:
                    return await client.post("/webhooks/messages", content=numbered("W1"))
                except httpx.RequestError:
                    await asyncio.sleep(0.05)


async def _workers(api: Running) -> list[int]:
    """Return the ids of its worker processes, once both have started."""
    process = await asyncio.create_subprocess_exec(
        *("ps", "-A", "-ww", "-o", "pid=,ppid=,command="), stdout=asyncio.subprocess.PIPE
    )
    lines = (await process.communicate())[0].decode().splitlines()
    rows = [line.split(None, 2) for line in lines]
    children = [row for row in rows if int(row[1]) == api.process.pid]
    return [int(row[0]) for row in children if "spawn_main" in row[2]]


async def _replaced(api: Running, killed: int) -> None:
    async with asyncio.timeout(30):
        while killed in (now := await _workers(api)) or len(now) < 2:
            await asyncio.sleep(0.05)


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True
