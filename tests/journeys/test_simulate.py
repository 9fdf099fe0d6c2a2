"""The simulator as somebody uses it: deliver to a real gateway, then compare what it kept."""

import json
from pathlib import Path

import pytest
from tests.journeys.program import run, up

from wagateway.entrypoints.cli.endings import ExitCode

pytestmark = [pytest.mark.slow, pytest.mark.embedded]


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


def _alter(truth: Path) -> None:
    """Let one message say something else."""
    lines = [json.loads(line) for line in truth.read_text().splitlines()]
    line = next(line for line in lines if line.get("text") and line.get("certain", True))
    line["text"] = "something else"
    truth.write_text("".join(json.dumps(line) + "\n" for line in lines))
