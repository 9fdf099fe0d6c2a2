"""PostgreSQL answers and shows what memory does, whatever is told, linked and undone."""

import itertools
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import NamedTuple

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.contracts.archives import Backend, backend, in_memory
from tests.support.deliveries import (
    ANA,
    ANA_LID,
    BAKERY,
    BRUNO,
    BRUNO_LID,
    GROUP,
    NOON,
    SECOND,
    delivery,
    linked,
    twin_worlds,
    worlds,
)
from tests.support.depth import examples
from tests.support.postgres import USUAL, Servers

from wagateway.domain.errors import NotFound
from wagateway.domain.events import Account, Delivery
from wagateway.domain.feed import Item
from wagateway.domain.identity import Jid, SessionName
from wagateway.domain.purges import Purge, PurgeCounts

HOUR = timedelta(hours=1)


class Tell(NamedTuple):
    """A group of deliveries arrives."""

    group: list[Delivery]

    async def act(self, archive: Backend, session: SessionName, step: int) -> object:
        told = [msgspec.structs.replace(one, session=session) for one in self.group]
        return await archive.record(*told)


class Link(NamedTuple):
    """A person says who a LID is."""

    lid: Jid
    phone: Jid

    async def act(self, archive: Backend, session: SessionName, step: int) -> object:
        at = NOON + step * SECOND
        return await archive.archive.link(session, self.lid, self.phone, at=at)


class Unlink(NamedTuple):
    """A person undoes it."""

    lid: Jid

    async def act(self, archive: Backend, session: SessionName, step: int) -> object:
        return await archive.archive.unlink(session, self.lid, at=NOON + step * SECOND)


class Forget(NamedTuple):
    """A person purges a chat, or all."""

    chat: Jid | None
    before: int

    async def act(self, archive: Backend, session: SessionName, step: int) -> object:
        chat = None if self.chat is None else [self.chat]
        before, gone = NOON + self.before * SECOND, []
        for target in await archive.purges.targets(session, chat=chat):
            made = Purge(chat=target.chat, before=before, purged_at=NOON, purged_by="maria")
            gone.append(await archive.purges.count(target, before))
            await archive.purges.remember(target, made)
            while some := await archive.purges.step(target, before, limit=2, at=NOON):
                gone.append(some)
            await archive.purges.finish(target, made)
        return sum(gone[1:], PurgeCounts()), gone[:1]


Act = Tell | Link | Unlink | Forget

_lids = st.sampled_from([ANA_LID, BRUNO_LID])
_phones = st.sampled_from([ANA, BRUNO])
_told_links = st.tuples(_lids, _phones, st.integers(0, 3)).map(
    lambda link: [delivery(linked(link[0], link[1]), at=NOON + link[2] * SECOND)]
)
_acts: st.SearchStrategy[Act] = st.one_of(
    worlds(max_size=6).map(Tell),
    worlds(max_size=6, pictures=True).map(Tell),
    twin_worlds().map(Tell),
    _told_links.map(Tell),
    st.builds(Link, _lids, _phones),
    st.builds(Unlink, _lids),
    st.builds(Forget, st.none() | _lids | _phones | st.just(GROUP), st.integers(1, 4)),
)


async def answer(act: Act, archive: Backend, session: SessionName, step: int) -> object:
    """Return what *archive* answers to *act*."""
    try:
        return await act.act(archive, session, step)
    except NotFound as exc:
        return str(exc).partition(", only ")[0].partition(", nor ")[0]  # one has other sessions


@pytest.fixture(scope="module")
async def postgres(postgres_servers: Servers) -> AsyncIterator[Backend]:
    async with backend(USUAL, postgres_servers) as found:
        yield found


_runs = itertools.count()


class Following:
    """Reads the feed of an archive from where it began."""

    def __init__(self, archive: Backend) -> None:
        self._feed = archive.feed

    async def begin(self) -> None:
        self._place = await self._feed.position()

    async def news(self) -> list[tuple[str, Jid | None, Item]]:
        """Return what was told since the last time."""
        page = await self._feed.read(self._place, limit=1000)
        self._place = page.until
        return [(one.session, one.account, one.item) for one in page.told]


@pytest.mark.embedded
@pytest.mark.timeout(600)  # a difference that is found is made small first, which takes a while
@given(acts=st.lists(_acts, min_size=2, max_size=7))
@settings(
    max_examples=examples(40),
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
async def test_both_stores_answer_and_show_the_same(postgres: Backend, acts: list[Act]) -> None:
    session = SessionName(f"run-{next(_runs)}")
    memory = in_memory()
    told, expected_told = Following(postgres), Following(memory)
    await told.begin()
    await expected_told.begin()
    for step, act in enumerate(acts):
        expected = await answer(act, memory, session, step)
        assert await answer(act, postgres, session, step) == expected
        assert await postgres.picture(session) == await memory.picture(session)
        assert await told.news() == await expected_told.news()


_accounts = st.sampled_from([BAKERY, Account(phone=Jid("5511912340002@c.us")), None])


@pytest.mark.embedded
@pytest.mark.timeout(600)
@given(told=st.lists(st.tuples(worlds(max_size=3), _accounts), min_size=2, max_size=5))
@settings(
    max_examples=examples(20),
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
async def test_both_stores_keep_accounts_apart_alike(
    postgres: Backend, told: list[tuple[list[Delivery], Account | None]]
) -> None:
    session = SessionName(f"run-{next(_runs)}")
    memory = in_memory()
    told_by, expected_told = Following(postgres), Following(memory)
    await told_by.begin()
    await expected_told.begin()
    for hours, (world, account) in enumerate(told):
        group = [
            msgspec.structs.replace(
                one,
                session=session,
                account=account,
                occurred_at=one.occurred_at + hours * HOUR,
                received_at=one.received_at + hours * HOUR,
            )
            for one in world
        ]
        assert await postgres.record(*group) == await memory.record(*group)
        assert await told_by.news() == await expected_told.news()
        shown = await postgres.picture(session)
        expected = await memory.picture(session)
        assert shown | {"records": []} == expected | {"records": []}  # of the newest archive only
