"""Device authorizations in progress (RFC 8628), and the paced allowances around them."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from sqlalchemy import delete
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from hub.domain import pairing as rules
from hub.domain.access import Actor, Credential
from hub.domain.errors import NotFound, TooMany, Unavailable
from hub.domain.events import Event
from hub.domain.pairing import Allowance
from hub.domain.times import SECOND
from hub.store import events
from hub.store.statements import Statement, Unit, columns
from hub.store.tables import Pairing

_COLUMNS = columns(Pairing, without=("id",))
_INSERT = Statement(f"""
    INSERT INTO pairing ({", ".join(_COLUMNS)}) VALUES ({", ".join(f":{name}" for name in _COLUMNS)})
    ON CONFLICT DO NOTHING RETURNING id""")
_REPLACE = Statement("""
    DELETE FROM pairing WHERE state = 'pending' AND address = :address AND COALESCE(polled_at, created_at) <= :quiet
        AND (hardware_id = :hardware_id OR EXISTS (
            SELECT 1 FROM pairing younger WHERE younger.state = 'pending' AND younger.address = pairing.address
                AND younger.hardware_id = pairing.hardware_id AND younger.id > pairing.id))""")
_OPEN = Statement("""
    SELECT COUNT(*) AS number, MIN(expires_at) AS first_end, MIN(COALESCE(polled_at, created_at)) AS quiet_since
    FROM pairing WHERE state = 'pending' AND expires_at > :now AND address = :address""")
_OPEN_IN_ALL = Statement("""
    SELECT COUNT(*) AS number, MIN(expires_at) AS first_end FROM pairing
    WHERE state = 'pending' AND expires_at > :now""")
_GIVE_WAY = Statement("""
    DELETE FROM pairing WHERE id IN (
        SELECT id FROM pairing WHERE state = 'pending' AND expires_at > :now
            AND COALESCE(polled_at, created_at) <= :quiet ORDER BY expires_at LIMIT 1)
    RETURNING id""")
_GIVE_WAY_HERE = Statement("""
    DELETE FROM pairing WHERE id IN (
        SELECT id FROM pairing WHERE state = 'pending' AND expires_at > :now AND address = :address
            AND COALESCE(polled_at, created_at) <= :quiet ORDER BY expires_at LIMIT 1)
    RETURNING id""")
_SHOWN = Statement("""
    SELECT id FROM pairing WHERE user_digest = :user_digest AND state <> 'invited' AND expires_at > :now""")
_SHOWN_BY_POLLING = Statement("""
    SELECT player_id FROM polling_device
    WHERE pairing_code = :code AND team_id IS NULL AND code_expires_at > :now""")
_DECIDE = Statement("""
    UPDATE pairing SET state = :state, player_id = :player_id, user_id = :user_id, credential = :credential
    WHERE id = :id AND state = 'pending' AND expires_at > :now RETURNING id""")
_TAKE_BACK = Statement("DELETE FROM pairing WHERE state = 'invited' AND player_id = :player_id")
_PLAYER = Statement("SELECT id FROM player WHERE id = :player_id AND team_id = :team_id")
_VOID = Statement("DELETE FROM pairing WHERE state IN ('invited', 'approved') AND player_id = :player_id")
_ACCEPT = Statement("""
    UPDATE pairing SET state = 'approved', device_digest = :device_digest, hardware_id = :hardware_id, model = :model,
           address = :address, expires_at = :expires_at
    WHERE user_digest = :user_digest AND state = 'invited' AND expires_at > :now RETURNING player_id""")
_REDEEM = Statement("""
    UPDATE pairing SET state = 'redeemed'
    WHERE device_digest = :device_digest AND state = 'approved' AND expires_at > :now
    RETURNING player_id, hardware_id, model, address""")
_READ = Statement("""
    SELECT state, expires_at, interval_s, polled_at FROM pairing WHERE device_digest = :device_digest""")
_POLLED = Statement("""
    UPDATE pairing SET polled_at = :now, interval_s = interval_s + :slower
    WHERE device_digest = :device_digest AND state = 'pending'""")
_GIVE_TOKEN = Statement("""
    UPDATE player SET token_digest = :digest, token_prefix = :prefix, token_issued_at = :now, quarantined_at = NULL,
           quarantine_reason = NULL, quarantined_by = NULL,
           hardware_id = :hardware_id, model = :model, capabilities = NULL
    WHERE id = :player_id RETURNING team_id, screen_id, name""")
_NEW_DEVICE = Statement("UPDATE presence SET history = '{}' WHERE player_id = :player_id")
_FORGET_EXPIRED = Statement("DELETE FROM pairing WHERE expires_at < :before")

_SPEND = Statement("""
    INSERT INTO rate_limit (name, arrival_at) VALUES (:name, CAST(:now AS BIGINT) + CAST(:cost AS BIGINT))
    ON CONFLICT (name) DO UPDATE SET arrival_at = CAST(:cost AS BIGINT)
        + CASE WHEN rate_limit.arrival_at BETWEEN CAST(:now AS BIGINT) AND CAST(:latest AS BIGINT)
               THEN rate_limit.arrival_at ELSE CAST(:now AS BIGINT) END
    WHERE rate_limit.arrival_at + CAST(:cost AS BIGINT) <= CAST(:now AS BIGINT) + CAST(:burst AS BIGINT)
       OR rate_limit.arrival_at > CAST(:latest AS BIGINT)
    RETURNING arrival_at""")
_ARRIVAL = Statement("SELECT arrival_at FROM rate_limit WHERE name = :name")
_REFUND = Statement("UPDATE rate_limit SET arrival_at = arrival_at - CAST(:cost AS BIGINT) WHERE name = :name")
_FORGET_LIMITS = Statement("DELETE FROM rate_limit WHERE arrival_at < :before")


class Spending(NamedTuple):
    """One use of the allowance kept under `name`."""

    name: str
    allowance: Allowance


class By(NamedTuple):
    """Who opened a code to a player, as it is kept."""

    user_id: int | None
    credential: str | None

    @classmethod
    def of(cls, actor: Actor) -> "By":
        return cls(actor.user_id, _name(actor.credential))


@dataclass(frozen=True, slots=True)
class Paired:
    """A device that got its player's token."""

    player_id: int
    team_id: int
    name: str


