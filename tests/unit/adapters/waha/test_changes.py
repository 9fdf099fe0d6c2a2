"""Edits and revocations: new events, old body-less messages, browser engines' way."""

from datetime import UTC, datetime

import pytest
from tests.unit.adapters.waha.test_bodies import (
    ANA,
    BIA,
    BUILT,
    BUILT_MS,
    CHANNEL,
    GROUP,
    ME,
    SENT,
    SENT_S,
    STANZA,
    Json,
    bare,
    gows,
    noweb,
    observed,
    said,
    webjs,
)

from wagateway.domain.events import (
    AnyObservation,
    ContactSeen,
    MessageEdited,
    MessageRevoked,
    MessageSeen,
    NotUnderstood,
)
from wagateway.domain.identity import MessageRef, StanzaId
from wagateway.domain.messages import Completeness, Kind

TARGET = StanzaId("TARGET01")
EDITED_MS = SENT_S * 1000 + 5000
EDITED_AT = datetime(2027, 1, 15, 8, 0, 5, tzinfo=UTC)
KEY = {"remoteJid": ANA, "fromMe": False, "id": TARGET}
GO_KEY = {"remoteJID": ANA, "fromMe": False, "ID": TARGET}
NEW = {"conversation": "new"}


def edit(payload: Json, event: str = "message.edited", **over: object) -> MessageEdited:
    (found,) = said(event, payload, **over)
    assert isinstance(found, MessageEdited)
    return found


def revoke(payload: Json, event: str = "message.revoked", **over: object) -> MessageRevoked:
    (found,) = said(event, payload, **over)
    assert isinstance(found, MessageRevoked)
    return found


def protocol(type_: object = "MESSAGE_EDIT", **over: object) -> Json:
    return {"protocolMessage": {"key": KEY, "type": type_} | over}


def test_an_edit_that_has_an_id_of_its_own() -> None:
    found = edit(bare(body="new", editedMessageId=TARGET))
    assert found.ref == MessageRef(chat=ANA, stanza=TARGET, from_me=False)
    assert (found.edit_id, found.edited_at, found.text) == (STANZA, SENT, "new")


@pytest.mark.parametrize("id_", [TARGET, f"false_{ANA}_{TARGET}", {"remote": ANA, "id": TARGET}])
def test_the_edited_id_may_be_bare_or_whole(id_: object) -> None:
    assert edit(bare(body="new", editedMessageId=id_)).ref.stanza == TARGET


@pytest.mark.parametrize(
    "payload",
    [
        noweb({"editedMessage": {"message": protocol(timestampMs=str(EDITED_MS))}}),
        noweb(protocol(14, timestampMs=EDITED_MS)),
        gows({"protocolMessage": {"key": GO_KEY, "type": 14, "timestampMS": EDITED_MS}}),
    ],
)
def test_the_time_and_target_of_an_edit_from_the_engine_data(payload: Json) -> None:
    found = edit(payload | {"body": "new"})
    assert (found.ref.stanza, found.edit_id, found.edited_at) == (TARGET, STANZA, EDITED_AT)


@pytest.mark.parametrize(
    ("body", "new", "text"),
    [
        ("body", NEW, "body"),
        (None, NEW, "new"),
        (None, {"imageMessage": {"caption": "cap"}}, "cap"),
        ("", None, None),
        (None, None, None),
    ],
)
def test_the_new_text(body: object, new: object, text: str | None) -> None:
    payload = noweb(protocol(editedMessage=new), body=body, editedMessageId=TARGET)
    assert edit(payload).text == text


@pytest.mark.parametrize(
    "data",
    [
        {"message": {"_data": {"type": "chat", "latestEditSenderTimestampMs": EDITED_MS}}},
        {"type": "chat", "latestEditSenderTimestampMs": EDITED_MS},
        {"message": {"latestEditSenderTimestampMs": EDITED_MS}, "newBody": "new"},
    ],
)
def test_a_browser_edit_stands_under_the_original_id(data: Json) -> None:
    payload = bare(body="new", editedMessageId=STANZA, _data=data)
    found = edit(payload, engine="WEBJS")
    assert (found.ref.stanza, found.edit_id) == (STANZA, str(EDITED_MS))
    assert found.edited_at == EDITED_AT


def test_a_browser_edit_without_a_time_happened_when_the_event_was_built() -> None:
    found = edit(bare(body="new", editedMessageId=STANZA), engine="WEBJS")
    assert (found.edit_id, found.edited_at) == (str(BUILT_MS), BUILT)


def test_a_browser_edit_without_a_target_is_of_its_own_id() -> None:
    assert edit(webjs({"type": "chat"}, body="new")).ref.stanza == STANZA


