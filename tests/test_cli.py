"""The `hub` command as processes of its own."""

import logging
import os
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import httpx2
import orjson
import pytest

from hub import command_line

ROOT = Path(__file__).parent.parent


def serve(folder: Path, **environment: str) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [sys.executable, "-m", "hub", "serve", "--data", str(folder), "--port", "0"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | {"HUB_CONFIG": os.devnull} | environment,
    )


def listening(hub: "subprocess.Popen[str]") -> bool:
    assert hub.stdout is not None
    return "listens on" in hub.stdout.readline()


def run(*arguments: str, **environment: str) -> "subprocess.CompletedProcess[str]":
    environment = os.environ | {"HUB_CONFIG": os.devnull} | environment
    return subprocess.run([sys.executable, "-m", "hub", *arguments], capture_output=True, text=True, env=environment)


def log_in(port: int, password: str) -> httpx2.Response:
    body = {"email": "ada@example.com", "password": password}
    return httpx2.post(f"http://127.0.0.1:{port}/api/auth/login", json=body, timeout=60)


def test_nobody_writes_a_line_of_the_log() -> None:
    record = logging.LogRecord(
        "x", logging.ERROR, "", 1, "from %s", ("a\n2026 forged\x1b[2J\x9b\u202e\u200d\ud800",), None
    )
    try:
        raise ValueError("b\x1b")
    except ValueError:
        record.exc_info = sys.exc_info()
    lines = command_line._Lines("%(message)s").format(record).split("\n")
    assert lines[0] == "from a\\u000a2026 forged\\u001b[2J\\u009b\\u202e\u200d\\ud800"
    assert lines[-1] == "ValueError: b\\u001b"
    record.args = ("a\n\x9b\u202e\u200d\ud800",)
    line = command_line._JsonLines().format(record)
    assert orjson.loads(line)["message"] == "from a\n\x9b\u202e\u200d?"
    assert not set(line) & set("\n\x9b\u202e")


def test_a_lost_password_is_replaced_while_the_hub_runs(tmp_path: Path) -> None:
    data = ("--data", str(tmp_path))
    made = run("init", "--team", "T", "--email", "Ada@example.com", *data, HUB_OWNER_PASSWORD="the first password")
    assert made.returncode == 0, made.stderr
    with serve(tmp_path) as hub:
        assert hub.stdout is not None
        port = int(hub.stdout.readline().rpartition(":")[2])
        assert log_in(port, "the first password").status_code == 200
        changed = run("password", "ada@example.com", *data, HUB_PASSWORD="another password")
        assert changed.stdout == "ada@example.com has another password; its logins have ended.\n"
        assert log_in(port, "the first password").status_code == 401
        assert log_in(port, "another password").status_code == 200
        planned = run("team", "plan", "1", "pro", *data)
        assert planned.stdout == "Team 1, T, is on the plan pro now.\n"
        unknown = run("team", "plan", "1", "gold", *data)
        assert (unknown.returncode, unknown.stdout) == (1, "")
        assert unknown.stderr == (
            "plan: The plan field names an unknown plan: gold. There are free, pro, business, unlimited.\n"
        )
        hub.terminate()
        hub.communicate(timeout=60)


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


@pytest.mark.parametrize("loop", ["asyncio", "uvloop"])
def test_the_event_loop_is_a_setting(tmp_path: Path, loop: str) -> None:
    with serve(tmp_path, HUB_SERVER__LOOP=loop) as hub:
        assert listening(hub)
        assert ("/uvloop/" in Path(f"/proc/{hub.pid}/maps").read_text()) == (loop == "uvloop")
        hub.terminate()
        hub.communicate(timeout=60)
        assert hub.returncode == 0


INIT = ("init", "--team", "T", "--email", "ada@example.com")


