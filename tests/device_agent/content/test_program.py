"""The timeline as a device follows it."""

import json

import pytest

from device_agent.content.program import FOREVER, ManifestFault, Program
from hub.protocol.times import read_time

EVERYTHING = frozenset({"image", "video", "audio", "youtube", "web", "livestream"})
DAY = "2026-03-04T"
IMAGE = {
    "type": "image", "name": "Poster", "url": "http://hub/api/v1/player/assets/5", "sha256": "ab" * 32, "size": 10,
    "mime_type": "image/png", "duration_s": None,
}  # fmt: skip
SITE = {
    "type": "web", "name": "News", "url": "https://example.com/news", "sha256": None, "size": None, "mime_type": None,
    "duration_s": 30,
}  # fmt: skip


def item(asset_id, duration_s=10, campaign_id=None):
    return {"id": asset_id, "asset_id": asset_id, "duration_s": duration_s, "campaign_id": campaign_id}


def playlist(*items):
    return {"name": "A playlist", "transition": "none", "items": items}


def window(start, end, **step):
    return {"from": f"{DAY}{start}:00Z", "to": f"{DAY}{end}:00Z", "schedule_id": None, **step}


def manifest(*timeline, **more):
    return {
        "revision": "r1",
        "generated_at": f"{DAY}00:00:00Z",
        "valid_until": f"{DAY}23:00:00Z",
        "timezone": "UTC",
        "timeline": timeline,
        "conditions": {},
        "playlists": {"1": playlist(item(5), item(6, None)), "2": playlist(item(6)), "3": playlist()},
        "layouts": {},
        "assets": {"5": IMAGE, "6": SITE},
        "alerts": [],
    } | more


def program(*timeline, types=EVERYTHING, **more):
    return Program(json.dumps(manifest(*timeline, **more)).encode(), types)


def at(clock):
    return read_time(f"{DAY}{clock}:00Z")


MORNING = window("08:00", "12:00", kind="playlist", playlist_id=1, schedule_id=4)
REST = window("12:00", "23:00", kind="nothing")


def test_what_plays_and_until_when():
    day = program(MORNING, REST)
    showing, until = day.at(at("09:30"))
    assert [one.asset.name for one in showing.items] == ["Poster", "News"]
    assert (showing.playlist_id, showing.layout_id, showing.schedule_id, until) == (1, None, 4, at("12:00"))
    assert day.at(at("12:00"))[0].items == ()
    assert day.at(at("12:00"))[1] == at("23:00")


def test_before_and_after_its_time_a_program_is_better_than_none():
    day = program(REST | {"from": f"{DAY}07:00:00Z", "to": f"{DAY}08:00:00Z"}, MORNING)
    assert day.at(at("05:00")) == (day.at(at("07:30"))[0], at("07:00"))
    assert day.at(at("22:00"))[0].playlist_id == 1
    assert day.at(at("22:00"))[1] == FOREVER


def test_a_condition_decides_between_a_step_and_its_fallback():
    fallback = {"kind": "playlist", "playlist_id": 2, "schedule_id": None}
    hot = MORNING | {"condition": ["weather gt 30 celsius"], "fallback": fallback}
    for conditions, expected in (({}, 2), ({hot["condition"][0]: False}, 2), ({hot["condition"][0]: True}, 1)):
        assert program(hot, conditions=conditions).at(at("09:00"))[0].playlist_id == expected


def test_of_a_layout_the_first_zone_that_can_be_shown():
    zone = {"id": 1, "name": "", "x": 0, "y": 0, "width": 50, "height": 100, "playlist_id": None, "asset_id": None}
    shown = window("08:00", "12:00", kind="layout", layout_id=7)
    zones = [zone | {"asset_id": 99}, zone | {"playlist_id": 3}, zone | {"playlist_id": 2}, zone | {"asset_id": 5}]
    layouts = {"7": {"name": "Wall", "width": 1920, "height": 1080, "zones": zones}}
    showing = program(shown, layouts=layouts).at(at("09:00"))[0]
    assert (showing.layout_id, showing.playlist_id, showing.items[0].asset.id) == (7, 2, 6)
    showing = program(shown, layouts=layouts, types={"image"}).at(at("09:00"))[0]
    assert (showing.layout_id, showing.playlist_id, showing.items[0].asset.id) == (7, None, 5)


def test_files_come_in_the_order_of_their_need_and_addresses_are_none():
    other = IMAGE | {"sha256": "cd" * 32}
    later = window("12:00", "14:00", kind="playlist", playlist_id=2)
    day = program(
        MORNING, later, assets={"4": other, "5": IMAGE, "6": SITE, "7": other},
        playlists={"1": playlist(item(7), item(6)), "2": playlist(item(5))},
    )  # fmt: skip
    assert [asset.id for asset in day.files(at("08:00"))] == [7, 5, 4]
    assert [asset.id for asset in day.files(at("13:00"))] == [5, 4, 7]


def test_a_playlist_can_be_asked_for_by_itself():
    day = program(MORNING)
    assert [one.asset.id for one in day.playlist(2).items] == [6]
    assert day.playlist(77) is None


@pytest.mark.parametrize(
    "changes",
    [
        {"timeline": []},
        {"timeline": [{"from": "yesterday"}]},
        {"timeline": [MORNING | {"playlist_id": 77}]},
        {"timeline": [MORNING | {"condition": ["weather eq rain"]}]},
        {"assets": {"5": IMAGE | {"sha256": "../../etc/passwd"}}},
        {"assets": {"5": IMAGE | {"sha256": ["0"] * 64}}},
        {"assets": {"5": IMAGE | {"size": 0.5}}},
        {"assets": {"5": IMAGE | {"url": None}}},
        {"playlists": {"1": playlist(item(5, 0))}},
        {"revision": 7},
        {"conditions": 3},
    ],
)
def test_what_cannot_be_followed_is_refused_as_a_whole(changes):
    with pytest.raises(ManifestFault):
        Program(json.dumps(manifest(MORNING) | changes).encode(), EVERYTHING)


def test_what_is_no_manifest_at_all_is_refused():
    for data in (b"", b"[]", b"{" * 100_000, b"\xff", json.dumps({"revision": "r"}).encode()):
        with pytest.raises(ManifestFault):
            Program(data, EVERYTHING)
