"""Where WAHA says that a file is: its own idea of its address, or a bucket's."""

from urllib.parse import quote, unquote, urlsplit

from msgspec import Struct

from wagateway.simulator.dice import digest
from wagateway.simulator.fates import Trick
from wagateway.simulator.files import Stock
from wagateway.simulator.wire import Payload

WAHA_URL = "http://localhost:3000"
"""WAHA's idea of its own address unless somebody corrects it; nothing listens there."""
FILES_PATH = "/api/files"
BAIT_SEGMENT = "bait"
"""Stands in every path that nobody should ever ask for."""
_NOWHERE = "http://169.254.169.254"
"""Where clouds give away their keys."""
_HOSTS = ("http://waha:3000", "http://127.0.0.1:3000", "http://[::1]:3000", "https://waha.example")
_SIGNED_S = 3600
_SIGNATURE_BYTES = 32


class Media(Struct, frozen=True, kw_only=True):
    """How WAHA deals with files.

    Attributes:
        stock: which ones there are.
        base_url: what WAHA takes for its own address: the beginning of ``media.url``.
        lifetime_s: how long it keeps what it saved; 0 is for ever.
        store_url: address of the bucket into which WAHA puts files, with its name as the path;
            None: it keeps them itself.
        bait_url: the host of those addresses that nobody should ask; None: one where no simulator
            listens.
    """

    stock: Stock = Stock()
    base_url: str = WAHA_URL
    lifetime_s: float = 180.0
    store_url: str | None = None
    bait_url: str | None = None

    def __post_init__(self) -> None:
        for url in filter(None, (self.base_url, self.store_url, self.bait_url)):
            if urlsplit(url).scheme not in {"http", "https"} or not urlsplit(url).netloc:
                raise ValueError(f"an address begins with http:// or https://, unlike {url[:80]!r}")
        if self.store_url is not None and not _bucket(self.store_url):
            raise ValueError("the address of a bucket ends with its name")
        if not self.lifetime_s >= 0:
            raise ValueError("a lifetime is 0 or more seconds")

    def offer(self, session: str, name: str, trick: Trick | None) -> Payload:
        """Return the ``url`` of a saved file, and ``s3`` where it is in a bucket."""
        if trick is not None:
            return {"url": self._tricky(session, name, trick)}
        if self.store_url is None:
            return {"url": f"{self.base_url}{path_of(session, name)}"}
        key = f"{session}/{name}"
        signature = digest(_SIGNATURE_BYTES, "signature", key).hex()
        query = f"X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Expires={_SIGNED_S}"
        url = f"{self.store_url}/{quote(key, safe='/@')}?{query}&X-Amz-Signature={signature}"
        return {"url": url, "s3": {"Bucket": _bucket(self.store_url), "Key": key}}

    def _tricky(  # noqa: PLR0911 - one arm per trick
        self, session: str, name: str, trick: Trick
    ) -> str:
        path, bait = path_of(session, name), self.bait_url or _NOWHERE
        folder = path.rpartition("/")[0]
        match trick:
            case Trick.HOST:
                number = digest(1, "host", session, name)[0]
                return f"{_HOSTS[number % len(_HOSTS)]}{path}"
            case Trick.FOREIGN:
                return f"{bait}/latest/meta-data/{BAIT_SEGMENT}/{quote(name, safe='@')}"
            case Trick.FOREIGN_CLIMB:
                return f"{bait}{folder}/../../{BAIT_SEGMENT}"
            case Trick.CLIMB:
                return f"{self.base_url}{folder}/../../{BAIT_SEGMENT}"
            case Trick.HIDDEN_CLIMB:
                return f"{self.base_url}{folder}/..%2F..%2F{BAIT_SEGMENT}"
            case Trick.TWICE_HIDDEN_CLIMB:
                return f"{self.base_url}{folder}/%252E%252E%252F{BAIT_SEGMENT}"
            case Trick.USER:
                scheme, _, host = bait.partition("://")
                return f"{scheme}://localhost:3000@{host}{folder}/{BAIT_SEGMENT}"
            case Trick.LOCAL:
                return f"file://{path}"


def path_of(session: str, name: str) -> str:
    """Return the path at which WAHA serves the file of this *name*."""
    return f"{FILES_PATH}/{quote(session, safe='@')}/{quote(name, safe='@')}"


def leads_to_bait(path: str) -> bool:
    """Tell whether *path*, however often it is escaped, is one that nobody should ask for."""
    while (plain := unquote(path)) != path:
        path = plain
    return BAIT_SEGMENT in path.split("/")


def _bucket(store_url: str) -> str:
    return urlsplit(store_url).path.strip("/").rpartition("/")[2]
