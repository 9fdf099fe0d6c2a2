"""Sessions: one archive per account, whatever session name it comes under."""

from datetime import timedelta

import msgspec
import pytest
from tests.contracts.archives import Backend
from tests.support.deliveries import (
    ANA,
    ANA_LID,
    BAKERY,
    BRUNO,
    GROUP,
    NOON,
    SECOND,
    SESSION,
    delivery,
    edited,
    linked,
    reacted,
    seen,
)
from tests.support.reading import chat_ids, outcomes, texts

from wagateway.domain.errors import NotFound
from wagateway.domain.events import (
    Account,
    ContactSeen,
    Delivery,
    NotArchived,
    NotUnderstood,
    SessionChanged,
    SessionStatus,
    Source,
)
from wagateway.domain.identity import Jid, SessionName
from wagateway.ports.archive import ArchiveReader, LogFilter

HOUR = timedelta(hours=1)
OTHER = Account(phone=Jid("5511912340002@c.us"), push_name="Oficina")


class TestAccounts:
    async def test_another_account_under_one_session_name_is_another_archive(
        self, archive: Backend
    ) -> None:
        await archive.record(delivery(seen("padaria"), linked(), account=BAKERY))
        later = NOON + HOUR
        assert outcomes(
            await archive.record(
                delivery(seen("oficina"), account=OTHER, at=later),
                delivery(seen(chat=ANA_LID, stanza="A2"), account=OTHER, at=later),
            )
        ) == ["stored", "stored"]
        views = await archive.reader.sessions()
        assert [(v.session, v.account, v.current) for v in views] == [
            (SESSION, OTHER.phone, True),
            (SESSION, BAKERY.phone, False),
        ]
        assert await texts(archive.reader, ANA) == ["oficina"]
        assert await chat_ids(archive.reader) == {ANA, ANA_LID}
        assert await archive.reader.links(SESSION) == []

    async def test_the_first_account_comes_back_to_its_own_archive(self, archive: Backend) -> None:
        await archive.record(delivery(seen("padaria"), account=BAKERY))
        await archive.record(delivery(seen("oficina"), account=OTHER, at=NOON + HOUR))
        again = delivery(seen("padaria"), account=BAKERY, at=NOON + HOUR + SECOND)
        assert outcomes(await archive.record(again)) == ["duplicate"]
        assert await texts(archive.reader, ANA) == ["padaria"]
        assert [v.current for v in await archive.reader.sessions()] == [True, False]

    async def test_both_accounts_in_one_group_of_deliveries_stay_apart(
        self, archive: Backend
    ) -> None:
        told = [
            delivery(seen("padaria"), account=BAKERY),
            delivery(seen("oficina"), account=OTHER, at=NOON + SECOND),
            delivery(edited("padaria 2"), account=BAKERY, at=NOON + 2 * SECOND),
            delivery(reacted("👍"), account=OTHER, at=NOON + 3 * SECOND),
        ]
        assert outcomes(await archive.record(*told, *told)) == ["stored"] * 4 + ["duplicate"] * 4
        assert await texts(archive.reader, ANA) == ["oficina"]
        await archive.record(delivery(NotArchived(reason="presence"), at=NOON + HOUR))
        assert await texts(archive.reader, ANA) == ["padaria 2"]

    async def test_what_names_no_account_belongs_to_the_current_archive(
        self, archive: Backend
    ) -> None:
        await archive.record(delivery(seen("padaria"), account=BAKERY))
        await archive.record(delivery(seen("oficina"), account=OTHER, at=NOON + HOUR))
        nameless = delivery(edited("oficina 2"), account=None, at=NOON + HOUR + SECOND)
        await archive.record(nameless)
        assert await texts(archive.reader, ANA) == ["oficina 2"]
        assert len(await archive.reader.sessions()) == 2

    async def test_an_archive_learns_its_account_later(self, archive: Backend) -> None:
        await archive.record(delivery(seen("um"), account=None))
        (view,) = await archive.reader.sessions()
        assert (view.account, view.current) == (None, True)
        await archive.record(delivery(seen("dois", stanza="A2", sent_at=NOON + SECOND)))
        (view,) = await archive.reader.sessions()
        assert view.account == BAKERY.phone
        assert await texts(archive.reader, ANA) == ["um", "dois"]

    async def test_what_comes_late_from_the_former_account_does_not_make_it_current(
        self, archive: Backend
    ) -> None:
        await archive.record(delivery(seen("padaria"), account=BAKERY))
        await archive.record(delivery(seen("oficina"), account=OTHER, at=NOON + HOUR))
        late = delivery(seen("tarde", stanza="A2"), account=BAKERY, at=NOON + SECOND)
        await archive.record(late)
        assert await texts(archive.reader, ANA) == ["oficina"]

    async def test_an_engine_s_clock_that_is_ahead_does_not_rule_for_ever(
        self, archive: Backend
    ) -> None:
        future = msgspec.structs.replace(
            delivery(seen("padaria"), account=BAKERY), occurred_at=NOON + 9999 * HOUR
        )
        await archive.record(future)
        await archive.record(delivery(seen("oficina"), account=OTHER, at=NOON + HOUR))
        assert await texts(archive.reader, ANA) == ["oficina"]

    async def test_sessions_are_apart_though_the_account_is_one(self, archive: Backend) -> None:
        await archive.record(delivery(seen("um"), session="a"), delivery(seen("dois"), session="b"))
        assert await texts(archive.reader, ANA, SessionName("a")) == ["um"]
        assert await texts(archive.reader, ANA, SessionName("b")) == ["dois"]


