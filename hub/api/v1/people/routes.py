"""People of the team and their credentials."""

from typing import Any

from hub.api.endpoint import Endpoint
from hub.api.v1.answers import Done, Many, One
from hub.api.v1.people import answers as a
from hub.api.v1.people import bodies, keys, members, team

ADMIN: dict[str, Any] = {"scope": "admin"}
KEYS, MEMBERS, TEAM = ("API keys",), ("Members",), ("Team",)

KEY, MEMBER = "/api/v1/api-keys/{key_id:int}", "/api/v1/members/{user_id:int}"

ENTRIES = (
    Endpoint("GET", "/api/v1/api-keys", keys.list_keys, summary="List API keys", tags=KEYS, **ADMIN,
             answers={200: Many[a.Key]}),
    Endpoint("POST", "/api/v1/api-keys", keys.create_key, summary="Create an API key", tags=KEYS, **ADMIN,
             body=bodies.NewKey, answers={201: One[a.NewSecret]}),
    Endpoint("POST", KEY + "/rotate", keys.rotate_key, summary="Rotate an API key", tags=KEYS, **ADMIN,
             answers={200: One[a.NewSecret]}),
    Endpoint("PATCH", KEY, keys.change_key, summary="Change an API key", tags=KEYS, **ADMIN, body=bodies.KeyChanges,
             answers={200: One[a.Key]}),
    Endpoint("DELETE", KEY, keys.revoke_key, summary="Revoke an API key", tags=KEYS, **ADMIN,
             answers={200: Done}),

    Endpoint("GET", "/api/v1/members", members.list_members, summary="List members", tags=MEMBERS, **ADMIN,
             answers={200: Many[a.Member]}),
    Endpoint("POST", "/api/v1/members", members.create_member, summary="Add a member", tags=MEMBERS, **ADMIN,
             body=bodies.NewMember, answers={201: One[a.NewMember]}),
    Endpoint("GET", MEMBER, members.get_member, summary="Get a member", tags=MEMBERS, **ADMIN,
             answers={200: One[a.Member]}),
    Endpoint("PATCH", MEMBER, members.change_member, summary="Change a member", tags=MEMBERS, **ADMIN, versioned=True,
             body=bodies.MemberChanges, answers={200: One[a.NewMember]}, errors=(409,)),
    Endpoint("DELETE", MEMBER, members.delete_member, summary="Remove a member", tags=MEMBERS, **ADMIN,
             answers={200: Done}, errors=(409,)),

    Endpoint("GET", "/api/v1/me", team.get_me, summary="Who am I", tags=TEAM, answers={200: One[a.Me]}),
    Endpoint("PATCH", "/api/v1/me", team.change_me, summary="Change my name or password", tags=TEAM,
             body=bodies.OwnChanges, answers={200: One[a.Me]}, errors=(429,)),
    Endpoint("GET", "/api/v1/team", team.get_team, summary="Get the team", tags=TEAM,
             answers={200: One[a.TeamDetail]}),
    Endpoint("PATCH", "/api/v1/team", team.change_team, summary="Change the team", tags=TEAM, **ADMIN,
             body=bodies.TeamChanges, answers={200: One[a.TeamDetail]}),
)  # fmt: skip
