"""Where a file that the engine offered may be fetched from: never anywhere that it merely names.

An address in an event is whatever the engine believes its own host to be, and events may be
forged. So of an engine's own address only the path counts, at the address that we configured; any
other is followed only to the store that we configured. Source: WAHA docs, Storages.
"""

import re
from urllib.parse import unquote

import httpx
from msgspec import Struct

from wagateway.domain.errors import InvalidInput

_ENGINES_OWN = re.compile(r"/api/files/[^/\\]+/[^/\\]+")
_LONGEST_CHARS = 4096
_PORTS = {"http": 80, "https": 443}


class Source(Struct, frozen=True, kw_only=True):
    """Where to ask.

    Attributes:
        url: absolute; of http or https.
        with_key: whether the engine's key is sent along; an address that carries its own signature
            gets none.
    """

    url: str
    with_key: bool


def source_of(offered: str, *, engine_url: str, store_url: str | None = None) -> Source:
    """Return where the file that was *offered* is fetched from.

    Args:
        offered: as the engine wrote it; hostile for all we know.
        engine_url: where we reach the engine; may have a path.
        store_url: where we reach the bucket into which the engine puts files, if it does.

    Raises:
        InvalidInput: neither of the two has it; the text does not repeat the address.
    """
    url = _parsed(offered)
    if store_url is not None and _place(url) == _place(httpx.URL(store_url)):
        return Source(url=str(url.copy_with(fragment=None)), with_key=False)
    path = url.raw_path.partition(b"?")[0].decode("ascii")
    above = httpx.URL(engine_url).raw_path.decode("ascii").rstrip("/")
    path = path.removeprefix(above)  # an engine behind a proxy may know its path there
    if not _is_engines_own(path):
        raise InvalidInput("the file lies neither at the engine nor in the configured store")
    return Source(url=engine_url.rstrip("/") + path, with_key=True)


def _parsed(offered: str) -> httpx.URL:
    try:
        url = httpx.URL(offered if len(offered) <= _LONGEST_CHARS else "")
    except (httpx.InvalidURL, UnicodeError) as exc:
        raise InvalidInput("the file's address cannot be read") from exc
    if url.scheme not in _PORTS or not url.host or url.userinfo:
        raise InvalidInput("the file's address is none of http or https")
    return url


def _is_engines_own(path: str) -> bool:
    """Tell whether *path* names one file of one session, however it is escaped."""
    plain = unquote(path)
    segments = plain.split("/")
    return (
        _ENGINES_OWN.fullmatch(plain) is not None
        and unquote(plain) == plain  # escaped twice, it would be another path to somebody else
        and not {".", ".."} & set(segments)
        and plain.isprintable()
    )


def _place(url: httpx.URL) -> tuple[str, str, int | None]:
    return (url.scheme, url.host, url.port or _PORTS.get(url.scheme))
