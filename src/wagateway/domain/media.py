"""Which attached files are fetched and when, and what becomes of each download: pure transitions.

An engine keeps a file for minutes, so what can be had now goes first, soonest to expire before
others. What it does not have any more it can be asked to get from WhatsApp again, which is slow and
needs the phone: that waits until nothing fresh is left. A download that cannot succeed says why.
"""

import math
import re
from datetime import datetime, timedelta
from enum import StrEnum
from typing import NewType

import msgspec
from msgspec import Struct

from wagateway.domain.identity import ChatType, Jid, SessionName, chat_type
from wagateway.domain.messages import Kind, MediaFacts, MediaOffer
from wagateway.domain.patience import Patience
from wagateway.domain.records import offer_rank

LARGEST_BYTES = 100 * 2**20
LIFETIME = timedelta(seconds=180)
"""How long WAHA keeps a file unless it is told otherwise. Source: WAHA docs, Storages."""

THUMBNAIL_TYPE = "image/webp"
"""Of each preview that lies in the media store."""

MediaKey = NewType("MediaKey", str)
"""Names a stored file: ``sha256/ab/cd/abcd…``, or ``thumbnails/ab/cd/abcd…`` for its preview."""

_KEY = re.compile(r"(sha256|thumbnails)/([0-9a-f]{2})/([0-9a-f]{2})/\2\3[0-9a-f]{60}")
_SHA256 = re.compile(r"[0-9a-f]{64}")


def file_key(sha256: str) -> MediaKey:
    """Return the key of the file with this SHA-256, in lower-case hex.

    Raises:
        ValueError: it is none.
    """
    return _key("sha256", sha256)


def thumbnail_key(sha256: str) -> MediaKey:
    """Return the key of the preview of the file with this SHA-256; see `file_key`."""
    return _key("thumbnails", sha256)


def is_media_key(text: str) -> bool:
    """Tell whether *text* is a key as we make them, with no way out of their place."""
    return _KEY.fullmatch(text) is not None


def _key(kind: str, sha256: str) -> MediaKey:
    if not _SHA256.fullmatch(sha256):
        raise ValueError("a SHA-256 is 64 lower-case hexadecimal digits")
    return MediaKey(f"{kind}/{sha256[:2]}/{sha256[2:4]}/{sha256}")


class DownloadStatus(StrEnum):
    """Where the download of a message's file stands."""

    PENDING = "pending"
    """It is to be fetched when due."""
    DOWNLOADING = "downloading"
    """A worker fetches it."""
    COMPLETED = "completed"
    """It is stored."""
    FAILED = "failed"
    """Several tries failed; it waits long, then is tried again."""
    SKIPPED = "skipped"
    """A rule says that it is not wanted."""
    EXPIRED = "expired"
    """Neither the engine nor WhatsApp has it any more."""


class Attachment(Struct, frozen=True, kw_only=True):
    """What a rule can look at.

    Attributes:
        sent_at: aware UTC.
        facts: as the sender declared them; a size may be missing or wrong.
    """

    session: SessionName
    chat: Jid
    kind: Kind
    from_me: bool
    sent_at: datetime
    facts: MediaFacts


class Rules(Struct, frozen=True, kw_only=True):
    """Which files are wanted.

    Attributes:
        largest_bytes: of a file, inclusive; also holds for files that declared less.
        kinds: only these; None: every kind.
        without_chat_types: no files of such chats, for instance status posts and channels.
        without_chats: no files of these chats.
        without_sessions: no files of these sessions.
        outgoing: what the account sent itself is wanted too.
        oldest: no files of messages that are older; None: of any age.
        lifetime: how long the engine keeps a file; None: for ever.
    """

    largest_bytes: int = LARGEST_BYTES
    kinds: frozenset[Kind] | None = None
    without_chat_types: frozenset[ChatType] = frozenset()
    without_chats: frozenset[Jid] = frozenset()
    without_sessions: frozenset[SessionName] = frozenset()
    outgoing: bool = True
    oldest: timedelta | None = None
    lifetime: timedelta | None = LIFETIME

    def __post_init__(self) -> None:
        if self.largest_bytes < 1:
            raise ValueError("the largest size is at least one byte")
        if self.lifetime is not None and self.lifetime <= timedelta():
            raise ValueError("a lifetime is more than nothing; None: for ever")


