"""What workers tell in the log: each kind of work under its own name, and nobody by theirs."""

import pytest
import structlog
from structlog.testing import capture_logs

from wagateway.domain.identity import Jid, SessionName
from wagateway.domain.sync import SyncState
from wagateway.entrypoints.worker_log import log_backup_trouble, log_turn, log_upkeep_trouble
from wagateway.ports.sync import Archived, SyncTask
from wagateway.usecases.turn import Turn

ANA = "5511987650102@c.us"


@pytest.mark.parametrize(
    ("problem", "event"), [("away", "upkeep_cannot_work"), (None, "upkeep_goes_on")]
)
def test_says_that_upkeep_waits_and_goes_on(problem: str | None, event: str) -> None:
    with capture_logs() as logs:
        log_upkeep_trouble(problem)
    assert [log["event"] for log in logs] == [event]


def test_the_lines_about_one_turn_have_an_id_in_common() -> None:
    archive = Archived(id=1, session=SessionName("vendas"), account=None)
    task = SyncTask(archive=archive, chat=Jid(ANA), state=SyncState())
    found: list[list[object]] = []
    for _ in range(2):
        with capture_logs(processors=[structlog.contextvars.merge_contextvars]) as logs:
            log_turn(Turn(task=task, problem="a defect", defect=ValueError(ANA)))
        assert [log["event"] for log in logs] == ["defect", "sync_waits"]
        assert ANA not in str(logs)
        found.append([log["turn"] for log in logs])
    assert [len(set(each)) for each in found] == [1, 1]
    assert found[0] != found[1]


def test_a_backup_that_fails_is_an_error() -> None:
    with capture_logs() as logs:
        log_backup_trouble("the disk is full")
        log_backup_trouble(None)
    assert [(log["event"], log["log_level"]) for log in logs] == [
        ("backup_failed", "error"),
        ("backup_goes_on", "info"),
    ]
