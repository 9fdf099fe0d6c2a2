"""The scripts of the stack, with a `docker` that only says what it is told."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from wagateway.entrypoints.stack_env import REQUIRED, examine_stack_env

ROOT = Path(__file__).resolve().parents[3]
SCRIPTS = ("start-stack", "stop-stack", "health-check")
SHELL = sorted(
    path
    for folder in ("scripts", "compose/start", "tests/stack/stand_ins")
    for path in (ROOT / folder).iterdir()
    if path.suffix in {"", ".sh"} and path.is_file() and path.name != "Dockerfile"
)
TOOLS = (
    *("sh", "cat", "date", "dirname", "find", "grep", "head", "id", "od", "paste", "sed", "sleep"),
    *("sort", "tail", "tr"),
)
WELL = """\
whatsapp-gateway-api running healthy 0 0
whatsapp-gateway-core running healthy 0 2
whatsapp-migrate exited - 0 0
"""
DOCKER = """\
#!/bin/sh
printf '%s\\n' "$*" >>"$FAKE/calls"
case "$*" in
"compose version --short") cat "$FAKE/version" ;;
info) exit "$(cat "$FAKE/info")" ;;
*" config whatsapp-migrate")
    printf '  whatsapp-migrate:\\n    image: %s\\n' "$(cat "$FAKE/image")" ;;
*" config --services") sed 's/ .*//' "$FAKE/services" ;;
run*" stack-env -") exec "$PYTHON" -m wagateway.entrypoints.cli stack-env - ;;
*" ps --all --quiet") [ ! -s "$FAKE/states" ] || printf '1\\n2\\n' ;;
*" up --detach") exit "$(cat "$FAKE/up")" ;;
*" logs "*) cat "$FAKE/logs" ;;
inspect*State.Error*) cat "$FAKE/errors" ;;
inspect*) cat "$FAKE/states" ;;
*" doctor --json") cat "$FAKE/doctor"; grep -q '"ok":true' "$FAKE/doctor" ;;
*" doctor") grep -q '"ok":true' "$FAKE/doctor" ;;
*" exec "*" sh -c "*) printf '{"sessions" : 1, "messages" : 42}\\n' ;;
*" port whatsapp-gateway-core 3000") printf '127.0.0.1:3311\\n' ;;
esac
"""


class World:
    """A machine whose `docker` is a script.

    Attributes:
        env_file: that is given to the scripts.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.env_file = folder / "operator.env"
        self._bin = folder / "bin"
        self._bin.mkdir()
        for tool in TOOLS:
            (self._bin / tool).symlink_to(shutil.which(tool) or tool)
        self.say(services=WELL, version="2.39.4", info="0", states=WELL, doctor='{"ok":true}')
        self.say(image="wagateway:test", up="0", logs="", errors="")

    def install(self, docker: str = DOCKER) -> None:
        path = self._bin / "docker"
        path.write_text(docker)
        path.chmod(0o755)

    def say(self, **answers: str) -> None:
        for name, text in answers.items():
            (self._folder / name).write_text(text)

    def run(
        self, script: str, *options: str, root: Path = ROOT
    ) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [str(root / "scripts" / script), "--env-file", str(self.env_file), *options],
            env={"PATH": str(self._bin), "FAKE": str(self._folder), "PYTHON": sys.executable},
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )

    @property
    def calls(self) -> list[str]:
        path = self._folder / "calls"
        return path.read_text().splitlines() if path.exists() else []

    def called(self, words: str) -> bool:
        return any(words in call for call in self.calls)


@pytest.fixture
def world(tmp_path: Path) -> World:
    found = World(tmp_path)
    found.install()
    return found


@pytest.mark.parametrize("path", SHELL, ids=lambda path: path.name)
def test_a_script_can_be_read_by_any_shell(path: Path) -> None:
    assert path.read_text().startswith("#!/bin/sh\n") or path.name.startswith("_")
    subprocess.run(["sh", "-n", str(path)], check=True)


