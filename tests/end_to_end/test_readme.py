"""The README's "Run it", line by line as it stands there: only addresses, and what would install something, differ."""

import re
import sys
from pathlib import Path

import httpx2
from PIL import Image

from tests.end_to_end.programs import ROOT, Programs
from tests.harness import NO_TLS
from tests.ports import free_port
from tests.requirements import require

BIN = Path(sys.executable).parent
INSTALLS = re.compile(r"^(sudo apt|python3 -m venv) .*\n", re.MULTILINE)


def shell_blocks(section: str, port: int) -> list[str]:
    """Those below a heading of the second level, for a hub on this port."""
    text = (ROOT / "README.md").read_text().partition(f"\n## {section}\n")[2].partition("\n## ")[0]
    local = text.replace("http://hub.example:8080", f"http://127.0.0.1:{port}").replace("8080", str(port))
    return re.findall(r"```sh\n(.*?)```", local, re.DOTALL)


async def test_a_hub_and_a_player_run_by_the_lines_of_the_readme(run: Programs, tmp_path: Path) -> None:
    require("curl")
    port = free_port()
    serve, device, operate, show = (INSTALLS.sub("", block) for block in shell_blocks("Run it", port))
    for environment in (tmp_path / ".venv", tmp_path / "home/signalbox"):
        environment.mkdir(parents=True)
        (environment / "bin").symlink_to(BIN)
    Image.new("RGB", (64, 36), "navy").save(tmp_path / "poster.jpg")
    bare = {"HOME": str(tmp_path / "home"), "PATH": "/usr/bin:/bin", "AGENT_PLAYER__KIND": "simulated"}
    activated = bare | {"PATH": f"{BIN}:/usr/bin:/bin"}

    hub = await run.shell(serve, **bare)
    key = (await hub.line(r"^ +(sbk_\S+)$"))[1]
    await hub.line("Signalbox listens on")
    exports, players, command, watch = operate.replace("sbk_...", key).strip().splitlines()
    agent = await run.shell(device, **bare)
    code = (await agent.line(r"enter the code (\S{6}) at http://127.0.0.1:\d+/pair"))[1]
    headers = {"Authorization": f"Bearer {key}"}
    async with httpx2.AsyncClient(base_url=f"http://127.0.0.1:{port}", headers=headers, verify=NO_TLS) as operator:
        assert (await operator.post("/api/v1/players/pair", json={"code": code, "name": "Lobby"})).status_code == 200
    assert await (listed := await run.shell(f"{exports}\n{players}", **activated)).end() == 0
    assert "Lobby" in listed.text()
    assert await (photographed := await run.shell(f"{exports}\n{command}", **activated)).end() == 0
    assert "succeeded" in photographed.text()
    assert await (shown := await run.shell(f"{exports}\n{show.replace('curl ', 'curl -sSf ')}", **activated)).end() == 0
    assert '"asset_id":1' in shown.text()
    assert watch == "hub watch"  # has no end, and a test of its own
    for program in (agent, hub):
        await program.stop()
