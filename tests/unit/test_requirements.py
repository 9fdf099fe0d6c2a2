"""What is installed is what was looked at."""

import re
from pathlib import Path

import pytest

FOLDER = Path(__file__).resolve().parents[2] / "requirements"
FILES = sorted(FOLDER.glob("*.txt"))


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_all_that_is_installed_is_pinned_with_its_hashes(file: Path) -> None:
    text = file.read_text().replace("\\\n", " ")
    lines = [line for line in text.splitlines() if line.strip() and line.strip()[0] != "#"]
    assert lines
    for line in lines:
        assert re.match(r"[a-z0-9.-]+(\[[a-z,-]+\])?==[\w.+!]+ ", line), line
        assert "--hash=sha256:" in line, line
        assert "://" not in line, line
