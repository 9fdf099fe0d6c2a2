"""``wagateway media`` on an embedded PostgreSQL, with files in a folder."""

import asyncio
import json
import os
import signal
import sys
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import msgspec
import psycopg
import pytest
from click.testing import CliRunner, Result
from tests.support.deliveries import ANA, BRUNO, NOON, SECOND, SESSION, delivery
from tests.support.media_world import HELLO, photo, sha256_of
from tests.support.postgres import Servers

from wagateway.domain.identity import Jid
from wagateway.domain.media import Rules, Stored, completed, expired, file_key, skipped
from wagateway.domain.messages import MediaFacts, MediaOffer
from wagateway.entrypoints.cli.endings import ExitCode
from wagateway.entrypoints.cli.program import program
from wagateway.entrypoints.containers import Services, open_services
from wagateway.entrypoints.settings import Settings

pytestmark = pytest.mark.embedded

OTHER = b"another picture"
HOURS_AGO = 7200


class Place:
    """A database, a folder of files, and a folder to export to."""

    def __init__(self, url: str, services: Services, folder: Path) -> None:
        self.services = services
        self.media = folder / "media"
        self.exported = folder / "exported"
        self.folder = folder
        self.env = {"WHATSAPP_DATABASE_URL": url, "WHATSAPP_MEDIA_DIR": str(self.media)}

    async def keep(
        self,
        stanza: str,
        content: bytes | None = HELLO,
        *,
        chat: Jid = ANA,
        filename: str = "pão.jpg",
    ) -> None:
        """Store a message's file; without a content it expires."""
        told = photo(
            stanza,
            chat=chat,
            offer=MediaOffer(offered_at=NOON, url=f"http://localhost:3000/api/files/{stanza}"),
            facts=MediaFacts(mimetype="image/jpeg", filename=filename),
        )
        await self.services.archive.record([delivery(told)])
        now = NOON + 2 * SECOND
        downloads = self.services.downloads
        [task] = await downloads.claim(now, rules=Rules(), lease=timedelta(minutes=1), limit=1)
        if content is None:
            state = expired(task.download, "neither WAHA nor WhatsApp has it")
            await downloads.save(msgspec.structs.replace(task, download=state), now=now)
            return
        source = self.folder / "source"
        source.write_bytes(content)
        key = file_key(sha256_of(content))
        await self.services.media.add(key, source, mimetype="image/jpeg")
        state = completed(task.download, sha256_of(content))
        stored = Stored(size_bytes=len(content), mimetype="image/jpeg")
        done = msgspec.structs.replace(task, download=state)
        await downloads.save(done, now=now, stored=stored)

    def path(self, content: bytes = HELLO) -> Path:
        return self.media / file_key(sha256_of(content))

    async def run(self, *words: str, code: ExitCode = ExitCode.OK) -> Result:
        done = await asyncio.to_thread(CliRunner().invoke, program, ["media", *words], env=self.env)
        assert done.exit_code == code, done.output
        return done

    async def json(self, *words: str, code: ExitCode = ExitCode.OK) -> list[dict[str, object]]:
        done = await self.run(*words, "--json", code=code)
        return [json.loads(line) for line in done.stdout.splitlines()]


@pytest.fixture
async def place(postgres_servers: Servers, tmp_path: Path) -> AsyncIterator[Place]:
    async with postgres_servers.migrated() as url:
        settings = Settings(database_url=url, media_dir=tmp_path / "media", auto_migrate=False)
        async with open_services(settings) as services:
            yield Place(url, services, tmp_path)


