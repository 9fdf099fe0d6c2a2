"""Files over HTTP: whole or in part, never run by a browser, and said where they are not there."""

import asyncio
import dataclasses
import hashlib
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx
import msgspec
import pytest
from tests.unit.entrypoints.http.world import (
    ANA,
    API,
    NOON,
    application,
    client_of,
    delivery,
    library_of,
)
from typing_extensions import override

from wagateway.adapters.memory.archive import InMemoryArchive
from wagateway.adapters.memory.downloads import InMemoryDownloadStore
from wagateway.adapters.memory.media import InMemoryMediaStore
from wagateway.adapters.memory.purges import InMemoryPurgeStore
from wagateway.domain.errors import StoreUnavailable
from wagateway.domain.events import MessageSeen
from wagateway.domain.identity import MessageRef, StanzaId
from wagateway.domain.media import (
    DownloadStatus,
    Inspection,
    MediaKey,
    Rules,
    Stored,
    completed,
    expired,
    file_key,
    thumbnail_key,
)
from wagateway.domain.messages import Kind, MediaFacts, Message
from wagateway.domain.purges import Purge
from wagateway.ports.media_store import MediaStore

BYTES = bytes(range(256)) * 4
SHA256 = hashlib.sha256(BYTES).hexdigest()
FILE = f"/api/media/default/{ANA}/A1"
PREVIEW = b"RIFF----WEBP"


class LinkingStore(InMemoryMediaStore):
    """A store with addresses."""

    @override
    def link(
        self,
        key: MediaKey,
        *,
        lifetime: timedelta,
        filename: str | None,
        mimetype: str,
        inline: bool,
    ) -> str | None:
        return f"https://files.example/{key}?inline={inline}"


class World:
    """An archive with files, and the store that has them."""

    def __init__(self, folder: Path) -> None:
        self.archive = InMemoryArchive()
        self.downloads = InMemoryDownloadStore(self.archive)
        self.media: MediaStore = LinkingStore()
        self._file = folder / "file"

    async def tell(
        self,
        stanza: str = "A1",
        *,
        mimetype: str = "image/jpeg",
        filename: str | None = "praia.jpg",
        stored: bool = True,
        preview: bytes | None = None,
    ) -> None:
        """Archive a message with a file, and store that."""
        message = Message(
            waha_id=f"false_{ANA}_{stanza}",
            from_me=False,
            sent_at=NOON,
            kind=Kind.IMAGE,
            sender=ANA,
            media=MediaFacts(mimetype=mimetype, filename=filename),
        )
        ref = MessageRef(chat=ANA, stanza=StanzaId(stanza), from_me=False)
        seen = MessageSeen(ref=ref, message=message, preview=preview)
        await self.archive.record([delivery(seen, at=NOON, event="message.any")])
        if stored:
            await self._store(mimetype)

    async def _store(self, mimetype: str) -> None:
        for task in await self.downloads.claim(
            NOON, rules=Rules(), lease=timedelta(minutes=1), limit=9
        ):
            done = msgspec.structs.replace(task, download=completed(task.download, SHA256))
            kept = Stored(size_bytes=len(BYTES), mimetype=mimetype)
            await self.downloads.save(done, now=NOON, stored=kept)
        self._file.write_bytes(BYTES)
        await self.media.add(file_key(SHA256), self._file, mimetype=mimetype)

    async def look(self, mimetype: str) -> None:
        """Find out what the file really is, with a preview."""
        found = Inspection(mimetype=mimetype, width=8, height=4, has_thumbnail=True)
        await self.downloads.save_inspection(SHA256, found, now=NOON)
        self._file.write_bytes(PREVIEW)
        await self.media.add(thumbnail_key(SHA256), self._file, mimetype="image/webp")

    async def purge(self) -> None:
        """Purge all messages."""
        store = InMemoryPurgeStore(self.archive)
        [target] = await store.archives()
        before = NOON + timedelta(hours=1)
        made = Purge(before=before, purged_at=before, purged_by="maria")
        await store.remember(target, made)
        await store.step(target, before, limit=100, at=before)

    async def give_up(self) -> None:
        [task] = await self.downloads.claim(
            NOON, rules=Rules(), lease=timedelta(minutes=1), limit=1
        )
        state = expired(task.download, "WhatsApp has the file no longer")
        await self.downloads.save(msgspec.structs.replace(task, download=state), now=NOON)


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