def authorize(new: Pairing, user_digests: Sequence[str], spendings: Sequence[Spending], now: int) -> Unit:
    """Unit: open a code for a device. One that it has left behind, when it started again, gives way: of the same
    hardware id at the same address, which nobody asks with any more. One that is asked with is another machine's, since
    hardware ids are not always one's own. When all the room there is, or that of this address, is taken, the oldest
    that nobody asks with goes.

    Answers which of `user_digests` it got: the first that no other device shows. Raises TooMany, Unavailable.
    """
    yield from spend(spendings, now)
    quiet = now - rules.QUIET_S * SECOND
    yield _REPLACE(address=new.address, hardware_id=new.hardware_id, quiet=quiet)
    here = yield _OPEN(address=new.address, now=now)
    full = here[0]["number"] >= rules.OPEN_PER_ADDRESS
    if full and not (yield _GIVE_WAY_HERE(address=new.address, quiet=quiet, now=now)):
        room_at = min(here[0]["first_end"], here[0]["quiet_since"] + rules.QUIET_S * SECOND)
        raise TooMany(
            f"{rules.OPEN_PER_ADDRESS} devices at this address wait for approval. Approve or refuse them first.",
            code="too_many_codes",
            retry_after=_seconds(room_at - now),
        )
    everywhere = yield _OPEN_IN_ALL(now=now)
    if everywhere[0]["number"] >= rules.OPEN_IN_ALL and not (yield _GIVE_WAY(now=now, quiet=quiet)):
        raise Unavailable("Too many devices wait for approval.", code="too_many_codes", retry_after=60)
    return (yield from _insert(new, user_digests))


def _insert(new: Pairing, user_digests: Sequence[str]) -> Unit:
    values = {name: getattr(new, name) for name in _COLUMNS}
    for number, digest in enumerate(user_digests):
        if (yield _INSERT(**(values | {"user_digest": digest}))):
            return number
    raise Unavailable("No free code was found.", code="no_free_code", retry_after=1)


def invite(new: Pairing, team_id: int, user_digests: Sequence[str]) -> Unit:
    """Unit: open a code that a device may bring to become this player of the team; an earlier one of the player gives
    way to it. Answers which of `user_digests` it got. Raises NotFound, Unavailable."""
    if not (yield _PLAYER(player_id=new.player_id, team_id=team_id)):
        raise NotFound
    yield _TAKE_BACK(player_id=new.player_id)
    return (yield from _insert(new, user_digests))


def accept(new: Pairing, spending: Spending, now: int) -> Unit:
    """Unit: a device brings the code of an invitation; from now on it may fetch its token. Answers whether the code was
    good. Raises TooMany for a network that guesses."""
    yield from spend([spending], now)
    accepted = yield _ACCEPT(
        user_digest=new.user_digest,
        device_digest=new.device_digest,
        hardware_id=new.hardware_id,
        model=new.model,
        address=new.address,
        expires_at=new.expires_at,
        now=now,
    )
    if accepted:
        yield from refund([spending])
    return bool(accepted)


def guess(code: str, digest: str, spendings: Sequence[Spending], now: int) -> Unit:
    """Unit: somebody who is signed in names a device by its code. Answers whether there is one; then it has cost
    nothing, however many are named at once. Raises TooMany for who guesses."""
    yield from spend(spendings, now)
    found = bool((yield _SHOWN(user_digest=digest, now=now)) or (yield _SHOWN_BY_POLLING(code=code, now=now)))
    if found:
        yield from refund(spendings)
    return found