class Fetch(Struct, frozen=True, kw_only=True):
    """The file is wanted.

    Attributes:
        again: the engine has to get it from WhatsApp first.
        expires_at: until when the engine keeps it, as far as is known; None: no hurry.
    """

    again: bool
    expires_at: datetime | None


class Skip(Struct, frozen=True, kw_only=True):
    """The file is not wanted; *reason* is for people."""

    reason: str


def decide(
    file: Attachment, state: "Download", rules: Rules, *, heard_at: datetime, now: datetime
) -> Fetch | Skip:
    """Tell whether *file* is wanted, and whether it can be had at once.

    Args:
        file: the message and what it declared.
        state: where the engine said that the file is, and whether it was there.
        rules: what is wanted.
        heard_at: when the archive first heard of the file; its age is judged by that.
        now: the present.
    """
    reason = unwanted(file, rules, heard_at)
    if reason is not None:
        return Skip(reason=reason)
    return _prospect(state, rules, now)


def _prospect(state: "Download", rules: Rules, now: datetime) -> Fetch:
    until = expiry(state.offer, rules)
    again = state.again or not has_place(state.offer) or _is_over(until, now)
    return Fetch(again=again, expires_at=until)


def unwanted(file: Attachment, rules: Rules, heard_at: datetime) -> str | None:
    """Return why *file* is not wanted, None where it is; see `decide`."""
    size = file.facts.size_bytes
    refused = (
        (file.session in rules.without_sessions, "files of this session are not kept"),
        (file.chat in rules.without_chats, "files of this chat are not kept"),
        (
            chat_type(file.chat) in rules.without_chat_types,
            f"files of {chat_type(file.chat)} chats are not kept",
        ),
        (
            rules.kinds is not None and file.kind not in rules.kinds,
            f"files of kind {file.kind} are not kept",
        ),
        (file.from_me and not rules.outgoing, "files that were sent from here are not kept"),
        (
            rules.oldest is not None and file.sent_at < heard_at - rules.oldest,
            "the message was too old when it came",
        ),
        (size is not None and size > rules.largest_bytes, too_large(rules)),
    )
    return next((reason for is_so, reason in refused if is_so), None)


def too_large(rules: Rules) -> str:
    """Return why a file of more than the largest size is not wanted."""
    return f"it is larger than {rules.largest_bytes:,} bytes"


def has_place(offer: MediaOffer | None) -> bool:
    """Tell whether *offer* says where the file is."""
    return offer is not None and bool(offer.url or offer.s3_key)


def expiry(offer: MediaOffer | None, rules: Rules) -> datetime | None:
    """Return until when the engine keeps what it offers; in a bucket it keeps it for ever."""
    since = kept_since(offer)
    if since is None or rules.lifetime is None:
        return None
    try:
        return since + rules.lifetime
    except OverflowError:  # an engine whose clock is at the end of time
        return None


def kept_since(offer: MediaOffer | None) -> datetime | None:
    """Return from when on the engine keeps what it offers for a while; None: no hurry."""
    return None if offer is None or not offer.url or offer.s3_key else offer.offered_at


def _is_over(until: datetime | None, now: datetime) -> bool:
    return until is not None and until <= now


class Stored(Struct, frozen=True, kw_only=True):
    """What is known of a file's content when it is stored.

    Attributes:
        mimetype: told by the content.
    """

    size_bytes: int
    mimetype: str


class Inspection(Struct, frozen=True, kw_only=True):
    """What a look into a file found.

    Attributes:
        mimetype: the true one.
        width, height: pixels.
        duration_s: seconds.
        pages: of a document.
        placeholder: a tiny picture of it, for previews.
        has_thumbnail: whether a preview is stored beside it.
        problem: why less was found than might be.
    """

    mimetype: str
    width: int | None = None
    height: int | None = None
    duration_s: float | None = None
    pages: int | None = None
    placeholder: bytes | None = None
    has_thumbnail: bool = False
    problem: str | None = None


