"""The examples of docs/EMBEDDING.md, run as they stand there."""

import asyncio
import os
import re
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from types import ModuleType

import httpx
import msgspec
import pytest
from litestar import Litestar
from litestar.testing import AsyncTestClient
from tests.support.postgres import fresh_database

from wagateway import Gateway, Settings
from wagateway.entrypoints.containers import open_services
from wagateway.usecases.ingest import IngestBody

ROOT = Path(__file__).parents[2]
DOC = (ROOT / "docs" / "EMBEDDING.md").read_text("utf-8")
MARKED = re.compile(r"^<!-- (\w+): (\S+) -->\n```\w*\n(.*?)^```$", re.MULTILINE | re.DOTALL)
BLOCKS: dict[tuple[str, str], str] = {
    (kind, name): text for kind, name, text in MARKED.findall(DOC)
}
MEMORY = BLOCKS["settings", "memory"]
TOKEN = "the-token-of-the-test"


def run(script: str, folder: Path) -> str:
    (folder / "archive.py").write_text(script, "utf-8")
    done = subprocess.run(
        [sys.executable, "-W", "error", "archive.py"],
        cwd=folder,
        capture_output=True,
        encoding="utf-8",
        timeout=100,
        check=False,
        env={"HOME": str(folder), "PATH": "/usr/bin:/bin", "PYTHONUTF8": "1"},
    )
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


def with_settings(line: str) -> str:
    example = BLOCKS["example", "archive.py"]
    assert example.count(MEMORY) == 1
    return example.replace(MEMORY, line)


def test_every_block_is_known() -> None:
    assert set(BLOCKS) == {
        ("example", "archive.py"),
        ("output", "archive.py"),
        ("example", "service.py"),
        ("example", "backup.py"),
        ("output", "backup.py"),
        ("settings", "memory"),
        ("settings", "embedded"),
        ("settings", "postgres"),
    }


def test_the_methods_in_the_table_are_those_of_the_gateway() -> None:
    told = set(re.findall(r"`(?:Gateway\.)?(\w+)\(", DOC.partition("## What else there is")[2]))
    public = {name for name in vars(Gateway) if not name.startswith("_")} - {"open"}
    assert told - {"open"} == public


def test_the_example_prints_what_it_says(tmp_path: Path) -> None:
    assert run(with_settings(MEMORY), tmp_path) == BLOCKS["output", "archive.py"]


@pytest.mark.embedded
def test_it_runs_on_an_embedded_database_which_keeps_its_data(tmp_path: Path) -> None:
    script = with_settings(BLOCKS["settings", "embedded"])
    assert run(script, tmp_path) == BLOCKS["output", "archive.py"]
    assert (tmp_path / "archive-data" / "pg").is_dir()
    again = run(script, tmp_path).splitlines()
    assert again[0] == "stored 0, then 1 duplicate"
    assert again[1:] == BLOCKS["output", "archive.py"].splitlines()[1:]


@pytest.mark.embedded
def test_what_it_keeps_is_backed_up_and_restored(tmp_path: Path) -> None:
    run(with_settings(BLOCKS["settings", "embedded"]), tmp_path)
    assert run(BLOCKS["example", "backup.py"], tmp_path) == BLOCKS["output", "backup.py"]


@pytest.mark.embedded
async def test_it_runs_on_a_database_that_is_there(tmp_path: Path, postgres_server: str) -> None:
    async with fresh_database(postgres_server) as url:
        line, replaced = re.subn(r'"postgresql://.*?"', repr(url), BLOCKS["settings", "postgres"])
        assert replaced == 1
        got = await asyncio.to_thread(run, with_settings(line), tmp_path)
    assert got == BLOCKS["output", "archive.py"]


def test_the_snippet_of_the_readme_runs(tmp_path: Path) -> None:
    readme = (ROOT / "README.md").read_text("utf-8")
    [snippet] = re.findall(r"```python\n(.*?)```", readme, re.DOTALL)
    imports, _, inner = snippet.replace('embedded("archive-data")', "in_memory()").partition("\n\n")
    lines = [f"    {line}" for line in inner.splitlines()]
    body = f"body = {delivery(1)!r}"
    main = ["import asyncio", imports, body, "async def main():", *lines, "asyncio.run(main())"]
    assert run("\n".join(main), tmp_path).endswith("message 1\n")


def test_the_other_snippets_are_right(monkeypatch: pytest.MonkeyPatch) -> None:
    snippets: list[str] = re.findall(r"```python\n(.*?)```", DOC, re.DOTALL)
    others = [text for text in snippets if text not in BLOCKS.values()]
    assert len(others) == 3
    monkeypatch.setenv("ARCHIVE_URL", "postgresql://wagateway:word@/wagateway?host=%2Ftmp%2Fs")
    monkeypatch.setenv("WHATSAPP_API_KEY", TOKEN)
    for snippet in others:
        exec(snippet, {"Settings": Settings, "Path": Path, "os": os})


class TestService:
    @pytest.fixture
    async def client(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> AsyncIterator[AsyncTestClient[Litestar]]:
        monkeypatch.setenv("MY_WEBHOOK_TOKEN", TOKEN)
        service = ModuleType("service")
        monkeypatch.setitem(sys.modules, "service", service)
        exec(compile(BLOCKS["example", "service.py"], "service.py", "exec"), vars(service))
        async with AsyncTestClient(app=service.app) as client:
            yield client

    @staticmethod
    async def post(
        client: AsyncTestClient[Litestar], body: bytes, token: str = TOKEN
    ) -> httpx.Response:
        return await client.post("/whatsapp", content=body, headers={"X-Whatsapp-Token": token})

    async def test_it_archives_and_shows(self, client: AsyncTestClient[Litestar]) -> None:
        answer = await self.post(client, delivery(1))
        assert (answer.status_code, answer.json()) == (200, {"stored": 1, "duplicates": 0})
        assert (await self.post(client, delivery(1))).json() == {"stored": 0, "duplicates": 1}
        shown = await client.get("/chats/default/+55 11 98765-0102")
        assert (shown.status_code, shown.json()) == (200, ["message 1"])

    async def test_it_refuses(self, client: AsyncTestClient[Litestar]) -> None:
        assert (await self.post(client, delivery(1), token="wrong")).status_code == 401
        assert (await self.post(client, b"{")).status_code == 400
        assert (await client.get("/chats/default/5511987650102")).status_code == 404
        assert (await client.get("/chats/default/ana")).status_code == 400


@pytest.mark.embedded
async def test_leaving_writes_what_was_taken_in(postgres_server: str) -> None:
    async with fresh_database(postgres_server) as url:
        async with open_services(Settings(database_url=url, pool_size=2)) as services:
            pending = [asyncio.create_task(ingest(services.ingest, n)) for n in range(200)]
            await asyncio.sleep(0)
        async with asyncio.timeout(10):
            assert await asyncio.gather(*pending) == [1] * 200
        async with Gateway.open(Settings(database_url=url, auto_migrate=False)) as gateway:
            page = await gateway.messages("default", "5511987650102", limit=500)
            assert len(page.messages) == 200


async def ingest(use_case: IngestBody, number: int) -> int:
    return (await use_case(delivery(number))).stored


def delivery(number: int) -> bytes:
    chat = "5511987650102@c.us"
    payload = {"id": f"false_{chat}_A{number}", "timestamp": 1791028800, "from": chat}
    payload |= {"fromMe": False, "body": f"message {number}"}
    return msgspec.json.encode({"event": "message", "session": "default", "payload": payload})
