"""The stack for real, in Docker: only where it is asked for, by WAGATEWAY_TEST_STACK=1.

It runs beside any other, with ports and volumes of its own, which are removed afterwards. Which
images it takes can be said as for any start of the stack, by WAGATEWAY_WAHA_IMAGE and the others;
compose/README.md tells how to run it where no registry can be reached.
"""

import json
import os
import re
import secrets
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from tests.adapters.test_monitoring import DASHBOARDS, panels, plain, rules
from tests.journeys.program import free_port
from tests.support.postgres import docker_answers

ROOT = Path(__file__).resolve().parents[2]
PORTS = (
    *("WHATSAPP_DB_PORT", "WHATSAPP_PGBOUNCER_PORT", "WHATSAPP_CORE_PORT"),
    *("WHATSAPP_GATEWAY_API_PORT", "WHATSAPP_REDIS_PORT", "WHATSAPP_MINIO_API_PORT"),
    "WHATSAPP_MINIO_CONSOLE_PORT",
)
RUNNING = (
    *("whatsapp-timescaledb", "whatsapp-pgbouncer", "whatsapp-redis", "whatsapp-minio"),
    *("whatsapp-gateway-core", "whatsapp-gateway-api", "whatsapp-sync-service"),
)
OURS = ("whatsapp-gateway-api", "whatsapp-sync-service")
_START_S = 1200
"""Images are pulled and built the first time."""
_AWAY_S = float(os.environ.get("WAGATEWAY_TEST_STACK_AWAY_S", "20"))
"""How long the database is away under load."""
_MAY_BE_EMPTY = re.compile(r"> 0$|wagateway_media_expires_in_seconds")
"""Queries of what happens just now, and of files that wait."""

pytestmark = [
    pytest.mark.stack,
    pytest.mark.timeout(_START_S + 600),
    pytest.mark.skipif(not os.environ.get("WAGATEWAY_TEST_STACK"), reason="it is not asked for"),
    pytest.mark.skipif(not docker_answers(), reason="Docker does not answer"),
]


