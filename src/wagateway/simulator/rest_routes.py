"""All routes of the simulated WAHA's REST API."""

from wagateway.simulator.rest_call import Route
from wagateway.simulator.rest_groups import GROUPS
from wagateway.simulator.rest_messages import MESSAGES
from wagateway.simulator.rest_people import PEOPLE
from wagateway.simulator.rest_sessions import SESSIONS

ROUTES: tuple[Route, ...] = (*SESSIONS, *MESSAGES, *PEOPLE, *GROUPS)
"""The first one that fits answers."""


def find_route(method: str, path: str) -> tuple[Route | None, dict[str, str]]:
    """Return the route of a request, and the named parts of its path."""
    parts = path.rstrip("/").split("/")
    for route in ROUTES:
        if route.method == method and (params := route.match(parts)) is not None:
            return route, params
    return None, {}