@pytest.mark.parametrize("script", SCRIPTS)
class TestEvery:
    def test_it_helps_without_docker(self, world: World, script: str) -> None:
        world.install("#!/bin/sh\nexit 99\n")
        done = world.run(script, "--help")
        assert done.returncode == 0
        assert f"scripts/{script}" in done.stdout

    def test_it_takes_no_word_that_it_does_not_know(self, world: World, script: str) -> None:
        done = world.run(script, "--force")
        assert done.returncode == 2
        assert "--force" in done.stderr
        assert world.calls == []

    def test_without_docker_it_says_so(self, tmp_path: Path, script: str) -> None:
        done = World(tmp_path).run(script)
        assert done.returncode == 3
        assert "Docker is not installed" in done.stderr

    def test_with_an_old_compose_it_says_so(self, world: World, script: str) -> None:
        world.say(version="2.19.1")
        done = world.run(script)
        assert done.returncode == 3
        assert "2.20 or newer" in done.stderr

    def test_with_a_docker_that_does_not_answer_it_says_so(self, world: World, script: str) -> None:
        world.say(info="1")
        done = world.run(script)
        assert done.returncode == 3
        assert "does not answer" in done.stderr


class TestStart:
    def test_the_first_one_makes_secrets_and_starts(self, world: World) -> None:
        done = world.run("start-stack")
        assert done.returncode == 0, done.stderr
        assert world.called(" up --detach")
        assert "http://127.0.0.1:3311/dashboard" in done.stdout
        assert "Link a device" in done.stdout

    def test_the_secrets_are_strong_each_another_and_for_the_owner_alone(
        self, world: World
    ) -> None:
        done = world.run("start-stack")
        text = world.env_file.read_text()
        assert world.env_file.stat().st_mode & 0o777 == 0o600
        lines = dict(line.split("=", 1) for line in text.splitlines() if line[:1].isalpha())
        made = [value for value in lines.values() if len(value) == 48]
        assert len(set(made)) == len(made) >= len(REQUIRED) - 1
        found = examine_stack_env(text)
        assert (found.problems, found.advice) == ({}, {})
        assert not any(secret in done.stdout + done.stderr for secret in made)
        assert not any(secret in call for secret in made for call in world.calls)

    def test_the_next_one_leaves_them_as_they_are(self, world: World) -> None:
        world.run("start-stack")
        before = world.env_file.read_bytes()
        assert world.run("start-stack").returncode == 0
        assert world.env_file.read_bytes() == before

    def test_what_others_can_read_is_told(self, world: World) -> None:
        world.run("start-stack")
        world.env_file.chmod(0o644)
        assert "chmod 600" in world.run("start-stack").stdout

    def test_all_that_is_wrong_is_told_at_once_and_nothing_is_started(self, world: World) -> None:
        world.env_file.write_text(
            "WHATSAPP_DB_PASSWORD=postgres\nWHATSAPP_SYNC_BATCH_SIZE=5\nWHATSAPP_API_KEY=\n"
        )
        done = world.run("start-stack")
        assert done.returncode == 2
        told = {*REQUIRED, "WHATSAPP_SYNC_BATCH_SIZE"}
        assert all(name in done.stderr for name in told)
        assert not world.called(" up ")

    def test_files_that_containers_could_not_read_are_told(
        self, world: World, tmp_path: Path
    ) -> None:
        root = tmp_path / "clone"
        for folder in ("scripts", "compose"):
            shutil.copytree(ROOT / folder, root / folder)
        (root / "compose" / "start" / "redis").chmod(0o600)  # as cloned with umask 077
        done = world.run("start-stack", root=root)
        assert done.returncode == 2
        assert f"chmod -R go+rX {root}/compose" in done.stderr
        assert not world.called(" up ")

    def test_a_check_starts_nothing(self, world: World) -> None:
        done = world.run("start-stack", "--check")
        assert done.returncode == 0
        assert "It can start." in done.stdout
        assert not world.called(" up ")

    def test_what_does_not_get_well_is_named_with_its_last_words(self, world: World) -> None:
        world.say(states=WELL + "whatsapp-redis restarting unhealthy 1 4\n")
        done = world.run("start-stack", "--timeout", "0")
        assert done.returncode == 1
        assert "whatsapp-redis: restarting" in done.stderr
        assert world.called("--tail 15 whatsapp-redis")
        assert "The stack runs" not in done.stdout

    def test_only_who_is_in_trouble_is_named_when_it_does_not_start(self, world: World) -> None:
        waits = "whatsapp-minio running starting 0 0\nwhatsapp-pgbouncer created - 0 0\n"
        world.say(up="1", states=f"{waits}whatsapp-migrate exited - 3 0\n", logs="no such role\n")
        done = world.run("start-stack")
        assert done.returncode == 1
        assert "whatsapp-migrate: exited, -, exit code 3\nno such role\n" in done.stderr
        assert "whatsapp-minio" not in done.stderr
        assert "whatsapp-pgbouncer" not in done.stderr
        assert "another password" not in done.stderr

    def test_a_database_with_another_password_is_told(self, world: World) -> None:
        said = 'FATAL:  password authentication failed for user "whatsapp"\n'
        world.say(up="1", states=f"{WELL}whatsapp-migrate exited - 3 0\n", logs=said)
        assert "made with another password" in world.run("start-stack").stderr

    @pytest.mark.parametrize(
        ("error", "name"),
        [
            ("listen tcp4 127.0.0.1:6380: bind: address already in use", "WHATSAPP_REDIS_PORT"),
            ("Bind for 127.0.0.1:24011 failed: port is already allocated", "_GATEWAY_API_PORT"),
        ],
    )
    def test_a_port_that_something_else_has_is_told_by_its_variable(
        self, world: World, error: str, name: str
    ) -> None:
        world.run("start-stack")
        with world.env_file.open("a") as file:
            file.write("WHATSAPP_GATEWAY_API_PORT='24011'\n")
        world.say(up="1", states="whatsapp-redis created - 128 0\n", errors=f"driver: {error}\n\n")
        done = world.run("start-stack")
        assert done.returncode == 1
        told = [line for line in done.stderr.splitlines() if "Something else has the port" in line]
        assert len(told) == 1
        assert name in told[0]

    def test_a_value_that_compose_does_not_take_is_told(self, world: World) -> None:
        world.say(image="")
        done = world.run("start-stack")
        assert done.returncode == 2
        assert str(world.env_file) in done.stderr
        assert not world.called(" build ")

    def test_monitoring_is_started_where_it_is_asked_for(self, world: World) -> None:
        assert world.run("start-stack", "--monitoring").returncode == 0
        assert world.called("--profile monitoring up --detach")

    def test_a_timeout_is_a_number(self, world: World) -> None:
        assert world.run("start-stack", "--timeout", "soon").returncode == 2


