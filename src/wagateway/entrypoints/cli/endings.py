"""How a command ends: exit codes, and errors as one clear message on stderr."""

import errno
import traceback
from enum import IntEnum

import rich_click as click
from typing_extensions import override

from wagateway.domain.errors import Conflict, InvalidInput, Rejected, Unavailable, WagatewayError


class ExitCode(IntEnum):
    """What a script may rely on; `MEANINGS` says it in words."""

    OK = 0
    FAILED = 1
    USAGE = 2
    UNAVAILABLE = 3
    CONFLICT = 4
    DEFECT = 70
    INTERRUPTED = 130


MEANINGS: dict[ExitCode, str] = {
    ExitCode.OK: "done; up, api, live and demo also after Ctrl-C or SIGTERM",
    ExitCode.FAILED: "refused or not found, or doctor or simulate check found something wrong; "
    "simulate also when deliveries were given up, sync when something was not read, media verify "
    "and export, backup and backup verify when a file is not as it should be",
    ExitCode.USAGE: "an option, an argument or a setting is wrong",
    ExitCode.UNAVAILABLE: "the database, disk or API is not available; the message says what to do",
    ExitCode.CONFLICT: "a port or data folder is in use, or a database does not fit",
    ExitCode.DEFECT: "a bug of wagateway; run again with --debug and report it",
    ExitCode.INTERRUPTED: "interrupted before the end, by Ctrl-C",
}

_BRANCHES: tuple[tuple[type[WagatewayError], ExitCode], ...] = (
    (InvalidInput, ExitCode.USAGE),
    (Conflict, ExitCode.CONFLICT),
    (Rejected, ExitCode.FAILED),
    (Unavailable, ExitCode.UNAVAILABLE),
)

_Exit: type[BaseException] = click.exceptions.Exit  # type: ignore[attr-defined]  # mypy misses it
_SERVER = {"litestar", "uvicorn"}
_NO_SERVER = "this command needs the HTTP server: pip install 'wagateway[server]'."


class _Ending(click.Command):
    """Returns how it ended, and its errors are messages instead of tracebacks."""

    @override
    def invoke(self, ctx: click.Context) -> None:
        debug = bool(ctx.find_root().params.get("debug"))
        try:
            code = super().invoke(ctx)
        except (click.ClickException, click.Abort, _Exit):
            raise
        except BaseException as exc:  # noqa: BLE001 - KeyboardInterrupt too, and those it passes on
            code = _told(exc, debug=debug)
        ctx.exit(code or ExitCode.OK)


class Command(_Ending, click.RichCommand):
    """A command that returns how it ended, and whose errors are messages instead of tracebacks."""


class Group(_Ending, click.RichGroup):  # type: ignore[misc]  # within rich-click
    """A command with commands of its own, which does something by itself as well."""


def exit_code_of(error: WagatewayError) -> ExitCode:
    """Return the exit code of *error*'s branch of the error tree."""
    return next((code for branch, code in _BRANCHES if isinstance(error, branch)), ExitCode.DEFECT)


def _told(exc: BaseException, *, debug: bool) -> ExitCode:
    """Tell on stderr what ended a command, and return its exit code; pass on what is no failure."""
    if isinstance(exc, KeyboardInterrupt):
        message, code = "interrupted.", ExitCode.INTERRUPTED
    elif isinstance(exc, WagatewayError):
        message, code = str(exc), exit_code_of(exc)
    elif isinstance(exc, ModuleNotFoundError) and (exc.name or "").partition(".")[0] in _SERVER:
        message, code = _NO_SERVER, ExitCode.FAILED
    elif isinstance(exc, Exception) and not _reader_left(exc):
        message, code = _unexpected(exc), ExitCode.DEFECT
    else:
        raise exc
    if debug:
        click.echo("".join(traceback.format_exception(exc)), err=True, nl=False)
    click.echo(f"wagateway: {message}", err=True)
    return code


def _reader_left(exc: Exception) -> bool:
    """Tell whether who reads our output went away, as in ``wagateway … | head``."""
    return isinstance(exc, OSError) and exc.errno == errno.EPIPE


def _unexpected(exc: Exception) -> str:
    # Its text may quote data, such as a message or an address with its password: the type must do.
    return (
        f"unexpected {type(exc).__name__}. "
        "This is a bug of wagateway: `wagateway --debug …` shows where it happened."
    )
