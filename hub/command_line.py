"""The `hub` command. Settings come from arguments, `HUB_*` variables and config/hub.toml; the commands that talk to a
running hub take its address and a key from `--url` and `--key`, or HUB_URL and HUB_KEY."""

import asyncio
import fcntl
import gc
import logging
import os
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NoReturn
from urllib.parse import urlsplit
from urllib.request import url2pathname

import orjson
import typer

from hub import client
from hub.config import ConfigError, Settings, checked_path, load
from hub.domain.addresses import authority
from hub.domain.errors import CannotStart, HubError, Invalid
from hub.domain.playback import checked_zone_name
from hub.domain.text import for_terminal
from hub.interrupt import INTERRUPTED, quiet_interrupt
from hub.output import OutputLost, take_output
from hub.store.private import UMASK, open_data_folder, open_lock

if TYPE_CHECKING:
    from hub.store.backup import Places
    from hub.store.database import Database

app = typer.Typer(
    help="Real-time control hub for digital-signage players.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)

log = logging.getLogger("hub")

team_app = typer.Typer(help="Teams and their plans.", no_args_is_help=True)
app.add_typer(team_app, name="team")


def _text(text: str) -> str:
    try:
        text.encode()
    except UnicodeEncodeError:
        raise typer.BadParameter("it is not UTF-8.") from None
    return text


def _path(text: str) -> Path:
    try:
        return checked_path(text)
    except ValueError as error:
        raise typer.BadParameter(f"{error}.") from None


Url = Annotated[str, typer.Option(envvar="HUB_URL", help="Address of a running hub.", parser=_text, metavar="URL")]
Key = Annotated[str, typer.Option(envvar="HUB_KEY", help="API key.", show_default=False, parser=_text, metavar="KEY")]
ConfigFile = Annotated[
    Path | None,
    typer.Option("--config", help="Settings file instead of config/hub.toml.", parser=_path, metavar="FILE"),
]
Data = Annotated[Path | None, typer.Option(help="Data folder.", parser=_path, metavar="DIR")]
DEFAULT_URL = "http://127.0.0.1:8080"


@app.command()
def init(
    team: Annotated[str, typer.Option(help="Name of the team.", parser=_text, metavar="TEXT")],
    email: Annotated[str, typer.Option(help="E-mail address of its owner.", parser=_text, metavar="TEXT")],
    timezone: Annotated[
        str | None,
        typer.Option(
            help="Time zone of its schedules, such as Europe/Berlin; else the machine's.", parser=_text, metavar="TEXT"
        ),
    ] = None,
    data: Data = None,
    as_json: Annotated[bool, typer.Option("--json", help="One line of JSON with team_id and api_key.")] = False,
    config: ConfigFile = None,
) -> None:
    """Create the database, a team with its owner, and an admin key, which is shown this once.

    The owner's password comes from HUB_OWNER_PASSWORD or a prompt.
    """
    from hub.services.teams import create_team, prepare

    with _in_one_sentence():
        team, email = _team_and_owner(team, email)
        zone = checked_zone_name(timezone) if timezone is not None else _machine_zone()
    chosen = _new_password("HUB_OWNER_PASSWORD", "Password of the owner")
    settings = _settings(config, data=data)

    async def create() -> tuple[int, str]:
        async with _database(settings, make=True) as db:
            await prepare(db)
            return await create_team(db, name=team, email=email, password=chosen, timezone=zone)

    with _in_one_sentence():
        team_id, key = asyncio.run(create())
    lines = [
        f"Team {team_id}, {team}, is ready. Its first API key, shown this once:\n\n    {key}\n",
        "Lost the key? Its owner logs in (POST /api/auth/login) and makes another (POST /api/v1/api-keys).",
        f"Schedules follow the clock of {zone}; --timezone chooses another, later PATCH /api/v1/team does.",
        f"Start the hub with:  hub serve --data {settings.server.data}",
    ]
    answer = orjson.dumps({"team_id": team_id, "api_key": key}).decode() if as_json else "\n".join(lines)
    try:
        print(answer, flush=True)
    except OutputLost as error:
        _fail(
            f"{error} Team {team_id} is there all the same, and its first key is lost: its owner {email} logs in "
            f"(POST /api/auth/login) and makes another (POST /api/v1/api-keys)."
        )


def _team_and_owner(team: str, email: str) -> tuple[str, str]:
    """The name and the address as calls of the API take them. Raises Invalid."""
    from pydantic import BaseModel, ValidationError

    from hub.api.v1.bodies import Email, Name
    from hub.domain import wording

    class Given(BaseModel):
        team: Name
        email: Email

    try:
        given = Given(team=team, email=email)
    except ValidationError as error:
        raise wording.invalid(error) from None
    return given.team, given.email


@app.command()
def password(
    email: Annotated[str, typer.Argument(help="E-mail address of the account.", parser=_text, metavar="EMAIL")],
    data: Data = None,
    config: ConfigFile = None,
) -> None:
    """Give an account another password and end its logins: the way back for an owner who lost it.

    The password comes from HUB_PASSWORD or a prompt. The hub may run meanwhile.
    """
    from hub.services.accounts import check_account, set_password

    settings = _settings(config, data=data)

    async def check() -> None:
        async with _database(settings, make=False) as db:
            await check_account(db, email)

    async def change() -> None:
        async with _database(settings, make=False) as db:
            await set_password(db, email, new)

    with _in_one_sentence():
        asyncio.run(check())
        new = _new_password("HUB_PASSWORD", "New password")
        asyncio.run(change())
    print(for_terminal(f"{email} has another password; its logins have ended."))


FILES_MISSING = 3  # exit status of a backup of a hub that has lost files

Backup = Annotated[Path, typer.Argument(metavar="DIR", help="Folder of the backup.", parser=_path)]


@app.command()
def backup(
    folder: Backup,
    data: Data = None,
    config: ConfigFile = None,
) -> None:
    """Copy the database and the files into a new folder, and check the copy. The hub may run meanwhile."""
    from hub.store.backup import back_up

    places = _places(_settings(config, data=data))
    os.nice(10)  # the hub's work is more urgent
    with _in_one_sentence():
        made = back_up(places, folder)
    if made.missing:
        print(
            f"The backup {folder} is made, but {len(made.missing):,} files that the database names are not in "
            f"{places.files}, {made.missing[0]} among them.",
            file=sys.stderr,
        )
        raise typer.Exit(FILES_MISSING)
    print(f"The backup {folder} is whole: the database and {made.files:,} files, {made.size:,} bytes together.")
    if places.files is None:
        print("The files are in a bucket and were not copied; let the bucket keep versions.")


@app.command()
def restore(
    folder: Backup,
    data: Annotated[Path | None, typer.Option(help="Data folder, new or empty.")] = None,
    config: ConfigFile = None,
) -> None:
    """Bring a backup into a new data folder, for a hub that has not been started there yet."""
    from hub.store import backup as backups

    settings = _settings(config, data=data)
    places = _places(settings)
    with _in_one_sentence():
        backups.restore(places, folder)
    print(f"The backup {folder} is restored. Start the hub with:  hub serve --data {settings.server.data}")
    if places.files is None:
        print("The files are in a bucket, which was left as it is.")


def _places(settings: Settings) -> "Places":
    from hub.store.backup import Places

    url = urlsplit(settings.blobs_url)
    files = Path(url2pathname(url.path)) if url.scheme == "file" else None
    return Places(settings.server.data, settings.database_url, files)


@team_app.command("list")
def team_list(data: Data = None, config: ConfigFile = None) -> None:
    """All teams of this hub: number, plan and name."""
    from hub.services.teams import all_teams

    settings = _settings(config, data=data)

    async def read() -> list[tuple[int, str, str]]:
        async with _database(settings, make=False) as db:
            return await all_teams(db)

    with _in_one_sentence():
        for number, plan, name in asyncio.run(read()):
            print(for_terminal(f"{number:>6}  {plan:<9}  {name}"))


@team_app.command("plan")
def team_plan(
    team: Annotated[int, typer.Argument(min=1, max=2**63 - 1, help="Number of the team, as `hub team list` shows it.")],
    plan: Annotated[str, typer.Argument(help="free, pro, business or unlimited.", parser=_text, metavar="PLAN")],
    data: Data = None,
    config: ConfigFile = None,
) -> None:
    """Give a team another plan; its limits follow at once. The hub may run meanwhile."""
    from hub.services.teams import read_plan, set_plan

    settings = _settings(config, data=data)

    async def change() -> str:
        chosen = read_plan(plan)
        async with _database(settings, make=False) as db:
            return await set_plan(db, team, chosen)

    with _in_one_sentence():
        name = asyncio.run(change())
    print(for_terminal(f"Team {team}, {name}, is on the plan {plan} now."))


@app.command()
def serve(
    host: Annotated[str | None, typer.Option(help="Address to listen on.", parser=_text, metavar="HOST")] = None,
    port: Annotated[int | None, typer.Option(help="TCP port; 0 lets the system choose.")] = None,
    data: Data = None,
    tls_cert: Annotated[
        Path | None,
        typer.Option(help="PEM certificate chain; with --tls-key, serves HTTPS.", parser=_path, metavar="FILE"),
    ] = None,
    tls_key: Annotated[
        Path | None, typer.Option(help="PEM private key of --tls-cert.", parser=_path, metavar="FILE")
    ] = None,
    config: ConfigFile = None,
) -> None:
    """Run the hub until it is told to stop (Ctrl-C or SIGTERM); players are sent away before it ends."""
    settings = _settings(config, data=data, host=host, port=port, tls_cert=tls_cert, tls_key=tls_key)
    _log(settings)

    def ready(port: int) -> None:
        line = f"Signalbox listens on {_address(settings, port)}"
        try:
            print(line, flush=True)
        except OutputLost as error:  # nobody is to be told; players are there all the same
            log.warning("%s %s", error, line)

    run(settings, ready)


def run(settings: Settings, ready: Callable[[int], None], probe: Callable[[str], None] | None = None) -> None:
    """Serve with these settings; `ready` hears the port. Returns after a clean stop, exits 1 when it cannot start."""
    gc.disable()  # until the start is over: what it makes stays, and looking through it takes a sixth of the time
    with quiet_interrupt():
        from hub.app import create_app
        from hub.server import HubServer, configure

    server = settings.server
    app = create_app(settings, probe=probe)

    def started(port: int) -> None:
        # What start-up made stays for good, and the rest is young: a full collection at 10,000 connections would stop
        # the hub for half a second.
        gc.collect()
        gc.freeze()
        gc.enable()
        gc.set_threshold(100_000, 50, 100)
        ready(port)

    with _in_one_sentence(), _alone(server.data):
        config = configure(
            app,
            host=server.host,
            port=server.port,
            loop=server.loop,
            tls_cert=server.tls_cert,
            tls_key=server.tls_key,
        )
        beside = [
            configure(app.state.metrics, host=host, port=port, sockets=False)
            for host, port in settings.metrics.addresses
        ]
        hub = HubServer(config, started, beside=beside)
        hub.run()
    if hub.superseded is not None:
        _fail(hub.superseded)
    if not hub.started:
        sys.exit(1)


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """A second hub on the folder would take the players of the first for the victims of a crash. The lock is the
    system's own: it ends with the process, however that ends."""
    open_data_folder(folder)
    try:
        file = open_lock(folder / "hub.lock")
    except OSError as error:
        raise CannotStart(f"The lock {folder / 'hub.lock'} cannot be opened: {error.strerror}.") from None
    with file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            _fail(f"Another hub runs on the data folder {folder} already.")
        yield


@app.command()
def players(
    as_json: Annotated[bool, typer.Option("--json", help="All that is known, as one line of JSON.")] = False,
    url: Url = DEFAULT_URL,
    key: Key = "",
) -> None:
    """List the players of the team."""
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    with _in_one_sentence():
        found = client.call("GET", url, key, "/api/v1/players")["data"]
    if as_json:
        print(for_terminal(orjson.dumps(found).decode()))
        return
    table = Table(box=None, pad_edge=False)  # id, status and time have 36 columns of 80: the rest is for what was typed
    for title in ("id", "name", "status", "since (UTC)", "model"):
        table.add_column(title, no_wrap=title not in ("name", "model"), overflow="fold")
    for one in found:
        table.add_row(
            str(one["id"]),
            Text(for_terminal(one["name"])),
            one["status"],
            one["status_since"][:16].replace("T", " "),
            Text(for_terminal(one["model"] or "")),
        )
    Console().print(table)


@app.command()
def command(
    player: Annotated[int, typer.Argument(help="Id of the player, see `hub players`.")],
    name: Annotated[
        str, typer.Argument(metavar="COMMAND", help="Such as reboot, take_screenshot, set_volume.", parser=_text)
    ],
    payload: Annotated[str, typer.Option(help="JSON, as in '{\"volume\": 40}'.", parser=_text, metavar="JSON")] = "{}",
    wait: Annotated[bool, typer.Option("--wait", help="Stay until the outcome is known.")] = False,
    url: Url = DEFAULT_URL,
    key: Key = "",
) -> None:
    """Send a command to a player. With --wait, exits 0 only if the player did it."""
    try:
        arguments = orjson.loads(payload)
    except orjson.JSONDecodeError as error:
        _fail(f"--payload is not JSON: {error}")
    body = {"player_id": player, "command": name, "payload": arguments}
    with _in_one_sentence():
        try:
            answer = client.call("POST", url, key, "/api/v1/commands", body)
        except client.Refused as refusal:
            if refusal.code == "not_found":
                _fail(f"The team has no player {player}; `hub players` lists those that it has.")
            raise
        command_id = answer["command_id"]
        try:
            print(f"{command_id} {answer['status']}", flush=True)
            if not wait:
                return
            while True:
                story = client.call("GET", url, key, f"/api/v1/commands/{command_id}", prefer="wait=25")["data"]
                if story["finished_at"] is not None:
                    break
        except KeyboardInterrupt:
            print(f"The command goes on; GET /api/v1/commands/{command_id} tells its outcome.", file=sys.stderr)
            raise typer.Exit(INTERRUPTED) from None
    print(for_terminal(_outcome(story)))
    if story["status"] != "succeeded":
        sys.exit(1)


UNTOLD = {
    "cancelled": "It was taken back.",
    "expired": "The player did not come for it in time.",
    "timed_out": "The player did not tell its outcome in time.",
}  # outcomes that the hub came to by itself


def _outcome(story: dict[str, Any]) -> str:
    """Id, status, the error in words, and the detail as JSON; of the last two what there is."""
    error = story["error"]
    words = UNTOLD.get(story["status"]) if error is None else error["message"] or error["code"]
    detail = None if story["detail"] is None else orjson.dumps(story["detail"]).decode()
    return " ".join(str(part) for part in (story["id"], story["status"], words, detail) if part is not None)


@app.command()
def watch(url: Url = DEFAULT_URL, key: Key = "") -> None:
    """Print what happens, line by line, until Ctrl-C. After a break it goes on where it was."""
    try:
        with _in_one_sentence():
            asyncio.run(client.watch(url, key))
    except KeyboardInterrupt:
        pass


@app.command()
def demo(
    once: Annotated[bool, typer.Option("--once", help="End after the tour; exit 0 only if every step worked.")] = False,
    port: Annotated[int, typer.Option(help="TCP port; 0 lets the system choose.")] = 0,
) -> None:
    """A hub and three real players on this machine, a tour of what they do, then yours to try."""
    with quiet_interrupt():
        from hub.demo import tour

    logging.basicConfig(level=logging.ERROR)
    with _in_one_sentence():
        status = asyncio.run(tour(once=once, port=port))
    sys.exit(status)


@app.command()
def conformance(
    url: Annotated[str, typer.Option(help="Address of a hub to test; else a player is waited for and tested.")] = "",
    key: Annotated[str, typer.Option(envvar="HUB_KEY", help="With --url: an API key.", show_default=False)] = "",
    token: Annotated[str, typer.Option(help="The player's token; default: a new one.", show_default=False)] = "",
    host: Annotated[str, typer.Option(help="Address to listen on for a player.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65_535, help="TCP port; 0 lets the system choose.")] = 0,
    only: Annotated[list[str] | None, typer.Option(metavar="NAME", help="One transcript; may be repeated.")] = None,
    every: Annotated[bool, typer.Option("--all", help="Also what takes minutes or restarts the device.")] = False,
    wait: Annotated[float, typer.Option(min=1, help="Seconds to wait for the player.")] = 300.0,
    list_them: Annotated[bool, typer.Option("--list", help="Name the transcripts and end.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="The findings as one line of JSON.")] = False,
) -> None:
    """Test a player of any make, or with --url a hub, against the player protocol. Exits 0 only if all passes."""
    from hub.conformance import program

    options = program.Options(
        host=host, port=port, url=url, key=key, token=token, only=tuple(only or ()), every=every, as_json=as_json,
        patience_s=wait,
    )  # fmt: skip
    with _in_one_sentence():
        if list_them:
            program.show(options)
            return
        status = asyncio.run(program.run(options))
    sys.exit(status)


def main() -> None:
    os.umask(UMASK)
    take_output()
    try:
        try:
            app()
        finally:
            sys.stdout.flush()
    except OutputLost as error:
        if not error.is_unread:  # `hub players | head`: whoever reads has read enough
            _fail(str(error))
        sys.exit(1)


@asynccontextmanager
async def _database(settings: Settings, *, make: bool) -> "AsyncIterator[Database]":
    """The hub's database, for a command beside the hub. One that is not there is made, or refused."""
    from hub.store.database import Database

    if not settings.database.url:
        open_data_folder(settings.server.data)
    db = Database(settings.database_url, wait_s=settings.database.wait_s)
    await db.start(make=make)
    try:
        yield db
    finally:
        await db.stop()


def _machine_zone() -> str:
    """The time zone of this machine by its IANA name; UTC where it has none."""
    link = os.path.realpath("/etc/localtime").rpartition("/zoneinfo/")[2]
    for name in (os.environ.get("TZ", "").removeprefix(":"), link):
        try:
            return checked_zone_name(name)
        except Invalid:
            pass
    return "UTC"


def _new_password(variable: str, prompt: str) -> str:
    """From the environment, or asked for twice."""
    from hub.services.passwords import PASSWORD_LENGTH

    shortest, longest = PASSWORD_LENGTH
    text = os.environ.get(variable, "")
    if not text:
        if not _has_terminal():
            _fail(f"There is no terminal on which to ask for the password; set {variable}.")
        text = typer.prompt(prompt, hide_input=True, confirmation_prompt=True)
    if not shortest <= len(text) <= longest:
        _fail(f"The password needs {shortest} to {longest} characters.")
    try:
        text.encode()
    except UnicodeEncodeError:  # no client could send it
        _fail(f"The password in {variable} is not UTF-8.")
    return text


def _has_terminal() -> bool:
    """Whether a password can be typed unseen: on the terminal that the process belongs to, or on standard input."""
    try:
        os.close(os.open("/dev/tty", os.O_RDWR | os.O_NOCTTY))
    except OSError:
        return sys.stdin is not None and sys.stdin.isatty()
    return True


def _settings(config: Path | None, **server: Any) -> Settings:
    try:
        return load(config, server={name: value for name, value in server.items() if value is not None})
    except ConfigError as error:
        _fail(str(error))


class _JsonLines(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        line = {
            "time": self.formatTime(record),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        if record.exc_info:
            line["traceback"] = self.formatException(record.exc_info)
        whole = {name: text.encode(errors="replace").decode() for name, text in line.items()}  # no lone surrogates
        return for_terminal(orjson.dumps(whole).decode())


class _Lines(logging.Formatter):
    """One line a record, whatever others wrote into it; a traceback has its own."""

    def formatMessage(self, record: logging.LogRecord) -> str:
        return for_terminal(super().formatMessage(record))

    def formatException(self, ei: Any) -> str:
        return for_terminal(super().formatException(ei), keep="\n\t")


def _log(settings: Settings) -> None:
    handler = logging.StreamHandler()
    text = _Lines("%(asctime)s %(levelname)-7s %(name)s: %(message)s")
    handler.setFormatter(_JsonLines() if settings.log.format == "json" else text)
    logging.basicConfig(level=settings.log.level.upper(), handlers=[handler])
    for talkative in ("alembic", "httpx2"):
        logging.getLogger(talkative).setLevel(logging.WARNING)


def _address(settings: Settings, port: int) -> str:
    scheme = "https" if settings.server.tls_cert else "http"
    return settings.server.public_url or f"{scheme}://{authority(settings.server.host, port)}"


@contextmanager
def _in_one_sentence() -> Iterator[None]:
    """What stops a hub from starting, or a command from being done, is told in one sentence; the exit status is 1."""
    try:
        yield
    except Invalid as error:
        wrong = [f"{field}: {text}" for field, texts in (error.errors or {}).items() for text in texts]
        _fail("\n".join(wrong) or error.message)
    except (CannotStart, HubError, client.Refused) as error:
        _fail(error.message)
    except ConfigError as error:
        _fail(str(error))


def _fail(text: str) -> NoReturn:
    print(for_terminal(text, keep="\n"), file=sys.stderr)
    sys.exit(1)
