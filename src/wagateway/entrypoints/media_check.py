"""Can files be kept, and are they for us alone?"""

import asyncio
import hashlib
import secrets
import tempfile
from pathlib import Path
from typing import NamedTuple

from wagateway.domain.errors import Conflict, WagatewayError
from wagateway.domain.media import file_key
from wagateway.entrypoints.findings import Finding, fail, ok, skipped
from wagateway.entrypoints.folders import why_not_tried
from wagateway.entrypoints.settings import Settings
from wagateway.entrypoints.stores import open_media
from wagateway.ports.media_store import MediaStore

_MEDIA = "media"
_PATIENCE_S = 20.0


class _Place(NamedTuple):
    """Where files are kept.

    Attributes:
        name: for people.
        mend: what to do where it cannot be used.
        close: what to do where anyone can read it.
    """

    name: str
    mend: str
    close: str


async def media_finding(settings: Settings, *, patience_s: float = _PATIENCE_S) -> Finding:
    """Tell whether a small file can be kept, read back and removed, and who else could read it."""
    reason = await asyncio.to_thread(_why_not, settings)
    if reason is not None:
        return skipped(_MEDIA, reason)
    place = _place(settings)
    try:
        async with asyncio.timeout(patience_s), open_media(settings) as store:
            is_public = await _tried(store)
    except TimeoutError:
        return fail(_MEDIA, f"{place.name} does not answer within {patience_s:g} s", place.mend)
    except WagatewayError as exc:
        return fail(_MEDIA, f"{place.name} cannot be used: {exc}", place.mend)
    if is_public:
        return fail(_MEDIA, f"anyone can read {place.name}", place.close)
    return ok(_MEDIA, f"{place.name} keeps files, for us alone")


def _why_not(settings: Settings) -> str | None:
    """Return why nothing is tried; None where it can be."""
    if not settings.media_enabled:
        return "files are not kept: WHATSAPP_MEDIA_ENABLED is false"
    if settings.backend == "memory":
        return "memory:// keeps no files"
    if settings.media_store == "filesystem":
        return why_not_tried(settings.media_folder, maker="the first file")
    return None


def _place(settings: Settings) -> _Place:
    if settings.media_store == "filesystem":
        folder = str(settings.media_folder.expanduser())
        mend = f"Let this user write into {folder}, or choose another by WHATSAPP_MEDIA_DIR."
        return _Place(folder, mend, f"Run `chmod go-rwx {folder}`.")
    return _Place(
        f"the bucket {settings.minio_bucket}",
        "Check that the server runs, WHATSAPP_MINIO_URL or _API_PORT, and the keys.",
        "Whoever has a file's address can fetch it: remove the bucket's policy, with MinIO by "
        f"`mc anonymous set none ALIAS/{settings.minio_bucket}`.",
    )


async def _tried(store: MediaStore) -> bool:
    """Keep a file, read and remove it; return whether anyone could have read it.

    Raises:
        WagatewayError: it cannot be kept, or is not what was given.
    """
    content = b"wagateway doctor " + secrets.token_hex(16).encode()
    key = file_key(hashlib.sha256(content).hexdigest())
    with tempfile.TemporaryDirectory(prefix="wagateway-doctor-") as folder:
        probe = Path(folder) / "probe"
        await asyncio.to_thread(probe.write_bytes, content)
        await store.add(key, probe, mimetype="text/plain")
    try:
        if b"".join([piece async for piece in store.read(key)]) != content:
            raise Conflict("what is read back is not what was stored")
        return await store.readable_by_anyone()
    finally:
        await store.remove(key)
