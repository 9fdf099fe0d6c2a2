"""What a file is and shows, piece by piece: what is known already survives what comes next."""

from collections.abc import Callable, Iterator
from typing import BinaryIO

from wagateway.adapters.inspection.content import HEAD_BYTES, content, true_type
from wagateway.adapters.inspection.documents import look_at_document
from wagateway.adapters.inspection.frames import Programs
from wagateway.adapters.inspection.images import FORMATS, look_at_image
from wagateway.adapters.inspection.recordings import look_at_recording
from wagateway.adapters.inspection.unreadable import Unreadable
from wagateway.domain.mimetype import essence
from wagateway.ports.media_inspector import Looked

Look = Callable[[BinaryIO, str | None, Programs], Iterator[Looked]]
"""Looks at a file that is open for reading, given what its sender declared."""


def look(file: BinaryIO, declared: str | None, programs: Programs) -> Iterator[Looked]:
    """Yield what is known of *file*, each time more; see `MediaInspector.inspect`.

    Raises:
        Unreadable: the rest cannot be had.
        MemoryError: it takes too much memory.
    """
    head = file.read(HEAD_BYTES)
    known = Looked(mimetype=true_type(head, declared))
    yield known
    if not head:
        raise Unreadable("the file is empty")
    found = content(head)
    kind = found.mimetype if found else essence(known.mimetype)
    if kind in FORMATS:
        yield from look_at_image(file, known, kind)
    elif kind == "application/pdf":
        yield from look_at_document(file, known)
    elif kind.startswith(("audio/", "video/")):
        yield from look_at_recording(file, known, programs)
    elif kind.startswith("image/") and not kind.endswith("+xml"):
        raise Unreadable("there are no previews of this kind of picture")
