"""The authorization code grant as a browser and a program meet it."""

import re
import sqlite3
from base64 import b64encode
from contextlib import closing
from html import unescape
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, quote, urlsplit

import httpx2
import pytest

from tests.api.oauth.browser import (
    CALLBACK,
    PASSWORD,
    QUICK_HASH,
    Form,
    Pkce,
    allowed,
    asks,
    brought_back,
    press,
    registered,
    sign_in,
)
from tests.whole_hub import BASE, WholeHub

Client = httpx2.AsyncClient
EMAIL = "owner@acme.example"


@pytest.fixture
def hub(hub: WholeHub, tmp_path: Path) -> WholeHub:
    """The owner can sign in."""
    with closing(sqlite3.connect(tmp_path / "hub.db")) as database, database:
        database.execute("UPDATE users SET password_hash = ? WHERE id = ?", (QUICK_HASH, hub.owner.id))
    return hub


async def exchange(program: Client, client_id: str, code: str, pkce: Pkce, /, **changes: str) -> httpx2.Response:
    body = {
        "grant_type": "authorization_code",
        "client_id": client_id,
        "code": code,
        "redirect_uri": CALLBACK,
        "code_verifier": pkce.verifier,
    } | changes
    return await program.post("/oauth/token", data={name: value for name, value in body.items() if value})


async def test_a_person_lets_a_program_in_and_puts_it_out_again(hub: WholeHub, owner: Client, nobody: Client) -> None:
    client, pkce = await registered(owner), Pkce()
    asked = asks(client["client_id"], pkce)
    page = await nobody.get("/oauth/authorize", params=asked)
    wrong = await sign_in(nobody, page, EMAIL, "wrong password")
    assert wrong.status_code == 401
    assert "do not open an account" in wrong.text
    assert Form(wrong.text).fields["email"] == EMAIL
    assert "wrong password" not in wrong.text

    question = await sign_in(nobody, wrong, EMAIL, PASSWORD)
    assert "Send commands to players" in question.text
    assert "Create and delete players" not in question.text
    assert "acme" in question.text
    assert PASSWORD not in question.text
    back = brought_back(await press(nobody, question, "allow"))
    assert (back["state"], back["iss"], back["tenant"]) == ("s t&te", BASE, "7")

    answer = await exchange(nobody, client["client_id"], back["code"], pkce)
    assert answer.status_code == 200
    assert (answer.headers["cache-control"], answer.headers["pragma"]) == ("no-store", "no-cache")
    tokens = answer.json()
    program = hub.client(tokens["access_token"])
    me = (await program.get("/api/v1/me")).json()["data"]
    assert sorted(me["scopes"]) == ["read:players", "write:players"]
    assert (await program.get("/api/v1/players")).status_code == 200
    assert (await program.post("/api/v1/players", json={"name": "x"})).status_code == 403

    [grant] = (await owner.get("/api/v1/oauth-grants")).json()["data"]
    assert (grant["client"], grant["user"], grant["scopes"]) == (
        client["name"], "Owner", ["read:players", "write:players"])  # fmt: skip
    renewed = await nobody.post("/oauth/token", data={
        "grant_type": "refresh_token", "refresh_token": tokens["refresh_token"], "client_id": client["client_id"]
    })  # fmt: skip
    assert renewed.status_code == 200
    again = hub.client(renewed.json()["access_token"])
    assert (await again.get("/api/v1/players")).status_code == 200

    path = f"/api/v1/oauth-grants/{grant['id']}"
    assert (await (await hub.as_stranger()).delete(path)).status_code == 404
    assert (await owner.delete(path)).json() == {"message": "Grant ended."}
    for one in (program, again):
        assert (await one.get("/api/v1/players")).status_code == 401
    assert (await owner.get("/api/v1/oauth-grants")).json()["data"] == []


async def test_the_pages_run_nothing_are_framed_by_nobody_and_say_what_programs_call_themselves_as_text(
    owner: Client, nobody: Client, hub: WholeHub
) -> None:
    client, pkce = await registered(owner), Pkce()
    asked = asks(client["client_id"], pkce, state='"><script>alert(1)</script>')
    page = await nobody.get("/oauth/authorize", params=asked)
    question = await sign_in(nobody, page, EMAIL, PASSWORD)
    lost = await nobody.get("/oauth/authorize", params={"client_id": "<script>"})
    for shown in (page, question, lost):
        assert shown.headers["content-type"] == "text/html; charset=utf-8"
        policy = shown.headers["content-security-policy"]
        assert policy.startswith("default-src 'none'; style-src 'sha256-")
        assert "frame-ancestors 'none'" in policy
        assert "script-src" not in policy
        assert shown.headers["x-frame-options"] == "DENY"
        assert shown.headers["cache-control"] == "no-store"
        assert "set-cookie" not in shown.headers
        assert "<script" not in shown.text
        assert "<b>board" not in shown.text
        assert not re.findall(r"(?:src|href)=", shown.text)
    assert Form(page.text).fields["state"] == asked["state"]
    assert brought_back(await press(nobody, question, "allow"))["state"] == asked["state"]


