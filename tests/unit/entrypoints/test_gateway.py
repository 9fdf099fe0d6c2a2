import asyncio
import hashlib
from collections.abc import AsyncIterator
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest

import wagateway
from wagateway import Gateway, InvalidInput, LogFilter, NotFound, Purged, Settings
from wagateway.domain.events import Outcome, Source
from wagateway.domain.identity import ChatType
from wagateway.domain.media import (
    DownloadStatus,
    Inspection,
    Rules,
    Stored,
    completed,
    file_key,
    thumbnail_key,
)
from wagateway.usecases.media_library import NotStored

NOON = datetime(2026, 10, 3, 12, tzinfo=UTC)
ANA = "5511987650102@c.us"
LID = "271000000000102@lid"


def envelope(n: int, *, chat: str = ANA, session: str = "vendas") -> dict[str, Any]:
    return {
        "event": "message",
        "session": session,
        "engine": "GOWS",
        "me": {"id": "5511912340001@c.us"},
        "payload": {
            "id": f"false_{chat}_A{n:05}",
            "timestamp": int((NOON + timedelta(seconds=n)).timestamp()),
            "from": chat,
            "fromMe": False,
            "body": f"mensagem {n}",
        },
    }


def body(*numbers: int, chat: str = ANA) -> bytes:
    return msgspec.json.encode([envelope(n, chat=chat) for n in numbers])


@pytest.fixture
async def gateway() -> AsyncIterator[Gateway]:
    async with Gateway.open(Settings.in_memory()) as gateway:
        yield gateway


async def test_what_was_taken_in_can_be_read(gateway: Gateway) -> None:
    got = await gateway.ingest(body(1, 2, 2))
    assert (got.stored, got.duplicates, got.failed) == (2, 1, 0)
    page = await gateway.messages("vendas", ANA)
    assert [m.text for m in page.messages] == ["mensagem 2", "mensagem 1"]
    assert [c.id for c in (await gateway.chats("vendas")).chats] == [ANA]
    assert [s.session for s in await gateway.sessions()] == ["vendas"]
    await gateway.ping()


async def test_what_was_purged_does_not_come_back(gateway: Gateway) -> None:
    await gateway.ingest(body(1, 2, 3))
    before = NOON + timedelta(seconds=3)
    counted = await gateway.purgeable("vendas", ANA, before=before)
    assert counted.messages == 2
    steps = [
        step async for step in gateway.purge("vendas", ANA, by="maria", before=before, reason="old")
    ]
    assert [step.messages for step in steps] == [2]
    await gateway.ingest(body(1, 2, 3))
    page = await gateway.messages("vendas", ANA)
    assert ([m.id for m in page.messages], page.purged_before) == (["A00003"], before)
    with pytest.raises(Purged):
        await gateway.file("vendas", ANA, "A00001")
    with pytest.raises(InvalidInput, match="aware"):
        await gateway.purgeable("vendas", before=before.replace(tzinfo=None))
    with pytest.raises(NotFound):
        await gateway.purgeable("suporte")


@pytest.mark.parametrize(
    "spelling",
    [ANA, "+55 (11) 98765-0102", "005511987650102", "551187650102", f"{ANA[:-5]}:3@c.us"],
)
async def test_a_chat_is_found_in_any_spelling(gateway: Gateway, spelling: str) -> None:
    await gateway.ingest(body(1))
    assert len((await gateway.messages("vendas", spelling)).messages) == 1


async def test_pages_are_bounded_by_instants_and_cursors(gateway: Gateway) -> None:
    await gateway.ingest(body(1, 2, 3, 4))

    async def texts(**bounds: Any) -> list[str | None]:  # noqa: ANN401 - handed on
        page = await gateway.messages("vendas", ANA, **bounds)
        return [m.text and m.text[-1] for m in page.messages]

    sao_paulo = NOON.astimezone(datetime.strptime("-0300", "%z").tzinfo) + timedelta(seconds=3)
    assert await texts(before=sao_paulo) == ["2", "1"]
    assert await texts(after=NOON + timedelta(seconds=2)) == ["4", "3"]
    assert await texts(limit=1) == ["4"]
    first = await gateway.messages("vendas", ANA, limit=3)
    assert await texts(before=first.next) == ["1"]
    with pytest.raises(InvalidInput, match="aware"):
        await texts(before=datetime(2026, 10, 3))  # noqa: DTZ001 - what a caller forgets