class TestFormerAccounts:
    """What a session had under another account can be read by naming the account."""

    @pytest.fixture
    async def reader(self, archive: Backend) -> ArchiveReader:
        ana = ContactSeen(contact=ANA, push_name="Ana", at=NOON)
        await archive.record(
            delivery(seen("padaria"), linked(), account=BAKERY),
            delivery(seen("do lid", chat=ANA_LID, stanza="A2"), ana, account=BAKERY),
        )
        await archive.record(
            delivery(seen("oficina", chat=BRUNO), account=OTHER, at=NOON + HOUR),
            delivery(seen("grupo", chat=GROUP, by=BRUNO), account=OTHER, at=NOON + HOUR),
        )
        return archive.reader

    async def test_messages(self, reader: ArchiveReader) -> None:
        page = await reader.messages(SESSION, [ANA], account=BAKERY.phone)
        assert {message.text for message in page.messages} == {"padaria", "do lid"}
        current = await reader.messages(SESSION, [BRUNO], account=OTHER.phone)
        assert current == await reader.messages(SESSION, [BRUNO])
        assert [message.text for message in current.messages] == ["oficina"]

    async def test_its_own_links_and_name_count(self, reader: ArchiveReader) -> None:
        page = await reader.messages(SESSION, [ANA_LID], account=BAKERY.phone)
        assert {message.chat_id for message in page.messages} == {ANA}
        assert all(message.sender_id == ANA for message in page.messages)

    async def test_chats(self, reader: ArchiveReader) -> None:
        former = await reader.chats(SESSION, account=BAKERY.phone)
        assert [chat.id for chat in former.chats] == [ANA]
        assert {chat.id for chat in (await reader.chats(SESSION)).chats} == {BRUNO, GROUP}

    async def test_contacts(self, reader: ArchiveReader) -> None:
        former = await reader.contacts(SESSION, account=BAKERY.phone)
        assert "Ana" in {contact.push_name for contact in former.contacts}
        assert ANA not in {contact.id for contact in (await reader.contacts(SESSION)).contacts}

    async def test_pages_stay_in_the_archive(self, reader: ArchiveReader) -> None:
        first = await reader.messages(SESSION, [ANA], account=BAKERY.phone, limit=1)
        rest = await reader.messages(SESSION, [ANA], account=BAKERY.phone, before=first.next)
        assert len(first.messages) == len(rest.messages) == 1
        assert first.messages[0].id != rest.messages[0].id

    async def test_a_chat_of_the_other_account_is_not_found(self, reader: ArchiveReader) -> None:
        with pytest.raises(NotFound, match=f"no chat {BRUNO}"):
            await reader.messages(SESSION, [BRUNO], account=BAKERY.phone)
        with pytest.raises(NotFound, match=f"no chat {ANA}"):
            await reader.messages(SESSION, [ANA])

    @pytest.mark.parametrize("account", [BRUNO, BAKERY.lid])
    async def test_an_account_that_never_was_is_not_found(
        self, reader: ArchiveReader, account: Jid
    ) -> None:
        for answer in (
            reader.messages(SESSION, [ANA], account=account),
            reader.chats(SESSION, account=account),
            reader.contacts(SESSION, account=account),
        ):
            with pytest.raises(NotFound, match=f"never had the account {account}"):
                await answer

    async def test_an_unknown_session_is_named_before_its_account(
        self, reader: ArchiveReader
    ) -> None:
        with pytest.raises(NotFound, match=r"no session 'nowhere', only 'vendas'$"):
            await reader.chats(SessionName("nowhere"), account=BAKERY.phone)

    async def test_who_links_in_an_unknown_session_is_told_which_there_are(
        self, archive: Backend
    ) -> None:
        nowhere = SessionName("nowhere")
        with pytest.raises(NotFound, match="no session 'nowhere', nor any other yet"):
            await archive.archive.link(nowhere, ANA_LID, ANA, at=NOON)
        await archive.record(delivery(seen(), session="b"), delivery(seen(), session="B"))
        with pytest.raises(NotFound, match=r"no session 'nowhere', only 'B', 'b'$"):
            await archive.archive.link(nowhere, ANA_LID, ANA, at=NOON)
        with pytest.raises(NotFound, match=r"'B', 'b'$"):
            await archive.reader.links(nowhere)


