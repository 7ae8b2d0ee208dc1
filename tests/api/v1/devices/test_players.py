import httpx2
import pytest

from hub.domain.errors import Forbidden
from tests.whole_hub import WholeHub

Client = httpx2.AsyncClient


async def test_a_player_is_created_found_changed_and_deleted(owner: Client) -> None:
    created = await owner.post("/api/v1/players", json={"name": " Lobby Display "})
    assert created.status_code == 201
    player = created.json()["data"]
    assert player["name"] == "Lobby Display"
    assert player["status"] == "offline"
    path = created.headers["location"]
    assert path == f"/api/v1/players/{player['id']}"
    assert (await owner.get(path)).json()["data"] == player

    changed = await owner.patch(path, json={"name": "Entrance"})
    assert changed.json()["data"]["name"] == "Entrance"
    assert (await owner.put(path, json={"name": "Door"})).json()["data"]["name"] == "Door"

    assert (await owner.delete(path)).json() == {"message": "Player deleted."}
    assert (await owner.get(path)).status_code == 404
    assert (await owner.delete(path)).status_code == 404


async def test_a_player_and_its_list_entry_agree(owner: Client, player: int) -> None:
    [listed] = (await owner.get("/api/v1/players")).json()["data"]
    detail = (await owner.get(f"/api/v1/players/{player}")).json()["data"]
    assert {name: detail[name] for name in listed} == listed


async def test_all_players_come_at_once_or_in_pages(owner: Client) -> None:
    for number in range(5):
        await owner.post("/api/v1/players", json={"name": f"Screen {number}"})
    everything = (await owner.get("/api/v1/players")).json()
    assert everything["meta"] == {"current_page": 1, "last_page": 1, "total": 5, "per_page": 5}
    names = [one["name"] for one in everything["data"]]
    paged: list[str] = []
    for page in (1, 2, 3, 4):
        part = (await owner.get("/api/v1/players", params={"page": page, "per_page": 2})).json()
        assert part["meta"] == {"current_page": page, "last_page": 3, "total": 5, "per_page": 2}
        paged += [one["name"] for one in part["data"]]
    assert paged == names
    first = (await owner.get("/api/v1/players", params={"page": 1})).json()
    assert first["meta"] == {"current_page": 1, "last_page": 1, "total": 5, "per_page": 50}


async def test_an_empty_list_is_one_empty_page(owner: Client) -> None:
    assert (await owner.get("/api/v1/players")).json() == {
        "data": [],
        "meta": {"current_page": 1, "last_page": 1, "total": 0, "per_page": 1},
    }


async def test_players_are_filtered_by_status_group_and_name(owner: Client) -> None:
    ids = [
        (await owner.post("/api/v1/players", json={"name": name})).json()["data"]["id"]
        for name in ("Lobby east", "Lobby west", "100% Bar")
    ]
    group = (await owner.post("/api/v1/player-groups", json={"name": "G", "player_ids": ids[1:]})).json()["data"]["id"]

    async def found(**query: object) -> list[int]:
        return [one["id"] for one in (await owner.get("/api/v1/players", params=query)).json()["data"]]

    assert await found(status="offline") == ids
    assert await found(status="online") == []
    assert await found(group_id=group) == ids[1:]
    assert await found(search="lobby") == ids[:2]
    assert await found(search="100%") == ids[2:]
    assert await found(search="%") == ids[2:]
    assert await found(group_id=group, search="lobby") == [ids[1]]
    assert await found(group_id=99) == []
    assert (await owner.get("/api/v1/players", params={"status": "asleep"})).status_code == 422


