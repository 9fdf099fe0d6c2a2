"""The examples of docs/API.md, run by curl in their order, answer what stands below them."""

import asyncio
import json
import os
import re
import shutil
from collections.abc import AsyncIterator, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from tests.support.engine import FakeEngine
from tests.support.media_files import encoded, picture
from tests.support.media_world import PLAN, FakeSource

from wagateway.adapters.inspection.inspector import open_inspector
from wagateway.domain.sync import SyncState, fresh
from wagateway.entrypoints.containers import Services, now, open_services
from wagateway.entrypoints.secrets import GatewaySecrets
from wagateway.entrypoints.serve import base_url, build_app, listen, serving
from wagateway.entrypoints.settings import Settings
from wagateway.usecases.fetch_media import FetchMedia
from wagateway.usecases.inspect_media import InspectMedia

pytestmark = pytest.mark.skipif(
    not (shutil.which("curl") and shutil.which("openssl")), reason="curl or openssl is missing"
)

PAGE = (Path(__file__).parents[2] / "docs" / "API.md").read_text("utf-8")
SECRETS = GatewaySecrets(
    api_token="the-api-token-of-the-test",
    webhook_token="the-webhook-token-of-the-test",
    webhook_hmac_key="the-key-of-the-test",
)
VARIES = {
    *("last_event_at", "received_at", "status_at", "probed_at", "due_at", "begin", "end"),
    *("next", "previous", "placeholder", "sha256", "size_bytes", "url", "thumbnail_url"),
}
"""What differs from run to run; whether there is anything is compared all the same."""

_EXAMPLE = re.compile(r"```sh\n(.*?)```\n(?:\n```json\n(.*?)```)?", re.DOTALL)


class Example(NamedTuple):
    """A block of commands, and what they answer, one value after another."""

    commands: str
    answers: str


EXAMPLES = [Example(*found) for found in _EXAMPLE.findall(PAGE) if "curl" in found[0]]
LEASE = timedelta(minutes=1)


def values_in(text: str) -> Iterator[Any]:
    """Yield the JSON values that stand one after another in *text*."""
    decoder, rest = json.JSONDecoder(), text.strip()
    while rest:
        value, end = decoder.raw_decode(rest)
        yield value
        rest = rest[end:].lstrip()


def compared(value: Any) -> Any:  # noqa: ANN401 - any JSON
    """Return *value* without what varies."""
    if isinstance(value, list):
        return [compared(each) for each in value]
    if not isinstance(value, dict):
        return value
    return {
        key: type(inner).__name__ if key in VARIES else compared(inner)
        for key, inner in value.items()
    }


async def fetch_files(services: Services, folder: Path) -> None:
    """Do what a worker does, with a WAHA that has a picture at the address that the page tells."""
    source = FakeSource()
    content = encoded(picture(60, 40), "JPEG")
    source.files = dict.fromkeys(re.findall(r'"url": "(http[^"]+)"', PAGE), content)
    fetch = FetchMedia(
        engine=FakeEngine(),
        source=source,
        media=services.media,
        downloads=services.downloads,
        clock=now,
        plan=PLAN,
        folder=folder,
    )
    for task in await services.downloads.claim(now(), rules=PLAN.rules, lease=LEASE, limit=9):
        await fetch(task)
    async with open_inspector() as inspector:
        look = InspectMedia(
            inspector=inspector,
            media=services.media,
            downloads=services.downloads,
            clock=now,
            folder=folder,
        )
        for file in await services.downloads.claim_inspections(now(), lease=LEASE, limit=9):
            await look(file)


async def find_sessions(services: Services) -> None:
    """Do what a worker does once WAHA told it of the session: its chats are to be read."""
    for archive in await services.sync_store.archives():
        await services.sync_store.enrol_session(archive, state=SyncState(due_at=now()))
        await services.sync_store.enrol_heard(archive, state=fresh(now()), limit=9)


class Shell:
    """Runs blocks as a reader would; what an answer names is known to the next."""

    def __init__(self, url: str, folder: Path) -> None:
        self._folder = folder
        self._env = {
            "PATH": os.environ["PATH"],
            "GATEWAY": url,
            "TOKEN": SECRETS.api_token,
            "HOOK": SECRETS.webhook_token or "",
            "KEY": SECRETS.webhook_hmac_key or "",
        }

    async def run(self, commands: str) -> str:
        """Run *commands*, and return what they printed."""
        process = await asyncio.create_subprocess_exec(
            *("bash", "-euo", "pipefail", "-c", f'curl() {{ command curl -sS "$@"; }}\n{commands}'),
            cwd=self._folder,
            env=self._env,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        out = (await process.communicate())[0].decode()
        assert process.returncode == 0, out
        if found := re.search(r'"next":"(\w+)"', out):
            self._env["NEXT"] = found[1]
        if found := re.search(r'"events":\[\{"id":(\d+)', out):
            self._env["ID"] = found[1]
        return out


class Gateway(NamedTuple):
    """What the page speaks to, and the folder of its worker."""

    shell: Shell
    services: Services
    folder: Path


@pytest.fixture
async def gateway(tmp_path: Path) -> AsyncIterator[Gateway]:
    """A gateway in memory, which listens, and whose worker is the test."""
    settings = Settings(
        database_url="memory://", data_dir=tmp_path, media_dir=tmp_path / "media", spool="off"
    )
    with listen("127.0.0.1", 0) as listener:
        async with (
            open_services(settings) as services,
            serving(build_app(settings, services, SECRETS), listener),
        ):
            yield Gateway(Shell(base_url(listener), tmp_path), services, tmp_path)


async def test_the_examples_answer_what_is_shown(gateway: Gateway) -> None:
    assert len(EXAMPLES) > 15
    for example in EXAMPLES:
        if "/api/media/" in example.commands:
            await fetch_files(gateway.services, gateway.folder)
        if "/api/sync/" in example.commands:
            await find_sessions(gateway.services)
        out = await gateway.shell.run(example.commands)
        if example.answers:
            assert compared(list(values_in(out))) == compared(list(values_in(example.answers)))
