"""Files on their way out. Each keeps a piece in memory for as long as its reader takes it, so they have places."""

from collections.abc import Callable
from functools import partial

from hub.domain.quotas import Quotas
from hub.services.quotas import Places
from hub.store import quotas as store
from hub.store.database import Database

AT_ONCE = 2_000  # of all teams: with 352 KiB each, two thirds of a gibibyte


class Outgoing:
    def __init__(self, db: Database, quotas: Quotas | None = None) -> None:
        self._db = db
        self.places = Places("downloads", AT_ONCE, quotas)

    async def take(self, team_id: int) -> Callable[[], None]:
        """A place of the team whose file it is, whoever reads it: links are handed on. Answers what gives it back, to
        be called once. Raises TooMany, Unavailable."""
        async with self._db.session() as session:
            plan: str = await self._db.run(session, store.plan_of(team_id))
        self.places.take(team_id, plan)
        return partial(self.places.give_back, team_id)
