"""Where attached files are fetched from, whichever engine is behind."""

from abc import ABC, abstractmethod
from pathlib import Path

from msgspec import Struct

from wagateway.domain.messages import MediaOffer


class Fetched(Struct, frozen=True, kw_only=True):
    """What was fetched.

    Attributes:
        sha256: of the bytes, lower-case hex.
        size_bytes: 1 or more.
        mimetype: as the answer says, which may be wrong; None where it does not.
    """

    sha256: str
    size_bytes: int
    mimetype: str | None = None


class MediaSource(ABC):
    """The files of an engine; safe to share by tasks of one event loop."""

    @abstractmethod
    async def fetch(self, offer: MediaOffer, into: Path, *, largest_bytes: int) -> Fetched:
        """Write the file that was offered over the file *into*, in constant memory, once.

        What is in *into* after a failure is of no use.

        Raises:
            NotFound: the engine has it no longer, but may be able to get it again.
            Gone: neither the engine nor WhatsApp has it any more.
            TooLarge: it has more than *largest_bytes*.
            InvalidInput: it is offered at an address that is never followed, or at none.
            Refused: the engine does not accept the key.
            RateLimited: the engine asks to wait.
            EngineUnavailable: it is away, too slow, or the file broke off, or is empty.
            StoreUnavailable: *into* cannot be written, as where the disk is full.
        """