class TestList:
    async def test_counts_come_first_and_then_the_latest(self, place: Place) -> None:
        await place.keep("A1")
        await place.keep("A2", None)
        first, *lines = (await place.run("list", SESSION)).stdout.splitlines()
        assert first == "1 completed, 1 expired"
        assert len(lines) == 2
        assert "neither WAHA nor WhatsApp has it" in lines[0]
        assert "pão.jpg" in lines[1]
        [found] = await place.json("list", SESSION, "--status", "expired", "--kind", "image")
        assert found["counts"] == {
            **dict.fromkeys(["pending", "downloading", "failed", "skipped"], 0),
            "completed": 1,
            "expired": 1,
        }
        assert [file["id"] for file in found["files"]] == ["A2"]  # type: ignore[attr-defined]
        [none] = await place.json("list", SESSION, "--kind", "video")
        assert (sum(none["counts"].values()), none["files"]) == (0, [])  # type: ignore[attr-defined]

    async def test_older_ones_come_by_the_cursor_that_was_printed(self, place: Place) -> None:
        for stanza in ("A1", "A2", "A3"):
            await place.keep(stanza)
        first = (await place.run("list", SESSION, "--limit", "2")).stdout.splitlines()
        assert len(first) == 4
        told, _, cursor = first[-1].rpartition(" ")
        assert told == "Older ones: the same command with --before"
        rest = (await place.run("list", SESSION, "--before", cursor)).stdout.splitlines()
        assert rest[0] == "3 completed"
        assert len(rest) == 2
        seen: list[str] = []
        before: tuple[str, ...] = ()
        while True:
            [page] = await place.json("list", SESSION, "--limit", "1", *before)
            seen += [file["id"] for file in page["files"]]  # type: ignore[attr-defined]
            if page["next"] is None:
                break
            before = ("--before", str(page["next"]))
        assert seen == ["A3", "A2", "A1"]
        wrong = await place.run("list", SESSION, "--before", "yesterday", code=ExitCode.USAGE)
        assert "cursor" in wrong.stderr

    async def test_nobody_s_words_control_the_terminal(self, place: Place) -> None:
        await place.keep("A1\x1b[2J", filename="\x1b]0;x\x07a\u202egpj\n2.exe" + "y" * 500)
        shown = (await place.run("list", SESSION)).stdout
        assert all(char.isprintable() for char in shown.replace("\n", ""))
        assert len(shown.splitlines()) == 2

    async def test_an_unknown_session_is_told(self, place: Place) -> None:
        assert "none" in (await place.run("list", "none", code=ExitCode.FAILED)).stderr
        await place.services.archive.record([delivery(session="empty")])
        assert "No message" in (await place.run("list", "empty")).stdout


class TestRetry:
    async def test_what_expired_is_due_and_a_worker_is_named(self, place: Place) -> None:
        await place.keep("A1", None)
        await place.keep("A2", None, chat=BRUNO)
        await place.keep("A3")
        told = await place.run("retry", SESSION, "--chat", ANA)
        assert told.stdout.startswith("1 file to be fetched again: a running `wagateway up`")
        assert await place.json("retry", SESSION) == [{"due": 1}]
        assert "No file stands so: expired, failed." in (await place.run("retry", SESSION)).stdout

    @pytest.mark.parametrize("name", ["A2", f"false_{BRUNO}_A2"])
    async def test_one_message_is_named_by_its_id(self, place: Place, name: str) -> None:
        await place.keep("A1", None)
        await place.keep("A2", None, chat=BRUNO)
        assert await place.json("retry", SESSION, "--id", name) == [{"due": 1}]
        assert await place.json("retry", SESSION, "--id", name) == [{"due": 0}]
        told = await place.run("retry", SESSION, "--id", "A9")
        assert told.stdout == "No file of a message A9 stands so: expired, failed.\n"

    async def test_other_states_are_named(self, place: Place) -> None:
        await place.keep("A1", None)
        assert await place.json("retry", SESSION, "--status", "skipped") == [{"due": 0}]
        both = ("--status", "skipped", "--status", "expired")
        assert await place.json("retry", SESSION, *both) == [{"due": 1}]
        stored = await place.run("retry", SESSION, "--status", "completed", code=ExitCode.USAGE)
        assert "completed" in stored.stderr

    async def test_a_chat_that_is_unknown_is_told(self, place: Place) -> None:
        await place.keep("A1", None)
        unknown = await place.run("retry", SESSION, "--chat", BRUNO, code=ExitCode.FAILED)
        assert f"has no chat {BRUNO}" in unknown.stderr
        nobody = await place.run("retry", SESSION, "--chat", "Bruno", code=ExitCode.USAGE)
        assert "phone number" in nobody.stderr


