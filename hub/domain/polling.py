"""Players that poll: they register under a name of their own (a uuid), show a code until an operator pairs them, and
from then on fetch their commands with each heartbeat. They cannot acknowledge, so what they are handed counts as
`delivered`, and as `succeeded` only where a later heartbeat shows it.
"""

from collections.abc import Mapping
from typing import Any, Final

from hub.domain.pairing import Allowance
from hub.domain.times import DAY, MINUTE, SECOND

CODE_LIFETIME: Final = DAY  # an installer's day: such a device asks for its code once, when it starts
OPEN_PER_NETWORK: Final = 50  # unpaired devices behind one address: the screens of a building on its first day
OPEN_PER_SITE: Final = 200  # the same in a /48 of IPv6: one subscriber may have it, and fifty fill the room of all
OPEN_IN_ALL: Final = 10_000
QUIET: Final = 5 * MINUTE  # unpaired and not heard for so long, while all room is taken: it gives way to a new one
FORGOTTEN_AFTER: Final = 2 * DAY  # unpaired and silent for so long: it was never meant to be, or was taken away
TOUCHED_EVERY: Final = 30 * SECOND  # how stale that of an unpaired device may get: whoever pairs it sees if it is there
PROVED_WITHIN: Final = 30 * MINUTE  # from a command's making; the longest of those below waits 5 minutes, runs 10
HANDED_AT_ONCE: Final = 50  # commands in one heartbeat; the rest with the next
HELD_LIMIT: Final = 10_000  # contents that are remembered to be on one device

# New devices of one network: a building's at once, then one each ten seconds. Known ones are not paced by it.
REGISTRATIONS: Final = Allowance(10 * SECOND, OPEN_PER_NETWORK)

# Uuids that lead nowhere, of one network: a building's deleted screens, which go on asking each minute, stay below.
GUESSES: Final = Allowance(SECOND // 2, 120)

PROVABLE: Final = ("reboot", "set_volume")
"""Commands whose success a later heartbeat can show."""

SILENT: Final = ("lock", "unlock")
"""Commands that are not handed over as such: each answer to a heartbeat says whether the device is locked."""

CARRIED: Final = ("volume", "locked", "pin")
"""Desired settings that the answer to a heartbeat can carry."""


def wished(settings: Mapping[str, Any], readings: Mapping[str, Any]) -> dict[str, Any] | None:
    """The payload of a `set_volume` for a device whose heartbeat tells another volume than it is to have, else None."""
    volume, told = settings.get("volume"), readings.get("volume")
    return None if volume is None or told is None or told == volume else {"volume": volume}


def unsupported(settings: Mapping[str, Any], readings: Mapping[str, Any]) -> dict[str, str]:
    """Which desired settings a device cannot be brought to, and why; `readings` are the latest that it told."""
    failed = {name: "A player that polls cannot be told of this." for name in settings if name not in CARRIED}
    if settings.get("volume") is not None and readings.get("volume") is None:
        failed["volume"] = "This player tells no volume, so it is not kept to one."
    return {name: reason for name, reason in failed.items() if settings[name] is not None}


def noted(command: str, readings: Mapping[str, Any]) -> dict[str, Any] | None:
    """What to remember of the heartbeat that a command is handed over with, to judge a later one by."""
    if command == "reboot" and readings.get("uptime_seconds") is not None:
        return {"uptime_before": readings["uptime_seconds"]}
    return None


def evidence(
    command: str, payload: Mapping[str, Any], detail: Mapping[str, Any] | None, readings: Mapping[str, Any]
) -> dict[str, Any] | None:
    """What the readings of a later heartbeat prove of a delivered command: the detail of its success, or None.

    `detail` is what was noted when it was delivered.
    """
    if command == "set_volume" and readings.get("volume") == payload.get("volume"):
        return {"volume": payload.get("volume")}
    if command == "reboot":
        before, after = (detail or {}).get("uptime_before"), readings.get("uptime_seconds")
        if before is not None and after is not None and after < before:
            return {"uptime_before": before, "uptime_after": after}
    return None
