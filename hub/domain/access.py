"""Who may do what: scopes, roles, and the actor that a credential stands for. Rules: teams own everything, nobody
grants what they lack, a key or token never holds more than its user's role gives, a player's token reaches its own
player only."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal, NamedTuple

from hub.domain import ids, wording
from hub.domain.errors import Forbidden

SCOPES: dict[str, str] = {
    "read:players": "List players and groups",
    "write:players": "Send commands to players",
    "read:content": "Read layouts, playlists, assets",
    "write:content": "Create/modify content",
    "read:analytics": "Access analytics and reports",
    "webhooks": "Manage webhook registrations",
    "admin": "Create and delete players, tokens, pairing, keys, members and updates",
}

Role = Literal["owner", "admin", "operator", "viewer"]

_VIEWER = frozenset({"read:players", "read:content"})
_OPERATOR = _VIEWER | {"write:players", "write:content", "read:analytics"}

ROLES: dict[str, frozenset[str]] = {
    "owner": frozenset(SCOPES),
    "admin": frozenset(SCOPES),
    "operator": _OPERATOR,
    "viewer": _VIEWER,
}
"""What each role gives. An owner differs from an admin in one thing: only owners make, change and remove owners."""

ActorKind = Literal["key", "user", "player", "system"]
CredentialKind = Literal["key", "login", "jwt", "grant", "player"]


class Credential(NamedTuple):
    """What proved who is calling: an API key, a login, a JWT (by its key: `key`), an OAuth grant, a player's token.
    `id` is that of the key, the login, the grant or the player."""

    kind: str
    id: int


@dataclass(frozen=True, slots=True)
class Actor:
    """The caller behind a request: which team, with which scopes, known to the audit trail by `kind` and `id`.

    `address` and `agent` are the network address and User-Agent of this request, for the audit line. `user_id` and
    `role` are those of the person behind it: none for players, and for keys that belong to nobody. `plan` is the
    team's. `passing`: what it came with ends by itself, or when somebody takes back what they allowed to a program.
    `ends_at` is when the credential ends by itself (Unix ms), as far as that was known when it was looked up.
    """

    kind: ActorKind
    id: int
    team_id: int
    name: str
    scopes: frozenset[str]
    address: str | None = None
    agent: str | None = None
    user_id: int | None = None
    role: str | None = None
    plan: str = "unlimited"
    credential: Credential | None = None
    passing: bool = False
    ends_at: int | None = None

    def require_lasting(self) -> None:
        """Raise Forbidden for what would go on giving access after the actor's own has ended."""
        if self.passing:
            raise Forbidden(
                "Programs, and keys that end by themselves, change neither people nor programs. Log in, or use a key "
                "without an end.",
                code="lasting_required",
            )

    def require(self, scope: str | None) -> None:
        """Raise Forbidden unless the actor holds `scope` (None: any known caller)."""
        if scope is not None and scope not in self.scopes:
            what = "API key" if self.kind == "key" else "account"
            raise Forbidden(f"This {what} lacks the required scope: {scope}.", code="missing_scope")


def grantable(actor: Actor, wanted: Iterable[str]) -> frozenset[str]:
    """The scopes `wanted`, checked: each exists, and the actor holds it."""
    scopes = frozenset(wanted)
    unknown = sorted(scopes - SCOPES.keys())
    if unknown:
        raise wording.unknown("scopes", "scope", unknown)
    missing = sorted(scopes - actor.scopes)
    if missing:
        raise Forbidden(f"Nobody grants what they lack: {', '.join(missing)}.", code="missing_scope")
    return scopes


def require_over(actor: Actor, role: str) -> None:
    """Raise Forbidden unless the actor may make, change or remove people of this role."""
    if role == "owner" and actor.role != "owner":
        raise Forbidden("Only an owner makes, changes or removes owners.", code="owners_only")
    missing = sorted(ROLES[role] - actor.scopes)
    if missing:
        raise Forbidden(f"Nobody grants what they lack: {', '.join(missing)}.", code="missing_scope")


_LOGIN = re.compile(r"\d{1,18}\|")
_UUIDS = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}\.[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_OWN_KEY = re.compile(ids.API_KEY_PREFIX + r"[A-Za-z0-9]{8}_[A-Za-z0-9]{32}")
_PREFIXES: dict[str, CredentialKind] = {
    ids.API_KEY_PREFIX: "key",
    ids.ACCESS_TOKEN_PREFIX: "grant",
    ids.PLAYER_TOKEN_PREFIX: "player",
}


def credential_kind(token: str) -> CredentialKind | None:
    """What kind of credential this is, judged by its shape alone; None: of none that we know."""
    kind = _PREFIXES.get(token[:4])
    if kind is not None:
        return kind
    if _LOGIN.match(token):
        return "login"
    if _UUIDS.fullmatch(token):
        return "key"
    return "jwt" if token.count(".") == 2 else None


def is_api_key(text: str) -> bool:
    """Whether this has the form of an API key, ours or Hangar's."""
    return _OWN_KEY.fullmatch(text) is not None or _UUIDS.fullmatch(text) is not None
