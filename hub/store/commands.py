"""Commands in the database. Every move is one conditional update, followed by its event in the same transaction; an
update that changed no row is followed by nothing."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any

import orjson
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from hub.domain import commands as rules
from hub.domain import evidence, masking
from hub.domain.access import Actor
from hub.domain.commands import IdempotencyKey, Outcome, Replay
from hub.domain.errors import Conflict, Invalid, NotFound, Unavailable, sentence
from hub.domain.events import Event
from hub.domain.quotas import Quotas
from hub.domain.times import SECOND
from hub.store import asked, events, quotas, wishes
from hub.store.failures import deleted_meanwhile
from hub.store.statements import Row, Rows, Statement, Unit, columns, insert_into
from hub.store.tables import Command

MAX_ID = 2**63 - 1
MAX_LIVE = 1_000  # unfinished commands of one player; past it 503, before anything is lost

_ROW = """id, team_id, player_id, batch_id, command, payload, delivery, state, version, finish_within_s, expires_at,
    created_at, sent_at, acked_at, error_code, cancel_requested_at, epoch, wish"""

UNFINISHED = "state IN ('held', 'queued', 'sent', 'acked')"
"""The condition of `ix_command_live` word for word: SQLite uses a partial index only where it finds that."""


def moves(name: str) -> str:
    """The assignments with which an UPDATE makes this move."""
    targets = rules.MOVES[name]
    if len(set(targets.values())) == 1:
        return f"state = '{next(iter(targets.values()))}', version = version + 1"
    cases = " ".join(f"WHEN '{before}' THEN '{after}'" for before, after in targets.items())
    return f"state = CASE state {cases} END, version = version + 1"


def movable(name: str) -> str:
    """The condition on which it may: that the row is where the move begins."""
    before = [f"'{state}'" for state in rules.MOVES[name]]
    return f"state = {before[0]}" if len(before) == 1 else f"state IN ({', '.join(before)})"


def partial(text: str) -> Statement:
    """A statement over some commands of one player, which SQLite shall find by the partial index that has only those.
    Having no statistics it would take the index over all rows and walk the player's whole past; PostgreSQL has some."""
    return Statement(text, index="ix_command_live" if UNFINISHED in text else "ix_command_cancel")


_TARGET = partial(f"""
    SELECT name, capabilities, CASE WHEN uuid IS NOT NULL AND token_digest IS NULL THEN 1 ELSE 0 END AS polls,
           (SELECT COUNT(*) FROM command WHERE player_id = :player_id AND {UNFINISHED}) AS live
    FROM player WHERE id = :player_id AND team_id = :team_id""")
_SUPERSEDE = partial(f"""
    UPDATE command SET {moves("supersede")}, superseded_by = :newer, finished_at = :now, due_at = NULL
    WHERE {movable("supersede")} AND id IN (
        SELECT id FROM command WHERE player_id = :player_id AND {UNFINISHED} AND command = :command)
    RETURNING {_ROW}""")
_OVERRULE = Statement(f"""
    UPDATE command SET {moves("overrule")}, superseded_by = :newer, finished_at = :now,
           due_at = NULL, error_code = '{rules.SUPERSEDED}', error_message = 'What it was to set was set anew.'
    WHERE id = :id AND {movable("overrule")} RETURNING {_ROW}""")
_SETTERS = "', '".join(rules.SETTERS)
_WAITING = partial(f"""
    SELECT id, command FROM command WHERE player_id = :player_id AND {UNFINISHED} AND command IN ('{_SETTERS}')
        AND state IN ('held', 'queued') ORDER BY id""")
_WAITING_IN_GROUP = partial(f"""
    SELECT id, command FROM command WHERE player_id IN (SELECT player_id FROM group_member WHERE group_id = :group_id)
        AND {UNFINISHED} AND command IN ('{_SETTERS}') AND state IN ('held', 'queued') ORDER BY id""")
