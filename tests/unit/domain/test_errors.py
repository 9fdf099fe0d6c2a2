"""Errors carry what whoever catches them needs."""

from wagateway.domain.errors import RateLimited


def test_too_many_requests_tells_how_long_to_wait() -> None:
    error = RateLimited("slow down", wait_s=1.5)
    assert (str(error), error.wait_s) == ("slow down", 1.5)
