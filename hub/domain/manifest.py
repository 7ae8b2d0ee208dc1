"""What a player is sent: everything that it needs to go on by itself until the timeline ends, and the name of that."""

import hashlib
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

import orjson

from hub.domain import weather
from hub.domain.program import (
    Asset,
    Layout,
    PlayerContext,
    Segment,
    Shown,
    Step,
    Stock,
    TeamContent,
    horizon,
)
from hub.domain.times import rfc3339, rfc3339_or_none
from hub.domain.work import Work

REVISION_DIGITS: Final = 32  # hexadecimal ones of a SHA-256: 128 bits, of which no two are ever the same
_REVISION = re.compile(rf"[0-9a-f]{{{REVISION_DIGITS}}}")

SOME: Final = 100  # windows or assets told in one stretch, some 10 us each


def is_revision(text: str) -> bool:
    """Whether this has the form of a revision, and so may name a manifest that there was."""
    return _REVISION.fullmatch(text) is not None


@dataclass(frozen=True, slots=True)
class Manifest:
    """All but what differs from call to call: `body` has no `generated_at`, and no address of a file.

    `revision` names what a player would do differently. The timeline begins with the player's own day, so a program
    that nobody changes has one revision a day.
    """

    revision: str
    segments: list[Segment]
    body: dict[str, Any]

    @property
    def weight(self) -> int:
        """How many steps, items and assets it tells: by them it is large or small."""
        items = sum(len(playlist["items"]) for playlist in self.body["playlists"].values())
        return sum(len(segment.chain) for segment in self.segments) + items + len(self.body["assets"])

    @property
    def asset_ids(self) -> list[int]:
        return [int(id) for id in self.body["assets"]]


def shown_in(world: TeamContent, segments: Iterable[Segment]) -> tuple[set[Shown], set[int]]:
    """All that plays at some time, and which playlists that takes: those themselves and those in zones."""
    shown = {step.shown for segment in segments for step in segment.chain}
    layouts = [world.layouts[one.id] for one in shown if one.kind == "layout" and one.id in world.layouts]
    playlists = {one.id for one in shown if one.kind == "playlist"}
    playlists |= {zone.playlist_id or 0 for layout in layouts for zone in layout.zones}
    return shown, playlists & world.playlists.keys()


def making(
    world: TeamContent,
    stock: Stock,
    here: PlayerContext,
    at: int,
    segments: list[Segment],
    conditions: Mapping[str, bool],
) -> Work[Manifest]:
    """The manifest of a timeline that begins with the day of `at`. `stock` has its playlists; `conditions` says of each
    condition on the weather whether it holds now."""
    start, _ = horizon(here, at)
    end = segments[-1].end
    shown, _ = shown_in(world, segments)
    timeline = []
    for number, segment in enumerate(segments):
        if number % SOME == 0:
            yield
        timeline.append(entry(segment))
    notices = (world.notices[index] for index in here.notices)
    body = {
        "valid_until": rfc3339(end),
        "timezone": here.timezone,
        "timeline": timeline,
        "conditions": dict(conditions),
        **(yield from gathering(world, stock, shown)),
        "alerts": [
            {
                "id": str(notice.id),
                "title": notice.title,
                "message": notice.message,
                "severity": notice.severity,
                "from": rfc3339(notice.starts_at),
                "to": rfc3339_or_none(notice.ends_at),
            }
            for notice in notices
            if notice.starts_at < end and (notice.ends_at is None or notice.ends_at > start)
        ],
    }
    hasher = hashlib.sha256()
    for part in encoded(body):
        hasher.update(part)
        yield
    return Manifest(hasher.hexdigest()[:REVISION_DIGITS], segments, body)


def encoded(body: Mapping[str, Any], some: int = SOME) -> Iterator[bytes]:
    """The body as JSON with sorted names, in parts of some kilobytes."""
    for number, name in enumerate(sorted(body)):
        yield (b"," if number else b"{") + orjson.dumps(name) + b":"
        value = body[name]
        if isinstance(value, dict):
            yield from _members(b"{}", [{key: value[key]} for key in sorted(value)])
        elif isinstance(value, list):
            yield from _members(b"[]", [value[at : at + some] for at in range(0, len(value), some)])
        else:
            yield orjson.dumps(value)
    yield b"}"


