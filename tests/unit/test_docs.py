"""What the documentation names is there."""

import ast
import re
import runpy
import shlex
from functools import cache
from pathlib import Path

import pytest
import rich_click as click

from wagateway.entrypoints.cli.endings import MEANINGS, ExitCode
from wagateway.entrypoints.cli.program import program
from wagateway.entrypoints.variables import VARIABLES

ROOT = Path(__file__).resolve().parents[2]
README = ROOT / "README.md"
PROOF = ROOT / "docs" / "PROOF.md"
SECURITY = ROOT / "SECURITY.md"
PARTS = [
    *("Webhook", "API", "Live stream", "Media fetching", "Inspection process", "Database", "Redis"),
    *("Object store", "Command line and secrets", "Backups", "Simulator", "Supply chain"),
]
GUARANTEES = [f"G{n}" for n in range(1, 10)]
PAGES = sorted(
    [*ROOT.glob("*.md"), *ROOT.glob("docs/*.md"), *ROOT.glob("*/README.md")],
    key=lambda page: page.as_posix(),
)
pages = pytest.mark.parametrize("page", PAGES, ids=lambda p: p.relative_to(ROOT).as_posix())

_LINK = re.compile(r"\]\(([^)\s]+)\)")
_NODE = re.compile(r"`(tests/[\w/]+\.py(?:::\w+)+)`")
_COMMAND = re.compile(r"(?:^|[`/ (])wagateway ((?:[a-z][a-z-]* ?)+|--[a-z-]+)", re.MULTILINE)
_VARIABLE = re.compile(r"\bWHATSAPP_[A-Z_]+\b")
_PLACE = re.compile(
    r"`((?:entrypoints|usecases|domain|ports|adapters|tests|scripts|sql)/[\w/.*-]+)`"
)
_CLASS = re.compile(r"`((?:[A-Z][a-z]+){2,})`")
_OF_WAHA = re.compile(r"WHATSAPP_(?:HOOK|FILES)_")


@pages
def test_links_lead_somewhere(page: Path) -> None:
    links = [link for link in _LINK.findall(page.read_text()) if "://" not in link]
    broken = [link for link in links if not leads_somewhere(page, link)]
    assert not broken


@pytest.mark.parametrize("heading", ["## Read it by HTTP", "## Em português"])
def test_the_readme_says_in_each_language_where_the_token_comes_from(heading: str) -> None:
    _, _, part = README.read_text("utf-8").partition(f"\n{heading}\n")
    assert 0 < part.index("\nTOKEN=…   # ") < part.index("$TOKEN")


def test_the_prose_of_the_readme_is_wrapped() -> None:
    text = re.sub(r"```.*?```", "", README.read_text("utf-8"), flags=re.DOTALL)
    assert not [line for line in text.splitlines() if len(line) > 120 and line[0] != "|"]


def leads_somewhere(page: Path, link: str) -> bool:
    path, _, anchor = link.partition("#")
    target = page.parent / path if path else page
    return target.exists() and (not anchor or anchor in anchors(target))


def anchors(page: Path) -> set[str]:
    """Return the anchors that GitHub gives the headings of *page*."""
    headings = re.findall(r"^#+ (.+)$", page.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def test_the_code_that_the_architecture_names_is_there() -> None:
    page = (ROOT / "docs" / "ARCHITECTURE.md").read_text()
    named = [name.replace("NAME", "*") for name in _PLACE.findall(page)]
    roots = (ROOT, ROOT / "src" / "wagateway")
    assert len(named) > 40
    assert [name for name in named if not any(found(root, name) for root in roots)] == []
    code = "\n".join(path.read_text() for path in (ROOT / "src").rglob("*.py"))
    classes = set(re.findall(r"^class (\w+)", code, re.MULTILINE))
    assert set(_CLASS.findall(page)) - classes == set()


def found(root: Path, name: str) -> bool:
    return any(any(root.glob(f"{name.rstrip('/')}{ending}")) for ending in ("", ".py"))


def test_the_page_of_settings_is_written_anew_with_them() -> None:
    script = runpy.run_path(str(ROOT / "scripts" / "configuration.py"))
    assert script["PAGE"].read_text("utf-8") == script["page"](), "run scripts/configuration.py"
    names = [each.name for each in script["described"](script["EXAMPLE"].read_text("utf-8"))]
    assert sorted(names) == sorted(VARIABLES)


def test_the_page_of_settings_says_each_meaning_once() -> None:
    page = (ROOT / "docs" / "CONFIGURATION.md").read_text("utf-8")
    rows = re.findall(r"^\| `WHATSAPP_[^|]*\| (.*?) \| .* \|$", page, re.MULTILINE)
    meanings = [meaning for meaning in rows if not meaning.startswith("See `")]
    assert len(rows) == len(VARIABLES)
    assert len(set(meanings)) == len(meanings)
    assert "No default." not in meanings


@pytest.mark.parametrize("guarantee", GUARANTEES)
def test_a_guarantee_names_its_tests(guarantee: str) -> None:
    (row,) = re.findall(rf"^\| {guarantee} \|.*$", PROOF.read_text(), re.MULTILINE)
    assert _NODE.search(row)


@pytest.mark.parametrize("part", PARTS)
def test_a_threat_names_its_tests_or_why_there_are_none(part: str) -> None:
    (section,) = re.findall(
        rf"^### {part}\n(.*?)(?=^##)", SECURITY.read_text() + "\n##", re.MULTILINE | re.DOTALL
    )
    _, _, *rows = re.findall(r"^\|.*\|$", section, re.MULTILINE)
    assert rows
    assert [row for row in rows if not (_NODE.search(row) or "Not tested: " in row)] == []
    assert "\nLeft to you: " in section


def test_every_part_of_the_threat_model_is_one_of_ours() -> None:
    model = SECURITY.read_text().partition("\n## Threat model\n")[2]
    assert re.findall(r"^### (.+)$", model, re.MULTILINE) == PARTS


@pages
def test_every_test_that_is_named_exists(page: Path) -> None:
    named = _NODE.findall(page.read_text())
    assert [node for node in named if node not in functions_in(node.partition("::")[0])] == []


@cache
def functions_in(path: str) -> set[str]:
    """Return the ids of the tests in the file at *path*, without parameters."""
    found = set()
    for node in ast.parse((ROOT / path).read_text()).body:
        inner = node.body if isinstance(node, ast.ClassDef) else [node]
        prefix = f"{path}::{node.name}" if isinstance(node, ast.ClassDef) else path
        for function in inner:
            if isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef):
                found.add(f"{prefix}::{function.name}")
    return found