_KEEP_KEY = Statement("""
    INSERT INTO idempotency_key (team_id, key, request, status, answer, created_at)
    VALUES (:team_id, :key, :request, :status, :answer, :now) ON CONFLICT DO NOTHING RETURNING team_id""")
_READ_KEY = Statement("SELECT request, status, answer FROM idempotency_key WHERE team_id = :team_id AND key = :key")
_CLAIM = partial(f"""
    UPDATE command SET {moves("claim")}, node = :node, epoch = :epoch, sent_at = :now
    WHERE {movable("claim")} AND id IN (
              SELECT id FROM command
              WHERE player_id = :player_id AND {UNFINISHED} AND {movable("claim")} AND expires_at > :now
              ORDER BY id LIMIT :room)
          AND EXISTS (SELECT 1 FROM presence WHERE player_id = :player_id AND epoch = :epoch AND node = :node)
    RETURNING id, team_id, player_id, batch_id, command, payload, delivery, state, expires_at""")
_HOLDS = Statement("SELECT epoch FROM presence WHERE player_id = :player_id AND epoch = :epoch AND node = :node")
_ACKNOWLEDGE = Statement(f"""
    UPDATE command SET {moves("acknowledge")}, acked_at = CAST(:now AS BIGINT),
           due_at = CAST(:now AS BIGINT) + CAST(finish_within_s AS BIGINT) * 1000
    WHERE id = :id AND player_id = :player_id AND {movable("acknowledge")} RETURNING {_ROW}""")
_READ = Statement(f"SELECT {_ROW} FROM command WHERE id = :id AND player_id = :player_id")
_FINISH = Statement(f"""
    UPDATE command SET state = :state, version = version + 1, acked_at = COALESCE(acked_at, CAST(:now AS BIGINT)),
           started_at = :started_at, finished_at = :finished_at, detail = :detail, error_code = :error_code,
           error_message = :error_message, late = :late, due_at = NULL, cancel_requested_at = NULL
    WHERE id = :id AND version = :version RETURNING {_ROW}""")
_REQUEUE = Statement(f"""
    UPDATE command SET {moves("requeue")}, node = NULL, epoch = NULL
    WHERE id = :id AND player_id = :player_id AND {movable("requeue")} AND epoch < :epoch
    RETURNING id, command, payload, wish""")
_CALL_OFF = Statement(f"""
    UPDATE command SET {moves("call_off")}, finished_at = :now, due_at = NULL,
           cancel_requested_at = NULL
    WHERE id = :id AND player_id = :player_id AND {movable("call_off")} AND epoch < :epoch
          AND cancel_requested_at IS NOT NULL RETURNING {_ROW}""")
_LOSE = Statement(f"""
    UPDATE command SET {moves("lose")}, finished_at = :now, due_at = NULL,
           error_code = 'journal_lost', error_message = CASE state
               WHEN 'acked' THEN 'The player acknowledged this command and then lost it.'
               ELSE 'The player has lost its journal, and may have done this before.' END
    WHERE id = :id AND player_id = :player_id AND {movable("lose")}
          AND EXISTS (SELECT 1 FROM presence WHERE player_id = :player_id AND epoch = :epoch) RETURNING {_ROW}""")
_EXPIRE = Statement(f"""
    UPDATE command SET {moves("expire")}, finished_at = CAST(:now AS BIGINT), due_at = NULL,
           cancel_requested_at = CASE state WHEN 'sent' THEN CAST(:now AS BIGINT) ELSE cancel_requested_at END
    WHERE {movable("expire")} AND id IN (
        SELECT id FROM command WHERE due_at <= :now ORDER BY due_at LIMIT :limit) RETURNING {_ROW}""")
_CANCEL = Statement(f"""
    UPDATE command SET {moves("cancel")}, finished_at = :now, due_at = NULL
    WHERE id = :id AND team_id = :team_id AND {movable("cancel")} RETURNING {_ROW}""")
