r"""Text as PostgreSQL can hold it.

WhatsApp text may contain U+0000 and lone UTF-16 surrogates; PostgreSQL stores neither. The raw body
in the event log keeps them, the projected text shows U+FFFD (REPLACEMENT CHARACTER) instead.
"""

import re

MAX_ID_CHARS = 512
_UNSTORABLE = re.compile("[\x00\ud800-\udfff]")
_ESCAPED_IN_IDS = re.compile("[%\x00\ud800-\udfff]")


def clean_text(text: str) -> str:
    """Return *text* with U+0000 and lone surrogates replaced by U+FFFD."""
    return _UNSTORABLE.sub("\N{REPLACEMENT CHARACTER}", text)


def clean_id(text: str) -> str:
    """Return *text* as a storable identifier, different for every different input.

    Replacing would let two ids collapse into one, so what cannot be stored is escaped as
    ``%XXXX`` (and ``%`` itself as ``%0025``). Real WhatsApp ids contain none of these.
    """
    return _ESCAPED_IN_IDS.sub(lambda m: f"%{ord(m[0]):04X}", text)
