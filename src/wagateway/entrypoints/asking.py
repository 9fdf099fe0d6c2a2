"""Questions to programs of which nobody knows yet what they are."""

import asyncio
from typing import Final

import httpx
from typing_extensions import override

_WITHIN_S: Final = 8.0
_MOST_BYTES: Final = 16 * 2**20


class BoundedTransport(httpx.AsyncBaseTransport):
    """Reads each answer whole, within *within_s* seconds in all and up to *most_bytes*.

    A time limit of httpx itself is for each piece, and a stream that never ends keeps to it. Packed
    answers are refused, since few bytes may unpack to many.
    """

    def __init__(self, *, within_s: float = _WITHIN_S, most_bytes: int = _MOST_BYTES) -> None:
        self._transport = httpx.AsyncHTTPTransport(trust_env=False)
        self._within_s = within_s
        self._most_bytes = most_bytes

    @override
    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        request.headers["Accept-Encoding"] = "identity"
        try:
            async with asyncio.timeout(self._within_s):
                return await self._whole(request)
        except TimeoutError as exc:
            raise httpx.ReadTimeout("the answer does not end", request=request) from exc

    async def _whole(self, request: httpx.Request) -> httpx.Response:
        answer = await self._transport.handle_async_request(request)
        try:
            if "Content-Encoding" in answer.headers:
                raise httpx.RemoteProtocolError("the answer is packed", request=request)
            content = bytearray()
            async for piece in answer.aiter_raw():
                content += piece
                if len(content) > self._most_bytes:
                    raise httpx.RemoteProtocolError("the answer is too long", request=request)
        finally:
            await answer.aclose()
        return httpx.Response(answer.status_code, headers=answer.headers, content=bytes(content))

    @override
    async def aclose(self) -> None:
        await self._transport.aclose()


def asking(url: str) -> httpx.AsyncClient:
    """Return a client of the program at *url*, which is not told what the environment says."""
    return httpx.AsyncClient(base_url=url, transport=BoundedTransport(), trust_env=False)