@pytest.mark.parametrize("resource", ["players", "player-groups"])
async def test_an_edit_of_a_version_that_is_no_more_is_refused(owner: Client, resource: str) -> None:
    created = await owner.post(f"/api/v1/{resource}", json={"name": "First"})
    path, tag = created.headers["location"], created.headers["etag"]
    assert tag == '"v1"'
    changed = await owner.patch(path, json={"name": "Second"}, headers={"if-match": tag})
    assert changed.status_code == 200
    assert changed.headers["etag"] == '"v2"'
    assert (await owner.get(path)).headers["etag"] == '"v2"'
    for stale in (tag, '"abc"', "v2", '"v2", "v3"', "W/x"):
        refused = await owner.patch(path, json={"name": "Third"}, headers={"if-match": stale})
        assert refused.status_code == 412, stale
        assert refused.json()["code"] == "precondition_failed"
    assert (await owner.get(path)).json()["data"]["name"] == "Second"
    for fresh in ('"v2"', 'W/"v3"', "*"):
        assert (await owner.put(path, json={"name": "Third"}, headers={"if-match": fresh})).status_code == 200


async def test_a_change_of_nothing_is_refused(owner: Client, player: int) -> None:
    for body in ({}, {"name": None}):
        answer = await owner.patch(f"/api/v1/players/{player}", json=body)
        assert answer.status_code == 422
        sentence = (
            "The body must have at least one of "
            "name, group_ids, location_id, layout_id, timezone, quarantined, settings, reason."
        )
        assert answer.json()["errors"]["body"] == [sentence]


async def test_null_leaves_a_field_as_it_is(owner: Client, player: int) -> None:
    group = (await owner.post("/api/v1/player-groups", json={"name": "G"})).json()["data"]["id"]
    path = f"/api/v1/players/{player}"
    await owner.patch(path, json={"group_ids": [group]})
    answer = await owner.patch(path, json={"name": "New", "group_ids": None})
    assert answer.json()["data"]["group_ids"] == [group]
    assert (await owner.patch(path, json={"group_ids": []})).json()["data"]["group_ids"] == []


async def test_our_own_calls_refuse_unknown_fields_and_spots_ignore_them(owner: Client, player: int) -> None:
    refused = await owner.post("/api/v1/players", json={"name": "Lobby", "colour": "red"})
    assert refused.status_code == 422
    assert refused.json()["errors"] == {"colour": ["The colour field is not known here."]}
    body = {"command": "reboot", "colour": "red"}
    assert (await owner.post(f"/api/v1/players/{player}/commands", json=body)).status_code == 202
    assert (await owner.get("/api/v1/players", params={"colour": "red"})).status_code == 200
    assert (await owner.get("/api/v1/commands", params={"colour": "red"})).status_code == 422


async def test_a_name_is_something_that_people_can_read(owner: Client) -> None:
    for name in ("", "   ", "a" * 101, "two\nlines", "\x1b[31mred", 5, None, ["x"]):
        answer = await owner.post("/api/v1/players", json={"name": name})
        assert answer.status_code == 422, name
        assert list(answer.json()["errors"]) == ["name"]


async def test_a_token_is_shown_once_and_replaces_the_old_one(hub: WholeHub, owner: Client, player: int) -> None:
    path = f"/api/v1/players/{player}/token"
    first = await owner.post(path)
    assert first.status_code == 201
    assert list(first.json()) == ["token"]
    second = (await owner.post(path)).json()["token"]
    by_token = hub.services.players.by_token
    assert await by_token(first.json()["token"]) is None
    assert (await by_token(second) or [None])[0] == player
    detail = (await owner.get(f"/api/v1/players/{player}")).json()["data"]
    assert detail["paired"]
    assert second.startswith(detail["token_prefix"])
    assert second not in (await owner.get(f"/api/v1/players/{player}")).text

    assert (await owner.delete(path)).json() == {"message": "Token revoked."}
    assert await by_token(second) is None


