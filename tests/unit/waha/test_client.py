"""Asking WAHA: what comes back in the port's words, and what each failure means."""

import asyncio
import gzip
import json
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.support.listener import listening

from wagateway.adapters.waha.client import WahaEngine, open_engine
from wagateway.adapters.waha.reader import WahaReader
from wagateway.adapters.waha.transport import Manners
from wagateway.domain.errors import (
    EngineResting,
    EngineUnavailable,
    Gone,
    InvalidInput,
    NotFound,
    NotSupported,
    RateLimited,
    Refused,
    SessionNotReady,
    WagatewayError,
)
from wagateway.domain.events import (
    Account,
    ContactSeen,
    GroupChanged,
    IdentityLinked,
    Member,
    NotUnderstood,
    Role,
    SessionStatus,
    Source,
)
from wagateway.domain.identity import Jid, SessionName, StanzaId
from wagateway.ports.engine import EngineSession, Told

NOW = datetime(2026, 10, 3, 12, tzinfo=UTC)
REST = Path(__file__).parents[2] / "data" / "waha" / "rest"
VENDAS = EngineSession(
    name=SessionName("vendas"),
    status=SessionStatus.WORKING,
    engine="NOWEB",
    account=Account(phone=Jid("5511912340001@c.us"), lid=Jid("180000000000001@lid")),
)
ANA = Jid("5511987650102@c.us")
KEY = "key-that-must-not-be-seen"
QUICK = Manners(first_wait_s=0.001, per_second=10_000)

Answers = Callable[[httpx.Request], httpx.Response]


def sample(name: str) -> bytes:
    return (REST / f"{name}.json").read_bytes()


@asynccontextmanager
async def asked(answers: Answers, manners: Manners = QUICK) -> AsyncIterator[WahaEngine]:
    transport = httpx.MockTransport(answers)
    async with open_engine(
        "http://waha/base/", KEY, clock=lambda: NOW, manners=manners, transport=transport
    ) as engine:
        yield engine


def always(content: bytes, status: int = 200, **headers: str) -> Answers:
    return lambda _: httpx.Response(status, content=content, headers=headers)


