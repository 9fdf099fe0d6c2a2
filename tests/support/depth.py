"""How many examples property tests draw: few by default, ten times as many by --deep."""

import os

_DEPTH = float(os.environ.get("WAGATEWAY_TEST_DEPTH", "1"))


def examples(usual: int) -> int:
    """Return how many examples to draw where *usual* are enough for each run of the suite."""
    return max(1, round(usual * _DEPTH))
