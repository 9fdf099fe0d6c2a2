"""Streams to look at, and how to read them."""

import json
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from functools import cache
from itertools import islice
from typing import Any

from wagateway.simulator.engine import EngineName
from wagateway.simulator.traffic import Delivery, Traffic

START = datetime(2026, 10, 3, 12, 30, 15, 250_000, tzinfo=UTC)
MESSAGES = {"message", "message.any"}


@cache
def deliveries(
    engine: EngineName | None, count: int = 900, *, seed: int = 7, start: datetime = START
) -> tuple[Delivery, ...]:
    """Return the first *count* deliveries."""
    return tuple(islice(Traffic(start=start, seed=seed, engine=engine), count))


def bodies(stream: Iterable[Delivery], *events: str) -> list[dict[str, Any]]:
    """Return the bodies of *events*, or of all, without repetitions."""
    return [
        json.loads(delivery.body)
        for delivery in stream
        if not delivery.repeated and (not events or delivery.event in events)
    ]


def message_ids(value: object) -> Iterator[str]:
    """Yield every serialised message id in a body."""
    if isinstance(value, dict):
        for item in value.values():
            yield from message_ids(item)
    elif isinstance(value, list):
        for item in value:
            yield from message_ids(item)
    elif isinstance(value, str) and value.startswith(("true_", "false_")):
        yield value
