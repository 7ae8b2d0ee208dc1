"""People of the team and their credentials."""

from typing import Any

from hub.api.endpoint import Endpoint
from hub.api.v1.answers import Done, Many, One
from hub.api.v1.people import answers as a
from hub.api.v1.people import bodies, keys

ADMIN: dict[str, Any] = {"scope": "admin"}
KEYS = ("API keys",)

KEY = "/api/v1/api-keys/{key_id:int}"

ENTRIES = (
    Endpoint("GET", "/api/v1/api-keys", keys.list_keys, summary="List API keys", tags=KEYS, **ADMIN,
             answers={200: Many[a.Key]}),
    Endpoint("POST", "/api/v1/api-keys", keys.create_key, summary="Create an API key", tags=KEYS, **ADMIN,
             body=bodies.NewKey, answers={201: One[a.NewSecret]}),
    Endpoint("POST", KEY + "/rotate", keys.rotate_key, summary="Rotate an API key", tags=KEYS, **ADMIN,
             answers={200: One[a.NewSecret]}),
    Endpoint("DELETE", KEY, keys.revoke_key, summary="Revoke an API key", tags=KEYS, **ADMIN,
             answers={200: Done}),
)  # fmt: skip
