"""Whether what a player says of its success is so, as far as the hub knows by itself.

A judge answers True when what the hub knows (or asked for) bears the evidence out, False when it contradicts it, and
None when the hub cannot tell: such a success is marked `unverified`. A value that is read back is the device's own
word; it counts as borne out when it is the one that was asked for.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Literal

from hub.domain.manifest import is_revision
from hub.domain.times import MINUTE, SECOND

CONTRADICTED = "evidence_contradicted"
"""Error code of a success that what the hub knows contradicts."""

MISSING = "no_evidence"
"""Error code of a success that lacks its evidence, or names something that was never stored."""

NO_REVISION: Final = 0
"""The revision that a player tells which follows no manifest."""

UNVERIFIED = "unverified"
"""Key in the `detail` of a success that the hub could not check: true. Of a player's own such word only what
its judge makes of it is kept."""

CLOCK_MS: Final = 5 * MINUTE  # by which a device's clock, set right by a reboot, may have it away for too long


@dataclass(frozen=True, slots=True)
class Greeting:
    """What a `hello` said of the device; None where that was not kept."""

    epoch: int
    boot_id: str | None
    agent_version: str | None


@dataclass(frozen=True, slots=True)
class Stored:
    """An upload of this player. `command_id` is that of the command it was sent for."""

    command_id: str | None
    sha256: str


@dataclass(frozen=True, slots=True)
class Known:
    """What the hub knows by itself; only what the command's judge asks for is looked up.

    epoch       of the connection that the command went out on; None where it went out on none
    sent_for    ms since the command was sent; None where it never was
    greetings   those of that connection and all later ones, oldest first
    stored      the upload that the result names; empty: there is none. None: nobody looked
    named       whether the asset or playlist to play has the name that plays now; None where its names may have been
                others since the command was made
    revision    of the manifest that the player was last told of
    """

    epoch: int | None = None
    sent_for: int | None = None
    greetings: Sequence[Greeting] = ()
    stored: Sequence[Stored] | None = None
    named: bool | None = None
    revision: str | None = None


@dataclass(frozen=True, slots=True)
class Claim:
    """A success, as the player tells it. `boot_id` is that of the result: of the boot in which it finished."""

    command_id: str
    player_id: int
    payload: Mapping[str, Any]
    detail: Mapping[str, Any]
    boot_id: str | None = None
    known: Known = field(default_factory=Known)


Judge = Callable[[Claim], bool | None]
Lookup = Literal["greetings", "screenshot", "logs", "name"]


@dataclass(frozen=True, slots=True)
class Verdict:
    """`code` and `message`: why the success is not believed; None when it is. `unverified`: nobody can tell."""

    code: str | None = None
    message: str | None = None
    unverified: bool = False


def judge(keys: Sequence[str], judged_by: Judge | None, claim: Claim) -> Verdict:
    """`keys` are those that the `detail` must carry, not all as null; without a judge nothing can be told of them."""
    missing = [key for key in keys if key not in claim.detail]
    if not missing and claim.detail.get(UNVERIFIED) is not True and all(claim.detail[key] is None for key in keys):
        missing = list(keys)
    if missing:
        return Verdict(MISSING, f"The result lacks its evidence: {', '.join(missing)}.")
    if claim.known.stored is not None and not claim.known.stored:
        return Verdict(MISSING, "What the result names was never stored.")
    borne_out = None if judged_by is None else judged_by(claim)
    if borne_out is False:
        return Verdict(CONTRADICTED, "The evidence in the result contradicts its success, or what the hub knows of it.")
    return Verdict(unverified=borne_out is None)


# Judges of single commands


def rebooted(claim: Claim) -> bool | None:
    """The boot in which it finished is the one after, the greetings know both, and it was away for no longer than since
    the command was sent."""
    away_s, sent_for = claim.detail["seconds_away"], claim.known.sent_for
    if not _is_number(away_s) or not 0 <= away_s < math.inf:
        return False
    if sent_for is not None and away_s * SECOND > sent_for + CLOCK_MS:
        return False
    before, after = claim.detail["boot_id_before"], claim.detail["boot_id_after"]
    if before == after or (claim.boot_id is not None and claim.boot_id != after):
        return False
    return _changed([each.boot_id for each in claim.known.greetings], before, after, _complete(claim.known))


def updated(claim: Claim) -> bool | None:
    """The version is the one asked for, and the greetings know it and the one before."""
    before, after = claim.detail["version_before"], claim.detail["version_after"]
    if after != claim.payload.get("version"):
        return False
    return _changed([each.agent_version for each in claim.known.greetings], before, after, _complete(claim.known))


def restarted(claim: Claim) -> bool | None:
    """No two lives of a program have both process id and start time; more than that the hub does not see."""
    detail = claim.detail
    same_start = "started_at_before" not in detail or detail["started_at_before"] == detail["started_at"]
    return False if detail["pid_before"] == detail["pid_after"] and same_start else None


def photographed(claim: Claim) -> bool | None:
    """The picture was sent for this command and has these bytes."""
    return collected(claim) and all(each.sha256 == claim.detail["sha256"] for each in claim.known.stored or ())


def collected(claim: Claim) -> bool | None:
    """It was sent for this command."""
    stored = claim.known.stored
    return None if stored is None else all(each.command_id == claim.command_id for each in stored)


def reloaded(claim: Claim) -> bool | None:
    """What plays now is the manifest that the hub told of. It may truthfully be another one, older or newer than what
    the hub told last, and which ones there were the hub does not keep; but none has a name of another form."""
    revision = claim.detail["revision"]
    if revision == claim.known.revision is not None:
        return True
    follows_none = type(revision) is int and revision == NO_REVISION
    return None if follows_none or (isinstance(revision, str) and is_revision(revision)) else False


def volume_set(claim: Claim) -> bool | None:
    volume = claim.detail["volume"]
    return _is_number(volume) and volume == claim.payload.get("volume")


def display_set(claim: Claim) -> bool | None:
    """A display that tells nothing is `unverified` by the device's own word."""
    on, own_doubt = claim.detail["on"], claim.detail.get(UNVERIFIED) is True
    if own_doubt and on is None:
        return None
    return on is claim.payload.get("on") and (None if own_doubt else True)


