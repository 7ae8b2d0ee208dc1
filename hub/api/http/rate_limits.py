"""Rate limits of requests: which bucket a request takes from, and the headers that say how full it is.

Callers are told apart by what the class of the route says: the team (`spot.plan`), the credential (`hm.*`,
`adcast.token`), the device's uuid (`adcast.player`), the person or key behind a JWT (`hangar.default`). Whoever is not
known, or not yet, is an address (of IPv6 its /64).
"""

from collections import Counter
from collections.abc import Hashable, Iterator, Mapping
from contextlib import contextmanager
from typing import Final, Literal

from hub.domain.access import Actor
from hub.domain.errors import TooMany, Unavailable
from hub.domain.ratelimit import Buckets, Rule, Standing, network

RateClass = Literal[
    "spot.plan",
    "hm.standard",
    "hm.read",
    "hm.write",
    "hm.upload",
    "adcast.token",
    "adcast.player",
    "adcast.network",
    "hangar.default",
    "signed",
]
"""`adcast.network`: what the players that poll behind one address have together, before one has said its name.
`signed`: links whose signature is the credential, which a page may ask for by the dozen."""

UNKNOWN_BODY_BYTES: Final = 16 * 1024  # of a caller without a credential: a registration of all fields takes less
UNKNOWN_BODIES: Final = 1_024  # being read at once: 16 MiB
BODIES_OF_NETWORK: Final = ((64, 64), (48, 256))  # (bits, bodies at once): most arrive with their head and take no time

Header = tuple[bytes, bytes]


class RateLimiter:
    """`rules` has one for each rate class, and `spot.plan.<plan>` for each plan. Times are Unix milliseconds."""

    def __init__(self, rules: Mapping[str, Rule]) -> None:
        self._rules = dict(rules)
        self._buckets = Buckets(max(rule.fills_in_us for rule in rules.values()))

    def take(
        self,
        rate: RateClass,
        caller: Actor | None,
        address: str | None,
        now: int,
        *,
        device: str | None = None,
        cost: int = 1,
    ) -> Standing:
        """Count one request; its `retry_after` is 0 when it may go on. `device` is the uuid that it names."""
        name: str = rate
        who: Hashable
        if caller is None:
            if rate == "spot.plan":  # the plan is the team's, and there is none
                name = "hm.standard"
            who = ("device", device) if device is not None else address and network(address)
        elif caller.kind == "player":  # a team's many players must not use up what its people may ask
            name, who = "adcast.player", caller.id
        elif rate == "spot.plan":
            name = f"spot.plan.{caller.plan}"
            if name not in self._rules:
                name = "spot.plan.free"
            who = caller.team_id
        elif rate == "hangar.default":
            who = caller.user_id or (caller.kind, caller.id)
        else:
            who = caller.credential or (caller.kind, caller.id)
        return self._buckets.take((name, who), self._rules[name], now, cost)


class Bodies:
    """Bodies of callers without a credential, while they arrive: bounded by network and in all."""

    def __init__(self) -> None:
        self._all = 0
        self._of_network: Counter[tuple[int, str]] = Counter()

    @contextmanager
    def place(self, address: str | None) -> Iterator[None]:
        """For one body. Raises TooMany (of the network), Unavailable (in all)."""
        networks = [(bits, network(address or "unknown", bits)) for bits, _ in BODIES_OF_NETWORK]
        for place, (_, most) in zip(networks, BODIES_OF_NETWORK, strict=True):
            if self._of_network[place] >= most:
                raise TooMany(retry_after=1)
        if self._all >= UNKNOWN_BODIES:
            raise Unavailable("Too many requests are arriving at once.", retry_after=1)
        self._all += 1
        self._of_network.update(networks)
        try:
            yield
        finally:
            self._all -= 1
            self._of_network.subtract(networks)
            for place in networks:
                if not self._of_network[place]:
                    del self._of_network[place]


def headers(standing: Standing) -> list[Header]:
    return [
        (b"x-ratelimit-limit", b"%d" % standing.limit),
        (b"x-ratelimit-remaining", b"%d" % standing.remaining),
        (b"x-ratelimit-reset", b"%d" % standing.reset),
    ]
