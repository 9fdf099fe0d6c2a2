"""``wagateway identity``: who is who."""

import asyncio

import rich_click as click
from msgspec import Struct

from wagateway.domain.identity import Jid, jid, resolve_links
from wagateway.domain.views import LinkView
from wagateway.entrypoints.cli.options import Place
from wagateway.entrypoints.cli.output import echo_json
from wagateway.entrypoints.cli.place import archive_of, settings_at
from wagateway.entrypoints.gateway import Gateway
from wagateway.entrypoints.settings import Settings
from wagateway.entrypoints.zones import shown


class Changed(Struct, frozen=True, kw_only=True):
    """What a change did; phones are None where the hidden id is taken for nobody else.

    Attributes:
        moved: messages that are in another chat now.
        before: the phone that the hidden id was taken for until now.
        now: the phone that it is taken for from now on.
    """

    moved: int
    before: Jid | None
    now: Jid | None


def run_list(place: Place, session: str, *, as_json: bool) -> None:
    """Print the links of *session*, undone ones too.

    Raises:
        NotFound: no such session.
    """
    settings = settings_at(place)
    links = asyncio.run(_links(settings, session))
    if as_json:
        echo_json(links)
    elif not links:
        click.echo(f"No links are known in session {session}.")
    else:
        in_force = resolve_links(links)
        for link in links:
            click.echo(_line(link, in_force.get(link.lid), settings.timezone))


def run_link(place: Place, session: str, lid: str, phone: str, *, as_json: bool) -> None:
    """Link *lid* and *phone*, and print how many messages moved.

    Raises:
        InvalidInput: *lid* is no LID or *phone* no phone number.
        NotFound: no such session.
    """
    done = asyncio.run(_link(settings_at(place), session, lid, phone))
    if as_json:
        echo_json(done)
        return
    text = f"{lid} is {_person(done.now)} now"
    if done.before is not None and done.before != done.now:
        text += f", and no longer {_person(done.before)}"
    click.echo(f"{text}; messages that moved: {done.moved}")


def run_unlink(place: Place, session: str, lid: str, *, as_json: bool) -> None:
    """Undo the link of *lid*, and print how many messages moved.

    Raises:
        InvalidInput: *lid* is no LID.
        NotFound: no such session, or no link of it is in force.
    """
    done = asyncio.run(_unlink(settings_at(place), session, lid))
    if as_json:
        echo_json(done)
        return
    text = f"{lid} is no longer {_person(done.before)}"
    if done.now is None:
        text += ", but somebody of their own"
    else:  # what was learned before the undone link counts once more
        text += f", but {_person(done.now)} again"
    click.echo(f"{text}; messages that moved: {done.moved}")


async def _links(settings: Settings, session: str) -> list[LinkView]:
    async with archive_of(settings) as services:
        return await Gateway(services).links(session)


async def _link(settings: Settings, session: str, lid: str, phone: str) -> Changed:
    async with archive_of(settings) as services:
        gateway = Gateway(services)
        before = await _phone(gateway, session, lid)
        moved = await gateway.link(session, lid, phone)
        return Changed(moved=moved, before=before, now=await _phone(gateway, session, lid))


async def _unlink(settings: Settings, session: str, lid: str) -> Changed:
    async with archive_of(settings) as services:
        gateway = Gateway(services)
        before = await _phone(gateway, session, lid)
        moved = await gateway.unlink(session, lid)
        return Changed(moved=moved, before=before, now=await _phone(gateway, session, lid))


async def _phone(gateway: Gateway, session: str, lid: str) -> Jid | None:
    return resolve_links(await gateway.links(session)).get(jid(lid))


def _person(phone: Jid | None) -> str:
    return "nobody" if phone is None else phone.partition("@")[0]


def _line(link: LinkView, in_force: Jid | None, timezone: str) -> str:
    if link.rejected_at is not None:
        state = f"undone {shown(link.rejected_at, timezone)}"
    else:
        state = "in force" if link.phone == in_force else "replaced by a later one"
    seen = shown(link.first_seen_at, timezone)
    return f"{link.lid:<28}{link.phone:<24}{link.evidence.value:<14}{seen}  {state}"
