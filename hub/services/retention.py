"""How long things are kept."""

from collections.abc import Mapping

from hub.domain.times import DAY
from hub.store import retention as store
from hub.store.database import Database

FIXED_MS: dict[str, int] = {
    "idempotency keys": DAY,  # as promised to clients that retry
    "daily counts": 2 * DAY,  # a clock that is set back by hours goes on with its own
}


class Retention:
    """`days` by kind: commands, batches (while none of their commands is left), events, sessions, plays, play sums,
    downtimes, incidents, cap messages."""

    def __init__(self, db: Database, days: Mapping[str, int]) -> None:
        self._db = db
        self._kept_ms = {kind: number * DAY for kind, number in days.items()} | FIXED_MS

    async def run(self, now: int) -> bool:
        """One bite of each kind. Answers whether there may be more."""
        more = [await self._db.write(store.forget, kind, now - kept) for kind, kept in self._kept_ms.items()]
        return any(more)
