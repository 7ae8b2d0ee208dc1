"""What a player is sent: everything that it needs to go on by itself until the timeline ends, and the name of that."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import orjson

from hub.domain import weather
from hub.domain.program import (
    Asset,
    Circumstances,
    Layout,
    Segment,
    Shown,
    Step,
    World,
    compile_segments,
    horizon,
)
from hub.domain.times import rfc3339, rfc3339_or_none


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
    def steps(self) -> int:
        """How many steps all of its chains have: by them it is large or small."""
        return sum(len(segment.chain) for segment in self.segments)

    @property
    def asset_ids(self) -> list[int]:
        return [int(id) for id in self.body["assets"]]


def manifest(world: World, here: Circumstances, at: int, conditions: Mapping[str, bool]) -> Manifest:
    """`conditions` says of each condition on the weather whether it holds now."""
    start, end = horizon(here, at)
    segments = compile_segments(world, here, start, end)
    end = segments[-1].end
    notices = (world.notices[index] for index in here.notices)
    body = {
        "valid_until": rfc3339(end),
        "timezone": here.timezone,
        "timeline": [entry(segment) for segment in segments],
        "conditions": dict(conditions),
        **contents(world, {step.shown for segment in segments for step in segment.chain}),
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
    revision = hashlib.sha256(orjson.dumps(body, option=orjson.OPT_SORT_KEYS)).hexdigest()[:32]
    return Manifest(revision, segments, body)


def contents(world: World, shown: set[Shown]) -> dict[str, Any]:
    """`playlists`, `layouts` and `assets` of all that is shown, by id; what no asset is there for is left out."""
    layouts = sorted({one.id for one in shown if one.kind == "layout"} & world.layouts.keys())
    zones = [zone for id in layouts for zone in world.layouts[id].zones]
    wanted = {one.id for one in shown if one.kind == "playlist"} | {zone.playlist_id or 0 for zone in zones}
    playlists = sorted(wanted & world.playlists.keys())
    items = [item for id in playlists for item in world.playlists[id].items]
    assets = sorted(({zone.asset_id or 0 for zone in zones} | {item.asset_id for item in items}) & world.assets.keys())
    return {
        "playlists": {str(id): playlist_told(world, id) for id in playlists},
        "layouts": {str(id): _layout(world.layouts[id]) for id in layouts},
        "assets": {str(id): asset_told(world.assets[id]) for id in assets},
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


def playlist_told(world: World, playlist_id: int) -> dict[str, Any]:
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