class MediaObject(Inspection, frozen=True, kw_only=True):
    """One stored file, however many messages have it.

    Attributes:
        sha256: lower-case hex.
        stored_at: aware UTC.
        inspected_at: aware UTC; None: not yet.
        inspections: how often a look was begun; one that never ends is not begun for ever.
        uses: how many messages have it.
    """

    sha256: str
    size_bytes: int
    stored_at: datetime
    inspected_at: datetime | None = None
    inspections: int = 0
    uses: int = 1


# ── A download ──────────────────────────────────────────────────────────────────────────────────


class Download(Struct, frozen=True, kw_only=True):
    """All that is remembered of one message's file.

    Attributes:
        offer: the newest place that the engine named, or why it has none.
        again: the engine has to get the file from WhatsApp before the next try.
        due_at: when it is tried, while downloading the end of the lease; None: not at all.
        expires_at: until when *offer* holds, as far as is known.
        attempts: failures in a row.
        problem: why it was skipped, failed or expired.
        sha256: of the stored file, lower-case hex.
    """

    status: DownloadStatus = DownloadStatus.PENDING
    offer: MediaOffer | None = None
    again: bool = False
    due_at: datetime | None = None
    expires_at: datetime | None = None
    attempts: int = 0
    problem: str | None = None
    sha256: str | None = None


def offered(state: Download, offer: MediaOffer, rules: Rules, now: datetime) -> Download:
    """Return the state after the engine named a place: what waits is tried there at once.

    An offer that is older than the known one, or names no place, says nothing new.
    """
    known = state.offer
    is_news = has_place(offer) and (
        known is None or not has_place(known) or offer.offered_at > known.offered_at
    )
    if not is_news or state.status in {DownloadStatus.COMPLETED, DownloadStatus.SKIPPED}:
        return state
    until = expiry(offer, rules)
    state = msgspec.structs.replace(
        state, offer=offer, again=_is_over(until, now), expires_at=until
    )
    if state.status is DownloadStatus.DOWNLOADING:
        return state
    return msgspec.structs.replace(
        state, status=DownloadStatus.PENDING, due_at=now, attempts=0, problem=None
    )


def heard(offer: MediaOffer | None, now: datetime) -> Download:
    """Return the download of a file that nobody has judged yet: whoever fetches it does.

    So a setting that changed holds for all that waits, and taking in messages asks for none.
    """
    return Download(offer=offer, again=not has_place(offer), due_at=now)


def heard_again(state: Download, offer: MediaOffer | None, now: datetime) -> Download:
    """Return the state after the message came again, with the best offer up to now."""
    if offer is None or offer == state.offer:
        return state
    return msgspec.structs.replace(offered(state, offer, _UNJUDGED, now), offer=offer)


def given_back(state: Download, known: MediaOffer | None, now: datetime) -> Download:
    """Return the state that a worker came to, where *known* may be a better offer than its own."""
    if offer_rank(known) <= offer_rank(state.offer):
        return state
    return heard_again(state, known, now)


_UNJUDGED = Rules(lifetime=None)


def is_untried(state: Download) -> bool:
    """Tell whether nobody failed yet at the place that the engine named."""
    return has_place(state.offer) and state.attempts == 0


def judged(state: Download, rules: Rules, now: datetime) -> Download:
    """Return the state as the present rules see it: what the engine dropped must be got again."""
    fetch = _prospect(state, rules, now)
    return msgspec.structs.replace(state, expires_at=fetch.expires_at, again=fetch.again)


def turn(state: Download, sent_at: datetime) -> tuple[bool, float, float]:
    """Return a key by which what is due is taken: the smallest first.

    What can be had at once, soonest to expire; then what must be got again; the latest message
    first.
    """
    until = state.expires_at.timestamp() if state.expires_at and not state.again else math.inf
    return (state.again, until, -sent_at.timestamp())


