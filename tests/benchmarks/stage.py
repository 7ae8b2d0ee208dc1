"""Where a measurement happens: its folder, its servers, its load generators. Everything ends with it."""

import shutil
import tempfile
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Literal, Self

import orjson

from tests.benchmarks import seed
from tests.benchmarks.processes import START_LIMIT_S, Load, Process, cores

Storage = Literal["none", "orm", "hub-without"]


@dataclass(frozen=True, slots=True)
class Sizes:
    """How much of everything. The whole takes minutes; quick is for a look."""

    crowd: int = 10_000  # players who arrive, idle and return
    watched: int = 2_000  # players connected while some of them die
    deaths: int = 400
    idle: int = 1_000  # sockets held while commands go back and forth
    rounds: int = 300  # commands of one client, one after the other, a repeat
    fan_out: int = 5_000
    clients: int = 64
    insert_s: float = 4.0
    hold_s: float = 20.0
    uploads: int = 20
    copied_bytes: int = 2_000_000_000
    repeats: int = 5


QUICK = Sizes(
    crowd=1_000, watched=500, deaths=60, idle=200, rounds=100, fan_out=1_000, insert_s=1.0, hold_s=6.0, repeats=2
)


@dataclass(frozen=True, slots=True, eq=False)
class Server:
    """A server under test and the load generator that speaks to it."""

    process: Process
    load: Load
    fleet: seed.Fleet
    database: Path | None
    """The hub's file, where acknowledgements can be seen to be stored."""


class Stage:
    """`aged` is what has happened before in the databases of hubs that are asked for with a past."""

    def __init__(self, sizes: Sizes, tell: Callable[[str], None], aged: seed.Age | None = None) -> None:
        self.sizes = sizes
        self.tell = tell
        self.aged = aged or seed.Age()
        self._folder = Path()
        self._ends = ExitStack()
        self._number = 0
        self._seeds: dict[int, tuple[Path, seed.Fleet]] = {}
        self._server_core, self._load_core = cores()

    def __enter__(self) -> Self:
        self._folder = Path(tempfile.mkdtemp(prefix="signalbox-benchmark-"))
        self._ends.callback(shutil.rmtree, self._folder, ignore_errors=True)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._ends.close()

    def hub(self, players: int, *, aged: bool = False, **environment: str) -> Server:
        """A hub as `hub serve` starts it, with these settings. Its pace of admissions is lifted: what counts is what it
        could admit."""
        data = self._new("hub")
        database = data / "hub.db"
        fleet = seed.make(database, players, self.aged) if aged else self._seed(players, database)
        process = self._process(
            ["hub", "serve", "--data", str(data), "--port", "0"],
            data,
            HUB_PLAYERS__ADMISSIONS_PER_S="100000",
            HUB_COMMANDS__RETENTION_DAYS="400",  # an aged past stays while we look
            **environment,
        )
        address = process.line(START_LIMIT_S).decode().rstrip("/")
        return self._server(process, int(address.rpartition(":")[2]), fleet, database)

    def baseline(self, players: int, storage: Storage = "none") -> Server:
        """uvicorn and Starlette with as little as the same exchange needs; `storage`: what it keeps."""
        data = self._new(storage)
        database = data / "baseline.db"
        fleet = self._seed(players, database)
        if storage != "hub-without":  # its players are their numbers
            fleet = seed.Fleet(fleet.key, [(number, str(number)) for number, _ in fleet.players], fleet.group_id)
        process = self._process(["tests.benchmarks.baseline", storage, str(database)], data)
        return self._server(process, int(process.line(START_LIMIT_S)), fleet, None)

    def load(self, port: int, fleet: seed.Fleet) -> Load:
        folder = self._new("load")
        about = {"port": port, "key": fleet.key, "players": fleet.players}
        (folder / "fleet.json").write_bytes(orjson.dumps(about))
        process = Process(["tests.benchmarks.loadgen", str(folder)], folder, "load generator", self._load_core)
        self._ends.callback(process.stop)
        return Load(process, port)

    def _server(self, process: Process, port: int, fleet: seed.Fleet, database: Path | None) -> Server:
        return Server(process, self.load(port, fleet), fleet, database)

    def _process(self, arguments: list[str], folder: Path, **environment: str) -> Process:
        process = Process(arguments, folder, arguments[0], self._server_core, **environment)
        self._ends.callback(process.stop)
        return process

    def _seed(self, players: int, database: Path) -> seed.Fleet:
        """A young database, made once and copied."""
        if players not in self._seeds:
            original = self._new("seed") / "hub.db"
            self._seeds[players] = original, seed.make(original, players)
        original, fleet = self._seeds[players]
        shutil.copyfile(original, database)
        seed.settle(database)
        return fleet

    def _new(self, name: str) -> Path:
        self._number += 1
        folder = self._folder / f"{self._number}-{name}"
        folder.mkdir()
        return folder
