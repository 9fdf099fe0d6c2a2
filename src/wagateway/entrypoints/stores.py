"""Where files and waiting webhooks are kept, opened as settings say."""

import hashlib
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import NamedTuple

from msgspec.structs import replace
from psycopg.conninfo import conninfo_to_dict

from wagateway.adapters.filesystem.media import FilesystemMediaStore
from wagateway.adapters.filesystem.spool import FilesystemSpool, names_of_folders
from wagateway.adapters.memory.media import InMemoryMediaStore
from wagateway.adapters.minio.bucket import Bucket
from wagateway.domain.errors import Rejected, StoreUnavailable
from wagateway.entrypoints.redis_use import extra_redis, redis_server
from wagateway.entrypoints.settings import Settings
from wagateway.ports.media_store import MediaStore
from wagateway.ports.spool import Spool, SpoolDepth

_LONGEST_NAME = 60


@asynccontextmanager
async def open_media(settings: Settings) -> AsyncIterator[MediaStore]:
    """Yield where *settings* keep files; nothing is asked or made yet.

    An archive that keeps nothing keeps no files either, whichever store is named.

    Raises:
        Rejected: the extra ``s3`` is needed, and not installed.
    """
    if settings.backend == "memory":
        yield InMemoryMediaStore()
    elif settings.media_store == "filesystem":
        yield FilesystemMediaStore(settings.media_folder.expanduser().absolute())
    else:
        try:
            from wagateway.adapters.minio.media import open_minio  # noqa: PLC0415 - an extra
        except ModuleNotFoundError as exc:
            raise Rejected(
                "WHATSAPP_MEDIA_STORE=minio needs the SDK of MinIO: pip install 'wagateway[s3]'"
            ) from exc
        async with open_minio(bucket(settings, settings.minio_bucket)) as store:
            yield store


def bucket(settings: Settings, name: str) -> Bucket:
    """Return the bucket *name* of the S3 server that *settings* name."""
    return Bucket(
        url=settings.minio_address,
        name=name,
        access_key=settings.minio_user or "",
        secret_key=settings.minio_password or "",
        region=settings.minio_region,
        public_url=settings.minio_public_url,
    )


def spool_name(settings: Settings) -> str:
    """Return what the spool of this database is called, so that no other archive drains it.

    Told from where the database is, since it cannot be asked while it is away: host, port and name,
    or the data folder of the embedded one.
    """
    if settings.backend != "postgres":
        folder = str(settings.data_dir.expanduser().absolute())
        return f"embedded-{hashlib.sha256(folder.encode()).hexdigest()[:8]}"
    parts = conninfo_to_dict(settings.database_url or "")
    name = parts.get("dbname") or parts.get("user")
    place = [str(parts.get(key) or "") for key in ("service", "host", "hostaddr", "port")]
    place.append(str(name or ""))
    words = re.sub(r"[^A-Za-z0-9.]+", "-", "-".join(filter(None, place))).strip("-")[:_LONGEST_NAME]
    return f"{words}-{hashlib.sha256(chr(0).join(place).encode()).hexdigest()[:8]}"


class SpoolPlace(NamedTuple):
    """A spool of some database: of another address, or of the kind that was used before."""

    kind: str
    name: str

    @property
    def label(self) -> str:
        """What ``wagateway spool --adopt`` knows it by."""
        return f"{self.kind}:{self.name}"


async def spool_places(settings: Settings) -> list[SpoolPlace]:
    """Return all spools there are, of whichever kind: the settings may have been others before.

    Raises:
        StoreUnavailable: those of the kind in use cannot be looked up.
        Rejected: the extra ``redis`` is needed, and not installed.
    """
    if settings.backend == "memory":
        return []
    folder = settings.spool_folder.expanduser().absolute()
    found = [SpoolPlace("filesystem", name) for name in await names_of_folders(folder)]
    server = redis_server(settings)
    if server is not None:
        with extra_redis():
            from wagateway.adapters.redis.spool import names_of_spools  # noqa: PLC0415 - an extra
        try:
            found += [SpoolPlace("redis", name) for name in await names_of_spools(server)]
        except StoreUnavailable:
            if settings.spool_kind == "redis":
                raise
    return sorted(found)


async def other_spools(settings: Settings) -> dict[SpoolPlace, SpoolDepth]:
    """Return in which spools but ours something waits, or was set aside, and how much.

    Raises:
        StoreUnavailable: they cannot be looked up.
    """
    found = {}
    ours = SpoolPlace(settings.spool_kind, spool_name(settings))
    for place in await spool_places(settings):
        if place == ours:
            continue
        async with open_spool(settings, place) as spool:
            depth = SpoolDepth() if spool is None else await spool.depth()
        if depth.entries or depth.set_aside:
            found[place] = depth
    return found


@asynccontextmanager
async def open_spool(
    settings: Settings, place: SpoolPlace | None = None
) -> AsyncIterator[Spool | None]:
    """Yield where webhooks wait while the database is away; None: nowhere. Nothing is made yet.

    An archive that keeps nothing needs no spool.

    Args:
        settings: where it is.
        place: which; None: that of this database, of the kind in use.

    Raises:
        Rejected: the extra ``redis`` is needed, and not installed.
    """
    if place is None and settings.spool_kind == "off":
        yield None
        return
    kind, name = place or SpoolPlace(settings.spool_kind, spool_name(settings))
    server = redis_server(settings)
    if kind == "redis" and server is not None:
        with extra_redis():
            from wagateway.adapters.redis.spool import open_redis_spool  # noqa: PLC0415 - an extra
        own = replace(server, prefix=f"{server.prefix}{name}:")
        async with open_redis_spool(own, max_bytes=settings.spool_max_bytes) as kept:
            yield kept
        return
    folder = settings.spool_folder.expanduser().absolute() / name
    spool = FilesystemSpool(folder, max_bytes=settings.spool_max_bytes)
    try:
        yield spool
    finally:
        await spool.aclose()