_ASK_CANCEL = Statement(f"""
    UPDATE command SET cancel_requested_at = COALESCE(cancel_requested_at, CAST(:now AS BIGINT)), version = version + 1
    WHERE id = :id AND team_id = :team_id AND state IN ('sent', 'acked') RETURNING {_ROW}""")
_OWN = Statement(f"SELECT {_ROW} FROM command WHERE id = :id AND team_id = :team_id")
_STATES = partial(f"""
    SELECT id, state FROM command WHERE player_id = :player_id AND {UNFINISHED} AND state <> 'held'""")
_SENT_ONCE = partial(f"""
    SELECT id FROM command WHERE player_id = :player_id AND {UNFINISHED} AND state = 'sent' AND delivery = 'once'""")
_CANCELS = partial("""
    SELECT id FROM command WHERE player_id = :player_id AND cancel_requested_at IS NOT NULL ORDER BY id LIMIT 1000""")
_UNSUPPORTED = Statement(f"""
    UPDATE command SET {moves("reject")}, finished_at = :now, due_at = NULL,
           error_code = 'unsupported_command', error_message = 'The player cannot do this.'
    WHERE id = :id AND {movable("reject")} RETURNING {_ROW}""")
_QUEUED = partial(f"""
    SELECT id, command FROM command WHERE player_id = :player_id AND {UNFINISHED} AND state = 'queued' ORDER BY id""")
_SCREENSHOT = Statement("SELECT command_id, sha256 FROM screenshot WHERE id = :id AND player_id = :player_id")
_LOGS = Statement("SELECT key, sha256 FROM upload WHERE id = :id AND player_id = :player_id AND kind = 'logs'")
_GREETINGS = Statement("""
    SELECT epoch, boot_id, agent_version FROM player_session
    WHERE player_id = :player_id AND epoch >= :epoch ORDER BY epoch DESC LIMIT 100""")
_ASSET_NAMED = Statement("SELECT id FROM asset WHERE id = :id AND team_id = :team_id AND name = :name")
_ASSET_UNCHANGED = Statement("SELECT id FROM asset WHERE id = :id AND team_id = :team_id AND updated_at < :since")
_ITEMS = "SELECT 1 FROM playlist_item i JOIN asset a ON a.id = i.asset_id WHERE i.playlist_id = p.id"
_PLAYLIST_NAMED = Statement(f"""
    SELECT p.id FROM playlist p WHERE p.id = :id AND p.team_id = :team_id
        AND (p.name = :name OR EXISTS ({_ITEMS} AND a.name = :name))""")
_PLAYLIST_UNCHANGED = Statement(f"""
    SELECT p.id FROM playlist p WHERE p.id = :id AND p.team_id = :team_id AND p.updated_at < :since
        AND NOT EXISTS ({_ITEMS} AND a.updated_at >= :since)""")


@dataclass(slots=True, kw_only=True)
class Draft:
    """A command about to be stored: what a new row says; all other columns start empty.

    Not a `Command`, because making one of those costs more than storing it.
    """

    id: str
    team_id: int
    player_id: int
    batch_id: str | None
    command: str
    payload: str
    delivery: str
    state: str
    finish_within_s: int
    created_at: int
    expires_at: int | None
    due_at: int | None
    actor_kind: str
    actor_id: int
    actor_name: str
    face: str
    address: str | None
    version: int = 1
    late: bool = False
    wish: int | None = None


_DRAFTED = tuple(field.name for field in fields(Draft))
_INSERT = insert_into(Command, without=tuple(name for name in columns(Command) if name not in _DRAFTED))


