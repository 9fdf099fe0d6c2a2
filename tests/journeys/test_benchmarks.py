"""The benchmarks run: what they find is no test's business."""

import subprocess
import sys
from pathlib import Path

import pytest

RUN = Path(__file__).parents[2] / "benchmarks" / "run.py"


@pytest.mark.slow
@pytest.mark.embedded
def test_a_part_can_be_tried_out() -> None:
    done = subprocess.run(
        [sys.executable, str(RUN), "--quick", "--only", "sizes"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "| `event_log` |" in done.stdout
