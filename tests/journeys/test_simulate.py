"""The simulator as somebody uses it: deliver to a real gateway, then compare what it kept."""

import json
import signal
from hashlib import sha256
from pathlib import Path

import httpx
import pytest
from tests.journeys.program import free_port, run, running, up

from wagateway.entrypoints.cli.endings import ExitCode

pytestmark = pytest.mark.slow


@pytest.mark.embedded
async def test_a_gateway_s_archive_equals_the_truth_until_the_truth_is_another(
    tmp_path: Path,
) -> None:
    truth = tmp_path / "truth.jsonl"
    async with up(tmp_path) as gateway:
        env = {
            "WHATSAPP_WEBHOOK_TOKEN": gateway.token("webhook_token"),
            "WHATSAPP_GATEWAY_API_TOKEN": gateway.token("api_token"),
        }
        words = ("--count", "300", "--faults", "all", "--retries", "constant:0.2:15", "--json")
        done = await run(
            *("simulate", "--webhook", f"{gateway.url}/webhooks/messages", *words),
            *("--truth", str(truth)),
            home=tmp_path,
            env=env,
        )
        assert done.code == ExitCode.OK, done.err
        assert (done.json["accepted"], done.json["given_up"]) == (300, 0)
        check = ("simulate", "check", "--truth", str(truth), "--api", gateway.url)
        equal = await run(*check, home=tmp_path, env=env)
        assert equal.code == ExitCode.OK, equal.out
        assert "The archive equals the truth" in equal.out
        _alter(truth)
        differs = await run(*check, home=tmp_path, env=env)
        assert differs.code == ExitCode.FAILED
        assert '"something else"' in differs.out
        assert (await run(*check, home=tmp_path)).code == ExitCode.UNAVAILABLE
        assert await gateway.stop() == ExitCode.OK


async def test_files_are_served_beside_a_bucket_and_a_bait(tmp_path: Path) -> None:
    waha, bucket, bait = (f"127.0.0.1:{free_port()}" for _ in range(3))
    truth = tmp_path / "truth.jsonl"
    words = ("--faults", "file-bait=0.5", "--past", "150", "--count", "80", "--engine", "noweb")
    async with running(
        *("simulate", "--serve", waha, "--bucket", bucket, "--bait", bait, *words),
        *("--files", "40", "--file-lifetime", "0", "--api-key", "s3gr3do", "--truth", str(truth)),
        home=tmp_path,
        data_dir=tmp_path,
        port=0,
    ) as simulator:
        await simulator.until("events reached the stores")
        lines = [json.loads(line) for line in truth.read_text().splitlines()]
        files = {line["id"]: line for line in lines if line["type"] == "file"}
        assert lines[0]["scenario"]["media"]["stock"]["distinct"] == 40
        async with httpx.AsyncClient(trust_env=False, headers={"X-Api-Key": "s3gr3do"}) as client:
            rows = await client.get(f"http://{waha}/api/default/chats/all/messages?limit=100")
            offered = {row["id"].split("_")[2]: row["media"] for row in rows.json() if row["media"]}
            url = next(media["url"] for media in offered.values() if media["url"])
            assert url.startswith(f"http://{bucket}/whatsapp/default/")
            stanza = next(id_ for id_, media in offered.items() if media["url"] == url)
            found = await client.get(url, headers={"X-Api-Key": ""})
            assert sha256(found.content).hexdigest() == files[stanza]["sha256"]
            assert (await client.get(f"http://{bait}/latest")).status_code == 200
        assert await simulator.stop(signal.SIGINT) == ExitCode.OK
    said = (tmp_path / "stderr.log").read_text()
    assert "1 request followed an address that nobody should ask." in said


def _alter(truth: Path) -> None:
    """Let one message say something else."""
    lines = [json.loads(line) for line in truth.read_text().splitlines()]
    line = next(line for line in lines if line.get("text") and line.get("certain", True))
    line["text"] = "something else"
    truth.write_text("".join(json.dumps(line) + "\n" for line in lines))
