"""The guarantees as a whole: real processes, every fault, kills under way, and then the truth."""

from pathlib import Path

import msgspec
import pytest
from tests.support.proof import Trial, prove

from wagateway.simulator.faults import Faults
from wagateway.simulator.simulation import Scenario

pytestmark = [pytest.mark.slow, pytest.mark.embedded]


async def test_an_archive_under_fire_equals_the_truth(tmp_path: Path) -> None:
    trial = Trial(
        deliveries=3000,  # scripts/prove has more
        seed=1,
        scenario=Scenario(
            seed=20261126,
            sessions=3,
            chats=40,
            faults=Faults.parse("all,account-change=0.005"),
            also_as_message=0.2,
        ),
        disturbances=("kill a worker", "restart the database"),
        retry_s=0.2,
    )
    outcome = await prove(trial, tmp_path)
    assert outcome.disturbed == list(trial.disturbances)
    assert outcome.counts.accepted == trial.deliveries
    assert outcome.counts.given_up == 0
    assert outcome.counts.lost > 0
    assert outcome.report.expected > 600
    assert outcome.report.perfect, msgspec.json.encode(outcome.report.examples).decode()
