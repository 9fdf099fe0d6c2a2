"""Each sample body of WAHA is read as its hand-written expectation says.

An expectation lists all observations of a delivery in order and names of each the fields that
matter; fields that it does not name are free. ``{"$matches": regex}`` stands for a text that is not
fixed to the letter, ``"$received_at"`` for the instant at which the body came, and ``same_as`` in a
recording for another entry of it.
"""

import json
import re
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
import pytest

from wagateway.adapters.waha.reader import WahaReader
from wagateway.domain.events import Delivery, Source
from wagateway.domain.identity import SessionName

DATA = Path(__file__).parents[2] / "data" / "waha"
LATER = datetime(2027, 1, 1, tzinfo=UTC)
"""When the samples came: after all that they tell, so that it shows where it is used in vain."""

MISSING = "(no such field)"


def builtins(value: object) -> Any:  # noqa: ANN401 - any JSON value
    """Return *value* as builtins with every field; msgspec leaves out those at their default."""
    if isinstance(value, msgspec.Struct):
        fields = {name: builtins(getattr(value, name)) for name in value.__struct_fields__}
        tag = value.__struct_config__.tag
        return {"type": tag, **fields} if tag else fields
    if isinstance(value, tuple):
        return [builtins(item) for item in value]
    return msgspec.to_builtins(value)


def mismatches(expected: Any, found: Any, path: str = "") -> list[str]:  # noqa: ANN401 - any JSON value
    """Return a line for each field that *expected* names and *found* holds otherwise."""
    match expected, found:
        case {"$matches": pattern}, str() if re.fullmatch(pattern, found):
            return []
        case {"$matches": _}, _:
            pass
        case {"type": wanted}, {"type": other} if wanted != other:
            pass
        case dict(), dict():
            return [
                line
                for key, want in expected.items()
                for line in mismatches(want, found.get(key, MISSING), f"{path}.{key}")
            ]
        case list(), list():
            return _other_length(expected, found, path) + [
                line
                for n, want in enumerate(expected[: len(found)])
                for line in mismatches(want, found[n], f"{path}[{n}]")
            ]
        case _ if expected == found and isinstance(expected, bool) == isinstance(found, bool):
            return []
    return [f"{path}:\n    expected {expected!r}\n    found    {found!r}"]


def _other_length(expected: list[Any], found: list[Any], path: str) -> list[str]:
    if len(expected) == len(found):
        return []
    brief = [
        [item.get("type", item) if isinstance(item, dict) else item for item in items]
        for items in (expected, found)
    ]
    return [f"{path}:\n    expected {brief[0]}\n    found    {brief[1]}"]


def at(instant: datetime, expected: Any) -> Any:  # noqa: ANN401 - any JSON value
    """Return *expected* with ``"$received_at"`` replaced by *instant*."""
    text = json.dumps(expected).replace("$received_at", msgspec.to_builtins(instant))
    return json.loads(text)


def load(*parts: str) -> Any:  # noqa: ANN401 - any JSON value
    return json.loads(DATA.joinpath(*parts).read_bytes())


def names(folder: str, pattern: str = "*") -> list[str]:
    return sorted(path.stem for path in DATA.joinpath(folder).glob(f"{pattern}.json"))


def check(body: bytes, received_at: datetime, expected: Any) -> None:  # noqa: ANN401 - any JSON value
    """Read *body* and fail with all differences from *expected*."""
    (delivery,) = WahaReader().read(body, received_at=received_at, source=Source.WEBHOOK)
    assert delivery.body == body
    assert (delivery.received_at, delivery.source) == (received_at, Source.WEBHOOK)
    wanted = at(received_at, expected)
    lines = mismatches(wanted["delivery"], builtins(delivery), "delivery")
    lines += mismatches(wanted["observations"], builtins(delivery.observations), "observations")
    if lines:
        pytest.fail("\n".join(lines), pytrace=False)


SAMPLES = names("events")
RECORDINGS = [name.removeprefix("webhooks-") for name in names("recorded", "webhooks-*")]
RECORDED = [
    pytest.param(recording, row, id=f"{recording}-{row['n']}")
    for recording in RECORDINGS
    for row in load("recorded", f"webhooks-{recording}.json")
]


@pytest.mark.parametrize("name", SAMPLES)
def test_reads_a_sample_as_expected(name: str) -> None:
    body = DATA.joinpath("events", f"{name}.json").read_bytes()
    check(body, LATER, load("expected", f"{name}.json"))


@pytest.mark.parametrize(("recording", "row"), RECORDED)
def test_reads_a_recorded_delivery_as_expected(recording: str, row: dict[str, Any]) -> None:
    entries = {entry["n"]: entry for entry in load("expected", f"recorded-{recording}.json")}
    entry = entries[row["n"]]
    expected = entries[entry["same_as"]] if "same_as" in entry else entry
    check(row["body_raw"].encode(), datetime.fromisoformat(row["received_at"]), expected)


def test_reads_an_array_of_all_samples_as_each_alone() -> None:
    bodies = [DATA.joinpath("events", f"{name}.json").read_bytes().strip() for name in SAMPLES]

    def read(body: bytes) -> list[Delivery]:
        return WahaReader().read(body, received_at=LATER, source=Source.SYNC)

    alone = [delivery for body in bodies for delivery in read(body)]
    assert read(b"[" + b",".join(bodies) + b"]") == alone


def test_each_sample_has_an_expectation_and_each_expectation_a_sample() -> None:
    assert SAMPLES
    assert names("expected") == sorted([*SAMPLES, *(f"recorded-{name}" for name in RECORDINGS)])


@pytest.mark.parametrize("recording", RECORDINGS)
def test_each_recorded_delivery_has_an_expectation_in_its_place(recording: str) -> None:
    rows = load("recorded", f"webhooks-{recording}.json")
    entries = load("expected", f"recorded-{recording}.json")
    assert [entry["n"] for entry in entries] == [row["n"] for row in rows]


@pytest.mark.parametrize(
    ("expected", "found", "lines"),
    [
        ({"a": 1}, {"a": 1, "free": 2}, 0),
        ({"a": 1}, {"a": 2}, 1),
        ({"a": None}, {}, 1),
        ({"a": False}, {"a": 0}, 1),
        ({"a": {"b": 1, "c": 2}}, {"a": {"b": 2, "c": 1}}, 2),
        ({"a": {"b": 1}}, {"a": None}, 1),
        ({"type": "A", "a": 1, "b": 1}, {"type": "B"}, 1),
        ([1, 2], [1, 2], 0),
        ([1, 2], [2, 1], 2),
        ([1], [1, 2], 1),
        ([1, 2], [1], 1),
        ({"$matches": "[a-z]+"}, "abc", 0),
        ({"$matches": "[a-z]+"}, "abc1", 1),
        ({"$matches": "[a-z]+"}, None, 1),
    ],
)
def test_the_comparer_tells_a_difference(expected: object, found: object, lines: int) -> None:
    assert len(mismatches(expected, found, "here")) == lines


def test_the_comparer_sees_fields_at_their_default() -> None:
    session = SessionName("vendas")
    found = builtins(
        Delivery(body=b"", session=session, event="", received_at=LATER, occurred_at=LATER)
    )
    assert found["account"] is None
    assert found["source"] == "webhook"