class TestReads:
    async def test_sends_the_key_and_keeps_the_path_of_the_url(self) -> None:
        seen: list[httpx.Request] = []

        def answer(request: httpx.Request) -> httpx.Response:
            seen.append(request)
            return httpx.Response(200, content=b"[]")

        async with asked(answer) as engine:
            await engine.messages(VENDAS, Jid("a/../b?c@c.us"), limit=100, offset=90)
        [request] = seen
        assert request.headers["x-api-key"] == KEY
        assert request.url.raw_path.startswith(
            b"/base/api/vendas/chats/a%2F..%2Fb%3Fc@c.us/messages?"
        )
        assert dict(request.url.params) == {
            "limit": "100",
            "offset": "90",
            "sortBy": "timestamp",
            "sortOrder": "desc",
            "downloadMedia": "false",
        }

    async def test_sessions(self) -> None:
        async with asked(always(sample("sessions-list-all"))) as engine:
            found = {each.name: each for each in await engine.sessions()}
        vendas = found[SessionName("vendas")]
        assert (vendas.status, vendas.engine) == (SessionStatus.WORKING, "NOWEB")
        assert vendas.account is not None
        assert vendas.account.phone == "5511912340001@c.us"
        assert found[SessionName("suporte")].account is None

    async def test_a_session_is_told_without_its_secrets(self) -> None:
        async with asked(always(sample("session-get"))) as engine:
            session = await engine.session(SessionName("vendas"))
        assert session.delivery is not None
        assert session.delivery.event == "session.status"
        assert b"segredo" not in session.delivery.body
        assert session.delivery.source is Source.SYNC

    @pytest.mark.parametrize(
        ("name", "chats"),
        [
            (
                "chats-noweb",
                ["5511987650102@c.us", "120363000000000101@g.us", "271000000000167@lid"],
            ),
            (
                "chats-gows",
                ["271000000000102@lid", "120363000000000101@g.us", "5511976540104@c.us"],
            ),
            ("chats-webjs", ["5511987650102@c.us"]),
            ("chats-overview", ["5511987650102@c.us"]),
        ],
    )
    async def test_chats_of_each_engine(self, name: str, chats: list[str]) -> None:
        async with asked(always(sample(name))) as engine:
            found = await engine.chats(VENDAS, limit=20, offset=0)
        assert [each.chat for each in found][: len(chats)] == chats
        assert all(each.active_at and each.active_at.year == 2026 for each in found[:1])

    @pytest.mark.parametrize("name", ["chat-messages-page-noweb", "chat-messages-page-gows-all"])
    async def test_messages_are_read_and_can_be_read_again(self, name: str) -> None:
        async with asked(always(sample(name))) as engine:
            rows = await engine.messages(VENDAS, None, limit=100, offset=0)
        raws = msgspec.json.decode(sample(name))
        assert len(rows) == len(raws)
        for row in rows:
            assert row.stanza is not None
            assert row.delivery.source is Source.SYNC
            [again] = WahaReader().read(
                row.delivery.body, received_at=NOW + timedelta(days=9), source=Source.SYNC
            )
            assert again.observations == row.delivery.observations
            assert again.account == row.delivery.account

    async def test_the_exact_bytes_are_kept(self) -> None:
        odd = (
            b'{"id":"false_5511987650102@c.us_X1",'
            b'  "timestamp":1791000000, "body":"a\\u0000 \\ud800"}'
        )
        async with asked(always(b"[" + odd + b"]")) as engine:
            [row] = await engine.messages(VENDAS, ANA, limit=100, offset=0)
        assert odd in row.delivery.body
        assert row.stanza == "X1"

    async def test_an_empty_body_is_an_empty_list(self) -> None:
        async with asked(always(b"")) as engine:
            assert await engine.messages(VENDAS, ANA, limit=100, offset=0) == []
            assert await engine.groups(VENDAS) == []

    async def test_a_broken_element_spoils_no_other(self) -> None:
        page = b'[null, 7, {"id": 5}, {"id":"true_5511987650102@c.us_B","timestamp":1791000000}]'
        async with asked(always(page)) as engine:
            rows = await engine.messages(VENDAS, ANA, limit=100, offset=0)
        assert [row.stanza for row in rows] == [None, None, None, "B"]

    async def test_browser_engines_are_not_asked_for_all_chats(self) -> None:
        webjs = msgspec.structs.replace(VENDAS, engine="WEBJS")
        async with asked(always(b"[]", 500)) as engine:
            with pytest.raises(NotSupported):
                await engine.messages(webjs, None, limit=10, offset=0)

    async def test_codes(self) -> None:
        async with asked(always(sample("qr-raw"))) as engine:
            assert (await engine.qr(VENDAS.name)).startswith("2@")
        async with asked(always(sample("pairing-code"))) as engine:
            assert await engine.pairing_code(VENDAS.name, "5511912340001") == "ABCD-1234"

    async def test_version_and_health(self) -> None:
        async with asked(always(sample("server-version"))) as engine:
            assert (await engine.version()).engine == "NOWEB"
        async with asked(always(sample("health-ok"))) as engine:
            assert await engine.healthy()
        async with asked(always(b"{}", 503)) as engine:
            assert not await engine.healthy()


def said(told: list[Told]) -> list[object]:
    return [each for one in told for each in one.delivery.observations]