class TestStop:
    def test_no_data_is_removed(self, world: World) -> None:
        world.run("start-stack")
        assert world.run("stop-stack").returncode == 0
        assert world.called("--profile monitoring down")
        assert not any(word in call for call in world.calls for word in ("--volumes", " -v"))

    def test_a_secret_that_went_from_env_does_not_keep_it_running(self, world: World) -> None:
        asking = '*" down") [ -n "${WHATSAPP_DB_PASSWORD:-}" ] ;;'
        world.install(DOCKER.replace('case "$*" in\n', f'case "$*" in\n{asking}\n'))
        world.env_file.write_text("WHATSAPP_DB_PASSWORD=\n")
        assert world.run("stop-stack").returncode == 0

    def test_waha_ends_before_its_receiver(self, world: World) -> None:
        world.run("start-stack")
        world.run("stop-stack")
        ends = [call for call in world.calls if call.endswith((" down", "gateway-core"))]
        assert ends[-2].endswith("stop whatsapp-gateway-core")
        assert ends[-1].endswith(" down")


class TestHealthCheck:
    @pytest.fixture(autouse=True)
    def _started(self, world: World) -> None:
        world.run("start-stack")

    def test_all_is_well(self, world: World) -> None:
        done = world.run("health-check")
        assert done.returncode == 0, done.stderr
        assert "whatsapp-gateway-core    running healthy, restarted 2 times" in done.stdout
        assert "messages: 42" in done.stdout

    def test_programs_read_json(self, world: World) -> None:
        done = world.run("health-check", "--json")
        assert done.returncode == 0
        found = json.loads(done.stdout)
        assert found["ok"] is True
        assert found["counts"] == {"sessions": 1, "messages": 42}
        assert found["doctor"] == {"ok": True}
        assert found["containers"][2] == {
            "service": "whatsapp-migrate",
            "state": "exited",
            "health": None,
            "exit_code": 0,
            "restarts": 0,
        }

    @pytest.mark.parametrize(
        "states",
        [
            "",
            WELL.replace("running healthy 0 2", "running unhealthy 0 2"),
            WELL.replace("exited - 0", "exited - 1"),
            WELL.replace("whatsapp-gateway-api running healthy 0 0\n", ""),
        ],
    )
    def test_a_container_that_is_not_well_is_told_by_the_exit_code(
        self, world: World, states: str
    ) -> None:
        world.say(states=states)
        done = world.run("health-check", "--json")
        assert done.returncode == 1
        assert json.loads(done.stdout)["ok"] is False
        assert world.run("health-check").returncode == 1

    def test_what_does_not_run_is_not_asked(self, world: World) -> None:
        world.say(states="")
        done = world.run("health-check")
        assert done.returncode == 1
        assert "scripts/start-stack starts all" in done.stdout
        assert not world.called(" doctor")

    def test_so_is_a_broken_hop(self, world: World) -> None:
        world.say(doctor='{"ok":false}')
        assert world.run("health-check").returncode == 1
        assert json.loads(world.run("health-check", "--json").stdout)["ok"] is False


