"""Authlib, a client that others wrote, against a running hub."""

import asyncio
from pathlib import Path
from typing import Any

import pytest

from tests.api.oauth.browser import CALLBACK, press, registered, sign_in
from tests.harness import PASSWORD, Hub, running_hub, settings

pytest.importorskip("requests")
sessions = pytest.importorskip("authlib.integrations.requests_client")

VERIFIER = "v" * 64

METHODS = ("none", "client_secret_basic", "client_secret_post")


async def test_authlib_gets_in_stays_in_and_leaves(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    async with running_hub(settings(tmp_path)) as hub, asyncio.timeout(60):
        for method in METHODS:
            await visit(hub, method)


async def visit(hub: Hub, method: str) -> None:
    """The whole life of one grant. Authlib waits for its answers, so it does that in a thread."""
    client = await registered(hub.client, confidential=method != "none")
    async with hub.as_(None) as person:
        told = (await person.get("/.well-known/oauth-authorization-server")).json()
        assert method in told["token_endpoint_auth_methods_supported"]
        program = sessions.OAuth2Session(
            client["client_id"],
            client["client_secret"],
            token_endpoint_auth_method=method,
            revocation_endpoint_auth_method=method,
            scope="read:players",
            redirect_uri=CALLBACK,
            code_challenge_method="S256",
        )
        url, state = program.create_authorization_url(told["authorization_endpoint"], code_verifier=VERIFIER)
        question = await sign_in(person, await person.get(url), "owner@example.com", PASSWORD)
        landed = (await press(person, question, "allow")).headers["location"]

    def arrive() -> tuple[Any, Any, Any, Any]:
        first = program.fetch_token(
            told["token_endpoint"], authorization_response=landed, state=state, code_verifier=VERIFIER
        )
        seen = program.get(f"{hub.url}/api/v1/players")
        second = program.refresh_token(told["token_endpoint"], refresh_token=first["refresh_token"])
        return first, seen, second, program.get(f"{hub.url}/api/v1/players")

    first, seen, second, again = await asyncio.to_thread(arrive)
    assert (first["expires_in"], first["scope"]) == (3600, "read:players")
    assert second["access_token"] != first["access_token"]
    assert (seen.status_code, again.status_code) == (200, 200)

    revoked = await asyncio.to_thread(program.revoke_token, told["revocation_endpoint"], second["refresh_token"])
    assert revoked.status_code == 200
    assert (await asyncio.to_thread(program.get, f"{hub.url}/api/v1/players")).status_code == 401
    with pytest.raises(sessions.OAuthError, match="invalid_grant"):
        await asyncio.to_thread(program.refresh_token, told["token_endpoint"], second["refresh_token"])
    await asyncio.to_thread(program.close)
