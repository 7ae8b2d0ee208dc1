import httpx2

Client = httpx2.AsyncClient
WANTED = {"url": "https://example.com/webhooks/spot", "events": ["player.online", "screen.offline"]}


async def test_a_webhook_is_registered_listed_without_its_secret_and_removed(owner: Client) -> None:
    created = await owner.post("/api/v1/webhooks", json=WANTED)
    assert created.status_code == 201
    webhook = created.json()["data"]
    assert (webhook["url"], webhook["events"]) == (WANTED["url"], WANTED["events"])
    assert webhook["secret"].startswith("whsec_")
    listed = await owner.get("/api/v1/webhooks")
    assert [one["id"] for one in listed.json()["data"]] == [webhook["id"]]
    assert "secret" not in listed.text
    assert (await owner.delete(f"/api/v1/webhooks/{webhook['id']}")).json() == {"message": "Webhook deleted."}
    assert (await owner.delete(f"/api/v1/webhooks/{webhook['id']}")).status_code == 404
    assert (await owner.get("/api/v1/webhooks")).json()["data"] == []


async def test_an_address_that_may_not_be_called_is_refused_with_the_way_out(owner: Client) -> None:
    for url in ("http://example.com/", "https://127.0.0.1/", "https://u:p@example.com/", "ftp://x", "", 5):
        answer = await owner.post("/api/v1/webhooks", json={**WANTED, "url": url})
        assert answer.status_code == 422, url
        assert list(answer.json()["errors"]) == ["url"]
    local = await owner.post("/api/v1/webhooks", json={**WANTED, "url": "https://10.0.0.7/"})
    assert "HUB_WEBHOOKS__ALLOW_NETWORKS" in local.text


async def test_events_must_be_known(owner: Client) -> None:
    for events in (["player.exploded"], [], "player.online", [5], ["*"] * 201):
        answer = await owner.post("/api/v1/webhooks", json={**WANTED, "events": events})
        assert answer.status_code == 422, events
