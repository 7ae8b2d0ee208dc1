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
    assert webhook["secret"] not in listed.text
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


async def test_a_webhook_is_changed_paused_and_rotated(owner: Client) -> None:
    made = (await owner.post("/api/v1/webhooks", json=WANTED)).json()["data"]
    path = f"/api/v1/webhooks/{made['id']}"

    changed = await owner.patch(path, json={"status": "paused", "events": ["*"]}, headers={"if-match": '"v1"'})
    assert (changed.json()["data"]["status"], changed.json()["data"]["events"]) == ("paused", ["*"])
    assert (await owner.patch(path, json={"events": ["*"]}, headers={"if-match": '"v1"'})).status_code == 412
    rotated = (await owner.post(f"{path}/secret", json={"overlap_s": 60})).json()["data"]
    assert rotated["secret"] not in ("", made["secret"])
    assert rotated["old_secret_until"] is not None
    ended = await owner.delete(f"{path}/old-secret")
    assert ended.json()["data"] == (await owner.get(path)).json()["data"]
    assert ended.json()["data"]["old_secret_until"] is None
    pinged = await owner.post(f"{path}/ping")
    assert (pinged.status_code, pinged.json()["code"]) == (409, "webhook_paused")


async def test_a_ping_tells_what_came_of_it(owner: Client) -> None:
    wanted = {"url": "https://nowhere.invalid/hook", "events": ["player.offline"]}
    made = (await owner.post("/api/v1/webhooks", json=wanted)).json()["data"]
    path = f"/api/v1/webhooks/{made['id']}"

    pinged = await owner.post(f"{path}/ping", headers={"prefer": "wait=20"})

    assert pinged.status_code == 200
    delivery = pinged.json()["data"]
    assert "nowhere.invalid" in delivery["last_attempt"]["error"]
    assert (await owner.get(pinged.headers["location"])).json()["data"]["body"] == delivery["body"]
    listed = (await owner.get(f"{path}/deliveries", params={"state": "pending", "limit": 1})).json()
    assert [one["id"] for one in listed["data"]] == [delivery["id"]]
    assert (await owner.get(f"{path}/deliveries", params={"state": "failed"})).json()["data"] == []


async def test_what_makes_no_sense_is_refused(owner: Client) -> None:
    made = (await owner.post("/api/v1/webhooks", json=WANTED)).json()["data"]
    path = f"/api/v1/webhooks/{made['id']}"
    for call, body in (
        (owner.patch, {}),
        (owner.patch, {"status": "disabled"}),
        (owner.patch, {"url": "https://user:secret@example.com/"}),
        (owner.patch, {"secret": "whsec_AAAA"}),
    ):
        assert (await call(path, json=body)).status_code == 422, body
    for end, wrong in (
        ("secret", {"overlap_s": -1}),
        ("secret", {"overlap_s": 604_801}),
        ("redeliver", {}),
        ("redeliver", {"since": "yesterday"}),
    ):
        assert (await owner.post(f"{path}/{end}", json=wrong)).status_code == 422, wrong
    assert (await owner.get(f"{path}/deliveries", params={"before": "1"})).status_code == 422
    assert (await owner.get(f"{path}/deliveries/999")).status_code == 404
    assert (await owner.get(path)).json()["data"]["version"] == made["version"]
