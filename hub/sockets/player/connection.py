"""One player's connection: its session's events become calls of services, their answers become messages.

Nothing is acknowledged to the player before the service has it on disk, and no command leaves before its claim is.
"""

import asyncio
import logging
import time
from collections.abc import Callable, Coroutine, Mapping, Sequence
from dataclasses import KW_ONLY, dataclass, fields
from typing import Any, Protocol

from hub.bus.base import Bus
from hub.domain.alerts import Raised
from hub.domain.analytics import Showing
from hub.domain.commands import Outcome
from hub.domain.errors import HubError
from hub.domain.events import DEVICE_TYPES
from hub.domain.presence import FAILED_BYTES, REPORTED_MOST, Connected, Device, Reason, fitting
from hub.domain.times import SECOND, now_ms, parse, rfc3339_ms
from hub.protocol import messages as m
from hub.protocol.closecodes import CloseCode
from hub.protocol.codec import CHUNK_BYTES, MalformedMessage
from hub.protocol.journal import reconcile
from hub.protocol.session import (
    Close,
    HubEvent,
    HubSession,
    NoRoom,
    Ping,
    Recovered,
    Silent,
    Suspect,
    Text,
    UploadBroken,
    UploadChunk,
)
from hub.services.container import Services
from hub.services.presence import FAILED
from hub.sockets.budgets import Budgets
from hub.sockets.player.alerts import ShownAlerts
from hub.sockets.player.settings import SocketSettings
from hub.sockets.player.uploads import PlayerUploads
from hub.sockets.transport import Budget

BUSY_LIMIT = 200  # messages being worked on before we stop reading: a player cannot outrun the disk

log = logging.getLogger(__name__)


class Seam(Protocol):
    """What a connection needs of the bytes under it."""

    def send(self, text: str) -> None: ...
    def ping(self) -> None: ...
    def close(self, code: int, reason: str = "") -> None: ...
    def abort(self) -> None: ...
    def pause(self) -> None: ...
    def resume(self) -> None: ...


@dataclass(frozen=True, slots=True)
class ConnectionContext:
    """What a connection is given by whoever keeps all of them: the use cases, what counts for a player and not for one
    connection, and whom to tell of its steps. `probe` is told `before send TYPE` and `after send TYPE`."""

    services: Services
    bus: Bus
    settings: SocketSettings
    budgets: Budgets
    tasks: set[asyncio.Task[Any]]
    """Work of connections that is under way."""
    _: KW_ONLY
    metrics: Any
    probe: Callable[[str], None] | None
    enter: Callable[["PlayerConnection"], "PlayerConnection | None"]
    leave: Callable[["PlayerConnection"], None]
    look_at: Callable[["PlayerConnection"], None]
    flooded: Callable[[int], None]