@pages
def test_every_command_that_is_shown_exists(page: Path) -> None:
    shown = _COMMAND.findall("\n".join(code_of(page)))
    assert [words for words in shown if not is_command(words.split())] == []


@pages
def test_every_command_that_is_shown_takes_the_words_that_it_is_given(page: Path) -> None:
    lines = re.findall(
        r"^(?:[^#\n]*?[\s/])??wagateway (.+?)(?: #.*)?$", shell_of(page), re.MULTILINE
    )
    assert [line for line in lines if not is_taken(line)] == []


def is_taken(line: str) -> bool:
    """Tell whether the program takes the words of *line*, which follow its own name."""
    ends_quote = line.count("'") % 2 == 1  # of sh -c '…'
    name, *words = shlex.split(line.removesuffix("'") if ends_quote else line)
    command: click.Command = program.commands[name]
    if isinstance(command, click.Group) and words[0] in command.commands:
        command = command.commands[words.pop(0)]
    # A phone that is not quoted would be four words. Commands keep the options for help that
    # they have in their first context, so it must be one as in earnest.
    names = program.context_settings["help_option_names"]
    above = click.Context(program, help_option_names=names)
    try:
        command.make_context(name, words, parent=above)
    except click.UsageError:
        return False
    return True


@pages
def test_every_script_that_is_shown_exists_and_has_the_options_that_it_is_given(page: Path) -> None:
    lines = re.findall(r"^(?:\w+=\S+ )?scripts/(\S+)(.*?)(?: #.*)?$", shell_of(page), re.MULTILINE)
    for name, words in lines:
        script = (ROOT / "scripts" / name).read_text()
        for module in re.findall(r"-m (tests\.[\w.]+)", script):
            script += (ROOT / f"{module.replace('.', '/')}.py").read_text()
        assert [word for word in re.findall(r"--[\w-]+", words) if word not in script] == []


def shell_of(page: Path) -> str:
    return "\n".join(shell_blocks_of(page)).replace("\\\n", " ")


def shell_blocks_of(page: Path) -> list[str]:
    return re.findall(r"```sh\n(.*?)```", page.read_text(), re.DOTALL)


def code_of(page: Path) -> list[str]:
    """Return what *page* shows as code, in blocks and in lines."""
    text = page.read_text()
    return [
        *shell_blocks_of(page),
        *re.findall(r"`wagateway[^`\n]*`", text),
    ]


def is_command(words: list[str]) -> bool:
    found = program.commands.get(words[0])
    if words[0].startswith("--"):
        return any(words[0] in option.opts for option in program.params)
    if isinstance(found, click.RichGroup) and len(words) > 1:
        return words[1] in found.commands or found.invoke_without_command
    return found is not None


@pages
def test_every_setting_that_is_named_exists(page: Path) -> None:
    named = {name.removesuffix("_FILE") for name in _VARIABLE.findall(page.read_text())}
    ours = {name for name in named if not _OF_WAHA.match(name)}
    stack = set(_VARIABLE.findall((ROOT / "compose" / "env.example").read_text()))
    assert ours - set(VARIABLES) - stack <= {"WHATSAPP_"}


def test_the_exit_codes_are_those_of_the_program() -> None:
    page = (ROOT / "docs" / "OPERATING.md").read_text()
    table = re.findall(r"^\| (\d+) \| (.+) \|$", page, re.MULTILINE)
    assert [int(code) for code, _ in table] == list(ExitCode)
    plain = [meaning.replace("`", "").split(";")[0] for _, meaning in table]
    assert plain == [meaning.split(";")[0] for meaning in MEANINGS.values()]
