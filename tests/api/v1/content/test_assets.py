import hashlib
from pathlib import Path

import httpx2

from hub.api import parameters
from tests.media import picture, png_bomb
from tests.whole_hub import BASE, WholeHub

Client = httpx2.AsyncClient
ASSETS = "/api/v1/assets"


async def test_the_story_of_an_asset(hub: WholeHub, owner: Client, nobody: Client) -> None:
    folder = (await owner.post("/api/v1/folders", json={"name": "Summer"})).json()["data"]["id"]
    data = picture(size=(640, 400))
    made = await owner.post(
        ASSETS,
        files={"file": ("C:\\promo\\banner.png", data, "application/octet-stream")},
        data={"type": "image", "duration": "12", "folder_id": str(folder), "source_url": ""},
    )
    assert made.status_code == 201
    asset = made.json()["data"]
    assert made.headers["location"] == f"{ASSETS}/{asset['id']}"
    assert made.headers["etag"] == '"v1"'
    expected = {
        "name": "banner.png",
        "filename": "banner.png",
        "type": "image",
        "mime_type": "image/png",
        "status": "active",
        "size": len(data),
        "sha256": hashlib.sha256(data).hexdigest(),
        "width": 640,
        "height": 400,
        "duration_s": 12,
        "folder_id": folder,
        "source_url": None,
        "key": None,
        "version": 1,
    }
    assert {name: asset[name] for name in expected} == expected
    assert asset["content_id"].startswith("cnt_")
    assert asset["url"].startswith(f"{BASE}{ASSETS}/{asset['id']}/download?")
    assert (await nobody.get(asset["url"])).content == data
    assert (await nobody.get(asset["thumbnail_url"])).headers["content-type"] == "image/webp"

    page = await owner.post(
        ASSETS, json={"name": "Ticker", "type": "web", "source_url": "https://example.com/", "duration_s": 30}
    )
    assert page.status_code == 201
    web = page.json()["data"]
    assert (web["url"], web["mime_type"], web["thumbnail_url"]) == ("https://example.com/", None, None)
    form = {"name": "Film", "type": "youtube", "source_url": "https://youtu.be/abc"}
    tube = await owner.post(ASSETS, files={"name": (None, form.pop("name")), "type": (None, "youtube")}, data=form)
    assert tube.json()["data"]["type"] == "youtube"

    for query, found in {
        "": 3,
        "?type=image": 1,
        "?type=audio": 0,
        "?search=BANNER": 1,
        f"?folder_id={folder}": 1,
        "?status=failed": 0,
        "?page=2&per_page=2": 1,
        "?type=": 3,
    }.items():
        listed = (await owner.get(ASSETS + query)).json()
        assert len(listed["data"]) == found, query
    assert listed["meta"]["total"] == 3

    one = f"{ASSETS}/{asset['id']}"
    changed = await owner.patch(one, json={"name": "Banner", "folder_id": None}, headers={"if-match": '"v1"'})
    assert changed.json()["data"] | {"name": "Banner", "folder_id": None, "version": 2} == changed.json()["data"]
    assert (await owner.put(one, json={"duration_s": 5}, headers={"if-match": '"v1"'})).status_code == 412
    assert (await owner.put(one, json={"duration_s": None})).json()["data"]["duration_s"] is None

    gone = await owner.delete(one)
    assert (gone.status_code, gone.json()) == (200, {"message": "Asset deleted."})
    for answer in (await owner.get(one), await nobody.get(asset["url"]), await owner.delete(one)):
        assert answer.status_code == 404
    log = (await owner.get("/api/v1/events")).json()["data"]
    assert [event["event"] for event in log if event["event"].startswith("content.")] == [
        *["content.published"] * 3,
        *["content.updated"] * 2,
        "content.deleted",
    ]
    assert log[-1]["data"] == {
        "asset_id": asset["id"],
        "content_id": asset["content_id"],
        "name": "Banner",
        "type": "image",
    }


