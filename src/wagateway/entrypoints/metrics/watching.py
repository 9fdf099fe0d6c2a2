"""What watches the services of a process: told of what they do, and shown where they stand."""

from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path

from wagateway.entrypoints.containers import Services, now
from wagateway.entrypoints.http.health import Working
from wagateway.entrypoints.metrics.page import MetricsPage, Plan
from wagateway.entrypoints.metrics.process import ProcessMetrics
from wagateway.entrypoints.metrics.siblings import Siblings
from wagateway.entrypoints.settings import Settings


class Watching:
    """One for a process: begun before its services are opened, which tell it what they do."""

    def __init__(self, siblings: Siblings | None = None) -> None:
        """Count from now on; *siblings* where other processes answer at the same port."""
        self.process = ProcessMetrics(now)
        self.siblings = siblings

    def page(
        self,
        settings: Settings,
        services: Services,
        workers: Mapping[str, Working | None] | None = None,
    ) -> MetricsPage:
        """Return the page over opened *services*; to be asked for once.

        Args:
            settings: intervals and folders.
            services: opened, and kept open.
            workers: what each tells of itself, by name; None where it is switched off.
        """
        self.process.watch_streams(lambda: services.live.streams, most=settings.live_max_streams)
        if services.pool is not None:
            self.process.watch_pool(services.pool)
        running = (workers or {}).items()
        self.process.watch_workers((name, state) for name, state in running if state is not None)
        lifetime = settings.media_lifetime_s
        plan = Plan(
            interval=timedelta(milliseconds=settings.sync_interval_ms),
            lifetime=timedelta(seconds=lifetime) if lifetime else None,
            places=_places(settings),
        )
        return MetricsPage(self.process, services.figures, now, plan, self.siblings, services.spool)


def _places(settings: Settings) -> dict[str, Path]:
    """Return the folders that this process writes into."""
    places: dict[str, Path] = {}
    if settings.backend == "embedded":
        places["database"] = settings.data_dir.expanduser().absolute()
    if settings.backend != "memory":  # also what is on its way to a bucket
        places["media"] = settings.media_folder.expanduser().absolute()
    if settings.spool_kind == "filesystem":
        places["spool"] = settings.spool_folder.expanduser().absolute()
    return places
