"""What an engine lists of what it was told, in whatever order and however often."""

from itertools import permutations

import pytest
from tests.support.files import Library
from tests.unit.simulator.tales import edited, revoked, sent

from wagateway.simulator.engine import EngineName
from wagateway.simulator.facts import Fact
from wagateway.simulator.store import Store

TOLD = (sent(), revoked(), revoked(), edited("Boa tarde!"))


@pytest.mark.parametrize("order", list(permutations(range(4))), ids=str)
@pytest.mark.parametrize("engine", EngineName)
def test_a_deletion_that_is_told_twice_and_early_is_one(
    engine: EngineName, order: tuple[int, ...]
) -> None:
    store = Store(Library(engine).engine)
    for place in order:
        told: Fact = TOLD[place]
        store.take(told)
    assert len(store.rows()) == (engine is not EngineName.NOWEB)
