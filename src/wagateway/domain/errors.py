"""The error tree, sorted by what the caller does next."""


class WagatewayError(Exception):
    """Base of every error that wagateway raises on purpose; its text is meant for people."""


class Rejected(WagatewayError):
    """The request cannot succeed as it is: change it."""


class InvalidInput(Rejected):
    """A value is malformed or out of bounds; the message names it and what is accepted."""


class NotFound(Rejected):
    """The named session, chat, message or event is not in the archive."""


class Gone(NotFound):
    """It was there, and nobody has it any more."""


class Purged(NotFound):
    """It was archived, was purged by a person or by its age, and does not come back."""


class TooLarge(Rejected):
    """It is larger than what is wanted."""


class NotSupported(Rejected):
    """The engine, or the way it is configured, cannot do this; the message says what would help."""


class Refused(Rejected):
    """The engine does not accept our key."""


class Conflict(Rejected):
    """The request contradicts what is there, for instance a data folder that is in use."""


class LeaseLost(Conflict):
    """Work was held too long, and another worker may hold it now; its state was not written."""


class Unavailable(WagatewayError):
    """A part is away or overloaded: wait, then repeat."""


class StoreUnavailable(Unavailable):
    """The database cannot be reached or gave up; it may or may not have acted."""


class EngineUnavailable(Unavailable):
    """The engine is away, too slow, or answers what cannot be read."""


class EngineResting(EngineUnavailable):
    """The engine failed so often that it is left alone for a while: nothing was asked.

    Attributes:
        wait_s: how long it is left alone.
    """

    def __init__(self, text: str, *, wait_s: float) -> None:
        super().__init__(text)
        self.wait_s = wait_s


class SessionNotReady(Unavailable):
    """The engine's session is not in the state that the request needs."""


class RateLimited(Unavailable):
    """Too many requests.

    Attributes:
        wait_s: how long to wait; None where that is not known.
    """

    def __init__(self, text: str, *, wait_s: float | None = None) -> None:
        super().__init__(text)
        self.wait_s = wait_s


class Defect(WagatewayError):
    """An invariant of ours broke: park the work and alert."""
