"""device-agent: pair this machine with a hub, run as its player, or run a fleet of simulated players."""

import argparse
import asyncio
import fcntl
import logging
import os
import signal
import socket
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from device_agent.agent import Agent, Options
from device_agent.aside import put_aside
from device_agent.config import Config, ConfigError, load
from device_agent.connection import tokens
from device_agent.connection.websocket import socket_url
from device_agent.journal import RETRY_S, Journal, JournalError, Probe
from device_agent.players.base import PairingCard, Player
from device_agent.private import UMASK, close_to_others
from device_agent.reports.logs import LINE_FORMAT, RecentLines, for_terminal
from device_agent.system.base import Rebooted, System, SystemFault
from device_agent.version import VERSION

log = logging.getLogger("device_agent")

REBOOTED = 75
"""Exit status after a simulated reboot: whoever started the agent starts it again, as a boot does."""

FAILED = 1
MISUSED = 2

UNREACHED_S = 30.0
"""Between attempts to offer a code to a hub that does not answer, or that wants no more codes from here."""

EXPIRED_S = 1.0
"""Before the next code is shown; a hub whose codes have expired when they come is not asked without a pause."""

DENIED_S = 60.0
"""After an operator said no."""

FLAP_S = 5.0

KEY = "device"
"""This player's name in its own journal, where it is alone."""


class Unusable(Exception):
    """The agent cannot start; the text is for whoever started it."""


def main(argv: Sequence[str] | None = None, *, probe: Probe | None = None) -> None:
    """Exits. `probe` is for tests that kill this process at a named step, see `journal.Probe` and `link.Link`."""
    arguments = _parser().parse_args(argv)
    os.umask(UMASK)
    try:
        status = arguments.call(arguments, probe)
    except (ConfigError, Unusable, JournalError, SystemFault) as refusal:
        print(for_terminal(f"device-agent: {refusal}", keep="\n"), file=sys.stderr)
        status = MISUSED
    sys.exit(status)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="device-agent", description=__doc__)
    parser.add_argument("--version", action="version", version=f"device-agent {VERSION}")
    calls = parser.add_subparsers(required=True, metavar="COMMAND")

    shared = argparse.ArgumentParser(add_help=False)
    shared.add_argument("--config", type=Path, metavar="FILE", help="settings; see config/agent.toml")
    shared.add_argument("--hub", metavar="URL", help="address of the hub")
    shared.add_argument("--state", metavar="DIR", help="folder for token, journal and downloads")
    shared.add_argument("--log-level", choices=["debug", "info", "warning", "error"])

    pair = calls.add_parser("pair", parents=[shared], help="get a token from the hub, approved by an operator")
    pair.add_argument("--code", help="code of a player that waits for its device; then nobody has to approve")
    pair.set_defaults(call=_pair)

    run = calls.add_parser(
        "run", parents=[shared], help="run as this machine's player; pairs first if there is no token"
    )
    run.add_argument("--player", choices=["mpv", "simulated"])
    run.add_argument("--name", help="for the screen, until the hub tells its own")
    run.add_argument("--token-file", metavar="FILE", help="token issued by the hub; default: the one from pairing")
    run.add_argument(
        "--content", metavar="SOURCE", help="file, folder or address to play when nothing else is asked for"
    )
    run.add_argument("--reboot-command", metavar="COMMAND", help="program and arguments, separated as in a shell")
    run.add_argument(
        "--respawn", action="store_true", help=f"after a simulated reboot go on here; else exit {REBOOTED}"
    )
    run.set_defaults(call=_run)

    fleet = calls.add_parser(
        "fleet", parents=[shared], help="many simulated players in one process, for load and drills"
    )
    fleet.add_argument("--tokens", type=Path, required=True, metavar="FILE", help="a line per player: token [name]")
    fleet.add_argument("--count", type=int, metavar="N", help="only the first N of the file")
    fleet.add_argument("--seconds", type=float, metavar="S", help="end after this time; default: until stopped")
    fleet.add_argument(
        "--report", action="store_true", help="print one JSON object at the end instead of a line a second"
    )
    fleet.add_argument("--latency-ms", type=int, default=0, metavar="MS", help="delay of every frame sent")
    fleet.add_argument(
        "--drop-every-s", type=float, default=0.0, metavar="S", help="cut each connection about so often"
    )
    fleet.add_argument("--flap", action="store_true", help="the same every 5 s")
    fleet.add_argument(
        "--stall-every-s", type=float, default=0.0, metavar="S", help="stop reading for 5 s about so often"
    )
    fleet.add_argument("--blackhole-every-s", type=float, default=0.0, metavar="S", help="go half-open about so often")
    fleet.add_argument("--clock-skew-s", type=float, default=0.0, metavar="S", help="how wrong the devices' clocks are")
    fleet.set_defaults(call=_fleet)
    return parser


