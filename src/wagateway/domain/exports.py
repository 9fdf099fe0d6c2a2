"""Exported files: names that every file system takes, and the lines of the list beside them.

A name depends on the message alone, so that a second export finds what the first one wrote.
"""

import hashlib
import re
import unicodedata
from collections.abc import Iterator
from datetime import UTC, datetime

from msgspec import Struct

from wagateway.domain.filenames import safe_filename
from wagateway.domain.identity import Jid, SessionName, StanzaId
from wagateway.domain.messages import Kind
from wagateway.domain.mimetype import ending_of
from wagateway.domain.views import FileView

MAX_NAME_BYTES = 143
"""What the narrowest file system in use takes, that of encrypted home folders on Linux."""

_MAX_CHAT_CHARS = 32
_MAX_STEM_BYTES = 60
_TAGS = (8, 12, 16)
"""Digits that set apart files of one instant, chat and name; more where fewer are taken."""
_CHAT_TROUBLE = re.compile(r"[^A-Za-z0-9@+-]")
_TROUBLE = re.compile(r'[<>:"/\\|?*%~$`\'!&;#^{}\[\]]')
"""Refused by Windows, or of a meaning to a shell."""
_SPACES = re.compile(r"\s+")
_ENDING = re.compile(r"\.([A-Za-z0-9]{1,5})$")
_SPELLINGS = {"jpeg": "jpg", "jpe": "jpg", "tiff": "tif", "oga": "ogg", "mpga": "mp3", "qt": "mov"}
_NOT_OPENED = "bin"
"""Of types that are not in the table: a double click runs no program and no script of a page."""


class ExportedFile(Struct, frozen=True, kw_only=True):
    """One line of the list beside exported files.

    Attributes:
        session, chat, message: whose it is; *message* is the stanza id.
        waha_id: the serialised id.
        sent_at: aware UTC.
        sha256: of the content, lower-case hex.
        mimetype: as the content tells, where somebody looked.
        filename: as the sender named it; hostile for all we know.
        name: of the exported file, in the folder of the list.
    """

    session: SessionName
    chat: Jid
    message: StanzaId
    waha_id: str
    sent_at: datetime
    from_me: bool
    kind: Kind
    sha256: str
    size_bytes: int | None
    mimetype: str | None
    filename: str | None
    name: str


def exported(view: FileView, sha256: str, name: str) -> ExportedFile:
    """Return the line of a message's stored file that is exported under *name*."""
    return ExportedFile(
        session=view.session,
        chat=view.chat_id,
        message=view.id,
        waha_id=view.waha_id,
        sent_at=view.sent_at,
        from_me=view.from_me,
        kind=view.kind,
        sha256=sha256,
        size_bytes=view.media.size_bytes,
        mimetype=view.media.mimetype,
        filename=view.media.filename,
        name=name,
    )


def export_names(view: FileView) -> Iterator[str]:
    """Yield names for a message's file, to be tried in turn, such as
    ``2026-10-03_120000_5511987650102_pão_1a2b3c4d.jpg``.

    They hold the time in UTC, the chat, the sender's name of the file or else its kind, and end as
    the true type does. Nobody's words lead out of a folder, hide the ending or mean something to
    a file system.
    """  # noqa: D205 - the example belongs to the sentence
    ending = ending_of(view.media.mimetype or "") or _NOT_OPENED
    chat = _CHAT_TROUBLE.sub("_", view.chat_id.removesuffix("@c.us"))[:_MAX_CHAT_CHARS]
    stem = _stem(view.media.filename or "", ending) or view.kind
    about = f"{view.session}\n{view.chat_id}\n{view.waha_id}"
    digest = hashlib.sha256(about.encode("utf-8", "surrogatepass")).hexdigest()
    at = f"{view.sent_at.astimezone(UTC):%Y-%m-%d_%H%M%S}"
    for digits in _TAGS:
        yield f"{at}_{chat}_{stem}_{digest[:digits]}.{ending}"


def _stem(filename: str, ending: str) -> str:
    """Return what can be kept of a name, without an ending that says the same as *ending*."""
    name = safe_filename(_SPACES.sub(" ", filename))
    found = _ENDING.search(name)
    if found and _SPELLINGS.get(found[1].lower(), found[1].lower()) == ending:
        name = name[: found.start()]
    # One form for letters with accents: file systems differ in what they make of the others.
    name = unicodedata.normalize("NFC", _TROUBLE.sub("_", name))
    seen = "".join(filter(str.isprintable, name))
    return _cut(seen, _MAX_STEM_BYTES).strip(" ._")


def _cut(text: str, most_bytes: int) -> str:
    """Return the beginning of *text* that takes at most so many bytes in UTF-8."""
    return text.encode()[:most_bytes].decode("utf-8", "ignore")
