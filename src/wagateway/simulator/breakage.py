"""Requests as they should not be: a part of another type, an unknown event, a huge body."""

from msgspec import Struct

from wagateway.simulator.dice import Dice
from wagateway.simulator.wire import Emission, Payload

_HUGE_BYTES = 1_000_000
_UNKNOWN_EVENTS = ("message.sparkled", "chat.theme", "newsletter.v3.update", "message..any")


class _Break(Struct, frozen=True):
    """Another value for one key of a payload."""

    key: str
    value: object


_BREAKS = (
    _Break("id", 12345),
    _Break("id", {"_serialized": None}),
    _Break("id", ""),
    _Break("id", "true_"),
    _Break("id", "_" * 300),
    _Break("id", "_" * 600),
    _Break("timestamp", "soon"),
    _Break("timestamp", -1e300),
    _Break("from", {"user": 1}),
    _Break("replyTo", 7),
    _Break("vCards", {"0": 1}),
    _Break("media", "https://example.com/file"),
    _Break("location", [1, 2]),
    _Break("participant", ["a"]),
    _Break("ack", "read"),
    _Break("fromMe", "yes"),
    _Break("_data", "gone"),
)


def malformed(emission: Emission, dice: Dice) -> tuple[Emission, bool]:
    """Return *emission* with one part that is not what it should be.

    Returns:
        Also whether the engine's own data is still there.
    """
    broken = dice.pick(_BREAKS)
    payload = {**emission.payload, broken.key: broken.value}
    return Emission(event=emission.event, payload=payload), broken.key != "_data"


def unknown(dice: Dice, at_ms: int) -> Emission:
    """Return an event of a name that nobody knows."""
    payload: Payload = {"id": f"x{at_ms}", "timestamp": at_ms // 1000, "sparkles": 3}
    return Emission(event=dice.pick(_UNKNOWN_EVENTS), payload=payload)


def huge(emission: Emission) -> Emission:
    """Return *emission* with 1 MB more of engine data, as an inlined picture makes it."""
    data = emission.payload.get("_data")
    kept = data if isinstance(data, dict) else {}
    padded = {**kept, "thumbnailHq": "A" * _HUGE_BYTES}
    return Emission(event=emission.event, payload={**emission.payload, "_data": padded})
