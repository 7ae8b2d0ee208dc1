"""The manual's shell examples, run as they stand there, page after page, against one hub with one player. Only
addresses differ, and curl is told to fail where the hub refuses."""

import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import httpx2
from PIL import Image

from hub.api.docs import manual
from tests import cap
from tests.api.docs.test_manual import CALL
from tests.end_to_end.programs import Programs
from tests.harness import NO_TLS
from tests.ports import free_port
from tests.requirements import require

PLAYED = tuple(name for name in manual.PAGES if re.search(r"```sh\n[^`]*curl ", manual.source(name)))
NO_EXAMPLE = {
    "conformance": "commands of the kit, which its own tests run",
    "features": "a list of what is described elsewhere",
    "operator-feed": "an example in Python, which a test of its own runs",
}
FAIL = 'curl() { command curl -sS --fail-with-body --noproxy "*" "$@"; }\n'


def blocks(page: str) -> list[str]:
    """Those that call the hub."""
    found = re.findall(r"```sh\n(.*?)```", manual.source(page), re.DOTALL)
    return [block for block in found if "curl " in block and "/cmd_" not in block]  # a command of the reader's own


@asynccontextmanager
async def furnished(run: Programs, folder: Path) -> AsyncIterator[httpx2.AsyncClient]:
    """A hub with player 1, which is connected, location 1 and incident 1."""
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    own = {"HUB_OWNER_PASSWORD": "a good one", "HUB_WEBHOOKS__ALLOW_NETWORKS": '["127.0.0.0/8"]'}
    made = await run.hub("init", "--data", "data", "--team", "My shop", "--email", "me@example.com", **own)
    key = (await made.line(r"^ +(sbk_\S+)$"))[1]
    assert await made.end() == 0
    hub = await run.hub("serve", "--data", "data", "--port", str(port), **own)
    await hub.line("Signalbox listens on")
    agent = await run.agent("run", "--hub", url, "--state", "agent", AGENT_PLAYER__KIND="simulated")
    code = (await agent.line(r"enter the code (\S{6}) at"))[1]
    Image.effect_noise((128, 72), 60).convert("RGB").save(folder / "lobby.jpg")  # some thousand bytes
    (folder / "warning.xml").write_bytes(cap.message(cap.info()))
    headers = {"Authorization": f"Bearer {key}", "Prefer": "wait=20"}
    async with httpx2.AsyncClient(base_url=url, headers=headers, verify=NO_TLS, timeout=60) as owner:

        async def post(path: str, **body: object) -> httpx2.Response:
            answer = await owner.post(f"/api/v1{path}", json=body)
            assert answer.is_success, answer.text
            return answer

        await post("/players/pair", code=code, name="Lobby")
        await post("/locations", name="Berlin", latitude=52.52, longitude=13.405, timezone="Europe/Berlin")
        rule = {"name": "Disk", "kind": "storage_low", "free_mb": 1_000_000_000, "everyone": True}
        await post("/alert-rules", **rule)
        await owner.get("/api/v1/events", params={"event": "alert.triggered"})
        yield owner
    for program in (agent, hub):
        await program.stop()


def test_every_page_that_describes_a_call_has_an_example() -> None:
    describe = {name for name in manual.PAGES if CALL.search(manual.source(name))}
    assert describe - set(PLAYED) == set(NO_EXAMPLE)


async def test_every_shell_example_of_the_manual_works(run: Programs, tmp_path: Path) -> None:
    require("curl")
    async with furnished(run, tmp_path) as owner:
        url, key = str(owner.base_url), owner.headers["authorization"].partition(" ")[2]
        environment = {"HUB_URL": url, "HUB_KEY": key}
        for page in PLAYED:
            if page == "player-protocol":
                environment["TOKEN"] = (await owner.post("/api/v1/players/2/token")).json()["token"]
            for block in blocks(page):
                local = block.replace("http://hub.local:8080", url).replace("sbk_...", key)
                local = local.replace("https://example.com/hook", url)  # answers 404: a delivery that fails
                example = await run.shell(f"{FAIL}{local}true", **environment)
                assert await example.end() == 0, f"{page}.md: {block}{example.text()}"


async def test_the_example_of_the_operator_feed_hears_the_snapshot(run: Programs, tmp_path: Path) -> None:
    (found,) = re.findall(r"```python\n(.*?)```", manual.source("operator-feed"), re.DOTALL)
    async with furnished(run, tmp_path) as owner:
        key = owner.headers["authorization"].partition(" ")[2]
        program = await run.python(found, HUB_URL=str(owner.base_url), HUB_KEY=key)
        assert '"name":"Lobby"' in (await program.line('"type":"snapshot"')).string
