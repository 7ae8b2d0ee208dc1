"""Who may do what: scopes and the actor that a credential stands for. Rules: teams own everything, nobody
grants what they lack, a player's token reaches its own player only."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from hub.domain.errors import Forbidden, Invalid

SCOPES: dict[str, str] = {
    "read:players": "List players and groups",
    "write:players": "Send commands to players",
    "read:content": "Read layouts, playlists, assets",
    "write:content": "Create/modify content",
    "read:analytics": "Access analytics and reports",
    "webhooks": "Manage webhook registrations",
    "admin": "Create and delete players, tokens, pairing, keys, members and updates",
}

ActorKind = Literal["key", "user", "player", "system"]


@dataclass(frozen=True, slots=True)
class Actor:
    """The caller behind a request: which team, with which scopes, known to the audit trail by `kind` and `id`.

    `address` and `agent` are the network address and User-Agent of this request, for the audit line.
    """

    kind: ActorKind
    id: int
    team_id: int
    name: str
    scopes: frozenset[str]
    address: str | None = None
    agent: str | None = None

    def require(self, scope: str | None) -> None:
        """Raise Forbidden unless the actor holds `scope` (None: any known caller)."""
        if scope is not None and scope not in self.scopes:
            raise Forbidden(f"This API key lacks the required scope: {scope}.", code="missing_scope")


def grantable(actor: Actor, wanted: Iterable[str]) -> frozenset[str]:
    """The scopes `wanted`, checked: each exists, and the actor holds it."""
    scopes = frozenset(wanted)
    unknown = sorted(scopes - SCOPES.keys())
    if unknown:
        raise Invalid.field("scopes", f"Unknown scope: {', '.join(unknown)}.")
    missing = sorted(scopes - actor.scopes)
    if missing:
        raise Forbidden(f"Nobody grants what they lack: {', '.join(missing)}.", code="missing_scope")
    return scopes
