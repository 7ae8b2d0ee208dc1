"""What Hangar's clients send. Fields and parameters that are not listed are ignored."""

from typing import Annotated, Any, Final, Literal, Self

import orjson
from pydantic import BeforeValidator, Field, model_validator

from hub.api.hangar.shapes import PAGE
from hub.api.v1.bodies import Name, Tolerant, example

PermissionName = Literal[
    "view_public_info",
    "edit_own_user_settings",
    "edit_api_keys",
    "edit_subject_settings",
    "manage_subject_members",
    "is_subject_owner",
    "is_subject_member",
    "create_project",
    "edit_page",
    "delete_project",
    "create_version",
    "edit_version",
    "delete_version",
    "edit_channels",
    "create_organization",
    "delete_organization",
    "post_as_organization",
    "mod_notes_and_flags",
    "see_hidden",
    "is_staff",
    "reviewer",
    "view_health",
    "view_ip",
    "view_stats",
    "view_logs",
    "manual_value_changes",
    "restore_version",
    "restore_project",
    "hard_delete_project",
    "hard_delete_version",
    "edit_all_user_settings",
]
MAX_OFFSET: Final = 1_000_000


class KeyExchange(Tolerant):
    # Optional and without limits here: a key that is absent or no key by its form is answered 400, not 422.
    apiKey: str | None = Field(None, description="The whole API key.")


class NewKey(Tolerant):
    model_config = example(name="dashboard", permissions=["view_stats"])

    name: Annotated[Name, Field(min_length=5, max_length=36)]
    permissions: list[PermissionName] = Field(min_length=1, max_length=50)


class KeyName(Tolerant):
    name: str = Field(min_length=1, max_length=100, description="Name of one of your keys.")


class Subject(Tolerant):
    slug: str | None = Field(None, max_length=100, description="A project; there are none here (404).")
    organization: str | None = Field(None, max_length=100, description="There are none here (404).")


class PermissionQuestion(Subject):
    permissions: list[PermissionName] = Field(min_length=1, max_length=50)


def _json(value: Any) -> Any:
    """Hangar's client sends pages as `pagination={"limit": 25, "offset": 0}`."""
    try:
        page = orjson.loads(value) if isinstance(value, str) else value
    except ValueError:
        page = None
    whole = isinstance(page, dict) and all(type(page.get(name, 0)) is int for name in ("limit", "offset"))
    if not whole or not 1 <= page.get("limit", PAGE) <= PAGE or not 0 <= page.get("offset", 0) <= MAX_OFFSET:
        raise ValueError(f'must be written as {{"limit": {PAGE}, "offset": 0}}, with at most {PAGE} at once')
    return value


class People(Tolerant):
    query: str | None = Field(None, max_length=100, description="Part of a name.")
    pagination: Annotated[str | None, BeforeValidator(_json), Field(max_length=200)] = Field(
        None, description='JSON, as in `{"limit": 25, "offset": 0}`.'
    )
    sort: list[Annotated[str, Field(max_length=40)]] = Field([], max_length=10, description="Accepted and not used.")
    limit: int = Field(PAGE, ge=1, le=PAGE)
    offset: int = Field(0, ge=0, le=MAX_OFFSET)

    @model_validator(mode="after")
    def _one_page(self) -> Self:
        if self.pagination is not None:
            page = orjson.loads(self.pagination)
            self.limit, self.offset = page.get("limit", PAGE), page.get("offset", 0)
        return self
