"""What single engines and versions do differently from what their other events promise."""

from datetime import UTC, datetime

import pytest
from tests.unit.adapters.waha.test_bodies import (
    ANA,
    ANA_LID,
    BIA,
    BUILT,
    CHANNEL,
    GROUP,
    ME,
    MY_LID,
    RECEIVED,
    SENT,
    SENT_S,
    STANZA,
    Json,
    bare,
    gows,
    message,
    noweb,
    observed,
    said,
    seen,
    webjs,
)

from wagateway.domain.events import (
    AckAdvanced,
    ContactSeen,
    GroupChanged,
    IdentityLinked,
    MessageEdited,
    MessageRevoked,
    NotArchived,
    PollVoted,
)
from wagateway.domain.identity import Evidence, Jid
from wagateway.domain.messages import Ack, Kind

THUMBNAIL = "/9j/4AAQSkZJRgABAQAAAQABAAD"
EDITED_MS = SENT_S * 1000 + 7000
EDITED_AT = datetime(2027, 1, 15, 8, 0, 7, tzinfo=UTC)


def links(event: str, payload: Json, **over: object) -> set[tuple[str, str]]:
    return {
        (each.lid, each.phone)
        for each in observed(event, payload, **over)
        if isinstance(each, IdentityLinked)
    }


# ── Deletions ───────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(("chat", "author"), [(ANA, None), (GROUP, BIA)])
def test_wpp_gives_only_the_keys_of_a_deletion(chat: Jid, author: Jid | None) -> None:
    def key(stanza: str) -> Json:
        return {"fromMe": False, "id": stanza, "remoteJid": chat, "participant": author}

    payload = {"revokedMessageId": "TARGET01", "before": key("TARGET01"), "after": key("REVOKE01")}
    (found,) = said("message.revoked", payload, engine="WPP")
    assert isinstance(found, MessageRevoked)
    assert (found.ref.chat, found.ref.stanza, found.ref.from_me) == (chat, "TARGET01", False)
    assert (found.ref.participant, found.revoked_by) == (author, author or chat)


def test_in_a_direct_chat_only_the_author_can_delete() -> None:
    """Where ``me`` has no LID yet, my own LID as the remover would be taken for a stranger."""
    data = {"type": "revoked", "revokeSender": MY_LID}
    payload = {"revokedMessageId": STANZA, "before": None, "after": webjs(data, mine=True)}
    (found,) = said("message.revoked", payload, engine="WEBJS", me={"id": ME})
    assert isinstance(found, MessageRevoked)
    assert (found.ref.from_me, found.revoked_by) == (True, ME)


def test_a_deletion_in_the_message_s_place_has_not_the_message_s_time() -> None:
    payload = {
        "revokedMessageId": STANZA,
        "before": webjs({"body": "oi"}, body="oi"),
        "after": webjs({"type": "revoked"}),
    }
    *_, found = said("message.revoked", payload, engine="WEBJS")
    assert isinstance(found, MessageRevoked)
    assert found.revoked_at == BUILT


# ── Acks ────────────────────────────────────────────────────────────────────────────────────────


def group_ack(**over: object) -> AckAdvanced:
    payload = {"id": f"true_{GROUP}_{STANZA}_{ME}", "participant": BIA, "fromMe": True, "ack": 3}
    found = said("message.ack.group", payload | over)[0]
    assert isinstance(found, AckAdvanced)
    return found


def test_the_id_tells_whose_message_an_ack_is_of() -> None:
    assert group_ack(fromMe=False).ref.from_me
    assert group_ack(fromMe=False).recipient == BIA
    incoming = group_ack(id=f"false_{GROUP}_{STANZA}_{BIA}", fromMe=True)
    assert (incoming.ref.from_me, incoming.recipient) == (False, None)


def test_the_author_is_no_recipient() -> None:
    own = {"id": f"true_{GROUP}_{STANZA}_{MY_LID}", "participant": MY_LID}
    payload = own | {"fromMe": True, "ack": 3}
    (found,) = said("message.ack.group", payload, engine="WPP", me={"id": ME})
    assert isinstance(found, AckAdvanced)
    assert found.recipient is None


