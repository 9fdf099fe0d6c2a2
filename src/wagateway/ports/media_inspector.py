"""What a stored file really is, and its preview, whoever looks."""

import math
from abc import ABC, abstractmethod
from pathlib import Path

from msgspec import Struct

from wagateway.domain.mimetype import is_mimetype


class Looked(Struct, frozen=True, kw_only=True):
    """What was found in a file; None: it has none, or it could not be had.

    Attributes:
        mimetype: the declared one, unless the content contradicts it; then what the content is,
            ``application/octet-stream`` where that is not known.
        width, height: pixels, as it is shown: after a photo's or video's orientation.
        duration_s: seconds.
        pages: of a document, 1 or more.
        thumbnail: a WebP image of at most 400 pixels on the longer side; of a video its first
            frame, of a document its first page.
        placeholder: the same in 24 pixels, a few hundred bytes, to be sent along with lists.
        problem: why something could not be had, for people; never text from the file.
    """

    mimetype: str
    width: int | None = None
    height: int | None = None
    duration_s: float | None = None
    pages: int | None = None
    thumbnail: bytes | None = None
    placeholder: bytes | None = None
    problem: str | None = None

    def __post_init__(self) -> None:
        if not is_mimetype(self.mimetype):
            raise ValueError("no type of a file")
        if any(n is not None and n < 1 for n in (self.width, self.height, self.pages)):
            raise ValueError("width, height and pages are 1 or more")
        if self.duration_s is not None and not 0 <= self.duration_s < math.inf:
            raise ValueError("a duration is finite and not negative")


class MediaInspector(ABC):
    """Looks at files that strangers sent; safe to share by tasks of one event loop."""

    @abstractmethod
    async def inspect(self, file: Path, *, declared: str | None) -> Looked:
        """Return what *file* is; whatever it holds, nothing is raised because of it.

        Looking runs no script and fetches nothing that the file names. A type that can script is
        never said of content that is known to be something else.

        Args:
            file: an absolute path; what is not a regular file is a problem in the answer.
            declared: its type as the sender named it, in any shape; None where nobody did.

        Raises:
            Unavailable: nothing can look now, for instance because no process can be started.
        """
