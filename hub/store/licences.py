"""Licence keys and the players that they license."""

from collections.abc import Sequence

from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from hub.domain.errors import NotFound
from hub.domain.events import Event
from hub.store import events
from hub.store.statements import Statement, Unit
from hub.store.tables import Licence

# A licence is free again when its player is gone; a device that only polls may hold one before it is a player.
_ACTIVATE = Statement("""
    UPDATE licence SET player_id = :player_id, activated_at = :now, version = version + 1
    WHERE team_id = :team_id AND key = :key
      AND (player_id IS NULL OR NOT EXISTS (
            SELECT 1 FROM player WHERE player.id = licence.player_id
            UNION ALL SELECT 1 FROM polling_device WHERE polling_device.player_id = licence.player_id))
    RETURNING id""")
_HOLDS = Statement("SELECT id FROM licence WHERE team_id = :team_id AND key = :key AND player_id = :player_id")


async def find(session: AsyncSession, team_id: int) -> list[Licence]:
    query = select(Licence).where(col(Licence.team_id) == team_id)
    return list((await session.exec(query.order_by(col(Licence.id)))).all())


async def get(session: AsyncSession, team_id: int, licence_id: int) -> Licence:
    query = select(Licence).where(col(Licence.id) == licence_id, col(Licence.team_id) == team_id)
    licence = (await session.exec(query)).first()
    if licence is None:
        raise NotFound
    return licence


async def taken(session: AsyncSession, keys: Sequence[str]) -> set[str]:
    """Those of the keys that exist, in whatever team."""
    return set((await session.exec(select(Licence.key).where(col(Licence.key).in_(keys)))).all())


async def licensed(session: AsyncSession, player_id: int) -> bool:
    """Whether the player holds an activated licence."""
    query = select(Licence.id).where(col(Licence.player_id) == player_id, col(Licence.activated_at).is_not(None))
    return (await session.exec(query)).first() is not None


def activate(team_id: int, key: str, player_id: int, now: int) -> Unit:
    """Unit: give the licence to the player if it is free. Answers whether the player holds it, now or from before."""
    activated = yield _ACTIVATE(team_id=team_id, key=key, player_id=player_id, now=now)
    if activated:
        data = {"licence_id": activated[0]["id"], "player_id": player_id}
        yield from events.append(Event("licence.activated", team_id, now, data, player_id=player_id))
        return True
    return bool((yield _HOLDS(team_id=team_id, key=key, player_id=player_id)))
