"""Who the caller is, and the team that they belong to."""

from hub.api.http.endpoint import Call
from hub.api.http.origin import face
from hub.api.http.responses import Answer
from hub.api.v1.shapes import one


async def get_me(call: Call) -> Answer:
    """Who the caller is, for which team, and what they may do."""
    return one(await call.services.members.me(call.actor))


async def change_me(call: Call) -> Answer:
    """Change your name or your password. For people who are logged in; API keys cannot."""
    body = call.body
    return one(
        await call.services.members.change_me(
            call.actor,
            name=body.name,
            password=body.password,
            current_password=body.current_password,
            face=face(call),
        )
    )


async def get_team(call: Call) -> Answer:
    """The caller's team with its plan, which sets the rate limits and the quotas."""
    return one(await call.services.members.team(call.actor))


async def get_limits(call: Call) -> Answer:
    """What the team may have by its plan, and what it has. `used` is null for what is counted by the hour, or for each
    player."""
    return one(await call.services.quotas.describe(call.actor))


async def change_team(call: Call) -> Answer:
    """Change the team's name or time zone. The plan is the hub operator's to change."""
    body = call.body
    return one(
        await call.services.members.change_team(call.actor, name=body.name, timezone=body.timezone, face=face(call))
    )


async def change_plan(call: Call) -> Answer:
    """Give a team another plan: for admins of the installation's own team, which is the first that `hub init` made. Its
    limits follow at once. `hub team plan TEAM PLAN` does the same."""
    return one(await call.services.teams.set_plan(call.actor, call.path["team_id"], call.body.plan, face=face(call)))
