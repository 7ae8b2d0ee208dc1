import asyncio
from typing import Any

import httpx2
import pytest

from tests.whole_hub import WholeHub

Client = httpx2.AsyncClient
REBOOTED = {"boot_id_before": "a", "boot_id_after": "b", "seconds_away": 30}


async def sent(owner: Client, player: int, command: str = "identify", **more: Any) -> str:
    answer = await owner.post("/api/v1/commands", json={"player_id": player, "command": command, **more})
    assert answer.status_code == 202, answer.text
    command_id: str = answer.json()["command_id"]
    return command_id


async def story(owner: Client, command_id: str) -> dict[str, Any]:
    answer = await owner.get(f"/api/v1/commands/{command_id}")
    told: dict[str, Any] = answer.json()["data"]
    return told


async def queued_after(owner: Client, cursor: str) -> str:
    """The id of the next command that the log tells of."""
    while True:
        page = await owner.get("/api/v1/events", params={"after": cursor}, headers={"prefer": "wait=20"})
        for event in page.json()["data"]:
            if event["event"] == "command.queued":
                command_id: str = event["data"]["command_id"]
                return command_id
        cursor = page.json()["meta"]["next"]


async def test_a_command_is_queued_and_its_story_told(owner: Client, player: int) -> None:
    answer = await owner.post(
        "/api/v1/commands",
        json={"player_id": player, "command": "set_volume", "payload": {"volume": 40}, "ttl_s": 60},
    )
    assert answer.status_code == 202
    command_id = answer.json()["command_id"]
    assert answer.json() == {"command_id": command_id, "status": "queued"}
    assert answer.headers["location"] == f"/api/v1/commands/{command_id}"
    told = await story(owner, command_id)
    assert (told["status"], told["command"], told["payload"]) == ("queued", "set_volume", {"volume": 40})
    assert told["requested_by"]["face"] == "signalbox"
    assert told["requested_by"]["address"] == "192.0.2.7"


async def test_spots_call_takes_spots_three_names_and_is_known_as_spots(owner: Client, player: int) -> None:
    path = f"/api/v1/players/{player}/commands"
    for name in ("reboot", "reload_content", "take_screenshot"):
        answer = await owner.post(path, json={"command": name})
        assert answer.status_code == 202
        assert (await story(owner, answer.json()["command_id"]))["requested_by"]["face"] == "spot"
    for name in ("set_volume", "identify", "refresh", "Reboot", "", None, 5):
        answer = await owner.post(path, json={"command": name})
        assert answer.status_code == 422, name
        assert list(answer.json()["errors"]) == ["command"]


async def test_an_unknown_command_or_a_wrong_payload_is_refused_by_name(owner: Client, player: int) -> None:
    async def errors(**body: Any) -> list[str]:
        answer = await owner.post("/api/v1/commands", json={"player_id": player, **body})
        assert answer.status_code == 422
        return list(answer.json()["errors"])

    assert await errors(command="explode") == ["command"]
    assert await errors(command="set_volume", payload={"volume": 101}) == ["payload.volume"]
    assert await errors(command="reboot", payload={"now": True}) == ["payload.now"]
    assert await errors(command="reboot", ttl_s=0) == ["ttl_s"]
    assert await errors(command="reboot", ttl_s=8 * 86_400) == ["ttl_s"]
    assert await errors(command="reboot", player_id="1") == ["player_id"]
    assert await errors(command="reboot", player_id=True) == ["player_id"]
    assert await errors() == ["command"]
    answer = await owner.post("/api/v1/commands", json={"player_id": 2**40, "command": "reboot"})
    assert answer.status_code == 404
    assert (await owner.get("/api/v1/commands")).json()["data"] == []


async def test_a_command_may_need_more_than_the_right_to_send(hub: WholeHub, owner: Client, player: int) -> None:
    operator = await hub.as_owner("read:players", "write:players")
    payload = {"version": "2.0", "url": "https://example.com/agent", "signature": "c2ln"}
    body = {"player_id": player, "command": "update_agent", "payload": payload}
    assert (await operator.post("/api/v1/commands", json=body)).status_code == 403
    assert (await owner.post("/api/v1/commands", json=body)).status_code == 202


async def test_a_caller_that_waits_hears_the_end_of_its_command(hub: WholeHub, owner: Client, player: int) -> None:
    cursor = (await owner.get("/api/v1/events")).json()["meta"]["next"]
    waiting = asyncio.create_task(
        owner.post(f"/api/v1/players/{player}/commands", json={"command": "reboot"}, headers={"prefer": "wait=20"})
    )
    command_id = await queued_after(owner, cursor)
    assert not waiting.done()
    await hub.finish(player, command_id, **REBOOTED)
    answer = await waiting
    assert answer.status_code == 200
    assert answer.headers["preference-applied"] == "wait=20"
    body = answer.json()
    assert (body["command_id"], body["status"]) == (command_id, "succeeded")
    assert body["command"]["detail"] == REBOOTED | {"unverified": True}  # no hello of this player is known
    assert body["command"] == await story(owner, command_id)


