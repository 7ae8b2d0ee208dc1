"""One player: composes link, commands, content, player program and machine, and keeps them going together."""

import asyncio
import logging
import math
import random
from collections import Counter, deque
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from device_agent.commands.actions import Custom, Device, actions_of
from device_agent.commands.runner import Runner
from device_agent.connection.faults import NONE, Faults
from device_agent.connection.hub_clock import HubClock
from device_agent.connection.link import Link
from device_agent.content.alerts import Alerts
from device_agent.content.cache import Cache
from device_agent.content.manifest_sync import ManifestSync
from device_agent.content.playback import Content, Shown
from device_agent.content.plays import PlayLog
from device_agent.content.program import Asset, Showing
from device_agent.journal import Journal, JournalError, Probe
from device_agent.memory import Memory
from device_agent.players.base import PairingCard, Player, PlayerError
from device_agent.reports import screenshot
from device_agent.reports.logs import RecentLines
from device_agent.reports.picture_check import KEPT as SEEN
from device_agent.reports.picture_check import PictureCheck, read_fault
from device_agent.reports.settings import KEPT, Settings
from device_agent.reports.telemetry import CpuMeter, ip_address, read_telemetry
from device_agent.system.base import Rebooted, System
from device_agent.uploads import UploadFault, Uploads
from device_agent.version import VERSION
from hub.protocol.closecodes import Reaction
from hub.protocol.messages import (
    AgentInfo,
    Alert,
    Cancel,
    Command,
    DeviceEvent,
    Hello,
    Play,
    PlayerInfo,
    PlaysOk,
    Result,
    ResultOk,
    SettingsReport,
    Sync,
    Telemetry,
    UploadDone,
    UploadFailed,
    Welcome,
)
from hub.protocol.messages import Settings as DesiredSettings
from hub.protocol.player_session import PlayerEvent
from hub.protocol.times import read_time, write_time

log = logging.getLogger(__name__)

PERIODIC_WIDTH_PX = 640
"""Of the pictures taken unasked: enough to see what plays, at about 50 kB."""

MAX_EVENTS = 100
"""Events noticed without a connection and kept for the next one; the oldest go first."""

DOWNLOADS = "downloads"
"""The folder of files that can be fetched again."""

SKEW_KEPT_MS = 2_000
"""A change of the device's clock by less is not worth a write."""

SKEW_MS = 30_000
"""A clock this wrong shows in logs and schedules, and is worth an event."""

CLOCK = "clock"
"""The name under which it is remembered how far this device's clock is ahead of the hub's, in milliseconds."""

NAME = "name"
"""The name under which the player's own is remembered."""

MB = 1_000_000

DRAW_AGAIN_S = 1.0  # after a player could not show an alert
START_AGAIN_S = 30.0
"""Between attempts to start a player program that does not start."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """What distinguishes one agent from another. `key` is its name in the journal, `state` a folder of its own.

    `follow`: whether it plays what the hub has for it, and not only the content of its own."""

    hub_url: str
    key: str
    state: Path
    name: str = ""
    content: str = ""
    content_item_s: float = 10.0
    follow: bool = True
    cache_mb: int = 8_000
    screenshot_quality: int | None = None
    customs: Mapping[str, Custom] = field(default_factory=dict)
    faults: Faults = NONE


Pair = Callable[["Agent"], Awaitable[tuple[str, str]]]
"""Shows a pairing code on this agent's screen and returns the token that an operator granted."""


