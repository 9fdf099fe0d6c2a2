"""The program ``wagateway``: its commands, and how they end."""

import sys

import rich_click as click

from wagateway.entrypoints.cli.commands_backup import backup, restore
from wagateway.entrypoints.cli.commands_connecting import database_url, live, psql, waha_env
from wagateway.entrypoints.cli.commands_media import media
from wagateway.entrypoints.cli.commands_purging import purge
from wagateway.entrypoints.cli.commands_serving import api, demo, up
from wagateway.entrypoints.cli.commands_simulating import simulate
from wagateway.entrypoints.cli.commands_syncing import coverage, sync, worker
from wagateway.entrypoints.cli.commands_upkeep import (
    doctor,
    identity,
    migrate,
    replay,
    spool,
    stack_env,
)
from wagateway.entrypoints.cli.endings import MEANINGS, ExitCode
from wagateway.entrypoints.cli.version import show_version, version

# An empty line between the lines: each would join the one before otherwise.
_EPILOG = "\n\n".join(
    ["Exit codes:", *(f"{code.value:<4}{meaning}" for code, meaning in MEANINGS.items())]
)
_LOOK = click.RichHelpConfiguration(
    text_paragraph_linebreaks="\n\n",
    padding_helptext_first_line=(0, 0, 1, 0),
    options_table_column_types=["opt_long_metavar", "help"],
    options_table_help_sections=["help", "required", "default"],
    commands_before_options=True,
    style_commands_table_column_width_ratio=(None, None),
)


@click.group(
    "wagateway",
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
def program(**_: object) -> None:
    """A durable WhatsApp archive without twins, which stands beside WAHA.

    Settings come from the environment and a file .env in the current folder. Without
    WHATSAPP_DATABASE_URL, commands work on the embedded PostgreSQL of the data folder, also while
    `wagateway up` is running on it.

    \b
    Look at it, without a phone:   wagateway demo
    Archive your own WhatsApp:     wagateway up
    Find out what is wrong:        wagateway doctor
    Read it in SQL:                wagateway psql
    """  # noqa: D301 - \b keeps click from re-wrapping


for _command in (
    *(up, demo, doctor, waha_env, psql, database_url),
    *(sync, coverage, worker, media, live),
    *(backup, restore),
    *(api, migrate, replay, purge, spool, identity, simulate, stack_env, version),
):
    program.add_command(_command)


def main() -> None:
    """Run the program and exit."""
    try:
        program.main(prog_name="wagateway", standalone_mode=True)
    except KeyboardInterrupt:  # outside of click's reach, for instance while it exits
        sys.exit(ExitCode.INTERRUPTED)
