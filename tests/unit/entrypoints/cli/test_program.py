import inspect
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from datetime import datetime
from itertools import pairwise
from pathlib import Path

import pytest
import rich_click as click
from click.testing import CliRunner, Result

from wagateway.domain.errors import (
    Conflict,
    Defect,
    InvalidInput,
    NotFound,
    StoreUnavailable,
)
from wagateway.entrypoints.cli import connect
from wagateway.entrypoints.cli import up as up_module
from wagateway.entrypoints.cli.endings import Command, ExitCode
from wagateway.entrypoints.cli.options import Instant
from wagateway.entrypoints.cli.program import program
from wagateway.entrypoints.cli.replay import Selection

TOKEN = "kX3-9vQz_7LmT2bRw8Ye"
COMMANDS = [
    ["up"],
    ["api"],
    ["demo"],
    ["migrate"],
    ["replay"],
    ["identity", "list"],
    ["identity", "link"],
    ["identity", "unlink"],
    ["media", "list"],
    ["media", "retry"],
    ["media", "verify"],
    ["media", "export"],
    ["media", "prepare"],
    ["stack-env"],
    ["spool"],
    ["backup"],
    ["backup", "verify"],
    ["restore"],
    ["doctor"],
    ["waha-env"],
    ["psql"],
    ["database-url"],
    ["version"],
    ["simulate"],
    ["simulate", "check"],
]


