import io

import pytest
from rich.console import Console

from wagateway.entrypoints.cli import demo_screen
from wagateway.entrypoints.cli.demo_screen import open_screen
from wagateway.entrypoints.cli.figures import Figures, Tally
from wagateway.entrypoints.cli.output import counted
from wagateway.usecases.ingest import Ingested


def figures(*, failed: int = 0, repeats: int = 0) -> Figures:
    return Figures(
        delivered=1234,
        per_second=9.6,
        repeats=repeats,
        answered=Ingested(stored=1000, duplicates=200, ignored=34, failed=failed),
        messages=5678,
        chats=16,
    )


def test_prints_plain_lines_when_nobody_watches(capsys: pytest.CaptureFixture[str]) -> None:
    with open_screen() as screen:
        screen.show(figures())
        screen.show(figures())
        screen.say(["x" * 300])
    lines = capsys.readouterr().out.splitlines()
    counted = "deliveries 1,234 (10/s), stored 1,000, duplicates 200, kept raw only 34"
    assert lines == [f"{counted}, messages 5,678 in 16 chats", "x" * 300]


def test_shows_failures_and_repeats_only_when_there_are_any(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with open_screen() as screen:
        screen.show(figures(failed=3, repeats=4))
    assert "failed 3, repeated 4" in capsys.readouterr().out


def test_redraws_a_table_on_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    out = io.StringIO()
    console = Console(file=out, force_terminal=True, width=80)
    monkeypatch.setattr(demo_screen, "Console", lambda: console)
    with open_screen() as screen:
        screen.show(figures())
        screen.say(["curl " + "y" * 200])
    text = out.getvalue()
    assert "1,234 (10/s)" in text
    assert "y" * 200 in text  # copied as one line


@pytest.mark.parametrize(("number", "text"), [(0, "0 chats"), (1, "1 chat"), (1234, "1,234 chats")])
def test_one_is_no_plural(number: int, text: str) -> None:
    assert counted(number, "chat") == text


async def test_adds_up_what_an_ingest_answers() -> None:
    answers = [
        Ingested(stored=1, duplicates=0, ignored=2, failed=0),
        Ingested(stored=3, duplicates=4, ignored=0, failed=5),
    ]

    async def ingest(_: bytes) -> Ingested:
        return answers.pop(0)

    tally = Tally(ingest)
    await tally(b"{}")
    assert await tally(b"{}") == Ingested(stored=3, duplicates=4, ignored=0, failed=5)
    assert tally.total == Ingested(stored=4, duplicates=4, ignored=2, failed=5)