@pytest.fixture
async def client(world: World) -> AsyncIterator[httpx.AsyncClient]:
    library = library_of(world.archive, world.media)
    async with client_of(application(reader=world.archive, library=library)) as opened:
        opened.headers = httpx.Headers(list(API.items()))
        yield opened


class TestWhole:
    async def test_is_streamed_with_its_name_type_and_hash(
        self, world: World, client: httpx.AsyncClient
    ) -> None:
        await world.tell()
        answer = await client.get(FILE)
        assert (answer.status_code, answer.content) == (200, BYTES)
        assert answer.headers["content-type"] == "image/jpeg"
        assert answer.headers["content-length"] == str(len(BYTES))
        assert answer.headers["etag"] == f'"{SHA256}"'
        assert answer.headers["accept-ranges"] == "bytes"
        assert answer.headers["content-disposition"].startswith('inline; filename="praia.jpg"')

    async def test_what_it_really_is_counts(self, world: World, client: httpx.AsyncClient) -> None:
        await world.tell()
        await world.look("image/png")
        assert (await client.get(FILE)).headers["content-type"] == "image/png"

    async def test_its_headers_can_be_had_alone(
        self, world: World, client: httpx.AsyncClient
    ) -> None:
        await world.tell()
        await world.look("image/png")
        for path, size in ((FILE, len(BYTES)), (f"{FILE}/thumbnail", len(PREVIEW))):
            answer = await client.head(path)
            assert (answer.status_code, answer.content) == (200, b"")
            assert answer.headers["content-length"] == str(size)
            held = {"If-None-Match": answer.headers["etag"]}
            assert (await client.head(path, headers=held)).status_code == 304

    async def test_a_nameless_file_gets_a_name(
        self, world: World, client: httpx.AsyncClient
    ) -> None:
        await world.tell(filename=None)
        named = (await client.get(FILE)).headers["content-disposition"]
        assert 'filename="image-2026-10-03.jpg"' in named

    async def test_so_does_one_whose_name_says_nothing(
        self, world: World, client: httpx.AsyncClient
    ) -> None:
        await world.tell(filename="\u202e...", mimetype="Image/JPEG; x=y")
        named = (await client.get(FILE)).headers["content-disposition"]
        assert 'filename="image-2026-10-03.jpg"' in named

    async def test_a_preview_is_a_small_picture(
        self, world: World, client: httpx.AsyncClient
    ) -> None:
        await world.tell()
        absent = await client.get(f"{FILE}/thumbnail")
        assert absent.status_code == 404
        assert "no preview" in absent.json()["detail"]
        await world.look("image/jpeg")
        answer = await client.get(f"{FILE}/thumbnail")
        assert (answer.content, answer.headers["content-type"]) == (PREVIEW, "image/webp")
        assert answer.headers["etag"] != f'"{SHA256}"'


INSIDE = b"\xff\xd8\xff\xe0 a tiny picture"


