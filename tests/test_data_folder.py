"""The data folder, as the `hub` command keeps it: its user's alone, and refused where it cannot be one."""

import asyncio
import json
import os
import re
import shutil
import signal
import sqlite3
import stat
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx2
import pytest

from hub.domain.errors import CannotStart
from hub.services.spool import Spool
from hub.store.private import open_data_folder
from tests.harness import make_team
from tests.media import picture

ENVIRONMENT = os.environ | {
    "HUB_CONFIG": os.devnull,
    "HUB_OWNER_PASSWORD": "correct horse battery",
    "HUB_PASSWORD": "correct horse battery",
}
INIT = ("init", "--team", "T", "--email", "ada@example.com", "--json")
OPEN = 0o022  # the umask that most systems come with


def run(*arguments: str, **environment: str) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-m", "hub", *arguments]
    return subprocess.run(command, capture_output=True, text=True, env=ENVIRONMENT | environment, umask=OPEN)


@dataclass(slots=True)
class Serving:
    process: "subprocess.Popen[str]"
    client: httpx2.Client
    complaints: Path

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()


@contextmanager
def serving(data: Path, key: str, **environment: str) -> Iterator[Serving]:
    complaints = data.parent / "complaints"
    with complaints.open("w") as stderr:
        process = subprocess.Popen(
            [sys.executable, "-m", "hub", "serve", "--data", str(data), "--port", "0"],
            stdout=subprocess.PIPE,
            stderr=stderr,
            text=True,
            env=ENVIRONMENT | environment,
            umask=OPEN,
        )
    with process:
        try:
            assert process.stdout is not None
            line = process.stdout.readline()
            assert "listens on" in line, complaints.read_text()
            headers = {"authorization": f"Bearer {key}"}
            address = f"http://127.0.0.1:{line.rpartition(':')[2].strip()}"
            with httpx2.Client(base_url=address, headers=headers, timeout=60) as client:
                yield Serving(process, client, complaints)
        finally:
            process.send_signal(signal.SIGTERM)
            process.communicate(timeout=60)


