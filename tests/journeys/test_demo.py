import asyncio
import re
import shlex
import signal
from pathlib import Path

import httpx
import pytest
from tests.journeys.program import free_port, read_one_line, run, running

from wagateway import Gateway, Settings
from wagateway.entrypoints.cli.endings import ExitCode
from wagateway.entrypoints.serve import listen

pytestmark = pytest.mark.slow

SAMPLES = Path(__file__).parents[1] / "data" / "waha" / "events"


def messages_in(out: str) -> int:
    found = re.search(r"The archive holds ([\d,]+) messages in", out)
    assert found, out
    return int(found[1].replace(",", ""))


async def test_archives_and_continues(tmp_path: Path) -> None:
    words = ("demo", "--data-dir", str(tmp_path / "demo"), "--port", str(free_port()))
    first = await run(*words, "--count", "300", home=tmp_path)
    assert first.code == ExitCode.OK, first.err
    assert "300 deliveries: " in first.out
    assert " 0 failed." in first.out
    assert "Kept raw only are calls, presence" in first.out
    assert messages_in(first.out) > 50
    second = await run(*words, "--count", "30", "--rate", "200", home=tmp_path)
    assert second.code == ExitCode.OK, second.err
    assert messages_in(second.out) > messages_in(first.out)


async def test_what_it_offers_to_try_works_and_ctrl_c_ends_it(tmp_path: Path) -> None:
    folder = tmp_path / "a folder" / "demo"
    port = free_port()
    words = ("demo", "--data-dir", str(folder), "--port", str(port))
    async with running(*words, home=tmp_path, data_dir=folder, port=port) as demo:
        await demo.until("/docs")
        commands = [line.strip() for line in demo.out.splitlines() if line.startswith("  ")]
        curls = [shlex.split(line) for line in commands if line.startswith("curl ")]
        assert len(curls) == 4
        async with httpx.AsyncClient(trust_env=False) as client:
            for curl in curls:
                name, _, value = curl[3].partition(": ")
                assert (await client.get(curl[4], headers={name: value})).status_code == 200
            assert (await client.get(demo.out.split()[-1])).status_code == 200
        assert "/api/messages/demo/" in curls[2][4]
        assert "- what is kept raw only, such as calls:" in demo.out.splitlines()
        psql = await asyncio.create_subprocess_shell(commands[-1], stdout=asyncio.subprocess.PIPE)
        shown = re.search(rb"\((\d+) rows?\)", (await psql.communicate())[0])
        assert shown is not None  # at most 10, and fewer while the archive is seconds old
        assert int(shown[1]) > 0
        doctor = await run("doctor", "--data-dir", str(folder), home=tmp_path)
        assert f"it runs at {demo.url} and accepts" in doctor.out
        assert await demo.stop(signal.SIGINT) == ExitCode.OK
        assert messages_in(demo.out) > 0
    assert "Traceback" not in (tmp_path / "stderr.log").read_text()


async def test_ends_quietly_when_nobody_reads_any_more(tmp_path: Path) -> None:
    folder = str(tmp_path / "demo")
    words = ("demo", "--data-dir", folder, "--port", str(free_port()), "--rate", "50")
    demo = await read_one_line(*words, home=tmp_path)
    assert demo.out.startswith("The demo's archive is in")
    assert demo.err == ""
    doctor = await read_one_line("doctor", "--data-dir", folder, home=tmp_path)
    assert doctor.out.startswith("ok ")
    assert doctor.err == ""


async def test_takes_a_free_port_when_its_own_is_busy(tmp_path: Path) -> None:
    with listen("127.0.0.1", 0) as busy:
        port = str(busy.getsockname()[1])
        words = ("--data-dir", str(tmp_path / "demo"), "--port", port, "--count", "5")
        demo = await run("demo", *words, home=tmp_path)
    assert demo.code == ExitCode.OK
    assert f"Port {port} is in use" in demo.err


async def test_names_the_folder_alone_when_another_demo_runs_in_it(tmp_path: Path) -> None:
    folder, port = tmp_path / "demo", free_port()
    words = ("demo", "--data-dir", str(folder), "--port", str(port))
    async with running(*words, home=tmp_path, data_dir=folder, port=port) as demo:
        await demo.until("The demo's archive is in")
        second = await run(*words, home=tmp_path)
    assert second.code == ExitCode.CONFLICT
    assert f"in use by process {demo.process.pid}" in second.err
    assert "Port" not in second.err


async def test_puts_nobody_invented_into_an_archive_of_yours(tmp_path: Path) -> None:
    folder = tmp_path / "yours"
    body = (SAMPLES / "noweb-message-text.json").read_bytes()
    async with Gateway.open(Settings.embedded(folder)) as gateway:
        assert (await gateway.ingest(body)).stored == 1
        held = [each.session for each in await gateway.sessions()]
    demo = await run("demo", "--data-dir", str(folder), "--count", "1", home=tmp_path)
    assert demo.code == ExitCode.CONFLICT
    assert f"holds an archive that no demo made, of session '{held[0]}'" in demo.err
    async with Gateway.open(Settings.embedded(folder)) as gateway:
        assert [each.session for each in await gateway.sessions()] == held


async def test_uses_nothing_of_the_users_own_gateway(tmp_path: Path) -> None:
    env = {
        "WHATSAPP_DATABASE_URL": "postgresql://nobody@127.0.0.1:1/none",
        "WHATSAPP_GATEWAY_API_TOKEN": "kX3-9vQz_7LmT2bRw8Ye",
    }
    demo = await run("demo", "--port", str(free_port()), "--count", "50", home=tmp_path, env=env)
    assert demo.code == ExitCode.OK, demo.err
    assert "kX3-9vQz_7LmT2bRw8Ye" not in demo.out
    assert (tmp_path / "share" / "wagateway" / "demo" / "pg").is_dir()
