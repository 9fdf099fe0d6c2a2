"""``wagateway worker``: what it does by its settings, what it does not, what it says of both."""

import pytest
from structlog.testing import capture_logs

from wagateway.domain.errors import InvalidInput, Rejected
from wagateway.entrypoints.cli.worker import log_duties, require_work
from wagateway.entrypoints.duties import duties
from wagateway.entrypoints.settings import Settings

URL = "postgresql://somewhere/archive"
ENGINE = "http://127.0.0.1:3311"
IDLE = Settings(database_url=URL, spool="off")


def done(settings: Settings) -> list[str]:
    return [duty.name for duty in duties(settings) if duty.why_not is None]


def test_does_what_the_settings_ask_for() -> None:
    assert done(IDLE) == []
    assert done(Settings(database_url=URL)) == ["spool"]
    assert done(Settings(database_url=URL, engine_url=ENGINE)) == ["sync", "media", "spool"]
    alone = {"database_url": URL, "spool": "off", "engine_url": ENGINE}
    assert done(Settings(**alone, media_enabled=False)) == ["sync"]  # type: ignore[arg-type]
    assert done(Settings(**alone, sync_enabled=False)) == ["media"]  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("other", "name"),
    [
        ({"retention_days": 30}, "retention"),
        ({"event_log_retention_days": 30}, "retention"),
        ({"backup_every_hours": 24, "backup_dir": "/backups"}, "backups"),
        ({"spool": "filesystem"}, "spool"),
    ],
)
def test_other_work_needs_no_engine(other: dict[str, object], name: str) -> None:
    settings = Settings(**{"database_url": URL, "spool": "off"} | other)  # type: ignore[arg-type]
    require_work(settings)
    assert done(settings) == [name]


def test_refuses_to_idle_and_says_what_is_missing() -> None:
    with pytest.raises(InvalidInput, match="WHATSAPP_CORE_URL"):
        require_work(IDLE)
    off = Settings(database_url=URL, spool="off", sync_enabled=False, media_enabled=False)
    with pytest.raises(Rejected, match="WHATSAPP_MEDIA_ENABLED is false") as refused:
        require_work(off)
    assert "WHATSAPP_RETENTION_DAYS" in str(refused.value)


def test_says_in_the_log_what_it_does_and_warns_of_what_is_missing() -> None:
    with capture_logs() as logs:
        log_duties(Settings(database_url=URL, retention_days=30, media_enabled=False))
    works, *left = logs
    assert (works["event"], works["does"]) == ("works", ["retention", "spool"])
    assert [(log["what"], log["log_level"]) for log in left] == [
        ("sync", "warning"),
        ("media", "info"),
        ("backups", "info"),
    ]
    assert left[0]["reason"] == "WHATSAPP_CORE_URL is not set"