async def test_an_operator_quarantines_a_player_and_lifts_it(hub: WholeHub, owner: Client, player: int) -> None:
    path = f"/api/v1/players/{player}"
    await hub.connect(player)
    operator = await hub.as_owner("read:players", "write:players")
    for wrong in ({"reason": "stolen"}, {"quarantined": False, "reason": "stolen"}, {"quarantined": "true"}):
        assert (await operator.patch(path, json=wrong)).status_code == 422, wrong

    answer = await operator.patch(path, json={"quarantined": True, "reason": "stolen from the lobby"})
    assert answer.status_code == 200
    found = answer.json()["data"]
    assert found["quarantined"]
    assert (found["quarantine"]["reason"], found["quarantine"]["by"]) == (
        "stolen from the lobby",
        "read:players write:players",
    )
    [event] = (await owner.get("/api/v1/events", params={"event": "player.quarantined"})).json()["data"]
    assert (event["data"]["reason"], event["data"]["quarantined"]) == ("stolen from the lobby", True)
    with pytest.raises(Forbidden):
        await hub.connect(player)
    again = (await operator.patch(path, json={"quarantined": True, "reason": "other"})).json()["data"]
    assert again["quarantine"] == found["quarantine"]

    lifted = (await operator.patch(path, json={"quarantined": False})).json()["data"]
    assert (lifted["quarantined"], lifted["quarantine"]) == (False, None)
    await hub.connect(player)
    await hub.services.presence.quarantine(player, "flooding")  # the hub's own is an admin's to lift
    assert (await owner.get(path)).json()["data"]["quarantine"]["reason"] == "flooding"
    assert (await operator.patch(path, json={"quarantined": False})).status_code == 403


async def test_a_quarantined_player_that_polls_is_refused(owner: Client, nobody: Client) -> None:
    code = (await nobody.post("/api/device/register", json={"uuid": "tv-1"})).json()["pairing_code"]
    number = (await owner.post("/api/devices/pair", json={"pairing_code": code})).json()["device"]["id"]
    await owner.patch(f"/api/v1/players/{number}", json={"quarantined": True})
    for answer in (
        await nobody.post("/api/device/heartbeat", json={"uuid": "tv-1"}),
        await nobody.get("/api/device/playlist", params={"uuid": "tv-1"}),
    ):
        assert (answer.status_code, answer.json()["message"]) == (403, "This player is quarantined.")
    await owner.patch(f"/api/v1/players/{number}", json={"quarantined": False})
    assert (await nobody.post("/api/device/heartbeat", json={"uuid": "tv-1"})).status_code == 200


async def test_lifting_a_quarantine_needs_the_admin_scope(hub: WholeHub, owner: Client, player: int) -> None:
    operator = await hub.as_owner("read:players", "write:players")
    refused = await operator.patch(f"/api/v1/players/{player}", json={"quarantined": False})
    assert refused.status_code == 403
    assert (await owner.patch(f"/api/v1/players/{player}", json={"quarantined": False})).status_code == 200


async def test_a_group_has_members(owner: Client, player: int) -> None:
    created = await owner.post("/api/v1/player-groups", json={"name": "Lobby", "player_ids": [player]})
    assert created.status_code == 201
    path = created.headers["location"]
    assert (await owner.get(path)).json()["data"]["player_ids"] == [player]
    assert (await owner.get(f"/api/v1/players/{player}")).json()["data"]["group_id"] == created.json()["data"]["id"]
    [listed] = (await owner.get("/api/v1/player-groups")).json()["data"]
    assert (listed["name"], listed["players_count"]) == ("Lobby", 1)

    assert (await owner.patch(path, json={"player_ids": []})).json()["data"]["players_count"] == 0
    assert (await owner.delete(path)).json() == {"message": "Group deleted."}
    assert (await owner.get(path)).status_code == 404
    assert (await owner.get(f"/api/v1/players/{player}")).status_code == 200


async def test_a_group_takes_players_of_its_own_team_only(owner: Client, stranger: Client, player: int) -> None:
    for body in ({"name": "G", "player_ids": [player]}, {"name": "G", "player_ids": [99]}):
        answer = await stranger.post("/api/v1/player-groups", json=body)
        assert answer.status_code == 422
        assert list(answer.json()["errors"]) == ["player_ids"]
    group = (await owner.post("/api/v1/player-groups", json={"name": "G"})).json()["data"]["id"]
    theirs = (await stranger.post("/api/v1/players", json={"name": "Theirs"})).json()["data"]["id"]
    answer = await stranger.patch(f"/api/v1/players/{theirs}", json={"group_ids": [group]})
    assert answer.status_code == 422
    assert (await owner.get(f"/api/v1/player-groups/{group}")).json()["data"]["player_ids"] == []
