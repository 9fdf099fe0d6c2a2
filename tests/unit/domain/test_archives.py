"""Which archive a delivery belongs to."""

import itertools

import pytest
from tests.support.deliveries import BAKERY, NOON, SECOND, SESSION

from wagateway.domain.archives import ArchiveEntry, archive_of, archive_to_read, current, no_session
from wagateway.domain.errors import NotFound
from wagateway.domain.identity import Jid, SessionName

MINE = BAKERY.phone
OTHER = Jid("5511912340002@c.us")


def entry(id_: int, account: Jid | None, seconds: int = 0) -> ArchiveEntry:
    at = NOON + seconds * SECOND
    return ArchiveEntry(id=id_, session=SESSION, account=account, last_event_at=at)


def test_no_archive_yet_means_a_new_one() -> None:
    assert archive_of([], MINE) is None
    assert archive_of([], None) is None
    assert current([]) is None


def test_an_account_has_its_own_archive_however_old() -> None:
    mine, other, nameless = entry(1, MINE), entry(2, OTHER, 9), entry(3, None, 99)
    for order in itertools.permutations([mine, other, nameless]):
        assert archive_of(order, MINE) == mine
        assert archive_of(order, OTHER) == other


def test_a_new_account_takes_the_archive_that_has_none() -> None:
    assert archive_of([entry(1, OTHER, 9), entry(2, None)], MINE) == entry(2, None)
    assert archive_of([entry(1, OTHER, 9)], MINE) is None


def test_what_names_no_account_goes_to_the_latest_archive() -> None:
    entries = [entry(1, MINE, 5), entry(2, OTHER, 9), entry(3, None)]
    assert archive_of(entries, None) == entries[1]
    assert archive_of(entries[::-1], None) == entries[1]


def test_of_equally_late_archives_the_newer_one_is_current() -> None:
    assert current([entry(2, OTHER), entry(1, MINE)]) == entry(2, OTHER)
    assert current(iter([entry(1, MINE), entry(2, OTHER)])) == entry(2, OTHER)


def test_the_current_archive_is_read_unless_an_account_is_named() -> None:
    entries = [entry(1, MINE, 5), entry(2, OTHER, 9), entry(3, None)]
    for order in itertools.permutations(entries):
        assert archive_to_read(iter(order), SESSION, None) == entries[1]
        assert archive_to_read(iter(order), SESSION, MINE) == entries[0]
        assert archive_to_read(iter(order), SESSION, OTHER) == entries[1]


def test_an_account_that_the_session_never_had_is_not_found() -> None:
    for entries in ([entry(1, OTHER)], [entry(1, None)]):
        with pytest.raises(NotFound, match=f"'vendas' never had the account {MINE}"):
            archive_to_read(entries, SESSION, MINE)


def test_the_sessions_that_there_are_are_named_where_another_was_asked_for() -> None:
    def told(*known: str) -> str:
        return str(no_session(SESSION, map(SessionName, known)))

    assert told() == (
        "there is no session 'vendas', nor any other yet: the first webhook or sync brings it"
    )
    assert told("b", "a", "b") == "there is no session 'vendas', only 'a', 'b'"
    assert told(*"jihgfedcba").endswith("'i', 'j'")
    assert told(*"kjihgfedcba").endswith("'i', 'j' and others")
