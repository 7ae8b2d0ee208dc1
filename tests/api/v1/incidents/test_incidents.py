"""Incidents through the API of a whole hub: a real socket says what is wrong, people see it and take care of it."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx2
import pytest

from tests.harness import Hub, running_hub, settings
from tests.mail_server import MailServer

PATH = "/api/v1/incidents"


@pytest.fixture
async def post() -> AsyncIterator[MailServer]:
    async with MailServer() as server:
        yield server


@pytest.fixture
async def served(tmp_path: Path, post: MailServer) -> AsyncIterator[Hub]:
    smtp = {"host": "127.0.0.1", "port": post.port, "security": "none", "sender": "hub@signs.example"}
    async with running_hub(settings(tmp_path, smtp=smtp)) as hub:
        yield hub


async def made(hub: Hub, **fields: Any) -> int:
    answer = await hub.client.post("/api/v1/alert-rules", json={"name": "Rule", "everyone": True} | fields)
    assert answer.status_code == 201, answer.text
    number: int = answer.json()["data"]["id"]
    return number


async def listed(client: httpx2.AsyncClient, **query: Any) -> list[int]:
    return [one["id"] for one in (await client.get(PATH, params=query)).json()["data"]]


async def test_an_incident_opens_is_acknowledged_and_is_over_when_the_device_says_so(
    served: Hub, post: MailServer
) -> None:
    hub = served
    rule = await made(hub, kind="picture_black", emails=["ann@acme.example"])
    player, token = await hub.player("Lobby")
    async with hub.connected(token) as device:
        await device.send(type="event", name="picture.black", data={})
        opened = await hub.event("alert.triggered", rule_id=rule)
        assert opened["data"] == opened["data"] | {
            "kind": "picture_black", "severity": "moderate", "player_id": player, "name": "Lobby",
            "title": "Lobby shows a black picture", "measured": {}}  # fmt: skip
        number = opened["data"]["incident_id"]
        assert opened["data"]["screen_id"].startswith("scr_")
        answer = await hub.client.post(f"{PATH}/{number}/acknowledge", json={"note": "I go there."})
        assert answer.json()["data"]["acknowledged_note"] == "I go there."
        told = await hub.event("alert.acknowledged", incident_id=number)
        assert (told["data"]["note"], told["actor"]["kind"]) == ("I go there.", "key")
        assert [await listed(hub.client, status=state) for state in ("open", "acknowledged")] == [[], [number]]
        await device.send(type="event", name="picture.recovered", data={})
        cleared = await hub.event("alert.cleared", incident_id=number)
        assert cleared["data"]["reason"] == "recovered"
    subjects = [(await post.arrived.get()).message["Subject"] for _ in range(2)]
    assert subjects == ["Lobby shows a black picture", "Resolved: Lobby shows a black picture"]
    incident = (await hub.client.get(f"{PATH}/{number}")).json()["data"]
    assert (incident["status"], incident["reason"], incident["rule_name"]) == ("resolved", "recovered", "Rule")
    assert [(mail["about"], mail["address"]) for mail in incident["mails"]] == [
        ("opened", "ann@acme.example"), ("resolved", "ann@acme.example")]  # fmt: skip
    for query, found in (
        ({"player_id": player}, [number]),
        ({"player_id": player + 1}, []),
        ({"rule_id": rule}, [number]),
        ({"rule_id": rule + 1}, []),
        ({"status": "resolved", "page": 2}, []),
    ):
        assert await listed(hub.client, **query) == found, query
    late = await hub.client.post(f"{PATH}/{number}/acknowledge")
    assert (late.status_code, late.json()["code"]) == (409, "incident_resolved")
    again = await hub.client.post(f"{PATH}/{number}/resolve", json={"note": "x"})
    assert again.json()["data"] | {"mails": []} == incident | {"mails": []}  # the fate of the last may come meanwhile


async def test_what_a_person_resolves_is_told_with_the_reason(served: Hub) -> None:
    hub = served
    await made(hub, kind="temperature_high", celsius=70)
    _, token = await hub.player("Lobby")
    async with hub.connected(token) as device:
        await device.send(type="event", name="temperature.high", data={"temperature_c": 71.5})
        number = (await hub.event("alert.triggered", measured={"temperature_c": 71.5}))["data"]["incident_id"]
        bad = await hub.client.post(f"{PATH}/{number}/resolve", json={"note": "a\x07b"})
        assert (bad.status_code, list(bad.json()["errors"])) == (422, ["note"])
        assert (await hub.client.post(f"{PATH}/{number}/resolve")).json()["data"]["reason"] == "resolved"
        cleared = await hub.event("alert.cleared", incident_id=number)
        assert (cleared["data"]["reason"], cleared["data"]["note"]) == ("resolved", None)
