"""One REST call, and the routes that answer it."""

from collections.abc import Callable
from typing import Any

from msgspec import Struct

from wagateway.simulator.hosted import Hosted
from wagateway.simulator.rest_answers import Answer
from wagateway.simulator.rest_query import Query
from wagateway.simulator.waha_server import WahaServer


class Call(Struct, kw_only=True):
    """What is asked.

    Attributes:
        params: the named parts of the path.
        body: a JSON object; empty where there is none.
        hosted: the session that it is about, None where it is about none.
        accept: the header; empty where there is none.
    """

    server: WahaServer
    params: dict[str, str]
    query: Query
    body: dict[str, Any]
    accept: str = ""
    hosted: Hosted | None = None

    @property
    def session(self) -> Hosted:
        """The session that it is about; only of routes that name one."""
        if self.hosted is None:
            raise LookupError("the route names no session")
        return self.hosted


class Route(Struct, frozen=True, kw_only=True):
    """A method and a path, whose parts in braces are anything.

    Attributes:
        needs_working: refused while the session is not WORKING.
        session_in_query: the session is no part of the path.
    """

    method: str
    path: str
    handle: Callable[[Call], Answer]
    needs_working: bool = True
    session_in_query: bool = False

    def match(self, parts: list[str]) -> dict[str, str] | None:
        """Return the named parts of a path that fits, taken apart at its slashes."""
        pattern = self.path.split("/")
        if len(pattern) != len(parts):
            return None
        found = {}
        for name, part in zip(pattern, parts, strict=True):
            if name.startswith("{"):
                found[name[1:-1]] = part
            elif name != part:
                return None
        return found
