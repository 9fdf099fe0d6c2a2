"""How far a sync is, on a terminal and in lines."""

import io

import pytest
from rich.console import Console

from wagateway.entrypoints.cli import sync_screen
from wagateway.entrypoints.cli.sync_screen import Progress, open_sync_screen

BEGUN = Progress(chats=0, left=0, looking=True, messages=0, stored=0)
UNDER_WAY = Progress(chats=24, left=3, looking=False, messages=1234, stored=1000)


@pytest.mark.parametrize("width", [40, 60, 120])
def test_a_terminal_is_shown_a_bar(monkeypatch: pytest.MonkeyPatch, width: int) -> None:
    out = io.StringIO()
    console = Console(file=out, force_terminal=True, width=width)
    monkeypatch.setattr(sync_screen, "Console", lambda **_: console)
    with open_sync_screen() as screen:
        for progress in (BEGUN, UNDER_WAY):
            screen.show(progress)
    text = out.getvalue()
    assert "Reading" in text
    assert "3 of" in text


def test_elsewhere_a_line_is_written_now_and_then(capsys: pytest.CaptureFixture[str]) -> None:
    with open_sync_screen() as screen:
        screen.show(UNDER_WAY)
        screen.show(UNDER_WAY)
    [line] = capsys.readouterr().err.splitlines()
    assert line.startswith("1,234 messages read, 1,000 stored, ")
    assert line.endswith("; 3 of 24 chats left")


def test_the_look_at_all_chats_is_no_chat(capsys: pytest.CaptureFixture[str]) -> None:
    with open_sync_screen() as screen:
        screen.show(BEGUN)
    assert capsys.readouterr().err.endswith("; looking at all chats\n")