class Stack:
    """A stack of its own.

    Attributes:
        settings: its .env, as an operator has it who never heard of newer names.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._env_file = folder / ".env"
        self._prometheus_port = str(free_port())
        self._environ = {
            **os.environ,
            "COMPOSE_PROJECT_NAME": f"wagateway-{secrets.token_hex(4)}",
            "WAGATEWAY_PROMETHEUS_PORT": self._prometheus_port,
        }
        made = {name: secrets.token_hex(16) for name in ("DB", "DASHBOARD", "MINIO_ROOT")}
        tokens = ("WHATSAPP_API_KEY", "WHATSAPP_GATEWAY_API_TOKEN", "WHATSAPP_WEBHOOK_TOKEN")
        self.settings = {
            "WHATSAPP_DB_USER": "whatsapp_user",
            **{f"WHATSAPP_{name}_PASSWORD": value for name, value in made.items()},
            **{name: secrets.token_urlsafe(24) for name in tokens},
            **{name: str(free_port()) for name in PORTS},
            "WHATSAPP_DASHBOARD_ENABLED": "true",
            "WHATSAPP_DASHBOARD_USERNAME": "operator",
            "WHATSAPP_REDIS_ENABLED": "true",
            "WHATSAPP_MINIO_ROOT_USER": "whatsapp_minio",
            "WHATSAPP_MINIO_BUCKET": "whatsapp-media",
            "WHATSAPP_SYNC_ENABLED": "true",
            "WHATSAPP_SYNC_INTERVAL_MS": "300000",
            "WHATSAPP_LOG_LEVEL": "info",
            "WHATSAPP_TZ": "America/Sao_Paulo",
        }
        lines = (f"{name}={value}\n" for name, value in self.settings.items())
        self._env_file.write_text("".join(lines))
        self._env_file.chmod(0o600)

    @property
    def api(self) -> str:
        return f"http://127.0.0.1:{self.settings['WHATSAPP_GATEWAY_API_PORT']}"

    @property
    def core(self) -> str:
        return f"http://127.0.0.1:{self.settings['WHATSAPP_CORE_PORT']}"

    def script(self, name: str, *options: str) -> subprocess.CompletedProcess[str]:
        words = [str(ROOT / "scripts" / name), "--env-file", str(self._env_file), *options]
        return self._run(words)

    def compose(self, *words: str) -> str:
        place = ["--file", str(ROOT / "compose.yaml"), "--env-file", str(self._env_file)]
        done = self._run(["docker", "compose", *place, *words])
        assert done.returncode == 0, done.stderr
        return done.stdout

    def container(self, service: str) -> dict[str, Any]:
        """Return what Docker knows of the one container of *service*."""
        found = self._run(["docker", "inspect", self.compose("ps", "-aq", service).strip()])
        (container,) = json.loads(found.stdout)
        assert isinstance(container, dict)
        return container

    def health(self) -> dict[str, Any]:
        """Return what scripts/health-check tells programs."""
        found = json.loads(self.script("health-check", "--json").stdout)
        assert isinstance(found, dict)
        return found

    def until_well(self, service: str, within_s: float = 120) -> None:
        end = time.monotonic() + within_s
        while self.container(service)["State"]["Health"]["Status"] != "healthy":
            assert time.monotonic() < end, self.compose("logs", "--tail", "20", service)
            time.sleep(0.5)

    def ask(self, path: str) -> Any:  # noqa: ANN401 - whatever the API answers
        token = {"X-Api-Token": self.settings["WHATSAPP_GATEWAY_API_TOKEN"]}
        answer = httpx.get(self.api + path, headers=token, timeout=20)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def ask_prometheus(self, what: str, **query: str) -> Any:  # noqa: ANN401 - as above
        url = f"http://127.0.0.1:{self._prometheus_port}/api/v1/{what}"
        answer = httpx.get(url, params=query, timeout=20).json()
        assert answer["status"] == "success", answer
        return answer["data"]

    def until_nothing_waits(self, within_s: float = 60) -> None:
        """Wait until all that the spool has is in the database."""
        end = time.monotonic() + within_s
        while (waits := self.ask("/health")["parts"]["spool"]["detail"]) is not None:
            assert time.monotonic() < end, waits
            time.sleep(0.5)

    @property
    def waha_status(self) -> str:
        """What WAHA says of the session default: WORKING is the simulator, which has a phone."""
        key = {"X-Api-Key": self.settings["WHATSAPP_API_KEY"]}
        sessions = httpx.get(f"{self.core}/api/sessions", headers=key, timeout=20).json()
        return str({each["name"]: each["status"] for each in sessions}["default"])

    def until_history_is_the_truth(self, folder: Path, within_s: float = 120) -> None:
        """Wait until what the simulator in WAHA's place told, by webhook and REST, is there."""
        truth = folder / "waha-truth.jsonl"
        end = time.monotonic() + within_s
        while True:
            self.compose("cp", "whatsapp-gateway-core:/app/.sessions/truth.jsonl", str(truth))
            if not (found := self.differences(truth)):
                return
            assert time.monotonic() < end, found
            time.sleep(2)

    @contextmanager
    def delivering(self, truth: Path) -> Iterator[None]:
        """Deliver signed webhooks as WAHA does while the context is open; then to the end."""
        url = f"{self.api}/webhooks/messages"
        words = ["simulate", "--json", "--webhook", url, "--truth", str(truth)]
        words += ["--sessions", "2", "--rate", "20", "--duration", "1000"]
        words += ["--retries", "exponential:0.5:12", "--seed", "7"]
        key = {"WHATSAPP_WEBHOOK_HMAC_KEY": self.settings["WHATSAPP_WEBHOOK_TOKEN"]}
        process = subprocess.Popen(
            [sys.executable, "-m", "wagateway.entrypoints.cli", *words],
            env={**os.environ, **key},
            cwd=self._folder,
            stdout=subprocess.PIPE,
        )
        with process:
            try:
                yield
                process.send_signal(signal.SIGINT)
                sums = json.loads(process.communicate(timeout=60)[0])
            finally:
                process.kill()
        assert sums["accepted"] > sums["given_up"] == 0, sums

    def differences(self, truth: Path) -> str:
        """Return what the archive holds otherwise than it must; empty where nothing."""
        words = ["simulate", "check", "--truth", str(truth), "--api", self.api]
        token = {"WHATSAPP_GATEWAY_API_TOKEN": self.settings["WHATSAPP_GATEWAY_API_TOKEN"]}
        done = subprocess.run(
            [sys.executable, "-m", "wagateway.entrypoints.cli", *words],
            env={**os.environ, **token},
            cwd=self._folder,
            capture_output=True,
            text=True,
            check=False,
        )
        return "" if done.returncode == 0 else done.stdout + done.stderr

    def lose_all_but(self, volume: str) -> None:
        """Remove all containers and volumes, as with their disk, but *volume* on another one."""
        self.compose("--profile", "monitoring", "down", "--timeout", "20")
        project = self._environ["COMPOSE_PROJECT_NAME"]
        ours = ("--quiet", "--filter", f"label=com.docker.compose.project={project}")
        volumes = set(self._run(["docker", "volume", "ls", *ours]).stdout.split())
        lost = volumes - {f"{project}_{volume}"}
        assert len(lost) == len(volumes) - 1 > 0
        assert self._run(["docker", "volume", "rm", *lost]).returncode == 0

    def remove(self) -> None:
        """Stop everything, and remove what it kept."""
        self.compose("--profile", "monitoring", "down", "--volumes", "--timeout", "20")

    def _run(self, words: list[str]) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            words, env=self._environ, capture_output=True, text=True, check=False, timeout=_START_S
        )


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """A stack that was started by the one command, and is well."""
    found = Stack(tmp_path_factory.mktemp("stack"))
    try:
        done = found.script("start-stack")
        assert done.returncode == 0, done.stdout + done.stderr
        assert f"{found.core}/dashboard" in done.stdout
        yield found
    finally:
        found.remove()


