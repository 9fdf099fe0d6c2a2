"""Spans: what is measured, what they never say, and that nobody waits for who takes them."""

import asyncio
import re
import socketserver
import subprocess
import sys
import threading
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import StatusCode, get_tracer_provider
from tests.support import media_world, sync_world
from tests.support.deliveries import ANA
from typing_extensions import override

from wagateway.adapters.memory.archive import InMemoryArchive
from wagateway.adapters.otel.tracing import open_otel
from wagateway.adapters.waha.reader import WahaReader
from wagateway.domain.errors import Gone, StoreUnavailable
from wagateway.domain.events import Recorded
from wagateway.entrypoints.containers import now, open_services
from wagateway.entrypoints.settings import Settings, load_settings
from wagateway.ports.tracing import Tracing
from wagateway.usecases.group_commit import GroupCommit
from wagateway.usecases.ingest import IngestBody
from wagateway.usecases.sync import SyncTurn

BODY = (
    b'{"event":"message","session":"vendas","engine":"GOWS","payload":{"id":'
    b'"false_5511987650102@c.us_A1","timestamp":1791028800,"body":"segredo","fromMe":false}}'
)
_NUMBER = re.compile(r"5511\d{6,}")


class Traced:
    """Tracing whose spans the test reads."""

    def __init__(self, tracing: Tracing, kept: InMemorySpanExporter) -> None:
        self.tracing = tracing
        self._kept = kept

    def spans(self, name: str) -> list[ReadableSpan]:
        return [span for span in self._kept.get_finished_spans() if span.name == name]

    def facts(self, name: str) -> list[dict[str, Any]]:
        return [
            {
                key.removeprefix("wagateway."): value
                for key, value in (span.attributes or {}).items()
            }
            for span in self.spans(name)
        ]

    def all_said(self) -> str:
        return "".join(span.to_json() for span in self._kept.get_finished_spans())


@asynccontextmanager
async def opened() -> AsyncIterator[Traced]:
    kept = InMemorySpanExporter()
    async with open_otel("0.0.1", processor=SimpleSpanProcessor(kept)) as tracing:
        yield Traced(tracing, kept)


def ingesting(archive: InMemoryArchive, tracing: Tracing) -> IngestBody:
    commit = GroupCommit(archive, tracing=tracing)
    return IngestBody(engine=WahaReader(), commit=commit, clock=now, tracing=tracing)


async def test_a_delivery_and_its_group_are_measured() -> None:
    async with opened() as traced:
        await ingesting(InMemoryArchive(), traced.tracing)(BODY)
        assert traced.facts("delivery") == [
            {
                "size_bytes": len(BODY),
                "source": "webhook",
                "stored": 1,
                "duplicates": 0,
                "ignored": 0,
                "failed": 0,
                "spooled": 0,
            }
        ]
        assert traced.facts("group_commit") == [{"deliveries": 1}]
        [group] = traced.spans("group_commit")
        assert group.parent is None  # it belongs to none of the deliveries that share it
        assert group.resource.attributes["service.name"] == "wagateway"
        assert group.resource.attributes["service.version"] == "0.0.1"


async def test_pages_of_sync_are_measured() -> None:
    async with opened() as traced:
        world = sync_world.World()
        world.turn = SyncTurn(
            engine=world.engine,
            store=world.store,
            people=world.turn.people,
            clock=world.clock,
            plan=world.plan,
            tracing=traced.tracing,
        )
        world.fill(ANA, 30)
        await world.settle()
        facts = traced.facts("sync_page")
        assert {fact["what"] for fact in facts} == {"chat", "session"}
        assert sum(fact["messages"] for fact in facts) >= 30
        assert {fact["session"] for fact in facts} == {"vendas"}
        assert not _NUMBER.search(traced.all_said())


async def test_downloads_are_measured(tmp_path: Path) -> None:
    async with opened() as traced:
        world = media_world.World(tmp_path)
        world.with_parts(tracing=traced.tracing)
        await world.tell("A1")
        await world.turn()
        await world.tell("A2", content=Gone("5511987650102@c.us removed it"))
        await world.turn()
        told = traced.facts("download")
        assert [(fact["status"], fact["kind"]) for fact in told] == [
            ("completed", "image"),
            ("expired", "image"),
        ]
        assert told[0]["size_bytes"] == len(media_world.HELLO)
        assert not _NUMBER.search(traced.all_said())


class Failing(InMemoryArchive):
    @override
    async def record(self, deliveries: object) -> list[Recorded]:
        raise StoreUnavailable("segredo of 5511987650102@c.us")


