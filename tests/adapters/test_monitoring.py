"""Every rule, every panel and every line of the documentation names metrics that there are."""

import json
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import yaml
from prometheus_client import Metric
from tests.support.metrics import Scraped
from tests.support.postgres import Servers
from tests.support.watched import BEARER, fill, watched

from wagateway.domain.events import SessionStatus
from wagateway.domain.health import HealthLevel
from wagateway.domain.media import DownloadStatus
from wagateway.domain.sync import SyncStatus
from wagateway.entrypoints.metrics.archive import UNKNOWN
from wagateway.entrypoints.settings import Settings

pytestmark = pytest.mark.embedded

ROOT = Path(__file__).resolve().parents[2]
FOLDER = ROOT / "compose" / "monitoring"
RULES = FOLDER / "alerts.yml"
DASHBOARDS = sorted((FOLDER / "grafana" / "dashboards").glob("*.json"))
PAGE = ROOT / "docs" / "MONITORING.md"
PROMTOOL = shutil.which("promtool")
needs_promtool = pytest.mark.skipif(PROMTOOL is None, reason="promtool is not installed")

OF_PROMETHEUS = {"up", "ALERTS"}
ADDED = {"job", "instance", "worker"}
"""Labels that Prometheus adds, or a process that has siblings."""
VALUES = {
    ("wagateway_session_status", "status"): {*SessionStatus, UNKNOWN},
    ("wagateway_session_health", "level"): {*HealthLevel},
    ("wagateway_sync_chats", "status"): {*SyncStatus},
    ("wagateway_media_files", "status"): {*DownloadStatus},
}
"""What a label may say that says only what is so now."""
_WORDS = frozenset(
    {
        *("by", "without", "on", "ignoring", "and", "or", "unless", "bool", "offset"),
        *("group_left", "group_right", "sum", "max", "min", "count", "avg", "rate", "increase"),
        *("absent", "vector", "histogram_quantile"),
    }
)


class Query(NamedTuple):
    """One query of a rule or a panel, and where it is."""

    where: str
    text: str


def rules() -> list[dict[str, Any]]:
    told = yaml.safe_load(RULES.read_text("utf-8"))
    return [rule for group in told["groups"] for rule in group["rules"]]


def panels(path: Path) -> list[dict[str, Any]]:
    return list(json.loads(path.read_text("utf-8"))["panels"])


def queries() -> Iterator[Query]:
    for rule in rules():
        yield Query(rule["alert"], rule["expr"])
    for path in DASHBOARDS:
        for panel in panels(path):
            for target in panel.get("targets", ()):
                yield Query(f"{path.stem}: {panel['title']}", target["expr"])
        for variable in json.loads(path.read_text("utf-8"))["templating"]["list"]:
            if variable["type"] == "query":
                metric, label = re.fullmatch(
                    r"label_values\((\w+), (\w+)\)", variable["definition"]
                ).groups()  # type: ignore[union-attr] # it matches, or the test fails
                yield Query(f"{path.stem}: ${variable['name']}", f'{metric}{{{label}=~".+"}}')


def plain(text: str) -> str:
    """Return *text* with what Grafana puts in for its variables."""
    return (
        text.replace("$__rate_interval", "1m").replace("$session", ".*").replace("$instance", ".*")
    )


def selectors(text: str) -> Iterator[tuple[str, list[tuple[str, str, str]]]]:
    """Yield each metric of a query with its matchers: label, operator, value."""
    shorn = re.sub(r"\b(by|without|on|ignoring) *\([^)]*\)", " ", plain(text))
    for name, inside in re.findall(
        r"\b([a-zA-Z_:][\w:]*)\b(?!\s*\()(?:\{([^}]*)\})?", outside(shorn)
    ):
        if name not in _WORDS and not re.fullmatch(r"\d*[smhd]", name):
            yield name, re.findall(r'(\w+)\s*(=~|!~|!=|=)\s*"([^"]*)"', inside or "")


