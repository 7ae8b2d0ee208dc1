"""Numbers of what was played and of who was there."""

from hub.api.http.endpoint import Call
from hub.api.http.responses import Answer
from hub.api.v1.shapes import many


async def get_summary(call: Call) -> Answer:
    """Players online now, plays since midnight, mean uptime of the last 24 hours."""
    return Answer(200, {"data": await call.services.analytics.summary(call.actor, timezone=call.query.timezone)})


async def get_playback(call: Call) -> Answer:
    """Plays and their time by hour, day or week of a time zone; periods without any plays are listed too, but none that
    begins more than a day from now.

    Weeks begin on Monday. At most 10,000 periods. Ranges older than single plays are kept (90 days by default) and
    ending within a quarter of an hour are taken to the whole quarter; so old, a player and a layout together have no
    plays.
    """
    query = call.query
    data = await call.services.analytics.playback(
        call.actor,
        query.span(),
        player_id=query.player_id,
        layout_id=query.layout_id,
        granularity=query.granularity,
        timezone=query.timezone,
    )
    return Answer(200, {"data": data, "meta": {"granularity": query.granularity}})


async def get_uptime(call: Call) -> Answer:
    """How much of the range each player was connected, of the time in which it existed and that is over.

    Time in which the hub itself was away is unknown, not offline.
    """
    return many(await call.services.analytics.uptime(call.actor, call.query.span()))


async def get_impressions(call: Call) -> Answer:
    """Showings and revenue of each campaign."""
    found = await call.services.analytics.impressions(call.actor, call.query.span(), campaign_id=call.query.campaign_id)
    return Answer(200, found)


async def list_plays(call: Call) -> Answer:
    """Proof of play, newest first. `meta.next` goes into `before` for the following page."""
    query = call.query
    plays, after = await call.services.analytics.plays(
        call.actor,
        query.span(),
        before=query.cursor(),
        limit=query.limit,
        player_id=query.player_id,
        asset_id=query.asset_id,
        layout_id=query.layout_id,
        campaign_id=query.campaign_id,
    )
    return Answer(200, {"data": plays, "meta": {"next": None if after is None else f"{after[0]}-{after[1]}"}})


async def take_plays(call: Call) -> Answer:
    """Proof of play of the calling player, for one that has no socket. When it is answered it is stored; told twice, it
    counts once."""
    showings = [entry.showing() for entry in call.body.entries]
    return Answer(200, await call.services.analytics.record(call.actor.id, call.actor.team_id, showings))
