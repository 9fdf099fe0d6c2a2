"""How lists of messages are paged, filtered and merged: as WAHA does it, traps included."""

from collections import Counter
from itertools import islice, pairwise
from typing import Any

import pytest
from tests.support.rest_reading import Row, Waha
from tests.unit.simulator.tales import (
    ANA,
    AT_MS,
    BAKERY,
    WORLD,
    acked,
    edited,
    mine,
    note,
    revoked,
    sent,
)

from wagateway.simulator.delivery import Delivery
from wagateway.simulator.engine import Engine, EngineName
from wagateway.simulator.facts import Fact
from wagateway.simulator.faults import Faults
from wagateway.simulator.happenings import AckLevel, Address
from wagateway.simulator.rest import create_app
from wagateway.simulator.simulation import Scenario, simulate
from wagateway.simulator.voice import ENGINES
from wagateway.simulator.waha_server import WahaServer

ALL = "/api/default/chats/all/messages"
ANAS = f"/api/default/chats/{ANA.phone_jid}/messages"


def engine_of(name: EngineName) -> Engine:
    (kind,) = (each for each in ENGINES if each.name is name)
    return kind(WORLD, "default")


class Small:
    """A server to which each event is told by hand."""

    def __init__(self, engine: EngineName = EngineName.NOWEB) -> None:
        self.engine = engine_of(engine)
        self.server = WahaServer([self.engine])
        self.waha = Waha(create_app(self.server))

    def tell(self, *facts: Fact, lost: bool = False) -> None:
        for fact in facts:
            self.server.take(
                Delivery(
                    offset_s=0.0,
                    event="message.any",
                    body=b"{}",
                    headers={},
                    fact=fact,
                    lost=lost,
                    due_ms=fact.happening.at_ms,
                    engine=self.engine,
                )
            )

    async def rows(self, path: str = ALL, **query: Any) -> list[Row]:  # noqa: ANN401 - any value
        rows: list[Row] = await self.waha.json(path, **query)
        return rows


def texts(rows: list[Row]) -> list[str]:
    return [row["body"] for row in rows]


def numbered(count: int, *, apart_s: int = 1) -> list[Fact]:
    """Return messages of Ana, one every so many seconds."""
    return [
        sent(note(f"n{n}", stanza=f"A{n}", at_ms=AT_MS + n * apart_s * 1000)) for n in range(count)
    ]


async def test_pages_run_from_the_newest_and_have_ten_rows_unless_it_is_said() -> None:
    small = Small()
    small.tell(*numbered(25))
    assert texts(await small.rows()) == [f"n{n}" for n in range(24, 14, -1)]
    assert texts(await small.rows(limit=3, offset=20)) == ["n4", "n3", "n2"]
    assert texts(await small.rows(limit=3, sortOrder="asc")) == ["n0", "n1", "n2"]
    assert await small.rows(offset=25) == []


async def test_the_offset_drifts_while_messages_come() -> None:
    small = Small()
    small.tell(*numbered(10))
    first = await small.rows(limit=5)
    small.tell(sent(note("new", stanza="B", at_ms=AT_MS + 60_000)))
    second = await small.rows(limit=5, offset=5)
    assert texts(second) == ["n5", "n4", "n3", "n2", "n1"]
    assert first[-1] == second[0]


async def test_filters_come_after_paging_so_that_pages_run_short_or_empty() -> None:
    small = Small()
    small.tell(*numbered(20))
    oldest = AT_MS // 1000
    bounds: dict[str, Any] = {
        "filter__timestamp__gte": oldest + 2,
        "filter__timestamp__lte": oldest + 11,
    }
    assert await small.rows(limit=5, **bounds) == []
    assert texts(await small.rows(limit=5, offset=5, **bounds)) == ["n11", "n10"]
    assert texts(await small.rows(limit=50, **bounds)) == [f"n{n}" for n in range(11, 1, -1)]


