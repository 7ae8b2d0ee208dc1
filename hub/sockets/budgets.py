"""What each player may send within a minute, over all its connections: a new one begins no new minute."""

from hub.sockets.transport import Budget

KEPT_S = 60.0  # after its last connection: then the minute of each of them is over


class Budgets:
    """Times are of the loop's clock, in seconds."""

    def __init__(self) -> None:
        self._budgets: dict[int, Budget] = {}
        self._resting: dict[int, float] = {}  # players without a connection, and since when; the latest last

    def of(self, player_id: int, fresh: Budget) -> Budget:
        """The one that counts for a new connection; `fresh` where there is none yet."""
        self._resting.pop(player_id, None)
        return self._budgets.setdefault(player_id, fresh)

    def wait(self, player_id: int, now: float) -> float:
        """Seconds until the player may send again; 0 while it may."""
        budget = self._budgets.get(player_id)
        return 0.0 if budget is None else budget.wait(now)

    def rest(self, player_id: int, now: float) -> None:
        """The player's last connection has ended."""
        self._resting.pop(player_id, None)
        self._resting[player_id] = now

    def sweep(self, now: float) -> None:
        """Forget those whose minute is over."""
        while self._resting and now - self._resting[player_id := next(iter(self._resting))] >= KEPT_S:
            del self._resting[player_id]
            self._budgets.pop(player_id, None)

    def __len__(self) -> int:
        return len(self._budgets)
