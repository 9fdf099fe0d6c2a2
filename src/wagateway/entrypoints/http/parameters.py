"""The parameters of the API: how each is documented, bounded, and read."""

import re
from datetime import datetime
from typing import Annotated

from litestar.openapi.spec import Example
from litestar.params import PathParameter, QueryParameter

from wagateway.domain.cursors import MAX_PAGE
from wagateway.domain.errors import InvalidInput
from wagateway.domain.events import Outcome
from wagateway.domain.identity import ChatType
from wagateway.domain.media import DownloadStatus
from wagateway.domain.messages import Kind
from wagateway.domain.times import instant

_LAST_BIGINT = 2**63 - 1
_LOST_PLUS = re.compile(r"(\d{4}-\d\d-\d\dT[\d:.]+) (\d\d:?\d\d)")

ACCEPTED = {
    "limit": f"a whole number from 1 to {MAX_PAGE}",
    "type": "one of " + ", ".join(ChatType),
    "outcome": "one of " + ", ".join(Outcome),
    "event_id": "a whole number from 1 on",
    "mode": "incremental or full",
    "kind": "one of " + ", ".join(Kind),
    "status": "one of " + ", ".join(DownloadStatus),
    "sha256": "at most 64 hexadecimal digits",
    "download": "true or false",
    "redirect": "true or false",
}
"""What is accepted, for each parameter that Litestar checks; the others are read below."""

Session = Annotated[
    str,
    PathParameter(description="The engine's session name.", examples=[Example(value="default")]),
]
Chat = Annotated[
    str,
    PathParameter(
        description=(
            "A JID, a LID, or a phone number in a usual spelling. Brazilian mobile numbers are"
            " found with and without the ninth digit."
        ),
        examples=[
            Example(value="+55 11 98765-0102"),
            Example(value="5511987650102@c.us"),
            Example(value="271000000000102@lid"),
            Example(value="120363000000000001@g.us"),
        ],
    ),
]
Account = Annotated[
    str | None,
    QueryParameter(
        description=(
            "The archive of this account, which the session had before; the JID that the list of"
            " sessions shows, or its phone number. Default: the archive of the present account."
        ),
        examples=[Example(value="5511912340001@c.us")],
    ),
]
EventId = Annotated[
    int,
    PathParameter(
        ge=1,
        le=_LAST_BIGINT,
        description="The log row's id, as the list of events gives it.",
        examples=[Example(value=4711)],
    ),
]
Limit = Annotated[
    int,
    QueryParameter(
        ge=1,
        le=MAX_PAGE,
        description=f"How many at most, 1 to {MAX_PAGE}.",
        examples=[Example(value=20)],
    ),
]
Cursor = Annotated[
    str | None,
    QueryParameter(
        description="Where to go on: `next` of the answer before. It is opaque; do not build one.",
        examples=[Example(value="eyJhIjoxNzkxMDAwMTIzfQ")],
    ),
]
Before = Annotated[
    str | None,
    QueryParameter(
        description=(
            "Only older messages than this cursor (`next` of an answer) or ISO 8601 instant."
            " Not together with `after`."
        ),
        examples=[Example(value="2026-10-03T12:00:00Z")],
    ),
]
After = Annotated[
    str | None,
    QueryParameter(
        description=(
            "Only newer messages than this cursor (`previous` of an answer) or ISO 8601 instant;"
            " the ones next to it. Not together with `before`."
        ),
        examples=[Example(value="2026-10-03T12:00:00Z")],
    ),
]
ContactType = Annotated[
    ChatType | None,
    QueryParameter(
        description="Only this kind of contact.",
        examples=[Example(value="individual")],
    ),
]
OutcomeFilter = Annotated[
    Outcome | None,
    QueryParameter(
        description="Only deliveries that ended so.", examples=[Example(value="failed")]
    ),
]
SessionFilter = Annotated[
    str | None,
    QueryParameter(description="Only this session.", examples=[Example(value="default")]),
]
EventFilter = Annotated[
    str | None,
    QueryParameter(
        description="Only this event, by the engine's name for it.",
        examples=[Example(value="message.any")],
    ),
]
Since = Annotated[
    str | None,
    QueryParameter(
        description="Received at this ISO 8601 instant or later; UTC where it names no zone.",
        examples=[Example(value="2026-10-03T00:00:00Z")],
    ),
]
Until = Annotated[
    str | None,
    QueryParameter(
        description="Received before this ISO 8601 instant; UTC where it names no zone.",
        examples=[Example(value="2026-10-04T00:00:00Z")],
    ),
]


def position(text: str | None) -> str | None:
    """Return a cursor or instant as it was meant; None for an empty one.

    In a query string ``+`` means a space, which is how ``…T12:00:00+02:00`` loses its sign.
    """
    return _LOST_PLUS.sub(r"\1+\2", text) if text else None


def at_instant(name: str, text: str | None) -> datetime | None:
    """Read the parameter *name*, an aware UTC instant.

    Raises:
        InvalidInput: *text* is given and says no instant.
    """
    if not (given := position(text)):
        return None
    if (at := instant(given)) is None:
        raise InvalidInput(f"{name} must be an ISO 8601 instant such as 2026-10-03T12:00:00Z")
    return at
