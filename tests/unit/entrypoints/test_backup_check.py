"""Are regular backups made, in words."""

from datetime import timedelta
from pathlib import Path

import pytest
from tests.support.backups import MORNING, World

from wagateway.domain.backups import backup_name
from wagateway.entrypoints.backup_check import backup_finding, backup_findings
from wagateway.entrypoints.findings import Finding, Verdict
from wagateway.entrypoints.settings import Settings

HOUR = timedelta(hours=1)
NAMES = [backup_name(MORNING - 24 * HOUR), backup_name(MORNING, 2)]


@pytest.mark.parametrize(
    ("every", "age", "verdict"),
    [
        (24, 47 * HOUR, Verdict.OK),
        (24, 49 * HOUR, Verdict.WARN),
        (1, 3 * HOUR, Verdict.WARN),
        (None, 9000 * HOUR, Verdict.OK),
    ],
)
def test_the_newest_may_be_so_old(every: int | None, age: timedelta, verdict: Verdict) -> None:
    found = backup_finding(NAMES, every, MORNING + age)
    assert found.verdict is verdict
    assert found.found.startswith("2, the newest of 2026-11-27T06:30+00:00")
    assert ("backup_failed" in (found.mend or "")) is (verdict is Verdict.WARN)


def test_none_is_a_warning() -> None:
    due = backup_finding([], 24, MORNING)
    unasked = backup_finding([], None, MORNING)
    assert due.verdict is unasked.verdict is Verdict.WARN
    assert "backup_failed" in (due.mend or "")
    assert "WHATSAPP_BACKUP_EVERY_HOURS" in (unasked.mend or "")


async def findings(where: str | None) -> list[Finding]:
    return [each async for each in backup_findings(Settings(backup_dir=where))]


async def test_looks_where_they_are_kept(tmp_path: Path) -> None:
    world = World(tmp_path)
    await world.fill()
    await world.back_up()
    (found,) = await findings(str(world.folder))
    assert (found.verdict, found.found[:2]) == (Verdict.OK, "1,")
    (absent,) = await findings(str(tmp_path / "absent"))
    assert absent.found == "there is none yet"
    assert not (tmp_path / "absent").exists()


async def test_says_nothing_where_none_are_wanted() -> None:
    assert await findings(None) == []


async def test_a_place_that_cannot_be_used_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    for where in (str(tmp_path / "file"), "s3://my-backups"):
        (found,) = await findings(where)
        assert "their place cannot be used" in found.found