async def test_bad_uploads_are_refused_with_a_reason_and_change_nothing(hub: WholeHub, owner: Client) -> None:
    page = b"<!DOCTYPE html><script>alert(1)</script>"
    files = {
        "a zip archive": ("a.zip", b"PK\x03\x04" + bytes(1_000), "application/zip"),
        "a program named as a picture": ("a.png", b"\x7fELF" + bytes(100), "image/png"),
        "a page named as a picture": ("a.png", page, "image/png"),
        "a drawing": ("a.svg", b"<svg xmlns='http://www.w3.org/2000/svg'/>", "image/svg+xml"),
        "half a picture": ("a.png", picture(size=(300, 300))[:200], "image/png"),
        "a pixel bomb": ("a.png", png_bomb(60_000, 60_000), "image/png"),
        "nothing": ("a.png", b"", "image/png"),
    }
    for what, file in files.items():
        answer = await owner.post(ASSETS, files={"file": file})
        assert answer.status_code == 422, what
        assert list(answer.json()["errors"]) == ["file"], what
    good = ("a.png", picture(), "image/png")
    for fields, wrong in (
        ({"type": "video"}, "file"),
        ({"type": "hologram"}, "type"),
        ({"duration": "0"}, "duration"),
        ({"duration": "99999999999999999999"}, "duration"),
        ({"folder_id": "99"}, "folder_id"),
        ({"folder_id": "-1"}, "folder_id"),
        ({"name": "x" * 256}, "name"),
        ({"name": "a\0b"}, "name"),
        ({"name": "x" * 20_000}, "name"),
        ({"source_url": "https://example.com/"}, "source_url"),
        ({"colour": "red"}, "colour"),
    ):
        answer = await owner.post(ASSETS, files={"file": good}, data=fields)
        assert (answer.status_code, list(answer.json()["errors"])) == (422, [wrong]), fields
    assert (await owner.post(ASSETS, files={"picture": good})).status_code == 422
    assert (await owner.post(ASSETS, files=[("file", good), ("file", good)])).status_code == 422
    for body, wrong in (
        ({}, "file"),
        ({"name": "A", "type": "image"}, "file"),
        ({"name": "A", "type": "web"}, "source_url"),
        ({"type": "web", "source_url": "https://example.com/"}, "name"),
        ({"name": "A", "source_url": "https://example.com/"}, "type"),
        ({"name": "A", "type": "image", "source_url": "https://example.com/a.png"}, "type"),
        ({"name": "A", "type": "web", "source_url": "javascript:alert(1)"}, "source_url"),
        ({"name": "A", "type": "web", "source_url": "https://a/\r\nx"}, "source_url"),
        ({"name": "A", "type": "youtube", "source_url": "https://example.com/"}, "source_url"),
        ({"name": "A", "type": "web", "source_url": "https://example.com/", "folder_id": 99}, "folder_id"),
        ({"asset_key": "key_unknown"}, "asset_key"),
        ({"asset_key": "key_unknown", "type": "image"}, "type"),
    ):
        answer = await owner.post(ASSETS, json=body)
        assert (answer.status_code, list(answer.json()["errors"])) == (422, [wrong]), body
    made = (await owner.post(ASSETS, files={"file": good})).json()["data"]
    for changes in ({}, {"name": None}, {"type": "video"}, {"duration_s": 0}, {"folder_id": 99}, {"name": " "}):
        assert (await owner.patch(f"{ASSETS}/{made['id']}", json=changes)).status_code == 422, changes
    assert (await owner.get(ASSETS)).json()["data"] == [(await owner.get(f"{ASSETS}/{made['id']}")).json()["data"]]


async def test_forms_that_are_none_are_refused(owner: Client) -> None:
    kind = {"content-type": "multipart/form-data; boundary=x"}
    head = b'--x\r\nContent-Disposition: form-data; name="file"; filename="a.png"\r\n\r\n'
    for body, headers, status in (
        (b"", kind, 400),
        (b"garbage", kind, 400),
        (head + picture(), kind, 400),  # cut off
        (head + picture() + b"\r\n--x", kind, 400),
        (b"--x\r\nContent-Disposition: form-data\r\n\r\nx\r\n--x--\r\n", kind, 400),
        (b"--x\r\n" + b"a: b\r\n" * 100 + b"\r\nx\r\n--x--\r\n", kind, 400),
        (b"".join(b'--x\r\nContent-Disposition: form-data; name="n"\r\n\r\n1\r\n' for _ in range(30)), kind, 400),
        (head, {"content-type": "multipart/form-data"}, 415),
        (head, kind | {"content-encoding": "gzip"}, 415),
        (head, kind | {"content-length": "99999999999999"}, 413),
        (b"x=1", {"content-type": "application/x-www-form-urlencoded"}, 415),
    ):
        answer = await owner.post(ASSETS, content=body, headers=headers)
        assert answer.status_code == status, (body[:60], headers)


