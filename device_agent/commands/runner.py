"""Takes commands from the hub, runs each at most as often as it may, and tells how it ended, whatever dies meanwhile.

The rules are those of the protocol ("Command exchange"). The decisions are made by `hub.protocol.journal`; here they
are written down and carried out:

- a known id never runs again; `ack` goes out when the entry is on disk, a result when the outcome is;
- commands of one lane run in order; a `once` command waits for all earlier ones and holds back later ones; otherwise a
  slow one blocks nobody;
- `running` is on disk, with what was seen before, before anything is done;
- nothing starts after its `expires_at`, by the hub's clock;
- what the disk refuses is written again until it takes it. A command that is not written yet belongs to the connection
  that brought it, and ends with it: the next `hello` does not name it, so the hub sends it again or not at all.
"""

import asyncio
import logging
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol, TypeVar

from device_agent.commands.action import Action, Call, Failed, Rejected
from device_agent.connection.hub_clock import HubClock
from device_agent.journal import MAX_OPEN, RETRY_S, Entry, Journal, JournalError
from device_agent.players.base import PlayerError
from device_agent.system.base import Rebooted, SystemFault
from hub.protocol import codec
from hub.protocol.fields import MAX_PROSE
from hub.protocol.journal import on_cancel, on_command, recover
from hub.protocol.messages import Cancel, Command, ErrorInfo, JournalEntry, Result, ResultOk, Status
from hub.protocol.times import read_time, write_time

log = logging.getLogger(__name__)

INBOX = 64
"""Messages taken from the socket and not yet looked at; when full, reading waits."""


class Outlet(Protocol):
    """Where acks and results go; without a connection nowhere, and the next `hello` tells."""

    def ack(self, id: str) -> None: ...

    def result(self, result: Result) -> None: ...


@dataclass(slots=True)
class _Job:
    entry: Entry
    task: asyncio.Task[None] | None = None
    settled: Result | None = None  # how it ended, while that is not on disk
    acting: bool = False
    cancelled: bool = False


T = TypeVar("T")


