"""Which message has which file, and how that follows messages when they come, change and move.

A file's record is made, changed and moved in the transaction of its message. What was told of the
file is what the message's best observation told; how far its download is, is changed by workers and
people, and by a better offer. Where two messages turn out to be one, the better download stays.
Until it is stored, the best preview that any observation told is kept.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Self

import msgspec
from msgspec import Struct

from wagateway.domain.cursors import FilePosition
from wagateway.domain.ledger import Change
from wagateway.domain.media import (
    Download,
    DownloadStatus,
    MediaObject,
    heard,
    heard_again,
    merit,
)
from wagateway.domain.messages import Kind, MediaFacts
from wagateway.domain.previews import best_preview
from wagateway.domain.records import AuthorKey, MessageRecord, OnMessage, offer_rank


class FileRecord(OnMessage, frozen=True, kw_only=True):
    """A message's file: what was told of it, and its download.

    Attributes:
        waha_id: the serialised id, to ask the engine for the file again.
        heard_at: when the archive first heard of it; aware UTC.
        lease: proves that a worker holds it; None while nobody does.
        preview: the tiny picture that came inside the message; None once the file is stored, and
            where it is not read, see `KeptFile`.
    """

    kind: Kind
    from_me: bool
    sent_at: datetime
    waha_id: str
    facts: MediaFacts
    heard_at: datetime
    download: Download
    lease: str | None = None
    preview: bytes | None = None

    def standing(self, download: Download, lease: str | None) -> Self:
        """Return it with its download in another state; what is stored needs no preview."""
        is_stored = download.status is DownloadStatus.COMPLETED
        preview = None if is_stored else self.preview
        return msgspec.structs.replace(self, download=download, lease=lease, preview=preview)

    @property
    def position(self) -> FilePosition:
        """Its place in a gallery."""
        return FilePosition(self.sent_at, self.stanza, self.chat, self.author)


class KeptFile(Struct, frozen=True, kw_only=True):
    """A message's file with what is known of the stored one, None until it is stored.

    Attributes:
        has_preview: whether the file has one that came inside the message, read or not.
    """

    file: FileRecord
    stored: MediaObject | None
    has_preview: bool


class FileChanges(Struct, frozen=True, kw_only=True):
    """What becomes of file records.

    Attributes:
        removed: those at these keys are there no longer.
        added: of messages that had none.
        saved: others in their final state, some at the key of another message.
        unlinked: SHA-256 of the stored files that lost a use, once for each.
    """

    removed: list[AuthorKey]
    added: list[FileRecord]
    saved: list[FileRecord]
    unlinked: list[str]


class FileLedger:
    """What one batch of changed messages means for their files."""

    def __init__(self, changes: Iterable[Change], at: datetime) -> None:
        """Look at *changes*; what they bring is due at *at*."""
        self._at = at
        self._before: dict[AuthorKey, MessageRecord] = {}
        self._after: dict[AuthorKey, MessageRecord] = {}
        self._joining: dict[AuthorKey, list[AuthorKey]] = defaultdict(list)
        for change in changes:
            before, after = change.before, change.after
            if isinstance(before, MessageRecord):
                self._before[before.key] = before
                if change.became is not None:
                    self._joining[change.became].append(before.key)
            if isinstance(after, MessageRecord):
                self._after[after.key] = after

    def _targets(self) -> list[AuthorKey]:
        """Return the messages whose file may be another now."""
        news = {key for key, message in self._after.items() if self._is_news(message)}
        return sorted(news | self._joining.keys())

    def _is_news(self, after: MessageRecord) -> bool:
        before = self._before.get(after.key)
        if before is None:
            return after.facts is not None and after.facts.media is not None
        is_other = (before.offer, before.facts_key) != (after.offer, after.facts_key)
        return is_other or after.preview is not None

    def asked(self) -> list[AuthorKey]:
        """Return the keys whose records decide, in order; a new message has none yet."""
        targets = self._targets()
        known = [key for key in targets if key in self._before or key not in self._after]
        return sorted([*known, *(gone for key in targets for gone in self._joining.get(key, ()))])

    def changes(self, known: Mapping[AuthorKey, FileRecord]) -> FileChanges:
        """Return what becomes of the files.

        Args:
            known: the present records of asked().
        """
        found = FileChanges(removed=[], added=[], saved=[], unlinked=[])
        for key in self._targets():
            parts = [
                known[part] for part in sorted([key, *self._joining.get(key, ())]) if part in known
            ]
            after = self._file(key, parts)
            self._note(found, key, parts, after)
        return found

    def _note(
        self,
        found: FileChanges,
        key: AuthorKey,
        parts: Sequence[FileRecord],
        after: FileRecord | None,
    ) -> None:
        found.removed.extend(part.key for part in parts if after is None or part.key != key)
        if after is not None and not parts:
            found.added.append(after)
        elif after is not None and after not in parts:
            found.saved.append(after)
        stored = [part.download.sha256 for part in parts if part.download.sha256]
        if after is not None and after.download.sha256:
            stored.remove(after.download.sha256)
        found.unlinked.extend(stored)

    def _file(self, key: AuthorKey, parts: Sequence[FileRecord]) -> FileRecord | None:
        """Return the file of the message at *key*, whose *parts* had these; None for none."""
        after = self._after.get(key)
        if after is not None and after.is_purged:
            return None
        best = max(parts, key=lambda part: merit(part.download), default=None)
        told = self._told(key, parts)
        if told is None:  # what is stored stays, whatever the message is said to be now
            told = best if best is not None and best.download.sha256 else None
        if told is None or best is None:
            return told
        offers = [part.download.offer for part in parts] + ([after.offer] if after else [])
        offer = max(offers, key=offer_rank)
        previews = [part.preview for part in parts] + ([after.preview] if after else [])
        file = msgspec.structs.replace(
            told,
            chat=key.chat,
            stanza=key.stanza,
            author=key.author,
            heard_at=min(part.heard_at for part in parts),
            preview=best_preview(*previews),
        )
        return file.standing(heard_again(best.download, offer, self._at), best.lease)

    def _told(self, key: AuthorKey, parts: Sequence[FileRecord]) -> FileRecord | None:
        """Return a record with what the best observation told; None where it told of no file."""
        after = self._after.get(key)
        sources = [key]
        if after is not None and after.facts_key is not None:
            sources += self._joining.get(key, ())
            sources = [part for part in sources if self._has_facts(part, after.facts_key)]
        # A record comes first: it may be of a file that an earlier observation told of, which was
        # kept because it was stored, and goes on being fetched when it is lost.
        told = next((part for part in parts if part.key in sources), None)
        if told is None and after is not None and after.facts is not None:
            return _first(after, self._at)
        return told

    def _has_facts(self, key: AuthorKey, facts_key: bytes) -> bool:
        before = self._before.get(key)
        return before is not None and before.facts_key == facts_key


def _first(message: MessageRecord, at: datetime) -> FileRecord | None:
    """Return the file of a message whose facts are there, as it begins; None where it has none."""
    facts = message.facts
    if facts is None or facts.media is None:
        return None
    return FileRecord(
        chat=message.chat,
        stanza=message.stanza,
        author=message.author,
        kind=facts.kind,
        from_me=facts.from_me,
        sent_at=facts.sent_at,
        waha_id=facts.waha_id,
        facts=facts.media,
        heard_at=at,
        download=heard(message.offer, at),
        preview=message.preview,
    )
