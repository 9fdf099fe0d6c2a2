"""What only a bucket does: keys and policies, signed addresses, and servers that are ill."""

import asyncio
import json
import socket
import traceback
import tracemalloc
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import pytest
from msgspec.structs import replace
from tests.support.ill import Answer, http, ill_server
from tests.support.s3 import SECRET_KEY, S3Server, needs_s3, seaweed
from tests.support.within import within

from wagateway.adapters.minio._blocking import Patience
from wagateway.adapters.minio.bucket import Bucket
from wagateway.adapters.minio.media import MinioMediaStore, open_minio
from wagateway.domain.errors import InvalidInput, NotFound, StoreUnavailable
from wagateway.domain.media import MediaKey, file_key, thumbnail_key

KEY = file_key("ab" * 32)
MINUTE = timedelta(minutes=1)
LARGE = 48 * 2**20
HASTE = Patience(connect_s=0.5, answer_s=0.4, threads=4)
HTML = b"<!doctype html><title>Welcome</title><p>Please log in<br>"

Ask = Callable[[MinioMediaStore, Path], Awaitable[object]]


async def read(store: MinioMediaStore, _: Path) -> object:
    return b"".join([piece async for piece in store.read(KEY)])


async def listed(store: MinioMediaStore, _: Path) -> object:
    return [each async for each in store.files()]


ASKED: dict[str, Ask] = {
    "prepare": lambda store, _: store.prepare(),
    "add": lambda store, file: store.add(KEY, file, mimetype="text/plain"),
    "size": lambda store, _: store.size_bytes(KEY),
    "read": read,
    "remove": lambda store, _: store.remove(KEY),
    "files": listed,
    "open": lambda store, _: store.readable_by_anyone(),
}
every = pytest.mark.parametrize("ask", ASKED.values(), ids=ASKED)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    found = tmp_path / "file"
    found.write_bytes(b"hello")
    return found


@pytest.fixture
def bucket(s3_server: S3Server) -> Iterator[Bucket]:
    with s3_server.fresh_bucket() as bucket:
        yield bucket


@pytest.fixture
async def store(bucket: Bucket) -> AsyncIterator[MinioMediaStore]:
    async with open_minio(bucket) as opened:
        await opened.prepare()
        yield opened


def away(url: str, *, name: str = "media") -> Bucket:
    return Bucket(url=url, name=name, access_key="somebody", secret_key=SECRET_KEY)


@asynccontextmanager
async def ill(answer: Answer) -> AsyncIterator[MinioMediaStore]:
    async with ill_server(answer) as url, open_minio(away(url), HASTE) as store:
        yield store


async def got(url: str | None) -> httpx.Response:
    async with httpx.AsyncClient() as client:
        return await client.get(url or "")


def is_discreet(exc: BaseException) -> bool:
    told = "".join(traceback.format_exception(exc))
    return SECRET_KEY not in told and "X-Amz-" not in told and "somebody" not in told


def policy(action: str, resource: str) -> str:
    statement = {
        "Effect": "Allow",
        "Principal": {"AWS": ["*"]},
        "Action": [action],
        "Resource": [f"arn:aws:s3:::{resource}"],
    }
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]})


