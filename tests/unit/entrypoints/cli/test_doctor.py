import asyncio
import json
import os
import sys
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import psycopg
import pytest
from msgspec.structs import replace
from tests.support.hung import frozen
from tests.support.listener import listening
from tests.support.postgres import fresh_database
from tests.unit.entrypoints.cli.waha import HMAC_KEY, KEY, TOKEN, answers, session, waha, webhook

from wagateway.adapters.embedded.server import EmbeddedPostgres
from wagateway.adapters.timescale import migrate as runner
from wagateway.adapters.timescale.feed import TimescaleChangeFeed
from wagateway.adapters.timescale.migrate import migrate
from wagateway.domain.errors import InvalidInput, StoreUnavailable
from wagateway.domain.events import Source
from wagateway.entrypoints import strangers
from wagateway.entrypoints.cli.place import database
from wagateway.entrypoints.containers import open_services
from wagateway.entrypoints.doctor import Report, examine, report_of
from wagateway.entrypoints.findings import Finding, Verdict
from wagateway.entrypoints.secrets import ensure_secrets
from wagateway.entrypoints.serve import build_app, listen, serving
from wagateway.entrypoints.settings import Settings
from wagateway.ports.archive import LogFilter

SAMPLES = Path(__file__).parents[3] / "data" / "waha" / "events"
API_TOKEN = "qF7-2sWd_8MbK4xNz9Pu"


@pytest.fixture
async def url(postgres_server: str) -> AsyncIterator[str]:
    async with fresh_database(postgres_server) as fresh:
        yield fresh


async def report(settings: Settings) -> Report:
    return report_of([finding async for finding in examine(lambda: settings, database)])


def by_hop(found: Report) -> dict[str, Finding]:
    return {finding.hop: finding for finding in found.findings}


def settings_of(url: str | None, tmp_path: Path, *, port: int = 1) -> Settings:
    return Settings(
        database_url=url,
        data_dir=tmp_path / "data",
        port=port,
        api_token=API_TOKEN,
        webhook_token=TOKEN,
    )


async def test_wrong_settings_are_the_first_broken_hop() -> None:
    def refuse() -> Settings:
        raise InvalidInput("WHATSAPP_TZ: 'Mars' is given")

    found = report_of([finding async for finding in examine(refuse, database)])
    assert found.broken == "settings"
    assert "Mars" in found.findings[0].found
    assert len(found.findings) == 1


async def test_an_empty_machine_is_told_to_start(tmp_path: Path) -> None:
    found = await report(Settings(data_dir=tmp_path / "data", port=1))
    hops = by_hop(found)
    assert found.broken == "database"
    assert hops["secrets"].verdict is Verdict.WARN
    assert "wagateway up" in (hops["database"].mend or "")
    assert hops["schema"].verdict is hops["log"].verdict is Verdict.SKIPPED
    assert hops["api"].verdict is Verdict.FAIL
    assert not (tmp_path / "data").exists()  # nothing was made


async def test_what_the_settings_leave_open_is_a_warning(tmp_path: Path) -> None:
    found = by_hop(await report(replace(settings_of(None, tmp_path), host="0.0.0.0")))
    assert found["exposure"].verdict is Verdict.WARN


async def test_a_database_that_is_away_is_named_without_its_password(tmp_path: Path) -> None:
    away = "postgresql://somebody:hidden-word@127.0.0.1:1/none"
    found = await report(settings_of(away, tmp_path))
    assert found.broken == "database"
    database_hop = by_hop(found)["database"]
    assert "port 1 failed" in database_hop.found
    assert (database_hop.mend or "").startswith("Check that the server runs")
    assert "hidden-word" not in json.dumps([[f.found, f.mend] for f in found.findings])


