from pathlib import Path
from typing import Any

import httpx2
import pytest

from hub.domain.alert_rules import THRESHOLDS
from hub.domain.quotas import QUOTAS
from tests.whole_hub import WholeHub, whole_hub

Client = httpx2.AsyncClient
PATH = "/api/v1/alert-rules"
VALUES: dict[str, Any] = {
    "offline_minutes": 15, "free_mb": 500, "celsius": 80.5, "seconds": 60, "window_minutes": 60, "min_commands": 10,
    "failed_percent": 50.0,
}  # fmt: skip


def rule(kind: str = "player_offline", **fields: Any) -> dict[str, Any]:
    thresholds = {name: VALUES[name] for name in THRESHOLDS.get(kind, ()) if name in VALUES}
    return {"name": "Rule", "kind": kind, "everyone": True} | thresholds | fields


@pytest.mark.parametrize("kind", THRESHOLDS)
async def test_a_rule_of_each_kind_has_its_thresholds_and_no_others(owner: Client, kind: str) -> None:
    made = await owner.post(PATH, json=rule(kind))
    assert made.status_code == 201
    data = made.json()["data"]
    known = set(THRESHOLDS[kind]) - {"free_percent"}
    assert {name for name in VALUES if data[name] is not None} == known
    assert (data["severity"], data["enabled"], data["emails"], data["for_minutes"]) == ("moderate", True, [], 0)
    assert (await owner.get(made.headers["location"])).json()["data"] == data
    for name, value in VALUES.items():
        wrong = {name: value} if name not in known else {name: None}
        answer = await owner.post(PATH, json=rule(kind) | wrong)
        assert (answer.status_code, list(answer.json()["errors"])) == (422, [name])


async def test_a_rule_is_changed_and_deleted(owner: Client, player: int) -> None:
    group = (await owner.post("/api/v1/player-groups", json={"name": "G"})).json()["data"]["id"]
    made = await owner.post(PATH, json=rule(everyone=False, player_ids=[player], severity="Severe"))
    path, first = made.headers["location"], made.json()["data"]
    assert (first["severity"], first["player_ids"]) == ("severe", [player])
    changed = await owner.patch(path, json={"group_ids": [group], "offline_minutes": 20},
                                headers={"if-match": made.headers["etag"]})  # fmt: skip
    assert changed.json()["data"] == first | {"group_ids": [group], "offline_minutes": 20, "version": 2}
    assert (await owner.patch(path, json={"name": "x"}, headers={"if-match": '"v1"'})).status_code == 412
    everyone = (await owner.patch(path, json={"everyone": True, "enabled": False})).json()["data"]
    assert (everyone["everyone"], everyone["player_ids"], everyone["enabled"]) == (True, [], False)
    aimed = (await owner.patch(path, json={"player_ids": [player]})).json()["data"]
    assert (aimed["everyone"], aimed["player_ids"]) == (False, [player])
    for change, field in (
        ({"celsius": 80}, "celsius"),
        ({"player_ids": []}, "everyone"),
        ({"everyone": False, "player_ids": []}, "everyone"),
        ({"player_ids": [999]}, "player_ids"),
        ({"for_minutes": 5}, "for_minutes"),
        ({"offline_minutes": 0}, "offline_minutes"),
        ({"kind": "picture_black"}, "kind"),
        ({}, "body"),
    ):
        answer = await owner.patch(path, json=change)
        assert (answer.status_code, list(answer.json()["errors"])) == (422, [field]), change
    assert (await owner.get(path)).json()["data"] == aimed
    assert (await owner.delete(path)).json() == {"message": "Alert rule deleted."}
    assert (await owner.get(path)).status_code == 404
    log = (await owner.get("/api/v1/events", params={"limit": 1000})).json()["data"]
    told = [(one["event"], one["data"].get("changed")) for one in log if one["data"].get("rule_id") == first["id"]]
    assert told == [
        ("rule.created", None),
        ("rule.updated", ["targets", "thresholds"]),
        ("rule.updated", ["enabled", "everyone"]),
        ("rule.updated", ["targets"]),
        ("rule.deleted", None),
    ]


