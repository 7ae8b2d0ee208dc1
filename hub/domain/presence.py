"""Is the player there? Pure rules; the clock and the row are arguments, the new row and its events are the answer.

    offline --connect--> online --unclean close--> online, due offline after a grace --> offline
                            |--- goodbye or silence --------------------------------------^ at once

A player that polls has no connection: each poll renews a grace of its own, and silence for so long is its end.

    offline --poll--> online, due offline --poll--> online, due later --silence--> offline

A return within the grace is no event at all. Every connection raises the epoch, and what a connection reports carries
its epoch, so the late end of an old connection can never mark a newer one down.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final, Literal

import orjson

from hub.domain.commands import CATALOGUE
from hub.domain.times import MINUTE, SECOND, is_due, is_recent, rfc3339

Reason = Literal[
    "bye", "rebooting", "updating", "silent", "lost", "drain", "crash", "replaced", "revoked", "quarantined",
    "protocol", "slow",
]  # fmt: skip
"""Why a connection ended. The first three are the player's own word, and said before it goes."""

PLANNED: Mapping[str, int] = {
    "rebooting": CATALOGUE["reboot"].finish_within_s * SECOND,
    "updating": CATALOGUE["update_agent"].finish_within_s * SECOND,
}
"""How long a player may be away for what it said, in milliseconds: that much is planned, and no failure."""

PICTURE = "~picture"
"""Among what a player reported: the latest that it noticed of its picture, and when. No setting is called so."""
PICTURES: Mapping[str, bool] = {"picture.recovered": True, "picture.black": False, "picture.frozen": False}
"""What a device notices of its picture, and whether it changes then as it should."""

NOTICED_A_DAY: Final = 1_000  # events of one device that are kept of one day (UTC): one each minute and a half
SESSIONS_A_DAY: Final = 1_000  # rows of one player's connections that begin on one day (UTC)
REPORTED_MOST: Final = 50  # settings of one player that are kept, the latest
REPORTED_BYTES: Final = 16_384  # of them all as JSON; beyond it the latest are kept that fit
FAILED_BYTES: Final = 8_192  # of what could not be applied, and why

FLAP_WINDOW = 5 * MINUTE
FLAP_CHANGES = 10  # more changes than this within the window: one `player.flapping`, single changes are held back
CLONE_WINDOW = 10 * MINUTE
CLONE_REPLACEMENTS = 5  # so many replacements of a live connection within the window: two devices share one token


@dataclass(frozen=True, slots=True)
class Graces:
    """How long after the end of a connection its player still counts as online, in milliseconds."""

    unclean: int = 15 * SECOND
    drain: int = 60 * SECOND
    crash: int = 90 * SECOND
    polling: int = 90 * SECOND  # not after an end, but after the last poll

    def after(self, reason: Reason) -> int:
        if reason in ("bye", "rebooting", "updating", "silent", "revoked", "quarantined"):
            return 0  # said goodbye, was silent for longer than any grace, or was put out by us
        return {"drain": self.drain, "crash": self.crash}.get(reason, self.unclean)


@dataclass(frozen=True, slots=True)
class Presence:
    """The presence row of one player.

    since             when `online` last changed
    epoch             rises with every connection; 0: never connected
    node              the hub node that holds the connection; None: no connection
    offline_due_at    the end of the grace; None: connected, or already offline
    changes           times of the latest changes of `online`, oldest first
    flapping          single changes are held back
    hardware          (hardware id, time) of the latest connections, oldest first
    replaced          times at which a live connection was replaced
    """

    online: bool = False
    since: int = 0
    epoch: int = 0
    node: str | None = None
    offline_due_at: int | None = None
    reason: str | None = None
    changes: tuple[int, ...] = ()
    flapping: bool = False
    hardware: tuple[tuple[str, int], ...] = ()
    replaced: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Change:
    """The row after a step, and what it means to others: event types, each with its data."""

    row: Presence
    events: tuple[tuple[str, dict[str, object]], ...] = ()
    cloned: bool = False


@dataclass(frozen=True, slots=True)
class Device:
    """What a hello says of the device; `capabilities` are command names, `ip_address` is its own word."""

    hardware_id: str
    model: str | None
    os_version: str | None
    app_version: str | None
    agent: str
    player_kind: str
    player_version: str
    capabilities: tuple[str, ...]
    boot_id: str | None = None
    agent_version: str | None = None
    ip_address: str | None = None


@dataclass(frozen=True, slots=True)
class Connected:
    """A registered connection.

    live           {command id: queued | sent | acked}: what the player's journal is compared with
    cancels        commands whose cancellation the player has yet to answer
    journal_id     of the journal with which it was last welcomed, if it had one
    quarantined    it was not let in, and no connection of this player stays
    """

    player_id: int
    team_id: int
    name: str
    session_id: str
    epoch: int
    settings: Mapping[str, Any]
    live: Mapping[str, str]
    cancels: Sequence[str]
    journal_id: str | None = None
    quarantined: bool = False


def fitting(values: Mapping[str, Any], most: int, size: int) -> dict[str, Any]:
    """The first of the values that fit: at most `most` of them, and `size` bytes as JSON."""
    kept: dict[str, Any] = {}
    left = size - 2  # the braces
    for name, value in values.items():
        cost = len(orjson.dumps({name: value})) - 1  # without the braces, and with a comma
        if len(kept) < most and cost <= left:
            kept[name] = value
            left -= cost
    return kept


