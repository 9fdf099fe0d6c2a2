import multiprocessing
import os
import stat
from pathlib import Path

import msgspec
import pytest

from wagateway.domain.errors import Conflict, InvalidInput
from wagateway.entrypoints.secrets import GatewaySecrets, ensure_secrets, known_secrets
from wagateway.entrypoints.settings import Settings
from wagateway.entrypoints.strength import is_strong

NOTHING = Settings(data_dir=Path("unused"))
STRONG = "tQ3v9LxW0bZr7KfM2sYd"


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "some" / "data"


def test_missing_ones_are_made_once_and_kept(folder: Path) -> None:
    first = ensure_secrets(folder, NOTHING)
    assert first.generated == {"api_token", "webhook_token"}
    assert first.webhook_token is not None
    assert first.api_token != first.webhook_token
    assert is_strong(first.api_token)
    assert is_strong(first.webhook_token)
    again = ensure_secrets(folder, NOTHING)
    assert again.generated == set()
    assert (again.api_token, again.webhook_token) == (first.api_token, first.webhook_token)


def test_they_are_for_the_owner_alone(folder: Path) -> None:
    old = os.umask(0)
    try:
        made = ensure_secrets(folder, NOTHING)
    finally:
        os.umask(old)
    assert made.path == folder.resolve() / "secrets.json"
    assert mode(folder) == 0o700
    assert {mode(file) for file in folder.iterdir()} == {0o600}
    assert {file.name for file in folder.iterdir()} == {"secrets.json", "secrets.lock"}


def test_configured_ones_win_and_are_not_written(folder: Path) -> None:
    kept = ensure_secrets(folder, NOTHING)
    got = ensure_secrets(folder, Settings(api_token=STRONG))
    assert (got.api_token, got.webhook_token) == (STRONG, kept.webhook_token)
    assert STRONG not in (folder / "secrets.json").read_text()
    assert ensure_secrets(folder, NOTHING).api_token == kept.api_token


def test_one_that_is_missed_later_joins_the_kept_ones(folder: Path) -> None:
    first = ensure_secrets(folder, Settings(webhook_hmac_key=STRONG))
    assert first.generated == {"api_token"}
    assert first.webhook_token is None
    assert first.webhook_hmac_key == STRONG
    later = ensure_secrets(folder, NOTHING)
    assert later.generated == {"webhook_token"}
    assert later.api_token == first.api_token


@pytest.mark.parametrize("api_token", [None, STRONG + "a"])
def test_a_kept_webhook_token_goes_on_being_honoured_beside_a_key(
    folder: Path, api_token: str | None
) -> None:
    kept = ensure_secrets(folder, NOTHING)
    signed = ensure_secrets(folder, Settings(webhook_hmac_key=STRONG, api_token=api_token))
    assert (signed.webhook_token, signed.webhook_hmac_key) == (kept.webhook_token, STRONG)
    assert signed.generated == set()
    assert signed.path == kept.path


def test_a_configured_webhook_token_replaces_the_kept_one(folder: Path) -> None:
    ensure_secrets(folder, NOTHING)
    chosen = Settings(webhook_hmac_key=STRONG, webhook_token=STRONG + "w")
    assert ensure_secrets(folder, chosen).webhook_token == STRONG + "w"


def test_asking_for_the_known_ones_makes_none(folder: Path) -> None:
    assert known_secrets(folder, NOTHING) is None
    assert not folder.exists()
    made = ensure_secrets(folder, Settings(webhook_hmac_key=STRONG))
    assert known_secrets(folder, NOTHING) is None
    known = known_secrets(folder, Settings(webhook_hmac_key=STRONG))
    assert known is not None
    assert (known.api_token, known.webhook_token) == (made.api_token, None)
    assert "webhook_token" not in msgspec.json.decode((folder / "secrets.json").read_bytes())


def test_the_disk_is_not_touched_when_all_are_configured(folder: Path) -> None:
    got = ensure_secrets(folder, Settings(api_token=STRONG, webhook_token=STRONG + "w"))
    assert got == GatewaySecrets(
        api_token=STRONG, webhook_token=STRONG + "w", webhook_hmac_key=None
    )
    assert not folder.exists()


def test_none_shows_in_a_repr(folder: Path) -> None:
    got = ensure_secrets(folder, Settings(webhook_hmac_key=STRONG))
    assert got.api_token not in repr(got)
    assert STRONG not in repr(got)


def _start(folder: Path, barrier: object, answers: object) -> None:
    barrier.wait()  # type: ignore[attr-defined]  # multiprocessing's types are its context's
    answers.put(ensure_secrets(folder, NOTHING))  # type: ignore[attr-defined]


def test_processes_that_start_at_once_agree(folder: Path) -> None:
    context = multiprocessing.get_context("spawn")
    barrier, answers = context.Barrier(3), context.Queue()
    processes = [context.Process(target=_start, args=(folder, barrier, answers)) for _ in range(3)]
    for process in processes:
        process.start()
    got = [answers.get(timeout=60) for _ in processes]
    for process in processes:
        process.join()
    assert len({(s.api_token, s.webhook_token) for s in got}) == 1
    assert sum(bool(s.generated) for s in got) == 1


