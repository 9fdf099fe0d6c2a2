"""The compose file holds what the stack promises, without Docker."""

import re
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml

from wagateway.entrypoints.secrets import GatewaySecrets
from wagateway.entrypoints.stack_env import REQUIRED, SET_BY_THE_STACK, STACK_DEFAULTS
from wagateway.entrypoints.strength import is_guessed
from wagateway.entrypoints.variables import VARIABLES
from wagateway.entrypoints.waha_webhook import waha_environment

ROOT = Path(__file__).resolve().parents[3]
FILE = ROOT / "compose" / "docker-compose.yml"
EXAMPLE = ROOT / "compose" / "env.example"
MONITORED = ROOT / "compose" / "monitoring" / "prometheus.yml"
SERVICES = (
    "whatsapp-timescaledb",
    "whatsapp-pgbouncer",
    "whatsapp-redis",
    "whatsapp-minio",
    "whatsapp-minio-init",
    "whatsapp-gateway-core",
    "whatsapp-gateway-api",
    "whatsapp-sync-service",
)
ONCE = ("whatsapp-minio-init", "whatsapp-migrate")
MONITORING = ("whatsapp-prometheus", "whatsapp-grafana")
OURS = ("whatsapp-gateway-api", "whatsapp-sync-service", *ONCE)
PORTS = {
    "WHATSAPP_DB_PORT": 5435,
    "WHATSAPP_PGBOUNCER_PORT": 6435,
    "WHATSAPP_REDIS_PORT": 6380,
    "WHATSAPP_MINIO_API_PORT": 9302,
    "WHATSAPP_MINIO_CONSOLE_PORT": 9303,
    "WHATSAPP_CORE_PORT": 3311,
    "WHATSAPP_GATEWAY_API_PORT": 4011,
    "WAGATEWAY_PROMETHEUS_PORT": 9390,
    "WAGATEWAY_GRAFANA_PORT": 3390,
}

Service = dict[str, Any]


@cache
def stack() -> dict[str, Any]:
    found = yaml.safe_load(FILE.read_text("utf-8"))
    assert isinstance(found, dict)
    return found


def service(name: str) -> Service:
    found = stack()["services"][name]
    assert isinstance(found, dict)
    return found


def default(text: str) -> str:
    """Return *text* as Compose reads it with an empty .env; what must be set is empty."""
    while found := re.search(r"\$\{\w+(?::([-?])((?:[^{}$]|\$(?!\{))*))?\}", text):
        text = text.replace(found[0], (found[2] or "") if found[1] == "-" else "")
    return text


all_services = pytest.mark.parametrize("name", [*SERVICES, "whatsapp-migrate", *MONITORING])


def test_these_are_the_services() -> None:
    assert sorted(stack()["services"]) == sorted([*SERVICES, "whatsapp-migrate", *MONITORING])
    included = yaml.safe_load((ROOT / "compose.yaml").read_text("utf-8"))
    assert included == {"name": "wagateway", "include": [{"path": "compose/docker-compose.yml"}]}


def test_no_more_than_eight_run_without_a_profile() -> None:
    plain = [name for name, each in stack()["services"].items() if "profiles" not in each]
    assert sorted(plain) == sorted([*SERVICES, "whatsapp-migrate"])
    assert all(service(name)["profiles"] == ["monitoring"] for name in MONITORING)


@all_services
def test_its_health_is_looked_at(name: str) -> None:
    check = service(name)["healthcheck"]
    if name in ONCE:
        assert check == {"disable": True}
    else:
        assert check["test"][0] in {"CMD", "CMD-SHELL"}
        assert {"interval", "timeout", "retries", "start_period"} <= check.keys()


@all_services
def test_it_takes_no_more_than_it_is_given(name: str) -> None:
    limits = service(name)["deploy"]["resources"]["limits"]
    assert 0 < float(default(limits["cpus"])) <= 1  # Docker refuses more than a machine has
    assert re.fullmatch(r"\d+[mg]", default(limits["memory"]))
    assert limits["pids"] > 0
    assert service(name)["logging"]["options"].keys() == {"max-size", "max-file"}


@all_services
def test_it_comes_back_by_itself(name: str) -> None:
    wanted = "on-failure:5" if name in ONCE else "unless-stopped"
    assert service(name)["restart"] == wanted


@all_services
def test_its_image_is_pinned_and_can_be_another(name: str) -> None:
    image = service(name)["image"]
    assert re.fullmatch(r"\$\{WAGATEWAY_([A-Z]+_)?IMAGE:-[^{}]+\}", image)
    _, colon, tag = default(image).rpartition(":")
    assert colon
    assert re.search(r"\d+\.\d+|\d{4}-\d\d-\d\d", tag)
    assert "latest" not in tag


@all_services
def test_only_this_machine_reaches_its_ports(name: str) -> None:
    for port in service(name).get("ports", []):
        assert re.fullmatch(r"127\.0\.0\.1:\d+:\d+", default(port))
        assert port.startswith("${WAGATEWAY_BIND:-127.0.0.1}:")


