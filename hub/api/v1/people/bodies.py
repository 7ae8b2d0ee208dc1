"""What callers send about people and credentials."""

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from hub.api.v1.bodies import Changes, Email, Moment, Name, Password, Strict, example
from hub.domain.access import Role
from hub.domain.quotas import Plan
from hub.domain.times import parse

MAX_SCOPES = 20

Scopes = Annotated[
    list[Annotated[str, Field(max_length=40)]],
    Field(min_length=1, max_length=MAX_SCOPES, description="Nobody grants what they lack."),
]


class NewKey(Strict):
    model_config = example(
        name="Dashboard", scopes=["read:players", "write:players"], expires_at="2030-01-01T00:00:00Z"
    )

    name: Name
    scopes: Scopes
    expires_at: Moment | None = Field(None, description="Without it the key lives until it is revoked.")

    @property
    def expires_ms(self) -> int | None:
        return None if self.expires_at is None else parse(self.expires_at)


class KeyChanges(Changes):
    model_config = example(name="Dashboard, read only", scopes=["read:players"])

    name: Name | None = None
    scopes: Scopes | None = None


class NewMember(Strict):
    model_config = example(name="Ada Reader", email="ada@example.com", role="viewer")

    name: Name
    email: Email
    role: Role
    password: Password | None = Field(None, description="Without it the hub makes one for the first login.")


class MemberChanges(Changes):
    model_config = example(role="operator")

    name: Name | None = None
    role: Role | None = None
    locked: bool | None = Field(None, description="A locked person's keys and logins are dead while the lock lasts.")
    password: Password | None = Field(None, description="Ends the person's logins.")
    reset_password: Literal[True] | None = Field(None, description="Make a new password and answer it, this once.")

    @model_validator(mode="after")
    def _one_password(self) -> Self:
        if self.password is not None and self.reset_password is not None:
            raise ValueError("must have a password, or ask for a new one, not both")
        return self


class OwnChanges(Changes):
    model_config = example(password="correct horse battery", current_password="securepassword123")

    name: Name | None = None
    password: Password | None = Field(None, description="Ends every other login.")
    current_password: Annotated[str, Field(max_length=200)] | None = Field(
        None, description="Needed for another password."
    )

    @model_validator(mode="after")
    def _password_needs_password(self) -> Self:
        if self.password is not None and self.current_password is None:
            raise ValueError("must have the current_password with the new one")
        return self


class TeamChanges(Changes):
    model_config = example(name="My Digital Signage Co", timezone="Europe/Berlin")

    name: Name | None = None
    timezone: Annotated[str, Field(min_length=1, max_length=64)] | None = Field(
        None, description="IANA name of the zone in which schedules are read."
    )


class PlanChange(Strict):
    model_config = example(plan="business")

    plan: Plan


RedirectUris = Annotated[
    list[Annotated[str, Field(min_length=1, max_length=500)]],
    Field(
        min_length=1,
        max_length=10,
        description="Compared to the letter. https, http to this very machine (127.0.0.1, [::1], localhost), or a "
        "scheme of the program's own, such as com.example.app:/done.",
    ),
]


class NewOAuthClient(Strict):
    model_config = example(
        name="Menu board editor",
        redirect_uris=["https://editor.example.com/callback"],
        scopes=["read:players", "read:content", "write:content"],
        confidential=True,
    )

    name: Name
    redirect_uris: RedirectUris
    scopes: Scopes
    confidential: bool = Field(False, strict=True, description="Whether it runs where it can keep a secret.")


class OAuthClientChanges(Changes):
    model_config = example(name="Menu board editor 2")

    name: Name | None = None
    redirect_uris: RedirectUris | None = None
    scopes: Scopes | None = None
