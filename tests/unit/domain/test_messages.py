"""How far a message got."""

import itertools

import pytest

from wagateway.domain.messages import Ack, higher_ack

ORDER = [None, Ack.PENDING, Ack.ERROR, Ack.SERVER, Ack.DEVICE, Ack.READ, Ack.PLAYED]


@pytest.mark.parametrize(("less", "more"), list(itertools.combinations_with_replacement(ORDER, 2)))
def test_an_ack_only_rises_and_an_error_yields_to_any_delivery(
    less: Ack | None, more: Ack | None
) -> None:
    assert higher_ack(less, more) is more
    assert higher_ack(more, less) is more
