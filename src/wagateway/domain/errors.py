"""The error tree, sorted by what the caller does next."""


class WagatewayError(Exception):
    """Base of every error that wagateway raises on purpose; its text is meant for people."""


class Rejected(WagatewayError):
    """The request cannot succeed as it is: change it."""


class InvalidInput(Rejected):
    """A value is malformed or out of bounds; the message names it and what is accepted."""


class NotFound(Rejected):
    """The named session, chat, message or event is not in the archive."""


class Conflict(Rejected):
    """The request contradicts what is there, for instance a data folder that is in use."""


class Unavailable(WagatewayError):
    """A part is away or overloaded: wait, then repeat."""


class StoreUnavailable(Unavailable):
    """The database cannot be reached or gave up; it may or may not have acted."""


class Defect(WagatewayError):
    """An invariant of ours broke: park the work and alert."""
