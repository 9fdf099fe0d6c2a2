"""Link and unlink a LID and a phone because a person says so."""

from dataclasses import dataclass

from wagateway.domain.errors import InvalidInput
from wagateway.domain.identity import Jid, SessionName, is_lid, is_phone
from wagateway.ports.archive import Archive
from wagateway.ports.clock import Clock

_LEAST_DIGITS, _MOST_DIGITS = 7, 15
"""Of an international number: those of the smallest countries, and the limit of E.164."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LinkIdentity:
    """Say that a LID is a phone."""

    archive: Archive
    clock: Clock

    async def __call__(self, session: SessionName, lid: Jid, phone: Jid) -> int:
        """Link them and merge their chats.

        Returns:
            How many messages moved.

        Raises:
            InvalidInput: *lid* is no LID, or *phone* no phone JID or too short or long for one.
            NotFound: no such session.
        """
        if not is_lid(lid) or not is_phone(phone):
            raise InvalidInput("a link takes a LID (…@lid) and a phone JID (…@c.us)")
        if not _LEAST_DIGITS <= len(phone.partition("@")[0]) <= _MOST_DIGITS:
            raise InvalidInput(
                f"a phone number has {_LEAST_DIGITS} to {_MOST_DIGITS} digits, its country's code "
                f"among them: {phone.partition('@')[0][:20]!r}"
            )
        return await self.archive.link(session, lid, phone, at=self.clock())


@dataclass(frozen=True, slots=True, kw_only=True)
class UnlinkIdentity:
    """Undo what a LID was taken for."""

    archive: Archive
    clock: Clock

    async def __call__(self, session: SessionName, lid: Jid) -> int:
        """Undo the link in force, for good.

        Returns:
            How many messages moved back to the LID's chat.

        Raises:
            InvalidInput: *lid* is no LID.
            NotFound: no such session, or no link of that LID is in force.
        """
        if not is_lid(lid):
            raise InvalidInput("a hidden id ends in @lid")
        return await self.archive.unlink(session, lid, at=self.clock())
