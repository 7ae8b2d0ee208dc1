"""The manifest as this device follows it: what plays at which time, from the timeline that the hub has compiled.

Zones of a layout are one screen here: the first that has something to show is shown, on the whole of it.
"""

import re
from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

from device_agent.players.source import PAGES, STREAMS, is_address
from hub.protocol.json_text import loads
from hub.protocol.times import read_time

LARGEST_BYTES = 8 * 1024 * 1024
"""Of a manifest: five thousand windows and some thousand assets."""

FOREVER = 1 << 62

_SHA256 = re.compile("[0-9a-f]{64}")  # becomes the name of a file


class ManifestFault(Exception):
    """This is no manifest that can be followed."""


@dataclass(frozen=True, slots=True)
class Asset:
    """`url` is that of an address; a file has `sha256` and `size`, and only by these it is found."""

    id: int
    type: str
    name: str
    url: str
    sha256: str | None
    size: int
    duration_s: int | None

    @property
    def sound(self) -> bool:
        """Whether it is a file, or an address that leads off this device."""
        return self.sha256 is not None or is_address(self.url, STREAMS if self.type == "livestream" else PAGES)


@dataclass(frozen=True, slots=True)
class Item:
    asset: Asset
    duration_s: int | None
    campaign_id: int | None = None


@dataclass(frozen=True, slots=True)
class Showing:
    """What plays, item after item and again from the first. No items: nothing."""

    items: tuple[Item, ...] = ()
    playlist_id: int | None = None
    layout_id: int | None = None
    schedule_id: int | None = None


class Contents:
    """Assets and playlists, as the hub tells them. `types` are those that the player can show."""

    def __init__(self, told: dict[str, Any], types: Collection[str]) -> None:
        """Raises LookupError, TypeError, ValueError or AttributeError for what cannot be read."""
        self._types = types
        self.assets = {int(id): _asset(int(id), one) for id, one in told["assets"].items()}
        self._playlists = {int(id): self._playlist(one["items"]) for id, one in told["playlists"].items()}

    def playlist(self, playlist_id: int) -> Showing | None:
        """A playlist, with what the player can show of it; whenever it is to play."""
        items = self._playlists.get(playlist_id)
        return None if items is None else Showing(items, playlist_id=playlist_id)

    def asset(self, asset_id: int, duration_s: int | None = None) -> Showing | None:
        """One asset, for so long at a time. Without items where the player cannot show it."""
        asset = self.assets.get(asset_id)
        if asset is None:
            return None
        return Showing((Item(asset, duration_s or asset.duration_s),) if self._can(asset) else ())

    def _playlist(self, items: list[dict[str, Any]]) -> tuple[Item, ...]:
        found = (Item(self.assets[one["asset_id"]], _seconds(one["duration_s"]), one["campaign_id"]) for one in items)
        return tuple(item for item in found if self._can(item.asset))

    def _can(self, asset: Asset) -> bool:
        return asset.type in self._types and asset.sound


def read_contents(data: bytes, types: Collection[str]) -> Contents:
    """What a `play` command is to show. Raises ManifestFault."""
    try:
        return Contents(loads(data.decode()), types)
    except (LookupError, TypeError, ValueError, AttributeError, RecursionError) as fault:
        raise ManifestFault(f"what to show cannot be read: {fault!r}") from None


class Program(Contents):
    """A manifest, read. Times are Unix milliseconds by the hub's clock. `types` are those that the player can show."""

    def __init__(self, data: bytes, types: Collection[str]) -> None:
        """Raises ManifestFault."""
        if len(data) > LARGEST_BYTES:
            raise ManifestFault("the manifest is too large")
        try:
            manifest = loads(data.decode())
            self.revision: str = _text(manifest["revision"])
            self.generated_at = read_time(manifest["generated_at"])
            self._windows = [(read_time(one["from"]), read_time(one["to"]), one) for one in manifest["timeline"]]
            self._conditions: dict[str, Any] = dict(manifest["conditions"])
            super().__init__(manifest, types)
            self._layouts = {int(id): self._layout(one["zones"]) for id, one in manifest["layouts"].items()}
            for window in self._windows:
                self._resolve(window[2])
        except (LookupError, TypeError, ValueError, AttributeError, RecursionError) as fault:
            raise ManifestFault(f"the manifest cannot be read: {fault!r}") from None
        if not self._windows:
            raise ManifestFault("the manifest has no timeline")

    def at(self, now: int) -> tuple[Showing, int]:
        """What plays at a time, and until when. After its end the timeline's last window stays: an old program is
        better than a dark screen."""
        for start, end, window in self._windows:
            if now < end:
                return self._resolve(window), end if now >= start else start
        return self._resolve(self._windows[-1][2]), FOREVER

    def files(self, now: int) -> list[Asset]:
        """All files of the manifest, each once: first what plays now, then the others in the order of their need."""
        coming = (self._resolve(window) for _, end, window in self._windows if end > now)
        showings = [self.at(now)[0], *dict.fromkeys(coming)]
        needed = [item.asset for showing in showings for item in showing.items]
        files = {asset.id: asset for asset in (*needed, *self.assets.values()) if asset.sha256 and self._can(asset)}
        return list(files.values())

    def _resolve(self, step: dict[str, Any]) -> Showing:
        while not all(self._conditions.get(name) is True for name in step.get("condition", ())):
            step = step["fallback"]
        schedule_id = step["schedule_id"]
        if step["kind"] == "playlist":
            playlist_id = step["playlist_id"]
            return Showing(self._playlists[playlist_id], playlist_id, None, schedule_id)
        if step["kind"] == "layout":
            items, playlist_id = self._layouts[step["layout_id"]]
            return Showing(items, playlist_id, step["layout_id"], schedule_id)
        return Showing()

    def _layout(self, zones: list[dict[str, Any]]) -> tuple[tuple[Item, ...], int | None]:
        for zone in zones:
            playlist_id, asset = zone["playlist_id"], self.assets.get(zone["asset_id"])
            if playlist_id is not None and self._playlists.get(playlist_id):
                return self._playlists[playlist_id], playlist_id
            if asset is not None and self._can(asset):
                return (Item(asset, asset.duration_s),), None
        return (), None


def _asset(id: int, told: dict[str, Any]) -> Asset:
    sha256, size = told["sha256"], told["size"]
    if sha256 is not None and not (_SHA256.fullmatch(sha256) and type(size) is int and size >= 0):
        raise ValueError("an asset's sha256 or size")
    return Asset(
        id,
        _text(told["type"]),
        _text(told["name"]),
        _text(told["url"]),
        sha256,
        size or 0,
        _seconds(told["duration_s"]),
    )


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError("a text is missing")
    return value


def _seconds(value: Any) -> int | None:
    if value is None:
        return None
    if type(value) is not int or value < 1:
        raise ValueError("a duration")
    return value
