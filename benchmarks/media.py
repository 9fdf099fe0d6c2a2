"""How many files a worker stores in a second, beside copying the same files and nothing else."""

import asyncio
import hashlib
import os
import statistics
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
from psycopg import AsyncConnection

from harness import Findings, Goal, Scale, progress, scratch
from wagateway.adapters.embedded.server import EmbeddedPostgres
from wagateway.domain.events import Account, Delivery, MessageSeen
from wagateway.domain.identity import Jid, MessageRef, SessionName, StanzaId
from wagateway.domain.messages import Kind, MediaFacts, MediaOffer, Message
from wagateway.entrypoints.containers import Services, open_services
from wagateway.entrypoints.settings import Settings
from wagateway.entrypoints.workers import open_media_worker, open_waha
from wagateway.simulator.serving import in_thread

_GOAL = 0.5
_AT_ONCE = 8
_ANA, _ME = Jid("5511987650102@c.us"), Jid("5511912340001@c.us")
_SIZES = {"1 KB": (1_000, 600), "200 KB": (200_000, 300), "20 MB": (20_000_000, 12)}
_NOISE = os.urandom(65_536)


async def _serve(scope: Any, _receive: Any, send: Any) -> None:  # noqa: ANN401 - ASGI's
    """Answer ``/api/files/<size>/<number>`` with so many bytes, which no other number has."""
    size, number = (int(part) for part in scope["path"].split("/")[-2:])
    start = f"{number:016}".encode()
    length = [(b"content-length", b"%d" % size), (b"content-type", b"image/jpeg")]
    await send({"type": "http.response.start", "status": 200, "headers": length})
    sent = 0
    while sent < size:
        piece = (start + _NOISE if sent == 0 else _NOISE)[: size - sent]
        sent += len(piece)
        body = {"type": "http.response.body", "body": piece, "more_body": sent < size}
        await send(body)


async def run(scale: Scale) -> Findings:
    """Copy, and store, files of each size, in turn."""
    findings, rows = Findings(), []
    with in_thread(_serve) as url, scratch() as folder:
        async with EmbeddedPostgres.running(folder / "data") as database:
            for what, (size, usual) in _SIZES.items():
                count = max(4, usual // 20) if scale.quick else usual
                copied, stored = [], []
                for number in range(scale.rounds):
                    progress(f"media, round {number + 1}: {what}")
                    copied.append(count / await _copied(url, folder, size, count))
                    stored.append(count / await _stored(url, database.url, folder, size, count))
                alone, ours = statistics.median(copied), statistics.median(stored)
                mb = size / 1e6
                rows.append(
                    (
                        f"files of {what}",
                        f"{alone:,.0f}",
                        f"{ours:,.0f}",
                        f"{ours * mb:,.1f}",
                        f"{ours / alone:.2f}",
                    )
                )
                findings.goals.append(Goal.at_least(f"media of {what}", _GOAL, ours / alone))
    findings.table(("what", "copied alone, per s", "stored, per s", "stored, MB/s", "ratio"), rows)
    return findings


async def _copied(url: str, folder: Path, size: int, count: int) -> float:
    """Return the seconds that copying takes: streamed, hashed, written and synced."""
    room = asyncio.Semaphore(_AT_ONCE)
    target = folder / "copied"
    target.mkdir(exist_ok=True)
    async with httpx.AsyncClient(trust_env=False, timeout=60) as client:

        async def copy(number: int) -> None:
            digest, path = hashlib.sha256(), target / str(number)
            async with room, client.stream("GET", f"{url}/api/files/{size}/{number}") as answer:
                with path.open("wb") as file:
                    async for piece in answer.aiter_bytes(262_144):
                        digest.update(piece)
                        file.write(piece)
                    file.flush()
                    await asyncio.to_thread(os.fsync, file.fileno())

        began = time.perf_counter()
        await asyncio.gather(*map(copy, range(count)))
        taken = time.perf_counter() - began
    for path in target.iterdir():
        path.unlink()
    return taken


async def _stored(url: str, database_url: str, folder: Path, size: int, count: int) -> float:
    """Return the seconds that a worker takes from claiming the first to having stored the last."""
    settings = Settings(
        database_url=database_url,
        data_dir=folder,
        engine_url=url,
        media_concurrent=_AT_ONCE,
        api_token=None,
    )
    async with open_services(settings) as services, open_waha(settings) as engine:
        await _told(services, url, size, count)
        async with open_media_worker(
            settings,
            services,
            engine,
            told=lambda _: None,
            troubled=lambda _: None,
            broke=lambda _: None,
        ) as worker:
            worker.inspect = None
            stop = asyncio.Event()
            began = time.perf_counter()
            running = asyncio.create_task(worker.run(stop))
            while worker.state.stored < count:  # noqa: ASYNC110 - it sets no event
                await asyncio.sleep(0.005)
            taken = time.perf_counter() - began
            stop.set()
            await running
        await _emptied(services, database_url)
    return taken


async def _told(services: Services, url: str, size: int, count: int) -> None:
    at = datetime.now(UTC)
    for begin in range(0, count, 100):
        await services.archive.record(
            [_message(url, size, number, at) for number in range(begin, min(count, begin + 100))]
        )


def _message(url: str, size: int, number: int, at: datetime) -> Delivery:
    stanza = StanzaId(f"S{size}N{number}T{at.timestamp():.0f}")
    message = Message(
        waha_id=f"false_{_ANA}_{stanza}",
        from_me=False,
        sent_at=at - timedelta(seconds=number),
        kind=Kind.IMAGE,
        sender=_ANA,
        media=MediaFacts(mimetype="image/jpeg"),
    )
    offer = MediaOffer(offered_at=at, url=f"{url}/api/files/{size}/{number}")
    ref = MessageRef(chat=_ANA, stanza=stanza, from_me=False)
    return Delivery(
        body=b"{}",
        session=SessionName("default"),
        event="message.any",
        received_at=at,
        occurred_at=at,
        account=Account(phone=_ME),
        observations=(MessageSeen(ref=ref, message=message, offer=offer),),
    )


async def _emptied(services: Services, database_url: str) -> None:
    """Let the next round begin with nothing stored."""
    async for file in services.media.files():
        await services.media.remove(file.key)
    async with await AsyncConnection.connect(database_url) as conn:
        await conn.execute(
            "TRUNCATE whatsapp_gateway.media_objects, whatsapp_gateway.media_downloads"
        )