class TestRealServer:
    pytestmark = needs_s3

    @every
    async def test_a_wrong_password_is_told_and_not_shown(
        self, bucket: Bucket, file: Path, ask: Ask
    ) -> None:
        wrong = replace(bucket, secret_key="not-the-word-of-this-one")
        async with open_minio(wrong) as store:
            with pytest.raises(StoreUnavailable, match=r"keys are wrong|password is wrong") as told:
                await ask(store, file)
        assert is_discreet(told.value)
        assert wrong.secret_key not in "".join(traceback.format_exception(told.value))

    async def test_an_unknown_user_is_told(self, bucket: Bucket, file: Path) -> None:
        async with open_minio(replace(bucket, access_key="nobody-of-that-name")) as store:
            with pytest.raises(StoreUnavailable, match="user is unknown"):
                await listed(store, file)

    async def test_a_key_beyond_ascii_is_no_crash(self, bucket: Bucket, file: Path) -> None:
        async with open_minio(replace(bucket, access_key="joão\u2028")) as store:
            with pytest.raises(StoreUnavailable):
                await listed(store, file)

    async def test_a_bucket_that_is_gone_is_not_a_file_that_is_not_there(
        self, bucket: Bucket, file: Path
    ) -> None:
        async with open_minio(bucket) as store:
            for ask in (ASKED["size"], ASKED["read"], ASKED["files"]):
                with pytest.raises(StoreUnavailable, match="bucket is not there"):
                    await ask(store, file)

    async def test_a_bucket_is_made_when_a_file_needs_it_and_is_private(
        self, s3_server: S3Server, bucket: Bucket, file: Path
    ) -> None:
        async with open_minio(bucket) as one, open_minio(bucket) as two:
            await asyncio.gather(one.prepare(), two.prepare())
            s3_server.client().remove_bucket(bucket_name=bucket.name)
            assert await one.add(KEY, file, mimetype="text/plain")
            assert not await two.readable_by_anyone()
        for path in (f"{bucket.name}/{KEY}", bucket.name):
            assert (await got(f"{bucket.url}/{path}")).status_code == 403

    @pytest.mark.parametrize(
        ("action", "where"),
        [
            ("s3:GetObject", "/*"),
            ("s3:GetObject", "/thumbnails/*"),
            ("s3:*", "/*"),
            ("s3:ListBucket", ""),
        ],
    )
    async def test_a_bucket_that_is_open_to_anyone_is_told(
        self, s3_server: S3Server, store: MinioMediaStore, bucket: Bucket, action: str, where: str
    ) -> None:
        client = s3_server.client()
        client.set_bucket_policy(
            bucket_name=bucket.name, policy=policy(action, bucket.name + where)
        )
        assert await store.readable_by_anyone()
        client.delete_bucket_policy(bucket_name=bucket.name)
        assert not await store.readable_by_anyone()

    async def test_what_a_policy_does_not_say_in_words_of_ours_is_seen_by_trying(
        self, s3_server: S3Server, store: MinioMediaStore, bucket: Bucket, file: Path
    ) -> None:
        await store.add(thumbnail_key("ab" * 32), file, mimetype="image/webp")
        odd = policy("s3:GetObj*", bucket.name + "/thumbnails/*")
        client = s3_server.client()
        client.set_bucket_policy(bucket_name=bucket.name, policy=odd)
        assert await store.readable_by_anyone()

    async def test_foreign_files_are_left_out(
        self, s3_server: S3Server, store: MinioMediaStore, bucket: Bucket, file: Path
    ) -> None:
        await store.add(KEY, file, mimetype="text/plain")
        for name in ("notes.txt", "sha256/notes.txt", "sha256/zz/yy/x", "thumbnails/a"):
            s3_server.client().fput_object(
                bucket_name=bucket.name, object_name=name, file_path=str(file)
            )
        assert [each.key async for each in store.files()] == [KEY]

    async def test_what_breaks_off_is_never_seen(
        self, store: MinioMediaStore, s3_server: S3Server, bucket: Bucket, file: Path
    ) -> None:
        url = s3_server.client().get_presigned_url(
            method="PUT", bucket_name=bucket.name, object_name=KEY
        )
        parts = urlsplit(url)
        with socket.create_connection((parts.hostname or "", parts.port or 0)) as half:
            half.sendall(
                f"PUT {parts.path}?{parts.query} HTTP/1.1\r\nHost: {parts.netloc}\r\n"
                f"Content-Length: 5000000\r\n\r\n".encode()
                + b"x" * 2_500_000
            )
        with pytest.raises(NotFound):
            await store.size_bytes(KEY)
        assert [each async for each in store.files()] == []
        assert await store.add(KEY, file, mimetype="text/plain")
        assert await read(store, file) == b"hello"

    async def test_a_large_file_passes_in_little_memory(
        self, store: MinioMediaStore, tmp_path: Path
    ) -> None:
        large = tmp_path / "large"
        with large.open("wb") as target:
            target.truncate(LARGE)
        tracemalloc.start()
        try:
            assert await store.add(KEY, large, mimetype="video/mp4")
            size = 0
            async for piece in store.read(KEY):
                size += len(piece)
            _, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
        assert size == LARGE
        assert peak < 6 * 2**20

    async def test_a_server_that_goes_away_while_it_is_read_is_told(self, tmp_path: Path) -> None:
        large = tmp_path / "large"
        with large.open("wb") as target:
            target.truncate(LARGE)
        with seaweed() as server:
            async with open_minio(server.bucket(), HASTE._replace(answer_s=20)) as store:
                await store.add(KEY, large, mimetype="video/mp4")
                reading = store.read(KEY)
                assert await anext(reading)
                server.kill()
                with pytest.raises(StoreUnavailable):
                    _ = [piece async for piece in reading]
                with pytest.raises(StoreUnavailable):
                    await store.size_bytes(KEY)

    async def test_a_given_file_that_is_gone_is_told(
        self, store: MinioMediaStore, tmp_path: Path
    ) -> None:
        with pytest.raises(StoreUnavailable, match="the file that was given: No such file") as told:
            await store.add(KEY, tmp_path / "no", mimetype="text/plain")
        assert str(tmp_path) not in str(told.value)


