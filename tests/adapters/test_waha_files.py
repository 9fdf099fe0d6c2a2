"""WAHA's files, fetched from a real server that answers badly in every way."""

import asyncio
import hashlib
import os
import threading
import tracemalloc
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path

import pytest
from tests.support.listener import listening
from tests.support.within import within

from wagateway.adapters.waha.fetching import FetchLimits, WahaFiles, open_files
from wagateway.domain.errors import (
    EngineUnavailable,
    Gone,
    InvalidInput,
    NotFound,
    RateLimited,
    Refused,
    StoreUnavailable,
    TooLarge,
    WagatewayError,
)
from wagateway.domain.messages import MediaOffer
from wagateway.ports.media_source import Fetched

KEY = "tQ3v9LxW0bZr7KfM2sYd"
BODY = os.urandom(700_000)
OFFERED = "http://localhost:3000/api/files/vendas/3EB0A1.jpeg"
LARGEST = 1_000_000
CHUNK = b"40000\r\n%b\r\n" % BODY[:0x40000]

Answer = Callable[[asyncio.StreamWriter], Awaitable[None]]


def head(status: str, *lines: str) -> bytes:
    return "\r\n".join([f"HTTP/1.1 {status}", *lines, "Connection: close", "", ""]).encode()


def saying(*pieces: bytes) -> Answer:
    async def answer(writer: asyncio.StreamWriter) -> None:
        for piece in pieces:
            writer.write(piece)
            await writer.drain()

    return answer


def whole(body: bytes, *lines: str) -> Answer:
    return saying(head("200 OK", f"Content-Length: {len(body)}", *lines), body)


class Peer:
    """A server that answers as it is told, and remembers what it was asked."""

    def __init__(self, answer: Answer) -> None:
        self.answer = answer
        self.asked: list[str] = []
        self.url = ""

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.asked.append((await reader.readuntil(b"\r\n\r\n")).decode())
        await self.answer(writer)


@asynccontextmanager
async def peer_of(answer: Answer) -> AsyncIterator[Peer]:
    peer = Peer(answer)
    async with listening(peer.serve) as port:
        peer.url = f"http://127.0.0.1:{port}"
        yield peer


def offer(url: str | None = OFFERED) -> MediaOffer:
    return MediaOffer(offered_at=datetime(2026, 10, 3, tzinfo=UTC), url=url)


async def fetched(files: WahaFiles, into: Path, url: str | None = OFFERED) -> Fetched:
    return await files.fetch(offer(url), into, largest_bytes=LARGEST)


async def test_a_file_comes_with_its_hash_and_size(tmp_path: Path) -> None:
    async with (
        peer_of(whole(BODY, "Content-Type: image/jpeg")) as peer,
        open_files(peer.url, KEY) as files,
    ):
        found = await fetched(files, tmp_path / "file")
    assert found == Fetched(
        sha256=hashlib.sha256(BODY).hexdigest(), size_bytes=len(BODY), mimetype="image/jpeg"
    )
    assert (tmp_path / "file").read_bytes() == BODY
    [asked] = peer.asked
    assert asked.startswith("GET /api/files/vendas/3EB0A1.jpeg HTTP/1.1\r\n")
    assert f"X-Api-Key: {KEY}" in asked


async def test_the_path_of_the_engine_is_kept(tmp_path: Path) -> None:
    async with peer_of(whole(b"x")) as peer, open_files(f"{peer.url}/waha/", KEY) as files:
        await fetched(files, tmp_path / "file")
    assert peer.asked[0].startswith("GET /waha/api/files/vendas/3EB0A1.jpeg ")


async def test_pieces_of_unknown_length_are_taken_too(tmp_path: Path) -> None:
    chunks = (head("200 OK", "Transfer-Encoding: chunked"), b"3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n")
    async with peer_of(saying(*chunks)) as peer, open_files(peer.url, None) as files:
        found = await fetched(files, tmp_path / "file")
    assert (found.size_bytes, found.mimetype) == (5, None)
    assert "X-Api-Key" not in peer.asked[0]


async def test_the_bucket_gets_no_key(tmp_path: Path) -> None:
    async with (
        peer_of(whole(b"x")) as bucket,
        open_files("http://127.0.0.1:9", KEY, store_url=bucket.url) as files,
    ):
        await fetched(files, tmp_path / "file", f"{bucket.url}/media/a.jpg?X-Amz-Signature=abc")
    [asked] = bucket.asked
    assert asked.startswith("GET /media/a.jpg?X-Amz-Signature=abc ")
    assert KEY not in asked


async def hang(writer: asyncio.StreamWriter) -> None:
    await asyncio.sleep(60)
    writer.write(b"x")


async def drip(writer: asyncio.StreamWriter) -> None:
    writer.write(head("200 OK", "Content-Length: 1000"))
    for _ in range(1000):
        writer.write(b"x")
        await writer.drain()
        await asyncio.sleep(0.05)


