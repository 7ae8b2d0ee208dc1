import hashlib
from urllib.parse import unquote

import httpx2
import pytest

from hub.domain.times import HOUR, SECOND, now_ms
from tests.media import picture
from tests.whole_hub import WholeHub

Client = httpx2.AsyncClient


async def test_files_are_handed_out_whole_or_in_part(hub: WholeHub, owner: Client, nobody: Client) -> None:
    data = picture("BMP", (100, 100))
    size, tag = len(data), f'"{hashlib.sha256(data).hexdigest()}"'
    asset = (await owner.post("/api/v1/assets", files={"file": ('Größe "1".bmp', data, "image/bmp")})).json()["data"]
    url = asset["url"]
    whole = await nobody.get(url)
    assert whole.content == data
    expected = {
        "content-type": "image/bmp",
        "content-length": str(size),
        "etag": tag,
        "accept-ranges": "bytes",
        "x-content-type-options": "nosniff",
    }
    assert {name: whole.headers[name] for name in expected} == expected
    assert "sandbox" in whole.headers["content-security-policy"]
    shown = whole.headers["content-disposition"]
    assert shown.startswith('inline; filename="Gr__e ')
    assert unquote(shown.partition("UTF-8''")[2]) == asset["filename"]
    head = await nobody.head(url)
    assert (head.status_code, head.content, head.headers["content-length"]) == (200, b"", str(size))

    for asked, start, end in (
        ("bytes=0-0", 0, 1),
        ("bytes=10-99", 10, 100),
        ("bytes=100-", 100, size),
        ("bytes=-7", size - 7, size),
        (f"bytes={size - 1}-999999", size - 1, size),
        ("bytes=-999999", 0, size),
        ("Bytes= 10 - 99 ", 10, 100),
        ("bytes=" + " " * 80 + "-7", size - 7, size),
    ):
        part = await nobody.get(url, headers={"range": asked})
        assert (part.status_code, part.content) == (206, data[start:end]), asked
        assert part.headers["content-range"] == f"bytes {start}-{end - 1}/{size}"
        assert part.headers["content-length"] == str(end - start)
    assert (await nobody.head(url, headers={"range": "bytes=0-9"})).headers["content-length"] == "10"
    for asked in (f"bytes={size}-", "bytes=-0", f"bytes={size}-{size + 5}"):
        outside = await nobody.get(url, headers={"range": asked})
        assert (outside.status_code, outside.headers["content-range"]) == (416, f"bytes */{size}"), asked
        assert outside.json()["code"] == "range_not_satisfiable"
    for asked in ("bytes=5-2", "bytes=0-1,3-4", "lines=0-1", "bytes=-", "bytes=a-b", "bytes=" + "9" * 30 + "-"):
        assert (await nobody.get(url, headers={"range": asked})).status_code == 200, asked
    for asked in (f"bytes={' ' * 100}0-1", f"bytes=0-1{',' * 100}", f"bytes={' ' * 60_000}x"):  # longer than any read
        assert (await nobody.get(url, headers={"range": asked})).status_code == 200, len(asked)
    again = {"range": "bytes=0-4"}
    assert (await nobody.get(url, headers=again | {"if-range": tag})).content == data[:5]
    assert (await nobody.get(url, headers=again | {"if-range": '"another"'})).content == data

    for tags in (tag, f'"x", W/{tag}', "*"):
        same = await nobody.get(url, headers={"if-none-match": tags})
        assert (same.status_code, same.content, same.headers["etag"]) == (304, b"", tag)
    assert (await nobody.get(url, headers={"if-none-match": '"x"'})).status_code == 200


async def test_a_link_is_good_for_one_asset_and_one_hour(
    hub: WholeHub, owner: Client, nobody: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = (await owner.post("/api/v1/assets", files={"file": ("a.png", picture(), "image/png")})).json()["data"]["url"]
    other = (await owner.post("/api/v1/assets", files={"file": ("a.png", picture(color="red"), "image/png")})).json()
    path, _, query = url.partition("?")
    for wrong in (
        path,
        f"{path}?{query[:-1]}",
        url.replace("expires=", "expires=9"),
        f"{path.replace('download', 'thumbnail')}?{query}",
        f"/api/v1/assets/{other['data']['id']}/download?{query}",
    ):
        answer = await nobody.get(wrong)
        assert (answer.status_code, answer.json()["code"]) == (403, "bad_signature"), wrong
    bad = await nobody.get(url, headers={"authorization": "Bearer sbk_nonsense"})
    assert bad.status_code == 401  # who brings a credential is held to it
    later = now_ms() + HOUR + SECOND
    monkeypatch.setattr(hub.services.downloads, "_clock", lambda: later)
    answer = await nobody.get(url)
    assert (answer.status_code, answer.json()["code"]) == (410, "link_expired")


async def test_addresses_are_where_the_download_leads(owner: Client) -> None:
    body = {"name": "Cam", "type": "livestream", "source_url": "rtsp://10.0.0.1/cam"}
    asset = (await owner.post("/api/v1/assets", json=body)).json()["data"]
    answer = await owner.get(f"/api/v1/assets/{asset['id']}/download")
    assert (answer.status_code, answer.headers["location"]) == (302, "rtsp://10.0.0.1/cam")
    assert answer.headers["referrer-policy"] == "no-referrer"
    assert (await owner.get(f"/api/v1/assets/{asset['id']}/thumbnail")).json()["code"] == "no_thumbnail"


PAGE = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"
OPENED: list[dict[str, str]] = [
    {"sec-fetch-mode": "navigate", "sec-fetch-dest": "document", "accept": PAGE},
    {"sec-fetch-mode": "navigate", "sec-fetch-dest": "iframe", "accept": PAGE},
    {"accept": PAGE},
]
FETCHED: list[dict[str, str]] = [
    {},
    {"accept": "*/*"},
    {"sec-fetch-mode": "no-cors", "sec-fetch-dest": "video", "accept": "*/*"},
    {"sec-fetch-mode": "cors", "sec-fetch-dest": "empty", "accept": "*/*"},
]


@pytest.mark.parametrize("face", ["own", "adcast"])
async def test_whoever_opens_a_link_is_shown_where_it_leads_and_not_sent_there(
    owner: Client, nobody: Client, face: str
) -> None:
    """Else the hub's name would lead to whatever any team has written."""
    address = "https://elsewhere.example/?a=%3Cscript%3E&b=1"
    body = {"name": "Page", "type": "web", "source_url": address}
    asset = (await owner.post("/api/v1/assets", json=body)).json()["data"]
    client, url = owner, f"/api/v1/assets/{asset['id']}/download"
    if face == "adcast":
        items = [{"asset_id": asset["id"], "duration": 5}]
        await owner.post("/api/v1/playlists", json={"name": "All", "is_default": True, "items": items})
        code = (await nobody.post("/api/device/register", json={"uuid": "the-device"})).json()["pairing_code"]
        await owner.post("/api/devices/pair", json={"pairing_code": code, "name": "Lobby"})
        client, url = nobody, f"/api/device/content/{asset['id']}/download?uuid=the-device"
    for headers in OPENED:
        shown = await client.get(url, headers=headers)
        assert (shown.status_code, shown.headers.get("location")) == (200, None), headers
        assert shown.headers["content-type"] == "text/plain; charset=utf-8"
        assert shown.headers["referrer-policy"] == "no-referrer"
        assert address in shown.text
    for headers in FETCHED:
        sent = await client.get(url, headers=headers)
        assert (sent.status_code, sent.headers["location"]) == (302, address), headers
        assert sent.headers["referrer-policy"] == "no-referrer"
