"""``wagateway media prepare`` and ``wagateway stack-env``."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from tests.support.s3 import S3Server, needs_s3

from wagateway.entrypoints.cli.endings import ExitCode
from wagateway.entrypoints.cli.program import program


@pytest.fixture(autouse=True)
def _empty_place(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)


def run(*words: str, env: dict[str, str] | None = None, stdin: str | None = None) -> Result:
    return CliRunner().invoke(program, words, env=env, input=stdin)


class TestPrepare:
    def test_a_folder_is_made_for_us_alone_and_may_be_there(self, tmp_path: Path) -> None:
        folder = tmp_path / "media"
        for _ in range(2):
            done = run("media", "prepare", env={"WHATSAPP_MEDIA_DIR": str(folder)})
            assert done.exit_code == ExitCode.OK
            assert f"{folder} keeps files, for us alone" in done.stdout
        assert folder.stat().st_mode & 0o077 == 0

    def test_one_that_others_can_read_is_refused(self, tmp_path: Path) -> None:
        tmp_path.chmod(0o755)
        done = run("media", "prepare", env={"WHATSAPP_MEDIA_DIR": str(tmp_path)})
        assert done.exit_code == ExitCode.FAILED
        assert "anyone can read" in done.stdout

    def test_nothing_is_made_where_files_are_not_kept(self, tmp_path: Path) -> None:
        folder = tmp_path / "media"
        env = {"WHATSAPP_MEDIA_DIR": str(folder), "WHATSAPP_MEDIA_ENABLED": "false"}
        assert run("media", "prepare", env=env).exit_code == ExitCode.OK
        assert not folder.exists()


class TestPrepareBucket:
    pytestmark = needs_s3

    def test_a_bucket_is_made(self, s3_server: S3Server) -> None:
        with s3_server.fresh_bucket() as bucket:
            env = {
                "WHATSAPP_MEDIA_STORE": "minio",
                "WHATSAPP_MINIO_URL": bucket.url,
                "WHATSAPP_MINIO_BUCKET": bucket.name,
                "WHATSAPP_MINIO_ROOT_USER": bucket.access_key,
                "WHATSAPP_MINIO_ROOT_PASSWORD": bucket.secret_key,
            }
            done = run("media", "prepare", "--json", env=env)
            assert done.exit_code == ExitCode.OK
            assert json.loads(done.stdout)["verdict"] == "ok"
            assert s3_server.client().bucket_exists(bucket_name=bucket.name)


class TestStackEnv:
    def test_all_is_told_and_no_secret_is(self) -> None:
        done = run("stack-env", "-", stdin="WHATSAPP_DB_PASSWORD=postgres1\nWHATSAPP_TZ=Mars\n")
        assert done.exit_code == ExitCode.USAGE
        for name in ("WHATSAPP_DB_PASSWORD", "WHATSAPP_TZ", "WHATSAPP_API_KEY"):
            assert f"\n  {name}" in f"\n{done.stdout}"
        assert "postgres1" not in done.output

    def test_the_file_of_this_folder_is_looked_at(self, tmp_path: Path) -> None:
        (tmp_path / ".env").write_text("WHATSAPP_CORE_URL=http://localhost:3311\n")
        found = json.loads(run("stack-env", "--json").stdout)
        assert found["problems"].keys() >= {"WHATSAPP_DB_PASSWORD"}
        assert found["advice"].keys() == {"WHATSAPP_CORE_URL"}

    def test_one_that_is_not_there_is_told(self) -> None:
        assert run("stack-env", "elsewhere.env").exit_code == ExitCode.USAGE
