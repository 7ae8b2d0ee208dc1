"""What the hub speaks of Hangar's API, under /api/v1. Its own calls for API keys are at /api/v1/api-keys."""

from typing import Any

from hub.api.hangar import answers as a
from hub.api.hangar import bodies, calls
from hub.api.http.endpoint import Endpoint

HANGAR: dict[str, Any] = {"owner": "hangar", "tags": ("Hangar",)}
PUBLIC: dict[str, Any] = {**HANGAR, "needs_auth": False, "anonymous": True}
KEYS: dict[str, Any] = {**HANGAR, "scope": "admin"}

ENTRIES = (
    Endpoint("POST", "/api/v1/authenticate", calls.authenticate_key, summary="Exchange an API key for a JWT", **HANGAR,
             needs_auth=False, query=bodies.KeyExchange, answers={200: a.Session}, errors=(401,)),

    Endpoint("POST", "/api/v1/keys", calls.create_own_key, summary="Create a key of yours", **KEYS,
             body=bodies.NewKey, answers={201: None}, produces="text/plain", errors=(409,)),
    Endpoint("GET", "/api/v1/keys", calls.list_own_keys, summary="List your keys", **KEYS, answers={200: a.Keys}),
    Endpoint("DELETE", "/api/v1/keys", calls.delete_own_key, summary="Delete a key of yours", **KEYS,
             query=bodies.KeyName, answers={204: None}, errors=(404, 409)),

    Endpoint("GET", "/api/v1/permissions", calls.show_permissions, summary="Show your permissions", **PUBLIC,
             query=bodies.Subject, answers={200: a.Permissions, 304: None}, errors=(404,)),
    Endpoint("GET", "/api/v1/permissions/hasAll", calls.has_all, summary="Have you all of these", **PUBLIC,
             query=bodies.PermissionQuestion, answers={200: a.Check, 304: None}, errors=(404,)),
    Endpoint("GET", "/api/v1/permissions/hasAny", calls.has_any, summary="Have you any of these", **PUBLIC,
             query=bodies.PermissionQuestion, answers={200: a.Check, 304: None}, errors=(404,)),

    Endpoint("GET", "/api/v1/users", calls.show_users, summary="List users", **PUBLIC, query=bodies.People,
             answers={200: a.Users, 304: None}),
    Endpoint("GET", "/api/v1/users/{user}", calls.get_user, summary="Get a user", **PUBLIC,
             answers={200: a.User, 304: None}),
    Endpoint("GET", "/api/v1/staff", calls.get_staff, summary="List staff", **PUBLIC, query=bodies.People,
             answers={200: a.Users, 304: None}),
)  # fmt: skip
