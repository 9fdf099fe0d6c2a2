"""What an earlier backup says of previews."""

from collections.abc import AsyncIterator

from hypothesis import given
from hypothesis import strategies as st

from wagateway.domain.backups import MediaEntry
from wagateway.domain.errors import Rejected
from wagateway.domain.media import MediaKey, file_key, thumbnail_key
from wagateway.usecases.media_list import KnownPreviews

_HASHES = [f"{n:064x}" for n in range(8)]
_some = st.sets(st.sampled_from(_HASHES))


def entry(key: MediaKey, *, copied: bool = True) -> MediaEntry:
    return MediaEntry(key=key, size_bytes=1, sha256="a" * 64, mimetype="image/webp", copied=copied)


async def lines(
    files: set[str], previews: set[str], *, ill: bool = False
) -> AsyncIterator[MediaEntry]:
    for sha256 in sorted(files | previews):
        yield entry(file_key(sha256))
        if sha256 in previews:
            yield entry(thumbnail_key(sha256))
    if ill:
        raise Rejected("cut off")


@given(files=_some, previews=_some, asked=_some)
async def test_finds_what_is_there(files: set[str], previews: set[str], asked: set[str]) -> None:
    known = KnownPreviews(lines(files, previews))
    found = {sha256 for sha256 in sorted(asked) if await known.find(sha256) is not None}
    assert found == previews & asked


async def test_a_damaged_list_knows_what_comes_before_the_damage() -> None:
    known = KnownPreviews(lines(set(), {_HASHES[1]}, ill=True))
    assert await known.find(_HASHES[1]) is not None
    assert await known.find(_HASHES[2]) is None
    assert await known.find(_HASHES[3]) is None


async def test_what_was_only_listed_is_not_known() -> None:
    async def one() -> AsyncIterator[MediaEntry]:
        yield entry(thumbnail_key(_HASHES[0]), copied=False)

    assert await KnownPreviews(one()).find(_HASHES[0]) is None
