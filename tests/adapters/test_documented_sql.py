"""The SQL of the README runs on the migrated schema as it is printed."""

import re
from pathlib import Path
from typing import LiteralString, cast

import psycopg
import pytest
from tests.support.postgres import fresh_database

from wagateway.adapters.timescale.migrate import migrate

pytestmark = pytest.mark.embedded

README = Path(__file__).resolve().parents[2] / "README.md"
_BLOCK = re.compile(r"```sql\n(.*?)```", re.DOTALL)


async def test_every_query_of_the_readme_runs(postgres_server: str) -> None:
    blocks = _BLOCK.findall(README.read_text())
    statements = [part for block in blocks for part in block.split(";") if part.strip()]
    assert len(statements) > 4
    async with fresh_database(postgres_server) as url:
        await migrate(url)
        async with await psycopg.AsyncConnection.connect(url) as conn:
            for statement in statements:
                await conn.execute(cast("LiteralString", statement))
