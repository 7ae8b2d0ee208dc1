"""Players and their groups: ordinary rows, ordinary sessions. Every query is scoped by team."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import delete, func, text, update
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from hub.domain.errors import NotFound
from hub.store.tables import GroupMember, Licence, Player, PlayerGroup, PresenceRow, Status

AT_ONCE = 500  # numbers in one question; SQLite takes some thousand

_STANDING = text("""
    SELECT p.id, p.screen_id, p.name, p.quarantined_at, r.online, r.since, r.flapping
    FROM player p JOIN presence r ON r.player_id = p.id WHERE p.team_id = :team_id ORDER BY p.id""")


@dataclass(frozen=True, slots=True)
class Found:
    """A player with what is known of it."""

    player: Player
    presence: PresenceRow
    status: Status
    group_ids: tuple[int, ...]


async def create(session: AsyncSession, player: Player) -> Player:
    session.add(player)
    await session.flush()
    assert player.id is not None
    session.add(PresenceRow(player_id=player.id, team_id=player.team_id, since=player.created_at))
    session.add(Status(player_id=player.id))
    await session.flush()
    return player


async def get(session: AsyncSession, team_id: int, player_id: int) -> Player:
    query = select(Player).where(col(Player.id) == player_id, col(Player.team_id) == team_id)
    player = (await session.exec(query)).first()
    if player is None:
        raise NotFound
    return player


async def some(session: AsyncSession, player_ids: Sequence[int]) -> list[Player]:
    """The players of these numbers; the caller has checked that all are of the team."""
    found: list[Player] = []
    for start in range(0, len(player_ids), AT_ONCE):
        numbers = player_ids[start : start + AT_ONCE]
        found += (await session.exec(select(Player).where(col(Player.id).in_(numbers)))).all()
    return found


async def standing(session: AsyncSession, team_id: int) -> list[Any]:
    """Of each player of the team: (id, screen id, name, quarantined at, online, since, flapping)."""
    connection = await session.connection()
    return list((await connection.execute(_STANDING, {"team_id": team_id})).all())


async def find(
    session: AsyncSession,
    team_id: int,
    *,
    player_id: int | None = None,
    online: bool | None = None,
    group_id: int | None = None,
    search: str | None = None,
    offset: int = 0,
    limit: int | None = None,
) -> list[Found]:
    """Players of the team in the order of their ids, with presence, latest status and groups."""
    query = (
        select(Player, PresenceRow, Status)
        .join(PresenceRow, col(PresenceRow.player_id) == col(Player.id))
        .join(Status, col(Status.player_id) == col(Player.id))
        .order_by(col(Player.id))
    )
    rows = (
        await session.exec(_filtered(query, team_id, player_id, online, group_id, search).offset(offset).limit(limit))
    ).all()
    groups: dict[int, list[int]] = {}
    if rows:
        first, last = rows[0][0].id or 0, rows[-1][0].id or 0
        members = select(GroupMember).where(col(GroupMember.player_id).between(first, last))
        for member in await session.exec(members):
            groups.setdefault(member.player_id, []).append(member.group_id)
    return [
        Found(player, presence, status, tuple(sorted(groups.get(player.id or 0, ()))))
        for player, presence, status in rows
    ]


async def one(session: AsyncSession, team_id: int, player_id: int) -> Found:
    """The same of one player. Raises NotFound."""
    found = await find(session, team_id, player_id=player_id)
    if not found:  # deleted at this moment, perhaps: on PostgreSQL each question sees what is there by then
        raise NotFound
    return found[0]


async def count(
    session: AsyncSession,
    team_id: int,
    *,
    online: bool | None = None,
    group_id: int | None = None,
    search: str | None = None,
) -> int:
    query = select(func.count()).select_from(Player).join(PresenceRow, col(PresenceRow.player_id) == col(Player.id))
    return int((await session.exec(_filtered(query, team_id, None, online, group_id, search))).one())


def _filtered(
    query: Any, team_id: int, player_id: int | None, online: bool | None, group_id: int | None, search: str | None
) -> Any:
    query = query.where(col(Player.team_id) == team_id)
    if player_id is not None:
        query = query.where(col(Player.id) == player_id)
    if online is not None:
        query = query.where(col(PresenceRow.online).is_(online))
    if group_id is not None:
        members = select(GroupMember.player_id).where(col(GroupMember.group_id) == group_id)
        query = query.where(col(Player.id).in_(members))
    if search:
        query = query.where(col(Player.name).icontains(search, autoescape=True))
    return query


async def remove(session: AsyncSession, player: Player) -> None:
    """The row and, by foreign key, everything that hangs on it; its licence is free for another."""
    freed = update(Licence).where(col(Licence.player_id) == player.id).values(player_id=None, activated_at=None)
    await session.exec(freed)
    await session.delete(player)


async def groups(session: AsyncSession, team_id: int) -> list[tuple[PlayerGroup, int]]:
    """(group, number of players), by id."""
    query = (
        select(PlayerGroup, func.count(col(GroupMember.player_id)))
        .join(GroupMember, col(GroupMember.group_id) == col(PlayerGroup.id), isouter=True)
        .where(col(PlayerGroup.team_id) == team_id)
        .group_by(*PlayerGroup.__table__.columns)  # type: ignore[attr-defined]
        .order_by(col(PlayerGroup.id))
    )
    return [(group, int(number)) for group, number in await session.exec(query)]


async def group(session: AsyncSession, team_id: int, group_id: int) -> PlayerGroup:
    query = select(PlayerGroup).where(col(PlayerGroup.id) == group_id, col(PlayerGroup.team_id) == team_id)
    found = (await session.exec(query)).first()
    if found is None:
        raise NotFound
    return found


async def members(session: AsyncSession, group_id: int) -> list[int]:
    query = (
        select(GroupMember.player_id).where(col(GroupMember.group_id) == group_id).order_by(col(GroupMember.player_id))
    )
    return list((await session.exec(query)).all())


async def set_members(session: AsyncSession, group_id: int, player_ids: Sequence[int]) -> None:
    """Replace the members; the caller has checked that all are of the team."""
    await session.exec(delete(GroupMember).where(col(GroupMember.group_id) == group_id))
    session.add_all(GroupMember(group_id=group_id, player_id=player_id) for player_id in dict.fromkeys(player_ids))
    await session.flush()


async def set_groups(session: AsyncSession, player_id: int, group_ids: Sequence[int]) -> None:
    """Make the player a member of these groups and no others; the caller has checked that all are of the team."""
    await session.exec(delete(GroupMember).where(col(GroupMember.player_id) == player_id))
    session.add_all(GroupMember(group_id=group_id, player_id=player_id) for group_id in dict.fromkeys(group_ids))
    await session.flush()


async def by_screen_id(session: AsyncSession, team_id: int, screen_id: str) -> Player | None:
    query = select(Player).where(col(Player.screen_id) == screen_id, col(Player.team_id) == team_id)
    return (await session.exec(query)).first()


async def by_token(session: AsyncSession, digest: str) -> Player | None:
    return (await session.exec(select(Player).where(col(Player.token_digest) == digest))).first()
