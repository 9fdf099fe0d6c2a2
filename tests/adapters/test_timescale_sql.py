"""What the archive offers to people who read it by SQL: search words and views."""

from collections.abc import AsyncIterator
from functools import partial
from typing import Any, LiteralString

import pytest
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
    revoked,
    seen,
)
from tests.support.postgres import Servers

from wagateway.adapters.timescale.archive import TimescaleArchive
from wagateway.adapters.timescale.pool import Pool, open_pool
from wagateway.domain.events import Account, Delivery, SessionChanged, SessionStatus
from wagateway.domain.identity import Jid
from wagateway.domain.messages import Ack, Completeness, Kind, MediaFacts

pytestmark = pytest.mark.embedded


@pytest.fixture
async def pool(postgres_servers: Servers) -> AsyncIterator[Pool]:
    """Connections to a migrated, empty database."""
    async with postgres_servers.migrated() as url, open_pool(url, max_size=2) as pool:
        yield pool


async def rows(pool: Pool, query: LiteralString, *values: object) -> list[tuple[Any, ...]]:
    async with pool.connection() as conn:
        found = await (await conn.execute(query, values)).fetchall()
    return [tuple(row.values()) for row in found]


async def record(pool: Pool, *told: Delivery) -> None:
    await TimescaleArchive(pool).record(told)


async def found_by(pool: Pool, words: str) -> set[tuple[str, str]]:
    """Return chat and author of the messages that a search for *words* finds."""
    return set(
        await rows(
            pool,
            "SELECT chat_id, author FROM whatsapp_gateway.message_search"
            " WHERE words @@ websearch_to_tsquery('whatsapp_gateway.message_text', %s)",
            words,
        )
    )


HERS = {(ANA, "them")}


class TestSearch:
    @pytest.mark.parametrize("size", [1, 30])
    async def test_accents_and_case_are_folded(self, pool: Pool, size: int) -> None:
        others = (delivery(seen("outra", stanza=f"B{n}")) for n in range(size - 1))
        await record(pool, delivery(seen("Uma AÇÃO de graças")), *others)
        for words in ("acao", "ação", "AÇÃO gracas", '"de graças"'):
            assert await found_by(pool, words) == HERS
        assert await found_by(pool, "acoes") == set()

    async def test_words_follow_the_current_text(self, pool: Pool) -> None:
        await record(pool, delivery(seen("primeira")))
        await record(pool, delivery(edited("segunda")))
        assert await found_by(pool, "primeira") == set()
        assert await found_by(pool, "segunda") == HERS
        await record(pool, delivery(seen("primeira", kind=Kind.IMAGE)))
        assert await found_by(pool, "segunda") == HERS

    async def test_an_edit_that_came_first_is_found(self, pool: Pool) -> None:
        await record(pool, delivery(edited("segunda")))
        assert await found_by(pool, "segunda") == set()
        await record(pool, delivery(seen("primeira")))
        assert (await found_by(pool, "primeira"), await found_by(pool, "segunda")) == (set(), HERS)

    async def test_an_edit_that_nobody_can_read_leaves_the_words(self, pool: Pool) -> None:
        await record(pool, delivery(seen("primeira")))
        await record(pool, delivery(edited("")), delivery(edited(None, edit_id="E2")))
        assert await found_by(pool, "primeira") == HERS

    async def test_better_facts_replace_the_words(self, pool: Pool) -> None:
        partial = seen("resumo", completeness=Completeness.PARTIAL)
        await record(pool, delivery(partial))
        await record(pool, delivery(seen("inteira")))
        assert (await found_by(pool, "resumo"), await found_by(pool, "inteira")) == (set(), HERS)
        await record(pool, delivery(seen(None, kind=Kind.IMAGE), at=NOON - SECOND))
        assert await found_by(pool, "inteira") == set()

    async def test_words_move_with_their_message(self, pool: Pool) -> None:
        told = [
            delivery(seen("direta", chat=ANA_LID)),
            delivery(seen("corrigida", chat=ANA_LID, stanza="A2")),
            delivery(edited("corrigida ontem", chat=ANA_LID, stanza="A2")),
            delivery(seen("coletiva", chat=GROUP, by=ANA_LID)),
        ]
        await record(pool, *told)
        await record(pool, delivery(linked()))
        assert await found_by(pool, "direta") == HERS
        assert await found_by(pool, "ontem") == HERS
        assert await found_by(pool, "coletiva") == {(GROUP, ANA)}
        await TimescaleArchive(pool).unlink(SESSION, ANA_LID, at=NOON)
        assert await found_by(pool, "direta") == {(ANA_LID, "them")}
        assert await found_by(pool, "coletiva") == {(GROUP, ANA_LID)}

    async def test_a_very_long_text_is_found_by_its_beginning(self, pool: Pool) -> None:
        words = " ".join(f"palavra{n}" for n in range(100_000))
        await record(pool, delivery(seen(f"começo {words}")))
        assert await found_by(pool, "comeco") == HERS