def send(
    command: Draft,
    spec: rules.Spec,
    actor: Actor,
    now: int,
    limits: Quotas,
    idempotency: IdempotencyKey | None = None,
    status: int = 202,
    answer: str = "",
) -> Unit:
    """Unit: queue one command for one player. Answers None, or the `Replay` of an earlier request with the same key.

    Raises NotFound, Invalid (the player cannot do it), Conflict (key used for another request), TooMany (of the team on
    this day), Unavailable (full).
    """
    if idempotency is not None:
        earlier = yield from keep_key(command.team_id, idempotency, status, answer, now)
        if earlier is not None:
            return earlier
    targets = yield _TARGET(player_id=command.player_id, team_id=command.team_id)
    if not targets:
        raise NotFound
    if not can(targets[0]["capabilities"], spec.name):
        raise Invalid(
            f"{targets[0]['name']} cannot do {spec.name}: it is not among the capabilities that the player announced.",
            code="unsupported_command",
            errors={"command": [sentence("command", "names something that this player cannot do")]},
        )
    if spec.name == "play":
        yield from asked.check(command.team_id, orjson.loads(command.payload))
    if targets[0]["live"] >= MAX_LIVE:
        raise Unavailable("This player has too many unfinished commands.", code="queue_full", retry_after=30)
    if targets[0]["polls"] and command.expires_at == now + spec.start_within_s * SECOND:  # nobody asked for another
        command.expires_at = command.due_at = now + rules.time_to_start(spec, None, polls=True) * SECOND
    yield from quotas.count_commands(limits, command.team_id, now, rules.weight(command.payload))
    yield from queue(command, spec, actor, now)
    return None


def keep_key(team_id: int, idempotency: IdempotencyKey, status: int, answer: str, now: int) -> Unit:
    """Claim the key for this request, with its answer. None: ours; else the Replay. Raises Conflict."""
    ours = yield _KEEP_KEY(
        team_id=team_id, key=idempotency.key, request=idempotency.request, status=status, answer=answer, now=now
    )
    if ours:
        return None
    earlier = yield from replay(team_id, idempotency)
    if earlier is None:
        raise Unavailable("Another request with this key has not ended yet.", code="moved", retry_after=1)
    return earlier


def replay(team_id: int, idempotency: IdempotencyKey) -> Unit:
    """Unit: the answer that an earlier request with this key got, or None. Raises Conflict if it was another one."""
    found = yield _READ_KEY(team_id=team_id, key=idempotency.key)
    if not found:
        return None
    if found[0]["request"] != idempotency.request:
        raise Conflict("This Idempotency-Key was used for another request.", code="idempotency_key_reused")
    return Replay(found[0]["status"], found[0]["answer"])


def can(capabilities: str | None, name: str) -> bool:
    """Whether a player with these capabilities (JSON, None before its first hello) takes the command."""
    return capabilities is None or name in orjson.loads(capabilities)


def queue(command: Draft, spec: rules.Spec, actor: Actor | None, now: int) -> Unit:
    """Store the row and its event; older queued ones of the kind give way to it, and what waits to set the same
    settings. Raises Unavailable when the player is gone."""
    if spec.setting is not None:
        command.wish = yield from wishes.count(command.player_id)
        if command.wish is None:
            raise deleted_meanwhile()
        if command.state == "queued":
            waiting = yield _WAITING(player_id=command.player_id)
            yield from _overrule(waiting, spec.setting.names, now, newer=command.id)
    elif command.state == "queued" and rules.supersedes(spec):
        older = yield _SUPERSEDE(newer=command.id, player_id=command.player_id, command=command.command, now=now)
        for row in older:
            yield from events.append(finished(row, "cancelled", now, superseded_by=command.id))
    values = {name: getattr(command, name) for name in _DRAFTED}
    yield _INSERT(**values)
    if command.state == "queued":
        yield from events.append(event("command.queued", values, "queued", now, actor=actor, face=command.face))


def overrule(player_id: int, settings: Iterable[str], now: int) -> Unit:
    """Unit: these settings of the player are other ones now: what waits to set them is over. Answers the rows."""
    return (yield from _overrule((yield _WAITING(player_id=player_id)), settings, now))


def overrule_in_group(group_id: int, settings: Iterable[str], now: int) -> Unit:
    """Unit: the same for all members of a group."""
    return (yield from _overrule((yield _WAITING_IN_GROUP(group_id=group_id)), settings, now))


