"""Hangar.Media's ids and forms."""

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from hub.api.http.requests import MAX_INTEGER
from hub.domain.access import Actor
from hub.domain.errors import NotFound


async def number(actor: Actor, text: str, look_up: Callable[[Actor, str], Awaitable[int]]) -> int:
    """Our own number for an id in a path: a prefixed one, which `look_up` knows, or the number itself. Raises
    NotFound."""
    if not (text.isascii() and text.isdigit()):
        return await look_up(actor, text)
    found = int(text[:20])
    if not 0 < found <= MAX_INTEGER:
        raise NotFound
    return found


def screen(player: Mapping[str, Any]) -> dict[str, Any]:
    told = {name: player[name] for name in ("name", "status", "ip_address", "last_seen_at")}
    return {"id": player["screen_id"], **told}


def content(asset: Mapping[str, Any]) -> dict[str, Any]:
    told = {name: asset[name] for name in ("name", "type", "status", "url", "thumbnail_url", "created_at")}
    return {"id": asset["content_id"], **told, "duration": asset["duration_s"]}


def schedule(found: Mapping[str, Any]) -> dict[str, Any]:
    names = (
        "name", "is_active", "playlist_id", "days_of_week", "start_time", "end_time", "start_date", "end_date",
        "priority", "conditions", "screen_ids",
    )  # fmt: skip
    return {"id": found["schedule_id"], **{name: found[name] for name in names}}
