"""How often one client may ask, and how often it may fail to prove who it is.

A right credential is never refused for what others did: whoever shares an address with WAHA, behind
a proxy that is not named, could else keep its deliveries out. Secrets that are long enough are not
found by trying, however fast; the limit spares us the work and the log.
"""

import math
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass, field

from litestar.exceptions import TooManyRequestsException
from litestar.types import Scope

from wagateway.entrypoints.http.clients import TrustedProxies
from wagateway.ports.rate_limit import RateLimit

_MOST_PROVEN = 1000
_CLOSE = {"Connection": "close"}
"""Of who proves nothing, no body is read."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What is counted, for each client.

    Attributes:
        requests: of the API that have the right token; None: any number.
        failures: with a wrong credential or none, wherever one is needed; None: any number.
        proxies: who may say for whom they ask.
    """

    requests: RateLimit | None = None
    failures: RateLimit | None = None
    proxies: TrustedProxies = field(default_factory=TrustedProxies)
    _proven: OrderedDict[str, None] = field(default_factory=OrderedDict, init=False)

    def client_of(self, scope: Scope) -> str:
        """Return who asks."""
        return self.proxies.client_of(scope)

    async def asked(self, client: str) -> None:
        """Count a request that is let in.

        Raises:
            TooManyRequestsException: it has to wait.
        """
        if self.requests is not None:
            _raise_after(await self.requests.take(client))

    async def failed(self, client: str) -> None:
        """Count a credential that is wrong or missing.

        Raises:
            TooManyRequestsException: there were too many, and this is the answer.
        """
        if self.failures is not None:
            _raise_after(await self.failures.take(client), _CLOSE)

    async def require_good_name(self, client: str) -> None:
        """Check that it is worth while to read what *client* says that it has signed.

        Raises:
            TooManyRequestsException: it failed too often, and never succeeded.
        """
        if self.failures is not None and not self.is_proven(client):
            _raise_after(await self.failures.wait_s(client), _CLOSE)

    def is_proven(self, client: str) -> bool:
        """Tell whether *client* signed something rightly before."""
        return client in self._proven

    def proved(self, client: str) -> None:
        """Remember that *client* signed something rightly."""
        self._proven[client] = None
        self._proven.move_to_end(client)
        if len(self._proven) > _MOST_PROVEN:
            self._proven.popitem(last=False)


def _raise_after(wait_s: float, headers: Mapping[str, str] | None = None) -> None:
    if wait_s > 0:
        seconds = max(1, math.ceil(wait_s))
        raise TooManyRequestsException(
            detail=f"Too many requests came from here. Repeat after {seconds} s.",
            headers={"Retry-After": str(seconds), **(headers or {})},
        )
