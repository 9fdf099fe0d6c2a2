"""What is logged of workers: sync, media, upkeep, spool, backups, and the heartbeat.

Each kind of work has a logger of its own; what is about any worker is `wagateway.worker`. Nobody is
named, and no text of an error that may quote a message is told.
"""

from contextlib import AbstractContextManager
from uuid import uuid4

import msgspec
import structlog

from wagateway.domain.purges import PurgeCounts
from wagateway.entrypoints.logs import trace_of
from wagateway.ports.spool import SpoolDepth
from wagateway.usecases.backup_work import Regular
from wagateway.usecases.fetch_media import FetchTurn
from wagateway.usecases.sync import WAITING
from wagateway.usecases.turn import Turn

_Log = structlog.typing.FilteringBoundLogger

_worker_log: _Log = structlog.get_logger("wagateway.worker")
_sync_log: _Log = structlog.get_logger("wagateway.sync")
_media_log: _Log = structlog.get_logger("wagateway.media")
_upkeep_log: _Log = structlog.get_logger("wagateway.upkeep")
_spool_log: _Log = structlog.get_logger("wagateway.spool")
_backup_log: _Log = structlog.get_logger("wagateway.backup")
_heartbeat_log: _Log = structlog.get_logger("wagateway.heartbeat")


def log_defect(defect: Exception) -> None:
    """Log what of ours broke, and where, without its text, which may quote a message."""
    _worker_log.error("defect", error=type(defect).__name__, trace=list(trace_of(defect)))


def log_worker_failed(worker: str, defect: Exception) -> None:
    """Log that a worker broke, of which type it is and where; it begins again."""
    _worker_log.warning("a worker failed and begins again", worker=worker)
    log_defect(defect)


def log_turn(turn: Turn) -> None:
    """Log what a turn did, without naming anybody."""
    kind = "chat" if turn.task.chat else "session"
    facts = {
        "session": turn.task.archive.session,
        "what": kind,
        "pages": turn.pages,
        "messages": turn.messages,
        "stored": turn.stored,
    }
    with _one_turn():
        if turn.defect is not None:
            log_defect(turn.defect)
        if turn.problem and turn.problem != WAITING:  # the session is logged once, by its own task
            _sync_log.warning("sync_waits", reason=turn.problem, **facts)
        elif turn.stored:
            _sync_log.info("synced", **facts)
        else:
            _sync_log.debug("synced", **facts)


def log_sync_trouble(problem: str | None) -> None:
    """Log that nothing can be read from the engine, or that it goes on."""
    if problem is None:
        _sync_log.info("sync_goes_on")
    else:
        _sync_log.warning("sync_cannot_work", reason=problem)


def log_file(turn: FetchTurn) -> None:
    """Log what became of a file, without naming anybody."""
    facts = {
        "session": turn.task.archive.session,
        "kind": turn.task.file.kind,
        "status": turn.task.download.status,
    }
    download = turn.task.download
    with _one_turn():
        if turn.defect is not None:
            log_defect(turn.defect)
        if turn.problem is not None and download.due_at and not download.attempts:
            _media_log.debug("file_waits", reason=turn.problem, **facts)  # no failure of its own
        elif turn.problem is not None:
            _media_log.info("file_not_stored", reason=turn.problem, **facts)
        else:
            _media_log.debug("file_stored", size_bytes=turn.size_bytes, new=turn.new, **facts)


def log_media_trouble(problem: str | None) -> None:
    """Log that no files can be kept, or that it goes on."""
    if problem is None:
        _media_log.info("media_goes_on")
    else:
        _media_log.warning("media_cannot_work", reason=problem)


def log_purged(gone: PurgeCounts) -> None:
    """Log how much went."""
    counts = msgspec.structs.asdict(gone)
    _upkeep_log.info("purged", **{name: count for name, count in counts.items() if count})


def log_upkeep_trouble(problem: str | None) -> None:
    """Log that nothing can be purged, or that it goes on."""
    if problem is None:
        _upkeep_log.info("upkeep_goes_on")
    else:
        _upkeep_log.warning("upkeep_cannot_work", reason=problem)


def log_drained(entries: int) -> None:
    """Log that something of the spool is recorded now."""
    _spool_log.info("spool_drained", entries=entries)


def log_spool_trouble(problem: str | None) -> None:
    """Log that the spool cannot be used or drained, or that it goes on."""
    if problem is None:
        _spool_log.info("spool_goes_on")
    else:
        _spool_log.warning("spool_waits", reason=problem)


def log_set_aside(key: str, reason: str) -> None:
    """Log that an entry of the spool cannot be recorded, and is kept."""
    _spool_log.error(
        "spool_entry_set_aside",
        key=key,
        reason=reason,
        hint="once what was wrong is mended, run `wagateway spool --retry`",
    )


def log_other_spool(label: str, depth: SpoolDepth) -> None:
    """Log that webhooks wait that were spooled under another address, or elsewhere."""
    _spool_log.warning(
        "webhooks_of_another_spool_wait",
        spool=label,
        entries=depth.entries,
        set_aside=depth.set_aside,
        hint="start wagateway with that database; or, if it is this one under another "
        "address or another WHATSAPP_SPOOL, run `wagateway spool --adopt NAME`",
    )


def log_backup(made: Regular) -> None:
    """Log what a backup holds."""
    _backup_log.info(
        "backed_up",
        name=made.manifest.name,
        rows=made.manifest.rows,
        size_bytes=made.manifest.size_bytes,
        new_files=made.new_files,
        missing_files=made.manifest.media.missing,
        removed=list(made.removed),
    )


def log_backup_trouble(problem: str | None) -> None:
    """Log that no backup is made, or that it goes on."""
    if problem is None:
        _backup_log.info("backup_goes_on")
    else:
        _backup_log.error("backup_failed", reason=problem)


def log_heartbeat_waits(problem: Exception) -> None:
    """Log that it cannot be said now that webhooks are taken in."""
    _heartbeat_log.warning("heartbeat_waits", error=type(problem).__name__)


def _one_turn() -> AbstractContextManager[None]:
    """Give the lines about one turn an id in common, since they name nobody."""
    return structlog.contextvars.bound_contextvars(turn=uuid4().hex[:16])
