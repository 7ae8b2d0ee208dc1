import asyncio
import re

import httpx2

from tests.whole_hub import WholeHub

Client = httpx2.AsyncClient
WHOLE_SECONDS = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ")


async def test_the_log_is_read_from_cursor_to_cursor(owner: Client) -> None:
    for name in ("First", "Second"):
        await owner.post("/api/v1/players", json={"name": name})
    told = []
    cursor: dict[str, str] = {}
    while page := (await owner.get("/api/v1/events", params={"limit": 1, **cursor})).json():
        told += page["data"]
        cursor = {"after": page["meta"]["next"]}
        if not page["data"]:
            break
    assert [event["event"] for event in told] == ["key.created", "player.created", "player.created"]
    assert [event["data"]["name"] for event in told[1:]] == ["First", "Second"]
    assert told[-1]["cursor"] == cursor["after"]
    assert told[1]["actor"]["face"] == "signalbox"


async def test_a_caller_that_waits_hears_the_next_event(owner: Client) -> None:
    cursor = (await owner.get("/api/v1/events")).json()["meta"]["next"]
    waiting = asyncio.create_task(owner.get("/api/v1/events", params={"after": cursor}, headers={"prefer": "wait=20"}))
    await owner.post("/api/v1/players", json={"name": "Lobby"})
    [event] = (await waiting).json()["data"]
    assert event["event"] == "player.created"


async def test_a_cursor_of_another_log_is_refused(owner: Client) -> None:
    for cursor in ("abcdef-1", "1", "-1", "x" * 64):
        answer = await owner.get("/api/v1/events", params={"after": cursor})
        assert answer.status_code == 422, cursor
        assert list(answer.json()["errors"]) == ["after"]


async def test_events_that_a_key_may_not_see_are_passed_over(hub: WholeHub, owner: Client) -> None:
    viewer = await hub.as_owner("read:players")
    await owner.post("/api/v1/players", json={"name": "Lobby"})
    page = (await viewer.get("/api/v1/events")).json()
    assert [event["event"] for event in page["data"]] == ["player.created"]


async def test_times_have_whole_seconds_as_everywhere(hub: WholeHub, owner: Client, player: int) -> None:
    await hub.shoot(player)
    page = (await owner.get("/api/v1/events")).json()["data"]
    told = [event["timestamp"] for event in page] + [event["data"].get("captured_at") for event in page]
    times = [time for time in told if time is not None]
    assert len(times) == len(page) + 1
    assert [time for time in times if not WHOLE_SECONDS.fullmatch(time)] == []


async def test_another_teams_events_are_not_ours(owner: Client, stranger: Client) -> None:
    await stranger.post("/api/v1/players", json={"name": "Theirs"})
    assert "Theirs" not in (await owner.get("/api/v1/events")).text
