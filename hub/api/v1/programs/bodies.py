"""What is asked about programs."""

from pydantic import Field

from hub.api.v1.bodies import Moment, Strict
from hub.domain.program import HORIZON_DAYS


class ProgramAt(Strict):
    at: Moment | None = Field(None, description="A moment of the last year or the next ten; else now.")


class TimelineSpan(Strict):
    days: int = Field(HORIZON_DAYS, ge=1, le=HORIZON_DAYS, description="Days of the player, today being the first.")
