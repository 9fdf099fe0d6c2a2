from collections.abc import Iterator

import pytest
from msgspec.structs import replace
from tests.support.hung import silent_listener
from tests.support.valkey import ValkeyServer, needs_valkey, valkey

from wagateway.entrypoints.findings import Finding, Verdict
from wagateway.entrypoints.redis_check import redis_finding
from wagateway.entrypoints.settings import Settings

pytestmark = needs_valkey


@pytest.fixture(scope="module")
def server() -> Iterator[ValkeyServer]:
    with valkey() as running:
        yield running


def settings_of(server: ValkeyServer) -> Settings:
    return Settings(redis_enabled=True, redis_port=server.port)


async def looked(settings: Settings, *, patience_s: float = 10.0) -> Finding:
    found = await redis_finding(settings, patience_s=patience_s)
    assert found is not None
    assert found.hop == "redis"
    return found


async def test_none_is_no_hop() -> None:
    assert await redis_finding(Settings()) is None
    assert await redis_finding(Settings(redis_enabled=True, database_url="memory://")) is None


async def test_one_that_keeps_what_it_is_given_is_well(server: ValkeyServer) -> None:
    found = await looked(settings_of(server))
    assert found.verdict is Verdict.OK
    assert found.found.startswith("Valkey 9.")
    assert found.found.endswith("with an append-only file, noeviction when its memory is full")


@pytest.mark.parametrize(
    ("name", "value", "usual"),
    [
        ("appendonly", "no", "yes"),
        ("appendfsync", "everysec", "always"),
        ("maxmemory-policy", "allkeys-lru", "noeviction"),
    ],
)
async def test_one_that_may_lose_what_it_is_given_could_be_better(
    server: ValkeyServer, name: str, value: str, usual: str
) -> None:
    server.asked("CONFIG", "SET", name, value)
    try:
        found = await looked(settings_of(server))
    finally:
        server.asked("CONFIG", "SET", name, usual)
    assert found.verdict is Verdict.WARN
    assert "No delivery waits in it while the database is away" in (found.mend or "")
    assert f"set {name} {usual}, since " in (found.mend or "")


async def test_one_that_is_away_is_broken_and_no_password_shows() -> None:
    away = Settings(redis_enabled=True, redis_url="redis://:hidden-word@127.0.0.1:1/0")
    found = await looked(away)
    assert found.verdict is Verdict.FAIL
    assert "cannot be reached (ConnectionError)" in found.found
    assert "WHATSAPP_REDIS_URL" in (found.mend or "")
    assert "hidden-word" not in found.found


async def test_one_that_says_nothing_is_broken_after_a_while() -> None:
    async with silent_listener() as url:
        port = int(url.rpartition(":")[2].partition("/")[0])
        found = await looked(Settings(redis_enabled=True, redis_port=port), patience_s=0.2)
    assert (found.verdict, found.found) == (Verdict.FAIL, "it does not answer within 0.2 s")


async def test_a_password_is_needed_and_given(server: ValkeyServer) -> None:
    settings = settings_of(server)
    server.asked("CONFIG", "SET", "requirepass", "hidden-word")
    try:
        refused = await looked(replace(settings, redis_password="wrong-word"))
        without = await looked(settings)
        let_in = await looked(replace(settings, redis_password="hidden-word"))
    finally:
        with_password = f"redis://:hidden-word@127.0.0.1:{server.port}/0"
        server.asked_at(with_password, "CONFIG", "SET", "requirepass", "")
    assert refused.verdict is without.verdict is Verdict.FAIL
    assert "check WHATSAPP_REDIS_PASSWORD" in refused.found
    assert "check WHATSAPP_REDIS_PASSWORD" in without.found
    assert let_in.verdict is Verdict.OK


async def test_a_replica_takes_nothing(server: ValkeyServer) -> None:
    server.asked("REPLICAOF", "127.0.0.1", "1")
    try:
        found = await looked(settings_of(server))
    finally:
        server.asked("REPLICAOF", "NO", "ONE")
    assert found.verdict is Verdict.FAIL
    assert found.mend == "Name its primary."