def outside(text: str) -> str:
    """Return *text* without its durations in brackets."""
    return re.sub(r"\[[^]]*\]", "", text)


def grouped(text: str) -> set[str]:
    """Return the labels by which a query groups or joins."""
    found = re.findall(r"\b(?:by|on) *\(([^)]*)\)", text)
    return {label.strip() for labels in found for label in labels.split(",") if label.strip()}


@pytest.fixture(scope="module")
async def scraped(postgres_servers: Servers, tmp_path_factory: pytest.TempPathFactory) -> Scraped:
    """The page of a real application over PostgreSQL, with something of everything in it."""
    folder = tmp_path_factory.mktemp("media")
    async with postgres_servers.migrated() as url:
        settings = Settings(database_url=url, media_dir=folder)
        async with watched(settings) as client:
            await fill(client.services)
            await client.post_message("A1")
            await client.get("/metrics")
            return Scraped((await client.get("/metrics", headers=BEARER)).content)


def labels_of(scraped: Scraped, sample: str) -> dict[str, set[str]]:
    """Return the labels of a series by its name, each with its values."""
    found: dict[str, set[str]] = {}
    for name, labels in scraped.values:
        if name == sample:
            for label, value in labels:
                found.setdefault(label, set()).add(value)
    return found


@pytest.mark.parametrize("query", list(queries()), ids=lambda query: query.where)
async def test_a_query_asks_for_what_there_is(scraped: Scraped, query: Query) -> None:
    samples = {name for name, _ in scraped.values}
    asked = list(selectors(query.text))
    assert asked
    labels = set(ADDED)
    for name, matchers in asked:
        if name in OF_PROMETHEUS or (name.startswith("process_") and sys.platform != "linux"):
            continue
        assert name in samples
        there = labels_of(scraped, name)
        labels |= set(there)
        for label, operator, value in matchers:
            assert label in set(there) | ADDED
            known = there.get(label, set()) | VALUES.get((name, label), set())
            if operator == "=" and label not in ADDED:
                assert value in known
            if operator == "=~" and label not in ADDED:
                assert any(re.fullmatch(value, each) for each in known)
    assert grouped(query.text) <= labels


def test_the_check_itself_finds_what_is_wrong() -> None:
    [one, other] = selectors('sum by (le) (rate(wagateway_x_bucket{a="b", c=~"d|e"}[5m])) / y > 0')
    assert one == ("wagateway_x_bucket", [("a", "=", "b"), ("c", "=~", "d|e")])
    assert other == ("y", [])
    assert grouped("max by (session) (x) and on (a, b) y") == {"session", "a", "b"}


class TestRules:
    def test_each_says_how_bad_it_is_and_what_is_wrong(self) -> None:
        for rule in rules():
            assert rule["labels"]["severity"] in {"critical", "warning"}, rule["alert"]
            assert rule["annotations"]["summary"], rule["alert"]

    def test_each_is_tried(self) -> None:
        tried = (FOLDER / "alerts_test.yml").read_text("utf-8")
        assert {rule["alert"] for rule in rules()} == set(re.findall(r'alertname="(\w+)"', tried))

    def test_each_is_explained(self) -> None:
        section = PAGE.read_text("utf-8").partition("\n## Alerts")[2].partition("\n## ")[0]
        explained = re.findall(r"^\| `(Wagateway\w+)` \|", section, re.MULTILINE)
        assert explained == [rule["alert"] for rule in rules()]

    @needs_promtool
    def test_promtool_takes_them(self) -> None:
        promtool("check", "rules", "alerts.yml")

    @needs_promtool
    def test_each_speaks_when_it_should_and_none_while_all_is_well(self) -> None:
        promtool("test", "rules", "alerts_test.yml")

    @needs_promtool
    def test_promtool_takes_what_is_scraped(self, tmp_path: Path) -> None:
        token = tmp_path / "metrics_token"
        token.write_text("x")
        config = (FOLDER / "prometheus.yml").read_text("utf-8")
        (tmp_path / "prometheus.yml").write_text(
            config.replace("/run/secrets/metrics_token", str(token))
        )
        shutil.copy(RULES, tmp_path)
        promtool("check", "config", "prometheus.yml", folder=tmp_path)