async def test_a_caller_that_waited_in_vain_hears_where_the_command_is(owner: Client, player: int) -> None:
    answer = await owner.post(
        "/api/v1/commands", json={"player_id": player, "command": "identify"}, headers={"prefer": "wait=1"}
    )
    assert answer.status_code == 202
    assert answer.json()["status"] == "queued"
    assert answer.headers["preference-applied"] == "wait=1"


async def test_a_command_can_be_waited_for_afterwards(hub: WholeHub, owner: Client, player: int) -> None:
    command_id = await sent(owner, player)
    waiting = asyncio.create_task(owner.get(f"/api/v1/commands/{command_id}", headers={"prefer": "wait=20"}))
    await hub.finish(player, command_id, "failed")
    told = (await waiting).json()["data"]
    assert told["status"] == "failed"
    assert told["error"] == {"code": "broken", "message": "broken"}


async def test_a_repeat_under_the_same_key_gets_the_first_answer(owner: Client, player: int) -> None:
    path = f"/api/v1/players/{player}/commands"
    key = {"idempotency-key": "nightly-1"}
    first = await owner.post(path, json={"command": "reboot"}, headers=key)
    again = await owner.post(path, json={"command": "reboot"}, headers=key)
    assert (again.status_code, again.json()) == (202, first.json())
    other = await owner.post(path, json={"command": "reload_content"}, headers=key)
    assert other.status_code == 409
    assert other.json()["code"] == "idempotency_key_reused"
    elsewhere = await owner.post("/api/v1/commands", json={"player_id": player, "command": "reboot"}, headers=key)
    assert elsewhere.status_code == 409
    assert len((await owner.get("/api/v1/commands")).json()["data"]) == 1


async def test_a_refused_request_leaves_its_key_free(owner: Client, player: int) -> None:
    key = {"idempotency-key": "k"}
    body = {"player_id": 2**40, "command": "reboot"}
    assert (await owner.post("/api/v1/commands", json=body, headers=key)).status_code == 404
    body = {"player_id": player, "command": "reboot"}
    assert (await owner.post("/api/v1/commands", json=body, headers=key)).status_code == 202


async def test_keys_of_two_teams_are_not_the_same(owner: Client, stranger: Client, player: int) -> None:
    theirs = (await stranger.post("/api/v1/players", json={"name": "Theirs"})).json()["data"]["id"]
    key = {"idempotency-key": "k"}
    assert (await sent_with(owner, player, key)) != (await sent_with(stranger, theirs, key))


async def sent_with(client: Client, player: int, headers: dict[str, str]) -> str:
    answer = await client.post("/api/v1/commands", json={"player_id": player, "command": "identify"}, headers=headers)
    assert answer.status_code == 202
    command_id: str = answer.json()["command_id"]
    return command_id


async def test_of_twenty_at_once_under_one_key_a_single_command_is_made(owner: Client, player: int) -> None:
    key = {"idempotency-key": "race"}
    made = await asyncio.gather(*(sent_with(owner, player, key) for _ in range(20)))
    assert len(set(made)) == 1
    assert [one["id"] for one in (await owner.get("/api/v1/commands")).json()["data"]] == made[:1]


async def test_a_key_must_be_printable(owner: Client, player: int) -> None:
    for key in ("", "x" * 256, "a\tb"):
        answer = await owner.post(
            f"/api/v1/players/{player}/commands", json={"command": "reboot"}, headers={"idempotency-key": key}
        )
        assert answer.status_code == 400, key


async def test_a_queued_command_is_cancelled_for_good(owner: Client, player: int) -> None:
    command_id = await sent(owner, player)
    path = f"/api/v1/commands/{command_id}"
    for _ in range(2):
        answer = await owner.delete(path)
        assert answer.status_code == 200
        assert answer.json() == {"command_id": command_id, "status": "cancelled", "message": "Command cancelled."}
    assert (await story(owner, command_id))["status"] == "cancelled"


async def test_a_command_that_the_player_has_is_asked_back(hub: WholeHub, owner: Client, player: int) -> None:
    command_id = await sent(owner, player)
    await hub.services.commands.acknowledge(player, command_id)
    answer = await owner.delete(f"/api/v1/commands/{command_id}")
    assert answer.status_code == 202
    assert answer.json()["status"] == "acked"
    assert (await story(owner, command_id))["cancel_requested_at"] is not None
    await hub.finish(player, command_id, shown="Lobby")
    over = await owner.delete(f"/api/v1/commands/{command_id}")
    assert over.status_code == 409
    assert over.json()["code"] == "command_over"


async def test_commands_are_listed_newest_first_page_by_page(hub: WholeHub, owner: Client, player: int) -> None:
    made = [await sent(owner, player) for _ in range(5)]
    await hub.finish(player, made[0], shown="x")

    async def page(**query: Any) -> tuple[list[str], str | None]:
        body = (await owner.get("/api/v1/commands", params=query)).json()
        return [one["id"] for one in body["data"]], body["meta"]["next"]

    assert await page() == (made[::-1], None)
    first, before = await page(limit=2)
    second, before2 = await page(limit=2, before=before)
    third, end = await page(limit=2, before=before2)
    assert first + second + third == made[::-1]
    assert end is None
    assert await page(status="succeeded") == (made[:1], None)
    assert await page(status=["succeeded", "queued"]) == (made[::-1], None)
    assert await page(player_id=player, status="queued") == (made[:0:-1], None)
    assert await page(player_id=99) == ([], None)
    assert (await owner.get("/api/v1/commands", params={"status": "lost"})).status_code == 422
    assert (await owner.get("/api/v1/commands", params={"limit": 501})).status_code == 422