class Agent:
    """`run` once, in one event loop. `pair` is None where tokens come from elsewhere. `chance` and `sleep` are the
    world's, for tests; `probe` hears of every step of journal and link, see there."""

    def __init__(
        self,
        options: Options,
        *,
        token: str | None,
        player: Player,
        system: System,
        journal: Journal,
        logs: RecentLines,
        pair: Pair | None = None,
        chance: random.Random | None = None,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        probe: Probe | None = None,
        opening: asyncio.Semaphore | None = None,
    ) -> None:
        self.options = options
        self.player = player
        self.system = system
        self.clock = HubClock()
        self._journal = journal
        self._logs = logs
        self._pair = pair
        self._unpaired = token is None
        self._chance = chance or random.Random()
        self._sleep = sleep
        self.link = Link(
            options.hub_url,
            token,
            self,
            chance=self._chance,
            sleep=sleep,
            faults=options.faults,
            probe=probe,
            opening=opening,
            name=options.name,
        )
        self._uploads = Uploads()
        self._memory = Memory(options.key, journal, sleep=sleep)
        self._plays = PlayLog(options.key, journal, self.link.send)
        self._following = ManifestSync(
            options.hub_url,
            options.state,
            Cache(options.state / DOWNLOADS, options.cache_mb * MB),
            player.content_types,
            token=lambda: self.link.token,
            now=self.now,
            notice=self.notice,
            changed=lambda: self._content.look(),
            adopted=self._tell_revision,
            playing=lambda: self._content.asked,
        )
        self._content = Content(
            options.content,
            player,
            item_s=options.content_item_s,
            schedule=self if options.follow else None,
            shown=self._record,
        )
        self._cpu = CpuMeter()
        self._welcome: Welcome | None = None
        self._alerts = Alerts(player)
        self._alerts_changed = asyncio.Event()
        self._events: deque[DeviceEvent] = deque(maxlen=MAX_EVENTS)
        self._skew_told_ms = 0
        self._skew_kept_ms = 0
        self._name = ""  # that the hub has told
        self._version = "unknown"
        self._journal_is_new = False
        self._journal_id: str | None = None
        self._settings: Settings
        self._sight: PictureCheck
        self._runner: Runner
        self._actions: dict[str, Any] = {}
        self._group: asyncio.TaskGroup
        self._connection_tasks: list[asyncio.Task[None]] = []
        self._pairing: asyncio.Task[None] | None = None
        self._errands: list[asyncio.Task[None]] = []
        self._stopping = asyncio.Event()
        self.outcomes: Counter[str] = Counter()  # commands that ended, by status
        self.ready = asyncio.Event()

    # --- from outside ---

    async def run(self) -> None:
        """Until `stop`. Raises Rebooted when the simulated machine is gone, JournalError when there is no journal."""
        rebooted = False
        try:
            await self._prepare()
            async with asyncio.TaskGroup() as group:
                self._group = group
                tasks = [group.create_task(work) for work in self._duties()]
                self.ready.set()
                if self._unpaired:
                    self._start_pairing()
                await self._stopping.wait()
                await self.link.part()
                pairing = [self._pairing] if self._pairing else []
                for task in [*tasks, *self._connection_tasks, *self._errands, *pairing]:
                    task.cancel()
        except* Rebooted:
            rebooted = True
        finally:
            await self._content.close()
            await self.player.stop()
        if rebooted:
            raise Rebooted

    def stop(self) -> None:
        """Say goodbye and end; what runs goes on from the journal at the next start."""
        self._stopping.set()

    def notice(self, name: str, data: dict[str, Any]) -> None:
        """Something happened on the device that the hub should hear of, now or at the next connection."""
        event = DeviceEvent(name=name, data=_brief(data))
        if not (self.link.connected and self.link.send(event)):
            self._events.append(event)

    def accompany(self, duty: Callable[..., Coroutine[Any, Any, None]], *arguments: Any) -> None:
        """Work beside everything else, until it is done or the agent stops."""
        self._errands.append(self._group.create_task(_survived(duty, *arguments)))

    # --- starting ---

    async def _prepare(self) -> None:
        recalled = await self._journal.recall(self.options.key)
        self._journal_is_new = await self._journal.is_new(self.options.key)
        self._journal_id = await self._journal.id()
        if self._journal_is_new:
            log.warning("the journal is a new one: nothing is known of commands before it")
        # What is of another kind than was kept is from a damaged disk, and as good as nothing.
        kept, skew_ms, name, seen = (recalled.get(one) for one in (KEPT, CLOCK, NAME, SEEN))
        self._settings = Settings(self.player, self.system, kept if isinstance(kept, dict) else {}, self._memory.keep)
        self._skew_kept_ms = skew_ms if type(skew_ms) is int else 0
        self._name = name if isinstance(name, str) else ""
        if self._name:
            await self.player.rename(self._name)
        self._sight = PictureCheck(self.player, self.notice, self._memory.keep, self._sleep, read_fault(seen))
        if self.options.follow:
            await asyncio.to_thread(self._following.load)
        program = self._following.program
        # A machine without a battery wakes up in the past, and then that of its program is nearer to the truth.
        self.clock.guess(max(self.system.now() - self._skew_kept_ms, program.generated_at if program else 0))
        device = Device(
            player=self.player,
            system=self.system,
            settings=self._settings,
            content=self._content,
            following=self._following if self.options.follow else None,
            uploads=self._uploads,
            logs=self._logs,
            line=self.link,
            clock=self.clock,
            identity=self._identity,
            report_settings=self._report_settings,
            downloads=self.options.state / DOWNLOADS,
            screenshot_quality=self.options.screenshot_quality,
            customs=self.options.customs,
        )
        self._actions = actions_of(device)
        self._runner = Runner(
            self.options.key,
            self._journal,
            self._actions,
            self,
            self.clock,
            boot_id=self.system.boot_id,
            device_now=self.system.now,
            sleep=self._sleep,
            outcomes=self.outcomes,
        )
        started = await self._start_player()
        await self._runner.recover()
        if not started:
            log.error("the player will be tried again every %g s", START_AGAIN_S)

    async def _start_player(self) -> bool:
        try:
            await self.player.start()
            self._version = await self.player.version()
            await self._settings.restore()
        except PlayerError as failure:
            log.error("the %s player does not start: %s", self.player.kind, failure.message)
            return False
        return True

    def _duties(self) -> list[Coroutine[Any, Any, None]]:
        duties = [self.link.run(), self._runner.run(), self._memory.run(), self._plays.write(), self._show()]
        duties.append(self._mind_alerts())
        if self.player.sees:
            duties.append(_survived(self._sight.run))
        return [*duties, self._following.run()] if self.options.follow else duties

    async def _show(self) -> None:
        while self._version == "unknown":
            await self._sleep(START_AGAIN_S)
            await self._start_player()
        log.info("player %s %s, state in %s", self.player.kind, self._version, self.options.state)
        await self._content.run()

    # --- what the link asks and tells (link.Owner) ---

    async def hello(self) -> Hello:
        report = await self._settings.report()
        return Hello(
            agent=AgentInfo(name="signalbox-device-agent", version=VERSION),
            boot_id=self.system.boot_id(),
            hardware_id=self.system.hardware_id(),
            clock=write_time(self.system.now()),
            capabilities=sorted(self._actions),
            player=PlayerInfo(kind=self.player.kind, version=self._version[:100]),
            model=_label(self.system.model()),
            os_version=_label(self.system.os_version()),
            journal=await self._runner.told(),
            new_journal=self._journal_is_new or None,
            journal_id=self._journal_id,
            revision=self._following.revision,
            settings=report.reported,
            ip_address=ip_address(),
        )

    def welcomed(self, welcome: Welcome) -> None:
        server_time = read_time(welcome.server_time)
        self.clock.set(server_time)
        self._welcome = welcome
        if self._pairing is not None and not self._pairing.done():
            self._pairing.cancel()  # the old token is good again
        self._tell_skew(self.system.now() - server_time)
        while self._events and self.link.send(self._events[0]):
            self._events.popleft()
        self._alerts.replace(welcome.alerts)
        self._uploads.connected(self.link.upload)
        self._runner.welcomed()
        self._following.told(welcome.revision)
        if self._journal_is_new:
            self._journal_is_new = False
            self._connected(self._greeted)
        self._connected(self._plays.run)
        self._connected(self._learn_name, welcome.name or "")
        self._connected(self._keep_skew, self.system.now() - server_time)
        self._connected(self._converge, welcome.settings)
        self._alerts_changed.set()
        self._connected(self._telemetry, welcome.telemetry_s)
        self._connected(self._screenshots, welcome.screenshot_s)

    async def heard(self, message: PlayerEvent) -> None:
        match message:
            case Command() | Cancel() | ResultOk():
                await self._runner.put(message)
            case UploadDone() | UploadFailed():
                self._uploads.ended(message)
            case DesiredSettings():
                self._connected(self._learn_name, message.name or "")
                self._connected(self._converge, message.desired)
            case Alert():
                self._alerts.take(message)
                self._alerts_changed.set()
            case Sync():
                self._following.told(message.revision)
            case PlaysOk():
                await self._plays.confirmed(message)
            case _:
                pass

    def read_chunk(self, upload: int, offset: int, size: int) -> bytes | None:
        return self._uploads.read(upload, offset, size)

    def parted(self) -> None:
        self._uploads.disconnected()
        for task in self._connection_tasks:
            task.cancel()
        self._connection_tasks.clear()

    def refused(self, reaction: Reaction) -> None:
        if reaction.pair:
            self._start_pairing()

    # --- what the runner tells (commands.Outlet) ---

    def ack(self, id: str) -> None:
        self.link.ack(id)

    def result(self, result: Result) -> None:
        self.link.result(result)

    # --- while connected ---

    def _connected(self, duty: Callable[..., Coroutine[Any, Any, None]], *arguments: Any) -> None:
        """Work that ends with the connection at the latest."""
        self._connection_tasks = [task for task in self._connection_tasks if not task.done()]
        self._connection_tasks.append(self._group.create_task(_survived(duty, *arguments)))

    async def _greeted(self) -> None:
        """The hub knows what is to be known of a new journal. Where that is not kept, it is told once more."""
        try:
            await self._journal.greeted(self.options.key)
        except JournalError as error:
            log.error("that the hub knows of the new journal is not kept: %s", error)

    async def _converge(self, desired: Mapping[str, Any]) -> None:
        self.link.send(await self._settings.converge(desired))

    async def _report_settings(self) -> None:
        self.link.send(await self._settings.report())

    async def _telemetry(self, every_s: int) -> None:
        while every_s:
            self.link.send(Telemetry(**await self._readings()))
            await self._sleep(every_s)

    async def _readings(self) -> dict[str, Any]:
        readings = read_telemetry(self.system, storage=self.options.state, cpu=self._cpu)
        try:
            volume, current = await self.player.volume(), await self.player.current()
        except PlayerError:
            return readings
        if volume is not None:
            readings["volume"] = volume
        if current is not None:
            readings["current_content"] = self._content.name_of(current)[:1024]
        return readings

    async def _screenshots(self, every_s: int) -> None:
        if not every_s or "take_screenshot" not in self._actions:
            return
        await self._sleep(self._chance.uniform(0, every_s))
        while True:
            if not self._uploads.busy:
                await self._screenshot()
            await self._sleep(every_s)

    async def _screenshot(self) -> None:
        try:
            shot = await screenshot.take(
                self.player,
                self._content.on_screen,
                max_width=PERIODIC_WIDTH_PX,
                quality=self.options.screenshot_quality,
            )
            captured_at = self.clock.translate(shot.captured_at, self.system.now())
            await self._uploads.send(
                "screenshot",
                shot.data,
                mime=shot.mime,
                captured_at=captured_at,
                source=shot.source,
                asset_id=shot.asset_id,
            )
        except (PlayerError, UploadFault) as failure:
            log.warning("no periodic screenshot: %s", failure.message)

    async def _mind_alerts(self) -> None:
        """Draw the alerts when one comes or goes, and when one ends: on time, also while the hub is away."""
        while True:
            self._alerts_changed.clear()
            now = self.clock.now() or 0
            left_s = math.inf
            try:
                for id in await self._alerts.draw(now):
                    self.notice("alert.shown", {"id": id})
                left_s = self._alerts.changes_in_s(now)
            except PlayerError as failure:
                log.warning("the alerts are not shown yet: %s", failure.message)
                left_s = DRAW_AGAIN_S
            try:
                async with asyncio.timeout(None if left_s == math.inf else left_s):
                    await self._alerts_changed.wait()
            except TimeoutError:
                pass

    def _tell_skew(self, skew_ms: int) -> None:
        if abs(skew_ms) >= SKEW_MS and abs(skew_ms - self._skew_told_ms) >= SKEW_MS:
            self._skew_told_ms = skew_ms
            self.notice("clock.skewed", {"skew_ms": skew_ms})

    async def _keep_skew(self, skew_ms: int) -> None:
        if abs(skew_ms - self._skew_kept_ms) >= SKEW_KEPT_MS:
            self._skew_kept_ms = skew_ms
            await self._memory.keep(CLOCK, skew_ms)

    # --- what is on screen (content.Schedule) ---

    def now(self) -> int:
        """Unix milliseconds by the hub's clock, as well as they are known."""
        return self.clock.best()

    def due(self) -> tuple[Showing, float]:
        program, now = self._following.program, self.now()
        if program is None:
            return Showing(), math.inf
        showing, until = program.at(now)
        return showing, (until - now) / 1000

    def uri(self, asset: Asset) -> str | None:
        if asset.sha256 is None:
            return asset.url
        path = self._following.cache.find(asset)
        if path is None:
            self._following.look()
        return None if path is None else str(path)

    async def _record(self, shown: Shown) -> None:
        play = Play(
            id=self._plays.next_id(),
            asset_id=shown.item.asset.id,
            playlist_id=shown.showing.playlist_id,
            layout_id=shown.showing.layout_id,
            schedule_id=shown.showing.schedule_id,
            campaign_id=shown.item.campaign_id,
            started_at=write_time(shown.started_at),
            duration_s=shown.duration_s,
            completed=shown.completed,
        )
        await self._plays.keep(play)

    def _tell_revision(self) -> None:
        self.link.send(SettingsReport(reported={"revision": self._following.revision}))

    def _identity(self) -> dict[str, Any]:
        welcome = self._welcome
        return {
            "name": self._name or self.options.name,
            "address": ip_address(),
            "id": welcome.player_id if welcome else None,
        }

    # --- pairing ---

    def _start_pairing(self) -> None:
        if self._pair is None or (self._pairing is not None and not self._pairing.done()):
            return
        self._pairing = self._group.create_task(self._pair_anew(self._pair))

    async def show_pairing(self, card: PairingCard | None) -> None:
        """What an operator needs to pair this device, over whatever plays; None when that is over."""
        try:
            await self.player.show_pairing(card)
        except PlayerError as failure:
            log.warning("the pairing card is not drawn now: %s", failure.message)

    async def _pair_anew(self, pair: Pair) -> None:
        try:
            token, name = await pair(self)
        finally:
            await self.show_pairing(None)
        self.link.use(token)
        await self._learn_name(name)

    async def _learn_name(self, name: str) -> None:
        """The name that the hub has for this player, also for starts without a hub."""
        if not name or name == self._name:
            return
        self._name = name
        await self._memory.keep(NAME, name)
        try:
            await self.player.rename(name)
        except PlayerError as failure:
            log.warning("the new name is not shown yet: %s", failure.message)


def _brief(data: dict[str, Any]) -> dict[str, Any]:
    """With its texts cut, so that the hub takes it: two of them may be of nothing but escaped characters."""
    return {key: value[:300] if isinstance(value, str) else value for key, value in data.items()}


async def _survived(duty: Callable[..., Coroutine[Any, Any, None]], *arguments: Any) -> None:
    """A defect in what only accompanies the commands must not take them down with it."""
    try:
        await duty(*arguments)
    except Exception:
        log.exception("a defect of the agent")


def _label(text: str | None) -> str | None:
    return text[:255].replace("\0", "") if text else None
