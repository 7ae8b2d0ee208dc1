"""People of the team and their credentials."""

from typing import Any

from hub.api.http.endpoint import Endpoint
from hub.api.v1.answers import Done, Many, One
from hub.api.v1.people import answers as a
from hub.api.v1.people import bodies, keys, members, oauth_clients, team

ADMIN: dict[str, Any] = {"scope": "admin"}
KEYS, MEMBERS, TEAM, OAUTH = ("API keys",), ("Members",), ("Team",), ("OAuth clients",)

KEY, MEMBER = "/api/v1/api-keys/{key_id:int}", "/api/v1/members/{user_id:int}"
CLIENT = "/api/v1/oauth-clients/{client_number:int}"

ENTRIES = (
    Endpoint("GET", "/api/v1/api-keys", keys.list_keys, summary="List API keys", tags=KEYS, **ADMIN,
             answers={200: Many[a.Key]}),
    Endpoint("POST", "/api/v1/api-keys", keys.create_key, summary="Create an API key", tags=KEYS, **ADMIN,
             body=bodies.NewKey, answers={201: One[a.NewSecret]}),
    Endpoint("GET", KEY, keys.get_key, summary="Get an API key", tags=KEYS, **ADMIN, answers={200: One[a.KeyDetail]}),
    Endpoint("POST", KEY + "/rotate", keys.rotate_key, summary="Rotate an API key", tags=KEYS, **ADMIN,
             answers={200: One[a.NewSecret]}),
    Endpoint("PATCH", KEY, keys.change_key, summary="Change an API key", tags=KEYS, **ADMIN, body=bodies.KeyChanges,
             answers={200: One[a.Key]}),
    Endpoint("DELETE", KEY, keys.revoke_key, summary="Revoke an API key", tags=KEYS, **ADMIN,
             answers={200: Done}),

    Endpoint("GET", "/api/v1/members", members.list_members, summary="List members", tags=MEMBERS, **ADMIN,
             answers={200: Many[a.Member]}),
    Endpoint("POST", "/api/v1/members", members.create_member, summary="Add a member", tags=MEMBERS, **ADMIN,
             body=bodies.NewMember, answers={201: One[a.MemberPassword]}),
    Endpoint("GET", MEMBER, members.get_member, summary="Get a member", tags=MEMBERS, **ADMIN,
             answers={200: One[a.Member]}),
    Endpoint("PATCH", MEMBER, members.change_member, summary="Change a member", tags=MEMBERS, **ADMIN, versioned=True,
             body=bodies.MemberChanges, answers={200: One[a.MemberPassword]}, errors=(409,)),
    Endpoint("DELETE", MEMBER, members.delete_member, summary="Remove a member", tags=MEMBERS, **ADMIN,
             answers={200: Done}, errors=(409,)),

    Endpoint("GET", "/api/v1/me", team.get_me, summary="Who am I", tags=TEAM, answers={200: One[a.Me]}),
    Endpoint("PATCH", "/api/v1/me", team.change_me, summary="Change my name or password", tags=TEAM,
             body=bodies.OwnChanges, answers={200: One[a.Me]}, errors=(429,)),
    Endpoint("GET", "/api/v1/team", team.get_team, summary="Get the team", tags=TEAM,
             answers={200: One[a.TeamDetail]}),
    Endpoint("GET", "/api/v1/team/limits", team.get_limits, summary="Get the team's limits", tags=TEAM,
             answers={200: One[a.TeamQuotas]}),
    Endpoint("PATCH", "/api/v1/team", team.change_team, summary="Change the team", tags=TEAM, **ADMIN,
             body=bodies.TeamChanges, answers={200: One[a.TeamDetail]}),

    Endpoint("PATCH", "/api/v1/teams/{team_id:int}", team.change_plan, summary="Set a team's plan", tags=TEAM, **ADMIN,
             body=bodies.PlanChange, answers={200: One[a.TeamPlan]}),

    Endpoint("GET", "/api/v1/oauth-clients", oauth_clients.list_oauth_clients, summary="List OAuth clients",
             tags=OAUTH, **ADMIN, answers={200: Many[a.OAuthClient]}),
    Endpoint("POST", "/api/v1/oauth-clients", oauth_clients.create_oauth_client, summary="Register an OAuth client",
             tags=OAUTH, **ADMIN, body=bodies.NewOAuthClient, answers={201: One[a.OAuthClientSecret]}, errors=(409,)),
    Endpoint("GET", CLIENT, oauth_clients.get_oauth_client, summary="Get an OAuth client", tags=OAUTH, **ADMIN,
             answers={200: One[a.OAuthClient]}),
    Endpoint("PATCH", CLIENT, oauth_clients.change_oauth_client, summary="Change an OAuth client", tags=OAUTH, **ADMIN,
             body=bodies.OAuthClientChanges, versioned=True, answers={200: One[a.OAuthClient]}),
    Endpoint("DELETE", CLIENT, oauth_clients.delete_oauth_client, summary="Delete an OAuth client", tags=OAUTH,
             **ADMIN, answers={200: Done}),
    Endpoint("GET", "/api/v1/oauth-grants", oauth_clients.list_oauth_grants, summary="List what was allowed",
             tags=OAUTH, **ADMIN, answers={200: Many[a.OAuthGrant]}),
    Endpoint("DELETE", "/api/v1/oauth-grants/{grant_id:int}", oauth_clients.end_oauth_grant, summary="End a grant",
             tags=OAUTH, **ADMIN, answers={200: Done}),
)  # fmt: skip
