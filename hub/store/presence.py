"""Presence in the database: the durable half of `hub.domain.presence`. Only transitions are written here; last-seen and
telemetry go to `player_status` in batches."""

from collections.abc import Mapping
from typing import Any, Literal, NamedTuple

import orjson
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from hub.domain import masking
from hub.domain import presence as rules
from hub.domain.errors import Forbidden, Unauthenticated, Unavailable
from hub.domain.events import Event
from hub.domain.presence import Change, Connected, Device, Graces, Presence, Reason
from hub.domain.quotas import Quotas
from hub.domain.times import DAY
from hub.store import commands, daily, events, pairing
from hub.store.quotas import plan_of
from hub.store.statements import Row, Statement, Unit, insert_into
from hub.store.tables import Player, PresenceRow, Session

POLLING = "polling"
"""In place of a node, in sessions of players that poll: whichever node hears them."""

_COLUMNS = """r.player_id, r.team_id, r.online, r.since, r.epoch, r.node, r.offline_due_at, r.reason, r.flapping,
    r.history, r.session_id, p.name, p.screen_id, s.address, s.telemetry, s.last_seen_at,
    CASE WHEN p.uuid IS NOT NULL AND p.token_digest IS NULL THEN 1 ELSE 0 END AS polls"""
_READ = Statement(f"""
    SELECT {_COLUMNS}, p.token_digest, p.quarantined_at, p.settings, p.capabilities, p.journal_id, p.hardware_id,
           p.model,
           p.os_version, p.app_version, p.agent, p.player_kind, p.player_version
    FROM player p JOIN presence r ON r.player_id = p.id LEFT JOIN player_status s ON s.player_id = p.id
    WHERE p.id = :player_id""")
_DUE = Statement(f"""
    SELECT {_COLUMNS} FROM presence r JOIN player p ON p.id = r.player_id
           LEFT JOIN player_status s ON s.player_id = r.player_id
    WHERE r.due_at <= :now ORDER BY r.due_at LIMIT :limit""")
_WRITE = Statement("""
    UPDATE presence SET online = :online, since = :since, epoch = :epoch, node = :node, due_at = :due_at,
           offline_due_at = :offline_due_at, reason = :reason, flapping = :flapping, history = :history,
           session_id = :session_id
    WHERE player_id = :player_id AND epoch = :epoch_before RETURNING player_id""")
_OPEN_SESSION = insert_into(Session)
_SESSIONS = Statement("""
    SELECT COUNT(*) AS number FROM player_session WHERE player_id = :player_id AND started_at >= :today""")
_FORGET_LATEST = Statement("""
    DELETE FROM player_session WHERE id = (
        SELECT id FROM player_session WHERE player_id = :player_id ORDER BY epoch DESC LIMIT 1)""")
_CLOSE_SESSION = Statement("""
    UPDATE player_session SET ended_at = :now, reason = :reason WHERE id = :id AND ended_at IS NULL""")
_DESCRIBE = Statement("""
    UPDATE player SET hardware_id = :hardware_id, model = :model, os_version = :os_version, app_version = :app_version,
           agent = :agent, player_kind = :player_kind, player_version = :player_version, capabilities = :capabilities
    WHERE id = :player_id""")
_QUARANTINE = Statement("""
    UPDATE player SET quarantined_at = :now, quarantine_reason = :reason, quarantined_by = NULL
    WHERE id = :player_id AND quarantined_at IS NULL""")
_KEEP_JOURNAL = Statement("UPDATE player SET journal_id = :journal_id WHERE id = :player_id")
_KEEP_HISTORY = Statement("UPDATE presence SET history = :history WHERE player_id = :player_id")
_CRASHED_SESSIONS = Statement("""
    UPDATE player_session SET reason = 'crash', ended_at = COALESCE(
        (SELECT s.last_seen_at FROM player_status s
         WHERE s.player_id = player_session.player_id AND s.last_seen_at > player_session.started_at), started_at)
    WHERE node = :node AND ended_at IS NULL""")
_CRASHED = Statement("""
    UPDATE presence SET node = NULL, reason = 'crash', offline_due_at = :due_at, due_at = :due_at, session_id = NULL
    WHERE node = :node RETURNING player_id""")
_AWAIT = Statement("""
    UPDATE presence SET offline_due_at = :due_at, due_at = :due_at WHERE node IS NULL AND offline_due_at IS NOT NULL""")
