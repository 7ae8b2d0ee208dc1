"""All of AdCast's API, under /api."""

from typing import Any

from pydantic import BaseModel

from hub.api.adcast import answers as a
from hub.api.adcast import auth, bodies, device, devices
from hub.api.adcast.shapes import failure
from hub.api.endpoint import Endpoint
from hub.api.v1.answers import Done

ADCAST: dict[str, Any] = {"owner": "adcast", "rate": "adcast.token", "failure": failure}

ACCOUNTS, DEVICES, PLAYERS = ("AdCast: accounts",), ("AdCast: devices",), ("AdCast: players",)

DEVICE = "/api/devices/{device_id:int}"
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

    Endpoint("POST", "/api/device/register", device.register_device, summary="Register a player that polls",
             tags=PLAYERS, **UUID, body=bodies.DeviceRegistration, answers={200: a.Registered}, errors=(404, 429)),
    Endpoint("POST", "/api/device/heartbeat", device.send_heartbeat, summary="Send a heartbeat", tags=PLAYERS, **UUID,
             body=bodies.Heartbeat, answers={200: a.Beat}, errors=(404,)),
)  # fmt: skip
