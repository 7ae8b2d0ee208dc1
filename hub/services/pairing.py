"""Pairing: a device shows a code, an operator approves it, the device fetches its player's token (RFC 8628). A device
that polls shows a code too; it needs no token, and is paired with the approval."""

import asyncio
from collections.abc import Callable
from typing import Any

from hub.bus.base import Bus
from hub.domain import ids
from hub.domain import pairing as rules
from hub.domain.access import Actor
from hub.domain.errors import BadRequest, Conflict, Invalid, NotFound
from hub.domain.presence import Graces
from hub.domain.quotas import Quotas
from hub.domain.ratelimit import network
from hub.domain.times import MINUTE, SECOND, now_ms, rfc3339
from hub.services.licences import Licences
from hub.services.players import new_player, player_event
from hub.services.waiting import set_within
from hub.store import events, players, polling, presence
from hub.store import pairing as store
from hub.store import quotas as team_quotas
from hub.store.database import Database
from hub.store.pairing import By, Paired, Spending
from hub.store.tables import Pairing, Player, PollingDevice

CODE_ATTEMPTS = 5  # user codes tried; with every code open that may be, one in 40,000 is taken
KEEP_MS = 15 * MINUTE  # how long an expired code is remembered, so that its device hears why
PAGE = "/pair"  # where people enter a code
WAITING = 1_000  # devices whose request is held until an operator decides; any more ask again after their interval


