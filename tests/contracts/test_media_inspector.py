"""What everything that looks at files promises."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import msgspec
import pytest
from tests.support.media_files import encoded, picture

from wagateway.adapters.inspection.inspector import open_inspector
from wagateway.adapters.memory.inspector import InMemoryInspector
from wagateway.domain.mimetype import UNKNOWN, is_mimetype
from wagateway.ports.media_inspector import Looked, MediaInspector


@pytest.fixture(params=["memory", "process"])
async def inspector(request: pytest.FixtureRequest) -> AsyncIterator[MediaInspector]:
    if request.param == "memory":
        yield InMemoryInspector()
        return
    async with open_inspector() as opened:
        yield opened


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    file = tmp_path / "photo"
    file.write_bytes(encoded(picture(64, 48), "JPEG"))
    return file


@pytest.mark.parametrize("declared", ["image/jpeg", "image/jpg", 'image/jpeg; name="a b"'])
async def test_what_was_declared_rightly_stands(
    inspector: MediaInspector, photo: Path, declared: str
) -> None:
    assert (await inspector.inspect(photo, declared=declared)).mimetype == declared


@pytest.mark.parametrize(
    "declared", [None, "", "photo", "image/jpeg\r\nX: y", "\udcff/\udcff", "a/" + "b" * 100_000]
)
async def test_any_text_may_be_declared(
    inspector: MediaInspector, photo: Path, declared: str | None
) -> None:
    assert (await inspector.inspect(photo, declared=declared)).mimetype in {UNKNOWN, "image/jpeg"}


async def test_what_is_not_there_raises_nothing(inspector: MediaInspector, tmp_path: Path) -> None:
    found = await inspector.inspect(tmp_path / "nothing\udcff", declared="image/jpeg")
    assert is_mimetype(found.mimetype)
    assert found.thumbnail is None


async def test_many_may_ask_at_once(inspector: MediaInspector, photo: Path) -> None:
    asked = (inspector.inspect(photo, declared="image/jpeg") for _ in range(8))
    assert len(set(await asyncio.gather(*asked))) == 1


@pytest.mark.parametrize(
    "wrong",
    [
        *({"mimetype": ""}, {"mimetype": "a/b\r\nX: y"}, {"width": 0}, {"height": -1}),
        *({"pages": 0}, {"duration_s": -1.0}, {"duration_s": float("inf")}),
        {"duration_s": float("nan")},
    ],
)
def test_nothing_impossible_is_said(wrong: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=r"type|or more|finite"):
        msgspec.structs.replace(Looked(mimetype="image/png"), **wrong)