async def test_a_pin_is_never_told(owner: Client, player: int) -> None:
    command_id = await sent(owner, player, "lock", payload={"pin": "4711"})
    assert "4711" not in (await owner.get(f"/api/v1/commands/{command_id}")).text
    assert "4711" not in (await owner.get("/api/v1/events")).text


# Batches -------------------------------------------------------------------------------------------------------------


@pytest.fixture
async def group(owner: Client) -> tuple[int, list[int]]:
    """A group and its three players."""
    players = [
        (await owner.post("/api/v1/players", json={"name": f"P{number}"})).json()["data"]["id"] for number in range(3)
    ]
    made = await owner.post("/api/v1/player-groups", json={"name": "All", "player_ids": players})
    return made.json()["data"]["id"], players


async def test_a_groups_command_goes_to_each_member(owner: Client, group: tuple[int, list[int]]) -> None:
    group_id, players = group
    answer = await owner.post(f"/api/v1/player-groups/{group_id}/commands", json={"command": "reboot"})
    assert answer.status_code == 202
    body = answer.json()
    assert [one["player_id"] for one in body["commands"]] == players
    assert body["command_id"] == body["commands"][0]["command_id"]
    assert answer.headers["location"] == f"/api/v1/batches/{body['batch_id']}"
    batch = (await owner.get(answer.headers["location"])).json()["data"]
    assert (batch["status"], batch["total"], batch["counts"]["queued"]) == ("running", 3, 3)
    listed = (await owner.get("/api/v1/commands", params={"batch_id": body["batch_id"]})).json()["data"]
    assert {one["player_id"] for one in listed} == set(players)
    refused = await owner.post(f"/api/v1/player-groups/{group_id}/commands", json={"command": "set_volume"})
    assert refused.status_code == 422


async def test_a_dry_run_stores_nothing(owner: Client, group: tuple[int, list[int]]) -> None:
    group_id, players = group
    body = {"group_id": group_id, "command": "identify", "dry_run": True}
    answer = await owner.post("/api/v1/batches", json=body)
    assert answer.status_code == 200
    assert [one["player_id"] for one in answer.json()["would_send"]] == players
    assert (await owner.get("/api/v1/commands")).json()["data"] == []


async def test_a_paced_batch_is_aborted_with_the_rest_unsent(owner: Client, group: tuple[int, list[int]]) -> None:
    body = {"group_id": group[0], "command": "reboot", "rate_per_minute": 1, "max_failures": 0}
    answer = await owner.post("/api/v1/batches", json=body)
    assert answer.status_code == 202
    path = answer.headers["location"]
    counts = (await owner.get(path)).json()["data"]["counts"]
    assert (counts["queued"], counts["held"]) == (1, 2)
    aborted = (await owner.delete(path)).json()["data"]
    assert aborted["status"] == "aborted"
    assert aborted["counts"]["cancelled"] == 3


async def test_a_batch_under_a_key_is_made_once(owner: Client, group: tuple[int, list[int]]) -> None:
    body, key = {"group_id": group[0], "command": "identify"}, {"idempotency-key": "b"}
    answers = await asyncio.gather(*(owner.post("/api/v1/batches", json=body, headers=key) for _ in range(5)))
    assert len({answer.json()["batch_id"] for answer in answers}) == 1
    assert len((await owner.get("/api/v1/commands")).json()["data"]) == 3


async def test_a_command_to_an_empty_group_is_taken_and_goes_to_nobody(owner: Client) -> None:
    group_id = (await owner.post("/api/v1/player-groups", json={"name": "Empty"})).json()["data"]["id"]
    path = f"/api/v1/player-groups/{group_id}/commands"
    for answer in (
        await owner.post(path, json={"command": "reboot"}),
        await owner.post("/api/v1/batches", json={"group_id": group_id, "command": "reboot", "rate_per_minute": 1}),
    ):
        assert answer.status_code == 202
        body = answer.json()
        assert body == {"batch_id": body["batch_id"], "command_id": None, "commands": [], "skipped": []}
        batch = (await owner.get(answer.headers["location"])).json()["data"]
        assert (batch["status"], batch["total"]) == ("finished", 0)


async def test_a_group_of_which_nobody_can_take_the_command_is_refused(
    hub: WholeHub, owner: Client, group: tuple[int, list[int]]
) -> None:
    for player_id in group[1]:
        await hub.services.presence.quarantine(player_id, "cloned")
    answer = await owner.post("/api/v1/batches", json={"group_id": group[0], "command": "reboot"})
    assert (answer.status_code, answer.json()["code"]) == (422, "no_targets")