def _overrule(waiting: Rows, settings: Iterable[str], now: int, newer: str | None = None) -> Unit:
    pointless, over = rules.setters_of(settings), []
    for one in waiting:
        if one["command"] in pointless:
            over += yield _OVERRULE(id=one["id"], newer=newer, now=now)
    for row in over:
        yield from events.append(finished(row, "cancelled", now, error=rules.SUPERSEDED, superseded_by=newer))
    return over


def claim(player_id: int, node: str, epoch: int, room: int, now: int) -> Unit:
    """Unit: take up to `room` queued commands for this connection, oldest first. Answers their rows; None: it is not
    the player's connection any more."""
    rows = yield _CLAIM(player_id=player_id, node=node, epoch=epoch, room=room, now=now)
    if not rows and not (yield _HOLDS(player_id=player_id, node=node, epoch=epoch)):
        return None
    rows = sorted(rows, key=lambda row: str(row["id"]))
    for row in rows:
        yield from events.append(event("command.sent", row, "sent", now))
    return rows


def acknowledge(player_id: int, command_id: str, now: int) -> Unit:
    """Unit: the command is in the player's journal. Answers whether that was news."""
    rows = yield _ACKNOWLEDGE(id=command_id, player_id=player_id, now=now)
    for row in rows:
        yield from events.append(event("command.acknowledged", row, "acked", now))
    return bool(rows)


def record(player_id: int, outcome: Outcome, now: int) -> Unit:
    """Unit: settle a command by the player's word. Answers (the final row, whether the device may have other settings
    than those that are wished for, since a younger wish is about them); None if it settled nothing: unknown, or settled
    before."""
    found = yield _READ(id=outcome.id, player_id=player_id)
    if not found:
        return None
    row = found[0]
    if not rules.accepts_result(row["state"], row["error_code"], acknowledged=row["acked_at"] is not None):
        return None
    spec = rules.lookup(row["command"])
    payload = orjson.loads(row["payload"])
    state, error_code, error_message = outcome.status, outcome.error_code, outcome.error_message
    detail = outcome.detail
    if detail is not None and evidence.UNVERIFIED in detail:  # for the judge to say, below
        detail = {key: value for key, value in detail.items() if key != evidence.UNVERIFIED}
    if state == "succeeded":
        verdict = yield from _judge(spec, payload, row, outcome, now)
        if verdict.code is not None:
            state, error_code, error_message = "failed", verdict.code, verdict.message
        elif verdict.unverified:
            detail = {**(detail or {}), evidence.UNVERIFIED: True}
    secrets = masking.secrets_in(payload)
    if spec.setting is not None and spec.setting.names & masking.SECRET_NAMES:
        secrets |= masking.secrets_in((yield from wishes.settings(player_id)))
    kept = None if detail is None else orjson.dumps(masking.masked(detail, secrets)).decode()
    if kept is not None and len(kept.encode()) > rules.MAX_DETAIL_BYTES:
        kept = None
        if state == "succeeded":
            state, error_code = "failed", "detail_too_large"
            error_message = f"The result has a detail of over {rules.MAX_DETAIL_BYTES} bytes, which is not kept."
    late = row["state"] in rules.FINAL
    rows = yield _FINISH(
        id=outcome.id,
        version=row["version"],
        state=state,
        now=now,
        started_at=outcome.started_at,
        finished_at=now,
        detail=kept,
        error_code=error_code,
        error_message=None if error_message is None else masking.masked_text(error_message, secrets),
        late=late,
    )
    if not rows:
        raise Unavailable("The command moved at the same moment.", code="moved", retry_after=1)
    strays = False
    if spec.setting is not None and state == "succeeded":
        strays = not (yield from wishes.follow(player_id, spec.setting(payload), row["wish"]))
    elif spec.setting is not None and state == "failed":  # half done, perhaps
        strays = yield from wishes.overruled(player_id, spec.setting(payload), row["wish"])
    yield from events.append(finished(rows[0], state, now, late=late, error=error_code))
    return rows[0], strays