class TestInsideAMessage:
    """The tiny picture that WhatsApp sent with the message, while its file is not stored."""

    @pytest.mark.parametrize("status", ["pending", "expired"])
    async def test_stands_for_a_file_that_is_not_stored(
        self, world: World, client: httpx.AsyncClient, status: str
    ) -> None:
        await world.tell(stored=False, preview=INSIDE)
        if status == "expired":
            await world.give_up()
        messages = (await client.get(f"/api/messages/default/{ANA}")).json()["messages"]
        files = (await client.get("/api/media/default")).json()["files"]
        for told in (messages[0]["media"], files[0]["media"]):
            assert (told["status"], told["url"]) == (status, None)
            assert told["has_thumbnail"]
            assert told["thumbnail_url"] == f"{FILE}/thumbnail"
        answer = await client.get(f"{FILE}/thumbnail")
        assert (answer.status_code, answer.content) == (200, INSIDE)
        assert (await client.get(FILE)).status_code == 404

    @pytest.mark.parametrize(
        ("preview", "mimetype"),
        [
            (INSIDE, "image/jpeg"),
            (b"\x89PNG\r\n\x1a\n<script>", "image/png"),
            (b"RIFF----WEBP", "image/webp"),
        ],
    )
    async def test_has_its_own_type_and_hash_and_is_asked_for_again(
        self, world: World, client: httpx.AsyncClient, preview: bytes, mimetype: str
    ) -> None:
        await world.tell(stored=False, preview=preview)
        answer = await client.get(f"{FILE}/thumbnail", params={"redirect": "true"})
        assert (answer.status_code, answer.content) == (200, preview)
        headers = answer.headers
        etag = f'"{hashlib.sha256(preview).hexdigest()}"'
        assert (headers["content-type"], headers["etag"]) == (mimetype, etag)
        assert headers["cache-control"] == "private, no-cache"
        assert headers["x-content-type-options"] == "nosniff"
        assert "sandbox" in headers["content-security-policy"]
        assert headers["content-disposition"].startswith("inline")
        held = await client.get(f"{FILE}/thumbnail", headers={"If-None-Match": etag})
        assert (held.status_code, held.headers["cache-control"]) == (304, "private, no-cache")
        alone = await client.head(f"{FILE}/thumbnail")
        assert (alone.status_code, alone.content) == (200, b"")
        assert alone.headers["content-length"] == str(len(preview))

    async def test_can_be_had_in_part(self, world: World, client: httpx.AsyncClient) -> None:
        await world.tell(stored=False, preview=INSIDE)
        answer = await client.get(f"{FILE}/thumbnail", headers={"Range": "bytes=1-3"})
        assert (answer.status_code, answer.content) == (206, INSIDE[1:4])

    async def test_gives_way_to_that_of_the_stored_file(
        self, world: World, client: httpx.AsyncClient
    ) -> None:
        await world.tell(preview=INSIDE)
        assert (await client.get(f"{FILE}/thumbnail")).status_code == 404
        await world.look("image/jpeg")
        answer = await client.get(f"{FILE}/thumbnail")
        assert (answer.content, answer.headers["content-type"]) == (PREVIEW, "image/webp")
        assert "immutable" in answer.headers["cache-control"]

    async def test_is_not_what_a_hash_asks_for(
        self, world: World, client: httpx.AsyncClient
    ) -> None:
        await world.tell(stored=False, preview=INSIDE)
        answer = await client.get(f"{FILE}/thumbnail", params={"sha256": SHA256[:16]})
        assert answer.status_code == 404
        assert "it is pending" in answer.json()["detail"]

    async def test_is_asked_for_in_the_archive_that_was_asked(
        self, world: World, client: httpx.AsyncClient
    ) -> None:
        await world.tell(stored=False, preview=INSIDE)
        [account] = {each.account for each in await world.archive.sessions()}
        page = (await client.get("/api/media/default", params={"account": account})).json()
        address = page["files"][0]["media"]["thumbnail_url"]
        assert address.endswith(f"?account={quote(str(account), safe='')}")
        assert (await client.get(address)).content == INSIDE

    async def test_none_is_told_where_none_came(
        self, world: World, client: httpx.AsyncClient
    ) -> None:
        await world.tell(stored=False)
        answer = await client.get(f"{FILE}/thumbnail")
        assert answer.status_code == 404
        assert "it is pending" in answer.json()["detail"]


