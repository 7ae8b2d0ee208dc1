"""AdCast's words: names of roles, commands and fields, envelopes, errors."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import quote

from hub.api.http.errors import answer_for
from hub.api.http.responses import Answer
from hub.domain.alerts import Raised
from hub.domain.errors import Forbidden, HubError, Invalid
from hub.domain.ids import number_of
from hub.domain.times import rfc3339, rfc3339_or_none

OWNER_ROLE: Final = "tenant_admin"
"""What AdCast calls an owner."""

COMMANDS: Final = {"reload_content": "refresh", "take_screenshot": "screenshot"}
"""AdCast's names of commands, where they are not our own; they are aliases of the catalogue's."""

SCHEDULABLES: Final = {"player": "device"}
"""AdCast's names of what a schedule may be for, where they are not our own."""

MEGABYTE: Final = 1_000_000


def failure(error: HubError) -> Answer:
    """An error as AdCast tells it: what a caller lacks is never named."""
    if isinstance(error, Forbidden) and error.code == "missing_scope":
        error = Forbidden(code=error.code)
    return answer_for(error)


@contextmanager
def told_as(**names: str) -> Iterator[None]:
    """What is wrong with a field of ours is told of the caller's: `told_as(command="type")`."""
    try:
        yield
    except Invalid as error:
        errors = {}
        for field, texts in (error.errors or {}).items():
            before, dot, last = field.rpartition(".")
            told = before + dot + names.get(last, last)
            errors[told] = [text.replace(f"The {field} field", f"The {told} field", 1) for text in texts]
        raise Invalid(error.message, code=error.code, errors=errors) from None


def user(person: dict[str, Any]) -> dict[str, Any]:
    role = OWNER_ROLE if person["role"] == "owner" else person["role"]
    return {"id": person["id"], "name": person["name"], "email": person["email"], "role": role}


def tenant(team: dict[str, Any]) -> dict[str, Any]:
    return {"id": team["id"], "name": team["name"], "plan": team["plan"]}


