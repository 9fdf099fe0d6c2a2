"""``wagateway purge``: counts, asks, purges, and says so."""

import asyncio
import json
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta

import click as plain_click
import msgspec
import pytest
from click.testing import CliRunner, Result
from tests.support.postgres import fresh_database

from wagateway.adapters.timescale.migrate import migrate
from wagateway.entrypoints.cli import purge as module
from wagateway.entrypoints.cli.commands_purging import Age
from wagateway.entrypoints.cli.program import program
from wagateway.entrypoints.containers import open_services
from wagateway.entrypoints.settings import Settings

ANA = "5511987650102@c.us"


def envelope(stanza: str, sent_at: datetime) -> dict[str, object]:
    return {
        "event": "message",
        "session": "vendas",
        "engine": "GOWS",
        "me": {"id": "5511912340001@c.us"},
        "payload": {
            "id": f"false_{ANA}_{stanza}",
            "timestamp": int(sent_at.timestamp()),
            "from": ANA,
            "fromMe": False,
            "body": "Bom dia!",
        },
    }


@pytest.fixture
async def url(postgres_server: str) -> AsyncIterator[str]:
    async with fresh_database(postgres_server) as fresh:
        await migrate(fresh)
        now = datetime.now(UTC)
        told = [envelope("A1", now - timedelta(days=400)), envelope("A2", now - timedelta(days=1))]
        async with open_services(Settings(database_url=fresh)) as services:
            await services.ingest(msgspec.json.encode(told))
        yield fresh


async def purge(url: str, *words: str, answer: str | None = None) -> Result:
    env = {"WHATSAPP_DATABASE_URL": url}
    return await asyncio.to_thread(
        CliRunner().invoke, program, ["purge", *words], env=env, input=answer
    )


@pytest.mark.embedded
class TestPurge:
    async def test_counts_without_asking(self, url: str) -> None:
        done = await purge(url, "vendas", "--older-than", "365d", "--dry-run")
        assert (done.exit_code, done.stdout) == (0, "1 message would go\n")
        done = await purge(url, "vendas", "--dry-run")
        assert done.stdout == "2 messages, 2 rows of the raw log would go\n"

    async def test_purges_and_says_how_much(self, url: str) -> None:
        done = await purge(url, "vendas", "--chat", "+55 11 98765-0102", "--yes")
        assert (done.exit_code, done.stdout) == (0, "2 messages purged\n")
        assert done.stderr.startswith("2 messages, 0 of the log\n")
        done = await purge(url, "vendas", "--yes")
        assert done.stdout == "2 rows of the raw log purged\n"
        done = await purge(url, "vendas", "--yes")
        assert done.stdout == "nothing purged\n"

    async def test_says_what_does_not_come_any_more_also_where_nothing_went(self, url: str) -> None:
        done = await purge(url, "vendas", "--before", "2020-01-01", "--yes")
        assert done.stdout == "nothing purged\n"
        assert done.stderr.splitlines()[-1] == (
            "What was sent before 2020-01-01 00:00 UTC in session vendas is not archived again."
        )
        counted = await purge(url, "vendas", "--before", "2020-01-01", "--dry-run")
        assert counted.stderr == ""

    async def test_scripts_are_told_the_same(self, url: str) -> None:
        done = await purge(url, "vendas", "--before", "2025-01-01", "--yes", "--json")
        told = json.loads(done.stdout)
        assert {name: told[name] for name in ("session", "chat", "before", "dry_run")} == {
            "session": "vendas",
            "chat": None,
            "before": "2025-01-01T00:00:00Z",
            "dry_run": False,
        }
        assert set(told["counts"]) >= {"messages", "edits", "files", "log_rows"}

    async def test_asks_on_a_terminal(self, url: str, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(module, "_is_asked", lambda: True)
        done = await purge(url, "vendas", answer="n\n")
        assert done.exit_code == 1
        assert "2 messages, 2 rows of the raw log." in done.stderr
        done = await purge(url, "vendas", answer="y\n")
        assert (done.exit_code, done.stdout.splitlines()[-1]) == (
            0,
            "2 messages, 2 rows of the raw log purged",
        )

    async def test_refuses_where_nobody_can_be_asked(self, url: str) -> None:
        done = await purge(url, "vendas")
        assert done.exit_code == 2
        assert "give --yes" in done.stderr

    async def test_refuses_what_is_not_there(self, url: str) -> None:
        done = await purge(url, "suporte", "--yes")
        assert (done.exit_code, "there is no session 'suporte'" in done.stderr) == (1, True)
        done = await purge(url, "vendas", "--before", "2999-01-01", "--yes")
        assert (done.exit_code, "is yet to come" in done.stderr) == (2, True)


def test_takes_one_time_only() -> None:
    words = ["purge", "vendas", "--before", "2025-01-01", "--older-than", "1d", "--dry-run"]
    done = CliRunner().invoke(program, words)
    assert (done.exit_code, "not both" in done.stderr) == (2, True)


@pytest.mark.parametrize(
    ("text", "age"),
    [
        ("365d", timedelta(days=365)),
        ("12h", timedelta(hours=12)),
        (" 2w ", timedelta(weeks=2)),
        ("36500d", timedelta(days=36500)),
    ],
)
def test_reads_ages(text: str, age: timedelta) -> None:
    assert Age().convert(text, None, None) == age


@pytest.mark.parametrize("text", ["", "d", "365", "1y", "-1d", "1.5d", "36501d", "9" * 99 + "w"])
def test_refuses_what_is_no_age(text: str) -> None:
    with pytest.raises(plain_click.BadParameter, match="is no age"):
        Age().convert(text, None, None)
