"""Sync as operators use it: a simulated WAHA with a past, a gateway, and the commands beside it."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import httpx
import pytest
from tests.journeys.program import Running, free_port, numbered, run, running
from tests.support.metrics import Scraped

from wagateway.entrypoints.cli.endings import ExitCode
from wagateway.simulator.engine import EngineName
from wagateway.simulator.rest import create_app
from wagateway.simulator.serving import in_thread
from wagateway.simulator.simulation import Scenario
from wagateway.simulator.waha_server import WahaServer

pytestmark = [pytest.mark.slow, pytest.mark.embedded]

PAST = 900
KEY = "uX4w7mB2qT9zR5kC8vNe"


@pytest.fixture
def waha() -> WahaServer:
    return WahaServer.of(
        Scenario(seed=6, engine=EngineName.GOWS, chats=30, served=True, past=PAST), api_key=KEY
    )


@asynccontextmanager
async def up(home: Path, env: dict[str, str]) -> AsyncIterator[Running]:
    port = free_port()
    words = ("up", "--data-dir", str(home / "data"), "--port", str(port))
    async with running(*words, home=home, data_dir=home / "data", port=port, env=env) as gateway:
        await gateway.until("wagateway is ready")
        yield gateway


async def test_history_is_read_and_proven_complete(tmp_path: Path, waha: WahaServer) -> None:
    place = ("--data-dir", str(tmp_path / "data"))
    with in_thread(create_app(waha)) as url:
        env = {"WHATSAPP_CORE_URL": url, "WHATSAPP_API_KEY": KEY}
        async with up(tmp_path, env) as gateway:
            await _a_session_that_waha_has_no_more_was_heard(gateway)
            done = await run("sync", *place, "--json", home=tmp_path, env=env)
            assert done.code == ExitCode.OK, done.err
            assert "vendas is left out" in done.err
            [report, _] = done.json["sessions"]
            assert report["health"]["level"] == "healthy"
            assert report["counts"]["idle"] == sum(report["counts"].values()) > 5
            await _is_archived(gateway)

            told = (await run("coverage", "default", *place, "--json", home=tmp_path)).json
            for chat in told["chats"]:
                [span] = chat["complete"]
                assert chat["next"] == "next-look"
                assert chat["gaps"][0]["reason"] == "engine-has-no-more"
                assert chat["gaps"][0]["end"] == span["begin"]
            chat_id = told["chats"][0]["chat_id"]
            bars = await run("coverage", "default", *place, home=tmp_path)
            assert bars.out.count("█") > len(told["chats"])
            one = await run("coverage", "default", chat_id, *place, home=tmp_path)
            assert "next: next-look" in one.out

            chats = {chat["chat_id"] for chat in told["chats"]}
            await _a_chat_goes_by_its_hidden_id(tmp_path, env, chats)
            await _worker_helps_and_stops(tmp_path, env)
            await _a_pause_shows(tmp_path)
            unknown = await run("sync", "nobody", *place, home=tmp_path, env=env)
            assert unknown.code == ExitCode.FAILED
            assert "nobody" in unknown.err
            assert await gateway.stop() == ExitCode.OK
        away = f"http://127.0.0.1:{free_port()}"
        unreached = await run("sync", *place, home=tmp_path, env={"WHATSAPP_CORE_URL": away})
        assert unreached.code == ExitCode.UNAVAILABLE
        assert "WHATSAPP_CORE_URL" in unreached.err
        nothing = await run("sync", *place, home=tmp_path)
        assert nothing.code == ExitCode.USAGE
        assert "WHATSAPP_CORE_URL" in nothing.err


async def test_an_archive_without_sessions_says_how_it_gets_one(tmp_path: Path) -> None:
    async with up(tmp_path, {}):
        told = await run("sync", "--status", "--data-dir", str(tmp_path / "data"), home=tmp_path)
        assert told.code == ExitCode.FAILED
        assert "by a webhook" in told.err


async def _a_session_that_waha_has_no_more_was_heard(gateway: Running) -> None:
    async with gateway.client() as client:
        answer = await client.post("/webhooks/messages", content=numbered("F1"))
    assert answer.json()["stored"] == 1


async def _is_archived(gateway: Running) -> None:
    """All that the engine listed is one row each."""
    count = 0
    async with gateway.client() as client:
        for chat in (await client.get("/api/chats/default?limit=500")).json()["chats"]:
            page = f"/api/messages/default/{chat['id']}?limit=500"
            count += len((await client.get(page)).json()["messages"])
        health = (await client.get("/health")).json()
    assert count == PAST
    assert health["parts"]["sync"]["status"] == "ok"


async def _a_chat_goes_by_its_hidden_id(home: Path, env: dict[str, str], chats: set[str]) -> None:
    place = ("--data-dir", str(home / "data"))
    links = (await run("identity", "list", "default", *place, "--json", home=home)).json
    lid, phone = next((k["lid"], k["phone"]) for k in links if k["phone"] in chats)
    again = await run("sync", "default", lid, "--full", *place, home=home, env=env)
    assert again.code == ExitCode.OK  # the gateway's own worker may have read it
    assert again.out.splitlines()[-1].split() == [phone, "idle"]
    nobody = ("+5511900000000", "--status")
    unknown = await run("sync", "default", *nobody, *place, home=home)
    assert unknown.code == ExitCode.FAILED


async def _a_pause_shows(home: Path) -> None:
    place = ("--data-dir", str(home / "data"))
    paused = await run("sync", "default", "--pause", *place, "--json", home=home)
    assert set(paused.json["sessions"][0]["counts"]) >= {"paused"}
    told = await run("sync", "default", "--status", *place, home=home)
    [_, line] = told.out.splitlines()
    assert line.startswith("  paused: the look at all chats, and ")


async def _worker_helps_and_stops(home: Path, env: dict[str, str]) -> None:
    port = free_port()
    words = ("worker", "--data-dir", str(home / "data"), "--health-port", str(port))
    env = env | {"WHATSAPP_METRICS_TOKEN": "metrics-secret-0004"}
    async with (
        running(*words, home=home, data_dir=home / "other", port=port, env=env) as worker,
        httpx.AsyncClient(base_url=worker.url, trust_env=False) as client,
    ):
        async with asyncio.timeout(30):
            while True:
                try:
                    answer = await client.get("/health")
                    if answer.status_code == httpx.codes.OK:
                        break
                except httpx.ConnectError:
                    pass
                await asyncio.sleep(0.1)
        assert answer.json()["parts"]["sync"]["status"] == "ok"
        assert (await client.get("/metrics")).status_code == httpx.codes.UNAUTHORIZED
        bearer = {"Authorization": "Bearer metrics-secret-0004"}
        found = Scraped((await client.get("/metrics", headers=bearer)).content)
        assert found.value("database_up") == 1
        assert found.value("session_status", session="default", status="WORKING") == 1
        assert found.value("worker_trouble", part="sync") == 0
        assert await worker.stop() == ExitCode.OK
