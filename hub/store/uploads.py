"""Finished uploads and the screenshots among them. Every stored blob has an `upload` row, which is how a blob without
an owner is told."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import exists, func, text
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from hub.domain.errors import Conflict, NotFound
from hub.domain.events import Event
from hub.domain.quotas import Limits, Quotas
from hub.domain.times import rfc3339
from hub.store import daily, events
from hub.store.quotas import plan_of
from hub.store.statements import Statement, Unit, insert_into
from hub.store.tables import Command, Player, Screenshot, Team, Upload

_PLAYER = Statement("SELECT team_id, screen_id, name FROM player WHERE id = :player_id")
_KEEP = Statement("""
    INSERT INTO upload (id, key, player_id, kind, blob, mime, size, sha256, screenshot_id, created_at)
    VALUES (:id, :key, :player_id, :kind, :blob, :mime, :size, :sha256, NULL, :now)
    ON CONFLICT (key) DO NOTHING RETURNING id""")
_KEPT = Statement("SELECT id, blob, screenshot_id FROM upload WHERE key = :key")
_SCREENSHOT = insert_into(Screenshot, without=("id",), returning="id")
_OWN = Statement("UPDATE upload SET screenshot_id = :screenshot_id WHERE id = :id")
_SEEN_AGAIN = Statement("""
    UPDATE screenshot
    SET captured_at = :captured_at,
        stored_at = CASE WHEN stored_at > :now THEN stored_at ELSE CAST(:now AS BIGINT) END,
        asset_id = (
            SELECT a.id FROM asset a WHERE a.id = CAST(:asset_id AS BIGINT) AND a.team_id = screenshot.team_id),
        asset_name = (
            SELECT a.name FROM asset a WHERE a.id = CAST(:asset_id AS BIGINT) AND a.team_id = screenshot.team_id)
    WHERE id = :screenshot_id AND captured_at < :captured_at""")
_ASSET = Statement("SELECT id, name FROM asset WHERE id = :asset_id AND team_id = :team_id")
_FORGET_SCREENSHOT = Statement("DELETE FROM screenshot WHERE id = :screenshot_id")
_FORGET = Statement("DELETE FROM upload WHERE id = :id")
_STORED = Statement("""
    SELECT COALESCE(SUM(size), 0) AS used, COUNT(*) AS number,
           COALESCE(SUM(CASE WHEN substr(key, 1, CAST(:length AS INTEGER)) = :purpose THEN 1 ELSE 0 END), 0) AS alike
    FROM upload WHERE player_id = :player_id""")
_HEAVY = text("""
    SELECT u.player_id FROM upload u GROUP BY u.player_id HAVING SUM(u.size) > :least OR COUNT(*) > :number
    ORDER BY u.player_id LIMIT 100""")
_ROOM_LEFT = 0.75  # of what a player may have: what is stored beyond gives way to what comes until the next look
MOST = 10_000  # uploads of one player: 250 pictures a day that somebody asked for stay for 30 days
A_DAY = 5_000  # uploads of one player that are new on one day (UTC): a picture each 18 s, and an event of each
OF_ONE_COMMAND = 10  # uploads of one kind: a command asks for one, and is tried again a few times at most


@dataclass(frozen=True, slots=True)
class NewUpload:
    """Bytes that are in the blob store, and where they come from; `key` names player, kind, command and sha256."""

    id: str
    key: str
    player_id: int
    kind: str
    command_id: str | None
    blob: str
    mime: str
    size: int
    sha256: str
    source: str
    captured_at: int
    asset_id: int | None = None


@dataclass(frozen=True, slots=True)
class Kept:
    """An upload as it is stored: `id` is its own, `screenshot_id` that of its picture, `blob` where the bytes are."""

    id: str
    blob: str
    screenshot_id: int | None


def _check(quotas: Quotas, team_id: int, player_id: int, key: str, size: int, more: int, now: int) -> Unit:
    """Unit: raise Conflict when `size` more bytes or `more` uploads do not fit."""
    if (yield from daily.number(daily.UPLOADS, player_id, now)) + more > A_DAY:
        text = f"At most {A_DAY:,} uploads of one player are taken on one day (UTC)."
        raise Conflict(text, code="too_many_today")
    plan = yield from plan_of(team_id)
    purpose = key.rpartition("/")[0] + "/"
    stored = (yield _STORED(player_id=player_id, purpose=purpose, length=len(purpose)))[0]
    quotas.check("player_bytes", plan, int(stored["used"]), size)
    if stored["number"] + more > MOST:
        raise Conflict(f"At most {MOST:,} uploads of one player are kept.", code="too_many_stored")
    if not purpose.endswith("//") and stored["alike"] + more > OF_ONE_COMMAND:
        text = f"At most {OF_ONE_COMMAND} uploads of a kind belong to one command."
        raise Conflict(text, code="too_many_stored")


def find_or_check(key: str, player_id: int, team_id: int, size: int, quotas: Quotas, now: int) -> Unit:
    """Unit: what is kept under the key; without it None, and Conflict when the player has no room for it."""
    kept = yield from find(key)
    if kept is None:
        yield from _check(quotas, team_id, player_id, key, size, 1, now)
    return kept


def record(new: NewUpload, now: int, quotas: Quotas) -> Unit:
    """Unit: the rows of an upload whose blob is stored, and `screenshot.created`. Answers what is kept under the key:
    of two that finish at once the first. Raises NotFound when the player was deleted meanwhile, Conflict when it
    has no room for it."""
    players = yield _PLAYER(player_id=new.player_id)
    if not players:
        raise NotFound("The player was deleted.")
    player = players[0]
    ours = yield _KEEP(
        id=new.id, key=new.key, player_id=new.player_id, kind=new.kind, blob=new.blob, mime=new.mime, size=new.size,
        sha256=new.sha256, now=now,
    )  # fmt: skip
    if not ours:
        return (yield from find(new.key))
    yield from daily.add(daily.UPLOADS, new.player_id, now)
    yield from _check(quotas, player["team_id"], new.player_id, new.key, 0, 0, now)
    if new.kind != "screenshot":
        return Kept(new.id, new.blob, None)
    shown: dict[str, Any] = {"asset_id": None, "asset_name": None}
    if new.asset_id is not None:
        for asset in (yield _ASSET(asset_id=new.asset_id, team_id=player["team_id"])):
            shown = {"asset_id": asset["id"], "asset_name": asset["name"]}
    rows = yield _SCREENSHOT(
        player_id=new.player_id, team_id=player["team_id"], command_id=new.command_id, blob=new.blob, mime=new.mime,
        size=new.size, sha256=new.sha256, source=new.source, captured_at=new.captured_at, stored_at=now,
        **shown,
    )  # fmt: skip
    screenshot_id = rows[0]["id"]
    yield _OWN(id=new.id, screenshot_id=screenshot_id)
    data = {
        "screenshot_id": screenshot_id,
        "player_id": new.player_id,
        "screen_id": player["screen_id"],
        "name": player["name"],
        "captured_at": rfc3339(new.captured_at),
        "source": new.source,
        "mime": new.mime,
        "size": new.size,
        "current_item": current_item(**shown),
    }
    if new.command_id is not None:
        data["command_id"] = new.command_id
    yield from events.append(Event("screenshot.created", player["team_id"], now, data, player_id=new.player_id))
    return Kept(new.id, new.blob, screenshot_id)


def current_item(asset_id: int | None, asset_name: str | None) -> dict[str, Any] | None:
    """What the player showed when a picture was taken, as it was called then; None where that is not known."""
    return None if asset_id is None else {"asset_id": asset_id, "name": asset_name}


def find(key: str) -> Unit:
    """Unit: what is kept under the key, or None."""
    rows = yield _KEPT(key=key)
    return Kept(rows[0]["id"], rows[0]["blob"], rows[0]["screenshot_id"]) if rows else None


def seen_again(screenshot_id: int, captured_at: int, asset_id: int | None, now: int) -> Unit:
    """Unit: the screen shows the same picture still. The row tells when it was last seen, and what was shown then; a
    mere repeat of the same capture changes nothing."""
    yield _SEEN_AGAIN(screenshot_id=screenshot_id, captured_at=captured_at, asset_id=asset_id, now=now)


def forget(uploads: Sequence[Kept]) -> Unit:
    """Unit: remove the rows of uploads whose blobs are gone."""
    for upload in uploads:
        if upload.screenshot_id is not None:
            yield _FORGET_SCREENSHOT(screenshot_id=upload.screenshot_id)
        yield _FORGET(id=upload.id)


async def expired(session: AsyncSession, before: int, limit: int) -> list[Kept]:
    """Uploads older than `before`; a picture counts from when it was last seen."""
    age = func.coalesce(col(Screenshot.stored_at), col(Upload.created_at))
    query = (
        select(Upload)
        .join(Screenshot, col(Screenshot.id) == col(Upload.screenshot_id), isouter=True)
        .where(age < before)
        .limit(limit)
    )
    return [_kept(upload) for upload in await session.exec(query)]


async def surplus(session: AsyncSession, keep: int, limit: int) -> list[Kept]:
    """Pictures that nobody asked for, beyond the newest `keep` of each player. What names a command that is not the
    player's was not asked for."""
    place = func.row_number().over(
        partition_by=col(Screenshot.player_id), order_by=(col(Screenshot.stored_at).desc(), col(Screenshot.id).desc())
    )
    asked = exists().where(
        col(Command.id) == col(Screenshot.command_id), col(Command.player_id) == col(Screenshot.player_id)
    )
    ranked = select(col(Screenshot.id), place.label("place")).where(~asked).subquery()
    query = select(Upload).join(ranked, ranked.c.id == col(Upload.screenshot_id)).where(ranked.c.place > keep)
    return [_kept(upload) for upload in await session.exec(query.limit(limit))]


