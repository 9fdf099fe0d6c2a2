"""Reads an archive through wagateway's public HTTP API, as lines to compare with the truth."""

import asyncio
from collections.abc import AsyncIterator, Iterable, Iterator
from typing import Any

import httpx

from wagateway.simulator.truth import Line

_PAGE = "500"
_AT_ONCE = 8
"""Chats that are read at the same time."""


class ApiFailed(Exception):
    """The API did not answer as it should; the message says what it said."""


class WagatewayApi:
    """One gateway's API.

    Args:
        url: where the gateway is, without ``/api``.
        token: for ``X-Api-Token``.
        timeout_s: of one request.
        transport: instead of the network, for instance ``httpx.ASGITransport``.
    """

    def __init__(
        self,
        url: str,
        token: str,
        *,
        timeout_s: float = 60.0,
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        self._client = httpx.AsyncClient(
            base_url=url.rstrip("/").removesuffix("/api"),
            headers={"X-Api-Token": token},
            timeout=timeout_s,
            trust_env=False,
            transport=transport,
        )

    async def lines(self, sessions: list[str]) -> AsyncIterator[Line]:
        """Yield all archives of *sessions*, their chats and messages.

        Raises:
            ApiFailed: an answer is an error, or none comes.
        """
        async with self._client:
            try:
                for found in (await self._get("/api/sessions"))["sessions"]:
                    if found["session"] in sessions:
                        yield {**found, "type": "archive"}
                        async for line in self._archive(found["session"], found["account"]):
                            yield line
            except (KeyError, TypeError) as exc:  # WAHA itself, for instance, has such a path too
                raise ApiFailed(
                    f"{self._client.base_url} answers otherwise than wagateway: is the address "
                    "right?"
                ) from exc

    async def _archive(self, session: str, account: str | None) -> AsyncIterator[Line]:
        named = {"account": account} if account else {}
        chats = [c async for c in self._all(f"/api/chats/{session}", "chats", "cursor", named)]
        for chat in chats:
            yield {**chat, "type": "chat", "account": account}
        for first in range(0, len(chats), _AT_ONCE):
            some = chats[first : first + _AT_ONCE]
            for lines in await asyncio.gather(
                *(self._messages(session, chat["id"], account, named) for chat in some)
            ):
                for line in lines:
                    yield line

    async def _messages(
        self, session: str, chat: str, account: str | None, named: dict[str, str]
    ) -> list[Line]:
        pages = self._all(f"/api/messages/{session}/{chat}", "messages", "before", named)
        return list(as_lines([message async for message in pages], account))

    async def _all(
        self, path: str, field: str, cursor: str, query: dict[str, str]
    ) -> AsyncIterator[Line]:
        """Yield the objects of all pages."""
        asked = {**query, "limit": _PAGE}
        while True:
            page = await self._get(path, asked)
            for each in page[field]:
                yield each
            if page["next"] is None:
                return
            asked[cursor] = page["next"]

    async def _get(self, path: str, query: dict[str, str] | None = None) -> Any:  # noqa: ANN401 - JSON
        try:
            answer = await self._client.get(path, params=query)
            while answer.status_code == httpx.codes.TOO_MANY_REQUESTS:
                await asyncio.sleep(_asked_s(answer))
                answer = await self._client.get(path, params=query)
        except httpx.RequestError as exc:
            raise ApiFailed(f"{type(exc).__name__} on {path}: is the address right?") from exc
        except (httpx.InvalidURL, OverflowError) as exc:
            raise ApiFailed(f"the address is none that can be asked: {exc}") from exc
        if answer.status_code == httpx.codes.UNAUTHORIZED:
            raise ApiFailed(f"401 on {path}: the token is missing or wrong")
        if not answer.is_success:
            raise ApiFailed(f"{answer.status_code} on {path}: {answer.text[:300]}")
        try:
            return answer.json()
        except ValueError as exc:
            raise ApiFailed(f"no JSON on {path}") from exc


def _asked_s(answer: httpx.Response) -> float:
    """Return for how long the gateway asks to wait."""
    asked = answer.headers.get("Retry-After", "")
    return min(float(asked), 60.0) if asked.isascii() and asked.isdigit() else 1.0


def as_lines(messages: Iterable[Line], account: str | None) -> Iterator[Line]:
    """Turn messages as wagateway's API shows them into lines to compare."""
    for message in messages:
        poll = message.get("poll")
        line = {
            **message,
            "type": "message",
            "account": account,
            "revoked": message["revoked_at"] is not None,
            "edits": [edit["text"] for edit in message["edits"]],
        }
        if poll:
            votes = [
                {**vote, "options": vote["options"] and sorted(vote["options"])}
                for vote in poll.get("votes", [])
            ]
            line["poll"] = {**poll, "votes": votes}
        yield line
