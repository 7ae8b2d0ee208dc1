"""Players that poll, in the database: devices that registered by a uuid, and the way of commands to them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from ipaddress import ip_network
from typing import Any

import orjson
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from hub.domain import commands as catalogue
from hub.domain import ids
from hub.domain import polling as rules
from hub.domain.errors import Forbidden, Invalid, TooMany, Unavailable
from hub.domain.ratelimit import network
from hub.store import events, presence, wishes
from hub.store.commands import UNFINISHED, finished, movable, moves, partial
from hub.store.pairing import Spending, check, spend
from hub.store.statements import Row, Statement, Unit, columns
from hub.store.tables import Player, PollingDevice

_COLUMNS = columns(PollingDevice)
_FIND = Statement("""
    SELECT d.player_id, d.team_id AS owner, d.pairing_code, d.code_expires_at, d.app_version, d.license_key, d.revision,
           d.held, d.seen_at, p.id AS paired, p.team_id, p.name, p.settings, p.token_digest, p.quarantined_at, r.online,
           r.offline_due_at, r.session_id, t.plan,
           (SELECT COUNT(*) FROM licence l WHERE l.player_id = d.player_id AND l.activated_at IS NOT NULL) AS licences
    FROM polling_device d LEFT JOIN player p ON p.id = d.player_id AND p.uuid = d.uuid
         LEFT JOIN presence r ON r.player_id = p.id LEFT JOIN team t ON t.id = p.team_id
    WHERE d.uuid = :uuid""")
_INSERT = Statement(f"""
    INSERT INTO polling_device ({", ".join(_COLUMNS)}) VALUES ({", ".join(f":{name}" for name in _COLUMNS)})
    ON CONFLICT DO NOTHING RETURNING player_id""")
_RENEW = Statement("""
    UPDATE polling_device SET model = COALESCE(:model, model), os_version = COALESCE(:os_version, os_version),
           app_version = COALESCE(:app_version, app_version), license_key = COALESCE(:license_key, license_key),
           address = :address, seen_at = :now
    WHERE player_id = :player_id""")
_NEW_CODE = Statement("""
    UPDATE polling_device SET pairing_code = :code, code_expires_at = :expires_at
    WHERE player_id = :player_id AND team_id IS NULL
          AND NOT EXISTS (SELECT 1 FROM polling_device WHERE pairing_code = :code AND player_id <> :player_id)
    RETURNING pairing_code""")
_DESCRIBE = Statement("""
    UPDATE player SET model = COALESCE(:model, model), os_version = COALESCE(:os_version, os_version),
           app_version = COALESCE(:app_version, app_version)
    WHERE id = :player_id""")
_OPEN = Statement("""
    SELECT COUNT(*) AS everywhere, COALESCE(SUM(CASE WHEN address = :address THEN 1 ELSE 0 END), 0) AS here,
           COALESCE(SUM(CASE WHEN address = :first OR address LIKE :others THEN 1 ELSE 0 END), 0) AS site
    FROM polling_device WHERE team_id IS NULL""")
_FORGET = Statement("DELETE FROM polling_device WHERE player_id = :player_id AND team_id IS NULL RETURNING player_id")
_GIVE_WAY = Statement("""
    DELETE FROM polling_device WHERE player_id IN (
        SELECT player_id FROM polling_device WHERE team_id IS NULL AND seen_at <= :quiet ORDER BY seen_at LIMIT 1)
    RETURNING player_id""")
_REPLACE = Statement("DELETE FROM polling_device WHERE player_id = :player_id")
_FORGET_STALE = Statement("DELETE FROM polling_device WHERE team_id IS NULL AND seen_at < :before")
_FORGET_DELETED = Statement("""
    DELETE FROM polling_device
    WHERE team_id IS NOT NULL AND NOT EXISTS (SELECT 1 FROM player WHERE player.id = polling_device.player_id)""")
_TOUCH = Statement("UPDATE polling_device SET seen_at = :now WHERE player_id = :player_id")
_ADOPT = Statement("""
    UPDATE polling_device SET team_id = :team_id, pairing_code = NULL, code_expires_at = NULL
    WHERE player_id = :player_id AND pairing_code = :code AND team_id IS NULL AND code_expires_at > :now
    RETURNING license_key""")
_HELD = Statement("SELECT held FROM polling_device WHERE player_id = :player_id")
_KEEP_HELD = Statement("UPDATE polling_device SET held = :held WHERE player_id = :player_id")
_FETCHED = Statement("UPDATE polling_device SET revision = :revision, held = :held WHERE player_id = :player_id")

_COMMAND = "id, team_id, player_id, batch_id, command, payload, state, wish"
_UNPROVED = Statement(f"""
    SELECT id, command, payload, detail FROM command
    WHERE player_id = :player_id AND id >= :first AND state = 'delivered'
          AND command IN ({", ".join(f"'{name}'" for name in rules.PROVABLE)})
    ORDER BY id""")
_DELIVER = partial(f"""
    UPDATE command SET {moves("deliver")}, sent_at = :now, finished_at = :now, due_at = NULL
    WHERE {movable("deliver")} AND id IN (
        SELECT id FROM command
        WHERE player_id = :player_id AND {UNFINISHED} AND {movable("deliver")} AND expires_at > :now
        ORDER BY id LIMIT :room)
    RETURNING {_COMMAND}""")
_NOTE = Statement("UPDATE command SET detail = :detail WHERE id = :id")
_PROVE = Statement(f"""
    UPDATE command SET {moves("prove")}, finished_at = :now, detail = :detail
    WHERE id = :id AND player_id = :player_id AND {movable("prove")} RETURNING {_COMMAND}""")
_POLLS = Statement("""
    SELECT id FROM player WHERE id = :player_id AND uuid IS NOT NULL AND token_digest IS NULL""")


def _reservation(sqlite: str) -> Statement:
    """The next number of the table of players, taken out of its sequence. Each database keeps that in its own way."""
    statement = Statement(sqlite)
    statement.postgres = (
        "SELECT CAST($1 AS INTEGER) AS unit_number, nextval(pg_get_serial_sequence('player', 'id')) AS id"
    )
    return statement


_RESERVE = _reservation("UPDATE sqlite_sequence SET seq = seq + 1 WHERE name = 'player' RETURNING seq AS id")
_RESERVE_FIRST = _reservation("INSERT INTO sqlite_sequence (name, seq) VALUES ('player', 1) RETURNING seq AS id")


def find(uuid: str) -> Unit:
    """Unit: the device of this name with its player, its presence and its team's plan; None: nobody polls by it.

    A player that was deleted, and one that has a token, is reached by its uuid no more.
    """
    rows = yield _FIND(uuid=uuid)
    if not rows or _deleted(rows[0]) or rows[0]["token_digest"] is not None:
        return None
    return rows[0]


def look_up(uuid: str, guess: Spending, now: int) -> Unit:
    """Unit: the same for whoever asks from outside: uuids that lead nowhere are guesses, and guesses are paced. Raises
    TooMany, Forbidden (quarantined)."""
    yield from check([guess], now)
    device = yield from find(uuid)
    if device is None:
        yield from spend([guess], now)
    elif device["quarantined_at"] is not None:
        raise Forbidden("This player is quarantined.", code="quarantined")
    return device


def _deleted(row: Row) -> bool:
    return row["owner"] is not None and row["paired"] is None


def register(device: PollingDevice, codes: Sequence[str], spending: Spending, now: int) -> Unit:
    """Unit: keep what a device says of itself; one that is new gets the number of the player that it is to become, and
    the first of `codes` that is free. Answers its row as `find` has it.

    Raises TooMany, Unavailable, Invalid (its player has a token).
    """
    rows = yield _FIND(uuid=device.uuid)
    row = rows[0] if rows else None
    if row is not None and row["token_digest"] is not None:
        raise Invalid.field("uuid", "is of a player that has a token, and is not reached by its uuid any more")
    if row is None or _deleted(row):
        yield from spend([spending], now)
        if row is not None:
            yield _REPLACE(player_id=row["player_id"])
        yield from _add(device, codes, now)
    else:
        facts = {name: getattr(device, name) for name in ("model", "os_version", "app_version")}
        player_id = row["player_id"]
        yield _RENEW(player_id=player_id, **facts, license_key=device.license_key, address=device.address, now=now)
        if row["paired"] is not None:
            yield _DESCRIBE(player_id=player_id, **facts)
        else:
            yield from _keep_code(row, codes, now)
    return (yield _FIND(uuid=device.uuid))[0]


def _add(device: PollingDevice, codes: Sequence[str], now: int) -> Unit:
    first, others = _site(device.address or "")
    waiting = (yield _OPEN(address=device.address, first=first, others=others))[0]
    if waiting["here"] >= rules.OPEN_PER_NETWORK or waiting["site"] >= rules.OPEN_PER_SITE:
        most = rules.OPEN_PER_NETWORK if waiting["here"] >= rules.OPEN_PER_NETWORK else rules.OPEN_PER_SITE
        raise TooMany(
            f"{most} devices at this address wait to be paired. Pair or refuse them first.",
            code="too_many_codes",
            retry_after=600,
        )
    full = waiting["everywhere"] >= rules.OPEN_IN_ALL
    if full and not (yield _GIVE_WAY(quiet=now - rules.QUIET)):
        raise Unavailable("Too many devices wait to be paired.", code="too_many_codes", retry_after=600)
    reserved = (yield _RESERVE()) or (yield _RESERVE_FIRST())
    values = device.model_dump() | {"player_id": reserved[0]["id"], "code_expires_at": now + rules.CODE_LIFETIME}
    for code in codes:
        if (yield _INSERT(**(values | {"pairing_code": code}))):
            return
    raise Unavailable("No free code was found.", code="no_free_code", retry_after=1)


def _site(address: str) -> tuple[str, str]:
    """The /48 of a /64 of IPv6, for the statement above: its first /64, and a pattern that all others of its fit, as
    they are kept. Of what is no such network: what fits nothing."""
    if not address.endswith("/64"):
        return "", ""
    site = ip_network(network(address.removesuffix("/64"), 48))
    groups = (f"{int(group, 16):x}" for group in site.network_address.exploded.split(":")[:3])
    return f"{site.network_address}/64", ":".join(groups) + ":%"


def _keep_code(row: Row, codes: Sequence[str], now: int) -> Unit:
    """The code that the screen shows lives on; only one that is over gives way to a new one."""
    codes = [row["pairing_code"]] if (row["code_expires_at"] or 0) > now else codes
    for code in codes:
        if (yield _NEW_CODE(player_id=row["player_id"], code=code, expires_at=now + rules.CODE_LIFETIME)):
            return
    raise Unavailable("No free code was found.", code="no_free_code", retry_after=1)


async def by_code(session: AsyncSession, code: str, now: int) -> PollingDevice | None:
    """The unpaired device that shows this code."""
    query = select(PollingDevice).where(
        col(PollingDevice.pairing_code) == code,
        col(PollingDevice.team_id).is_(None),
        col(PollingDevice.code_expires_at) > now,
    )
    return (await session.exec(query)).first()


def player_of(device: PollingDevice, team_id: int, name: str, now: int) -> Player:
    """The player that the device becomes, under the number that was kept for it."""
    return Player(
        id=device.player_id,
        team_id=team_id,
        screen_id=ids.screen_id(),
        name=name,
        uuid=device.uuid,
        model=device.model,
        os_version=device.os_version,
        app_version=device.app_version,
        created_at=now,
        updated_at=now,
    )


def adopt(device: PollingDevice, team_id: int, now: int) -> Unit:
    """Unit: the code is used up, the device is the team's. Answers whether the code was still good."""
    adopted = yield _ADOPT(player_id=device.player_id, code=device.pairing_code, team_id=team_id, now=now)
    return bool(adopted)


