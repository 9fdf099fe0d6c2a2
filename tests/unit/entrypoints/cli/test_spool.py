"""``wagateway spool``: what waits, and taking over what another address left."""

import asyncio
import json
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from msgspec.structs import replace
from tests.support.valkey import ValkeyServers, fresh, needs_valkey

from wagateway.adapters.filesystem.spool import FilesystemSpool
from wagateway.entrypoints.cli.endings import ExitCode
from wagateway.entrypoints.cli.program import program
from wagateway.entrypoints.redis_use import redis_server
from wagateway.entrypoints.settings import Settings
from wagateway.entrypoints.stores import SpoolPlace, open_spool, other_spools, spool_name
from wagateway.ports.spool import Spool, SpooledBody

NOW = "postgresql://ana@db-2.example:5432/archive"
BEFORE = "postgresql://ana@db-1.example:5432/archive"


class World:
    """A place for spools, and the commands there."""

    def __init__(self, env: dict[str, str], settings: Settings) -> None:
        self.env = env
        self.settings = settings
        name = spool_name(replace(settings, database_url=BEFORE))
        self.place = SpoolPlace(settings.spool_kind, name)
        self.before = f"{settings.spool_kind}:{name}"

    async def run(self, *words: str) -> Result:
        return await asyncio.to_thread(CliRunner().invoke, program, ["spool", *words], env=self.env)

    @asynccontextmanager
    async def spool(self, place: SpoolPlace | None = None) -> AsyncIterator[Spool]:
        async with open_spool(self.settings, place) as spool:
            assert spool is not None
            yield spool

    async def put(self, *texts: str, place: SpoolPlace | None = None) -> None:
        async with self.spool(place) as spool:
            for text in texts:
                body = SpooledBody(body=text.encode(), received_at=datetime(2026, 1, 5, tzinfo=UTC))
                await spool.put([body])

    async def texts(self) -> list[str]:
        async with self.spool() as spool:
            return [each.body.decode() for e in await spool.oldest(limit=99) for each in e.bodies]


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(
        {"WHATSAPP_DATABASE_URL": NOW, "WHATSAPP_SPOOL_DIR": str(tmp_path)},
        Settings(database_url=NOW, spool_dir=tmp_path),
    )


async def test_an_empty_one_says_so_and_makes_nothing(world: World, tmp_path: Path) -> None:
    done = await world.run()
    assert done.output == (
        "Spool of the archive in PostgreSQL (db-2.example, 5432, archive): no webhook waits for "
        f"the database.\nIt is the folder {tmp_path / spool_name(world.settings)}, made with the "
        "first that waits.\n"
    )
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("words", [[], ["--json"], ["--retry"]])
async def test_a_data_folder_that_is_not_there_is_an_error(
    tmp_path: Path, words: list[str]
) -> None:
    world = World({"WHATSAPP_DATABASE_URL": ""}, Settings())
    done = await world.run("--data-dir", str(tmp_path / "nothere"), *words)
    assert done.exit_code == ExitCode.FAILED
    assert f"There is no archive in {tmp_path / 'nothere'}" in done.output
    assert list(tmp_path.iterdir()) == []


async def test_the_embedded_archive_is_named_by_its_folder(tmp_path: Path) -> None:
    (tmp_path / "pg").mkdir()
    world = World({"WHATSAPP_DATABASE_URL": ""}, Settings())
    told = (await world.run("--data-dir", str(tmp_path))).output
    assert told.startswith(f"Spool of the embedded archive in {tmp_path}: no webhook waits")


async def test_tells_what_waits_here_and_elsewhere(world: World) -> None:
    await world.put("a", "b")
    await world.put("c", place=world.place)
    told = (await world.run()).output
    assert "2 groups of webhooks" in told
    assert f"Another spool, {world.before}: 1 group of webhooks" in told
    assert "--adopt" in told
    report = json.loads((await world.run("--json")).output)
    assert report["depth"]["entries"] == 2
    assert report["others"][world.before]["entries"] == 1


async def test_takes_over_what_another_address_left(world: World) -> None:
    await world.put("new")
    await world.put(*map(str, range(150)), place=world.place)
    done = await world.run("--adopt", world.before, "--json")
    report = json.loads(done.output)
    assert (report["adopted"], report["others"]) == (150, {})
    assert (await world.texts())[:3] == ["new", "0", "1"]


@pytest.mark.parametrize("name", ["nobody", "../..", "", "."])
async def test_a_name_that_is_none_is_refused(world: World, name: str) -> None:
    await world.put("c", place=world.place)
    done = await world.run("--adopt", name)
    assert done.exit_code == ExitCode.FAILED
    assert world.before in done.output


