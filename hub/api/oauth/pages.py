"""The pages of the authorization code grant, for people: sign in, consent, and what went wrong.

They are plain HTML: no script, nothing from elsewhere, in no frame. Every value in them is escaped here.
"""

import base64
import hashlib
from collections.abc import Mapping
from dataclasses import asdict
from html import escape
from pathlib import Path
from string import Template
from typing import Final
from urllib.parse import urlsplit

from starlette.responses import RedirectResponse, Response

from hub.domain.access import SCOPES
from hub.domain.oauth import Asked, answer_url
from hub.services.oauth import Consent


def inline_source(kind: str, page: str) -> str:
    """The one inline element of this kind, as a Content-Security-Policy names it: by its hash."""
    content = page.partition(f"<{kind}>")[2].partition(f"</{kind}>")[0]
    return f"'sha256-{base64.b64encode(hashlib.sha256(content.encode()).digest()).decode()}'"


_TEXT: Final = Path(__file__).with_name("page.html").read_text("utf-8").replace("\r\n", "\n")
_PAGE: Final = Template(_TEXT)
_STYLE: Final = inline_source("style", _TEXT)
_HEADERS: Final = {
    "cache-control": "no-store",
    "pragma": "no-cache",
    "referrer-policy": "no-referrer",  # the address holds the state of the program that sent the person here
    "x-frame-options": "DENY",
    "x-content-type-options": "nosniff",
}


def _page(title: str, content: str, status: int) -> Response:
    # Nothing is said of form-action: browsers hold every redirect that follows from a form to it, those of the
    # program's own site too, and where they lead in the end is nobody's to know here.
    policy = f"default-src 'none'; style-src {_STYLE}; base-uri 'none'; frame-ancestors 'none'"
    html = _PAGE.substitute(title=escape(title), content=content)
    return Response(html, status, {**_HEADERS, "content-security-policy": policy}, "text/html")


def sign_in(asked: Asked, client: str, *, refusal: str = "", email: str = "", status: int = 200) -> Response:
    told = f'<p role="alert">{escape(refusal)}</p>' if refusal else ""
    content = f"""\
<p><strong>{escape(client)}</strong> wants access to your team on this hub. Sign in to see to what, and to decide.</p>
{told}
<form method="post" action="/oauth/authorize">
{_hidden(asked)}
<label for="email">E-mail</label>
<input id="email" name="email" type="email" required maxlength="254" autocomplete="username" value="{escape(email)}">
<label for="password">Password</label>
<input id="password" name="password" type="password" required maxlength="200" autocomplete="current-password">
<button>Sign in</button>
</form>"""
    return _page("Sign in", content, status)


def consent(asked: Asked, question: Consent) -> Response:
    wanted = "\n".join(f"<li>{escape(SCOPES[scope])} (<code>{escape(scope)}</code>)</li>" for scope in question.scopes)
    denied = ", ".join(f"<code>{escape(scope)}</code>" for scope in question.denied)
    lacking = f"<p>It asked for more than your role gives, and will not get: {denied}.</p>" if denied else ""
    content = f"""\
<p>{escape(question.person)}, may <strong>{escape(question.client)}</strong> do this in the team
<strong>{escape(question.team)}</strong>, in your name?</p>
<ul>
{wanted}
</ul>
{lacking}
<p>You then go on to <strong>{escape(_place(asked.redirect_uri or ""))}</strong>. An admin of the team can end this
access at any time.</p>
<form method="post" action="/oauth/authorize">
{_hidden(asked)}
<input type="hidden" name="ticket" value="{escape(question.ticket)}">
<button name="decision" value="allow">Allow</button>
<button name="decision" value="deny">Refuse</button>
</form>"""
    return _page(f"Allow {question.client}?", content, 200)


def failure(message: str, status: int, headers: dict[str, str] | None = None) -> Response:
    response = _page("This did not work", f'<p role="alert">{escape(message)}</p>', status)
    response.headers.update(headers or {})
    return response


def way_back(asked: Asked, issuer: str, message: str, **values: str) -> Response:
    """The way to the client, with the answer, for the person to take. The redirect URI must be the client's."""
    place = escape(_place(asked.redirect_uri or ""))
    link = f'<a rel="noreferrer" href="{escape(_back_url(asked, issuer, values))}">{place}</a>'
    content = f'<p role="alert">{escape(message)}</p>\n<p>The program that sent you here is at {link}.</p>'
    return _page("This did not work", content, 400)


def back(asked: Asked, issuer: str, **values: str) -> Response:
    """To the client, with the answer. Only for a redirect URI that was found to be the client's."""
    url = _back_url(asked, issuer, values)
    headers = {"cache-control": "no-store", "pragma": "no-cache", "referrer-policy": "no-referrer"}
    return RedirectResponse(url, 303, headers)


def _back_url(asked: Asked, issuer: str, values: Mapping[str, str]) -> str:
    assert asked.redirect_uri is not None
    return answer_url(asked.redirect_uri, {**values, "state": asked.state, "iss": issuer})


def _hidden(asked: Asked) -> str:
    return "\n".join(
        f'<input type="hidden" name="{name}" value="{escape(value)}">'
        for name, value in asdict(asked).items()
        if value is not None
    )


def _place(redirect_uri: str) -> str:
    parts = urlsplit(redirect_uri)
    return parts.netloc or f"{parts.scheme}:"
