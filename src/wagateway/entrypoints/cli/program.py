"""The program ``wagateway``: its commands, and how they end."""

import sys

import rich_click as click
from typing_extensions import override

from wagateway.entrypoints.cli.commands_serving import api, demo, up
from wagateway.entrypoints.cli.commands_upkeep import doctor, identity, migrate, replay
from wagateway.entrypoints.cli.endings import MEANINGS, ExitCode, clear_endings
from wagateway.entrypoints.cli.version import show_version, version

# An empty line between the lines: each would join the one before otherwise.
_EPILOG = "\n\n".join(
    ["Exit codes:", *(f"{code.value:<4}{meaning}" for code, meaning in MEANINGS.items())]
)
_LOOK = click.RichHelpConfiguration(
    text_paragraph_linebreaks="\n\n",
    options_table_column_types=["opt_long_metavar", "help"],
    options_table_help_sections=["help", "required", "default"],
    commands_before_options=True,
    style_commands_table_column_width_ratio=(None, None),
)


class _Program(click.RichGroup):
    """A group whose commands end with a clear message instead of a traceback."""

    @override
    def invoke(self, ctx: click.Context) -> object:
        with clear_endings(debug=ctx.params["debug"]):
            return super().invoke(ctx)


@click.group(
    "wagateway",
    cls=_Program,
    epilog=_EPILOG,
    context_settings={"help_option_names": ["-h", "--help"]},
)
@click.rich_config(help_config=_LOOK)
@click.option("--debug", is_flag=True, help="Show the traceback of an error.")
@click.option(
    "--version",
    is_flag=True,
    is_eager=True,
    expose_value=False,
    callback=show_version,
    help="Show the version and exit.",
)
def program(*, debug: bool) -> None:  # noqa: ARG001 - read from the context when a command fails
    """A durable, provably complete WhatsApp archive that stands beside WAHA.

    \b
    Look at it, without a phone:   wagateway demo
    Archive your own WhatsApp:     wagateway up
    Find out what is wrong:        wagateway doctor

    Settings come from the environment and a file .env in the current folder. Without
    WHATSAPP_DATABASE_URL, commands work on the embedded PostgreSQL of the data folder, also while
    `wagateway up` is running on it.
    """  # noqa: D301 - \b keeps click from re-wrapping


for _command in (up, demo, doctor, api, migrate, replay, identity, version):
    program.add_command(_command)


def main() -> None:
    """Run the program and exit."""
    try:
        program.main(prog_name="wagateway", standalone_mode=True)
    except KeyboardInterrupt:  # outside of click's reach, for instance while it exits
        sys.exit(ExitCode.INTERRUPTED)
