"""An engine in memory: lists of messages that tests change, and failures on request."""

from collections.abc import Collection
from datetime import datetime, timedelta

from tests.support.deliveries import BAKERY, NOON, SESSION, delivery, seen
from typing_extensions import override

from wagateway.domain.errors import NotFound, NotSupported, SessionNotReady
from wagateway.domain.events import (
    Account,
    ContactSeen,
    Delivery,
    GroupChanged,
    Member,
    Role,
    SessionChanged,
    SessionStatus,
    Source,
)
from wagateway.domain.identity import Jid, SessionName, StanzaId
from wagateway.ports.engine import (
    Engine,
    EngineChat,
    EngineSession,
    EngineVersion,
    GroupMembers,
    MessageRow,
    Told,
)

_ENDLESS = 5000


class FakeEngine(Engine):
    """One session.

    Attributes:
        rows: messages by chat, newest first.
        failures: raised by the next requests for a chat's messages, in order; None lets one pass.
        subjects, roles: of groups; *tells_members*: the list of groups has their members too.
        group_failures: raised by requests for a group's members, by group.
        people_failure: raised by requests for contacts; None lets them pass.
        pages_lists: whether lists of chats and contacts heed their offset.
        fixed_order: whether chats are listed as they were added, not by their activity.
        away: raised by every request for the session; None lets it pass.
        requests: how often each method was called.
    """

    def __init__(self, *, lists_all: bool = True) -> None:
        self.lists_all = lists_all
        self.status = SessionStatus.WORKING
        self.unknown_session = False
        self.account: Account | None = BAKERY
        self.at = NOON
        self.rows: dict[Jid, list[MessageRow]] = {}
        self.names: dict[Jid, str] = {}
        self.subjects: dict[Jid, str] = {}
        self.roles: dict[Jid, dict[Jid, Role]] = {}
        self.tells_members = True
        self.group_failures: dict[Jid, Exception] = {}
        self.people_failure: Exception | None = None
        self.pages_lists = True
        self.fixed_order = False
        self.away: Exception | None = None
        self.failures: list[Exception | None] = []
        self.requests: dict[str, int] = {}

    def _count(self, what: str) -> None:
        self.requests[what] = self.requests.get(what, 0) + 1
        if self.requests[what] > _ENDLESS:
            raise AssertionError(f"{what} is asked for without end")

    def add(self, chat: Jid, stanza: str, sent_at: datetime) -> MessageRow:
        """Put a message where its time belongs."""
        told = delivery(
            seen(stanza, chat=chat, stanza=stanza, sent_at=sent_at),
            event="sync.message",
            source=Source.SYNC,
        )
        row = MessageRow(
            stanza=StanzaId(stanza), sent_at=sent_at.replace(microsecond=0), delivery=told
        )
        listed = self.rows.setdefault(chat, [])
        listed.insert(0, row)
        listed.sort(key=_sent_at, reverse=True)
        return row

    @override
    async def version(self) -> EngineVersion:
        return EngineVersion(version="2026.9.2", engine="NOWEB")

    @override
    async def healthy(self) -> bool:
        return True

    @override
    async def sessions(self) -> list[EngineSession]:
        self._count("sessions")
        told = SessionChanged(status=self.status, at=self.at)
        return [
            EngineSession(
                name=SESSION,
                status=self.status,
                engine="NOWEB",
                account=self.account,
                delivery=delivery(
                    told, account=self.account, event="session.status", source=Source.SYNC
                ),
            )
        ]

    @override
    async def session(self, name: SessionName) -> EngineSession:
        self._count("session")
        if self.away is not None:
            raise self.away
        if self.unknown_session:
            raise NotFound(f"no session {name}")
        [found] = await self.sessions()
        return found

    async def _nothing(self, name: SessionName) -> None:
        raise NotSupported(f"{name} is not real")

    start = stop = restart = logout = _nothing

    @override
    async def qr(self, name: SessionName) -> str:
        raise NotSupported(f"{name} is not real")

    @override
    async def pairing_code(self, name: SessionName, phone: str) -> str:
        raise NotSupported(f"{name} is not real")

    @override
    async def chats(self, session: EngineSession, *, limit: int, offset: int) -> list[EngineChat]:
        self._count("chats")
        found = [
            EngineChat(chat=chat, active_at=rows[0].sent_at if rows else None)
            for chat, rows in self.rows.items()
        ]
        if not self.fixed_order:
            found.sort(key=_active_at, reverse=True)
        return found[offset : offset + limit] if self.pages_lists else found

    @override
    async def messages(
        self, session: EngineSession, chat: Jid | None, *, limit: int, offset: int
    ) -> list[MessageRow]:
        self._count("messages")
        if self.status is not SessionStatus.WORKING:
            raise SessionNotReady(self.status)
        if chat is None and not self.lists_all:
            raise NotSupported("this engine cannot list all chats at once")
        if chat and self.failures and (failure := self.failures.pop(0)) is not None:
            raise failure
        if chat is None:
            rows = [row for rows in self.rows.values() for row in rows]
            rows.sort(key=_sent_at, reverse=True)
        elif chat in self.rows:
            rows = self.rows[chat]
        else:
            raise NotFound(f"no chat {chat}")
        return rows[offset : offset + limit]

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
        for row in self.rows.get(chat, ()):
            if row.stanza == stanza:
                return row
        raise NotFound(f"no message {stanza} in {chat}")

    @override
    async def contacts(self, session: EngineSession, *, limit: int, offset: int) -> list[Told]:
        self._count("contacts")
        if self.people_failure is not None:
            raise self.people_failure
        found = [
            Told(
                about=who,
                digest=name.encode(),
                delivery=delivery(
                    ContactSeen(contact=who, at=self.at, name=name),
                    event="sync.contact",
                    source=Source.SYNC,
                ),
            )
            for who, name in sorted(self.names.items())
        ]
        return found[offset : offset + limit] if self.pages_lists else found

    @override
    async def groups(self, session: EngineSession) -> list[Told]:
        self._count("groups")
        return [
            Told(
                about=group,
                digest=subject.encode(),
                delivery=delivery(
                    GroupChanged(group=group, at=NOON, subject=subject),
                    event="sync.group",
                    source=Source.SYNC,
                ),
                members=self._members_of(group) if self.tells_members else None,
            )
            for group, subject in self.subjects.items()
        ]

    def _members_of(self, group: Jid) -> GroupMembers:
        roles, at = dict(self.roles.get(group, {})), self.at

        def told_of(people: Collection[Jid]) -> Delivery:
            changed = tuple(Member(jid=who, role=roles[who]) for who in sorted(people))
            return delivery(
                GroupChanged(group=group, at=at, members=changed),
                event="sync.members",
                source=Source.SYNC,
            )

        return GroupMembers(group=group, roles=roles, told_of=told_of)

    @override
    async def members(self, session: EngineSession, group: Jid) -> GroupMembers:
        self._count("members")
        if group in self.group_failures:
            raise self.group_failures[group]
        return self._members_of(group)

    @override
    async def lids(self, session: EngineSession, *, limit: int, offset: int) -> list[Told]:
        raise NotSupported("no links")

    @override
    async def picture(self, session: EngineSession, chat: Jid) -> str | None:
        return None


def _active_at(listed: EngineChat) -> datetime:
    return listed.active_at or NOON - timedelta(days=9000)


def _sent_at(row: MessageRow) -> datetime:
    return row.sent_at or NOON