class TestPart:
    async def test_is_streamed_alone(self, world: World, client: httpx.AsyncClient) -> None:
        await world.tell()
        answer = await client.get(FILE, headers={"Range": "bytes=10-19"})
        assert (answer.status_code, answer.content) == (206, BYTES[10:20])
        assert answer.headers["content-range"] == f"bytes 10-19/{len(BYTES)}"
        assert answer.headers["content-length"] == "10"

    async def test_behind_the_end_is_refused_with_the_size(
        self, world: World, client: httpx.AsyncClient
    ) -> None:
        await world.tell()
        answer = await client.get(FILE, headers={"Range": "bytes=5000-"})
        assert answer.status_code == 416
        assert answer.headers["content-range"] == f"bytes */{len(BYTES)}"
        assert answer.headers["content-type"] == "application/problem+json"
        assert answer.json()["detail"] == "The file has 1,024 bytes."

    async def test_of_another_version_is_answered_with_the_whole(
        self, world: World, client: httpx.AsyncClient
    ) -> None:
        await world.tell()
        for held, status in ((f'"{SHA256}"', 206), ('"other"', 200)):
            headers = {"Range": "bytes=0-1", "If-Range": held}
            assert (await client.get(FILE, headers=headers)).status_code == status

    @pytest.mark.parametrize("asked", ["bytes=0-1,4-5", "bytes=x", "pages=1-2"])
    async def test_what_is_no_single_part_is_answered_with_the_whole(
        self, world: World, client: httpx.AsyncClient, asked: str
    ) -> None:
        await world.tell()
        assert (await client.get(FILE, headers={"Range": asked})).content == BYTES

    async def test_who_holds_it_is_sent_nothing(
        self, world: World, client: httpx.AsyncClient
    ) -> None:
        await world.tell()
        answer = await client.get(FILE, headers={"If-None-Match": f'"{SHA256}"'})
        assert (answer.status_code, answer.content) == (304, b"")
        assert answer.headers["etag"] == f'"{SHA256}"'


class TestBrowsers:
    @pytest.mark.parametrize(
        "mimetype",
        ["text/html", "image/svg+xml", "application/pdf", "text/javascript", "no type\r\nX: 1"],
    )
    async def test_what_can_script_is_only_saved(
        self, world: World, client: httpx.AsyncClient, mimetype: str
    ) -> None:
        await world.tell(mimetype=mimetype)
        answer = await client.get(FILE)
        assert answer.headers["content-disposition"].startswith("attachment;")
        assert "X" not in answer.headers

    async def test_what_turns_out_to_script_is_only_saved(
        self, world: World, client: httpx.AsyncClient
    ) -> None:
        await world.tell()
        await world.look("image/svg+xml")
        answer = await client.get(FILE)
        assert answer.headers["content-disposition"].startswith("attachment;")

    async def test_nothing_is_guessed_or_run(self, world: World, client: httpx.AsyncClient) -> None:
        await world.tell()
        for asked in ({}, {"Range": "bytes=0-1"}):
            answer = await client.get(FILE, headers=asked)
            assert answer.headers["x-content-type-options"] == "nosniff"
            assert "sandbox" in answer.headers["content-security-policy"]
            assert "default-src 'none'" in answer.headers["content-security-policy"]
            assert answer.headers["cache-control"].startswith("private")
            assert answer.headers["cross-origin-resource-policy"] == "same-origin"

    async def test_all_can_be_saved(self, world: World, client: httpx.AsyncClient) -> None:
        await world.tell()
        answer = await client.get(FILE, params={"download": "true"})
        assert answer.headers["content-disposition"].startswith("attachment;")

    @pytest.mark.parametrize(
        "filename",
        ['a"b\r\nSet-Cookie: x=1.jpg', "\u202egpj.exe", "../../etc/passwd", "x" * 10_000, "\ud800"],
    )
    async def test_a_hostile_name_does_no_harm(
        self, world: World, client: httpx.AsyncClient, filename: str
    ) -> None:
        await world.tell(filename=filename.encode("utf-8", "replace").decode())
        answer = await client.get(FILE)
        assert answer.status_code == 200
        assert "set-cookie" not in answer.headers
        named = answer.headers["content-disposition"]
        assert named.isprintable()
        assert len(named) < 3000
        assert "/" not in named.replace("UTF-8''", "")