def refuse(player_id: int) -> Unit:
    """Unit: an unpaired device is not known any more. Answers whether it was."""
    return bool((yield _FORGET(player_id=player_id)))


def forget(before: int) -> Unit:
    """Unit: unpaired devices last heard before `before`, and those whose players are gone, need no row."""
    yield _FORGET_STALE(before=before)
    yield _FORGET_DELETED()


# Commands ------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Beat:
    """What a heartbeat has brought about.

    device      the row of the device, as `find` has it, with the settings as they are afterwards
    news        whether events were written: it came online, or commands moved
    settled     commands that a reading has proved
    delivered   commands that go out with the answer, oldest first
    """

    device: Row
    news: bool = False
    settled: Sequence[Row] = ()
    delivered: Sequence[Row] = ()


def beat(
    uuid: str,
    guess: Spending,
    readings: Mapping[str, Any],
    address: str | None,
    session_id: str,
    grace: int,
    now: int,
) -> Unit:
    """Unit: a device was heard. Its player is online; what it says may prove commands, what is queued goes out with the
    answer. What it says is stored with it. Answers a `Beat`, None where `find` does.
    Raises TooMany, Forbidden (quarantined).
    """
    device = yield from look_up(uuid, guess, now)
    if device is None:
        return None
    player_id = device["player_id"]
    if device["paired"] is None:
        if device["seen_at"] < now - rules.TOUCHED_EVERY:
            yield _TOUCH(player_id=player_id, now=now)
        return Beat(device)
    arrives = not device["online"] or device["session_id"] is None or device["offline_due_at"] is None
    if arrives:
        yield from presence.poll(player_id, session_id, address, grace, now, told=readings.get("ip_address"))
    else:
        yield from presence.seen(player_id, now, address)
    if readings:
        yield from presence.report(player_id, readings, {}, now)
    settled, delivered = yield from _exchange(player_id, readings, now)
    if settled or delivered:
        device = yield from find(uuid)
    return Beat(device, arrives or bool(settled or delivered), settled, delivered)