class TestPeople:
    @pytest.mark.parametrize(
        ("name", "names"),
        [
            ("contacts-all-noweb", {ANA: ("Ana Prado", "Ana")}),
            ("contacts-all-gows", {ANA: ("Ana Prado", "Ana")}),
            ("contacts-all-webjs", {ANA: ("Ana Prado", "Ana")}),
        ],
    )
    async def test_contacts(self, name: str, names: dict[Jid, tuple[str, str]]) -> None:
        async with asked(always(sample(name))) as engine:
            told = await engine.contacts(VENDAS, limit=100, offset=0)
        seen = {o.contact: (o.name, o.push_name) for o in said(told) if isinstance(o, ContactSeen)}
        assert seen.items() >= names.items()

    @pytest.mark.parametrize("name", ["groups-noweb", "groups-gows", "groups-webjs"])
    async def test_groups_of_each_engine(self, name: str) -> None:
        async with asked(always(sample(name))) as engine:
            told = await engine.groups(VENDAS)
        changed = [o for o in said(told) if isinstance(o, GroupChanged)]
        assert any(o.subject for o in changed)
        assert any(o.description for o in changed)
        assert not any(o.members for o in changed)
        assert all(each.about.endswith("@g.us") for each in told)
        for each in told:
            assert each.members is not None
            assert each.members.group == each.about
            assert Role.SUPERADMIN in each.members.roles.values()

    @pytest.mark.parametrize("name", ["groups-noweb", "groups-gows"])
    async def test_members_are_told_alone_in_their_exact_bytes(self, name: str) -> None:
        async with asked(always(sample(name))) as engine:
            [group] = await engine.groups(VENDAS)
        assert group.members is not None
        second = Jid("271000000000102@lid")
        told = group.members.told_of({second})
        [changed] = [o for o in told.observations if isinstance(o, GroupChanged)]
        assert changed.members == (Member(jid=second, role=Role.ADMIN),)
        [raw] = msgspec.json.decode(told.body)["payload"]["participants"]
        assert json.dumps(raw["id"] if "id" in raw else raw["JID"]) == f'"{second}"'
        [again] = WahaReader().read(told.body, received_at=NOW, source=Source.SYNC)
        assert again.observations == told.observations
        links = {(o.lid, o.phone) for o in told.observations if isinstance(o, IdentityLinked)}
        assert (second, ANA) in links

    async def test_a_group_that_msgspec_refuses_has_members_too(self) -> None:
        page = (
            b'[{"id":"1203@g.us","subject":"\\ud800","participants":'
            b'[{"id":"5511987650102@c.us","admin":"admin"},{"x":1}]}]'
        )
        async with asked(always(page)) as engine:
            [group] = await engine.groups(VENDAS)
        assert group.members is not None
        assert group.members.roles == {ANA: Role.ADMIN}
        told = group.members.told_of({ANA})
        assert any(isinstance(o, NotUnderstood) for o in told.observations)

    async def test_what_changes_without_a_meaning_changes_no_digest(self) -> None:
        def page(**over: object) -> bytes:
            [group] = msgspec.json.decode(sample("groups-webjs"))
            group = {key: group[key] for key in reversed(group)}
            return json.dumps([{**group, **over}]).encode()

        digests = []
        for body in (
            sample("groups-webjs"),
            page(unreadCount=7, timestamp=1791009999, lastMessage={"body": "hi"}),
            page(name="Other", groupMetadata={"subject": "Other"}),
        ):
            async with asked(always(body)) as engine:
                [group] = await engine.groups(VENDAS)
                digests.append(group.digest)
        assert digests[0] == digests[1] != digests[2]

    async def test_members(self) -> None:
        async with asked(always(sample("group-participants-v2"))) as engine:
            found = await engine.members(VENDAS, Jid("120363000000000202@g.us"))
        assert list(found.roles.values()) == [Role.SUPERADMIN, Role.ADMIN, Role.PARTICIPANT]
        told = found.told_of(found.roles)
        links = {(o.lid, o.phone) for o in told.observations if isinstance(o, IdentityLinked)}
        assert (Jid("271000000000102@lid"), ANA) in links

    async def test_links(self) -> None:
        async with asked(always(sample("lids"))) as engine:
            told = await engine.lids(VENDAS, limit=100, offset=0)
        assert len(told) == 3
        links = {(o.lid, o.phone) for o in said(told) if isinstance(o, IdentityLinked)}
        assert (Jid("271000000000102@lid"), ANA) in links

    async def test_equal_words_have_equal_digests_whenever_they_are_asked_for(self) -> None:
        async with asked(always(sample("lids"))) as engine:
            one = await engine.lids(VENDAS, limit=100, offset=0)
            other = await engine.lids(VENDAS, limit=100, offset=0)
        assert [each.digest for each in one] == [each.digest for each in other]