class TestLink:
    pytestmark = needs_s3

    async def test_it_gives_the_file_under_the_name_and_type_that_were_asked_for(
        self, store: MinioMediaStore, file: Path
    ) -> None:
        await store.add(KEY, file, mimetype="text/html")
        url = store.link(
            KEY,
            lifetime=MINUTE,
            filename='relatório "1".pdf',
            mimetype="application/pdf",
            inline=True,
        )
        answer = await got(url)
        assert (answer.status_code, answer.content) == (200, b"hello")
        assert answer.headers["content-type"] == "application/pdf"
        assert answer.headers["content-disposition"] == (
            "inline; filename=\"relat_rio _1_.pdf\"; filename*=UTF-8''relat%C3%B3rio%20%221%22.pdf"
        )

    async def test_it_opens_nothing_else_and_nothing_more(
        self, store: MinioMediaStore, file: Path
    ) -> None:
        other = file_key("cd" * 32)
        for key in (KEY, other):
            await store.add(key, file, mimetype="text/plain")
        url = store.link(KEY, lifetime=MINUTE, filename=None, mimetype="text/plain", inline=False)
        assert url
        assert (await got(url)).headers["content-disposition"] == "attachment"
        assert (await got(url.replace(KEY, other))).status_code == 403
        assert (await got(url.replace("text%2Fplain", "text%2Fhtml"))).status_code == 403
        async with httpx.AsyncClient() as client:
            assert (await client.put(url, content=b"mine")).status_code == 403
        assert await read(store, file) == b"hello"

    async def test_it_ends(self, store: MinioMediaStore, file: Path) -> None:
        await store.add(KEY, file, mimetype="text/plain")
        second = timedelta(seconds=1)
        url = store.link(KEY, lifetime=second, filename=None, mimetype="text/plain", inline=False)
        assert url
        async with asyncio.timeout(10):
            while (await got(url)).status_code == 200:
                await asyncio.sleep(0.2)
        assert (await got(url)).status_code == 403

    async def test_it_leads_where_browsers_reach_the_store(
        self, store: MinioMediaStore, bucket: Bucket, file: Path
    ) -> None:
        await store.add(KEY, file, mimetype="text/plain")
        public = bucket.url.replace("127.0.0.1", "localhost")
        async with open_minio(replace(bucket, public_url=public)) as opened:
            url = opened.link(
                KEY, lifetime=MINUTE, filename=None, mimetype="text/plain", inline=False
            )
            assert await opened.size_bytes(KEY) == 5
        assert url
        assert url.startswith(public + "/")
        assert (await got(url)).content == b"hello"


async def test_a_link_is_signed_without_asking_the_server() -> None:
    async with open_minio(away("http://127.0.0.1:1")) as store:
        for day in (1, 7):
            url = store.link(
                KEY, lifetime=timedelta(days=day), filename=None, mimetype="a/b", inline=False
            )
            assert f"X-Amz-Expires={day * 86_400}&" in (url or "")
            assert SECRET_KEY not in (url or "")
        for wrong in (timedelta(), timedelta(days=7, seconds=1), timedelta(days=-1)):
            with pytest.raises(ValueError, match="one second to seven days"):
                store.link(KEY, lifetime=wrong, filename=None, mimetype="a/b", inline=False)


