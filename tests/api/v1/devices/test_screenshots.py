import hashlib

import httpx2

from tests.whole_hub import BASE, WholeHub

Client = httpx2.AsyncClient


async def test_a_player_without_a_picture_says_so(owner: Client, player: int) -> None:
    answer = await owner.get(f"/api/v1/players/{player}/screenshot")
    assert answer.status_code == 404
    assert answer.json()["message"] == "No screenshot available."


async def test_the_link_shows_the_picture_to_whoever_has_it(
    hub: WholeHub, owner: Client, nobody: Client, player: int
) -> None:
    data = await hub.shoot(player)
    told = (await owner.get(f"/api/v1/players/{player}/screenshot")).json()
    assert told["captured_at"] == "2026-03-29T14:50:00Z"
    assert told["url"].startswith(f"{BASE}/api/v1/screenshots/{told['id']}/image?")
    picture = await nobody.get(told["url"])
    assert picture.status_code == 200
    assert picture.content == data
    assert picture.headers["content-type"] == "image/png"
    assert picture.headers["x-content-type-options"] == "nosniff"
    assert picture.headers["etag"] == f'"{hashlib.sha256(data).hexdigest()}"'
    head = await nobody.head(told["url"])
    assert head.headers["content-length"] == str(len(data))


async def test_a_link_is_good_for_what_it_was_made_for_only(
    hub: WholeHub, owner: Client, nobody: Client, player: int
) -> None:
    await hub.shoot(player)
    url = (await owner.get(f"/api/v1/players/{player}/screenshot")).json()["url"]
    path, _, query = url.removeprefix(BASE).partition("?")
    for wrong in (
        path,
        f"{path}?{query[:-1]}",
        f"{path}?{query.replace('expires=', 'expires=9')}",
        f"/api/v1/screenshots/99/image?{query}",
    ):
        answer = await nobody.get(wrong)
        assert answer.status_code == 403, wrong
        assert answer.json()["code"] == "bad_signature"


async def test_logs_are_read_as_they_were_sent_and_never_as_a_page(hub: WholeHub, owner: Client, player: int) -> None:
    data = b"<script>alert(1)</script>\nstarted\n"
    number = await hub.upload(player, "logs", "text/plain", data)
    answer = await owner.get(f"/api/v1/uploads/{number}")
    assert answer.content == data
    assert answer.headers["content-type"].startswith("text/plain")
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert (await owner.get("/api/v1/uploads/upl_unknown")).status_code == 404
