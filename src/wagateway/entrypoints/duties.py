"""What a process that runs workers does by its settings, and what it does not."""

from collections.abc import Iterator

from msgspec import Struct

from wagateway.entrypoints.settings import Settings


class Duty(Struct, frozen=True, kw_only=True):
    """A kind of work.

    Attributes:
        name: in one word.
        why_not: which setting keeps it from being done; None: it is done.
        is_missing: it is wanted, and needs a setting that was not given.
    """

    name: str
    why_not: str | None = None
    is_missing: bool = False


def duties(settings: Settings) -> list[Duty]:
    """Return each kind of work that settings decide on.

    Ending purges that were broken off and tidying the feed are none: any worker does that.
    """
    return [*_of_engine(settings), _retention(settings), _backups(settings), _spool(settings)]


def _of_engine(settings: Settings) -> Iterator[Duty]:
    switches = {"sync": settings.sync_enabled, "media": settings.media_enabled}
    for name, is_on in switches.items():
        if not is_on:
            yield Duty(name=name, why_not=f"WHATSAPP_{name.upper()}_ENABLED is false")
        elif settings.engine_url is None:
            yield Duty(name=name, why_not="WHATSAPP_CORE_URL is not set", is_missing=True)
        else:
            yield Duty(name=name)


def _retention(settings: Settings) -> Duty:
    if settings.retention_days is None and settings.event_log_retention_days is None:
        variables = "WHATSAPP_RETENTION_DAYS and WHATSAPP_EVENT_LOG_RETENTION_DAYS are not set"
        return Duty(name="retention", why_not=variables)
    return Duty(name="retention")


def _backups(settings: Settings) -> Duty:
    if settings.backup_every_hours is None:
        return Duty(name="backups", why_not="WHATSAPP_BACKUP_EVERY_HOURS is not set")
    return Duty(name="backups")


def _spool(settings: Settings) -> Duty:
    if settings.spool_kind == "off":
        return Duty(name="spool", why_not="WHATSAPP_SPOOL is off")
    return Duty(name="spool")
