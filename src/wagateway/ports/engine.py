"""What the core asks of a WhatsApp engine."""

from abc import ABC, abstractmethod
from datetime import datetime

from wagateway.domain.events import Delivery, Source


class EngineReader(ABC):
    """Turns an engine's bodies into deliveries; knows all the engine's wire shapes."""

    @abstractmethod
    def read(self, body: bytes, *, received_at: datetime, source: Source) -> list[Delivery]:
        """Read one body: an event envelope, or a JSON array of them.

        Whatever an envelope holds becomes observations, at worst ``NotUnderstood``; bad elements
        never spoil their neighbours.

        Args:
            body: the exact bytes received.
            received_at: aware UTC.
            source: which way it came.

        Returns:
            One delivery per envelope, in order; an empty array gives none.

        Raises:
            InvalidInput: not JSON in UTF-8, nested too deeply, or neither an object nor an array.
        """