class TestStarts:
    """What compose/start runs in the images of others."""

    def test_pgbouncer_gets_names_and_passwords_whatever_is_in_them(self, tmp_path: Path) -> None:
        environ = {"WHATSAPP_DB_USER": 'an"a', "WHATSAPP_DB_PASSWORD": 'a"b$c d\\e'}
        self._start("pgbouncer", tmp_path, environ, "pgbouncer")
        assert (tmp_path / "users").read_text() == '"an""a" "a""b$c d\\e"\n'
        assert (tmp_path / "users").stat().st_mode & 0o077 == 0
        assert "pool_mode = transaction" in (tmp_path / "pgbouncer.ini").read_text()

    def test_redis_gets_its_password_whatever_is_in_it(self, tmp_path: Path) -> None:
        self._start("redis", tmp_path, {"WHATSAPP_REDIS_PASSWORD": 'a"b$c d\\e'}, "redis-server")
        lines = (tmp_path / "server.conf").read_text().splitlines()
        assert 'requirepass "a\\"b$c d\\\\e"' in lines
        assert {"appendonly yes", "maxmemory-policy noeviction"} <= set(lines)

    @staticmethod
    def _start(name: str, folder: Path, environ: dict[str, str], program: str) -> None:
        programs = folder / "bin"
        programs.mkdir()
        (programs / program).write_text("#!/bin/sh\n")
        (programs / program).chmod(0o755)
        path = f"{programs}:{os.defpath}"
        script = str(ROOT / "compose" / "start" / name)
        subprocess.run(["sh", script, str(folder)], env={**environ, "PATH": path}, check=True)
