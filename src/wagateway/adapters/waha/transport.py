"""Requests to one WAHA server: patient, polite, and with errors that say what to do.

Only reads are repeated. All tasks of one transport share a number of requests at once, and a
turnstile, which keeps a pace and spares a server that is down, and us the waiting for it.
"""

import asyncio
import re
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from http.cookiejar import CookieJar, DefaultCookiePolicy
from typing import NoReturn

import httpx
import msgspec
import stamina
from msgspec import Struct

from wagateway.adapters.waha.fields import items, obj
from wagateway.domain.errors import (
    EngineUnavailable,
    Gone,
    InvalidInput,
    NotFound,
    NotSupported,
    RateLimited,
    Refused,
    SessionNotReady,
)
from wagateway.ports.turnstile import Pace, Turnstile

CONNECT_S = 5.0
_HINT_CHARS = 200
_HINTS = 10
AS_IT_IS = "identity"
"""The one coding of answers that is taken: a packed one may become any size."""
_STATUS = re.compile(r"[A-Z_]{1,40}")
_LONGEST_PAUSE_S = 5.0
_LONGEST_ASKED_S = 3600.0


class Manners(Struct, frozen=True, kw_only=True):
    """How a server is treated.

    Attributes:
        attempts: of a read, 1 or more.
        first_wait_s: before the second attempt; the waits double, with jitter.
        per_second: requests a second, at most.
        at_once: requests at the same time, at most.
        failures: in a row after which it is left alone.
        rest_s: for how long.
        largest_bytes: of an answer.
    """

    attempts: int = 3
    first_wait_s: float = 0.5
    per_second: int = 20
    at_once: int = 4
    failures: int = 5
    rest_s: float = 15.0
    largest_bytes: int = 64 * 2**20

    @property
    def pace(self) -> Pace:
        """What its turnstile keeps."""
        return Pace(per_second=self.per_second, failures=self.failures, rest_s=self.rest_s)


class _Broken(Exception):
    """A failure that counts against the server; its text is fit for people."""


class _Busy(Exception):
    """The server asks to wait."""

    def __init__(self, wait_s: float | None) -> None:
        super().__init__("WAHA asks to wait")
        self.wait_s = wait_s


class Answer(Struct, frozen=True):
    """What a server answered.

    Attributes:
        body: never shown to anybody where the status is 5xx.
        wait_s: how long it asks to wait, None where it does not.
    """

    status: int
    body: bytes
    wait_s: float | None = None


class Transport:
    """An open connection pool to one server."""

    def __init__(self, client: httpx.AsyncClient, manners: Manners, turnstile: Turnstile) -> None:
        self._client = client
        self._manners = manners
        self._turnstile = turnstile
        self._room = asyncio.Semaphore(manners.at_once)

    async def get(
        self, path: str, *, timeout_s: float, params: Mapping[str, str | int] | None = None
    ) -> bytes:
        """Return the body of a read, which is repeated where that may help.

        Raises:
            EngineUnavailable, RateLimited, Refused, InvalidInput, SessionNotReady, NotFound,
            NotSupported: see `wagateway.ports.engine.Engine`.
        """
        manners = self._manners
        return await self._done(
            "GET", path, timeout_s=timeout_s, params=params, attempts=manners.attempts
        )

    async def post(
        self, path: str, *, timeout_s: float, body: Mapping[str, object] | None = None
    ) -> bytes:
        """Return the body of the answer to a command, which is sent once.

        Raises:
            The same as get().
        """
        return await self._done("POST", path, timeout_s=timeout_s, body=body, attempts=1)

    async def _done(
        self,
        method: str,
        path: str,
        *,
        timeout_s: float,
        attempts: int,
        params: Mapping[str, str | int] | None = None,
        body: Mapping[str, object] | None = None,
    ) -> bytes:
        content = None if body is None else msgspec.json.encode(body)
        request = self._client.build_request(
            method,
            path,
            params=params,
            content=content,
            headers={"content-type": "application/json"} if content else None,
            timeout=httpx.Timeout(timeout_s, connect=CONNECT_S),
        )
        try:
            answer = await self._repeatedly(request, attempts, timeout_s)
        except _Broken as exc:
            raise EngineUnavailable(str(exc)) from exc
        except _Busy as exc:
            raise RateLimited(str(exc), wait_s=exc.wait_s) from exc
        return answer.body if httpx.codes.is_success(answer.status) else _refuse(answer)

    async def _repeatedly(self, request: httpx.Request, attempts: int, timeout_s: float) -> Answer:
        retries = stamina.retry_context(
            on=_worth_repeating,
            attempts=attempts,
            timeout=None,
            wait_initial=self._manners.first_wait_s,
            wait_max=_LONGEST_PAUSE_S,
            wait_jitter=self._manners.first_wait_s,
        )
        async for attempt in retries:
            with attempt:
                return await self._once(request, timeout_s)
        raise EngineUnavailable("WAHA was not asked")

    async def _once(self, request: httpx.Request, timeout_s: float) -> Answer:
        async with self._room:
            await self._turnstile.wait()
            try:
                answer = await self._tried(request, timeout_s)
            except _Broken:
                await self._turnstile.failed()
                raise
            await self._turnstile.answered()
        if answer.status == httpx.codes.TOO_MANY_REQUESTS:
            raise _Busy(answer.wait_s)
        return answer

    async def _tried(self, request: httpx.Request, timeout_s: float) -> Answer:
        try:
            async with asyncio.timeout(timeout_s):
                answer = await self._sent(request)
        except TimeoutError as exc:
            raise _Broken(f"WAHA did not answer within {timeout_s:g} s") from exc
        except (httpx.HTTPError, httpx.StreamError) as exc:
            raise _Broken(f"WAHA cannot be reached: {type(exc).__name__}") from exc
        if answer.status >= httpx.codes.INTERNAL_SERVER_ERROR:
            raise _Broken(f"WAHA answers {answer.status}")
        return answer

    async def _sent(self, request: httpx.Request) -> Answer:
        response = await self._client.send(request, stream=True)
        try:
            return Answer(
                response.status_code,
                await self._read(response),
                asked_wait_s(response.headers.get("retry-after", "")),
            )
        finally:
            await response.aclose()

    async def _read(self, response: httpx.Response) -> bytes:
        if response.headers.get("content-encoding", AS_IT_IS).lower() != AS_IT_IS:
            raise _Broken("WAHA's answer is packed, which was not asked for")
        largest, found = self._manners.largest_bytes, bytearray()
        async for chunk in response.aiter_bytes():
            found += chunk
            if len(found) > largest:
                raise _Broken(f"WAHA's answer is larger than {largest:,} bytes")
        return bytes(found)