async def test_another_teams_assets_are_not_there(
    hub: WholeHub, owner: Client, stranger: Client, nobody: Client
) -> None:
    asset = (await owner.post(ASSETS, files={"file": ("a.png", picture(), "image/png")})).json()["data"]
    one = f"{ASSETS}/{asset['id']}"
    for path in (one, one + "/download", one + "/thumbnail"):
        assert (await stranger.get(path)).status_code == 404
        assert (await nobody.get(path)).status_code == (401 if path == one else 403)
    assert (await stranger.patch(one, json={"name": "Mine"})).status_code == 404
    assert (await stranger.delete(one)).status_code == 404
    assert (await stranger.get(ASSETS)).json()["data"] == []
    reader = await hub.as_owner("read:content")
    assert (await reader.get(one + "/download")).content == picture()
    for answer in (
        await reader.delete(one),
        await reader.patch(one, json={"name": "Mine"}),
        await reader.post(ASSETS, files={"file": ("a.png", picture(), "image/png")}),
        await reader.post(ASSETS + "/upload-url", json={"filename": "a.png", "mime_type": "image/png"}),
    ):
        assert answer.json()["code"] == "missing_scope"
    writer = await hub.as_owner("write:content")
    assert (await writer.get(one + "/download")).status_code == 403


async def test_a_file_is_named_as_its_client_writes_it(hub: WholeHub, owner: Client) -> None:
    kind = {"content-type": "multipart/form-data; boundary=x"}
    for number, (said, name) in enumerate(
        (
            (b"filename=\"=?utf-8?B?UHLDvGZ1bmcucG5n?=\"; filename*=utf-8''Pr%C3%BCfung.png", "Prüfung.png"),
            (b"filename*=utf-8''%E0%B7%81%E0%B7%8A%E2%80%8D%E0%B6%BB%E0%B7%93.png", "ශ්\u200dරී.png"),
            ('filename="👩\u200d🚒\u202egnp.exe\u0085.png"'.encode(), "👩\u200d🚒gnp.exe.png"),
            (b'filename="say %22hi%22.png"', 'say "hi".png'),
            ('filename="ソフト表.png"'.encode("shift_jis"), "\ufffd\ufffd\ufffd\ufffd.png"),
            ('filename="C:\\促销\\夏季.png"'.encode("gbk"), "\ufffd\ufffd.png"),
            ('filename="C:\\Bücher\\“Été”.png"'.encode("windows-1252"), "“Été”.png"),
        )
    ):
        head = b'--x\r\nContent-Disposition: form-data; name="file"; ' + said + b"\r\n\r\n"
        data = picture(size=(10 + number, 10))
        made = await owner.post(ASSETS, content=head + data + b"\r\n--x--\r\n", headers=kind)
        assert made.status_code == 201, made.text
        asset = made.json()["data"]
        assert (asset["name"], asset["filename"]) == (name, name)
        shown = (await owner.get(asset["url"])).headers["content-disposition"]
        assert parameters.read(shown)[1]["filename"] == name


async def test_a_broken_form_leaves_nothing_behind(hub: WholeHub, owner: Client, tmp_path: Path) -> None:
    kind = {"content-type": "multipart/form-data; boundary=x"}

    def files() -> list[Path]:
        return sorted(path for path in tmp_path.rglob("*") if path.is_file() and not path.name.startswith("hub."))

    before = files()
    part = b"--x\r\nContent-Disposition: form-data; name=%s\r\n\r\n"
    file = part % b"file; filename*=utf-8''a.png" + picture()
    for body, status in (
        (file, 400),
        (file + b"\r\n--xx", 400),
        (file + b"\r\n" + file + b"\r\n--x--", 422),
        (file + b"\r\n" + part % b'""' + b"\r\n--x--", 400),
        (file + b"\r\n" + part % b"name; name=b" + b"\r\n--x--", 400),
        (file + b"\r\n" + part % b"name" + b"n" * 20_000 + b"\r\n--x--", 422),
        (part % b"folder_id" + b"99\r\n" + file + b"\r\n--x--", 422),
    ):
        answer = await owner.post(ASSETS, content=body, headers=kind)
        assert (answer.status_code, answer.json().keys() - {"code", "errors"}) == (status, {"message"}), body[-60:]
        assert files() == before
    assert (await owner.get(ASSETS)).json()["data"] == []
