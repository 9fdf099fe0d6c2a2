"""What a reader sees of an archive, as short as tests compare it."""

from collections.abc import Sequence

from tests.support.deliveries import ANA, SESSION

from wagateway.domain.events import Recorded
from wagateway.domain.identity import Jid, SessionName
from wagateway.domain.views import MessageView
from wagateway.ports.archive import ArchiveReader


def outcomes(recorded: Sequence[Recorded]) -> list[str]:
    """Return the words for what became of deliveries."""
    return [one.outcome.value for one in recorded]


async def shown(
    reader: ArchiveReader, chat: Jid = ANA, session: SessionName = SESSION
) -> list[MessageView]:
    """Return the latest 500 messages of *chat*, oldest first."""
    return (await reader.messages(session, [chat], limit=500)).messages[::-1]


async def texts(
    reader: ArchiveReader, chat: Jid = ANA, session: SessionName = SESSION
) -> list[str | None]:
    """Return the current texts of *chat*, oldest first."""
    return [view.text for view in await shown(reader, chat, session)]


async def only(
    reader: ArchiveReader, chat: Jid = ANA, session: SessionName = SESSION
) -> MessageView:
    """Return the one message of *chat*."""
    (view,) = await shown(reader, chat, session)
    return view


async def chat_ids(reader: ArchiveReader, session: SessionName = SESSION) -> set[Jid]:
    """Return the chats of *session*."""
    return {chat.id for chat in (await reader.chats(session, limit=500)).chats}
