"""An archive that held messages with files before downloads began has them fetched too."""

import psycopg
import pytest
from tests.support.deliveries import (
    ANA,
    BAKERY,
    GROUP,
    NOON,
    SECOND,
    SESSION,
    delivery,
    seen,
)
from tests.support.postgres import fresh_database

from wagateway.adapters.timescale.archive import TimescaleArchive
from wagateway.adapters.timescale.downloads import TimescaleDownloadStore
from wagateway.adapters.timescale.migrate import migrate, packaged_migrations
from wagateway.adapters.timescale.pool import open_pool
from wagateway.domain.identity import StanzaId
from wagateway.domain.media import Rules
from wagateway.domain.messages import Kind, MediaFacts, MediaOffer
from wagateway.domain.records import facts_key

pytestmark = pytest.mark.embedded

_MESSAGE = """
INSERT INTO whatsapp_gateway.messages (
    session_id, session, chat_id, stanza_id, author, sent_at, waha_id, from_me, kind,
    completeness, forwarded, forwarding_score, view_once, media
)
VALUES (1, %s, %s, %s, 'them', %s, 'false_x', false, %s, 'a', false, 0, false, %s)
"""
_STATE = """
INSERT INTO whatsapp_gateway.message_state (session_id, chat_id, stanza_id, author, media_offer)
VALUES (1, %s, %s, 'them', %s)
"""
_FACTS = '{"mimetype": "image/jpeg", "size_bytes": 10}'
_JPEG = b"\xff\xd8\xff tiny"
_URL = '{"offered_at": "2026-10-03T12:00:00Z", "url": "http://localhost:3000/a"}'
_BUCKET = (
    '{"offered_at": "2026-10-03T12:00:00Z", "url": "https://s3/a", "s3_bucket": "b", "s3_key": "k"}'
)


async def test_files_that_were_there_before_are_fetched(postgres_server: str) -> None:
    [media] = [each for each in packaged_migrations() if each.name.endswith("create_media")]
    before = [each for each in packaged_migrations() if each.version < media.version]
    rows = [
        (ANA, "text", None, None),
        (ANA, "gone", _FACTS, _URL),
        (ANA, "never", _FACTS, None),
        (GROUP, "kept", _FACTS, _BUCKET),
    ]
    async with fresh_database(postgres_server) as url:
        await migrate(url, migrations=before)
        async with await psycopg.AsyncConnection.connect(url, autocommit=True) as conn:
            await conn.execute(
                "INSERT INTO whatsapp_gateway.sessions (session, last_event_at) VALUES (%s, %s)",
                (SESSION, NOON),
            )
            for n, (chat, stanza, facts, offer) in enumerate(rows):
                kind = "image" if facts else "text"
                sent_at = NOON + n * SECOND
                await conn.execute(_MESSAGE, (SESSION, chat, stanza, sent_at, kind, facts))
                await conn.execute(_STATE, (chat, stanza, offer))
        await migrate(url)
        async with open_pool(url, max_size=2) as pool:
            async with pool.connection() as conn:
                cursor = await conn.execute("SELECT clock_timestamp() AS now")
                row = await cursor.fetchone()
            assert row
            found = await TimescaleDownloadStore(pool).claim(
                row["now"], rules=Rules(), lease=SECOND, limit=9
            )
    assert [(task.stanza, task.download.again) for task in found] == [
        ("kept", False),
        ("never", True),
        ("gone", True),
    ]
    last = found[-1]
    assert (last.file.kind, last.waha_id) == (Kind.IMAGE, "false_x")
    assert last.file.facts == MediaFacts(mimetype="image/jpeg", size_bytes=10)
    assert last.download.offer == MediaOffer(offered_at=NOON, url="http://localhost:3000/a")


_KNOWN = """
INSERT INTO whatsapp_gateway.message_state (
    session_id, chat_id, stanza_id, author, facts_key, sent_at
)
VALUES (1, %s, 'A1', 'them', %s, %s)
"""
_DOWNLOAD = """
INSERT INTO whatsapp_gateway.media_downloads (
    session_id, session, chat_id, stanza_id, author, download_status, kind, from_me, sent_at,
    heard_at, waha_id, facts, again, due_at
)
VALUES (1, %s, %s, 'A1', 'them', 'pending', 'image', false, %s, %s, 'false_x', '{}', true, %s)
"""


async def test_files_that_were_there_before_get_a_preview_when_it_is_told(
    postgres_server: str,
) -> None:
    [previews] = [each for each in packaged_migrations() if each.name.endswith("keep_previews")]
    before = [each for each in packaged_migrations() if each.version < previews.version]
    picture = seen(None, kind=Kind.IMAGE, media=MediaFacts(mimetype="image/jpeg"), preview=_JPEG)
    async with fresh_database(postgres_server) as url:
        await migrate(url, migrations=before)
        async with await psycopg.AsyncConnection.connect(url, autocommit=True) as conn:
            await conn.execute(
                "INSERT INTO whatsapp_gateway.sessions (session, account, last_event_at)"
                " VALUES (%s, %s, %s)",
                (SESSION, BAKERY.phone, NOON),
            )
            await conn.execute(_KNOWN, (ANA, facts_key(picture.message, NOON), NOON))
            await conn.execute(_DOWNLOAD, (SESSION, ANA, NOON, NOON, NOON))
        await migrate(url)
        async with open_pool(url, max_size=2) as pool:
            downloads = TimescaleDownloadStore(pool)
            [file] = (await downloads.files(SESSION)).files
            assert not file.media.has_thumbnail
            await TimescaleArchive(pool).record([delivery(picture)])
            [file] = (await downloads.files(SESSION)).files
            assert file.media.has_thumbnail
            assert await downloads.preview(SESSION, [ANA], StanzaId("A1")) == _JPEG
