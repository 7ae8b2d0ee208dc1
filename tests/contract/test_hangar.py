"""Hangar's one documented call, from `hangar.json`, on a running hub; and all 64 documented calls by name."""

import re
from pathlib import Path

import pytest

from hub.app import ENTRIES
from tests.contract.replay import assert_holds, calls
from tests.whole_hub import whole_hub

UNKNOWN = "0dd0a7a2-7d1c-4c70-8a4f-7e7c5f6a8f10.6f8f57cb-5e16-4f1e-9a63-0f4d1a1d3f55"


async def test_hangars_document_is_kept(tmp_path: Path, subtests: pytest.Subtests) -> None:
    async with whole_hub(tmp_path) as hub, hub.served():
        nobody = hub.client()
        made = await (await hub.as_owner()).post("/api/v1/api-keys", json={"name": "Bot", "scopes": ["read:players"]})
        keys = {200: made.json()["data"]["key"], 400: "yourKey", 401: UNKNOWN}
        for call in calls("hangar"):
            for documented in call["answers"]:
                with subtests.test(f"{call['id']} {documented['status']}"):
                    key = keys[documented["status"]]
                    answer = await nobody.request(call["method"], call["path"], params={"apiKey": key})
                    assert answer.status_code == documented["status"]
                    assert_holds(documented["body"], answer.json())
                    headers = documented["headers"]
                    assert {name: answer.headers.get(name) for name in headers} == headers


def test_each_documented_call_is_replayed_once_and_has_its_route() -> None:
    counts = {"spot": 22, "adcast": 30, "hangar_media": 11, "hangar": 1}
    found = {name: {(call["method"], blank(call["path"])) for call in calls(name)} for name in counts}
    assert {name: len(replayed) for name, replayed in found.items()} == counts
    for name, replayed in found.items():
        assert replayed <= {(entry.method, blank(entry.template)) for entry in ENTRIES if entry.owner == name}


def blank(path: str) -> str:
    return re.sub(r"\{[a-z_]+\}", "{}", path)
