"""``wagateway simulate check`` on files, and on an API that is none."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from tests.unit.simulator.test_check import ARCHIVE, CHAT, TRUTH, message
from tests.unit.simulator.test_wagateway_api import serving

from wagateway.entrypoints.cli.endings import ExitCode
from wagateway.entrypoints.cli.program import program
from wagateway.simulator.truth import Line

HEAD: Line = {"type": "simulation", "version": 1, "scenario": {}}
WHOLE = [HEAD, *TRUTH, {"type": "end", "lines": len(TRUTH) + 1}]


@pytest.fixture(autouse=True)
def _empty_place(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No settings of whoever runs the tests."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "100")
    monkeypatch.delenv("WHATSAPP_GATEWAY_API_TOKEN", raising=False)
    write("truth.jsonl", WHOLE)


def write(name: str, lines: list[Line]) -> None:
    Path(name).write_text(text_of(lines))


def text_of(lines: list[Line]) -> str:
    return "".join(json.dumps(line) + "\n" for line in lines)


def check(*words: str, truth: str = "truth.jsonl", stdin: str | None = None) -> Result:
    return CliRunner().invoke(program, ["simulate", "check", "--truth", truth, *words], input=stdin)


def test_help_gives_an_example() -> None:
    result = CliRunner().invoke(program, ["simulate", "check", "--help"])
    assert result.exit_code == ExitCode.OK
    assert "wagateway simulate check --truth" in result.output


@pytest.mark.parametrize(
    "words", [[], ["--api", "http://127.0.0.1:1", "--archive", "a.jsonl"]], ids=["none", "both"]
)
def test_it_needs_exactly_one_thing_to_compare_with(words: list[str]) -> None:
    result = check(*words)
    assert result.exit_code == ExitCode.USAGE
    assert "either --api URL or --archive FILE" in result.stderr.replace("\n", " ")


def test_it_needs_a_truth() -> None:
    result = CliRunner().invoke(program, ["simulate", "check", "--archive", "-"])
    assert result.exit_code == ExitCode.USAGE


def test_an_archive_that_equals_the_truth_ends_with_0() -> None:
    write("archive.jsonl", TRUTH[::-1])
    result = check("--archive", "archive.jsonl")
    assert result.exit_code == ExitCode.OK
    lines = result.stdout.splitlines()
    assert [line.split() for line in lines[:4]] == [
        ["lost", "0"],
        ["twinned", "0"],
        ["wrong", "0"],
        ["invented", "0"],
    ]
    assert lines[4].startswith("The archive equals the truth: 2 messages must be there ")
    assert len(lines) == 5


def test_differences_are_shown_and_end_with_1() -> None:
    write(
        "archive.jsonl",
        [ARCHIVE, CHAT, message("A1"), message("A1"), message("Z9"), message("A3", text="não")],
    )
    lines = [*WHOLE[:-1], message("A3", text="sim")]
    write("truth.jsonl", [*lines, {"type": "end", "lines": len(lines)}])
    result = check("--archive", "archive.jsonl")
    assert result.exit_code == ExitCode.FAILED
    told = result.stdout
    for sort in ("lost", "twinned", "wrong", "invented"):
        assert f"{sort:<9}         1\n" in told
    assert 'text: expected "sim", found "não"' in told
    assert "id=Z9" in told
    assert "The archive differs: 3 messages must be there" in told


def test_scripts_are_told_the_report() -> None:
    write("archive.jsonl", TRUTH[:-1])
    result = check("--archive", "archive.jsonl", "--json")
    assert result.exit_code == ExitCode.FAILED
    told = json.loads(result.stdout)
    assert told["counts"] == {"lost": 1, "twinned": 0, "wrong": 0, "invented": 0}
    assert (told["expected"], told["found"]) == (2, 1)
    assert told["examples"][0]["what"]["id"] == "A2"


def test_an_archive_can_be_piped_in() -> None:
    assert check("--archive", "-", stdin=text_of(TRUTH)).exit_code == ExitCode.OK
    assert check("--archive", "-", stdin=text_of(TRUTH[:-1])).exit_code == ExitCode.FAILED


def test_empty_lines_are_no_lines() -> None:
    Path("truth.jsonl").write_text("\n" + text_of(WHOLE) + "\n  \n")
    assert check("--archive", "-", stdin="\n" + text_of(TRUTH)).exit_code == ExitCode.OK


@pytest.mark.parametrize(
    ("line", "said"),
    [("{nope", "line 6: not JSON"), ("[1]", "line 6: expected a JSON object"), ("7", "line 6")],
)
def test_a_broken_line_is_named_by_its_number(line: str, said: str) -> None:
    Path("broken.jsonl").write_text(text_of([HEAD, *TRUTH]) + line + "\n")
    for words in (("--archive", "broken.jsonl"), ("--archive", "-")):
        result = check(*words, stdin=Path("broken.jsonl").read_text())
        assert result.exit_code == ExitCode.USAGE
        assert said in result.stderr
    result = check("--archive", "-", truth="broken.jsonl", stdin="")
    assert result.exit_code == ExitCode.USAGE
    assert f"broken.jsonl, {said}" in result.stderr


@pytest.mark.parametrize("line", ["{}", '{"type":"song"}', '{"type":"message","session":"a"}'])
def test_a_line_that_belongs_to_no_truth_ends_with_2(line: str) -> None:
    Path("truth.jsonl").write_text(line)
    result = check("--archive", "-", stdin="")
    assert result.exit_code == ExitCode.USAGE
    assert "truth" in result.stderr
    assert "Traceback" not in result.output


def test_an_object_without_an_identity_ends_with_2() -> None:
    result = check("--archive", "-", stdin='{"type":"message","session":"default"}')
    assert result.exit_code == ExitCode.USAGE
    assert "line 1: 'account' is missing" in result.stderr


@pytest.mark.parametrize(("truth", "archive"), [("no.jsonl", "-"), ("truth.jsonl", "no.jsonl")])
def test_a_file_that_is_not_there_ends_with_2(truth: str, archive: str) -> None:
    result = check("--archive", archive, truth=truth, stdin="")
    assert result.exit_code == ExitCode.USAGE
    assert "no.jsonl: No such file" in result.stderr


def test_an_api_is_an_address() -> None:
    result = check("--api", "localhost:4011")
    assert result.exit_code == ExitCode.USAGE
    assert "http://" in result.stderr


def test_an_api_that_does_not_answer_ends_with_3() -> None:
    result = check("--api", "http://127.0.0.1:1")
    assert result.exit_code == ExitCode.UNAVAILABLE
    assert "ConnectError" in result.stderr


def test_an_api_that_refuses_the_token_ends_with_3_and_says_so() -> None:
    with serving((401, b'{"detail":"no such token"}')) as api:
        result = check("--api", api.url, "--api-token", "wrong")
    assert result.exit_code == ExitCode.UNAVAILABLE
    assert "401" in result.stderr
    assert {token for _, _, token in api.asked} == {"wrong"}


def test_waha_is_no_archive() -> None:
    with serving((200, b'[{"name":"default","status":"WORKING"}]')) as api:
        result = check("--api", api.url)
    assert result.exit_code == ExitCode.UNAVAILABLE
    assert "is the address right?" in result.stderr


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        ([], "no end"),
        ([*TRUTH, {"type": "end", "lines": 4}], "is not what"),
        ([{**HEAD, "version": 99}, {"type": "end", "lines": 1}], "is not what"),
        ([HEAD, *TRUTH], "is not whole"),
        ([*WHOLE[:-2], WHOLE[-1]], "is not whole"),
        ([HEAD, ARCHIVE, {"type": "end", "lines": 2}], "expects no message"),
    ],
)
def test_a_truth_that_says_nothing_or_not_all_is_refused(lines: list[Line], said: str) -> None:
    write("truth.jsonl", lines)
    result = check("--archive", "-", stdin=text_of(TRUTH))
    assert result.exit_code == ExitCode.USAGE
    assert said in result.stderr


def test_only_chosen_fields_are_compared() -> None:
    write("archive.jsonl", [{**line, "text": "?"} for line in TRUTH])
    assert check("--archive", "archive.jsonl").exit_code == ExitCode.FAILED
    assert check("--archive", "archive.jsonl", "--fields", "kind,sent_at").exit_code == ExitCode.OK


def test_a_field_that_no_truth_names_is_refused() -> None:
    write("archive.jsonl", TRUTH)
    result = check("--archive", "archive.jsonl", "--fields", "txet,kind")
    assert result.exit_code == ExitCode.USAGE
    assert "no truth names 'txet'; fields are ack, clash," in result.stderr