@pytest.mark.embedded
@pytest.mark.skipif(sys.platform != "linux", reason="looks for processes in /proc")
async def test_an_embedded_database_that_hangs_is_told_as_such(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(runner, "_CONNECT_S", 2)
    settings = settings_of(None, tmp_path)
    async with EmbeddedPostgres.running(settings.data_dir) as server:
        assert server.pid
        with frozen(server.pid):
            hop = by_hop(await report(settings))["database"]
    assert f"embedded PostgreSQL of {settings.data_dir}" in hop.found
    assert f"process {os.getpid()}" in (hop.mend or "")
    assert "postgres.log" in (hop.mend or "")
    assert "WHATSAPP_DATABASE_URL" not in hop.found + (hop.mend or "")


@pytest.mark.embedded
async def test_an_embedded_database_that_does_not_start_is_told_with_its_last_words(
    tmp_path: Path,
) -> None:
    settings = settings_of(None, tmp_path)
    async with EmbeddedPostgres.running(settings.data_dir):
        pass
    (settings.data_dir / "pg" / "global" / "pg_control").write_bytes(b"")
    hop = by_hop(await report(settings))["database"]
    assert "PANIC" in hop.found
    assert "wagateway restore" in (hop.mend or "")


@pytest.mark.embedded
async def test_a_schema_that_is_behind_is_named(url: str, tmp_path: Path) -> None:
    found = await report(settings_of(url, tmp_path))
    assert found.broken == "schema"
    assert "wagateway migrate" in (by_hop(found)["schema"].mend or "")
    assert by_hop(found)["database"].verdict is Verdict.OK


@pytest.mark.embedded
async def test_failures_in_the_log_are_a_warning_with_their_reason(
    url: str, tmp_path: Path
) -> None:
    await migrate(url)
    settings = settings_of(url, tmp_path)
    async with open_services(settings) as services:
        await services.ingest(b'{"event": "message.any", "session": "vendas", "payload": 3}')
    log = by_hop(await report(settings))["log"]
    assert log.verdict is Verdict.WARN
    assert "1 failed; the newest failure: " in log.found
    assert "no reason" not in log.found
    assert "replay --outcome failed" in (log.mend or "")


@pytest.mark.embedded
async def test_everything_works_from_waha_to_the_archive(url: str, tmp_path: Path) -> None:
    async with _running(settings_of(url, tmp_path)) as port:
        good = webhook(url=f"http://127.0.0.1:{port}/webhooks/messages")
        with waha(answers(session(good))) as engine_url:
            settings = replace(
                settings_of(url, tmp_path, port=port),
                engine_url=engine_url,
                engine_key=KEY,
            )
            settings.media_folder.mkdir(mode=0o700, parents=True)
            settings.spool_folder.mkdir(mode=0o700)
            found = await report(settings)
    assert found.ok
    assert found.broken is None
    assert {finding.verdict for finding in found.findings} == {Verdict.OK}
    assert [finding.hop for finding in found.findings] == [
        "settings",
        "secrets",
        "database",
        "schema",
        "storage",
        "log",
        "spool",
        "media",
        "api",
        "webhook",
        "waha",
        "waha session vendas",
        "webhook of vendas",
    ]


@pytest.mark.embedded
async def test_a_gateway_with_another_token_is_named(url: str, tmp_path: Path) -> None:
    async with _running(settings_of(url, tmp_path)) as port:
        other = Settings(
            database_url=url, port=port, api_token="zY6-3eRt_5UiO1pAq7Lk", webhook_token=TOKEN
        )
        found = await report(other)
    assert found.broken == "api"
    assert "refuses the API token" in by_hop(found)["api"].found


@pytest.mark.embedded
async def test_a_gateway_with_another_webhook_token_or_key_is_named(
    url: str, tmp_path: Path
) -> None:
    async with _running(settings_of(url, tmp_path)) as port:
        keyed = replace(settings_of(url, tmp_path, port=port), webhook_hmac_key=HMAC_KEY)
        found = await report(keyed)
        assert found.broken == "webhook"
        assert "refuses the HMAC key that" in by_hop(found)["webhook"].found
        other = replace(keyed, webhook_token="zY6-3eRt_5UiO1pAq7Lk")
        assert "the webhook token and the HMAC key" in by_hop(await report(other))["webhook"].found
        assert by_hop(await report(other))["webhook"].mend
    async with _running(keyed) as port:
        found = await report(replace(keyed, port=port))
        assert by_hop(found)["webhook"].verdict is Verdict.OK


@pytest.mark.embedded
async def test_too_many_wrong_tokens_from_here_are_named(url: str, tmp_path: Path) -> None:
    settings = replace(settings_of(url, tmp_path), failed_logins_per_minute=1)
    async with _running(settings) as port:
        wrong = {"Content-Type": "application/json", "X-Whatsapp-Token": "old"}
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}") as client:
            await client.post("/webhooks/messages", headers=wrong, content=b"[]")
        assert (await report(settings_of(url, tmp_path, port=port))).broken != "api"
        other = replace(settings_of(url, tmp_path, port=port), webhook_token="zY6-3eRt_5UiO1pAq7Lk")
        webhooks = by_hop(await report(other))["webhook"]
        assert "429" in webhooks.found
        assert "old token" in (webhooks.mend or "")
        api = by_hop(await report(replace(other, api_token="zY6-3eRt_5UiO1pAq7Lx")))["api"]
        assert "429" in api.found


