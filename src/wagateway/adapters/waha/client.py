"""WAHA, asked over its REST API. Source: WAHA OpenAPI 2026.9; recorded WAHA 2024.10 answers."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from urllib.parse import quote

import httpx
from typing_extensions import override

from wagateway.adapters.waha import listings
from wagateway.adapters.waha.fields import obj, text
from wagateway.adapters.waha.transport import Manners, Transport, open_transport
from wagateway.adapters.waha.turnstile import LocalTurnstile
from wagateway.domain.errors import EngineUnavailable, NotFound, NotSupported
from wagateway.domain.identity import Jid, SessionName, StanzaId
from wagateway.ports.clock import Clock
from wagateway.ports.engine import (
    Engine,
    EngineChat,
    EngineSession,
    EngineVersion,
    GroupMembers,
    MessageRow,
    Told,
)
from wagateway.ports.turnstile import Turnstile

_SHORT_S = 10.0
_COMMAND_S = 20.0
_MESSAGES_S = 30.0
_MEDIA_S = 120.0
_NOT_ALL = frozenset({"WEBJS", "WPP"})
_PARTS = 3
"""Of a serialised id: whether it is ours, the chat, the stanza id; in groups the author, too."""
"""Engines that cannot list the messages of all chats at once."""


class WahaEngine(Engine):
    """One WAHA server."""

    def __init__(self, transport: Transport, clock: Clock) -> None:
        """Ask over *transport*, which stays the caller's."""
        self._transport = transport
        self._clock = clock

    async def _get(self, path: str, *, timeout_s: float = _SHORT_S, **params: str | int) -> bytes:
        return await self._transport.get(path, timeout_s=timeout_s, params=params)

    @override
    async def version(self) -> EngineVersion:
        told = listings.an_object(await self._get("api/server/version"))
        engine = text(told.get("engine"))
        return EngineVersion(
            version=text(told.get("version")) or "unknown",
            engine=engine.upper() if engine else None,
        )

    @override
    async def healthy(self) -> bool:
        try:
            told = listings.an_object(await self._get("health"))
        except EngineUnavailable:
            return False
        return told.get("status") == "ok"

    @override
    async def sessions(self) -> list[EngineSession]:
        body = await self._get("api/sessions", all="true")
        at = self._clock()
        nodes = (obj(listings.decoded(raw)) for raw in listings.elements(body))
        found = [listings.session_of(node, at=at) for node in nodes]
        return sorted((each for each in found if each is not None), key=lambda each: each.name)

    @override
    async def session(self, name: SessionName) -> EngineSession:
        node = listings.an_object(await self._get(f"api/sessions/{_part(name)}"))
        found = listings.session_of(node, at=self._clock())
        if found is None or found.name != name:
            raise EngineUnavailable("WAHA's answer is about another session")
        return found

    async def _command(self, name: SessionName, what: str) -> None:
        path = f"api/sessions/{_part(name)}/{what}"
        await self._transport.post(path, timeout_s=_COMMAND_S)

    @override
    async def start(self, name: SessionName) -> None:
        await self._command(name, "start")

    @override
    async def stop(self, name: SessionName) -> None:
        await self._command(name, "stop")

    @override
    async def restart(self, name: SessionName) -> None:
        await self._command(name, "restart")

    @override
    async def logout(self, name: SessionName) -> None:
        await self._command(name, "logout")

    @override
    async def qr(self, name: SessionName) -> str:
        body = await self._get(f"api/{_part(name)}/auth/qr", format="raw")
        return _required(listings.an_object(body).get("value"))

    @override
    async def pairing_code(self, name: SessionName, phone: str) -> str:
        path = f"api/{_part(name)}/auth/request-code"
        told = await self._transport.post(path, timeout_s=_COMMAND_S, body={"phoneNumber": phone})
        return _required(listings.an_object(told).get("code"))

    @override
    async def chats(self, session: EngineSession, *, limit: int, offset: int) -> list[EngineChat]:
        body = await self._get(
            f"api/{_part(session.name)}/chats",
            timeout_s=_MESSAGES_S,
            limit=limit,
            offset=offset,
            sortBy="conversationTimestamp",
            sortOrder="desc",
        )
        found = (listings.chat_of(raw) for raw in listings.elements(body))
        return [each for each in found if each is not None]

    @override
    async def messages(
        self, session: EngineSession, chat: Jid | None, *, limit: int, offset: int
    ) -> list[MessageRow]:
        if chat is None and session.engine in _NOT_ALL:
            raise NotSupported(f"{session.engine} cannot list the messages of all chats at once")
        body = await self._get(
            f"api/{_part(session.name)}/chats/{_part(chat or 'all')}/messages",
            timeout_s=_MESSAGES_S,
            limit=limit,
            offset=offset,
            sortBy="timestamp",
            sortOrder="desc",
            downloadMedia="false",
        )
        return self._rows(body, session)

    def _rows(self, body: bytes, session: EngineSession) -> list[MessageRow]:
        at = self._clock()
        return [listings.row_of(raw, session, at=at) for raw in listings.elements(body)]

    @override
    async def message(
        self,
        session: EngineSession,
        chat: Jid,
        stanza: StanzaId,
        *,
        waha_id: str | None = None,
        download_media: bool = False,
    ) -> MessageRow:
        named = _chat_in(waha_id or "", stanza)
        if waha_id is not None and named is not None:
            with suppress(NotFound):  # it may be called by another id by now
                return await self._message(session, named, waha_id, download=download_media)
        return await self._message(session, chat, stanza, download=download_media)

    async def _message(
        self, session: EngineSession, chat: str, message: str, *, download: bool
    ) -> MessageRow:
        body = await self._get(
            f"api/{_part(session.name)}/chats/{_part(chat)}/messages/{_part(message)}",
            timeout_s=_MEDIA_S if download else _MESSAGES_S,
            downloadMedia="true" if download else "false",
        )
        if not obj(listings.decoded(body)):
            raise NotFound(f"WAHA does not know the message {message}")
        return listings.row_of(body, session, at=self._clock())

    @override
    async def contacts(self, session: EngineSession, *, limit: int, offset: int) -> list[Told]:
        body = await self._get(
            "api/contacts/all",
            timeout_s=_MESSAGES_S,
            session=session.name,
            limit=limit,
            offset=offset,
            sortBy="id",
        )
        return listings.contacts_of(body, session, at=self._clock())

    @override
    async def groups(self, session: EngineSession) -> list[Told]:
        body = await self._get(f"api/{_part(session.name)}/groups", timeout_s=_MESSAGES_S)
        return listings.groups_of(body, session, at=self._clock())

    @override
    async def members(self, session: EngineSession, group: Jid) -> GroupMembers:
        path = f"api/{_part(session.name)}/groups/{_part(group)}/participants/v2"
        body = await self._get(path, timeout_s=_MESSAGES_S)
        return listings.members_of(body, group, session, at=self._clock())

    @override
    async def lids(self, session: EngineSession, *, limit: int, offset: int) -> list[Told]:
        path = f"api/{_part(session.name)}/lids"
        body = await self._get(path, timeout_s=_MESSAGES_S, limit=limit, offset=offset)
        return listings.lids_of(body, session, at=self._clock())

    @override
    async def picture(self, session: EngineSession, chat: Jid) -> str | None:
        body = await self._get(f"api/{_part(session.name)}/chats/{_part(chat)}/picture")
        return text(listings.an_object(body).get("url"))