@pytest.mark.parametrize("target", [None, "", "A" * 513])
def test_an_edit_of_nothing_is_not_understood(target: object) -> None:
    (found,) = said("message.edited", bare(body="new", editedMessageId=target))
    assert isinstance(found, NotUnderstood)


def test_the_editor_in_a_group_is_told() -> None:
    found = edit(bare(GROUP, author=ANA, body="new", editedMessageId=TARGET))
    assert found.ref == MessageRef(chat=GROUP, stanza=TARGET, from_me=False, participant=ANA)


@pytest.mark.parametrize("event", ["message", "message.any"])
@pytest.mark.parametrize(
    "content",
    [
        protocol(editedMessage=NEW, timestampMs=EDITED_MS),
        protocol(14, editedMessage=NEW, timestampMs=EDITED_MS),
        {
            "editedMessage": {
                "message": protocol(editedMessage=NEW, timestampMs={"low": EDITED_MS & 0xFFFFFFFF})
            }
        },
    ],
)
def test_old_versions_send_an_edit_as_a_message(content: Json, event: str) -> None:
    found = edit(noweb(content), event)
    assert (found.ref.stanza, found.edit_id, found.text) == (TARGET, STANZA, "new")


@pytest.mark.parametrize("event", ["message", "message.any"])
@pytest.mark.parametrize("type_", ["REVOKE", 0, "revoke"])
def test_old_versions_send_a_revocation_as_a_message(type_: object, event: str) -> None:
    found = revoke(noweb(protocol(type_)), event)
    assert found.ref == MessageRef(chat=ANA, stanza=TARGET, from_me=False)
    assert (found.revoked_at, found.revoked_by) == (SENT, ANA)


def test_a_printer_may_leave_out_the_default_type() -> None:
    assert revoke(noweb({"protocolMessage": {"key": KEY}}), "message").ref.stanza == TARGET


def test_a_protocol_message_of_another_type_is_no_change() -> None:
    contents: list[Json] = [protocol(3), protocol("REVOKE", key=None), {"protocolMessage": {}}]
    for content in contents:
        (found,) = said("message", noweb(content))
        assert isinstance(found, MessageSeen)
        assert found.message.kind is Kind.SYSTEM


@pytest.mark.parametrize(
    ("after", "ref", "by"),
    [
        (bare(), MessageRef(chat=ANA, stanza=TARGET, from_me=False), ANA),
        (bare(mine=True), MessageRef(chat=ANA, stanza=TARGET, from_me=True), ME),
        (
            bare(GROUP, author=BIA),
            MessageRef(chat=GROUP, stanza=TARGET, from_me=False, participant=BIA),
            BIA,
        ),
        (bare(GROUP, mine=True), MessageRef(chat=GROUP, stanza=TARGET, from_me=True), ME),
        (bare(CHANNEL), MessageRef(chat=CHANNEL, stanza=TARGET, from_me=False), None),
    ],
)
def test_who_deleted(after: Json, ref: MessageRef, by: str | None) -> None:
    found = revoke({"after": after, "before": None, "revokedMessageId": TARGET})
    assert (found.ref, found.revoked_by, found.revoked_at) == (ref, by, SENT)


@pytest.mark.parametrize(
    "payload",
    [
        {"after": noweb(protocol("REVOKE")), "before": None},
        {"after": gows({"protocolMessage": {"key": GO_KEY, "type": 0}})},
        {"after": None, "_data": noweb(protocol("REVOKE"))["_data"]},
        {"after": bare(), "before": bare() | {"id": f"false_{ANA}_{TARGET}"}},
        {"after": webjs({"type": "revoked", "protocolMessageKey": {"id": TARGET}})},
        {"after": webjs({"type": "revoked"}, id=f"false_{ANA}_{TARGET}")},
    ],
)
def test_the_deleted_id_is_found_elsewhere_too(payload: Json) -> None:
    assert revoke(payload).ref.stanza == TARGET


def test_what_was_deleted_is_seen_first() -> None:
    before = bare(body="secret", ack=3) | {"id": f"false_{ANA}_{TARGET}"}
    after = bare(timestamp=SENT_S + 5)
    first, second = said(
        "message.revoked", {"after": after, "before": before, "revokedMessageId": TARGET}
    )
    assert isinstance(first, MessageSeen)
    assert (first.message.text, first.ref.stanza) == ("secret", TARGET)
    assert isinstance(second, MessageRevoked)
    assert second.revoked_at == EDITED_AT


@pytest.mark.parametrize("before", [None, {}, [], "x", bare(), webjs({"type": "revoked"})])
def test_a_shell_of_what_was_deleted_is_not_a_message(before: object) -> None:
    found = revoke({"after": bare(), "before": before, "revokedMessageId": TARGET})
    assert found.ref.stanza == TARGET


