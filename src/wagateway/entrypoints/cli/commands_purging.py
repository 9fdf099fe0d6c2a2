"""The command that lets messages go for good: purge.

Only its options and help: what it does is imported when it runs, so that help is quick.
"""
# ruff: noqa: PLC0415 - see above

from datetime import datetime, timedelta
from pathlib import Path

import rich_click as click
from typing_extensions import override

from wagateway.entrypoints.cli.endings import Command
from wagateway.entrypoints.cli.options import (
    Instant,
    Place,
    data_dir_option,
    database_url_option,
)
from wagateway.entrypoints.cli.output import json_option

_UNITS = {"h": timedelta(hours=1), "d": timedelta(days=1), "w": timedelta(weeks=1)}
_MOST_DAYS = 36_500
_MOST = 24 * _MOST_DAYS + 1


class Age(click.ParamType[timedelta]):
    """How old something is: a whole number of hours, days or weeks."""

    name = "age"

    @override
    def convert(
        self, value: str | timedelta, param: click.Parameter | None, ctx: click.Context | None
    ) -> timedelta:
        if isinstance(value, timedelta):
            return value
        number, unit = value.strip()[:-1], value.strip()[-1:]
        is_age = number.isascii() and number.isdigit() and unit in _UNITS
        age = min(int(number[:9]), _MOST) * _UNITS[unit] if is_age else None
        if age is None or age > timedelta(days=_MOST_DAYS):
            self.fail(
                f"{value[:80]!r} is no age; write 365d, 52w or 12h, up to {_MOST_DAYS} days.",
                param,
                ctx,
            )
        return age


@click.command(cls=Command)
@click.argument("session")
@click.option("--chat", metavar="CHAT", help="Only of this chat: a JID, a LID or a phone number.")
@click.option(
    "--account",
    metavar="ACCOUNT",
    help="Only of this account, where the session had several: a JID or a phone number.",
)
@click.option(
    "--before",
    metavar="TIME",
    type=Instant(),
    help="Only what was sent before this: 2026-10-01, '2026-10-01 18:30' (a clock of WHATSAPP_TZ, "
    "which is UTC unless set) or 2026-10-01T18:30:00-03:00. Default: now",
)
@click.option(
    "--older-than",
    metavar="AGE",
    type=Age(),
    help="Only what is older than this: 365d, 52w or 12h.",
)
@click.option("--reason", metavar="TEXT", help="Why; it is kept in the table purges.")
@click.option("--dry-run", is_flag=True, help="Only count what would go.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@data_dir_option
@database_url_option
@json_option
def purge(  # noqa: PLR0913 - its options
    *,
    session: str,
    chat: str | None,
    account: str | None,
    before: datetime | None,
    older_than: timedelta | None,
    reason: str | None,
    dry_run: bool,
    yes: bool,
    data_dir: Path | None,
    database_url: str | None,
    as_json: bool,
) -> None:
    """Remove messages of SESSION for good, with all that is about them.

    Texts, edits, reactions, receipts, votes, deletions and files go, and do not come back with the
    next sync, which reads no further than that; what is sent from now on is archived as ever. What
    stays is that each message was there: its id, its time, who wrote it. Names of people and chats
    stay, too. A stored file goes within two hours of a running worker, once no message has it.

    The raw log goes as well, what was received before that time, unless --chat or --account is
    given: its rows do not tell which chat they are of. After a purge of a chat, `wagateway replay
    --session SESSION` reads them all, and removes those that tell of nothing else.

    It asks first, unless --yes is given, and says how far it is. It may run beside the gateway, and
    be broken off: the worker ends it, or the same command again.

    \b
    Examples:
      wagateway purge default --older-than 365d --dry-run
      wagateway purge default --chat +5511987650102 --reason 'asked for it'
      wagateway purge default --before 2025-01-01 --yes --json
    """  # noqa: D301 - \b keeps click from re-wrapping
    from wagateway.entrypoints.cli.purge import Meant, run_purge

    if before is not None and older_than is not None:
        raise click.UsageError("give --before or --older-than, not both")
    place = Place(data_dir=data_dir, database_url=database_url)
    meant = Meant(
        session=session,
        chat=chat,
        account=account,
        before=before,
        older_than=older_than,
        reason=reason,
    )
    run_purge(place, meant, dry_run=dry_run, yes=yes, as_json=as_json)
