"""``/api/files`` of the simulated WAHA: names, lifetimes, ranges, hostile requests, and faults."""

import base64
import http.client
from hashlib import sha256

import httpx
import pytest
from tests.support.files import PHOTO, SHELF, STANZA, Library, photo
from tests.unit.simulator.tales import ANA, edited, note, sent

from wagateway.adapters.waha.files import source_of
from wagateway.domain.errors import InvalidInput
from wagateway.simulator.contents import Fetch
from wagateway.simulator.engine import EngineName
from wagateway.simulator.facts import Promise
from wagateway.simulator.fates import Gone, Trick
from wagateway.simulator.offers import Media, leads_to_bait
from wagateway.simulator.rest_files import named_file
from wagateway.simulator.rest_rows import row_fact
from wagateway.simulator.serving import in_thread

LOCAL = "http://localhost:3000/api/files/default"
OTHER = "3EB0FFFF2213DE42DBE249"
GONE = {"error": {"code": 404, "key": "FILE_NOT_FOUND", "message": "File not found"}}


def is_gone(answer: httpx.Response) -> bool:
    return answer.status_code == 404 and answer.json()["error"].items() >= GONE["error"].items()


class TestNamesAndContents:
    @pytest.mark.parametrize(
        ("engine", "name"),
        [
            (EngineName.NOWEB, f"{STANZA}.jpeg"),
            (EngineName.GOWS, f"{STANZA}.jpeg"),
            (EngineName.WEBJS, f"false_{ANA.phone_jid}_{STANZA}.jpeg"),
        ],
    )
    async def test_a_file_lies_where_the_event_says(self, engine: EngineName, name: str) -> None:
        waha = Library(engine)
        told = waha.tell(photo())
        assert waha.media(told)["url"] == f"{LOCAL}/{name}"
        answer = await waha.get(waha.path(told))
        assert answer.status_code == 200
        assert sha256(answer.content).hexdigest() == PHOTO.sha256
        assert answer.headers["content-type"] == "image/jpeg"
        assert answer.headers["content-length"] == str(PHOTO.size_bytes)
        assert answer.headers["accept-ranges"] == "bytes"

    @pytest.mark.parametrize("engine", EngineName)
    async def test_what_the_engine_says_of_it_is_true(self, engine: EngineName) -> None:
        waha = Library(engine)
        told = waha.tell(photo())
        content = (await waha.get(waha.path(told))).content
        raw = str(waha.engine.message(told)["_data"])
        assert base64.b64encode(sha256(content).digest()).decode() in raw
        assert str(len(content)) in raw
        assert (PHOTO.thumbnail or "nothing") in raw

    async def test_what_was_not_saved_is_not_there(self) -> None:
        for fetch in (Fetch.SKIPPED, Fetch.FAILED, Fetch.UNTOLD):
            waha = Library()
            waha.tell(photo(fetch=fetch))
            assert is_gone(await waha.get(f"/api/files/default/{STANZA}.jpeg"))

    async def test_a_quoted_file_is_saved_too(self) -> None:
        waha = Library()
        waha.take(sent(note("Que lindo!", stanza=OTHER, quotes=note(photo(), stanza=STANZA))))
        assert (await waha.get(f"/api/files/default/{STANZA}.jpeg")).status_code == 200

    async def test_webjs_offers_it_again_with_an_edit(self) -> None:
        for engine, there in ((EngineName.WEBJS, True), (EngineName.NOWEB, False)):
            waha = Library(engine)
            told = waha.tell(photo())
            waha.now_s += 200
            waha.take(edited("nova", of=told, repeats=waha.engine.repeats(edited("x").happening)))
            assert ((await waha.get(waha.path(told))).status_code == 200) is there

    async def test_the_host_is_what_waha_takes_for_its_own(self) -> None:
        waha = Library(media=Media(base_url="https://waha.example:8443"))
        assert waha.media(waha.tell(photo()))["url"] == (
            f"https://waha.example:8443/api/files/default/{STANZA}.jpeg"
        )


