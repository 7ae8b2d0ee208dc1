"""All of AdCast's API, under /api."""

from typing import Any

from pydantic import BaseModel

from hub.api.adcast import answers as a
from hub.api.adcast import auth, bodies, content, device, devices, playlists, schedules
from hub.api.adcast.shapes import failure
from hub.api.http.endpoint import Endpoint
from hub.api.v1.answers import Done

ADCAST: dict[str, Any] = {"owner": "adcast", "rate": "adcast.token", "failure": failure}

ACCOUNTS, DEVICES, PLAYERS = ("AdCast: accounts",), ("AdCast: devices",), ("AdCast: players",)
CONTENT, PLAYLISTS, SCHEDULES = ("AdCast: content",), ("AdCast: playlists",), ("AdCast: schedules",)

DEVICE, ASSET = "/api/devices/{device_id:int}", "/api/content/{content_id:int}"
PLAYLIST, SCHEDULE = "/api/playlists/{playlist_id:int}", "/api/schedules/{schedule_id:int}"
READ: dict[str, Any] = {"scope": "read:content", **ADCAST}
WRITE: dict[str, Any] = {"scope": "write:content", **ADCAST}
UUID: dict[str, Any] = {"owner": "adcast", "rate": "adcast.player", "failure": failure, "needs_auth": False}
DONE: dict[int, type[BaseModel] | None] = {200: Done}