class TestAddresses:
    async def test_a_browser_may_be_sent_to_the_store(
        self, world: World, client: httpx.AsyncClient
    ) -> None:
        await world.tell()
        answer = await client.get(FILE, params={"redirect": "true"})
        assert answer.status_code == 302
        key = file_key(SHA256)
        assert answer.headers["location"] == f"https://files.example/{key}?inline=True"
        assert answer.headers["cache-control"] == "no-store"

    async def test_a_setting_makes_that_usual(self, world: World) -> None:
        await world.tell()
        library = library_of(world.archive, world.media)
        library = dataclasses.replace(library, redirects=True)
        async with client_of(application(reader=world.archive, library=library)) as client:
            usual = await client.get(FILE, headers=list(API.items()))
            streamed = await client.get(
                FILE, params={"redirect": "false"}, headers=list(API.items())
            )
        assert (usual.status_code, streamed.status_code) == (302, 200)

    async def test_a_store_without_addresses_streams(self, world: World) -> None:
        world.media = InMemoryMediaStore()
        await world.tell()
        library = library_of(world.archive, world.media)
        async with client_of(application(reader=world.archive, library=library)) as client:
            answer = await client.get(FILE, params={"redirect": "true"}, headers=list(API.items()))
        assert (answer.status_code, answer.content) == (200, BYTES)

    async def test_messages_say_where_their_files_are(
        self, world: World, client: httpx.AsyncClient
    ) -> None:
        await world.tell("A+1 ç")
        await world.look("image/jpeg")
        told = (await client.get(f"/api/messages/default/{ANA}")).json()["messages"][0]["media"]
        assert told["status"] == "completed"
        for address, content in ((told["url"], BYTES), (told["thumbnail_url"], PREVIEW)):
            assert (await client.get(address)).content == content

    @pytest.mark.parametrize("stanza", ["a/b", "x/thumbnail", ".", ".."])
    async def test_what_no_address_can_name_has_none(
        self, world: World, client: httpx.AsyncClient, stanza: str
    ) -> None:
        await world.tell(stanza)
        told = (await client.get(f"/api/messages/default/{ANA}")).json()["messages"][0]["media"]
        assert (told["status"], told["url"]) == ("completed", None)

    async def test_a_hash_tells_which_file_is_meant(
        self, world: World, client: httpx.AsyncClient
    ) -> None:
        await world.tell()
        for given in (SHA256[:16], SHA256.upper()):
            assert (await client.get(FILE, params={"sha256": given})).content == BYTES
        other = await client.get(FILE, params={"sha256": "0" * 16})
        assert other.status_code == 404
        assert "another file" in other.json()["detail"]
        assert (await client.get(FILE, params={"sha256": "0" * 65})).status_code == 400

    async def test_and_nothing_where_they_are_not(
        self, world: World, client: httpx.AsyncClient
    ) -> None:
        await world.tell(stored=False)
        told = (await client.get(f"/api/messages/default/{ANA}")).json()["messages"][0]["media"]
        assert (told["status"], told["url"], told["thumbnail_url"]) == ("pending", None, None)