def _config(arguments: argparse.Namespace) -> Config:
    """The settings, with what was given on the command line on top."""
    given = vars(arguments)
    on_top: dict[str, Any] = {
        name: given[name] for name in ("hub", "state", "name", "token_file", "log_level") if given.get(name) is not None
    }
    if given.get("player"):
        on_top["player"] = {"kind": given["player"]}
    if given.get("content") is not None:
        on_top["content"] = {"source": given["content"]}
    if given.get("reboot_command"):
        import shlex

        on_top["system"] = {"reboot_command": shlex.split(given["reboot_command"])}
    config = load(arguments.config, on_top)
    try:
        socket_url(config.hub)
    except ValueError as refusal:
        raise ConfigError(f"hub: {refusal}.") from None
    return config


def _log_to(stream: Any, level: str) -> RecentLines:
    """Lines to `stream` and, for `collect_logs`, to memory."""
    recent, visible = RecentLines(), logging.StreamHandler(stream)
    visible.setFormatter(LINE_FORMAT)
    logging.basicConfig(level=level.upper(), handlers=[visible, recent], force=True)
    logging.getLogger("websockets").setLevel(logging.WARNING)  # on debug it would log the token's header
    return recent


# --- pair ---


def _pair(arguments: argparse.Namespace, probe: Probe | None) -> int:
    from device_agent.connection import pairing

    config = _config(arguments)
    state = _folder(config.state)
    system = _system(config, state)

    async def show(offer: pairing.Offer) -> None:
        where = f"Enter it at {offer.uri}, or open {offer.complete_uri}"
        code = for_terminal(f"Code: {offer.user_code}")
        print(code, for_terminal(where), f"This device: {_this_device(system)}", sep="\n", flush=True)
        if sys.stdout.isatty():
            print(pairing.for_terminal(offer.qr_code), end="", flush=True)

    async def work() -> str:
        offer = await pairing.begin(config.hub, {**_facts(system), "pairing_code": arguments.code})
        if arguments.code is None:
            await show(offer)
        token, _ = await pairing.wait_for_token(config.hub, offer)
        return token

    try:
        token = asyncio.run(work())
        tokens.store(state, token)
    except OSError as error:
        print(f"device-agent: paired, and the token cannot be kept in {state}: {error.strerror}", file=sys.stderr)
        return FAILED
    except pairing.PairingFailed as failure:
        print(for_terminal(f"device-agent: not paired: {failure.message} ({failure.code})"), file=sys.stderr)
        return FAILED
    print(f"Paired. The token is in {state / tokens.FILE}.")
    return 0


def _facts(system: System) -> dict[str, str | None]:
    return {
        "hardware_id": system.hardware_id(),
        "model": system.model(),
        "os_version": system.os_version(),
        "agent_version": VERSION,
        "name": socket.gethostname(),
    }


def _this_device(system: System) -> str:
    """What tells it from its neighbours, on its screen and on the page where it is approved."""
    from device_agent.connection import pairing

    return for_terminal(f"{socket.gethostname()}, {pairing.shown_id(system.hardware_id())}")


# --- run ---


def _run(arguments: argparse.Namespace, probe: Probe | None) -> int:
    config = _config(arguments)
    state = Path(config.state)
    recent = _log_to(sys.stderr, config.log_level)
    with _only_one(state):
        while True:
            try:
                asyncio.run(_serve(config, state, recent, probe))
                return 0
            except Rebooted:
                log.info("the simulated machine has rebooted")
                if not arguments.respawn:
                    return REBOOTED


async def _serve(config: Config, state: Path, recent: RecentLines, probe: Probe | None) -> None:
    """One life of the agent, from the boot of its machine to a signal or a reboot."""
    system = _system(config, state)
    player = _player(config, system, lambda name, data: agent.notice(name, data))
    journal = Journal(state / "journal.db", probe=probe)
    agent = Agent(
        Options(
            hub_url=config.hub,
            key=KEY,
            state=state,
            name=config.name or socket.gethostname(),
            content=config.content.source,
            content_item_s=config.content.item_s,
            follow=config.content.follow,
            cache_mb=config.content.cache_mb,
            screenshot_quality=config.screenshot.quality,
            customs=config.custom,
        ),
        token=_token(config, state),
        player=player,
        system=system,
        journal=journal,
        logs=recent,
        pair=None if config.token_file else lambda agent: _pair_on_screen(agent, config.hub, state),
        probe=probe,
    )
    loop = asyncio.get_running_loop()
    for sign in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(sign, agent.stop)
    log.info("device-agent %s, %s player on a %s machine, state in %s", VERSION, player.kind, system.kind, state)
    await journal.open()
    try:
        await agent.run()
    finally:
        await journal.close()


