"""What every media store promises."""

import asyncio
import hashlib
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from tests.support.s3 import S3Servers, server_params

from wagateway.adapters.filesystem.media import FilesystemMediaStore
from wagateway.adapters.memory.media import InMemoryMediaStore
from wagateway.adapters.minio.media import MinioMediaStore
from wagateway.domain.errors import NotFound
from wagateway.domain.media import MediaKey, file_key, thumbnail_key
from wagateway.ports.media_store import MediaStore

LONG = bytes(range(256)) * 3000
MINUTE = timedelta(minutes=1)


@pytest.fixture(params=["memory", "filesystem", *server_params()])
def store(
    request: pytest.FixtureRequest, tmp_path: Path, s3_servers: S3Servers
) -> Iterator[MediaStore]:
    """An empty store, whose place is not there yet."""
    match request.param:
        case "memory":
            yield InMemoryMediaStore()
        case "filesystem":
            yield FilesystemMediaStore(tmp_path / "media")
        case kind:
            with s3_servers.get(kind).fresh_bucket() as bucket:
                minio = MinioMediaStore(bucket)
                yield minio
                minio.close()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    found = tmp_path / "given"
    found.mkdir()
    return found


def written(folder: Path, content: bytes) -> tuple[MediaKey, Path]:
    """Return the key of *content*, and a file that holds it."""
    sha256 = hashlib.sha256(content).hexdigest()
    file = folder / sha256
    file.write_bytes(content)
    return file_key(sha256), file


async def added(store: MediaStore, folder: Path, content: bytes) -> MediaKey:
    key, file = written(folder, content)
    assert await store.add(key, file, mimetype="image/jpeg")
    return key


async def content_of(
    store: MediaStore, key: MediaKey, *, start: int = 0, length: int | None = None
) -> bytes:
    return b"".join([piece async for piece in store.read(key, start=start, length=length)])


@pytest.mark.parametrize("content", [b"", b"hello", LONG], ids=["empty", "short", "long"])
async def test_gives_back_what_was_added(store: MediaStore, folder: Path, content: bytes) -> None:
    key = await added(store, folder, content)
    assert await content_of(store, key) == content
    assert await store.size_bytes(key) == len(content)


async def test_its_place_is_prepared_once_and_again(store: MediaStore, folder: Path) -> None:
    await store.prepare()
    key = await added(store, folder, b"hello")
    await store.prepare()
    assert await content_of(store, key) == b"hello"


async def test_nobody_else_reads_it(store: MediaStore, folder: Path) -> None:
    await store.prepare()
    assert not await store.readable_by_anyone()
    await added(store, folder, b"hello")
    assert not await store.readable_by_anyone()


async def test_adds_once_per_key(store: MediaStore, folder: Path) -> None:
    key = await added(store, folder, b"hello")
    other = folder / "other"
    other.write_bytes(b"something else")
    assert not await store.add(key, other, mimetype="image/png")
    assert await content_of(store, key) == b"hello"


async def test_many_may_add_the_same_at_once(store: MediaStore, folder: Path) -> None:
    key, file = written(folder, LONG)
    news = await asyncio.gather(*(store.add(key, file, mimetype="video/mp4") for _ in range(8)))
    assert sum(news) == 1
    assert await content_of(store, key) == LONG


async def test_the_given_file_stays(store: MediaStore, folder: Path) -> None:
    key, file = written(folder, b"hello")
    await store.add(key, file, mimetype="text/plain")
    await store.remove(key)
    assert file.read_bytes() == b"hello"


@pytest.mark.parametrize(
    ("start", "length"),
    [(0, 1), (0, None), (5, 10), (300_000, 300_000), (len(LONG) - 1, 100), (len(LONG), None)],
)
async def test_reads_a_part(
    store: MediaStore, folder: Path, start: int, length: int | None
) -> None:
    key = await added(store, folder, LONG)
    end = None if length is None else start + length
    assert await content_of(store, key, start=start, length=length) == LONG[start:end]


async def test_a_part_of_an_empty_file_is_empty(store: MediaStore, folder: Path) -> None:
    key = await added(store, folder, b"")
    assert await content_of(store, key, length=10) == b""
    assert await content_of(store, key, start=3) == b""


async def test_a_reader_may_stop_early_and_others_read_on(store: MediaStore, folder: Path) -> None:
    key = await added(store, folder, LONG)
    for _ in range(20):
        reading = store.read(key)
        assert LONG.startswith(await anext(reading))
        await reading.aclose()  # type: ignore[attr-defined]  # an async generator
    assert await content_of(store, key) == LONG


async def test_many_may_read_at_once(store: MediaStore, folder: Path) -> None:
    key = await added(store, folder, LONG)
    read = await asyncio.gather(*(content_of(store, key, start=n) for n in range(40)))
    assert read == [LONG[n:] for n in range(40)]


async def test_comes_in_pieces(store: MediaStore, folder: Path) -> None:
    key = await added(store, folder, LONG)
    sizes = [len(piece) async for piece in store.read(key)]
    assert len(sizes) > 1
    assert max(sizes) <= 1024 * 1024


async def test_what_is_not_there_is_not_found(store: MediaStore, folder: Path) -> None:
    key, _ = written(folder, b"hello")
    await store.prepare()
    assert [each async for each in store.files()] == []
    with pytest.raises(NotFound):
        await store.size_bytes(key)
    with pytest.raises(NotFound):
        await content_of(store, key)
    assert not await store.remove(key)


async def test_removes_for_good(store: MediaStore, folder: Path) -> None:
    key = await added(store, folder, b"hello")
    assert await store.remove(key)
    assert [each async for each in store.files()] == []
    with pytest.raises(NotFound):
        await store.size_bytes(key)


async def test_lists_all_by_key(store: MediaStore, folder: Path) -> None:
    keys = [await added(store, folder, bytes([number])) for number in range(20)]
    picture, file = thumbnail_key("ab" * 32), folder / "picture"
    file.write_bytes(b"webp")
    await store.add(picture, file, mimetype="image/webp")
    found = [each async for each in store.files()]
    assert [each.key for each in found] == sorted([*keys, picture])
    assert [each.size_bytes for each in found] == [1] * 20 + [4]
    assert all(abs(each.stored_at - datetime.now(UTC)) < MINUTE for each in found)


@pytest.mark.parametrize(
    "mimetype", ["", "image", "text/plain\r\nX-Evil: 1", "imagem/ção", "a" * 999]
)
async def test_a_malformed_type_is_no_reason_to_refuse_a_file(
    store: MediaStore, folder: Path, mimetype: str
) -> None:
    key, file = written(folder, b"hello")
    assert await store.add(key, file, mimetype=mimetype)
    assert await content_of(store, key) == b"hello"


async def test_an_address_is_none_or_on_the_web(store: MediaStore, folder: Path) -> None:
    key = await added(store, folder, b"hello")
    link = store.link(key, lifetime=MINUTE, filename="a.txt", mimetype="text/plain", inline=False)
    assert link is None or link.startswith(("http://", "https://"))