@pytest.mark.parametrize(
    "key", ["../../etc/passwd", f"sha256/../../{'ab' * 32}", "/etc/passwd", "", "sha256", " "]
)
async def test_what_is_no_key_is_never_asked_for(file: Path, key: str) -> None:
    wrong = MediaKey(key)
    async with open_minio(away("http://127.0.0.1:1"), HASTE) as store:
        for ask in (
            lambda: store.add(wrong, file, mimetype="text/plain"),
            lambda: store.size_bytes(wrong),
            lambda: store.remove(wrong),
            lambda: anext(store.read(wrong)),
        ):
            with pytest.raises(ValueError, match="no key of ours"):
                await ask()
        with pytest.raises(ValueError, match="no key of ours"):
            store.link(wrong, lifetime=MINUTE, filename=None, mimetype="a/b", inline=False)


class TestIllServer:
    @every
    async def test_one_that_is_not_there_is_told(self, file: Path, ask: Ask) -> None:
        with socket.socket() as taken:
            taken.bind(("127.0.0.1", 0))  # and does not listen
            url = f"http://127.0.0.1:{taken.getsockname()[1]}"
            async with open_minio(away(url), HASTE) as store:
                with within(20), pytest.raises(StoreUnavailable, match="cannot be reached") as told:
                    await ask(store, file)
        assert is_discreet(told.value)

    @every
    async def test_one_that_says_nothing_is_not_waited_for_and_holds_nobody_up(
        self, file: Path, ask: Ask
    ) -> None:
        async def silence(*_: object) -> None:
            await asyncio.sleep(60)

        async with ill(silence) as store:
            task = asyncio.ensure_future(ask(store, file))
            turns = 0
            with within(20):
                while not task.done():
                    await asyncio.sleep(0.02)
                    turns += 1
            with pytest.raises(StoreUnavailable, match="cannot be reached") as told:
                await task
        assert turns > 5
        assert is_discreet(told.value)

    @every
    @pytest.mark.parametrize(
        ("body", "kind"),
        [
            (
                b"<Error><Code>SlowDown</Code><Message>ana:s3same</Message></Error>",
                "application/xml",
            ),
            (HTML, "text/html"),
            (b"<Error><Code>SlowD", "application/xml"),
            (b"\xff\xfe\x00", "application/xml"),
            (b"", "text/plain"),
        ],
        ids=["xml", "html", "half", "binary", "empty"],
    )
    async def test_one_that_is_overloaded_is_asked_again_soon_and_then_told(
        self, file: Path, ask: Ask, body: bytes, kind: str
    ) -> None:
        asked: list[str] = []

        async def overloaded(
            head: str, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
        ) -> None:
            asked.append(head)
            if head.startswith("PUT"):
                await reader.readexactly(5)
            said = b"" if head.startswith("HEAD") else body
            writer.write(http(503, said, Content_Type=kind, Retry_After="3600"))

        async with ill(overloaded) as store:
            with within(20), pytest.raises(StoreUnavailable) as told:
                await ask(store, file)
        assert 2 <= len(asked) <= 9
        assert "s3same" not in str(told.value)

    @pytest.mark.parametrize("name", ["add", "size", "read", "remove", "files", "open"])
    async def test_one_that_says_yes_to_everything_in_html_is_not_believed(
        self, file: Path, name: str
    ) -> None:
        async def agree(
            head: str, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
        ) -> None:
            said = http(200, HTML, Content_Type="text/html")
            writer.write(said.removesuffix(HTML) if head.startswith("HEAD") else said)

        async with ill(agree) as store:
            with pytest.raises(StoreUnavailable, match="no S3 server"):
                await ASKED[name](store, file)

    async def test_an_upload_that_is_agreed_to_in_html_is_not_believed(self, file: Path) -> None:
        async def agree(
            head: str, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
        ) -> None:
            writer.write(http(404) if head.startswith("HEAD") else http(200, HTML))

        async with ill(agree) as store:
            with pytest.raises(StoreUnavailable, match="no S3 server"):
                await ASKED["add"](store, file)

    async def test_an_upload_that_is_cut_is_told_and_shows_no_signature(self, file: Path) -> None:
        tried: list[str] = []

        async def cut(
            head: str, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
        ) -> None:
            if head.startswith("HEAD"):
                writer.write(http(404))
                return
            tried.append(head)
            writer.transport.abort()

        async with ill(cut) as store:
            with pytest.raises(StoreUnavailable, match="cannot be reached") as told:
                await ASKED["add"](store, file)
        assert len(tried) == 2
        assert is_discreet(told.value)

    async def test_an_upload_is_repeated_where_the_server_stumbles(self, file: Path) -> None:
        told = iter([http(404), http(503, HTML), http(200, ETag='"x"')])
        bodies: list[bytes] = []
        heads: list[str] = []

        async def stumble(
            head: str, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
        ) -> None:
            if head.startswith("PUT"):
                heads.append(head)
                bodies.append(await reader.readexactly(5))
            writer.write(next(told))

        async with ill(stumble) as store:
            assert await ASKED["add"](store, file) is True
        assert bodies == [b"hello", b"hello"]
        for head in heads:
            assert "\r\nIf-None-Match: *\r\n" in head
            assert "\r\nContent-Type: text/plain\r\n" in head
            assert "\r\nContent-MD5: XUFAKrxLKna5cZ2REBfFkg==\r\n" in head  # of hello

    async def test_an_upload_that_is_never_answered_is_not_waited_for(self, file: Path) -> None:
        async def stall(
            head: str, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
        ) -> None:
            if head.startswith("PUT"):
                await asyncio.sleep(60)
            writer.write(http(404))

        async with ill(stall) as store:
            with within(20), pytest.raises(StoreUnavailable, match="cannot be reached") as told:
                await ASKED["add"](store, file)
        assert is_discreet(told.value)

    async def test_one_that_speaks_no_tls_is_told(self, file: Path) -> None:
        async def speak(
            head: str, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
        ) -> None:
            writer.write(http(200))

        async with ill_server(speak) as url:
            tls = away(url.replace("http:", "https:"))
            with within(20), pytest.raises(StoreUnavailable, match="cannot be reached"):
                async with open_minio(tls, HASTE) as store:
                    await ASKED["size"](store, file)

    async def test_nobody_is_sent_elsewhere_with_a_signature(self, file: Path) -> None:
        elsewhere: list[str] = []

        async def note(head: str, _: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            elsewhere.append(head)
            writer.write(http(200, ETag='"x"'))

        async with ill_server(note) as other:

            async def send_away(
                head: str, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
            ) -> None:
                writer.write(http(307, Location=f"{other}/media/{KEY}", Content_Type="text/html"))

            async with ill(send_away) as store:
                for ask in ASKED.values():
                    with pytest.raises(StoreUnavailable):
                        await ask(store, file)
        assert elsewhere == []

    async def test_a_file_that_is_cut_in_the_middle_is_told(self, file: Path) -> None:
        async def cut(
            head: str, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
        ) -> None:
            writer.write(http(200, b"x" * 600_000, Content_Length="1000000", ETag='"x"'))
            await writer.drain()
            writer.close()

        async with ill(cut) as store:
            reading = store.read(KEY)
            assert await anext(reading)
            with pytest.raises(StoreUnavailable, match="cannot be reached"):
                _ = [piece async for piece in reading]

    async def test_a_whole_file_in_place_of_a_part_is_not_taken_for_it(self, file: Path) -> None:
        async def whole(
            head: str, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
        ) -> None:
            writer.write(http(200, b"hello", ETag='"x"'))

        async with ill(whole) as store:
            assert await read(store, file) == b"hello"
            with pytest.raises(StoreUnavailable):
                await anext(store.read(KEY, start=1))

    async def test_who_stops_reading_lets_go_of_the_connection(self) -> None:
        gone = asyncio.Event()

        async def endless(
            head: str, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
        ) -> None:
            try:
                writer.write(http(200, Content_Length=str(2**40), ETag='"x"'))
                while True:
                    writer.write(b"x" * 65536)
                    await writer.drain()
            except ConnectionError:
                gone.set()
                raise

        async with ill(endless) as store:
            reading = store.read(KEY)
            assert await anext(reading)
            await reading.aclose()  # type: ignore[attr-defined]  # an async generator
            async with asyncio.timeout(5):
                await gone.wait()

    @pytest.mark.parametrize("begun", [False, True])
    async def test_who_is_cancelled_while_reading_waits_for_nobody(self, *, begun: bool) -> None:
        asked, gone = asyncio.Event(), asyncio.Event()

        async def stall(
            head: str, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
        ) -> None:
            if begun:
                writer.write(http(200, b"x" * 300_000, Content_Length="1000000", ETag='"x"'))
                await writer.drain()
            asked.set()
            await reader.read()  # up to when the other side is gone
            gone.set()

        async def consume(store: MinioMediaStore) -> None:
            async for _ in store.read(KEY):
                pass

        async with ill_server(stall) as url, open_minio(away(url), Patience(2, 2, 2)) as store:
            task = asyncio.create_task(consume(store))
            await asked.wait()
            await asyncio.sleep(0.2)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            assert not gone.is_set()  # a thread reads still
            async with asyncio.timeout(10):
                await gone.wait()

    @pytest.mark.parametrize("names", [["ab", "ab"], ["cd", "ab"]])
    async def test_a_list_without_order_or_end_is_told(self, names: list[str]) -> None:
        pages = iter(names * 1000)

        async def page(
            head: str, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
        ) -> None:
            body = (
                "<ListBucketResult><Name>media</Name><IsTruncated>true</IsTruncated><NextContinuationToken>x"
                "</NextContinuationToken>"
                f"<Contents><Key>{file_key(next(pages) * 32)}</Key><Size>1</Size>"
                "<LastModified>2026-11-26T00:00:00.000Z</LastModified></Contents>"
                "</ListBucketResult>"
            )
            writer.write(http(200, body.encode(), Content_Type="application/xml"))

        async with ill(page) as store:
            with pytest.raises(StoreUnavailable, match="out of order"):
                _ = [each async for each in store.files()]


@pytest.mark.parametrize(
    "name",
    ["", "ab", "UPPER", "under_score", "a..b", "-ab", "ab-", "192.168.0.1", "a/b", "x" * 64, "a b"],
)
def test_what_is_no_name_of_a_bucket_is_refused(name: str) -> None:
    with pytest.raises(InvalidInput, match="not a bucket's name"):
        away("http://127.0.0.1:9302", name=name)


@pytest.mark.parametrize(
    "url",
    [
        "127.0.0.1:9302",
        "ftp://127.0.0.1",
        "http://",
        "http://ana:s3same@minio:9302",
        "http://minio:9302/path",
        "http://minio:9302?x=1",
        "http://minio:99999",
        "http://minio:0",
        "http://mi nio",
        "http://[::1",
    ],
)
def test_what_is_no_address_of_a_store_is_refused_and_not_shown(url: str) -> None:
    with pytest.raises(InvalidInput, match="not the address") as told:
        away(url)
    assert "s3same" not in str(told.value)


@pytest.mark.parametrize(
    "url", ["http://127.0.0.1:9302/", "https://files.example", "http://[fd00::1]:9302"]
)
async def test_an_address_of_a_store_is_taken(url: str) -> None:
    async with open_minio(away(url)) as store:
        link = store.link(KEY, lifetime=MINUTE, filename=None, mimetype="a/b", inline=False)
    assert (link or "").startswith(f"{url.rstrip('/')}/media/{KEY}?")


def test_a_region_is_checked() -> None:
    with pytest.raises(InvalidInput, match="not a region"):
        replace(away("http://minio"), region="us east")


def test_no_key_shows_in_a_repr() -> None:
    shown = repr(away("http://minio"))
    assert SECRET_KEY not in shown
    assert "somebody" not in shown
