"""``wagateway identity``: who is who."""

import asyncio

import rich_click as click

from wagateway.domain.errors import InvalidInput
from wagateway.domain.identity import Jid, SessionName, chat_candidates, is_lid, is_phone
from wagateway.domain.views import LinkView
from wagateway.entrypoints.cli.options import Place
from wagateway.entrypoints.cli.output import echo_json
from wagateway.entrypoints.cli.place import archive_at


def run_list(place: Place, session: str, *, as_json: bool) -> None:
    """Print the links of *session*, undone ones too.

    Raises:
        NotFound: no such session.
    """
    links = asyncio.run(_links(place, SessionName(session)))
    if as_json:
        echo_json(links)
        return
    for link in links:
        state = f"undone {link.rejected_at:%Y-%m-%d}" if link.rejected_at else "in force"
        since = f"{link.first_seen_at:%Y-%m-%d}"
        click.echo(f"{link.lid:<28}{link.phone:<24}{link.evidence:<16}{since}  {state}")
    if not links:
        click.echo(f"No links are known in session {session!r}.")


def run_link(place: Place, session: str, lid: str, phone: str, *, as_json: bool) -> None:
    """Link *lid* and *phone*, and print how many messages moved.

    Raises:
        InvalidInput: *lid* is no LID or *phone* no phone number.
        NotFound: no such session.
    """
    pair = _lid(lid), _phone(phone)
    moved = asyncio.run(_link(place, SessionName(session), *pair))
    if as_json:
        echo_json({"lid": pair[0], "phone": pair[1], "moved": moved})
    else:
        click.echo(f"{pair[0]} is {pair[1]}: {moved} messages moved.")


def run_unlink(place: Place, session: str, lid: str, *, as_json: bool) -> None:
    """Undo the link of *lid*, and print how many messages moved.

    Raises:
        InvalidInput: *lid* is no LID.
        NotFound: no such session, or no link of it is in force.
    """
    hidden = _lid(lid)
    moved = asyncio.run(_unlink(place, SessionName(session), hidden))
    if as_json:
        echo_json({"lid": hidden, "moved": moved})
    else:
        click.echo(f"{hidden} is somebody of their own: {moved} messages moved.")


async def _links(place: Place, session: SessionName) -> list[LinkView]:
    async with archive_at(place) as services:
        return await services.reader.links(session)


async def _link(place: Place, session: SessionName, lid: Jid, phone: Jid) -> int:
    async with archive_at(place) as services:
        return await services.link(session, lid, phone)


async def _unlink(place: Place, session: SessionName, lid: Jid) -> int:
    async with archive_at(place) as services:
        return await services.unlink(session, lid)


def _lid(text: str) -> Jid:
    address = text if "@" in text else f"{text}@lid"
    if not is_lid(address):
        raise InvalidInput(f"{text!r} is no LID: write digits and @lid.")
    return Jid(address)


def _phone(text: str) -> Jid:
    found = next((jid for jid in chat_candidates(text) if is_phone(jid)), None)
    if found is None:
        raise InvalidInput(f"{text!r} is no phone number: write +55 11 98765-0102 or …@c.us.")
    return found
