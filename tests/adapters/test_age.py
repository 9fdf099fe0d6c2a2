"""Sealing in the format age: nothing changed, moved or cut off passes, and disks may be full."""

import errno
import io
import os
import random
import resource
import subprocess
import threading
from pathlib import Path

import pytest
from pyrage.x25519 import Identity
from tests.support.backups import PICTURE, FakeTables, World, sha256_of
from typing_extensions import override

from wagateway.adapters.age.sealing import AgeKeys, AgeSeal
from wagateway.adapters.filesystem.backups import FilesystemBackups
from wagateway.adapters.memory.media import InMemoryMediaStore
from wagateway.domain.errors import Conflict, Rejected, StoreUnavailable
from wagateway.ports.seal import Keys, Seal

LONG = random.Random(1).randbytes(300_000)
PASSPHRASE = "six words chosen by dice"


class OpenKeys(Keys):
    """Keys as they are, without the seconds that a passphrase takes."""

    @override
    def make(self) -> tuple[bytes, Seal]:
        identity = Identity.generate()
        return str(identity).encode(), AgeSeal(identity)

    @override
    def open(self, key: bytes) -> Seal:
        return AgeSeal(Identity.from_str(key.decode()))


@pytest.fixture
def seal() -> AgeSeal:
    return AgeSeal(Identity.generate())


def sealed(seal: Seal, content: bytes) -> bytes:
    target = io.BytesIO()
    with seal.closing(target) as sink:
        for at in range(0, len(content), 10_000):
            sink.write(content[at : at + 10_000])
    return target.getvalue()


def opened(seal: Seal, content: bytes) -> bytes:
    with seal.opening(io.BytesIO(content)) as source:
        return source.read()


class TestSeal:
    @pytest.mark.parametrize("content", [b"", b"x", LONG[:65536], LONG])
    def test_what_is_sealed_comes_back(self, seal: Seal, content: bytes) -> None:
        assert opened(seal, sealed(seal, content)) == content

    def test_every_flipped_bit_is_noticed(self, seal: Seal) -> None:
        whole = sealed(seal, b"Bom dia!")
        for at in range(len(whole)):
            changed = bytearray(whole)
            changed[at] ^= 1
            with pytest.raises(Rejected, match="changed or cut off"):
                opened(seal, bytes(changed))

    def test_every_cut_is_noticed(self, seal: Seal) -> None:
        whole = sealed(seal, LONG)
        for end in (0, 1, 50, len(whole) - 65552, len(whole) - 1):
            with pytest.raises(Rejected):
                opened(seal, whole[:end])
        with pytest.raises(Rejected):
            opened(seal, whole + b"x")

    def test_moved_pieces_are_noticed(self, seal: Seal) -> None:
        whole = sealed(seal, LONG)
        begin, piece = len(whole) - len(LONG) - 16 * 5, 65552
        first, second = whole[begin : begin + piece], whole[begin + piece : begin + 2 * piece]
        moved = whole[:begin] + second + first + whole[begin + 2 * piece :]
        assert len(moved) == len(whole)
        with pytest.raises(Rejected):
            opened(seal, moved)

    def test_another_key_opens_nothing(self, seal: Seal) -> None:
        with pytest.raises(Rejected):
            opened(AgeSeal(Identity.generate()), sealed(seal, LONG))

    def test_a_full_disk_stays_a_full_disk(self, seal: Seal) -> None:
        class Full(io.BytesIO):
            @override
            def write(self, content: object) -> int:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

        def fill() -> None:
            with seal.closing(Full()) as sink:
                for _ in range(100):
                    sink.write(LONG)

        with pytest.raises(OSError, match="No space left") as caught:
            fill()
        assert caught.value.errno == errno.ENOSPC

    def test_a_disk_that_is_ill_stays_ill(self, seal: Seal) -> None:
        class Ill(io.BytesIO):
            @override
            def read(self, size: int | None = -1) -> bytes:
                raise OSError(errno.EIO, os.strerror(errno.EIO))

        with pytest.raises(OSError, match="Input/output") as caught, seal.opening(Ill()) as source:
            source.read()
        assert caught.value.errno == errno.EIO

    def test_who_reads_no_further_leaves_no_thread(self, seal: Seal) -> None:
        before = threading.active_count()
        whole = sealed(seal, LONG * 10)

        def read_some() -> None:
            with seal.opening(io.BytesIO(whole)) as source:
                source.read(10)
                raise KeyError

        with pytest.raises(KeyError):
            read_some()
        assert threading.active_count() == before

    def test_memory_does_not_grow_with_the_file(self, seal: Seal, tmp_path: Path) -> None:
        def seal_all(size_mb: int) -> int:
            with (tmp_path / "file").open("wb") as file, seal.closing(file) as sink:
                for _ in range(size_mb):
                    sink.write(bytes(2**20))
            with (tmp_path / "file").open("rb") as read, seal.opening(read) as source:
                while source.read(2**18):
                    pass
            return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss

        assert seal_all(200) - seal_all(1) < 50_000