async def _pair_on_screen(agent: Agent, hub_url: str, state: Path) -> tuple[str, str]:
    """Show one code after the other until an operator approves one; the token, and the player's name."""
    from device_agent.connection import pairing

    while True:
        pause_s = UNREACHED_S
        try:
            offer = await pairing.begin(hub_url, _facts(agent.system))
            log.warning("not paired: enter the code %s at %s", offer.user_code, offer.uri)
            card = PairingCard(offer.user_code, offer.uri, _this_device(agent.system), offer.qr_code)
            await agent.show_pairing(card)
            token, name = await pairing.wait_for_token(hub_url, offer)
            if not await _stored(state, token):
                agent.accompany(_store_later, state, token)
            log.warning("paired")
            return token, name
        except pairing.PairingFailed as failure:
            log.warning("not paired: %s (%s)", failure.message, failure.code)
            pause_s = {"expired_token": EXPIRED_S, "access_denied": DENIED_S}.get(failure.code, UNREACHED_S)
            await agent.show_pairing(None)  # a code that nobody can enter any more
        await asyncio.sleep(pause_s)


async def _stored(state: Path, token: str) -> bool:
    try:
        await asyncio.to_thread(tokens.store, state, token)
    except OSError as error:
        log.error("the token is not kept yet: %s", error)
        return False
    return True


async def _store_later(state: Path, token: str) -> None:
    """It is good already, and must still be known after a restart."""
    stored = False
    while not stored:
        await asyncio.sleep(RETRY_S)
        stored = await _stored(state, token)


def _token(config: Config, state: Path) -> str | None:
    if not config.token_file:
        return tokens.load(state)
    try:
        words = Path(config.token_file).read_text().split()
    except (OSError, UnicodeDecodeError) as error:
        raise Unusable(f"The token in {config.token_file} cannot be read: {error}.") from None
    if len(words) != 1 or not tokens.is_token(words[0]):
        raise Unusable(f"{config.token_file} must hold one token and nothing else.")
    return words[0]


def _system(config: Config, state: Path) -> System:
    """The machine that goes with the player: a simulated player has a simulated one, so that it can be rebooted."""
    if config.player.kind == "simulated":
        from device_agent.system.simulated import SimulatedSystem

        given = config.system.reboot_command != Config().system.reboot_command
        return SimulatedSystem(state, reboot_command=config.system.reboot_command if given else ())
    from device_agent.system.linux import LinuxSystem

    return LinuxSystem(state, reboot_command=config.system.reboot_command, display_commands=config.display_commands)


def _player(config: Config, system: System, on_event: Callable[[str, dict[str, Any]], None]) -> Player:
    name = config.name or socket.gethostname()
    if config.player.kind == "simulated":
        from device_agent.players.simulated import SimulatedPlayer

        return SimulatedPlayer(name, clock=system.now)
    from device_agent.players.mpv import MpvPlayer

    return MpvPlayer(name, binary=config.player.binary, args=config.player.args, on_event=on_event, clock=system.now)


def _folder(state: str | Path) -> Path:
    """The state folder: there, and nobody else's."""
    folder = Path(state)
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise Unusable(f"The state folder {folder} cannot be used: {error.strerror}.") from None
    close_to_others(folder)
    return folder


@contextmanager
def _only_one(state: Path) -> Iterator[None]:
    """Two agents on one state folder would run commands twice."""
    _folder(state)
    try:
        if (state / "lock").is_dir():
            put_aside(state / "lock", "it is a folder")
        file = os.open(state / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise Unusable(f"The state folder {state} cannot be used: {error.strerror}.") from None
    try:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise Unusable(f"Another agent runs in {state}.") from None
        yield
    finally:
        os.close(file)


# --- fleet ---


def _fleet(arguments: argparse.Namespace, probe: Probe | None) -> int:
    import tempfile

    from device_agent.connection.faults import Faults
    from device_agent.fleet import FleetOptions, read_tokens, run_fleet

    config = _config(arguments)
    recent = _log_to(sys.stderr, arguments.log_level or "warning")
    try:
        tokens = read_tokens(arguments.tokens.read_text())[: arguments.count]
    except (OSError, ValueError) as error:
        raise Unusable(f"{arguments.tokens}: {error}") from None
    drop_every_s = arguments.drop_every_s or (FLAP_S if arguments.flap else 0.0)
    with tempfile.TemporaryDirectory(prefix="fleet-") as folder:
        state = Path(arguments.state or folder)
        with _only_one(state):
            options = FleetOptions(
                hub_url=config.hub,
                state=state,
                tokens=tokens,
                faults=Faults(
                    latency_ms=arguments.latency_ms,
                    drop_every_s=drop_every_s,
                    stall_every_s=arguments.stall_every_s,
                    blackhole_every_s=arguments.blackhole_every_s,
                ),
                clock_skew_s=arguments.clock_skew_s,
                seconds=arguments.seconds,
                report=arguments.report,
            )
            asyncio.run(run_fleet(options, recent))
    return 0
