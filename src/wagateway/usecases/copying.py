"""Write what comes in pieces into a file, beside the event loop: a disk may be slow, or hang."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path


async def copied(pieces: AsyncIterator[bytes], path: Path) -> None:
    """Write *pieces* to the file *path*.

    Raises:
        OSError: it cannot be written.
        Exception: what *pieces* raise.
    """
    copy = await asyncio.to_thread(lambda: path.open("wb"))
    try:
        async for piece in pieces:
            await asyncio.to_thread(copy.write, piece)
    finally:
        await asyncio.to_thread(copy.close)
