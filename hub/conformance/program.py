"""`hub conformance`: choose the transcripts, play them, tell what was found; Ctrl-C ends at once with that."""

import asyncio
import secrets
import signal
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass

from hub.conformance.door import Door, own_address
from hub.conformance.hub_trial import HubTrial
from hub.conformance.operator import Operator
from hub.conformance.page import Unreachable
from hub.conformance.player_trial import PlayerTrial
from hub.conformance.report import NAME_WIDTH, Report
from hub.conformance.transcript import Role, Transcript, transcripts
from hub.conformance.trial import Trial, Verdict
from hub.domain.errors import CannotStart, Invalid

PARTING_S = 10.0  # to leave the other end in order
STOPPING_S = 2.0  # the same for somebody who pressed Ctrl-C and has read what is known
INTERRUPTED = 130  # as a shell tells of SIGINT


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """`url` empty: listen for a player on `host` and `port`. `only` are names of transcripts; `every` also plays what
    takes long or restarts the device. `patience_s` is for the first player to come."""

    host: str = "127.0.0.1"
    port: int = 0
    url: str = ""
    key: str = ""
    token: str = ""
    only: Sequence[str] = ()
    every: bool = False
    as_json: bool = False
    patience_s: float = 300.0

    @property
    def tests(self) -> Role:
        return "hub" if self.url else "player"


def chosen(options: Options) -> list[Transcript]:
    """What to play. Raises Invalid for a name that there is not."""
    there = transcripts(options.tests)
    known = [transcript.name for transcript in there]
    for name in options.only:
        if name not in known:
            raise Invalid.field("only", f"must be a transcript ({', '.join(known)}), not {name[:60]}")
    if options.only:
        return [transcript for transcript in there if transcript.name in options.only]
    wanted = [transcript for transcript in there if options.every or not transcript.extra]
    return sorted(wanted, key=lambda transcript: transcript.last)


def show(options: Options) -> None:
    """Name the transcripts. Raises Invalid."""
    for transcript in chosen(options):
        extra = f" ({transcript.extra})" if transcript.extra else ""
        print(f"{transcript.name:{NAME_WIDTH}} {transcript.title}{extra}")


async def run(options: Options) -> int:
    """The exit status: 0 only if all that was tried passed. Raises CannotStart, Invalid."""
    report = Report(options.tests, options.as_json)
    playing = chosen(options)
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for sign in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(sign, stop.set)
    trial = _hub_trial(options) if options.url else await _player_trial(options, report)
    work = asyncio.create_task(_play(trial, playing, report))
    stopped = asyncio.create_task(stop.wait())
    await asyncio.wait([work, stopped], return_when=asyncio.FIRST_COMPLETED)
    if not work.done():
        work.cancel()
        report.interrupted = True
    stopped.cancel()
    with suppress(asyncio.CancelledError):
        await work
    report.end()
    with suppress(TimeoutError, OSError):
        async with asyncio.timeout(STOPPING_S if report.interrupted else PARTING_S):
            await trial.end()
    return INTERRUPTED if report.interrupted else int(not report.passed)


async def _play(trial: Trial, playing: Sequence[Transcript], report: Report) -> None:
    for number, transcript in enumerate(playing):
        try:
            verdict = await trial.play(transcript)
        except asyncio.CancelledError:
            if trial.faults:
                report.add(Verdict(transcript, "failed", trial.faults, "stopped in the middle"))
            raise
        except Unreachable as end:
            for left in playing[number:]:
                report.add(Verdict(left, "not reached", why=str(end)))
            return
        report.add(verdict)


async def _player_trial(options: Options, report: Report) -> PlayerTrial:
    token = options.token or f"kit-{secrets.token_urlsafe(16)}"
    # The door accuses whatever transcript is played when a request comes.
    door = Door(token, lambda fault: trial.accuse(fault), lambda: trial.now(), lambda file: trial.fetched(file))
    trial = PlayerTrial(door, options.patience_s)
    anywhere = options.host in ("0.0.0.0", "::", "")
    try:
        await door.open(options.host, options.port, own_address() if anywhere else options.host)
    except (OSError, OverflowError) as error:
        raise CannotStart(f"{options.host} port {options.port} cannot be listened on: {error}.") from None
    report.line(f"Let the player connect to the hub  {door.url}")
    report.line(f"with the token  {token}")
    report.line("or by pairing, which is approved at once. Waiting for it.\n")
    return trial


def _hub_trial(options: Options) -> Trial:
    if not options.key and not options.token:
        raise Invalid.field("key", "or a player's token (--token) is needed with --url")
    if not options.key.isascii() or not options.key.isprintable():
        raise Invalid.field("key", "must be a key, which begins with sbk_")
    return HubTrial(options.url, Operator(options.url, options.key) if options.key else None, options.token)
