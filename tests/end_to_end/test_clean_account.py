"""The README's commands in the account of a user who has nothing yet, with the system's own Python: as they stand
there, but for `sudo apt` and the hub's address."""

import os
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import httpx2
import pytest

from tests.end_to_end.programs import ROOT, programs
from tests.end_to_end.test_readme import shell_blocks
from tests.harness import NO_TLS
from tests.ports import free_port
from tests.requirements import missing

PATH = "/usr/bin:/bin"
USER = "65534"  # nobody, who owns nothing
INSTALL_S = 400.0  # for what takes 20 s on a machine with nothing else to do
NO_PACKAGES = "Could not find a version that satisfies the requirement"


@pytest.fixture
def account() -> Iterator[tuple[Path, tuple[str, ...]]]:
    """A copy of the source in the home of another user, and the command that becomes a program of theirs. Of the
    environment they have what a login gives, and this machine's settings of pip."""
    if os.geteuid() != 0 or shutil.which("setpriv") is None:
        missing("account", "only root, with setpriv, can be another user")
    if subprocess.run(
        ["env", "-i", f"PATH={PATH}", "python3", "-c", "import ensurepip"], capture_output=True
    ).returncode:
        missing("account", "the system's Python cannot make an environment (python3-venv)")
    home = Path(tempfile.mkdtemp(prefix="signalbox-account-"))
    try:
        source = home / "signalbox"
        names = subprocess.check_output(["git", "ls-files", "-z", "-co", "--exclude-standard"], cwd=ROOT, text=True)
        for name in filter(None, names.split("\0")):
            (source / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, source / name)
        subprocess.run(["chown", "-R", f"{USER}:{USER}", str(home)], check=True)
        pip = [f"{name}={value}" for name, value in os.environ.items() if name.startswith("PIP_")]
        user = ("setpriv", f"--reuid={USER}", f"--regid={USER}", "--clear-groups")
        yield source, (*user, "env", "-i", f"HOME={home}", f"PATH={PATH}", "LANG=C.UTF-8", *pip)
    finally:
        shutil.rmtree(home)


@pytest.mark.timeout(900)
async def test_a_new_user_sees_the_demo_and_runs_a_hub_and_a_player(account: tuple[Path, tuple[str, ...]]) -> None:
    folder, become = account
    port = free_port()
    see, *_ = shell_blocks("See it", port)
    serve, device, operate, _ = shell_blocks("Run it", port)
    install, _, demo = see.rpartition(" && ")
    async with programs(folder, *become) as run:
        installation = await run.shell(f"{install}\ntrue")
        status = await installation.end(INSTALL_S)
        if NO_PACKAGES in installation.text():
            missing("packages", "pip has no index to install from")
        assert status == 0, installation.text()
        shown = await run.shell(demo)
        await shown.line("The hub is yours at")
        shown.process.send_signal(signal.SIGINT)
        assert await shown.end() == 0, shown.text()

        hub = await run.shell(serve)
        key = (await hub.line(r"^ +(sbk_\S+)$"))[1]
        await hub.line("Signalbox listens on")
        on_device = "".join(line for line in device.splitlines(keepends=True) if not line.startswith("sudo apt "))
        agent = await run.shell(on_device)
        code = (await agent.line(r"enter the code (\S{6}) at http://127.0.0.1:\d+/pair", INSTALL_S))[1]
        headers = {"Authorization": f"Bearer {key}"}
        async with httpx2.AsyncClient(base_url=f"http://127.0.0.1:{port}", headers=headers, verify=NO_TLS) as operator:
            paired = await operator.post("/api/v1/players/pair", json={"code": code, "name": "Lobby"})
            assert paired.status_code == 200, paired.text
        exports, players, *_ = operate.replace("sbk_...", key).strip().splitlines()
        listed = await run.shell(f". .venv/bin/activate\n{exports}\n{players}")
        assert await listed.end() == 0
        assert "Lobby" in listed.text()
        for program in (agent, hub):
            await program.stop()
