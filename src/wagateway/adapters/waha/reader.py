"""Reads all that WAHA sends: every event of WEBJS, WPP, NOWEB and GOWS, old versions and new."""

from collections.abc import Callable
from datetime import datetime

from typing_extensions import override

from wagateway.adapters.waha import answers, groups, notices, synced
from wagateway.adapters.waha.acks import ack_observations
from wagateway.adapters.waha.changes import LISTED, edited_observations
from wagateway.adapters.waha.envelope import Envelope, envelope
from wagateway.adapters.waha.fields import Obj, items, obj
from wagateway.adapters.waha.messages import message_observations
from wagateway.adapters.waha.places import link
from wagateway.adapters.waha.revokes import revoked_observations
from wagateway.adapters.waha.wire import envelopes
from wagateway.domain.errors import InvalidInput
from wagateway.domain.events import (
    AnyObservation,
    ContactSeen,
    Delivery,
    IdentityLinked,
    NotArchived,
    NotUnderstood,
    Source,
)
from wagateway.domain.identity import Evidence
from wagateway.ports.engine import EngineReader

_MAX_NAME_CHARS = 80

_READERS: dict[str, Callable[[Obj, Envelope], list[AnyObservation]]] = {
    "message": message_observations,
    "message.any": message_observations,
    "message.waiting": message_observations,
    "message.ack": ack_observations,
    "message.ack.group": ack_observations,
    "message.edited": edited_observations,
    "message.revoked": revoked_observations,
    "message.reaction": answers.reaction_observations,
    "poll.vote": answers.vote_observations,
    "poll.vote.failed": answers.vote_observations,
    "event.response": answers.event_answer_observations,
    "event.response.failed": answers.event_answer_observations,
    "session.status": notices.status_observations,
    "chat.archive": notices.chat_observations,
    "call.received": notices.call_observations,
    "call.accepted": notices.call_observations,
    "call.rejected": notices.call_observations,
    "label.upsert": notices.label_observations,
    "label.deleted": notices.label_observations,
    "label.chat.added": notices.label_observations,
    "label.chat.deleted": notices.label_observations,
    "group.v2.join": groups.join_observations,
    "group.v2.leave": groups.leave_observations,
    "group.v2.participants": groups.members_observations,
    "group.v2.participants.join-request": groups.join_request_observations,
    "group.v2.update": groups.update_observations,
    "group.join": groups.old_join_observations,
    "group.leave": groups.old_leave_observations,
    # What we asked for ourselves, see listings.py:
    LISTED: message_observations,
    "sync.contact": synced.contact_observations,
    "sync.group": synced.group_observations,
    "sync.members": synced.members_observations,
    "sync.lid": synced.lid_observations,
}
_NOT_ARCHIVED = frozenset({"presence.update", "state.change", "engine.event"})


class WahaReader(EngineReader):
    """Turns WAHA's webhook bodies into deliveries; stateless, safe to share."""

    @override
    def read(self, body: bytes, *, received_at: datetime, source: Source) -> list[Delivery]:
        return [
            _delivery(exact, value, received_at=received_at, source=source)
            for exact, value in envelopes(body)
        ]


def _delivery(body: bytes, value: object, *, received_at: datetime, source: Source) -> Delivery:
    env = envelope(obj(value), received_at=received_at, source=source)
    if isinstance(value, dict):
        said = [*_account_link(env), *_observations(env)]
    else:
        said = [NotUnderstood(reason="not an event: expected a JSON object", known_event=False)]
    return Delivery(
        body=body,
        session=env.session,
        event=env.event,
        received_at=received_at,
        occurred_at=env.occurred_at,
        source=source,
        engine=env.engine,
        envelope_id=env.envelope_id,
        account=env.account,
        observations=_arranged(said),
    )


def _observations(env: Envelope) -> list[AnyObservation]:
    reader = _READERS.get(env.event)
    if env.event in _NOT_ARCHIVED:
        return [NotArchived(reason=f"{env.event} is not archived")]
    if reader is None:
        name = env.event[:_MAX_NAME_CHARS]
        return [NotUnderstood(reason=f"an event that we do not know: {name}", known_event=False)]
    # Old versions of NOWEB tell of several groups at once.
    several = env.event == "group.join" and isinstance(env.payload, list)
    payloads = items(env.payload) if several else [env.payload]
    if not payloads or not all(isinstance(payload, dict) for payload in payloads):
        return [NotUnderstood(reason=f"{env.event}: expected an object as payload")]
    try:
        return [said for payload in payloads for said in reader(obj(payload), env)]
    except InvalidInput as exc:
        return [NotUnderstood(reason=f"{env.event}: {exc}")]
    except Exception as exc:  # noqa: BLE001 - our mistake must cost neither neighbours nor the body
        return [NotUnderstood(reason=f"{env.event}: defect of the reader, {type(exc).__name__}")]


def _account_link(env: Envelope) -> list[AnyObservation]:
    if env.account is None:
        return []
    return list(link(env.account.lid, env.account.phone, Evidence.OWN_ACCOUNT))


def _arranged(said: list[AnyObservation]) -> tuple[AnyObservation, ...]:
    """Put the links and then the names after the rest, each only once.

    Of several pieces of evidence for one link the first is kept: the account's own, if it is one.
    """
    links: dict[tuple[str, str], AnyObservation] = {}
    names: dict[AnyObservation, None] = {}
    rest: list[AnyObservation] = []
    for each in said:
        if isinstance(each, IdentityLinked):
            links.setdefault((each.lid, each.phone), each)
        elif isinstance(each, ContactSeen):
            names[each] = None
        else:
            rest.append(each)
    return (*rest, *links.values(), *names)
