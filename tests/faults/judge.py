"""What must be true after the storm, from what was asked, what the hub tells, and what happened on the device."""

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from tests.faults.client import Asked
from tests.faults.deed import NAMELESS

ONCE = ("reboot", "custom:stamp")

LEGAL = re.compile(r"queued( sent)*( acknowledged)?( finished:(?P<state>\w+))")
"""The life of a command as its events tell it. A command that was sent and did not arrive is sent again; a result
implies the acknowledgement that a dying hub did not write. Nothing is late here: no deadline is near."""


@dataclass(slots=True)
class Seen:
    """One run, as seen from outside.

    stories     every command that the hub lists
    again       the id that each request got when it was repeated at the end, by its key
    events      the event log, oldest first
    lines       one per run on the device, as `deed.py` writes it
    pictures    sha256 of each picture as served, by the command that took it
    volume      what the device is set to
    open        ids in the device's journal whose outcome is not confirmed
    agent_died  Unix times in ms
    """

    asked: Sequence[Asked]
    stories: Sequence[Mapping[str, Any]]
    again: Mapping[str, str] = field(default_factory=dict)
    events: Sequence[Mapping[str, Any]] = ()
    lines: Sequence[str] = ()
    pictures: Mapping[str, str] = field(default_factory=dict)
    volume: int | None = None
    open: Sequence[str] = ()
    agent_died: Sequence[int] = ()


def judge(seen: Seen) -> list[str]:
    """What is wrong, one line each."""
    found: list[str] = []
    stories = {story["id"]: story for story in seen.stories}
    runs = _runs(seen)
    ids = {asked.command_id for asked in seen.asked}
    found += [f"{one} was accepted and is gone" for one in ids - stories.keys()]
    found += [f"{one} exists, and nobody asked for it" for one in stories.keys() - ids]
    found += [f"two requests became one command, {one}" for one, n in Counter(_ids(seen.asked)).items() if n > 1]
    found += [
        f"request {asked.key} got {asked.command_id} first and {seen.again[asked.key]} when it was repeated"
        for asked in seen.asked
        if seen.again.get(asked.key, asked.command_id) != asked.command_id
    ]
    found += [f"a line of {one}: no such command" for one in runs.keys() - ids]
    found += [f"{one} ran {n} times" for one, n in runs.items() if n > 1]
    found += [f"{one}: the device waits for a confirmation that does not come" for one in seen.open]
    told = _told(seen.events)
    for asked in seen.asked:
        if asked.command_id in stories:
            story = stories[asked.command_id]
            faults = [*_outcome(asked, story, runs[asked.command_id], ids, seen), *_tale(story, told)]
            found += [f"{story['command']} {story['id']} is {story['status']}: {fault}" for fault in faults]
    found += _left_behind(seen)
    return found


def _runs(seen: Seen) -> Counter[str]:
    """How often each command ran. A nameless line belongs to a reboot that was interrupted and has no line of its own;
    where there is none it stays what nobody asked for."""
    names = {asked.body["payload"].get("name", asked.command_id): asked.command_id for asked in seen.asked}
    runs = Counter(names.get(line, line) for line in seen.lines)
    interrupted = [
        story["id"] for story in seen.stories if story["command"] == "reboot" and story["status"] == "failed"
    ]
    for one in [one for one in interrupted if not runs[one]][: runs[NAMELESS]]:
        runs[one] += 1
        runs[NAMELESS] -= 1
    return +runs


def _ids(asked: Sequence[Asked]) -> list[str]:
    return [one.command_id for one in asked]


def _outcome(asked: Asked, story: Mapping[str, Any], runs: int, ids: set[str], seen: Seen) -> list[str]:
    """Why this final state cannot be true."""
    status, command, detail = story["status"], story["command"], story["detail"] or {}
    once = command in ONCE
    error = (story["error"] or {}).get("code")
    if status == "succeeded":
        if once and runs != 1:
            return [f"it ran {runs} times"]
        if command == "set_volume" and detail.get("volume") != asked.body["payload"]["volume"]:
            return [f"the evidence says {detail}"]
        if command == "take_screenshot" and seen.pictures.get(story["id"]) != detail.get("sha256"):
            return [f"its picture has the digest {seen.pictures.get(story['id'])}, the result says {detail}"]
        return []
    if status == "failed":
        begin, end = _span(story["id"], seen.events)
        explained = any(begin <= at <= end for at in seen.agent_died)
        if not (once and error == "interrupted" and explained):
            return [f"no kill explains {error}"]
        return []
    if status == "cancelled":
        if once and runs:
            return ["but it ran"]
        superseded = command == "set_volume" and story["superseded_by"] in ids
        return [] if asked.cancelled or superseded else ["nobody called it back"]
    if status == "expired":
        return [] if asked.body.get("ttl_s") == 1 and not runs else ["its deadline was far, or it ran"]
    return ["which nothing here leads to"]


def _told(events: Sequence[Mapping[str, Any]]) -> dict[str, str]:
    """By command: what its events say, in order."""
    told: dict[str, list[str]] = {}
    for event in events:
        kind, _, what = event["event"].partition(".")
        if kind == "command":
            ending = f":{event['data']['status']}" if what == "finished" else ""
            told.setdefault(event["data"]["command_id"], []).append(what + ending)
    return {one: " ".join(words) for one, words in told.items()}


def _tale(story: Mapping[str, Any], told: Mapping[str, str]) -> list[str]:
    tale = told.get(story["id"], "")
    legal = LEGAL.fullmatch(tale)
    if legal is None or legal["state"] != story["status"]:
        return [f"its events are: {tale or 'none'}"]
    if story["status"] in ("succeeded", "failed") and " sent" not in tale:
        return [f"it was never sent: {tale}"]
    steps = [story[name] for name in ("created_at", "sent_at", "acknowledged_at", "finished_at") if story[name]]
    return [] if steps == sorted(steps, key=_ms) else [f"its times run backwards: {steps}"]


def _left_behind(seen: Seen) -> list[str]:
    """Whether the device is what the last success says."""
    done = sorted(
        (story for story in seen.stories if story["command"] == "set_volume" and story["status"] == "succeeded"),
        key=lambda story: str(story["id"]),
    )
    if not done or done[-1]["payload"]["volume"] == seen.volume:
        return []
    return [f"the last volume that succeeded was {done[-1]['payload']['volume']}, the device has {seen.volume}"]


def _ms(time: str) -> int:
    return round(datetime.fromisoformat(time).timestamp() * 1000)


def _span(command_id: str, events: Sequence[Mapping[str, Any]]) -> tuple[int, int]:
    """Unix times in ms from the second of the first event of a command to the end of that of the last one."""
    times = [_ms(event["timestamp"]) for event in events if event["data"].get("command_id") == command_id]
    return (min(times), max(times) + 999) if times else (0, 0)