def _judge(spec: rules.Spec, payload: dict[str, Any], row: Row, outcome: Outcome, now: int) -> Unit:
    """Hold a success against what is stored here. Answers the `Verdict`."""
    detail, player_id = outcome.detail or {}, row["player_id"]
    sent_for = None if row["sent_at"] is None else now - row["sent_at"]
    known = evidence.Known(epoch=row["epoch"], sent_for=sent_for, revision=outcome.revision)
    if any(key not in detail for key in spec.evidence):
        pass  # nothing to look up for
    elif spec.look_up == "greetings" and row["epoch"] is not None:
        found = yield _GREETINGS(player_id=player_id, epoch=row["epoch"])
        greetings = [evidence.Greeting(one["epoch"], one["boot_id"], one["agent_version"]) for one in reversed(found)]
        known = replace(known, greetings=greetings)
    elif spec.look_up == "screenshot":
        found = yield _SCREENSHOT(id=_number(detail["screenshot_id"]), player_id=player_id)
        known = replace(known, stored=[evidence.Stored(one["command_id"], one["sha256"]) for one in found])
    elif spec.look_up == "logs":
        found = yield _LOGS(id=_text(detail["upload_id"]), player_id=player_id)
        known = replace(known, stored=[evidence.Stored(_command_of(one["key"]), one["sha256"]) for one in found])
    elif spec.look_up == "name":
        known = replace(known, named=(yield from _is_named(payload, row, _text(detail["current_content"]))))
    claim = evidence.Claim(row["id"], player_id, payload, detail, outcome.boot_id, known)
    return evidence.judge(spec.evidence, spec.judge, claim)


def _command_of(key: str) -> str | None:
    """The command that an upload was sent for: its key is player/kind/command/sha256."""
    return key.split("/")[2] or None


def _is_named(payload: dict[str, Any], row: Row, name: str) -> Unit:
    """Whether what the command asks for has this name. None: it is no content of the hub's, or was changed since, or is
    gone."""
    if "asset_id" in payload:
        named, unchanged, number = _ASSET_NAMED, _ASSET_UNCHANGED, payload["asset_id"]
    elif "playlist_id" in payload:
        named, unchanged, number = _PLAYLIST_NAMED, _PLAYLIST_UNCHANGED, payload["playlist_id"]
    else:
        return None
    about = {"id": _number(number), "team_id": row["team_id"]}
    if (yield named(**about, name=name)):
        return True
    return False if (yield unchanged(**about, since=row["created_at"])) else None


def reconcile(
    player_id: int, epoch: int, requeue: Sequence[str], acked: Sequence[str], lost: Sequence[str], now: int
) -> Unit:
    """Unit: apply what the journal of a connecting player says of its unfinished commands. Answers the rows that are
    over."""
    over: list[Row] = []
    for command_id in requeue:
        # What never arrived and is not wanted any more is over; everything else goes out again.
        called_off = yield _CALL_OFF(id=command_id, player_id=player_id, epoch=epoch, now=now)
        for row in called_off:
            yield from events.append(finished(row, "cancelled", now))
        over += called_off
        for row in (yield _REQUEUE(id=command_id, player_id=player_id, epoch=epoch)):
            setting = rules.lookup(row["command"]).setting
            if setting is not None:
                changes = setting(orjson.loads(row["payload"]))
                if (yield from wishes.overruled(player_id, changes, row["wish"])):
                    over += yield from _overrule([row], setting.names, now)
    for command_id in acked:
        yield from acknowledge(player_id, command_id, now)
    for command_id in lost:
        for row in (yield _LOSE(id=command_id, player_id=player_id, epoch=epoch, now=now)):
            yield from events.append(finished(row, "failed", now, error=rules.JOURNAL_LOST))
            over.append(row)
    return over


def reject_unsupported(player_id: int, capabilities: Sequence[str], now: int) -> Unit:
    """Unit: refuse what was queued before the player said what it can do."""
    for queued in (yield _QUEUED(player_id=player_id)):
        if queued["command"] not in capabilities:
            for row in (yield _UNSUPPORTED(id=queued["id"], now=now)):
                yield from events.append(finished(row, "rejected", now, error="unsupported_command"))