class TestLifetime:
    async def test_a_file_is_there_for_180_seconds(self) -> None:
        waha = Library()
        told = waha.tell(photo())
        waha.now_s += 179.9
        assert (await waha.get(waha.path(told))).status_code == 200
        waha.now_s += 0.1
        assert is_gone(await waha.get(waha.path(told)))

    async def test_another_lifetime_and_none(self) -> None:
        for lifetime_s, after_s, there in ((5, 4.9, True), (5, 5, False), (0, 10**9, True)):
            waha = Library(media=Media(lifetime_s=lifetime_s))
            told = waha.tell(photo())
            waha.now_s += after_s
            assert ((await waha.get(waha.path(told))).status_code == 200) is there

    async def test_asking_for_the_message_does_not_renew_it(self) -> None:
        waha = Library()
        told = waha.tell(photo())
        waha.now_s += 100
        waha.take(sent(told))
        assert (await waha.again(told)).json()["media"]["url"]
        waha.now_s += 80
        assert is_gone(await waha.get(waha.path(told)))
        assert (await waha.again(told)).json()["media"]["url"]
        waha.now_s += 179
        assert (await waha.get(waha.path(told))).status_code == 200

    async def test_what_was_held_up_is_older(self) -> None:
        waha = Library()
        told = waha.tell(photo(), held_ms=170_000)
        waha.now_s += 9
        assert (await waha.get(waha.path(told))).status_code == 200
        waha.now_s += 1
        assert is_gone(await waha.get(waha.path(told)))

    async def test_a_restart_loses_all(self) -> None:
        waha = Library()
        told = waha.tell(photo())
        waha.server.filing.wipe()
        assert is_gone(await waha.get(waha.path(told)))

    async def test_windows_of_time_lose_all_where_the_seed_says_so(self) -> None:
        waha = Library(faults="file-wipe=1")
        told = waha.tell(photo())
        waha.tell(photo(), stanza=OTHER, at_ms=told.at_ms + 10_000)
        assert is_gone(await waha.get(waha.path(told)))
        assert (await waha.get(f"/api/files/default/{OTHER}.jpeg")).status_code == 200

    async def test_what_is_lost_early_is_there_after_asking(self) -> None:
        waha = Library()
        told = waha.tell(photo(early=True))
        assert is_gone(await waha.get(waha.path(told)))
        assert (await waha.again(told)).json()["media"]["url"] == waha.media(told)["url"]
        assert (await waha.get(waha.path(told))).status_code == 200


class TestAskingAgain:
    @pytest.mark.parametrize("engine", EngineName)
    @pytest.mark.parametrize("fetch", [Fetch.SAVED, Fetch.SKIPPED, Fetch.UNTOLD])
    async def test_it_is_saved_again(self, engine: EngineName, fetch: Fetch) -> None:
        waha = Library(engine)
        told = waha.tell(photo(fetch=fetch))
        waha.now_s += 200
        url = (await waha.again(told)).json()["media"]["url"]
        found = await waha.get(httpx.URL(url).raw_path.decode())
        assert sha256(found.content).hexdigest() == PHOTO.sha256

    async def test_a_list_saves_what_it_shows_unless_it_is_told_not_to(self) -> None:
        waha = Library()
        waha.tell(photo(fetch=Fetch.SKIPPED))
        path = "/api/default/chats/all/messages"
        (row,) = (await waha.get(f"{path}?downloadMedia=false")).json()
        assert row["media"] == {"url": None, "filename": None, "mimetype": "image/jpeg"}
        assert is_gone(await waha.get(f"/api/files/default/{STANZA}.jpeg"))
        (row,) = (await waha.get(path)).json()
        assert row["media"]["url"] == f"{LOCAL}/{STANZA}.jpeg"
        assert (await waha.get(f"/api/files/default/{STANZA}.jpeg")).status_code == 200

    async def test_some_come_at_the_second_try(self) -> None:
        waha = Library()
        told = waha.tell(photo(fetch=Fetch.SKIPPED, second=True))
        first, second = await waha.again(told), await waha.again(told)
        assert first.json()["media"]["url"] is None
        assert "error" in first.json()["media"]
        assert second.json()["media"]["url"]
        found = await waha.get(f"/api/files/default/{STANZA}.jpeg")
        assert found.content == PHOTO.content()

    @pytest.mark.parametrize("gone", Gone)
    async def test_what_whatsapp_has_no_longer(self, gone: Gone) -> None:
        waha = Library()
        told = waha.tell(photo(gone=gone))
        assert (await waha.again(told)).json()["media"]["url"]  # it is saved still
        waha.now_s += 180
        for _ in range(3):
            answer = await waha.again(told)
            if gone in {Gone.NOT_FOUND, Gone.EXPIRED}:
                assert answer.status_code == int(gone) == answer.json()["statusCode"]
                continue
            media = answer.json()["media"]
            assert media["url"] is None
            assert ("error" in media) is (gone is Gone.ERROR)
        (row,) = (await waha.get("/api/default/chats/all/messages")).json()
        assert row["media"]["url"] is None
        assert ("error" in row["media"]) is (gone is not Gone.SILENT)
        listed = await waha.get("/api/default/chats/all/messages?downloadMedia=false")
        assert listed.status_code == 200

    async def test_what_failed_once_without_a_better_fate_is_gone(self) -> None:
        waha = Library()
        told = waha.tell(photo(fetch=Fetch.FAILED))
        assert "error" in (await waha.again(told)).json()["media"]
        better = Library()
        told = better.tell(photo(fetch=Fetch.FAILED, later=True))
        assert (await better.again(told)).json()["media"]["url"]