class TestVerify:
    async def test_all_is_well(self, place: Place) -> None:
        await place.keep("A1")
        done = await place.run("verify")
        assert done.stdout == "1 file looked at, 18 bytes read; nothing is wrong.\n"
        assert await place.json("verify", "--quick") == [
            {"files": 1, "read_bytes": 0, "found": {}, "mended": 0, "downloads": 0}
        ]

    async def test_findings_are_told_and_mended_on_request(self, place: Place) -> None:
        await place.keep("A1", HELLO)
        await place.keep("A2", HELLO, chat=BRUNO)
        await place.keep("A3", OTHER)
        await place.keep("A4", b"third")
        place.path(HELLO).chmod(0o600)
        place.path(HELLO).write_bytes(HELLO[::-1])
        place.path(OTHER).unlink()
        orphan = place.folder / "source"
        orphan.write_bytes(b"orphan")
        await place.services.media.add(
            file_key(sha256_of(b"orphan")), orphan, mimetype="image/jpeg"
        )
        old = place.path(b"orphan")
        os.utime(old, (old.stat().st_mtime - HOURS_AGO,) * 2)
        told = await place.run("verify", code=ExitCode.FAILED)
        assert "--repair fetches again" in told.stdout
        assert "--remove-orphans removes" in told.stdout
        found = await place.json("verify", code=ExitCode.FAILED)
        assert found[-1]["found"] == {"missing": 1, "damaged": 1, "orphan": 1}
        assert {each["problem"] for each in found[:-1]} == {"missing", "damaged", "orphan"}
        repaired = await place.json("verify", "--repair", code=ExitCode.FAILED)
        assert (repaired[-1]["mended"], repaired[-1]["downloads"]) == (2, 3)
        assert old.exists()
        mended = await place.run("verify", "--remove-orphans")
        assert f"orphan      {file_key(sha256_of(b'orphan'))}  (6 bytes): removed" in mended.stdout
        assert not old.exists()
        [listed] = await place.json("list", SESSION)
        assert listed["counts"]["pending"] == 3  # type: ignore[index]
        assert (await place.json("verify"))[-1]["found"] == {}

    async def test_a_store_that_is_another_one_is_no_loss(self, place: Place) -> None:
        await place.keep("A1")
        place.media.rename(place.folder / "elsewhere")
        for words in ((), ("--repair",), ("--quick",)):
            done = await place.run("verify", *words, code=ExitCode.FAILED)
            assert "WHATSAPP_MEDIA_DIR" in done.stderr
            assert done.stdout == ""
        lost = await place.json("verify", "--all-lost", code=ExitCode.FAILED)
        assert lost[-1]["found"] == {"missing": 1}

    async def test_a_store_that_is_away_ends_with_3(self, place: Place) -> None:
        await place.keep("A1")
        place.env["WHATSAPP_MEDIA_STORE"] = "minio"
        place.env["WHATSAPP_MINIO_URL"] = "http://127.0.0.1:1"
        place.env["WHATSAPP_MINIO_ROOT_USER"] = "someone"
        place.env["WHATSAPP_MINIO_ROOT_PASSWORD"] = "kX3-9vQz_7LmT2bRw8Ye"
        done = await place.run("verify", "--repair", code=ExitCode.UNAVAILABLE)
        assert done.stdout == ""
        [listed] = await place.json("list", SESSION)
        assert listed["counts"]["completed"] == 1  # type: ignore[index]

    async def test_ctrl_c_ends_it_and_says_how_far_it_was(self, place: Place) -> None:
        await _many(place, 4000)
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "wagateway.entrypoints.cli", "media", "verify", "--repair"),
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            cwd=place.folder,
            env=os.environ | place.env,
        )
        assert process.stdout
        async with asyncio.timeout(60):
            first = (await process.stdout.readline()).decode()
            process.send_signal(signal.SIGINT)
            out, err = await process.communicate()
        assert first.startswith("missing ")
        assert process.returncode == ExitCode.INTERRUPTED
        assert out == b""
        assert "Not all was looked at" in err.decode()
        assert "Traceback" not in err.decode()
        assert (await place.json("verify", "--quick"))[-1]["files"] == 3999


