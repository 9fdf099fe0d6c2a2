"""The SQL of the documentation runs on the migrated schema as it is printed."""

import re
from pathlib import Path
from typing import LiteralString, cast

import psycopg
import pytest
from tests.support.postgres import fresh_database

from wagateway.adapters.timescale.migrate import migrate

pytestmark = pytest.mark.embedded

ROOT = Path(__file__).resolve().parents[2]
_BLOCK = re.compile(r"```sql\n(.*?)```", re.DOTALL)


@pytest.mark.parametrize(
    ("page", "least"), [("README.md", 5), ("docs/MEDIA.md", 3), ("docs/OPERATING.md", 1)]
)
async def test_every_query_that_is_shown_runs(postgres_server: str, page: str, least: int) -> None:
    blocks = _BLOCK.findall((ROOT / page).read_text())
    statements = [part for block in blocks for part in block.split(";") if part.strip()]
    assert len(statements) >= least
    async with fresh_database(postgres_server) as url:
        await migrate(url)
        async with await psycopg.AsyncConnection.connect(url) as conn:
            for statement in statements:
                await conn.execute(cast("LiteralString", statement))