def _worth_repeating(exc: Exception) -> bool:
    if isinstance(exc, _Busy):
        return exc.wait_s is None or exc.wait_s <= 0
    return isinstance(exc, _Broken)


def asked_wait_s(value: str) -> float | None:
    """Read ``Retry-After``: seconds, or a date; at most an hour, None where it says neither."""
    if value.isascii() and value.isdigit():
        return min(float(value[:9]), _LONGEST_ASKED_S)
    with suppress(ValueError, TypeError):
        at = parsedate_to_datetime(value)
        at = at if at.tzinfo else at.replace(tzinfo=UTC)
        return min(max((at - datetime.now(UTC)).total_seconds(), 0.0), _LONGEST_ASKED_S)
    return None


def _refuse(answer: Answer) -> NoReturn:
    """Raise what a 3xx or 4xx means; it is told by status and shape, never by words."""
    told = _decoded(answer.body)
    hint = _hint(told)
    match answer.status:
        case 401 | 403:
            raise Refused("WAHA does not accept the key: check WHATSAPP_API_KEY")
        case 404 if not told:
            raise NotFound(
                "404, in words that are not WAHA's: is WHATSAPP_CORE_URL the address of WAHA?"
            )
        case 404:
            raise NotFound(f"WAHA does not know it: {hint}")
        case 410:
            raise Gone(f"WhatsApp has it no longer: {hint}")
        case 422 if "expected" in told or "session" in told:
            raise SessionNotReady(f"the session is {_status(told)}")
        case 422:
            raise NotSupported(f"WAHA cannot do this here: {hint}")
        case 400 if _is_hint(told):
            raise NotSupported(f"WAHA is not set up for this: {hint}")
        case status if status >= httpx.codes.BAD_REQUEST:
            raise InvalidInput(f"WAHA answers {status}: {hint}")
        case status:
            raise EngineUnavailable(f"WAHA answers {status}, which is no answer")


def _is_hint(told: Mapping[str, object]) -> bool:
    """Tell a store that is off, whose message is one text, from a failed validation's array."""
    return isinstance(told.get("message"), str)


def _hint(told: Mapping[str, object]) -> str:
    message = told.get("message")
    given = [message] if isinstance(message, str) else items(message)
    words = "; ".join(each[:_HINT_CHARS] for each in given[:_HINTS] if isinstance(each, str))
    return _shown(words or "without a reason")[:_HINT_CHARS]


def _status(told: Mapping[str, object]) -> str:
    status = told.get("status")
    known = isinstance(status, str) and _STATUS.fullmatch(status)
    return str(status) if known else "not in the state that this needs"


def _shown(words: str) -> str:
    """Return *words* without what a database refuses or a terminal obeys."""
    return "".join(each if each.isprintable() else " " for each in words)


def _decoded(body: bytes) -> Mapping[str, object]:
    try:
        return obj(msgspec.json.decode(body))
    except (ValueError, RecursionError):
        return {}


@asynccontextmanager
async def open_transport(
    url: str,
    key: str | None,
    *,
    manners: Manners,
    turnstile: Turnstile,
    transport: httpx.AsyncBaseTransport | None,
) -> AsyncIterator[Transport]:
    """Open connections to the server at *url*, whose path is kept.

    Args:
        url: e.g. ``http://127.0.0.1:3000``; proxies of the environment are not used.
        key: sent as ``X-Api-Key``.
        manners: how the server is treated.
        turnstile: keeps their pace, for all who ask that server.
        transport: instead of the network, for tests.
    """
    headers = {"Accept-Encoding": AS_IT_IS} | ({"X-Api-Key": key} if key else {})
    async with httpx.AsyncClient(
        base_url=url.rstrip("/") + "/",
        headers=headers,
        cookies=CookieJar(DefaultCookiePolicy(allowed_domains=[])),
        trust_env=False,
        follow_redirects=False,
        transport=transport,
    ) as client:
        yield Transport(client, manners, turnstile)
