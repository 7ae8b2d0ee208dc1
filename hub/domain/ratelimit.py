"""How often callers may ask: buckets of tokens, one a caller.

A request takes a token; without one it is refused. Tokens come back in steps: `refill` of them every `every_us`. Steps
of one token are the generic cell rate algorithm (a rate with a burst), larger ones the refill of Hangar's document.

Memory is bounded by forgetting, which never refuses anybody: an unknown bucket is a full one. Buckets live in two
generations; one that is asked for moves to the young one, and the old one is dropped when that has become old or large.
"""

from collections.abc import Hashable
from dataclasses import dataclass
from ipaddress import ip_address, ip_network
from typing import Final, NamedTuple

MINUTE_US: Final = 60_000_000
SECOND_US: Final = 1_000_000
GENERATION: Final = 50_000  # buckets; two generations of them take about 25 MB

_Bucket = tuple[int, int]
"""Tokens left, and when (Unix microseconds) the latest of them came back."""


@dataclass(frozen=True, slots=True)
class Rule:
    """`capacity` tokens in a full bucket; `refill` come back every `every_us` microseconds."""

    capacity: int
    refill: int
    every_us: int

    @classmethod
    def per_minute(cls, limit: int, burst: int | None = None) -> "Rule":
        """`limit` requests a minute, evenly; after a pause `burst` at once (without one: `limit`)."""
        return cls(burst or limit, 1, MINUTE_US // limit)

    @property
    def fills_in_us(self) -> int:
        return -(-self.capacity // self.refill) * self.every_us


class Minute:
    """What one caller may use up within a minute, on a monotonic clock (seconds). The minute begins with the first use
    after the last one was over."""

    __slots__ = ("_began", "_left", "_limit")

    def __init__(self, limit: int) -> None:
        self._limit = self._left = limit
        self._began = -60.0

    def take(self, amount: int, now: float) -> bool:
        """Whether there was that much left."""
        if now - self._began >= 60 and amount:
            self._began, self._left = now, self._limit
        self._left -= amount
        return self._left >= 0

    def wait(self, now: float) -> float:
        """Seconds until more may be used; 0 while something is left."""
        return 0.0 if self._left > 0 else max(0.0, self._began + 60 - now)


class Standing(NamedTuple):
    """Where a caller stands after a request: `reset` is when its bucket is full again (Unix seconds, rounded up),
    `retry_after` whole seconds until it is let in again; 0: it was let in."""

    limit: int
    remaining: int
    reset: int
    retry_after: int


class Buckets:
    """The buckets of many callers. `longest_us` is the time in which the slowest of their rules fills a bucket."""

    def __init__(self, longest_us: int) -> None:
        self._longest = longest_us
        self._young: dict[Hashable, _Bucket] = {}
        self._old: dict[Hashable, _Bucket] = {}
        self._turned = 0

    def take(self, caller: Hashable, rule: Rule, now: int, cost: int = 1) -> Standing:
        """Take `cost` tokens (0 to look only) at `now` (Unix milliseconds)."""
        now *= 1_000
        capacity, every = rule.capacity, rule.every_us
        bucket = self._young.get(caller) or self._old.get(caller)
        if bucket is None:
            tokens, since = capacity, now
        else:
            tokens, since = bucket
            if since > now:  # the clock was set back
                since = now
            steps = (now - since) // every
            tokens += steps * rule.refill
            since += steps * every
            if tokens >= capacity:
                tokens, since = capacity, now
        retry_after = 0
        if tokens >= cost:
            tokens -= cost
        else:
            retry_after = max(1, -((now - since - every) // SECOND_US))
        if cost:
            if len(self._young) >= GENERATION or now - self._turned > self._longest:
                self._old, self._young, self._turned = self._young, {}, now
            self._young[caller] = tokens, since
        steps = -((tokens - capacity) // rule.refill)
        return Standing(capacity, tokens, -(-(since + steps * every) // SECOND_US), retry_after)

    def give_back(self, caller: Hashable, cost: int = 1) -> None:
        """What was taken for nothing. A bucket that is forgotten is full anyway."""
        bucket = self._young.get(caller) or self._old.get(caller)
        if bucket is not None:
            tokens, since = bucket
            self._young[caller] = tokens + cost, since

    def __len__(self) -> int:
        return len(self._young) + len(self._old)


def network(address: str, bits: int = 64) -> str:
    """Whom a pace is kept for: an IPv4 address, or the /64 that one subscriber of IPv6 has all of. Many have more of
    them, up to a /48: `bits`."""
    try:
        parsed = ip_address(address)
    except ValueError:
        return address
    return address if parsed.version == 4 else str(ip_network((parsed, bits), strict=False))
