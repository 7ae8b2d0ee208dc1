"""Emergency alerts."""

from hub.api.http.endpoint import Call
from hub.api.http.origin import face
from hub.api.http.responses import Answer
from hub.api.v1.shapes import PER_PAGE, done, many, one


async def list_alerts(call: Call) -> Answer:
    """All alerts of the team, the newest first; with `page` or `per_page` a part of them."""
    query = call.query
    page, per_page = query.page or 1, query.per_page or (PER_PAGE if query.page else None)
    found, total = await call.services.alerts.listing(call.actor, state=query.status, page=page, per_page=per_page)
    return many(found, total=total, page=page, per_page=per_page)


async def get_alert(call: Call) -> Answer:
    """One alert, with whom it is for."""
    return one(await call.services.alerts.get(call.actor, call.path["alert_id"]))


async def create_alert(call: Call) -> Answer:
    """A message over everything else on the screens of `everyone`, or of the players, groups and locations named.

    Connected players show it at once, others as soon as they hear of it. It ends at `ends_at` or when it is cleared.
    """
    alert = await call.services.alerts.create(call.actor, **call.body.fields(), face=face(call))
    return one(alert, 201, location=f"/api/v1/alerts/{alert['id']}")


CAP = ("application/cap+xml", "application/xml", "text/xml")


async def receive_cap(call: Call) -> Answer:
    """A message of the Common Alerting Protocol 1.2, as authorities send it. Only what is `Actual` is shown: an Alert
    is raised, an Update changes what it refers to, a Cancel clears it. The same message twice is done once."""
    query = call.query
    received = await call.services.cap.receive(
        call.actor,
        call.raw_body,
        everyone=query.everyone,
        targets={"player": query.player_ids, "group": query.group_ids, "location": query.location_ids},
        language=query.language,
        face=face(call),
    )
    return Answer(201 if received["result"] == "raised" else 200, {"data": received})


async def change_alert(call: Call) -> Answer:
    """Change what is given; screens that show the alert follow. An alert that is over stays as it is."""
    return one(
        await call.services.alerts.update(
            call.actor, call.path["alert_id"], call.body.fields(), version=call.version, face=face(call)
        )
    )


async def clear_alert(call: Call) -> Answer:
    """The alert is over and leaves the screens. Clearing it again changes nothing."""
    return one(await call.services.alerts.clear(call.actor, call.path["alert_id"], face=face(call)))


async def delete_alert(call: Call) -> Answer:
    """Clear an alert and forget it."""
    await call.services.alerts.delete(call.actor, call.path["alert_id"], face=face(call))
    return done("Alert deleted.")