async def heaviest(session: AsyncSession, limits: Limits, limit: int) -> list[Kept]:
    """The oldest pictures and logs of players that have nearly as many of them, or as many bytes, as they may."""
    connection = await session.connection()
    found = await connection.execute(_HEAVY, {"least": int(min(limits) * _ROOM_LEFT), "number": int(MOST * _ROOM_LEFT)})
    heavy: list[Kept] = []
    for (player_id,) in found.all():
        age = func.coalesce(col(Screenshot.stored_at), col(Upload.created_at))
        query: Any = (
            select(Upload, Team.plan)
            .join(Player, col(Player.id) == col(Upload.player_id))
            .join(Team, col(Team.id) == col(Player.team_id))
            .join(Screenshot, col(Screenshot.id) == col(Upload.screenshot_id), isouter=True)
            .where(col(Upload.player_id) == player_id)
            .order_by(age.desc(), col(Upload.id).desc())
        )
        size = 0
        for number, (upload, plan) in enumerate(await session.exec(query), 1):
            size += upload.size
            if (
                number > MOST * _ROOM_LEFT
                or size > Quotas({"player_bytes": limits}).limit("player_bytes", plan) * _ROOM_LEFT
            ):
                heavy.append(_kept(upload))
    return heavy[:limit]


async def owned(session: AsyncSession, upload_ids: Iterable[str]) -> set[str]:
    """Those of the ids that have a row."""
    return set(await session.exec(select(Upload.id).where(col(Upload.id).in_(list(upload_ids)))))


