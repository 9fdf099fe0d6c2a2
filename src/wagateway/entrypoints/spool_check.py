"""Can webhooks wait while the database is away, and do any?"""

import asyncio
from collections.abc import Mapping

from wagateway.adapters.filesystem.daemon_threads import DaemonThreads
from wagateway.domain.errors import WagatewayError
from wagateway.entrypoints.findings import Finding, fail, ok, skipped, warn
from wagateway.entrypoints.folders import why_not_tried
from wagateway.entrypoints.settings import Settings
from wagateway.entrypoints.stores import SpoolPlace, open_spool, other_spools
from wagateway.ports.spool import SpoolDepth

_SPOOL = "spool"
_PATIENCE_S = 10.0


async def spool_finding(settings: Settings, *, patience_s: float = _PATIENCE_S) -> Finding:
    """Tell whether the spool can be used, and what waits in it."""
    if settings.spool == "off" and settings.backend != "memory":
        return warn(
            _SPOOL,
            "it is switched off: while the database is away, webhooks are refused, and WAHA gives "
            "up repeating them after a while",
            "Set WHATSAPP_SPOOL=auto.",
        )
    name, mend = _place(settings)
    try:
        async with asyncio.timeout(patience_s):
            reason = await DaemonThreads(at_once=1).run(patience_s, _why_not, settings)
            if reason is not None:
                return skipped(_SPOOL, reason)
            depth, others = await _tried(settings)
    except TimeoutError:
        return fail(_SPOOL, f"{name} does not answer within {patience_s:g} s", mend)
    except WagatewayError as exc:
        return fail(_SPOOL, f"{name} cannot be used: {exc}", mend)
    return _judged(name, depth, others)


def _place(settings: Settings) -> tuple[str, str]:
    """Return where webhooks wait, and what to do where that cannot be used."""
    if settings.spool_kind == "redis":
        return "Redis", (
            "Mend what the hop redis names, or choose a folder by WHATSAPP_SPOOL=filesystem. Until "
            "then webhooks are refused while the database is away."
        )
    return (
        f"the folder {settings.spool_folder.expanduser()}",
        "Let this user write there, or choose another folder by WHATSAPP_SPOOL_DIR.",
    )


def _why_not(settings: Settings) -> str | None:
    """Return why nothing is tried; None where it can be."""
    if settings.backend == "memory":
        return "memory:// keeps nothing"
    if settings.spool_kind == "redis":
        return None
    return why_not_tried(settings.spool_folder, maker="`wagateway up` or `api`")


async def _tried(settings: Settings) -> tuple[SpoolDepth, Mapping[SpoolPlace, SpoolDepth]]:
    async with open_spool(settings) as spool:
        if spool is None:
            return SpoolDepth(), {}
        await spool.prepare()
        return await spool.depth(), await other_spools(settings)


def _judged(name: str, depth: SpoolDepth, others: Mapping[SpoolPlace, SpoolDepth]) -> Finding:
    if depth.is_full:
        return fail(
            _SPOOL,
            f"{name} is full, with {depth.size_bytes:,} bytes: webhooks are refused while the "
            "database is away",
            "Bring the database back, or set WHATSAPP_SPOOL_MAX_BYTES to more.",
        )
    waiting = [place for place, each in others.items() if each.entries]
    if waiting:
        told = ", ".join(each.label for each in waiting)
        return warn(
            _SPOOL,
            f"webhooks of other addresses of a database, or of another kind of spool, wait: {told}",
            "Start wagateway with that database; or, if it is this one under another address or "
            "another WHATSAPP_SPOOL, run `wagateway spool --adopt NAME`.",
        )
    aside = {name: depth} | {place.label: each for place, each in others.items()}
    kept = [f"{each.set_aside:,} in {of}" for of, each in aside.items() if each.set_aside]
    if kept:
        return warn(
            _SPOOL,
            f"groups of webhooks could not be recorded and were set aside: {', '.join(kept)}",
            "Look at the log, which says why (`spool_entry_set_aside`); once that is mended, run "
            "`wagateway spool --retry`. They are kept until then, in the folder `aside` or under "
            "the key that ends in `spool:aside`.",
        )
    if depth.oldest_at is not None:
        return warn(
            _SPOOL,
            f"webhooks wait in {name}, groups of them: {depth.entries:,}, since "
            f"{depth.oldest_at:%Y-%m-%d %H:%M:%S} UTC",
            "They are recorded by `wagateway up`, `api` or `worker` once the database answers.",
        )
    return ok(_SPOOL, f"{name} takes webhooks while the database is away; none wait")