def test_the_ports_are_those_that_operators_know() -> None:
    published = "\n".join(p for each in stack()["services"].values() for p in each.get("ports", []))
    found = {name: int(port) for name, port in re.findall(r"\$\{(\w+_PORT):-(\d+)\}", published)}
    assert found == PORTS


@all_services
def test_it_gains_no_rights(name: str) -> None:
    found = service(name)
    assert found["security_opt"] == ["no-new-privileges:true"]
    assert not found.get("privileged")
    assert "cap_add" not in found
    if name != "whatsapp-gateway-core":
        assert found["cap_drop"] == ["ALL"]
    if name not in {"whatsapp-gateway-core", "whatsapp-grafana"}:
        assert found["read_only"] is True


@pytest.mark.parametrize("name", OURS)
def test_ours_are_one_image_that_writes_nowhere_but_into_volumes(name: str) -> None:
    found = service(name)
    assert found["image"] == "${WAGATEWAY_IMAGE:-wagateway:0.1.0}"
    assert found["build"]["context"] == ".."
    assert found["tmpfs"] == ["/tmp:mode=1777,size=512m"]
    assert "user" not in found  # the image's own, which is nobody


def test_the_version_of_the_image_is_that_of_the_package() -> None:
    project = (ROOT / "pyproject.toml").read_text("utf-8")
    (version,) = re.findall(r'^version = "(.+)"$', project, re.MULTILINE)
    assert default(service("whatsapp-gateway-api")["image"]) == f"wagateway:{version}"
    assert f"ARG VERSION={version}\n" in (ROOT / "Dockerfile").read_text("utf-8")


def test_the_base_of_the_image_is_that_of_the_dockerfile() -> None:
    base = default(service("whatsapp-gateway-api")["build"]["args"]["PYTHON_IMAGE"])
    assert f"ARG PYTHON_IMAGE={base}\n" in (ROOT / "Dockerfile").read_text("utf-8")


def test_waha_does_not_reach_the_parts_of_the_archive() -> None:
    assert service("whatsapp-gateway-core")["networks"] == ["whatsapp"]
    for name in ("whatsapp-timescaledb", "whatsapp-pgbouncer", "whatsapp-redis", "whatsapp-minio"):
        assert service(name)["networks"] == ["archive"]
    for name in ("whatsapp-gateway-api", "whatsapp-sync-service"):
        assert {"archive", "whatsapp"} <= service(name)["networks"].keys()


def test_the_schema_and_the_bucket_are_there_before_api_and_worker() -> None:
    for name in ("whatsapp-gateway-api", "whatsapp-sync-service"):
        waits = service(name)["depends_on"]
        for once in ONCE:
            assert waits[once] == {"condition": "service_completed_successfully"}


def test_what_is_kept_is_kept_in_volumes_that_have_names() -> None:
    for name, folder in (
        ("whatsapp-timescaledb", "/var/lib/postgresql/data"),
        ("whatsapp-redis", "/data"),
        ("whatsapp-minio", "/data"),
        ("whatsapp-gateway-core", "/app/.sessions"),
        ("whatsapp-gateway-api", "/var/lib/wagateway"),
        ("whatsapp-sync-service", "/var/lib/wagateway"),
    ):
        assert f"{name}:{folder}" in service(name)["volumes"]
        assert name in stack()["volumes"]


def test_the_api_sees_the_backups_that_the_worker_makes_and_changes_none() -> None:
    place = "${WAGATEWAY_BACKUPS:-whatsapp-backups}:/var/backups/wagateway"
    assert place in service("whatsapp-sync-service")["volumes"]
    assert f"{place}:ro" in service("whatsapp-gateway-api")["volumes"]


@pytest.mark.skipif(not MONITORED.exists(), reason="there is no monitoring yet")
def test_prometheus_finds_its_parts_by_their_names() -> None:
    text = MONITORED.read_text("utf-8")
    named = {
        name.strip() for names in re.findall(r"names: \[(.+)\]", text) for name in names.split(",")
    }
    aliases = {
        alias
        for each in stack()["services"].values()
        if isinstance(each["networks"], dict)
        for alias in (each["networks"].get("monitoring") or {}).get("aliases", [])
    }
    assert named == {"api", "worker"}
    assert aliases == {*named, "prometheus"}
    assert "credentials_file: /run/secrets/metrics_token" in text
    assert "/run/secrets/metrics_token" in (ROOT / "compose" / "start" / "prometheus").read_text()


