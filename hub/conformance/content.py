"""The manifest and the files that the kit serves to a player: two small pictures that take turns."""

import hashlib
import json
import struct
import zlib
from dataclasses import dataclass, field

from hub.protocol.times import write_time

DAY_MS = 86_400_000
SECONDS = 1  # that each picture stays: a report of a showing comes soon


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack("!I", len(data)) + kind + data + struct.pack("!I", zlib.crc32(kind + data))


def png(red: int, green: int, blue: int, width: int = 64, height: int = 36) -> bytes:
    """A picture of one colour."""
    rows = (b"\0" + bytes((red, green, blue)) * width) * height
    head = struct.pack("!IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + _chunk(b"IHDR", head) + _chunk(b"IDAT", zlib.compress(rows)) + _chunk(b"IEND", b"")


@dataclass(slots=True)
class Content:
    """What a revision names. `spoiled` is how often each file is served with a wrong byte before it is right; `asked`
    are the files (`manifest`, or an asset's number) in the order in which they were fetched whole and right."""

    revision: str
    spoiled: int = 0
    asked: list[str] = field(default_factory=list)
    files: dict[str, bytes] = field(default_factory=dict)
    _served: dict[str, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        colours = {"1": (20, 60, 160), "2": (160, 60, 20)}
        # A text beside the picture makes the bytes, and with them the hash, those of this revision alone.
        self.files = {number: png(*colour) + self.revision.encode() for number, colour in colours.items()}

    def manifest(self, base: str, now: int) -> bytes:
        """For a hub at `base` whose clock says `now` (Unix milliseconds)."""
        assets = {
            number: {
                "type": "image",
                "name": f"Picture {number}",
                "url": f"{base}/api/v1/player/assets/{number}",
                "sha256": hashlib.sha256(data).hexdigest(),
                "size": len(data),
                "mime_type": "image/png",
                "duration_s": None,
            }
            for number, data in self.files.items()
        }
        items = [
            {"id": 10 + int(number), "asset_id": int(number), "duration_s": SECONDS, "campaign_id": None}
            for number in self.files
        ]
        window = {"from": write_time(now - DAY_MS), "to": write_time(now + 13 * DAY_MS), "kind": "playlist"}
        whole = {
            "revision": self.revision,
            "generated_at": write_time(now),
            "valid_until": write_time(now + 13 * DAY_MS),
            "timezone": "UTC",
            "timeline": [window | {"playlist_id": 1, "schedule_id": None}],
            "conditions": {},
            "playlists": {"1": {"name": "Conformance", "transition": "none", "items": items}},
            "layouts": {},
            "assets": assets,
            "alerts": [],
        }
        return json.dumps(whole).encode()

    def file(self, number: str) -> bytes | None:
        """The bytes to serve now; None for a file that the manifest does not name."""
        data = self.files.get(number)
        if data is None:
            return None
        served = self._served[number] = self._served.get(number, 0) + 1
        if served <= self.spoiled:
            return bytes([data[0] ^ 0xFF]) + data[1:]
        self.asked.append(number)
        return data