class TestFailures:
    @pytest.mark.parametrize(
        ("status", "name", "error"),
        [
            (401, "error-401", Refused),
            (403, "error-401", Refused),
            (404, "error-404-session", NotFound),
            (404, "error-404-message", NotFound),
            (410, "error-404-message", Gone),
            (422, "error-422-session-not-working", SessionNotReady),
            (422, "error-422-not-implemented", NotSupported),
            (400, "error-400-noweb-store", NotSupported),
            (400, "error-400-validation", InvalidInput),
            (500, "error-500", EngineUnavailable),
            (302, "error-500", EngineUnavailable),
        ],
    )
    async def test_each_answer_means_something(
        self, status: int, name: str, error: type[WagatewayError]
    ) -> None:
        async with asked(always(sample(name), status)) as engine:
            with pytest.raises(error) as caught:
                await engine.messages(VENDAS, ANA, limit=10, offset=0)
        assert caught.type is error
        assert "Evaluation" not in str(caught.value)

    async def test_a_404_in_other_words_than_wahas_asks_whether_that_is_waha(self) -> None:
        async with asked(always(b"<h1>Not Found</h1>", 404)) as engine:
            with pytest.raises(NotFound, match="is WHATSAPP_CORE_URL the address of WAHA"):
                await engine.messages(VENDAS, ANA, limit=10, offset=0)

    @pytest.mark.parametrize("status", [400, 404, 422])
    @pytest.mark.parametrize(
        "body",
        [
            rb'{"status": "\u0000\u001b[2J\n", "message": "\u0000\u001b[2J\nx", "expected": []}',
            rb'{"status": {"id": "5511987650102@c.us"}, "message": "\u009b\u202ex", "session": 1}',
        ],
    )
    async def test_what_is_told_of_a_refusal_can_be_stored_and_shown(
        self, status: int, body: bytes
    ) -> None:
        async with asked(always(body, status)) as engine:
            with pytest.raises(WagatewayError) as caught:
                await engine.messages(VENDAS, ANA, limit=10, offset=0)
        assert str(caught.value).isprintable()
        assert "5511987650102" not in str(caught.value)

    @pytest.mark.parametrize("body", [b"{", b"7", b'"x"', b"[1,", b"\xff\xfe", b"[" * 5000])
    async def test_what_cannot_be_read_is_an_engine_away(self, body: bytes) -> None:
        async with asked(always(body)) as engine:
            with pytest.raises(EngineUnavailable):
                await engine.messages(VENDAS, ANA, limit=10, offset=0)

    async def test_reads_are_repeated_and_commands_are_not(self) -> None:
        calls: list[str] = []

        def answer(request: httpx.Request) -> httpx.Response:
            calls.append(request.method)
            return httpx.Response(500 if len(calls) % 3 else 200, content=b"[]")

        async with asked(answer) as engine:
            assert await engine.messages(VENDAS, ANA, limit=10, offset=0) == []
            assert calls == ["GET"] * 3
            with pytest.raises(EngineUnavailable):
                await engine.stop(VENDAS.name)
        assert calls[3:] == ["POST"]

    async def test_a_server_that_asks_to_wait_is_left_alone(self) -> None:
        calls: list[httpx.Request] = []

        def answer(request: httpx.Request) -> httpx.Response:
            calls.append(request)
            return httpx.Response(429, headers={"Retry-After": "90"})

        async with asked(answer) as engine:
            with pytest.raises(RateLimited) as caught:
                await engine.messages(VENDAS, ANA, limit=10, offset=0)
        assert caught.value.wait_s == 90
        assert len(calls) == 1

    async def test_a_server_that_is_down_is_left_alone_and_tried_again(self) -> None:
        calls: list[httpx.Request] = []
        well = False

        def answer(request: httpx.Request) -> httpx.Response:
            calls.append(request)
            return httpx.Response(200 if well else 500, content=b"[]")

        manners = Manners(first_wait_s=0.001, attempts=1, failures=3, rest_s=0.2, per_second=10_000)
        async with asked(answer, manners) as engine:
            for _ in range(6):
                with pytest.raises(EngineUnavailable):
                    await engine.messages(VENDAS, ANA, limit=10, offset=0)
            assert len(calls) == 3
            with pytest.raises(EngineResting) as caught:
                await engine.messages(VENDAS, ANA, limit=10, offset=0)
            assert 0 < caught.value.wait_s <= manners.rest_s
            well = True
            await asyncio.sleep(0.3)
            assert await engine.messages(VENDAS, ANA, limit=10, offset=0) == []

    async def test_refusals_do_not_open_the_circuit(self) -> None:
        async with asked(always(sample("error-404-message"), 404)) as engine:
            for _ in range(12):
                with pytest.raises(NotFound):
                    await engine.messages(VENDAS, ANA, limit=10, offset=0)

    async def test_too_large_an_answer_is_not_read(self) -> None:
        manners = Manners(attempts=1, largest_bytes=1000)
        async with asked(always(b"[" + b" " * 2000 + b"]"), manners) as engine:
            with pytest.raises(EngineUnavailable, match="larger than 1,000 bytes"):
                await engine.messages(VENDAS, ANA, limit=10, offset=0)

    async def test_no_cookies_are_kept(self) -> None:
        cookies: list[str | None] = []

        def answer(request: httpx.Request) -> httpx.Response:
            assert request.headers["accept-encoding"] == "identity"
            cookies.append(request.headers.get("cookie"))
            return httpx.Response(200, content=b"[]", headers={"Set-Cookie": "a=b"})

        async with asked(answer) as engine:
            for _ in range(2):
                await engine.messages(VENDAS, ANA, limit=10, offset=0)
        assert cookies == [None, None]

    async def test_nothing_secret_is_logged(self, caplog: pytest.LogCaptureFixture) -> None:
        caplog.set_level(logging.DEBUG)
        async with asked(always(sample("error-500"), 500)) as engine:
            with pytest.raises(EngineUnavailable):
                await engine.messages(VENDAS, ANA, limit=10, offset=0)
        assert KEY not in caplog.text
        assert "Evaluation" not in caplog.text


