"""Session status, archived chats, calls and labels."""

import pytest
from tests.unit.adapters.waha.test_bodies import (
    ANA,
    ANA_LID,
    BUILT,
    GROUP,
    SENT,
    SENT_S,
    STANZA,
    Json,
    observed,
    said,
)

from wagateway.domain.events import (
    CallSeen,
    ChatChanged,
    IdentityLinked,
    LabelChanged,
    NotUnderstood,
    SessionChanged,
    SessionStatus,
)
from wagateway.domain.identity import Evidence

STARTING = SessionChanged(status=SessionStatus.STARTING, at=SENT)
WORKING = SessionChanged(status=SessionStatus.WORKING, at=BUILT)


def point(status: object, at: object = SENT_S * 1000) -> Json:
    return {"status": status, "timestamp": at}


@pytest.mark.parametrize("status", list(SessionStatus))
def test_every_status_is_known(status: SessionStatus) -> None:
    (found,) = said("session.status", {"name": "default", "status": status})
    assert found == SessionChanged(status=status, at=BUILT)


def test_old_versions_tell_the_current_status_alone() -> None:
    assert said("session.status", {"status": "WORKING"}) == [WORKING]


def test_statuses_come_with_their_own_times_and_end_in_the_current_one() -> None:
    points = [point("STARTING"), point("WORKING", BUILT.timestamp() * 1000)]
    payload = {"status": "WORKING", "statuses": points}
    assert said("session.status", payload) == [STARTING, WORKING]


def test_a_current_status_that_the_history_lacks_is_added() -> None:
    payload = {"status": "WORKING", "statuses": [point("STARTING")]}
    assert said("session.status", payload) == [STARTING, WORKING]


def test_duplicates_in_the_history_count_once() -> None:
    payload = {"status": "STARTING", "statuses": [point("STARTING"), point("STARTING")]}
    assert said("session.status", payload) == [STARTING]


def test_a_history_alone_is_enough() -> None:
    assert said("session.status", {"statuses": [point("STARTING")]}) == [STARTING]


@pytest.mark.parametrize("broken", [point("DANCING"), point(None), point("WORKING", None), None, 5])
def test_a_broken_status_spoils_no_other(broken: object) -> None:
    payload = {"status": "STARTING", "statuses": [broken, point("STARTING")]}
    first, second = said("session.status", payload)
    assert isinstance(first, NotUnderstood)
    assert second == STARTING


@pytest.mark.parametrize("payload", [{}, {"status": None}, {"status": "DANCING"}, {"status": []}])
def test_no_status_is_not_understood(payload: Json) -> None:
    (found,) = said("session.status", payload)
    assert isinstance(found, NotUnderstood)


@pytest.mark.parametrize("archived", [True, False])
def test_an_archived_chat(*, archived: bool) -> None:
    payload = {"id": ANA, "archived": archived, "timestamp": SENT_S}
    (found,) = said("chat.archive", payload)
    assert found == ChatChanged(chat=ANA, at=BUILT, archived=archived)


@pytest.mark.parametrize("payload", [{}, {"id": ANA}, {"id": "x", "archived": True}])
def test_an_archived_nothing_is_not_understood(payload: Json) -> None:
    (found,) = said("chat.archive", payload)
    assert isinstance(found, NotUnderstood)


@pytest.mark.parametrize("state", ["received", "accepted", "rejected"])
def test_a_call(state: str) -> None:
    payload = {
        "id": "CALL01",
        "from": ANA,
        "timestamp": SENT_S + 0.5,
        "isVideo": True,
        "isGroup": False,
    }
    (found,) = said(f"call.{state}", payload)
    assert found == CallSeen(
        call_id="CALL01",
        caller=ANA,
        state=state,
        at=SENT.replace(microsecond=500_000),
        video=True,
        group=False,
    )


@pytest.mark.parametrize(
    "payload",
    [
        {"id": "CALL01", "_data": {"From": ANA}},
        {"id": "CALL01", "_data": {"from": ANA}},
        {"from": ANA, "_data": {"CallID": "CALL01"}},
        {"id": {"remote": ANA, "id": "CALL01"}, "from": ANA},
    ],
)
def test_a_call_may_be_told_by_the_engine_data(payload: Json) -> None:
    (found,) = said("call.received", payload)
    assert isinstance(found, CallSeen)
    assert (found.call_id, found.caller, found.at) == ("CALL01", ANA, BUILT)


def test_a_call_links_its_creator() -> None:
    data = {"CallCreator": ANA_LID, "CallCreatorAlt": "5511911110001@s.whatsapp.net"}
    _, link = observed("call.rejected", {"id": "CALL01", "from": ANA_LID, "_data": data})
    assert link == IdentityLinked(lid=ANA_LID, phone=ANA, evidence=Evidence.ALTERNATIVE)


@pytest.mark.parametrize("payload", [{}, {"id": "CALL01"}, {"from": ANA}, {"id": "", "from": ANA}])
def test_a_call_of_nobody_is_not_understood(payload: Json) -> None:
    (found,) = said("call.received", payload)
    assert isinstance(found, NotUnderstood)


@pytest.mark.parametrize(
    ("event", "payload", "label"),
    [
        (
            "label.upsert",
            {"id": "10", "name": "Lead", "color": 1},
            LabelChanged(label_id="10", change="upsert", name="Lead"),
        ),
        ("label.deleted", {"id": 10}, LabelChanged(label_id="10", change="deleted")),
        (
            "label.chat.added",
            {"labelId": "10", "chatId": ANA, "label": {"id": "10", "name": "Lead"}},
            LabelChanged(label_id="10", change="chat.added", name="Lead", chat=ANA),
        ),
        (
            "label.chat.deleted",
            {"labelId": 10, "chatId": GROUP, "label": None},
            LabelChanged(label_id="10", change="chat.deleted", chat=GROUP),
        ),
    ],
)
def test_labels(event: str, payload: Json, label: LabelChanged) -> None:
    assert said(event, payload) == [label]


@pytest.mark.parametrize(
    ("event", "payload"),
    [
        ("label.upsert", {}),
        ("label.upsert", {"id": 10**400}),
        ("label.upsert", {"id": True}),
        ("label.deleted", {"name": "x"}),
        ("label.chat.added", {"labelId": "1"}),
        ("label.chat.added", {"chatId": ANA}),
        ("label.chat.added", {"labelId": "1", "chatId": STANZA}),
    ],
)
def test_a_label_of_nothing_is_not_understood(event: str, payload: Json) -> None:
    (found,) = said(event, payload)
    assert isinstance(found, NotUnderstood)
