"""Pauses grow, end, and can always be reckoned."""

from datetime import timedelta

import pytest

from wagateway.domain.patience import Patience

SECOND = timedelta(seconds=1)


def test_pauses_double_up_to_the_longest_and_then_are_long() -> None:
    patience = Patience(max_retries=5, first=SECOND, longest=10 * SECOND, failed=99 * SECOND)
    pauses = [patience.pause(failures) / SECOND for failures in range(1, 8)]
    assert pauses == [1, 2, 4, 8, 10, 99, 99]


@pytest.mark.parametrize(("failures", "at_its_end"), [(1, False), (3, False), (4, True)])
def test_ends_with_one_failure_more_than_there_are_retries(
    failures: int, *, at_its_end: bool
) -> None:
    assert Patience(max_retries=3).is_at_its_end(failures) is at_its_end


def test_without_retries_the_first_failure_is_the_end() -> None:
    patience = Patience(max_retries=0)
    assert patience.pause(1) == patience.failed


def test_however_often_it_failed_a_pause_can_be_reckoned() -> None:
    patience = Patience(max_retries=2000)
    assert patience.pause(1500) == patience.longest
