"""What a look at one hop between WhatsApp and the archive found, and what to do about it."""

from enum import StrEnum

from msgspec import Struct


class Verdict(StrEnum):
    """How a hop is."""

    OK = "ok"
    WARN = "warn"
    """It works, and could be better."""
    FAIL = "fail"
    """It is broken: events do not reach the archive, or nobody can read it."""
    SKIPPED = "skipped"
    """It could not be looked at, for a reason that *found* names."""


class Finding(Struct, frozen=True, kw_only=True):
    """One hop; no text holds a secret.

    Attributes:
        hop: its name.
        found: what is there.
        mend: what to do; None where there is nothing to do.
    """

    hop: str
    verdict: Verdict
    found: str
    mend: str | None = None


def ok(hop: str, found: str) -> Finding:
    """Return that *hop* works."""
    return Finding(hop=hop, verdict=Verdict.OK, found=found)


def warn(hop: str, found: str, mend: str) -> Finding:
    """Return that *hop* works and could be better."""
    return Finding(hop=hop, verdict=Verdict.WARN, found=found, mend=mend)


def fail(hop: str, found: str, mend: str) -> Finding:
    """Return that *hop* is broken."""
    return Finding(hop=hop, verdict=Verdict.FAIL, found=found, mend=mend)


def skipped(hop: str, found: str, mend: str | None = None) -> Finding:
    """Return that *hop* was not looked at."""
    return Finding(hop=hop, verdict=Verdict.SKIPPED, found=found, mend=mend)
