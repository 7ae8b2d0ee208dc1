"""Campaigns: what an advertiser pays for, by the showing."""

from typing import Any

from hub.bus.base import Bus
from hub.domain.access import Actor
from hub.domain.errors import Conflict
from hub.domain.playback import checked_currency, checked_span, price, price_micros
from hub.domain.quotas import Quotas
from hub.domain.times import rfc3339
from hub.services.playlists import named as playlist_named
from hub.services.recorded_change import change, check_version
from hub.store import campaigns as store
from hub.store import playlists
from hub.store.database import Database
from hub.store.tables import Campaign


class Campaigns:
    """Their names and prices show nowhere on a screen, so only deleting one, which changes playlists, is told to
    players."""

    def __init__(self, db: Database, bus: Bus, *, quotas: Quotas | None = None) -> None:
        self._db = db
        self._quotas = quotas or Quotas()
        self._bus = bus

    async def listing(
        self, actor: Actor, *, search: str | None = None, page: int = 1, per_page: int | None = None
    ) -> tuple[list[dict[str, Any]], int]:
        """(campaigns, how many there are in all). Without `per_page` all of them."""
        actor.require("read:analytics")
        offset = (page - 1) * per_page if per_page else 0
        async with self._db.session() as session:
            found = await store.find(session, actor.team_id, search=search, offset=offset, limit=per_page)
            total = await store.count(session, actor.team_id, search=search) if per_page else len(found)
        return [_describe(campaign) for campaign in found], total

    async def get(self, actor: Actor, campaign_id: int) -> dict[str, Any]:
        """Raises NotFound."""
        actor.require("read:analytics")
        async with self._db.session() as session:
            return _describe(await store.get(session, actor.team_id, campaign_id))

    async def create(self, actor: Actor, fields: dict[str, Any], *, face: str) -> dict[str, Any]:
        """A new campaign: `name`, and optionally `advertiser`, `currency` (ISO 4217, else EUR), `price` of one showing
        as a decimal number, `start_date`, `end_date`. Raises Invalid."""
        actor.require("write:content")
        async with change(self._db, self._bus, actor, face, shown=False) as made:
            await made.check(self._quotas, "campaigns")
            campaign = Campaign(team_id=actor.team_id, name=fields["name"], created_at=made.now)
            _set(campaign, fields)
            made.session.add(campaign)
            await made.session.flush()
            described = _describe(campaign)
            await made.say("campaign.created", **_named(campaign))
        return described

    async def update(
        self, actor: Actor, campaign_id: int, changes: dict[str, Any], *, version: int | None = None, face: str
    ) -> dict[str, Any]:
        """Change what `create` takes; an advertiser or a date of None is cleared. A new price counts from now on.

        Raises NotFound, Invalid, PreconditionFailed, and Conflict for another currency once money was earned: nobody
        keeps in which one that was.
        """
        actor.require("write:content")
        async with change(self._db, self._bus, actor, face, shown=False) as made:
            campaign = await store.get(made.session, actor.team_id, campaign_id)
            check_version(campaign, version)
            currency = campaign.currency
            _set(campaign, changes)
            if campaign.currency != currency and await store.has_earned(made.session, actor.team_id, campaign_id):
                raise Conflict(
                    f"It has earned money in {currency}: make another campaign for {campaign.currency}.",
                    code="currency_in_use",
                )
            campaign.version += 1
            made.session.add(campaign)
            described = _describe(campaign)
            await made.say("campaign.updated", **_named(campaign), changed=sorted(changes))
        return described

    async def delete(self, actor: Actor, campaign_id: int, *, face: str) -> None:
        """The campaign is gone; what it paid for stays in the playlists and is paid for no more. Raises NotFound."""
        actor.require("write:content")
        async with change(self._db, self._bus, actor, face) as made:
            campaign = await store.get(made.session, actor.team_id, campaign_id)
            for playlist in await playlists.with_campaign(made.session, campaign_id):
                playlist.version += 1
                playlist.updated_at = made.now
                made.session.add(playlist)
                await made.say("playlist.updated", **playlist_named(playlist), changed=["items"])
            await made.session.delete(campaign)
            await made.say("campaign.deleted", **_named(campaign))


def _set(campaign: Campaign, fields: dict[str, Any]) -> None:
    for name in ("name", "advertiser", "start_date", "end_date"):
        if name in fields:
            setattr(campaign, name, fields[name])
    if "currency" in fields:
        campaign.currency = checked_currency(fields["currency"])
    if "price" in fields:
        campaign.price_micros = price_micros(fields["price"])
    checked_span(campaign.start_date, campaign.end_date)


def _named(campaign: Campaign) -> dict[str, Any]:
    return {"campaign_id": campaign.id, "name": campaign.name}


def _describe(campaign: Campaign) -> dict[str, Any]:
    return {
        "id": campaign.id,
        "name": campaign.name,
        "advertiser": campaign.advertiser,
        "currency": campaign.currency,
        "price": price(campaign.price_micros),
        "start_date": campaign.start_date,
        "end_date": campaign.end_date,
        "created_at": rfc3339(campaign.created_at),
        "version": campaign.version,
    }
