"""Quotas: what one team may keep, and have under way at one time, so that no team uses up what all share.

`QUOTAS` has a line for each, with a limit for each plan; the settings may say other numbers. Who is over a quota keeps
what there is: only what would come on top is refused, with the quota's name and value.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Literal, NamedTuple

from hub.domain.errors import Conflict, HubError, TooMany

Unit = Literal["", "bytes"]

GIB: Final = 1 << 30
MIB: Final = 1 << 20


class Limits(NamedTuple):
    """By plan."""

    free: int
    pro: int
    business: int
    unlimited: int


Plan = Literal["free", "pro", "business", "unlimited"]


@dataclass(frozen=True, slots=True)
class Quota:
    """`what` is counted, in plural; `reason` says what each of them costs all. `passing`: they end by themselves, so
    that who waits `retry_after` seconds may find a place; of the others some must be deleted."""

    what: str
    limits: Limits
    reason: str
    unit: Unit = ""
    passing: bool = False
    retry_after: int = 10


QUOTAS: Final[Mapping[str, Quota]] = {
    # What is kept, counted in the transaction that adds to it.
    "players": Quota("players", Limits(100, 1_000, 10_000, 100_000), "each may hold a socket, a journal, pictures"),
    "groups": Quota("player groups", Limits(100, 1_000, 5_000, 20_000), "all are read when targets are worked out"),
    "members": Quota("members", Limits(50, 200, 1_000, 10_000), "each may have a hundred logins"),
    "api_keys": Quota("API keys in force", Limits(50, 200, 500, 2_000), "each takes a place among 10,000 in memory"),
    "oauth_clients": Quota("OAuth clients", Limits(20, 50, 100, 100), "each may be allowed by each member"),
    "webhooks": Quota("webhooks", Limits(20, 50, 100, 100), "each is asked for at every event"),
    "alert_rules": Quota("alert rules", Limits(20, 50, 100, 100), "each is judged against each player"),
    "alerts": Quota("alerts that are not over", Limits(100, 100, 100, 100), "each is asked for at every connection"),
    "licences": Quota("licences", Limits(1_000, 10_000, 10_000, 10_000), "one for each player of a large group"),
    "releases": Quota("releases", Limits(100, 500, 500, 500), "all are compared to find the newest"),
    "assets": Quota("assets", Limits(2_000, 20_000, 100_000, 500_000), "each is a row and an entry of lists"),
    "stored_bytes": Quota(
        "bytes of assets",
        Limits(20 * GIB, 200 * GIB, 2_000 * GIB, 20_000 * GIB),
        "the disk; of equal files one counts, and files on their way in count too",
        "bytes",
    ),
    "player_bytes": Quota(
        "bytes of screenshots and logs of each player",
        Limits(512 * MIB, GIB, GIB, GIB),
        "the disk; fifty pictures of 10 MB, and the oldest give way before it is reached",
        "bytes",
    ),
    "folders": Quota("folders", Limits(500, 5_000, 20_000, 50_000), "the whole tree is read to place one"),
    "playlists": Quota("playlists", Limits(500, 5_000, 20_000, 50_000), "each may have a thousand items"),
    "playlist_items": Quota(
        "items of all playlists", Limits(20_000, 200_000, 500_000, 1_000_000),
        "each is a row; what a player shows is read and told whole",
    ),
    "layouts": Quota("layouts", Limits(200, 2_000, 10_000, 20_000), "each may have twenty zones"),
    "schedules": Quota("schedules", Limits(500, 5_000, 10_000, 20_000), "all are read to know what plays"),
    "schedule_targets": Quota(
        "targets of all schedules", Limits(20_000, 100_000, 200_000, 500_000), "all are read to know what plays"
    ),
    "locations": Quota("locations", Limits(100, 1_000, 5_000, 20_000), "the weather is asked about each"),
    "holidays": Quota("holidays", Limits(500, 2_000, 10_000, 20_000), "all are read to know what plays"),
    "campaigns": Quota("campaigns", Limits(100, 1_000, 5_000, 20_000), "each is a line of the sums of each day"),
    "paced_batches": Quota(
        "batches still being sent", Limits(10, 50, 200, 500), "each has a turn each second",
        passing=True, retry_after=60,
    ),
    "upload_urls": Quota(
        "upload URLs that wait for their file", Limits(500, 1_000, 5_000, 10_000), "each is a row for a day",
        passing=True, retry_after=60,
    ),
    "exports": Quota(
        "exports of the last hour", Limits(5, 10, 20, 20), "half a gigabyte each, made one after the other",
        passing=True, retry_after=600,
    ),
    "mails_per_hour": Quota(
        "mails an hour", Limits(100, 500, 2_000, 5_000), "one mail server sends all; what is over is withheld",
        passing=True, retry_after=3_600,
    ),
    "plays_per_day": Quota(
        "plays that begin on one day (UTC)", Limits(250_000, 2_500_000, 10_000_000, 50_000_000),
        "200 bytes of disk each while plays are kept; those beyond are not counted",
        passing=True, retry_after=3_600,
    ),
    "device_events_per_day": Quota(
        "events that devices tell on one day (UTC)", Limits(10_000, 100_000, 1_000_000, 5_000_000),
        "up to 5 KB of disk each while events are kept; those beyond are dropped",
        passing=True, retry_after=3_600,
    ),
    "commands_per_day": Quota(
        "commands sent on one day (UTC)", Limits(100_000, 1_000_000, 10_000_000, 50_000_000),
        "up to 3 KB of disk each while commands and events are kept; each begun KiB of a payload is one",
        passing=True, retry_after=3_600,
    ),
    # What is under way, counted in memory.
    "uploads": Quota(
        "files on their way in", Limits(6, 8, 12, 16), "a place among 32, and a mebibyte of memory", passing=True
    ),
    "downloads": Quota(
        "files on their way out", Limits(200, 1_000, 10_000, 100_000),
        "a place among 2,000, and 352 KiB of memory", passing=True,
    ),
    "player_uploads": Quota(
        "bytes that players have begun to upload",
        Limits(128 * MIB, 256 * MIB, 512 * MIB, GIB),
        "a share of two gibibytes of disk",
        "bytes",
        passing=True,
    ),
    "operator_sockets": Quota(
        "operators connected", Limits(20, 100, 300, 500), "a place among 1,000, written to at each event",
        passing=True, retry_after=30,
    ),
    "event_streams": Quota(
        "event streams", Limits(20, 100, 300, 500), "a place among 1,000, written to at each event",
        passing=True, retry_after=30,
    ),
    "waiting_requests": Quota(
        "requests that wait", Limits(100, 300, 600, 1_000), "a place among 2,000, asking at each event", passing=True
    ),
    "deliveries": Quota(
        "webhook deliveries under way", Limits(16, 32, 64, 96), "a place among 128; the others wait their turn"
    ),
}  # fmt: skip


class Quotas:
    """The limits in force: those of the table where `limits` has no others, by name and plan."""

    def __init__(self, limits: Mapping[str, Limits] | None = None) -> None:
        self._limits = {name: quota.limits for name, quota in QUOTAS.items()} | dict(limits or {})

    def limit(self, name: str, plan: str) -> int:
        """For a plan that nobody knows, that of the smallest."""
        limits = self._limits[name]
        return limits[Limits._fields.index(plan)] if plan in Limits._fields else limits.free

    def by_plan(self, name: str) -> Limits:
        return self._limits[name]

    def check(self, name: str, plan: str, used: int, more: int = 1) -> None:
        """Raise the refusal when `more` do not fit beside the `used` ones."""
        limit = self.limit(name, plan)
        if used + more > limit:
            raise exceeded(name, plan, limit)


def exceeded(name: str, plan: str, limit: int) -> HubError:
    """The refusal: Conflict where something must be deleted first, TooMany where waiting is enough."""
    quota = QUOTAS[name]
    text = f"The quota {name} is used up: a team on the plan {plan} has at most {limit:,} {quota.what}. "
    if quota.passing:
        return TooMany(text + "Wait until some have ended.", code="quota_exceeded", retry_after=quota.retry_after)
    return Conflict(text + "Delete some first, or ask for a larger plan.", code="quota_exceeded")


def share(held: int, free: int, weight: int = 1) -> int:
    """How many of `free` places somebody takes who holds `held`: until it holds `weight` times what is left. Of 32
    places one takes 16; two that come together take 11 each, five 5 each; one after the other, each leaves a half."""
    return max(0, (weight * free - held + weight) // (weight + 1))