_SEEN = Statement("""
    UPDATE player_status SET last_seen_at = :last_seen_at, address = COALESCE(:address, address)
    WHERE player_id = :player_id""")
_TELEMETRY = Statement("SELECT telemetry, reported FROM player_status WHERE player_id = :player_id")
_KEEP_TELEMETRY = Statement("""
    UPDATE player_status SET telemetry = :telemetry, reported = :reported, telemetry_at = :at
    WHERE player_id = :player_id""")


def connect(
    player_id: int,
    token_digest: str,
    node: str,
    session_id: str,
    address: str | None,
    device: Device,
    now: int,
    *,
    replaces: bool = True,
) -> Unit:
    """Unit: register a connection and raise the epoch. Answers `Connected`. `replaces`: see `rules.connect`.

    Raises Unauthenticated when the token was replaced, revoked or its player deleted, Forbidden in quarantine.
    """
    found = yield _READ(player_id=player_id)
    if not found or found[0]["token_digest"] != token_digest:
        raise Unauthenticated
    row = found[0]
    if row["quarantined_at"] is not None:
        raise Forbidden("This player is quarantined.", code="quarantined")
    before = _presence(row)
    change = rules.connect(before, node=node, hardware_id=device.hardware_id, now=now, replaces=replaces)
    if change.cloned:
        yield _QUARANTINE(player_id=player_id, now=now, reason="cloned")
        yield from pairing.void(player_id)
        for kind in ("player.cloned", "player.quarantined"):
            yield from events.append(_event(row, kind, {"quarantined": True, "reason": "cloned"}, now))
        return Connected(player_id, row["team_id"], row["name"], session_id, before.epoch, {}, {}, (), quarantined=True)
    yield from _write(row, before, change, session_id, now, address, device.ip_address)
    if row["session_id"]:
        yield _CLOSE_SESSION(id=row["session_id"], now=now, reason="replaced")
    if (yield _SESSIONS(player_id=player_id, today=now - now % DAY))[0]["number"] >= rules.SESSIONS_A_DAY:
        yield _FORGET_LATEST(player_id=player_id)  # this one takes its place: that time counts as unconnected
    yield _OPEN_SESSION(
        id=session_id, player_id=player_id, epoch=change.row.epoch, node=node, address=address, started_at=now,
        ended_at=None, reason=None, boot_id=device.boot_id, agent_version=device.agent_version,
    )  # fmt: skip
    facts = _facts(device)
    if any(row[name] != value for name, value in facts.items()):
        yield _DESCRIBE(player_id=player_id, **facts)
    if row["capabilities"] != facts["capabilities"]:
        yield from commands.reject_unsupported(player_id, device.capabilities, now)
    live = yield from commands.live(player_id)
    cancels = yield from commands.cancels(player_id)
    return Connected(
        player_id, row["team_id"], row["name"], session_id, change.row.epoch, orjson.loads(row["settings"]), live,
        cancels, row["journal_id"],
    )  # fmt: skip


def keep_journal(player_id: int, journal_id: str) -> Unit:
    """Unit: what the player was sent has been compared with this journal."""
    yield _KEEP_JOURNAL(player_id=player_id, journal_id=journal_id)


def disconnect(player_id: int, epoch: int, reason: Reason, graces: Graces, now: int) -> Unit:
    """Unit: the connection of this epoch has ended. Answers whether it was the current one; None: there is no such
    player any more."""
    found = yield _READ(player_id=player_id)
    if not found:
        return None
    before = _presence(found[0])
    change = rules.disconnect(before, epoch=epoch, reason=reason, graces=graces, now=now)
    if change is None:
        return False
    yield from _write(found[0], before, change, None, now)
    if found[0]["session_id"]:
        yield _CLOSE_SESSION(id=found[0]["session_id"], now=now, reason=reason)
    return True


def poll(
    player_id: int, session_id: str, address: str | None, grace: int, now: int, *, told: str | None = None
) -> Unit:
    """Unit: a player that polls is there after it was away: its epoch rises and a session begins. `told`: the address
    that it says it has."""
    row = (yield _READ(player_id=player_id))[0]
    before = _presence(row)
    yield from _write(row, before, rules.poll(before, grace=grace, now=now), session_id, now, address, told)
    yield _SEEN(player_id=player_id, last_seen_at=now, address=address)
    yield _OPEN_SESSION(
        id=session_id, player_id=player_id, epoch=before.epoch + 1, node=POLLING, address=address, started_at=now,
        ended_at=None, reason=None, boot_id=None, agent_version=None,
    )  # fmt: skip


