"""Who does all that can be done gets exactly the files that the truth promises, and no bait."""

import json
from collections import Counter
from contextlib import ExitStack
from hashlib import sha256
from itertools import islice

import httpx
import pytest
from tests.support.files import Library, photo
from tests.unit.simulator.samples import bodies
from tests.unit.simulator.tales import ANA

from wagateway.adapters.waha.files import source_of
from wagateway.domain.errors import InvalidInput
from wagateway.simulator.bait import Bait
from wagateway.simulator.delivery import Delivery
from wagateway.simulator.dice import Dice
from wagateway.simulator.engine import EngineName
from wagateway.simulator.facts import Promise
from wagateway.simulator.fates import NO_FATE, Gone, Trick, fate_of
from wagateway.simulator.faults import Faults
from wagateway.simulator.file_check import FileRow, compare_files
from wagateway.simulator.files import Stock
from wagateway.simulator.happenings import Sent, attached
from wagateway.simulator.offers import Media
from wagateway.simulator.rest import create_app
from wagateway.simulator.serving import in_thread
from wagateway.simulator.simulation import Scenario, simulate
from wagateway.simulator.truth import Truth
from wagateway.simulator.voice import Voice
from wagateway.simulator.waha_server import WahaServer

TRIES = 12
STORMY = (
    "all,loss=0.1,file-wipe=0,rest-hang=0,rest-slow=0,rest-500=0.01,rest-429=0,rest-cut=0.01,file-slow=0,"
    "file-hang=0.002,account-change=0,file-500=0.1,file-empty=0.1,file-cut=0.1,file-wrong=0.1,"
    "file-redirect=0.05,file-early=0.1,file-gone=0.2,file-second=0.1,file-later=0.1,file-host=0.1,"
    "file-bait=0.2"
)


class Careful:
    """Fetches files as somebody should who has read the manual, and no way else."""

    def __init__(self, url: str) -> None:
        self._url = url
        self.client = httpx.Client(trust_env=False, timeout=0.5)
        self.kept: dict[tuple[str, str, str], str] = {}
        self.tried: set[tuple[str, str, str]] = set()

    def fetch(
        self, session: str, chat: str, message_id: str, offered: str | None, hash_: str
    ) -> None:
        key = session, chat, message_id.split("_")[2]
        self.tried.add(key)
        for _ in range(TRIES):
            if key in self.kept:
                return
            content = offered and self._content(offered)
            if content and sha256(content).hexdigest() == hash_:
                self.kept[key] = hash_
                return
            offered = self._again(session, message_id) or offered

    def _content(self, offered: str) -> bytes | None:
        try:
            answer = self.client.get(source_of(offered, engine_url=self._url).url)
        except (InvalidInput, httpx.RequestError):
            return None
        return answer.content if answer.status_code == 200 else None

    def _again(self, session: str, message_id: str) -> str | None:
        chat = message_id.split("_")[1]
        path = f"{self._url}/api/{session}/chats/{chat}/messages/{message_id}"
        try:
            answer = self.client.get(path, params={"downloadMedia": "true"})
        except httpx.RequestError:
            return None
        media = answer.json().get("media") if answer.status_code == 200 else None
        return media["url"] if media else None


def tell(careful: Careful, delivery: Delivery, chat: str) -> None:
    fact, file = delivery.fact, delivery.file
    if fact is None or file is None:
        return
    body = json.loads(delivery.body)
    payload = body["payload"]
    media = payload.get("media")
    offered = media.get("url") if isinstance(media, dict) else None
    if isinstance(payload.get("id"), str) and fact.sure:
        careful.fetch(body["session"], chat, payload["id"], offered, file.sha256)


@pytest.mark.parametrize("engine", EngineName)
def test_who_does_all_gets_all_that_is_promised_and_no_bait(engine: EngineName) -> None:
    bait = Bait()
    with in_thread(bait) as bait_url:
        scenario = Scenario(
            seed=5,
            engine=engine,
            served=True,
            past=80,
            faults=Faults.parse(STORMY, served=True),
            media=Media(stock=Stock(distinct=40), bait_url=bait_url),
        )
        server, truth = WahaServer.of(scenario), Truth()
        with in_thread(create_app(server)) as url, ExitStack() as stack:
            careful = Careful(url)
            stack.callback(careful.client.close)
            for delivery in islice(server.watch(simulate(scenario)), 1200):
                if not delivery.lost and delivery.fact:
                    truth.tell(delivery.fact)
                    happening = delivery.fact.happening
                    chat = happening.note.chat_jid if isinstance(happening, Sent) else ""
                    tell(careful, delivery, chat)
            server.settle()
            for kept in server.sessions["default"].store.rows():
                note = kept.shown
                file = attached(Sent(at_ms=0, scene=0, note=note))
                if file and file.file and server.sessions["default"].engine.shows_file(note):
                    message_id = server.sessions["default"].engine.message_id(note)
                    careful.fetch("default", note.chat_jid, message_id, None, file.file.sha256)
            server.witness(truth)
    lines = list(truth.lines())
    canonical = {line["lid"]: line["phone"] for line in lines if line["type"] == "link"}
    rows = {
        (session, canonical.get(chat, chat), stanza): careful.kept.get((session, chat, stanza))
        for session, chat, stanza in sorted(careful.tried, key=lambda key: key in careful.kept)
    }
    report = compare_files(
        lines,
        [
            FileRow(*key, status="completed" if hash_ else "failed", sha256=hash_)
            for key, hash_ in rows.items()
        ],
    )
    assert report.perfect, report.examples
    assert report.stored > 60
    assert len(report.hashes) <= 45
    promises = Counter(line["obtainable"] for line in lines if line["type"] == "file")
    assert min(promises["yes"], promises["no"], promises["perhaps"]) >= 3
    assert not bait.requests
    assert not server.bait.requests