async def test_where_the_program_or_its_address_is_in_doubt_nobody_is_sent_anywhere(
    owner: Client, nobody: Client
) -> None:
    client, pkce = await registered(owner), Pkce()
    good = asks(client["client_id"], pkce)
    for changes in (
        {"client_id": "app_unknown"},
        {"client_id": ""},
        {"redirect_uri": ""},
        {"redirect_uri": "https://evil.example/"},
        {"redirect_uri": CALLBACK + "&more=1"},
        {"redirect_uri": CALLBACK.partition("?")[0]},
        {"redirect_uri": CALLBACK.replace("editor", "Editor")},
        {"redirect_uri": "http://127.0.0.1:10/cb"},
    ):
        asked = {name: value for name, value in (good | changes).items() if value}
        answer = await nobody.get("/oauth/authorize", params=asked)
        assert answer.status_code in (400, 404), changes
        sent = await nobody.post("/oauth/authorize", data=asked | {"email": EMAIL, "password": PASSWORD})
        for told in (answer, sent):
            assert "location" not in told.headers
            assert "This did not work" in told.text


async def test_other_errors_are_for_the_program_and_the_person_is_sent_nowhere_unasked(
    owner: Client, nobody: Client
) -> None:
    """The page has the way to the program, with error, state and issuer; the hub's address alone leads nowhere else."""
    client, pkce = await registered(owner), Pkce()
    for changes, error in (
        ({"response_type": "token"}, "unsupported_response_type"),
        ({"response_type": ""}, "unsupported_response_type"),
        ({"code_challenge": ""}, "invalid_request"),
        ({"code_challenge_method": ""}, "invalid_request"),
        ({"code_challenge_method": "plain", "code_challenge": pkce.verifier[:43]}, "invalid_request"),
        ({"scope": "read:everything"}, "invalid_scope"),
        ({"scope": "read:analytics"}, "invalid_scope"),
        ({"scope": " "}, "invalid_scope"),
    ):
        asked = asks(client["client_id"], pkce, **changes)
        for page in (
            await nobody.get("/oauth/authorize", params=asked),
            await nobody.post("/oauth/authorize", data=asked),
            await nobody.post("/oauth/authorize", data=asked | {"ticket": "made-up", "decision": "deny"}),
        ):
            assert (page.status_code, "location" in page.headers) == (400, False), changes
            [link] = re.findall('<a rel="noreferrer" href="([^"]*)">', page.text)
            assert unescape(link).startswith(CALLBACK + "&")
        back = dict(parse_qsl(urlsplit(unescape(link)).query))
        assert (back["error"], back["state"], back["iss"], "code" in back) == (error, "s t&te", BASE, False), changes

    page = await nobody.get("/oauth/authorize", params=asks(client["client_id"], pkce, scope=""))
    question = await sign_in(nobody, page, EMAIL, PASSWORD)
    assert "Create and delete players" in question.text  # all that the client is registered for
    assert brought_back(await press(nobody, question, "deny"))["error"] == "access_denied"
    used = await press(nobody, question, "allow")
    assert (used.status_code, "location" in used.headers) == (410, False)


async def test_a_consent_is_bound_to_the_person_and_to_each_parameter(
    hub: WholeHub, owner: Client, nobody: Client
) -> None:
    client, pkce = await registered(owner), Pkce()
    page = await nobody.get("/oauth/authorize", params=asks(client["client_id"], pkce, scope="read:players"))
    form = Form((await sign_in(nobody, page, EMAIL, PASSWORD)).text)
    for name, value in (
        ("scope", "read:players admin"),
        ("state", "other"),
        ("redirect_uri", "http://127.0.0.1:9/cb"),
        ("code_challenge", Pkce().challenge),
        ("ticket", "0" * 80 + "." + "0" * 64),
    ):
        sent = await nobody.post("/oauth/authorize", data=form.fields | {"decision": "allow", name: value})
        assert (sent.status_code, "location" in sent.headers) == (410, False), name
    unsigned = {name: value for name, value in form.fields.items() if name != "ticket"}
    assert (await nobody.post("/oauth/authorize", data=unsigned | {"decision": "allow"})).status_code == 401
    assert (await nobody.post("/oauth/authorize", data=form.fields | {"decision": "allow"})).status_code == 303

    too_long = await nobody.get("/oauth/authorize", params=asks(client["client_id"], pkce, state="x" * 1_001))
    assert (too_long.status_code, list(too_long.json()["errors"])) == (422, ["state"])