def _exchange(player_id: int, readings: Mapping[str, Any], now: int) -> Unit:
    """Settle what the readings prove, then hand over what is queued. Answers (settled rows, delivered rows)."""
    settled = []
    for row in (yield _UNPROVED(player_id=player_id, first=_first(now))):
        payload, detail = orjson.loads(row["payload"]), orjson.loads(row["detail"] or "{}")
        proof = rules.evidence(row["command"], payload, detail, readings)
        if proof is not None:
            proved = yield _PROVE(id=row["id"], player_id=player_id, now=now, detail=orjson.dumps(proof).decode())
            for done in proved:
                yield from events.append(finished(done, "succeeded", now))
                yield from _desire(player_id, done)
                settled.append(done)
    rows = yield _DELIVER(player_id=player_id, room=rules.HANDED_AT_ONCE, now=now)
    rows = sorted(rows, key=lambda row: str(row["id"]))
    for row in rows:
        if (note := rules.noted(row["command"], readings)) is not None:
            yield _NOTE(id=row["id"], detail=orjson.dumps(note).decode())
        if row["command"] in rules.SILENT:
            yield from _desire(player_id, row)
        yield from events.append(finished(row, "delivered", now))
    return settled, rows


def _first(now: int) -> str:
    return ids.earliest("cmd_", now - rules.PROVED_WITHIN)


