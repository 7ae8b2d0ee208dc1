"""Alert rules."""

from hub.api.http.endpoint import Call
from hub.api.http.origin import face
from hub.api.http.responses import Answer
from hub.api.v1.shapes import done, many, one, pages


async def list_rules(call: Call) -> Answer:
    """All alert rules of the team; with `page` or `per_page` a part of them."""
    page, per_page = pages(call.query)
    found, total = await call.services.alert_rules.listing(call.actor, page=page, per_page=per_page)
    return many(found, total=total, page=page, per_page=per_page)


async def get_rule(call: Call) -> Answer:
    """One rule, with whom it is about."""
    return one(await call.services.alert_rules.get(call.actor, call.path["rule_id"]))


async def create_rule(call: Call) -> Answer:
    """A rule that watches `everyone`, or the players, groups and locations named, from now on.

    Each kind has thresholds of its own, and needs all of them; `storage_low` one of two.
    """
    rule = await call.services.alert_rules.create(call.actor, **call.body.fields(), face=face(call))
    return one(rule, 201, location=f"/api/v1/alert-rules/{rule['id']}")


async def change_rule(call: Call) -> Answer:
    """Change what is given. Incidents that the rule as it is now would not have opened are resolved."""
    return one(
        await call.services.alert_rules.update(
            call.actor, call.path["rule_id"], call.body.fields(), version=call.version, face=face(call)
        )
    )


async def delete_rule(call: Call) -> Answer:
    """Remove a rule. Its incidents are withdrawn within seconds, and stay to be read."""
    await call.services.alert_rules.delete(call.actor, call.path["rule_id"], face=face(call))
    return done("Alert rule deleted.")
