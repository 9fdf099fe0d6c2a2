"""Two workers against every fault of files, one killed, the store away: the truth in the end."""

from pathlib import Path

import pytest
from tests.support.media_proof import Trial, prove

pytestmark = [pytest.mark.slow, pytest.mark.embedded]


async def test_every_file_that_could_be_had_is_stored_once(tmp_path: Path) -> None:
    trial = Trial(files=80, distinct=40, seed=3, away_s=3.0, deadline_s=240.0)
    outcome = await prove(trial, tmp_path)
    assert outcome.killed == 1
    assert outcome.report.perfect, outcome.report.examples
    assert outcome.stored == outcome.report.hashes
    assert outcome.damaged == []
    assert outcome.baits == 0
    assert outcome.report.stored >= 50
    assert set(outcome.statuses) <= {"completed", "expired", "skipped"}
