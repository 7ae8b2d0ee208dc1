"""AdCast's content: the same things as the assets of /api/v1, in its words."""

import httpx2

from tests.media import picture

Client = httpx2.AsyncClient


async def test_content_is_added_found_changed_and_deleted(owner: Client, stranger: Client, nobody: Client) -> None:
    fields = {"name": "Summer Promo", "type": "image", "source_url": "", "duration": "30"}
    file = {"file": ("promo.png", picture(), "image/png")}
    answer = await owner.post("/api/content", data=fields, files=file)
    assert answer.status_code == 201, answer.text
    content = answer.json()["content"]
    number, path = content["id"], f"/api/content/{content['id']}"
    assert (content["name"], content["type"], content["duration"], content["status"]) == (
        "Summer Promo",
        "image",
        30,
        "active",
    )
    assert content["file_size_mb"] == round(len(picture()) / 1e6, 3)
    assert (await nobody.get(content["download_url"])).content == picture()
    asset = (await owner.get(f"/api/v1/assets/{number}")).json()["data"]
    assert (asset["name"], asset["sha256"]) == (content["name"], content["file_hash"])

    news = {"name": "News", "type": "web", "source_url": "https://example.com/news"}
    assert (await owner.post("/api/content", json=news)).json()["content"]["file_size_mb"] is None
    by_form = await owner.post("/api/content", data=news, files={"nothing": (None, "")})
    assert by_form.status_code == 201

    listed = (await owner.get("/api/content?type=web&search=new&per_page=1")).json()
    assert listed["meta"] == {"current_page": 1, "last_page": 2, "total": 2, "per_page": 1}
    assert [each["name"] for each in listed["data"]] == ["News"]
    assert (await owner.get("/api/content?status=failed")).json()["data"] == []

    changed = await owner.put(path, json={"name": "Updated Name", "duration": 15})
    assert changed.json()["content"] == content | {
        "name": "Updated Name",
        "duration": 15,
        "download_url": changed.json()["content"]["download_url"],
        "thumbnail_url": changed.json()["content"]["thumbnail_url"],
    }
    for wrong, field in (
        ({"name": "x"}, "type"),
        ({"name": "x", "type": "image"}, "file"),
        ({"name": "x", "type": "web"}, "source_url"),
        ({"name": "x", "type": "web", "source_url": ""}, "source_url"),
        ({"name": "x", "type": "web", "source_url": "javascript:alert(1)"}, "source_url"),
        ({"name": "x", "type": "smell"}, "type"),
    ):
        answer = await owner.post("/api/content", json=wrong)
        assert answer.status_code == 422
        assert field in answer.json()["errors"]
    for wrong, field in (({"type": "video"}, "file"), ({"type": "web"}, "type"), ({"duration": "-1"}, "duration")):
        answer = await owner.post("/api/content", data=fields | wrong, files=file)
        assert answer.status_code == 422
        assert field in answer.json()["errors"]

    for method in ("GET", "PUT", "DELETE"):
        assert (await stranger.request(method, path, json={"name": "x"})).status_code == 404
    assert (await stranger.get("/api/content")).json()["data"] == []
    assert (await owner.delete(path)).json() == {"message": "Content deleted successfully."}
    assert (await owner.get(path)).status_code == 404