def sweep(now: int, limit: int, polling_grace: int) -> Unit:
    """Unit: whose grace ran out, whose flapping calmed down. Answers the team of each row that was looked at.

    The stored last-seen time of a player that polls may be behind, but never by as much as its grace: where that is
    over by it, nothing was heard since.
    """
    found = yield _DUE(now=now, limit=limit)
    for row in found:
        before = _presence(row)
        renewed = min(row["last_seen_at"], now) + polling_grace if row["polls"] and row["last_seen_at"] else None
        change = rules.sweep(before, now=now, renewed_until=renewed)
        if change is None:
            continue
        # The session of a connection ended with it; the one of a player that polls ends here, when it was last heard.
        ended = row["session_id"] if before.online and not change.row.online else None
        yield from _write(row, before, change, None if ended else row["session_id"], now)
        if ended:
            yield _CLOSE_SESSION(id=ended, now=row["last_seen_at"] or now, reason=change.row.reason)
    return [row["team_id"] for row in found]


def recover(node: str, due_at: int) -> Unit:
    """Unit: at the start of this node. Whoever is away could not come back while the hub was down, and has until
    `due_at`; sessions that a crash left open end at their last sign of life. Answers how many players those were."""
    yield _CRASHED_SESSIONS(node=node)
    rows = yield _CRASHED(node=node, due_at=due_at)
    yield _AWAIT(due_at=due_at)
    return len(rows)


def await_return(due_at: int) -> Unit:
    """Unit: everybody who is away, and not yet offline for it, has until `due_at` to come back."""
    yield _AWAIT(due_at=due_at)


def seen(player_id: int, last_seen_at: int, address: str | None) -> Unit:
    """Unit: the latest sign of life of one player."""
    yield _SEEN(player_id=player_id, last_seen_at=last_seen_at, address=address)


def report(player_id: int, telemetry: Mapping[str, Any], reported: Mapping[str, Any], at: int) -> Unit:
    """Unit: merge the latest values of one player into its status."""
    found = yield _TELEMETRY(player_id=player_id)
    if found:
        merged = orjson.loads(found[0]["telemetry"]) | dict(telemetry)
        settings = rules.reported(orjson.loads(found[0]["reported"]), reported)
        yield _KEEP_TELEMETRY(
            player_id=player_id,
            telemetry=orjson.dumps(merged).decode(),
            reported=orjson.dumps(settings).decode(),
            at=at,
        )


def quarantine(player_id: int, reason: str, now: int) -> Unit:
    """Unit: let the player in no more. Answers its team, None when it is gone or in quarantine already."""
    found = yield _READ(player_id=player_id)
    if not found or found[0]["quarantined_at"] is not None:
        return None
    yield _QUARANTINE(player_id=player_id, now=now, reason=reason)
    yield from pairing.void(player_id)
    yield from events.append(_event(found[0], "player.quarantined", {"quarantined": True, "reason": reason}, now))
    return found[0]["team_id"]


def trust(player_id: int) -> Unit:
    """Unit: from now on it is looked afresh whether two devices share the player's token."""
    found = yield _READ(player_id=player_id)
    yield _KEEP_HISTORY(player_id=player_id, history=_history(rules.trusted(_presence(found[0]))))


class Noticed(NamedTuple):
    """What became of the event of a device of this team. `beyond_player`, `beyond_team`: not kept, since it is beyond
    NOTICED_A_DAY of the player or beyond the quota `device_events_per_day` of its team."""

    team_id: int
    outcome: Literal["stored", "beyond_player", "beyond_team"]


