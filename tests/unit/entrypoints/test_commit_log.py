import msgspec
import pytest
from structlog.testing import capture_logs
from tests.support.deliveries import SESSION, delivery, seen
from tests.unit.entrypoints.test_containers import BODY

from wagateway.domain.events import Delivery, NotUnderstood, Outcome, Recorded
from wagateway.entrypoints.commit_log import log_commit
from wagateway.entrypoints.containers import open_services
from wagateway.entrypoints.settings import Settings
from wagateway.usecases.group_commit import Commit

FAILED = Recorded(outcome=Outcome.FAILED, reason="message: expected an id")
STORED = Recorded(outcome=Outcome.STORED)


def unread(envelope_id: str | None) -> Delivery:
    told = delivery(NotUnderstood(reason="no id"), event="message", body=b"segredo")
    return msgspec.structs.replace(told, envelope_id=envelope_id)


def commit(*pairs: tuple[Delivery, Recorded]) -> Commit:
    return Commit(
        deliveries=[each for each, _ in pairs],
        recorded=[told for _, told in pairs],
        duration_s=0.1,
    )


def test_what_went_well_is_not_logged() -> None:
    with capture_logs() as logs:
        log_commit(commit((delivery(seen()), STORED)))
    assert logs == []


def test_what_could_not_be_archived_is_found_by_its_id() -> None:
    with capture_logs() as logs:
        log_commit(commit((delivery(seen()), STORED), (unread("evt_01abc"), FAILED)))
    assert logs == [
        {
            "event": "delivery_not_archived",
            "log_level": "warning",
            "session": SESSION,
            "family": "not_understood",
            "event_id": "evt_01abc",
            "reason": "message: expected an id",
        }
    ]


@pytest.mark.parametrize("hostile", [None, "", "5511987650102@c.us", "a b", "x\n", "a" * 65])
def test_an_id_that_is_none_is_not_logged(hostile: str | None) -> None:
    with capture_logs() as logs:
        log_commit(commit((unread(hostile), FAILED)))
    assert [log["event_id"] for log in logs] == [None]
    assert "segredo" not in str(logs)


def test_of_a_flood_a_few_lines_say_what_it_is() -> None:
    with capture_logs() as logs:
        log_commit(commit(*[(unread(f"evt_{n}"), FAILED) for n in range(500)]))
    assert len(logs) == 6
    assert (logs[-1]["event"], logs[-1]["deliveries"]) == ("more_not_archived", 495)


def test_a_group_that_was_not_written_is_logged() -> None:
    with capture_logs() as logs:
        log_commit(Commit(deliveries=[delivery(seen())] * 3, recorded=None, duration_s=6.0))
    told = {"event": "group_not_written", "log_level": "warning", "deliveries": 3, "ms": 6000.0}
    assert logs == [told]


async def test_the_services_log_it_by_themselves() -> None:
    told: list[Commit] = []
    with capture_logs() as logs:
        async with open_services(Settings.in_memory(), committed=told.append) as services:
            await services.ingest(BODY)
            await services.ingest(b'{"event":"message","session":"vendas","payload":[]}')
    assert [log["event"] for log in logs] == ["delivery_not_archived"]
    assert len(told) == 2