class TestSecrets:
    def test_what_must_be_set_is_asked_for_and_is_what_is_checked_before(self) -> None:
        asked = re.findall(r"\$\{(\w+):\?", FILE.read_text("utf-8"))
        assert set(asked) == set(REQUIRED)

    def test_none_is_written_here(self) -> None:
        for name, each in stack()["services"].items():
            for key, value in each.get("environment", {}).items():
                if re.search(r"PASSWORD|TOKEN|KEY|SECRET|PASSPHRASE|ROOT_USER", key):
                    assert default(str(value)) == "", f"{key} of {name}"

    def test_the_example_has_none_either(self) -> None:
        for name, value in re.findall(
            r"^#? ?(\w+)=(.*)$", EXAMPLE.read_text("utf-8"), re.MULTILINE
        ):
            if re.search(r"PASSWORD|TOKEN|KEY|SECRET", name):
                assert value == ""
            else:
                assert value == "" or is_guessed(value) or "PASS" not in name


class TestSettings:
    def test_every_setting_reaches_ours_or_is_the_stack_s_own(self) -> None:
        given = service("whatsapp-sync-service")["environment"]
        ports = {name for name in VARIABLES if name.endswith("_PORT")}
        own = {*SET_BY_THE_STACK, *ports}  # ports of .env are those of this machine
        assert set(VARIABLES) - set(given) <= own
        assert set(given) <= set(VARIABLES)
        passed = {name for name, value in given.items() if f"${{{name}" in str(value)}
        assert passed == set(VARIABLES) - own

    def test_a_default_of_the_stack_s_own_is_known_to_who_looks_at_its_env(self) -> None:
        given = service("whatsapp-gateway-api")["environment"]
        assert {name: default(given[name]) for name in STACK_DEFAULTS} == STACK_DEFAULTS
        spoken = {name for name, value in given.items() if f"${{{name}:-" in str(value)}
        others = {name for name in spoken - set(STACK_DEFAULTS) if default(given[name])}
        assert others == {
            *("WHATSAPP_DB_NAME", "WHATSAPP_DB_USER", "WHATSAPP_MINIO_PUBLIC_URL", "WHATSAPP_TZ"),
        }

    def test_every_variable_is_in_an_example(self) -> None:
        used = set(re.findall(r"\$\{(\w+)", FILE.read_text("utf-8")))
        own = EXAMPLE.read_text("utf-8")
        shared = (ROOT / ".env.example").read_text("utf-8")
        documented = set(re.findall(r"^(?:# )?(\w+)=", own + "\n" + shared, re.MULTILINE))
        assert used <= documented
        assert set(re.findall(r"^(?:# )?(\w+)=", own, re.MULTILINE)) <= used

    def test_the_defaults_of_the_example_are_those_of_the_stack(self) -> None:
        text = FILE.read_text("utf-8")
        shown = re.findall(r"^# (\w+)=(.*)$", EXAMPLE.read_text("utf-8"), re.MULTILINE)
        for name, value in shown:
            found = set(re.findall(rf"\$\{{{name}:-([^}}$]+)\}}", text))
            assert found <= {value} or name == "WHATSAPP_HOOK_EVENTS", name

    def test_waha_is_told_what_the_gateway_wants_of_it(self) -> None:
        told = service("whatsapp-gateway-core")["environment"]
        secrets = GatewaySecrets(api_token="", webhook_token=None, webhook_hmac_key="k")
        wanted = waha_environment("http://whatsapp-gateway-api:4011/webhooks/messages", secrets)
        key = wanted.pop("WHATSAPP_HOOK_HMAC_KEY")
        assert key
        assert {name: default(told[name]) for name in wanted} == wanted
        ours = service("whatsapp-gateway-api")["environment"]
        assert told["WHATSAPP_HOOK_HMAC_KEY"] == ours["WHATSAPP_WEBHOOK_HMAC_KEY"]
        assert told["WAHA_API_KEY"] == ours["WHATSAPP_API_KEY"]
        assert told["WHATSAPP_FILES_LIFETIME"] == ours["WHATSAPP_MEDIA_LIFETIME_S"]
        assert int(default(told["WHATSAPP_FILES_LIFETIME"])) >= 6 * 3600


class TestImage:
    def test_it_ends_as_its_processes_expect_and_is_nobody_s(self) -> None:
        text = (ROOT / "Dockerfile").read_text("utf-8")
        assert re.findall(r"^STOPSIGNAL (.+)$", text, re.MULTILINE) == ["SIGTERM"]
        assert re.findall(r"^USER (.+)$", text, re.MULTILINE) == ["10001:10001"]
        assert re.findall(r"^ENTRYPOINT (.+)$", text, re.MULTILINE) == ['["wagateway"]']
        assert "HEALTHCHECK" in text
        assert text.count("--require-hashes") == 2

    def test_nothing_but_what_it_copies_can_get_into_it(self) -> None:
        lines = (ROOT / ".dockerignore").read_text("utf-8").splitlines()
        let_in = [line[1:] for line in lines if line.startswith("!")]
        assert "*" in lines
        copied = re.findall(
            r"^COPY (?!--from)(?:--\S+ )?(.+) \S+$", (ROOT / "Dockerfile").read_text(), re.MULTILINE
        )
        sources = {word for line in copied for word in line.split()}
        assert all(any(each.startswith(allowed) for allowed in let_in) for each in sources)
        assert all((ROOT / each).exists() for each in let_in)
