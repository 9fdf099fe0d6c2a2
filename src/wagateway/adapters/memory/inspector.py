"""Looks at nothing: for tests, and where no previews are wanted."""

from pathlib import Path

from typing_extensions import override

from wagateway.domain.mimetype import UNKNOWN, is_mimetype
from wagateway.ports.media_inspector import Looked, MediaInspector


class InMemoryInspector(MediaInspector):
    """Takes the sender's word for what a file is."""

    @override
    async def inspect(self, file: Path, *, declared: str | None) -> Looked:
        is_told = declared is not None and is_mimetype(declared)
        return Looked(mimetype=declared if declared and is_told else UNKNOWN)
