"""The envelope around every event: session, engine, account and the time of telling."""

from datetime import datetime

from msgspec import Struct

from wagateway.adapters.waha.fields import Obj, moment, obj, text, word
from wagateway.adapters.waha.refs import address
from wagateway.domain.events import Account, Source
from wagateway.domain.identity import Jid, SessionName, is_lid, is_phone


class Envelope(Struct, frozen=True, kw_only=True):
    """What an envelope says besides its payload; WAHA 2024 gives neither id nor time.

    Attributes:
        session, event: empty when absent or no text of at most 512 characters.
        engine: in upper case; None when absent.
        occurred_at: when the engine built the event, else the payload's time, else received_at.
        payload: any JSON value.
    """

    session: SessionName
    event: str
    engine: str | None
    envelope_id: str | None
    account: Account | None
    source: Source
    received_at: datetime
    occurred_at: datetime
    payload: object

    def is_own(self, someone: Jid | None) -> bool:
        """Tell whether *someone* is the session's own account, by phone or by LID."""
        account = self.account
        return account is not None and someone in {account.phone, account.lid} - {None}

    @property
    def phone(self) -> Jid | None:
        """The account's phone JID, None when the envelope does not name it."""
        return self.account.phone if self.account else None


def envelope(value: Obj, *, received_at: datetime, source: Source) -> Envelope:
    """Read an envelope; whatever is missing or malformed in it is left out."""
    payload = value.get("payload")
    engine = word(value.get("engine")) or word(obj(value.get("environment")).get("engine"))
    return Envelope(
        session=SessionName(word(value.get("session")) or ""),
        event=word(value.get("event")) or "",
        engine=engine.upper() if engine else None,
        envelope_id=word(value.get("id")),
        account=_account(obj(value.get("me"))),
        source=source,
        received_at=received_at,
        occurred_at=moment(value.get("timestamp")) or _payload_time(obj(payload)) or received_at,
        payload=payload,
    )


def _account(me: Obj) -> Account | None:
    """``id`` is the phone, on some sessions the LID; ``jid`` is the phone with a device suffix."""
    named = [found for key in ("id", "jid", "lid") if (found := address(me.get(key)))]
    phone = next(filter(is_phone, named), None)
    if phone is None:
        return None
    lid = next(filter(is_lid, reversed(named)), None)
    return Account(phone=phone, lid=lid, push_name=text(me.get("pushName")))


def _payload_time(payload: Obj) -> datetime | None:
    told = (
        payload.get("timestamp"),
        obj(payload.get("after")).get("timestamp"),
        obj(payload.get("vote")).get("timestamp"),
        obj(payload.get("eventResponse")).get("timestampMs"),
    )
    return next(filter(None, map(moment, told)), None)
