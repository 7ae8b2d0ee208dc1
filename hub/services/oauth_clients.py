"""The programs of third parties that may ask people of the team for access."""

from collections.abc import Sequence
from typing import Any

import orjson

from hub.bus.base import Bus
from hub.domain import ids
from hub.domain.access import Actor, Credential, grantable
from hub.domain.errors import Conflict, PreconditionFailed
from hub.domain.events import Event
from hub.domain.oauth import checked_redirect
from hub.domain.times import now_ms, rfc3339
from hub.store import events
from hub.store import oauth as store
from hub.store.database import Database
from hub.store.tables import OAuthClient

CLIENTS_LIMIT = 100  # a team


class OAuthClients:
    def __init__(self, db: Database, bus: Bus) -> None:
        self._db = db
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
        secret = ids.new_secret(ids.CLIENT_SECRET_PREFIX) if confidential else None
        client = OAuthClient(
            team_id=actor.team_id,
            client_id=ids.client_id(),
            name=name,
            redirect_uris=_written(redirect_uris),
            scopes=" ".join(sorted(grantable(actor, scopes))),
            secret_digest=None if secret is None else ids.digest(secret),
            created_at=now_ms(),
        )
        async with self._db.transaction() as session:
            if len(await store.clients(session, actor.team_id)) >= CLIENTS_LIMIT:
                raise Conflict(f"A team has at most {CLIENTS_LIMIT} clients.", code="too_many_clients")
            session.add(client)
            await session.flush()
            await self._db.run(session, events.append(_event("client.created", client, actor, face)))
        self._bus.publish(("events", actor.team_id))
        return _describe(client) | {"client_secret": secret}

    async def update(
        self, actor: Actor, number: int, changes: dict[str, Any], *, version: int | None, face: str
    ) -> dict[str, Any]:
        """Change `name`, `redirect_uris` or `scopes`, for what is asked from now on: what people have allowed stays.

        Raises Forbidden, NotFound, Invalid, PreconditionFailed.
        """
        actor.require("admin")
        async with self._db.transaction() as session:
            client = await store.client(session, actor.team_id, number)
            if version is not None and version != client.version:
                raise PreconditionFailed
            client.name = changes.get("name", client.name)
            if "redirect_uris" in changes:
                client.redirect_uris = _written(changes["redirect_uris"])
            if "scopes" in changes:
                client.scopes = " ".join(sorted(grantable(actor, changes["scopes"])))
            client.version += 1
            session.add(client)
            await session.flush()
            event = _event("client.updated", client, actor, face, changed=sorted(changes))
            await self._db.run(session, events.append(event))
        self._bus.publish(("events", actor.team_id))
        return _describe(client)

    async def delete(self, actor: Actor, number: int, *, face: str) -> None:
        """The client is gone, and all tokens that it got are dead on return. Raises NotFound."""
        actor.require("admin")
        async with self._db.transaction() as session:
            client = await store.client(session, actor.team_id, number)
            ended = [grant for grant, _, _ in await store.grants(session, actor.team_id, client_id=number)]
            for grant in ended:  # an event each: other nodes hear by them which tokens to forget
                data = {"grant_id": grant.id, "client_id": client.client_id, "client": client.name}
                data |= {"user_id": grant.user_id, "reason": "client_deleted"}
                event = Event("grant.revoked", actor.team_id, now_ms(), data, actor=actor, face=face)
                await self._db.run(session, events.append(event))
            await self._db.run(session, events.append(_event("client.deleted", client, actor, face)))
            await session.delete(client)
        for grant in ended:
            self._bus.publish(("credentials", None), Credential("grant", grant.id or 0))
        self._bus.publish(("events", actor.team_id))


def _written(redirect_uris: Sequence[str]) -> str:
    return orjson.dumps([checked_redirect(uri) for uri in dict.fromkeys(redirect_uris)]).decode()


def _event(kind: str, client: OAuthClient, actor: Actor, face: str, **more: Any) -> Event:
    data = {"client_id": client.client_id, "name": client.name, "scopes": client.scopes.split()} | more
    return Event(kind, client.team_id, now_ms(), data, actor=actor, face=face)


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
