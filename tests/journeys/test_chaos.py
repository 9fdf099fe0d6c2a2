"""The whole in short: many processes and services, some killed and paused, and then the truth."""

from datetime import UTC, datetime
from pathlib import Path

import pytest
from tests.support.chaos import prove
from tests.support.sync_proof import Trial

from wagateway.simulator.faults import Faults
from wagateway.simulator.files import Stock
from wagateway.simulator.offers import Media
from wagateway.simulator.simulation import Scenario

pytestmark = [
    pytest.mark.slow,
    pytest.mark.embedded,
    pytest.mark.s3,
    pytest.mark.valkey,
    pytest.mark.timeout(300),
]


async def test_nothing_that_was_acknowledged_or_offered_is_missing(tmp_path: Path) -> None:
    trial = Trial(
        scenario=Scenario(
            seed=7,
            sessions=2,
            chats=20,
            rate=15,
            start=datetime.now(UTC),
            served=True,
            past=200,
            faults=Faults.parse("all,account-change=0"),
            also_as_message=0.3,
            media=Media(stock=Stock(distinct=10), lifetime_s=3600.0),
        ),
        seconds=18.0,
        late_s=1.0,
        disturbances=("pause the database", "kill a worker", "kill Redis"),
        pause_s=9.0,
        sync_s=2.0,
        people_s=5.0,
        settled_s=20.0,  # what a worker that died had in its hands comes later
    )
    outcome = await prove(trial, tmp_path)
    assert outcome.sync.disturbed == list(trial.disturbances)
    assert outcome.sync.acknowledged > 100
    assert outcome.sync.unlogged == 0
    assert outcome.spooled > 0
    assert outcome.sync.false_claims == []
    assert outcome.sync.report.perfect, outcome.sync.report.examples
    wrong = {
        kind: n for kind, n in outcome.files.counts.items() if n and kind in {"wrong", "twinned"}
    }
    assert not wrong
