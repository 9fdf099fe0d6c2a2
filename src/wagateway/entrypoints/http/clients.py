"""Who a request comes from, as far as that can be known: an address, or the network of one.

What a header says of it counts only as far back as proxies say it that the operator named.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from ipaddress import (
    IPv4Address,
    IPv4Network,
    IPv6Address,
    IPv6Network,
    ip_address,
    ip_network,
)

from litestar.types import Scope

_Address = IPv4Address | IPv6Address
_FORWARDED = b"x-forwarded-for"
_ONE_HOUSEHOLD = 64
"""Bits of an IPv6 address; whoever has one has all that begin alike."""


@dataclass(frozen=True, slots=True)
class TrustedProxies:
    """Those whose ``X-Forwarded-For`` is believed; without any, nobody's is."""

    networks: tuple[IPv4Network | IPv6Network, ...] = ()

    @classmethod
    def named(cls, networks: Iterable[str]) -> "TrustedProxies":
        """Trust whoever is in one of *networks*, written as ``10.0.0.0/8`` or as an address."""
        return cls(tuple(ip_network(each) for each in networks))

    def client_of(self, scope: Scope) -> str:
        """Return who sent the request of *scope*: a name for those who are to be told apart."""
        peer = scope.get("client")
        address = _read(peer[0]) if peer else None
        if address is None:
            return peer[0] if peer else ""
        for said in _forwarded(scope):
            if not self._trusts(address):
                break
            before = _read(said)
            if before is None:
                break
            address = before
        return _named(address)

    def _trusts(self, address: _Address) -> bool:
        return any(address in network for network in self.networks)


def _forwarded(scope: Scope) -> Iterator[str]:
    """Yield what the proxies say, the last of them first."""
    for name, value in reversed(list(scope["headers"])):
        if name == _FORWARDED:
            yield from reversed(value.decode("latin-1").split(","))


def _read(text: str) -> _Address | None:
    """Return the address in *text*, which may have a port; None where there is none."""
    text = text.strip()
    if text.startswith("["):
        text = text[1:].partition("]")[0]
    elif text.count(":") == 1:
        text = text.partition(":")[0]
    try:
        address = ip_address(text)
    except ValueError:
        return None
    return getattr(address, "ipv4_mapped", None) or address


def _named(address: _Address) -> str:
    if isinstance(address, IPv4Address):
        return str(address)
    return str(IPv6Network((int(address), _ONE_HOUSEHOLD), strict=False))
