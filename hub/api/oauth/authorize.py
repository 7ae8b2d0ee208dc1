"""The authorization endpoint: a person signs in, sees what a program asks for, and decides.

No cookie is set. The sign-in form proves itself by the password, the consent form by a ticket that the hub signed for
this person and this very request; so there is nothing that another site could ride on.
"""

from typing import Any

from starlette.responses import Response

from hub.api.http.endpoint import Call
from hub.api.http.errors import answer_for
from hub.api.oauth import pages
from hub.domain.errors import BadRequest, HubError, TooMany, Unauthenticated
from hub.domain.oauth import Asked


async def ask(call: Call) -> Response:
    """For browsers: the page on which a person of the team signs in and allows a program its scopes, or refuses.

    PKCE with S256 is required, and `redirect_uri` must be exactly one of the client's. The answer goes there, with
    `code` or `error`, `state` and `iss`.
    """
    asked = _asked(call.query)
    try:
        return pages.sign_in(asked, await call.services.oauth.begin(asked))
    except HubError as error:
        return _told(call, asked, error)


async def answer(call: Call) -> Response:
    """What the page sends: first `email` and `password`, then `ticket` and `decision`."""
    body, oauth = call.body, call.services.oauth
    asked = _asked(body)
    try:
        if body.ticket is not None:
            code = await oauth.decide(asked, body.ticket, allow=body.decision == "allow")
            return pages.back(asked, oauth.issuer(call.base_url), code=code)
        client = await oauth.begin(asked)
        try:
            question = await oauth.sign_in(asked, body.email or "", body.password or "", call.address)
        except (Unauthenticated, TooMany) as error:
            page = pages.sign_in(asked, client, refusal=error.message, email=body.email or "", status=error.status)
            page.headers.update(_waiting(error))
            return page
        return pages.consent(asked, question)
    except HubError as error:
        return _told(call, asked, error)


def _asked(given: Any) -> Asked:
    return Asked(**{name: getattr(given, name) for name in Asked.__dataclass_fields__})


def _told(call: Call, asked: Asked, error: HubError) -> Response:
    """What is wrong with a request goes to the client; where the client itself is in doubt, to the person.

    Before anybody has signed in no browser is sent on by itself (RFC 9700, section 4.11.2): else whoever may register a
    client could lend the hub's name to any page. The person sees where the way leads, and takes it or not.
    """
    if isinstance(error, BadRequest):
        issuer = call.services.oauth.issuer(call.base_url)
        values = {"error": error.code, "error_description": error.message}
        if error.code == "access_denied":  # by a person, or of one who has signed in
            return pages.back(asked, issuer, **values)
        return pages.way_back(asked, issuer, error.message, **values)
    return pages.failure(error.message, 400 if error.status == 422 else error.status, _waiting(error))


def _waiting(error: HubError) -> dict[str, str]:
    return {name: value for name, value in answer_for(error).headers.items() if name == "retry-after"}
