"""``/api/files``: saved files, as a plain static server gives them; and the bucket beside it.

Source: WAHA docs, Storages; the answers of Express' static files; RFC 9110, Range Requests.
"""

import asyncio
import re
from collections.abc import Iterator
from urllib.parse import parse_qs, unquote, urlsplit

from msgspec import Struct

from wagateway.simulator.asgi import Message, Receive, Send
from wagateway.simulator.file_faults import FileFault, FileFaults
from wagateway.simulator.files import TYPES, File
from wagateway.simulator.filing import Filing
from wagateway.simulator.offers import BAIT_SEGMENT, FILES_PATH, Media
from wagateway.simulator.rest_answers import Answer, broken, no_such_file, send_answer
from wagateway.simulator.rest_faults import CutShort

_RANGE = re.compile(r"bytes=(\d*)-(\d*)")
_MOST_DIGITS = 18
_DRIPS = 20
_DRIP_S = 0.05
_PATH_PARTS = 5
_SPOILED = bytes(255 - byte for byte in range(256))


class _Part(Struct, frozen=True):
    """The bytes of a file that are asked for: *stop* is not among them."""

    start: int
    stop: int


class FileServer:
    """Serves what is saved, with the faults of files.

    Attributes:
        sent: how many bodies were sent to their end.
    """

    def __init__(self, filing: Filing, faults: FileFaults, media: Media, engine: str) -> None:
        """Serve what *filing* has; *engine* is named in errors."""
        self._filing = filing
        self._faults = faults
        self._bait_url = f"{media.bait_url or 'http://169.254.169.254'}/{BAIT_SEGMENT}"
        self._engine = engine
        self.sent = 0

    async def serve(
        self, session: str, name: str, scope: Message, receive: Receive, send: Send
    ) -> None:
        """Answer one request for the file of this *name*.

        Raises:
            CutShort: the body ends in the middle, as a fault.
        """
        if self._filing.find(session, name) is None:
            await send_answer(no_such_file(), send)
            return
        fault = self._faults.of(session, name)
        if fault is FileFault.HANG:
            while (await receive())["type"] != "http.disconnect":
                pass
            return
        if refusal := self._refusal(fault, scope):
            await send_answer(refusal, send)
            return
        file = self._filing.find(session, name)
        if file is None:
            await send_answer(no_such_file(), send)
            return
        await self._send(file, fault, scope, send)

    def _refusal(self, fault: FileFault | None, scope: Message) -> Answer | None:
        match fault:
            case FileFault.ERROR:
                return broken(scope["method"], scope["path"], {}, self._engine)
            case FileFault.BUSY:
                body = b"<html><body><h1>503 Service Unavailable</h1></body></html>"
                return Answer(status=503, body=body, kind="text/html")
            case FileFault.REDIRECT:
                to = (("location", self._bait_url),)
                return Answer(status=302, body=b"", kind="text/plain", headers=to)
        return None

    async def _send(self, file: File, fault: FileFault | None, scope: Message, send: Send) -> None:
        asked = {name.lower(): value.decode("latin-1") for name, value in scope["headers"]}
        size = 0 if fault is FileFault.EMPTY else file.size_bytes
        tag = f'W/"{size:x}-{file.sha256[:12]}"'
        part = _part(asked, size, tag)
        if part is None:
            extent = (("content-range", f"bytes */{size}"),)
            await send_answer(Answer(status=416, body=b"", kind=_kind(file), headers=extent), send)
            return
        whole = part == _Part(0, size)
        fields = {
            "accept-ranges": "bytes",
            "cache-control": "public, max-age=0",
            "etag": tag,
            "content-type": _kind(file),
            "content-length": str(part.stop - part.start),
            "x-powered-by": "Express",
        }
        if not whole:
            fields["content-range"] = f"bytes {part.start}-{part.stop - 1}/{size}"
        if fault is FileFault.CUT_CHUNKED:
            del fields["content-length"]
        headers = [(name.encode(), value.encode()) for name, value in fields.items()]
        status = 200 if whole else 206
        await send({"type": "http.response.start", "status": status, "headers": headers})
        if scope["method"] == "GET":
            await _send_body(file, part, fault, send)
        await send({"type": "http.response.body", "body": b""})
        self.sent += 1


