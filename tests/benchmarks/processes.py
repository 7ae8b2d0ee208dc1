"""The processes of a measurement: servers on one core, load generators on the other; and what they cost."""

import os
import resource
import select
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import orjson

ROOT = Path(__file__).parent.parent.parent
START_LIMIT_S = 60.0
STOP_LIMIT_S = 30.0
ANSWER_LIMIT_S = 300.0  # for one order, whatever it is


class Failed(Exception):
    """A process did not do what the measurement needs; the text says what was seen."""


def cores() -> tuple[int | None, int | None]:
    """(for servers, for load generators); None where this machine has one core, or none can be chosen."""
    if not hasattr(os, "sched_setaffinity"):
        return None, None
    usable = sorted(os.sched_getaffinity(0))
    return (usable[0], usable[1]) if len(usable) > 1 else (None, None)


def raise_file_limit() -> int:
    """Let this process and its children open as many sockets as the system allows; answers how many."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return hard


class Process:
    """A child that reads lines and writes lines."""

    def __init__(self, arguments: Sequence[str], folder: Path, name: str, core: int | None, **environment: str) -> None:
        self.name = name
        self._log = (folder / f"{name}.log").open("ab+")
        self._child = subprocess.Popen(
            [sys.executable, "-m", *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._log,
            cwd=folder,
            env=os.environ | {"PYTHONPATH": str(ROOT)} | environment,
        )
        self.pid = self._child.pid
        if core is not None:
            os.sched_setaffinity(self.pid, {core})
        self._rest = b""

    def line(self, limit_s: float) -> bytes:
        """The next line that it writes. Raises Failed when there is none in time."""
        assert self._child.stdout is not None
        until = time.monotonic() + limit_s
        while b"\n" not in self._rest:
            ready, _, _ = select.select([self._child.stdout], [], [], max(0.0, until - time.monotonic()))
            data = os.read(self._child.stdout.fileno(), 65_536) if ready else b""
            if not data:
                raise Failed(f"{self.name} {'ended' if ready else 'is silent'}: {self._last_words()}")
            self._rest += data
        line, _, self._rest = self._rest.partition(b"\n")
        return line

    def write(self, line: bytes) -> None:
        assert self._child.stdin is not None
        self._child.stdin.write(line + b"\n")
        self._child.stdin.flush()

    def stop(self) -> None:
        if self._child.poll() is None:
            self._child.terminate()
            try:
                self._child.wait(STOP_LIMIT_S)
            except subprocess.TimeoutExpired:
                self._child.kill()
                self._child.wait()
        for file in (self._child.stdin, self._child.stdout, self._log):
            if file is not None:
                file.close()

    def cpu_s(self) -> float:
        """Processor seconds of all its threads so far, to the nanosecond where the kernel tells."""
        try:
            times = [path.read_text() for path in Path(f"/proc/{self.pid}/task").glob("*/schedstat")]
            return sum(int(text.split()[0]) for text in times) / 1e9
        except (OSError, ValueError, IndexError):
            fields = Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()
            return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def memory_kb(self) -> int:
        """Resident memory of its own, shared pages not counted."""
        for line in Path(f"/proc/{self.pid}/smaps_rollup").read_text().splitlines():
            if line.startswith("Private_Dirty:"):
                return int(line.split()[1])
        raise Failed("the kernel does not tell the memory of a process")

    def _last_words(self) -> str:
        self._log.seek(0, os.SEEK_END)
        self._log.seek(max(0, self._log.tell() - 2_000))
        return self._log.read().decode(errors="replace").strip() or "without a word"


class Load:
    """A load generator: orders go in, answers come back."""

    def __init__(self, process: Process, port: int) -> None:
        self.port = port
        self._process = process
        self.cpu_s = 0.0
        self.wall_s = 0.0

    def begin(self, op: str, **details: Any) -> None:
        self._process.write(orjson.dumps({"op": op} | details))

    def end(self) -> dict[str, Any]:
        """The next answer. Raises Failed when the order could not be carried out."""
        answer: dict[str, Any] = orjson.loads(self._process.line(ANSWER_LIMIT_S))
        if "error" in answer or answer.get("failures"):
            raise Failed(f"{self._process.name}, {answer['op']}: {answer.get('error', 'failures')} {answer['seen']}")
        self.cpu_s += answer["cpu_s"]
        self.wall_s += answer["wall_s"]
        return answer

    def call(self, op: str, **details: Any) -> dict[str, Any]:
        self.begin(op, **details)
        return self.end()

    def tell_to_stop(self) -> None:
        """Whatever goes on until it is told to end."""
        self.begin("stop")

    @property
    def busy(self) -> float:
        """The share of its time in which it worked: near 1 it would be the bottleneck itself."""
        return self.cpu_s / self.wall_s if self.wall_s else 0.0
