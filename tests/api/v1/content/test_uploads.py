import hashlib
from datetime import timedelta

import httpx2
import pytest

from hub.domain.times import now_ms
from tests.media import picture, sound
from tests.whole_hub import BASE, WholeHub

Client = httpx2.AsyncClient
UPLOAD_URL = "/api/v1/assets/upload-url"
ASSETS = "/api/v1/assets"


async def test_a_file_is_put_to_a_signed_url_and_is_an_asset(
    hub: WholeHub, owner: Client, stranger: Client, nobody: Client
) -> None:
    data = picture("JPEG")
    asked = {"filename": "promo-banner.jpg", "mime_type": "image\\/jpeg"}  # as the document's own sample sends it
    answer = await owner.post(UPLOAD_URL, json=asked)
    assert answer.status_code == 200
    ticket = answer.json()
    url = ticket["upload_url"]
    assert url.startswith(f"{BASE}/api/v1/uploads/{ticket['asset_key']}?")
    early = await owner.post(ASSETS, json={"asset_key": ticket["asset_key"]})
    assert (early.status_code, early.json()["code"]) == (409, "not_uploaded")
    assert (await owner.get(ASSETS)).json()["data"] == []

    made = await nobody.put(url, content=data, headers={"content-type": "image/jpeg"})
    assert made.status_code == 201
    asset = made.json()["data"]
    assert (asset["name"], asset["key"], asset["type"]) == ("promo-banner.jpg", ticket["asset_key"], "image")
    again = await nobody.put(url, content=data)
    assert (again.status_code, again.json()["data"]["id"]) == (200, asset["id"])
    replayed = await nobody.put(url, content=picture("JPEG", color="red"))
    assert (replayed.status_code, replayed.json()["code"]) == (409, "upload_used")

    confirm = {"asset_key": ticket["asset_key"], "name": "Banner", "duration": 9}
    confirmed = await owner.post(ASSETS, json=confirm)
    assert confirmed.status_code == 200
    assert (confirmed.json()["data"]["name"], confirmed.json()["data"]["duration_s"]) == ("Banner", 9)
    assert (await stranger.post(ASSETS, json=confirm)).status_code == 422
    assert (await stranger.get(ASSETS)).json()["data"] == []
    assert len((await owner.get(ASSETS)).json()["data"]) == 1
    await owner.delete(f"{ASSETS}/{asset['id']}")
    assert (await nobody.put(url, content=data)).status_code == 409


async def test_an_upload_is_held_to_what_was_announced(hub: WholeHub, owner: Client, nobody: Client) -> None:
    data = picture()
    sha256 = hashlib.sha256(data).hexdigest()
    asked = {"filename": "a.png", "mime_type": "image/png", "size": len(data), "sha256": sha256, "name": "Promo"}
    url = (await owner.post(UPLOAD_URL, json=asked)).json()["upload_url"]
    other = data[:-1] + b"x"
    for body, headers, wrong in (
        (data, {"content-type": "image/jpeg"}, "content-type"),
        (data, {"content-type": "text/html"}, "content-type"),
        (data[:-1], {}, "file"),
        (data + b"x", {}, "file"),
        (other, {}, "file"),
        (b"", {}, "file"),
    ):
        answer = await nobody.put(url, content=body, headers=headers)
        assert (answer.status_code, list(answer.json()["errors"])) == (422, [wrong]), wrong
    loose = (await owner.post(UPLOAD_URL, json={"filename": "a.png", "mime_type": "image/png"})).json()["upload_url"]
    for body in (picture("JPEG"), b"PK\x03\x04" + bytes(100), data[:30]):
        assert (await nobody.put(loose, content=body)).status_code == 422
    assert (await nobody.put(loose, content=data, headers={"content-length": "99999999999"})).status_code == 413
    assert (await owner.get(ASSETS)).json()["data"] == []
    made = await nobody.put(url, content=data)
    assert (made.status_code, made.json()["data"]["name"]) == (201, "Promo")

    for body in (
        {"filename": "a.exe", "mime_type": "application/x-msdownload"},
        {"filename": "a.svg", "mime_type": "image/svg+xml"},
        {"filename": "", "mime_type": "image/png"},
        {"filename": "a.png"},
        {"filename": "a.png", "mime_type": "image/png", "size": 0},
        {"filename": "a.png", "mime_type": "image/png", "size": 10**13},
        {"filename": "a.png", "mime_type": "image/png", "sha256": "x"},
        {"filename": "a.png", "mime_type": "image/png", "folder_id": 99},
    ):
        assert (await owner.post(UPLOAD_URL, json=body)).status_code == 422, body


async def test_a_forged_or_late_signature_uploads_nothing(
    hub: WholeHub, owner: Client, nobody: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = (await owner.post(UPLOAD_URL, json={"filename": "../a.png", "mime_type": "image/png"})).json()["upload_url"]
    path, _, query = url.partition("?")
    made = (await owner.post(ASSETS, files={"file": ("b.png", picture(color="red"), "image/png")})).json()["data"]
    for wrong in (
        path,
        f"{path}?{query[:-1]}",
        url.replace("expires=", "expires=9"),
        f"{path}0?{query}",
        f"{path}?{made['url'].partition('?')[2]}",  # a signature of the hub's, for something else
    ):
        answer = await nobody.put(wrong, content=picture())
        assert (answer.status_code, answer.json().get("code")) == (403, "bad_signature"), wrong
    late = now_ms() + timedelta(minutes=16) // timedelta(milliseconds=1)
    monkeypatch.setattr(hub.services.direct_uploads, "_clock", lambda: late)
    answer = await nobody.put(url, content=picture())
    assert (answer.status_code, answer.json()["code"]) == (410, "link_expired")
    assert len((await owner.get(ASSETS)).json()["data"]) == 1


async def test_sounds_and_films_are_uploaded_too(hub: WholeHub, owner: Client, nobody: Client, tmp_path) -> None:
    data = sound(tmp_path / "a.mp3")
    ticket = (await owner.post(UPLOAD_URL, json={"filename": "a.mp3", "mime_type": "audio/mp3"})).json()
    asset = (await nobody.put(ticket["upload_url"], content=data)).json()["data"]
    assert (asset["type"], asset["mime_type"], asset["duration_s"]) == ("audio", "audio/mpeg", 2)
    assert asset["thumbnail_url"] is None
