"""Rate limits of requests: which bucket a request takes from, and the headers that say how full it is.

Callers are told apart by what the class of the route says: the team (`spot.plan`), the credential (`hm.*`,
`adcast.token`), the device's uuid (`adcast.player`), the person or key behind a JWT (`hangar.default`). Whoever is not
known, or not yet, is an address (of IPv6 its /64).
"""

from collections.abc import Hashable, Mapping
from typing import Literal

from hub.domain.access import Actor
from hub.domain.ratelimit import Buckets, Rule, Standing, network

RateClass = Literal[
    "spot.plan",
    "hm.standard",
    "hm.read",
    "hm.write",
    "hm.upload",
    "adcast.token",
    "adcast.player",
    "hangar.default",
    "signed",
]
"""`signed`: links whose signature is the credential, which a page may ask for by the dozen."""

Header = tuple[bytes, bytes]


class Pacing:
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


def headers(standing: Standing) -> list[Header]:
    return [
        (b"x-ratelimit-limit", b"%d" % standing.limit),
        (b"x-ratelimit-remaining", b"%d" % standing.remaining),
        (b"x-ratelimit-reset", b"%d" % standing.reset),
    ]
