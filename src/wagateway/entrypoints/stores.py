"""Where files and waiting webhooks are kept, opened as settings say."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from wagateway.adapters.filesystem.media import FilesystemMediaStore
from wagateway.adapters.filesystem.spool import FilesystemSpool
from wagateway.adapters.memory.media import InMemoryMediaStore
from wagateway.adapters.minio.bucket import Bucket
from wagateway.domain.errors import Rejected
from wagateway.entrypoints.redis_use import extra_redis, redis_server
from wagateway.entrypoints.settings import Settings
from wagateway.ports.media_store import MediaStore
from wagateway.ports.spool import Spool


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
        async with open_minio(_bucket(settings)) as store:
            yield store


def _bucket(settings: Settings) -> Bucket:
    return Bucket(
        url=settings.minio_address,
        name=settings.minio_bucket,
        access_key=settings.minio_user or "",
        secret_key=settings.minio_password or "",
        region=settings.minio_region,
        public_url=settings.minio_public_url,
    )


@asynccontextmanager
async def open_spool(settings: Settings) -> AsyncIterator[Spool | None]:
    """Yield where webhooks wait while the database is away; None: nowhere. Nothing is made yet.

    An archive that keeps nothing needs no spool.

    Raises:
        Rejected: the extra ``redis`` is needed, and not installed.
    """
    if settings.spool_kind == "off":
        yield None
        return
    server = redis_server(settings)
    if settings.spool_kind == "redis" and server is not None:
        with extra_redis():
            from wagateway.adapters.redis.spool import open_redis_spool  # noqa: PLC0415 - an extra
        async with open_redis_spool(server, max_bytes=settings.spool_max_bytes) as kept:
            yield kept
        return
    folder = settings.spool_folder.expanduser().absolute()
    spool = FilesystemSpool(folder, max_bytes=settings.spool_max_bytes)
    try:
        yield spool
    finally:
        spool.close()
