import re

import httpx2

from tests.whole_hub import WholeHub

Client = httpx2.AsyncClient
PATH = "/api/v1/licences"


async def test_licences_are_made_moved_and_taken_back(
    hub: WholeHub, owner: Client, stranger: Client, player: int
) -> None:
    made = await owner.post(PATH, json={"note": "Lobby"})
    assert made.status_code == 201
    path, licence = made.headers["location"], made.json()["data"]
    assert re.fullmatch(r"ADCAST-[A-Z0-9]{4}-[A-Z0-9]{4}", licence["key"])
    assert (licence["player_id"], licence["activated_at"]) == (None, None)
    own = (await owner.post(PATH, json={"key": "site-0042-a"})).json()["data"]
    assert own["key"] == "SITE-0042-A"
    for team in (owner, stranger):
        taken = await team.post(PATH, json={"key": "Site-0042-A"})
        assert (taken.status_code, list(taken.json()["errors"])) == (422, ["key"])
    assert [one["id"] for one in (await owner.get(PATH)).json()["data"]] == [licence["id"], own["id"]]

    assert await hub.services.licences.activate(hub.owner.team_id, licence["key"], player)
    other = (await owner.post("/api/v1/players", json={"name": "Bar"})).json()["data"]["id"]
    assert (await owner.patch(path, json={"note": "x"}, headers={"if-match": made.headers["etag"]})).status_code == 412
    moved = (await owner.patch(path, json={"player_id": other, "note": "Bar"})).json()["data"]
    assert (moved["player_id"], moved["note"]) == (other, "Bar")
    assert not await hub.services.licences.is_licensed(player)
    assert await hub.services.licences.is_licensed(other)

    theirs = (await stranger.post("/api/v1/players", json={"name": "T"})).json()["data"]["id"]
    refused = await owner.patch(path, json={"player_id": theirs})
    assert (refused.status_code, list(refused.json()["errors"])) == (422, ["player_id"])
    for key in ("short", "with space 1", "ümlaut-0001", "x" * 65):
        assert (await owner.post(PATH, json={"key": key})).status_code == 422
    assert (await (await hub.as_owner("read:players", "write:players")).get(PATH)).status_code == 403
    for answer in (
        await stranger.get(path),
        await stranger.patch(path, json={"note": "x"}),
        await stranger.delete(path),
    ):
        assert answer.status_code == 404

    assert (await owner.delete(path)).json() == {"message": "Licence deleted."}
    assert not await hub.services.licences.is_licensed(other)
    log = (await owner.get("/api/v1/events", params={"limit": 1000})).text
    assert licence["key"] not in log
    assert log.count('"licence.') == 5
