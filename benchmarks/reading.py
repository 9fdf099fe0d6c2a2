"""Reading a large archive over HTTP, beside the same statements through psycopg without HTTP."""

import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import cycle
from pathlib import Path
from typing import Any, cast

import psycopg
from psycopg.rows import dict_row
from psycopg_pool import AsyncConnectionPool
from typing_extensions import override

from harness import (
    TOKEN,
    Findings,
    Goal,
    Measured,
    Scale,
    Server,
    Steps,
    cpu_of,
    measure,
    middle,
    progress,
    scratch,
    serving,
    timed,
)
from serving import DURABLE
from wagateway.adapters.embedded.server import EmbeddedPostgres, url_of_running
from wagateway.adapters.timescale.migrate import migrate
from wagateway.adapters.timescale.pool import Pool, open_pool
from wagateway.adapters.timescale.reader import TimescaleReader
from wagateway.domain.identity import Jid, SessionName

Statement = tuple[Any, Any]
_SESSION = SessionName("filled")
_FILLING = Path(__file__).with_name("filling.sql")
_PAGE, _CHATS = "latest 50 of a chat", "the chat list"
_HTTP, _DIRECT = "over HTTP", "its statements by psycopg"
_POOL = 10
_AIMS = {1: 2.0, 64: 1.3}


async def run(scale: Scale) -> Findings:
    """Fill an archive and read it."""
    connections = (1, 64) if scale.quick else (1, 16, 64)
    found: dict[tuple[str, int], list[tuple[Measured, Measured]]] = {}
    with scratch() as folder:
        data = folder / "data"
        progress(f"reading: filling {scale.messages:,} messages")
        chats = await fill(data, scale.messages)
        async with serving(DURABLE, data) as server:
            url = await url_of_running(data)
            assert url
            asked = await questions(url, chats)
            async with open_pool(url, min_size=_POOL, max_size=_POOL, prepare_threshold=5) as pool:
                for number in range(scale.rounds):
                    for question in asked:
                        for count in connections:
                            progress(f"reading, round {number + 1}: {count} x {question.what}")
                            runs = found.setdefault((question.what, count), [])
                            runs.append(
                                (
                                    await over_http(server, question, count, scale),
                                    await directly(pool, server, question, count, scale),
                                )
                            )
    return findings_of(found, scale)


def findings_of(
    found: dict[tuple[str, int], list[tuple[Measured, Measured]]], scale: Scale
) -> Findings:
    """Return the table, and what was to be reached."""
    findings = Findings([f"{scale.messages:,} messages in 200 chats.", ""])
    rows = []
    for (what, count), runs in found.items():
        ways = [
            middle(list(way), lambda run: run.quantile_ms(50)) for way in zip(*runs, strict=True)
        ]
        ratio = ways[0].quantile_ms(50) / ways[1].quantile_ms(50)
        rows += [
            (
                *(what, str(count), way, f"{run.per_second:,.0f}"),
                *(f"{run.quantile_ms(50):.2f}", f"{run.quantile_ms(99):.2f}"),
                *(f"{run.quantile_ms(50) / ways[1].quantile_ms(50):.2f}",),
                *map(run.micros, (run.cpu.client, run.cpu.gateway, run.cpu.database)),
            )
            for way, run in zip((_HTTP, _DIRECT), ways, strict=True)
        ]
        if count in _AIMS:
            name = f"p50 of {what} over HTTP / by psycopg, {count}"
            findings.goals.append(Goal.at_most(name, _AIMS[count], ratio))
    findings.table(
        (
            *("what", "connections", "way", "answers/s", "p50 ms", "p99 ms", "p50 / by psycopg"),
            *("µs client", "µs gateway", "µs database"),
        ),
        rows,
    )
    return findings


async def fill(data: Path, messages: int) -> list[Jid]:
    """Make an archive of *messages* and return its chats."""
    async with EmbeddedPostgres.running(data) as database:
        await migrate(database.url)
        async with await psycopg.AsyncConnection.connect(database.url, autocommit=True) as conn:
            for statement in _FILLING.read_text(encoding="utf-8").split(";\n"):
                if statement.strip():
                    await conn.execute(statement.encode(), {"messages": messages})
            await conn.execute("VACUUM ANALYZE")
            cursor = await conn.execute("SELECT chat_id FROM whatsapp_gateway.chats")
            return [Jid(chat) for (chat,) in await cursor.fetchall()]


# ── What is asked ───────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True)
class Question:
    """What is asked: paths that ask it, and the statements that answer each."""

    what: str
    paths: Sequence[str]
    answers: Sequence[Sequence[Statement]]


class Recording(psycopg.AsyncConnection[Any]):
    """Remembers what is executed."""

    statements: list[Statement]

    @override
    async def execute(self, query: Any, params: Any = None, **how: Any) -> Any:
        self.statements.append((query, params))
        return await super().execute(query, params, **how)


async def questions(url: str, chats: Sequence[Jid]) -> list[Question]:
    """Return what is asked, with the statements that the gateway's reader sends for it."""
    kwargs = {"autocommit": True, "row_factory": dict_row}
    async with AsyncConnectionPool(
        url, connection_class=Recording, kwargs=kwargs, min_size=1, max_size=1, open=False
    ) as pool:
        reader = TimescaleReader(cast("Pool", pool))

        async def sent(asking: Callable[[], Awaitable[object]]) -> list[Statement]:
            async with pool.connection() as conn:
                conn.statements = []
            await asking()
            return conn.statements

        pages = [await sent(partial(reader.messages, _SESSION, [chat])) for chat in chats]
        list_ = [await sent(partial(reader.chats, _SESSION))]
    return [
        Question(_PAGE, [f"/api/messages/{_SESSION}/{chat}?limit=50" for chat in chats], pages),
        Question(_CHATS, [f"/api/chats/{_SESSION}"], list_),
    ]


async def over_http(server: Server, asked: Question, connections: int, scale: Scale) -> Measured:
    """Ask for the paths in turn."""
    head = f" HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer {TOKEN}\r\n\r\n"
    sent = cycle([f"GET {path}{head}".encode() for path in asked.paths])
    return await measure(server, sent, connections, scale.seconds)


async def directly(
    pool: Pool, server: Server, asked: Question, connections: int, scale: Scale
) -> Measured:
    """Send the statements of each answer in one pipeline, and fetch their rows."""
    turns = cycle(asked.answers)

    async def one(steps: Steps) -> None:
        while (began := time.perf_counter()) < steps.end:
            async with pool.connection() as conn, conn.pipeline() as line, conn.transaction():
                cursors = [await conn.execute(*statement) for statement in next(turns)]
                await line.sync()
                for cursor in cursors:
                    if cursor.description:
                        await cursor.fetchall()
            steps.took(began)

    return await timed(one, connections, scale.seconds, lambda: cpu_of(server.pid))