class PairingService:
    """`public_url` is the hub's address as devices and people know it; empty: as each request names it. A device that
    polls is there for `polling_grace` ms after it was heard."""

    def __init__(
        self,
        db: Database,
        bus: Bus,
        licences: Licences,
        public_url: str = "",
        *,
        quotas: Quotas | None = None,
        polling_grace: int = Graces().polling,
        clock: Callable[[], int] = now_ms,
        reached: Callable[[], int] | None = None,
        new_code: Callable[[], str] = ids.user_code,
        new_invitation: Callable[[], str] = ids.invitation_code,
    ) -> None:
        self._db = db
        self._quotas = quotas or Quotas()
        self._bus = bus
        self._licences = licences
        self._polling_grace = polling_grace
        self._public_url = public_url.rstrip("/")
        self._clock = clock
        self._reached = reached or clock
        self._new_code = new_code
        self._new_invitation = new_invitation
        self._waiting: dict[str, asyncio.Event] = {}  # by digest of the device code
        self._closed = False

    # For the device --------------------------------------------------------------------------------------------------

    async def authorize(
        self,
        client_id: str,
        hardware_id: str,
        model: str | None,
        address: str | None,
        base_url: str,
        *,
        host_name: str | None = None,
        invitation: str | None = None,
    ) -> dict[str, Any]:
        """Open a code for a device; the answer is that of RFC 8628, section 3.2. A device that brings the code of an
        invitation needs no other, and is approved at once.

        Raises BadRequest (not a client of ours, no such invitation), TooMany, Unavailable.
        """
        _check_client(client_id)
        now = self._clock()
        place = address or "unknown"
        device_code = ids.device_code()
        codes = [self._new_code() for _ in range(CODE_ATTEMPTS)]
        new = Pairing(
            device_digest=ids.digest(device_code),
            user_digest="",
            hardware_id=hardware_id,
            model=rules.told(model),
            host_name=rules.told(host_name),
            address=place,
            created_at=now,
            expires_at=self._reached() + rules.LIFETIME_S * SECOND,
            interval_s=rules.INTERVAL_S,
        )
        if invitation is not None:
            code = rules.read_code(invitation)
            new.user_digest = ids.digest(code)
            guess = Spending(f"pairing guesses {network(place)}", rules.GUESSES_PER_ADDRESS)
            if not await self._db.write(store.accept, new, guess, now):
                raise BadRequest(rules.REFUSALS["invalid_grant"], code="invalid_grant")
            return self._offer(device_code, code, base_url)
        spendings = [Spending(f"pairing requests {network(place)}", rules.REQUESTS_PER_NETWORK)]
        if network(place) != place:  # of IPv6
            wider = ((56, rules.REQUESTS_PER_56), (48, rules.REQUESTS_PER_48))
            spendings += [Spending(f"pairing requests {network(place, bits)}", each) for bits, each in wider]
        digests = [ids.digest(code) for code in codes]
        # One key for all: each counts what the one before it opened.
        number: int = await self._db.write(store.authorize, new, digests, spendings, now, key="pairing")
        return self._offer(device_code, codes[number], base_url)

    def _offer(self, device_code: str, user_code: str, base_url: str) -> dict[str, Any]:
        page = (self._public_url or base_url.rstrip("/")) + PAGE
        return {
            "device_code": device_code,
            "user_code": user_code,
            "verification_uri": page,
            "verification_uri_complete": f"{page}?code={user_code}",
            "expires_in": rules.LIFETIME_S,
            "interval": rules.INTERVAL_S,
        }

    async def decided(self, device_code: str, seconds: float) -> None:
        """Return when an operator has decided about the device, and after `seconds` at the latest. One request of a
        device waits at a time, and only so many in all; any other returns at once.
        """
        device_digest = ids.digest(device_code)
        if self._closed or device_digest in self._waiting or len(self._waiting) >= WAITING:
            return
        decided = self._waiting[device_digest] = asyncio.Event()
        unsubscribe = self._bus.subscribe(("pairing", device_digest), lambda _: decided.set())
        try:
            async with self._db.session() as session:
                waits = await store.is_pending(session, device_digest, self._clock())
            if waits:
                await set_within(decided, seconds)
        finally:
            unsubscribe()
            del self._waiting[device_digest]

    def close(self) -> None:
        """The hub stops: nobody is kept waiting."""
        self._closed = True
        for decided in self._waiting.values():
            decided.set()

    async def redeem(self, device_code: str, client_id: str | None = None) -> dict[str, Any]:
        """The token of the device's player, once it was approved; given this once. The player's old token is dead then
        and its connection closed.

        Raises BadRequest whose `code` is the word of OAuth 2.0: authorization_pending, slow_down, expired_token,
        access_denied, invalid_grant, invalid_client.
        """
        if client_id is not None:
            _check_client(client_id)
        secret = ids.new_secret(ids.PLAYER_TOKEN_PREFIX)
        device_digest = ids.digest(device_code)
        paired: Paired | str = await self._db.write(
            store.redeem, device_digest, ids.digest(secret), ids.visible_part(secret), self._clock(), key=device_digest
        )
        if isinstance(paired, str):
            raise BadRequest(rules.REFUSALS[paired], code=paired)
        self._bus.publish(("player", paired.player_id), "revoked")
        self._bus.publish(("trusted", paired.player_id), paired.player_id)
        self._bus.publish(("events", paired.team_id))
        return {
            "access_token": secret,
            "token_type": "Bearer",
            "player_id": paired.player_id,
            "player_name": paired.name,
        }

    # For the operator ------------------------------------------------------------------------------------------------

    async def invite(self, actor: Actor, player_id: int, *, scope: str = "admin") -> dict[str, Any]:
        """A code with which one device becomes this player, whoever brings it within a day: {"code", "expires_at"}. An
        earlier one is void then, and this one with a quarantine of the player, a new token of it or the end of its
        token, and when the actor may not give it any more. `scope`: as for `Players.create`. Raises Forbidden,
        NotFound, Unavailable.
        """
        actor.require(scope)
        now = self._clock()
        new = Pairing(
            device_digest=ids.digest(ids.device_code()),  # nobody has this one: the device gets its own
            user_digest="",
            hardware_id="",
            created_at=now,
            expires_at=self._reached() + rules.INVITATION_S * SECOND,
            interval_s=rules.INTERVAL_S,
            state="invited",
            player_id=player_id,
            **By.of(actor)._asdict(),
        )
        codes = [self._new_invitation() for _ in range(CODE_ATTEMPTS)]
        digests = [ids.digest(rules.read_code(code)) for code in codes]
        number: int = await self._db.write(store.invite, new, actor.team_id, digests)
        return {"code": codes[number], "expires_at": rfc3339(new.expires_at)}

    async def inspect(self, actor: Actor, user_code: str) -> dict[str, Any]:
        """What is known of the device that shows this code. Raises Forbidden, NotFound, TooMany."""
        actor.require("admin")
        return _describe(await self._find(actor, user_code))

    async def approve(
        self, actor: Actor, user_code: str, *, name: str | None = None, player_id: int | None = None, face: str
    ) -> dict[str, Any]:
        """Let the device be a new player called `name`, or take the place of the device of an existing one, which keeps
        its identity and history (its old token lives until the new one is fetched). A device that polls can only be a
        new player: its number is promised to it already.

        Raises Forbidden, Invalid, NotFound (code or player), Conflict (decided before), TooMany.
        """
        actor.require("admin")
        if name is not None and player_id is not None:
            raise Invalid.field("name", "is required for a new player, or the player_id of an existing one")
        found = await self._find(actor, user_code)
        now = self._clock()
        if isinstance(found, PollingDevice):
            if player_id is not None:
                raise Invalid.field("player_id", "is of no use here: a device that polls takes no other's place")
            return await self._adopt(actor, found, name or _called(found.model), face, now)
        async with self._db.transaction() as session:
            if player_id is None:
                await self._db.run(session, team_quotas.check(self._quotas, actor.team_id, "players", now))
                player = new_player(actor.team_id, name or _called(found.model), now)
                await players.create(session, player)
                event = player_event("player.created", player, actor, face, now)
            else:
                player = await players.get(session, actor.team_id, player_id)
                event = player_event("player.updated", player, actor, face, now, changed=["device"])
            if not await self._db.run(session, store.decide(found.id or 0, "approved", player.id, By.of(actor), now)):
                raise _decided()
            await self._db.run(session, events.append(event))
        self._bus.publish(("events", actor.team_id))
        self._bus.publish(("pairing", found.device_digest))
        return _approved(player, found)

    async def deny(self, actor: Actor, user_code: str) -> None:
        """Turn the device away; it is told so. Raises Forbidden, NotFound, Conflict (decided before), TooMany."""
        actor.require("admin")
        found = await self._find(actor, user_code)
        if isinstance(found, PollingDevice):
            refused = await self._db.write(polling.refuse, found.player_id, key="polling")
        else:
            refused = await self._db.write(store.decide, found.id, "denied", None, By.of(actor), self._clock())
        if not refused:
            raise _decided()
        if isinstance(found, Pairing):
            self._bus.publish(("pairing", found.device_digest))

    async def _adopt(self, actor: Actor, device: PollingDevice, name: str, face: str, now: int) -> dict[str, Any]:
        """A device that polls becomes a player at once; one that was just heard is online."""
        number, left = device.player_id, device.seen_at + self._polling_grace - now
        online = 0 < left <= self._polling_grace
        address = None if device.address is None or "/" in device.address else device.address  # else a whole network
        async with self._db.transaction() as session:
            await self._db.run(session, team_quotas.check(self._quotas, actor.team_id, "players", now))
            if not await self._db.run(session, polling.adopt(device, actor.team_id, now)):
                raise _decided()
            player = await players.create(session, polling.player_of(device, actor.team_id, name, now))
            for kind in ("player.created", "player.paired"):
                await self._db.run(session, events.append(player_event(kind, player, actor, face, now)))
            if online:
                await self._db.run(session, presence.poll(number, ids.session_id(), address, left, now))
                await self._db.run(session, presence.seen(number, device.seen_at, None))
        self._bus.publish(("events", actor.team_id))
        if device.license_key:
            await self._licences.activate(actor.team_id, device.license_key, number)
        return _approved(player, device, online)

    async def _find(self, actor: Actor, user_code: str) -> Pairing | PollingDevice:
        """The device behind a code. Codes that lead nowhere are guesses, and guesses are paced, apart from those of
        strangers at invitations."""
        now = self._clock()
        spendings = [Spending(f"pairing guesses of team {actor.team_id}", rules.GUESSES_PER_TEAM)]
        if actor.address:
            place = network(actor.address)
            own = Spending(f"pairing guesses of team {actor.team_id} from {place}", rules.GUESSES_PER_ADDRESS)
            spendings += [own, Spending(f"pairing guesses of teams {place}", rules.GUESSES_OF_TEAMS_PER_ADDRESS)]
        code = rules.read_code(user_code)
        if not await self._db.write(store.guess, code, ids.digest(code), spendings, now):
            raise _unknown()
        found: Pairing | PollingDevice | None
        async with self._db.session() as session:
            found = await store.by_user_code(session, ids.digest(code))
            if found is None or found.expires_at <= now:
                found = await polling.by_code(session, code, now)
        if found is None:  # decided, or expired, at this moment
            raise _unknown()
        return found

    # For the supervised loops ----------------------------------------------------------------------------------------

    async def sweep(self, now: int) -> None:
        """Forget codes long expired and allowances that are whole again."""
        await self._db.write(store.forget, now - KEEP_MS, now)


