"""What every rate limit promises."""

import pytest

from wagateway.adapters.memory.rate_limit import InMemoryRateLimit
from wagateway.ports.rate_limit import RateLimit

SECOND = 10**9


class FakeClock:
    """Tells the nanoseconds that it is told."""

    def __init__(self) -> None:
        self.now = 5 * SECOND

    def __call__(self) -> int:
        return self.now

    def pass_s(self, seconds: float) -> None:
        self.now += round(seconds * SECOND)


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


class TestRateLimit:
    @pytest.fixture(params=[pytest.param(InMemoryRateLimit, id="memory")])
    def limit(self, request: pytest.FixtureRequest, clock: FakeClock) -> RateLimit:
        """Return one of six a minute."""
        limit: RateLimit = request.param(6, clock_ns=clock)
        return limit

    async def test_lets_all_of_a_minute_come_at_once_and_no_more(self, limit: RateLimit) -> None:
        assert [await limit.take("a") for _ in range(6)] == [0.0] * 6
        assert await limit.take("a") == pytest.approx(10)

    async def test_one_more_is_due_after_its_part_of_a_minute(
        self, limit: RateLimit, clock: FakeClock
    ) -> None:
        for _ in range(6):
            await limit.take("a")
        clock.pass_s(9)
        assert await limit.take("a") == pytest.approx(1)
        clock.pass_s(1)
        assert [await limit.take("a") == 0 for _ in range(2)] == [True, False]

    async def test_who_is_refused_waits_no_longer_for_it(
        self, limit: RateLimit, clock: FakeClock
    ) -> None:
        for _ in range(100):
            await limit.take("a")
        clock.pass_s(10)
        assert await limit.take("a") == 0

    async def test_after_a_minute_all_is_due_again(
        self, limit: RateLimit, clock: FakeClock
    ) -> None:
        for _ in range(6):
            await limit.take("a")
        clock.pass_s(3600)
        assert [await limit.take("a") == 0 for _ in range(7)] == [True] * 6 + [False]

    async def test_each_has_its_own(self, limit: RateLimit) -> None:
        for _ in range(7):
            await limit.take("a")
        assert await limit.take("b") == 0

    async def test_asking_how_long_to_wait_counts_nothing(self, limit: RateLimit) -> None:
        for _ in range(6):
            assert await limit.wait_s("a") == 0
            await limit.take("a")
        assert await limit.wait_s("a") == pytest.approx(10)
        assert await limit.wait_s("never seen") == 0


@pytest.mark.parametrize("per_minute", [1, 7, 59, 61, 6000, 1_000_000])
async def test_any_number_a_minute_is_that_number(per_minute: int, clock: FakeClock) -> None:
    limit = InMemoryRateLimit(per_minute, clock_ns=clock)
    taken = 0
    while await limit.take("a") == 0:
        taken += 1
    assert taken == per_minute


async def test_no_more_than_so_many_are_remembered(clock: FakeClock) -> None:
    limit = InMemoryRateLimit(1, clock_ns=clock, most=100)
    for number in range(10_000):
        assert await limit.take(str(number)) == 0
    assert len(limit._whole_at) == 100  # noqa: SLF001 - what it costs, nobody else tells
    assert await limit.take("9999") > 0
    assert await limit.take("0") == 0  # forgotten