class TestLife:
    async def test_the_latest_state_is_shown_whatever_the_order(self, archive: Backend) -> None:
        working = SessionChanged(status=SessionStatus.WORKING, at=NOON + HOUR)
        starting = SessionChanged(status=SessionStatus.STARTING, at=NOON)
        recorded = await archive.record(
            *(
                delivery(*told, at=NOON + HOUR)
                for told in ((working,), (starting,), (working,), (starting, working))
            )
        )
        assert outcomes(recorded) == ["stored", "stored", "duplicate", "duplicate"]
        (view,) = await archive.reader.sessions()
        assert (view.status, view.status_at) == (SessionStatus.WORKING, NOON + HOUR)

    async def test_a_state_of_an_engine_whose_clock_is_ahead_is_no_later_than_it_came(
        self, archive: Backend
    ) -> None:
        failed = SessionChanged(status=SessionStatus.FAILED, at=NOON + 9 * HOUR)
        working = SessionChanged(status=SessionStatus.WORKING, at=NOON + 10 * HOUR)
        await archive.record(delivery(failed))
        (view,) = await archive.reader.sessions()
        assert (view.status, view.status_at) == (SessionStatus.FAILED, NOON + SECOND)
        # The next tells what came before it again, and both are of a time to come.
        both = delivery(failed, working, at=NOON + HOUR)
        assert outcomes(await archive.record(both, both)) == ["stored", "duplicate"]
        (view,) = await archive.reader.sessions()
        assert (view.status, view.status_at) == (SessionStatus.WORKING, NOON + HOUR + SECOND)
        # By now its clock is right.
        stopped = SessionChanged(status=SessionStatus.STOPPED, at=NOON + 2 * HOUR)
        await archive.record(delivery(failed, working, stopped, at=NOON + 2 * HOUR))
        (view,) = await archive.reader.sessions()
        assert (view.status, view.status_at) == (SessionStatus.STOPPED, NOON + 2 * HOUR)

    async def test_a_replay_gives_a_state_of_a_time_to_come_the_time_when_it_was_received(
        self, archive: Backend
    ) -> None:
        ahead = delivery(SessionChanged(status=SessionStatus.FAILED, at=NOON + 9 * HOUR))
        await archive.record(ahead)
        (view,) = await archive.reader.sessions()
        [body] = await archive.archive.logged(LogFilter(), after=0, limit=10)
        assert body.received_at == ahead.received_at
        assert outcomes(await archive.archive.reproject([(body.id, ahead)])) == ["duplicate"]
        assert await archive.reader.sessions() == [view]

    async def test_a_session_that_never_told_its_state_has_none(self, archive: Backend) -> None:
        await archive.record(delivery(seen()))
        (view,) = await archive.reader.sessions()
        assert (view.status, view.status_at, view.engine) == (None, None, "NOWEB")

    async def test_the_account_shows_its_latest_name(self, archive: Backend) -> None:
        for name in ("Padaria", "Padaria Nova", None):
            account = msgspec.structs.replace(BAKERY, push_name=name)
            await archive.record(delivery(seen(), account=account))
        (view,) = await archive.reader.sessions()
        assert view.push_name == "Padaria Nova"

    async def test_time_goes_forward_only(self, archive: Backend) -> None:
        await archive.record(delivery(seen(), at=NOON + HOUR))
        await archive.record(delivery(seen(chat=GROUP, by=ANA), at=NOON))
        (view,) = await archive.reader.sessions()
        assert view.last_event_at == NOON + HOUR

    async def test_what_sync_reads_is_no_webhook_that_came(self, archive: Backend) -> None:
        await archive.record(delivery(seen(), at=NOON))
        read = delivery(seen(stanza="A2"), at=NOON + HOUR, source=Source.SYNC)
        await archive.record(read)
        (view,) = await archive.reader.sessions()
        assert view.last_event_at == NOON
        await archive.record(delivery(seen(stanza="A3"), at=NOON + 2 * HOUR))
        (view,) = await archive.reader.sessions()
        assert view.last_event_at == NOON + 2 * HOUR

    async def test_an_account_that_sync_finds_is_the_current_one(self, archive: Backend) -> None:
        for hours, account in enumerate((BAKERY, OTHER, BAKERY)):
            working = SessionChanged(status=SessionStatus.WORKING, at=NOON + hours * HOUR)
            at = NOON + hours * HOUR
            await archive.record(delivery(working, at=at, account=account, source=Source.SYNC))
            views = await archive.reader.sessions()
            assert (views[0].account, views[0].last_event_at) == (account.phone, at)

    async def test_sessions_come_by_name(self, archive: Backend) -> None:
        for name in ("b", "B", "ä", "a"):
            await archive.record(delivery(seen(), session=name))
        assert [v.session for v in await archive.reader.sessions()] == ["B", "a", "b", "ä"]