def _members(brackets: bytes, parts: Iterable[Any]) -> Iterator[bytes]:
    """One list or object of the members of all parts."""
    before = brackets[:1]
    for part in parts:
        yield before + orjson.dumps(part, option=orjson.OPT_SORT_KEYS)[1:-1]
        before = b","
    yield brackets if before != b"," else brackets[1:]


def gathering(world: TeamContent, stock: Stock, shown: set[Shown]) -> Work[dict[str, Any]]:
    """`playlists`, `layouts` and `assets` of all that is shown, by id; what no asset is there for is left out."""
    layouts = sorted({one.id for one in shown if one.kind == "layout"} & world.layouts.keys())
    zones = [zone for id in layouts for zone in world.layouts[id].zones]
    wanted = {one.id for one in shown if one.kind == "playlist"} | {zone.playlist_id or 0 for zone in zones}
    own: dict[int, Asset] = {
        zone.asset_id: world.assets[zone.asset_id]
        for zone in zones
        if zone.asset_id is not None and zone.asset_id in world.assets
    }
    playlists: dict[str, Any] = {}
    for id in sorted(wanted & stock.playlists.keys()):
        yield
        playlists[str(id)] = playlist_told(stock, id)
        for item in stock.playlists[id].items:
            if item.asset_id in stock.assets:
                own[item.asset_id] = stock.assets[item.asset_id]
    assets: dict[str, Any] = {}
    for number, id in enumerate(sorted(own)):
        if number % SOME == 0:
            yield
        assets[str(id)] = asset_told(own[id])
    return {
        "playlists": playlists,
        "layouts": {str(id): _layout(world.layouts[id]) for id in layouts},
        "assets": assets,
    }


def entry(segment: Segment) -> dict[str, Any]:
    """One window of the timeline."""
    told: dict[str, Any] | None = None
    for step in reversed(segment.chain):
        told = _step(step) | ({} if told is None else {"fallback": told})
    return {"from": rfc3339(segment.start), "to": rfc3339(segment.end)} | (told or {})


def _step(step: Step) -> dict[str, Any]:
    told: dict[str, Any] = {"kind": step.shown.kind, "schedule_id": step.schedule}
    if step.shown.id:
        told[f"{step.shown.kind}_id"] = step.shown.id
    if step.conditions:
        told["condition"] = [weather.name_of(condition) for condition in step.conditions]
    return told


def playlist_told(world: Stock, playlist_id: int) -> dict[str, Any]:
    """A playlist with those of its items that can be shown. A duration of None: as long as the asset lasts."""
    playlist = world.playlists[playlist_id]
    items = [
        {
            "id": item.id,
            "asset_id": item.asset_id,
            "duration_s": item.duration_s or world.assets[item.asset_id].duration_s,
            "campaign_id": item.campaign_id,
        }
        for item in playlist.items
        if item.asset_id in world.assets
    ]
    return {"name": playlist.name, "transition": playlist.transition, "items": items}


def _layout(layout: Layout) -> dict[str, Any]:
    zones = [
        {
            "id": zone.id,
            "name": zone.name,
            "x": zone.x,
            "y": zone.y,
            "width": zone.width,
            "height": zone.height,
            "playlist_id": zone.playlist_id,
            "asset_id": zone.asset_id,
        }
        for zone in layout.zones
    ]
    return {"name": layout.name, "width": layout.width, "height": layout.height, "zones": zones}


def asset_told(asset: Asset) -> dict[str, Any]:
    return {
        "type": asset.type,
        "name": asset.name,
        "url": asset.source,
        "sha256": asset.sha256,
        "size": asset.size,
        "mime_type": asset.mime_type,
        "duration_s": asset.duration_s,
    }
