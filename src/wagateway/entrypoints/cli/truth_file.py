"""The file of the truth, which ``simulate`` writes and ``simulate check`` reads."""

import os
import tempfile
from itertools import chain
from pathlib import Path
from typing import IO

import msgspec

from wagateway.domain.errors import InvalidInput, StoreUnavailable
from wagateway.simulator.simulation import Scenario
from wagateway.simulator.truth import VERSION, Truth


def write_truth(path: Path, scenario: Scenario, truth: Truth) -> None:
    """Write the truth; a regular file is replaced whole or not at all."""
    target = path.resolve()
    try:
        if target.exists() and not target.is_file():  # a pipe or device: for whoever reads it
            with target.open("wb") as file:
                _write_lines(file, scenario, truth)
            return
        with tempfile.NamedTemporaryFile(dir=target.parent, delete=False) as file:
            new = Path(file.name)
            try:
                _write_lines(file, scenario, truth)
                new.replace(target)
            except BaseException:
                new.unlink(missing_ok=True)
                raise
    except OSError as exc:
        raise StoreUnavailable(f"the truth cannot be written to {path}: {exc.strerror}") from exc


def _write_lines(file: IO[bytes], scenario: Scenario, truth: Truth) -> None:
    encoder = msgspec.json.Encoder()
    head = {"type": "simulation", "version": VERSION, "scenario": scenario.description()}
    count = 0
    for count, line in enumerate(chain([head], truth.lines()), 1):  # noqa: B007 - counted
        file.write(encoder.encode(line) + b"\n")
    file.write(encoder.encode({"type": "end", "lines": count}) + b"\n")
    file.flush()


def require_writable(path: Path | None) -> None:
    """Refuse early what would fail after all the work."""
    if path is None:
        return
    if path == Path("-"):
        raise InvalidInput("--truth names a file; standard output has the summary")
    folder = path.resolve().parent
    if path.is_dir() or not folder.is_dir() or not os.access(folder, os.W_OK):
        raise InvalidInput(
            f"--truth cannot be written: is {folder} a folder that you may write to?"
        )
