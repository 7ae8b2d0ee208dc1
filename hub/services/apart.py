"""Work for many teams, one after another, where what fails for one of them is no matter of the others."""

import logging
from collections.abc import Hashable, Iterator
from contextlib import contextmanager

from hub.domain.errors import NotFound, Unavailable

REMEMBERED = 10_000  # failures that are not told again; past it all are told once more

log = logging.getLogger(__name__)


class Apart:
    """`work` says in the log what failed: "the sync of". Each failure is told once, until what failed is well again."""

    def __init__(self, work: str) -> None:
        self._work = work
        self._failing: set[Hashable] = set()

    @contextmanager
    def team(self, team_id: int, thing: Hashable = None) -> Iterator[None]:
        """A block of work for a team, or for one thing of it: what it raises ends here. Raises only Unavailable, which
        concerns everybody; of what is gone meanwhile nothing is told."""
        key = team_id, thing
        try:
            yield
        except Unavailable:
            raise
        except NotFound:
            self._failing.discard(key)
        except Exception:
            if key in self._failing:
                return
            if len(self._failing) >= REMEMBERED:
                self._failing.clear()
            self._failing.add(key)
            log.exception("%s team %d failed; the others go on", self._work, team_id)
        else:
            self._failing.discard(key)
