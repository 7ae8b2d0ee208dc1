"""A private PostgreSQL server for one test run: its own folder, its own port on loopback, gone at the end."""

import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
from pathlib import Path

from tests.ports import free_port


class PostgresServer:
    """`initdb` and `postgres` refuse to run as root, so then they run as the system's `postgres` user."""

    def __init__(self, postgres: str) -> None:
        self._bin = Path(postgres).resolve().parent
        self._folder = Path(tempfile.mkdtemp(prefix="signalbox-pg-"))
        self._as_user = os.geteuid() == 0
        self._databases = 0
        self._port = free_port()
        if self._as_user:
            account = pwd.getpwnam("postgres")
            os.chown(self._folder, account.pw_uid, account.pw_gid)
        data = self._folder / "data"
        self._run("initdb", "-D", str(data), "-U", "hub", "--auth=trust", "--no-sync", "-E", "UTF8", "--locale=C")
        rules = self._folder / "data" / "pg_hba.conf"
        rules.write_text("host all locked 127.0.0.1/32 scram-sha-256\n" + rules.read_text())  # one needs its password
        self.up()

    def up(self) -> None:
        """Start the server, again after `down` or `crash`."""
        self._process = subprocess.Popen(
            self._command("postgres", "-D", str(self._folder / "data"), "-p", str(self._port), "-k", str(self._folder),
                          "-c", "listen_addresses=127.0.0.1", "-c", "max_connections=200", "-c", "fsync=off"),
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True,
        )  # fmt: skip
        self._await_answer()

    def database(self, encoding: str = "UTF8") -> str:
        """The URL of a new, empty database."""
        self._databases += 1
        name = f"test_{self._databases}"
        server = ("-h", "127.0.0.1", "-p", str(self._port), "-U", "hub")
        self._run("createdb", *server, "-T", "template0", "-E", encoding, name)
        return f"postgresql://hub@127.0.0.1:{self._port}/{name}"

    def stop(self) -> None:
        """For good: nothing is worth a last checkpoint."""
        self._process.send_signal(signal.SIGQUIT)
        self._ended()
        shutil.rmtree(self._folder, ignore_errors=True)

    def down(self) -> None:
        """Stop the server; the databases stay."""
        self._process.send_signal(signal.SIGINT)  # "fast": does not wait for clients
        self._ended()

    def become_standby(self) -> None:
        """Of a server that is nowhere: it can be read."""
        self.down()
        signal_file = self._folder / "data" / "standby.signal"
        signal_file.touch()
        self.up()

    def promote(self) -> None:
        self._run("pg_ctl", "promote", "-D", str(self._folder / "data"))

    def crash(self, how: int = signal.SIGKILL) -> None:
        """End it without a word to anybody; SIGQUIT is what PostgreSQL calls an immediate stop."""
        self._process.send_signal(how)
        self._ended()

    def _ended(self) -> None:
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def _command(self, program: str, *arguments: str) -> list[str]:
        command = [str(self._bin / program), *arguments]
        return (
            ["setpriv", "--reuid=postgres", "--regid=postgres", "--init-groups", *command] if self._as_user else command
        )

    def _run(self, program: str, *arguments: str) -> None:
        subprocess.run(self._command(program, *arguments), check=True, capture_output=True, cwd=self._folder)

    def _await_answer(self) -> None:
        deadline = time.monotonic() + 20
        ready = self._command("pg_isready", "-h", "127.0.0.1", "-p", str(self._port), "-U", "hub")
        while subprocess.run(ready, capture_output=True, cwd=self._folder).returncode != 0:
            if self._process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError("the private PostgreSQL server did not start")
            time.sleep(0.05)  # pg_isready is the only signal there is
