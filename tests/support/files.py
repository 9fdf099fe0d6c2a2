"""A small simulated WAHA with files, whose clock stands still unless it is moved."""

from typing import Any

import httpx
from msgspec.structs import replace
from tests.unit.simulator.tales import ANA, WORLD, note, sent

from wagateway.simulator.contents import Attachment, Fetch
from wagateway.simulator.delivery import Delivery
from wagateway.simulator.dice import Dice
from wagateway.simulator.engine import EngineName
from wagateway.simulator.facts import Fact
from wagateway.simulator.fates import Fate
from wagateway.simulator.faults import Faults
from wagateway.simulator.files import File, Shelf, Stock
from wagateway.simulator.happenings import Note
from wagateway.simulator.offers import Media
from wagateway.simulator.props import image
from wagateway.simulator.rest import create_app
from wagateway.simulator.voice import ENGINES
from wagateway.simulator.waha_server import WahaServer

STANZA = "3EB0A64C2213DE42DBE249"
SHELF = Shelf(Stock(), 7)
PHOTO = SHELF.file("image", 0)


def photo(
    *,
    file: File = PHOTO,
    fetch: Fetch = Fetch.SAVED,
    **fate: Any,  # noqa: ANN401 - any field of a Fate
) -> Attachment:
    """Return a photo that exists."""
    return replace(
        image(Dice("photo"), None),
        size_bytes=file.size_bytes,
        fetch=fetch,
        file=file,
        fate=Fate(**fate),
    )


class Library:
    """A server of one session, to which each message is told by hand.

    Attributes:
        now_s: what its clock shows.
    """

    def __init__(
        self,
        engine: EngineName = EngineName.NOWEB,
        *,
        media: Media | None = None,
        faults: str = "none",
        api_key: str | None = None,
        seed: int = 1,
    ) -> None:
        (kind,) = (each for each in ENGINES if each.name is engine)
        self.now_s = 1000.0
        self.engine = kind(WORLD, "default", media)
        self.server = WahaServer(
            [self.engine],
            api_key=api_key,
            faults=Faults.parse(faults, served=True),
            seed=seed,
            clock=lambda: self.now_s,
        )
        self.app = create_app(self.server)
        self.client = httpx.AsyncClient(
            transport=httpx.ASGITransport(self.app, raise_app_exceptions=False),
            base_url="http://waha",
        )

    def tell(
        self,
        content: Attachment,
        *,
        held_ms: int = 0,
        **facts: Any,  # noqa: ANN401 - any fact of a Note
    ) -> Note:
        """Let WAHA tell of a message, and save its file where it says so; return the message."""
        told = note(content, **{"stanza": STANZA, **facts})
        self.take(sent(told), held_ms=held_ms)
        return told

    def take(self, fact: Fact, *, held_ms: int = 0) -> None:
        """Let WAHA tell *fact*."""
        self.server.take(
            Delivery(
                offset_s=0.0,
                event="message.any",
                body=b"{}",
                headers={},
                fact=fact,
                due_ms=fact.happening.at_ms,
                held_ms=held_ms,
                engine=self.engine,
            )
        )

    def media(self, told: Note) -> dict[str, Any]:
        """Return the ``media`` of the event."""
        return dict(self.engine.message(told)["media"])

    def path(self, told: Note) -> str:
        """Return the path of the event's address."""
        return httpx.URL(self.media(told)["url"]).raw_path.decode()

    async def get(self, path: str, **headers: str) -> httpx.Response:
        """Return one answer."""
        shown = {name.replace("_", "-"): value for name, value in headers.items()}
        return await self.client.get(path, headers=shown)

    async def again(self, told: Note) -> httpx.Response:
        """Ask for the message with its file."""
        asked = self.engine.message_id(told)
        path = f"/api/default/chats/{ANA.phone_jid}/messages/{asked}"
        return await self.client.get(path, params={"downloadMedia": "true"})
