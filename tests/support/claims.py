"""Watches what the gateway claims to be complete, while it claims it."""

import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import psycopg

from wagateway.domain.identity import Jid
from wagateway.domain.spans import Span, Spans, difference, union
from wagateway.simulator.happenings import Direct, Note
from wagateway.simulator.hosted import Hosted
from wagateway.simulator.rest_rows import is_tombstone
from wagateway.simulator.store import Kept
from wagateway.simulator.waha_server import WahaServer

_LONGEST_CALL_S = 60.0
"""So old may a page be when the claim that it proves is stored: slow bodies, repeated calls."""

_Chat = tuple[str, str, Jid]


class Claims:
    """Compares claims with what the engine listed before they were made.

    Attributes:
        false: messages that a claim covers and the archive has not.
        checked: messages that claims cover and the archive has.
        looks: answers of the API that were compared.
    """

    def __init__(self, server: WahaServer, url: str, token: str, database_url: str) -> None:
        self._server = server
        self._url = url
        self._headers = {"X-Api-Token": token}
        self._database_url = database_url
        self._listed: dict[str, dict[Kept, float]] = {}
        self._claimed: dict[_Chat, Spans] = {}
        self._told: dict[str, dict[_Chat, Spans]] = {}
        self._looked_at: dict[str, float] = {}
        self.false: list[str] = []
        self.checked = 0
        self.looks = 0

    async def look(self) -> None:
        """Ask for the claims of every session, and compare those that are new.

        Raises:
            httpx.RequestError, psycopg.OperationalError: something is away; the next look has all
                that this one would have had.
        """
        for hosted in self._server.sessions.values():
            self._note_lists(hosted)
            before = self._looked_at.get(hosted.name, 0.0)
            looked_at = time.monotonic()
            if not await self._ask(hosted):
                continue
            news = self._news(hosted.name)
            offered = [
                kept
                for kept, at in self._of(hosted).items()
                if at < before - _LONGEST_CALL_S and not kept.forgotten
            ]
            await self._compare(hosted, offered, news)
            for chat, spans in news.items():
                self._claimed[chat] = union(self._claimed.get(chat, ()), spans)
            self._looked_at[hosted.name] = looked_at
            self.looks += 1

    async def conclude(self, *, until: datetime) -> int:
        """Compare all claims with all that is listed; return how many old rows nothing claims.

        Args:
            until: rows that are older are to be claimed by now.
        """
        unclaimed = 0
        for hosted in self._server.sessions.values():
            if not await self._ask(hosted):
                raise RuntimeError(f"{hosted.name} has no coverage")
            claims = self._told[hosted.name]
            rows = hosted.store.rows()
            await self._compare(hosted, rows, claims)
            unclaimed += sum(
                not self._is_claimed(hosted, kept.shown, claims)
                for kept in rows
                if _at(kept.shown) < until
            )
        return unclaimed

    def _note_lists(self, hosted: Hosted) -> None:
        of, now = self._of(hosted), time.monotonic()
        for kept in hosted.store.rows():
            of.setdefault(kept, now)

    def _of(self, hosted: Hosted) -> dict[Kept, float]:
        key = f"{hosted.name} {hosted.engine.account.phone_jid}"
        return self._listed.setdefault(key, {})

    async def _ask(self, hosted: Hosted) -> bool:
        """Take in what the API claims of the account that the session has now."""
        async with httpx.AsyncClient(trust_env=False, headers=self._headers, timeout=60) as client:
            answer = await client.get(f"{self._url}/api/coverage/{hosted.name}")
        if answer.status_code in {404, 503}:  # not begun, or its database is away
            return False
        answer.raise_for_status()
        told = answer.json()
        if told["account"] != hosted.engine.account.phone_jid:
            return False
        self._told[hosted.name] = dict(_claims(told))
        return True

    def _news(self, session: str) -> dict[_Chat, Spans]:
        told = self._told[session]
        return {
            chat: difference(spans, self._claimed.get(chat, ())) for chat, spans in told.items()
        }

    async def _compare(
        self, hosted: Hosted, offered: list[Kept], claims: dict[_Chat, Spans]
    ) -> None:
        claimed = {
            kept.shown.stanza: kept.shown
            for kept in offered
            if not is_tombstone(hosted.engine, kept)  # what it was is archived only if it was read
            and self._is_claimed(hosted, kept.shown, claims)
        }
        archived = await self._archived(hosted.name, list(claimed))
        self.checked += len(archived)
        self.false += [
            f"{hosted.name} {note.chat_jid} {stanza} of {_at(note)}"
            for stanza, note in claimed.items()
            if stanza not in archived
        ]

    async def _archived(self, session: str, stanzas: list[str]) -> set[str]:
        async with await psycopg.AsyncConnection.connect(self._database_url) as conn:
            cursor = await conn.execute(
                "SELECT DISTINCT stanza_id FROM whatsapp_gateway.messages"
                " WHERE session = %s AND stanza_id = ANY(%s)",
                [session, stanzas],
            )
            return {row[0] for row in await cursor.fetchall()}

    @staticmethod
    def _is_claimed(hosted: Hosted, note: Note, claims: dict[_Chat, Spans]) -> bool:
        account, chat = hosted.engine.account.phone_jid, Jid(note.chat_jid)
        spans = claims.get((hosted.name, account, chat))
        if spans is None and isinstance(note.chat, Direct):  # its hidden id is linked by now
            spans = claims.get((hosted.name, account, Jid(note.chat.person.phone_jid)))
        return any(_at(note) in span for span in spans or ())


def _claims(told: dict[str, Any]) -> Iterator[tuple[_Chat, Spans]]:
    for chat in told["chats"]:
        spans = tuple(
            Span(datetime.fromisoformat(span["begin"]), datetime.fromisoformat(span["end"]))
            for span in chat["complete"]
        )
        yield (told["session"], told["account"], Jid(chat["chat_id"])), spans


def _at(note: Note) -> datetime:
    return datetime.fromtimestamp(0, UTC) + timedelta(seconds=note.at_ms // 1000)