async def test_the_whole_history_comes_newest_first(gateway: Gateway) -> None:
    await gateway.ingest(body(*range(1100)))
    got = [m.text async for m in gateway.history("vendas", ANA)]
    assert got == [f"mensagem {n}" for n in reversed(range(1100))]
    older = [
        m.text async for m in gateway.history("vendas", ANA, before=NOON + timedelta(seconds=2))
    ]
    assert older == ["mensagem 1", "mensagem 0"]


async def test_unknown_names_are_told(gateway: Gateway) -> None:
    await gateway.ingest(body(1))
    with pytest.raises(NotFound):
        await gateway.messages("vendas", "+55 11 90000-0000")
    with pytest.raises(NotFound):
        await gateway.chats("compras")
    with pytest.raises(NotFound):
        _ = [m async for m in gateway.history("compras", ANA)]
    with pytest.raises(InvalidInput):
        await gateway.messages("vendas", "ana")
    with pytest.raises(InvalidInput):
        await gateway.chats("x" * 513)
    with pytest.raises(InvalidInput):
        await gateway.ingest(b"{")


async def test_a_former_account_s_archive_is_read_by_its_account(gateway: Gateway) -> None:
    former, present = envelope(1), envelope(2, chat="5511987650103@c.us")
    former["payload"]["_data"] = {"Info": {"PushName": "Ana"}}
    present["me"] = {"id": "5511912340002@c.us"}
    present["timestamp"] = int((NOON + timedelta(hours=1)).timestamp() * 1000)
    former["timestamp"] = int(NOON.timestamp() * 1000)
    await gateway.ingest(msgspec.json.encode([former, present]))
    for account in ("5511912340001@c.us", "+55 11 91234-0001"):
        page = await gateway.messages("vendas", ANA, account=account)
        assert [m.text for m in page.messages] == ["mensagem 1"]
        got = [m.text async for m in gateway.history("vendas", ANA, account=account)]
        assert got == ["mensagem 1"]
        assert [c.id for c in (await gateway.chats("vendas", account=account)).chats] == [ANA]
        people = (await gateway.contacts("vendas", account=account)).contacts
        assert "Ana" in {person.push_name for person in people}
    with pytest.raises(NotFound):
        await gateway.messages("vendas", ANA)
    with pytest.raises(NotFound, match="never had the account"):
        await gateway.chats("vendas", account="5511912340003@c.us")
    with pytest.raises(InvalidInput):
        await gateway.contacts("vendas", account="ana")


async def test_contacts_are_filtered_by_type(gateway: Gateway) -> None:
    named = envelope(1)
    named["payload"]["_data"] = {"Info": {"PushName": "Ana"}}
    await gateway.ingest(msgspec.json.encode(named))
    people = await gateway.contacts("vendas", type=ChatType.INDIVIDUAL)
    assert [(c.id, c.push_name) for c in people.contacts] == [(ANA, "Ana")]
    assert (await gateway.contacts("vendas", type=ChatType.GROUP)).contacts == []


async def test_a_person_can_link_and_unlink(gateway: Gateway) -> None:
    await gateway.ingest(body(1))
    await gateway.ingest(body(2, 3, chat=LID))
    assert await gateway.link("vendas", LID, "+55 11 98765-0102") == 2
    assert len((await gateway.messages("vendas", ANA)).messages) == 3
    assert [(k.lid, k.phone) for k in await gateway.links("vendas")] == [(LID, ANA)]
    assert await gateway.unlink("vendas", LID) == 2
    assert len((await gateway.messages("vendas", ANA)).messages) == 1
    with pytest.raises(NotFound):
        await gateway.unlink("vendas", LID)
    with pytest.raises(InvalidInput):
        await gateway.link("vendas", ANA, LID)
    for mistyped in ("123", "5511987650102" * 2):
        with pytest.raises(InvalidInput, match="7 to 15 digits"):
            await gateway.link("vendas", LID, mistyped)


async def test_the_log_is_listed_read_and_replayed(gateway: Gateway) -> None:
    odd = b'{"event":"brand.new","session":"vendas","payload":{}}'
    await gateway.ingest(body(1))
    await gateway.ingest(odd)
    newest, oldest = (await gateway.events()).events
    assert (newest.event, oldest.event) == ("brand.new", "message")
    assert await gateway.event_body(newest.id) == odd
    stored = (await gateway.events(LogFilter(outcome=Outcome.STORED))).events
    assert [e.id for e in stored] == [oldest.id]
    steps = [step async for step in gateway.replay()]
    assert [step.rows for step in steps] == [2]
    later = [step async for step in gateway.replay(LogFilter(), after=oldest.id)]
    assert [step.rows for step in later] == [1]


