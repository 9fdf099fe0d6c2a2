"""Reading the page that Prometheus reads."""

from collections.abc import Mapping

from prometheus_client import Metric
from prometheus_client.parser import text_string_to_metric_families

Labels = frozenset[tuple[str, str]]


class Scraped:
    """One page, as Prometheus would take it."""

    def __init__(self, page: bytes | str) -> None:
        text = self.text = page if isinstance(page, str) else page.decode()
        self.families: Mapping[str, Metric] = {}
        found: dict[str, Metric] = {}
        for family in text_string_to_metric_families(text):
            assert family.name not in found, f"{family.name} comes twice"
            assert family.documentation, family.name
            found[family.name] = family
        self.families = found
        self.values: dict[tuple[str, Labels], float] = {}
        for family in found.values():
            for sample in family.samples:
                key = (sample.name, frozenset(sample.labels.items()))
                assert key not in self.values, f"{key} comes twice"
                self.values[key] = sample.value

    def value(self, name: str, **labels: str) -> float | None:
        """Return the value of ``wagateway_`` *name*; None where there is no such series."""
        return self.values.get((f"wagateway_{name}", frozenset(labels.items())))

    def series(self, name: str) -> dict[Labels, float]:
        """Return all series of ``wagateway_`` *name*."""
        return {
            labels: value
            for (known, labels), value in self.values.items()
            if known == f"wagateway_{name}"
        }
