"""How a command ends: exit codes, and errors as one clear message on stderr."""

import errno
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from enum import IntEnum
from typing import IO, Any

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
    ExitCode.OK: "done; up, api and demo also after Ctrl-C or SIGTERM",
    ExitCode.FAILED: "refused or not found, or doctor found something broken",
    ExitCode.USAGE: "an option, an argument or a setting is wrong",
    ExitCode.UNAVAILABLE: "the database or the disk is not available; repeat later",
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


class Failure(click.ClickException):
    """The end of a command, with a message for people."""

    def __init__(self, message: str, code: ExitCode) -> None:
        super().__init__(message)
        self.exit_code = code

    @override
    def show(self, file: IO[Any] | None = None) -> None:
        click.echo(f"wagateway: {self.format_message()}", file=file, err=file is None)


def exit_code_of(error: WagatewayError) -> ExitCode:
    """Return the exit code of *error*'s branch of the error tree."""
    return next((code for branch, code in _BRANCHES if isinstance(error, branch)), ExitCode.DEFECT)


@contextmanager
def clear_endings(*, debug: bool) -> Iterator[None]:
    """Turn whatever a command raises into a Failure; *debug* shows the traceback as well.

    Raises:
        Failure: with the exit code that scripts see.
    """
    try:
        yield
    except (click.ClickException, click.exceptions.Exit, click.Abort):
        raise
    except WagatewayError as exc:
        _show_traceback(debug=debug)
        raise Failure(str(exc), exit_code_of(exc)) from exc
    except Exception as exc:
        if isinstance(exc, OSError) and exc.errno == errno.EPIPE:
            raise  # the reader of our output went away, as in `wagateway … | head`: no failure
        _show_traceback(debug=debug)
        raise Failure(_unexpected(exc), ExitCode.DEFECT) from exc


def _show_traceback(*, debug: bool) -> None:
    if debug:
        click.echo(traceback.format_exc(), err=True, nl=False)


def _unexpected(exc: Exception) -> str:
    # Its text may quote data, such as a message or an address with its password: the type must do.
    return (
        f"unexpected {type(exc).__name__}. "
        "This is a bug of wagateway: `wagateway --debug …` shows where it happened."
    )