def test_all_is_well_after_the_start(stack: Stack) -> None:
    found = stack.health()
    assert found["ok"], found
    assert {each["service"] for each in found["containers"]} >= {*RUNNING, "whatsapp-minio-init"}


@pytest.mark.parametrize("service", RUNNING)
def test_only_this_machine_reaches_it(stack: Stack, service: str) -> None:
    ports = stack.container(service)["NetworkSettings"]["Ports"]
    bound = [each["HostIp"] for places in ports.values() for each in places or []]
    assert set(bound) <= {"127.0.0.1"}


@pytest.mark.parametrize("service", OURS)
def test_ours_are_nobody_and_write_nowhere_else(stack: Stack, service: str) -> None:
    assert stack.compose("exec", "-T", service, "id", "-u").strip() == "10001"
    probe = "touch /opt/wagateway/probe 2>/dev/null && echo written; grep CapEff /proc/self/status"
    assert stack.compose("exec", "-T", service, "sh", "-c", probe).split() == [
        "CapEff:",
        "0000000000000000",
    ]


def test_waha_waits_for_a_phone_or_has_one(stack: Stack) -> None:
    assert httpx.get(f"{stack.core}/api/sessions", timeout=20).status_code == 401
    assert stack.waha_status in {"STARTING", "SCAN_QR_CODE", "WORKING"}


def test_what_waha_tells_and_has_is_in_the_archive(stack: Stack, tmp_path: Path) -> None:
    if stack.waha_status != "WORKING":
        pytest.skip("nobody knows the truth of a true WAHA")
    stack.until_history_is_the_truth(tmp_path)


