"""Places that teams share, and what a team is told of its quotas."""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from hub.domain.access import Actor
from hub.domain.errors import Unavailable
from hub.domain.quotas import QUOTAS, Quotas, share
from hub.domain.times import now_ms
from hub.store import quotas as store
from hub.store.database import Database


class Places:
    """`total` places of this process, which teams hold for a while: each as many as its quota `name` says, and so many
    that one is left for every other team."""

    def __init__(self, name: str, total: int, quotas: Quotas | None = None, *, weight: int = 1) -> None:
        self.name = name
        self.taken = 0
        self._total = total
        self._quotas = quotas or Quotas()
        self._weight = weight
        self._held: Counter[int] = Counter()

    def held(self, team_id: int) -> int:
        return self._held[team_id]

    def room(self, team_id: int, plan: str) -> int:
        """How many more the team may take now."""
        held = self._held[team_id]
        left = self._quotas.limit(self.name, plan) - held
        return max(0, min(left, share(held, self._total - self.taken, self._weight)))

    def take(self, team_id: int, plan: str, number: int = 1) -> None:
        """Take so many, to be given back. Raises TooMany for what is over the team's quota, Unavailable when the hub
        has too few for all."""
        self._quotas.check(self.name, plan, self._held[team_id], number)
        if number > self.room(team_id, plan):
            text = f"Too many {QUOTAS[self.name].what} on this hub."
            raise Unavailable(text, code=f"{self.name}_full", retry_after=QUOTAS[self.name].retry_after)
        self._held[team_id] += number
        self.taken += number

    def give_back(self, team_id: int, number: int = 1) -> None:
        self.taken -= number
        self._held[team_id] -= number
        if not self._held[team_id]:
            del self._held[team_id]

    @contextmanager
    def taking(self, team_id: int, plan: str) -> Iterator[None]:
        """A place while the block lasts. Raises as `take`."""
        self.take(team_id, plan)
        try:
            yield
        finally:
            self.give_back(team_id)


class TeamQuotas:
    """`held` tells of each quota that is counted in memory how much a team has of it now."""

    def __init__(self, db: Database, quotas: Quotas, held: Mapping[str, Callable[[int], int]]) -> None:
        self._db = db
        self._quotas = quotas
        self._held = held

    async def describe(self, actor: Actor) -> dict[str, Any]:
        """{"plan", "quotas": [{"name", "limit", "used", "unit", "description"}]} of the actor's team. `used` is None
        for what is counted for each player."""
        async with self._db.moment() as session:
            plan: str = await self._db.run(session, store.plan_of(actor.team_id))
            used = await self._db.run(session, store.usage(actor.team_id, store.COUNTED, now_ms()))
        used |= {name: held(actor.team_id) for name, held in self._held.items()}
        return {
            "plan": plan,
            "quotas": [
                {
                    "name": name,
                    "limit": self._quotas.limit(name, plan),
                    "used": used.get(name),
                    "unit": quota.unit or None,
                    "description": quota.what,
                }
                for name, quota in QUOTAS.items()
            ],
        }