PACKED = ("200 OK", "Content-Length: 3", "Content-Encoding: gzip")


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        pytest.param(saying(head("404 Not Found")), NotFound, id="no longer there"),
        pytest.param(saying(head("410 Gone")), Gone, id="gone for good"),
        pytest.param(saying(head("401 Unauthorized")), Refused, id="a wrong key"),
        pytest.param(saying(head("403 Forbidden")), Refused, id="a key without rights"),
        pytest.param(saying(head("429 Busy", "Retry-After: 7")), RateLimited, id="busy"),
        pytest.param(saying(head("500 Oops")), EngineUnavailable, id="broken"),
        pytest.param(
            saying(head("302 Found", "Location: http://169.254.169.254/")),
            EngineUnavailable,
            id="elsewhere",
        ),
        pytest.param(saying(head("206 Part", "Content-Length: 1"), b"x"), EngineUnavailable),
        pytest.param(whole(b""), EngineUnavailable, id="empty"),
        pytest.param(saying(head("200 OK", "Content-Length: 9"), b"abc"), EngineUnavailable),
        pytest.param(saying(head("200 OK", "Content-Length: -9")), EngineUnavailable),
        pytest.param(
            saying(head("200 OK", "Transfer-Encoding: chunked"), b"3\r\nabc\r\n"),
            EngineUnavailable,
            id="cut between pieces",
        ),
        pytest.param(saying(head(*PACKED), b"abc"), EngineUnavailable, id="packed"),
        pytest.param(saying(b"SSH-2.0-OpenSSH_9.2\r\n"), EngineUnavailable, id="no HTTP"),
        pytest.param(saying(b""), EngineUnavailable, id="nothing"),
        pytest.param(saying(head("200 OK", "Content-Length: 1000001")), TooLarge, id="as it says"),
        pytest.param(whole(BODY + BODY), TooLarge, id="too large"),
        pytest.param(
            saying(
                head("200 OK", "Transfer-Encoding: chunked"),
                *[b"40000\r\n%b\r\n" % BODY[:0x40000]] * 5,
            ),
            TooLarge,
            id="without an end",
        ),
        pytest.param(hang, EngineUnavailable, id="no answer"),
        pytest.param(drip, EngineUnavailable, id="drop by drop"),
    ],
)
async def test_whatever_else_comes_is_an_error(
    tmp_path: Path, answer: Answer, error: type[WagatewayError]
) -> None:
    limits = FetchLimits(pause_s=0.4, whole_s=0.8)
    async with peer_of(answer) as peer, open_files(peer.url, KEY, limits=limits) as files:
        with pytest.raises(error) as caught:
            await fetched(files, tmp_path / "file")
    assert caught.type is error
    assert KEY not in str(caught.value)
    assert "169.254" not in str(caught.value)


async def test_it_is_told_how_long_to_wait(tmp_path: Path) -> None:
    busy = saying(head("429 Busy", "Retry-After: 7"))
    async with peer_of(busy) as peer, open_files(peer.url, KEY) as files:
        with pytest.raises(RateLimited) as caught:
            await fetched(files, tmp_path / "file")
    assert caught.value.wait_s == 7


async def test_a_signature_that_expired_may_be_given_again(tmp_path: Path) -> None:
    denied = saying(head("403 Forbidden"))
    async with (
        peer_of(denied) as bucket,
        open_files("http://127.0.0.1:9", KEY, store_url=bucket.url) as files,
    ):
        with pytest.raises(NotFound):
            await fetched(files, tmp_path / "file", f"{bucket.url}/media/a.jpg?sig=abc")


async def test_an_engine_that_is_away(tmp_path: Path) -> None:
    async with open_files("http://127.0.0.1:9", KEY) as files:
        with pytest.raises(EngineUnavailable):
            await fetched(files, tmp_path / "file")


@pytest.mark.parametrize(
    "url",
    [
        None,
        "http://169.254.169.254/latest/meta-data/",
        "http://localhost:3000/api/sessions",
        "http://localhost:3000/api/files/../sessions",
        "file:///etc/passwd",
        "http://u:p@localhost/api/files/a/b",
    ],
)
async def test_other_addresses_are_never_followed(tmp_path: Path, url: str | None) -> None:
    async with peer_of(whole(b"x")) as peer, open_files(peer.url, KEY) as files:
        with pytest.raises(InvalidInput):
            await fetched(files, tmp_path / "file", url)
    assert peer.asked == []


async def test_a_file_that_cannot_be_written(tmp_path: Path) -> None:
    async with peer_of(whole(b"x")) as peer, open_files(peer.url, KEY) as files:
        with pytest.raises(StoreUnavailable):
            await fetched(files, tmp_path / "missing" / "file")


async def test_a_full_disk() -> None:
    if not Path("/dev/full").exists():
        pytest.skip("only Linux has a disk that is always full")
    async with peer_of(whole(BODY)) as peer, open_files(peer.url, KEY) as files:
        with pytest.raises(StoreUnavailable):
            await fetched(files, Path("/dev/full"))


@pytest.mark.parametrize("size_bytes", [10, len(BODY)])
async def test_a_disk_that_hangs_holds_up_nothing_else(tmp_path: Path, size_bytes: int) -> None:
    hanging = tmp_path / "pipe"  # to open it waits for a reader

    def read_nothing() -> None:
        hanging.open("rb").close()

    os.mkfifo(hanging)
    at_last = threading.Timer(10, read_nothing)  # else a loop that hangs would do so for ever
    at_last.start()
    async with peer_of(whole(BODY[:size_bytes])) as peer, open_files(peer.url, KEY) as files:
        fetching = asyncio.create_task(fetched(files, hanging))
        with within(8):
            await asyncio.wait({fetching}, timeout=0.5)
        assert not fetching.done()
        await asyncio.to_thread(read_nothing)
        with suppress(StoreUnavailable):  # unless a few bytes were written before who reads left
            await fetching
    at_last.cancel()
    at_last.join()


async def test_a_large_file_takes_no_more_memory_than_a_small_one(tmp_path: Path) -> None:
    large = saying(head("200 OK", f"Content-Length: {len(BODY) * 60}"), *[BODY] * 60)
    async with peer_of(large) as peer, open_files(peer.url, KEY) as files:
        tracemalloc.start()
        try:
            await files.fetch(offer(), tmp_path / "file", largest_bytes=10**9)
            peak = tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()
    assert (tmp_path / "file").stat().st_size == len(BODY) * 60
    assert peak < 12 * 2**20
