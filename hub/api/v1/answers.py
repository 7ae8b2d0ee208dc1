"""What /api/v1 answers, for the reference. One thing: `{"data": {...}}`; many: `{"data": [...], "meta": {...}}`; done:
flat words such as `command_id` and `token`. Times are RFC 3339 in UTC."""

from typing import Generic, TypeVar

from pydantic import BaseModel, Field

Thing = TypeVar("Thing", bound=BaseModel)


class Meta(BaseModel):
    current_page: int
    last_page: int
    total: int
    per_page: int


class Next(BaseModel):
    next: str | None = Field(description="Where the following page begins; null at the end.")


class One(BaseModel, Generic[Thing]):
    data: Thing


class Many(BaseModel, Generic[Thing]):
    data: list[Thing]
    meta: Meta


class Page(BaseModel, Generic[Thing]):
    data: list[Thing]
    meta: Next


class Done(BaseModel):
    message: str
