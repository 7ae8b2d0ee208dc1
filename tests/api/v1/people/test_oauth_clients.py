import httpx2

from tests.whole_hub import WholeHub

Client = httpx2.AsyncClient
PATH = "/api/v1/oauth-clients"
BODY = {"name": "Editor", "redirect_uris": ["https://editor.example.com/cb"], "scopes": ["read:players", "admin"]}


async def test_programs_are_registered_changed_and_removed(hub: WholeHub, owner: Client, stranger: Client) -> None:
    public = await owner.post(PATH, json=BODY)
    assert (public.status_code, public.json()["data"]["client_secret"]) == (201, None)
    made = await owner.post(PATH, json=BODY | {"confidential": True})
    path, client = made.headers["location"], made.json()["data"]
    secret = client.pop("client_secret")
    assert secret.startswith("sbs_")
    assert client["client_id"] != public.json()["data"]["client_id"]
    assert (await owner.get(path)).json()["data"] == client
    assert secret not in (await owner.get(PATH)).text
    assert [one["confidential"] for one in (await owner.get(PATH)).json()["data"]] == [False, True]

    tag = made.headers["etag"]
    changed = await owner.patch(path, json={"scopes": ["read:content"], "name": "E2"}, headers={"if-match": tag})
    assert (changed.json()["data"]["scopes"], changed.json()["data"]["name"]) == (["read:content"], "E2")
    assert changed.json()["data"]["redirect_uris"] == BODY["redirect_uris"]
    assert (await owner.patch(path, json={"name": "x"}, headers={"if-match": tag})).status_code == 412

    lesser = await hub.as_owner("admin", "read:players")
    refused = await lesser.post(PATH, json=BODY | {"scopes": ["webhooks"]})
    assert (refused.status_code, refused.json()["code"]) == (403, "missing_scope")
    assert (await (await hub.as_owner("read:players")).get(PATH)).status_code == 403
    assert (await stranger.get(PATH)).json()["data"] == []
    for answer in (
        await stranger.get(path),
        await stranger.patch(path, json={"name": "x"}),
        await stranger.delete(path),
    ):
        assert answer.status_code == 404

    assert (await owner.delete(path)).json() == {"message": "Client deleted."}
    assert (await owner.get(path)).status_code == 404
    log = (await owner.get("/api/v1/events", params={"limit": 1000})).json()["data"]
    assert [one["event"] for one in log if one["event"].startswith("client.")] == [
        "client.created", "client.created", "client.updated", "client.deleted"]  # fmt: skip


async def test_what_cannot_be_a_client_is_refused_with_the_field_named(owner: Client) -> None:
    for change, field in (
        ({"name": " "}, "name"),
        ({"redirect_uris": []}, "redirect_uris"),
        ({"redirect_uris": ["https://a.example"] * 11}, "redirect_uris"),
        ({"redirect_uris": ["http://a.example/"]}, "redirect_uris"),
        ({"redirect_uris": ["https://a.example/#x"]}, "redirect_uris"),
        ({"redirect_uris": ["javascript:alert(1)"]}, "redirect_uris"),
        ({"redirect_uris": ["https://a.example/" + "x" * 500]}, "redirect_uris.0"),
        ({"scopes": []}, "scopes"),
        ({"scopes": ["everything"]}, "scopes"),
        ({"confidential": "yes"}, "confidential"),
    ):
        answer = await owner.post(PATH, json=BODY | change)
        assert (answer.status_code, list(answer.json()["errors"])) == (422, [field]), change
    assert (await owner.get(PATH)).json()["data"] == []