class TestViews:
    async def test_current_messages_stand_as_they_are_now(self, pool: Pool) -> None:
        await record(
            pool,
            delivery(seen("um", from_me=True, ack=Ack.READ)),
            delivery(seen("dois", stanza="A2", sent_at=NOON + SECOND)),
            delivery(edited("dois, editado", stanza="A2")),
            delivery(revoked(stanza="A2")),
            delivery(seen("três", chat=GROUP, by=ANA, sent_at=NOON + 2 * SECOND)),
            delivery(revoked(chat=GROUP, by=BRUNO)),
            delivery(edited("ninguém", stanza="A9")),
        )
        assert await rows(
            pool,
            "SELECT session, chat_id, stanza_id, from_me, text, first_text, ack::text, edited_at,"
            " revoked_at FROM whatsapp_gateway.current_messages ORDER BY sent_at",
        ) == [
            (SESSION, ANA, "A1", True, "um", "um", "read", None, None),
            (
                *(SESSION, ANA, "A2", False, "dois, editado", "dois", None),
                *(NOON + SECOND, NOON + SECOND),
            ),
            (SESSION, GROUP, "A1", False, "três", "três", None, None, NOON + SECOND),
        ]

    async def test_active_sessions_are_those_that_neither_stopped_nor_failed(
        self, pool: Pool
    ) -> None:
        other = Account(phone=Jid("5511912340002@c.us"))
        for number, status in enumerate(SessionStatus):
            changed = SessionChanged(status=status, at=NOON)
            await record(pool, delivery(changed, session=f"{number} {status}"))
        await record(pool, delivery(seen(), session="quiet"))
        await record(pool, delivery(seen(), session="passed on"))
        await record(
            pool, delivery(seen(), session="passed on", account=other, at=NOON + 99 * SECOND)
        )
        assert await rows(
            pool,
            "SELECT session, account, status FROM whatsapp_gateway.active_sessions"
            ' ORDER BY session COLLATE "C"',
        ) == [
            ("1 STARTING", BAKERY.phone, "STARTING"),
            ("2 SCAN_QR_CODE", BAKERY.phone, "SCAN_QR_CODE"),
            ("3 PASSKEY_REQUIRED", BAKERY.phone, "PASSKEY_REQUIRED"),
            ("4 PASSKEY_CONFIRMATION_REQUIRED", BAKERY.phone, "PASSKEY_CONFIRMATION_REQUIRED"),
            ("5 WORKING", BAKERY.phone, "WORKING"),
            ("passed on", other.phone, None),
            ("quiet", BAKERY.phone, None),
        ]

    async def test_statistics_count_by_hour_chat_kind_and_direction(self, pool: Pool) -> None:
        late = NOON + 3599 * SECOND
        photo = partial(seen, kind=Kind.IMAGE, media=MediaFacts())
        await record(
            pool,
            delivery(seen("oi")),
            delivery(seen("tudo bem?", stanza="A2", sent_at=late)),
            delivery(seen("tudo", stanza="A3", from_me=True, sent_at=late)),
            delivery(photo("veja", stanza="A4", sent_at=late + SECOND)),
            delivery(photo(None, stanza="A5", sent_at=late + SECOND)),
            delivery(photo("", chat=BRUNO)),
        )
        assert await rows(
            pool,
            "SELECT session, chat_id, hour, kind, from_me, messages, with_text, with_media"
            " FROM whatsapp_gateway.messages_hourly_stats ORDER BY chat_id, hour, from_me",
        ) == [
            (SESSION, ANA, NOON, "text", False, 2, 2, 0),
            (SESSION, ANA, NOON, "text", True, 1, 1, 0),
            (SESSION, ANA, late + SECOND, "image", False, 2, 1, 2),
            (SESSION, BRUNO, NOON, "image", False, 1, 0, 1),
        ]
