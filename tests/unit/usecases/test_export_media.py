"""Files of a session in a folder: all that are meant, once, and nothing else."""

import asyncio
import json
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import pytest
from msgspec.structs import replace
from tests.support.deliveries import ANA, ANA_LID, BRUNO, GROUP, NOON, SESSION, delivery, linked
from tests.support.media_world import DAY, HELLO, SECOND, World, photo, sha256_of
from typing_extensions import override

from wagateway.adapters.filesystem.export import LIST, open_export_folder
from wagateway.adapters.memory.media import InMemoryMediaStore
from wagateway.domain.errors import NotFound, StoreUnavailable
from wagateway.domain.events import MessageSeen
from wagateway.domain.identity import Jid, SessionName
from wagateway.domain.media import MediaKey, file_key
from wagateway.domain.messages import Kind, MediaFacts, MediaOffer
from wagateway.usecases.export_media import Ending, Exported, ExportMedia, Wanted

ALL = Wanted(session=SESSION)
OTHER = b"another picture"


class Archive(World):
    """Stored files, and a folder to export them to."""

    def __init__(self, folder: Path) -> None:
        (folder / "incoming").mkdir()
        super().__init__(folder / "incoming")
        self.folder = folder / "exported"

    async def keep(
        self,
        stanza: str,
        content: bytes = HELLO,
        *,
        chat: Jid = ANA,
        days: int = 0,
        kind: Kind = Kind.IMAGE,
        filename: str | None = "pão.jpg",
    ) -> None:
        """Store the file of a message that was sent *days* before noon."""
        url = f"http://localhost:3000/api/files/{stanza}.jpeg"
        self.source.files[url] = content
        told = photo(
            stanza,
            chat=chat,
            offer=MediaOffer(offered_at=self.now - SECOND, url=url),
            facts=MediaFacts(mimetype="image/jpeg", filename=filename),
        )
        await self.archive.record(
            [delivery(_sent(told, days=days, kind=kind), at=self.now - SECOND)]
        )
        await self.settle()

    async def export(self, wanted: Wanted = ALL) -> list[Exported]:
        export = ExportMedia(reader=self.archive, downloads=self.downloads, media=self.media)
        async with open_export_folder(self.folder) as folder:
            return [each async for each in export(wanted, folder)]

    async def endings(self, wanted: Wanted = ALL) -> dict[str, Ending]:
        return {each.file.id: each.ending for each in await self.export(wanted)}

    def listed(self) -> list[dict[str, object]]:
        return [json.loads(line) for line in (self.folder / LIST).read_text().splitlines()]

    def files(self) -> dict[str, bytes]:
        return {p.name: p.read_bytes() for p in self.folder.iterdir() if p.name != LIST}


def _sent(told: MessageSeen, *, days: int, kind: Kind) -> MessageSeen:
    message = replace(told.message, sent_at=NOON - days * DAY, kind=kind)
    return replace(told, message=message)


@pytest.fixture
def archive(tmp_path: Path) -> Archive:
    return Archive(tmp_path)


async def test_every_file_is_there_with_its_line(archive: Archive) -> None:
    await archive.keep("A1", HELLO)
    await archive.keep("A2", OTHER, chat=GROUP, days=1)
    await archive.keep("A3", HELLO, chat=BRUNO, days=2)
    assert await archive.endings() == dict.fromkeys(["A1", "A2", "A3"], Ending.COPIED)
    assert [line["message"] for line in archive.listed()] == ["A1", "A2", "A3"]
    files = archive.files()
    assert {str(line["name"]) for line in archive.listed()} == set(files)
    for line in archive.listed():
        assert sha256_of(files[str(line["name"])]) == line["sha256"]
    assert max(name[:31] for name in files) == "2026-10-03_120000_5511987650102"


async def test_what_is_there_is_not_copied_again(archive: Archive) -> None:
    await archive.keep("A1")
    [first] = await archive.export()
    before = (archive.folder / (first.name or "")).stat()
    await archive.keep("A2", OTHER)
    assert await archive.endings() == {"A2": Ending.COPIED, "A1": Ending.ALREADY_THERE}
    assert (archive.folder / (first.name or "")).stat() == before
    assert len(archive.listed()) == 2


async def test_a_list_that_was_cut_is_completed(archive: Archive) -> None:
    await archive.keep("A1")
    await archive.keep("A2", OTHER)
    await archive.export()
    whole = (archive.folder / LIST).read_bytes()
    (archive.folder / LIST).write_bytes(whole[:-30])
    assert set((await archive.endings()).values()) == {Ending.ALREADY_THERE}
    assert (archive.folder / LIST).read_bytes() == whole


async def test_somebody_s_file_of_the_same_name_stays(archive: Archive) -> None:
    await archive.keep("A1")
    [first] = await archive.export()
    (archive.folder / (first.name or "")).write_bytes(b"mine")
    [again] = await archive.export()
    assert again.ending is Ending.COPIED
    assert sorted(archive.files().values()) == sorted([b"mine", HELLO])
    assert again.name in archive.files()