class TestRanges:
    @pytest.mark.parametrize(
        ("asked", "start", "stop"),
        [
            ("bytes=0-0", 0, 1),
            ("bytes=10-19", 10, 20),
            ("bytes=100-", 100, None),
            ("bytes=-7", -7, None),
            (f"bytes=5-{'9' * 30}", 5, None),
            (f"bytes=-{'9' * 5000}", 0, None),
            ("bytes= 1-2", 1, 3),
        ],
    )
    async def test_a_part(self, asked: str, start: int, stop: int | None) -> None:
        waha = Library()
        told = waha.tell(photo())
        answer = await waha.get(waha.path(told), Range=asked)
        whole = PHOTO.content()
        assert answer.content == whole[start:stop]
        if len(answer.content) < len(whole):
            first = start if start >= 0 else len(whole) + start
            last = first + len(answer.content) - 1
            assert answer.status_code == 206
            assert answer.headers["content-range"] == f"bytes {first}-{last}/{len(whole)}"

    @pytest.mark.parametrize(
        "asked", [f"bytes={PHOTO.size_bytes}-", f"bytes={'9' * 5000}-", "bytes=-0", "bytes=9-3"]
    )
    async def test_a_part_that_there_is_not(self, asked: str) -> None:
        waha = Library()
        answer = await waha.get(waha.path(waha.tell(photo())), Range=asked)
        assert (answer.status_code, answer.content) == (416, b"")
        assert answer.headers["content-range"] == f"bytes */{PHOTO.size_bytes}"

    @pytest.mark.parametrize(
        "asked", ["bytes=-", "bytes=0-1,3-4", "lines=0-1", "bytes=a-b", "bytes=-1-2", "\x7f"]
    )
    async def test_what_cannot_be_read_gets_the_whole(self, asked: str) -> None:
        waha = Library()
        answer = await waha.get(waha.path(waha.tell(photo())), Range=asked)
        assert (answer.status_code, len(answer.content)) == (200, PHOTO.size_bytes)

    async def test_a_part_of_another_version_is_the_whole(self) -> None:
        waha = Library()
        path = waha.path(waha.tell(photo()))
        tag = (await waha.get(path)).headers["etag"]
        assert (await waha.get(path, Range="bytes=0-3", If_Range=tag)).status_code == 206
        assert (await waha.get(path, Range="bytes=0-3", If_Range='"other"')).status_code == 200

    async def test_a_head_has_no_body(self) -> None:
        waha = Library()
        answer = await waha.client.head(waha.path(waha.tell(photo())))
        assert (answer.status_code, answer.content) == (200, b"")
        assert answer.headers["content-length"] == str(PHOTO.size_bytes)