def _chat_in(waha_id: str, stanza: str) -> str | None:
    """Return the chat that a serialised id of *stanza* names; None where it is no such id."""
    parts = waha_id.split("_")
    named = len(parts) >= _PARTS and parts[2] == stanza and "@" in parts[1]
    return parts[1] if named else None


def _part(name: str) -> str:
    """Return *name* as one part of a path, whatever stands in it."""
    quoted = quote(name, safe="@")
    return {".": "%2E", "..": "%2E%2E"}.get(quoted, quoted)


def _required(value: object) -> str:
    found = text(value)
    if found is None:
        raise EngineUnavailable("WAHA's answer lacks what was asked for")
    return found


@asynccontextmanager
async def open_engine(
    url: str,
    key: str | None,
    *,
    clock: Clock,
    manners: Manners | None = None,
    turnstile: Turnstile | None = None,
    transport: httpx.AsyncBaseTransport | None = None,
) -> AsyncIterator[WahaEngine]:
    """Open the WAHA server at *url*.

    Args:
        url: e.g. ``http://127.0.0.1:3000``.
        key: its API key; None sends none.
        clock: tells when something was asked.
        manners: how it is treated; sane ones if None.
        turnstile: keeps their pace, for all who ask that server; for this process alone if None.
        transport: instead of the network, for tests.
    """
    manners = manners or Manners()
    async with open_transport(
        url,
        key,
        manners=manners,
        turnstile=turnstile or LocalTurnstile(manners.pace),
        transport=transport,
    ) as opened:
        yield WahaEngine(opened, clock)