async def test_settings_come_from_the_environment_unless_given(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("WHATSAPP_DATABASE_URL", "memory://")
    async with Gateway.open() as gateway:
        assert await gateway.sessions() == []


async def test_a_worker_without_an_engine_says_what_it_needs() -> None:
    with pytest.raises(InvalidInput, match="engine_url"):
        async with Gateway.open(Settings.in_memory(), worker=True):
            pass


async def test_a_worker_that_is_switched_off_reads_nothing() -> None:
    nobody = "http://127.0.0.1:1"
    settings = Settings(database_url="memory://", engine_url=nobody, sync_enabled=False)
    async with Gateway.open(settings, worker=True) as gateway:
        assert await gateway.sessions() == []


async def test_backups_say_what_they_lack(gateway: Gateway, tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="backup_dir"):
        await gateway.backup()
    with pytest.raises(InvalidInput, match="memory"):
        await gateway.backup(tmp_path / "backups")
    with pytest.raises(NotFound):
        await gateway.verify_backup(tmp_path / "wagateway-20261127T063000Z")
    with pytest.raises(InvalidInput, match="memory"):
        await Gateway.restore(tmp_path, Settings.in_memory())
    with pytest.raises(NotFound):  # and makes no archive
        await Gateway.restore(
            tmp_path / "wagateway-20261127T063000Z", Settings.embedded(tmp_path / "data")
        )
    assert list(tmp_path.iterdir()) == []


@pytest.fixture
def beats_often(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("wagateway.entrypoints.worker.BEAT", timedelta(milliseconds=1))


async def could_come(gateway: Gateway, *, within_s: float) -> bool:
    """Tell whether it is written down that webhooks could come, or is soon."""
    with suppress(TimeoutError):
        async with asyncio.timeout(within_s):
            while not (await gateway.coverage("vendas")).live:
                await asyncio.sleep(0.002)
            return True
    return False


def working_status() -> bytes:
    told = envelope(1) | {"event": "session.status", "payload": {"status": "WORKING"}}
    return msgspec.json.encode(told | {"timestamp": int(NOON.timestamp() * 1000)})


@pytest.mark.usefixtures("beats_often")
@pytest.mark.parametrize("worker", [False, True])
async def test_who_takes_webhooks_says_so_and_who_only_reads_does_not(*, worker: bool) -> None:
    nobody = "http://127.0.0.1:1"
    settings = Settings(database_url="memory://", engine_url=nobody, sync_enabled=False)
    async with Gateway.open(settings, worker=worker) as gateway:
        await gateway.ingest(working_status(), source=Source.IMPORT)
        assert not await could_come(gateway, within_s=0.03)
        with pytest.raises(InvalidInput):
            await gateway.ingest(b"{")
        assert not await could_come(gateway, within_s=0.03)
        await gateway.ingest(body(1))
        assert await could_come(gateway, within_s=10)


@pytest.mark.usefixtures("beats_often")
async def test_who_waits_for_webhooks_says_so_before_the_first_one() -> None:
    async with Gateway.open(Settings.in_memory(), webhooks=True) as gateway:
        await gateway.ingest(working_status(), source=Source.IMPORT)
        assert await could_come(gateway, within_s=10)


def test_the_package_has_its_names_and_no_others() -> None:
    for name in wagateway.__all__:
        assert getattr(wagateway, name).__name__ == name
    with pytest.raises(AttributeError, match="Gatewy"):
        _ = wagateway.Gatewy


async def with_a_file(gateway: Gateway, folder: Path) -> None:
    """Let a picture come, and be stored."""
    told = envelope(1)
    told["payload"] |= {
        "hasMedia": True,
        "media": {"url": "http://localhost:3000/api/files/a.jpeg", "mimetype": "image/jpeg"},
    }
    await gateway.ingest(msgspec.json.encode(told))
    services = gateway._services  # noqa: SLF001 - no worker runs in this test
    now = datetime.now(UTC) + timedelta(hours=1)
    [task] = await services.downloads.claim(now, rules=Rules(), lease=timedelta(minutes=1), limit=1)
    (folder / "file").write_bytes(b"a picture")
    sha256 = hashlib.sha256(b"a picture").hexdigest()
    await services.media.add(file_key(sha256), folder / "file", mimetype="image/jpeg")
    done = msgspec.structs.replace(task, download=completed(task.download, sha256))
    stored = Stored(size_bytes=9, mimetype="image/jpeg")
    await services.downloads.save(done, now=now, stored=stored)


async def test_files_can_be_listed_counted_and_read(gateway: Gateway, tmp_path: Path) -> None:
    await with_a_file(gateway, tmp_path)
    [listed] = (await gateway.files("vendas", status=DownloadStatus.COMPLETED)).files
    assert (await gateway.file_counts("vendas"))[DownloadStatus.COMPLETED] == 1
    file = await gateway.file("vendas", "+55 11 98765-0102", listed.id)
    assert (file.size_bytes, file.mimetype) == (9, "image/jpeg")
    assert b"".join([piece async for piece in gateway.read_file(file)]) == b"a picture"
    part = [piece async for piece in gateway.read_file(file, start=2, length=3)]
    assert b"".join(part) == b"pic"
    with pytest.raises(NotFound):
        await gateway.file("vendas", ANA, "A00009")


async def test_a_preview_can_be_read(gateway: Gateway, tmp_path: Path) -> None:
    await with_a_file(gateway, tmp_path)
    with pytest.raises(NotStored, match="no preview") as absent:
        await gateway.thumbnail("vendas", ANA, "A00001")
    assert (absent.value.status, absent.value.problem) == (DownloadStatus.COMPLETED, None)
    services = gateway._services  # noqa: SLF001 - no worker runs in this test
    sha256 = hashlib.sha256(b"a picture").hexdigest()
    (tmp_path / "preview").write_bytes(b"a preview")
    key = thumbnail_key(sha256)
    await services.media.add(key, tmp_path / "preview", mimetype="image/webp")
    found = Inspection(mimetype="image/jpeg", has_thumbnail=True)
    await services.downloads.save_inspection(sha256, found, now=datetime.now(UTC))
    preview = await gateway.thumbnail("vendas", "+55 11 98765-0102", "A00001")
    assert (preview.size_bytes, preview.mimetype) == (9, "image/webp")
    assert b"".join([piece async for piece in gateway.read_file(preview)]) == b"a preview"
    with pytest.raises(NotFound):
        await gateway.thumbnail("vendas", ANA, "A00009")


async def test_what_is_not_stored_says_how_far_it_is(gateway: Gateway) -> None:
    told = envelope(1)
    told["payload"] |= {"hasMedia": True, "media": {"mimetype": "image/jpeg"}}
    await gateway.ingest(msgspec.json.encode(told))
    for ask in (gateway.file, gateway.thumbnail):
        with pytest.raises(NotStored) as absent:
            await ask("vendas", ANA, "A00001")
        assert absent.value.status is DownloadStatus.PENDING


async def test_files_can_be_fetched_again(gateway: Gateway, tmp_path: Path) -> None:
    await with_a_file(gateway, tmp_path)
    assert await gateway.retry_files("vendas") == 0
    told = envelope(2)
    told["payload"] |= {"hasMedia": True, "media": {"mimetype": "image/jpeg"}}
    await gateway.ingest(msgspec.json.encode(told))
    pending = [DownloadStatus.PENDING]
    assert await gateway.retry_files("vendas", ANA, "A00002", statuses=pending) == 1
    assert await gateway.retry_files("vendas", ANA, "A00001", statuses=pending) == 0
    with pytest.raises(InvalidInput):
        await gateway.retry_files("vendas", "Ana")
    with pytest.raises(NotFound):
        await gateway.retry_files("none")


async def test_changes_are_followed_as_they_come(gateway: Gateway) -> None:
    await gateway.ingest(body(1))
    found = []
    changes = gateway.changes(session="vendas", chat="+55 11 98765-0102", kinds=["message"])
    following = asyncio.ensure_future(anext(changes))
    await asyncio.sleep(0.1)
    await gateway.ingest(body(2, 3))
    found.append(await following)
    found.append(await anext(changes))
    await changes.aclose()  # type: ignore[attr-defined] # a generator
    assert [change.message and change.message.text for change in found] == [
        "mensagem 2",
        "mensagem 3",
    ]
    async with asyncio.timeout(5):
        async for change in gateway.changes(after=found[0].position):
            assert change.id == found[1].id
            break


@pytest.mark.parametrize(
    "asked", [{"chat": ANA}, {"kinds": ["gossip"]}, {"after": "42"}, {"session": "x" * 1000}]
)
async def test_what_cannot_be_followed_is_refused(gateway: Gateway, asked: dict[str, Any]) -> None:
    with pytest.raises(InvalidInput):
        await anext(gateway.changes(**asked))


async def test_closing_ends_whoever_follows() -> None:
    async with Gateway.open(Settings.in_memory()) as gateway:
        following = asyncio.create_task(_kinds(gateway))
        await asyncio.sleep(0.1)
    async with asyncio.timeout(2):
        assert await following == []


async def _kinds(gateway: Gateway) -> list[str]:
    return [change.kind async for change in gateway.changes()]
