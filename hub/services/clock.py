"""A clock that is wrong: how far it is believed, and putting right what one that was ahead has left in the database."""

from collections.abc import Callable, Sequence
from typing import Protocol

from hub.domain.clocks import Mark, Steadiness
from hub.domain.presence import Graces
from hub.domain.times import SECOND, now_ms, running_ms
from hub.domain.webhooks import JITTER, RETRY_AFTER_LIMIT
from hub.services.exports import STORE_MS
from hub.services.mailer import lease_ms
from hub.store import clock as store
from hub.store.clock import Waits
from hub.store.database import Database


class Deliveries(Protocol):
    @property
    def retry_s(self) -> Sequence[float]: ...


class Mails(Protocol):
    @property
    def retry_s(self) -> Sequence[int]: ...
    @property
    def timeout_s(self) -> float: ...


class Age:
    """By what time things are old enough to be deleted. Everything that deletes by age asks here: a clock that is wrong
    for a moment deletes nothing."""

    def __init__(
        self, db: Database, *, clock: Callable[[], int] = now_ms, running: Callable[[], int] = running_ms
    ) -> None:
        self._db = db
        self._clock = clock
        self._running = running
        self._mark = Mark(0)  # until `start`: nothing is old
        self._read_at = running()

    async def start(self) -> None:
        """Go on from where the last run was, by its own word; before the hub says that it lives."""
        async with self._db.session() as session:
            known = await store.mark(session)
        self._mark = Mark(*(known or (self._clock(), 0)))
        self._read_at = self._running()

    def now(self) -> int:
        """What is older than its days by this time may go. The wall clock's, and never one that is not believed."""
        return self._step().old_by(self._clock())

    def reached(self) -> int:
        """From what time on something that is made, or used, lives: see `Mark.reached`."""
        return self._step().reached(self._clock())

    def parted(self) -> bool:
        """Whether the wall clock is far from where it must be by running time."""
        return self._step().parted(self._clock())

    async def keep(self) -> None:
        """For the next run."""
        mark = self._step()
        await self._db.write(store.keep_mark, mark.at, mark.stood)

    def _step(self) -> Mark:
        running, wall = self._running(), self._clock()
        self._mark.step(wall, running - self._read_at)
        self._read_at = running
        return self._mark


class Steady:
    """Called with a reading of the wall clock: whether what time alone ends may end by it. `unsure`: not yet. `pauses`:
    nor just after nobody has called for a while, since what others sent in time is yet to be read."""

    def __init__(self, *, unsure: bool = False, pauses: bool = False, running: Callable[[], int] = running_ms) -> None:
        self._running = running
        self._steadiness = Steadiness(unsure, pauses)

    def __call__(self, now: int) -> bool:
        return self._steadiness.steady(now, self._running())


class ClockWatch:
    """Looks now and then for times that only a clock that was ahead can have set, whoever set them and whenever. While
    the clock is not `steady` it may be behind, and every time that was right looks like one of those."""

    def __init__(
        self,
        db: Database,
        *,
        webhooks: Deliveries,
        smtp: Mails,
        graces: Graces,
        steady: Callable[[int], bool] = lambda now: True,
        clock: Callable[[], int] = now_ms,
    ) -> None:
        self._db = db
        self._steady = steady
        self._clock = clock
        longest_s = max(webhooks.retry_s, default=0) * (1 + JITTER)
        lease = lease_ms(smtp.timeout_s)
        self._waits = Waits(
            deliveries_ms=max(int(longest_s * SECOND), RETRY_AFTER_LIMIT),
            mails_ms=[lease, *(max(wait_s * SECOND, lease) for wait_s in smtp.retry_s)],
            exports_ms=STORE_MS,
            graces_ms=max(graces.unclean, graces.drain, graces.crash, graces.polling),
        )

    async def set_right(self) -> None:
        now = self._clock()
        if self._steady(now):
            await self._db.write(store.set_right, self._waits, now)
