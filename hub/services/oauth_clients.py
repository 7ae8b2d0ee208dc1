"""The programs of third parties that may ask people of the team for access."""

from collections.abc import Sequence
from typing import Any

import orjson
from sqlmodel.ext.asyncio.session import AsyncSession

from hub.bus.base import Bus
from hub.domain import ids
from hub.domain.access import Actor, Credential, grantable
from hub.domain.oauth import checked_redirect
from hub.domain.quotas import Quotas
from hub.domain.times import rfc3339
from hub.services.access import revoke_made
from hub.services.recorded_change import change, check_version
from hub.store import oauth as store
from hub.store import teams
from hub.store.database import Database
from hub.store.tables import OAuthClient, OAuthGrant


class OAuthClients:
    def __init__(self, db: Database, bus: Bus, *, quotas: Quotas | None = None) -> None:
        self._db = db
        self._quotas = quotas or Quotas()
        self._bus = bus

    async def listing(self, actor: Actor) -> list[dict[str, Any]]:
        actor.require("admin")
        async with self._db.session() as session:
            return [_describe(client) for client in await store.clients(session, actor.team_id)]

    async def get(self, actor: Actor, number: int) -> dict[str, Any]:
        """Raises NotFound."""
        actor.require("admin")
        async with self._db.session() as session:
            return _describe(await store.client(session, actor.team_id, number))

    async def create(
        self,
        actor: Actor,
        *,
        name: str,
        redirect_uris: Sequence[str],
        scopes: Sequence[str],
        confidential: bool,
        face: str,
    ) -> dict[str, Any]:
        """A client; a confidential one gets a `client_secret`, shown this once. Raises Forbidden, Invalid, Conflict."""
        actor.require("admin")
        actor.require_lasting()
        secret = ids.new_secret(ids.CLIENT_SECRET_PREFIX) if confidential else None
        async with change(self._db, self._bus, actor, face, shown=False) as made:
            client = OAuthClient(
                team_id=actor.team_id,
                client_id=ids.client_id(),
                name=name,
                redirect_uris=_written(redirect_uris),
                scopes=" ".join(sorted(grantable(actor, scopes))),
                secret_digest=None if secret is None else ids.digest(secret),
                created_at=made.now,
            )
            await made.check(self._quotas, "oauth_clients")
            made.session.add(client)
            await made.session.flush()
            await made.say("client.created", **_named(client))
        return _describe(client) | {"client_secret": secret}

    async def update(
        self, actor: Actor, number: int, changes: dict[str, Any], *, version: int | None, face: str
    ) -> dict[str, Any]:
        """Change `name`, `redirect_uris` or `scopes`, for what is asked from now on: what people have allowed stays.

        Raises Forbidden, NotFound, Invalid, PreconditionFailed.
        """
        actor.require("admin")
        actor.require_lasting()
        async with change(self._db, self._bus, actor, face, shown=False) as made:
            client = await store.client(made.session, actor.team_id, number)
            check_version(client, version)
            client.name = changes.get("name", client.name)
            if "redirect_uris" in changes:
                client.redirect_uris = _written(changes["redirect_uris"])
            if "scopes" in changes:
                client.scopes = " ".join(sorted(grantable(actor, changes["scopes"])))
            client.version += 1
            made.session.add(client)
            await made.say("client.updated", **_named(client), changed=sorted(changes))
        return _describe(client)

    async def delete(self, actor: Actor, number: int, *, face: str) -> None:
        """The client is gone, and all tokens that it got are dead on return. Raises NotFound."""
        actor.require("admin")
        async with change(self._db, self._bus, actor, face, shown=False) as made:
            client = await store.client(made.session, actor.team_id, number)
            ended = [grant for grant, _, _ in await store.grants(made.session, actor.team_id, client_id=number)]
            for grant in ended:  # an event each: other nodes hear by them which tokens to forget
                await store.end(made.session, grant, made.now)
                await made.say("grant.revoked", **grant_facts(grant, client), reason="client_deleted")
                await end_grant(self._db, made.session, grant, made.now, actor=actor, face=face)
            await made.say("client.deleted", **_named(client))
            await made.session.delete(client)
        for grant in ended:
            self._bus.publish(("credentials", None), Credential("grant", grant.id or 0))
            self._bus.publish(("credentials", None), ("user", grant.user_id))


async def end_grant(
    db: Database, session: AsyncSession, grant: OAuthGrant, now: int, *, actor: Actor | None, face: str
) -> None:
    """The grant is over, with its tokens and the keys that were made with it. The caller says so on the bus."""
    await store.end(session, grant, now)
    made = await teams.made_with(session, grant.team_id, grant_id=grant.id)
    await revoke_made(db, session, made, now, actor=actor, face=face)


def _written(redirect_uris: Sequence[str]) -> str:
    return orjson.dumps([checked_redirect(uri) for uri in dict.fromkeys(redirect_uris)]).decode()


def grant_facts(grant: OAuthGrant, client: OAuthClient) -> dict[str, Any]:
    """What an event tells of a grant."""
    return {"grant_id": grant.id, "client_id": client.client_id, "client": client.name, "user_id": grant.user_id}


def _named(client: OAuthClient) -> dict[str, Any]:
    return {"client_id": client.client_id, "name": client.name, "scopes": client.scopes.split()}


def _describe(client: OAuthClient) -> dict[str, Any]:
    return {
        "id": client.id,
        "client_id": client.client_id,
        "name": client.name,
        "redirect_uris": orjson.loads(client.redirect_uris),
        "scopes": client.scopes.split(),
        "confidential": client.secret_digest is not None,
        "created_at": rfc3339(client.created_at),
        "version": client.version,
    }
