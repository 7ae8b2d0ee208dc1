import httpx2

from tests.media import picture
from tests.whole_hub import WholeHub

Client = httpx2.AsyncClient
FOLDERS = "/api/v1/folders"


async def test_folders_make_a_tree(hub: WholeHub, owner: Client, stranger: Client) -> None:
    top = (await owner.post(FOLDERS, json={"name": "Season"})).json()["data"]
    made = await owner.post(FOLDERS, json={"name": "Summer", "parent_id": top["id"]})
    assert made.status_code == 201
    assert made.headers["location"] == f"{FOLDERS}/{made.json()['data']['id']}"
    below = made.json()["data"]
    one = f"{FOLDERS}/{below['id']}"
    form = {"folder_id": str(below["id"])}
    await owner.post("/api/v1/assets", files={"file": ("a.png", picture(), "image/png")}, data=form)
    listed = (await owner.get(FOLDERS)).json()["data"]
    assert [(each["name"], each["parent_id"], each["assets_count"]) for each in listed] == [
        ("Season", None, 0),
        ("Summer", top["id"], 1),
    ]
    changed = await owner.patch(one, json={"name": "Autumn"}, headers={"if-match": made.headers["etag"]})
    assert (changed.json()["data"]["name"], changed.headers["etag"]) == ("Autumn", '"v2"')
    assert (await owner.put(one, json={"name": "X"}, headers={"if-match": '"v1"'})).status_code == 412
    circle = await owner.patch(f"{FOLDERS}/{top['id']}", json={"parent_id": below["id"]})
    assert (circle.status_code, circle.json()["code"]) == (409, "folder_cycle")
    assert (await owner.patch(one, json={"parent_id": 99})).status_code == 422
    assert (await owner.post(FOLDERS, json={"name": "", "parent_id": None})).status_code == 422
    assert (await owner.post(FOLDERS, json={"name": "Theirs", "parent_id": 10**30})).status_code == 422
    moved = (await owner.patch(one, json={"parent_id": None})).json()["data"]
    assert moved["parent_id"] is None

    for answer in (
        await stranger.get(one),
        await stranger.patch(one, json={"name": "Mine"}),
        await stranger.delete(one),
    ):
        assert answer.status_code == 404
    assert (await stranger.get(FOLDERS)).json()["data"] == []
    assert (await stranger.post(FOLDERS, json={"name": "In theirs", "parent_id": below["id"]})).status_code == 422

    assert (await owner.delete(one)).json()["code"] == "folder_not_empty"
    assert (await owner.delete(one + "?recursive=perhaps")).status_code == 422
    assert (await owner.delete(f"{FOLDERS}/{top['id']}")).json() == {"message": "Folder deleted."}
    assert (await owner.delete(one + "?recursive=true")).status_code == 200
    assert (await owner.get(one)).status_code == 404
    assert (await owner.get("/api/v1/assets")).json()["data"] == []
    kinds = [event["event"] for event in (await owner.get("/api/v1/events")).json()["data"]]
    assert [kind for kind in kinds if kind.startswith(("folder.", "content."))] == [
        "folder.created",
        "folder.created",
        "content.published",
        "folder.updated",
        "folder.updated",
        "folder.deleted",
        "content.deleted",
        "folder.deleted",
    ]
