import httpx2

from tests.whole_hub import WholeHub

Client = httpx2.AsyncClient


async def test_plans_are_set_by_the_installations_own_admins_and_limits_follow_at_once(
    hub: WholeHub, owner: Client, stranger: Client
) -> None:
    path, own = f"/api/v1/teams/{hub.stranger.team_id}", f"/api/v1/teams/{hub.owner.team_id}"

    async def limits() -> tuple[str, int, int]:
        told = (await stranger.get("/api/v1/team/limits")).json()["data"]
        found = {quota["name"]: quota["limit"] for quota in told["quotas"]}
        rate = int((await stranger.get("/api/v1/players")).headers["x-ratelimit-limit"])
        return told["plan"], found["webhooks"], rate

    assert await limits() == ("unlimited", 100, 100_000)
    answer = await owner.patch(path, json={"plan": "free"})
    assert (answer.status_code, answer.json()["data"]["plan"]) == (200, "free")
    assert await limits() == ("free", 20, 60)
    [event] = (await stranger.get("/api/v1/events", params={"event": "team.updated"})).json()["data"]
    assert (event["data"]["plan"], event.get("actor")) == ("free", None)

    for client, where, body, status in (
        (stranger, path, {"plan": "pro"}, 403),
        (stranger, own, {"plan": "pro"}, 404),
        (await hub.as_owner("read:players"), path, {"plan": "pro"}, 403),
        (owner, "/api/v1/teams/999", {"plan": "pro"}, 404),
        (owner, path, {"plan": "gold"}, 422),
        (owner, path, {}, 422),
    ):
        assert (await client.patch(where, json=body)).status_code == status, (where, body)
    assert (await limits())[0] == "free"
