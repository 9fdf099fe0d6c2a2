"""Are regular backups made?"""

import asyncio
from collections.abc import AsyncGenerator
from datetime import datetime, timedelta

from wagateway.domain.backups import BackupName, begun_at
from wagateway.domain.errors import WagatewayError
from wagateway.entrypoints.backup_places import open_backup_place
from wagateway.entrypoints.containers import now
from wagateway.entrypoints.findings import Finding, ok, warn
from wagateway.entrypoints.settings import Settings

_HOP = "backups"
_PATIENCE_S = 20.0
_BEGIN = "Set WHATSAPP_BACKUP_EVERY_HOURS, or make one by `wagateway backup --media`."
_LOOK = "Its log says `backup_failed` with the reason; a worker with these settings must run."


async def backup_findings(
    settings: Settings, *, patience_s: float = _PATIENCE_S
) -> AsyncGenerator[Finding]:
    """Tell how old the newest backup is, where a place of them is configured; reads none."""
    if settings.backup_dir is None:
        return
    try:
        async with (
            asyncio.timeout(patience_s),
            open_backup_place(settings, settings.backup_dir) as place,
        ):
            names = await place.names()
    except TimeoutError:
        yield warn(_HOP, f"their place does not answer within {patience_s:g} s", _LOOK)
    except WagatewayError as exc:
        yield warn(_HOP, f"their place cannot be used: {exc}", "Correct WHATSAPP_BACKUP_DIR.")
    else:
        yield backup_finding(names, settings.backup_every_hours, now())


def backup_finding(names: list[BackupName], every_hours: int | None, at: datetime) -> Finding:
    """Return how old the newest of *names* is; *every_hours*: how old it may be, None: any age."""
    if not names:
        return warn(_HOP, "there is none yet", _LOOK if every_hours is not None else _BEGIN)
    begun = begun_at(names[-1])
    found = f"{len(names)}, the newest of {begun.isoformat(timespec='minutes')}"
    if every_hours is not None and at - begun > 2 * timedelta(hours=every_hours):
        return warn(_HOP, f"{found}, and one is due every {every_hours} hours", _LOOK)
    return ok(_HOP, found)
