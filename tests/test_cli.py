"""The `hub` command as processes of its own."""

import os
import subprocess
import sys
from pathlib import Path


def serve(folder: Path) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [sys.executable, "-m", "hub", "serve", "--data", str(folder), "--port", "0"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | {"HUB_CONFIG": os.devnull},
    )


def listening(hub: "subprocess.Popen[str]") -> bool:
    assert hub.stdout is not None
    return "listens on" in hub.stdout.readline()


def test_a_second_hub_on_one_data_folder_refuses_and_the_next_one_does_not(tmp_path: Path) -> None:
    with serve(tmp_path) as first:
        assert listening(first)
        with serve(tmp_path) as second:
            _, complaint = second.communicate(timeout=60)
            assert second.returncode == 1
            assert complaint == f"Another hub runs on the data folder {tmp_path} already.\n"
        first.kill()  # without a goodbye: nothing is left to clean up
        first.communicate()
    with serve(tmp_path) as third:
        assert listening(third)
        third.terminate()
        third.communicate(timeout=60)
        assert third.returncode == 0
