"""``wagateway stack-env``: what is missing, weak or wrong in the .env of the compose stack."""

import rich_click as click

from wagateway.entrypoints.cli.endings import ExitCode
from wagateway.entrypoints.cli.output import echo_json, note
from wagateway.entrypoints.stack_env import examine_stack_env


def run_stack_env(text: str, *, as_json: bool) -> ExitCode:
    """Print everything that was found in *text*; USAGE where something must be mended."""
    found = examine_stack_env(text)
    if as_json:
        echo_json(found)
    else:
        for name, what in sorted(found.problems.items()):
            click.echo(
                f"  {name} {what}" if what.startswith(("is ", "has ")) else f"  {name}: {what}"
            )
        for name, what in sorted(found.advice.items()):
            note(f"Note: {name} {what}.")
    return ExitCode.USAGE if found.problems else ExitCode.OK