@pytest.fixture(scope="session")
def keyed(sqlite_template: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """A database with a team, and its key."""
    path = tmp_path_factory.mktemp("keyed") / "hub.db"
    shutil.copy(sqlite_template, path)
    return path, asyncio.run(make_team(f"sqlite:///{path}"))


@pytest.fixture
def key(keyed: tuple[Path, str]) -> str:
    return keyed[1]


@pytest.fixture
def data(keyed: tuple[Path, str], tmp_path: Path) -> Path:
    """A data folder with that database, as `hub init` leaves it."""
    folder = tmp_path / "data"
    folder.mkdir(mode=0o700)
    shutil.copyfile(keyed[0], folder / "hub.db")
    (folder / "hub.db").chmod(0o600)
    return folder


def work(hub: Serving) -> None:
    """Have the hub write files of most kinds."""
    assert hub.client.get("/readyz").status_code == 200
    body = {"file": ("notes.txt", b"\x89PNG\r\n\x1a\n" + b"x" * 100, "image/png")}
    assert hub.client.post("/api/v1/assets", files=body).status_code < 500
    assert hub.client.post("/api/v1/players", json={"name": "Lobby"}).status_code == 201


def own(data: Path, files: Path) -> None:
    """The files are this database's."""
    with closing(sqlite3.connect(data / "hub.db")) as database:
        [name] = database.execute("SELECT value FROM meta WHERE name = 'log_id'").fetchone()
    files.mkdir(parents=True, exist_ok=True)
    (files / "database-id").write_text(name)


def open_ones(*folders: Path) -> list[str]:
    """What other users can get at, of these folders and all that is in them."""
    found = [path for folder in folders for path in (folder, *folder.rglob("*"))]
    assert len(found) > len(folders)
    return [f"{stat.filemode(path.stat().st_mode)} {path}" for path in found if path.stat().st_mode & 0o077]


def left_open(folder: Path, *names: str) -> None:
    """The folder, and files in it, as an earlier version left them."""
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    for path in (folder, *folder.rglob("*")):
        path.chmod(0o755 if path.is_dir() else 0o644)


def test_what_a_hub_writes_is_its_users_alone(tmp_path: Path) -> None:
    data = tmp_path / "deep" / "data"
    init = run(*INIT, "--data", str(data))
    assert init.returncode == 0, init.stderr
    with serving(data, json.loads(init.stdout)["api_key"]) as hub:
        work(hub)
        assert open_ones(data) == []
        assert hub.complaints.read_text() == ""
        assert {"hub.db-wal", "blobs", "hub.lock"} <= {path.name for path in data.iterdir()}


def test_a_start_closes_an_open_data_folder_and_says_so_once(tmp_path: Path, data: Path, key: str) -> None:
    own(data, data / "blobs")
    left_open(data, "hub.lock", "blobs/screenshots/1/one.png", "uploads/two", "exports/three.csv")
    (tmp_path / "link").symlink_to(data)
    with serving(tmp_path / "link", key) as hub:
        work(hub)
        assert open_ones(data) == []
        (line,) = hub.complaints.read_text().splitlines()
        assert f"the data folder {tmp_path}/link was open to other users; 12 of its files and folders are" in line


def test_files_of_another_hub_are_refused_and_left_as_they_are(tmp_path: Path, data: Path) -> None:
    """A new database beside old files, and files that another hub has."""
    old = data / "blobs/content/1/one"
    old.parent.mkdir(parents=True)
    old.write_bytes(b"one")
    os.utime(old, (0, 0))
    done = run("serve", "--data", str(data), "--port", "0")
    assert (done.returncode, "Traceback" in done.stderr) == (1, False), done.stderr
    assert f"There are files in {data}/blobs, and the database names none of them" in done.stderr
    (data / "blobs/database-id").write_text("of another\n")
    done = run("serve", "--data", str(data), "--port", "0")
    assert (done.returncode, "Traceback" in done.stderr) == (1, False), done.stderr
    assert f"The files in {data}/blobs belong to another database" in done.stderr
    assert old.read_bytes() == b"one"


def test_files_that_the_database_names_are_taken_and_missed(data: Path, key: str) -> None:
    with serving(data, key) as hub:
        made = hub.client.post("/api/v1/assets", files={"file": ("a.png", picture(), "image/png")})
        assert made.status_code == 201, made.text
    (data / "blobs").rename(data / "away")
    done = run("serve", "--data", str(data), "--port", "0")
    assert (done.returncode, "Traceback" in done.stderr) == (1, False), done.stderr
    assert f"There is no folder of the files {data}/blobs, and" in done.stderr
    (data / "away").rename(data / "blobs")
    (data / "blobs/database-id").unlink()
    with serving(data, key) as hub:
        assert hub.client.get("/readyz").status_code == 200
        assert (data / "blobs/database-id").exists()


def test_a_start_closes_what_is_open_elsewhere_but_no_folder_of_others(tmp_path: Path, data: Path, key: str) -> None:
    files, database = tmp_path / "files", tmp_path / "database"
    own(data, files)
    left_open(files, "screenshots/1/one.png")
    left_open(database, "of somebody else")
    (data / "hub.db").rename(database / "signs.db").chmod(0o644)
    places = {"HUB_DATABASE__URL": f"sqlite:///{database}/signs.db", "HUB_BLOBS__URL": files.as_uri()}
    with serving(data, key, **places) as hub:
        work(hub)
        assert open_ones(data, files) == []
        theirs = [f"drwxr-xr-x {database}", f"-rw-r--r-- {database}/of somebody else"]
        assert sorted(open_ones(database)) == sorted(theirs)
        assert (database / "signs.db-wal").exists()
        assert hub.complaints.read_text().count("was open to other users") == 2


def test_a_command_beside_the_hub_closes_an_open_folder_too(data: Path) -> None:
    left_open(data)
    done = run("password", "owner@example.com", "--data", str(data))
    assert "was open to other users" in done.stderr
    assert open_ones(data) == []


def test_a_folder_that_all_share_is_left_as_it_is(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    left_open(tmp_path / "shared", "hub.db", "of somebody else")
    (tmp_path / "shared").chmod(0o1777)
    open_data_folder(tmp_path / "shared")
    assert "is a folder that many users share" in caplog.text
    theirs = [f"drwxrwxrwt {tmp_path}/shared", f"-rw-r--r-- {tmp_path}/shared/of somebody else"]
    assert sorted(open_ones(tmp_path / "shared")) == sorted(theirs)


def test_what_a_link_in_a_folder_leads_to_is_not_touched(tmp_path: Path) -> None:
    left_open(tmp_path / "theirs", "report.pdf")
    left_open(tmp_path / "data", "blobs/one.png")
    (tmp_path / "data/blobs/link").symlink_to(tmp_path / "theirs")
    (tmp_path / "data/blobs/nowhere").symlink_to(tmp_path / "nowhere")
    open_data_folder(tmp_path / "data")
    assert len(open_ones(tmp_path / "theirs")) == 2
    assert not (tmp_path / "data/blobs/one.png").stat().st_mode & 0o077


def test_a_file_in_the_place_of_a_folder_is_told_in_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "incoming").touch()
    with pytest.raises(CannotStart, match=r"^The folder of incoming files \S+ is not a folder\.$"):
        Spool(tmp_path / "incoming", max_bytes=1)


@pytest.mark.parametrize("name", ["hub.lock", "hub.db.lock"])
def test_a_pipe_in_the_place_of_a_lock_is_told_in_one_sentence(data: Path, name: str) -> None:
    os.mkfifo(data / name, 0o600)
    done = run("serve", "--data", str(data), "--port", "0")
    assert (done.returncode, "Traceback" in done.stderr) == (1, False), done.stderr
    assert re.search(r"The locks? .* cannot be (opened|taken): No such device", done.stderr)


@contextmanager
def somebody_else() -> Iterator[None]:
    """For root there are no permissions; then it is another user in the meantime."""
    if os.geteuid() != 0:
        yield
        return
    os.seteuid(65_534)
    try:
        yield
    finally:
        os.seteuid(0)


@pytest.fixture
def reachable() -> Iterator[Path]:
    """A folder that every user can get to."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        yield Path(folder)


@pytest.mark.parametrize(("mode", "name"), [(0o500, ""), (0o555, ""), (0o555, "new"), (0o000, "")])
def test_a_folder_without_permission_is_told_in_one_sentence(reachable: Path, mode: int, name: str) -> None:
    folder = reachable / "data"
    folder.mkdir()
    folder.chmod(mode)
    with somebody_else(), pytest.raises(CannotStart, match=r"^The data folder \S+ cannot be .*\.$"):
        open_data_folder(folder / name)
    folder.chmod(0o700)


def test_an_open_folder_of_another_user_is_told(reachable: Path, caplog: pytest.LogCaptureFixture) -> None:
    if os.geteuid() != 0:
        pytest.skip("only root makes folders of others")
    folder = reachable / "data"
    folder.mkdir()
    folder.chmod(0o777)
    with somebody_else():
        open_data_folder(folder)
    assert caplog.messages == [f"the data folder {folder} is open to other users; only the user root can close it"]


def test_a_folder_that_holds_others_is_not_closed_to_them(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """It may be /etc, named by mistake. What is the hub's in it is closed."""
    folder = tmp_path / "etc"
    for name in ("systemd", "uploads"):
        (folder / name).mkdir(parents=True)
        (folder / name).chmod(0o755)
    folder.chmod(0o755)
    open_data_folder(folder)
    modes = [path.stat().st_mode & 0o777 for path in (folder, folder / "systemd", folder / "uploads")]
    assert modes == [0o755, 0o755, 0o700]
    assert (
        f"the data folder {folder} stays open to other users: it holds other folders than the hub's" in caplog.messages
    )


def empty(data: Path) -> None:
    (data / "hub.db").write_bytes(b"")


def garbage(data: Path) -> None:
    (data / "hub.db").write_bytes(b"<html>404</html>" * 1_000)


def newer(data: Path) -> None:
    with sqlite3.connect(data / "hub.db") as connection:
        connection.execute("UPDATE alembic_version SET version_num = '9999'")
    connection.close()


def no_folder(data: Path) -> None:
    shutil.rmtree(data)
    data.write_text("a file")


def gone(data: Path) -> None:
    """From where a hub has run."""
    (data / "hub.db").unlink()
    (data / "blobs").mkdir(mode=0o700)


def contents(data: Path) -> dict[str, bytes]:
    paths = [data, *data.rglob("*")]
    return {path.name: path.read_bytes() for path in paths if path.is_file() and path.suffix != ".lock"}


SERVE = ("serve", "--port", "0")
PASSWORD = ("password", "ada@example.com")


@pytest.mark.parametrize(
    ("command", "spoil", "sentence"),
    [
        (SERVE, empty, "is empty, 0 bytes"),
        (SERVE, newer, "a newer version of the hub"),
        (SERVE, no_folder, "is not a folder"),
        (SERVE, gone, "put it back, or make one with"),
        (INIT, garbage, "is not a file of SQLite"),
        (PASSWORD, gone, "put it back, or make one with"),
    ],
)
def test_a_start_that_cannot_be_is_told_in_one_sentence(
    data: Path, command: tuple[str, ...], spoil: Callable[[Path], None], sentence: str
) -> None:
    spoil(data)
    before = contents(data)
    done = run(*command, "--data", str(data))
    assert done.returncode == 1
    assert done.stdout == ""
    assert len(done.stderr.splitlines()) == 1, done.stderr
    assert sentence in done.stderr
    assert contents(data) == before


def test_a_database_that_is_moved_away_stops_storing_until_it_is_back(tmp_path: Path, data: Path, key: str) -> None:
    with serving(data, key) as hub:

        def add(name: str) -> int:
            return hub.client.post("/api/v1/players", json={"name": name}).status_code

        player = hub.client.post("/api/v1/players", json={"name": "Lobby"}).json()["data"]["id"]
        body = {"player_id": player, "command": "reboot"}
        assert hub.client.post("/api/v1/commands", json=body).status_code == 202
        (data / "hub.db").rename(tmp_path / "hub.db")
        refused = hub.client.post("/api/v1/commands", json=body)
        assert refused.status_code == 503
        assert refused.headers["retry-after"]
        assert add("Lost") == 503
        unready = hub.client.get("/readyz")
        assert unready.status_code == 503
        assert list(unready.json()["errors"]) == ["database"]
        assert not (data / "hub.db").exists()
        (tmp_path / "hub.db").rename(data / "hub.db")
        assert add("Found") == 201
        assert hub.client.get("/readyz").status_code == 200
        hub.kill()
    with sqlite3.connect(data / "hub.db") as connection:
        names = connection.execute("SELECT name FROM player ORDER BY id").fetchall()
    connection.close()
    assert names == [("Lobby",), ("Found",)]


def test_the_units_of_systemd_keep_the_folders_private() -> None:
    for unit in (Path(__file__).parent.parent / "config").glob("*.service"):
        lines = unit.read_text().splitlines()
        assert {"StateDirectoryMode=0700", "UMask=0077"} <= set(lines), unit