async def test_of_a_failure_only_its_type_is_told() -> None:
    async with opened() as traced:
        with pytest.raises(StoreUnavailable):
            await ingesting(Failing(), traced.tracing)(BODY)
        for name in ("delivery", "group_commit"):
            [span] = traced.spans(name)
            assert span.status.status_code is StatusCode.ERROR
            assert (span.attributes or {})["error.type"] == "StoreUnavailable"
            assert span.events == ()
        assert "segredo" not in traced.all_said()
        assert not _NUMBER.search(traced.all_said())


async def test_what_was_called_off_is_no_error() -> None:
    async with opened() as traced:
        with pytest.raises(asyncio.CancelledError), traced.tracing.span("x"):
            raise asyncio.CancelledError
        [span] = traced.spans("x")
        assert span.status.status_code is StatusCode.UNSET


async def test_the_provider_of_the_process_is_left_alone() -> None:
    before = get_tracer_provider()
    async with opened():
        assert get_tracer_provider() is before


class TestWhenItIsOn:
    @pytest.mark.parametrize(
        ("environ", "on"),
        [
            ({}, False),
            ({"WHATSAPP_OTEL_ENABLED": "true"}, True),
            ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://collector:4318"}, True),
            ({"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "http://collector:4318"}, True),
            ({"OTEL_TRACES_EXPORTER": "otlp"}, True),
            ({"OTEL_TRACES_EXPORTER": "none", "OTEL_EXPORTER_OTLP_ENDPOINT": "http://x"}, False),
            ({"OTEL_TRACES_EXPORTER": "console"}, False),
            ({"OTEL_SDK_DISABLED": "true", "OTEL_EXPORTER_OTLP_ENDPOINT": "http://x"}, False),
            ({"OTEL_SERVICE_NAME": "archive"}, False),
            (
                {"WHATSAPP_OTEL_ENABLED": "no", "OTEL_EXPORTER_OTLP_ENDPOINT": "http://x"},
                False,
            ),
        ],
    )
    def test_the_variables_say_so(self, environ: dict[str, str], *, on: bool) -> None:
        assert load_settings(environ, dotenv=None).otel_enabled is on

    async def test_the_sdk_switches_itself_off(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("OTEL_SDK_DISABLED", "true")
        async with opened() as traced:
            await ingesting(InMemoryArchive(), traced.tracing)(BODY)
            assert traced.all_said() == ""

    def test_where_it_is_off_nothing_of_it_is_imported(self) -> None:
        code = (
            "import asyncio, sys\n"
            "from wagateway.entrypoints.containers import open_services\n"
            "from wagateway.entrypoints.settings import Settings\n"
            "async def main():\n"
            "    async with open_services(Settings.in_memory()): pass\n"
            "asyncio.run(main())\n"
            "assert not [name for name in sys.modules if name.startswith('opentelemetry')]\n"
        )
        subprocess.run([sys.executable, "-c", code], check=True)


class Collector:
    """Takes spans over HTTP, or hangs."""

    def __init__(self) -> None:
        self.bodies: list[bytes] = []
        self.hangs = threading.Event()
        self.url = ""

    def names(self) -> set[str]:
        found = set()
        for body in self.bodies:
            request = ExportTraceServiceRequest.FromString(body)
            for resource in request.resource_spans:
                found |= {span.name for scope in resource.scope_spans for span in scope.spans}
        return found


@pytest.fixture
def collector(monkeypatch: pytest.MonkeyPatch) -> Iterator[Collector]:
    with collecting() as found:
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", found.url)
        monkeypatch.setenv("no_proxy", "127.0.0.1")
        yield found


@contextmanager
def collecting() -> Iterator[Collector]:
    collector = Collector()
    gate = threading.Event()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            if collector.hangs.is_set():
                gate.wait(20)
            collector.bodies.append(body)
            self.send_response(200)
            self.end_headers()

        @override
        def log_message(self, format: str, *args: object) -> None:
            return None

    class Server(socketserver.ThreadingTCPServer):
        daemon_threads = True
        block_on_close = False

    with Server(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        collector.url = f"http://127.0.0.1:{server.server_address[1]}"
        yield collector
        gate.set()
        server.shutdown()
        thread.join()


TRACED = Settings(database_url="memory://", otel_enabled=True)


async def test_spans_are_sent_at_the_end_at_the_latest(collector: Collector) -> None:
    async with open_services(TRACED) as services:
        await services.ingest(BODY)
    assert collector.names() == {"delivery", "group_commit"}
    assert b"segredo" not in b"".join(collector.bodies)
    assert b"551198765" not in b"".join(collector.bodies)


async def test_a_collector_that_hangs_holds_nobody_up(collector: Collector) -> None:
    collector.hangs.set()
    began = time.monotonic()
    async with open_services(TRACED) as services:
        for _ in range(20):
            await services.ingest(BODY)
        assert time.monotonic() - began < 5
    assert time.monotonic() - began < 20