def begun(state: Download, until: datetime) -> Download:
    """Return the state while a worker fetches the file, who holds it until then."""
    return msgspec.structs.replace(state, status=DownloadStatus.DOWNLOADING, due_at=until)


def completed(state: Download, sha256: str, *, problem: str | None = None) -> Download:
    """Return the state once the file is stored; *problem* is what is to be said of it even so."""
    return msgspec.structs.replace(
        state,
        status=DownloadStatus.COMPLETED,
        again=False,
        due_at=None,
        attempts=0,
        problem=problem,
        sha256=sha256,
    )


def put_off(state: Download, until: datetime, problem: str) -> Download:
    """Return the state while nobody can fetch or store it, which is no failure of this file."""
    return msgspec.structs.replace(
        state, status=DownloadStatus.PENDING, due_at=until, problem=problem
    )


def missing(
    state: Download, now: datetime, problem: str, patience: Patience, *, jitter: float = 0.0
) -> Download:
    """Return the state where the engine has the file no longer: it is to get it again.

    The first time in a row at once; an engine that gets it and then has it not is left in peace.
    The arguments are those of `failed`.
    """
    waits = failed(state, now, problem, patience, jitter=jitter)
    due_at = waits.due_at if state.attempts else now
    return msgspec.structs.replace(waits, again=True, due_at=due_at)


def failed(
    state: Download, now: datetime, problem: str, patience: Patience, *, jitter: float = 0.0
) -> Download:
    """Return the state after a try failed.

    Args:
        state: before.
        now: the present.
        problem: why, for people.
        patience: how long to wait.
        jitter: share of the pause that is added, 0 to 1, so that many do not return at once.
    """
    attempts = state.attempts + 1
    at_its_end = patience.is_at_its_end(attempts)
    return msgspec.structs.replace(
        state,
        status=DownloadStatus.FAILED if at_its_end else DownloadStatus.PENDING,
        attempts=attempts,
        due_at=now + patience.pause(attempts) * (1 + jitter),
        problem=problem,
    )


def expired(state: Download, problem: str) -> Download:
    """Return the state once nobody has the file any more; a later offer revives it."""
    return msgspec.structs.replace(
        state, status=DownloadStatus.EXPIRED, due_at=None, problem=problem
    )


def skipped(state: Download, problem: str) -> Download:
    """Return the state where the file turned out to be unwanted, for instance too large."""
    return msgspec.structs.replace(
        state, status=DownloadStatus.SKIPPED, due_at=None, problem=problem
    )


def lost(state: Download, now: datetime, problem: str) -> Download:
    """Return the state where the stored file turned out to be gone or damaged: it is due again."""
    return msgspec.structs.replace(
        state,
        status=DownloadStatus.PENDING,
        again=not has_place(state.offer),
        due_at=now,
        attempts=0,
        problem=problem,
        sha256=None,
    )


_NEARER_TO_ITS_END = (
    DownloadStatus.SKIPPED,
    DownloadStatus.EXPIRED,
    DownloadStatus.FAILED,
    DownloadStatus.PENDING,
    DownloadStatus.DOWNLOADING,
    DownloadStatus.COMPLETED,
)


def merit(state: Download) -> tuple[bool, tuple[object, ...], int, int]:
    """Return a key by which the better of two downloads of one message is the greater.

    A stored file beats a better offer, and that beats being further.
    """
    return (
        state.sha256 is not None,
        offer_rank(state.offer),
        _NEARER_TO_ITS_END.index(state.status),
        -state.attempts,
    )


def retried(state: Download, now: datetime) -> Download:
    """Return the state when a person wants the file; what is stored stays."""
    if state.status in {DownloadStatus.COMPLETED, DownloadStatus.DOWNLOADING}:
        return state
    return msgspec.structs.replace(
        state,
        status=DownloadStatus.PENDING,
        again=state.again or _is_over(state.expires_at, now) or not has_place(state.offer),
        due_at=now,
        attempts=0,
        problem=None,
    )
