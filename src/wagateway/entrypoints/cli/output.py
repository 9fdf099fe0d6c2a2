"""What commands print: results on stdout for people or as JSON for scripts, the rest on stderr."""

import sys

import msgspec
import rich_click as click

json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON, for scripts.")


def echo_json(value: object) -> None:
    """Print *value* as one line of JSON on stdout."""
    click.echo(msgspec.json.encode(value).decode())


def note(text: str) -> None:
    """Tell people something that is not the result, on stderr."""
    click.echo(text, err=True)


def counted(number: int, name: str, plural: str | None = None) -> str:
    """Return *number* with *name* as it is said of so many."""
    return f"{number:,} {name if number == 1 else plural or name + 's'}"


def on_terminal() -> bool:
    """Return whether stdout is a terminal that can be redrawn."""
    return sys.stdout.isatty()