def test_who_takes_no_care_is_caught() -> None:
    bait = Bait()
    with in_thread(bait) as bait_url:
        waha = Library(media=Media(bait_url=bait_url))
        url = waha.media(waha.tell(photo(trick=Trick.FOREIGN)))["url"]
        assert httpx.get(url, headers={"X-Api-Key": "s3gr3do"}, trust_env=False).status_code == 200
    assert [request.split("/")[1] for request in bait.requests] == ["latest"]
    assert bait.keys == 1


def test_a_burst_of_nothing_but_files_can_be_picked_out() -> None:
    every = list(islice(simulate(Scenario(seed=6, served=True, engine=EngineName.NOWEB)), 1500))
    burst = [delivery for delivery in every if delivery.file]
    assert len(burst) > 80
    assert all(json.loads(delivery.body)["payload"]["hasMedia"] for delivery in burst)
    promised = [delivery for delivery in every if delivery.fact and delivery.fact.promise]
    assert {id(each) for each in promised} <= {id(each) for each in burst}


class TestFates:
    def test_without_faults_nothing_becomes_of_files(self) -> None:
        assert fate_of(Faults(), "a") is NO_FATE

    def test_rates_are_shares_and_each_fate_is_on_its_own(self) -> None:
        faults = Faults.parse("file-gone=0.3,file-bait=0.2,file-host=0.5")
        fates = [fate_of(faults, "m", number) for number in range(2000)]
        assert 500 < sum(fate.gone is not None for fate in fates) < 700
        assert 330 < sum(fate.misleads for fate in fates) < 470
        assert {fate.gone for fate in fates} == {None, *Gone}
        assert {fate.trick for fate in fates} == {None, *Trick}
        assert not any(fate.second or fate.early or fate.later for fate in fates)
        fewer = Faults.parse("file-gone=0.3")
        assert [fate_of(fewer, "m", n).gone for n in range(50)] == [f.gone for f in fates[:50]]


class TestLaterAddresses:
    def voice(self, engine: EngineName, faults: Faults | None = None) -> Voice:
        return Voice(
            Library(engine).engine,
            key="k",
            faults=faults or Faults(),
            also_as_message=0.0,
            metadata={},
            hmac_key=None,
            served=True,
        )

    @pytest.mark.parametrize("engine", EngineName)
    def test_one_is_told_without_an_address_first(self, engine: EngineName) -> None:
        shown = set()
        for number in range(30):
            stanza = f"3EB0A64C2213DE42DBE2{number:02}"
            told = Library(engine).tell(photo(later=True), stanza=stanza)
            happening = Sent(at_ms=told.at_ms, scene=1, note=told)
            (first_ms, first), (then_ms, then) = self.voice(engine).requests(happening, Dice("x"))
            assert then_ms > first_ms
            promises = [each.fact and each.fact.promise for each in (first, then)]
            assert promises == [Promise.PERHAPS, Promise.YES]
            early, late = json.loads(first.body)["payload"], json.loads(then.body)["payload"]
            assert early["id"] == late["id"]
            assert early["hasMedia"] is late["hasMedia"] is True
            assert late["media"]["url"]
            media = early["media"]
            assert media is None or media["url"] is None
            shown.add("null" if media is None else "error" if "error" in media else "no url")
            assert json.loads(first.body)["id"] != json.loads(then.body)["id"]
        assert shown == {"null", "no url", "error"}

    def test_the_file_is_saved_with_the_second(self) -> None:
        waha = Library()
        told = waha.tell(photo(later=True, gone=Gone.ERROR), stanza="3EB0A64C2213DE42DBE299")
        waha.server.filing.wipe()
        happening = Sent(at_ms=told.at_ms, scene=1, note=told)
        facts = [each.fact for _, each in self.voice(EngineName.NOWEB).requests(happening, Dice(1))]
        path = "default", "3EB0A64C2213DE42DBE299.jpeg"
        for fact, there in zip(facts, (False, True), strict=True):
            assert fact is not None
            waha.take(fact)
            assert (waha.server.filing.find(*path) is not None) is there
        assert [fact.promise.name for fact in facts if fact and fact.promise is not None] == [
            *("NO", "YES"),
        ]

    def test_what_is_held_up_for_longer_than_it_lives_is_offered_in_vain(self) -> None:
        voice = self.voice(EngineName.NOWEB, Faults(late=1.0))
        promises: Counter[tuple[bool, str]] = Counter()
        for number in range(40):
            told = Library().tell(photo(gone=Gone.ERROR), stanza=f"3EB0A64C2213DE42DBE2{number}")
            happening = Sent(at_ms=told.at_ms, scene=1, note=told)
            for _, each in voice.requests(happening, Dice("late", number)):
                assert each.fact is not None
                assert each.fact.promise is not None
                promises[each.held_ms >= 180_000, each.fact.promise.name] += 1
        assert promises.keys() == {(True, "NO"), (False, "YES")}


@pytest.mark.parametrize("engine", EngineName)
def test_the_present_is_the_same_whether_files_are_served_or_not(engine: EngineName) -> None:
    def first(*, served: bool, media: Media) -> list[dict[str, object]]:
        scenario = Scenario(seed=4, engine=engine, served=served, media=media)
        return bodies(islice(simulate(scenario), 300))

    plain = first(served=False, media=Media())
    assert first(served=True, media=Media()) == plain
    other = first(served=True, media=Media(stock=Stock(distinct=5), base_url="https://w.example"))
    assert [each["id"] for each in other] == [each["id"] for each in plain]
    assert ANA.phone_jid
