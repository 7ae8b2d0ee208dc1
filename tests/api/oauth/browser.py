"""A person at the consent page: reads the forms and sends them, as a browser without JavaScript does."""

import base64
import hashlib
import secrets
from html.parser import HTMLParser
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import httpx2
from argon2 import PasswordHasher

CALLBACK = "https://editor.example.com/callback?tenant=7"
PASSWORD = "correct horse battery"
QUICK_HASH = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1).hash(PASSWORD)
"""Of PASSWORD, made to be judged in no time."""


class Form(HTMLParser):
    """The fields of a page's form; buttons are left to whoever presses one."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.fields: dict[str, str] = {}
        self.method = self.action = ""
        self.feed(html)

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        values = dict(attributes)
        if tag == "form":
            self.method, self.action = values.get("method") or "", values.get("action") or ""
        elif tag == "input":
            self.fields[values["name"] or ""] = values.get("value") or ""


class Pkce:
    """A fresh verifier and its challenge."""

    def __init__(self) -> None:
        self.verifier = secrets.token_urlsafe(48)
        self.challenge = base64.urlsafe_b64encode(hashlib.sha256(self.verifier.encode()).digest()).rstrip(b"=").decode()


def asks(client_id: str, pkce: Pkce, **changes: str) -> dict[str, str]:
    """An authorization request; a value that is empty is left out."""
    asked = {
        "response_type": "code",
        "client_id": client_id,
        "redirect_uri": CALLBACK,
        "scope": "read:players write:players",
        "state": "s t&te",
        "code_challenge": pkce.challenge,
        "code_challenge_method": "S256",
    }
    return {name: value for name, value in (asked | changes).items() if value}


async def sign_in(person: httpx2.AsyncClient, page: httpx2.Response, email: str, password: str) -> httpx2.Response:
    """Fill in the sign-in page and send it."""
    form = Form(page.text)
    assert (form.method, form.action) == ("post", "/oauth/authorize")
    return await person.post(form.action, data=form.fields | {"email": email, "password": password})


async def press(person: httpx2.AsyncClient, page: httpx2.Response, button: str) -> httpx2.Response:
    """Send the consent page by one of its buttons."""
    form = Form(page.text)
    return await person.post(form.action, data=form.fields | {"decision": button})


def brought_back(answer: httpx2.Response) -> dict[str, str]:
    """What the redirect URI got."""
    assert answer.status_code == 303, answer.text
    location = answer.headers["location"]
    assert location.startswith(CALLBACK + "&")
    return dict(parse_qsl(urlsplit(location).query))


async def allowed(person: httpx2.AsyncClient, asked: dict[str, str], email: str) -> dict[str, str]:
    """The whole way: what comes back after the person has allowed it."""
    page = await person.get("/oauth/authorize", params=asked)
    question = await sign_in(person, page, email, PASSWORD)
    assert question.status_code == 200, question.text
    return brought_back(await press(person, question, "allow"))


async def registered(admin: httpx2.AsyncClient, **changes: Any) -> dict[str, Any]:
    """A new client."""
    body = {
        "name": "Menu <b>board</b>",
        "redirect_uris": [CALLBACK, "http://127.0.0.1:9/cb"],
        "scopes": ["read:players", "write:players", "admin"],
    }
    answer = await admin.post("/api/v1/oauth-clients", json=body | changes)
    assert answer.status_code == 201, answer.text
    client: dict[str, Any] = answer.json()["data"]
    return client
