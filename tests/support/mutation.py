"""A pytest plugin for scripts/mutation: the same result every time, and soon.

Property tests draw the same examples every time, report the first failure as it is, however slow
the machine, and come after all others, which mostly find a mutant faster.
"""

import pytest
from hypothesis import HealthCheck, Phase, settings

settings.register_profile(
    "mutation",
    derandomize=True,
    database=None,
    deadline=None,
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=list(HealthCheck),  # one process runs each test more than once
)
settings.load_profile("mutation")


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    items.sort(key=lambda item: item.get_closest_marker("hypothesis") is not None)
