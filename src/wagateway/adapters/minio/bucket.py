"""Which bucket of which server; needs nothing of the extra ``s3``."""

import re
from urllib.parse import urlsplit

from msgspec import Struct
from typing_extensions import override

from wagateway.domain.errors import InvalidInput

BUCKET_NAME = (
    "3 to 63 lower-case letters, digits, dots and hyphens, beginning and ending with a letter or "
    "a digit, and no IP address"
)
ENDPOINT = "an address such as http://127.0.0.1:9302, without a path or a login"

_NAME = re.compile(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]")
_ADDRESS = re.compile(r"\d+\.\d+\.\d+\.\d+")
_REGION = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?")


class Bucket(Struct, frozen=True, kw_only=True):
    """A bucket, and what opens it; its repr shows no key.

    Attributes:
        url: of the server, e.g. ``http://127.0.0.1:9302``.
        name: of the bucket.
        access_key: also called user.
        secret_key: also called password.
        region: what requests are signed for.
        public_url: by which browsers reach the same server; None: as we do.

    Raises:
        InvalidInput: an address or a name is none.
    """

    url: str
    name: str
    access_key: str
    secret_key: str
    region: str = "us-east-1"
    public_url: str | None = None

    def __post_init__(self) -> None:
        for url in (self.url, self.public_url):
            if url is not None and not is_endpoint(url):
                raise InvalidInput(f"not the address of a file store; accepted is {ENDPOINT}")
        if not is_bucket_name(self.name):
            raise InvalidInput(
                f"not a bucket's name: {self.name[:80]!r}; accepted is {BUCKET_NAME}"
            )
        if not is_region(self.region):
            raise InvalidInput(f"not a region: {self.region[:80]!r}")

    @override
    def __repr__(self) -> str:
        return f"Bucket(url={self.url!r}, name={self.name!r}, region={self.region!r})"


def is_bucket_name(text: str) -> bool:
    """Tell whether every S3 server takes *text* as the name of a bucket."""
    return bool(
        _NAME.fullmatch(text)
        and not _ADDRESS.fullmatch(text)
        and not any(pair in text for pair in ("..", ".-", "-."))
    )


def is_region(text: str) -> bool:
    """Tell whether *text* can be a region."""
    return _REGION.fullmatch(text) is not None


def is_endpoint(url: str) -> bool:
    """Tell whether *url* names a server and nothing else."""
    try:
        parts = urlsplit(url)
        return (
            parts.scheme in {"http", "https"}
            and bool(parts.hostname)
            and parts.port != 0
            and "@" not in parts.netloc
            and parts.path in {"", "/"}
            and not (parts.query or parts.fragment)
            and url.isascii()
            and not any(c.isspace() for c in url)
        )
    except ValueError:
        return False
