"""Every error the hub raises on purpose, on one page.

HubError
├── caller's fault, the same call will fail again
│   ├── BadRequest          400  the request cannot be read (not JSON, bad header)
│   ├── Unauthenticated     401  no credential, or one that is unknown, expired or revoked
│   ├── Forbidden           403  a known caller without the right
│   ├── NotFound            404  unknown, deleted, or another team's: never said which
│   ├── Conflict            409  contradicts what is stored
│   ├── Gone                410  was here, is over
│   ├── PreconditionFailed  412  If-Match names another version
│   ├── TooLarge            413  over a documented limit
│   ├── UnsupportedMedia    415  a content type this call does not read
│   └── Invalid             422  readable, but a field is wrong; `errors` says which
├── caller should slow down
│   └── TooMany             429  `retry_after` seconds
└── hub's fault, the same call may succeed later
    └── Unavailable         503  database, broker or disk; `retry_after` seconds

CannotStart is for whoever starts a hub, and never an answer.
"""

from collections.abc import Mapping, Sequence


class HubError(Exception):
    """A failure with a message for people and a `code` for programs.

    `status` is the HTTP status of the answer; `errors` maps field names to messages (422 only);
    `retry_after` is whole seconds (429 and 503 only).
    """

    status = 500
    code = "error"
    message = "Something went wrong."

    def __init__(
        self,
        message: str | None = None,
        *,
        code: str | None = None,
        errors: Mapping[str, Sequence[str]] | None = None,
        retry_after: int | None = None,
    ) -> None:
        self.message = message or type(self).message
        self.code = code or type(self).code
        self.errors = {field: list(texts) for field, texts in errors.items()} if errors else None
        self.retry_after = retry_after
        super().__init__(self.message)


class BadRequest(HubError):
    status, code, message = 400, "bad_request", "The request could not be read."


class Unauthenticated(HubError):
    status, code, message = 401, "unauthenticated", "Unauthenticated."


class Forbidden(HubError):
    status, code, message = 403, "forbidden", "This action is unauthorized."


class NotFound(HubError):
    status, code, message = 404, "not_found", "Not found."


class Conflict(HubError):
    status, code, message = 409, "conflict", "This contradicts what is stored."


class Gone(HubError):
    status, code, message = 410, "gone", "This is over."


class PreconditionFailed(HubError):
    status, code, message = 412, "precondition_failed", "The stored version is another one."


class TooLarge(HubError):
    status, code, message = 413, "too_large", "The request is too large."


class UnsupportedMedia(HubError):
    status, code, message = 415, "unsupported_media", "This content type is not read here."


class Invalid(HubError):
    status, code, message = 422, "invalid", "The given data was invalid."

    @classmethod
    def field(cls, name: str, what: str, *, code: str | None = None) -> "Invalid":
        """One wrong field. `what` goes on after "The ... field", without a full stop."""
        return cls(errors={name: [sentence(name, what)]}, code=code)


def sentence(name: str, what: str) -> str:
    """What is wrong with a field, for the person who filled it in; `body` is the whole of it."""
    return f"The {name} {what}." if name == "body" else f"The {name} field {what}."


class TooMany(HubError):
    status, code, message = 429, "too_many_requests", "Too many requests."


class Unavailable(HubError):
    status, code, message = 503, "unavailable", "The hub cannot store this right now."


class CannotStart(Exception):
    """The hub cannot start as things are; `message` is one sentence for whoever started it, and all that they see."""

    def __init__(self, message: str) -> None:
        self.message = message
        super().__init__(message)
