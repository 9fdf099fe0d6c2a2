"""Prints what scripts/mutation found so far, as a Markdown table and a list of the survivors."""

import json
from collections import Counter
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
COLUMNS = ("killed", "survived", "no tests", "timeout", "other", "not run")
WORDS = {0: "survived", 1: "killed", 3: "killed", 5: "no tests", 33: "no tests", None: "not run"}
TIMEOUTS = {24, -24, 36, 152, 255}
"""The exit codes that mutmut counts as a timeout."""


def main() -> None:
    """Print it."""
    metas = sorted((ROOT / "mutants" / "src" / "wagateway" / "domain").glob("*.meta"))
    found = {meta.name.split(".")[0]: codes(meta) for meta in metas}
    print(f"| module | mutants | {' | '.join(COLUMNS)} |")
    print("|---|" + "---:|" * (len(COLUMNS) + 1))
    rows = {name: Counter(map(word, of_name.values())) for name, of_name in found.items()}
    for name, row in rows.items():
        if row:
            print(line(name, row))
    print(line("all", sum(rows.values(), Counter())))
    for of_name in found.values():
        for mutant, code in of_name.items():
            if word(code) not in {"killed", "timeout"}:
                print(f"{word(code)}: {mutant}")


def codes(meta: Path) -> dict[str, int | None]:
    """Return how the tests ended for each mutant."""
    known: dict[str, int | None] = json.loads(meta.read_text())["exit_code_by_key"]
    return known


def word(code: int | None) -> str:
    """Return the column of an exit code."""
    return "timeout" if code in TIMEOUTS else WORDS.get(code, "other")


def line(name: str, row: Counter[str]) -> str:
    """Return one line of the table."""
    return f"| {name} | {row.total()} | {' | '.join(str(row[key]) for key in COLUMNS)} |"


if __name__ == "__main__":
    main()
