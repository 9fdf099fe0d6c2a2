"""Where files and waiting webhooks are kept, opened as settings say."""

import asyncio
import hashlib
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from msgspec.structs import replace
from psycopg.conninfo import conninfo_to_dict

from wagateway.adapters.filesystem.media import FilesystemMediaStore
from wagateway.adapters.filesystem.spool import FilesystemSpool, names_of_folders
from wagateway.adapters.memory.media import InMemoryMediaStore
from wagateway.adapters.minio.bucket import Bucket
from wagateway.domain.errors import Rejected
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
    if settings.database_url is None:
        folder = str(settings.data_dir.expanduser().absolute())
        return f"embedded-{hashlib.sha256(folder.encode()).hexdigest()[:8]}"
    parts = conninfo_to_dict(settings.database_url)
    name = parts.get("dbname") or parts.get("user")
    place = [str(parts.get(key) or "") for key in ("service", "host", "hostaddr", "port")]
    place.append(str(name or ""))
    words = re.sub(r"[^A-Za-z0-9.]+", "-", "-".join(filter(None, place)))[:_LONGEST_NAME]
    return f"{words}-{hashlib.sha256(chr(0).join(place).encode()).hexdigest()[:8]}"


async def spool_names(settings: Settings) -> list[str]:
    """Return the names of all spools beside ours, and ours, in which something may wait.

    Raises:
        StoreUnavailable: they cannot be looked up.
        Rejected: the extra ``redis`` is needed, and not installed.
    """
    server = redis_server(settings)
    if settings.spool_kind == "redis" and server is not None:
        with extra_redis():
            from wagateway.adapters.redis.spool import names_of_spools  # noqa: PLC0415 - an extra
        return sorted(await names_of_spools(server))
    if settings.spool_kind == "off":
        return []
    folder = settings.spool_folder.expanduser().absolute()
    return sorted(await asyncio.to_thread(names_of_folders, folder))


async def other_spools(settings: Settings) -> dict[str, SpoolDepth]:
    """Return in which spools of other addresses something waits, or was set aside, and how much.

    Raises:
        StoreUnavailable: they cannot be looked up.
    """
    found = {}
    for name in await spool_names(settings):
        if name == spool_name(settings):
            continue
        async with open_spool(settings, name) as spool:
            depth = SpoolDepth() if spool is None else await spool.depth()
        if depth.entries or depth.set_aside:
            found[name] = depth
    return found


@asynccontextmanager
async def open_spool(settings: Settings, name: str | None = None) -> AsyncIterator[Spool | None]:
    """Yield where webhooks wait while the database is away; None: nowhere. Nothing is made yet.

    An archive that keeps nothing needs no spool.

    Args:
        settings: where it is.
        name: of another database's; None: of this one's.

    Raises:
        Rejected: the extra ``redis`` is needed, and not installed.
    """
    if settings.spool_kind == "off":
        yield None
        return
    name = name or spool_name(settings)
    server = redis_server(settings)
    if settings.spool_kind == "redis" and server is not None:
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
        spool.close()
