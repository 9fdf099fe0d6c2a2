"""Attached files over HTTP: streamed in pieces, whole or in part, and never run by a browser."""

from collections.abc import AsyncIterator, Sequence
from typing import Annotated, Any, TypedDict, TypeVar
from urllib.parse import quote, urlencode

import msgspec
from litestar import Request, Response, Router, get, head, post
from litestar.di import NamedDependency, Provide
from litestar.handlers import HTTPRouteHandler
from litestar.openapi.datastructures import ResponseSpec
from litestar.openapi.spec import Example
from litestar.params import PathParameter, QueryParameter, SkipValidation
from litestar.response import Stream
from litestar.types import Guard

from wagateway.domain.errors import InvalidInput
from wagateway.domain.filenames import content_disposition
from wagateway.domain.identity import (
    Jid,
    SessionName,
    StanzaId,
    account_named,
    chat_candidates,
    session_named,
)
from wagateway.domain.media import DownloadStatus
from wagateway.domain.messages import Kind
from wagateway.domain.text import MAX_ID_CHARS, clean_id
from wagateway.domain.views import FilePage, FileView, MediaView, MessagePage, MessageView
from wagateway.entrypoints.http import examples
from wagateway.entrypoints.http.answers import answers
from wagateway.entrypoints.http.parameters import (
    Account,
    Chat,
    Cursor,
    Limit,
    Session,
)
from wagateway.entrypoints.http.problems import (
    PROBLEM_JSON,
    documented,
    documented_by,
    not_stored,
    problem,
)
from wagateway.entrypoints.http.ranges import NothingThere, is_held, range_applies, wanted_range
from wagateway.ports.downloads import RETRIED
from wagateway.usecases.closing import closing
from wagateway.usecases.media_library import MediaLibrary, NotStored, ServedFile

Library = NamedDependency[SkipValidation[MediaLibrary]]
_Request = Request[Any, Any, Any]
_View = TypeVar("_View", FileView, MessageView)

ANY = "*/*"
IMAGE = "image/*"
"""What OpenAPI says of bytes whose type differs from one to the next."""

_HASH_CHARS = 16
_FILE_HEADERS = {
    "Accept-Ranges": "bytes",
    "Cache-Control": "private, max-age=31536000, immutable",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'; sandbox",
}
"""Beside those of every answer; what is stored under a hash never changes."""
_ASKED_AGAIN = {"Cache-Control": "private, no-cache"}
"""Where a better one may come."""

MessageId = Annotated[
    str,
    PathParameter(
        description="The message's `id`.", examples=[Example(value="3EB0C767D097B7C7C7C7")]
    ),
]
Download = Annotated[
    bool,
    QueryParameter(
        description="Save it, also where a browser could show it.", examples=[Example(value=True)]
    ),
]
Redirect = Annotated[
    bool | None,
    QueryParameter(
        description=(
            "Send the browser to the media store, where that has addresses, instead of passing the"
            " bytes on; default: the setting WHATSAPP_MEDIA_REDIRECT."
        ),
        examples=[Example(value=False)],
    ),
]
Hash = Annotated[
    str,
    QueryParameter(
        description=(
            "How the file's SHA-256 begins, as in `media.url`: it tells two messages apart that"
            " claim one id."
        ),
        max_length=64,
        examples=[Example(value="9f86d081884c7d65")],
    ),
]
KindChoice = Annotated[
    Kind | None,
    QueryParameter(description="Only files of such messages.", examples=[Example(value="image")]),
]
StatusChoice = Annotated[
    DownloadStatus | None,
    QueryParameter(
        description="Only files whose download stands so.", examples=[Example(value="failed")]
    ),
]
StatusChoices = Annotated[
    list[DownloadStatus] | None,
    QueryParameter(
        description=(
            "Only files whose download stands so; may be given several times. Default: `failed` and"
            " `expired`."
        ),
        examples=[Example(value=["failed", "skipped"])],
    ),
]
ChatFilter = Annotated[
    str | None,
    QueryParameter(
        description="Only files of this chat: a JID, a LID or a phone number.",
        examples=[Example(value="5511987650102@c.us")],
    ),
]
MessageFilter = Annotated[
    str | None,
    QueryParameter(
        description="Only the file of this message; together with `chat`.",
        examples=[Example(value="3EB0C767D097B7C7C7C7")],
    ),
]


class Which(TypedDict):
    """The file that an address names, as the library asks for it."""

    session: SessionName
    chat: Sequence[Jid]
    stanza: StanzaId
    account: Jid | None
    sha256: str


def which_file(
    session: Session, chat: Chat, message_id: MessageId, account: Account = None, sha256: Hash = ""
) -> Which:
    """Read the parameters that the routes of one file share."""
    return Which(
        session=session_named(session),
        chat=chat_candidates(chat),
        stanza=_id(message_id),
        account=account_named(account),
        sha256=sha256,
    )


_Named = NamedDependency[SkipValidation[Which]]