def expire(now: int, limit: int) -> Unit:
    """Unit: move what time alone moves: queued and sent to expired, acked to timed_out. Answers the rows."""
    rows = yield _EXPIRE(now=now, limit=limit)
    for row in rows:
        yield from events.append(finished(row, row["state"], now, error=row["state"]))
    return rows


def cancel(team_id: int, command_id: str, actor: Actor, face: str, now: int) -> Unit:
    """Unit: call a command back. Answers (row, state after): `cancelled` at once, or sent/acked with the cancel asked
    for; final rows stay as they are. Raises NotFound."""
    rows = yield _CANCEL(id=command_id, team_id=team_id, now=now)
    if rows:
        yield from events.append(finished(rows[0], "cancelled", now, actor=actor, face=face))
        return rows[0]
    rows = yield _ASK_CANCEL(id=command_id, team_id=team_id, now=now)
    if not rows:
        rows = yield _OWN(id=command_id, team_id=team_id)
    if not rows:
        raise NotFound
    return rows[0]


def live(player_id: int) -> Unit:
    """Unit: {id: queued | sent | acked} of the player's unfinished commands."""
    rows = yield _STATES(player_id=player_id)
    return {row["id"]: row["state"] for row in rows}


def sent_once(player_id: int) -> Unit:
    """Unit: ids of what the player was sent, must not run twice, and has not been acknowledged."""
    rows = yield _SENT_ONCE(player_id=player_id)
    return [row["id"] for row in rows]


def cancels(player_id: int) -> Unit:
    """Unit: ids whose cancellation the player has not answered yet."""
    rows = yield _CANCELS(player_id=player_id)
    return [row["id"] for row in rows]


def finished(
    row: Row, state: str, now: int, *, actor: Actor | None = None, face: str | None = None, **more: Any
) -> Event:
    return event("command.finished", row, state, now, actor=actor, face=face, **more)


def event(
    kind: str, row: Row, state: str, now: int, *, actor: Actor | None = None, face: str | None = None, **more: Any
) -> Event:
    data = {"command_id": row["id"], "player_id": row["player_id"], "command": row["command"], "status": state}
    if row["batch_id"]:
        data["batch_id"] = row["batch_id"]
    data.update({name: value for name, value in more.items() if value})
    return Event(kind, row["team_id"], now, data, player_id=row["player_id"], actor=actor, face=face)


def _number(value: Any) -> int:
    """The id that a result names, 0 for what cannot be one."""
    if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) < 19:
        return int(value)
    return value if type(value) is int and 0 < value <= MAX_ID else 0


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""


async def get(session: AsyncSession, team_id: int, command_id: str) -> Command | None:
    query = select(Command).where(col(Command.id) == command_id, col(Command.team_id) == team_id)
    return (await session.exec(query)).first()


async def running(session: AsyncSession, player_id: int, command_id: str) -> str | None:
    """The payload of the command, if it is this player's and has not ended."""
    query = select(Command.payload).where(col(Command.id) == command_id, col(Command.player_id) == player_id)
    return (await session.exec(query.where(col(Command.state).in_(rules.LIVE)))).first()


async def listing(
    session: AsyncSession,
    team_id: int,
    *,
    player_id: int | None,
    batch_id: str | None,
    states: Sequence[str],
    before: str | None,
    limit: int,
) -> list[Command]:
    """Newest first, before the id `before`."""
    query = select(Command).where(col(Command.team_id) == team_id)
    if player_id is not None:
        query = query.where(col(Command.player_id) == player_id)
    if batch_id is not None:
        query = query.where(col(Command.batch_id) == batch_id)
    if states:
        query = query.where(col(Command.state).in_(states))
    if before is not None:
        query = query.where(col(Command.id) < before)
    return list((await session.exec(query.order_by(col(Command.id).desc()).limit(limit))).all())