class PlayerConnection:
    __slots__ = (
        "_address",
        "_alerts",
        "_busy",
        "_context",
        "_digest",
        "_drain_wanted",
        "_draining",
        "_early",
        "_end_reason",
        "_epoch",
        "_left",
        "_seam",
        "_session",
        "_stop_listening",
        "_superseded",
        "_uploads",
        "player_id",
        "revision",
        "seen",
        "team_id",
    )

    def __init__(
        self, context: ConnectionContext, seam: Seam, player_id: int, digest: str, address: str | None, now: float
    ) -> None:
        self.player_id = player_id
        self.team_id = 0  # known once registered
        self.revision: str | None = None  # of the manifest that the player was last told of
        self.seen = False
        self._context = context
        self._seam = seam
        self._digest = digest
        self._address = address
        self._session = HubSession(now, context.settings.limits)
        self._epoch = 0  # 0: not registered yet
        self._busy = 0
        self._draining = False
        self._drain_wanted = False
        self._superseded = False
        self._early: set[str] | None = set()  # wake-ups heard before the welcome; None afterwards
        self._left = False
        self._end_reason: Reason = "lost"
        self._stop_listening: Any = None
        self._uploads: PlayerUploads | None = None
        self._alerts = ShownAlerts()

    # From the transport

    def share(self, budget: Budget) -> Budget:
        """One budget counts for all connections of the player, one after the other."""
        return self._context.budgets.of(self.player_id, budget)

    def on_text(self, data: bytes) -> None:
        self.seen = True
        self._handle(self._session.receive_text(data, time.monotonic()))

    def on_binary(self, data: bytes) -> None:
        self.seen = True
        self._handle(self._session.receive_binary(data, time.monotonic()))

    def on_life(self) -> None:
        self.seen = True
        self._handle(self._session.receive_life(time.monotonic()))

    def on_excess(self, code: CloseCode, reason: str) -> None:
        """It sends too much, or reads too little."""
        if code is CloseCode.TOO_SLOW:
            self._end_reason = "slow"
        self._close(code, reason)

    def on_lost(self) -> None:
        """The TCP connection is gone, or will be: write the end down, once."""
        if self._left:
            return
        self._left = True
        if self._stop_listening is not None:
            self._stop_listening()
            self._stop_listening = None
        self._spawn(self._leave())

    # From the registry

    def abort(self) -> None:
        """End it now, without a word."""
        self._seam.abort()

    def sweep(self, now: float) -> None:
        """Keep the session's deadlines."""
        deadline = self._session.next_deadline()
        if deadline is not None and deadline <= now and not self._left:  # else one that is gone would be doubted again
            self._handle(self._session.tick(now))

    def excuse(self, seconds: float, now: float) -> None:
        """The hub itself has read nothing for so long."""
        self._session.excuse(seconds, now)

    def drain(self, reconnect_after_ms: int) -> None:
        """This node goes away: say so, then close."""
        self._end_reason = "drain"
        self._session.drain(reconnect_after_ms)
        self._close(CloseCode.DRAIN)

    def replaced(self) -> None:
        """A newer connection of the player is here: whatever this one still says is handled no more."""
        self._superseded = True
        self._end_reason = "replaced"
        self._close(CloseCode.REPLACED)

    def show_alerts(self, live: Sequence[Raised]) -> None:
        """These alerts stand for the player now; those that it is not told of yet it hears."""
        if self._early is not None:
            self._early.add("alerts")
            return
        for message in self._alerts.changes(live):
            self._session.send(message)
        self._pump()

    def look_at_row(self) -> None:
        """It seems that the database knows this connection no more."""
        self._spawn(self._look_at_row())

    def sync(self, revision: str) -> None:
        """The player's manifest is this one now."""
        self.revision = revision
        self._session.send(m.Sync(revision=revision))
        self._pump()

    @property
    def epoch(self) -> int:
        """0: not registered yet."""
        return self._epoch

    @property
    def lives(self) -> bool:
        """Whether it could still say something."""
        return not self._left and not self._session.closed

    @property
    def welcomed(self) -> bool:
        return self._early is None

    @property
    def alerted(self) -> bool:
        """Whether the player shows an alert."""
        return bool(self._alerts.shown)

    # Events of the session

    def _handle(self, events: list[HubEvent]) -> None:
        if not self._superseded:
            for event in events:
                self._on(event)
        self._pump()

    def _on(self, event: HubEvent) -> None:
        services = self._context.services
        if isinstance(event, m.Ack):
            self._spawn(self._acknowledge(event.id))
        elif isinstance(event, m.Result):
            self._spawn(self._record(event))
        elif isinstance(event, UploadChunk):
            assert self._uploads is not None
            self._spawn(self._uploads.chunk(event))
        elif isinstance(event, m.Hello):
            self._spawn(self._on_hello(event))
        elif isinstance(event, m.Telemetry):
            services.presence.report(self.player_id, telemetry=_present(event))
        elif isinstance(event, m.SettingsReport):
            services.presence.report(self.player_id, reported=_reported(event))
        elif isinstance(event, m.Progress):
            self._spawn(services.commands.progress(self.player_id, event.id, event.percent, event.note))
        elif isinstance(event, m.Upload):
            assert self._uploads is not None
            self._spawn(self._uploads.announced(event))
        elif isinstance(event, UploadBroken):
            assert self._uploads is not None
            self._spawn(self._uploads.broken(event))
        elif isinstance(event, m.DeviceEvent):
            if event.name in DEVICE_TYPES:
                self._spawn(services.presence.noticed(self.player_id, event.name, event.data))
            else:
                self._session.error("unknown_event", f"No such event: {event.name}.")
        elif isinstance(event, m.Plays):
            self._spawn(self._on_plays(event))
        elif isinstance(event, m.Bye):
            self._end_reason = event.reason if event.reason in ("rebooting", "updating") else "bye"
            self._seam.close(1000, "bye")
        elif isinstance(event, Suspect):
            services.presence.doubt(self.player_id, True)
            self._schedule_silence_check()
        elif isinstance(event, Recovered):
            services.presence.doubt(self.player_id, False)
        elif isinstance(event, Silent):
            self._end_reason = "silent"

    def _schedule_silence_check(self) -> None:
        """Look again when the silence of a suspect is long enough, and not up to a second later with all others."""
        if (deadline := self._session.next_deadline()) is not None:
            loop = asyncio.get_running_loop()
            loop.call_later(deadline - time.monotonic(), lambda: self._context.look_at(self))

    async def _on_hello(self, hello: m.Hello) -> None:
        """Register the connection; then compare journals; only then welcome, and let commands out."""
        if self._left:
            return
        context = self._context
        services = context.services
        older = context.enter(self)
        replaces = older is not None and older is not self and older.lives
        if older is not None and older is not self:
            older.replaced()
        self._stop_listening = context.bus.subscribe(("player", self.player_id), self._wake)
        connected = await services.presence.connect(
            self.player_id, self._digest, self._address, _device(hello), replaces=replaces
        )
        if connected.quarantined:
            self._expel(CloseCode.QUARANTINED, "quarantined")
            return
        self.team_id, self._epoch = connected.team_id, connected.epoch
        if self._left:  # gone while we registered it: the end is ours to write down
            await self._write_end()
            return
        self._uploads = PlayerUploads(
            services.uploads, self._session, self.player_id, self.team_id, self._pump, context.metrics
        )
        unsettled = {id: state for id, state in connected.live.items() if state != "queued"}
        doubtful: Sequence[str] = ()
        if _is_new(hello, connected):
            log.warning("player %d has a new journal", self.player_id)
            doubtful = await services.commands.sent_once(self.player_id)
        plan = reconcile(unsettled, hello.journal, doubtful)  # type: ignore[arg-type]
        if plan.requeue or plan.acked or plan.lost:
            await services.commands.reconcile(
                self.player_id, self._epoch, requeue=plan.requeue, acked=plan.acked, lost=plan.lost
            )
        for result in plan.results:
            told = None
            if result.detail and "revision" in result.detail:
                told = await services.programs.revision(self.team_id, self.player_id)
            await services.commands.record(self.player_id, _outcome(result, told))
        if hello.journal_id and hello.journal_id != connected.journal_id:
            await services.presence.keep_journal(self.player_id, hello.journal_id)
        settings = (await services.presence.wanted(self.player_id))[0] if plan.results else connected.settings
        alerts = self._alerts.changes(await services.alerts.live_for_player(self.team_id, self.player_id))
        self.revision = await services.programs.revision(self.team_id, self.player_id)
        if self._superseded or self._session.closed:
            return
        self._session.welcome(self._welcome(connected, settings, alerts))
        for result in plan.results:
            self._session.confirm_result(result.id)
        for command_id in connected.cancels:
            if command_id not in plan.requeue:  # those never arrived, and are over
                self._session.cancel(command_id)
        self._pump()
        log.info("player %d connected, epoch %d", self.player_id, self._epoch)
        early, self._early = self._early or set(), None
        for message in early:  # what they are about may be younger than what we read at the beginning
            self._wake(message)
        if plan.requeue or "queued" in connected.live.values():
            self._send_queued()
        if hello.ip_address:
            services.presence.report(self.player_id, telemetry={"ip_address": hello.ip_address})
        if hello.settings or hello.revision:
            had = {**_settings(hello.settings or {}), "revision": hello.revision}
            services.presence.report(self.player_id, reported=had)

    def _welcome(self, connected: Connected, desired: Mapping[str, Any], alerts: list[m.Alert]) -> m.Welcome:
        settings = self._context.settings
        return m.Welcome(
            player_id=self.player_id,
            name=connected.name,
            session=connected.session_id,
            epoch=connected.epoch,
            server_time=rfc3339_ms(now_ms()),
            heartbeat_s=max(1, round(settings.limits.heartbeat_s)),
            telemetry_s=settings.telemetry_s,
            screenshot_s=settings.screenshot_s,
            chunk_bytes=CHUNK_BYTES,
            window=settings.limits.upload_window,
            revision=self.revision,
            settings=dict(desired),
            alerts=alerts,
        )

    async def _acknowledge(self, command_id: str) -> None:
        await self._context.services.commands.acknowledge(self.player_id, command_id)
        if self._drain_wanted:
            self._send_queued()

    async def _record(self, result: m.Result) -> None:
        await self._context.services.commands.record(self.player_id, _outcome(result, self.revision))
        self._session.confirm_result(result.id)
        self._pump()
        if self._drain_wanted:
            self._send_queued()

    async def _on_plays(self, plays: m.Plays) -> None:
        showings = [_showing(play) for play in plays.entries]
        await self._context.services.analytics.record(self.player_id, self.team_id, showings)
        self._session.confirm_plays(plays.batch)
        self._pump()

    # Commands on their way out

    def _wake(self, message: Any) -> None:
        """The bus says that something concerns this player; the database says what."""
        if self._early is not None and message in ("commands", "cancel", "settings"):
            self._early.add(message)
        elif message == "commands":
            self._send_queued()
        elif message == "cancel":
            self._spawn(self._cancels())
        elif message == "alerts":
            self._spawn(self._look_at_alerts())
        elif message == "settings":
            self._spawn(self._tell_settings())
        elif message in ("revoked", "quarantined"):
            self._spawn(self._check_standing())

    def _send_queued(self) -> None:
        """Send what is queued, as far as the window has room. One runner; a call meanwhile makes it look again."""
        self._drain_wanted = True
        if not self._draining and self._epoch and self._session.room > 0:
            self._draining = True
            self._spawn(self._run_out())

    async def _run_out(self) -> None:
        commands = self._context.services.commands
        try:
            while self._drain_wanted and (room := self._session.room) > 0:
                self._drain_wanted = False
                claimed = await commands.claim(self.player_id, self._context.services.presence.node, self._epoch, room)
                for row in claimed:
                    try:
                        self._session.command(
                            m.Command(
                                id=row.id,
                                command=row.command,
                                payload=row.payload,
                                delivery=row.delivery,
                                expires_at=rfc3339_ms(row.expires_at),
                            ),
                            time.monotonic(),
                        )
                    except NoRoom:  # closed meanwhile: the claim ends with this connection, the next one requeues it
                        return
                    except MalformedMessage as error:
                        log.error("command %s fits no frame: %s", row.id, error)
                self._pump()
                if len(claimed) == room:
                    self._drain_wanted = True
        finally:
            self._draining = False

    async def _cancels(self) -> None:
        for command_id in await self._context.services.commands.cancels(self.player_id):
            self._session.cancel(command_id)
        self._pump()

    async def _look_at_alerts(self) -> None:
        self.show_alerts(await self._context.services.alerts.live_for_player(self.team_id, self.player_id))

    async def _tell_settings(self) -> None:
        desired, name = await self._context.services.presence.wanted(self.player_id)
        if self.lives:
            self._session.send(m.Settings(desired=desired, name=name))
            self._pump()

    async def _check_standing(self) -> None:
        """Whether the player is still let in. A wake-up may be old: each comes again when the log is read."""
        found = await self._context.services.players.by_token_digest(self._digest)
        if found is None or found[0] != self.player_id:
            self._expel(CloseCode.REVOKED, "revoked")
        elif found[1]:
            self._expel(CloseCode.QUARANTINED, "quarantined")

    async def _look_at_row(self) -> None:
        if self.lives and not await self._context.services.presence.holds(self.player_id, self._epoch):
            log.warning("player %d: epoch %d is not the row's any more", self.player_id, self._epoch)
            self._close(CloseCode.SERVICE_RESTART)

    # The end

    def _expel(self, code: CloseCode, reason: Reason) -> None:
        self._end_reason = reason
        self._close(code)

    def _close(self, code: CloseCode, reason: str = "") -> None:
        self._session.close(code, reason)
        self._pump()

    async def _leave(self) -> None:
        self._context.services.presence.doubt(self.player_id, False)
        try:
            if self._epoch:
                await self._write_end()
            if self._uploads is not None:
                await self._uploads.release()
        finally:
            self._context.leave(self)

    async def _write_end(self) -> None:
        """Nothing says that a player is gone but its row, so this is tried until the database takes it; a hub that
        dies before is told by its next start."""
        delay, said = 0.1, False
        while True:
            try:
                await self._context.services.presence.disconnect(
                    self.player_id, self.team_id, self._epoch, self._end_reason
                )
            except HubError as error:
                if error.code == "superseded":  # the hub that has taken over counts this connection as ended
                    return
                if not said:
                    log.warning("the end of player %d is not stored yet: %s", self.player_id, error)
                    said = True
                await asyncio.sleep(delay)
                delay = min(5.0, delay * 2)
            else:
                log.info("player %d disconnected: %s", self.player_id, self._end_reason)
                return

    # Work

    def _spawn(self, work: Coroutine[Any, Any, Any]) -> None:
        self._busy += 1
        if self._busy == BUSY_LIMIT:
            self._seam.pause()
        task = asyncio.get_running_loop().create_task(self._guard(work))
        self._context.tasks.add(task)
        task.add_done_callback(self._context.tasks.discard)

    async def _guard(self, work: Coroutine[Any, Any, Any]) -> None:
        """A failure of the database ends the connection: what was not confirmed will be said again on the next one."""
        try:
            await work
        except HubError as error:
            if not self._left:
                codes = {401: CloseCode.REVOKED, 403: CloseCode.QUARANTINED}
                log.warning("player %d: %s", self.player_id, error.message)
                self._close(codes.get(error.status, CloseCode.SERVICE_RESTART))
        except Exception:
            log.exception("player %d: a message could not be handled", self.player_id)
            self._close(CloseCode.SERVICE_RESTART)
        finally:
            self._busy -= 1
            if self._busy == BUSY_LIMIT - 1:
                self._seam.resume()

    def _pump(self) -> None:
        """Write what the session has to say."""
        probe = self._context.probe
        for output in self._session.take_output():
            if isinstance(output, Text):
                if probe is not None:
                    kind = output.text.partition('"type":"')[2].partition('"')[0]
                    probe(f"before send {kind}")
                    self._seam.send(output.text)
                    probe(f"after send {kind}")
                else:
                    self._seam.send(output.text)
            elif isinstance(output, Ping):
                self._seam.ping()
            elif isinstance(output, Close):
                self._seam.close(int(output.code), output.reason)
                if self._context.metrics is not None:
                    self._context.metrics.sockets_closed.labels(code=str(int(output.code))).inc()
                if output.code is CloseCode.FLOODING:
                    self._context.flooded(self.player_id)
                if self._end_reason == "silent":
                    self._seam.abort()


