import asyncio
import os
import signal
import socket
import threading
from pathlib import Path

import pytest
from msgspec.structs import replace
from tests.support.postgres import fresh_database

from wagateway.adapters.timescale.migrate import migrate
from wagateway.domain.errors import Conflict, InvalidInput
from wagateway.entrypoints.cli.announce import exposure_warning, ready_lines
from wagateway.entrypoints.cli.place import schema_warning
from wagateway.entrypoints.secrets import GatewaySecrets
from wagateway.entrypoints.serve import base_url, is_exposed, limits_of, listen, run_until_stopped
from wagateway.entrypoints.settings import Settings

TOKEN = "kX3-9vQz_7LmT2bRw8Ye"
NEW = GatewaySecrets(
    api_token="an-api-token",
    webhook_token=TOKEN,
    webhook_hmac_key=None,
    generated=frozenset({"api_token", "webhook_token"}),
    path=Path("/data/secrets.json"),
)


def test_a_port_that_is_taken_is_refused_with_the_way_out() -> None:
    with listen("127.0.0.1", 0) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(Conflict, match=f"Port {port}.*--port"):
            listen("127.0.0.1", port)
        with pytest.raises(Conflict, match="another one with --health-port"):
            listen("127.0.0.1", port, option="--health-port")


@pytest.mark.parametrize("host", ["no such host", "192.0.2.1", "a" * 300])
def test_an_address_of_nobody_is_refused(host: str) -> None:
    with pytest.raises(InvalidInput, match=r"--host 127\.0\.0\.1"):
        listen(host, 0)


def test_only_addresses_beyond_this_machine_are_exposed() -> None:
    with listen("127.0.0.1", 0) as local, listen("0.0.0.0", 0) as everywhere:
        assert not is_exposed(local)
        assert exposure_warning(local, Settings()) is None
        assert is_exposed(everywhere)
        assert "TLS" in (exposure_warning(everywhere, Settings()) or "")
        assert exposure_warning(everywhere, Settings(behind_tls=True)) is None
        assert base_url(everywhere) == f"http://127.0.0.1:{everywhere.getsockname()[1]}"


async def test_settings_say_how_often_one_client_may_ask() -> None:
    some = limits_of(Settings(api_requests_per_minute=1, failed_logins_per_minute=2))
    assert some.requests
    assert some.failures
    assert [await some.requests.take("a") > 0 for _ in range(2)] == [False, True]
    assert [await some.failures.take("a") > 0 for _ in range(3)] == [False, False, True]
    none = limits_of(Settings(api_requests_per_minute=0, failed_logins_per_minute=0))
    assert (none.requests, none.failures) == (None, None)


@pytest.mark.skipif(not socket.has_ipv6, reason="no IPv6 here")
@pytest.mark.parametrize("host", ["::1", "::"])
def test_an_ipv6_address_is_written_in_brackets(host: str) -> None:
    with listen(host, 0) as listener:
        assert base_url(listener) == f"http://[::1]:{listener.getsockname()[1]}"


def test_files_that_wait_for_a_disk_leave_threads_for_the_rest() -> None:
    """As many as may be fetched at once, and as many to be tidied up."""
    goes_on = threading.Event()

    async def work() -> None:
        waiting = [asyncio.create_task(asyncio.to_thread(goes_on.wait, 30)) for _ in range(200)]
        await asyncio.sleep(0)
        try:
            async with asyncio.timeout(5):
                await asyncio.to_thread(socket.getaddrinfo, "localhost", 5432)
        finally:
            goes_on.set()
            await asyncio.gather(*waiting)

    run_until_stopped(work())


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_cancels_the_work_and_waits_for_its_end(number: signal.Signals) -> None:
    ended = []

    async def work() -> None:
        try:
            os.kill(os.getpid(), number)
            await asyncio.sleep(10)
        finally:
            await asyncio.sleep(0)
            ended.append(True)

    run_until_stopped(work())
    assert ended


def test_an_error_of_the_work_comes_out() -> None:
    async def work() -> None:
        raise Conflict("in use")

    with pytest.raises(Conflict):
        run_until_stopped(work())


def test_new_tokens_are_shown_with_what_waha_needs() -> None:
    with listen("127.0.0.1", 0) as listener:
        text = "\n".join(ready_lines(Settings(), NEW, listener))
        url = base_url(listener)
    assert "an-api-token" in text
    assert f"WHATSAPP_HOOK_URL={url}/webhooks/messages" in text
    assert f"WHATSAPP_HOOK_CUSTOM_HEADERS=X-Whatsapp-Token:{TOKEN}" in text
    assert "WHATSAPP_HOOK_EVENTS=message.any,message.ack,message.ack.group,message.rea" in text
    for setting in ("POLICY=exponential", "DELAY_SECONDS=2", "ATTEMPTS=12"):
        assert f"WHATSAPP_HOOK_RETRIES_{setting}" in text


def test_it_is_said_whether_anything_is_read_from_waha() -> None:
    of_waha = Settings(engine_url="http://somebody:hidden-word@127.0.0.1:3000")
    with listen("127.0.0.1", 0) as listener:
        on, nowhere, off = (
            "\n".join(ready_lines(settings, NEW, listener))
            for settings in (of_waha, Settings(), replace(of_waha, sync_enabled=False))
        )
    assert "Sync     reads from" in on
    assert "hidden-word" not in on
    assert "set WHATSAPP_CORE_URL" in nowhere
    assert "switched off" in off


def test_tokens_that_are_not_new_are_not_shown() -> None:
    kept = GatewaySecrets(api_token="an-api-token", webhook_token=TOKEN, webhook_hmac_key=None)
    chosen = GatewaySecrets(
        api_token="made-now",
        webhook_token=None,
        webhook_hmac_key=TOKEN,
        generated=frozenset({"api_token"}),
        path=Path("/data/secrets.json"),
    )
    with listen("127.0.0.1", 0) as listener:
        later = "\n".join(ready_lines(Settings(), kept, listener))
        mixed = "\n".join(ready_lines(Settings(), chosen, listener))
    assert "an-api-token" not in later
    assert TOKEN not in later + mixed
    assert "made-now" in mixed
    assert "WHATSAPP_HOOK_HMAC_KEY=<" in mixed


def test_the_folder_is_shown_as_it_is_found_from_anywhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with listen("127.0.0.1", 0) as listener:
        text = "\n".join(ready_lines(Settings(data_dir=Path("data")), NEW, listener))
    assert str(tmp_path / "data") in text


async def test_a_schema_that_is_left_alone_is_warned_of() -> None:
    away = Settings(database_url="postgresql://nobody@127.0.0.1:1/none", auto_migrate=False)
    assert "Check that the server runs" in (await schema_warning(away) or "")
    assert await schema_warning(replace(away, auto_migrate=True)) is None
    assert await schema_warning(replace(away, database_url="memory://")) is None


@pytest.mark.embedded
async def test_a_schema_that_is_behind_is_warned_of(postgres_server: str) -> None:
    async with fresh_database(postgres_server) as url:
        settings = Settings(database_url=url, auto_migrate=False)
        assert "wagateway migrate" in (await schema_warning(settings) or "")
        await migrate(url)
        assert await schema_warning(settings) is None