def test_a_draft_that_a_crash_left_is_no_obstacle(folder: Path) -> None:
    folder.mkdir(parents=True, mode=0o700)
    (folder / "secrets.json.new").write_text('{"api_to')
    made = ensure_secrets(folder, NOTHING)
    assert ensure_secrets(folder, NOTHING).api_token == made.api_token
    assert not (folder / "secrets.json.new").exists()


class TestRefusals:
    @pytest.mark.parametrize("bits", [0o640, 0o604, 0o660])
    def test_a_file_that_others_can_reach(self, folder: Path, bits: int) -> None:
        ensure_secrets(folder, NOTHING)
        (folder / "secrets.json").chmod(bits)
        with pytest.raises(InvalidInput, match=r"chmod 600 .*secrets\.json"):
            ensure_secrets(folder, NOTHING)

    @pytest.mark.parametrize("bits", [0o777, 0o770, 0o1777])
    def test_a_folder_that_others_can_write(self, folder: Path, bits: int) -> None:
        folder.mkdir(parents=True)
        folder.chmod(bits)
        with pytest.raises(InvalidInput, match="chmod 700"):
            ensure_secrets(folder, NOTHING)
        assert not list(folder.iterdir())

    @pytest.mark.parametrize("name", ["secrets.json", "secrets.lock"])
    def test_a_symbolic_link(self, folder: Path, tmp_path: Path, name: str) -> None:
        folder.mkdir(parents=True, mode=0o700)
        target = tmp_path / "elsewhere"
        target.write_text("{}")
        target.chmod(0o600)
        (folder / name).symlink_to(target)
        with pytest.raises(InvalidInput, match="symbolic link"):
            ensure_secrets(folder, NOTHING)
        assert target.read_text() == "{}"

    @pytest.mark.parametrize("name", ["secrets.json", "secrets.lock"])
    def test_a_second_name_of_a_file_elsewhere(
        self, folder: Path, tmp_path: Path, name: str
    ) -> None:
        ensure_secrets(folder, NOTHING)
        (tmp_path / "elsewhere").hardlink_to(folder / name)
        with pytest.raises(InvalidInput, match="not an ordinary file"):
            ensure_secrets(folder, NOTHING)

    def test_a_pipe_without_waiting_for_it(self, folder: Path) -> None:
        folder.mkdir(parents=True, mode=0o700)
        os.mkfifo(folder / "secrets.json", 0o600)
        with pytest.raises(InvalidInput, match="not an ordinary file"):
            ensure_secrets(folder, NOTHING)

    @pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")
    def test_a_file_of_another_user(self, folder: Path) -> None:
        ensure_secrets(folder, NOTHING)
        os.chown(folder / "secrets.json", 65534, 65534)
        with pytest.raises(InvalidInput, match="not an ordinary file of this user"):
            ensure_secrets(folder, NOTHING)

    @pytest.mark.parametrize(
        "content",
        [
            b"",
            b"{",
            b"[]",
            b"\xff",
            b'{"api_token": 1}',
            b'{"api_token": "weak"}',
            b'{"api_tokn": "tQ3v9LxW0bZr7KfM2sYd"}',
            b'{"api_token": "tQ3v9LxW0bZr7KfM2sYd"' + b" " * 70_000 + b"}",
        ],
    )
    def test_a_damaged_file(self, folder: Path, content: bytes) -> None:
        ensure_secrets(folder, NOTHING)
        (folder / "secrets.json").write_bytes(content)
        with pytest.raises(Conflict, match="put it back, or delete it") as caught:
            ensure_secrets(folder, NOTHING)
        assert "tQ3v9" not in str(caught.value)
        assert caught.value.__cause__ is None
        assert (folder / "secrets.json").read_bytes() == content

    def test_a_place_that_is_no_folder(self, tmp_path: Path) -> None:
        (tmp_path / "file").write_text("")
        with pytest.raises(InvalidInput, match="WHATSAPP_GATEWAY_API_TOKEN"):
            ensure_secrets(tmp_path / "file", NOTHING)


@pytest.mark.skipif(not Path("/sys/kernel").is_dir(), reason="no folder that refuses everybody")
def test_a_folder_of_somebody_else_is_told_with_its_owner(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 123_456_789)
    with pytest.raises(InvalidInput, match=r": /sys/kernel belongs to root \(user id 0\); choose"):
        ensure_secrets(Path("/sys/kernel/wagateway"), NOTHING)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")
def test_root_leaves_the_files_to_the_folders_owner(folder: Path) -> None:
    folder.mkdir(parents=True, mode=0o700)
    os.chown(folder, 65534, 65534)
    made = ensure_secrets(folder, NOTHING)
    assert {file.stat().st_uid for file in folder.iterdir()} == {65534}
    assert ensure_secrets(folder, NOTHING).api_token == made.api_token


def test_the_file_is_plain_json(folder: Path) -> None:
    made = ensure_secrets(folder, NOTHING)
    assert msgspec.json.decode((folder / "secrets.json").read_bytes()) == {
        "api_token": made.api_token,
        "webhook_token": made.webhook_token,
    }