_READINGS = tuple(field.name for field in fields(m.Telemetry))


def _present(message: m.Telemetry) -> dict[str, Any]:
    values = ((name, getattr(message, name)) for name in _READINGS)
    return {name: value for name, value in values if value is not None}


def _is_new(hello: m.Hello, connected: Connected) -> bool:
    """Whether the journal is another than the one that this player was last welcomed with. One that has no id says so
    itself, and may say so again when it ended before it had written down that we know."""
    if hello.journal_id and connected.journal_id:
        return hello.journal_id != connected.journal_id
    return bool(hello.new_journal)


def _device(hello: m.Hello) -> Device:
    return Device(
        hardware_id=hello.hardware_id,
        model=hello.model,
        os_version=hello.os_version,
        app_version=hello.app_version,
        agent=f"{hello.agent.name} {hello.agent.version}",
        player_kind=hello.player.kind,
        player_version=hello.player.version,
        capabilities=tuple(dict.fromkeys(hello.capabilities)),
        boot_id=hello.boot_id,
        agent_version=hello.agent.version,
        ip_address=hello.ip_address,
    )


def _reported(report: m.SettingsReport) -> dict[str, Any]:
    """What it has, and what it could not apply; a report of the revision alone says nothing of settings."""
    if report.reported.keys() <= {"revision"} and not report.failed:
        return _settings(report.reported)
    reasons = {name: reason[:500] for name, reason in (report.failed or {}).items()}
    return {**_settings(report.reported), FAILED: fitting(reasons, REPORTED_MOST, FAILED_BYTES)}


def _settings(told: Mapping[str, Any]) -> dict[str, Any]:
    """Without names that the hub keeps notes under."""
    return {name: value for name, value in told.items() if not name.startswith("~")}


def _showing(play: m.Play) -> Showing:
    return Showing(
        entry=play.id,
        asset_id=play.asset_id,
        playlist_id=play.playlist_id,
        layout_id=play.layout_id,
        schedule_id=play.schedule_id,
        campaign_id=play.campaign_id,
        started_at=parse(play.started_at),
        duration_ms=play.duration_s * SECOND,
        completed=play.completed,
    )


def _outcome(result: m.Result, revision: str | None) -> Outcome:
    return Outcome(
        id=result.id,
        status=result.status,
        detail=result.detail,
        error_code=result.error.code if result.error else None,
        error_message=result.error.message if result.error else None,
        started_at=parse(result.started_at) if result.started_at else None,
        finished_at=parse(result.finished_at),
        boot_id=result.boot_id,
        revision=revision,
    )
