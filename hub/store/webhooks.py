"""Webhooks: who is told of which events. Their deliveries are in `deliveries`."""

import orjson
from sqlalchemy import delete
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from hub.domain.errors import NotFound
from hub.store.tables import Subscription, Webhook


async def create(session: AsyncSession, webhook: Webhook) -> Webhook:
    session.add(webhook)
    await session.flush()
    return webhook


async def subscribe(session: AsyncSession, webhook: Webhook) -> None:
    """From now on events of these names make deliveries, and of no others."""
    assert webhook.id is not None
    await session.exec(delete(Subscription).where(col(Subscription.webhook_id) == webhook.id))
    session.add_all(
        Subscription(webhook_id=webhook.id, name=name, team_id=webhook.team_id) for name in orjson.loads(webhook.events)
    )
    await session.flush()


async def listing(session: AsyncSession, team_id: int) -> list[Webhook]:
    query = select(Webhook).where(col(Webhook.team_id) == team_id).order_by(col(Webhook.id))
    return list(await session.exec(query))


async def get(session: AsyncSession, team_id: int, webhook_id: int) -> Webhook:
    query = select(Webhook).where(col(Webhook.id) == webhook_id, col(Webhook.team_id) == team_id)
    found = (await session.exec(query)).first()
    if found is None:
        raise NotFound
    return found


async def remove(session: AsyncSession, webhook: Webhook) -> None:
    """The row and, by foreign key, its subscriptions and deliveries."""
    await session.delete(webhook)
    await session.flush()