def test_a_broken_copy_does_not_cost_the_deletion() -> None:
    payload = {"after": bare(), "before": {"body": "x"}, "revokedMessageId": TARGET}
    first, second = said("message.revoked", payload)
    assert isinstance(first, NotUnderstood)
    assert isinstance(second, MessageRevoked)


def test_without_the_deletions_own_message_nobody_is_blamed() -> None:
    payload = {"after": None, "before": bare(body="x"), "revokedMessageId": None}
    _, found = said("message.revoked", payload)
    ref = MessageRef(chat=ANA, stanza=StanzaId(STANZA), from_me=False)
    assert found == MessageRevoked(ref=ref, revoked_at=BUILT)


@pytest.mark.parametrize("payload", [{}, {"revokedMessageId": TARGET}, {"after": bare()}])
def test_a_deletion_of_nothing_known_is_not_understood(payload: Json) -> None:
    (found,) = said("message.revoked", payload)
    assert isinstance(found, NotUnderstood)


@pytest.mark.parametrize(
    ("data", "chat", "mine", "by"),
    [
        ({}, ANA, False, ANA),
        ({"revokeSender": {"user": "5511922220002", "server": "c.us"}}, GROUP, False, BIA),
        ({"revokeSender": ME}, GROUP, True, ME),
    ],
)
def test_browser_engines_show_a_tombstone_in_the_messages_place(
    data: Json, chat: str, by: str, *, mine: bool
) -> None:
    payload = webjs({"type": "revoked", "author": ANA} | data, chat)
    found = revoke(payload, "message.any", engine="WEBJS")
    assert (found.ref.stanza, found.ref.from_me, found.revoked_by) == (STANZA, mine, by)
    assert found.revoked_at == BUILT  # it has the time of the message, not of the deletion


def test_a_listed_deletion_that_stands_by_itself_has_its_own_time() -> None:
    key = {"type": "revoked", "protocolMessageKey": {"id": TARGET}}
    for payload in (webjs(key), gows({"protocolMessage": {"key": GO_KEY, "type": 0}})):
        found = revoke(payload, "sync.message")
        assert (found.ref.stanza, found.revoked_at) == (TARGET, SENT)


NEW_CAPTION = {"imageMessage": {"mimetype": "image/jpeg", "caption": "new"}}


@pytest.mark.parametrize("content", [NEW, NEW_CAPTION, {"ephemeralMessage": {"message": NEW}}])
def test_an_edited_message_that_noweb_lists_is_an_edit_too(content: Json) -> None:
    payload = noweb({"editedMessage": {"message": content}}, body="new")
    first, second = said("sync.message", payload)
    assert isinstance(first, MessageSeen)
    assert first.message.completeness is Completeness.PARTIAL
    assert second == MessageEdited(
        ref=first.ref, edit_id=StanzaId(str(SENT_S * 1000)), edited_at=SENT, text="new"
    )


@pytest.mark.parametrize(
    "payload",
    [
        noweb(NEW, body="new"),
        noweb({"ephemeralMessage": {"message": NEW}}, body="new"),
        gows(NEW, body="new"),
        webjs({"type": "chat"}, body="new"),
    ],
)
def test_no_edit_is_made_up_where_the_list_has_no_mark(payload: Json) -> None:
    (found,) = said("sync.message", payload)
    assert isinstance(found, MessageSeen)
    assert found.message.completeness is Completeness.FULL


def test_a_listed_edit_that_stands_by_itself_is_the_one_that_its_event_told() -> None:
    change = protocol(editedMessage=NEW, timestampMs=EDITED_MS)
    for content in (change, {"editedMessage": {"message": change}}):
        assert edit(noweb(content), "sync.message") == edit(noweb(content), "message")


def test_an_edited_message_that_a_browser_shows_is_an_edit_too() -> None:
    data = {"type": "chat", "latestEditSenderTimestampMs": EDITED_MS}
    first, second = said("message.any", webjs(data, body="new"), engine="WEBJS")
    assert isinstance(first, MessageSeen)
    assert first.message.completeness is Completeness.PARTIAL
    assert second == edit(bare(body="new", editedMessageId=STANZA, _data=data), engine="WEBJS")


def test_changes_teach_the_name_of_who_made_them() -> None:
    payload = noweb(protocol("REVOKE"))
    payload["_data"]["pushName"] = "Ana"
    wanted: list[AnyObservation] = [ContactSeen(contact=ANA, push_name="Ana", at=BUILT)]
    assert observed("message", payload)[1:] == wanted
    assert observed("message.edited", payload | {"editedMessageId": TARGET})[1:] == wanted
    assert observed("message.revoked", {"after": payload})[1:] == wanted