def reported(before: Mapping[str, Any], news: Mapping[str, Any]) -> dict[str, Any]:
    """What a player reported before, with the news in it: a bounded part, of which the hub's own notes (`~`) come
    first, then the news."""
    merged = {**news, **{name: value for name, value in before.items() if name not in news}}
    notes = {name: value for name, value in merged.items() if name.startswith("~")}
    return notes | fitting(
        {name: value for name, value in merged.items() if name not in notes}, REPORTED_MOST, REPORTED_BYTES
    )


def connect(row: Presence, *, node: str, hardware_id: str, now: int, replaces: bool = True) -> Change:
    """A player has connected and was let in. `replaces`: a connection that the row names was alive until now; one whose
    end is only not written yet, since the database was away, is no sign of two devices."""
    replaced = row.node is not None and replaces
    hardware = (*row.hardware, (hardware_id, now))[-3:]
    replacements = tuple(at for at in row.replaced if is_recent(at, now, CLONE_WINDOW)) + ((now,) if replaced else ())
    names = [name for name, _ in hardware]
    # A, B, A: a device that was swapped does not come back on its own, two that share a token do.
    swapped_back = len(names) == 3 and names[0] == names[2] != names[1] and is_recent(hardware[0][1], now, CLONE_WINDOW)
    cloned = swapped_back or len(replacements) >= CLONE_REPLACEMENTS
    row = replace(
        row,
        epoch=row.epoch + 1,
        node=node,
        offline_due_at=None,
        hardware=hardware,
        replaced=replacements[-CLONE_REPLACEMENTS:],
    )
    change = _turn(row, online=True, reason=None, now=now) if not row.online else Change(row)
    return replace(change, cloned=cloned)


def trusted(row: Presence) -> Presence:
    """Somebody has judged: a quarantine was lifted, or a new token given. What was before is evidence no more."""
    return replace(row, hardware=(), replaced=())


def disconnect(row: Presence, *, epoch: int, reason: Reason, graces: Graces, now: int) -> Change | None:
    """The connection of `epoch` has ended. None: it is not the current one, and nothing changes."""
    if row.epoch != epoch or row.node is None:
        return None
    grace = graces.after(reason)
    row = replace(row, node=None, reason=reason)
    if grace == 0:
        return _turn(row, online=False, reason=reason, now=now)
    return Change(replace(row, offline_due_at=now + grace))


def poll(row: Presence, *, grace: int, now: int) -> Change:
    """A player that polls is there after it was away. It counts as a connection: the epoch rises, and an older
    one has no say any more."""
    row = replace(row, epoch=row.epoch + 1, node=None)
    change = _turn(row, online=True, reason=None, now=now) if not row.online else Change(row)
    return replace(change, row=replace(change.row, offline_due_at=now + grace))


def sweep(row: Presence, *, now: int, renewed_until: int | None = None) -> Change | None:
    """What became due: a grace that ran out, flapping that calmed down. None: nothing.

    `renewed_until` is the end of the grace that a poll has given meanwhile; polls are not written one by one.
    """
    if row.online and row.node is None and row.offline_due_at is not None and row.offline_due_at <= now:
        if renewed_until is not None and renewed_until > now:
            return Change(replace(row, offline_due_at=renewed_until))
        return _turn(row, online=False, reason=row.reason or "silent", now=now)
    if row.flapping and is_due(calm_at(row), now, FLAP_WINDOW):
        calm = replace(row, flapping=False, changes=())
        return Change(calm, (_event(calm, 0, now),))
    return None


def calm_at(row: Presence) -> int:
    """When flapping ends, if nothing changes before."""
    return (row.changes[-1] if row.changes else row.since) + FLAP_WINDOW


def due_at(row: Presence) -> int | None:
    """When `sweep` is next worth a call."""
    times = [row.offline_due_at if row.node is None and row.online else None, calm_at(row) if row.flapping else None]
    return min((at for at in times if at is not None), default=None)


def _turn(row: Presence, *, online: bool, reason: str | None, now: int) -> Change:
    before = row.since
    changes = (*(at for at in row.changes if is_recent(at, now, FLAP_WINDOW)), now)[-(FLAP_CHANGES + 1) :]
    row = replace(row, online=online, since=now, offline_due_at=None, reason=reason, changes=changes)
    if row.flapping:
        return Change(row)
    if len(changes) > FLAP_CHANGES:
        return Change(
            replace(row, flapping=True),
            (
                (
                    "player.flapping",
                    {
                        "status": "flapping",
                        "since": None,
                        "changes": len(changes),
                        "window_seconds": FLAP_WINDOW // SECOND,
                    },
                ),
            ),
        )
    return Change(row, (_event(row, before, now),))


def _event(row: Presence, before: int, now: int) -> tuple[str, dict[str, object]]:
    data: dict[str, object] = {
        "status": "online" if row.online else "offline",
        "since": rfc3339(row.since),
        "epoch": row.epoch,
        "reason": row.reason,
    }
    if before:
        data["seconds_offline" if row.online else "seconds_online"] = max(0, now - before) // SECOND
    return ("player.online" if row.online else "player.offline", data)