class TestHostileRequests:
    @pytest.mark.parametrize(
        "path",
        [
            f"/api/files/default/../default/{STANZA}.jpeg/..",
            "/api/files/default/..%2F..%2F..%2Fetc%2Fpasswd",
            "/api/files/default/%2e%2e%2fA1.jpeg",
            f"/api/files/..%2Fdefault/{STANZA}.jpeg",
            f"/api/files/default/{STANZA}.jpeg%00",
            f"/api/files/default/{STANZA}.jpeg/",
            "/api/files/default//A1.jpeg",
            "/api/files/default/",
            "/api/files/default",
            "/api/files/",
            "/api/files/other/A1.jpeg",
            "/api/files/default/a1.jpeg",
            f"/api/files/default/{'A' * 20_000}",
            "/api/files/default/%F0%28%8C%28",
            "/api/files/default/C:%5CWindows%5Cwin.ini",
        ],
        ids=range(15),
    )
    async def test_nothing_but_a_saved_name_is_ever_served(self, path: str) -> None:
        waha = Library()
        waha.tell(photo())
        assert is_gone(await waha.get(path))
        assert waha.server.files.sent == 0

    def test_nor_over_a_socket_that_normalises_nothing(self) -> None:
        waha = Library()
        waha.tell(photo())
        paths = ("../../etc/passwd", "..%2f..%2fsessions", f"{STANZA}.jpeg%00.png", "%00", "%ff")
        with in_thread(waha.app) as url:
            port = httpx.URL(url).port
            for path in paths:
                connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
                connection.request("GET", f"/api/files/default/{path}")
                assert connection.getresponse().status == 404
                connection.close()
        assert waha.server.files.sent == 0

    async def test_the_key_is_asked_for(self) -> None:
        waha = Library(api_key="s3gr3do")
        path = waha.path(waha.tell(photo()))
        assert (await waha.get(path)).status_code == 401
        assert (await waha.get("/api/files/default/none")).status_code == 401
        assert (await waha.get(path, X_Api_Key="s3gr3do")).status_code == 200

    async def test_files_can_only_be_read(self) -> None:
        waha = Library()
        path = waha.path(waha.tell(photo()))
        for method in ("PUT", "DELETE", "POST"):
            answer = await waha.client.request(method, path)
            assert (answer.status_code, answer.json()["statusCode"]) == (404, 404)
        assert (await waha.get(path)).status_code == 200

    def test_other_paths_are_no_files(self) -> None:
        assert named_file("/api/filesystem/default/A1") is None
        assert named_file("/api/default/files/A1") is None
        assert named_file("/api/files/a/b/c") == ("", "")
        assert named_file("/api/files/a/b") == ("a", "b")


class TestTricks:
    @pytest.mark.parametrize("trick", [each for each in Trick if each is not Trick.HOST])
    @pytest.mark.parametrize("bait_url", [None, "http://127.0.0.1:9"])
    def test_a_careful_reader_never_asks_there(self, trick: Trick, bait_url: str | None) -> None:
        url = Library(media=Media(bait_url=bait_url)).media(
            note(photo(trick=trick), stanza=STANZA)
        )["url"]
        try:
            asked = source_of(url, engine_url="http://waha:3000").url
        except InvalidInput:
            return
        # Only the path counts, which is that of no file.
        assert asked.startswith("http://waha:3000/api/files/default/")

    async def test_a_wrong_host_has_the_right_path(self) -> None:
        waha = Library()
        told = waha.tell(photo(trick=Trick.HOST))
        assert not waha.media(told)["url"].startswith("http://localhost:3000")
        assert (await waha.get(waha.path(told))).status_code == 200

    async def test_a_later_answer_has_the_right_address(self) -> None:
        waha = Library()
        told = waha.tell(photo(trick=Trick.FOREIGN))
        assert "/bait/" in waha.media(told)["url"]
        assert (await waha.again(told)).json()["media"]["url"] == f"{LOCAL}/{STANZA}.jpeg"

    async def test_who_follows_a_trick_into_this_server_is_counted(self) -> None:
        waha = Library(api_key="s3gr3do")
        for trick in (Trick.CLIMB, Trick.HIDDEN_CLIMB, Trick.TWICE_HIDDEN_CLIMB):
            path = waha.path(note(photo(trick=trick), stanza=STANZA))
            assert (await waha.get(path, X_Api_Key="s3gr3do")).status_code == 200
        assert len(waha.server.bait.requests) == waha.server.bait.keys == 3
        assert leads_to_bait("/api/%252562ait")
        assert not leads_to_bait("/api/files/default/bait.jpeg")

    def test_addresses_that_are_none_are_refused(self) -> None:
        for wrong in ("localhost:3000", "ftp://waha", "http://", ""):
            with pytest.raises(ValueError, match="begins with"):
                Media(base_url=wrong or "//")
        with pytest.raises(ValueError, match="bucket"):
            Media(store_url="http://127.0.0.1:9000")
        with pytest.raises(ValueError, match="lifetime"):
            Media(lifetime_s=-1)


class TestBucket:
    async def test_a_signed_address_needs_no_key(self) -> None:
        waha = Library(media=Media(store_url="http://store:9000/whatsapp"), api_key="s3gr3do")
        told = waha.tell(photo())
        media = waha.media(told)
        assert media["s3"] == {"Bucket": "whatsapp", "Key": f"default/{STANZA}.jpeg"}
        transport = httpx.ASGITransport(waha.server.bucket)
        async with httpx.AsyncClient(transport=transport) as client:
            answer = await client.get(media["url"])
            assert sha256(answer.content).hexdigest() == PHOTO.sha256
            bare = media["url"].partition("?")[0]
            assert (await client.get(bare, headers={"X-Api-Key": "x"})).status_code == 403
            assert is_gone(await client.get(media["url"].replace(STANZA, OTHER)))
            assert is_gone(await client.put(media["url"]))
        assert waha.server.bucket.keys == 1
        source = source_of(
            media["url"], engine_url="http://waha", store_url="http://store:9000/whatsapp"
        )
        assert (source.url, source.with_key) == (media["url"], False)