def noticed(player_id: int, name: str, data: dict[str, Any], now: int, quotas: Quotas) -> Unit:
    """Unit: log what a device noticed by itself, as far as player and team may have more of it on this day; what it is
    the latest of is kept in any case. Answers `Noticed`, None when the player is gone."""
    found = yield _READ(player_id=player_id)
    if not found:
        return None
    team_id = found[0]["team_id"]
    if name in rules.PICTURES:
        yield from report(player_id, {}, {rules.PICTURE: [rules.PICTURES[name], now]}, now)
    if (yield from daily.number(daily.PLAYER_EVENTS, player_id, now)) >= rules.NOTICED_A_DAY:
        return Noticed(team_id, "beyond_player")
    limit = quotas.limit("device_events_per_day", (yield from plan_of(team_id)))
    if (yield from daily.number(daily.TEAM_EVENTS, team_id, now)) >= limit:
        return Noticed(team_id, "beyond_team")
    yield from daily.add(daily.PLAYER_EVENTS, player_id, now)
    yield from daily.add(daily.TEAM_EVENTS, team_id, now)
    detail = masking.masked(data, masking.secrets_in(orjson.loads(found[0]["settings"])))
    yield from events.append(_event(found[0], name, {"detail": detail}, now))
    return Noticed(team_id, "stored")


async def held(session: AsyncSession, node: str) -> list[tuple[int, int, int]]:
    """(player id, team id, epoch) of the connections that this node holds, as the database has it."""
    query = select(PresenceRow.player_id, PresenceRow.team_id, PresenceRow.epoch).where(col(PresenceRow.node) == node)
    return [(player_id, team_id, epoch) for player_id, team_id, epoch in await session.exec(query)]


async def holder(session: AsyncSession, player_id: int) -> tuple[str | None, int] | None:
    """(node, epoch) of a player's latest connection; None: there is no such player. Node None: it has ended."""
    query = select(PresenceRow.node, PresenceRow.epoch).where(col(PresenceRow.player_id) == player_id)
    return (await session.exec(query)).first()


async def wanted(session: AsyncSession, player_id: int) -> tuple[dict[str, Any], str | None]:
    """The desired settings of a player, and its name; empty and None when there is no such player."""
    found = (await session.exec(select(Player.settings, Player.name).where(col(Player.id) == player_id))).first()
    return (orjson.loads(found[0]), found[1]) if found else ({}, None)


def _facts(device: Device) -> dict[str, Any]:
    return {
        "hardware_id": device.hardware_id,
        "model": device.model,
        "os_version": device.os_version,
        "app_version": device.app_version,
        "agent": device.agent,
        "player_kind": device.player_kind,
        "player_version": device.player_version,
        "capabilities": orjson.dumps(device.capabilities).decode(),
    }


def _presence(row: Row) -> Presence:
    history = orjson.loads(row["history"])
    return Presence(
        online=bool(row["online"]),
        since=row["since"],
        epoch=row["epoch"],
        node=row["node"],
        offline_due_at=row["offline_due_at"],
        reason=row["reason"],
        changes=tuple(history.get("changes", ())),
        flapping=bool(row["flapping"]),
        hardware=tuple((name, at) for name, at in history.get("hardware", ())),
        replaced=tuple(history.get("replaced", ())),
    )


def _history(row: Presence) -> str:
    return orjson.dumps({"changes": row.changes, "hardware": row.hardware, "replaced": row.replaced}).decode()


def _write(
    row: Row,
    before: Presence,
    change: Change,
    session_id: str | None,
    now: int,
    address: str | None = None,
    told: str | None = None,
) -> Unit:
    """Unit: the row after a step, with its events. Their address is the one that the device tells of itself (`told`, or
    what it said last), which leads to it in its own network; where it told none, that of its connection."""
    after = change.row
    written = yield _WRITE(
        player_id=row["player_id"],
        epoch_before=before.epoch,
        online=after.online,
        since=after.since,
        epoch=after.epoch,
        node=after.node,
        due_at=rules.due_at(after),
        offline_due_at=after.offline_due_at,
        reason=after.reason,
        flapping=after.flapping,
        history=_history(after),
        session_id=session_id,
    )
    if not written:
        raise Unavailable("The player connected elsewhere at the same moment.", code="moved", retry_after=1)
    for kind, data in change.events:
        known = told or orjson.loads(row["telemetry"] or "{}").get("ip_address")
        more = {"ip_address": known or address or row["address"], "session": session_id or row["session_id"]}
        yield from events.append(_event(row, kind, data | more, now))


def _event(row: Row, kind: str, data: dict[str, object], now: int) -> Event:
    subject = {"player_id": row["player_id"], "screen_id": row["screen_id"], "name": row["name"]}
    return Event(kind, row["team_id"], now, subject | data, player_id=row["player_id"])
