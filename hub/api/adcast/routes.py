"""All of AdCast's API, under /api."""

from typing import Any

from hub.api.adcast import answers as a
from hub.api.adcast import auth, bodies
from hub.api.adcast.shapes import failure
from hub.api.endpoint import Endpoint
from hub.api.v1.answers import Done

ADCAST: dict[str, Any] = {"owner": "adcast", "rate": "adcast.token", "failure": failure}

ACCOUNTS = ("AdCast: accounts",)

ENTRIES = (
    Endpoint("POST", "/api/auth/register", auth.register, summary="Register", tags=ACCOUNTS, **ADCAST,
             needs_auth=False, body=bodies.Registration, answers={201: a.LoggedIn}, errors=(403, 429, 503)),
    Endpoint("POST", "/api/auth/login", auth.login, summary="Log in", tags=ACCOUNTS, **ADCAST, needs_auth=False,
             body=bodies.Login, answers={200: a.LoggedIn}, errors=(401, 429, 503)),
    Endpoint("POST", "/api/auth/logout", auth.logout, summary="Log out", tags=ACCOUNTS, **ADCAST,
             answers={200: Done}),
    Endpoint("GET", "/api/auth/user", auth.current_user, summary="Who am I", tags=ACCOUNTS, **ADCAST,
             answers={200: a.CurrentUser}),
)  # fmt: skip