async def _send_body(file: File, part: _Part, fault: FileFault | None, send: Send) -> None:
    stop = part.stop
    if fault in {FileFault.CUT, FileFault.CUT_CHUNKED}:
        stop = part.start + (part.stop - part.start) // 2
    pieces = file.parts(part.start, stop)
    for piece in _drips(pieces, stop - part.start) if fault is FileFault.SLOW else pieces:
        body = piece.translate(_SPOILED) if fault is FileFault.WRONG else piece
        await send({"type": "http.response.body", "body": body, "more_body": True})
        await asyncio.sleep(_DRIP_S if fault is FileFault.SLOW else 0)
    if fault in {FileFault.CUT, FileFault.CUT_CHUNKED}:
        raise CutShort


def _drips(pieces: Iterator[bytes], size: int) -> Iterator[bytes]:
    """Yield the same in about so many pieces; of a large file there are more."""
    most = max(1, -(-size // _DRIPS))
    for piece in pieces:
        for start in range(0, len(piece), most):
            yield piece[start : start + most]


def _part(asked: dict[bytes, str], size: int, tag: str) -> _Part | None:
    """Return what is to be sent; None where the range is none of the file.

    A range that cannot be read, or several at once, are as good as none.
    """
    whole = _Part(0, size)
    match = _RANGE.fullmatch(asked.get(b"range", "").replace(" ", ""))
    if match is None or match.group(0) == "bytes=-" or asked.get(b"if-range", tag) != tag:
        return whole
    first, last = (_whole(digits) for digits in match.groups())
    if first is None:
        return _Part(max(0, size - (last or 0)), size) if last and size else None
    stop = size if last is None else min(last + 1, size)
    return _Part(first, stop) if first < stop else None


def _whole(digits: str) -> int | None:
    """Return the number; one that no file could have is the largest of all."""
    if not digits:
        return None
    return int(digits) if len(digits) <= _MOST_DIGITS else 10**_MOST_DIGITS


def _kind(file: File) -> str:
    """Return the content type: by the extension, as static servers do."""
    return TYPES[file.recipe.form][0].partition(";")[0]


def named_file(path: str) -> tuple[str, str] | None:
    """Return the session and the name of the file that *path* asks for.

    None where it is about no file. Nothing of it is ever a path of a real folder.
    """
    parts = path.split("/")
    if not path.startswith(f"{FILES_PATH}/"):
        return None
    return (parts[3], parts[4]) if len(parts) == _PATH_PARTS else ("", "")


class Bucket:
    """An ASGI application: the bucket into which WAHA puts its files instead.

    Attributes:
        keys: how many requests came with WAHA's API key, which is no business of a bucket's.
    """

    def __init__(self, files: FileServer, media: Media) -> None:
        """Serve what *files* does, where *media* says that the bucket is."""
        self._files = files
        self._path = urlsplit(media.store_url or "").path.rstrip("/")
        self.keys = 0

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        """Answer who has a signed address."""
        if scope["type"] != "http":
            return
        self.keys += any(name.lower() == b"x-api-key" for name, _ in scope["headers"])
        query = parse_qs(scope["query_string"].decode("latin-1"))
        if not query.get("X-Amz-Signature"):
            body = b"<Error><Code>AccessDenied</Code></Error>"
            await send_answer(Answer(status=403, body=body, kind="application/xml"), send)
            return
        path = unquote(scope["path"]).removeprefix(self._path)
        session, _, name = path.removeprefix("/").partition("/")
        if scope["method"] not in {"GET", "HEAD"}:
            name = ""
        await self._files.serve(session, name, scope, receive, send)
