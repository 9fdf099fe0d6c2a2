"""The durable WhatsApp archive and gateway beside WAHA.

::

    async with Gateway.open(Settings.embedded("archive")) as gateway:
        await gateway.ingest(body)
        page = await gateway.messages("default", "+55 11 98765-0102")
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from wagateway.domain.errors import (
        Conflict,
        Defect,
        InvalidInput,
        NotFound,
        Purged,
        Rejected,
        StoreUnavailable,
        Unavailable,
        WagatewayError,
    )
    from wagateway.entrypoints.gateway import Gateway
    from wagateway.entrypoints.settings import Settings, load_settings
    from wagateway.ports.archive import LogFilter

__all__ = [
    "Conflict",
    "Defect",
    "Gateway",
    "InvalidInput",
    "LogFilter",
    "NotFound",
    "Purged",
    "Rejected",
    "Settings",
    "StoreUnavailable",
    "Unavailable",
    "WagatewayError",
    "load_settings",
]

_MODULES = {
    "Gateway": "wagateway.entrypoints.gateway",
    "LogFilter": "wagateway.ports.archive",
    "Settings": "wagateway.entrypoints.settings",
    "load_settings": "wagateway.entrypoints.settings",
}


def __getattr__(name: str) -> object:
    # Whatever is imported from this package runs this module first: the quarter of a second that
    # the drivers take is spent when the gateway is asked for, not for `wagateway --help`.
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value: object = getattr(import_module(_MODULES.get(name, "wagateway.domain.errors")), name)
    globals()[name] = value
    return value
