"""Who is calling: the bearer credential of a request, and the address it came from."""

import re
from collections.abc import Mapping
from typing import Any

from starlette.types import Scope

from hub.client_address import TrustedProxies
from hub.domain.access import Actor
from hub.domain.errors import Unauthenticated

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


def client_address(scope: Scope, proxies: TrustedProxies) -> str | None:
    """The address of whoever called, None on a Unix socket."""
    client = scope.get("client")
    wanted = proxies.header.encode()
    lines = [value.decode("latin-1") for name, value in scope["headers"] if name == wanted]
    return proxies.client(client and client[0], lines)


def user_agent(headers: Mapping[bytes, bytes]) -> str | None:
    agent = headers.get(b"user-agent")
    return None if agent is None else agent[:_AGENT_CHARACTERS].decode("latin-1")


async def authenticate(headers: Mapping[bytes, bytes], services: Any, address: str | None) -> Actor:
    """The caller of this request. Raises Unauthenticated, with no word on what was wrong."""
    token = bearer(headers)
    if token is None:
        raise Unauthenticated
    actor: Actor | None = await services.access.authenticate(token, address=address, agent=user_agent(headers))
    if actor is None:
        raise Unauthenticated
    return actor
