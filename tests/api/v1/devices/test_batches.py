"""The list of batches."""

import httpx2


async def test_batches_are_listed_newest_first_and_in_pages(
    owner: httpx2.AsyncClient, stranger: httpx2.AsyncClient, player: int
) -> None:
    group = await owner.post("/api/v1/player-groups", json={"name": "Lobbies", "player_ids": [player]})
    body = {"group_id": group.json()["data"]["id"], "command": "identify"}
    made = [(await owner.post("/api/v1/batches", json=body)).json()["batch_id"] for _ in range(3)]
    await owner.delete(f"/api/v1/batches/{made[0]}")

    first = (await owner.get("/api/v1/batches", params={"limit": 2})).json()
    assert [batch["id"] for batch in first["data"]] == [made[2], made[1]]
    assert first["meta"] == {"next": made[1]}
    rest = (await owner.get("/api/v1/batches", params={"limit": 2, "before": made[1]})).json()
    assert rest == {"data": [(await owner.get(f"/api/v1/batches/{made[0]}")).json()["data"]], "meta": {"next": None}}
    assert (rest["data"][0]["status"], rest["data"][0]["counts"]["cancelled"]) == ("aborted", 1)
    assert (first["data"][0]["status"], first["data"][0]["total"]) == ("running", 1)

    assert (await stranger.get("/api/v1/batches")).json() == {"data": [], "meta": {"next": None}}
    for query in ({"limit": 0}, {"limit": 101}, {"page": 1}):
        assert (await owner.get("/api/v1/batches", params=query)).status_code == 422, query