@pytest.mark.parametrize(
    ("arguments", "environment", "said"),
    [
        (["--email", "nope"], {}, "email: The email field must be an e-mail address, such as name@example.com"),
        (["--email", b"\xff@example.com"], {}, "it is not UTF-8."),
        (["--team", "x" * 4_000], {}, "team: The team field must have at most 100 characters."),
        (
            ["--team", "a\x1bb"],
            {},
            "team: The team field must be one line, without control characters and overrides of direction.",
        ),
        (["--team", b"\xff"], {}, "it is not UTF-8."),
        (["--timezone", b"\xff"], {}, "it is not UTF-8."),
        (["--data", ""], {}, "a path is not empty"),
        (["--config", ""], {}, "a path is not empty"),
        ([], {"HUB_OWNER_PASSWORD": b"\xff" * 20}, "The password in HUB_OWNER_PASSWORD is not UTF-8."),
        ([], {"HUB_SMTP__HOST": b"\xff"}, "smtp.host: input should be a valid string"),
    ],
)
def test_what_cannot_be_is_told_and_nothing_is_made(
    tmp_path: Path, arguments: list[str | bytes], environment: dict[str, str | bytes], said: str
) -> None:
    given = {"HUB_CONFIG": os.devnull, "HUB_OWNER_PASSWORD": "the first password"} | environment
    whole = {os.fsencode(name): os.fsencode(value) for name, value in {**os.environ, **given}.items()}
    command = [sys.executable, "-m", "hub", *INIT, "--data", "data", *arguments]
    search = os.environ.get("PYTHONPATH", "")
    whole[b"PYTHONPATH"] = os.fsencode(os.pathsep.join(filter(None, (str(ROOT), search))))
    done = subprocess.run(command, capture_output=True, cwd=tmp_path, env=whole)
    complaint = done.stderr.decode()
    assert done.returncode in (1, 2), complaint
    assert said in complaint
    assert "Traceback" not in complaint
    assert done.stdout == b""
    assert list(tmp_path.iterdir()) == []


def test_a_key_that_cannot_be_shown_is_told_with_the_way_to_another(tmp_path: Path) -> None:
    environment = os.environ | {"HUB_CONFIG": os.devnull, "HUB_OWNER_PASSWORD": "the first password"}
    command = [sys.executable, "-m", "hub", *INIT]
    with open("/dev/full", "w") as full:
        for number, (output, *more) in enumerate(((full,), (full, "--json"), (None,)), 1):
            shell = ["sh", "-c", 'exec "$@" >&-', "-"] if output is None else []
            done = subprocess.run(
                [*shell, *command, *more, "--data", str(tmp_path / str(number))],
                stdout=output,
                stderr=subprocess.PIPE,
                text=True,
                env=environment,
            )
            assert done.returncode == 1
            [line] = done.stderr.splitlines()
            assert "Team 1 is there all the same, and its first key is lost: its owner ada@example.com logs in" in line
    data = ("--data", str(tmp_path / "1"))
    assert run("team", "list", *data).stdout == "     1  unlimited  T\n"
    with open("/dev/full", "w") as full:
        done = subprocess.run([sys.executable, "-m", "hub", "team", "list", *data], stdout=full, stderr=subprocess.PIPE,
                              text=True, env=environment)  # fmt: skip
    sentence = "Nothing can be written to standard output: No space left on device.\n"
    assert (done.returncode, done.stderr) == (1, sentence)


def test_a_hub_whose_output_nobody_takes_serves_all_the_same(tmp_path: Path) -> None:
    with open("/dev/full", "w") as full:
        hub = subprocess.Popen(
            [sys.executable, "-m", "hub", "serve", "--data", str(tmp_path), "--port", "0"],
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            env=os.environ | {"HUB_CONFIG": os.devnull},
        )
    with hub:
        assert hub.stderr is not None
        line = next(line for line in hub.stderr if "listens on" in line)
        assert "Nothing can be written to standard output: No space left on device." in line
        port = int(line.rpartition(":")[2])
        assert httpx2.get(f"http://127.0.0.1:{port}/readyz", timeout=60).status_code == 200
        hub.terminate()
        assert "Traceback" not in hub.communicate(timeout=60)[1]
        assert hub.returncode == 0


def test_a_team_lives_by_the_clock_that_it_was_given_or_the_machine_has(tmp_path: Path) -> None:
    def init(data: str, *more: str, **environment: str) -> "subprocess.CompletedProcess[str]":
        arguments = ("init", "--team", "T", "--email", "ada@example.com", "--data", str(tmp_path / data), *more)
        return run(*arguments, HUB_OWNER_PASSWORD="the first password", **environment)

    def zone(data: str) -> str:
        with closing(sqlite3.connect(tmp_path / data / "hub.db")) as database:
            found: str = database.execute("SELECT timezone FROM team").fetchone()[0]
            return found

    made = init("given", "--timezone", "Europe/Berlin")
    assert (made.returncode, zone("given")) == (0, "Europe/Berlin"), made.stderr
    for said in ("the clock of Europe/Berlin", "Lost the key?", "POST /api/v1/api-keys"):
        assert said in made.stdout
    assert init("machine", TZ=":Asia/Tokyo").returncode == 0
    assert zone("machine") == "Asia/Tokyo"
    refused = init("none", "--timezone", "Berlin")
    sentence = "timezone: The timezone field must be the IANA name of a time zone, such as Europe/Berlin.\n"
    assert (refused.returncode, refused.stderr, (tmp_path / "none").exists()) == (1, sentence, False)


