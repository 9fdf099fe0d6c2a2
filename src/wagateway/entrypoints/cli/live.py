"""``wagateway live``: what changes in the archive, as it changes."""

import sys
from collections.abc import Iterator

import rich_click as click
from msgspec import Struct

from wagateway.domain.errors import Defect
from wagateway.domain.feed import ChangeKind, kinds_named
from wagateway.domain.views import ChangeView
from wagateway.entrypoints.cli.options import Place
from wagateway.entrypoints.cli.output import echo_json, note
from wagateway.entrypoints.cli.place import archive_of, settings_at
from wagateway.entrypoints.gateway import Gateway
from wagateway.entrypoints.serve import run_until_stopped
from wagateway.entrypoints.settings import Settings
from wagateway.entrypoints.zones import shown, zone

_SHOWN = 80
"""Characters of a text; a line is to stay a line."""


class Selection(Struct, frozen=True, kw_only=True):
    """What the command line asks for."""

    session: str | None
    chat: str | None
    kinds: str | None
    after: str | None


def run_live(place: Place, which: Selection, *, as_json: bool) -> None:
    """Print changes until stopped.

    Raises:
        InvalidInput: the chat, the kinds or the position cannot be read.
        NotFound: no such session, or there is no archive.
        Unavailable: the database does not answer at the beginning; later on it is waited for.
        Defect: of ours.
    """
    run_until_stopped(_live(settings_at(place), which, as_json=as_json))


async def _live(settings: Settings, which: Selection, *, as_json: bool) -> None:
    async with archive_of(settings) as services:
        gateway = Gateway(services)
        changes = gateway.changes(
            session=which.session,
            chat=which.chat,
            kinds=kinds_named((which.kinds or "").split(",")),
            after=which.after,
        )
        note("Waiting for changes; Ctrl-C ends it.")
        async for change in changes:
            if as_json:
                echo_json(change)
            else:
                click.echo(line(change, settings.timezone))
            sys.stdout.flush()
    raise Defect("the feed broke off; what broke was logged")


def line(change: ChangeView, timezone: str) -> str:
    """Return *change* as a line for people of *timezone*."""
    return "  ".join(part for part in _parts(change, timezone) if part)


def _parts(change: ChangeView, timezone: str) -> Iterator[str]:
    yield f"{change.at.astimezone(zone(timezone)):%Y-%m-%d %H:%M:%S}"
    yield f"{change.kind:<10}"
    if change.kind is ChangeKind.RESET:
        yield "what came before this is not kept any more"
    yield change.session or ""
    yield f"{change.was} is now {change.chat_id}" if change.was else change.chat_id or ""
    if change.before is not None:
        where = "" if change.chat_id else "all chats, "
        yield f"{where}sent before {shown(change.before, timezone)}"
    yield change.id or ""
    yield change.ack or change.status or ""
    yield f"by {change.by}" if change.by else ""
    yield _said(change)


def _said(change: ChangeView) -> str:
    message = change.message
    if message is None or change.kind not in {ChangeKind.MESSAGE, ChangeKind.EDIT}:
        return ""
    who = "me" if message.from_me else message.sender_name or message.sender_id or "somebody"
    text = message.text or f"[{message.kind}]"
    shown = text if len(text) <= _SHOWN else text[: _SHOWN - 1] + "…"
    return "".join(c if c.isprintable() else " " for c in f"{who}: {shown}")