async def by_user_code(session: AsyncSession, digest: str) -> Pairing | None:
    """The device that shows this code; an invitation is nothing that a device shows."""
    query = select(Pairing).where(col(Pairing.user_digest) == digest, col(Pairing.state) != "invited")
    return (await session.exec(query)).first()


async def is_pending(session: AsyncSession, device_digest: str, now: int) -> bool:
    """Whether the device's code still waits for an operator."""
    query = select(Pairing.id).where(
        col(Pairing.device_digest) == device_digest, col(Pairing.state) == "pending", col(Pairing.expires_at) > now
    )
    return (await session.exec(query)).first() is not None


def decide(pairing_id: int, state: str, player_id: int | None, by: By, now: int) -> Unit:
    """Unit: approve (with a player) or deny. Answers whether there was still something to decide."""
    decided = yield _DECIDE(id=pairing_id, state=state, player_id=player_id, now=now, **by._asdict())
    return bool(decided)


def void(player_id: int) -> Unit:
    """Unit: no code that was opened for this player until now gives its token to anybody."""
    yield _VOID(player_id=player_id)


async def void_of(session: AsyncSession, *, user_id: int | None = None, credential: Credential | None = None) -> None:
    """What this person, or whoever held this credential, has opened for a device is void."""
    of = col(Pairing.credential) == _name(credential) if credential else col(Pairing.user_id) == user_id
    await session.exec(delete(Pairing).where(of, col(Pairing.state).in_(("invited", "approved"))))


def _name(credential: Credential | None) -> str | None:
    return None if credential is None else f"{credential.kind} {credential.id}"


def redeem(device_digest: str, token_digest: str, token_prefix: str, now: int) -> Unit:
    """Unit: give the player of an approved code its new token, once. Answers `Paired`, or the refusal as a word.

    The device starts afresh: what an earlier one could do, and why its token was quarantined, says nothing about it. A
    quarantine voids the codes of before it, so whoever approved this device knew of it.
    """
    redeemed = yield _REDEEM(device_digest=device_digest, now=now)
    if not redeemed:
        found = yield _READ(device_digest=device_digest)
        if not found:
            return "invalid_grant"
        row = found[0]
        word = rules.refusal(
            row["state"],
            expires_at=row["expires_at"],
            interval_s=row["interval_s"],
            polled_at=row["polled_at"],
            now=now,
        )
        slower = rules.SLOWER_S if word == "slow_down" else 0
        yield _POLLED(device_digest=device_digest, slower=slower, now=now)
        return word
    device = redeemed[0]
    player_id: int = device["player_id"]
    players = yield _GIVE_TOKEN(
        player_id=player_id,
        digest=token_digest,
        prefix=token_prefix,
        now=now,
        hardware_id=device["hardware_id"],
        model=device["model"],
    )
    yield from void(player_id)
    yield _NEW_DEVICE(player_id=player_id)
    player = players[0]
    data = {
        "player_id": player_id,
        "screen_id": player["screen_id"],
        "name": player["name"],
        "quarantined": False,
        "hardware_id": device["hardware_id"],
        "model": device["model"],
        "address": device["address"],
    }
    yield from events.append(Event("player.paired", player["team_id"], now, data, player_id=player_id))
    return Paired(player_id, player["team_id"], player["name"])


def forget(before: int, now: int) -> Unit:
    """Unit: codes that ended before `before`, and allowances that are whole again, need no row."""
    yield _FORGET_EXPIRED(before=before)
    yield _FORGET_LIMITS(before=now)


def spend(spendings: Sequence[Spending], now: int) -> Unit:
    """Unit: spend one use of each (GCRA). Raises TooMany when one of them has nothing left; then none is spent. An
    arrival time that was written while the clock was ahead is not believed."""
    for name, allowance in spendings:
        cost, burst = allowance.every_ms, allowance.burst_ms
        if not (yield _SPEND(name=name, cost=cost, burst=burst, now=now, latest=allowance.latest(now))):
            rows = yield _ARRIVAL(name=name)
            raise TooMany(retry_after=_seconds(rows[0]["arrival_at"] + cost - burst - now))


def check(spendings: Sequence[Spending], now: int) -> Unit:
    """Unit: spend nothing. Raises TooMany when one of them has nothing left."""
    for name, allowance in spendings:
        rows = yield _ARRIVAL(name=name)
        arrival_at = rows[0]["arrival_at"] if rows else 0
        wait = arrival_at + allowance.every_ms - allowance.burst_ms - now
        if wait > 0 and arrival_at <= allowance.latest(now):
            raise TooMany(retry_after=_seconds(wait))


def refund(spendings: Sequence[Spending]) -> Unit:
    """Unit: give back what was spent."""
    for name, allowance in spendings:
        yield _REFUND(name=name, cost=allowance.every_ms)


def _seconds(milliseconds: int) -> int:
    """Whole seconds to wait, at least one."""
    return max(1, -(-milliseconds // SECOND))
