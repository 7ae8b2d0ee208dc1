"""Who is calling: the bearer credential of a request, and the address it came from."""

import re
from collections.abc import Mapping, Sequence
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address
from typing import Any

from starlette.types import Scope

from hub.domain.access import Actor
from hub.domain.errors import Unauthenticated

Network = IPv4Network | IPv6Network

# Characters of RFC 6750 and `|`, which account tokens contain. The longest credential, a JWT, stays far below 4 KiB.
# Hangar's clients say `HangarAuth` or put the bare JWT there: its document leaves the scheme open.
_BEARER = re.compile(rb"(?:bearer|hangarauth) +([A-Za-z0-9\-._~+/=|]{1,4096}) *", re.IGNORECASE)
_BARE_JWT = re.compile(rb"([A-Za-z0-9\-_]{1,1024}\.[A-Za-z0-9\-_]{1,2048}\.[A-Za-z0-9\-_]{0,1024})")
_AGENT_CHARACTERS = 200  # enough to recognise a client by; longer ones are padding


def bearer(headers: Mapping[bytes, bytes]) -> str | None:
    """The token of `Authorization: Bearer <token>`; None when there is none or it cannot be one."""
    value = headers.get(b"authorization", b"")
    found = _BEARER.fullmatch(value) or _BARE_JWT.fullmatch(value)
    return found and found[1].decode("ascii")


def client_address(scope: Scope, headers: Mapping[bytes, bytes], trusted: Sequence[Network]) -> str | None:
    """The address of whoever called, None on a Unix socket.

    A trusted proxy's X-Forwarded-For is read from the right: each trusted hop vouches for the one before it, and the
    first that is not trusted is the client. What stands further left is the client's own claim.
    """
    client = scope.get("client")
    if client is None:
        return None
    peer: str = client[0]
    if not trusted or not (forwarded := headers.get(b"x-forwarded-for")):
        return peer
    for claim in reversed(forwarded.decode("latin-1").split(",")):
        if not _within(peer, trusted):
            break
        address = _parsed(claim)
        if address is None:
            break
        peer = str(address)
    return peer


def _within(address: str, networks: Sequence[Network]) -> bool:
    parsed = _parsed(address)
    return parsed is not None and any(parsed in network for network in networks)


def _parsed(text: str) -> IPv4Address | IPv6Address | None:
    try:
        address = ip_address(text.strip())
    except ValueError:
        return None
    return getattr(address, "ipv4_mapped", None) or address


def user_agent(headers: Mapping[bytes, bytes]) -> str | None:
    agent = headers.get(b"user-agent")
    return None if agent is None else agent[:_AGENT_CHARACTERS].decode("latin-1")


async def authenticate(
    scope: Scope, headers: Mapping[bytes, bytes], services: Any, trusted: Sequence[Network]
) -> Actor:
    """The caller of this request. Raises Unauthenticated, with no word on what was wrong."""
    token = bearer(headers)
    if token is None:
        raise Unauthenticated
    actor: Actor | None = await services.access.authenticate(
        token, address=client_address(scope, headers, trusted), agent=user_agent(headers)
    )
    if actor is None:
        raise Unauthenticated
    return actor