class Runner:
    """The commands of one player. `player` is its key in the journal; `boot_id` and `device_now` ask the machine;
    `outcomes` counts results by status."""

    def __init__(
        self,
        player: str,
        journal: Journal,
        actions: Mapping[str, Action],
        outlet: Outlet,
        clock: HubClock,
        *,
        boot_id: Callable[[], str],
        device_now: Callable[[], int],
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        outcomes: Counter[str] | None = None,
    ) -> None:
        self._player = player
        self._journal = journal
        self._actions = actions
        self._outlet = outlet
        self._clock = clock
        self._boot_id = boot_id
        self._device_now = device_now
        self._sleep = sleep
        self._inbox: asyncio.Queue[tuple[int, Command | Cancel | ResultOk]] = asyncio.Queue(INBOX)
        self._connection = 0  # the number of the present one; commands of older ones are taken no more
        self._taking = asyncio.Lock()  # held while commands are written down, so that `hello` tells of all or none
        self._unwritten: dict[str, Entry] = {}  # what came on this connection and the disk refused
        self._retrying: asyncio.Task[None] | None = None
        self._confirming: set[str] = set()
        self._entries: dict[str, Entry] = {}  # outcome not confirmed, in the order in which they came
        self._jobs: dict[str, _Job] = {}  # of these, the ones without an outcome
        self._group: asyncio.TaskGroup | None = None
        self._outcomes = Counter() if outcomes is None else outcomes

    # --- for the agent ---

    async def recover(self) -> None:
        """Read the journal; settle what an earlier run of the agent left in the middle of a `once` command. Raises
        JournalError when it cannot be read."""
        for entry in await self._journal.load(self._player):
            settled = await self._settle(entry) if entry.state == "running" and entry.delivery == "once" else None
            if entry.state == "finished" and entry.result is None:
                why = "What the player wrote down about this command cannot be read."
                entry = entry.finished(self._result(entry, "failed", "journal_lost", why))
                assert entry.result is not None
                await self._written(entry.result)
            if settled is not None and await self._written(settled):
                entry, settled = entry.finished(settled), None
            self._entries[entry.id] = entry
            if entry.state != "finished":
                self._jobs[entry.id] = _Job(entry, settled=settled)

    async def run(self) -> None:
        """Until cancelled. Raises Rebooted (in an ExceptionGroup) when the machine is gone."""
        async with asyncio.TaskGroup() as group:
            self._group = group
            try:
                self._start_ready()
                await self._work()
            finally:
                self._group = None

    async def told(self) -> list[JournalEntry]:
        """The journal of the next `hello`. What an older connection brought is in it, or is not taken any more."""
        self._connection += 1
        async with self._taking:
            self._unwritten.clear()
            return [entry.told() for entry in self._entries.values()][:MAX_OPEN]

    def welcomed(self) -> None:
        """The hub's clock is known now, so what waited for it can be judged."""
        self._start_ready()

    async def put(self, message: Command | Cancel | ResultOk) -> None:
        """A message of the hub, in the order in which it came."""
        await self._inbox.put((self._connection, message))

    # --- taking ---

    async def _work(self) -> None:
        while True:
            commands: list[tuple[int, Command]] = []  # that came together are written together
            connection, message = await self._inbox.get()
            while True:
                if isinstance(message, Command):
                    commands.append((connection, message))
                else:
                    await self._accept(commands)
                    commands = []
                    await self._take(message)
                if self._inbox.empty():
                    break
                connection, message = self._inbox.get_nowait()
            await self._accept(commands)

    async def _take(self, message: Cancel | ResultOk) -> None:
        if isinstance(message, Cancel):
            await self._cancel(message.id)
            return
        entry = self._entries.get(message.id)
        if entry is not None and entry.state == "finished" and entry.id not in self._confirming:
            self._confirming.add(entry.id)
            self._spawn(self._confirm(entry.id))

    async def _accept(self, commands: Sequence[tuple[int, Command]]) -> None:
        async with self._taking:
            fresh: dict[str, Entry] = {}
            for connection, command in commands:
                if connection != self._connection or command.id in fresh:
                    continue
                known = self._entries.get(command.id)
                expires_at = read_time(command.expires_at)
                in_time = self._clock.in_time(expires_at) is not False
                answer = on_command(known.told() if known else None, in_time=in_time)
                if answer == "ack":
                    self._outlet.ack(command.id)
                elif answer == "result":
                    self._tell(command.id)
                elif command.id in self._unwritten:  # asked again, or called back already
                    fresh[command.id] = self._unwritten[command.id]
                elif len(self._entries) + len(self._unwritten) + len(fresh) >= MAX_OPEN:
                    log.error("command %s is not taken: %d outcomes are not confirmed", command.id, len(self._entries))
                else:
                    action = self._actions.get(command.command)
                    fresh[command.id] = Entry(
                        id=command.id,
                        command=command.command,
                        payload=command.payload,
                        delivery=(action.delivery if action else None) or command.delivery,
                        expires_at=expires_at,
                    )
            await self._add(fresh.values())
        self._start_ready()

    async def _add(self, entries: Iterable[Entry]) -> None:
        """Write new entries down, then speak: `ack`, or the outcome of what is over before it began. One whose id is
        known (its outcome was confirmed within 48 hours) is ignored."""
        judged = [self._judged(entry) for entry in entries]
        added = await asyncio.gather(
            *(self._journal.accept(self._player, entry) for entry in judged), return_exceptions=True
        )
        for entry, is_new in zip(judged, added, strict=True):
            self._unwritten.pop(entry.id, None)
            if isinstance(is_new, JournalError):
                log.error("command %s is not taken yet: %s", entry.id, is_new)
                self._unwritten[entry.id] = entry
            elif isinstance(is_new, BaseException):
                raise is_new
            elif is_new:
                self._entries[entry.id] = entry
                if entry.state == "accepted":
                    self._jobs[entry.id] = _Job(entry)
                    self._outlet.ack(entry.id)
                else:
                    self._tell(entry.id)
        if self._unwritten and self._group is not None and (self._retrying is None or self._retrying.done()):
            self._retrying = self._group.create_task(self._write_again())

    def _judged(self, entry: Entry) -> Entry:
        if entry.state == "accepted" and self._clock.in_time(entry.expires_at) is False:
            return entry.finished(self._result(entry, "rejected", "expired", "It arrived after its deadline."))
        return entry

    async def _write_again(self) -> None:
        """Until the disk has taken everything that came on this connection, or the connection is over."""
        while self._unwritten:
            await self._sleep(RETRY_S)
            async with self._taking:
                await self._add(list(self._unwritten.values()))
            self._start_ready()

    async def _cancel(self, id: str) -> None:
        known = self._entries.get(id)
        answer = on_cancel(known.told() if known else None)
        job = self._jobs.get(id)
        if answer == "result":
            self._tell(id)
        elif job is not None:
            job.cancelled = True
            if job.task is None:
                job.task = self._spawn(self._finish(job, job.settled or self._cancelled(job.entry)))
            elif job.acting and job.entry.delivery != "once":
                job.task.cancel()
        elif known is None:
            unknown = Entry(id=id, command="", payload={}, delivery="safe", expires_at=0)
            async with self._taking:
                await self._add([unknown.finished(self._cancelled(unknown))])

    async def _confirm(self, id: str) -> None:
        # Without the hub's clock there is no welcome, and without a welcome no confirmation.
        now = self._now_at()
        await self._write(lambda: self._journal.confirm(self._player, id, now))
        self._entries.pop(id, None)
        self._confirming.discard(id)

    # --- running ---

    def _start_ready(self) -> None:
        if self._group is None or self._clock.now() is None:
            return
        ahead: set[str] = set()
        for job in list(self._jobs.values()):
            lane = self._lane(job.entry)
            once = job.entry.delivery == "once"
            if job.task is None and not (ahead if once else lane in ahead):
                job.task = self._spawn(self._do(job))
            if once:
                return
            ahead.add(lane)

    def _lane(self, entry: Entry) -> str:
        action = self._actions.get(entry.command)
        return (action.lane if action else None) or entry.command

    def _spawn(self, work: Any) -> asyncio.Task[None]:
        assert self._group is not None  # only called while run() is underway
        return self._group.create_task(work)

    async def _do(self, job: _Job) -> None:
        await self._finish(job, job.settled or await self._outcome(job))

    def _too_late(self, entry: Entry) -> Result | None:
        """The outcome of what may not start any more."""
        in_time = self._clock.in_time(entry.expires_at)
        decision = recover(
            entry.told(), entry.delivery, in_time, None, finished_at=self._now(), boot_id=self._boot_id()
        )
        return decision if isinstance(decision, Result) else None

    async def _outcome(self, job: _Job) -> Result:
        before = entry = job.entry
        if (late := self._too_late(before)) is not None:
            return late
        action = self._actions.get(entry.command)
        if action is None:
            return self._result(entry, "rejected", "unsupported_command", f"This player has no {entry.command}.")
        try:
            seen = await action.see() if action.see else None
            if job.cancelled:
                return self._cancelled(entry)
            job.entry = entry = replace(entry, state="running", started_at=self._now_at(), evidence=seen)
            await self._write(lambda: self._journal.start(self._player, entry))
            self._entries[entry.id] = entry
            if job.cancelled:
                return self._cancelled(entry)
            if (late := self._too_late(before)) is not None:  # the disk may have refused it for long
                return late
            job.acting = True
            detail = await action.run(Call(entry.id, entry.payload, seen or {}))
        except asyncio.CancelledError:
            if not job.cancelled or job.task is None:
                raise  # the agent stops; the journal says running, and the next start goes on from there
            job.task.uncancel()
            return self._cancelled(entry)
        except Rejected as refusal:
            return self._result(entry, "rejected", refusal.code, refusal.message)
        except Failed as failure:
            return replace(self._result(entry, "failed", failure.code, failure.message), detail=failure.detail)
        except (PlayerError, SystemFault) as failure:
            return self._result(entry, "failed", failure.code, failure.message)
        except Rebooted:
            raise
        except Exception as error:
            log.exception("%s failed", entry.command)
            return self._result(entry, "failed", "internal_error", f"The agent has a defect: {type(error).__name__}.")
        finally:
            job.acting = False
        return replace(self._result(entry, "succeeded"), detail=detail)

    async def _finish(self, job: _Job, result: Result) -> None:
        result = _sound(result)
        await self._write(lambda: self._journal.finish(self._player, result))
        self._entries[result.id] = job.entry.finished(result)
        self._jobs.pop(result.id, None)
        self._outcomes[result.status] += 1
        log.info("%s %s: %s", job.entry.command, result.id, _in_words(result))
        self._tell(result.id)
        self._start_ready()

    async def _settle(self, entry: Entry) -> Result:
        """How a `once` command ended in the middle of which an earlier run of the agent stopped."""
        action = self._actions.get(entry.command)
        proof: dict[str, Any] | None = None
        if action is not None and action.settle is not None and entry.evidence is not None:
            try:
                proof = await action.settle(entry.evidence)
            except (PlayerError, SystemFault) as failure:
                log.warning("nothing can be seen of %s: %s", entry.id, failure.message)
        decision = recover(entry.told(), entry.delivery, None, proof, finished_at=self._now(), boot_id=self._boot_id())
        assert isinstance(decision, Result)  # a running `once` command is always settled
        return replace(decision, started_at=self._told_at(entry.started_at))

    async def _written(self, result: Result) -> bool:
        """Whether the outcome is on disk. One attempt: a start must not wait for a disk that is full."""
        try:
            await self._journal.finish(self._player, result)
        except JournalError as error:
            log.error("the outcome of %s is not kept yet: %s", result.id, error)
            return False
        self._outcomes[result.status] += 1
        log.info("%s: %s, judged after a restart", result.id, _in_words(result))
        return True

    async def _write(self, write: Callable[[], Awaitable[T]]) -> T:
        while True:
            try:
                return await write()
            except JournalError as error:
                log.error("the journal cannot be written, trying again in %g s: %s", RETRY_S, error)
            await self._sleep(RETRY_S)

    # --- results ---

    def _tell(self, id: str) -> None:
        entry = self._entries.get(id)
        if entry is not None and entry.result is not None:
            self._outlet.result(entry.result)

    def _cancelled(self, entry: Entry) -> Result:
        return self._result(entry, "cancelled")

    def _result(self, entry: Entry, status: Status, code: str | None = None, message: str = "") -> Result:
        return Result(
            id=entry.id,
            status=status,
            error=ErrorInfo(code=code[:64], message=message[:MAX_PROSE].replace("\0", "")) if code else None,
            started_at=self._told_at(entry.started_at),
            finished_at=self._now(),
            boot_id=self._boot_id(),
        )

    def _now_at(self) -> int:
        """The hub's time where it is known: a device's clock may be wrong by years."""
        now = self._clock.now()
        return self._device_now() if now is None else now

    def _now(self) -> str:
        return write_time(self._now_at())

    @staticmethod
    def _told_at(at: int | None) -> str | None:
        return None if at is None else write_time(at)


def _sound(result: Result) -> Result:
    """The result as the hub will take it: one that it would refuse could never be confirmed."""
    try:
        codec.check(result)
        codec.encode(result)
    except codec.MalformedMessage as defect:
        error = ErrorInfo(code="bad_result", message=f"The outcome cannot be told: {defect.message}"[:MAX_PROSE])
        return replace(result, status="failed", detail=None, error=error)
    return result


def _in_words(result: Result) -> str:
    return f"{result.status} ({result.error.code})" if result.error else result.status
