"""``wagateway simulate`` against a webhook that only counts."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from tests.unit.simulator.test_post import Receiver, receiving

from wagateway.entrypoints.cli.endings import ExitCode
from wagateway.entrypoints.cli.program import program
from wagateway.simulator.check import compare
from wagateway.simulator.faults import MEANINGS, SERVED_MEANINGS
from wagateway.simulator.wire import signature

TOKEN = "kX3-9vQz_7LmT2bRw8Ye"
AT_ONCE = ("--retries", "constant:0:15")
EXPLAINED = MEANINGS | SERVED_MEANINGS
NOWHERE = "http://127.0.0.1:1/webhooks"


@pytest.fixture(autouse=True)
def _empty_place(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No settings of whoever runs the tests."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "100")
    for name in ("WHATSAPP_WEBHOOK_TOKEN", "WHATSAPP_WEBHOOK_HMAC_KEY"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def webhook() -> Iterator[Receiver]:
    with receiving(200) as receiver:
        yield receiver


def run(*words: str, env: dict[str, str] | None = None) -> Result:
    return CliRunner().invoke(program, ["simulate", *words], env=env)


def deliver(webhook: Receiver, *words: str, env: dict[str, str] | None = None) -> Result:
    return run("--webhook", webhook.url, *words, env=env)


def bodies(webhook: Receiver) -> set[bytes]:
    return {body for body, _ in webhook.received}


class TestUsage:
    @pytest.mark.parametrize("words", [["--help"], ["-h"]])
    def test_help_shows_options_commands_and_examples(self, words: list[str]) -> None:
        result = run(*words)
        assert result.exit_code == ExitCode.OK
        for word in (
            "--webhook",
            "--faults",
            "check",
            "Examples",
            "--truth",
            "--file-lifetime",
            "--bait",
        ):
            assert word in result.output

    def test_without_a_webhook_it_says_what_is_missing(self) -> None:
        result = run("--count", "1")
        assert result.exit_code == ExitCode.USAGE
        assert "--webhook" in result.stderr

    @pytest.mark.parametrize(
        ("words", "said"),
        [
            (["--faults", "rain"], "'rain' is no fault"),
            (["--faults", "loss=2"], "from 0 to 1"),
            (["--retries", "often"], "POLICY:SECONDS:ATTEMPTS"),
            (["--retries", "constant:2"], "POLICY:SECONDS:ATTEMPTS"),
            (["--retries", "constant:2:many"], "POLICY:SECONDS:ATTEMPTS"),
            (["--retries", "constant:-1:2"], "POLICY:SECONDS:ATTEMPTS"),
            (["--retries", "constant:2:2:2"], "POLICY:SECONDS:ATTEMPTS"),
            (["--header", "X-Tenant"], "NAME:VALUE"),
            (["--header", ":7"], "NAME:VALUE"),
            (["--history", "nan"], "NaN"),
            (["--rate", "nan"], "rate"),
            (["--start", "0001-01-05"], "1970"),
            (["--bucket", "127.0.0.1:9000"], "need --serve"),
            (["--bait", "127.0.0.1:9000"], "need --serve"),
            (["--media-base", "localhost:3000"], "begins with http://"),
            (["--faults", "file-gone"], "file-gone: there is no REST API"),
        ],
        ids=" ".join,
    )
    def test_a_value_that_means_nothing_ends_with_2(self, words: list[str], said: str) -> None:
        result = run("--webhook", NOWHERE, "--count", "1", "--retries", "constant:0:0", *words)
        assert result.exit_code == ExitCode.USAGE
        assert said in result.stderr
        assert "Traceback" not in result.output

    @pytest.mark.parametrize(
        "words",
        [
            ["--engine", "wpp"],
            ["--sessions", "0"],
            ["--chats", "16"],
            ["--chats", "10001"],
            ["--rate", "0"],
            ["--count", "0"],
            ["--duration", "0"],
            ["--history", "-1"],
            ["--history", "3651"],
            ["--connections", "0"],
            ["--start", "tomorrow"],
            ["nope"],
        ],
        ids=" ".join,
    )
    def test_a_value_out_of_range_ends_with_2(self, words: list[str]) -> None:
        assert run("--webhook", NOWHERE, *words).exit_code == ExitCode.USAGE

    def test_a_webhook_is_an_address(self) -> None:
        result = run("--webhook", "localhost:4011/webhooks/messages")
        assert result.exit_code == ExitCode.USAGE
        assert "http://" in result.stderr

    def test_a_missing_folder_of_the_truth_is_told_before_anything_is_sent(
        self, webhook: Receiver, tmp_path: Path
    ) -> None:
        result = deliver(webhook, "--truth", str(tmp_path / "no" / "truth.jsonl"))
        assert result.exit_code == ExitCode.USAGE
        assert str(tmp_path / "no") in result.stderr
        assert webhook.received == []


class TestFaults:
    def test_every_fault_is_listed_with_rate_and_meaning(self) -> None:
        result = run("faults")
        assert result.exit_code == ExitCode.OK
        lines = result.stdout.splitlines()
        assert [line.split()[0] for line in lines] == list(EXPLAINED)
        assert all(line.endswith(EXPLAINED[line.split()[0]]) for line in lines)
        assert "0.0005" in next(line for line in lines if line.startswith("huge"))

    def test_scripts_are_told_the_same(self) -> None:
        told = json.loads(run("faults", "--json").stdout)
        assert {fault["name"]: fault["meaning"] for fault in told} == EXPLAINED
        assert all(0 < fault["rate"] <= 1 for fault in told)


class TestDelivering:
    def test_as_many_as_asked_are_delivered(self, webhook: Receiver) -> None:
        result = deliver(webhook, "--count", "30", "--faults", "none")
        assert result.exit_code == ExitCode.OK
        assert len(webhook.received) == 30
        assert "30 deliveries accepted" in result.stdout

    def test_scripts_are_told_the_counts(self, webhook: Receiver) -> None:
        result = deliver(webhook, "--count", "30", "--faults", "loss=0.4", "--json")
        told = json.loads(result.stdout)
        assert told["lost"] > 0
        assert told == told | {
            "posted": 30,
            "accepted": 30,
            "retried": 0,
            "given_up": 0,
            "interrupted": 0,
            "truth": None,
        }

    def test_a_duration_ends_it(self, webhook: Receiver) -> None:
        result = deliver(webhook, "--duration", "0.3", "--rate", "200", "--history", "0", "--json")
        told = json.loads(result.stdout)
        assert result.exit_code == ExitCode.OK
        assert 0 < told["accepted"] < 300
        assert told["seconds"] < 3

    def test_the_same_options_deliver_the_same_bytes_and_another_seed_others(self) -> None:
        def sent(*words: str) -> set[bytes]:
            with receiving(200) as receiver:
                deliver(receiver, "--count", "60", "--faults", "all", *AT_ONCE, *words)
            return bodies(receiver)

        assert sent() == sent()
        assert not sent() & sent("--seed", "2")

    def test_secrets_come_from_the_environment_or_the_command_line(self, webhook: Receiver) -> None:
        env = {"WHATSAPP_WEBHOOK_TOKEN": TOKEN, "WHATSAPP_WEBHOOK_HMAC_KEY": "s3gr3do"}
        deliver(webhook, "--count", "3", env=env)
        deliver(webhook, "--count", "3", "--token", TOKEN, "--hmac-key", "s3gr3do")
        assert len(webhook.received) == 6
        for body, headers in webhook.received:
            assert headers["X-Whatsapp-Token"] == TOKEN
            assert headers["X-Webhook-Hmac"] == signature("s3gr3do", body)

    def test_further_headers_are_sent(self, webhook: Receiver) -> None:
        deliver(webhook, "--count", "2", "--header", "X-A: a:b ", "--header", "X-B:")
        assert len(webhook.received) == 2
        for _, headers in webhook.received:
            assert (headers["X-A"], headers["X-B"]) == ("a:b", "")
            assert "X-Whatsapp-Token" not in headers

    def test_engine_sessions_and_start_are_as_asked(self, webhook: Receiver) -> None:
        words = ("--engine", "gows", "--sessions", "2", "--start", "2026-02-01T00:00:00-03:00")
        deliver(webhook, "--count", "40", "--history", "0", *words)
        told = [json.loads(body) for body in bodies(webhook)]
        assert {body["engine"] for body in told} == {"GOWS"}
        assert {body["session"] for body in told} == {"session-1", "session-2"}
        assert min(body["timestamp"] for body in told) // 60_000 == 1_769_914_800 // 60

    @pytest.mark.parametrize("start", ["1970-01-01", "8999-12-31"])
    def test_it_may_begin_at_any_time(self, webhook: Receiver, tmp_path: Path, start: str) -> None:
        words = ("--count", "60", "--start", start, "--truth", str(tmp_path / "truth.jsonl"))
        assert deliver(webhook, *words).exit_code == ExitCode.OK

    def test_with_message_both_names_of_an_event_come(self) -> None:
        def names(*words: str) -> set[str]:
            with receiving(200) as receiver:
                deliver(receiver, "--count", "100", *words)
            return {json.loads(body)["event"] for body in bodies(receiver)}

        assert "message" not in names()
        assert "message" in names("--with-message")

    def test_what_is_given_up_ends_with_1_and_says_why(self) -> None:
        with receiving(401) as receiver:
            result = deliver(receiver, "--count", "3", "--retries", "constant:0:1")
        assert result.exit_code == ExitCode.FAILED
        assert len(receiver.received) == 6
        told = (
            "3 were given up; their attempts were refused: 401 (6 times). 401 says that the token"
        )
        assert told in result.stdout


class TestTruth:
    def test_it_is_written_with_what_makes_it_again(
        self, webhook: Receiver, tmp_path: Path
    ) -> None:
        path = tmp_path / "truth.jsonl"
        words = ("--count", "80", "--seed", "9", "--hmac-key", "s3gr3do", "--truth", str(path))
        result = deliver(webhook, *words)
        assert result.exit_code == ExitCode.OK
        assert f"simulate check --truth {path}" in result.stdout
        head, *lines = map(json.loads, path.read_text().splitlines())
        assert (head["type"], head["version"], head["scenario"]["seed"]) == ("simulation", 1, 9)
        assert {line["type"] for line in lines} == {"archive", "link", "chat", "message", "end"}
        assert lines[-1] == {"type": "end", "lines": len(lines)}
        assert "s3gr3do" not in path.read_text()
        assert [each.name for each in tmp_path.iterdir()] == ["truth.jsonl"]
        report = compare([head, *lines], lines)
        assert report.perfect
        assert report.expected > 5

    def test_what_nobody_accepted_is_uncertain(self, tmp_path: Path) -> None:
        path = tmp_path / "truth.jsonl"
        with receiving(500) as receiver:
            deliver(receiver, "--count", "80", "--retries", "constant:0:0", "--truth", str(path))
        lines = map(json.loads, path.read_text().splitlines())
        messages = [line for line in lines if line["type"] == "message"]
        assert all(line["certain"] is False for line in messages)

    def test_a_truth_that_cannot_be_written_ends_with_3(
        self, webhook: Receiver, tmp_path: Path
    ) -> None:
        (tmp_path / "truth").mkdir()
        (tmp_path / "truth" / "full").touch()
        result = deliver(webhook, "--count", "1", "--truth", str(tmp_path / "truth"))
        assert result.exit_code == ExitCode.USAGE