async def test_where_all_names_are_taken_it_says_so(archive: Archive) -> None:
    await archive.keep("A1")
    for _ in range(3):
        [found] = await archive.export()
        (archive.folder / (found.name or "")).write_bytes(b"mine")
    [left] = await archive.export()
    assert (left.ending, left.name) == (Ending.IN_THE_WAY, None)
    assert list(archive.files().values()) == [b"mine"] * 3


async def test_only_what_is_meant(archive: Archive) -> None:
    await archive.keep("A1", days=0)
    await archive.keep("A2", days=1, kind=Kind.VIDEO)
    await archive.keep("A3", days=2, chat=BRUNO)
    await archive.keep("A4", days=3)

    async def found(**wanted: object) -> list[str]:
        return list(await archive.endings(Wanted(session=SESSION, **wanted)))  # type: ignore[arg-type]

    assert await found(chat=[ANA]) == ["A1", "A2", "A4"]
    assert await found(kind=Kind.VIDEO) == ["A2"]
    assert await found(since=NOON - DAY) == ["A1", "A2"]
    assert await found(until=NOON - DAY) == ["A3", "A4"]
    assert await found(since=NOON - 2 * DAY, until=NOON) == ["A2", "A3"]
    assert await found(chat=[BRUNO], since=NOON) == []
    with pytest.raises(NotFound):
        await found(chat=[GROUP])
    with pytest.raises(NotFound):
        await archive.endings(Wanted(session=SessionName("none")))


async def test_a_chat_is_found_by_its_hidden_id(archive: Archive) -> None:
    await archive.keep("A1")
    await archive.archive.record([delivery(linked(), at=NOON)])
    assert list(await archive.endings(Wanted(session=SESSION, chat=[ANA_LID]))) == ["A1"]


async def test_pages_are_turned(archive: Archive) -> None:
    for n in range(502):
        await archive.keep(f"A{n}", days=n, filename=None)
    assert len(await archive.export()) == 502
    assert len(archive.files()) == len(archive.listed()) == 502


@pytest.mark.parametrize(
    "filename",
    ["../../../outside.jpg", "/etc/passwd", "..", "a\x1b[31mb.jpg", "x" * 5000, "\u202egpj.exe"],
)
@pytest.mark.parametrize("chat", [ANA, Jid("../../up@odd"), Jid("ação-" + "x" * 200 + "@odd")])
async def test_no_name_leads_elsewhere(
    archive: Archive, tmp_path: Path, filename: str, chat: Jid
) -> None:
    await archive.keep("A1", filename=filename, chat=chat)
    [found] = await archive.export()
    assert found.ending is Ending.COPIED
    assert archive.files() == {found.name: HELLO}
    assert sorted(p.name for p in tmp_path.iterdir()) == ["exported", "incoming"]


async def test_what_the_store_lacks_is_told_and_the_rest_is_copied(archive: Archive) -> None:
    await archive.keep("A1", HELLO)
    await archive.keep("A2", OTHER)
    await archive.media.remove(file_key(sha256_of(HELLO)))
    assert await archive.endings() == {"A2": Ending.COPIED, "A1": Ending.MISSING}
    assert list(archive.files().values()) == [OTHER]
    assert [line["message"] for line in archive.listed()] == ["A2"]


async def test_what_is_damaged_is_not_exported(archive: Archive, tmp_path: Path) -> None:
    await archive.keep("A1", HELLO)
    key = file_key(sha256_of(HELLO))
    await archive.media.remove(key)
    (tmp_path / "bad").write_bytes(OTHER)
    await archive.media.add(key, tmp_path / "bad", mimetype="image/jpeg")
    assert await archive.endings() == {"A1": Ending.DAMAGED}
    assert archive.files() == {}


async def test_a_store_that_is_away_is_no_missing_file(archive: Archive) -> None:
    class Away(InMemoryMediaStore):
        @override
        async def read(
            self, key: MediaKey, *, start: int = 0, length: int | None = None
        ) -> AsyncIterator[bytes]:
            yield HELLO[:3]
            raise StoreUnavailable("the file store answers 500")

    await archive.keep("A1", HELLO)
    archive.media = Away()
    with pytest.raises(StoreUnavailable, match="500"):
        await archive.export()
    assert archive.files() == {}
    assert archive.listed() == []


async def test_what_is_not_stored_yet_is_left_out(archive: Archive) -> None:
    await archive.keep("A1")
    archive.now += timedelta(seconds=1)
    await archive.tell("A2")
    assert list(await archive.endings()) == ["A1"]


async def test_stopped_in_mid_file_it_leaves_whole_files_alone_and_goes_on(
    archive: Archive,
) -> None:
    begun = asyncio.Event()

    class Slow(InMemoryMediaStore):
        @override
        async def read(
            self, key: MediaKey, *, start: int = 0, length: int | None = None
        ) -> AsyncIterator[bytes]:
            yield HELLO[:3]
            begun.set()
            await asyncio.Event().wait()

    await archive.keep("A1", HELLO)
    whole, archive.media = archive.media, Slow()
    running = asyncio.create_task(archive.export())
    await begun.wait()
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert archive.files() == {}
    archive.media = whole
    assert await archive.endings() == {"A1": Ending.COPIED}
