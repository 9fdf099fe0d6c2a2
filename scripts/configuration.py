"""Writes docs/CONFIGURATION.md from the settings.

    .venv/bin/python scripts/configuration.py

What a variable accepts and whether it is secret is told by the module of the variables, its meaning
and default by .env.example, whose defaults a test compares with the settings.
"""

import re
from pathlib import Path
from typing import NamedTuple

from wagateway.entrypoints.variables import VARIABLES

ROOT = Path(__file__).resolve().parents[1]
EXAMPLE = ROOT / ".env.example"
PAGE = ROOT / "docs" / "CONFIGURATION.md"

_HEADING = re.compile(r"# ── (.+?) ─+")
_LINE = re.compile(r"# (WHATSAPP_\w+)=(.*)")

INTRODUCTION = """# Configuration

Every setting, in the order of [.env.example](../.env.example). `scripts/configuration.py` writes
this page.

- The environment wins over a file `.env` in the folder where wagateway starts; options of the
  command line win over both.
- `${NAME}` in a value stands for that variable. A setting that is empty counts as absent.
- Any of them may come from a file, for instance a Docker secret: `NAME_FILE=/path` in place of
  `NAME`.
- All that is wrong is told at once, each with its name, what was given (never a secret) and what is
  accepted. Names that look like misspelt ones of these are warned of; others are left alone.
"""


class Described(NamedTuple):
    """A variable as the example shows it.

    Attributes:
        value: its default, or an example.
        meaning: in words, with where the default comes from where it is not *value*.
    """

    section: str
    name: str
    value: str
    meaning: str


def described(text: str) -> list[Described]:
    """Return the variables of an example file, in its order."""
    found: list[Described] = []
    section, told = "", False
    meaning: list[str] = []
    for line in text.splitlines():
        if heading := _HEADING.fullmatch(line):
            section, meaning = heading[1], []
        elif assigned := _LINE.fullmatch(line):
            found.append(Described(section, assigned[1], assigned[2], " ".join(meaning)))
            told = True
        elif line.startswith("# "):
            meaning, told = ([], False) if told else (meaning, told)
            meaning.append(line[2:].strip())
        else:
            meaning, told = [], False
    return found


def page() -> str:
    """Return the page.

    Raises:
        KeyError: the example names a variable that there is not.
    """
    lines, section = [INTRODUCTION], ""
    first: dict[str, str] = {}  # of those that share a meaning
    for each in described(EXAMPLE.read_text("utf-8")):
        if each.section != section:
            section, first = each.section, {}
            lines += ["", f"## {section}", "", "| variable | meaning | accepted |", "|---|---|---|"]
        variable = VARIABLES[each.name]
        accepted = variable.kind.accepted + (" (a secret)" if variable.secret else "")
        shown = f"`{each.name}`" + (f"<br>`{each.value}`" if each.value else "")
        told = first.setdefault(each.meaning, each.name)
        meaning = each.meaning if told == each.name else f"See `{told}`."
        lines.append(f"| {shown} | {_cell(meaning)} | {_cell(accepted)} |")
    return "\n".join(lines).replace("\n\n\n", "\n\n") + "\n"


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("<", "&lt;")


if __name__ == "__main__":
    PAGE.write_text(page(), "utf-8")