def test_what_a_group_member_received_is_delivered_whatever_it_is_called() -> None:
    receipt = {"key": {"id": STANZA}, "receipt": {"userJid": BIA, "receiptTimestamp": SENT_S}}
    found = group_ack(ack=1, ackName="SERVER", _data=receipt)
    assert (found.ack, found.at) == (Ack.DEVICE, SENT)
    assert group_ack(ack=1, ackName="SERVER").ack is Ack.SERVER


# ── Texts that are none ─────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("kind", ["image", "video", "sticker", "location"])
def test_the_thumbnail_of_a_quoted_message_is_not_its_text(kind: str) -> None:
    quoted = {"type": kind, "body": THUMBNAIL}
    reply = {"id": "QUOTED01", "participant": ANA, "body": THUMBNAIL, "_data": quoted}
    for data in ({"quotedStanzaID": "QUOTED01", "quotedMsg": quoted}, {}):
        found = message(webjs({"body": "sim"} | data, body="sim", replyTo=reply), engine="WEBJS")
        assert found.reply_to
        assert (found.reply_to.id, found.reply_to.text) == ("QUOTED01", None)


def test_the_caption_of_a_quoted_picture_is_its_text() -> None:
    quoted = {"type": "image", "body": THUMBNAIL, "caption": "a praia"}
    reply = {"id": "QUOTED01", "body": "a praia", "_data": quoted}
    found = message(webjs({"quotedMsg": quoted}, body="sim", replyTo=reply), engine="WEBJS")
    assert found.reply_to
    assert found.reply_to.text == "a praia"


def test_a_preview_that_loads_is_no_edit() -> None:
    payload = webjs({"type": "image", "body": THUMBNAIL}, body=THUMBNAIL, editedMessageId=STANZA)
    (found,) = said("message.edited", payload, engine="WEBJS")
    assert isinstance(found, NotArchived)


def test_an_edited_caption_is_told_beside_the_thumbnail() -> None:
    data = {"type": "image", "body": THUMBNAIL, "caption": "nova", "latestEditSenderTimestampMs": 0}
    data["latestEditSenderTimestampMs"] = EDITED_MS
    payload = webjs(data, body=THUMBNAIL, editedMessageId=STANZA)
    (found,) = said("message.edited", payload, engine="WEBJS")
    assert isinstance(found, MessageEdited)
    assert (found.text, found.edited_at) == ("nova", EDITED_AT)


@pytest.mark.parametrize("name", ["-", ""])
def test_a_dash_is_nobody_s_name(name: str) -> None:
    told = gows({"conversation": "oi"}, info={"PushName": name}, body="oi")
    assert message(told, engine="GOWS").sender_name is None
    assert not [e for e in observed("message", told) if isinstance(e, ContactSeen)]


def test_a_business_has_a_verified_name() -> None:
    verified = {"VerifiedName": {"Details": {"verifiedName": "Loja da Ana"}}}
    told = gows({"conversation": "oi"}, info={"PushName": ""} | verified)
    assert message(told, engine="GOWS").sender_name == "Loja da Ana"


# ── Edits ───────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("shape", ["array", "object"])
def test_wpp_hides_the_edited_message_among_others(shape: str) -> None:
    raw = {"id": f"false_{ANA}_{STANZA}", "type": "chat", "body": "novo", "t": SENT_S}
    raw |= {"latestEditSenderTimestampMs": EDITED_MS}
    data = [ANA, raw["id"], raw] if shape == "array" else {"chat": ANA, "id": raw["id"], "msg": raw}
    over = {"id": f"false_{ANA}_EDIT01", "body": "novo", "editedMessageId": STANZA, "_data": data}
    (found,) = said("message.edited", bare() | over, engine="WPP")
    assert isinstance(found, MessageEdited)
    assert (found.ref.stanza, found.text, found.edited_at) == (STANZA, "novo", EDITED_AT)


