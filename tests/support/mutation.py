"""A pytest plugin for scripts/mutation: the same result every time, and soon.

Property tests draw few examples and the same every time, report the first failure as it is, however
slow the machine, and come after all others, which mostly find a mutant faster.
"""

from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, settings

EXAMPLES = 40

settings.register_profile(
    "mutation",
    derandomize=True,
    database=None,
    deadline=None,
    max_examples=EXAMPLES,
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=list(HealthCheck),  # one process runs each test more than once
)
settings.load_profile("mutation")


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    items.sort(key=lambda item: item.get_closest_marker("hypothesis") is not None)
    for item in items:
        function: Any = getattr(item, "function", None)
        asked = getattr(function, "_hypothesis_internal_use_settings", None)
        if asked is not None and asked.max_examples > EXAMPLES:
            few = settings(asked, max_examples=EXAMPLES)
            function._hypothesis_internal_use_settings = few  # noqa: SLF001