@pytest.fixture(autouse=True)
def _empty_place(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Neither settings nor an archive of whoever runs the tests."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "share"))
    monkeypatch.setenv("COLUMNS", "100")


def run(*words: str, env: dict[str, str] | None = None) -> Result:
    return CliRunner().invoke(program, words, env=env)


@pytest.mark.parametrize("words", COMMANDS, ids=" ".join)
def test_help_of_every_command_gives_an_example(words: list[str]) -> None:
    result = run(*words, "--help")
    assert result.exit_code == 0
    assert "Example" in result.output
    assert f"wagateway {' '.join(words)}" in result.output


def every_command() -> Iterator[list[str]]:
    """Yield the words of each command and group, the program itself among them."""
    left: list[tuple[list[str], click.Command]] = [([], program)]
    while left:
        words, command = left.pop()
        yield words
        if isinstance(command, click.Group):
            left += [([*words, name], each) for name, each in command.commands.items()]


@pytest.mark.parametrize("words", list(every_command()), ids=" ".join)
def test_help_has_no_more_than_one_empty_line_at_a_time(words: list[str]) -> None:
    lines = [line.strip() for line in run(*words, "--help").output.strip().splitlines()]
    assert not any(pair == ("", "") for pair in pairwise(lines))


@pytest.mark.parametrize("words", list(every_command()), ids=" ".join)
def test_help_shows_indented_lines_as_they_are_on_a_narrow_terminal(words: list[str]) -> None:
    text = inspect.cleandoc(command_of(words).help or "")
    shown = run(*words, "--help", env={"COLUMNS": "80"}).output.splitlines()
    written = {f" {line}" for line in text.splitlines() if line.startswith("  ")}
    assert written - {line.rstrip() for line in shown} == set()


@pytest.mark.parametrize("words", list(every_command()), ids=" ".join)
def test_help_sets_the_summary_apart(words: list[str]) -> None:
    summary, *_ = inspect.cleandoc(command_of(words).help or "").split("\n\n")
    lines = [line.strip() for line in run(*words, "--help").output.splitlines()]
    [end] = [at for at, line in enumerate(lines) if line and summary.endswith(line)]
    assert lines[end + 1] == ""


def command_of(words: list[str]) -> click.Command:
    command: click.Command = program
    for word in words:
        assert isinstance(command, click.Group)
        command = command.commands[word]
    return command


@pytest.mark.parametrize(
    ("text", "timezone", "meant"),
    [
        ("2026-10-01", "UTC", "2026-10-01T00:00:00+00:00"),
        ("2026-10-01 18:30", "America/Sao_Paulo", "2026-10-01T21:30:00+00:00"),
        ("2026-10-01T18:30:00-05:00", "America/Sao_Paulo", "2026-10-01T23:30:00+00:00"),
    ],
)
def test_a_replay_takes_times_of_the_zone_of_the_settings(
    text: str, timezone: str, meant: str
) -> None:
    since = Instant().convert(text, None, None)
    which = Selection(outcome=None, session=None, event=None, since=since, until=None, after=0)
    assert which.filter(timezone).since == datetime.fromisoformat(meant)


@pytest.mark.parametrize(
    "words",
    [
        ["database-url", "--data-dir", ""],
        ["demo", "--count", "1", "--data-dir", ""],
        ["media", "export", "default", ""],
    ],
    ids=" ".join,
)
def test_an_empty_name_is_not_the_current_folder(words: list[str]) -> None:
    result = run(*words)
    assert result.exit_code == ExitCode.USAGE
    assert "the name is empty" in result.output
    assert list(Path.cwd().iterdir()) == []


def test_a_replay_of_no_time_is_refused() -> None:
    at = datetime(2026, 10, 1)  # noqa: DTZ001 - of the settings' time zone
    which = Selection(outcome=None, session=None, event=None, since=at, until=at, after=0)
    with pytest.raises(InvalidInput, match="--since must be before --until"):
        which.filter("UTC")


def test_help_lists_every_command_and_every_exit_code() -> None:
    lines = run("--help").output.splitlines()
    for words in COMMANDS:
        assert any(line.startswith(f"│ {words[0]} ") for line in lines)
    for code in ExitCode:
        assert any(line.split()[:1] == [str(code.value)] for line in lines)


def test_help_loads_neither_server_nor_driver() -> None:
    script = (
        "import sys\n"
        "from wagateway.entrypoints.cli.program import program\n"
        "program(['up', '--help'], standalone_mode=False)\n"
        "heavy = {'litestar', 'uvicorn', 'httpx', 'psycopg'} & set(sys.modules)\n"
        "assert not heavy, heavy\n"
    )
    subprocess.run([sys.executable, "-c", script], check=True, capture_output=True)


def test_version_is_the_same_everywhere() -> None:
    number = json.loads(run("version", "--json").output)["wagateway"]
    assert run("--version").output == f"wagateway {number}\n"
    assert number in run("version").output


@pytest.mark.parametrize(
    "words",
    [
        ["nope"],
        ["up", "--port", "70000"],
        ["up", "--database-url", "mysql://user:hidden-word@host/db"],
        ["api", "--workers", "0"],
        ["demo", "--engine", "telepathy"],
        ["demo", "--rate", "0"],
        ["replay", "--since", "yesterday"],
        ["replay", "--outcome", "lost"],
        ["identity", "unlink", "default"],
    ],
    ids=" ".join,
)
def test_wrong_usage_ends_with_2(words: list[str]) -> None:
    result = run(*words)
    assert result.exit_code == ExitCode.USAGE
    assert "hidden-word" not in result.output


@pytest.mark.parametrize("more", [["--full"], ["--since", "2026-10-01"]])
def test_what_reads_nothing_takes_no_depth(more: list[str]) -> None:
    result = run("sync", "default", "--pause", *more)
    assert result.exit_code == ExitCode.USAGE
    assert "--pause reads nothing" in result.stderr


@pytest.mark.parametrize(
    "both", [("--pause", "--resume"), ("--status", "--pause"), ("--status", "--resume")]
)
def test_sync_takes_one_order_at_a_time(both: tuple[str, str]) -> None:
    for words in (both, both[::-1]):
        result = run("sync", "default", *words)
        assert result.exit_code == ExitCode.USAGE
        assert f"{both[0]} and {both[1]} contradict" in result.stderr


def test_a_wrong_time_is_answered_with_examples_of_right_ones() -> None:
    told = run("replay", "--since", "yesterday").output
    assert "2026-10-01" in told
    assert "%Y" not in told + run("replay", "--help").output


def test_wrong_settings_end_with_2_and_name_all_of_them() -> None:
    env = {"WHATSAPP_GATEWAY_API_PORT": "many", "WHATSAPP_LOG_LEVEL": "loud"}
    result = run("migrate", env=env)
    assert result.exit_code == ExitCode.USAGE
    assert all(name in result.stderr for name in env)
    assert "Traceback" not in result.stderr


@pytest.mark.parametrize(
    "words",
    [
        ["migrate", "--status"],
        ["replay"],
        ["identity", "list", "default"],
        ["media", "list", "default"],
        ["media", "retry", "default"],
        ["media", "verify"],
        ["media", "export", "default", "files"],
        ["psql"],
        ["database-url"],
        ["waha-env"],
    ],
    ids=" ".join,
)
def test_without_an_archive_commands_say_how_to_get_one(words: list[str]) -> None:
    result = run(*words)
    assert result.exit_code == ExitCode.FAILED
    assert "wagateway up" in result.stderr
    assert result.stdout == ""


def test_a_database_that_is_away_ends_with_3() -> None:
    result = run("replay", "--database-url", "postgresql://nobody:hidden-word@127.0.0.1:1/none")
    assert result.exit_code == ExitCode.UNAVAILABLE
    assert "hidden-word" not in result.output


def test_the_address_of_a_configured_database_is_printed_as_it_is() -> None:
    url = "postgresql://ana:s3same@db.example:5432/archive"
    done = run("database-url", "--json", env={"WHATSAPP_DATABASE_URL": url})
    assert json.loads(done.stdout) == {"backend": "postgres", "url": url}


def test_the_lines_for_waha_name_the_host_that_is_given() -> None:
    env = {"WHATSAPP_WEBHOOK_TOKEN": TOKEN, "WHATSAPP_GATEWAY_API_TOKEN": TOKEN}
    lines = run("waha-env", "--host", "gateway.lan", "--port", "5000", env=env).stdout.splitlines()
    assert lines[0] == "WHATSAPP_HOOK_URL=http://gateway.lan:5000/webhooks/messages"
    assert lines[-1] == f"WHATSAPP_HOOK_CUSTOM_HEADERS=X-Whatsapp-Token:{TOKEN}"
    keyed = run(
        "waha-env", env=env | {"WHATSAPP_WEBHOOK_TOKEN": "", "WHATSAPP_WEBHOOK_HMAC_KEY": TOKEN}
    )
    assert f"WHATSAPP_HOOK_HMAC_KEY={TOKEN}" in keyed.stdout.splitlines()


def test_psql_is_not_shown_the_password_on_its_command_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fake = tmp_path / "bin" / "psql"
    fake.parent.mkdir()
    fake.write_text(
        f'#!/bin/sh\necho "$@" > {tmp_path}/words; echo $PGPASSWORD > {tmp_path}/word; exit 3'
    )
    fake.chmod(0o755)
    monkeypatch.setattr(connect, "program", lambda: str(fake))
    url = "postgresql://ana:s3same@db.example:5432/archive"
    done = run("psql", "-At", "-c", "SELECT 1", env={"WHATSAPP_DATABASE_URL": url})
    assert done.exit_code == 3
    words = (tmp_path / "words").read_text()
    assert "s3same" not in words
    assert words.endswith("-At -c SELECT 1\n")
    assert "host=db.example" in words
    assert (tmp_path / "word").read_text() == "s3same\n"


def test_memory_has_nothing_for_another_process() -> None:
    assert run("replay", "--database-url", "memory://").exit_code == ExitCode.FAILED


def test_a_folder_on_the_command_line_wins_over_a_database_in_the_environment(
    tmp_path: Path,
) -> None:
    env = {"WHATSAPP_DATABASE_URL": "postgresql://nobody@127.0.0.1:1/none"}
    result = run("replay", "--data-dir", str(tmp_path / "mine"), env=env)
    assert result.exit_code == ExitCode.FAILED
    assert str(tmp_path / "mine") in result.stderr


def test_api_names_everything_that_it_needs() -> None:
    result = run("api")
    assert result.exit_code == ExitCode.USAGE
    for name in (
        "WHATSAPP_DATABASE_URL",
        "WHATSAPP_GATEWAY_API_TOKEN",
        "WHATSAPP_WEBHOOK_TOKEN",
        "WHATSAPP_WEBHOOK_HMAC_KEY",
    ):
        assert name in result.stderr


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (InvalidInput("words for people"), ExitCode.USAGE),
        (NotFound("words for people"), ExitCode.FAILED),
        (Conflict("words for people"), ExitCode.CONFLICT),
        (StoreUnavailable("words for people"), ExitCode.UNAVAILABLE),
        (Defect("words for people"), ExitCode.DEFECT),
        (KeyboardInterrupt(), ExitCode.INTERRUPTED),
    ],
)
def test_errors_end_with_their_code_and_one_line(error: BaseException, code: ExitCode) -> None:
    result = CliRunner().invoke(_failing(error), [])
    assert result.exit_code == code
    assert result.stderr == f"wagateway: {str(error) or 'interrupted.'}\n"