def test_a_wpp_edit_without_a_time_happened_when_it_was_told() -> None:
    raw = {"id": f"false_{ANA}_{STANZA}", "type": "chat", "body": "novo", "t": SENT_S}
    over = {"id": f"false_{ANA}_EDIT01", "body": "novo", "editedMessageId": STANZA, "_data": raw}
    (found,) = said("message.edited", bare() | over, engine="WPP")
    assert isinstance(found, MessageEdited)
    assert found.edited_at == BUILT


@pytest.mark.parametrize("kind", ["MESSAGE_EDIT", 2])
def test_an_encrypted_edit_is_an_edit_that_cannot_be_read(kind: object) -> None:
    target = {"remoteJid": ANA, "fromMe": False, "id": "TARGET01"}
    told = noweb({"secretEncryptedMessage": {"targetMessageKey": target, "secretEncType": kind}})
    (found,) = said("message.any", told)
    assert isinstance(found, MessageEdited)
    assert (found.ref.stanza, found.text) == ("TARGET01", None)


def test_another_encrypted_change_is_no_message() -> None:
    told = noweb({"secretEncryptedMessage": {"targetMessageKey": {"id": "T"}, "secretEncType": 1}})
    (found,) = said("message.any", told)
    assert isinstance(found, NotArchived)


def test_an_edited_post_of_a_channel_comes_as_the_post_again() -> None:
    told = gows({"conversation": "nova"}, CHANNEL, body="nova")
    told["_data"] |= {"IsEdit": True, "NewsletterMeta": {"EditTS": EDITED_MS}}
    (found,) = said("message.any", told, engine="GOWS")
    assert isinstance(found, MessageEdited)
    assert (found.ref.stanza, found.text, found.edited_at) == (STANZA, "nova", EDITED_AT)


# ── Ids and addresses ───────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("suffix", ["_out", "_in"])
def test_the_chat_with_oneself_marks_its_ids(suffix: str) -> None:
    told = webjs({"body": "lembrete"}, ME, mine=True, id=f"true_{ME}_{STANZA}{suffix}")
    assert seen(told, engine="WPP").ref.stanza == STANZA


@pytest.mark.parametrize("end", ["_out", "_in", "_x@y"])
def test_others_ids_may_end_as_they_like(end: str) -> None:
    """Else a sender could hide a message behind an earlier one."""
    told = noweb({"conversation": "oi"}, id=f"false_{ANA}_{STANZA}{end}", body="oi")
    told["_data"]["key"]["id"] = STANZA + end
    assert seen(told).ref.stanza == STANZA + end


def test_an_edit_is_not_later_than_its_delivery() -> None:
    key = {"remoteJid": ANA, "fromMe": False, "id": "TARGET01"}
    far = {"type": "MESSAGE_EDIT", "key": key, "timestampMs": 9_999_999_999_000}
    told = noweb({"protocolMessage": far | {"editedMessage": {"conversation": "x"}}})
    (found,) = said("message.edited", told | {"editedMessageId": "TARGET01"})
    assert isinstance(found, MessageEdited)
    assert found.edited_at == RECEIVED


def test_addresses_may_stand_one_level_deeper() -> None:
    told = webjs(
        {"mentionedJidList": [{"$1": ANA}, {"$1": {"user": "5511922220002", "server": "c.us"}}]}
    )
    assert message(told, engine="WEBJS").mentions == (ANA, BIA)


def test_a_bot_writes_in_its_own_name() -> None:
    bot = Jid("13135550002@bot")
    found = message(webjs({"body": "oi"}, bot, body="oi"), engine="WEBJS")
    assert found.sender == bot


def test_a_hosted_address_loses_its_device() -> None:
    data = {"key": {"remoteJid": GROUP, "id": STANZA, "participant": "5511922220002:99@hosted"}}
    told = bare(
        GROUP, id=f"false_{GROUP}_{STANZA}", _data=data | {"message": {"conversation": "x"}}
    )
    assert seen(told).ref.participant == "5511922220002@hosted"