async def test_what_another_process_records_is_left_to_it(world: World, tmp_path: Path) -> None:
    theirs = FilesystemSpool(tmp_path / world.place.name, max_bytes=10**6)
    await world.put("c", place=world.place)
    assert await theirs.oldest(limit=1)
    done = await world.run("--adopt", world.before)
    await theirs.aclose()
    assert done.exit_code == ExitCode.CONFLICT
    assert await world.texts() == []


async def test_what_was_set_aside_waits_again_when_it_is_said(world: World) -> None:
    await world.put("a", "b")
    async with world.spool() as spool:
        for entry in await spool.oldest(limit=9):
            await spool.set_aside(entry.key)
    told = (await world.run()).output
    assert "2 set aside" in told
    assert "--retry" in told
    assert "Waiting again, after being set aside: 2 groups" in (await world.run("--retry")).output
    assert await world.texts() == ["a", "b"]
    assert json.loads((await world.run("--retry", "--json")).output)["put_back"] == 0


@pytest.mark.skipif(os.geteuid() != 0, reason="root alone may use the folders of others")
@pytest.mark.parametrize("words", [["--retry"], ["--adopt", "x"]])
async def test_root_leaves_nothing_in_a_folder_of_somebody_else(
    world: World, tmp_path: Path, words: list[str]
) -> None:
    os.chown(tmp_path, 12345, 12345)
    done = await world.run(*words)
    assert done.exit_code == ExitCode.FAILED
    assert "run this as that user" in done.output
    assert (await world.run()).exit_code == 0


async def test_of_another_spool_that_holds_only_what_was_set_aside_nothing_is_to_be_adopted(
    world: World,
) -> None:
    await world.put("a", place=world.place)
    async with world.spool(world.place) as spool:
        [entry] = await spool.oldest(limit=9)
        await spool.set_aside(entry.key)
    told = (await world.run()).output
    assert f"Another spool, {world.before}: no webhook waits for the database; 1 set aside" in told
    assert "--adopt" not in told


async def test_without_a_spool_there_is_nothing_to_tell(world: World) -> None:
    world.env["WHATSAPP_SPOOL"] = "off"
    assert "webhooks are refused" in (await world.run()).output
    for words in (["--adopt", "x"], ["--retry"]):
        assert (await world.run(*words)).exit_code == ExitCode.FAILED


async def test_what_waits_is_told_where_the_spool_was_switched_off_since(world: World) -> None:
    await world.put("a")
    world.env["WHATSAPP_SPOOL"] = "off"
    told = (await world.run()).output
    assert f"filesystem:{spool_name(world.settings)}: 1 group of webhooks" in told


@needs_valkey
async def test_what_waits_in_the_folder_goes_to_redis_that_is_used_since(
    world: World, valkey_servers: ValkeyServers
) -> None:
    await world.put("a")
    mine = f"filesystem:{spool_name(world.settings)}"
    async with fresh(valkey_servers.get("valkey")) as server:
        world.env |= {"WHATSAPP_REDIS_ENABLED": "true", "WHATSAPP_REDIS_URL": server.url}
        world.settings = replace(world.settings, redis_enabled=True, redis_url=server.url)
        assert mine in (await world.run()).output
        report = json.loads((await world.run("--adopt", mine, "--json")).output)
        assert (report["kind"], report["adopted"], report["others"]) == ("redis", 1, {})
        async with world.spool() as spool:
            [entry] = await spool.oldest(limit=9)
            await spool.let_go([entry.key])


@needs_valkey
async def test_in_redis_each_address_has_its_own_too(valkey_servers: ValkeyServers) -> None:
    async with fresh(valkey_servers.get("valkey")) as server:
        settings = Settings(database_url=NOW, redis_enabled=True, redis_url=server.url)
        assert redis_server(settings) == replace(server, prefix="wagateway:")
        env = {"WHATSAPP_DATABASE_URL": NOW, "WHATSAPP_REDIS_ENABLED": "true"}
        world = World(env | {"WHATSAPP_REDIS_URL": server.url}, settings)
        await world.put("c", place=world.place)
        assert list(await other_spools(settings)) == [world.place]
        report = json.loads((await world.run("--adopt", world.before, "--json")).output)
        assert (report["kind"], report["adopted"]) == ("redis", 1)
        async with world.spool() as spool:
            [entry] = await spool.oldest(limit=9)
            assert entry.bodies[0].body == b"c"
            await spool.let_go([entry.key])