async def latest_screenshot(session: AsyncSession, team_id: int, player_id: int) -> Screenshot | None:
    query = select(Screenshot).where(col(Screenshot.player_id) == player_id, col(Screenshot.team_id) == team_id)
    return (await session.exec(query.order_by(col(Screenshot.stored_at).desc(), col(Screenshot.id).desc()))).first()


async def screenshot(session: AsyncSession, screenshot_id: int, team_id: int | None = None) -> Screenshot:
    """One picture; without `team_id` for a caller whose right was checked otherwise. Raises NotFound."""
    query = select(Screenshot).where(col(Screenshot.id) == screenshot_id)
    if team_id is not None:
        query = query.where(col(Screenshot.team_id) == team_id)
    found = (await session.exec(query)).first()
    if found is None:
        raise NotFound
    return found


async def upload(session: AsyncSession, team_id: int, upload_id: str) -> Upload:
    """One upload of the team's players. Raises NotFound."""
    query = select(Upload).join(Player, col(Player.id) == col(Upload.player_id))
    found = (await session.exec(query.where(col(Upload.id) == upload_id, col(Player.team_id) == team_id))).first()
    if found is None:
        raise NotFound
    return found


def _kept(upload: Upload) -> Kept:
    return Kept(upload.id, upload.blob, upload.screenshot_id)