def test_my_vote_under_my_lid_is_mine() -> None:
    poll = {"id": f"true_{GROUP}_{STANZA}_{ME}"}
    vote = {"id": f"false_{GROUP}_V1_{MY_LID}", "participant": MY_LID, "fromMe": False}
    vote |= {"selectedOptions": ["a"], "timestamp": EDITED_MS}
    (found,) = said("poll.vote", {"poll": poll, "vote": vote}, engine="WEBJS")
    assert isinstance(found, PollVoted)
    assert (found.from_me, found.voter) == (True, None)


# ── Links that engines give in passing ──────────────────────────────────────────────────────────


def test_members_of_a_group_addressed_by_phone_have_their_lid_beside() -> None:
    participant = {"id": ANA, "lid": ANA_LID, "role": "participant"}
    payload = {"group": {"id": GROUP}, "type": "join", "participants": [participant]}
    assert links("group.v2.participants", payload) == {(ANA_LID, ANA)}


@pytest.mark.parametrize(
    "data",
    [
        {"author": ANA_LID, "authorPn": ANA},
        {"owner": ANA_LID, "ownerPn": ANA},
        {"Sender": ANA_LID, "SenderPN": ANA},
        {"OwnerJID": ANA_LID, "OwnerPN": ANA},
    ],
)
def test_who_changed_a_group_has_a_phone_beside(data: Json) -> None:
    payload = {"group": {"id": GROUP, "subject": "novo"}, "_data": data}
    assert links("group.v2.update", payload) == {(ANA_LID, ANA)}


def test_a_caller_has_a_phone_beside() -> None:
    payload = {"id": "C1", "from": ANA_LID, "_data": {"from": ANA_LID, "callerPn": ANA}}
    assert links("call.received", payload) == {(ANA_LID, ANA)}


def test_a_receipt_s_key_has_a_phone_beside() -> None:
    key = {"remoteJid": GROUP, "id": STANZA, "participant": ANA_LID, "participantAlt": ANA}
    payload = {"id": f"true_{GROUP}_{STANZA}", "participant": ANA_LID, "ack": 3}
    assert links("message.ack.group", payload | {"_data": {"key": key}}) == {(ANA_LID, ANA)}


# ── Files ───────────────────────────────────────────────────────────────────────────────────────


def test_beside_media_the_old_url_says_nothing() -> None:
    media = {"url": None, "mimetype": "image/jpeg", "filename": None}
    encrypted = "https://mmg.whatsapp.net/enc"
    told = webjs({"type": "image"}, hasMedia=True, media=media, mediaUrl=encrypted)
    assert seen(told, engine="WPP").offer is None


PICTURE = {"fileLength": "9", "width": 3}


@pytest.mark.parametrize(
    "content",
    [
        {"buttonsMessage": {"contentText": "x", "imageMessage": PICTURE}},
        {"interactiveMessage": {"header": {"imageMessage": PICTURE}}},
        {"templateMessage": {"hydratedTemplate": {"imageMessage": PICTURE}}},
    ],
)
def test_buttons_and_templates_carry_files(content: Json) -> None:
    found = message(noweb(content, body="x", hasMedia=True)).media
    assert found
    assert (found.size_bytes, found.width) == (9, 3)


def test_an_empty_text_beside_a_file_is_not_the_content() -> None:
    found = message(noweb({"conversation": "", "imageMessage": {"width": 3}}))
    assert found.kind is Kind.IMAGE


# ── Old events ──────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("several", [False, True])
def test_old_noweb_tells_of_a_joined_group_whole(several: bool) -> None:  # noqa: FBT001
    group = {"id": GROUP, "subject": "Vizinhos", "desc": "do bairro", "participants": [{"id": ANA}]}
    found = said("group.join", [group] if several else group)[0]
    assert isinstance(found, GroupChanged)
    assert (found.group, found.subject, found.description) == (GROUP, "Vizinhos", "do bairro")
    assert [member.jid for member in found.members] == [ANA]


def test_evidence_of_a_member_is_kept_as_such() -> None:
    payload = {"group": {"id": GROUP}, "_data": {"author": ANA_LID, "authorPn": ANA}}
    found = observed("group.v2.update", payload)
    assert IdentityLinked(lid=ANA_LID, phone=ANA, evidence=Evidence.GROUP_MEMBER) in found