def test_unexpected_errors_hide_their_text_unless_asked() -> None:
    group = click.Group("wagateway", params=[click.Option(["--debug"], is_flag=True)])
    group.add_command(_failing(ValueError("a private message")), "fail")
    quiet = CliRunner().invoke(group, ["fail"])
    assert quiet.exit_code == ExitCode.DEFECT
    assert "ValueError" in quiet.stderr
    assert "private" not in quiet.stderr
    assert "--debug" in quiet.stderr
    loud = CliRunner().invoke(group, ["--debug", "fail"])
    assert loud.exit_code == ExitCode.DEFECT
    assert "Traceback" in loud.stderr
    assert "a private message" in loud.stderr


def test_a_missing_server_is_named_with_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "uvicorn", None)
    monkeypatch.delitem(sys.modules, up_module.__name__)
    monkeypatch.delitem(sys.modules, "wagateway.entrypoints.serve")
    monkeypatch.delitem(sys.modules, "wagateway.entrypoints.cli.announce")
    result = run("up")
    assert result.exit_code == ExitCode.FAILED
    assert "wagateway[server]" in result.stderr


def test_a_command_ends_with_the_code_that_it_returns() -> None:
    @click.command(cls=Command)
    def command() -> ExitCode:
        return ExitCode.CONFLICT

    assert CliRunner().invoke(command, []).exit_code == ExitCode.CONFLICT


def _failing(error: BaseException) -> click.Command:
    @click.command(cls=Command)
    def command() -> None:
        raise error

    return command


def test_sync_reads_back_to_no_time_to_come() -> None:
    # In a process of its own, since it begins to log before it refuses.
    done = subprocess.run(
        [sys.executable, "-m", "wagateway.entrypoints.cli", "sync", "--since", "2999-01-01"],
        env=os.environ | {"WHATSAPP_CORE_URL": "http://127.0.0.1:1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == ExitCode.USAGE
    assert "2999-01-01T00:00:00 is yet to come" in done.stderr


@pytest.mark.skipif(os.geteuid() == 0, reason="root may look into any folder")
@pytest.mark.parametrize("words", [["doctor"], ["waha-env"], ["spool"], ["coverage", "default"]])
def test_a_data_folder_that_is_closed_to_us_is_told_with_what_to_do(
    words: list[str], tmp_path: Path
) -> None:
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o000)
    told = run(*words, "--data-dir", str(closed))
    assert f"The data folder {closed} cannot be used (Permission denied" in told.output
    assert "Choose another data folder" in told.output
