"""The turn of a task that a worker claimed, and how it is given back."""

from collections.abc import Callable

import msgspec
from msgspec import Struct

from wagateway.domain.errors import LeaseLost
from wagateway.domain.sync import SyncState
from wagateway.ports.sync import SyncStore, SyncTask

LOST = "another worker goes on, or the chat joined another"
"""The problem of a turn whose task somebody else has."""

_PROBLEM_CHARS = 500


class Turn(Struct, kw_only=True):
    """What a turn did.

    Attributes:
        task: in the state that it came to.
        pages: asked for.
        messages: read.
        stored: of these, what was news.
        done: nothing is left to do for now.
        problem: why it ended early.
        defect: what of ours broke; None where nothing did.
    """

    task: SyncTask
    pages: int = 0
    messages: int = 0
    stored: int = 0
    done: bool = False
    problem: str | None = None
    defect: Exception | None = None


def with_state(task: SyncTask, state: SyncState) -> SyncTask:
    """Return *task* in *state*."""
    return msgspec.structs.replace(task, state=state)


async def give_back(store: SyncStore, turn: Turn, state: SyncState) -> None:
    """End *turn* in *state*, unless somebody else has the task by now."""
    turn.task = with_state(turn.task, state)
    turn.problem = state.problem
    try:
        await store.save(turn.task)
    except LeaseLost:
        turn.problem = LOST


def words(exc: Exception) -> str:
    """Return what is told of a failure."""
    return str(exc)[:_PROBLEM_CHARS]


def defect(exc: Exception) -> str:
    """Name a defect of ours; its text may quote a message, so the type must do."""
    return f"a defect of wagateway: {type(exc).__name__}"


def broken(task: SyncTask, exc: Exception) -> Turn:
    """Return the turn of a task that could not even be given back."""
    return Turn(task=task, problem=defect(exc), defect=exc)


Enough = Callable[[], bool]
"""Tells whether the worker is to stop."""
