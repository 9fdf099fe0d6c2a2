import pytest

from wagateway.adapters.redis.address import RedisServer
from wagateway.adapters.redis.facts import facts_from
from wagateway.domain.errors import InvalidInput

WELL = {
    "redis_version": "7.2.4",
    "aof_enabled": 1,
    "appendfsync": "always",
    "maxmemory_policy": "noeviction",
}


def test_a_server_that_keeps_what_it_is_given_lacks_nothing() -> None:
    assert facts_from(WELL).lacks == []


@pytest.mark.parametrize(
    ("told", "lack"),
    [
        ({"redis_version": "7.0.15"}, "take Redis 7.2"),
        ({"redis_version": "6.2"}, "take Redis 7.2"),
        ({"redis_version": "unheard-of"}, "take Redis 7.2"),
        ({"aof_enabled": 0, "appendfsync": "no"}, "set appendonly yes"),
        ({"appendfsync": "no"}, "set appendfsync always"),
        ({"appendfsync": "everysec"}, "set appendfsync always"),
        ({"appendfsync": None}, "set appendfsync always"),  # not all users may ask that
        ({"maxmemory_policy": "allkeys-random"}, "set maxmemory-policy noeviction"),
    ],
)
def test_what_may_lose_something_is_named(told: dict[str, object], lack: str) -> None:
    [only] = facts_from(WELL | told).lacks
    assert only.startswith(lack)


@pytest.mark.parametrize(
    "told",
    [
        {"redis_version": "10.0.0"},
        {"redis_version": "7.2.4", "valkey_version": "7.2.5"},
        {"maxmemory_policy": "volatile-lru"},  # nothing of ours that waits has a time to live
    ],
)
def test_what_loses_nothing_is_taken(told: dict[str, object]) -> None:
    assert facts_from(WELL | told).lacks == []


def test_no_login_shows() -> None:
    server = RedisServer(url="redis://:hidden-word@cache:6379/0", password="hidden-word")
    assert "hidden-word" not in repr(server)
    with pytest.raises(InvalidInput) as caught:
        RedisServer(url="http://hidden-word")
    assert "hidden-word" not in str(caught.value)
