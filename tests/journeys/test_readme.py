"""The commands of the README, as a stranger copies them, against a gateway that runs."""

import asyncio
import os
import re
import shutil
import sys
import sysconfig
from pathlib import Path

import pytest
from tests.journeys.program import Running, run, up

pytestmark = [pytest.mark.slow, pytest.mark.embedded]

ROOT = Path(__file__).parents[2]
BLOCKS: list[str] = re.findall(
    r"```sh\n(.*?)```", (ROOT / "README.md").read_text("utf-8"), re.DOTALL
)
ADDRESS = "http://127.0.0.1:4011"
ANA = "5511987650102"
NEED_MORE = (
    "scripts/demo",
    "scripts/start-stack",
    "pip install",
    "WHATSAPP_HOOK_URL",
    "WHATSAPP_CORE_URL",
)
"""Found in what installs from the network or needs Docker, is meant for WAHA, or asks it."""
RUN = [block for block in BLOCKS if not any(words in block for words in NEED_MORE)]


async def shell(gateway: Running, commands: str) -> str:
    """Run *commands* as they are printed, but for the address, and return what they wrote."""
    tokens = {
        "TOKEN": gateway.token("api_token"),
        "WHATSAPP_GATEWAY_API_TOKEN": gateway.token("api_token"),
        "WHATSAPP_WEBHOOK_TOKEN": gateway.token("webhook_token"),
    }
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    home = gateway.data_dir.parent
    process = await asyncio.create_subprocess_exec(
        *("bash", "-euo", "pipefail", "-c", commands.replace(ADDRESS, gateway.url)),
        cwd=home,
        env={"PATH": path, "HOME": str(home), "WHATSAPP_DATA_DIR": str(gateway.data_dir), **tokens},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    async with asyncio.timeout(100):
        out = (await process.communicate())[0].decode()
    assert process.returncode == 0, out
    return out


@pytest.mark.skipif(shutil.which("curl") is None, reason="curl is missing")
async def test_what_it_shows_works(tmp_path: Path) -> None:
    simulating = [block for block in RUN if "simulate" in block]
    asking = [block for block in RUN if "curl" in block]
    assert len(simulating) + len(asking) == len(RUN) > 3
    async with up(tmp_path) as gateway:
        for block in simulating:
            assert "The archive equals the truth" in await shell(gateway, block)
        async with gateway.client() as client:
            chat = (await client.get("/api/chats/default?limit=1")).json()["chats"][0]["id"]
        for line in "".join(asking).replace(ANA, chat).splitlines():
            if line.startswith("curl -N"):  # it has no end of its own
                told = await shell(gateway, f"{line.replace('-N', '-sN --max-time 2')} || true")
                assert "retry: " in told
            elif line.startswith("curl "):
                assert await shell(gateway, line.replace("curl ", "curl -fsS ", 1))
        psql = "wagateway psql -c 'TABLE whatsapp_gateway.active_sessions'"
        assert "default" in await shell(gateway, psql)


async def test_the_programs_that_came_along_dump_the_embedded_database(tmp_path: Path) -> None:
    page = (ROOT / "docs" / "OPERATING.md").read_text("utf-8")
    [commands] = re.findall(r"```sh\n(PROGRAMS=.*?)```", page, re.DOTALL)
    installed = tmp_path / "wagateway" / "lib" / "python3.11"  # as where the README installs it
    installed.mkdir(parents=True)
    (installed / "site-packages").symlink_to(sysconfig.get_path("platlib"))
    async with up(tmp_path) as gateway:
        await shell(gateway, commands)
    assert (tmp_path / "wagateway.dump").read_bytes().startswith(b"PGDMP")


@pytest.mark.parametrize("page", ["README.md", "docs/OPERATING.md"])
async def test_the_lines_for_waha_are_those_that_are_printed(page: str, tmp_path: Path) -> None:
    token = "kX3-9vQz_7LmT2bRw8Ye"
    env = {"WHATSAPP_WEBHOOK_TOKEN": token, "WHATSAPP_GATEWAY_API_TOKEN": token[::-1]}
    printed = (await run("waha-env", home=tmp_path, env=env)).out
    shown = re.findall(r"^WHATSAPP_HOOK_\w+=.*$", printed, re.MULTILINE)
    text = (ROOT / page).read_text("utf-8")
    assert len(shown) == 6
    for line in shown:
        assert line.replace(token, "<the webhook token>") in text
