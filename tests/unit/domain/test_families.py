from typing import get_args

import pytest
from tests.support.deliveries import NOON, acked, delivery, edited, linked, revoked, seen

from wagateway.domain.events import (
    AnyObservation,
    ContactSeen,
    NotArchived,
    NotUnderstood,
    Source,
)
from wagateway.domain.families import _FAMILIES, Family, family_of, sent_at
from wagateway.domain.identity import Jid
from wagateway.domain.messages import Ack

ANA = Jid("5511987650102@c.us")


@pytest.mark.parametrize(
    ("observation", "family"),
    [
        (seen(), Family.MESSAGE),
        (edited("x"), Family.EDIT),
        (revoked(), Family.REVOCATION),
        (acked(Ack.READ), Family.ACK),
        (NotArchived(reason="presence"), Family.NOT_ARCHIVED),
        (NotUnderstood(reason="new", known_event=False), Family.NOT_UNDERSTOOD),
    ],
)
def test_a_delivery_is_of_the_family_of_what_it_tells_first(
    observation: AnyObservation, family: Family
) -> None:
    named = ContactSeen(contact=ANA, at=NOON, push_name="Ana")
    assert family_of(delivery(observation, linked(), named, event="whatever")) is family


def test_what_says_nothing_has_a_family_too() -> None:
    assert family_of(delivery(event="x" * 500)) is Family.NOTHING


def test_every_kind_of_observation_has_a_family_of_its_own() -> None:
    assert set(_FAMILIES) == set(get_args(AnyObservation))
    assert {*_FAMILIES.values(), Family.NOTHING} == set(Family)


def test_only_a_message_that_came_by_itself_tells_when_it_was_sent() -> None:
    assert sent_at(delivery(linked(), seen(sent_at=NOON))) == NOON
    assert sent_at(delivery(seen(sent_at=NOON), source=Source.SYNC)) is None
    assert sent_at(delivery(seen(sent_at=NOON), source=Source.IMPORT)) is None
    assert sent_at(delivery(edited("x"))) is None
