"""``wagateway live`` on a database, and its lines."""

import asyncio
import json
import sys
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path

import msgspec
import pytest
from tests.support.postgres import fresh_database

from wagateway.adapters.timescale.migrate import migrate
from wagateway.domain.feed import ChangeKind
from wagateway.domain.identity import Jid, SessionName, StanzaId
from wagateway.domain.messages import Ack
from wagateway.domain.views import ChangeView
from wagateway.entrypoints.cli.live import line
from wagateway.entrypoints.containers import open_services
from wagateway.entrypoints.http import examples
from wagateway.entrypoints.settings import Settings

SAMPLES = Path(__file__).parents[3] / "data" / "waha" / "events"
ANA = Jid("5511987650102@c.us")
AT = datetime(2026, 10, 3, 12, 0, tzinfo=UTC)


@pytest.fixture
async def url(postgres_server: str) -> AsyncIterator[str]:
    async with fresh_database(postgres_server) as fresh:
        await migrate(fresh)
        yield fresh


async def live(url: str, *words: str) -> asyncio.subprocess.Process:
    """Start the command, whose signals need a process of its own."""
    return await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "wagateway.entrypoints.cli", "live", *words),
        *("--database-url", url),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
    )


@pytest.mark.embedded
async def test_tells_what_another_process_writes_until_it_is_stopped(url: str) -> None:
    async with open_services(Settings(database_url=url)) as services:
        place = (await services.live.feed.position()).id
        following = await live(url, "--json", "--after", place, "--kinds", "message")
        assert following.stdout is not None
        await services.ingest((SAMPLES / "noweb-message-text.json").read_bytes())
        async with asyncio.timeout(30):
            told = json.loads(await following.stdout.readline())
        following.terminate()
        async with asyncio.timeout(10):
            assert await following.wait() == 0
    assert told["kind"] == "message"
    assert told["message"]["text"]


@pytest.mark.embedded
@pytest.mark.parametrize(
    ("words", "code"),
    [
        (["--chat", ANA], 2),
        (["--kinds", "gossip"], 2),
        (["--after", "42"], 2),
        (["nobody"], 1),
    ],
)
async def test_says_what_cannot_be_followed(url: str, words: list[str], code: int) -> None:
    refused = await live(url, *words)
    async with asyncio.timeout(30):
        out, _ = await refused.communicate()
    assert (out, refused.returncode) == (b"", code)


def test_a_message_is_one_line_without_what_steers_a_terminal() -> None:
    message = msgspec.structs.replace(
        examples.MESSAGES.messages[0], text="Oi\x1b[2J\nvocê " + "x" * 100, sender_name="Ana"
    )
    change = msgspec.structs.replace(examples.CHANGE, message=message)
    shown = line(change, "America/Sao_Paulo")
    assert shown.startswith("2026-10-03 09:00:00  message     default  5511987650102@c.us")
    assert "Ana: Oi [2J você xxx" in shown
    assert shown.isprintable()
    assert shown.endswith("…")


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (
            {"kind": ChangeKind.ACK, "id": StanzaId("A1"), "ack": Ack.READ, "by": ANA},
            ["read", "by"],
        ),
        ({"kind": ChangeKind.SESSION, "status": "WORKING"}, ["WORKING"]),
        ({"kind": ChangeKind.MOVE, "was": Jid("1@lid"), "chat_id": ANA}, ["1@lid is now 55119"]),
        ({"kind": ChangeKind.PURGE, "before": AT}, ["all chats, sent before 2026-10-03 12:00 UTC"]),
        ({"kind": ChangeKind.PURGE, "chat_id": ANA, "before": AT}, [f"{ANA}  sent before 2026-1"]),
        ({"kind": ChangeKind.RESET, "session": None}, ["not kept"]),
    ],
)
def test_each_kind_says_what_it_is(change: dict[str, object], words: list[str]) -> None:
    given = {"position": "1-1-1-1", "at": AT, "session": SessionName("default")} | change
    shown = line(ChangeView(**given), "UTC")  # type: ignore[arg-type] # of each kind its own
    assert all(word in shown for word in words)
