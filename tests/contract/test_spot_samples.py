"""The samples of Spot's document, in curl, JavaScript and Python, run as they stand by the real programs; only the host
and the key are put in. `spot_samples.json` has them line by line, PHP's left out."""

import asyncio
import json
import re
import sys
from asyncio.subprocess import PIPE
from pathlib import Path
from typing import Any

import pytest

from tests.requirements import require
from tests.waiting import PATIENCE_S
from tests.whole_hub import WholeHub

SAMPLES = json.loads(Path(__file__).with_name("spot_samples.json").read_text())
ID = 16  # what all samples ask for
GET_WITH_A_BODY = {s["call"] for s in SAMPLES if s["call"].startswith("GET") and "--data" in "".join(s["curl"])}
"""Four samples ask by GET and send a body too. As they stand curl refuses them (`--get` puts the body's line breaks
into the address) and so does `fetch` (GET has no body there); nothing reaches the hub. Python sends both."""

PYTHON = """
import json, sys
for call, sample in json.load(sys.stdin):
    names = {}
    exec(sample, names)
    print(json.dumps([call, names["response"].status_code, names["response"].json()]))
"""
JAVASCRIPT = """
const ask = globalThis.fetch;
let answers = [];
globalThis.fetch = (...request) => {
  const response = ask(...request);
  answers.push(response.then(async (found) => [found.status, await found.clone().json()]));
  return response;
};
const samples = JSON.parse(require("fs").readFileSync(0));
(async () => {
  for (const [call, sample] of samples) {
    answers = [];
    new Function(sample)();
    console.log(JSON.stringify([call, ...(await answers[0])]));
  }
})();
"""


async def make_sixteen(hub: WholeHub) -> None:
    """Enough of everything that the id of the samples exists."""
    owner = await hub.as_owner()
    for number in range(1, ID + 1):
        for path, body in (
            ("players", {"name": f"Player {number}"}),
            ("player-groups", {"name": f"Group {number}"}),
            ("folders", {"name": f"Folder {number}"}),
            ("assets", {"name": f"Asset {number}", "type": "web", "source_url": "https://example.com/"}),
            ("playlists", {"name": f"Playlist {number}"}),
            ("layouts", {"name": f"Layout {number}"}),
            ("campaigns", {"name": f"Campaign {number}"}),
            ("webhooks", {"url": f"https://example.com/{number}", "events": ["player.online"]}),
        ):
            answer = await owner.post(f"/api/v1/{path}", json=body)
            assert answer.json()["data"]["id"] == number, answer.text
    await owner.patch(f"/api/v1/player-groups/{ID}", json={"player_ids": [1, ID]})
    await hub.connect(ID)
    await hub.shoot(ID)


async def run(program: str, *arguments: str, given: str = "") -> str:
    process = await asyncio.create_subprocess_exec(program, *arguments, stdin=PIPE, stdout=PIPE, stderr=PIPE)
    told, complaint = await asyncio.wait_for(process.communicate(given.encode()), PATIENCE_S)
    assert process.returncode == 0, complaint.decode()
    return told.decode()


async def with_curl(samples: list[tuple[str, str]]) -> list[Any]:
    require("curl")
    found = []
    for call, sample in samples:
        told = await run("/bin/sh", "-c", sample + " --silent --show-error --write-out '\\n%{http_code}'")
        body, _, status = told.rpartition("\n")
        found.append([call, int(status), json.loads(body)])
    return found


async def with_javascript(samples: list[tuple[str, str]]) -> list[Any]:
    told = await run(require("node"), "-e", JAVASCRIPT, given=json.dumps(samples))
    return [json.loads(line) for line in told.splitlines()]


async def with_python(samples: list[tuple[str, str]]) -> list[Any]:
    told = await run(sys.executable, "-c", PYTHON, given=json.dumps(samples))
    return [json.loads(line) for line in told.splitlines()]


@pytest.mark.parametrize(
    ("language", "perform"), [("curl", with_curl), ("javascript", with_javascript), ("python", with_python)]
)
async def test_the_samples_work_as_they_stand(hub: WholeHub, language: str, perform: Any) -> None:
    await make_sixteen(hub)
    key = (await hub.as_owner()).headers["authorization"].removeprefix("Bearer ")
    left_out = set() if language == "python" else GET_WITH_A_BODY
    async with hub.served() as url:
        samples = [
            (
                sample["call"],
                "\n".join(sample[language]).replace("http://localhost", url).replace("{YOUR_API_KEY}", key),
            )
            for sample in SAMPLES
            if sample["call"] not in left_out
        ]
        answers = await perform(samples)
    assert len(answers) == len(samples) == (22 if language == "python" else 18)
    for call, status, body in answers:
        assert status in (200, 201, 202), (call, body)
    by_call = {call: body for call, _, body in answers}
    assert {player["id"] for player in by_call["GET /api/v1/players"]["data"]} == {ID}
    assert by_call[f"GET /api/v1/players/{ID}"]["data"]["id"] == ID
    assert re.fullmatch(r"cmd_\w+", by_call[f"POST /api/v1/players/{ID}/commands"]["command_id"])
    assert by_call["POST /api/v1/webhooks"]["data"]["url"] == "https://example.com/webhooks/spot"
    if language == "python":
        assert by_call["GET /api/v1/analytics/playback"]["meta"]["granularity"] == "day"  # the query's, not the body's