class TestNobodysSession:
    async def test_what_names_no_session_and_says_nothing_begins_none(
        self, archive: Backend
    ) -> None:
        silent = (NotArchived(reason="presence"), NotUnderstood(reason="?", known_event=False))
        told = [delivery(one, session="", event="", account=None) for one in silent]
        assert outcomes(await archive.record(*told)) == ["ignored", "ignored"]
        assert await archive.reader.sessions() == []
        assert len((await archive.reader.events(LogFilter())).events) == 2
        bodies = await archive.archive.logged(LogFilter(), after=0, limit=10)
        again = [(body.id, one) for body, one in zip(bodies, told, strict=True)]
        assert outcomes(await archive.archive.reproject(again)) == ["ignored", "ignored"]

    async def test_what_names_no_session_and_says_something_is_kept(self, archive: Backend) -> None:
        recorded = await archive.record(delivery(seen("oi"), session="", account=None))
        assert outcomes(recorded) == ["stored"]
        assert [view.session for view in await archive.reader.sessions()] == [""]

    async def test_a_late_delivery_brings_no_old_name_back(self, archive: Backend) -> None:
        def named(name: str, *, at: timedelta) -> Delivery:
            account = Account(phone=BAKERY.phone, push_name=name)
            return delivery(NotArchived(reason="presence"), account=account, at=NOON + at)

        await archive.record(named("Padaria Nova", at=HOUR))
        await archive.record(named("Padaria Velha", at=-HOUR))
        (view,) = await archive.reader.sessions()
        assert view.push_name == "Padaria Nova"