class TestEncryptedBackups:
    @pytest.fixture
    async def world(self, tmp_path: Path) -> World:
        found = World(tmp_path, OpenKeys())
        await found.fill()
        return found

    async def test_nothing_of_it_is_readable(self, world: World) -> None:
        world.tables.rows["messages"].append(b"4\tsegredo")
        made = await world.back_up()
        assert made.manifest.encrypted
        for path in world.folder.rglob("*"):
            if path.is_file():
                content = path.read_bytes()
                assert b"segredo" not in content
                assert PICTURE[:50] not in content
                assert path.suffix == ".age" or path.name in {"SHA256SUMS", "backup.lock"}

    async def test_it_comes_back_as_it_was(self, world: World) -> None:
        made = await world.back_up()
        assert await world.check(made.manifest) == []
        target = FakeTables({"chats": [], "messages": []})
        await world.restore(made.manifest, target, InMemoryMediaStore())
        assert target.rows == world.tables.rows
        assert (await world.back_up()).new_files == 0

    async def test_the_key_of_the_folder_is_not_made_twice(self, world: World) -> None:
        made = await world.back_up()
        key = world.folder / "key.age"
        assert (world.folder / made.manifest.name / "key.age").read_bytes() == key.read_bytes()
        key.rename(world.folder / "aside")
        with pytest.raises(Conflict, match="is missing: copy"):
            await world.back_up()

    async def test_readable_backups_are_not_put_beside_encrypted_ones(
        self, world: World, tmp_path: Path
    ) -> None:
        made = await world.back_up()
        other = tmp_path / "other"
        other.mkdir()
        careless = World(other)
        careless.place = FilesystemBackups(world.folder, world.clock)
        with pytest.raises(Conflict, match="WHATSAPP_BACKUP_PASSPHRASE"):
            await careless.back_up()
        with pytest.raises(Rejected, match="WHATSAPP_BACKUP_PASSPHRASE"):
            await careless.check(made.manifest)

    async def test_a_readable_backup_does_not_pass_for_an_encrypted_one(self, world: World) -> None:
        """Else who cannot make an encrypted one would put a readable one in its place."""
        encrypted = world.place
        world.place = FilesystemBackups(world.folder, world.clock)
        made = await world.back_up()
        world.place = encrypted
        with pytest.raises(Rejected, match="is not encrypted"):
            await world.check(made.manifest)
        second = await world.back_up()  # who begins to encrypt goes on in the same folder
        await world.place.remove(made.manifest.name)
        assert await world.place.names() == [second.manifest.name]
        assert await world.check(second.manifest) == []

    async def test_files_of_one_table_do_not_pass_for_another(self, world: World) -> None:
        """Sealed by the same key, so only their hashes tell them apart."""
        made = await world.back_up()
        folder = world.folder / made.manifest.name / "tables"
        one, other = folder / "chats.tsv.gz.age", folder / "messages.tsv.gz.age"
        one.rename(folder / "aside")
        other.rename(one)
        (folder / "aside").rename(other)
        assert len(await world.check(made.manifest)) == 2

    async def test_a_flipped_attached_file_is_found(self, world: World) -> None:
        made = await world.back_up()
        sha256 = sha256_of(PICTURE)
        path = world.folder / "media" / sha256[:2] / sha256[2:4] / f"{sha256}.age"
        content = bytearray(path.read_bytes())
        content[1000] ^= 1
        path.write_bytes(content)
        (found,) = await world.check(made.manifest)
        assert found.problem == "is damaged"

    async def test_a_manifest_of_somebody_else_is_refused(
        self, world: World, tmp_path: Path
    ) -> None:
        """Who can write there and has no passphrase can make no manifest that is taken."""
        made = await world.back_up()
        path = world.folder / made.manifest.name / "manifest.json.age"
        forged = sealed(AgeSeal(Identity.generate()), b"{}")
        sums = path.parent / "SHA256SUMS"
        sums.write_text(sums.read_text().replace(sha256_of(path.read_bytes()), sha256_of(forged)))
        path.write_bytes(forged)
        with pytest.raises(Rejected):
            await world.check(made.manifest)


def test_a_passphrase_opens_its_key_alone() -> None:
    keys = AgeKeys(PASSPHRASE)
    key, seal = keys.make()
    assert key.startswith(b"age-encryption.org/v1\n-> scrypt ")
    again = AgeKeys(PASSPHRASE).open(key)
    assert opened(again, sealed(seal, LONG)) == LONG
    assert keys.open(key) is seal
    with pytest.raises(Rejected, match="WHATSAPP_BACKUP_PASSPHRASE"):
        AgeKeys(PASSPHRASE + "x").open(key)
    for other in (b"", b"no key", key[:-1]):
        with pytest.raises(Rejected):
            keys.open(other)


def test_a_child_that_is_ended_is_no_wrong_passphrase(monkeypatch: pytest.MonkeyPatch) -> None:
    def killed(*_: object, **__: object) -> subprocess.CompletedProcess[bytes]:
        return subprocess.CompletedProcess([], -9, b"", b"")

    monkeypatch.setattr(subprocess, "run", killed)
    with pytest.raises(StoreUnavailable, match="a gigabyte of memory"):
        AgeKeys(PASSPHRASE).make()