def _check_client(client_id: str) -> None:
    if client_id != "player":
        raise BadRequest("The only client here is `player`.", code="invalid_client")


def _unknown() -> NotFound:
    return NotFound("No device waits with this code.", code="unknown_code")


def _decided() -> Conflict:
    return Conflict("This device was approved or refused before.", code="pairing_decided")


def _approved(player: Player, found: Pairing | PollingDevice, online: bool = False) -> dict[str, Any]:
    answer = {"player_id": player.id, "screen_id": player.screen_id, "uuid": player.uuid, "name": player.name}
    return answer | _describe(found) | {"status": "approved", "online": online}


def _called(model: str | None) -> str:
    """What a player is called that nobody gave a name."""
    return rules.told(model) or "New player"


def _describe(found: Pairing | PollingDevice) -> dict[str, Any]:
    if isinstance(found, PollingDevice):
        state, name, host_name, expires_at = "pending", found.uuid, None, found.code_expires_at or 0
    else:
        state, name, host_name, expires_at = found.state, found.hardware_id, found.host_name, found.expires_at
    return {
        "status": state,
        "model": found.model,
        "host_name": host_name,
        "hardware_id": name,
        "address": found.address,
        "requested_at": rfc3339(found.created_at),
        "expires_at": rfc3339(expires_at),
    }
