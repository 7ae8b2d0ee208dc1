"""The people of a team and what they may do; the team itself, and who is asking."""

from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager
from typing import Any

from sqlalchemy.exc import IntegrityError

from hub.bus.base import Bus
from hub.domain import ids
from hub.domain.access import ROLES, Actor, require_over
from hub.domain.errors import Conflict, Forbidden, Invalid
from hub.domain.playback import checked_zone_name
from hub.domain.quotas import Quotas
from hub.domain.times import now_ms, rfc3339
from hub.services.access import key_facts
from hub.services.accounts import (
    TAKEN_PER_TEAM,
    Accounts,
    describe_team,
    email_taken,
    end_access,
    person,
    plain_email,
)
from hub.services.recorded_change import Change, change, check_version
from hub.store import people, teams
from hub.store.database import Database
from hub.store.pairing import Spending, refund, spend, void_of
from hub.store.tables import User


class Members:
    def __init__(self, db: Database, bus: Bus, accounts: Accounts, *, quotas: Quotas | None = None) -> None:
        self._db = db
        self._quotas = quotas or Quotas()
        self._bus = bus
        self._accounts = accounts

    async def listing(self, actor: Actor) -> list[dict[str, Any]]:
        """Everybody of the team. Raises Forbidden."""
        actor.require("admin")
        return [_describe(user) for user in await self._users(actor)]

    async def colleagues(self, actor: Actor) -> list[dict[str, Any]]:
        """What everybody in the team may know of the others: `id`, `name`, `role`, `locked`, `created_at`."""
        return [_public(user) for user in await self._users(actor)]

    async def get(self, actor: Actor, user_id: int) -> dict[str, Any]:
        """One person of the team. Raises Forbidden, NotFound."""
        actor.require("admin")
        async with self._db.session() as session:
            return _describe(await people.user(session, actor.team_id, user_id))

    async def create(
        self, actor: Actor, *, name: str, email: str, role: str, password: str | None, face: str
    ) -> dict[str, Any]:
        """A new person. Without a `password` they get one for the first login: it is in the answer, this once.

        Raises Forbidden (a role above the caller's), Invalid (the address has an account), TooMany (of those).
        """
        actor.require("admin")
        actor.require_lasting()
        require_over(actor, role)
        email = plain_email(email)
        taken = [Spending(f"taken addresses of team {actor.team_id}", TAKEN_PER_TEAM)]
        await self._db.write(spend, taken, now_ms())
        given = password or ids.one_time_password()
        password_hash = await self._accounts.passwords.hash(given)  # whether or not the address is free
        async with self._db.session() as session:
            if await teams.user_by_email(session, email) is not None:
                raise email_taken()
        try:
            async with self._change(actor, face) as made:
                await made.check(self._quotas, "members")
                user = User(
                    team_id=actor.team_id,
                    name=name,
                    email=email,
                    password_hash=password_hash,
                    role=role,
                    created_at=made.now,
                )
                made.session.add(user)
                await made.session.flush()
                await made.say("member.created", **person(user))
        except IntegrityError:
            raise email_taken() from None
        await self._db.write(refund, taken)
        return _describe(user) | ({} if password else {"password": given})

    async def update(
        self, actor: Actor, user_id: int, changes: dict[str, Any], *, version: int | None, face: str
    ) -> dict[str, Any]:
        """Change `name`, `role`, `locked`, `password`, or `reset_password` (to one that is in the answer, this once).

        Keys and logins of the person hold what the new role gives from now on; a locked person's are dead while the
        lock lasts. Pairing codes that they opened are void with a lock or a lesser role. A new password ends the
        person's logins and what they allowed to programs; one's own is changed by `change_me`. Raises Forbidden,
        NotFound, Conflict (the last owner), PreconditionFailed.
        """
        actor.require("admin")
        if changes.keys() & {"role", "password", "reset_password"}:
            actor.require_lasting()
        password = ids.one_time_password() if changes.get("reset_password") else changes.get("password")
        if password and user_id == actor.user_id:  # a key, or a program that was let in, must not become the account
            raise Forbidden("Change your own password at PATCH /api/v1/me.", code="own_password")
        password_hash = await self._accounts.passwords.hash(password) if password else None
        async with self._change(actor, face) as made:
            user = await people.user(made.session, actor.team_id, user_id)
            check_version(user, version)
            require_over(actor, user.role)
            if changes.get("role", user.role) != user.role:
                require_over(actor, changes["role"])
                await _keep_an_owner(made.session, user)
                if ROLES[user.role] - ROLES[changes["role"]]:
                    await void_of(made.session, user_id=user_id)
                user.role = changes["role"]
            if "locked" in changes and changes["locked"] != (user.locked_at is not None):
                if changes["locked"]:
                    await _keep_an_owner(made.session, user)
                    await void_of(made.session, user_id=user_id)
                user.locked_at = made.now if changes["locked"] else None
            if password_hash is not None:
                user.password_hash = password_hash
                await end_access(self._db, made.session, user, made.now, actor=actor, face=face)
            user.name = changes.get("name", user.name)
            await _save(made, user, sorted(changes))
        self._bus.publish(("credentials", None), ("user", user_id))
        return _describe(user) | ({"password": password} if changes.get("reset_password") else {})

    async def delete(self, actor: Actor, user_id: int, *, face: str) -> None:
        """The person is gone; every key, login and open pairing code of theirs is dead. Raises Forbidden, NotFound,
        Conflict (the last owner)."""
        actor.require("admin")
        async with self._change(actor, face) as made:
            user = await people.user(made.session, actor.team_id, user_id)
            require_over(actor, user.role)
            await _keep_an_owner(made.session, user)
            for key in await people.keys_of(made.session, user_id):
                key.revoked_at = made.now
                made.session.add(key)
                await made.say("key.revoked", **key_facts(key))
            await void_of(made.session, user_id=user_id)
            await made.session.flush()
            await made.session.delete(user)
            await made.say("member.deleted", **person(user))
        self._bus.publish(("credentials", None), ("user", user_id))

    # Who is asking ---------------------------------------------------------------------------------------------------

    async def me(self, actor: Actor) -> dict[str, Any]:
        """Who the caller is and what they may do."""
        async with self._db.session() as session:
            found = await people.user_with_team(session, actor.user_id) if actor.user_id is not None else None
            team = found[1] if found else await people.team(session, actor.team_id)
        return {
            "kind": actor.kind,
            "id": actor.id,
            "name": actor.name,
            "credential": actor.credential.kind if actor.credential else None,
            "role": actor.role,
            "scopes": sorted(actor.scopes),
            "user": {**_public(found[0]), "email": found[0].email} if found else None,
            "team": describe_team(team),
        }

    async def change_me(
        self, actor: Actor, *, name: str | None, password: str | None, current_password: str | None, face: str
    ) -> dict[str, Any]:
        """Change one's own name, or one's password by telling the present one; every other login ends then, and so does
        what one allowed to programs.

        Only for people who are logged in: a key must not become the account. Raises Forbidden, Invalid, TooMany.
        """
        if actor.kind != "user" or actor.credential is None or actor.credential.kind != "login":
            raise Forbidden("Log in to change your account.", code="login_required")
        password_hash = None
        if password is not None:
            async with self._db.session() as session:
                email = (await people.user(session, actor.team_id, actor.id)).email
            if await self._accounts.check_password(email, current_password or "", actor.address) is None:
                raise Invalid.field("current_password", "must be your present password")
            password_hash = await self._accounts.passwords.hash(password)
        changed = [field for field, value in (("name", name), ("password", password)) if value is not None]
        async with self._change(actor, face) as made:
            user = await people.user(made.session, actor.team_id, actor.id)
            user.name = name or user.name
            if password_hash is not None:
                user.password_hash = password_hash
                await end_access(
                    self._db, made.session, user, made.now, but_login=actor.credential.id, actor=actor, face=face
                )
            await _save(made, user, changed)
        self._bus.publish(("credentials", None), ("user", actor.id))
        return await self.me(actor)

    # The team --------------------------------------------------------------------------------------------------------

    async def team(self, actor: Actor) -> dict[str, Any]:
        """The team of whoever asks."""
        async with self._db.session() as session:
            team = await people.team(session, actor.team_id)
        return describe_team(team) | {"created_at": rfc3339(team.created_at)}

    async def change_team(self, actor: Actor, *, name: str | None, timezone: str | None, face: str) -> dict[str, Any]:
        """Change the team's name, or the time zone in which its schedules are read. Raises Forbidden, Invalid."""
        actor.require("admin")
        async with self._change(actor, face) as made:
            team = await people.team(made.session, actor.team_id)
            if timezone is not None:
                timezone = checked_zone_name(timezone)
                made.shown = timezone != team.timezone
                team.timezone = timezone
            team.name = name or team.name
            made.session.add(team)
            await made.say("team.updated", team_id=team.id, name=team.name, timezone=team.timezone)
        self._bus.publish(("credentials", None), ("team", actor.team_id))
        return await self.team(actor)

    # ------------------------------------------------------------------------------------------------------------------

    async def _users(self, actor: Actor) -> Sequence[User]:
        async with self._db.session() as session:
            return await people.users(session, actor.team_id)

    def _change(self, actor: Actor, face: str) -> AbstractAsyncContextManager[Change]:
        return change(self._db, self._bus, actor, face, shown=False)


async def _save(made: Change, user: User, changed: Sequence[str]) -> None:
    user.version += 1
    made.session.add(user)
    await made.say("member.updated", **person(user), changed=list(changed))


async def _keep_an_owner(session: Any, user: User) -> None:
    """Raise Conflict when the team would have no owner that can log in without this person."""
    if user.role == "owner" and not await people.other_owners(session, user.team_id, user.id or 0):
        raise Conflict("A team keeps at least one owner.", code="last_owner")


def _public(user: User) -> dict[str, Any]:
    return {
        "id": user.id,
        "name": user.name,
        "role": user.role,
        "locked": user.locked_at is not None,
        "created_at": rfc3339(user.created_at),
    }


def _describe(user: User) -> dict[str, Any]:
    return _public(user) | {"email": user.email, "version": user.version}
