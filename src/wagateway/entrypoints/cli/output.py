"""What commands print: results on stdout for people or as JSON for scripts, the rest on stderr."""

import sys

import msgspec
import rich_click as click

_KILO = 1000

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


def sized(size_bytes: int) -> str:
    """Return a size for people, such as ``1.4 MB``."""
    size = float(size_bytes)
    for unit in ("bytes", "KB", "MB", "GB"):
        if abs(size) < _KILO:
            return f"{size:,.0f} {unit}" if unit == "bytes" else f"{size:,.1f} {unit}"
        size /= _KILO
    return f"{size:,.1f} TB"