class Retried(msgspec.Struct, frozen=True, kw_only=True):
    """How many files are fetched again."""

    files: int


_EXPIRED = not_stored(
    NotStored(
        "the file of this message is not stored; it is expired: WhatsApp has it no longer",
        status=DownloadStatus.EXPIRED,
        problem="WhatsApp has it no longer",
    )
)


def _documented_file(text: str, media_type: str) -> dict[int, ResponseSpec]:
    part = "The part that the header Range asks for; Content-Range tells which it is."
    moved = "The file is at the address in the header Location, in the media store, for minutes."
    held = "Whoever asks has it: the header If-None-Match names its ETag."
    return {
        200: _documented_bytes(text, media_type),
        206: _documented_bytes(part, media_type),
        302: ResponseSpec(None, description=moved),
        304: ResponseSpec(None, description=held),
        **documented(400, 401, 404, 410, 416, 429, 500, 503),
        404: documented_by(_EXPIRED),
    }


def _documented_bytes(text: str, media_type: str) -> ResponseSpec:
    return ResponseSpec(bytes, description=text, media_type=media_type, generate_examples=False)


@get(
    "/media/{session:str}/{chat:str}/{message_id:str}",
    summary="A message's file",
    operation_id="message_file",
    tags=["Media"],
    media_type=ANY,
    responses=_documented_file("The file, whole; its type is what it was found to be.", ANY),
)
async def message_file(
    request: _Request,
    library: Library,
    which: _Named,
    download: Download = False,  # noqa: FBT002 - by name
    redirect: Redirect = None,
) -> Response[Any]:
    """Return the stored file of a message, whole or the range that is asked for.

    The ETag is the file's SHA-256. Pictures, sound and films are shown in place, all else is
    saved, since it might run as a program of this site. A file that is not stored is a `404` that
    says why: `media_status` and `media_problem` are `status` and `problem` of the message's
    `media`. Where there is no such message, both are missing; one that was purged is a `410`.
    """
    file = await library.file(**which)
    return _answer(request, library, file, inline=not download, redirect=redirect)


@get(
    "/media/{session:str}/{chat:str}/{message_id:str}/thumbnail",
    summary="A preview of a message's file",
    operation_id="message_thumbnail",
    tags=["Media"],
    media_type=IMAGE,
    responses=_documented_file(
        "A WebP image of at most 400 pixels on the longer side; while the file is not stored, the"
        " JPEG, PNG or WebP image of at most 32 KiB that came inside the message.",
        IMAGE,
    ),
)
async def message_thumbnail(
    request: _Request,
    library: Library,
    which: _Named,
    redirect: Redirect = None,
) -> Response[Any]:
    """Return a small picture: of a picture itself, a film's first frame, a PDF's first page.

    While the file is not stored, whatever its status, this is the tiny picture that WhatsApp sent
    inside the message, where it did: without `sha256`, with its own type, the SHA-256 of its bytes
    as the ETag, and to be asked for again, since a better one may come.
    """
    file = await library.thumbnail(**which)
    return _answer(request, library, file, inline=True, redirect=redirect)


@head("/media/{session:str}/{chat:str}/{message_id:str}", include_in_schema=False)
async def file_head(
    request: _Request,
    library: Library,
    which: _Named,
    download: Download = False,  # noqa: FBT002 - by name
) -> Response[None]:
    """Return the headers of the file alone."""
    return _headers_only(request, await library.file(**which), inline=not download)


@head("/media/{session:str}/{chat:str}/{message_id:str}/thumbnail", include_in_schema=False)
async def thumbnail_head(request: _Request, library: Library, which: _Named) -> Response[None]:
    """Return the headers of the preview alone."""
    return _headers_only(request, await library.thumbnail(**which), inline=True)


@get(
    "/media/{session:str}",
    summary="The files of a session",
    operation_id="list_files",
    tags=["Media"],
    responses=answers(FilePage, examples.FILES, 400, 401, 404, 429, 500, 503),
)
async def list_files(
    library: Library,
    session: Session,
    account: Account = None,
    kind: KindChoice = None,
    status: StatusChoice = None,
    limit: Limit = 100,
    before: Cursor = None,
) -> FilePage:
    """Return the files of all chats, those of the latest messages first, stored or not.

    `next` leads to older ones: give it as `before`. `status=failed` shows what is tried again
    seldom, `status=expired` what nobody has any more, each with its `problem`.
    """
    page = await library.files(
        session_named(session),
        account=account_named(account),
        kind=kind,
        status=status,
        before=before or None,
        limit=limit,
    )
    files = [with_address(each, account) for each in page.files]
    return msgspec.structs.replace(page, files=files)


