"""What waits in the spool, as Prometheus reads it."""

from datetime import datetime

from prometheus_client import Metric
from prometheus_client.core import GaugeMetricFamily

from wagateway.ports.spool import SpoolDepth


def spool_metrics(depth: SpoolDepth | None, now: datetime) -> list[Metric]:
    """Return how the spool is; None: it could not be asked, and only that is told."""
    up = _gauge("up", "1 while the spool answers, else 0.", float(depth is not None))
    if depth is None:
        return [up]
    oldest = depth.oldest_at
    age_s = 0.0 if oldest is None else max(0.0, (now - oldest).total_seconds())
    return [
        up,
        _gauge("entries", "Groups of webhooks that wait for the database.", depth.entries),
        _gauge("bytes", "Their size.", depth.size_bytes),
        _gauge("max_bytes", "How much may wait.", depth.max_bytes or 0),
        _gauge("oldest_seconds", "How long the first of them waits; 0: none does.", age_s),
        _gauge("set_aside", "Groups that could not be recorded.", depth.set_aside),
    ]


def _gauge(name: str, meaning: str, value: float) -> Metric:
    return GaugeMetricFamily(f"wagateway_spool_{name}", meaning, value=value)
