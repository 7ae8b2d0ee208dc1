"""AdCast's words: names of roles, envelopes, errors."""

from typing import Any

from hub.api.answer import Answer
from hub.api.errors import answer_for
from hub.domain.errors import Forbidden, HubError

OWNER_ROLE = "tenant_admin"
"""What AdCast calls an owner."""


def failure(error: HubError) -> Answer:
    """An error as AdCast tells it: what a caller lacks is never named."""
    if isinstance(error, Forbidden) and error.code == "missing_scope":
        error = Forbidden(code=error.code)
    return answer_for(error)


def user(person: dict[str, Any]) -> dict[str, Any]:
    role = OWNER_ROLE if person["role"] == "owner" else person["role"]
    return {"id": person["id"], "name": person["name"], "email": person["email"], "role": role}


def tenant(team: dict[str, Any]) -> dict[str, Any]:
    return {"id": team["id"], "name": team["name"], "plan": team["plan"]}