def locked(claim: Claim) -> bool | None:
    return claim.detail["locked"] is True


def unlocked(claim: Claim) -> bool | None:
    return claim.detail["locked"] is False


def plays(claim: Claim) -> bool | None:
    """What was asked for plays, by its name. What an address has to show may have a name of its own."""
    current = claim.detail["current_content"]
    if not isinstance(current, str) or not current:
        return False
    if "url" in claim.payload:
        return True if current == claim.payload["url"] else None
    return claim.known.named


def identified(claim: Claim) -> bool | None:
    """What is shown, name, address and id, is this player's own."""
    shown = claim.detail["shown"]
    shown_id = shown.get("id") if isinstance(shown, Mapping) else None
    return None if shown_id is None else shown_id == claim.player_id and not isinstance(shown_id, bool)


def freed(claim: Claim) -> bool | None:
    count = claim.detail["bytes_freed"]
    return None if _is_number(count) and count >= 0 else False


def exited(claim: Claim) -> bool | None:
    """A program that failed is no success; what one that ended well has done, only the device knows."""
    status = claim.detail["exit_status"]
    return None if status == 0 and not isinstance(status, bool) else False


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _complete(known: Known) -> bool:
    """Whether no greeting since the command went out is missing, and none is from before they were kept."""
    return (
        bool(known.greetings)
        and known.greetings[0].epoch == known.epoch
        and all(each.boot_id is not None and each.agent_version is not None for each in known.greetings)
    )


def _changed(greeted: Sequence[str | None], before: Any, after: Any, complete: bool) -> bool | None:
    """Whether something that every `hello` tells became `after` where it was `before`.

    A command only starts after a welcome, so the greetings know what was before it. What came after may have gone again
    without a `hello`, as when a machine loses its power twice; but then it is not what it was before.
    """
    if before in greeted and after in greeted[greeted.index(before) + 1 :]:
        return True
    if complete and (before not in greeted or greeted[-1] == before):
        return False
    return None