@asynccontextmanager
async def served(talk: Callable[[asyncio.StreamWriter], AsyncIterator[None]]) -> AsyncIterator[str]:
    """Run a server of raw bytes."""

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        async for _ in talk(writer):
            await writer.drain()

    async with listening(handle) as port:
        yield f"http://127.0.0.1:{port}"


class TestNetwork:
    async def test_an_answer_that_is_cut_off(self) -> None:
        async def talk(writer: asyncio.StreamWriter) -> AsyncIterator[None]:
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n[1,")
            yield

        async with (
            served(talk) as url,
            open_engine(url, KEY, clock=lambda: NOW, manners=QUICK) as engine,
        ):
            with pytest.raises(EngineUnavailable, match="cannot be reached"):
                await engine.messages(VENDAS, ANA, limit=10, offset=0)

    async def test_an_answer_is_not_unpacked(self) -> None:
        """Some kilobytes, packed more than once, would fill the memory."""
        content = gzip.compress(gzip.compress(b"[" + b" " * 2**24 + b"]"))

        async def talk(writer: asyncio.StreamWriter) -> AsyncIterator[None]:
            head = f"Content-Encoding: gzip, gzip\r\nContent-Length: {len(content)}"
            writer.write(f"HTTP/1.1 200 OK\r\n{head}\r\n\r\n".encode() + content)
            yield

        async with (
            served(talk) as url,
            open_engine(url, KEY, clock=lambda: NOW, manners=QUICK) as engine,
        ):
            with pytest.raises(EngineUnavailable, match="packed"):
                await engine.messages(VENDAS, ANA, limit=10, offset=0)

    async def test_nobody_listens(self) -> None:
        async with open_engine(
            "http://127.0.0.1:9", KEY, clock=lambda: NOW, manners=QUICK
        ) as engine:
            with pytest.raises(EngineUnavailable, match="cannot be reached"):
                await engine.version()


_JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.sampled_from(
                ["id", "timestamp", "_data", "key", "from", "fromMe", "body", "media", "x"]
            )
            | st.text(max_size=4),
            inner,
            max_size=5,
        )
    ),
    max_leaves=12,
)


@given(st.lists(_JSON, max_size=4) | _JSON)
def test_whatever_comes_only_the_ports_errors_come_out(page: object) -> None:
    async def ask() -> list[object]:
        async with asked(always(httpx.Response(200, json=page).content)) as engine:
            return await asyncio.gather(
                engine.messages(VENDAS, ANA, limit=10, offset=0),
                engine.chats(VENDAS, limit=10, offset=0),
                engine.contacts(VENDAS, limit=10, offset=0),
                engine.groups(VENDAS),
                engine.lids(VENDAS, limit=10, offset=0),
                engine.members(VENDAS, Jid("1203@g.us")),
                engine.sessions(),
                return_exceptions=True,
            )

    raised = [each for each in asyncio.run(ask()) if isinstance(each, BaseException)]
    assert [each for each in raised if not isinstance(each, WagatewayError)] == []


class TestMessage:
    """WEBJS finds a message by its serialised id alone, and by the chat that is in it."""

    STANZA = StanzaId("3EB0A1")

    async def paths(self, waha_id: str | None, *known: str) -> list[str]:
        """Return what is asked for, where WAHA answers for the paths that end in *known*."""
        paths: list[str] = []

        def answers(request: httpx.Request) -> httpx.Response:
            paths.append(request.url.raw_path.decode().partition("?")[0].rpartition("/chats/")[2])
            found = paths[-1].endswith(known)
            return httpx.Response(200 if found else 404, content=sample("message-by-id-media"))

        async with asked(answers) as engine:
            with suppress(NotFound):
                await engine.message(VENDAS, ANA, self.STANZA, waha_id=waha_id)
        return paths

    async def test_it_is_asked_for_as_the_engine_wrote_it(self) -> None:
        whole = "false_180000000000002@lid_3EB0A1"
        assert await self.paths(whole, whole) == [f"180000000000002@lid/messages/{whole}"]

    async def test_then_as_we_call_it(self) -> None:
        first, second = await self.paths("false_180000000000002@lid_3EB0A1", "/3EB0A1")
        assert first.startswith("180000000000002@lid/")
        assert second == "5511987650102@c.us/messages/3EB0A1"

    @pytest.mark.parametrize(
        "waha_id", [None, "", "3EB0A1", "a_b", "false_x_3EB0A1", "false_1@c.us_3EB0FF", "_" * 9]
    )
    async def test_what_is_no_such_id_is_not_asked_for(self, waha_id: str | None) -> None:
        assert await self.paths(waha_id, "/3EB0A1") == ["5511987650102@c.us/messages/3EB0A1"]