@post(
    "/media/{session:str}/retry",
    summary="Fetch files again",
    operation_id="retry_files",
    tags=["Media"],
    status_code=202,
    responses=answers(Retried, examples.RETRIED, 400, 401, 404, 429, 500, 503, success=202),
)
async def retry_files(
    library: Library,
    session: Session,
    account: Account = None,
    chat: ChatFilter = None,
    message_id: MessageFilter = None,
    status: StatusChoices = None,
) -> Retried:
    """Let a worker fetch files at once: those that failed or expired, or all that stand so.

    What is stored stays; the answer does not wait for the others.
    """
    if message_id and not chat:
        raise InvalidInput("message_id is given together with chat, since ids repeat between chats")
    files = await library.retry(
        session_named(session),
        account=account_named(account),
        chat=chat_candidates(chat) if chat else (),
        stanza=_id(message_id) if message_id else None,
        statuses=RETRIED if status is None else status,
    )
    return Retried(files=files)


def _id(text: str) -> StanzaId:
    """Return *text* as the archive writes ids; no message has one that is empty or too long."""
    return StanzaId(clean_id(text[: MAX_ID_CHARS + 1]))


def _answer(
    request: _Request,
    library: MediaLibrary,
    file: ServedFile,
    *,
    inline: bool,
    redirect: bool | None,
) -> Response[Any]:
    headers = _headers(file, inline=inline)
    if is_held(request.headers.get("if-none-match"), headers["ETag"]):
        return Response(b"", status_code=304, headers=headers)
    address = library.link(file, inline=inline, wanted=redirect)
    if address is not None:
        return Response(b"", status_code=302, headers={"Location": address})
    try:
        part = _part(request, file, headers["ETag"])
    except NothingThere:
        return Response(
            problem(416, f"The file has {file.size_bytes:,} bytes."),
            status_code=416,
            media_type=PROBLEM_JSON,
            headers={"Content-Range": f"bytes */{file.size_bytes}", "Accept-Ranges": "bytes"},
        )
    first, last = (0, file.size_bytes - 1) if part is None else part
    headers["Content-Length"] = str(last - first + 1)
    if part is not None:
        headers["Content-Range"] = f"bytes {first}-{last}/{file.size_bytes}"
    return Stream(
        _pieces(library, file, first, last - first + 1),
        status_code=200 if part is None else 206,
        headers=headers,
    )


def _headers_only(request: _Request, file: ServedFile, *, inline: bool) -> Response[None]:
    headers = _headers(file, inline=inline)
    if is_held(request.headers.get("if-none-match"), headers["ETag"]):
        return Response(None, status_code=304, headers=headers)
    return Response(None, headers=headers | {"Content-Length": str(file.size_bytes)})


def _headers(file: ServedFile, *, inline: bool) -> dict[str, str]:
    shown = inline and file.is_shown_inline
    own = {
        "Content-Disposition": content_disposition(file.filename, inline=shown),
        "Content-Type": file.mimetype,
        "ETag": f'"{file.version}"',
    }
    return _FILE_HEADERS | own | ({} if file.is_final else _ASKED_AGAIN)


def _part(request: _Request, file: ServedFile, etag: str) -> tuple[int, int] | None:
    if not range_applies(request.headers.get("if-range"), etag):
        return None
    return wanted_range(request.headers.get("range"), file.size_bytes)


async def _pieces(
    library: MediaLibrary, file: ServedFile, start: int, length: int
) -> AsyncIterator[bytes]:
    if length < 1:
        return
    async with closing(library.read(file, start=start, length=length)) as pieces:
        async for piece in pieces:
            yield piece


def with_addresses(page: MessagePage, account: str | None) -> MessagePage:
    """Return *page* with where this API has the files; *account* as it was asked for."""
    messages = [with_address(each, account) for each in page.messages]
    return msgspec.structs.replace(page, messages=messages)


def with_address(view: _View, account: str | None) -> _View:
    """Return *view* with where this API has its file; *account* as it was asked for."""
    media: MediaView | None = view.media
    parts = (view.session, view.chat_id, view.id)
    if media is None:
        return view
    stored = media.sha256 if media.status is DownloadStatus.COMPLETED else None
    if any("/" in part or part.strip(".") == "" for part in parts):  # no address can name it
        return view
    path = "/".join(quote(part, safe="@") for part in parts)
    asked = {"sha256": stored[:_HASH_CHARS]} if stored else {}
    asked |= {"account": account} if account else {}
    query = f"?{urlencode(asked)}" if asked else ""
    url = f"/api/media/{path}"
    media = msgspec.structs.replace(
        media,
        url=url + query if stored else None,
        thumbnail_url=f"{url}/thumbnail{query}" if media.has_thumbnail else None,
    )
    return msgspec.structs.replace(view, media=media)


def media_router(guard: Guard) -> Router:
    """Return the routes under ``/api/media``, each behind *guard*."""
    handlers: Sequence[HTTPRouteHandler] = [
        message_file,
        file_head,
        message_thumbnail,
        thumbnail_head,
        list_files,
        retry_files,
    ]
    return Router(
        "/api",
        route_handlers=handlers,
        dependencies={"which": Provide(which_file, sync_to_thread=False)},
        guards=[guard],
        security=[{"apiToken": []}, {"bearer": []}],
    )
