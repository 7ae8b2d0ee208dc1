import httpx2

from tests.whole_hub import WholeHub

Client = httpx2.AsyncClient
PATH = "/api/v1/releases"
SHA = "9F" * 32


async def test_the_newest_active_release_is_what_devices_are_offered(
    hub: WholeHub, owner: Client, stranger: Client
) -> None:
    async def release(version: str, **fields: object) -> str:
        body = {"version_name": version, "url": f"https://example.com/{version}.apk", "sha256": SHA, **fields}
        answer = await owner.post(PATH, json=body)
        assert answer.status_code == 201, answer.text
        return answer.headers["location"]

    team = hub.owner.team_id
    assert await hub.services.releases.newest(team) is None
    ten = await release("1.10", size=5_000_000, notes="New.", mandatory=True)
    await release("1.9")
    await release("2.0-rc1", active=False)
    assert [one["version_name"] for one in (await owner.get(PATH)).json()["data"]] == ["2.0-rc1", "1.10", "1.9"]
    newest = {"version": "1.10", "url": "https://example.com/1.10.apk", "sha256": SHA.lower(), "size": 5_000_000,
              "notes": "New.", "mandatory": True}  # fmt: skip
    assert await hub.services.releases.newest(team) == newest
    assert await hub.services.releases.update_for(team, "1.9.3") == newest
    assert await hub.services.releases.update_for(team, None) == newest
    assert await hub.services.releases.update_for(team, "v1.10.0") is None
    assert await hub.services.releases.newest(hub.stranger.team_id) is None

    tag = (await owner.get(ten)).headers["etag"]
    off = await owner.patch(ten, json={"active": False}, headers={"if-match": tag})
    assert (off.json()["data"]["active"], off.json()["data"]["notes"]) == (False, "New.")
    assert (await owner.patch(ten, json={"notes": ""}, headers={"if-match": tag})).status_code == 412
    assert (await hub.services.releases.newest(team) or {})["version"] == "1.9"

    assert (await owner.patch(ten, json={"version_name": "1.9"})).json()["code"] == "version_taken"
    again = await owner.post(PATH, json={"version_name": "1.9", "url": "https://example.com/a", "sha256": SHA})
    assert (again.status_code, again.json()["code"]) == (409, "version_taken")

    viewer = await hub.as_owner("read:players", "write:players")
    assert (await viewer.patch(ten, json={"active": True})).status_code == 403
    assert (await stranger.get(PATH)).json()["data"] == []
    for answer in (await stranger.get(ten), await stranger.patch(ten, json={"notes": "x"}), await stranger.delete(ten)):
        assert answer.status_code == 404
    assert (await owner.delete(ten)).json() == {"message": "Release deleted."}
    assert (await owner.get(ten)).status_code == 404
    log = (await owner.get("/api/v1/events", params={"limit": 1000})).json()["data"]
    kinds = [one["event"] for one in log if one["event"].startswith("release.")]
    assert kinds == ["release.created"] * 3 + ["release.updated", "release.deleted"]


async def test_a_release_names_a_file_that_can_be_fetched_and_checked(owner: Client) -> None:
    good = {"version_name": "1.0", "url": "https://example.com/a.apk", "sha256": SHA}
    for change, field in (
        ({"version_name": "one two"}, "version_name"),
        ({"url": "http://example.com/a.apk"}, "url"),
        ({"url": "https://user:pw@example.com/a.apk"}, "url"),
        ({"url": "https://"}, "url"),
        ({"url": "https://[1/a"}, "url"),
        ({"url": "https://example.com/a b"}, "url"),
        ({"sha256": "9f"}, "sha256"),
        ({"size": 0}, "size"),
        ({"size": 2**63}, "size"),
        ({"notes": "x" * 10_001}, "notes"),
    ):
        answer = await owner.post(PATH, json=good | change)
        assert (answer.status_code, list(answer.json()["errors"])) == (422, [field]), change
    assert (await owner.get(PATH)).json()["data"] == []
