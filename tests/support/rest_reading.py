"""A patient client of WAHA's REST API, which reads all that there is."""

from collections.abc import AsyncIterator
from typing import Any

import httpx

Row = dict[str, Any]

_PAGE = 50
_TRIES = 60


class Waha:
    """Asks one simulated WAHA in its own process.

    Attributes:
        statuses: how often each status was answered.
    """

    def __init__(self, app: Any, key: str = "", *, patience_s: float = 5.0) -> None:  # noqa: ANN401 - an ASGI application
        self.statuses: dict[int, int] = {}
        self._client = httpx.AsyncClient(
            transport=httpx.ASGITransport(app, raise_app_exceptions=False),
            base_url="http://waha",
            headers={"X-Api-Key": key} if key else {},
            timeout=patience_s,
        )

    async def get(self, path: str, **query: Any) -> httpx.Response:  # noqa: ANN401 - any value
        """Return one answer; dots in names are written as two underscores."""
        params = {name.replace("__", "."): value for name, value in query.items()}
        answer = await self._client.get(path, params=params or None)
        self.statuses[answer.status_code] = self.statuses.get(answer.status_code, 0) + 1
        return answer

    async def post(self, path: str, **body: Any) -> httpx.Response:  # noqa: ANN401 - any value
        """Return one answer."""
        return await self._client.post(path, json=body)

    async def json(self, path: str, **query: Any) -> Any:  # noqa: ANN401 - any JSON value
        """Return what is answered with 200; ask again until then."""
        for _ in range(_TRIES):
            answer = await self.get(path, **query)
            if answer.status_code == httpx.codes.OK:
                return answer.json()
        raise AssertionError(f"{path}: {answer.status_code} {answer.text[:200]}")

    async def pages(self, path: str, **query: Any) -> AsyncIterator[Row]:  # noqa: ANN401 - as above
        """Yield the rows of all pages, until an empty one."""
        offset = 0
        while rows := await self.json(path, limit=_PAGE, offset=offset, **query):
            for row in rows:
                yield row
            offset += _PAGE

    async def chats(self, session: str) -> list[str]:
        """Return the ids of all chats."""
        return [chat_of(row) async for row in self.pages(f"/api/{session}/chats")]

    async def messages(self, session: str) -> list[Row]:
        """Return all messages of all chats."""
        return [
            row
            for chat in await self.chats(session)
            async for row in self.pages(
                f"/api/{session}/chats/{chat}/messages", downloadMedia="false"
            )
        ]


def chat_of(row: Row) -> str:
    """Return the id of a chat, whichever engine lists it."""
    id_ = row["id"]
    return str(id_["_serialized"] if isinstance(id_, dict) else id_)