def listed(things: list[dict[str, Any]], total: int, page: int, per_page: int) -> Answer:
    """A page of a list."""
    meta = {"current_page": page, "last_page": max(1, -(-total // per_page)), "total": total, "per_page": per_page}
    return Answer(200, {"data": things, "meta": meta})


def device(player: Mapping[str, Any]) -> dict[str, Any]:
    """A player as a line of a list."""
    return {
        **{name: player[name] for name in ("id", "name", "status", "model", "os_version", "app_version")},
        "uuid": player["uuid"] or player["screen_id"],
        "last_seen_at": player["last_seen_at"],
        "ip_address": player["ip_address"],
        "device_group_id": player["group_ids"][0] if player["group_ids"] else None,
    }


def device_detail(player: Mapping[str, Any]) -> dict[str, Any]:
    """A player in full. What it was last told and what it last said of being locked may differ: its own word counts,
    where it has one."""
    telemetry, reported = player["telemetry"], player["reported"]
    names = (
        "storage_total_mb", "storage_used_mb", "storage_free_mb", "wifi_signal", "volume", "screen_on",
        "uptime_seconds", "current_content",
    )  # fmt: skip
    readings = {name: _whole(telemetry.get(name)) for name in names}
    readings["volume"] = telemetry.get("volume", reported.get("volume"))
    locked = reported.get("locked", player["settings"].get("locked"))
    return device(player) | readings | {"is_locked": locked is True}


def _whole(value: Any) -> Any:
    """16000 and not 16000.0, as the document shows megabytes."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


def command_ids(command_id: str) -> dict[str, Any]:
    """AdCast's ids are numbers; `command_id` is the one by which all other calls know the command."""
    return {"id": number_of(command_id), "command_id": command_id}


def pending(command: Mapping[str, Any]) -> dict[str, Any]:
    name = command["command"]
    return {**command_ids(command["id"]), "type": COMMANDS.get(name, name), "payload": command["payload"]}


def emergency(alert: Raised) -> dict[str, Any]:
    return {
        "id": alert.id,
        "title": alert.title,
        "message": alert.message,
        "severity": alert.severity,
        "triggered_at": rfc3339(alert.triggered_at),
        "ends_at": rfc3339_or_none(alert.ends_at),
    }


def app_update(release: Mapping[str, Any] | None) -> dict[str, Any] | None:
    """A version of the player software on offer, null when the device has the newest."""
    if release is None:
        return None
    return {name: release[name] for name in ("version", "url", "sha256", "notes", "mandatory")}


def content(asset: Mapping[str, Any]) -> dict[str, Any]:
    return {
        **{name: asset[name] for name in ("id", "name", "type", "status", "thumbnail_url", "source_url")},
        "file_size_mb": None if asset["size"] is None else round(asset["size"] / MEGABYTE, 3),
        "file_hash": asset["sha256"],
        "duration": asset["duration_s"],
        "download_url": asset["url"],
    }


def playlist(found: Mapping[str, Any]) -> dict[str, Any]:
    return {name: found[name] for name in ("id", "name", "transition", "is_default", "items_count")}


def playlist_detail(found: Mapping[str, Any]) -> dict[str, Any]:
    return playlist(found) | {"items": [_item(item) for item in found["items"]]}


def _item(item: Mapping[str, Any]) -> dict[str, Any]:
    asset = item["asset"]
    return {
        "id": item["id"],
        "content_id": item["asset_id"],
        "order": item["order"],
        "duration": asset["duration_s"] if item["duration"] is None else item["duration"],
        "content": content(asset),
    }


def schedule(found: Mapping[str, Any]) -> dict[str, Any]:
    """A schedule as one for its first target; all of them stand beside it."""
    targets = [
        {"type": SCHEDULABLES.get(target["type"], target["type"]), "id": target["id"]} for target in found["targets"]
    ]
    first = targets[0] if targets else {"type": None, "id": None}
    names = (
        "id", "name", "playlist_id", "days_of_week", "start_time", "end_time", "start_date", "end_date", "priority",
        "is_active", "conditions",
    )  # fmt: skip
    return {name: found[name] for name in names} | {
        "schedulable_type": first["type"],
        "schedulable_id": first["id"],
        "schedulables": targets,
    }


@dataclass(frozen=True, slots=True)
class Downloads:
    """Where a player that polls fetches files: at the hub's address as it called it, by its uuid."""

    base_url: str
    uuid: str

    def of(self, content_id: int) -> str:
        return f"{self.base_url}/api/device/content/{content_id}/download?uuid={quote(self.uuid, safe='')}"


def player_playlist(found: Mapping[str, Any], where: Downloads) -> dict[str, Any]:
    """What plays now, as its player is told."""
    items = [_player_item(item, order, where) for order, item in enumerate(found["items"], 1)]
    return {"id": found["id"], "name": found["name"], "transition": found["transition"], "items": items}


def _player_item(item: Mapping[str, Any], order: int, where: Downloads) -> dict[str, Any]:
    asset = item["asset"]
    return {
        "id": item["id"],
        "content_id": item["asset_id"],
        "name": asset["name"],
        "type": asset["type"],
        "download_url": asset["url"] or where.of(item["asset_id"]),
        "duration": item["duration_s"],
        "file_hash": asset["sha256"],
        "order": order,
    }


def to_download(asset: Mapping[str, Any], order: int, where: Downloads) -> dict[str, Any]:
    """A file that its player has yet to fetch, in the form of an item."""
    return {
        "id": asset["id"],
        "content_id": asset["id"],
        "name": asset["name"],
        "type": asset["type"],
        "download_url": where.of(asset["id"]),
        "duration": asset["duration_s"],
        "file_hash": asset["sha256"],
        "order": order,
    }