async def _many(place: Place, number: int) -> None:
    """Store files that no message has, the first of which is missing."""
    contents = sorted((str(n).encode() for n in range(number)), key=sha256_of)
    rows = [(sha256_of(each), len(each)) for each in contents]
    for content in contents[1:]:
        place.path(content).parent.mkdir(parents=True, exist_ok=True)
        place.path(content).write_bytes(content)
    async with await psycopg.AsyncConnection.connect(place.env["WHATSAPP_DATABASE_URL"]) as conn:
        await conn.cursor().executemany(
            "INSERT INTO whatsapp_gateway.media_objects (sha256, size_bytes, mimetype, stored_at,"
            " uses) VALUES (%s, %s, 'text/plain', now(), 0)",
            rows,
        )


class TestExport:
    async def test_files_are_copied_once_and_listed(self, place: Place) -> None:
        await place.keep("A1")
        await place.keep("A2", OTHER, chat=BRUNO, filename="../../bolo.png")
        done = await place.run("export", SESSION, str(place.exported))
        assert done.stdout == (
            f"2 files copied (33 bytes), 0 there already; {place.exported}/manifest.jsonl lists"
            " them.\n"
        )
        names = sorted(p.name for p in place.exported.iterdir())
        assert [name[:-13] for name in names[:2]] == [
            "2026-10-03_120000_5511987650102_pão",
            "2026-10-03_120000_5511987650103_bolo.png",
        ]
        words = ("export", SESSION, str(place.exported), "--chat", BRUNO)
        [again] = await place.json(*words)
        assert again["copied_bytes"] == 0
        assert again["files"]["already-there"] == 1  # type: ignore[index]
        assert sorted(p.name for p in place.exported.iterdir()) == names

    async def test_times_are_of_the_zone_of_the_settings(self, place: Place) -> None:
        await place.keep("A1")
        place.env["WHATSAPP_TZ"] = "America/Sao_Paulo"
        words = ("export", SESSION, str(place.exported), "--kind", "image")
        [before] = await place.json(*words, "--until", "2026-10-03 09:00")
        assert before["files"]["copied"] == 0  # type: ignore[index]
        [after] = await place.json(*words, "--since", "2026-10-03 09:00")
        assert after["files"]["copied"] == 1  # type: ignore[index]
        none = ("--since", "2026-10-04", "--until", "2026-10-03")
        assert "--since" in (await place.run(*words, *none, code=ExitCode.USAGE)).stderr

    async def test_what_the_store_lacks_is_told(self, place: Place) -> None:
        await place.keep("A1")
        await place.keep("A2", OTHER)
        place.path(OTHER).unlink()
        left, done = await place.json("export", SESSION, str(place.exported), code=ExitCode.FAILED)
        assert (left["message"], left["why"]) == ("A2", "missing")
        assert done["files"]["copied"] == 1  # type: ignore[index]
        told = await place.run("export", SESSION, str(place.exported), code=ExitCode.FAILED)
        assert "the media store lacks it" in told.stdout
        assert "media verify --repair" in told.stdout

    async def test_of_an_unknown_session_no_folder_is_made(self, place: Place) -> None:
        await place.run("export", "none", str(place.exported), code=ExitCode.FAILED)
        assert not place.exported.exists()

    async def test_a_list_of_somebody_else_ends_with_4(self, place: Place) -> None:
        await place.keep("A1")
        place.exported.mkdir()
        (place.exported / "manifest.jsonl").write_text("mine\n")
        await place.run("export", SESSION, str(place.exported), code=ExitCode.CONFLICT)
        assert [p.read_text() for p in place.exported.iterdir()] == ["mine\n"]


async def test_a_skipped_file_is_listed_with_its_reason(place: Place) -> None:
    await place.keep("A1", None)
    await place.services.downloads.retry(NOON + 3 * SECOND)
    [task] = await place.services.downloads.claim(
        NOON + 4 * SECOND, rules=Rules(), lease=timedelta(minutes=1), limit=1
    )
    state = skipped(task.download, "files of this chat are not kept")
    await place.services.downloads.save(
        msgspec.structs.replace(task, download=state), now=NOON + 4 * SECOND
    )
    assert "files of this chat are not kept" in (await place.run("list", SESSION)).stdout