def test_a_hub_without_a_team_says_how_to_make_one(tmp_path: Path) -> None:
    with serve(tmp_path) as hub:
        assert listening(hub)
        hub.terminate()
        _, said = hub.communicate(timeout=60)
    assert f"there is no team yet, and nobody can log in; in another terminal: hub init --data {tmp_path}" in said


@pytest.mark.parametrize(
    ("status", "error", "detail", "line"),
    [
        ("expired", None, None, "7 expired The player did not come for it in time."),
        ("failed", {"code": "no_space", "message": None}, None, "7 failed no_space"),
        ("failed", {"code": "x", "message": "No room."}, {"freed_bytes": 0}, '7 failed No room. {"freed_bytes":0}'),
        ("succeeded", None, {}, "7 succeeded {}"),
        ("succeeded", None, None, "7 succeeded"),
    ],
)
def test_an_outcome_is_told_with_all_that_is_known(status: str, error: object, detail: object, line: str) -> None:
    assert command_line._outcome({"id": 7, "status": status, "error": error, "detail": detail}) == line


# Starts as the installed script does, and is interrupted when it comes to load a module.
INTERRUPTED_AT = """
import os, signal, sys
package, module = sys.argv[1:3]
del sys.argv[1:3]

class Finder:
    def find_spec(self, name, path=None, target=None):
        if name == module:
            os.kill(os.getpid(), signal.SIGINT)

sys.meta_path.insert(0, Finder())
if package == "hub":
    from hub.cli import main
else:
    from device_agent.cli import main
main()
"""


@pytest.mark.parametrize(
    ("package", "module", "arguments"),
    [
        ("hub", "asyncio", ["players"]),
        ("hub", "typer", ["watch"]),
        ("hub", "hub.config", ["serve"]),
        ("hub", "hub.demo", ["demo"]),
        ("hub", "hub.app", ["serve"]),
        ("device_agent", "asyncio", ["run"]),
        ("device_agent", "device_agent.agent", ["run"]),
        ("device_agent", "device_agent.journal", ["run"]),
    ],
)
def test_an_interrupt_while_a_program_is_loaded_ends_it_quietly(
    tmp_path: Path, package: str, module: str, arguments: list[str]
) -> None:
    command = [sys.executable, "-c", INTERRUPTED_AT, package, module, *arguments]
    environment = os.environ | {"HUB_CONFIG": os.devnull, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, env=environment)
    assert (done.returncode, done.stdout, done.stderr) == (130, "", "")
    # Of a shell that wants its programs not to be interrupted, as one with `&` does.
    done = subprocess.run(
        ["sh", "-c", 'trap "" INT; exec "$@"', "-", *command, "--help"],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        env=environment,
    )
    assert (done.returncode, done.stderr) == (0, "")


def test_a_password_without_a_terminal_to_ask_on_is_wanted_in_the_environment(tmp_path: Path) -> None:
    def alone(*arguments: str) -> tuple[int, str]:
        environment = os.environ | {"HUB_CONFIG": os.devnull}
        command = [sys.executable, "-m", "hub", *arguments, "--data", str(tmp_path / "data")]
        done = subprocess.run(
            command, stdin=subprocess.DEVNULL, capture_output=True, text=True, env=environment, start_new_session=True
        )
        return done.returncode, done.stderr

    sentence = "There is no terminal on which to ask for the password; set {}.\n"
    assert alone(*INIT) == (1, sentence.format("HUB_OWNER_PASSWORD"))
    made = run(*INIT, "--data", str(tmp_path / "data"), HUB_OWNER_PASSWORD="the first password")
    assert made.returncode == 0, made.stderr
    assert alone("password", "ada@example.com") == (1, sentence.format("HUB_PASSWORD"))
    assert alone("password", "nobody@example.com") == (1, "No account has the address nobody@example.com.\n")