class TestDashboards:
    @needs_promtool
    def test_promtool_reads_every_query(self, tmp_path: Path) -> None:
        given = [
            {"record": "a:b", "expr": plain(query.text), "labels": {"n": str(number)}}
            for number, query in enumerate(queries())
        ]
        told = {"groups": [{"name": "all", "rules": given}]}
        (tmp_path / "all.yml").write_text(yaml.safe_dump(told))
        promtool("check", "rules", "all.yml", folder=tmp_path)

    @pytest.mark.parametrize("path", DASHBOARDS, ids=lambda path: path.stem)
    def test_panels_are_explained_and_have_places_of_their_own(self, path: Path) -> None:
        board = json.loads(path.read_text("utf-8"))
        found = panels(path)
        assert len({panel["id"] for panel in found}) == len(found)
        taken: set[tuple[int, int]] = set()
        for panel in found:
            place = panel["gridPos"]
            assert place["x"] + place["w"] <= 24
            cells = {
                (place["x"] + x, place["y"] + y)
                for x in range(place["w"])
                for y in range(place["h"])
            }
            assert not cells & taken, panel["title"]
            taken |= cells
            if panel["type"] != "row":
                assert panel["description"], panel["title"]
                assert panel["datasource"]["uid"] == "${datasource}", panel["title"]
        assert board["uid"].startswith("wagateway-")

    def test_each_has_a_name_of_its_own(self) -> None:
        boards = [json.loads(path.read_text("utf-8")) for path in DASHBOARDS]
        assert len(boards) == len({board["uid"] for board in boards}) == 2

    def test_they_are_put_where_grafana_looks(self) -> None:
        provisioning = FOLDER / "grafana" / "provisioning"
        [provider] = yaml.safe_load((provisioning / "dashboards" / "wagateway.yml").read_text())[
            "providers"
        ]
        [source] = yaml.safe_load((provisioning / "datasources" / "prometheus.yml").read_text())[
            "datasources"
        ]
        assert provider["options"]["path"] in (FOLDER / "README.md").read_text("utf-8")
        assert source["type"] == "prometheus"


async def test_the_documentation_lists_what_there_is(scraped: Scraped) -> None:
    text = PAGE.read_text("utf-8")
    listed = re.findall(r"^\| `(\w+)` \| (\w+) \|([^|]*)\| ([^|]+) \|$", text, re.MULTILINE)
    assert [name for name, _, _, _ in listed] == list(dict.fromkeys(name for name, *_ in listed))
    if sys.platform != "linux":  # elsewhere nothing is told of the process as such
        listed = [line for line in listed if not line[0].startswith("process_")]
    told = {name: (type_, set(re.findall(r"`(\w+)`", labels))) for name, type_, labels, _ in listed}
    assert told == {_name(family): _told(scraped, family) for family in scraped.families.values()}


@needs_promtool
async def test_promtool_takes_the_page(scraped: Scraped) -> None:
    promtool("check", "metrics", given=scraped.text)


def _name(family: Metric) -> str:
    return f"{family.name}_total" if family.type == "counter" else family.name


def _told(scraped: Scraped, family: Metric) -> tuple[str, set[str]]:
    labels = {label for sample in family.samples for label in sample.labels} - {"le"}
    return family.type, labels


def promtool(*words: str, folder: Path = FOLDER, given: str = "") -> None:
    done = subprocess.run(
        [PROMTOOL or "promtool", *words],
        cwd=folder,
        input=given,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
