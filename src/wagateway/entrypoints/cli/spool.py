"""``wagateway spool``: what waits for the database, and taking over what another address left."""

import asyncio
from collections.abc import Iterator, Mapping

import rich_click as click
from msgspec import Struct

from wagateway.domain.errors import Conflict, NotFound, Rejected
from wagateway.entrypoints.cli.options import Place
from wagateway.entrypoints.cli.output import counted, echo_json, sized
from wagateway.entrypoints.cli.place import archive_name, require_archive, settings_at
from wagateway.entrypoints.folders import why_not_tried
from wagateway.entrypoints.settings import Settings
from wagateway.entrypoints.stores import (
    SpoolPlace,
    open_spool,
    other_spools,
    spool_name,
    spool_places,
)
from wagateway.entrypoints.zones import shown
from wagateway.ports.spool import Spool, SpoolDepth

_AT_ONCE = 100


class SpoolReport(Struct, frozen=True, kw_only=True):
    """What ``--json`` prints.

    Attributes:
        kind: ``filesystem``, ``redis`` or ``off``.
        name: of this database's spool; None where there is none.
        depth: of that.
        others: spools of other addresses or of another kind, in which something waits or was set
            aside, by ``kind:name``.
        adopted: entries that were taken over just now.
        put_back: entries that wait again since just now.
    """

    kind: str
    name: str | None
    depth: SpoolDepth
    others: Mapping[str, SpoolDepth]
    adopted: int = 0
    put_back: int = 0


def run_spool(place: Place, adopt: str | None, *, retry: bool, as_json: bool) -> None:
    """Print what waits; before that, take over what waits in the spool *adopt*.

    Where *retry* is set, what was set aside waits again first.

    Raises:
        NotFound: there is no archive, or no spool of that name.
        Conflict: another process has that one to itself.
        Rejected: there is no spool at all, or root would use one of somebody else.
        StoreUnavailable: the spool cannot be used.
    """
    settings = settings_at(place)
    require_archive(settings)
    if adopt is not None or retry:
        _require_owner(settings)
    found = asyncio.run(_looked(settings, adopt, retry=retry))
    if as_json:
        echo_json(found)
    else:
        click.echo("\n".join(lines(found, settings)))


def _require_owner(settings: Settings) -> None:
    """Refuse what would leave files of root's in a folder of somebody else."""
    folder = settings.spool_folder.expanduser()
    reason = why_not_tried(folder, maker="`wagateway up` or `api`")
    if reason is not None and folder.exists():
        raise Rejected(reason)


async def _looked(settings: Settings, adopt: str | None, *, retry: bool) -> SpoolReport:
    adopted = 0 if adopt is None else await _adopted(settings, adopt)
    async with open_spool(settings) as spool:
        if retry and spool is None:
            raise Rejected("there is no spool: WHATSAPP_SPOOL is off")
        put_back = 0 if spool is None or not retry else await spool.put_back()
        return SpoolReport(
            kind=settings.spool_kind,
            name=None if spool is None else spool_name(settings),
            depth=SpoolDepth() if spool is None else await spool.depth(),
            others={place.label: depth for place, depth in (await other_spools(settings)).items()},
            adopted=adopted,
            put_back=put_back,
        )


async def _adopted(settings: Settings, name: str) -> int:
    """Move all that waits in the spool *name* into ours, and return how many entries that were."""
    if settings.spool_kind == "off":
        raise Rejected("there is no spool: WHATSAPP_SPOOL is off")
    mine = SpoolPlace(settings.spool_kind, spool_name(settings))
    others = {each.label: each for each in await spool_places(settings) if each != mine}
    if name not in others:
        told = ", ".join(others) or "none"
        raise NotFound(f"no other spool is called {name!r}; there are: {told}")
    async with open_spool(settings, others[name]) as theirs, open_spool(settings) as ours:
        if theirs is None or ours is None:
            return 0
        return await _moved(theirs, ours)


async def _moved(theirs: Spool, ours: Spool) -> int:
    moved = 0
    seen: set[str] = set()
    while entries := await theirs.oldest(limit=_AT_ONCE, without=seen):
        for entry in entries:
            seen.add(entry.key)
            if entry.problem is not None:
                await theirs.set_aside(entry.key)
                continue
            await ours.put(entry.bodies)
            await theirs.let_go([entry.key])
            moved += 1
    if (await theirs.depth()).entries:
        raise Conflict("another process records what waits there: it runs with that address")
    return moved


def lines(found: SpoolReport, settings: Settings) -> Iterator[str]:
    """Yield what waits, in words."""
    if found.adopted:
        yield f"{counted(found.adopted, 'group')} of webhooks taken over."
    if found.put_back:
        groups = counted(found.put_back, "group")
        yield f"Waiting again, after being set aside: {groups} of webhooks."
    if found.name is None:
        yield "There is no spool: while the database is away, webhooks are refused."
    else:
        yield f"Spool of {archive_name(settings)}: {_told(found.depth, settings.timezone)}."
        yield f"It is {_where(found.kind, found.name, settings)}."
    for name, depth in found.others.items():
        yield f"Another spool, {name}: {_told(depth, settings.timezone)}."
    if any(depth.entries for depth in found.others.values()):
        yield (
            "Start wagateway with that database; or, if it is this one under another address or "
            "another WHATSAPP_SPOOL, run `wagateway spool --adopt NAME`."
        )
    if found.depth.set_aside:
        yield (
            "What is set aside could not be recorded; the log says why (`spool_entry_set_aside`). "
            "Once that is mended: `wagateway spool --retry`."
        )


def _where(kind: str, name: str, settings: Settings) -> str:
    if kind == "redis":
        return f"{name} in Redis"
    folder = settings.spool_folder.expanduser().absolute() / name
    return f"the folder {folder}" + ("" if folder.exists() else ", made with the first that waits")


def _told(depth: SpoolDepth, timezone: str) -> str:
    told = "no webhook waits for the database"
    if depth.oldest_at is not None:
        since = shown(depth.oldest_at, timezone)
        groups = counted(depth.entries, "group")
        told = f"{groups} of webhooks, {sized(depth.size_bytes)}, waiting since {since}"
    return f"{told}; {depth.set_aside:,} set aside" if depth.set_aside else told
