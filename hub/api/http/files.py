"""Files as HTTP hands them out: whole, in part (RFC 9110, one range), or not at all when the caller has them; and the
way on for assets that are addresses. Every face that lets somebody download an asset answers with `send`.

An address is whatever its team has written, so only programs are sent there. A browser that opens the link shows where
it leads instead: else whoever has a team could lend the hub's name to any page.
"""

import re
from collections.abc import Mapping
from typing import Final

from starlette.responses import PlainTextResponse, Response

from hub.api import parameters
from hub.api.http.endpoint import Call
from hub.api.http.responses import Answer
from hub.api.streaming import send_file
from hub.services.downloads import Download

_RANGE = re.compile(r"bytes=\s*(?:(\d{1,18})\s*)?-\s*(?:(\d{1,18})\s*)?", re.IGNORECASE)
_RANGE_MOST: Final = 100  # characters; the two numbers have 18 digits each
_NO_SCRIPT: Final = "default-src 'none'; img-src 'self'; media-src 'self'; style-src 'unsafe-inline'; sandbox"
_HARMLESS: Final = ("image/", "video/", "audio/")
_RUNS_SCRIPT: Final = frozenset({"image/svg+xml"})


async def send(call: Call, download: Download, *, cache_control: str = "private, max-age=3600") -> Answer | Response:
    """200, 206, 302, 304 or 416. The bytes of an asset never change, so its ETag is their SHA-256."""
    if download.open is None:
        return _elsewhere(call, download.source_url or "")
    tag = f'"{download.tag}"'
    headers = {"etag": tag, "accept-ranges": "bytes", "cache-control": cache_control}
    asked = call.request.headers
    if _names(asked.get("if-none-match"), tag):
        return Response(status_code=304, headers=headers)
    span = None
    if call.scope["method"] in ("GET", "HEAD") and asked.get("if-range", tag) == tag:
        span = _span(asked.get("range"), download.size)
    if span is not None and span[0] >= span[1]:
        error = {"message": f"There are {download.size:,} bytes.", "code": "range_not_satisfiable"}
        return Answer(416, error, {"content-range": f"bytes */{download.size}", "accept-ranges": "bytes"})
    start, end = span or (0, download.size)
    if span is not None:
        headers["content-range"] = f"bytes {start}-{end - 1}/{download.size}"
    headers |= {
        "content-length": str(end - start),
        "content-type": download.mime,
        "content-disposition": disposition(download.filename, download.mime),
        "content-security-policy": _NO_SCRIPT,
    }
    status = 206 if span is not None else 200
    if call.scope["method"] == "HEAD":
        return Response(status_code=status, headers=headers)
    return await send_file(call, download.team_id, await download.open(start, end), headers, status)


def _elsewhere(call: Call, address: str) -> Response:
    headers = {"cache-control": "private, no-store", "referrer-policy": "no-referrer"}  # links hold what lets one in
    if _is_opened(call.request.headers):
        text = f"This content is not on this hub. Its address is:\n\n{address}\n"
        return PlainTextResponse(text, 200, {**headers, "content-security-policy": _NO_SCRIPT})
    return Response(status_code=302, headers={**headers, "location": address})


def _is_opened(headers: Mapping[str, str]) -> bool:
    """Whether a browser asks in order to show the answer as a page, or in one; old ones say it by Accept alone."""
    mode = headers.get("sec-fetch-mode")
    return "text/html" in headers.get("accept", "").lower() if mode is None else mode.strip() == "navigate"


def disposition(filename: str | None, mime: str) -> str:
    """Content-Disposition, with the name as RFC 6266 has it. What a browser might run is always saved, never shown."""
    shown = mime.startswith(_HARMLESS) and mime not in _RUNS_SCRIPT
    return parameters.disposition("inline" if shown else "attachment", filename or "file")


def _names(tags: str | None, tag: str) -> bool:
    """Whether If-None-Match names the tag; weak ones count."""
    if tags is None:
        return False
    return tags.strip() == "*" or tag in (each.strip().removeprefix("W/") for each in tags.split(","))


def _span(text: str | None, size: int) -> tuple[int, int] | None:
    """(first byte, byte after the last) of a Range of one part; empty when it lies outside. None for no range, and for
    what we do not serve in parts: several ranges, and what cannot be read or is longer than any range need be."""
    found = _RANGE.fullmatch(text) if text is not None and len(text) <= _RANGE_MOST else None
    if found is None or not (found[1] or found[2]):
        return None
    if not found[1]:
        return (max(0, size - int(found[2])), size) if int(found[2]) else (size, size)
    start = int(found[1])
    end = min(int(found[2]) + 1, size) if found[2] else size
    if found[2] and int(found[2]) < start:
        return None
    return start, end