def _desire(player_id: int, row: Row) -> Unit:
    spec = catalogue.lookup(row["command"])
    if spec.setting is not None:
        yield from wishes.follow(player_id, spec.setting(orjson.loads(row["payload"])), row["wish"])


def desire(player_id: int, changes: Mapping[str, Any]) -> Unit:
    """Unit: change the settings that a polling player should have. Answers whether it is one that polls."""
    if not (yield _POLLS(player_id=player_id)):
        return False
    number = yield from wishes.count(player_id)
    yield from wishes.follow(player_id, changes, number)
    return True


# Content -------------------------------------------------------------------------------------------------------------


def fetched(player_id: int, revision: str, keep: Sequence[int]) -> Unit:
    """Unit: the device was told this revision, and that of all it has it is to keep no more than `keep`."""
    rows = yield _HELD(player_id=player_id)
    if rows:
        held = sorted(set(orjson.loads(rows[0]["held"])) & set(keep))
        yield _FETCHED(player_id=player_id, revision=revision, held=orjson.dumps(held).decode())


def holds(player_id: int, content_id: int) -> Unit:
    """Unit: the device has fetched this content."""
    rows = yield _HELD(player_id=player_id)
    if rows:
        held = set(orjson.loads(rows[0]["held"]))
        if content_id not in held and len(held) < rules.HELD_LIMIT:
            yield _KEEP_HELD(player_id=player_id, held=orjson.dumps(sorted(held | {content_id})).decode())
