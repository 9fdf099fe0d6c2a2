"""Which Redis or Valkey; needs nothing of the extra ``redis``."""

from urllib.parse import urlsplit

from msgspec import Struct
from typing_extensions import override

from wagateway.domain.errors import InvalidInput

ADDRESS = "an address such as redis://127.0.0.1:6380/0 or rediss://user:password@host:port/0"

PREFIX = "wagateway:"
"""How the names of all our keys begin."""

_SCHEMES = frozenset({"redis", "rediss"})


class RedisServer(Struct, frozen=True, kw_only=True):
    """A server, and what opens it; its repr shows neither its address nor its password.

    Attributes:
        url: e.g. ``redis://127.0.0.1:6380/0``; a password in it wins.
        password: of the user in *url*, or of the default one; None: there is none.
        prefix: how the names of our keys begin; who has another one shares nothing with us.

    Raises:
        InvalidInput: *url* is none.
    """

    url: str
    password: str | None = None
    prefix: str = PREFIX

    def __post_init__(self) -> None:
        if not is_redis_url(self.url):
            raise InvalidInput(f"not the address of a Redis; accepted is {ADDRESS}")

    @override
    def __repr__(self) -> str:
        return f"RedisServer(prefix={self.prefix!r})"


def is_redis_url(url: str) -> bool:
    """Tell whether *url* names a server, and a database of it or none."""
    try:
        parts = urlsplit(url)
        database = parts.path.strip("/")
        return (
            parts.scheme in _SCHEMES
            and bool(parts.hostname)
            and parts.port != 0
            and (not database or (database.isascii() and database.isdigit()))
            and not (parts.query or parts.fragment)
            and not any(c.isspace() for c in url)
        )
    except ValueError:
        return False