class TestFaults:
    async def many(self, fault: str, *, count: int = 12) -> list[httpx.Response]:
        waha = Library(faults=f"{fault}=1")
        path = waha.path(waha.tell(photo()))
        return [await waha.get(path) for _ in range(count)]

    async def test_errors(self) -> None:
        answers = await self.many("file-500")
        assert {answer.status_code for answer in answers} == {500, 503}

    async def test_a_redirect_leads_into_a_trap(self) -> None:
        (answer,) = await self.many("file-redirect", count=1)
        assert answer.status_code == 302
        assert leads_to_bait(httpx.URL(answer.headers["location"]).path)

    @pytest.mark.parametrize("fault", ["file-empty", "file-wrong"])
    async def test_bad_bytes_come_at_first_only(self, fault: str) -> None:
        bodies = [answer.content for answer in await self.many(fault, count=4)]
        good = [body == PHOTO.content() for body in bodies]
        assert good in ([False, True, True, True], [False, False, True, True])
        assert len(bodies[0]) == (0 if fault == "file-empty" else PHOTO.size_bytes)

    async def test_asking_for_the_message_does_not_bring_bad_bytes_back(self) -> None:
        waha = Library(faults="file-wrong=1")
        told = waha.tell(photo())
        for _ in range(2):
            await waha.get(waha.path(told))
        waha.now_s += 200
        await waha.again(told)
        assert (await waha.get(waha.path(told))).content == PHOTO.content()

    def test_a_body_that_ends_in_the_middle_is_noticed_over_http(self) -> None:
        waha = Library(faults="file-cut=1")
        path = waha.path(waha.tell(photo()))
        seen = set()
        with in_thread(waha.app) as url, httpx.Client(trust_env=False) as client:
            for _ in range(12):
                with client.stream("GET", f"{url}{path}") as answer:
                    seen.add("content-length" in answer.headers)
                    with pytest.raises(httpx.RemoteProtocolError):
                        answer.read()
        assert seen == {True, False}
        assert waha.server.files.sent == 0

    async def test_slow_bodies_are_whole_in_the_end(self) -> None:
        (answer,) = await self.many("file-slow", count=1)
        assert answer.content == PHOTO.content()
        assert answer.elapsed.total_seconds() > 0.5

    def test_some_never_answer(self) -> None:
        waha = Library(faults="file-hang=1")
        path = waha.path(waha.tell(photo()))
        with in_thread(waha.app) as url, httpx.Client(trust_env=False, timeout=0.3) as client:
            with pytest.raises(httpx.ReadTimeout):
                client.get(f"{url}{path}")
            assert client.get(f"{url}/ping").status_code == 200

    async def test_the_seed_decides(self) -> None:
        async def statuses(seed: int) -> list[int]:
            waha = Library(faults="file-500=0.5", seed=seed)
            path = waha.path(waha.tell(photo()))
            return [(await waha.get(path)).status_code for _ in range(20)]

        assert await statuses(1) == await statuses(1)
        assert await statuses(1) != await statuses(2)
        assert {200, 500, 503} == set(await statuses(1))

    async def test_faults_of_calls_are_none_of_files(self) -> None:
        waha = Library(faults="rest-500=1")
        assert (await waha.get(waha.path(waha.tell(photo())))).status_code == 200
        assert (await waha.get("/api/sessions")).status_code == 500


def test_a_large_file_is_streamed() -> None:
    waha = Library()
    film = SHELF.file("video", 0)
    told = waha.tell(photo(file=film))
    hashed = sha256()
    with (
        in_thread(waha.app) as url,
        httpx.Client(trust_env=False) as client,
        client.stream("GET", f"{url}{waha.path(told)}") as answer,
    ):
        assert answer.headers["content-length"] == str(film.size_bytes)
        for part in answer.iter_bytes():
            hashed.update(part)
    assert hashed.hexdigest() == film.sha256


def test_rows_of_lists_promise_what_can_be_asked_for() -> None:
    for gone, promise in ((None, Promise.YES), (Gone.ERROR, Promise.NO)):
        waha = Library()
        waha.tell(photo(gone=gone))
        (kept,) = waha.server.sessions["default"].store.rows()
        assert row_fact(waha.engine, kept, "default").promise is promise