class TestAbsent:
    @pytest.mark.parametrize(
        "path",
        [
            f"/api/media/default/{ANA}/B9",
            "/api/media/default/5511900000000@c.us/A1",
            f"/api/media/other/{ANA}/A1",
            f"/api/media/default/{ANA}/" + "x" * 5000,
            f"/api/media/default/{ANA}/%00",
            f"/api/media/default/{ANA}/..%2F..%2Fetc%2Fpasswd",
        ],
    )
    async def test_what_is_not_there_is_not_found(
        self, world: World, client: httpx.AsyncClient, path: str
    ) -> None:
        await world.tell()
        answer = await client.get(path)
        assert answer.status_code == 404
        assert answer.headers["content-type"] == "application/problem+json"
        assert (await client.head(path)).status_code == 404

    async def test_why_it_is_not_stored_is_told(
        self, world: World, client: httpx.AsyncClient
    ) -> None:
        await world.tell(stored=False)
        told = (await client.get(FILE)).json()
        assert "it is pending" in told["detail"]
        assert (told["media_status"], told.get("media_problem")) == ("pending", None)
        await world.give_up()
        why = "WhatsApp has the file no longer"
        for path in (FILE, f"{FILE}/thumbnail"):
            answer = await client.get(path)
            assert answer.status_code == 404
            told = answer.json()
            assert f"it is expired: {why}" in told["detail"]
            assert (told["media_status"], told["media_problem"]) == ("expired", why)

    async def test_what_the_store_lost_is_told(
        self, world: World, client: httpx.AsyncClient
    ) -> None:
        await world.tell()
        await world.media.remove(file_key(SHA256))
        answer = await client.get(FILE)
        assert answer.status_code == 404
        told = answer.json()
        assert "wagateway media verify" in told["detail"]
        assert told["media_status"] == "completed"
        assert told["media_problem"] == "the media store lacks this file"

    async def test_a_file_without_a_preview_is_told(
        self, world: World, client: httpx.AsyncClient
    ) -> None:
        await world.tell()
        answer = await client.get(f"{FILE}/thumbnail")
        assert answer.status_code == 404
        told = answer.json()
        assert "no preview" in told["detail"]
        assert (told["media_status"], told.get("media_problem")) == ("completed", None)

    async def test_what_was_never_a_message_has_no_status(
        self, world: World, client: httpx.AsyncClient
    ) -> None:
        await world.tell()
        for path in (FILE[:-1] + "2", f"{FILE}?sha256=00", "/api/media/other/1/1"):
            assert not {"media_status", "media_problem"} & (await client.get(path)).json().keys()

    async def test_a_store_that_is_away_is_told(self, world: World) -> None:
        class Away(InMemoryMediaStore):
            """Cannot be asked."""

            @override
            async def size_bytes(self, key: MediaKey) -> int:
                raise StoreUnavailable("the bucket cannot be reached")

        await world.tell()
        library = library_of(world.archive, Away())
        async with client_of(application(reader=world.archive, library=library)) as client:
            answer = await client.get(FILE, headers=list(API.items()))
        assert answer.status_code == 503

    @pytest.mark.parametrize("path", [FILE, f"{FILE}/thumbnail", "/api/media/default"])
    async def test_nothing_is_told_without_a_token(
        self, world: World, client: httpx.AsyncClient, path: str
    ) -> None:
        await world.tell()
        del client.headers["x-api-token"]
        assert (await client.get(path)).status_code == 401
        assert (await client.head(path)).status_code in {401, 405}


class BreakingStore(InMemoryMediaStore):
    """Breaks in the middle of a file, and tells when its reading was closed."""

    def __init__(self, *, breaks: bool) -> None:
        super().__init__()
        self._breaks = breaks
        self.closed = asyncio.Event()

    @override
    async def read(
        self, key: MediaKey, *, start: int = 0, length: int | None = None
    ) -> AsyncIterator[bytes]:
        try:
            yield BYTES[:100]
            if self._breaks:
                raise StoreUnavailable("cut")
            await asyncio.Event().wait()
        finally:
            self.closed.set()


class TestStreams:
    async def test_a_store_that_breaks_off_is_no_short_success(self, world: World) -> None:
        world.media = BreakingStore(breaks=True)
        await world.tell()
        sent = await spoken(world)
        assert sent[0]["status"] == 200
        assert not any(
            message["type"] == "http.response.body" and not message.get("more_body")
            for message in sent
        )

    async def test_who_hangs_up_lets_the_store_go(self, world: World) -> None:
        world.media = store = BreakingStore(breaks=False)
        await world.tell()
        await spoken(world, hangs_up=True)
        assert store.closed.is_set()


async def spoken(world: World, *, hangs_up: bool = False) -> list[Any]:
    """Ask for the file as a server does, and return what the application sent."""
    app = application(reader=world.archive, library=library_of(world.archive, world.media))
    sent: list[Any] = []
    asked = iter([{"type": "http.request", "body": b"", "more_body": False}])
    begun = asyncio.Event()

    async def receive() -> Any:  # noqa: ANN401 - ASGI's
        if (message := next(asked, None)) is not None:
            return message
        if hangs_up:
            await begun.wait()
            return {"type": "http.disconnect"}
        await asyncio.Event().wait()
        raise AssertionError

    async def send(message: Any) -> None:  # noqa: ANN401 - ASGI's
        sent.append(message)
        if message["type"] == "http.response.body":
            begun.set()

    scope: Any = {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.3"},
        "http_version": "1.1",
        "method": "GET",
        "scheme": "http",
        "path": FILE,
        "raw_path": FILE.encode(),
        "query_string": b"",
        "root_path": "",
        "headers": list(API.items()),
        "client": ("127.0.0.1", 1),
        "server": ("127.0.0.1", 4011),
        "extensions": {},
    }
    try:
        async with asyncio.timeout(5):
            await app(scope, receive, send)
    except TimeoutError:
        raise
    except Exception:  # noqa: BLE001 - whoever serves it breaks the connection off
        sent.append({"type": "broken"})
    return sent


