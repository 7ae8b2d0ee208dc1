"""What is answered to Hangar.Media's clients. Times are RFC 3339 in UTC."""

from typing import Generic, Literal

from pydantic import BaseModel, Field

from hub.api.v1 import answers
from hub.api.v1.answers import Thing
from hub.domain.content import AssetStatus, AssetType
from hub.domain.schedules import ConditionType, Operator, Unit


class One(answers.One[Thing], Generic[Thing]):
    pass


class Many(answers.Many[Thing], Generic[Thing]):
    pass


class Screen(BaseModel):
    id: str
    name: str
    status: Literal["online", "offline"]
    ip_address: str | None
    last_seen_at: str | None


class ScreenPairing(Screen):
    pairing_code: str = Field(description="For the device that is to become this screen; good for one, once.")
    pairing_code_expires_at: str


class Content(BaseModel):
    id: str
    name: str
    type: AssetType
    status: AssetStatus
    url: str = Field(description="A link to the file, good for an hour, or the address.")
    thumbnail_url: str | None
    duration: int | None
    created_at: str


class Condition(BaseModel):
    type: ConditionType
    operator: Operator
    value: str
    unit: Unit | None = None


class Schedule(BaseModel):
    id: str
    name: str
    is_active: bool
    playlist_id: int | None
    days_of_week: list[int] = Field(description="1 (Monday) to 6 (Saturday), 0 for Sunday; none: every day.")
    start_time: str | None
    end_time: str | None
    start_date: str | None
    end_date: str | None
    priority: int
    conditions: list[Condition]
    screen_ids: list[str] = Field(description="Screens that it names; groups and locations are not told here.")
