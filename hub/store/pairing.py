"""Device authorizations in progress (RFC 8628), and the paced allowances around them."""

from sqlalchemy import delete, func
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from hub.store.statements import Statement, Unit
from hub.store.tables import Pairing

_SPEND = Statement("""
    INSERT INTO rate_limit (name, arrival_at) VALUES (:name, CAST(:now AS BIGINT) + CAST(:cost AS BIGINT))
    ON CONFLICT (name) DO UPDATE SET arrival_at = CAST(:cost AS BIGINT)
        + CASE WHEN rate_limit.arrival_at < CAST(:now AS BIGINT) THEN CAST(:now AS BIGINT)
               ELSE rate_limit.arrival_at END
    WHERE rate_limit.arrival_at + CAST(:cost AS BIGINT) <= CAST(:now AS BIGINT) + CAST(:burst AS BIGINT)
    RETURNING arrival_at""")
_ARRIVAL = Statement("SELECT arrival_at FROM rate_limit WHERE name = :name")
_FORGET = Statement("DELETE FROM rate_limit WHERE arrival_at < :before")


async def open_count(session: AsyncSession, now: int, address: str | None = None) -> int:
    """Codes that wait for approval, from one address or in all."""
    query = (
        select(func.count()).select_from(Pairing).where(col(Pairing.expires_at) > now, col(Pairing.state) == "pending")
    )
    if address is not None:
        query = query.where(col(Pairing.address) == address)
    return int((await session.exec(query)).one())


async def by_user_code(session: AsyncSession, digest: str) -> Pairing | None:
    return (await session.exec(select(Pairing).where(col(Pairing.user_digest) == digest))).first()


async def by_device_code(session: AsyncSession, digest: str) -> Pairing | None:
    return (await session.exec(select(Pairing).where(col(Pairing.device_digest) == digest))).first()


async def forget_expired(session: AsyncSession, before: int) -> None:
    await session.exec(delete(Pairing).where(col(Pairing.expires_at) < before))


def spend(name: str, cost: int, burst: int, now: int) -> Unit:
    """Unit: spend one use of the allowance `name`: one each `cost` ms, up to `burst` ms' worth at once (GCRA).

    Answers 0, or the milliseconds to wait when nothing is left (and nothing was spent).
    """
    spent = yield _SPEND(name=name, cost=cost, burst=burst, now=now)
    if spent:
        return 0
    rows = yield _ARRIVAL(name=name)
    return max(1, rows[0]["arrival_at"] + cost - burst - now)


def forget_limits(before: int) -> Unit:
    """Unit: allowances that are whole again need no row."""
    yield _FORGET(before=before)
