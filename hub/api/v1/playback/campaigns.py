"""Campaigns: what an advertiser pays for."""

from hub.api.http.endpoint import Call
from hub.api.http.origin import face
from hub.api.http.responses import Answer
from hub.api.v1.bodies import changes_of
from hub.api.v1.shapes import done, many, one, pages


async def list_campaigns(call: Call) -> Answer:
    """All campaigns of the team; with `page` or `per_page` a part of them."""
    page, per_page = pages(call.query)
    found, total = await call.services.campaigns.listing(
        call.actor, search=call.query.search, page=page, per_page=per_page
    )
    return many(found, total=total, page=page, per_page=per_page)


async def get_campaign(call: Call) -> Answer:
    """One campaign."""
    return one(await call.services.campaigns.get(call.actor, call.path["campaign_id"]))


async def create_campaign(call: Call) -> Answer:
    """A new campaign. Name it in the items of playlists: their showings are counted for it from then on."""
    campaign = await call.services.campaigns.create(
        call.actor, call.body.model_dump(exclude_none=True), face=face(call)
    )
    return one(campaign, 201, location=f"/api/v1/campaigns/{campaign['id']}")


async def change_campaign(call: Call) -> Answer:
    """Change what is given and leave the rest. A new price counts for showings from now on; another
    currency is refused (409) once the campaign has earned money."""
    return one(
        await call.services.campaigns.update(
            call.actor, call.path["campaign_id"], changes_of(call.body), version=call.version, face=face(call)
        )
    )


async def put_campaign(call: Call) -> Answer:
    """The same as PATCH, for clients that know PUT only: what is absent stays as it is."""
    return await change_campaign(call)


async def delete_campaign(call: Call) -> Answer:
    """Remove a campaign. What it paid for stays in the playlists."""
    await call.services.campaigns.delete(call.actor, call.path["campaign_id"], face=face(call))
    return done("Campaign deleted.")