async def test_rows_can_be_filtered_by_author_and_receipt() -> None:
    small = Small()
    small.tell(sent(note("in"), ack=2), sent(mine("out", stanza="M"), ack=1))
    small.tell(acked(AckLevel.READ, of=mine("out", stanza="M")))
    assert texts(await small.rows(filter__fromMe="true")) == ["out"]
    assert texts(await small.rows(filter__fromMe="false")) == ["in"]
    assert texts(await small.rows(filter__ack="READ")) == ["out"]
    assert texts(await small.rows(filter__ack="DEVICE")) == ["in"]


@pytest.mark.parametrize(
    "query",
    [
        {"limit": "-1"},
        {"limit": "ten"},
        {"offset": "1.5"},
        {"sortOrder": "up"},
        {"sortBy": "body"},
        {"downloadMedia": "2"},
        {"filter.ack": "SEEN"},
        {"filter.timestamp.gte": "yesterday"},
    ],
    ids=str,
)
async def test_a_value_that_means_nothing_is_refused(query: dict[str, str]) -> None:
    answer = await Small().waha.get(ALL, **query)
    assert answer.status_code == 400
    (message,) = answer.json()["message"]
    assert message.startswith(next(iter(query)))


async def test_rows_of_one_second_have_an_order_that_is_not_that_of_sending() -> None:
    small = Small()
    same = [sent(note(f"n{n}", stanza=f"A{n}", at_ms=AT_MS + n)) for n in range(50)]
    small.tell(*same)
    shown = texts(await small.rows(limit=50))
    assert sorted(shown) == sorted(f"n{n}" for n in range(50))
    assert shown not in ([f"n{n}" for n in range(50)], [f"n{n}" for n in reversed(range(50))])
    assert {row["timestamp"] for row in await small.rows()} == {AT_MS // 1000}


@pytest.mark.parametrize("engine", EngineName)
async def test_phone_and_hidden_id_are_one_chat_where_merged_once_they_are_linked(
    engine: EngineName,
) -> None:
    small = Small(engine)
    by_lid = note("lid", stanza="L", address=Address.LID, at_ms=AT_MS + 5000)
    small.tell(sent(note("phone")), sent(by_lid))
    lids = f"/api/default/chats/{ANA.lid_jid}/messages"
    assert texts(await small.rows(ANAS)) == ["phone"]
    assert len(await small.waha.chats("default")) == 2
    small.tell(sent(by_lid, revealed=(ANA,)))
    for path in (ANAS, lids, f"/api/default/chats/{ANA.phone}@s.whatsapp.net/messages"):
        assert texts(await small.rows(path)) == ["lid", "phone"]
        assert len(await small.rows(path, merge="false")) == 1
    assert len(await small.waha.chats("default")) == 1
    assert len(await small.waha.json("/api/default/chats", merge="false")) == 2


async def test_all_chats_at_once_are_not_for_every_engine() -> None:
    for engine in EngineName:
        small = Small(engine)
        small.tell(sent(note("hi")))
        answer = await small.waha.get(ALL)
        assert answer.status_code == (422 if engine is EngineName.WEBJS else 200)


async def test_the_former_address_of_a_list_gives_the_same() -> None:
    small = Small()
    small.tell(*numbered(5))
    former = await small.rows("/api/messages", session="default", chatId=ANA.phone_jid, limit=2)
    assert texts(former) == ["n4", "n3"]
    assert former == await small.rows(ANAS, limit=2)
    assert (await small.waha.get("/api/messages", session="default")).status_code == 400


async def test_the_body_of_an_overview_may_hold_null_decimals_and_whether_to_merge() -> None:
    small = Small()
    by_lid = note("lid", stanza="L", address=Address.LID, at_ms=AT_MS + 5000)
    small.tell(sent(note("phone")), sent(by_lid, revealed=(ANA,)))

    async def ids(**pagination: object) -> list[str]:
        answer = await small.waha.post("/api/default/chats/overview", pagination=pagination)
        assert answer.status_code == 201
        return [row["id"] for row in answer.json()]

    assert await ids(limit=20.0, offset=None) == [ANA.phone_jid]
    assert await ids(limit=20, merge=True) == [ANA.phone_jid]
    assert await ids(limit=20, merge=False) == [ANA.lid_jid, ANA.phone_jid]
    assert await ids(limit=1.0, offset=1.0, merge=False) == [ANA.phone_jid]
    refused = await small.waha.post("/api/default/chats/overview", pagination={"limit": 1.5})
    assert refused.status_code == 400


class TestWhatIsKept:
    async def test_what_a_lost_webhook_told_is_in_the_list(self) -> None:
        small = Small()
        small.tell(sent(note("lost")), lost=True)
        assert texts(await small.rows()) == ["lost"]

    async def test_repetitions_change_nothing(self) -> None:
        small = Small()
        small.tell(*(sent(note("hi")),) * 3)
        assert texts(await small.rows()) == ["hi"]

    @pytest.mark.parametrize("engine", EngineName)
    async def test_an_edit_shows_the_latest_text_only(self, engine: EngineName) -> None:
        small = Small(engine)
        small.tell(
            edited("third", after_ms=2000), sent(note("first")), edited("second", after_ms=1000)
        )
        (row,) = await small.rows(ANAS)
        assert row["body"] == "third"
        data, edited_ms = row["_data"], AT_MS + 2000
        if engine is EngineName.NOWEB:
            assert data["message"] == {"editedMessage": {"message": {"conversation": "third"}}}
            assert row["timestamp"] == data["messageTimestamp"] == edited_ms // 1000
        else:
            assert row["timestamp"] == AT_MS // 1000
            assert data.get("latestEditSenderTimestampMs") == (
                edited_ms if engine is EngineName.WEBJS else None
            )

    async def test_an_edit_moves_a_message_on_noweb_alone(self) -> None:
        for engine in EngineName:
            small = Small(engine)
            later = note("later", stanza="B1", at_ms=AT_MS + 3000)
            small.tell(sent(note("first")), sent(later), edited("second", after_ms=9000))
            moved = engine is EngineName.NOWEB
            found = texts(await small.rows(ANAS))
            assert found == (["second", "later"] if moved else ["later", "second"])

    async def test_what_is_deleted_is_gone_on_noweb_and_a_tombstone_on_webjs(self) -> None:
        shown = {EngineName.NOWEB: [], EngineName.WEBJS: [""], EngineName.GOWS: ["hi"]}
        for engine in EngineName:
            small = Small(engine)
            small.tell(sent(note("hi")), revoked(), revoked())
            rows = await small.rows(ANAS)
            assert texts(rows) == shown[engine]
            if engine is EngineName.WEBJS:
                assert rows[0]["_data"]["type"] == "revoked"
                assert rows[0]["timestamp"] == note("hi").at_ms // 1000
            early = Small(engine)
            early.tell(revoked(), sent(note("hi")))
            assert len(await early.rows(ANAS)) == len(await small.rows(ANAS))

    async def test_receipts_raise_the_ack_and_never_lower_it(self) -> None:
        small = Small()
        small.tell(acked(AckLevel.READ), sent(mine(), ack=1), acked(AckLevel.DEVICE))
        (row,) = await small.rows()
        assert (row["ack"], row["ackName"], row["_data"]["status"]) == (3, "READ", 4)

    async def test_a_broken_copy_tells_nothing(self) -> None:
        small = Small()
        small.tell(sent(note("hi"), sure=False))
        assert await small.rows() == []


class TestOneMessage:
    @pytest.mark.parametrize("engine", EngineName)
    async def test_it_is_found_by_its_id(self, engine: EngineName) -> None:
        small = Small(engine)
        small.tell(sent(note("hi")))
        (row,) = await small.rows(ANAS)
        found = await small.waha.json(f"{ANAS}/{row['id']}")
        assert found["id"] == row["id"]
        short = await small.waha.get(f"{ANAS}/A1")
        anywhere = await small.waha.get(f"{ALL}/A1")
        wrong = await small.waha.get(f"/api/default/chats/1@c.us/messages/{row['id']}")
        assert (await small.waha.get(f"{ANAS}/B1")).status_code == 404
        assert [answer.status_code for answer in (short, anywhere, wrong)] == {
            EngineName.NOWEB: [200, 200, 404],
            EngineName.GOWS: [200, 200, 200],
            EngineName.WEBJS: [404, 422, 404],
        }[engine]


@pytest.fixture(scope="module")
def server() -> WahaServer:
    return WahaServer.of(Scenario(seed=5, sessions=2, served=True, past=401))


class TestThePast:
    async def test_it_is_there_from_the_beginning_and_of_all_sessions_together(
        self, server: WahaServer
    ) -> None:
        counts = [len(hosted.store.rows()) for hosted in server.sessions.values()]
        assert sum(counts) == 401
        assert abs(counts[0] - counts[1]) == 1

    async def test_it_lies_on_many_days_and_in_many_chats_and_shares_seconds(
        self, server: WahaServer
    ) -> None:
        rows = [kept.shown for kept in server.sessions["session-1"].store.rows()]
        seconds = Counter(each.at_ms // 1000 for each in rows)
        assert sum(count for count in seconds.values() if count > 1) > 60
        assert len({each.at_ms // 86_400_000 for each in rows}) > 30
        assert len({each.chat_jid for each in rows}) > 10
        assert len({each.content.kind for each in rows}) > 4
        assert {each.from_me for each in rows} == {True, False}
        assert {each.author for each in rows} > {server.sessions["session-1"].engine.account}

    async def test_no_webhook_tells_it_and_everything_else_stays_as_it_is(self) -> None:
        plain = Scenario(seed=5, served=True)
        with_past = Scenario(seed=5, served=True, past=100)
        assert list(islice(simulate(plain), 300)) == list(islice(simulate(with_past), 300))
        stanzas = {
            kept.shown.stanza for kept in WahaServer.of(with_past).sessions["default"].store.rows()
        }
        told = b"".join(delivery.body for delivery in islice(simulate(plain), 300))
        assert not any(stanza.encode() in told for stanza in stanzas)

    async def test_it_stays_when_the_traffic_begins(self) -> None:
        scenario = Scenario(seed=5, served=True, past=100, faults=Faults())
        server = WahaServer.of(scenario)
        stanzas = {kept.shown.stanza for kept in server.sessions["default"].store.rows()}
        told = list(server.watch(islice(simulate(scenario), 100)))
        assert told
        rows = [kept.shown.stanza for kept in server.sessions["default"].store.rows()]
        assert stanzas < set(rows)

    async def test_the_same_seed_has_the_same_past(self, server: WahaServer) -> None:
        again = WahaServer.of(Scenario(seed=5, sessions=2, served=True, past=401))
        for name, hosted in again.sessions.items():
            shown = [kept.shown for kept in hosted.store.rows()]
            assert shown == [kept.shown for kept in server.sessions[name].store.rows()]


async def test_a_client_that_reads_all_pages_sees_every_message_once() -> None:
    scenario = Scenario(seed=9, engine=EngineName.GOWS, served=True, past=700, faults=Faults())
    server = WahaServer.of(scenario)
    rows = await Waha(create_app(server)).messages("default")
    assert len(rows) == len({row["id"] for row in rows}) == 700
    every = [row["timestamp"] async for row in Waha(create_app(server)).pages(ALL)]
    assert all(newer >= older for newer, older in pairwise(every))


def test_sessions_of_a_mix_have_an_engine_each() -> None:
    server = WahaServer.of(Scenario(sessions=4, served=True))
    names = [hosted.engine.name for hosted in server.sessions.values()]
    assert names == [*EngineName, EngineName.NOWEB]
    assert all(hosted.engine.account is not BAKERY for hosted in server.sessions.values())
