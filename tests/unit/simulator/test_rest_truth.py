"""What an archive holds after webhooks and lists together is what the truth says."""

import json
from itertools import islice

import httpx
import pytest
from tests.support.rest_reading import Waha

from wagateway.domain.events import Source
from wagateway.entrypoints.containers import Services, open_services
from wagateway.entrypoints.http.app import create_app as create_gateway
from wagateway.entrypoints.http.auth import HttpSecurity
from wagateway.entrypoints.http.health import store_health
from wagateway.entrypoints.settings import Settings
from wagateway.simulator.check import Report, compare
from wagateway.simulator.engine import EngineName
from wagateway.simulator.faults import Faults
from wagateway.simulator.post import limited
from wagateway.simulator.rest import create_app
from wagateway.simulator.simulation import Scenario, simulate
from wagateway.simulator.truth import Truth
from wagateway.simulator.wagateway_api import WagatewayApi
from wagateway.simulator.waha_server import WahaServer

TOKEN = "t0ken-of-a-test-0123456789"
STORMY = "all,loss=0.4,silent=0.1,stopped=0.1,account-change=0,rest-hang=0,rest-cut=0,rest-slow=0"


async def sync(services: Services, server: WahaServer, waha: Waha, session: str) -> None:
    """Archive all that the lists of *session* show."""
    hosted = server.sessions[session]
    if hosted.status != "WORKING":
        return
    envelopes = [
        {
            "id": f"evt_sync{number}",
            "timestamp": row["timestamp"] * 1000,
            "event": "sync.message",
            "session": session,
            "me": hosted.me,
            "payload": row,
            "engine": hosted.engine.name,
            "environment": {},
        }
        for number, row in enumerate(await waha.messages(session))
    ]
    await services.ingest(json.dumps(envelopes).encode(), source=Source.SYNC)


async def judged(services: Services, truth: Truth, sessions: list[str]) -> Report:
    gateway = create_gateway(
        ingest=services.ingest,
        reader=services.reader,
        sync=services.sync,
        library=services.library,
        live=services.live,
        health=store_health(services.reader),
        security=HttpSecurity(api_token=TOKEN, webhook_token=TOKEN),
    )
    api = WagatewayApi("http://gateway", TOKEN, transport=httpx.ASGITransport(gateway))  # type: ignore[arg-type] # Litestar's stricter types
    return compare(truth.lines(), [line async for line in api.lines(sessions)])


@pytest.mark.parametrize("engine", EngineName)
@pytest.mark.parametrize("shrinks", [False, True])
async def test_an_archive_of_webhooks_and_lists_equals_the_truth(
    engine: EngineName, *, shrinks: bool
) -> None:
    faults = Faults.parse(f"{STORMY},shrink={0.2 if shrinks else 0}", served=True)
    scenario = Scenario(seed=11, engine=engine, served=True, past=150, faults=faults)
    server, truth = WahaServer.of(scenario), Truth()
    waha = Waha(create_app(server))
    async with open_services(Settings.in_memory()) as services:
        for number, delivery in enumerate(server.watch(limited(simulate(scenario), 1500))):
            if not delivery.lost:
                await services.ingest(delivery.body)
                if delivery.fact:
                    truth.tell(delivery.fact)
            if number % 700 == 699:
                await sync(services, server, waha, "default")
        server.settle()
        await sync(services, server, waha, "default")
        told = sum(1 for line in truth.lines() if line["type"] == "message")
        server.witness(truth)
        report = await judged(services, truth, ["default"])
    assert report.perfect, report.examples
    assert report.expected > told + 100
    assert {500, 429} <= set(waha.statuses)


def test_nothing_is_certain_that_nobody_could_read_in_the_end() -> None:
    scenario = Scenario(seed=3, served=True, past=60, faults=Faults.parse("loss=1"))
    server, truth = WahaServer.of(scenario), Truth()
    for delivery in islice(server.watch(simulate(scenario)), 50):
        assert delivery.lost
    server.sessions["default"].log_out()
    server.witness(truth)
    messages = [line for line in truth.lines() if line["type"] == "message"]
    assert len(messages) >= 60
    assert not any(line.get("certain", True) for line in messages)