class TestGallery:
    async def test_shows_files_newest_first_by_pages(
        self, world: World, client: httpx.AsyncClient
    ) -> None:
        for n in range(3):
            await world.tell(f"A{n}", stored=n > 0)
        page = (await client.get("/api/media/default", params={"limit": 2})).json()
        assert [file["id"] for file in page["files"]] == ["A2", "A1"]
        assert page["files"][0]["media"]["url"] == f"{FILE[:-1]}2?sha256={SHA256[:16]}"
        rest = await client.get("/api/media/default", params={"before": page["next"]})
        assert [file["id"] for file in rest.json()["files"]] == ["A0"]

    async def test_can_be_narrowed(self, world: World, client: httpx.AsyncClient) -> None:
        await world.tell(stored=False)
        for asked, count in (
            ({"status": "pending"}, 1),
            ({"status": "completed"}, 0),
            ({"kind": "image"}, 1),
            ({"kind": "video"}, 0),
        ):
            page = (await client.get("/api/media/default", params=asked)).json()
            assert len(page["files"]) == count

    @pytest.mark.parametrize(
        "asked", [{"limit": 0}, {"limit": 501}, {"status": "x"}, {"kind": "x"}, {"before": "x"}]
    )
    async def test_refuses_what_it_does_not_know(
        self, world: World, client: httpx.AsyncClient, asked: dict[str, Any]
    ) -> None:
        await world.tell()
        assert (await client.get("/api/media/default", params=asked)).status_code == 400

    async def test_what_expired_can_be_wanted_again(
        self, world: World, client: httpx.AsyncClient
    ) -> None:
        await world.tell(stored=False)
        await world.give_up()
        for asked, count in (
            ({"chat": "5511900000000@c.us", "message_id": "A1"}, None),
            ({"status": "completed"}, 0),
            ({"chat": ANA, "message_id": "A1"}, 1),
        ):
            alone = await client.post("/api/media/default/retry", params={"message_id": "A1"})
            assert alone.status_code == 400
            answer = await client.post("/api/media/default/retry", params=asked)
            if count is None:
                assert answer.status_code == 404
            else:
                assert (answer.status_code, answer.json()) == (202, {"files": count})
        page = (await client.get("/api/media/default")).json()
        assert page["files"][0]["media"]["status"] == DownloadStatus.PENDING

    async def test_several_states_can_be_wanted_again(
        self, world: World, client: httpx.AsyncClient
    ) -> None:
        await world.tell(stored=False)
        await world.give_up()
        await world.tell("A2", stored=False)
        for asked, count in (
            ([], 1),
            (["pending"], 2),
            (["failed", "skipped"], 0),
            (["skipped", "pending", "pending"], 2),
        ):
            answer = await client.post("/api/media/default/retry", params={"status": asked})
            assert (answer.status_code, answer.json()) == (202, {"files": count})
        for wrong in (["x"], ["failed", "x"], [""]):
            answer = await client.post("/api/media/default/retry", params={"status": wrong})
            assert answer.status_code == 400
            assert answer.json()["detail"].startswith("status must be one of pending, ")


@pytest.mark.parametrize("route", [FILE, f"{FILE}/thumbnail"])
async def test_the_file_of_a_message_that_was_purged_is_gone(
    world: World, client: httpx.AsyncClient, route: str
) -> None:
    await world.tell()
    await world.purge()
    answer = await client.get(route, headers=API)
    assert answer.status_code == 410
    told = answer.json()
    assert (told["type"], told["title"]) == ("/docs#problem-purged", "Purged")
    assert told["detail"] == "the message 'A1' was purged, and its file with it"
    never = await client.get(FILE.replace("A1", "A2"), headers=API)
    assert never.status_code == 404
