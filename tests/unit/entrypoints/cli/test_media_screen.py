"""How far a look at files is, on a terminal and in lines."""

import io

import pytest
from rich.console import Console

from wagateway.entrypoints.cli import media_screen
from wagateway.entrypoints.cli.media_screen import open_media_screen
from wagateway.entrypoints.cli.output import sized


def test_a_terminal_is_shown_a_line_that_moves(monkeypatch: pytest.MonkeyPatch) -> None:
    out = io.StringIO()
    console = Console(file=out, force_terminal=True, width=100)
    monkeypatch.setattr(media_screen, "Console", lambda **_: console)
    monkeypatch.setattr(media_screen, "_SHOW_EVERY_S", 0.0)
    with open_media_screen("Verifying") as screen:
        screen.show("12 files looked at")
    assert "Verifying" in out.getvalue()
    assert "12 files looked at" in out.getvalue()


def test_results_go_where_they_belong_although_a_terminal_is_drawn(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    out = io.StringIO()
    console = Console(file=out, force_terminal=True, width=100)
    monkeypatch.setattr(media_screen, "Console", lambda **_: console)
    with open_media_screen("Verifying"):
        print("a finding")  # noqa: T201 - what a command prints
    assert capsys.readouterr().out == "a finding\n"
    assert "a finding" not in out.getvalue()


def test_elsewhere_a_line_is_written_now_and_then(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with open_media_screen("Verifying") as screen:
        screen.show("1 file looked at")
    assert capsys.readouterr().err == ""
    monkeypatch.setattr(media_screen, "_LINE_EVERY_S", 0.0)
    with open_media_screen("Verifying") as screen:
        screen.show("2 files looked at")
    assert capsys.readouterr().err == "2 files looked at\n"


@pytest.mark.parametrize(
    ("size", "told"),
    [
        (0, "0 bytes"),
        (999, "999 bytes"),
        (1400, "1.4 KB"),
        (2 * 10**9, "2.0 GB"),
        (10**15, "1,000.0 TB"),
    ],
)
def test_sizes_are_told_in_their_unit(size: int, told: str) -> None:
    assert sized(size) == told