@pytest.mark.embedded
async def test_looking_at_the_webhook_leaves_nothing_in_the_log(url: str, tmp_path: Path) -> None:
    async with _running(settings_of(url, tmp_path)) as port:
        await report(settings_of(url, tmp_path, port=port))
    async with open_services(settings_of(url, tmp_path)) as services:
        assert not (await services.reader.events(LogFilter())).events


@pytest.mark.embedded
async def test_a_working_session_that_fell_silent_is_a_warning(url: str, tmp_path: Path) -> None:
    settings = settings_of(url, tmp_path)
    status = SAMPLES / "noweb-session.status-working.json"
    async with open_services(settings) as services:
        await services.ingest(status.read_bytes())
    await _last_heard(url, "23 hours")
    assert "waha session vendas" not in by_hop(await report(settings))
    await _last_heard(url, "53 days")
    silent = by_hop(await report(settings))["waha session vendas"]
    assert silent.verdict is Verdict.WARN
    assert "for 53 days" in silent.found


async def _last_heard(url: str, ago: str) -> None:
    # Anew, since no row of a hypertable moves into another chunk.
    async with await psycopg.AsyncConnection.connect(url) as conn:
        await conn.execute(
            "WITH old AS (DELETE FROM whatsapp_gateway.event_log RETURNING *)"
            " INSERT INTO whatsapp_gateway.event_log"
            " (received_at, occurred_at, session, event, source, outcome, body)"
            " SELECT now() - %s::interval, occurred_at, session, event, source, outcome, body"
            " FROM old",
            [ago],
        )


@pytest.mark.embedded
async def test_what_sync_read_is_no_sign_that_webhooks_arrive(url: str, tmp_path: Path) -> None:
    settings = settings_of(url, tmp_path)
    async with open_services(settings) as services:
        message = (SAMPLES / "noweb-message-text.json").read_bytes()
        assert (await services.ingest(message, source=Source.SYNC)).stored == 1
    with waha(answers(session())) as engine_url:
        found = await report(replace(settings, engine_url=engine_url, engine_key=KEY))
    webhooks = by_hop(found)["webhook of vendas"]
    assert webhooks.verdict is Verdict.FAIL
    assert "nothing of it ever arrived" in webhooks.found
    assert "waha-env" in (webhooks.mend or "")


