"""A simulated WAHA that is asked by somebody else, and the truth to compare the answers with."""

from datetime import datetime
from typing import Any

from wagateway.simulator.hosted import Hosted
from wagateway.simulator.truth import Truth
from wagateway.simulator.waha_server import WahaServer

Row = dict[str, Any]


class Served:
    """A server of four sessions that hold a past and some traffic, and the truth about them.

    The first three have an engine each, and stay as they are. The last is there to be stopped and
    logged out.

    Attributes:
        url: where it listens.
        names: the sessions that stay as they are.
        spare: the other one.
    """

    names = ("session-1", "session-2", "session-3")
    noweb, gows, webjs = names
    spare = "session-4"

    def __init__(self, server: WahaServer, url: str) -> None:
        self.server, self.url = server, url
        truth = Truth()
        server.witness(truth)
        self._lines = list(truth.lines())

    def hosted(self, session: str) -> Hosted:
        """Return the session of this name."""
        return self.server.sessions[session]

    def messages(self, session: str) -> dict[str, Row]:
        """Return what is true of all messages that the store of *session* holds, by stanza id."""
        rows = self.hosted(session).store.rows()
        kept = {row.shown.stanza for row in rows}
        lines = [
            line
            for line in self._lines
            # What was deleted may be in an archive, and is no more in a store.
            if line["type"] == "message" and line["session"] == session and line["id"] in kept
        ]
        found = {line["id"]: line for line in lines}
        assert len(found) == len(lines) == len(rows)
        return found

    def chats(self, session: str) -> list[str]:
        """Return the names of all chats that have messages, in order."""
        lines = self.messages(session).values()
        return sorted({self.named(session, line["chat_id"]) for line in lines})

    def named(self, session: str, jid: str) -> str:
        """Return the phone address of a hidden id, where the engine knows it."""
        person = self.hosted(session).around.linked.get(jid)
        return person.phone_jid if person else jid


def stanza(row: Row) -> str:
    """Return the part of a message's id that is the same in all archives."""
    return str(row["id"].split("_")[2])


def is_timed(line: Row) -> bool:
    """Tell whether it is certain when the message was sent: NOWEB lists it at its last edit."""
    return line.get("certain", True) and "sent_at" in line


def told_s(line: Row) -> int:
    """Return when the message of a line of the truth was sent, in epoch seconds."""
    return int(datetime.fromisoformat(line["sent_at"]).timestamp())
