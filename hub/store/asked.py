"""What `play` commands ask for: judged when they are sent, and what their player may have for them."""

from collections.abc import Mapping
from typing import Any

import orjson
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from hub.domain import ids
from hub.domain.commands import PLAY_DAYS
from hub.domain.errors import Invalid
from hub.domain.times import DAY
from hub.domain.wording import unknown
from hub.store.statements import Statement, Unit
from hub.store.tables import Command, PlaylistItem

LOOKED_AT = 100  # latest commands of one player: a newer `play` ends what an older one shows

_ASSET = Statement("SELECT status, file_id, source_url FROM asset WHERE id = :id AND team_id = :team_id")
_PLAYLIST = Statement("""
    SELECT p.id, (SELECT COUNT(*) FROM playlist_item i JOIN asset a ON a.id = i.asset_id
                  WHERE i.playlist_id = p.id AND a.status = 'active') AS items
    FROM playlist p WHERE p.id = :id AND p.team_id = :team_id""")


def check(team_id: int, payload: Mapping[str, Any]) -> Unit:
    """Unit: whether the team has what a payload of `play` names, and it can be shown. Raises Invalid."""
    if "asset_id" in payload:
        found = yield _ASSET(id=payload["asset_id"], team_id=team_id)
        if not found:
            raise unknown("payload.asset_id", "asset")
        if found[0]["status"] != "active" or (found[0]["file_id"] is None and found[0]["source_url"] is None):
            raise _not_shown("asset_id", "an asset that cannot be shown yet")
    if "playlist_id" in payload:
        found = yield _PLAYLIST(id=payload["playlist_id"], team_id=team_id)
        if not found:
            raise unknown("payload.playlist_id", "playlist")
        if not found[0]["items"]:
            raise _not_shown("playlist_id", "a playlist in which there is nothing to show")


def _not_shown(field: str, what: str) -> Invalid:
    return Invalid.field(f"payload.{field}", f"names {what}", code="unplayable")


async def payload_of(session: AsyncSession, player_id: int, command_id: str) -> dict[str, Any] | None:
    """What a `play` command of the player asks for; None: there is no such command, or it was called off."""
    query = select(Command.payload).where(
        col(Command.id) == command_id,
        col(Command.player_id) == player_id,
        col(Command.command) == "play",
        col(Command.state).not_in(("cancelled", "rejected")),
    )
    found = (await session.exec(query)).first()
    payload: dict[str, Any] | None = None if found is None else orjson.loads(found)
    return payload


async def asks_for(session: AsyncSession, player_id: int, asset_id: int, now: int) -> bool:
    """Whether one of the player's latest `play` commands names the asset, or a playlist that has it."""
    latest = (
        select(Command.payload)
        .where(
            col(Command.player_id) == player_id,
            col(Command.id) >= ids.earliest("cmd_", now - PLAY_DAYS * DAY),
            col(Command.command) == "play",
            col(Command.state).not_in(("cancelled", "rejected")),
        )
        .order_by(col(Command.id).desc())
        .limit(LOOKED_AT)
    )
    payloads = [orjson.loads(payload) for payload in await session.exec(latest)]
    if any(payload.get("asset_id") == asset_id for payload in payloads):
        return True
    playlists = {payload["playlist_id"] for payload in payloads if "playlist_id" in payload}
    items = select(PlaylistItem.id).where(
        col(PlaylistItem.playlist_id).in_(playlists), col(PlaylistItem.asset_id) == asset_id
    )
    return bool(playlists) and (await session.exec(items.limit(1))).first() is not None