async def test_another_program_on_the_port_is_named_and_not_shown_the_token(
    tmp_path: Path,
) -> None:
    asked: list[str] = []
    with waha(answers(), asked) as other:
        port = int(other.rpartition(":")[2])
        found = await report(settings_of(None, tmp_path, port=port))
    assert "is not wagateway" in by_hop(found)["api"].found
    assert asked == ["/health"]


@pytest.mark.skipif(sys.platform != "linux", reason="the kernel tells whose a port is")
async def test_a_program_of_another_user_that_answers_as_wagateway_is_not_shown_the_token(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shown: list[bytes] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            shown.append(await reader.readuntil(b"\r\n\r\n"))
            well = b'{"status":"ok","parts":{}}'
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(well), well))

    async with listening(serve) as port:
        monkeypatch.setattr(strangers, "_TABLES", [_told_as_of(54321, port, tmp_path)])
        found = by_hop(await report(settings_of(None, tmp_path, port=port)))
    assert "run by user id 54321" in found["api"].found
    assert "webhook" not in found
    assert shown == []


def _told_as_of(uid: int, port: int, folder: Path) -> Path:
    """Return the kernel's table of sockets, in which the listener of *port* is another user's."""
    ours, words = f":{port:04X}", []
    for line in Path("/proc/net/tcp").read_text("ascii").splitlines():
        words = line.split()
        if words[1].endswith(ours) and words[3] == "0A":
            words[7] = str(uid)
            told = folder / "tcp"
            told.write_text(f"sl local_address\n{' '.join(words)}\n")
            return told
    raise AssertionError("nobody listens there")


@pytest.mark.embedded
async def test_changes_that_are_held_up_are_told(
    url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def held_since(_: TimescaleChangeFeed) -> datetime:
        return datetime.now(UTC) - timedelta(minutes=5)

    monkeypatch.setattr(TimescaleChangeFeed, "held_since", held_since)
    await migrate(url)
    found = by_hop(await report(settings_of(url, tmp_path)))["live"]
    assert found.verdict is Verdict.WARN
    assert "pg_stat_activity" in (found.mend or "")


@pytest.mark.embedded
async def test_a_gateway_whose_database_is_away_is_named(url: str, tmp_path: Path) -> None:
    lost = settings_of("postgresql://nobody@127.0.0.1:1/none", tmp_path)
    async with _running(lost, migrated=True) as port:
        found = await report(settings_of(url, tmp_path, port=port))
    assert by_hop(found)["api"].verdict is Verdict.FAIL
    assert "store" in by_hop(found)["api"].found


async def test_secrets_that_others_can_read_are_broken(tmp_path: Path) -> None:
    settings = Settings(data_dir=tmp_path / "data", port=1)
    ensure_secrets(settings.data_dir, settings)
    (settings.data_dir / "secrets.json").chmod(0o644)
    found = await report(settings)
    assert found.broken == "secrets"
    assert "chmod 600" in (by_hop(found)["secrets"].mend or "")


async def test_a_store_that_fails_half_way_is_the_database(tmp_path: Path) -> None:
    @asynccontextmanager
    async def failing(_: Settings) -> AsyncIterator[Settings]:
        raise StoreUnavailable("the disk is full")
        yield

    settings = settings_of(None, tmp_path)
    found = report_of([finding async for finding in examine(lambda: settings, failing)])
    assert found.broken == "database"
    assert by_hop(found)["database"].mend == "the disk is full"


@asynccontextmanager
async def _running(settings: Settings, *, migrated: bool = False) -> AsyncIterator[int]:
    """Run the HTTP server over *settings*; yield its port."""
    secrets = ensure_secrets(settings.data_dir, settings)
    opened = replace(settings, auto_migrate=not migrated)
    async with AsyncExitStack() as stack:
        listener = stack.enter_context(listen("127.0.0.1", 0))
        services = await stack.enter_async_context(open_services(opened))
        app = build_app(opened, services, secrets)
        await stack.enter_async_context(serving(app, listener))
        yield listener.getsockname()[1]