async def test_guessing_passwords_is_paced(owner: Client, nobody: Client) -> None:
    client = await registered(owner)
    page = await nobody.get("/oauth/authorize", params=asks(client["client_id"], Pkce()))
    answers = [await sign_in(nobody, page, EMAIL, f"guess {number}") for number in range(11)]
    assert [answer.status_code for answer in answers] == [401] * 10 + [429]
    assert int(answers[-1].headers["retry-after"]) > 0
    assert (await sign_in(nobody, page, EMAIL, PASSWORD)).status_code == 429
    assert Form(answers[-1].text).fields["client_id"] == client["client_id"]


async def test_programs_prove_themselves_by_header_or_body_and_errors_have_oauths_form(
    hub: WholeHub, owner: Client, nobody: Client
) -> None:
    secretive, pkce = await registered(owner, confidential=True), Pkce()
    client_id, secret = secretive["client_id"], secretive["client_secret"]
    public = await registered(owner)
    assert public["client_secret"] is None

    async def code() -> str:
        return (await allowed(nobody, asks(client_id, pkce), EMAIL))["code"]

    one = await code()
    for changes in (
        {},
        {"client_secret": "wrong"},
        {"client_id": ""},
        {"client_id": "app_unknown"},
        {"client_id": public["client_id"], "client_secret": "made up"},
    ):
        answer = await exchange(nobody, client_id, one, pkce, **changes)
        assert (answer.status_code, answer.json()["error"]) == (401, "invalid_client"), changes
        assert answer.headers["www-authenticate"].startswith("Basic ")
        assert set(answer.json()) == {"error", "error_description", "message"}
    stolen = await exchange(nobody, public["client_id"], one, pkce)
    assert (stolen.status_code, stolen.json()["error"]) == (400, "invalid_grant")
    nobody.headers["authorization"] = "Basic " + b64encode(f"{client_id}:{secret}".encode()).decode()
    assert (await exchange(nobody, client_id, one, pkce, client_secret=secret)).json()["error"] == "invalid_request"
    assert (await exchange(nobody, public["client_id"], one, pkce)).json()["error"] == "invalid_request"
    by_header = await exchange(nobody, "", one, pkce)
    assert by_header.status_code == 200
    for wrong in ("Basic", "Basic !!!", "Basic " + quote("a"), "Bearer x", f"Basic {secret}"):
        nobody.headers["authorization"] = wrong
        assert (await exchange(nobody, "", one, pkce)).json()["error"] == "invalid_client", wrong
    del nobody.headers["authorization"]
    by_body = await exchange(nobody, client_id, await code(), pkce, client_secret=secret)
    assert by_body.status_code == 200

    for body, status, error in (
        ({"grant_type": "password"}, 400, "unsupported_grant_type"),
        ({}, 400, "invalid_request"),
        ({"grant_type": "authorization_code", "client_id": public["client_id"]}, 400, "invalid_request"),
        ({"grant_type": "refresh_token", "client_id": public["client_id"]}, 400, "invalid_request"),
        ({"grant_type": "refresh_token", "client_id": public["client_id"], "refresh_token": "sbr_x"}, 400,
         "invalid_grant"),
    ):  # fmt: skip
        answer = await nobody.post("/oauth/token", data=body)
        assert (answer.status_code, answer.json()["error"]) == (status, error), body

    named = {"client_id": client_id, "client_secret": secret}
    token = by_body.json()["access_token"]
    assert (await hub.client(token).get("/api/v1/players")).status_code == 200
    assert (await nobody.post("/oauth/revoke", data={"token": token, "client_id": client_id})).status_code == 401
    assert (await nobody.post("/oauth/revoke", data=named)).json()["error"] == "invalid_request"
    for shown in (token, token, "sbo_unknown"):
        answer = await nobody.post("/oauth/revoke", data=named | {"token": shown, "token_type_hint": "access_token"})
        assert (answer.status_code, answer.json()) == (200, {})
    assert (await hub.client(token).get("/api/v1/players")).status_code == 401


async def test_the_hub_describes_itself(nobody: Client) -> None:
    told: dict[str, Any] = (await nobody.get("/.well-known/oauth-authorization-server")).json()
    assert told["issuer"] == BASE
    assert told["code_challenge_methods_supported"] == ["S256"]
    assert told["response_types_supported"] == ["code"]
    assert told["authorization_response_iss_parameter_supported"] is True
    endpoints = {value for name, value in told.items() if name.endswith("_endpoint")}
    assert endpoints == {
        f"{BASE}/oauth/{name}" for name in ("authorize", "token", "revoke", "device_authorization")
    }  # fmt: skip
    for endpoint in endpoints:
        assert (await nobody.request("OPTIONS", endpoint)).status_code == 204
