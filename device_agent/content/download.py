"""HTTP to the hub, with this player's own token: the manifest, and the files that it names.

All of it blocks and belongs into a thread. The token goes to the hub's own address and nowhere else: whatever host the
manifest names, files are asked for where the player is connected to.
"""

import errno
import hashlib
import re
import threading
from pathlib import Path
from urllib.parse import quote

from device_agent.content.http_get import Get
from device_agent.content.program import LARGEST_BYTES, Asset

TIMEOUT_S = 20.0
"""For the connection and for each piece of the answer."""

PIECE_BYTES = 64 * 1024


class DownloadFault(Exception):
    """It is not here; the text says why. `final`: asking again would not help. `again_s`: the hub has no room for it
    now, nor for other files, and will be asked again in so many seconds."""

    def __init__(self, message: str, *, final: bool = False, again_s: int | None = None) -> None:
        super().__init__(message)
        self.final = final
        self.again_s = again_s


def fetch_asked(hub_url: str, token: str, command_id: str) -> bytes:
    """What a `play` command is to show. Raises DownloadFault."""
    try:
        with _get(hub_url, f"/api/v1/player/commands/{quote(command_id, safe='')}/content", token, {}) as answer:
            _expect(answer, 200)
            return answer.read_all(LARGEST_BYTES)
    except (OSError, ValueError) as error:
        raise DownloadFault(f"what to show did not arrive: {error}") from None


def fetch_manifest(hub_url: str, token: str, known: str | None) -> bytes | None:
    """The manifest, or None when `known` is still its revision. Raises DownloadFault."""
    headers = {"If-None-Match": f'"{known}"'} if known else {}
    try:
        with _get(hub_url, "/api/v1/player/manifest", token, headers) as answer:
            if answer.status == 304:
                return None
            _expect(answer, 200)
            return answer.read_all(LARGEST_BYTES)
    except (OSError, ValueError) as error:
        raise DownloadFault(f"the manifest did not arrive: {error}") from None


def fetch_file(hub_url: str, token: str, asset: Asset, part: Path, stop: threading.Event) -> None:
    """Bring `part` to the whole of an asset's bytes: it goes on after what is there, and is checked at the end.

    Raises DownloadFault; what has arrived stays for the next attempt, unless it is wrong or the disk is full.
    """
    hasher = hashlib.sha256()
    have = _hash_of(part, hasher) if part.exists() else 0
    if have > asset.size:
        part.unlink()
        hasher, have = hashlib.sha256(), 0
    if have < asset.size or asset.size == 0:
        _fetch_rest(hub_url, token, asset, part, have, hasher, stop)
    if hasher.hexdigest() != asset.sha256:
        part.unlink(missing_ok=True)
        raise DownloadFault("the bytes that arrived are others than the manifest names")


def _fetch_rest(
    hub_url: str, token: str, asset: Asset, part: Path, have: int, hasher: "hashlib._Hash", stop: threading.Event
) -> None:
    headers = {"Range": f"bytes={have}-", "If-Range": f'"{asset.sha256}"'} if have else {}
    try:
        with _get(hub_url, f"/api/v1/player/assets/{asset.id}", token, headers) as answer:
            if have and answer.status in (200, 416):
                part.unlink()
                raise DownloadFault("the hub does not go on with what is here; the next attempt begins anew")
            _expect(answer, 206 if have else 200)
            with part.open("ab") as file:
                while piece := answer.read(PIECE_BYTES):
                    have += len(piece)
                    if stop.is_set():
                        raise DownloadFault("the agent is stopping")
                    if have > asset.size:
                        raise DownloadFault("more bytes arrive than the manifest names")
                    file.write(piece)
                    hasher.update(piece)
    except (OSError, ValueError) as error:
        if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
            part.unlink(missing_ok=True)  # what it takes is needed: without room no command can be written down
        raise DownloadFault(f"the file did not arrive: {error}") from None
    if have < asset.size:
        raise DownloadFault(f"the connection ended after {have:,} of {asset.size:,} bytes")


def _get(hub_url: str, path: str, token: str, headers: dict[str, str]) -> Get:
    headers = {"Authorization": f"Bearer {token}", "User-Agent": "signalbox-device-agent", **headers}
    return Get(hub_url.rstrip("/") + path, headers, timeout_s=TIMEOUT_S)


def _expect(answer: Get, status: int) -> None:
    if answer.status != status:
        final = 400 <= answer.status < 500 and answer.status not in (408, 425, 429)
        wait = answer.headers.get("retry-after", "") if answer.status in (429, 503) else ""
        again_s = int(wait) if re.fullmatch("[0-9]{1,9}", wait) else None
        raise DownloadFault(f"the hub answered with HTTP status {answer.status}", final=final, again_s=again_s)


def _hash_of(part: Path, hasher: "hashlib._Hash") -> int:
    size = 0
    with part.open("rb") as file:
        while piece := file.read(PIECE_BYTES):
            hasher.update(piece)
            size += len(piece)
    return size