ENTRIES = (
    Endpoint("POST", "/api/auth/register", auth.register_account, summary="Register", tags=ACCOUNTS, **ADCAST,
             needs_auth=False, body=bodies.Registration, answers={201: a.LoggedIn}, errors=(403, 429, 503)),
    Endpoint("POST", "/api/auth/login", auth.log_in, summary="Log in", tags=ACCOUNTS, **ADCAST, needs_auth=False,
             body=bodies.Login, answers={200: a.LoggedIn}, errors=(401, 429, 503)),
    Endpoint("POST", "/api/auth/logout", auth.log_out, summary="Log out", tags=ACCOUNTS, **ADCAST,
             answers={200: Done}),
    Endpoint("GET", "/api/auth/user", auth.current_user, summary="Who am I", tags=ACCOUNTS, **ADCAST,
             answers={200: a.CurrentUser}),

    Endpoint("GET", "/api/devices", devices.list_devices, summary="List devices", tags=DEVICES, scope="read:players",
             **ADCAST, query=bodies.Pages, answers={200: a.Devices}),
    Endpoint("POST", "/api/devices/pair", devices.pair_device, summary="Pair a device", tags=DEVICES, scope="admin",
             **ADCAST, body=bodies.Pair, answers={200: a.Paired}, errors=(409, 429)),
    Endpoint("GET", DEVICE, devices.get_device, summary="Get a device", tags=DEVICES, scope="read:players", **ADCAST,
             answers={200: a.OneDevice}),
    Endpoint("PUT", DEVICE, devices.change_device, summary="Change a device", tags=DEVICES, scope="write:players",
             **ADCAST, body=bodies.DeviceChanges, answers={200: a.OneDevice}),
    Endpoint("DELETE", DEVICE, devices.delete_device, summary="Delete a device", tags=DEVICES, scope="admin",
             **ADCAST, answers=DONE),
    Endpoint("POST", DEVICE + "/command", devices.send_device_command, summary="Send a command (AdCast)", tags=DEVICES,
             scope="write:players", **ADCAST, body=bodies.DeviceCommand, answers={200: a.CommandSent}),
    Endpoint("POST", DEVICE + "/lock", devices.lock_device, summary="Lock a device", tags=DEVICES,
             scope="write:players", **ADCAST, body=bodies.Lock, answers=DONE),
    Endpoint("POST", DEVICE + "/unlock", devices.unlock_device, summary="Unlock a device", tags=DEVICES,
             scope="write:players", **ADCAST, answers=DONE, errors=(422,)),

    Endpoint("GET", "/api/content", content.list_content, summary="List content", tags=CONTENT, **READ,
             query=bodies.ContentFilter, answers={200: a.ContentList}),
    Endpoint("POST", "/api/content", content.create_content, summary="Add content", tags=CONTENT, **WRITE,
             body=bodies.NewContent, multipart=bodies.NewContent, answers={201: a.OneContent}),
    Endpoint("GET", ASSET, content.get_content, summary="Get content", tags=CONTENT, **READ,
             answers={200: a.OneContent}),
    Endpoint("PUT", ASSET, content.change_content, summary="Change content", tags=CONTENT, **WRITE,
             body=bodies.ContentChanges, answers={200: a.OneContent}),
    Endpoint("DELETE", ASSET, content.delete_content, summary="Delete content", tags=CONTENT, **WRITE, answers=DONE),

    Endpoint("GET", "/api/playlists", playlists.list_playlists, summary="List playlists (AdCast)", tags=PLAYLISTS,
             **READ, query=bodies.Pages, answers={200: a.Playlists}),
    Endpoint("POST", "/api/playlists", playlists.create_playlist, summary="Create a playlist (AdCast)", tags=PLAYLISTS,
             **WRITE, body=bodies.NewPlaylist, answers={201: a.OnePlaylist}),
    Endpoint("GET", PLAYLIST, playlists.get_playlist, summary="Get a playlist (AdCast)", tags=PLAYLISTS, **READ,
             answers={200: a.OnePlaylist}),
    Endpoint("PUT", PLAYLIST, playlists.change_playlist, summary="Change a playlist (AdCast)", tags=PLAYLISTS, **WRITE,
             body=bodies.PlaylistChanges, answers={200: a.OnePlaylist}, errors=(409,)),
    Endpoint("DELETE", PLAYLIST, playlists.delete_playlist, summary="Delete a playlist (AdCast)", tags=PLAYLISTS,
             **WRITE, answers=DONE),

    Endpoint("GET", "/api/schedules", schedules.list_schedules, summary="List schedules (AdCast)", tags=SCHEDULES,
             **READ, query=bodies.Pages, answers={200: a.Schedules}),
    Endpoint("POST", "/api/schedules", schedules.create_schedule, summary="Create a schedule (AdCast)",
             tags=SCHEDULES, **WRITE, body=bodies.NewSchedule, answers={201: a.OneSchedule}),
    Endpoint("PUT", SCHEDULE, schedules.change_schedule, summary="Change a schedule (AdCast)", tags=SCHEDULES, **WRITE,
             body=bodies.ScheduleChanges, answers={200: a.OneSchedule}, errors=(409,)),
    Endpoint("DELETE", SCHEDULE, schedules.delete_schedule, summary="Delete a schedule (AdCast)", tags=SCHEDULES,
             **WRITE, answers=DONE),

    Endpoint("POST", "/api/device/register", device.register_device, summary="Register a player that polls",
             tags=PLAYERS, **UUID, body=bodies.DeviceRegistration, answers={200: a.Registered}, errors=(404, 429)),
    Endpoint("POST", "/api/device/heartbeat", device.send_heartbeat, summary="Send a heartbeat", tags=PLAYERS, **UUID,
             body=bodies.Heartbeat, answers={200: a.Beat}, errors=(403, 404, 429)),
    Endpoint("GET", "/api/device/playlist", device.get_playlist, summary="Get what to show now", tags=PLAYERS, **UUID,
             query=bodies.OfDevice, answers={200: a.Program}, errors=(403, 404, 429)),
    Endpoint("GET", "/api/device/content/{content_id:int}/download", device.download_content, summary="Fetch content",
             tags=PLAYERS, **UUID, query=bodies.OfDevice,
             answers={200: None, 206: None, 302: None, 304: None, 416: None}, errors=(403, 429)),
)  # fmt: skip