async def test_storage_is_judged_in_megabytes_or_percent(owner: Client) -> None:
    path = (await owner.post(PATH, json=rule("storage_low"))).headers["location"]
    share = (await owner.patch(path, json={"free_percent": 5})).json()["data"]
    assert (share["free_mb"], share["free_percent"]) == (None, 5.0)
    both = await owner.patch(path, json={"free_percent": 5, "free_mb": 100})
    assert list(both.json()["errors"]) == ["free_mb"]
    neither = {"name": "x", "kind": "storage_low", "everyone": True}
    assert list((await owner.post(PATH, json=neither)).json()["errors"]) == ["free_mb"]


async def test_what_cannot_be_a_rule_is_refused_with_the_field_named(owner: Client, stranger: Client) -> None:
    foreign = (await stranger.post("/api/v1/players", json={"name": "x"})).json()["data"]["id"]
    for change, field in (
        ({"name": " "}, "name"),
        ({"kind": "bored"}, "kind"),
        ({"severity": "terrible"}, "severity"),
        ({"everyone": False}, "everyone"),
        ({"player_ids": [1]}, "everyone"),
        ({"everyone": False, "player_ids": [foreign]}, "player_ids"),
        ({"everyone": False, "group_ids": [999]}, "group_ids"),
        ({"everyone": False, "location_ids": [999]}, "location_ids"),
        ({"offline_minutes": 10_081}, "offline_minutes"),
        ({"offline_minutes": 1.5}, "offline_minutes"),
        ({"for_minutes": 1}, "for_minutes"),
        ({"emails": ["nobody"]}, "emails.0"),
        ({"emails": ["a@b.example"] * 21}, "emails"),
        ({"colour": "red"}, "colour"),
    ):
        answer = await owner.post(PATH, json=rule(**change))
        assert (answer.status_code, list(answer.json()["errors"])) == (422, [field]), change
    answer = await owner.post(PATH, json=rule("command_failures", everyone=False, player_ids=[foreign]))
    assert list(answer.json()["errors"]) == ["everyone"]
    assert (await owner.get(PATH)).json()["data"] == []


async def test_addresses_need_a_mail_server(owner: Client, tmp_path: Path) -> None:
    refused = await owner.post(PATH, json=rule(emails=["ann@acme.example"]))
    assert (refused.status_code, refused.json()["code"]) == (422, "no_mail_server")
    assert "smtp.host" in refused.json()["errors"]["emails"][0]
    smtp = {"host": "127.0.0.1", "port": 9, "sender": "hub@signs.example"}
    async with whole_hub(tmp_path / "other", smtp=smtp) as hub:
        client = await hub.as_owner()
        made = await client.post(PATH, json=rule(emails=["ann@acme.example", "bob@acme.example", "ann@acme.example"]))
        assert made.json()["data"]["emails"] == ["ann@acme.example", "bob@acme.example"]
        bad = await client.post(PATH, json=rule(emails=["ann@acme.example", "käse@acme.example"]))
        assert list(bad.json()["errors"]) == ["emails.1"]


async def test_rules_are_listed_by_page_and_have_a_limit(hub: WholeHub, owner: Client, stranger: Client) -> None:
    most = QUOTAS["alert_rules"].limits.unlimited
    for number in range(most):
        await hub.services.alert_rules.create(
            hub.owner, name=f"r{number}", kind="picture_black", severity="minor", thresholds={}, everyone=True,
            targets={}, face="signalbox",
        )  # fmt: skip
    full = await owner.post(PATH, json=rule())
    assert (full.status_code, full.json()["code"]) == (409, "quota_exceeded")
    page = (await owner.get(PATH, params={"page": 2, "per_page": 99})).json()
    assert ([one["name"] for one in page["data"]], page["meta"]["total"]) == (["r99"], most)
    assert (await stranger.get(PATH)).json()["data"] == []
