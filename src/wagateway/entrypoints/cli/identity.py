"""``wagateway identity``: who is who."""

import asyncio

import rich_click as click

from wagateway.domain.views import LinkView
from wagateway.entrypoints.cli.options import Place
from wagateway.entrypoints.cli.output import echo_json
from wagateway.entrypoints.cli.place import archive_at
from wagateway.entrypoints.gateway import Gateway


def run_list(place: Place, session: str, *, as_json: bool) -> None:
    """Print the links of *session*, undone ones too.

    Raises:
        NotFound: no such session.
    """
    links = asyncio.run(_links(place, session))
    if as_json:
        echo_json(links)
    elif not links:
        click.echo(f"No links are known in session {session}.")
    else:
        click.echo("\n".join(map(_line, links)))


def run_link(place: Place, session: str, lid: str, phone: str, *, as_json: bool) -> None:
    """Link *lid* and *phone*, and print how many messages moved.

    Raises:
        InvalidInput: *lid* is no LID or *phone* no phone number.
        NotFound: no such session.
    """
    moved = asyncio.run(_link(place, session, lid, phone))
    if as_json:
        echo_json({"moved": moved})
    else:
        click.echo(f"{lid} is {phone} now; messages that moved: {moved}")


def run_unlink(place: Place, session: str, lid: str, *, as_json: bool) -> None:
    """Undo the link of *lid*, and print how many messages moved.

    Raises:
        InvalidInput: *lid* is no LID.
        NotFound: no such session, or no link of it is in force.
    """
    moved = asyncio.run(_unlink(place, session, lid))
    if as_json:
        echo_json({"moved": moved})
    else:
        click.echo(f"{lid} is somebody of their own now; messages that moved: {moved}")


async def _links(place: Place, session: str) -> list[LinkView]:
    async with archive_at(place) as services:
        return await Gateway(services).links(session)


async def _link(place: Place, session: str, lid: str, phone: str) -> int:
    async with archive_at(place) as services:
        return await Gateway(services).link(session, lid, phone)


async def _unlink(place: Place, session: str, lid: str) -> int:
    async with archive_at(place) as services:
        return await Gateway(services).unlink(session, lid)


def _line(link: LinkView) -> str:
    state = f"undone {link.rejected_at:%Y-%m-%d}" if link.rejected_at else "in force"
    seen = f"{link.first_seen_at:%Y-%m-%d}"
    return f"{link.lid:<28}{link.phone:<24}{link.evidence.value:<14}{seen}  {state}"
