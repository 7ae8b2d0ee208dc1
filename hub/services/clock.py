"""Putting right what a clock that was ahead has left in the database."""

from collections.abc import Callable, Sequence
from typing import Protocol

from hub.domain.presence import Graces
from hub.domain.times import SECOND, now_ms
from hub.domain.webhooks import JITTER, RETRY_AFTER_LIMIT
from hub.services.exports import STORE_MS
from hub.services.mails import lease_ms
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


class ClockWatch:
    """Looks now and then for times that only a clock that was ahead can have set, whoever set them and whenever."""

    def __init__(
        self,
        db: Database,
        *,
        webhooks: Deliveries,
        smtp: Mails,
        graces: Graces,
        clock: Callable[[], int] = now_ms,
    ) -> None:
        self._db = db
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
        await self._db.write(store.set_right, self._waits, self._clock())
