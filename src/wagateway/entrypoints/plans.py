"""What settings mean for those who do the work."""

from datetime import timedelta

from wagateway.adapters.timescale.storage import StoragePlan
from wagateway.domain.identity import STATUS_CHAT, ChatType
from wagateway.domain.media import Rules
from wagateway.domain.patience import Patience
from wagateway.entrypoints.settings import Settings
from wagateway.entrypoints.variables import FULL, STATUS
from wagateway.usecases.fetch_media import MediaPlan
from wagateway.usecases.purge import Retention
from wagateway.usecases.sync_plan import SyncPlan


def storage_plan(settings: Settings, *, most_rows: int | None = None) -> StoragePlan:
    """Return how the tables shall be laid out; without a limit, however long moving rows takes."""
    return StoragePlan(
        timescale=settings.timescale == "auto",
        chunk_days=settings.chunk_days,
        compress_after_days=settings.compress_after_days,
        most_rows=most_rows,
    )


def sync_plan(settings: Settings) -> SyncPlan:
    """Return how sync goes about it."""
    depth = None if settings.sync_depth == FULL else timedelta(days=int(settings.sync_depth))
    return SyncPlan(
        interval=timedelta(milliseconds=settings.sync_interval_ms),
        batch=settings.sync_batch_size,
        lookback=timedelta(days=settings.sync_lookback_days),
        depth=depth,
        patience=Patience(max_retries=settings.sync_max_retries),
        concurrent=settings.sync_concurrent_chats,
    )


def media_rules(settings: Settings) -> Rules:
    """Return which files are wanted."""
    types, lifetime = settings.media_skip_chat_types, settings.media_lifetime_s
    age = settings.media_max_age_days
    posts = {STATUS_CHAT} if STATUS in types else set()
    return Rules(
        largest_bytes=settings.media_max_bytes,
        kinds=settings.media_kinds or None,
        without_chat_types=frozenset(map(ChatType, types - {STATUS})),
        without_chats=settings.media_skip_chats | posts,
        without_sessions=settings.media_skip_sessions,
        outgoing=settings.media_outgoing,
        oldest=None if age is None else timedelta(days=age),
        lifetime=timedelta(seconds=lifetime) if lifetime else None,
    )


def retention(settings: Settings) -> Retention:
    """Return how long things are kept."""
    messages, log = settings.retention_days, settings.event_log_retention_days
    return Retention(
        messages=None if messages is None else timedelta(days=messages),
        log=None if log is None else timedelta(days=log),
    )


def media_plan(settings: Settings) -> MediaPlan:
    """Return how files are fetched."""
    most = settings.media_concurrent
    return MediaPlan(rules=media_rules(settings), concurrent=most, again=max(1, most // 4))
