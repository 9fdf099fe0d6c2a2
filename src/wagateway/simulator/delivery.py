"""One webhook request of the simulated WAHA."""

from msgspec import Struct

from wagateway.simulator.contents import Attachment
from wagateway.simulator.engine import Engine
from wagateway.simulator.facts import Fact
from wagateway.simulator.files import File
from wagateway.simulator.happenings import Sent


class Delivery(Struct, frozen=True, kw_only=True):
    """One webhook request.

    Attributes:
        offset_s: when to send it, in seconds after the first delivery of the stream; never falls.
        event: the event's name, as in the body.
        body: UTF-8 JSON.
        headers: all that WAHA sets, apart from custom ones.
        repeated: the same request was in the stream before; WAHA did not see its answer.
        cut: WAHA loses the connection before the first answer, and sends it again.
        lost: WAHA gave up on it: it is never sent.
        fact: what it tells; None for what tells nothing that is archived.
        due_ms: when it is sent on the simulated clock, in epoch milliseconds.
        held_ms: how long it was held up after WAHA built it, and saved its file.
        engine: whose words it is; None for what no simulated engine tells.
    """

    offset_s: float
    event: str
    body: bytes
    headers: dict[str, str]
    repeated: bool = False
    cut: bool = False
    lost: bool = False
    fact: Fact | None = None
    due_ms: int = 0
    held_ms: int = 0
    engine: Engine | None = None

    @property
    def file(self) -> File | None:
        """The file of the message that it tells, where its engine shows one; else None."""
        sent = self.fact.happening if self.fact else None
        if not isinstance(sent, Sent) or not isinstance(sent.note.content, Attachment):
            return None
        shown = self.engine is not None and self.engine.shows_file(sent.note)
        return sent.note.content.file if shown else None
