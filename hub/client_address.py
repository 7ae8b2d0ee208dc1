"""Whose request it is when proxies stand before the hub. One rule for calls and sockets."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address
from typing import Final, Literal

Network = IPv4Network | IPv6Network
ForwardedHeader = Literal["x-forwarded-for", "forwarded"]

_PORT: Final = r"(?::(?:\d{1,5}|_[A-Za-z0-9._-]+))?"
_BRACKETED: Final = re.compile(rf"\[([0-9A-Fa-f:.]+)(?:%[^\]]*)?\]{_PORT}")
_IPV4: Final = re.compile(rf"(\d+\.\d+\.\d+\.\d+){_PORT}")
_IPV6: Final = re.compile(r"([0-9A-Fa-f:.]+)(?:%.*)?")
_IPV6_AND_PORT: Final = re.compile(r"((?:[0-9A-Fa-f]{1,4}:){7}[0-9A-Fa-f]{1,4}):\d{1,5}")  # nine groups: one is a port
_FORMS: Final = (_BRACKETED, _IPV4, _IPV6_AND_PORT, _IPV6)

_TOKEN: Final = r"[!#$%&'*+.^_`|~0-9A-Za-z-]+"
_VALUE: Final = r'"(?:[^"\\]|\\.)*"|[^\s",;]*'  # more than a token: addresses with ports often come without quotes
_PAIR: Final = re.compile(rf"[ \t]*(?:({_TOKEN})=({_VALUE})[ \t]*)?(?=[;,]|$)")  # or none
_LINE_MOST: Final = 4_096  # characters of a Forwarded line that is read: forty hops that each tell all they may
_ESCAPED: Final = re.compile(r"\\(.)")


@dataclass(frozen=True, slots=True)
class TrustedProxies:
    """The networks of proxies that are believed, and the one header that they write. From anywhere else, and in any
    other header, it is a claim that the caller could have made up."""

    networks: Sequence[Network] = ()
    header: ForwardedHeader = "x-forwarded-for"

    def client(self, peer: str | None, lines: Sequence[str]) -> str | None:
        """The address of whoever called; None where the peer has none, on a Unix socket.

        `peer` is the other end of the connection, `lines` are the values of `header` in the order in which they came,
        one for each line. They are read from the end: each trusted hop vouches for the one before it, and the first
        that is not trusted is the client. A hop that is no address ends the walk at the one that told it.
        """
        if peer is None:
            return None
        address = _address(peer)
        if address is None:
            return peer
        if self._trusts(address):
            for hop in self._hops(lines):
                told = hop and _address(hop)
                if not told:
                    break
                address = told
                if not self._trusts(address):
                    break
        return str(address)

    def _trusts(self, address: IPv4Address | IPv6Address) -> bool:
        return any(address in network for network in self.networks)

    def _hops(self, lines: Sequence[str]) -> Iterable[str | None]:
        """From the nearest to the farthest; None for one that is not told."""
        for line in reversed(lines):
            if self.header == "forwarded":
                yield from reversed(_forwarded(line))
            else:
                # Commas inside of quotes part hops too: else a quote of the client's would swallow the proxy's word.
                hops = (hop.strip(" \t") for hop in reversed(line.split(",")))
                yield from (hop.strip(' \t"') for hop in hops if hop)  # an empty element is none (RFC 9110, 5.6.1)


NO_PROXIES: Final = TrustedProxies()


def _forwarded(line: str) -> list[str | None]:
    """The `for` of each element of a Forwarded header (RFC 7239). What breaks its grammar, or is longer than
    _LINE_MOST, tells nothing, as a whole."""
    if len(line) > _LINE_MOST:
        return [None]
    hops: list[str | None] = []
    element: dict[str, str] = {}
    at = 0
    while True:
        pair = _PAIR.match(line, at)
        if pair is None:
            return [None]
        if pair[1] is not None:
            name, value = pair[1].lower(), pair[2]
            if name in element:
                return [None]
            element[name] = _ESCAPED.sub(r"\1", value[1:-1]) if value.startswith('"') else value
        at = pair.end()
        if line[at : at + 1] != ";":
            hops.append(element.get("for"))
            element = {}
        if at == len(line):
            return hops
        at += 1


def _address(text: str) -> IPv4Address | IPv6Address | None:
    """The address of a hop as proxies write it: with a port or without, IPv6 in brackets or not, with a zone, which
    means something on the proxy alone. None for `unknown`, `_hidden` and whatever else is no address."""
    found = next(filter(None, (form.fullmatch(text) for form in _FORMS)), None)
    if found is None:
        return None
    try:
        address = ip_address(found[1])
    except ValueError:
        return None
    return getattr(address, "ipv4_mapped", None) or address