def test_prometheus_reads_both_processes_and_follows_every_rule(stack: Stack) -> None:
    stack.compose("--profile", "monitoring", "up", "--detach", "--wait", "whatsapp-prometheus")
    end = time.monotonic() + 90
    wanted = {"wagateway-api": "up", "wagateway-worker": "up"}
    while (targets := _health_of_targets(stack)) != wanted:
        assert time.monotonic() < end, targets
        time.sleep(1)
    groups = stack.ask_prometheus("rules")["groups"]
    taken = {each["name"]: each.get("lastError", "") for group in groups for each in group["rules"]}
    assert taken == {each["alert"]: "" for each in rules()}


def test_every_panel_has_something_to_show(stack: Stack) -> None:
    end = time.monotonic() + 90  # a rate needs two looks
    while empty := [
        target["expr"]
        for path in DASHBOARDS
        for panel in panels(path)
        for target in panel.get("targets", ())
        if not _MAY_BE_EMPTY.search(target["expr"])
        and not stack.ask_prometheus("query", query=plain(target["expr"]))["result"]
    ]:
        assert time.monotonic() < end, empty
        time.sleep(5)


def _health_of_targets(stack: Stack) -> dict[str, str]:
    targets = stack.ask_prometheus("targets", state="active")["activeTargets"]
    return {each["labels"]["job"]: each["health"] for each in targets}


@pytest.fixture(scope="module")
def truth(stack: Stack, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What was delivered while every part was restarted, some were killed, and one was away."""
    path = tmp_path_factory.mktemp("truth") / "truth.jsonl"
    with stack.delivering(path):
        time.sleep(5)
        assert stack.ask("/api/chats/session-1?limit=5")["chats"]
        for service in RUNNING:
            stack.compose("restart", service)
            stack.until_well(service)
        for service in ("whatsapp-timescaledb", "whatsapp-redis", *OURS):
            stack.compose("kill", service)
            stack.compose("start", service)
            stack.until_well(service)
        stack.compose("stop", "whatsapp-timescaledb")
        time.sleep(_AWAY_S)
        assert stack.ask("/health")["parts"]["spool"]["detail"] is not None
        stack.compose("start", "whatsapp-timescaledb")
        stack.until_well("whatsapp-timescaledb")
        time.sleep(5)
    stack.until_nothing_waits()
    return path


def test_nothing_is_lost_whatever_restarts_or_is_away(stack: Stack, truth: Path) -> None:
    assert stack.differences(truth) == ""
    assert stack.health()["ok"]


def test_a_stack_that_was_lost_comes_back_from_its_backup(
    stack: Stack, truth: Path, tmp_path: Path
) -> None:
    worker = ("exec", "-T", "whatsapp-sync-service", "wagateway")
    made = json.loads(stack.compose(*worker, "backup", "--media", "--json"))["backup"]
    (told,) = [each for each in stack.health()["doctor"]["findings"] if each["hop"] == "backups"]
    assert (told["verdict"], told["found"][:2]) == ("ok", "1,")
    before = stack.health()["counts"]
    stack.lose_all_but("whatsapp-backups")
    stack.compose("run", "--rm", "whatsapp-sync-service", "restore", made)
    assert stack.script("start-stack", "--no-build").returncode == 0
    assert stack.differences(truth) == ""
    if stack.waha_status == "WORKING":
        stack.until_history_is_the_truth(tmp_path)
        assert stack.health()["counts"]["files"] == before["files"] > 0
    stack.compose(*worker, "media", "verify")


def test_what_was_there_is_there_after_a_stop(stack: Stack) -> None:
    before = stack.health()["counts"]
    assert stack.script("stop-stack").returncode == 0
    assert stack.script("health-check").returncode == 1
    assert stack.script("start-stack", "--no-build").returncode == 0
    after = stack.health()["counts"]
    assert {
        name: after[name] >= before[name] > 0 for name in ("sessions", "chats", "messages")
    } == {
        "sessions": True,
        "chats": True,
        "messages": True,
    }
